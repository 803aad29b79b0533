//! Videos in the phases of `/videos`, reels and video stories by way of the upload host.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::oauth::Holder;
use super::params::Params;
use super::posts::{Kind, Post};
use super::{Facebook, error, invalid, missing, ok};
use crate::sandbox::film::Film;
use crate::sandbox::wire::{Answer, Call};

/// Bytes that one transfer may carry.
const CHUNK: u64 = 1 << 20;
/// Bytes that are kept of a video: enough to tell it from something else, and the whole of a short one,
/// which the page shows.
const HEAD: usize = 256 << 10;
/// The largest video that is taken.
const VIDEO_MAX: u64 = 1 << 30;

/// An upload, and what became of it.
pub(super) struct Video {
    pub(super) page: usize,
    kind: Kind,
    session: Option<String>,
    size: Option<u64>,
    /// Bytes that arrived, and the first of them.
    received: u64,
    head: Vec<u8>,
    /// The post, once it was finished.
    pub(super) post: Option<String>,
    /// Looks since it was finished: the first finds it being worked on.
    looks: u32,
    /// What is wrong with it, found out only while it is worked on.
    fault: Option<(u32, &'static str)>,
    pub(super) deleted: bool,
}

impl Video {
    /// What is wrong with it as a video, reel or story (video-api/guides/reels-publishing,
    /// page-stories-api): the number and the words. An index behind more pictures than are kept is
    /// believed.
    fn wrong(&self) -> Option<(u32, &'static str)> {
        let whole = self.received == self.head.len() as u64;
        let film = match Film::of(&self.head) {
            Some(film) => film,
            None if !whole && self.head.get(4..8) == Some(b"ftyp") => return None,
            None => return Some((1_363_040, "Video file format is not supported")),
        };
        let longest = match self.kind {
            Kind::Reel => 90_000,
            Kind::Story => 60_000,
            _ => return None,
        };
        if film.width < 540 || film.height < 960 {
            return Some((1_363_127, "The resolution of the video is too low"));
        }
        if film.width >= film.height {
            return Some((1_363_040, "The aspect ratio of the video is not supported"));
        }
        let fits = (3_000..=longest).contains(&film.ms);
        if !fits {
            return Some((1_363_128, "The duration of the video is not supported"));
        }
        let slow_or_fast = film.rate_milli.is_some_and(|it| !(24_000..=60_000).contains(&it));
        slow_or_fast.then_some((1_363_129, "The frame rate of the video is not supported"))
    }

    /// The bytes of one that was kept whole.
    pub(super) fn shown(&self) -> Option<Bytes> {
        let whole = self.received == self.head.len() as u64 && self.wrong().is_none();
        whole.then(|| Bytes::copy_from_slice(&self.head))
    }

    /// More bytes, behind those that are there.
    fn take(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        self.received += bytes.len() as u64;
    }

    fn complete(&self) -> bool {
        self.received > 0 && self.size.is_none_or(|size| size == self.received)
    }

    pub(super) fn is_reel(&self) -> bool {
        self.kind == Kind::Reel
    }

    pub(super) fn public(&self) -> bool {
        self.post.is_some() && self.looks > 1 && self.fault.is_none()
    }

