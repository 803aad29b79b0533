//! Deliveries, their calls and their moves.
//!
//! [`put`] is the only function that writes a delivery. It changes the row and every index of it
//! together, and refuses if the row is not the one the caller started from.

use std::ops::Bound;

use jiff::Timestamp;
use redb::ReadableTable;
use sha2::{Digest, Sha256};

use super::errors::StoreError;
use super::numbered::append_all;
pub use super::numbered::{
    add_attempt, append_history, attempts, end_attempt, forget_answer, forget_attempts, history, history_row,
    next_attempt,
};
use super::records::{Key, Place, decode, encode};
use super::tables::{
    ATTEMPTS, BOUND, BY_ACCOUNT, BY_POST, BY_STATE, COUNTS, DELIVERIES, DUE, HISTORY, IN_FLIGHT, NEEDS,
    OPEN_BY_ACCOUNT, OPEN_MARKERS, TOMBSTONES,
};
use super::tx::{Source, Tx};
use super::{fetches, missed, zones};
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{AccountId, DeliveryId, PostId};

/// Which deliveries of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that have not ended.
    Open,
    All,
}

/// Writes a delivery, with the moves that led from `was` to `now`, if any, and keeps all indexes in step.
///
/// `was` is the row the caller started from, `None` for a new one: if the stored row is another,
/// the answer is [`StoreError::Conflict`] and nothing is written. A remote id that belongs to
/// another step is refused the same way. Returns the number of the last move in the history, if one
/// was written.
pub fn put(
    tx: &mut Tx<'_>,
    was: Option<&Delivery>,
    now: &Delivery,
    transitions: impl IntoIterator<Item = Transition>,
) -> Result<Option<u32>, StoreError> {
    unchanged(tx, now.id, was)?;
    if was.is_some_and(|was| was.post != now.post || was.account != now.account) {
        return Err(StoreError::conflict(format!(
            "delivery `{}` may not change its post or account",
            now.id
        )));
    }
    bind(tx, was, now)?;
    if let Some(was) = was {
        unindex(tx, was, Some(now))?;
    }
    index(tx, was, now)?;
    let id = now.id.as_u128();
    let row = encode(place(id), now)?;
    tx.insert(DELIVERIES, id, row.as_slice())?;
    if was.is_none_or(|was| was.due.zone != now.due.zone) {
        zones::note(tx, &now.due)?;
    }
    let mut at = now.created_at;
    let told = transitions.into_iter().map(|mut it| {
        at = it.at;
        it.note = it.note.or_else(|| Some(now.tell()));
        it
    });
    let last = append_all(tx, now.id, told)?;
    if let Some(loss) = missed::Loss::of(now).filter(|it| was.and_then(missed::Loss::of) != Some(*it)) {
        missed::note(tx, loss, now.id, at)?;
    }
    Ok(last)
}

/// Refuses unless the stored row is the one the caller started from.
fn unchanged(tx: &Tx<'_>, id: DeliveryId, was: Option<&Delivery>) -> Result<(), StoreError> {
    let key = id.as_u128();
    let table = tx.table(DELIVERIES)?;
    let row = table.get(key)?;
    // The same bytes are the same row, and writing is cheaper than reading. Other bytes may still
    // mean the same, if an older release wrote them.
    if let (Some(row), Some(was)) = (&row, was)
        && row.value() == encode(place(key), was)?.as_slice()
    {
        return Ok(());
    }
    let stored: Option<Delivery> = row.map(|row| decode(place(key), row.value())).transpose()?;
    if stored.as_ref() == was {
        return Ok(());
    }
    Err(StoreError::conflict(match (&stored, was) {
        (None, _) => format!("delivery `{id}` is gone"),
        (Some(_), None) => format!("delivery `{id}` exists already"),
        (Some(it), Some(_)) => {
            format!("delivery `{id}` was changed meanwhile (it is `{}` now)", it.state.as_str())
        }
    }))
}

/// One delivery.
pub fn get(source: &impl Source, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    let key = id.as_u128();
    let table = source.table(DELIVERIES)?;
    table.get(key)?.map(|row| decode(place(key), row.value())).transpose()
}

