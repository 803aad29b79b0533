//! The engine and Instagram's connector together: whatever happens to the answer of `media_publish`, and
//! whatever the container says then, there is one post, and no container is published twice.

use std::sync::Arc;

use crate::world::networks::{Fault, answer};
use crate::world::{Rng, World, secs, start};
use jiff::SignedDuration;
use sendoff::domain::delivery::{Said, State, Step, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId, MediaId, PlatformName};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::domain::schedule::Late;
use serde_json::json;

const LONG: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What a post is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Picture,
    Reel,
    /// Two pictures and a film.
    Carousel,
}

fn file(n: u128, kind: MediaKind) -> MediaItem {
    MediaItem {
        id: MediaId::from_u128(n),
        name: "loaf".into(),
        kind,
        bytes: 900,
        width: 1080,
        height: 1080,
        alt: None,
        part: 0,
        detail: Detail::default(),
    }
}

fn post(world: &mut World, form: Form, account: u128, due: i64) -> DeliveryId {
    let id = world.post(account, due, 1, Late::Always);
    let post = world.posts.get_mut(&world.store[&id].post).unwrap();
    let (picture, film) = (|n| file(n, MediaKind::Jpeg), file(20, MediaKind::Mp4));
    Arc::make_mut(post).media = match form {
        Form::Picture => vec![picture(9)],
        Form::Reel => vec![film],
        Form::Carousel => vec![picture(9), film, picture(10)],
    };
    id
}

pub(super) fn picture(world: &mut World, account: u128, due: i64) -> DeliveryId {
    post(world, Form::Picture, account, due)
}

