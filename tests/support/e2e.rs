//! The real program on a temporary directory: daemon and command line as processes of their own,
//! the stand-in networks in this one, and a browser that does what it is told.
//!
//! Nothing here waits by the clock. What is waited for is a line of output or the end of a process,
//! and the limits are there only so that a broken program fails a test instead of hanging it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sendoff::clock::SystemClock;
use sendoff::http::clients::{reading_client, tls};
use sendoff::sandbox::{self, Running};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

#[path = "ports.rs"]
mod ports;

/// Longest wait for anything. Far above what is needed, for machines under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// What a process writes, while it writes it.
#[derive(Clone)]
pub(crate) struct Output(Arc<(Mutex<Written>, Condvar)>);

/// All bytes so far, and whether that is all.
type Written = (Vec<u8>, bool);

impl Output {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new((Vec::new(), false)), Condvar::new()));
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                own.0.lock().unwrap().0.extend_from_slice(&buffer[..n]);
                own.1.notify_all();
            }
            own.0.lock().unwrap().1 = true;
            own.1.notify_all();
        });
        Self(shared)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().0).into_owned()
    }

    /// Waits until `found` says yes, the output ends, or the time is over. True for yes.
    pub(crate) fn wait(&self, limit: Duration, found: impl Fn(&str) -> bool) -> bool {
        let state = self.0.0.lock().unwrap();
        let says = |bytes: &[u8]| found(&String::from_utf8_lossy(bytes));
        let (state, _) =
            self.0.1.wait_timeout_while(state, limit, |(bytes, over)| !*over && !says(bytes)).unwrap();
        says(&state.0)
    }

    fn wait_end(&self) -> bool {
        let state = self.0.0.lock().unwrap();
        let (state, _) = self.0.1.wait_timeout_while(state, PATIENCE, |(_, over)| !*over).unwrap();
        state.1
    }
}

/// A process of ours that never outlives its test.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) out: Output,
    pub(crate) err: Output,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The document on stdout, after a success.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(self.out.lines().last().unwrap_or_default())
            .or_else(|_| serde_json::from_str(&self.out))
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error on stderr, in the shape that scripts rely on, with this exit code, this code word,
    /// and these pieces in message and hint.
    #[track_caller]
    pub(crate) fn refused(&self, exit: i32, code: &str, message: &str, hint: &str) -> Value {
        assert_eq!(self.code, Some(exit), "{self:?}");
        let line = self.err.lines().rfind(|it| !it.is_empty()).unwrap_or_default();
        let answer: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{answer}");
        let says = |field: &str, piece: &str| {
            let text = error[field].as_str().unwrap_or_else(|| panic!("no {field}: {answer}"));
            assert!(text.contains(piece), "{field} lacks `{piece}`: {answer}");
        };
        says("message", message);
        says("hint", hint);
        error.clone()
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { input: child.stdin.take(), out: Output::of(out), err: Output::of(err), child }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        drop(self.input.take());
        let over = self.out.wait_end() && self.err.wait_end();
        assert!(over, "it does not end: {} {}", self.out.text(), self.err.text());
        let code = self.child.wait().unwrap().code();
        Ran { code, out: self.out.text(), err: self.err.text() }
    }

    /// Ends it in order.
    #[track_caller]
    pub(crate) fn stop(self) -> Ran {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.end()
    }

    /// The end of its terminal.
    pub(crate) fn hang_up(self) -> Ran {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        self.end()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The first line of its output.
    #[track_caller]
    pub(crate) fn event(&self, n: usize) -> Value {
        let there = |text: &str| text.split_inclusive('\n').filter(|it| it.ends_with('\n')).count() > n;
        assert!(self.out.wait(PATIENCE, there), "{} {}", self.out.text(), self.err.text());
        serde_json::from_str(self.out.text().lines().nth(n).unwrap()).unwrap()
    }

    /// The link of a connect that runs with `--json`.
    #[track_caller]
    pub(crate) fn link(&self) -> String {
        self.event(0)["url"].as_str().unwrap().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already over is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program under test: the one built with the tests, or the one `SENDOFF_BINARY` names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("SENDOFF_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sendoff")), PathBuf::from)
}

