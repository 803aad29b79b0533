//! The engine and Facebook's connector together: what becomes of lost answers where nothing keeps a
//! repeat from doubling (texts), and where a handle tells (reels).

use std::sync::Arc;

use crate::world::networks::{Fault, answer};
use crate::world::{Rng, World, secs, start};
use jiff::SignedDuration;
use sendoff::domain::delivery::{State, Step, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId, MediaId, PlatformName};
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::domain::schedule::Late;
use sendoff::engine::{Call, Input};
use serde_json::json;

fn facebook(seed: u64) -> World {
    let mut world = World::new(seed, PlatformName::Facebook, 2);
    world.network.facebook.works = secs(90);
    world
}

/// A post that is a reel.
fn reel(world: &mut World, account: u128, due: i64) -> DeliveryId {
    let id = world.post(account, due, 1, Late::Always);
    let post = world.posts.get_mut(&world.store[&id].post).unwrap();
    let post = Arc::make_mut(post);
    post.media = vec![MediaItem {
        id: MediaId::from_u128(9),
        name: "loaf.mp4".into(),
        kind: MediaKind::Mp4,
        bytes: 900,
        width: 1080,
        height: 1920,
        alt: None,
        part: 0,
        detail: sendoff::domain::media::Detail::default(),
    }];
    post.options = [(PlatformName::Facebook, [("format".into(), "reel".into())].into())].into();
    id
}

fn rest(world: &mut World) {
    world.run_until(start() + SignedDuration::from_hours(24 * 7));
}

fn calls(world: &World, label: &str) -> usize {
    world.network.facebook.calls.get(label).copied().unwrap_or_default()
}

#[test]
fn a_reel_is_published_when_its_video_says_so_and_not_before() {
    let mut world = facebook(1);
    let id = reel(&mut world, 1, 0);
    world.run_until(start() + secs(60));
    let early = &world.store[&id];
    assert_eq!(early.state, State::Unknown, "accepted is not published");
    assert_eq!(early.reason.as_ref().unwrap().class, "media_not_ready");
    rest(&mut world);
    let done = &world.store[&id];
    assert_eq!(done.state, State::Published);
    assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
    assert_eq!((calls(&world, "facebook.reel.finish"), world.network.objects.len()), (1, 1));
}

#[test]
fn a_lost_answer_to_a_reels_finish_ends_with_the_one_reel() {
    // It took effect, and the answer got lost; or an error came behind which it took effect.
    let trouble = answer(500, &json!({ "error": { "code": 2, "message": "retry", "is_transient": true } }));
    for fault in [Fault::LostAfter, Fault::Misleading(trouble), Fault::Cut] {
        let mut world = facebook(2);
        world.network.script = vec![fault.clone()];
        let id = reel(&mut world, 1, 0);
        rest(&mut world);
        let done = &world.store[&id];
        assert_eq!(done.state, State::Published, "{fault:?}");
        assert_eq!(world.network.objects.len(), 1, "{fault:?}");
        assert_eq!(calls(&world, "facebook.video.start"), 1, "{fault:?}: never a second video");
        assert_eq!(done.steps[0].remote_id.as_deref(), Some("770"), "{fault:?}");
    }
}

#[test]
fn a_finish_that_never_arrived_is_sent_again_for_the_same_video_after_the_time_to_settle() {
    let mut world = facebook(3);
    world.network.script = vec![Fault::LostBefore];
    let id = reel(&mut world, 1, 0);
    rest(&mut world);
    assert_eq!(world.store[&id].state, State::Published);
    assert_eq!((calls(&world, "facebook.video.start"), world.network.objects.len()), (1, 1));
    assert_eq!(world.sent.len(), 2);
    let gap = world.sent[1].0.duration_since(world.sent[0].0);
    assert!(gap >= SignedDuration::from_mins(15), "{gap:?}");
}

#[test]
fn a_video_that_facebook_cannot_take_ends_with_facebooks_words_and_is_not_sent_again() {
    let mut world = facebook(4);
    world.network.facebook.flaw = Some("Aspect ratio not supported");
    let id = reel(&mut world, 1, 0);
    rest(&mut world);
    let done = &world.store[&id];
    assert_eq!(done.state, State::Rejected);
    let reason = done.reason.as_ref().unwrap();
    assert!(reason.message.contains("Aspect ratio not supported"), "{reason:?}");
    assert_eq!((calls(&world, "facebook.video.start"), world.sent.len()), (1, 1));
}

