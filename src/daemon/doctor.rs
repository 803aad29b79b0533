//! Faults of the set-up, found before the first post meets them.
//!
//! What can be seen from here is looked at: the configuration, what is stored of the accounts, and the
//! installation's own public address, fetched as a network would fetch it. Of each configured network
//! one address is called without a token, to know that it is reached and what time it is there. What
//! only the network's console shows is named, and where it stands there.

mod apps;

use bytes::Bytes;
use futures_util::future::join_all;
use url::Url;

use self::apps::{callbacks, doubt, is_stand_in, only_there, place, tiktok};
use super::connect::redirect_uri;
use super::shared::Shared;
use super::{errors, inspect, preflight, status, tokens, versions};
use crate::config::secret::SecretSource;
use crate::config::{Config, TikTokApp};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::PlatformName;
use crate::domain::kind::Kind;
use crate::engine::WaitFor;
use crate::facts::linkedin;
use crate::http::{self as outbound, ExchangeError};
use crate::store::accounts;

/// A clock that is off by more seconds than these is worth a word: sign-ins are stamped with it.
const CLOCK_WORD: i64 = 5;
/// By more seconds than these, posts leave at a wrong time and codes have ended before they arrive.
const CLOCK_FAULT: i64 = 60;

use m::FindingResult::{Fault, Ok as Fine, Unknown, Warning};

/// Looks at everything, or at one network.
pub(super) async fn examine(shared: &Shared, ask: &r::Doctor) -> ApiResult<m::Diagnosis> {
    let only =
        ask.platform.as_deref().map(str::parse::<PlatformName>).transpose().map_err(errors::bad_name)?;
    let config = shared.config();
    let all = shared.store.read(accounts::list).map_err(errors::store)?;
    let mut found = Findings::default();
    if only.is_none() {
        host(shared, &config, &mut found);
    }
    public(shared, &config, &mut found).await;
    let concerned = |it: &PlatformName| match only {
        Some(only) => *it == only,
        None => {
            config.platform(*it).client_id.is_some()
                || all.iter().any(|account| account.name.platform() == *it)
        }
    };
    let platforms: Vec<_> = PlatformName::ALL.into_iter().filter(concerned).collect();
    let reached = join_all(platforms.iter().map(|it| reach(shared, &config, *it))).await;
    for (platform, reached) in platforms.into_iter().zip(reached) {
        network(shared, &config, platform, &mut found).await;
        found.0.extend(reached);
        for account in all.iter().filter(|it| it.name.platform() == platform) {
            connection(shared, account, &mut found);
            found.0.extend(token(shared, account).await);
        }
    }
    let ok = found.0.iter().all(|it| it.result != Fault);
    Ok(m::Diagnosis { ok, findings: found.0 })
}

#[derive(Default)]
struct Findings(Vec<m::Finding>);

impl Findings {
    #[allow(clippy::needless_pass_by_value)] // a name is given as it is at hand
    fn put(
        &mut self,
        about: impl ToString,
        check: &str,
        result: m::FindingResult,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.push(finding(about, check, result, message, hint));
    }
}

#[allow(clippy::needless_pass_by_value)] // as above
fn finding(
    about: impl ToString,
    check: &str,
    result: m::FindingResult,
    message: impl Into<String>,
    hint: Option<String>,
) -> m::Finding {
    m::Finding { about: about.to_string(), check: check.into(), result, message: message.into(), hint }
}

/// Clock, key, disk.
fn host(shared: &Shared, config: &Config, found: &mut Findings) {
    preflight::clock(shared, shared.moment());
    match shared.time.alert(shared.now()) {
        Some(it) => found.put("host", "clock", Fault, it.message, it.hint),
        None => found.put("host", "clock", Fine, "the clock has not jumped or gone back", None),
    }
    match key(&config.master) {
        Ok(message) => found.put("host", "key", Fine, message, None),
        Err((message, hint)) => found.put("host", "key", Fault, message, Some(hint)),
    }
    match shared.disk.alert() {
        Some(it) => found.put("host", "disk", Fault, it.message, it.hint),
        None => found.put("host", "disk", Fine, "there is room on the disk, and the ballast stands", None),
    }
}

/// Whether the next start will find the master key, and nobody else can read it.
fn key(source: &SecretSource) -> Result<String, (String, String)> {
    use std::os::unix::fs::MetadataExt as _;
    match source {
        SecretSource::File(path) => match std::fs::metadata(path) {
            Ok(it) if it.mode() & 0o077 != 0 => Err((
                format!("others may read the master key `{}` (mode {:o})", path.display(), it.mode() & 0o777),
                format!("chmod 600 {}", path.display()),
            )),
            Ok(_) => Ok(format!("the master key is `{}`, and only its owner reads it", path.display())),
            Err(error) => Err((
                format!("the master key `{}` cannot be found again: {error}", path.display()),
                "put it back before the daemon is started anew; without it no account can be used".into(),
            )),
        },
        SecretSource::Credential(_) | SecretSource::Env(_) => Ok(format!("the master key is {source}")),
    }
}

