//! Media files in the daemon: converted, lent to networks by link, refused when they were changed.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE, USER_AGENT};
use sendoff::control::{messages as m, requests as r};
use sendoff::domain::ids::{DeliveryId, MediaId};
use sendoff::http::clients::{reading_client, tls};
use sendoff::keys::derive::{Purpose, Signer};

use crate::film::{Shape, film};
use crate::house::{House, code, draft};

/// A picture that compresses badly, as PNG.
fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 1_u64;
    let picture = image::RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b, c, _] = u32::try_from(state >> 32).unwrap().to_be_bytes();
        image::Rgb([a, b, c])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

async fn uploaded(house: &House, bytes: Vec<u8>) -> m::Uploaded {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    house.client.media_upload(Some("loaf.png".into()), body).await.unwrap()
}

fn with(file: &m::Uploaded, when: r::When) -> r::CreatePost {
    r::CreatePost {
        media: vec![r::MediaRef { id: file.id.clone(), alt: Some("a loaf".into()), part: None }],
        ..draft(&["bluesky:acme"], &["With a picture."], when)
    }
}

fn in_an_hour() -> r::When {
    r::When::At("+1h".into())
}

fn media_files(house: &House) -> Vec<String> {
    let all = std::fs::read_dir(house.data_dir().join("media")).unwrap();
    all.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_can_be_looked_at_in_small_and_nothing_else_comes_back() {
    let house = House::furnished().await;
    let file = uploaded(&house, noise(2200, 1100)).await;
    let small = house.client.media_thumbnail(&file.id).await.unwrap();
    assert_eq!((small.name.as_str(), small.width, small.height), ("loaf.png", 2200, 1100));
    let bytes = base64::engine::general_purpose::STANDARD.decode(&small.data).unwrap();
    assert!(bytes.len() <= 256 << 10, "{}", bytes.len());
    let made = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg).unwrap();
    assert!(made.width() <= 1_024 && made.width() == 2 * made.height(), "{}×{}", made.width(), made.height());
    // One that is small already stays as large as it is.
    let tiny = uploaded(&house, noise(40, 30)).await;
    let bytes = house.client.media_thumbnail(&tiny.id).await.unwrap().data;
    let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap();
    let made = image::load_from_memory(&bytes).unwrap();
    assert_eq!((made.width(), made.height()), (40, 30));
    // What is no picture, or not there.
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(film(Shape::default())))]);
    let moving = house.client.media_upload(Some("oven.mp4".into()), body).await.unwrap();
    let unknown = MediaId::new(jiff::Timestamp::UNIX_EPOCH, [7; 10]).to_string();
    for (id, why) in [(&*moving.id, "no_picture"), ("med_nonsense", "bad_name"), (&unknown, "unknown_media")]
    {
        assert_eq!(code(house.client.media_thumbnail(id).await), why);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_too_heavy_for_a_network_is_converted_as_the_check_said() {
    let house = House::furnished().await;
    let file = uploaded(&house, noise(1100, 800)).await;
    assert!(file.bytes > 2_000_000, "{}", file.bytes);
    let check = house.client.post_check(&with(&file, r::When::Now)).await.unwrap();
    assert_eq!(check.targets[0].notices, ["`loaf.png` will be converted to JPEG, 1100×800"]);
    let made = house.client.post_create(&with(&file, r::When::Now)).await.unwrap();
    let ended = house.ended(&made.id).await;
    assert_eq!(ended.status, m::PostStatus::Published, "{ended:#?}");
    let shown = house.live("With a picture.");
    assert_eq!(shown[0].alts, ["a loaf"]);
    house.assert_no_refusals();
    house.until("an empty folder", async |_| media_files(&house).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_changed_or_deleted_ends_its_delivery_and_harms_no_other() {
    let house = House::furnished().await;
    let (changed, deleted, good) = (
        uploaded(&house, noise(20, 10)).await,
        uploaded(&house, noise(21, 10)).await,
        uploaded(&house, noise(22, 10)).await,
    );
    let mut posts = Vec::new();
    for file in [&changed, &deleted, &good] {
        posts.push(house.client.post_create(&with(file, in_an_hour())).await.unwrap());
    }
    let folder = house.data_dir().join("media");
    std::fs::write(folder.join(&changed.id), noise(10, 20)).unwrap();
    std::fs::remove_file(folder.join(&deleted.id)).unwrap();
    house.pass(SignedDuration::from_mins(61)).await;
    for (post, words) in posts.iter().zip([Some("have changed"), Some("no longer there"), None]) {
        let ended = house.ended(&post.id).await;
        let reason = ended.deliveries[0].reason.as_ref();
        match words {
            Some(words) => {
                assert_eq!(ended.status, m::PostStatus::Failed);
                let reason = reason.unwrap();
                assert!(reason.message.contains(words) && reason.hint.is_some(), "{reason:?}");
            }
            None => assert_eq!(ended.status, m::PostStatus::Published, "{reason:?}"),
        }
    }
    assert_eq!(house.network.published().len(), 1);
}

/// A link as the daemon would make it, and one that it would not.
fn link(house: &House, delivery: &str, file: &str, end: i64) -> String {
    let signer = Signer::new(&house.master(), Purpose::MediaUrl);
    let (delivery, file): (DeliveryId, MediaId) = (delivery.parse().unwrap(), file.parse().unwrap());
    let claims =
        [&delivery.as_u128().to_be_bytes()[..], &file.as_u128().to_be_bytes(), &end.to_be_bytes(), &[0; 16]]
            .concat();
    let tag = signer.sign(&[b"fetch", &claims]);
    let token = URL_SAFE_NO_PAD.encode([&claims[..], &tag].concat());
    format!("http://127.0.0.1:{}/m/{token}/media.png", house.port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_serves_its_file_in_pieces_is_accounted_for_and_dies_with_its_delivery() {
    let house = House::furnished().await;
    let bytes = noise(40, 30);
    let (file, other) = (uploaded(&house, bytes.clone()).await, uploaded(&house, noise(8, 8)).await);
    let made = house.client.post_create(&with(&file, in_an_hour())).await.unwrap();
    let delivery = made.deliveries[0].id.clone();
    let soon = house.now().as_second() + 3600;
    let url = link(&house, &delivery, &file.id, soon);
    let http = reading_client(tls(None).unwrap()).unwrap();

    let answer = http.get(&url).header(USER_AGENT, "crawler/1\u{9b}x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("content-type"), header("accept-ranges")), ("image/png".into(), "bytes".into()));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!((header("x-robots-tag"), header("cache-control")), ("noindex".into(), "no-store".into()));
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    let head = http.head(&url).send().await.unwrap();
    assert_eq!(head.headers()[CONTENT_LENGTH], bytes.len().to_string());
    assert_eq!(head.headers()[CONTENT_TYPE].as_bytes(), b"image/png");
    assert_eq!(head.bytes().await.unwrap().len(), 0);

    let piece = http.get(&url).header(RANGE, "bytes=10-19").send().await.unwrap();
    assert_eq!(piece.status(), 206);
    assert_eq!(piece.headers()[CONTENT_RANGE], format!("bytes 10-19/{}", bytes.len()));
    assert_eq!(piece.bytes().await.unwrap(), &bytes[10..20]);
    let beyond = http.get(&url).header(RANGE, "bytes=99999999-").send().await.unwrap();
    assert_eq!((beyond.status().as_u16(), beyond.headers()[ACCEPT_RANGES].as_bytes()), (416, &b"bytes"[..]));
    assert_eq!(beyond.headers()[CONTENT_RANGE], format!("bytes */{}", bytes.len()));
    assert_eq!(http.post(&url).send().await.unwrap().status(), 404);

    // Who came, and what left.
    let shown = house
        .until("the account of four requests", async |client| {
            let shown = client.post_show(&made.id).await.unwrap();
            let all: u64 = shown.deliveries[0].fetches.iter().map(|it| it.requests).sum();
            (all == 4).then_some(shown)
        })
        .await;
    let fetches = &shown.deliveries[0].fetches;
    assert!(fetches.iter().all(|it| it.client == "127.0.0.1" && it.media == file.id));
    assert_eq!(fetches.iter().map(|it| it.bytes).sum::<u64>(), bytes.len() as u64 + 10);
    assert!(
        fetches.iter().any(|it| it.agent.starts_with("crawler/1") && it.http_status == 200),
        "{fetches:?}"
    );

    // Signed by us, and still not for these: another file, no such delivery, an end that has come.
    let status = async |url: String| http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(link(&house, &delivery, &other.id, soon)).await, 404);
    let stranger = DeliveryId::from_u128(1).to_string();
    assert_eq!(status(link(&house, &stranger, &file.id, soon)).await, 404);
    assert_eq!(status(link(&house, &delivery, &file.id, house.now().as_second())).await, 404);
    assert_eq!(status(url.replace("media.png", "media.jpg")).await, 404);

    // Another post shows the same file, so it stays; the link was not for that one.
    let kept = house.client.post_create(&with(&file, in_an_hour())).await.unwrap();
    let cancelled = house.client.post_cancel(&made.id).await.unwrap();
    assert_eq!(cancelled.status, m::PostStatus::Cancelled);
    assert_eq!(status(link(&house, &kept.deliveries[0].id, &file.id, soon)).await, 200);
    assert_eq!(status(url).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_is_taken_back_with_its_picture_and_for_good_it_takes_it_along() {
    let mut house = House::furnished().await;
    let file = uploaded(&house, noise(40, 30)).await;
    let made = house.client.post_create(&with(&file, in_an_hour())).await.unwrap();
    let cancelled = house.client.post_cancel(&made.id).await.unwrap();
    house.pass(SignedDuration::from_secs(50)).await;
    let back = house.client.post_undo(&made.id, &cancelled.undo.unwrap()).await.unwrap();
    house.pass_to(back.deliveries.iter().map(|it| it.due).max().unwrap()).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("With a picture.").len(), 1);

    let file = uploaded(&house, noise(40, 31)).await;
    let made = house.client.post_create(&with(&file, in_an_hour())).await.unwrap();
    house.client.post_cancel(&made.id).await.unwrap();
    // A start sweeps, as every minute does.
    for (minutes, left) in [(1, 1), (4, 0)] {
        house.pass(SignedDuration::from_mins(minutes)).await;
        house.stop().await;
        house.start().await;
        assert_eq!(media_files(&house).len(), left, "after {minutes} more minutes");
    }
}

/// Ways to write `../`, and places worth a visit.
fn traversals(token: &str) -> BTreeSet<String> {
    let ups = [
        "../",
        "..%2f",
        "..%2F",
        "%2e%2e/",
        "%2e%2e%2f",
        "%252e%252e%252f",
        "..%252f",
        "..%c0%af",
        "..%ef%bc%8f",
        "..\\",
        "..%5c",
        "%c0%ae%c0%ae/",
        "....//",
        "..;/",
        ".%2e/",
        "..%00/",
        "%uff0e%uff0e/",
        "%2e%2e%5c",
        "..%u2215",
        "%e0%80%ae%e0%80%ae/",
    ];
    let goals = [
        "etc/passwd",
        "etc%2fpasswd",
        "proc/self/environ",
        "keyring",
        "sendoff.redb",
        "master.key",
        "sendoff.toml",
        "lock",
        "generation",
        "media",
        "data/keyring",
        "data%2fkeyring",
        "media.png",
        "media.png/../../keyring",
    ];
    let starts =
        ["/m/", "/m//", &format!("/m/{token}/"), &format!("/m/{token}/media.png/")].map(str::to_owned);
    let mut all = BTreeSet::new();
    for start in &starts {
        for up in ups {
            for goal in goals {
                for depth in 1..=5 {
                    all.insert(format!("{start}{}{goal}", up.repeat(depth)));
                }
            }
        }
    }
    all
}

/// Sends the path as it is written; HTTP libraries would tidy it up. The status and the body.
async fn raw(port: u16, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_traversals_serve_nothing() {
    let house = House::furnished().await;
    let file = uploaded(&house, noise(4, 4)).await;
    let made = house.client.post_create(&with(&file, in_an_hour())).await.unwrap();
    let url = link(&house, &made.deliveries[0].id, &file.id, house.now().as_second() + 3600);
    let path = url.split_once(&format!(":{}", house.port)).unwrap().1;
    assert_eq!(raw(house.port, path).await.0, 200, "the link itself is good");
    let token = path.split('/').nth(2).unwrap();
    let all = traversals(token);
    assert!(all.len() >= 5000, "{}", all.len());
    for path in all {
        let (status, body) = raw(house.port, &path).await;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
        assert!(matches!(body.as_str(), "not found\n" | "refused\n" | ""), "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_media_is_refused_at_the_door_with_what_it_was() {
    let house = House::furnished().await;
    for (bytes, expected) in [
        (&b"<html><body>hi"[..], "media_type"),
        (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0\0\0\0\0"[..], "media_type"),
        (&b""[..], "media_empty"),
    ] {
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(bytes))]);
        assert_eq!(code(house.client.media_upload(Some("a.jpg".into()), body).await), expected);
    }
    assert_eq!(media_files(&house), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_follow_the_log_see_how_far_an_upload_is_and_those_who_come_later_do_not() {
    let house = House::furnished().await;
    let file = uploaded(&house, noise(40, 30)).await;
    let ask = r::Events { backlog: Some(0), follow: true, ..r::Events::default() };
    let mut events = house.client.events(&ask).await.unwrap();
    let made = house.client.post_create(&with(&file, r::When::Now)).await.unwrap();
    let ended = house.ended(&made.id).await;
    assert_eq!(ended.status, m::PostStatus::Published, "{ended:#?}");
    let (mut told, mut kept) = (Vec::new(), 0);
    loop {
        let event = events.next().await.unwrap().unwrap();
        let is_last = event.event == "delivery.published";
        match event.progress {
            Some(_) => {
                assert_eq!(event.seq, kept, "it bears the number of the line before it");
                told.push(event);
            }
            None => kept = event.seq,
        }
        if is_last {
            break;
        }
    }
    // Twice, if the server asks for a fresh nonce when it has the first.
    assert!((1..=2).contains(&told.len()), "{told:#?}");
    for line in told {
        let progress = line.progress.unwrap();
        assert_eq!((progress.done_bytes, progress.total_bytes, progress.step), (file.bytes, file.bytes, 1));
        assert_eq!(
            (line.event.as_str(), line.delivery),
            ("delivery.uploading", Some(made.deliveries[0].id.clone()))
        );
    }
    let story = house.story(None).await;
    assert!(story.iter().all(|(event, _)| event != "delivery.uploading"), "{story:#?}");
}