/// One post, one fault at its publishing, and what its container says from then on for a while.
fn run(fault: Fault, says: Option<(SignedDuration, &'static str)>) -> (World, DeliveryId) {
    run_as(Form::Picture, fault, says)
}

fn run_as(form: Form, fault: Fault, says: Option<(SignedDuration, &'static str)>) -> (World, DeliveryId) {
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.network.instagram.works = secs(20);
    world.network.instagram.says = says;
    world.network.script = vec![fault];
    let id = post(&mut world, form, 1, 0);
    world.run_until(start() + SignedDuration::from_hours(24 * 7));
    assert_eq!(world.network.instagram.doubles, 0, "a container was published twice");
    (world, id)
}

pub(super) fn calls(world: &World, label: &str) -> usize {
    world.network.instagram.calls.get(label).copied().unwrap_or_default()
}

fn blocked() -> Fault {
    Fault::Misleading(answer(
        400,
        &json!({ "error": { "code": 4, "error_subcode": 2_207_051, "message": "blocked" } }),
    ))
}

#[test]
fn a_post_waits_for_its_container_and_is_published_once() {
    let (world, id) = run(Fault::None, None);
    let done = &world.store[&id];
    assert_eq!((done.state, world.network.objects.len(), world.sent.len()), (State::Published, 1, 1));
    assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
    assert!(calls(&world, "instagram.status") >= 2, "it was asked until it was finished");
}

#[test]
fn a_publishing_that_took_effect_is_found_whatever_the_container_says_of_itself() {
    let trouble = answer(500, &json!({ "error": { "code": 2, "message": "retry" } }));
    let gone =
        answer(400, &json!({ "error": { "code": 24, "error_subcode": 2_207_006, "message": "gone" } }));
    for fault in
        [Fault::LostAfter, Fault::Cut, Fault::Misleading(trouble), Fault::Misleading(gone), blocked()]
    {
        for says in [None, Some("ERROR"), Some("EXPIRED"), Some("MISSING"), Some("IN_PROGRESS")] {
            // What is in progress comes to an end; every other word stays.
            let span = if says == Some("IN_PROGRESS") { SignedDuration::from_mins(40) } else { LONG };
            let (world, id) = run(fault.clone(), says.map(|word| (span, word)));
            let done = &world.store[&id];
            assert_eq!(done.state, State::Published, "{fault:?} {says:?}: {:?}", done.reason);
            assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{fault:?} {says:?}");
            assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
            assert_eq!(
                calls(&world, "instagram.container"),
                1,
                "{fault:?} {says:?}: never a second container"
            );
        }
    }
}

#[test]
fn a_container_that_published_behind_a_refusal_is_not_published_again_and_is_found() {
    let unready = answer(
        400,
        &json!({ "error": { "code": 9007, "error_subcode": 2_207_027, "message": "not ready" } }),
    );
    let limited = answer(400, &json!({ "error": { "code": 4, "message": "limit" } }));
    for said in [unready, limited] {
        for form in [Form::Picture, Form::Carousel] {
            let says = Some((LONG, "PUBLISHED"));
            let (world, id) = run_as(form, Fault::Misleading(said.clone()), says);
            let done = &world.store[&id];
            assert_eq!(done.state, State::Published, "{form:?} {said:?}: {:?}", done.reason);
            assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{form:?} {said:?}");
            assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
        }
    }
}

#[test]
fn a_container_that_called_itself_published_is_never_made_anew_whatever_it_says_later() {
    let unready = answer(
        400,
        &json!({ "error": { "code": 9007, "error_subcode": 2_207_027, "message": "not ready" } }),
    );
    // Before its call is known to have had an effect, and while that is looked up; the list may be late, or
    // not be read at all.
    for (fault, hidden) in
        [(Fault::Refused(unready), false), (Fault::LostBefore, false), (Fault::LostBefore, true)]
    {
        for later in ["FINISHED", "EXPIRED", "ERROR", "MISSING"] {
            let mut world = World::new(7, PlatformName::Instagram, 1);
            world.network.list_lag = LONG;
            world.network.instagram.hides_lists = hidden;
            world.network.instagram.says = Some((LONG, "PUBLISHED"));
            world.network.instagram.unsays = Some(later);
            world.network.script = vec![fault.clone()];
            let id = picture(&mut world, 1, 0);
            world.run_until(start() + SignedDuration::from_hours(24 * 7));
            let (it, what) = (&world.store[&id], format!("{fault:?} {hidden} {later}"));
            assert_eq!((world.sent.len(), calls(&world, "instagram.container")), (1, 1), "{what}");
            assert_eq!(it.flight.said, Some(Said::Live), "{what}");
            assert!(it.waits_for_word(), "{what}: {:?} {:?}", it.state, it.reason);
        }
    }
}

#[test]
fn a_container_whose_time_is_over_is_asked_before_another_is_made() {
    for (behind, made, sent) in [(true, 1, 1), (false, 2, 2)] {
        let said = answer(400, &json!({ "error": { "code": 4, "message": "limit" } }));
        let mut world = World::new(7, PlatformName::Instagram, 1);
        world.network.instagram.lies = true;
        world.network.script = vec![if behind { Fault::Misleading(said) } else { Fault::Refused(said) }];
        let id = picture(&mut world, 1, 0);
        world.settings.give_up_after = LONG;
        world.store.get_mut(&id).unwrap().give_up_at = start() + LONG;
        world.run_until(start() + secs(30));
        world.down(SignedDuration::from_hours(30));
        world.run_until(start() + SignedDuration::from_hours(60));
        let it = &world.store[&id];
        assert_eq!(
            (it.state, world.network.objects.len()),
            (State::Published, 1),
            "{behind}: {:?}",
            it.reason
        );
        assert_eq!((calls(&world, "instagram.container"), world.sent.len()), (made, sent), "{behind}");
    }
}

#[test]
fn what_published_behind_a_limit_is_found_before_it_is_too_late_and_is_not_called_cancelled() {
    let limited = answer(400, &json!({ "error": { "code": 4, "message": "limit" } }));
    let live = |late: Late| {
        let mut world = World::new(7, PlatformName::Instagram, 1);
        world.network.script = vec![Fault::Misleading(limited.clone())];
        let id = picture(&mut world, 1, 0);
        world.store.get_mut(&id).unwrap().late = late;
        (world, id)
    };
    let (mut world, id) = live(Late::Within(SignedDuration::from_hours(1)));
    world.run_until(start() + SignedDuration::from_hours(24));
    assert_eq!(world.store[&id].state, State::Published, "{:?}", world.store[&id].reason);
    assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1));
    assert_eq!(world.network.instagram.doubles, 0);
    // Taken back, or to be moved, after the container said so.
    let (mut world, id) = live(Late::Always);
    world.network.list_lag = secs(7200);
    while world.store[&id].flight.said.is_none() {
        let next = world.now + secs(1);
        assert!(next < start() + SignedDuration::from_hours(2), "its container is asked");
        world.run_until(next);
    }
    world.store[&id].may_move().unwrap_err();
    world.cancel_at((world.now.duration_since(start()) + secs(1)).as_secs(), id);
    world.run_until(start() + SignedDuration::from_hours(24));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
}

