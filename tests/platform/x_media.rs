//! X: files on their way up, what goes with a post, and what it costs; every request against the
//! OpenAPI document.

use std::collections::BTreeMap;

use crate::jobs::{Owned, answer, fresh, image, live_step, now, shown};
use crate::x_spec::Spec;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::Handles;
use sendoff::domain::fit::Fit;
use sendoff::domain::ids::PlatformName;
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::platforms::x::X;
use sendoff::platforms::{Answer, Body, Failure, FailureClass, Field, Fresh, Next, Platform, Request, Sight};
use sendoff::validate::{Draft, check};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

fn film(bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms: 10_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        kind: MediaKind::Mp4,
        bytes,
        width: 720,
        height: 1280,
        alt: None,
        detail: Detail { video: Some(video), ..Detail::default() },
        ..image(9)
    }
}

fn gif(bytes: u64) -> MediaItem {
    let detail = Detail { animated: true, pixel_bytes: 3, ..Detail::default() };
    MediaItem { kind: MediaKind::Gif, bytes, alt: None, detail, ..image(8) }
}

/// The first words of a call: its label, and the segment of a piece.
fn name(call: &Request) -> String {
    let Body::Multipart(fields) = &call.body else { return call.label.to_owned() };
    let segment = fields.iter().find(|it| it.0 == "segment_index");
    segment.map_or_else(
        || call.label.to_owned(),
        |(_, it)| match it {
            Field::Text(n) => format!("{} {n}", call.label),
            other => panic!("{other:?}"),
        },
    )
}

/// A walk through the preparing calls; `says` answers each, at its time.
struct Walk {
    owned: Owned,
    handles: Handles,
    at: Timestamp,
    calls: Vec<String>,
    requests: Vec<Request>,
}

impl Walk {
    fn new(media: Vec<MediaItem>) -> Self {
        let mut owned = Owned::new(PlatformName::X, "good morning");
        owned.media = media;
        Self { owned, handles: Handles::new(), at: now(), calls: Vec::new(), requests: Vec::new() }
    }

    /// Until the post could go out, or something keeps it back.
    fn go(&mut self, mut says: impl FnMut(&Request, usize) -> Answer) -> Result<Value, Failure> {
        for n in 0..2000 {
            let fresh = Fresh { now: self.at, ..fresh() };
            match X.next(&self.owned.job(), &self.handles, fresh)? {
                Next::Publish(frozen) => return Ok(serde_json::from_slice(&frozen.body).unwrap()),
                Next::Call(call) => {
                    let said = says(&call, n);
                    let found = X.answered(&self.owned.job(), &self.handles, &call, &said, self.at);
                    self.calls.push(name(&call));
                    self.requests.push(call);
                    self.handles.extend(found?);
                }
            }
        }
        panic!("it never ends: {:?}", &self.calls[..20]);
    }
}

fn ok(data: &Value) -> Answer {
    answer(200, &json!({ "data": data }))
}

/// An honest network: ids count from 100, films are worked on once.
fn honest(call: &Request, n: usize) -> Answer {
    match call.label {
        "x.upload" | "x.initialize" => {
            ok(&json!({ "id": (100 + n).to_string(), "media_key": "3_1", "expires_after_secs": 86_400 }))
        }
        "x.append" => ok(&json!({ "expires_at": 1 })),
        "x.finalize" | "x.status" => ok(&json!({ "id": "1" })),
        "x.metadata" => ok(&json!({ "id": "1", "associated_metadata": {} })),
        other => panic!("{other}"),
    }
}

#[test]
fn a_small_picture_is_one_call_and_everything_else_goes_in_pieces_of_a_mebibyte() {
    let small = MediaItem { alt: None, ..image(1) };
    let large = MediaItem { bytes: 2 * MIB + 1, alt: None, ..image(2) };
    let mut walk = Walk::new(vec![small.clone(), large]);
    let body = walk.go(honest).unwrap();
    assert_eq!(
        walk.calls,
        ["x.upload", "x.initialize", "x.append 0", "x.append 1", "x.append 2", "x.finalize"]
    );
    assert_eq!(body["media"]["media_ids"], json!(["100", "101"]), "in the order of the files");
    let pieces: Vec<_> =
        walk.requests.iter().flat_map(|it| it.body.files()).map(|(it, _)| it.range).collect();
    assert_eq!(pieces, [None, Some((0, MIB)), Some((MIB, MIB)), Some((2 * MIB, 1))]);
    for (item, calls) in [(film(MIB), 4), (film(MIB + 1), 5), (gif(10), 4), (film(512 * MIB), 515)] {
        let mut walk = Walk::new(vec![item]);
        walk.go(|call, n| match call.label {
            "x.finalize" => {
                ok(&json!({ "id": "1", "processing_info": { "state": "pending", "check_after_secs": 1 } }))
            }
            _ => honest(call, n),
        })
        .unwrap_err();
        assert_eq!(walk.calls.len(), calls - 1);
        walk.at += SignedDuration::from_secs(2);
        walk.go(honest).unwrap();
        assert_eq!((walk.calls.len(), walk.calls.last().unwrap().as_str()), (calls, "x.status"));
    }
}

