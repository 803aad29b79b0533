//! One fault is told once, and what no document says is no refusal.

use super::*;
use crate::domain::ids::MediaId;
use crate::domain::media::{Detail, MediaKind, Video};
use crate::platforms::facebook::Facebook;
use crate::platforms::instagram::Instagram;

fn picture(n: u128) -> MediaItem {
    MediaItem::new(MediaId::from_u128(n), format!("{n}.jpg"), MediaKind::Jpeg, 100_000, (1080, 1080))
}

fn film(n: u128, duration_ms: u64, bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        index_first: true,
        ..Video::default()
    };
    let plain =
        MediaItem::new(MediaId::from_u128(n), format!("{n}.mp4"), MediaKind::Mp4, bytes, (1080, 1080));
    MediaItem { detail: Detail { video: Some(video), ..Detail::default() }, ..plain }
}

fn checked(platform: &dyn Platform, media: &[MediaItem], format: Option<&str>) -> Checked {
    let key = || "format".to_owned();
    let options: BTreeMap<_, _> = format.map(|it| (key(), it.to_owned())).into_iter().collect();
    let parts = [if format == Some("story") { String::new() } else { "A text.".into() }];
    check(platform, None, Draft { parts: &parts, comment: None, media, options: &options, lacks: &[] })
}

/// A network, its files, the format asked for, and the one fault.
type Case = (&'static dyn Platform, Vec<MediaItem>, Option<&'static str>, &'static str);

#[test]
fn files_that_do_not_go_together_are_one_problem() {
    let pictures = |n: u128| (1..=n).map(picture).collect::<Vec<_>>();
    let films = |n: u128| (20..20 + n).map(|it| film(it, 10_000, 9_000_000)).collect::<Vec<_>>();
    let with = |mut all: Vec<MediaItem>, more: Vec<MediaItem>| {
        all.extend(more);
        all
    };
    let cases: [Case; 13] = [
        (&Instagram, pictures(11), None, "too_many_files"),
        (&Instagram, films(11), None, "too_many_files"),
        (&Instagram, with(pictures(6), films(5)), None, "too_many_files"),
        (&Instagram, pictures(11), Some("story"), "story_needs_one_file"),
        (&Instagram, with(pictures(1), films(1)), Some("story"), "story_needs_one_file"),
        (&Instagram, films(2), Some("reel"), "reel_needs_one_video"),
        (&Facebook, with(pictures(1), films(1)), None, "video_alone"),
        (&Facebook, films(2), None, "video_alone"),
        (&Facebook, pictures(11), None, "too_many_images"),
        (&Facebook, with(pictures(1), films(1)), Some("story"), "story_needs_one_file"),
        (&Facebook, films(2), Some("reel"), "reel_needs_one_video"),
        (&Facebook, pictures(1), Some("reel"), "reel_needs_one_video"),
        (&Instagram, pictures(1), Some("reel"), "reel_needs_one_video"),
    ];
    for (platform, mut media, format, code) in cases {
        // Reels and stories stand upright; another shape is a fault of its own.
        for it in media.iter_mut().filter(|it| format.is_some() && it.kind.is_video()) {
            it.height = 1920;
        }
        let found = checked(platform, &media, format).problems;
        let codes: Vec<_> = found.iter().map(|it| it.code).collect();
        assert_eq!(codes, [code], "{} {format:?}: {found:?}", platform.name());
    }
}

#[test]
fn what_films_of_a_carousel_may_be_is_told_fault_by_fault_and_refused_by_nobody_here() {
    let told = |film: MediaItem| {
        let found = checked(&Instagram, &[picture(1), film], None);
        assert_eq!(found.problems, [], "its documents do not say so");
        found.notices
    };
    let long = "`2.mp4` lasts 61 s; Instagram may take 60 s at most of a video in a carousel, which its \
                documents do not say: post it alone as a reel to be safe";
    let large = "`2.mp4` has 101 MB; Instagram may take 100 MB at most of a video in a carousel, which its \
                 documents do not say: post it alone as a reel to be safe";
    assert_eq!(told(film(2, 60_000, 100_000_000)), [""; 0]);
    assert_eq!(told(film(2, 61_000, 9_000_000)), [long]);
    assert_eq!(told(film(2, 50_000, 101_000_000)), [large]);
    assert_eq!(told(film(2, 61_000, 101_000_000)), [long, large]);
}