#[test]
fn a_container_is_asked_again_after_a_refusal_however_soon_the_next_try_is() {
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.settings.lane_spacing = SignedDuration::ZERO;
    world.network.instagram.lies = true;
    world.network.instagram.late = Some(SignedDuration::ZERO);
    let expired = answer(400, &json!({ "error": { "code": 190, "message": "expired" } }));
    world.network.script = vec![Fault::Misleading(expired)];
    world.accounts.get_mut(&AccountId::from_u128(1)).unwrap().can_refresh = true;
    let id = picture(&mut world, 1, 0);
    world.run_until(start() + SignedDuration::from_hours(24));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!((world.network.instagram.doubles, world.sent.len()), (0, 1));
}

#[test]
fn a_comment_that_is_refused_for_its_content_leaves_its_post_published_and_is_no_doubt() {
    let refusal =
        json!({ "error": { "code": 100, "message": "Invalid parameter", "type": "OAuthException" } });
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.network.script = vec![Fault::None, Fault::Refused(answer(400, &refusal))];
    let id = picture(&mut world, 1, 0);
    let row = world.store.get_mut(&id).unwrap();
    row.steps.push(Step::new(StepKind::Comment));
    Arc::make_mut(world.posts.get_mut(&row.post).unwrap()).content.comment = Some("First.".into());
    world.run_until(start() + SignedDuration::from_hours(24 * 7));
    let it = &world.store[&id];
    assert_eq!((it.state, it.live_prefix()), (State::Published, 1), "{it:#?}");
    let reason = it.reason.as_ref().unwrap();
    assert!(reason.hint.as_ref().unwrap().contains("the post is live"), "{reason:?}");
    assert_eq!((calls(&world, "instagram.comments"), world.sent.len()), (0, 2));
}

#[test]
fn a_reel_and_a_carousel_are_found_by_their_own_kind_and_published_once() {
    let trouble = answer(500, &json!({ "error": { "code": 2, "message": "retry" } }));
    for form in [Form::Reel, Form::Carousel] {
        for fault in
            [Fault::None, Fault::LostAfter, Fault::Cut, Fault::Misleading(trouble.clone()), blocked()]
        {
            let (world, id) = run_as(form, fault.clone(), None);
            let done = &world.store[&id];
            assert_eq!(done.state, State::Published, "{form:?} {fault:?}: {:?}", done.reason);
            assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{form:?} {fault:?}");
            assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
            let children = if form == Form::Carousel { 3 } else { 0 };
            let made = (calls(&world, "instagram.child"), calls(&world, "instagram.container"));
            assert_eq!(made, (children, 1), "{form:?} {fault:?}");
        }
        let (world, id) = run_as(form, Fault::LostBefore, None);
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1), "{form:?}");
        assert_eq!((calls(&world, "instagram.container"), world.sent.len()), (1, 2), "{form:?}");
    }
}

