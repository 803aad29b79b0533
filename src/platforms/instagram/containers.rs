//! Containers: what a post is made of before it is public, and the states they go through
//! (developers.facebook.com/docs/instagram-platform/content-publishing).
//!
//! One container for a post, and before it one for each file of a carousel. Making one is harmless
//! (400 in 24 hours), and each ends by itself after a day. A container that came to nothing is made
//! anew a few times; only the last call, `media_publish`, shows anything to anybody.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::errors;
use super::form::{self, Form, Params};
use crate::domain::delivery::{FOR_ONE_CALL, Frozen, Handle, Handles, alive};
use crate::domain::door::Door;
use crate::domain::media::MediaItem;
use crate::platforms::meta::upload::{self, Said, TROUBLE};
use crate::platforms::meta::{
    self,
    errors::{GraphError, is_missing},
};
use crate::platforms::{Answer, Body, Endpoint, Failure, FailureClass, Job, Next, Quota, Request};

/// The names under which the state is kept; those of a file of a carousel go behind [`child`].
const CONTAINER: &str = "container";
const QUOTA: &str = "quota";
/// Whose token reads containers, where the other one is not shown them; and how often none was.
const READER: &str = "reader";
const BLIND: &str = "blind";
/// What to do about [`TROUBLE`], where that is known.
const REMEDY: &str = "trouble.remedy";
/// How often a container was made anew.
const TRIES: &str = "trouble.tries";

/// The container that was finished once. A call to publish it may have been made.
const ONCE: &str = "finished";

/// Containers end 24 hours after they were made; no work is begun on one so near its end.
const LIFE: SignedDuration = SignedDuration::from_mins(24 * 60 - 15);
/// How long it is believed that there is room for one more post.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);
/// How long it is believed that the last container is finished: for the call that follows at once, and
/// not for one that follows a refusal.
const FINISHED: SignedDuration = FOR_ONE_CALL;
/// How long Instagram may be at work on a container before it is made anew, and how long on one of a film
/// that lasts more than [`LONG_MS`]. The documents advise to ask for five minutes; such films take longer.
const WORKS: SignedDuration = SignedDuration::from_mins(10);
const WORKS_LONG: SignedDuration = SignedDuration::from_mins(30);
const LONG_MS: u64 = 60_000;
/// After the first minute a container is asked once in a minute, as the documents advise.
const ASKED_EACH: SignedDuration = SignedDuration::from_mins(1);
/// Between two containers for the same thing, the first time.
const PAUSE: SignedDuration = SignedDuration::from_secs(20);
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Containers made for a post before it is given up, and those whose file could not be fetched.
const TRIES_MAX: u32 = 6;
const FETCHES_MAX: u32 = 3;
/// How long the other token is used for reading.
const READING: SignedDuration = SignedDuration::from_mins(10);
/// Reads of our own container, by either token in turn, that said it is not there: about an hour and a
/// half, for on 2026-05-23 they said so for a day.
const BLIND_MAX: u32 = 24;
/// Where the limit of posts is used up and nothing shows which post leaves it next.
const FULL_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// The time over which posts are counted, where the answer does not say.
const WINDOW: i64 = 86_400;

fn child(n: usize) -> String {
    format!("child:{n}")
}

/// The parts of a container's state.
fn ready(key: &str) -> String {
    format!("{key}.ready")
}

fn address(key: &str) -> String {
    format!("{key}.address")
}

fn sent(key: &str) -> String {
    format!("{key}.sent")
}

fn not_ready(message: &str) -> Failure {
    Failure { class: FailureClass::NotReady, message: message.to_owned(), hint: None, until: None }
}

/// Whether the bytes of a file go up themselves: films, and only through the Facebook door.
fn by_upload(door: Door, item: &MediaItem) -> bool {
    door == Door::Facebook && !item.kind.is_image()
}