    /// The object as a read shows it. Each look after the finish brings it further.
    pub(super) fn look(&mut self, id: &str) -> Value {
        if self.post.is_some() {
            self.looks += 1;
        }
        let uploading = if self.complete() { "complete" } else { "in_progress" };
        let (status, processing, publishing) = match (&self.post, self.looks, self.fault) {
            (None, ..) => {
                let status = if self.complete() { "upload_complete" } else { "processing" };
                (status, json!({ "status": "not_started" }), json!({ "status": "not_started" }))
            }
            (Some(_), 0 | 1, _) => {
                ("processing", json!({ "status": "in_progress" }), json!({ "status": "not_started" }))
            }
            (Some(_), _, Some((code, words))) => (
                "error",
                json!({ "status": "error", "error": { "code": code, "message": words } }),
                json!({ "status": "not_started" }),
            ),
            (Some(_), ..) => (
                "ready",
                json!({ "status": "complete" }),
                json!({ "status": "complete", "publish_status": "published" }),
            ),
        };
        let mut shown = json!({
            "id": id,
            "status": {
                "video_status": status,
                "uploading_phase": { "status": uploading, "bytes_transfered": self.received },
                "processing_phase": processing,
                "publishing_phase": publishing,
            },
            "published": self.public(),
        });
        if let Some(post) = self.post.as_ref().filter(|_| self.public()) {
            shown["post_id"] = json!(post);
        }
        shown
    }
}

impl Facebook {
    fn begin(&mut self, page: usize, kind: Kind, session: Option<String>, size: Option<u64>) -> String {
        let id = self.next_id();
        let video = Video {
            page,
            kind,
            session,
            size,
            received: 0,
            head: Vec::new(),
            post: None,
            looks: 0,
            fault: None,
            deleted: false,
        };
        self.videos.insert(id.clone(), video);
        id
    }

    /// `/videos`: start, transfer, finish.
    pub(super) fn video(
        &mut self,
        now: Timestamp,
        holder: &Holder,
        page: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        let number = |name: &str| params.text(name).and_then(|it| it.parse::<u64>().ok());
        let phase = params.text("upload_phase").unwrap_or_default().to_lowercase();
        if phase == "start" {
            let size = number("file_size").filter(|it| (1..=VIDEO_MAX).contains(it));
            let size = size.ok_or_else(|| invalid("file_size is missing or too large"))?;
            let session = self.next_id();
            let id = self.begin(at, Kind::Video, Some(session.clone()), Some(size));
            // Offsets are text in these answers.
            return ok(&json!({ "upload_session_id": session, "video_id": id, "start_offset": "0",
                "end_offset": CHUNK.min(size).to_string() }));
        }
        let session =
            params.text("upload_session_id").ok_or_else(|| invalid("upload_session_id is missing"))?;
        let found =
            self.videos.entries().find(|(_, it)| it.session.as_deref() == Some(&session) && it.page == at);
        let Some(id) = found.map(|(id, _)| id.clone()) else {
            return Err(missing(&session).because("no such upload"));
        };
        let Some(video) = self.videos.get_mut(&id) else { return Err(missing(&id)) };
        let size = video.size.unwrap_or_default();
        match phase.as_str() {
            "transfer" => {
                let bytes =
                    params.bytes("video_file_chunk").ok_or_else(|| invalid("video_file_chunk is missing"))?;
                let from = number("start_offset").ok_or_else(|| invalid("start_offset is missing"))?;
                let end = (video.received + CHUNK).min(size);
                if from != video.received || from + bytes.len() as u64 > end {
                    let mut answer =
                        error(400, 6001, 1_363_037, "There was a problem with your upload offset.");
                    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    body["error"]["error_data"] =
                        json!({ "start_offset": video.received.to_string(), "end_offset": end.to_string() });
                    answer.body = body.to_string().into();
                    return Err(answer.because("the chunk is not the one that was asked for"));
                }
                video.take(&bytes);
                let end = (video.received + CHUNK).min(size);
                ok(&json!({ "start_offset": video.received.to_string(), "end_offset": end.to_string() }))
            }
            "finish" => {
                if !video.complete() {
                    return Err(error(
                        400,
                        6000,
                        1_363_045,
                        "There was a problem uploading your video file.",
                    )
                    .because("finished before all bytes had arrived"));
                }
                self.finish(now, at, &id, params)?;
                super::done()
            }
            _ => Err(invalid("upload_phase is none of start, transfer, finish")),
        }
    }

