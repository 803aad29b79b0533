//! Tokens: sealed at rest, refreshed one at a time, durable before first use.
//!
//! A rotating refresh token dies when it is used, so a refresh is the same problem as publishing:
//! the intent is written first, one repeat is allowed when the answer was lost, and the grant is
//! kept until the user acts (delivery guarantees §11). Whatever could fail after the answer, the use
//! of the data key and room on the disk, is made sure of before the request leaves.

use std::sync::Arc;

use jiff::Timestamp;

use super::renewal::{self, After, CONFIG_LATER, LATER, Sealed, later, leaving, not_now};
use super::shared::Shared;
use super::wire::fill;
use crate::auth::{Grant, Tools};
use crate::domain::account::Account;
use crate::domain::delivery::Reason;
use crate::domain::ids::AccountId;
use crate::engine::{Input, Refreshed};
use crate::failpoint::cp;
use crate::keys::error::KeyError;
use crate::keys::keyring::Reserved;
use crate::store::{StoreError, Tx, accounts, vault};

/// The sealed field: one grant as a whole.
const GRANT_TABLE: u16 = 1;
const GRANT_FIELD: u16 = 1;
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
        return leaving(shared.now());
    }
    let lock = shared.refresh_lock(id);
    let _one = lock.lock().await;
    refresh_locked(shared, id, asked).await
}

/// As [`refresh`], of a token that nobody asked for. None: it is not to be renewed any more, now that its turn
/// has come.
pub(super) async fn renew(shared: &Arc<Shared>, id: AccountId, asked: Timestamp) -> Option<Refreshed> {
    let lock = shared.refresh_lock(id);
    let _one = lock.lock().await;
    let now = shared.now();
    let due = shared.store.read(|rx| match accounts::get(rx, id)? {
        Some(account) => renewal::is_due(rx, &account, now, &shared.jitter_seed),
        None => Ok(false),
    });
    match due {
        Ok(true) => Some(refresh_locked(shared, id, asked).await),
        Ok(false) => None,
        Err(error) => {
            tracing::warn!(%error, "could not look at a token");
            None
        }
    }
}

async fn refresh_locked(shared: &Arc<Shared>, id: AccountId, asked: Timestamp) -> Refreshed {
    let outcome = match refresh_alone(shared, id, asked).await {
        Ok(outcome) => outcome,
        Err(error) => {
            not_now(shared.now(), LATER, "refresh", format!("the token could not be refreshed: {error}"))
        }
    };
    shared.token_waits().note(id, &outcome);
    outcome
}

async fn refresh_alone(
    shared: &Arc<Shared>,
    id: AccountId,
    asked: Timestamp,
) -> Result<Refreshed, TokenError> {
    let (account, erasure) =
        shared.store.read(|rx| Ok((accounts::get(rx, id)?, vault::erasure_of(rx, id)?)))?;
    let wait = shared.token_waits().asked(id, shared.now());
    let account = match renewal::needed(account, erasure.is_some(), asked, shared.now(), wait) {
        Ok(account) => account,
        Err(outcome) => return Ok(outcome),
    };
    let (grant, version) = match load_version(shared, id) {
        Err(error @ (TokenError::None | TokenError::Sealed(_))) => {
            return dead(shared, &account, &error.to_string()).await;
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
        return dead(shared, &account, "there is no refresh token, and the access token has ended").await;
    }
    // What could fail when the new tokens are here must not: they exist nowhere else then.
    if !shared.disk.look() {
        let message = "there is too little room on the disk to keep new tokens, so none are asked for";
        return Ok(not_now(shared.now(), LATER, "disk_full", message));
    }
    let reserved = reserve(shared, id).await?;
    // The intent before the request: a crash in between is then known to have happened.
    let left = shared.store.read(|rx| vault::refresh_of(rx, id))?;
    let intent = renewal::intent(left.as_ref(), id, (version, grant.fingerprint()), shared.now());
    let mut repeat = intent.is_none();
    if let Some(intent) = intent {
        shared.store.write(move |tx| vault::begin_refresh(tx, &intent)).await?;
    }
    shared.rehearsal.point("refresh").await;
    let wire = shared.wire();
    let tools = || Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    loop {
        let outcome = if anew {
            provider.fetch_anew(tools(), &grant, &account.remote_id).await
        } else {
            provider.refresh(tools(), &grant).await
        };
        cp!("c14", !repeat);
        match renewal::after(outcome, repeat, shared.now()) {
            After::Again => {
                tracing::warn!(account = %account.name, "the answer to a refresh was lost; one repeat");
                repeat = true;
            }
            After::Fresh(fresh) => return keep(shared, id, version, reserved, fresh).await,
            After::Dead(why) => return dead(shared, &account, &why).await,
            After::Later { at, reason, closed } => {
                if closed {
                    shared.store.write(move |tx| vault::clear_refresh(tx, id).map(drop)).await?;
                }
                return Ok(Refreshed::Later { at, reason });
            }
        }
    }
}

/// New tokens become durable before anything uses them.
async fn keep(
    shared: &Arc<Shared>,
    id: AccountId,
    version: u64,
    reserved: Reserved,
    fresh: Grant,
) -> Result<Refreshed, TokenError> {
    let sealed = seal(shared, reserved, &fresh)?;
    let stored = shared
        .store
        .write(move |tx| renewal::keep(tx, id, version, &sealed, |account| describe(account, &fresh)))
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

/// The account needs a person. The grant row stays until the user acts.
async fn dead(shared: &Arc<Shared>, account: &Account, why: &str) -> Result<Refreshed, TokenError> {
    let reason = renewal::dead(account, why);
    write_dead(shared, account.id, reason.clone(), renewal::give_up).await?;
    Ok(Refreshed::Dead(reason))
}

/// Stores that an account needs a person. The write is queued when this is called, not when it is
/// awaited: what the caller queues afterwards never stands on the disk without it. `issued_at`: of the tokens
/// of which the network said so. If there are others by now, nothing is stored, and what is to wait for a person
/// goes on in the very write that would make it wait (`ledger`).
pub(super) fn mark_dead(
    shared: &Arc<Shared>,
    id: AccountId,
    issued_at: Option<Timestamp>,
    reason: Reason,
) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
    let write =
        write_dead(shared, id, reason, move |tx, id, why| renewal::need_a_person(tx, id, issued_at, why));
    let shared = Arc::clone(shared);
    async move {
        if !write.await? {
            shared.send(Input::AccountChanged(id));
        }
        Ok(())
    }
}

/// Whether it was stored; else the account is gone, or has other tokens.
fn write_dead<J>(
    shared: &Arc<Shared>,
    id: AccountId,
    reason: Reason,
    job: J,
) -> impl Future<Output = Result<bool, StoreError>> + Send + use<J>
where
    J: Fn(&mut Tx<'_>, AccountId, &str) -> Result<Option<Account>, StoreError> + Send + 'static,
{
    let message = reason.message.clone();
    let write = shared.store.write(move |tx| job(tx, id, &message));
    let shared = Arc::clone(shared);
    async move {
        let Some(account) = write.await? else { return Ok(false) };
        let why = &reason.message;
        tracing::warn!(account = %account.name, reason = %why, "the account must be connected again");
        let now = shared.now();
        shared.announce(super::view::of_account(now, &account, "warn", "account.needs_reconnect", why));
        Ok(true)
    }
}
