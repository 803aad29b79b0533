//! The two append-only records beside a delivery: what was sent, and how its state moved.

use jiff::Timestamp;

use super::delivery::{Delivery, Reason, RetryWhy, SAID, State};
use super::ids::DeliveryId;

/// One publishing call. Written before its first byte leaves; completed once, when the answer is
/// known. An attempt without an end is one whose answer nobody ever saw: the process died, or the
/// delivery was taken out of its hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub delivery: DeliveryId,
    /// Index of the step it was made for.
    pub step: u16,
    /// Counts the calls of the whole delivery, from 1.
    pub n: u32,
    /// The client-chosen id, key or fingerprint it carried.
    pub marker: String,
    /// SHA-256 of the request body.
    pub digest: [u8; 32],
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// What came of it, as one stable word: `applied`, `refused`, `ambiguous`, …
    pub outcome: Option<String>,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The raw answer: already redacted. The store cuts it at [`Attempt::RAW_MAX`] bytes.
    pub raw: Option<String>,
    /// The network's own id for the call, for a question to its support.
    pub trace: Option<String>,
    /// What was counted for it before it left, in millionths of a US dollar. 0 on networks that are free.
    pub cost: u64,
}

impl Attempt {
    /// Most bytes of a raw answer that are kept.
    pub const RAW_MAX: usize = 8 * 1024;

    /// The `n`-th call of a delivery, for this step, before its first byte leaves. Nothing is counted for it.
    pub fn begun(
        (delivery, step): (DeliveryId, u16),
        n: u32,
        marker: impl Into<String>,
        digest: [u8; 32],
        started: Timestamp,
    ) -> Self {
        Self {
            delivery,
            step,
            n,
            marker: marker.into(),
            digest,
            started,
            ended: None,
            outcome: None,
            status: None,
            raw: None,
            trace: None,
            cost: 0,
        }
    }
}

/// What a network answered to a call that publishes nothing: the evidence of a look, or of a call that
/// prepares. A publishing call has its [`Attempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was made of it: `found`, `absent`, `gone`, `unclear`, `pending`, `refused`, …
    pub outcome: String,
    pub status: Option<u16>,
    /// As [`Attempt::raw`].
    pub raw: Option<String>,
    pub trace: Option<String>,
}

/// One move of a delivery's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Counts the moves of one delivery, from 1. The store sets it when it writes the row.
    pub seq: u32,
    pub at: Timestamp,
    /// The event's name, or a word of ours for the first row (`created`).
    pub event: String,
    pub from: State,
    pub to: State,
    /// Why, if this move has a reason of its own.
    pub reason: Option<Reason>,
    pub note: Option<String>,
    /// The answer that led to it, unless that is an attempt's.
    pub answer: Option<Answered>,
}

impl Transition {
    /// The move from `was` to `now` by an event of this name.
    pub fn between(was: &Delivery, now: &Delivery, event: &str, at: Timestamp) -> Self {
        Self {
            seq: 0,
            at,
            event: event.to_owned(),
            from: was.state,
            to: now.state,
            reason: now.reason.clone().filter(|_| !only_carried(event, now)),
            note: None,
            answer: None,
        }
    }
}

/// The delivery keeps the reason for which it is in doubt; it is not that of such a move.
fn only_carried(event: &str, now: &Delivery) -> bool {
    // What came before a call says nothing of it.
    if matches!(event, "claim" | "prepare" | "intend") {
        return true;
    }
    match event {
        "look_absent" | "look_waits" | "look_limited" | "look_asked" | "look_told" | "send_again" => true,
        "absent" => {
            now.retry_why == Some(RetryWhy::Absent) && now.reason.as_ref().is_none_or(|it| it.class != SAID)
        }
        "cancel" => !now.state.is_terminal(),
        _ => false,
    }
}
