//! Requests and answers as plain values: the stand-ins are functions from one to the other, so
//! nothing below the listener touches a socket.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::fetch::Fetched;

/// A request, read to its end, with the instant at which it is judged.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The files that it lends by link, fetched before it is judged.
    pub(super) fetched: HashMap<String, Fetched>,
    pub(super) now: Timestamp,
}

impl Call {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The header's value; `None` when it is absent, sent twice or not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    }

    /// The media type without parameters, in lower case; empty when there is none.
    pub(super) fn content_type(&self) -> String {
        let raw = self.header("content-type").unwrap_or_default();
        raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as an OAuth form. Both networks take nothing but `application/x-www-form-urlencoded`
    /// here, and RFC 6749 §3.2 forbids a parameter sent twice.
    pub(super) fn form(&self) -> Result<Fields, String> {
        let kind = self.content_type();
        if kind != "application/x-www-form-urlencoded" {
            return Err(format!("content type `{kind}` is not application/x-www-form-urlencoded"));
        }
        Fields::once(url::form_urlencoded::parse(&self.body).into_owned().collect())
    }
}

/// Named values of a form or query in which no name occurs twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn once(pairs: Vec<(String, String)>) -> Result<Self, String> {
        for (at, (name, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("parameter `{name}` was sent twice"));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value, or a sentence that says that it is missing.
    pub(super) fn need(&self, name: &str) -> Result<&str, String> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(format!("missing required parameter `{name}`")),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Boxed, because answers travel as errors too and a header map is large.
    pub(super) headers: Box<HeaderMap>,
    pub(super) body: Bytes,
    /// Why the network refused, if it did; it ends up in [`Running::refusals`](super::Running::refusals).
    pub(super) refusal: Option<String>,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: Box::new(headers), body: body.into(), refusal: None }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(super) fn problem(status: u16, body: &Value) -> Self {
        Self::new(status, "application/problem+json", body.to_string())
    }

    /// A page of ours: no script, nothing from elsewhere.
    pub(super) fn html(status: u16, page: String) -> Self {
        Self::new(status, "text/html; charset=utf-8", page)
            .with(
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'",
            )
            .with("x-content-type-options", "nosniff")
            .with("cache-control", "no-store")
    }

    /// Sends the browser on with a GET, whatever it came with.
    pub(super) fn see_other(to: &str) -> Self {
        Self::new(303, "text/plain; charset=utf-8", "").with("location", to)
    }

    /// Adds a header; a value that no header can carry is left out.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Marks the answer as a refusal that an honest, well-made client never gets.
    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.refusal = Some(reason.into());
        self
    }
}

/// Text made safe for HTML element content and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            it => out.push(it),
        }
    }
    out
}

/// base64url without padding, the spelling of every OAuth and JOSE document.
/// Two lower-case digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// RFC 7636 §4.1: 43 to 128 characters of the unreserved set.
pub(super) fn is_pkce_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._~".contains(&it))
}

/// RFC 7636 §4.6 with `S256`.
pub(super) fn pkce_matches(verifier: &str, challenge: &str) -> bool {
    is_pkce_verifier(verifier) && base64url(&sha256(verifier.as_bytes())) == challenge
}

/// An S256 challenge is 32 bytes in base64url: 43 characters.
pub(super) fn is_s256_challenge(text: &str) -> bool {
    from_base64url(text).is_some_and(|it| it.len() == 32)
}

/// Ids and tokens that look random and follow from the seed alone, so that a run can be repeated.
#[derive(Debug)]
pub(super) struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn bytes(&mut self, purpose: &str) -> [u8; 32] {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.drawn.to_be_bytes());
        hash.update(purpose.as_bytes());
        hash.finalize().into()
    }

    pub(super) fn token(&mut self, purpose: &str) -> String {
        base64url(&self.bytes(purpose))
    }
}

/// A map that forgets its oldest entry when it is full: a stand-in left running must not grow.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    max: usize,
    order: VecDeque<K>,
    map: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self { max, order: VecDeque::new(), map: HashMap::new() }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.map.len() > self.max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.map.remove(&oldest);
        }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.get(key)
    }

    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.map.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let gone = self.map.remove(key)?;
        self.order.retain(|it| it != key);
        Some(gone)
    }

    /// Oldest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|key| self.map.get_key_value(key))
    }

    /// Oldest first.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.order.iter().filter_map(|key| self.map.get(key))
    }
}

/// Calls counted in a fixed window, as both networks do it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    ends: i64,
    used: u32,
}

/// What a window says after one more call: how many are left, when it ends, and whether the call
/// was one too many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix seconds.
    pub(super) reset: i64,
    pub(super) exceeded: bool,
}

impl Window {
    pub(super) fn starting(now: Timestamp, seconds: i64) -> Self {
        Self { ends: now.as_second() + seconds, used: 0 }
    }

    pub(super) fn spend(&mut self, cost: u32, limit: u32, seconds: i64, now: Timestamp) -> Budget {
        if now.as_second() >= self.ends {
            *self = Self::starting(now, seconds);
        }
        let exceeded = self.used + cost > limit;
        if !exceeded {
            self.used += cost;
        }
        Budget { limit, remaining: limit - self.used, reset: self.ends, exceeded }
    }
}
