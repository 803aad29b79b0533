//! Files and captions that Facebook and Instagram refuse are refused when they are scheduled: with the
//! limit, with what was found, and nothing of them is kept.

use std::fs;
use std::io::Cursor;

use crate::e2e::{House, files};
use crate::film::{Shape, film};
use image::{DynamicImage, ImageFormat};

/// Network, text, files, options; the error and what it says.
type Row<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str], &'a str, [&'a str; 2]);

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn upright(ms: u32) -> Vec<u8> {
    // Thirty pictures a second, whatever its length.
    film(Shape { width: 1080, height: 1920, ms, samples: ms * 3 / 100, ..Shape::default() })
}

/// A film for a reel whose sound is like this, in one channel unless the stream says otherwise.
fn sounding(hz: u16, aac: Option<[u8; 4]>) -> Vec<u8> {
    film(Shape { width: 1080, height: 1920, hz, channels: 1, aac, ..Shape::default() })
}

#[test]
fn files_and_captions_that_meta_refuses_are_refused_when_they_are_scheduled() {
    let house = House::new();
    let _daemon = house.serve();
    let square = encoded(1080, 1080, ImageFormat::Jpeg);
    let heic = [b"\0\0\0\x18ftypheic".as_slice(), &[0; 64]].concat();
    let html = b"<!doctype html><script>alert(1)</script>".to_vec();
    // A picture whose file ends within it.
    let cut = square[..square.len() - 2].to_vec();
    let wide = encoded(1600, 200, ImageFormat::Jpeg);
    for (name, bytes) in [
        ("square.jpg", square),
        ("wide.jpg", wide),
        ("cut.jpg", cut),
        ("heic.jpg", heic),
        ("html.png", html),
        ("reel95.mp4", upright(95_000)),
        ("story60.mp4", upright(60_000)),
        ("story61.mp4", upright(61_000)),
        ("sound96.mp4", sounding(0, Some([0x10, 0x30, 0, 0]))),
        ("sound44.mp4", sounding(44_100, None)),
    ] {
        fs::write(house.path(name), bytes).unwrap();
    }
    let check = |network: &str, text: &str, media: &[&str], options: &[&str]| {
        let mut args = vec!["post", "create", "--json", "--check", text, "--to", network];
        for file in media {
            args.extend(["--media", file]);
        }
        for option in options {
            args.extend(["--option", option]);
        }
        house.run(&args)
    };
    let square = ["square.jpg"];
    let eleven = ["square.jpg"; 11];
    let long = "a".repeat(2_201);
    let (fb_reel, fb_story, ig_story) =
        (["facebook.format=reel"], ["facebook.format=story"], ["instagram.format=story"]);
    let (both, films) = (["square.jpg", "story60.mp4"], ["square.jpg", "reel95.mp4"]);
    let rows: [Row<'_>; 12] = [
        ("instagram", "Wide.", &["wide.jpg"], &[], "image_aspect", ["1600×200", "1.91"]),
        ("facebook", "", &["reel95.mp4"], &fb_reel, "video_too_long", ["95 s", "90 s"]),
        ("facebook", "", &["story61.mp4"], &fb_story, "video_too_long", ["61 s", "60 s"]),
        ("instagram", "", &["story61.mp4"], &ig_story, "video_too_long", ["61 s", "60 s"]),
        ("instagram", "", &["sound96.mp4"], &[], "video_audio_rate", ["96 kHz", "48 kHz"]),
        ("instagram", "", &["sound96.mp4"], &[], "video_audio_channels", ["6 channels", "takes 2"]),
        ("instagram", "Eleven.", &eleven, &[], "too_many_files", ["11", "10"]),
        ("facebook", "Eleven.", &eleven, &[], "too_many_images", ["11", "10"]),
        ("facebook", "Both.", &both, &[], "video_alone", ["one video", "nothing else"]),
        ("instagram", &long, &square, &[], "text_too_long", ["2201", "2200"]),
        ("instagram", "No picture.", &[], &[], "media_missing", ["Instagram", ""]),
        ("instagram", "Far.", &square, &["instagram.cover_url=http://x"], "bad_option", ["cover_url", ""]),
    ];
    for (network, text, media, options, code, words) in rows {
        let ran = check(network, text, media, options);
        assert_eq!(ran.code, Some(1), "{network} {code}: {ran:?}");
        let told: serde_json::Value = serde_json::from_str(ran.out.trim()).unwrap();
        let problems = told["targets"][0]["problems"].to_string();
        let all = told["targets"][0]["problems"].as_array().unwrap();
        assert!(
            all.iter().filter(|it| it["field"] == "media").count() <= 1,
            "one fault, told twice: {problems}"
        );
        for part in words.into_iter().chain([code]) {
            assert!(problems.contains(part), "{network}: {part}: {problems}");
        }
    }
    // What no document limits is told, and taken.
    let ran = check("instagram", "Film.", &films, &["instagram.crop=first"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("`reel95.mp4` lasts 95 s; Instagram may take 60 s at most"), "{ran:?}");
    // At the limit it is taken; what no network would get is refused by the file itself.
    for (network, options) in [("facebook", &fb_story), ("instagram", &ig_story)] {
        assert_eq!(check(network, "", &["story60.mp4"], options).json()["ok"], true, "{network}");
    }
    // What Facebook asks for and refuses nobody for is told.
    let told = check("facebook", "", &["sound44.mp4"], &fb_reel).json();
    let notices = told["targets"][0]["notices"].to_string();
    assert!(notices.contains("44.1 kHz in mono; Facebook asks for 48 kHz, stereo"), "{told}");
    for (file, code, words) in [
        ("heic.jpg", "media_type", "HEIC"),
        ("html.png", "media_type", "text/html"),
        ("cut.jpg", "media_damaged", "taken out"),
    ] {
        let ran =
            house.run(&["post", "create", "--json", "Hi", "--to", "x:nobody", "--now", "--media", file]);
        ran.refused(1, code, words, "");
    }
    assert_eq!(files(&house.data().join("media")), [], "no upload stays behind");
    assert_eq!(house.posts(), Vec::<serde_json::Value>::new());
}
