//! What is taken out, and that the picture stays what it was, bit for bit.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb, RgbImage};

use super::*;

const PLACE: &[u8] = b"48.1351 N 11.5820 E";

/// Every pixel another, so that a change would be seen.
fn noise(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let n = x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(40_503)).to_be_bytes();
        Rgb([n[0], n[1], n[2]])
    })
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(noise(33, 17)).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// EXIF with an orientation and a place in words.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II\x2a\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0]);
    tiff.extend(b"\x0e\x01\x02\0");
    tiff.extend(u32::try_from(PLACE.len()).unwrap().to_le_bytes());
    tiff.extend(38_u32.to_le_bytes());
    tiff.extend([0; 4]);
    tiff.extend(PLACE);
    tiff
}

fn open(bytes: &[u8]) -> (Orientation, RgbImage) {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
    let mut decoder = reader.into_decoder().unwrap();
    let turn = decoder.orientation().unwrap();
    (turn, DynamicImage::from_decoder(decoder).unwrap().into_rgb8())
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|it| it == what)
}

/// A JPEG with a place in EXIF, XMP, a comment and behind its end.
fn told_jpeg(orientation: u8) -> Vec<u8> {
    let plain = encoded(ImageFormat::Jpeg);
    let segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).unwrap();
        [&[0xff, marker][..], &length.to_be_bytes(), content].concat()
    };
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), PLACE].concat();
    let noted = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
    [
        &plain[..2],
        &segment(0xe1, &noted),
        &segment(0xe1, &xmp),
        &segment(0xed, PLACE),
        &segment(0xfe, PLACE),
        &plain[2..],
        b"<script>",
        PLACE,
    ]
    .concat()
}

#[test]
fn a_jpeg_loses_its_place_and_nothing_of_its_picture() {
    let told = told_jpeg(1);
    assert!(holds(&told, PLACE));
    let clean = picture(MediaKind::Jpeg, &told, 1).unwrap().unwrap();
    assert!(!holds(&clean, PLACE) && !holds(&clean, b"Exif") && !holds(&clean, b"<script>"));
    assert_eq!(open(&clean).1, open(&told).1);
    assert_eq!(picture(MediaKind::Jpeg, &clean, 1), Ok(None), "clean already");
}

#[test]
fn which_side_is_up_stays_known() {
    let told = told_jpeg(6);
    assert_eq!(open(&told).0, Orientation::Rotate90);
    let clean = picture(MediaKind::Jpeg, &told, 6).unwrap().unwrap();
    assert!(!holds(&clean, PLACE));
    assert_eq!(open(&clean), open(&told));
    assert_eq!(picture(MediaKind::Jpeg, &clean, 6), Ok(None));
}

#[test]
fn a_colour_profile_stays() {
    use image::ImageEncoder as _;
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    encoder.set_icc_profile(b"a profile of colours".to_vec()).unwrap();
    encoder.write_image(&noise(8, 8), 8, 8, image::ExtendedColorType::Rgb8).unwrap();
    assert_eq!(picture(MediaKind::Jpeg, &bytes, 1), Ok(None));
    assert!(holds(&bytes, b"a profile of colours"));
}

#[test]
fn a_png_loses_text_place_and_tail() {
    let plain = encoded(ImageFormat::Png);
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let body = [kind.as_slice(), content].concat();
        let length = u32::try_from(content.len()).unwrap();
        [&length.to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
    };
    let head = 8 + 25;
    let told = [
        &plain[..head],
        &chunk(b"eXIf", &exif(6)),
        &chunk(b"tEXt", PLACE),
        &chunk(b"iTXt", PLACE),
        &plain[head..],
        PLACE,
    ]
    .concat();
    let (turn, before) = open(&told);
    let clean = picture(MediaKind::Png, &told, turn.to_exif()).unwrap().unwrap();
    assert!(!holds(&clean, PLACE));
    assert_eq!(open(&clean), (turn, before));
    assert_eq!(picture(MediaKind::Png, &plain, 1), Ok(None));
}

