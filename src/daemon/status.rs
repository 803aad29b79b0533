//! The daemon in one look, and what a person should know.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{errors, housekeeping};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::domain::account::{Account, AccountState};
use crate::engine::{Wait, WaitFor};
use crate::store::{accounts, deliveries};

/// The schema the store is written in.
const SCHEMA: u32 = 1;
/// Less than this free is worth a word (R68).
const ROOM: u64 = 256 << 20;
/// Connections that end are announced this many days before.
const WARN_DAYS: [i64; 4] = [14, 7, 3, 1];

pub(super) fn status(shared: &Shared) -> ApiResult<m::Status> {
    let now = shared.now();
    let (all, counts, next_due) = shared
        .store
        .read(|rx| Ok((accounts::list(rx)?, deliveries::counts(rx)?, deliveries::next_due(rx)?)))
        .map_err(errors::store)?;
    let in_state = |state| all.iter().filter(|it| it.state == state).count() as u64;
    let pause = shared.pause.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let held = counts.iter().find(|(word, _)| word == "held").map_or(0, |(_, n)| *n);
    let config = shared.config();
    let bytes = std::fs::metadata(config.data_dir.join("sendoff.redb")).map_or(0, |it| it.len());
    Ok(m::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_s: u64::try_from(now.duration_since(shared.started).as_secs()).unwrap_or(0),
        ready: shared.ready.load(Ordering::Relaxed),
        paused: pause.is_some(),
        accounts: m::AccountCounts {
            ready: in_state(AccountState::Ready),
            needs_reconnect: in_state(AccountState::NeedsReconnect),
            paused: in_state(AccountState::Paused),
        },
        deliveries: counts.into_iter().filter(|(word, n)| word != "held" && *n > 0).collect(),
        next_due,
        last_tick: shared.last_tick(),
        store: m::StoreStatus { bytes, schema: SCHEMA },
        alerts: alerts(shared, &all, held, now),
        pause_reason: pause.and_then(|(reason, _)| reason),
    })
}

fn alert(code: &str, message: String, hint: Option<String>) -> m::Alert {
    m::Alert { code: code.to_owned(), message, hint }
}

fn alerts(shared: &Shared, all: &[Account], held: u64, now: Timestamp) -> Vec<m::Alert> {
    let config = shared.config();
    let mut found = Vec::new();
    if held > 0 {
        let message = format!("{held} deliveries wait for your word: it is unclear whether they are live");
        found.push(alert("held", message, Some("sendoff post list --state held".into())));
    }
    for wait in shared.waits() {
        found.push(waiting(&wait, all));
    }
    for account in all {
        if account.state == AccountState::NeedsReconnect {
            let why = account.reason.as_deref().unwrap_or("its grant has ended");
            let hint = format!("sendoff account connect {}", account.name.platform());
            found.push(alert(
                "needs_reconnect",
                format!("{} must be connected again: {why}", account.name),
                Some(hint),
            ));
        } else if let Some(days) = ends_soon(account, now) {
            let hint = format!("sendoff account connect {}", account.name.platform());
            found.push(alert(
                "token_end",
                format!("the connection of {} ends within {days} d", account.name),
                Some(hint),
            ));
        }
    }
    if let Some(free) = housekeeping::free_bytes(&config.data_dir).filter(|free| *free < ROOM) {
        found.push(alert(
            "disk",
            format!("{} MiB free in `data_dir`", free >> 20),
            Some("below 64 MiB nothing is sent; free some space".into()),
        ));
    }
    let weak = config.engine.weakened();
    if !weak.is_empty() {
        let keys = weak.join("`, `");
        found.push(alert(
            "weakened",
            format!("the delivery guarantees are weakened: `{keys}` below the default"),
            Some("fine for a rehearsal; remove the keys from [engine] for real use".into()),
        ));
    }
    found
}

/// A network or an account that is held back as a whole.
fn waiting(wait: &Wait, all: &[Account]) -> m::Alert {
    let whom = match &wait.scope {
        WaitFor::App(platform, None) => format!("all accounts on {platform}"),
        WaitFor::App(platform, Some(server)) => format!("all accounts on {platform} at {server}"),
        WaitFor::Account(id) => all
            .iter()
            .find(|it| it.id == *id)
            .map_or_else(|| "an account".to_owned(), |it| it.name.to_string()),
    };
    let message = format!("{whom}: nothing is sent until {}: {}", wait.until, wait.reason.message);
    alert(&wait.reason.class, message, wait.reason.hint.clone())
}

/// Days until a connection that cannot be renewed ends, in the steps people are warned at.
fn ends_soon(account: &Account, now: Timestamp) -> Option<i64> {
    let end = if account.can_refresh { account.grant_expires_at } else { account.expires_at }?;
    let left = end.duration_since(now);
    WARN_DAYS.into_iter().rev().find(|days| left <= SignedDuration::from_hours(24 * days))
}
