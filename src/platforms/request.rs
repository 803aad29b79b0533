//! Requests as a connector makes them, and answers as it gets them: no address, no token, no bytes of
//! files, all of which the daemon's wire puts in while the request leaves.

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::domain::fit::Fit;
use crate::domain::ids::MediaId;
use crate::domain::media::{MediaItem, MediaKind};

/// Where a request goes. The daemon knows the address behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A key of `[platforms.NAME.endpoints]`. Behind `graph` the daemon puts the configured version
    /// of the Graph API, so paths begin after it.
    Named(&'static str),
    /// As `Named`, with the token of the person whose consent opened the account: Meta refused reads to
    /// Pages' tokens that it answered to people's. Where no person is kept, the account's own goes.
    Person(&'static str),
    /// An address that the network gave, whole in [`Request::path`]. It is called only if it lies on
    /// the host behind this key of `[platforms.NAME.endpoints]`.
    Given(&'static str),
    /// As `Given`, on networks whose uploads go to many hosts: also by https to this domain and what lies
    /// below it.
    GivenBelow(&'static str, &'static str),
    /// The account's own server.
    Server,
}

/// The body of a request. Bytes of files are named here and read by the edge, while they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    None,
    /// `application/json`, exactly these bytes.
    Json(Vec<u8>),
    /// `application/json` with media links at these JSON pointers, whose values are replaced.
    JsonWithLinks {
        json: serde_json::Value,
        links: Vec<(String, FilePart)>,
    },
    /// `application/x-www-form-urlencoded`. A [`Field::File`] has no place in it.
    Form(Vec<(String, Field)>),
    /// `multipart/form-data`, in this order.
    Multipart(Vec<(String, Field)>),
    /// The bytes of a file, or of a piece of it, under its own media type. `headers`: what the network
    /// wants to know of it beside (where the piece begins, how long the whole is), or another media type.
    File {
        part: FilePart,
        headers: Vec<(&'static str, String)>,
    },
}

/// How a token is presented at an address that the network gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadScheme {
    /// `Authorization: Bearer`, as everywhere.
    Bearer,
    /// `Authorization: OAuth`, Meta's older one.
    OAuth,
}

/// The value of a form's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Text(String),
    /// An address at which the network can fetch the file until the delivery is over, six hours at
    /// most. Needs a public address; the user's words can never stand for one.
    Link(FilePart),
    /// The bytes, under the file name that the network sees.
    File {
        part: FilePart,
        name: String,
    },
}

impl Field {
    /// The bytes of a file, whose own name is nobody's business.
    pub fn file(part: FilePart) -> Self {
        Self::File { name: part.kind.file_name(), part }
    }
}

/// A media file as it is to leave, or a piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    pub id: MediaId,
    /// The media type of what leaves.
    pub kind: MediaKind,
    /// The conversion it needs first.
    pub fit: Option<Fit>,
    /// First byte and number of bytes. `None`: all of it. Only of films, whose size is known before;
    /// a converted picture is small and leaves whole.
    pub range: Option<(u64, u64)>,
}

impl FilePart {
    /// All of an item, as the job has it.
    pub fn whole(item: &MediaItem) -> Self {
        Self { id: item.id, kind: item.kind, fit: item.detail.fit, range: None }
    }

    /// `length` bytes from `start` on.
    pub fn piece(item: &MediaItem, start: u64, length: u64) -> Self {
        Self { range: Some((start, length)), ..Self::whole(item) }
    }
}

impl Body {
    /// All the bytes of a file, and nothing said of them.
    pub fn whole(item: &MediaItem) -> Self {
        Self::File { part: FilePart::whole(item), headers: Vec::new() }
    }

    /// The files whose bytes the request holds, or whose addresses (true), in order.
    pub fn files(&self) -> Vec<(&FilePart, bool)> {
        match self {
            Self::None | Self::Json(_) => Vec::new(),
            Self::JsonWithLinks { links, .. } => links.iter().map(|(_, part)| (part, true)).collect(),
            Self::Form(fields) | Self::Multipart(fields) => fields
                .iter()
                .filter_map(|(_, field)| match field {
                    Field::Text(_) => None,
                    Field::Link(part) => Some((part, true)),
                    Field::File { part, .. } => Some((part, false)),
                })
                .collect(),
            Self::File { part, .. } => vec![(part, false)],
        }
    }
}

/// One request, without address and token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Stable name for logs and faults: `x.create`, `bluesky.put`.
    pub label: &'static str,
    pub method: http::Method,
    pub endpoint: Endpoint,
    /// Path with a leading slash, already percent-encoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Body,
    /// The account's token goes with it.
    pub auth: bool,
}

impl Request {
    /// A read at a key of `[platforms.NAME.endpoints]`.
    pub fn get(label: &'static str, endpoint: &'static str, path: impl Into<String>) -> Self {
        Self {
            label,
            method: http::Method::GET,
            endpoint: Endpoint::Named(endpoint),
            path: path.into(),
            query: Vec::new(),
            body: Body::None,
            auth: true,
        }
    }

    /// A call there that makes or changes something.
    pub fn post(label: &'static str, endpoint: &'static str, path: impl Into<String>, body: Body) -> Self {
        Self { method: http::Method::POST, body, ..Self::get(label, endpoint, path) }
    }

    /// A call there that removes something.
    pub fn delete(label: &'static str, endpoint: &'static str, path: impl Into<String>) -> Self {
        Self { method: http::Method::DELETE, ..Self::get(label, endpoint, path) }
    }

    /// With one more parameter in the address.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((key.into(), value.into()));
        self
    }
}

/// A header that no network sends and none can: the daemon's wire puts into it where, by the
/// configuration, the network shows its pages to people. Addresses that it gives without a host lie there.
pub const SITE_HEADER: &str = "sendoff-site";

/// No network makes anybody wait longer than this.
pub const WAIT_MAX: SignedDuration = SignedDuration::from_hours(48);
/// An answer whose times contradict each other is not believed for longer than this.
const CONTRADICTED: SignedDuration = SignedDuration::from_mins(15);

/// One answer. Header names are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The network's time when it answered (RFC 9110, 6.6.1).
    pub fn date(&self) -> Option<Timestamp> {
        Some(rfc2822::parse(self.header("date")?).ok()?.timestamp())
    }

    /// What a clock that shows `now` shows at an instant that this answer tells. By its own date that is so
    /// long ahead, whether our clock is before the network's or behind it; what the answer took on its way
    /// makes it later, never earlier. An instant that is over by that date, or further ahead than anybody is
    /// made to wait, was told by another clock than the date: then it is that instant, and no later than a
    /// quarter of an hour from now.
    pub fn by_ours(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let Some(date) = self.date() else { return at };
        let later = |span| now.saturating_add(span).unwrap_or(Timestamp::MAX);
        let wait = at.duration_since(date);
        let told = wait.is_positive() && wait <= WAIT_MAX;
        if told { later(wait) } else { at.clamp(now, later(CONTRADICTED)) }
    }

    /// The body as JSON; `Null` when it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// An answer, and the call that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    pub call: &'a Request,
    pub answer: &'a Answer,
}
