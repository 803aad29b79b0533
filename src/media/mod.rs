//! Media files: taken in by content, kept under random names, gone when their last delivery is.
//!
//! The first bytes decide what a file is; its name never does. A file that is not on the list is
//! refused before it is kept. Nothing here opens a path that a client named.

mod probe;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::domain::ids::MediaId;
use crate::domain::media::MediaKind;

/// Most bytes of one file. Video comes later; the largest image any network takes is far below.
pub const FILE_MAX: u64 = 64 << 20;
/// Largest side of an image, in pixels.
pub const SIDE_MAX: u32 = 12_000;

/// What was read from a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub kind: MediaKind,
    pub bytes: u64,
    /// Pixels, as shown (after EXIF orientation).
    pub width: u32,
    pub height: u32,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("the file is larger than {max} bytes")]
    TooBig { max: u64 },
    #[error("the file is empty")]
    Empty,
    #[error("the file is not a JPEG, PNG, WebP or GIF image")]
    NotAllowed,
    #[error("video is not available in this version")]
    Video,
    #[error("the image is {width}×{height} pixels, the most is {SIDE_MAX} a side")]
    TooManyPixels { width: u32, height: u32 },
    #[error("the image cannot be read: {0}")]
    Damaged(String),
    #[error("cannot read the file: {0}")]
    Upload(io::Error),
    #[error("cannot keep the file: {0}")]
    Disk(io::Error),
}

impl MediaError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooBig { .. } => "media_too_big",
            Self::Empty => "media_empty",
            Self::NotAllowed => "media_type",
            Self::Video => "video_not_supported",
            Self::TooManyPixels { .. } => "media_too_many_pixels",
            Self::Damaged(_) => "media_damaged",
            Self::Upload(_) => "upload_broken",
            Self::Disk(_) => "disk",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooBig { .. } | Self::TooManyPixels { .. } => Some("save it smaller"),
            Self::NotAllowed | Self::Damaged(_) => {
                Some("convert it to JPEG or PNG; the content counts, not the name")
            }
            Self::Video | Self::Empty | Self::Upload(_) => None,
            Self::Disk(_) => Some("check the free space and the rights of `data_dir`"),
        }
    }
}

/// Reads what a file is where it lies, without keeping it.
pub fn look(path: &Path) -> Result<Facts, MediaError> {
    let bytes = std::fs::read(path).map_err(MediaError::Upload)?;
    let length = bytes.len() as u64;
    if length == 0 {
        return Err(MediaError::Empty);
    }
    probe::facts(path, length, Sha256::digest(&bytes).into())
}

/// The folder of media files.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
    /// Files on their way in, which nothing knows yet. A sweep passes them by.
    arriving: Arc<Mutex<BTreeSet<MediaId>>>,
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

