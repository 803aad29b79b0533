//! Containers: made, fetched for, worked on, published once.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::posts::{Kind, Post};
use super::{Caller, Instagram, invalid, missing, ok};
use crate::sandbox::facebook::error;
use crate::sandbox::facebook::params::Params;
use crate::sandbox::film::Film;
use crate::sandbox::wire::{Answer, Call};

/// As the generated specifications and the change log list them.
pub(super) const PARAMS: &[&str] = &[
    "alt_text",
    "audio_name",
    "caption",
    "children",
    "collaborators",
    "cover_url",
    "image_url",
    "is_carousel_item",
    "location_id",
    "media_type",
    "product_tags",
    "share_to_feed",
    "thumb_offset",
    "trial_params",
    "upload_type",
    "user_tags",
    "video_url",
    "is_ai_generated",
    "is_paid_partnership",
    "branded_content_sponsor_ids",
    "is_comment_prompt_used",
];

const LIFE: SignedDuration = SignedDuration::from_hours(24);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// The documents name 25, 50 and 100.
const POSTS_A_DAY: usize = 50;
const CONTAINERS_A_DAY: usize = 400;
const CAPTION_MAX: usize = 2_200;
const HASHTAGS_MAX: usize = 30;
const MENTIONS_MAX: usize = 20;
const COLLABORATORS_MAX: usize = 3;
const TAGS_MAX: usize = 20;
const ALT_MAX: usize = 1_000;
const IMAGE_MAX: usize = 8_000_000;
/// Looks for which a film, or a carousel, is still being worked on.
const WORK: u32 = 2;

/// What a container tells; of one whose bytes come by upload also how far that is.
const FIELDS: &[&str] = &["id", "status_code", "status", "copyright_check_status"];

/// A fetched or uploaded file.
#[derive(Clone)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) alt: String,
    pub(super) video: bool,
}

#[allow(clippy::struct_excessive_bools)] // facts that do not hang together
pub(super) struct Container {
    user: usize,
    kind: Kind,
    child: bool,
    caption: String,
    files: Vec<File>,
    made: Timestamp,
    /// Looks that still find it being worked on.
    work: u32,
    /// Its bytes are yet to come, or the rest of them.
    waits: bool,
    /// What came of them.
    received: Vec<u8>,
    /// Its bytes come by upload.
    by_upload: bool,
    /// Where in its film the cover is, in milliseconds.
    thumb: Option<u64>,
    failed: Option<u32>,
    published: bool,
}

impl Container {
    fn state(&self, now: Timestamp) -> &'static str {
        match () {
            () if self.published => "PUBLISHED",
            () if now.duration_since(self.made) >= LIFE => "EXPIRED",
            () if self.failed.is_some() => "ERROR",
            () if self.waits || self.work > 0 => "IN_PROGRESS",
            () => "FINISHED",
        }
    }
}

fn subcode(code: i64, sub: i64, why: &str) -> Answer {
    error(400, code, sub, why).because(why)
}

/// Pictures are JPEG, of a shape; stories take every shape.
fn check_image(bytes: &Bytes, story: bool) -> Result<(), Answer> {
    if infer::get(bytes).map(|it| it.mime_type()) != Some("image/jpeg") {
        return Err(subcode(36_001, 2_207_005, "The image format is not supported: JPEG only"));
    }
    if bytes.len() > IMAGE_MAX {
        return Err(subcode(36_000, 2_207_004, "The image is too large to download"));
    }
    let size = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
    let size = size.ok().and_then(|it| it.into_dimensions().ok());
    let (width, height) = size.ok_or_else(|| subcode(36_001, 2_207_005, "The image cannot be read"))?;
    let ratio = f64::from(width) / f64::from(height);
    if !story && !(0.799..=1.911).contains(&ratio) {
        return Err(subcode(36_003, 2_207_009, "The submitted image's aspect ratio is not supported"));
    }
    Ok(())
}

/// The number of what is wrong with a film of this kind (content-publishing, "Reel specifications" and
/// the like); of a carousel's the documents say nothing, and the stories' limits hold.
fn film_fault(bytes: &[u8], kind: Kind, child: bool) -> Option<u32> {
    let short = kind == Kind::Story || child;
    let (most, longest) = if short { (100_000_000, 60_000) } else { (300_000_000, 900_000) };
    let fits = |film: Film| {
        let ratio = f64::from(film.width) / f64::from(film.height);
        let narrowest = if kind == Kind::Story { 0.1 } else { 0.01 };
        // A carousel's films may be shorter, for all that is known.
        let shortest = if child { 1 } else { 3_000 };
        film.index_first
            && bytes.len() <= most
            && (shortest..=longest).contains(&film.ms)
            && film.width <= 1920
            && film.rate_milli.is_none_or(|it| (23_000..=60_000).contains(&it))
            && (narrowest..=10.0).contains(&ratio)
            // 25 Mbit/s are 3,125 bytes in a millisecond.
            && bytes.len() as u64 <= film.ms * 3_125
    };
    (!Film::of(bytes).is_some_and(fits)).then_some(2_207_026)
}

