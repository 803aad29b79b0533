//! How many deliveries a second the whole daemon makes durable, how late they start, and what an idle
//! one takes.
//!
//! `cargo bench --bench throughput` prints what the machine allows (bare redb commits, a bare HTTP call),
//! then the daemon's rows, with their ratio to that, then an idle daemon. Every row runs in a process of its own: the real
//! daemon on a new directory on the real disk (`TMPDIR`), every write durable, talking HTTP to a stand-in
//! of X that lives in this process. Accounts, tokens and posts are put into the store beforehand, through
//! the functions the daemon uses; all posts are due at the same second, or one after
//! the other at a steady pace. The clock stops when the store
//! counts all of them as published, which it does only after their last write is on the disk.
//!
//! The stand-in does as little as it can (it is not what is measured, but it takes its share of the
//! processor), and keeps every text it was given: a row fails unless each arrived exactly once.
//!
//! `-- row ACCOUNTS POSTS [MILLISECONDS BETWEEN TWO]` measures one row of your choice, `-- machine` only what
//! the machine allows, `-- idle POSTS` an idle daemon with so many scheduled posts.

#![allow(clippy::print_stdout)] // a benchmark reports

#[path = "throughput/stand_in.rs"]
mod stand_in;
#[path = "support/posts.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use sendoff::auth::Grant;
use sendoff::clock::SystemClock;
use sendoff::config::{self, Config};
use sendoff::control::client::Client;
use sendoff::daemon::disk::Room;
use sendoff::daemon::start::{Plan, start};
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::post::Post;
use sendoff::http::Exchange as _;
use sendoff::http::clients::{OneShot, tls};
use sendoff::keys::keyring::Keyring;
use sendoff::keys::master::MasterKey;
use sendoff::store::{Options, Store, accounts, deliveries, posts, vault};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use stand_in::{Arrivals, stand_in};
use support::{account_id, name};

/// Accounts, posts, milliseconds between two.
const ROWS: [(u64, u64, u64); 7] = [
    (1, 200, 0),
    (8, 1_000, 0),
    (64, 4_000, 0),
    (256, 5_000, 0),
    (100, 5_000, 0),
    (100, 500, 0),
    (20, 400, 50),
];
/// Each row so many times; the table shows the run with the middle rate.
const RUNS: usize = 3;
/// Posts in the store of the idle daemon: the first for its memory, the second for its start.
const IDLE: [u64; 2] = [100_000, 1_000_000];
/// How long what the machine allows is measured, and how many callers at once.
const BARE: (Duration, usize) = (Duration::from_secs(3), 64);
/// Rows of a bare commit that is shared.
const GROUP: u32 = 64;
/// Rows per transaction while filling.
const BULK: u64 = 10_000;
/// What the daemon seals a grant for: its number of the table and of the field.
const GRANT: (u16, u16) = (1, 1);
/// A row that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_mins(5);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    match words.first().map(String::as_str) {
        Some("daemon") => {
            let seen = runtime().block_on(row(number(1), number(2), number(3), &words[4]));
            println!("{}", serde_json::to_string(&seen).expect("it is plain data"));
        }
        Some("fill") => fill_idle(Path::new(&words[1]), number(2)),
        Some("idle") => idle(number(1)),
        Some("row") => {
            let bare = machine();
            table(&[(number(1), number(2), words.get(3).map_or(0, |_| number(3)))], bare);
        }
        Some("machine") => drop(machine()),
        _ => {
            let bare = machine();
            table(&ROWS, bare);
            for posts in IDLE {
                idle(posts);
            }
        }
    }
}

/// As `sendoff serve` makes it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

// ---- the tables ------------------------------------------------------------------------------

/// What one process saw. Times in milliseconds, sizes in KiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    rate: f64,
    late_p50: i64,
    late_p99: i64,
    late_max: i64,
    /// Read back and noted as seen live, when the daemon was stopped.
    verified: u64,
    /// Resident before the daemon started, with 100 ms to go, at the most.
    rss: [u64; 3],
    /// Processor time of the process from the due instant until all was published.
    cpu_ms: u64,
    /// Bytes it gave the disk meanwhile.
    written: u64,
    /// Commits of its store meanwhile.
    commits: u64,
}

