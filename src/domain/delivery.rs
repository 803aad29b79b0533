//! Where one delivery stands, and the one function that moves it.
//!
//! ```text
//! Scheduled ─due─> Claimed ─> Preparing ─> Sending ──applied─────────> Published / HandedOver
//!     │               │           │           ├─refused, try later───> Retry ─> Claimed
//!     │               │           │           ├─refused for good─────> Rejected
//!     │               │           │           ├─account dead─────────> NeedsReconnect ─> Retry
//!     │               │           │           └─anything else────────> Unknown ─found──> Published
//!     │               │           │                                       └─absent─────> Retry …
//!     └───────────────┴───────────┴─> Cancelled / Missed
//! ```
//!
//! Publishing is not idempotent on most networks. `Sending` is written before the first byte of a
//! publishing call leaves; nothing leaves `Unknown` without evidence; a terminal state never
//! changes. [`Delivery::apply`] is total: every state × event pair either moves or is [`Illegal`],
//! and the table of all pairs is a snapshot under test.

use jiff::{SignedDuration, Timestamp};

use super::ids::{AccountId, AccountName, DeliveryId, PostId};
use super::moment::Moment;
use super::schedule::{Due, Late};

mod absent;
mod after;
mod event;
mod facts;
mod tell;

pub use event::{AfterAbsence, Event, Illegal, Live, Looked, Proof, Recall};
pub use facts::{
    Flight, Frozen, Handle, Handles, Reason, Restored, RetryWhy, Said, State, Step, StepKind, alive,
};

/// The reason's class of a delivery whose fate the user chose to leave open.
pub const LEFT: &str = "left";

/// The reason's class of what is sent again because the user said that it is not live.
pub const SAID: &str = "said";

/// The reason's class of what the network has taken in and is at work on.
pub const AT_WORK: &str = "media_not_ready";
/// The class of a wait because no byte left.
pub const NOT_SENT: &str = "not_sent";

/// How long a handle lives that was found out for the next call alone.
pub const FOR_ONE_CALL: SignedDuration = SignedDuration::from_secs(2);

/// The reason's class of what the network took, named, and could not publish after all.
pub const NOTHING: &str = "came_to_nothing";

/// One post bound for one account. All state lives here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub struct Delivery {
    pub id: DeliveryId,
    pub post: PostId,
    pub account: AccountId,
    /// The account's name when the delivery was made; shown when the account is gone.
    pub name: AccountName,
    pub due: Due,
    pub late: Late,
    pub give_up_at: Timestamp,
    pub created_at: Timestamp,
    pub state: State,
    /// When there is something to do next, for states that wait (Retry, Unknown).
    pub next_try: Option<Timestamp>,
    pub retry_why: Option<RetryWhy>,
    /// Unknown and waiting for the user's word.
    pub held: bool,
    pub cancel_requested: bool,
    /// Publishing calls made for the current step.
    pub attempts: u16,
    /// Counts owners; a worker that lost its claim cannot write.
    pub claim_gen: u32,
    /// Index of the current step in `steps`.
    pub step: u16,
    pub steps: Vec<Step>,
    pub flight: Flight,
    /// When the call of the first part left that took effect, or the last one so far.
    pub sent_at: Option<Timestamp>,
    /// The store was brought back from a copy while this was open, or its words were found on the network:
    /// it is searched for before each part that is sent.
    pub restored: Option<Restored>,
    pub published_at: Option<Timestamp>,
    pub verified: bool,
    pub reason: Option<Reason>,
}