impl Library {
    /// The library in `dir`, which exists with mode 0700.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, arriving: Arc::default() }
    }

    /// To be held from before [`Library::take`] until the file is on record. What is on disk and
    /// not on record would otherwise count as left over.
    pub fn expect(&self, id: MediaId) -> Arriving {
        self.arriving().insert(id);
        Arriving { library: self.clone(), id }
    }

    fn arriving(&self) -> MutexGuard<'_, BTreeSet<MediaId>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file in: writes it under its id while it arrives, then reads what it is. Anything
    /// that is refused is removed again.
    pub async fn take(
        &self,
        id: MediaId,
        mut body: impl Stream<Item = io::Result<Bytes>> + Unpin,
    ) -> Result<Facts, MediaError> {
        let path = self.path(id);
        let partial = path.with_extension("part");
        let outcome = async {
            let mut file = tokio::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)
                .await
                .map_err(MediaError::Disk)?;
            let mut bytes: u64 = 0;
            let mut hash = Sha256::new();
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(MediaError::Upload)?;
                bytes += chunk.len() as u64;
                if bytes > FILE_MAX {
                    return Err(MediaError::TooBig { max: FILE_MAX });
                }
                hash.update(&chunk);
                file.write_all(&chunk).await.map_err(MediaError::Disk)?;
            }
            if bytes == 0 {
                return Err(MediaError::Empty);
            }
            file.sync_all().await.map_err(MediaError::Disk)?;
            let (probed, digest) = (partial.clone(), hash.finalize().into());
            let facts = tokio::task::spawn_blocking(move || probe::facts(&probed, bytes, digest))
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

    /// The bytes of a file.
    pub async fn read(&self, id: MediaId) -> io::Result<Bytes> {
        tokio::fs::read(self.path(id)).await.map(Bytes::from)
    }

    /// Removes a file. Already gone is fine.
    pub fn remove(&self, id: MediaId) -> io::Result<()> {
        match std::fs::remove_file(self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes every file that `keep` does not know, and what broken uploads left, except what is
    /// arriving now. How many went.
    pub fn sweep(&self, keep: impl Fn(MediaId) -> bool) -> io::Result<usize> {
        let mut gone = 0;
        let is_arriving =
            |path: &Path| id_of(&path.with_extension("")).is_some_and(|id| self.arriving().contains(&id));
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // In this order: what stops arriving in between is on record, and `keep` knows it.
            let known = is_arriving(&path) || id_of(&path).is_some_and(&keep);
            if !known && path.is_file() {
                std::fs::remove_file(&path)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn path(&self, id: MediaId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}

fn id_of(path: &Path) -> Option<MediaId> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn id(n: u8) -> MediaId {
        MediaId::new("2026-12-01T09:00:00Z".parse().unwrap(), [n; 10])
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut out = io::Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(width, height).write_to(&mut out, image::ImageFormat::Png).unwrap();
        out.into_inner()
    }

    fn body(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + use<> {
        stream::iter(bytes.chunks(7).map(|it| Ok(Bytes::copy_from_slice(it))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn an_image_is_kept_under_its_id_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        let bytes = png(30, 20);
        let facts = library.take(id(1), body(&bytes)).await.unwrap();
        let digest = Sha256::digest(&bytes).into();
        assert_eq!(
            facts,
            Facts { kind: MediaKind::Png, bytes: bytes.len() as u64, width: 30, height: 20, digest }
        );
        assert_eq!(library.read(id(1)).await.unwrap(), bytes);
        library.remove(id(1)).unwrap();
        library.remove(id(1)).unwrap();
        assert!(library.read(id(1)).await.is_err());
    }

    #[tokio::test]
    async fn what_is_refused_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        let html = b"<html><script>alert(1)</script></html>".as_slice();
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>".as_slice();
        let cut = &png(30, 20)[..20];
        for (bytes, code) in [
            (html, "media_type"),
            (svg, "media_type"),
            (b"".as_slice(), "media_empty"),
            (cut, "media_damaged"),
        ] {
            assert_eq!(library.take(id(2), body(bytes)).await.unwrap_err().code(), code);
        }
        let broken = stream::iter([Ok(Bytes::from_static(b"\x89PNG")), Err(io::Error::other("gone"))]);
        assert_eq!(library.take(id(2), broken).await.unwrap_err().code(), "upload_broken");
        let chunk = Bytes::from(vec![0; 1 << 20]);
        let endless = stream::iter((0..=64).map(move |_| Ok(chunk.clone())).collect::<Vec<_>>());
        assert_eq!(library.take(id(2), endless).await.unwrap_err().code(), "media_too_big");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_sweep_keeps_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        for n in 1..=3 {
            library.take(id(n), body(&png(4, 4))).await.unwrap();
        }
        std::fs::write(dir.path().join("x.part"), b"half").unwrap();
        assert_eq!(library.sweep(|it| it == id(2)).unwrap(), 3);
        assert!(library.read(id(2)).await.is_ok());
    }

    #[tokio::test]
    async fn a_sweep_keeps_what_is_still_arriving_and_what_is_not_on_record_yet() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        let arriving = library.expect(id(1));
        let swept = library.clone();
        // The folder is swept while the last piece is under way.
        let last = stream::once(async move {
            assert_eq!(swept.sweep(|_| false).unwrap(), 0);
            Ok(Bytes::from(png(4, 4)))
        });
        library.take(id(1), Box::pin(last)).await.unwrap();
        assert_eq!(library.sweep(|_| false).unwrap(), 0);
        drop(arriving);
        assert_eq!(library.sweep(|_| false).unwrap(), 1);
    }
}