/// The next call towards a finished container, or the request that publishes it.
pub(super) fn next(
    job: &Job<'_>,
    form: Form,
    door: Door,
    handles: &Handles,
    now: Timestamp,
) -> Result<Next, Failure> {
    let user = &job.account.remote_id;
    if job.media.is_empty() {
        return Err(Failure {
            class: FailureClass::InvalidContent,
            message: "a post on Instagram needs a picture or a video".into(),
            hint: Some("add one with `--media`".into()),
            until: None,
        });
    }
    if let Some(pause) = upload::paused(handles, now) {
        return Err(Failure { hint: alive(handles, REMEDY, now).map(str::to_owned), ..pause });
    }
    match alive(handles, QUOTA, now) {
        None => {
            let fields = [("fields", "quota_usage,config")];
            let path = format!("/{user}/content_publishing_limit");
            return Ok(Next::Call(meta::get("instagram.limit", path, &fields)));
        }
        Some(window) if window != "free" => {
            // Which post leaves the window next is what tells when to come back.
            let since = now.as_second() - window.parse().unwrap_or(WINDOW);
            let query = [("fields", "timestamp"), ("limit", "100"), ("since", &since.to_string())];
            return Ok(Next::Call(meta::get("instagram.window", format!("/{user}/media"), &query)));
        }
        Some(_) => {}
    }
    let path = format!("/{user}/media");
    let Some(container) = alive(handles, CONTAINER, now) else {
        if let Some(old) = overdue(handles, now) {
            // Its time is over; a call that Instagram refused may have published it before.
            return Ok(Next::Call(reading(status("instagram.status", old), handles, now)));
        }
        let mut children = Vec::new();
        if form == Form::Carousel {
            for (n, item) in job.media.iter().enumerate() {
                let (key, upload) = (child(n), by_upload(door, item));
                let Some(id) = alive(handles, &key, now) else {
                    let Params(fields) = form::child(item, upload);
                    return Ok(Next::Call(meta::post("instagram.child", path, Body::Form(fields))));
                };
                if let Some(call) = towards_ready(&key, id, item, upload, handles, now) {
                    return Ok(Next::Call(call));
                }
                children.push(id);
            }
        }
        let upload = form != Form::Carousel && by_upload(door, &job.media[0]);
        let Params(fields) = form::container(job, form, &children, upload);
        return Ok(Next::Call(meta::post("instagram.container", path, Body::Form(fields))));
    };
    let upload = form != Form::Carousel && by_upload(door, &job.media[0]);
    if let Some(call) = towards_ready(CONTAINER, container, &job.media[0], upload, handles, now) {
        return Ok(Next::Call(call));
    }
    Ok(Next::Publish(publishing(container)))
}

/// The request that publishes a container.
fn publishing(container: &str) -> Frozen {
    let body = json!({ "creation_id": container }).to_string().into_bytes();
    Frozen { marker: container.to_owned(), body }
}

