//! The one check of a post for its targets: problems, lengths, preview. Pure.
//!
//! Every way into the schedule goes through [`check`], and it runs again before the instant, so
//! what is scheduled is what the network would take. It reads capabilities as data; what cannot
//! be data the connector adds ([`Platform::problems`]).

use std::collections::BTreeMap;

use crate::domain::cost::Cost;
use crate::domain::fit::{self, Fit, Misfit};
use crate::domain::media::MediaItem;
use crate::domain::post::media_of;
use crate::platforms::{Capabilities, Platform, Problem, Unit};

/// What one target would get.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub parts: &'a [String],
    pub comment: Option<&'a str>,
    pub media: &'a [MediaItem],
    pub options: &'a BTreeMap<String, String>,
    /// Permissions that the account was asked for and did not get; none where no account is known.
    pub lacks: &'a [String],
}

/// The outcome for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Of the longest part, in the network's unit.
    pub used: usize,
    /// 0 where no word of it travels.
    pub max: usize,
    pub unit: Unit,
    /// How long the first comment is, and how long it may be where the network says so, in UTF-16 units.
    pub comment: Option<(usize, Option<usize>)>,
    pub problems: Vec<Problem>,
    /// What is done to files before they leave, and what only the network will tell, in words.
    pub notices: Vec<String>,
    /// Each file's name and what becomes of it, in order.
    pub files: Vec<(String, Verdict)>,
    /// (field of a problem, the command that removes it): for those who have the program.
    pub commands: Vec<(String, String)>,
    /// What it will cost, on networks that take money for calls.
    pub costs: Vec<Cost>,
    /// What would be sent, a value per part, and one for the first comment.
    pub preview: serde_json::Value,
}

/// What becomes of a file on its way to a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    AsItIs,
    Converted(Fit),
    /// Not taken; a problem of `media[N]` says why.
    Refused,
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
    let text_max = platform.text_max(draft.media, draft.options, tier);
    let used = texts(platform, &can, text_max.ok(), draft, &mut problems);
    problems.extend(comment_not_granted(platform, tier, draft));
    problems.extend(comment_without_place(platform, draft));
    let mut files = Files::default();
    files.check(platform, tier, &can, draft);
    problems.append(&mut files.problems);
    options(platform, &can, draft.options, &mut problems);
    let parts: Vec<&str> = draft.parts.iter().map(String::as_str).collect();
    let own = platform.problems(&parts, draft.media, draft.options, tier);
    if own.iter().any(|it| it.field == "media") {
        // What it says of the files together is the same fault in the words of the form they take there.
        problems.retain(|it| !COUNTED.contains(&it.code));
    }
    if own.iter().any(|it| it.code == "reel_needs_one_video") {
        // Nor does it matter what kind of picture it is.
        problems.retain(|it| it.code != "image_type");
    }
    problems.extend(own);
    problems.extend(platform.not_granted(draft.media, draft.options, tier, draft.lacks));
    let wordless = text_max.err().filter(|_| draft.parts.iter().any(|it| !it.trim().is_empty()));
    files.notices.extend(wordless.map(str::to_owned));
    files.notices.extend(platform.notices(&parts, draft.media, draft.options));
    if draft.parts.len() > 1 {
        for it in &mut problems {
            if let Some(n) = part_of(&it.field) {
                it.message = format!("part {}: {}", n + 1, it.message);
            }
        }
    }
    let sent = as_sent(platform, tier, draft.options, draft.media);
    let comment = draft.comment.filter(|_| can.comment && platform.uncommentable(draft.options).is_none());
    let preview: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(n, text)| platform.preview((n, text), &media_of(&sent, parts.len(), n), draft.options, tier))
        .chain(comment.map(|it| platform.preview_comment(it)))
        .collect();
    Checked {
        used,
        max: text_max.unwrap_or_default(),
        unit: can.unit,
        comment: comment.map(|it| (utf16(it), platform.comment_max())),
        problems,
        notices: files.notices,
        files: files.verdicts,
        commands: files.commands,
        costs: platform.costs(&parts, draft.media),
        preview: preview.into(),
    }
}

/// Which part of a thread a problem's field names, from 0.
fn part_of(field: &str) -> Option<usize> {
    field.strip_prefix("parts[")?.strip_suffix(']')?.parse().ok()
}

