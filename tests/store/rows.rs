//! Single operations: compare-and-swap, uniqueness, lists, tokens.

use jiff::Timestamp;
use sendoff::domain::attempt::Attempt;
use sendoff::domain::delivery::{Delivery, Event, Frozen, Live, RetryWhy, Said, State};
use sendoff::domain::ids::{MediaId, ReceiptId};
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::domain::post::SlotTaken;
use sendoff::store::audit::Receipt;
use sendoff::store::posts::{Created, Cursor, Filter, Order, Wanted};
use sendoff::store::vault::{Erasure, ErasureLine, RefreshIntent};
use sendoff::store::{
    Store, StoreError, accounts, audit, deliveries, meta, posts, queues, requests, vault, zones,
};

use super::{account, account_id, check, deliveries as deliveries_of, made, memory, minutes, now, post};

#[track_caller]
fn conflict<T: std::fmt::Debug>(outcome: Result<T, StoreError>, part: &str) {
    match outcome {
        Err(StoreError::Conflict { what }) => assert!(what.contains(part), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// Applies an event and writes the outcome.
fn step(store: &Store, was: &Delivery, event: Event, at: Timestamp) -> Delivery {
    let next = was.apply(event, at).unwrap();
    let (was, written) = (was.clone(), next.clone());
    store.write_blocking(move |tx| deliveries::put(tx, Some(&was), &written, None)).unwrap();
    next
}

/// The same inside a runtime, where nothing may block.
async fn step_in_turn(store: &Store, was: &Delivery, event: Event, at: Timestamp) -> Delivery {
    let next = was.apply(event, at).unwrap();
    let (was, written) = (was.clone(), next.clone());
    store.write(move |tx| deliveries::put(tx, Some(&was), &written, None)).await.unwrap();
    next
}

fn frozen(marker: &str) -> Frozen {
    Frozen { marker: marker.to_owned(), body: vec![0xff, 0, b'{'] }
}

fn attempt(of: &Delivery, n: u32, at: Timestamp) -> Attempt {
    let marker = of.flight.frozen.as_ref().unwrap().marker.as_str();
    Attempt::begun((of.id, of.step), n, marker, [7; 32], at)
}

#[tokio::test]
async fn a_publishing_call_is_on_the_disk_before_there_is_a_proof_of_it() {
    let store = memory();
    let (_, all) = made(&store, 1, Some(minutes(0)), &[1]);
    let claimed = step(&store, &all[0], Event::Claim, minutes(0));
    let sending = claimed
        .apply(Event::Intend { frozen: frozen("m1"), ahead: jiff::SignedDuration::ZERO }, minutes(0))
        .unwrap();
    let row = attempt(&sending, 1, minutes(0));
    let intent = store.intend(claimed.clone(), sending.clone(), row.clone()).await.unwrap();
    assert_eq!(store.read(|rx| deliveries::get(rx, intent.id())).unwrap().as_ref(), Some(&sending));
    assert_eq!(store.read(|rx| deliveries::attempts(rx, intent.id())).unwrap(), std::slice::from_ref(&row));
    assert_eq!((intent.frozen(), intent.step(), intent.claim_gen()), (&frozen("m1"), 0, 1));
    let history = store.read(|rx| deliveries::history(rx, sending.id)).unwrap();
    assert_eq!(history.last().map(|it| (it.from, it.to)), Some((State::Claimed, State::Sending)));

    // A second worker with the same row gets none, nor does one whose delivery is not `Sending`.
    conflict(store.intend(claimed.clone(), sending.clone(), row.clone()).await, "changed meanwhile");
    conflict(store.intend(claimed.clone(), claimed.clone(), row.clone()).await, "nothing to intend");

    // The end is written once, cut to size, and nothing else of the row may change.
    let long = format!("{}é", "x".repeat(Attempt::RAW_MAX - 1));
    let ended = Attempt {
        ended: Some(minutes(1)),
        outcome: Some("applied".to_owned()),
        status: Some(201),
        raw: Some(long),
        ..row.clone()
    };
    let other = Attempt { marker: "m2".to_owned(), ..ended.clone() };
    conflict(store.write(move |tx| deliveries::end_attempt(tx, &other)).await, "another");
    let once = ended.clone();
    store.write(move |tx| deliveries::end_attempt(tx, &once)).await.unwrap();
    conflict(store.write(move |tx| deliveries::end_attempt(tx, &ended)).await, "complete already");
    let kept = store.read(|rx| deliveries::attempts(rx, sending.id)).unwrap();
    assert_eq!(kept[0].raw.as_ref().map(String::len), Some(Attempt::RAW_MAX - 1));
    check(&store);
}

#[tokio::test]
async fn a_buried_marker_keeps_the_call_from_being_made() {
    let store = memory();
    let (_, all) = made(&store, 1, Some(minutes(0)), &[1]);
    let claimed = step(&store, &all[0], Event::Claim, minutes(0));
    let sending = claimed
        .apply(Event::Intend { frozen: frozen("m1"), ahead: jiff::SignedDuration::ZERO }, minutes(0))
        .unwrap();
    let row = attempt(&sending, 1, minutes(0));
    store.write(|tx| deliveries::bury(tx, account_id(1), "m1", now())).await.unwrap();
    let no = store.intend(claimed.clone(), sending, row).await;
    assert!(matches!(no, Err(StoreError::Refused { .. })), "{no:?}");
    assert_eq!(store.read(|rx| deliveries::get(rx, claimed.id)).unwrap(), Some(claimed));
}

#[tokio::test]
async fn a_pause_or_a_hold_that_came_after_the_work_was_read_keeps_the_call_from_being_made() {
    let store = memory();
    let mut row = post(1, Some(minutes(0)), &[1]);
    let slot = SlotTaken { queue: "mornings".into(), local: "2026-12-01T10:00:00".parse().unwrap() };
    row.slot = Some(slot);
    let all = deliveries_of(&row);
    let (made, first) = (row.clone(), all.clone());
    store.write(move |tx| posts::create(tx, &made, &first, None, None)).await.unwrap();
    let claimed = step_in_turn(&store, &all[0], Event::Claim, minutes(0)).await;
    let intend = |of: &Delivery| {
        of.apply(Event::Intend { frozen: frozen("m1"), ahead: jiff::SignedDuration::ZERO }, minutes(0))
            .unwrap()
    };
    let sending = intend(&claimed);
    let call = attempt(&sending, 1, minutes(0));
    let ask = async |queue: Option<&'static str>, held: bool| {
        store
            .write(move |tx| {
                for name in ["mornings", "evenings"] {
                    queues::set_paused(tx, name, (queue == Some(name)).then(now))?;
                }
                if held { zones::hold(tx, claimed.id) } else { zones::let_go(tx, claimed.id).map(drop) }
            })
            .await
            .unwrap();
        store.intend(claimed.clone(), sending.clone(), call.clone()).await
    };
    for (queue, held, word) in [(Some("mornings"), false, "paused"), (None, true, "held")] {
        let no = ask(queue, held).await;
        assert!(matches!(&no, Err(StoreError::Refused { why }) if why.contains(word)), "{no:?}");
        assert_eq!(store.read(|rx| deliveries::get(rx, claimed.id)).unwrap().as_ref(), Some(&claimed));
        assert_eq!(store.read(|rx| deliveries::attempts(rx, claimed.id)).unwrap(), [], "no call was begun");
    }
    // Another queue's pause is none of its business.
    ask(Some("evenings"), false).await.unwrap();
    // What may be live already is not held back: it is repeated under its own marker, or looked for.
    let reason = sendoff::domain::delivery::Reason::new("ambiguous", "lost");
    let lost = Event::Lose { next_check: minutes(1), said: None, reason };
    let lost = step_in_turn(&store, &sending, lost, minutes(1)).await;
    let again = step_in_turn(&store, &lost, Event::SendAgain { at: minutes(1) }, minutes(1)).await;
    let again = step_in_turn(&store, &again, Event::Claim, minutes(1)).await;
    store.write(|tx| queues::set_paused(tx, "mornings", Some(now()))).await.unwrap();
    let second = intend(&again);
    store.intend(again, second.clone(), attempt(&second, 2, minutes(1))).await.unwrap();
    check(&store);
}

#[test]
fn a_writer_that_started_from_an_old_row_is_refused() {
    let store = memory();
    let (_, all) = made(&store, 1, Some(minutes(0)), &[1]);
    let claimed = step(&store, &all[0], Event::Claim, minutes(0));
    let (old, again) = (all[0].clone(), all[0].clone());
    conflict(
        store.write_blocking(move |tx| deliveries::put(tx, Some(&old), &again, None)),
        "it is `claimed` now",
    );
    let new = claimed.clone();
    conflict(store.write_blocking(move |tx| deliveries::put(tx, None, &new, None)), "exists already");
    let (_, absent) = (0, deliveries_of(&post(9, Some(minutes(0)), &[1])).remove(0));
    conflict(store.write_blocking(move |tx| deliveries::put(tx, Some(&absent), &absent, None)), "is gone");
    check(&store);
}

#[test]
fn what_a_network_said_of_a_call_is_kept() {
    let reason = || sendoff::domain::delivery::Reason::new("rate_limited", "at work").hint("wait");
    let (at, until, why) = (minutes(9), minutes(8), RetryWhy::Parked);
    for said in [
        Said::Accepted,
        Said::Taken("p_pub_url~v2.7".into()),
        Said::Live,
        Said::Duplicate("it has that".into()),
        Said::Never(reason()),
        Said::Barred { until, reason: reason() },
        Said::Refused { at, why, reason: reason() },
    ] {
        let store = memory();
        let (_, all) = made(&store, 1, Some(minutes(0)), &[1]);
        let it = step(&store, &all[0], Event::Claim, minutes(0));
        let intend = Event::Intend { frozen: frozen("m"), ahead: jiff::SignedDuration::ZERO };
        let it = step(&store, &it, intend, minutes(0));
        let (said, reason) = (Some(said), reason());
        let it =
            step(&store, &it, Event::Lose { next_check: minutes(1), said: said.clone(), reason }, minutes(0));
        let read = store.read(|rx| deliveries::get(rx, it.id)).unwrap().unwrap();
        assert_eq!((read.flight.said.clone(), read), (said, it));
    }
}

#[test]
fn a_remote_object_belongs_to_one_step_for_ever() {
    let store = memory();
    let publish = |n| {
        let (post, all) = made(&store, n, Some(minutes(0)), &[1]);
        let it = step(&store, &all[0], Event::Claim, minutes(0));
        let it = step(
            &store,
            &it,
            Event::Intend { frozen: frozen("m"), ahead: jiff::SignedDuration::ZERO },
            minutes(0),
        );
        let live =
            Live { remote_id: Some("77".to_owned()), permalink: None, extra: [].into(), verified: true };
        (post, it.clone(), it.apply(Event::Applied { live, next_part_at: minutes(1) }, minutes(0)).unwrap())
    };
    let (_, was, now1) = publish(1);
    let owner = now1.id;
    store.write_blocking(move |tx| deliveries::put(tx, Some(&was), &now1, None)).unwrap();
    let (_, was, now2) = publish(2);
    conflict(
        store.write_blocking(move |tx| deliveries::put(tx, Some(&was), &now2, None)),
        "belongs to step 0",
    );
    assert_eq!(store.read(|rx| deliveries::bound(rx, account_id(1), "77")).unwrap(), Some((owner, 0)));
    assert_eq!(store.read(|rx| deliveries::bound(rx, account_id(2), "77")).unwrap(), None);
    check(&store);
}

#[test]
fn one_key_makes_one_post_and_one_slot_holds_one() {
    let store = memory();
    let local: jiff::civil::DateTime = "2026-12-01T10:00:00".parse().unwrap();
    let create = |n: u16, key: Option<(&'static str, u8)>, slot: Option<&'static str>| {
        let mut post = post(n, Some(minutes(5)), &[1]);
        post.slot = slot.map(|queue| SlotTaken { queue: queue.to_owned(), local });
        let all = deliveries_of(&post);
        store.write_blocking(move |tx| {
            let key = key.map(|(key, byte)| (key, [byte; 32]));
            posts::create(tx, &post, &all, key, slot.map(|it| (it, local)))
        })
    };
    let id = |n| post(n, None, &[]).id;
    assert_eq!(create(1, Some(("k", 1)), None).unwrap(), Created::New);
    assert_eq!(create(2, Some(("k", 1)), None).unwrap(), Created::Existing(id(1)));
    assert_eq!(create(3, Some(("k", 2)), None).unwrap(), Created::KeyTaken(id(1)));
    assert_eq!(create(4, Some(("k4", 4)), Some("daily")).unwrap(), Created::New);
    assert_eq!(create(5, Some(("k5", 5)), Some("daily")).unwrap(), Created::SlotTaken(id(4)));
    assert_eq!(create(5, Some(("k5", 5)), Some("weekly")).unwrap(), Created::New, "a refusal used up no key");
    assert!(store.read(|rx| posts::get(rx, id(2))).unwrap().is_none());
    conflict(create(1, None, None), "exists already");

    store.write_blocking(move |tx| queues::free_slot(tx, "daily", local, id(5))).unwrap();
    assert_eq!(store.read(|rx| queues::slot_taken(rx, "daily", local)).unwrap(), Some(id(4)), "not its own");
    assert!(store.write_blocking(move |tx| queues::free_slot(tx, "daily", local, id(4))).unwrap());
    assert_eq!(create(6, None, Some("daily")).unwrap(), Created::New);
    check(&store);
}

#[test]
fn an_edit_from_an_old_version_is_refused_and_a_new_time_moves_the_post() {
    let store = memory();
    let (post, _) = made(&store, 1, None, &[1]);
    let mut edited = post.clone();
    edited.version = 2;
    edited.due = super::post(1, Some(minutes(9)), &[]).due;
    let media = MediaId::new(now(), [3; 10]);
    edited.media = vec![MediaItem {
        id: media,
        name: "cat.png".to_owned(),
        kind: MediaKind::Png,
        bytes: u64::MAX,
        width: 1,
        height: 2,
        alt: Some("a cat".to_owned()),
        part: 0,
        detail: sendoff::domain::media::Detail::default(),
    }];
    let (first, second) = (edited.clone(), edited.clone());
    store.write_blocking(move |tx| posts::put(tx, &first)).unwrap();
    conflict(store.write_blocking(move |tx| posts::put(tx, &second)), "version 2 now");
    assert_eq!(store.read(|rx| posts::of_media(rx, media)).unwrap(), [post.id]);
    assert_eq!(store.read(|rx| posts::get(rx, post.id)).unwrap(), Some(edited));
    check(&store);
}

#[test]
fn a_list_comes_in_pages_that_neither_skip_nor_repeat() {
    let store = memory();
    for n in 0..9 {
        made(&store, n, Some(minutes(i64::from(n / 3))), &[1, 2]);
    }
    made(&store, 9, None, &[2]);
    let pages = |filter: &Filter, limit| {
        let (mut all, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = store.read(|rx| posts::list(rx, filter, limit, after)).unwrap();
            assert!(page.posts.len() <= limit);
            all.extend(page.posts);
            match page.next {
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => return all,
            }
        }
    };
    let scheduled = Some(Wanted::State(State::Scheduled));
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for (wanted, of, expected) in [
            (None, None, 10),
            (None, Some(account_id(1)), 9),
            (scheduled, None, 9),
            (scheduled, Some(account_id(2)), 9),
            (Some(Wanted::Draft), None, 1),
            (Some(Wanted::Draft), Some(account_id(1)), 0),
            (Some(Wanted::Held), None, 0),
        ] {
            let filter = Filter { wanted, account: of, order, ..Filter::default() };
            let whole = pages(&filter, 100);
            assert_eq!(whole.len(), expected, "{filter:?}");
            for limit in 1..5 {
                assert_eq!(pages(&filter, limit), whole, "{filter:?} by {limit}");
            }
        }
    }
    let window = Filter { since: Some(minutes(1)), until: Some(minutes(1)), ..Filter::default() };
    assert_eq!(pages(&window, 2).len(), 3);
    assert!("nonsense".parse::<Cursor>().unwrap_err().to_string().contains("next_cursor"));
}

#[test]
fn a_list_of_several_states_is_read_from_their_indexes_in_one_order() {
    let store = memory();
    let mut wanted = Vec::new();
    for n in 0..12 {
        let (post, all) = made(&store, n, Some(minutes(i64::from(n))), &[1]);
        let reason = sendoff::domain::delivery::Reason::new("late", "late");
        match n % 4 {
            0 => drop(step(&store, &all[0], Event::Miss { reason }, minutes(60))),
            1 => drop(step(&store, &all[0], Event::Cancel { reason }, minutes(60))),
            2 => drop(step(&store, &all[0], Event::Claim, minutes(60))),
            _ => {}
        }
        if n % 4 < 2 {
            wanted.push(post.id);
        }
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let any = Some(Wanted::AnyOf(&[State::Missed, State::Rejected, State::Cancelled]));
        let filter = Filter { wanted: any, order, ..Filter::default() };
        for limit in [1, 2, 5, 100] {
            let (mut all, mut after) = (Vec::new(), None::<Cursor>);
            loop {
                let page = store.read(|rx| posts::list(rx, &filter, limit, after)).unwrap();
                all.extend(page.posts);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(all, wanted, "by {limit}");
        }
        wanted.reverse();
    }
}

#[test]
fn a_post_is_deleted_with_all_that_hangs_on_it_but_only_when_all_has_ended() {
    let store = memory();
    let (post, all) = made(&store, 1, Some(minutes(0)), &[1]);
    let id = post.id;
    conflict(store.write_blocking(move |tx| posts::delete(tx, id)), "not an end");
    let reason = sendoff::domain::delivery::Reason::new("user", "taken back");
    step(&store, &all[0], Event::Cancel { reason }, minutes(0));
    store.write_blocking(move |tx| posts::delete(tx, id)).unwrap();
    assert!(store.read(deliveries::counts).unwrap().is_empty());
    assert!(
        store
            .read(|rx| deliveries::of_account(rx, account_id(1), deliveries::Which::All, 9))
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        store.write_blocking(move |tx| posts::delete(tx, id)),
        Err(StoreError::NotFound { .. })
    ));
    check(&store);
}

#[test]
fn an_account_is_found_by_both_its_names_and_shares_neither() {
    let store = memory();
    for n in [1, 2] {
        store.write_blocking(move |tx| accounts::put(tx, &account(n))).unwrap();
    }
    assert_eq!(store.read(|rx| accounts::get(rx, account_id(1))).unwrap(), Some(account(1)));
    let new = "x:renamed".parse().unwrap();
    store.write_blocking(move |tx| accounts::rename(tx, account_id(1), &new)).unwrap();
    let taken = account(2).name;
    conflict(store.write_blocking(move |tx| accounts::rename(tx, account_id(1), &taken)), "exists already");
    let moved = "bluesky:acme".parse().unwrap();
    conflict(store.write_blocking(move |tx| accounts::rename(tx, account_id(1), &moved)), "cannot become");
    let twin = sendoff::domain::account::Account { remote_id: "remote-2".to_owned(), ..account(3) };
    conflict(store.write_blocking(move |tx| accounts::put(tx, &twin)), "connected already");
    assert_eq!(store.read(|rx| accounts::by_name(rx, &account(1).name)).unwrap(), None);
    let names: Vec<_> =
        store.read(accounts::list).unwrap().into_iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["x:acme2", "x:renamed"]);
    assert!(store.write_blocking(|tx| accounts::remove(tx, account_id(1))).unwrap());
    check(&store);
}

#[test]
fn tokens_are_replaced_only_by_who_saw_the_last_ones() {
    let store = memory();
    let id = account_id(1);
    let put = |replaces: Option<u64>, sealed: &'static [u8]| {
        store.write_blocking(move |tx| vault::put_grant(tx, id, replaces, sealed, Some(now()), None))
    };
    assert_eq!(put(None, b"one").unwrap(), 1);
    let intent = RefreshIntent { account: id, version: 1, digest: [9; 32], started: now() };
    let begun = intent.clone();
    store.write_blocking(move |tx| vault::begin_refresh(tx, &begun)).unwrap();
    assert_eq!(store.read(vault::refreshes).unwrap(), std::slice::from_ref(&intent));
    assert_eq!(put(Some(1), b"\xfftwo").unwrap(), 2);
    assert!(store.read(vault::refreshes).unwrap().is_empty(), "new tokens end the refresh that brought them");
    conflict(put(Some(1), b"late"), "replaced meanwhile");
    conflict(store.write_blocking(move |tx| vault::begin_refresh(tx, &intent)), "replaced meanwhile");
    assert_eq!(store.read(|rx| vault::get_grant(rx, id)).unwrap().unwrap().sealed, b"\xfftwo");
    assert!(store.write_blocking(move |tx| vault::remove_grant(tx, id)).unwrap());
}