#[test]
fn a_webp_loses_its_place_and_a_gif_its_comment() {
    let plain = encoded(ImageFormat::WebP);
    let tiff = exif(1);
    let mut pad = tiff.clone();
    if pad.len() % 2 == 1 {
        pad.push(0);
    }
    let extended = [b"VP8X\x0a\0\0\0\x08\0\0\0\x20\0\0\x10\0\0".as_slice()].concat();
    let inner = [
        b"WEBP".as_slice(),
        &extended,
        &plain[12..],
        b"EXIF",
        &u32::try_from(tiff.len()).unwrap().to_le_bytes(),
        &pad,
    ]
    .concat();
    let told =
        [b"RIFF".as_slice(), &u32::try_from(inner.len()).unwrap().to_le_bytes(), &inner, PLACE].concat();
    let clean = picture(MediaKind::WebP, &told, 1).unwrap().unwrap();
    assert!(!holds(&clean, PLACE) && !holds(&clean, b"EXIF"));
    assert_eq!(open(&clean).1, open(&told).1);

    let plain = encoded(ImageFormat::Gif);
    let table = 13 + (3usize << ((plain[10] & 7) + 1)) * usize::from(plain[10] >> 7);
    let comment = [b"\x21\xfe".as_slice(), &[u8::try_from(PLACE.len()).unwrap()], PLACE, b"\0"].concat();
    let told = [&plain[..table], &comment, &plain[table..]].concat();
    let clean = picture(MediaKind::Gif, &told, 1).unwrap().unwrap();
    assert_eq!(clean, plain);
    assert_eq!(gif_frames(&plain), 1);
}

#[test]
fn a_file_in_which_notes_cannot_be_told_from_the_picture_is_refused() {
    let whole = told_jpeg(1);
    // Decoders show both of these.
    let end = whole.windows(2).rposition(|it| it == b"\xff\xd9").unwrap();
    let stray = [&whole[..2], b"\0", &whole[2..]].concat();
    let png = encoded(ImageFormat::Png);
    let gif = encoded(ImageFormat::Gif);
    for (kind, bytes) in [
        (MediaKind::Jpeg, &whole[..end]),
        (MediaKind::Jpeg, &stray),
        (MediaKind::Png, &png[..png.len() - 12]),
        (MediaKind::Gif, &gif[..gif.len() - 1]),
    ] {
        assert_eq!(picture(kind, bytes, 1), Err(Untidy), "{kind:?}");
    }
}

#[test]
fn nothing_spoilt_makes_it_panic() {
    let files = [
        (MediaKind::Jpeg, told_jpeg(6)),
        (MediaKind::Png, encoded(ImageFormat::Png)),
        (MediaKind::WebP, encoded(ImageFormat::WebP)),
        (MediaKind::Gif, encoded(ImageFormat::Gif)),
    ];
    let mut state = 3_u64;
    for (kind, whole) in files {
        for end in 0..whole.len() {
            // Cut anywhere, it is refused or tells nothing.
            let told = match picture(kind, &whole[..end], 6) {
                Ok(Some(clean)) => holds(&clean, PLACE),
                Ok(None) => holds(&whole[..end], PLACE),
                Err(Untidy) => false,
            };
            assert!(!told, "{kind:?} cut at {end}");
        }
        for _ in 0..5000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut spoilt = whole.clone();
            let at = usize::try_from(state >> 33).unwrap() % spoilt.len();
            spoilt[at] = u8::try_from(state & 0xff).unwrap();
            drop(picture(kind, &spoilt, 6));
        }
    }
}

#[test]
fn a_film_loses_its_notes_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film");
    let whole = crate::media::mp4::tests::film(crate::media::mp4::tests::Shape::default());
    std::fs::write(&path, &whole).unwrap();
    let before = crate::media::mp4::read(Cursor::new(&whole), whole.len() as u64).unwrap();
    film(&path, &before.notes).unwrap();
    let clean = std::fs::read(&path).unwrap();
    assert!(holds(&whole, b"+48.1351") && !holds(&clean, b"+48.1351") && !holds(&clean, b"made by a person"));
    assert_eq!(clean.len(), whole.len());
    let after = crate::media::mp4::read(Cursor::new(&clean), clean.len() as u64).unwrap();
    assert_eq!((after.notes.len(), after.video), (0, before.video));
}

#[test]
fn notes_beside_the_index_of_a_film_go_too_whatever_way_their_length_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film");
    let plain = crate::media::mp4::tests::film(crate::media::mp4::tests::Shape::default());
    let xmp =
        [b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac".as_slice(), PLACE].concat();
    let short = [&u32::try_from(xmp.len() + 8).unwrap().to_be_bytes(), b"uuid".as_slice(), &xmp].concat();
    let long = [b"\0\0\0\x01uuid".as_slice(), &(xmp.len() as u64 + 16).to_be_bytes(), &xmp].concat();
    let whole = [plain.as_slice(), &short, &long, b"\0\0\0\x08free"].concat();
    std::fs::write(&path, &whole).unwrap();
    let before = crate::media::mp4::read(Cursor::new(&whole), whole.len() as u64).unwrap();
    film(&path, &before.notes).unwrap();
    let clean = std::fs::read(&path).unwrap();
    assert!(holds(&whole, PLACE) && !holds(&clean, PLACE));
    let after = crate::media::mp4::read(Cursor::new(&clean), clean.len() as u64).unwrap();
    assert_eq!((clean.len(), after.notes.len(), after.video), (whole.len(), 0, before.video));
}
