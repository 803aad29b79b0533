//! The daemon in one look, and what a person should know.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{errors, missed, precheck, preflight, spend, versions};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::PlatformName;
use crate::engine::{BROKE, Wait, WaitFor};
use crate::store::{StoreError, accounts, deliveries, meta, queues, recurring, zones};

/// The schema the store is written in.
const SCHEMA: u32 = 1;
/// Findings of the checks ahead of time that are told one by one.
const RISKS: usize = 5;
/// Connections that end are announced this many days before.
const WARN_DAYS: [i64; 4] = [14, 7, 3, 1];

pub(super) fn status(shared: &Shared) -> ApiResult<m::Status> {
    let now = shared.now();
    let (all, counts, next_due) = shared
        .store
        .read(|rx| Ok((accounts::list(rx)?, deliveries::counts(rx)?, deliveries::next_due(rx)?)))
        .map_err(errors::store)?;
    let in_state = |state| all.iter().filter(|it| it.state == state).count() as u64;
    let pause = shared.pause.state();
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
        store: m::StoreStatus { bytes, schema: SCHEMA, free_bytes: shared.disk.free() },
        alerts: alerts(shared, &all, held, now).map_err(errors::store)?,
        pause_reason: pause.and_then(|(reason, _)| reason),
        spending: spend::of_networks(shared)?,
    })
}

pub(super) fn alert(code: &str, message: String, hint: Option<String>) -> m::Alert {
    m::Alert { code: code.to_owned(), message, hint }
}

fn alerts(shared: &Shared, all: &[Account], held: u64, now: Timestamp) -> Result<Vec<m::Alert>, StoreError> {
    let config = shared.config();
    let mut found = Vec::new();
    if held > 0 {
        let message = match held {
            1 => "a delivery waits for your word: it is unclear whether it is live".to_owned(),
            _ => format!("{held} deliveries wait for your word: it is unclear whether they are live"),
        };
        found.push(alert("held", message, Some("sendoff post list --state held".into())));
    }
    let risks = shared.findings.list(now);
    for (id, it) in risks.iter().take(RISKS) {
        found.push(alert(
            "at_risk",
            format!(
                "{}: due {:.0}, and {}: {}",
                it.account,
                it.due,
                precheck::foretold(&it.reason),
                it.reason.message
            ),
            it.reason.hint.clone().or_else(|| Some(format!("sendoff post show {id}"))),
        ));
    }
    if let Some(more) = risks.len().checked_sub(RISKS).filter(|it| *it > 0) {
        let message = format!("{more} more deliveries would not go out as they should");
        found.push(alert("at_risk", message, Some("sendoff log".into())));
    }
    found.extend(missed::alerts(shared, now)?);
    for wait in shared.waits() {
        found.push(waiting(&wait, all));
    }
    for account in all {
        if account.state == AccountState::NeedsReconnect {
            let why = account.reason.as_deref().unwrap_or("its grant has ended");
            let hint = account.connect_again();
            found.push(alert(
                "needs_reconnect",
                format!("{} must be connected again: {why}", account.name),
                Some(hint),
            ));
        } else if account.state == AccountState::Paused && has_due(shared, account, now)? {
            found.push(alert(
                "account_paused",
                format!("{} is paused, and something of it is due", account.name),
                Some(format!("sendoff account resume {}", account.name)),
            ));
        } else if let Some(days) = ends_soon(account, now) {
            let hint = account.connect_again();
            found.push(alert(
                "token_end",
                format!("the connection of {} ends within {days} d", account.name),
                Some(hint),
            ));
        }
        if account.state != AccountState::NeedsReconnect
            && let Some(days) = data_access_ends_soon(account, now)
        {
            let message = format!(
                "what is read in the name of {} ends within {days} d unless a person confirms the app: lost \
                 answers cannot be looked up then",
                account.name
            );
            found.push(alert("data_access_end", message, Some(account.connect_again())));
        }
    }
    for it in versions::ending(&config, all, now) {
        found.push(alert("version_end", it.message, Some(it.hint)));
    }
    for (id, why) in shared.unloadable() {
        found.push(alert(
            "unloadable",
            format!("delivery `{id}` is due and cannot be worked on: {why}"),
            Some(
                "a damaged row: restore the store from a copy; a network that is missing: run the version \
                 that has it"
                    .into(),
            ),
        ));
    }
    let old = shared.needs_restart();
    if !old.is_empty() {
        let message = format!("changed in the configuration, and not yet in force: {}", old.join(", "));
        found.push(alert("restart_needed", message, Some("restart the daemon".into())));
    }
    found.extend(shared.disk.alert());
    preflight::clock(shared, shared.moment());
    found.extend(shared.time.alert(now));
    found.extend(shared.time.alert_off());
    if let Some(doubted) = shared.rolled_back {
        found.push(alert(
            "restored",
            format!(
                "the store was restored from a copy; {doubted} deliveries that may have gone out since are \
                 looked up, and the others are searched for before they are sent"
            ),
            Some("sendoff post list --state unknown".into()),
        ));
    }
    // After a rename the configuration still says the old name.
    for queue in &config.queues {
        for name in queue.accounts.iter().filter(|name| all.iter().all(|it| it.name != **name)) {
            found.push(alert(
                "queue_account",
                format!("queue `{}` names `{name}`, which is not connected", queue.name),
                Some("connect it, or change `accounts` of the [[queue]] in the configuration".into()),
            ));
        }
    }
    // Whoever is connected meets it only when a token is refreshed, hours from now.
    for platform in PlatformName::ALL {
        if let Some(Err(error)) = shared.client_secret(platform) {
            let message = format!("`client_secret` of [platforms.{platform}] cannot be used: {error}");
            found.push(alert("secret", message, error.hint()));
        }
    }
    found.extend(schedule_alerts(shared, now)?);
    let weak = config.engine.weakened();
    if !weak.is_empty() {
        let keys = weak.join("`, `");
        found.push(alert(
            "weakened",
            format!("the delivery guarantees are weakened: `{keys}` below the default"),
            Some("fine for a rehearsal; remove the keys from [engine] for real use".into()),
        ));
    }
    Ok(found)
}

