//! Connectors as plain as their class: B (a key with a life), C (a handle whose state can be read),
//! D (a repeat is answered with a reference), F (a list and nothing else). They speak to
//! `standin_server.rs` and share nothing with it but the words on the wire. Each borrows the name of a
//! network; in the worlds that ask [`find`] here it stands for that network even where there is a real
//! connector by now (TikTok's has runs of its own, in `tests/engine/tiktok.rs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Frozen, Handle, Handles, Live, Step};
use sendoff::domain::ids::PlatformName;
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::platforms::{
    self, Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, Fresh, Job, Next,
    Original, Platform, Problem, Refusal, Request, Sight, Unit, Verdict,
};
use serde_json::{Value, json};

/// How much earlier than our intent the network's clock may date a post.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

struct StandIn {
    name: PlatformName,
    class: Class,
}

static KEY: StandIn = StandIn { name: PlatformName::Mastodon, class: Class::Key };
static HANDLE: StandIn = StandIn { name: PlatformName::TikTok, class: Class::Handle };
static REFERENCE: StandIn = StandIn { name: PlatformName::LinkedIn, class: Class::Reference };
static OPAQUE: StandIn = StandIn { name: PlatformName::Threads, class: Class::Opaque };

/// The real connectors, and a stand-in for each class they leave out.
pub(crate) fn find(name: PlatformName) -> Option<&'static dyn Platform> {
    match name {
        PlatformName::Mastodon => Some(&KEY),
        PlatformName::TikTok => Some(&HANDLE),
        PlatformName::LinkedIn => Some(&REFERENCE),
        PlatformName::Threads => Some(&OPAQUE),
        other => platforms::find(other),
    }
}

/// The answers that prove no effect, in the stand-ins' words.
const REFUSALS: &[Refusal] = &[
    refusal(401, "token_expired", FailureClass::AuthExpired),
    refusal(403, "account_closed", FailureClass::AccountDead),
    refusal(400, "invalid_content", FailureClass::InvalidContent),
    refusal(400, "container_expired", FailureClass::MediaGone),
    refusal(400, "not_ready", FailureClass::NotReady),
    refusal(429, "rate_limited", FailureClass::RateLimited),
];

const fn refusal(status: u16, code: &'static str, class: FailureClass) -> Refusal {
    Refusal { status, code, class, evidence: "the stand-in's server decides it before it acts" }
}

fn failure(answer: &Answer) -> Failure {
    let json = answer.json();
    let code = json["code"].as_str().unwrap_or("unreadable");
    let row = REFUSALS.iter().find(|row| row.status == answer.status && row.code == code);
    let reset = answer.header("ratelimit-reset").and_then(|it| it.parse().ok());
    Failure {
        class: row.map_or(FailureClass::Transient, |row| row.class),
        message: format!("{}: {code}", answer.status),
        hint: None,
        until: reset.and_then(|it| Timestamp::from_second(it).ok()),
    }
}

fn live(id: Option<&str>, verified: bool) -> Live {
    let permalink = id.map(|id| format!("https://social.example/{id}"));
    Live { remote_id: id.map(str::to_owned), permalink, extra: BTreeMap::new(), verified }
}

fn get(label: &'static str, path: String, query: Vec<(String, String)>) -> Request {
    request(label, http::Method::GET, path, query, Body::None)
}

fn request(
    label: &'static str,
    method: http::Method,
    path: String,
    query: Vec<(String, String)>,
    body: Body,
) -> Request {
    Request { label, method, endpoint: Endpoint::Named("api"), path, query, body, auth: true }
}

/// The one post of these words in a list that is bound to nothing, not older than `since`.
fn listed(
    answer: &Answer,
    text: &Value,
    parent: &Value,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
) -> Sight {
    let json = answer.json();
    let Some(items) = json["items"].as_array().filter(|_| answer.status == 200) else {
        return Sight::Unclear(failure(answer));
    };
    let from = since.saturating_sub(SKEW).unwrap_or(since);
    let hits: Vec<_> = items
        .iter()
        .filter(|it| it["text"] == *text && it["parent"] == *parent)
        .filter(|it| it["created"].as_str().unwrap().parse::<Timestamp>().unwrap() >= from)
        .filter_map(|it| it["id"].as_str().filter(|id| !bound(id)))
        .collect();
    match hits.as_slice() {
        [] => Sight::Absent,
        [id] => Sight::Found(live(Some(id), true)),
        _ => Sight::Disputed { message: "two posts may be this one".into() },
    }
}

