//! X through the v2 API: text, threads, pictures, animations, films, polls.
//!
//! Class E: there is no idempotency key; a repeat of the same text is refused as a duplicate
//! without saying of what, but the user's own timeline can be listed. Sources: docs.x.com as
//! collected in the platform notes; the OpenAPI document 2.167 for field names.

pub mod answers;
mod emoji;
pub mod form;
mod hosts;
pub mod prices;
mod punycode;
pub mod timeline;
mod uploads;
pub mod url_syntax;
pub mod urls;
pub mod weight;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Answer, Body, Capabilities, Class, Deletion, Failure, FailureClass, Fresh, Job, Next, Platform, Problem,
    Quota, Refusal, Request, Sight, Unit, Verdict, needs,
};
use crate::domain::account::Account;
use crate::domain::cost::Cost;
use crate::domain::delivery::{Frozen, Handles, Live, Step};
use crate::domain::fit::MediaNeeds;
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;

/// Longest post of an account without Premium, in weighted characters (docs.x.com/fundamentals/counting-characters).
const TEXT_MAX: usize = 280;
/// Longest thread we send in one go; each part is a paid call.
const PARTS_MAX: usize = 25;
/// `metadata.alt_text.text` of the OpenAPI document.
const ALT_MAX: usize = 1000;

/// The permission without which X takes no files.
const MEDIA_SCOPE: &str = "media.write";

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
            images_max: form::IMAGES_MAX,
            image_bytes_max: needs::X_IMAGE.bytes_max,
            image_kinds: needs::X_IMAGE.kinds,
            alt_max: ALT_MAX,
            comment: false,
            options: form::OPTIONS,
            key_life: SignedDuration::ZERO,
            can_delete: true,
            can_read_back: true,
        }
    }

    fn measure(&self, text: &str) -> usize {
        weight::weighted_length(text, &weight::Config::V3).weight as usize
    }

    fn media_needs(&self, _tier: Option<&str>, _options: &BTreeMap<String, String>) -> MediaNeeds {
        // Premium accounts may post longer films in the app; that the API lets them is documented nowhere.
        needs::X
    }

    fn problems(
        &self,
        parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Vec<Problem> {
        let mut found = form::problems(parts.len(), media, options);
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

    fn not_granted(
        &self,
        media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        _tier: Option<&str>,
        lacks: &[String],
    ) -> Option<Problem> {
        let lacking = !media.is_empty() && lacks.iter().any(|it| it == MEDIA_SCOPE);
        lacking.then(|| Problem {
            field: "media".into(),
            code: "not_granted",
            message: format!("X takes files only with `{MEDIA_SCOPE}`, which this account was not given"),
            hint: Some("connect the account again and grant it, or post without files".into()),
        })
    }

    fn notices(
        &self,
        _parts: &[&str],
        _media: &[MediaItem],
        options: &BTreeMap<String, String>,
    ) -> Vec<String> {
        form::notices(options)
    }

    fn same_words(&self) -> Option<&'static str> {
        Some(
            "X's rules forbid the same text on several accounts of one person, also by different apps \
             (docs.x.com/developer-terms/policy): write each its own, or repost it there by hand",
        )
    }

    fn costs(&self, parts: &[&str], media: &[MediaItem]) -> Vec<Cost> {
        prices::estimate(parts, media)
    }

    fn price(&self, call: &Request) -> u64 {
        prices::ahead(call)
    }

    fn price_of_connect(&self) -> u64 {
        prices::READ_USER
    }

    /// Each post on a page costs.
    fn pages_max(&self) -> u8 {
        4
    }

    fn charged(&self, call: &Request, answer: &Answer) -> u64 {
        prices::charged(call, answer)
    }

    fn preview(
        &self,
        (part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        let ids: Vec<String> = media.iter().map(|it| format!("<{}>", it.name)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let parent = part.checked_sub(1).map(|it| format!("<part {}>", it + 1));
        json!({ "request": "POST /2/tweets", "body": form::body(text, parent.as_deref(), &ids, options) })
    }

    fn takes_alt(&self, _item: &MediaItem, _options: &BTreeMap<String, String>) -> bool {
        true
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        let parent = match job.before.last() {
            None => None,
            Some(step) => Some(step.remote_id.as_deref().ok_or_else(|| Failure {
                class: FailureClass::InvalidContent,
                message: "the part before this one is live but has no id to reply to".into(),
                hint: Some("publish the rest by hand".into()),
                until: None,
            })?),
        };
        match uploads::next(job, handles, fresh.now)? {
            Ok(call) => Ok(Next::Call(call)),
            Err(ids) => Ok(Next::Publish(freeze(job, parent, &ids))),
        }
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

    fn cut_off(&self, call: &Request, message: &str) -> Failure {
        // What a piece does that comes twice is not documented.
        let class = if call.label == "x.append" { FailureClass::MediaGone } else { FailureClass::Transient };
        Failure { class, ..Failure::transient(message) }
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["x.create"]
    }

    fn publish(&self, _job: &Job<'_>, frozen: &Frozen) -> Request {
        post("x.create", "/2/tweets".into(), Body::Json(frozen.body.clone()))
    }

    fn judge(&self, job: &Job<'_>, _frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        let said = answers::judge(answer, &job.account.username, now);
        match (said, form::community(job.options).filter(|_| job.before.is_empty())) {
            // It says nothing else of a community that the account is no member of, and the account may act.
            (Verdict::Refused(it), Some(id)) if it.class == FailureClass::Permission => {
                Verdict::Refused(Failure {
                    class: FailureClass::Policy,
                    hint: Some(format!(
                        "only members post to community {id}: join it on X, or leave out `x.community`; if other \
                         posts are refused like that too, the app needs `Read and write` at console.x.com"
                    )),
                    ..it
                })
            }
            (said, _) => said,
        }
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
        timeline::seen(job, frozen, answer, since, bound, now)
    }

    fn scan(&self, job: &Job<'_>, since: Timestamp) -> Option<Request> {
        // Without words there is nothing to know it by: its files have other ids at each upload.
        let has_words = !job.text.trim().is_empty();
        has_words.then(|| timeline::request(&job.account.remote_id, since))
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
        let frozen = freeze(job, parent, &[]);
        timeline::seen(job, &frozen, answer, since, bound, now)
    }

    fn quotas(&self, answer: &Answer, now: Timestamp) -> Vec<Quota> {
        answers::quotas(answer, now)
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
        Some(get("x.get", format!("/2/tweets/{id}")))
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
            method: http::Method::DELETE,
            ..get("x.delete", format!("/2/tweets/{remote_id}"))
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
fn freeze(job: &Job<'_>, parent: Option<&str>, ids: &[&str]) -> Frozen {
    let body = form::body(job.text, parent, ids, job.options);
    let mut print = Sha256::new();
    print.update(timeline::fingerprint(job.text));
    print.update([0]);
    print.update(parent.unwrap_or_default());
    Frozen { marker: hex(&print.finalize()), body: body.to_string().into_bytes() }
}

fn get(label: &'static str, path: String) -> Request {
    Request::get(label, "api", path)
}

fn post(label: &'static str, path: String, body: Body) -> Request {
    Request::post(label, "api", path, body)
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