/// What the machine allows, per second: durable commits of one row each, as the store makes them, and
/// publishing calls, each over a connection of its own, with the server in this process.
fn machine() -> Bare {
    let (time, callers) = BARE;
    let dir = TempDir::new().expect("a temporary directory");
    let db = redb::Database::create(dir.path().join("bare.redb")).expect("a store");
    let rows = redb::TableDefinition::<u64, &[u8]>::new("rows");
    let (began, mut commits) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        let mut tx = db.begin_write().expect("a transaction");
        tx.set_quick_repair(true);
        let mut table = tx.open_table(rows).expect("a table");
        table.insert(u64::from(commits), [7_u8; 600].as_slice()).expect("it takes a row");
        drop(table);
        tx.commit().expect("it commits");
        commits += 1;
    }
    let commits = f64::from(commits) / began.elapsed().as_secs_f64();
    let (began, mut shared) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        let mut tx = db.begin_write().expect("a transaction");
        tx.set_quick_repair(true);
        let mut table = tx.open_table(rows).expect("a table");
        for n in 0..GROUP {
            table.insert(u64::from(shared + n), [7_u8; 600].as_slice()).expect("it takes a row");
        }
        drop(table);
        tx.commit().expect("it commits");
        shared += GROUP;
    }
    let shared = f64::from(shared) / began.elapsed().as_secs_f64();
    let network = runtime();
    let seen = Arc::new(Arrivals::default());
    let address = network.block_on(stand_in(Arc::clone(&seen)));
    let client = OneShot::new(tls(None).expect("TLS")).expect("a client");
    let calls = network.block_on(async {
        let began = Instant::now();
        let callers: Vec<_> = (0..callers)
            .map(|caller| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut n = 0_u32;
                    while began.elapsed() < time {
                        let body = format!("{{\"text\":\"{caller} {n}\"}}");
                        let request = http::Request::post(format!("http://{address}/2/tweets"))
                            .header("authorization", "Bearer token-of-account-0")
                            .body(body.into())
                            .expect("a request");
                        let answer = client.exchange(request).await.expect("an answer");
                        assert_eq!(answer.status(), 201);
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let mut calls = 0;
        for caller in callers {
            calls += caller.await.expect("it ends");
        }
        f64::from(calls) / began.elapsed().as_secs_f64()
    });
    network.shutdown_background();
    println!(
        "this machine, with {} at once: {calls:.0} bare HTTP calls/s; one after the other: {commits:.0} bare durable commits/s; {GROUP} rows a commit: {shared:.0} bare durable rows/s",
        BARE.1
    );
    Bare { calls, commits, rows: shared }
}

/// What the daemon's rows are compared with.
#[derive(Clone, Copy)]
struct Bare {
    calls: f64,
    /// Commits of one row each.
    commits: f64,
    /// Rows, [`GROUP`] to a commit.
    rows: f64,
}

fn table(rows: &[(u64, u64, u64)], bare: Bare) {
    println!(
        "posts due at the same second, or every so many ms; the middle of {RUNS} runs by rate, (lowest–highest)"
    );
    println!(
        "accounts  posts  every  deliveries/s             of bare calls, commits, rows  late p50     p99      max   CPU/post  commits/post  written/post  RSS before/ready/peak"
    );
    for &(accounts, posts, every) in rows {
        let mut runs: Vec<Seen> = (0..RUNS).map(|_| run(accounts, posts, every)).collect();
        runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let (low, high) = (runs[0].rate, runs[RUNS - 1].rate);
        let Seen { rate, late_p50, late_p99, late_max, rss, cpu_ms, written, commits, .. } =
            runs[RUNS / 2].clone();
        println!(
            "{accounts:>8}  {posts:>5}  {every:>2} ms  {rate:>7.0} ({low:>6.0}–{high:>6.0})  {:>10.2}     {:>5.2}  {:>5.3}  {late_p50:>8} ms {late_p99:>5} ms {late_max:>5} ms  {:>6} µs  {:>12.3}  {:>8.1} KiB  {:.1}/{:.1}/{:.1} MiB",
            rate / bare.calls,
            rate / bare.commits,
            rate / bare.rows,
            cpu_ms * 1000 / posts,
            share(commits, posts),
            kib(written / posts),
            mib(rss[0]),
            mib(rss[1]),
            mib(rss[2]),
        );
    }
}

fn share(some: u64, of: u64) -> f64 {
    let small = |n| f64::from(u32::try_from(n).expect("it fits"));
    small(some) / small(of)
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).expect("less than 4 TiB")) / 1024.0
}

