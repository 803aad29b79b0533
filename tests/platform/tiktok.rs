//! TikTok's connector: every request it makes against the composed specification, how an upload goes on
//! after trouble, what must be chosen before a post is scheduled, and what the states of a task show.

use crate::jobs::{Owned, answer, fresh, image, now};
use jiff::SignedDuration;
use sendoff::domain::delivery::{Frozen, Handles};
use sendoff::domain::ids::{MediaId, PlatformName};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::platforms::tiktok::{TikTok, plan::Plan};
use sendoff::platforms::{
    Ahead, Answer, Body, Class, Endpoint, FailureClass, Fresh, Job, Next, Platform, Request, Sight, Verdict,
};
use serde_json::{Value, json};

const ALL_CHOSEN: &[(&str, &str)] = &[
    ("privacy", "PUBLIC_TO_EVERYONE"),
    ("consent", "branded"),
    ("commercial", "both"),
    ("allow_comment", "true"),
];

pub(super) fn jpeg(n: u128) -> MediaItem {
    MediaItem { kind: MediaKind::Jpeg, ..image(n) }
}

pub(super) fn film(bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms: 30_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        id: MediaId::from_u128(1),
        name: "loaf.mp4".into(),
        kind: MediaKind::Mp4,
        bytes,
        width: 1080,
        height: 1920,
        alt: None,
        part: 0,
        detail: Detail { video: Some(video), ..Detail::default() },
    }
}

pub(crate) fn owned(tier: &str, text: &str, media: Vec<MediaItem>, options: &[(&str, &str)]) -> Owned {
    let mut owned = Owned::new(PlatformName::TikTok, text);
    owned.account.tier = Some(tier.to_owned());
    owned.media = media;
    owned.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned
}

pub(crate) fn ok(data: &Value) -> Answer {
    answer(200, &json!({ "data": data, "error": { "code": "ok", "message": "", "log_id": "1" } }))
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, &json!({ "data": {}, "error": { "code": code, "message": "m", "log_id": "L7" } }))
}

pub(crate) fn creator() -> Value {
    json!({ "creator_username": "acme", "privacy_level_options": ["PUBLIC_TO_EVERYONE", "SELF_ONLY"],
        "comment_disabled": false, "duet_disabled": false, "stitch_disabled": true,
        "max_video_post_duration_sec": 60 })
}

const ADDRESS: &str = "https://open-upload.tiktokapis.com/video/?upload_id=67890&upload_token=Xza123";

fn put(status: u16, range: Option<&str>) -> Answer {
    let headers = range.map(|it| ("content-range".to_owned(), it.to_owned())).into_iter().collect();
    Answer { status, headers, body: Vec::new() }
}

/// A TikTok that takes everything.
pub(crate) fn obliging(call: &Request) -> Answer {
    match call.label {
        "tiktok.creator" => ok(&creator()),
        "tiktok.init" => ok(&json!({ "publish_id": "v_pub_file~v2-1.7", "upload_url": ADDRESS })),
        "tiktok.chunk" => put(206, None),
        other => panic!("{other}"),
    }
}

/// Goes through a post as the engine would; every request on the way, the frozen one last.
fn walk(job: &Job<'_>, say: impl Fn(&Request, usize) -> Answer) -> (Vec<Request>, Frozen) {
    let (mut handles, mut made) = (Handles::new(), Vec::new());
    loop {
        match TikTok.next(job, &handles, fresh()).unwrap() {
            Next::Call(call) => {
                let said = say(&call, made.len());
                handles.extend(TikTok.answered(job, &handles, &call, &said, now()).unwrap());
                made.push(call);
                assert!(made.len() < 250, "it goes in a circle");
            }
            Next::Publish(frozen) => {
                made.push(TikTok.publish(job, &frozen));
                return (made, frozen);
            }
        }
    }
}

fn body(request: &Request) -> Value {
    match &request.body {
        Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
        Body::JsonWithLinks { json, links } => {
            let mut json = json.clone();
            for (place, _) in links {
                *json.pointer_mut(place).unwrap() = json!("https://post.example.org/m/token/a.jpg");
            }
            json
        }
        _ => Value::Null,
    }
}

