//! Containers built by hand, whole and spoilt.

use std::io::Cursor;

use self::film::atom;
pub(crate) use self::film::{Shape, film};
use super::*;
use crate::domain::media::{Edits, Sound};

#[path = "../../tests/support/film.rs"]
mod film;

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
            audio: Some(Sound { codec: "aac".into(), hz: 48_000, channels: 2 }),
            index_first: true,
            interlaced: false,
            edits: None,
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

/// Rate and channels of a film's sound.
fn sound(shape: Shape) -> (u32, u16) {
    let sound = look(&film(shape)).unwrap().video.audio.unwrap();
    (sound.hz, sound.channels)
}

#[test]
fn rate_and_channels_of_the_sound_are_the_streams_own_where_it_tells() {
    let plain = Shape { hz: 44_100, channels: 1, ..Shape::default() };
    assert_eq!(sound(plain), (44_100, 1));
    // AAC-LC: 48 kHz in stereo; 96 kHz, which the entry has no room for; six channels behind an entry of two.
    assert_eq!(sound(Shape { aac: Some([0x11, 0x90, 0, 0]), ..plain }), (48_000, 2));
    assert_eq!(sound(Shape { hz: 0, aac: Some([0x10, 0x10, 0, 0]), ..Shape::default() }), (96_000, 2));
    assert_eq!(sound(Shape { aac: Some([0x11, 0xb0, 0, 0]), ..Shape::default() }), (48_000, 6));
    // With spectral replication a core of 24 kHz is heard at 48; with parametric stereo one channel as two.
    assert_eq!(sound(Shape { hz: 24_000, aac: Some([0x2b, 0x11, 0x88, 0]), ..plain }), (48_000, 2));
    assert_eq!(sound(Shape { hz: 24_000, aac: Some([0xeb, 0x09, 0x88, 0]), ..plain }), (48_000, 2));
    // Nothing that can be told: what stands in the entry.
    assert_eq!(sound(Shape { aac: Some([0; 4]), ..plain }), (44_100, 1));
    assert_eq!(sound(Shape { aac: Some([0xff; 4]), ..plain }), (44_100, 1));
}

#[test]
fn an_edit_list_says_what_is_shown_and_one_that_shows_everything_says_nothing() {
    let seen = |edits| {
        let video = look(&film(Shape { edits, ..Shape::default() })).unwrap().video;
        (video.duration_ms, video.edits)
    };
    let edits = |start_ms, shown_ms, pieces| Some(Edits { start_ms, shown_ms, recorded_ms: 10_010, pieces });
    assert_eq!(seen(&[]), (10_010, None));
    assert_eq!(seen(&[(10_010, 0)]), (10_010, None));
    assert_eq!(seen(&[(10_010, 67)]), (10_010, edits(67, 10_010, 1)), "an encoder's delay");
    // A trimmed film: its head tells the length that is shown.
    assert_eq!(seen(&[(4000, 3000)]), (4000, edits(3000, 4000, 1)));
    // A pause, and then two pieces.
    assert_eq!(seen(&[(500, -1), (1000, 0), (2000, 5000)]), (3500, edits(0, 3500, 2)));
    assert_eq!(seen(&[(0, 1000)]), (9010, edits(1000, 9010, 1)), "to the end");
}

#[test]
fn pictures_in_fields_are_told_by_the_entry_and_by_the_parameters() {
    let seen =
        |more: &'static [u8]| look(&film(Shape { described: more, ..Shape::default() })).unwrap().video;
    assert!(!seen(b"").interlaced);
    assert!(seen(b"\0\0\0\x0afiel\x02\x0e").interlaced);
    assert!(!seen(b"\0\0\0\x0afiel\x01\x00").interlaced);
    // Baseline parameters with and without fields.
    assert!(seen(b"\0\0\0\x17avcC\x01\x42\0\x0a\xff\xe1\0\x07\x67\x42\0\x0a\xda\x14\xa0").interlaced);
    assert!(!seen(b"\0\0\0\x17avcC\x01\x42\0\x0a\xff\xe1\0\x07\x67\x42\0\x0a\xda\x14\xb0").interlaced);
    assert!(seen(b"\0\0\0\x0fhvcC\x01\x01\0\0\0\0\x40").interlaced);
    assert!(!seen(b"\0\0\0\x0fhvcC\x01\x01\0\0\0\0\x90").interlaced);
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
