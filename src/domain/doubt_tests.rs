//! What ends a doubt, and how long what a network said is believed.

use super::*;
use crate::domain::moment::Boot;

#[test]
fn a_refusal_whose_handle_was_asked_is_believed_and_no_other_doubt_ends_so() {
    let refused = |word| Some(Said::Refused { at: at(900), why: word, reason: why() });
    let lose = |said| Event::Lose { next_check: at(12), reason: why(), said };
    let asked = |then| Event::Absent { proof: Proof::Asked, anew: false, then };
    let cancelled = || AfterAbsence::Cancelled { reason: why() };
    let sending = in_state(State::Sending, Open::Last);
    for (word, attempts) in [(RetryWhy::Parked, 0), (RetryWhy::Backoff, 1)] {
        let doubt = sending.apply(lose(refused(word)), at(2)).unwrap();
        assert_eq!((doubt.state, doubt.wakes_at()), (State::Unknown, Some(at(12))));
        doubt.may_move().unwrap_err();
        let then = AfterAbsence::Deferred { at: at(900), why: word, reason: why() };
        let waits = doubt.apply(asked(then), at(13)).unwrap();
        assert_eq!(
            (waits.state, waits.retry_why, waits.wakes_at()),
            (State::Retry, Some(word), Some(at(900)))
        );
        assert_eq!(
            (waits.attempts, waits.reason.clone(), waits.flight.said.clone()),
            (attempts, Some(why()), None)
        );
        waits.may_move().unwrap();
        // Heard once that it is published, no refusal is believed any more.
        let look = Event::Look { kind: Looked::Live, next_check: at(14), absent_at: None, reason: None };
        doubt.apply(look, at(13)).unwrap().apply(asked(cancelled()), at(14)).unwrap_err();
        // Nor by a store that may have forgotten a later call.
        doubt.apply(restore(Recall::Now), at(13)).unwrap().apply(asked(cancelled()), at(14)).unwrap_err();
    }
    for said in [None, Some(Said::Accepted), Some(Said::Never(why()))] {
        sending.apply(lose(said), at(2)).unwrap().apply(asked(cancelled()), at(13)).unwrap_err();
    }
    let twice = in_state(State::Sending, Open::Earlier);
    assert_eq!(
        twice.apply(lose(refused(RetryWhy::Parked)), at(2)).unwrap_err().why,
        "an earlier attempt is still open"
    );
}

#[test]
fn a_refusal_is_no_word_on_the_call_that_follows_it() {
    let said = Some(Said::Refused { at: at(900), why: RetryWhy::Parked, reason: why() });
    let lose = |said| Event::Lose { next_check: at(12), reason: why(), said };
    let asked = || Event::Absent {
        proof: Proof::Asked,
        anew: false,
        then: AfterAbsence::Cancelled { reason: why() },
    };
    let refused = in_state(State::Sending, Open::Last).apply(lose(said), at(2)).unwrap();
    let again = [
        restore(Recall::Now),
        Event::SendAgain { at: at(20) },
        Event::Claim,
        Event::Intend { frozen: frozen("a"), ahead: SignedDuration::ZERO },
        lose(None),
    ];
    let lost = again.into_iter().fold(refused.clone(), |it, event| it.apply(event, at(20)).unwrap());
    assert_eq!((lost.state, lost.flight.earlier_open, &lost.flight.said), (State::Unknown, true, &None));
    lost.apply(asked(), at(30)).unwrap_err();
    // Whatever the row says.
    let mut both = refused;
    both.flight.earlier_open = true;
    both.apply(asked(), at(30)).unwrap_err();
}

#[test]
fn what_is_tried_again_after_a_doubt_is_not_tried_before_its_time() {
    let said = Some(Said::Refused { at: at(900), why: RetryWhy::Backoff, reason: why() });
    let lose = Event::Lose { next_check: at(12), reason: why(), said };
    let mut doubt = in_state(State::Sending, Open::Last).apply(lose, at(2)).unwrap();
    // The clock was ahead, and was set back since.
    doubt.due.instant = at(5000);
    let after = [
        (Proof::Asked, AfterAbsence::Deferred { at: at(900), why: RetryWhy::Backoff, reason: why() }),
        (Proof::Asked, AfterAbsence::Retry { at: at(900), give_up_at: None }),
        (Proof::User, AfterAbsence::Retry { at: at(900), give_up_at: Some(at(9000)) }),
    ];
    for (proof, then) in after {
        let waits = doubt.apply(Event::Absent { proof, anew: false, then }, at(13)).unwrap();
        assert_eq!(waits.wakes_at(), Some(at(5000)), "{proof:?}");
    }
    doubt.step = 1;
    let then = AfterAbsence::Retry { at: at(900), give_up_at: None };
    let next = doubt.apply(Event::Absent { proof: Proof::Asked, anew: false, then }, at(13)).unwrap();
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
