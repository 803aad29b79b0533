//! Tokens: sealed at rest, refreshed one at a time, durable before first use.
//!
//! A rotating refresh token dies when it is used, so a refresh is the same problem as publishing:
//! the intent is written first, one repeat is allowed when the answer was lost, and the grant is
//! kept until the user acts (delivery guarantees §11). Whatever could fail after the answer, the use
//! of the data key and room on the disk, is made sure of before the request leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::shared::Shared;
use super::wire::fill;
use crate::auth::{Grant, RefreshError, Tools};
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::Reason;
use crate::domain::ids::AccountId;
use crate::engine::Refreshed;
use crate::failpoint::cp;
use crate::keys::error::KeyError;
use crate::keys::keyring::Reserved;
use crate::store::{StoreError, accounts, vault};

/// The sealed field: one grant as a whole.
const GRANT_TABLE: u16 = 1;
const GRANT_FIELD: u16 = 1;
/// A refresh that could not be tried is tried again after this.
const LATER: SignedDuration = SignedDuration::from_mins(1);
/// A wrong set-up is tried again after this.
const CONFIG_LATER: SignedDuration = SignedDuration::from_mins(15);

/// The class of a wait that the network asked for.
const RATE_LIMITED: &str = "rate_limited";

/// Why a token cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("there is no token for this account")]
    None,
    #[error("the token cannot be opened: {0}")]
    Sealed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Until when networks asked not to be asked again, per account. In memory: after a restart one
/// request more does no harm.
#[derive(Default)]
pub(super) struct Waits(Mutex<HashMap<AccountId, Wait>>);

/// Not before `at`. `asked`: the network said so, which binds whoever wants a refresh; else it is
/// our own guess, which binds housekeeping alone.
#[derive(Debug, Clone)]
struct Wait {
    at: Timestamp,
    reason: Reason,
    asked: bool,
}

impl Waits {
    fn set(&self, id: AccountId, wait: Option<Wait>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match wait {
            Some(wait) => drop(all.insert(id, wait)),
            None => drop(all.remove(&id)),
        }
    }

    fn get(&self, id: AccountId, now: Timestamp) -> Option<Wait> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&id).filter(|it| now < it.at).cloned()
    }

    /// Whether an unasked refresh has to wait.
    pub(super) fn hold_back(&self, id: AccountId, now: Timestamp) -> bool {
        self.get(id, now).is_some()
    }
}

/// A grant as the vault stores it.
pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Opens an account's grant.
pub(super) fn load(shared: &Shared, account: AccountId) -> Result<Grant, TokenError> {
    load_version(shared, account).map(|(grant, _)| grant)
}

/// The grant and its version, which a refresh replaces.
fn load_version(shared: &Shared, account: AccountId) -> Result<(Grant, u64), TokenError> {
    let sealed = shared.store.read(|rx| vault::get_grant(rx, account))?.ok_or(TokenError::None)?;
    let plain = shared
        .keyring
        .open_sealed(account, GRANT_TABLE, GRANT_FIELD, &sealed.sealed)
        .map_err(|error| TokenError::Sealed(error.to_string()))?;
    let grant = Grant::from_sealed_json(&plain).map_err(|error| TokenError::Sealed(error.to_string()))?;
    Ok((grant, sealed.version))
}

/// Sets aside one use of the account's data key, for a grant that is yet to come. A key that has
/// sealed as much as one key may is replaced first. Waits for the disk, so not on the loop's thread.
pub(super) async fn reserve(shared: &Arc<Shared>, account: AccountId) -> Result<Reserved, TokenError> {
    let ring = Arc::clone(shared);
    let reserved = tokio::task::spawn_blocking(move || match ring.keyring.reserve(account) {
        Err(KeyError::WornOut { .. }) => {
            ring.keyring.rotate(account)?;
            ring.keyring.reserve(account)
        }
        other => other,
    });
    reserved
        .await
        .map_err(|error| TokenError::Sealed(error.to_string()))?
        .map_err(|error| TokenError::Sealed(error.to_string()))
}

/// Seals a grant for the store, with the use set aside before.
pub(super) fn seal(shared: &Shared, reserved: Reserved, grant: &Grant) -> Result<Sealed, TokenError> {
    let sealed = shared
        .keyring
        .seal_reserved(reserved, GRANT_TABLE, GRANT_FIELD, &grant.to_sealed_json())
        .map_err(|error| TokenError::Sealed(error.to_string()))?;
    Ok(Sealed { bytes: sealed, issued_at: Some(grant.issued_at), expires_at: grant.expires_at })
}

