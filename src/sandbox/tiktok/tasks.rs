//! Tasks: begun, filled, worked on, and what became of them.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::oauth::Caller;
use super::{Kind, TikTok, VERIFICATION, error, invalid, ok, only, proof};
use crate::sandbox::Published;
use crate::sandbox::film::Film;
use crate::sandbox::wire::{Answer, Call};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const POSTS_A_DAY: usize = 15;
const SHARES_A_DAY: usize = 5;
const MB: u64 = 1_000_000;
const CAPTION_MAX: usize = 2_200;
const DESCRIPTION_MAX: usize = 4_000;
const TITLE_MAX: usize = 90;
const PHOTO_BYTES_MAX: usize = 20_000_000;
/// `int32`
const I32_MAX: u64 = i32::MAX as u64;
const FILM_INFO: &[(&str, Kind)] = &[
    ("title", Kind::Text),
    ("privacy_level", Kind::Text),
    ("disable_duet", Kind::Flag),
    ("disable_stitch", Kind::Flag),
    ("disable_comment", Kind::Flag),
    ("video_cover_timestamp_ms", Kind::Number(I32_MAX)),
    ("brand_content_toggle", Kind::Flag),
    ("brand_organic_toggle", Kind::Flag),
    ("is_aigc", Kind::Flag),
];
const FILM_SOURCE: &[(&str, Kind)] = &[
    ("source", Kind::Text),
    ("video_size", Kind::Number(u64::MAX)),
    ("chunk_size", Kind::Number(u64::MAX)),
    ("total_chunk_count", Kind::Number(u64::MAX)),
];
/// The first two are all that the inbox has a use for.
const PHOTO_INFO: &[(&str, Kind)] = &[
    ("title", Kind::Text),
    ("description", Kind::Text),
    ("privacy_level", Kind::Text),
    ("disable_comment", Kind::Flag),
    ("auto_add_music", Kind::Flag),
    ("brand_content_toggle", Kind::Flag),
    ("brand_organic_toggle", Kind::Flag),
];
const PHOTO_SOURCE: &[(&str, Kind)] =
    &[("source", Kind::Text), ("photo_images", Kind::Texts), ("photo_cover_index", Kind::Number(u64::MAX))];
const LEVELS: &[&str] = &["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY"];
/// Longest film that an account posts: `max_video_post_duration_sec` of creator_info.
const LONGEST_MS: u64 = 300_000;
/// Why a task may fail (developers.tiktok.com/doc/content-posting-api-reference-get-video-status).
pub(in crate::sandbox) const FAIL_REASONS: &[&str] = &[
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "photo_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
];
/// Looks for which a task is still being worked on, and for which a public post has no id yet.
const WORK: u32 = 1;
const MODERATION: u32 = 1;

pub(super) enum Source {
    Film { token: String, size: u64, chunk: u64, count: u64, got: u64, bytes: Vec<u8> },
    Photos,
}

pub(super) struct Task {
    pub(super) user: usize,
    /// None: for the inbox.
    privacy: Option<String>,
    text: String,
    pub(super) source: Source,
    pub(super) made: Timestamp,
    /// When everything was there.
    complete: Option<Timestamp>,
    failed: Option<String>,
    looks: u32,
    /// The id of what it became.
    pub(super) post: String,
    pub(super) files: Vec<Bytes>,
}

impl Task {
    pub(super) fn is_film(&self) -> bool {
        matches!(self.source, Source::Film { .. })
    }

    pub(super) fn upload_token(&self) -> Option<&str> {
        match &self.source {
            Source::Film { token, .. } => Some(token),
            Source::Photos => None,
        }
    }

