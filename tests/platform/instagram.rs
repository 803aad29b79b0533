//! Instagram's connector, at both doors: every request it makes against the parameters that Meta's
//! generated specifications list, its containers, and what its looks make of what an account shows.

use crate::graph_spec::Spec;
use crate::jobs::{Owned, answer, fresh, image, live_step, now, shown};
use jiff::SignedDuration;
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Frozen, Handles, StepKind};
use sendoff::domain::door::Door;
use sendoff::domain::ids::{MediaId, PlatformName};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::platforms::instagram::Instagram;
use sendoff::platforms::{
    Body, Deletion, Endpoint, Failure, FailureClass, Field, Fresh, Job, Next, Platform, Request, Sight,
};
use sendoff::validate::{self, Draft};
use serde_json::{Value, json};

#[path = "instagram_looks.rs"]
mod looks;

const DOORS: [(Door, &str); 2] =
    [(Door::Instagram, "instagram_instagram_login"), (Door::Facebook, "instagram_facebook_login")];

fn jpeg(n: u128) -> MediaItem {
    MediaItem { kind: MediaKind::Jpeg, ..image(n) }
}

fn film(n: u128) -> MediaItem {
    let video = Video {
        duration_ms: 30_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        id: MediaId::from_u128(n),
        name: "loaf.mp4".into(),
        kind: MediaKind::Mp4,
        bytes: 900,
        width: 1080,
        height: 1920,
        alt: None,
        part: 0,
        detail: Detail { video: Some(video), ..Detail::default() },
    }
}

fn owned(door: Door, text: &str, media: Vec<MediaItem>, options: &[(&str, &str)]) -> Owned {
    let mut owned = Owned::new(PlatformName::Instagram, text);
    owned.account.tier = Some(door.as_str().to_owned());
    owned.media = media;
    owned.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned
}

fn comment_job(owned: &Owned) -> Job<'_> {
    Job { kind: StepKind::Comment, media: &[], ..owned.job() }
}

/// An Instagram that takes everything and has finished at once.
fn obliging(call: &Request, made: usize) -> Value {
    match call.label {
        "instagram.limit" => {
            json!({ "data": [{ "quota_usage": 2, "config": { "quota_total": 50, "quota_duration": 86400 } }] })
        }
        "instagram.container" | "instagram.child" => {
            json!({ "id": format!("1785000000000000{made}"), "uri": format!("https://rupload.facebook.com/ig-api-upload/v26.0/1785000000000000{made}") })
        }
        "instagram.upload" => json!({ "success": true, "message": "Upload successful." }),
        "instagram.status" => {
            json!({ "id": &call.path[1..], "status_code": "FINISHED", "status": "Finished" })
        }
        other => panic!("{other}"),
    }
}

/// Goes through a post as the engine would; every request on the way, the frozen one last.
fn walk(job: &Job<'_>, say: impl Fn(&Request, usize) -> Value) -> (Vec<Request>, Frozen) {
    let (mut handles, mut made) = (Handles::new(), Vec::new());
    loop {
        match Instagram.next(job, &handles, fresh()).unwrap() {
            Next::Call(call) => {
                let said = answer(200, &say(&call, made.len()));
                handles.extend(Instagram.answered(job, &handles, &call, &said, now()).unwrap());
                made.push(call);
                assert!(made.len() < 60, "it goes in a circle");
            }
            Next::Publish(frozen) => {
                made.push(Instagram.publish(job, &frozen));
                return (made, frozen);
            }
        }
    }
}

