//! What can happen to a delivery. What it means is said in one place:
//! [`Delivery::apply`](super::Delivery::apply).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Frozen, Handles, Reason, Restored, RetryWhy, Said, State};
use crate::domain::moment::Moment;
use crate::domain::schedule::Due;

/// What the network's evidence says about an object that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    pub remote_id: Option<String>,
    pub permalink: Option<String>,
    pub extra: BTreeMap<String, String>,
    /// Read back, rather than only answered.
    pub verified: bool,
}

/// When a delivery that may have gone out unknown to this store is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Now, or when its time comes, if that is ahead.
    InTime,
    /// Now, whatever its time.
    Now,
    /// Now, for the user takes it back.
    TakenBack,
}

/// What happened to a delivery. [`Delivery::apply`](super::Delivery::apply) says what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The lane worker takes it (W1). Also at start-up, for work found claimed or preparing.
    Claim,
    /// A preparing call is about to be made, or has brought something to keep (W2).
    Prepare { handles: Handles },
    /// The intent of a publishing call (W3). `ahead`: how far the wall clock is ahead of the network's, as
    /// far as its answers have shown.
    Intend { frozen: Frozen, ahead: SignedDuration },
    /// The object of the current step is live.
    Applied { live: Live, next_part_at: Timestamp },
    /// It lies in the inbox of a person on the network.
    HandOver { live: Live },
    /// Not now. Only when this attempt is known to have had no effect.
    /// `again` = what was prepared is gone and must be prepared anew.
    Defer { at: Timestamp, why: RetryWhy, reason: Reason, again: bool },
    /// Never. Only when this attempt is known to have had no effect.
    Refuse { reason: Reason },
    /// The first comment is not to be had, and what it was for is live and stays, or came to nothing and
    /// has no place for one: it ends as published, with the reason. Only when this attempt is known to have
    /// had no effect.
    Spare { reason: Reason },
    /// The account cannot act. Only when this attempt is known to have had no effect.
    AccountDead { reason: Reason },
    /// The account is back, or the user says "try now".
    /// `anyway`: the user says so, so that being late is no reason any more.
    TryNow { at: Timestamp, anyway: bool },
    /// What it waits for was reckoned with a clock that was ahead: it waits until then, for the same reason.
    Nearer { at: Timestamp },
    /// The call may have taken effect. `said`: what the network has said of it for good.
    Lose { next_check: Timestamp, reason: Reason, said: Option<Said> },
    /// What was prepared shows that it is out, by a call that the network had refused or that this store
    /// knows nothing of: as if that call had been taken on, so nothing is sent and it is looked for.
    /// `since`: nothing of it is older, if this store knows of no call of it.
    Surface { frozen: Frozen, since: Timestamp, next_check: Timestamp, reason: Reason },
    /// It stays unknown, and is looked at again then. `reason`: what this look showed, if it is more
    /// than `kind` says.
    Look { kind: Looked, next_check: Timestamp, absent_at: Option<Moment>, reason: Option<Reason> },
    /// Looking cannot settle it; the user must.
    Hold { reason: Reason },
    /// A client-chosen id, key or handle makes repeating safe (classes A, B and C). Of what was refused
    /// ([`Said::Refused`]) it waits for what the network said.
    SendAgain { at: Timestamp },
    /// Nothing of this step is live. `anew` = what was prepared is of no use any more.
    Absent { proof: Proof, anew: bool, then: AfterAbsence },
    /// The user takes it back.
    Cancel { reason: Reason },
    /// Too late under its policy.
    Miss { reason: Reason },
    /// Nobody can look any more, because the account leaves: the open attempt stays in the record
    /// as not verified, and the delivery ends as `Rejected`. The one end that proves nothing (it
    /// says so in its reason), hence only for work whose call may have taken effect.
    Abandon { reason: Reason },
    /// Another instant, before anything of it may have had an effect.
    Reschedule { due: Due, give_up_at: Timestamp },
    /// The store was restored from a backup: it may have gone out since, under a marker that is lost. What
    /// had an attempt open in the copy keeps that attempt's marker beside.
    Restore {
        next_check: Timestamp,
        reason: Reason,
        copy: Restored,
        /// The time to settle counts from here.
        since: Moment,
        when: Recall,
    },
}

