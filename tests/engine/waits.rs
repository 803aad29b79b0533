//! What holds back more than one delivery: rate limits, spent credits, the operator's own limits.

use sendoff::domain::account::AccountState;
use sendoff::engine::{Input, Purpose};

use super::*;

#[test]
fn rate_limits_without_an_end_are_probed_ever_more_rarely() {
    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![refused(429, &json!({ "title": "Too Many Requests" })); 4];
    let id = world.post(1, 0, 1, Late::Always);
    run(&mut world, 24 * 3600);
    let gaps: Vec<_> = world.sent.windows(2).map(|it| it[1].0.duration_since(it[0].0).as_mins()).collect();
    for (gap, whole) in gaps.iter().zip([15, 30, 60, 120]) {
        assert!((whole / 2..=whole + 1).contains(gap), "{gaps:?}");
    }
    assert_eq!((gaps.len(), state(&world, id).state), (4, State::Published));
}

#[test]
fn spent_credits_stop_the_whole_network_and_are_probed_by_one_post() {
    let mut world = calm(PlatformName::X, 3);
    let broke =
        refused(402, &json!({ "title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits" }));
    world.network.script = vec![broke; 3];
    let first = world.post(1, 10, 1, Late::Always);
    let others: Vec<_> = (2..=3).map(|account| world.post(account, 20, 1, Late::Always)).collect();
    run(&mut world, 5 * 3600);
    assert_eq!(world.sent.len(), 1, "the other accounts learn from the first");
    assert_eq!(state(&world, first).reason.as_ref().unwrap().class, "billing");
    run(&mut world, 11 * 3600);
    assert_eq!(world.sent.len(), 2, "one probe in six hours, whoever makes it");
    run(&mut world, 23 * 3600);
    assert!(state(&world, first).state == State::Published);
    assert!(others.iter().all(|id| state(&world, *id).state == State::Published));
}

#[test]
fn a_limit_of_the_app_holds_all_its_accounts_and_one_post_tries_when_it_is_over() {
    let capped = json!({ "title": "UsageCapExceeded", "type": "https://api.x.com/2/problems/usage-capped" });
    let of_app = json!({ "error": { "code": 4, "message": "(#4) Application request limit reached" } });
    for (platform, status, body, wait) in
        [(PlatformName::X, 403, capped, 6 * 3_600), (PlatformName::Facebook, 400, of_app, 55 * 60)]
    {
        let mut world = calm(platform, 3);
        world.network.script = vec![refused(status, &body); 2];
        let first = world.post(1, 10, 1, Late::Always);
        let others: Vec<_> = (2..=3).map(|account| world.post(account, 20, 1, Late::Always)).collect();
        run(&mut world, wait - 60);
        assert_eq!(world.sent.len(), 1, "{platform}: the other accounts learn from the first");
        let reason = state(&world, first).reason.as_ref().unwrap();
        assert_eq!(reason.class, "app_limited");
        assert!(reason.hint.is_some(), "{platform}: the operator is told");
        // A start knows it still.
        world.restart();
        run(&mut world, wait + 1800);
        assert_eq!(world.sent.len(), 2, "{platform}: one tries");
        run(&mut world, 3 * wait);
        assert!(
            others.iter().chain([&first]).all(|id| state(&world, *id).state == State::Published),
            "{platform}"
        );
    }
}

#[test]
fn a_limit_of_meta_that_names_no_end_leaves_a_post_that_may_be_an_hour_late_a_try() {
    for code in [4, 32] {
        let limited = json!({ "error": { "code": code, "message": "request limit reached" } });
        let mut world = calm(PlatformName::Facebook, 1);
        world.network.script = vec![refused(400, &limited)];
        let id = world.post(1, 10, 1, Late::Within(SignedDuration::from_hours(1)));
        run(&mut world, 2 * 3_600);
        assert_eq!((state(&world, id).state, world.sent.len()), (State::Published, 2), "code {code}");
    }
}

