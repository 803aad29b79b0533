//! LinkedIn's connector on what is there already: looked for, read back, changed, deleted, named by an address.

use jiff::SignedDuration;
use sendoff::domain::kind::Kind;
use sendoff::platforms::linkedin::{LinkedIn, text};
use sendoff::platforms::{Body, Class, Deletion, FailureClass, Platform, Reading, Sight};
use serde_json::{Value, json};

use super::{comment_job, deck, film, owned, walk};
use crate::jobs::{Owned, answer, image, live_step, now};

fn row(id: &str, text: &str, seconds: i64) -> Value {
    let at = (now() + SignedDuration::from_secs(seconds)).as_millisecond();
    json!({ "id": id, "author": "urn:li:organization:5515715", "commentary": text::escape(text),
        "lifecycleState": "PUBLISHED", "createdAt": at })
}

pub(super) fn full_page() -> Value {
    let rows: Vec<_> = (0..50).map(|n| row(&format!("urn:li:share:{}", 900 - n), "other", 10)).collect();
    json!({ "elements": rows })
}

pub(super) fn listed(post: &Owned, body: &Value, bound: Option<&str>) -> Sight {
    let Some(call) = LinkedIn.scan(&post.job(), now()) else { return Sight::Absent };
    let answer = answer(200, body);
    let said = Reading { call: &call, answer: &answer };
    let frozen = walk(&post.job()).1;
    LinkedIn.seen_in(&post.job(), &frozen, said, now(), &|id| bound == Some(id), now())
}

#[test]
fn an_organizations_post_is_known_by_words_and_time_and_a_members_cannot_be_looked_for() {
    let post = owned(Kind::Organization, "Open (daily) #bread", Vec::new(), &[]);
    let one = "urn:li:share:7000000000000000001";
    let only = |it: Value| json!({ "elements": [it] });
    let Sight::Found(live) = listed(&post, &only(row(one, "Open (daily) #bread", 3)), None) else {
        panic!("found")
    };
    assert_eq!((live.remote_id.as_deref(), live.verified), (Some(one), true));
    let mut template = row(one, "", 3);
    template["commentary"] = json!(r"Open \(daily\) {hashtag|\#|bread}");
    assert!(matches!(listed(&post, &only(template), None), Sight::Found(_)));
    for absent in [row(one, "Open", 3), row(one, "Open (daily) #bread", -121), json!({ "id": one })] {
        assert_eq!(listed(&post, &only(absent.clone()), None), Sight::Absent, "{absent}");
    }
    assert!(matches!(listed(&post, &only(row(one, "Open (daily) #bread", -119)), None), Sight::Found(_)));
    assert_eq!(listed(&post, &only(row(one, "Open (daily) #bread", 3)), Some(one)), Sight::Absent);
    let two = [row(one, "Open (daily) #bread", 3), row("urn:li:share:8", "Open (daily) #bread", 3)];
    assert!(matches!(listed(&post, &json!({ "elements": two }), None), Sight::Disputed { .. }));
    let mut failed = row(one, "Open (daily) #bread", 3);
    failed["lifecycleState"] = json!("PUBLISH_FAILED");
    assert!(matches!(listed(&post, &only(failed), None), Sight::Failed(_)));
    // A page that does not reach back far enough goes on.
    let Sight::More(next) = listed(&post, &full_page(), None) else { panic!("more") };
    assert!(next.query.contains(&("start".into(), "50".into())));
    assert!(matches!(listed(&post, &json!({ "status": 403 }), None), Sight::Unclear(_)));
    let member = owned(Kind::Member, "x", Vec::new(), &[]);
    assert!(LinkedIn.look(&member.job(), &member.frozen(&LinkedIn), now()).is_none());
    assert!(LinkedIn.scan(&member.job(), now()).is_none());
    assert!(LinkedIn.read_back(&member.account, &live_step(one, "")).is_none());
    assert_eq!(LinkedIn.class(&member.job()), Class::Reference);
    assert_eq!(LinkedIn.class(&post.job()), Class::Listable);
    assert_eq!(LinkedIn.class(&comment_job(&post)), Class::Opaque);
}

