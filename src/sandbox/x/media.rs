//! Media upload v2: one request for a picture; initialize, append, finalize, status for the rest;
//! alternative text. Chunks over 1 MiB meet a bare 413, as X's edge answers them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::film::Film;
use super::super::multipart;
use super::body::{self, INITIALIZE, METADATA};
use super::{X, forbidden, invalid, invalid_one, is_id, json_object};
use crate::sandbox::wire::{Answer, Call};

const CHUNK_MAX: usize = 1024 * 1024;
const IMAGE_MAX: u64 = 5 * 1024 * 1024;
const GIF_MAX: u64 = 15 * 1024 * 1024;
const GIF_FRAMES_MAX: usize = 350;
const GIF_PIXELS_MAX: u64 = 300_000_000;
const VIDEO_MAX: u64 = 512 * 1024 * 1024;
/// How long an uploaded file can be attached, in seconds.
const LIFE: i64 = 86_400;
/// Bytes of pictures kept for the pages; beyond it the oldest lose theirs, not their ids.
const KEPT_MAX: usize = 64 * 1024 * 1024;

/// An uploaded file, or one on its way.
pub(super) struct File {
    id: String,
    pub(super) user: usize,
    owners: Vec<String>,
    category: String,
    media_type: String,
    total: u64,
    parts: BTreeMap<u32, Part>,
    stage: Stage,
    expires: Timestamp,
    pub(super) alt: String,
}

struct Part {
    size: usize,
    /// Not kept for videos: nobody looks at them, and they are large.
    bytes: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Being converted until then; pictures are ready at once.
    Processing(Timestamp),
    /// Found unfit by then, and why.
    Failed(Timestamp, &'static str),
    Ready,
}

/// What X's limits say against a film (docs.x.com/x-api/media/quickstart/best-practices). Its tables of
/// sizes contradict each other about upright films; here the longer side decides.
fn unfit(film: Film) -> Option<&'static str> {
    let (long, short) = (film.width.max(film.height), film.width.min(film.height));
    match film {
        _ if film.ms < 500 => Some("the video is shorter than 0.5 seconds"),
        _ if film.ms > 140_000 => Some("this user may not post videos longer than 2 minutes"),
        _ if short < 32 || long > 1280 => Some("the dimensions are outside 32×32 to 1280×1024"),
        _ if long > 3 * short => Some("the aspect ratio is outside 1:3 to 3:1"),
        _ if film.rate_milli.is_some_and(|it| it > 60_000) => Some("the frame rate is over 60"),
        _ => None,
    }
}

/// What X's limits say against an animated GIF, same source.
fn unfit_gif(bytes: &Bytes) -> Option<&'static str> {
    let side = |at: usize| bytes.get(at..at + 2).map_or(0, |it| u16::from_le_bytes([it[0], it[1]]));
    let (width, height) = (side(6), side(8));
    let Some(frames) = gif_frames(bytes) else { return Some("the GIF cannot be read") };
    let pixels = u64::from(width) * u64::from(height) * frames as u64;
    match (width, height) {
        _ if width > 1280 || height > 1080 => Some("the dimensions are over 1280×1080"),
        _ if frames > GIF_FRAMES_MAX => Some("the GIF has more than 350 frames"),
        _ if pixels > GIF_PIXELS_MAX => Some("width × height × frames is over 300 million"),
        _ => None,
    }
}

/// How many pictures a GIF has: its blocks are counted, none is decoded (w3.org/Graphics/GIF/spec-gif89a.txt).
fn gif_frames(bytes: &[u8]) -> Option<usize> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3usize << ((flags & 7) + 1) };
    let mut rest = bytes.get(13 + table(*bytes.get(10)?)..)?;
    let mut frames = 0;
    loop {
        let (kind, block) = rest.split_first()?;
        rest = match *kind {
            0x3b => return Some(frames),
            0x2c => {
                frames += 1;
                block.get(10 + table(*block.get(8)?)..)?
            }
            0x21 => block.get(1..)?,
            _ => return None,
        };
        loop {
            let (length, data) = rest.split_first()?;
            rest = data.get(usize::from(*length)..)?;
            if *length == 0 {
                break;
            }
        }
    }
}

