//! Videos, reels and video stories: the bytes go up under a `video_id` that nobody sees, and one last
//! call makes it public.
//!
//! Ordinary videos go in the phases of `/videos` (start, transfer, finish), because that works with
//! the Page's token and without a public address; reels and stories go whole to the upload host. What
//! breaks off goes on from where Facebook says it stands; a session that is of no use any more is
//! begun anew, a few times.
//! Sources: developers.facebook.com/docs/video-api/guides/reels-publishing, page-stories-api; the
//! phases of `/videos` after the generated specification of v25.0 and an open-source client.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::form::Form;
use super::{frozen_body, json_body, live};
use crate::domain::delivery::{Frozen, Handle, Handles, alive};
use crate::domain::media::MediaItem;
use crate::platforms::meta::upload::{self, Said, TROUBLE};
use crate::platforms::meta::{self, errors};
use crate::platforms::{Answer, Body, Failure, FailureClass, Field, FilePart, Job, Next, Request, Sight};

/// The names under which the state of an upload is kept. Names of the upload host's part begin with
/// [`UPLOAD`].
const VIDEO: &str = "video.id";
const SESSION: &str = "video.session";
const ADDRESS: &str = "video.address";
const FROM: &str = "video.from";
const TO: &str = "video.to";
const UPLOADED: &str = "video.uploaded";
const READY: &str = "video.ready";
const UPLOAD: &str = "video";
/// How often a session came to nothing.
const TRIES: &str = "video.tries";

/// Nobody says how long a session is kept whose bytes are not all there; an older one is begun anew.
const LIFE: SignedDuration = SignedDuration::from_hours(20);
/// Sessions begun for one video before it is given up, and the wait before the second; doubled for each
/// more.
const TRIES_MAX: u32 = 5;
const PAUSE: SignedDuration = SignedDuration::from_secs(20);

/// The next call of an upload, or the request that publishes it.
pub(super) fn next(
    job: &Job<'_>,
    form: Form,
    page: &str,
    handles: &Handles,
    now: Timestamp,
) -> Result<Next, Failure> {
    let item = film(job)?;
    let text = |key: &str| alive(handles, key, now);
    if let Some(pause) = upload::paused(handles, now) {
        return Err(pause);
    }
    let path = match form {
        Form::Reel => format!("/{page}/video_reels"),
        Form::VideoStory => format!("/{page}/video_stories"),
        _ => format!("/{page}/videos"),
    };
    let Some(video) = text(VIDEO) else {
        let mut params = json!({ "upload_phase": "start" });
        if form == Form::Video {
            params["file_size"] = json!(item.bytes);
        }
        return Ok(Next::Call(meta::post("facebook.video.start", path, json_body(&params))));
    };
    if text(UPLOADED).is_none() {
        if form == Form::Video {
            return transfer(item, path, handles, now).map(Next::Call);
        }
        let to = text(ADDRESS).unwrap_or_default();
        return Ok(Next::Call(match upload::next(handles, UPLOAD, now) {
            Some(offset) => upload::request("facebook.video.upload", to, item, offset),
            None => status("facebook.video.received", video),
        }));
    }
    // A story is made of a video that has arrived whole.
    if form == Form::VideoStory && text(READY).is_none() {
        return Ok(Next::Call(status("facebook.video.ready", video)));
    }
    let mut params = json!({ "upload_phase": "finish" });
    match form {
        Form::Video => {
            params["upload_session_id"] = json!(text(SESSION).unwrap_or_default());
            params["published"] = json!(true);
        }
        _ => params["video_id"] = json!(video),
    }
    if form == Form::Reel {
        params["video_state"] = json!("PUBLISHED");
    }
    if form != Form::VideoStory {
        if !job.text.trim().is_empty() {
            params["description"] = json!(job.text);
        }
        if let Some(title) = job.options.get("title") {
            params["title"] = json!(title);
        }
    }
    Ok(Next::Publish(Frozen { marker: video.to_owned(), body: params.to_string().into_bytes() }))
}

