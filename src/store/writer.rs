//! One writer with group commit, and short readers.
//!
//! Writes queue up. Whoever finds no commit running starts one on the blocking pool; it takes
//! everything that waits (up to [`GROUP`]) into one transaction, commits, answers each caller, and
//! goes on until the queue is empty. So one slow disk serves many callers, and no thread idles.
//! A thread of our own would do as well in service, but not under tokio's paused test clock, which
//! stands still only while the blocking pool works.
//!
//! A caller that is refused before it changed anything is simply told so. One that fails after a
//! change is taken out, the transaction is dropped, and the others run again without it: hence
//! `FnMut`. Answers, refusals too, go out only after the commit they may depend on.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, WriteTransaction};
use tokio::sync::{oneshot, watch};

use super::ballast::{Ballast, free_bytes};
use super::errors::StoreError;
use super::tx::{Rx, Tx};

/// Most callers that share one commit. More would only make the first wait longer.
const GROUP: usize = 256;

/// What became of a wish to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compaction {
    Done,
    /// The file has so many bytes that everything else would wait too long.
    TooBig {
        bytes: u64,
    },
    /// The disk has too little room for what can be left undone.
    NoRoom,
}

/// Where the store lies, and when it may be compacted there. Sizes in bytes.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) file: PathBuf,
    /// The largest file that is compacted.
    pub(super) compact_upto: u64,
    /// Compacted only with so much free on the disk.
    pub(super) room: u64,
}

