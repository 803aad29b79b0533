//! What Meta's networks share on the Graph API: the shape of its errors and what they mean, the
//! headers that tell how much of a limit is used, and the form in which texts are compared.
//!
//! Sources: developers.facebook.com/docs/graph-api (error handling, rate limiting, paging) as
//! collected in the platform notes, and observations of open-source clients where those say so.

pub mod errors;
pub mod list;
pub mod upload;
pub mod usage;

use jiff::Timestamp;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::{Answer, Body, Failure, FailureClass, Job, Request, SITE_HEADER};

/// The post that a first comment is for.
///
/// # Errors
/// It has no id, so nobody can comment on it through the API.
pub fn commented<'a>(job: &Job<'a>) -> Result<&'a str, Failure> {
    let parent = job.before.last().and_then(|it| it.remote_id.as_deref()).filter(|it| is_id(it));
    parent.ok_or_else(|| Failure {
        class: FailureClass::InvalidContent,
        message: "the post is live but has no id to comment on".into(),
        hint: Some("write the comment by hand".into()),
        until: None,
    })
}

/// A read behind the version of the Graph API.
pub fn get(label: &'static str, path: String, query: &[(&str, &str)]) -> Request {
    let query = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Request { query, ..Request::get(label, "graph", path) }
}

/// A call that changes something. Its parameters are in the body, where none of them is logged.
pub fn post(label: &'static str, path: String, body: Body) -> Request {
    Request::post(label, "graph", path, body)
}

/// Removes an object.
pub fn delete(label: &'static str, path: String) -> Request {
    Request::delete(label, "graph", path)
}

/// An id of the Graph API: digits, or two such numbers joined by `_`. They come as text, some of them
/// as numbers.
pub fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    is_id(&text).then_some(text)
}

/// Whether a text is such an id, and so safe as a part of a path.
pub fn is_id(text: &str) -> bool {
    let number = |it: &str| (1..=30).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('_') {
        Some((front, back)) => number(front) && number(back),
        None => number(text),
    }
}

/// A time as the Graph API writes it: `2026-12-01T09:00:00+0000`, or RFC 3339, or unix seconds.
pub fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Timestamp::from_second(number.as_i64()?).ok(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let at = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).ok()?;
            at.to_timestamp().ok()
        }),
        _ => None,
    }
}

/// Byte offsets arrive as text or as numbers.
pub fn offset(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A text as it is compared: NFC, one kind of line end, no blanks at line ends or around it.
pub fn plain(text: &str) -> String {
    let text: String = text.replace("\r\n", "\n").replace('\r', "\n").nfc().collect();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Where objects are shown, unless the configuration says otherwise.
const SITE: &str = "https://www.facebook.com";

/// The address of an object: the network's own, relative ones made whole; else the address that every
/// object of the site has. `answer`: where the address was given, or not.
pub fn permalink(answer: &Answer, given: &Value, id: &str) -> String {
    let site = answer.header(SITE_HEADER).unwrap_or(SITE);
    let given = given.as_str().filter(|it| !it.is_empty()).unwrap_or_default();
    if given.starts_with('/') && !given.starts_with("//") {
        return format!("{site}{given}");
    }
    match url::Url::parse(given) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => given.to_owned(),
        _ => format!("{site}/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_digits_and_nothing_that_could_lead_elsewhere() {
        for good in ["1", "106512_998", "17841400000000000"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "_", "1_", "_1", "1_2_3", "me", "1/2", "1?x", "../1", "١"] {
            assert!(!is_id(bad), "{bad}");
        }
        assert_eq!(id(&json!(106_512)), Some("106512".into()));
        assert_eq!(id(&json!("upload:1")), None);
    }

    #[test]
    fn times_are_read_in_every_form_the_api_writes() {
        let want = "2026-12-01T09:00:00Z".parse().ok();
        for form in
            [json!("2026-12-01T09:00:00+0000"), json!("2026-12-01T10:00:00+01:00"), json!(1_796_115_600)]
        {
            assert_eq!(time(&form), want, "{form}");
        }
        assert_eq!(time(&json!("yesterday")), None);
    }

    #[test]
    fn an_address_is_the_networks_own_or_the_one_every_object_has() {
        let mut site = Answer { status: 200, headers: Vec::new(), body: Vec::new() };
        assert_eq!(permalink(&site, &json!("/reel/12/"), "12"), "https://www.facebook.com/reel/12/");
        assert_eq!(permalink(&site, &json!("https://fb.me/x"), "12"), "https://fb.me/x");
        for odd in [json!("javascript:alert(1)"), json!(null), json!("//evil.example/x"), json!("")] {
            assert_eq!(permalink(&site, &odd, "12"), "https://www.facebook.com/12", "{odd}");
        }
        // Where the configuration says that the network is elsewhere, so are its pages.
        site.headers.push((SITE_HEADER.into(), "http://127.0.0.1:9000/facebook".into()));
        assert_eq!(permalink(&site, &json!("/reel/12/"), "12"), "http://127.0.0.1:9000/facebook/reel/12/");
        assert_eq!(permalink(&site, &json!(null), "12"), "http://127.0.0.1:9000/facebook/12");
    }

    #[test]
    fn texts_that_differ_in_spelling_alone_are_the_same() {
        assert_eq!(plain("Cafe\u{301}  \r\nopen "), plain("Café\nopen"));
        assert_ne!(plain("a b"), plain("a  b"));
    }
}
