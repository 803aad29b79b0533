//! What may be stored and logged of an exchange: everything but its secrets.
//!
//! Raw answers are kept as evidence of what a network said, so only values go; names, numbers and
//! the shape stay. It errs on the side of removing too much.

use http::HeaderMap;
use serde_json::Value;

/// What stands where a secret stood.
pub const PLACEHOLDER: &str = "[redacted]";

/// Names whose values are secret, as [`plain`] writes them. Names that end in `token`, `secret`,
/// `password`, `jwt`, `signature` or `cookie` are secret as well.
const SECRET_NAMES: &[&str] = &[
    "accesskey",
    "apikey",
    "appsecretproof",
    "assertion",
    "authorization",
    "clientassertion",
    "code",
    "codechallenge",
    "codeverifier",
    "credential",
    "credentials",
    "devicecode",
    "dpop",
    "key",
    "pass",
    "passwd",
    "privatekey",
    "requesturi",
    "session",
    "sessionid",
    "sig",
    "signedrequest",
    "state",
    "ticket",
    "usercode",
    "verifier",
    "xapikey",
];

/// Words of a header or sentence that are followed by a credential.
const SCHEMES: &[&str] = &["basic", "bearer", "dpop", "oauth"];

/// An answer's or a request's body as text without secrets: JSON, form or anything else. Bytes
/// that are no UTF-8 are replaced; text beyond `limit` bytes is cut off, after redaction.
pub fn body(bytes: &[u8], limit: usize) -> String {
    let mut out = match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value @ (Value::Object(_) | Value::Array(_))) => {
            json(&mut value);
            value.to_string()
        }
        // Also what should have been JSON and was cut off on the way.
        _ => text(&String::from_utf8_lossy(bytes)),
    };
    if out.len() > limit {
        out.truncate((0..=limit).rev().find(|&at| out.is_char_boundary(at)).unwrap_or(0));
        out.push('…');
    }
    out
}

/// Headers without secrets, in their order. Cookies and credentials lose their values whole.
pub fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let hidden = value.is_sensitive() || is_secret(name.as_str());
            let shown =
                if hidden { PLACEHOLDER.into() } else { text(&String::from_utf8_lossy(value.as_bytes())) };
            (name.as_str().to_owned(), shown)
        })
        .collect()
}

/// An address without secrets: the names of its query stay, all their values go, and so do user
/// name, password and fragment.
pub fn url(address: &str) -> String {
    let (rest, fragment) = address.split_once('#').map_or((address, None), |(a, b)| (a, Some(b)));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut out = match path.split_once("://") {
        Some((scheme, after)) => {
            let end = after.find('/').unwrap_or(after.len());
            let host = after[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &after[end..])
        }
        None => path.to_owned(),
    };
    if let Some(query) = query {
        let names = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={PLACEHOLDER}"),
            // A nameless value may be the secret itself.
            None => PLACEHOLDER.to_owned(),
        });
        out.push('?');
        out.push_str(&names.collect::<Vec<_>>().join("&"));
    }
    if fragment.is_some() {
        out.push('#');
        out.push_str(PLACEHOLDER);
    }
    out
}

/// Any text without secrets: form bodies, sentences with addresses in them, halves of JSON.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(cut);
        if word.is_empty() {
            let c = after.chars().next().unwrap_or_default();
            out.push(c);
            rest = &after[c.len_utf8()..];
        } else if after.starts_with("://") {
            let end = after.find(ends_address).unwrap_or(after.len());
            out.push_str(&url(&format!("{word}{}", &after[..end])));
            rest = &after[end..];
        } else if let Some(value) = is_secret(word).then(|| value_after(word, after)).flatten() {
            out.push_str(word);
            out.push_str(&after[..value.start]);
            if is_harmless(word, &after[value.clone()], after[..value.start].contains('"')) {
                out.push_str(&after[value.clone()]);
            } else {
                out.push_str(PLACEHOLDER);
            }
            rest = &after[value.end..];
        } else if let Some(value) =
            SCHEMES.iter().any(|it| word.eq_ignore_ascii_case(it)).then(|| credential_after(after)).flatten()
        {
            out.push_str(word);
            out.push_str(&after[..value.start]);
            out.push_str(PLACEHOLDER);
            rest = &after[value.end..];
        } else {
            // The signed tokens of all networks begin like this: `{"` in base64.
            out.push_str(if word.starts_with("eyJ") && word.len() > 20 { PLACEHOLDER } else { word });
            rest = after;
            if out.ends_with(PLACEHOLDER) {
                // A signed token's three parts hang together by dots.
                rest = rest.trim_start_matches(|c: char| is_word(c) || c == '.');
            }
        }
    }
    out
}