#[test]
fn an_app_that_may_read_no_more_goes_on_publishing_and_one_that_may_call_no_more_does_not_read() {
    let capped = json!({ "title": "UsageCapExceeded", "type": "https://api.x.com/2/problems/usage-capped" });
    let looks =
        |world: &World, id| world.asked.iter().filter(|it| (it.1, it.2) == (id, Purpose::Look)).count();
    // Met by a look: the looks of that account wait, and nobody's posts.
    let mut world = calm(PlatformName::X, 2);
    world.network.script = vec![Fault::LostBefore];
    world.network.reads = vec![refused(403, &capped)];
    let lost = world.post(1, 10, 1, Late::Always);
    let other = world.post(2, 300, 1, Late::Always);
    run(&mut world, 5 * 3600);
    assert_eq!((state(&world, other).state, looks(&world, lost)), (State::Published, 1));
    run(&mut world, 24 * 3600);
    assert_eq!((state(&world, lost).state, world.sent.len()), (State::Published, 3));
    // Met by a post: nothing is looked for either while the app is held.
    let mut world = calm(PlatformName::X, 2);
    world.network.script = vec![Fault::LostBefore, refused(403, &capped)];
    let lost = world.post(1, 10, 1, Late::Always);
    world.post(2, 30, 1, Late::Always);
    run(&mut world, 5 * 3600);
    assert_eq!((state(&world, lost).state, looks(&world, lost)), (State::Unknown, 0));
    run(&mut world, 24 * 3600);
    assert_eq!(state(&world, lost).state, State::Published);
}

#[test]
fn who_was_to_try_whether_an_app_is_open_again_and_cannot_leaves_it_to_the_next() {
    let day = SignedDuration::from_hours(24);
    let mut world = calm(PlatformName::X, 2);
    world.settings.limits.insert(PlatformName::X, vec![Limit { app: false, calls: 2, window: day }]);
    for _ in 0..2 {
        world.post(2, 0, 1, Late::Always);
    }
    run(&mut world, 60);
    assert_eq!(world.sent.len(), 2);
    world.network.script = vec![refused(
        402,
        &json!({ "title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits" }),
    )];
    let refused = world.post(1, 70, 1, Late::Always);
    run(&mut world, 75);
    // Its turn comes first, and its account has had its calls of the day.
    let spent = world.post(2, 80, 1, Late::Always);
    run(&mut world, 6 * 3600 + 120);
    assert_eq!(state(&world, refused).state, State::Published, "{:?}", world.sent);
    assert_ne!(state(&world, spent).state, State::Published);
}

#[test]
fn what_a_network_said_of_an_app_or_an_account_outlives_a_restart() {
    let broke =
        refused(402, &json!({ "title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits" }));
    let limited = refused(429, &json!({ "title": "Too Many Requests" }));
    // Credits hold back all accounts of the app, a rate limit its own account only.
    for (answer, quiet, others) in [(broke, secs(6 * 3600), 0), (limited, secs(7 * 60), 1)] {
        let mut world = calm(PlatformName::X, 2);
        world.network.script = vec![answer];
        world.post(1, 10, 1, Late::Always);
        run(&mut world, 30);
        assert_eq!(world.sent.len(), 1);
        let refused = world.sent[0].0;
        for again in [40, 50, 60] {
            world.restart();
            run(&mut world, again);
        }
        // New work, of the same account and of another one.
        let [mine, other] = [1, 2].map(|account| world.post(account, 100, 1, Late::Always));
        let until = refused.duration_since(start()) + quiet - secs(30);
        run(&mut world, until.as_secs());
        assert_eq!(world.sent.len(), 1 + others, "{:?}", world.sent);
        assert_eq!(state(&world, other).state == State::Published, others > 0);
        run(&mut world, 20 * 3600);
        assert!([mine, other].iter().all(|id| state(&world, *id).state == State::Published));
    }
}

