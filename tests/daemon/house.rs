//! One daemon with its directory, its clock and the networks it talks to.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use sendoff::clock::{Clock, SystemClock};
use sendoff::control::client::{Client, ClientError};
use sendoff::control::{messages as m, requests as r};
use sendoff::daemon::disk::Room;
use sendoff::daemon::rehearsal::Rehearsal;
use sendoff::daemon::start::{Daemon, DaemonError, Plan, rehearse};
use sendoff::domain::moment::Boot;
use sendoff::http::clients::{reading_client, tls};
use sendoff::keys::master::MasterKey;
use sendoff::sandbox::{self, Published, Running};
use sendoff::store::{OpenError, Options, Store, journal};
use tokio::runtime::{Builder, Runtime};

/// Longest wait for anything. The machine may be busy; a test that passes never waits this long.
const PATIENCE: Duration = Duration::from_mins(1);
/// What makes no event is looked at again after this.
const PULSE: Duration = Duration::from_millis(50);

/// The machine's clock with a lead, and on demand a boot clock that steps do not move.
pub(crate) struct Ahead {
    lead: AtomicI64,
    /// The part of the lead that passed as time does.
    passed: AtomicI64,
    pub(crate) has_boot: AtomicBool,
}

impl Ahead {
    fn starting_at(epoch: Timestamp) -> Self {
        Self {
            lead: AtomicI64::new(epoch.as_millisecond() - SystemClock.now().as_millisecond()),
            passed: AtomicI64::new(0),
            has_boot: AtomicBool::new(false),
        }
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_millis(self.lead.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Option<Boot> {
        let real = SystemClock.boot().filter(|_| self.has_boot.load(Ordering::SeqCst))?;
        Some(Boot { uptime_ms: real.uptime_ms + self.passed.load(Ordering::SeqCst), ..real })
    }
}

/// A daemon on a runtime of its own, so that it can be killed like a process.
struct Life {
    daemon: Daemon,
    runtime: Runtime,
}

pub(crate) struct House {
    pub(crate) clock: Arc<Ahead>,
    pub(crate) network: Running,
    pub(crate) client: Client,
    pub(crate) port: u16,
    /// For the next start.
    pub(crate) rehearsal: Rehearsal,
    /// What the next start asks of the disk.
    pub(crate) room: Room,
    dir: tempfile::TempDir,
    life: Option<Life>,
    /// The last line of the log when this life began.
    log_from: u64,
}

/// How a house differs from the usual one.
#[derive(Default)]
pub(crate) struct Wish {
    /// X's client has a secret.
    pub(crate) confidential: bool,
    /// `[server] public_url`, where it is not the listener's own address.
    pub(crate) public_url: Option<&'static str>,
    /// Unclear sends take their real quarter of an hour to settle.
    pub(crate) patient: bool,
    /// Other times, and places to die at.
    pub(crate) rehearsal: Rehearsal,
}

const QUEUES: &str = "\
[[queue]]\nname = \"hourly\"\ncron = [\"0 * * * *\"]\ntimezone = \"Europe/Berlin\"\n\
accounts = [\"x:acme\"]\njitter = \"5m\"\n\
[[queue]]\nname = \"spare\"\ncron = [\"30 3 * * *\"]\ntimezone = \"UTC\"\naccounts = [\"x:acme\"]\n";

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Wish::default()).await
    }

    /// A house with accounts `x:acme` and `bluesky:acme`.
    pub(crate) async fn furnished() -> Self {
        let house = Self::new().await;
        house.connect("x").await;
        house.connect("bluesky").await;
        house
    }

    pub(crate) async fn with(wish: Wish) -> Self {
        let clock = Arc::new(Ahead::starting_at("2030-03-05T08:10:00Z".parse().unwrap()));
        let options = sandbox::Options {
            listen: ([127, 0, 0, 1], 0).into(),
            faults: sandbox::Faults::default(),
            seed: 7,
        };
        let network = sandbox::start(options, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let dir = tempfile::Builder::new().prefix("so").tempdir().unwrap();
        let port = crate::ports::free();
        fs::create_dir(dir.path().join("data")).unwrap();
        MasterKey::generate(getrandom::fill).unwrap().write_new(&dir.path().join("master.key")).unwrap();
        let mut networks = network.config().to_owned();
        if wish.confidential {
            write_secret(&dir.path().join("x.secret"), "sandbox-x-secret");
            let public = "client_id = \"sandbox-x-public\"";
            assert!(networks.contains(public));
            networks = networks
                .replace(public, "client_id = \"sandbox-x\"\nclient_secret = { file = \"x.secret\" }");
        }
        let public = match wish.public_url {
            Some(url) => format!("public_url = \"{url}\"\ntrusted_proxies = [\"127.0.0.1/32\"]"),
            None => format!("public_url = \"http://127.0.0.1:{port}\""),
        };
        let waits = if wish.patient { "" } else { "settle = \"300ms\"\nabsence_gap = \"200ms\"\n" };
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n{public}\ncontrol_socket = \"ctl\"\n\
             [storage]\ndata_dir = \"data\"\n[keys]\nmaster = {{ file = \"master.key\" }}\n\
             [defaults]\ntimezone = \"UTC\"\n\
             [engine]\n{waits}lane_spacing = \"10ms\"\ncatch_up_spacing = \"10ms\"\n\
             poll_scale = 0.01\nbackoff_scale = 0.01\n{networks}\n{QUEUES}"
        );
        fs::write(dir.path().join("sendoff.toml"), text).unwrap();
        let client = Client::new(&dir.path().join("ctl")).unwrap();
        let rehearsal = wish.rehearsal;
        let room = Room::default();
        let mut house = Self { clock, network, client, port, rehearsal, room, dir, life: None, log_from: 0 };
        house.start().await;
        house
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir.path().join("sendoff.toml")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn master(&self) -> MasterKey {
        MasterKey::from_file(&self.dir.path().join("master.key")).unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn start(&mut self) {
        let path = self.config_path();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // A thread of whoever had the directory before may still be letting go of its lock.
        let starting = async {
            loop {
                let config = sendoff::config::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap();
                let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
                let plan = Plan { config, config_path: path.clone(), clock, notify: false, room: self.room };
                match runtime.spawn(rehearse(plan, self.rehearsal.clone())).await.unwrap() {
                    Err(DaemonError::Open(OpenError::Locked { .. })) => tokio::task::yield_now().await,
                    other => return other.unwrap(),
                }
            }
        };
        // At the very first start there is no store yet, and none may be made without its keyring.
        if self.data_dir().join(sendoff::store::open::FILE).exists() {
            let looking = async {
                loop {
                    match Store::open(&self.data_dir(), self.now(), Options::default()) {
                        Err(OpenError::Locked { .. }) => tokio::task::yield_now().await,
                        other => return other,
                    }
                }
            };
            let store = tokio::time::timeout(PATIENCE, looking).await.expect("the directory stays locked");
            if let Ok(store) = store {
                self.log_from = store.read(journal::newest).unwrap();
                store.close().await;
            }
        }
        let daemon = tokio::time::timeout(PATIENCE, starting).await.expect("the directory stays locked");
        self.life = Some(Life { daemon, runtime });
        self.client = Client::new(&self.dir.path().join("ctl")).unwrap();
    }

    /// Ends the daemon as the service manager would.
    pub(crate) async fn stop(&mut self) {
        let Life { daemon, runtime } = self.life.take().unwrap();
        runtime.spawn(daemon.stop()).await.unwrap();
        end(runtime).await;
    }

    /// Ends the daemon in the middle of whatever it does: no task of it runs again.
    pub(crate) async fn kill(&mut self) {
        let Life { daemon, runtime } = self.life.take().unwrap();
        end(runtime).await;
        drop(daemon);
    }

    /// What SIGHUP does.
    pub(crate) fn hang_up(&self) {
        self.life.as_ref().unwrap().daemon.reload();
    }

    /// Stops it in order, and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Changes the configuration and has it read.
    pub(crate) async fn configure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config_path()).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.config_path(), text.replacen(from, to, 1)).unwrap();
        self.client.config_reload().await.unwrap();
    }

    pub(crate) fn inject(&self, spec: &str) {
        self.network.inject(spec.parse().unwrap());
    }

    /// Lets time pass while no daemon runs.
    pub(crate) fn jump(&self, span: SignedDuration) {
        let span = i64::try_from(span.as_millis()).unwrap();
        self.clock.passed.fetch_add(span, Ordering::SeqCst);
        self.clock.lead.fetch_add(span, Ordering::SeqCst);
    }

    /// Lets time pass, and wakes the daemon so that it sees the new time at once.
    pub(crate) async fn pass(&self, span: SignedDuration) {
        let span = i64::try_from(span.as_millis()).unwrap();
        self.clock.passed.fetch_add(span, Ordering::SeqCst);
        self.clock.lead.fetch_add(span, Ordering::SeqCst);
        self.client.queue_resume("spare").await.unwrap();
    }

    /// Puts the wall clock forward or back, and wakes the daemon so that it sees it.
    pub(crate) async fn step(&self, by: SignedDuration) {
        self.clock.lead.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
        self.client.queue_resume("spare").await.unwrap();
    }

    /// Lets time pass until just after `at`.
    pub(crate) async fn pass_to(&self, at: Timestamp) {
        let span = at.duration_since(self.now()) + SignedDuration::from_millis(5);
        assert!(span.is_positive(), "{at} has passed already");
        self.pass(span).await;
    }

    /// Waits until `look` finds something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn(&Client) -> Option<T>) -> T {
        let ask = r::Events { backlog: Some(0), follow: true, ..r::Events::default() };
        let mut events = self.client.events(&ask).await.unwrap();
        let waiting = async {
            loop {
                if let Some(found) = look(&self.client).await {
                    return found;
                }
                drop(tokio::time::timeout(PULSE, events.next()).await);
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(error) => panic!("{what}: not in time ({error}); events: {:#?}", self.story(None).await),
        }
    }

    /// Waits until every delivery of a post has ended.
    pub(crate) async fn ended(&self, id: &str) -> m::Post {
        self.until("the end of the deliveries", async |client| {
            let post = client.post_show(id).await.unwrap();
            post.deliveries.iter().all(is_over).then_some(post)
        })
        .await
    }

    /// Waits until the post's only delivery is in this state.
    pub(crate) async fn reaches(&self, id: &str, state: m::DeliveryState) -> m::Delivery {
        self.until(state.as_str(), async |client| {
            let post = client.post_show(id).await.unwrap();
            let [delivery] = post.deliveries.as_slice() else { panic!("one delivery is expected") };
            (delivery.state == state).then(|| delivery.clone())
        })
        .await
    }

    /// Waits until the networks hold so many objects.
    pub(crate) async fn holds(&self, count: usize) {
        self.until("objects on the networks", async |_| {
            (self.network.published().len() >= count).then_some(())
        })
        .await;
    }

    /// The events of this life, of one delivery or of all: what happened, and the words for it.
    pub(crate) async fn story(&self, delivery: Option<&str>) -> Vec<(String, String)> {
        let ask = r::Events { after: Some(self.log_from), ..r::Events::default() };
        let events: Vec<_> = self.client.events(&ask).await.unwrap().collect().await;
        events
            .into_iter()
            .map(Result::unwrap)
            .filter(|it| delivery.is_none() || it.delivery.as_deref() == delivery)
            .map(|it| (it.event, it.message))
            .inspect(|(_, message)| assert!(!has_fraction(message), "no person counts so: {message}"))
            .collect()
    }

    /// What is on the networks with this text, not deleted.
    pub(crate) fn live(&self, text: &str) -> Vec<Published> {
        self.network.published().into_iter().filter(|it| it.text == text && it.deleted.is_none()).collect()
    }

    pub(crate) fn assert_no_refusals(&self) {
        assert_eq!(self.network.refusals(), [], "the networks refused something");
    }

    pub(crate) async fn post(&self, to: &[&str], parts: &[&str], when: r::When) -> m::Post {
        self.client.post_create(&draft(to, parts, when)).await.unwrap()
    }

    /// A small picture, uploaded.
    pub(crate) async fn picture(&self, alt: &str) -> Vec<r::MediaRef> {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(8, 6, image::Rgb([200, 120, 40]))
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(png.into_inner()))]);
        let file = self.client.media_upload(Some("loaf.png".into()), body).await.unwrap();
        vec![r::MediaRef { id: file.id, alt: Some(alt.into()), part: None }]
    }

    /// Connects `acme` on a network as a person with a browser would.
    pub(crate) async fn connect(&self, platform: &str) -> m::Account {
        let flow = self.find(platform).await;
        self.client.connect_confirm(&flow, &r::Choice::All).await.unwrap();
        let mut events = self.client.connect_events(&flow).await.unwrap();
        while let Some(event) = events.next().await {
            if let m::ConnectEvent::Connected { account } = event.unwrap() {
                return account;
            }
        }
        panic!("the connect ended without an answer")
    }

    /// Connects another user of a network, who presses the button there.
    pub(crate) async fn connect_as(&self, platform: &str, user: &str) {
        self.connect_with(platform, user, &[("decision", "allow"), ("user", user)]).await;
    }

    /// The same under a name of ours, with what the person chooses on the network's page.
    pub(crate) async fn connect_with(&self, platform: &str, name: &str, form: &[(&str, &str)]) {
        let ask = r::Connect {
            platform: platform.into(),
            name: Some(name.into()),
            yes: true,
            ..r::Connect::default()
        };
        let started = self.client.connect_start(&ask).await.unwrap();
        let mut events = self.client.connect_events(&started.id).await.unwrap();
        while let Some(event) = events.next().await {
            match event.unwrap() {
                m::ConnectEvent::Link { url, .. } => {
                    browse_as(&url, form).await;
                }
                m::ConnectEvent::Found { .. } | m::ConnectEvent::Connected { .. } => {}
                m::ConnectEvent::Failed { error } => panic!("{}: {:?}", error.message, error.hint),
            }
        }
    }

    /// The same up to what was found, which waits to be confirmed.
    pub(crate) async fn find(&self, platform: &str) -> String {
        let instance =
            (platform == "bluesky").then(|| self.network.url.as_str().trim_end_matches('/').to_owned());
        let ask = r::Connect {
            platform: platform.into(),
            name: Some("acme".into()),
            instance,
            ..r::Connect::default()
        };
        let started = self.client.connect_start(&ask).await.unwrap();
        let mut events = self.client.connect_events(&started.id).await.unwrap();
        while let Some(event) = events.next().await {
            match event.unwrap() {
                m::ConnectEvent::Link { url, .. } => browse(&url).await,
                m::ConnectEvent::Found { .. } => return started.id,
                m::ConnectEvent::Connected { .. } => panic!("nobody confirmed it"),
                m::ConnectEvent::Failed { error } => panic!("{}: {:?}", error.message, error.hint),
            }
        }
        panic!("the connect ended without an answer")
    }

    /// Lands a connect as its person would, and says what was found; nothing is stored yet.
    pub(crate) async fn landed(&self, flow: &str) -> Vec<m::FoundAccount> {
        let mut events = self.client.connect_events(flow).await.unwrap();
        while let Some(event) = events.next().await {
            match event.unwrap() {
                m::ConnectEvent::Link { url, .. } => browse(&url).await,
                m::ConnectEvent::Found { accounts } => return accounts,
                other => panic!("{other:?}"),
            }
        }
        panic!("the connect ended without an answer")
    }

    /// GET on the public listener, as a proxy in front of it would ask.
    pub(crate) async fn public(&self, host: &str, path: &str) -> reqwest::Response {
        let http = reading_client(tls(None).unwrap()).unwrap();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        http.get(url).header(reqwest::header::HOST, host).send().await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // A runtime may not be waited for inside another.
        if let Some(life) = self.life.take() {
            life.runtime.shutdown_background();
        }
    }
}

