//! A store that was brought back from a copy: noticed by its generation, and nothing of it is
//! believed that may have gone out since.
//!
//! Every delivery that has not ended may have been sent after the copy was made, under a marker that is
//! lost; one whose time is ahead, too, for it may have been moved to an earlier time meanwhile. Those
//! whose time has passed become unknown and are looked up; the others are searched for when their time
//! comes. The order makes a crash harmless: the marks first, then the store's number, then the sidecar.
//! Cut off anywhere, the next start finds the store behind still, or finds the work done.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::attempt::Transition;
use crate::domain::delivery::{Event, Flight, Reason, Recall, Restored, State};
use crate::domain::ids::DeliveryId;
use crate::domain::moment::Moment;
use crate::planted::planted;
use crate::store::generation::{self, Sidecar};
use crate::store::{Store, StoreError, Tx, deliveries, meta};

/// Deliveries marked per commit.
const GROUP: usize = 256;

/// Why looking did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum RollbackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read `{}`", generation::FILE)]
    Sidecar(#[source] io::Error),
}

/// Notices whether the store is older than its sidecar says, and puts in doubt what may have gone
/// out since. Returns how many are looked for at once; `None`: the store is the latest. Blocks.
pub(super) fn notice(store: &Store, dir: &Path, now: Moment) -> Result<Option<usize>, RollbackError> {
    let stored = store.read(meta::generation)?;
    let largest = match generation::read(dir).map_err(RollbackError::Sidecar)? {
        Sidecar::Holds(largest) => largest,
        Sidecar::Missing if stored == 0 => return Ok(None),
        found @ (Sidecar::Missing | Sidecar::Unreadable) => {
            tracing::warn!(
                ?found,
                "`{}` is made anew: whether the store was restored from a backup cannot be told",
                generation::FILE
            );
            return Ok(None);
        }
    };
    if stored >= largest {
        return Ok(None);
    }
    tracing::error!(stored, largest, "the store is older than it should be: it was restored from a copy");
    // The last time the copy was sure of: what came after it is what it cannot know.
    let known = store.read(|rx| Ok(meta::high_water(rx)?.or(meta::created_at(rx)?)))?;
    let copy = Restored { known: known.map_or(now.wall, |it| it.min(now.wall)), at: now };
    let doubted = mark_open(store, copy)?;
    store.write_blocking(move |tx| {
        meta::set_restored(tx, copy.known, now.wall)?;
        meta::set_generation(tx, largest)
    })?;
    Ok(Some(doubted))
}

/// Marks everything that has not ended. Returns how much of it is looked for at once. Blocks.
pub fn mark_open(store: &Store, copy: Restored) -> Result<usize, StoreError> {
    let (mut last, mut doubted) = (None, 0);
    loop {
        let group = store.read(|rx| deliveries::open_after(rx, last, GROUP))?;
        let Some(end) = group.last().copied() else { break };
        let unknown = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&unknown);
        store.write_blocking(move |tx| {
            let mut count = 0;
            for (.., id) in &group {
                count += usize::from(mark(tx, DeliveryId::from_u128(*id), copy)?);
            }
            counter.store(count, Ordering::Relaxed);
            Ok(())
        })?;
        doubted += unknown.load(Ordering::Relaxed);
        last = Some(end);
    }
    Ok(doubted)
}

/// Marks what has not ended. Returns whether it is to be looked for at once.
fn mark(tx: &mut Tx<'_>, id: DeliveryId, copy: Restored) -> Result<bool, StoreError> {
    let (before, now) = (deliveries::need(tx, id)?, copy.at);
    let reason =
        Reason::new("restored", "the store was restored from a backup; this may have gone out since")
            .hint("checking whether it is already live; nothing to do for now");
    let event = Event::Restore { next_check: now.wall, reason, copy, since: now, when: Recall::InTime };
    match before.apply(event, now) {
        Ok(after) if after.state == State::Scheduled && planted("what is ahead not marked") => {
            tracing::debug!(delivery = %after.id, "left as it is");
            Ok(false)
        }
        Ok(mut after) => {
            if planted("marker of a copy believed") {
                let Flight { frozen, handles, first_sent, .. } = before.flight.clone();
                after.flight = Flight { frozen, handles, first_sent, cleared: true, ..after.flight };
            }
            let transition = Transition::between(&before, &after, "restore", now.wall);
            deliveries::put(tx, Some(&before), &after, Some(transition))?;
            Ok(after.state == State::Unknown && !after.held)
        }
        // A bug of ours. One delivery must not keep the daemon from starting.
        Err(illegal) => {
            tracing::error!(delivery = %id, %illegal, "cannot be put in doubt; it is left as stored");
            Ok(false)
        }
    }
}

/// Raises the generation by one, here and in the sidecar. While the daemon runs this happens every
/// minute or more often, so that a copy made earlier in the same run is noticed too.
pub(super) async fn raise(store: &Store, dir: &Path) -> Result<(), StoreError> {
    let next = store
        .write(|tx| {
            let next = meta::generation(tx)?.saturating_add(1);
            meta::set_generation(tx, next)?;
            Ok(next)
        })
        .await?;
    let to = dir.to_owned();
    // A sidecar that stays behind is only a rollback noticed later.
    match tokio::task::spawn_blocking(move || generation::write(&to, next)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "`{}` could not be written", generation::FILE),
        Err(error) => tracing::warn!(%error, "`{}` could not be written", generation::FILE),
    }
    Ok(())
}
