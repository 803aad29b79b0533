//! TikTok: videos and photos, to the creator's inbox or straight to the profile
//! (developers.tiktok.com, Content Posting API).
//!
//! A video is class C: its task, whose id is stored before the first byte leaves, tells what became of
//! it, and the last piece of the file is the publishing call. Photos can only be fetched by TikTok from
//! here, and the one call that asks for it publishes: with its answer the task's id is lost (class F);
//! with it they are class C as well. What goes to the inbox is handed over, never called published.
//!
//! TikTok has no call that deletes or changes a post.

mod creator;
pub mod errors;
mod form;
pub mod plan;
mod status;
mod video;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::form::Form;
use super::meta::plain;
use super::needs;
use super::{
    Ahead, Answer, Body, Capabilities, Class, Deletion, Endpoint, Failure, FailureClass, FilePart, Fresh,
    Job, Next, Platform, Problem, Refusal, Request, Sight, Unit, Verdict,
};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Handles, Live, Step};
use crate::domain::fit::MediaNeeds;
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::media::MediaItem;
use crate::domain::reach::Reach;

/// Upload addresses lie below it (open-upload.tiktokapis.com, upload.us.tiktokapis.com, …).
const DOMAIN: &str = "tiktokapis.com";
/// Why a film for the inbox has no words.
const WRITTEN_THERE: &str = "TikTok takes no words with a video for the inbox: they are written in its app";

/// The connector. Stateless.
pub struct TikTok;

/// A call of the API: JSON both ways.
fn json_call(label: &'static str, path: &str, body: &Value) -> Request {
    Request {
        label,
        method: http::Method::POST,
        endpoint: Endpoint::Named("api"),
        path: path.to_owned(),
        query: Vec::new(),
        body: Body::Json(body.to_string().into_bytes()),
        auth: true,
    }
}

fn body_of(frozen: &Frozen) -> Value {
    serde_json::from_slice(&frozen.body).unwrap_or(Value::Null)
}

/// The facts of what is live, or lies in the inbox. `task`: its `publish_id`.
fn live(task: &str, id: Option<String>, username: &str, photo: bool) -> Live {
    let kind = if photo { "photo" } else { "video" };
    // Documented of videos; photos are seen under an address of their own.
    let permalink = id
        .as_ref()
        .filter(|_| !username.is_empty())
        .map(|id| format!("https://www.tiktok.com/@{username}/{kind}/{id}"));
    let extra = [("publish_id".to_owned(), task.to_owned()), ("form".to_owned(), kind.to_owned())].into();
    Live { remote_id: id, permalink, extra, verified: true }
}

/// A scope that is missing stops posts to one place. Where those to the other have theirs, it is this
/// post that cannot go out, and not the account that cannot act.
fn spared(job: &Job<'_>, failure: Failure) -> Failure {
    let form = Form::of(job);
    let other = form.other_scope();
    if failure.class != FailureClass::Permission || !job.account.scopes.iter().any(|it| it == other) {
        return failure;
    }
    Failure {
        class: FailureClass::NotGranted,
        hint: Some(format!(
            "connect the account again (`{}`) and leave the box of `{}` ticked, then `sendoff post retry`; if \
             TikTok does not ask for it, the app lacks it or its review",
            job.account.connect_again(),
            form.scope()
        )),
        ..failure
    }
}

impl Platform for TikTok {
    fn name(&self) -> PlatformName {
        PlatformName::TikTok
    }

