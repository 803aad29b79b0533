//! Accounts: shown, renamed, refreshed, paused. Disconnecting has a file of its own.

use std::sync::Arc;

use super::shared::Shared;
use super::{create, errors, tokens, view};
use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::messages as m;
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::AccountName;
use crate::engine::{Input, Refreshed};
use crate::store::{accounts, vault};

pub(super) fn list(shared: &Shared) -> ApiResult<m::AccountList> {
    let accounts = shared.store.read(accounts::list).map_err(errors::store)?;
    Ok(m::AccountList { accounts: accounts.iter().map(view::account).collect() })
}

pub(super) fn find(shared: &Shared, name: &str) -> ApiResult<Account> {
    create::account(shared, &name.parse::<AccountName>().map_err(errors::bad_name)?)
}

pub(super) async fn rename(shared: &Arc<Shared>, account: &str, name: &str) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    // `x:new` and `new` both say it.
    let wanted = match name.parse::<AccountName>() {
        Ok(full) => full,
        Err(_) => AccountName::new(found.name.platform(), name).map_err(errors::bad_name)?,
    };
    let id = found.id;
    let renamed = shared
        .store
        .write(move |tx| {
            // Its erasure knows it by this name.
            vault::not_leaving(tx, id)?;
            accounts::rename(tx, id, &wanted)
        })
        .await
        .map_err(errors::store)?;
    Ok(view::account(&renamed))
}

pub(super) async fn refresh(shared: &Arc<Shared>, account: &str) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    if !found.can_refresh {
        return Err(ApiError::conflict("cannot_refresh", format!("`{account}` has no refresh token"))
            .hint(format!("connect it again: {}", found.connect_again())));
    }
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

pub(super) async fn set_paused(shared: &Arc<Shared>, account: &str, on: bool) -> ApiResult<m::Account> {
    let found = find(shared, account)?;
    let id = found.id;
    let changed = shared
        .store
        .write(move |tx| {
            vault::not_leaving(tx, id)?;
            let mut account = accounts::need(tx, id)?;
            match (on, account.state) {
                (true, AccountState::Ready) => account.state = AccountState::Paused,
                // Its token died meanwhile: what a pause hid shows again.
                (false, AccountState::Paused) if account.reason.is_some() => {
                    account.state = AccountState::NeedsReconnect;
                }
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
    Ok(view::account(&changed))
}
