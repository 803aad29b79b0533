//! The library under test: what is taken in, what is refused, what stays behind.

use super::*;
use futures_util::stream;

fn id(n: u8) -> MediaId {
    MediaId::new("2026-12-01T09:00:00Z".parse().unwrap(), [n; 10])
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(width, height).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn body(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + use<> {
    stream::iter(bytes.chunks(7).map(|it| Ok(Bytes::copy_from_slice(it))).collect::<Vec<_>>())
}

#[tokio::test]
async fn an_image_is_kept_under_its_id_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    let bytes = png(30, 20);
    let facts = library.take(id(1), body(&bytes)).await.unwrap();
    let digest = Sha256::digest(&bytes).into();
    assert_eq!(
        facts,
        Facts { kind: MediaKind::Png, bytes: bytes.len() as u64, width: 30, height: 20, digest }
    );
    assert_eq!(library.read(id(1)).await.unwrap(), bytes);
    library.remove(id(1)).unwrap();
    library.remove(id(1)).unwrap();
    assert!(library.read(id(1)).await.is_err());
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    let html = b"<html><script>alert(1)</script></html>".as_slice();
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>".as_slice();
    let cut = &png(30, 20)[..20];
    for (bytes, code) in [
        (html, "media_type"),
        (svg, "media_type"),
        (b"".as_slice(), "media_empty"),
        (cut, "media_damaged"),
    ] {
        assert_eq!(library.take(id(2), body(bytes)).await.unwrap_err().code(), code);
    }
    let broken = stream::iter([Ok(Bytes::from_static(b"\x89PNG")), Err(io::Error::other("gone"))]);
    assert_eq!(library.take(id(2), broken).await.unwrap_err().code(), "upload_broken");
    let chunk = Bytes::from(vec![0; 1 << 20]);
    let endless = stream::iter((0..=64).map(move |_| Ok(chunk.clone())).collect::<Vec<_>>());
    assert_eq!(library.take(id(2), endless).await.unwrap_err().code(), "media_too_big");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_sweep_keeps_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    for n in 1..=3 {
        library.take(id(n), body(&png(4, 4))).await.unwrap();
    }
    std::fs::write(dir.path().join("x.part"), b"half").unwrap();
    assert_eq!(library.sweep(|it| it == id(2)).unwrap(), 3);
    assert!(library.read(id(2)).await.is_ok());
}

#[tokio::test]
async fn a_sweep_keeps_what_is_still_arriving_and_what_is_not_on_record_yet() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    let arriving = library.expect(id(1));
    let swept = library.clone();
    // The folder is swept while the last piece is under way.
    let last = stream::once(async move {
        assert_eq!(swept.sweep(|_| false).unwrap(), 0);
        Ok(Bytes::from(png(4, 4)))
    });
    library.take(id(1), Box::pin(last)).await.unwrap();
    assert_eq!(library.sweep(|_| false).unwrap(), 0);
    drop(arriving);
    assert_eq!(library.sweep(|_| false).unwrap(), 1);
}