#[test]
fn an_erasure_is_found_again_where_it_stopped_and_takes_the_markers_along() {
    let store = memory();
    let id = account_id(1);
    let erasure = Erasure {
        account: id,
        step: "begun".to_owned(),
        receipt: ReceiptId::new(now(), [1; 10]),
        started: now(),
        name: "x:acme".to_owned(),
        subject: "ab".repeat(32),
        lines: Vec::new(),
    };
    let begun = erasure.clone();
    store
        .write_blocking(move |tx| {
            deliveries::bury(tx, id, "m", now())?;
            deliveries::bury(tx, account_id(2), "m", now())?;
            vault::begin_erasure(tx, &begun).map(drop)
        })
        .unwrap();
    let again = Erasure { receipt: ReceiptId::new(now(), [2; 10]), ..erasure.clone() };
    let found = store.write_blocking(move |tx| vault::begin_erasure(tx, &again)).unwrap();
    assert_eq!(found, erasure, "the one under way goes on");
    let line = |what: &str| ErasureLine {
        what: what.to_owned(),
        place: "api.example".to_owned(),
        result: "done".to_owned(),
        message: Some("so it was".to_owned()),
        hint: None,
    };
    for (step, what) in [("deliveries", "pending"), ("revoked", "token")] {
        let lines = [line(what)];
        store.write_blocking(move |tx| vault::advance_erasure(tx, id, step, &lines)).unwrap();
    }
    let stored = store.read(vault::erasures).unwrap().remove(0);
    assert_eq!((stored.step.as_str(), stored.lines), ("revoked", vec![line("pending"), line("token")]));
    assert_eq!((stored.name, stored.subject), (erasure.name, erasure.subject));
    assert!(store.write_blocking(move |tx| vault::finish_erasure(tx, id)).unwrap());
    assert!(store.read(vault::erasures).unwrap().is_empty());
    assert!(!store.read(|rx| deliveries::is_buried(rx, id, "m")).unwrap());
    assert!(store.read(|rx| deliveries::is_buried(rx, account_id(2), "m")).unwrap(), "another account's");
}

