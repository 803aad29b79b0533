//! How much of a limit is used, from the headers of an answer
//! (developers.facebook.com/docs/graph-api/overview/rate-limiting). All numbers are percent of the
//! limit; the time until access is regained is in minutes. The headers come only after some use.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::platforms::{Answer, Quota};

/// Limits are counted over a rolling hour.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// How long a limit is waited for that names no end: its window but for five minutes, so that a post which may
/// be an hour late, as any may unless told otherwise, is tried once more in time.
pub const UNTOLD: SignedDuration = SignedDuration::from_mins(55);

/// Usage of the app (`X-App-Usage`) and of the account: `X-Business-Use-Case-Usage` of these types, and
/// `X-Page-Usage`, which Meta's page no longer names but some answers carry.
pub fn quotas(answer: &Answer, types: &[&str], now: Timestamp) -> Vec<Quota> {
    let header = |name: &str| serde_json::from_str::<Value>(answer.header(name)?).ok();
    let quota = |app, percent: f64, resets| Quota { app, used: percent / 100.0, left: None, resets };
    let hour = now.checked_add(WINDOW).unwrap_or(now);
    let mut found = Vec::new();
    if let Some(percent) = header("x-app-usage").as_ref().and_then(percent) {
        found.push(quota(true, percent, hour));
    }
    if let Some(percent) = header("x-page-usage").as_ref().and_then(percent) {
        found.push(quota(false, percent, hour));
    }
    for case in cases(answer).iter().filter(|it| it["type"].as_str().is_some_and(|it| types.contains(&it))) {
        if let Some(percent) = percent(case) {
            found.push(quota(false, percent, minutes(case, now).unwrap_or(hour)));
        }
    }
    found
}

/// When access comes back, if an answer says so.
pub fn regained(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    cases(answer).iter().filter_map(|it| minutes(it, now)).max()
}

/// All objects of `X-Business-Use-Case-Usage`. Its keys may be the ids of businesses, of which we
/// know nothing.
fn cases(answer: &Answer) -> Vec<Value> {
    let all =
        answer.header("x-business-use-case-usage").and_then(|it| serde_json::from_str::<Value>(it).ok());
    let all = all.and_then(|it| it.as_object().cloned()).unwrap_or_default();
    all.into_iter().filter_map(|(_, list)| list.as_array().cloned()).flatten().collect()
}

fn minutes(case: &Value, now: Timestamp) -> Option<Timestamp> {
    let minutes = case["estimated_time_to_regain_access"].as_i64().filter(|it| *it > 0)?;
    now.checked_add(SignedDuration::from_mins(minutes.min(48 * 60))).ok()
}

/// The highest of the three counts.
fn percent(usage: &Value) -> Option<f64> {
    ["call_count", "total_time", "total_cputime"]
        .iter()
        .filter_map(|name| usage[*name].as_f64())
        .filter(|it| it.is_finite())
        .max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Answer { status: 200, headers, body: Vec::new() }
    }

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_fullest_count_of_each_limit_is_what_counts() {
        let found = quotas(
            &answer(&[
                ("x-app-usage", r#"{"call_count":28,"total_time":95,"total_cputime":1}"#),
                (
                    "x-business-use-case-usage",
                    r#"{"77":[{"type":"ads_management","call_count":100},
                       {"type":"pages","call_count":100,"total_time":2,"estimated_time_to_regain_access":19}]}"#,
                ),
            ]),
            &["pages"],
            now(),
        );
        let shown: Vec<_> = found.iter().map(|it| (it.app, it.used, it.resets - now())).collect();
        let span = |minutes| jiff::Span::new().seconds(minutes * 60);
        assert!(shown[0].0 && !shown[1].0);
        assert!((shown[0].1 - 0.95).abs() < 1e-9 && (shown[1].1 - 1.0).abs() < 1e-9);
        assert_eq!(shown[0].2.fieldwise(), span(60).fieldwise());
        assert_eq!(shown[1].2.fieldwise(), span(19).fieldwise());
        assert_eq!(shown.len(), 2, "another use case is not ours");
    }

    #[test]
    fn headers_that_are_no_json_say_nothing() {
        let odd = answer(&[("x-app-usage", "{"), ("x-business-use-case-usage", "[1]")]);
        assert!(quotas(&odd, &["pages"], now()).is_empty());
        assert_eq!(regained(&odd, now()), None);
    }
}
