//! The state machine under test: the whole table, its guards, and what no sequence may break.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::PlatformName;
use crate::domain::schedule::Choice;

#[path = "doubt_tests.rs"]
mod doubts;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn due(instant: Timestamp) -> Due {
    let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    Due { instant, civil, zone: "UTC".into(), choice: Choice::Instant }
}

/// A delivery of `steps` steps, due at second 0.
fn delivery(steps: usize) -> Delivery {
    Delivery::new(
        DeliveryId::from_u128(1),
        PostId::from_u128(2),
        AccountId::from_u128(3),
        AccountName::new(PlatformName::X, "acme").unwrap(),
        due(at(0)),
        Late::Always,
        (0..steps).map(|n| Step::new(if n == 0 { StepKind::Post } else { StepKind::Thread })).collect(),
        at(-60),
    )
}

fn frozen(body: &str) -> Frozen {
    Frozen { marker: body.to_owned(), body: body.as_bytes().to_vec() }
}

fn live(id: &str) -> Live {
    Live { remote_id: Some(id.to_owned()), permalink: None, extra: BTreeMap::new(), verified: false }
}

fn why() -> Reason {
    Reason::new("test", "test")
}

fn defer(why: RetryWhy, at: Timestamp) -> Event {
    Event::Defer { at, why, reason: Reason::new("test", "test"), again: false }
}

/// Which attempts may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// None.
    No,
    /// The last one.
    Last,
    /// An earlier one as well.
    Earlier,
}

fn restore(when: Recall) -> Event {
    let copy = Restored { known: at(-5), at: at(1).into() };
    Event::Restore { next_check: at(10), reason: why(), copy, since: at(1).into(), when }
}

/// A delivery that was put into a state with the facts that belong to it.
fn in_state(state: State, open: Open) -> Delivery {
    let mut it = delivery(1);
    it.state = state;
    if open != Open::No {
        it.flight.frozen = Some(frozen("a"));
        it.flight.first_sent = Some(at(0).into());
        it.flight.amb_since = Some(at(0));
        it.attempts = 1;
    }
    it.flight.earlier_open = open == Open::Earlier;
    it
}

/// One event of each kind; `Absent` in all its forms.
fn events() -> Vec<(String, Event)> {
    let absent = |word: &str, then| {
        (format!("absent.{word}"), Event::Absent { proof: Proof::User, anew: false, then })
    };
    let mut all: Vec<_> = [
        Event::Claim,
        Event::Prepare { handles: Handles::new() },
        Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO },
        Event::Applied { live: live("1"), next_part_at: at(5) },
        Event::HandOver { live: live("1") },
        defer(RetryWhy::Backoff, at(5)),
        Event::Refuse { reason: why() },
        Event::Spare { reason: why() },
        Event::AccountDead { reason: why() },
        Event::TryNow { at: at(1), anyway: false },
        Event::Lose { next_check: at(10), reason: why(), said: None },
        Event::Surface { frozen: frozen("a"), since: at(0), next_check: at(10), reason: why() },
        Event::Look { kind: Looked::Absent, next_check: at(60), absent_at: None, reason: None },
        Event::Hold { reason: why() },
        Event::SendAgain { at: at(1) },
        Event::Cancel { reason: why() },
        Event::Miss { reason: why() },
        Event::Abandon { reason: why() },
        Event::Reschedule { due: due(at(99)), give_up_at: at(999) },
        restore(Recall::InTime),
    ]
    .into_iter()
    .map(|it| (it.name().to_owned(), it))
    .collect();
    all.push(absent("retry", AfterAbsence::Retry { at: at(1), give_up_at: None }));
    let later = AfterAbsence::Parked { at: at(9), give_up_at: at(999), reason: why() };
    all.push(absent("parked", later));
    all.push(absent("account_dead", AfterAbsence::AccountDead { reason: why() }));
    all.push(absent("cancelled", AfterAbsence::Cancelled { reason: why() }));
    all.push(absent("rejected", AfterAbsence::Rejected { reason: why() }));
    all.push(absent("missed", AfterAbsence::Missed { reason: why() }));
    all
}

