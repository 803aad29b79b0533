//! The real engine in a small world: seeded faults and crashes, and an oracle at the end.
//!
//! `SIM_SEEDS=10000 cargo test --test engine` runs more seeds per network;
//! `SIM_PLATFORM=x SIM_SEED=42 SIM_TRACE=1 cargo test --test engine -- --nocapture one_seed` replays one.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic, and says why

mod denied;
mod facebook;
mod instagram;
mod lanes;
mod late;
mod linkedin;
mod tiktok;
mod waits;
#[path = "../support/world.rs"]
mod world;
mod x;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::AccountState;
use sendoff::domain::delivery::{Delivery, Event, Reason, State};
use sendoff::domain::ids::{AccountId, DeliveryId, PlatformName};
use sendoff::domain::schedule::Late;
use sendoff::engine::ask::{self, Ask};
use sendoff::engine::{DueRow, Input, Limit};
use serde_json::json;
use world::networks::{Fault, answer};
use world::{Rng, World, secs, start};

const NETWORKS: [PlatformName; 2] = [PlatformName::Bluesky, PlatformName::X];

/// One life of the world: two accounts, four posts, trouble, crashes, cancels.
fn live(seed: u64, platform: PlatformName) -> World {
    let mut dice = Rng(seed ^ 0xD1CE);
    let mut world = World::new(seed, platform, 2);
    world.network.trouble = 10 + dice.below(60);
    world.network.patience = dice.below(24);
    world.network.refuses_repeats = dice.chance(50);
    world.network.list_lag = secs(i64::try_from(dice.below(300)).unwrap());
    for n in 0..4_u32 {
        let due = i64::try_from(dice.below(300)).unwrap();
        let parts = 1 + usize::try_from(dice.below(3)).unwrap();
        let late = if dice.chance(50) { Late::Always } else { Late::Within(SignedDuration::from_hours(1)) };
        let id = world.post(u128::from(1 + n % 2), due, parts, late);
        if dice.chance(30) {
            let within = if dice.chance(50) { 400 } else { 4000 };
            world.cancel_at(i64::try_from(dice.below(within)).unwrap(), id);
        }
    }
    let crashes = dice.below(4);
    world.crash_at = (0..crashes).map(|_| 1 + dice.below(160)).collect();
    world.run_until(start() + SignedDuration::from_hours(24 * 7));
    world
}

/// What must be true when everything has come to rest.
fn judge(world: &World) -> Result<(), String> {
    for delivery in world.store.values() {
        let post = &world.posts[&delivery.post];
        let owner = &world.accounts[&delivery.account].remote_id;
        let fail =
            |what: String| Err(format!("{} ({:?}): {what}\n{delivery:#?}", delivery.id, delivery.state));
        for (n, text) in post.content.parts.iter().enumerate() {
            let objects: Vec<_> =
                world.network.objects.iter().filter(|it| it.text == *text && it.owner == *owner).collect();
            let step = &delivery.steps[n];
            if objects.len() > 1 {
                return fail(format!("step {n} is there {} times", objects.len()));
            }
            if step.is_live() && objects.first().map(|it| &it.id) != step.remote_id.as_ref() {
                return fail(format!("step {n} is called live and is not, or under another id"));
            }
            let open = delivery.state == State::Unknown && n == usize::from(delivery.step);
            if !step.is_live() && !objects.is_empty() && !open {
                return fail(format!("step {n} is live and nobody knows"));
            }
        }
        match delivery.state {
            State::Published if delivery.live_prefix() < delivery.steps.len() => {
                return fail("published with a step that is not live".into());
            }
            state if state.is_terminal() => {}
            State::Unknown if delivery.held => {}
            _ => return fail("it is stuck".into()),
        }
    }
    if world.calls > 1500 {
        return Err(format!("{} calls for four posts", world.calls));
    }
    Ok(())
}

fn seeds() -> u64 {
    std::env::var("SIM_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(300)
}

fn word(platform: PlatformName) -> &'static str {
    platform.as_str()
}

