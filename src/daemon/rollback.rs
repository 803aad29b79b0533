//! A store that was brought back from a copy: noticed by its generation, and nothing of it is
//! believed that may have gone out since.
//!
//! Every delivery that has not ended and whose instant has passed becomes unknown: it may have been
//! sent after the copy was made, under a marker that is lost. It is looked up before anything is
//! sent. The order makes a crash harmless: doubts first, then the store's number, then the sidecar.
//! Cut off anywhere, the next start finds the store behind still, or finds the work done.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::domain::attempt::Transition;
use crate::domain::delivery::{Event, Reason};
use crate::domain::ids::DeliveryId;
use crate::store::generation::{self, Sidecar};
use crate::store::{Store, StoreError, Tx, deliveries, meta};

/// Deliveries put in doubt per commit.
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
/// out since. Returns how many deliveries that were; `None`: the store is the latest. Blocks.
pub(super) fn notice(store: &Store, dir: &Path, now: Timestamp) -> Result<Option<usize>, RollbackError> {
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
    let open = store.read(|rx| deliveries::open_before(rx, now))?;
    for group in open.chunks(GROUP) {
        let group = group.to_vec();
        store.write_blocking(move |tx| group.iter().try_for_each(|id| doubt(tx, *id, now)))?;
    }
    store.write_blocking(move |tx| meta::set_generation(tx, largest))?;
    Ok(Some(open.len()))
}

fn doubt(tx: &mut Tx<'_>, id: DeliveryId, now: Timestamp) -> Result<(), StoreError> {
    let before = deliveries::need(tx, id)?;
    let reason =
        Reason::new("restored", "the store was restored from a backup; this may have gone out since")
            .hint("checking whether it is already live; nothing to do for now");
    match before.apply(Event::Restore { next_check: now, reason }, now) {
        Ok(after) => {
            let transition = Transition::between(&before, &after, "restore", now);
            deliveries::put(tx, Some(&before), &after, Some(transition)).map(drop)
        }
        // A bug of ours. One delivery must not keep the daemon from starting.
        Err(illegal) => {
            tracing::error!(delivery = %id, %illegal, "cannot be put in doubt; it is left as stored");
            Ok(())
        }
    }
}

/// Raises the generation by one, here and in the sidecar. While the daemon runs this happens every
/// minute, so that a copy made earlier in the same run is noticed too.
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
