//! LinkedIn's members and organizations through the Posts API: text, pictures, film, document, article,
//! poll, first comment; and other words for what is published.
//!
//! A repeat of the same words is refused with the name of the first post. How long LinkedIn remembers is
//! not documented for this API, so nothing is repeated on that account alone. An organization's posts can
//! be listed (class E); a member's cannot be read at all, and what is unclear waits for a person (class D
//! by kind, whose repeat is never due). Comments have neither (class F).
//!
//! Sources: learn.microsoft.com/linkedin/marketing/community-management/shares as collected in the
//! platform notes.

pub mod errors;
pub mod form;
mod looks;
pub mod text;
mod uploads;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::form::Form;
use super::needs;
use super::{
    Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, Fresh, Job, Next, Original,
    Platform, Problem, Reading, Refusal, Request, Sight, Unit, Verdict,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handles, Live, Step};
use crate::domain::fit::{DocumentNeeds, MediaNeeds};
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::kind::Kind;
use crate::domain::media::MediaItem;

/// Longest `commentary`. Whether escapes count, and in which unit, is not documented: counted is what
/// can come out largest, the escaped text in UTF-16.
const TEXT_MAX: usize = 3_000;
/// Longest comment, as products that write some report it.
const COMMENT_MAX: usize = 1_250;
const ALT_MAX: usize = 4_086;
/// The product "Share on LinkedIn": calls of a member in a day
/// (learn.microsoft.com/linkedin/consumer/integrations/self-serve/share-on-linkedin).
const CALLS_A_DAY: u32 = 150;

/// The connector. Stateless.
pub struct LinkedIn;

impl Platform for LinkedIn {
    fn name(&self) -> PlatformName {
        PlatformName::LinkedIn
    }

    fn capabilities(&self, tier: Option<&str>) -> Capabilities {
        let organization = Kind::of(tier) == Kind::Organization;
        Capabilities {
            class: if organization { Class::Listable } else { Class::Reference },
            unit: Unit::Escaped,
            text_max: TEXT_MAX,
            parts_max: 1,
            // A field that may not be blank has an error of its own; that this one may is said nowhere.
            text_optional_with_media: false,
            images_max: form::IMAGES_MAX,
            image_bytes_max: needs::LINKEDIN_IMAGE.bytes_max,
            image_kinds: needs::LINKEDIN_IMAGE.kinds,
            alt_max: ALT_MAX,
            comment: true,
            options: form::OPTIONS,
            // Ten minutes in an older API, unknown in this one: never long enough to repeat anything.
            key_life: SignedDuration::ZERO,
            can_delete: true,
            can_read_back: organization,
        }
    }

    fn class(&self, job: &Job<'_>) -> Class {
        match Form::of(job) {
            Form::Comment => Class::Opaque,
            _ => self.capabilities(job.account.tier.as_deref()).class,
        }
    }

    fn media_needs(&self, _tier: Option<&str>, _options: &BTreeMap<String, String>) -> MediaNeeds {
        needs::LINKEDIN_FEED
    }

    fn document_needs(&self) -> Option<DocumentNeeds> {
        Some(needs::LINKEDIN_DOCUMENT)
    }

    fn comment_max(&self) -> Option<usize> {
        Some(COMMENT_MAX)
    }

    fn calls_a_day(&self, account: &Account) -> Option<u32> {
        // What an organization's app may do stands in its own page on LinkedIn alone.
        (Kind::of(account.tier.as_deref()) == Kind::Member).then_some(CALLS_A_DAY)
    }

    fn headers(&self, call: &Request, version: Option<&str>) -> Vec<(&'static str, String)> {
        if matches!(call.endpoint, Endpoint::Given(_)) {
            return Vec::new();
        }
        let mut all = vec![("x-restli-protocol-version", "2.0.0".to_owned())];
        all.extend(version.map(|it| ("linkedin-version", it.to_owned())));
        match call.label {
            "linkedin.list" => all.push(("x-restli-method", "FINDER".to_owned())),
            "linkedin.edit" => all.push(("x-restli-method", "PARTIAL_UPDATE".to_owned())),
            "linkedin.delete" => all.push(("x-restli-method", "DELETE".to_owned())),
            _ => {}
        }
        all
    }

    fn kept(&self, answer: &Answer, own: Option<&str>) -> Vec<u8> {
        looks::kept(answer, own)
    }

    fn keeps_answers(&self) -> Option<SignedDuration> {
        // learn.microsoft.com/linkedin/marketing/restricted-use-cases: stored social data of members.
        Some(SignedDuration::from_hours(48))
    }

    fn measure(&self, text: &str) -> usize {
        text::escape(text).encode_utf16().count()
    }

