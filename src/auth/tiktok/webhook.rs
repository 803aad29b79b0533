//! TikTok's webhooks: how it sends word of a task or of an end of access
//! (developers.tiktok.com/doc/webhooks-overview, webhooks-verification).
//!
//! `TikTok-Signature: t=SECONDS,s=HEX`, an HMAC-SHA256 with the client secret over `t`, a dot and the body
//! exactly as it came. It is compared in constant time before any of the body is read.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::Value;

use crate::auth::signed_request::is_signed;

/// A word signed longer ago than this, or as far ahead of our clock, is not believed: somebody may be
/// repeating it. TikTok asks for a tolerance and names none.
const FRESH: SignedDuration = SignedDuration::from_mins(5);
/// The longest ids that are looked for.
const ID_MAX: usize = 128;

/// What TikTok vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The app that it was sent to.
    pub client_key: String,
    /// Whose account it is about, as this app knows it.
    pub open_id: String,
    /// When it happened, where it says so; else when it was signed.
    pub at: Timestamp,
    pub told: Told,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something became of the task with this `publish_id`.
    Task(String),
    /// The app's access to the account has ended.
    Removed,
    /// Nothing that matters here.
    Other,
}

/// Why a word is not believed. What it held is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWord {
    #[error("its signature has not the shape `t=…,s=…`")]
    Shape,
    #[error("there is no client secret to check it with")]
    NoSecret,
    #[error("its signature is not that of the app")]
    Signature,
    #[error("it was signed too long ago, or in the future; compare this machine's clock")]
    Stale,
    #[error("its body is not what TikTok describes")]
    Body,
}

/// Checks a word as it arrived. `signature`: the header's value.
pub fn verify(signature: &str, body: &[u8], secret: &SecretString, now: Timestamp) -> Result<Word, BadWord> {
    let (time, code) = parts(signature).ok_or(BadWord::Shape)?;
    match is_signed(secret, &[time.as_bytes(), b".", body], &code) {
        None => return Err(BadWord::NoSecret),
        Some(false) => return Err(BadWord::Signature),
        Some(true) => {}
    }

    let signed = time.parse().ok().and_then(|it| Timestamp::from_second(it).ok()).ok_or(BadWord::Shape)?;
    if now.duration_since(signed).abs() > FRESH {
        return Err(BadWord::Stale);
    }
    let json: Value = serde_json::from_slice(body).map_err(|_| BadWord::Body)?;
    let (client_key, open_id) = id(&json["client_key"]).zip(id(&json["user_openid"])).ok_or(BadWord::Body)?;
    let created = json["create_time"].as_i64().and_then(|it| Timestamp::from_second(it).ok());
    let told = match json["event"].as_str().ok_or(BadWord::Body)? {
        "authorization.removed" => Told::Removed,
        name if name.starts_with("post.publish.") => task(&json["content"]).map_or(Told::Other, Told::Task),
        _ => Told::Other,
    };
    Ok(Word { client_key, open_id, at: created.unwrap_or(signed).min(signed), told })
}

