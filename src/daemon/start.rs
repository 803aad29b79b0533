//! Starting and ending a daemon.
//!
//! The order matters: the lock before anything is looked at, the master key before the store is
//! touched (a wrong one must leave every file as it was), recovery before anything may send, both
//! listeners bound before anybody is told that we are ready.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::disk::{Disk, Room};
use super::door::PublicDoor;
use super::drive::Driver;
use super::mind::{self, Fallen, Mind};
use super::rehearsal::Rehearsal;
use super::rollback::{self, RollbackError};
use super::shared::{Made, Shared};
use super::stop::Stop;
use super::time::Time;
use super::wire::{Wire, fill};
use super::{
    api, disconnect, erase, files, housekeeping, ledger, missed, preflight, recurring, reload, rezone,
    settings, unseen, watchdog,
};
use crate::auth::dpop::Key;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::secret::SecretSource;
use crate::control::server;
use crate::control::socket::{Allowed, BindError, bind};
use crate::domain::ids::AccountId;
use crate::domain::moment::Moment;
use crate::engine::Input;
use crate::http::clients::ClientError;
use crate::keys::derive::{Purpose, Signer};
use crate::keys::error::KeyError;
use crate::keys::keyring::Keyring;
use crate::keys::master::MasterKey;
use crate::media::Library;
use crate::platforms;
use crate::store::ballast::is_full;
use crate::store::generation::Sidecar;
use crate::store::open::{DirLock, FILE};
use crate::store::{OpenError, Options, Store, StoreError, generation, meta, vault};
use crate::web::{self, WebConfig, WebError};

/// The owner of the application's own keys in the keyring.
const OWN_KEYS: u128 = 0;
const CLIENT_KEY_TABLE: u16 = 2;
const CLIENT_KEY_FIELD: u16 = 1;
/// Token refreshes on the wire get this long at shutdown; a request's own limit is 60 s.
const REFRESH_GRACE: Duration = Duration::from_secs(65);
/// Open connections and streams get this long at shutdown.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a daemon needs to start.
pub struct Plan {
    pub config: Config,
    pub config_path: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// Tells the service manager that we are ready and alive.
    pub notify: bool,
    /// How much room there must be on the disk before anything is sent.
    pub room: Room,
}

/// A running daemon.
pub struct Daemon {
    shared: Arc<Shared>,
    /// Where the public listener really is.
    pub listen: SocketAddr,
    stop: watch::Sender<bool>,
    driver: JoinHandle<()>,
    edges: Vec<JoinHandle<()>>,
    /// The first task that ended before it was told to.
    fallen: watch::Receiver<Option<Fallen>>,
}

/// Why a daemon did not start, or how it ended against its will.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the keyring of `{}` is missing, but its store has data", dir.display())]
    NoKeyring { dir: PathBuf },
    #[error("`{FILE}` of `{}` is missing, but {trace} that it was there", dir.display())]
    NoStore { dir: PathBuf, trace: &'static str },
    #[error("no master key: `$CREDENTIALS_DIRECTORY` is not set")]
    NoCredentials,
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Prepare(String),
    #[error("cannot {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the {what} ended by itself: {why}")]
    Fallen { what: &'static str, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DaemonError {
    /// The exit status: 78 needs a person, 75 wants a restart, 1 is everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(error) => error.exit_code(),
            // The disk's fault, not the key's: it may be over at the next start. But a key that we may
            // not read needs a person.
            Self::Key(KeyError::Io { source, .. }) if source.kind() != ErrorKind::PermissionDenied => 75,
            Self::Key(_) | Self::NoKeyring { .. } | Self::NoStore { .. } | Self::NoCredentials => 78,
            Self::Store(_) | Self::Io { .. } => 75,
            Self::Listen { .. }
            | Self::Socket(_)
            | Self::Web(_)
            | Self::Client(_)
            | Self::Prepare(_)
            | Self::Fallen { .. } => 1,
        }
    }

    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(OpenError::Locked { .. }) => "second_daemon",
            Self::Open(OpenError::Newer { .. }) => "newer_store",
            Self::Open(OpenError::Damaged { .. }) => "damaged_store",
            Self::Open(_) | Self::Store(_) | Self::Io { .. } => "store",
            Self::Key(KeyError::Io { source, .. }) if source.kind() != ErrorKind::PermissionDenied => "store",
            Self::Fallen { .. } => "internal",
            Self::Key(_) | Self::NoCredentials => "master_key",
            Self::NoKeyring { .. } => "keyring_missing",
            Self::NoStore { .. } => "store_missing",
            Self::Listen { .. } => "port_in_use",
            Self::Socket(_) => "control_socket",
            Self::Web(_) => "public_listener",
            Self::Client(_) | Self::Prepare(_) => "start",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Open(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::NoKeyring { .. } => {
                Some("restore `keyring` together with the store from one backup; nothing was changed".into())
            }
            Self::NoStore { dir, .. } => Some(format!(
                "restore {FILE} from the latest backup; nothing was changed. To begin anew on purpose, move \
                 everything out of `{}` first: all posts and accounts of before are then given up",
                dir.display()
            )),
            Self::NoCredentials => Some(
                "start it as a systemd service with LoadCredential=, or set `[keys] master = { file = \"…\" }`".into(),
            ),
            Self::Listen { address, .. } => {
                Some(format!("another program may use port {}; change `[server] listen`", address.port()))
            }
            Self::Socket(error) => Some(error.hint()),
            Self::Web(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Io { source, .. } if is_full(source) => Some("free some space on the disk".into()),
            Self::Client(_) | Self::Prepare(_) | Self::Io { .. } | Self::Fallen { .. } => None,
        }
    }
}

