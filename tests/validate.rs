//! The check of a post for its targets: at each boundary, and in the words people read.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic, and says why

#[path = "support/jobs.rs"]
mod jobs;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jobs::image;
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::platforms::bluesky::Bluesky;
use sendoff::platforms::facebook::Facebook;
use sendoff::platforms::instagram::Instagram;
use sendoff::platforms::linkedin::LinkedIn;
use sendoff::platforms::tiktok::TikTok;
use sendoff::platforms::x::X;
use sendoff::platforms::{Platform, Unit};
use sendoff::validate::{Checked, Draft, check};

#[derive(Clone)]
struct Given {
    parts: Vec<String>,
    comment: Option<String>,
    media: Vec<MediaItem>,
    options: BTreeMap<String, String>,
    lacks: Vec<String>,
}

fn text(text: impl Into<String>) -> Given {
    Given {
        parts: vec![text.into()],
        comment: None,
        media: Vec::new(),
        options: BTreeMap::new(),
        lacks: Vec::new(),
    }
}

impl Given {
    fn media(mut self, media: Vec<MediaItem>) -> Self {
        self.media = media;
        self
    }

    fn option(mut self, key: &str, value: &str) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    fn on(&self, platform: &dyn Platform, tier: Option<&str>) -> Checked {
        let draft = Draft {
            parts: &self.parts,
            comment: self.comment.as_deref(),
            media: &self.media,
            options: &self.options,
            lacks: &self.lacks,
        };
        check(platform, tier, draft)
    }

    fn codes(&self, platform: &dyn Platform) -> Vec<&'static str> {
        self.on(platform, None).problems.iter().map(|it| it.code).collect()
    }
}

#[test]
fn the_last_character_that_fits_fits_and_the_next_does_not() {
    let cases: [(&dyn Platform, String, usize); 8] = [
        (&X, "a".repeat(280), 280),
        (&X, "漢".repeat(140), 280),
        (&X, format!("{} https://example.com/{}", "a".repeat(256), "long/".repeat(60)), 280),
        (&X, "👩‍👩‍👧‍👦".repeat(140), 280),
        (&Bluesky, "a".repeat(300), 300),
        (&Bluesky, "é".repeat(300), 300),
        (&Bluesky, "e\u{301}".repeat(300), 300),
        (&Bluesky, "漢".repeat(300), 300),
    ];
    for (platform, fits, used) in cases {
        let checked = text(fits.clone()).on(platform, None);
        assert!(checked.ok(), "{:?}", checked.problems);
        assert_eq!((checked.used, checked.max), (used, used));
        // In front: behind a link it would become part of it.
        let checked = text(format!("a{fits}")).on(platform, None);
        assert_eq!(checked.used, used + 1);
        assert_eq!(checked.problems.iter().map(|it| it.code).collect::<Vec<_>>(), ["text_too_long"]);
    }
    assert_eq!(
        (text("a").on(&X, None).unit, text("a").on(&Bluesky, None).unit),
        (Unit::Weighted, Unit::Graphemes)
    );
}

#[test]
fn bluesky_counts_bytes_as_well() {
    // 25 bytes and one grapheme each.
    let family = "👩‍👩‍👧‍👦";
    assert_eq!(family.len(), 25);
    assert!(text(family.repeat(120)).on(&Bluesky, None).ok());
    assert_eq!(text(family.repeat(120) + "a").codes(&Bluesky), ["text_too_many_bytes"]);
}

#[test]
fn a_paid_account_on_x_may_write_more() {
    let long = text("a".repeat(281));
    for tier in ["Basic", "Premium", "PremiumPlus"] {
        assert!(long.on(&X, Some(tier)).ok(), "{tier}");
        assert!(text("a".repeat(25_000)).on(&X, Some(tier)).ok());
        assert!(!text("a".repeat(25_001)).on(&X, Some(tier)).ok());
    }
    for tier in [None, Some("None"), Some("something new")] {
        assert!(!long.on(&X, tier).ok(), "{tier:?}");
    }
}

#[test]
fn an_empty_text_needs_a_picture_where_the_network_takes_one() {
    for blank in ["", " \n\t"] {
        assert_eq!(text(blank).codes(&X), ["text_empty"]);
        assert_eq!(text(blank).codes(&Bluesky), ["text_empty"]);
        assert!(text(blank).media(vec![image(1)]).on(&Bluesky, None).ok());
    }
    let mut thread = text("first").media(vec![image(1)]);
    thread.parts.push(String::new());
    assert_eq!(thread.codes(&Bluesky), ["text_empty"], "the pictures are on the first part alone");
}

