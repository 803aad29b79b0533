//! LinkedIn's connector: every request against the composed document of its API, what its uploads make of
//! every answer, and that nothing a user writes can cut a post off.

#[path = "linkedin_looks.rs"]
mod looks;

use crate::jobs::{Owned, answer, fresh, image, live_step, now, shown};
use crate::linkedin_spec::Spec;
use jiff::SignedDuration;
use sendoff::domain::delivery::{Frozen, Handles, StepKind};
use sendoff::domain::ids::{MediaId, PlatformName};
use sendoff::domain::kind::Kind;
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::platforms::linkedin::LinkedIn;
use sendoff::platforms::{
    Answer, Body, Endpoint, Failure, FailureClass, Fresh, Job, Next, Platform, Request, Sight, Verdict,
};
use sendoff::validate::{self, Draft};
use serde_json::{Value, json};

use self::looks::{full_page, listed};

const KINDS: [Kind; 2] = [Kind::Member, Kind::Organization];
const MIB4: u64 = 4 << 20;

fn film(bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms: 30_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        id: MediaId::from_u128(7),
        name: "oven.mp4".into(),
        kind: MediaKind::Mp4,
        bytes,
        width: 1080,
        height: 1080,
        alt: None,
        part: 0,
        detail: Detail { video: Some(video), ..Detail::default() },
    }
}

fn deck(pages: Option<u32>, bytes: u64) -> MediaItem {
    let detail = Detail { pages, ..Detail::default() };
    MediaItem {
        id: MediaId::from_u128(8),
        name: "deck.pdf".into(),
        kind: MediaKind::Pdf,
        bytes,
        width: 0,
        height: 0,
        alt: None,
        part: 0,
        detail,
    }
}

fn owned(kind: Kind, text: &str, media: Vec<MediaItem>, options: &[(&str, &str)]) -> Owned {
    let mut owned = Owned::new(PlatformName::LinkedIn, text);
    owned.account.tier = Some(kind.as_str().to_owned());
    if kind == Kind::Organization {
        owned.account.remote_id = "urn:li:organization:5515715".into();
    }
    owned.media = media;
    owned.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned
}

fn comment_job(owned: &Owned) -> Job<'_> {
    Job { kind: StepKind::Comment, media: &[], ..owned.job() }
}

/// A LinkedIn that takes everything and has worked on it at once.
fn obliging(call: &Request, made: usize) -> Answer {
    let end = (now() + SignedDuration::from_hours(1)).as_millisecond();
    let address = |n: u64| format!("https://www.linkedin.com/dms-uploads/{made}/{n}");
    let begun = |word: &str| {
        let urn = format!("urn:li:{word}:C4E10AQ{made}");
        answer(200, &json!({ "value": { "uploadUrlExpiresAt": end, "uploadUrl": address(0), word: urn } }))
    };
    match call.label {
        "linkedin.image.start" => begun("image"),
        "linkedin.document.start" => begun("document"),
        "linkedin.video.start" => {
            let Body::Json(body) = &call.body else { panic!("JSON") };
            let ask: Value = serde_json::from_slice(body).unwrap();
            let size = ask["initializeUploadRequest"]["fileSizeBytes"].as_u64().unwrap();
            let pieces: Vec<Value> = (0..size.div_ceil(MIB4))
                .map(|n| {
                    json!({ "uploadUrl": address(n), "firstByte": n * MIB4,
                        "lastByte": ((n + 1) * MIB4).min(size) - 1 })
                })
                .collect();
            let video = format!("urn:li:video:C5F10AQ{made}");
            answer(
                200,
                &json!({ "value": { "uploadUrlsExpireAt": end, "video": video, "uploadToken": "t",
                    "uploadInstructions": pieces } }),
            )
        }
        "linkedin.upload" => answer(201, &Value::Null),
        "linkedin.part" => {
            let headers = vec![("etag".to_owned(), format!("\"tag-{made}\""))];
            Answer { status: 200, headers, body: Vec::new() }
        }
        "linkedin.finish" => answer(200, &Value::Null),
        "linkedin.status" => answer(200, &json!({ "id": "x", "status": "AVAILABLE" })),
        other => panic!("{other}"),
    }
}

