//! From when on what was sent is looked for: too early, and the same words of days ago are taken for ours;
//! too late, and ours is not seen.

use jiff::{SignedDuration, Timestamp};

use crate::domain::delivery::Delivery;
use crate::domain::moment::{Moment, UNNOTICED};

/// The boot clock tells how long ago it was sent.
pub(super) fn reckoned_back(delivery: &Delivery, now: Moment) -> bool {
    delivery.flight.first_sent.is_some_and(|it| it.same_boot(now))
}

/// From when on the network may have it: when it was sent first, by our clock of now.
pub(super) fn search_from(delivery: &Delivery, now: Moment) -> Timestamp {
    let words = delivery.words_since();
    let Some(first) = delivery.flight.first_sent else { return words };
    // What our clock is ahead of the network's is taken off later: counted twice, the same words of
    // days ago would be taken for ours.
    let sent = now.wall.saturating_sub(first.span(now)).unwrap_or(first.wall);
    let sent = if first.same_boot(now) { sent } else { perhaps_ahead(delivery, sent, now.wall) };
    if delivery.may_be_forgotten() { sent.min(words) } else { sent }
}

/// The machine was started anew since, and nothing vouches for the clock of then: it may have been ahead
/// by as much as goes unnoticed, or by more, if what it showed is still to come.
fn perhaps_ahead(delivery: &Delivery, sent: Timestamp, now: Timestamp) -> Timestamp {
    let before = |span: SignedDuration| now.min(sent).saturating_sub(span).unwrap_or(sent);
    if sent <= now {
        before(UNNOTICED)
    } else if delivery.created_at <= now {
        delivery.created_at
    } else {
        before(SignedDuration::from_hours(24))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Event, Looked, Reason, Recall, Restored, State};
    use crate::engine::send::tests::{engine, frozen, put, work};
    use crate::engine::{Effect, Phase, Purpose, Reply};
    use crate::platforms::Answer;

    /// The second look left so long ago, of the 90 seconds for which two must be apart.
    fn after_a_look_of(took: i64) -> State {
        let secs = SignedDuration::from_secs;
        let sent = Timestamp::UNIX_EPOCH + secs(86_400);
        let (mut engine, mut lost) = (engine(), work(1, sent));
        let first = sent + engine.settings.settle + secs(30);
        let now = first + engine.settings.absence_gap + secs(1);
        let reason = || Reason::new("ambiguous", "no answer");
        let look = Event::Look {
            kind: Looked::Absent,
            next_check: first,
            absent_at: Some(first.into()),
            reason: None,
        };
        for (event, at) in [
            (Event::Claim, sent),
            (Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO }, sent),
            (Event::Lose { next_check: first, reason: reason(), said: None }, sent),
            (look, first),
        ] {
            lost.delivery = lost.delivery.apply(event, at).unwrap();
        }
        let id = put(&mut engine, lost, Phase::Calling(Purpose::Look));
        let run = engine.runs.get_mut(&id).unwrap();
        (run.searched, run.asked) = (Some((sent, SignedDuration::ZERO)), Some(now - secs(took)));
        let nothing =
            Answer { status: 200, headers: Vec::new(), body: br#"{"meta":{"result_count":0}}"#.to_vec() };
        let mut out = Vec::new();
        engine.looked(id, None, Reply::Answer(nothing), now, &mut out);
        let [Effect::Save(save)] = out.as_slice() else { panic!("one write") };
        save.after.state
    }

    /// After a restore two looks are one: for what was sent, which left so long ago, and for the words, which
    /// leaves when the first was answered.
    #[test]
    fn an_absence_of_two_looks_is_as_old_as_the_first() {
        let secs = SignedDuration::from_secs;
        for (took, state) in [(0, State::Retry), (60, State::Unknown)] {
            let sent = Timestamp::UNIX_EPOCH + secs(86_400);
            let (mut engine, mut lost) = (engine(), work(1, sent));
            let first = sent + engine.settings.settle + secs(30);
            let now = first + engine.settings.absence_gap + secs(1);
            let reason = || Reason::new("restored", "it may have gone out since");
            let copy = Restored { known: sent, at: sent.into() };
            let looked = Event::Look {
                kind: Looked::Absent,
                next_check: first,
                absent_at: Some(first.into()),
                reason: None,
            };
            let restore = Event::Restore {
                next_check: first,
                reason: reason(),
                copy,
                since: sent.into(),
                when: Recall::Now,
            };
            for (event, at) in [
                (Event::Claim, sent),
                (Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO }, sent),
                (Event::Lose { next_check: first, reason: reason(), said: None }, sent),
                (restore, sent),
                (looked, first),
            ] {
                lost.delivery = lost.delivery.apply(event, at).unwrap();
            }
            let id = put(&mut engine, lost, Phase::Loading);
            let mut calls = Vec::new();
            engine.look(id, now - secs(took), &mut calls);
            let nothing = || Answer {
                status: 200,
                headers: Vec::new(),
                body: br#"{"meta":{"result_count":0}}"#.to_vec(),
            };
            engine.looked(id, None, Reply::Answer(nothing()), now, &mut calls);
            assert!(matches!(calls.as_slice(), [Effect::Call { .. }, Effect::Call { .. }]), "two looks");
            let mut out = Vec::new();
            engine.looked(id, None, Reply::Answer(nothing()), now, &mut out);
            let [Effect::Save(save)] = out.as_slice() else { panic!("one write") };
            assert_eq!(save.after.state, state, "{took} s");
        }
    }

    /// The token ends between the two looks: what follows begins with the first of them, and its answer is
    /// read as that.
    #[test]
    fn a_look_with_a_fresh_token_begins_from_the_start() {
        let (mut engine, now) = (engine(), Timestamp::UNIX_EPOCH + SignedDuration::from_hours(30));
        let mut lost = work(1, now);
        let reason = Reason::new("ambiguous", "no answer");
        for event in [
            Event::Claim,
            Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO },
            Event::Lose { next_check: now, reason, said: None },
        ] {
            lost.delivery = lost.delivery.apply(event, now).unwrap();
        }
        let id = put(&mut engine, lost, Phase::Refreshing);
        let run = engine.runs.get_mut(&id).unwrap();
        (run.marker_gone, run.pages, run.asked) = (Some(true), 3, Some(now - SignedDuration::from_hours(1)));
        engine.look(id, now, &mut Vec::new());
        let run = &engine.runs[&id];
        assert_eq!((run.marker_gone, run.pages, run.asked), (None, 0, Some(now)));
    }

    #[test]
    fn two_looks_are_as_far_apart_as_their_calls_however_long_the_answer_took() {
        assert_eq!(after_a_look_of(0), State::Retry);
        assert_eq!(after_a_look_of(60), State::Unknown);
    }
}
