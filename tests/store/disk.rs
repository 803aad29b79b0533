//! A disk that counts, waits, fails, and remembers what was synced.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What would be there after a power cut.
    synced: Vec<u8>,
    syncs: usize,
    /// Images as of each sync, if they are wanted.
    images: Option<Vec<Vec<u8>>>,
    /// Calls that still succeed.
    left: Option<usize>,
    gate_shut: bool,
    waiting: usize,
}

impl Disk {
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let it = Self::default();
        it.lock().synced.clone_from(&bytes);
        it.lock().bytes = bytes;
        it
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    pub(crate) fn synced(&self) -> Vec<u8> {
        self.lock().synced.clone()
    }

    pub(crate) fn record(&self) {
        self.lock().images = Some(Vec::new());
    }

    pub(crate) fn images(&self) -> Vec<Vec<u8>> {
        self.lock().images.take().unwrap()
    }

    /// After `n` more calls every call fails.
    pub(crate) fn fail_after(&self, n: usize) {
        self.lock().left = Some(n);
    }

    /// Syncs wait from now on.
    pub(crate) fn shut(&self) {
        self.lock().gate_shut = true;
    }

    pub(crate) fn open(&self) {
        self.lock().gate_shut = false;
        self.changed.notify_all();
    }

    /// Returns when a sync waits.
    pub(crate) fn wait_for_sync(&self) {
        drop(self.changed.wait_while(self.lock(), |it| it.waiting == 0).unwrap());
    }

    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        match &mut state.left {
            Some(0) => return Err(io::Error::other("the disk is gone")),
            Some(n) => *n -= 1,
            None => {}
        }
        Ok(state)
    }
}

fn range(offset: u64, len: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + len
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.call()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.call()?;
        let bytes = state.bytes.get(range(offset, out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call()?.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.call()?;
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |it| it.gate_shut).unwrap();
        state.waiting -= 1;
        state.syncs += 1;
        let image = state.bytes.clone();
        state.synced.clone_from(&image);
        if let Some(images) = &mut state.images {
            images.push(image);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.call()?;
        state
            .bytes
            .get_mut(range(offset, data.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        Ok(())
    }
}
