//! Takes out of a file what it tells besides its picture: where it was taken, with which camera, by
//! whom, and everything that lies behind its end.
//!
//! Pixels are not touched, so nothing is lost by it. The one note that matters for the picture, which
//! side is up, is written back in the shortest form there is: turning the pixels instead would mean
//! compressing them again. Colour profiles stay, or the colours would change.
//!
//! In films the boxes of notes are renamed to `free` and filled with zeros where they lie: nothing
//! moves, so no offset in the index changes.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::domain::media::MediaKind;

/// The picture without its notes; none: there were none.
///
/// # Errors
/// The file is not built as its format wants. Decoders forgive that, and so may whoever looks for the
/// notes in it; they could not be taken out.
pub(super) fn picture(kind: MediaKind, bytes: &[u8], orientation: u8) -> Result<Option<Vec<u8>>, Untidy> {
    let clean = match kind {
        MediaKind::Jpeg => jpeg(bytes, orientation),
        MediaKind::Png => png(bytes, orientation),
        MediaKind::WebP => webp(bytes, orientation),
        MediaKind::Gif => gif(bytes),
        MediaKind::Mp4 | MediaKind::Mov | MediaKind::Pdf => return Ok(None),
    };
    let clean = clean.ok_or(Untidy)?;
    Ok((clean != bytes).then_some(clean))
}

/// A file in which notes cannot be told from the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untidy;

/// Blanks the boxes at these places (first byte, length).
pub(super) fn film(path: &Path, notes: &[(u64, u64)]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    for (at, length) in notes {
        let mut size = [0; 4];
        file.seek(SeekFrom::Start(*at))?;
        file.read_exact(&mut size)?;
        file.write_all(b"free")?;
        // A size of 1 says that the length stands behind the name; without it the rest would be lost.
        let head = if size == [0, 0, 0, 1] { 16 } else { 8 };
        file.seek(SeekFrom::Start(at + head))?;
        let zeros = [0; 4096];
        let mut left = length.saturating_sub(head);
        while left > 0 {
            let n = left.min(zeros.len() as u64);
            file.write_all(&zeros[..usize::try_from(n).unwrap_or(zeros.len())])?;
            left -= n;
        }
    }
    file.sync_all()
}

