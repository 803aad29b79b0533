//! The engine and LinkedIn's connector together: whatever happens to the answer of a create call, an
//! organization's post is there once, and a member's is there once or waits for a person.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::world::networks::{Fault, answer};
use crate::world::{Rng, World, secs, start};
use jiff::SignedDuration;
use sendoff::domain::delivery::{State, Step, StepKind};
use sendoff::domain::ids::{DeliveryId, PlatformName};
use sendoff::domain::schedule::Late;
use serde_json::json;

/// Long enough for everything to end or to be held.
fn a_week() -> jiff::Timestamp {
    start() + SignedDuration::from_hours(24 * 7)
}

fn world(seed: u64, accounts: u128, organizations: bool) -> World {
    let mut world = World::new(seed, PlatformName::LinkedIn, accounts);
    world.network.linkedin.remembers = SignedDuration::from_mins(10);
    for account in world.accounts.values_mut() {
        // Nobody renews these tokens.
        account.can_refresh = false;
        if organizations {
            account.tier = Some("organization".into());
            account.remote_id = account.remote_id.replace("person", "organization");
        }
    }
    world
}

/// One post and one fault at its create call.
fn run(organization: bool, fault: Fault) -> (World, DeliveryId) {
    let mut world = world(7, 1, organization);
    world.network.script = vec![fault];
    let id = world.post(1, 0, 1, Late::Always);
    world.run_until(a_week());
    (world, id)
}

fn lost_answers() -> Vec<Fault> {
    let trouble = answer(500, &json!({ "status": 500, "message": "Internal Server Error" }));
    let conflict = answer(409, &json!({ "status": 409, "code": "CONFLICT", "message": "again" }));
    let unlisted = answer(400, &json!({ "status": 400, "code": "ILLEGAL_ARGUMENT", "message": "new" }));
    vec![
        Fault::LostAfter,
        Fault::Misleading(trouble),
        Fault::Misleading(conflict),
        Fault::Misleading(unlisted),
    ]
}

#[test]
fn an_organizations_post_is_found_whatever_was_answered_and_sent_again_only_when_it_is_not_there() {
    for fault in lost_answers() {
        let (world, id) = run(true, fault.clone());
        let done = &world.store[&id];
        assert_eq!(done.state, State::Published, "{fault:?}: {:?}", done.reason);
        assert_eq!((world.network.objects.len(), world.sent.len()), (1, 1), "{fault:?}");
        assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
    }
    let (world, id) = run(true, Fault::LostBefore);
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!(world.sent.len(), 2);
    assert!(world.sent[1].0.duration_since(world.sent[0].0) >= SignedDuration::from_mins(15));
}

#[test]
fn a_members_post_is_never_repeated_unseen_and_waits_for_a_person() {
    for fault in lost_answers().into_iter().chain([Fault::LostBefore]) {
        let (world, id) = run(false, fault.clone());
        let held = &world.store[&id];
        assert_eq!((held.state, held.held), (State::Unknown, true), "{fault:?}: {:?}", held.reason);
        assert_eq!(world.sent.len(), 1, "{fault:?}");
        assert!(world.network.objects.len() <= 1);
        assert_eq!(world.network.linkedin.calls.get("linkedin.list"), None, "nothing can be read");
    }
}

#[test]
fn what_is_refused_at_the_door_is_tried_again_or_ends_and_is_never_in_doubt() {
    let limit =
        answer(429, &json!({ "status": 429, "message": "Resource level throttle limit is reached." }));
    let version =
        answer(426, &json!({ "status": 426, "code": "NONEXISTENT_VERSION", "message": "not active" }));
    let early = answer(400, &json!({ "status": 400, "code": "MEDIA_ASSET_PROCESSING", "message": "wait" }));
    for answer in [limit, version, early] {
        for organization in [true, false] {
            let (world, id) = run(organization, Fault::Refused(answer.clone()));
            assert_eq!(world.store[&id].state, State::Published, "{answer:?}");
            assert_eq!((world.network.objects.len(), world.sent.len()), (1, 2), "{answer:?}");
        }
    }
    let long = answer(400, &json!({ "status": 400, "code": "FIELD_LENGTH_TOO_LONG", "message": "long" }));
    let (world, id) = run(false, Fault::Refused(long));
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Rejected, 0));
}

#[test]
fn a_limit_is_tried_again_after_a_minute_after_a_quarter_and_then_after_midnight() {
    let limit =
        answer(429, &json!({ "status": 429, "message": "Resource level throttle limit is reached." }));
    let mut world = world(7, 1, true);
    world.network.script = vec![Fault::Refused(limit); 3];
    let id = world.post(1, 0, 1, Late::Always);
    world.run_until(a_week());
    let at: Vec<_> = world.sent.iter().map(|it| it.0).collect();
    for (n, wait) in [(0, 60), (1, 900)] {
        let waited = at[n + 1].duration_since(at[n]);
        assert!((secs(wait)..=secs(wait + 35)).contains(&waited), "{waited}");
    }
    let since_midnight = at[3].as_second().rem_euclid(86_400);
    assert!((1..=60).contains(&since_midnight), "{}", at[3]);
    assert_eq!((at.len(), world.network.objects.len()), (4, 1), "{:?}", world.store[&id].reason);
}

fn with_comment(world: &mut World, account: u128) -> DeliveryId {
    let id = world.post(account, 0, 1, Late::Always);
    let delivery = world.store.get_mut(&id).unwrap();
    delivery.steps.push(Step::new(StepKind::Comment));
    let post = world.posts.get_mut(&delivery.post).unwrap();
    Arc::make_mut(post).content.comment = Some("First!".into());
    id
}