    fn json_type(&self) -> &'static str {
        // As documented, with the charset that JSON itself does not know.
        "application/json; charset=UTF-8"
    }

    fn capabilities(&self, _tier: Option<&str>) -> Capabilities {
        Capabilities {
            class: Class::Handle,
            unit: Unit::Utf16,
            text_max: form::DESCRIPTION_MAX,
            parts_max: 1,
            text_optional_with_media: true,
            images_max: form::PHOTOS_MAX,
            image_bytes_max: needs::TIKTOK_PHOTO.bytes_max,
            image_kinds: needs::TIKTOK_PHOTO.kinds,
            // Photos carry no alternative text there; what is written for other networks does no harm.
            alt_max: 10_000,
            comment: false,
            options: form::OPTIONS,
            key_life: SignedDuration::ZERO,
            can_delete: false,
            can_read_back: false,
        }
    }

    fn text_max(
        &self,
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Result<usize, &'static str> {
        if media.is_empty() {
            return Ok(form::DESCRIPTION_MAX);
        }
        Form::of_post(media, options, tier).text_max().ok_or(WRITTEN_THERE)
    }

    fn class(&self, job: &Job<'_>) -> Class {
        if Form::of(job).photo && job.taken.is_none() { Class::Opaque } else { Class::Handle }
    }

    fn media_needs(&self, _tier: Option<&str>, _options: &BTreeMap<String, String>) -> MediaNeeds {
        needs::TIKTOK
    }

    fn measure(&self, text: &str) -> usize {
        text.encode_utf16().count()
    }

    fn problems(
        &self,
        _parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Vec<Problem> {
        form::problems(media, options, tier)
    }

    fn not_granted(
        &self,
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
        lacks: &[String],
    ) -> Option<Problem> {
        form::not_granted(media, options, tier, lacks)
    }

    fn preview(
        &self,
        (_part, text): (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Value {
        let form = Form::of_post(media, options, tier);
        let mut shown = json!({
            "request": format!("POST {}", form.path()),
            "kind": form.word(),
            "to": if form.is_direct() { "profile" } else { "inbox" },
        });
        if !text.is_empty() && form.text_max().is_some() {
            shown[if form.photo { "description" } else { "caption" }] = json!(text);
        }
        for key in ["title", "privacy", "commercial"] {
            if let Some(value) = options.get(key) {
                shown[key] = json!(value);
            }
        }
        if !media.is_empty() {
            shown["media"] = media.iter().map(|it| json!({ "file": it.name })).collect();
        }
        shown
    }

    fn foresee(&self, job: &Job<'_>) -> Option<Request> {
        Form::of(job).is_direct().then(creator::query)
    }

    fn foreseen(&self, job: &Job<'_>, answer: &Answer, now: Timestamp) -> Ahead {
        creator::foreseen(job, answer, now)
    }

    fn takes_alt(&self, _item: &MediaItem, _options: &BTreeMap<String, String>) -> bool {
        false
    }

    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure> {
        let form = Form::of(job);
        if job.media.is_empty() {
            return Err(Failure {
                class: FailureClass::InvalidContent,
                message: "a post on TikTok needs a video or photos".into(),
                hint: Some("add one with `--media`".into()),
                until: None,
            });
        }
        if form.is_direct() && !job.options.contains_key("privacy") {
            // Checked when it was made; nobody may choose it in the person's place.
            return Err(Failure {
                class: FailureClass::InvalidContent,
                message: "who may see the post was not chosen".into(),
                hint: Some("add `tiktok.privacy` with `sendoff post edit`".into()),
                until: None,
            });
        }
        if !form.photo {
            return video::next(job, form, handles, fresh.now);
        }
        let creator = if form.is_direct() {
            let Some(creator) = creator::known(handles, fresh.now) else {
                return Ok(Next::Call(creator::query()));
            };
            Some(creator)
        } else {
            None
        };
        let mut body = form::photos(job, creator.as_ref());
        if let Some(creator) = creator {
            body["username"] = json!(creator.username);
        }
        let count = job.media.len().to_string();
        let title = job.options.get("title").map(String::as_str).unwrap_or_default();
        let print = Sha256::digest(["photo", &count, &plain(title), &plain(job.text)].join("\0"));
        Ok(Next::Publish(Frozen { marker: hex(&print), body: body.to_string().into_bytes() }))
    }

    fn answered(
        &self,
        job: &Job<'_>,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Handles, Failure> {
        let answered = match call.label {
            "tiktok.creator" => creator::answered(job, answer, now),
            _ => video::answered(job, handles, call, answer, now),
        };
        answered.map_err(|failure| spared(job, failure))
    }

    fn publishing(&self) -> &'static [&'static str] {
        &["tiktok.last", "tiktok.photo"]
    }

    fn publish(&self, job: &Job<'_>, frozen: &Frozen) -> Request {
        let mut body = body_of(frozen);
        if !body["post_info"].is_object() {
            return video::publish(job, &body);
        }
        if let Some(all) = body.as_object_mut() {
            // Ours, for the post's address.
            all.remove("username");
        }
        let place = |n: usize| format!("/source_info/photo_images/{n}");
        let links = job.media.iter().enumerate().map(|(n, it)| (place(n), FilePart::whole(it))).collect();
        Request {
            body: Body::JsonWithLinks { json: body, links },
            ..json_call("tiktok.photo", "/v2/post/publish/content/init/", &json!({}))
        }
    }

    fn judge(&self, job: &Job<'_>, frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict {
        if !body_of(frozen)["post_info"].is_object() {
            return video::judge(answer);
        }
        if let Some(data) = errors::data(answer) {
            return match data["publish_id"].as_str().filter(|it| !it.is_empty()) {
                Some(task) => {
                    Verdict::Taken { name: task.to_owned(), message: "TikTok is fetching the photos".into() }
                }
                None => Verdict::Ambiguous { message: "TikTok took it and named no `publish_id`".into() },
            };
        }
        let said = errors::Said::of(&answer.json());
        match said.and_then(|said| Some((errors::refused(answer, &said)?, said))) {
            Some((row, said)) => Verdict::Refused(spared(job, errors::of_class(row.class, &said, now))),
            None => Verdict::Ambiguous { message: errors::failure(answer, now).message },
        }
    }

    fn look(&self, job: &Job<'_>, frozen: &Frozen, _since: Timestamp) -> Option<Request> {
        let photo = body_of(frozen)["post_info"].is_object();
        // Without the answer nobody knows the task of photos, and nothing lists it.
        job.taken.or((!photo).then_some(frozen.marker.as_str())).map(status::request)
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
        let task = job.taken.unwrap_or(&frozen.marker);
        status::sight(task, &body_of(frozen), answer, since, bound, now)
    }

    fn remote_id_of(&self, account: &Account, url: &str) -> Option<String> {
        let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
        let host = url.host_str()?;
        if host.strip_prefix("www.").or(host.strip_prefix("m.")).unwrap_or(host) != DOMAIN_SITE {
            return None;
        }
        // Of an account that reaches the inbox alone only the display name is known.
        let known = Reach::of(account.tier.as_deref()) == Reach::Direct;
        let parts: Vec<&str> = url.path_segments()?.filter(|it| !it.is_empty()).collect();
        let [who, "video" | "photo", id] = parts.as_slice() else { return None };
        let who = who.strip_prefix('@')?;
        let ours = !known || who.eq_ignore_ascii_case(&account.username);
        let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
        (ours && is_id).then(|| (*id).to_owned())
    }

    fn read_back(&self, _account: &Account, _step: &Step) -> Option<Request> {
        // The task has told already that it is live.
        None
    }

    fn confirmed(&self, _step: &Step, answer: &Answer, now: Timestamp) -> Sight {
        Sight::Unclear(errors::failure(answer, now))
    }

    fn delete(&self, _account: &Account, _remote_id: &str) -> Option<Request> {
        None
    }

    fn delete_by_hand(&self, _account: &Account) -> &'static str {
        "delete it in TikTok's app: open the post, tap the three dots, then `Delete`; what waits in the inbox is \
         discarded there"
    }

    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion {
        Deletion::Failed(errors::failure(answer, now))
    }

    fn refusals(&self) -> &'static [Refusal] {
        errors::REFUSALS
    }
}

/// Where posts are seen.
const DOMAIN_SITE: &str = "tiktok.com";