#[test]
fn an_account_that_leaves_is_stopped_at_once_and_takes_nothing_new() {
    let store = memory();
    let (mut leaving, id) = (account(1), account_id(1));
    leaving.state = sendoff::domain::account::AccountState::Ready;
    let name = leaving.name.clone();
    let row = leaving.clone();
    store
        .write_blocking(move |tx| {
            accounts::put(tx, &row)?;
            vault::put_grant(tx, id, None, b"one", None, None)
        })
        .unwrap();
    store.read(|rx| accounts::may_take_work(rx, id, &name)).unwrap();
    let erasure = Erasure {
        account: id,
        step: String::new(),
        receipt: ReceiptId::new(now(), [1; 10]),
        started: now(),
        name: name.to_string(),
        subject: String::new(),
        lines: Vec::new(),
    };
    store.write_blocking(move |tx| vault::begin_erasure(tx, &erasure)).unwrap();
    let stopped = store.read(|rx| accounts::need(rx, id)).unwrap();
    assert_eq!(stopped.state, sendoff::domain::account::AccountState::Paused);
    let is_leaving = |it: Result<(), StoreError>| {
        let error = it.unwrap_err();
        assert!(matches!(&error, StoreError::Leaving { account } if *account == name.to_string()), "{error}");
    };
    is_leaving(store.read(|rx| accounts::may_take_work(rx, id, &name)));
    let intent = RefreshIntent { account: id, version: 1, digest: [9; 32], started: now() };
    is_leaving(store.write_blocking(move |tx| vault::begin_refresh(tx, &intent)));
    is_leaving(
        store.write_blocking(move |tx| vault::put_grant(tx, id, None, b"again", None, None).map(drop)),
    );
    // A refresh that was on the wire ends, so that what it brought is revoked.
    store.write_blocking(move |tx| vault::put_grant(tx, id, Some(1), b"two", None, None)).unwrap();
    store
        .write_blocking(move |tx| {
            vault::remove_grant(tx, id)?;
            accounts::remove(tx, id)?;
            vault::finish_erasure(tx, id)
        })
        .unwrap();
    let gone = store.read(|rx| accounts::may_take_work(rx, id, &name)).unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    conflict(
        store.write_blocking(move |tx| vault::put_grant(tx, id, Some(2), b"late", None, None)),
        "replaced meanwhile",
    );
}