    fn problems(
        &self,
        _parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Vec<Problem> {
        form::problems(media, options, Kind::of(tier))
    }

    fn preview(
        &self,
        (_part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        let urns: Vec<String> = media.iter().map(|it| format!("<{}>", it.name)).collect();
        let urns: Vec<&str> = urns.iter().map(String::as_str).collect();
        let form = Form::of_post(media, options);
        let mut body = form::body("", text, media, options, &urns);
        let fields = body.as_object_mut().map(std::mem::take).unwrap_or_default();
        let mut shown = json!({ "request": "POST /rest/posts", "kind": form.as_str() });
        for (name, value) in fields {
            if !matches!(name.as_str(), "author" | "distribution" | "lifecycleState") {
                shown[name] = value;
            }
        }
        shown
    }

    fn preview_comment(&self, text: &str) -> Value {
        json!({ "request": "POST /rest/socialActions/{post}/comments", "text": text })
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        let author = job.account.remote_id.as_str();
        if !is_author(author) {
            return Err(Failure::transient("the account's id is not one of LinkedIn"));
        }
        if Form::of(job) == Form::Comment {
            return comment(job);
        }
        let urns = match uploads::next(job, handles, fresh.now)? {
            Ok(call) => return Ok(Next::Call(call)),
            Err(urns) => urns,
        };
        let body = form::body(author, job.text, job.media, job.options, &urns);
        // The network knows a repeat by its words, whatever comes with them.
        let marker = hex(&Sha256::digest(["post", author, &text::plain(&text::escape(job.text))].join("\0")));
        Ok(Next::Publish(Frozen { marker, body: body.to_string().into_bytes() }))
    }

    fn answered(
        &self,
        job: &Job<'_>,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Handles, Failure> {
        uploads::answered(job, handles, call, answer, now)
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["linkedin.create", "linkedin.comment"]
    }

    fn publish(&self, job: &Job<'_>, frozen: &Frozen) -> Request {
        let body = Body::Json(frozen.body.clone());
        if Form::of(job) == Form::Comment {
            let parent = job.before.last().and_then(|it| it.remote_id.as_deref()).unwrap_or_default();
            let path = format!("/rest/socialActions/{}/comments", encoded(parent));
            return post("linkedin.comment", path, body);
        }
        post("linkedin.create", "/rest/posts".into(), body)
    }

    fn judge(&self, job: &Job<'_>, _frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        let json = answer.json();
        if (200..300).contains(&answer.status) {
            let made = match Form::of(job) {
                Form::Comment => commented(job, answer, &json),
                form => answer.header("x-restli-id").filter(|it| is_post(it)).map(|it| live(it, form, false)),
            };
            let message = || format!("LinkedIn answered {} without an id", answer.status);
            return made.map_or_else(|| Verdict::Ambiguous { message: message() }, Verdict::Applied);
        }
        if errors::is_duplicate(answer, &json) {
            let original = errors::duplicate_of(&json).map(|urn| Original {
                created: created(&urn).filter(|at| *at <= now.saturating_add(SKEW).unwrap_or(now)),
                live: live(&urn, Form::of(job), false),
            });
            return Verdict::Duplicate { message: errors::words(&json, answer), original };
        }
        match errors::refused(answer, &json) {
            Some(row) => {
                let mut failure = errors::of_class(row.class, &json, answer, job.account.issued_at, now);
                if Form::of(job) == Form::Comment && failure.class == FailureClass::Permission {
                    failure.hint = Some(NO_COMMENTS.into());
                }
                Verdict::Refused(failure)
            }
            None => Verdict::Ambiguous { message: errors::words(&json, answer) },
        }
    }

    fn look(&self, job: &Job<'_>, _frozen: &Frozen, _since: Timestamp) -> Option<Request> {
        looks::list(job, 0)
    }

    fn seen(
        &self,
        job: &Job<'_>,
        _frozen: &Frozen,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        self.scanned(job, answer, since, bound, now)
    }

    fn seen_in(
        &self,
        job: &Job<'_>,
        _frozen: &Frozen,
        said: Reading<'_>,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        looks::listed(job, said, since, bound, now)
    }

    fn scan(&self, job: &Job<'_>, _since: Timestamp) -> Option<Request> {
        looks::list(job, 0)
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        match looks::list(job, 0) {
            Some(call) => looks::listed(job, Reading { call: &call, answer }, since, bound, now),
            None => Sight::Absent,
        }
    }

    fn throttled(&self, waits: u16, now: Timestamp) -> Option<Timestamp> {
        // It may be a short one, twice; else calls are counted from midnight to midnight UTC.
        let soon = now.checked_add(SignedDuration::from_mins(1)).ok()?;
        let later = now.checked_add(SignedDuration::from_mins(15)).ok()?;
        let day = SignedDuration::from_hours(24).as_secs();
        let midnight = Timestamp::from_second((now.as_second().div_euclid(day) + 1) * day).ok()?;
        Some(match waits {
            0 => soon,
            1 => later.min(midnight).max(soon),
            _ => midnight.max(soon),
        })
    }

    fn remote_id_of(&self, _account: &Account, url: &str) -> Option<String> {
        looks::remote_id_of(url)
    }

    fn read_back(&self, account: &Account, step: &Step) -> Option<Request> {
        looks::read_back(account, step)
    }

    fn confirmed(&self, step: &Step, answer: &Answer, _now: Timestamp) -> Sight {
        looks::confirmed(step, answer)
    }

    fn edit(&self, _account: &Account, step: &Step, text: &str) -> Option<Request> {
        // Of comments it is not documented. What an address named may be the activity around the post.
        let id = step.remote_id.as_deref().filter(|it| is_post(it))?;
        let body = json!({ "patch": { "$set": { "commentary": text::escape(text) } } });
        let body = Body::Json(body.to_string().into_bytes());
        Some(post("linkedin.edit", format!("/rest/posts/{}", encoded(id)), body))
    }

    fn edited(&self, answer: &Answer, now: Timestamp) -> Result<(), Failure> {
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let json = answer.json();
        let class = errors::refused(answer, &json).map_or(FailureClass::Transient, |row| row.class);
        Err(errors::of_class(class, &json, answer, None, now))
    }

    fn delete(&self, _account: &Account, remote_id: &str) -> Option<Request> {
        let path = format!("/rest/posts/{}", encoded(remote_id));
        let call = Request { method: http::Method::DELETE, ..get("linkedin.delete", path) };
        is_post(remote_id).then_some(call)
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        // Gone already is as good.
        if (200..300).contains(&answer.status) || answer.status == 404 {
            return Deletion::Done;
        }
        let json = answer.json();
        let class = errors::refused(answer, &json).map_or(FailureClass::Transient, |row| row.class);
        Deletion::Failed(errors::of_class(class, &json, answer, None, now))
    }

    fn refusals(&self) -> &'static [Refusal] {
        errors::REFUSALS
    }
}

const NO_COMMENTS: &str =
    "LinkedIn lets this app not comment, or not any more: write the comment yourself; the post is live";

/// How far LinkedIn's clock may be from ours when it dates a post.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// The request of a first comment. Its text is plain, as opposed to a post's.
fn comment(job: &Job<'_>) -> Result<Next, Failure> {
    let parent = job.before.last().and_then(|it| it.remote_id.as_deref());
    let Some(parent) = parent.filter(|it| is_post(it) || it.starts_with("urn:li:activity:")) else {
        return Err(Failure {
            class: FailureClass::InvalidContent,
            message: "the id of the post is not known, so nothing can be put under it".into(),
            hint: Some("write the comment yourself".into()),
            until: None,
        });
    };
    let author = job.account.remote_id.as_str();
    let marker = hex(&Sha256::digest(["comment", parent, job.text].join("\0")));
    let body = json!({ "actor": author, "object": parent, "message": { "text": job.text } });
    Ok(Next::Publish(Frozen { marker, body: body.to_string().into_bytes() }))
}

/// A comment that was made: its name is in the body, its number in the header too. It has no address.
fn commented(job: &Job<'_>, answer: &Answer, json: &Value) -> Option<Live> {
    let id =
        json["commentUrn"].as_str().or_else(|| answer.header("x-restli-id")).or_else(|| json["id"].as_str());
    let id = id.filter(|it| (1..=200).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_graphic()))?;
    let permalink = job.before.last().and_then(|it| it.permalink.clone());
    let extra = [("form".to_owned(), Form::Comment.as_str().to_owned())].into();
    Some(Live { remote_id: Some(id.to_owned()), permalink, extra, verified: false })
}