#[test]
fn a_reel_that_facebook_took_on_is_waited_for_however_long_it_lies_in_a_queue() {
    for wish in [None, Some("cancel"), Some("late")] {
        let mut world = facebook(8);
        world.network.facebook.queued = secs(3 * 3600);
        world.network.facebook.doubles = true;
        let id = reel(&mut world, 1, 0);
        if wish == Some("late") {
            world.store.get_mut(&id).unwrap().late = Late::Within(SignedDuration::from_hours(1));
        }
        if wish == Some("cancel") {
            world.cancel_at(60, id);
        }
        rest(&mut world);
        assert_eq!(world.store[&id].state, State::Published, "{wish:?}");
        assert_eq!((calls(&world, "facebook.reel.finish"), world.network.objects.len()), (1, 1), "{wish:?}");
    }
}

#[test]
fn many_reels_at_work_are_no_sign_of_an_outage() {
    let mut world = facebook(5);
    let all: Vec<_> =
        (0..8).map(|n| reel(&mut world, 1 + u128::from(n % 2 == 0), i64::from(n) * 20)).collect();
    world.run_until(start() + secs(600));
    for id in all {
        assert_eq!(world.store[&id].state, State::Published);
    }
}

#[test]
fn a_lost_answer_to_a_text_is_found_in_the_list_and_never_sent_twice() {
    for fault in [
        Fault::LostAfter,
        Fault::Misleading(answer(500, &json!({ "error": { "code": 1, "message": "unknown" } }))),
        Fault::Misleading(answer(400, &json!({ "error": { "code": 1_404_102, "message": "blocked" } }))),
        Fault::Cut,
    ] {
        let mut world = facebook(6);
        world.network.list_lag = secs(120);
        world.network.script = vec![fault.clone()];
        let id = world.post(1, 0, 1, Late::Always);
        rest(&mut world);
        let done = &world.store[&id];
        assert_eq!(done.state, State::Published, "{fault:?}");
        assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{fault:?}");
        assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
    }
}

/// A post with so many photos.
fn photos(world: &mut World, count: u128) -> DeliveryId {
    let id = world.post(1, 0, 1, Late::Always);
    let post = world.posts.get_mut(&world.store[&id].post).unwrap();
    let photo = |n| MediaItem {
        id: MediaId::from_u128(n),
        name: "loaf.jpg".into(),
        kind: MediaKind::Jpeg,
        bytes: 900,
        width: 1080,
        height: 1080,
        alt: None,
        part: 0,
        detail: sendoff::domain::media::Detail::default(),
    };
    Arc::make_mut(post).media = (0..count).map(photo).collect();
    id
}

#[test]
fn a_lost_answer_to_photos_is_found_by_them_and_none_is_uploaded_or_posted_twice() {
    let trouble = answer(500, &json!({ "error": { "code": 1, "message": "unknown" } }));
    for count in [1, 3] {
        for hides in [false, true] {
            for fault in [Fault::LostAfter, Fault::Misleading(trouble.clone()), Fault::Cut] {
                let mut world = facebook(11);
                world.network.facebook.hides_photos = hides;
                world.network.list_lag = secs(120);
                world.network.script = vec![fault.clone()];
                let id = photos(&mut world, count);
                rest(&mut world);
                let done = &world.store[&id];
                let what = format!("{count} photos, {hides} {fault:?}: {:?}", done.reason);
                assert_eq!(done.state, State::Published, "{what}");
                assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{what}");
                assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id), "{what}");
                assert_eq!(calls(&world, "facebook.photo"), usize::try_from(count).unwrap(), "{what}");
            }
        }
    }
}

#[test]
fn an_upload_of_a_photo_whose_answer_was_lost_is_repeated_and_shows_nothing_to_anybody() {
    let mut world = facebook(12);
    world.network.reads = vec![Fault::None, Fault::LostAfter];
    let id = photos(&mut world, 3);
    rest(&mut world);
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!((calls(&world, "facebook.photo"), calls(&world, "facebook.feed")), (4, 1));
}

#[test]
fn a_text_that_never_arrived_is_held_and_sent_again_only_where_the_operator_chose_that() {
    for chosen in [false, true] {
        let mut world = facebook(7);
        world.network.script = vec![Fault::LostBefore];
        if chosen {
            world.settings.resend_when_absent = [PlatformName::Facebook].into();
        }
        let id = world.post(1, 0, 1, Late::Always);
        rest(&mut world);
        let it = &world.store[&id];
        assert_eq!((it.held, it.state == State::Published), (!chosen, chosen));
        assert_eq!(world.sent.len(), 1 + usize::from(chosen));
    }
}