/// One delivery, or [`StoreError::NotFound`].
pub fn need(source: &impl Source, id: DeliveryId) -> Result<Delivery, StoreError> {
    get(source, id)?.ok_or_else(|| StoreError::not_found(format!("delivery `{id}`")))
}

/// A row of the due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRow {
    /// The millisecond it falls in.
    pub at: Timestamp,
    pub id: DeliveryId,
    pub account: AccountId,
    /// It is to be looked up, not to be sent.
    pub unknown: bool,
}

/// What is to be looked at by `until`, earliest first, at most `max`.
pub fn due(source: &impl Source, until: Timestamp, max: usize) -> Result<Vec<DueRow>, StoreError> {
    let table = source.table(DUE)?;
    let mut found = Vec::new();
    for row in table.range(..=(until.as_millisecond(), u128::MAX))?.take(max) {
        let (key, value) = row?;
        let ((ms, id), (account, unknown)) = (key.value(), value.value());
        found.push(DueRow {
            at: instant(ms),
            id: DeliveryId::from_u128(id),
            account: AccountId::from_u128(account),
            unknown,
        });
    }
    Ok(found)
}

/// When the next delivery is to be looked at; the millisecond it falls in.
pub fn next_due(source: &impl Source) -> Result<Option<Timestamp>, StoreError> {
    Ok(source.table(DUE)?.first()?.map(|(key, _)| instant(key.value().0)))
}

/// The same, of those that are not due yet.
pub fn next_due_after(source: &impl Source, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let table = source.table(DUE)?;
    let mut later = table.range((now.as_millisecond(), u128::MAX)..)?;
    later.next().map(|row| Ok(instant(row?.0.value().0))).transpose()
}

/// Deliveries in a state whose instant lies after `after`, up to and including `upto`, earliest
/// first, at most `max`.
pub fn due_between(
    source: &impl Source,
    state: State,
    after: Timestamp,
    upto: Timestamp,
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let page = due_page(source, state, behind(after), upto, max)?;
    Ok(page.into_iter().map(|(_, _, id)| DeliveryId::from_u128(id)).collect())
}

/// A place among the deliveries of a state: (due, post, delivery).
pub type Due = (i64, u128, u128);

/// The place behind everything due at an instant.
pub fn behind(at: Timestamp) -> Due {
    (at.as_millisecond(), u128::MAX, u128::MAX)
}

/// As [`due_between`], from behind a place on: the last one found is where the next page begins.
pub fn due_page(
    source: &impl Source,
    state: State,
    after: Due,
    upto: Timestamp,
    max: usize,
) -> Result<Vec<Due>, StoreError> {
    let (word, upto) = (state.as_str(), behind(upto));
    if after >= upto {
        return Ok(Vec::new());
    }
    let at = |it: Due| (word, it.0, it.1, it.2);
    let (from, to) = (Bound::Excluded(at(after)), Bound::Included(at(upto)));
    let mut found = Vec::new();
    for row in source.table(BY_STATE)?.range::<(&str, i64, u128, u128)>((from, to))?.take(max) {
        let (_, ms, post, id) = row?.0.value();
        found.push((ms, post, id));
    }
    Ok(found)
}

/// Everything a worker owned (claimed, preparing, sending): start-up's list.
pub fn in_flight(source: &impl Source) -> Result<Vec<DeliveryId>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(IN_FLIGHT)?.iter()? {
        found.push(DeliveryId::from_u128(row?.0.value()));
    }
    Ok(found)
}

/// The deliveries of a post, in the order they were made.
pub fn of_post(source: &impl Source, post: PostId) -> Result<Vec<Delivery>, StoreError> {
    let post = post.as_u128();
    let mut found = Vec::new();
    for row in source.table(BY_POST)?.range((post, 0)..=(post, u128::MAX))? {
        found.push(need(source, DeliveryId::from_u128(row?.0.value().1))?);
    }
    Ok(found)
}

/// The deliveries of an account, earliest first, at most `max`.
pub fn of_account(
    source: &impl Source,
    account: AccountId,
    which: Which,
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let table = source.table(match which {
        Which::Open => OPEN_BY_ACCOUNT,
        Which::All => BY_ACCOUNT,
    })?;
    earliest(&*table, account, i64::MAX, max)
}