impl File {
    /// The whole file, when it is one picture that was kept.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        if self.stage == Stage::Open {
            return None;
        }
        let parts: Option<Vec<&Bytes>> = self.parts.values().map(|it| it.bytes.as_ref()).collect();
        match parts?.as_slice() {
            [one] => Some((*one).clone()),
            many => Some(many.iter().flat_map(|it| it.iter().copied()).collect()),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.category.as_str() {
            "tweet_gif" => "animated_gif",
            "tweet_image" => "photo",
            _ => "video",
        }
    }

    pub(super) fn key(&self) -> String {
        let prefix = match self.kind() {
            "photo" => 3,
            "animated_gif" => 16,
            _ => 7,
        };
        format!("{prefix}_{}", self.id)
    }

    /// Whether `user` may attach it now; else why not.
    pub(super) fn attachable(&self, user: usize, user_id: &str, now: Timestamp) -> Result<(), &'static str> {
        if self.user != user && !self.owners.iter().any(|it| it == user_id) {
            return Err("belongs to another user");
        }
        if now >= self.expires {
            return Err("has expired");
        }
        match self.stage {
            Stage::Open => Err("was not finalized"),
            Stage::Processing(until) if now < until => Err("is still being processed"),
            Stage::Failed(..) => Err("could not be processed"),
            _ if self.category.starts_with("tweet_") => Ok(()),
            _ => Err("is of a category that no post can carry"),
        }
    }

    fn size(&self) -> u64 {
        self.parts.values().map(|it| it.size as u64).sum()
    }

    fn describe(&self, now: Timestamp) -> Value {
        let left = self.expires.as_second() - now.as_second();
        let mut data = json!({ "id": self.id, "media_key": self.key(), "size": self.size(), "expires_after_secs": left });
        if let Stage::Processing(until) | Stage::Failed(until, _) = self.stage {
            data["processing_info"] = if let Stage::Failed(until, why) = self.stage
                && now >= until
            {
                let error = json!({ "code": 1, "name": "InvalidMedia", "message": why });
                json!({ "state": "failed", "progress_percent": 100, "error": error })
            } else if now >= until {
                json!({ "state": "succeeded", "progress_percent": 100 })
            } else if until.as_second() - now.as_second() > 1 {
                json!({ "state": "pending", "check_after_secs": 1 })
            } else {
                json!({ "state": "in_progress", "check_after_secs": 1, "progress_percent": 50 })
            };
        }
        json!({ "data": data })
    }
}

/// The type that the first bytes give away.
fn sniff(bytes: &[u8]) -> Option<&'static str> {
    infer::get(bytes).map(|it| it.mime_type())
}

fn limit(category: &str) -> u64 {
    match category {
        "tweet_image" | "dm_image" => IMAGE_MAX,
        "tweet_gif" | "dm_gif" => GIF_MAX,
        _ => VIDEO_MAX,
    }
}

fn fits(category: &str, media_type: &str) -> bool {
    match category {
        "tweet_image" | "dm_image" => {
            matches!(media_type, "image/jpeg" | "image/png" | "image/webp" | "image/gif" | "image/pjpeg")
        }
        "tweet_gif" | "dm_gif" => media_type == "image/gif",
        "subtitles" => media_type.starts_with("text/"),
        _ => media_type.starts_with("video/"),
    }
}

/// The named values of an upload, from either of the two encodings that X takes.
fn upload_fields(call: &Call, known: &[&str]) -> Result<BTreeMap<String, Bytes>, Answer> {
    let mut fields = BTreeMap::new();
    if call.content_type() == "multipart/form-data" {
        let parts = multipart::parts(call.header("content-type").unwrap_or_default(), &call.body)
            .map_err(|why| invalid_one("body", "", why))?;
        fields.extend(parts.into_iter().map(|it| (it.name, it.bytes)));
    } else {
        let value = json_object(call)?;
        for (name, value) in value.as_object().into_iter().flatten() {
            let bytes = match (name.as_str(), value) {
                ("media", Value::String(text)) => {
                    STANDARD.decode(text).map_err(|_| invalid_one("media", "", "media is not base64"))?
                }
                (_, Value::String(text)) => text.clone().into_bytes(),
                (_, other) => other.to_string().into_bytes(),
            };
            fields.insert(name.clone(), Bytes::from(bytes));
        }
    }
    match fields.keys().find(|it| !known.contains(&it.as_str())) {
        Some(unknown) => Err(invalid_one(unknown, "", format!("The property [{unknown}] is not known"))),
        None => Ok(fields),
    }
}

fn text(fields: &BTreeMap<String, Bytes>, name: &str) -> String {
    fields.get(name).map(|it| String::from_utf8_lossy(it).into_owned()).unwrap_or_default()
}

/// X's edge, before the API sees anything: a status and nothing else.
fn too_large(why: &str) -> Answer {
    Answer::new(413, "text/plain; charset=utf-8", "").because(why)
}