    /// `/video_reels` and `/video_stories`: start and finish; the bytes go to the upload host.
    pub(super) fn reel(
        &mut self,
        now: Timestamp,
        holder: &Holder,
        page: &str,
        params: &Params,
        story: bool,
    ) -> Result<Answer, Answer> {
        let at = self.own_page(holder, page)?;
        let kind = if story { Kind::Story } else { Kind::Reel };
        match params.text("upload_phase").unwrap_or_default().to_lowercase().as_str() {
            "start" => {
                let id = self.begin(at, kind, None, None);
                let address = format!("{}/facebook/video-upload/v26.0/{id}", self.origin);
                ok(&json!({ "video_id": id, "upload_url": address }))
            }
            "finish" => {
                let id = params.text("video_id").ok_or_else(|| invalid("video_id is missing"))?;
                let state = params.text("video_state");
                if kind == Kind::Reel && state.as_deref() != Some("PUBLISHED") {
                    return Err(invalid("video_state is not PUBLISHED; nothing may be left to wait"));
                }
                match self.videos.get(&id) {
                    Some(it) if it.page == at && it.kind == kind && it.complete() => {}
                    Some(it) if it.page == at => {
                        return Err(error(
                            400,
                            6000,
                            1_363_045,
                            "The video is not uploaded or of another kind.",
                        )
                        .because("finished before all bytes had arrived"));
                    }
                    _ => return Err(missing(&id).because("no such video")),
                }
                let post = self.finish(now, at, &id, params)?;
                if story {
                    return ok(&json!({ "success": true, "post_id": post }));
                }
                super::done()
            }
            _ => Err(invalid("upload_phase is neither start nor finish")),
        }
    }

    /// Makes an upload public. The same one a second time stays one object: a handle publishes once.
    fn finish(&mut self, now: Timestamp, page: usize, id: &str, params: &Params) -> Result<String, Answer> {
        let post = self.next_id();
        let Some(video) = self.videos.get_mut(id) else { return Err(missing(id)) };
        if let Some(post) = &video.post {
            return Ok(post.clone());
        }
        video.post = Some(post.clone());
        // Found out while it is worked on, long after the answer.
        video.fault = video.wrong();
        let (kind, broken) = (video.kind, video.fault.is_some());
        if broken {
            return Ok(post);
        }
        if kind == Kind::Story {
            self.story(now, page, &post, id.to_owned(), Vec::new());
            return Ok(post);
        }
        let made = Post {
            id: post.clone(),
            page,
            kind,
            text: params.text("description").unwrap_or_default(),
            link: None,
            photos: Vec::new(),
            media: Some(id.to_owned()),
            parent: None,
            at: now,
            deleted: None,
        };
        self.posts.insert(post.clone(), made);
        Ok(post)
    }

    /// The upload host: raw bytes from where the last ones ended, offsets in headers, the token under the
    /// older scheme `OAuth`. What arrives stays, also of a call that breaks off.
    pub(super) fn upload(&mut self, call: &Call, id: &str) -> Answer {
        let failed = |kind: &str, why: &str| {
            let body = json!({ "debug_info": { "retriable": false, "type": kind, "message": why } });
            Answer::json(400, &body).because(why)
        };
        let holder = match self.holder(call) {
            Ok((_, holder)) => holder,
            Err(answer) => return answer,
        };
        if !call.header("authorization").is_some_and(|it| it.starts_with("OAuth ")) {
            return failed("ProcessingFailedError", "the upload host wants `Authorization: OAuth`");
        }
        let number = |name: &str| call.header(name).and_then(|it| it.parse::<u64>().ok());
        let (Some(offset), Some(size)) = (number("offset"), number("file_size")) else {
            return failed("OffsetInvalidError", "`offset` or `file_size` is missing");
        };
        let Some(video) =
            self.videos.get_mut(id).filter(|it| Some(it.page) == holder.page && it.session.is_none())
        else {
            return failed("ProcessingFailedError", "no such upload");
        };
        if offset != video.received {
            return failed("OffsetInvalidError", "the offset is not the one that is expected");
        }
        if offset + call.body.len() as u64 > size {
            return failed("PartialRequestError", "more bytes than were announced");
        }
        video.take(&call.body);
        video.size = Some(size);
        if !video.complete() {
            let body = json!({ "debug_info": { "retriable": true, "type": "PartialRequestError",
                "message": "fewer bytes than were announced" } });
            return Answer::json(400, &body);
        }
        Answer::json(200, &json!({ "success": true }))
    }
}
