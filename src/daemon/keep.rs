//! From tokens in hand to a stored account, or back to the network: a grant is never just dropped.
//!
//! A connect and a disconnect of one account may run at the same time. Who is first wins: an erasure
//! that was begun is finished before the account is connected anew, under another key; and one that
//! begins later finds the new tokens and revokes them.

use std::sync::Arc;

use super::connect::Talk;
use super::shared::Shared;
use super::wire::fill;
use super::{errors, ledger, tokens, view};
use crate::auth::flows::Outcome;
use crate::auth::{Connected, Grant, Tools, revoke_by_hand};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::{AccountId, AccountName, PlatformName};
use crate::engine::Input;
use crate::platforms::{self, Platform};
use crate::store::{StoreError, accounts, spent, vault};

/// Tokens nobody confirmed go back to the network; nothing of them was stored.
pub(super) async fn give_back(shared: &Arc<Shared>, talk: &Talk) {
    return_all(shared, talk.wanted.platform, talk.take()).await;
}

/// Gives tokens back. Those of a person who is connected with other accounts stay in force: where one
/// consent opens several accounts, ending it would end them all. They are only forgotten here.
async fn return_all(shared: &Arc<Shared>, platform: PlatformName, all: Vec<Connected>) {
    let mut ended: Vec<Grant> = Vec::new();
    for connected in all {
        let grant = &connected.grant;
        if ended.iter().any(|it| it.shares_consent(grant)) || is_shared(shared, grant, None) {
            continue;
        }
        let provider = match shared.provider(platform) {
            Ok(provider) => provider,
            Err(error) => {
                let server = connected.found.server.as_ref().map(url::Url::as_str);
                let hint = revoke_by_hand(platform, server);
                return tracing::warn!(%platform, %error, hint, "unconfirmed tokens could not be given back");
            }
        };
        let wire = shared.wire();
        let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
        for line in provider.revoke(tools, grant).await {
            tracing::info!(what = line.what, place = %line.place, result = ?line.result, "unconfirmed tokens given back");
        }
        ended.push(connected.grant);
    }
}

/// Whether another account here lives by the same consent. Those that are leaving do not count.
pub(super) fn is_shared(shared: &Shared, grant: &Grant, except: Option<AccountId>) -> bool {
    if grant.person.is_none() {
        return false;
    }
    let others = shared.store.read(|rx| {
        let all = accounts::list(rx)?.into_iter().map(|it| it.id).filter(|id| Some(*id) != except);
        let mut staying = Vec::new();
        for id in all {
            if vault::erasure_of(rx, id)?.is_none() {
                staying.push(id);
            }
        }
        Ok(staying)
    });
    match others {
        Ok(others) => others
            .into_iter()
            .any(|id| tokens::load(shared, id).is_ok_and(|theirs| theirs.shares_consent(grant))),
        // Nothing is ended on a guess.
        Err(_) => true,
    }
}

/// Keeps what was found with its conversation, until a person says a word or time is up. `false`:
/// the conversation is over (swept, cancelled), so the tokens go back to the network.
pub(super) async fn put_back(shared: &Arc<Shared>, talk: &Arc<Talk>, connected: Vec<Connected>) -> bool {
    *talk.found() = connected;
    // Whoever ends a conversation takes it off the list first and then looks for tokens: either it
    // sees these, or we see that it is gone.
    let listed = shared.connects.has(talk);
    if !listed {
        give_back(shared, talk).await;
    }
    listed
}

