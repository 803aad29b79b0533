//! A film's sound: codec, samples a second, channels.

use std::io::{Read, Seek};

use super::{Reader, Span, Trouble, be32, be64, find, sample_table, sound_word};
use crate::domain::media::Sound;

/// What of an elementary stream's description is read; the one of AAC has about forty bytes.
const ESDS_MAX: usize = 96;
/// Samples a second by their index (ISO/IEC 14496-3, table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

pub(super) fn track<R: Read + Seek>(
    reader: &mut Reader<R>,
    media: &[Span],
) -> Result<Option<Sound>, Trouble> {
    let table = sample_table(reader, media)?;
    let Some(described) = find(&table, *b"stsd") else { return Ok(None) };
    // Version and flags, count, then the first entry: length, letters, six bytes, an index; then the
    // version that QuickTime gives it, six bytes, channels, bits, four bytes, rate (16.16).
    let head: [u8; 16] = reader.inside(described)?;
    let codec = sound_word([head[12], head[13], head[14], head[15]]);
    let Ok(entry) = reader.inside::<44>(described) else {
        return Ok(Some(Sound { codec, hz: 0, channels: 0 }));
    };
    let half = |at: usize| u16::from_be_bytes([entry[at], entry[at + 1]]);
    let end = described.end.min(described.start.saturating_add(8 + u64::from(be32(&entry, 8))));
    let (mut hz, mut channels) = (be32(&entry, 40) >> 16, half(32));
    let version = half(24);
    if version == 2 {
        // QuickTime's second sound description: the first one's fields hold constants.
        let long: [u8; 60] = reader.inside(described)?;
        hz = whole(f64::from_bits(be64(&long, 48)));
        channels = u16::try_from(be32(&long, 56)).unwrap_or(u16::MAX);
    }
    let more = described.start + [44, 60, 80][usize::from(version.min(2))];
    if let Some(said) = stream(reader, more, end)? {
        // The stream's own word: a rate above 65,535 has no room in the entry, and the number of channels
        // often is a constant there.
        hz = said.0.unwrap_or(hz);
        channels = said.1.unwrap_or(channels);
    }
    Ok(Some(Sound { codec, hz, channels }))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a cast of floats saturates
fn whole(rate: f64) -> u32 {
    rate.round() as u32
}

/// Rate and channels as the description of an AAC stream has them, which may lie in QuickTime's `wave`.
fn stream<R: Read + Seek>(reader: &mut Reader<R>, start: u64, end: u64) -> Result<Option<Said>, Trouble> {
    if start >= end {
        return Ok(None);
    }
    // What follows the entry in some files is no box, and nothing is said then.
    let Ok(mut parts) = reader.children(start, end) else { return Ok(None) };
    if let Some(wave) = find(&parts, *b"wave") {
        parts = reader.children(wave.start, wave.end)?;
    }
    let Some(esds) = find(&parts, *b"esds") else { return Ok(None) };
    let length = usize::try_from(esds.end - esds.start).unwrap_or(ESDS_MAX).min(ESDS_MAX);
    let mut bytes = vec![0; length];
    for (n, byte) in bytes.iter_mut().enumerate() {
        [*byte] = reader.bytes(esds.start + n as u64)?;
    }
    Ok(config(&bytes).and_then(said))
}

type Said = (Option<u32>, Option<u16>);

/// The decoder's own settings inside the descriptors (ISO/IEC 14496-1, 7.2.6).
fn config(esds: &[u8]) -> Option<&[u8]> {
    // Version and flags, then descriptors in descriptors.
    let stream = descriptor(esds.get(4..)?, 3)?;
    let flags = *stream.get(2)?;
    let mut at = 3 + if flags & 0x80 != 0 { 2 } else { 0 };
    at += if flags & 0x40 != 0 { 1 + usize::from(*stream.get(at)?) } else { 0 };
    at += if flags & 0x20 != 0 { 2 } else { 0 };
    let decoder = descriptor(stream.get(at..)?, 4)?;
    descriptor(decoder.get(13..)?, 5)
}

fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    // Up to four bytes of seven bits each; where the file was cut here, what there is will do.
    let mut length = 0_usize;
    for (n, byte) in rest.iter().take(4).enumerate() {
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let content = &rest[n + 1..];
            return Some(&content[..length.min(content.len())]);
        }
    }
    None
}

/// Reads an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
fn said(config: &[u8]) -> Option<Said> {
    let mut bits = config.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut take = |n: usize| -> Option<u32> {
        (0..n).try_fold(0, |value, _| Some(value << 1 | u32::from(bits.next()?)))
    };
    let mut kind = take(5)?;
    if kind == 0 {
        return None;
    }
    if kind == 31 {
        kind = 32 + take(6)?;
    }
    let mut hz = rate(&mut take)?;
    let mut channels = match take(4)? {
        n @ 1..=6 => u16::try_from(n).ok(),
        7 => Some(8),
        _ => None,
    };
    // With these two what is heard has another rate than the core, and one channel becomes two.
    if matches!(kind, 5 | 29) {
        hz = rate(&mut take)?;
    }
    if kind == 29 {
        channels = Some(2);
    }
    Some((Some(hz).filter(|it| *it > 0), channels))
}

/// 0: an index that stands for no rate.
fn rate(take: &mut impl FnMut(usize) -> Option<u32>) -> Option<u32> {
    let index = take(4)?;
    if index == 15 { take(24) } else { Some(RATES.get(index as usize).copied().unwrap_or_default()) }
}