/// Copies what the grant says about its own life into the account.
pub(super) fn describe(account: &mut Account, grant: &Grant) {
    account.expires_at = grant.expires_at;
    account.issued_at = Some(grant.issued_at);
    account.grant_expires_at = grant.grant_expires_at;
    account.data_access_ends_at = None;
    account.can_refresh = grant.refresh.is_some();
}

/// A fresh token for the account. Whoever comes second finds the first one's work done.
pub(super) async fn refresh(shared: &Arc<Shared>, id: AccountId, asked: Timestamp) -> Refreshed {
    // Not behind the lock: a disconnect holds it for as long as the network takes to revoke.
    if let Ok(Err(StoreError::Leaving { .. })) = shared.store.read(|rx| Ok(vault::not_leaving(rx, id))) {
        return leaving(shared);
    }
    let lock = shared.refresh_lock(id);
    let _one = lock.lock().await;
    let outcome = match refresh_alone(shared, id, asked).await {
        Ok(outcome) => outcome,
        Err(error) => not_now(shared, LATER, "refresh", format!("the token could not be refreshed: {error}")),
    };
    match &outcome {
        Refreshed::Later { at, reason } => {
            let asked = reason.class == RATE_LIMITED;
            shared.token_waits.set(id, Some(Wait { at: *at, reason: reason.clone(), asked }));
        }
        Refreshed::Fresh(_) | Refreshed::Dead(_) => shared.token_waits.set(id, None),
    }
    outcome
}

fn leaving(shared: &Shared) -> Refreshed {
    not_now(shared, LATER, "disconnecting", "the account is being disconnected")
}

fn not_now(shared: &Shared, span: SignedDuration, class: &str, message: impl Into<String>) -> Refreshed {
    Refreshed::Later { at: later(shared.now(), span), reason: Reason::new(class, message) }
}

async fn refresh_alone(
    shared: &Arc<Shared>,
    id: AccountId,
    asked: Timestamp,
) -> Result<Refreshed, TokenError> {
    let read = shared.store.read(|rx| Ok((accounts::get(rx, id)?, vault::erasure_of(rx, id)?)))?;
    let (Some(account), erasure) = read else {
        return Ok(Refreshed::Dead(Reason::new("account_gone", "the account is no longer connected")));
    };
    if erasure.is_some() {
        return Ok(leaving(shared));
    }
    if account.reason.is_some() {
        // It waits for a person, also behind a pause. A dead token does not come alive by asking again.
        return Ok(Refreshed::Dead(account.dead()));
    }
    if account.issued_at.is_some_and(|issued| issued >= asked) {
        return Ok(Refreshed::Fresh(Box::new(account)));
    }
    if let Some(wait) = shared.token_waits.get(id, shared.now()).filter(|it| it.asked) {
        return Ok(Refreshed::Later { at: wait.at, reason: wait.reason });
    }
    let (grant, version) = match load_version(shared, id) {
        Err(error @ (TokenError::None | TokenError::Sealed(_))) => {
            return dead(shared, account, &error.to_string()).await;
        }
        other => other?,
    };
    let platform = account.name.platform();
    let provider = match shared.provider(platform) {
        Ok(provider) => provider,
        Err(error) => {
            let mut reason = Reason::new("config", error.to_string());
            reason.hint = error.hint();
            return Ok(Refreshed::Later { at: later(shared.now(), CONFIG_LATER), reason });
        }
    };
    let anew = provider.can_fetch_anew(&grant);
    if grant.refresh.is_none() && !anew {
        return dead(shared, account, "there is no refresh token, and the access token has ended").await;
    }
    // What could fail when the new tokens are here must not: they exist nowhere else then.
    if !shared.disk.look() {
        let message = "there is too little room on the disk to keep new tokens, so none are asked for";
        return Ok(not_now(shared, LATER, "disk_full", message));
    }
    let reserved = reserve(shared, id).await?;
    // The intent before the request: a crash in between is then known to have happened. One that is
    // there already is such a crash: this refresh is its one repeat.
    let digest = grant.fingerprint();
    let left = shared.store.read(|rx| vault::refresh_of(rx, id))?;
    let mut repeat = left.is_some_and(|it| it.version == version && it.digest == digest);
    if !repeat {
        let intent = vault::RefreshIntent { account: id, version, digest, started: shared.now() };
        shared.store.write(move |tx| vault::begin_refresh(tx, &intent)).await?;
    }
    shared.rehearsal.point("refresh").await;
    let wire = shared.wire();
    let tools = || Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    let mut outcome = if anew {
        provider.fetch_anew(tools(), &grant, &account.remote_id).await
    } else {
        provider.refresh(tools(), &grant).await
    };
    cp!("c14");
    if let (Err(RefreshError::Lost { message }), false) = (&outcome, repeat) {
        tracing::warn!(account = %account.name, %message, "the answer to a refresh was lost; one repeat");
        repeat = true;
        outcome = provider.refresh(tools(), &grant).await;
    }
    // Once an answer was lost, only new tokens or the user's act settle what became of the old ones.
    if !repeat && outcome.is_err() {
        clear_intent(shared, id).await?;
    }
    match outcome {
        Ok(fresh) => {
            let sealed = seal(shared, reserved, &fresh)?;
            let stored = shared
                .store
                .write(move |tx| {
                    // The row may have changed meanwhile (renamed, paused); only the token is ours.
                    let mut account = accounts::need(tx, id)?;
                    describe(&mut account, &fresh);
                    vault::put_grant(
                        tx,
                        id,
                        Some(version),
                        &sealed.bytes,
                        sealed.issued_at,
                        sealed.expires_at,
                    )?;
                    accounts::put(tx, &account)?;
                    Ok(account)
                })
                .await?;
            // Of a key that was replaced for wear: nothing is sealed with it any more.
            let ring = Arc::clone(shared);
            let retired = tokio::task::spawn_blocking(move || ring.keyring.retire_old(id)).await;
            if let Ok(Err(error)) = retired {
                tracing::warn!(%error, "an old data key stays until the next refresh");
            }
            tracing::info!(account = %stored.name, "token refreshed");
            Ok(Refreshed::Fresh(Box::new(stored)))
        }
        Err(RefreshError::Lost { message }) => {
            dead(
                shared,
                account,
                &format!("the answer to a refresh was lost twice ({message}), so the token may be spent"),
            )
            .await
        }
        Err(RefreshError::Dead { message }) if repeat => {
            let why = format!("the answer to a refresh was lost, and its token is spent: {message}");
            dead(shared, account, &why).await
        }
        Err(RefreshError::Dead { message }) => dead(shared, account, &message).await,
        Err(RefreshError::Config { message, hint }) => {
            let reason = Reason::new("config", message).hint(hint);
            Ok(Refreshed::Later { at: later(shared.now(), CONFIG_LATER), reason })
        }
        Err(RefreshError::Later { until }) => Ok(Refreshed::Later {
            at: until,
            reason: Reason::new(RATE_LIMITED, format!("the network asks to wait until {until:.0}")),
        }),
        Err(RefreshError::NotSent { message }) => {
            Ok(Refreshed::Later { at: later(shared.now(), LATER), reason: Reason::new("not_sent", message) })
        }
    }
}