impl From<RollbackError> for DaemonError {
    fn from(error: RollbackError) -> Self {
        match error {
            RollbackError::Store(error) => Self::Store(error),
            RollbackError::Sidecar(source) => {
                Self::Io { doing: "read", path: generation::FILE.into(), source }
            }
        }
    }
}

fn prepare(error: impl std::fmt::Display) -> DaemonError {
    DaemonError::Prepare(error.to_string())
}

/// Starts a daemon; on return it is ready.
pub async fn start(plan: Plan) -> Result<Daemon, DaemonError> {
    rehearse(plan, Rehearsal::default()).await
}

/// [`start`] with other times and with crash points, for rehearsals.
pub async fn rehearse(plan: Plan, rehearsal: Rehearsal) -> Result<Daemon, DaemonError> {
    let Plan { config, config_path, clock, notify, room } = plan;
    // Files we make are ours alone, whatever the environment says.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let dir = config.data_dir.clone();
    let lock = DirLock::take(&dir)?;
    let master = master_key(&config)?;
    let (has_store, has_keyring) = (dir.join(FILE).exists(), dir.join("keyring").exists());
    if has_store && !has_keyring {
        return Err(DaemonError::NoKeyring { dir });
    }
    // A lost store must not pass for a new installation: what was scheduled would be forgotten, and
    // the files it names would be swept as orphans. Neither trace is made before there is a store.
    let lost = |trace| DaemonError::NoStore { dir: dir.clone(), trace };
    if !has_store && had_store(&dir)? {
        return Err(lost("`generation` says"));
    }
    let keyring = Keyring::open(&dir, &master)?;
    if !has_store && !keyring.accounts().is_empty() {
        return Err(lost("the keys in `keyring` say"));
    }
    let options = Options { ballast_bytes: room.ballast, room_bytes: room.least, ..Options::default() };
    let store = Store::open_locked(lock, clock.now(), options)?;
    let media = dir.join("media");
    files::make_dir(&media).map_err(|source| DaemonError::Io {
        doing: "create",
        path: media.clone(),
        source,
    })?;
    let disk = Disk::new(dir.clone(), room, store.ballast().cloned());
    disk.tend();
    let roomy = disk.look();
    let time = Time::new(store.read(meta::high_water)?, clock.now());
    let rolled_back = {
        let now = Moment { wall: clock.now(), boot: clock.boot() };
        let (store, dir) = (store.clone(), dir.clone());
        tokio::task::spawn_blocking(move || rollback::notice(&store, &dir, now)).await.map_err(prepare)??
    };
    // On a full disk nothing is sent, so there is nothing that a later number would tell.
    if roomy {
        rollback::raise(&store, &dir).await?;
    }
    let client_key = client_key(&config, &store, &keyring).await?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .map_err(|source| DaemonError::Listen { address: config.server.listen, source })?;
    let listen = listener.local_addr().map_err(prepare)?;
    let socket_path = config.server.control_socket.clone();
    let socket = bind(&socket_path)?;
    let allowed = Allowed::for_socket(&socket_path).map_err(prepare)?;
    let weak = config.engine.weakened();
    if !weak.is_empty() {
        tracing::warn!(keys = weak.join(", "), "the delivery guarantees are weakened by [engine]");
    }
    let mut web_config = WebConfig::new(config.server.public_url.clone(), Arc::clone(&clock))?;
    web_config.trusted_proxies.clone_from(&config.server.trusted_proxies);
    web_config.verification_files = config.server.verification_files.clone();
    web_config.limits.connections = config.limits.connections as usize;
    web_config.limits.connections_per_address = config.limits.per_address as usize;
    web_config.limits.per_minute = config.limits.callbacks_per_minute;
    let wire = Wire::new(&config.egress_allow)?;
    let jitter_seed = Signer::new(&master, Purpose::SlotJitter).sign(&[b"slots"]);
    let receipts = Signer::new(&master, Purpose::Receipt);
    let links = super::links::Links::new(Signer::new(&master, Purpose::MediaUrl));
    drop(master);

    let (inputs, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(Made {
        config,
        config_path,
        store,
        keyring,
        library: Library::new(media),
        clock,
        wire,
        rehearsal,
        inputs,
        jitter_seed,
        receipts,
        links,
        client_key,
        disk,
        time,
        rolled_back,
    }));
    let stopped = Stop::load(&shared)?;
    let (stop, stopping) = watch::channel(false);
    let recovering = Arc::clone(&shared);
    let mut known = tokio::task::spawn_blocking(move || {
        let (store, now) = (&recovering.store, recovering.now());
        let waits = ledger::recover(store, recovering.moment())?;
        let calls = ledger::calls(store, &settings::of(&recovering.config()), platforms::find, now)?;
        // On a full disk nothing could be noted of what they show.
        let unseen = if roomy { unseen::unseen(store, platforms::find, now)? } else { Vec::new() };
        Ok::<_, StoreError>(vec![Input::Waits(waits), Input::Calls(calls), Input::Unseen(unseen)])
    })
    .await
    .map_err(prepare)??;
    // Beside the others' work, which need not wait for a network that does not answer: since its
    // disconnect began, the account is stopped.
    disconnect::resume(&shared)?;
    erase::resume(&shared)?;
    // Due times by the zone rules of today; then what passed meanwhile is coalesced.
    rezone::check(&shared).await?;
    if !preflight::clock(&shared, shared.moment()).hold {
        recurring::pass(&shared).await?;
    }
    files::sweep_now(&shared, shared.now()).await;
    missed::tell_at_start(&shared, stopped)?;

    // From here on nothing waits: a start that is given up before has sent nothing, one that is
    // not is whole.
    let mind = Mind::new(stopping);
    let fallen = mind.fallen();
    known.push(Input::Pause(stopped));
    let work = Driver::new(Arc::clone(&shared), receiver).run(known, mind.stopping());
    let driver = mind.spawn("engine's loop", async move {
        work.await;
        Ok(())
    });
    let (keeping, end) = (housekeeping::run(Arc::clone(&shared)), until(mind.stopping()));
    let planning = recurring::run(Arc::clone(&shared));
    let mut edges = vec![mind.spawn("housekeeping", async move {
        tokio::select! {
            () = keeping => {}
            () = planning => {}
            () = end => {}
        }
        Ok(())
    })];
    let (alive, end) = (watchdog::run(Arc::clone(&shared)), until(mind.stopping()));
    edges.push(mind.spawn("watchdog", async move {
        tokio::select! {
            () = alive => {}
            () = end => {}
        }
        Ok(())
    }));
    let door = Arc::new(PublicDoor(Arc::clone(&shared)));
    let until = until(mind.stopping());
    edges.push(mind.spawn("public listener", async move {
        web::server::serve(listener, web_config, door, until).await.map_err(|error| error.to_string())
    }));
    let control = Arc::new(api::Door(Arc::clone(&shared)));
    let until = self::until(mind.stopping());
    edges.push(mind.spawn("control socket", async move {
        let served = server::serve(socket, control, allowed, until).await;
        drop(std::fs::remove_file(socket_path));
        served.map_err(|error| error.to_string())
    }));
    shared.ready.store(true, Ordering::Relaxed);
    if notify && let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told that we are ready");
    }
    tracing::info!(%listen, socket = %shared.config().server.control_socket.display(), "ready");
    Ok(Daemon { shared, listen, stop, driver, edges, fallen })
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // The sender going away means the same.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Whether the sidecar tells that this directory had a store. One that cannot be read tells so too:
/// nothing is written there before the store is.
fn had_store(dir: &Path) -> Result<bool, DaemonError> {
    let sidecar = generation::read(dir).map_err(RollbackError::Sidecar)?;
    Ok(!matches!(sidecar, Sidecar::Missing | Sidecar::Holds(0)))
}

