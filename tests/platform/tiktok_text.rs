//! How long a text on TikTok may be, which hangs on what the post becomes.

use std::collections::BTreeMap;

use sendoff::domain::media::MediaItem;
use sendoff::platforms::tiktok::TikTok;
use sendoff::validate::{self, Draft};

use super::tiktok::{film, jpeg};

#[test]
fn a_text_is_measured_for_what_the_post_becomes_and_a_film_for_the_inbox_takes_none() {
    let chosen = [("privacy", "SELF_ONLY"), ("consent", "music")];
    let check = |tier: &str, text: &str, media: &[MediaItem]| {
        let options: BTreeMap<String, String> = if tier == "direct" {
            chosen.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        } else {
            BTreeMap::new()
        };
        let parts = [text.to_owned()];
        let draft = Draft { parts: &parts, comment: None, media, options: &options, lacks: &[] };
        let checked = validate::check(&TikTok, Some(tier), draft);
        let hints: Vec<_> = checked.problems.iter().map(|it| it.hint.clone().unwrap_or_default()).collect();
        assert!(hints.iter().all(|it| !it.contains("thread")), "{hints:?}");
        let codes: Vec<_> = checked.problems.iter().map(|it| it.code).collect();
        (checked.used, checked.max, codes, checked.notices)
    };
    // Most emoji are two UTF-16 units.
    let long = "🍞".repeat(1_101);
    assert_eq!(check("direct", &long, &[film(900)]), (2_202, 2_200, vec!["text_too_long"], vec![]));
    assert_eq!(check("direct", &long[..long.len() - 4], &[film(900)]), (2_200, 2_200, vec![], vec![]));
    // TikTok has no place for its description, which is told.
    let plain = MediaItem { alt: None, ..jpeg(1) };
    for tier in ["direct", "inbox"] {
        assert_eq!(
            check(tier, &long, std::slice::from_ref(&plain)),
            (2_202, 4_000, vec![], vec![]),
            "{tier}"
        );
        let longer = "x".repeat(4_001);
        assert_eq!(check(tier, &longer, &[jpeg(1)]).2, ["text_too_long"], "{tier}");
    }
    let (used, max, codes, notices) = check("inbox", &"x".repeat(5_000), &[film(900)]);
    assert_eq!((used, max, codes.len(), notices.len()), (0, 0, 0, 1));
    assert!(notices[0].contains("takes no words with a video for the inbox"), "{notices:?}");
    assert_eq!(check("inbox", "", &[film(900)]).3, Vec::<String>::new(), "nothing to tell");
}