/// The container of a post says that it has published. None of our calls was open, so one that Instagram
/// refused has published after all. Nothing of it is older than the container.
pub(super) fn surfaced(
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Option<(Frozen, Timestamp)> {
    let container = handles.get(CONTAINER).filter(|_| call.label == "instagram.status")?;
    let json = answer.json();
    let told = answer.status == 200 && GraphError::of(&json).is_none();
    let ours = call.path.strip_prefix('/') == Some(&container.value);
    let made = container.expires.unwrap_or(now).saturating_sub(LIFE).unwrap_or(now);
    (told && ours && matches!(State::of(&json, answer, now), State::Published))
        .then(|| (publishing(&container.value), made))
}

/// The container of a post whose time is over, and that nobody has given up yet.
fn overdue(handles: &Handles, now: Timestamp) -> Option<&str> {
    let container = handles.get(CONTAINER).filter(|it| !it.value.is_empty())?;
    alive(handles, CONTAINER, now).is_none().then_some(&container.value)
}

/// What a container still needs: its bytes, or a look at its state.
fn towards_ready(
    key: &str,
    id: &str,
    item: &MediaItem,
    upload: bool,
    handles: &Handles,
    now: Timestamp,
) -> Option<Request> {
    if upload && alive(handles, &sent(key), now).is_none() {
        let to = alive(handles, &address(key), now).unwrap_or_default();
        return Some(match upload::next(handles, key, now) {
            Some(offset) => upload::request("instagram.upload", to, item, offset),
            None => reading(received(id), handles, now),
        });
    }
    alive(handles, &ready(key), now).is_none().then(|| reading(status("instagram.status", id), handles, now))
}

/// A read with the token that is shown containers.
fn reading(call: Request, handles: &Handles, now: Timestamp) -> Request {
    match alive(handles, READER, now) {
        Some("person") => by_person(call),
        _ => call,
    }
}

/// A call of the Graph API in the name of the person behind the account.
pub(super) fn by_person(call: Request) -> Request {
    Request { endpoint: Endpoint::Person("graph"), ..call }
}

/// Asks a container for its state.
pub(super) fn status(label: &'static str, id: &str) -> Request {
    meta::get(label, format!("/{id}"), &[("fields", "id,status_code,status")])
}

/// Asks a container how much of its film has arrived. That it can tell is in the specification of
/// uploads (`IGResumableVideoUploadStatus`) and in no page on containers: one that does not is made
/// anew.
fn received(id: &str) -> Request {
    meta::get("instagram.received", format!("/{id}"), &[("fields", "id,video_status")])
}

/// What a call brings.
pub(super) fn answered(
    job: &Job<'_>,
    form: Form,
    handles: &Handles,
    call: &Request,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let json = answer.json();
    let failed = || errors::failure(answer, now);
    let bad = answer.status != 200 || GraphError::of(&json).is_some();
    if call.label == "instagram.status" && overdue(handles, now) == call.path.strip_prefix('/') {
        // Not published, says it (else see `surfaced`), or is not known any more: another takes its place.
        let over = !bad || GraphError::of(&json).is_some_and(|it| is_missing(&it));
        let failure = if over { gone("the container ended before it was published") } else { failed() };
        return if over { anew(CONTAINER, handles, failure, now) } else { Err(failure) };
    }
    if bad && matches!(call.label, "instagram.status" | "instagram.received") && is_unseen(call, answer, now)
    {
        return unseen(super::door(job.account), handles, call, failed(), now);
    }
    let key = match call.label {
        "instagram.limit" if !bad => return quota(&json, now).ok_or_else(failed),
        "instagram.window" if !bad => return Err(full(&json, handles, now)),
        "instagram.limit" | "instagram.window" => return Err(failed()),
        "instagram.container" => CONTAINER.to_owned(),
        "instagram.child" => job
            .media
            .iter()
            .enumerate()
            .find(|(n, _)| alive(handles, &child(*n), now).is_none())
            .map(|(n, _)| child(n))
            .ok_or_else(|| Failure::transient("a file was answered that nobody asked for"))?,
        // About a container that there is.
        _ => keys(job, form)
            .into_iter()
            .find(|key| {
                let of = |name: &str| handles.get(name).map(|it| it.value.as_str());
                match call.endpoint {
                    Endpoint::Given(_) => of(&address(key)) == Some(&call.path),
                    _ => of(key) == call.path.strip_prefix('/'),
                }
            })
            .ok_or_else(|| Failure::transient("a container was answered that nobody knows"))?,
    };
    let outcome = match call.label {
        "instagram.container" | "instagram.child" if !bad => made(&key, call, &json, now).ok_or_else(failed),
        "instagram.upload" => arrived(&key, answer, now),
        "instagram.received" => standing(job, &key, handles, answer, now),
        "instagram.status" if !bad => match State::of(&json, answer, now) {
            State::Finished => {
                let span = if key == CONTAINER { FINISHED } else { LIFE };
                let mut found: Handles = [(ready(&key), Handle::lasting("yes", now, span))].into();
                if let (CONTAINER, Some(it)) = (&*key, handles.get(CONTAINER)) {
                    found.insert(ONCE.to_owned(), Handle::lasting(&it.value, now, LIFE));
                }
                Ok(found)
            }
            State::Working => Err(working(job, form, &key, handles, now)),
            State::Failed(failure) => Err(failure),
            State::Expired => Err(gone("the container ended before it was published")),
            // Of a container of a post: see `surfaced`. A part of a carousel has no such state.
            State::Published | State::Unknown => Err(failed()),
        },
        // All its files were ready once, and Instagram says that one is not: it has ended since.
        "instagram.container" if form == Form::Carousel && failed().class == FailureClass::NotReady => {
            return asked_again(handles, failed(), now);
        }
        _ => Err(failed()),
    };
    match outcome {
        Err(failure) if failure.class == FailureClass::MediaGone => {
            anew(&key, handles, of_cover(call, failure), now)
        }
        other => other,
    }
}

/// Instagram has not finished a container: it is asked again, or counts as stuck after as long as the
/// documents give it.
fn working(job: &Job<'_>, form: Form, key: &str, handles: &Handles, now: Timestamp) -> Failure {
    // From when on it had all it needs.
    let begun = [sent(key), key.to_owned()].iter().find_map(|it| {
        alive(handles, it, now)?;
        handles.get(it)?.expires?.checked_sub(LIFE).ok()
    });
    let age = begun.map_or(SignedDuration::ZERO, |it| now.duration_since(it));
    let film = (form != Form::Carousel || key != CONTAINER).then(|| job.media.get(place(key))).flatten();
    let long = film.and_then(|it| it.detail.video.as_ref()).is_some_and(|it| it.duration_ms > LONG_MS);
    // What was finished and is worked on again may be on its way out: another one would be a second post.
    let once = key == CONTAINER && alive(handles, ONCE, now) == alive(handles, CONTAINER, now);
    if !once && age >= if long { WORKS_LONG } else { WORKS } {
        return gone(&format!("Instagram was still working on the post after {} minutes", age.as_mins()));
    }
    let next = (age >= ASKED_EACH).then(|| now.saturating_add(ASKED_EACH).unwrap_or(now));
    Failure { until: next, ..not_ready("Instagram is still working on the post") }
}

/// Which file a container is of: the first one, unless it is a child.
fn place(key: &str) -> usize {
    key.strip_prefix("child:").and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Whether a read says nothing of its object, but of the token: the object is not shown to it (100/33),
/// or it is a person's token, which may end before the account's.
pub(super) fn is_unseen(call: &Request, answer: &Answer, now: Timestamp) -> bool {
    let Some(error) = GraphError::of(&answer.json()) else { return false };
    let person = matches!(call.endpoint, Endpoint::Person(_));
    let barred = || {
        let class = errors::failure(answer, now).class;
        matches!(class, FailureClass::AuthExpired | FailureClass::Permission)
    };
    is_missing(&error) || person && barred()
}

/// A container that we made is not shown to the token that asked: the other one asks next, and both
/// again after a pause. It is no word on what is in the container.
fn unseen(
    door: Door,
    handles: &Handles,
    call: &Request,
    failure: Failure,
    now: Timestamp,
) -> Result<Handles, Failure> {
    if door == Door::Instagram {
        return Err(Failure { class: FailureClass::Transient, hint: None, ..failure });
    }
    let count = handles.get(BLIND).and_then(|it| it.value.parse::<u32>().ok()).unwrap_or_default() + 1;
    if count >= BLIND_MAX {
        return Err(Failure {
            class: FailureClass::Permission,
            hint: Some("connect the account again, with the rights to its Page".into()),
            ..failure
        });
    }
    let next = if matches!(call.endpoint, Endpoint::Person(_)) { "page" } else { "person" };
    let mut found: Handles = [
        (READER.to_owned(), Handle::lasting(next, now, READING)),
        (BLIND.to_owned(), Handle::kept(count.to_string())),
    ]
    .into();
    if count.is_multiple_of(2) {
        let pause = (PAUSE * 2_i32.pow((count / 2 - 1).min(10))).min(PAUSE_MAX);
        found.insert(TROUBLE.to_owned(), Handle::lasting(failure.message, now, pause));
    }
    Ok(found)
}

/// Every container that a post of this form has.
fn keys(job: &Job<'_>, form: Form) -> Vec<String> {
    let children = if form == Form::Carousel { job.media.len() } else { 0 };
    (0..children).map(child).chain([CONTAINER.to_owned()]).collect()
}

fn gone(message: &str) -> Failure {
    Failure { class: FailureClass::MediaGone, ..Failure::transient(message) }
}

/// What became of a film's bytes.
fn arrived(key: &str, answer: &Answer, now: Timestamp) -> Result<Handles, Failure> {
    let failed = |words: &str| gone(&format!("Instagram did not take the bytes of the video: {words}"));
    match Said::of(answer) {
        Said::Arrived => Ok([(sent(key), Handle::lasting("yes", now, LIFE))].into()),
        Said::Broken => Ok(upload::broken(key, now)),
        Said::Failed(words) => Err(failed(&words)),
        Said::Else => {
            let failure = errors::failure(answer, now);
            Err(match failure.class {
                FailureClass::InvalidContent => failed(&failure.message),
                _ => failure,
            })
        }
    }
}

/// How much of a film a container has, and where to go on.
fn standing(
    job: &Job<'_>,
    key: &str,
    handles: &Handles,
    answer: &Answer,
    now: Timestamp,
) -> Result<Handles, Failure> {
    let size = job.media.get(place(key)).map_or(0, |it| it.bytes);
    let json = answer.json();
    if answer.status == 200 && GraphError::of(&json).is_none() {
        return match upload::received(&json["video_status"]["uploading_phase"]) {
            Some(all) if all == size => Ok([(sent(key), Handle::lasting("yes", now, LIFE))].into()),
            Some(part) if part < size => upload::stands(key, handles, part, now),
            _ => Err(gone("the upload broke off, and the container does not say how far it came")),
        };
    }
    let failure = errors::failure(answer, now);
    Err(match failure.class {
        // No such field, or no such container.
        FailureClass::InvalidContent => gone(&failure.message),
        _ => failure,
    })
}

/// A new container: its id, and where its bytes go.
fn made(key: &str, call: &Request, json: &Value, now: Timestamp) -> Option<Handles> {
    let id = meta::id(&json["id"])?;
    let mut found = upload::begun(key, now);
    found.insert(key.to_owned(), Handle::lasting(id, now, LIFE));
    let by_upload = matches!(&call.body, Body::Form(fields) if fields.iter().any(|it| it.0 == "upload_type"));
    if by_upload {
        found.insert(address(key), Handle::lasting(json["uri"].as_str()?, now, LIFE));
    }
    // What belonged to one before it.
    for rest in [ready(key), sent(key)] {
        found.insert(rest, Handle::ended(now));
    }
    Some(found)
}

/// Of a file that could not be fetched Instagram does not say which: the user's own address of a cover
/// may be the one.
fn of_cover(call: &Request, failure: Failure) -> Failure {
    let cover = matches!(&call.body, Body::Form(fields) if fields.iter().any(|it| it.0 == "cover_url"));
    let of_both = |hint: String| {
        format!("see that the address in `instagram.cover_url` shows a JPEG to everybody; else: {hint}")
    };
    if !cover {
        return failure;
    }
    Failure { hint: failure.hint.map(of_both), ..failure }
}

/// Forgets a container that came to nothing, unless that happened too often.
fn anew(key: &str, handles: &Handles, failure: Failure, now: Timestamp) -> Result<Handles, Failure> {
    let tries = handles.get(TRIES).and_then(|it| it.value.parse::<u32>().ok()).unwrap_or_default() + 1;
    let most = if failure.hint.is_some() { FETCHES_MAX } else { TRIES_MAX };
    if tries >= most {
        return Err(Failure { class: FailureClass::InvalidContent, ..failure });
    }
    let pause = PAUSE * 2_i32.pow(tries - 1);
    let mut found: Handles = [
        (TRIES.to_owned(), Handle::kept(tries.to_string())),
        (TROUBLE.to_owned(), Handle::lasting(failure.message, now, pause)),
        (key.to_owned(), Handle::ended(now)),
    ]
    .into();
    found.extend(failure.hint.map(|hint| (REMEDY.to_owned(), Handle::lasting(hint, now, pause))));
    if key == CONTAINER {
        // A carousel's files may be what is wrong with it.
        let children = handles.keys().filter(|it| it.starts_with("child:") && !it.contains('.'));
        found.extend(children.map(|it| (it.clone(), Handle::ended(now))));
    }
    Ok(found)
}

/// Has the state of a carousel's files read again before the carousel is tried once more.
fn asked_again(handles: &Handles, failure: Failure, now: Timestamp) -> Result<Handles, Failure> {
    let found = anew(CONTAINER, handles, failure, now)?;
    let unread =
        |(key, it): (String, Handle)| if key.starts_with("child:") { (ready(&key), it) } else { (key, it) };
    Ok(found.into_iter().map(unread).collect())
}

/// Room for one more post, or over how many seconds they are counted. No number is taken for granted:
/// the documents name 25, 50 and 100.
fn quota(json: &Value, now: Timestamp) -> Option<Handles> {
    let row = &json["data"][0];
    let used = row["quota_usage"].as_i64()?;
    let free = row["config"]["quota_total"].as_i64().is_none_or(|total| used < total);
    let window = row["config"]["quota_duration"].as_i64().filter(|it| *it > 0).unwrap_or(WINDOW);
    let word = if free { "free".to_owned() } else { window.to_string() };
    Some([(QUOTA.to_owned(), Handle::lasting(word, now, BELIEVED))].into())
}

/// How many posts of its window the account has published, where an answer says it. Nobody says when the
/// oldest leaves it; at the latest a whole window from now.
pub(super) fn published(answer: &Answer, now: Timestamp) -> Option<Quota> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    let row = &json["data"][0];
    let used = row["quota_usage"].as_i64()?.max(0);
    let total = row["config"]["quota_total"].as_i64().filter(|it| *it > 0)?;
    let window = row["config"]["quota_duration"].as_i64().filter(|it| *it > 0).unwrap_or(WINDOW);
    #[allow(clippy::cast_precision_loss)] // limits are small numbers
    let part = (used as f64 / total as f64).min(1.0);
    let left = u32::try_from((total - used).max(0)).ok();
    let resets = now.checked_add(SignedDuration::from_secs(window.min(7 * 86_400))).ok()?;
    Some(Quota { app: false, used: part, left, resets })
}

/// The limit is used up until the oldest of the account's posts leaves the window.
fn full(json: &Value, handles: &Handles, now: Timestamp) -> Failure {
    let window = handles.get(QUOTA).and_then(|it| it.value.parse().ok()).unwrap_or(WINDOW);
    let oldest = json["data"].as_array().into_iter().flatten().filter_map(|it| meta::time(&it["timestamp"]));
    let least = now.saturating_add(BELIEVED).unwrap_or(now);
    let leaves = oldest
        .filter_map(|at| at.checked_add(SignedDuration::from_secs(window)).ok())
        .filter(|at| *at > now)
        .min();
    let at = leaves.unwrap_or_else(|| now.saturating_add(FULL_WAIT).unwrap_or(now)).max(least);
    Failure {
        class: FailureClass::RateLimited,
        message: format!("the account has published as often as Instagram allows in {} hours", window / 3600),
        hint: None,
        until: Some(at),
    }
}

/// What a container says of itself.
pub(super) enum State {
    Working,
    Finished,
    Published,
    Failed(Failure),
    Expired,
    /// No word that is known.
    Unknown,
}

impl State {
    pub(super) fn of(json: &Value, answer: &Answer, now: Timestamp) -> Self {
        match json["status_code"].as_str() {
            Some("IN_PROGRESS") => Self::Working,
            Some("FINISHED") => Self::Finished,
            Some("PUBLISHED") => Self::Published,
            Some("EXPIRED") => Self::Expired,
            Some("ERROR") => {
                Self::Failed(errors::of_status(json["status"].as_str().unwrap_or_default(), answer, now))
            }
            _ => Self::Unknown,
        }
    }
}
