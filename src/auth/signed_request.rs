//! Meta's `signed_request`: how it tells that a person removed the app, or wants their data deleted
//! (developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback).
//!
//! `base64url(signature) "." base64url(payload)`. The signature is over the payload's text exactly as
//! it came, padding included, and it is compared in constant time before any of it is decoded.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;

/// The longest request that is looked at; Meta's are a few hundred bytes.
const LONGEST: usize = 16 * 1024;
/// How far ahead of ours Meta's clock may be. Old requests are believed: Meta may send one again. What
/// was connected after `issued_at` they do not mean; whoever carries them out heeds that.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What Meta vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The person's id, as this app sees it; none when a Page removed the app.
    pub user_id: Option<String>,
    /// The Page that removed the app, where it was no person. Known from others' reports alone.
    pub page_id: Option<String>,
    /// When Meta signed it, where it says so.
    pub issued_at: Option<Timestamp>,
}

/// Why a request is not believed. What it held is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignedRequest {
    #[error("it is not two parts of base64url, joined by a dot")]
    Shape,
    #[error("there is no app secret to check it with")]
    NoSecret,
    #[error("its signature is not that of the app")]
    Signature,
    #[error("its payload is not what Meta describes")]
    Payload,
    #[error("it is signed in another way than HMAC-SHA256")]
    Algorithm,
    #[error("it was signed in the future")]
    Future,
}

/// Checks a request against an app's secret, and reads it.
///
/// # Errors
/// [`BadSignedRequest`]; an empty secret is refused outright, as anybody could sign with it.
pub fn verify(text: &str, secret: &SecretString, now: Timestamp) -> Result<SignedRequest, BadSignedRequest> {
    let parts = text.split_once('.').filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let (signature, payload) = parts.filter(|_| text.len() <= LONGEST).ok_or(BadSignedRequest::Shape)?;
    let signature = decoded(signature).ok_or(BadSignedRequest::Shape)?;
    match is_signed(secret, &[payload.as_bytes()], &signature) {
        None => return Err(BadSignedRequest::NoSecret),
        Some(false) => return Err(BadSignedRequest::Signature),
        Some(true) => {}
    }

    let payload: Value = decoded(payload)
        .and_then(|it| serde_json::from_slice(&it).ok())
        .filter(Value::is_object)
        .ok_or(BadSignedRequest::Payload)?;
    let algorithm = payload["algorithm"].as_str().unwrap_or_default();
    if !algorithm.eq_ignore_ascii_case("HMAC-SHA256") {
        return Err(BadSignedRequest::Algorithm);
    }
    let issued_at = payload["issued_at"].as_i64().and_then(|it| Timestamp::from_second(it).ok());
    if issued_at.is_some_and(|at| at.duration_since(now) > AHEAD) {
        return Err(BadSignedRequest::Future);
    }
    Ok(SignedRequest { user_id: id(&payload["user_id"]), page_id: id(&payload["profile_id"]), issued_at })
}

/// Whether `signature` is the HMAC-SHA256 of these pieces under an app's secret; compared in constant time.
/// None: there is no secret.
pub(super) fn is_signed(secret: &SecretString, pieces: &[&[u8]], signature: &[u8]) -> Option<bool> {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    for piece in pieces {
        mac.update(piece);
    }
    Some(mac.verify_slice(signature).is_ok())
}

/// An id, as text or as a number; 0 stands for nobody.
fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let sound = (1..=30).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && text != "0";
    sound.then_some(text)
}