#[test]
fn a_comment_that_linkedin_withholds_leaves_the_post_published_and_the_account_ready() {
    let mut world = world(7, 1, false);
    world.network.linkedin.withholds_comments = true;
    let id = with_comment(&mut world, 1);
    let next = world.post(1, 600, 1, Late::Always);
    world.run_until(a_week());
    let done = &world.store[&id];
    assert_eq!(done.state, State::Published);
    assert!(done.steps[0].is_live() && !done.steps[1].is_live() && done.published_at.is_some());
    let reason = done.reason.as_ref().unwrap();
    assert!(reason.hint.as_ref().unwrap().contains("the post is live"), "{reason:?}");
    assert_eq!(world.store[&next].state, State::Published, "the account goes on");
    assert_eq!(world.network.linkedin.calls["linkedin.comment"], 1, "asked once");
}

#[test]
fn what_linkedin_took_and_could_not_publish_is_told_and_nothing_is_put_under_it() {
    for comment in [false, true] {
        let mut world = world(7, 1, true);
        world.network.linkedin.fails = true;
        let id = if comment { with_comment(&mut world, 1) } else { world.post(1, 0, 1, Late::Always) };
        world.run_until(a_week());
        let done = &world.store[&id];
        assert_eq!((done.state, done.verified), (State::Published, false), "an end never changes");
        assert!(done.came_to_nothing() && done.steps[0].is_live(), "{done:#?}");
        let reason = done.reason.as_ref().unwrap();
        assert!(reason.message.contains("PUBLISH_FAILED") && reason.hint.is_some(), "{reason:?}");
        assert_eq!((world.sent.len(), world.network.objects.len()), (1, 1), "comment: {comment}");
    }
    // A member's cannot be read back, so nobody can know.
    let mut members = world(7, 1, false);
    members.network.linkedin.fails = true;
    let id = members.post(1, 0, 1, Late::Always);
    members.run_until(a_week());
    assert!(!members.store[&id].came_to_nothing());
}

#[test]
fn a_comment_whose_answer_was_lost_is_for_a_person_and_the_post_stays() {
    let mut world = world(7, 1, true);
    world.network.script = vec![Fault::None, Fault::LostAfter];
    let id = with_comment(&mut world, 1);
    world.run_until(a_week());
    let held = &world.store[&id];
    assert_eq!((held.state, held.held), (State::Unknown, true));
    assert!(held.steps[0].is_live());
    assert_eq!(world.network.objects.len(), 2);
}

#[test]
fn a_deliberate_repeat_is_held_and_told_which_post_it_repeats() {
    for organization in [true, false] {
        let mut world = world(7, 1, organization);
        let first = world.post(1, 0, 1, Late::Always);
        let again = world.post(1, 300, 1, Late::Always);
        let words = world.posts[&world.store[&first].post].content.clone();
        let row = world.posts.get_mut(&world.store[&again].post).unwrap();
        Arc::make_mut(row).content = words;
        world.run_until(a_week());
        let (first, held) = (&world.store[&first], &world.store[&again]);
        assert_eq!((first.state, held.state, held.held), (State::Published, State::Unknown, true));
        let told = &held.reason.as_ref().unwrap().message;
        assert!(told.contains(&format!("a repeat of `{}`", first.post)), "{told}");
        assert_eq!(world.network.objects.len(), 1);
    }
}

#[test]
fn a_members_calls_of_a_day_are_counted_and_the_next_day_goes_on() {
    let mut world = world(7, 1, false);
    for n in 0..160 {
        world.post(1, n, 1, Late::Always);
    }
    let midnight: jiff::Timestamp = "2026-12-02T00:00:00Z".parse().unwrap();
    world.run_until(a_week());
    let today = world.sent.iter().filter(|it| it.0 < midnight).count();
    assert_eq!((today, world.sent.len()), (150, 160));
    assert!(world.sent[150].0 >= midnight && world.sent[150].0 < midnight + secs(120));
    assert!(world.store.values().all(|it| it.state == State::Published));
}

#[test]
fn whatever_goes_wrong_no_post_is_there_twice() {
    let (mut published, mut held, mut crashes) = (0, 0, 0);
    for seed in 0..120 {
        let mut dice = Rng(seed ^ 0x11_ED);
        let organizations = dice.chance(60);
        let mut world = world(seed, 2, organizations);
        world.network.trouble = 10 + dice.below(60);
        world.network.patience = dice.below(16);
        world.network.list_lag = secs(i64::try_from(dice.below(300)).unwrap());
        for n in 0..4_u32 {
            let due = i64::try_from(dice.below(300)).unwrap();
            world.post(u128::from(1 + n % 2), due, 1, Late::Always);
        }
        let count = dice.below(4);
        world.crash_at = (0..count).map(|_| 1 + dice.below(120)).collect::<BTreeSet<_>>();
        world.run_until(a_week());
        for delivery in world.store.values() {
            let text = &world.posts[&delivery.post].content.parts[0];
            let objects: Vec<_> = world.network.objects.iter().filter(|it| it.text == *text).collect();
            let what = format!(
                "seed {seed}: {} is {:?}, {} objects, {:?}",
                delivery.id,
                delivery.state,
                objects.len(),
                delivery.reason
            );
            assert!(objects.len() <= 1, "{what}");
            match delivery.state {
                State::Published => {
                    let id = delivery.steps[0].remote_id.as_ref();
                    assert_eq!(id, objects.first().map(|it| &it.id), "{what}");
                    published += 1;
                }
                State::Unknown => {
                    assert!(delivery.held, "{what}");
                    held += 1;
                }
                state => assert!(state.is_terminal() && objects.is_empty(), "{what}"),
            }
        }
        crashes += world.crashes;
    }
    // The test would prove nothing if the world were kind.
    assert!(published > 200 && held > 10 && crashes > 40, "{published} {held} {crashes}");
}
