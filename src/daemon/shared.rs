//! What every part of the daemon holds in common.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;
use url::Url;

use super::wire::{Wire, fill};
use crate::auth::bluesky::{BlueskyClient, BlueskyProvider};
use crate::auth::facebook::FacebookProvider;
use crate::auth::instagram::InstagramProvider;
use crate::auth::linkedin::{FRESH_WAITS, LinkedInProvider};
use crate::auth::tiktok::TikTokProvider;
use crate::auth::x::XProvider;
use crate::auth::{App, Provider};
use crate::clock::Clock;
use crate::config::secret::{SecretError, SecretSource};
use crate::config::{Config, TikTokApp};
use crate::domain::account::Account;
use crate::domain::door::Door;
use crate::domain::ids::{AccountId, DeliveryId, PlatformName};
use crate::domain::kind::Kind;
use crate::domain::moment::Moment;
use crate::engine::{Input, Wait};
use crate::keys::derive::Signer;
use crate::keys::keyring::Keyring;
use crate::media::Library;
use crate::platforms::{Endpoint, Request};
use crate::store::journal::{self, Happening};
use crate::store::{Store, deliveries};

/// The parts that all tasks share.
pub(super) struct Shared {
    config: RwLock<Arc<Config>>,
    pub(super) config_path: PathBuf,
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    pub(super) library: Library,
    pub(super) clock: Arc<dyn Clock>,
    wire: RwLock<Arc<Wire>>,
    pub(super) connects: super::connect::Connects,
    inputs: mpsc::UnboundedSender<Input>,
    /// When the runs of recurring posts are looked at again, in unix milliseconds; and the bell for it.
    plan_at: AtomicI64,
    pub(super) plan: tokio::sync::Notify,
    /// The engine claims nothing because the wall clock is in doubt; see [`Shared::clock_in_doubt`].
    clock_in_doubt: AtomicBool,
    /// One refresh at a time per account.
    refreshing: Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>,
    /// The daemon's own: what a caller from elsewhere sets going ends with the daemon.
    pub(super) runtime: tokio::runtime::Handle,
    /// Until when a network asked not to be asked for tokens again.
    token_waits: Mutex<super::renewal::Waits>,
    pub(super) looks: super::inspect::Looks,
    /// Disconnects under way.
    pub(super) erasing: super::disconnect::Erasing,
    pub(super) rehearsal: super::rehearsal::Rehearsal,
    /// Asks of users that wait for the engine's answer.
    pub(super) asks: super::drive::Asks,
    /// Serialises choosing a queue slot with taking it.
    pub(super) slot_lock: tokio::sync::Mutex<()>,
    /// What networks said of their limits.
    pub(super) quotas: super::quota::Gauges,
    /// The ways back of what was cancelled or moved.
    pub(super) ways: super::undo::Ways,
    pub(super) started: Timestamp,
    last_tick_ms: AtomicI64,
    pub(super) ready: AtomicBool,
    /// What the checks ahead of time found.
    pub(super) findings: super::precheck::Findings,
    /// Due deliveries that cannot be worked on, and why.
    unloadable: Mutex<BTreeMap<DeliveryId, String>>,
    /// What the configuration says otherwise since a reload, and only a restart can take up.
    needs_restart: Mutex<Vec<String>>,
    /// Told to stop: nothing new is begun that a network would have to answer.
    pub(super) stopping: AtomicBool,
    pub(super) disk: super::disk::Disk,
    pub(super) time: super::time::Time,
    /// The store was older than its sidecar at the start: so many deliveries were put in doubt.
    pub(super) rolled_back: Option<usize>,
    /// What the engine says is held back as a whole: networks and accounts.
    waits: Mutex<Vec<Wait>>,
    /// Whether sending is stopped, why, since when.
    pub(super) pause: super::stop::Stop,
    /// Places slots inside their jitter window; the same on every start.
    pub(super) jitter_seed: [u8; 32],
    /// Hashes what receipts are about.
    pub(super) receipts: Signer,
    /// Where networks fetch media, and who did.
    pub(super) links: super::links::Links,
    /// How far uploads are.
    pub(super) progress: super::progress::Progress,
    /// Bluesky's client key, when this installation has a public https address.
    pub(super) client_key: Option<crate::auth::dpop::Key>,
}