fn check_seeds(platform: PlatformName) {
    let (mut crashes, mut published, mut held, mut cancelled, mut doubted) = (0, 0, 0, 0, 0);
    for seed in 0..seeds() {
        let run = std::panic::catch_unwind(|| live(seed, platform));
        let replay = format!(
            "replay: SIM_PLATFORM={} SIM_SEED={seed} SIM_TRACE=1 cargo test --test engine -- --nocapture one_seed",
            word(platform)
        );
        let Ok(world) = run else { panic!("seed {seed} panicked\n{replay}") };
        if let Err(why) = judge(&world) {
            panic!("{why}\n{replay}");
        }
        crashes += world.crashes;
        let count = |state| world.store.values().filter(|it| it.state == state).count();
        published += count(State::Published);
        cancelled += count(State::Cancelled);
        held += count(State::Unknown);
        doubted += usize::from(world.sent.len() > 8);
    }
    println!(
        "{}: {} seeds, {crashes} crashes, {published} published, {cancelled} cancelled, {held} held, {doubted} with repeats",
        word(platform),
        seeds()
    );
    // The test would prove nothing if the world were kind.
    assert!(crashes > seeds() / 2 && published > 0 && cancelled > 0 && doubted > 0);
}

#[test]
fn no_seed_breaks_a_promise_where_the_client_names_the_object() {
    check_seeds(PlatformName::Bluesky);
}

#[test]
fn no_seed_breaks_a_promise_where_own_posts_can_only_be_listed() {
    check_seeds(PlatformName::X);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for platform in NETWORKS {
        for seed in 0..20 {
            assert_eq!(live(seed, platform).hash(), live(seed, platform).hash(), "seed {seed}");
        }
        assert_ne!(live(1, platform).hash(), live(2, platform).hash());
    }
}

#[test]
fn one_seed() {
    let seed = std::env::var("SIM_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    let platform =
        std::env::var("SIM_PLATFORM").ok().and_then(|it| it.parse().ok()).unwrap_or(PlatformName::X);
    if let Err(why) = judge(&live(seed, platform)) {
        panic!("{why}");
    }
}

/// A calm world of one platform.
fn calm(platform: PlatformName, accounts: u128) -> World {
    World::new(1, platform, accounts)
}

fn run(world: &mut World, seconds: i64) {
    world.run_until(start() + secs(seconds));
}

fn state(world: &World, id: DeliveryId) -> &Delivery {
    &world.store[&id]
}

fn refused(status: u16, body: &serde_json::Value) -> Fault {
    Fault::Refused(answer(status, body))
}

#[test]
fn an_account_sends_one_at_a_time_spaced_and_in_order() {
    let mut world = calm(PlatformName::X, 2);
    let ids: Vec<_> =
        (0..10).map(|n| world.post(1 + n % 2, if n < 4 { 10 } else { 5 }, 1, Late::Always)).collect();
    run(&mut world, 600);
    assert!(world.store.values().all(|it| it.state == State::Published));
    for account in [1, 2] {
        let mine: Vec<_> =
            world.sent.iter().filter(|(_, _, of)| *of == AccountId::from_u128(account)).collect();
        assert!(mine.windows(2).all(|it| it[1].0.duration_since(it[0].0) >= secs(5)), "{mine:?}");
        let mut wanted: Vec<_> = ids
            .iter()
            .filter(|id| world.store[id].account == AccountId::from_u128(account))
            .copied()
            .collect();
        wanted.sort_by_key(|id| (world.store[id].due.instant, *id));
        assert_eq!(mine.iter().map(|it| it.1).collect::<Vec<_>>(), wanted);
    }
    // Two accounts do not wait for each other.
    assert!(world.sent[1].0.duration_since(world.sent[0].0) < secs(1));
}

#[test]
fn a_pause_stops_new_claims_and_the_end_of_it_starts_them() {
    let mut world = calm(PlatformName::X, 1);
    let id = world.post(1, 60, 1, Late::Always);
    run(&mut world, 30);
    world.input(Input::Pause(true));
    run(&mut world, 300);
    assert_eq!((world.sent.len(), state(&world, id).state), (0, State::Scheduled));
    world.input(Input::Pause(false));
    run(&mut world, 600);
    assert_eq!(state(&world, id).state, State::Published);
}

#[test]
fn a_post_later_than_its_policy_is_missed_and_says_so() {
    let mut world = calm(PlatformName::X, 1);
    world.input(Input::Pause(true));
    let late = world.post(1, 10, 1, Late::Within(SignedDuration::from_mins(2)));
    let always = world.post(1, 11, 1, Late::Always);
    run(&mut world, 5);
    world.input(Input::Pause(true));
    run(&mut world, 400);
    world.input(Input::Pause(false));
    run(&mut world, 900);
    assert_eq!(state(&world, late).state, State::Missed);
    assert_eq!(state(&world, late).reason.as_ref().unwrap().class, "late");
    assert_eq!(state(&world, always).state, State::Published);
}

#[test]
fn the_late_policy_counts_until_a_call_has_an_effect_and_the_users_word_ends_it() {
    for asked in [false, true] {
        let mut world = calm(PlatformName::X, 1);
        world.network.script = vec![Fault::NotSent; 6];
        let id = world.post(1, 10, 1, Late::Exact);
        run(&mut world, 50);
        assert_eq!(state(&world, id).state, State::Retry);
        if asked {
            world.input(Input::Ask { id, ask: Ask::TryNow, ticket: 1 });
            let before = state(&world, id).clone();
            let event = ask::event(&before, &Ask::TryNow, SignedDuration::from_hours(24), world.now).unwrap();
            let after = before.apply(event, world.now).unwrap();
            world.store.insert(id, after);
        }
        run(&mut world, 3600);
        let it = state(&world, id);
        if asked {
            assert_eq!(it.state, State::Published);
            let late = it.sent_at.unwrap().duration_since(it.due.instant);
            assert!(late > secs(50), "sent_at is of the call that took effect, {late:#} after its time");
        } else {
            let reason = it.reason.as_ref().unwrap();
            assert_eq!((it.state, reason.class.as_str()), (State::Missed, "late"));
            assert!(reason.message.contains("until then: connection refused"), "{}", reason.message);
        }
    }
}

#[test]
fn a_network_that_cannot_be_reached_for_a_day_is_given_up() {
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![Fault::NotSent; 4000];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 30 * 3600);
    let it = state(&world, id);
    assert_eq!((it.state, it.reason.as_ref().unwrap().class.as_str()), (State::Rejected, "gave_up"));
    assert!(world.sent.len() < 250, "{} tries in a day", world.sent.len());
    assert!(it.due.instant + SignedDuration::from_hours(24) <= world.sent.last().unwrap().0 + secs(5400));
}