#[test]
fn the_trail_is_read_backwards_in_pages_and_pruned_from_its_end() {
    let store = memory();
    for n in 0..7_i64 {
        let row = audit::AuditRow {
            at: minutes(n / 3),
            actor: "uid:1000".to_owned(),
            action: format!("n{n}"),
            subject: None,
            outcome: "ok".to_owned(),
        };
        store.write_blocking(move |tx| audit::append(tx, &row)).unwrap();
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let (rows, next) = store.read(|rx| audit::list(rx, 2, before)).unwrap();
        seen.extend(rows.into_iter().map(|it| it.action));
        if next.is_none() {
            break;
        }
        before = next;
    }
    assert_eq!(seen, ["n6", "n5", "n4", "n3", "n2", "n1", "n0"]);
    assert_eq!(store.write_blocking(|tx| audit::prune(tx, minutes(2), 4)).unwrap(), 4);
    assert_eq!(store.write_blocking(|tx| audit::prune(tx, minutes(2), 4)).unwrap(), 2);
    assert_eq!(store.read(|rx| audit::list(rx, 9, None)).unwrap().0.len(), 1);
}

#[test]
fn the_high_water_mark_of_time_never_falls() {
    let store = memory();
    store.write_blocking(|tx| meta::raise_high_water(tx, minutes(5))).unwrap();
    store.write_blocking(|tx| meta::raise_high_water(tx, minutes(3))).unwrap();
    assert_eq!(store.read(meta::high_water).unwrap(), Some(minutes(5)));
    store.write_blocking(|tx| queues::set_paused(tx, "q", Some(minutes(1)))).unwrap();
    store.write_blocking(|tx| queues::set_paused(tx, "q", Some(minutes(2)))).unwrap();
    assert_eq!(store.read(|rx| queues::paused_since(rx, "q")).unwrap(), Some(minutes(1)));
    store.write_blocking(|tx| queues::set_paused(tx, "q", None)).unwrap();
    assert_eq!(store.read(|rx| queues::paused_since(rx, "q")).unwrap(), None);
}

