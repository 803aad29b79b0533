//! X: every request against its OpenAPI document, and finding our own post again.

use std::collections::BTreeMap;

use crate::jobs::{Owned, answer, live_step, now, shown};
use crate::x_spec::Spec;
use jiff::SignedDuration;
use proptest::prelude::*;
use sendoff::domain::ids::PlatformName;
use sendoff::platforms::x::X;
use sendoff::platforms::{Body, Platform, Request, Sight};
use serde_json::{Value, json};

/// Everything the connector can send for one text.
fn requests(text: &str, reply_settings: Option<&str>) -> Vec<Request> {
    let mut owned = Owned::new(PlatformName::X, text);
    if let Some(who) = reply_settings {
        owned.options.insert("reply_settings".into(), who.into());
    }
    let mut reply = Owned::new(PlatformName::X, text);
    reply.options.clone_from(&owned.options);
    reply.before = vec![live_step("1900000000000000001", ""), live_step("1900000000000000002", "")];
    let (first, second) = (owned.frozen(&X), reply.frozen(&X));
    vec![
        X.publish(&owned.job(), &first),
        X.publish(&reply.job(), &second),
        X.look(&owned.job(), &first, now()).unwrap(),
        X.look(&reply.job(), &second, now() - SignedDuration::from_millis(1)).unwrap(),
        X.read_back(&owned.account, &live_step("1900000000000000001", "")).unwrap(),
        X.delete(&owned.account, "1900000000000000001").unwrap(),
    ]
}

#[test]
fn every_request_is_one_that_the_openapi_document_takes() {
    let Some(spec) = Spec::load() else { return };
    let options = X.capabilities(None).options;
    let settings = options.iter().find(|it| it.key == "reply_settings").unwrap().values;
    assert_eq!(settings.len(), 4);
    for who in settings.iter().map(|it| Some(*it)).chain([None]) {
        for request in requests("good morning", who) {
            spec.check(&request);
        }
    }
    let runner = &mut proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&any::<String>(), |text| {
            // The others do not depend on the text.
            let with_text = |it: &Request| it.body != Body::None;
            for request in requests(&text, Some("verified")).into_iter().filter(with_text) {
                spec.check(&request);
            }
            Ok(())
        })
        .unwrap();
}

/// What the sign-in asks to learn whose account it is.
fn identity() -> Request {
    let (path, parameter, fields) = sendoff::auth::x::ME;
    let mut request = requests("good morning", None).pop().unwrap();
    request.method = http::Method::GET;
    request.path = format!("/{path}");
    request.query = vec![(parameter.to_owned(), fields.to_owned())];
    request
}

#[test]
fn the_question_whose_account_it_is_is_one_that_the_document_takes_too() {
    let Some(spec) = Spec::load() else { return };
    spec.check(&identity());
    let mut wrong = identity();
    wrong.query[0].1.push_str(",nonsense");
    let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spec.check(&wrong)));
    assert!(verdict.is_err(), "a field that X does not know passed");
}

/// Makes a request wrong in one way.
type Spoil = fn(&mut Request);

