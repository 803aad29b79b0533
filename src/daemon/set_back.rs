//! What was written with a clock that was ahead, found when the clock is right again: calls of a time that is
//! still to come, and waits until then, which would last as long as the clock was ahead.

use jiff::{SignedDuration, Timestamp};

use super::ledger::{RESTING, moved};
use crate::domain::delivery::{Delivery, Event, Looked, State};
use crate::domain::moment::Moment;
use crate::store::{Store, StoreError, Tx, deliveries};

/// Nothing waits longer than this for its next try or look: networks ask for a day at the most.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);

/// Brings near what waits for a time that the clock showed before it was put back by `by`: it waits as long
/// as it still had to. What waits for less than half of that may have been written before the clock went wrong,
/// and stays. Returns how many were moved.
///
/// # Errors
/// Those of the store.
pub fn bring_near(tx: &mut Tx<'_>, by: SignedDuration, now: Moment) -> Result<usize, StoreError> {
    nearer(tx, by / 2, now, |at| at.saturating_sub(by).unwrap_or(now.wall))
}

/// The same at a start, where nobody knows by how much: what waits longer than anything may is due.
///
/// # Errors
/// Those of the store.
fn bring_near_at_start(store: &Store, now: Moment) -> Result<(), StoreError> {
    let limit = now.wall.saturating_add(LONGEST).unwrap_or(Timestamp::MAX);
    let waits = |it: &Delivery| it.state != State::Scheduled && it.wakes_at().is_some_and(|at| at > limit);
    // Hardly ever is there one, and a start must not wait for a commit.
    let any = store.read(|rx| {
        for state in [State::Unknown, State::Retry] {
            for id in deliveries::due_between(rx, state, Timestamp::MIN, Timestamp::MAX, RESTING)? {
                if deliveries::get(rx, id)?.is_some_and(|it| waits(&it)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    })?;
    if any {
        store.write_blocking(move |tx| nearer(tx, LONGEST, now, |_| now.wall).map(drop))?;
    }
    Ok(())
}

/// Moves the next try or look of what waits longer than `least`.
fn nearer(
    tx: &mut Tx<'_>,
    least: SignedDuration,
    now: Moment,
    to: impl Fn(Timestamp) -> Timestamp,
) -> Result<usize, StoreError> {
    let least = now.wall.saturating_add(least).unwrap_or(Timestamp::MAX);
    let mut many = 0;
    for state in [State::Unknown, State::Retry] {
        for id in deliveries::due_between(tx, state, Timestamp::MIN, Timestamp::MAX, RESTING)? {
            let Some(before) = deliveries::get(tx, id)? else { continue };
            let Some(until) = before.wakes_at().filter(|until| *until > least) else { continue };
            let at = to(until).max(now.wall);
            let event = if state == State::Unknown {
                let absent_at = before.flight.absent_at;
                Event::Look { kind: Looked::Asked, next_check: at, absent_at, reason: None }
            } else if before.due.instant >= until && !before.begun() {
                // Its time is really still to come.
                continue;
            } else {
                Event::Nearer { at }
            };
            many += usize::from(moved(tx, &before, event, "clock_was_ahead", now)?);
        }
    }
    Ok(many)
}

/// What is in doubt since a time that is still to come was sent with a clock that was ahead, and waits for
/// its next look as much too long. It is looked for at once, while that still shows: by then the time of
/// the call tells nothing any more.
pub(super) fn look_for_what_is_still_to_come(store: &Store, now: Moment) -> Result<(), StoreError> {
    let ahead = |it: &Delivery| {
        let first = it.flight.first_sent.filter(|first| first.wall > now.wall && !first.same_boot(now));
        first.is_some() && !it.held && !it.is_left()
    };
    let unknown = store
        .read(|rx| deliveries::due_between(rx, State::Unknown, Timestamp::MIN, Timestamp::MAX, RESTING))?;
    for id in unknown {
        let Some(before) = store.read(|rx| deliveries::get(rx, id))?.filter(&ahead) else { continue };
        let absent_at = before.flight.absent_at;
        let event = Event::Look { kind: Looked::Asked, next_check: now.wall, absent_at, reason: None };
        store
            .write_blocking(move |tx| moved(tx, &before, event.clone(), "clock_was_ahead", now).map(drop))?;
    }
    bring_near_at_start(store, now)
}