fn film<'a>(job: &Job<'a>) -> Result<&'a MediaItem, Failure> {
    job.media.first().ok_or_else(|| Failure::transient("the post has no video any more"))
}

/// The piece of a video that `/videos` asked for.
fn transfer(item: &MediaItem, path: String, handles: &Handles, now: Timestamp) -> Result<Request, Failure> {
    let text = |key: &str| alive(handles, key, now);
    let number = |key| text(key).and_then(|it| it.parse::<u64>().ok());
    let (Some(session), Some(from), Some(to)) = (text(SESSION), number(FROM), number(TO)) else {
        return Err(Failure::transient("an upload's state could not be read back"));
    };
    let piece = FilePart::piece(item, from, to.min(item.bytes).saturating_sub(from));
    let fields = vec![
        ("upload_phase".to_owned(), Field::Text("transfer".into())),
        ("upload_session_id".into(), Field::Text(session.to_owned())),
        ("start_offset".into(), Field::Text(from.to_string())),
        ("video_file_chunk".into(), Field::file(piece)),
    ];
    Ok(meta::post("facebook.video.transfer", path, Body::Multipart(fields)))
}

/// What a call of an upload brings.
pub(super) fn answered(
    job: &Job<'_>,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    match read(film(job)?, handles, call, answer, now) {
        Err(failure) if failure.class == FailureClass::MediaGone => anew(handles, failure, now),
        Ok(mut found) if alive(&found, UPLOADED, now).is_some() => {
            // From here on it may be published, and no other may take its place because it grew old.
            for key in [VIDEO, SESSION] {
                if let Some(value) = alive(handles, key, now) {
                    found.entry(key.to_owned()).or_insert_with(|| Handle::kept(value));
                }
            }
            Ok(found)
        }
        other => other,
    }
}

