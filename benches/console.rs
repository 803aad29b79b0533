//! What the console costs in front of a store with a million posts: its first screen, a key press, and
//! the bytes that a key press sends, as over SSH.
//!
//! `cargo bench --bench console` (or `-- 10000` for fewer posts). The real program in a pseudo terminal of
//! 80×24, in front of a real daemon whose store is filled through the functions the daemon uses, half of it
//! with posts that have ended. Needs
//! about 4 GB in the temporary directory (`TMPDIR`) for a million.

#![allow(clippy::print_stdout)] // a benchmark reports

#[path = "support/posts.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use sendoff::domain::delivery::{Delivery, Event, Reason};
use sendoff::domain::post::Post;
use sendoff::store::{Options, Store, posts};
use tempfile::TempDir;

const MANY: u64 = 1_000_000;
/// Rows per transaction while filling.
const BULK: u64 = 20_000;
const SIZE: (u16, u16) = (80, 24);
/// Starts of the console, and presses of a key.
const STARTS: usize = 20;
const PRESSES: usize = 300;
/// The keys that show only what was cancelled.
const CANCELLED: &str = "fjjjjjjjjjj\r";
/// What takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_mins(5);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match words.first().map(String::as_str) {
        Some("fill") => fill(Path::new(&words[1]), words[2].parse().expect("a number")),
        rows => measure(rows.map_or(MANY, |it| it.parse().expect("a number of posts"))),
    }
}

fn measure(rows: u64) {
    let dir = TempDir::new().expect("a temporary directory");
    let sendoff = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sendoff"));
        command.args(args).current_dir(dir.path()).env("HOME", dir.path()).env_remove("SENDOFF_CONFIG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(sendoff(&["init", "--dir", "."]).status().expect("it starts").success());
    let path = dir.path().join("sendoff.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration is there");
    let mut settings: toml::Table = text.parse().expect("it is TOML");
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr()).expect("a port");
    let server = settings["server"].as_table_mut().expect("it has a server");
    server.insert("listen".into(), free.to_string().into());
    server.insert("public_url".into(), format!("http://{free}").into());
    let socket = server["control_socket"].as_str().expect("it has a socket").to_owned();
    std::fs::write(&path, settings.to_string()).expect("the configuration can be written");
    let socket = dir.path().join(socket);
    let serve = || {
        let mut daemon = sendoff(&["serve"]).spawn().expect("the daemon starts");
        while UnixStream::connect(&socket).is_err() {
            let ended = daemon.try_wait().expect("it can be looked at");
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            std::thread::yield_now();
        }
        daemon
    };
    // It makes its keys and its store first.
    end(&mut serve());
    // In a process of its own: this one keeps time.
    let own = std::env::current_exe().expect("this program has a path");
    let data = dir.path().join("data");
    let filled = Command::new(own).args(["fill", &data.display().to_string(), &rows.to_string()]).status();
    assert!(filled.expect("this program starts again").success());
    let mut daemon = serve();
    report(dir.path(), rows);
    end(&mut daemon);
}

fn end(daemon: &mut Child) {
    let id = rustix::process::Pid::from_child(daemon);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it can be ended");
    daemon.wait().expect("it ends");
}

fn report(dir: &Path, rows: u64) {
    println!("{rows} posts, {}x{}", SIZE.0, SIZE.1);
    println!("{:<44} {:>10} {:>10} {:>12}", "", "median ms", "p99 ms", "bytes, most");
    let mut first = Vec::new();
    let mut whole = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut console = Console::open(dir);
        console.until(|screen| screen.contains("Overview"));
        first.push((began.elapsed(), 0));
        console.until(|screen| screen.contains("scheduled  "));
        whole.push((began.elapsed(), 0));
        console.press("q");
    }
    line("start of the process to the first frame", &mut first);
    line("start of the process to the rows due next", &mut whole);
    let mut console = Console::open(dir);
    console.until(|screen| screen.contains("scheduled  "));
    line("a row down, overview", &mut presses(&mut console, &["j", "k"]));
    for (what, keys) in [
        ("to the timeline and back", [("2", "newest first"), ("1", "Due next")]),
        ("to the calendar and back", [("3", " Mon  "), ("1", "Due next")]),
        ("to the help and back", [("?", "Everywhere"), ("1", "Due next")]),
    ] {
        line(what, &mut turns(&mut console, &keys));
    }
    console.press("2");
    console.until(|screen| screen.contains("newest first"));
    console.until(|screen| screen.contains("scheduled  "));
    // Over many pages of the list: they come and go behind the cursor.
    line("a row down, timeline", &mut presses(&mut console, &["j"]));
    // Down and up: pressed faster than pages come, a key at the last row that is there changes nothing.
    line("a page up or down, timeline", &mut presses(&mut console, &["\x1b[5~", "\x1b[6~"]));
    let (mut narrowed, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        console.press(CANCELLED);
        console.until(|it| it.contains("Showing state cancelled") && it.contains(" cancelled  "));
        narrowed.push((began.elapsed(), 0));
        let began = Instant::now();
        console.press("0");
        console.until(|it| it.contains("Showing everything") && it.contains("scheduled  "));
        whole.push((began.elapsed(), 0));
    }
    line("to what was cancelled, its first rows", &mut narrowed);
    line("to everything again, its first rows", &mut whole);
    console.press("4");
    console.until(|screen| screen.contains("nobody yet"));
    line("a letter, compose", &mut presses(&mut console, &["a", "b", "c"]));
}

