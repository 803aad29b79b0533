//! What a film says of itself, read from its index (ISO/IEC 14496-12) as the networks do before they
//! take one. No more of it than they name limits for.

/// A film as its index describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Film {
    pub(super) ms: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Pictures in a thousand seconds, where the index tells.
    pub(super) rate_milli: Option<u64>,
    /// The index lies before the pictures.
    pub(super) index_first: bool,
}

/// Type, content, and what follows. A box that reaches past the end has no content here.
type Split<'a> = ([u8; 4], Option<&'a [u8]>, &'a [u8]);

fn split(bytes: &[u8]) -> Option<Split<'_>> {
    let size = u64::from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?));
    let kind: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let (head, size) = match size {
        0 => (8, bytes.len() as u64),
        1 => (16, u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)),
        size => (8, size),
    };
    let size = usize::try_from(size).ok().filter(|it| *it >= head)?;
    Some((kind, bytes.get(head..size), bytes.get(size..).unwrap_or_default()))
}

fn children(mut bytes: &[u8], kind: [u8; 4]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while let Some((found, content, rest)) = split(bytes) {
            bytes = rest;
            if let Some(content) = content.filter(|_| found == kind) {
                return Some(content);
            }
        }
        None
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Pictures in a thousand seconds of a track: how many there are, by its own clock.
fn rate(track: &[u8]) -> Option<u64> {
    let media = children(track, *b"mdia").next()?;
    let clock = children(media, *b"mdhd").next()?;
    let (ticks, length) = if *clock.first()? == 1 {
        (word(clock, 20)?, u64::from(word(clock, 24)?) << 32 | u64::from(word(clock, 28)?))
    } else {
        (word(clock, 12)?, u64::from(word(clock, 16)?))
    };
    let table = children(children(media, *b"minf").next()?, *b"stbl").next()?;
    let pictures = word(children(table, *b"stsz").next()?, 8)?;
    u64::from(pictures).checked_mul(u64::from(ticks) * 1_000)?.checked_div(length)
}

impl Film {
    /// `None`: it is none, or its index is not within these bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (kind, _, mut rest) = split(bytes)?;
        if &kind != b"ftyp" {
            return None;
        }
        let mut index_first = true;
        while let Some((kind, content, behind)) = split(rest) {
            match &kind {
                b"moov" => return Self::of_index(content?, index_first),
                b"mdat" => index_first = false,
                _ => {}
            }
            rest = behind;
        }
        None
    }

    fn of_index(moov: &[u8], index_first: bool) -> Option<Self> {
        let head = children(moov, *b"mvhd").next()?;
        let long = *head.first()? == 1;
        let (clock, length) = if long {
            let length = u64::from(word(head, 24)?) << 32 | u64::from(word(head, 28)?);
            (word(head, 20)?, length)
        } else {
            (word(head, 12)?, u64::from(word(head, 16)?))
        };
        let ms = length.checked_mul(1000)?.checked_div(u64::from(clock))?;
        // The track with pictures is the one that has a size; 16 of its bits are behind the point.
        let size = |track: &[u8]| {
            let head = children(track, *b"tkhd").next()?;
            let matrix = if *head.first()? == 1 { 52 } else { 40 };
            let (width, height) = (word(head, matrix + 36)? >> 16, word(head, matrix + 40)? >> 16);
            let lies_on_its_side = word(head, matrix)? == 0;
            Some(if lies_on_its_side { (height, width) } else { (width, height) })
        };
        let seen = |track| size(track).filter(|(width, height)| *width > 0 && *height > 0).zip(Some(track));
        let ((width, height), track) = children(moov, *b"trak").find_map(seen)?;
        Some(Self { ms, width, height, rate_milli: rate(track), index_first })
    }
}
