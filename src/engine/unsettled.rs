//! What a look did not settle: it is looked at again, sits out a block of its account, or is left to a
//! person (delivery guarantees §8).

use jiff::{SignedDuration, Timestamp};

use super::reconcile::EARLY;
use super::{Effect, Engine, Evidence, Then};
use crate::domain::delivery::{Event, Looked, Reason, Said};
use crate::domain::ids::DeliveryId;
use crate::platforms::FailureClass;

/// Looks before what they cannot settle is left to a person, however long it has been open.
const LOOKS_MIN: u16 = 3;
/// Between looks that settle nothing.
pub(super) const SLOW: SignedDuration = SignedDuration::from_mins(15);
const A_SECOND: SignedDuration = SignedDuration::from_secs(1);

impl Engine {
    /// The account must be connected again first, and that is what the person is told to do. Why the
    /// delivery is in doubt stays as it was said: it decides what may be done once somebody can look.
    pub(super) fn nobody_looks(
        &mut self,
        id: DeliveryId,
        dead: Reason,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let flight = &work.delivery.flight;
        let since = flight.unknown_since.unwrap_or(now.into());
        if since.waited(self.moment(now)) > self.settings.hold_after {
            let why = format!("nobody could look whether it is live: {}", dead.message);
            return self.hold(id, &why, None, now, out);
        }
        let (absent_at, next_check) = (flight.absent_at, self.in_scaled(now, SLOW));
        let reason = work.delivery.reason.clone().map(|it| Reason { hint: dead.hint, ..it });
        let event = Event::Look { kind: Looked::Limited, next_check, absent_at, reason };
        self.save(id, event, Then::Done, None, now, out);
    }

    /// A failed read, or one that shows the network at work on it. What was proven so far stays;
    /// nothing is added.
    pub(super) fn unclear(
        &mut self,
        id: DeliveryId,
        message: &str,
        until: Option<Timestamp>,
        kept: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let flight = &work.delivery.flight;
        let (since, looks) = (flight.unknown_since.unwrap_or(now.into()), flight.looks);
        // One read that fails is no reason to ask a person: a daemon that was down for days looks a few times.
        if since.waited(self.moment(now)) > self.settings.hold_after && looks >= LOOKS_MIN {
            let why = format!("looking could not settle whether it is live: {message}");
            return self.hold(id, &why, kept, now, out);
        }
        let at_work = kept.as_ref().is_some_and(|it| it.outcome == "pending");
        let wait = match EARLY.get(usize::from(looks)) {
            // Refused because it was not ready: its time passes while nobody asks whether it is now.
            _ if at_work && matches!(flight.said, Some(Said::Refused { .. })) => match looks {
                ..12 => SignedDuration::from_secs(10),
                12..42 => SignedDuration::from_mins(1),
                _ => SLOW,
            },
            Some(early) => SignedDuration::from_secs(*early),
            None => SLOW,
        };
        let next_check = self.in_scaled(now, wait).max(until.unwrap_or(now));
        let reason = if at_work {
            Reason::new(FailureClass::NotReady.as_str(), message.to_owned())
        } else {
            Reason::new("ambiguous", format!("could not look whether it is live: {message}"))
        };
        let reason = reason.hint("it is looked at again; nothing to do for now");
        let absent_at = work.delivery.flight.absent_at;
        let event = Event::Look { kind: Looked::Unclear, next_check, absent_at, reason: Some(reason) };
        self.save(id, event, Then::Done, kept, now, out);
    }

    pub(super) fn hold(
        &mut self,
        id: DeliveryId,
        why: &str,
        kept: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let reason = Reason::new("held", why.to_owned())
            .hint(format!("look on the network yourself, then say what you saw: `sendoff post resolve {id} --published URL`, \
                 or `--resend` or `--leave` in place of the URL"));
        self.save(id, Event::Hold { reason }, Then::Done, kept, now, out);
    }

    /// It is not live, and its account is blocked: nothing is sent again before that is over, and it is
    /// looked for once more then. A post that will be too late for its policy sooner ends then.
    pub(super) fn sit_out(
        &mut self,
        id: DeliveryId,
        until: Timestamp,
        mut reason: Reason,
        kept: Evidence,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let delivery = &work.delivery;
        let ends = [Some(delivery.give_up_at), delivery.late.until(delivery.due.instant)];
        let end = ends.into_iter().flatten().min().and_then(|at| at.checked_add(A_SECOND).ok());
        let next_check = end.map_or(until, |end| end.min(until)).max(now + A_SECOND);
        let absent_at = delivery.flight.absent_at.or(Some(self.moment(now)));
        reason.message = format!("{}; it is not live, and waits until {next_check:.0}", reason.message);
        let event = Event::Look { kind: Looked::Absent, next_check, absent_at, reason: Some(reason) };
        self.save(id, event, Then::Done, Some(kept), now, out);
    }
}