impl StandIn {
    fn label(&self, b: &'static str, c: &'static str, d: &'static str, f: &'static str) -> &'static str {
        match self.class {
            Class::Key => b,
            Class::Handle => c,
            Class::Reference => d,
            _ => f,
        }
    }

    fn content(job: &Job<'_>, handles: &Handles) -> Value {
        let media: Vec<_> = (0..job.media.len())
            .filter_map(|n| handles.get(&format!("media{n}")))
            .map(|it| it.value.clone())
            .collect();
        let parent = job.before.last().and_then(|it| it.remote_id.clone());
        json!({ "text": job.text, "parent": parent, "media": media })
    }
}

impl Platform for StandIn {
    fn name(&self) -> PlatformName {
        self.name
    }

    fn capabilities(&self, _tier: Option<&str>) -> Capabilities {
        let key = self.class == Class::Key;
        Capabilities {
            class: self.class,
            unit: Unit::Graphemes,
            text_max: 500,
            parts_max: 10,
            text_optional_with_media: false,
            images_max: if key { 4 } else { 0 },
            image_bytes_max: 1 << 20,
            image_kinds: &[MediaKind::Png],
            alt_max: 1000,
            comment: false,
            options: &[],
            key_life: match self.class {
                Class::Key => SignedDuration::from_hours(1),
                Class::Reference => SignedDuration::from_hours(2),
                _ => SignedDuration::ZERO,
            },
            can_delete: false,
            can_read_back: true,
        }
    }

    fn measure(&self, text: &str) -> usize {
        text.chars().count()
    }