/// The facts of a live post.
fn live(urn: &str, form: Form, verified: bool) -> Live {
    let extra = [("form".to_owned(), form.as_str().to_owned())].into();
    let permalink = Some(format!("https://www.linkedin.com/feed/update/{urn}/"));
    Live { remote_id: Some(urn.to_owned()), permalink, extra, verified }
}

/// When a post was made, as its number seems to tell: milliseconds of the Unix time in all but the lowest
/// 22 bits. Undocumented, so it is used against a match and never for one.
fn created(urn: &str) -> Option<Timestamp> {
    let id: u64 = urn.rsplit(':').next()?.parse().ok()?;
    Timestamp::from_millisecond(i64::try_from(id >> 22).ok()?).ok()
}

/// `urn:li:person:…` or `urn:li:organization:…`.
fn is_author(urn: &str) -> bool {
    let id = urn.strip_prefix("urn:li:person:").or_else(|| urn.strip_prefix("urn:li:organization:"));
    id.is_some_and(is_name)
}

/// `urn:li:share:…` or `urn:li:ugcPost:…`, the two names of a post.
fn is_post(urn: &str) -> bool {
    let id = urn.strip_prefix("urn:li:share:").or_else(|| urn.strip_prefix("urn:li:ugcPost:"));
    id.is_some_and(|it| (1..=20).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
}

/// `urn:li:image:…` and the like.
fn is_asset(urn: &str, word: &str) -> bool {
    urn.strip_prefix(&format!("urn:li:{word}:")).is_some_and(is_name)
}

fn is_name(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A URN as a part of a path: its colons are none of the path's.
fn encoded(urn: &str) -> String {
    urn.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

fn get(label: &'static str, path: String) -> Request {
    Request::get(label, "api", path)
}

fn post(label: &'static str, path: String, body: Body) -> Request {
    Request::post(label, "api", path, body)
}
