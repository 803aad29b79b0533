//! What a post becomes on Instagram, and the parameters of its containers
//! (developers.facebook.com/docs/instagram-platform/content-publishing).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::CAPTION_MAX;
use crate::domain::delivery::StepKind;
use crate::domain::door::Door;
use crate::domain::fit::size;
use crate::domain::media::MediaItem;
use crate::platforms::{Field, FilePart, Job, OptionSpec, Problem};

/// Files of a carousel.
pub(super) const CAROUSEL: std::ops::RangeInclusive<usize> = 2..=10;
/// Hashtags and @-names of a caption.
const HASHTAGS_MAX: usize = 30;
const MENTIONS_MAX: usize = 20;
const COLLABORATORS_MAX: usize = 3;
const TAGS_MAX: usize = 20;
/// Films within a carousel: the network's documents give no limits; these are those of stories, so a film
/// beyond them is told and not refused.
const CHILD_BYTES_MAX: u64 = 100_000_000;
const CHILD_MS_MAX: u64 = 60_000;

/// 25 Mbit/s of pictures and 128 kbit/s of sound (content-publishing, "Reel specifications"), with a
/// little for the container.
const KBIT_MAX: u64 = 25_200;

const YES_NO: &[&str] = &["true", "false"];

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        key: "format",
        values: &["post", "reel", "story"],
        help: "what the post becomes; without it a post, and one video alone a reel",
    },
    OptionSpec { key: "share_to_feed", values: YES_NO, help: "whether a reel also shows in the feed" },
    OptionSpec {
        key: "thumb_offset",
        values: &[],
        help: "milliseconds into a reel, where its cover is taken",
    },
    OptionSpec { key: "cover_url", values: &[], help: "public https address of a JPEG as a reel's cover" },
    OptionSpec { key: "audio_name", values: &[], help: "name of a reel's own sound" },
    OptionSpec {
        key: "trial",
        values: &["manual", "performance"],
        help: "a trial reel, seen by non-followers first, and who decides when it ends",
    },
    OptionSpec {
        key: "crop",
        values: &["first"],
        help: "lets Instagram crop every file of a carousel to the shape of the first",
    },
    OptionSpec { key: "location_id", values: &[], help: "id of a Facebook Page that is a place" },
    OptionSpec {
        key: "user_tags",
        values: &[],
        help: "names to tag: `ann@0.5:0.8, bob@0.1:0.2` on a picture, `ann, bob` on a reel or story",
    },
    OptionSpec { key: "collaborators", values: &[], help: "up to three names of co-authors: `ann, bob`" },
    OptionSpec { key: "ai_generated", values: YES_NO, help: "labels it as made with AI" },
    OptionSpec { key: "paid_partnership", values: YES_NO, help: "labels it as a paid partnership" },
    OptionSpec {
        key: "comment_prompt",
        values: YES_NO,
        help: "asks viewers to comment; only for accounts connected through Facebook",
    },
];

/// The kinds of objects that an account publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Image,
    Carousel,
    Reel,
    ImageStory,
    VideoStory,
    /// The first comment under any of them.
    Comment,
}

impl Form {
    pub(super) fn of(job: &Job<'_>) -> Self {
        if job.kind == StepKind::Comment { Self::Comment } else { Self::of_post(job.media, job.options) }
    }

    pub(super) fn of_post(media: &[MediaItem], options: &BTreeMap<String, String>) -> Self {
        let video = media.iter().any(|it| it.kind.is_video());
        match options.get("format").map(String::as_str) {
            Some("story") if video => Self::VideoStory,
            Some("story") => Self::ImageStory,
            Some("reel") => Self::Reel,
            _ if media.len() > 1 => Self::Carousel,
            // Videos in the feed ended; a film alone is a reel.
            _ if video => Self::Reel,
            _ => Self::Image,
        }
    }

    pub(super) fn is_story(self) -> bool {
        matches!(self, Self::ImageStory | Self::VideoStory)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Carousel => "carousel",
            Self::Reel => "reel",
            Self::ImageStory | Self::VideoStory => "story",
            Self::Comment => "comment",
        }
    }

    /// `media_product_type` of what it becomes.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::Reel => "REELS",
            Self::ImageStory | Self::VideoStory => "STORY",
            Self::Image | Self::Carousel | Self::Comment => "FEED",
        }
    }

    /// `media_type` of what it becomes; a reel is a `VIDEO` like any other.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Image | Self::ImageStory | Self::Comment => "IMAGE",
            Self::Reel | Self::VideoStory => "VIDEO",
            Self::Carousel => "CAROUSEL_ALBUM",
        }
    }
}

/// Names with commas or blanks between, `@` before them or not.
fn names(text: &str) -> Vec<&str> {
    let all = text.split([',', ' ']).map(|it| it.trim().trim_start_matches('@'));
    all.filter(|it| !it.is_empty()).collect()
}

