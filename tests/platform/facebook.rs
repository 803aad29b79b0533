//! Facebook's connector: every request it makes against the parameters that Meta's generated
//! specifications list, and what its looks make of what a Page shows.

use crate::graph_spec::Spec;
use crate::jobs::{Owned, answer, fresh, image, live_step, now, shown};
use sendoff::domain::delivery::{Frozen, Handles, StepKind};
use sendoff::domain::ids::{MediaId, PlatformName};
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::platforms::facebook::Facebook;
use sendoff::platforms::instagram::Instagram;
use sendoff::platforms::{
    Answer, Body, Class, Deletion, FailureClass, Job, Next, Platform, Request, Sight, Verdict,
};
use sendoff::validate::{self, Draft};
use serde_json::{Value, json};

fn owned(text: &str) -> Owned {
    Owned::new(PlatformName::Facebook, text)
}

fn with_options(text: &str, options: &[(&str, &str)]) -> Owned {
    let mut owned = owned(text);
    owned.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned
}

fn video(bytes: u64) -> MediaItem {
    MediaItem {
        id: MediaId::from_u128(77),
        name: "loaf.mp4".into(),
        kind: MediaKind::Mp4,
        bytes,
        width: 1080,
        height: 1920,
        alt: None,
        part: 0,
        detail: sendoff::domain::media::Detail::default(),
    }
}

fn comment_job(owned: &Owned) -> Job<'_> {
    Job { kind: StepKind::Comment, ..owned.job() }
}

/// Goes through a post as the engine would, with these answers; every request on the way, the frozen
/// one last.
fn walk(job: &Job<'_>, answers: &[Value]) -> (Vec<Request>, Frozen) {
    let (mut handles, mut made, mut answers) = (Handles::new(), Vec::new(), answers.iter());
    loop {
        match Facebook.next(job, &handles, fresh()).unwrap() {
            Next::Call(call) => {
                let said =
                    answer(200, answers.next().unwrap_or_else(|| panic!("no answer for {}", call.label)));
                handles.extend(Facebook.answered(job, &handles, &call, &said, now()).unwrap());
                made.push(call);
            }
            Next::Publish(frozen) => {
                made.push(Facebook.publish(job, &frozen));
                return (made, frozen);
            }
        }
    }
}

fn reel() -> Owned {
    let mut owned = with_options("Fresh loaves", &[("format", "reel"), ("title", "Loaves")]);
    owned.media = vec![video(900)];
    owned
}

fn reel_answers() -> Vec<Value> {
    vec![
        json!({ "video_id": "555", "upload_url": "https://rupload.facebook.com/video-upload/v26.0/555" }),
        json!({ "success": true }),
    ]
}

/// What is asked after an upload that broke off.
fn asked_after_a_break(reel: &Owned) -> Request {
    let mut handles = Handles::new();
    for said in
        [answer(200, &reel_answers()[0]), answer(400, &json!({ "debug_info": { "retriable": true } }))]
    {
        let Ok(Next::Call(call)) = Facebook.next(&reel.job(), &handles, fresh()) else { panic!("a call") };
        handles.extend(Facebook.answered(&reel.job(), &handles, &call, &said, now()).unwrap());
    }
    let Ok(Next::Call(call)) = Facebook.next(&reel.job(), &handles, fresh()) else { panic!("a call") };
    call
}

