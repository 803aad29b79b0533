//! Accounts and the two ways to find one: by our name, and by the network's permanent id.

use redb::ReadableTable;

use super::errors::StoreError;
use super::records::{Key, Place, decode, encode};
use super::tables::{ACCOUNT_NAMES, ACCOUNT_REMOTE, ACCOUNTS};
use super::tx::{Source, Tx};
use super::vault;
use crate::domain::account::Account;
use crate::domain::ids::{AccountId, AccountName, PlatformName};

/// Writes an account, new or changed, and keeps both look-ups in step.
///
/// [`StoreError::Conflict`] if its name or its remote id belongs to another account.
pub fn put(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let name = account.name.to_string();
    if let Some(other) = by_name(tx, &account.name)?
        && other != account.id
    {
        return Err(StoreError::conflict(format!("account `{name}` exists already")));
    }
    let platform = account.name.platform();
    if let Some(other) = by_remote(tx, platform, &account.remote_id)?
        && other != account.id
    {
        return Err(StoreError::conflict(format!(
            "{platform} account `{}` is connected already",
            account.remote_id
        )));
    }
    if let Some(was) = get(tx, account.id)? {
        unindex(tx, &was)?;
    }
    let id = account.id.as_u128();
    let row = encode(place(id), account)?;
    tx.insert(ACCOUNTS, id, row.as_slice())?;
    tx.insert(ACCOUNT_NAMES, name.as_str(), id)?;
    tx.insert(ACCOUNT_REMOTE, (platform.as_str(), account.remote_id.as_str()), id).map(drop)
}

/// One account.
pub fn get(source: &impl Source, id: AccountId) -> Result<Option<Account>, StoreError> {
    let key = id.as_u128();
    let table = source.table(ACCOUNTS)?;
    table.get(key)?.map(|row| decode(place(key), row.value())).transpose()
}

/// One account, or [`StoreError::NotFound`].
pub fn need(source: &impl Source, id: AccountId) -> Result<Account, StoreError> {
    get(source, id)?.ok_or_else(|| StoreError::not_found(format!("account `{id}`")))
}

/// Whether new work may be taken for an account, in the transaction that takes it.
/// [`StoreError::Leaving`] while it is being disconnected, [`StoreError::NotFound`] afterwards.
/// `name` is how the caller knows it.
pub fn may_take_work(source: &impl Source, id: AccountId, name: &AccountName) -> Result<(), StoreError> {
    vault::not_leaving(source, id)?;
    match get(source, id)? {
        Some(_) => Ok(()),
        None => Err(StoreError::not_found(format!("account `{name}`; it was disconnected"))),
    }
}

/// The account with our name.
pub fn by_name(source: &impl Source, name: &AccountName) -> Result<Option<AccountId>, StoreError> {
    let table = source.table(ACCOUNT_NAMES)?;
    Ok(table.get(name.to_string().as_str())?.map(|it| AccountId::from_u128(it.value())))
}

/// The account with the network's permanent id.
pub fn by_remote(
    source: &impl Source,
    platform: PlatformName,
    remote_id: &str,
) -> Result<Option<AccountId>, StoreError> {
    let table = source.table(ACCOUNT_REMOTE)?;
    Ok(table.get((platform.as_str(), remote_id))?.map(|it| AccountId::from_u128(it.value())))
}

/// All accounts, in the order of their names.
pub fn list(source: &impl Source) -> Result<Vec<Account>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(ACCOUNT_NAMES)?.iter()? {
        found.push(need(source, AccountId::from_u128(row?.1.value()))?);
    }
    Ok(found)
}

/// Gives an account another local name. Deliveries that exist keep the name they were made under.
pub fn rename(tx: &mut Tx<'_>, id: AccountId, name: &AccountName) -> Result<Account, StoreError> {
    let mut account = need(tx, id)?;
    if account.name.platform() != name.platform() {
        return Err(StoreError::conflict(format!("account `{}` cannot become `{name}`", account.name)));
    }
    account.name = name.clone();
    put(tx, &account)?;
    Ok(account)
}

/// Removes the account's row and its look-ups, and says whether it was there. Grants, deliveries
/// and markers have their own functions; an erasure calls them all.
pub fn remove(tx: &mut Tx<'_>, id: AccountId) -> Result<bool, StoreError> {
    let Some(account) = get(tx, id)? else { return Ok(false) };
    unindex(tx, &account)?;
    tx.remove(ACCOUNTS, id.as_u128())
}

fn unindex(tx: &mut Tx<'_>, was: &Account) -> Result<(), StoreError> {
    tx.remove(ACCOUNT_NAMES, was.name.to_string().as_str())?;
    tx.remove(ACCOUNT_REMOTE, (was.name.platform().as_str(), was.remote_id.as_str())).map(drop)
}

fn place(id: u128) -> Place {
    Place { table: "accounts", key: Key::Id(AccountId::PREFIX, id) }
}
