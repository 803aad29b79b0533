//! What Instagram refuses to publish is believed once its container was asked: whatever a person or the clock
//! does to the post meanwhile, it is not called off and live, and not made twice.

use jiff::SignedDuration;
use sendoff::domain::account::AccountState;
use sendoff::domain::delivery::{Event, Said, State};
use sendoff::domain::ids::{AccountId, DeliveryId, PlatformName};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::platforms::Answer;
use serde_json::json;

use super::instagram::{calls, picture};
use crate::world::networks::{Fault, answer};
use crate::world::{World, secs, start};

/// Every kind of refusal that the allowlist has for a container.
fn refusals() -> Vec<Answer> {
    let error = |code: u32, sub: Option<u32>| {
        answer(400, &json!({ "error": { "code": code, "error_subcode": sub, "message": "no" } }))
    };
    vec![
        error(9007, Some(2_207_027)),
        error(4, None),
        error(32, None),
        error(9, Some(2_207_042)),
        error(25, Some(2_207_050)),
        error(190, None),
    ]
}

/// A picture whose publishing call was just answered so.
fn refused(fault: Fault) -> (World, DeliveryId) {
    refused_where(fault, 0)
}

/// As that, on a network that lists a post so many seconds after it went out.
fn refused_where(fault: Fault, lag: i64) -> (World, DeliveryId) {
    refused_in(fault, lag, 0)
}

/// As that, where what takes effect behind a refusal does so that many seconds later.
fn refused_in(fault: Fault, lag: i64, late: i64) -> (World, DeliveryId) {
    let mut world = World::new(7, PlatformName::Instagram, 1);
    world.network.list_lag = secs(lag);
    world.network.instagram.lies = true;
    world.network.instagram.late = Some(secs(late));
    world.network.script = vec![fault];
    let id = picture(&mut world, 1, 0);
    while world.store[&id].flight.said.is_none() {
        let next = world.now + secs(1);
        assert!(next < start() + secs(120), "it is refused soon");
        world.run_until(next);
    }
    assert_eq!((world.store[&id].state, world.sent.len()), (State::Unknown, 1));
    assert!(matches!(world.store[&id].flight.said, Some(Said::Refused { .. })));
    (world, id)
}

fn since_start(world: &World) -> i64 {
    world.now.duration_since(start()).as_secs()
}

fn hours(n: i64) -> jiff::Timestamp {
    start() + SignedDuration::from_hours(n)
}

