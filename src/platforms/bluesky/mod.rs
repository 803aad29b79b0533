//! Bluesky and other AT Protocol servers.
//!
//! Class A: the client chooses the record key (a TID). Key and whole record are frozen before the
//! first try; `putRecord` with `swapRecord: null` makes every repeat either the same object or a
//! refusal (`InvalidSwap`), never a second post. Only writing again after the user deleted the
//! post would bring it back, so a cancelled or deleted marker is never sent again.
//! Source: the platform notes, measured on the reference server.

pub mod record;
pub mod richtext;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, Fresh, Job, Next,
    OptionSpec, Platform, Problem, Refusal, Request, Sight, Unit, Verdict, needs,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handle, Handles, Live, Step};
use crate::domain::fit::MediaNeeds;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;

/// The record collection of posts.
pub const COLLECTION: &str = "app.bsky.feed.post";
const TEXT_MAX: usize = 300;
const TEXT_BYTES_MAX: usize = 3000;
const IMAGES_MAX: usize = 4;
/// The server takes JSON bodies up to 150 kB; alt texts are the only long part.
const ALT_MAX: usize = 10_000;
const PARTS_MAX: usize = 25;
/// An upload that no record names is kept for an hour at least; we trust it a little less.
const BLOB_LIFE: SignedDuration = SignedDuration::from_mins(50);
/// Marks a handle that could not be resolved: the mention stays plain text.
const UNRESOLVED: &str = "-";

const OPTIONS: &[OptionSpec] = &[OptionSpec {
    key: "langs",
    values: &[],
    help: "languages of the text as BCP 47 tags, at most three: `en` or `de,en`",
}];

/// The answers that prove a `putRecord` had no effect, by error name.
const REFUSALS: &[Refusal] = &[
    refusal(
        400,
        "ExpiredToken",
        FailureClass::AuthExpired,
        "seen on the reference server: tokens are checked first",
    ),
    refusal(
        401,
        "invalid_token",
        FailureClass::AuthExpired,
        "seen on the reference server: tokens are checked first",
    ),
    refusal(
        401,
        "invalid_dpop_proof",
        FailureClass::AuthExpired,
        "seen on the reference server: proofs are checked first",
    ),
    refusal(
        401,
        "AccountTakedown",
        FailureClass::AccountDead,
        "seen on the reference server: the account is checked first",
    ),
    refusal(
        401,
        "AccountDeactivated",
        FailureClass::AccountDead,
        "seen on the reference server: the account is checked first",
    ),
    refusal(401, "AccountSuspended", FailureClass::AccountDead, "documented beside AccountTakedown"),
    refusal(
        401,
        "AuthenticationRequired",
        FailureClass::Permission,
        "seen on the reference server: another account's repository",
    ),
    refusal(
        403,
        "ScopeMissingError",
        FailureClass::Permission,
        "seen on the reference server: scopes are checked first",
    ),
    refusal(
        403,
        "Forbidden",
        FailureClass::Permission,
        "seen on the reference server: rights are checked first",
    ),
    refusal(400, "InvalidToken", FailureClass::Permission, "seen on the reference server: `Bad token scope`"),
    refusal(
        429,
        "RateLimitExceeded",
        FailureClass::RateLimited,
        "seen on the reference server: the limiter comes first",
    ),
    refusal(
        413,
        "PayloadTooLarge",
        FailureClass::InvalidContent,
        "seen on the reference server: size is checked first",
    ),
    refusal(
        400,
        "InvalidRequest",
        FailureClass::InvalidContent,
        "seen on the reference server: the record failed validation",
    ),
    refusal(
        400,
        "BlobNotFound",
        FailureClass::MediaGone,
        "seen on the reference server: blobs are checked before the commit",
    ),
];

const fn refusal(status: u16, code: &'static str, class: FailureClass, evidence: &'static str) -> Refusal {
    Refusal { status, code, class, evidence }
}

