//! Files on their way to LinkedIn: begun, sent, and worked on there
//! (learn.microsoft.com/linkedin/marketing/community-management/shares/images-api, videos-api,
//! documents-api).
//!
//! An upload shows nothing to anybody, and one that was lost just stays unused. Members' tokens may not
//! ask how far a file is, so for those a short wait has to do, and the create call says if it was not
//! enough.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{errors, get, post};
use crate::domain::account::Account;
use crate::domain::delivery::{self, Handle, Handles};
use crate::domain::kind::Kind;
use crate::domain::media::{MediaItem, MediaKind};
use crate::platforms::{Answer, Body, Endpoint, Failure, FailureClass, FilePart, Job, Request};

/// How often a file is begun anew because its upload address had ended.
const TRIES_MAX: u32 = 5;
const TRIES: &str = "uploads.anew";
/// How long a file rests where nobody may ask how far it is.
const PICTURE_RESTS: SignedDuration = SignedDuration::from_secs(5);
const FILM_RESTS: SignedDuration = SignedDuration::from_secs(10);

/// The parts of a file's state, behind the number of the file.
fn key(n: usize, part: &str) -> String {
    format!("media:{n}.{part}")
}

const ASSET: &str = "asset";
const ADDRESS: &str = "address";
const PIECES: &str = "pieces";
const TOKEN: &str = "token";
const TAGS: &str = "tags";
const SENT: &str = "sent";
const RESTS: &str = "rests";
const READY: &str = "ready";

fn alive<'a>(handles: &'a Handles, n: usize, part: &str, now: Timestamp) -> Option<&'a str> {
    delivery::alive(handles, &key(n, part), now)
}

/// What the API calls a kind of file, and where it stands in the answer.
fn noun(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Mp4 | MediaKind::Mov => ("videos", "video"),
        MediaKind::Pdf => ("documents", "document"),
        MediaKind::Jpeg | MediaKind::Png | MediaKind::WebP | MediaKind::Gif => ("images", "image"),
    }
}

fn begin(author: &str, item: &MediaItem) -> Request {
    let (noun, word) = noun(item.kind);
    let mut about = json!({ "owner": author });
    if item.kind.is_video() {
        about["fileSizeBytes"] = json!(item.bytes);
        about["uploadCaptions"] = json!(false);
        about["uploadThumbnail"] = json!(false);
    }
    let label = match word {
        "video" => "linkedin.video.start",
        "document" => "linkedin.document.start",
        _ => "linkedin.image.start",
    };
    let body = json!({ "initializeUploadRequest": about }).to_string().into_bytes();
    Request {
        query: vec![("action".into(), "initializeUpload".into())],
        ..post(label, format!("/rest/{noun}"), Body::Json(body))
    }
}

/// A piece of a film: its address, first byte and number of bytes.
fn pieces(handles: &Handles, n: usize, now: Timestamp) -> Vec<(String, u64, u64)> {
    let json: Value =
        alive(handles, n, PIECES, now).and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let read = |it: &Value| Some((it[0].as_str()?.to_owned(), it[1].as_u64()?, it[2].as_u64()?));
    json.as_array().into_iter().flatten().filter_map(read).collect()
}

fn tags(handles: &Handles, n: usize) -> Vec<String> {
    let kept = handles.get(&key(n, TAGS)).and_then(|it| serde_json::from_str(&it.value).ok());
    kept.unwrap_or_default()
}

/// The next call for the files of a post; then their URNs, in order.
pub(super) fn next<'a>(
    job: &Job<'_>,
    handles: &'a Handles,
    now: Timestamp,
) -> Result<Result<Request, Vec<&'a str>>, Failure> {
    for (n, item) in job.media.iter().enumerate() {
        if let Some(call) = towards_sent(job.account, n, item, handles, now) {
            return Ok(Ok(call));
        }
    }
    let mut urns = Vec::new();
    for n in 0..job.media.len() {
        let asset = alive(handles, n, ASSET, now).unwrap_or_default();
        let rests = handles.get(&key(n, RESTS)).and_then(|it| it.expires).filter(|end| now < *end);
        // Reckoned with a clock that was ahead and is right again, its end may be days away.
        if let Some(end) = rests.filter(|end| end.duration_since(now) <= rest(&job.media[n])) {
            let wait = not_ready("LinkedIn gets a moment to work on the files");
            return Err(Failure { until: Some(end), ..wait });
        }
        let asks = Kind::of(job.account.tier.as_deref()) == Kind::Organization;
        if asks && alive(handles, n, READY, now).is_none() {
            let (noun, _) = noun(job.media[n].kind);
            return Ok(Ok(get("linkedin.status", format!("/rest/{noun}/{}", super::encoded(asset)))));
        }
        urns.push(asset);
    }
    Ok(Err(urns))
}