impl Delivery {
    /// A new delivery, waiting for its instant.
    #[allow(clippy::too_many_arguments)] // a plain record; a builder would only rename the fields
    pub fn new(
        id: DeliveryId,
        post: PostId,
        account: AccountId,
        name: AccountName,
        due: Due,
        late: Late,
        steps: Vec<Step>,
        now: Timestamp,
    ) -> Self {
        let give_up_at = due.instant.saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        Self {
            id,
            post,
            account,
            name,
            due,
            late,
            give_up_at,
            created_at: now,
            state: State::Scheduled,
            next_try: None,
            retry_why: None,
            held: false,
            cancel_requested: false,
            attempts: 0,
            claim_gen: 0,
            step: 0,
            steps,
            flight: Flight::default(),
            sent_at: None,
            restored: None,
            published_at: None,
            verified: false,
            reason: None,
        }
    }

    /// Moves the delivery, or says why it cannot. Total: every state × event pair is decided here.
    ///
    /// Events that claim "no effect" (`Defer`, `Refuse`, `AccountDead`) are believed about the last
    /// attempt only; while an earlier one is open they are [`Illegal`] and the caller must `Lose`.
    pub fn apply(&self, event: Event, now: impl Into<Moment>) -> Result<Self, Illegal> {
        use {Event as E, State as S};
        let moment: Moment = now.into();
        let now = moment.wall;
        let name = event.name();
        let illegal = |why| Illegal { state: self.state, event: name, why };
        let mut to = self.clone();
        match (self.state, event) {
            (S::Scheduled | S::Retry | S::Claimed | S::Preparing, E::Claim) => {
                if self.state == S::Scheduled && now < self.due.instant {
                    return Err(illegal("it is before its instant"));
                }
                if self.state == S::Retry && self.next_try.is_some_and(|at| now < at) {
                    return Err(illegal("it is before the time of its next try"));
                }
                to.enter(S::Claimed);
                to.claim_gen = self.claim_gen.wrapping_add(1);
            }
            (S::Claimed | S::Preparing, E::Prepare { handles }) => {
                to.enter(S::Preparing);
                to.flight.handles.extend(handles);
                (to.flight.stumbles, to.flight.unsent, to.flight.polls) = (0, 0, 0);
            }
            (S::Claimed | S::Preparing, E::Intend { frozen, ahead }) => {
                let same = self.flight.frozen.as_ref() == Some(&frozen);
                if !same && self.flight.amb_since.is_some() {
                    return Err(illegal("the request of a step may not change while an attempt is open"));
                }
                to.enter(S::Sending);
                to.attempts = self.attempts.saturating_add(1);
                to.flight.frozen = Some(frozen);
                // What was found out for this call alone is no word on the next one.
                to.flight.handles.retain(|_, it| it.expires.is_none_or(|end| end > now + FOR_ONE_CALL));
                to.flight.cleared = self.restored.is_some();
                let first = Moment { wall: now.saturating_sub(ahead).unwrap_or(now), ..moment };
                to.flight.first_sent = self.flight.first_sent.filter(|_| same).or(Some(first));
                to.flight.answered_no_more();
                to.flight.earlier_open = self.flight.amb_since.is_some();
                to.flight.amb_since = Some(self.flight.amb_since.unwrap_or(now));
                // A call without effect was no sending.
                to.sent_at = self.sent_at.filter(|_| self.begun()).or(Some(now));
            }
            (S::Sending | S::Unknown, E::Applied { live, next_part_at }) => {
                to.settle(live, next_part_at, now);
            }
            (S::Sending | S::Unknown, E::HandOver { live }) => {
                to.settle(live, now, now);
                to.enter(S::HandedOver);
            }
            (S::Sending, E::Defer { .. } | E::Refuse { .. } | E::Spare { .. } | E::AccountDead { .. })
                if self.flight.earlier_open =>
            {
                return Err(illegal("an earlier attempt is still open"));
            }
            (S::Claimed | S::Preparing | S::Sending, E::Defer { at, why, reason, again }) => {
                to.close_attempt();
                if to.cancelled_meanwhile() {
                    to.end(S::Cancelled, Some(taken_back())).map_err(illegal)?;
                    return Ok(to);
                }
                to.enter(S::Retry);
                if again {
                    to.flight.handles.clear();
                    // The request named what is gone; while an earlier one of it is open it stays as it was.
                    if to.flight.amb_since.is_none() {
                        to.flight.frozen = None;
                    }
                }
                if self.state != S::Sending && why == RetryWhy::Backoff {
                    // A network that takes its time has not failed: the two are counted apart.
                    // Nor has one that could not be reached.
                    let count = match reason.class.as_str() {
                        AT_WORK => &mut to.flight.polls,
                        NOT_SENT => &mut to.flight.unsent,
                        _ => &mut to.flight.stumbles,
                    };
                    *count = count.saturating_add(1);
                }
                // Begun while the wall clock was ahead, which was set right since: its time is to come still.
                to.next_try = Some(if to.begun() { at } else { at.max(self.due.instant) });
                to.retry_why = Some(why);
                to.reason = Some(reason);
                if why == RetryWhy::Parked && self.state == S::Sending {
                    to.attempts = self.attempts.saturating_sub(1);
                }
            }
            (S::Claimed | S::Preparing | S::Sending | S::Retry, E::Refuse { reason }) => {
                to.close_attempt();
                to.end(S::Rejected, Some(reason)).map_err(illegal)?;
            }
            (S::Claimed | S::Preparing | S::Sending | S::Retry, E::Spare { reason }) => {
                let is_comment = self.current().is_some_and(|it| it.kind == StepKind::Comment);
                if !is_comment || self.live_prefix() != usize::from(self.step) || self.step == 0 {
                    return Err(illegal("only a comment under what is live can be spared"));
                }
                to.close_attempt();
                to.end(S::Published, Some(reason)).map_err(illegal)?;
                to.published_at = Some(now);
            }
            (S::Scheduled | S::Claimed | S::Preparing | S::Sending | S::Retry, E::AccountDead { reason }) => {
                to.close_attempt();
                if to.flight.amb_since.is_some() {
                    return Err(illegal("an earlier attempt is still open"));
                }
                if to.cancelled_meanwhile() {
                    to.end(S::Cancelled, Some(taken_back())).map_err(illegal)?;
                    return Ok(to);
                }
                to.enter(S::NeedsReconnect);
                to.reason = Some(reason);
            }
            (S::Retry | S::NeedsReconnect, E::TryNow { at, anyway }) => {
                to.enter(S::Retry);
                // Not before its time, which a clock that was set back since has made the future again.
                to.next_try = Some(if anyway || self.begun() { at } else { at.max(self.due.instant) });
                to.retry_why = Some(RetryWhy::Asked);
                if anyway {
                    to.late = Late::Always;
                }
            }
            (S::Retry, E::Nearer { at }) => {
                to.next_try = Some(if self.begun() { at } else { at.max(self.due.instant) });
            }
            (S::Sending, E::Lose { next_check, reason, said }) => {
                to.flight.said = said.or(to.flight.said.take());
                to.doubt(next_check, Some(reason), moment);
            }
            // Work that was to be sent again under its own marker, and must first be looked up
            // after all (the user took it back, or it is too late).
            (S::Claimed | S::Preparing | S::Retry, E::Lose { next_check, reason, .. }) => {
                if self.flight.amb_since.is_none() {
                    return Err(illegal("no attempt is open"));
                }
                to.doubt(next_check, Some(reason), moment);
            }
            (S::Claimed | S::Preparing, E::Surface { frozen, since, next_check, reason }) => {
                let same = self.flight.frozen.as_ref() == Some(&frozen);
                if !same && self.flight.amb_since.is_some() {
                    return Err(illegal("another attempt is open"));
                }
                to.flight.frozen = Some(frozen);
                to.flight.first_sent = self.flight.first_sent.filter(|_| same).or(Some(since.into()));
                to.flight.amb_since = Some(self.flight.amb_since.unwrap_or(now));
                to.flight.said = Some(Said::Live);
                to.sent_at = self.sent_at.or(Some(now));
                to.doubt(next_check, Some(reason), moment);
            }
            (S::Unknown, E::Look { kind, next_check, absent_at, reason }) => {
                to.held = false;
                if kind == Looked::Live {
                    to.flight.said = Some(Said::Live);
                }
                to.next_try = Some(next_check);
                to.flight.absent_at = absent_at;
                // Whoever asks for it, or connects the account again, wants it looked at as if it were new.
                to.flight.looks = if kind == Looked::Asked { 0 } else { self.flight.looks.saturating_add(1) };
                to.reason = reason.or(to.reason);
            }
            (S::Unknown, E::Hold { reason }) => {
                to.held = true;
                to.next_try = None;
                to.reason = Some(reason);
            }
            (S::Unknown, E::SendAgain { at }) => {
                if self.flight.frozen.is_none() {
                    return Err(illegal("there is no frozen request to repeat"));
                }
                to.enter(S::Retry);
                to.flight.cleared = self.restored.is_some();
                to.next_try = Some(at);
                to.retry_why = Some(RetryWhy::SameMarker);
                if let Some(Said::Refused { why, reason, .. }) = to.flight.answered_no_more() {
                    to.refused(why, reason);
                }
            }
            (S::Unknown, E::Absent { proof, anew, then }) => {
                self.is_proof(proof, moment).map_err(illegal)?;
                let handles = std::mem::take(&mut to.flight.handles);
                to.flight = Flight { cleared: self.restored.is_some(), ..Flight::default() };
                if !anew {
                    to.flight.handles = handles;
                }
                to.go_on(then, proof).map_err(illegal)?;
            }
            (S::Sending | S::Unknown, E::Cancel { .. }) => {
                to.cancel_requested = true;
                if self.held || (self.state == S::Unknown && self.barred(moment).is_some()) {
                    // It was left to the user, who now wants it gone, or to time: that needs another look.
                    to.held = false;
                    to.next_try = Some(now);
                }
            }
            (
                S::Scheduled | S::Claimed | S::Preparing | S::Retry | S::NeedsReconnect,
                E::Cancel { reason },
            ) => {
                if self.flight.amb_since.is_some() {
                    to.cancel_requested = true;
                } else {
                    to.end(S::Cancelled, Some(reason)).map_err(illegal)?;
                }
            }
            (S::Scheduled | S::Claimed | S::Preparing | S::Retry | S::NeedsReconnect, E::Miss { reason }) => {
                to.end(S::Missed, Some(reason)).map_err(illegal)?;
            }
            (
                S::Claimed | S::Preparing | S::Sending | S::Unknown | S::Retry | S::NeedsReconnect,
                E::Abandon { reason },
            ) => {
                if self.flight.amb_since.is_none() && self.state != S::Unknown {
                    return Err(illegal("no attempt is open"));
                }
                to.enter(S::Rejected);
                to.reason = Some(reason);
            }
            (
                S::Scheduled | S::Claimed | S::Preparing | S::Retry | S::NeedsReconnect,
                E::Reschedule { due, give_up_at },
            ) => {
                self.may_move().map_err(illegal)?;
                to.due = due;
                to.give_up_at = give_up_at;
                if self.state != S::Scheduled {
                    // It begins anew at its new time: what was prepared, tried and waited for belongs to
                    // the old one, and some networks get a date that was fixed with the request.
                    to.enter(S::Scheduled);
                    to.flight = Flight::default();
                    (to.attempts, to.sent_at, to.reason) = (0, None, None);
                }
            }
            (
                S::Scheduled
                | S::Claimed
                | S::Preparing
                | S::Sending
                | S::Unknown
                | S::Retry
                | S::NeedsReconnect,
                E::Restore { next_check, reason, copy, since, when },
            ) => {
                if self.flight.amb_since.is_none() {
                    // What was sent after the copy was made bore another marker, or this one: nobody knows.
                    to.flight = Flight::default();
                }
                to.flight.cleared = false;
                let known = self.restored.map_or(copy.known, |it| it.known.min(copy.known));
                to.restored = Some(Restored { known, at: copy.at });
                let left = self.reason.as_ref().is_some_and(|it| it.class == LEFT);
                let ahead = now < self.due.instant && !self.begun();
                if when == Recall::InTime && (ahead || (self.held && left)) {
                    // Nothing to look for now: what is ahead is searched for when its time comes.
                    return Ok(to);
                }
                to.cancel_requested |= when == Recall::TakenBack;
                to.flight.amb_since = Some(self.flight.amb_since.unwrap_or(now.min(self.due.instant)));
                to.doubt(next_check, Some(reason), moment);
                // What an attempt that is forgotten may still bring about, and what this copy knew of its
                // last one, are both older than that.
                to.flight.unknown_since = Some(since);
            }
            // Every state is named, so that a new one does not compile until it is placed.
            (
                S::Scheduled
                | S::Claimed
                | S::Preparing
                | S::Sending
                | S::Unknown
                | S::Retry
                | S::NeedsReconnect,
                _,
            ) => return Err(illegal("the machine has no such move")),
            (S::Published | S::HandedOver | S::Rejected | S::Cancelled | S::Missed, _) => {
                return Err(illegal("a terminal state never changes"));
            }
        }
        Ok(to)
    }

