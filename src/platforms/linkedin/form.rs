//! What a post becomes on LinkedIn, and the body that makes it
//! (learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::escape;
use crate::domain::delivery::StepKind;
use crate::domain::kind::Kind;
use crate::domain::media::{MediaItem, MediaKind};
use crate::platforms::{Job, OptionSpec, Problem};

/// Pictures of a post; one alone has another shape than several.
pub(super) const IMAGES_MAX: usize = 20;
/// Longest title of a film, a document or a link. Ours: the network states none.
const TITLE_MAX: usize = 400;
/// Longest description of a link. Ours as well.
const DESCRIPTION_MAX: usize = 4_000;
/// Choices of a poll, and the longest question and choice (…/shares/poll-post-api), in the unit that comes
/// out largest.
const CHOICES: (usize, usize) = (2, 4);
const QUESTION_MAX: usize = 140;
const CHOICE_MAX: usize = 30;
/// Days that a poll may run, and what the API calls them.
const DAYS: [(&str, &str); 4] =
    [("1", "ONE_DAY"), ("3", "THREE_DAYS"), ("7", "SEVEN_DAYS"), ("14", "FOURTEEN_DAYS")];
/// Ours.
const DAYS_DEFAULT: &str = "7";

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        key: "visibility",
        values: &["public", "connections", "logged_in"],
        help: "who sees it: everybody, the member's connections, or everybody on LinkedIn",
    },
    OptionSpec {
        key: "disable_reshare",
        values: &["true", "false"],
        help: "whether others are kept from sharing it on",
    },
    OptionSpec { key: "title", values: &[], help: "title of a film or a document; else the file's name" },
    OptionSpec {
        key: "link",
        values: &[],
        help: "address of an article, shown as a card; a picture of the post becomes its thumbnail",
    },
    OptionSpec {
        key: "link_title",
        values: &[],
        help: "title of that card; LinkedIn does not read it itself",
    },
    OptionSpec { key: "link_description", values: &[], help: "text of that card" },
    OptionSpec {
        key: "poll",
        values: &[],
        help: "two to four choices with `|` between them, up to 30 characters each",
    },
    OptionSpec { key: "poll_question", values: &[], help: "what the poll asks, up to 140 characters" },
    OptionSpec {
        key: "poll_days",
        values: &["1", "3", "7", "14"],
        help: "how many days the poll runs; a week without it",
    },
];

/// The kinds of objects that an account publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Image,
    Images,
    Video,
    Document,
    Article,
    Poll,
    /// The first comment under any of them.
    Comment,
}

impl Form {
    pub(super) fn of(job: &Job<'_>) -> Self {
        if job.kind == StepKind::Comment { Self::Comment } else { Self::of_post(job.media, job.options) }
    }

    pub(super) fn of_post(media: &[MediaItem], options: &BTreeMap<String, String>) -> Self {
        let any = |is: fn(MediaKind) -> bool| media.iter().any(|it| is(it.kind));
        match media.len() {
            _ if options.contains_key("link") => Self::Article,
            _ if options.contains_key("poll") => Self::Poll,
            0 => Self::Text,
            _ if any(|it| it == MediaKind::Pdf) => Self::Document,
            _ if any(MediaKind::is_video) => Self::Video,
            1 => Self::Image,
            _ => Self::Images,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Images => "images",
            Self::Video => "video",
            Self::Document => "document",
            Self::Article => "article",
            Self::Poll => "poll",
            Self::Comment => "comment",
        }
    }
}

/// The choices of the poll that an option holds.
fn choices(option: &str) -> Vec<&str> {
    option.split('|').map(str::trim).collect()
}

/// The body of `POST /rest/posts`. `urns`: of the files, in their order.
pub(super) fn body(
    author: &str,
    text: &str,
    media: &[MediaItem],
    options: &BTreeMap<String, String>,
    urns: &[&str],
) -> Value {
    let option =
        |name: &str| options.get(name).map(String::as_str).map(str::trim).filter(|it| !it.is_empty());
    let picture = |item: &MediaItem, urn: &str| {
        let mut shown = json!({ "id": urn });
        if let Some(alt) = item.alt.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
            shown["altText"] = json!(alt);
        }
        shown
    };
    let with_urns = || media.iter().zip(urns);
    let content = match Form::of_post(media, options) {
        Form::Text | Form::Comment => None,
        Form::Image => with_urns().next().map(|(item, urn)| json!({ "media": picture(item, urn) })),
        Form::Images => {
            let all: Vec<_> = with_urns().map(|(item, urn)| picture(item, urn)).collect();
            Some(json!({ "multiImage": { "images": all } }))
        }
        Form::Video | Form::Document => with_urns().next().map(
            |(item, urn)| json!({ "media": { "id": urn, "title": option("title").unwrap_or(&item.name) } }),
        ),
        Form::Poll => {
            let days = option("poll_days").unwrap_or(DAYS_DEFAULT);
            let duration = DAYS.iter().find(|it| it.0 == days).map_or("SEVEN_DAYS", |it| it.1);
            let choices = choices(option("poll").unwrap_or_default());
            let choices: Vec<_> = choices.into_iter().map(|it| json!({ "text": it })).collect();
            Some(json!({ "poll": {
                "question": option("poll_question").unwrap_or_default(),
                "options": choices,
                "settings": { "duration": duration },
            } }))
        }
        Form::Article => {
            let mut card = json!({
                "source": option("link").unwrap_or_default(),
                "title": option("link_title").unwrap_or_default(),
            });
            if let Some(text) = option("link_description") {
                card["description"] = json!(text);
            }
            if let Some((_, urn)) = with_urns().next() {
                card["thumbnail"] = json!(urn);
            }
            Some(json!({ "article": card }))
        }
    };
    let visibility = match option("visibility") {
        Some("connections") => "CONNECTIONS",
        Some("logged_in") => "LOGGED_IN",
        _ => "PUBLIC",
    };
    let mut body = json!({
        "author": author,
        "commentary": escape(text),
        "visibility": visibility,
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
    });
    if let Some(content) = content {
        body["content"] = content;
    }
    body["lifecycleState"] = json!("PUBLISHED");
    body["isReshareDisabledByAuthor"] = json!(option("disable_reshare") == Some("true"));
    body
}