/// What a file still needs until it lies with LinkedIn.
fn towards_sent(
    account: &Account,
    n: usize,
    item: &MediaItem,
    handles: &Handles,
    now: Timestamp,
) -> Option<Request> {
    let Some(asset) = alive(handles, n, ASSET, now) else { return Some(begin(&account.remote_id, item)) };
    if alive(handles, n, SENT, now).is_some() {
        return None;
    }
    if !item.kind.is_video() {
        let Some(address) = alive(handles, n, ADDRESS, now) else {
            return Some(begin(&account.remote_id, item));
        };
        return Some(put("linkedin.upload", address, Body::whole(item), true));
    }
    let all = pieces(handles, n, now);
    let tags = tags(handles, n);
    match all.get(tags.len()) {
        _ if all.is_empty() => Some(begin(&account.remote_id, item)),
        Some((address, first, length)) => {
            let headers = vec![("content-type", "application/octet-stream".to_owned())];
            let body = Body::File { part: FilePart::piece(item, *first, *length), headers };
            // The address is its own permission; a token has no business there.
            Some(put("linkedin.part", address, body, false))
        }
        None => {
            let token = alive(handles, n, TOKEN, now).unwrap_or_default();
            let about = json!({ "video": asset, "uploadToken": token, "uploadedPartIds": tags });
            let body = json!({ "finalizeUploadRequest": about }).to_string().into_bytes();
            Some(Request {
                query: vec![("action".into(), "finalizeUpload".into())],
                ..post("linkedin.finish", "/rest/videos".into(), Body::Json(body))
            })
        }
    }
}

fn put(label: &'static str, address: &str, body: Body, auth: bool) -> Request {
    Request {
        method: http::Method::PUT,
        endpoint: Endpoint::Given("oauth"),
        auth,
        ..post(label, address.to_owned(), body)
    }
}

/// What a call brings.
pub(super) fn answered(
    job: &Job<'_>,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let good = (200..300).contains(&answer.status);
    let failed = || errors::failure(answer, job.account, now);
    let odd = || Failure::transient("an upload was answered that nobody asked for");
    // The same walk that asked the question.
    let n = (0..job.media.len())
        .find(|n| match call.label {
            "linkedin.status" => {
                call.path.ends_with(&super::encoded(alive(handles, *n, ASSET, now).unwrap_or("-")))
            }
            _ => towards_sent(job.account, *n, &job.media[*n], handles, now).is_some(),
        })
        .ok_or_else(odd)?;
    let item = &job.media[n];
    match call.label {
        "linkedin.upload" | "linkedin.part" if !good => again(n, handles, answer, job.account, now),
        "linkedin.upload" => Ok(sent(n, item, job.account, now)),
        "linkedin.part" => {
            let tag = answer.header("etag").filter(|it| !it.is_empty());
            let tag = tag.ok_or_else(|| Failure::transient("LinkedIn took a piece and did not name it"))?;
            let mut all = tags(handles, n);
            all.push(tag.to_owned());
            let value = serde_json::to_string(&all).unwrap_or_default();
            Ok([(key(n, TAGS), Handle::kept(value))].into())
        }
        "linkedin.finish" if good => Ok(sent(n, item, job.account, now)),
        "linkedin.status" if good => match answer.json()["status"].as_str() {
            Some("AVAILABLE") => Ok([(key(n, READY), Handle::kept("yes"))].into()),
            Some("PROCESSING" | "WAITING_UPLOAD") => Err(not_ready("LinkedIn is still working on the files")),
            Some("PROCESSING_FAILED") => Err(Failure {
                class: FailureClass::InvalidContent,
                message: format!("LinkedIn could not process `{}`", item.name),
                hint: Some("see that the file is sound, and post it again".into()),
                until: None,
            }),
            _ => Err(failed()),
        },
        // Not every app may ask; the create call says if it was too early.
        "linkedin.status" if answer.status == 403 => Ok([
            (key(n, READY), Handle::kept("unknown")),
            (key(n, RESTS), Handle::new("", now.checked_add(rest(item)).ok())),
        ]
        .into()),
        "linkedin.image.start" | "linkedin.video.start" | "linkedin.document.start" if good => {
            begun(n, item, &answer.json(), now).ok_or_else(|| {
                Failure::transient("LinkedIn began an upload, and did not say where the file goes")
            })
        }
        _ => Err(failed()),
    }
}

