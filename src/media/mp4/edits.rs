//! Edit lists (ISO/IEC 14496-12, 8.6.6): which part of what is recorded is shown, and from when on.

use std::io::{Read, Seek};

use super::{Reader, Span, Trouble, be32, be64, find, in_ms};
use crate::domain::media::Edits;

/// Entries that are read. Encoders write one or two.
const ENTRIES_MAX: u32 = 64;

/// What the edit list of the pictures does; `None`: there is none, or it shows everything from the
/// beginning. `film` and `track` are units a second, of the film and of the recording, which lasts
/// `recorded` of its units.
pub(super) fn of<R: Read + Seek>(
    reader: &mut Reader<R>,
    track: &[Span],
    film: u32,
    (scale, recorded): (u32, u64),
) -> Result<Option<Edits>, Trouble> {
    let Some(edits) = find(track, *b"edts") else { return Ok(None) };
    let inner = reader.children(edits.start, edits.end)?;
    let Some(list) = find(&inner, *b"elst") else { return Ok(None) };
    let head: [u8; 8] = reader.inside(list)?;
    let (long, count) = (head[0] == 1, be32(&head, 4));
    let size = if long { 20 } else { 12 };
    let (mut start, mut shown, mut pieces) = (0, 0_u64, 0_u32);
    for n in 0..count.min(ENTRIES_MAX) {
        let at = list.start + 8 + u64::from(n) * size;
        if at + size > list.end {
            break;
        }
        // How long it is shown, in the film's units; from where in the recording, -1 for nothing.
        let (length, from) = if long {
            let entry: [u8; 16] = reader.bytes(at)?;
            (be64(&entry, 0), be64(&entry, 8).cast_signed())
        } else {
            let entry: [u8; 8] = reader.bytes(at)?;
            (u64::from(be32(&entry, 0)), i64::from(be32(&entry, 4).cast_signed()))
        };
        shown = shown.saturating_add(length);
        if from >= 0 {
            if pieces == 0 {
                start = from.cast_unsigned();
            }
            pieces += 1;
        }
    }
    let whole = in_ms(recorded, scale);
    let edits = Edits {
        start_ms: in_ms(start, scale),
        // A length of nothing: to the end (files that are written as they are recorded).
        shown_ms: if shown == 0 { whole.saturating_sub(in_ms(start, scale)) } else { in_ms(shown, film) },
        recorded_ms: whole,
        pieces: pieces.max(u32::from(count > ENTRIES_MAX) * 2),
    };
    let all = edits.pieces <= 1 && start == 0 && edits.shown_ms.abs_diff(whole) <= 1;
    Ok((!all).then_some(edits))
}
