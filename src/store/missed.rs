//! What went wrong when nobody could do anything about it any more, by the time at which that was found:
//! what came too late, and what a network took and could not publish.
//!
//! A delivery's own time says nothing here: after a downtime of three days it lies three days back.
//! Each index has a row per such delivery that nobody has taken up since, so telling their number
//! costs what was found lately and not what is stored.

use jiff::{SignedDuration, Timestamp};
use redb::{ReadableTable, TableDefinition};

use super::deliveries;
use super::errors::StoreError;
use super::tables::{MISSED, NOTHING};
use super::tx::{Source, Tx};
use crate::domain::attempt::Transition;
use crate::domain::delivery::{self, Delivery, State};
use crate::domain::ids::DeliveryId;

/// A row is of no use any more after this.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Old rows that go with each new one.
const SWEPT: usize = 2;

/// What there is to tell of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It came too late.
    Missed,
    /// Its network took it and could not publish it.
    Nothing,
}

impl Loss {
    pub(super) const ALL: [Self; 2] = [Self::Missed, Self::Nothing];

    /// What there is to tell of this one, if anything.
    pub(super) fn of(it: &Delivery) -> Option<Self> {
        match it.state {
            State::Missed => Some(Self::Missed),
            State::Published if it.came_to_nothing() => Some(Self::Nothing),
            _ => None,
        }
    }

    pub(super) fn table(self) -> TableDefinition<'static, (i64, u128), ()> {
        match self {
            Self::Missed => MISSED,
            Self::Nothing => NOTHING,
        }
    }

    /// Whether this move is the one that is told.
    fn told_by(self, row: &Transition) -> bool {
        match self {
            Self::Missed => row.to == State::Missed,
            Self::Nothing => row.reason.as_ref().is_some_and(|it| it.class == delivery::NOTHING),
        }
    }
}

/// Notes a loss. Called by the function that writes the delivery, and by nobody else.
pub(super) fn note(tx: &mut Tx<'_>, loss: Loss, id: DeliveryId, at: Timestamp) -> Result<(), StoreError> {
    tx.insert(loss.table(), (at.as_millisecond(), id.as_u128()), ())?;
    let old = at.saturating_sub(KEPT).unwrap_or(Timestamp::MIN).as_millisecond();
    let mut gone = Vec::new();
    for row in tx.table(loss.table())?.range(..(old, 0))?.take(SWEPT) {
        gone.push(row?.0.value());
    }
    for key in gone {
        tx.remove(loss.table(), key)?;
    }
    Ok(())
}

/// A person has taken it up, or it is removed: it is not told any more.
pub fn let_go(tx: &mut Tx<'_>, it: &Delivery) -> Result<(), StoreError> {
    let Some(loss) = Loss::of(it) else { return Ok(()) };
    for row in deliveries::history(tx, it.id)? {
        if loss.told_by(&row) {
            tx.remove(loss.table(), (row.at.as_millisecond(), it.id.as_u128()))?;
        }
    }
    Ok(())
}

/// Those that were found within `span` of `now` and are not taken up, the oldest first, up to `max`. A clock
/// that was set back since makes no difference: they lie ahead then.
pub fn lately(
    source: &impl Source,
    loss: Loss,
    now: Timestamp,
    span: SignedDuration,
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let from = now.saturating_sub(span).unwrap_or(Timestamp::MIN).as_millisecond();
    let to = now.saturating_add(span).unwrap_or(Timestamp::MAX).as_millisecond();
    let table = source.table(loss.table())?;
    let rows = table.range((from, 0)..=(to, u128::MAX))?.take(max);
    rows.map(|row| Ok(DeliveryId::from_u128(row?.0.value().1))).collect()
}