fn is_name(name: &str) -> bool {
    (1..=30).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// A name, with or without its place in the picture, in parts of width and height.
type Tag<'a> = (&'a str, Option<(f64, f64)>);

/// `ann@0.5:0.8, bob`
fn tags(text: &str) -> Option<Vec<Tag<'_>>> {
    names(text)
        .into_iter()
        .map(|it| {
            let Some((name, place)) = it.split_once('@') else { return is_name(it).then_some((it, None)) };
            let (x, y) = place.split_once(':')?;
            let part = |it: &str| it.parse::<f64>().ok().filter(|it| (0.0..=1.0).contains(it));
            is_name(name).then_some((name, Some((part(x)?, part(y)?))))
        })
        .collect()
}

/// Of a word that begins with `mark`, how many there are.
fn marked(text: &str, mark: char) -> usize {
    let starts = |(at, _): &(usize, &str)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + 1..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    text.match_indices(mark).filter(starts).count()
}

/// Collects what is wrong.
struct Found(Vec<Problem>);

impl Found {
    fn say(&mut self, field: &str, code: &'static str, message: &str, hint: &str) {
        self.0.push(Problem {
            field: field.to_owned(),
            code,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        });
    }

    fn option(&mut self, key: &str, message: &str, hint: &str) {
        self.say(&format!("options.instagram.{key}"), "bad_option", message, hint);
    }
}

/// What the capability struct cannot say.
pub(super) fn problems(
    parts: &[&str],
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
    door: Door,
) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    let form = Form::of_post(media, options);
    files(form, media, &mut found);
    if form == Form::Carousel && !options.contains_key("crop") {
        shapes(media, &mut found);
    }
    let text = parts.first().copied().unwrap_or_default();
    if form.is_story() && !text.trim().is_empty() {
        found.say(
            "parts[0]",
            "story_without_text",
            "a story on Instagram carries no text",
            "write an empty text for Instagram, or leave `instagram.format` out",
        );
    }
    for (mark, most, code, what) in [
        ('#', HASHTAGS_MAX, "too_many_hashtags", "hashtags"),
        ('@', MENTIONS_MAX, "too_many_mentions", "names with @"),
    ] {
        let count = marked(text, mark);
        if count > most {
            let message = format!("Instagram takes {most} {what} in a caption, this has {count}");
            found.say("parts[0]", code, &message, "leave some out");
        }
    }
    for (key, value) in options {
        option(key, value, form, media, door, &mut found);
    }
    found.0
}

/// What only Instagram will tell.
pub(super) fn notices(
    parts: &[&str],
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut found = Vec::new();
    if Form::of_post(media, options) == Form::Carousel {
        found.extend(media.iter().flat_map(children));
    }
    let text = parts.first().copied().unwrap_or_default();
    let units = text.encode_utf16().count();
    if units > CAPTION_MAX && text.chars().count() <= CAPTION_MAX {
        found.push(format!(
            "Instagram may count an emoji as two: the caption then has {units} characters, and {CAPTION_MAX} \
             are taken"
        ));
    }
    if options.contains_key("cover_url") {
        found.push(
            "the reel's cover is fetched from `instagram.cover_url` by Instagram when the post is published, \
             and nobody looks at it before: it must be there then"
                .to_owned(),
        );
    }
    found
}

fn files(form: Form, media: &[MediaItem], found: &mut Found) {
    if media.is_empty() {
        // Said by the rule that a post needs a file.
        return;
    }
    for (n, item) in media.iter().enumerate() {
        let length = item.detail.video.as_ref().map_or(0, |it| it.duration_ms);
        // Bits in a millisecond are kilobits in a second.
        let rate = item.bytes.saturating_mul(8).checked_div(length).unwrap_or_default();
        if rate > KBIT_MAX {
            let message = format!(
                "`{}` has {} Mbit a second, Instagram takes 25",
                item.name,
                format_args!("{}.{}", rate / 1000, rate % 1000 / 100)
            );
            let hint = "compress it more, e.g. with ffmpeg's `-b:v 8M -maxrate 20M -bufsize 20M`";
            found.say(&format!("media[{n}]"), "video_bit_rate", &message, hint);
        }
    }
    match form {
        Form::Reel if media.len() != 1 || media[0].kind.is_image() => found.say(
            "media",
            "reel_needs_one_video",
            "a reel on Instagram is exactly one video",
            "give one video, or leave `instagram.format` out",
        ),
        Form::ImageStory | Form::VideoStory if media.len() != 1 => found.say(
            "media",
            "story_needs_one_file",
            "a story on Instagram is exactly one picture or video",
            "give one file, or leave `instagram.format` out",
        ),
        Form::Carousel if !CAROUSEL.contains(&media.len()) => {
            let message = format!("a carousel on Instagram has 2 to 10 files, this has {}", media.len());
            found.say("media", "too_many_files", &message, "split them over several posts");
        }
        _ => {}
    }
}

