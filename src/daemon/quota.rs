//! How much of its limits an account has used, as far as the daemon knows: what networks said in their last
//! answers, what is counted here because they do not say it, and what is held back now, until when.
//!
//! What networks said is kept in memory, and only as long as it can be true: until the limit is filled up
//! again. After a start it is known with the next answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{errors, ledger, settings};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::engine::{Call, Reply};
use crate::platforms::{self, Platform, Quota, Request, Share};
use crate::store::{StoreError, deliveries, posts};

/// The call in which Instagram says how many posts of a day are used.
const LIMIT: &str = "instagram.limit";

/// Whose limit it is, and which.
type Whose = (Option<AccountId>, String);

/// What one answer says of limits.
#[derive(Default)]
pub(super) struct Told(Vec<(Whose, (Quota, Timestamp))>);

/// What networks said last, by network for limits of the app and by account for others.
#[derive(Default)]
pub(super) struct Gauges(Mutex<BTreeMap<Whose, (Quota, Timestamp)>>);

/// What an answer says of limits; nothing, if there is none.
pub(super) fn told(account: &Account, request: &Request, reply: &Reply, now: Timestamp) -> Told {
    let mut all = Vec::new();
    let network = account.name.platform();
    let (Reply::Answer(answer), Some(platform)) = (reply, platforms::find(network)) else { return Told(all) };
    // Those that count calls count each kind for itself: what is left of others bars no post.
    let tells = platforms::is_publishing(request.label) || request.label == LIMIT;
    for quota in platform.quotas(answer, now) {
        if quota.left.is_some() && !tells {
            continue;
        }
        // By the time to its end, for a network may count the same over minutes and over a day.
        let long = quota.resets.duration_since(now) > SignedDuration::from_hours(1);
        let span = if long { "day" } else { "present window" };
        let what = match (quota.left, quota.app) {
            (Some(_), _) if request.label == LIMIT => "posts, in a day".to_owned(),
            (Some(_), true) => format!("publishing calls of all accounts, in the {span}"),
            (Some(_), false) => format!("publishing calls, in the {span}"),
            (None, true) => "the app's use of the network, in percent of an hour's".to_owned(),
            (None, false) => "the account's use of the network, in percent".to_owned(),
        };
        let whose = if quota.app { None } else { Some(account.id) };
        all.push(((whose, format!("{network} {what}")), (quota, now)));
    }
    Told(all)
}

/// Keeps it.
pub(super) fn keep(shared: &Shared, Told(told): Told) {
    if told.is_empty() {
        return;
    }
    let now = shared.now();
    let mut all = shared.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|_, (quota, at)| quota.resets > now && *at <= now);
    all.extend(told);
}

/// What is known of one account. Reads the log where something is counted: not for the async workers.
pub(super) fn of_account(shared: &Arc<Shared>, account: &Account) -> ApiResult<Vec<m::Quota>> {
    let now = shared.now();
    let network = account.name.platform();
    let mut out = said(shared, account, now);
    let Some(platform) = platforms::find(network) else { return Ok(out) };
    let config = shared.config();
    let settings = settings::of(&config);
    let calls = ledger::calls(&shared.store, &settings, platforms::find, now).map_err(errors::store)?;
    for limit in settings.limits.get(&network).into_iter().flatten() {
        let of_app = |it: &&Call| it.app == (network, account.server.clone());
        let counted = calls.iter().filter(|it| it.publishes);
        let counted = counted.filter(|it| if limit.app { of_app(it) } else { it.account == account.id });
        let whose = if limit.app { " of all accounts" } else { "" };
        let what = format!("publishing calls{whose}, in any {:#}, by the configuration", limit.window);
        out.push(rolling(what, counted.map(|it| it.at), limit.calls as usize, limit.window, now));
    }
    if let Some(most) = platform.calls_a_day(account) {
        let used = calls.iter().filter(|it| it.counts && it.account == account.id).count();
        let midnight = Timestamp::from_second((now.as_second().div_euclid(86_400) + 1) * 86_400);
        out.push(m::Quota {
            what: "calls of all kinds since midnight UTC, as far as the log tells".into(),
            used: count(used),
            limit: Some(u64::from(most)),
            free_at: midnight.ok().filter(|_| used >= most as usize),
            as_of: now,
        });
    }
    if platform.has_shares() {
        out.extend(shares(shared, account, platform, &calls, now).map_err(errors::store)?);
    }
    Ok(out)
}

/// What is held back of the account, until when, and why.
pub(super) fn waits(shared: &Shared, account: &Account) -> Vec<m::HeldBack> {
    let concerned = shared.waits().into_iter().filter(|it| it.concerns(account));
    let shown = concerned.map(|it| m::HeldBack {
        until: it.until,
        message: it.reason.message,
        hint: it.reason.hint,
        raw: it.reason.raw,
    });
    shown.collect()
}

