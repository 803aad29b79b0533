//! Accounts: shown, renamed, refreshed, paused; and disconnected, which deletes.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::wire::fill;
use super::{audit, create, errors, tokens, view};
use crate::auth::{RevocationResult, Tools};
use crate::control::api::{ApiError, ApiResult, Caller, ErrorKind};
use crate::control::messages as m;
use crate::domain::account::{Account, AccountState};
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Event, Reason, State};
use crate::domain::ids::{AccountId, AccountName, ReceiptId};
use crate::engine::ask::Ask;
use crate::engine::{Input, Refreshed};
use crate::privacy::DisconnectStep;
use crate::store::StoreError;
use crate::store::audit::Receipt;
use crate::store::deliveries::Which;
use crate::store::vault::Erasure;
use crate::store::{accounts, audit as trail, deliveries, vault};

/// The network gets this long to revoke.
const REVOKE: Duration = Duration::from_secs(10);
/// A call on the wire gets this long before its delivery is closed unverified.
const RUNNING_CALL: Duration = Duration::from_mins(1);

pub(super) fn list(shared: &Shared) -> ApiResult<m::AccountList> {
    let accounts = shared.store.read(accounts::list).map_err(errors::store)?;
    Ok(m::AccountList { accounts: accounts.iter().map(view::account).collect() })
}

pub(super) fn find(shared: &Shared, name: &str) -> ApiResult<Account> {
    create::account(shared, &name.parse::<AccountName>().map_err(errors::bad_name)?)
}

pub(super) async fn rename(
    shared: &Arc<Shared>,
    by: Caller,
    account: &str,
    name: &str,
) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    // `x:new` and `new` both say it.
    let wanted = match name.parse::<AccountName>() {
        Ok(full) => full,
        Err(_) => AccountName::new(found.name.platform(), name).map_err(errors::bad_name)?,
    };
    let id = found.id;
    let renamed =
        shared.store.write(move |tx| accounts::rename(tx, id, &wanted)).await.map_err(errors::store)?;
    audit(shared, Some(by), "account.rename", &format!("{} → {}", found.name, renamed.name));
    Ok(view::account(&renamed))
}

pub(super) async fn refresh(shared: &Arc<Shared>, by: Caller, account: &str) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    if !found.can_refresh {
        return Err(ApiError::conflict("cannot_refresh", format!("`{account}` has no refresh token"))
            .hint(format!("connect it again: sendoff account connect {}", found.name.platform())));
    }
    audit(shared, Some(by), "account.refresh", account);
    match tokens::refresh(shared, found.id, shared.now()).await {
        Refreshed::Fresh(account) => {
            shared.send(Input::AccountChanged(account.id));
            Ok(view::account(&account))
        }
        Refreshed::Dead(reason) | Refreshed::Later { reason, .. } => {
            let error = ApiError::new(ErrorKind::Failed, reason.class, reason.message);
            Err(errors::with_hint(error, reason.hint))
        }
    }
}

pub(super) async fn set_paused(
    shared: &Arc<Shared>,
    by: Caller,
    account: &str,
    on: bool,
) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    let id = found.id;
    let changed = shared
        .store
        .write(move |tx| {
            let mut account = accounts::need(tx, id)?;
            match (on, account.state) {
                (true, AccountState::Ready) => account.state = AccountState::Paused,
                (false, AccountState::Paused) => account.state = AccountState::Ready,
                _ => return Ok(account),
            }
            accounts::put(tx, &account)?;
            Ok(account)
        })
        .await
        .map_err(errors::store)?;
    if on && changed.state == AccountState::NeedsReconnect {
        return Err(ApiError::conflict(
            "needs_reconnect",
            format!("`{account}` must be connected again; nothing is sent to it anyway"),
        ));
    }
    shared.send(Input::AccountChanged(id));
    audit(shared, Some(by), if on { "account.pause" } else { "account.resume" }, account);
    Ok(view::account(&changed))
}