/// What of a carousel's film may be more than the network takes.
fn children(item: &MediaItem) -> Vec<String> {
    let Some(film) = &item.detail.video else { return Vec::new() };
    let told = |has: String, most: String| {
        format!(
            "`{}` {has}; Instagram may take {most} at most of a video in a carousel, which its documents do \
             not say: post it alone as a reel to be safe",
            item.name
        )
    };
    let mut found = Vec::new();
    if film.duration_ms > CHILD_MS_MAX {
        found.push(told(format!("lasts {} s", film.seconds()), format!("{} s", CHILD_MS_MAX / 1000)));
    }
    if item.bytes > CHILD_BYTES_MAX {
        found.push(told(format!("has {}", size(item.bytes)), size(CHILD_BYTES_MAX)));
    }
    found
}

/// Instagram crops every file of a carousel to the shape of the first
/// (developers.facebook.com/docs/instagram-platform/content-publishing, "Carousel posts"), and says nothing.
fn shapes(media: &[MediaItem], found: &mut Found) {
    let known = |it: &MediaItem| it.width > 0 && it.height > 0;
    let Some((first, others)) = media.split_first().filter(|(first, _)| known(first)) else { return };
    for (n, item) in others.iter().enumerate().filter(|(_, it)| known(it)) {
        let here = u64::from(item.width) * u64::from(first.height);
        let there = u64::from(first.width) * u64::from(item.height);
        // What rounding to whole pixels does is no other shape.
        if here.abs_diff(there).saturating_mul(100) > there {
            let message = format!(
                "`{}` is {} and `{}`, the first of the carousel, {}: Instagram crops every file to the shape \
                 of the first",
                item.name,
                ratio(item),
                first.name,
                ratio(first)
            );
            let hint = "make them the same shape, or let Instagram crop: `--option instagram.crop=first`";
            found.say(&format!("media[{}]", n + 1), "carousel_shapes", &message, hint);
        }
    }
}

/// Width to height, as `1.25:1`. The height is not 0.
fn ratio(item: &MediaItem) -> String {
    format!("{:.2}:1", f64::from(item.width) / f64::from(item.height))
}

fn option(key: &str, value: &str, form: Form, media: &[MediaItem], door: Door, found: &mut Found) {
    let reel_only = ["share_to_feed", "thumb_offset", "cover_url", "audio_name", "trial"];
    if reel_only.contains(&key) && form != Form::Reel {
        return found.option(key, "it is for reels alone", "leave it out, or post one video alone");
    }
    if key == "crop" && form != Form::Carousel {
        return found.option(key, "it is for carousels alone", "leave it out, or post several files");
    }
    let feed_only = ["location_id", "collaborators", "comment_prompt", "paid_partnership"];
    if feed_only.contains(&key) && form.is_story() {
        return found.option(key, "a story takes none", "leave it out");
    }
    match key {
        "thumb_offset" => {
            let length = media.first().and_then(|it| it.detail.video.as_ref());
            let length = length.map_or(u64::MAX, |it| it.duration_ms);
            if value.parse::<u64>().map_or(true, |at| at >= length) {
                found.option(
                    key,
                    "it is not a moment within the video",
                    "write milliseconds from its beginning, e.g. `1500`",
                );
            }
        }
        "cover_url" => {
            let url = url::Url::parse(value).ok().filter(|it| it.scheme() == "https" && value.is_ascii());
            if url.is_none() {
                found.option(
                    key,
                    "it is not a public address of a picture",
                    "write it whole, in ASCII, e.g. `https://example.org/cover.jpg`",
                );
            }
        }
        "location_id" if !value.bytes().all(|b| b.is_ascii_digit()) || value.is_empty() => {
            found.option(key, "it is not an id", "write the number of a Facebook Page that is a place");
        }
        "collaborators" => {
            let all = names(value);
            if all.is_empty() || all.len() > COLLABORATORS_MAX || !all.iter().all(|it| is_name(it)) {
                found.option(key, "it is not a list of one to three names", "write e.g. `ann, bob`");
            }
        }
        "user_tags" => {
            let placed = form == Form::Image;
            let fits = tags(value).is_some_and(|all| {
                let place = |it: &(&str, Option<(f64, f64)>)| match form {
                    Form::Image => it.1.is_some(),
                    Form::Reel => it.1.is_none(),
                    _ => true,
                };
                (1..=TAGS_MAX).contains(&all.len()) && all.iter().all(place)
            });
            if form == Form::Carousel {
                found.option(
                    key,
                    "it does not say in which of the pictures",
                    "leave it out, or post the picture alone",
                );
            } else if !fits {
                let hint = if placed { "write e.g. `ann@0.5:0.8`" } else { "write e.g. `ann, bob`" };
                found.option(key, "it is not a list of at most 20 names to tag", hint);
            }
        }
        "comment_prompt" if door == Door::Instagram => found.option(
            key,
            "Instagram offers it only to accounts that are connected through Facebook",
            "leave it out, or set `login = \"facebook\"` in [platforms.instagram] and connect again",
        ),
        _ => {}
    }
}

