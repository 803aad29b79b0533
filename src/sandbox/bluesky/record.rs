//! What a record of `app.bsky.feed.post` may look like: the lexicon's rules, in the order in which
//! the reference server names them. Unknown fields and unknown kinds of embed pass, as they do there.

use jiff::Timestamp;
use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation as _;

use super::cbor::cid_bytes;

/// The collection of posts.
pub(super) const POST: &str = "app.bsky.feed.post";

const IMAGE_MAX: u64 = 2_000_000;
const THUMB_MAX: u64 = 1_000_000;
const VIDEO_MAX: u64 = 300_000_000;

/// A file that a record names, as it names it, with what its place allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) cid: String,
    pub(super) mime: String,
    pub(super) size: u64,
}

/// Why a record is no post.
pub(super) type Why = String;

/// Checks a post.
pub(super) fn check_post(record: &Value) -> Result<(), Why> {
    let map = record.as_object().ok_or("record is not an object")?;
    text(map, "text", 300, 3_000, true)?;
    let created =
        map.get("createdAt").and_then(Value::as_str).ok_or("must have the property \"createdAt\"")?;
    if !is_datetime(created) {
        return Err(format!("createdAt must be an RFC 3339 datetime with a zone (got `{created}`)"));
    }
    list(map, "langs", 3, |it| {
        let fine = it.as_str().is_some_and(|it| {
            !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
        });
        if fine { Ok(()) } else { Err("a language is not a BCP 47 tag".to_owned()) }
    })?;
    list(map, "tags", 8, |it| limited(it, "tags", 64, 640))?;
    list(map, "facets", usize::MAX, facet)?;
    if let Some(reply) = map.get("reply") {
        strong_ref(&reply["root"], "reply.root")?;
        strong_ref(&reply["parent"], "reply.parent")?;
    }
    if let Some(labels) = map.get("labels")
        && labels["$type"] == "com.atproto.label.defs#selfLabels"
    {
        let values = labels["values"].as_array().ok_or("labels.values must be an array")?;
        if values.len() > 10 || values.iter().any(|it| !it["val"].is_string()) {
            return Err("labels.values must hold up to 10 objects with `val`".to_owned());
        }
    }
    match map.get("embed") {
        Some(it) => embed(it),
        None => Ok(()),
    }
}

fn embed(embed: &Value) -> Result<(), Why> {
    let kind = embed["$type"].as_str().ok_or("embed must have a $type")?;
    match kind {
        "app.bsky.embed.images" => pictures(embed, "images", 4, false),
        "app.bsky.embed.gallery" => pictures(embed, "items", 20, true),
        "app.bsky.embed.external" => {
            let card = embed["external"].as_object().ok_or("embed.external must be an object")?;
            for name in ["uri", "title", "description"] {
                if !card.get(name).is_some_and(Value::is_string) {
                    return Err(format!("embed.external must have the property \"{name}\""));
                }
            }
            if !is_uri(&embed["external"]["uri"]) {
                return Err("embed.external.uri must be a uri".to_owned());
            }
            card.get("thumb").map_or(Ok(()), |it| blob(it, "image/", THUMB_MAX, "embed.external.thumb"))
        }
        "app.bsky.embed.record" => strong_ref(&embed["record"], "embed.record"),
        "app.bsky.embed.recordWithMedia" => {
            strong_ref(&embed["record"]["record"], "embed.record.record")?;
            self::embed(&embed["media"])
        }
        "app.bsky.embed.video" => blob(&embed["video"], "video/mp4", VIDEO_MAX, "embed.video"),
        _ => Ok(()),
    }
}

fn pictures(embed: &Value, name: &str, max: usize, ratio_required: bool) -> Result<(), Why> {
    let all = embed[name].as_array().ok_or_else(|| format!("embed must have the property \"{name}\""))?;
    if all.len() > max {
        return Err(format!("array too big (maximum {max}, got {}) at $.embed.{name}", all.len()));
    }
    for it in all {
        if !it["alt"].is_string() {
            return Err(format!("embed.{name} must have the property \"alt\""));
        }
        blob(&it["image"], "image/", IMAGE_MAX, &format!("embed.{name}.image"))?;
        match it.get("aspectRatio") {
            None if ratio_required => return Err("aspectRatio is required".to_owned()),
            None => {}
            Some(ratio) => {
                let side = |name: &str| ratio[name].as_u64().is_some_and(|it| it >= 1);
                if !side("width") || !side("height") {
                    return Err("aspectRatio must have a width and a height of at least 1".to_owned());
                }
            }
        }
    }
    Ok(())
}

/// A blob reference of the right type and size.
fn blob(value: &Value, mime: &str, max: u64, at: &str) -> Result<(), Why> {
    let named = named(value).ok_or_else(|| format!("{at} must be a blob ref"))?;
    if !named.mime.starts_with(mime) {
        return Err(format!("Wrong type of file at {at}: it is {}, and must be {mime}", named.mime));
    }
    if named.size > max {
        return Err(format!("This file is too large: {} bytes at {at}, the maximum is {max}", named.size));
    }
    Ok(())
}

fn named(value: &Value) -> Option<Named> {
    let map = value.as_object()?;
    let known = ["$type", "ref", "mimeType", "size"];
    if map.get("$type")? != "blob" || map.keys().any(|it| !known.contains(&it.as_str())) {
        return None;
    }
    let cid = map.get("ref")?.get("$link")?.as_str()?.to_owned();
    cid_bytes(&cid)?;
    Some(Named { cid, mime: map.get("mimeType")?.as_str()?.to_owned(), size: map.get("size")?.as_u64()? })
}

/// Every blob reference anywhere in a record, well formed or not.
pub(super) fn blobs(record: &Value) -> Result<Vec<Named>, Why> {
    let mut found = Vec::new();
    collect(record, &mut found)?;
    Ok(found)
}

