//! What a post becomes on X, from its options: the body of `POST /2/tweets`, which takes no property
//! that its schema does not name (OpenAPI 2.167).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::is_id;
use crate::domain::media::{MediaItem, MediaKind};
use crate::domain::post::media_of;
use crate::platforms::{OptionSpec, Problem};

/// Pictures of one post.
pub(super) const IMAGES_MAX: usize = 4;
/// Animations: 1280×1080, as docs.x.com/x-api/media/quickstart/best-practices has it.
const GIF_SIDES: (u32, u32) = (1280, 1080);
const POLL_OPTIONS: (usize, usize) = (2, 4);
const POLL_CHARS: usize = 25;
const POLL_MINUTES: (u32, u32) = (5, 10_080);
/// A day, as the app offers first.
const POLL_DEFAULT: u32 = 1440;

const YES_NO: &[&str] = &["true", "false"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        key: "reply_settings",
        values: &["following", "mentionedUsers", "subscribers", "verified"],
        help: "who may reply; leave it out for everyone",
    },
    OptionSpec {
        key: "poll",
        values: &[],
        help: "two to four choices with `|` between them, up to 25 characters each; under the first part",
    },
    OptionSpec {
        key: "poll_minutes",
        values: &[],
        help: "how long the poll runs, 5 to 10080; a day without it",
    },
    OptionSpec {
        key: "quote",
        values: &[],
        help: "id or address of a post to quote; X lets apps with an Enterprise plan alone do that",
    },
    OptionSpec { key: "community", values: &[], help: "id or address of a community to post to" },
    OptionSpec {
        key: "share_with_followers",
        values: YES_NO,
        help: "whether followers see a community's post as well",
    },
    OptionSpec { key: "made_with_ai", values: YES_NO, help: "discloses that the media was made with AI" },
    OptionSpec { key: "paid_partnership", values: YES_NO, help: "discloses a paid partnership" },
];

type Options = BTreeMap<String, String>;

fn option<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    options.get(name).map(|it| it.trim()).filter(|it| !it.is_empty())
}

fn is_on(options: &Options, name: &str) -> bool {
    option(options, name) == Some("true")
}

/// The id in an option that holds one, or in the address that people copy: what stands behind `word`.
fn id_of<'a>(value: &'a str, word: &str) -> Option<&'a str> {
    let id = match value.split_once("://") {
        None => value,
        Some((_, rest)) => {
            let (host, path) = rest.split_once('/')?;
            let host = host.trim_start_matches("www.").trim_start_matches("mobile.");
            if !matches!(host, "x.com" | "twitter.com") {
                return None;
            }
            let mut all = path.split(['/', '?', '#']);
            all.by_ref().find(|it| *it == word)?;
            all.next()?
        }
    };
    is_id(id).then_some(id)
}

fn quoted(options: &Options) -> Option<&str> {
    id_of(option(options, "quote")?, "status")
}

pub(super) fn community(options: &Options) -> Option<&str> {
    id_of(option(options, "community")?, "communities")
}

fn choices(options: &Options) -> Option<Vec<&str>> {
    Some(option(options, "poll")?.split('|').map(str::trim).collect())
}

fn minutes(options: &Options) -> Option<u32> {
    let minutes = match option(options, "poll_minutes") {
        Some(text) => text.parse().ok()?,
        None => POLL_DEFAULT,
    };
    (POLL_MINUTES.0..=POLL_MINUTES.1).contains(&minutes).then_some(minutes)
}

/// The body of a part. `parent`: the part before it; without one it is the first. `ids`: of its media.
pub(super) fn body(text: &str, parent: Option<&str>, ids: &[&str], options: &Options) -> Value {
    let mut body = json!({ "text": text });
    if !ids.is_empty() {
        body["media"] = json!({ "media_ids": ids });
    }
    if let Some(id) = parent {
        body["reply"] = json!({ "in_reply_to_tweet_id": id });
    } else {
        of_first(&mut body, options);
    }
    // Of the media of a thread each part bears its own; who says so of a post without any means the post.
    if is_on(options, "made_with_ai") && (parent.is_none() || !ids.is_empty()) {
        body["made_with_ai"] = json!(true);
    }
    if is_on(options, "paid_partnership") {
        body["paid_partnership"] = json!(true);
    }
    body
}

/// What is set on the first part; replies of a thread inherit the conversation's setting and its place.
fn of_first(body: &mut Value, options: &Options) {
    if let Some(who) = option(options, "reply_settings") {
        body["reply_settings"] = json!(who);
    }
    if let (Some(choices), Some(minutes)) = (choices(options), minutes(options)) {
        body["poll"] = json!({ "options": choices, "duration_minutes": minutes });
    }
    if let Some(id) = quoted(options) {
        body["quote_tweet_id"] = json!(id);
    }
    if let Some(id) = community(options) {
        body["community_id"] = json!(id);
        if is_on(options, "share_with_followers") {
            body["share_with_followers"] = json!(true);
        }
    }
}