/// How a delivery stays unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// A clean read without it; that is not yet proof.
    Absent,
    /// The network said that it gave up on it; with the reason.
    Failed,
    /// The read failed, or showed the network still at work on it; with the reason.
    Unclear,
    /// It is live by the word of its handle; which object it is, is looked up next.
    Live,
    /// Nobody looked: the same request goes out again, but not yet.
    Waits,
    /// Nobody looked: the network takes no reads for now, or the account must be connected again.
    Limited,
    /// Nobody looked yet: the user asked for it at once.
    Asked,
    /// As `Asked`, because the network sent word that something became of it.
    Told,
}

impl Looked {
    /// The event's name in the history. Releases before 0.1.0 wrote `look` for all of them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "look_absent",
            Self::Failed => "look_failed",
            Self::Unclear => "look_unclear",
            Self::Live => "look_live",
            Self::Waits => "look_waits",
            Self::Limited => "look_limited",
            Self::Asked => "look_asked",
            Self::Told => "look_told",
        }
    }
}

/// What shows that nothing is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Two negative reads (I7): the first at least `settle` after the last attempt, at least `gap`
    /// apart, by what is stored of them.
    Looks { settle: SignedDuration, gap: SignedDuration },
    /// The user looked.
    User,
}

/// What follows proven absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAbsence {
    /// `give_up_at`: a new end of patience, when the user asked for the repeat, however late it is.
    Retry {
        at: Timestamp,
        give_up_at: Option<Timestamp>,
    },
    /// The network takes nothing of the account before then.
    Parked {
        at: Timestamp,
        give_up_at: Timestamp,
        reason: Reason,
    },
    /// The network had refused it, and this is what it said.
    Deferred {
        at: Timestamp,
        why: RetryWhy,
        reason: Reason,
    },
    /// The account cannot act.
    AccountDead {
        reason: Reason,
    },
    Cancelled {
        reason: Reason,
    },
    Rejected {
        reason: Reason,
    },
    Missed {
        reason: Reason,
    },
}

/// A move the machine does not know. A bug in the caller, never an outside condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery in state `{}` cannot take `{event}`: {why}", state.as_str())]
pub struct Illegal {
    pub state: State,
    pub event: &'static str,
    pub why: &'static str,
}

impl Event {
    /// To another time, with patience reckoned anew from there.
    pub fn reschedule(due: Due, give_up_after: SignedDuration) -> Self {
        let give_up_at = due.give_up_at(give_up_after);
        Self::Reschedule { due, give_up_at }
    }

    /// It waits until then, and no attempt is used up.
    pub fn park(at: Timestamp, reason: Reason) -> Self {
        Self::Defer { at, why: RetryWhy::Parked, reason, again: false }
    }

    /// The event's name in the log and in [`Illegal`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Prepare { .. } => "prepare",
            Self::Intend { .. } => "intend",
            Self::Applied { .. } => "applied",
            Self::HandOver { .. } => "hand_over",
            Self::Defer { .. } => "defer",
            Self::Refuse { .. } => "refuse",
            Self::Spare { .. } => "spare",
            Self::AccountDead { .. } => "account_dead",
            Self::TryNow { .. } => "try_now",
            Self::Nearer { .. } => "clock_was_ahead",
            Self::Lose { .. } => "lose",
            Self::Surface { .. } => "surface",
            Self::Look { kind, .. } => kind.name(),
            Self::Hold { .. } => "hold",
            Self::SendAgain { .. } => "send_again",
            Self::Absent { .. } => "absent",
            Self::Cancel { .. } => "cancel",
            Self::Miss { .. } => "miss",
            Self::Abandon { .. } => "abandon",
            Self::Reschedule { .. } => "reschedule",
            Self::Restore { .. } => "restore",
        }
    }
}
