//! What ends a doubt, and how long what a network said is believed.

use super::*;
use crate::domain::moment::Boot;

/// What is proven by two looks, the first after `settle`.
const LOOKS: Proof = Proof::Looks { settle: SignedDuration::from_secs(5), gap: SignedDuration::from_secs(1) };

fn refused(why_wait: RetryWhy) -> Said {
    Said::Refused { at: at(900), why: why_wait, reason: why() }
}

fn lose(said: Option<Said>) -> Event {
    Event::Lose { next_check: at(12), reason: why(), said }
}

#[test]
fn what_was_refused_goes_out_again_as_the_network_said_and_stays_open_until_it_was_looked_for() {
    let absent = |then| Event::Absent { proof: LOOKS, anew: false, then };
    let cancelled = || AfterAbsence::Cancelled { reason: why() };
    for open in [Open::Last, Open::Earlier] {
        let sending = in_state(State::Sending, open);
        for word in [RetryWhy::Parked, RetryWhy::Backoff] {
            let spent = u16::from(word == RetryWhy::Parked);
            let doubt = sending.apply(lose(Some(refused(word))), at(2)).unwrap();
            assert_eq!((doubt.state, doubt.wakes_at()), (State::Unknown, Some(at(12))));
            doubt.may_move().unwrap_err();
            // The same call once more.
            let again = doubt.apply(Event::SendAgain { at: at(20) }, at(13)).unwrap();
            assert_eq!(
                (again.state, again.retry_why, again.wakes_at()),
                (State::Retry, Some(word), Some(at(20)))
            );
            assert_eq!((&again.reason, &again.flight.said), (&Some(why()), &None));
            assert_eq!(again.attempts, sending.attempts - spent);
            assert!(again.flight.amb_since.is_some());
            again.may_move().unwrap_err();
            assert!(again.apply(Event::Cancel { reason: why() }, at(14)).unwrap().cancel_requested);
            again.apply(Event::Miss { reason: why() }, at(14)).unwrap_err();
            // No refusal is proof that nothing is live; looking is.
            doubt.apply(absent(cancelled()), at(13)).unwrap_err();
            let mut looked = doubt.clone();
            looked.flight.absent_at = Some(at(8).into());
            looked.apply(absent(cancelled()), at(13)).unwrap();
            let then = AfterAbsence::Deferred { at: at(900), why: word, reason: why() };
            let waits = looked.apply(absent(then), at(13)).unwrap();
            assert_eq!((waits.retry_why, waits.wakes_at()), (Some(word), Some(at(900))));
            assert_eq!((waits.attempts, &waits.flight.said), (sending.attempts - spent, &None));
            waits.may_move().unwrap();
        }
    }
}

#[test]
fn a_refusal_or_a_block_is_no_word_on_the_call_that_follows_it() {
    let again = [
        Event::SendAgain { at: at(20) },
        Event::Claim,
        Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO },
        lose(None),
    ];
    for said in [refused(RetryWhy::Parked), Said::Barred { until: at(900), reason: why() }] {
        let first = in_state(State::Sending, Open::Last).apply(lose(Some(said)), at(2)).unwrap();
        let lost = again.iter().fold(first, |it, event| it.apply(event.clone(), at(20)).unwrap());
        assert_eq!((lost.state, lost.flight.earlier_open, &lost.flight.said), (State::Unknown, true, &None));
    }
}

#[test]
fn what_is_tried_again_after_a_doubt_is_not_tried_before_its_time() {
    let mut doubt =
        in_state(State::Sending, Open::Last).apply(lose(Some(refused(RetryWhy::Backoff))), at(2)).unwrap();
    doubt.flight.absent_at = Some(at(8).into());
    // The clock was ahead, and was set back since.
    doubt.due.instant = at(5000);
    let after = [
        (LOOKS, AfterAbsence::Deferred { at: at(900), why: RetryWhy::Backoff, reason: why() }),
        (LOOKS, AfterAbsence::Retry { at: at(900), give_up_at: None }),
        (Proof::User, AfterAbsence::Retry { at: at(900), give_up_at: Some(at(9000)) }),
    ];
    for (proof, then) in after {
        let waits = doubt.apply(Event::Absent { proof, anew: false, then }, at(13)).unwrap();
        assert_eq!(waits.wakes_at(), Some(at(5000)), "{proof:?}");
    }
    doubt.step = 1;
    let then = AfterAbsence::Retry { at: at(900), give_up_at: None };
    let next = doubt.apply(Event::Absent { proof: LOOKS, anew: false, then }, at(13)).unwrap();
    assert_eq!(next.wakes_at(), Some(at(900)), "what follows a part that is live is not early");
}

#[test]
fn a_wait_that_a_network_named_lasts_as_long_as_it_said_whatever_is_done_to_the_clock() {
    let boot = |id, secs: i64| Some(Boot { id, uptime_ms: secs * 1000 });
    let by = |wall, boot| Moment { wall: at(wall), boot };
    let year = 365 * 86_400;
    let said = Some(Said::Barred { until: at(year + 100), reason: why() });
    let lose = Event::Lose { next_check: at(year), reason: why(), said };
    let lost = in_state(State::Sending, Open::Last).apply(lose, by(year, boot(1, 50))).unwrap();
    let until = |now: Moment| lost.barred(now).map(|(until, _)| until);
    assert_eq!(until(by(year + 30, boot(1, 80))), Some(at(year + 100)));
    // Set back by a year, and forward.
    assert_eq!(until(by(30, boot(1, 80))), Some(at(100)));
    assert_eq!(until(by(100, boot(1, 150))), None);
    assert_eq!(until(by(2 * year, boot(1, 80))), Some(at(2 * year + 70)));
    // Over a restart of the machine the wall clock tells; one that runs behind itself tells nothing.
    assert_eq!(until(by(year + 60, boot(2, 5))), Some(at(year + 100)));
    assert_eq!(until(by(60, boot(2, 5))), None);
}