fn collect(value: &Value, found: &mut Vec<Named>) -> Result<(), Why> {
    match value {
        Value::Object(map) if map.get("$type").is_some_and(|it| it == "blob") => {
            found.push(named(value).ok_or("a blob ref is malformed")?);
            Ok(())
        }
        Value::Object(map) => map.values().try_for_each(|it| collect(it, found)),
        Value::Array(all) => all.iter().try_for_each(|it| collect(it, found)),
        _ => Ok(()),
    }
}

/// Alternative text and content id of each picture of a post.
pub(super) fn images(record: &Value) -> Vec<(String, String)> {
    let embed = match record["embed"]["$type"].as_str() {
        Some("app.bsky.embed.recordWithMedia") => &record["embed"]["media"],
        _ => &record["embed"],
    };
    let all = embed["images"].as_array().or_else(|| embed["items"].as_array());
    all.into_iter()
        .flatten()
        .map(|it| {
            let alt = it["alt"].as_str().unwrap_or_default().to_owned();
            (alt, it["image"]["ref"]["$link"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn text(
    map: &Map<String, Value>,
    name: &str,
    graphemes: usize,
    bytes: usize,
    required: bool,
) -> Result<(), Why> {
    match map.get(name) {
        None if required => Err(format!("must have the property \"{name}\"")),
        None => Ok(()),
        Some(value) => limited(value, name, graphemes, bytes),
    }
}

fn limited(value: &Value, name: &str, graphemes: usize, bytes: usize) -> Result<(), Why> {
    let text = value.as_str().ok_or_else(|| format!("{name} must be a string"))?;
    if text.len() > bytes {
        return Err(format!("string too big (maximum {bytes}, got {}) at $.{name}", text.len()));
    }
    let count = text.graphemes(true).count();
    if count > graphemes {
        return Err(format!("grapheme too big (maximum {graphemes}, got {count}) at $.{name}"));
    }
    Ok(())
}

fn list(
    map: &Map<String, Value>,
    name: &str,
    max: usize,
    each: impl Fn(&Value) -> Result<(), Why>,
) -> Result<(), Why> {
    let Some(value) = map.get(name) else { return Ok(()) };
    let all = value.as_array().ok_or_else(|| format!("{name} must be an array"))?;
    if all.len() > max {
        return Err(format!("array too big (maximum {max}, got {}) at $.{name}", all.len()));
    }
    all.iter().try_for_each(each)
}

/// A facet's form. Where its offsets lie is not checked: the network does not either.
fn facet(facet: &Value) -> Result<(), Why> {
    let index = &facet["index"];
    if index["byteStart"].as_u64().is_none() || index["byteEnd"].as_u64().is_none() {
        return Err("facets.index must have byteStart and byteEnd, whole numbers from 0".to_owned());
    }
    let features = facet["features"].as_array().ok_or("facets.features must be an array")?;
    for feature in features {
        let fine = match feature["$type"].as_str().ok_or("a feature must have a $type")? {
            "app.bsky.richtext.facet#link" => is_uri(&feature["uri"]),
            "app.bsky.richtext.facet#mention" => is_did(&feature["did"]),
            "app.bsky.richtext.facet#tag" => limited(&feature["tag"], "tag", 64, 640).is_ok(),
            _ => true,
        };
        if !fine {
            return Err(format!("the feature {feature} is malformed"));
        }
    }
    Ok(())
}

fn strong_ref(value: &Value, at: &str) -> Result<(), Why> {
    let uri = value["uri"]
        .as_str()
        .and_then(|it| it.strip_prefix("at://"))
        .ok_or_else(|| format!("{at}.uri must be an at-uri"))?;
    let parts: Vec<&str> = uri.split('/').collect();
    if parts.len() != 3 || parts.iter().any(|it| it.is_empty()) {
        return Err(format!("{at}.uri must name a record"));
    }
    if value["cid"].as_str().and_then(cid_bytes).is_none() {
        return Err(format!("{at}.cid must be a cid"));
    }
    Ok(())
}

fn is_uri(value: &Value) -> bool {
    value.as_str().is_some_and(|it| {
        let scheme = it.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        it.len() <= 8_192
            && !scheme.is_empty()
            && !it.contains(char::is_whitespace)
            && url::Url::parse(it).is_ok()
    })
}

fn is_did(value: &Value) -> bool {
    value.as_str().is_some_and(|it| it.starts_with("did:plc:") || it.starts_with("did:web:"))
}

/// RFC 3339 as the lexicon wants it: a `T`, seconds, and `Z` or an offset.
fn is_datetime(text: &str) -> bool {
    let zoned =
        text.ends_with('Z') || text.len() > 6 && text.as_bytes()[text.len() - 6].is_ascii_punctuation();
    text.len() >= 20
        && text.as_bytes()[10] == b'T'
        && text.as_bytes()[16] == b':'
        && zoned
        && !text.ends_with("-00:00")
        && !text.contains('[')
        && text.parse::<Timestamp>().is_ok()
}

/// A TID: 13 characters of the sortable base32, the first of its lower half.
pub(super) fn is_tid(text: &str) -> bool {
    const ALPHABET: &str = "234567abcdefghijklmnopqrstuvwxyz";
    text.len() == 13
        && text.chars().all(|it| ALPHABET.contains(it))
        && text.starts_with(|it| ALPHABET[..16].contains(it))
}

/// The TID of a number of 63 bits.
pub(super) fn tid(value: i64) -> String {
    const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    (0..13)
        .rev()
        .map(|at| char::from(ALPHABET[usize::try_from(value >> (at * 5) & 31).unwrap_or(0)]))
        .collect()
}
