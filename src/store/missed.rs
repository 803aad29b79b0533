//! What came too late, by the time at which that was found.
//!
//! A delivery's own time says nothing here: after a downtime of three days it lies three days back.
//! The index has a row per missed delivery that nobody has taken up since, so telling their number
//! costs what was missed lately and not what is stored.

use jiff::{SignedDuration, Timestamp};
use redb::ReadableTable;

use super::deliveries;
use super::errors::StoreError;
use super::tables::MISSED;
use super::tx::{Source, Tx};
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::DeliveryId;

/// A row is of no use any more after this.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Old rows that go with each new one.
const SWEPT: usize = 2;

/// Notes that a delivery was found too late. Called by the function that writes it, and by nobody else.
pub(super) fn note(tx: &mut Tx<'_>, id: DeliveryId, at: Timestamp) -> Result<(), StoreError> {
    tx.insert(MISSED, (at.as_millisecond(), id.as_u128()), ())?;
    let old = at.saturating_sub(KEPT).unwrap_or(Timestamp::MIN).as_millisecond();
    let mut gone = Vec::new();
    for row in tx.table(MISSED)?.range(..(old, 0))?.take(SWEPT) {
        gone.push(row?.0.value());
    }
    for key in gone {
        tx.remove(MISSED, key)?;
    }
    Ok(())
}

/// A person has taken it up, or it is removed: it is not told any more.
pub fn let_go(tx: &mut Tx<'_>, it: &Delivery) -> Result<(), StoreError> {
    if it.state != State::Missed {
        return Ok(());
    }
    for row in deliveries::history(tx, it.id)? {
        if row.to == State::Missed {
            tx.remove(MISSED, (row.at.as_millisecond(), it.id.as_u128()))?;
        }
    }
    Ok(())
}

/// How many were found too late within `span` of `now` and are not taken up, counted up to `max`. A clock
/// that was set back since makes no difference: they lie ahead then.
pub fn lately(
    source: &impl Source,
    now: Timestamp,
    span: SignedDuration,
    max: usize,
) -> Result<usize, StoreError> {
    let from = now.saturating_sub(span).unwrap_or(Timestamp::MIN).as_millisecond();
    let to = now.saturating_add(span).unwrap_or(Timestamp::MAX).as_millisecond();
    let table = source.table(MISSED)?;
    let mut found = 0;
    for row in table.range((from, 0)..=(to, u128::MAX))?.take(max) {
        row?;
        found += 1;
    }
    Ok(found)
}
