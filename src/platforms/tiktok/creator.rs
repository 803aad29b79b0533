//! What an account may do at this moment
//! (developers.tiktok.com/doc/content-posting-api-reference-query-creator-info).
//!
//! Asked again right before every direct post. What the post says is kept or the post fails: an audience
//! that is no longer offered is never replaced by another one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::form::{self, Form};
use super::{errors, json_call};
use crate::domain::delivery::{Handle, Handles, alive};
use crate::platforms::{Ahead, Answer, Failure, FailureClass, Job, Request};

/// The name under which it is kept.
const CREATOR: &str = "creator";
/// How long it is believed: for the call that follows at once.
const BELIEVED: SignedDuration = SignedDuration::from_secs(60);

/// The part that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Creator {
    pub(super) username: String,
    pub(super) comment_disabled: bool,
    pub(super) duet_disabled: bool,
    pub(super) stitch_disabled: bool,
}

/// What was told before an upload is asked again before its last piece, if it is older than this.
const OLD: SignedDuration = SignedDuration::from_mins(5);

/// What was told, unless that is too long ago for what is published now.
pub(super) fn lately(handles: &Handles, now: Timestamp) -> Option<Creator> {
    let at = handles.get(CREATOR)?.expires?.checked_sub(BELIEVED).ok()?;
    told(handles).filter(|_| now.duration_since(at) <= OLD)
}

pub(super) fn query() -> Request {
    json_call("tiktok.creator", "/v2/post/publish/creator_info/query/", &json!({}))
}

/// What was told a moment ago.
pub(super) fn known(handles: &Handles, now: Timestamp) -> Option<Creator> {
    told(handles).filter(|_| alive(handles, CREATOR, now).is_some())
}

/// What was told at last.
pub(super) fn told(handles: &Handles) -> Option<Creator> {
    let json: Value = serde_json::from_str(&handles.get(CREATOR)?.value).ok()?;
    let is = |name: &str| json[name] == true;
    Some(Creator {
        username: json["username"].as_str().unwrap_or_default().to_owned(),
        comment_disabled: is("comment"),
        duet_disabled: is("duet"),
        stitch_disabled: is("stitch"),
    })
}

/// Whether the post may go out as it was written.
pub(super) fn answered(job: &Job<'_>, answer: &Answer, now: Timestamp) -> Result<Handles, Failure> {
    let data = errors::data(answer).ok_or_else(|| errors::failure(answer, now))?;
    let offered: Vec<&str> =
        data["privacy_level_options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = job.options.get("privacy").map(String::as_str).unwrap_or_default();
    if !offered.contains(&wanted) {
        return Err(Failure {
            class: FailureClass::InvalidContent,
            message: format!(
                "the account does not offer the audience `{wanted}` any more; it offers `{}`",
                offered.join("`, `")
            ),
            hint: errors::hint("privacy_level_option_mismatch"),
            until: None,
        });
    }
    let longest = data["max_video_post_duration_sec"].as_u64();
    let film = job.media.first().and_then(|it| it.detail.video.as_ref());
    if let (Some(longest), Some(film)) = (longest, film)
        && film.duration_ms > longest.saturating_mul(1000)
    {
        return Err(Failure {
            class: FailureClass::InvalidContent,
            message: format!(
                "the account may post videos of {longest} s, and this one has {} s",
                film.duration_ms.div_ceil(1000)
            ),
            hint: Some("shorten it and post it again".into()),
            until: None,
        });
    }
    let known = json!({
        "username": data["creator_username"].as_str().unwrap_or_default(),
        "comment": data["comment_disabled"] == true,
        "duet": data["duet_disabled"] == true,
        "stitch": data["stitch_disabled"] == true,
    });
    Ok([(CREATOR.to_owned(), Handle::lasting(known.to_string(), now, BELIEVED))].into())
}

/// What the answer means for a post that is due later. One from the network's limits by the minute, or from
/// trouble of its own, says nothing of the post.
pub(super) fn foreseen(job: &Job<'_>, answer: &Answer, now: Timestamp) -> Ahead {
    use FailureClass as C;
    match answered(job, answer, now) {
        Ok(_) => {}
        Err(it) if matches!(it.class, C::AuthExpired | C::Transient) || answer.status == 429 => {
            return Ahead::Unclear(it);
        }
        Err(it) => return Ahead::Stops(it),
    }
    let data = errors::data(answer).unwrap_or_default();
    let photo = Form::of(job).photo;
    let switched_off: Vec<&str> = [("comment", "comments"), ("duet", "duets"), ("stitch", "stitches")]
        .into_iter()
        .filter(|(name, _)| *name == "comment" || !photo)
        .filter(|(name, _)| {
            form::is_on(job.options, &format!("allow_{name}")) && data[format!("{name}_disabled")] == true
        })
        .map(|(_, word)| word)
        .collect();
    if switched_off.is_empty() {
        return Ahead::Fine;
    }
    Ahead::Differs {
        message: format!("the account has {} switched off", switched_off.join(" and ")),
        hint: "switch them on in TikTok's app, under `Settings and privacy`; or leave it, and it goes out \
               without them"
            .into(),
    }
}