#[test]
fn a_server_that_answers_500_for_a_day_is_not_hammered() {
    let mut world = calm(PlatformName::Bluesky, 1);
    world.network.script = vec![refused(500, &json!({ "error": "InternalServerError" })); 20_000];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 30 * 3600);
    assert_eq!(state(&world, id).state, State::Rejected);
    assert!(world.sent.len() < 250, "{} calls in a day", world.sent.len());
}

#[test]
fn a_rate_limit_is_waited_for_without_using_an_attempt() {
    let mut world = calm(PlatformName::X, 1);
    let reset = start().as_second() + 3600;
    let mut limit = answer(429, &json!({ "title": "Too Many Requests" }));
    limit.headers =
        vec![("x-rate-limit-remaining".into(), "0".into()), ("x-rate-limit-reset".into(), reset.to_string())];
    world.network.script = vec![Fault::Refused(limit)];
    let first = world.post(1, 10, 1, Late::Always);
    let second = world.post(1, 20, 1, Late::Always);
    run(&mut world, 600);
    let it = state(&world, first);
    assert_eq!(
        (it.state, it.attempts, it.reason.as_ref().unwrap().class.as_str()),
        (State::Retry, 0, "rate_limited")
    );
    run(&mut world, 3 * 3600);
    assert_eq!(world.sent.len(), 3, "one probe, then each once");
    let again = world.sent[1].0.duration_since(Timestamp::from_second(reset).unwrap());
    assert!((secs(1)..=secs(30)).contains(&again), "{again}");
    assert!([first, second].iter().all(|id| state(&world, *id).state == State::Published));
}

#[test]
fn an_expired_token_is_refreshed_once_and_the_call_repeated_once() {
    let unauthorized = refused(401, &json!({ "title": "Unauthorized", "type": "about:blank" }));
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![unauthorized.clone()];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 120);
    assert_eq!((world.sent.len(), state(&world, id).state), (2, State::Published));

    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![unauthorized.clone(), unauthorized];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 1000);
    assert_eq!((world.sent.len(), state(&world, id).state), (2, State::NeedsReconnect));
}