#[test]
fn limits_the_operator_set_hold_for_each_account_and_for_all_of_the_app() {
    let hour = SignedDuration::from_hours(1);
    let mut world = calm(PlatformName::X, 3);
    let limits = [(false, 2), (true, 3)].map(|(app, calls)| Limit { app, calls, window: hour });
    world.settings.limits.insert(PlatformName::X, limits.to_vec());
    for n in 0..8 {
        // One has more to say than it may, the others would only be too many together.
        world.post(if n < 5 { 1 } else { n % 2 + 2 }, 10, 1, Late::Always);
    }
    run(&mut world, 1800);
    assert_eq!(world.sent.len(), 3, "{:?}", world.sent);
    let waits = world.engine.as_ref().unwrap().waits(world.now);
    assert!(waits.iter().any(|it| it.reason.message == "x takes 3 calls in 1h"), "{waits:?}");
    run(&mut world, 6 * 3600);
    assert!(world.store.values().all(|it| it.state == State::Published));
    assert_eq!(world.sent.len(), 8);
    let most = |times: Vec<Timestamp>| {
        // Counted from the intent; the call leaves moments later.
        let window = hour - secs(1);
        let within =
            |from: &Timestamp| times.iter().filter(|it| (*from..*from + window).contains(it)).count();
        times.iter().map(within).max().unwrap()
    };
    assert_eq!(most(world.sent.iter().map(|it| it.0).collect()), 3);
    for account in 1..=3 {
        let own = world.sent.iter().filter(|it| it.2 == AccountId::from_u128(account));
        assert!(most(own.map(|it| it.0).collect()) <= 2);
    }
}

#[test]
fn a_network_that_limits_reads_is_not_asked_before_it_said_unless_the_user_wants_it() {
    let reset = start().as_second() + 3600;
    let limited = |reset: Option<i64>| {
        let Fault::Refused(mut answer) = refused(429, &json!({ "title": "Too Many Requests" })) else {
            panic!()
        };
        if let Some(at) = reset {
            answer.headers.push(("x-rate-limit-remaining".to_owned(), "0".to_owned()));
            answer.headers.push(("x-rate-limit-reset".to_owned(), at.to_string()));
        }
        Fault::Refused(answer)
    };
    let broke =
        refused(402, &json!({ "title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits" }));
    for (said, asks_again) in [(limited(Some(reset)), 3600), (limited(None), 15 * 60), (broke, 6 * 3600)] {
        let mut world = calm(PlatformName::X, 1);
        world.network.script = vec![Fault::LostBefore, Fault::LostBefore];
        world.network.reads = vec![said];
        let ids = [10, 20].map(|due| world.post(1, due, 1, Late::Always));
        run(&mut world, asks_again);
        assert_eq!(
            (world.sent.len(), world.calls),
            (2, 3),
            "the other one is not looked for either: {asks_again}"
        );
        assert!(ids.iter().all(|id| state(&world, *id).state == State::Unknown));
        run(&mut world, asks_again + 2 * 3600);
        assert!(ids.iter().all(|id| state(&world, *id).state == State::Published));
    }

    let mut world = calm(PlatformName::X, 1);
    world.network.script = vec![Fault::LostBefore];
    world.network.reads = vec![limited(Some(reset))];
    let id = world.post(1, 10, 1, Late::Always);
    run(&mut world, 600);
    assert_eq!(world.calls, 2);
    // The user does not want to wait.
    let before = state(&world, id).clone();
    let event = ask::event(&before, &Ask::TryNow, SignedDuration::from_hours(24), world.now).unwrap();
    let after = before.apply(event, world.now).unwrap();
    world.store.insert(id, after);
    world.input(Input::Probe(PlatformName::X));
    world.input(Input::Tick);
    run(&mut world, 700);
    assert_eq!(world.calls, 3);
}