fn read(
    item: &MediaItem,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let json = answer.json();
    let failed = || errors::failure(answer, now);
    let lost = |failure: Failure| Failure { class: FailureClass::MediaGone, ..failure };
    let error = errors::GraphError::of(&json);
    match call.label {
        "facebook.video.transfer" => {
            let next = match &error {
                // Where the server wants to go on after an offset it did not expect (6001/1363037).
                Some(error) if error.is("1363037") => expected(&json, now).ok_or_else(|| lost(failed()))?,
                // The session timed out, is broken or unknown: it starts from the beginning.
                Some(error) if session_ended(error) => return Err(lost(failed())),
                None if answer.status == 200 => range(&json, now).ok_or_else(failed)?,
                _ => return Err(failed()),
            };
            // A server that does not move on would be fed the same bytes for ever.
            let before = handles.get(FROM).map(|it| &it.value);
            if !next.contains_key(UPLOADED) && next.get(FROM).map(|it| &it.value) == before {
                return Err(lost(Failure::transient("the upload does not move on")));
            }
            return Ok(next);
        }
        "facebook.video.upload" => {
            return match (Said::of(answer), &error) {
                (Said::Arrived, _) => Ok(uploaded()),
                (Said::Broken, _) => Ok(upload::broken(UPLOAD, now)),
                (Said::Failed(words), _) => {
                    Err(gone(format!("Facebook did not take the bytes of the video: {words}")))
                }
                (Said::Else, Some(error)) if session_ended(error) => Err(lost(failed())),
                (Said::Else, _) => Err(failed()),
            };
        }
        _ => {}
    }
    if answer.status != 200 || error.is_some() {
        // Reads have failed for videos that were there; none of them says that this one is not.
        return Err(if error.as_ref().is_some_and(errors::is_missing) && call.method == http::Method::GET {
            Failure { class: FailureClass::Transient, ..failed() }
        } else {
            failed()
        });
    }
    match call.label {
        "facebook.video.start" => {
            let video = meta::id(&json["video_id"]).ok_or_else(failed)?;
            let mut found = upload::begun(UPLOAD, now);
            // What belonged to one before it.
            let before = [UPLOADED, READY].into_iter().filter(|it| handles.contains_key(*it));
            found.extend(before.map(|it| (it.to_owned(), Handle::ended(now))));
            found.insert(VIDEO.to_owned(), Handle::lasting(video, now, LIFE));
            if let Some(address) = json["upload_url"].as_str() {
                found.insert(ADDRESS.to_owned(), Handle::lasting(address, now, LIFE));
            } else {
                let session = json["upload_session_id"].as_str().ok_or_else(failed)?;
                found.insert(SESSION.to_owned(), Handle::lasting(session, now, LIFE));
                found.extend(range(&json, now).ok_or_else(failed)?);
            }
            Ok(found)
        }
        "facebook.video.received" => {
            let phase = &json["status"]["uploading_phase"];
            if matches!(state(&json, true), State::Expired) || phase["status"] == "error" {
                let words = words(phase).unwrap_or_else(|| "the upload has ended".into());
                return Err(gone(format!("Facebook did not take the bytes of the video: {words}")));
            }
            match upload::received(phase) {
                Some(all) if all == item.bytes => Ok(uploaded()),
                Some(part) if part < item.bytes => upload::stands(UPLOAD, handles, part, now),
                Some(_) => Err(gone("Facebook has more bytes than the video".into())),
                None if phase["status"] == "complete" => Ok(uploaded()),
                None => Err(gone("Facebook does not say how much of the video has arrived".into())),
            }
        }
        "facebook.video.ready" => match state(&json, true) {
            State::Failed(failure) => Err(failure),
            State::Expired => Err(gone("the video ended before it was published".into())),
            _ if matches!(json["status"]["video_status"].as_str(), Some("upload_complete" | "ready")) => {
                Ok([(READY.to_owned(), Handle::kept("yes"))].into())
            }
            _ => Err(Failure {
                class: FailureClass::NotReady,
                ..Failure::transient("Facebook is still receiving the video")
            }),
        },
        _ => Err(failed()),
    }
}

fn gone(message: String) -> Failure {
    Failure { class: FailureClass::MediaGone, ..Failure::transient(message) }
}

fn uploaded() -> Handles {
    [(UPLOADED.to_owned(), Handle::kept("yes"))].into()
}

/// Whether an error of an upload means that its session is of no use any more: 6000 and its subcodes
/// (1363045, and 1363030 for one that took too long), or an object that is not there.
fn session_ended(error: &errors::GraphError) -> bool {
    ["6000", "1363045", "1363030"].iter().any(|it| error.is(it)) || errors::is_missing(error)
}

/// Forgets a session that came to nothing, unless that happened too often. Nothing was published: only
/// what was never finished is begun anew.
fn anew(handles: &Handles, failure: Failure, now: Timestamp) -> Result<Handles, Failure> {
    let tries = handles.get(TRIES).and_then(|it| it.value.parse::<u32>().ok()).unwrap_or_default() + 1;
    if tries >= TRIES_MAX {
        let hint = "see that length, shape and codec are what Facebook takes, and post it again";
        return Err(Failure {
            class: FailureClass::InvalidContent,
            hint: Some(hint.into()),
            until: None,
            ..failure
        });
    }
    Ok([
        (TRIES.to_owned(), Handle::kept(tries.to_string())),
        (TROUBLE.to_owned(), Handle::lasting(failure.message, now, PAUSE * 2_i32.pow(tries - 1))),
        (VIDEO.to_owned(), Handle::ended(now)),
    ]
    .into())
}

/// The bytes the server wants next; none left when both offsets are the same.
fn range(json: &Value, now: Timestamp) -> Option<Handles> {
    let (from, to) = (meta::offset(&json["start_offset"])?, meta::offset(&json["end_offset"])?);
    let mut found: Handles = [(FROM, from), (TO, to)]
        .map(|(key, at)| (key.to_owned(), Handle::lasting(at.to_string(), now, LIFE)))
        .into();
    if from == to {
        found.extend(uploaded());
    }
    Some(found)
}

