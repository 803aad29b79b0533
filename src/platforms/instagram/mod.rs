//! Instagram's professional accounts through the Graph API: picture, carousel, reel, story, first
//! comment, by either of Meta's two doors ([`Door`]).
//!
//! Class C: a post is prepared as a container, which shows nothing to anybody, tells its state, and is
//! published by one last call. After a lost answer the container is asked; it is published again only
//! if it says that it has not been, and never replaced while it could be. Comments have no such
//! handle (class F).
//! Sources: developers.facebook.com/docs/instagram-platform (content publishing, error codes) as
//! collected in the platform notes; parameter names from the generated specifications of v25.0.

mod containers;
pub mod errors;
pub mod form;
mod looks;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::form::Form;
use super::meta::{self, errors::GraphError, plain, usage};
use super::needs;
use super::{
    Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, Fresh, Job, Next, Platform,
    Problem, Quota, Reading, Refusal, Request, Sight, Unit, UploadScheme, Verdict,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handles, Live, Step};
use crate::domain::door::Door;
use crate::domain::fit::{ImageNeeds, MediaNeeds};
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;

/// Longest caption. How its 2,200 characters are counted is not documented: what is too long however
/// they are counted is refused here, what is too long by one way of counting is said.
const CAPTION_MAX: usize = 2_200;
const ALT_MAX: usize = 1_000;

/// The connector. Stateless.
pub struct Instagram;

fn door(account: &Account) -> Door {
    Door::of(account.tier.as_deref())
}

impl Platform for Instagram {
    fn name(&self) -> PlatformName {
        PlatformName::Instagram
    }

    fn capabilities(&self, tier: Option<&str>) -> Capabilities {
        Capabilities {
            class: Class::Handle,
            unit: Unit::CodePoints,
            text_max: CAPTION_MAX,
            parts_max: 1,
            text_optional_with_media: true,
            images_max: *form::CAROUSEL.end(),
            image_bytes_max: needs::INSTAGRAM_IMAGE.bytes_max,
            image_kinds: needs::INSTAGRAM_IMAGE.kinds,
            alt_max: ALT_MAX,
            comment: true,
            options: form::OPTIONS,
            key_life: SignedDuration::ZERO,
            // Since December 2025, and only through Facebook.
            can_delete: Door::of(tier) == Door::Facebook,
            can_read_back: true,
        }
    }

    fn class(&self, job: &Job<'_>) -> Class {
        if Form::of(job) == Form::Comment { Class::Opaque } else { Class::Handle }
    }

    fn media_needs(&self, _tier: Option<&str>, options: &BTreeMap<String, String>) -> MediaNeeds {
        match options.get("format").map(String::as_str) {
            Some("story") => needs::INSTAGRAM_STORY,
            Some("reel") => MediaNeeds {
                image: ImageNeeds::of(&[], 0),
                videos_max: 1,
                mixed: false,
                ..needs::INSTAGRAM_FEED
            },
            _ => needs::INSTAGRAM_FEED,
        }
    }

    fn upload_scheme(&self) -> UploadScheme {
        UploadScheme::OAuth
    }