/// The answer that takes a post, with what X says of its limits: so many calls of the window are left, and
/// the window ends then (docs.x.com/x-api/fundamentals/rate-limits).
fn with_quota(group: &str, limit: u32, left: u32, reset: i64) -> Vec<(String, String)> {
    [("limit", i64::from(limit)), ("remaining", i64::from(left)), ("reset", reset)]
        .map(|(name, n)| (format!("{group}-{name}"), n.to_string()))
        .into()
}

#[test]
fn from_nine_tenths_of_a_quota_on_calls_are_spread_over_the_rest_of_its_time() {
    // Left of 100, within an hour: how far apart the next call is.
    for (left, least, most) in [(11, 5, 8), (10, 360, 362), (5, 720, 722), (1, 900, 902), (0, 3599, 3605)] {
        let mut world = calm(PlatformName::X, 1);
        world.network.headers = with_quota("x-user-limit-24hour", 100, left, start().as_second() + 3600);
        for _ in 0..2 {
            world.post(1, 0, 1, Late::Always);
        }
        run(&mut world, 2 * 3600);
        let [first, second] = world.sent[..] else { panic!("{left} left: {:?}", world.sent) };
        let gap = second.0.duration_since(first.0);
        assert!((secs(least)..=secs(most)).contains(&gap), "{left} left: {gap:#}");
    }
}

#[test]
fn what_waits_for_a_quota_is_told_until_then_and_no_longer() {
    for (group, of_app) in [("x-user-limit-24hour", false), ("x-app-limit-24hour", true)] {
        let mut world = calm(PlatformName::X, 2);
        world.network.headers = with_quota(group, 100, 5, start().as_second() + 3600);
        for n in 0..4 {
            world.post(1 + n % 2, 0, 1, Late::Always);
        }
        run(&mut world, 60);
        let told = |world: &mut World| world.engine.as_ref().unwrap().waits(world.now);
        let waits = told(&mut world);
        assert_eq!(waits.len(), if of_app { 1 } else { 2 }, "{waits:?}");
        assert!(waits.iter().all(|it| it.reason.class == "quota" && it.until > world.now), "{waits:?}");
        assert!(waits[0].concerns(&world.accounts[&AccountId::from_u128(1)]));
        world.network.headers.clear();
        run(&mut world, 3 * 3600);
        assert_eq!(told(&mut world), []);
        assert!(world.store.values().all(|it| it.state == State::Published));
    }
}

#[test]
fn five_calls_without_a_clear_answer_open_the_breaker_and_looks_go_on() {
    let mut world = calm(PlatformName::X, 6);
    world.network.script = vec![Fault::LostBefore; 5];
    // Each on its own account, so that nobody waits for another's lane.
    let lost: Vec<_> = (1..=5).map(|account| world.post(account, 10, 1, Late::Always)).collect();
    run(&mut world, 69);
    assert_eq!(world.engine.as_ref().unwrap().waits(world.now), [], "four are no outage");
    let next = world.post(6, 75, 1, Late::Always);
    run(&mut world, 120);
    let waits = world.engine.as_ref().unwrap().waits(world.now);
    let [wait] = waits.as_slice() else { panic!("{waits:?}") };
    assert_eq!(wait.reason.class, "outage");
    assert_eq!(world.sent.len(), 5, "the sixth waits");
    let opened = world.sent.iter().map(|it| it.0).max().unwrap() + secs(60);
    let open_for = wait.until.duration_since(opened);
    assert!((secs(299)..=secs(302)).contains(&open_for), "{open_for:#}");
    let looks = |world: &World| world.asked.iter().filter(|it| it.2 == Purpose::Look).count();
    run(&mut world, 240);
    assert!(looks(&world) >= 5, "what is in doubt is looked for meanwhile: {:?}", world.asked);
    assert_eq!(world.sent.len(), 5);
    run(&mut world, 3 * 3600);
    assert_eq!(world.sent[5].1, next, "the next one tries");
    assert!(world.sent[5].0 >= wait.until);
    assert!(lost.iter().chain([&next]).all(|id| state(&world, *id).state == State::Published));
    assert_eq!(world.engine.as_ref().unwrap().waits(world.now), []);
}

