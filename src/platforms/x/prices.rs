//! What X takes for calls (docs.x.com/x-api/getting-started/pricing, as of 2026-08; "subject to change").
//! In millionths of a US dollar. Failed calls are not billed; uploads are not in the list of prices.
//!
//! Where a price hangs on what we cannot know, the higher one counts: a read of one's own posts costs a
//! fifth if the account is the one that owns the developer app, and nothing the second time in a day.

use serde_json::Value;

use super::urls::extract_urls;
use crate::domain::cost::Cost;
use crate::domain::media::MediaItem;
use crate::platforms::{Answer, Body, Request};

/// `POST /2/tweets`.
pub const CREATE: u64 = 15_000;
/// The same with an address in the text.
pub const CREATE_WITH_LINK: u64 = 200_000;
/// `POST /2/media/metadata`.
pub const ALT_TEXT: u64 = 5_000;
/// Each post that a read returns.
pub const READ: u64 = 5_000;
/// `GET /2/users/me`: each user that a read returns.
pub const READ_USER: u64 = 10_000;
/// `DELETE /2/tweets/{id}`; whether it counts as an interaction or as managing content (5,000) is not said.
pub const DELETE: u64 = 10_000;

fn create(text: &str) -> u64 {
    if extract_urls(text).is_empty() { CREATE } else { CREATE_WITH_LINK }
}

/// What a post costs: its parts, its alternative texts, and the read that proves each part.
pub(super) fn estimate(parts: &[&str], media: &[MediaItem]) -> Vec<Cost> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let links = parts.iter().filter(|it| create(it) == CREATE_WITH_LINK).count();
    let alts = media.iter().filter(|it| it.alt.as_deref().is_some_and(|it| !it.trim().is_empty())).count();
    let all = [
        Cost { what: "post", count: count(parts.len() - links), each: CREATE },
        Cost { what: "post with a link", count: count(links), each: CREATE_WITH_LINK },
        Cost { what: "alt text", count: count(alts), each: ALT_TEXT },
        Cost { what: "read-back", count: count(parts.len()), each: READ },
    ];
    all.into_iter().filter(|it| it.count > 0).collect()
}

/// What a call costs at least once it succeeds.
pub(super) fn ahead(call: &Request) -> u64 {
    match call.label {
        "x.create" => {
            let text = match &call.body {
                Body::Json(bytes) => serde_json::from_slice::<Value>(bytes).ok(),
                _ => None,
            };
            // The read that proves it follows as surely as it succeeds.
            create(text.as_ref().and_then(|it| it["text"].as_str()).unwrap_or_default()) + READ
        }
        "x.metadata" => ALT_TEXT,
        "x.timeline" | "x.get" => READ,
        "x.delete" => DELETE,
        _ => 0,
    }
}

/// What it did cost: nothing if it failed, and of a list each post that it shows.
pub(super) fn charged(call: &Request, answer: &Answer) -> u64 {
    if !(200..300).contains(&answer.status) {
        return 0;
    }
    match call.label {
        "x.timeline" => {
            let shown = answer.json()["data"].as_array().map_or(0, Vec::len);
            READ.saturating_mul(shown as u64)
        }
        "x.get" if answer.json()["data"].is_null() => 0,
        _ => ahead(call),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_makes_a_post_dear_with_or_without_its_scheme() {
        for (text, price) in [
            ("good morning", CREATE),
            ("", CREATE),
            ("see https://example.org/x", CREATE_WITH_LINK),
            ("see example.org", CREATE_WITH_LINK),
            ("at 9.30, v1.2", CREATE),
        ] {
            assert_eq!(create(text), price, "{text}");
        }
    }
}