fn kib(bytes: u64) -> f64 {
    mib(bytes)
}

/// One row: the stand-in here, the daemon in a process of its own.
fn run(accounts: u64, posts: u64, every: u64) -> Seen {
    let network = runtime();
    let seen = Arc::new(Arrivals::default());
    let address = network.block_on(stand_in(Arc::clone(&seen)));
    let program: PathBuf = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .arg("daemon")
        .args([accounts, posts, every].map(|it| it.to_string()))
        .arg(address.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("this program starts again");
    assert!(output.status.success(), "the row with {accounts} accounts failed");
    let texts = seen.texts.lock().expect("nobody panicked");
    assert_eq!(texts.len() as u64, posts, "every post arrives");
    let twice: Vec<_> = texts.iter().filter(|(_, n)| **n != 1).collect();
    assert!(twice.is_empty(), "no post arrives twice: {twice:?}");
    drop(texts);
    network.shutdown_background();
    serde_json::from_slice(&output.stdout).expect("the process says what it saw")
}

// ---- the daemon's process ----------------------------------------------------------------------

async fn row(accounts: u64, posts: u64, every: u64, network: &str) -> Seen {
    let dir = TempDir::new().expect("a temporary directory");
    let config = set_up(dir.path(), &format!("http://{network}"));
    log_to(dir.path());
    // Enough time to fill the store and to start.
    let now = Timestamp::now();
    let due = Timestamp::from_second(now.as_second() + 5 + i64::try_from(posts / 400).expect("small"))
        .expect("it is a time");
    let at = |n: u64| due + i64::try_from(n * every).expect("small").milliseconds();
    fill(&config, accounts, posts, at);
    let before = memory("VmRSS:");
    let socket = config.server.control_socket.clone();
    let data = config.data_dir.clone();
    let plan = Plan {
        config,
        config_path: dir.path().join("sendoff.toml"),
        clock: Arc::new(SystemClock),
        notify: false,
        room: Room::default(),
    };
    let daemon = start(plan).await.expect("the daemon starts");
    let client = Client::new(&socket).expect("a client");
    let ahead = due.duration_since(Timestamp::now()) - SignedDuration::from_millis(100);
    tokio::time::sleep(Duration::try_from(ahead).expect("it was filled and started in time")).await;
    let ready = memory("VmRSS:");
    let left = due.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    let (cpu, wrote, committed) = (cpu_ms(), written(), daemon.commits());
    let began = Instant::now();
    let ended = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let status = client.status().await.expect("the daemon answers");
        let took = Timestamp::now().duration_since(due);
        if status.deliveries.iter().any(|(word, n)| word == "published" && *n == posts) {
            break took;
        }
        assert!(began.elapsed() < PATIENCE, "not all was published: {:?}", status.deliveries);
    };
    let (cpu_ms, written, commits) = (cpu_ms() - cpu, written() - wrote, daemon.commits() - committed);
    // The last read-backs, which nobody waits for.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let peak = memory("VmHWM:");
    daemon.stop().await;

    let store = Store::open(&data, Timestamp::now(), Options::default()).expect("the store opens");
    let all = store.read(|rx| {
        let mut all: Vec<Delivery> = Vec::new();
        for n in 0..accounts {
            for id in deliveries::of_account(rx, account_id(n), deliveries::Which::All, usize::MAX)? {
                let attempts = deliveries::attempts(rx, id)?;
                assert_eq!(attempts.len(), 1, "one call for each");
                all.push(deliveries::need(rx, id)?);
            }
        }
        Ok(all)
    });
    let all = all.expect("the store is readable");
    assert_eq!(all.len() as u64, posts);
    assert!(all.iter().all(|it| it.state == State::Published));
    let mut late: Vec<i64> = all
        .iter()
        .filter_map(|it| Some(it.sent_at?.duration_since(it.due.instant)))
        .map(|it| i64::try_from(it.as_millis()).expect("it fits"))
        .collect();
    late.sort_unstable();
    let at = |part: usize| late[(late.len() * part / 100).min(late.len() - 1)];
    Seen {
        rate: f64::from(u32::try_from(posts).expect("it fits")) / ended.as_secs_f64(),
        late_p50: at(50),
        late_p99: at(99),
        late_max: at(100),
        verified: all.iter().filter(|it| it.verified).count() as u64,
        rss: [before, ready, peak],
        cpu_ms,
        written,
        commits,
    }
}

