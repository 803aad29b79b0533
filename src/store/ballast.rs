//! Room kept for the moment the disk is full: a file of real blocks beside the store, given up so
//! that what is under way can still be written down.
//!
//! Deleting rows would not help: on a full disk even that needs new pages, and after one refused
//! write redb takes no other until it is opened again. So the refused write itself is repeated on
//! the blocks of the ballast ([`Ballasted`]), and redb never hears of it. The ballast is made again
//! once there is room; until then nothing new is sent (`daemon::disk`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Bound;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

/// The ballast's file in the data directory.
pub const FILE: &str = "ballast";

/// Its size in bytes: some hundred commits of outcomes.
pub const SIZE: u64 = 16 << 20;

/// The ballast of one data directory. Clones are the same.
#[derive(Debug, Clone)]
pub struct Ballast {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    size: u64,
    /// Its blocks are there.
    whole: AtomicBool,
    /// Making and giving up never overlap.
    turn: Mutex<()>,
}

impl Ballast {
    /// The ballast in `dir`, of `size` bytes. Looks at what is there and changes nothing.
    pub fn new(dir: &Path, size: u64) -> Self {
        let path = dir.join(FILE);
        // A sparse file of the right length, from a copy perhaps, holds no room.
        let whole = std::fs::symlink_metadata(&path)
            .is_ok_and(|it| it.is_file() && it.len() >= size && it.blocks().saturating_mul(512) >= size);
        Self { inner: Arc::new(Inner { path, size, whole: AtomicBool::new(whole), turn: Mutex::new(()) }) }
    }

    /// Bytes it takes when it is whole.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// Whether it is there. Costs no look at the disk.
    pub fn is_whole(&self) -> bool {
        self.inner.whole.load(Ordering::Acquire)
    }

    /// Looks whether somebody took it away, and notes it.
    pub fn look(&self) -> bool {
        let _turn = self.turn();
        let there = std::fs::metadata(&self.inner.path).is_ok_and(|it| it.len() >= self.inner.size);
        if !there {
            self.inner.whole.store(false, Ordering::Release);
        }
        self.is_whole()
    }