fn every_post() -> Vec<Owned> {
    let long =
        [ALL_CHOSEN, &[("allow_duet", "true"), ("ai_generated", "true"), ("cover_ms", "1500")]].concat();
    let photos = [ALL_CHOSEN, &[("title", "Bread"), ("cover", "2"), ("auto_music", "true")]].concat();
    vec![
        owned("inbox", "not sent", vec![film(900)], &[]),
        owned("direct", "A film #bread", vec![film(64_000_001)], &long),
        owned("direct", "", vec![film(5_000_000)], &[("privacy", "SELF_ONLY"), ("consent", "music")]),
        owned("direct", "Photos", vec![jpeg(1), jpeg(2)], &photos),
        owned("inbox", "Photos", vec![jpeg(1)], &[("title", "Bread")]),
    ]
}

#[test]
fn every_request_is_one_of_the_specification() {
    let Some(path) = crate::support::conformance("data/tiktok-openapi.composed.json") else { return };
    let spec: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut labels = Vec::new();
    for post in every_post() {
        let (made, frozen) = walk(&post.job(), |call, _| obliging(call));
        let named = Job { taken: Some("p_pub_url~v2.7"), ..post.job() };
        for request in made.into_iter().chain(TikTok.look(&named, &frozen, now())) {
            labels.push(request.label);
            if request.label == "tiktok.chunk" || request.label == "tiktok.last" {
                assert_eq!(
                    (request.path.as_str(), request.auth),
                    (ADDRESS, false),
                    "whole, and without a token"
                );
                assert_eq!(request.endpoint, Endpoint::GivenBelow("api", "tiktokapis.com"));
                continue;
            }
            let operation = &spec["paths"][&request.path]["post"];
            assert!(operation.is_object(), "{} has no such path", request.path);
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_object() {
                let validator = jsonschema::validator_for(schema).unwrap();
                let sent = body(&request);
                let faults: Vec<String> = validator.iter_errors(&sent).map(|it| it.to_string()).collect();
                assert!(faults.is_empty(), "{}: {faults:?}\n{sent:#}", request.path);
            }
        }
    }
    for label in
        ["tiktok.creator", "tiktok.init", "tiktok.chunk", "tiktok.last", "tiktok.photo", "tiktok.status"]
    {
        assert!(labels.contains(&label), "{label} was never made");
    }
}

#[test]
fn every_choice_travels_and_nothing_that_was_not_chosen() {
    let all = every_post();
    let info = |post: &Owned| {
        let (made, _) = walk(&post.job(), |call, _| obliging(call));
        let begun = made.iter().find(|it| matches!(it.label, "tiktok.init" | "tiktok.photo")).unwrap();
        body(begun)["post_info"].clone()
    };
    assert_eq!(info(&all[0]), Value::Null, "the inbox takes a file and nothing else");
    assert_eq!(
        info(&all[1]),
        json!({ "title": "A film #bread", "privacy_level": "PUBLIC_TO_EVERYONE", "disable_comment": false,
            "disable_duet": false, "disable_stitch": true, "video_cover_timestamp_ms": 1500,
            "brand_content_toggle": true, "brand_organic_toggle": true, "is_aigc": true })
    );
    assert_eq!(
        info(&all[2]),
        json!({ "privacy_level": "SELF_ONLY", "disable_comment": true, "disable_duet": true,
            "disable_stitch": true, "brand_content_toggle": false, "brand_organic_toggle": false,
            "is_aigc": false })
    );
    assert_eq!(
        info(&all[3]),
        json!({ "title": "Bread", "description": "Photos", "privacy_level": "PUBLIC_TO_EVERYONE",
            "disable_comment": false, "auto_add_music": true, "brand_content_toggle": true,
            "brand_organic_toggle": true })
    );
    assert_eq!(info(&all[4]), json!({ "title": "Bread", "description": "Photos" }));
}

/// Offsets and lengths of the pieces as they left.
fn pieces(made: &[Request]) -> Vec<(u64, u64)> {
    let piece = |it: &Request| match &it.body {
        Body::File { part, headers } => {
            let (start, length) = part.range.unwrap();
            let wanted = format!("bytes {start}-{}/110000000", start + length - 1);
            assert_eq!(headers, &[("content-range", wanted)]);
            Some((start, length))
        }
        _ => None,
    };
    made.iter().filter_map(piece).collect()
}

