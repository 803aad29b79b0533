//! Who is asking, and whether it asks us: client address, host name, cookie.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{COOKIE, HOST};
use ipnet::IpNet;

use super::WebConfig;

/// The host names this listener answers to.
#[derive(Debug)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    /// The public name, and the address listened on.
    pub(super) fn new(config: &WebConfig, local: SocketAddr) -> Self {
        let mut names = Vec::new();
        let url = &config.public_url;
        if let Some(host) = url.host_str() {
            // A browser leaves the scheme's own port out; others may write it.
            let port = url.port_or_known_default().unwrap_or(443);
            if url.port().is_none() {
                names.push(host.to_ascii_lowercase());
            }
            names.push(format!("{}:{port}", host.to_ascii_lowercase()));
        }
        names.push(local.to_string());
        if local.ip().is_loopback() {
            names.push(format!("localhost:{}", local.port()));
        }
        Self(names)
    }

    /// Whether a request is for us: exactly one `Host`, and one of ours.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        host.to_str().is_ok_and(|host| self.0.iter().any(|it| it.eq_ignore_ascii_case(host)))
    }
}

/// The address a request comes from. Forwarded headers count only from a trusted proxy, and of
/// them the last hop that is none of ours: everything left of it, the client could have written.
pub(super) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut found = peer.to_canonical();
    if !is_trusted(&found) {
        return found;
    }
    let lines: Vec<_> =
        headers.get_all("x-forwarded-for").iter().map(|it| it.to_str().unwrap_or("")).collect();
    for hop in lines.iter().rev().flat_map(|it| it.rsplit(',')) {
        // A hop that cannot be read ends the chain: what is left of it is anyone's guess.
        let Some(ip) = parse_hop(hop.trim()) else { break };
        found = ip;
        if !is_trusted(&found) {
            break;
        }
    }
    found
}

/// An address as proxies write it: bare, with a port, in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(hop);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .map(|it| it.to_canonical())
}

/// The name of our cookie. The `__Host-` prefix makes browsers refuse it from any other host, and
/// needs https, so a rehearsal on plain loopback goes without.
pub(super) fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-sendoff" } else { "sendoff" }
}

/// Whether a value may be a ticket or our cookie: 1–128 characters of `A-Z a-z 0-9 - _`.
pub(super) fn is_token(value: &str) -> bool {
    (1..=128).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The value of our cookie. Two different ones mean that somebody planted one: none counts then.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found: Option<&str> = None;
    for line in headers.get_all(COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((key, value)) = pair.trim().split_once('=') else { continue };
            if key == name {
                if found.is_some_and(|it| it != value) {
                    return None;
                }
                found = Some(value);
            }
        }
    }
    found.filter(|it| is_token(it)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        lines.iter().map(|it| (name.clone(), HeaderValue::from_str(it).unwrap())).collect()
    }

    #[test]
    fn the_last_hop_that_is_not_ours_is_the_client() {
        let trusted: Vec<IpNet> = vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        for (peer, lines, expected) in [
            ("203.0.113.5", &["1.1.1.1"][..], "203.0.113.5"), // not a proxy: it may claim what it wants
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["unknown, 10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
        ] {
            let found = address(peer.parse().unwrap(), &headers("x-forwarded-for", lines), &trusted);
            assert_eq!(found.to_string(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn only_one_well_formed_cookie_of_ours_counts() {
        for (lines, expected) in [
            (&["sendoff=abc"][..], Some("abc")),
            (&["a=1; sendoff=abc; b=2"], Some("abc")),
            (&["a=1", "sendoff=abc"], Some("abc")),
            (&["sendoff=abc; sendoff=abc"], Some("abc")),
            (&["sendoff=abc; sendoff=def"], None),
            (&["sendoff=abc", "sendoff=def"], None),
            (&["sendoff="], None),
            (&["sendoff=a b"], None),
            (&["xsendoff=abc; sendoffx=abc"], None),
            (&["__Host-sendoff=abc"], None),
            (&[], None),
        ] {
            assert_eq!(cookie(&headers("cookie", lines), "sendoff").as_deref(), expected, "{lines:?}");
        }
        assert!(is_token(&"a".repeat(128)) && !is_token(&"a".repeat(129)));
    }
}