    fn problems(
        &self,
        _parts: &[&str],
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Vec<Problem> {
        Vec::new()
    }

    fn preview(
        &self,
        (_, text): (usize, &str),
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        json!({ "text": text })
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        let content = Self::content(job, handles);
        let body = content.to_string().into_bytes();
        match self.class {
            Class::Key => {
                if let Some(n) = (0..job.media.len()).find(|n| !handles.contains_key(&format!("media{n}"))) {
                    let item = &job.media[n];
                    let upload = Body::whole(item);
                    let (path, post) = ("/upload".to_owned(), http::Method::POST);
                    return Ok(Next::Call(request("b.upload", post, path, Vec::new(), upload)));
                }
                let mut marker = format!("{:x}", fresh.now.as_millisecond());
                for byte in fresh.random {
                    let _ = write!(marker, "{byte:02x}");
                }
                Ok(Next::Publish(Frozen { marker, body }))
            }
            Class::Handle => {
                let Some(container) =
                    handles.get("container").filter(|it| it.expires.is_none_or(|end| end > fresh.now))
                else {
                    let (path, post) = ("/containers".to_owned(), http::Method::POST);
                    return Ok(Next::Call(request("c.container", post, path, Vec::new(), Body::Json(body))));
                };
                let ready = handles.get("ready").is_some_and(|it| it.value == container.value);
                if !ready {
                    let path = format!("/containers/{}", container.value);
                    return Ok(Next::Call(get("c.status", path, Vec::new())));
                }
                let body = json!({ "container": container.value }).to_string().into_bytes();
                Ok(Next::Publish(Frozen { marker: container.value.clone(), body }))
            }
            _ => Ok(Next::Publish(Frozen { marker: format!("print of {content}"), body })),
        }
    }

    fn answered(
        &self,
        job: &Job<'_>,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        _now: Timestamp,
    ) -> Result<Handles, Failure> {
        if answer.status != 200 {
            return Err(failure(answer));
        }
        let json = answer.json();
        let unclear = || Failure {
            class: FailureClass::Transient,
            message: "an answer that cannot be read".into(),
            hint: None,
            until: None,
        };
        let kept = |key: String, value: &str, expires| [(key, Handle { value: value.to_owned(), expires })];
        match call.label {
            "b.upload" => {
                let n = (0..job.media.len()).find(|n| !handles.contains_key(&format!("media{n}")));
                let n = n.expect("an upload that nobody asked for");
                Ok(kept(format!("media{n}"), json["id"].as_str().ok_or_else(unclear)?, None).into())
            }
            "c.container" => {
                let ends = json["ends"].as_str().and_then(|it| it.parse().ok()).ok_or_else(unclear)?;
                let id = json["container"].as_str().ok_or_else(unclear)?;
                Ok(kept("container".into(), id, Some(ends)).into())
            }
            "c.status" => match json["status"].as_str() {
                Some("FINISHED") => Ok(kept("ready".into(), &handles["container"].value, None).into()),
                Some("IN_PROGRESS") => Err(Failure { class: FailureClass::NotReady, ..unclear() }),
                Some("EXPIRED") => Err(Failure { class: FailureClass::MediaGone, ..unclear() }),
                Some("PUBLISHED" | "INBOX") => panic!("prepared again although it was published"),
                _ => Err(unclear()),
            },
            other => panic!("an answer to `{other}`, which prepares nothing"),
        }
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["b.create", "c.publish", "d.create", "f.create"]
    }

    fn publish(&self, _job: &Job<'_>, frozen: &Frozen) -> Request {
        let label = self.label("b.create", "c.publish", "d.create", "f.create");
        let query = if self.class == Class::Key {
            vec![("idempotency_key".to_owned(), frozen.marker.clone())]
        } else {
            Vec::new()
        };
        request(label, http::Method::POST, "/publish".into(), query, Body::Json(frozen.body.clone()))
    }

    fn judge(&self, _job: &Job<'_>, _frozen: &Frozen, answer: &Answer, _now: Timestamp) -> Verdict {
        let json = answer.json();
        if (200..300).contains(&answer.status) {
            return match (json["id"].as_str(), json["inbox"].as_str()) {
                (Some(id), _) => Verdict::Applied(live(Some(id), false)),
                (None, Some(id)) => Verdict::HandedOver(live(Some(id), false)),
                (None, None) => Verdict::Ambiguous { message: "success without an id".into() },
            };
        }
        if answer.status == 422 && json["code"] == "duplicate" {
            let original = json["of"].as_str().map(|id| Original {
                live: live(Some(id), false),
                created: json["created"].as_str().and_then(|it| it.parse().ok()),
            });
            return Verdict::Duplicate { message: "a repeat".into(), original };
        }
        if answer.status == 400 && json["code"] == "already_published" {
            return Verdict::Duplicate { message: "the container is spent".into(), original: None };
        }
        let listed = REFUSALS.iter().any(|it| it.status == answer.status && json["code"] == it.code);
        if listed {
            Verdict::Refused(failure(answer))
        } else {
            Verdict::Ambiguous { message: format!("{} proves nothing", answer.status) }
        }
    }

    fn look(&self, _job: &Job<'_>, frozen: &Frozen, since: Timestamp) -> Option<Request> {
        match self.class {
            Class::Handle => Some(get("c.status", format!("/containers/{}", frozen.marker), Vec::new())),
            Class::Reference => None,
            _ => {
                let from = since.saturating_sub(SKEW).unwrap_or(since);
                let query = vec![("since".to_owned(), from.to_string())];
                Some(get(self.label("b.list", "", "", "f.list"), "/posts".into(), query))
            }
        }
    }

    fn seen(
        &self,
        _job: &Job<'_>,
        frozen: &Frozen,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        _now: Timestamp,
    ) -> Sight {
        if answer.status != 200 {
            return Sight::Unclear(failure(answer));
        }
        let json = answer.json();
        if self.class == Class::Handle {
            return match json["status"].as_str() {
                Some("PUBLISHED") => Sight::Found(live(json["id"].as_str(), true)),
                Some("INBOX") => Sight::HandedOver(live(json["id"].as_str(), true)),
                Some("FINISHED" | "IN_PROGRESS") => Sight::Absent,
                Some("EXPIRED") => Sight::Gone,
                _ => Sight::Unclear(failure(answer)),
            };
        }
        let ours: Value = serde_json::from_slice(&frozen.body).unwrap();
        listed(answer, &ours["text"], &ours["parent"], since, bound)
    }

    fn scan(&self, _job: &Job<'_>, since: Timestamp) -> Option<Request> {
        let label = match self.class {
            Class::Key => "b.list",
            Class::Opaque => "f.list",
            _ => return None,
        };
        Some(get(label, "/posts".into(), vec![("since".to_owned(), since.to_string())]))
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        _now: Timestamp,
    ) -> Sight {
        let ours = Self::content(job, &Handles::new());
        listed(answer, &ours["text"], &ours["parent"], since, bound)
    }

    fn remote_id_of(&self, _account: &Account, url: &str) -> Option<String> {
        url.strip_prefix("https://social.example/").map(str::to_owned)
    }

    fn read_back(&self, _account: &Account, step: &Step) -> Option<Request> {
        let id = step.remote_id.as_deref()?;
        Some(get(self.label("b.get", "c.get", "d.get", "f.get"), format!("/posts/{id}"), Vec::new()))
    }

    fn confirmed(&self, step: &Step, answer: &Answer, _now: Timestamp) -> Sight {
        match answer.status {
            200 if answer.json()["id"].as_str() == step.remote_id.as_deref() => {
                Sight::Found(live(step.remote_id.as_deref(), true))
            }
            404 => Sight::Absent,
            _ => Sight::Unclear(failure(answer)),
        }
    }

    fn delete(&self, _account: &Account, _remote_id: &str) -> Option<Request> {
        None
    }

    fn deleted(&self, answer: &Answer, _now: Timestamp) -> Deletion {
        Deletion::Failed(failure(answer))
    }

    fn refusals(&self) -> &'static [Refusal] {
        REFUSALS
    }
}
