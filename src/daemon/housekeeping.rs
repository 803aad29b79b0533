//! What happens beside the deliveries: tokens renewed in time, media gone when it is over, room on
//! the disk watched, connects that nobody finished ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{rollback, tokens};
use crate::domain::delivery::State;
use crate::domain::ids::{MediaId, PostId};
use crate::store::{StoreError, accounts, deliveries, media, meta, posts, vault};

/// How often the small things are looked at.
const ROUND: Duration = Duration::from_secs(5);
/// Every so many rounds: tokens and the clock's high-water mark.
const MINUTE: u64 = 12;
/// Every so many rounds: the media folder.
const HOUR: u64 = 720;
/// No refresh this close before a send (delivery guarantees §11).
const NEAR_SEND: SignedDuration = SignedDuration::from_secs(120);
/// Failed posts keep their files this long, for a retry; uploads nobody used as well.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// Runs until the task is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut round: u64 = 0;
    loop {
        let now = shared.now();
        for talk in shared.connects.sweep(now) {
            super::connect::give_back(&shared, &talk).await;
        }
        let room = watch_disk(&shared).await;
        // Fresh tokens that could not be kept would be lost, and the old ones with them.
        if round.is_multiple_of(MINUTE) && room {
            if let Err(error) = refresh_ripe(&shared, now).await {
                tracing::warn!(%error, "could not look at the tokens");
            }
            // Not in the first minute: a machine that has just started may learn the time in it.
            if round > 0
                && let Err(error) = note_progress(&shared).await
            {
                tracing::warn!(%error, "could not note the time");
            }
        }
        if round.is_multiple_of(HOUR) {
            sweep_media(&shared, now).await;
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

/// Renews tokens past 65 % of their life, unless their account sends within two minutes. At once,
/// whatever is due, where the answer to an earlier refresh was lost: nobody knows what the stored
/// token is still worth.
async fn refresh_ripe(shared: &Arc<Shared>, now: Timestamp) -> Result<(), StoreError> {
    let soon = tokens::later(now, NEAR_SEND);
    let (all, busy, lost) = shared.store.read(|rx| {
        let busy: Vec<_> = deliveries::due(rx, soon, 10_000)?.into_iter().map(|row| row.account).collect();
        let lost: Vec<_> = vault::refreshes(rx)?.into_iter().map(|it| it.account).collect();
        Ok((accounts::list(rx)?, busy, lost))
    })?;
    for account in all {
        let ripe = tokens::is_ripe(&account, now) && !busy.contains(&account.id);
        if ripe || lost.contains(&account.id) {
            tokens::refresh(shared, account.id, now).await;
        }
    }
    Ok(())
}

/// A delivery ended: if it was the post's last, and nothing failed, its files go at once (W6).
pub(super) async fn after_end(shared: &Arc<Shared>, id: PostId) {
    let gone = shared
        .store
        .write(move |tx| {
            let Some(post) = posts::get(tx, id)? else { return Ok(Vec::new()) };
            let over = deliveries::of_post(tx, id)?
                .iter()
                .all(|it| matches!(it.state, State::Published | State::HandedOver | State::Cancelled));
            let mut gone = Vec::new();
            for item in post.media.iter().filter(|_| over) {
                // Another post may show the same file.
                if posts::of_media(tx, item.id)?.iter().all(|user| *user == id) {
                    media::remove(tx, item.id)?;
                    gone.push(item.id);
                }
            }
            Ok(gone)
        })
        .await;
    match gone {
        Ok(gone) => remove(shared, &gone),
        Err(error) => {
            tracing::warn!(post = %id, %error, "media could not be cleaned up; the sweep tries again");
        }
    }
}

fn remove(shared: &Shared, files: &[MediaId]) {
    for file in files {
        if let Err(error) = shared.library.remove(*file) {
            tracing::warn!(media = %file, %error, "a media file could not be removed; the sweep tries again");
        }
    }
}

/// Removes files that no waiting post needs and that are a day old. At start-up this also clears
/// what a crash left.
pub(super) async fn sweep_media(shared: &Arc<Shared>, now: Timestamp) {
    let shared = Arc::clone(shared);
    let swept = tokio::task::spawn_blocking(move || {
        shared.library.sweep(|id| {
            // When it cannot be told, it stays.
            shared.store.read(|rx| wanted(rx, id, now)).unwrap_or(true)
        })
    })
    .await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(n)) => tracing::info!(files = n, "media files that nothing needs were removed"),
        Ok(Err(error)) => tracing::warn!(%error, "the media folder could not be swept"),
        Err(error) => tracing::warn!(%error, "the media folder could not be swept"),
    }
}

fn wanted(rx: &crate::store::Rx, id: MediaId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(stored) = media::get(rx, id)? else { return Ok(false) };
    let old = tokens::later(stored.uploaded_at, KEEP) < now;
    let users = posts::of_media(rx, id)?;
    if users.is_empty() {
        return Ok(!old);
    }
    for post in users {
        let rows = deliveries::of_post(rx, post)?;
        let waits = rows.is_empty() || rows.iter().any(|it| !it.state.is_terminal());
        let mut failed_lately = false;
        for it in rows.iter().filter(|it| matches!(it.state, State::Rejected | State::Missed)) {
            let ended = deliveries::history(rx, it.id)?.last().map_or(it.due.instant, |row| row.at);
            failed_lately |= tokens::later(ended, KEEP) >= now;
        }
        if waits || failed_lately {
            return Ok(true);
        }
    }
    Ok(false)
}
