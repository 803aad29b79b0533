//! The published conformance cases of twitter-text (Apache-2.0, not part of this repository), against
//! our own counting and URL extraction. Each test names how many cases it expects, so that a group
//! cannot shrink unseen.

use sendoff::platforms::x::url_syntax::{Scheme, is_web_url};
use sendoff::platforms::x::urls::extract_urls;
use sendoff::platforms::x::weight::{Config, weighted_length};
use serde_json::{Value, json};

/// Runs one group: `answer` says what we make of the text, `want` what the case expects.
fn check(file: &str, group: &str, count: usize, answer: impl Fn(&str) -> Value) {
    let Some(path) = crate::support::conformance(&format!("data/twitter-text-{file}.json")) else { return };
    let data: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = data["tests"][group].as_array().expect("the group is there");
    let mut failures = Vec::new();
    for case in cases {
        let got = answer(case["text"].as_str().expect("a text"));
        if got != case["expected"] {
            failures.push(format!("{}\n  want {}\n  got  {got}", case["description"], case["expected"]));
        }
    }
    println!("{file}.{group}: {}/{}", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{file}.{group}:\n{}", failures.join("\n"));
    assert_eq!(cases.len(), count, "{file}.{group} has another number of cases than when this was written");
}

fn counted(text: &str, config: &Config) -> Value {
    let it = weighted_length(text, config);
    json!({
        "weightedLength": it.weight,
        "valid": it.valid,
        "permillage": it.permillage,
        "displayRangeStart": it.display_range_utf16.0,
        "displayRangeEnd": it.display_range_utf16.1,
        "validRangeStart": it.valid_range_utf16.0,
        "validRangeEnd": it.valid_range_utf16.1,
    })
}

#[test]
fn weighted_lengths_are_those_of_version_two() {
    check("validate", "WeightedTweetsCounterTest", 20, |text| counted(text, &Config::V2));
}

#[test]
fn weighted_lengths_with_emoji_are_those_of_version_three() {
    check("validate", "WeightedTweetsWithDiscountedEmojiCounterTest", 22, |text| counted(text, &Config::V3));
}

#[test]
fn directional_marks_and_refused_characters_are_counted_alike() {
    check("validate", "UnicodeDirectionalMarkerCounterTest", 2, |text| counted(text, &Config::V3));
}

#[test]
fn texts_are_valid_or_invalid_by_version_one() {
    check("validate", "tweets", 8, |text| json!(weighted_length(text, &Config::V1).valid));
}

#[test]
fn the_same_addresses_are_found() {
    check("extract", "urls", 91, |text| extract_urls(text).iter().map(|it| it.text).collect());
}

fn with_indices(text: &str) -> Value {
    let units = |byte: usize| text[..byte].encode_utf16().count();
    extract_urls(text)
        .iter()
        .map(|it| json!({ "url": it.text, "indices": [units(it.start), units(it.end)] }))
        .collect()
}

#[test]
fn addresses_are_found_at_the_same_places() {
    check("extract", "urls_with_indices", 10, with_indices);
}

#[test]
fn addresses_between_directional_marks_are_found() {
    check("extract", "urls_with_directional_markers", 2, with_indices);
}

#[test]
fn short_addresses_keep_their_query() {
    check("extract", "tco_urls_with_params", 5, |text| extract_urls(text).iter().map(|it| it.text).collect());
}

#[test]
fn whole_addresses_are_told_from_others() {
    check("validate", "urls", 24, |text| json!(is_web_url(text, Scheme::Required)));
    check("validate", "urls_without_protocol", 5, |text| json!(is_web_url(text, Scheme::Optional)));
}