/// Every request that the connector can make, by a name for messages.
pub(crate) fn all_requests() -> Vec<Request> {
    let mut all = Vec::new();
    let link = with_options("News", &[("link", "https://example.org/a")]);
    all.extend(walk(&link.job(), &[]).0);
    let mut photos = owned("Two loaves");
    photos.media = vec![image(1), image(2)];
    let (made, frozen) = walk(&photos.job(), &[json!({ "id": "901" }), json!({ "id": 902 })]);
    all.extend(made);
    all.extend(Facebook.look(&photos.job(), &frozen, now()));
    all.extend(Facebook.scan(&photos.job(), now()));
    let reel = reel();
    let (made, frozen) = walk(&reel.job(), &reel_answers());
    all.extend(made);
    all.extend(Facebook.look(&reel.job(), &frozen, now()));
    all.push(asked_after_a_break(&reel));
    let mut plain = with_options("A film", &[("title", "Film")]);
    plain.media = vec![video(900)];
    let phases = [
        json!({ "upload_session_id": "31", "video_id": "556", "start_offset": "0", "end_offset": "600" }),
        json!({ "start_offset": "600", "end_offset": "900" }),
        json!({ "start_offset": "900", "end_offset": "900" }),
    ];
    all.extend(walk(&plain.job(), &phases).0);
    let mut story = with_options("", &[("format", "story")]);
    story.media = vec![image(1)];
    let (made, frozen) = walk(&story.job(), &[json!({ "id": "901" })]);
    all.extend(made);
    all.extend(Facebook.look(&story.job(), &frozen, now()));
    story.media = vec![video(900)];
    let mut answers = reel_answers();
    answers.push(json!({ "id": "555", "status": { "video_status": "upload_complete" } }));
    all.extend(walk(&story.job(), &answers).0);
    let mut comment = owned("First!");
    comment.before = vec![live_step("106512_1", "")];
    let (made, frozen) = walk(&comment_job(&comment), &[]);
    all.extend(made);
    all.extend(Facebook.look(&comment_job(&comment), &frozen, now()));
    for form in ["feed", "comment", "reel"] {
        let mut step = live_step("106512_1", "");
        step.extra.insert("form".into(), form.into());
        all.extend(Facebook.read_back(&comment.account, &step));
        all.extend(Facebook.edit(&comment.account, &step, "Other words."));
    }
    all.extend(Facebook.read_back(&comment.account, &live_step("story:77", "")));
    all.extend(Facebook.delete(&comment.account, "106512_1"));
    all
}

