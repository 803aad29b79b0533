//! `[limits]` of media: each has its effect on what comes in, and the example tells the truth.

use std::fs;

use bytes::Bytes;
use futures_util::stream;
use sendoff::control::client::ClientError;
use sendoff::control::messages as m;

use crate::film::{self, Shape};
use crate::house::{House, code};

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn film(width: u32, height: u32, ms: u32) -> Vec<u8> {
    film::film(Shape { width, height, ms, samples: 30, sound: None, ..Shape::default() })
}

async fn upload(house: &House, bytes: Vec<u8>) -> Result<m::Uploaded, ClientError> {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    house.client.media_upload(Some("loaf".into()), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_of_media_counts_and_lets_through_what_is_at_it() {
    let mut house = House::new().await;
    let (small, tall) = (picture(30, 20), picture(30, 21));
    let (short, long) = (film(30, 20, 3000), film(30, 20, 3001));
    for bytes in [&small, &tall, &short, &long] {
        upload(&house, bytes.clone()).await.unwrap();
    }
    let usual = fs::read_to_string(house.config_path()).unwrap();
    let most = short.len();
    for (limit, inside, outside, word) in [
        (
            format!("media_max_bytes = {most}"),
            short.clone(),
            [short.clone(), vec![0]].concat(),
            "media_too_big",
        ),
        ("media_max_pixels = 600".to_owned(), small.clone(), tall, "media_too_many_pixels"),
        ("media_max_pixels = 600".to_owned(), short.clone(), film(30, 21, 3000), "media_too_many_pixels"),
        ("media_max_duration = \"3s\"".to_owned(), short.clone(), long, "media_too_long"),
    ] {
        fs::write(house.config_path(), format!("{usual}\n[limits]\n{limit}\n")).unwrap();
        house.stop().await;
        house.start().await;
        upload(&house, inside).await.unwrap_or_else(|error| panic!("{limit}: {error}"));
        let refused = upload(&house, outside).await.unwrap_err();
        let detail = refused.detail();
        assert_eq!(detail.code, word, "{limit}");
        let key = limit.split(' ').next().unwrap();
        assert!(detail.hint.unwrap().contains(key), "{limit}");
    }
    // A picture has a bound of its own that no setting raises.
    fs::write(house.config_path(), format!("{usual}\n[limits]\nmedia_max_bytes = 500000000\n")).unwrap();
    house.stop().await;
    house.start().await;
    let mut heavy = small;
    heavy.resize((64 << 20) + 1, 0);
    assert_eq!(code(upload(&house, heavy).await), "media_too_big");
}
