//! Bluesky: the record byte by byte, and the key that makes every repeat harmless.

use crate::jobs::{Owned, answer, fresh, image, live_step, now, shown};
use jiff::SignedDuration;
use sendoff::domain::delivery::{Frozen, Handles};
use sendoff::domain::ids::PlatformName;
use sendoff::platforms::bluesky::{Bluesky, record};
use sendoff::platforms::{Answer, Deletion, FailureClass, Fresh, Next, Platform, Request, Sight, Verdict};
use serde_json::{Value, json};

fn blob(n: u64) -> Value {
    json!({ "blob": { "$type": "blob", "ref": { "$link": format!("bafkrei{n}") }, "mimeType": "image/png", "size": 1000 } })
}

/// Makes the preparing calls with answers of the given function, and returns them and the frozen
/// request.
fn prepared(owned: &Owned, reply: impl Fn(&Request, usize) -> Answer) -> (Vec<Request>, Frozen) {
    let (mut handles, mut calls) = (Handles::new(), Vec::new());
    for n in 0..20 {
        match Bluesky.next(&owned.job(), &handles, fresh()).unwrap() {
            Next::Publish(frozen) => return (calls, frozen),
            Next::Call(call) => {
                let brought =
                    Bluesky.answered(&owned.job(), &handles, &call, &reply(&call, n), now()).unwrap();
                handles.extend(brought);
                calls.push(call);
            }
        }
    }
    panic!("it never comes to publishing: {calls:?}");
}

fn resolve(call: &Request, n: usize) -> Answer {
    match call.query.first().map(|(_, handle)| handle.as_str()) {
        None => answer(200, &blob(n as u64)),
        Some("alice.example.com") => answer(200, &json!({ "did": "did:plc:alice" })),
        Some(_) => answer(400, &json!({ "error": "HandleNotFound" })),
    }
}

fn record_of(frozen: &Frozen) -> Value {
    serde_json::from_slice::<Value>(&frozen.body).unwrap()["record"].take()
}

#[test]
fn facets_count_bytes_and_an_unknown_handle_stays_text() {
    let text = "👋🏽 Grüße @alice.example.com & @nobody.example.com: https://example.com/ä?q=1 #tag";
    let owned = Owned::new(PlatformName::Bluesky, text);
    let (calls, frozen) = prepared(&owned, resolve);
    assert_eq!(calls.len(), 2, "each handle is asked for once");
    let record = record_of(&frozen);
    let facets = record["facets"].as_array().unwrap();
    let cut = |facet: &Value| {
        let at = |key: &str| usize::try_from(facet["index"][key].as_u64().unwrap()).unwrap();
        text[at("byteStart")..at("byteEnd")].to_owned()
    };
    let cuts: Vec<_> = facets.iter().map(cut).collect();
    assert_eq!(cuts, ["@alice.example.com", "https://example.com/ä?q=1", "#tag"]);
    assert_eq!(facets[0]["features"][0]["did"], "did:plc:alice");
    insta::assert_json_snapshot!(record);
}

#[test]
fn images_carry_their_alt_text_and_shape_in_order() {
    let mut owned = Owned::new(PlatformName::Bluesky, "two pictures");
    owned.media = vec![image(1), image(2)];
    owned.media[1].alt = None;
    owned.media[1].width = 0;
    owned.options.insert("langs".into(), "de, en".into());
    let (calls, frozen) = prepared(&owned, resolve);
    assert_eq!(calls.iter().map(|it| it.label).collect::<Vec<_>>(), ["bluesky.upload"; 2]);
    insta::assert_json_snapshot!(record_of(&frozen));
}

#[test]
fn the_same_file_twice_is_uploaded_into_both_places() {
    let mut owned = Owned::new(PlatformName::Bluesky, "twice");
    owned.media = vec![image(1), image(1)];
    let (calls, frozen) = prepared(&owned, resolve);
    assert_eq!(calls.len(), 2);
    assert_eq!(record_of(&frozen)["embed"]["images"].as_array().unwrap().len(), 2);
}