#[test]
fn an_outage_is_probed_by_one_post_ever_more_rarely_up_to_an_hour() {
    let mut world = calm(PlatformName::X, 20);
    world.network.script = vec![Fault::LostBefore; 11];
    // Nobody can look either, so that only posts speak.
    world.network.reads = vec![refused(503, &json!({ "title": "Service Unavailable" })); 4000];
    for account in 1..=20 {
        world.post(account, if account <= 5 { 10 } else { 200 }, 1, Late::Always);
    }
    run(&mut world, 8 * 3600);
    let opened = world.sent[4].0 + secs(60);
    let times: Vec<_> = std::iter::once(opened).chain(world.sent.iter().skip(5).map(|it| it.0)).collect();
    let gaps: Vec<_> = times.windows(2).map(|it| it[1].duration_since(it[0]).as_mins()).collect();
    // A minute of each passes until the call of a probe counts as lost.
    assert_eq!(gaps[..7], [5, 11, 21, 41, 61, 61, 61], "{gaps:?}");
}

#[test]
fn calls_that_were_on_the_wire_when_the_breaker_opened_make_the_wait_no_longer() {
    let mut world = calm(PlatformName::X, 15);
    world.network.script = vec![Fault::LostBefore; 14];
    for account in 1..=14 {
        world.post(account, 10, 1, Late::Always);
    }
    let after = world.post(15, 100, 1, Late::Always);
    run(&mut world, 2 * 3600);
    let probe = world.sent.iter().find(|it| it.1 == after).unwrap().0;
    let wait = probe.duration_since(world.sent[0].0 + secs(60)).as_mins();
    assert_eq!(wait, 5, "14 calls were lost at once, which is one outage: {:?}", world.sent);
}

#[test]
fn a_network_that_is_not_reached_before_anything_is_sent_is_an_outage_as_well() {
    let mut world = calm(PlatformName::Bluesky, 10);
    world.network.reads = vec![Fault::NotSent; 5];
    // Every second one has a picture, which is uploaded before it is sent.
    let all: Vec<_> = (1..=10)
        .map(|account| world.post(account, if account % 2 == 0 { 10 } else { 60 }, 1, Late::Always))
        .collect();
    run(&mut world, 120);
    let waits = world.engine.as_ref().unwrap().waits(world.now);
    let [wait] = waits.as_slice() else { panic!("{waits:?}") };
    assert!(wait.reason.class == "outage" && wait.reason.message.contains("refused"), "{wait:?}");
    assert_eq!(world.sent.len(), 0, "nor is anything sent to it");
    run(&mut world, 3600);
    assert!(all.iter().all(|id| state(&world, *id).state == State::Published));
    assert!(world.sent.iter().all(|it| it.0 >= wait.until));
    assert_eq!(world.engine.as_ref().unwrap().waits(world.now), []);
}