async fn clear_intent(shared: &Shared, id: AccountId) -> Result<(), StoreError> {
    shared.store.write(move |tx| vault::clear_refresh(tx, id).map(drop)).await
}

/// The account needs a person. The grant row stays until the user acts.
async fn dead(shared: &Arc<Shared>, account: Account, why: &str) -> Result<Refreshed, TokenError> {
    let reason = Reason::new("account_dead", why.to_owned()).hint(account.connect_again());
    mark_dead(shared, account.id, reason.clone()).await?;
    // The account waits for a person now; there is nothing left to repeat at the next start.
    clear_intent(shared, account.id).await?;
    Ok(Refreshed::Dead(reason))
}

/// Stores that an account needs a person. The write is queued when this is called, not when it is
/// awaited: what the caller queues afterwards never stands on the disk without it.
pub(super) fn mark_dead(
    shared: &Arc<Shared>,
    id: AccountId,
    reason: Reason,
) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
    let message = reason.message.clone();
    let write = shared.store.write(move |tx| {
        let Some(mut account) = accounts::get(tx, id)? else { return Ok(None) };
        if account.state == AccountState::Ready {
            account.state = AccountState::NeedsReconnect;
        }
        account.reason = Some(message.clone());
        accounts::put(tx, &account)?;
        Ok(Some(account))
    });
    let shared = Arc::clone(shared);
    async move {
        let Some(account) = write.await? else { return Ok(()) };
        let why = &reason.message;
        tracing::warn!(account = %account.name, reason = %why, "the account must be connected again");
        let now = shared.now();
        shared.announce(super::view::of_account(now, &account, "warn", "account.needs_reconnect", why));
        Ok(())
    }
}

