//! Reads what a file is from its bytes, without decoding pixels.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use image::ImageDecoder;
use image::metadata::Orientation;

use super::{Facts, MediaError, SIDE_MAX};
use crate::domain::media::MediaKind;

/// How many bytes decide the type.
const HEAD: u64 = 8192;

/// Type and size of the file at `path`, which has `bytes` bytes.
pub(super) fn facts(path: &Path, bytes: u64, digest: [u8; 32]) -> Result<Facts, MediaError> {
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(MediaError::Disk)?;
    let kind = match infer::get(&head).map(|it| it.mime_type()) {
        Some("image/jpeg") => MediaKind::Jpeg,
        Some("image/png") => MediaKind::Png,
        Some("image/webp") => MediaKind::WebP,
        Some("image/gif") => MediaKind::Gif,
        Some("video/mp4" | "video/quicktime" | "video/x-m4v") => return Err(MediaError::Video),
        _ => return Err(MediaError::NotAllowed),
    };
    let file = File::open(path).map_err(MediaError::Disk)?;
    let reader = image::ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|error| MediaError::Damaged(error.to_string()))?;
    let mut decoder = reader.into_decoder().map_err(|error| MediaError::Damaged(error.to_string()))?;
    let (mut width, mut height) = decoder.dimensions();
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(MediaError::TooManyPixels { width, height });
    }
    // Networks show the turned picture; an aspect ratio of the raw pixels would be wrong.
    let turn = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if matches!(
        turn,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    ) {
        std::mem::swap(&mut width, &mut height);
    }
    Ok(Facts { kind, bytes, width, height, digest })
}
