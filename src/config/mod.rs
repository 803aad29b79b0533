//! The file as written (`file`) and the settings as used ([`Config`]).
//!
//! A configuration is checked whole before anything is opened or bound: syntax first, then every
//! meaning, and all faults of meaning are told at once, each with line, column and caret. Secrets
//! are named by their source and read only when they are needed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::Spanned;
use url::Url;

use crate::domain::door::Door;
use crate::domain::ids::{AccountName, PlatformName};
use crate::domain::reach::Reach;
use crate::domain::schedule::Late;
use crate::domain::schedule::slots::SlotPattern;
use crate::facts::linkedin;

pub mod change;
mod check;
pub mod fault;
mod file;
mod print;
pub mod secret;

use fault::ConfigError;
use secret::SecretSource;

/// The settings as used: every value checked, every default filled in, every path resolved against
/// the directory of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The public listener and the control socket.
    pub server: Server,
    /// Where everything is kept; see product documentation, "On disk".
    pub data_dir: PathBuf,
    /// The master key's source: a file or a systemd credential, never the environment.
    pub master: SecretSource,
    /// The zone of times that name none.
    pub timezone: Zone,
    /// The late policy of posts that name none.
    pub late: Late,
    /// All eight networks, whether the file mentions them or not.
    pub platforms: BTreeMap<PlatformName, Platform>,
    /// In the order of the file; names are unique.
    pub queues: Vec<Queue>,
    /// In the order of the file; names are unique.
    pub recurring: Vec<Recurring>,
    /// Waiting times of the delivery rules.
    pub engine: Engine,
    /// Private address ranges that the guarded client may reach all the same.
    pub egress_allow: Vec<IpNet>,
    /// What the public listener and the media store put up with.
    pub limits: Limits,
    /// What is written to the log.
    pub log: Log,
    /// Who stands behind this installation; shown on the legal pages.
    pub privacy: Privacy,
}

/// An IANA zone and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// As the database spells it: `Europe/Berlin`.
    pub name: String,
    /// The rules, from the system's zone files or the bundled ones.
    pub rules: TimeZone,
}

/// A zone that no database knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone")]
pub struct UnknownZone(pub String);

impl UnknownZone {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        Some("write an IANA name like `Europe/Berlin`, `America/New_York` or `UTC`".to_owned())
    }
}

impl Zone {
    /// Looks a zone up by its IANA name; upper and lower case are alike.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        // `Etc/Unknown` exists and stands for no answer; as a setting it would pass for UTC.
        let rules = TimeZone::get(name).ok().filter(|it| !it.is_unknown());
        let rules = rules.ok_or_else(|| UnknownZone(name.to_owned()))?;
        let name = rules.iana_name().unwrap_or("UTC").to_owned();
        Ok(Self { name, rules })
    }
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address of the public listener. Loopback, unless proxies are named.
    pub listen: SocketAddr,
    /// Scheme and host that the world uses for it: https, or http on loopback; no path.
    pub public_url: Url,
    /// Whose `Forwarded` headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// File name → content, served at the root (proof of ownership for TikTok and others).
    pub verification_files: BTreeMap<String, String>,
    /// The Unix socket of command line and console.
    pub control_socket: PathBuf,
}

/// `[platforms.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The app's id; none = no app, so accounts cannot be connected where the network needs one.
    pub client_id: Option<String>,
    /// The app's secret; none for public clients.
    pub client_secret: Option<SecretSource>,
    /// Base URLs by key, without a slash at the end; every key of the network is present.
    pub endpoints: BTreeMap<&'static str, String>,
    /// Send again when a look-up says that the post is absent, where the network's lists are not
    /// reliable enough for us to do so unasked.
    pub resend_when_absent: bool,
    /// What may be spent on calls in a month (UTC), in millionths of a US dollar. X.
    pub monthly_budget: Option<u64>,
    /// Facebook, Instagram, Threads: version in the path (`v26.0`). LinkedIn: the header (`202608`).
    pub api_version: Option<String>,
    /// Instagram: which of its two doors.
    pub login: InstagramLogin,
    /// Facebook, and Instagram through it: the configuration of Facebook Login for Business that says what
    /// is asked for; none = plain Facebook Login, where we say it.
    pub config_id: Option<String>,
    /// LinkedIn: the organizations' app, if there is one.
    pub organization: Option<App>,
    /// TikTok: kind of app, which decides redirect addresses and PKCE.
    pub app_kind: TikTokApp,
    /// TikTok: where a post goes.
    pub mode: TikTokMode,
    /// Limits of publishing calls below the network's own.
    pub limits: Vec<CallLimit>,
}