/// EXIF that says nothing but which side is up: big-endian TIFF with one entry (tag 0x0112).
fn orientation_alone(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// A segment that belongs to the picture: tables, frame, scan, JFIF, colour profile, Adobe's transform.
fn is_picture_segment(marker: u8, content: &[u8]) -> bool {
    match marker {
        0xe0 => content.starts_with(b"JFIF\0"),
        0xe2 => content.starts_with(b"ICC_PROFILE\0"),
        0xee => content.starts_with(b"Adobe"),
        0xe1..=0xef | 0xfe => false,
        _ => true,
    }
}

fn jpeg(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(b"\xff\xd8");
    // JFIF wants to be the first; then the note, if there must be one.
    let mut noted = orientation <= 1;
    let note = |out: &mut Vec<u8>, noted: &mut bool| {
        if !*noted {
            *noted = true;
            let tiff = orientation_alone(orientation);
            out.extend(b"\xff\xe1");
            out.extend(u16::try_from(tiff.len() + 8).unwrap_or(u16::MAX).to_be_bytes());
            out.extend(b"Exif\0\0");
            out.extend(tiff);
        }
    };
    let mut at = 2;
    loop {
        while bytes.get(at) == Some(&0xff) && bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        if bytes.get(at) != Some(&0xff) {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        if marker == 0xd9 {
            out.extend(b"\xff\xd9");
            // What follows the end (a second picture, a film, anything) is not part of this one.
            return Some(out);
        }
        if marker == 0x01 || (0xd0..=0xd7).contains(&marker) {
            out.extend(&bytes[at..at + 2]);
            at += 2;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
        let end = at + 2 + length;
        let segment = bytes.get(at..end).filter(|_| length >= 2)?;
        if is_picture_segment(marker, &segment[4..]) {
            if marker != 0xe0 {
                note(&mut out, &mut noted);
            }
            out.extend(segment);
        }
        at = end;
        if marker == 0xda {
            // The scan: everything up to the next marker that is neither stuffing nor a restart.
            let start = at;
            loop {
                let next = at + bytes.get(at..)?.iter().position(|it| *it == 0xff)?;
                let after = *bytes.get(next + 1)?;
                at = next + if after == 0xff { 1 } else { 2 };
                if after != 0 && after != 0xff && !(0xd0..=0xd7).contains(&after) {
                    at = next;
                    break;
                }
            }
            out.extend(&bytes[start..at]);
        }
    }
}

/// Chunks that say how the picture is shown.
const PNG_CHUNKS: [&[u8; 4]; 17] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP",
    b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT", b"hIST",
];

fn png(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(&bytes[..8]);
    let mut at = 8;
    loop {
        let length = usize::try_from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()?;
        let end = at.checked_add(12)?.checked_add(length)?;
        let chunk = bytes.get(at..end)?;
        let kind: &[u8; 4] = chunk[4..8].try_into().ok()?;
        if PNG_CHUNKS.contains(&kind) {
            out.extend(chunk);
        }
        if kind == b"IHDR" && orientation > 1 {
            let tiff = orientation_alone(orientation);
            out.extend(u32::try_from(tiff.len()).ok()?.to_be_bytes());
            let body = [b"eXIf".as_slice(), &tiff].concat();
            out.extend(&body);
            out.extend(crc32(&body).to_be_bytes());
        }
        if kind == b"IEND" {
            return Some(out);
        }
        at = end;
    }
}

/// PNG's checksum (ISO 3309), bit by bit: it is worked out over thirty bytes.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn webp(bytes: &[u8], orientation: u8) -> Option<Vec<u8>> {
    if bytes.len() < 20 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WEBP" {
        return None;
    }
    let said = usize::try_from(u32::from_le_bytes(bytes[4..8].try_into().ok()?)).ok()?;
    let whole = bytes.get(..said.checked_add(8)?)?;
    let mut out = bytes[..12].to_vec();
    let mut extended = None;
    let mut at = 12;
    while at + 8 <= whole.len() {
        let length = usize::try_from(u32::from_le_bytes(whole.get(at + 4..at + 8)?.try_into().ok()?)).ok()?;
        let end = at.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?.min(whole.len());
        let chunk = whole.get(at..end).filter(|it| it.len() >= 8 + length)?;
        match &chunk[..4] {
            b"VP8X" => {
                extended = Some(out.len());
                out.extend(chunk);
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP" => out.extend(chunk),
            // Notes, and what nobody knows.
            _ => {}
        }
        at = end;
    }
    if let Some(at) = extended {
        let flags = out.get_mut(at + 8)?;
        // Bit 3: EXIF follows; bit 2: XMP follows (developers.google.com/speed/webp/docs/riff_container).
        *flags &= !0x0c;
        if orientation > 1 {
            *flags |= 0x08;
            let tiff = orientation_alone(orientation);
            out.extend(b"EXIF");
            out.extend(u32::try_from(tiff.len()).ok()?.to_le_bytes());
            out.extend(tiff);
        }
    }
    let length = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&length.to_le_bytes());
    Some(out)
}

/// Leaves out comments, and of the application's extensions all but the two that repeat an animation.
fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    walk_gif(bytes).map(|it| it.clean)
}

/// How many pictures a GIF has. 0 when it is not built as it should be.
pub(super) fn gif_frames(bytes: &[u8]) -> usize {
    walk_gif(bytes).map_or(0, |it| it.frames)
}

struct Walked {
    clean: Vec<u8>,
    frames: usize,
}

fn walk_gif(bytes: &[u8]) -> Option<Walked> {
    if !bytes.starts_with(b"GIF8") {
        return None;
    }
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3usize << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut clean = bytes.get(..at)?.to_vec();
    let mut frames = 0;
    loop {
        let start = at;
        let keep = match *bytes.get(at)? {
            0x3b => {
                clean.push(0x3b);
                return Some(Walked { clean, frames });
            }
            0x2c => {
                frames += 1;
                at += 10 + table(*bytes.get(at + 9)?) + 1;
                true
            }
            0x21 => {
                let label = *bytes.get(at + 1)?;
                at += 2;
                let app = bytes.get(at + 1..at + 12).unwrap_or_default();
                label == 0xf9
                    || label == 0x01
                    || label == 0xff && matches!(app, b"NETSCAPE2.0" | b"ANIMEXTS1.0")
            }
            _ => return None,
        };
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        if keep {
            clean.extend(bytes.get(start..at)?);
        }
    }
}

#[cfg(test)]
#[path = "strip_tests.rs"]
mod tests;