/// What the network said last.
fn said(shared: &Shared, account: &Account, now: Timestamp) -> Vec<m::Quota> {
    let network = format!("{} ", account.name.platform());
    let all = shared.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = Vec::new();
    for ((whose, what), (quota, at)) in all.iter() {
        let Some(what) = what.strip_prefix(&network) else { continue };
        if whose.is_some_and(|it| it != account.id) || quota.resets <= now {
            continue;
        }
        let (used, limit) = numbers(quota);
        let is_out = limit.is_some_and(|limit| used >= limit);
        let free_at = Some(quota.resets).filter(|_| is_out || quota.left.is_some());
        out.push(m::Quota { what: what.to_owned(), used, limit, free_at, as_of: *at });
    }
    out
}

/// Used, and how much there is: of calls where they are counted, else of a hundred.
fn numbers(quota: &Quota) -> (u64, Option<u64>) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small, and not below zero
    let whole = |it: f64| it.round().max(0.0) as u64;
    match quota.left {
        // Of what is used up whole nobody said how much it was.
        Some(left) if quota.used < 1.0 => {
            let limit = whole(f64::from(left) / (1.0 - quota.used));
            (limit.saturating_sub(u64::from(left)), Some(limit))
        }
        _ => (whole(quota.used * 100.0), Some(100)),
    }
}

/// At most so many within any such time: when there is room again is known from the oldest that counts.
fn rolling(
    what: String,
    at: impl Iterator<Item = Timestamp>,
    most: usize,
    window: SignedDuration,
    now: Timestamp,
) -> m::Quota {
    let from = now.saturating_sub(window).unwrap_or(now);
    let mut inside: Vec<_> = at.filter(|at| *at > from).collect();
    inside.sort_unstable();
    let first = inside.len().checked_sub(most).and_then(|n| inside.get(n));
    let free_at = first.and_then(|it| it.checked_add(window).ok());
    m::Quota { what, used: count(inside.len()), limit: Some(count(most)), free_at, as_of: now }
}

/// Posts of which the network takes so many, as many kinds as were published.
fn shares(
    shared: &Shared,
    account: &Account,
    platform: &dyn Platform,
    calls: &[Call],
    now: Timestamp,
) -> Result<Vec<m::Quota>, StoreError> {
    let mut kinds: Vec<(Share, BTreeMap<_, Timestamp>)> = Vec::new();
    shared.store.read(|rx| {
        for call in calls.iter().filter(|it| it.account == account.id) {
            let Some(id) = call.share else { continue };
            let Some(delivery) = deliveries::get(rx, id)? else { continue };
            let Some(post) = posts::get(rx, delivery.post)? else { continue };
            let options = post.options_for(account.name.platform());
            let Some(share) = platform.share(&post.media, &options) else { continue };
            // Sent again it is the same one.
            match kinds.iter_mut().find(|it| it.0 == share) {
                Some((_, sent)) => drop(sent.insert(id, call.at)),
                None => kinds.push((share, BTreeMap::from([(id, call.at)]))),
            }
        }
        Ok(())
    })?;
    let one = |(share, sent): (Share, BTreeMap<_, Timestamp>)| {
        let what = format!("{}, in any {:#}", share.what, share.window);
        rolling(what, sent.into_values(), share.most, share.window, now)
    };
    Ok(kinds.into_iter().map(one).collect())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_left_of_calls_tells_how_many_there_are() {
        let quota = |used, left| Quota { app: false, used, left, resets: at(9) };
        assert_eq!(numbers(&quota(0.75, Some(25))), (75, Some(100)));
        assert_eq!(numbers(&quota(1.0 - 1.0 / 17.0, Some(1))), (16, Some(17)));
        assert_eq!(numbers(&quota(0.0, Some(50))), (0, Some(50)));
        assert_eq!(numbers(&quota(1.0, Some(0))), (100, Some(100)), "of a hundred: nobody said of how many");
        assert_eq!(numbers(&quota(0.284, None)), (28, Some(100)));
    }

    #[test]
    fn there_is_room_again_when_enough_of_the_oldest_have_left_the_window() {
        let (window, now) = (SignedDuration::from_secs(100), at(1_000));
        let of = |sent: &[i64], most| {
            let it = rolling(String::new(), sent.iter().map(|it| at(*it)), most, window, now);
            (it.used, it.free_at.map(Timestamp::as_second))
        };
        assert_eq!(of(&[850, 900, 950], 2), (1, None), "two have left it");
        assert_eq!(of(&[920, 980], 2), (2, Some(1_020)));
        assert_eq!(of(&[990, 920, 980], 2), (3, Some(1_080)), "more than are taken: a later one frees");
    }
}