fn every_post(door: Door) -> Vec<Owned> {
    let reel = [
        ("thumb_offset", "1500"),
        ("share_to_feed", "true"),
        ("cover_url", "https://example.org/c.jpg"),
        ("audio_name", "Oven"),
        ("trial", "manual"),
        ("collaborators", "ann,bob"),
        ("user_tags", "ann"),
        ("paid_partnership", "true"),
    ];
    let picture = [("user_tags", "ann@0.5:0.8"), ("location_id", "106"), ("ai_generated", "true")];
    vec![
        owned(door, "A loaf", vec![jpeg(1)], &picture),
        owned(door, "Three", vec![jpeg(1), film(2), jpeg(3)], &[("collaborators", "ann"), ("crop", "first")]),
        owned(door, "A reel", vec![film(1)], &reel),
        owned(door, "", vec![jpeg(1)], &[("format", "story"), ("user_tags", "ann, bob")]),
        owned(door, "", vec![film(1)], &[("format", "story")]),
    ]
}

/// Every request that the connector can make at a door.
pub(crate) fn all_requests(door: Door) -> Vec<Request> {
    let mut all = Vec::new();
    for post in every_post(door) {
        let (made, frozen) = walk(&post.job(), obliging);
        all.extend(made);
        all.extend(Instagram.look(&post.job(), &frozen, now()));
        all.extend(Instagram.scan(&post.job(), now()));
        let Sight::Out(list) =
            looks::look(&post, &json!({ "id": frozen.marker, "status_code": "PUBLISHED" }))
        else {
            panic!("the list is read next")
        };
        all.push(list);
    }
    let job = owned(door, "x", vec![jpeg(1)], &[]);
    let mut handles = Handles::new();
    let Ok(Next::Call(limit)) = Instagram.next(&job.job(), &handles, fresh()) else { panic!("the limit") };
    let full = json!({ "data": [{ "quota_usage": 50, "config": { "quota_total": 50 } }] });
    handles.extend(Instagram.answered(&job.job(), &handles, &limit, &answer(200, &full), now()).unwrap());
    let Ok(Next::Call(window)) = Instagram.next(&job.job(), &handles, fresh()) else { panic!("the window") };
    all.push(window);
    let mut comment = owned(door, "First!", Vec::new(), &[]);
    comment.before = vec![live_step("17900000000000001", "")];
    let (made, frozen) = walk(&comment_job(&comment), obliging);
    all.extend(made);
    all.extend(Instagram.look(&comment_job(&comment), &frozen, now()));
    for form in ["image", "comment"] {
        let mut step = live_step("17900000000000001", "");
        step.extra.insert("form".into(), form.into());
        all.extend(Instagram.read_back(&comment.account, &step));
    }
    all.extend(Instagram.delete(&comment.account, "17900000000000001"));
    all.extend((door == Door::Facebook).then(crate::meta_uploads::asked_of_a_container));
    all
}

#[test]
fn every_request_uses_only_parameters_that_the_specification_lists_at_either_door() {
    let Some(spec) = Spec::load() else { return };
    for (door, product) in DOORS {
        let (mut broken, mut seen) = (Vec::new(), Vec::new());
        for request in all_requests(door) {
            if request.label == crate::meta_uploads::EXCEPTION {
                assert_eq!(door, Door::Facebook);
                crate::meta_uploads::is_the_exception(&spec, product, &request);
                continue;
            }
            match spec.check_in(product, &request) {
                Ok(endpoint) => seen.push(endpoint),
                Err(why) => broken.push(format!("{}: {why}", request.label)),
            }
        }
        assert_eq!(broken, Vec::<String>::new(), "{door:?}");
        for wanted in [
            "media.create",
            "media_publish.create",
            "content_publishing_limit.get",
            "media.list",
            "stories.list",
            "comments.create",
            "comments.list",
        ] {
            assert!(seen.iter().any(|it| it.ends_with(wanted)), "{wanted} is never asked: {seen:?}");
        }
        let there = |name: &str| seen.iter().any(|it| it == name);
        assert_eq!(there("ig_media.delete"), door == Door::Facebook);
        assert_eq!(there("ig.rupload.video"), door == Door::Facebook);
    }
}