/// Presses keys one after the other, each when the screen shows what the one before did.
fn presses(console: &mut Console, keys: &[&str]) -> Vec<(Duration, usize)> {
    (0..PRESSES)
        .map(|n| {
            let (was, before) = console.now();
            let began = Instant::now();
            console.press(keys[n % keys.len()]);
            console.until(|screen| screen != was);
            (began.elapsed(), console.now().1 - before)
        })
        .collect()
}

/// The same for keys that bring another screen, which may go on to change when what it reads has come.
fn turns(console: &mut Console, keys: &[(&str, &str)]) -> Vec<(Duration, usize)> {
    (0..PRESSES)
        .map(|n| {
            let (key, brings) = keys[n % keys.len()];
            let before = console.now().1;
            let began = Instant::now();
            console.press(key);
            console.until(|screen| screen.contains(brings));
            (began.elapsed(), console.now().1 - before)
        })
        .collect()
}

fn line(what: &str, taken: &mut [(Duration, usize)]) {
    taken.sort_unstable();
    let ms = |at: usize| taken[at.min(taken.len() - 1)].0.as_secs_f64() * 1_000.0;
    let bytes = taken.iter().map(|it| it.1).max().unwrap_or(0);
    let bytes = if bytes == 0 { "-".to_owned() } else { bytes.to_string() };
    println!("{what:<44} {:>10.1} {:>10.1} {bytes:>12}", ms(taken.len() / 2), ms(taken.len() * 99 / 100));
}

struct Seen {
    screen: vt100::Parser,
    bytes: usize,
}

/// The console in a terminal of its own.
struct Console {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    keys: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

impl Console {
    fn open(dir: &Path) -> Self {
        let (cols, rows) = SIZE;
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let terminal = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_sendoff"));
        command.cwd(dir);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")] {
            command.env(name, value);
        }
        command.env("HOME", dir);
        let child = terminal.slave.spawn_command(command).expect("the console starts");
        drop(terminal.slave);
        let mut out = terminal.master.try_clone_reader().expect("it can be read");
        let keys = terminal.master.take_writer().expect("it can be written");
        let cells = |n| NonZeroU16::new(n).expect("it is not zero");
        let seen = Seen { screen: vt100::Parser::new(cells(rows), cells(cols), 0), bytes: 0 };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let own = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                let mut seen = own.0.lock().expect("nobody panics");
                seen.screen.process(&buffer[..n]);
                seen.bytes += n;
                own.1.notify_all();
            }
        });
        Self { seen, keys, child, _terminal: terminal.master }
    }

    /// The screen, and the bytes that came so far.
    fn now(&self) -> (String, usize) {
        let seen = self.seen.0.lock().expect("nobody panics");
        (seen.screen.screen().contents(), seen.bytes)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("it takes keys");
    }

    fn until(&self, fits: impl Fn(&str) -> bool) {
        let seen = self.seen.0.lock().expect("nobody panics");
        let waits = |it: &mut Seen| !fits(&it.screen.screen().contents());
        let (seen, limit) = self.seen.1.wait_timeout_while(seen, PATIENCE, waits).expect("nobody panics");
        assert!(!limit.timed_out(), "it does not come:\n{}", seen.screen.screen().contents());
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Already over is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// ---- a store of so many posts ------------------------------------------------------------------

fn fill(dir: &Path, rows: u64) {
    let first = Timestamp::now() + SignedDuration::from_hours(24);
    let store = Store::open(dir, first, Options::default()).expect("the store opens");
    for from in (0..rows).step_by(usize::try_from(BULK).expect("it fits")) {
        let until = rows.min(from + BULK);
        let bulk = move |tx: &mut sendoff::store::Tx<'_>| {
            for n in from..until {
                let (post, delivery) = post(n, first);
                posts::create(tx, &post, &[delivery], None, None)?;
            }
            Ok(())
        };
        store.write_blocking(bulk).expect("the store takes it");
    }
}

/// The nth post and its one delivery, ten seconds after the one before. Every other one has ended.
fn post(n: u64, first: Timestamp) -> (Post, Delivery) {
    let at = first + SignedDuration::from_secs(i64::try_from(n * 10).expect("it fits"));
    let made = first - SignedDuration::from_hours(48);
    let (post, delivery) = support::post(n, n % 100, support::text(n), at, made);
    if n.is_multiple_of(2) {
        return (post, delivery);
    }
    let reason = Reason::new("cancelled", "cancelled by the user");
    let ended = delivery.apply(Event::Cancel { reason }, made).expect("it waits");
    (post, ended)
}