/// `[[platforms.NAME.limits]]`: at most so many publishing calls within any such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    /// From 1.
    pub calls: u32,
    /// Longer than nothing.
    pub per: SignedDuration,
    /// What is counted together.
    pub scope: LimitScope,
}

/// What a [`CallLimit`] counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// The calls of each account for itself.
    Account,
    /// The calls of all accounts of an app; where accounts live on servers of their own, of a server.
    App,
}

impl Platform {
    /// The base URL under a key of the table in `config.example.toml`.
    ///
    /// # Panics
    /// If the network has no such key: a slip in our code, not in the configuration.
    pub fn endpoint(&self, key: &str) -> &str {
        self.endpoints.get(key).unwrap_or_else(|| panic!("no endpoint `{key}` on this platform"))
    }
}

/// Id and secret of a second app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The app's id.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: Option<SecretSource>,
}

/// Instagram's two ways of logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstagramLogin {
    /// Instagram's own login, with its own app.
    Instagram,
    /// Through a Facebook Page, with the app of `[platforms.facebook]`.
    Facebook,
}

impl InstagramLogin {
    /// The door of accounts that are connected with it.
    pub fn door(self) -> Door {
        match self {
            Self::Instagram => Door::Instagram,
            Self::Facebook => Door::Facebook,
        }
    }
}

/// TikTok's kinds of app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TikTokApp {
    /// https redirect addresses, no PKCE.
    Web,
    /// Loopback redirect addresses, PKCE.
    Desktop,
}

/// Where a TikTok post goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TikTokMode {
    /// To the creator's inbox, to be finished in the app.
    Inbox,
    /// Published directly; needs an audited app for anything but private posts.
    Direct,
}

impl TikTokMode {
    /// How far the posts of accounts go that are connected with it.
    pub fn reach(self) -> Reach {
        match self {
            Self::Inbox => Reach::Inbox,
            Self::Direct => Reach::Direct,
        }
    }
}

/// `[[queue]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Unique, 1–64 characters of `a-z 0-9 . _ -`.
    pub name: String,
    /// At least one.
    pub cron: Vec<SlotPattern>,
    /// The zone of the slots.
    pub timezone: Zone,
    /// At least one, each once.
    pub accounts: Vec<AccountName>,
    /// Each slot runs up to this much later.
    pub jitter: SignedDuration,
}

/// `[[recurring]]`: a post with its own schedule. Each run makes a new post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring {
    /// Unique, 1–64 characters of `a-z 0-9 . _ -`. With the local time of a slot it is a run's identity.
    pub name: String,
    /// At least one.
    pub cron: Vec<SlotPattern>,
    /// The zone of the slots.
    pub timezone: Zone,
    /// At least one, each once.
    pub accounts: Vec<AccountName>,
    /// The parts of a thread; usually one.
    pub parts: Vec<String>,
    /// First comment.
    pub comment: Option<String>,
    /// Platform → option → value.
    pub options: BTreeMap<PlatformName, BTreeMap<String, String>>,
    /// The last day on which it runs.
    pub until: Option<Date>,
    /// How many runs there are in all.
    pub count: Option<u32>,
    /// Each run goes out up to this much later.
    pub jitter: SignedDuration,
    /// How late a run may go out.
    pub late: Late,
}

