//! Films made by hand (ISO/IEC 14496-12): an index that is in order, and nothing to see.
#![allow(dead_code, reason = "each file that takes it needs a part of it")]

/// A box around `content`.
pub(crate) fn atom(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).expect("small");
    [&length.to_be_bytes()[..], &kind, content].concat()
}

fn be(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_be_bytes()).collect()
}

/// What a film is like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) turned: bool,
    pub(crate) codec: [u8; 4],
    pub(crate) sound: Option<[u8; 4]>,
    /// Of the sound, as its entry has them.
    pub(crate) hz: u16,
    pub(crate) channels: u16,
    /// The settings of an AAC stream, in a description of its own.
    pub(crate) aac: Option<[u8; 4]>,
    pub(crate) samples: u32,
    pub(crate) ms: u32,
    pub(crate) index_first: bool,
    pub(crate) brand: [u8; 4],
    /// The edit list of the pictures: how long each piece is shown, in milliseconds, and from where, -1 for
    /// nothing.
    pub(crate) edits: &'static [(u32, i32)],
    /// Boxes in the description of the pictures.
    pub(crate) described: &'static [u8],
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            width: 1920,
            height: 1080,
            turned: false,
            codec: *b"avc1",
            sound: Some(*b"mp4a"),
            hz: 48_000,
            channels: 2,
            aac: None,
            samples: 300,
            ms: 10_010,
            index_first: true,
            brand: *b"isom",
            edits: &[],
            described: b"",
        }
    }
}

/// The description of an AAC stream (ISO/IEC 14496-1): descriptors in descriptors.
fn stream(aac: [u8; 4]) -> Vec<u8> {
    let describe =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).expect("small")][..], content].concat();
    let decoder = [&[0x40, 0x15][..], &[0; 11], &describe(5, &aac)].concat();
    let stream = [&[0, 1, 0][..], &describe(4, &decoder)].concat();
    atom(*b"esds", &[&[0; 4][..], &describe(3, &stream)].concat())
}

fn track(shape: Shape, handler: [u8; 4], codec: [u8; 4], more: &[u8]) -> Vec<u8> {
    let matrix = if shape.turned {
        be(&[0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000])
    } else {
        be(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000])
    };
    let size = be(&[shape.width << 16, shape.height << 16]);
    let head = [be(&[0, 0, 0, 1, 0, shape.ms, 0, 0, 0, 0]), matrix, size].concat();
    let clock = be(&[0, 0, 0, 1000, shape.ms, 0]);
    let handled = [be(&[0, 0]), handler.to_vec(), be(&[0, 0, 0])].concat();
    let mut entry = vec![0; if handler == *b"soun" { 28 } else { 78 }];
    if handler == *b"soun" {
        entry[16..18].copy_from_slice(&shape.channels.to_be_bytes());
        entry[24..26].copy_from_slice(&shape.hz.to_be_bytes());
        entry.extend(shape.aac.map(stream).unwrap_or_default());
    } else {
        entry[24..26].copy_from_slice(&u16::try_from(shape.width).expect("small").to_be_bytes());
        entry[26..28].copy_from_slice(&u16::try_from(shape.height).expect("small").to_be_bytes());
        entry.extend(shape.described);
    }
    let described = [be(&[0, 1]), atom(codec, &entry)].concat();
    let sizes = be(&[0, 1, shape.samples]);
    let table = atom(*b"stbl", &[atom(*b"stsd", &described), atom(*b"stsz", &sizes)].concat());
    let media = [atom(*b"mdhd", &clock), atom(*b"hdlr", &handled), atom(*b"minf", &table)].concat();
    atom(*b"trak", &[atom(*b"tkhd", &head), more.to_vec(), atom(*b"mdia", &media)].concat())
}

/// The index of a film, with notes in it that name a place and a person.
pub(crate) fn index(shape: Shape) -> Vec<u8> {
    let place = atom(*b"udta", &atom(*b"\xa9xyz", b"+48.1351+011.5820/"));
    let shown: u32 = shape.edits.iter().map(|it| it.0).sum();
    let ms = if shape.edits.is_empty() { shape.ms } else { shown };
    let mut moov = atom(*b"mvhd", &[be(&[0, 0, 0, 1000, ms]), vec![0; 80]].concat());
    let pieces = shape.edits.iter().flat_map(|(length, from)| be(&[*length, from.cast_unsigned(), 0x1_0000]));
    let list = [be(&[0, u32::try_from(shape.edits.len()).expect("few")]), pieces.collect()].concat();
    let edits = atom(*b"edts", &atom(*b"elst", &list));
    moov.extend(track(shape, *b"vide", shape.codec, if shape.edits.is_empty() { &[] } else { &edits }));
    if let Some(codec) = shape.sound {
        moov.extend(track(shape, *b"soun", codec, &atom(*b"meta", b"made by a person")));
    }
    moov.extend(place);
    atom(*b"moov", &moov)
}

/// What every film begins with.
pub(crate) fn begin(shape: Shape) -> Vec<u8> {
    atom(*b"ftyp", &[&shape.brand[..], &[0; 4], b"isom"].concat())
}

/// A whole film, but for its pictures: nobody here looks at them.
pub(crate) fn film(shape: Shape) -> Vec<u8> {
    let (index, data) = (index(shape), atom(*b"mdat", &[7; 1000]));
    let rest = if shape.index_first { [index, data] } else { [data, index] };
    [begin(shape), rest.concat()].concat()
}