/// Redacts in place: members by their name, all other strings as [`text`].
fn json(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(it) if is_secret(name) => {
                        if !is_harmless(name, it, true) {
                            PLACEHOLDER.clone_into(it);
                        }
                    }
                    // Error codes are numbers, and numbers are no secrets.
                    other => json(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(json),
        Value::String(it) => *it = text(it),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name in lower case without separators: `Access-Token`, `access_token` and `accessToken` are one.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_secret(name: &str) -> bool {
    let name = plain(name);
    SECRET_NAMES.binary_search(&name.as_str()).is_ok()
        || ["token", "secret", "password", "jwt", "signature", "cookie"].iter().any(|it| name.ends_with(it))
}

/// `"code": "DUPLICATE_POST"` and `"state": "processing"` are the very evidence an answer is kept
/// for. In JSON, and there alone, such a value stays if it reads as words of one case, which no
/// generated secret does.
fn is_harmless(name: &str, value: &str, in_json: bool) -> bool {
    let name = plain(name);
    let word = |part: &str| {
        (1..=14).contains(&part.len())
            && (part.bytes().all(|b| b.is_ascii_lowercase()) || part.bytes().all(|b| b.is_ascii_uppercase()))
    };
    in_json
        && (name == "code" || name == "state")
        && value.len() <= 64
        && value.split(['_', '-', '.', ' ']).all(word)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`' | '\\' | '|' | '^' | '{' | '}')
}

/// Where the value lies in `="value"`, `: value`, `":"value`, `%3Dvalue`: behind a name.
fn value_after(name: &str, after: &str) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    let skip = |start: &mut usize, set: &[&str]| {
        while let Some(it) = set.iter().find(|it| after[*start..].starts_with(**it)) {
            *start += it.len();
        }
    };
    skip(&mut start, &["\\", "\"", "'", "]", " "]);
    let sign =
        ["=", ":", "%3D", "%3d", "%3A", "%3a"].into_iter().find(|it| after[start..].starts_with(it))?;
    start += sign.len();
    skip(&mut start, &[" ", "\t"]);
    let rest = &after[start..];
    // A quoted value ends with its quote, any other where a value of a form or header ends.
    let (open, close): (usize, &[char]) = match rest.trim_start_matches('\\').chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let open = rest.len() - rest.trim_start_matches('\\').len() + 1;
            (open, if quote == '"' { &['"', '\\'] } else { &['\'', '\\'] })
        }
        // A number or nested value in JSON is not a secret.
        Some('{' | '[') => return None,
        // A cookie line holds several values, all of them secret.
        _ if plain(name).ends_with("cookie") => (0, &['\r', '\n']),
        _ => (0, &['&', ';', ',', '"', '\'', '\\', '\r', '\n', ')', '}', ']', '<']),
    };
    start += open;
    let length = after[start..].find(close).unwrap_or(after.len() - start);
    let value = &after[start..start + length];
    let number = !value.is_empty() && value.len() <= 12 && value.bytes().all(|b| b.is_ascii_digit());
    (length > 0 && !(number && open == 0 && sign == ":")).then_some(start..start + length)
}

/// Where the credential lies behind `Bearer` and its like.
fn credential_after(after: &str) -> Option<std::ops::Range<usize>> {
    let start = after.len() - after.trim_start_matches([' ', '+', '\t']).len();
    let length =
        after[start..].find(|c: char| !(is_word(c) || "._~+/=:%".contains(c))).unwrap_or(after.len() - start);
    // `Bearer token`, in a sentence, is no credential; what networks hand out is longer.
    (start > 0 && length >= 8).then_some(start..start + length)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const CANARY: &str = "Zx9-canary_41Qq";

    #[test]
    fn a_canary_is_found_in_no_written_form_of_a_secret() {
        for name in [
            "access_token",
            "refresh_token",
            "id_token",
            "code",
            "client_secret",
            "code_verifier",
            "state",
            "accessJwt",
            "refreshJwt",
            "password",
            "fb_exchange_token",
            "appsecret_proof",
            "input_token",
            "client_assertion",
            "signed_request",
            "request_uri",
            "oauth_signature",
            "Authorization",
            "set-cookie",
        ] {
            for form in [
                format!(r#"{{"{name}":"{CANARY}","ok":1}}"#),
                format!(r#"{{"data":[{{"{name}" : "{CANARY}"}}]}}"#),
                format!(r#"{{"cut off":true,"{name}":"{CANARY}"#),
                format!(r#"{{"nested":"{{\"{name}\":\"{CANARY}\"}}"}}"#),
                format!("{name}={CANARY}"),
                format!("a=b&{name}={CANARY}&c=d"),
                format!("{name}: {CANARY}\r\nhost: x"),
                format!("{name}%3D{CANARY}%26a"),
                format!("{name}='{CANARY}'"),
                format!("set-cookie: a=b; {name}={CANARY}; Path=/"),
                format!("> Cookie: a={CANARY}; b={CANARY}\r\n> {name}: {CANARY}"),
                format!("see https://example.com/cb?{name}={CANARY}&x=y for more"),
                format!("error sending request for url (https://a.example/x?{name}={CANARY})"),
            ] {
                let shown = body(form.as_bytes(), 10_000);
                assert!(!shown.contains(CANARY), "{form}\n→ {shown}");
                assert!(shown.contains(PLACEHOLDER), "{form}\n→ {shown}");
            }
        }
    }

    #[test]
    fn credentials_behind_a_scheme_go() {
        for form in [
            format!("Authorization: Bearer {CANARY}"),
            format!("sent DPoP {CANARY} to"),
            format!("basic {CANARY}=="),
            format!("curl -H 'Bearer  {CANARY}'"),
            format!(r#"{{"message":"token Bearer {CANARY} is bad"}}"#),
            "the token eyJhbGciOiJFUzI1NiIsInR5cCI.Zx9-canary_41Qq.c2lnbmF0dXJl was refused".to_owned(),
        ] {
            let shown = body(form.as_bytes(), 10_000);
            assert!(!shown.contains(CANARY), "{form}\n→ {shown}");
        }
        assert_eq!(text("a bearer token is needed"), "a bearer token is needed");
    }

    #[test]
    fn evidence_stays() {
        for kept in [
            r#"{"error":{"message":"Duplicate","code":"DUPLICATE_POST","state":"in_review"}}"#,
            r#"{"errors":[{"code":187,"message":"Status is a duplicate."}]}"#,
            r#"{"error":"InvalidRequest","message":"Record already exists"}"#,
            r#"{"uri":"at://did:plc:abc/app.bsky.feed.post/3k","cid":"bafyrei"}"#,
        ] {
            assert_eq!(body(kept.as_bytes(), 10_000), kept);
        }
        assert!(!body(br#"{"code":"AQBx7kQz"}"#, 100).contains("AQB"));
        assert!(!body(b"code=abcdef", 100).contains("abc"));
        assert_eq!(text("status code: 403, retry"), "status code: 403, retry");
    }

    #[test]
    fn an_address_keeps_its_path_and_the_names_of_its_query() {
        assert_eq!(
            url("https://u:p@graph.example/v1/me?fields=id&access_token=x&bare#frag"),
            "https://graph.example/v1/me?fields=[redacted]&access_token=[redacted]&[redacted]#[redacted]"
        );
        assert_eq!(url("/oauth/x/callback?code=1"), "/oauth/x/callback?code=[redacted]");
        assert_eq!(url("https://example.com/a"), "https://example.com/a");
    }

    #[test]
    fn secret_headers_lose_their_values_and_others_are_scrubbed() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("authorization", CANARY.to_owned()),
            ("set-cookie", format!("a={CANARY}")),
            ("dpop", CANARY.to_owned()),
            ("location", format!("https://a.example/?code={CANARY}")),
            ("x-rate-limit-remaining", "7".to_owned()),
        ] {
            map.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
        }
        let mut marked = HeaderValue::from_static(CANARY);
        marked.set_sensitive(true);
        map.append("x-harmless", marked);
        let shown = headers(&map);
        assert!(!format!("{shown:?}").contains(CANARY), "{shown:?}");
        assert!(shown.contains(&("x-rate-limit-remaining".into(), "7".into())));
    }

    #[test]
    fn the_list_of_names_is_in_order() {
        assert!(SECRET_NAMES.is_sorted());
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        assert_eq!(body("äöü".as_bytes(), 3), "ä…");
        // The cut comes last: it cannot separate a name from its value.
        assert!(!body(format!("x=1&code={CANARY}").as_bytes(), 12).contains("Zx9"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_form_value_survives(
            noise in ".{0,40}", secret in "[A-Z][a-z0-9]{3}[0-9][A-Za-z0-9]{12}",
        ) {
            let _ = body(noise.as_bytes(), 10);
            let _ = url(&noise);
            let shown = text(&format!("{noise}&access_token={secret}&{noise}"));
            prop_assert!(!shown.contains(&secret), "{shown}");
        }
    }
}
