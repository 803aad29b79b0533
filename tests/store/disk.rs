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

/// How a call fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) errno: rustix::io::Errno,
    /// A write leaves half of its bytes behind.
    pub(crate) short: bool,
    /// Only this once; the calls after it succeed again.
    pub(crate) once: bool,
}

/// One thing that happened to the disk.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
    /// The test's own mark: so many things have been acknowledged.
    Mark(usize),
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What would be there after a power cut.
    synced: Vec<u8>,
    syncs: usize,
    /// Images as of each sync, if they are wanted.
    images: Option<Vec<Vec<u8>>>,
    /// Calls that still succeed, and how the others end.
    left: Option<usize>,
    fault: Option<Fault>,
    calls: usize,
    /// Everything that happened, if it is wanted.
    journal: Option<Vec<Op>>,
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

    /// The call after `n` more fails like this.
    pub(crate) fn fail_like(&self, n: usize, fault: Fault) {
        let mut state = self.lock();
        (state.left, state.fault) = (Some(n), Some(fault));
    }

    /// Whether the fault was met.
    pub(crate) fn has_failed(&self) -> bool {
        let state = self.lock();
        state.fault.is_some_and(|it| it.once) && state.left.is_none() || state.left == Some(0)
    }

    /// Works again.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        (state.left, state.fault) = (None, None);
    }

    pub(crate) fn calls(&self) -> usize {
        self.lock().calls
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub(crate) fn keep_journal(&self) {
        self.lock().journal = Some(Vec::new());
    }

    pub(crate) fn mark(&self, acknowledged: usize) {
        self.lock().note(|| Op::Mark(acknowledged));
    }

    pub(crate) fn journal(&self) -> Vec<Op> {
        self.lock().journal.take().unwrap()
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
        self.call_or(|_| ())
    }

    /// `half`: what a call that fails short leaves behind.
    fn call_or(&self, half: impl FnOnce(&mut State)) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.calls += 1;
        let fault = state.fault;
        match (&mut state.left, fault) {
            (Some(0), None) => return Err(io::Error::other("the disk is gone")),
            (Some(0), Some(fault)) => {
                if fault.once {
                    state.left = None;
                }
                if fault.short {
                    half(&mut state);
                }
                return Err(fault.errno.into());
            }
            (Some(n), _) => *n -= 1,
            (None, _) => {}
        }
        Ok(state)
    }
}

impl State {
    fn note(&mut self, op: impl FnOnce() -> Op) {
        if let Some(journal) = &mut self.journal {
            journal.push(op());
        }
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
        let mut state = self.call()?;
        let len = usize::try_from(len).unwrap();
        state.bytes.resize(len, 0);
        state.note(|| Op::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.call()?;
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |it| it.gate_shut).unwrap();
        state.waiting -= 1;
        state.syncs += 1;
        state.note(|| Op::Sync);
        let image = state.bytes.clone();
        state.synced.clone_from(&image);
        if let Some(images) = &mut state.images {
            images.push(image);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = range(offset, data.len());
        let half = data.len() / 2;
        let short = |state: &mut State| {
            if let Some(place) = state.bytes.get_mut(range.start..range.start + half) {
                place.copy_from_slice(&data[..half]);
            }
        };
        let mut state = self.call_or(short)?;
        state.note(|| Op::Write(range.start, data.to_vec()));
        state.bytes.get_mut(range).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}