#[test]
fn a_post_of_the_same_words_is_ours_only_with_as_many_files_of_the_same_kind() {
    let one = "urn:li:share:7000000000000000001";
    let rows = |all: &[Option<Value>]| {
        let rows: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(n, content)| {
                let mut row = row(&format!("urn:li:share:700000000000000000{}", n + 1), "Same", 3);
                if let Some(content) = content {
                    row["content"] = content.clone();
                }
                row
            })
            .collect();
        json!({ "elements": rows })
    };
    let media = |kind: &str| Some(json!({ "media": { "id": format!("urn:li:{kind}:C4") } }));
    let several =
        |n: usize| Some(json!({ "multiImage": { "images": vec![json!({ "id": "urn:li:image:C4" }); n] } }));
    let card = |source: &str| Some(json!({ "article": { "source": source, "title": "A" } }));
    let poll = || Some(json!({ "poll": { "question": "Which?" } }));
    let odd = || Some(json!({ "celebration": {} }));
    let images = |n: u128| (1..=n).map(image).collect::<Vec<_>>();
    let link = [("link", "https://example.org/bread"), ("link_title", "Bread")];
    let choose = [("poll", "Rye|Spelt"), ("poll_question", "Which?")];
    let page = |media, options: &[(&str, &str)]| owned(Kind::Organization, "Same", media, options);
    let others = [
        None,
        media("image"),
        media("video"),
        media("document"),
        several(2),
        several(3),
        card("https://a.example"),
        poll(),
        odd(),
    ];
    for (post, own) in [
        (page(Vec::new(), &[]), 0),
        (page(images(1), &[]), 1),
        (page(vec![film(90_000)], &[]), 2),
        (page(vec![deck(None, 9_000)], &[]), 3),
        (page(images(2), &[]), 4),
        (page(images(3), &[]), 5),
        (page(images(1), &link), 6),
        (page(Vec::new(), &choose), 7),
    ] {
        for (n, shown) in others.iter().enumerate() {
            let sight = listed(&post, &rows(std::slice::from_ref(shown)), None);
            let what = format!("{own} {n}: {sight:?}");
            match n {
                n if n == own => {
                    assert!(
                        matches!(&sight, Sight::Found(live) if live.remote_id.as_deref() == Some(one)),
                        "{what}"
                    );
                }
                // A list that tells nothing of files, or of something else, settles nothing.
                0 | 8 => assert!(matches!(sight, Sight::Disputed { .. }), "{what}"),
                _ => assert_eq!(sight, Sight::Absent, "{what}"),
            }
        }
        // Beside another of the same words it is known for what it holds.
        let other = if own == 1 { several(2) } else { media("image") };
        let Sight::Found(live) = listed(&post, &rows(&[other, others[own].clone()]), None) else {
            panic!("{own}: found")
        };
        assert_eq!(live.remote_id.as_deref(), Some("urn:li:share:7000000000000000002"));
    }
    // An address in the text may be shown as a card.
    let mut text = page(Vec::new(), &[]);
    text.text = "Same https://example.org/bread".into();
    let shown = |source: &str| {
        let mut all = rows(&[card(source)]);
        all["elements"][0]["commentary"] = json!(text::escape(&text.text));
        listed(&text, &all, None)
    };
    assert!(matches!(shown("https://example.org/bread"), Sight::Found(_)));
    assert_eq!(shown("https://example.org/other"), Sight::Absent);
}

#[test]
fn words_are_changed_under_the_posts_own_name_and_escaped_like_any_others() {
    let account = owned(Kind::Member, "x", Vec::new(), &[]).account;
    let call = LinkedIn.edit(&account, &live_step("urn:li:ugcPost:7", ""), "Fresh (bread)").unwrap();
    assert_eq!(call.path, "/rest/posts/urn%3Ali%3AugcPost%3A7");
    assert!(
        LinkedIn.headers(&call, Some("202608")).contains(&("x-restli-method", "PARTIAL_UPDATE".to_owned()))
    );
    let Body::Json(body) = &call.body else { panic!("JSON") };
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body, json!({ "patch": { "$set": { "commentary": r"Fresh \(bread\)" } } }));
    for id in ["urn:li:activity:7000000000000000001", "urn:li:comment:(urn:li:share:7,66)"] {
        assert!(LinkedIn.edit(&account, &live_step(id, ""), "x").is_none(), "{id}");
    }
    assert_eq!(LinkedIn.edited(&answer(204, &Value::Null), now()), Ok(()));
    let denied = json!({ "status": 403, "code": "ACCESS_DENIED", "message": "Not enough permissions" });
    let failure = LinkedIn.edited(&answer(403, &denied), now()).unwrap_err();
    assert!(
        failure.class == FailureClass::Permission && failure.message.contains("Not enough"),
        "{failure:?}"
    );
}

