//! A film's way up: a task that nobody sees, its bytes piece by piece, and the last piece, which is what
//! publishes it (developers.tiktok.com/doc/content-posting-api-media-transfer-guide).
//!
//! The task's `publish_id` is stored before the first byte leaves. Whatever becomes of the answer to the
//! last piece, that id tells what became of the post; no second task is made while the first could still
//! become one.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::creator::{self, Creator};
use super::form::{self, Form};
use super::plan::Plan;
use super::{DOMAIN, errors, json_call};
use crate::domain::delivery::{Frozen, Handle, Handles, alive};
use crate::domain::media::MediaItem;
use crate::platforms::{
    Answer, Body, Endpoint, Failure, FailureClass, FilePart, Job, Next, Request, Verdict,
};

/// The names under which an upload is kept.
const TASK: &str = "publish_id";
const ADDRESS: &str = "upload";
const SENT: &str = "sent";
const WHO: &str = "username";
/// What its task forbids others ([`form::forbidden`]).
const FORBIDS: &str = "forbids";
/// Tasks made so far.
const TASKS: &str = "tasks";

/// `upload_url` ends an hour after it was given; no piece is begun so near its end.
const LIFE: SignedDuration = SignedDuration::from_mins(55);
/// Past this no byte can arrive any more, and nobody still writes one.
const ENDED: SignedDuration = SignedDuration::from_mins(80);
/// Tasks made for one post before it is given up.
const TASKS_MAX: u32 = 5;

fn number(handles: &Handles, key: &str) -> Option<u64> {
    handles.get(key)?.value.parse().ok()
}

/// The next call of an upload, or the request that publishes it.
pub(super) fn next(job: &Job<'_>, form: Form, handles: &Handles, now: Timestamp) -> Result<Next, Failure> {
    let item = job.media.first().ok_or_else(|| Failure::transient("the post has no video any more"))?;
    let plan = Plan::of(item.bytes);
    let task = alive(handles, TASK, now).zip(alive(handles, ADDRESS, now));
    let Some((task, address)) = task else {
        if number(handles, TASKS).unwrap_or_default() >= u64::from(TASKS_MAX) {
            return Err(Failure {
                class: FailureClass::InvalidContent,
                message: format!("the video could not be brought to TikTok in {TASKS_MAX} uploads"),
                hint: Some(
                    "each must arrive within an hour: see whether the line is fast enough for the file"
                        .into(),
                ),
                until: None,
            });
        }
        let creator = if form.is_direct() {
            let Some(creator) = creator::known(handles, now) else { return Ok(Next::Call(creator::query())) };
            Some(creator)
        } else {
            None
        };
        return Ok(Next::Call(begin(job, form, plan, creator.as_ref())));
    };
    let start = number(handles, SENT).unwrap_or_default();
    if start < plan.last_start() {
        return Ok(Next::Call(piece("tiktok.chunk", address, item, plan, start)));
    }
    if form.is_direct() {
        // It is the last piece that publishes, and the upload took its time.
        let Some(creator) = creator::lately(handles, now) else { return Ok(Next::Call(creator::query())) };
        // Switched on or off meanwhile: the task says what is not so any more, and cannot be changed.
        if handles.get(FORBIDS).is_some_and(|it| it.value != forbids(job, &creator)) {
            if number(handles, TASKS).unwrap_or_default() >= u64::from(TASKS_MAX) {
                return Err(restless());
            }
            return Ok(Next::Call(begin(job, form, plan, Some(&creator))));
        }
    }
    let until = handles.get(ADDRESS).and_then(|it| it.expires).unwrap_or(now);
    let body = json!({
        "publish_id": task,
        "upload_url": address,
        "total": item.bytes,
        "ended": until.saturating_add(ENDED - LIFE).unwrap_or(until).to_string(),
        "username": handles.get(WHO).map(|it| it.value.as_str()).unwrap_or_default(),
        "privacy": job.options.get("privacy").filter(|_| form.is_direct()),
    });
    Ok(Next::Publish(Frozen { marker: task.to_owned(), body: body.to_string().into_bytes() }))
}

/// Each upload found the account's switches changed at its end.
fn restless() -> Failure {
    Failure {
        class: FailureClass::InvalidContent,
        message: format!(
            "comments, duets or stitches of the account were switched during each of {TASKS_MAX} uploads"
        ),
        hint: Some("leave them as they are for a while, and post it again".into()),
        until: None,
    }
}

fn forbids(job: &Job<'_>, creator: &Creator) -> String {
    form::forbidden(job, creator).map(|it| if it { '1' } else { '0' }).iter().collect()
}

/// Makes a task. Nothing comes of it without its bytes, so a lost answer costs one call of six a minute.
fn begin(job: &Job<'_>, form: Form, plan: Plan, creator: Option<&Creator>) -> Request {
    let mut body = json!({ "source_info": {
        "source": "FILE_UPLOAD",
        "video_size": plan.total,
        "chunk_size": plan.chunk,
        "total_chunk_count": plan.count,
    } });
    if let Some(creator) = creator {
        body["post_info"] = form::video_info(job, creator);
    }
    json_call("tiktok.init", form.path(), &body)
}

