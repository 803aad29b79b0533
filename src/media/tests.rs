//! The library under test: what is taken in, what is refused, what stays behind.

use futures_util::stream;

use super::*;

const CAPS: Caps = Caps { bytes: 32 << 20, pixels: 2_100_000, duration_ms: 60_000 };

fn id(n: u8) -> MediaId {
    MediaId::new("2026-12-01T09:00:00Z".parse().unwrap(), [n; 10])
}

fn encoded(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut out = io::Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&image::DynamicImage::new_rgb8(width, height), image::ImageFormat::Png)
}

/// A PNG that compresses badly.
fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 1_u64;
    let picture = image::RgbaImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        image::Rgba(u32::try_from(state >> 32).unwrap().to_be_bytes())
    });
    encoded(&image::DynamicImage::ImageRgba8(picture), image::ImageFormat::Png)
}

fn body(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + use<> {
    stream::iter(bytes.chunks(4096).map(|it| Ok(Bytes::copy_from_slice(it))).collect::<Vec<_>>())
}

fn library() -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    (dir, library)
}

async fn all(ready: Ready) -> Vec<u8> {
    let chunks: Vec<Bytes> = ready.stream(0, ready.bytes).map(Result::unwrap).collect().await;
    chunks.concat()
}

#[tokio::test]
async fn an_image_is_kept_under_its_id_and_read_back() {
    let (_dir, library) = library();
    let bytes = png(30, 20);
    let facts = library.take(id(1), CAPS, body(&bytes)).await.unwrap();
    let digest = Sha256::digest(&bytes).into();
    let detail = Detail { pixel_bytes: 3, ..Detail::default() };
    let length = bytes.len() as u64;
    assert_eq!(facts, Facts { kind: MediaKind::Png, bytes: length, width: 30, height: 20, digest, detail });
    let ready = library.open(id(1), MediaKind::Png, digest, None).await.unwrap();
    assert_eq!(all(ready.clone()).await, bytes);
    // Two readers of one file do not move each other.
    let (mut one, mut two) = (ready.stream(0, 10), ready.stream(5, 10));
    assert_eq!(one.next().await.unwrap().unwrap(), &bytes[..10]);
    assert_eq!(two.next().await.unwrap().unwrap(), &bytes[5..15]);
    library.remove(id(1)).unwrap();
    library.remove(id(1)).unwrap();
    assert_eq!(library.open(id(1), MediaKind::Png, digest, None).await.unwrap_err().code(), "media_gone");
}

