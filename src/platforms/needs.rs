//! What the networks want of pictures and films, as data with its sources.
//!
//! A connector hands one of these out in [`Platform::media_needs`](super::Platform::media_needs);
//! which one may depend on the post's options (a reel is not a story). Figures that a network does
//! not publish are ours and say so: too strict a limit is a clear refusal now, too loose a one is an
//! obscure one at the due time.

use crate::domain::fit::{DocumentNeeds, ImageNeeds, MediaNeeds, Ratio, SoundNeeds, VideoNeeds};
use crate::domain::media::MediaKind::{self, Gif, Jpeg, Mov, Mp4, Pdf, Png, WebP};

const STILLS: &[MediaKind] = &[Jpeg, Png];
const FILMS: &[MediaKind] = &[Mp4, Mov];
const MB: u64 = 1_000_000;
const GB: u64 = 1_000_000_000;
const MINUTE: u64 = 60_000;

/// Pictures alone, one or more.
const fn pictures(image: ImageNeeds) -> MediaNeeds {
    MediaNeeds { image, animation: None, video: None, videos_max: 0, mixed: false, files_min: 0 }
}

/// One film alone.
const fn film(video: VideoNeeds) -> MediaNeeds {
    MediaNeeds {
        image: ImageNeeds::of(&[], 0),
        animation: None,
        video: Some(video),
        videos_max: 1,
        mixed: false,
        files_min: 1,
    }
}

/// Bluesky pictures: the lexicon `app.bsky.embed.images` (2,000,000 bytes each). Its clients show
/// 2,000 pixels across at most, so a conversion keeps no more.
pub const BLUESKY: MediaNeeds = pictures(ImageNeeds {
    side_max: 12_000,
    width_useful: 2000,
    ..ImageNeeds::of(&[Jpeg, Png, WebP, Gif], 2 * MB)
});

/// X pictures: docs.x.com/x-api/media/quickstart/best-practices.
pub const X_IMAGE: ImageNeeds = ImageNeeds {
    animated: false,
    side_max: 8192,
    width_useful: 4096,
    ..ImageNeeds::of(&[Jpeg, Png, WebP, Gif], 5 * MB)
};

/// X animations, same source: a GIF of 15 MB and 350 frames, which have 300 million pixels in all.
const X_GIF: ImageNeeds =
    ImageNeeds { frames_max: 350, frame_pixels_max: 300_000_000, ..ImageNeeds::of(&[Gif], 15 * MB) };

/// A post on X: pictures, or one animation, or one film.
pub const X: MediaNeeds =
    MediaNeeds { animation: Some(X_GIF), video: Some(X_VIDEO), videos_max: 1, ..pictures(X_IMAGE) };

/// X films, same source: H.264 High, progressive, with AAC-LC in mono or stereo, half a second to 140 seconds, 1:3 to 3:1.
/// Its table of limits says 32×32 to 1280×1024, others of the same page show upright films higher than that;
/// followed are the others: 1280 for the longer side, whichever it is.
pub const X_VIDEO: VideoNeeds = VideoNeeds {
    kinds: FILMS,
    codecs: &["h264"],
    audio: &["aac"],
    sound: SoundNeeds { channels_max: 2, ..SoundNeeds::ANY },
    bytes_min: 1,
    bytes_max: 512 << 20,
    duration_min_ms: 500,
    duration_max_ms: 140_000,
    frame_rate: (1, 60),
    width: (32, 1280),
    height: (32, 1280),
    aspect: Some((Ratio(1, 3), Ratio(3, 1))),
    index_first: false,
    interlaced: false,
    edit_lists: true,
};

/// Facebook photos of a Page: JPEG or PNG below 4 MB, as the error 1366046 words it; the reference
/// of the stories allows more, so 4 MB holds everywhere. Wider than 2048 pixels is scaled down there.
pub const FACEBOOK_PHOTO: MediaNeeds =
    pictures(ImageNeeds { side_max: 12_000, width_useful: 2048, ..ImageNeeds::of(STILLS, 4 * MB - 1) });