    fn comment_scope(&self, tier: Option<&str>) -> Option<&'static str> {
        Some(match Door::of(tier) {
            Door::Instagram => "instagram_business_manage_comments",
            Door::Facebook => "instagram_manage_comments",
        })
    }

    fn uncommentable(&self, options: &BTreeMap<String, String>) -> Option<&'static str> {
        // No document knows comments on a story through the API; people answer them by message.
        options.get("format").filter(|it| *it == "story").map(|_| "story")
    }

    fn measure(&self, text: &str) -> usize {
        text.chars().count()
    }

    fn problems(
        &self,
        parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Vec<Problem> {
        form::problems(parts, media, options, Door::of(tier))
    }

    fn notices(
        &self,
        parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
    ) -> Vec<String> {
        form::notices(parts, media, options)
    }

    fn preview(
        &self,
        (_part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        let form = Form::of_post(media, options);
        let mut shown = json!({ "request": "POST /{user-id}/media_publish", "kind": form.as_str() });
        if !text.is_empty() {
            shown["caption"] = json!(text);
        }
        if !media.is_empty() {
            shown["media"] = media.iter().map(super::previewed).collect();
        }
        shown
    }

    fn preview_comment(&self, text: &str) -> Value {
        json!({ "request": "POST /{media-id}/comments", "text": text })
    }

    fn takes_alt(&self, item: &MediaItem, options: &BTreeMap<String, String>) -> bool {
        let format = options.get("format").map(String::as_str);
        item.kind.is_image() && !matches!(format, Some("story" | "reel"))
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        if !meta::is_id(&job.account.remote_id) {
            return Err(Failure::transient("the account's id is not one of Instagram"));
        }
        match Form::of(job) {
            Form::Comment => comment(job),
            form => containers::next(job, form, door(job.account), handles, fresh.now),
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
        containers::answered(job, Form::of(job), handles, call, answer, now)
    }

    fn surfaced(
        &self,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Option<(Frozen, Timestamp)> {
        containers::surfaced(handles, call, answer, now)
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["instagram.publish", "instagram.comment"]
    }

    fn publish(&self, job: &Job<'_>, frozen: &Frozen) -> Request {
        let body = Body::Json(frozen.body.clone());
        if Form::of(job) == Form::Comment {
            let parent = job.before.last().and_then(|it| it.remote_id.as_deref()).unwrap_or_default();
            return meta::post("instagram.comment", format!("/{parent}/comments"), body);
        }
        meta::post("instagram.publish", format!("/{}/media_publish", job.account.remote_id), body)
    }

    fn judge(&self, job: &Job<'_>, _frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        let json = answer.json();
        if let Some(error) = GraphError::of(&json) {
            // An error beside a success status, or behind a server's trouble, proves nothing.
            if let Some(failure) = errors::blocked(&error, answer, now) {
                return Verdict::Barred(failure);
            }
            let comment = Form::of(job) == Form::Comment;
            let row = if comment {
                errors::comment_refused(answer, &error)
            } else {
                errors::refused(answer, &error)
            };
            return match row.map(|row| errors::of_class(row.class, &error, answer, now)) {
                Some(failure) if comment => Verdict::Refused(failure),
                // Its container is asked all the same: posts were live behind errors.
                Some(failure) => Verdict::Denied(failure),
                None => Verdict::Ambiguous {
                    message: errors::of_class(FailureClass::Transient, &error, answer, now).message,
                },
            };
        }
        let success = (200..300).contains(&answer.status);
        match meta::id(&json["id"]).filter(|_| success) {
            Some(id) => Verdict::Applied(live(id, None, Form::of(job), false)),
            None if success => {
                Verdict::Ambiguous { message: format!("Instagram answered {} without an id", answer.status) }
            }
            None => Verdict::Ambiguous { message: format!("Instagram answered {}", answer.status) },
        }
    }

    fn look(&self, job: &Job<'_>, frozen: &Frozen, _since: Timestamp) -> Option<Request> {
        looks::request(job, frozen)
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
        match Form::of(job) {
            Form::Comment => looks::comments(job, answer, since, bound, now),
            _ => looks::container(job, frozen, answer, false, since, now),
        }
    }

    fn seen_in(
        &self,
        job: &Job<'_>,
        frozen: &Frozen,
        said: Reading<'_>,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        if let Some(call) = looks::again(job, said, now) {
            return Sight::More(call);
        }
        let hidden = matches!(said.call.endpoint, Endpoint::Person(_))
            && containers::is_unseen(said.call, said.answer, now);
        let listed = said.call.label.starts_with("instagram.list.");
        if hidden && (listed || Form::of(job) == Form::Comment) {
            // A person's token that has ended says nothing of the account's own.
            let words = "neither token is shown what the account has published";
            return Sight::Unclear(Failure::transient(words));
        }
        if listed {
            return looks::listed(job, said, since, bound, now);
        }
        if hidden {
            return looks::container(job, frozen, said.answer, hidden, since, now);
        }
        self.seen(job, frozen, said.answer, since, bound, now)
    }

    fn scan(&self, job: &Job<'_>, since: Timestamp) -> Option<Request> {
        looks::scan(job, since)
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        match (Form::of(job), looks::scan(job, since)) {
            (Form::Comment, _) => looks::comments(job, answer, since, bound, now),
            (_, Some(call)) => looks::listed(job, Reading { call: &call, answer }, since, bound, now),
            (_, None) => Sight::Absent,
        }
    }

    fn quotas(&self, answer: &Answer, now: Timestamp) -> Vec<Quota> {
        let mut all = usage::quotas(answer, &["instagram"], now);
        all.extend(containers::published(answer, now));
        all
    }

    fn remote_id_of(&self, account: &Account, url: &str) -> Option<String> {
        looks::remote_id_of(account, url)
    }

    fn read_back(&self, account: &Account, step: &Step) -> Option<Request> {
        looks::read_back(account, step)
    }

    fn confirmed(&self, step: &Step, answer: &Answer, now: Timestamp) -> Sight {
        looks::confirmed(step, answer, now)
    }

    fn delete(&self, account: &Account, remote_id: &str) -> Option<Request> {
        let can = door(account) == Door::Facebook && meta::is_id(remote_id);
        can.then(|| meta::delete("instagram.delete", format!("/{remote_id}")))
    }

    fn not_deletable(&self, account: &Account) -> &'static str {
        match door(account) {
            Door::Instagram => {
                "Instagram deletes through its API at Facebook's door alone, and this account is not from there"
            }
            Door::Facebook => "Instagram has not told the number by which it is deleted, only its address",
        }
    }

    fn delete_by_hand(&self, account: &Account) -> &'static str {
        match door(account) {
            Door::Instagram => {
                "delete it in Instagram's app, where its address opens it; `login = \"facebook\"` in \
                 [platforms.instagram] and a new connect that grants `instagram_manage_contents` let Sendoff \
                 delete the posts that are made from then on"
            }
            Door::Facebook => "delete it in Instagram's app, where its address opens it",
        }
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        let json = answer.json();
        if answer.status == 200 && json["success"] == true {
            return Deletion::Done;
        }
        let mut failure = errors::failure(answer, now);
        if failure.class == FailureClass::Permission {
            failure.hint = Some(
                "deleting needs `instagram_manage_contents`: connect the account again, or delete it in \
                 the app"
                    .into(),
            );
        }
        Deletion::Failed(failure)
    }

    fn refusals(&self) -> &'static [Refusal] {
        errors::REFUSALS
    }
}

/// The request of a first comment.
fn comment(job: &Job<'_>) -> Result<Next, Failure> {
    let parent = meta::commented(job)?;
    let digest = Sha256::digest(["comment", parent, &plain(job.text)].join("\0"));
    let body = json!({ "message": job.text }).to_string().into_bytes();
    Ok(Next::Publish(Frozen { marker: hex(&digest), body }))
}

/// The facts of a live object. Its address is told by a read of its own.
fn live(id: String, permalink: Option<&str>, form: Form, verified: bool) -> Live {
    let extra = [("form".to_owned(), form.as_str().to_owned())].into();
    Live { remote_id: Some(id), permalink: permalink.and_then(looks::web_address), extra, verified }
}
