//! The file exactly as written. Every value keeps its place, so that whatever turns out to be
//! wrong with its meaning can be pointed at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::secret::SecretWritten;

type Text = Option<Spanned<String>>;
type Number<T> = Option<Spanned<T>>;
type Secret = Option<Spanned<SecretWritten>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfigFile {
    pub(super) server: ServerFile,
    pub(super) storage: StorageFile,
    pub(super) keys: KeysFile,
    pub(super) defaults: DefaultsFile,
    pub(super) platforms: PlatformsFile,
    pub(super) queue: Vec<Spanned<QueueFile>>,
    pub(super) recurring: Vec<Spanned<RecurringFile>>,
    pub(super) engine: EngineFile,
    pub(super) egress: EgressFile,
    pub(super) limits: LimitsFile,
    pub(super) log: LogFile,
    pub(super) privacy: PrivacyFile,
    // Named so that they can be refused as coming later rather than as a misspelling.
    pub(super) content: Option<Spanned<IgnoredAny>>,
    pub(super) notify: Option<Spanned<IgnoredAny>>,
    pub(super) ai: Option<Spanned<IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerFile {
    pub(super) listen: Text,
    pub(super) public_url: Text,
    pub(super) trusted_proxies: Option<Vec<Spanned<String>>>,
    pub(super) verification_files: Option<BTreeMap<Spanned<String>, String>>,
    pub(super) control_socket: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StorageFile {
    pub(super) data_dir: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeysFile {
    pub(super) master: Secret,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DefaultsFile {
    pub(super) timezone: Text,
    pub(super) late: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlatformsFile {
    pub(super) facebook: PlatformFile,
    pub(super) instagram: PlatformFile,
    pub(super) x: PlatformFile,
    pub(super) linkedin: PlatformFile,
    pub(super) tiktok: PlatformFile,
    pub(super) bluesky: PlatformFile,
    pub(super) mastodon: PlatformFile,
    pub(super) threads: PlatformFile,
}

/// One shape for all networks; which keys a network takes is checked afterwards, so that the
/// message can say whose key it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlatformFile {
    pub(super) client_id: Text,
    pub(super) client_secret: Secret,
    pub(super) endpoints: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) resend_when_absent: Option<bool>,
    pub(super) monthly_budget_usd: Number<f64>,
    pub(super) graph_version: Text,
    pub(super) linkedin_version: Text,
    pub(super) login: Text,
    pub(super) config_id: Text,
    pub(super) organization: Option<Spanned<AppFile>>,
    pub(super) app_kind: Text,
    pub(super) mode: Text,
    pub(super) limits: Vec<Spanned<CallLimitFile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CallLimitFile {
    pub(super) calls: Number<i64>,
    pub(super) per: Text,
    pub(super) scope: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AppFile {
    pub(super) client_id: Text,
    pub(super) client_secret: Secret,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueueFile {
    pub(super) name: Text,
    pub(super) cron: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timezone: Text,
    pub(super) accounts: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) jitter: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecurringFile {
    pub(super) name: Text,
    pub(super) cron: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) timezone: Text,
    pub(super) accounts: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) body: Text,
    pub(super) thread: Option<Vec<Spanned<String>>>,
    pub(super) comment: Text,
    pub(super) options: BTreeMap<Spanned<String>, BTreeMap<String, String>>,
    pub(super) until: Option<Spanned<UntilWritten>>,
    pub(super) count: Number<i64>,
    pub(super) jitter: Text,
    pub(super) late: Text,
}

/// A date may be written with quotes or without.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum UntilWritten {
    Date(toml::value::Datetime),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EngineFile {
    pub(super) settle: Text,
    pub(super) absence_gap: Text,
    pub(super) lane_spacing: Text,
    pub(super) catch_up_spacing: Text,
    pub(super) key_wait: Text,
    pub(super) hold_after: Text,
    pub(super) give_up_after: Text,
    pub(super) poll_scale: Number<f64>,
    pub(super) backoff_scale: Number<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EgressFile {
    pub(super) allow: Option<Vec<Spanned<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsFile {
    pub(super) connections: Number<i64>,
    pub(super) per_address: Number<i64>,
    pub(super) callbacks_per_minute: Number<i64>,
    pub(super) media_max_bytes: Number<i64>,
    pub(super) media_max_pixels: Number<i64>,
    pub(super) media_max_duration: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogFile {
    pub(super) level: Text,
    pub(super) format: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrivacyFile {
    pub(super) operator: Text,
    pub(super) contact: Text,
    pub(super) retention: Text,
}
