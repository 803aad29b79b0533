//! Media files: taken in by content, kept under random names, gone when their last delivery is.
//!
//! The first bytes decide what a file is; its name never does. A file that is not on the list is
//! refused before it is kept, and what a picture or a film tells besides what it shows is taken out
//! before it is; a document stays as it came. Nothing here opens a path that a client named.
//!
//! On disk a file has its id for a name. What is made of it for a network lies beside it in a folder
//! of the same name with `.fit` behind it, and goes with it; its name bears the digest of its bytes, so
//! that what was made once is sent as it was made.

mod colour;
mod convert;
mod error;
mod mp4;
mod pdf;
mod probe;
mod strip;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::domain::fit::Fit;
use crate::domain::hex::hex;
use crate::domain::ids::MediaId;
use crate::domain::media::{Detail, MediaItem, MediaKind};

pub use error::MediaError;

/// Largest side of an image, in pixels.
pub const SIDE_MAX: u32 = 12_000;
/// Largest picture file, in bytes: it is cleaned in memory, one at a time.
pub const PICTURE_BYTES_MAX: u64 = 64 << 20;
/// What is read from the disk at once while a file leaves.
const CHUNK: usize = 256 << 10;
/// Verified films that are remembered, so that one is not read anew for each of its pieces.
const VERIFIED_MAX: usize = 256;

/// The bounds of what is taken in (`[limits]` in the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    pub bytes: u64,
    pub pixels: u64,
    pub duration_ms: u64,
}

impl Caps {
    fn picture_bytes(&self) -> u64 {
        self.bytes.min(PICTURE_BYTES_MAX)
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { bytes: 4 << 30, pixels: 100_000_000, duration_ms: 4 * 3_600_000 }
    }
}

/// What was read from a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub kind: MediaKind,
    pub bytes: u64,
    /// Pixels, as shown (after rotation).
    pub width: u32,
    pub height: u32,
    /// SHA-256 of the bytes as they are kept.
    pub digest: [u8; 32],
    pub detail: Detail,
}

impl Facts {
    /// The item of a post that shows the file.
    pub fn item(&self, id: MediaId, name: String, alt: Option<String>) -> MediaItem {
        let plain = MediaItem::new(id, name, self.kind, self.bytes, (self.width, self.height));
        MediaItem { alt, detail: self.detail.clone(), ..plain }
    }
}

/// Reads what a file is where it lies, without keeping it.
pub fn look(path: &Path, caps: &Caps) -> Result<Facts, MediaError> {
    let bytes = fs::metadata(path).map_err(MediaError::Upload)?.len();
    if bytes == 0 {
        return Err(MediaError::Empty);
    }
    if bytes > caps.bytes {
        return Err(MediaError::TooBig { bytes: Some(bytes), max: caps.bytes });
    }
    let mut facts = probe::probe(path, bytes, caps)?.facts;
    facts.digest = digest(path).map_err(MediaError::Upload)?;
    Ok(facts)
}

/// Whether commands with `ffmpeg` can be offered: it is found on the search path.
pub fn has_ffmpeg(search: Option<&OsStr>) -> bool {
    search.is_some_and(|all| std::env::split_paths(all).any(|dir| dir.join("ffmpeg").is_file()))
}

/// The folder of media files.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
    shared: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Files on their way in, which nothing knows yet. A sweep passes them by.
    arriving: Mutex<BTreeSet<MediaId>>,
    /// One picture at a time is decoded or cleaned: two large ones would not fit a small machine.
    decoding: Arc<tokio::sync::Semaphore>,
    /// Files of which something is being made.
    making: Mutex<BTreeMap<MediaId, Weak<tokio::sync::Mutex<()>>>>,
    /// Files whose bytes were found to be those that were taken in, or made, as they then were.
    verified: Mutex<BTreeMap<(MediaId, Option<Fit>), Print>>,
}

/// What changes when a file is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Print {
    fn of(about: &fs::Metadata) -> Self {
        Self { inode: about.ino(), bytes: about.len(), changed: (about.ctime(), about.ctime_nsec()) }
    }
}

/// Keeps a file that arrives from being swept, until this is dropped.
#[derive(Debug)]
pub struct Arriving {
    library: Library,
    id: MediaId,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.library.arriving().remove(&self.id);
    }
}

/// A file that is ready to leave. Its clones read independently of each other.
#[derive(Debug, Clone)]
pub struct Ready {
    file: Arc<fs::File>,
    /// Bytes of the whole file.
    pub bytes: u64,
}

impl Ready {
    /// `length` bytes from `start` on, read in pieces while they are asked for. Ends with an error
    /// when the file has become shorter.
    pub fn stream(&self, start: u64, length: u64) -> BoxStream<'static, io::Result<Bytes>> {
        let file = Arc::clone(&self.file);
        stream::try_unfold((file, start, length), |(file, at, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let reading = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; want];
                reading.read_exact_at(&mut buffer, at).map(|()| Bytes::from(buffer))
            });
            let chunk = read.await.map_err(io::Error::other)??;
            let n = chunk.len() as u64;
            Ok(Some((chunk, (file, at + n, left - n))))
        })
        .boxed()
    }
}