/// What capabilities cannot express.
pub(super) fn problems(media: &[MediaItem], options: &BTreeMap<String, String>, kind: Kind) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |field: String, code, message: String, hint: &str| {
        found.push(Problem { field, code, message, hint: Some(hint.to_owned()) });
    };
    let of = |key: &str| format!("options.linkedin.{key}");
    let form = Form::of_post(media, options);
    if form == Form::Article {
        let link = options.get("link").map(|it| it.trim()).unwrap_or_default();
        let sound = url::Url::parse(link).is_ok_and(|it| matches!(it.scheme(), "http" | "https"));
        if !sound {
            let message = format!("`{link}` is not the address of a page");
            add(of("link"), "bad_option", message, "write it in full: `https://example.org/page`");
        }
        if options.get("link_title").is_none_or(|it| it.trim().is_empty()) {
            let message =
                "LinkedIn does not read the page behind a link, so its card needs a title".to_owned();
            add(of("link_title"), "bad_option", message, "add `--option linkedin.link_title=…`");
        }
        if media.len() > 1 || media.iter().any(|it| !it.kind.is_image()) {
            let message = "beside a link there is room for one picture, its thumbnail".to_owned();
            add("media".into(), "mixed_media", message, "leave the link in the text, or the files out");
        }
    } else {
        for key in ["link_title", "link_description"] {
            if options.contains_key(key) {
                let message = format!("`linkedin.{key}` belongs to a link, and there is none");
                add(of(key), "bad_option", message, "add `--option linkedin.link=https://…`");
            }
        }
    }
    if options.contains_key("title") && !matches!(form, Form::Video | Form::Document) {
        let message = "only films and documents have a title on LinkedIn".to_owned();
        add(of("title"), "bad_option", message, "leave `linkedin.title` out");
    }
    for (key, max) in [("title", TITLE_MAX), ("link_title", TITLE_MAX), ("link_description", DESCRIPTION_MAX)]
    {
        let used = options.get(key).map_or(0, |it| it.encode_utf16().count());
        if used > max {
            let message = format!("`linkedin.{key}` has {used} characters, {max} is the most");
            add(of(key), "bad_option", message, "shorten it");
        }
    }
    found.extend(poll(media, options));
    let mut add = |field: String, code, message: String, hint: &str| {
        found.push(Problem { field, code, message, hint: Some(hint.to_owned()) });
    };
    let documents = media.iter().filter(|it| it.kind == MediaKind::Pdf).count();
    if documents > 0 && media.len() > 1 && form != Form::Article {
        let message = "a document stands alone in its post".to_owned();
        add("media".into(), "mixed_media", message, "split them over several posts");
    }
    if kind == Kind::Organization && options.get("visibility").is_some_and(|it| it == "connections") {
        let message = "an organization has no connections to show it to".to_owned();
        add(of("visibility"), "bad_option", message, "use `public` or `logged_in`");
    }
    found
}

/// What is wrong with the poll, and with what is beside it.
fn poll(media: &[MediaItem], options: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |key: &str, code, message: String, hint: &str| {
        let field = if key == "media" { key.to_owned() } else { format!("options.linkedin.{key}") };
        found.push(Problem { field, code, message, hint: Some(hint.to_owned()) });
    };
    let write =
        "write it like `--option \"linkedin.poll=Rye|Spelt\" --option \"linkedin.poll_question=Which?\"`";
    let Some(option) = options.get("poll") else {
        for key in ["poll_question", "poll_days"] {
            if options.contains_key(key) {
                add(
                    key,
                    "bad_option",
                    format!("`linkedin.{key}` belongs to a poll, and there is none"),
                    write,
                );
            }
        }
        return found;
    };
    let alone = "put one of them into another post";
    if options.contains_key("link") {
        let message = "a post on LinkedIn has a link with its card or a poll, not both".to_owned();
        add("poll", "exclusive", message, alone);
    }
    if !media.is_empty() {
        add("media", "exclusive", "a post on LinkedIn has media or a poll, not both".to_owned(), alone);
    }
    let (choices, (least, most)) = (choices(option), CHOICES);
    if !(least..=most).contains(&choices.len()) {
        let message = format!("a poll on LinkedIn has {least} to {most} choices, this has {}", choices.len());
        add("poll", "bad_option", message, write);
    }
    for choice in choices {
        match choice.encode_utf16().count() {
            0 => add("poll", "bad_option", "a choice of the poll is empty".to_owned(), write),
            n if n > CHOICE_MAX => {
                let message =
                    format!("the choice `{choice}` has {n} characters, LinkedIn takes {CHOICE_MAX}");
                add("poll", "bad_option", message, "shorten it");
            }
            _ => {}
        }
    }
    let question = options.get("poll_question").map(|it| it.trim()).unwrap_or_default();
    match question.encode_utf16().count() {
        0 => add(
            "poll_question",
            "bad_option",
            "a poll on LinkedIn needs a question of its own".to_owned(),
            write,
        ),
        n if n > QUESTION_MAX => {
            let message =
                format!("the question of the poll has {n} characters, LinkedIn takes {QUESTION_MAX}");
            add("poll_question", "bad_option", message, "shorten it");
        }
        _ => {}
    }
    found
}
