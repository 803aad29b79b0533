//! The daemon's whole way with a large film: taken in through the control socket, typed and cleaned, kept
//! sealed off under its own name, uploaded as a reel, published and read back. The daemon is a process of
//! its own, and it alone is measured; whoever hands the film in, and the stand-in for Facebook that counts
//! its bytes and throws them away, are the process that waits for it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sendoff::auth::Grant;
use sendoff::clock::SystemClock;
use sendoff::config;
use sendoff::control::client::Client;
use sendoff::control::{messages as m, requests as r};
use sendoff::daemon::disk::Room;
use sendoff::daemon::start::{Plan, start};
use sendoff::domain::account::Account;
use sendoff::domain::ids::{AccountId, AccountName, PlatformName};
use sendoff::keys::keyring::Keyring;
use sendoff::keys::master::MasterKey;
use sendoff::store::{Options, Store, accounts, vault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the daemon seals a grant for: its number of the table and of the field.
const GRANT: (u16, u16) = (1, 1);
/// A film that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_mins(10);
const PAGE: &str = "106512";
const VIDEO: &str = "77001";

/// The daemon's process: says when it is ready, and at the end of its input by how many KiB its memory grew.
pub(crate) async fn daemon(dir: &Path, network: &str) {
    let key = dir.join("master.key");
    MasterKey::generate(getrandom::fill).expect("random bytes").write_new(&key).expect("a key file");
    for made in [dir.join("data"), dir.join("run")] {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(made).expect("a directory");
    }
    let secret = dir.join("facebook.secret");
    std::fs::write(&secret, "a secret").expect("a file");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8420\"\n\
         control_socket = \"{0}/run/control.sock\"\n\n[storage]\ndata_dir = \"{0}/data\"\n\n[keys]\n\
         master = {{ file = \"{0}/master.key\" }}\n\n[platforms.facebook]\nclient_id = \"1\"\n\
         client_secret = {{ file = \"facebook.secret\" }}\n\n[platforms.facebook.endpoints]\n\
         authorize = \"{1}\"\ngraph = \"{1}\"\nupload = \"{1}\"\n\n[engine]\npoll_scale = 0.01\n",
        dir.display(),
        network
    );
    let path = dir.join("sendoff.toml");
    std::fs::write(&path, &text).expect("a configuration file");
    let config = config::parse(&text, &path).expect("a configuration");
    connect(&config);
    let plan = Plan {
        config,
        config_path: path,
        clock: Arc::new(SystemClock),
        notify: false,
        room: Room::default(),
    };
    let daemon = start(plan).await.expect("the daemon starts");
    // What a start takes is not the film's.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = super::high_water();
    println!("ready");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.expect("it waits").expect("its input ends");
    println!("{}", super::high_water() - before);
    daemon.stop().await;
}

/// A Page, as if a person had connected it.
fn connect(config: &config::Config) {
    let dir = &config.data_dir;
    let master = MasterKey::from_file(&dir.with_file_name("master.key")).expect("the key");
    let keyring = Keyring::open(dir, &master).expect("a keyring");
    let store = Store::open(dir, Timestamp::now(), Options::default()).expect("a store");
    let now = Timestamp::now();
    let name = AccountName::new(PlatformName::Facebook, "bakery").expect("it is a name");
    let account = Account {
        username: "bakery".into(),
        issued_at: Some(now),
        ..Account::new(AccountId::from_u128(1), name, PAGE, now)
    };
    let written = serde_json::json!({
        "v": 1, "access": "token-of-the-page", "refresh": null, "dpop": null, "scopes": [], "issued_at": now,
        "expires_at": null, "grant_expires_at": null, "client_id": "1", "server": null,
    });
    let grant = Grant::from_sealed_json(written.to_string().as_bytes()).expect("a grant");
    keyring.create(account.id).expect("a data key");
    let sealed = keyring.seal(account.id, GRANT.0, GRANT.1, &grant.to_sealed_json()).expect("a sealed grant");
    let write = move |tx: &mut sendoff::store::Tx<'_>| {
        accounts::put(tx, &account)?;
        vault::put_grant(tx, account.id, None, &sealed, Some(grant.issued_at), grant.expires_at)
    };
    store.write_blocking(write).expect("the store takes it");
}

