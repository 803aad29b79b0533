//! Plans and refusals, in the words that people read.

use super::*;
use crate::domain::ids::MediaId;
use crate::domain::media::{Colours, Detail, Edits, Sound, Video};

fn picture(kind: MediaKind, width: u32, height: u32, bytes: u64) -> MediaItem {
    let detail = Detail { pixel_bytes: 3, ..Detail::default() };
    MediaItem { detail, ..MediaItem::new(MediaId::from_u128(1), "a", kind, bytes, (width, height)) }
}

/// As strict as Instagram's feed.
const STRICT: ImageNeeds = ImageNeeds {
    aspect: Some((Ratio(4, 5), Ratio(191, 100))),
    animated: false,
    width_useful: 1440,
    ..ImageNeeds::of(&[MediaKind::Jpeg], 8_000_000)
};

fn plan(item: &MediaItem) -> Result<String, Vec<&'static str>> {
    match image(item, &STRICT, "Net") {
        Ok(None) => Ok("as it is".into()),
        Ok(Some(fit)) => Ok(fit.to_string()),
        Err(found) => Err(found.into_iter().map(|it| it.code).collect()),
    }
}

#[test]
fn a_picture_goes_as_it_is_or_becomes_a_jpeg_of_the_same_shape() {
    let as_it_is = Ok("as it is".to_owned());
    assert_eq!(plan(&picture(MediaKind::Jpeg, 1080, 1350, 900_000)), as_it_is);
    // The network scales that down by itself.
    assert_eq!(plan(&picture(MediaKind::Jpeg, 4000, 5000, 7_000_000)), as_it_is);
    assert_eq!(plan(&picture(MediaKind::Png, 4000, 5000, 7_000_000)), Ok("JPEG, 1440×1800".into()));
    assert_eq!(plan(&picture(MediaKind::Jpeg, 4000, 5000, 9_000_000)), Ok("JPEG, 1440×1800".into()));
    // Never enlarged.
    assert_eq!(plan(&picture(MediaKind::WebP, 640, 480, 1000)), Ok("JPEG, 640×480".into()));
    let mut glass = picture(MediaKind::Png, 640, 480, 1000);
    glass.detail.alpha = true;
    assert_eq!(plan(&glass), Ok("JPEG, 640×480, see-through parts become white".into()));
}

#[test]
fn what_a_conversion_cannot_mend_is_refused() {
    assert_eq!(plan(&picture(MediaKind::Jpeg, 1000, 2000, 1000)), Err(vec!["image_aspect"]));
    assert_eq!(plan(&picture(MediaKind::Png, 3000, 1000, 1000)), Err(vec!["image_aspect"]));
    // One pixel of rounding is no other shape; ten are.
    assert_eq!(plan(&picture(MediaKind::Jpeg, 1200, 628, 1000)), Ok("as it is".into()));
    assert_eq!(plan(&picture(MediaKind::Jpeg, 1220, 628, 1000)), Err(vec!["image_aspect"]));
    let mut moving = picture(MediaKind::Gif, 400, 400, 1000);
    assert_eq!(plan(&moving), Ok("JPEG, 400×400".into()));
    moving.detail.animated = true;
    assert_eq!(plan(&moving), Err(vec!["image_type"]));
    let mut bomb = picture(MediaKind::Png, 9000, 9000, 1000);
    assert_eq!(plan(&bomb), Err(vec!["image_too_large_to_convert"]));
    bomb.detail.pixel_bytes = 0;
    assert_eq!(plan(&bomb), Err(vec!["image_too_large_to_convert"]));
    let found = image(&picture(MediaKind::Jpeg, 1000, 2000, 1000), &STRICT, "Net").unwrap_err();
    assert_eq!(found[0].message, "is 1000×2000 pixels (0.5:1), Net takes shapes from 4:5 to 1.91:1");
}

#[test]
fn a_plan_keeps_every_limit_and_the_shape() {
    let tight = ImageNeeds { side_max: 2000, pixels_max: 1_000_000, aspect: None, ..STRICT };
    for (width, height) in [(3000, 10), (1, 5000), (4321, 1234), (2001, 2000), (6000, 6000)] {
        let fit = image(&picture(MediaKind::Png, width, height, 100), &tight, "Net").unwrap().unwrap();
        assert!(fit.width.max(fit.height) <= 2000 && fit.width >= 1 && fit.height >= 1, "{fit}");
        // Rounding may add half a line.
        assert!(u64::from(fit.width) * u64::from(fit.height) <= 1_002_000, "{fit}");
        let (was, is) = (f64::from(width) / f64::from(height), f64::from(fit.width) / f64::from(fit.height));
        assert!(fit.width.min(fit.height) < 10 || (was / is - 1.0).abs() < 0.01, "{width}×{height}: {fit}");
    }
}