/// The log as a service would write it, into a file: lines are part of the work.
fn log_to(dir: &Path) {
    let file = std::fs::File::create(dir.join("log")).expect("a log file");
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .init();
}

/// Master key, directories and a configuration that sends to `network` without spacing.
fn set_up(dir: &Path, network: &str) -> Config {
    let key = dir.join("master.key");
    MasterKey::generate(getrandom::fill).expect("random bytes").write_new(&key).expect("a key file");
    let (data, run) = (dir.join("data"), dir.join("run"));
    for made in [&data, &run] {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(made).expect("a directory");
    }
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8420\"\n\
         control_socket = \"{}\"\n\n[storage]\ndata_dir = \"{}\"\n\n[keys]\nmaster = {{ file = \"{}\" }}\n\n\
         [platforms.x]\nclient_id = \"benchmark\"\n\n[platforms.x.endpoints]\nauthorize = \"{network}\"\n\
         api = \"{network}\"\n\n[engine]\nlane_spacing = \"0s\"\ncatch_up_spacing = \"0s\"\n",
        run.join("control.sock").display(),
        data.display(),
        key.display(),
    );
    let path = dir.join("sendoff.toml");
    std::fs::write(&path, &text).expect("a configuration file");
    config::parse(&text, &path).expect("a configuration")
}

/// Connected accounts with sealed tokens, and posts shared out among them.
fn fill(config: &Config, accounts: u64, posts: u64, due: impl Fn(u64) -> Timestamp) {
    let dir = &config.data_dir;
    let master = MasterKey::from_file(&dir.with_file_name("master.key")).expect("the key");
    let keyring = Keyring::open(dir, &master).expect("a keyring");
    let store = Store::open(dir, Timestamp::now(), Options::default()).expect("a store");
    for n in 0..accounts {
        let account = account(n);
        let grant = grant(n);
        keyring.create(account.id).expect("a data key");
        let sealed =
            keyring.seal(account.id, GRANT.0, GRANT.1, &grant.to_sealed_json()).expect("a sealed grant");
        let write = move |tx: &mut sendoff::store::Tx<'_>| {
            accounts::put(tx, &account)?;
            vault::put_grant(tx, account.id, None, &sealed, Some(grant.issued_at), grant.expires_at)
        };
        store.write_blocking(write).expect("the store takes it");
    }
    for first in (0..posts).step_by(usize::try_from(BULK).expect("it fits")) {
        let bulk: Vec<_> = (first..posts.min(first + BULK)).map(|n| post(n, n % accounts, due(n))).collect();
        let write = move |tx: &mut sendoff::store::Tx<'_>| {
            for (post, delivery) in &bulk {
                posts::create(tx, post, std::slice::from_ref(delivery), None, None)?;
            }
            Ok(())
        };
        store.write_blocking(write).expect("the store takes it");
    }
}

fn account(n: u64) -> Account {
    let now = Timestamp::now();
    Account {
        username: format!("account_{n}"),
        display_name: format!("Account {n}"),
        scopes: ["tweet.read", "tweet.write", "users.read"].map(str::to_owned).to_vec(),
        issued_at: Some(now),
        ..Account::new(account_id(n), name(n), (1_000 + n).to_string(), now)
    }
}