#[test]
fn what_became_too_late_during_a_stop_says_so() {
    for account_alone in [false, true] {
        let mut world = calm(PlatformName::X, 1);
        let account = AccountId::from_u128(1);
        let id = world.post(1, 60, 1, Late::Within(secs(600)));
        let pause = |world: &mut World, on: bool| {
            if account_alone {
                let state = if on { AccountState::Paused } else { AccountState::Ready };
                world.accounts.get_mut(&account).unwrap().state = state;
                world.input(Input::AccountChanged(account));
            } else {
                world.input(Input::Pause(on));
            }
        };
        run(&mut world, 30);
        pause(&mut world, true);
        run(&mut world, 3600);
        pause(&mut world, false);
        run(&mut world, 3700);
        let row = state(&world, id);
        let reason = row.reason.as_ref().unwrap().message.clone();
        let why = if account_alone { "the account was paused" } else { "stopped with `sendoff pause`" };
        assert_eq!((row.state, world.sent.len()), (State::Missed, 0));
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn one_post_with_trouble_of_its_own_shuts_no_network() {
    let mut world = calm(PlatformName::Bluesky, 2);
    world.network.script =
        vec![Fault::Misleading(answer(500, &json!({ "error": "InternalServerError" }))); 40];
    // Alone on its account, and sent again and again: the network says nothing of others.
    let sick = world.post(1, 10, 1, Late::Always);
    run(&mut world, 600);
    assert!(world.sent.len() >= 5, "{:?} {:?}", world.sent, state(&world, sick));
    assert_eq!(world.engine.as_ref().unwrap().waits(world.now), []);
}

#[test]
fn whoever_found_a_network_shut_lets_another_account_try_first() {
    let mut other = 0;
    for seed in 1..=40 {
        let mut world = World::new(seed, PlatformName::X, 7);
        world.network.script = vec![Fault::LostBefore; 6];
        for account in 1..=5 {
            world.post(account, 10, 1, Late::Always);
        }
        run(&mut world, 75);
        // The sixth tries, and has more to send when the door opens next; so has the seventh by then.
        for _ in 0..3 {
            world.post(6, 80, 1, Late::Always);
        }
        world.post(7, 400, 1, Late::Always);
        run(&mut world, 6 * 3600);
        let order: Vec<_> = world.sent.iter().skip(5).map(|it| it.2.as_u128()).collect();
        assert!(order.len() >= 4, "all follow in the end: {order:?}");
        other += usize::from(order[..2] == [6, 7]);
    }
    // Where its row was not yet read when the door opened, the sixth is quicker.
    assert!(other >= 30, "{other} of 40");
}

/// R9: those who were refused together do not come back together.
#[test]
fn waits_are_spread_evenly_between_half_of_their_length_and_all_of_it() {
    const ALL: usize = 400;
    let mut world = calm(PlatformName::X, ALL as u128);
    world.network.script = vec![refused(429, &json!({ "title": "Too Many Requests" })); ALL];
    for account in 1..=ALL as u128 {
        world.post(account, 0, 1, Late::Always);
    }
    run(&mut world, 3600);
    let (first, again) = world.sent.split_at(ALL);
    let mut tenths = [0_usize; 10];
    for (at, id, _) in again {
        let (before, _, _) = first.iter().find(|it| it.1 == *id).unwrap();
        let waited = at.duration_since(*before).as_millis();
        let whole = SignedDuration::from_mins(15).as_millis();
        let tenth = (waited - whole / 2) * 20 / whole;
        // What a call and a commit take comes on top.
        tenths[usize::try_from(tenth.clamp(0, 9)).unwrap()] += 1;
    }
    assert_eq!(tenths.iter().sum::<usize>(), ALL);
    assert!(tenths.iter().all(|it| (ALL / 20..=ALL * 3 / 20).contains(it)), "{tenths:?}");
}

#[test]
fn a_pause_that_ends_while_a_row_is_read_holds_nothing_back() {
    let mut world = calm(PlatformName::X, 1);
    let account = AccountId::from_u128(1);
    let id = world.post(1, 60, 1, Late::Always);
    run(&mut world, 30);
    world.accounts.get_mut(&account).unwrap().state = AccountState::Paused;
    world.input(Input::AccountChanged(account));
    // Its row is read while the account is paused, and the answer comes when it is not any more.
    let holds = |world: &World| world.engine.as_ref().unwrap().holds(id);
    let reading = (0..200).map(|n| start() + secs(60) + SignedDuration::from_millis(n));
    let at = reading.into_iter().find(|at| {
        world.run_until(*at);
        holds(&world)
    });
    assert!(at.is_some(), "nobody reads it");
    world.accounts.get_mut(&account).unwrap().state = AccountState::Ready;
    world.input(Input::AccountChanged(account));
    run(&mut world, 3600);
    assert_eq!(state(&world, id).state, State::Published);
}
