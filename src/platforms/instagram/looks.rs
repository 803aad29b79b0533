//! Looking: did the container publish, and which object did it become?
//!
//! The container tells whether it has published, and not what it became; that is found in the
//! account's own list, by words, time and kind, and never by taking the newest. A container that
//! reports a failure is not believed before the list was read: posts were live behind errors.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::containers::{self, State};
use super::form::Form;
use super::{door, errors, live};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Live, Step};
use crate::domain::door::Door;
use crate::platforms::meta::list::{CURSORS, list, one};
use crate::platforms::meta::{self, errors::GraphError, plain};
use crate::platforms::{Answer, Endpoint, Failure, FailureClass, Job, Reading, Request, Sight};

/// How much earlier than our intent Instagram's clock may date an object.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
const FIELDS: &str = "id,caption,timestamp,media_product_type,media_type,permalink";

const STATUS: &str = "instagram.look";
/// Lists, by what the container said before.
const PUBLISHED: &str = "instagram.list.published";
const FAILED: &str = "instagram.list.failed";
const EXPIRED: &str = "instagram.list.expired";
const MISSING: &str = "instagram.list.missing";
const SCAN: &str = "instagram.list.scan";

/// The read that shows whether a step is live.
pub(super) fn request(job: &Job<'_>, frozen: &Frozen) -> Option<Request> {
    if Form::of(job) == Form::Comment {
        return comments_request(job);
    }
    meta::is_id(&frozen.marker).then(|| containers::status(STATUS, &frozen.marker))
}

fn objects(label: &'static str, job: &Job<'_>, since: Timestamp) -> Option<Request> {
    let user = job.account.remote_id.as_str();
    if !meta::is_id(user) {
        return None;
    }
    if Form::of(job).is_story() {
        return Some(meta::get(label, format!("/{user}/stories"), &[("fields", FIELDS), ("limit", "25")]));
    }
    let from = earliest(since).as_second().to_string();
    let query = [("fields", FIELDS), ("limit", "25"), ("since", &from)];
    Some(meta::get(label, format!("/{user}/media"), &query))
}

/// The list in which the same words are looked for before a late send. Without words nothing can be
/// told from another.
pub(super) fn scan(job: &Job<'_>, since: Timestamp) -> Option<Request> {
    match Form::of(job) {
        Form::Comment => comments_request(job),
        form if form.is_story() || job.text.trim().is_empty() => None,
        _ => objects(SCAN, job, since),
    }
}

fn comments_request(job: &Job<'_>) -> Option<Request> {
    let parent = job.before.last()?.remote_id.as_deref().filter(|it| meta::is_id(it))?;
    let query = [("fields", "id,text,timestamp,username,from"), ("limit", "50")];
    Some(meta::get("instagram.comments", format!("/{parent}/comments"), &query))
}

fn earliest(since: Timestamp) -> Timestamp {
    since.saturating_sub(SKEW).unwrap_or(since)
}

fn unclear(class: FailureClass, message: &str) -> Sight {
    Sight::Unclear(Failure { class, ..Failure::transient(message) })
}

/// The same read by the person's token, if the account's is not shown the object (100/33).
pub(super) fn again(job: &Job<'_>, said: Reading<'_>, now: Timestamp) -> Option<Request> {
    let own = door(job.account) == Door::Facebook && matches!(said.call.endpoint, Endpoint::Named(_));
    (own && containers::is_unseen(said.call, said.answer, now))
        .then(|| containers::by_person(said.call.clone()))
}

/// What a container shows after the answer to its publishing was lost. `hidden`: nothing, to whichever
/// token.
pub(super) fn container(
    job: &Job<'_>,
    frozen: &Frozen,
    answer: &Answer,
    hidden: bool,
    since: Timestamp,
    now: Timestamp,
) -> Sight {
    let json = answer.json();
    let listed = |label| objects(label, job, since).map(Sight::More);
    let missing = hidden
        || GraphError::of(&json).is_some_and(|it| it.is("100/33") || it.is("2207006") || it.is("2207008"));
    let ours = meta::id(&json["id"]).is_none_or(|it| it == frozen.marker);
    let found = match State::of(&json, answer, now) {
        // One that has published may be gone for whoever asks.
        _ if missing => listed(MISSING),
        _ if answer.status != 200 || GraphError::of(&json).is_some() || !ours => None,
        State::Finished => Some(Sight::Absent),
        State::Working => Some(unclear(FailureClass::NotReady, "Instagram is still working on the post")),
        State::Published => objects(PUBLISHED, job, since).map(Sight::Out),
        State::Failed(failure) if failure.class == FailureClass::InvalidContent => listed(FAILED),
        State::Failed(_) | State::Expired => listed(EXPIRED),
        State::Unknown => None,
    };
    found.unwrap_or_else(|| Sight::Unclear(errors::failure(answer, now)))
}