/// What [`Shared::new`] is made of.
pub(super) struct Made {
    pub(super) config: Config,
    pub(super) config_path: PathBuf,
    pub(super) store: Store,
    pub(super) keyring: Keyring,
    pub(super) library: Library,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wire: Wire,
    pub(super) rehearsal: super::rehearsal::Rehearsal,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) jitter_seed: [u8; 32],
    pub(super) receipts: Signer,
    pub(super) links: super::links::Links,
    pub(super) client_key: Option<crate::auth::dpop::Key>,
    pub(super) disk: super::disk::Disk,
    pub(super) time: super::time::Time,
    pub(super) rolled_back: Option<usize>,
}

impl Shared {
    pub(super) fn new(made: Made) -> Self {
        let started = made.clock.now();
        let progress = super::progress::Progress::new(Arc::clone(&made.clock));
        Self {
            config: RwLock::new(Arc::new(made.config)),
            config_path: made.config_path,
            store: made.store,
            keyring: made.keyring,
            library: made.library,
            clock: made.clock,
            wire: RwLock::new(Arc::new(made.wire)),
            connects: super::connect::Connects::default(),
            inputs: made.inputs,
            plan_at: AtomicI64::new(i64::MAX),
            plan: tokio::sync::Notify::new(),
            clock_in_doubt: AtomicBool::new(false),
            refreshing: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
            token_waits: Mutex::default(),
            looks: super::inspect::Looks::default(),
            erasing: super::disconnect::Erasing::default(),
            rehearsal: made.rehearsal,
            asks: super::drive::Asks::default(),
            slot_lock: tokio::sync::Mutex::default(),
            quotas: super::quota::Gauges::default(),
            ways: super::undo::Ways::default(),
            started,
            last_tick_ms: AtomicI64::new(0),
            ready: AtomicBool::new(false),
            findings: super::precheck::Findings::default(),
            unloadable: Mutex::default(),
            needs_restart: Mutex::default(),
            stopping: AtomicBool::new(false),
            disk: made.disk,
            time: made.time,
            rolled_back: made.rolled_back,
            waits: Mutex::default(),
            pause: super::stop::Stop::default(),
            jitter_seed: made.jitter_seed,
            receipts: made.receipts,
            links: made.links,
            progress,
            client_key: made.client_key,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, by both clocks.
    pub(super) fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), boot: self.clock.boot() }
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_config(&self, config: Config, wire: Option<Wire>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        if let Some(wire) = wire {
            *self.wire.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(wire);
        }
    }

    pub(super) fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes the engine. It being gone means the daemon is stopping; nothing is lost by that.
    pub(super) fn send(&self, input: Input) {
        if matches!(input, Input::AccountChanged(_)) {
            self.findings.look_again();
        }
        drop(self.inputs.send(input));
    }

    pub(super) fn set_waits(&self, waits: Vec<Wait>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    /// What is held back as a whole at the moment.
    pub(super) fn waits(&self) -> Vec<Wait> {
        let now = self.now();
        let all = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|it| it.until > now).cloned().collect()
    }

    /// What the last reload could not put in force.
    pub(super) fn note_needs_restart(&self, keys: Vec<String>) {
        *self.needs_restart.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn needs_restart(&self) -> Vec<String> {
        self.needs_restart.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes why a due delivery cannot be worked on; without a reason, that it can be again.
    pub(super) fn note_unloadable(&self, id: DeliveryId, why: Option<String>) {
        let mut all = self.unloadable.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => drop(all.insert(id, why)),
            None => drop(all.remove(&id)),
        }
    }

    /// The due deliveries that cannot be worked on, and why. Those that ended meanwhile are forgotten.
    pub(super) fn unloadable(&self) -> Vec<(DeliveryId, String)> {
        let mut all = self.unloadable.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, _| match self.store.read(|rx| deliveries::get(rx, *id)) {
            Ok(found) => found.is_some_and(|it| !it.state.is_terminal()),
            Err(_) => true,
        });
        all.iter().map(|(id, why)| (*id, why.clone())).collect()
    }

