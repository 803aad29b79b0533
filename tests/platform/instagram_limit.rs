//! What Instagram says of the posts of a day, beside their making.

use crate::jobs::{answer, now};
use jiff::SignedDuration;
use sendoff::platforms::Platform;
use sendoff::platforms::instagram::Instagram;
use serde_json::{Value, json};

#[test]
fn what_is_used_of_a_days_posts_is_told_by_the_answer_that_says_it() {
    let of = |body: Value| Instagram.quotas(&answer(200, &body), now());
    let said = |used: i64| json!({"data": [{"quota_usage": used, "config": {"quota_total": 50, "quota_duration": 86_400}}]});
    let found = of(said(10));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].app, found[0].left, found[0].resets),
        (false, Some(40), now() + SignedDuration::from_hours(24))
    );
    assert!((found[0].used - 0.2).abs() < 1e-9);
    assert_eq!(of(said(60))[0].left, Some(0), "more than is allowed is all of it");
    assert!(of(json!({"id": "17850000000000066"})).is_empty(), "no other answer tells it");
    assert!(of(json!({"data": [{"quota_usage": 3}]})).is_empty(), "nor one without the limit");
}