/// Paused queues, recurring posts in trouble, slots passed over, times that new zone rules moved.
fn schedule_alerts(shared: &Shared, now: Timestamp) -> Result<Vec<m::Alert>, StoreError> {
    let (paused, series, moves, zone_held) = shared.store.read(|rx| {
        Ok((queues::paused(rx)?, recurring::all(rx)?, meta::zone_moves(rx)?, zones::held(rx)?.len()))
    })?;
    let lately = |at: Timestamp, days: i64| now.duration_since(at) < SignedDuration::from_hours(24 * days);
    let mut found = Vec::new();
    for (name, since) in paused {
        let hint = format!("sendoff queue resume {name}");
        found.push(alert("queue_paused", format!("queue `{name}` is paused since {since:.0}"), Some(hint)));
    }
    for (name, it) in series.into_iter().filter(|(_, it)| it.active) {
        if let Some(why) = it.trouble {
            let hint = "connect the account, or change [[recurring]] in the configuration";
            let text = format!("recurring post `{name}`: {why}");
            found.push(alert("recurring_trouble", text, Some(hint.into())));
        }
        for skip in it.skipped.iter().filter(|skip| lately(skip.at, 3)) {
            let (first, last) = (super::recurring::say(skip.first), super::recurring::say(skip.last));
            let span = if first == last { first } else { format!("{first} to {last}") };
            let text = format!("recurring post `{name}`: {} passed over ({span}): {}", skip.slots, skip.why);
            found.push(alert("recurring_skipped", text, None));
        }
    }
    if let Some((n, at)) = moves.filter(|(_, at)| lately(*at, 7)) {
        let text = format!("new time-zone rules moved {n} deliveries, noticed {at:.0}");
        found.push(alert("zone_changed", text, Some("sendoff log lists each with both times".into())));
    }
    if zone_held > 0 {
        let text = format!("{zone_held} deliveries are held: new time-zone rules brought them too near");
        let hint = "`sendoff post retry` sends one, `sendoff post cancel` takes it back";
        found.push(alert("zone_held", text, Some(hint.into())));
    }
    Ok(found)
}

/// Whether the earliest open delivery of an account should have gone out by now.
fn has_due(shared: &Shared, account: &Account, now: Timestamp) -> Result<bool, StoreError> {
    shared.store.read(|rx| {
        let first = deliveries::of_account(rx, account.id, deliveries::Which::Open, 1)?.pop();
        let first = first.map(|id| deliveries::need(rx, id)).transpose()?;
        Ok(first.is_some_and(|it| it.due.instant <= now))
    })
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
    let message = if wait.reason.class == BROKE {
        // It looks again by itself; when there is money, nobody knows.
        format!("{whom}: nothing is published: {}", wait.reason.message)
    } else {
        format!("{whom}: nothing is sent until {:.0}: {}", wait.until, wait.reason.message)
    };
    alert(&wait.reason.class, message, wait.reason.hint.clone())
}

/// Days until a connection that cannot be renewed ends, in the steps people are warned at.
pub(super) fn ends_soon(account: &Account, now: Timestamp) -> Option<i64> {
    let end = account.ends_at()?;
    // A session that lives two weeks and is refreshed within them is no news on its first day.
    let life = account.can_refresh.then(|| end.duration_since(account.connected_at));
    warn_days(end.duration_since(now), life)
}

/// Days until a network ends the reading of what is an account's.
fn data_access_ends_soon(account: &Account, now: Timestamp) -> Option<i64> {
    warn_days(account.data_access_ends_at?.duration_since(now), None)
}

/// The smallest step that `left` has come down to. Steps that are no shorter than the whole `life`
/// do not count.
fn warn_days(left: SignedDuration, life: Option<SignedDuration>) -> Option<i64> {
    let days = |n: i64| SignedDuration::from_hours(24 * n);
    WARN_DAYS.into_iter().rev().find(|n| left <= days(*n) && life.is_none_or(|life| days(*n) < life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_in_four_steps_and_not_on_its_first_day() {
        let days = |n: i64| SignedDuration::from_hours(24 * n);
        let steps = |life| [15, 14, 8, 7, 4, 3, 2, 1, 0].map(|left| warn_days(days(left), life));
        let told = [None, Some(14), Some(14), Some(7), Some(7), Some(3), Some(3), Some(1), Some(1)];
        assert_eq!(steps(None), told);
        assert_eq!(steps(Some(days(60))), told);
        let short = [None, None, None, Some(7), Some(7), Some(3), Some(3), Some(1), Some(1)];
        assert_eq!(steps(Some(days(14))), short);
        assert_eq!(warn_days(days(2), None), Some(3), "a short one that cannot be renewed is told at once");
    }
}
