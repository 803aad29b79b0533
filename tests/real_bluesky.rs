//! The main job on software nobody here wrote: the binary against the Bluesky reference server.
//!
//! Connects by OAuth over the real consent page, publishes a queue from a TOML config
//! (text with facets, a thread, an image), reads everything back from the server,
//! deletes, disconnects, and looks afterwards for what must not be left behind.
//!
//! Needs Node.js and the server's packages: `tests/real/install.sh DIR`, then
//! `SENDOFF_REAL_CACHE=DIR cargo test --test real_bluesky`. Without them it says
//! so and passes; with `SENDOFF_REAL_REQUIRED=1` it fails instead. It takes about
//! three minutes, because queue slots are a minute apart at the least.

#[path = "real/support.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use support::{Process, ReferenceServer, RemoteAccount, Tools, free_port, stage, text, wait_for};

/// Accents, an emoji and a mention come before the link, so that bytes, characters and UTF-16 units all differ.
const RICH: &str = "Grüße 👋🏽 @alice.test, naïve crust: https://example.org/oven?a=1 #brötchen";
const LINK: &str = "https://example.org/oven?a=1";
const ALT: &str = "A stone oven, drawn as a gradient – “warm”";
const PICTURE: (u32, u32) = (64, 48);

#[test]
fn a_queue_is_published_on_a_real_server_and_disconnecting_leaves_nothing() {
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(why) => {
            let required = std::env::var_os("SENDOFF_REAL_REQUIRED").is_some_and(|it| it == "1");
            assert!(!required, "the real server is required here, but {why}");
            stage(&format!("skipped: {why}"));
            return;
        }
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = ReferenceServer::start(&tools, dir.path());
    let [acme, alice] = server.accounts.as_slice() else { panic!("two accounts were asked for") };
    stage(&format!("reference server ready at {}", server.pds));

    let mut sendoff = Sendoff::set_up(dir.path(), &server);
    sendoff.serve();

    a_refusal_stores_nothing(&sendoff, &server, acme);
    connects_over_the_consent_page(&sendoff, &server, acme);
    connects_by_pasting(&sendoff, &server, alice);
    let secrets = secrets_of(&server, &[acme, alice]);
    assert_no_trace(&sendoff.dir, &secrets, "while connected: tokens are sealed on disk");

    let picture = draw_picture(dir.path());
    let rich = sendoff.json(&["post", "create", RICH, "--to", "bluesky:acme", "--now", "--key", "real-rich"]);
    let queued = [
        "post",
        "create",
        "First part of two",
        "Second part of two",
        "--to",
        "bluesky:acme",
        "--queue",
        "every-minute",
        "--key",
        "real-thread",
    ];
    let thread = sendoff.json(&queued);
    assert_eq!(sendoff.json(&queued)["id"], thread["id"], "the same key and content again is the same post");
    let image = sendoff.json(&[
        "post",
        "create",
        "Our new oven",
        "--to",
        "bluesky:acme",
        "--queue",
        "every-minute",
        "--media",
        &picture,
        "--alt",
        ALT,
    ]);
    let slots = [due(&thread), due(&image)];
    assert!(slots[0] < slots[1], "each post takes a slot of its own: {slots:?}");
    assert!(slots.iter().all(|it| it.as_second() % 60 == 0), "slots are whole minutes: {slots:?}");
    stage(&format!("scheduled: one now, queue slots at {} and {}", slots[0], slots[1]));

    // A restart between scheduling and publishing must neither lose nor double anything.
    sendoff.wait_until_published(&rich);
    sendoff.restart();
    let rich = sendoff.wait_until_published(&rich);
    let thread = sendoff.wait_until_published(&thread);
    let image = sendoff.wait_until_published(&image);
    stage("published: text with facets, a thread of two, an image; the daemon was restarted in between");

    reads_back_text_and_facets(&server, acme, alice, &rich);
    reads_back_the_thread(&server, acme, &thread);
    reads_back_the_image(&server, acme, &image);
    assert_eq!(server.posts(acme).len(), 4, "each part exists exactly once, and nothing else");
    assert_eq!(server.posts(alice).len(), 0, "nothing was sent to the other account");
    stage("read back: 4 records, each once; facets, reply references, picture and description as written");

    for post in [&rich, &thread, &image] {
        let receipt = sendoff.json(&["post", "delete", &text(&post["id"]), "--yes"]);
        assert_all_done(&receipt);
        for rkey in rkeys(post) {
            let (status, body) = server.record(acme, &rkey);
            assert_eq!((status, &body["error"]), (400, &json!("RecordNotFound")), "{body}");
        }
    }
    assert_eq!(server.posts(acme).len(), 0, "the server lists no post any more");
    stage("deleted: 4 records are gone from the server, with receipts");

    for (name, account) in [("bluesky:acme", acme), ("bluesky:alice", alice)] {
        let receipt = sendoff.json(&["account", "disconnect", name, "--yes"]);
        assert_all_done(&receipt);
        assert_eq!(server.sessions(account), Vec::<Value>::new(), "the server ended the session of {name}");
    }
    assert_eq!(sendoff.accounts(), Vec::<Value>::new());
    sendoff.stop();
    assert_no_trace(&sendoff.dir, &secrets, "after disconnecting");
    stage("disconnected: sessions revoked on the server, no token in any file");

    server.stop();
}