#[test]
fn a_request_for_deletion_is_found_by_its_subject_and_stays_open_until_it_is_finished() {
    let store = memory();
    let request = |n: u8, finished: bool| Receipt {
        id: ReceiptId::new(minutes(i64::from(n)), [n; 10]),
        kind: "data_deletion".to_owned(),
        subject: "ab".repeat(32),
        code: format!("c0de{n}"),
        requested_at: minutes(i64::from(n)),
        finished_at: finished.then(|| minutes(60)),
        outcome: Vec::new(),
        told: Vec::new(),
        parts: vec![ReceiptId::new(now(), [9; 10])],
    };
    let put = |it: Receipt| store.write_blocking(move |tx| requests::put(tx, &it)).unwrap();
    let open = || store.read(requests::open).unwrap();
    let latest = || store.read(|rx| requests::latest(rx, &"ab".repeat(32))).unwrap();
    assert_eq!(latest(), None);
    put(request(1, false));
    put(request(2, false));
    assert_eq!(open(), [request(1, false).id, request(2, false).id], "oldest first");
    assert_eq!(latest(), Some(request(2, false)), "its parts are kept");
    check(&store);
    put(request(2, true));
    assert_eq!(open(), [request(1, false).id]);
    assert_eq!(latest(), Some(request(2, true)));
    let by_code = store.read(|rx| audit::receipt_by_code(rx, "c0de1")).unwrap();
    assert_eq!(by_code, Some(request(1, false)));
    // A code leads to one request for ever.
    let thief = Receipt { code: "c0de1".to_owned(), ..request(3, false) };
    assert!(store.write_blocking(move |tx| requests::put(tx, &thief)).is_err());
    check(&store);
}