/// At which part of its life a token is refreshed: between 50 and 80 %, another part for each
/// account and each token, so that accounts connected together do not ask together. The same seed
/// gives the same part.
pub(super) fn ripe_at(account: &Account, seed: &[u8]) -> Option<Timestamp> {
    let (issued, end) = (account.issued_at?, account.expires_at?);
    let digest = Sha256::new()
        .chain_update(seed)
        .chain_update(account.id.as_u128().to_be_bytes())
        .chain_update(issued.as_millisecond().to_be_bytes())
        .finalize();
    let part = 500 + i64::from(u16::from_be_bytes([digest[0], digest[1]])) * 300 / i64::from(u16::MAX);
    let life = end.as_millisecond().saturating_sub(issued.as_millisecond()).max(0);
    let wait = SignedDuration::from_millis(life / 1000 * part + life % 1000 * part / 1000);
    Some(later(issued, wait))
}

/// Whether a token is to be refreshed now, without anybody asking. `next_send` is the next work of
/// the account within [`NEAR_SEND`]: then it is left alone, unless it would be too short for it.
pub(super) fn is_ripe(account: &Account, next_send: Option<Timestamp>, now: Timestamp, seed: &[u8]) -> bool {
    if !account.can_refresh || account.state == AccountState::NeedsReconnect {
        return false;
    }
    if ripe_at(account, seed).is_none_or(|at| now < at) {
        return false;
    }
    let lasts =
        |send: Timestamp| account.expires_at.is_some_and(|end| end >= later(send.max(now), NEAR_SEND));
    !next_send.is_some_and(lasts)
}

/// No refresh this close before a send; and a token must last this long for one.
pub(super) const NEAR_SEND: SignedDuration = SignedDuration::from_secs(120);

pub(super) fn later(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_add(span).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AccountName, PlatformName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_000 + seconds).unwrap()
    }

    fn account(n: u128, life: i64) -> Account {
        let name = AccountName::new(PlatformName::X, "acme").unwrap();
        Account {
            expires_at: Some(at(life)),
            issued_at: Some(at(0)),
            can_refresh: true,
            ..Account::new(AccountId::from_u128(n), name, n.to_string(), at(0))
        }
    }

    #[test]
    fn tokens_ripen_between_half_and_four_fifths_of_their_life_and_not_together() {
        for life in [1, 7_200, 5_184_000] {
            let all: Vec<_> = (0..200).map(|n| ripe_at(&account(n, life), b"seed").unwrap()).collect();
            assert!(all.iter().all(|it| *it >= at(0) + SignedDuration::from_millis(life * 500)), "{life}");
            assert!(all.iter().all(|it| *it <= at(0) + SignedDuration::from_millis(life * 800)), "{life}");
            let again: Vec<_> = (0..200).map(|n| ripe_at(&account(n, life), b"seed").unwrap()).collect();
            assert_eq!(all, again, "the same seed gives the same instants");
            let other = ripe_at(&account(7, life), b"other").unwrap();
            assert!(other != all[7] || life == 1);
            let thirds = |it: &Timestamp| (it.as_millisecond() - at(0).as_millisecond()) / (life * 100);
            for tenth in 5..8 {
                let there = all.iter().filter(|it| thirds(it) == tenth).count();
                assert!((30..=110).contains(&there), "{there} of 200 between {tenth}0 % and the next");
            }
        }
    }

    #[test]
    fn a_token_is_left_alone_before_a_send_that_it_outlives() {
        let it = account(1, 7_200);
        let seed = b"seed";
        let now = ripe_at(&it, seed).unwrap();
        assert!(is_ripe(&it, None, now, seed));
        assert!(!is_ripe(&it, None, now - SignedDuration::from_secs(1), seed));
        let soon = |now: Timestamp| Some(now + SignedDuration::from_secs(90));
        assert!(!is_ripe(&it, soon(now), now, seed), "it lasts for this send");
        assert!(!is_ripe(&it, Some(now), now, seed));
        assert!(!is_ripe(&it, soon(at(6_990)), at(6_990), seed), "120 s behind the send are enough");
        assert!(is_ripe(&it, soon(at(6_991)), at(6_991), seed), "it would be too short");
        let dead = Account { state: AccountState::NeedsReconnect, ..it.clone() };
        let fixed = Account { can_refresh: false, ..it };
        assert!(!is_ripe(&dead, None, now, seed) && !is_ripe(&fixed, None, now, seed));
    }

    #[test]
    fn a_wait_binds_until_it_is_over() {
        let (waits, id) = (Waits::default(), AccountId::from_u128(1));
        let wait = Wait { at: at(10), reason: Reason::new(RATE_LIMITED, "later"), asked: true };
        waits.set(id, Some(wait));
        assert!(waits.hold_back(id, at(9)) && !waits.hold_back(id, at(10)));
        assert!(!waits.hold_back(AccountId::from_u128(2), at(9)));
        waits.set(id, None);
        assert!(!waits.hold_back(id, at(9)));
    }
}
