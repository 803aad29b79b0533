//! Bodies as they leave, byte for byte.

use crate::domain::ids::MediaId;
use crate::domain::media::MediaKind;
use crate::media::{Caps, Library};
use crate::platforms::FilePart;

use super::*;

fn part(range: Option<(u64, u64)>) -> FilePart {
    FilePart { id: MediaId::from_u128(7), kind: MediaKind::Gif, fit: None, range }
}

fn bytes(range: Option<(u64, u64)>) -> Body {
    Body::File { part: part(range), headers: Vec::new() }
}

/// A file in a library: 43 bytes, the smallest GIF there is.
async fn file() -> (tempfile::TempDir, Ready, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().to_owned());
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let body = stream::iter([Ok(Bytes::from_static(gif))]);
    let facts = library.take(MediaId::from_u128(7), Caps::default(), body).await.unwrap();
    let ready = library.open(MediaId::from_u128(7), facts.kind, facts.digest, None).await.unwrap();
    (dir, ready, gif.to_vec())
}

async fn sent(built: &Built) -> Vec<u8> {
    let payload = built.payload(None);
    let chunks: Vec<Bytes> = payload.chunks.map(Result::unwrap).collect().await;
    let bytes = chunks.concat();
    assert_eq!(bytes.len() as u64, payload.length);
    bytes
}

#[tokio::test]
async fn a_form_with_a_file_is_the_form_around_the_bytes_of_the_file() {
    let (_dir, ready, gif) = file().await;
    let fields = vec![
        ("segment".to_owned(), Field::Text("3".into())),
        ("media\"\r\nx: y".to_owned(), Field::File { part: part(Some((10, 20))), name: "a\"b.gif".into() }),
        ("end".to_owned(), Field::Text("yes".into())),
    ];
    let built = build(&Body::Multipart(fields), &[Part::File(ready)], "BOUND").unwrap();
    assert_eq!(built.content_type.as_deref(), Some("multipart/form-data; boundary=BOUND"));
    assert!(built.small().is_none());
    let head = "--BOUND\r\nContent-Disposition: form-data; name=\"segment\"\r\n\r\n3\r\n\
                --BOUND\r\nContent-Disposition: form-data; name=\"media%22%0D%0Ax: y\"; filename=\"a%22b.gif\"\r\n\
                Content-Type: image/gif\r\n\r\n";
    let tail = "\r\n--BOUND\r\nContent-Disposition: form-data; name=\"end\"\r\n\r\nyes\r\n--BOUND--\r\n";
    assert_eq!(sent(&built).await, [head.as_bytes(), &gif[10..30], tail.as_bytes()].concat());
}

#[tokio::test]
async fn a_file_leaves_whole_or_in_the_piece_that_was_asked_for() {
    let (_dir, ready, gif) = file().await;
    let parts = [Part::File(ready)];
    assert_eq!(sent(&build(&bytes(None), &parts, "").unwrap()).await, gif);
    assert_eq!(sent(&build(&bytes(Some((0, 1))), &parts, "").unwrap()).await, &gif[..1]);
    assert_eq!(build(&bytes(Some((20, 10))), &parts, "").unwrap().standing(), (20, 43));
    for beyond in [(0, 44), (43, 1), (u64::MAX, 2)] {
        let error = build(&bytes(Some(beyond)), &parts, "").unwrap_err();
        assert!(error.contains("43 bytes"), "{error}");
    }
    assert!(build(&bytes(None), &[], "").is_err());
}

#[test]
fn links_stand_where_the_connector_wants_them_and_nowhere_else() {
    let links = [
        Part::Link("https://p.example/m/1/media.jpg?a=b&c".into()),
        Part::Link("https://p.example/2".into()),
    ];
    let form = Body::Form(vec![
        ("caption".into(), Field::Text("see {link} & co".into())),
        ("image_url".into(), Field::Link(part(None))),
    ]);
    let built = build(&form, &links, "").unwrap();
    assert_eq!(
        built.small().unwrap(),
        "caption=see+%7Blink%7D+%26+co&image_url=https%3A%2F%2Fp.example%2Fm%2F1%2Fmedia.jpg%3Fa%3Db%26c"
    );
    let json = serde_json::json!({ "source": { "urls": [null, null] }, "title": "urls" });
    let places = vec![("/source/urls/0".to_owned(), part(None)), ("/source/urls/1".to_owned(), part(None))];
    let built =
        build(&Body::JsonWithLinks { json: json.clone(), links: places.clone() }, &links, "").unwrap();
    assert_eq!(
        built.small().unwrap(),
        r#"{"source":{"urls":["https://p.example/m/1/media.jpg?a=b&c","https://p.example/2"]},"title":"urls"}"#
    );
    assert!(build(&Body::JsonWithLinks { json, links: places }, &links[..1], "").is_err());
    let file = Body::Form(vec![("f".into(), Field::File { part: part(None), name: "n".into() })]);
    assert!(build(&file, &links, "").is_err());
}