/// Saying no on the consent page ends the attempt with a clear failure, and nothing is kept.
fn a_refusal_stores_nothing(sendoff: &Sendoff, server: &ReferenceServer, account: &RemoteAccount) {
    let connect = sendoff.connect(server, "acme", &[]);
    server.consent(&connect.link, account, &["--deny"]);
    let failed = connect.process.next_json().expect("the outcome is told");
    assert_eq!(failed["event"], "failed", "{failed}");
    assert!(!text(&failed["error"]["message"]).is_empty(), "{failed}");
    assert_eq!(connect.process.finish().code(), Some(1));
    assert_eq!(sendoff.accounts(), Vec::<Value>::new());
    assert_eq!(server.sessions(account), Vec::<Value>::new());
    stage("refused: saying no on the consent page stores nothing");
}

fn connects_over_the_consent_page(sendoff: &Sendoff, server: &ReferenceServer, account: &RemoteAccount) {
    let connect = sendoff.connect(server, "acme", &[]);
    let page = server.consent(&connect.link, account, &[]);
    assert_eq!(page["status"], 200, "the page the person ends on: {page}");
    assert!(!text(&page["title"]).is_empty(), "{page}");
    assert_connected(connect, account, "bluesky:acme");
    assert_eq!(server.sessions(account).len(), 1);
    stage(&format!("connected: bluesky:acme is {} ({})", account.did, account.handle));
}

/// For hosts without a public name: the browser never reaches us, the person pastes the address.
fn connects_by_pasting(sendoff: &Sendoff, server: &ReferenceServer, account: &RemoteAccount) {
    let mut connect = sendoff.connect(server, "alice", &["--paste"]);
    let printed = server.consent(&connect.link, account, &["--print-callback"]);
    connect.process.tell(&text(&printed["callback"]));
    assert_connected(connect, account, "bluesky:alice");
    assert_eq!(server.sessions(account).len(), 1);
    stage("connected: bluesky:alice by pasting the address");
}

fn assert_connected(connect: Connect, account: &RemoteAccount, name: &str) {
    let found = connect.process.next_json().expect("what was found is told");
    assert_eq!(found["event"], "found", "{found}");
    assert_eq!(found["accounts"][0]["remote_id"], json!(account.did), "{found}");
    let connected = connect.process.next_json().expect("the outcome is told");
    assert_eq!(connected["event"], "connected", "{connected}");
    let stored = &connected["account"];
    assert_eq!(stored["account"], name, "{stored}");
    assert_eq!(stored["remote_id"], json!(account.did), "{stored}");
    assert_eq!(stored["username"], json!(account.handle), "{stored}");
    assert_eq!(stored["state"], "ready", "{stored}");
    assert_eq!(stored["missing_scopes"], json!([]), "{stored}");
    assert!(connect.process.finish().success());
}

