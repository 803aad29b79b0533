//! A disk that loses power: what was synced stays; of what was written since, any part may have
//! reached the platters, in any order, and the last sectors may be torn.
//!
//! Contents are pages shared between copies, so that an image costs a list of pointers.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::dice::Rng;

const PAGE: usize = 4096;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The bytes of the store's file at one instant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    len: usize,
    pages: Vec<Arc<[u8]>>,
}

impl Image {
    fn resize(&mut self, len: usize) {
        if len < self.len && !len.is_multiple_of(PAGE) {
            let last = Arc::make_mut(&mut self.pages[len / PAGE]);
            last[len % PAGE..].fill(0);
        }
        let empty: Arc<[u8]> = vec![0; PAGE].into();
        self.pages.resize(len.div_ceil(PAGE), empty);
        self.len = len;
    }

    fn write(&mut self, mut at: usize, mut data: &[u8]) {
        if at + data.len() > self.len {
            self.resize(at + data.len());
        }
        while !data.is_empty() {
            let from = at % PAGE;
            let some = data.len().min(PAGE - from);
            let (head, rest) = data.split_at(some);
            Arc::make_mut(&mut self.pages[at / PAGE])[from..from + some].copy_from_slice(head);
            (at, data) = (at + some, rest);
        }
    }

    fn read(&self, mut at: usize, mut out: &mut [u8]) -> io::Result<()> {
        if at + out.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !out.is_empty() {
            let from = at % PAGE;
            let some = out.len().min(PAGE - from);
            let (head, rest) = out.split_at_mut(some);
            head.copy_from_slice(&self.pages[at / PAGE][from..from + some]);
            (at, out) = (at + some, rest);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    now: Image,
    synced: Image,
    /// Since the last sync.
    log: Vec<Op>,
    /// Calls that change something, ever.
    calls: u64,
    /// After so many more of them the power is gone.
    left: Option<u64>,
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn holding(image: Image) -> Self {
        Self(Arc::new(Mutex::new(State { now: image.clone(), synced: image, ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What is there after a power cut that loses everything it may.
    pub(crate) fn synced(&self) -> Image {
        self.lock().synced.clone()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// The power goes after `n` more changes.
    pub(crate) fn cut_after(&self, n: u64) {
        self.lock().left = Some(n);
    }

    pub(crate) fn uncut(&self) {
        self.lock().left = None;
    }

    /// The process dies and the machine goes on: whatever was written is there.
    pub(crate) fn killed(&self) -> Image {
        self.lock().left = Some(0);
        self.lock().now.clone()
    }

    /// The power goes. Returns what the disk holds afterwards.
    pub(crate) fn power_cut(&self, rng: &mut Rng) -> Image {
        let mut state = self.lock();
        state.left = Some(0);
        let mut image = state.synced.clone();
        let log = &state.log;
        match rng.below(4) {
            0 => {}
            // In the order of the writes, up to somewhere.
            1 => {
                let kept = usize::try_from(rng.below(log.len() as u64 + 1)).unwrap();
                for op in &log[..kept] {
                    put(&mut image, op);
                }
                if let Some(op) = log.get(kept) {
                    tear(&mut image, op, rng);
                }
            }
            // Each write for itself.
            2 => {
                for op in log {
                    match rng.below(3) {
                        0 => put(&mut image, op),
                        1 => tear(&mut image, op, rng),
                        _ => {}
                    }
                }
            }
            _ => {
                for op in log {
                    put(&mut image, op);
                }
            }
        }
        image
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.calls += 1;
        match &mut state.left {
            Some(0) => return Err(io::Error::other("the power is gone")),
            Some(n) => *n -= 1,
            None => {}
        }
        Ok(state)
    }
}

fn put(image: &mut Image, op: &Op) {
    match op {
        Op::Write(at, data) => image.write(*at, data),
        Op::Length(len) => image.resize(*len),
    }
}

fn tear(image: &mut Image, op: &Op, rng: &mut Rng) {
    match op {
        Op::Write(at, data) => {
            let mut from = 0;
            while from < data.len() {
                // Sectors are parts of the disk, not of the write.
                let to = data.len().min((at + from) / SECTOR * SECTOR + SECTOR - at);
                if rng.chance(50) {
                    image.write(at + from, &data[from..to]);
                }
                from = to;
            }
        }
        Op::Length(_) => {}
    }
}

fn number(it: u64) -> usize {
    usize::try_from(it).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().now.len as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.lock().now.read(number(offset), out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.change()?;
        state.now.resize(number(len));
        state.log.push(Op::Length(number(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.change()?;
        state.synced = state.now.clone();
        state.log.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.change()?;
        state.now.write(number(offset), data);
        state.log.push(Op::Write(number(offset), data.to_vec()));
        Ok(())
    }
}
