//! From the file as written to the settings as used. All faults are collected; a value at fault is
//! replaced by its default, so that the rest can still be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::SignedDuration;
use toml::Spanned;
use url::Url;

use super::fault::{ConfigError, Fault, Show};
use super::file::{ConfigFile, EngineFile, LimitsFile, LogFile, QueueFile, ServerFile};
use super::secret::{SecretSource, SecretWritten};
use super::{Config, Engine, Limits, Log, LogFormat, Privacy, Queue, Server, Zone};
use crate::domain::ids::AccountName;
use crate::domain::schedule::slots::SlotPattern;
use crate::domain::schedule::{Late, parse_duration, parse_span};

mod platforms;
mod recurring;

/// What is wrong with a value, and what to write instead.
struct Wrong(String, Option<String>);

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong(message.into(), Some(hint.into()))
}

struct Check<'a> {
    text: &'a str,
    /// Relative paths start here.
    base: &'a Path,
    found: Vec<(usize, Fault)>,
}

/// The longest path that fits a Unix socket address (`sun_path`, with its closing zero).
const SOCKET_PATH_MAX: usize = 107;

/// Where the control socket is unless the file says otherwise.
pub(super) const CONTROL_SOCKET: &str = "/run/sendoff/control.sock";

pub(super) fn check(written: &ConfigFile, text: &str, path: &Path) -> Result<Config, ConfigError> {
    let base = path.parent().unwrap_or(Path::new("."));
    let mut it = Check { text, base, found: Vec::new() };
    it.not_yet(written);
    let server = it.server(&written.server);
    let data_dir =
        it.value(written.storage.data_dir.as_ref(), "/var/lib/sendoff".into(), |text| some_path(base, text));
    let master = it.master(written.keys.master.as_ref());
    let timezone = it.value(written.defaults.timezone.as_ref(), utc(), |text| zone(text));
    let late =
        it.value(written.defaults.late.as_ref(), Late::Within(SignedDuration::from_mins(60)), |text| {
            text.parse::<Late>().map_err(|error| Wrong(error.to_string(), None))
        });
    let platforms = it.platforms(&written.platforms);
    let queues = it.queues(&written.queue, &timezone);
    let recurring = it.recurring(&written.recurring, &timezone, late);
    let engine = it.engine(&written.engine);
    let egress_allow = it.networks(written.egress.allow.as_deref());
    let limits = it.limits(&written.limits);
    let log = it.log(&written.log);
    let said = |text: &Option<Spanned<String>>| {
        text.as_ref().map_or_else(String::new, |it| it.get_ref().trim().to_owned())
    };
    let privacy = Privacy {
        operator: said(&written.privacy.operator),
        contact: said(&written.privacy.contact),
        retention: said(&written.privacy.retention),
    };
    if it.found.is_empty() {
        return Ok(Config {
            server,
            data_dir,
            master,
            timezone,
            late,
            platforms,
            queues,
            recurring,
            engine,
            egress_allow,
            limits,
            log,
            privacy,
        });
    }
    it.found.sort_by_key(|(start, _)| *start);
    Err(ConfigError::Faults {
        path: path.to_owned(),
        faults: it.found.into_iter().map(|(_, fault)| fault).collect(),
    })
}

/// UTC needs no database: it is what a time without a zone means in RFC 3339.
fn utc() -> Zone {
    Zone { name: "UTC".to_owned(), rules: jiff::tz::TimeZone::UTC }
}

fn zone(text: &str) -> Result<Zone, Wrong> {
    Zone::named(text).map_err(|error| Wrong(error.to_string(), error.hint()))
}

fn some_path(base: &Path, text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        Err(wrong("the path is empty", "name a file or directory"))
    } else {
        Ok(base.join(text))
    }
}

fn network(text: &str) -> Result<IpNet, Wrong> {
    let single = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| single()).map_err(|_| {
        wrong(
            format!("`{text}` is not an address range"),
            "write a range like `10.0.0.0/8` or `127.0.0.1/32`",
        )
    })
}

/// Whether a URL points at this machine itself.
fn on_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn web_address(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text)
        .ok()
        .filter(|it| it.has_host() && ["http", "https"].contains(&it.scheme()))
        .ok_or_else(|| {
            wrong(format!("`{text}` is not a web address"), "write one like `https://post.example.org`")
        })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "an address here carries no user name or password",
            "remove what stands before the `@`",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(format!("`{text}` has a query or fragment"), "end the address before `?` or `#`"));
    }
    if url.scheme() == "http" && !on_loopback(&url) {
        return Err(wrong(
            format!("`{text}` is plain http on an address that is not loopback"),
            "use https; http is accepted for 127.0.0.1, [::1] and localhost only",
        ));
    }
    Ok(url)
}

