//! Connecting an account: from the terminal's request over the browser's trip to a stored grant.
//!
//! The daemon keeps a conversation per connect: its events so far, for the terminal to read, and
//! what was found, until a person confirms it. Nothing is stored before that; a refusal gives the
//! tokens back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use url::Url;

use super::keep::{free_name, give_back, keep, put_back};
use super::shared::Shared;
use super::wire::fill;
use super::{errors, renewal, trail};
use crate::auth;
use crate::auth::flows::{FlowId, Flows, Outcome, Progress, Purpose, Wanted};
use crate::auth::{Begin, CallbackParams, Connected, Tools};
use crate::control::api::{ApiError, ApiResult, Caller};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::ids::{AccountName, PlatformName};
use crate::domain::kind::Kind;
use crate::store::accounts;

/// X's authorization codes live this long (docs.x.com, OAuth 2.0 authorization code).
const X_CODE_SECONDS: u32 = 30;
/// Where an account without a named server is looked for.
const BLUESKY_DEFAULT: &str = "https://bsky.social";

/// All running connects.
#[derive(Default)]
pub(super) struct Connects {
    flows: Mutex<Flows>,
    /// One grant is stored at a time: two connects may bring the same account.
    pub(super) keeping: tokio::sync::Mutex<()>,
    talks: Mutex<HashMap<String, Arc<Talk>>>,
}

/// One conversation.
pub(super) struct Talk {
    pub(super) flow: FlowId,
    /// Who began it, and where its end is noted.
    by: Caller,
    shared: Weak<Shared>,
    events: watch::Sender<Said>,
    found: Mutex<Vec<Connected>>,
    pub(super) wanted: Wanted,
    /// The name asked for; a reconnect whose account has gone meanwhile still uses it.
    pub(super) name: Option<AccountName>,
    yes: bool,
    select: Vec<String>,
}

/// What a conversation has said so far, and whether that was all.
#[derive(Default)]
struct Said {
    events: Vec<m::ConnectEvent>,
    over: bool,
}

impl Talk {
    pub(super) fn found(&self) -> std::sync::MutexGuard<'_, Vec<Connected>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was found, so that nobody else stores it or gives it back.
    pub(super) fn take(&self) -> Vec<Connected> {
        std::mem::take(&mut self.found())
    }

    pub(super) fn say(&self, event: m::ConnectEvent) {
        let end = match &event {
            m::ConnectEvent::Connected { account } => Some((account.account.clone(), "connected".to_owned())),
            m::ConnectEvent::Failed { error } => {
                Some((self.wanted.platform.to_string(), trail::connect_outcome(&error.code)))
            }
            m::ConnectEvent::Link { .. } | m::ConnectEvent::Found { .. } => None,
        };
        let mut said_it = false;
        self.events.send_modify(|said| {
            if !said.over {
                said.over = matches!(event, m::ConnectEvent::Failed { .. });
                said.events.push(event);
                said_it = true;
            }
        });
        if let (true, Some((subject, outcome)), Some(shared)) = (said_it, end, self.shared.upgrade()) {
            trail::note(&shared, Some(self.by), "account.connect", &subject, &outcome);
        }
    }

    /// Every account that was chosen is stored: there is nothing more to say.
    pub(super) fn close(&self) {
        self.events.send_modify(|said| said.over = true);
    }

    fn fail(&self, code: &str, message: String, hint: Option<String>) {
        let error = m::ErrorDetail {
            code: code.to_owned(),
            message,
            hint,
            problems: Vec::new(),
            targets: Vec::new(),
        };
        self.say(m::ConnectEvent::Failed { error });
    }
}