fn master_key(config: &Config) -> Result<MasterKey, DaemonError> {
    match &config.master {
        SecretSource::File(path) => Ok(MasterKey::from_file(path)?),
        SecretSource::Credential(name) => {
            let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(DaemonError::NoCredentials)?;
            Ok(MasterKey::from_credential(dir.as_ref(), name)?)
        }
        // The configuration refuses it; an environment is visible to too many.
        SecretSource::Env(_) => Err(DaemonError::NoCredentials),
    }
}

/// The key by which Bluesky servers know this installation. All sessions die with it, so it is
/// made once and kept, sealed. Without a public https address there is none.
async fn client_key(config: &Config, store: &Store, keyring: &Keyring) -> Result<Option<Key>, DaemonError> {
    if config.server.public_url.scheme() != "https" {
        return Ok(None);
    }
    let owner = AccountId::from_u128(OWN_KEYS);
    if let Some(sealed) = store.read(|rx| vault::get_client_key(rx, "bluesky"))? {
        let der = keyring.open_sealed(owner, CLIENT_KEY_TABLE, CLIENT_KEY_FIELD, &sealed)?;
        return Key::from_pkcs8(&der).map(Some).map_err(prepare);
    }
    let key = Key::generate().map_err(prepare)?;
    keyring.create(owner)?;
    let sealed = keyring.seal(owner, CLIENT_KEY_TABLE, CLIENT_KEY_FIELD, &key.to_pkcs8())?;
    store.write(move |tx| vault::put_client_key(tx, "bluesky", &sealed)).await?;
    Ok(Some(key))
}