    /// Every byte is there.
    pub(super) fn complete(&mut self, now: Timestamp, post: String) {
        self.complete = Some(now);
        self.post = post;
        self.failed = ordered(&self.text);
        if let Source::Film { bytes, size, .. } = &mut self.source {
            let bytes = std::mem::take(bytes);
            let whole = bytes.len() as u64 == *size;
            let wrong = wrong_with(&bytes, whole, self.privacy.is_some());
            self.failed = wrong.map(str::to_owned).or(self.failed.take());
            if whole {
                self.files.push(bytes.into());
            }
        }
    }

    fn is_inbox(&self) -> bool {
        self.privacy.is_none()
    }

    pub(super) fn note(&self) -> String {
        let kind = if self.is_film() { "video" } else { "photos" };
        match &self.privacy {
            None => format!("{kind}, in the inbox"),
            Some(level) => format!("{kind}, {level}"),
        }
    }

    pub(super) fn published(&self, task: &str, account: &str) -> Option<Published> {
        let at = self.complete.filter(|_| self.failed.is_none())?;
        Some(Published {
            film: None,
            network: "tiktok",
            account: account.to_owned(),
            id: if self.is_inbox() { task.to_owned() } else { self.post.clone() },
            text: self.text.clone(),
            parent: None,
            alts: Vec::new(),
            at,
            deleted: None,
        })
    }