/// The installation's public address, called as a network would call it.
async fn public(shared: &Shared, config: &Config, found: &mut Findings) {
    let url = &config.server.public_url;
    let shown = shown(url);
    let health = match fetch(shared, &at(url, "/healthz")).await {
        Ok(answer) if answer.status == 200 && answer.body.trim() == "ok" => None,
        Ok(answer) => Some((
            format!("`{shown}` is answered by something else ({})", answer.status),
            "let the proxy pass everything to `listen` of [server], also `/healthz`".to_owned(),
        )),
        Err(error) => Some((
            format!("`{shown}` cannot be reached: {error}"),
            "check the name, the certificate and the proxy; on a machine that cannot call its own public \
             address, try `/healthz` from elsewhere"
                .to_owned(),
        )),
    };
    match health {
        Some((message, hint)) => found.put("host", "public_url", Fault, message, Some(hint)),
        None if url.scheme() == "https" => {
            found.put(
                "host",
                "public_url",
                Fine,
                format!("`{shown}` is answered, with a valid certificate"),
                None,
            );
        }
        None => found.put(
            "host",
            "public_url",
            Warning,
            format!("`{shown}` is answered; no network reaches it"),
            Some(
                "enough for X, LinkedIn, Facebook and Bluesky; Instagram, TikTok's photos and Meta's \
                 callbacks want `public_url` to be an https address"
                    .into(),
            ),
        ),
    }
    for (name, content) in &config.server.verification_files {
        let page = at(url, &format!("/{name}"));
        match fetch(shared, &page).await {
            Ok(it) if it.status == 200 && it.body.trim() == content.trim() => {
                found.put("host", "verification", Fine, format!("`{page}` is served as configured"), None);
            }
            Ok(it) => found.put(
                "host",
                "verification",
                Fault,
                format!("`{page}` answers {} with other content than configured", it.status),
                Some(
                    "restart the daemon after a change of `verification_files`; let the proxy pass it".into(),
                ),
            ),
            Err(error) => found.put(
                "host",
                "verification",
                Fault,
                format!("`{page}` cannot be fetched: {error}"),
                Some("the network that asked for this file will not find it either".into()),
            ),
        }
    }
    if config.privacy.operator.is_empty() || config.privacy.contact.is_empty() {
        found.put(
            "host",
            "legal",
            Warning,
            "`/privacy` and `/terms` name nobody",
            Some("fill in `operator` and `contact` of [privacy]: the networks ask for these pages".into()),
        );
    }
}