fn reads_back_text_and_facets(
    server: &ReferenceServer,
    acme: &RemoteAccount,
    alice: &RemoteAccount,
    post: &Value,
) {
    let record = record_of(server, acme, &only(rkeys(post)));
    assert_eq!(record["$type"], "app.bsky.feed.post");
    assert_eq!(record["text"], RICH);
    let facets = record["facets"].as_array().unwrap_or_else(|| panic!("no facets in {record}"));
    let wanted = [
        ("@alice.test", json!({"$type": "app.bsky.richtext.facet#mention", "did": alice.did})),
        (LINK, json!({"$type": "app.bsky.richtext.facet#link", "uri": LINK})),
        ("#brötchen", json!({"$type": "app.bsky.richtext.facet#tag", "tag": "brötchen"})),
    ];
    assert_eq!(facets.len(), wanted.len(), "{record}");
    for (facet, (part, feature)) in facets.iter().zip(wanted) {
        let start = RICH.find(part).expect("the part is in the text");
        assert_eq!(facet["index"]["byteStart"], json!(start), "{part}: {facet}");
        assert_eq!(facet["index"]["byteEnd"], json!(start + part.len()), "{part}: {facet}");
        assert_eq!(facet["features"], json!([feature]), "{part}");
    }
}

fn reads_back_the_thread(server: &ReferenceServer, acme: &RemoteAccount, post: &Value) {
    let rkeys = rkeys(post);
    let [first, second] = rkeys.as_slice() else { panic!("two parts were written: {post}") };
    let (_, head) = server.record(acme, first);
    assert_eq!(head["value"]["text"], "First part of two");
    assert_eq!(head["value"].get("reply"), None, "{head}");
    let tail = record_of(server, acme, second);
    assert_eq!(tail["text"], "Second part of two");
    let reference = json!({"uri": head["uri"], "cid": head["cid"]});
    assert_eq!(tail["reply"]["root"], reference, "{tail}");
    assert_eq!(tail["reply"]["parent"], reference, "{tail}");
}

fn reads_back_the_image(server: &ReferenceServer, acme: &RemoteAccount, post: &Value) {
    let record = record_of(server, acme, &only(rkeys(post)));
    assert_eq!(record["text"], "Our new oven");
    assert_eq!(record["embed"]["$type"], "app.bsky.embed.images", "{record}");
    let images = record["embed"]["images"].as_array().expect("images");
    assert_eq!(images.len(), 1, "{record}");
    assert_eq!(images[0]["alt"], ALT);
    assert_eq!(images[0]["aspectRatio"], json!({"width": PICTURE.0, "height": PICTURE.1}), "{record}");
    let bytes = server.blob(acme, &text(&images[0]["image"]["ref"]["$link"]));
    assert_eq!(images[0]["image"]["size"], json!(bytes.len()), "{record}");
    let picture = image::load_from_memory(&bytes).expect("a picture comes back");
    assert_eq!((picture.width(), picture.height()), PICTURE);
}

/// The record at a key, which must exist.
fn record_of(server: &ReferenceServer, account: &RemoteAccount, rkey: &str) -> Value {
    let (status, mut body) = server.record(account, rkey);
    assert_eq!(status, 200, "{rkey}: {body}");
    body["value"].take()
}

/// The record keys of a published post's only delivery, part by part.
fn rkeys(post: &Value) -> Vec<String> {
    let delivery = only_delivery(post);
    let steps = delivery["steps"].as_array().unwrap_or_else(|| panic!("no steps in {delivery}"));
    // The id is the at:// address; its last segment is the record key.
    steps.iter().map(|it| text(&it["remote_id"]).rsplit('/').next().expect("a segment").to_owned()).collect()
}

fn only_delivery(post: &Value) -> &Value {
    let deliveries = post["deliveries"].as_array().unwrap_or_else(|| panic!("no deliveries in {post}"));
    assert_eq!(deliveries.len(), 1, "{post}");
    &deliveries[0]
}

