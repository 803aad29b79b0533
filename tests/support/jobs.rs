//! Jobs for connectors, without a daemon around them.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;

use jiff::Timestamp;
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Frozen, Handles, Step, StepKind};
use sendoff::domain::ids::{AccountId, AccountName, MediaId, PlatformName};
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::platforms::{Answer, Body, Field, FilePart, Fresh, Job, Next, Platform, Request};

pub(crate) fn now() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

pub(crate) fn fresh() -> Fresh {
    Fresh { now: now(), random: [7; 8] }
}

pub(crate) fn account(platform: PlatformName) -> Account {
    let name = AccountName::new(platform, "acme").unwrap();
    let remote_id = match platform {
        PlatformName::X => "2244994945",
        PlatformName::Facebook => "106512",
        PlatformName::Instagram => "17841400000000001",
        PlatformName::LinkedIn => "urn:li:person:782bbtaQ",
        _ => "did:plc:a1",
    };
    Account {
        username: "acme".into(),
        display_name: "Acme".into(),
        can_refresh: true,
        ..Account::new(AccountId::from_u128(1), name, remote_id, now())
    }
}

pub(crate) fn image(n: u128) -> MediaItem {
    MediaItem {
        id: MediaId::from_u128(n),
        name: format!("{n}.png"),
        kind: MediaKind::Png,
        bytes: 1000,
        width: 640,
        height: 480,
        alt: Some(format!("picture {n}")),
        part: 0,
        detail: sendoff::domain::media::Detail::default(),
    }
}

/// A live step, to reply to.
pub(crate) fn live_step(id: &str, cid: &str) -> Step {
    let mut step = Step::new(StepKind::Post);
    step.remote_id = Some(id.to_owned());
    step.extra = [("cid".to_owned(), cid.to_owned())].into();
    step.published_at = Some(now());
    step
}

/// Everything a [`Job`] borrows.
pub(crate) struct Owned {
    pub(crate) account: Account,
    pub(crate) text: String,
    pub(crate) media: Vec<MediaItem>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) before: Vec<Step>,
}

impl Owned {
    pub(crate) fn new(platform: PlatformName, text: &str) -> Self {
        Self {
            account: account(platform),
            text: text.to_owned(),
            media: Vec::new(),
            options: BTreeMap::new(),
            before: Vec::new(),
        }
    }

    pub(crate) fn job(&self) -> Job<'_> {
        Job {
            account: &self.account,
            text: &self.text,
            kind: if self.before.is_empty() { StepKind::Post } else { StepKind::Thread },
            step: self.before.len(),
            media: &self.media,
            options: &self.options,
            before: &self.before,
            taken: None,
        }
    }

    /// The frozen request, where nothing needs preparing.
    pub(crate) fn frozen(&self, platform: &dyn Platform) -> Frozen {
        if platform.name() == PlatformName::TikTok {
            // Photos: the call that is judged by its words. A film's last piece has none.
            return Frozen { marker: "print".into(), body: br#"{"post_info":{}}"#.to_vec() };
        }
        if platform.name() == PlatformName::Instagram {
            // Nothing goes out there without a container.
            let body = br#"{"creation_id":"17850000000000001"}"#.to_vec();
            return Frozen { marker: "17850000000000001".into(), body };
        }
        match platform.next(&self.job(), &Handles::new(), fresh()) {
            Ok(Next::Publish(frozen)) => frozen,
            other => panic!("nothing needs preparing, yet: {other:?}"),
        }
    }
}

pub(crate) fn answer(status: u16, body: &serde_json::Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

fn file(part: &FilePart) -> String {
    let range = part.range.map(|(start, length)| format!(" {length} bytes from {start}")).unwrap_or_default();
    format!("<{} of {}{range}>", part.kind.mime(), part.id)
}

/// A request as text, for snapshots.
pub(crate) fn shown(request: &Request) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} {:?}{}", request.method, request.endpoint, request.path);
    for (n, (key, value)) in request.query.iter().enumerate() {
        write!(text, "{}{key}={value}", if n == 0 { "?" } else { "&" }).unwrap();
    }
    writeln!(text, "{}", if request.auth { " (token)" } else { "" }).unwrap();
    match &request.body {
        Body::None => {}
        Body::Json(bytes) => text += &String::from_utf8(bytes.clone()).unwrap(),
        Body::File { part, headers } => {
            for (name, value) in headers {
                writeln!(text, "{name}: {value}").unwrap();
            }
            write!(text, "{}", file(part)).unwrap();
        }
        Body::Form(fields) | Body::Multipart(fields) => {
            let fields = fields.iter().map(|(name, field)| match field {
                Field::Text(value) => format!("{name}={value}"),
                Field::Link(part) => format!("{name}=<a link to {}>", part.id),
                Field::File { part, .. } => format!("{name}={}", file(part)),
            });
            text += &fields.collect::<Vec<_>>().join("\n");
        }
        Body::JsonWithLinks { json, links } => {
            write!(text, "{json}").unwrap();
            for (place, part) in links {
                write!(text, "\n{place}: a link to {}", part.id).unwrap();
            }
        }
    }
    text
}
