//! Slots of queues, and whether a queue is paused.
//!
//! A slot is (queue, local date-time): unique, so it is used once whatever the clocks do.

use jiff::{Timestamp, civil};
use redb::ReadableTable;

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
