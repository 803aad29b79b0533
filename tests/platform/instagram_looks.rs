//! Instagram's connector on what is there already: what containers, lists and comments show of a post.

use jiff::SignedDuration;
use sendoff::domain::door::Door;
use sendoff::platforms::instagram::Instagram;
use sendoff::platforms::{Answer, Class, Failure, FailureClass, Platform, Reading, Sight, Verdict};
use serde_json::{Value, json};

use super::{comment_job, film, jpeg, obliging, owned, walk};
use crate::jobs::{Owned, answer, live_step, now, shown};

/// What a container's answer shows after a lost answer.
pub(super) fn look(post: &Owned, said: &Value) -> Sight {
    let (_, frozen) = walk(&post.job(), obliging);
    Instagram.seen(&post.job(), &frozen, &answer(200, said), now(), &|_| false, now())
}

/// A list, each `(id, seconds after the intent, caption, product type)`.
fn listed(posts: &[(&str, i64, &str, &str)]) -> Answer {
    let rows: Vec<Value> = posts
        .iter()
        .map(|(id, after, caption, product)| {
            let at = now() + SignedDuration::from_secs(*after);
            json!({ "id": id, "caption": caption, "media_product_type": product,
                "permalink": format!("https://www.instagram.com/p/{id}/"),
                "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string() })
        })
        .collect();
    answer(200, &json!({ "data": rows }))
}

/// What the list shows that is read after the container said `state`.
fn after(post: &Owned, state: &str, list: &Answer, minutes: i64, bound: &[&str]) -> Sight {
    let (_, frozen) = walk(&post.job(), obliging);
    let said = match state {
        "MISSING" => {
            answer(400, &json!({ "error": { "code": 100, "error_subcode": 33, "message": "gone" } }))
        }
        _ => answer(200, &json!({ "id": frozen.marker, "status_code": state, "status": "Error 2207026" })),
    };
    let call = match Instagram.seen(&post.job(), &frozen, &said, now(), &|_| false, now()) {
        Sight::Out(call) if state == "PUBLISHED" => call,
        Sight::More(call) if state != "PUBLISHED" => call,
        other => panic!("{state}: the list is read next, not {other:?}"),
    };
    let said = Reading { call: &call, answer: list };
    let at = now() + SignedDuration::from_mins(minutes);
    Instagram.seen_in(&post.job(), &frozen, said, now(), &|id| bound.contains(&id), at)
}

fn found(sight: &Sight) -> Option<&str> {
    match sight {
        Sight::Found(live) if live.verified => live.remote_id.as_deref(),
        _ => None,
    }
}

#[test]
fn a_container_that_could_still_publish_is_absent_and_one_at_work_is_waited_for() {
    let post = owned(Door::Instagram, "A loaf", vec![jpeg(1)], &[]);
    let state = |word: &str| json!({ "id": "17850000000000001", "status_code": word });
    assert_eq!(look(&post, &state("FINISHED")), Sight::Absent);
    assert!(matches!(
        look(&post, &state("IN_PROGRESS")),
        Sight::Unclear(Failure { class: FailureClass::NotReady, .. })
    ));
    for odd in [json!({}), state("NEW"), json!({ "id": "99", "status_code": "FINISHED" })] {
        assert!(matches!(look(&post, &odd), Sight::Unclear(_)), "{odd}");
    }
}

#[test]
fn what_a_container_became_is_found_by_words_time_and_kind_and_never_by_being_the_newest() {
    let post = owned(Door::Instagram, "A loaf\r\n", vec![jpeg(1)], &[]);
    let ours = listed(&[("9", 70, "Other", "FEED"), ("8", 3, "A loaf", "FEED"), ("7", 3, "A loaf", "REELS")]);
    let sight = after(&post, "PUBLISHED", &ours, 1, &[]);
    assert_eq!(found(&sight), Some("8"));
    let Sight::Found(live) = sight else { panic!("found") };
    assert_eq!(live.permalink.as_deref(), Some("https://www.instagram.com/p/8/"));
    for none in [listed(&[("8", -70, "A loaf", "FEED")]), listed(&[])] {
        // It is live for certain. If the list never shows it, which of the posts it is will never be known.
        let sight = after(&post, "PUBLISHED", &none, 1, &[]);
        assert!(
            matches!(sight, Sight::Unlisted(live) if live.remote_id.is_none()),
            "it may not be listed yet"
        );
    }
    let twice = listed(&[("8", 3, "A loaf", "FEED"), ("7", 4, "A loaf", "FEED")]);
    assert!(
        matches!(after(&post, "PUBLISHED", &twice, 1, &[]), Sight::Found(live) if live.remote_id.is_none())
    );
    assert_eq!(found(&after(&post, "PUBLISHED", &twice, 1, &["8"])), Some("7"));
}

#[test]
fn a_container_that_failed_or_ended_is_believed_only_after_the_list() {
    let post = owned(Door::Instagram, "A reel", vec![film(1)], &[]);
    let (none, there) = (listed(&[]), listed(&[("8", 3, "A reel", "REELS")]));
    for state in ["ERROR", "EXPIRED", "MISSING"] {
        assert_eq!(found(&after(&post, state, &there, 1, &[])), Some("8"), "{state}");
    }
    assert!(matches!(after(&post, "ERROR", &none, 1, &[]), Sight::Failed(_)));
    assert_eq!(after(&post, "EXPIRED", &none, 1, &[]), Sight::Gone);
    assert!(matches!(after(&post, "MISSING", &none, 60, &[]), Sight::Unclear(_)), "that proves nothing");
    let broken = answer(500, &json!({ "data": [] }));
    assert!(matches!(after(&post, "EXPIRED", &broken, 1, &[]), Sight::Unclear(_)));
    // Another picture without words could be this one, also where it is live for certain.
    let mute = owned(Door::Instagram, "", vec![jpeg(1)], &[]);
    let theirs = listed(&[("8", 3, "", "FEED")]);
    assert!(matches!(after(&mute, "EXPIRED", &theirs, 1, &[]), Sight::Disputed { .. }));
    assert_eq!(found(&after(&mute, "PUBLISHED", &theirs, 1, &[])), None);
}

#[test]
fn a_list_that_goes_on_is_read_to_its_end_under_the_same_question() {
    let post = owned(Door::Instagram, "A loaf", vec![jpeg(1)], &[]);
    let mut more = listed(&[("9", 3, "Other", "FEED")]).json();
    more["paging"] = json!({ "next": "https://graph.instagram.com/x?access_token=T&after=QVFI" });
    let Sight::More(call) = after(&post, "EXPIRED", &answer(200, &more), 1, &[]) else { panic!("more") };
    assert!(shown(&call).contains("after=QVFI") && !shown(&call).contains("access_token"));
    let (_, frozen) = walk(&post.job(), obliging);
    let said = Reading { call: &call, answer: &answer(200, &more) };
    let Sight::More(third) = Instagram.seen_in(&post.job(), &frozen, said, now(), &|_| false, now()) else {
        panic!("more")
    };
    assert_eq!(third.query.iter().filter(|it| it.0 == "after").count(), 1);
    let said = Reading { call: &third, answer: &listed(&[]) };
    assert_eq!(Instagram.seen_in(&post.job(), &frozen, said, now(), &|_| false, now()), Sight::Gone);
}

#[test]
fn a_comment_has_no_handle_and_is_found_only_if_the_account_wrote_it() {
    let mut comment = owned(Door::Instagram, "First!", Vec::new(), &[]);
    comment.before = vec![live_step("17900000000000001", "")];
    let job = comment_job(&comment);
    assert_eq!(Instagram.class(&job), Class::Opaque);
    assert_eq!(Instagram.class(&owned(Door::Instagram, "x", vec![jpeg(1)], &[]).job()), Class::Handle);
    let (_, frozen) = walk(&job, obliging);
    let look = |by: &str| {
        let list = json!({ "data": [{ "id": "5", "text": "First!", "username": by, "timestamp": now().to_string() }] });
        Instagram.seen(&job, &frozen, &answer(200, &list), now(), &|_| false, now())
    };
    assert_eq!(found(&look("acme")), Some("5"));
    assert_eq!(look("bob"), Sight::Absent);
    let verdict = Instagram.judge(&job, &frozen, &answer(200, &json!({ "id": "5" })), now());
    assert!(matches!(verdict, Verdict::Applied(_)));
}