/// Records of one page when the same words are searched for; the lexicon's limit.
const SCAN_PAGE: usize = 100;

/// A page of the account's posts: newest first by key, and keys are times.
fn list(job: &Job<'_>, cursor: Option<&str>) -> Request {
    let mut query = vec![
        ("repo".into(), job.account.remote_id.clone()),
        ("collection".into(), COLLECTION.into()),
        ("limit".into(), SCAN_PAGE.to_string()),
    ];
    query.extend(cursor.map(|it| ("cursor".into(), it.to_owned())));
    Request {
        label: "bluesky.list",
        method: http::Method::GET,
        endpoint: Endpoint::Server,
        path: "/xrpc/com.atproto.repo.listRecords".into(),
        query,
        body: Body::None,
        auth: false,
    }
}

/// The connector. Stateless.
pub struct Bluesky;

impl Platform for Bluesky {
    fn name(&self) -> PlatformName {
        PlatformName::Bluesky
    }

    fn capabilities(&self, _tier: Option<&str>) -> Capabilities {
        Capabilities {
            class: Class::ClientId,
            unit: Unit::Graphemes,
            text_max: TEXT_MAX,
            parts_max: PARTS_MAX,
            text_optional_with_media: true,
            images_max: IMAGES_MAX,
            image_bytes_max: needs::BLUESKY.image.bytes_max,
            image_kinds: needs::BLUESKY.image.kinds,
            alt_max: ALT_MAX,
            comment: false,
            options: OPTIONS,
            key_life: SignedDuration::ZERO,
            can_delete: true,
            can_read_back: true,
        }
    }

    fn media_needs(&self, _tier: Option<&str>, _options: &BTreeMap<String, String>) -> MediaNeeds {
        needs::BLUESKY
    }

    fn measure(&self, text: &str) -> usize {
        richtext::grapheme_len(text)
    }