#[test]
fn the_whole_table_of_states_and_events() {
    use std::fmt::Write as _;
    let mut table = String::new();
    for open in [Open::No, Open::Last, Open::Earlier] {
        writeln!(table, "== attempts that may have had an effect: {open:?}").unwrap();
        for state in State::ALL {
            let from = in_state(state, open);
            let mut moves = Vec::new();
            for (name, event) in events() {
                match from.apply(event, at(1)) {
                    Ok(to) => {
                        let mut cell = format!("{name} -> {}", to.state.as_str());
                        if to.state == state && to == from {
                            cell += " (unchanged)";
                        }
                        if to.cancel_requested {
                            cell += " (cancel noted)";
                        }
                        if to.held {
                            cell += " (held)";
                        }
                        moves.push(cell);
                    }
                    Err(it) if it.why == "the machine has no such move" => {}
                    Err(it) if it.why == "a terminal state never changes" => {
                        assert!(state.is_terminal());
                    }
                    Err(it) => moves.push(format!("{name} -- {}", it.why)),
                }
            }
            writeln!(table, "{}", state.as_str()).unwrap();
            for cell in &moves {
                writeln!(table, "    {cell}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_copy_brought_back_believes_no_closed_marker_and_leaves_what_is_ahead_at_its_time() {
    let handles: Handles = [("video".into(), Handle { value: "V1".into(), expires: None })].into();
    let refused = in_state(State::Retry, Open::No);
    let flight =
        Flight { handles, frozen: Some(frozen("a")), first_sent: Some(at(0).into()), ..refused.flight };
    let refused = Delivery { flight, ..in_state(State::Retry, Open::No) };
    let to = refused.apply(restore(Recall::InTime), at(1)).unwrap();
    assert_eq!((to.state, to.may_be_forgotten(), to.words_since()), (State::Unknown, true, at(-5)));
    assert!(to.flight.frozen.is_none() && to.flight.first_sent.is_none() && to.flight.handles.is_empty());
    // The request of an open attempt may be the one that is live.
    let open = in_state(State::Sending, Open::Last);
    let to = open.apply(restore(Recall::InTime), at(1)).unwrap();
    assert_eq!((to.state, &to.flight.frozen), (State::Unknown, &open.flight.frozen));

    let ahead = Delivery { due: due(at(100)), ..in_state(State::Scheduled, Open::No) };
    let to = ahead.apply(restore(Recall::InTime), at(1)).unwrap();
    assert_eq!((to.state, to.may_be_forgotten(), to.words_since()), (State::Scheduled, true, at(-5)));
    let back = to.apply(restore(Recall::TakenBack), at(2)).unwrap();
    assert_eq!((back.state, back.cancel_requested), (State::Unknown, true));
}

#[test]
fn nothing_is_claimed_before_its_instant() {
    let scheduled = delivery(1);
    assert_eq!(scheduled.apply(Event::Claim, at(-1)).unwrap_err().why, "it is before its instant");
    assert_eq!(scheduled.apply(Event::Claim, at(0)).unwrap().state, State::Claimed);
    let mut waiting = in_state(State::Retry, Open::No);
    waiting.next_try = Some(at(30));
    assert_eq!(waiting.apply(Event::Claim, at(29)).unwrap_err().why, "it is before the time of its next try");
    assert_eq!(waiting.apply(Event::Claim, at(30)).unwrap().claim_gen, 1);
}

/// Claimed while the wall clock was ahead, and put off after it was set right.
#[test]
fn whatever_defers_it_a_delivery_waits_for_its_instant_unless_it_was_begun() {
    let mut claimed = in_state(State::Claimed, Open::No);
    claimed.due = due(at(3600));
    for why in RetryWhy::ALL {
        let deferred = claimed.apply(defer(why, at(10)), at(5)).unwrap();
        assert_eq!(deferred.next_try, Some(at(3600)), "{why:?}");
        let later = claimed.apply(defer(why, at(7200)), at(5)).unwrap();
        assert_eq!(later.next_try, Some(at(7200)), "{why:?}");
    }
    let mut begun = in_state(State::Claimed, Open::Last);
    begun.due = due(at(3600));
    let again = begun.apply(defer(RetryWhy::Backoff, at(10)), at(5)).unwrap();
    assert_eq!(again.next_try, Some(at(10)));
}

#[test]
fn a_refusal_of_the_last_attempt_proves_nothing_about_an_earlier_one() {
    let sending = in_state(State::Sending, Open::Earlier);
    for event in [
        defer(RetryWhy::Backoff, at(5)),
        Event::Refuse { reason: why() },
        Event::AccountDead { reason: why() },
    ] {
        assert_eq!(sending.apply(event, at(1)).unwrap_err().why, "an earlier attempt is still open");
    }
}

#[test]
fn a_parked_try_uses_up_no_attempt_and_a_backoff_does() {
    let sending = delivery(1)
        .apply(Event::Claim, at(0))
        .unwrap()
        .apply(Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO }, at(0));
    let sending = sending.unwrap();
    assert_eq!(sending.attempts, 1);
    let parked = sending.apply(defer(RetryWhy::Parked, at(9)), at(1)).unwrap();
    assert_eq!((parked.attempts, parked.flight.amb_since), (0, None));
    let backed_off = sending.apply(defer(RetryWhy::Backoff, at(9)), at(1)).unwrap();
    assert_eq!(backed_off.attempts, 1);
}

#[test]
fn a_cancel_during_a_call_that_had_no_effect_ends_it() {
    let sending = in_state(State::Sending, Open::Last);
    let noted = sending.apply(Event::Cancel { reason: why() }, at(1)).unwrap();
    assert!(noted.cancel_requested && noted.state == State::Sending);
    for event in [defer(RetryWhy::Parked, at(99_999)), Event::AccountDead { reason: why() }] {
        let ended = noted.apply(event, at(2)).unwrap();
        assert_eq!(ended.state, State::Cancelled, "nobody should wait hours for what is known now");
    }
    assert_eq!(noted.apply(Event::Refuse { reason: why() }, at(2)).unwrap().state, State::Rejected);
}

#[test]
fn the_time_to_settle_counts_from_the_last_attempt() {
    let mut lost = in_state(State::Sending, Open::Last)
        .apply(Event::Lose { next_check: at(11), reason: why(), said: None }, at(10))
        .unwrap();
    assert_eq!(lost.flight.unknown_since, Some(at(10).into()));
    for event in [
        Event::SendAgain { at: at(2000) },
        Event::Claim,
        Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO },
    ] {
        lost = lost.apply(event, at(2000)).unwrap();
    }
    let again =
        lost.apply(Event::Lose { next_check: at(2011), reason: why(), said: None }, at(2010)).unwrap();
    assert_eq!(again.flight.unknown_since, Some(at(2010).into()), "the second call may still take effect");
    assert_eq!(again.flight.amb_since, Some(at(0)));
}

#[test]
fn what_surfaced_is_in_doubt_since_its_first_call_or_since_it_was_prepared() {
    let surface = |what: &str| Event::Surface {
        frozen: frozen(what),
        since: at(-30),
        next_check: at(50),
        reason: why(),
    };
    let mut refused = in_state(State::Preparing, Open::No);
    (refused.flight.frozen, refused.flight.first_sent) = (Some(frozen("a")), Some(at(3).into()));
    for (what, since) in [("a", at(3)), ("b", at(-30))] {
        let to = refused.apply(surface(what), at(40)).unwrap();
        assert_eq!((to.state, to.flight.first_sent), (State::Unknown, Some(since.into())), "{what}");
        assert_eq!((to.flight.amb_since, to.flight.unknown_since), (Some(at(40)), Some(at(40).into())));
        assert_eq!((to.flight.said.clone(), to.attempts), (Some(Said::Live), refused.attempts));
        let taken_back = to.apply(Event::Cancel { reason: why() }, at(41)).unwrap();
        assert_eq!(taken_back.state, State::Unknown, "it may be live");
    }
    in_state(State::Claimed, Open::Last).apply(surface("b"), at(40)).unwrap_err();
}

#[test]
fn only_what_may_be_live_is_abandoned_and_its_open_attempt_stays_on_record() {
    for state in [State::Sending, State::Unknown, State::Retry, State::Claimed] {
        let ended = in_state(state, Open::Last).apply(Event::Abandon { reason: why() }, at(1)).unwrap();
        assert_eq!((ended.state, ended.flight.amb_since), (State::Rejected, Some(at(0))));
        assert_eq!((ended.held, ended.wakes_at()), (false, None));
    }
    for state in [State::Scheduled, State::Claimed, State::Retry] {
        in_state(state, Open::No).apply(Event::Abandon { reason: why() }, at(1)).unwrap_err();
    }
}

#[test]
fn looking_again_takes_a_delivery_out_of_the_users_hands() {
    let held = in_state(State::Unknown, Open::Last).apply(Event::Hold { reason: why() }, at(1)).unwrap();
    assert_eq!(held.wakes_at(), None);
    let look = Event::Look { kind: Looked::Asked, next_check: at(2), absent_at: None, reason: None };
    let asked = held.apply(look, at(2)).unwrap();
    assert_eq!(asked.wakes_at(), Some(at(2)), "a look the user asks for must happen");
}

#[test]
fn what_was_held_back_gets_another_time_and_begins_anew_there() {
    let moved = || Event::Reschedule { due: due(at(500)), give_up_at: at(900) };
    for state in [State::Claimed, State::Preparing, State::Retry, State::NeedsReconnect] {
        let mut it = in_state(state, Open::No);
        it.next_try = Some(at(7));
        (it.attempts, it.sent_at, it.reason) = (3, Some(at(2)), Some(why()));
        it.flight.frozen = Some(frozen("with the old date"));
        it.flight.stumbles = 2;
        let handle = Handle { value: "1".into(), expires: None };
        it.flight.handles.insert("upload".into(), handle);
        let after = it.apply(moved(), at(3)).unwrap();
        assert_eq!((after.state, after.wakes_at()), (State::Scheduled, Some(at(500))));
        assert_eq!((&after.flight, after.attempts, after.sent_at), (&Flight::default(), 0, None));
        assert_eq!((after.reason.as_ref(), after.retry_why, after.give_up_at), (None, None, at(900)));
        after.apply(Event::Claim, at(499)).unwrap_err();
        // Taken back during a call that had no effect, or with a part that is live: not moved.
        let taken = Delivery { cancel_requested: true, ..it.clone() };
        taken.apply(moved(), at(3)).unwrap_err();
        in_state(state, Open::Last).apply(moved(), at(3)).unwrap_err();
        let mut thread = delivery(2);
        thread.steps[0].published_at = Some(at(0));
        (thread.state, thread.step) = (state, 1);
        thread.apply(moved(), at(3)).unwrap_err();
    }
}

#[test]
fn a_thread_goes_on_after_each_part_and_ends_with_the_last() {
    let mut it = delivery(3);
    for part in 0..3_u16 {
        let now = at(i64::from(part) * 10);
        it = it.apply(Event::Claim, now).unwrap();
        it = it
            .apply(Event::Intend { frozen: frozen(&part.to_string()), ahead: SignedDuration::ZERO }, now)
            .unwrap();
        assert_eq!((it.step, it.attempts, it.live_prefix()), (part, 1, usize::from(part)));
        it = it.apply(Event::Applied { live: live(&part.to_string()), next_part_at: now }, now).unwrap();
    }
    assert_eq!(it.state, State::Published);
    assert_eq!(it.published_at, Some(at(20)));
}

fn any_open() -> impl Strategy<Value = usize> {
    0..22_usize
}

#[test]
fn what_is_learnt_after_the_end_changes_no_end() {
    let applied = Event::Applied { live: live("1"), next_part_at: at(9) };
    let claimed = delivery(1).apply(Event::Claim, at(9)).unwrap();
    let sending =
        claimed.apply(Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO }, at(9)).unwrap();
    let reason = || Reason::new(NOTHING, "the network could not publish it");
    let mut open = sending.clone();
    assert!(!open.note_nothing(reason()) && open == sending, "it has not ended");
    let mut done = sending.apply(applied, at(9)).unwrap();
    done.read_back(0, true, Some("https://example.org/1".into()));
    assert!(done.verified && done.steps[0].permalink.is_some() && !done.came_to_nothing());
    assert!(!done.note_nothing(why()), "for another reason nothing is noted");
    assert!(done.note_nothing(reason()) && done.came_to_nothing());
    assert_eq!((done.state, done.verified, done.steps[0].is_live()), (State::Published, false, true));
}

#[test]
fn a_comment_that_is_not_to_be_had_leaves_its_post_published() {
    let mut it = delivery(2);
    it.steps[1].kind = StepKind::Comment;
    let sending = |it: &Delivery| {
        let claimed = it.apply(Event::Claim, at(9)).unwrap();
        claimed.apply(Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO }, at(9)).unwrap()
    };
    let spare = || Event::Spare { reason: why() };
    assert!(sending(&it).apply(spare(), at(9)).is_err(), "the post itself is never spared");
    let applied = Event::Applied { live: live("1"), next_part_at: at(9) };
    let live = sending(&it).apply(applied, at(9)).unwrap();
    let done = sending(&live).apply(spare(), at(10)).unwrap();
    assert_eq!((done.state, done.published_at), (State::Published, Some(at(10))));
    assert!(done.steps[0].is_live() && !done.steps[1].is_live());
    assert!(done.tell().contains("without its comment"), "{}", done.tell());
    // Nor is it begun where the post came to nothing while it waited for its turn; and that is told.
    let reason = Reason::new(NOTHING, "the network could not publish it");
    let gone = live.apply(Event::Spare { reason }, at(9)).unwrap();
    assert!(gone.state == State::Published && gone.came_to_nothing() && !gone.steps[1].is_live());
    assert!(gone.tell().contains("not published after all"), "{}", gone.tell());
    assert_eq!(gone.state.level("spare", NOTHING), "error");
    // A part of a thread is no comment.
    let mut thread = sending(&live);
    thread.steps[1].kind = StepKind::Thread;
    assert!(thread.apply(spare(), at(10)).is_err());
    // While an earlier attempt is open, nobody knows.
    let mut open = sending(&live);
    open.flight.earlier_open = true;
    assert!(open.apply(spare(), at(10)).is_err());
}