/// The files as the network gets them: those that are converted have their later kind and size. What
/// cannot be sent stays as it is; [`check`] says why.
pub fn as_sent(
    platform: &dyn Platform,
    tier: Option<&str>,
    options: &BTreeMap<String, String>,
    items: &[MediaItem],
) -> Vec<MediaItem> {
    let needs = platform.media_needs(tier, options);
    let fitted = |item: &MediaItem| {
        let fit = || fit::image(item, needs.of_image(item), "").ok().flatten();
        let fit = item.kind.is_image().then(fit).flatten();
        fit.map_or_else(|| item.clone(), |fit| fit::as_sent(item, fit))
    };
    items.iter().map(fitted).collect()
}

fn problem(field: impl Into<String>, code: &'static str, message: String, hint: &str) -> Problem {
    Problem { field: field.into(), code, message, hint: Some(hint.to_owned()) }
}

/// Without its own permission the post would go out and its comment would not.
fn comment_not_granted(platform: &dyn Platform, tier: Option<&str>, draft: Draft<'_>) -> Option<Problem> {
    draft.comment?;
    let scope = platform.comment_scope(tier).filter(|scope| draft.lacks.iter().any(|it| it == scope))?;
    let title = platform.name().title();
    let message =
        format!("{title} takes a first comment only with `{scope}`, which this account was not given");
    Some(problem(
        "comment",
        "comment_not_granted",
        message,
        "connect the account again and agree to it, or leave `--comment` out",
    ))
}

/// The post would go out, and its comment never could.
fn comment_without_place(platform: &dyn Platform, draft: Draft<'_>) -> Option<Problem> {
    draft.comment?;
    let form = platform.uncommentable(draft.options)?;
    let name = platform.name();
    let message = format!("a {form} on {} takes no first comment", name.title());
    let hint = format!("leave the comment out for {}, or leave `{name}.format` out", name.title());
    Some(problem("comment", "no_first_comment", message, &hint))
}