/// The bytes the server wants after an offset it did not expect; none, if the answer to the last of them
/// was what got lost.
fn expected(json: &Value, now: Timestamp) -> Option<Handles> {
    let data = &json["error"]["error_data"];
    // Sometimes it is JSON within a text.
    let inner = data.as_str().and_then(|it| serde_json::from_str::<Value>(it).ok());
    range(inner.as_ref().unwrap_or(data), now)
}

/// Asks a video for its state.
pub(super) fn status(label: &'static str, video: &str) -> Request {
    meta::get(label, format!("/{video}"), &[("fields", "status,published,post_id,permalink_url")])
}

/// What a video says of itself.
enum State {
    Published,
    Working,
    Failed(Failure),
    /// It never became public, and its time is over.
    Expired,
    /// It could be published now.
    Waiting,
}

/// `reel`: its publishing phase alone tells (video-api/guides/reels-publishing); `published` is said of
/// videos, and of a reel before it is through.
fn state(json: &Value, reel: bool) -> State {
    let status = &json["status"];
    let phase = |name: &str| status[name]["status"].as_str().unwrap_or_default();
    let publishing = &status["publishing_phase"];
    let published = phase("publishing_phase") == "complete" && publishing["publish_status"] == "published";
    if published || !reel && json["published"] == true && phase("processing_phase") != "error" {
        return State::Published;
    }
    let phases = ["uploading_phase", "processing_phase", "publishing_phase"];
    if status["video_status"] == "error" || phases.iter().any(|it| phase(it) == "error") {
        let words =
            phases.iter().find_map(|it| words(&status[*it])).unwrap_or_else(|| "no reason given".into());
        return State::Failed(Failure {
            class: FailureClass::InvalidContent,
            message: format!("Facebook could not take the video: {words}"),
            hint: Some("see that length, shape and codec are what Facebook takes, and post it again".into()),
            until: None,
        });
    }
    if status["video_status"] == "expired" {
        return State::Expired;
    }
    let working = phase("processing_phase") == "in_progress" || phase("publishing_phase") == "in_progress";
    if working { State::Working } else { State::Waiting }
}

/// A phase's error: `error{message}` in the documents, `errors[]{code,message}` in the specification.
fn words(phase: &Value) -> Option<String> {
    let one = &phase["error"]["message"];
    let listed = &phase["errors"][0];
    let text = one.as_str().or_else(|| listed["message"].as_str())?;
    let code = phase["error"]["code"].as_i64().or_else(|| listed["code"].as_i64());
    Some(code.map_or_else(|| text.to_owned(), |code| format!("{text} (code {code})")))
}

