//! Media files over their life: what may be taken in, made ready for a request, and when they go.
//!
//! A file is kept as long as somebody may need it, and not longer: until the last delivery of every
//! post with it is over, a day more if one of them failed (so that `retry` has it), two minutes more if
//! one was cancelled (so that this can be taken back), a day if no post uses it. What a crash left over is found by the sweep at the next start.

use std::io;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::renewal;
use super::shared::Shared;
use crate::config::Limits;
use crate::domain::delivery::State;
use crate::domain::ids::{MediaId, PostId};
use crate::media::{Caps, Library, MediaError, Ready};
use crate::platforms::{Failure, FailureClass, FilePart};
use crate::store::{Source, Store, StoreError, Tx, deliveries, media, posts};

/// Failed posts keep their files this long, for a retry; uploads nobody used as well.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// The bounds of what is taken in, as configured.
pub(super) fn caps(limits: &Limits) -> Caps {
    Caps {
        bytes: limits.media_max_bytes,
        pixels: limits.media_max_pixels,
        duration_ms: u64::try_from(limits.media_max_duration.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Why a file of a request cannot be had.
pub(super) enum Unready {
    /// The disk's trouble, or the store's: later it may be well.
    Now(String),
    /// The file's own.
    Ever(Failure),
}

/// Opens a file that a request names, converted if it must be.
pub(super) async fn open(shared: &Shared, part: &FilePart) -> Result<Ready, Unready> {
    let stored = shared.store.read(|rx| media::get(rx, part.id));
    let stored = stored.map_err(|error| Unready::Now(error.to_string()))?;
    let opened = match stored {
        Some(it) => shared.library.open(part.id, it.item.kind, it.digest, part.fit).await,
        None => Err(MediaError::Gone),
    };
    opened.map_err(|error| {
        if error.is_final() {
            Unready::Ever(Failure {
                class: FailureClass::InvalidContent,
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
                until: None,
            })
        } else {
            Unready::Now(error.to_string())
        }
    })
}

/// A delivery of the post ended: its files go at once if nothing needs them any more (W6). Which went.
pub async fn after_end(store: &Store, library: &Library, id: PostId, now: Timestamp) {
    let gone = store
        .write(move |tx| {
            let Some(post) = posts::get(tx, id)? else { return Ok(Vec::new()) };
            let files: Vec<_> = post.media.iter().map(|it| it.id).collect();
            drop_rows(tx, &files, |tx, id| Ok(!wanted(tx, id, now)?))
        })
        .await;
    match gone {
        Ok(gone) => remove(library, &gone),
        Err(error) => {
            tracing::warn!(post = %id, %error, "media could not be cleaned up; the sweep tries again");
        }
    }
}

/// Files whose request came to nothing go at once, unless a post uses them.
pub(super) async fn forget_unused(shared: &Shared, ids: Vec<MediaId>) {
    if ids.is_empty() {
        return;
    }
    let gone = shared.store.write(move |tx| drop_unused(tx, &ids)).await;
    match gone {
        Ok(gone) => remove(&shared.library, &gone),
        Err(error) => tracing::warn!(%error, "unused media could not be cleaned up; the sweep tries again"),
    }
}

/// Takes the rows of those files out that may go. Which were there, and are to be removed.
fn drop_rows(
    tx: &mut Tx<'_>,
    files: &[MediaId],
    may_go: impl Fn(&Tx<'_>, MediaId) -> Result<bool, StoreError>,
) -> Result<Vec<MediaId>, StoreError> {
    let mut gone = Vec::new();
    for id in files {
        if may_go(tx, *id)? && media::remove(tx, *id)? {
            gone.push(*id);
        }
    }
    Ok(gone)
}

/// Of these files the rows of those that no post uses.
pub(super) fn drop_unused(tx: &mut Tx<'_>, files: &[MediaId]) -> Result<Vec<MediaId>, StoreError> {
    drop_rows(tx, files, |tx, id| Ok(posts::of_media(tx, id)?.is_empty()))
}

pub(super) fn remove(library: &Library, files: &[MediaId]) {
    for file in files {
        if let Err(error) = library.remove(*file) {
            tracing::warn!(media = %file, %error, "a media file could not be removed; the sweep tries again");
        }
    }
}

/// Forgets files whose time is over, then removes what nothing knows. How many files went.
pub fn sweep(store: &Store, library: &Library, now: Timestamp) -> Result<usize, StoreError> {
    let candidates = store.read(|rx| {
        let mut over = Vec::new();
        for (id, _) in media::all(rx)? {
            if !wanted(rx, id, now)? {
                over.push(id);
            }
        }
        Ok(over)
    })?;
    let mut gone = 0;
    if !candidates.is_empty() {
        let over = store.write_blocking(move |tx| {
            // A post may have come in between.
            drop_rows(tx, &candidates, |tx, id| Ok(!wanted(tx, id, now)?))
        })?;
        gone += over.len();
        remove(library, &over);
    }
    // When it cannot be told, it stays.
    let keep = |id| store.read(|rx| media::get(rx, id)).map_or(true, |it| it.is_some());
    let swept = library
        .sweep(keep)
        .map_err(|error| StoreError::Refused { why: format!("the media folder cannot be swept: {error}") })?;
    Ok(gone + swept)
}

/// [`sweep`], for the daemon's own rounds.
pub(super) async fn sweep_now(shared: &Arc<Shared>, now: Timestamp) {
    let shared = Arc::clone(shared);
    let swept = tokio::task::spawn_blocking(move || sweep(&shared.store, &shared.library, now)).await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(n)) => tracing::info!(files = n, "media files that nothing needs were removed"),
        Ok(Err(error)) => tracing::warn!(%error, "the media folder could not be swept"),
        Err(error) => tracing::warn!(%error, "the media folder could not be swept"),
    }
}

/// Whether anybody may still need the file.
fn wanted(source: &impl Source, id: MediaId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(stored) = media::get(source, id)? else { return Ok(false) };
    let users = posts::of_media(source, id)?;
    if users.is_empty() {
        return Ok(renewal::later(stored.uploaded_at, KEEP) >= now);
    }
    for post in users {
        let rows = deliveries::of_post(source, post)?;
        if rows.is_empty() || rows.iter().any(|it| !it.state.is_terminal()) {
            return Ok(true);
        }
        for it in rows {
            let kept = match it.state {
                State::Rejected | State::Missed => KEEP,
                // By somebody who may think again; a disconnect is final.
                State::Cancelled if it.reason.as_ref().is_some_and(|it| it.class == "cancelled") => {
                    super::undo::FILES
                }
                _ => continue,
            };
            let ended = deliveries::history(source, it.id)?.last().map_or(it.due.instant, |row| row.at);
            if renewal::later(ended, kept) >= now {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Makes the folder, for the owner's eyes alone.
pub(super) fn make_dir(dir: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // One that was there before may be open to others.
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}
