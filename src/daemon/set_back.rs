//! What was written with a clock that was ahead, found when the clock is right again: calls of a time that is
//! still to come, and waits until then, which would last as long as the clock was ahead.

use jiff::{SignedDuration, Timestamp};

use super::ledger::{each_resting, look_at, moved};
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::moment::Moment;
use crate::engine::LONGEST;
use crate::planted::planted;
use crate::store::{StoreError, Tx};

/// The name under which such a move stands in the history.
pub(super) const WAS_AHEAD: &str = "clock_was_ahead";

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
    let limit = now.wall.saturating_add(by / 2).unwrap_or(Timestamp::MAX);
    let mut far = Vec::new();
    for state in [State::Unknown, State::Retry] {
        each_resting(tx, state, |it| {
            far.extend(is_far(&it, limit).map(|until| (it, until)));
            Ok(())
        })?;
    }
    let mut many = 0;
    for (before, until) in far {
        let at = until.saturating_sub(by).unwrap_or(now.wall).max(now.wall);
        many += usize::from(moved(tx, &before, near(&before, at), WAS_AHEAD, now)?);
    }
    Ok(many)
}

/// The same at a start, where nobody knows by how much: what waits longer than anything may is due. So is what is
/// in doubt since a time that is still to come: it was sent with a clock that was ahead, and waits for its next look
/// as much too long. It is looked for at once, while that still shows: by then the time of the call tells nothing
/// any more. None: it waits as it should.
pub(super) fn at_start(it: &Delivery, now: Moment) -> Option<Event> {
    let limit = now.wall.saturating_add(LONGEST).unwrap_or(Timestamp::MAX);
    let first = it.flight.first_sent.filter(|first| first.wall > now.wall && !first.same_boot(now));
    let ahead = it.state == State::Unknown && first.is_some() && !it.held && !it.is_left();
    (ahead || is_far(it, limit).is_some()).then(|| near(it, now.wall))
}

/// Until when it waits for its next try or look, if that is later than `limit`.
fn is_far(it: &Delivery, limit: Timestamp) -> Option<Timestamp> {
    // Of what is to be tried, the time itself may really be still to come.
    let ahead = |until| it.state == State::Retry && it.due.instant >= until && !it.begun();
    it.wakes_at().filter(|until| *until > limit && !ahead(*until))
}

fn near(it: &Delivery, at: Timestamp) -> Event {
    if it.state == State::Unknown { look_at(it, at) } else { Event::Nearer { at } }
}