/// What became of one thing, for the receipt.
fn item(
    what: &str,
    place: &str,
    result: m::Outcome,
    message: Option<String>,
    hint: Option<String>,
) -> m::ReceiptItem {
    m::ReceiptItem { what: what.to_owned(), r#where: place.to_owned(), result, message, hint }
}

/// `account disconnect`: everything, in the order of the plan; a crash is finished at the next start.
pub(super) async fn disconnect(
    shared: &Arc<Shared>,
    by: Caller,
    account: &str,
) -> ApiResult<m::ReceiptAnswer> {
    let found = find(shared, account)?;
    let erasure = Erasure {
        account: found.id,
        step: String::new(),
        receipt: ReceiptId::new(shared.now(), Shared::random()),
        started: shared.now(),
    };
    let row = erasure.clone();
    shared.store.write(move |tx| vault::begin_erasure(tx, &row)).await.map_err(errors::store)?;
    audit(shared, Some(by), "account.disconnect", account);
    let receipt = carry_out(shared, &erasure, Some(found)).await?;
    Ok(m::ReceiptAnswer { receipt })
}

/// Finishes erasures that a crash interrupted. Called at start-up, before anything is served.
pub(super) async fn finish_erasures(shared: &Arc<Shared>) -> ApiResult<()> {
    for erasure in shared.store.read(vault::erasures).map_err(errors::store)? {
        let account = shared.store.read(|rx| accounts::get(rx, erasure.account)).map_err(errors::store)?;
        tracing::warn!(account = %erasure.account, "finishing a disconnect that was interrupted");
        carry_out(shared, &erasure, account).await?;
    }
    Ok(())
}

async fn carry_out(
    shared: &Arc<Shared>,
    erasure: &Erasure,
    account: Option<Account>,
) -> ApiResult<m::Receipt> {
    let id = erasure.account;
    // No refresh may bring new tokens while the old ones are being revoked.
    let lock = shared.refresh_lock(id);
    let _alone = lock.lock().await;
    let name = account.as_ref().map_or_else(|| id.to_string(), |it| it.name.to_string());
    let mut items = Vec::new();
    for step in DisconnectStep::after(DisconnectStep::from_word(&erasure.step)) {
        match step {
            DisconnectStep::Deliveries => items.push(close_deliveries(shared, id).await?),
            DisconnectStep::Revoke => items.extend(revoke(shared, account.as_ref()).await),
            DisconnectStep::Rows => {
                shared
                    .store
                    .write(move |tx| {
                        vault::remove_grant(tx, id)?;
                        accounts::remove(tx, id).map(drop)
                    })
                    .await
                    .map_err(errors::store)?;
                items.push(item("tokens", "this installation", m::Outcome::Done, None, None));
                items.push(item("account", "this installation", m::Outcome::Done, None, None));
            }
            DisconnectStep::Key => {
                let ring = Arc::clone(shared);
                let destroyed = tokio::task::spawn_blocking(move || ring.keyring.destroy(id)).await;
                destroyed.map_err(|error| errors::internal(&error))?.map_err(errors::key)?;
                let message = "copies of the tokens in old pages and backups cannot be opened any more";
                items.push(item(
                    "data key",
                    "this installation",
                    m::Outcome::Done,
                    Some(message.into()),
                    None,
                ));
            }
            DisconnectStep::Compact => items.push(compact(shared).await),
        }
        let word = step.as_str();
        shared.store.write(move |tx| vault::advance_erasure(tx, id, word)).await.map_err(errors::store)?;
    }
    if let Some(account) = &account {
        shared.wire().forget(account);
        shared.announce(view::account_event(
            shared.now(),
            account,
            "info",
            "account.disconnected",
            "disconnected",
        ));
    }
    shared.send(Input::AccountChanged(id));
    let receipt = m::Receipt { id: erasure.receipt.to_string(), at: shared.now(), subject: name, items };
    let stored = stored_receipt(shared, erasure, account.as_ref(), &receipt);
    shared
        .store
        .write(move |tx| {
            trail::put_receipt(tx, &stored)?;
            vault::finish_erasure(tx, id).map(drop)
        })
        .await
        .map_err(errors::store)?;
    Ok(receipt)
}

/// The receipt that outlives what it is about holds no name, only a keyed hash (R58).
fn stored_receipt(
    shared: &Shared,
    erasure: &Erasure,
    account: Option<&Account>,
    shown: &m::Receipt,
) -> Receipt {
    let remote = account.map_or("", |it| it.remote_id.as_str());
    let subject = hex(&shared.receipts.sign(&[b"subject", remote.as_bytes()]));
    let code = hex(&Shared::random::<16>());
    let outcome = shown.items.iter().map(|it| (it.what.clone(), it.result.as_str().to_owned())).collect();
    Receipt {
        id: erasure.receipt,
        kind: "disconnect".into(),
        subject,
        code,
        requested_at: erasure.started,
        finished_at: Some(shown.at),
        outcome,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Pending deliveries are cancelled; one on the wire may finish; what stays unknown is closed for a
/// person to see, because nobody can look any more.
async fn close_deliveries(shared: &Arc<Shared>, account: AccountId) -> ApiResult<m::ReceiptItem> {
    let now = shared.now();
    let open = shared.store.read(|rx| open_of(rx, account)).map_err(errors::store)?;
    let count = open.len();
    for delivery in open {
        if delivery.in_flight() {
            // At most one per account. Its engine ends it; a call on the wire may take its minute.
            drop(shared.asks.ask(shared, delivery.id, Ask::Cancel).await);
            drop(tokio::time::timeout(RUNNING_CALL, at_rest(shared, delivery.id)).await);
        }
    }
    let unverified = shared
        .store
        .write(move |tx| {
            let mut unverified = 0;
            for before in open_of(tx, account)? {
                let reason = Reason::new("disconnected", "the account was disconnected");
                let after = match before.state {
                    // An open attempt, and soon nobody can look any more: a person must.
                    State::Unknown | State::Sending => {
                        unverified += 1;
                        let reason = Reason::new(
                            "not_verified",
                            "the account was disconnected while it was unclear whether this is live",
                        )
                        .hint("look on the network yourself");
                        let lost = Event::Lose { next_check: now, reason: reason.clone() };
                        let unknown = if before.state == State::Sending {
                            before.apply(lost, now)
                        } else {
                            Ok(before.clone())
                        };
                        unknown.and_then(|it| it.apply(Event::Hold { reason }, now))
                    }
                    _ => before.apply(Event::Cancel { reason }, now),
                };
                if let Ok(after) = after {
                    let transition = Transition::between(&before, &after, "disconnected", now);
                    deliveries::put(tx, Some(&before), &after, Some(transition))?;
                }
            }
            Ok(unverified)
        })
        .await
        .map_err(errors::store)?;
    let message = match (count, unverified) {
        (0, _) => "nothing was waiting".to_owned(),
        (n, 0) => format!("{n} taken back"),
        (n, u) => format!("{n} closed, {u} of them unverified: look on the network yourself"),
    };
    Ok(item("pending deliveries", "this installation", m::Outcome::Done, Some(message), None))
}

fn open_of(source: &impl crate::store::Source, account: AccountId) -> Result<Vec<Delivery>, StoreError> {
    deliveries::of_account(source, account, Which::Open, usize::MAX)?
        .into_iter()
        .map(|id| deliveries::need(source, id))
        .collect()
}

/// Resolves when a delivery is no longer in a worker's hands. Its events wake us.
async fn at_rest(shared: &Arc<Shared>, id: crate::domain::ids::DeliveryId) {
    let mut events = shared.listen();
    loop {
        match shared.store.read(|rx| deliveries::get(rx, id)) {
            Ok(Some(delivery)) if delivery.in_flight() => {}
            _ => return,
        }
        if let Err(tokio::sync::broadcast::error::RecvError::Closed) = events.recv().await {
            return;
        }
    }
}

/// Asks the network to revoke. Whatever it says, the local copy goes.
async fn revoke(shared: &Arc<Shared>, account: Option<&Account>) -> Vec<m::ReceiptItem> {
    let Some(account) = account else { return Vec::new() };
    let place = account.name.platform().title();
    let failed = |message: String, hint: Option<String>| {
        vec![item("grant", place, m::Outcome::Failed, Some(message), hint)]
    };
    let grant = match tokens::load(shared, account.id) {
        Ok(grant) => grant,
        Err(tokens::TokenError::None) => return Vec::new(),
        Err(error) => return failed(error.to_string(), None),
    };
    let provider = match shared.provider(account.name.platform()) {
        Ok(provider) => provider,
        Err(error) => return failed(error.to_string(), error.hint()),
    };
    let wire = shared.wire();
    let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    match tokio::time::timeout(REVOKE, provider.revoke(tools, &grant)).await {
        Ok(lines) => lines
            .into_iter()
            .map(|line| {
                let result = match line.result {
                    RevocationResult::Done => m::Outcome::Done,
                    RevocationResult::NotPossible => m::Outcome::NotPossible,
                    RevocationResult::Failed => m::Outcome::Failed,
                };
                item(line.what, &line.place, result, line.message, line.hint)
            })
            .collect(),
        Err(_) => failed(
            format!("{place} did not answer within {} s", REVOKE.as_secs()),
            Some(format!("end the access in the settings of your account on {place}")),
        ),
    }
}

async fn compact(shared: &Arc<Shared>) -> m::ReceiptItem {
    let store = shared.store.clone();
    let outcome = tokio::task::spawn_blocking(move || store.compact()).await;
    let (result, message) = match outcome {
        Ok(Ok(_)) => (m::Outcome::Done, None),
        Ok(Err(error)) => (m::Outcome::Failed, Some(error.to_string())),
        Err(error) => (m::Outcome::Failed, Some(error.to_string())),
    };
    item("old pages of the store", "this installation", result, message, None)
}
