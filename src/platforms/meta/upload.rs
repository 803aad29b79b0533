//! The bytes of a film on their way to Meta's upload host (rupload.facebook.com): sent from an offset,
//! and after a break from where the object says it stands, never blindly from the beginning.
//!
//! The host's errors are of another shape than the Graph API's, `debug_info`, and may come with 200
//! (developers.facebook.com/docs/video-api/guides/reels-publishing,
//! …/docs/instagram-platform/content-publishing).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::offset;
use crate::domain::delivery::{Handle, Handles, alive};
use crate::domain::media::MediaItem;
use crate::platforms::{Answer, Body, Endpoint, Failure, FailureClass, FilePart, Request};

/// How long an offset is believed: for the upload that follows at once, and not for one that follows a
/// break.
const BELIEVED: SignedDuration = SignedDuration::from_secs(2);
/// Before the first upload that follows one by which nothing arrived; doubled for each more.
const PAUSE: SignedDuration = SignedDuration::from_secs(20);
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Breaks by which nothing arrived, in a row, before the film is given up: more than an hour.
const STUCK_MAX: u32 = 10;

/// A message, alive until when no call is to be made.
pub const TROUBLE: &str = "trouble";

/// Why no call is to be made now, and until when.
pub fn paused(handles: &Handles, now: Timestamp) -> Option<Failure> {
    let why = alive(handles, TROUBLE, now)?;
    Some(Failure { until: handles.get(TROUBLE)?.expires, ..Failure::transient(why) })
}

/// The offset from which the upload goes on.
fn from(key: &str) -> String {
    format!("{key}.from")
}

/// How many bytes the object had when it was asked last, and how often in a row it had no more.
fn asked(key: &str) -> String {
    format!("{key}.asked")
}

fn stuck(key: &str) -> String {
    format!("{key}.stuck")
}

/// A new object, of which nothing is sent. Goes with what else is kept behind `key`.
pub fn begun(key: &str, now: Timestamp) -> Handles {
    [
        (from(key), Handle::lasting("0", now, BELIEVED)),
        (asked(key), Handle::ended(now)),
        (stuck(key), Handle::ended(now)),
    ]
    .into()
}

/// The upload broke off: the object is asked before anything more is sent.
pub fn broken(key: &str, now: Timestamp) -> Handles {
    [(from(key), Handle::ended(now))].into()
}

/// The offset to send from, if it is known; else the object is to be asked first.
pub fn next(handles: &Handles, key: &str, now: Timestamp) -> Option<u64> {
    alive(handles, &from(key), now)?.parse().ok()
}

/// The object has `received` bytes of a film that is not there whole: where to go on, and after a pause
/// if the last upload brought it nothing.
///
/// # Errors
/// It is no further than it was many tries before.
pub fn stands(key: &str, handles: &Handles, received: u64, now: Timestamp) -> Result<Handles, Failure> {
    let number = |key: &str| alive(handles, key, now).and_then(|it| it.parse::<u64>().ok());
    let further = number(&asked(key)).is_none_or(|before| before < received);
    let count = if further { 0 } else { number(&stuck(key)).unwrap_or_default() + 1 };
    if count >= u64::from(STUCK_MAX) {
        return Err(Failure {
            class: FailureClass::InvalidContent,
            message: format!("the upload of the video broke off again and again at {received} bytes"),
            hint: Some("look at the network between here and Meta, and post it again".into()),
            until: None,
        });
    }
    let pause = match u32::try_from(count) {
        Ok(count @ 1..) => (PAUSE * 2_i32.pow((count - 1).min(10))).min(PAUSE_MAX),
        _ => SignedDuration::ZERO,
    };
    // Whoever waits looks again a little after the pause is over.
    let believed = pause * 3 + BELIEVED;
    let kept = |value: u64| Handle::kept(value.to_string());
    let mut found: Handles = [
        (from(key), Handle::lasting(received.to_string(), now, believed)),
        (asked(key), kept(received)),
        (stuck(key), kept(count)),
    ]
    .into();
    if !pause.is_zero() {
        found.insert(TROUBLE.to_owned(), Handle::lasting("the upload of the video broke off", now, pause));
    }
    Ok(found)
}