    fn problems(
        &self,
        parts: &[&str],
        _media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Vec<Problem> {
        let mut found = Vec::new();
        for (n, text) in parts.iter().enumerate() {
            // Emoji sequences can fill the byte limit long before the grapheme limit.
            if text.len() > TEXT_BYTES_MAX && richtext::grapheme_len(text) <= TEXT_MAX {
                found.push(Problem {
                    field: format!("parts[{n}]"),
                    code: "text_too_many_bytes",
                    message: format!(
                        "Bluesky takes {TEXT_BYTES_MAX} bytes of UTF-8 a post, this has {}",
                        text.len()
                    ),
                    hint: Some("use fewer joined emoji or split it into a thread".into()),
                });
            }
        }
        if let Some(langs) = options.get("langs")
            && let Err(message) = record::langs(langs)
        {
            found.push(Problem {
                field: "options.bluesky.langs".into(),
                code: "bad_option",
                message,
                hint: Some("write one to three tags, e.g. `--option bluesky.langs=de,en`".into()),
            });
        }
        found
    }

    fn preview(
        &self,
        (_part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        let facets: Vec<_> = richtext::facets(text)
            .into_iter()
            .map(|span| json!({ "byteStart": span.byte_start, "byteEnd": span.byte_end, "text": &text[span.byte_start..span.byte_end] }))
            .collect();
        let mut shown = json!({ "request": "POST /xrpc/com.atproto.repo.putRecord", "text": text });
        if !facets.is_empty() {
            shown["facets"] = json!(facets);
        }
        if !media.is_empty() {
            shown["images"] = media.iter().map(super::previewed).collect();
        }
        if let Some(langs) = options.get("langs").and_then(|it| record::langs(it).ok()) {
            shown["langs"] = json!(langs);
        }
        shown
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        if let Some(handle) = mentioned(job.text).into_iter().find(|it| !handles.contains_key(&did_key(it))) {
            return Ok(Next::Call(Request {
                label: "bluesky.resolve",
                method: http::Method::GET,
                endpoint: Endpoint::Server,
                path: "/xrpc/com.atproto.identity.resolveHandle".into(),
                query: vec![("handle".into(), handle)],
                body: Body::None,
                auth: false,
            }));
        }
        for (n, item) in job.media.iter().enumerate() {
            let kept = handles.get(&blob_key(n));
            if kept.is_none_or(|it| it.expires.is_some_and(|end| end <= fresh.now)) {
                return Ok(Next::Call(Request {
                    label: "bluesky.upload",
                    method: http::Method::POST,
                    endpoint: Endpoint::Server,
                    path: "/xrpc/com.atproto.repo.uploadBlob".into(),
                    query: Vec::new(),
                    body: Body::whole(item),
                    auth: true,
                }));
            }
        }
        let dids: BTreeMap<String, String> = mentioned(job.text)
            .into_iter()
            .filter_map(|it| {
                let did = handles.get(&did_key(&it))?.value.clone();
                (did != UNRESOLVED).then_some((it, did))
            })
            .collect();
        let blobs = (0..job.media.len())
            .filter_map(|n| handles.get(&blob_key(n)))
            .map(|it| serde_json::from_str(&it.value))
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|_| unclear_failure("an upload's answer could not be read back"))?;
        let record = record::build(job, &dids, &blobs, fresh.now)?;
        let rkey = record::tid(fresh.now, fresh.random);
        let body = json!({
            "repo": job.account.remote_id,
            "collection": COLLECTION,
            "rkey": rkey,
            "record": record,
            "swapRecord": null,
        });
        Ok(Next::Publish(Frozen { marker: rkey, body: body.to_string().into_bytes() }))
    }

    fn answered(
        &self,
        job: &Job<'_>,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Handles, Failure> {
        let json = answer.json();
        if call.label == "bluesky.resolve" {
            let handle = call.query.first().map(|(_, it)| it.clone()).unwrap_or_default();
            let did = match (answer.status, json["did"].as_str()) {
                (200, Some(did)) => did.to_owned(),
                // The server knows no such handle: a mention of nobody is just text.
                (400, _) => UNRESOLVED.to_owned(),
                _ => return Err(failure(answer, now)),
            };
            return Ok([(did_key(&handle), Handle::kept(did))].into());
        }
        if answer.status != 200 || !json["blob"]["ref"]["$link"].is_string() {
            return Err(failure(answer, now));
        }
        let n = job.media.iter().enumerate().position(|(n, item)| {
            matches!(&call.body, Body::File { part, .. } if part.id == item.id)
                && handles.get(&blob_key(n)).is_none_or(|it| it.expires.is_some_and(|end| end <= now))
        });
        let n = n.ok_or_else(|| unclear_failure("an upload was answered that nobody asked for"))?;
        let handle = Handle::lasting(json["blob"].to_string(), now, BLOB_LIFE);
        Ok([(blob_key(n), handle)].into())
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["bluesky.put"]
    }

    fn publish(&self, _job: &Job<'_>, frozen: &Frozen) -> Request {
        write("bluesky.put", "putRecord", frozen.body.clone())
    }

    fn judge(&self, job: &Job<'_>, _frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        let json = answer.json();
        if (200..300).contains(&answer.status) {
            return match live(&json, &job.account.remote_id, false) {
                Some(live) => Verdict::Applied(live),
                None => Verdict::Ambiguous {
                    message: format!("the server answered {} without a uri", answer.status),
                },
            };
        }
        let name = json["error"].as_str().unwrap_or_default();
        if name == "InvalidSwap" {
            // Something else sits at our key: look, and let a person decide.
            return Verdict::Duplicate { message: words(&json, answer.status), original: None };
        }
        match REFUSALS.iter().find(|row| row.status == answer.status && row.code == name) {
            Some(row) => Verdict::Refused(of_class(row.class, &json, answer, now)),
            None => Verdict::Ambiguous { message: words(&json, answer.status) },
        }
    }

    fn look(&self, job: &Job<'_>, frozen: &Frozen, _since: Timestamp) -> Option<Request> {
        Some(get_record(&job.account.remote_id, &frozen.marker))
    }

    fn seen(
        &self,
        job: &Job<'_>,
        frozen: &Frozen,
        answer: &Answer,
        _since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        let json = answer.json();
        if answer.status == 400 && json["error"] == "RecordNotFound" {
            return Sight::Absent;
        }
        let Some(live) = (answer.status == 200).then(|| live(&json, &job.account.remote_id, true)).flatten()
        else {
            return Sight::Unclear(failure(answer, now));
        };
        let ours: Value = serde_json::from_slice(&frozen.body).unwrap_or(Value::Null);
        let taken = live.remote_id.as_deref().is_some_and(bound);
        if json["value"] == ours["record"] && !taken {
            Sight::Found(live)
        } else {
            Sight::Disputed { message: "another record sits at the key of this post".into() }
        }
    }

    fn scan(&self, job: &Job<'_>, _since: Timestamp) -> Option<Request> {
        Some(list(job, None))
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        scan::scanned(job, answer, since, bound, now)
    }

    fn remote_id_of(&self, account: &Account, url: &str) -> Option<String> {
        let did = account.remote_id.as_str();
        if let Some(rest) = url.strip_prefix("at://") {
            return (rest.split('/').next() == Some(did) && rkey_of(url).is_some()).then(|| url.to_owned());
        }
        let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
        let mut path = url.path_segments()?;
        let (profile, who, post, rkey) = (path.next()?, path.next()?, path.next()?, path.next()?);
        let ours = who == did || who.eq_ignore_ascii_case(&account.username);
        (profile == "profile" && post == "post" && ours && record::is_tid(rkey))
            .then(|| format!("at://{did}/{COLLECTION}/{rkey}"))
    }

    fn read_back(&self, account: &Account, step: &Step) -> Option<Request> {
        let rkey = rkey_of(step.remote_id.as_deref()?)?;
        Some(get_record(&account.remote_id, rkey))
    }

    fn confirmed(&self, step: &Step, answer: &Answer, now: Timestamp) -> Sight {
        let json = answer.json();
        match (answer.status, json["uri"].as_str(), json["cid"].as_str()) {
            (200, Some(uri), Some(cid))
                if Some(uri) == step.remote_id.as_deref()
                    && step.extra.get("cid").is_none_or(|it| it == cid) =>
            {
                Sight::Found(Live {
                    remote_id: step.remote_id.clone(),
                    permalink: step.permalink.clone(),
                    extra: [("cid".to_owned(), cid.to_owned())].into(),
                    verified: true,
                })
            }
            (400, _, _) if json["error"] == "RecordNotFound" => Sight::Absent,
            _ => Sight::Unclear(failure(answer, now)),
        }
    }

    fn delete(&self, account: &Account, remote_id: &str) -> Option<Request> {
        let rkey = rkey_of(remote_id)?;
        let body = json!({ "repo": account.remote_id, "collection": COLLECTION, "rkey": rkey });
        Some(write("bluesky.delete", "deleteRecord", body.to_string().into_bytes()))
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        // Idempotent: deleting what is gone answers 200 as well.
        if answer.status == 200 { Deletion::Done } else { Deletion::Failed(failure(answer, now)) }
    }

    fn refusals(&self) -> &'static [Refusal] {
        REFUSALS
    }
}

