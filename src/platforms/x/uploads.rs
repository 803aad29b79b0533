//! Files on their way to X: one call for a small picture; initialize, append, finalize and status for
//! the rest; then the alternative text (docs.x.com/x-api/media/quickstart/media-upload-chunked).
//!
//! An upload shows nothing to anybody, and one that was lost just stays unused. What a repeated piece
//! does is not documented, so an upload whose piece got no answer is begun anew, as is one that X
//! knows no longer.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{MEDIA_SCOPE, answers, get, is_id, post};
use crate::domain::delivery::{self, Handle, Handles};
use crate::domain::media::{MediaItem, MediaKind};
use crate::platforms::{Answer, Body, Failure, FailureClass, Field, FilePart, Job, Request};

/// One piece: X's edge refuses larger ones with a bare 413, whatever the reference says
/// (the official samples use this size).
const PIECE: u64 = 1 << 20;
/// What stands around a file in the form that bears it.
const DRESS: u64 = 4 << 10;
/// No piece is cut smaller than this, however often the edge refuses.
const PIECE_MIN: u64 = 256 << 10;
/// `segment_index` goes to 999.
const PIECES_MAX: u64 = 1000;
/// How often a file is begun anew before it is given up.
const TRIES_MAX: u32 = 5;
const TRIES: &str = "uploads.anew";
/// An upload that ends within this is not posted with any more.
const MARGIN: i64 = 600;
/// Life of an upload whose answer names none; X's own is a day.
const LIFE: i64 = 3600;
/// Between two questions for the state where X does not say how long to wait.
const CHECK: i64 = 5;
/// It is told to wait no longer than this at once.
const CHECK_MAX: i64 = 300;

/// The parts of a file's state, behind the number of the file.
fn key(n: usize, part: &str) -> String {
    format!("media:{n}.{part}")
}

const ID: &str = "id";
/// Bytes of a piece; the most a converted picture may have, once the edge has refused a larger one.
const CUT: &str = "piece";
/// Pieces that have arrived.
const SENT: &str = "sent";
const WHOLE: &str = "whole";
/// Alive until the state may be asked for again.
const WAIT: &str = "wait";
const READY: &str = "ready";
const ALT: &str = "alt";

/// The parts that go with one upload.
const OF_ONE: [&str; 5] = [SENT, WHOLE, WAIT, READY, ALT];

fn alive<'a>(handles: &'a Handles, n: usize, part: &str, now: Timestamp) -> Option<&'a str> {
    delivery::alive(handles, &key(n, part), now)
}

fn number(handles: &Handles, n: usize, part: &str, now: Timestamp) -> Option<u64> {
    alive(handles, n, part, now)?.parse().ok()
}

/// What X calls a kind of file.
pub(super) fn category(item: &MediaItem) -> &'static str {
    match item.kind {
        MediaKind::Mp4 | MediaKind::Mov => "tweet_video",
        MediaKind::Gif if item.detail.animated => "tweet_gif",
        _ => "tweet_image",
    }
}

/// A still picture that leaves in one call: small enough for the edge, or made only while it leaves, so
/// that its size is not known before.
fn in_one(item: &MediaItem) -> bool {
    category(item) == "tweet_image" && (item.detail.fit.is_some() || item.bytes <= PIECE)
}

fn alt_of(item: &MediaItem) -> Option<&str> {
    item.alt.as_deref().map(str::trim).filter(|it| !it.is_empty())
}

/// How many pieces a file makes.
fn pieces(item: &MediaItem, cut: u64) -> u64 {
    item.bytes.div_ceil(cut.max(1))
}

/// `cut`: what the edge is known to take at once.
fn begin(item: &MediaItem, cut: Option<u64>) -> Request {
    if in_one(item) && (cut.is_none() || item.detail.fit.is_some()) {
        let mut part = FilePart::whole(item);
        // Made only while it leaves, and for that no larger than the edge takes.
        if let (Some(fit), Some(cut)) = (&mut part.fit, cut) {
            fit.bytes_max = fit.bytes_max.min(cut);
        }
        let fields = vec![
            ("media_category".to_owned(), Field::Text(category(item).to_owned())),
            ("media".to_owned(), Field::file(part)),
        ];
        return post("x.upload", "/2/media/upload".into(), Body::Multipart(fields));
    }
    let about = json!({
        "media_type": item.kind.mime(),
        "total_bytes": item.bytes,
        "media_category": category(item),
    });
    let body = Body::Json(about.to_string().into_bytes());
    post("x.initialize", "/2/media/upload/initialize".into(), body)
}