/// Facebook reels: developers.facebook.com/docs/video-api/guides/reels-publishing (3–90 s, at least
/// 540×960, 24–60 frames a second; sound of 48 kHz in stereo, whose lack no error is documented for). 1 GB is ours.
pub const FACEBOOK_REEL: MediaNeeds = film(FACEBOOK_REEL_VIDEO);

const FACEBOOK_REEL_VIDEO: VideoNeeds = VideoNeeds {
    kinds: FILMS,
    codecs: &["h264", "hevc", "vp9", "av1"],
    audio: &["aac"],
    sound: SoundNeeds { asked: Some((48_000, 2)), ..SoundNeeds::ANY },
    bytes_min: 1,
    bytes_max: GB,
    duration_min_ms: 3000,
    duration_max_ms: 90_000,
    frame_rate: (24, 60),
    width: (540, 4096),
    height: (960, 4096),
    // 9:16 is wanted; error 1363040 refuses what is far from it.
    aspect: Some((Ratio(1, 2), Ratio(3, 5))),
    index_first: false,
    interlaced: true,
    edit_lists: true,
};

/// Facebook stories: developers.facebook.com/docs/page-stories-api (a film of 60 s at most); photos up to
/// 10 MB there, 4 MB here, as for all photos.
pub const FACEBOOK_STORY: MediaNeeds = MediaNeeds {
    image: FACEBOOK_PHOTO.image,
    files_min: 1,
    ..film(VideoNeeds { duration_max_ms: 60_000, ..FACEBOOK_REEL_VIDEO })
};

/// Facebook videos of a Page. The network states no limits we could read; 1 GB and 20 minutes are
/// ours.
pub const FACEBOOK_VIDEO: VideoNeeds = VideoNeeds {
    kinds: FILMS,
    codecs: &["h264", "hevc", "vp9", "av1"],
    audio: &["aac", "mp3"],
    sound: SoundNeeds::ANY,
    bytes_min: 1,
    bytes_max: GB,
    duration_min_ms: 1000,
    duration_max_ms: 20 * MINUTE,
    frame_rate: (1, 60),
    width: (120, 4096),
    height: (120, 4096),
    aspect: None,
    index_first: false,
    interlaced: true,
    edit_lists: true,
};

/// A post on a Facebook Page: photos, or one video.
pub const FACEBOOK_FEED: MediaNeeds =
    MediaNeeds { video: Some(FACEBOOK_VIDEO), videos_max: 1, ..FACEBOOK_PHOTO };

/// Instagram pictures:
/// developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/media
/// ("Image specifications": JPEG alone in sRGB, 8 MB, 4:5 to 1.91:1, width 320 to 1440 and scaled outside).
pub const INSTAGRAM_IMAGE: ImageNeeds = ImageNeeds {
    aspect: Some((Ratio(4, 5), Ratio(191, 100))),
    animated: false,
    srgb: true,
    width_useful: 1440,
    side_max: 12_000,
    ..ImageNeeds::of(&[Jpeg], 8 * MB)
};

/// Instagram reels, same source: 3 s to 15 min, 300 MB, 23–60 frames a second, at most 1920 across,
/// sound of 48 kHz and two channels at most, the index first, progressive, no edit lists.
pub const INSTAGRAM_REEL: VideoNeeds = VideoNeeds {
    kinds: FILMS,
    codecs: &["h264", "hevc"],
    audio: &["aac"],
    sound: SoundNeeds { hz_max: 48_000, channels_max: 2, asked: None },
    bytes_min: 1,
    bytes_max: 300 * MB,
    duration_min_ms: 3000,
    duration_max_ms: 15 * MINUTE,
    frame_rate: (23, 60),
    width: (1, 1920),
    height: (1, u32::MAX),
    aspect: Some((Ratio(1, 100), Ratio(10, 1))),
    index_first: true,
    interlaced: false,
    edit_lists: false,
};