#[test]
fn a_reply_names_the_first_part_as_root_and_the_last_as_parent() {
    let mut owned = Owned::new(PlatformName::Bluesky, "third part");
    let uri = |key: &str| format!("at://did:plc:a1/app.bsky.feed.post/{key}");
    owned.before = vec![live_step(&uri("3aaaaaaaaaaa2"), "cid1"), live_step(&uri("3aaaaaaaaaab2"), "cid2")];
    let record = record_of(&owned.frozen(&Bluesky));
    assert_eq!(
        record["reply"],
        json!({ "root": { "uri": uri("3aaaaaaaaaaa2"), "cid": "cid1" }, "parent": { "uri": uri("3aaaaaaaaaab2"), "cid": "cid2" } })
    );
    owned.before[1].extra.clear();
    let error = Bluesky.next(&owned.job(), &Handles::new(), fresh()).unwrap_err();
    assert_eq!(error.class, FailureClass::InvalidContent);
}

#[test]
fn the_requests_as_they_leave() {
    let mut owned = Owned::new(PlatformName::Bluesky, "hello @alice.example.com");
    owned.media = vec![image(1)];
    let (mut calls, frozen) = prepared(&owned, resolve);
    let uri = format!("at://did:plc:a1/app.bsky.feed.post/{}", frozen.marker);
    calls.push(Bluesky.publish(&owned.job(), &frozen));
    calls.push(Bluesky.look(&owned.job(), &frozen, now()).unwrap());
    calls.push(Bluesky.read_back(&owned.account, &live_step(&uri, "bafyreiabc")).unwrap());
    calls.push(Bluesky.delete(&owned.account, &uri).unwrap());
    insta::assert_snapshot!(calls.iter().map(shown).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn a_key_sorts_by_time_and_the_same_moment_gives_the_same_bytes() {
    let owned = Owned::new(PlatformName::Bluesky, "hello");
    let at = |seconds: i64, random: u8| {
        let fresh = Fresh { now: now() + SignedDuration::from_secs(seconds), random: [random; 8] };
        match Bluesky.next(&owned.job(), &Handles::new(), fresh) {
            Ok(Next::Publish(frozen)) => frozen,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(at(0, 7), at(0, 7));
    assert_ne!(at(0, 7).marker, at(0, 8).marker, "chance keeps two daemons apart");
    let keys: Vec<_> = [0, 1, 60, 86_400, 10 * 365 * 86_400].map(|it| at(it, 255).marker).into();
    assert!(keys.is_sorted() && keys.iter().all(|it| record::is_tid(it)), "{keys:?}");
    let frozen = at(0, 7);
    let body: Value = serde_json::from_slice(&frozen.body).unwrap();
    assert_eq!(body["rkey"], frozen.marker.as_str());
    assert!(body.as_object().unwrap().contains_key("swapRecord") && body["swapRecord"].is_null());
    assert_eq!(body["record"]["createdAt"], "2026-12-01T09:00:00.000Z");
    // What was frozen is sent as it is, whatever the clock says by then.
    let sent = Bluesky.publish(&owned.job(), &frozen);
    assert_eq!(sent, Bluesky.publish(&owned.job(), &frozen));
    assert_eq!(sent.body, sendoff::platforms::Body::Json(frozen.body));
}

#[test]
fn another_record_at_our_key_is_never_taken_for_ours() {
    let owned = Owned::new(PlatformName::Bluesky, "hello");
    let frozen = owned.frozen(&Bluesky);
    let swap = answer(400, &json!({ "error": "InvalidSwap", "message": "Record was at bafyreixyz" }));
    assert!(matches!(Bluesky.judge(&owned.job(), &frozen, &swap, now()), Verdict::Duplicate { .. }));
    let uri = format!("at://did:plc:a1/app.bsky.feed.post/{}", frozen.marker);
    let see = |status: u16, body: &Value, bound: bool| {
        Bluesky.seen(&owned.job(), &frozen, &answer(status, body), now(), &|_| bound, now())
    };
    let ours = json!({ "uri": uri, "cid": "bafyreiabc", "value": record_of(&frozen) });
    let Sight::Found(live) = see(200, &ours, false) else { panic!("it is ours") };
    assert_eq!((live.remote_id.as_deref(), live.verified), (Some(uri.as_str()), true));
    assert!(matches!(see(200, &ours, true), Sight::Disputed { .. }), "it belongs to another delivery");
    let mut other = ours.clone();
    other["value"]["text"] = json!("hello!");
    assert!(matches!(see(200, &other, false), Sight::Disputed { .. }));
    assert_eq!(see(400, &json!({ "error": "RecordNotFound" }), false), Sight::Absent);
    for (status, body) in [
        (400, json!({ "error": "InvalidRequest" })),
        (404, json!({})),
        (200, json!({ "value": {} })),
        (500, json!({ "error": "RecordNotFound" })),
        (429, json!({ "error": "RateLimitExceeded" })),
    ] {
        assert!(matches!(see(status, &body, false), Sight::Unclear(_)), "{status} {body}");
    }
}

#[test]
fn an_upload_that_grew_old_is_made_again() {
    let mut owned = Owned::new(PlatformName::Bluesky, "picture");
    owned.media = vec![image(1)];
    let call = match Bluesky.next(&owned.job(), &Handles::new(), fresh()) {
        Ok(Next::Call(call)) => call,
        other => panic!("{other:?}"),
    };
    let handles =
        Bluesky.answered(&owned.job(), &Handles::new(), &call, &answer(200, &blob(1)), now()).unwrap();
    let after = |minutes: i64| {
        let fresh = Fresh { now: now() + SignedDuration::from_mins(minutes), random: [0; 8] };
        Bluesky.next(&owned.job(), &handles, fresh).unwrap()
    };
    assert!(matches!(after(49), Next::Publish(_)));
    assert_eq!(after(51), Next::Call(call.clone()));
    for (status, body) in [(200, json!({})), (413, json!({ "error": "PayloadTooLarge" })), (500, json!({}))] {
        assert!(
            Bluesky.answered(&owned.job(), &Handles::new(), &call, &answer(status, &body), now()).is_err()
        );
    }
}

#[test]
fn a_handle_is_given_up_only_when_the_server_says_there_is_none() {
    let owned = Owned::new(PlatformName::Bluesky, "hello @alice.example.com");
    let Ok(Next::Call(call)) = Bluesky.next(&owned.job(), &Handles::new(), fresh()) else { panic!("a call") };
    let ask = |status: u16, body: &Value| {
        Bluesky.answered(&owned.job(), &Handles::new(), &call, &answer(status, body), now())
    };
    assert!(ask(400, &json!({ "error": "HandleNotFound" })).is_ok());
    for (status, class) in
        [(500, FailureClass::Transient), (502, FailureClass::Transient), (429, FailureClass::RateLimited)]
    {
        assert_eq!(ask(status, &json!({})).unwrap_err().class, class, "{status}");
    }
}

#[test]
fn deleting_is_done_when_the_server_says_so() {
    assert_eq!(Bluesky.deleted(&answer(200, &json!({})), now()), Deletion::Done);
    assert!(matches!(
        Bluesky.deleted(&answer(401, &json!({ "error": "invalid_token" })), now()),
        Deletion::Failed(_)
    ));
}

#[test]
fn a_read_back_confirms_the_very_bytes_that_were_answered() {
    let uri = "at://did:plc:a1/app.bsky.feed.post/3aaaaaaaaaaa2";
    let step = live_step(uri, "bafyreiabc");
    let see = |status: u16, body: &Value| Bluesky.confirmed(&step, &answer(status, body), now());
    assert!(
        matches!(see(200, &json!({ "uri": uri, "cid": "bafyreiabc" })), Sight::Found(live) if live.verified)
    );
    assert!(matches!(see(200, &json!({ "uri": uri, "cid": "bafyreiother" })), Sight::Unclear(_)));
    assert_eq!(see(400, &json!({ "error": "RecordNotFound" })), Sight::Absent);
}

#[test]
fn a_search_for_the_same_words_turns_pages_until_the_posts_are_too_old() {
    let owned = Owned::new(PlatformName::Bluesky, "good morning");
    let due = now();
    let record = |n: u64, text: &str, age: SignedDuration| {
        let uri = format!("at://did:plc:alice/app.bsky.feed.post/3k{n:011}");
        json!({ "uri": uri, "cid": "bafy", "value": { "text": text, "createdAt": (due - age).to_string() } })
    };
    let page = |records: Vec<Value>, cursor: Option<&str>| {
        let mut body = json!({ "records": records });
        if let Some(cursor) = cursor {
            body["cursor"] = json!(cursor);
        }
        Bluesky.scanned(&owned.job(), &answer(200, &body), due, &|_| false, due)
    };
    let others = |age| (0..100).map(|n| record(n, "another", age)).collect::<Vec<_>>();
    let (since, before) = (SignedDuration::from_secs(-60), SignedDuration::from_hours(1));
    let Sight::More(next) = page(others(since), Some("3kabc")) else { panic!("a hundred posts since") };
    assert!(next.query.contains(&("cursor".into(), "3kabc".into())), "{next:?}");
    assert_eq!(Bluesky.scan(&owned.job(), due).unwrap().path, next.path);
    assert_eq!(page(others(since), None), Sight::Absent, "the list has an end");
    assert_eq!(page(others(before), Some("3kabc")), Sight::Absent, "what follows is older still");
    // A client of its own kind has put a record with these words under a key that is no post's: it is
    // not ours, and hides none that is.
    let odd = record(1, "good morning", since);
    assert_eq!(page(vec![odd.clone()], None), Sight::Absent);
    let mut ours = record(500, "good morning", since);
    ours["uri"] = json!("at://did:plc:alice/app.bsky.feed.post/3mabcdefghij2");
    assert!(matches!(page(vec![odd, ours], None), Sight::Found(_)));
    let mut found = others(since);
    let mut ours = record(500, "good morning", since);
    ours["uri"] = json!("at://did:plc:alice/app.bsky.feed.post/3mabcdefghij2");
    found.push(ours.clone());
    assert!(matches!(page(found, Some("3kabc")), Sight::Found(_)));
    // The same words under pictures, or under somebody else's film, are another post, perhaps.
    let image = json!({ "alt": "", "image": {} });
    for (embed, kind) in [(json!([image]), "images"), (json!(null), "video"), (json!(null), "external")] {
        ours["value"]["embed"] = json!({ "$type": format!("app.bsky.embed.{kind}"), "images": embed });
        assert!(matches!(page(vec![ours.clone()], None), Sight::Disputed { .. }), "{kind}");
    }
    let mut pictured = Owned::new(PlatformName::Bluesky, "good morning");
    pictured.media = vec![crate::jobs::image(1)];
    let see = |embed: &Value| {
        let mut it = ours.clone();
        it["value"]["embed"] = embed.clone();
        let body = json!({ "records": [it] });
        Bluesky.scanned(&pictured.job(), &answer(200, &body), due, &|_| false, due)
    };
    let with = |n: usize| json!({ "$type": "app.bsky.embed.images", "images": vec![image.clone(); n] });
    assert!(matches!(see(&with(1)), Sight::Found(_)));
    assert!(matches!((see(&with(2)), see(&json!(null))), (Sight::Disputed { .. }, Sight::Disputed { .. })));
}