#[test]
fn what_is_in_doubt_tells_that_its_account_must_be_connected_first() {
    let unauthorized = refused(401, &json!({ "title": "Unauthorized", "type": "about:blank" }));
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![Fault::LostBefore, unauthorized.clone(), unauthorized];
    let lost = world.post(1, 10, 1, Late::Always);
    let hint = |world: &World| state(world, lost).reason.as_ref().unwrap().hint.clone().unwrap();
    run(&mut world, 100);
    assert!(hint(&world).contains("nothing to do"), "{}", hint(&world));
    world.post(1, 120, 1, Late::Always);
    run(&mut world, 1_500);
    let it = state(&world, lost);
    assert_eq!((it.state, it.held, world.sent.len()), (State::Unknown, false, 3));
    assert!(hint(&world).contains("sendoff account connect x --name"), "{}", hint(&world));
    assert_eq!(it.reason.as_ref().unwrap().class, "ambiguous", "why it is in doubt stays as it was said");
}

#[test]
fn without_room_on_the_disk_nothing_is_sent() {
    let mut world = calm(PlatformName::Bluesky, 1);
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 5);
    world.input(Input::Disk { enough: false });
    run(&mut world, 300);
    let it = state(&world, id);
    // Not even claimed: on a full disk nothing is written that can wait.
    assert_eq!((world.sent.len(), it.state, it.attempts), (0, State::Scheduled, 0));
    world.input(Input::Disk { enough: true });
    run(&mut world, 600);
    assert_eq!(state(&world, id).state, State::Published);
}

#[test]
fn two_posts_that_may_both_be_ours_are_left_to_the_user() {
    let mut world = calm(PlatformName::X, 1);
    world.network.refuses_repeats = false;
    world.network.script = vec![Fault::Cut];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 11);
    // Someone posts the same words by hand while we are in doubt.
    let ours = world.network.objects.clone();
    assert_eq!(ours.len(), 1);
    let mut by_hand = ours[0].clone();
    by_hand.id = "1999".into();
    world.network.objects.push(by_hand);
    run(&mut world, 24 * 3600);
    let it = state(&world, id);
    assert!(it.state == State::Unknown && it.held, "{it:?}");
    assert_eq!((world.sent.len(), it.wakes_at()), (1, None));
}

#[test]
fn a_thread_waits_for_each_id_and_resumes_after_a_crash() {
    for platform in NETWORKS {
        let mut world = calm(platform, 1);
        let id = world.post(1, 10, 3, Late::Always);
        world.crash_at = [30].into();
        run(&mut world, 3 * 3600);
        let it = state(&world, id);
        assert_eq!((world.crashes, it.state, it.live_prefix()), (1, State::Published, 3));
        let ids: Vec<_> = it.steps.iter().map(|step| step.remote_id.clone().unwrap()).collect();
        assert_eq!(ids, world.network.objects.iter().map(|it| it.id.clone()).collect::<Vec<_>>());
    }
}

#[test]
fn absence_takes_fifteen_minutes_and_two_looks_before_x_is_sent_again() {
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![Fault::LostBefore];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 3600);
    assert_eq!((state(&world, id).state, world.sent.len()), (State::Published, 2));
    let gap = world.sent[1].0.duration_since(world.sent[0].0);
    assert!(gap >= SignedDuration::from_mins(17), "60 s of waiting, 15 min to settle, 90 s apart: {gap}");
}

#[test]
fn a_settle_that_was_made_longer_between_the_two_looks_is_waited_for_and_asks_in_no_circle() {
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![Fault::LostBefore];
    let id = world.post(1, 10, 1, Late::Always);
    let half = |world: &World| state(world, id).flight.absent_at.is_some();
    let seen = (900..1_100).find(|it| {
        run(&mut world, *it);
        half(&world)
    });
    assert!(seen.is_some(), "one look found nothing: {:?}", state(&world, id).flight);
    world.settings.settle = SignedDuration::from_mins(30);
    let settings = world.settings.clone();
    world.input(Input::Configure(Box::new(settings)));
    let looked = world.asked.len();
    run(&mut world, 3_600);
    assert_eq!((state(&world, id).state, world.sent.len()), (State::Published, 2));
    let gap = world.sent[1].0.duration_since(world.sent[0].0);
    assert!(gap >= SignedDuration::from_mins(32), "60 s of waiting, 30 min to settle, 90 s apart: {gap}");
    assert!(world.asked.len() - looked <= 5, "{} looks", world.asked.len() - looked);
}