/// What a video shows after the answer to its publishing was lost, or said that it is being worked on.
pub(super) fn seen(frozen: &Frozen, answer: &Answer, bound: &dyn Fn(&str) -> bool, now: Timestamp) -> Sight {
    let json = answer.json();
    let ours = meta::id(&json["id"]).is_none_or(|it| it == frozen.marker);
    if answer.status != 200 || !json["status"].is_object() || !ours {
        return Sight::Unclear(errors::failure(answer, now));
    }
    let reel = frozen_body(frozen)["video_state"].is_string();
    match state(&json, reel) {
        State::Published if bound(&frozen.marker) => {
            Sight::Disputed { message: "this video belongs to another post already".into() }
        }
        State::Published => {
            let address = meta::permalink(answer, &json["permalink_url"], &frozen.marker);
            let mut live = live(frozen.marker.clone(), address, Form::Video, true);
            live.extra.extend(meta::id(&json["post_id"]).map(|id| ("post_id".to_owned(), id)));
            Sight::Found(live)
        }
        State::Working => Sight::Unclear(Failure {
            class: FailureClass::NotReady,
            message: "Facebook is still working on the video".into(),
            hint: None,
            until: None,
        }),
        State::Failed(failure) => Sight::Failed(failure),
        State::Expired => Sight::Gone,
        State::Waiting => Sight::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_as(json: &Value) -> Sight {
        let frozen = Frozen { marker: "77".into(), body: Vec::new() };
        let answer = Answer { status: 200, headers: Vec::new(), body: json.to_string().into_bytes() };
        seen(&frozen, &answer, &|_| false, "2026-12-01T09:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_video_is_live_when_it_says_so_and_not_when_it_was_merely_accepted() {
        let phases = |processing: &str, publishing: Value| {
            json!({ "id": "77", "status": { "video_status": "processing",
                "uploading_phase": { "status": "complete" },
                "processing_phase": { "status": processing }, "publishing_phase": publishing } })
        };
        let done = json!({ "status": "complete", "publish_status": "published" });
        assert!(matches!(seen_as(&phases("complete", done)), Sight::Found(_)));
        let working = seen_as(&phases("in_progress", json!({ "status": "not_started" })));
        assert!(matches!(working, Sight::Unclear(Failure { class: FailureClass::NotReady, .. })));
        let idle = seen_as(&phases("complete", json!({ "status": "not_started" })));
        assert_eq!(idle, Sight::Absent);
        let draft = json!({ "status": "complete", "publish_status": "draft" });
        assert_eq!(seen_as(&phases("complete", draft)), Sight::Absent);
    }

    #[test]
    fn a_reel_is_not_live_because_it_says_published_beside_a_phase_that_is_not_over() {
        let json = json!({ "id": "77", "published": true, "status": { "video_status": "processing",
            "processing_phase": { "status": "in_progress" }, "publishing_phase": { "status": "not_started" } } });
        let body = json!({ "video_id": "77", "video_state": "PUBLISHED" }).to_string().into_bytes();
        let reel = Frozen { marker: "77".into(), body };
        let answer = Answer { status: 200, headers: Vec::new(), body: json.to_string().into_bytes() };
        let sight = seen(&reel, &answer, &|_| false, "2026-12-01T09:00:00Z".parse().unwrap());
        assert!(matches!(sight, Sight::Unclear(Failure { class: FailureClass::NotReady, .. })), "{sight:?}");
        assert!(matches!(seen_as(&json), Sight::Found(_)), "of a video it is what counts");
    }

    #[test]
    fn a_video_that_failed_tells_why_in_either_spelling() {
        for phase in [
            json!({ "status": "error", "error": { "message": "Aspect ratio" } }),
            json!({ "status": "error", "errors": [{ "code": 1_363_040, "message": "Aspect ratio" }] }),
        ] {
            let json = json!({ "status": { "video_status": "error", "processing_phase": phase } });
            let Sight::Failed(failure) = seen_as(&json) else { panic!("{json}") };
            assert!(failure.message.contains("Aspect ratio"), "{failure:?}");
            assert_eq!(failure.class, FailureClass::InvalidContent);
        }
        assert_eq!(seen_as(&json!({ "status": { "video_status": "expired" } })), Sight::Gone);
    }

    #[test]
    fn offsets_are_read_as_text_and_as_numbers_and_an_unexpected_one_is_followed() {
        let now = "2026-12-01T09:00:00Z".parse().unwrap();
        let both = json!({ "start_offset": "5", "end_offset": 9 });
        assert_eq!(range(&both, now).unwrap()[FROM].value, "5");
        let data = json!({ "start_offset": "100", "end_offset": "200" });
        for data in [data.clone(), json!(data.to_string())] {
            let moved = json!({ "error": { "code": 6001, "error_subcode": 1_363_037, "error_data": data } });
            assert_eq!(expected(&moved, now).unwrap()[FROM].value, "100");
        }
        assert_eq!(expected(&json!({ "error": { "code": 6001 } }), now), None);
    }
}
