//! Sealed tokens, refreshes under way, sealed application keys, and erasures.
//!
//! Sealing is another room's work: what comes in here is ciphertext already.

use jiff::Timestamp;
use redb::ReadableTable;

use super::accounts;
use super::errors::StoreError;
use super::records::{Key, Place, Stored, decode, encode};
use super::tables::{BOUND, CLIENT_KEYS, ERASURES, GRANTS, REFRESH_INTENTS, TOMBSTONES};
use super::tx::{Source, Tx};
use crate::domain::account::AccountState;
use crate::domain::ids::{AccountId, ReceiptId};

/// The sealed tokens of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Counts the grants of the account, from 1. The store sets it.
    pub version: u64,
    /// Ciphertext.
    pub sealed: Vec<u8>,
    pub issued_at: Option<Timestamp>,
    /// End of the access token.
    pub expires_at: Option<Timestamp>,
}

/// A refresh that was sent, or is about to be. Rotating tokens die if its answer is lost, so it is
/// durable before the request leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshIntent {
    pub account: AccountId,
    /// The version of the grant it refreshes.
    pub version: u64,
    /// SHA-256 of the refresh token it spends.
    pub digest: [u8; 32],
    pub started: Timestamp,
}

/// How far the erasure of an account has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    pub account: AccountId,
    /// The last step that was completed, in the words of the plan that is carried out.
    pub step: String,
    pub receipt: ReceiptId,
    pub started: Timestamp,
    /// `platform:handle`, so that the account can still be named when its row is gone.
    pub name: String,
    /// Keyed hash of the network's id, in hex: all that the finished receipt keeps of it.
    pub subject: String,
    /// What the steps done so far came to. A crash must not cost the receipt its first lines.
    pub lines: Vec<ErasureLine>,
}

/// One line of the receipt of an erasure. No token, no text of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureLine {
    pub what: String,
    pub place: String,
    /// `done`, `not_possible`, `failed`.
    pub result: String,
    pub message: Option<String>,
    pub hint: Option<String>,
}

/// Writes new tokens of an account and ends a refresh that brought them. Returns the new version.
///
/// `replaces` is the version the caller started from, `None` for a fresh connection (which replaces
/// whatever is there). [`StoreError::Conflict`] if another grant was written meanwhile. A fresh
/// connection is [`StoreError::Leaving`] while the account is being erased; a refresh that was under
/// way may end, so that the erasure revokes the tokens it brought.
pub fn put_grant(
    tx: &mut Tx<'_>,
    account: AccountId,
    replaces: Option<u64>,
    sealed: &[u8],
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
) -> Result<u64, StoreError> {
    if replaces.is_none() {
        not_leaving(tx, account)?;
    }
    let before = get_grant(tx, account)?.map_or(0, |it| it.version);
    if replaces.is_some_and(|it| it != before) {
        return Err(StoreError::conflict(format!(
            "the tokens of account `{account}` were replaced meanwhile"
        )));
    }
    let version = before + 1;
    let grant = Grant { version, sealed: sealed.to_vec(), issued_at, expires_at };
    put(tx, GRANTS, "grants", account, &grant)?;
    tx.remove(REFRESH_INTENTS, account.as_u128())?;
    Ok(version)
}

/// The sealed tokens of an account.
pub fn get_grant(source: &impl Source, account: AccountId) -> Result<Option<Grant>, StoreError> {
    get(source, GRANTS, "grants", account)
}