/// What the list shows of the object that a container became.
pub(super) fn listed(
    job: &Job<'_>,
    said: Reading<'_>,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let form = Form::of(job);
    let (all, rest) = match list(Some(first_page(said.call)), said.answer, now) {
        Ok(read) => read,
        Err(failure) => return Sight::Unclear(failure),
    };
    let words = if form.is_story() { String::new() } else { plain(job.text) };
    let differs = |it: &Value, want: &str| it.as_str().is_some_and(|it| it != want);
    let ours = |it: &&Value| {
        meta::time(&it["timestamp"]).is_some_and(|at| at >= earliest(since))
            && plain(it["caption"].as_str().unwrap_or_default()) == words
            && !differs(&it["media_product_type"], form.product())
            && !differs(&it["media_type"], form.media_type())
    };
    let hits: Vec<Live> = all
        .iter()
        .filter(ours)
        .filter_map(|it| {
            let id = meta::id(&it["id"]).filter(|id| !bound(id))?;
            Some(live(id, it["permalink"].as_str(), form, true))
        })
        .collect();
    let nameless = words.is_empty();
    match (said.call.label, hits.len()) {
        // It has published; only which of them it is cannot be told.
        (PUBLISHED, 2..) => Sight::Found(unnamed(form)),
        (PUBLISHED, 0) if matches!(rest, Sight::Absent) => Sight::Unlisted(unnamed(form)),
        // Without words the one that is listed may be another of ours, of which nobody knows yet either.
        (PUBLISHED, 1) if nameless => Sight::Found(unnamed(form)),
        (PUBLISHED, _) => one(hits, rest),
        // Without words another one of the same kind cannot be told from it.
        (_, 1..) if nameless => Sight::Disputed {
            message: "the account has a new post without words, and it may be this one".into(),
        },
        (_, 1..) => one(hits, rest),
        (_, 0) if !matches!(rest, Sight::Absent) => rest,
        (EXPIRED, 0) => Sight::Gone,
        (FAILED, 0) => Sight::Failed(Failure {
            class: FailureClass::InvalidContent,
            message: "Instagram could not make the post of its files".into(),
            hint: Some("see that length, shape and codec are what Instagram takes, and post it again".into()),
            until: None,
        }),
        (MISSING, 0) => {
            unclear(FailureClass::Transient, "Instagram does not show the container, and lists no such post")
        }
        (_, 0) => Sight::Absent,
    }
}

/// The call without the cursor of a page, which the list appends anew.
fn first_page(call: &Request) -> Request {
    let mut first = call.clone();
    first.query.retain(|(key, _)| !CURSORS.contains(&key.as_str()));
    first
}

/// Live for certain, under an id that nobody can tell.
fn unnamed(form: Form) -> Live {
    let extra = [("form".to_owned(), form.as_str().to_owned())].into();
    Live { remote_id: None, permalink: None, extra, verified: true }
}

/// What the comments under a post show of a comment of ours.
pub(super) fn comments(
    job: &Job<'_>,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let (all, rest) = match list(comments_request(job), answer, now) {
        Ok(read) => read,
        Err(failure) => return Sight::Unclear(failure),
    };
    let words = plain(job.text);
    let ours = |it: &&Value| {
        let by = it["username"].as_str().or_else(|| it["from"]["username"].as_str());
        plain(it["text"].as_str().unwrap_or_default()) == words
            && by.is_none_or(|it| it.eq_ignore_ascii_case(&job.account.username))
            && meta::time(&it["timestamp"]).is_some_and(|at| at >= earliest(since))
    };
    let hits = all
        .iter()
        .filter(ours)
        .filter_map(|it| meta::id(&it["id"]).filter(|id| !bound(id)))
        .map(|id| live(id, None, Form::Comment, true))
        .collect();
    one(hits, rest)
}

/// The read that confirms a live object by its id, and brings its address. Of comments Instagram's own
/// door lists no such call.
pub(super) fn read_back(account: &Account, step: &Step) -> Option<Request> {
    let id = step.remote_id.as_deref().filter(|it| meta::is_id(it))?;
    let comment = step.extra.get("form").is_some_and(|it| it == Form::Comment.as_str());
    if comment && door(account) == Door::Instagram {
        return None;
    }
    let fields = if comment { "id" } else { "id,permalink" };
    Some(meta::get("instagram.get", format!("/{id}"), &[("fields", fields)]))
}

/// What the read-back shows. That an object cannot be seen proves nothing: tokens that could publish
/// could not read for a day (github.com/gitroomhq/postiz-app/issues/1562).
pub(super) fn confirmed(step: &Step, answer: &Answer, now: Timestamp) -> Sight {
    let json = answer.json();
    if answer.status == 200 && json.get("error").is_none() && meta::id(&json["id"]) == step.remote_id {
        let address = json["permalink"].as_str().and_then(web_address);
        return Sight::Found(Live {
            remote_id: step.remote_id.clone(),
            permalink: address.or_else(|| step.permalink.clone()),
            extra: step.extra.clone(),
            verified: true,
        });
    }
    Sight::Unclear(errors::failure(answer, now))
}

/// An address as the network gives it, if it is one that a person may follow.
pub(super) fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| text.to_owned())
}

/// The short name in the address of a post, marked, because no call takes it for an id.
pub(super) fn remote_id_of(account: &Account, url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
    let host = url.host_str()?;
    if host.strip_prefix("www.").unwrap_or(host) != "instagram.com" {
        return None;
    }
    let short = |it: &str| {
        (5..=40).contains(&it.len())
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let ours = |who: &str| who.eq_ignore_ascii_case(&account.username);
    let parts: Vec<&str> = url.path_segments()?.filter(|it| !it.is_empty()).collect();
    match parts.as_slice() {
        ["stories", who, id] if ours(who) && meta::is_id(id) => Some(format!("story:{id}")),
        ["p" | "reel", name] if short(name) => Some(format!("shortcode:{name}")),
        [who, "p" | "reel", name] if ours(who) && short(name) => Some(format!("shortcode:{name}")),
        _ => None,
    }
}