/// A call that changes the account's repository.
fn write(label: &'static str, method: &str, body: Vec<u8>) -> Request {
    Request {
        label,
        method: http::Method::POST,
        endpoint: Endpoint::Server,
        path: format!("/xrpc/com.atproto.repo.{method}"),
        query: Vec::new(),
        body: Body::Json(body),
        auth: true,
    }
}

fn get_record(did: &str, rkey: &str) -> Request {
    Request {
        label: "bluesky.get",
        method: http::Method::GET,
        endpoint: Endpoint::Server,
        path: "/xrpc/com.atproto.repo.getRecord".into(),
        query: vec![
            ("repo".into(), did.to_owned()),
            ("collection".into(), COLLECTION.into()),
            ("rkey".into(), rkey.to_owned()),
        ],
        body: Body::None,
        auth: false,
    }
}

/// The record key of `at://DID/app.bsky.feed.post/RKEY`.
fn rkey_of(uri: &str) -> Option<&str> {
    let mut parts = uri.strip_prefix("at://")?.splitn(3, '/');
    let (_did, collection, rkey) = (parts.next()?, parts.next()?, parts.next()?);
    (collection == COLLECTION && record::is_tid(rkey)).then_some(rkey)
}

/// The facts of a live record, from any answer that has `uri` and `cid`.
fn live(json: &Value, did: &str, verified: bool) -> Option<Live> {
    let (uri, cid) = (json["uri"].as_str()?, json["cid"].as_str()?);
    let rkey = rkey_of(uri)?;
    Some(Live {
        remote_id: Some(uri.to_owned()),
        permalink: Some(format!("https://bsky.app/profile/{did}/post/{rkey}")),
        extra: [("cid".to_owned(), cid.to_owned())].into(),
        verified,
    })
}