/// Instagram stories, same source. Pictures of every shape; 9:16 fills the screen.
pub const INSTAGRAM_STORY: MediaNeeds = MediaNeeds {
    image: ImageNeeds { aspect: None, ..INSTAGRAM_IMAGE },
    animation: None,
    video: Some(VideoNeeds {
        bytes_max: 100 * MB,
        duration_max_ms: MINUTE,
        aspect: Some((Ratio(1, 10), Ratio(10, 1))),
        ..INSTAGRAM_REEL
    }),
    videos_max: 1,
    mixed: false,
    files_min: 1,
};

/// A post on Instagram: a picture, a film (a reel), or both in a carousel, whose films the network
/// does not describe; what is beyond the stories' 60 s and 100 MB is told.
pub const INSTAGRAM_FEED: MediaNeeds = MediaNeeds {
    image: INSTAGRAM_IMAGE,
    animation: None,
    video: Some(INSTAGRAM_REEL),
    videos_max: 10,
    mixed: true,
    files_min: 1,
};

/// LinkedIn pictures: learn.microsoft.com/linkedin/marketing/community-management/shares/images-api
/// (fewer than 36,152,320 pixels, a GIF of 250 frames at most). 8 MB is ours.
pub const LINKEDIN_IMAGE: ImageNeeds =
    ImageNeeds { pixels_max: 36_152_319, frames_max: 250, ..ImageNeeds::of(&[Jpeg, Png, Gif], 8 * MB) };

/// LinkedIn films: …/shares/videos-api (MP4, 75 KB to 500 MB, 3 s to 30 min, 1:2.4 to 2.4:1).
pub const LINKEDIN_VIDEO: VideoNeeds = VideoNeeds {
    kinds: &[Mp4],
    codecs: &["h264", "hevc", "vp9", "av1"],
    audio: &["aac", "mp3"],
    sound: SoundNeeds::ANY,
    bytes_min: 75_000,
    bytes_max: 500 * MB,
    duration_min_ms: 3000,
    duration_max_ms: 30 * MINUTE,
    frame_rate: (1, 60),
    width: (1, 4096),
    height: (1, 4096),
    aspect: Some((Ratio(5, 12), Ratio(12, 5))),
    index_first: false,
    interlaced: true,
    edit_lists: true,
};

/// A post on LinkedIn: pictures, or one film. A document stands alone.
pub const LINKEDIN_FEED: MediaNeeds = MediaNeeds {
    image: LINKEDIN_IMAGE,
    animation: None,
    video: Some(LINKEDIN_VIDEO),
    videos_max: 1,
    mixed: false,
    files_min: 0,
};

/// LinkedIn documents: …/shares/documents-api (100 MB, 300 pages). It takes Word and `PowerPoint` as
/// well; those show no page count and are not taken in here.
pub const LINKEDIN_DOCUMENT: DocumentNeeds =
    DocumentNeeds { kinds: &[Pdf], bytes_max: 100 * MB, pages_max: 300 };

/// TikTok photos: developers.tiktok.com/doc/content-posting-api-media-transfer-guide (JPEG or WebP,
/// 20 MB, "1080p": a larger one fails the task). As with films, the shorter side is the one counted.
pub const TIKTOK_PHOTO: ImageNeeds =
    ImageNeeds { animated: false, short_side_max: 1080, ..ImageNeeds::of(&[Jpeg, WebP], 20 * MB) };

/// A post on TikTok: photos, or one film.
pub const TIKTOK: MediaNeeds =
    MediaNeeds { video: Some(TIKTOK_VIDEO), videos_max: 1, files_min: 1, ..pictures(TIKTOK_PHOTO) };