async fn end(runtime: Runtime) {
    tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(20))).await.unwrap();
}

fn write_secret(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Goes through a connect that confirms itself, to its end.
pub(crate) async fn follow(client: &Client, flow: &str) {
    let mut events = client.connect_events(flow).await.unwrap();
    while let Some(event) = events.next().await {
        match event.unwrap() {
            m::ConnectEvent::Link { url, .. } => browse(&url).await,
            m::ConnectEvent::Found { .. } | m::ConnectEvent::Connected { .. } => {}
            m::ConnectEvent::Failed { error } => panic!("{}: {:?}", error.message, error.hint),
        }
    }
}

async fn browse(link: &str) {
    browse_as(link, &[("decision", "allow")]).await;
}

async fn browse_as(link: &str, form: &[(&str, &str)]) {
    let http = reading_client(tls(None).unwrap()).unwrap();
    let go = |answer: &reqwest::Response| {
        let place = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
        let place = place.unwrap_or_else(|| panic!("expected to be sent on, got {}", answer.status()));
        answer.url().join(place).unwrap()
    };
    let first = http.get(link).send().await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let pressed = http.post(go(&first)).form(form).send().await.unwrap();
    let landed = http.get(go(&pressed)).header(COOKIE, &cookie).send().await.unwrap();
    http.get(go(&landed)).header(COOKIE, &cookie).send().await.unwrap();
}

pub(crate) fn draft(to: &[&str], parts: &[&str], when: r::When) -> r::CreatePost {
    r::CreatePost {
        parts: parts.iter().map(|it| (*it).to_owned()).collect(),
        to: to.iter().map(|it| (*it).to_owned()).collect(),
        when: Some(when),
        ..r::CreatePost::default()
    }
}

pub(crate) fn is_over(delivery: &m::Delivery) -> bool {
    use m::DeliveryState as D;
    matches!(delivery.state, D::Published | D::HandedOver | D::Rejected | D::Cancelled | D::Missed)
}

/// Whether a sentence tells an instant to the part of a second.
pub(crate) fn has_fraction(text: &str) -> bool {
    let words = text.split(|it: char| it.is_whitespace() || "()`;,".contains(it));
    words.map(|it| it.trim_end_matches(':')).any(|it| it.contains('.') && it.parse::<Timestamp>().is_ok())
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> String {
    outcome.unwrap_err().detail().code
}