/// Handles mentioned in the text, each once, in a fixed order.
fn mentioned(text: &str) -> BTreeSet<String> {
    richtext::facets(text)
        .into_iter()
        .filter_map(|span| match span.feature {
            richtext::Feature::Mention { handle } => Some(handle),
            richtext::Feature::Link { .. } | richtext::Feature::Tag { .. } => None,
        })
        .collect()
}

fn did_key(handle: &str) -> String {
    format!("did:{handle}")
}

fn blob_key(n: usize) -> String {
    format!("blob:{n}")
}

fn unclear_failure(message: &str) -> Failure {
    Failure { class: FailureClass::MediaGone, message: message.to_owned(), hint: None, until: None }
}

/// The class of an answer to a call that is safe to repeat.
fn failure(answer: &Answer, now: Timestamp) -> Failure {
    let json = answer.json();
    let name = json["error"].as_str().unwrap_or_default();
    let class = REFUSALS
        .iter()
        .find(|row| row.code == name)
        .map(|row| row.class)
        .or(match answer.status {
            401 => Some(FailureClass::AuthExpired),
            403 => Some(FailureClass::Permission),
            429 => Some(FailureClass::RateLimited),
            400..=499 => Some(FailureClass::InvalidContent),
            _ => None,
        })
        .unwrap_or(FailureClass::Transient);
    of_class(class, &json, answer, now)
}

fn of_class(class: FailureClass, json: &Value, answer: &Answer, now: Timestamp) -> Failure {
    let hint = match class {
        FailureClass::AccountDead => Some("the server has closed or moved this account; see its web site"),
        FailureClass::Permission => {
            Some("connect the account again and allow posting: `sendoff account connect bluesky`")
        }
        FailureClass::InvalidContent => Some("change the post and send it again"),
        _ => None,
    };
    let reset = || {
        let number = |name: &str| answer.header(name).and_then(|it| it.trim().parse::<i64>().ok());
        let at = number("ratelimit-reset").and_then(|seconds| Timestamp::from_second(seconds).ok());
        let at = at.map(|at| answer.by_ours(at, now));
        let after = number("retry-after")
            .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds.clamp(0, 86_400))).ok());
        at.max(after)
    };
    Failure {
        class,
        message: words(json, answer.status),
        hint: hint.map(str::to_owned),
        until: (class == FailureClass::RateLimited).then(reset).flatten(),
    }
}

/// The server's own words.
fn words(json: &Value, status: u16) -> String {
    let message = json["message"].as_str().or_else(|| json["error_description"].as_str());
    match (json["error"].as_str(), message) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => format!("the server answered {status}"),
    }
}
