//! Reads an MP4 or MOV container: size and part as shown, length, codecs, frame rate. Never a sample.
//!
//! Our own instead of a crate, because the crates at hand list every sample in memory (four hours of
//! film are a million of them) and trust the counts that a file claims. Here every box is visited by
//! its head, what is inside is read by the few bytes that matter, and the number of boxes is bounded:
//! a hostile file costs a bounded number of short reads. The layout is that of ISO/IEC 14496-12 and of
//! Apple's QuickTime File Format.

use std::io::{self, Read, Seek, SeekFrom};

use crate::domain::media::{Edits, Video};

mod edits;
mod scan;
mod sound;

/// Boxes looked at in one file. A film has about thirty, and eight for every further track.
const BOXES_MAX: usize = 4096;

/// What the container says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Film {
    /// Pixels as shown, after rotation.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) video: Video,
    /// Where users' and makers' notes lie (`udta`, `meta` of the film and its tracks), which may hold
    /// the place it was filmed at: first byte of the box and its length, head included.
    pub(super) notes: Vec<(u64, u64)>,
}

/// Why a container is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It breaks the format.
    Damaged(&'static str),
    /// It is in order, and not something we can judge.
    Unfit(&'static str),
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Damaged("it ends in the middle")
    }
}

/// One box: where its content begins and ends.
#[derive(Debug, Clone, Copy)]
struct Span {
    kind: [u8; 4],
    head: u64,
    start: u64,
    end: u64,
}

struct Reader<R> {
    from: R,
    visited: usize,
}

impl<R: Read + Seek> Reader<R> {
    /// The box at `at`, which lies before `end`.
    fn span(&mut self, at: u64, end: u64) -> Result<Span, Trouble> {
        self.visited += 1;
        if self.visited > BOXES_MAX {
            return Err(Trouble::Damaged("it has too many parts"));
        }
        let head: [u8; 8] = self.bytes(at)?;
        let short = u64::from(be32(&head, 0));
        let kind = [head[4], head[5], head[6], head[7]];
        let (start, length) = match short {
            // To the end of what it is in.
            0 => (at + 8, end - at),
            1 => {
                let long: [u8; 8] = self.bytes(at + 8)?;
                (at + 16, u64::from_be_bytes(long))
            }
            length => (at + 8, length),
        };
        let stop = at.checked_add(length).filter(|it| *it <= end && *it >= start);
        let end = stop.ok_or(Trouble::Damaged("a part is longer than what it is in"))?;
        Ok(Span { kind, head: at, start, end })
    }