    /// Something new may be due.
    pub(super) fn nudge(&self) {
        self.send(Input::Tick);
    }

    /// Random bytes for an id.
    pub(super) fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        fill(&mut bytes);
        bytes
    }

    /// Writes into the log what happened beside the deliveries. A move of theirs stands there already:
    /// it was written with the move itself. Queued at once and not waited for.
    pub(super) fn announce(&self, happening: Happening) {
        let write = self.store.write(move |tx| journal::add(tx, &happening));
        tokio::spawn(async move {
            if let Err(error) = write.await {
                tracing::error!(%error, "a line of the log could not be written");
            }
        });
    }

    /// Has the runs of recurring posts looked at, at this time or at once.
    pub(super) fn plan_again(&self, at: Option<Timestamp>) {
        self.plan_at.store(at.map_or(i64::MIN, Timestamp::as_millisecond), Ordering::Relaxed);
        if at.is_none() {
            self.plan.notify_one();
        }
    }

    pub(super) fn ticked(&self, now: Timestamp) {
        self.last_tick_ms.store(now.as_millisecond(), Ordering::Relaxed);
        if now.as_millisecond() >= self.plan_at.load(Ordering::Relaxed) {
            self.plan.notify_one();
        }
    }

    /// Whether the wall clock is in doubt. Then no run of a recurring post is made, and none is
    /// passed over: by a clock that jumped a day, all of that day's runs would be missed.
    pub(super) fn clock_in_doubt(&self) -> bool {
        self.clock_in_doubt.load(Ordering::Relaxed)
    }

    /// What the engine was told of the clock. When it is believed again, what waited is looked at.
    pub(super) fn set_clock_in_doubt(&self, doubt: bool) {
        if self.clock_in_doubt.swap(doubt, Ordering::Relaxed) && !doubt {
            self.plan_again(None);
        }
    }

    pub(super) fn last_tick(&self) -> Option<Timestamp> {
        match self.last_tick_ms.load(Ordering::Relaxed) {
            0 => None,
            ms => Timestamp::from_millisecond(ms).ok(),
        }
    }

    /// The lock that makes a refresh single-flight.
    pub(super) fn refresh_lock(&self, account: AccountId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(account).or_default())
    }

    /// Until when accounts wait for another refresh.
    pub(super) fn token_waits(&self) -> MutexGuard<'_, super::renewal::Waits> {
        self.token_waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the refreshes that run now have ended.
    pub(super) async fn refreshes_end(&self) {
        let all: Vec<_> =
            self.refreshing.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for one in all {
            drop(one.lock().await);
        }
    }

    /// The base address of a request's named endpoint.
    pub(super) fn base(&self, account: &Account, request: &Request) -> Option<Url> {
        match request.endpoint {
            Endpoint::Server => None,
            Endpoint::Named(key)
            | Endpoint::Person(key)
            | Endpoint::Given(key)
            | Endpoint::GivenBelow(key, _) => {
                let config = self.config();
                let settings = config.platform(api_of(account));
                let base: Url = settings.endpoints.get(key)?.parse().ok()?;
                match (&settings.api_version, request.endpoint) {
                    // A call of the Graph API without a version gets whatever the app's page says.
                    (Some(version), Endpoint::Named("graph") | Endpoint::Person("graph")) => {
                        Some(page(base, &format!("/{version}")))
                    }
                    _ => Some(base),
                }
            }
        }
    }

    /// Where an account's network shows its pages: they and its sign-in are on one host.
    pub(super) fn site(&self, account: &Account) -> Option<String> {
        self.config().platform(account.name.platform()).endpoints.get("authorize").cloned()
    }

    /// The app's secret, for networks that want every call proven with it. One that cannot be read is
    /// left out: whether the proof may be missing is for the network to say.
    pub(super) fn app_secret(&self, account: &Account) -> Option<SecretString> {
        let platform = api_of(account);
        if platform != PlatformName::Facebook {
            return None;
        }
        self.client_secret(platform)?.ok()
    }

    /// The secret of a network's app. None: it has none.
    pub(super) fn client_secret(&self, platform: PlatformName) -> Option<Result<SecretString, SecretError>> {
        client_secret(&self.config(), platform)
    }

    /// The version of its network's API that an account is spoken for in.
    pub(super) fn api_version(&self, account: &Account) -> Option<String> {
        self.config().platform(api_of(account)).api_version.clone()
    }

    /// A network's OAuth dialect as configured now.
    pub(super) fn provider(&self, platform: PlatformName) -> Result<Provider, NoProvider> {
        self.provider_for(platform, None)
    }

    /// The same, for a connect as one of a network's two kinds of account.
    pub(super) fn provider_for(
        &self,
        platform: PlatformName,
        kind: Option<Kind>,
    ) -> Result<Provider, NoProvider> {
        let config = self.config();
        let settings = config.platform(platform);
        let address = |key: &'static str| {
            settings
                .endpoints
                .get(key)
                .and_then(|it| it.parse::<Url>().ok())
                .ok_or(NoProvider::NotBuilt(platform))
        };
        match platform {
            PlatformName::X => {
                let client_id = settings.client_id.clone().ok_or(NoProvider::NoApp(platform))?;
                let secret = client_secret(&config, platform);
                let client_secret = secret.transpose().map_err(NoProvider::Secret)?;
                Ok(Provider::X(XProvider {
                    app: App { client_id, client_secret },
                    authorize: page(address("authorize")?, "/i/oauth2/authorize"),
                    api: address("api")?,
                }))
            }
            PlatformName::Bluesky => {
                let client = match &self.client_key {
                    Some(key) => {
                        let mut client_id = config.server.public_url.clone();
                        client_id.set_path("/oauth/bluesky/client.json");
                        BlueskyClient::Web { client_id, key: key.clone() }
                    }
                    None => BlueskyClient::Loopback,
                };
                Ok(Provider::Bluesky(BlueskyProvider { plc: address("plc")?, client }))
            }
            PlatformName::Facebook => Ok(Provider::Facebook(facebook(&config)?)),
            PlatformName::Instagram => {
                let door = settings.login.door();
                // Accounts that came through the other door are still looked after.
                let (app, facebook) = match door {
                    Door::Instagram => (Some(app(&config, platform)?), facebook(&config).ok()),
                    Door::Facebook => (None, Some(facebook(&config)?)),
                };
                // Its own, for what is asked for is another.
                let config_id = settings.config_id.clone();
                let facebook = facebook.map(|it| FacebookProvider { config_id, ..it });
                Ok(Provider::Instagram(Box::new(InstagramProvider {
                    door,
                    app,
                    authorize: address("authorize")?,
                    token: address("token")?,
                    graph: address("graph")?,
                    version: settings.api_version.clone().unwrap_or_default(),
                    facebook,
                })))
            }
            PlatformName::LinkedIn => {
                let organization = settings.organization.as_ref().and_then(|it| {
                    let secret = it.client_secret.as_ref()?;
                    let secret = read(secret).map_err(NoProvider::Secret);
                    Some(secret.map(|secret| (it.client_id.clone(), secret)))
                });
                // What this connect does not need may be missing.
                let (member, organization) = match kind {
                    Some(Kind::Organization) => (app(&config, platform).ok(), organization.transpose()?),
                    Some(Kind::Member) => (Some(app(&config, platform)?), organization.and_then(Result::ok)),
                    None => (app(&config, platform).ok(), organization.and_then(Result::ok)),
                };
                Ok(Provider::LinkedIn(Box::new(LinkedInProvider {
                    kind: kind.unwrap_or(Kind::Member),
                    member,
                    organization,
                    oauth: address("oauth")?,
                    api: address("api")?,
                    version: settings.api_version.clone().unwrap_or_default(),
                    waits: FRESH_WAITS,
                })))
            }
            PlatformName::TikTok => {
                let (client_key, client_secret) = app(&config, platform)?;
                Ok(Provider::TikTok(TikTokProvider {
                    client_key,
                    client_secret,
                    desktop: settings.app_kind == TikTokApp::Desktop,
                    reach: settings.mode.reach(),
                    authorize: address("authorize")?,
                    api: address("api")?,
                }))
            }
            PlatformName::Mastodon | PlatformName::Threads => Err(NoProvider::NotBuilt(platform)),
        }
    }
}