/// One piece. It goes without a token: the address is secret enough.
fn piece(label: &'static str, address: &str, item: &MediaItem, plan: Plan, start: u64) -> Request {
    Request {
        label,
        method: http::Method::PUT,
        endpoint: Endpoint::GivenBelow("api", DOMAIN),
        path: address.to_owned(),
        query: Vec::new(),
        body: Body::File {
            part: FilePart::piece(item, start, plan.length(start)),
            headers: vec![("content-range", plan.range(start))],
        },
        auth: false,
    }
}

/// The last piece.
pub(super) fn publish(job: &Job<'_>, body: &Value) -> Request {
    let address = body["upload_url"].as_str().unwrap_or_default();
    let plan = Plan::of(body["total"].as_u64().unwrap_or_default());
    match job.media.first() {
        Some(item) => piece("tiktok.last", address, item, plan, plan.last_start()),
        // Without its file it would only be refused; the daemon finds that out before a byte leaves.
        None => Request {
            body: Body::None,
            endpoint: Endpoint::GivenBelow("api", DOMAIN),
            method: http::Method::PUT,
            ..json_call("tiktok.last", address, &json!({}))
        },
    }
}

/// What a call of an upload brings.
pub(super) fn answered(
    job: &Job<'_>,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    match call.label {
        "tiktok.init" => {
            let failed = || errors::failure(answer, now);
            let data = errors::data(answer).ok_or_else(failed)?;
            let task = data["publish_id"].as_str().filter(|it| !it.is_empty()).ok_or_else(failed)?;
            let address = data["upload_url"].as_str().filter(|it| !it.is_empty()).ok_or_else(failed)?;
            let ends = now.checked_add(LIFE).ok();
            let made = number(handles, TASKS).unwrap_or_default() + 1;
            // By which the task was made, however long its answer took.
            let creator = creator::told(handles);
            let forbids = creator.as_ref().map(|it| forbids(job, it)).unwrap_or_default();
            let who = creator.map(|it| it.username).unwrap_or_default();
            Ok([
                (FORBIDS.to_owned(), Handle::kept(forbids)),
                (TASK.to_owned(), Handle::new(task, ends)),
                (ADDRESS.to_owned(), Handle::new(address, ends)),
                (SENT.to_owned(), Handle::kept("0")),
                (TASKS.to_owned(), Handle::kept(made.to_string())),
                (WHO.to_owned(), Handle::kept(who)),
            ]
            .into())
        }
        "tiktok.chunk" => {
            let item =
                job.media.first().ok_or_else(|| Failure::transient("the post has no video any more"))?;
            let plan = Plan::of(item.bytes);
            let before = number(handles, SENT).unwrap_or_default();
            arrived(plan, before, answer, now)
        }
        _ => Err(errors::failure(answer, now)),
    }
}

/// Where the upload stands after a piece.
fn arrived(plan: Plan, before: u64, answer: &Answer, now: Timestamp) -> Result<Handles, Failure> {
    let told = answer.header("content-range").and_then(stored);
    let at = match answer.status {
        206 => told.unwrap_or(before + plan.length(before)),
        // It has everything already, or wants to go on elsewhere.
        201 => plan.total,
        416 => match told {
            Some(at) => at,
            None => return Ok(lost(now)),
        },
        429 | 500.. => {
            return Err(Failure::transient(format!(
                "TikTok's upload server answered {}; the piece is sent again",
                answer.status
            )));
        }
        _ => return Ok(lost(now)),
    };
    if at == before {
        return Err(Failure::transient("the upload does not move on"));
    }
    // All of it: whether a post comes of that, the task tells.
    let at = if at >= plan.total { plan.last_start() } else { at };
    if plan.begins_at(at) {
        Ok([(SENT.to_owned(), Handle::kept(at.to_string()))].into())
    } else {
        Ok(lost(now))
    }
}

/// How many bytes are there, by `bytes 0-{last}/{total}`.
fn stored(header: &str) -> Option<u64> {
    let (range, _) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    (first.trim() == "0").then(|| last.trim().parse::<u64>().ok()?.checked_add(1)).flatten()
}

/// The task is of no use any more. It lacks bytes, so no post can come of it, and the next call makes
/// another.
fn lost(now: Timestamp) -> Handles {
    [TASK, ADDRESS].map(|key| (key.to_owned(), Handle::ended(now))).into()
}

/// What the answer to the last piece proves: at best that everything is there. What becomes of it, the
/// task tells.
pub(super) fn judge(answer: &Answer) -> Verdict {
    match answer.status {
        201 => Verdict::Pending { message: "TikTok has the video and is working on it".into() },
        status => Verdict::Ambiguous { message: format!("TikTok's upload server answered {status}") },
    }
}

/// When the task can certainly get no byte any more.
pub(super) fn has_ended(body: &Value, now: Timestamp) -> bool {
    let ended = body["ended"].as_str().and_then(|it| it.parse::<Timestamp>().ok());
    ended.is_some_and(|it| it <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_that_are_there_are_read_from_the_header() {
        assert_eq!(stored("bytes 0-9999999/50000123"), Some(10_000_000));
        for odd in ["", "bytes */50000123", "bytes 5-9/10", "0-9/10", "bytes 0-x/10", "bytes 0-9"] {
            assert_eq!(stored(odd), None, "{odd}");
        }
    }
}