#[test]
fn a_parameter_of_nobodys_is_noticed() {
    let Some(spec) = Spec::load() else { return };
    for (door, product) in DOORS {
        let post = owned(door, "A loaf", vec![jpeg(1)], &[]);
        let mut create =
            walk(&post.job(), obliging).0.into_iter().find(|it| it.label == "instagram.container").unwrap();
        assert!(spec.check_in(product, &create).is_ok());
        let Body::Form(fields) = &mut create.body else { panic!("a form") };
        fields.push(("invented".into(), Field::Text("1".into())));
        assert!(spec.check_in(product, &create).unwrap_err().contains("invented"));
        let Body::Form(fields) = &mut create.body else { panic!("a form") };
        *fields.last_mut().unwrap() = ("media_type".into(), Field::Text("REEL".into()));
        assert!(spec.check_in(product, &create).unwrap_err().contains("media_type"));
    }
}

#[test]
fn the_requests_as_they_leave() {
    let mut text = String::new();
    for (door, _) in DOORS {
        for post in every_post(door).iter().skip(1).take(2) {
            for request in walk(&post.job(), obliging).0 {
                text += &shown(&request);
                text += "\n\n";
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn pictures_go_by_link_everywhere_and_films_by_bytes_where_the_door_takes_them() {
    for (door, _) in DOORS {
        let post = owned(door, "Three", vec![jpeg(1), film(2)], &[]);
        let made = walk(&post.job(), obliging).0;
        let links = made.iter().flat_map(|it| {
            it.body.files().into_iter().map(|(part, link)| (part.id, link)).collect::<Vec<_>>()
        });
        let film_by_link = door == Door::Instagram;
        assert_eq!(
            links.collect::<Vec<_>>(),
            [(MediaId::from_u128(1), true), (MediaId::from_u128(2), film_by_link)]
        );
        let upload = made.iter().find(|it| it.label == "instagram.upload");
        assert_eq!(upload.map(|it| it.endpoint), (!film_by_link).then_some(Endpoint::Given("upload")));
    }
}

#[test]
fn nothing_is_published_before_its_container_says_that_it_is_finished() {
    let post = owned(Door::Instagram, "A reel", vec![film(1)], &[]);
    let (mut handles, job) = (Handles::new(), post.job());
    let ask = |handles: &mut Handles, state: &str, status: &str| -> Result<(), Failure> {
        loop {
            let Next::Call(call) = Instagram.next(&job, handles, fresh()).unwrap() else { return Ok(()) };
            let said = if call.label == "instagram.status" {
                json!({ "id": &call.path[1..], "status_code": state, "status": status })
            } else {
                obliging(&call, 1)
            };
            handles.extend(Instagram.answered(&job, handles, &call, &answer(200, &said), now())?);
        }
    };
    assert_eq!(ask(&mut handles, "IN_PROGRESS", "").unwrap_err().class, FailureClass::NotReady);
    let wrong = ask(&mut handles, "ERROR", "Error: 2207026").map_err(|it| it.class);
    assert_eq!(wrong, Err(FailureClass::InvalidContent));
    // Live behind a refusal: never published again, and looked for as what was sent.
    let surfaced = |handles: &Handles, status: u16, word: &str| {
        let Ok(Next::Call(call)) = Instagram.next(&job, handles, fresh()) else { panic!("it is asked") };
        let said = answer(status, &json!({ "id": &call.path[1..], "status_code": word }));
        Instagram.surfaced(handles, &call, &said, now() + SignedDuration::from_hours(2))
    };
    let (frozen, since) = surfaced(&handles, 200, "PUBLISHED").unwrap();
    assert_eq!((frozen.marker.as_str(), since), (handles["container"].value.as_str(), now()));
    for (status, word) in [(200, "FINISHED"), (200, "EXPIRED"), (200, "ERROR"), (500, "PUBLISHED")] {
        assert_eq!(surfaced(&handles, status, word), None, "{word}");
    }
    assert!(ask(&mut handles, "FINISHED", "").is_ok());
    // What was finished is asked again after a while, and a container near its end is made anew.
    let later = |span| Fresh { now: now() + span, ..fresh() };
    let next = |at| {
        if let Next::Call(it) = Instagram.next(&job, &handles, at).unwrap() { it.label } else { "publish" }
    };
    assert_eq!(next(later(SignedDuration::from_secs(1))), "publish");
    assert_eq!(next(later(SignedDuration::from_mins(4))), "instagram.status");
    assert_eq!(next(later(SignedDuration::from_mins(6))), "instagram.limit");
}

#[test]
fn a_container_that_came_to_nothing_is_made_anew_a_few_times_with_a_pause() {
    let post = owned(Door::Instagram, "A loaf", vec![jpeg(1)], &[]);
    let job = post.job();
    let unfetched =
        json!({ "error": { "code": 9004, "error_subcode": 2_207_052, "message": "could not be fetched" } });
    let (mut handles, mut at, mut creates) = (Handles::new(), now(), 0);
    let end = loop {
        match Instagram.next(&job, &handles, Fresh { now: at, ..fresh() }) {
            Ok(Next::Call(call)) => {
                let said = if call.label == "instagram.container" {
                    creates += 1;
                    answer(400, &unfetched)
                } else {
                    answer(200, &obliging(&call, 1))
                };
                match Instagram.answered(&job, &handles, &call, &said, at) {
                    Ok(more) => handles.extend(more),
                    Err(failure) => break failure,
                }
            }
            Err(failure) => {
                assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
                at += SignedDuration::from_secs(30);
            }
            Ok(Next::Publish(_)) => panic!("there is no container"),
        }
    };
    assert_eq!((end.class, creates), (FailureClass::InvalidContent, 3));
    assert!(end.hint.unwrap().contains("server.public_url"));
}

#[test]
fn a_container_that_ended_before_it_was_published_is_made_anew() {
    let post = owned(Door::Instagram, "A loaf", vec![jpeg(1)], &[]);
    let job = post.job();
    let (mut handles, mut at, mut made) = (Handles::new(), now(), 0);
    let published = loop {
        assert!(at < now() + SignedDuration::from_hours(1), "nothing comes of it");
        match Instagram.next(&job, &handles, Fresh { now: at, ..fresh() }) {
            Ok(Next::Call(call)) => {
                made += usize::from(call.label == "instagram.container");
                let said = match call.label {
                    "instagram.status" if made == 1 => {
                        json!({ "id": &call.path[1..], "status_code": "EXPIRED", "status": "Expired" })
                    }
                    _ => obliging(&call, made),
                };
                handles.extend(Instagram.answered(&job, &handles, &call, &answer(200, &said), at).unwrap());
            }
            Err(_) => at += SignedDuration::from_secs(10),
            Ok(Next::Publish(frozen)) => break frozen.marker,
        }
    };
    assert_eq!((made, published.as_str()), (2, "17850000000000002"));
}

#[test]
fn a_used_up_limit_says_when_the_oldest_post_leaves_it() {
    let post = owned(Door::Instagram, "A loaf", vec![jpeg(1)], &[]);
    let job = post.job();
    let mut handles = Handles::new();
    let full =
        json!({ "data": [{ "quota_usage": 50, "config": { "quota_total": 50, "quota_duration": 86400 } }] });
    let Ok(Next::Call(limit)) = Instagram.next(&job, &handles, fresh()) else { panic!("the limit first") };
    handles.extend(Instagram.answered(&job, &handles, &limit, &answer(200, &full), now()).unwrap());
    let Ok(Next::Call(window)) = Instagram.next(&job, &handles, fresh()) else { panic!("then the posts") };
    let posts = json!({ "data": [{ "timestamp": "2026-12-01T08:00:00+0000" }, { "timestamp": "2026-11-30T12:00:00+0000" }] });
    let failure = Instagram.answered(&job, &handles, &window, &answer(200, &posts), now()).unwrap_err();
    assert_eq!(failure.class, FailureClass::RateLimited);
    assert_eq!(failure.until, Some("2026-12-01T12:00:00Z".parse().unwrap()));
}

#[test]
fn what_cannot_be_a_post_on_instagram_is_said_before_it_is_scheduled() {
    let codes = |text: &str, media: &[MediaItem], options: &[(&str, &str)], door| {
        let owned = owned(door, text, Vec::new(), options);
        let found = Instagram.problems(&[text], media, &owned.options, owned.account.tier.as_deref());
        found.into_iter().map(|it| it.code).collect::<Vec<_>>()
    };
    let here = |text: &str, media: &[MediaItem], options: &[(&str, &str)]| {
        codes(text, media, options, Door::Instagram)
    };
    for post in every_post(Door::Facebook) {
        let options: Vec<_> = post.options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(here(&post.text, &post.media, &options), Vec::<&str>::new(), "{}", post.text);
    }
    let eleven: Vec<_> = (0..11).map(jpeg).collect();
    assert_eq!(here("x", &eleven, &[]), ["too_many_files"]);
    // What no document says is told (`validate::tests`) and not refused.
    let mut long = film(2);
    long.detail.video.as_mut().unwrap().duration_ms = 61_000;
    assert_eq!(here("x", &[jpeg(1), long], &[("crop", "first")]), Vec::<&str>::new());
    let dense = |bytes| MediaItem { bytes, ..film(1) };
    // 30 s at 25 Mbit/s of pictures and 128 kbit/s of sound.
    assert_eq!(here("x", &[dense(94_230_000)], &[]), Vec::<&str>::new());
    assert_eq!(here("x", &[dense(95_000_000)], &[]), ["video_bit_rate"]);
    assert_eq!(here("x", &[jpeg(1)], &[("format", "story")]), ["story_without_text"]);
    assert_eq!(here("", &[jpeg(1), jpeg(2)], &[("format", "story")]), ["story_needs_one_file"]);
    assert_eq!(here("x", &[jpeg(1)], &[("format", "reel")]), ["reel_needs_one_video"]);
    assert_eq!(here(&"#a ".repeat(31), &[jpeg(1)], &[]), ["too_many_hashtags"]);
    assert_eq!(here(&"@a ".repeat(21), &[jpeg(1)], &[]), ["too_many_mentions"]);
    for (key, value) in [
        ("thumb_offset", "1"),
        ("location_id", "here"),
        ("user_tags", "ann"),
        ("collaborators", "a,b,c,d"),
        ("comment_prompt", "true"),
        ("crop", "first"),
    ] {
        assert_eq!(here("x", &[jpeg(1)], &[(key, value)]), ["bad_option"], "{key}");
    }
    assert_eq!(here("x", &[film(1)], &[("thumb_offset", "30000")]), ["bad_option"]);
    assert_eq!(here("x", &[film(1)], &[("cover_url", "http://example.org/a.jpg")]), ["bad_option"]);
    // What only Facebook's door can do is taken there.
    assert_eq!(codes("x", &[jpeg(1)], &[("comment_prompt", "true")], Door::Facebook), Vec::<&str>::new());
}

#[test]
fn a_caption_is_refused_only_if_it_is_too_long_however_it_is_counted() {
    let jpegs = [jpeg(1)];
    let check = |text: &str| {
        let (parts, options) = ([text.to_owned()], std::collections::BTreeMap::new());
        let draft = Draft { parts: &parts, comment: None, media: &jpegs, options: &options, lacks: &[] };
        validate::check(&Instagram, None, draft)
    };
    let fits = |text: &str| check(text).problems.is_empty();
    assert!(fits(&"a".repeat(2_200)) && !fits(&"a".repeat(2_201)));
    assert!(fits(&"🍞".repeat(2_200)) && !fits(&"🍞".repeat(2_201)));
    // How the 2,200 are counted is not documented; an emoji may count as two, which is said.
    assert!(check(&"🍞".repeat(1_100)).notices.is_empty());
    let said = check(&"🍞".repeat(1_200)).notices.join(" ");
    assert!(said.contains("2400"), "{said}");
}

#[test]
fn a_carousel_that_instagram_would_crop_is_refused_unless_it_may() {
    let shaped = |n, name: &str, width, height| MediaItem { name: name.into(), width, height, ..jpeg(n) };
    let found = |media: &[MediaItem], options: &[(&str, &str)]| {
        let owned = owned(Door::Instagram, "x", Vec::new(), options);
        Instagram.problems(&["x"], media, &owned.options, None)
    };
    let loaf = shaped(1, "loaf.jpg", 1000, 1000);
    let one = found(&[loaf.clone(), shaped(2, "near.jpg", 1010, 1000), shaped(3, "rye.jpg", 500, 400)], &[]);
    let [problem] = one.as_slice() else { panic!("{one:?}") };
    assert_eq!((problem.code, problem.field.as_str()), ("carousel_shapes", "media[2]"));
    for part in ["`rye.jpg`", "1.25:1", "`loaf.jpg`", "1.00:1"] {
        assert!(problem.message.contains(part), "{part}: {problem:?}");
    }
    assert!(problem.hint.as_ref().unwrap().contains("--option instagram.crop=first"), "{problem:?}");
    for (width, height, fits) in
        [(1010, 1000, true), (1012, 1000, false), (990, 1000, true), (988, 1000, false)]
    {
        let found = found(&[loaf.clone(), shaped(2, "x.jpg", width, height)], &[]);
        assert_eq!(found.is_empty(), fits, "{width}×{height}: {found:?}");
    }
    let other = shaped(2, "rye.jpg", 500, 400);
    assert!(found(&[loaf.clone(), other.clone()], &[("crop", "first")]).is_empty());
    // A size that is not known is no other shape; and a film has one like a picture.
    assert!(found(&[loaf.clone(), shaped(2, "x.jpg", 0, 0)], &[]).is_empty());
    assert_eq!(found(&[loaf, film(2)], &[])[0].code, "carousel_shapes");
}

#[test]
fn deleting_is_for_accounts_that_came_through_facebook() {
    let account = |door: Door| Account {
        tier: Some(door.as_str().into()),
        ..crate::jobs::account(PlatformName::Instagram)
    };
    let can = |door: Door| Instagram.capabilities(Some(door.as_str())).can_delete;
    assert!(Instagram.delete(&account(Door::Instagram), "179").is_none() && !can(Door::Instagram));
    assert!(Instagram.delete(&account(Door::Facebook), "179").is_some() && can(Door::Facebook));
    assert!(Instagram.delete(&account(Door::Facebook), "shortcode:Cabc").is_none());
    let done = answer(200, &json!({ "success": true, "deleted_id": "179" }));
    assert_eq!(Instagram.deleted(&done, now()), Deletion::Done);
    let lacking = answer(400, &json!({ "error": { "code": 10, "message": "no" } }));
    let Deletion::Failed(failure) = Instagram.deleted(&lacking, now()) else { panic!("failed") };
    assert!(failure.hint.unwrap().contains("instagram_manage_contents"));
}

#[test]
fn addresses_as_people_copy_them_lead_to_marked_names_that_no_call_takes_for_ids() {
    let account = crate::jobs::account(PlatformName::Instagram);
    let id = |url: &str| Instagram.remote_id_of(&account, url);
    assert_eq!(id("https://www.instagram.com/p/CabcDE_1-x/"), Some("shortcode:CabcDE_1-x".into()));
    assert_eq!(id("https://instagram.com/acme/reel/CabcDE/"), Some("shortcode:CabcDE".into()));
    assert_eq!(id("https://www.instagram.com/stories/acme/3141/"), Some("story:3141".into()));
    for odd in [
        "https://www.instagram.com/other/p/CabcDE/",
        "https://evil.example/p/CabcDE/",
        "http://www.instagram.com/p/CabcDE/",
        "https://www.instagram.com/acme/",
    ] {
        assert_eq!(id(odd), None, "{odd}");
    }
    assert!(Instagram.read_back(&account, &live_step("shortcode:CabcDE", "")).is_none());
}