/// base64url with or without its padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tests of Meta's archived PHP library (github.com/facebookarchive/php-graph-sdk, secret
    /// `foo_app_secret`), and the last, without padding, computed after the documents.
    const VECTORS: [(&str, &str); 4] = [
        (
            "U0_O1MqqNKUt32633zAkdd2Ce-jGVgRgJeRauyx_zC8=.eyJvYXV0aF90b2tlbiI6ImZvb190b2tlbiIsImFsZ29yaXRobSI6IkhNQUMtU0hBMjU2IiwiaXNzdWVkX2F0IjozMjEsImNvZGUiOiJmb29fY29kZSIsInN0YXRlIjoiZm9vX3N0YXRlIiwidXNlcl9pZCI6MTIzLCJmb28iOiJiYXIifQ==",
            "123",
        ),
        (
            "vdZXlVEQ5NTRRTFvJ7Jeo_kP4SKnBDvbNP0fEYKS0Sg=.eyJvYXV0aF90b2tlbiI6ImZvb190b2tlbiIsImFsZ29yaXRobSI6IkhNQUMtU0hBMjU2IiwiaXNzdWVkX2F0IjoxNDAyNTUxMDMxLCJ1c2VyX2lkIjoiMTIzIn0=",
            "123",
        ),
        (
            "6Hi26ECjkj347belC0O8b8H5lwiIz5eA6V9VVjTg-HU=.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsImlzc3VlZF9hdCI6MzIxLCJvYXV0aF90b2tlbiI6ImZvb190b2tlbiIsInVzZXJfaWQiOiIxMjMiLCJwYWdlIjp7ImlkIjoiNDIiLCJsaWtlZCI6dHJ1ZSwiYWRtaW4iOmZhbHNlfX0=",
            "123",
        ),
        (
            "jtk7AANPdIlKkV0RU9l4XNzj65GAV2etrynUF5PDvvA.eyJ1c2VyX2lkIjoiMjE4NDcxIiwiYWxnb3JpdGhtIjoiSE1BQy1TSEEyNTYiLCJpc3N1ZWRfYXQiOjEyOTE4MzY4MDAsImV4cGlyZXMiOjEyOTE4NDA0MDB9",
            "218471",
        ),
    ];

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    fn check(text: &str) -> Result<SignedRequest, BadSignedRequest> {
        verify(text, &"foo_app_secret".to_owned().into(), now())
    }

    /// A request that is signed as it should be, whatever it says.
    fn signed(payload: &[u8]) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"foo_app_secret").unwrap();
        mac.update(payload.as_bytes());
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn what_metas_own_library_signs_is_believed() {
        for (text, user) in VECTORS {
            assert_eq!(check(text).unwrap().user_id.as_deref(), Some(user), "{text}");
        }
    }

    #[test]
    fn a_change_of_any_character_is_noticed() {
        let whole = VECTORS[0].0;
        let dot = whole.find('.').unwrap();
        for at in (0..whole.len()).filter(|at| *at != dot) {
            let mut bytes = whole.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(check(&changed).is_err(), "{at}");
        }
    }

    /// Numbers that look like chance and are the same on every run (splitmix64).
    fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = seed;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((x ^ (x >> 31)) % below as u64).unwrap()
        }
    }

    #[test]
    fn of_ten_thousand_mutations_none_is_believed() {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.";
        let mut below = numbers(44);
        let mut tried = 0;
        while tried < 10_000 {
            let (whole, _) = VECTORS[below(VECTORS.len())];
            let mut text = whole.as_bytes().to_vec();
            for _ in 0..=below(3) {
                let (at, other) = (below(text.len()), below(text.len()));
                match below(7) {
                    0 => text[at] ^= 1 << below(7),
                    1 => text[at] = LETTERS[below(LETTERS.len())],
                    2 => text.insert(at, LETTERS[below(LETTERS.len())]),
                    3 if text.len() > 1 => drop(text.remove(at)),
                    4 => text.swap(at, other),
                    5 => text.truncate(at.max(1)),
                    // The signature of one request before the payload of another.
                    _ => {
                        let (_, payload) = whole.split_once('.').unwrap();
                        let (signature, _) = VECTORS[below(VECTORS.len())].0.split_once('.').unwrap();
                        text = format!("{signature}.{payload}").into_bytes();
                    }
                }
            }
            let text = String::from_utf8_lossy(&text);
            // Padding of the signature may come or not: that says nothing else.
            let same = |it: &str| {
                it.split_once('.').map(|(a, b)| (a.trim_end_matches('=').to_owned(), b.to_owned()))
            };
            if VECTORS.iter().any(|(it, _)| same(it) == same(&text)) {
                continue;
            }
            tried += 1;
            assert!(check(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_payload_is_signed_as_it_came_with_its_padding() {
        let stripped = VECTORS[0].0.trim_end_matches('=');
        assert_eq!(check(stripped), Err(BadSignedRequest::Signature));
    }

    #[test]
    fn what_must_not_be_believed_is_refused() {
        let (_, payload) = VECTORS[0].0.split_once('.').unwrap();
        for (text, why) in [
            ("", BadSignedRequest::Shape),
            ("nodot", BadSignedRequest::Shape),
            (".x", BadSignedRequest::Shape),
            ("x.", BadSignedRequest::Shape),
            (&format!("foo_sig.{payload}"), BadSignedRequest::Signature),
            (&format!("Zm9v.{payload}"), BadSignedRequest::Signature),
            (&signed(br#"{"algorithm":"FOO-ALGORITHM","user_id":"1"}"#), BadSignedRequest::Algorithm),
            (&signed(br#"{"user_id":"1"}"#), BadSignedRequest::Algorithm),
            (&signed(b"[1]"), BadSignedRequest::Payload),
            (&signed(b"no json"), BadSignedRequest::Payload),
            (
                &signed(br#"{"algorithm":"HMAC-SHA256","user_id":"1","issued_at":4000000000}"#),
                BadSignedRequest::Future,
            ),
        ] {
            assert_eq!(check(text), Err(why), "{text}");
        }
        assert_eq!(verify(VECTORS[0].0, &String::new().into(), now()), Err(BadSignedRequest::NoSecret));
        assert_eq!(
            verify(VECTORS[0].0, &"another".to_owned().into(), now()),
            Err(BadSignedRequest::Signature)
        );
    }

    #[test]
    fn a_signature_that_is_shorter_or_longer_than_the_apps_is_none() {
        for (whole, _) in VECTORS {
            let (signature, payload) = whole.split_once('.').unwrap();
            let mut bytes = decoded(signature).unwrap();
            for length in (0..bytes.len()).rev() {
                let cut = URL_SAFE_NO_PAD.encode(&bytes[..length]);
                assert!(check(&format!("{cut}.{payload}")).is_err(), "{length} bytes");
            }
            bytes.push(0);
            let more = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(check(&format!("{more}.{payload}")), Err(BadSignedRequest::Signature));
        }
    }

    #[test]
    fn a_page_that_removes_the_app_is_nobody() {
        let text = signed(br#"{"algorithm":"hmac-sha256","user_id":0,"profile_id":"42"}"#);
        let said = check(&text).unwrap();
        assert_eq!((said.user_id, said.page_id.as_deref()), (None, Some("42")));
    }
}