impl Library {
    /// The library in `dir`, which exists with mode 0700.
    pub fn new(dir: PathBuf) -> Self {
        let shared = Inner {
            arriving: Mutex::default(),
            decoding: Arc::new(tokio::sync::Semaphore::new(1)),
            making: Mutex::default(),
            verified: Mutex::default(),
        };
        Self { dir, shared: Arc::new(shared) }
    }

    /// To be held from before [`Library::take`] until the file is on record. What is on disk and
    /// not on record would otherwise count as left over.
    pub fn expect(&self, id: MediaId) -> Arriving {
        self.arriving().insert(id);
        Arriving { library: self.clone(), id }
    }

    fn arriving(&self) -> MutexGuard<'_, BTreeSet<MediaId>> {
        self.shared.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verified(&self) -> MutexGuard<'_, BTreeMap<(MediaId, Option<Fit>), Print>> {
        self.shared.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file in: writes it under its id while it arrives, reads what it is, and takes its notes
    /// out. Anything that is refused is removed again.
    pub async fn take(
        &self,
        id: MediaId,
        caps: Caps,
        body: impl Stream<Item = io::Result<Bytes>> + Unpin,
    ) -> Result<Facts, MediaError> {
        let path = self.path(id);
        let partial = path.with_extension("part");
        let outcome = async {
            let (bytes, digest) = receive(&partial, caps.bytes, body).await?;
            let _turn = self.shared.decoding.acquire().await;
            let probed = partial.clone();
            let facts = tokio::task::spawn_blocking(move || {
                let mut found = probe::probe(&probed, bytes, &caps)?;
                found.facts.digest = digest;
                clean(&probed, found)
            })
            .await
            .map_err(|error| MediaError::Damaged(error.to_string()))??;
            tokio::fs::rename(&partial, &path).await.map_err(MediaError::Disk)?;
            // A post may name it from now on, so its name must outlast a power cut.
            let dir = tokio::fs::File::open(&self.dir).await.map_err(MediaError::Disk)?;
            dir.sync_all().await.map_err(MediaError::Disk)?;
            Ok(facts)
        }
        .await;
        if outcome.is_err() {
            // Nothing half-stored stays behind; what cannot be removed is swept at the next start.
            let _ = tokio::fs::remove_file(&partial).await;
        }
        outcome
    }

    /// Opens a file to be sent, converted first if it must be. Refuses one that is no longer what was
    /// taken in: what a person looked at and scheduled is what goes out, or nothing does. A conversion that is
    /// no longer what was made is made anew.
    pub async fn open(
        &self,
        id: MediaId,
        kind: MediaKind,
        digest: [u8; 32],
        fit: Option<Fit>,
    ) -> Result<Ready, MediaError> {
        let original = self.path(id);
        let intact = self.is_what_it_was((id, None), &original, |found| found == digest).await;
        if !intact.map_err(MediaError::gone)? {
            return Err(MediaError::Changed);
        }
        let path = match fit {
            None => original,
            Some(fit) => self.fitted(id, kind, fit).await?,
        };
        let file = tokio::fs::File::open(&path).await.map_err(MediaError::gone)?;
        let bytes = file.metadata().await.map_err(MediaError::Disk)?.len();
        Ok(Ready { file: Arc::new(file.into_std().await), bytes })
    }

    /// Whether a file has the bytes whose digest is expected. They are read only if something was done to it
    /// since they were read last.
    async fn is_what_it_was(
        &self,
        which: (MediaId, Option<Fit>),
        path: &Path,
        is_expected: impl Fn([u8; 32]) -> bool,
    ) -> io::Result<bool> {
        let print = Print::of(&tokio::fs::metadata(path).await?);
        if self.verified().get(&which) == Some(&print) {
            return Ok(true);
        }
        let path = path.to_owned();
        let found = tokio::task::spawn_blocking(move || digest(&path)).await.map_err(io::Error::other)??;
        if !is_expected(found) {
            return Ok(false);
        }
        let mut verified = self.verified();
        if verified.len() >= VERIFIED_MAX {
            verified.pop_first();
        }
        verified.insert(which, print);
        Ok(true)
    }