    /// Waits for the user to say whether it is live, and was not left as it is.
    pub fn waits_for_word(&self) -> bool {
        self.state == State::Unknown && self.held && !self.is_left()
    }

    /// The user was asked whether it is live, and left it as it is: nobody looks, and nobody is asked again.
    pub fn is_left(&self) -> bool {
        let left = self.reason.as_ref().is_some_and(|it| it.class == LEFT);
        self.state == State::Unknown && self.held && left
    }

    /// The current step.
    pub fn current(&self) -> Option<&Step> {
        self.steps.get(usize::from(self.step))
    }

    /// How many steps, from the first, are live.
    pub fn live_prefix(&self) -> usize {
        self.steps.iter().take_while(|it| it.is_live()).count()
    }

    /// The time at which the scheduler must look at this delivery again, if it waits for one.
    /// Work in flight answers `None`: its worker owns it, and start-up finds it by its state.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Scheduled => Some(self.due.instant),
            State::Retry => Some(self.next_try.unwrap_or(self.due.instant)),
            State::Unknown if !self.held => self.next_try,
            State::Claimed
            | State::Preparing
            | State::Sending
            | State::Unknown
            | State::NeedsReconnect
            | State::Published
            | State::HandedOver
            | State::Rejected
            | State::Cancelled
            | State::Missed => None,
        }
    }

    /// Something of it is live, or may be: then it is neither early nor late any more.
    pub fn begun(&self) -> bool {
        self.step > 0 || self.flight.amb_since.is_some()
    }

    /// Its next call makes the first comment, which stands under a post that is live already.
    pub fn is_at_comment(&self) -> bool {
        self.steps.get(usize::from(self.step)).is_some_and(|it| it.kind == StepKind::Comment)
    }

    /// Whether it can get another time, or why not: nothing of it may have begun.
    pub fn may_move(&self) -> Result<(), &'static str> {
        match self.state {
            State::Scheduled => Ok(()),
            State::Claimed | State::Preparing | State::Retry | State::NeedsReconnect => {
                if self.live_prefix() > 0 {
                    Err("a part of it is live already")
                } else if self.begun() {
                    Err("an earlier call may have taken effect")
                } else if self.cancel_requested {
                    Err("it was taken back")
                } else {
                    Ok(())
                }
            }
            State::Sending => Err("it is being sent"),
            State::Unknown => Err("it may be live already"),
            State::Published | State::HandedOver | State::Rejected | State::Cancelled | State::Missed => {
                Err("it has ended")
            }
        }
    }

    /// The store that knew what became of the current step is lost: it may be live, under whatever marker,
    /// and nothing has ruled that out since.
    pub fn may_be_forgotten(&self) -> bool {
        self.restored.is_some() && !self.flight.cleared
    }

    /// From when on the words of the current step may be on the network: since its time, or since the
    /// copy that the store was brought back from was made.
    pub fn words_since(&self) -> Timestamp {
        self.restored.map_or(self.due.instant, |it| it.known.min(self.due.instant))
    }

    /// Until when the network blocks its account, while nobody knows whether it is live all the same.
    pub fn barred(&self, now: impl Into<Moment>) -> Option<(Timestamp, &Reason)> {
        let Some(Said::Barred { until, reason }) = &self.flight.said else { return None };
        let now = now.into();
        Some((self.flight.over(*until, now), reason)).filter(|(until, _)| *until > now.wall)
    }

    /// Later than its policy allows.
    pub fn is_late(&self, now: Timestamp) -> bool {
        !self.late.allows(self.due.instant, now)
    }

    /// Owned by a worker, and so to be looked at when the daemon starts.
    pub fn in_flight(&self) -> bool {
        matches!(self.state, State::Claimed | State::Preparing | State::Sending)
    }

    /// Due instant to first request, in milliseconds. None until something was sent.
    pub fn lateness_ms(&self) -> Option<i64> {
        self.sent_at.map(|sent| sent.as_millisecond() - self.due.instant.as_millisecond())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.next_try = None;
        self.retry_why = None;
        self.held = false;
    }

    /// The last attempt had no effect. Says nothing of earlier ones.
    fn close_attempt(&mut self) {
        if self.state == State::Sending && !self.flight.earlier_open {
            self.flight.amb_since = None;
        }
    }

    /// The user took it back during a call that is now known to have had no effect: there is
    /// nothing left to wait for.
    fn cancelled_meanwhile(&self) -> bool {
        self.cancel_requested && self.flight.amb_since.is_none()
    }

    fn doubt(&mut self, next_check: Timestamp, reason: Option<Reason>, now: Moment) {
        let from = self.state;
        self.enter(State::Unknown);
        self.next_try = Some(next_check);
        if from == State::Sending || self.flight.unknown_since.is_none() {
            // A repeat under the same marker that was lost as well starts the wait anew.
            self.flight.unknown_since = Some(now);
        }
        self.flight.absent_at = None;
        self.flight.looks = 0;
        self.reason = reason;
    }

    /// The current step is live: go on to the next, or end.
    fn settle(&mut self, live: Live, next_part_at: Timestamp, now: Timestamp) {
        if let Some(step) = self.steps.get_mut(usize::from(self.step)) {
            step.remote_id = live.remote_id;
            step.permalink = live.permalink;
            step.extra = live.extra;
            step.published_at = Some(now);
        }
        self.flight = Flight::default();
        self.attempts = 0;
        // A first comment stands under what was published; whether that was read back is what counts.
        if !self.is_at_comment() {
            self.verified = live.verified && (self.step == 0 || self.verified);
        }
        self.reason = None;
        if usize::from(self.step) + 1 < self.steps.len() {
            self.step += 1;
            self.enter(State::Retry);
            self.next_try = Some(next_part_at);
            self.retry_why = Some(RetryWhy::NextPart);
        } else {
            self.enter(State::Published);
            self.published_at = Some(now);
        }
    }

    /// Enters a terminal state in which nothing of this step is live (I6).
    fn end(&mut self, state: State, reason: Option<Reason>) -> Result<(), &'static str> {
        if self.flight.amb_since.is_some() {
            return Err("an attempt is still open");
        }
        self.enter(state);
        self.reason = reason;
        Ok(())
    }
}

fn taken_back() -> Reason {
    Reason::new("cancelled", "cancelled by the user during a call that had no effect")
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
