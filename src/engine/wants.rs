//! Whether somebody still wants a delivery out, and what is known to speak against sending it again.

use jiff::Timestamp;

use super::Work;
use crate::domain::delivery::{Delivery, Reason, Said};
use crate::platforms::Failure;

/// The post of ours that a network means that calls this a repeat, if we know of one.
pub(super) fn repeated(work: &Work) -> Option<String> {
    let (post, at) = (work.earlier)()?;
    Some(format!(
        "the network refuses it as a repeat of `{post}`, which has the same words and went out at {at:.0}"
    ))
}

/// A failure as the reason of a delivery.
pub(super) fn reason_of(failure: &Failure) -> Reason {
    Reason { hint: failure.hint.clone(), ..Reason::new(failure.class.as_str(), failure.message.clone()) }
}

/// Somebody still wants it out.
pub(super) fn wanted(delivery: &Delivery, now: Timestamp) -> bool {
    !delivery.cancel_requested && now <= delivery.give_up_at && over_late(delivery, now).is_none()
}

/// Repeated under its own marker it was refused for good: all that is left to learn is whether the
/// earlier attempt is live.
pub(super) fn refused_for_good(delivery: &Delivery) -> Option<Reason> {
    match &delivery.flight.said {
        Some(Said::Never(reason)) => Some(reason.clone()),
        _ => None,
    }
}

pub(super) fn is_for_good(reason: &Reason) -> bool {
    matches!(reason.class.as_str(), "invalid_content" | "policy")
}

/// The frozen request may be wanted once more.
pub(super) fn repeatable(work: &Work, now: Timestamp) -> bool {
    let delivery = &work.delivery;
    delivery.flight.frozen.is_some() && wanted(delivery, now) && refused_for_good(delivery).is_none()
}

/// Later than its policy allows. Unlike before the first send, the time since its instant counts.
pub(super) fn over_late(delivery: &Delivery, now: Timestamp) -> Option<Reason> {
    let late = delivery.step == 0 && delivery.is_late(now);
    late.then(|| Reason::new("late", "it is not live, and later than its policy allows"))
}