#[test]
fn what_is_live_behind_a_refusal_is_neither_taken_back_nor_missed_nor_given_up() {
    for said in refusals() {
        for end in ["cancel", "late", "gave up"] {
            let (mut world, id) = refused(Fault::Misleading(said.clone()));
            let row = world.store.get_mut(&id).unwrap();
            match end {
                "late" => row.late = Late::Within(SignedDuration::from_mins(1)),
                "gave up" => row.give_up_at = start() + secs(60),
                _ => world.cancel_at(since_start(&world) + 1, id),
            }
            world.run_until(hours(24));
            let it = &world.store[&id];
            assert_eq!(it.state, State::Published, "{end} {said:?}: {:?}", it.reason);
            assert_eq!(it.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
            let made = calls(&world, "instagram.container");
            assert_eq!((world.network.objects.len(), world.sent.len(), made), (1, 1, 1), "{end} {said:?}");
        }
    }
}

#[test]
fn what_is_live_behind_a_refusal_gets_no_other_time() {
    for said in refusals() {
        let (mut world, id) = refused(Fault::Misleading(said));
        assert_eq!(world.store[&id].may_move(), Err("it may be live already"));
        world.run_until(hours(24));
        world.store[&id].may_move().unwrap_err();
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    }
}

#[test]
fn what_was_truly_refused_goes_on_as_the_network_said() {
    for said in refusals() {
        let (mut world, id) = refused(Fault::Refused(said.clone()));
        let (at, why) = match &world.store[&id].flight.said {
            Some(Said::Refused { at, why, .. }) => (*at, *why),
            other => panic!("{other:?}"),
        };
        let dead = world.accounts[&AccountId::from_u128(1)].state == AccountState::NeedsReconnect;
        let reason = world.store[&id].reason.as_ref().map(|it| it.class.clone());
        // Nobody looks while the whole app is limited, or while a person must act.
        if !dead && reason.as_deref() != Some("app_limited") {
            let long = at.duration_since(world.now) > SignedDuration::from_mins(17);
            world.run_until((at - secs(1)).max(world.now));
            let it = &world.store[&id];
            // A long wait is spent on proving that nothing came of it, and leaves the post free to be moved.
            assert_eq!((it.state == State::Retry, it.may_move().is_ok()), (long, long), "{said:?} {it:?}");
            assert_eq!(it.retry_why, long.then_some(why));
            assert_eq!(world.sent.len(), 1);
        }
        world.run_until(hours(48));
        let it = &world.store[&id];
        assert_eq!(it.state, State::Published, "{said:?}: {:?}", it.reason);
        assert!(dead || world.sent[1].0 >= at, "{said:?}: {:?} before {at}", world.sent[1].0);
        let made = calls(&world, "instagram.container");
        assert_eq!((world.network.objects.len(), made, world.network.instagram.doubles), (1, 1, 0));
    }
}

#[test]
fn what_was_truly_not_ready_is_asked_often_enough_to_go_out_in_time() {
    let (mut world, id) = refused(Fault::Refused(refusals().remove(0)));
    world.store.get_mut(&id).unwrap().late = Late::Exact;
    world.network.instagram.says = Some((SignedDuration::from_secs(95), "IN_PROGRESS"));
    world.run_until(hours(1));
    let it = &world.store[&id];
    assert_eq!((it.state, world.sent.len()), (State::Published, 2), "{:?}", it.reason);
    let took = world.sent[1].0.duration_since(it.due.instant);
    assert!(took <= SignedDuration::from_secs(120), "{took}");
}

#[test]
fn what_was_truly_refused_is_taken_back_after_two_looks_or_moved_after_them() {
    let limited = refusals().remove(2);
    let (mut world, id) = refused(Fault::Refused(limited.clone()));
    world.cancel_at(since_start(&world) + 1, id);
    world.run_until(world.now + SignedDuration::from_mins(18));
    let it = &world.store[&id];
    assert_eq!((it.state, world.network.objects.len()), (State::Cancelled, 0));
    assert!(it.reason.as_ref().unwrap().message.contains("looked twice, it is not live"), "{:?}", it.reason);

    let (mut world, id) = refused(Fault::Refused(limited));
    world.run_until(world.now + SignedDuration::from_mins(18));
    let (at, before) = (hours(5), world.store[&id].clone());
    let due = Due {
        instant: at,
        civil: jiff::tz::TimeZone::UTC.to_datetime(at),
        zone: "UTC".into(),
        choice: Choice::Instant,
    };
    let moved = Event::reschedule(due, SignedDuration::from_hours(24));
    world.store.insert(id, before.apply(moved, world.now).unwrap());
    world.run_until(hours(24));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert!(world.sent[1].0 >= at, "{:?}", world.sent[1].0);
}

#[test]
fn what_goes_out_minutes_after_its_refusal_is_not_called_off_given_up_or_made_twice() {
    for said in refusals() {
        for late in [11, 60, 290] {
            for end in ["nobody", "cancel", "late", "gave up", "moved"] {
                let (mut world, id) = refused_in(Fault::Misleading(said.clone()), 0, late);
                world.run_until(world.now + secs(12));
                let mut row = world.store[&id].clone();
                match end {
                    "late" => row.late = Late::Within(SignedDuration::from_secs(20)),
                    "gave up" => row.give_up_at = world.now,
                    "cancel" => world.cancel_at(since_start(&world) + 1, id),
                    "moved" => assert!(row.may_move().is_err(), "{said:?} {row:?}"),
                    _ => {}
                }
                if matches!(end, "late" | "gave up") {
                    world.store.insert(id, row);
                }
                world.run_until(hours(30));
                let it = &world.store[&id];
                assert_eq!(it.state, State::Published, "{late} {end} {said:?}: {:?}", it.reason);
                let made = calls(&world, "instagram.container");
                assert_eq!((world.network.objects.len(), made), (1, 1), "{late} {end} {said:?}");
            }
        }
    }
}

#[test]
fn what_a_container_says_after_it_was_called_for_is_no_reason_for_another() {
    for said in refusals() {
        for word in ["ERROR", "EXPIRED", "IN_PROGRESS", "MISSING"] {
            for cancels in [false, true] {
                let (mut world, id) = refused_in(Fault::Misleading(said.clone()), 60, 200);
                // Finished at the first look, and this from then on.
                world.run_until(world.now + secs(12));
                world.network.instagram.says = Some((SignedDuration::from_mins(40), word));
                if cancels {
                    world.cancel_at(since_start(&world) + 1, id);
                }
                world.run_until(hours(30));
                let it = &world.store[&id];
                assert_eq!(it.state, State::Published, "{word} {cancels} {said:?}: {:?}", it.reason);
                let made = calls(&world, "instagram.container");
                assert_eq!((world.network.objects.len(), made), (1, 1), "{word} {cancels} {said:?}");
            }
        }
    }
}

#[test]
fn a_daemon_that_was_down_for_days_asks_nobody_after_one_look_that_fails() {
    let (mut world, id) = refused_where(Fault::Misleading(refusals().remove(0)), 30);
    let row = world.store.get_mut(&id).unwrap();
    row.flight.unknown_since = Some((start() - SignedDuration::from_hours(30)).into());
    world.network.instagram.says = Some((SignedDuration::from_secs(30), "MISSING"));
    world.run_until(hours(2));
    let it = &world.store[&id];
    assert_eq!(it.state, State::Published, "{:?}", it.reason);
}

#[test]
fn a_container_that_could_not_be_asked_leaves_the_post_in_doubt() {
    let (mut world, id) = refused(Fault::Refused(refusals().remove(0)));
    world.network.instagram.says = Some((SignedDuration::from_hours(24 * 9), "MISSING"));
    world.cancel_at(since_start(&world) + 1, id);
    world.run_until(hours(48));
    let it = &world.store[&id];
    assert!(it.waits_for_word() && it.cancel_requested, "{:?} {:?}", it.state, it.reason);
}

/// A picture whose publishing call is answered so, while nothing that its network lists is up to date.
fn told(fault: Fault, word: &'static str, minutes: i64, lag: i64) -> (World, DeliveryId) {
    let (mut world, id) = refused_where(fault, lag);
    world.network.instagram.says = Some((SignedDuration::from_mins(minutes), word));
    (world, id)
}

#[test]
fn what_is_at_work_behind_a_refusal_is_waited_for_whatever_happens_to_the_post_meanwhile() {
    for said in refusals() {
        for end in ["nobody", "cancel", "late", "gave up"] {
            let (mut world, id) = told(Fault::Misleading(said.clone()), "IN_PROGRESS", 40, 0);
            let row = world.store.get_mut(&id).unwrap();
            match end {
                "late" => row.late = Late::Within(SignedDuration::from_mins(1)),
                "gave up" => row.give_up_at = start() + secs(60),
                "cancel" => world.cancel_at(since_start(&world) + 1, id),
                _ => {}
            }
            world.run_until(hours(24));
            let it = &world.store[&id];
            assert_eq!(it.state, State::Published, "{end} {said:?}: {:?}", it.reason);
            let made = calls(&world, "instagram.container");
            assert_eq!((world.network.objects.len(), world.sent.len(), made), (1, 1, 1), "{end} {said:?}");
        }
    }
}

#[test]
fn what_ended_behind_a_refusal_is_looked_for_twice_before_another_is_made() {
    for said in refusals() {
        for word in ["ERROR", "EXPIRED"] {
            for cancels in [false, true] {
                let (mut world, id) = told(Fault::Misleading(said.clone()), word, 60 * 24 * 9, 90);
                if cancels {
                    world.cancel_at(since_start(&world) + 1, id);
                }
                world.run_until(hours(24));
                let it = &world.store[&id];
                assert_eq!(it.state, State::Published, "{word} {said:?}: {:?}", it.reason);
                let made = calls(&world, "instagram.container");
                assert_eq!(
                    (world.network.objects.len(), world.sent.len(), made),
                    (1, 1, 1),
                    "{word} {said:?}"
                );
            }
        }
    }
}

#[test]
fn the_last_refusal_of_many_is_asked_about_as_well() {
    let unready = refusals().remove(0);
    for (fault, state) in
        [(Fault::Misleading(unready.clone()), State::Published), (Fault::Refused(unready), State::Rejected)]
    {
        let mut world = World::new(7, PlatformName::Instagram, 1);
        world.network.instagram.lies = true;
        world.network.script = vec![fault];
        let id = picture(&mut world, 1, 0);
        world.store.get_mut(&id).unwrap().attempts = 40;
        world.run_until(hours(24));
        let it = &world.store[&id];
        assert_eq!((it.state, world.sent.len()), (state, 1), "{:?}", it.reason);
        let reason = it.reason.as_ref().map(|it| it.class.as_str());
        assert_eq!(reason, (state == State::Rejected).then_some("media_not_ready"));
        assert!(calls(&world, "instagram.look") >= 1);
    }
}
