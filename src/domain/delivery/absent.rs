//! What follows once it is proven that nothing of the current step is live.

use jiff::Timestamp;

use super::{AfterAbsence, Delivery, Proof, Reason, RetryWhy, SAID, State};
use crate::domain::moment::Moment;
use crate::domain::schedule::Late;

impl Delivery {
    /// Whether that is proof enough now that nothing of the current step is live.
    pub(super) fn is_proof(&self, proof: Proof, now: Moment) -> Result<(), &'static str> {
        let flight = &self.flight;
        match proof {
            Proof::User => Ok(()),
            Proof::Looks { settle, gap } => {
                let (since, first) = (flight.unknown_since, flight.absent_at);
                let settled = since.zip(first).is_some_and(|(since, first)| since.waited(first) >= settle);
                if settled && first.is_some_and(|first| first.waited(now) >= gap) {
                    Ok(())
                } else {
                    Err("two looks apart are wanted, the first after the wait")
                }
            }
        }
    }

    /// Nothing of it is live: its time may be ahead once more, by a copy that was brought back or a clock that
    /// was set.
    fn not_early(&self, at: Timestamp) -> Timestamp {
        if self.step == 0 { at.max(self.due.instant) } else { at }
    }

    /// It waits for what the network said when it refused it; a wait that it names uses up no attempt.
    pub(super) fn refused(&mut self, why: RetryWhy, reason: Reason) {
        (self.retry_why, self.reason) = (Some(why), Some(reason));
        if why == RetryWhy::Parked {
            self.attempts = self.attempts.saturating_sub(1);
        }
    }

    /// Leaves the doubt, whose attempt is closed.
    pub(super) fn go_on(&mut self, then: AfterAbsence, proof: Proof) -> Result<(), &'static str> {
        match then {
            AfterAbsence::Retry { at, give_up_at } => {
                // The user's word counts for more than being late.
                if let Some(anew) = give_up_at {
                    (self.give_up_at, self.late) = (anew, Late::Always);
                }
                if proof == Proof::User {
                    self.reason = Some(Reason::new(SAID, "you said that it is not live"));
                }
                self.enter(State::Retry);
                self.next_try = Some(self.not_early(at));
                self.retry_why = Some(RetryWhy::Absent);
            }
            AfterAbsence::Parked { at, give_up_at, reason } => {
                self.enter(State::Retry);
                self.give_up_at = give_up_at;
                self.next_try = Some(at.max(self.due.instant));
                self.retry_why = Some(RetryWhy::Parked);
                self.reason = Some(reason);
            }
            AfterAbsence::Deferred { at, why, reason } => {
                self.enter(State::Retry);
                self.next_try = Some(self.not_early(at));
                self.refused(why, reason);
            }
            AfterAbsence::AccountDead { reason } => {
                self.enter(State::NeedsReconnect);
                self.reason = Some(reason);
            }
            AfterAbsence::Cancelled { reason } => self.end(State::Cancelled, Some(reason))?,
            AfterAbsence::Rejected { reason } => self.end(State::Rejected, Some(reason))?,
            AfterAbsence::Missed { reason } => self.end(State::Missed, Some(reason))?,
        }
        Ok(())
    }
}