/// Length of a comment: what `characters` may count at most.
fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Checks the words; `text_max`: of a part, `None` where they stay here. The length of the longest part.
fn texts(
    platform: &dyn Platform,
    can: &Capabilities,
    text_max: Option<usize>,
    draft: Draft<'_>,
    found: &mut Vec<Problem>,
) -> usize {
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
            "make a post of its own for this network, without the comment or with it as a second part",
        ));
    }
    let long = draft.comment.map_or(0, utf16);
    if let Some(max) = platform.comment_max().filter(|it| long > *it) {
        let message = format!("the first comment is {long} characters, {title} takes {max}");
        found.push(problem("comment", "text_too_long", message, "shorten it"));
    }
    let mut longest = 0;
    for (n, text) in draft.parts.iter().enumerate() {
        let used = text_max.map_or(0, |_| platform.measure(text));
        longest = longest.max(used);
        if let Some(max) = text_max.filter(|it| used > *it) {
            let message = format!("the text is {used} {}, {title} takes {max}", can.unit.as_str());
            let hint = if can.parts_max > 1 {
                "shorten it, or split it into parts of a thread".to_owned()
            } else {
                format!("shorten it, or give {title} a text of its own")
            };
            found.push(problem(format!("parts[{n}]"), "text_too_long", message, &hint));
        }
        let has_media = !media_of(draft.media, draft.parts.len(), n).is_empty();
        let media_saves_it = has_media && can.text_optional_with_media;
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

/// Faults of the files together, by their number and kinds alone.
const COUNTED: [&str; 3] = ["too_many_images", "too_many_videos", "mixed_media"];

/// What is found about the files of a draft.
#[derive(Default)]
struct Files {
    problems: Vec<Problem>,
    notices: Vec<String>,
    commands: Vec<(String, String)>,
    verdicts: Vec<(String, Verdict)>,
}

impl Files {
    fn check(&mut self, platform: &dyn Platform, tier: Option<&str>, can: &Capabilities, draft: Draft<'_>) {
        let (title, items) = (platform.name().title(), draft.media);
        let needs = platform.media_needs(tier, draft.options);
        let mut add = |field: String, code, message: String, hint| {
            self.problems.push(problem(field, code, message, hint));
        };
        if !items.is_empty() && can.images_max == 0 && needs.video.is_none() {
            let message = format!("media on {title} is not available in this version");
            self.verdicts = items.iter().map(|it| (it.name.clone(), Verdict::Refused)).collect();
            return add("media".into(), "media_not_supported", message, "post the text alone there");
        }
        if items.len() < needs.files_min {
            let message =
                format!("{title} wants {} file at least, this has {}", needs.files_min, items.len());
            add("media".into(), "media_missing", message, "add a picture or a video with `--media`");
        }
        for n in 0..draft.parts.len() {
            let place = if draft.parts.len() > 1 { format!("part {}: ", n + 1) } else { String::new() };
            let items = media_of(items, draft.parts.len(), n);
            let images = items.iter().filter(|it| it.kind.is_image()).count();
            let videos = items.iter().filter(|it| it.kind.is_video()).count();
            if images > can.images_max {
                let message =
                    format!("{place}{title} takes {} images a post, this has {images}", can.images_max);
                let hint = "leave some out, or split them over several posts";
                add("media".into(), "too_many_images", message, hint);
            }
            if needs.video.is_some() && videos > needs.videos_max {
                let message =
                    format!("{place}{title} takes {} videos a post, this has {videos}", needs.videos_max);
                add("media".into(), "too_many_videos", message, "split them over several posts");
            }
            if needs.video.is_some() && !needs.mixed && images > 0 && videos > 0 {
                let message = format!("{place}{title} takes pictures or a video, not both in one post");
                add("media".into(), "mixed_media", message, "split them over two posts");
            }
        }
        for (n, item) in items.iter().enumerate() {
            let field = format!("media[{n}]");
            let before = self.problems.len();
            let mut verdict = Verdict::AsItIs;
            let alt = item.alt.as_deref().map_or(0, |it| it.chars().count());
            if alt > can.alt_max {
                let message = format!("the alt text has {alt} characters, {title} takes {}", can.alt_max);
                self.problems.push(problem(format!("{field}.alt"), "alt_too_long", message, "shorten it"));
            }
            if alt > 0 && !platform.takes_alt(item, draft.options) {
                let what = match () {
                    () if item.kind.is_video() => "a video",
                    () if item.kind.is_image() => "a picture like this",
                    () => "a document",
                };
                self.notices.push(format!(
                    "`{}` has an alternative text, and {title} has no place for one on {what}: it is left out",
                    item.name
                ));
            }
            if item.kind.is_image() {
                let wants = needs.of_image(item);
                let fitted = fit::image(item, wants, title);
                let is_converted = matches!(&fitted, Ok(Some(_)));
                match fitted {
                    Ok(None) => {}
                    Ok(Some(fit)) => {
                        verdict = Verdict::Converted(fit);
                        self.notices.push(format!("`{}` will be converted to {fit}", item.name));
                    }
                    Err(found) => self.misfits(&field, item, found),
                }
                self.notices.extend(fit::colour_notice(item, wants, title, is_converted));
            } else if !item.kind.is_video() {
                if let Some(needs) = platform.document_needs() {
                    self.misfits(&field, item, fit::document(item, &needs, title));
                } else {
                    let message = format!("`{}` is a document; {title} takes none", item.name);
                    let hint = "post its pages as pictures there, or leave it out";
                    self.problems.push(problem(field, "document_not_supported", message, hint));
                }
            } else if let Some(video) = &needs.video {
                self.misfits(&field, item, fit::video(item, video, title));
                self.notices.extend(fit::sound_notice(item, video, title));
                self.notices.extend(fit::edit_notice(item, video, title));
            } else {
                let message =
                    format!("`{}` is a video; video on {title} is not available in this version", item.name);
                let hint = "post an image or the text alone there";
                self.problems.push(problem(field, "video_not_supported", message, hint));
            }
            let refused = self.problems.len() > before;
            self.verdicts.push((item.name.clone(), if refused { Verdict::Refused } else { verdict }));
        }
    }

    fn misfits(&mut self, field: &str, item: &MediaItem, found: Vec<Misfit>) {
        for it in found {
            let message = format!("`{}` {}", item.name, it.message);
            self.problems.push(problem(field, it.code, message, it.hint));
            if let Some(command) = it.command {
                self.commands.push((field.to_owned(), command));
            }
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

#[cfg(test)]
mod tests;
