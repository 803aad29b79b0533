//! What the store costs when it is nearly empty, and with ten, a hundred and a thousand times as much, up to a
//! million posts.
//!
//! `cargo bench --bench store`. Needs about 4 GB in the temporary directory (`TMPDIR`) and some minutes,
//! because the stores are really filled, through the same functions the daemon uses.
//!
//! Filling, and reading how much memory an opened store takes, happen in processes of their own, so
//! that the one that measures starts small.

#![allow(clippy::print_stdout)] // a benchmark reports

#[path = "support/posts.rs"]
mod support;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::Delivery;
use sendoff::domain::post::Post;
use sendoff::store::{Options, Store, deliveries, posts};
use tempfile::TempDir;

const STORED: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Rows per transaction while filling.
const BULK: u64 = 20_000;
const ACCOUNTS: u64 = 100;
/// When the first post is due; each next one a minute later.
const FIRST: i64 = 1_796_000_000;

static FILLED: [LazyLock<TempDir>; STORED.len()] = [
    LazyLock::new(|| filled(STORED[0])),
    LazyLock::new(|| filled(STORED[1])),
    LazyLock::new(|| filled(STORED[2])),
    LazyLock::new(|| filled(STORED[3])),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1..).unwrap_or_default() {
        [job, dir, rows] if job == "fill" => fill(Path::new(dir), rows.parse().expect("a number of rows")),
        [job, dir] if job == "memory" => memory(Path::new(dir)),
        _ => {
            for dir in &FILLED {
                run(&["memory".to_owned(), dir.path().display().to_string()]);
            }
            divan::main();
            // Statics are not dropped, and gigabytes would stay.
            for dir in &FILLED {
                std::fs::remove_dir_all(dir.path()).expect("the directory can be removed");
            }
        }
    }
}

/// A tick that finds nothing due, which is what nearly all of them are.
#[divan::bench(args = STORED)]
fn tick_with_nothing_due(bencher: Bencher<'_, '_>, stored: u64) {
    tick(bencher, stored, 0);
}

/// A tick that finds a hundred deliveries due.
#[divan::bench(args = STORED)]
fn tick_with_a_hundred_due(bencher: Bencher<'_, '_>, stored: u64) {
    tick(bencher, stored, 100);
}

fn tick(bencher: Bencher<'_, '_>, stored: u64, due: usize) {
    let store = open(dir_of(stored));
    let now = if due == 0 { instant(0) - SignedDuration::from_secs(1) } else { instant(due as u64 - 1) };
    bencher.bench_local(|| {
        let found = store.read(|rx| Ok((deliveries::due(rx, now, 256)?, deliveries::next_due(rx)?)));
        let (found, next) = found.expect("the store is readable");
        assert_eq!(found.len(), due);
        black_box(next)
    });
}

/// From nothing to a store that answers: lock, look at the file, open it, first tick.
#[divan::bench(args = STORED, sample_size = 1, sample_count = 30)]
fn start(bencher: Bencher<'_, '_>, stored: u64) {
    let dir = dir_of(stored);
    bencher.bench_local(|| {
        let store = open(dir);
        store.read(deliveries::next_due).expect("the store is readable");
        store
    });
}

/// Callers at once, each making one post and waiting until it is durable.
#[divan::bench(args = [1, 10, 100], sample_size = 1, sample_count = 60)]
fn durable_writes(bencher: Bencher<'_, '_>, callers: u64) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = TempDir::new().expect("a temporary directory");
    let store = open(dir.path());
    let mut next = 0;
    bencher.counter(ItemsCount::new(callers)).bench_local(|| {
        let first = next;
        next += callers;
        runtime.block_on(async {
            let writes = (first..next).map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let (post, delivery) = post(n);
                    let deliveries = [delivery];
                    store.write(move |tx| posts::create(tx, &post, &deliveries, None, None)).await
                })
            });
            for write in writes.collect::<Vec<_>>() {
                write.await.expect("the task ends").expect("the write is durable");
            }
        });
    });
}

fn dir_of(stored: u64) -> &'static Path {
    let at = STORED.iter().position(|it| *it == stored).expect("it is one of those");
    FILLED[at].path()
}

fn open(dir: &Path) -> Store {
    Store::open(dir, instant(0), Options::default()).expect("the store opens")
}

/// A directory with a store of so many posts, filled by another process.
fn filled(rows: u64) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    run(&["fill".to_owned(), dir.path().display().to_string(), rows.to_string()]);
    dir
}

fn run(arguments: &[String]) {
    let program: PathBuf = std::env::current_exe().expect("this program has a path");
    let status = Command::new(program).args(arguments).status().expect("this program starts again");
    assert!(status.success(), "{arguments:?} failed");
}

fn fill(dir: &Path, rows: u64) {
    let began = Instant::now();
    let store = open(dir);
    for first in (0..rows).step_by(usize::try_from(BULK).expect("it fits")) {
        let until = rows.min(first + BULK);
        let bulk = move |tx: &mut sendoff::store::Tx<'_>| {
            for n in first..until {
                let (post, delivery) = post(n);
                posts::create(tx, &post, &[delivery], None, None)?;
            }
            Ok(())
        };
        store.write_blocking(bulk).expect("the store takes it");
    }
    drop(store);
    let bytes = std::fs::metadata(dir.join("sendoff.redb")).expect("the store is there").len();
    println!("filled: {rows} posts, {} MiB, {:.0} s", bytes >> 20, began.elapsed().as_secs_f64());
}

/// Prints what the process takes before and after it opened the store and looked for work.
fn memory(dir: &Path) {
    let before = resident();
    let store = open(dir);
    for _ in 0..1_000 {
        store
            .read(|rx| Ok((deliveries::due(rx, instant(99), 256)?, deliveries::next_due(rx)?)))
            .expect("the store is readable");
    }
    let after = resident();
    let rows = store.read(deliveries::counts).expect("the store is readable");
    println!("memory: {before} KiB resident, {after} KiB with an open store of {rows:?}, 1,000 ticks later");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).expect("Linux has it");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("it is a number")
}

fn instant(n: u64) -> Timestamp {
    let seconds = FIRST + i64::try_from(n * 60).expect("it fits");
    Timestamp::from_second(seconds).expect("it is a time")
}

/// The nth post and its one delivery, made a month before it is due.
fn post(n: u64) -> (Post, Delivery) {
    support::post(
        n,
        n % ACCOUNTS,
        support::text(n),
        instant(n),
        instant(n) - SignedDuration::from_hours(24 * 30),
    )
}
