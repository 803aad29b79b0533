//! What happens beside the deliveries: tokens renewed in time, media gone when it is over, room on
//! the disk watched, connects that nobody finished ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use super::shared::Shared;
use super::{renewal, rollback, tokens};
use crate::engine::{Input, Refreshed};
use crate::store::{StoreError, meta};

/// How often the small things are looked at.
const ROUND: Duration = Duration::from_secs(5);
/// Every so many rounds: tokens, the clock's high-water mark, the media folder.
const MINUTE: u64 = 12;
/// Tokens refreshed at once. One slow network must not keep the others' tokens waiting.
const REFRESHES: usize = 8;

/// Something that goes on beside the rounds, one at a time.
type Task = Option<tokio::task::JoinHandle<()>>;

/// Runs until the task is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut forgotten = super::retention::Seen::default();
    let mut round: u64 = 0;
    let (mut refreshing, mut looking): (Task, Task) = (None, None);
    loop {
        let now = shared.now();
        for talk in shared.connects.sweep(now) {
            super::keep::give_back(&shared, &talk).await;
        }
        let room = watch_disk(&shared).await;
        if let Err(error) = super::precheck::round(&shared, now).await {
            tracing::warn!(%error, "could not check what is due soon");
        }
        if let Err(error) = super::retention::round(&shared.store, now, &mut forgotten).await {
            tracing::warn!(%error, "answers that may be kept no longer could not be forgotten");
        }
        if round.is_multiple_of(MINUTE) {
            // In a task of its own: a stop ends this loop at once, but never a refresh half-way.
            // Not without room: fresh tokens that could not be kept would be lost.
            if room && refreshing.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                refreshing = Some(tokio::spawn(refresh_ripe(Arc::clone(&shared), now)));
            }
            if looking.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                looking = Some(tokio::spawn(super::inspect::round(Arc::clone(&shared), now)));
            }
            super::files::sweep_now(&shared, now).await;
            if let Err(error) = super::disconnect::resume(&shared) {
                tracing::warn!(%error, "could not look for interrupted disconnects");
            }
            if let Err(error) = super::erase::resume(&shared) {
                tracing::warn!(%error, "could not look for requests for deletion");
            }
            // Not in the first minute: a machine that has just started may learn the time in it.
            if round > 0
                && let Err(error) = note_progress(&shared).await
            {
                tracing::warn!(%error, "could not note the time");
            }
        }
        if let Err(error) = shared.links.flush(&shared.store).await {
            tracing::warn!(%error, "could not note who fetched media");
        }
        round += 1;
        tokio::time::sleep(ROUND).await;
    }
}

/// Looks after the ballast, and wakes the loop when there is room again. True: there is.
async fn watch_disk(shared: &Arc<Shared>) -> bool {
    let before = shared.disk.look();
    let tending = Arc::clone(shared);
    if let Err(error) = tokio::task::spawn_blocking(move || tending.disk.tend()).await {
        tracing::warn!(%error, "the ballast could not be looked after");
    }
    let enough = shared.disk.look();
    if enough != before {
        shared.nudge();
    }
    enough
}

/// Notes how far the daemon has come, for the next start: the time, when nothing speaks against the
/// clock, and the generation.
async fn note_progress(shared: &Arc<Shared>) -> Result<(), StoreError> {
    if shared.time.is_undoubted() {
        let (now, lower) = (shared.now(), shared.time.take_lowered());
        shared
            .store
            .write(
                move |tx| {
                    if lower { meta::set_high_water(tx, now) } else { meta::raise_high_water(tx, now) }
                },
            )
            .await?;
    }
    rollback::raise(&shared.store, &shared.config().data_dir).await
}

/// Renews tokens in the second half of their life, unless their account sends within two minutes. At
/// once, whatever is due, where the answer to an earlier refresh was lost: nobody knows what the
/// stored token is still worth.
async fn refresh_ripe(shared: Arc<Shared>, now: Timestamp) {
    let ripe = match shared.store.read(|rx| renewal::ripe(rx, now, &shared.jitter_seed)) {
        Ok(ripe) => ripe,
        Err(error) => return tracing::warn!(%error, "could not look at the tokens"),
    };
    stream::iter(ripe)
        .for_each_concurrent(REFRESHES, |account| {
            let shared = &shared;
            async move {
                let idle =
                    !shared.stopping.load(Ordering::Relaxed) && !shared.token_waits().hold_back(account, now);
                if idle {
                    // What waits for a token need not wait any more.
                    if let Some(outcome @ Refreshed::Fresh(_)) = tokens::renew(shared, account, now).await {
                        shared.send(Input::Refreshed { account, outcome });
                    }
                }
            }
        })
        .await;
}