/// `[engine]`: waiting times of the delivery rules. See `config.example.toml` for each one's why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Engine {
    /// How long an unknown outcome is watched before absence counts.
    pub settle: SignedDuration,
    /// Between two look-ups that must both find nothing.
    pub absence_gap: SignedDuration,
    /// Between two publishes of one account.
    pub lane_spacing: SignedDuration,
    /// Between two publishes of one account after downtime.
    pub catch_up_spacing: SignedDuration,
    /// Before a request is repeated under the same idempotency key.
    pub key_wait: SignedDuration,
    /// After this long without an answer a person is asked.
    pub hold_after: SignedDuration,
    /// After this long past its instant a delivery is given up.
    pub give_up_after: SignedDuration,
    /// Multiplies every polling and reconcile interval.
    pub poll_scale: f64,
    /// Multiplies every retry delay of ours, never a network's own reset time.
    pub backoff_scale: f64,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            settle: SignedDuration::from_mins(15),
            absence_gap: SignedDuration::from_secs(90),
            lane_spacing: SignedDuration::from_secs(5),
            catch_up_spacing: SignedDuration::from_secs(60),
            key_wait: SignedDuration::from_secs(60),
            hold_after: SignedDuration::from_hours(24),
            give_up_after: SignedDuration::from_hours(24),
            poll_scale: 1.0,
            backoff_scale: 1.0,
        }
    }
}

