//! X: text posts and threads through the v2 API.
//!
//! Class E: there is no idempotency key; a repeat of the same text is refused as a duplicate
//! without saying of what, but the user's own timeline can be listed. Sources: docs.x.com as
//! collected in the platform notes; the OpenAPI document 2.167 for field names.

pub mod answers;
mod emoji;
mod hosts;
mod punycode;
pub mod timeline;
pub mod url_syntax;
pub mod urls;
pub mod weight;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, Fresh, Job, Next,
    OptionSpec, Platform, Problem, Quota, Refusal, Request, Sight, Unit, Verdict,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handles, Live, Step};
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;

/// Longest post of an account without Premium, in weighted characters (docs.x.com/fundamentals/counting-characters).
const TEXT_MAX: usize = 280;
/// Longest thread we send in one go; each part is a paid call.
const PARTS_MAX: usize = 25;

const OPTIONS: &[OptionSpec] = &[OptionSpec {
    key: "reply_settings",
    values: &["following", "mentionedUsers", "subscribers", "verified"],
    help: "who may reply; leave it out for everyone",
}];

/// The connector. Stateless.
pub struct X;

impl Platform for X {
    fn name(&self) -> PlatformName {
        PlatformName::X
    }

    fn capabilities(&self, tier: Option<&str>) -> Capabilities {
        let long = tier.is_some_and(|it| matches!(it, "Basic" | "Premium" | "PremiumPlus"));
        Capabilities {
            class: Class::Listable,
            unit: Unit::Weighted,
            text_max: if long { weight::LONG_POST_MAX as usize } else { TEXT_MAX },
            parts_max: PARTS_MAX,
            text_optional_with_media: true,
            images_max: 0,
            image_bytes_max: 0,
            image_kinds: &[],
            alt_max: 1000,
            comment: false,
            options: OPTIONS,
            key_life: SignedDuration::ZERO,
            can_delete: true,
            can_read_back: true,
        }
    }

    fn measure(&self, text: &str) -> usize {
        weight::weighted_length(text, &weight::Config::V3).weight as usize
    }