#[test]
fn an_upload_goes_on_where_the_server_says() {
    const MB: u64 = 1_000_000;
    let post = owned("inbox", "", vec![film(110 * MB)], &[]);
    let usual =
        [(0, 20 * MB), (20 * MB, 20 * MB), (40 * MB, 20 * MB), (60 * MB, 20 * MB), (80 * MB, 30 * MB)];
    let (made, _) = walk(&post.job(), |call, _| obliging(call));
    assert_eq!(pieces(&made), usual);
    // The answer to the first two was lost, and they are there.
    let (made, _) = walk(&post.job(), |call, n| match n {
        1 => put(416, Some("bytes 0-39999999/110000000")),
        _ => obliging(call),
    });
    assert_eq!(pieces(&made), [&usual[..1], &usual[2..]].concat());
    // Everything is there although the last piece was not sent: the task must be asked, by way of it.
    let (made, _) = walk(&post.job(), |call, n| match n {
        1 => put(416, Some("bytes 0-109999999/110000000")),
        _ => obliging(call),
    });
    assert_eq!(pieces(&made), [usual[0], usual[4]]);
    // A place that no piece begins at, no place at all, an address that ended: another task.
    for said in [
        put(416, Some("bytes 0-4/110000000")),
        put(416, None),
        put(403, None),
        put(404, None),
        put(400, None),
    ] {
        let (made, _) = walk(&post.job(), |call, n| if n == 1 { said.clone() } else { obliging(call) });
        assert_eq!(made.iter().filter(|it| it.label == "tiktok.init").count(), 2, "{said:?}");
        assert_eq!(pieces(&made)[1..], usual, "{said:?}");
    }
    // Trouble there, or no progress: the same piece again, a little later.
    let mut handles = Handles::new();
    let Ok(Next::Call(init)) = TikTok.next(&post.job(), &handles, fresh()) else { panic!("a task first") };
    handles.extend(TikTok.answered(&post.job(), &handles, &init, &obliging(&init), now()).unwrap());
    let Ok(Next::Call(first)) = TikTok.next(&post.job(), &handles, fresh()) else { panic!("a piece") };
    for said in [put(500, None), put(503, None), put(429, None), put(206, Some("bytes 0-0/1"))] {
        let outcome = TikTok.answered(&post.job(), &handles, &first, &said, now());
        if said.status == 206 {
            assert!(outcome.unwrap()["upload"].value.is_empty(), "half a piece is no place to go on from");
        } else {
            assert_eq!(outcome.unwrap_err().class, FailureClass::Transient);
        }
    }
}

#[test]
fn an_address_that_is_too_old_is_not_used_and_tasks_have_an_end() {
    let post = owned("inbox", "", vec![film(900)], &[]);
    let mut handles = Handles::new();
    let mut at = fresh();
    for n in 0..5 {
        let Ok(Next::Call(call)) = TikTok.next(&post.job(), &handles, at) else { panic!("task {n}") };
        assert_eq!(call.label, "tiktok.init");
        handles.extend(TikTok.answered(&post.job(), &handles, &call, &obliging(&call), at.now).unwrap());
        assert!(matches!(TikTok.next(&post.job(), &handles, at), Ok(Next::Publish(_))));
        at = Fresh { now: at.now + SignedDuration::from_mins(56), ..at };
    }
    let failure = TikTok.next(&post.job(), &handles, at).unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidContent, "{failure:?}");
}

