//! What the API takes in a body: every field by its name, its kind, its words and its length
//! (…/shares/posts-api, images-api, videos-api, multiimage-post-api, poll-post-api).

use serde_json::Value;

use super::media::Noun;
use super::{error, fields, invalid};
use crate::sandbox::wire::Answer;

const COMMENTARY_MAX: usize = 3_000;
const ALT_MAX: usize = 4_086;
const COMMENT_MAX: usize = 1_250;
const QUESTION_MAX: usize = 140;
const CHOICE_MAX: usize = 30;
const IMAGES: std::ops::RangeInclusive<usize> = 2..=20;
const CHOICES: std::ops::RangeInclusive<usize> = 2..=4;
const VIDEO_BYTES: std::ops::RangeInclusive<u64> = 75_000..=500_000_000;
const DURATIONS: &[&str] = &["ONE_DAY", "THREE_DAYS", "SEVEN_DAYS", "FOURTEEN_DAYS"];

/// Of names that the network gives.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
}

/// The kind and the name in a URN of one of these kinds.
pub(super) fn urn<'a>(at: &str, value: &'a Value, kinds: &[&str]) -> Result<(&'a str, &'a str), Answer> {
    let text = value.as_str().ok_or_else(|| invalid(at))?;
    let Some((kind, id)) = text.strip_prefix("urn:li:").and_then(|it| it.split_once(':')) else {
        return Err(error(400, "INVALID_URN_ID", 0, &format!("{at}: {text} is no URN")).because(at));
    };
    if !kinds.contains(&kind) {
        let why = format!("{at}: {text} is not one of {}", kinds.join(", "));
        return Err(error(400, "INVALID_URN_TYPE", 0, &why).because(why));
    }
    let numbered = matches!(kind, "share" | "ugcPost");
    if !is_name(id) || (numbered && !id.bytes().all(|it| it.is_ascii_digit())) {
        return Err(error(400, "INVALID_URN_ID", 0, &format!("{at}: {text} is not valid")).because(at));
    }
    Ok((kind, id))
}

/// One of these words.
fn word(at: &str, value: &Value, words: &[&str]) -> Result<(), Answer> {
    if value.as_str().is_some_and(|it| words.contains(&it)) { Ok(()) } else { Err(invalid(at)) }
}

fn too_long(at: &str) -> Answer {
    let why = format!("{at} exceeds the maximum length");
    error(400, "FIELD_LENGTH_TOO_LONG", 0, &why).because(why)
}

/// Text with something in it, and no more than `max` characters.
fn text<'a>(at: &str, value: &'a Value, max: usize) -> Result<&'a str, Answer> {
    let text = line(at, value, max)?;
    if text.trim().is_empty() {
        let why = format!("{at} is blank");
        return Err(error(400, "INVALID_VALUE_BLANK_FIELD", 0, &why).because(why));
    }
    Ok(text)
}

/// Text that may be empty.
fn line<'a>(at: &str, value: &'a Value, max: usize) -> Result<&'a str, Answer> {
    let text = value.as_str().ok_or_else(|| invalid(at))?;
    if text.chars().count() > max { Err(too_long(at)) } else { Ok(text) }
}

/// What is made of a field that need not be there.
fn if_there(
    at: &str,
    whole: &Value,
    name: &str,
    check: impl Fn(&str, &Value) -> Result<(), Answer>,
) -> Result<(), Answer> {
    whole.get(name).map_or(Ok(()), |it| check(&format!("{at}/{name}"), it))
}

fn flag(at: &str, value: &Value) -> Result<(), Answer> {
    if value.is_boolean() { Ok(()) } else { Err(invalid(at)) }
}

fn objects(at: &str, value: &Value) -> Result<(), Answer> {
    let all = value.as_array().is_some_and(|all| all.iter().all(Value::is_object));
    if all { Ok(()) } else { Err(invalid(at)) }
}

fn list<'a>(
    at: &str,
    value: &'a Value,
    count: &std::ops::RangeInclusive<usize>,
) -> Result<&'a Vec<Value>, Answer> {
    let all = value.as_array().filter(|it| count.contains(&it.len()));
    all.ok_or_else(|| invalid(&format!("{at} has {} to {} entries, and so it", count.start(), count.end())))
}

