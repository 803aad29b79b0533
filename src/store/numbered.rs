//! What belongs to a delivery by number: its publishing calls and its moves.

use jiff::Timestamp;
use redb::{ReadableTable, TableHandle as _};

use super::errors::StoreError;
use super::journal;
use super::records::{Key, Place, Stored, decode, encode};
use super::tables::{ATTEMPTS, HISTORY};
use super::tx::{Source, Tx};
use crate::domain::attempt::{Attempt, Transition};
use crate::domain::ids::DeliveryId;

/// The publishing calls of a delivery, oldest first.
pub fn attempts(source: &impl Source, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
    rows(source, ATTEMPTS, id)
}

/// The moves of a delivery, oldest first.
pub fn history(source: &impl Source, id: DeliveryId) -> Result<Vec<Transition>, StoreError> {
    rows(source, HISTORY, id)
}

/// One move of a delivery.
pub fn history_row(source: &impl Source, id: DeliveryId, n: u32) -> Result<Option<Transition>, StoreError> {
    let key = id.as_u128();
    let table = source.table(HISTORY)?;
    table.get((key, n))?.map(|row| decode(numbered(HISTORY, key, n), row.value())).transpose()
}

/// The number the next publishing call of a delivery gets, from 1.
pub fn next_attempt(source: &impl Source, id: DeliveryId) -> Result<u32, StoreError> {
    next_number(source, ATTEMPTS, id)
}

/// Writes a publishing call before it is made. Its number must be [`next_attempt`].
pub fn add_attempt(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), StoreError> {
    let expected = next_attempt(tx, attempt.delivery)?;
    if attempt.n != expected {
        return Err(StoreError::conflict(format!(
            "attempt {} of delivery `{}` is out of order (the next is {expected})",
            attempt.n, attempt.delivery
        )));
    }
    write_row(tx, ATTEMPTS, attempt.delivery, attempt.n, attempt)
}

/// Completes a publishing call with what came of it. Only the end may differ from what was written
/// before, and only once.
pub fn end_attempt(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), StoreError> {
    let id = attempt.delivery.as_u128();
    let at = numbered(ATTEMPTS, id, attempt.n);
    let as_begun =
        Attempt { ended: None, outcome: None, status: None, raw: None, trace: None, ..attempt.clone() };
    {
        let table = tx.table(ATTEMPTS)?;
        let row = table.get((id, attempt.n))?.ok_or_else(|| {
            StoreError::not_found(format!("attempt {} of delivery `{}`", attempt.n, attempt.delivery))
        })?;
        // As in `unchanged`.
        let same = row.value() == encode(at, &as_begun)?.as_slice()
            || decode::<Attempt>(at, row.value())? == as_begun;
        if !same {
            return Err(StoreError::conflict(format!(
                "attempt {} of delivery `{}` is complete already, or another",
                attempt.n, attempt.delivery
            )));
        }
    }
    write_row(tx, ATTEMPTS, attempt.delivery, attempt.n, attempt)
}

/// Writes a row of the history without a change of the delivery (a look, a note). Returns its number.
pub fn append_history(tx: &mut Tx<'_>, id: DeliveryId, transition: Transition) -> Result<u32, StoreError> {
    append_all(tx, id, [transition]).map(Option::unwrap_or_default)
}

/// Forgets what the network answered before a move of a delivery; what was made of it stays. `false`: there
/// was nothing to forget.
pub fn forget_answer(tx: &mut Tx<'_>, id: DeliveryId, n: u32) -> Result<bool, StoreError> {
    let Some(mut row) = history_row(tx, id, n)? else { return Ok(false) };
    let answer = row.answer.as_mut().and_then(|it| it.raw.take());
    let reason = row.reason.as_mut().and_then(|it| it.raw.take());
    if answer.is_none() && reason.is_none() {
        return Ok(false);
    }
    write_row(tx, HISTORY, id, n, &row)?;
    Ok(true)
}

/// The same of the publishing calls of a delivery that ended by an instant.
pub fn forget_attempts(tx: &mut Tx<'_>, id: DeliveryId, by: Timestamp) -> Result<(), StoreError> {
    for mut row in attempts(tx, id)? {
        if row.ended.is_some_and(|at| at <= by) && row.raw.take().is_some() {
            write_row(tx, ATTEMPTS, id, row.n, &row)?;
        }
    }
    Ok(())
}

pub(super) fn append_all(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    transitions: impl IntoIterator<Item = Transition>,
) -> Result<Option<u32>, StoreError> {
    let mut last = None;
    for mut transition in transitions {
        transition.seq = match last {
            Some(n) => n + 1,
            None => next_number(tx, HISTORY, id)?,
        };
        write_row(tx, HISTORY, id, transition.seq, &transition)?;
        journal::add_move(tx, transition.at, id, transition.seq)?;
        last = Some(transition.seq);
    }
    Ok(last)
}

type Numbered = redb::TableDefinition<'static, (u128, u32), &'static [u8]>;

fn next_number(source: &impl Source, table: Numbered, id: DeliveryId) -> Result<u32, StoreError> {
    let id = id.as_u128();
    let table = source.table(table)?;
    let last = table.range((id, 0)..=(id, u32::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().1).saturating_add(1))
}

fn rows<D: Stored>(source: &impl Source, table: Numbered, id: DeliveryId) -> Result<Vec<D>, StoreError> {
    let key = id.as_u128();
    let mut found = Vec::new();
    for row in source.table(table)?.range((key, 0)..=(key, u32::MAX))? {
        let (at, bytes) = row?;
        let n = at.value().1;
        found.push(decode(numbered(table, key, n), bytes.value())?);
    }
    Ok(found)
}

fn write_row<D: Stored>(
    tx: &mut Tx<'_>,
    table: Numbered,
    id: DeliveryId,
    n: u32,
    value: &D,
) -> Result<(), StoreError> {
    let key = id.as_u128();
    let row = encode(numbered(table, key, n), value)?;
    tx.insert(table, (key, n), row.as_slice()).map(drop)
}

fn numbered(table: Numbered, id: u128, n: u32) -> Place {
    let table = if table.name() == ATTEMPTS.name() { "attempts" } else { "history" };
    Place { table, key: Key::Numbered(DeliveryId::PREFIX, id, n) }
}