fn not_ready(message: &str) -> Failure {
    Failure { class: FailureClass::NotReady, message: message.to_owned(), hint: None, until: None }
}

fn rest(item: &MediaItem) -> SignedDuration {
    if item.kind.is_image() { PICTURE_RESTS } else { FILM_RESTS }
}

/// A file lies with LinkedIn.
fn sent(n: usize, item: &MediaItem, account: &Account, now: Timestamp) -> Handles {
    let mut found: Handles = [(key(n, SENT), Handle::kept("yes"))].into();
    if Kind::of(account.tier.as_deref()) == Kind::Member {
        found.insert(key(n, RESTS), Handle::new("", now.checked_add(rest(item)).ok()));
    }
    found
}

/// A file has a name there, and a place to go to.
fn begun(n: usize, item: &MediaItem, json: &Value, now: Timestamp) -> Option<Handles> {
    let value = &json["value"];
    let (_, word) = noun(item.kind);
    let asset = value[word].as_str().filter(|it| super::is_asset(it, word))?;
    let end = ["uploadUrlExpiresAt", "uploadUrlsExpireAt"].iter().find_map(|it| value[*it].as_i64());
    let end = end.and_then(|it| Timestamp::from_millisecond(it).ok());
    let mut found: Handles = [(key(n, ASSET), Handle::kept(asset))].into();
    // What belonged to one before it.
    for part in [ADDRESS, PIECES, TOKEN, TAGS, SENT, RESTS, READY] {
        found.insert(key(n, part), Handle::ended(now));
    }
    if !item.kind.is_video() {
        found.insert(key(n, ADDRESS), Handle::new(value["uploadUrl"].as_str()?, end));
        return Some(found);
    }
    let mut next = 0;
    let mut all = Vec::new();
    for it in value["uploadInstructions"].as_array()? {
        let (address, first, last) =
            (it["uploadUrl"].as_str()?, it["firstByte"].as_u64()?, it["lastByte"].as_u64()?);
        // Pieces in order, without a gap, or the film would not be whole.
        let length = last.checked_add(1)?.checked_sub(first).filter(|it| *it > 0)?;
        if first != next {
            return None;
        }
        next = last + 1;
        all.push(json!([address, first, length]));
    }
    if next != item.bytes {
        return None;
    }
    found.insert(key(n, PIECES), Handle::new(Value::from(all).to_string(), end));
    found.insert(key(n, TOKEN), Handle::kept(value["uploadToken"].as_str().unwrap_or_default()));
    found.insert(key(n, TAGS), Handle::kept("[]"));
    Some(found)
}

/// An upload was refused: its address has ended, as a rule, and the file is begun anew.
fn again(
    n: usize,
    handles: &Handles,
    answer: &Answer,
    account: &Account,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let failure = errors::failure(answer, account, now);
    let tries = handles.get(TRIES).and_then(|it| it.value.parse::<u32>().ok()).unwrap_or_default();
    let ended = matches!(answer.status, 400 | 403 | 404 | 410) && tries < TRIES_MAX;
    if !ended {
        return Err(match failure.class {
            // The address is not the API: that it refuses the file says nothing of the account.
            FailureClass::Permission => Failure { class: FailureClass::InvalidContent, ..failure },
            _ => failure,
        });
    }
    Ok([(TRIES.to_owned(), Handle::kept((tries + 1).to_string())), (key(n, ASSET), Handle::ended(now))]
        .into())
}