impl Engine {
    /// The waiting times by key, in the order of the documentation.
    pub fn durations(&self) -> [(&'static str, SignedDuration); 7] {
        [
            ("settle", self.settle),
            ("absence_gap", self.absence_gap),
            ("lane_spacing", self.lane_spacing),
            ("catch_up_spacing", self.catch_up_spacing),
            ("key_wait", self.key_wait),
            ("hold_after", self.hold_after),
            ("give_up_after", self.give_up_after),
        ]
    }

    /// The factors by key.
    pub fn scales(&self) -> [(&'static str, f64); 2] {
        [("poll_scale", self.poll_scale), ("backoff_scale", self.backoff_scale)]
    }

    /// Keys set below their default. Each of them weakens a guarantee; `config check`, `status` and
    /// the log say so.
    pub fn weakened(&self) -> Vec<String> {
        let usual = Self::default();
        let short =
            self.durations().into_iter().zip(usual.durations()).filter(|(own, usual)| own.1 < usual.1);
        let small = self.scales().into_iter().zip(usual.scales()).filter(|(own, usual)| own.1 < usual.1);
        short.map(|(own, _)| own.0).chain(small.map(|(own, _)| own.0)).map(str::to_owned).collect()
    }
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections to the public listener, in all.
    pub connections: u32,
    /// Open connections from one address.
    pub per_address: u32,
    /// Requests a minute from one address on connect and callback routes.
    pub callbacks_per_minute: u32,
    /// Largest media file, in bytes.
    pub media_max_bytes: u64,
    /// Most pixels of a picture or a frame.
    pub media_max_pixels: u64,
    /// Longest video.
    pub media_max_duration: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_address: 16,
            callbacks_per_minute: 30,
            media_max_bytes: 4 << 30,
            media_max_pixels: 100_000_000,
            media_max_duration: SignedDuration::from_hours(4),
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people and journald.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[privacy]`: texts of the legal pages; empty = not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Name of the person or company.
    pub operator: String,
    /// Address for requests.
    pub contact: String,
    /// How long things are kept, in the operator's words, added to ours.
    pub retention: String,
}

impl Config {
    /// The tier of accounts that are connected from now on, on networks where the configuration decides it.
    pub fn tier_of_new(&self, platform: PlatformName) -> Option<&'static str> {
        let settings = self.platforms.get(&platform)?;
        match platform {
            PlatformName::TikTok => Some(settings.mode.reach().as_str()),
            PlatformName::Instagram => Some(settings.login.door().as_str()),
            _ => None,
        }
    }

    /// One network's settings.
    ///
    /// # Panics
    /// Never: every platform is present in a checked configuration.
    pub fn platform(&self, name: PlatformName) -> &Platform {
        &self.platforms[&name]
    }

    /// A queue by its name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|it| it.name == name)
    }

    /// What is allowed and may still surprise: one sentence each.
    pub fn cautions(&self) -> Vec<String> {
        let to_x = |it: &&Recurring| it.accounts.iter().any(|to| to.platform() == PlatformName::X);
        let more_than_once = |it: &&Recurring| it.count != Some(1);
        let version = self.platform(PlatformName::LinkedIn).api_version.as_deref();
        let unlisted = version.filter(|it| !linkedin::is_listed(it)).map(|it| {
            let known: Vec<&str> = linkedin::VERSIONS.iter().map(|it| it.0).collect();
            format!(
                "[platforms.linkedin] linkedin_version {it} is none that was known when this was made ({}); \
                 LinkedIn does not have one for every month, and refuses every call under one that it has not",
                known.join(", ")
            )
        });
        self.recurring
            .iter()
            .filter(to_x)
            .filter(more_than_once)
            .map(|it| {
                format!(
                    "[[recurring]] {} posts the same text each time; X refuses a text that is the same as a \
                     recent one, and does not say how long it remembers",
                    it.name
                )
            })
            .chain(unlisted)
            .collect()
    }

    /// The effective settings as TOML: every default written out, secrets as their source.
    pub fn print(&self) -> String {
        print::print(self)
    }
}

/// Finds the file: `--config`, `$SENDOFF_CONFIG`, `sendoff.toml` in the directory `here`,
/// `~/.config/sendoff/config.toml`, `/etc/sendoff/config.toml`.
///
/// A file that was named is taken whether it exists or not: reading it then says what is wrong.
pub fn locate(
    flag: Option<&Path>,
    env: &dyn Fn(&str) -> Option<OsString>,
    here: &Path,
) -> Result<PathBuf, ConfigError> {
    let named = flag
        .map(Path::to_owned)
        .or_else(|| env("SENDOFF_CONFIG").filter(|it| !it.is_empty()).map(PathBuf::from));
    if let Some(path) = named {
        return Ok(here.join(path));
    }
    let home = env("HOME").filter(|it| !it.is_empty());
    let looked: Vec<PathBuf> = [Some(here.join("sendoff.toml"))]
        .into_iter()
        .chain([home.map(|it| Path::new(&it).join(".config/sendoff/config.toml"))])
        .chain([Some(PathBuf::from("/etc/sendoff/config.toml"))])
        .flatten()
        .collect();
    looked.iter().find(|it| it.exists()).cloned().ok_or(ConfigError::NotFound { looked })
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let bytes = std::fs::read(&absolute).map_err(unreadable)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, &absolute),
        Err(error) => Err(fault::not_text(&absolute, &bytes, error.valid_up_to())),
    }
}

/// The control socket that a file names, whatever else is wrong with it. `None`: it cannot be read, or
/// the setting itself makes no sense.
pub fn control_socket(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let text = std::fs::read_to_string(&path).ok()?;
    let (table, _) = toml::de::DeTable::parse_recoverable(&text);
    let server = table.get_ref().get("server").map(Spanned::get_ref);
    let written = match server {
        None => None,
        Some(server) => server.as_table()?.get("control_socket").map(Spanned::get_ref),
    };
    let socket = match written {
        None => check::CONTROL_SOCKET,
        Some(written) => written.as_str().filter(|it| !it.is_empty())?,
    };
    Some(path.parent()?.join(socket))
}

/// Checks a text as if it stood in the file `path`, against whose directory paths are resolved.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let written = toml::from_str(text).map_err(|error| fault::from_toml(path, text, &error))?;
    check::check(&written, text, path)
}

/// The file that `init` writes into `dir`: valid, commented, on loopback, with everything it needs
/// inside that directory.
pub fn starter(dir: &Path, timezone: &str) -> String {
    print::starter(dir, timezone)
}
