//! Reads what a file is from its bytes. A picture is decoded once, after its head has said that it fits:
//! what cannot be shown is told to whoever schedules it, not at the time it is due.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::mp4::{self, Trouble};
use super::{Caps, Facts, MediaError, colour, pdf, strip};
use crate::domain::fit::DECODED_MAX;
use crate::domain::media::{Detail, MediaKind};

/// How many bytes decide the type.
const HEAD: u64 = 8192;
/// The most memory that reading a picture's head may take: colour profiles and notes can be large.
const HEAD_ALLOC: u64 = 16 << 20;
/// What a decoder may take beside the picture it makes.
pub(super) const SPARE: u64 = 8 << 20;

/// What a file is, and what there is to clean in it.
pub(super) struct Probed {
    pub(super) facts: Facts,
    /// As in EXIF: 1 is upright.
    pub(super) orientation: u8,
    /// Places in a film that hold notes.
    pub(super) notes: Vec<(u64, u64)>,
}

/// Type, size and inside of the file at `path`, which has `bytes` bytes.
pub(super) fn probe(path: &Path, bytes: u64, caps: &Caps) -> Result<Probed, MediaError> {
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(MediaError::Disk)?;
    match kind(&head)? {
        kind if kind.is_image() => picture(path, bytes, kind, caps),
        MediaKind::Pdf => document(path, bytes),
        kind => film(path, bytes, kind, caps),
    }
}

/// The kind, by the first bytes.
fn kind(head: &[u8]) -> Result<MediaKind, MediaError> {
    if let Some(brand) = head.get(4..12).filter(|it| it.starts_with(b"ftyp")).map(|it| &it[4..]) {
        return match brand {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Err(MediaError::Heic { name: "HEIC" })
            }
            b"avif" | b"avis" => Err(MediaError::Heic { name: "AVIF" }),
            b"qt  " => Ok(MediaKind::Mov),
            b"M4A " | b"M4B " | b"crx " | b"jxl " => Err(MediaError::NotAllowed { found: None }),
            _ => Ok(MediaKind::Mp4),
        };
    }
    // QuickTime files older than `ftyp` begin with one of these.
    if head.get(4..8).is_some_and(|it| matches!(it, b"moov" | b"mdat" | b"wide")) {
        return Ok(MediaKind::Mov);
    }
    match infer::get(head).map(|it| it.mime_type()) {
        Some("image/jpeg") => Ok(MediaKind::Jpeg),
        Some("image/png") => Ok(MediaKind::Png),
        Some("image/webp") => Ok(MediaKind::WebP),
        Some("image/gif") => Ok(MediaKind::Gif),
        Some("application/pdf") => Ok(MediaKind::Pdf),
        found => Err(MediaError::NotAllowed { found: looks_like(head).or(found) }),
    }
}

/// What `infer` does not know: text that is dressed up as a picture.
fn looks_like(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&head[..head.len().min(1024)]).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.contains("<svg") {
        Some("image/svg+xml")
    } else if ["<!doctype html", "<html", "<head", "<script", "<body"].iter().any(|it| text.starts_with(it)) {
        Some("text/html")
    } else if text.starts_with("<?xml") {
        Some("text/xml")
    } else {
        None
    }
}

