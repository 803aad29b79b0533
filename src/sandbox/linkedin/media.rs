//! Files: begun, sent to addresses that end, put together, worked on.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::oauth::Token;
use super::{LinkedIn, error, invalid};
use crate::sandbox::film::Film;
use crate::sandbox::wire::{Answer, Call};

/// Addresses end; how soon is not documented.
const ADDRESS_LIFE: SignedDuration = SignedDuration::from_hours(1);
const PIECE: u64 = 4 << 20;
const DOCUMENT_MAX: usize = 100_000_000;
const PIXELS_MAX: u64 = 36_152_320;
const FRAMES_MAX: usize = 250;
const PAGES_MAX: usize = 300;
const FILM_MS: std::ops::RangeInclusive<u64> = 3_000..=1_800_000;
/// The longer side is at most so many tenths of the shorter.
const SIDES_MAX: u64 = 24;
/// A film that is longer than this is not kept, and is known by its head.
const KEPT: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Image,
    Video,
    Document,
}

impl Noun {
    pub(super) fn of_path(word: &str) -> Option<Self> {
        match word {
            "images" => Some(Self::Image),
            "videos" => Some(Self::Video),
            "documents" => Some(Self::Document),
            _ => None,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Document => "document",
        }
    }

    /// How long it is worked on.
    fn work(self) -> SignedDuration {
        SignedDuration::from_secs(if self == Self::Image { 1 } else { 3 })
    }
}

pub(super) struct Asset {
    pub(super) noun: Noun,
    pub(super) owner: String,
    /// How many bytes were announced (films).
    size: u64,
    /// The pieces of a film by their numbers; of anything else the whole.
    pieces: Vec<Option<Bytes>>,
    token: String,
    ends: Timestamp,
    /// When all of it had come.
    whole: Option<Timestamp>,
    failed: bool,
    pub(super) bytes: Bytes,
}

impl Asset {
    pub(super) fn state(&self, now: Timestamp) -> &'static str {
        match self.whole {
            None => "WAITING_UPLOAD",
            Some(_) if self.failed => "PROCESSING_FAILED",
            Some(at) if now < at + self.noun.work() => "PROCESSING",
            Some(_) => "AVAILABLE",
        }
    }
}

fn tag(bytes: &Bytes) -> String {
    let digest = crate::sandbox::wire::sha256(bytes);
    format!("\"{}\"", crate::sandbox::wire::base64url(&digest[..12]))
}

fn expired() -> Answer {
    error(400, "EXPIRED_UPLOAD_URL", 0, "The upload URL has expired")
}

impl LinkedIn {
    /// `initializeUpload` and `finalizeUpload`.
    pub(super) fn begin(&mut self, call: &Call, token: &Token, noun: Noun) -> Result<Answer, Answer> {
        super::only(call, &["action"])?;
        let body = super::json_body(call)?;
        match (call.param("action"), noun) {
            (Some("initializeUpload"), _) => {}
            (Some("finalizeUpload"), Noun::Video) => return self.finish(call, token, &body),
            _ => return Err(invalid("there is no such action")),
        }
        let ask = &body["initializeUploadRequest"];
        super::body::begin(noun, &body)?;
        let owner = ask["owner"].as_str().unwrap_or_default().to_owned();
        self.may_write(token, &owner, noun.word())?;
        let size = ask["fileSizeBytes"].as_u64().unwrap_or_default();
        let id = format!("C4E10AQ{}", &self.chance.token("linkedin asset")[..16]);
        let count = if noun == Noun::Video { size.div_ceil(PIECE) } else { 1 };
        let count = usize::try_from(count).unwrap_or(1);
        let asset = Asset {
            noun,
            owner,
            size,
            pieces: vec![None; count],
            token: String::new(),
            ends: call.now + ADDRESS_LIFE,
            whole: None,
            failed: false,
            bytes: Bytes::new(),
        };
        let ends = asset.ends.as_millisecond();
        self.assets.insert(id.clone(), asset);
        let urn = format!("urn:li:{}:{id}", noun.word());
        let address = |n: usize| format!("{}/linkedin/dms-uploads/{id}/{n}", self.origin);
        let value = if noun == Noun::Video {
            let instructions: Vec<Value> = (0..count)
                .map(|n| {
                    let first = n as u64 * PIECE;
                    let last = (first + PIECE).min(size) - 1;
                    json!({ "uploadUrl": address(n), "firstByte": first, "lastByte": last })
                })
                .collect();
            json!({ "uploadUrlsExpireAt": ends, "video": urn, "uploadToken": "", "uploadInstructions": instructions })
        } else {
            json!({ "uploadUrlExpiresAt": ends, "uploadUrl": address(0), noun.word(): urn })
        };
        Ok(Answer::json(200, &json!({ "value": value })))
    }