#[test]
fn pictures_are_counted_weighed_and_read() {
    let four: Vec<_> = (1..=4).map(image).collect();
    assert!(text("a").media(four).on(&Bluesky, None).ok());
    assert_eq!(text("a").media((1..=5).map(image).collect()).codes(&Bluesky), ["too_many_images"]);
    let with = |change: fn(&mut MediaItem)| {
        let mut item = image(1);
        change(&mut item);
        text("a").media(vec![item])
    };
    assert!(with(|it| it.bytes = 2_000_000).on(&Bluesky, None).ok());
    assert_eq!(with(|_| ()).on(&Bluesky, None).notices, [""; 0]);
    // What can be made to fit is no problem, and is told.
    let heavy = with(|it| it.bytes = 2_000_001).on(&Bluesky, None);
    assert!(heavy.ok());
    assert_eq!(heavy.notices, ["`1.png` will be converted to JPEG, 640×480"]);
    let moving = |it: &mut MediaItem| (it.detail.animated, it.bytes) = (true, 2_000_001);
    assert_eq!(with(moving).codes(&Bluesky), ["image_too_big"]);
    assert!(with(|it| it.alt = Some("ä".repeat(10_000))).on(&Bluesky, None).ok());
    assert_eq!(with(|it| it.alt = Some("ä".repeat(10_001))).codes(&Bluesky), ["alt_too_long"]);
    assert_eq!(with(|it| it.kind = MediaKind::Mp4).codes(&Bluesky), ["video_not_supported"]);
    assert!(with(|it| it.alt = Some("ä".repeat(1000))).on(&X, None).ok());
    assert_eq!(with(|it| it.alt = Some("ä".repeat(1001))).codes(&X), ["alt_too_long"]);
}

#[test]
fn a_thread_has_a_longest_length_and_each_part_is_checked() {
    for platform in [&X as &dyn Platform, &Bluesky] {
        let max = platform.capabilities(None).parts_max;
        let mut thread = text("part");
        thread.parts = vec!["part".into(); max];
        assert!(thread.on(platform, None).ok());
        thread.parts.push("part".into());
        assert_eq!(thread.codes(platform), ["too_many_parts"]);
        thread.parts = vec!["a".into(), "a".repeat(301), "a".into()];
        let checked = thread.on(platform, None);
        assert_eq!((checked.used, checked.problems[0].field.as_str()), (301, "parts[1]"));
        assert_eq!(checked.preview.as_array().unwrap().len(), 3);
    }
}

#[test]
fn options_are_known_by_name_and_value() {
    assert!(text("a").option("reply_settings", "following").on(&X, None).ok());
    assert_eq!(text("a").option("reply_settings", "everyone").codes(&X), ["bad_option"]);
    assert_eq!(text("a").option("reply_setings", "following").codes(&X), ["unknown_option"]);
    assert!(text("a").option("langs", "de,en").on(&Bluesky, None).ok());
    assert_eq!(text("a").option("langs", "german").codes(&Bluesky), ["bad_option"]);
}

#[test]
fn what_x_refuses_by_its_characters_is_refused_here() {
    for bad in ['\u{FFFE}', '\u{FEFF}', '\u{FFFF}'] {
        assert_eq!(text(format!("a{bad}")).codes(&X), ["invalid_character"]);
    }
    assert!(text("$ACME is up, $5 is not a cashtag").on(&X, None).ok());
    assert_eq!(text("$ACME and $OTHER").codes(&X), ["too_many_cashtags"]);
}

#[test]
fn the_messages_as_people_read_them() {
    let mut everything = text("a".repeat(281) + "\u{FEFF} $ACME $OTHER").media((1..=5).map(image).collect());
    everything.comment = Some("first!".into());
    everything.media[0].bytes = 9_000_000;
    everything.media[0].detail.animated = true;
    everything.media[1].kind = MediaKind::Mov;
    everything.media[2].alt = Some("x".repeat(10_001));
    everything.parts.push(" ".into());
    everything.parts.extend(vec!["👩‍👩‍👧‍👦".repeat(121); 25]);
    everything =
        everything.option("nonsense", "1").option("langs", "a,b,c,d").option("reply_settings", "all");
    let mut page = String::new();
    for platform in [&X as &dyn Platform, &Bluesky] {
        let mut seen = std::collections::BTreeSet::new();
        for it in everything.on(platform, None).problems {
            if seen.insert(it.code) {
                writeln!(page, "{} [{}]\n  {}\n  hint: {}", it.field, it.code, it.message, it.hint.unwrap())
                    .unwrap();
            }
        }
        page += "\n";
    }
    insta::assert_snapshot!(page);
}

