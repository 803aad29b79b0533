//! Media files over their life: what may be taken in, made ready for a request, and when they go.
//!
//! A file is kept as long as somebody may need it, and not longer: until the last delivery of every
//! post with it is over, a day more if one of them failed (so that `retry` has it), a day if no post
//! uses it. What a crash left over is found by the sweep at the next start.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::tokens;
use crate::config::Limits;
use crate::control::messages as m;
use crate::domain::delivery::State;
use crate::domain::ids::{DeliveryId, MediaId, PostId};
use crate::media::{Caps, Library, MediaError, Ready};
use crate::platforms::{Failure, FailureClass, FilePart};
use crate::store::{Source, Store, StoreError, deliveries, media, posts};

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
            let mut gone = Vec::new();
            for item in &post.media {
                if !wanted(tx, item.id, now)? {
                    media::remove(tx, item.id)?;
                    gone.push(item.id);
                }
            }
            Ok(gone)
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
    let gone = shared
        .store
        .write(move |tx| {
            let mut gone = Vec::new();
            for id in &ids {
                if posts::of_media(tx, *id)?.is_empty() && media::remove(tx, *id)? {
                    gone.push(*id);
                }
            }
            Ok(gone)
        })
        .await;
    match gone {
        Ok(gone) => remove(&shared.library, &gone),
        Err(error) => tracing::warn!(%error, "unused media could not be cleaned up; the sweep tries again"),
    }
}

fn remove(library: &Library, files: &[MediaId]) {
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
            let mut over = Vec::new();
            for id in &candidates {
                // A post may have come in between.
                if !wanted(tx, *id, now)? {
                    media::remove(tx, *id)?;
                    over.push(*id);
                }
            }
            Ok(over)
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
        return Ok(tokens::later(stored.uploaded_at, KEEP) >= now);
    }
    for post in users {
        let rows = deliveries::of_post(source, post)?;
        if rows.is_empty() || rows.iter().any(|it| !it.state.is_terminal()) {
            return Ok(true);
        }
        for it in rows.iter().filter(|it| matches!(it.state, State::Rejected | State::Missed)) {
            let ended = deliveries::history(source, it.id)?.last().map_or(it.due.instant, |row| row.at);
            if tokens::later(ended, KEEP) >= now {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// How far the uploads under way are.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<HashMap<DeliveryId, (u64, u64)>>>);

/// One upload under way; forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    all: Progress,
    id: DeliveryId,
}

impl Progress {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeliveryId, (u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A body is about to leave: so much of the file went before, and so much there is in all.
    pub(super) fn begin(&self, id: DeliveryId, standing: (u64, u64)) -> Watch {
        self.lock().insert(id, standing);
        Watch { all: self.clone(), id }
    }

    /// What `post show` says of it.
    pub(super) fn of(&self, id: DeliveryId) -> Option<m::Progress> {
        let (done, total_bytes) = *self.lock().get(&id)?;
        // The form around a file is sent as well, and is not the file.
        let done_bytes = done.min(total_bytes);
        Some(m::Progress { done_bytes, total_bytes, phase: "uploading".into() })
    }
}

impl Watch {
    /// So many more bytes have left.
    pub(super) fn add(&self, bytes: u64) {
        if let Some((done, _)) = self.all.lock().get_mut(&self.id) {
            *done = done.saturating_add(bytes);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

/// Makes the folder, for the owner's eyes alone.
pub(super) fn make_dir(dir: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // One that was there before may be open to others.
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_told_while_it_lasts_the_file_alone_and_forgotten_after() {
        let (all, id) = (Progress::default(), DeliveryId::from_u128(1));
        assert_eq!(all.of(id), None);
        // The second of two pieces, with a form of 50 bytes around it.
        let watch = all.begin(id, (400, 1000));
        watch.add(250);
        let told = all.of(id).unwrap();
        assert_eq!((told.done_bytes, told.total_bytes, told.phase.as_str()), (650, 1000, "uploading"));
        watch.add(400);
        assert_eq!(all.of(id).unwrap().done_bytes, 1000);
        drop(watch);
        assert_eq!(all.of(id), None);
    }
}
