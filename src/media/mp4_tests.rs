//! Containers built by hand, whole and spoilt.

use std::io::Cursor;

use super::*;

/// A box around `content`.
pub(crate) fn atom(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
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
    pub(crate) samples: u32,
    pub(crate) ms: u32,
    pub(crate) index_first: bool,
    pub(crate) brand: [u8; 4],
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            width: 1920,
            height: 1080,
            turned: false,
            codec: *b"avc1",
            sound: Some(*b"mp4a"),
            samples: 300,
            ms: 10_010,
            index_first: true,
            brand: *b"isom",
        }
    }
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
    let mut entry = vec![0; 78];
    entry[24..26].copy_from_slice(&u16::try_from(shape.width).unwrap().to_be_bytes());
    entry[26..28].copy_from_slice(&u16::try_from(shape.height).unwrap().to_be_bytes());
    let described = [be(&[0, 1]), atom(codec, &entry)].concat();
    let sizes = be(&[0, 1, shape.samples]);
    let table = atom(*b"stbl", &[atom(*b"stsd", &described), atom(*b"stsz", &sizes)].concat());
    let media = [atom(*b"mdhd", &clock), atom(*b"hdlr", &handled), atom(*b"minf", &table)].concat();
    atom(*b"trak", &[atom(*b"tkhd", &head), more.to_vec(), atom(*b"mdia", &media)].concat())
}

/// A whole film. Its notes hold a place.
pub(crate) fn film(shape: Shape) -> Vec<u8> {
    let place = atom(*b"udta", &atom(*b"\xa9xyz", b"+48.1351+011.5820/"));
    let mut moov = atom(*b"mvhd", &[be(&[0, 0, 0, 1000, shape.ms]), vec![0; 80]].concat());
    moov.extend(track(shape, *b"vide", shape.codec, &[]));
    if let Some(codec) = shape.sound {
        moov.extend(track(shape, *b"soun", codec, &atom(*b"meta", b"made by a person")));
    }
    moov.extend(place);
    let (index, data) = (atom(*b"moov", &moov), atom(*b"mdat", &[7; 1000]));
    let rest = if shape.index_first { [index, data] } else { [data, index] };
    [atom(*b"ftyp", &[&shape.brand[..], &[0; 4], b"isom"].concat()), rest.concat()].concat()
}

fn look(bytes: &[u8]) -> Result<Film, Trouble> {
    read(Cursor::new(bytes), bytes.len() as u64)
}

#[test]
fn size_length_codecs_and_rate_are_read() {
    let found = look(&film(Shape::default())).unwrap();
    assert_eq!((found.width, found.height), (1920, 1080));
    assert_eq!(
        found.video,
        Video {
            duration_ms: 10_010,
            frame_rate_milli: 29_970,
            codec: "h264".into(),
            audio: Some("aac".into()),
            index_first: true
        }
    );
    assert_eq!(found.notes.len(), 2);
}

#[test]
fn a_phone_held_upright_makes_an_upright_film() {
    let found = look(&film(Shape { turned: true, ..Shape::default() })).unwrap();
    assert_eq!((found.width, found.height), (1080, 1920));
}

#[test]
fn an_index_at_the_end_is_noticed_and_so_is_silence() {
    let found = look(&film(Shape { index_first: false, sound: None, codec: *b"hvc1", ..Shape::default() }));
    let video = found.unwrap().video;
    assert_eq!((video.index_first, video.audio, video.codec.as_str()), (false, None, "hevc"));
}

#[test]
fn what_is_no_whole_film_is_told_apart() {
    let whole = film(Shape::default());
    let without = |kind: &[u8; 4]| {
        let mut spoilt = whole.clone();
        let at = spoilt.windows(4).position(|it| it == kind).unwrap();
        spoilt[at..at + 4].copy_from_slice(b"free");
        look(&spoilt).unwrap_err()
    };
    assert!(matches!(without(b"moov"), Trouble::Damaged(it) if it.contains("no index")));
    assert!(matches!(without(b"tkhd"), Trouble::Damaged(_)));
    assert!(matches!(without(b"stsd"), Trouble::Damaged(_)));
    let fragments = [film(Shape::default()), atom(*b"moof", &[0; 16])].concat();
    assert!(matches!(look(&fragments), Err(Trouble::Unfit(it)) if it.contains("fragments")));
    // A film of sound alone.
    let mut sound = whole;
    let at = sound.windows(4).position(|it| it == b"vide").unwrap();
    sound[at..at + 4].copy_from_slice(b"text");
    assert!(matches!(look(&sound), Err(Trouble::Unfit(it)) if it.contains("no pictures")));
}

#[test]
fn no_cut_and_no_changed_byte_makes_it_panic_or_run_away() {
    let whole = film(Shape::default());
    for end in 0..whole.len() {
        drop(look(&whole[..end]));
    }
    let index_end = whole.len() - 1008;
    let mut state = 7_u64;
    for _ in 0..10_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut spoilt = whole.clone();
        let at = usize::try_from(state >> 40).unwrap() % index_end;
        spoilt[at] = u8::try_from(state & 0xff).unwrap();
        let also = usize::try_from(state >> 20 & 0xffff).unwrap() % index_end;
        spoilt[also] ^= u8::try_from(state >> 8 & 0xff).unwrap();
        drop(look(&spoilt));
    }
}

#[test]
fn boxes_without_end_are_given_up() {
    let many = atom(*b"free", b"").repeat(10_000);
    assert_eq!(look(&many), Err(Trouble::Damaged("it has too many parts")));
}