#[test]
fn what_is_sent_has_the_later_kind_and_size() {
    let item = picture(MediaKind::Png, 4000, 5000, 20_000_000);
    let fit = image(&item, &STRICT, "Net").unwrap().unwrap();
    let sent = as_sent(&item, fit);
    assert_eq!((sent.kind, sent.width, sent.height), (MediaKind::Jpeg, 1440, 1800));
    assert!(sent.bytes <= 8_000_000 && sent.id == item.id && sent.detail.fit == Some(fit));
}

fn reel() -> MediaItem {
    let video = Video {
        duration_ms: 30_000,
        frame_rate_milli: 29_970,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        kind: MediaKind::Mp4,
        bytes: 20_000_000,
        part: 0,
        detail: Detail { video: Some(video), ..Detail::default() },
        ..picture(MediaKind::Mp4, 1080, 1920, 0)
    }
}

const FILM: VideoNeeds = VideoNeeds {
    kinds: &[MediaKind::Mp4],
    codecs: &["h264"],
    audio: &["aac"],
    sound: SoundNeeds { hz_max: 48_000, channels_max: 2, asked: Some((48_000, 2)) },
    bytes_min: 1000,
    bytes_max: 100_000_000,
    duration_min_ms: 3000,
    duration_max_ms: 90_000,
    frame_rate: (24, 60),
    width: (540, 1920),
    height: (960, 1920),
    aspect: Some((Ratio(1, 2), Ratio(3, 5))),
    index_first: true,
    interlaced: false,
    edit_lists: false,
};

fn change(item: &mut MediaItem, change: impl FnOnce(&mut Video)) {
    change(item.detail.video.as_mut().unwrap());
}

type Spoil = fn(&mut MediaItem);

#[test]
fn each_fault_of_a_film_is_named_with_the_limit_and_what_was_found() {
    assert_eq!(video(&reel(), &FILM, "Net"), []);
    let cases: [(&str, &str, Spoil); 12] = [
        ("video_type", "is MOV, Net takes MP4", |it| it.kind = MediaKind::Mov),
        ("video_codec", "has hevc pictures, Net takes h264", |it| change(it, |v| v.codec = "hevc".into())),
        ("video_audio", "has ac3 sound, Net takes aac", |it| change(it, |v| v.audio = Some("ac3".into()))),
        ("video_too_big", "has 150 MB, Net takes 100 MB", |it| it.bytes = 150_000_000),
        ("video_too_small", "has 10 bytes, Net wants 1000 bytes at least", |it| it.bytes = 10),
        ("video_too_long", "lasts 92.5 s, Net takes 90 s", |it| change(it, |v| v.duration_ms = 92_500)),
        ("video_too_short", "lasts 1 s, Net wants 3 s at least", |it| change(it, |v| v.duration_ms = 1000)),
        ("video_frame_rate", "has 120 pictures a second, Net takes 24 to 60", |it| {
            change(it, |v| v.frame_rate_milli = 120_000);
        }),
        ("video_too_few_pixels", "is 270×480 pixels, Net wants 540×960 at least", |it| {
            (it.width, it.height) = (270, 480);
        }),
        ("video_too_many_pixels", "is 2160×3840 pixels, Net takes 1920×1920 at most", |it| {
            (it.width, it.height) = (2160, 3840);
        }),
        ("video_aspect", "is 1080×1080 pixels (1:1), Net takes shapes from 1:2 to 3:5", |it| {
            it.height = 1080;
        }),
        ("video_index", "has its index at the end, Net wants it first", |it| {
            change(it, |v| v.index_first = false);
        }),
    ];
    for (code, words, spoil) in cases {
        let mut item = reel();
        spoil(&mut item);
        let found = video(&item, &FILM, "Net");
        assert_eq!(found.len(), 1, "{code}: {found:?}");
        assert_eq!((found[0].code, found[0].message.as_str()), (code, words));
    }
    let mut old = reel();
    old.detail.video = None;
    assert_eq!(video(&old, &FILM, "Net")[0].code, "video_unknown");
    // Silence is fine, and a rate worked out from durations is never exact.
    let mut item = reel();
    change(&mut item, |v| (v.audio, v.frame_rate_milli) = (None, 60_024));
    assert_eq!(video(&item, &FILM, "Net"), []);
}