    /// The boxes directly inside.
    fn children(&mut self, start: u64, end: u64) -> Result<Vec<Span>, Trouble> {
        let mut found = Vec::new();
        let mut at = start;
        // QuickTime may close a list with four zero bytes.
        while end - at >= 8 {
            let span = self.span(at, end)?;
            at = span.end;
            found.push(span);
        }
        Ok(found)
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Trouble> {
        let mut buffer = [0; N];
        self.from.seek(SeekFrom::Start(at))?;
        self.from.read_exact(&mut buffer)?;
        Ok(buffer)
    }

    /// The first bytes of a box's content, `N` or as many as there are.
    fn most<const N: usize>(&mut self, span: Span) -> Result<Vec<u8>, Trouble> {
        let mut buffer = vec![0; usize::try_from(span.end - span.start).unwrap_or(N).min(N)];
        self.from.seek(SeekFrom::Start(span.start))?;
        self.from.read_exact(&mut buffer)?;
        Ok(buffer)
    }

    /// The first `N` bytes of a box's content.
    fn inside<const N: usize>(&mut self, span: Span) -> Result<[u8; N], Trouble> {
        if span.end - span.start < N as u64 {
            return Err(Trouble::Damaged("a part is too short"));
        }
        self.bytes(span.start)
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_be_bytes)
}

fn find(spans: &[Span], kind: [u8; 4]) -> Option<Span> {
    spans.iter().copied().find(|it| it.kind == kind)
}

/// Reads a container of `length` bytes.
pub(super) fn read(from: impl Read + Seek, length: u64) -> Result<Film, Trouble> {
    let mut reader = Reader { from, visited: 0 };
    let (mut moov, mut data_at) = (None, None);
    // Some programs write their notes beside the index, not into it.
    let mut notes = Vec::new();
    let mut at = 0;
    while length - at >= 8 {
        let span = reader.span(at, length)?;
        match &span.kind {
            b"moov" if moov.is_none() => moov = Some(span),
            b"mdat" if data_at.is_none() => data_at = Some(at),
            b"moof" => {
                return Err(Trouble::Unfit("it is cut into fragments (as streaming and some recorders do)"));
            }
            kind if is_note(*kind) => notes.push(range(span)),
            _ => {}
        }
        at = span.end;
    }
    let moov = moov.ok_or(Trouble::Damaged("it has no index; the recording may have been cut off"))?;
    let parts = reader.children(moov.start, moov.end)?;
    notes.extend(parts.iter().filter(|it| is_note(it.kind)).map(|it| range(*it)));
    let film = find(&parts, *b"mvhd").ok_or(Trouble::Damaged("it has no film header"))?;
    let (scale, length) = scale_and_length(&mut reader, film)?;
    let (mut picture, mut audio) = (None, None);
    for track in parts.iter().filter(|it| it.kind == *b"trak") {
        let parts = reader.children(track.start, track.end)?;
        notes.extend(parts.iter().filter(|it| is_note(it.kind)).map(|it| range(*it)));
        let Some(media) = find(&parts, *b"mdia") else { continue };
        let inner = reader.children(media.start, media.end)?;
        let Some(handler) = find(&inner, *b"hdlr") else { continue };
        let handler: [u8; 12] = reader.inside(handler)?;
        match &handler[8..12] {
            b"vide" if picture.is_none() => {
                picture = Some(picture_track(&mut reader, &parts, &inner, scale)?);
            }
            b"soun" if audio.is_none() => audio = sound::track(&mut reader, &inner)?,
            _ => {}
        }
    }
    let picture = picture.ok_or(Trouble::Unfit("it has no pictures"))?;
    let shown = picture.edits.map_or(picture.duration_ms, |it| it.shown_ms);
    let duration_ms = in_ms(length, scale).max(shown);
    if duration_ms == 0 {
        return Err(Trouble::Damaged("it has no length"));
    }
    Ok(Film {
        width: picture.width,
        height: picture.height,
        video: Video {
            duration_ms,
            frame_rate_milli: picture.frame_rate_milli,
            codec: picture.codec,
            audio,
            index_first: data_at.is_none_or(|it| moov.head < it),
            interlaced: picture.interlaced,
            edits: picture.edits,
        },
        notes,
    })
}

fn is_note(kind: [u8; 4]) -> bool {
    matches!(&kind, b"udta" | b"meta" | b"uuid")
}

fn range(span: Span) -> (u64, u64) {
    (span.head, span.end - span.head)
}

struct Picture {
    width: u32,
    height: u32,
    duration_ms: u64,
    frame_rate_milli: u32,
    codec: String,
    interlaced: bool,
    edits: Option<Edits>,
}

fn picture_track<R: Read + Seek>(
    reader: &mut Reader<R>,
    track: &[Span],
    media: &[Span],
    film: u32,
) -> Result<Picture, Trouble> {
    let head = find(track, *b"tkhd").ok_or(Trouble::Damaged("a track has no header"))?;
    let (mut width, mut height, turned) = shown_size(reader, head)?;
    let clock = find(media, *b"mdhd").ok_or(Trouble::Damaged("a track has no clock"))?;
    let (scale, length) = scale_and_length(reader, clock)?;
    let entry = sample_entry(reader, media)?.ok_or(Trouble::Damaged("its pictures are not described"))?;
    if width == 0 || height == 0 {
        (width, height) = entry.1;
    }
    if width == 0 || height == 0 {
        return Err(Trouble::Damaged("its pictures have no size"));
    }
    if turned {
        (width, height) = (height, width);
    }
    let duration_ms = in_ms(length, scale);
    let samples = u64::from(sample_count(reader, media)?);
    let interlaced = match find(&sample_table(reader, media)?, *b"stsd") {
        Some(described) => scan::is_interlaced(reader, described)?,
        None => false,
    };
    let edits = edits::of(reader, track, film, (scale, length))?;
    let rate = (samples * 1_000_000).checked_div(duration_ms).unwrap_or(0);
    Ok(Picture {
        width,
        height,
        duration_ms,
        frame_rate_milli: u32::try_from(rate).unwrap_or(u32::MAX),
        codec: picture_word(entry.0),
        interlaced,
        edits,
    })
}

/// Units a second, and length in them (`mvhd` and `mdhd` begin alike).
fn scale_and_length<R: Read + Seek>(reader: &mut Reader<R>, span: Span) -> Result<(u32, u64), Trouble> {
    let head: [u8; 20] = reader.inside(span)?;
    let (scale, length) = if head[0] == 1 {
        let head: [u8; 32] = reader.inside(span)?;
        (be32(&head, 20), be64(&head, 24))
    } else {
        (be32(&head, 12), u64::from(be32(&head, 16)))
    };
    // All ones: the length is not known.
    let unknown = length == u64::from(u32::MAX) && head[0] == 0 || length == u64::MAX;
    Ok((scale, if unknown { 0 } else { length }))
}

fn in_ms(length: u64, scale: u32) -> u64 {
    let ms = u128::from(length) * 1000 / u128::from(scale.max(1));
    if scale == 0 { 0 } else { u64::try_from(ms).unwrap_or(u64::MAX) }
}

/// Width and height of the track, and whether its matrix turns it by a quarter.
fn shown_size<R: Read + Seek>(reader: &mut Reader<R>, head: Span) -> Result<(u32, u32, bool), Trouble> {
    let short: [u8; 84] = reader.inside(head)?;
    let (matrix, size) = if short[0] == 1 {
        let long: [u8; 96] = reader.inside(head)?;
        (long[52..88].to_vec(), [be32(&long, 88), be32(&long, 92)])
    } else {
        (short[40..76].to_vec(), [be32(&short, 76), be32(&short, 80)])
    };
    let turned =
        be32(&matrix, 0) == 0 && be32(&matrix, 16) == 0 && be32(&matrix, 4) != 0 && be32(&matrix, 12) != 0;
    // Fixed point, 16.16.
    Ok((size[0] >> 16, size[1] >> 16, turned))
}

fn sample_table<R: Read + Seek>(reader: &mut Reader<R>, media: &[Span]) -> Result<Vec<Span>, Trouble> {
    let Some(info) = find(media, *b"minf") else { return Ok(Vec::new()) };
    let inner = reader.children(info.start, info.end)?;
    let Some(table) = find(&inner, *b"stbl") else { return Ok(Vec::new()) };
    reader.children(table.start, table.end)
}

/// Four letters of the first sample description, and the size that it states.
type Entry = ([u8; 4], (u32, u32));

fn sample_entry<R: Read + Seek>(reader: &mut Reader<R>, media: &[Span]) -> Result<Option<Entry>, Trouble> {
    let table = sample_table(reader, media)?;
    let Some(described) = find(&table, *b"stsd") else { return Ok(None) };
    // Version and flags, count, then the first entry: length, letters, …
    let head: [u8; 16] = reader.inside(described)?;
    let letters = [head[12], head[13], head[14], head[15]];
    let size = match reader.inside::<44>(described) {
        Ok(long) => {
            let half = |at: usize| u32::from(u16::from_be_bytes([long[at], long[at + 1]]));
            (half(40), half(42))
        }
        Err(_) => (0, 0),
    };
    Ok(Some((letters, size)))
}

fn sample_count<R: Read + Seek>(reader: &mut Reader<R>, media: &[Span]) -> Result<u32, Trouble> {
    let table = sample_table(reader, media)?;
    let Some(sizes) = find(&table, *b"stsz").or_else(|| find(&table, *b"stz2")) else { return Ok(0) };
    let head: [u8; 12] = reader.inside(sizes)?;
    Ok(be32(&head, 8))
}

fn picture_word(letters: [u8; 4]) -> String {
    match &letters {
        b"avc1" | b"avc3" => "h264".into(),
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "hevc".into(),
        b"av01" => "av1".into(),
        b"vp09" => "vp9".into(),
        b"vp08" => "vp8".into(),
        b"mp4v" => "mpeg4".into(),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "prores".into(),
        _ => letters_word(letters),
    }
}

fn sound_word(letters: [u8; 4]) -> String {
    match &letters {
        b"mp4a" => "aac".into(),
        b".mp3" => "mp3".into(),
        b"Opus" => "opus".into(),
        b"ac-3" => "ac3".into(),
        b"ec-3" => "eac3".into(),
        b"sowt" | b"twos" | b"lpcm" | b"in24" | b"fl32" => "pcm".into(),
        _ => letters_word(letters),
    }
}

/// The file's own letters, made fit to be shown.
fn letters_word(letters: [u8; 4]) -> String {
    letters.iter().map(|it| if it.is_ascii_alphanumeric() { char::from(*it) } else { '?' }).collect()
}

#[cfg(test)]
#[path = "mp4_tests.rs"]
pub(super) mod tests;