/// `commentary`: counted as it can come out largest, for its unit is not documented.
pub(super) fn commentary(at: &str, value: &Value) -> Result<(), Answer> {
    let text = text(at, value, usize::MAX)?;
    if text.encode_utf16().count() > COMMENTARY_MAX { Err(too_long(at)) } else { Ok(()) }
}

/// The body of `POST /rest/posts`.
pub(super) fn post(body: &Value) -> Result<(), Answer> {
    let required = ["author", "commentary", "visibility", "distribution", "lifecycleState"];
    let known = [&required[..], &["content", "isReshareDisabledByAuthor", "reshareContext"]].concat();
    fields("", body, &known, &required)?;
    urn("/author", &body["author"], &["person", "organization"])?;
    commentary("/commentary", &body["commentary"])?;
    word("/visibility", &body["visibility"], &["PUBLIC", "CONNECTIONS", "LOGGED_IN", "CONTAINER"])?;
    let (at, it) = ("/distribution", &body["distribution"]);
    let lists = ["targetEntities", "thirdPartyDistributionChannels"];
    fields(at, it, &["feedDistribution", lists[0], lists[1]], &["feedDistribution"])?;
    word("/distribution/feedDistribution", &it["feedDistribution"], &["MAIN_FEED", "NONE"])?;
    for name in lists {
        if_there(at, it, name, objects)?;
    }
    word("/lifecycleState", &body["lifecycleState"], &["PUBLISHED"])?;
    if_there("", body, "isReshareDisabledByAuthor", flag)?;
    if_there("", body, "content", content)?;
    if_there("", body, "reshareContext", |at, it| {
        fields(at, it, &["parent"], &["parent"])?;
        urn(&format!("{at}/parent"), &it["parent"], &["share", "ugcPost"]).map(drop)
    })
}

/// Exactly one of its shapes.
fn content(at: &str, content: &Value) -> Result<(), Answer> {
    fields(at, content, &["media", "multiImage", "article", "poll"], &[])?;
    let mut shapes = content.as_object().into_iter().flatten();
    let (Some((shape, it)), None) = (shapes.next(), shapes.next()) else {
        return Err(invalid("/content, which has one shape,"));
    };
    let at = format!("{at}/{shape}");
    match shape.as_str() {
        "media" => {
            fields(&at, it, &["id", "title", "altText"], &["id"])?;
            let (kind, _) = urn(&format!("{at}/id"), &it["id"], &["image", "video", "document"])?;
            if kind == "document" && it.get("title").is_none() {
                let why = format!("{at}/title is required of a document");
                return Err(error(400, "MISSING_FIELD", 0, &why).because(why));
            }
            if_there(&at, it, "title", |at, it| text(at, it, usize::MAX).map(drop))?;
            if_there(&at, it, "altText", |at, it| line(at, it, ALT_MAX).map(drop))
        }
        "multiImage" => {
            fields(&at, it, &["images"], &["images"])?;
            for image in list(&format!("{at}/images"), &it["images"], &IMAGES)? {
                let at = format!("{at}/images");
                fields(&at, image, &["id", "altText"], &["id"])?;
                urn(&format!("{at}/id"), &image["id"], &["image"])?;
                if_there(&at, image, "altText", |at, it| line(at, it, ALT_MAX).map(drop))?;
            }
            Ok(())
        }
        "article" => {
            fields(&at, it, &["source", "title", "description", "thumbnail"], &["source", "title"])?;
            let source = text(&format!("{at}/source"), &it["source"], usize::MAX)?;
            if !source.starts_with("https://") && !source.starts_with("http://") {
                return Err(invalid(&format!("{at}/source")));
            }
            text(&format!("{at}/title"), &it["title"], usize::MAX)?;
            if_there(&at, it, "description", |at, it| line(at, it, usize::MAX).map(drop))?;
            if_there(&at, it, "thumbnail", |at, it| urn(at, it, &["image"]).map(drop))
        }
        _ => poll(&at, it),
    }
}