    /// What the status call says, one look further.
    fn look(&mut self) -> Value {
        let (size, got) = match &self.source {
            Source::Film { size, got, .. } => (*size, *got),
            Source::Photos => (0, 0),
        };
        if self.complete.is_none() {
            return json!({ "status": "PROCESSING_UPLOAD", "uploaded_bytes": got });
        }
        self.looks += 1;
        if self.looks <= WORK {
            return if self.is_film() {
                json!({ "status": "PROCESSING_UPLOAD", "uploaded_bytes": size })
            } else {
                json!({ "status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 1 })
            };
        }
        if let Some(reason) = &self.failed {
            return json!({ "status": "FAILED", "fail_reason": reason });
        }
        if self.is_inbox() {
            return json!({ "status": "SEND_TO_USER_INBOX" });
        }
        let mut data = json!({ "status": "PUBLISH_COMPLETE" });
        let public = self.privacy.as_deref() == Some("PUBLIC_TO_EVERYONE");
        if public && self.looks > WORK + MODERATION {
            data["publicaly_available_post_id"] = json!([self.post.parse::<u64>().unwrap_or_default()]);
        }
        data
    }
}

/// Why a film is not taken (developers.tiktok.com/doc/content-posting-api-media-transfer-guide). Of a long
/// one, of which the beginning alone is kept, and of WebM only the kind is known.
fn wrong_with(bytes: &[u8], whole: bool, direct: bool) -> Option<&'static str> {
    if bytes.starts_with(b"\x1a\x45\xdf\xa3") || (!whole && bytes.get(4..8) == Some(b"ftyp")) {
        return None;
    }
    let Some(film) = Film::of(bytes) else { return Some("file_format_check_failed") };
    let sides = [film.width, film.height];
    // The inbox has no creator_info to narrow it down.
    let longest = if direct { LONGEST_MS } else { 600_000 };
    if film.ms == 0 || film.ms > longest {
        Some("duration_check_failed")
    } else if film.rate_milli.is_some_and(|it| !(23_000..=60_000).contains(&it)) {
        Some("frame_rate_check_failed")
    } else if sides.iter().any(|it| !(360..=4_096).contains(it)) {
        Some("picture_size_check_failed")
    } else {
        None
    }
}

/// A reason that the text orders.
fn ordered(text: &str) -> Option<String> {
    let reason = text.split("sandbox:fail=").nth(1)?.split_whitespace().next()?;
    Some(reason.to_owned())
}

/// The number in a task's name.
pub(super) fn task_number(n: u64) -> u64 {
    7_500_000_000_000_000_000_u64.saturating_add(n)
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

impl TikTok {
    pub(super) fn next_post(&mut self) -> String {
        self.last += 1;
        (7_080_000_000_000_000_000_u64 + self.last * 7).to_string()
    }

    /// Posts, or shares that wait in the inbox, of the last day.
    fn recent(&self, user: usize, inbox: bool, now: Timestamp) -> usize {
        let counts = |it: &&Task| {
            it.user == user
                && it.is_inbox() == inbox
                && it.failed.is_none()
                && now.duration_since(it.made) < DAY
                // A task without its bytes is no post; as a share it may be pending.
                && (inbox || it.complete.is_some())
        };
        self.tasks.values().filter(counts).count()
    }

    fn capped(&self, user: usize, inbox: bool, status: u16, now: Timestamp) -> Result<(), Answer> {
        let count = self.recent(user, inbox, now);
        if inbox && count >= SHARES_A_DAY {
            let why = "five shares are pending";
            return Err(error(status, "spam_risk_too_many_pending_share", why).because(why));
        }
        if !inbox && count >= POSTS_A_DAY {
            let why = "the creator has posted 15 times in 24 hours";
            return Err(error(status, "spam_risk_too_many_posts", why).because(why));
        }
        Ok(())
    }

    pub(super) fn creator(&self, now: Timestamp, caller: &Caller, body: &Value) -> Result<Answer, Answer> {
        only(body, "body", &[])?;
        // Documented with status 200.
        self.capped(caller.user, false, 200, now)?;
        let user = &self.users[caller.user];
        Ok(ok(&json!({
            "creator_avatar_url": format!("{}/tiktok", self.origin),
            "creator_username": user.username,
            "creator_nickname": user.name,
            "privacy_level_options": user.audiences,
            "comment_disabled": user.comment_disabled,
            "duet_disabled": user.duet_disabled,
            "stitch_disabled": user.stitch_disabled,
            "max_video_post_duration_sec": LONGEST_MS / 1_000,
        })))
    }

    /// The audience of a direct post, and whether it may be chosen.
    fn audience(&self, caller: &Caller, info: &Value) -> Result<String, Answer> {
        let user = &self.users[caller.user];
        let level = info["privacy_level"].as_str().ok_or_else(|| invalid("`privacy_level` is required"))?;
        if !LEVELS.contains(&level) {
            return Err(invalid(&format!("`{level}` is no privacy level")));
        }
        if !user.audiences.contains(&level) {
            let why = "privacy_level is not among the options of creator_info";
            return Err(error(403, "privacy_level_option_mismatch", why).because(why));
        }
        if !caller.audited && (level != "SELF_ONLY" || !user.private) {
            let why = "an un-audited client posts SELF_ONLY to private accounts";
            let code = "unaudited_client_can_only_post_to_private_accounts";
            return Err(error(403, code, why).because(why));
        }
        for toggle in ["brand_content_toggle", "brand_organic_toggle"] {
            if !info[toggle].is_boolean() {
                return Err(invalid(&format!("`{toggle}` is required")));
            }
        }
        if info["brand_content_toggle"] == true && level == "SELF_ONLY" {
            return Err(invalid("branded content cannot be private"));
        }
        if user.comment_disabled && info["disable_comment"] != true {
            return Err(invalid("the creator has comments switched off"));
        }
        Ok(level.to_owned())
    }

    pub(super) fn init(
        &mut self,
        now: Timestamp,
        caller: &Caller,
        body: &Value,
        direct: bool,
    ) -> Result<Answer, Answer> {
        let parts = [("source_info", Kind::Object), ("post_info", Kind::Object)];
        only(body, "body", if direct { &parts } else { &parts[..1] })?;
        self.capped(caller.user, !direct, 403, now)?;
        let (mut privacy, mut text) = (None, String::new());
        if direct {
            let info = &body["post_info"];
            only(info, "post_info", FILM_INFO)?;
            privacy = Some(self.audience(caller, info)?);
            let user = &self.users[caller.user];
            for (off, field) in
                [(user.duet_disabled, "disable_duet"), (user.stitch_disabled, "disable_stitch")]
            {
                if off && info[field] != true {
                    return Err(invalid(&format!("the creator has it switched off: `{field}` must be true")));
                }
            }
            info["title"].as_str().unwrap_or_default().clone_into(&mut text);
            if units(&text) > CAPTION_MAX {
                return Err(invalid("the title is longer than 2200 UTF-16 units"));
            }
        }
        let source = &body["source_info"];
        only(source, "source_info", FILM_SOURCE)?;
        if source["source"] != "FILE_UPLOAD" {
            return Err(invalid("the stand-in takes films as files alone"));
        }
        let number = |name: &str| source[name].as_u64().filter(|it| *it > 0);
        let (Some(size), Some(chunk), Some(count)) =
            (number("video_size"), number("chunk_size"), number("total_chunk_count"))
        else {
            return Err(invalid("a film needs video_size, chunk_size and total_chunk_count"));
        };
        check_chunks(size, chunk, count).map_err(invalid)?;
        self.last += 1;
        let prefix = if direct { "v_pub_file" } else { "v_inbox_file" };
        let id = format!("{prefix}~v2-1.{}", task_number(self.last));
        let token = self.chance.token("tiktok upload");
        let address =
            format!("{}/tiktok/upload/video/?upload_id={}&upload_token={token}", self.origin, self.last);
        let task = Task {
            user: caller.user,
            privacy,
            text,
            source: Source::Film { token, size, chunk, count, got: 0, bytes: Vec::new() },
            made: now,
            complete: None,
            failed: None,
            looks: 0,
            post: String::new(),
            files: Vec::new(),
        };
        self.tasks.insert(id.clone(), task);
        Ok(ok(&json!({ "publish_id": id, "upload_url": address })))
    }

    pub(super) fn photo(&mut self, call: &Call, caller: &Caller, body: &Value) -> Result<Answer, Answer> {
        let parts = [
            ("media_type", Kind::Text),
            ("post_mode", Kind::Text),
            ("post_info", Kind::Object),
            ("source_info", Kind::Object),
        ];
        only(body, "body", &parts)?;
        if body["media_type"] != "PHOTO" {
            return Err(invalid("media_type is not PHOTO"));
        }
        let direct = match body["post_mode"].as_str() {
            Some("DIRECT_POST") => true,
            Some("MEDIA_UPLOAD") => false,
            _ => return Err(invalid("post_mode is none of the two")),
        };
        let scope = if direct { "video.publish" } else { "video.upload" };
        if !caller.has(scope) {
            let why = format!("`{scope}` was not granted");
            return Err(error(401, "scope_not_authorized", &why).because(why));
        }
        self.capped(caller.user, !direct, 403, call.now)?;
        let (info, source) = (&body["post_info"], &body["source_info"]);
        // The inbox does without.
        if direct || !info.is_null() {
            only(info, "post_info", if direct { PHOTO_INFO } else { &PHOTO_INFO[..2] })?;
        }
        let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        if units(&text("title")) > TITLE_MAX || units(&text("description")) > DESCRIPTION_MAX {
            return Err(invalid("title or description is too long"));
        }
        let privacy = if direct { Some(self.audience(caller, info)?) } else { None };
        only(source, "source_info", PHOTO_SOURCE)?;
        let images: Vec<&str> =
            source["photo_images"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if source["source"] != "PULL_FROM_URL" || images.is_empty() || images.len() > 35 {
            return Err(invalid("1 to 35 addresses are pulled, and nothing else"));
        }
        if source["photo_cover_index"].as_u64().is_some_and(|it| it >= images.len() as u64) {
            return Err(invalid("photo_cover_index names no photo"));
        }
        if !images.iter().all(|it| is_secure(it)) {
            return Err(invalid("an address is not https"));
        }
        for image in &images {
            let served = proof(image).and_then(|it| call.fetched.get(&it)?.as_ref().ok().cloned());
            if served.is_none_or(|it| it.trim_ascii() != VERIFICATION.1.as_bytes()) {
                let why = "the host of an address is not verified";
                return Err(error(403, "url_ownership_unverified", why).because(why));
            }
        }
        let (files, failed) = pulled(call, &images);
        self.last += 1;
        let prefix = if direct { "p_pub_url" } else { "p_inbox_url" };
        let id = format!("{prefix}~v2.{}", task_number(self.last));
        let post = self.next_post();
        let mut task = Task {
            user: caller.user,
            privacy,
            text: text("description"),
            source: Source::Photos,
            made: call.now,
            complete: None,
            failed: None,
            looks: 0,
            post: String::new(),
            files,
        };
        task.complete(call.now, post);
        task.failed = failed.map(str::to_owned).or(task.failed);
        self.tasks.insert(id.clone(), task);
        Ok(ok(&json!({ "publish_id": id })))
    }

    /// A fault has the task fail of which a status call asks; `false`: its bytes are not all there, so
    /// nothing could come of it yet.
    pub(in crate::sandbox) fn fail(&mut self, call: &Call, reason: &str) -> bool {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let id = body["publish_id"].as_str().unwrap_or_default().to_owned();
        let Some(task) = self.tasks.get_mut(&id).filter(|it| it.complete.is_some()) else { return false };
        task.failed = Some(reason.to_owned());
        true
    }

    pub(super) fn status(&mut self, caller: &Caller, body: &Value) -> Result<Answer, Answer> {
        only(body, "body", &[("publish_id", Kind::Text)])?;
        let id = body["publish_id"].as_str().unwrap_or_default();
        match self.tasks.get_mut(id) {
            Some(task) if task.user == caller.user => Ok(ok(&task.look())),
            Some(_) => {
                let why = "another user's task";
                Err(error(403, "token_not_authorized_for_specified_publish_id", why).because(why))
            }
            None => Err(error(400, "invalid_publish_id", "no such publish_id").because("no such publish_id")),
        }
    }
}

/// The stand-in's own world is plain http on loopback.
fn is_secure(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else { return false };
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

/// The rules of the transfer guide, megabytes taken as 1,000,000 bytes.
fn check_chunks(size: u64, chunk: u64, count: u64) -> Result<(), &'static str> {
    let last = size.checked_sub((count - 1) * chunk).filter(|it| *it > 0);
    match last {
        _ if size > 4_000 * MB => Err("the film is larger than 4 GB"),
        _ if count != (size / chunk).max(1) || count > 1_000 => {
            Err("total_chunk_count is not video_size / chunk_size, rounded down")
        }
        _ if size > 64 * MB && count < 2 => Err("a film above 64 MB goes in pieces"),
        _ if size < 5 * MB && (chunk != size || count != 1) => Err("a film below 5 MB goes whole"),
        _ if size >= 5 * MB && !(5 * MB..=64 * MB).contains(&chunk) => Err("chunk_size is not 5 to 64 MB"),
        Some(last) if last > 128 * MB => Err("the last chunk is larger than 128 MB"),
        None => Err("the chunks are longer than the film"),
        Some(_) => Ok(()),
    }
}

/// The photos as they came, and what is wrong with them.
fn pulled(call: &Call, images: &[&str]) -> (Vec<Bytes>, Option<&'static str>) {
    let mut files = Vec::new();
    for image in images {
        let Some(Ok(bytes)) = call.fetched.get(*image) else { return (files, Some("photo_pull_failed")) };
        let kind = infer::get(bytes).map(|it| it.mime_type());
        if !matches!(kind, Some("image/jpeg" | "image/webp")) || bytes.len() > PHOTO_BYTES_MAX {
            return (files, Some("file_format_check_failed"));
        }
        let size = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
        let size = size.ok().and_then(|it| it.into_dimensions().ok());
        if size.is_none_or(|(width, height)| width.min(height) > 1_080) {
            return (files, Some("picture_size_check_failed"));
        }
        files.push(bytes.clone());
    }
    (files, None)
}