/// The app, its addresses and its version.
async fn network(shared: &Shared, config: &Config, platform: PlatformName, found: &mut Findings) {
    let settings = config.platform(platform);
    let kinds: &[Option<Kind>] = match platform {
        PlatformName::LinkedIn if settings.organization.is_some() && settings.client_id.is_some() => {
            &[Some(Kind::Member), Some(Kind::Organization)]
        }
        PlatformName::LinkedIn if settings.organization.is_some() => &[Some(Kind::Organization)],
        PlatformName::LinkedIn => &[Some(Kind::Member)],
        _ => &[None],
    };
    let redirect = redirect_uri(&config.server.public_url, platform);
    for (n, kind) in kinds.iter().enumerate() {
        let whose = kind.map_or_else(String::new, |it| format!(" of the {} accounts", it.as_str()));
        let provider = match shared.provider_for(platform, *kind) {
            Ok(provider) => provider,
            Err(error) => {
                found.put(platform, "app", Fault, error.to_string(), error.hint());
                continue;
            }
        };
        if platform == PlatformName::X && settings.client_secret.is_none() {
            let message = "the id is there, and no secret: X takes it for a public client, so the app must be of \
                           the type Native App or Single Page App";
            found.put(platform, "app", Fine, message, None);
        } else if platform != PlatformName::Bluesky {
            found.put(platform, "app", Fine, format!("id and secret{whose} are there"), None);
        }
        let Some(place) = place(config, platform) else { continue };
        // One address serves both kinds.
        if n > 0 {
            continue;
        }
        if let Err(error) = provider.check_address(&redirect) {
            found.put(platform, "redirect", Fault, error.to_string(), error.hint());
            continue;
        }
        let (result, doubt) = doubt(platform, config);
        let message = format!("the app must know the address `{redirect}`, letter by letter{doubt}");
        found.put(platform, "redirect", result, message, Some(place.to_owned()));
    }
    if platform == PlatformName::Bluesky && config.server.public_url.scheme() == "https" {
        const HINT: &str = "Bluesky's servers read it at every sign-in: let the proxy pass it";
        let page = at(&config.server.public_url, "/oauth/bluesky/client.json");
        match fetch(shared, &page).await {
            Ok(it) if it.status == 200 => {
                found.put(platform, "app", Fine, format!("`{page}` is served: no app is needed"), None);
            }
            Ok(it) => found.put(
                platform,
                "app",
                Fault,
                format!("`{page}` answers {}", it.status),
                Some(HINT.into()),
            ),
            Err(error) => found.put(platform, "app", Fault, format!("`{page}`: {error}"), Some(HINT.into())),
        }
    }
    if let Some(it) = versions::of(config, platform, shared.now()) {
        let result = if it.is_over { Fault } else { Warning };
        found.put(platform, "version", result, it.message, Some(it.hint));
    } else if let Some(version) = &settings.api_version {
        let unknown = platform == PlatformName::LinkedIn && !linkedin::is_listed(version);
        let message = match versions::until(config, platform) {
            _ if unknown => format!("whether LinkedIn serves a version {version} is not known here"),
            Some(end) => format!("version {version} is served until {}", end.trim_start_matches("on ")),
            None => format!("version {version} has no end in sight"),
        };
        let hint = unknown.then(|| {
            let newest = linkedin::VERSIONS.last().map_or("", |it| it.0);
            format!(
                "not every month has one: set `linkedin_version` in [platforms.linkedin] to one that LinkedIn's \
                 page on versions lists, e.g. `{newest}`, and reload"
            )
        });
        found.put(platform, "version", if unknown { Warning } else { Fine }, message, hint);
    }
    callbacks(config, platform, found);
    for (message, hint) in only_there(config, platform) {
        found.put(platform, "mode", Unknown, *message, Some((*hint).to_owned()));
    }
    if platform == PlatformName::TikTok {
        tiktok(config, found);
    }
    let desktop = settings.app_kind == TikTokApp::Desktop && !is_stand_in(config, platform);
    if platform == PlatformName::TikTok && !desktop && config.server.verification_files.is_empty() {
        found.put(
            platform,
            "verification",
            Warning,
            "no verification file is configured: photos are refused (`url_ownership_unverified`)",
            Some(
                "URL properties, Verify, URL prefix; then `verification_files` of [server]. Videos need none, \
                 nor does a domain that is verified by DNS"
                    .into(),
            ),
        );
    }
}

/// Whether a network is reached from this host, and how far its clock and ours are apart.
async fn reach(shared: &Shared, config: &Config, platform: PlatformName) -> Vec<m::Finding> {
    let endpoints = &config.platform(platform).endpoints;
    let base = ["api", "graph", "plc"].iter().find_map(|key| endpoints.get(key));
    let Some(url) = base.and_then(|it| Url::parse(it).ok()) else { return Vec::new() };
    let host = url.host_str().unwrap_or_default().to_owned();
    let answer = match fetch(shared, &url).await {
        Ok(answer) => answer,
        Err(error) => {
            return vec![finding(
                platform,
                "reach",
                Fault,
                format!("`{host}` cannot be reached: {error}"),
                Some(
                    "check the name servers, the firewall and, behind a proxy of your own, its certificate"
                        .into(),
                ),
            )];
        }
    };
    let mut found = vec![finding(platform, "reach", Fine, format!("`{host}` is reached"), None)];
    found.extend(answer.skew.and_then(|it| clock(platform, &host, it)));
    found
}

/// What a network's clock says against ours; `skew` is theirs minus ours, in seconds.
fn clock(platform: PlatformName, host: &str, skew: i64) -> Option<m::Finding> {
    let off = skew.abs();
    (off > CLOCK_WORD).then(|| {
        let way = if skew > 0 { "behind" } else { "ahead of" };
        finding(
            platform,
            "clock",
            if off > CLOCK_FAULT { Fault } else { Warning },
            format!("this host's clock is {off} s {way} `{host}`'s"),
            Some("let a service keep the time: `timedatectl set-ntp true`".into()),
        )
    })
}