#[test]
fn every_request_uses_only_parameters_that_the_specification_lists() {
    let Some(spec) = Spec::load() else { return };
    let (mut broken, mut seen) = (Vec::new(), Vec::new());
    for request in all_requests() {
        match spec.check(&request) {
            Ok(endpoint) => seen.push(endpoint),
            Err(why) => broken.push(format!("{}: {why}", request.label)),
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    for wanted in [
        "page.feed.create",
        "page.photos.create",
        "page.published_posts.list",
        "page.video_reels.create",
        "page.videos.create",
        "page.photo_stories.create",
        "page.video_stories.create",
        "page.stories.list",
        "page_post.comments.create",
        "page_post.comments.list",
        "page_post.delete",
        "page_post.update",
        "fb.rupload.video",
    ] {
        assert!(seen.iter().any(|it| it == wanted), "{wanted} is never asked: {seen:?}");
    }
}

#[test]
fn a_parameter_that_is_not_in_the_specification_is_noticed() {
    let Some(spec) = Spec::load() else { return };
    let mut request = walk(&owned("Hello").job(), &[]).0.remove(0);
    assert!(spec.check(&request).is_ok());
    request.query.push(("invented".into(), "1".into()));
    assert!(spec.check(&request).unwrap_err().contains("invented"));
    request.query.pop();
    request.body = Body::Json(br#"{"message":"Hello","made_up":1}"#.to_vec());
    assert!(spec.check(&request).unwrap_err().contains("made_up"));
    request.query[0].1 = "id,no_such_field".into();
    request.body = Body::Json(b"{}".to_vec());
    assert!(spec.check(&request).unwrap_err().contains("no_such_field"));
    request.path = "/106512/nowhere".into();
    assert!(spec.check(&request).is_err());
    // Values count as well: a word that is none of the listed, a number that is none.
    let finish = walk(&reel().job(), &reel_answers()).0.pop().unwrap();
    assert!(spec.check(&finish).is_ok());
    let said = |finish: &Request, from: &str, to: &str| {
        let Body::Json(body) = &finish.body else { panic!("JSON") };
        let body = String::from_utf8(body.clone()).unwrap().replace(from, to);
        spec.check(&Request { body: Body::Json(body.into_bytes()), ..finish.clone() })
    };
    assert!(said(&finish, "PUBLISHED", "PUBLISH").unwrap_err().contains("video_state"));
    let feed = walk(&owned("Hello").job(), &[]).0.remove(0);
    assert!(said(&feed, "true", "\"yes\"").unwrap_err().contains("published"));
}

#[test]
fn a_text_with_a_link_is_one_call_and_photos_are_uploaded_unseen_first() {
    let link = with_options("News", &[("link", "https://example.org/a")]);
    let mut made: Vec<_> = walk(&link.job(), &[]).0;
    let mut photos = owned("Two loaves");
    photos.media = vec![image(1), image(2)];
    made.extend(walk(&photos.job(), &[json!({ "id": "901" }), json!({ "id": 902 })]).0);
    let text = made.iter().map(shown).collect::<Vec<_>>().join("\n\n");
    insta::assert_snapshot!(text);
}

#[test]
fn a_reel_goes_to_the_address_that_the_network_gave_and_a_video_in_pieces() {
    let reel = reel();
    let mut made = walk(&reel.job(), &reel_answers()).0;
    let mut plain = owned("A film");
    plain.media = vec![video(900)];
    let phases = [
        json!({ "upload_session_id": "31", "video_id": "556", "start_offset": "0", "end_offset": "600" }),
        json!({ "start_offset": "600", "end_offset": "900" }),
        json!({ "start_offset": 900, "end_offset": 900 }),
    ];
    made.extend(walk(&plain.job(), &phases).0);
    let text = made.iter().map(shown).collect::<Vec<_>>().join("\n\n");
    insta::assert_snapshot!(text);
}

#[test]
fn videos_and_reels_have_a_handle_and_everything_else_has_none() {
    assert_eq!(Facebook.class(&reel().job()), Class::Handle);
    assert_eq!(Facebook.class(&owned("text").job()), Class::Opaque);
    let mut film = owned("A film");
    film.media = vec![video(9)];
    assert_eq!(Facebook.class(&film.job()), Class::Handle);
    // The comment under it has no handle of its own.
    film.before = vec![live_step("555", "")];
    let comment = Job { media: &[], ..comment_job(&film) };
    assert_eq!(Facebook.class(&comment), Class::Opaque);
}

#[test]
fn a_finished_reel_is_not_called_published_on_the_answer_alone() {
    let reel = reel();
    let (_, frozen) = walk(&reel.job(), &reel_answers());
    let verdict = Facebook.judge(&reel.job(), &frozen, &answer(200, &json!({ "success": true })), now());
    assert!(matches!(&verdict, Verdict::Pending { message } if message.contains("555")), "{verdict:?}");
    let none = Facebook.judge(&reel.job(), &frozen, &answer(200, &json!({ "success": false })), now());
    assert!(matches!(none, Verdict::Ambiguous { .. }));
}

/// A list with these posts, each `(id, seconds after the intent, more fields)`.
fn listed(posts: &[(&str, i64, Value)]) -> Answer {
    let data: Vec<Value> = posts
        .iter()
        .map(|(id, after, more)| {
            let at = now() + jiff::SignedDuration::from_secs(*after);
            let mut post = json!({ "id": id, "is_published": true,
                "created_time": at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string() });
            post.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            post
        })
        .collect();
    answer(200, &json!({ "data": data }))
}

fn seen(owned: &Owned, answers: &[Value], list: &Answer, bound: &[&str]) -> Sight {
    let (_, frozen) = walk(&owned.job(), answers);
    Facebook.seen(&owned.job(), &frozen, list, now(), &|id| bound.contains(&id), now())
}

fn found(sight: &Sight) -> Option<&str> {
    match sight {
        Sight::Found(live) if live.verified => live.remote_id.as_deref(),
        _ => None,
    }
}

#[test]
fn a_text_is_found_by_its_words_and_time_and_only_if_it_belongs_to_nobody() {
    let text = owned("Good morning\r\n");
    let words = json!({ "message": "Good morning" });
    let ours = listed(&[("106512_9", 3, words.clone()), ("106512_8", 1, json!({ "message": "Other" }))]);
    assert_eq!(found(&seen(&text, &[], &ours, &[])), Some("106512_9"));
    assert_eq!(seen(&text, &[], &ours, &["106512_9"]), Sight::Absent);
    assert_eq!(seen(&text, &[], &listed(&[("106512_9", -121, words.clone())]), &[]), Sight::Absent);
    let twice = listed(&[("106512_9", 3, words.clone()), ("106512_7", 1, words.clone())]);
    assert!(matches!(seen(&text, &[], &twice, &[]), Sight::Disputed { .. }));
    let hidden = json!({ "message": "Good morning", "is_published": false });
    assert_eq!(seen(&text, &[], &listed(&[("106512_9", 3, hidden)]), &[]), Sight::Absent);
}

#[test]
fn a_list_that_goes_on_or_is_an_error_is_no_negative_read() {
    let text = owned("Good morning");
    let mut more = listed(&[("106512_8", 1, json!({ "message": "Other" }))]).json();
    more["paging"] = json!({ "next": "https://graph.facebook.com/next" });
    assert!(matches!(seen(&text, &[], &answer(200, &more), &[]), Sight::Unclear(_)));
    // By cursor or by time; the token in the address is not taken along.
    for cursor in ["after=QVFI", "until=1764579600&__paging_token=enc"] {
        more["paging"] =
            json!({ "next": format!("https://graph.facebook.com/x?access_token=T&limit=100&{cursor}") });
        let Sight::More(request) = seen(&text, &[], &answer(200, &more), &[]) else { panic!("{cursor}") };
        let shown = shown(&request);
        assert!(shown.contains("/106512/published_posts") && shown.contains(cursor), "{shown}");
        assert!(!shown.contains("access_token"), "{shown}");
        assert_eq!(request.query.iter().filter(|it| it.0 == "limit").count(), 1);
    }
    for (status, body) in [
        (400, json!({ "error": { "code": 190, "message": "expired" } })),
        (200, json!({ "error": { "code": 1, "message": "unknown" }, "data": [] })),
        (200, json!({})),
        (500, json!({ "data": [] })),
    ] {
        let sight = seen(&text, &[], &answer(status, &body), &[]);
        assert!(matches!(sight, Sight::Unclear(_)), "{status} {body}: {sight:?}");
    }
}

#[test]
fn a_link_that_was_rewritten_is_left_to_a_person() {
    let link = with_options("News", &[("link", "https://www.example.org/a/")]);
    let with = |url: &str| {
        let attached = json!({ "data": [{ "type": "share", "unshimmed_url": url }] });
        listed(&[("106512_9", 3, json!({ "message": "News", "attachments": attached }))])
    };
    assert_eq!(found(&seen(&link, &[], &with("http://EXAMPLE.org/a"), &[])), Some("106512_9"));
    assert!(matches!(seen(&link, &[], &with("https://example.org/b"), &[]), Sight::Disputed { .. }));
    let bare = listed(&[("106512_9", 3, json!({ "message": "News" }))]);
    assert_eq!(found(&seen(&link, &[], &bare, &[])), Some("106512_9"));
}

#[test]
fn photos_are_found_by_their_ids_even_without_words_and_not_by_anothers() {
    let answers = [json!({ "id": "901" }), json!({ "id": "902" })];
    let album = |ids: [&str; 2]| {
        let inner: Vec<_> =
            ids.iter().map(|id| json!({ "media_type": "photo", "target": { "id": id } })).collect();
        json!({ "attachments": { "data": [{ "media_type": "album", "subattachments": { "data": inner } }] } })
    };
    for text in ["", "Two loaves"] {
        let mut photos = owned(text);
        photos.media = vec![image(1), image(2)];
        let mut ours = album(["901", "902"]);
        let mut theirs = album(["801", "802"]);
        for it in [&mut ours, &mut theirs] {
            if !text.is_empty() {
                it["message"] = json!(text);
            }
        }
        let list = listed(&[("106512_9", 3, ours), ("106512_8", 3, theirs.clone())]);
        assert_eq!(found(&seen(&photos, &answers, &list, &[])), Some("106512_9"), "{text}");
        assert_eq!(
            seen(&photos, &answers, &listed(&[("106512_8", 3, theirs)]), &[]),
            Sight::Absent,
            "{text}"
        );
    }
}

#[test]
fn a_comment_is_found_under_its_post_only_if_the_page_wrote_it() {
    let mut comment = owned("First!");
    comment.before = vec![live_step("106512_1", "")];
    let job = comment_job(&comment);
    let (_, frozen) = walk(&job, &[]);
    let look = |from: &str| {
        let list = listed(&[("1_44", 2, json!({ "message": "First!", "from": { "id": from } }))]);
        Facebook.seen(&job, &frozen, &list, now(), &|_| false, now())
    };
    assert_eq!(found(&look("106512")), Some("1_44"));
    assert_eq!(look("99"), Sight::Absent);
}

#[test]
fn a_story_is_found_by_the_photo_it_was_made_of_and_cannot_be_deleted() {
    let mut story = with_options("", &[("format", "story")]);
    story.media = vec![image(1)];
    let answers = [json!({ "id": "901" })];
    let list = |media: &str| answer(200, &json!({ "data": [{ "post_id": "77", "media_id": media }] }));
    let sight = seen(&story, &answers, &list("901"), &[]);
    assert_eq!(found(&sight), Some("story:77"));
    assert_eq!(seen(&story, &answers, &list("902"), &[]), Sight::Absent);
    assert!(Facebook.delete(&story.account, "story:77").is_none());
    // Published: nobody has told an address, and the list confirms it and tells one.
    let (_, frozen) = walk(&story.job(), &answers);
    let said = answer(200, &json!({ "success": true, "post_id": "77" }));
    let Verdict::Applied(live) = Facebook.judge(&story.job(), &frozen, &said, now()) else {
        panic!("applied")
    };
    assert_eq!((live.remote_id.as_deref(), live.permalink), (Some("story:77"), None));
    let step = live_step("story:77", "");
    let call = Facebook.read_back(&story.account, &step).unwrap();
    assert!(call.path.ends_with("/stories"), "{call:?}");
    let address = "https://www.facebook.com/stories/1/77";
    let listed = answer(200, &json!({ "data": [{ "post_id": "76" }, { "post_id": "77", "url": address }] }));
    let Sight::Found(live) = Facebook.confirmed(&step, &listed, now()) else { panic!("confirmed") };
    assert_eq!((live.verified, live.permalink.as_deref()), (true, Some(address)));
    assert!(matches!(Facebook.confirmed(&step, &list("901"), now()), Sight::Found(_)));
    let other = answer(200, &json!({ "data": [{ "post_id": "76" }] }));
    assert!(matches!(Facebook.confirmed(&step, &other, now()), Sight::Unclear(_)));
}

#[test]
fn a_deletion_is_done_only_if_it_says_so() {
    for body in [json!({ "success": true }), json!(true)] {
        assert_eq!(Facebook.deleted(&answer(200, &body), now()), Deletion::Done);
    }
    let gone = json!({ "error": { "code": 100, "error_subcode": 33, "message": "does not exist" } });
    let Deletion::Failed(failure) = Facebook.deleted(&answer(400, &gone), now()) else { panic!("failed") };
    assert!(failure.hint.unwrap().contains("deleted already"));
    let Deletion::Failed(_) = Facebook.deleted(&answer(200, &json!({ "success": false })), now()) else {
        panic!("failed")
    };
}

#[test]
fn what_cannot_be_a_post_on_facebook_is_said_before_it_is_scheduled() {
    let codes = |text: &str, media: &[MediaItem], options: &[(&str, &str)]| {
        let owned = with_options(text, options);
        let found = Facebook.problems(&[text], media, &owned.options, None);
        found.into_iter().map(|it| it.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("hi", &[], &[("link", "https://example.org")]), Vec::<&str>::new());
    for link in ["example.org", "https://m.facebook.com/x", "javascript:1"] {
        assert_eq!(codes("hi", &[], &[("link", link)]), ["bad_option"], "{link}");
    }
    assert_eq!(codes("hi", &[image(1)], &[("link", "https://example.org")]), ["bad_option"]);
    assert_eq!(codes("hi", &[image(1)], &[("format", "reel")]), ["reel_needs_one_video"]);
    assert_eq!(codes("", &[], &[("format", "story")]), ["story_needs_one_file"]);
    assert_eq!(codes("hi", &[image(1)], &[("format", "story")]), ["story_without_text"]);
    assert_eq!(codes("hi", &[video(1), image(1)], &[]), ["video_alone"]);
    assert_eq!(codes("hi", &[], &[("title", "x")]), ["bad_option"]);
}

#[test]
fn a_comment_on_a_story_is_refused_before_it_is_scheduled() {
    let jpeg = [MediaItem { kind: MediaKind::Jpeg, ..image(1) }];
    let both: [(&dyn Platform, _); 2] = [(&Facebook, "facebook.format"), (&Instagram, "instagram.format")];
    for (network, option) in both {
        let found = |format: &str, comment| {
            let (parts, options) = ([String::new()], [("format".to_owned(), format.to_owned())].into());
            let draft = Draft { parts: &parts, comment, media: &jpeg, options: &options, lacks: &[] };
            let mut found = validate::check(network, None, draft).problems;
            found.retain(|it| it.field == "comment");
            found
        };
        let refused = found("story", Some("First!"));
        let [problem] = refused.as_slice() else { panic!("{option}: {refused:?}") };
        assert_eq!(problem.code, "no_first_comment");
        assert!(problem.message.contains("a story on"), "{problem:?}");
        assert!(problem.hint.as_ref().is_some_and(|it| it.contains(option)), "{problem:?}");
        assert!(found("story", None).is_empty() && found("post", Some("First!")).is_empty(), "{option}");
    }
}

#[test]
fn addresses_as_people_copy_them_lead_to_ids_of_this_page_alone() {
    let account = crate::jobs::account(PlatformName::Facebook);
    let id = |url: &str| Facebook.remote_id_of(&account, url);
    assert_eq!(id("https://www.facebook.com/acme/posts/998"), Some("106512_998".into()));
    assert_eq!(id("https://facebook.com/106512_998"), Some("106512_998".into()));
    assert_eq!(
        id("https://m.facebook.com/permalink.php?story_fbid=998&id=106512"),
        Some("106512_998".into())
    );
    assert_eq!(id("https://www.facebook.com/reel/555/"), Some("555".into()));
    for odd in [
        "https://www.facebook.com/other/posts/998",
        "https://www.facebook.com/acme/posts/pfbid02abc",
        "https://evil.example/106512_998",
        "http://www.facebook.com/106512_998",
        "https://www.facebook.com/99_998",
    ] {
        assert_eq!(id(odd), None, "{odd}");
    }
}

#[test]
fn an_unknown_error_of_a_safe_call_is_for_the_user_and_a_servers_trouble_for_later() {
    let mut photos = owned("x");
    photos.media = vec![image(1)];
    let Next::Call(call) = Facebook.next(&photos.job(), &Handles::new(), fresh()).unwrap() else {
        panic!("a photo is uploaded first")
    };
    let class = |status, body: Value| {
        let said = answer(status, &body);
        Facebook.answered(&photos.job(), &Handles::new(), &call, &said, now()).unwrap_err().class
    };
    let error =
        |code: i64, sub: i64| json!({ "error": { "code": code, "error_subcode": sub, "message": "m" } });
    assert_eq!(class(400, error(999, 0)), FailureClass::InvalidContent);
    let mut passing = error(999, 0);
    passing["error"]["is_transient"] = json!(true);
    assert_eq!(class(400, passing), FailureClass::Transient);
    let mut limit = error(4, 0);
    limit["error"]["is_transient"] = json!(true);
    assert_eq!(class(400, limit), FailureClass::AppLimited, "a limit passes, and is one");
    assert_eq!(class(400, error(100, 1_609_005)), FailureClass::Transient);
    assert_eq!(class(500, error(2, 0)), FailureClass::Transient);
    assert_eq!(class(400, error(2, 0)), FailureClass::Transient);
    assert_eq!(class(400, error(100, 1_366_046)), FailureClass::InvalidContent);
    assert_eq!(class(400, error(1, 1_609_005)), FailureClass::Transient);
    assert_eq!(class(400, error(1, 1_404_102)), FailureClass::Policy);
    assert_eq!(class(403, error(283, 0)), FailureClass::Permission);
    assert_eq!(class(400, error(80_004, 0)), FailureClass::RateLimited);
    assert_eq!(class(200, json!({ "id": "me" })), FailureClass::Transient);
}