fn only(mut keys: Vec<String>) -> String {
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

fn due(post: &Value) -> jiff::Timestamp {
    text(&only_delivery(post)["due"]).parse().expect("an RFC 3339 instant")
}

fn assert_all_done(receipt: &Value) {
    let items = receipt["receipt"]["items"].as_array().unwrap_or_else(|| panic!("no items in {receipt}"));
    assert!(!items.is_empty(), "{receipt}");
    assert!(items.iter().all(|it| it["result"] == "done"), "{receipt}");
}

/// The refresh tokens of the sessions, known from the server itself.
fn secrets_of(server: &ReferenceServer, accounts: &[&RemoteAccount]) -> Vec<String> {
    let sessions = accounts.iter().flat_map(|it| server.sessions(it));
    let secrets: Vec<_> = sessions.map(|it| text(&it["refresh_token"])).collect();
    assert_eq!(secrets.len(), accounts.len());
    secrets
}

fn assert_no_trace(dir: &Path, secrets: &[String], when: &str) {
    let trace = trace_of(dir, secrets);
    assert_eq!(trace, None, "{when}");
}

/// The first file below `dir` that holds a secret (plain, in hex or in base64) or any signed token.
fn trace_of(dir: &Path, secrets: &[String]) -> Option<String> {
    // How every JWT begins: {"typ": or {"alg": in base64.
    let mut needles = vec![b"eyJ0eXAiOi".to_vec(), b"eyJhbGciOi".to_vec()];
    for secret in secrets {
        needles.push(secret.clone().into_bytes());
        let digits = secret.bytes().flat_map(|it| [it >> 4, it & 15]);
        needles.push(digits.map(|it| b"0123456789abcdef"[usize::from(it)]).collect());
        // Base64 looks different at each of the three offsets a neighbour can cause.
        // The first and last four characters mix with that neighbour and are left out.
        for offset in 0..3 {
            let shifted = [&b"\0\0\0"[..offset], secret.as_bytes()].concat();
            let encoded = STANDARD_NO_PAD.encode(shifted);
            needles.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
        }
    }
    let files = files_below(dir);
    assert!(!files.is_empty(), "nothing to look through in {}", dir.display());
    files.into_iter().find_map(|file| {
        let content = fs::read(&file).expect("the file is readable");
        let found =
            needles.iter().find(|needle| content.windows(needle.len()).any(|it| it == needle.as_slice()))?;
        Some(format!("`{}` holds `{}`", file.display(), String::from_utf8_lossy(found)))
    })
}

#[test]
fn a_secret_is_found_in_every_encoding_it_could_hide_in() {
    let secret = "ref-410aa00fb615b27bc19e613a8fd976a5".to_owned();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("deep");
    fs::create_dir(&file).expect("a directory");
    let file = file.join("store");
    let search = || trace_of(dir.path(), std::slice::from_ref(&secret));

    fs::write(&file, "ref-another and eyJust a word").expect("a file");
    assert_eq!(search(), None);
    let mut hidden = vec![
        secret.clone(),
        "7265662d3431306161303066623631356232376263313965363133613866643937366135".to_owned(),
        "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2ln".to_owned(),
    ];
    for neighbour in ["", "a", "ab"] {
        hidden.push(STANDARD_NO_PAD.encode(format!("{neighbour}{secret}{neighbour}")));
    }
    for content in hidden {
        fs::write(&file, format!("\0before {content} after")).expect("a file");
        assert!(search().is_some(), "`{content}` was overlooked");
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("the directory is readable") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

/// A small PNG; the path comes back for the command line.
fn draw_picture(dir: &Path) -> String {
    let path = dir.join("oven.png");
    image::RgbImage::from_fn(PICTURE.0, PICTURE.1, |x, y| {
        let shade = |part: u32, whole: u32| u8::try_from(part * 255 / whole).expect("below 256");
        image::Rgb([shade(x, PICTURE.0), shade(y, PICTURE.1), 64])
    })
    .save(&path)
    .expect("the picture is written");
    path.to_str().expect("a plain path").to_owned()
}

/// The product, as its user has it: a directory made by `init`, a config file, a daemon, the command line.
struct Sendoff {
    dir: PathBuf,
    config: PathBuf,
    public_url: String,
    daemon: Option<Process>,
}

/// One running `account connect`.
struct Connect {
    process: Process,
    link: String,
}

impl Sendoff {
    /// `init`, then the few lines a user would change, and `config check`.
    fn set_up(dir: &Path, server: &ReferenceServer) -> Self {
        let dir = dir.join("sendoff");
        let made = command().args(["init", "--dir"]).arg(&dir).output().expect("the binary starts");
        assert_success("init", &made);
        let config = files_below(&dir)
            .into_iter()
            .find(|it| it.extension().is_some_and(|it| it == "toml"))
            .expect("`init` writes a config file");
        let public_url = format!("http://127.0.0.1:{}", free_port());
        let sendoff = Self { dir, config, public_url, daemon: None };
        sendoff.configure(server);
        assert_success("config check", &sendoff.run(&["config", "check"]));
        sendoff
    }

    fn configure(&self, server: &ReferenceServer) {
        let written = fs::read_to_string(&self.config).expect("the config is readable");
        let mut file: toml::Table = written.parse().expect("`init` writes TOML");
        let changes: toml::Table = format!(
            r#"
            [server]
            listen = "{listen}"
            public_url = "{public_url}"
            [platforms.bluesky.endpoints]
            plc = "{plc}"
            [egress]
            allow = ["127.0.0.0/8", "::1/128"]
            [engine]
            lane_spacing = "100ms"
            [[queue]]
            name = "every-minute"
            cron = ["* * * * *"]
            timezone = "UTC"
            accounts = ["bluesky:acme"]
            "#,
            listen = self.public_url.trim_start_matches("http://"),
            public_url = self.public_url,
            plc = server.plc,
        )
        .parse()
        .expect("the changes are TOML");
        merge(&mut file, changes);
        fs::write(&self.config, file.to_string()).expect("the config is writable");
    }

    /// Starts the daemon and waits until its control socket answers.
    fn serve(&mut self) {
        let mut daemon =
            Process::start("sendoff serve", self.command().arg("serve"), self.dir.join("serve.log"));
        wait_for("the daemon to answer `status`", 120, || {
            if let Some(status) = daemon.ended() {
                panic!("the daemon ended with {status}");
            }
            let asked = self.run(&["status", "--json"]);
            asked.status.success().then_some(())
        });
        self.daemon = Some(daemon);
    }

    fn stop(&mut self) {
        let status = self.daemon.take().expect("the daemon runs").stop();
        assert!(status.success(), "the daemon ended with {status}");
    }

    fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// Starts `account connect bluesky` and reads the link it prints.
    fn connect(&self, server: &ReferenceServer, name: &str, options: &[&str]) -> Connect {
        let mut command = self.command();
        command
            .args(["account", "connect", "bluesky", "--instance", &server.pds])
            .args(["--name", name, "--yes", "--json"])
            .args(options);
        let log = self.dir.join(format!("connect-{name}.log"));
        let process = Process::start("sendoff account connect", &mut command, log);
        let event = process.next_json().expect("a link is printed");
        assert_eq!(event["event"], "link", "{event}");
        let link = text(&event["url"]);
        // With `--paste` the link is the network's own: the browser need not reach us at all.
        let start = if options.contains(&"--paste") {
            server.pds.clone()
        } else {
            format!("{}/connect", self.public_url)
        };
        assert!(link.starts_with(&format!("{start}/")), "{event}");
        Connect { process, link }
    }

    fn accounts(&self) -> Vec<Value> {
        match self.json(&["account", "list"])["accounts"].take() {
            Value::Array(accounts) => accounts,
            other => panic!("`account list` holds {other}"),
        }
    }

    /// Asks for the post until it is published; two slots may have to pass.
    fn wait_until_published(&self, post: &Value) -> Value {
        let id = text(&post["id"]);
        wait_for(&format!("{id} to be published"), 800, || {
            let shown = self.json(&["post", "show", &id]);
            let status = text(&shown["status"]);
            assert!(["scheduled", "publishing", "published"].contains(&status.as_str()), "{shown}");
            if status != "published" {
                return None;
            }
            // Published is told with the answer; the read-back follows.
            let delivery = only_delivery(&shown);
            if delivery["verified"] != true {
                return None;
            }
            assert!(text(&delivery["permalink"]).contains("/post/"), "{delivery}");
            Some(shown)
        })
    }

    /// Runs a command with `--json`; it must succeed and print one document.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.command().args(args).arg("--json").output().expect("the binary starts");
        assert_success(&args.join(" "), &output);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{args:?} printed `{}`: {error}", String::from_utf8_lossy(&output.stdout))
        })
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().expect("the binary starts")
    }

    fn command(&self) -> Command {
        let mut command = command();
        command.arg("--config").arg(&self.config);
        command
    }
}

/// The binary, without what the developer's own environment would tell it.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sendoff"));
    command.env_remove("SENDOFF_CONFIG").env_remove("SENDOFF_SOCKET");
    command
}

fn assert_success(what: &str, output: &Output) {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "`{what}` ended with {}\n{out}{err}", output.status);
}

/// Lays `changes` over `base`, table by table.
fn merge(base: &mut toml::Table, changes: toml::Table) {
    for (key, change) in changes {
        match (base.get_mut(&key), change) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(change)) => merge(inner, change),
            (_, change) => {
                base.insert(key, change);
            }
        }
    }
}