/// What is stored of an account, and what holds it back.
fn connection(shared: &Shared, account: &Account, found: &mut Findings) {
    let name = &account.name;
    let again = Some(account.connect_again());
    match (account.state, status::ends_soon(account, shared.now())) {
        (AccountState::NeedsReconnect, _) => {
            let why = account.reason.as_deref().unwrap_or("its grant has ended");
            found.put(name, "connection", Fault, format!("must be connected again: {why}"), again.clone());
        }
        (AccountState::Paused, _) => {
            let hint = Some(format!("sendoff account resume {name}"));
            found.put(name, "connection", Warning, "is paused: nothing of it is sent", hint);
        }
        (AccountState::Ready, Some(days)) => {
            let message = format!("the connection ends within {days} d, and cannot be renewed");
            found.put(name, "connection", Warning, message, again.clone());
        }
        (AccountState::Ready, None) => {
            let mut hint = None;
            let until = match account.ends_at() {
                // Each renewal may put its end off.
                Some(end) if account.can_refresh && name.platform() == PlatformName::TikTok => {
                    format!("connected and renewed by itself; unrenewed until {}", end.strftime("%Y-%m-%d"))
                }
                Some(end) if account.can_refresh => {
                    let is_ours = shared.config().server.public_url.scheme() != "https";
                    hint = (is_ours && name.platform() == PlatformName::Bluesky).then(|| {
                        "with an https `public_url`, an account that is connected again renews itself for good".into()
                    });
                    let end = end.strftime("%Y-%m-%d");
                    format!("connected and renewed by itself until {end}; then it must be connected again")
                }
                None if account.can_refresh => "connected and renewed by itself".to_owned(),
                Some(end) => format!("connected until {}", end.strftime("%Y-%m-%d")),
                None => "connected, without a known end".to_owned(),
            };
            found.put(name, "connection", Fine, until, hint);
        }
    }
    if account.missing_scopes.is_empty() {
        found.put(
            name,
            "scopes",
            Fine,
            format!("{} scopes granted, none missing", account.scopes.len()),
            None,
        );
    } else {
        let missing = account.missing_scopes.join("`, `");
        found.put(name, "scopes", Warning, format!("not granted: `{missing}`"), again);
    }
    for wait in shared.waits() {
        let its = match &wait.scope {
            WaitFor::Account(id) => *id == account.id,
            WaitFor::App(platform, server) => {
                *platform == name.platform() && (server.is_none() || *server == account.server)
            }
        };
        if its {
            let message = format!(
                "nothing is sent until {}: {}",
                wait.until.strftime("%F %T UTC"),
                wait.reason.message
            );
            found.put(name, "held_back", Warning, message, wait.reason.hint);
        }
    }
}

/// What the network itself says of an account's token, where it can be asked (LinkedIn, Meta).
async fn token(shared: &Shared, account: &Account) -> Option<m::Finding> {
    if account.state == AccountState::NeedsReconnect {
        return None;
    }
    let title = account.name.platform().title();
    let say = |result, message: String, hint| Some(finding(&account.name, "token", result, message, hint));
    let grant = tokens::load(shared, account.id).ok()?;
    let now = shared.now();
    // One that has no app any more is told above.
    match inspect::ask(shared, account, &grant, now).await? {
        Ok(it) if it.is_valid => {
            let word = it.said.unwrap_or_else(|| "valid".into());
            let until = it.expires_at.map_or_else(String::new, |at| format!(" until {}", at.strftime("%F")));
            let reads = it.data_access_expires_at;
            let reads = reads
                .map_or_else(String::new, |at| format!(", and lets it read until {}", at.strftime("%F")));
            say(Fine, format!("{title} calls the token `{word}`{until}{reads}"), None)
        }
        Ok(it) => {
            let word = it.said.unwrap_or_else(|| "not valid".into());
            let message = format!("{title} calls the token `{word}`");
            if inspect::is_fresh(&grant, now) {
                let hint = "it was issued minutes ago, and may not be known everywhere: ask again in five";
                return say(Unknown, message, Some(hint.into()));
            }
            say(Fault, message, Some(account.connect_again()))
        }
        Err(error) => {
            let hint = "it says nothing of the token; the next post shows whether it is good";
            say(Unknown, format!("{title} does not say how the token stands: {error}"), Some(hint.into()))
        }
    }
}

struct Answered {
    status: u16,
    body: String,
    /// Their clock minus ours, in seconds.
    skew: Option<i64>,
}

async fn fetch(shared: &Shared, url: &Url) -> Result<Answered, ExchangeError> {
    let request = http::Request::get(url.as_str())
        .body(Bytes::new())
        .map_err(|error| ExchangeError::NotSent(error.to_string()))?;
    let answer = shared.wire().fixed().exchange(request).await?;
    Ok(Answered {
        status: answer.status().as_u16(),
        skew: outbound::skew(answer.headers(), shared.now()),
        body: String::from_utf8_lossy(answer.body()).into_owned(),
    })
}

/// A path of the public address, which has none of its own.
fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let said = |skew| clock(PlatformName::X, "api.x.com", skew).map(|it| (it.result, it.message));
        assert_eq!(said(0), None);
        assert_eq!(said(-5), None);
        let ahead = "this host's clock is 6 s ahead of `api.x.com`'s".to_owned();
        assert_eq!(said(-6), Some((Warning, ahead)));
        let behind = "this host's clock is 61 s behind `api.x.com`'s".to_owned();
        assert_eq!(said(61), Some((Fault, behind)));
    }
}