/// Removes the tokens of an account and any refresh under way. Says whether there were tokens.
pub fn remove_grant(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, StoreError> {
    tx.remove(REFRESH_INTENTS, account.as_u128())?;
    tx.remove(GRANTS, account.as_u128())
}

/// Notes that a refresh is about to be sent. [`StoreError::Conflict`] if its grant is no longer the
/// stored one, [`StoreError::Leaving`] if the account is being erased.
pub fn begin_refresh(tx: &mut Tx<'_>, intent: &RefreshIntent) -> Result<(), StoreError> {
    not_leaving(tx, intent.account)?;
    if get_grant(tx, intent.account)?.map(|it| it.version) != Some(intent.version) {
        return Err(StoreError::conflict(format!(
            "the tokens of account `{}` were replaced meanwhile",
            intent.account
        )));
    }
    put(tx, REFRESH_INTENTS, "refresh_intents", intent.account, intent)
}

/// The refresh under way for an account.
pub fn refresh_of(source: &impl Source, account: AccountId) -> Result<Option<RefreshIntent>, StoreError> {
    get(source, REFRESH_INTENTS, "refresh_intents", account)
}

/// Ends a refresh that brought no new tokens.
pub fn clear_refresh(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, StoreError> {
    tx.remove(REFRESH_INTENTS, account.as_u128())
}

/// All refreshes under way: at start-up, those whose answer was lost.
pub fn refreshes(source: &impl Source) -> Result<Vec<RefreshIntent>, StoreError> {
    list(source, REFRESH_INTENTS, "refresh_intents")
}

/// Writes a sealed key of the application itself.
pub fn put_client_key(tx: &mut Tx<'_>, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
    tx.insert(CLIENT_KEYS, name, sealed).map(drop)
}

/// A sealed key of the application itself.
pub fn get_client_key(source: &impl Source, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(source.table(CLIENT_KEYS)?.get(name)?.map(|it| it.value().to_vec()))
}

/// Starts an erasure and stops the account in the same commit, so that nothing is sent and nothing
/// new is taken for it from here on. If one is under way already, that one is returned and nothing
/// is written: there is one erasure per account, whoever asks.
pub fn begin_erasure(tx: &mut Tx<'_>, erasure: &Erasure) -> Result<Erasure, StoreError> {
    if let Some(under_way) = erasure_of(tx, erasure.account)? {
        return Ok(under_way);
    }
    if let Some(mut account) = accounts::get(tx, erasure.account)? {
        account.state = AccountState::Paused;
        account.reason = Some("it is being disconnected".to_owned());
        accounts::put(tx, &account)?;
    }
    put(tx, ERASURES, "erasures", erasure.account, erasure)?;
    Ok(erasure.clone())
}

/// Notes a completed step and what came of it.
pub fn advance_erasure(
    tx: &mut Tx<'_>,
    account: AccountId,
    step: &str,
    lines: &[ErasureLine],
) -> Result<(), StoreError> {
    let mut erasure = erasure_of(tx, account)?
        .ok_or_else(|| StoreError::not_found(format!("erasure of account `{account}`")))?;
    step.clone_into(&mut erasure.step);
    erasure.lines.extend_from_slice(lines);
    put(tx, ERASURES, "erasures", account, &erasure)
}

/// [`StoreError::Leaving`] while the account is being erased.
pub fn not_leaving(source: &impl Source, account: AccountId) -> Result<(), StoreError> {
    match erasure_of(source, account)? {
        Some(erasure) => Err(StoreError::Leaving { account: erasure.name }),
        None => Ok(()),
    }
}

/// Ends an erasure: what is left of the account's markers goes too. Says whether an erasure was under way.
pub fn finish_erasure(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, StoreError> {
    let id = account.as_u128();
    let mut bound = Vec::new();
    for row in tx.table(BOUND)?.range((id, 0)..=(id, u128::MAX))? {
        bound.push(row?.0.value());
    }
    for key in bound {
        tx.remove(BOUND, key)?;
    }
    let mut markers = Vec::new();
    for row in tx.table(TOMBSTONES)?.range((id, "")..)? {
        let (key, _) = row?;
        let (of, marker) = key.value();
        if of != id {
            break;
        }
        markers.push(marker.to_owned());
    }
    for marker in markers {
        tx.remove(TOMBSTONES, (id, marker.as_str()))?;
    }
    tx.remove(ERASURES, id)
}

/// The erasure under way for an account.
pub fn erasure_of(source: &impl Source, account: AccountId) -> Result<Option<Erasure>, StoreError> {
    get(source, ERASURES, "erasures", account)
}

/// All erasures under way: at start-up, those a crash interrupted.
pub fn erasures(source: &impl Source) -> Result<Vec<Erasure>, StoreError> {
    list(source, ERASURES, "erasures")
}

type Records = redb::TableDefinition<'static, u128, &'static [u8]>;

fn put<D: Stored>(
    tx: &mut Tx<'_>,
    table: Records,
    name: &'static str,
    account: AccountId,
    value: &D,
) -> Result<(), StoreError> {
    let id = account.as_u128();
    let row = encode(place(name, id), value)?;
    tx.insert(table, id, row.as_slice()).map(drop)
}

fn get<D: Stored>(
    source: &impl Source,
    table: Records,
    name: &'static str,
    account: AccountId,
) -> Result<Option<D>, StoreError> {
    let id = account.as_u128();
    let table = source.table(table)?;
    table.get(id)?.map(|row| decode(place(name, id), row.value())).transpose()
}

fn list<D: Stored>(source: &impl Source, table: Records, name: &'static str) -> Result<Vec<D>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(table)?.iter()? {
        let (id, bytes) = row?;
        found.push(decode(place(name, id.value()), bytes.value())?);
    }
    Ok(found)
}

fn place(table: &'static str, id: u128) -> Place {
    Place { table, key: Key::Id(AccountId::PREFIX, id) }
}
