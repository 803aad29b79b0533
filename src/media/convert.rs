//! Makes a picture ready for a network: decoded within a limit of memory, turned upright, shrunk,
//! written as a JPEG that has no more bytes than the network takes.
//!
//! The result has the shape of the original, all of it: nothing is cropped. Its colours are those of sRGB.
//! Of the notes only a colour profile goes along that is not understood, because the colours would be
//! others without it.

use std::io::{self, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageEncoder, RgbImage};

use super::{MediaError, colour, probe};
use crate::domain::fit::{DECODED_MAX, Fit};
use crate::domain::media::MediaKind;

/// Tried in this order; below the last the picture is made smaller instead.
const QUALITIES: [u8; 5] = [90, 82, 74, 66, 58];
/// So many times it is made smaller (to nine tenths) before it is given up.
const SHRINKS: usize = 12;
/// What a good filter may take beside the picture; it works on four floats a pixel.
const FILTER_MAX: u64 = 64 << 20;

/// The file at `from`, converted.
pub(super) fn jpeg(from: &Path, kind: MediaKind, fit: &Fit) -> Result<Vec<u8>, MediaError> {
    let mut decoder = probe::decoder(from, kind, DECODED_MAX + probe::SPARE)?;
    let turn = decoder.orientation().map_err(probe::damaged)?;
    // One of CMYK says nothing of the RGB that is made of it.
    let profile = decoder.icc_profile().ok().flatten().filter(|it| it.get(16..20) == Some(b"RGB "));
    let picture = DynamicImage::from_decoder(decoder).map_err(probe::damaged)?;
    // Turned while it is small; the target is meant upright.
    let (width, height) = if probe::turned(turn) { (fit.height, fit.width) } else { (fit.width, fit.height) };
    let mut picture = shrink(picture, width, height);
    picture.apply_orientation(turn);
    let mut picture = flat(picture);
    let profile = profile.filter(|it| !colour::to_srgb(&mut picture, it));
    for _ in 0..=SHRINKS {
        for quality in QUALITIES {
            let bytes = encode(&picture, quality, profile.as_deref()).map_err(probe::damaged)?;
            if bytes.len() as u64 <= fit.bytes_max {
                return Ok(bytes);
            }
        }
        let side = |it: u32| (it * 9 / 10).max(1);
        let (width, height) = (side(picture.width()), side(picture.height()));
        picture = flat(shrink(DynamicImage::ImageRgb8(picture), width, height));
    }
    Err(MediaError::Stubborn { max: fit.bytes_max })
}

fn shrink(picture: DynamicImage, width: u32, height: u32) -> DynamicImage {
    if (picture.width(), picture.height()) == (width, height) {
        return picture;
    }
    let cost = |picture: &DynamicImage| u64::from(width) * u64::from(picture.height()) * 16;
    // Averaging whole blocks takes no memory and is as good as anything down to twice the size.
    let mut picture = picture;
    if cost(&picture) > FILTER_MAX {
        let (w, h) = (picture.width().min(width * 2), picture.height().min(height * 2));
        picture = picture.thumbnail_exact(w, h);
    }
    if cost(&picture) > FILTER_MAX {
        return picture.thumbnail_exact(width, height);
    }
    picture.resize_exact(width, height, FilterType::CatmullRom)
}

/// Without transparency: on white, as people see it on most screens.
fn flat(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let seen = picture.into_rgba8();
    let mut out = RgbImage::new(seen.width(), seen.height());
    for (from, to) in seen.pixels().zip(out.pixels_mut()) {
        let alpha = u16::from(from[3]);
        for n in 0..3 {
            let mixed = (u16::from(from[n]) * alpha + 255 * (255 - alpha) + 127) / 255;
            to[n] = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
    out
}

fn encode(picture: &RgbImage, quality: u8, profile: Option<&[u8]>) -> Result<Vec<u8>, image::ImageError> {
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality);
    if let Some(profile) = profile {
        // A profile that the format cannot hold is left out; the picture is worth more.
        encoder.set_icc_profile(profile.to_vec()).ok();
    }
    encoder.write_image(picture, picture.width(), picture.height(), image::ExtendedColorType::Rgb8)?;
    Ok(out)
}

/// Writes a result to `to`, which must not exist.
pub(super) fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    file.write_all(bytes)?;
    file.sync_all()
}
