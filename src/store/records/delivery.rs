//! Deliveries, their publishing calls and their moves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::post::{DueRow, LateRow, bad_name};
use super::{Bytes, Stored, by_word, digest_from_hex};
use crate::domain::attempt::{Answered, Attempt, Transition};
use crate::domain::delivery::{
    Delivery, Flight, Frozen, Handle, Reason, Restored, RetryWhy, Said, State, Step, StepKind,
};
use crate::domain::hex::hex;
use crate::domain::moment::{Boot, Moment};

#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // as in the delivery itself
pub(in crate::store) struct DeliveryRow {
    id: String,
    post: String,
    account: String,
    name: String,
    due: DueRow,
    late: LateRow,
    give_up_at: Timestamp,
    created_at: Timestamp,
    state: String,
    next_try: Option<Timestamp>,
    retry_why: Option<String>,
    held: bool,
    cancel_requested: bool,
    attempts: u16,
    claim_gen: u32,
    step: u16,
    steps: Vec<StepRow>,
    flight: FlightRow,
    sent_at: Option<Timestamp>,
    #[serde(default)]
    restored: RestoredField,
    published_at: Option<Timestamp>,
    verified: bool,
    reason: Option<ReasonRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StepRow {
    kind: StepKindRow,
    remote_id: Option<String>,
    permalink: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, String>,
    published_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepKindRow {
    Post,
    Thread,
    Comment,
}

#[derive(Debug, Serialize, Deserialize)]
struct FlightRow {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    handles: BTreeMap<String, HandleRow>,
    frozen: Option<FrozenRow>,
    first_sent: Option<MomentRow>,
    amb_since: Option<Timestamp>,
    earlier_open: bool,
    unknown_since: Option<MomentRow>,
    absent_at: Option<MomentRow>,
    looks: u16,
    stumbles: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    unsent: u16,
    #[serde(default, skip_serializing_if = "is_zero")]
    polls: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<SaidRow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cleared: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it so
fn is_zero(count: &u16) -> bool {
    *count == 0
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SaidRow {
    Accepted,
    Taken(String),
    Live,
    Duplicate(String),
    Never(ReasonRow),
    Barred { until: Timestamp, reason: ReasonRow },
    Refused { at: Timestamp, why: String, reason: ReasonRow },
}

impl From<&Said> for SaidRow {
    fn from(it: &Said) -> Self {
        match it {
            Said::Accepted => Self::Accepted,
            Said::Taken(name) => Self::Taken(name.clone()),
            Said::Live => Self::Live,
            Said::Duplicate(message) => Self::Duplicate(message.clone()),
            Said::Never(reason) => Self::Never(reason.into()),
            Said::Barred { until, reason } => Self::Barred { until: *until, reason: reason.into() },
            Said::Refused { at, why, reason } => {
                Self::Refused { at: *at, why: why.as_str().to_owned(), reason: reason.into() }
            }
        }
    }
}

impl TryFrom<SaidRow> for Said {
    type Error = String;
    fn try_from(row: SaidRow) -> Result<Self, String> {
        Ok(match row {
            SaidRow::Accepted => Self::Accepted,
            SaidRow::Taken(name) => Self::Taken(name),
            SaidRow::Live => Self::Live,
            SaidRow::Duplicate(message) => Self::Duplicate(message),
            SaidRow::Never(reason) => Self::Never(reason.into()),
            SaidRow::Barred { until, reason } => Self::Barred { until, reason: reason.into() },
            SaidRow::Refused { at, why, reason } => {
                Self::Refused { at, why: retry_why(&why)?, reason: reason.into() }
            }
        })
    }
}

fn retry_why(word: &str) -> Result<RetryWhy, String> {
    by_word(&RetryWhy::ALL, word, RetryWhy::as_str, "reason to try again")
}

/// Before there was more to say it was a bare flag. What the copy knew is not known then, so nothing is
/// taken for known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum RestoredField {
    Flag(bool),
    Row(RestoredRow),
}

impl Default for RestoredField {
    fn default() -> Self {
        Self::Flag(false)
    }
}

impl From<Option<Restored>> for RestoredField {
    fn from(it: Option<Restored>) -> Self {
        it.map_or(Self::Flag(false), |it| Self::Row(it.into()))
    }
}

impl From<RestoredField> for Option<Restored> {
    fn from(field: RestoredField) -> Self {
        match field {
            RestoredField::Flag(false) => None,
            RestoredField::Flag(true) => {
                Some(Restored { known: Timestamp::UNIX_EPOCH, at: Timestamp::UNIX_EPOCH.into() })
            }
            RestoredField::Row(row) => Some(row.into()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct RestoredRow {
    known: Timestamp,
    at: MomentRow,
}

impl From<Restored> for RestoredRow {
    fn from(it: Restored) -> Self {
        Self { known: it.known, at: it.at.into() }
    }
}

impl From<RestoredRow> for Restored {
    fn from(row: RestoredRow) -> Self {
        Self { known: row.known, at: row.at.into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct HandleRow {
    value: String,
    expires: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FrozenRow {
    marker: String,
    body: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
struct ReasonRow {
    class: String,
    message: String,
    hint: Option<String>,
    raw: Option<String>,
}

impl From<&Reason> for ReasonRow {
    fn from(it: &Reason) -> Self {
        Self {
            class: it.class.clone(),
            message: it.message.clone(),
            hint: it.hint.clone(),
            raw: it.raw.clone(),
        }
    }
}

impl From<ReasonRow> for Reason {
    fn from(row: ReasonRow) -> Self {
        Self { class: row.class, message: row.message, hint: row.hint, raw: row.raw }
    }
}

impl From<&Step> for StepRow {
    fn from(it: &Step) -> Self {
        let kind = match it.kind {
            StepKind::Post => StepKindRow::Post,
            StepKind::Thread => StepKindRow::Thread,
            StepKind::Comment => StepKindRow::Comment,
        };
        Self {
            kind,
            remote_id: it.remote_id.clone(),
            permalink: it.permalink.clone(),
            extra: it.extra.clone(),
            published_at: it.published_at,
        }
    }
}

impl From<StepRow> for Step {
    fn from(row: StepRow) -> Self {
        let kind = match row.kind {
            StepKindRow::Post => StepKind::Post,
            StepKindRow::Thread => StepKind::Thread,
            StepKindRow::Comment => StepKind::Comment,
        };
        Self {
            kind,
            remote_id: row.remote_id,
            permalink: row.permalink,
            extra: row.extra,
            published_at: row.published_at,
        }
    }
}

/// Wall time, and the boot's id with its uptime in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct MomentRow {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<(u64, i64)>,
}

impl From<Moment> for MomentRow {
    fn from(it: Moment) -> Self {
        Self { at: it.wall, boot: it.boot.map(|boot| (boot.id, boot.uptime_ms)) }
    }
}

impl From<MomentRow> for Moment {
    fn from(row: MomentRow) -> Self {
        let boot = row.boot.map(|(id, uptime_ms)| Boot { id, uptime_ms });
        Self { wall: row.at, boot }
    }
}

impl From<&Flight> for FlightRow {
    fn from(it: &Flight) -> Self {
        Self {
            handles: it
                .handles
                .iter()
                .map(|(name, it)| (name.clone(), HandleRow { value: it.value.clone(), expires: it.expires }))
                .collect(),
            frozen: it
                .frozen
                .as_ref()
                .map(|it| FrozenRow { marker: it.marker.clone(), body: it.body.as_slice().into() }),
            first_sent: it.first_sent.map(Into::into),
            amb_since: it.amb_since,
            earlier_open: it.earlier_open,
            unknown_since: it.unknown_since.map(Into::into),
            absent_at: it.absent_at.map(Into::into),
            looks: it.looks,
            stumbles: it.stumbles,
            unsent: it.unsent,
            polls: it.polls,
            said: it.said.as_ref().map(Into::into),
            cleared: it.cleared,
        }
    }
}

impl TryFrom<FlightRow> for Flight {
    type Error = String;
    fn try_from(row: FlightRow) -> Result<Self, String> {
        let frozen = match row.frozen {
            Some(it) => Some(Frozen { marker: it.marker, body: it.body.read()? }),
            None => None,
        };
        Ok(Self {
            handles: row
                .handles
                .into_iter()
                .map(|(name, it)| (name, Handle { value: it.value, expires: it.expires }))
                .collect(),
            frozen,
            first_sent: row.first_sent.map(Into::into),
            amb_since: row.amb_since,
            earlier_open: row.earlier_open,
            unknown_since: row.unknown_since.map(Into::into),
            absent_at: row.absent_at.map(Into::into),
            looks: row.looks,
            stumbles: row.stumbles,
            unsent: row.unsent,
            polls: row.polls,
            said: row.said.map(TryInto::try_into).transpose()?,
            cleared: row.cleared,
        })
    }
}

impl From<&Delivery> for DeliveryRow {
    fn from(it: &Delivery) -> Self {
        Self {
            id: it.id.to_string(),
            post: it.post.to_string(),
            account: it.account.to_string(),
            name: it.name.to_string(),
            due: (&it.due).into(),
            late: it.late.into(),
            give_up_at: it.give_up_at,
            created_at: it.created_at,
            state: it.state.as_str().to_owned(),
            next_try: it.next_try,
            retry_why: it.retry_why.map(|it| it.as_str().to_owned()),
            held: it.held,
            cancel_requested: it.cancel_requested,
            attempts: it.attempts,
            claim_gen: it.claim_gen,
            step: it.step,
            steps: it.steps.iter().map(Into::into).collect(),
            flight: (&it.flight).into(),
            sent_at: it.sent_at,
            restored: it.restored.into(),
            published_at: it.published_at,
            verified: it.verified,
            reason: it.reason.as_ref().map(Into::into),
        }
    }
}

impl Stored for Delivery {
    type Twin = DeliveryRow;

    fn read(row: DeliveryRow) -> Result<Self, String> {
        Ok(Self {
            id: row.id.parse().map_err(bad_name)?,
            post: row.post.parse().map_err(bad_name)?,
            account: row.account.parse().map_err(bad_name)?,
            name: row.name.parse().map_err(bad_name)?,
            due: row.due.into(),
            late: row.late.into(),
            give_up_at: row.give_up_at,
            created_at: row.created_at,
            state: state(&row.state)?,
            next_try: row.next_try,
            retry_why: row.retry_why.map(|it| retry_why(&it)).transpose()?,
            held: row.held,
            cancel_requested: row.cancel_requested,
            attempts: row.attempts,
            claim_gen: row.claim_gen,
            step: row.step,
            steps: row.steps.into_iter().map(Into::into).collect(),
            flight: row.flight.try_into()?,
            sent_at: row.sent_at,
            restored: row.restored.into(),
            published_at: row.published_at,
            verified: row.verified,
            reason: row.reason.map(Into::into),
        })
    }
}

fn state(word: &str) -> Result<State, String> {
    by_word(&State::ALL, word, State::as_str, "state")
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct AttemptRow {
    delivery: String,
    step: u16,
    n: u32,
    marker: String,
    digest: String,
    started: Timestamp,
    ended: Option<Timestamp>,
    outcome: Option<String>,
    status: Option<u16>,
    raw: Option<String>,
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "is_free")]
    cost: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so
fn is_free(cost: &u64) -> bool {
    *cost == 0
}

impl From<&Attempt> for AttemptRow {
    fn from(it: &Attempt) -> Self {
        Self {
            delivery: it.delivery.to_string(),
            step: it.step,
            n: it.n,
            marker: it.marker.clone(),
            digest: hex(&it.digest),
            started: it.started,
            ended: it.ended,
            outcome: it.outcome.clone(),
            status: it.status,
            raw: it.raw.as_deref().map(cut),
            trace: it.trace.clone(),
            cost: it.cost,
        }
    }
}

impl Stored for Attempt {
    type Twin = AttemptRow;

    fn read(row: AttemptRow) -> Result<Self, String> {
        Ok(Self {
            delivery: row.delivery.parse().map_err(bad_name)?,
            step: row.step,
            n: row.n,
            marker: row.marker,
            digest: digest_from_hex(&row.digest)?,
            started: row.started,
            ended: row.ended,
            outcome: row.outcome,
            status: row.status,
            raw: row.raw,
            trace: row.trace,
            cost: row.cost,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct TransitionRow {
    seq: u32,
    at: Timestamp,
    event: String,
    from: String,
    to: String,
    reason: Option<ReasonRow>,
    note: Option<String>,
    /// Not in rows of before 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<AnsweredRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AnsweredRow {
    outcome: String,
    status: Option<u16>,
    raw: Option<String>,
    trace: Option<String>,
}

impl From<&Answered> for AnsweredRow {
    fn from(it: &Answered) -> Self {
        Self {
            outcome: it.outcome.clone(),
            status: it.status,
            raw: it.raw.as_deref().map(cut),
            trace: it.trace.clone(),
        }
    }
}

impl From<AnsweredRow> for Answered {
    fn from(row: AnsweredRow) -> Self {
        Self { outcome: row.outcome, status: row.status, raw: row.raw, trace: row.trace }
    }
}

/// As much of a raw answer as is kept.
fn cut(raw: &str) -> String {
    raw[..raw.floor_char_boundary(Attempt::RAW_MAX)].to_owned()
}

impl From<&Transition> for TransitionRow {
    fn from(it: &Transition) -> Self {
        Self {
            seq: it.seq,
            at: it.at,
            event: it.event.clone(),
            from: it.from.as_str().to_owned(),
            to: it.to.as_str().to_owned(),
            reason: it.reason.as_ref().map(Into::into),
            note: it.note.clone(),
            answer: it.answer.as_ref().map(Into::into),
        }
    }
}

impl Stored for Transition {
    type Twin = TransitionRow;

    fn read(row: TransitionRow) -> Result<Self, String> {
        Ok(Self {
            seq: row.seq,
            at: row.at,
            event: row.event,
            from: state(&row.from)?,
            to: state(&row.to)?,
            reason: row.reason.map(Into::into),
            note: row.note,
            answer: row.answer.map(Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_written_before_looks_had_answers_is_still_read() {
        let old = r#"{"seq":4,"at":"2026-12-01T09:00:00Z","event":"look","from":"unknown","to":"unknown",
            "reason":{"class":"ambiguous","message":"HTTP 500","hint":null,"raw":null},"note":null}"#;
        let read = Transition::read(serde_json::from_str(old).unwrap()).unwrap();
        assert_eq!((read.event.as_str(), read.answer.as_ref()), ("look", None));
        let new = serde_json::to_string(&TransitionRow::from(&read)).unwrap();
        assert!(!new.contains("answer"), "a move without one is written as ever: {new}");
        let long = "x".repeat(Attempt::RAW_MAX + 9);
        let seen = Answered { outcome: "absent".into(), status: Some(200), raw: Some(long), trace: None };
        let told = Transition { answer: Some(seen), ..read };
        let row = serde_json::to_string(&TransitionRow::from(&told)).unwrap();
        let back = Transition::read(serde_json::from_str(&row).unwrap()).unwrap().answer.unwrap();
        assert_eq!((back.outcome.as_str(), back.status), ("absent", Some(200)));
        assert_eq!(back.raw.map(|it| it.len()), Some(Attempt::RAW_MAX));
    }
}
