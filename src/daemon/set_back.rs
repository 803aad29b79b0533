//! What was written with a clock that was ahead, found when the clock is right again: calls of a time that is
//! still to come, and waits until then, which would last as long as the clock was ahead.

use jiff::{SignedDuration, Timestamp};

use super::ledger::{each_resting, look_at, moved};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::moment::Moment;
use crate::engine::LONGEST;
use crate::planted::planted;
use crate::store::{Source, Store, StoreError, Tx};

/// Brings near what waits for a time that the clock showed before it was put back by `by`: it waits as long
/// as it still had to. What waits for less than half of that may have been written before the clock went wrong,
/// and stays. Returns how many were moved.
///
/// # Errors
/// Those of the store.
pub fn bring_near(tx: &mut Tx<'_>, by: SignedDuration, now: Moment) -> Result<usize, StoreError> {
    if planted("clock set back forgotten") {
        return Ok(0);
    }
    nearer(tx, by / 2, now, |until| until.saturating_sub(by).unwrap_or(now.wall))
}

/// The same at a start, where nobody knows by how much: what waits longer than anything may is due.
fn bring_near_at_start(store: &Store, now: Moment) -> Result<(), StoreError> {
    // Hardly ever is there one, and a start must not wait for a commit.
    if !store.read(|rx| far(rx, LONGEST, now))?.is_empty() {
        store.write_blocking(move |tx| nearer(tx, LONGEST, now, |_| now.wall).map(drop))?;
    }
    Ok(())
}

/// What waits longer than `least` for its next try or look, and until when.
fn far(
    source: &impl Source,
    least: SignedDuration,
    now: Moment,
) -> Result<Vec<(Delivery, Timestamp)>, StoreError> {
    let limit = now.wall.saturating_add(least).unwrap_or(Timestamp::MAX);
    let mut found = Vec::new();
    for state in [State::Unknown, State::Retry] {
        each_resting(source, state, |it| {
            // Of what is to be tried, the time itself may really be still to come.
            let ahead = |until| state == State::Retry && it.due.instant >= until && !it.begun();
            let until = it.wakes_at().filter(|until| *until > limit && !ahead(*until));
            found.extend(until.map(|until| (it, until)));
            Ok(())
        })?;
    }
    Ok(found)
}

/// Moves the next try or look of what waits longer than `least`.
fn nearer(
    tx: &mut Tx<'_>,
    least: SignedDuration,
    now: Moment,
    to: impl Fn(Timestamp) -> Timestamp,
) -> Result<usize, StoreError> {
    let mut many = 0;
    for (before, until) in far(tx, least, now)? {
        let at = to(until).max(now.wall);
        let event = if before.state == State::Unknown { look_at(&before, at) } else { Event::Nearer { at } };
        many += usize::from(moved(tx, &before, event, "clock_was_ahead", now)?);
    }
    Ok(many)
}

/// What is in doubt since a time that is still to come was sent with a clock that was ahead, and waits for
/// its next look as much too long. It is looked for at once, while that still shows: by then the time of
/// the call tells nothing any more.
pub(super) fn look_for_what_is_still_to_come(store: &Store, now: Moment) -> Result<(), StoreError> {
    let mut ahead = Vec::new();
    store.read(|rx| {
        each_resting(rx, State::Unknown, |it| {
            let first = it.flight.first_sent.filter(|first| first.wall > now.wall && !first.same_boot(now));
            ahead.extend(Some(it).filter(|it| first.is_some() && !it.held && !it.is_left()));
            Ok(())
        })
    })?;
    for before in ahead {
        store.write_blocking(move |tx| {
            moved(tx, &before, look_at(&before, now.wall), "clock_was_ahead", now).map(drop)
        })?;
    }
    bring_near_at_start(store, now)
}
