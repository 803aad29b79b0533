//! What a user may ask of a delivery that exists, and what it becomes.
//!
//! The same rules serve both cases: a delivery in hand (the engine writes) and one at rest (the
//! daemon writes, compare-and-swap).

use jiff::{SignedDuration, Timestamp};

use crate::domain::delivery::{Delivery, Event, Reason, State};
use crate::domain::schedule::Due;

/// A wish of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Cancel,
    /// Try at once (Retry, NeedsReconnect), or look at once (Unknown).
    TryNow,
    Reschedule(Due),
}

/// Why the wish cannot be granted, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

fn refused(code: &'static str, message: impl Into<String>, hint: Option<&str>) -> Refused {
    Refused { code, message: message.into(), hint: hint.map(str::to_owned) }
}

/// The event a wish stands for, in the delivery's present state.
pub fn event(
    delivery: &Delivery,
    ask: &Ask,
    give_up_after: SignedDuration,
    now: Timestamp,
) -> Result<Event, Refused> {
    let state = delivery.state;
    let word = state.as_str();
    match ask {
        Ask::Cancel if state.is_terminal() => Err(refused(
            "already_over",
            format!("delivery `{}` is already {word}", delivery.id),
            (state == State::Published).then_some("`sendoff post delete` removes it from the network"),
        )),
        Ask::Cancel => Ok(Event::Cancel { reason: Reason::new("cancelled", "cancelled by the user") }),
        Ask::TryNow => match state {
            State::Retry | State::NeedsReconnect => Ok(Event::TryNow { at: now }),
            State::Unknown => {
                Ok(Event::Look { next_check: now, absent_at: delivery.flight.absent_at, reason: None })
            }
            _ => Err(refused(
                "not_waiting",
                format!("delivery `{}` is {word}, there is nothing to retry", delivery.id),
                None,
            )),
        },
        Ask::Reschedule(due) if state == State::Scheduled => {
            let give_up_at = due.instant.saturating_add(give_up_after).unwrap_or(Timestamp::MAX);
            Ok(Event::Reschedule { due: due.clone(), give_up_at })
        }
        Ask::Reschedule(_) => Err(refused(
            "not_scheduled",
            format!("delivery `{}` is {word}; only a scheduled one can be moved", delivery.id),
            None,
        )),
    }
}
