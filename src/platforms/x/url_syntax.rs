//! Whether a string as a whole is an address of the web by the rules of twitter-text: stricter in form
//! than [`super::urls`] (no stray characters), wider in hosts (addresses by number, user names, any
//! top-level domain). For addresses that a person gives on their own, such as the link of a card.

/// Whether the scheme may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Required,
    Optional,
}

/// Whether all of `text` is one `http` or `https` address; hosts in any script.
pub fn is_web_url(text: &str, scheme: Scheme) -> bool {
    let rest = match text.split_once("://") {
        // A `://` behind the first slash, `?` or `#` is no scheme, and then no address either.
        Some((name, rest)) if name.eq_ignore_ascii_case("http") || name.eq_ignore_ascii_case("https") => rest,
        Some((name, _)) if !name.is_empty() && !name.contains([':', '/', '?', '#']) => {
            if scheme == Scheme::Required {
                return false;
            }
            text
        }
        _ if scheme == Scheme::Optional => text,
        _ => return false,
    };
    let (rest, fragment) = rest.split_once('#').map_or((rest, ""), |(rest, it)| (rest, it));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, it)| (rest, it));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    is_authority(authority)
        && is_made_of(path, |c| is_path_char(c) || c == '/')
        && is_made_of(query, |c| is_path_char(c) || matches!(c, '/' | '?'))
        && is_made_of(fragment, |c| is_path_char(c) || matches!(c, '/' | '?'))
}

fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '\u{400}'..='\u{4FF}')
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';' | '=')
}

fn is_path_char(c: char) -> bool {
    is_unreserved(c) || is_delimiter(c) || matches!(c, ':' | '|' | '@')
}

/// Only characters that are `allowed`, or `%` with two hexadecimal digits.
fn is_made_of(part: &str, allowed: fn(char) -> bool) -> bool {
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        let hex = |c: Option<char>| c.is_some_and(|it| it.is_ascii_hexdigit());
        if !(allowed(c) || c == '%' && hex(chars.next()) && hex(chars.next())) {
            return false;
        }
    }
    true
}

/// `[user@]host[:port]`.
fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    is_made_of(user, |c| is_unreserved(c) || is_delimiter(c) || c == ':')
        && port.is_none_or(|it| (1..=5).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
        && (is_ipv4(host) || is_ipv6(host) || is_domain(host))
}

fn is_ipv4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// In brackets. Only the alphabet is checked, as in the reference.
fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.is_some_and(|it| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
    })
}

/// At least two labels; underscores in subdomains only; the last label begins with no digit.
fn is_domain(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let letter = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii();
    let named = labels.len().saturating_sub(2);
    labels.len() >= 2
        && labels.iter().enumerate().all(|(index, label)| {
            label.starts_with(letter)
                && label.ends_with(letter)
                && label.chars().all(|c| letter(c) || c == '-' || (c == '_' && index < named))
                && (index <= named || !label.starts_with(|c: char| c.is_ascii_digit()))
        })
}