    /// Makes it, with blocks of its own. What a failure leaves is given back.
    pub fn make(&self) -> io::Result<()> {
        let _turn = self.turn();
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.inner.path)?;
        if let Err(error) = fill(&file, self.inner.size) {
            // The cause matters more than what becomes of the rest.
            drop(file.set_len(0));
            return Err(error);
        }
        self.inner.whole.store(true, Ordering::Release);
        Ok(())
    }

    /// Gives its room to whoever writes next. False: it was given up before.
    pub fn give_up(&self) -> io::Result<bool> {
        let _turn = self.turn();
        if !self.inner.whole.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        OpenOptions::new().write(true).open(&self.inner.path)?.set_len(0)?;
        Ok(true)
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.inner.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a file `size` bytes of real blocks.
fn fill(file: &File, size: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => {}
        // Some file systems cannot promise blocks; there, bytes that do not compress take them.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => noise(file, size)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn noise(mut file: &File, size: u64) -> io::Result<()> {
    let mut left = usize::try_from(size).map_err(io::Error::other)?;
    let mut block = vec![0; 1 << 20];
    while left > 0 {
        let some = left.min(block.len());
        getrandom::fill(&mut block[..some]).map_err(io::Error::other)?;
        file.write_all(&block[..some])?;
        left -= some;
    }
    Ok(())
}

/// A store's file that takes the ballast's room when there is no other, and tries once more.
#[derive(Debug)]
pub(super) struct Ballasted<B> {
    inner: B,
    ballast: Ballast,
}

impl<B: StorageBackend> Ballasted<B> {
    pub(super) fn new(inner: B, ballast: Ballast) -> Self {
        Self { inner, ballast }
    }

    /// Both calls that can need blocks, writing and growing, may be repeated whole: what a first
    /// try left half done is done over.
    fn with_room(&self, call: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let error = match call() {
            Err(error) if is_full(&error) => error,
            outcome => return outcome,
        };
        match self.ballast.give_up() {
            Ok(true) => {
                tracing::error!(%error, "the disk is full: the ballast is given up to record what is under way");
                call()
            }
            Ok(false) => Err(error),
            Err(why) => {
                tracing::error!(%why, "the disk is full and the ballast cannot be given up");
                Err(error)
            }
        }
    }
}

/// Free bytes for us in the file system of `path`. `None`: it does not say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// No block left, on the disk or in our quota.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl<B: StorageBackend> StorageBackend for Ballasted<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with_room(|| self.inner.set_len(len))
    }

    /// Not repeated: after a failed sync nobody knows which of the bytes before it are on the disk.
    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with_room(|| self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a bill: every byte written costs one, whatever the ballast gives up is credit.
    #[derive(Debug)]
    struct Paid {
        left: Mutex<u64>,
        ballast: Ballast,
        errno: i32,
    }

    impl Paid {
        fn pay(&self, bytes: u64) -> io::Result<()> {
            let mut left = self.left.lock().unwrap();
            let credit = if self.ballast.is_whole() { 0 } else { self.ballast.size() };
            if *left + credit < bytes {
                return Err(io::Error::from_raw_os_error(self.errno));
            }
            *left = (*left + credit).saturating_sub(bytes);
            Ok(())
        }
    }

    impl StorageBackend for Paid {
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }

        fn read(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.pay(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.pay(u64::MAX / 2)
        }

        fn write(&self, _: u64, data: &[u8]) -> io::Result<()> {
            self.pay(data.len() as u64)
        }
    }

    const SMALL: u64 = 64 << 10;

    fn on(dir: &Path, left: u64, errno: rustix::io::Errno) -> Ballasted<Paid> {
        let ballast = Ballast::new(dir, SMALL);
        ballast.make().unwrap();
        let paid = Paid { left: Mutex::new(left), ballast: ballast.clone(), errno: errno.raw_os_error() };
        Ballasted::new(paid, ballast)
    }

    #[test]
    fn a_refused_write_takes_the_ballasts_room_once() {
        for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            let dir = tempfile::tempdir().unwrap();
            let disk = on(dir.path(), 10, errno);
            let file = dir.path().join(FILE);
            disk.write(0, &[0; 10]).unwrap();
            assert_eq!(std::fs::metadata(&file).unwrap().len(), SMALL);
            disk.write(0, &[0; 10]).unwrap();
            assert_eq!(std::fs::metadata(&file).unwrap().len(), 0, "it was given up");
            assert!(!disk.ballast.is_whole());
            assert!(disk.set_len(1 << 30).is_err(), "there is no second one");
        }
    }

    #[test]
    fn growing_takes_it_too_and_other_errors_and_syncs_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = on(dir.path(), 0, rustix::io::Errno::NOSPC);
        assert!(disk.sync_data().is_err());
        assert!(disk.ballast.is_whole(), "a failed sync is not repeated");
        disk.set_len(100).unwrap();
        assert!(!disk.ballast.is_whole());

        let dir = tempfile::tempdir().unwrap();
        let disk = on(dir.path(), 0, rustix::io::Errno::IO);
        assert!(disk.write(0, b"x").is_err());
        assert!(disk.ballast.is_whole());
    }

    #[test]
    fn a_ballast_is_made_of_real_blocks_and_a_sparse_one_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join(FILE)).unwrap();
        file.set_len(SMALL).unwrap();
        assert!(!Ballast::new(dir.path(), SMALL).is_whole());
        let ballast = Ballast::new(dir.path(), SMALL);
        ballast.make().unwrap();
        assert!(ballast.look() && Ballast::new(dir.path(), SMALL).is_whole());
        let meta = std::fs::metadata(dir.path().join(FILE)).unwrap();
        assert!(meta.len() == SMALL && meta.blocks() * 512 >= SMALL);
        assert!(ballast.give_up().unwrap() && !ballast.give_up().unwrap());
        ballast.make().unwrap();
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        assert!(!ballast.look(), "somebody took it away");
    }

    #[test]
    fn noise_fills_a_file_where_blocks_cannot_be_promised() {
        let file = tempfile::tempfile().unwrap();
        noise(&file, (1 << 20) + 7).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (1 << 20) + 7);
    }
}