impl Daemon {
    /// How many commits the store has made since it was opened; for benchmarks.
    pub fn commits(&self) -> u64 {
        *self.shared.store.commits().borrow()
    }

    /// Reads the configuration again (SIGHUP). A bad file changes nothing and is told in the log.
    pub fn reload(&self) {
        if let Err(error) = reload(&self.shared) {
            tracing::error!(error = %error.message, "the configuration was not changed");
        }
    }

    /// Resolves when the store has failed (exit status 75), or a part of the daemon has ended by
    /// itself (1): the process must end then, so that it is started again.
    pub async fn failed(&self) -> DaemonError {
        tokio::select! {
            biased;
            error = self.shared.store.failed() => DaemonError::Store(error),
            Fallen { what, why } = mind::first(self.fallen.clone()) => DaemonError::Fallen { what, why },
        }
    }

    /// Stops in order: nothing new is sent, a running call is finished and recorded, the doors
    /// close, the store is closed.
    pub async fn stop(self) {
        self.shared.ready.store(false, Ordering::Relaxed);
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        // A rotated token whose answer is on its way would be lost with us: it gets as long as a
        // running call does.
        let refreshes = tokio::time::timeout(REFRESH_GRACE, self.shared.refreshes_end());
        drop(tokio::join!(self.driver, refreshes));
        // Those that the last calls asked for.
        drop(tokio::time::timeout(FAREWELL, self.shared.refreshes_end()).await);
        for edge in self.edges {
            let mut edge = edge;
            if tokio::time::timeout(FAREWELL, &mut edge).await.is_err() {
                edge.abort();
            }
        }
        self.shared.store.close().await;
    }

    /// Runs until `stop` resolves or the store fails. `reloads` yields once per SIGHUP.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        mut reloads: mpsc::UnboundedReceiver<()>,
    ) -> Result<(), DaemonError> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => {
                    tracing::info!("stopping");
                    self.stop().await;
                    return Ok(());
                }
                error = self.failed() => {
                    tracing::error!(%error, "ending, so that a restart begins anew");
                    // With a store there is still something to bring to an end: a call on the wire.
                    if matches!(error, DaemonError::Fallen { .. }) {
                        self.stop().await;
                    }
                    return Err(error);
                }
                Some(()) = reloads.recv() => self.reload(),
            }
        }
    }
}

/// Random bytes for keys, from the system.
pub fn random(buffer: &mut [u8]) {
    fill(buffer);
}