#[test]
fn a_limit_of_one_side_names_that_side_alone() {
    let of = |width, height, (w, h)| {
        let needs = VideoNeeds { width, height, aspect: None, ..FILM };
        let found = video(&MediaItem { width: w, height: h, ..reel() }, &needs, "Net");
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].message.clone(), found[0].command.clone().unwrap_or_default())
    };
    let any = (1, u32::MAX);
    let (wide, scaled) = of((1, 1920), any, (3840, 2160));
    assert_eq!(wide, "is 3840×2160 pixels, Net takes a width of 1920 at most");
    assert!(scaled.contains("-vf scale=w=1920:h=-2 "), "{scaled}");
    let (high, scaled) = of(any, (1, 1080), (3840, 2160));
    assert_eq!(high, "is 3840×2160 pixels, Net takes a height of 1080 at most");
    assert!(scaled.contains("-vf scale=w=-2:h=1080 "), "{scaled}");
    assert_eq!(of((360, 1920), any, (100, 2160)).0, "is 100×2160 pixels, Net wants a width of 360 at least");
    assert_eq!(of(any, (360, 1920), (999, 100)).0, "is 999×100 pixels, Net wants a height of 360 at least");
}

#[test]
fn the_command_does_what_is_needed_and_no_more() {
    let mut item = reel();
    change(&mut item, |v| v.index_first = false);
    let command = |item: &MediaItem| video(item, &FILM, "Net")[0].command.clone();
    assert_eq!(command(&item).unwrap(), "ffmpeg -i a -c copy -movflags +faststart a-ready.mp4");
    change(&mut item, |v| v.duration_ms = 92_500);
    assert_eq!(command(&item).unwrap(), "ffmpeg -i a -t 90 -c copy -movflags +faststart a-ready.mp4");
    let mut item = reel();
    (item.width, item.height, item.bytes) = (2160, 3840, 150_000_000);
    change(&mut item, |v| v.frame_rate_milli = 120_000);
    assert_eq!(
        command(&item).unwrap(),
        "ffmpeg -i a -c:v libx264 -profile:v high -pix_fmt yuv420p \
         -vf scale=w=1920:h=1920:force_original_aspect_ratio=decrease:force_divisible_by=2 -r 30 \
         -b:v 23871k -maxrate 23871k -bufsize 47742k -c:a aac -b:a 128k -ar 48000 -ac 2 \
         -movflags +faststart a-ready.mp4"
    );
    // A name is one word to the shell, whatever is in it.
    item.name = "-o'clock; rm *.mov".into();
    assert!(command(&item).unwrap().starts_with(r"ffmpeg -i './-o'\''clock; rm *.mov' -c:v"));
    assert!(command(&item).unwrap().ends_with(r"+faststart './-o'\''clock; rm *-ready.mp4'"));
    // A crop is a decision about the picture.
    let mut item = reel();
    item.height = 1080;
    assert_eq!(command(&item), None);
}