impl Instagram {
    pub(super) fn create(
        &mut self,
        call: &Call,
        caller: &Caller,
        user: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        self.own(caller, user)?;
        let young = |it: &&Container| it.user == caller.user && call.now.duration_since(it.made) < DAY;
        if self.containers.values().filter(young).count() >= CONTAINERS_A_DAY {
            return Err(subcode(9, 2_207_042, "too many containers in 24 hours"));
        }
        if params.text("is_comment_prompt_used").is_some() && !caller.through_facebook {
            return Err(invalid("Param is_comment_prompt_used is only for Facebook Login"));
        }
        let (kind, child, files, waits) = self.content(call, caller, params)?;
        let caption = params.text("caption").unwrap_or_default();
        if caption.chars().count() > CAPTION_MAX {
            return Err(subcode(36_004, 2_207_010, "The caption is too long"));
        }
        check_options(kind, child, &caption, params)?;
        let thumb = params.text("thumb_offset").map(|it| it.parse::<u64>());
        let thumb = thumb.transpose().map_err(|_| invalid("thumb_offset is not a number"))?;
        if files.iter().any(|it| it.video && is_behind(thumb, &it.bytes)) {
            return Err(subcode(1, 2_207_057, "The thumbnail offset is behind the end of the video"));
        }
        let films = files.iter().any(|it| it.video) || kind == Kind::Carousel;
        let failed = match kind {
            Kind::Carousel => None,
            _ => files.iter().filter(|it| it.video).find_map(|it| film_fault(&it.bytes, kind, child)),
        };
        let id = self.next_id();
        let container = Container {
            user: caller.user,
            kind,
            child,
            caption,
            files,
            made: call.now,
            work: if films || waits { WORK } else { 0 },
            waits,
            received: Vec::new(),
            by_upload: waits,
            thumb,
            failed,
            published: false,
        };
        self.containers.insert(id.clone(), container);
        let mut body = json!({ "id": id });
        if waits {
            body["uri"] = json!(format!("{}/facebook/ig-api-upload/v26.0/{id}", self.origin));
        }
        Ok(ok(&body))
    }

    /// What a container is made of: its kind, whether it is a part of a carousel, its files.
    fn content(
        &self,
        call: &Call,
        caller: &Caller,
        params: &Params,
    ) -> Result<(Kind, bool, Vec<File>, bool), Answer> {
        let child = params.truth("is_carousel_item") == Some(true);
        let alt = params.text("alt_text").unwrap_or_default();
        let kind = match (params.text("media_type").as_deref(), child) {
            (None | Some("IMAGE"), _) => Kind::Image,
            (Some("VIDEO"), true) | (Some("REELS"), false) => Kind::Reel,
            (Some("STORIES"), false) => Kind::Story,
            (Some("CAROUSEL"), false) => Kind::Carousel,
            (Some(other), _) => {
                return Err(subcode(100, 2_207_023, &format!("The media type {other} is unknown")));
            }
        };
        if kind == Kind::Carousel {
            return Ok((kind, false, self.children(call.now, caller, params)?, false));
        }
        let upload = params.text("upload_type");
        let (image, film) = (params.text("image_url"), params.text("video_url"));
        let fetched = |address: &str| match call.fetched.get(address) {
            Some(Ok(bytes)) => Ok(bytes.clone()),
            Some(Err(why)) => {
                let why = format!("The media could not be fetched from this URI: {why}");
                Err(subcode(9004, 2_207_052, &why))
            }
            None => Err(invalid("nothing was lent")),
        };
        if let Some(cover) = params.text("cover_url") {
            check_image(&fetched(&cover)?, true)?;
        }
        match (image, film, upload.as_deref()) {
            (Some(address), None, None) if kind != Kind::Reel => {
                let bytes = fetched(&address)?;
                check_image(&bytes, kind == Kind::Story)?;
                Ok((kind, child, vec![File { bytes, alt, video: false }], false))
            }
            (None, Some(address), None) if kind != Kind::Image => {
                let bytes = fetched(&address)?;
                Ok((kind, child, vec![File { bytes, alt, video: true }], false))
            }
            (None, None, Some("resumable")) if caller.through_facebook && kind != Kind::Image => {
                Ok((kind, child, Vec::new(), true))
            }
            _ => Err(invalid("image_url or video_url does not fit the media type")),
        }
    }