/// In its written form, the only way to a token from outside.
fn grant(n: u64) -> Grant {
    let written = serde_json::json!({
        "v": 1,
        "access": format!("token-of-account-{n}-and-some-more-to-make-it-long"),
        "refresh": null,
        "dpop": null,
        "scopes": [],
        "issued_at": Timestamp::now(),
        "expires_at": null,
        "grant_expires_at": null,
        "client_id": "benchmark",
        "server": null,
    });
    Grant::from_sealed_json(written.to_string().as_bytes()).expect("a grant")
}

/// The nth post and its one delivery.
fn post(n: u64, account: u64, due: Timestamp) -> (Post, Delivery) {
    let text = format!("Post number {n}. The ovens are lit at four, the first loaves are out at six.");
    support::post(n, account, text, due, Timestamp::now())
}

// ---- an idle daemon ----------------------------------------------------------------------------

/// Starts the real program on a store full of posts that are not due, and looks at it.
fn idle(posts: u64) {
    let dir = TempDir::new().expect("a temporary directory");
    let program: PathBuf = std::env::current_exe().expect("this program has a path");
    let filled = Command::new(program)
        .arg("fill")
        .arg(dir.path())
        .arg(posts.to_string())
        .status()
        .expect("it starts again");
    assert!(filled.success(), "the store could not be filled");
    let bytes = std::fs::metadata(dir.path().join("data/sendoff.redb")).expect("the store").len();
    println!("`sendoff serve`, idle, {posts} scheduled posts in a store of {} MiB", bytes >> 20);
    println!("after       start to ready   RSS after 3 s   peak");
    for (after, ends_by) in [
        ("filling", rustix::process::Signal::TERM),
        ("a stop", rustix::process::Signal::KILL),
        ("kill -9", rustix::process::Signal::KILL),
        ("kill -9", rustix::process::Signal::TERM),
    ] {
        let began = Instant::now();
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_sendoff"))
            .args(["serve", "--config"])
            .arg(dir.path().join("sendoff.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let client = Client::new(&dir.path().join("run/control.sock")).expect("a client");
        let ready = runtime().block_on(async {
            loop {
                if let Ok(status) = client.status().await
                    && status.ready
                {
                    return began.elapsed();
                }
                assert!(began.elapsed() < PATIENCE, "the daemon does not become ready");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        std::thread::sleep(Duration::from_secs(3));
        let [rss, peak] = ["VmRSS:", "VmHWM:"].map(|it| memory_of(&daemon.id().to_string(), it));
        println!(
            "{after:<8} {:>14.0} ms   {:>8.1} MiB      {:.1} MiB",
            ready.as_secs_f64() * 1e3,
            mib(rss),
            mib(peak)
        );
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, ends_by).expect("it is told to end");
        let ended = daemon.wait().expect("it ends");
        assert!(ended.success() || ends_by == rustix::process::Signal::KILL, "{ended}");
    }
}

fn fill_idle(dir: &Path, posts: u64) {
    let config = set_up(dir, "http://127.0.0.1:9");
    let first = Timestamp::now() + 24.hours();
    fill(&config, 100, posts, |n| first + i64::try_from(n).expect("it fits").seconds());
}

fn memory(line: &str) -> u64 {
    memory_of("self", line)
}

fn memory_of(process: &str, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux has it");
    let line = status.lines().find(|it| it.starts_with(line)).expect("Linux has it");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("it is a number")
}

/// Processor time of this process so far: fields 14 and 15 of its `stat`, in hundredths of a second.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, after_name) = stat.rsplit_once(") ").expect("the name is in brackets");
    let ticks = |at: usize| after_name.split(' ').nth(at).and_then(|it| it.parse::<u64>().ok());
    (ticks(11).expect("user time") + ticks(12).expect("system time")) * 10
}

/// Bytes this process gave the disk so far.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("Linux has it");
    let line = io.lines().find_map(|it| it.strip_prefix("write_bytes: ")).expect("Linux has it");
    line.parse().expect("it is a number")
}
