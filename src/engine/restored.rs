//! After the store was brought back from a copy (delivery guarantees §12).
//!
//! What went out since the copy was made bears a marker that is lost, so no marker of the copy is
//! trusted: the words are searched for before each send, and before anything is called not live. Where a
//! network cannot be searched, a person decides.

use jiff::{SignedDuration, Timestamp};

use super::Work;
use super::send::with_job;
use crate::domain::delivery::{Delivery, Event, Reason, Recall, Restored};
use crate::domain::moment::Moment;
use crate::platforms::Request;

/// Why a person must decide.
pub(super) const UNSEARCHABLE: &str = "the store was brought back from a copy, this may have gone out after the copy \
     was made, and this network gives no way to search for it";

/// The time to settle counts from when the store was brought back, if that is no longer ago than this.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// What puts a delivery in doubt of which this store may have forgotten that it went out. `None`: it is
/// none of these.
pub fn event(delivery: &Delivery, now: Moment, when: Recall) -> Option<Event> {
    let copy = delivery.restored.filter(|_| delivery.may_be_forgotten())?;
    let reason =
        Reason::new("restored", "the store was restored from a backup; this may have gone out since")
            .hint("checking whether it is already live; nothing to do for now");
    let since = if copy.at.waited(now) < LATELY { copy.at } else { now };
    Some(Event::Restore { next_check: now.wall, reason, copy, since, when })
}

/// The same for one whose words another hand seems to have sent; `awake`: since when we could have.
pub(super) fn found(since: Timestamp, awake: Option<Timestamp>, now: Timestamp) -> Event {
    let reason = Reason::new("restored", "the same words are on the network since it was due")
        .hint("checking whether it is already live; nothing to do for now");
    let copy = Restored { known: since, at: awake.unwrap_or(now).into() };
    Event::Restore { next_check: now, reason, copy, since: now.into(), when: Recall::Now }
}

/// The search for the words of the current step.
pub(super) fn scan(work: &Work, since: Timestamp) -> Option<Request> {
    with_job(work, |job| work.platform.scan(job, since)).flatten()
}

/// The search that follows a look for what the copy knew of, and which found nothing.
pub(super) fn second_look(work: &Work, since: Timestamp) -> Option<Request> {
    scan(work, since).filter(|_| work.delivery.may_be_forgotten())
}

/// Before anything is prepared: one search right before the send is enough, unless the network has none,
/// or what went out just before the store was brought back may not be listed yet.
pub(super) fn cannot_search(work: &Work, settle: SignedDuration, now: Moment) -> Option<Event> {
    let event = event(&work.delivery, now, Recall::Now)?;
    let settled = work.delivery.restored?.at.waited(now) >= settle;
    (!settled || scan(work, now.wall).is_none()).then_some(event)
}