fn public_url(text: &str) -> Result<Url, Wrong> {
    let url = web_address(text)?;
    if url.path() != "/" {
        return Err(wrong(
            format!("`{text}` has a path"),
            "give only scheme, host and port: the addresses below it are fixed",
        ));
    }
    Ok(url)
}

/// Letters that are safe as a name in addresses, commands and the store.
fn plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

impl Check<'_> {
    fn fault(&mut self, span: &Range<usize>, Wrong(message, hint): Wrong, show: Show) {
        self.found.push((span.start, Fault::at(self.text, span, message, hint, show)));
    }

    /// A value's meaning, or the default if it is not there or wrong.
    fn value<T, U>(
        &mut self,
        written: Option<&Spanned<T>>,
        default: U,
        read: impl FnOnce(&T) -> Result<U, Wrong>,
    ) -> U {
        let Some(written) = written else { return default };
        match read(written.get_ref()) {
            Ok(value) => value,
            Err(wrong) => {
                self.fault(&written.span(), wrong, Show::Line);
                default
            }
        }
    }

    fn one_of<T: Copy>(&mut self, written: Option<&Spanned<String>>, default: T, choices: &[(&str, T)]) -> T {
        self.value(written, default, |text| {
            choices.iter().find(|(name, _)| name == text).map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                wrong(format!("`{text}` is not one of the choices"), format!("write {}", names.join(" or ")))
            })
        })
    }

    fn networks(&mut self, written: Option<&[Spanned<String>]>) -> Vec<IpNet> {
        let mut ranges = Vec::new();
        for item in written.unwrap_or_default() {
            match network(item.get_ref()) {
                Ok(range) => ranges.push(range),
                Err(wrong) => self.fault(&item.span(), wrong, Show::Line),
            }
        }
        ranges
    }

    fn not_yet(&mut self, written: &ConfigFile) {
        let sections =
            [("[content]", &written.content), ("[notify]", &written.notify), ("[ai]", &written.ai)];
        for (name, section) in sections {
            if let Some(section) = section {
                let message = format!("`{name}` is not available in this version");
                self.fault(
                    &section.span(),
                    wrong(message, "remove the section; nothing else needs it"),
                    Show::Line,
                );
            }
        }
    }

    fn server(&mut self, written: &ServerFile) -> Server {
        let faults_before = self.found.len();
        let trusted_proxies = self.networks(written.trusted_proxies.as_deref());
        let behind_proxy = !trusted_proxies.is_empty() || self.found.len() > faults_before;
        let listen = self.value(written.listen.as_ref(), SocketAddr::from(([127, 0, 0, 1], 8420)), |text| {
            let address: SocketAddr = text.parse().map_err(|_| {
                wrong(
                    format!("`{text}` is not an address and port"),
                    "write one like `127.0.0.1:8420` or `[::1]:8420`",
                )
            })?;
            if !address.ip().is_loopback() && !behind_proxy {
                return Err(wrong(
                    format!("`{text}` would serve plain http to the network"),
                    "listen on `127.0.0.1:8420` behind a TLS proxy, or name the proxy in `trusted_proxies`",
                ));
            }
            Ok(address)
        });
        // Without the scope that an IPv6 address may carry (`%eth0`): URLs have no place for it.
        let plain = SocketAddr::new(listen.ip(), listen.port());
        let local = Url::parse(&format!("http://{plain}"));
        let local = local.unwrap_or_else(|_| unreachable!("an address and port make a URL"));
        let public_url = match written.public_url.as_ref() {
            Some(url) => self.value(Some(url), local, |text| public_url(text)),
            // Without a public name the listener's own address serves, as long as it is loopback.
            None if listen.ip().is_loopback() => local,
            None => {
                let span = written.listen.as_ref().map_or(0..0, Spanned::span);
                let hint = "add `public_url = \"https://…\"`, the address under which the proxy is reached";
                self.fault(
                    &span,
                    wrong("a listener that is not on loopback needs `public_url`", hint),
                    Show::Line,
                );
                local
            }
        };
        let mut verification_files = BTreeMap::new();
        for (name, content) in written.verification_files.iter().flatten() {
            let text = name.get_ref();
            let safe = text.len() <= 128
                && !text.starts_with('.')
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !["privacy", "terms", "data-deletion", "healthz", ""].contains(&text.as_str());
            if safe {
                verification_files.insert(text.clone(), content.clone());
            } else {
                let message = format!("`{text}` cannot be served at the root");
                let hint = "use the file name the network gave you: letters, digits, `.`, `_`, `-`, and no page of ours";
                self.fault(&name.span(), wrong(message, hint), Show::Line);
            }
        }
        let base = self.base;
        let control_socket = self.value(written.control_socket.as_ref(), CONTROL_SOCKET.into(), |text| {
            let path = some_path(base, text)?;
            let length = path.as_os_str().len();
            if length > SOCKET_PATH_MAX {
                let message =
                    format!("the path of the socket has {length} bytes; the system takes {SOCKET_PATH_MAX}");
                return Err(wrong(message, "choose a shorter path, e.g. below `/run`"));
            }
            Ok(path)
        });
        Server { listen, public_url, trusted_proxies, verification_files, control_socket }
    }

    /// A secret's source, its path resolved.
    fn secret(&mut self, written: Option<&Spanned<SecretWritten>>) -> Option<SecretSource> {
        self.secret_in(
            written,
            "write `{ file = \"…\" }`, `{ credential = \"name\" }` or `{ env = \"NAME\" }`",
        )
    }

    /// The same with the forms that this one may have.
    fn secret_in(&mut self, written: Option<&Spanned<SecretWritten>>, forms: &str) -> Option<SecretSource> {
        let written = written?;
        let problem = match written.get_ref() {
            SecretWritten::Source(SecretSource::File(path)) if !path.as_os_str().is_empty() => {
                return Some(SecretSource::File(self.base.join(path)));
            }
            SecretWritten::Source(SecretSource::Credential(name))
                if !name.is_empty() && !name.contains('/') && name != "." && name != ".." =>
            {
                return Some(SecretSource::Credential(name.clone()));
            }
            SecretWritten::Source(SecretSource::Env(name))
                if !name.is_empty() && !name.contains(['=', '\0']) =>
            {
                return Some(SecretSource::Env(name.clone()));
            }
            SecretWritten::Source(_) => "the source of this secret has no usable name".to_owned(),
            SecretWritten::Value => "a secret is never a value in this file".to_owned(),
            SecretWritten::Odd(Some(key)) => format!("`{key}` is not a source of secrets"),
            SecretWritten::Odd(None) => "a secret has exactly one source".to_owned(),
        };
        self.fault(&written.span(), wrong(problem, forms), Show::Key);
        None
    }

    fn master(&mut self, written: Option<&Spanned<SecretWritten>>) -> SecretSource {
        let default = SecretSource::Credential("sendoff-master-key".to_owned());
        let hint = "write `{ file = \"…\" }` (mode 0600) or `{ credential = \"name\" }`";
        match (self.secret_in(written, hint), written) {
            (Some(SecretSource::Env(_)), Some(written)) => {
                let message = "the master key is never taken from the environment: other programs of this user can read it there";
                self.fault(&written.span(), wrong(message, hint), Show::Key);
                default
            }
            (source, _) => source.unwrap_or(default),
        }
    }

    fn queues(&mut self, written: &[Spanned<QueueFile>], default_zone: &Zone) -> Vec<Queue> {
        let mut names = BTreeSet::new();
        let mut queues = Vec::new();
        for table in written {
            let queue = table.get_ref();
            let missing = |it: &mut Self, key: &str, example: &str| {
                let message = format!("this queue has no `{key}`");
                it.fault(&table.span(), wrong(message, format!("add `{key} = {example}`")), Show::Line);
            };
            if queue.name.is_none() {
                missing(self, "name", "\"mornings\"");
            }
            let name = self.value(queue.name.as_ref(), String::new(), |text| {
                if !plain_name(text) {
                    let hint = "use 1 to 64 characters of a-z, 0-9, `.`, `_`, `-`";
                    return Err(wrong(format!("`{text}` is not a queue name"), hint));
                }
                if !names.insert(text.clone()) {
                    return Err(wrong(format!("there are two queues named `{text}`"), "rename one of them"));
                }
                Ok(text.clone())
            });
            if queue.cron.is_none() {
                missing(self, "cron", "[\"0 9 * * MON-FRI\"]");
            }
            if queue.accounts.is_none() {
                missing(self, "accounts", "[\"x:acme\"]");
            }
            let cron = self.list(queue.cron.as_ref(), "cron", |text| {
                SlotPattern::new(text).map_err(|error| Wrong(error.to_string(), error.hint()))
            });
            let accounts = self.list(queue.accounts.as_ref(), "accounts", |text| {
                let hint = "write accounts as `account list` shows them, like `x:acme`";
                text.parse::<AccountName>().map_err(|error| wrong(error.message, hint))
            });
            let timezone = self.value(queue.timezone.as_ref(), default_zone.clone(), |text| zone(text));
            let jitter = self.value(queue.jitter.as_ref(), SignedDuration::ZERO, |text| span(text));
            queues.push(Queue { name, cron, timezone, accounts, jitter });
        }
        queues
    }

    /// A list that must not be empty nor name anything twice.
    fn list<T: PartialEq>(
        &mut self,
        written: Option<&Spanned<Vec<Spanned<String>>>>,
        key: &str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let Some(written) = written else { return Vec::new() };
        if written.get_ref().is_empty() {
            self.fault(&written.span(), wrong(format!("`{key}` is empty"), "name at least one"), Show::Line);
        }
        let mut items = Vec::new();
        for item in written.get_ref() {
            match read(item.get_ref()) {
                Ok(value) if items.contains(&value) => {
                    let message = format!("`{}` stands here twice", item.get_ref());
                    self.fault(&item.span(), wrong(message, "remove one of them"), Show::Line);
                }
                Ok(value) => items.push(value),
                Err(wrong) => self.fault(&item.span(), wrong, Show::Line),
            }
        }
        items
    }

    fn engine(&mut self, written: &EngineFile) -> Engine {
        let usual = Engine::default();
        let scale = |value: &f64| {
            if value.is_finite() && *value > 0.0 && *value <= 1000.0 {
                Ok(*value)
            } else {
                Err(wrong(
                    format!("`{value}` is not a usable factor"),
                    "write a number above 0 and up to 1000; 1.0 is the default",
                ))
            }
        };
        Engine {
            settle: self.value(written.settle.as_ref(), usual.settle, |it| span(it)),
            absence_gap: self.value(written.absence_gap.as_ref(), usual.absence_gap, |it| span(it)),
            lane_spacing: self.value(written.lane_spacing.as_ref(), usual.lane_spacing, |it| span(it)),
            catch_up_spacing: self
                .value(written.catch_up_spacing.as_ref(), usual.catch_up_spacing, |it| span(it)),
            key_wait: self.value(written.key_wait.as_ref(), usual.key_wait, |it| span(it)),
            hold_after: self.value(written.hold_after.as_ref(), usual.hold_after, |it| duration(it)),
            give_up_after: self.value(written.give_up_after.as_ref(), usual.give_up_after, |it| duration(it)),
            poll_scale: self.value(written.poll_scale.as_ref(), usual.poll_scale, scale),
            backoff_scale: self.value(written.backoff_scale.as_ref(), usual.backoff_scale, scale),
        }
    }

    fn limits(&mut self, written: &LimitsFile) -> Limits {
        let usual = Limits::default();
        let small = |value: &i64| match u32::try_from(*value) {
            Ok(value @ 1..=1_000_000) => Ok(value),
            _ => Err(wrong(format!("`{value}` is out of range"), "write a number from 1 to 1000000")),
        };
        let large = |value: &i64| match u64::try_from(*value) {
            Ok(value @ 1..) => Ok(value),
            _ => Err(wrong(format!("`{value}` is out of range"), "write a number above 0")),
        };
        let connections = self.value(written.connections.as_ref(), usual.connections, small);
        let limits = Limits {
            connections,
            per_address: self.value(written.per_address.as_ref(), usual.per_address.min(connections), small),
            callbacks_per_minute: self.value(
                written.callbacks_per_minute.as_ref(),
                usual.callbacks_per_minute,
                small,
            ),
            media_max_bytes: self.value(written.media_max_bytes.as_ref(), usual.media_max_bytes, large),
            media_max_pixels: self.value(written.media_max_pixels.as_ref(), usual.media_max_pixels, large),
            media_max_duration: self.value(
                written.media_max_duration.as_ref(),
                usual.media_max_duration,
                |it| duration(it),
            ),
        };
        if let Some(own) = written.per_address.as_ref().filter(|_| limits.per_address > limits.connections) {
            let message = format!(
                "one address may not have more connections than all together ({})",
                limits.connections
            );
            self.fault(&own.span(), wrong(message, "lower `per_address` or raise `connections`"), Show::Line);
        }
        limits
    }

    fn log(&mut self, written: &LogFile) -> Log {
        let levels = ["error", "warn", "info", "debug", "trace"].map(|it| (it, it));
        Log {
            level: self.one_of(written.level.as_ref(), "info", &levels),
            format: self.one_of(
                written.format.as_ref(),
                LogFormat::Text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            ),
        }
    }
}

fn span(text: &str) -> Result<SignedDuration, Wrong> {
    parse_span(text).map_err(|error| Wrong(error.to_string(), None))
}

fn duration(text: &str) -> Result<SignedDuration, Wrong> {
    parse_duration(text).map_err(|error| Wrong(error.to_string(), None))
}