/// The first rows of an account in one of its indexes, up to and including a millisecond.
fn earliest(
    table: &(impl ReadableTable<Open, ()> + ?Sized),
    account: AccountId,
    upto: i64,
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let account = account.as_u128();
    let rows = table.range((account, i64::MIN, 0, 0)..=(account, upto, u128::MAX, u128::MAX))?;
    rows.take(max).map(|row| Ok(DeliveryId::from_u128(row?.0.value().3))).collect()
}

/// What of an account has not ended and is due by an instant, earliest first; and behind it what is under way
/// already although its time is still to come, as after a clock that was set back. At most `max`. What other
/// accounts have waiting costs nothing.
pub fn under_way(
    source: &impl Source,
    account: AccountId,
    until: Timestamp,
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let table = source.table(OPEN_BY_ACCOUNT)?;
    let mut found = earliest(&*table, account, until.as_millisecond(), max)?;
    let account = account.as_u128();
    for state in [State::Claimed, State::Preparing, State::Sending, State::Unknown, State::Retry] {
        for (ms, post, id) in due_page(source, state, behind(until), Timestamp::MAX, max)? {
            if found.len() < max && table.get((account, ms, post, id))?.is_some() {
                found.push(DeliveryId::from_u128(id));
            }
        }
    }
    Ok(found)
}

/// The deliveries of an account that are due from one instant to another, latest first, at most `max`.
pub fn of_account_between(
    source: &impl Source,
    account: AccountId,
    (from, to): (Timestamp, Timestamp),
    max: usize,
) -> Result<Vec<DeliveryId>, StoreError> {
    let account = account.as_u128();
    let (from, to) = (from.as_millisecond(), to.as_millisecond());
    let table = source.table(BY_ACCOUNT)?;
    let rows = table.range((account, from, 0, 0)..=(account, to, u128::MAX, u128::MAX))?;
    rows.rev().take(max).map(|row| Ok(DeliveryId::from_u128(row?.0.value().3))).collect()
}

/// A place in the list of what has not ended: [`open_after`] goes on from there.
pub type Open = (u128, i64, u128, u128);

/// What has not ended, over all accounts, behind a place in that list, at most `max`: for a store that
/// was rolled back.
pub fn open_after(source: &impl Source, after: Option<Open>, max: usize) -> Result<Vec<Open>, StoreError> {
    let table = source.table(OPEN_BY_ACCOUNT)?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    table.range::<Open>((from, Bound::Unbounded))?.take(max).map(|row| Ok(row?.0.value())).collect()
}

/// The deliveries that wait for this account to be connected again.
pub fn needs_reconnect(source: &impl Source, account: AccountId) -> Result<Vec<DeliveryId>, StoreError> {
    let account = account.as_u128();
    let mut found = Vec::new();
    for row in source.table(NEEDS)?.range((account, 0)..=(account, u128::MAX))? {
        found.push(DeliveryId::from_u128(row?.0.value().1));
    }
    Ok(found)
}

/// How many deliveries are in each state that has any. `held` counts again those of `unknown` that
/// wait for the user.
pub fn counts(source: &impl Source) -> Result<Vec<(String, u64)>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(COUNTS)?.iter()? {
        let (word, n) = row?;
        found.push((word.value().to_owned(), n.value()));
    }
    Ok(found)
}

/// All deliveries due from `from` until before `to`, in whatever state, earliest first, at most `max`.
pub fn between(
    source: &impl Source,
    from: Timestamp,
    to: Timestamp,
    max: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let (low, high) = (from.as_millisecond(), to.as_millisecond());
    let table = source.table(BY_STATE)?;
    let mut found = Vec::new();
    for state in State::ALL {
        let word = state.as_str();
        for row in table.range((word, low, 0, 0)..(word, high, 0, 0))?.take(max) {
            let (_, ms, _, id) = row?.0.value();
            found.push((ms, DeliveryId::from_u128(id)));
        }
    }
    found.sort_unstable();
    found.truncate(max);
    found.into_iter().map(|(_, id)| need(source, id)).collect()
}