#[test]
fn the_creator_is_asked_right_before_and_what_the_post_says_is_kept_or_it_fails() {
    let post = owned("direct", "x", vec![film(900)], ALL_CHOSEN);
    let mut handles = Handles::new();
    let Ok(Next::Call(call)) = TikTok.next(&post.job(), &handles, fresh()) else { panic!("a question") };
    assert_eq!(call.label, "tiktok.creator");
    let told = |data: &Value| TikTok.answered(&post.job(), &Handles::new(), &call, &ok(data), now());
    handles.extend(told(&creator()).unwrap());
    // Believed for a minute and no longer.
    let label = |seconds| {
        let at = Fresh { now: now() + SignedDuration::from_secs(seconds), ..fresh() };
        match TikTok.next(&post.job(), &handles, at) {
            Ok(Next::Call(call)) => call.label,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((label(59), label(60)), ("tiktok.init", "tiktok.creator"));
    let mut fewer = creator();
    fewer["privacy_level_options"] = json!(["SELF_ONLY", "MUTUAL_FOLLOW_FRIENDS"]);
    let failure = told(&fewer).unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidContent);
    assert!(failure.message.contains("`SELF_ONLY`, `MUTUAL_FOLLOW_FRIENDS`"), "{failure:?}");
    let mut shorter = creator();
    shorter["max_video_post_duration_sec"] = json!(29);
    assert!(told(&shorter).unwrap_err().message.contains("29 s"));
    // Blocked states arrive with status 200.
    for (code, class) in [
        ("spam_risk_too_many_posts", FailureClass::RateLimited),
        ("reached_active_user_cap", FailureClass::RateLimited),
        ("spam_risk_user_banned_from_posting", FailureClass::Policy),
    ] {
        let failure =
            TikTok.answered(&post.job(), &Handles::new(), &call, &error(200, code), now()).unwrap_err();
        assert_eq!(failure.class, class, "{code}");
        assert!(failure.message.contains("L7") && failure.hint.is_some(), "{failure:?}");
        let hour = now() + SignedDuration::from_hours(1);
        assert_eq!(failure.until, (class == FailureClass::RateLimited).then_some(hour));
    }
}

#[test]
fn what_the_account_may_do_is_compared_with_the_post_ahead_of_its_time() {
    let chosen = |more: &[(&str, &str)]| owned("direct", "x", vec![film(900)], &[ALL_CHOSEN, more].concat());
    let post = chosen(&[]);
    assert_eq!(TikTok.foresee(&post.job()).unwrap().label, "tiktok.creator");
    let inbox = owned("direct", "x", vec![film(900)], &[("mode", "inbox")]);
    assert_eq!(TikTok.foresee(&inbox.job()), None, "TikTok tells nothing of an inbox");
    let said = |post: &Owned, answer: &Answer| TikTok.foreseen(&post.job(), answer, now());
    assert_eq!(said(&post, &ok(&creator())), Ahead::Fine);
    let mut less = creator();
    less["privacy_level_options"] = json!(["SELF_ONLY"]);
    let Ahead::Stops(failure) = said(&post, &ok(&less)) else { panic!("the audience is gone") };
    assert!(failure.message.contains("PUBLIC_TO_EVERYONE") && failure.hint.is_some(), "{failure:?}");
    let mut shorter = creator();
    shorter["max_video_post_duration_sec"] = json!(29);
    assert!(matches!(said(&post, &ok(&shorter)), Ahead::Stops(it) if it.message.contains("29 s")));
    // Switched off there, and wished for here.
    let mut off = creator();
    off["comment_disabled"] = json!(true);
    let wishes = chosen(&[("allow_duet", "true"), ("allow_stitch", "true")]);
    let Ahead::Differs { message, hint } = said(&wishes, &ok(&off)) else { panic!("it goes without") };
    assert_eq!(message, "the account has comments and stitches switched off");
    assert!(!hint.is_empty());
    let photos = owned("direct", "x", vec![jpeg(1)], ALL_CHOSEN);
    assert!(
        matches!(said(&photos, &ok(&off)), Ahead::Differs { message, .. } if message.contains("comments"))
    );
    for (status, code) in
        [(429, "rate_limit_exceeded"), (401, "access_token_invalid"), (500, "internal_error")]
    {
        assert!(matches!(said(&post, &error(status, code)), Ahead::Unclear(_)), "{code} says nothing of it");
    }
    for code in ["spam_risk_user_banned_from_posting", "spam_risk_too_many_posts", "scope_not_authorized"] {
        assert!(matches!(said(&post, &error(200, code)), Ahead::Stops(_)), "{code}");
    }
}

#[test]
fn the_errors_of_preparing_calls_are_told_apart() {
    use FailureClass as C;
    let post = owned("inbox", "", vec![film(900)], &[]);
    let Ok(Next::Call(call)) = TikTok.next(&post.job(), &Handles::new(), fresh()) else { panic!("a task") };
    for (status, code, class) in [
        (401, "access_token_invalid", C::AuthExpired),
        (401, "scope_not_authorized", C::Permission),
        (400, "invalid_param", C::InvalidContent),
        (400, "invalid_file_upload", C::InvalidContent),
        (403, "privacy_level_option_mismatch", C::InvalidContent),
        (403, "unaudited_client_can_only_post_to_private_accounts", C::Policy),
        (403, "spam_risk_too_many_pending_share", C::Full),
        (429, "rate_limit_exceeded", C::RateLimited),
        (500, "internal_error", C::Transient),
        (418, "something_new", C::Transient),
    ] {
        let failure = TikTok.answered(&post.job(), &Handles::new(), &call, &error(status, code), now());
        let failure = failure.unwrap_err();
        let waits = matches!(class, C::Full | C::RateLimited);
        assert_eq!((failure.class, failure.until.is_some()), (class, waits), "{code}");
    }
    for status in [200, 502] {
        let odd = Answer { status, headers: Vec::new(), body: b"<html>".to_vec() };
        let failure = TikTok.answered(&post.job(), &Handles::new(), &call, &odd, now()).unwrap_err();
        assert_eq!(failure.class, C::Transient);
    }
}

#[test]
fn the_last_piece_proves_at_best_that_everything_is_there() {
    let post = owned("direct", "x", vec![film(900)], ALL_CHOSEN);
    let (_, frozen) = walk(&post.job(), |call, _| obliging(call));
    for status in [200, 201, 204, 206, 400, 401, 403, 404, 409, 416, 429, 500, 503] {
        let verdict = TikTok.judge(&post.job(), &frozen, &put(status, None), now());
        match verdict {
            Verdict::Pending { .. } => assert_eq!(status, 201),
            Verdict::Ambiguous { .. } => assert_ne!(status, 201),
            other => panic!("{status}: {other:?}"),
        }
    }
    assert_eq!(TikTok.class(&post.job()), Class::Handle);
    assert_eq!(frozen.marker, "v_pub_file~v2-1.7", "stored before the first byte");
}

#[test]
fn photos_are_class_c_once_their_task_has_a_name() {
    let post = owned("direct", "x", vec![jpeg(1)], ALL_CHOSEN);
    let (_, frozen) = walk(&post.job(), |call, _| obliging(call));
    let verdict = TikTok.judge(&post.job(), &frozen, &ok(&json!({ "publish_id": "p~7" })), now());
    assert!(matches!(&verdict, Verdict::Taken { name, .. } if name == "p~7"), "{verdict:?}");
    assert_eq!(TikTok.look(&post.job(), &frozen, now()), None, "nobody knows its task");
    assert_eq!(TikTok.class(&post.job()), Class::Opaque);
    let named = Job { taken: Some("p~7"), ..post.job() };
    assert_eq!(TikTok.class(&named), Class::Handle);
    assert_eq!(body(&TikTok.look(&named, &frozen, now()).unwrap()), json!({ "publish_id": "p~7" }));
}

#[test]
fn the_states_of_a_task_show_what_became_of_the_post() {
    let see = |post: &Owned, data: &Value, minutes: i64, bound: &dyn Fn(&str) -> bool| {
        let (_, frozen) = walk(&post.job(), |call, _| obliging(call));
        let job = Job { taken: post.media[0].kind.is_image().then_some("p~7"), ..post.job() };
        let at = now() + SignedDuration::from_mins(minutes);
        TikTok.seen(&job, &frozen, &ok(data), now(), bound, at)
    };
    let public = owned("direct", "x", vec![film(900)], ALL_CHOSEN);
    let private = owned("direct", "x", vec![film(900)], &[("privacy", "SELF_ONLY"), ("consent", "music")]);
    let inbox = owned("inbox", "x", vec![film(900)], &[]);
    let photo = owned("direct", "x", vec![jpeg(1)], ALL_CHOSEN);
    let none = |_: &str| false;
    let done = json!({ "status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7_080_000_000_000_000_001_u64] });
    for (post, kind) in [(&public, "video"), (&photo, "photo")] {
        let Sight::Found(live) = see(post, &done, 1, &none) else { panic!("it is live") };
        assert_eq!(live.remote_id.as_deref(), Some("7080000000000000001"));
        let link = format!("https://www.tiktok.com/@acme/{kind}/7080000000000000001");
        assert_eq!((live.permalink, live.verified), (Some(link), true));
    }
    assert!(matches!(see(&public, &done, 1, &|_| true), Sight::Disputed { .. }));
    // A public post gets its address after moderation; a private one never.
    let bare = json!({ "status": "PUBLISH_COMPLETE" });
    let waits = |sight: &Sight| matches!(sight, Sight::Unclear(it) if it.class == FailureClass::NotReady);
    assert!(waits(&see(&public, &bare, 9, &none)));
    for (post, minutes) in [(&public, 10), (&private, 0), (&inbox, 0)] {
        let Sight::Found(live) = see(post, &bare, minutes, &none) else { panic!("it is live") };
        assert_eq!((live.remote_id, live.permalink), (None, None));
    }
    let sight = see(&inbox, &json!({ "status": "SEND_TO_USER_INBOX" }), 0, &none);
    assert!(matches!(&sight, Sight::HandedOver(live) if live.extra["publish_id"] == "v_pub_file~v2-1.7"));
    let got = |bytes: u64| json!({ "status": "PROCESSING_UPLOAD", "uploaded_bytes": bytes });
    assert!(waits(&see(&public, &got(900), 200, &none)), "all of it is there");
    assert_eq!(see(&public, &got(899), 79, &none), Sight::Absent, "it could still be published");
    assert_eq!(see(&public, &got(899), 81, &none), Sight::Gone, "and now it cannot");
    let silent = json!({ "status": "PROCESSING_UPLOAD" });
    assert_eq!(see(&public, &silent, 5, &none), Sight::Absent);
    assert!(waits(&see(&public, &silent, 81, &none)), "nothing is concluded from silence");
    assert!(waits(&see(&photo, &json!({ "status": "PROCESSING_DOWNLOAD" }), 5, &none)));
    let failed = json!({ "status": "FAILED", "fail_reason": "picture_size_check_failed" });
    assert!(
        matches!(see(&public, &failed, 0, &none), Sight::Failed(it) if it.class == FailureClass::InvalidContent)
    );
    for odd in [json!({}), json!({ "status": "SOMETHING_NEW" })] {
        assert!(matches!(see(&public, &odd, 0, &none), Sight::Unclear(_)));
    }
    let (_, frozen) = walk(&public.job(), |call, _| obliging(call));
    for said in [error(400, "invalid_publish_id"), error(401, "access_token_invalid"), put(500, None)] {
        let sight = TikTok.seen(&public.job(), &frozen, &said, now(), &none, now());
        assert!(matches!(sight, Sight::Unclear(_)), "{said:?} proves nothing");
    }
}

fn codes(tier: Option<&str>, text: &str, media: &[MediaItem], options: &[(&str, &str)]) -> Vec<String> {
    let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = TikTok.problems(&[text], media, &options, tier);
    for it in &found {
        assert!(it.hint.is_some(), "{it:?}");
    }
    found.into_iter().map(|it| format!("{} {}", it.field.rsplit('.').next().unwrap(), it.code)).collect()
}

#[test]
fn a_direct_post_needs_every_choice_that_only_a_person_may_make() {
    let film = || vec![film(900)];
    let direct = Some("direct");
    assert_eq!(codes(direct, "x", &film(), &[]), ["privacy privacy_missing", "consent consent_missing"]);
    assert_eq!(codes(direct, "x", &film(), ALL_CHOSEN), [""; 0]);
    let with = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![("privacy", "SELF_ONLY"), ("consent", "music")];
        all.retain(|(key, _)| !more.iter().any(|it| it.0 == *key));
        all.extend(more);
        codes(direct, "x", &film(), &all)
    };
    assert_eq!(with(&[]), [""; 0]);
    assert_eq!(with(&[("commercial", "own")]), [""; 0]);
    // Paid content needs another audience and another consent.
    assert_eq!(with(&[("commercial", "paid")]), ["commercial bad_option", "consent bad_option"]);
    assert_eq!(with(&[("commercial", "paid"), ("consent", "branded")]), ["commercial bad_option"]);
    assert_eq!(with(&[("cover_ms", "30000")]), ["cover_ms bad_option"]);
    assert_eq!(with(&[("cover_ms", "-1")]), ["cover_ms bad_option"]);
    assert_eq!(with(&[("title", "x")]), ["title bad_option"], "photos have titles");
    let some = [("privacy", "SELF_ONLY"), ("consent", "music")];
    assert_eq!(
        codes(direct, "x", &[jpeg(1)], &[&some[..], &[("cover", "2")]].concat()),
        ["cover bad_option"]
    );
    assert_eq!(
        codes(direct, "x", &[jpeg(1)], &[&some[..], &[("allow_duet", "true")]].concat()),
        ["allow_duet bad_option"]
    );
    let title = "x".repeat(91);
    assert_eq!(
        codes(direct, "x", &[jpeg(1)], &[&some[..], &[("title", &title)]].concat()),
        ["title bad_option"]
    );
}

#[test]
fn a_post_for_the_inbox_carries_no_choices_and_reaches_no_further_than_its_account() {
    let film = || vec![film(900)];
    assert_eq!(codes(Some("inbox"), "x", &film(), &[]), [""; 0]);
    assert_eq!(codes(Some("direct"), "x", &film(), &[("mode", "inbox")]), [""; 0]);
    assert_eq!(codes(Some("inbox"), "x", &film(), &[("privacy", "SELF_ONLY")]), ["privacy bad_option"]);
    let direct = [&[("mode", "direct")], ALL_CHOSEN].concat();
    assert_eq!(codes(Some("inbox"), "x", &film(), &direct), ["mode bad_option"]);
    // Of a bare network nobody knows how far it reaches.
    assert_eq!(codes(None, "x", &film(), &direct), [""; 0]);
}

#[test]
fn a_missing_scope_is_told_where_it_matters_and_stops_no_post_to_the_other_place() {
    let lacks = |scope: &str| vec![scope.to_owned()];
    let told = |mode: &str, tier: &str, lacks: &[String]| {
        let options = [("mode".to_owned(), mode.to_owned())].into();
        TikTok.not_granted(&[film(900)], &options, Some(tier), lacks)
    };
    let problem = told("inbox", "direct", &lacks("video.upload")).unwrap();
    assert_eq!((problem.field.as_str(), problem.code), ("options.tiktok.mode", "not_granted"));
    assert!(problem.message.contains("`video.upload`"), "{problem:?}");
    assert!(problem.hint.unwrap().contains("connect the account again"));
    assert_eq!(told("direct", "direct", &lacks("video.upload")), None);
    assert_eq!(told("inbox", "inbox", &lacks("video.publish")), None);
    assert_eq!(told("direct", "inbox", &lacks("video.publish")), None, "told as its reach already");
    // And if only the network knows.
    for (mode, item) in [("inbox", film(900)), ("inbox", jpeg(1)), ("direct", film(900))] {
        let mut post = owned("direct", "x", vec![item], &[ALL_CHOSEN, &[("mode", mode)]].concat());
        let class_with = |post: &Owned| {
            let no = error(401, "scope_not_authorized");
            match TikTok.next(&post.job(), &Handles::new(), fresh()).unwrap() {
                Next::Call(call) => {
                    TikTok.answered(&post.job(), &Handles::new(), &call, &no, now()).unwrap_err()
                }
                Next::Publish(frozen) => match TikTok.judge(&post.job(), &frozen, &no, now()) {
                    Verdict::Refused(failure) => failure,
                    other => panic!("{other:?}"),
                },
            }
        };
        post.account.scopes = vec!["video.upload".into(), "video.publish".into()];
        let spared = class_with(&post);
        assert_eq!(spared.class, FailureClass::NotGranted, "{mode}");
        assert!(spared.hint.unwrap().contains("sendoff account connect tiktok"));
        let own = if mode == "inbox" { "video.upload" } else { "video.publish" };
        post.account.scopes = vec![own.into()];
        assert_eq!(class_with(&post).class, FailureClass::Permission, "{mode}: nothing else can go");
    }
}

#[test]
fn only_addresses_of_its_own_posts_are_taken_and_nothing_can_be_deleted() {
    let mut account = owned("direct", "", Vec::new(), &[]).account;
    let id = |account: &_, url: &str| TikTok.remote_id_of(account, url);
    for good in [
        "https://www.tiktok.com/@acme/video/7080000000000000001",
        "https://tiktok.com/@ACME/photo/7080000000000000001?lang=en",
        "https://m.tiktok.com/@acme/video/7080000000000000001",
    ] {
        assert_eq!(id(&account, good).as_deref(), Some("7080000000000000001"), "{good}");
    }
    for bad in [
        "http://www.tiktok.com/@acme/video/1",
        "https://www.tiktok.com/@other/video/1",
        "https://www.tiktok.com/@acme/video/x",
        "https://www.tiktok.com/@acme",
        "https://tiktok.com.evil.example/@acme/video/1",
        "https://vm.tiktok.com/ZM1/",
    ] {
        assert_eq!(id(&account, bad), None, "{bad}");
    }
    account.tier = Some("inbox".into());
    assert!(id(&account, "https://www.tiktok.com/@whoever/video/1").is_some(), "its name is not known");
    assert_eq!(TikTok.delete(&account, "1"), None);
    assert!(!TikTok.capabilities(None).can_delete);
}

#[test]
fn the_largest_film_goes_up_within_the_calls_that_one_run_may_make() {
    let count = Plan::of(4_000_000_000).count;
    assert!(count + 2 < 250, "{count}: the engine takes more calls for going in a circle");
}