/// Stores those of the accounts found that are wanted. If that fails, what is not stored is kept for
/// another try.
pub(super) async fn keep(
    shared: &Arc<Shared>,
    talk: &Arc<Talk>,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> ApiResult<()> {
    let _one = shared.connects.keeping.lock().await;
    let (chosen, rest): (Vec<_>, Vec<_>) =
        talk.take().into_iter().partition(|it| wanted(&it.found.remote_id));
    if chosen.is_empty() {
        put_back(shared, talk, rest).await;
        return Err(ApiError::conflict("nothing_found", "there is nothing to confirm yet")
            .hint("open the link and allow the access first"));
    }
    let sole = chosen.len() == 1;
    let mut chosen = chosen.into_iter();
    while let Some(connected) = chosen.next() {
        let account = match store(shared, talk, &connected, sole).await {
            Ok(account) => account,
            Err(error) => {
                let left = std::iter::once(connected).chain(chosen).chain(rest).collect();
                put_back(shared, talk, left).await;
                return Err(error);
            }
        };
        let now = shared.now();
        shared.wire().forget(&account);
        shared.send(Input::AccountChanged(account.id));
        tracing::info!(account = %account.name, scopes = account.scopes.join(" "), "connected");
        shared.announce(view::of_account(now, &account, "info", "account.connected", "connected"));
        shared.plan_again(None);
        shared.connects.flows().settle(&talk.flow, Outcome::Stored { account: account.name.clone() }, now);
        talk.say(m::ConnectEvent::Connected { account: view::account(&account) });
    }
    talk.close();
    return_all(shared, talk.wanted.platform, rest).await;
    Ok(())
}

/// The account that was found, by the network's id.
fn known(shared: &Shared, talk: &Talk, connected: &Connected) -> ApiResult<Option<Account>> {
    let remote_id = &connected.found.remote_id;
    let read = shared.store.read(|rx| {
        accounts::by_remote(rx, talk.wanted.platform, remote_id)?.map(|id| accounts::need(rx, id)).transpose()
    });
    read.map_err(errors::store)
}

/// The data key first, then the rows. An account that is just being disconnected is first gone as
/// it was told to, and then connected anew: its old key never seals the new tokens.
async fn store(shared: &Arc<Shared>, talk: &Talk, connected: &Connected, sole: bool) -> ApiResult<Account> {
    loop {
        let known = known(shared, talk, connected)?;
        let is_new = known.is_none();
        let account = match known {
            Some(account) => account,
            None => new_account(shared, talk, connected, sole).map_err(errors::store)?,
        };
        let id = account.id;
        if shared.store.read(|rx| vault::erasure_of(rx, id)).map_err(errors::store)?.is_some() {
            super::disconnect::finish(shared, id).await?;
            continue;
        }
        // A refresh on the wire ends first; its tokens are then replaced, not the other way round.
        let lock = shared.refresh_lock(id);
        let _alone = lock.lock().await;
        // It may have gone meanwhile; a key made for it now would never be destroyed.
        if !is_new && shared.store.read(|rx| accounts::get(rx, id)).map_err(errors::store)?.is_none() {
            continue;
        }
        let stored = store_alone(shared, account, is_new, connected).await;
        if stored.is_err() && is_new {
            // No row refers to it; a key without an account would only be litter.
            let ring = Arc::clone(shared);
            drop(tokio::task::spawn_blocking(move || ring.keyring.destroy(id)).await);
        }
        match stored {
            // It was told to leave in this very moment.
            Err(StoreFault::Store(StoreError::Leaving { .. })) => {}
            Err(StoreFault::Store(error)) => return Err(errors::store(error)),
            Err(StoreFault::Api(error)) => return Err(error),
            Ok(account) => return Ok(account),
        }
    }
}

enum StoreFault {
    Store(StoreError),
    Api(ApiError),
}

async fn store_alone(
    shared: &Arc<Shared>,
    mut account: Account,
    is_new: bool,
    connected: &Connected,
) -> Result<Account, StoreFault> {
    let id = account.id;
    let now = shared.now();
    let ring = Arc::clone(shared);
    let made = tokio::task::spawn_blocking(move || ring.keyring.create(id));
    made.await
        .map_err(|error| StoreFault::Api(errors::internal(&error)))?
        .map_err(|error| StoreFault::Api(errors::key(error)))?;
    let sealing = async {
        let reserved = tokens::reserve(shared, id).await?;
        tokens::seal(shared, reserved, &connected.grant)
    };
    let sealed = sealing.await.map_err(|error| StoreFault::Api(errors::internal(&error)))?;
    describe(&mut account, connected, now);
    account.persons = super::erase::persons(shared, &account, &connected.grant);
    account.persons.extend(super::erase::known_as(shared, &account, &connected.found));
    let price = platforms::find(account.name.platform()).map_or(0, Platform::price_of_connect);
    let stored = shared.store.write(move |tx| {
        let mut row = account.clone();
        if !is_new {
            // What the user changed meanwhile stays.
            row.name = accounts::need(tx, id)?.name;
        }
        vault::put_grant(tx, id, None, &sealed.bytes, sealed.issued_at, sealed.expires_at)?;
        accounts::put(tx, &row)?;
        if price > 0 {
            spent::add(tx, id, row.name.platform(), spent::month(now), "connect", price)?;
        }
        ledger::revive(tx, id, now)?;
        Ok(row)
    });
    stored.await.map_err(StoreFault::Store)
}

/// What the network said of the account, and that it is in order now.
fn describe(account: &mut Account, connected: &Connected, now: jiff::Timestamp) {
    account.username.clone_from(&connected.found.username);
    account.display_name.clone_from(&connected.found.display_name);
    account.avatar_url.clone_from(&connected.found.avatar_url);
    account.server = connected.found.server.as_ref().map(ToString::to_string);
    account.tier.clone_from(&connected.found.tier);
    // What the user paused stays paused.
    if account.state == AccountState::NeedsReconnect {
        account.state = AccountState::Ready;
    }
    account.reason = None;
    account.scopes.clone_from(&connected.scopes);
    account.missing_scopes.clone_from(&connected.missing_scopes);
    // The grant's life begins here, also for an account that was known.
    account.connected_at = now;
    tokens::describe(account, &connected.grant);
}

fn new_account(
    shared: &Shared,
    talk: &Talk,
    connected: &Connected,
    sole: bool,
) -> Result<Account, StoreError> {
    let now = shared.now();
    // The name may have been taken while the browser was away; then the write says so.
    let wished = match &talk.name {
        Some(name) if sole => name.clone(),
        _ => free_name(shared, talk.wanted.platform, &connected.found.username)?,
    };
    let id = AccountId::new(now, Shared::random());
    Ok(Account::new(id, wished, connected.found.remote_id.clone(), now))
}

/// The nearest name that is not taken: `acme`, `acme-2`, …
pub(super) fn free_name(
    shared: &Shared,
    platform: PlatformName,
    username: &str,
) -> Result<AccountName, StoreError> {
    let first = AccountName::nearest(platform, username);
    let mut candidate = first.clone();
    for n in 2..1000 {
        if shared.store.read(|rx| accounts::by_name(rx, &candidate))?.is_none() {
            return Ok(candidate);
        }
        let stem: String = first.handle().chars().take(58).collect();
        candidate = AccountName::nearest(platform, &format!("{stem}-{n}"));
    }
    Err(StoreError::conflict(format!("no name near `{first}` is free")))
}