#[test]
fn a_read_back_confirms_only_what_is_published() {
    let step = live_step("urn:li:share:7", "");
    for (body, good) in [
        (json!({ "id": "urn:li:share:7", "lifecycleState": "PUBLISHED" }), true),
        (json!({ "id": "urn:li:share:7", "lifecycleState": "PUBLISH_FAILED" }), false),
        (json!({ "id": "urn:li:share:7", "lifecycleState": "PUBLISH_REQUESTED" }), false),
        (json!({ "id": "urn:li:share:8", "lifecycleState": "PUBLISHED" }), false),
    ] {
        let sight = LinkedIn.confirmed(&step, &answer(200, &body), now());
        assert_eq!(matches!(sight, Sight::Found(_)), good, "{body}");
        let failed = body["lifecycleState"] == "PUBLISH_FAILED";
        assert_eq!(matches!(sight, Sight::Failed(_)), failed, "{body}");
    }
}

#[test]
fn a_post_is_deleted_by_its_own_name_alone_and_gone_is_as_good() {
    let post = owned(Kind::Member, "x", Vec::new(), &[]);
    for id in ["urn:li:activity:7000000000000000001", "urn:li:comment:(urn:li:share:7,66)", "urn:li:share:x"]
    {
        assert!(LinkedIn.delete(&post.account, id).is_none(), "{id}");
    }
    let call = LinkedIn.delete(&post.account, "urn:li:share:7").unwrap();
    assert!(LinkedIn.headers(&call, Some("202608")).contains(&("x-restli-method", "DELETE".to_owned())));
    for status in [204, 404] {
        assert_eq!(LinkedIn.deleted(&answer(status, &Value::Null), now()), Deletion::Done);
    }
    assert!(matches!(LinkedIn.deleted(&answer(403, &Value::Null), now()), Deletion::Failed(_)));
}

#[test]
fn the_addresses_that_browsers_show_name_a_post() {
    let account = owned(Kind::Member, "x", Vec::new(), &[]).account;
    for (url, id) in [
        (
            "https://www.linkedin.com/feed/update/urn:li:share:7000000000000000001/",
            Some("urn:li:share:7000000000000000001"),
        ),
        (
            "https://www.linkedin.com/feed/update/urn%3Ali%3Aactivity%3A7000000000000000001",
            Some("urn:li:activity:7000000000000000001"),
        ),
        (
            "https://de.linkedin.com/posts/acme_bread-activity-7000000000000000001-aBcD?x=1",
            Some("urn:li:activity:7000000000000000001"),
        ),
        (
            "https://www.linkedin.com/posts/acme-ugcPost-7000000000000000002-q_1",
            Some("urn:li:ugcPost:7000000000000000002"),
        ),
        ("https://evillinkedin.com/feed/update/urn:li:share:7000000000000000001/", None),
        ("https://www.linkedin.com/feed/update/urn:li:comment:7000000000000000001/", None),
        ("https://www.linkedin.com/in/acme/", None),
    ] {
        assert_eq!(LinkedIn.remote_id_of(&account, url).as_deref(), id, "{url}");
    }
}

#[test]
fn of_a_list_only_the_object_that_is_ours_is_written_down() {
    let ours = row("urn:li:share:7000000000000000001", "Ours.", 3);
    let mut other = row("urn:li:share:7000000000000000002", "Canary: words of somebody else.", 4);
    other["author"] = json!("urn:li:person:somebody");
    let list = answer(200, &json!({ "elements": [other, ours], "paging": { "links": ["Canary"] } }));
    for (own, shown) in [(Some("urn:li:share:7000000000000000001"), vec![ours]), (None, vec![])] {
        let kept = LinkedIn.kept(&list, own);
        let text = String::from_utf8(kept.clone()).unwrap();
        assert!(!text.contains("Canary") && !text.contains("somebody"), "{text}");
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(kept, json!({ "elements": shown, "left_out": 2 - shown.len() }));
    }
    let refused = answer(403, &json!({ "status": 403, "code": "ACCESS_DENIED" }));
    assert_eq!(LinkedIn.kept(&refused, None), refused.body, "it tells of nothing else");
}