/// The time as it is signed, and the code. Each of the two once.
fn parts(header: &str) -> Option<(&str, [u8; 32])> {
    let (mut time, mut code) = (None, None);
    for part in header.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let before = match name {
            "t" => time.replace(value),
            "s" => code.replace(value),
            // Another scheme beside it says nothing against this one.
            _ => None,
        };
        if before.is_some() {
            return None;
        }
    }
    let time = time.filter(|it| (1..=12).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))?;
    let code = code.filter(|it| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(code.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((time, bytes))
}

/// The `publish_id` of `content`, which is JSON written as text.
fn task(content: &Value) -> Option<String> {
    let content: Value = serde_json::from_str(content.as_str()?).ok()?;
    id(&content["publish_id"])
}

fn id(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let fits = (1..=ID_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    const BODY: &str = r#"{"client_key":"awx1","event":"post.publish.complete","create_time":1796115600,"user_openid":"-000abc-1","content":"{\"publish_id\":\"v_pub_file~v2-1.123456789\",\"publish_type\":\"DIRECT_PUBLISH\"}"}"#;
    /// Reckoned with another program, after the documents.
    const CODE: &str = "39504259b14a4ce0da45cfb9f2fff3f6daec9fc1b51580d605372a9ec3e81dea";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_796_115_600 + seconds).unwrap()
    }

    fn check(signature: &str, body: &str, now: Timestamp) -> Result<Word, BadWord> {
        verify(signature, body.as_bytes(), &"tiktok-app-secret".to_owned().into(), now)
    }

    fn told(body: &str) -> Result<Told, BadWord> {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"tiktok-app-secret").unwrap();
        mac.update(format!("1796115600.{body}").as_bytes());
        let code = crate::domain::hex::hex(&mac.finalize().into_bytes());
        check(&format!("t=1796115600,s={code}"), body, at(0)).map(|it| it.told)
    }

    #[test]
    fn what_the_secret_signed_is_believed_while_it_is_fresh() {
        let header = format!("t=1796115600,s={CODE}");
        let word = check(&header, BODY, at(0)).unwrap();
        assert_eq!((word.client_key.as_str(), word.open_id.as_str(), word.at), ("awx1", "-000abc-1", at(0)));
        assert_eq!(word.told, Told::Task("v_pub_file~v2-1.123456789".into()));
        assert_eq!(check(&format!("s={CODE}, t=1796115600"), BODY, at(300)).unwrap(), word);
        assert_eq!(check(&header, BODY, at(301)), Err(BadWord::Stale));
        assert_eq!(check(&header, BODY, at(-301)), Err(BadWord::Stale));
    }

    #[test]
    fn a_change_of_any_byte_is_noticed() {
        let header = format!("t=1796115600,s={CODE}");
        for n in 0..BODY.len() {
            let mut body = BODY.as_bytes().to_vec();
            body[n] ^= 1;
            let secret = "tiktok-app-secret".to_owned().into();
            assert_eq!(verify(&header, &body, &secret, at(0)), Err(BadWord::Signature), "{n}");
        }
        for n in 0..64 {
            let mut code = CODE.as_bytes().to_vec();
            code[n] = if code[n] == b'0' { b'1' } else { b'0' };
            let header = format!("t=1796115600,s={}", String::from_utf8(code).unwrap());
            assert_eq!(check(&header, BODY, at(0)), Err(BadWord::Signature), "{n}");
        }
        assert_eq!(check(&format!("t=1796115601,s={CODE}"), BODY, at(0)), Err(BadWord::Signature));
        let other = verify(&header, BODY.as_bytes(), &"another".to_owned().into(), at(0));
        assert_eq!(other, Err(BadWord::Signature));
        let none = verify(&header, BODY.as_bytes(), &String::new().into(), at(0));
        assert_eq!(none, Err(BadWord::NoSecret));
    }

    #[test]
    fn a_signature_of_another_shape_is_none() {
        for odd in [
            String::new(),
            "t=1796115600".into(),
            format!("s={CODE}"),
            format!("t=,s={CODE}"),
            format!("t=-1,s={CODE}"),
            format!("t=1796115600,s={}", &CODE[1..]),
            format!("t=1796115600,s={CODE}00"),
            format!("t=1796115600,s=+{}", &CODE[1..]),
            format!("t=1796115600,t=1796115600,s={CODE}"),
            format!("t=1796115600,s={CODE},s={CODE}"),
            format!("t=1796115600,s={CODE},"),
        ] {
            assert_eq!(check(&odd, BODY, at(0)), Err(BadWord::Shape), "{odd}");
        }
    }

    #[test]
    fn of_a_body_that_is_signed_only_what_matters_is_read() {
        let body = |event: &str, content: &str| {
            let content = serde_json::json!(content);
            format!(
                r#"{{"client_key":"k","user_openid":"o","create_time":1,"event":"{event}","content":{content}}}"#
            )
        };
        assert_eq!(told(&body("authorization.removed", r#"{"reason":1}"#)), Ok(Told::Removed));
        let named = r#"{"publish_id":"p~1"}"#;
        assert_eq!(told(&body("post.publish.inbox_delivered", named)), Ok(Told::Task("p~1".into())));
        for (event, content) in [
            ("post.publish.failed", "{}"),
            ("post.publish.failed", "not json"),
            ("post.publish.failed", r#"{"publish_id":"a b"}"#),
            ("video.upload.failed", named),
        ] {
            assert_eq!(told(&body(event, content)), Ok(Told::Other), "{event} {content}");
        }
        for odd in ["", "[]", "{}", r#"{"client_key":"k","user_openid":"o"}"#] {
            assert_eq!(told(odd), Err(BadWord::Body), "{odd}");
        }
    }
}