impl X {
    /// `POST /2/media/upload`: a picture in one request.
    pub(super) fn upload(&mut self, call: &Call, user: usize) -> Answer {
        let fields = match upload_fields(call, &["media", "media_category", "additional_owners"]) {
            Ok(fields) => fields,
            Err(answer) => return answer,
        };
        let Some(bytes) = fields.get("media").filter(|it| !it.is_empty()) else {
            return invalid_one("media", "", "The property [media] is required");
        };
        let category = text(&fields, "media_category");
        if !matches!(category.as_str(), "tweet_image" | "tweet_gif" | "dm_image" | "dm_gif") {
            let why = format!("[{category}] is not a valid media_category for an upload in one request");
            return invalid_one("media_category", &category, why);
        }
        if bytes.len() as u64 > limit(&category) {
            return invalid_one(
                "media",
                "",
                format!("the file has {} bytes, too many for {category}", bytes.len()),
            );
        }
        let media_type = sniff(bytes).unwrap_or("application/octet-stream");
        if !fits(&category, media_type) {
            return invalid_one("media", media_type, format!("a file of type {media_type} is no {category}"));
        }
        if let Some(why) = unfit_gif(bytes).filter(|_| category.ends_with("_gif")) {
            return invalid_one("media", "", why);
        }
        let owners = text(&fields, "additional_owners");
        let owners: Vec<String> = owners.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        let id = self.next_id(call.now);
        let part = Part { size: bytes.len(), bytes: Some(bytes.clone()) };
        let file = File {
            id: id.clone(),
            user,
            owners,
            category,
            media_type: media_type.to_owned(),
            total: part.size as u64,
            parts: BTreeMap::from([(0, part)]),
            stage: Stage::Ready,
            expires: call.now + SignedDuration::from_secs(LIFE),
            alt: String::new(),
        };
        let answer = Answer::json(200, &file.describe(call.now));
        self.files.insert(id, file);
        self.trim_files();
        answer
    }

    /// `POST /2/media/upload/initialize`.
    pub(super) fn initialize(&mut self, call: &Call, user: usize) -> Answer {
        let value = match json_object(call) {
            Ok(value) => value,
            Err(answer) => return answer,
        };
        let faults = body::faults(&value, INITIALIZE);
        if !faults.is_empty() {
            return invalid(&faults);
        }
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (category, media_type) = (word("media_category"), word("media_type"));
        if !fits(&category, &media_type) {
            return invalid_one("media_type", &media_type, format!("{media_type} is no {category}"));
        }
        let total = value["total_bytes"].as_u64().unwrap_or_default();
        if total == 0 || total > limit(&category) {
            let why = format!("total_bytes must be 1 to {} for {category}", limit(&category));
            return invalid_one("total_bytes", &total.to_string(), why);
        }
        let owners = value["additional_owners"].as_array().cloned().unwrap_or_default();
        let id = self.next_id(call.now);
        let file = File {
            id: id.clone(),
            user,
            owners: owners.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            category,
            media_type,
            total,
            parts: BTreeMap::new(),
            stage: Stage::Open,
            expires: call.now + SignedDuration::from_secs(LIFE),
            alt: String::new(),
        };
        let data = json!({ "id": id, "media_key": file.key(), "expires_after_secs": LIFE });
        self.files.insert(id, file);
        Answer::json(200, &json!({ "data": data }))
    }

    fn own_file(&mut self, user: usize, id: &str) -> Result<&mut File, Answer> {
        if !is_id(id) {
            return Err(invalid_one("id", id, format!("[{id}] is not a media id")));
        }
        match self.files.get_mut(id) {
            Some(file) if file.user == user => Ok(file),
            Some(_) => Err(forbidden("The media belongs to another user.")),
            None => Err(invalid_one("id", id, format!("there is no media [{id}]"))),
        }
    }

    /// `POST /2/media/upload/{id}/append`.
    pub(super) fn append(&mut self, call: &Call, user: usize, id: &str) -> Answer {
        // A little more than a chunk, for the dress around it; base64 is a third longer.
        if call.body.len() > CHUNK_MAX / 3 * 4 + 4096 {
            return too_large("a request over the limit of the edge");
        }
        let fields = match upload_fields(call, &["media", "segment_index"]) {
            Ok(fields) => fields,
            Err(answer) => return answer,
        };
        let index = text(&fields, "segment_index");
        let Some(index) = index.parse::<u32>().ok().filter(|it| *it <= 999) else {
            return invalid_one("segment_index", &index, "segment_index must be 0 to 999");
        };
        let Some(bytes) = fields.get("media").filter(|it| !it.is_empty()) else {
            return invalid_one("media", "", "The property [media] is required");
        };
        if bytes.len() > CHUNK_MAX {
            return too_large("a chunk of more than 1 MiB");
        }
        let file = match self.own_file(user, id) {
            Ok(file) => file,
            Err(answer) => return answer,
        };
        if file.stage != Stage::Open || call.now >= file.expires {
            return invalid_one("id", id, format!("media [{id}] takes no more segments"));
        }
        // Whether X takes pieces in another order, or the same one twice, is not documented.
        let next = u32::try_from(file.parts.len()).unwrap_or(u32::MAX);
        if index != next {
            let why = format!("segment {index} came where segment {next} was due");
            return invalid_one("segment_index", &index.to_string(), why);
        }
        let bytes_kept = (file.total <= GIF_MAX).then(|| bytes.clone());
        file.parts.insert(index, Part { size: bytes.len(), bytes: bytes_kept });
        if file.size() > file.total {
            return invalid_one("media", "", "more bytes than total_bytes announced");
        }
        let expires = file.expires.as_second();
        self.trim_files();
        Answer::json(200, &json!({ "data": { "expires_at": expires } }))
    }