#[test]
fn sizes_are_written_as_limits_are() {
    for (bytes, text) in [
        (1, "1 bytes"),
        (9_999, "9999 bytes"),
        (75_000, "75 kB"),
        (2_000_000, "2 MB"),
        (2_000_001, "2.01 MB"),
        (4_000_000_000, "4 GB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn sound_that_is_too_fine_or_has_too_many_channels_is_refused_and_unknown_sound_is_not() {
    let with = |hz, channels| {
        let mut film = reel();
        change(&mut film, |it| it.audio = Some(Sound { codec: "aac".into(), hz, channels }));
        film
    };
    let told = |film: &MediaItem| -> Vec<_> {
        video(film, &FILM, "Net").into_iter().map(|it| (it.code, it.message)).collect()
    };
    for fine in [with(0, 0), with(48_000, 2), with(44_100, 1), with(8000, 0)] {
        assert_eq!(told(&fine), []);
    }
    let high = with(96_000, 6);
    assert_eq!(
        told(&high),
        [
            ("video_audio_rate", "has sound of 96 kHz, Net takes 48 kHz at most".to_owned()),
            ("video_audio_channels", "has sound of 6 channels, Net takes 2 at most".to_owned()),
        ]
    );
    let command = video(&high, &FILM, "Net")[0].command.clone().unwrap();
    assert!(command.contains("-ar 48000 -ac 2"), "{command}");
}

#[test]
fn sound_that_is_not_as_asked_is_told() {
    let told = |hz, channels| {
        let mut film = reel();
        change(&mut film, |it| it.audio = Some(Sound { codec: "aac".into(), hz, channels }));
        sound_notice(&film, &FILM, "Net")
    };
    assert_eq!((told(48_000, 2), told(0, 0)), (None, None));
    let says = |it: &str| Some(format!("`a` has sound {it}; Net asks for 48 kHz, stereo"));
    assert_eq!(told(44_100, 2), says("of 44.1 kHz"));
    assert_eq!(told(48_000, 1), says("in mono"));
    assert_eq!(told(22_050, 1), says("of 22.05 kHz in mono"));
    let mut silent = reel();
    change(&mut silent, |it| it.audio = None);
    assert_eq!(sound_notice(&silent, &FILM, "Net"), None);
}

#[test]
fn pictures_in_fields_and_cut_films_are_refused_where_the_documents_say_so_and_a_delay_is_told() {
    let with = |interlaced, edits| {
        let mut item = reel();
        let film = item.detail.video.as_mut().unwrap();
        (film.interlaced, film.edits) = (interlaced, edits);
        item
    };
    let edits = |start_ms, shown_ms, pieces| Some(Edits { start_ms, shown_ms, recorded_ms: 30_000, pieces });
    let codes = |item: &MediaItem| video(item, &FILM, "Net").iter().map(|it| it.code).collect::<Vec<_>>();
    let fields = with(true, None);
    assert_eq!(codes(&fields), ["video_interlaced"]);
    let found = video(&fields, &FILM, "Net").remove(0);
    assert_eq!(found.message, "is interlaced, Net takes progressive pictures");
    assert!(found.command.unwrap().contains(" -vf yadif "));
    for cut in [edits(0, 20_000, 1), edits(5000, 30_000, 1), edits(0, 30_000, 2)] {
        let cut = with(false, cut);
        assert_eq!(codes(&cut), ["video_edit_list"]);
        assert!(video(&cut, &FILM, "Net")[0].command.as_ref().unwrap().contains("-use_editlist 0"));
        assert_eq!(edit_notice(&cut, &FILM, "Net"), None, "it is refused");
    }
    let found = video(&with(false, edits(5000, 20_000, 1)), &FILM, "Net").remove(0);
    let told = "has an edit list, which Net does not take: 20 of its 30 s are shown, from 5 s on";
    assert_eq!(found.message, told);
    let delay = with(false, edits(67, 30_000, 1));
    assert_eq!(codes(&delay), [""; 0]);
    assert!(edit_notice(&delay, &FILM, "Net").unwrap().contains("begins 67 ms in"));
    let any = VideoNeeds { interlaced: true, edit_lists: true, ..FILM };
    let all = with(true, edits(5000, 20_000, 2));
    assert_eq!((video(&all, &any, "Net").len(), edit_notice(&all, &any, "Net")), (0, None));
}

#[test]
fn colours_that_are_not_srgb_are_told_where_it_is_asked_for_and_where_they_change() {
    let mut item = picture(MediaKind::Jpeg, 1000, 1000, 500_000);
    let asks = ImageNeeds { srgb: true, ..STRICT };
    assert_eq!(colour_notice(&item, &asks, "Net", false), None);
    item.detail.colours = Some(Colours { name: "Display P3".into(), convertible: true });
    let told = |needs: &ImageNeeds, item: &MediaItem, converted| colour_notice(item, needs, "Net", converted);
    assert_eq!(told(&STRICT, &item, false), None, "whoever does not ask takes it");
    assert!(told(&asks, &item, false).unwrap().contains("Display P3; Net asks for sRGB"));
    assert!(told(&asks, &item, true).unwrap().contains("those of sRGB when it is converted"));
    assert!(told(&STRICT, &item, true).is_some(), "what changes is said");
    item.detail.colours = Some(Colours { name: "Odd".into(), convertible: false });
    assert!(told(&asks, &item, true).unwrap().contains("Odd; Net asks for sRGB"));
    assert_eq!(told(&STRICT, &item, true), None);
}

#[test]
fn a_picture_that_is_too_large_is_told_which_limit_it_is_beyond() {
    let plain = ImageNeeds::of(&[MediaKind::Png], 50_000_000);
    let cases = [
        (ImageNeeds { side_max: 1000, ..plain }, "1000 on the longer side"),
        (ImageNeeds { short_side_max: 800, ..plain }, "800 on the shorter side"),
        (ImageNeeds { pixels_max: 1_500_000, ..plain }, "1.5 million pixels in all"),
    ];
    let item = picture(MediaKind::Png, 2000, 900, 9_000);
    for (needs, limit) in cases {
        let found = image(&item, &needs, "X").unwrap_err();
        assert_eq!(found[0].message, format!("is 2000×900 pixels, X takes {limit}"));
    }
    assert_eq!(image(&item, &plain, "X").unwrap(), None);
}
