//! The log: what happened, in the order in which it became durable.
//!
//! Every move of a delivery gets its number in the very transaction that writes it, so the log
//! cannot lose one, tell one that did not happen, or tell one twice: a reader that knows the number
//! it read last goes on from there, over any restart. The words of a move lie in the delivery's own
//! history and go when it is deleted. What happens beside the deliveries has rows of its own.

use jiff::Timestamp;
use redb::ReadableTable;

use super::deliveries;
use super::errors::StoreError;
use super::records::{Key, Place, decode, encode};
use super::tables::{EVENTS, JOURNAL};
use super::tx::{Source, Tx};
use crate::domain::attempt::Transition;
use crate::domain::delivery::Delivery;
use crate::domain::ids::DeliveryId;

/// Something that happened beside the deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub at: Timestamp,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// `account.connected`, `recurring.skipped`, …
    pub event: String,
    pub message: String,
    /// `platform:name`, where it is about one account.
    pub account: Option<String>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A move, and the delivery as it is by now.
    Move(Box<Delivery>, Transition),
    Beside(Happening),
}

/// A part of the log.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Number and line, oldest first. Lines of deleted deliveries are gone.
    pub entries: Vec<(u64, Entry)>,
    /// The number of the last line looked at, told or gone.
    pub last: u64,
    /// There may be more behind it.
    pub more: bool,
}

/// Gives a move its place. Called by the function that writes the history, and by nobody else.
pub(super) fn add_move(tx: &mut Tx<'_>, at: Timestamp, id: DeliveryId, n: u32) -> Result<(), StoreError> {
    let seq = newest(tx)?.saturating_add(1);
    tx.insert(JOURNAL, seq, (at.as_millisecond(), id.as_u128(), n)).map(drop)
}

/// Writes down what happened beside the deliveries.
pub fn add(tx: &mut Tx<'_>, it: &Happening) -> Result<(), StoreError> {
    let seq = newest(tx)?.saturating_add(1);
    tx.insert(JOURNAL, seq, (it.at.as_millisecond(), 0, 0))?;
    let row = encode(place(seq), it)?;
    tx.insert(EVENTS, seq, row.as_slice()).map(drop)
}

/// The number of the newest line; 0 if nothing has happened yet.
pub fn newest(source: &impl Source) -> Result<u64, StoreError> {
    Ok(source.table(JOURNAL)?.last()?.map_or(0, |(seq, _)| seq.value()))
}

/// The number of the oldest line that is kept.
pub fn oldest(source: &impl Source) -> Result<u64, StoreError> {
    Ok(source.table(JOURNAL)?.first()?.map_or(0, |(seq, _)| seq.value()))
}

/// The number behind which the newest `n` lines begin.
pub fn behind(source: &impl Source, n: usize) -> Result<u64, StoreError> {
    let table = source.table(JOURNAL)?;
    let first = table.iter()?.rev().nth(n).transpose()?;
    Ok(first.map_or(0, |(seq, _)| seq.value()))
}

/// The moves of deliveries since an instant and behind a line, newest first, out of the last `max` lines.
pub fn moves_since(
    source: &impl Source,
    (since, line): (Timestamp, u64),
    max: usize,
) -> Result<Vec<(DeliveryId, u32)>, StoreError> {
    let table = source.table(JOURNAL)?;
    let mut found = Vec::new();
    for row in table.range(line.saturating_add(1)..)?.rev().take(max) {
        let (ms, delivery, n) = row?.1.value();
        if delivery != 0 && ms >= since.as_millisecond() {
            found.push((DeliveryId::from_u128(delivery), n));
        }
    }
    Ok(found)
}

/// The moves behind a number that happened by an instant, oldest first, out of at most `max` lines; and the
/// number of the last line looked at.
pub fn moves_until(
    source: &impl Source,
    after: u64,
    by: Timestamp,
    max: usize,
) -> Result<(Vec<(DeliveryId, u32)>, u64), StoreError> {
    let (mut found, mut last) = (Vec::new(), after);
    for row in source.table(JOURNAL)?.range(after.saturating_add(1)..)?.take(max) {
        let (seq, place_of) = row?;
        let (ms, delivery, n) = place_of.value();
        if ms > by.as_millisecond() {
            break;
        }
        last = seq.value();
        if delivery != 0 {
            found.push((DeliveryId::from_u128(delivery), n));
        }
    }
    Ok((found, last))
}

/// The lines after a number, at most `max` looked at.
pub fn after(source: &impl Source, after: u64, max: usize) -> Result<Page, StoreError> {
    let mut page = Page { last: after, ..Page::default() };
    let table = source.table(JOURNAL)?;
    let mut looked = 0;
    for row in table.range(after.saturating_add(1)..)?.take(max) {
        let (seq, place_of) = row?;
        let (seq, (_, delivery, n)) = (seq.value(), place_of.value());
        looked += 1;
        page.last = seq;
        if let Some(entry) = read(source, seq, delivery, n)? {
            page.entries.push((seq, entry));
        }
    }
    page.more = looked == max;
    Ok(page)
}

fn read(source: &impl Source, seq: u64, delivery: u128, n: u32) -> Result<Option<Entry>, StoreError> {
    if delivery == 0 {
        let table = source.table(EVENTS)?;
        let row = table.get(seq)?;
        return row.map(|row| decode(place(seq), row.value()).map(Entry::Beside)).transpose();
    }
    let id = DeliveryId::from_u128(delivery);
    let Some(row) = deliveries::history_row(source, id, n)? else { return Ok(None) };
    Ok(deliveries::get(source, id)?.map(|it| Entry::Move(Box::new(it), row)))
}

/// Removes up to `max` lines older than an instant; says how many. The newest line stays, so that
/// numbers never begin anew.
pub fn prune(tx: &mut Tx<'_>, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let last = newest(tx)?;
    let mut old = Vec::new();
    for row in tx.table(JOURNAL)?.iter()?.take(max) {
        let (seq, row) = row?;
        if row.value().0 >= before.as_millisecond() || seq.value() == last {
            break;
        }
        old.push(seq.value());
    }
    for seq in &old {
        tx.remove(JOURNAL, *seq)?;
        tx.remove(EVENTS, *seq)?;
    }
    Ok(old.len())
}

fn place(seq: u64) -> Place {
    Place { table: "events", key: Key::Id("event ", u128::from(seq)) }
}