fn bad(key: &str, message: String, hint: &str) -> Problem {
    Problem { field: format!("options.x.{key}"), code: "bad_option", message, hint: Some(hint.to_owned()) }
}

/// What is wrong with the options, and with how they and the files go together.
pub(super) fn problems(parts: usize, media: &[MediaItem], options: &Options) -> Vec<Problem> {
    let mut found = Vec::new();
    poll(options, &mut found);
    if let Some(value) = option(options, "quote").filter(|it| id_of(it, "status").is_none()) {
        let message = format!("`{value}` is neither the id nor the address of a post on X");
        found.push(bad("quote", message, "copy it from the browser: https://x.com/…/status/…"));
    }
    if let Some(value) = option(options, "community").filter(|it| id_of(it, "communities").is_none()) {
        let message = format!("`{value}` is neither the id nor the address of a community on X");
        found.push(bad("community", message, "copy it from the browser: https://x.com/i/communities/…"));
    }
    if is_on(options, "share_with_followers") && option(options, "community").is_none() {
        let message = "`x.share_with_followers` is for posts to a community".to_owned();
        found.push(bad("share_with_followers", message, "name one with `--option x.community=…`"));
    }
    let first = media_of(media, parts.max(1), 0);
    let exclusive: Vec<&str> = [
        ("media", !first.is_empty()),
        ("a poll", option(options, "poll").is_some()),
        ("a quoted post", option(options, "quote").is_some()),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect();
    if let [one, other, ..] = exclusive.as_slice() {
        found.push(Problem {
            field: if *one == "media" { "media" } else { "options.x.poll" }.into(),
            code: "exclusive",
            message: format!("a post on X has {one} or {other}, not both"),
            hint: Some("put one of them into another part of a thread, or into another post".into()),
        });
    }
    for step in 0..parts.max(1) {
        animations(step, parts, &media_of(media, parts.max(1), step), &mut found);
    }
    found
}

fn poll(options: &Options, found: &mut Vec<Problem>) {
    let Some(choices) = choices(options) else {
        if option(options, "poll_minutes").is_some() {
            let message = "`x.poll_minutes` is for posts with a poll".to_owned();
            found.push(bad("poll_minutes", message, "add `--option \"x.poll=Yes|No\"`, or leave it out"));
        }
        return;
    };
    let (least, most) = POLL_OPTIONS;
    let hint = "write them like `--option \"x.poll=Yes|No|Both\"`";
    if !(least..=most).contains(&choices.len()) {
        let message = format!("a poll on X has {least} to {most} choices, this has {}", choices.len());
        found.push(bad("poll", message, hint));
    }
    for choice in choices {
        match choice.chars().count() {
            0 => found.push(bad("poll", "a choice of the poll is empty".to_owned(), hint)),
            n if n > POLL_CHARS => {
                let message = format!("the choice `{choice}` has {n} characters, X takes {POLL_CHARS}");
                found.push(bad("poll", message, "shorten it"));
            }
            _ => {}
        }
    }
    if minutes(options).is_none() {
        let (least, most) = POLL_MINUTES;
        let value = option(options, "poll_minutes").unwrap_or_default();
        let message = format!("`{value}` is not a number of minutes from {least} to {most}");
        found.push(bad("poll_minutes", message, "a day is 1440, a week is 10080"));
    }
}

/// One animation alone, of no more than so many pixels.
fn animations(step: usize, parts: usize, media: &[MediaItem], found: &mut Vec<Problem>) {
    let moving = |it: &&MediaItem| it.kind == MediaKind::Gif && it.detail.animated;
    let Some(gif) = media.iter().find(moving) else { return };
    let place = if parts > 1 { format!("part {}: ", step + 1) } else { String::new() };
    if media.len() > 1 {
        found.push(Problem {
            field: "media".into(),
            code: "mixed_media",
            message: format!(
                "{place}X takes up to {IMAGES_MAX} pictures or one animated GIF, not both in one post"
            ),
            hint: Some("put the GIF into another part of a thread, or into another post".into()),
        });
    }
    let (width, height) = GIF_SIDES;
    if gif.width > width || gif.height > height {
        found.push(Problem {
            field: "media".into(),
            code: "image_too_large",
            message: format!(
                "{place}`{}` is {}×{} pixels, X takes animated GIFs of {width}×{height} at most",
                gif.name, gif.width, gif.height
            ),
            hint: Some("save it smaller, or use a video".into()),
        });
    }
}

/// What is no mistake and worth knowing before it goes out.
pub(super) fn notices(options: &Options) -> Vec<String> {
    let mut found = Vec::new();
    if option(options, "quote").is_some() {
        found.push(
            "X takes quotes from apps with an Enterprise plan alone; the address of the post in the text is \
             shown as one as well, and makes the post cost more"
                .to_owned(),
        );
    }
    found
}