#[test]
fn the_check_against_the_document_would_notice() {
    let Some(spec) = Spec::load() else { return };
    let spoilt: [(usize, Spoil); 7] = [
        (0, |it| it.body = Body::Json(br#"{"text":"a","reply_settings":"everyone"}"#.to_vec())),
        (0, |it| it.body = Body::Json(br#"{"text":"a","extra":1}"#.to_vec())),
        (1, |it| it.body = Body::Json(br#"{"text":"a","reply":{"in_reply_to_tweet_id":7}}"#.to_vec())),
        (2, |it| it.query[0].1 = "101".into()),
        (2, |it| it.query[1].1 = "yesterday".into()),
        (2, |it| it.query[2].1 = "created_at,nonsense".into()),
        (4, |it| it.path = "/2/tweets/abc".into()),
    ];
    for (n, (which, spoil)) in spoilt.into_iter().enumerate() {
        let mut request = requests("good morning", None).swap_remove(which);
        spoil(&mut request);
        let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spec.check(&request)));
        assert!(verdict.is_err(), "spoilt request {n} passed");
    }
}

#[test]
fn the_requests_as_they_leave() {
    let all: Vec<_> = requests("Grüße & <b> 👋\n\"done\"", Some("following")).iter().map(shown).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

/// A timeline as X gives it.
fn timeline(posts: &[Value]) -> Value {
    json!({ "data": posts, "meta": { "result_count": posts.len() } })
}

/// A post of the timeline; `links` are (short, expanded).
fn listed(id: &str, text: &str, links: &[(&str, &str)]) -> Value {
    let urls: Vec<_> =
        links.iter().map(|(short, long)| json!({ "url": short, "expanded_url": long })).collect();
    json!({ "id": id, "text": text, "created_at": "2026-12-01T09:00:01.000Z", "entities": { "urls": urls } })
}

/// Looks for `text` (a reply if `parent` is given) among `posts`; id "77" is bound already.
fn look(text: &str, parent: Option<&str>, posts: &[Value]) -> Sight {
    let mut owned = Owned::new(PlatformName::X, text);
    owned.before.extend(parent.map(|id| live_step(id, "")));
    let frozen = owned.frozen(&X);
    X.seen(&owned.job(), &frozen, &answer(200, &timeline(posts)), now(), &|id| id == "77", now())
}

fn found(sight: &Sight) -> Option<&str> {
    match sight {
        Sight::Found(live) => live.remote_id.as_deref(),
        _ => None,
    }
}

#[test]
fn our_own_post_is_recognised_however_x_shows_it() {
    let t = "https://t.co/AAAAAAAAAA";
    let u = "https://t.co/BBBBBBBBBB";
    for (ours, shown, links) in [
        ("plain", "plain", vec![]),
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d", vec![]),
        ("say &lt; aloud", "say &amp;lt; aloud", vec![]),
        (
            "read https://example.com/a?b=1&c=2 now",
            "read https://t.co/AAAAAAAAAA now",
            vec![(t, "https://example.com/a?b=1&c=2")],
        ),
        ("read example.com now", "read https://t.co/AAAAAAAAAA now", vec![(t, "http://example.com")]),
        ("read example.com/ now", "read https://t.co/AAAAAAAAAA now", vec![(t, "http://example.com/")]),
        (
            "a.com b.com",
            "https://t.co/AAAAAAAAAA https://t.co/BBBBBBBBBB",
            vec![(t, "http://a.com"), (u, "http://b.com")],
        ),
        ("read Example.COM/A", "read https://t.co/AAAAAAAAAA", vec![(t, "http://example.com/A")]),
        ("  indented", "indented", vec![]),
        ("one\r\ntwo", "one\ntwo", vec![]),
        ("one  \ntwo \n\n", "one\ntwo", vec![]),
        ("cafe\u{301}", "café", vec![]),
        ("👩‍👩‍👧 漢字", "👩‍👩‍👧 漢字", vec![]),
    ] {
        let sight = look(ours, None, &[listed("1", shown, &links)]);
        assert_eq!(found(&sight), Some("1"), "{ours:?} shown as {shown:?}: {sight:?}");
    }
}

#[test]
fn the_whole_of_a_long_post_is_compared_and_not_its_cut() {
    let long = format!("{} example.com", "long ".repeat(80));
    let shown = format!("{} https://t.co/AAAAAAAAAA", "long ".repeat(80));
    for name in ["note_tweet", "note_post"] {
        let mut post = listed("1", "long long … https://t.co/CCCCCCCCCC", &[]);
        post[name] = json!({ "text": shown, "entities": { "urls": [{ "url": "https://t.co/AAAAAAAAAA", "expanded_url": "http://example.com" }] } });
        assert_eq!(found(&look(&long, None, &[post])), Some("1"), "{name}");
    }
}

#[test]
fn look_alikes_are_not_taken_for_ours() {
    let with_parent = |id: &str, text: &str, parent: &str| {
        let mut post = listed(id, text, &[]);
        post["referenced_tweets"] = json!([{ "type": "replied_to", "id": parent }]);
        post
    };
    let mut old = listed("5", "good morning", &[]);
    old["created_at"] = json!("2026-12-01T08:57:59.000Z");
    let mut undated = listed("6", "good morning", &[]);
    undated.as_object_mut().unwrap().remove("created_at");
    let decoys = [
        listed("2", "good mornin", &[]),
        listed("3", "good morning!", &[]),
        listed("4", "Good morning", &[]),
        old,
        undated,
        listed("77", "good morning", &[]),
        with_parent("7", "good morning", "1900"),
        listed("8", "read https://t.co/AAAAAAAAAA", &[("https://t.co/AAAAAAAAAA", "http://example.org")]),
    ];
    assert_eq!(look("good morning", None, &decoys), Sight::Absent);
    assert_eq!(look("read example.com", None, &decoys), Sight::Absent);
    // The reply: only under the right parent, in either spelling of the field.
    assert_eq!(look("good morning", Some("1901"), &decoys), Sight::Absent);
    assert_eq!(found(&look("good morning", Some("1900"), &decoys)), Some("7"));
    let mut new_name = listed("9", "good morning", &[]);
    new_name["referenced_posts"] =
        json!([{ "type": "quoted", "id": "1" }, { "type": "replied_to", "id": "1901" }]);
    assert_eq!(found(&look("good morning", Some("1901"), &[new_name])), Some("9"));
    // Among the decoys the real one is found, and two real ones are left to a person.
    let mut all = decoys.to_vec();
    all.push(listed("1", "good morning", &[]));
    assert_eq!(found(&look("good morning", None, &all)), Some("1"));
    all.push(listed("10", "good morning", &[]));
    assert!(matches!(look("good morning", None, &all), Sight::Disputed { .. }));
}

#[test]
fn only_a_clean_and_complete_read_proves_absence() {
    let owned = Owned::new(PlatformName::X, "good morning");
    let frozen = owned.frozen(&X);
    let see = |status: u16, body: &Value| {
        X.seen(&owned.job(), &frozen, &answer(status, body), now(), &|_| false, now())
    };
    assert_eq!(see(200, &json!({ "meta": { "result_count": 0 } })), Sight::Absent);
    // A page of others, or an empty one, and what lies behind it.
    let others = listed("3", "another", &[]);
    for posts in [vec![others], vec![]] {
        let page = json!({ "data": posts, "meta": { "result_count": posts.len(), "next_token": "b26v" } });
        let Sight::More(next) = see(200, &page) else { panic!("there are more") };
        let mut first = X.look(&owned.job(), &frozen, now()).unwrap();
        first.query.push(("pagination_token".into(), "b26v".into()));
        assert_eq!(next, first);
        if let Some(spec) = Spec::load() {
            spec.check(&next);
        }
    }
    for (status, body) in [
        (200, json!({})),
        (200, json!({ "errors": [{ "title": "Not Found Error" }] })),
        (200, json!({ "meta": { "result_count": 3 } })),
        (429, json!({ "title": "Too Many Requests" })),
        (402, json!({ "type": "https://api.x.com/2/problems/credits" })),
        (404, json!({})),
        (500, json!({ "meta": { "result_count": 0 } })),
    ] {
        assert!(matches!(see(status, &body), Sight::Unclear(_)), "{status} {body}");
    }
}

#[test]
fn the_body_depends_on_the_text_and_the_parent_alone() {
    let one = Owned::new(PlatformName::X, "good morning");
    let frozen = one.frozen(&X);
    assert_eq!(frozen, one.frozen(&X));
    let mut reply = Owned::new(PlatformName::X, "good morning");
    reply.before = vec![live_step("1900", "")];
    assert_ne!(frozen.marker, reply.frozen(&X).marker);
    let options: BTreeMap<_, _> = [("reply_settings".to_owned(), "verified".to_owned())].into();
    reply.options = options;
    let body = String::from_utf8(reply.frozen(&X).body).unwrap();
    assert_eq!(body, r#"{"text":"good morning","reply":{"in_reply_to_tweet_id":"1900"}}"#);
}

#[test]
fn gone_counts_as_deleted_and_anything_unclear_does_not() {
    use sendoff::platforms::Deletion;
    assert_eq!(X.deleted(&answer(200, &json!({ "data": { "deleted": true } })), now()), Deletion::Done);
    assert_eq!(X.deleted(&answer(404, &json!({})), now()), Deletion::Done);
    for (status, body) in
        [(200, json!({ "data": { "deleted": false } })), (200, json!({})), (401, json!({})), (503, json!({}))]
    {
        assert!(matches!(X.deleted(&answer(status, &body), now()), Deletion::Failed(_)), "{status} {body}");
    }
}