/// The parameters of a container, in the order of the documents.
pub(super) struct Params(pub(super) Vec<(String, Field)>);

impl Params {
    fn text(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), Field::Text(value.into())));
    }

    /// The file: by link, or none at all where its bytes follow (`upload_type`).
    fn file(&mut self, item: &MediaItem, by_upload: bool) {
        if by_upload {
            self.text("upload_type", "resumable");
        } else {
            let name = if item.kind.is_image() { "image_url" } else { "video_url" };
            self.0.push((name.to_owned(), Field::Link(FilePart::whole(item))));
        }
    }

    fn alt(&mut self, item: &MediaItem) {
        if let Some(alt) = item.alt.as_ref().filter(|it| item.kind.is_image() && !it.trim().is_empty()) {
            self.text("alt_text", alt.clone());
        }
    }
}

/// A picture or film of a carousel. Words, names and places belong to the whole.
pub(super) fn child(item: &MediaItem, by_upload: bool) -> Params {
    let mut params = Params(Vec::new());
    if !item.kind.is_image() {
        params.text("media_type", "VIDEO");
    }
    params.file(item, by_upload);
    params.text("is_carousel_item", "true");
    params.alt(item);
    params
}

/// The container that becomes the post. `children`: the ids of a carousel's.
pub(super) fn container(job: &Job<'_>, form: Form, children: &[&str], by_upload: bool) -> Params {
    let mut params = Params(Vec::new());
    let option = |key: &str| job.options.get(key).map(String::as_str);
    match form {
        Form::Carousel => {
            params.text("media_type", "CAROUSEL");
            params.text("children", children.join(","));
        }
        Form::Reel => params.text("media_type", "REELS"),
        Form::ImageStory | Form::VideoStory => params.text("media_type", "STORIES"),
        Form::Image | Form::Comment => {}
    }
    if let Some(item) = job.media.first().filter(|_| form != Form::Carousel) {
        params.file(item, by_upload);
        if form == Form::Image {
            params.alt(item);
        }
    }
    if !form.is_story() && !job.text.trim().is_empty() {
        params.text("caption", job.text);
    }
    if form == Form::Reel {
        for key in ["cover_url", "thumb_offset", "share_to_feed", "audio_name"] {
            if let Some(value) = option(key) {
                params.text(key, value);
            }
        }
        if let Some(trial) = option("trial") {
            let strategy = if trial == "performance" { "SS_PERFORMANCE" } else { "MANUAL" };
            params.text("trial_params", json!({ "graduation_strategy": strategy }).to_string());
        }
    }
    if let Some(location) = option("location_id") {
        params.text("location_id", location);
    }
    if let Some(all) = option("collaborators") {
        params.text("collaborators", json!(names(all)).to_string());
    }
    if let Some(all) = option("user_tags").and_then(tags).filter(|_| form != Form::Carousel) {
        let tag = |(name, place): &(&str, Option<(f64, f64)>)| match place {
            Some((x, y)) => json!({ "username": name, "x": x, "y": y }),
            None => json!({ "username": name }),
        };
        params.text("user_tags", all.iter().map(tag).collect::<Value>().to_string());
    }
    for (key, name) in [
        ("ai_generated", "is_ai_generated"),
        ("paid_partnership", "is_paid_partnership"),
        ("comment_prompt", "is_comment_prompt_used"),
    ] {
        if option(key) == Some("true") {
            params.text(name, "true");
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashtags_and_names_are_counted_as_words() {
        assert_eq!(marked("#a #b c#d # #_e", '#'), 3);
        assert_eq!(marked("@ann mail@example.org @", '@'), 1);
        assert_eq!(marked("ä#b #ß", '#'), 1);
    }

    #[test]
    fn tags_are_names_with_or_without_a_place_in_the_picture() {
        assert_eq!(tags("ann@0.5:0.8, @bob"), Some(vec![("ann", Some((0.5, 0.8))), ("bob", None)]));
        for odd in ["ann@1.2:0", "ann@0.5", "a/b", "ann@x:y", "ann@NaN:0"] {
            assert_eq!(tags(odd), None, "{odd}");
        }
    }
}