/// Goes through a post as the engine would; every request on the way, the frozen one last.
fn walk(job: &Job<'_>) -> (Vec<Request>, Frozen) {
    let (mut handles, mut made, mut at) = (Handles::new(), Vec::new(), now());
    loop {
        match LinkedIn.next(job, &handles, Fresh { now: at, ..fresh() }) {
            Ok(Next::Call(call)) => {
                let said = obliging(&call, made.len());
                handles.extend(LinkedIn.answered(job, &handles, &call, &said, at).unwrap());
                made.push(call);
                assert!(made.len() < 140, "it goes in a circle");
            }
            Ok(Next::Publish(frozen)) => {
                made.push(LinkedIn.publish(job, &frozen));
                return (made, frozen);
            }
            Err(failure) => {
                assert_eq!(failure.class, FailureClass::NotReady, "{failure:?}");
                at += SignedDuration::from_secs(1);
            }
        }
    }
}

fn every_post(kind: Kind) -> Vec<Owned> {
    let images = |n: u128| (1..=n).map(image).collect::<Vec<_>>();
    let link = [
        ("link", "https://example.org/bread"),
        ("link_title", "Bread"),
        ("link_description", "All of it"),
        ("visibility", "logged_in"),
    ];
    let poll = [("poll", "Rye | Spelt (new)"), ("poll_question", "Which (one)?"), ("poll_days", "3")];
    vec![
        owned(kind, "Open (daily) #bread", Vec::new(), &[("disable_reshare", "true")]),
        owned(kind, "One", images(1), &[]),
        owned(kind, "Twenty", images(20), &[]),
        owned(kind, "A film", vec![film(2 * MIB4 + 5)], &[("title", "The oven")]),
        owned(kind, "A deck", vec![deck(Some(12), 9_000)], &[]),
        owned(kind, "A card", images(1), &link),
        owned(kind, "A card alone", Vec::new(), &link[..2]),
        owned(kind, "Help (us)!", Vec::new(), &poll),
    ]
}

/// Every request that the connector can make.
pub(crate) fn all_requests(kind: Kind) -> Vec<Request> {
    let mut all = Vec::new();
    for post in every_post(kind) {
        let (made, frozen) = walk(&post.job());
        all.extend(made);
        all.extend(LinkedIn.look(&post.job(), &frozen, now()));
        all.extend(LinkedIn.scan(&post.job(), now()));
    }
    let mut comment = owned(kind, "First (and last)!", Vec::new(), &[]);
    comment.before = vec![live_step("urn:li:share:7000000000000000001", "")];
    all.extend(walk(&comment_job(&comment)).0);
    let step = live_step("urn:li:ugcPost:7000000000000000002", "");
    all.extend(LinkedIn.read_back(&comment.account, &step));
    all.extend(LinkedIn.edit(&comment.account, &step, "Fresh (bread)"));
    all.extend(LinkedIn.delete(&comment.account, "urn:li:share:7000000000000000001"));
    if let Sight::More(next) = listed(&owned(kind, "x", Vec::new(), &[]), &full_page(), None) {
        all.push(next);
    }
    all
}

#[test]
fn every_request_fits_the_composed_document() {
    let Some(spec) = Spec::load() else { return };
    for kind in KINDS {
        let (mut broken, mut seen) = (Vec::new(), Vec::new());
        for request in all_requests(kind) {
            match spec.check(&request) {
                Ok(operation) => seen.push(operation),
                Err(why) => broken.push(format!("{}: {why}", request.label)),
            }
        }
        assert_eq!(broken, Vec::<String>::new(), "{kind:?}");
        let there = |name: &str| seen.iter().any(|it| it == name);
        for wanted in ["createComment", "updatePost", "upload"] {
            assert!(there(wanted), "{wanted} is never asked: {seen:?}");
        }
        // Members' tokens read nothing: nothing is asked of them.
        for operation in ["imagesGet", "videosGet", "documentsGet"] {
            assert_eq!(there(operation), kind == Kind::Organization, "{operation}: {seen:?}");
        }
    }
}

#[test]
fn a_field_of_nobodys_is_noticed() {
    let Some(spec) = Spec::load() else { return };
    let post = owned(Kind::Member, "x", Vec::new(), &[]);
    let mut create = walk(&post.job()).0.pop().unwrap();
    assert!(spec.check(&create).is_ok());
    let Body::Json(bytes) = &create.body else { panic!("JSON") };
    let mut body: Value = serde_json::from_slice(bytes).unwrap();
    body["invented"] = json!(1);
    create.body = Body::Json(body.to_string().into_bytes());
    assert!(spec.check(&create).unwrap_err().contains("invented"));
    create.query.push(("odd".into(), "1".into()));
    assert!(spec.check(&create).unwrap_err().contains("odd"));
}