/// TikTok films, same source: 23–60 frames a second, sides of 360 to 4096 pixels, 10 min, 4 GB.
pub const TIKTOK_VIDEO: VideoNeeds = VideoNeeds {
    kinds: FILMS,
    codecs: &["h264", "hevc", "vp9"],
    audio: &["aac", "mp3", "opus"],
    sound: SoundNeeds::ANY,
    bytes_min: 1,
    bytes_max: 4 * GB,
    duration_min_ms: 1000,
    duration_max_ms: 10 * MINUTE,
    frame_rate: (23, 60),
    width: (360, 4096),
    height: (360, 4096),
    aspect: None,
    index_first: false,
    interlaced: true,
    edit_lists: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fit;
    use crate::domain::ids::MediaId;
    use crate::domain::media::{Detail, MediaItem, Video};

    fn item(kind: MediaKind, width: u32, height: u32, bytes: u64) -> MediaItem {
        let video = Video {
            duration_ms: 30_000,
            frame_rate_milli: 30_000,
            codec: "h264".into(),
            audio: Some("aac".into()),
            index_first: true,
            ..Video::default()
        };
        let detail =
            Detail { pixel_bytes: 3, video: (!kind.is_image()).then_some(video), ..Detail::default() };
        MediaItem { detail, ..MediaItem::new(MediaId::from_u128(1), "a", kind, bytes, (width, height)) }
    }

    /// What becomes of a picture: nothing, a conversion, or the first reason against it.
    fn picture(needs: &ImageNeeds, item: &MediaItem) -> String {
        match fit::image(item, needs, "It") {
            Ok(None) => "as it is".into(),
            Ok(Some(fit)) => fit.to_string(),
            Err(found) => found[0].code.into(),
        }
    }

    #[test]
    fn the_same_pictures_on_every_network() {
        let photo = item(Jpeg, 4000, 3000, 6_000_000);
        let shot = item(Png, 1080, 1350, 1_500_000);
        let story = item(Jpeg, 1080, 1920, 900_000);
        let mut moving = item(Gif, 480, 480, 900_000);
        moving.detail.animated = true;
        let table: Vec<[String; 5]> = [
            ("bluesky", BLUESKY.image),
            ("x", X_IMAGE),
            ("facebook", FACEBOOK_PHOTO.image),
            ("instagram", INSTAGRAM_IMAGE),
            ("instagram story", INSTAGRAM_STORY.image),
            ("linkedin", LINKEDIN_IMAGE),
            ("tiktok", TIKTOK_PHOTO),
        ]
        .map(|(name, needs)| {
            let of = |item| picture(&needs, item);
            [name.to_owned(), of(&photo), of(&shot), of(&story), of(&moving)]
        })
        .into();
        let asis = "as it is";
        assert_eq!(
            table,
            [
                ["bluesky", "JPEG, 2000×1500", asis, asis, asis],
                ["x", "JPEG, 4000×3000", asis, asis, "image_animated"],
                ["facebook", "JPEG, 2048×1536", asis, asis, "image_type"],
                ["instagram", asis, "JPEG, 1080×1350", "image_aspect", "image_type"],
                ["instagram story", asis, "JPEG, 1080×1350", asis, "image_type"],
                ["linkedin", asis, asis, asis, asis],
                ["tiktok", "JPEG, 1440×1080", "JPEG, 1080×1350", asis, "image_type"],
            ]
        );
    }

    #[test]
    fn a_photo_for_tiktok_has_1080_pixels_on_its_shorter_side_and_no_fewer_than_it_had() {
        for ((width, height), want) in [
            ((1920, 1080), "as it is"),
            ((1080, 1920), "as it is"),
            ((3000, 1080), "as it is"),
            ((1081, 1081), "JPEG, 1080×1080"),
            ((3000, 4000), "JPEG, 1080×1440"),
            ((3840, 2160), "JPEG, 1920×1080"),
        ] {
            assert_eq!(picture(&TIKTOK_PHOTO, &item(Jpeg, width, height, 900_000)), want, "{width}×{height}");
        }
        // What is converted for another reason keeps its size.
        assert_eq!(picture(&TIKTOK_PHOTO, &item(Png, 1920, 1080, 900_000)), "JPEG, 1920×1080");
    }

    #[test]
    fn an_animation_has_no_more_frames_than_the_network_takes() {
        let gif = |frames: u32, width: u32, height: u32| {
            let mut it = item(Gif, width, height, 900_000);
            it.detail.animated = true;
            it.detail.frames = frames;
            it
        };
        let codes = |needs: &MediaNeeds, item: &MediaItem| -> Vec<&'static str> {
            fit::image(item, needs.of_image(item), "It").map_or_else(
                |found| found.into_iter().map(|it| it.code).collect(),
                |fit| vec![if fit.is_some() { "converted" } else { "as it is" }],
            )
        };
        for (frames, (width, height), x, linkedin) in [
            // Taken in before they were counted.
            (0, (1280, 1080), "as it is", "as it is"),
            (250, (480, 480), "as it is", "as it is"),
            (251, (480, 480), "as it is", "animation_too_long"),
            (350, (480, 480), "as it is", "animation_too_long"),
            (351, (480, 480), "animation_too_long", "animation_too_long"),
            (240, (1250, 1000), "as it is", "as it is"),
            (241, (1250, 1000), "animation_too_large", "as it is"),
        ] {
            let it = gif(frames, width, height);
            assert_eq!((codes(&X, &it), codes(&LINKEDIN_FEED, &it)), (vec![x], vec![linkedin]), "{frames}");
            assert_eq!(codes(&BLUESKY, &it), ["as it is"]);
        }
        let both = fit::image(&gif(351, 1280, 1080), &X_GIF, "X").unwrap_err();
        let both: Vec<&str> = both.iter().map(|it| it.message.as_str()).collect();
        let all = "has 351 frames of 1280×1080 pixels, 486 million in all, X takes 300 million";
        assert_eq!(both, ["has 351 frames, X takes animations of 350", all]);
    }

    #[test]
    fn a_reel_from_a_phone_fits_where_reels_do_and_a_wide_film_does_not() {
        let reel = item(Mp4, 1080, 1920, 20_000_000);
        let wide = item(Mov, 3840, 2160, 600_000_000);
        let codes = |needs: &VideoNeeds, item: &MediaItem| -> Vec<&'static str> {
            fit::video(item, needs, "It").into_iter().map(|it| it.code).collect()
        };
        let none: [&str; 0] = [];
        let fb = FACEBOOK_REEL.video.unwrap();
        let story = INSTAGRAM_STORY.video.unwrap();
        for needs in [fb, FACEBOOK_VIDEO, INSTAGRAM_REEL, story, LINKEDIN_VIDEO, TIKTOK_VIDEO] {
            assert_eq!(codes(&needs, &reel), none);
        }
        assert_eq!(codes(&X_VIDEO, &reel), ["video_too_many_pixels"]);
        assert_eq!(codes(&fb, &wide), ["video_aspect"]);
        let lasting = |ms: u64| {
            let mut film = reel.clone();
            film.detail.video.as_mut().unwrap().duration_ms = ms;
            film
        };
        for needs in [FACEBOOK_STORY.video.unwrap(), story] {
            assert_eq!(codes(&needs, &lasting(60_000)), none);
            assert_eq!(codes(&needs, &lasting(61_000)), ["video_too_long"]);
        }
        assert_eq!(codes(&INSTAGRAM_REEL, &wide), ["video_too_big", "video_too_many_pixels"]);
        assert_eq!(codes(&LINKEDIN_VIDEO, &wide), ["video_type", "video_too_big"]);
        assert_eq!(codes(&FACEBOOK_VIDEO, &wide), none);
    }
}