/// Sends a film from `offset` on.
pub fn request(label: &'static str, to: &str, item: &MediaItem, offset: u64) -> Request {
    let part = match offset {
        0 => FilePart::whole(item),
        _ => FilePart::piece(item, offset, item.bytes.saturating_sub(offset)),
    };
    let headers = vec![("offset", offset.to_string()), ("file_size", item.bytes.to_string())];
    let body = Body::File { part, headers };
    Request { endpoint: Endpoint::Given("upload"), ..super::post(label, to.to_owned(), body) }
}

/// What the upload host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Arrived,
    /// Not from there, or not to its end: it goes on from where the object stands.
    Broken,
    /// The object takes no more bytes; with the host's words.
    Failed(String),
    /// No word of the upload host: an error of the Graph API, or none at all.
    Else,
}

impl Said {
    pub fn of(answer: &Answer) -> Self {
        let json = answer.json();
        let debug = &json["debug_info"];
        if !debug.is_object() {
            let arrived =
                (200..300).contains(&answer.status) && json["success"] == true && json.get("error").is_none();
            return if arrived { Self::Arrived } else { Self::Else };
        }
        let kind = debug["type"].as_str().unwrap_or_default();
        if debug["retriable"] == true || matches!(kind, "OffsetInvalidError" | "PartialRequestError") {
            return Self::Broken;
        }
        let words = debug["message"].as_str().unwrap_or("no reason given");
        Self::Failed(if kind.is_empty() { words.to_owned() } else { format!("{words} ({kind})") })
    }
}

/// How many bytes have arrived, from an `uploading_phase`: the documents and the specification spell
/// the counter in two ways.
pub fn received(phase: &Value) -> Option<u64> {
    offset(&phase["bytes_transferred"]).or_else(|| offset(&phase["bytes_transfered"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    fn said(status: u16, body: &Value) -> Said {
        Said::of(&Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() })
    }

    #[test]
    fn the_upload_hosts_own_errors_are_read_whatever_the_status() {
        let debug = |kind: &str, retriable: bool| json!({ "debug_info": { "retriable": retriable, "type": kind, "message": "m" } });
        for status in [200, 400, 500] {
            assert_eq!(said(status, &debug("OffsetInvalidError", false)), Said::Broken);
            assert_eq!(said(status, &debug("PartialRequestError", false)), Said::Broken);
            assert_eq!(said(status, &debug("ProcessingFailedError", true)), Said::Broken);
            let failed = Said::Failed("m (ProcessingFailedError)".into());
            assert_eq!(said(status, &debug("ProcessingFailedError", false)), failed);
        }
        assert_eq!(said(200, &json!({ "success": true })), Said::Arrived);
        for (status, body) in [(500, json!({ "success": true })), (200, json!({})), (400, json!(null))] {
            assert_eq!(said(status, &body), Said::Else);
        }
    }

    #[test]
    fn an_offset_is_believed_for_the_next_call_alone_and_a_break_without_progress_waits() {
        let mut handles = begun("v", now());
        let later = |seconds| now() + SignedDuration::from_secs(seconds);
        assert_eq!((next(&handles, "v", now()), next(&handles, "v", later(5))), (Some(0), None));
        // Further than before: at once. No further: after a pause, in which the offset is not forgotten.
        handles.extend(stands("v", &handles, 600, later(5)).unwrap());
        assert_eq!(next(&handles, "v", later(5)), Some(600));
        assert_eq!(alive(&handles, TROUBLE, later(5)), None);
        handles.extend(stands("v", &handles, 600, later(30)).unwrap());
        assert!(
            alive(&handles, TROUBLE, later(49)).is_some() && alive(&handles, TROUBLE, later(51)).is_none()
        );
        assert_eq!(next(&handles, "v", later(80)), Some(600));
        handles.extend(broken("v", later(80)));
        assert_eq!(next(&handles, "v", later(80)), None);
        let mut at = later(100);
        let end = loop {
            match stands("v", &handles, 600, at) {
                Ok(more) => handles.extend(more),
                Err(failure) => break failure,
            }
            at += SignedDuration::from_hours(1);
            assert!(at < later(24 * 3600), "it goes on for ever");
        };
        assert!(end.message.contains("600"), "{end:?}");
        assert!(stands("v", &handles, 601, at).is_ok(), "progress is what counts");
    }
}