    /// Bytes for an address. Pictures and documents come with the token, pieces of a film without.
    pub(super) fn upload(&mut self, call: &Call, id: &str, n: &str) -> Answer {
        let Ok(n) = n.parse::<usize>() else { return expired().because("no such address") };
        let token = self.holder(call);
        let owner_known = |owner: &str, token: &Token| self.may_write(token, owner, "upload").is_ok();
        let Some(asset) = self.assets.get(id) else { return expired().because("no such address") };
        if asset.noun != Noun::Video {
            match &token {
                Ok(token) if owner_known(&asset.owner, token) => {}
                Ok(_) => return super::denied("dms-uploads").because("another owner's file"),
                Err(_) => return super::denied("dms-uploads").because("a picture without a token"),
            }
        } else if call.content_type() != "application/octet-stream" {
            return invalid("pieces of a film are application/octet-stream");
        }
        if call.now >= asset.ends {
            return expired();
        }
        let body = call.body.clone();
        let fault = match asset.noun {
            Noun::Image => image(&body),
            Noun::Document => document(&body),
            Noun::Video => piece(asset, n, &body),
        };
        let Some(asset) = self.assets.get_mut(id) else { return expired() };
        if let Err(why) = fault {
            if asset.noun == Noun::Video {
                return invalid(why);
            }
            // What is in a file shows only when it is worked on.
            asset.failed = true;
        }
        let name = tag(&body);
        let Some(place) = asset.pieces.get_mut(n) else { return invalid("no such piece") };
        *place = Some(body.clone());
        if asset.noun != Noun::Video {
            asset.bytes = body;
            asset.whole = Some(call.now);
            return Answer::new(201, "text/plain; charset=utf-8", "");
        }
        let answer = Answer::new(200, "text/plain; charset=utf-8", "").with("etag", &name);
        // It is taken all the same; whoever watches the stand-in should know.
        let leaks = call.header("authorization").is_some();
        if leaks { answer.because("a token came with a piece of a film") } else { answer }
    }