/// The store, open. Cheap to clone; every clone is the same store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// None once closed. The lock is held shared by transactions and alone by compaction.
    db: RwLock<Option<Database>>,
    queue: Mutex<Queue>,
    /// The first error that ended it all.
    failed: watch::Sender<Option<StoreError>>,
    /// Whether a commit runs; closing waits for it.
    busy: watch::Sender<bool>,
    /// None on a backend without a directory.
    ballast: Option<Ballast>,
    /// The same.
    home: Option<Home>,
    /// Counts commits, for those who follow what is written.
    commits: watch::Sender<u64>,
    /// Held for its `Drop`: the lock on the directory. Fields drop in order, so it goes last.
    _lock: Option<std::fs::File>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    running: bool,
    closing: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("jobs", &self.jobs.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// One caller's write.
trait Job: Send {
    /// Does it inside a transaction. May be called again after that transaction was dropped.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Tells the caller. Called once, after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A caller's write, and what became of it in the transaction at hand.
type Noted = (Box<dyn Job>, Option<Result<(), StoreError>>);

struct Typed<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.value = None;
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        // The caller may have gone away; its write is on the disk all the same.
        drop(reply.send(outcome.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}

impl Store {
    pub(super) fn new(
        db: Database,
        lock: Option<std::fs::File>,
        ballast: Option<Ballast>,
        home: Option<Home>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                db: RwLock::new(Some(db)),
                queue: Mutex::default(),
                failed: watch::Sender::new(None),
                busy: watch::Sender::new(false),
                ballast,
                home,
                commits: watch::Sender::new(0),
                _lock: lock,
            }),
        }
    }

    /// Runs `work` in a write transaction; the future ends when its changes are durable. The write
    /// is queued by the call itself, so writes happen in the order of the calls, awaited or not.
    ///
    /// `work` may run more than once (see the module's head), each time from a clean state: it must
    /// not change anything outside the transaction. Once queued, the write happens even if the
    /// returned future is dropped.
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let queued = self.enqueue(work);
        let store = self.clone();
        if let Ok((_, true)) = queued {
            let inner = Arc::clone(&self.inner);
            tokio::task::spawn_blocking(move || inner.drain());
        }
        async move {
            let (answer, _) = queued?;
            answer.await.unwrap_or_else(|_| Err(store.stopped()))
        }
    }

    /// As [`Store::write`], for code outside of async: tools, tests, start-up. Blocks.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (mut answer, start) = self.enqueue(work)?;
        if start {
            self.inner.drain();
            return answer.try_recv().unwrap_or_else(|_| Err(self.stopped()));
        }
        answer.blocking_recv().unwrap_or_else(|_| Err(self.stopped()))
    }

    /// As [`Store::write_blocking`] of several callers whose writes wait for the same commit, in this order; for
    /// the simulation. Blocks.
    pub fn write_together_blocking<F>(&self, works: Vec<F>) -> Vec<Result<(), StoreError>>
    where
        F: FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let queued: Vec<_> = works.into_iter().map(|work| self.enqueue(work)).collect();
        let start = queued.iter().any(|it| matches!(it, Ok((_, true))));
        if start {
            self.inner.drain();
        }
        let answered = |(mut answer, _): (oneshot::Receiver<_>, bool)| {
            let it = if start { answer.try_recv().ok() } else { answer.blocking_recv().ok() };
            it.unwrap_or_else(|| Err(self.stopped()))
        };
        queued.into_iter().map(|it| it.and_then(answered)).collect()
    }

    /// Runs `work` in a read transaction: one consistent state, without waiting for writers.
    ///
    /// Reads block on the disk for microseconds; a scan of many rows belongs on the blocking pool.
    pub fn read<T>(&self, work: impl FnOnce(&Rx) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Closed)?;
        let outcome = db.begin_read().map_err(StoreError::from).and_then(|rx| work(&Rx::new(rx)));
        if let Err(error @ StoreError::Io(_)) = &outcome {
            self.inner.fail(error);
        }
        outcome
    }

    /// Resolves when the store has failed, with the error. The process must end then.
    pub async fn failed(&self) -> StoreError {
        let mut failed = self.inner.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(StoreError::Failed),
            Err(_) => StoreError::Closed,
        }
    }

    /// Room kept for a full disk; none without a directory.
    pub fn ballast(&self) -> Option<&Ballast> {
        self.inner.ballast.as_ref()
    }

    /// Changes with every commit: there may be something new to read.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits.subscribe()
    }

    /// The error that stopped the store, if one did.
    pub fn failure(&self) -> Option<StoreError> {
        self.inner.failed.borrow().clone()
    }

    /// Refuses new writes, waits for those that were accepted, and shuts the file in order.
    pub async fn close(&self) {
        self.inner.queue().closing = true;
        let mut busy = self.inner.busy.subscribe();
        // The sender lives in `self`, so this ends only by the condition.
        drop(busy.wait_for(|it| !it).await);
        drop(self.inner.db.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Gives the pages of deleted rows back, so that their bytes leave the file; but not where that
    /// would take long, for readers and writers wait meanwhile. What is left is used again by what
    /// is written later.
    pub fn compact(&self) -> Result<Compaction, StoreError> {
        if let Some(home) = &self.inner.home {
            // Before the lock: who waits for it alone holds up all readers that come later.
            let bytes = home.file.metadata().map_or(u64::MAX, |it| it.len());
            if bytes > home.compact_upto {
                return Ok(Compaction::TooBig { bytes });
            }
            if home.file.parent().and_then(free_bytes).is_some_and(|free| free < home.room) {
                return Ok(Compaction::NoRoom);
            }
        }
        let mut db = self.inner.db.write().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_mut().ok_or(StoreError::Closed)?;
        let outcome = db.compact().map_err(StoreError::from);
        if let Err(error) = &outcome {
            self.inner.fail(error);
        }
        outcome.map(|_| Compaction::Done)
    }

    /// Puts a write in the queue. The flag says that no commit runs and the caller must start one.
    fn enqueue<T, F>(&self, work: F) -> Result<(oneshot::Receiver<Result<T, StoreError>>, bool), StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        if self.inner.failed.borrow().is_some() {
            return Err(StoreError::Failed);
        }
        let (reply, answer) = oneshot::channel();
        let mut queue = self.inner.queue();
        if queue.closing {
            return Err(StoreError::Closed);
        }
        queue.jobs.push_back(Box::new(Typed { work, value: None, reply }));
        let start = !queue.running;
        if start {
            queue.running = true;
            self.inner.busy.send_replace(true);
        }
        Ok((answer, start))
    }

    fn stopped(&self) -> StoreError {
        if self.failure().is_some() { StoreError::Failed } else { StoreError::Closed }
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: &StoreError) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(error.clone());
            }
            first
        });
    }

    /// Commits until nothing waits.
    fn drain(&self) {
        let stop = Stop(self);
        loop {
            let batch: Vec<Box<dyn Job>> = {
                let mut queue = self.queue();
                if queue.jobs.is_empty() {
                    queue.running = false;
                    self.busy.send_replace(false);
                    std::mem::forget(stop);
                    return;
                }
                let some = queue.jobs.len().min(GROUP);
                queue.jobs.drain(..some).collect()
            };
            self.commit(batch);
        }
    }

    /// One transaction for all of `batch`, and the answers.
    fn commit(&self, batch: Vec<Box<dyn Job>>) {
        let mut jobs: Vec<Noted> = batch.into_iter().map(|job| (job, None)).collect();
        let outcome = if self.failed.borrow().is_some() {
            Err(StoreError::Failed)
        } else {
            let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
            db.as_ref().ok_or(StoreError::Closed).and_then(|db| run_all(db, &mut jobs))
        };
        match outcome {
            Ok(()) => {
                self.commits.send_modify(|n| *n = n.wrapping_add(1));
                for (job, its) in jobs {
                    job.answer(its.unwrap_or(Err(StoreError::Closed)));
                }
            }
            Err(error) => {
                // Latched before anyone is answered: whoever hears of it finds the store stopped.
                self.fail(&error);
                for (job, _) in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }
}

/// Runs every job in one transaction and commits; notes beside each job what became of it.
/// `Err` means the store itself failed, and then nothing of the batch counts.
fn run_all(db: &Database, jobs: &mut [Noted]) -> Result<(), StoreError> {
    let mut taken_out = vec![false; jobs.len()];
    loop {
        let mut tx = db.begin_write()?;
        tx.set_quick_repair(true); // implies two-phase commit; the durability is `Immediate`
        match run_each(&tx, jobs, &mut taken_out)? {
            Turn::Changed => return Ok(tx.commit()?),
            Turn::Unchanged => return Ok(tx.abort()?),
            Turn::Spoilt => tx.abort()?,
        }
    }
}

/// What a round of jobs did to its transaction.
enum Turn {
    Changed,
    Unchanged,
    /// One failed after a change. It is taken out now, and the others must run again.
    Spoilt,
}

fn run_each(tx: &WriteTransaction, jobs: &mut [Noted], taken_out: &mut [bool]) -> Result<Turn, StoreError> {
    let mut turn = Tx::new(tx);
    let mut changed = false;
    for ((job, outcome), taken_out) in jobs.iter_mut().zip(taken_out) {
        if *taken_out {
            continue;
        }
        turn.next_turn();
        let its = job.run(&mut turn);
        let wrote = turn.writes() > 0;
        match &its {
            Err(error) if error.is_fatal() => return Err(error.clone()),
            Err(_) if wrote => {
                *taken_out = true;
                *outcome = Some(its);
                return Ok(Turn::Spoilt);
            }
            Err(_) => {}
            Ok(()) => changed |= wrote,
        }
        *outcome = Some(its);
    }
    if changed {
        turn.write_counts()?;
    }
    Ok(if changed { Turn::Changed } else { Turn::Unchanged })
}

/// If a caller's closure panics, the queue must not look busy for ever: the store stops instead.
struct Stop<'a>(&'a Inner);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.fail(&StoreError::Failed);
        let mut queue = self.0.queue();
        queue.running = false;
        queue.jobs.clear(); // dropping a job tells its caller that the store stopped
        drop(queue);
        self.0.busy.send_replace(false);
    }
}