/// The step a remote object belongs to.
pub fn bound(
    source: &impl Source,
    account: AccountId,
    remote_id: &str,
) -> Result<Option<(DeliveryId, u16)>, StoreError> {
    let table = source.table(BOUND)?;
    let row = table.get((account.as_u128(), short_digest(remote_id)))?;
    Ok(row.map(|it| it.value()).map(|(id, step)| (DeliveryId::from_u128(id), step)))
}

/// The deliveries of an account that may be live under a marker and wait to be looked up, or to be
/// sent again under it.
pub fn open_under(
    source: &impl Source,
    account: AccountId,
    marker: &str,
) -> Result<Vec<DeliveryId>, StoreError> {
    let (account, marker) = (account.as_u128(), short_digest(marker));
    let mut found = Vec::new();
    for row in source.table(OPEN_MARKERS)?.range((account, marker, 0)..=(account, marker, u128::MAX))? {
        found.push(DeliveryId::from_u128(row?.0.value().2));
    }
    Ok(found)
}

/// Notes a marker that must never be sent again.
pub fn bury(tx: &mut Tx<'_>, account: AccountId, marker: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.insert(TOMBSTONES, (account.as_u128(), marker), now.as_millisecond()).map(drop)
}

/// Whether a marker must never be sent again.
pub fn is_buried(source: &impl Source, account: AccountId, marker: &str) -> Result<bool, StoreError> {
    Ok(source.table(TOMBSTONES)?.get((account.as_u128(), marker))?.is_some())
}

/// Removes an ended delivery with its calls and moves. What it published stays bound to it.
pub(super) fn remove(tx: &mut Tx<'_>, it: &Delivery) -> Result<(), StoreError> {
    let id = it.id.as_u128();
    unindex(tx, it, None)?;
    tx.remove(BY_POST, (it.post.as_u128(), id))?;
    tx.remove(DELIVERIES, id)?;
    zones::let_go(tx, it.id)?;
    fetches::remove(tx, it.id)?;
    missed::let_go(tx, it)?;
    for table in [ATTEMPTS, HISTORY] {
        let mut numbers = Vec::new();
        for row in tx.table(table)?.range((id, 0)..=(id, u32::MAX))? {
            numbers.push(row?.0.value().1);
        }
        for n in numbers {
            tx.remove(table, (id, n))?;
        }
    }
    Ok(())
}

/// Ties each live object to its step, for ever (I9).
fn bind(tx: &mut Tx<'_>, was: Option<&Delivery>, it: &Delivery) -> Result<(), StoreError> {
    let account = it.account.as_u128();
    let mut fresh = Vec::new();
    for (at, step) in (0_u16..).zip(&it.steps) {
        // What was decided before stays. A retry begins after the parts that its forerunner made
        // live; they stay that one's.
        let known = match was {
            Some(was) => was.steps.get(usize::from(at)).is_some_and(|old| old.remote_id == step.remote_id),
            None => at < it.step,
        };
        if known {
            continue;
        }
        let Some(remote_id) = step.remote_id.as_deref() else { continue };
        match bound(tx, it.account, remote_id)? {
            Some(owner) if owner == (it.id, at) => {}
            Some((owner, step)) => {
                return Err(StoreError::conflict(format!(
                    "`{remote_id}` belongs to step {step} of delivery `{owner}` already"
                )));
            }
            None => fresh.push((short_digest(remote_id), at)),
        }
    }
    for (digest, at) in fresh {
        tx.insert(BOUND, (account, digest), (it.id.as_u128(), at))?;
    }
    Ok(())
}

/// The words a delivery is listed and counted under.
pub(super) fn words(it: &Delivery) -> impl Iterator<Item = &'static str> {
    let held = it.waits_for_word();
    [Some(it.state.as_str()), held.then_some("held")].into_iter().flatten()
}

/// Its place in the due index, in milliseconds, and whether it is to be looked up.
fn due_row(it: &Delivery) -> Option<(i64, bool)> {
    it.wakes_at().map(|at| (at.as_millisecond(), it.state == State::Unknown))
}