    fn finish(&mut self, call: &Call, token: &Token, body: &Value) -> Result<Answer, Answer> {
        let ask = &body["finalizeUploadRequest"];
        super::body::finish(body)?;
        let id = ask["video"].as_str().and_then(|it| it.strip_prefix("urn:li:video:")).unwrap_or_default();
        let owner = self.assets.get(id).map(|it| it.owner.clone());
        let owner = owner
            .ok_or_else(|| error(400, "INVALID_VIDEO_ID", 0, "no such video").because("no such video"))?;
        self.may_write(token, &owner, "video")?;
        let Some(asset) = self.assets.get_mut(id) else { return Err(expired()) };
        if call.now >= asset.ends && asset.whole.is_none() {
            return Err(expired());
        }
        let given: Vec<&str> =
            ask["uploadedPartIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut all = Vec::new();
        for (n, piece) in asset.pieces.iter().enumerate() {
            match piece {
                Some(bytes) if given.get(n) == Some(&tag(bytes).as_str()) => all.extend_from_slice(bytes),
                Some(_) => return Err(invalid("the part ids are not those of the parts, in their order")),
                None => return Err(invalid("a part is missing")),
            }
        }
        if given.len() != asset.pieces.len() || ask["uploadToken"].as_str() != Some(&asset.token) {
            return Err(invalid("part ids or token do not fit the upload"));
        }
        // What is in a film shows only when it is worked on.
        asset.failed = !is_film(&all);
        asset.bytes = if asset.size <= KEPT { all.into() } else { Bytes::new() };
        asset.whole = Some(call.now);
        Ok(Answer::new(200, "application/json; charset=utf-8", ""))
    }

    /// How far a file is: for organizations' tokens alone.
    pub(super) fn status(&self, call: &Call, token: &Token, noun: Noun, urn: &str) -> Result<Answer, Answer> {
        super::only(call, &[])?;
        super::body::urn("the file", &json!(urn), &[noun.word()])?;
        if !token.may("w_organization_social") && !token.may("r_organization_social") {
            return Err(super::denied(&format!("{}s.GET", noun.word())));
        }
        let id = urn.strip_prefix(&format!("urn:li:{}:", noun.word())).unwrap_or_default();
        match self.assets.get(id) {
            Some(asset) if self.may_write(token, &asset.owner, "status").is_ok() => {
                let body = json!({ "id": urn, "status": asset.state(call.now), "owner": asset.owner });
                Ok(Answer::json(200, &body))
            }
            _ => Err(error(404, "RESOURCE_NOT_FOUND", 0, "Could not find entity").because("no such file")),
        }
    }
}

fn image(bytes: &Bytes) -> Result<(), &'static str> {
    let kind = infer::get(bytes).map(|it| it.mime_type());
    if !matches!(kind, Some("image/jpeg" | "image/png" | "image/gif")) {
        return Err("not a JPEG, PNG or GIF");
    }
    if kind == Some("image/gif") && frames(bytes) > FRAMES_MAX {
        return Err("too many frames");
    }
    let size = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
    let size = size.ok().and_then(|it| it.into_dimensions().ok());
    match size {
        Some((w, h)) if u64::from(w) * u64::from(h) < PIXELS_MAX => Ok(()),
        _ => Err("too many pixels, or none"),
    }
}

/// How many pictures an animation has, counted no further than needed.
fn frames(bytes: &Bytes) -> usize {
    use image::AnimationDecoder as _;
    let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(bytes));
    decoder.map_or(0, |it| it.into_frames().take(FRAMES_MAX + 1).flatten().count())
}

/// A PDF, or one of the office's formats, old and new.
fn document(bytes: &Bytes) -> Result<(), &'static str> {
    let heads: [&[u8]; 3] = [b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];
    if !heads.iter().any(|head| bytes.starts_with(head)) || bytes.len() > DOCUMENT_MAX {
        return Err("not a PDF, PPT(X) or DOC(X) of 100 MB at most");
    }
    if pages(bytes) > PAGES_MAX { Err("more than 300 pages") } else { Ok(()) }
}

/// The pages of a PDF that names them openly.
fn pages(bytes: &[u8]) -> usize {
    let kinds = bytes.windows(6).enumerate().filter(|(_, it)| *it == b"/Type/" || *it == b"/Type ");
    kinds
        .filter(|(at, _)| {
            let rest = bytes[at + 5..].trim_ascii_start();
            rest.strip_prefix(b"/Page").is_some_and(|it| !it.first().is_some_and(u8::is_ascii_alphabetic))
        })
        .count()
}

fn is_film(bytes: &[u8]) -> bool {
    let Some(film) = Film::of(bytes) else { return false };
    // MP4 alone (shares/videos-api); QuickTime names itself first.
    if bytes.get(8..12) == Some(b"qt  ") {
        return false;
    }
    let (long, short) = (u64::from(film.width.max(film.height)), u64::from(film.width.min(film.height)));
    FILM_MS.contains(&film.ms) && short > 0 && long * 10 <= short * SIDES_MAX
}

fn piece(asset: &Asset, n: usize, bytes: &Bytes) -> Result<(), &'static str> {
    let first = n as u64 * PIECE;
    let want = (first + PIECE).min(asset.size).saturating_sub(first);
    (bytes.len() as u64 == want && want > 0)
        .then_some(())
        .ok_or("the piece has not the length that was asked for")
}
