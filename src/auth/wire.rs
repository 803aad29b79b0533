//! The few HTTP shapes OAuth needs: a form posted, a document read, a refusal understood.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::http::{Exchange, ExchangeError, skew};

/// What a server's words may take of ours.
const SAID_MAX: usize = 200;
/// How long to wait when a server says "too many" and not until when.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// The longest wait a server can impose on us.
const PATIENCE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What was met instead of a usable answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// No byte left.
    NotSent(String),
    /// The answer was lost, or was a 5xx, which proves nothing about what was done.
    Lost(String),
    /// 429.
    Busy(Timestamp),
    /// 3xx; never followed.
    Redirected(u16),
    /// The right status and a body that is not what it should be.
    Garbage(String),
    /// Any other status, with the OAuth error fields where there are some.
    Refused { status: u16, error: Option<String>, said: Option<String> },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "not sent: {why}"),
            Self::Lost(why) => write!(f, "no usable answer: {why}"),
            Self::Busy(until) => write!(f, "it asks to wait until {until:.0}"),
            Self::Redirected(status) => write!(f, "it answered with a redirect ({status})"),
            Self::Garbage(problem) => write!(f, "its answer cannot be used: {problem}"),
            Self::Refused { status, error, said } => {
                write!(f, "refused with {status}")?;
                error.iter().try_for_each(|it| write!(f, " `{it}`"))?;
                said.iter().try_for_each(|it| write!(f, ": {it}"))
            }
        }
    }
}

impl From<ExchangeError> for Fault {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::NotSent(why) => Self::NotSent(why),
            ExchangeError::Lost(why) => Self::Lost(why),
        }
    }
}

/// Reads a JSON document: exactly 200, no redirect.
pub(super) async fn get_json(exchange: &dyn Exchange, url: &Url) -> Result<Value, Fault> {
    let answer = exchange.exchange(get(url)).await?;
    json(answer.status() == StatusCode::OK, &answer, &[], Timestamp::UNIX_EPOCH)
}

/// A request for a document.
pub(super) fn get(url: &Url) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri(url);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// A form to post.
pub(super) fn form(url: &Url, fields: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = get(url);
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    *request.body_mut() =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes().into();
    request
}

/// A URL as a request carries it.
fn uri(url: &Url) -> http::Uri {
    let mut bare = url.clone();
    bare.set_fragment(None);
    bare.as_str().parse().unwrap_or_default()
}

/// The JSON object of an answer that is `good`; what it means otherwise.
pub(super) fn json(
    good: bool,
    answer: &Response<Bytes>,
    hide: &[&str],
    now: Timestamp,
) -> Result<Value, Fault> {
    if !good {
        return Err(refusal(answer, hide, now));
    }
    match serde_json::from_slice(answer.body()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        // The error of serde_json names a place, never the text.
        Ok(_) => Err(Fault::Garbage("it is not a JSON object".into())),
        Err(error) => {
            Err(Fault::Garbage(format!("it is not JSON (line {}, column {})", error.line(), error.column())))
        }
    }
}

/// What an answer that is not a success means. `hide` are our secrets, should a server echo them.
pub(super) fn refusal(answer: &Response<Bytes>, hide: &[&str], now: Timestamp) -> Fault {
    let status = answer.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Fault::Busy(later(answer.headers(), now));
    }
    if status.is_server_error() {
        return Fault::Lost(format!("status {}", status.as_u16()));
    }
    if status.is_redirection() {
        return Fault::Redirected(status.as_u16());
    }
    if status.is_success() {
        return Fault::Garbage(format!("unexpected status {}", status.as_u16()));
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(|it| clean(it, hide));
    Fault::Refused {
        status: status.as_u16(),
        error: text("error"),
        // OAuth, XRPC and problem+json, in this order.
        said: text("error_description").or_else(|| text("message")).or_else(|| text("detail")),
    }
}

/// Until when a 429 asks us to wait: `Retry-After` in seconds, else X's `x-rate-limit-reset`
/// (docs.x.com/x-api/fundamentals/rate-limits), which is told by X's clock, else a minute.
fn later(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let there = now.as_second().saturating_add(skew(headers, now).unwrap_or(0));
    let wait = number(RETRY_AFTER.as_str())
        .or_else(|| number("x-rate-limit-reset").map(|at| at.saturating_sub(there)))
        .filter(|seconds| *seconds > 0)
        .map_or(PATIENCE, SignedDuration::from_secs);
    now.checked_add(wait.min(PATIENCE_MAX)).unwrap_or(Timestamp::MAX)
}

/// A server's words, fit for a terminal and a log: one line, short, without our secrets.
pub(super) fn clean(text: &str, hide: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in hide.iter().filter(|it| !it.is_empty()) {
        text = text.replace(secret, "[hidden]");
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect();
    line.trim().trim_end_matches('.').to_owned()
}

/// HTTP Basic as RFC 6749 §2.3.1 has it: both halves form-encoded first.
pub(super) fn basic(id: &str, secret: &SecretString) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        .expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// Whether the host is 127.0.0.1 or ::1 by number.
pub(super) fn is_loopback_ip(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// `path` behind `base`, whose own path stays: `http://127.0.0.1:9000/x` and `2/oauth2/token` make
/// `http://127.0.0.1:9000/x/2/oauth2/token`.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Writes the spaces of a query as `%20`, which every reader understands, where `+` is for readers
/// of forms alone. A real plus is `%2B` by then.
pub(super) fn plain_spaces(url: &mut Url) {
    let query = url.query().map(|it| it.replace('+', "%20"));
    url.set_query(query.as_deref());
}

/// Host and port, as messages name a server.
pub(super) fn place(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    fn until(headers: &[(&'static str, &str)]) -> i64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        later(&map, now()).as_second() - now().as_second()
    }

    #[test]
    fn a_paths_prefix_survives() {
        let base = |text| Url::parse(text).unwrap();
        assert_eq!(below(&base("http://127.0.0.1:9/x"), "2/a").as_str(), "http://127.0.0.1:9/x/2/a");
        assert_eq!(below(&base("http://127.0.0.1:9/x/"), "2/a").as_str(), "http://127.0.0.1:9/x/2/a");
        assert_eq!(below(&base("https://api.x.com"), "2/a").as_str(), "https://api.x.com/2/a");
    }

    #[test]
    fn a_wait_is_read_where_it_stands_and_has_an_end() {
        assert_eq!(until(&[("retry-after", "7")]), 7);
        assert_eq!(until(&[("x-rate-limit-reset", &(now().as_second() + 30).to_string())]), 30);
        assert_eq!(until(&[]), 60);
        // Told by X's clock, which its date shows, whichever of the two is wrong.
        for (date, there) in
            [("Tue, 01 Dec 2026 10:00:00 GMT", 3_600), ("Tue, 01 Dec 2026 08:59:00 GMT", -60)]
        {
            let reset = (now().as_second() + there + 30).to_string();
            assert_eq!(until(&[("date", date), ("x-rate-limit-reset", &reset)]), 30, "{date}");
        }
        assert_eq!(until(&[("retry-after", "-5")]), 60);
        assert_eq!(until(&[("retry-after", "99999999999")]), 86_400);
    }

    #[test]
    fn a_servers_words_cannot_carry_control_characters_or_our_secrets() {
        assert_eq!(clean("bad\u{1b}[31m token s3cret.\n", &["s3cret"]), "bad [31m token [hidden]");
        assert_eq!(clean(&"a".repeat(999), &[]).len(), SAID_MAX);
    }
}