#[test]
fn a_container_that_ends_before_it_is_published_is_made_anew_with_all_its_files() {
    for form in [Form::Picture, Form::Reel, Form::Carousel] {
        let mut world = World::new(9, PlatformName::Instagram, 1);
        // The network is longer at work than the first ones live: they end while they are asked.
        world.network.instagram.works = secs(90);
        world.network.instagram.life = Some(secs(60));
        let id = post(&mut world, form, 1, 0);
        world.run_until(start() + secs(70));
        world.network.instagram.works = secs(5);
        world.network.instagram.life = None;
        world.run_until(start() + SignedDuration::from_hours(24));
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1), "{form:?}");
        assert_eq!(world.sent.len(), 1, "{form:?}: nothing was published before");
        // What ended first was a part of the carousel.
        let label = if form == Form::Carousel { "instagram.child" } else { "instagram.container" };
        assert_eq!(calls(&world, label), if form == Form::Carousel { 4 } else { 2 }, "{form:?}");
    }
}

#[test]
fn a_container_that_failed_for_the_networks_own_reasons_is_made_anew_and_one_for_its_content_is_not() {
    for form in [Form::Picture, Form::Reel, Form::Carousel] {
        let mut world = World::new(10, PlatformName::Instagram, 1);
        world.network.instagram.flaws = 2;
        let id = post(&mut world, form, 1, 0);
        world.run_until(start() + SignedDuration::from_hours(24));
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1), "{form:?}");
        assert_eq!(world.sent.len(), 1, "{form:?}");
        // After 20 seconds, and after 40 more; nothing is asked in between.
        let left = world.sent[0].0.duration_since(start());
        assert!((secs(60)..secs(75)).contains(&left), "{form:?}: {left:#}");
        let mut world = World::new(11, PlatformName::Instagram, 1);
        world.network.instagram.flaw = Some(2_207_026);
        let id = post(&mut world, form, 1, 0);
        world.run_until(start() + SignedDuration::from_hours(24));
        let ended = &world.store[&id];
        assert_eq!((ended.state, world.sent.len()), (State::Rejected, 0), "{form:?}");
        assert!(ended.reason.as_ref().unwrap().message.contains("2207026"), "{:?}", ended.reason);
        let made = calls(&world, "instagram.child") + calls(&world, "instagram.container");
        assert_eq!(made, 1, "{form:?}: the same again would fail the same way");
    }
}

#[test]
fn a_container_that_is_worked_on_for_too_long_is_made_anew_and_not_for_ever() {
    for (form, long, minutes) in [
        (Form::Picture, false, 10),
        (Form::Reel, false, 10),
        (Form::Reel, true, 30),
        (Form::Carousel, false, 10),
    ] {
        let mut world = World::new(12, PlatformName::Instagram, 1);
        world.network.instagram.works = LONG;
        let id = post(&mut world, form, 1, 0);
        if long {
            let film = &mut Arc::make_mut(world.posts.get_mut(&world.store[&id].post).unwrap()).media[0];
            film.detail.video = Some(Video { duration_ms: 90_000, ..Video::default() });
        }
        let span = SignedDuration::from_mins(minutes);
        world.run_until(start() + span - SignedDuration::from_secs(1));
        let label = if form == Form::Carousel { "instagram.child" } else { "instagram.container" };
        assert_eq!(calls(&world, label), 1, "{form:?}: it has that long");
        world.run_until(start() + span + SignedDuration::from_mins(3));
        assert_eq!(calls(&world, label), 2, "{form:?}: a new one");
        world.run_until(start() + SignedDuration::from_hours(20));
        let ended = &world.store[&id];
        assert_eq!((ended.state, world.sent.len()), (State::Rejected, 0), "{form:?}: {:?}", ended.reason);
        assert!(ended.reason.as_ref().unwrap().message.contains("still working"), "{:?}", ended.reason);
        assert_eq!(calls(&world, label), 6, "{form:?}");

        // One that is quicker is the post.
        let mut world = World::new(12, PlatformName::Instagram, 1);
        world.network.instagram.works = LONG;
        let id = post(&mut world, form, 1, 0);
        world.run_until(start() + SignedDuration::from_mins(9));
        world.network.instagram.works = secs(5);
        world.run_until(start() + SignedDuration::from_hours(1));
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1), "{form:?}");
    }
}