    fn problems(
        &self,
        parts: &[&str],
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Vec<Problem> {
        let mut found = Vec::new();
        for (n, text) in parts.iter().enumerate() {
            let field = format!("parts[{n}]");
            if let Some(c) = text.chars().find(|c| matches!(c, '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}')) {
                found.push(Problem {
                    field: field.clone(),
                    code: "invalid_character",
                    message: format!("the character U+{:04X} is not allowed on X", u32::from(c)),
                    hint: Some("remove it; it is invisible and often comes from copying".into()),
                });
            }
            let cashtags = cashtags(text);
            if cashtags > 1 {
                found.push(Problem {
                    field,
                    code: "too_many_cashtags",
                    message: format!("X takes at most one cashtag a post, this has {cashtags}"),
                    hint: Some("write all but one without the `$`".into()),
                });
            }
        }
        found
    }

    fn preview(&self, text: &str, _media: &[MediaItem], options: &BTreeMap<String, String>) -> Value {
        json!({ "request": "POST /2/tweets", "body": create_body(text, None, options) })
    }

    fn next(&self, job: &Job<'_>, _handles: &Handles, _fresh: Fresh) -> Result<Next, Failure> {
        let parent = match job.before.last() {
            None => None,
            Some(step) => Some(step.remote_id.as_deref().ok_or_else(|| Failure {
                class: FailureClass::InvalidContent,
                message: "the part before this one is live but has no id to reply to".into(),
                hint: Some("publish the rest by hand".into()),
                until: None,
            })?),
        };
        Ok(Next::Publish(freeze(job, parent)))
    }

    fn answered(
        &self,
        _job: &Job<'_>,
        _handles: &Handles,
        _call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Handles, Failure> {
        // A text post needs no preparing call; an answer to one is a fault on our side.
        Err(answers::failure(answer, now))
    }

    fn publish(&self, _job: &Job<'_>, frozen: &Frozen) -> Request {
        Request {
            label: "x.create",
            method: http::Method::POST,
            endpoint: Endpoint::Named("api"),
            path: "/2/tweets".into(),
            query: Vec::new(),
            body: Body::Json(frozen.body.clone()),
            auth: true,
        }
    }

    fn judge(&self, job: &Job<'_>, _frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        answers::judge(answer, &job.account.username, now)
    }

    fn look(&self, job: &Job<'_>, _frozen: &Frozen, since: Timestamp) -> Option<Request> {
        Some(timeline::request(&job.account.remote_id, since))
    }

    fn seen(
        &self,
        job: &Job<'_>,
        frozen: &Frozen,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        timeline::seen(frozen, answer, &job.account.username, since, bound, now)
    }

    fn scan(&self, job: &Job<'_>, since: Timestamp) -> Option<Request> {
        Some(timeline::request(&job.account.remote_id, since))
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        let parent = job.before.last().and_then(|it| it.remote_id.as_deref());
        let frozen = freeze(job, parent);
        timeline::seen(&frozen, answer, &job.account.username, since, bound, now)
    }

    fn quotas(&self, answer: &Answer, _now: Timestamp) -> Vec<Quota> {
        answers::quotas(answer)
    }

    fn remote_id_of(&self, account: &Account, url: &str) -> Option<String> {
        let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
        let host = url.host_str()?.trim_start_matches("www.").trim_start_matches("mobile.");
        let mut path = url.path_segments()?;
        let (who, word, id) = (path.next()?, path.next()?, path.next()?);
        let ours = who == "i" || who.eq_ignore_ascii_case(&account.username);
        (matches!(host, "x.com" | "twitter.com") && ours && word == "status" && is_id(id))
            .then(|| id.to_owned())
    }

    fn read_back(&self, _account: &Account, step: &Step) -> Option<Request> {
        let id = step.remote_id.as_deref().filter(|id| is_id(id))?;
        Some(Request {
            label: "x.get",
            method: http::Method::GET,
            endpoint: Endpoint::Named("api"),
            path: format!("/2/tweets/{id}"),
            query: Vec::new(),
            body: Body::None,
            auth: true,
        })
    }

    fn confirmed(&self, step: &Step, answer: &Answer, now: Timestamp) -> Sight {
        let json = answer.json();
        match (answer.status, json["data"]["id"].as_str()) {
            (200, Some(id)) if Some(id) == step.remote_id.as_deref() => Sight::Found(Live {
                remote_id: step.remote_id.clone(),
                permalink: step.permalink.clone(),
                extra: step.extra.clone(),
                verified: true,
            }),
            // A lookup by id answers 200 with the problem inside (docs.x.com, partial errors).
            (404, _) => Sight::Absent,
            (200, None) if answers::is_missing(&json) => Sight::Absent,
            _ => Sight::Unclear(answers::failure(answer, now)),
        }
    }

    fn delete(&self, _account: &Account, remote_id: &str) -> Option<Request> {
        is_id(remote_id).then(|| Request {
            label: "x.delete",
            method: http::Method::DELETE,
            endpoint: Endpoint::Named("api"),
            path: format!("/2/tweets/{remote_id}"),
            query: Vec::new(),
            body: Body::None,
            auth: true,
        })
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        // The shape for a post that is already gone is not documented; 404 means just that.
        match answer.status {
            200 if answer.json()["data"]["deleted"] == true => Deletion::Done,
            404 => Deletion::Done,
            _ => Deletion::Failed(answers::failure(answer, now)),
        }
    }

    fn refusals(&self) -> &'static [Refusal] {
        answers::REFUSALS
    }
}

/// The request of a step, and the print by which it is found again.
fn freeze(job: &Job<'_>, parent: Option<&str>) -> Frozen {
    let body = create_body(job.text, parent, job.options);
    let mut print = Sha256::new();
    print.update(timeline::fingerprint(job.text));
    print.update([0]);
    print.update(parent.unwrap_or_default());
    Frozen { marker: hex(&print.finalize()), body: body.to_string().into_bytes() }
}

/// The body of `POST /2/tweets`. X takes no unknown properties, so nothing is sent that is not set.
fn create_body(text: &str, parent: Option<&str>, options: &BTreeMap<String, String>) -> Value {
    let mut body = json!({ "text": text });
    match parent {
        Some(id) => body["reply"] = json!({ "in_reply_to_tweet_id": id }),
        // Set on the first part; replies of a thread inherit the conversation's setting.
        None => {
            if let Some(who) = options.get("reply_settings") {
                body["reply_settings"] = json!(who);
            }
        }
    }
    body
}

/// `^[0-9]{1,19}$`, the pattern of every id in the OpenAPI document.
fn is_id(id: &str) -> bool {
    (1..=19).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

/// Words like `$ACME`: a dollar sign at a word's start and one to six letters.
fn cashtags(text: &str) -> usize {
    text.split(|c: char| c.is_whitespace())
        .filter_map(|word| word.strip_prefix('$'))
        .filter(|rest| {
            let letters = rest.chars().take_while(char::is_ascii_alphabetic).count();
            (1..=6).contains(&letters) && !rest.chars().nth(letters).is_some_and(char::is_alphanumeric)
        })
        .count()
}