impl Connects {
    pub(super) fn flows(&self) -> std::sync::MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn talks(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Talk>>> {
        self.talks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a conversation is still on the list.
    pub(super) fn has(&self, talk: &Talk) -> bool {
        self.talks().contains_key(&talk.flow.to_string())
    }

    pub(super) fn talk(&self, id: &str) -> ApiResult<Arc<Talk>> {
        self.talks().get(id).map(Arc::clone).ok_or_else(|| {
            ApiError::not_found("unknown_flow", "there is no such connect, or it has expired")
                .hint("begin again with `sendoff account connect`")
        })
    }

    /// Tells the terminal whose connect a refused arrival has just ended: it would wait in vain.
    pub(super) fn tell_refused(&self, now: jiff::Timestamp) {
        let flows = self.flows();
        for talk in self.talks().values() {
            if let Some(Progress::Ended(Outcome::Failed { code, message, hint })) =
                flows.progress(&talk.flow, now)
            {
                talk.fail(code, message.clone(), hint.clone());
            }
        }
    }

    /// Ends conversations whose time is over, and forgets those that ended. Gives back those that
    /// may still hold tokens nobody confirmed.
    pub(super) fn sweep(&self, now: jiff::Timestamp) -> Vec<Arc<Talk>> {
        let flows = self.flows();
        let mut over = Vec::new();
        self.talks().retain(|_, talk| {
            if flows.progress(&talk.flow, now).is_some() {
                return true;
            }
            talk.fail(
                "expired",
                "nobody finished the connect within ten minutes".into(),
                Some("begin again with `sendoff account connect`".into()),
            );
            over.push(Arc::clone(talk));
            false
        });
        drop(flows);
        self.flows().sweep(now);
        over
    }
}

/// The address networks send browsers back to.
pub(super) fn redirect_uri(public: &Url, platform: PlatformName) -> Url {
    let mut url = public.clone();
    url.set_path(&format!("/oauth/{platform}/callback"));
    url
}

/// Begins a conversation; its first event is the link.
pub(super) async fn start(shared: &Arc<Shared>, by: Caller, ask: r::Connect) -> ApiResult<m::ConnectStarted> {
    let platform: PlatformName = ask.platform.parse().map_err(errors::bad_name)?;
    // Before anything is opened: can this network be talked to at all, and from here?
    let refused = |message: String, hint: Option<String>| {
        let refusal = ApiError::bad_request("platform_not_ready", message);
        match hint {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    };
    let wanted = wanted(shared, platform, &ask)?;
    let provider = shared
        .provider_for(platform, wanted.kind)
        .map_err(|error| refused(error.to_string(), error.hint()))?;
    provider.check_app().map_err(|error| refused(error.to_string(), error.hint()))?;
    provider
        .check_address(&redirect_uri(&shared.config().server.public_url, platform))
        .map_err(|error| refused(error.to_string(), error.hint()))?;
    let name = asked_name(platform, &ask)?;
    let now = shared.now();
    let public = shared.config().server.public_url.clone();
    let redirect = redirect_uri(&public, platform);
    let expires_at = renewal::later(now, auth::flows::LIFETIME);
    let (flow, url) = if ask.paste {
        let flow =
            shared.connects.flows().open_at_terminal(wanted.clone(), now, &fill).map_err(errors::flow)?;
        let url = match begin(shared, &flow, &wanted).await {
            Ok(url) => url,
            Err(outcome) => {
                shared.connects.flows().cancel(&flow);
                return Err(errors::outcome(&outcome));
            }
        };
        (flow, url)
    } else {
        let opened = shared.connects.flows().open(wanted.clone(), now, &fill).map_err(errors::flow)?;
        let mut url = public;
        url.set_path(&format!("/connect/{}", *opened.ticket));
        (opened.flow, url)
    };
    let talk = Arc::new(Talk {
        flow: flow.clone(),
        by,
        shared: Arc::downgrade(shared),
        events: watch::Sender::new(Said::default()),
        found: Mutex::default(),
        wanted,
        name,
        yes: ask.yes,
        select: ask.select,
    });
    talk.say(m::ConnectEvent::Link {
        url: url.to_string(),
        expires_at,
        callback: Some(redirect.to_string()),
        code_lives_s: (platform == PlatformName::X).then_some(X_CODE_SECONDS),
    });
    let id = flow.to_string();
    shared.connects.talks().insert(id.clone(), talk);
    Ok(m::ConnectStarted { id })
}

fn asked_name(platform: PlatformName, ask: &r::Connect) -> ApiResult<Option<AccountName>> {
    ask.name.as_deref().map(|it| AccountName::new(platform, it)).transpose().map_err(errors::bad_name)
}

fn wanted(shared: &Shared, platform: PlatformName, ask: &r::Connect) -> ApiResult<Wanted> {
    let mut kind = kind(platform, ask)?;
    if ask.kind.is_some() && kind.is_none() {
        return Err(ApiError::bad_request(
            "unknown_kind",
            format!("{} has one kind of account", platform.title()),
        )
        .hint("leave `--kind` out"));
    }
    let mut instance = None;
    let mut handle = ask.handle.clone();
    if platform == PlatformName::Bluesky {
        match &ask.instance {
            Some(text) if text.contains("://") => {
                let url: Url = text.parse().map_err(|error| {
                    ApiError::bad_request("bad_instance", format!("`{text}` is not an address: {error}"))
                        .hint("write e.g. `--instance https://bsky.social`")
                })?;
                if !auth::bluesky::is_server(&url) {
                    let message = format!("`{text}` is no address of a server");
                    return Err(ApiError::bad_request("bad_instance", message).hint(
                        "write e.g. `--instance https://bsky.social`; http is for this machine alone",
                    ));
                }
                instance = Some(url);
            }
            Some(text) => handle = handle.or_else(|| Some(text.clone())),
            None if handle.is_none() => instance = BLUESKY_DEFAULT.parse().ok(),
            None => {}
        }
        if let Some(text) = handle.as_deref().filter(|it| !auth::bluesky::is_account(it)) {
            let message = format!("`{text}` is neither a handle nor a DID");
            return Err(ApiError::bad_request("bad_handle", message)
                .hint("write e.g. `--handle you.bsky.social`, as your profile shows it"));
        }
    } else if ask.handle.is_some() {
        let title = platform.title();
        return Err(ApiError::bad_request(
            "no_handle",
            format!("{title} asks in the browser whose account it is"),
        )
        .hint("leave `--handle` out"));
    } else if ask.instance.is_some() {
        return Err(ApiError::bad_request(
            "no_instance",
            format!("{} has no servers to choose from", platform.title()),
        )
        .hint("leave `--instance` out"));
    }
    let name = asked_name(platform, ask)?;
    let known = match &name {
        Some(name) => shared
            .store
            .read(|rx| accounts::by_name(rx, name)?.map(|id| accounts::need(rx, id)).transpose())
            .map_err(errors::store)?,
        None => None,
    };
    if let (Some(account), PlatformName::LinkedIn) = (&known, platform) {
        // Whom a known account speaks for is settled.
        kind = Some(Kind::of(account.tier.as_deref()));
    }
    let purpose = match known {
        Some(account) => Purpose::Reconnect { account: account.id, remote_id: account.remote_id },
        None => Purpose::New { name },
    };
    Ok(Wanted { platform, instance, handle, kind, purpose })
}

/// Whom the account is to speak for; a member, if it is not said.
fn kind(platform: PlatformName, ask: &r::Connect) -> ApiResult<Option<Kind>> {
    if platform != PlatformName::LinkedIn {
        return Ok(None);
    }
    let Some(word) = &ask.kind else { return Ok(Some(Kind::Member)) };
    Kind::from_word(word).map(Some).ok_or_else(|| {
        ApiError::bad_request("unknown_kind", format!("`{word}` is not a kind of account on LinkedIn"))
            .hint("write `--kind member` or `--kind organization`")
    })
}

/// Sends the network what it wants to know first, and returns its consent page.
pub(super) async fn begin(shared: &Arc<Shared>, flow: &FlowId, wanted: &Wanted) -> Result<Url, Outcome> {
    let provider = shared.provider_for(wanted.platform, wanted.kind).map_err(|error| Outcome::Failed {
        code: "platform_not_ready",
        message: error.to_string(),
        hint: error.hint(),
    })?;
    let wire = shared.wire();
    let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    let reconnect = match &wanted.purpose {
        Purpose::Reconnect { remote_id, .. } => Some(remote_id.clone()),
        Purpose::New { .. } => None,
    };
    let ask = Begin {
        redirect_uri: redirect_uri(&shared.config().server.public_url, wanted.platform),
        instance: wanted.instance.clone(),
        handle: wanted.handle.clone(),
        reconnect,
    };
    let started = provider.begin(tools, ask).await.map_err(|error| Outcome::from(&error))?;
    shared
        .connects
        .flows()
        .begun(flow, started.pending, shared.now())
        .map_err(|error| Outcome::from(&error))?;
    Ok(started.authorize_url)
}

/// An arrival passed every check: redeems the code and shows what was found.
pub(super) async fn finish(shared: &Arc<Shared>, arrived: auth::flows::Arrived, back: &CallbackParams) {
    let Ok(talk) = shared.connects.talk(&arrived.flow.to_string()) else { return };
    let provider = match shared.provider_for(arrived.wanted.platform, arrived.wanted.kind) {
        Ok(provider) => provider,
        Err(error) => return end(shared, &talk, "platform_not_ready", error.to_string(), error.hint()),
    };
    let wire = shared.wire();
    let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    match provider.finish(tools, arrived.pending, back).await {
        Err(error) => end(shared, &talk, error.code(), error.to_string(), error.hint()),
        Ok(connected) => {
            let sole = connected.len() == 1;
            let found: Vec<_> = connected.iter().map(|it| found_account(shared, &talk, it, sole)).collect();
            let known = |id: &str| found.iter().any(|it| it.remote_id == id);
            let selected = talk.yes || talk.select.iter().any(|id| known(id));
            let who: Vec<_> = found.iter().map(|it| format!("@{}", it.username)).collect();
            let who = who.join(", ");
            shared.connects.flows().settle(&talk.flow, Outcome::Found { who }, shared.now());
            if !put_back(shared, &talk, connected).await {
                return;
            }
            talk.say(m::ConnectEvent::Found { accounts: found });
            if selected {
                let wanted = |id: &str| talk.yes || talk.select.iter().any(|it| it == id);
                if let Err(error) = keep(shared, &talk, &wanted).await {
                    // The terminal hears that it failed, and nobody will confirm any more.
                    give_back(shared, &talk).await;
                    end(shared, &talk, &error.code, error.message, error.hint);
                }
            } else if !talk.select.is_empty() {
                give_back(shared, &talk).await;
                end(
                    shared,
                    &talk,
                    "not_selected",
                    "the account found is not among those selected".into(),
                    Some("begin again with the right `--select`, or without".into()),
                );
            }
        }
    }
}

fn found_account(shared: &Shared, talk: &Talk, connected: &Connected, sole: bool) -> m::FoundAccount {
    let mut warnings = connected.warnings.clone();
    let account = name_of(shared, talk, connected, sole);
    if let Some(name) = talk.name.as_ref().filter(|it| !sole && account.as_ref() != Some(*it)) {
        warnings.push(format!(
            "the name `{}` is for one account, and several were found: choose this one alone to give it to it, or \
             rename it later (`sendoff account rename`)",
            name.handle()
        ));
    }
    m::FoundAccount {
        remote_id: connected.found.remote_id.clone(),
        username: connected.found.username.clone(),
        display_name: connected.found.display_name.clone(),
        account: account.map(|it| it.to_string()),
        missing_scopes: connected.missing_scopes.clone(),
        warnings,
    }
}

/// The name the account found would get here. The name asked for is for one account, not for several.
fn name_of(shared: &Shared, talk: &Talk, connected: &Connected, sole: bool) -> Option<AccountName> {
    let platform = talk.wanted.platform;
    let known = shared.store.read(|rx| {
        accounts::by_remote(rx, platform, &connected.found.remote_id)?
            .map(|id| accounts::need(rx, id))
            .transpose()
    });
    match (known.ok()?, &talk.name) {
        (Some(account), _) => Some(account.name),
        (None, Some(name)) if sole => Some(name.clone()),
        (None, _) => free_name(shared, platform, &connected.found.username).ok(),
    }
}

pub(super) fn end(shared: &Shared, talk: &Talk, code: &str, message: String, hint: Option<String>) {
    tracing::warn!(platform = %talk.wanted.platform, code, %message, "a connect came to nothing");
    let outcome = Outcome::Failed { code: "failed", message: message.clone(), hint: hint.clone() };
    // The terminal first: the flow's outcome is for the browser, and knows only a common word.
    talk.fail(code, message, hint);
    shared.connects.flows().settle(&talk.flow, outcome, shared.now());
}

/// The conversation's events from its first one; ends after the last.
pub(super) fn events(shared: &Shared, id: &str) -> ApiResult<BoxStream<'static, m::ConnectEvent>> {
    let receiver = shared.connects.talk(id)?.events.subscribe();
    let steps = stream::unfold((receiver, 0), |(mut receiver, seen)| async move {
        // The sender lives as long as the conversation.
        if receiver.wait_for(|said| said.over || said.events.len() > seen).await.is_err() {
            return None;
        }
        let event = receiver.borrow().events.get(seen).cloned()?;
        Some((event, (receiver, seen + 1)))
    });
    Ok(steps.boxed())
}

pub(super) async fn confirm(shared: &Arc<Shared>, id: &str, choice: r::Choice) -> ApiResult<m::Done> {
    let talk = shared.connects.talk(id)?;
    let found: Vec<_> = talk.found().iter().map(|it| it.found.remote_id.clone()).collect();
    if found.is_empty() {
        return Err(ApiError::conflict(
            "nothing_found",
            "there is nothing to confirm yet, or it was confirmed before",
        ));
    }
    match choice {
        r::Choice::All => keep(shared, &talk, &|_| true).await?,
        r::Choice::Select(ids) => {
            let unknown: Vec<_> = ids.iter().filter(|id| !found.contains(id)).map(String::as_str).collect();
            if !unknown.is_empty() || ids.is_empty() {
                return Err(ApiError::bad_request(
                    "unknown_remote_id",
                    format!("`{}` was not found", unknown.join("`, `")),
                )
                .hint(format!("found: `{}`", found.join("`, `"))));
            }
            keep(shared, &talk, &|id| ids.iter().any(|it| it == id)).await?;
        }
        r::Choice::No => {
            give_back(shared, &talk).await;
            end(
                shared,
                &talk,
                "not_confirmed",
                "not confirmed; nothing was stored, and the tokens were given back".into(),
                Some(
                    "to connect another account, sign in to it on the network's site and begin again".into(),
                ),
            );
        }
    }
    Ok(m::Done { done: true })
}

pub(super) async fn paste(shared: &Arc<Shared>, id: &str, address: &str) -> ApiResult<m::Done> {
    let talk = shared.connects.talk(id)?;
    let redirect = shared.connects.flows().redirect_uri(&talk.flow).cloned().ok_or_else(|| {
        ApiError::conflict("wrong_step", "no address is waited for")
            .hint("begin again with `sendoff account connect`")
    })?;
    let back = CallbackParams::from_address(address, &redirect).map_err(|error| {
        let refusal = ApiError::bad_request("bad_address", error.to_string());
        match error.hint() {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    })?;
    let arrived = shared.connects.flows().paste(&talk.flow, &back, shared.now());
    let arrived = arrived.map_err(|error| {
        shared.connects.tell_refused(shared.now());
        errors::flow(error)
    })?;
    finish(shared, arrived, &back).await;
    Ok(m::Done { done: true })
}

pub(super) async fn cancel(shared: &Arc<Shared>, id: &str) -> ApiResult<m::Done> {
    let talk = shared.connects.talk(id)?;
    // Off the list first: see `put_back`.
    shared.connects.talks().remove(id);
    give_back(shared, &talk).await;
    shared.connects.flows().cancel(&talk.flow);
    talk.fail("cancelled", "the connect was cancelled".into(), None);
    Ok(m::Done { done: true })
}
