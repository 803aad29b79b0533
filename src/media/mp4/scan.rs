//! Whether pictures are recorded in fields, every other line at a time (interlaced).
//!
//! H.264 tells in its sequence parameters (ITU-T H.264, 7.3.2.1.1: `frame_mbs_only_flag`), HEVC in its
//! decoder configuration (ISO/IEC 14496-15, `general_interlaced_source_flag`), QuickTime in the `fiel` of
//! the sample entry.

use std::io::{Read, Seek};

use super::{Reader, Trouble, be32, find};
use crate::media::mp4::Span;

/// Bytes of a decoder configuration that are read; the first sequence parameters lie within them.
const CONFIG: usize = 64;

/// `described` is the box of sample descriptions. What cannot be told is not called interlaced.
pub(super) fn is_interlaced<R: Read + Seek>(
    reader: &mut Reader<R>,
    described: Span,
) -> Result<bool, Trouble> {
    let Ok(head) = reader.inside::<16>(described) else { return Ok(false) };
    let end = described.end.min(described.start.saturating_add(8 + u64::from(be32(&head, 8))));
    // Version and flags, count, and the entry's own head and 78 bytes.
    let more = described.start + 8 + 8 + 78;
    if more >= end {
        return Ok(false);
    }
    let Ok(parts) = reader.children(more, end) else { return Ok(false) };
    if let Some(fields) = find(&parts, *b"fiel")
        && reader.inside::<1>(fields)? == [2]
    {
        return Ok(true);
    }
    if let Some(config) = find(&parts, *b"avcC") {
        let bytes = reader.most::<CONFIG>(config)?;
        // Six bytes, the length of the first parameters, their own head; then the profile.
        let from = bytes.get(9..).unwrap_or_default();
        return Ok(fields_in_h264(from).unwrap_or(false));
    }
    if let Some(config) = find(&parts, *b"hvcC") {
        let bytes = reader.most::<CONFIG>(config)?;
        // Version, profile, four bytes of compatibility; then progressive, interlaced, …
        return Ok(bytes.get(6).is_some_and(|it| it & 0xc0 == 0x40));
    }
    Ok(false)
}

/// Bits from the highest on, as H.264 writes them.
struct Bits<'a> {
    from: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = *self.from.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    /// Exponential Golomb, without a sign; with one it has as many bits.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        (0..zeros).try_fold(1_u32, |value, _| Some(value << 1 | self.bit()?)).map(|it| it - 1)
    }

    fn skip(&mut self, n: u32) -> Option<()> {
        (0..n).try_for_each(|_| self.golomb().map(drop))
    }
}

/// From the profile of sequence parameters on.
fn fields_in_h264(from: &[u8]) -> Option<bool> {
    // What keeps starts of units from being seen where there are none.
    let mut plain: Vec<u8> = Vec::with_capacity(from.len());
    for byte in from {
        if *byte == 3 && plain.ends_with(&[0, 0]) {
            continue;
        }
        plain.push(*byte);
    }
    let profile = *plain.first()?;
    let mut bits = Bits { from: &plain, at: 24 };
    bits.golomb()?;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        let chroma = bits.golomb()?;
        if chroma == 3 {
            bits.bit()?;
        }
        bits.skip(2)?;
        bits.bit()?;
        if bits.bit()? == 1 {
            // Scaling lists: long, rare, and no part of this question.
            return None;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => bits.skip(1)?,
        1 => {
            bits.bit()?;
            bits.skip(2)?;
            let cycle = bits.golomb()?;
            bits.skip(cycle.min(256))?;
        }
        _ => {}
    }
    bits.golomb()?;
    bits.bit()?;
    bits.skip(2)?;
    Some(bits.bit()? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequence parameters as x264 writes them for 320×240 (High, level 1.3), and the same in fields.
    #[test]
    fn fields_are_told_from_frames() {
        let frames =
            [0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0, 0, 0x03, 0, 0x10, 0, 0, 0x03];
        assert_eq!(fields_in_h264(&frames), Some(false));
        // Baseline: profile, flags, level, then 1 (id 0), 1 (4 bits of numbers), 011 (order type 2),
        // 010 (one reference), 0, 00101 × 2 (sizes), and whether there are frames alone.
        let baseline =
            |frames: bool| [0x42, 0, 0x0a, 0b1101_1010, 0b0001_0100, 0b1010_0000 | u8::from(frames) << 4];
        assert_eq!(fields_in_h264(&baseline(true)), Some(false));
        assert_eq!(fields_in_h264(&baseline(false)), Some(true));
        for end in 0..frames.len() {
            fields_in_h264(&frames[..end]);
        }
        assert_eq!(fields_in_h264(&[0; 64]), None, "no end of a number");
    }
}