/// The next call for the files of a part; then their ids, in order.
pub(super) fn next<'a>(
    job: &Job<'_>,
    handles: &'a Handles,
    now: Timestamp,
) -> Result<Result<Request, Vec<&'a str>>, Failure> {
    for (n, item) in job.media.iter().enumerate() {
        if let Some(call) = towards_whole(n, item, handles, now) {
            return Ok(Ok(call));
        }
    }
    let mut waits = None;
    let mut ids = Vec::new();
    for (n, item) in job.media.iter().enumerate() {
        let id = alive(handles, n, ID, now).unwrap_or_default();
        ids.push(id);
        if alive(handles, n, READY, now).is_none() {
            if alive(handles, n, WAIT, now).is_none() {
                let query = vec![("command".into(), "STATUS".into()), ("media_id".into(), id.to_owned())];
                return Ok(Ok(Request { query, ..get("x.status", "/2/media/upload".into()) }));
            }
            waits = waits.max(handles.get(&key(n, WAIT)).and_then(|it| it.expires));
        } else if let (Some(text), None) = (alt_of(item), alive(handles, n, ALT, now)) {
            let about = json!({ "id": id, "metadata": { "alt_text": { "text": text } } });
            let body = Body::Json(about.to_string().into_bytes());
            return Ok(Ok(post("x.metadata", "/2/media/metadata".into(), body)));
        }
    }
    match waits {
        Some(until) => Err(Failure {
            class: FailureClass::NotReady,
            message: "X is working on the files".into(),
            hint: None,
            until: Some(until),
        }),
        None => Ok(Err(ids)),
    }
}

/// What a file still needs until all of it lies with X.
fn towards_whole(n: usize, item: &MediaItem, handles: &Handles, now: Timestamp) -> Option<Request> {
    let Some(id) = alive(handles, n, ID, now) else {
        return Some(begin(item, number(handles, n, CUT, now)));
    };
    if alive(handles, n, WHOLE, now).is_some() {
        return None;
    }
    let cut = number(handles, n, CUT, now).unwrap_or(PIECE);
    let sent = number(handles, n, SENT, now).unwrap_or_default();
    if sent >= pieces(item, cut) {
        return Some(post("x.finalize", format!("/2/media/upload/{id}/finalize"), Body::None));
    }
    let start = sent * cut;
    let piece = FilePart::piece(item, start, cut.min(item.bytes - start));
    let fields = vec![
        ("segment_index".to_owned(), Field::Text(sent.to_string())),
        ("media".to_owned(), Field::file(piece)),
    ];
    Some(post("x.append", format!("/2/media/upload/{id}/append"), Body::Multipart(fields)))
}

/// What a call brings.
pub(super) fn answered(
    job: &Job<'_>,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let odd = || Failure::transient("an upload was answered that nobody asked for");
    // The same walk that asked the question.
    let n = (0..job.media.len())
        .find(|n| {
            let id = alive(handles, *n, ID, now);
            match call.label {
                "x.status" => id.is_some() && call.query.iter().any(|it| Some(it.1.as_str()) == id),
                "x.metadata" => id.is_some() && about(call)["id"].as_str() == id,
                _ => towards_whole(*n, &job.media[*n], handles, now).is_some(),
            }
        })
        .ok_or_else(odd)?;
    let item = &job.media[n];
    if !(200..300).contains(&answer.status) {
        return refused(n, item, handles, call, answer, now);
    }
    let data = &answer.json()["data"];
    match call.label {
        "x.initialize" => {
            let mut found = begun(n, data, now).ok_or_else(nameless)?;
            let cut = number(handles, n, CUT, now).unwrap_or(PIECE);
            found.insert(key(n, CUT), Handle::kept(cut.to_string()));
            Ok(found)
        }
        "x.upload" => {
            let mut found = begun(n, data, now).ok_or_else(nameless)?;
            found.insert(key(n, WHOLE), Handle::kept("yes"));
            found.extend(state(n, item, data, now)?);
            Ok(found)
        }
        "x.append" => {
            let sent = number(handles, n, SENT, now).unwrap_or_default() + 1;
            Ok([(key(n, SENT), Handle::kept(sent.to_string()))].into())
        }
        "x.finalize" => {
            // More or less than we have: a piece counted twice, or not at all.
            if data["size"].as_u64().is_some_and(|it| it != item.bytes) {
                return anew(n, item, handles, now, "X has another number of bytes than were sent");
            }
            let mut found = state(n, item, data, now)?;
            found.insert(key(n, WHOLE), Handle::kept("yes"));
            Ok(found)
        }
        "x.status" => state(n, item, data, now),
        "x.metadata" => Ok([(key(n, ALT), Handle::kept("yes"))].into()),
        _ => Err(odd()),
    }
}