fn picture(path: &Path, bytes: u64, kind: MediaKind, caps: &Caps) -> Result<Probed, MediaError> {
    if bytes > caps.picture_bytes() {
        return Err(MediaError::TooBig { bytes: Some(bytes), max: caps.picture_bytes() });
    }
    let mut decoder = decoder(path, kind, HEAD_ALLOC)?;
    let (mut width, mut height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width > super::SIDE_MAX || height > super::SIDE_MAX || pixels > caps.pixels {
        return Err(MediaError::TooManyPixels { width, height, max: caps.pixels });
    }
    if pixels == 0 {
        return Err(MediaError::Damaged("it has no pixels".into()));
    }
    let colour = decoder.color_type();
    // Networks show the turned picture; an aspect ratio of the raw pixels would be wrong.
    let turn = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if turned(turn) {
        std::mem::swap(&mut width, &mut height);
    }
    let decoded = decoder.total_bytes();
    let profile = decoder.icc_profile().ok().flatten();
    drop(decoder);
    // What does not fit is not converted either; it goes out as it is, or is refused for its size.
    if decoded <= DECODED_MAX {
        let again = self::decoder(path, kind, DECODED_MAX + SPARE)?;
        DynamicImage::from_decoder(again).map_err(damaged)?;
    }
    let frames = frames(path, kind)?;
    let detail = Detail {
        pixel_bytes: colour.bytes_per_pixel(),
        alpha: colour.has_alpha(),
        animated: frames > 1 || is_animated(path, kind)?,
        frames,
        colours: colour::of(path, kind, profile.as_deref()).map_err(MediaError::Disk)?,
        ..Detail::default()
    };
    let facts = Facts { kind, bytes, width, height, digest: [0; 32], detail };
    Ok(Probed { facts, orientation: turn.to_exif(), notes: Vec::new() })
}

#[allow(clippy::needless_pass_by_value)] // the shape of `map_err`
pub(super) fn damaged(error: image::ImageError) -> MediaError {
    MediaError::Damaged(error.to_string())
}

/// A decoder that takes so much memory at most.
pub(super) fn decoder(path: &Path, kind: MediaKind, alloc: u64) -> Result<impl ImageDecoder, MediaError> {
    let file = File::open(path).map_err(MediaError::Disk)?;
    let mut reader = ImageReader::new(BufReader::new(file));
    reader.set_format(format(kind));
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(alloc);
    reader.limits(limits);
    reader.into_decoder().map_err(damaged)
}

/// The `image` crate's word for a picture's kind.
fn format(kind: MediaKind) -> image::ImageFormat {
    match kind {
        MediaKind::Png => image::ImageFormat::Png,
        MediaKind::WebP => image::ImageFormat::WebP,
        MediaKind::Gif => image::ImageFormat::Gif,
        MediaKind::Jpeg | MediaKind::Mp4 | MediaKind::Mov | MediaKind::Pdf => image::ImageFormat::Jpeg,
    }
}

pub(super) fn turned(turn: Orientation) -> bool {
    matches!(
        turn,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// How many pictures a GIF has: its only sign of movement. 0 for all other kinds.
fn frames(path: &Path, kind: MediaKind) -> Result<u32, MediaError> {
    if kind != MediaKind::Gif {
        return Ok(0);
    }
    let bytes = std::fs::read(path).map_err(MediaError::Disk)?;
    Ok(u32::try_from(strip::gif_frames(&bytes)).unwrap_or(u32::MAX))
}

/// Whether a picture of another kind than GIF moves. Each format says so in its own place.
fn is_animated(path: &Path, kind: MediaKind) -> Result<bool, MediaError> {
    let mut head = Vec::new();
    let mut read = |limit: u64| {
        head.clear();
        File::open(path)
            .and_then(|file| file.take(limit).read_to_end(&mut head))
            .map(|_| head.clone())
            .map_err(MediaError::Disk)
    };
    Ok(match kind {
        // The flag in the extended header.
        MediaKind::WebP => {
            let head = read(21)?;
            head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|it| it & 0x02 != 0)
        }
        // The chunk that must come before the first pixels.
        MediaKind::Png => {
            let head = read(2 << 20)?;
            let pixels = head.windows(4).position(|it| it == b"IDAT").unwrap_or(head.len());
            head[..pixels].windows(4).any(|it| it == b"acTL")
        }
        MediaKind::Gif | MediaKind::Jpeg | MediaKind::Mp4 | MediaKind::Mov | MediaKind::Pdf => false,
    })
}

fn film(path: &Path, bytes: u64, kind: MediaKind, caps: &Caps) -> Result<Probed, MediaError> {
    let file = File::open(path).map_err(MediaError::Disk)?;
    let film = mp4::read(BufReader::with_capacity(512, file), bytes).map_err(|trouble| match trouble {
        Trouble::Damaged(what) => MediaError::DamagedFilm(what),
        Trouble::Unfit(what) => MediaError::UnfitFilm(what),
    })?;
    if film.video.duration_ms > caps.duration_ms {
        return Err(MediaError::TooLong { ms: film.video.duration_ms, max: caps.duration_ms });
    }
    let (width, height) = (film.width, film.height);
    if u64::from(width) * u64::from(height) > caps.pixels {
        return Err(MediaError::TooManyPixels { width, height, max: caps.pixels });
    }
    let detail = Detail { video: Some(film.video), ..Detail::default() };
    let facts = Facts { kind, bytes, width, height, digest: [0; 32], detail };
    Ok(Probed { facts, orientation: 1, notes: film.notes })
}

fn document(path: &Path, bytes: u64) -> Result<Probed, MediaError> {
    let is_whole = File::open(path).and_then(|file| pdf::is_whole(file, bytes)).map_err(MediaError::Disk)?;
    if !is_whole {
        return Err(MediaError::DamagedDocument("it has no end, so a part of it is missing"));
    }
    let pages = File::open(path).and_then(pdf::pages).map_err(MediaError::Disk)?;
    let detail = Detail { pages, ..Detail::default() };
    let facts = Facts { kind: MediaKind::Pdf, bytes, width: 0, height: 0, digest: [0; 32], detail };
    Ok(Probed { facts, orientation: 1, notes: Vec::new() })
}