    /// `POST /2/media/upload/{id}/finalize`.
    pub(super) fn finalize(&mut self, call: &Call, user: usize, id: &str) -> Answer {
        let now = call.now;
        let file = match self.own_file(user, id) {
            Ok(file) => file,
            Err(answer) => return answer,
        };
        if file.stage != Stage::Open {
            return invalid_one("id", id, format!("media [{id}] was finalized before"));
        }
        let whole = file.parts.keys().copied().eq(0..u32::try_from(file.parts.len()).unwrap_or(u32::MAX));
        if !whole || file.size() != file.total {
            let why = format!("{} of {} bytes arrived, or a segment is missing", file.size(), file.total);
            return invalid_one("id", id, why);
        }
        if file.kind() == "video" {
            let until = now + SignedDuration::from_secs(2);
            file.stage = Stage::Ready;
            // Of a large one the bytes are not kept, and it is believed.
            let why =
                file.bytes().and_then(|it| Film::of(&it).map_or(Some("the video cannot be read"), unfit));
            file.stage = match why {
                Some(why) => Stage::Failed(until, why),
                None => Stage::Processing(until),
            };
        } else {
            file.stage = Stage::Ready;
            let found = file.bytes().and_then(|it| sniff(&it)).unwrap_or("application/octet-stream");
            if !fits(&file.category, found) {
                let why = format!("announced as {}, but the bytes are {found}", file.media_type);
                file.stage = Stage::Open;
                return invalid_one("media", found, why);
            }
            if file.kind() == "animated_gif"
                && let Some(why) = file.bytes().as_ref().and_then(unfit_gif)
            {
                file.stage = Stage::Failed(now + SignedDuration::from_secs(2), why);
            }
        }
        Answer::json(200, &file.describe(now))
    }

    /// `GET /2/media/upload?command=STATUS&media_id=…`.
    pub(super) fn status(&mut self, call: &Call, user: usize) -> Answer {
        if let Some(other) = call.param("command").filter(|it| *it != "STATUS") {
            return invalid_one("command", other, "command must be STATUS");
        }
        let Some(id) = call.param("media_id") else {
            return invalid_one("media_id", "", "media_id is required");
        };
        let now = call.now;
        match self.own_file(user, id) {
            Ok(file) => Answer::json(200, &file.describe(now)),
            Err(answer) => answer,
        }
    }

    /// `POST /2/media/metadata`: the alternative text. The stand-in knows no other metadata and
    /// refuses it, so that a misspelling does not pass.
    pub(super) fn metadata(&mut self, call: &Call, user: usize) -> Answer {
        let value = match json_object(call) {
            Ok(value) => value,
            Err(answer) => return answer,
        };
        let faults = body::faults(&value, METADATA);
        if !faults.is_empty() {
            return invalid(&faults);
        }
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        let alt = value["metadata"]["alt_text"]["text"].as_str().unwrap_or_default().to_owned();
        match self.own_file(user, &id) {
            Ok(file) => file.alt = alt,
            Err(answer) => return answer,
        }
        Answer::json(200, &json!({ "data": { "id": id, "associated_metadata": value["metadata"] } }))
    }

    /// Forgets the bytes of the oldest pictures beyond [`KEPT_MAX`].
    fn trim_files(&mut self) {
        let kept = |file: &File| -> usize {
            file.parts.values().filter_map(|it| it.bytes.as_ref()).map(Bytes::len).sum()
        };
        let mut total: usize = self.files.values().map(kept).sum();
        let ids: Vec<String> = self.files.values().map(|it| it.id.clone()).collect();
        for id in ids {
            if total <= KEPT_MAX {
                return;
            }
            if let Some(file) = self.files.get_mut(&id) {
                total -= kept(file);
                for part in file.parts.values_mut() {
                    part.bytes = None;
                }
            }
        }
    }
}