#[test]
fn the_requests_as_they_leave() {
    let mut text = String::new();
    for kind in KINDS {
        for post in [0, 3, 4, 5, 7].map(|n| every_post(kind).swap_remove(n)) {
            for request in walk(&post.job()).0 {
                text += &shown(&request);
                text += "\n\n";
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_token_goes_with_pictures_and_never_with_the_pieces_of_a_film() {
    let post = owned(Kind::Member, "A film", vec![film(2 * MIB4 + 5)], &[]);
    let pieces: Vec<_> =
        walk(&post.job()).0.into_iter().filter(|it| it.endpoint == Endpoint::Given("oauth")).collect();
    let ranges: Vec<_> = pieces.iter().map(|it| it.body.files()[0].0.range).collect();
    assert_eq!(ranges, [Some((0, MIB4)), Some((MIB4, MIB4)), Some((2 * MIB4, 5))]);
    assert!(pieces.iter().all(|it| !it.auth));
    let post = owned(Kind::Member, "A picture", vec![image(1)], &[]);
    let upload = walk(&post.job()).0.into_iter().find(|it| it.label == "linkedin.upload").unwrap();
    assert!(upload.auth && upload.method == http::Method::PUT);
}

/// One call answered; what came of it.
fn after(job: &Job<'_>, handles: &mut Handles, label: &str, said: &Answer) -> Result<(), Failure> {
    loop {
        let Next::Call(call) = LinkedIn.next(job, handles, fresh())? else { panic!("{label} never came") };
        let there = call.label == label;
        let answer = if there { said.clone() } else { obliging(&call, 1) };
        handles.extend(LinkedIn.answered(job, handles, &call, &answer, now())?);
        if there {
            return Ok(());
        }
    }
}

#[test]
fn an_upload_whose_address_has_ended_begins_anew_a_few_times() {
    let post = owned(Kind::Member, "One", vec![image(1)], &[]);
    let (job, mut handles) = (post.job(), Handles::new());
    let ended = answer(400, &json!({ "status": 400, "code": "EXPIRED_UPLOAD_URL", "message": "expired" }));
    for _ in 0..5 {
        after(&job, &mut handles, "linkedin.upload", &ended).unwrap();
        let Ok(Next::Call(next)) = LinkedIn.next(&job, &handles, fresh()) else { panic!("it begins anew") };
        assert_eq!(next.label, "linkedin.image.start");
    }
    after(&job, &mut handles, "linkedin.upload", &ended).unwrap_err();
    // By the clock as well.
    let mut handles = Handles::new();
    after(&job, &mut handles, "linkedin.image.start", &obliging(&call_of(&job), 1)).unwrap();
    let late = Fresh { now: now() + SignedDuration::from_hours(2), ..fresh() };
    let Ok(Next::Call(next)) = LinkedIn.next(&job, &handles, late) else { panic!("a call") };
    assert_eq!(next.label, "linkedin.image.start");
}

fn call_of(job: &Job<'_>) -> Request {
    let Ok(Next::Call(call)) = LinkedIn.next(job, &Handles::new(), fresh()) else { panic!("a call") };
    call
}

#[test]
fn a_file_that_is_not_ready_waits_and_one_that_failed_ends_the_post() {
    let post = owned(Kind::Organization, "One", vec![image(1)], &[]);
    let job = post.job();
    for (word, class) in [
        ("PROCESSING", FailureClass::NotReady),
        ("WAITING_UPLOAD", FailureClass::NotReady),
        ("PROCESSING_FAILED", FailureClass::InvalidContent),
    ] {
        let said = answer(200, &json!({ "id": "x", "status": word }));
        let failure = after(&job, &mut Handles::new(), "linkedin.status", &said).unwrap_err();
        assert_eq!(failure.class, class, "{word}");
    }
    // An app that may not ask waits as members do.
    let denied = answer(403, &json!({ "status": 403, "code": "ACCESS_DENIED", "message": "no" }));
    let mut handles = Handles::new();
    after(&job, &mut handles, "linkedin.status", &denied).unwrap();
    assert_eq!(LinkedIn.next(&job, &handles, fresh()).unwrap_err().class, FailureClass::NotReady);
    let later = Fresh { now: now() + SignedDuration::from_mins(1), ..fresh() };
    assert!(matches!(LinkedIn.next(&job, &handles, later), Ok(Next::Publish(_))));
    // A film whose pieces do not make it whole is never sent.
    let post = owned(Kind::Member, "A film", vec![film(MIB4 + 5)], &[]);
    let hole = json!({ "value": { "video": "urn:li:video:a", "uploadInstructions": [
        { "uploadUrl": "https://www.linkedin.com/dms-uploads/0", "firstByte": 0, "lastByte": 9 },
        { "uploadUrl": "https://www.linkedin.com/dms-uploads/1", "firstByte": 11, "lastByte": MIB4 + 4 } ] } });
    let failure =
        after(&post.job(), &mut Handles::new(), "linkedin.video.start", &answer(200, &hole)).unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
}

#[test]
fn a_token_is_not_called_dead_in_its_first_minute() {
    let revoked = answer(401, &json!({ "status": 401, "serviceErrorCode": 65601, "message": "revoked" }));
    for (age, class) in [(5, FailureClass::Transient), (61, FailureClass::AuthExpired)] {
        let mut post = owned(Kind::Member, "x", Vec::new(), &[]);
        post.account.issued_at = Some(now() - SignedDuration::from_secs(age));
        let frozen = post.frozen(&LinkedIn);
        let Verdict::Refused(failure) = LinkedIn.judge(&post.job(), &frozen, &revoked, now()) else {
            panic!("refused")
        };
        assert_eq!(failure.class, class, "{age} s");
    }
}

#[test]
fn a_duplicate_names_its_original_and_its_number_tells_when_it_was_made() {
    let post = owned(Kind::Member, "x", Vec::new(), &[]);
    let ours = (u64::try_from(now().as_millisecond()).unwrap() << 22) + 17;
    for (id, made) in [(ours, Some(now())), (7_000_000_000_000_000_001, None), (u64::MAX, None)] {
        let message = format!("Content is a duplicate of urn:li:share:{id}");
        let said = answer(422, &json!({ "status": 422, "message": message }));
        let verdict = LinkedIn.judge(&post.job(), &post.frozen(&LinkedIn), &said, now());
        let Verdict::Duplicate { original, .. } = verdict else { panic!("{verdict:?}") };
        let original = original.unwrap();
        assert_eq!(original.live.remote_id, Some(format!("urn:li:share:{id}")));
        // One of years ago is known for what it is; one from the future is not believed.
        match made {
            Some(at) => assert_eq!(original.created, Some(at)),
            None => assert!(original.created.is_none_or(|at| at < now() - SignedDuration::from_hours(24))),
        }
    }
}

#[test]
fn a_comment_is_plain_text_under_its_post_and_being_refused_one_is_told_as_such() {
    let mut post = owned(Kind::Member, "First (and last)!", Vec::new(), &[]);
    post.before = vec![live_step("urn:li:share:7000000000000000001", "")];
    let (made, frozen) = walk(&comment_job(&post));
    assert_eq!(made[0].path, "/rest/socialActions/urn%3Ali%3Ashare%3A7000000000000000001/comments");
    let body: Value = serde_json::from_slice(&frozen.body).unwrap();
    assert_eq!(body["message"]["text"], "First (and last)!");
    let judge = |said: &Answer| LinkedIn.judge(&comment_job(&post), &frozen, said, now());
    let ok = json!({ "id": "66", "commentUrn": "urn:li:comment:(urn:li:share:7,66)" });
    let Verdict::Applied(live) = judge(&answer(201, &ok)) else { panic!("applied") };
    assert_eq!(live.remote_id.as_deref(), Some("urn:li:comment:(urn:li:share:7,66)"));
    let denied = json!({ "status": 403, "code": "ACCESS_DENIED", "message": "Not enough permissions" });
    let Verdict::Refused(failure) = judge(&answer(403, &denied)) else { panic!("refused") };
    assert!(failure.class == FailureClass::Permission && failure.hint.unwrap().contains("comment"));
    // Under a post whose id nobody knows there is no place for it.
    post.before = vec![live_step("", "")];
    assert!(LinkedIn.next(&comment_job(&post), &Handles::new(), fresh()).is_err());
}

fn codes(
    kind: Kind,
    text: &str,
    comment: Option<&str>,
    media: &[MediaItem],
    options: &[(&str, &str)],
) -> Vec<&'static str> {
    let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let parts = [text.to_owned()];
    let draft = Draft { parts: &parts, comment, media, options: &options, lacks: &[] };
    let checked = validate::check(&LinkedIn, Some(kind.as_str()), draft);
    checked.problems.into_iter().map(|it| it.code).collect()
}

#[test]
fn what_linkedin_cannot_take_is_said_when_it_is_written() {
    let none: [&str; 0] = [];
    let member = |text: &str, media: &[MediaItem], options: &[(&str, &str)]| {
        codes(Kind::Member, text, None, media, options)
    };
    for post in every_post(Kind::Member) {
        let options: Vec<_> = post.options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(member(&post.text, &post.media, &options), none, "{}", post.text);
    }
    let images: Vec<_> = (1..=21).map(image).collect();
    assert_eq!(member("x", &images, &[]), ["too_many_images"]);
    assert_eq!(member("x", &[image(1), film(90_000)], &[]), ["mixed_media"]);
    assert_eq!(member("x", &[image(1), deck(None, 1)], &[]), ["mixed_media"]);
    assert_eq!(member("x", &[film(74_999)], &[]), ["video_too_small"]);
    assert_eq!(member("x", &[deck(Some(301), 100_000_001)], &[]), ["document_too_big", "document_too_long"]);
    assert_eq!(member("", &[image(1)], &[]), ["text_empty"]);
    assert_eq!(member("x", &[], &[("link", "bread")]), ["bad_option", "bad_option"]);
    assert_eq!(member("x", &[], &[("link_title", "Bread")]), ["bad_option"]);
    assert_eq!(member("x", &[image(1)], &[("title", "Bread")]), ["bad_option"]);
    assert_eq!(codes(Kind::Organization, "x", None, &[], &[("visibility", "connections")]), ["bad_option"]);
    assert_eq!(codes(Kind::Member, "x", Some(&"c".repeat(1251)), &[], &[]), ["text_too_long"]);
    let poll = |choices: &str, question: &str, more: &[(&str, &str)]| {
        let own = [("poll", choices), ("poll_question", question)];
        member("x", &[], &[&own[..], more].concat())
    };
    assert_eq!(poll("Rye|Spelt", "Which?", &[("poll_days", "14")]), none);
    assert_eq!(poll("Rye|Spelt", "Which?", &[("poll_days", "2")]), ["bad_option"]);
    assert_eq!(poll("Rye", "Which?", &[]), ["bad_option"]);
    assert_eq!(poll("1|2|3|4|5", "Which?", &[]), ["bad_option"]);
    assert_eq!(poll("Rye|", "Which?", &[]), ["bad_option"]);
    assert_eq!(poll(&format!("Rye|{}", "c".repeat(31)), "Which?", &[]), ["bad_option"]);
    assert_eq!(poll(&format!("Rye|{}", "c".repeat(30)), &"q".repeat(140), &[]), none);
    assert_eq!(poll("Rye|Spelt", &"q".repeat(141), &[]), ["bad_option"]);
    assert_eq!(poll("Rye|Spelt", " ", &[]), ["bad_option"]);
    assert_eq!(member("x", &[], &[("poll_question", "Which?")]), ["bad_option"]);
    assert_eq!(member("x", &[], &[("poll_days", "3")]), ["bad_option"]);
    let choose = [("poll", "Rye|Spelt"), ("poll_question", "Which?")];
    assert_eq!(member("x", &[image(1)], &choose), ["exclusive"]);
    let card = [("link", "https://example.org/"), ("link_title", "A"), choose[0], choose[1]];
    assert_eq!(member("x", &[], &card), ["exclusive"]);
    // Counted as large as it can be: escapes, and pairs of UTF-16.
    assert_eq!(member(&"a".repeat(3_000), &[], &[]), none);
    assert_eq!(member(&"(".repeat(1_501), &[], &[]), ["text_too_long"]);
    assert_eq!(member(&"🍞".repeat(1_501), &[], &[]), ["text_too_long"]);
    // Other networks take no documents.
    let x = sendoff::platforms::find(PlatformName::X).unwrap();
    let (parts, options) = (["x".to_owned()], std::collections::BTreeMap::new());
    let media = [deck(None, 1)];
    let draft = Draft { parts: &parts, comment: None, media: &media, options: &options, lacks: &[] };
    let found = validate::check(x, None, draft).problems;
    assert!(
        found.iter().any(|it| it.code == "document_not_supported" || it.code == "media_not_supported"),
        "{found:?}"
    );
}
