//! The post record and its key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::richtext::{self, Feature};
use super::{COLLECTION, Failure, FailureClass, Job};

/// The 32 characters of a TID, in the order of their values (atproto.com/specs/tid).
const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// A record key: 53 bits of microseconds since 1970 and 10 bits of chance, as 13 characters.
pub fn tid(now: Timestamp, random: [u8; 8]) -> String {
    let micros = u64::try_from(now.as_microsecond()).unwrap_or(0) & ((1 << 53) - 1);
    let clock = u64::from_le_bytes(random) & 0x3FF;
    let value = micros << 10 | clock;
    (0..13).rev().map(|n| char::from(ALPHABET[(value >> (n * 5) & 31) as usize])).collect()
}

/// 13 characters of the alphabet, the first one of the lower half (the top bit is zero).
pub fn is_tid(text: &str) -> bool {
    text.len() == 13
        && text.bytes().all(|b| ALPHABET.contains(&b))
        && text.bytes().next().is_some_and(|b| ALPHABET[..16].contains(&b))
}

/// Language tags of the `langs` option: one to three BCP 47 tags.
pub fn langs(option: &str) -> Result<Vec<String>, String> {
    let tags: Vec<String> = option.split(',').map(|it| it.trim().to_owned()).collect();
    if tags.len() > 3 {
        return Err(format!("Bluesky takes at most three languages, `{option}` names {}", tags.len()));
    }
    let fits = |tag: &String| {
        let mut parts = tag.split('-');
        parts
            .next()
            .is_some_and(|it| (2..=3).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphabetic()))
            && parts.all(|it| (1..=8).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    match tags.iter().find(|it| !fits(it)) {
        Some(tag) => Err(format!("`{tag}` is not a language tag")),
        None => Ok(tags),
    }
}

/// Builds the whole record. `dids` are the resolved mentions, `blobs` the uploaded images in order.
pub fn build(
    job: &Job<'_>,
    dids: &BTreeMap<String, String>,
    blobs: &[Value],
    now: Timestamp,
) -> Result<Value, Failure> {
    let mut record = json!({
        "$type": COLLECTION,
        "text": job.text,
        "createdAt": now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    });
    if let Some(tags) = job.options.get("langs").and_then(|it| langs(it).ok()) {
        record["langs"] = json!(tags);
    }
    let facets = facets(job.text, dids);
    if !facets.is_empty() {
        record["facets"] = json!(facets);
    }
    if !blobs.is_empty() {
        let images: Vec<_> = job
            .media
            .iter()
            .zip(blobs)
            .map(|(item, blob)| {
                let mut image = json!({ "alt": item.alt.as_deref().unwrap_or_default(), "image": blob });
                if item.width > 0 && item.height > 0 {
                    image["aspectRatio"] = json!({ "width": item.width, "height": item.height });
                }
                image
            })
            .collect();
        record["embed"] = json!({ "$type": "app.bsky.embed.images", "images": images });
    }
    if let (Some(root), Some(parent)) = (job.before.first(), job.before.last()) {
        let reference = |step: &crate::domain::delivery::Step| {
            let cid = step.extra.get("cid");
            step.remote_id.as_ref().zip(cid).map(|(uri, cid)| json!({ "uri": uri, "cid": cid }))
        };
        match reference(root).zip(reference(parent)) {
            Some((root, parent)) => record["reply"] = json!({ "root": root, "parent": parent }),
            None => {
                return Err(Failure {
                    class: FailureClass::InvalidContent,
                    message: "the part before this one is live but has no address to reply to".into(),
                    hint: Some("publish the rest by hand".into()),
                    until: None,
                });
            }
        }
    }
    Ok(record)
}

/// Facets with UTF-8 byte offsets; the server does not check them, so `detect` must be right.
/// A mention that did not resolve is left out and stays plain text.
fn facets(text: &str, dids: &BTreeMap<String, String>) -> Vec<Value> {
    richtext::facets(text)
        .into_iter()
        .filter_map(|span| {
            let feature = match span.feature {
                Feature::Link { uri } => json!({ "$type": "app.bsky.richtext.facet#link", "uri": uri }),
                Feature::Tag { tag } => json!({ "$type": "app.bsky.richtext.facet#tag", "tag": tag }),
                Feature::Mention { handle } => {
                    json!({ "$type": "app.bsky.richtext.facet#mention", "did": dids.get(&handle)? })
                }
            };
            Some(json!({
                "index": { "byteStart": span.byte_start, "byteEnd": span.byte_end },
                "features": [feature],
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tid_is_thirteen_characters_that_sort_by_time() {
        let early = tid("2026-12-01T09:00:00Z".parse().unwrap(), [255; 8]);
        let late = tid("2026-12-01T09:00:00.000001Z".parse().unwrap(), [0; 8]);
        assert!(is_tid(&early) && is_tid(&late) && early < late, "{early} {late}");
        assert!(!is_tid("my-job-0001") && !is_tid("zzzzzzzzzzzzz") && !is_tid(&late[..12]));
    }

    #[test]
    fn a_tid_matches_the_published_layout() {
        // 0 microseconds and clock id 0 is the smallest; one microsecond is 1 << 10.
        assert_eq!(tid(Timestamp::UNIX_EPOCH, [0; 8]), "2222222222222");
        assert_eq!(tid(Timestamp::from_microsecond(1).unwrap(), [1, 0, 0, 0, 0, 0, 0, 0]), "2222222222323");
    }

    #[test]
    fn language_tags_are_checked() {
        assert_eq!(langs("de, en-GB").unwrap(), ["de", "en-GB"]);
        assert!(langs("a,b").is_err() && langs("en,de,fr,it").is_err() && langs("").is_err());
    }
}