#[test]
fn a_first_comment_neither_takes_from_what_was_read_back_nor_adds_to_it() {
    let mut it = delivery(2);
    it.steps[1].kind = StepKind::Comment;
    let sent = |it: &Delivery| {
        let claimed = it.apply(Event::Claim, at(9)).unwrap();
        let intend = Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO };
        let applied = Event::Applied { live: live("1"), next_part_at: at(9) };
        claimed.apply(intend, at(9)).unwrap().apply(applied, at(9)).unwrap()
    };
    let mut post = sent(&it);
    let unread = sent(&post);
    assert!(!post.verified && !unread.verified);
    post.read_back(0, true, None);
    assert!(post.verified, "before its comment is written");
    let done = sent(&post);
    assert_eq!((done.state, done.verified), (State::Published, true));
    // In the other order as well; and what shows the comment says nothing of the post.
    for (step, verified) in [(0, true), (1, false)] {
        let mut late = unread.clone();
        late.read_back(step, true, None);
        assert_eq!(late.verified, verified, "{step}");
    }
    // Of a thread its last part tells.
    let mut thread = sent(&sent(&delivery(2)));
    thread.read_back(0, true, None);
    assert!(!thread.verified);
    thread.read_back(1, true, None);
    assert!(thread.verified);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is thrown at it, in whatever order: the promises hold at every move.
    #[test]
    fn no_sequence_of_events_breaks_a_promise(
        picks in prop::collection::vec((any_open(), 0..4_usize, 0..40_i64), 1..60),
        steps in 1..4_usize,
    ) {
        let mut it = delivery(steps);
        let mut now = at(0);
        let bodies = ["a", "b"];
        for (pick, flavour, passed) in picks {
            now += SignedDuration::from_secs(passed);
            let event = match events().swap_remove(pick).1 {
                Event::Intend { .. } => Event::Intend { frozen: frozen(bodies[flavour % 2]), ahead: SignedDuration::ZERO },
                Event::Defer { .. } => defer(RetryWhy::ALL[flavour], now),
                Event::SendAgain { .. } => Event::SendAgain { at: now },
                Event::Applied { .. } => Event::Applied { live: live("1"), next_part_at: now },
                other => other,
            };
            let absent = matches!(event, Event::Absent { .. });
            let parked = matches!(event, Event::Defer { why: RetryWhy::Parked, .. });
            let name = event.name();
            let before = it.clone();
            let Ok(after) = it.apply(event, now) else { continue };

            prop_assert!(!before.state.is_terminal(), "a terminal state changed by {name}");
            // An abandoned one keeps its open attempt in the record: nobody verified it.
            if matches!(after.state, State::Cancelled | State::Missed | State::Rejected) && name != "abandon" {
                prop_assert!(after.flight.amb_since.is_none(), "ended by {name} while an attempt was open");
            }
            if let (Some(old), Some(new)) = (&before.flight.frozen, &after.flight.frozen) {
                prop_assert!(
                    old == new || before.flight.amb_since.is_none(),
                    "{name} changed the frozen request"
                );
            }
            if before.flight.frozen.is_some() && after.flight.frozen.is_none() {
                let moved = name == "reschedule" && before.flight.amb_since.is_none();
                let copy = name == "restore" && before.flight.amb_since.is_none();
                prop_assert!(absent || moved || copy || after.steps[usize::from(before.step)].is_live(), "{name} forgot the frozen request");
            }
            if before.flight.amb_since.is_some() && after.flight.amb_since.is_none() {
                prop_assert!(
                    absent || after.steps[usize::from(before.step)].is_live()
                        || (before.state == State::Sending && !before.flight.earlier_open),
                    "{name} forgot an open attempt",
                );
            }
            if after.state == State::Sending {
                prop_assert!(after.flight.amb_since.is_some() && after.flight.frozen.is_some());
                prop_assert!(after.steps[..usize::from(after.step)].iter().all(Step::is_live));
            }
            let expected = match name {
                "intend" => before.attempts + 1,
                "applied" | "hand_over" => 0,
                "reschedule" if before.state != State::Scheduled => 0,
                // One that was taken back meanwhile ends here, with the attempts it had.
                "defer" if parked && before.state == State::Sending && after.state == State::Retry => {
                    before.attempts - 1
                }
                _ => before.attempts,
            };
            prop_assert_eq!(after.attempts, expected);
            prop_assert!(after.wakes_at().is_some() || after.held || after.in_flight()
                || after.state.is_terminal() || after.state == State::NeedsReconnect,
                "{} would be forgotten after {}", after.state.as_str(), name);
            it = after;
        }
    }
}