#[test]
fn the_calls_as_they_leave() {
    let mut walk = Walk::new(vec![image(1), MediaItem { alt: Some("moving".into()), ..gif(MIB + 5) }]);
    walk.owned.before = vec![live_step("1900000000000000001", "")];
    walk.go(honest).unwrap();
    let mut film = Walk::new(vec![film(7)]);
    film.go(|call, n| match call.label {
        "x.finalize" => ok(&json!({ "id": "1", "processing_info": { "state": "pending" } })),
        _ => honest(call, n),
    })
    .unwrap_err();
    film.at += SignedDuration::from_secs(60);
    film.go(honest).unwrap();
    if let Some(spec) = Spec::load() {
        walk.requests.iter().chain(&film.requests).for_each(|it| spec.check(it));
    }
    let all: Vec<_> = walk.requests.iter().chain(&film.requests).map(shown).collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn x_is_asked_again_when_it_said_and_what_it_cannot_process_ends_there() {
    let mut walk = Walk::new(vec![film(7)]);
    let info = |state: &str, secs: u64| {
        ok(&json!({ "id": "1", "processing_info": { "state": state, "check_after_secs": secs } }))
    };
    let waits =
        walk.go(|call, n| if call.label == "x.finalize" { info("pending", 20) } else { honest(call, n) });
    let waits = waits.unwrap_err();
    assert_eq!(
        (waits.class, waits.until),
        (FailureClass::NotReady, Some(now() + SignedDuration::from_secs(20)))
    );
    walk.at += SignedDuration::from_secs(19);
    assert_eq!(walk.go(honest).unwrap_err().class, FailureClass::NotReady, "not before");
    walk.at += SignedDuration::from_secs(1);
    assert_eq!(walk.go(|_, _| info("in_progress", 5)).unwrap_err().class, FailureClass::NotReady);
    walk.at += SignedDuration::from_secs(5);
    let bad = json!({ "id": "1", "processing_info": { "state": "failed", "error": { "message": "InvalidMedia" } } });
    let failed = walk.go(|_, _| ok(&bad)).unwrap_err();
    assert_eq!(failed.class, FailureClass::InvalidContent);
    assert!(failed.message.contains("InvalidMedia") && failed.message.contains("9.png"), "{failed:?}");
}

#[test]
fn an_upload_that_x_knows_no_longer_is_begun_anew_and_not_for_ever() {
    let gone = || {
        answer(
            400,
            &json!({ "type": "https://api.x.com/2/problems/invalid-request", "errors": [{ "message": "no such media" }] }),
        )
    };
    for label in ["x.append", "x.finalize", "x.status"] {
        let mut first = true;
        let mut walk = Walk::new(vec![film(7)]);
        let body = walk.go(|call, n| match call.label {
            it if it == label && std::mem::take(&mut first) => gone(),
            "x.finalize" if label == "x.status" && first => {
                ok(&json!({ "id": "1", "processing_info": { "state": "pending", "check_after_secs": 0 } }))
            }
            _ => honest(call, n),
        });
        let body = match body {
            Err(wait) if wait.class == FailureClass::NotReady => {
                walk.at += SignedDuration::from_secs(2);
                let mut first = true;
                walk.go(|call, n| if std::mem::take(&mut first) { gone() } else { honest(call, n) }).unwrap()
            }
            body => body.unwrap(),
        };
        assert_eq!(
            walk.calls.iter().filter(|it| *it == "x.initialize").count(),
            2,
            "{label}: {:?}",
            walk.calls
        );
        assert_ne!(body["media"]["media_ids"], json!(["100"]), "{label}: the new one");
        let mut walk = Walk::new(vec![film(7)]);
        let end =
            walk.go(|call, n| if call.label == "x.append" { gone() } else { honest(call, n) }).unwrap_err();
        assert_eq!(end.class, FailureClass::InvalidContent, "{label}");
        assert!(walk.calls.len() < 20, "{:?}", walk.calls);
    }
    // More or less than was sent: a piece was counted twice, or lost.
    let mut walk = Walk::new(vec![film(7)]);
    let end = walk.go(|call, n| match call.label {
        "x.finalize" => ok(&json!({ "id": "1", "size": 14 })),
        _ => honest(call, n),
    });
    assert_eq!(end.unwrap_err().class, FailureClass::InvalidContent);
}

#[test]
fn an_id_that_has_ended_is_replaced_before_it_is_posted_with() {
    let mut walk = Walk::new(vec![image(1)]);
    assert_eq!(walk.go(honest).unwrap()["media"]["media_ids"], json!(["100"]));
    walk.at += SignedDuration::from_hours(23);
    assert_eq!(walk.go(honest).unwrap()["media"]["media_ids"], json!(["100"]));
    walk.at += SignedDuration::from_mins(51);
    assert_eq!(walk.go(|call, n| honest(call, n + 50)).unwrap()["media"]["media_ids"], json!(["150"]));
    assert_eq!(
        walk.calls,
        ["x.upload", "x.metadata", "x.upload", "x.metadata"],
        "its description goes with it"
    );
}

#[test]
fn the_edge_that_takes_no_mebibyte_gets_less_at_once() {
    let mut walk = Walk::new(vec![film(3 * MIB)]);
    walk.go(|call, n| {
        let bytes = call.body.files().first().and_then(|it| it.0.range).map_or(0, |it| it.1);
        if bytes > MIB / 4 { answer(413, &json!(null)) } else { honest(call, n) }
    })
    .unwrap();
    assert_eq!(walk.calls.iter().filter(|it| it.starts_with("x.append")).count(), 2 + 12);
    let mut walk = Walk::new(vec![film(3 * MIB)]);
    let end =
        walk.go(|call, n| if call.label == "x.append" { answer(413, &json!(null)) } else { honest(call, n) });
    assert_eq!(end.unwrap_err().class, FailureClass::InvalidContent);
}

#[test]
fn a_picture_that_is_refused_whole_goes_in_pieces_or_is_made_to_fit() {
    let fit = Fit { width: 4000, height: 3000, bytes_max: 5_000_000, flatten: false };
    let mut camera = MediaItem { bytes: 5_000_000, alt: None, ..image(1) };
    camera.detail.fit = Some(fit);
    let mut walk = Walk::new(vec![camera]);
    let room = |call: &Request| call.body.files()[0].0.fit.unwrap().bytes_max;
    walk.go(|call, n| if room(call) > MIB / 2 { answer(413, &json!(null)) } else { honest(call, n) })
        .unwrap();
    assert_eq!(walk.requests.iter().map(room).collect::<Vec<_>>(), [5_000_000, MIB - 4096, MIB / 2 - 2048]);
    let mut refused = Walk::new(walk.owned.media.clone());
    let end = refused.go(|_, _| answer(413, &json!(null))).unwrap_err();
    assert_eq!((end.class, refused.calls.len()), (FailureClass::InvalidContent, 3), "not for ever");
    let mut walk = Walk::new(vec![MediaItem { bytes: MIB, alt: None, ..image(1) }]);
    walk.go(|call, n| if call.label == "x.upload" { answer(413, &json!(null)) } else { honest(call, n) })
        .unwrap();
    assert_eq!(walk.calls, ["x.upload", "x.initialize", "x.append 0", "x.append 1", "x.finalize"]);
}

#[test]
fn a_description_that_x_refuses_does_not_keep_the_post_back_and_trouble_does_for_a_while() {
    for (status, class) in [
        (429, FailureClass::RateLimited),
        (402, FailureClass::Billing),
        (401, FailureClass::AuthExpired),
        (503, FailureClass::Transient),
    ] {
        let mut walk = Walk::new(vec![image(1)]);
        let end =
            walk.go(
                |call, n| {
                    if call.label == "x.metadata" { answer(status, &json!({})) } else { honest(call, n) }
                },
            );
        assert_eq!(end.unwrap_err().class, class, "{status}");
    }
    let mut walk = Walk::new(vec![image(1)]);
    walk.go(|call, n| if call.label == "x.metadata" { answer(400, &json!({})) } else { honest(call, n) })
        .unwrap();
    assert_eq!(walk.calls, ["x.upload", "x.metadata"], "asked once");
    let mut walk = Walk::new(vec![image(1)]);
    let no = json!({ "detail": "You are not permitted to perform this action.", "type": "about:blank" });
    let end = walk.go(|_, _| answer(403, &no)).unwrap_err();
    // It is this post that cannot go out; the account's texts do.
    assert_eq!(end.class, FailureClass::NotGranted);
    assert!(end.hint.unwrap().contains("media.write"));
}

#[test]
fn a_piece_without_an_answer_begins_the_upload_anew_and_other_calls_are_repeated() {
    let mut walk = Walk::new(vec![film(7)]);
    walk.go(honest).unwrap();
    let class =
        |label: &str| X.cut_off(walk.requests.iter().find(|it| it.label == label).unwrap(), "reset").class;
    assert_eq!(class("x.append"), FailureClass::MediaGone);
    assert_eq!(
        (class("x.initialize"), class("x.finalize")),
        (FailureClass::Transient, FailureClass::Transient)
    );
}

/// What the check says of a post with these options.
fn codes(parts: &[&str], media: &[MediaItem], options: &[(&str, &str)]) -> Vec<String> {
    let parts: Vec<String> = parts.iter().map(|it| (*it).to_owned()).collect();
    let options: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let draft = Draft { parts: &parts, comment: None, media, options: &options, lacks: &[] };
    let found = check(&X, None, draft).problems;
    assert!(found.iter().all(|it| it.hint.is_some()), "{found:?}");
    found.into_iter().map(|it| format!("{} {}", it.field, it.code)).collect()
}

#[test]
fn what_x_would_refuse_is_refused_when_it_is_written() {
    let none: [&str; 0] = [];
    let on = |part: u16, item: MediaItem| MediaItem { part, ..item };
    let long = "x".repeat(26);
    for (options, found) in [
        (vec![("poll", "Yes|No")], vec![]),
        (vec![("poll", "Yes | No|Ä|漢"), ("poll_minutes", "5")], vec![]),
        (vec![("poll", "Yes")], vec!["options.x.poll bad_option"]),
        (vec![("poll", "1|2|3|4|5")], vec!["options.x.poll bad_option"]),
        (vec![("poll", "Yes||No")], vec!["options.x.poll bad_option"]),
        (vec![("poll", long.as_str())], vec!["options.x.poll bad_option"; 2]),
        (vec![("poll", "Yes|No"), ("poll_minutes", "4")], vec!["options.x.poll_minutes bad_option"]),
        (vec![("poll", "Yes|No"), ("poll_minutes", "10081")], vec!["options.x.poll_minutes bad_option"]),
        (vec![("poll", "Yes|No"), ("poll_minutes", "soon")], vec!["options.x.poll_minutes bad_option"]),
        (vec![("poll_minutes", "5")], vec!["options.x.poll_minutes bad_option"]),
        (vec![("quote", "https://x.com/acme/status/1900")], vec![]),
        (vec![("quote", "https://evil.example/acme/status/1900")], vec!["options.x.quote bad_option"]),
        (vec![("quote", "1900a")], vec!["options.x.quote bad_option"]),
        (vec![("quote", "1900"), ("poll", "Yes|No")], vec!["options.x.poll exclusive"]),
        (vec![("community", "https://x.com/i/communities/15"), ("share_with_followers", "true")], vec![]),
        (vec![("community", "bakers")], vec!["options.x.community bad_option"]),
        (vec![("share_with_followers", "true")], vec!["options.x.share_with_followers bad_option"]),
        (vec![("made_with_ai", "yes")], vec!["options.x.made_with_ai bad_option"]),
        (vec![("made_with_ai", "true"), ("paid_partnership", "true")], vec![]),
    ] {
        assert_eq!(codes(&["text"], &[], &options), found, "{options:?}");
    }
    assert_eq!(codes(&["text"], &[image(1)], &[("poll", "Yes|No")]), ["media exclusive"]);
    assert_eq!(codes(&["a", "b"], &[on(1, image(1))], &[("poll", "Yes|No")]), none, "another part");
    assert_eq!(codes(&["a"], &[1, 2, 3, 4, 5].map(image), &[]), ["media too_many_images"]);
    assert_eq!(codes(&["a", "b"], &[1, 2, 3, 4, 5].map(|n| on(u16::from(n == 5), image(n))), &[]), none);
    assert_eq!(codes(&["a"], &[gif(10), image(1)], &[]), ["media mixed_media"]);
    assert_eq!(codes(&["a"], &[film(10), image(1)], &[]), ["media mixed_media"]);
    assert_eq!(codes(&["a"], &[film(10), film(10)], &[]), ["media too_many_videos"]);
    assert_eq!(codes(&["a", "b"], &[film(10), on(1, film(10))], &[]), none);
    assert_eq!(codes(&["a"], &[MediaItem { width: 1281, ..gif(10) }], &[]), ["media image_too_large"]);
    assert_eq!(codes(&["a"], &[gif(15_000_001)], &[]), ["media[0] image_too_big"]);
    assert_eq!(codes(&["", "b"], &[image(1)], &[]), none, "a picture may stand alone");
    assert_eq!(codes(&["a", ""], &[image(1)], &[]), ["parts[1] text_empty"]);
    assert_eq!(codes(&["a", ""], &[on(1, image(1))], &[]), none);
    assert_eq!(
        codes(&["a"], &[MediaItem { alt: Some("x".repeat(1001)), ..image(1) }], &[]),
        ["media[0].alt alt_too_long"]
    );
}

#[test]
fn options_stand_where_x_wants_them_and_replies_bear_only_what_is_theirs() {
    let spec = Spec::load();
    let mut owned = Owned::new(PlatformName::X, "which?");
    for (key, value) in [
        ("poll", "Yes| No "),
        ("community", "https://x.com/i/communities/15"),
        ("share_with_followers", "true"),
        ("made_with_ai", "true"),
        ("paid_partnership", "true"),
        ("reply_settings", "following"),
    ] {
        owned.options.insert(key.into(), value.into());
    }
    let body = |owned: &Owned| -> Value {
        let frozen = owned.frozen(&X);
        if let Some(spec) = &spec {
            spec.check(&X.publish(&owned.job(), &frozen));
        }
        serde_json::from_slice(&frozen.body).unwrap()
    };
    assert_eq!(
        body(&owned),
        json!({
            "text": "which?", "reply_settings": "following",
            "poll": { "options": ["Yes", "No"], "duration_minutes": 1440 },
            "community_id": "15", "share_with_followers": true,
            "made_with_ai": true, "paid_partnership": true,
        })
    );
    owned.before = vec![live_step("1900", "")];
    assert_eq!(
        body(&owned),
        json!({ "text": "which?", "reply": { "in_reply_to_tweet_id": "1900" }, "paid_partnership": true })
    );
    let mut quote = Owned::new(PlatformName::X, "so true");
    quote.options.insert("quote".into(), "https://twitter.com/a/status/77?s=20".into());
    assert_eq!(body(&quote), json!({ "text": "so true", "quote_tweet_id": "77" }));
}

/// What the list shows of a post with these words and files.
fn look(text: &str, ids: &[&str], quote: Option<&str>, post: &Value) -> Sight {
    let mut walk = Walk::new(ids.iter().map(|_| MediaItem { alt: None, ..image(1) }).collect());
    walk.owned.text = text.into();
    walk.owned.options.extend(quote.map(|it| ("quote".to_owned(), it.to_owned())));
    let body = walk.go(|call, n| {
        assert_eq!(call.label, "x.upload");
        ok(&json!({ "id": ids[n] }))
    });
    let body = body.unwrap().to_string().into_bytes();
    let frozen = sendoff::domain::delivery::Frozen { marker: "m".into(), body };
    let page = json!({ "data": [post], "meta": { "result_count": 1 } });
    X.seen(&walk.owned.job(), &frozen, &answer(200, &page), now(), &|_| false, now())
}

#[test]
fn a_post_with_files_is_found_behind_the_links_that_x_adds() {
    let post = |text: &str, long: &str, keys: &[&str]| {
        json!({ "id": "5", "text": text, "created_at": "2026-12-01T09:00:01.000Z",
            "attachments": { "media_keys": keys },
            "entities": { "urls": [{ "url": "https://t.co/AAAAAAAAAA", "expanded_url": long }] } })
    };
    let own = "https://x.com/acme/status/5/photo/1";
    let is_found = |sight: &Sight| matches!(sight, Sight::Found(_));
    assert!(is_found(&look("loaf", &["31"], None, &post("loaf https://t.co/AAAAAAAAAA", own, &["3_31"]))));
    let film = "https://twitter.com/acme/status/5/video/1";
    assert!(is_found(&look("loaf", &["31"], None, &post("loaf https://t.co/AAAAAAAAAA", film, &["7_31"]))));
    // Of another post: somebody's words, and no link that X has added.
    let other = "https://x.com/acme/status/6/photo/1";
    assert_eq!(
        look("loaf", &["31"], None, &post("loaf https://t.co/AAAAAAAAAA", other, &["3_31"])),
        Sight::Absent
    );
    // Without words the files decide: these, all of them, and no others.
    let bare = "https://t.co/AAAAAAAAAA";
    assert!(is_found(&look("", &["31", "32"], None, &post(bare, own, &["3_32", "3_31"]))));
    for keys in [vec![], vec!["3_31"], vec!["3_31", "3_33"], vec!["3_31", "3_32", "3_33"]] {
        assert_eq!(look("", &["31", "32"], None, &post(bare, own, &keys)), Sight::Absent, "{keys:?}");
    }
    let quoted = "https://twitter.com/b/status/77";
    assert!(is_found(&look(
        "so true",
        &[],
        Some("77"),
        &post("so true https://t.co/AAAAAAAAAA", quoted, &[])
    )));
    assert!(is_found(&look("so true", &[], Some("77"), &post("so true", quoted, &[]))));
    assert_eq!(
        look("so true", &[], None, &post("so true https://t.co/AAAAAAAAAA", quoted, &[])),
        Sight::Absent
    );
    // The same words with more files, fewer, or of another kind: X would refuse ours beside it.
    for keys in [vec![], vec!["3_41", "3_42"], vec!["7_41"], vec!["16_41"]] {
        let there = post("loaf https://t.co/AAAAAAAAAA", own, &keys);
        assert!(matches!(look("loaf", &["31"], None, &there), Sight::Disputed { .. }), "{keys:?}");
    }
    for key in ["3_41", "99_41"] {
        let there = post("loaf https://t.co/AAAAAAAAAA", own, &[key]);
        assert!(is_found(&look("loaf", &["31"], None, &there)), "of the same kind, as far as is told: {key}");
    }
    let there = post("loaf https://t.co/AAAAAAAAAA", own, &["3_31"]);
    assert!(matches!(look("loaf", &[], None, &there), Sight::Disputed { .. }));
    let mut wordless = Owned::new(PlatformName::X, " ");
    assert!(X.scan(&wordless.job(), now()).is_none(), "nothing to know it by");
    wordless.text = "words".into();
    assert!(X.scan(&wordless.job(), now()).is_some());
}

#[test]
fn an_estimate_names_each_kind_of_call_and_what_failed_costs_nothing() {
    let draft_cost = |parts: &[&str], media: &[MediaItem]| -> (u64, Vec<(u32, &'static str)>) {
        let costs = X.costs(parts, media);
        (
            costs.iter().map(sendoff::domain::cost::Cost::micros).sum(),
            costs.iter().map(|it| (it.count, it.what)).collect(),
        )
    };
    assert_eq!(draft_cost(&["good morning"], &[]), (20_000, vec![(1, "post"), (1, "read-back")]));
    assert_eq!(
        draft_cost(&["one", "see example.org", "three"], &[image(1), MediaItem { alt: None, ..image(2) }]),
        (
            2 * 15_000 + 200_000 + 5_000 + 3 * 5_000,
            vec![(2, "post"), (1, "post with a link"), (1, "alt text"), (3, "read-back")]
        )
    );
    let plain = Owned::new(PlatformName::X, "see https://example.org");
    let create = X.publish(&plain.job(), &plain.frozen(&X));
    assert_eq!(X.price(&create), 205_000);
    let look = X.look(&plain.job(), &plain.frozen(&X), now()).unwrap();
    let posts = |n: usize| answer(200, &json!({ "data": vec![json!({}); n], "meta": { "result_count": n } }));
    assert_eq!([0, 1, 7].map(|n| X.charged(&look, &posts(n))), [0, 5_000, 35_000]);
    assert_eq!(X.charged(&look, &answer(429, &json!({}))), 0);
    let delete = X.delete(&plain.account, "1900").unwrap();
    assert_eq!((X.price(&delete), X.charged(&delete, &answer(200, &json!({})))), (10_000, 10_000));
    let mut walk = Walk::new(vec![image(1)]);
    walk.go(honest).unwrap();
    assert_eq!(walk.requests.iter().map(|it| X.price(it)).collect::<Vec<_>>(), [0, 5_000]);
}