/// The other process: hands a film of so many MiB in, and waits until it is published.
pub(crate) async fn measure(dir: &Path, mib: u64) {
    let arrived = Arc::new(AtomicU64::new(0));
    let network = stand_in(Arc::clone(&arrived)).await;
    let mut daemon = Command::new(std::env::current_exe().expect("this program's path"))
        .args(["daemon", &dir.display().to_string(), &network])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the daemon's process");
    let mut lines = BufReader::new(daemon.stdout.take().expect("its output")).lines();
    let mut line = move || lines.next().expect("it says something").expect("in words");
    assert_eq!(line(), "ready");
    let client = Client::new(&dir.join("run/control.sock")).expect("a client");
    let began = Instant::now();
    let film =
        client.media_upload(Some("film.mp4".into()), super::film(mib, true)).await.expect("it is taken in");
    let taken = began.elapsed();
    let ask = r::CreatePost {
        to: vec!["facebook:bakery".into()],
        media: vec![r::MediaRef { id: film.id, alt: None, part: None }],
        options: [("facebook".into(), [("format".into(), "reel".into())].into())].into(),
        parts: vec!["A large one.".into()],
        when: Some(r::When::Now),
        ..r::CreatePost::default()
    };
    let made = client.post_create(&ask).await.expect("it is scheduled");
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let post = client.post_show(&made.id).await.expect("the daemon answers");
        if post.status == m::PostStatus::Published {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", post.deliveries);
    }
    let all = began.elapsed();
    assert_eq!(arrived.load(Ordering::Relaxed), film.bytes, "every byte arrives once");
    drop(daemon.stdin.take());
    let grown: f64 = line().parse().expect("a number");
    assert!(daemon.wait().expect("it ends").success());
    println!(
        "daemon  {mib} MiB  taken in after {:.1} s, published after {:.1} s  memory grew by {:.1} MiB",
        taken.as_secs_f64(),
        all.as_secs_f64(),
        grown / 1024.0
    );
}

/// As little of Facebook as a reel needs, on loopback. Its address.
async fn stand_in(arrived: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let own = address.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections come in");
            let (own, arrived) = (own.clone(), Arc::clone(&arrived));
            // A connection that breaks is the client's matter.
            tokio::spawn(async move { drop(serve(stream, &own, &arrived).await) });
        }
    });
    address
}

async fn serve(mut stream: TcpStream, own: &str, arrived: &AtomicU64) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let fields = head.lines().filter_map(|it| it.split_once(':'));
        let length = fields
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .find_map(|(_, value)| value.trim().parse::<u64>().ok())
            .unwrap_or(0);
        let mut body = buffer.split_off(end);
        buffer.clear();
        let upload = head.starts_with("POST /video-upload/");
        let mut got = body.len() as u64;
        while got < length {
            if upload {
                body.clear();
            }
            body.reserve(64 << 10);
            let n = stream.read_buf(&mut body).await?;
            if n == 0 {
                return Ok(());
            }
            got += n as u64;
        }
        let said = String::from_utf8_lossy(&body);
        let answer = if upload {
            arrived.fetch_add(length, Ordering::Relaxed);
            serde_json::json!({ "success": true })
        } else if said.contains("\"start\"") {
            let address = format!("{own}/video-upload/v26.0/{VIDEO}");
            serde_json::json!({ "video_id": VIDEO, "upload_url": address })
        } else if head.starts_with("POST ") {
            serde_json::json!({ "success": true })
        } else {
            serde_json::json!({ "id": VIDEO, "published": true, "status": {
                "video_status": "ready", "uploading_phase": { "status": "complete" },
                "processing_phase": { "status": "complete" },
                "publishing_phase": { "status": "complete", "publish_status": "published" } } })
        };
        let text = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(head.as_bytes()).await?;
    }
}
