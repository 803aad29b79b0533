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