/// The marker it may be live under. Not while the call is on the wire: its lane is busy then, and
/// no other delivery of the account can meet it. Nor where the user left it as it is: nobody looks
/// for it any more, so what waited for it would wait for ever.
pub(super) fn open_marker(it: &Delivery) -> Option<u128> {
    let open = it.flight.amb_since.is_some() && it.state != State::Sending && !it.is_left();
    it.flight.frozen.as_ref().filter(|_| open).map(|it| short_digest(&it.marker))
}

/// Removes the index rows of `was` that `now` does not have too.
fn unindex(tx: &mut Tx<'_>, was: &Delivery, now: Option<&Delivery>) -> Result<(), StoreError> {
    let (id, post, account) = (was.id.as_u128(), was.post.as_u128(), was.account.as_u128());
    let ms = was.due.instant.as_millisecond();
    let moved = now.is_none_or(|now| now.due.instant.as_millisecond() != ms);
    if let Some((at, _)) = due_row(was)
        && now.and_then(due_row).map(|it| it.0) != Some(at)
    {
        tx.remove(DUE, (at, id))?;
    }
    if was.in_flight() && !now.is_some_and(Delivery::in_flight) {
        tx.remove(IN_FLIGHT, id)?;
    }
    if moved {
        tx.remove(BY_ACCOUNT, (account, ms, post, id))?;
    }
    if moved || now.is_some_and(|now| now.state.is_terminal()) {
        tx.remove(OPEN_BY_ACCOUNT, (account, ms, post, id))?;
    }
    if was.state == State::NeedsReconnect && now.is_none_or(|now| now.state != State::NeedsReconnect) {
        tx.remove(NEEDS, (account, id))?;
    }
    if let Some(marker) = open_marker(was)
        && now.and_then(open_marker) != Some(marker)
    {
        tx.remove(OPEN_MARKERS, (account, marker, id))?;
    }
    for word in words(was) {
        let stays = now.is_some_and(|now| words(now).any(|it| it == word));
        if moved || !stays {
            tx.remove(BY_STATE, (word, ms, post, id))?;
        }
        if !stays {
            tx.count(word, -1);
        }
    }
    Ok(())
}

/// Adds the index rows of `now` that `was` does not have too.
fn index(tx: &mut Tx<'_>, was: Option<&Delivery>, now: &Delivery) -> Result<(), StoreError> {
    let (id, post, account) = (now.id.as_u128(), now.post.as_u128(), now.account.as_u128());
    let ms = now.due.instant.as_millisecond();
    let moved = was.is_none_or(|was| was.due.instant.as_millisecond() != ms);
    if let Some((at, unknown)) = due_row(now)
        && was.and_then(due_row) != Some((at, unknown))
    {
        tx.insert(DUE, (at, id), (account, unknown))?;
    }
    if now.in_flight() && !was.is_some_and(Delivery::in_flight) {
        tx.insert(IN_FLIGHT, id, ())?;
    }
    if was.is_none() {
        tx.insert(BY_POST, (post, id), ())?;
    }
    if moved {
        tx.insert(BY_ACCOUNT, (account, ms, post, id), ())?;
        if !now.state.is_terminal() {
            tx.insert(OPEN_BY_ACCOUNT, (account, ms, post, id), ())?;
        }
    }
    if now.state == State::NeedsReconnect && was.is_none_or(|was| was.state != State::NeedsReconnect) {
        tx.insert(NEEDS, (account, id), ())?;
    }
    if let Some(marker) = open_marker(now)
        && was.and_then(open_marker) != Some(marker)
    {
        tx.insert(OPEN_MARKERS, (account, marker, id), ())?;
    }
    for word in words(now) {
        let stayed = was.is_some_and(|was| words(was).any(|it| it == word));
        if moved || !stayed {
            tx.insert(BY_STATE, (word, ms, post, id), ())?;
        }
        if !stayed {
            tx.count(word, 1);
        }
    }
    Ok(())
}

fn place(id: u128) -> Place {
    Place { table: "deliveries", key: Key::Id(DeliveryId::PREFIX, id) }
}

/// First half of SHA-256: enough that nobody meets the same value for two ids.
fn short_digest(text: &str) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    u128::from_be_bytes(half)
}

/// The instant of a key. Keys are written from instants, so the bounds cannot be passed.
fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