#[test]
fn a_story_that_never_arrived_is_held_and_made_again_only_where_the_operator_chose_that() {
    // The list of stories tells what each was made of, so words are not missed.
    for (film, chosen) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = facebook(9);
        world.network.script = vec![Fault::LostBefore];
        if chosen {
            world.settings.resend_when_absent = [PlatformName::Facebook].into();
        }
        let id = if film { reel(&mut world, 1, 0) } else { photos(&mut world, 1) };
        let post = Arc::make_mut(world.posts.get_mut(&world.store[&id].post).unwrap());
        post.options = [(PlatformName::Facebook, [("format".into(), "story".into())].into())].into();
        post.content.parts = vec![String::new()];
        rest(&mut world);
        let it = &world.store[&id];
        assert_eq!((it.held, it.state == State::Published), (!chosen, chosen), "{film}: {:?}", it.reason);
        assert_eq!(world.sent.len(), 1 + usize::from(chosen));
        assert_eq!(world.network.objects.len(), usize::from(chosen));
    }
    // Photos without words are known by their ids only where the list names them.
    let mut world = facebook(9);
    world.network.script = vec![Fault::LostBefore];
    world.settings.resend_when_absent = [PlatformName::Facebook].into();
    let id = photos(&mut world, 2);
    Arc::make_mut(world.posts.get_mut(&world.store[&id].post).unwrap()).content.parts = vec![String::new()];
    rest(&mut world);
    assert!(world.store[&id].held);
}

#[test]
fn a_comment_that_facebook_does_not_allow_costs_neither_the_post_nor_the_account() {
    let mut world = facebook(9);
    let refusal =
        json!({ "error": { "code": 200, "message": "(#200) no permission", "type": "OAuthException" } });
    world.network.script = vec![Fault::None, Fault::Refused(answer(403, &refusal))];
    let id = world.post(1, 0, 1, Late::Always);
    let row = world.store.get_mut(&id).unwrap();
    row.steps.push(Step::new(StepKind::Comment));
    let post = Arc::make_mut(world.posts.get_mut(&row.post).unwrap());
    post.content.comment = Some("First.".into());
    let next = world.post(1, 600, 1, Late::Always);
    rest(&mut world);
    let it = &world.store[&id];
    assert_eq!((it.state, it.live_prefix()), (State::Published, 1), "{it:#?}");
    assert_eq!(it.reason.as_ref().unwrap().class, "permission");
    assert_eq!(world.store[&next].state, State::Published);
}

#[test]
fn a_comment_that_is_refused_for_its_content_leaves_its_post_published() {
    let mut world = facebook(12);
    let refusal =
        json!({ "error": { "code": 100, "message": "Invalid parameter", "type": "OAuthException" } });
    world.network.script = vec![Fault::None, Fault::Refused(answer(400, &refusal))];
    let id = world.post(1, 0, 1, Late::Always);
    let row = world.store.get_mut(&id).unwrap();
    row.steps.push(Step::new(StepKind::Comment));
    Arc::make_mut(world.posts.get_mut(&row.post).unwrap()).content.comment = Some("First.".into());
    rest(&mut world);
    let it = &world.store[&id];
    assert_eq!((it.state, it.live_prefix()), (State::Published, 1), "{it:#?}");
    let reason = it.reason.as_ref().unwrap();
    assert!(reason.hint.as_ref().unwrap().contains("the post is live"), "{reason:?}");
}

#[test]
fn a_network_that_is_not_reached_while_a_film_is_prepared_rejects_nothing() {
    let mut world = facebook(13);
    world.network.reads = vec![Fault::NotSent; 20];
    let id = reel(&mut world, 1, 0);
    world.run_until(start() + SignedDuration::from_hours(12));
    assert_eq!(world.store[&id].state, State::Published, "{:#?}", world.store[&id]);
}