#[test]
fn a_daemon_that_was_down_for_days_looks_before_it_asks_the_user() {
    let mut world = calm(PlatformName::Bluesky, 1);
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 60);
    // As if the answer had been lost and the power with it.
    let mut row = state(&world, id).clone();
    assert_eq!(row.state, State::Published);
    let body = json!({ "record": {} });
    row.state = State::Sending;
    row.steps[0].published_at = None;
    row.flight.frozen = Some(sendoff::domain::delivery::Frozen {
        marker: row.steps[0].remote_id.as_ref().unwrap().rsplit('/').next().unwrap().to_owned(),
        body: body.to_string().into_bytes(),
    });
    row.flight.amb_since = Some(start() + secs(10));
    let reason = Reason::new("ambiguous", "the power went");
    let lost = row
        .apply(Event::Lose { next_check: start() + secs(3 * 86_400), reason, said: None }, start() + secs(60))
        .unwrap();
    let calls = world.calls;
    world.store.insert(id, lost);
    run(&mut world, 4 * 86_400);
    assert_eq!(world.calls, calls + 1, "it looked");
    assert_eq!(
        state(&world, id).reason.as_ref().unwrap().message,
        "another record sits at the key of this post"
    );
}

#[test]
fn work_claimed_before_a_crash_waits_for_a_paused_account_and_is_not_forgotten() {
    let mut world = calm(PlatformName::X, 1);
    let id = world.post(1, 0, 1, Late::Always);
    let claimed = state(&world, id).apply(Event::Claim, start()).unwrap();
    world.store.insert(id, claimed);
    let account = AccountId::from_u128(1);
    world.accounts.get_mut(&account).unwrap().state = AccountState::Paused;
    run(&mut world, 600);
    assert_eq!((world.sent.len(), state(&world, id).state), (0, State::Retry));
    world.accounts.get_mut(&account).unwrap().state = AccountState::Ready;
    world.input(Input::AccountChanged(account));
    run(&mut world, 1200);
    assert_eq!(state(&world, id).state, State::Published);
}

#[test]
fn a_row_that_was_read_before_the_delivery_moved_on_sends_nothing_outside_its_lane() {
    let mut world = calm(PlatformName::X, 1);
    let first = world.post(1, 10, 1, Late::Always);
    let second = world.post(1, 10, 1, Late::Always);
    world.network.script = vec![Fault::LostBefore];
    run(&mut world, 15);
    assert_eq!(state(&world, first).state, State::Sending);
    let row = DueRow { at: start(), id: second, account: AccountId::from_u128(1), unknown: true };
    // The world refuses two calls in flight on one account.
    world.input(Input::Due { rows: vec![row], all: true });
    run(&mut world, 3600);
    assert!(world.store.values().all(|it| it.state == State::Published));
}

#[test]
fn a_refused_repeat_does_not_deny_the_first_attempt() {
    let mut world = calm(PlatformName::Bluesky, 1);
    let invalid = refused(400, &json!({ "error": "InvalidRequest", "message": "no" }));
    world.network.script = vec![Fault::LostAfter, invalid];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 3600);
    assert_eq!((state(&world, id).state, world.network.objects.len()), (State::Published, 1));

    let invalid = refused(400, &json!({ "error": "InvalidRequest", "message": "no" }));
    let mut world = calm(PlatformName::Bluesky, 1);
    world.network.script = vec![Fault::LostBefore, invalid];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 3600);
    assert_eq!(
        (state(&world, id).state, world.sent.len()),
        (State::Rejected, 2),
        "refused for good, and looked twice"
    );
}

#[test]
fn a_repeat_under_the_same_key_still_refreshes_an_expired_token() {
    let mut world = calm(PlatformName::Bluesky, 1);
    let expired = refused(401, &json!({ "error": "invalid_token" }));
    world.network.script = vec![Fault::LostBefore, expired];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 600);
    assert_eq!((world.network.refreshes(), state(&world, id).state), (1, State::Published));
}

#[test]
fn a_repeat_that_the_network_refused_is_not_sent_again_because_a_look_failed_in_between() {
    let mut world = World::new(3, PlatformName::X, 1);
    let detail = "You are not allowed to create a Tweet with duplicate content.";
    let refused = json!({ "title": "Forbidden", "type": "about:blank", "detail": detail });
    world.network.script = vec![Fault::Refused(answer(403, &refused))];
    // The first look fails; the next ones show a list without it.
    (world.network.trouble, world.network.patience) = (100, 1);
    let id = world.post(1, 0, 1, Late::Always);
    world.run_until(start() + SignedDuration::from_hours(24 * 7));
    let it = &world.store[&id];
    assert!(it.held, "{it:#?}");
    assert_eq!((world.sent.len(), world.network.patience), (1, 0));
}
