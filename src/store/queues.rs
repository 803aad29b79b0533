//! Slots of queues, and whether a queue is paused.
//!
//! A slot is (queue, local date-time): unique, so it is used once whatever the clocks do.

use jiff::{Timestamp, civil};
use redb::ReadableTable;

use super::deliveries;
use super::errors::StoreError;
use super::tables::{QUEUE_PAUSED, SLOTS};
use super::tx::{Source, Tx};
use crate::domain::ids::PostId;

/// The post that has a slot.
pub fn slot_taken(
    source: &impl Source,
    queue: &str,
    local: civil::DateTime,
) -> Result<Option<PostId>, StoreError> {
    let local = local.to_string();
    Ok(source.table(SLOTS)?.get((queue, local.as_str()))?.map(|it| PostId::from_u128(it.value())))
}

/// Gives a slot to a post. [`StoreError::Conflict`] if another has it.
pub fn take_slot(
    tx: &mut Tx<'_>,
    queue: &str,
    local: civil::DateTime,
    post: PostId,
) -> Result<(), StoreError> {
    match slot_taken(tx, queue, local)? {
        Some(owner) if owner != post => {
            Err(StoreError::conflict(format!("slot {local} of queue `{queue}` belongs to post `{owner}`")))
        }
        Some(_) => Ok(()),
        None => tx.insert(SLOTS, (queue, local.to_string().as_str()), post.as_u128()).map(drop),
    }
}

/// Takes a slot back from a post that was cancelled or moved. Says whether the post had it.
pub fn free_slot(
    tx: &mut Tx<'_>,
    queue: &str,
    local: civil::DateTime,
    post: PostId,
) -> Result<bool, StoreError> {
    if slot_taken(tx, queue, local)? != Some(post) {
        return Ok(false);
    }
    tx.remove(SLOTS, (queue, local.to_string().as_str()))
}

/// The slots of a queue whose rows are kept, with their posts, in the order of their local time.
pub fn slots_of(source: &impl Source, queue: &str) -> Result<Vec<(civil::DateTime, PostId)>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(SLOTS)?.range((queue, "")..)? {
        let (key, post) = row?;
        let (own, local) = key.value();
        if own != queue {
            break;
        }
        let local = local.parse().map_err(|error: jiff::Error| StoreError::Damaged {
            table: "slots",
            key: format!("{own} / {local}"),
            why: error.to_string(),
        })?;
        found.push((local, PostId::from_u128(post.value())));
    }
    Ok(found)
}

/// Forgets slots before a local time whose posts are over, so that a queue's cost is what waits in
/// it and not its history. Looks at `max` rows at most; says how many went.
pub fn prune(tx: &mut Tx<'_>, queue: &str, before: civil::DateTime, max: usize) -> Result<usize, StoreError> {
    let mut gone = 0;
    let old: Vec<_> =
        slots_of(tx, queue)?.into_iter().take_while(|(local, _)| *local < before).take(max).collect();
    for (local, post) in old {
        if deliveries::of_post(tx, post)?.iter().all(|it| it.state.is_terminal()) {
            gone += usize::from(free_slot(tx, queue, local, post)?);
        }
    }
    Ok(gone)
}

/// Whether any queue is paused.
pub(super) fn any_paused(source: &impl Source) -> Result<bool, StoreError> {
    Ok(source.table(QUEUE_PAUSED)?.first()?.is_some())
}

/// All queues that are paused, with the time since when.
pub fn paused(source: &impl Source) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(QUEUE_PAUSED)?.iter()? {
        let (name, since) = row?;
        let since = Timestamp::from_millisecond(since.value()).unwrap_or(Timestamp::UNIX_EPOCH);
        found.push((name.value().to_owned(), since));
    }
    Ok(found)
}

/// Since when a queue is paused.
pub fn paused_since(source: &impl Source, queue: &str) -> Result<Option<Timestamp>, StoreError> {
    let since = source.table(QUEUE_PAUSED)?.get(queue)?.map(|it| it.value());
    Ok(since.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Pauses a queue (a second time changes nothing) or lets it run again.
pub fn set_paused(tx: &mut Tx<'_>, queue: &str, since: Option<Timestamp>) -> Result<(), StoreError> {
    match since {
        Some(since) if paused_since(tx, queue)?.is_none() => {
            tx.insert(QUEUE_PAUSED, queue, since.as_millisecond()).map(drop)
        }
        Some(_) => Ok(()),
        None => tx.remove(QUEUE_PAUSED, queue).map(drop),
    }
}