#[test]
fn whatever_goes_wrong_no_text_and_no_reel_is_there_twice() {
    let (mut published, mut doubted, mut crashes) = (0, 0, 0);
    for seed in 0..150 {
        let mut dice = Rng(seed ^ 0xFACE);
        let mut world = facebook(seed);
        world.network.trouble = 10 + dice.below(60);
        world.network.patience = dice.below(24);
        world.network.refuses_repeats = dice.chance(50);
        world.network.list_lag = secs(i64::try_from(dice.below(300)).unwrap());
        world.network.facebook.works = secs(i64::try_from(dice.below(600)).unwrap());
        for n in 0..4_u32 {
            let due = i64::try_from(dice.below(300)).unwrap();
            if dice.chance(50) {
                reel(&mut world, u128::from(1 + n % 2), due);
            } else {
                world.post(u128::from(1 + n % 2), due, 1, Late::Always);
            }
        }
        let count = dice.below(4);
        world.crash_at = (0..count).map(|_| 1 + dice.below(160)).collect();
        rest(&mut world);
        for delivery in world.store.values() {
            let text = &world.posts[&delivery.post].content.parts[0];
            let objects: Vec<_> = world.network.objects.iter().filter(|it| it.text == *text).collect();
            let what =
                format!("seed {seed}: {} is {:?}, {} objects", delivery.id, delivery.state, objects.len());
            assert!(objects.len() <= 1, "{what}");
            match delivery.state {
                State::Published => {
                    assert_eq!(
                        delivery.steps[0].remote_id.as_ref(),
                        objects.first().map(|it| &it.id),
                        "{what}"
                    );
                    published += 1;
                }
                State::Unknown => assert!(delivery.held, "{what}"),
                state => assert!(state.is_terminal() && objects.is_empty(), "{what}"),
            }
        }
        doubted += usize::from(world.sent.len() > 4);
        crashes += world.crashes;
    }
    // The test would prove nothing if the world were kind.
    assert!(published > 300 && doubted > 10 && crashes > 50, "{published} {doubted} {crashes}");
}

#[test]
fn the_thirty_first_reel_of_a_day_waits_alone_and_over_a_restart() {
    let mut world = facebook(31);
    let reels: Vec<_> = (0..31).map(|n| reel(&mut world, 1, n * 600)).collect();
    world.run_until(start() + secs(30 * 600 + 1800));
    let last = &world.store[&reels[30]];
    let said = last.reason.as_ref().unwrap();
    assert_eq!((last.state, said.class.as_str()), (State::Retry, "full"), "{said:?}");
    assert!(said.message.contains("30 reels of an account in 24h"), "{said:?}");
    assert_eq!(calls(&world, "facebook.video.start"), 30, "nothing is uploaded for it");
    world.restart();
    let call = |(at, id, account): &(_, _, _)| Call {
        account: *account,
        app: (PlatformName::Facebook, None),
        at: *at,
        publishes: false,
        counts: false,
        share: Some(*id),
    };
    let before = world.sent.iter().map(call).collect();
    world.input(Input::Calls(before));
    let one_more = reel(&mut world, 1, 30 * 600 + 3600);
    // A text of the same Page, and a reel of another one, go out meanwhile.
    let text = world.post(1, 30 * 600 + 3600, 1, Late::Always);
    let other = reel(&mut world, 2, 30 * 600 + 3600);
    world.run_until(start() + SignedDuration::from_hours(23));
    for id in [text, other] {
        assert_eq!(world.store[&id].state, State::Published);
    }
    for id in [reels[30], one_more] {
        assert_eq!(world.store[&id].state, State::Retry);
    }
    rest(&mut world);
    assert_eq!(world.store[&reels[30]].state, State::Published);
    let left = world.sent.iter().find(|it| it.1 == reels[30]).unwrap().0;
    assert!(left.duration_since(start()) >= SignedDuration::from_hours(24), "{left}");
}

#[test]
fn a_token_of_another_kind_is_fetched_anew_once_and_then_a_person_is_asked() {
    let wrong = || {
        let body = json!({ "error": { "code": 190, "error_subcode": 2_069_032, "message": "Page token" } });
        Fault::Refused(answer(400, &body))
    };
    for (script, dead) in [(vec![wrong()], false), (vec![wrong(), wrong()], true)] {
        let mut world = facebook(32);
        let account = world.accounts.get_mut(&AccountId::from_u128(1)).unwrap();
        // There is no refresh token, and none is needed for it.
        account.can_refresh = false;
        world.network.script = script;
        let id = world.post(1, 0, 1, Late::Always);
        world.run_until(start() + secs(900));
        let state = world.store[&id].state;
        assert_eq!(state, if dead { State::NeedsReconnect } else { State::Published });
        rest(&mut world);
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    }
}
