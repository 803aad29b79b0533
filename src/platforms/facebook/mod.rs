//! Facebook Pages through the Graph API: text, link, photos, video, reel, story, first comment.
//!
//! Class F for what one call publishes (text, links, photos, stories, comments): the Page's own list
//! can be read, and nothing keeps a repeat from doubling. Class C for videos and reels: their
//! `video_id` exists before anything is public and tells what became of it. Facebook's own scheduling
//! is not used: a post that waits there could neither be checked nor changed safely.
//! Sources: developers.facebook.com (pages-api/posts, video-api, page-stories-api) as collected in the
//! platform notes; parameter names from the generated specifications of v25.0.

pub mod form;
mod looks;
mod video;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::form::Form;
use super::meta::{self, errors, usage};
use super::needs;
use super::{
    Answer, Body, Capabilities, Class, Deletion, Failure, FailureClass, Field, Fresh, Job, Next, OptionSpec,
    Platform, Problem, Quota, Refusal, Request, Share, Sight, Unit, UploadScheme, Verdict,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handle, Handles, Live, Step, StepKind};
use crate::domain::fit::MediaNeeds;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;

/// Longest message, as open-source clients count it; the unit is not documented.
const TEXT_MAX: usize = 63_206;
/// Photos on one post: what other products allow; Facebook names no number.
const PHOTOS_MAX: usize = 10;
/// Instagram's limit, for want of one of Facebook's.
const ALT_MAX: usize = 1000;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        key: "format",
        values: &["post", "reel", "story"],
        help: "what the post becomes; without it a post",
    },
    OptionSpec { key: "link", values: &[], help: "an address that the post shows a preview of" },
    OptionSpec { key: "title", values: &[], help: "title of a video or reel" },
];

/// The connector. Stateless.
pub struct Facebook;

impl Platform for Facebook {
    fn name(&self) -> PlatformName {
        PlatformName::Facebook
    }

    fn capabilities(&self, _tier: Option<&str>) -> Capabilities {
        Capabilities {
            class: Class::Opaque,
            unit: Unit::Characters,
            text_max: TEXT_MAX,
            parts_max: 1,
            text_optional_with_media: true,
            images_max: PHOTOS_MAX,
            image_bytes_max: needs::FACEBOOK_PHOTO.image.bytes_max,
            image_kinds: needs::FACEBOOK_PHOTO.image.kinds,
            alt_max: ALT_MAX,
            comment: true,
            options: OPTIONS,
            key_life: SignedDuration::ZERO,
            can_delete: true,
            can_read_back: true,
        }
    }

    fn media_needs(&self, _tier: Option<&str>, options: &BTreeMap<String, String>) -> MediaNeeds {
        match options.get("format").map(String::as_str) {
            Some("reel") => needs::FACEBOOK_REEL,
            Some("story") => needs::FACEBOOK_STORY,
            _ => needs::FACEBOOK_FEED,
        }
    }

    fn class(&self, job: &Job<'_>) -> Class {
        match Form::of(job) {
            Form::Video | Form::Reel => Class::Handle,
            Form::Feed | Form::Photos | Form::PhotoStory | Form::VideoStory | Form::Comment => Class::Opaque,
        }
    }

    fn share(&self, _media: &[MediaItem], options: &BTreeMap<String, String>) -> Option<Share> {
        // developers.facebook.com/docs/video-api/guides/reels-publishing, "Limitations".
        let share = Share { what: "reels", most: 30, window: SignedDuration::from_hours(24) };
        options.get("format").filter(|it| *it == "reel").map(|_| share)
    }

    fn has_shares(&self) -> bool {
        true
    }

    fn upload_scheme(&self) -> UploadScheme {
        UploadScheme::OAuth
    }

