//! What became of a task (developers.tiktok.com/doc/content-posting-api-reference-get-video-status).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{errors, json_call, live, video};
use crate::platforms::{Answer, Failure, FailureClass, Request, Sight};

/// A public post's id comes with the end of moderation, as a rule within a minute. Later than this the
/// post is called published without it.
const NAMED: SignedDuration = SignedDuration::from_mins(10);
/// A cap met only once everything is uploaded: asking earlier would cost the whole upload.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Asks for the state of a task.
pub(super) fn request(task: &str) -> Request {
    json_call("tiktok.status", "/v2/post/publish/status/fetch/", &json!({ "publish_id": task }))
}

/// What a state shows. `body`: what was frozen of the post; `since`: when it was sent first.
pub(super) fn sight(
    task: &str,
    body: &Value,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let Some(data) = errors::data(answer) else { return Sight::Unclear(errors::failure(answer, now)) };
    let photo = body["post_info"].is_object();
    let direct = body["privacy"].is_string() || body["post_mode"] == "DIRECT_POST";
    match data["status"].as_str() {
        Some("PUBLISH_COMPLETE") => {
            let id = post_id(&data["publicaly_available_post_id"]);
            let privacy = body["privacy"].as_str().or_else(|| body["post_info"]["privacy_level"].as_str());
            let is_public = direct && privacy == Some("PUBLIC_TO_EVERYONE");
            match id {
                Some(id) if bound(&id) => Sight::Disputed {
                    message: format!("post `{id}` belongs to another post of ours already"),
                },
                None if is_public && now.duration_since(since) < NAMED => {
                    working("TikTok has published it and does not tell its address yet")
                }
                id => {
                    let who = body["username"].as_str().unwrap_or_default();
                    Sight::Found(live(task, id, who, photo))
                }
            }
        }
        Some("SEND_TO_USER_INBOX") => Sight::HandedOver(live(task, None, "", photo)),
        Some("PROCESSING_DOWNLOAD") => working("TikTok is fetching the files"),
        Some("PROCESSING_UPLOAD") if photo => working("TikTok is working on the photos"),
        Some("PROCESSING_UPLOAD") => {
            let total = body["total"].as_u64().unwrap_or(u64::MAX);
            match number(&data["uploaded_bytes"]) {
                Some(there) if there >= total => working("TikTok is working on the video"),
                // It lacks bytes, and can get no more.
                Some(_) if video::has_ended(body, now) => Sight::Gone,
                None if video::has_ended(body, now) => working("TikTok does not tell how much it has"),
                _ => Sight::Absent,
            }
        }
        Some("FAILED") => Sight::Failed(failure(data["fail_reason"].as_str().unwrap_or_default(), now)),
        _ => Sight::Unclear(Failure::transient("TikTok names a state that is not known here")),
    }
}

fn working(message: &str) -> Sight {
    Sight::Unclear(Failure { class: FailureClass::NotReady, ..Failure::transient(message) })
}

/// Numbers of 64 bits, which some answers write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A list in the documents; a number alone is understood as well.
fn post_id(value: &Value) -> Option<String> {
    let one = value.as_array().map_or(Some(value), |all| all.first())?;
    number(one).filter(|it| *it > 0).map(|it| it.to_string())
}

/// Why a task failed. Of a task that failed nothing is public.
fn failure(reason: &str, now: Timestamp) -> Failure {
    use FailureClass as C;
    let (class, hint) = match reason {
        "file_format_check_failed" => (
            C::InvalidContent,
            Some("TikTok takes MP4 and MOV with H.264 best; convert it and post it again"),
        ),
        "duration_check_failed" => (
            C::InvalidContent,
            Some("the video is too short or too long for this account: change its length"),
        ),
        "frame_rate_check_failed" => {
            (C::InvalidContent, Some("TikTok takes 23 to 60 frames a second: convert it and post it again"))
        }
        "picture_size_check_failed" => {
            (C::InvalidContent, Some("each side may have 360 to 4096 pixels: scale it and post it again"))
        }
        "video_pull_failed" | "photo_pull_failed" => (
            C::Transient,
            Some(
                "TikTok could not fetch the files: `server.public_url` must be reachable by https, without \
                 a redirect, a login or a filter against robots before it; it is tried again",
            ),
        ),
        "publish_cancelled" => {
            (C::Policy, Some("it was taken back in TikTok; `sendoff post retry` posts it anew"))
        }
        "auth_removed" => {
            (C::AccountDead, Some("the creator ended the app's access: connect the account again"))
        }
        "spam_risk_too_many_posts" => (
            C::RateLimited,
            Some(
                "the account has posted as often as TikTok allows in 24 hours, by all apps together; it is \
                 tried again a day later",
            ),
        ),
        "spam_risk_user_banned_from_posting" | "spam_risk_text" | "spam_risk" => (C::Policy, None),
        _ => (C::Transient, None),
    };
    let words = if reason.is_empty() { "no reason given" } else { reason };
    Failure {
        class,
        message: format!("TikTok could not make the post: {words}"),
        hint: hint.map(str::to_owned).or_else(|| errors::hint(reason)),
        until: (class == C::RateLimited).then(|| now.saturating_add(DAY).unwrap_or(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_reason_has_a_class_and_those_that_a_person_must_mend_a_hint() {
        use FailureClass as C;
        for (reason, class) in [
            ("file_format_check_failed", C::InvalidContent),
            ("duration_check_failed", C::InvalidContent),
            ("frame_rate_check_failed", C::InvalidContent),
            ("picture_size_check_failed", C::InvalidContent),
            ("internal", C::Transient),
            ("video_pull_failed", C::Transient),
            ("photo_pull_failed", C::Transient),
            ("publish_cancelled", C::Policy),
            ("auth_removed", C::AccountDead),
            ("spam_risk_too_many_posts", C::RateLimited),
            ("spam_risk_user_banned_from_posting", C::Policy),
            ("spam_risk_text", C::Policy),
            ("spam_risk", C::Policy),
            ("something_new", C::Transient),
        ] {
            let failure = failure(reason, Timestamp::UNIX_EPOCH);
            assert_eq!(failure.class, class, "{reason}");
            assert!(failure.message.contains(reason));
            let until = (class == C::RateLimited).then(|| Timestamp::UNIX_EPOCH + DAY);
            assert_eq!(failure.until, until, "{reason}");
            assert_eq!(failure.hint.is_some(), !matches!(reason, "internal" | "something_new"), "{reason}");
        }
    }

    #[test]
    fn a_posts_id_is_read_from_a_list_of_large_numbers_and_from_text() {
        assert_eq!(post_id(&json!([7_080_000_000_000_000_001_u64])).unwrap(), "7080000000000000001");
        assert_eq!(post_id(&json!(["7080000000000000001"])).unwrap(), "7080000000000000001");
        for none in [json!([]), json!(null), json!([0]), json!(["x"])] {
            assert_eq!(post_id(&none), None);
        }
    }
}