    /// The converted file; made now, if it is not there yet or is not what was made.
    async fn fitted(&self, id: MediaId, kind: MediaKind, fit: Fit) -> Result<PathBuf, MediaError> {
        let dir = self.path(id).with_extension("fit");
        let stem = format!("{}x{}-{}-", fit.width, fit.height, fit.bytes_max);
        // Who wants the same waits, and finds it made.
        let own = self.making(id).lock_owned().await;
        for path in self.made(&dir, &stem).await? {
            let its_own = |found| path == dir.join(fitted_name(&stem, found));
            // One that cannot be read is no better than one that is not there.
            if self.is_what_it_was((id, Some(fit)), &path, its_own).await.unwrap_or(false) {
                return Ok(path);
            }
            tracing::warn!(media = %id, "what was made of a picture has changed on the disk; it is made anew");
            tokio::fs::remove_file(&path).await.map_err(MediaError::Disk)?;
        }
        let from = self.path(id);
        let turn = Arc::clone(&self.shared.decoding).acquire_owned().await;
        // Both go along: who asked may give up, and this goes on.
        let made = tokio::task::spawn_blocking(move || {
            let _own = own;
            let bytes = convert::jpeg(&from, kind, &fit)?;
            drop(turn);
            let digest = Sha256::digest(&bytes).into();
            fs::create_dir_all(&dir).map_err(MediaError::Disk)?;
            let partial = dir.join(format!("{stem}.part"));
            let _ = fs::remove_file(&partial);
            convert::write(&partial, &bytes).map_err(MediaError::Disk)?;
            let path = dir.join(fitted_name(&stem, digest));
            fs::rename(&partial, &path).map_err(MediaError::Disk)?;
            Ok(path)
        });
        made.await.map_err(|error| MediaError::Damaged(error.to_string()))?
    }

    /// Held while something is made of a file.
    fn making(&self, id: MediaId) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|_, it| it.strong_count() > 0);
        if let Some(known) = making.get(&id).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::default();
        making.insert(id, Arc::downgrade(&new));
        new
    }

    async fn made(&self, dir: &Path, stem: &str) -> Result<Vec<PathBuf>, MediaError> {
        let (dir, stem) = (dir.to_owned(), stem.to_owned());
        let found = tokio::task::spawn_blocking(move || made(&dir, &stem)).await;
        found.map_err(io::Error::other).and_then(|it| it).map_err(MediaError::Disk)
    }

    /// Removes a file and what was made of it. Already gone is fine.
    pub fn remove(&self, id: MediaId) -> io::Result<()> {
        self.verified().retain(|(it, _), _| *it != id);
        let path = self.path(id);
        let fine = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        fine(fs::remove_dir_all(path.with_extension("fit")))?;
        fine(fs::remove_file(path))
    }

    /// Removes everything that `keep` does not know, and what broken uploads left, except what is
    /// arriving now. How many files went, not counting what was made of them.
    pub fn sweep(&self, keep: impl Fn(MediaId) -> bool) -> io::Result<usize> {
        let mut gone = 0;
        let is_arriving = |path: &Path| id_of(path).is_some_and(|id| self.arriving().contains(&id));
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_part = path.extension() == Some(OsStr::new("part"));
            // In this order: what stops arriving in between is on record, and `keep` knows it.
            let known = is_arriving(&path) || !is_part && id_of(&path).is_some_and(&keep);
            if known {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else {
                fs::remove_file(&path)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn path(&self, id: MediaId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}

/// The name of a conversion with this digest.
fn fitted_name(stem: &str, digest: [u8; 32]) -> String {
    format!("{stem}{}.jpg", hex(&digest))
}

/// The conversions in a folder whose names begin with this.
fn made(dir: &Path, stem: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with(stem) && path.extension() == Some(OsStr::new("jpg")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Writes a body to a new file. Its length and digest.
async fn receive(
    partial: &Path,
    max: u64,
    mut body: impl Stream<Item = io::Result<Bytes>> + Unpin,
) -> Result<(u64, [u8; 32]), MediaError> {
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(partial)
        .await
        .map_err(MediaError::Disk)?;
    let mut bytes: u64 = 0;
    let mut hash = Sha256::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(MediaError::Upload)?;
        bytes += chunk.len() as u64;
        if bytes > max {
            return Err(MediaError::TooBig { bytes: None, max });
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(MediaError::Disk)?;
    }
    if bytes == 0 {
        return Err(MediaError::Empty);
    }
    file.sync_all().await.map_err(MediaError::Disk)?;
    Ok((bytes, hash.finalize().into()))
}

/// Takes the notes out of the file; its facts afterwards.
fn clean(path: &Path, found: probe::Probed) -> Result<Facts, MediaError> {
    let probe::Probed { mut facts, orientation, notes } = found;
    if facts.kind.is_image() {
        let bytes = fs::read(path).map_err(MediaError::Disk)?;
        let clean =
            strip::picture(facts.kind, &bytes, orientation).map_err(|strip::Untidy| MediaError::Untidy)?;
        let Some(clean) = clean else { return Ok(facts) };
        drop(bytes);
        facts.bytes = clean.len() as u64;
        facts.digest = Sha256::digest(&clean).into();
        rewrite(path, &clean).map_err(MediaError::Disk)?;
    } else if !notes.is_empty() {
        strip::film(path, &notes).map_err(MediaError::Disk)?;
        facts.digest = digest(path).map_err(MediaError::Disk)?;
    }
    Ok(facts)
}

fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

/// SHA-256 of a file, read in pieces.
fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// The id that a file or a folder belongs to: its name up to the first dot.
fn id_of(path: &Path) -> Option<MediaId> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