fn poll(at: &str, poll: &Value) -> Result<(), Answer> {
    let all = ["question", "options", "settings"];
    fields(at, poll, &all, &all)?;
    text(&format!("{at}/question"), &poll["question"], QUESTION_MAX)?;
    for it in list(&format!("{at}/options"), &poll["options"], &CHOICES)? {
        fields(&format!("{at}/options"), it, &["text"], &["text"])?;
        text(&format!("{at}/options/text"), &it["text"], CHOICE_MAX)?;
    }
    fields(&format!("{at}/settings"), &poll["settings"], &["duration"], &["duration"])?;
    word(&format!("{at}/settings/duration"), &poll["settings"]["duration"], DURATIONS)
}

/// The body of a partial update: what may be set, and something of it.
pub(super) fn update(body: &Value) -> Result<(), Answer> {
    fields("", body, &["patch"], &["patch"])?;
    fields("/patch", &body["patch"], &["$set"], &["$set"])?;
    let (at, set) = ("/patch/$set", &body["patch"]["$set"]);
    let links = ["contentCallToActionLabel", "contentLandingPage"];
    fields(at, set, &["commentary", links[0], links[1]], &[])?;
    if set.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(invalid("/patch/$set, in which nothing is set,"));
    }
    for name in links {
        if_there(at, set, name, |at, it| line(at, it, usize::MAX).map(drop))?;
    }
    if_there(at, set, "commentary", commentary)
}

/// The body of `initializeUpload`.
pub(super) fn begin(noun: Noun, body: &Value) -> Result<(), Answer> {
    let (name, at) = ("initializeUploadRequest", "/initializeUploadRequest");
    let known: &[&str] = match noun {
        Noun::Video => &["owner", "fileSizeBytes", "uploadCaptions", "uploadThumbnail"],
        _ => &["owner"],
    };
    fields("", body, &[name], &[name])?;
    fields(at, &body[name], known, known)?;
    urn(&format!("{at}/owner"), &body[name]["owner"], &["person", "organization"])?;
    if noun == Noun::Video {
        for field in &known[2..] {
            flag(&format!("{at}/{field}"), &body[name][field])?;
        }
        let size = body[name]["fileSizeBytes"].as_u64();
        size.filter(|it| VIDEO_BYTES.contains(it)).ok_or_else(|| invalid(&format!("{at}/fileSizeBytes")))?;
    }
    Ok(())
}

/// The body of `finalizeUpload`.
pub(super) fn finish(body: &Value) -> Result<(), Answer> {
    let (name, at) = ("finalizeUploadRequest", "/finalizeUploadRequest");
    let known = ["video", "uploadToken", "uploadedPartIds"];
    fields("", body, &[name], &[name])?;
    fields(at, &body[name], &known, &known)?;
    urn(&format!("{at}/video"), &body[name]["video"], &["video"])?;
    line(&format!("{at}/uploadToken"), &body[name]["uploadToken"], usize::MAX)?;
    let all = list(&format!("{at}/uploadedPartIds"), &body[name]["uploadedPartIds"], &(1..=usize::MAX))?;
    if all.iter().all(Value::is_string) { Ok(()) } else { Err(invalid(&format!("{at}/uploadedPartIds"))) }
}

/// The body of a comment.
pub(super) fn comment(body: &Value) -> Result<(), Answer> {
    let required = ["actor", "object", "message"];
    fields("", body, &["actor", "object", "message", "parentComment", "content"], &required)?;
    urn("/actor", &body["actor"], &["person", "organization"])?;
    line("/object", &body["object"], usize::MAX)?;
    if_there("", body, "parentComment", |at, it| line(at, it, usize::MAX).map(drop))?;
    if_there("", body, "content", objects)?;
    fields("/message", &body["message"], &["text", "attributes"], &["text"])?;
    if_there("/message", &body["message"], "attributes", objects)?;
    let text = text("/message/text", &body["message"]["text"], usize::MAX)?;
    if text.encode_utf16().count() > COMMENT_MAX { Err(too_long("/message/text")) } else { Ok(()) }
}