    fn children(&self, now: Timestamp, caller: &Caller, params: &Params) -> Result<Vec<File>, Answer> {
        let ids = params.text("children").ok_or_else(|| invalid("children is missing"))?;
        let ids: Vec<&str> = ids.split(',').collect();
        if !(2..=10).contains(&ids.len()) {
            return Err(subcode(100, 2_207_028, "A carousel has 2 to 10 children"));
        }
        let mut files = Vec::new();
        for id in ids {
            match self.containers.get(id) {
                Some(it) if it.user == caller.user && it.child => {
                    if it.state(now) != "FINISHED" {
                        return Err(subcode(9007, 2_207_027, "A child is not ready for publishing"));
                    }
                    files.extend(it.files.iter().cloned());
                }
                _ => return Err(subcode(24, 2_207_006, "A child container is unknown")),
            }
        }
        Ok(files)
    }

    /// The bytes of a film, for a container that waits for them.
    pub(super) fn upload(&mut self, call: &Call, caller: &Caller, id: &str) -> Result<Answer, Answer> {
        let Some(container) = self.containers.get_mut(id).filter(|it| it.user == caller.user) else {
            return Err(missing(id).because("bytes for no container"));
        };
        if !call.header("authorization").is_some_and(|it| it.starts_with("OAuth ")) {
            return Err(invalid("uploads want the scheme OAuth"));
        }
        let number = |name: &str| call.header(name).and_then(|it| it.parse::<usize>().ok());
        // Failures come with 200.
        let debug = |kind: &str, retriable: bool, why: &str| {
            let body = json!({ "debug_info": { "retriable": retriable, "type": kind, "message": why } });
            Answer::json(200, &body)
        };
        let (Some(offset), Some(size)) = (number("offset"), number("file_size")) else {
            let why = "`offset` or `file_size` is missing";
            return Err(debug("OffsetInvalidError", false, why).because(why));
        };
        if offset != container.received.len() || !container.waits {
            let why = "the offset is not the one that is expected";
            return Err(debug("OffsetInvalidError", false, why).because(why));
        }
        if offset + call.body.len() > size {
            let why = "more bytes than were announced";
            return Err(debug("PartialRequestError", false, why).because(why));
        }
        container.received.extend_from_slice(&call.body);
        if container.received.len() < size {
            return Err(debug("PartialRequestError", true, "fewer bytes than were announced"));
        }
        container.waits = false;
        let bytes = Bytes::from(std::mem::take(&mut container.received));
        container.failed =
            film_fault(&bytes, container.kind, container.child)
                .or(is_behind(container.thumb, &bytes).then_some(2_207_057));
        container.files = vec![File { bytes, alt: String::new(), video: true }];
        Ok(ok(&json!({ "success": true, "message": "Upload successful." })))
    }

    pub(super) fn limit(&self, now: Timestamp, caller: &Caller, user: &str) -> Result<Answer, Answer> {
        self.own(caller, user)?;
        Ok(ok(&json!({ "data": [{ "quota_usage": self.used(now, caller.user),
            "config": { "quota_total": POSTS_A_DAY, "quota_duration": DAY.as_secs() } }] })))
    }

    fn used(&self, now: Timestamp, user: usize) -> usize {
        let counts =
            |it: &&Post| it.user == user && it.kind != Kind::Comment && now.duration_since(it.at) < DAY;
        self.posts.values().filter(counts).count()
    }

    pub(super) fn publish(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        user: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        self.own(caller, user)?;
        let id = params.text("creation_id").ok_or_else(|| invalid("creation_id is missing"))?;
        let used = self.used(now, caller.user);
        let Some(container) = self.containers.get_mut(&id).filter(|it| it.user == caller.user) else {
            return Err(subcode(24, 2_207_006, "The requested resource does not exist"));
        };
        match container.state(now) {
            "FINISHED" if container.child => return Err(invalid("a child is no post of its own")),
            "FINISHED" => {}
            "PUBLISHED" => return Err(subcode(24, 2_207_006, "the container was published before")),
            "IN_PROGRESS" => return Err(subcode(9007, 2_207_027, "The media is not ready for publishing")),
            _ => return Err(subcode(24, 2_207_008, "The container is missing or expired")),
        }
        if used >= POSTS_A_DAY {
            return Err(subcode(9, 2_207_042, "The account has reached its limit of posts"));
        }
        container.published = true;
        let (kind, text, files) = (container.kind, container.caption.clone(), container.files.clone());
        let media = self.next_id();
        let post = Post {
            id: media.clone(),
            user: caller.user,
            kind,
            text,
            files,
            parent: None,
            at: now,
            deleted: None,
        };
        self.posts.insert(media.clone(), post);
        Ok(ok(&json!({ "id": media })))
    }

