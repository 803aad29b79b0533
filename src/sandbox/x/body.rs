//! The shapes of X's JSON bodies, from its OpenAPI document: no unknown properties, types,
//! patterns and enumerations as written there.

use serde_json::Value;

/// What a property may hold.
pub(super) enum Kind {
    Text,
    Bool,
    /// 1 to 19 digits, as a string.
    Id,
    /// So many ids, from and to.
    Ids(usize, usize),
    /// So many texts of so many characters.
    Texts(usize, usize, usize),
    Int(i64, i64),
    OneOf(&'static [&'static str]),
    /// At most so many characters.
    Short(usize),
    Object(&'static [Field]),
    /// Anything with properties; none of ours.
    AnyObject,
}

/// One property of an object.
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const AUDIENCE: Kind = Kind::OneOf(&["following", "mentionedUsers", "subscribers", "verified"]);

/// `POST /2/tweets`.
pub(super) const CREATE: &[Field] = &[
    may("card_uri", Kind::Text),
    may("community_id", Kind::Id),
    may("direct_message_deep_link", Kind::Text),
    may("edit_options", Kind::Object(&[must("previous_post_id", Kind::Id)])),
    may("for_super_followers_only", Kind::Bool),
    may("geo", Kind::Object(&[must("place_id", Kind::Text)])),
    may("made_with_ai", Kind::Bool),
    may(
        "media",
        Kind::Object(&[
            must("media_ids", Kind::Ids(1, 4)),
            may("tagged_user_ids", Kind::Ids(0, 10)),
            may("title", Kind::Text),
            may("description", Kind::Text),
            may("embeddable", Kind::Bool),
            may("preview_media_id", Kind::Id),
            may("call_to_actions", Kind::AnyObject),
        ]),
    ),
    may("nullcast", Kind::Bool),
    may("paid_partnership", Kind::Bool),
    may(
        "poll",
        Kind::Object(&[
            must("options", Kind::Texts(2, 4, 25)),
            must("duration_minutes", Kind::Int(5, 10_080)),
            may("reply_settings", AUDIENCE),
        ]),
    ),
    may("quote_tweet_id", Kind::Id),
    may(
        "reply",
        Kind::Object(&[
            must("in_reply_to_tweet_id", Kind::Id),
            may("exclude_reply_user_ids", Kind::Ids(0, 100)),
            may("auto_populate_reply_metadata", Kind::Bool),
        ]),
    ),
    may("reply_settings", AUDIENCE),
    may("share_with_followers", Kind::Bool),
    may("text", Kind::Text),
];

/// `POST /2/media/upload/initialize`. Its schema marks nothing as required; without these three an
/// upload cannot begin, so the stand-in asks for them.
pub(super) const INITIALIZE: &[Field] = &[
    must(
        "media_category",
        Kind::OneOf(&[
            "amplify_video",
            "tweet_gif",
            "tweet_image",
            "tweet_video",
            "dm_gif",
            "dm_image",
            "dm_video",
            "subtitles",
        ]),
    ),
    must(
        "media_type",
        Kind::OneOf(&[
            "video/mp4",
            "video/webm",
            "video/mp2t",
            "video/quicktime",
            "text/srt",
            "text/vtt",
            "image/jpeg",
            "image/gif",
            "image/bmp",
            "image/png",
            "image/webp",
            "image/pjpeg",
            "image/tiff",
            "model/gltf-binary",
            "model/vnd.usdz+zip",
        ]),
    ),
    must("total_bytes", Kind::Int(0, 17_179_869_184)),
    may("shared", Kind::Bool),
    may("additional_owners", Kind::Ids(0, 100)),
];

/// `POST /2/media/metadata`, as far as alternative text goes.
pub(super) const METADATA: &[Field] = &[
    must("id", Kind::Id),
    may("metadata", Kind::Object(&[may("alt_text", Kind::Object(&[must("text", Kind::Short(1000))]))])),
];

/// A parameter, its value and what is wrong with it.
pub(super) type Fault = (String, String, String);

/// Everything that is wrong with `value`, judged as an object of `fields`.
pub(super) fn faults(value: &Value, fields: &[Field]) -> Vec<Fault> {
    let mut found = Vec::new();
    object(value, fields, "", &mut found);
    found
}

fn object(value: &Value, fields: &[Field], path: &str, found: &mut Vec<Fault>) {
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let Some(map) = value.as_object() else {
        found.push((path.to_owned(), brief(value), format!("[{path}] is not an object")));
        return;
    };
    for (name, value) in map {
        match fields.iter().find(|it| it.name == name) {
            Some(field) => property(value, &field.kind, &at(name), found),
            None => found.push((at(name), brief(value), format!("The property [{}] is not known", at(name)))),
        }
    }
    for field in fields.iter().filter(|it| it.required && !map.contains_key(it.name)) {
        found.push((at(field.name), String::new(), format!("The property [{}] is required", at(field.name))));
    }
}

fn property(value: &Value, kind: &Kind, path: &str, found: &mut Vec<Fault>) {
    let list = |min: usize, max: usize, good: &dyn Fn(&str) -> bool| {
        value.as_array().is_some_and(|all| {
            (min..=max).contains(&all.len()) && all.iter().all(|it| it.as_str().is_some_and(good))
        })
    };
    let good = match kind {
        Kind::Text => value.is_string(),
        Kind::Bool => value.is_boolean(),
        Kind::Id => value.as_str().is_some_and(super::is_id),
        Kind::Ids(min, max) => list(*min, *max, &super::is_id),
        Kind::Texts(min, max, chars) => list(*min, *max, &|it| (1..=*chars).contains(&it.chars().count())),
        Kind::Int(min, max) => value.as_i64().is_some_and(|it| (*min..=*max).contains(&it)),
        Kind::OneOf(names) => value.as_str().is_some_and(|it| names.contains(&it)),
        Kind::Short(max) => value.as_str().is_some_and(|it| it.chars().count() <= *max),
        Kind::AnyObject => value.is_object(),
        Kind::Object(fields) => return object(value, fields, path, found),
    };
    if !good {
        found.push((
            path.to_owned(),
            brief(value),
            format!("[{}] is not a valid value for [{path}]", brief(value)),
        ));
    }
}

/// The value as X echoes it: strings bare, the rest as JSON, long ones cut.
fn brief(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(100).collect()
}
