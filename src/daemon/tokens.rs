//! Tokens: sealed at rest, refreshed one at a time, durable before first use.
//!
//! A rotating refresh token dies when it is used, so a refresh is the same problem as publishing:
//! the intent is written first, one repeat is allowed when the answer was lost, and the grant is
//! kept until the user acts (delivery guarantees §11).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::wire::fill;
use crate::auth::{Grant, RefreshError, Tools};
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::Reason;
use crate::domain::ids::AccountId;
use crate::engine::Refreshed;
use crate::failpoint::cp;
use crate::store::{StoreError, accounts, vault};

/// The sealed field: one grant as a whole.
const GRANT_TABLE: u16 = 1;
const GRANT_FIELD: u16 = 1;
/// A refresh that could not be tried is tried again after this.
const LATER: SignedDuration = SignedDuration::from_mins(1);
/// A wrong set-up is tried again after this.
const CONFIG_LATER: SignedDuration = SignedDuration::from_mins(15);

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

/// Seals a grant for the store. The account's data key exists.
pub(super) fn seal(shared: &Shared, account: AccountId, grant: &Grant) -> Result<Sealed, TokenError> {
    let sealed = shared
        .keyring
        .seal(account, GRANT_TABLE, GRANT_FIELD, &grant.to_sealed_json())
        .map_err(|error| TokenError::Sealed(error.to_string()))?;
    Ok(Sealed { bytes: sealed, issued_at: Some(grant.issued_at), expires_at: grant.expires_at })
}

/// Copies what the grant says about its own life into the account.
pub(super) fn describe(account: &mut Account, grant: &Grant) {
    account.expires_at = grant.expires_at;
    account.issued_at = Some(grant.issued_at);
    account.grant_expires_at = grant.grant_expires_at;
    account.can_refresh = grant.refresh.is_some();
}

/// A fresh token for the account. Whoever comes second finds the first one's work done.
pub(super) async fn refresh(shared: &Arc<Shared>, id: AccountId, asked: Timestamp) -> Refreshed {
    let lock = shared.refresh_lock(id);
    let _one = lock.lock().await;
    match refresh_alone(shared, id, asked).await {
        Ok(outcome) => outcome,
        Err(error) => Refreshed::Later {
            at: later(shared.now(), LATER),
            reason: Reason::new("refresh", format!("the token could not be refreshed: {error}")),
        },
    }
}

async fn refresh_alone(
    shared: &Arc<Shared>,
    id: AccountId,
    asked: Timestamp,
) -> Result<Refreshed, TokenError> {
    let Some(account) = shared.store.read(|rx| accounts::get(rx, id))? else {
        return Ok(Refreshed::Dead(Reason::new("account_gone", "the account is no longer connected")));
    };
    if account.issued_at.is_some_and(|issued| issued >= asked) {
        return Ok(Refreshed::Fresh(Box::new(account)));
    }
    let (grant, version) = load_version(shared, id)?;
    let platform = account.name.platform();
    let provider = match shared.provider(platform) {
        Ok(provider) => provider,
        Err(error) => {
            let mut reason = Reason::new("config", error.to_string());
            reason.hint = error.hint();
            return Ok(Refreshed::Later { at: later(shared.now(), CONFIG_LATER), reason });
        }
    };
    if grant.refresh.is_none() {
        return dead(shared, account, "there is no refresh token, and the access token has ended").await;
    }
    // The intent before the request: a crash in between is then known to have happened. One that is
    // there already is such a crash: this refresh is its one repeat.
    let digest = grant.fingerprint();
    let left = shared.store.read(|rx| vault::refresh_of(rx, id))?;
    let mut repeat = left.is_some_and(|it| it.version == version && it.digest == digest);
    if !repeat {
        let intent = vault::RefreshIntent { account: id, version, digest, started: shared.now() };
        shared.store.write(move |tx| vault::begin_refresh(tx, &intent)).await?;
    }
    let wire = shared.wire();
    let tools = || Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    let mut outcome = provider.refresh(tools(), &grant).await;
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
            let sealed = seal(shared, id, &fresh)?;
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
            reason: Reason::new("rate_limited", "the network asks to wait"),
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
    let mut reason = Reason::new("account_dead", why.to_owned());
    reason.hint = Some(format!("sendoff account connect {}", account.name.platform()));
    mark_dead(shared, account.id, &reason).await?;
    // The account waits for a person now; there is nothing left to repeat at the next start.
    clear_intent(shared, account.id).await?;
    Ok(Refreshed::Dead(reason))
}

/// Stores that an account needs a person.
pub(super) async fn mark_dead(
    shared: &Arc<Shared>,
    id: AccountId,
    reason: &Reason,
) -> Result<(), StoreError> {
    let message = reason.message.clone();
    let account = shared
        .store
        .write(move |tx| {
            let Some(mut account) = accounts::get(tx, id)? else { return Ok(None) };
            if account.state == AccountState::Ready {
                account.state = AccountState::NeedsReconnect;
            }
            account.reason = Some(message.clone());
            accounts::put(tx, &account)?;
            Ok(Some(account))
        })
        .await?;
    if let Some(account) = account {
        tracing::warn!(account = %account.name, reason = %reason.message, "the account must be connected again");
        shared.announce(super::view::account_event(
            shared.now(),
            &account,
            "warn",
            "account.needs_reconnect",
            &reason.message,
        ));
    }
    Ok(())
}

/// Whether a token is old enough to be refreshed: past 65 % of its life.
pub(super) fn is_ripe(account: &Account, now: Timestamp) -> bool {
    let (Some(issued), Some(end)) = (account.issued_at, account.expires_at) else { return false };
    let life = end.duration_since(issued).as_secs_f64();
    account.can_refresh
        && account.state != AccountState::NeedsReconnect
        && now.duration_since(issued).as_secs_f64() > life * 0.65
}

pub(super) fn later(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_add(span).unwrap_or(now)
}