    /// A container's state; looking is what lets the work go on.
    pub(super) fn container(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        id: &str,
        fields: &[String],
    ) -> Option<Result<Answer, Answer>> {
        let container = self.containers.get_mut(id).filter(|it| it.user == caller.user)?;
        let known = |it: &&String| {
            FIELDS.contains(&it.as_str()) || container.by_upload && it.as_str() == "video_status"
        };
        if let Some(odd) = fields.iter().find(|it| !known(it)) {
            return Some(Err(invalid(&format!("Tried accessing nonexisting field ({odd})"))));
        }
        let state = container.state(now);
        if !container.waits {
            container.work = container.work.saturating_sub(1);
        }
        let words = match container.failed {
            Some(sub) if state == "ERROR" => {
                format!("Error: Media upload has failed with error code {sub}")
            }
            _ => format!("{state}: the media is {}", state.to_lowercase().replace('_', " ")),
        };
        let mut shown = json!({ "id": id, "status_code": state, "status": words });
        if container.by_upload {
            let there = match container.files.first() {
                Some(file) => file.bytes.len(),
                None => container.received.len(),
            };
            let phase = if container.waits { "in_progress" } else { "complete" };
            shown["video_status"] =
                json!({ "uploading_phase": { "status": phase, "bytes_transferred": there } });
        }
        if let Some(object) = shown.as_object_mut() {
            object.retain(|key, _| key == "id" || fields.contains(key));
        }
        Some(Ok(ok(&shown)))
    }
}

/// How many words of a caption begin with this mark.
fn marked(caption: &str, mark: char) -> usize {
    caption.split(char::is_whitespace).filter(|it| it.starts_with(mark) && it.len() > 1).count()
}

/// Whether a reel's cover is to be taken from behind its end.
fn is_behind(thumb: Option<u64>, film: &[u8]) -> bool {
    thumb.is_some_and(|at| Film::of(film).is_some_and(|film| at >= film.ms))
}

fn check_options(kind: Kind, child: bool, caption: &str, params: &Params) -> Result<(), Answer> {
    let given = |name: &str| params.text(name).is_some();
    if marked(caption, '#') > HASHTAGS_MAX || marked(caption, '@') > MENTIONS_MAX {
        return Err(invalid("the caption has more than 30 hashtags or 20 mentions"));
    }
    if params.text("alt_text").is_some_and(|it| it.chars().count() > ALT_MAX) {
        return Err(invalid("alt_text has more than 1,000 characters"));
    }
    if child && params.text("media_type").as_deref() == Some("VIDEO") && given("user_tags") {
        return Err(invalid("user_tags is not for a film of a carousel"));
    }
    if (child || kind == Kind::Story) && !caption.is_empty() {
        return Err(invalid("caption does not belong here"));
    }
    if child && ["collaborators", "location_id", "is_ai_generated"].iter().any(|it| given(it)) {
        return Err(invalid("Param collaborators is not allowed"));
    }
    let reel = ["cover_url", "thumb_offset", "share_to_feed", "audio_name", "trial_params"];
    if kind != Kind::Reel && reel.iter().any(|it| given(it)) {
        return Err(invalid("a parameter of reels on something else"));
    }
    for name in ["collaborators", "user_tags"] {
        if given(name) && !params.nested(name).is_some_and(|it| it.is_array()) {
            return Err(invalid(&format!("{name} is not a JSON array")));
        }
    }
    let length =
        |name: &str| params.nested(name).and_then(|it| it.as_array().map(Vec::len)).unwrap_or_default();
    if length("collaborators") > COLLABORATORS_MAX {
        return Err(invalid("more than 3 collaborators"));
    }
    if length("user_tags") > TAGS_MAX {
        return Err(subcode(100, 2_207_040, "Cannot use more than 20 tags per post"));
    }
    for tag in params.nested("user_tags").unwrap_or_default().as_array().into_iter().flatten() {
        let placed = tag["x"].is_number() && tag["y"].is_number();
        if kind == Kind::Reel && (tag.get("x").is_some() || tag.get("y").is_some()) {
            return Err(invalid("a tag on a reel has no place"));
        }
        if !tag["username"].is_string() || (kind == Kind::Image && !placed) {
            return Err(invalid("a tag needs a username, and on a picture a place"));
        }
    }
    if given("alt_text") && (kind == Kind::Story || kind == Kind::Reel) {
        return Err(invalid("alt_text is for pictures in the feed"));
    }
    Ok(())
}