    fn comment_scope(&self, _tier: Option<&str>) -> Option<&'static str> {
        Some("pages_manage_engagement")
    }

    fn uncommentable(&self, options: &BTreeMap<String, String>) -> Option<&'static str> {
        // A story's id is marked as one that no call but the list of stories knows (page-stories-api).
        options.get("format").filter(|it| *it == "story").map(|_| "story")
    }

    fn measure(&self, text: &str) -> usize {
        text.encode_utf16().count()
    }

    fn problems(
        &self,
        parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Vec<Problem> {
        form::problems(parts, media, options)
    }

    fn preview(
        &self,
        (_part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        _tier: Option<&str>,
    ) -> Value {
        let form = Form::of_post(media, options);
        let mut shown = json!({ "request": form.request() });
        if !text.is_empty() {
            shown["text"] = json!(text);
        }
        if let Some(link) = options.get("link") {
            shown["link"] = json!(link);
        }
        if !media.is_empty() {
            shown["media"] = media.iter().map(super::previewed).collect();
        }
        shown
    }

    fn preview_comment(&self, text: &str) -> Value {
        json!({ "request": "POST /{post-id}/comments", "text": text })
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        let page = page(job)?;
        match Form::of(job) {
            Form::Comment => form::comment(job),
            Form::Feed => Ok(Next::Publish(form::feed(job, &[]))),
            form @ (Form::Photos | Form::PhotoStory) => {
                for (n, item) in job.media.iter().enumerate() {
                    if !handles.contains_key(&photo_key(n)) {
                        return Ok(Next::Call(form::photo(page, item)));
                    }
                }
                let photos: Vec<&str> = (0..job.media.len())
                    .filter_map(|n| handles.get(&photo_key(n)))
                    .map(|it| it.value.as_str())
                    .collect();
                Ok(Next::Publish(match (form, photos.first()) {
                    (Form::PhotoStory, Some(photo)) => form::photo_story(photo),
                    _ => form::feed(job, &photos),
                }))
            }
            form @ (Form::Video | Form::Reel | Form::VideoStory) => {
                video::next(job, form, page, handles, fresh.now)
            }
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
        if call.label != "facebook.photo" {
            return video::answered(job, handles, call, answer, now);
        }
        let id = (answer.status == 200).then(|| meta::id(&answer.json()["id"])).flatten();
        let Some(id) = id else { return Err(errors::failure(answer, now)) };
        let wanted = job.media.iter().enumerate().position(|(n, item)| {
            call.body.files().iter().any(|(part, _)| part.id == item.id)
                && !handles.contains_key(&photo_key(n))
        });
        let n = wanted.ok_or_else(|| Failure::transient("a photo was answered that nobody asked for"))?;
        Ok([(photo_key(n), Handle::kept(id))].into())
    }

    fn publishing(&self) -> &'static [&'static str] {
        &[
            "facebook.feed",
            "facebook.video.finish",
            "facebook.reel.finish",
            "facebook.story.photo",
            "facebook.story.finish",
            "facebook.comment",
        ]
    }

    fn publish(&self, job: &Job<'_>, frozen: &Frozen) -> Request {
        form::publish(job, frozen)
    }

    fn judge(&self, job: &Job<'_>, frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        let json = answer.json();
        if let Some(error) = errors::GraphError::of(&json) {
            // An error beside a success status, or behind a server's trouble, proves nothing.
            if (300..500).contains(&answer.status) && errors::is_duplicate(&error) {
                let message = errors::of_class(FailureClass::InvalidContent, &error, answer, now).message;
                return Verdict::Duplicate { message, original: None };
            }
            let words = errors::of_class(FailureClass::Transient, &error, answer, now);
            return match errors::refused(answer, &error) {
                Some(row) => Verdict::Refused(errors::of_class(row.class, &error, answer, now)),
                None => Verdict::Ambiguous { message: words.message },
            };
        }
        if !(200..300).contains(&answer.status) {
            return Verdict::Ambiguous { message: format!("Facebook answered {}", answer.status) };
        }
        match form::outcome(job, frozen, answer, &json) {
            Some(verdict) => verdict,
            None => {
                Verdict::Ambiguous { message: format!("Facebook answered {} without an id", answer.status) }
            }
        }
    }

    fn look(&self, job: &Job<'_>, frozen: &Frozen, since: Timestamp) -> Option<Request> {
        looks::request(job, frozen, since)
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
            Form::Video | Form::Reel => video::seen(frozen, answer, bound, now),
            Form::PhotoStory | Form::VideoStory => looks::stories(job, frozen, answer, since, bound, now),
            Form::Comment => looks::comments(job, frozen, answer, since, bound, now),
            Form::Feed | Form::Photos => looks::posts(job, frozen, answer, since, bound, now),
        }
    }

    fn is_known_by_its_files(&self, job: &Job<'_>) -> bool {
        // The list of stories names what each was made of.
        matches!(Form::of(job), Form::PhotoStory | Form::VideoStory)
    }

    fn scan(&self, job: &Job<'_>, since: Timestamp) -> Option<Request> {
        match Form::of(job) {
            Form::Feed | Form::Photos => looks::posts_request(job, since),
            Form::Comment => looks::comments_request(job, since),
            // Their words alone do not tell one from another.
            Form::Video | Form::Reel | Form::PhotoStory | Form::VideoStory => None,
        }
    }

    fn scanned(
        &self,
        job: &Job<'_>,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        let frozen = form::feed(job, &[]);
        match Form::of(job) {
            Form::Comment => looks::comments(job, &frozen, answer, since, bound, now),
            _ => looks::posts(job, &frozen, answer, since, bound, now),
        }
    }

    fn quotas(&self, answer: &Answer, now: Timestamp) -> Vec<Quota> {
        usage::quotas(answer, &["pages"], now)
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

    fn edit(&self, _account: &Account, step: &Step, text: &str) -> Option<Request> {
        // Of films and stories it is not documented (developers.facebook.com/docs/pages-api/posts).
        let form = step.extra.get("form").map(String::as_str);
        let has_words = matches!(form, Some("feed" | "photos" | "comment"));
        let id = step.remote_id.as_deref().filter(|id| has_words && meta::is_id(id))?;
        let words = Body::Form(vec![("message".to_owned(), Field::Text(text.to_owned()))]);
        Some(meta::post("facebook.edit", format!("/{id}"), words))
    }

    fn edited(&self, answer: &Answer, now: Timestamp) -> Result<(), Failure> {
        let json = answer.json();
        if answer.status == 200 && json["success"] == true {
            return Ok(());
        }
        Err(errors::failure(answer, now))
    }

    fn delete(&self, _account: &Account, remote_id: &str) -> Option<Request> {
        // Of stories no way is documented; their ids are marked, so that none is tried.
        meta::is_id(remote_id).then(|| meta::delete("facebook.delete", format!("/{remote_id}")))
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        let json = answer.json();
        // Old versions answer with a bare `true`.
        if answer.status == 200 && (json == true || json["success"] == true) {
            return Deletion::Done;
        }
        let mut failure = errors::failure(answer, now);
        if errors::GraphError::of(&json).as_ref().is_some_and(errors::is_missing) {
            failure.hint =
                Some("if it is not on the Page any more, it is deleted already; else delete it there".into());
        }
        Deletion::Failed(failure)
    }

    fn refusals(&self) -> &'static [Refusal] {
        errors::REFUSALS
    }
}

/// The Page's id, as a part of a path.
fn page<'a>(job: &'a Job<'_>) -> Result<&'a str, Failure> {
    Some(job.account.remote_id.as_str())
        .filter(|it| meta::is_id(it))
        .ok_or_else(|| Failure::transient("the account's id is not one of a Page"))
}

fn photo_key(n: usize) -> String {
    format!("photo:{n}")
}

/// The facts of a live object.
fn live(id: String, permalink: String, form: Form, verified: bool) -> Live {
    let extra = [("form".to_owned(), form.as_str().to_owned())].into();
    Live { remote_id: Some(id), permalink: Some(permalink), extra, verified }
}

/// Whether a step is a first comment.
fn is_comment(job: &Job<'_>) -> bool {
    job.kind == StepKind::Comment
}

/// The parameters that a frozen request holds.
fn frozen_body(frozen: &Frozen) -> Value {
    serde_json::from_slice(&frozen.body).unwrap_or(Value::Null)
}

/// A request's parameters as a body. JSON, in which lists need no second encoding.
fn json_body(params: &Value) -> Body {
    Body::Json(params.to_string().into_bytes())
}