#[tokio::test]
async fn the_pictures_of_a_gif_are_counted() {
    let (_dir, library) = library();
    for frames in [1, 3] {
        let mut gif = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
        let picture = |_| image::Frame::new(image::RgbaImage::new(4, 4));
        encoder.encode_frames((0..frames).map(picture)).unwrap();
        drop(encoder);
        let found = library.take(id(1), CAPS, body(&gif)).await.unwrap().detail;
        assert_eq!((found.frames, found.animated), (frames, frames > 1));
        library.remove(id(1)).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_was_changed_is_not_sent() {
    let (dir, library) = library();
    let facts = library.take(id(1), CAPS, body(&png(30, 20))).await.unwrap();
    let open = || library.open(id(1), MediaKind::Png, facts.digest, None);
    let ready = open().await.unwrap();
    let path = dir.path().join(id(1).to_string());
    fs::write(&path, png(20, 30)).unwrap();
    assert_eq!(open().await.unwrap_err().code(), "media_changed");
    // What is being sent ends with an error when the file becomes shorter under it.
    fs::write(&path, b"short").unwrap();
    let end = ready.stream(0, ready.bytes).next().await.unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind_and_says_what_it_was() {
    let (dir, library) = library();
    let film = |shape| mp4::tests::film(shape);
    let usual = mp4::tests::Shape::default();
    let heic = [b"\0\0\0\x18ftypheic".as_slice(), &[0; 64]].concat();
    let head = png(30, 20);
    // A picture of 60,000 × 60,000 pixels: the header says so, with a right checksum, and nobody decodes it.
    let mut bomb = head.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let sum = strip::crc32(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    // A right head, and pixels that are none.
    let mut broken = noise(64, 64);
    let data = broken.windows(4).position(|it| it == b"IDAT").unwrap();
    broken[data + 40..data + 400].fill(0x55);
    // It is shown by any viewer, and its notes cannot be found.
    let photo = encoded(&image::DynamicImage::new_rgb8(30, 20), image::ImageFormat::Jpeg);
    let cut = photo[..photo.len() - 2].to_vec();
    for (bytes, code, words) in [
        (b"<html><script>alert(1)</script></html>".to_vec(), "media_type", "text/html"),
        (b"\n <!DOCTYPE html><p>".to_vec(), "media_type", "text/html"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "media_type", "svg"),
        (b"%PDF-1.7 and no end".to_vec(), "media_damaged", "cannot be read"),
        (b"PK\x03\x04 and more and more and more".to_vec(), "media_type", "zip"),
        (b"".to_vec(), "media_empty", "empty"),
        (head[..20].to_vec(), "media_damaged", "cannot be read"),
        (bomb, "media_too_many_pixels", "60000×60000"),
        (broken, "media_damaged", "cannot be read"),
        (cut, "media_damaged", "cannot be taken out"),
        (png(2101, 1000), "media_too_many_pixels", "2101×1000"),
        (heic, "media_type", "HEIC"),
        (film(mp4::tests::Shape { ms: 61_000, ..usual }), "media_too_long", "61 s; the most is 60 s"),
        (film(usual)[..900].to_vec(), "media_damaged", "cannot be read"),
    ] {
        let error = library.take(id(2), CAPS, body(&bytes)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().is_some() || code == "media_empty", "{error}");
    }
    let broken = stream::iter([Ok(Bytes::from_static(b"\x89PNG")), Err(io::Error::other("gone"))]);
    assert_eq!(library.take(id(2), CAPS, broken).await.unwrap_err().code(), "upload_broken");
    let chunk = Bytes::from(vec![0; 1 << 20]);
    let endless = stream::iter((0..=32).map(move |_| Ok(chunk.clone())).collect::<Vec<_>>());
    assert_eq!(library.take(id(2), CAPS, endless).await.unwrap_err().code(), "media_too_big");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_film_is_kept_without_its_notes() {
    let (dir, library) = library();
    let film = mp4::tests::film(mp4::tests::Shape { brand: *b"qt  ", ..mp4::tests::Shape::default() });
    let facts = library.take(id(1), CAPS, body(&film)).await.unwrap();
    assert_eq!((facts.kind, facts.width, facts.height), (MediaKind::Mov, 1920, 1080));
    let kept = fs::read(dir.path().join(id(1).to_string())).unwrap();
    assert!(!kept.windows(8).any(|it| it == b"+48.1351"));
    assert_eq!(facts.digest, <[u8; 32]>::from(Sha256::digest(&kept)));
    assert_eq!(all(library.open(id(1), facts.kind, facts.digest, None).await.unwrap()).await, kept);
}

#[tokio::test]
async fn a_picture_is_converted_upright_on_white_within_its_bytes_and_dies_with_its_original() {
    let (dir, library) = library();
    let bytes = noise(500, 300);
    let facts = library.take(id(1), CAPS, body(&bytes)).await.unwrap();
    assert!(facts.detail.alpha && facts.bytes > 500_000, "{}", facts.bytes);
    let fit = Fit { width: 400, height: 240, bytes_max: 60_000, flatten: true };
    let ready = library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap();
    assert!(ready.bytes <= 60_000, "{}", ready.bytes);
    let made = image::load_from_memory_with_format(&all(ready).await, image::ImageFormat::Jpeg).unwrap();
    assert_eq!((made.width(), made.height()), (400, 240));
    // The second time it is there already, and a sweep of what is known leaves it alone.
    assert_eq!(library.sweep(|it| it == id(1)).unwrap(), 0);
    let before = fs::read_dir(dir.path()).unwrap().count();
    library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap();
    assert_eq!((before, fs::read_dir(dir.path()).unwrap().count()), (2, 2));
    // Noise cannot be brought below this at any quality, so it is made smaller; and at last refused.
    let tiny = Fit { bytes_max: 2000, ..fit };
    assert!(library.open(id(1), facts.kind, facts.digest, Some(tiny)).await.unwrap().bytes <= 2000);
    let mad = Fit { bytes_max: 10, ..fit };
    let error = library.open(id(1), facts.kind, facts.digest, Some(mad)).await.unwrap_err();
    assert_eq!((error.code(), error.is_final()), ("media_not_shrunk", true));
    library.remove(id(1)).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What is made of a picture may lie on the disk for weeks, and over restarts.
#[tokio::test]
async fn what_is_made_already_waits_for_no_picture_that_is_decoded() {
    let (dir, library) = library();
    let facts = library.take(id(1), CAPS, body(&noise(500, 300))).await.unwrap();
    let fit = Fit { width: 400, height: 240, bytes_max: 60_000, flatten: true };
    let made = library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap();
    // After a restart its bytes are read, which is no decoding either.
    let library = Library::new(dir.path().to_owned());
    let turn = library.shared.decoding.acquire().await.unwrap();
    let found = library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap();
    assert_eq!(found.bytes, made.bytes);
    drop(turn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_one_conversion_get_one() {
    let (dir, library) = library();
    let facts = library.take(id(1), CAPS, body(&noise(500, 300))).await.unwrap();
    let fit = Fit { width: 400, height: 240, bytes_max: 60_000, flatten: true };
    let wanted = (0..8).map(|_| library.open(id(1), facts.kind, facts.digest, Some(fit)));
    let ready = futures_util::future::join_all(wanted).await;
    let inodes: BTreeSet<u64> =
        ready.into_iter().map(|it| it.unwrap().file.metadata().unwrap().ino()).collect();
    assert_eq!(inodes.len(), 1);
    assert_eq!(fs::read_dir(dir.path().join(format!("{}.fit", id(1)))).unwrap().count(), 1);
}

#[tokio::test]
async fn a_conversion_is_sent_as_it_was_made_or_made_anew() {
    let (dir, library) = library();
    let facts = library.take(id(1), CAPS, body(&noise(500, 300))).await.unwrap();
    let fit = Fit { width: 400, height: 240, bytes_max: 60_000, flatten: true };
    let open = async |library: &Library, fit| library.open(id(1), facts.kind, facts.digest, Some(fit)).await;
    let sent = async |library: &Library| all(open(library, fit).await.unwrap()).await;
    let folder = dir.path().join(format!("{}.fit", id(1)));
    let files = || fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect::<Vec<_>>();
    let made = sent(&library).await;
    let path = files().pop().unwrap();
    let inode = || fs::metadata(&path).unwrap().ino();
    let first = inode();
    let mut other = made.clone();
    other[1000] ^= 1;
    let mut last = first;
    for torn in [&other[..], &made[..500], &[]] {
        // Before a restart, and after one, which remembers nothing.
        for library in [library.clone(), Library::new(dir.path().to_owned())] {
            fs::write(&path, torn).unwrap();
            assert!(sent(&library).await == made, "{} bytes", torn.len());
            assert_eq!(files(), std::slice::from_ref(&path));
            last = inode();
        }
    }
    // What is as it was made is not made once more.
    assert!(sent(&Library::new(dir.path().to_owned())).await == made);
    assert_eq!(inode(), last);
    fs::remove_dir_all(&folder).unwrap();
    assert!(sent(&library).await == made, "gone, it is made anew");
    // Another of the same picture lies beside it.
    let small = Fit { width: 200, height: 120, ..fit };
    assert!(all(open(&library, small).await.unwrap()).await != made);
    assert_eq!((files().len(), sent(&library).await == made), (2, true));
    // Only of what was taken in.
    fs::write(dir.path().join(id(1).to_string()), noise(30, 20)).unwrap();
    assert_eq!(open(&library, fit).await.unwrap_err().code(), "media_changed");
    fs::remove_file(dir.path().join(id(1).to_string())).unwrap();
    assert_eq!(open(&library, fit).await.unwrap_err().code(), "media_gone");
}

#[tokio::test]
async fn see_through_becomes_white_and_a_turned_picture_upright() {
    let (_dir, library) = library();
    let clear = image::RgbaImage::from_pixel(40, 20, image::Rgba([0, 0, 0, 0]));
    let clear = encoded(&image::DynamicImage::ImageRgba8(clear), image::ImageFormat::Png);
    let facts = library.take(id(1), CAPS, body(&clear)).await.unwrap();
    let fit = Fit { width: 40, height: 20, bytes_max: 10_000, flatten: true };
    let made = all(library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap()).await;
    let made = image::load_from_memory(&made).unwrap().into_rgb8();
    assert!(made.pixels().all(|it| it.0.iter().all(|it| *it > 250)));

    // Left half black, right half white, and a note that the right side is up: shown, the upper half
    // is white.
    let half = image::RgbImage::from_fn(40, 20, |x, _| image::Rgb(if x < 20 { [0; 3] } else { [255; 3] }));
    let mut turned = encoded(&image::DynamicImage::ImageRgb8(half), image::ImageFormat::Jpeg);
    let note = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
    turned.splice(2..2, note.iter().copied());
    let facts = library.take(id(2), CAPS, body(&turned)).await.unwrap();
    assert_eq!((facts.width, facts.height), (20, 40));
    let fit = Fit { width: 10, height: 20, bytes_max: 10_000, flatten: false };
    let made = all(library.open(id(2), facts.kind, facts.digest, Some(fit)).await.unwrap()).await;
    let made = image::load_from_memory(&made).unwrap().into_rgb8();
    assert_eq!(made.dimensions(), (10, 20));
    assert!(made.get_pixel(5, 2)[0] > 200 && made.get_pixel(5, 17)[0] < 50);
}

#[tokio::test]
async fn the_colours_of_a_phone_are_named_and_a_conversion_makes_them_those_of_every_screen() {
    use image::ImageEncoder as _;
    let (_dir, library) = library();
    // sRGB's full red, as a phone's profile writes it.
    let red = image::RgbImage::from_pixel(40, 40, image::Rgb([234, 51, 35]));
    let mut wide = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut wide, 95);
    encoder.set_icc_profile(colour::tests::p3()).unwrap();
    encoder.write_image(&red, 40, 40, image::ExtendedColorType::Rgb8).unwrap();
    let facts = library.take(id(1), CAPS, body(&wide)).await.unwrap();
    let colours = facts.detail.colours.clone().unwrap();
    assert_eq!((colours.name.as_str(), colours.convertible), ("Display P3", true));
    let fit = Fit { width: 20, height: 20, bytes_max: 10_000, flatten: false };
    let made = all(library.open(id(1), facts.kind, facts.digest, Some(fit)).await.unwrap()).await;
    assert!(!made.windows(11).any(|it| it == b"ICC_PROFILE"), "what has no profile is sRGB");
    let seen = image::load_from_memory(&made).unwrap().into_rgb8().get_pixel(10, 10).0;
    assert!(seen[0] > 248 && seen[1] < 10 && seen[2] < 10, "{seen:?}");
    let plain = encoded(&image::DynamicImage::ImageRgb8(red), image::ImageFormat::Jpeg);
    assert_eq!(library.take(id(2), CAPS, body(&plain)).await.unwrap().detail.colours, None);
}

#[tokio::test]
async fn a_sweep_keeps_what_is_known() {
    let (dir, library) = library();
    for n in 1..=3 {
        library.take(id(n), CAPS, body(&png(4, 4))).await.unwrap();
    }
    fs::write(dir.path().join("x.part"), b"half").unwrap();
    fs::write(dir.path().join(format!("{}.part", id(2))), b"half").unwrap();
    fs::create_dir(dir.path().join(format!("{}.fit", id(1)))).unwrap();
    assert_eq!(library.sweep(|it| it == id(2)).unwrap(), 4);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, [OsStr::new(&id(2).to_string())]);
}

#[tokio::test]
async fn a_sweep_keeps_what_is_still_arriving_and_what_is_not_on_record_yet() {
    let (_dir, library) = library();
    let arriving = library.expect(id(1));
    let swept = library.clone();
    // The folder is swept while the last piece is under way.
    let last = stream::once(async move {
        assert_eq!(swept.sweep(|_| false).unwrap(), 0);
        Ok(Bytes::from(png(4, 4)))
    });
    library.take(id(1), CAPS, Box::pin(last)).await.unwrap();
    assert_eq!(library.sweep(|_| false).unwrap(), 0);
    drop(arriving);
    assert_eq!(library.sweep(|_| false).unwrap(), 1);
}

#[test]
fn ffmpeg_is_looked_for_and_not_assumed() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!has_ffmpeg(None) && !has_ffmpeg(Some(dir.path().as_os_str())));
    fs::write(dir.path().join("ffmpeg"), b"").unwrap();
    assert!(has_ffmpeg(Some(dir.path().as_os_str())));
}