/// Whose API an account's calls go to: Instagram's accounts that came through Facebook's door are
/// spoken for there, with that app.
fn api_of(account: &Account) -> PlatformName {
    let platform = account.name.platform();
    let through_facebook =
        platform == PlatformName::Instagram && Door::of(account.tier.as_deref()) == Door::Facebook;
    if through_facebook { PlatformName::Facebook } else { platform }
}

/// An app's id and secret, on networks that know none without.
fn app(config: &Config, platform: PlatformName) -> Result<(String, SecretString), NoProvider> {
    let settings = config.platform(platform);
    let client_id = settings.client_id.clone().ok_or(NoProvider::NoApp(platform))?;
    let secret = client_secret(config, platform).ok_or(NoProvider::NoSecret(platform))?;
    Ok((client_id, secret.map_err(NoProvider::Secret)?))
}

fn client_secret(config: &Config, platform: PlatformName) -> Option<Result<SecretString, SecretError>> {
    config.platform(platform).client_secret.as_ref().map(read)
}

/// Read at each use, so that a new one needs no restart.
fn read(source: &SecretSource) -> Result<SecretString, SecretError> {
    source.read(&|name| std::env::var_os(name))
}

fn facebook(config: &Config) -> Result<FacebookProvider, NoProvider> {
    let (client_id, client_secret) = app(config, PlatformName::Facebook)?;
    let settings = config.platform(PlatformName::Facebook);
    let address = |key: &str| {
        let url = settings.endpoints.get(key).and_then(|it| it.parse::<Url>().ok());
        url.ok_or(NoProvider::NotBuilt(PlatformName::Facebook))
    };
    let version = settings.api_version.as_deref().unwrap_or_default();
    Ok(FacebookProvider {
        client_id,
        client_secret,
        config_id: settings.config_id.clone(),
        authorize: page(address("authorize")?, &format!("/{version}/dialog/oauth")),
        graph: page(address("graph")?, &format!("/{version}")),
    })
}

/// A network's own path behind a configured base, whose path prefix stays.
fn page(mut base: Url, path: &str) -> Url {
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&joined);
    base
}

/// Why a network cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProvider {
    #[error("{} is not available in this version", .0.title())]
    NotBuilt(PlatformName),
    #[error("no app is configured for {}", .0.title())]
    NoApp(PlatformName),
    #[error("no secret is configured for the app of {}", .0.title())]
    NoSecret(PlatformName),
    #[error("{0}")]
    Secret(SecretError),
}

impl NoProvider {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NotBuilt(_) => Some(crate::platforms::AVAILABLE.into()),
            Self::NoSecret(platform) => {
                Some(format!("set `client_secret` in [platforms.{platform}] and reload"))
            }
            Self::NoApp(platform) => Some(format!("set `client_id` in [platforms.{platform}] and reload")),
            Self::Secret(error) => error.hint(),
        }
    }
}