/// The body of a call of ours.
fn about(call: &Request) -> Value {
    match &call.body {
        Body::Json(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn nameless() -> Failure {
    Failure::transient("X began an upload, and did not say what it is called")
}

/// A new upload has a name, and nothing of it is there.
fn begun(n: usize, data: &Value, now: Timestamp) -> Option<Handles> {
    let id = data["id"].as_str().filter(|it| is_id(it))?;
    let life = data["expires_after_secs"].as_i64().unwrap_or(LIFE).clamp(0, 30 * 86_400);
    let life = life - MARGIN.min(life / 2);
    let ends = now.checked_add(SignedDuration::from_secs(life)).ok();
    let mut found: Handles = OF_ONE.map(|part| (key(n, part), Handle::ended(now))).into();
    found.insert(key(n, ID), Handle::new(id, ends));
    Some(found)
}

/// What X says of its work on a file.
fn state(n: usize, item: &MediaItem, data: &Value, now: Timestamp) -> Result<Handles, Failure> {
    if !data["id"].is_string() {
        // Half an answer has no state in it either, and none means that all is well.
        return Err(Failure::transient("X's answer does not say which upload it is about"));
    }
    let info = &data["processing_info"];
    match info["state"].as_str() {
        None if info.is_null() => Ok([(key(n, READY), Handle::kept("yes"))].into()),
        Some("succeeded") => Ok([(key(n, READY), Handle::kept("yes"))].into()),
        Some("failed") => {
            let said = info["error"]["message"].as_str().or(info["error"]["name"].as_str());
            Err(unfit(item, said.unwrap_or("it gives no reason")))
        }
        // `pending`, `in_progress`, and what may be new.
        _ => {
            let wait = info["check_after_secs"].as_i64().unwrap_or(CHECK).clamp(1, CHECK_MAX);
            let until = now.checked_add(SignedDuration::from_secs(wait)).ok();
            Ok([(key(n, WAIT), Handle::new("", until))].into())
        }
    }
}

fn unfit(item: &MediaItem, said: &str) -> Failure {
    Failure {
        class: FailureClass::InvalidContent,
        message: format!("X does not take `{}`: {said}", item.name),
        hint: Some("see that the file is sound and within X's limits, and post it again".into()),
        until: None,
    }
}

/// What follows a refusal of a call that publishes nothing.
fn refused(
    n: usize,
    item: &MediaItem,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let failure = answers::failure(answer, now);
    let said = failure.message.clone();
    match (call.label, answer.status) {
        ("x.append" | "x.upload", 413) => smaller(n, item, handles, now).ok_or_else(|| unfit(item, &said)),
        (_, 401 | 402 | 408 | 429 | 500..) => Err(failure),
        // The description is no reason to keep the post back; the history keeps what X said.
        ("x.metadata", _) if failure.class != FailureClass::Permission => {
            Ok([(key(n, ALT), Handle::kept("refused"))].into())
        }
        // Posts without files go out all the same: it is this post that cannot, and not the account.
        (_, 403) if failure.class == FailureClass::Permission => Err(Failure {
            class: FailureClass::NotGranted,
            hint: Some(format!(
                "uploads need the permission `{MEDIA_SCOPE}`: connect the account again and grant it"
            )),
            ..failure
        }),
        (_, 403) => Err(failure),
        ("x.append" | "x.finalize" | "x.status", _) => anew(n, item, handles, now, &said),
        _ => Err(unfit(item, &said)),
    }
}

/// X knows the upload no longer, or has not all of it: the file goes up once more.
fn anew(
    n: usize,
    item: &MediaItem,
    handles: &Handles,
    now: Timestamp,
    said: &str,
) -> Result<Handles, Failure> {
    let tries = handles.get(TRIES).and_then(|it| it.value.parse::<u32>().ok()).unwrap_or_default();
    if tries >= TRIES_MAX {
        return Err(unfit(item, said));
    }
    Ok([(TRIES.to_owned(), Handle::kept((tries + 1).to_string())), (key(n, ID), Handle::ended(now))].into())
}

/// The edge takes no piece of this size: begun anew in pieces of half of it, while they are not too many.
/// A picture that is converted has no size to be cut by: it is made to fit what the edge takes of pieces,
/// then half of that.
fn smaller(n: usize, item: &MediaItem, handles: &Handles, now: Timestamp) -> Option<Handles> {
    let known = number(handles, n, CUT, now);
    let cut = match item.detail.fit {
        Some(_) => known.map_or(PIECE - DRESS, |it| it / 2),
        None => known.unwrap_or(PIECE) / 2,
    };
    (cut >= PIECE_MIN && pieces(item, cut) <= PIECES_MAX)
        .then(|| [(key(n, CUT), Handle::kept(cut.to_string())), (key(n, ID), Handle::ended(now))].into())
}