#[test]
fn a_publishing_that_never_arrived_ends_as_its_container_allows() {
    // Still finished: the very same container, after the time to settle.
    let (world, id) = run(Fault::LostBefore, None);
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!((calls(&world, "instagram.container"), world.sent.len()), (1, 2));
    assert!(world.sent[1].0.duration_since(world.sent[0].0) >= SignedDuration::from_mins(15));
    // At work for a while, and then finished.
    let (world, id) = run(Fault::LostBefore, Some((SignedDuration::from_mins(40), "IN_PROGRESS")));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!(calls(&world, "instagram.container"), 1);
    // Ended: a new container, once it is proven that the old one became nothing.
    let (world, id) = run(Fault::LostBefore, Some((LONG, "EXPIRED")));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!(calls(&world, "instagram.container"), 2);
    assert!(world.sent[1].0.duration_since(world.sent[0].0) >= SignedDuration::from_mins(15));
    // Failed for what is in it: the same again would end the same way.
    let (world, id) = run(Fault::LostBefore, Some((LONG, "ERROR")));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Rejected, 0));
    assert_eq!(world.sent.len(), 1);
    // Nobody can tell: a person must.
    let (world, id) = run(Fault::LostBefore, Some((LONG, "MISSING")));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Unknown, 0));
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_container_called_unready_is_asked_again_before_it_is_published() {
    let unready =
        answer(400, &json!({ "error": { "code": 9007, "error_subcode": 2_207_027, "message": "wait" } }));
    let (world, id) = run(Fault::Refused(unready), None);
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!(calls(&world, "instagram.container"), 1);
    let (plain, _) = run(Fault::None, None);
    assert_eq!((calls(&world, "instagram.look"), calls(&plain, "instagram.look")), (1, 0));
}

#[test]
fn a_post_that_is_not_listed_at_once_keeps_its_name() {
    let mut world = World::new(8, PlatformName::Instagram, 1);
    world.network.list_lag = secs(90);
    world.network.script = vec![Fault::LostAfter];
    let id = picture(&mut world, 1, 0);
    world.run_until(start() + SignedDuration::from_hours(24));
    let done = &world.store[&id];
    assert_eq!(done.state, State::Published);
    assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
}

/// The network really blocks the account: nothing comes of the call, as it says.
fn really_blocked() -> Fault {
    let Fault::Misleading(said) = blocked() else { unreachable!() };
    Fault::Refused(said)
}

#[test]
fn an_account_that_is_really_blocked_is_left_alone_for_a_day() {
    let day = SignedDuration::from_hours(24);
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.network.script = vec![really_blocked(), Fault::None, Fault::None];
    let first = picture(&mut world, 1, 0);
    let second = picture(&mut world, 1, 60);
    // A day is more than a post is tried for, unless the operator says otherwise.
    for id in [first, second] {
        world.store.get_mut(&id).unwrap().give_up_at = start() + day * 2;
    }
    world.run_until(start() + SignedDuration::from_hours(12));
    assert_eq!(world.sent.len(), 1, "no quarter hour brings another call");
    let waits = world.engine.as_ref().unwrap().waits(world.now);
    assert!(waits.iter().any(|it| it.reason.hint.as_ref().unwrap().contains("spam")), "{waits:?}");
    let waiting = &world.store[&first];
    let said = waiting.reason.as_ref().unwrap();
    assert_eq!((waiting.state, said.class.as_str()), (State::Unknown, "rate_limited"));
    assert!(said.message.contains("it is not live, and waits until"), "{said:?}");
    // A restart knows of it.
    world.restart();
    world.run_until(start() + day * 3);
    let left: Vec<_> = world.sent.iter().map(|it| it.0.duration_since(start())).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left[1..].iter().all(|it| *it >= day), "{left:?}");
    for id in [first, second] {
        assert_eq!(world.store[&id].state, State::Published, "{:?}", world.store[&id].reason);
    }
    assert_eq!((world.network.objects.len(), world.network.instagram.doubles), (2, 0));
}