/// A directory with a configuration, and the stand-ins that it points at.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) port: u16,
    pub(crate) sandbox: Running,
    runtime: Runtime,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more settings, as TOML.
    pub(crate) fn with(more: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let options = sandbox::Options {
            listen: ([127, 0, 0, 1], 0).into(),
            faults: sandbox::Faults::default(),
            seed: 7,
        };
        let sandbox = runtime.block_on(sandbox::start(options, Arc::new(SystemClock))).unwrap();
        let dir = TempDir::new().unwrap();
        let port = ports::free();
        let house = Self { config: dir.path().join("sendoff.toml"), dir, port, sandbox, runtime };
        fs::create_dir(house.dir.path().join("tmp")).unwrap();
        let made = house.run(&["init", "--dir", "."]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let server = format!("listen = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"");
        house.patch(&format!("[server]\n{server}\n{}\n{more}", house.sandbox.config()));
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Changes settings.
    pub(crate) fn patch(&self, more: &str) {
        let mut settings: toml::Table = fs::read_to_string(&self.config).unwrap().parse().unwrap();
        merge(&mut settings, more.parse().unwrap());
        fs::write(&self.config, settings.to_string()).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_by(Command::new(binary()), args)
    }

    fn command_by(&self, mut command: Command, args: &[&str]) -> Command {
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.path("tmp"))
            .env("TZ", "UTC");
        command
    }

    /// As [`House::start`], with the end of its terminal heard also where these tests run under `nohup`.
    pub(crate) fn start_on_a_terminal(&self, args: &[&str]) -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).unwrap_or_default();
        if ignored & 1 == 0 {
            return self.start(args);
        }
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP").arg(binary());
        Process::start(self.command_by(command, args))
    }

    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::start(self.command(args))
    }

    /// As [`House::start`], with one more variable in its environment.
    pub(crate) fn start_with(&self, args: &[&str], name: &str, value: &str) -> Process {
        let mut command = self.command(args);
        command.env(name, value);
        Process::start(command)
    }

    /// Runs it with nobody to read what it prints: the pipe of its output is closed. Its exit code.
    pub(crate) fn run_unheard(&self, args: &[&str]) -> Option<i32> {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command(args).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).status().unwrap().code()
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// A daemon that is ready.
    #[track_caller]
    pub(crate) fn serve(&self) -> Process {
        let daemon = self.start(&["serve", "-vv"]);
        assert!(daemon.err.wait(PATIENCE, |log| log.contains(" ready ")), "{}", daemon.err.text());
        daemon
    }

    pub(crate) fn instance(&self) -> String {
        self.sandbox.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Begins a connect, which prints its events as JSON.
    pub(crate) fn connecting(&self, args: &[&str]) -> Process {
        self.start(&[&["account", "connect", "--json"], args].concat())
    }

    /// Connects an account as a person would, and gives back every secret of the way.
    #[track_caller]
    pub(crate) fn connect(&self, platform: &str, name: &str) -> Vec<String> {
        let instance = self.instance();
        let mut args = vec![platform, "--name", name, "--yes"];
        if platform == "bluesky" {
            args.extend(["--instance", &instance]);
        }
        let connecting = self.connecting(&args);
        let link = connecting.link();
        let mut browser = self.browser();
        let consent = browser.open(&link);
        let back = browser.decide(&consent, &[("decision", "allow")]);
        assert_eq!(browser.land(&back).0, 303);
        let ran = connecting.end();
        assert_eq!(ran.json()["event"], "connected", "{ran:?}");
        let ticket = link.rsplit('/').next().unwrap().to_owned();
        let cookie = browser.cookie.split_once('=').unwrap().1.to_owned();
        let parameters = consent.query_pairs().chain(back.query_pairs());
        let wanted = ["state", "code", "request_uri", "code_challenge"];
        let mut secrets: Vec<String> = parameters
            .filter(|(key, _)| wanted.contains(&key.as_ref()))
            .map(|(_, value)| value.into_owned())
            .collect();
        secrets.extend([ticket, cookie]);
        secrets
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        let http = tls(None).and_then(reading_client).unwrap();
        Browser { runtime: &self.runtime, http, cookie: String::new() }
    }

    #[track_caller]
    pub(crate) fn accounts(&self) -> Vec<String> {
        let list = self.run(&["account", "list", "--json"]).json();
        let all = list["accounts"].as_array().unwrap();
        all.iter().map(|it| it["account"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn posts(&self) -> Vec<Value> {
        let list = self.run(&["post", "list", "--limit", "100", "--json"]).json();
        list["posts"].as_array().unwrap().clone()
    }

    /// Follows the log until a line says yes.
    #[track_caller]
    pub(crate) fn follow(&self, found: impl Fn(&str) -> bool) {
        let log = self.start(&["log", "--follow", "--lines", "1000", "--json"]);
        assert!(log.out.wait(PATIENCE, found), "{} {}", log.out.text(), log.err.text());
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Goes where it is sent only when it is told to, so that a test can stop at any point.
pub(crate) struct Browser<'a> {
    runtime: &'a Runtime,
    http: reqwest::Client,
    /// `name=value`, or empty.
    pub(crate) cookie: String,
}

impl Browser<'_> {
    fn fetch(&self, request: reqwest::RequestBuilder) -> (reqwest::StatusCode, Option<Url>, String, String) {
        self.runtime.block_on(async {
            let answer = request.header(http::header::COOKIE, &self.cookie).send().await.unwrap();
            let header =
                |name| answer.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
            let place = header(http::header::LOCATION);
            let place = (!place.is_empty()).then(|| answer.url().join(place).unwrap());
            let cookie = header(http::header::SET_COOKIE).split(';').next().unwrap_or_default().to_owned();
            (answer.status(), place, cookie, answer.text().await.unwrap())
        })
    }

    /// The status and text of a page.
    pub(crate) fn look(&self, link: &str) -> (u16, String) {
        let (status, _, _, text) = self.fetch(self.http.get(link));
        (status.as_u16(), text)
    }

    /// Opens the link of a connect; gives the consent page's address.
    #[track_caller]
    pub(crate) fn open(&mut self, link: &str) -> Url {
        let (status, place, cookie, text) = self.fetch(self.http.get(link));
        self.cookie = cookie;
        place.unwrap_or_else(|| panic!("{status} {text}"))
    }

    /// Presses a button of the consent page; gives the address it sends back to.
    #[track_caller]
    pub(crate) fn decide(&self, consent: &Url, form: &[(&str, &str)]) -> Url {
        let (status, place, _, text) = self.fetch(self.http.post(consent.clone()).form(form));
        place.unwrap_or_else(|| panic!("{status} {text}"))
    }

    /// Comes back; gives status and text.
    pub(crate) fn land(&self, back: &Url) -> (u16, String) {
        self.look(back.as_str())
    }

    /// Asks something of an API.
    pub(crate) fn status_of(&self, url: &str, bearer: &str) -> u16 {
        self.fetch(self.http.get(url).bearer_auth(bearer)).0.as_u16()
    }
}

/// Every file below a directory with its content, by path.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
