//! The one check of a post for its targets: problems, lengths, preview. Pure.
//!
//! Every way into the schedule goes through [`check`], and it runs again before the instant, so
//! what is scheduled is what the network would take. It reads capabilities as data; what cannot
//! be data the connector adds ([`Platform::problems`]).

use std::collections::BTreeMap;

use crate::domain::media::MediaItem;
use crate::platforms::{Capabilities, Platform, Problem, Unit};

/// What one target would get.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub parts: &'a [String],
    pub comment: Option<&'a str>,
    pub media: &'a [MediaItem],
    pub options: &'a BTreeMap<String, String>,
}

/// The outcome for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Of the longest part, in the network's unit.
    pub used: usize,
    pub max: usize,
    pub unit: Unit,
    pub problems: Vec<Problem>,
    /// What would be sent, a value per part.
    pub preview: serde_json::Value,
}

impl Checked {
    pub fn ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks a draft for one network; `tier` is the account's paid tier, if it has one.
pub fn check(platform: &dyn Platform, tier: Option<&str>, draft: Draft<'_>) -> Checked {
    let can = platform.capabilities(tier);
    let mut problems = Vec::new();
    let used = texts(platform, &can, draft, &mut problems);
    media(platform, &can, draft.media, &mut problems);
    options(platform, &can, draft.options, &mut problems);
    let parts: Vec<&str> = draft.parts.iter().map(String::as_str).collect();
    problems.extend(platform.problems(&parts, draft.media, draft.options, tier));
    let preview: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(n, text)| platform.preview(text, if n == 0 { draft.media } else { &[] }, draft.options))
        .collect();
    Checked { used, max: can.text_max, unit: can.unit, problems, preview: preview.into() }
}

fn problem(field: impl Into<String>, code: &'static str, message: String, hint: &str) -> Problem {
    Problem { field: field.into(), code, message, hint: Some(hint.to_owned()) }
}

fn texts(platform: &dyn Platform, can: &Capabilities, draft: Draft<'_>, found: &mut Vec<Problem>) -> usize {
    let title = platform.name().title();
    if draft.parts.len() > can.parts_max {
        let (message, hint) = if can.parts_max == 1 {
            (format!("{title} has no threads, this has {} parts", draft.parts.len()), "write it as one text")
        } else {
            (
                format!(
                    "a thread on {title} may have {} parts, this has {}",
                    can.parts_max,
                    draft.parts.len()
                ),
                "split it into several posts",
            )
        };
        found.push(problem("parts", "too_many_parts", message, hint));
    }
    if draft.comment.is_some() && !can.comment {
        found.push(problem(
            "comment",
            "no_first_comment",
            format!("a first comment is not supported on {title}"),
            "leave `--comment` out for this network, or write it as a second part",
        ));
    }
    let mut longest = 0;
    for (n, text) in draft.parts.iter().enumerate() {
        let used = platform.measure(text);
        longest = longest.max(used);
        if used > can.text_max {
            found.push(problem(
                format!("parts[{n}]"),
                "text_too_long",
                format!("the text is {used} {}, {title} takes {}", can.unit.as_str(), can.text_max),
                "shorten it, or split it into parts of a thread",
            ));
        }
        let media_saves_it = n == 0 && !draft.media.is_empty() && can.text_optional_with_media;
        if text.trim().is_empty() && !media_saves_it {
            found.push(problem(
                format!("parts[{n}]"),
                "text_empty",
                format!("{title} does not take an empty text here"),
                "write a text",
            ));
        }
    }
    longest
}

fn media(platform: &dyn Platform, can: &Capabilities, items: &[MediaItem], found: &mut Vec<Problem>) {
    let title = platform.name().title();
    if !items.is_empty() && can.images_max == 0 {
        found.push(problem(
            "media",
            "media_not_supported",
            format!("media on {title} is not available in this version"),
            "post the text alone there",
        ));
        return;
    }
    let images = items.iter().filter(|it| it.kind.is_image()).count();
    if images > can.images_max {
        found.push(problem(
            "media",
            "too_many_images",
            format!("{title} takes {} images a post, this has {images}", can.images_max),
            "leave some out, or split them over several posts",
        ));
    }
    for (n, item) in items.iter().enumerate() {
        if !item.kind.is_image() {
            found.push(problem(
                format!("media[{n}]"),
                "video_not_supported",
                format!("`{}` is a video; video on {title} is not available in this version", item.name),
                "post an image or the text alone there",
            ));
            continue;
        }
        if !can.image_kinds.contains(&item.kind) {
            found.push(problem(
                format!("media[{n}]"),
                "image_type",
                format!("`{}` is {}, which {title} does not take", item.name, item.kind.mime()),
                "convert it to JPEG or PNG",
            ));
        }
        if item.bytes > can.image_bytes_max {
            found.push(problem(
                format!("media[{n}]"),
                "image_too_big",
                format!("`{}` has {} bytes, {title} takes {}", item.name, item.bytes, can.image_bytes_max),
                "save it smaller or with stronger compression",
            ));
        }
        let alt = item.alt.as_deref().map_or(0, |it| it.chars().count());
        if alt > can.alt_max {
            found.push(problem(
                format!("media[{n}].alt"),
                "alt_too_long",
                format!("the alt text has {alt} characters, {title} takes {}", can.alt_max),
                "shorten it",
            ));
        }
    }
}

fn options(
    platform: &dyn Platform,
    can: &Capabilities,
    given: &BTreeMap<String, String>,
    found: &mut Vec<Problem>,
) {
    let name = platform.name();
    for (key, value) in given {
        let field = format!("options.{name}.{key}");
        match can.options.iter().find(|it| it.key == key) {
            None => {
                let known: Vec<_> = can.options.iter().map(|it| it.key).collect();
                let hint = if known.is_empty() {
                    format!("{} has no options", name.title())
                } else {
                    format!("known options: {}", known.join(", "))
                };
                found.push(problem(
                    field,
                    "unknown_option",
                    format!("`{name}.{key}` is not an option"),
                    &hint,
                ));
            }
            Some(spec) if !spec.values.is_empty() && !spec.values.contains(&value.as_str()) => {
                found.push(problem(
                    field,
                    "bad_option",
                    format!("`{value}` is not a value of `{name}.{key}`"),
                    &format!("one of: {} ({})", spec.values.join(", "), spec.help),
                ));
            }
            Some(_) => {}
        }
    }
}