#[test]
fn a_blocked_post_ends_when_its_time_is_over_or_it_is_taken_back() {
    for (late, cancelled, end) in [
        (Late::Within(SignedDuration::from_hours(2)), false, State::Missed),
        (Late::Always, false, State::Rejected),
        (Late::Always, true, State::Cancelled),
    ] {
        let mut world = World::new(7, PlatformName::Instagram, 1);
        world.network.script = vec![really_blocked()];
        let id = picture(&mut world, 1, 0);
        world.store.get_mut(&id).unwrap().late = late;
        if cancelled {
            world.cancel_at(3600, id);
        }
        let hours = if end == State::Rejected { 25 } else { 3 };
        world.run_until(start() + SignedDuration::from_hours(hours));
        assert_eq!(world.store[&id].state, end, "{:?}", world.store[&id].reason);
        assert_eq!((world.sent.len(), world.network.objects.len()), (1, 0));
    }
}

#[test]
fn a_block_that_was_none_holds_nobody_back() {
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.network.script = vec![blocked(), Fault::None];
    let ids = [picture(&mut world, 1, 0), picture(&mut world, 1, 60)];
    world.run_until(start() + SignedDuration::from_mins(30));
    for id in ids {
        assert_eq!(world.store[&id].state, State::Published, "{:?}", world.store[&id].reason);
    }
    assert!(world.engine.as_ref().unwrap().waits(world.now).is_empty());
}

#[test]
fn whatever_goes_wrong_no_container_is_published_twice_and_no_post_is_there_twice() {
    let (mut published, mut doubted, mut crashes) = (0, 0, 0);
    for seed in 0..150 {
        let mut dice = Rng(seed ^ 0x1657);
        let mut world = World::new(seed, PlatformName::Instagram, 2);
        world.network.trouble = 10 + dice.below(60);
        world.network.patience = dice.below(24);
        world.network.instagram.works = secs(i64::try_from(dice.below(600)).unwrap());
        if dice.chance(40) {
            let word =
                ["ERROR", "EXPIRED", "MISSING", "IN_PROGRESS"][usize::try_from(dice.below(4)).unwrap()];
            let span = secs(i64::try_from(dice.below(7200)).unwrap());
            world.network.instagram.says = Some((span, word));
        } else {
            // A container that lies beside a list that lags would leave nothing to go by.
            world.network.list_lag = secs(i64::try_from(dice.below(300)).unwrap());
            // Refusals that are believed, behind which it was published: the container tells.
            world.network.instagram.lies = dice.chance(50);
        }
        for n in 0..4_u32 {
            let due = i64::try_from(dice.below(300)).unwrap();
            let form = [Form::Picture, Form::Reel, Form::Carousel, Form::Picture][n as usize];
            post(&mut world, form, u128::from(1 + n % 2), due);
        }
        let count = dice.below(4);
        world.crash_at = (0..count).map(|_| 1 + dice.below(160)).collect();
        world.run_until(start() + SignedDuration::from_hours(24 * 7));
        assert_eq!(world.network.instagram.doubles, 0, "seed {seed}: a container was published twice");
        for delivery in world.store.values() {
            let text = &world.posts[&delivery.post].content.parts[0];
            let objects: Vec<_> = world.network.objects.iter().filter(|it| it.text == *text).collect();
            let what =
                format!("seed {seed}: {} is {:?}, {} objects", delivery.id, delivery.state, objects.len());
            assert!(objects.len() <= 1, "{what}");
            match delivery.state {
                State::Published => {
                    let id = delivery.steps[0].remote_id.as_ref();
                    assert_eq!(id, objects.first().map(|it| &it.id), "{what}");
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