#[test]
fn the_preview_shows_what_would_be_sent() {
    let given = text("hello @alice.example.com").option("reply_settings", "verified");
    let shown =
        serde_json::json!({ "x": given.on(&X, None).preview, "bluesky": given.on(&Bluesky, None).preview });
    insta::assert_json_snapshot!(shown);
    // What is set on the first part is not set on those that follow, and they hang under one another.
    let mut thread = text("one").option("reply_settings", "following").option("poll", "Rye|Spelt");
    thread.parts.extend(["two".to_owned(), "three".to_owned()]);
    let shown = thread.on(&X, None).preview;
    let bodies: Vec<_> = shown.as_array().unwrap().iter().map(|it| &it["body"]).collect();
    assert_eq!(bodies[0]["reply_settings"], "following");
    assert!(bodies[0]["poll"].is_object() && bodies[0]["reply"].is_null(), "{shown}");
    for (n, of) in [(1, "<part 1>"), (2, "<part 2>")] {
        assert_eq!(bodies[n]["reply"]["in_reply_to_tweet_id"], of, "{shown}");
        assert!(bodies[n]["reply_settings"].is_null() && bodies[n]["poll"].is_null(), "{shown}");
    }
}

#[test]
fn a_first_comment_is_measured_and_shown_and_only_a_documented_limit_is_one() {
    let mut given = text("Words.");
    given.media = vec![image(1)];
    given.comment = Some("Prost 🍞".into());
    for (platform, max) in [(&Facebook as &dyn Platform, None), (&Instagram, None), (&LinkedIn, Some(1250))] {
        let checked = given.on(platform, None);
        assert_eq!(checked.comment, Some((8, max)), "{}", platform.name());
        let shown = checked.preview.as_array().unwrap().last().unwrap();
        assert_eq!(shown["text"], "Prost 🍞", "{}", platform.name());
        assert!(shown["request"].as_str().unwrap().contains("comments"), "{shown}");
    }
    // Where there can be none, nothing is shown of it; why stands among the problems.
    assert_eq!(given.on(&X, None).comment, None);
    let story = given.option("format", "story");
    assert_eq!((story.on(&Facebook, None).comment, story.on(&Instagram, None).comment), (None, None));
}

#[test]
fn an_alternative_text_that_a_network_has_no_place_for_is_named() {
    let with = |kind: MediaKind| {
        let mut given = text("Words.").media(vec![image(1)]);
        given.media[0].kind = kind;
        given.media[0].alt = Some("A loaf.".into());
        given
    };
    let named = |given: &Given, platform: &dyn Platform| {
        given.on(platform, None).notices.iter().any(|it| it.contains("has an alternative text"))
    };
    let (picture, film) = (with(MediaKind::Jpeg), with(MediaKind::Mp4));
    let all: [(&dyn Platform, bool, bool); 6] = [
        (&Facebook, false, true),
        (&Instagram, false, true),
        (&X, false, false),
        (&LinkedIn, false, true),
        (&TikTok, true, true),
        (&Bluesky, false, true),
    ];
    for (platform, of_picture, of_film) in all {
        let found = (named(&picture, platform), named(&film, platform));
        assert_eq!(found, (of_picture, of_film), "{}", platform.name());
    }
    let story = picture.option("format", "story");
    assert_eq!((named(&story, &Instagram), named(&story, &Facebook)), (true, false));
}

#[test]
fn a_picture_where_only_films_are_taken_is_told_so() {
    let given = text("Words.").media(vec![image(1)]).option("format", "reel");
    for platform in [&Facebook as &dyn Platform, &Instagram] {
        let found = given.on(platform, None).problems;
        let [it] = found.as_slice() else { panic!("one fault, told once: {found:?}") };
        assert_eq!(it.code, "reel_needs_one_video");
        assert!(it.message.ends_with("is exactly one video"), "{}", it.message);
        assert!(it.hint.is_some());
    }
}

#[test]
fn a_first_comment_that_the_account_may_not_make_is_refused_before_the_post_is_out() {
    let mut given = text("Words.");
    given.comment = Some("First.".into());
    given.media = vec![image(1)];
    given.lacks = vec!["business_management".into()];
    let networks: [(&dyn Platform, Option<&str>, &str); 3] = [
        (&Facebook, None, "pages_manage_engagement"),
        (&Instagram, Some("instagram_login"), "instagram_business_manage_comments"),
        (&Instagram, Some("facebook_login"), "instagram_manage_comments"),
    ];
    for (platform, tier, scope) in networks {
        assert!(given.on(platform, tier).ok(), "{:?}", given.on(platform, tier).problems);
        let mut given = Given { lacks: vec![scope.into()], ..given.clone() };
        let problems = given.on(platform, tier).problems;
        assert_eq!((problems.len(), problems[0].code), (1, "comment_not_granted"));
        assert!(problems[0].message.contains(scope), "{problems:?}");
        given.comment = None;
        assert!(given.on(platform, tier).ok());
    }
}
