//! What was done and by whom, and receipts for what was deleted.

use jiff::Timestamp;
use redb::ReadableTable;

use super::errors::StoreError;
use super::records::{Key, Place, decode, encode};
use super::tables::{AUDIT, RECEIPT_CODES, RECEIPTS};
use super::tx::{Source, Tx};
use crate::domain::ids::{AccountId, ReceiptId};

/// One line of the audit trail. No content, no token, no address of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub at: Timestamp,
    /// `uid:1000`, `daemon`, a network's name.
    pub actor: String,
    /// A stable word: `account.disconnect`, …
    pub action: String,
    /// The id it was done to.
    pub subject: Option<String>,
    /// `ok`, or what went wrong.
    pub outcome: String,
}

/// A record of a deletion. It outlives what was deleted, so it holds nothing that names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub id: ReceiptId,
    /// A stable word: `disconnect`, `data_deletion`, …
    pub kind: String,
    /// Keyed hash of the id the request was about.
    pub subject: String,
    /// What the public status page is asked with. Unguessable.
    pub code: String,
    pub requested_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Step and what came of it, in order.
    pub outcome: Vec<(String, String)>,
    /// What is known of each step besides, in the same order; empty in what was written before it was kept.
    pub told: Vec<Told>,
    /// The receipts of the accounts that go for it, where it is a request for all of a person's.
    pub parts: Vec<ReceiptId>,
}

/// What somebody who looks at a step of a receipt later needs: the network's words above all. What names
/// an account goes with that account ([`forget_account`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The account whose object it was.
    pub account: Option<AccountId>,
    /// The object's address or id, or the network.
    pub place: Option<String>,
    pub message: Option<String>,
    pub hint: Option<String>,
}

/// Where a page of the trail ended.
pub type AuditCursor = (i64, u32);

/// Adds a line to the trail.
pub fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), StoreError> {
    let ms = row.at.as_millisecond();
    let last = {
        let table = tx.table(AUDIT)?;
        table.range((ms, 0)..=(ms, u32::MAX))?.next_back().transpose()?.map(|(key, _)| key.value().1)
    };
    let seq = last.map_or(0, |it| it.saturating_add(1));
    let bytes = encode(audit_place(ms, seq), row)?;
    tx.insert(AUDIT, (ms, seq), bytes.as_slice()).map(drop)
}

/// The trail, newest first, at most `limit`, before a cursor.
pub fn list(
    source: &impl Source,
    limit: usize,
    before: Option<AuditCursor>,
) -> Result<(Vec<AuditRow>, Option<AuditCursor>), StoreError> {
    let table = source.table(AUDIT)?;
    let mut rows = match before {
        Some(before) => table.range(..before)?,
        None => table.iter()?,
    };
    let (mut found, mut at) = (Vec::new(), None);
    while let Some(row) = rows.next_back() {
        if found.len() == limit {
            return Ok((found, at));
        }
        let (key, bytes) = row?;
        let key = key.value();
        found.push(decode(audit_place(key.0, key.1), bytes.value())?);
        at = Some(key);
    }
    Ok((found, None))
}

/// Removes up to `max` lines older than an instant; says how many. Retention calls it until 0.
pub fn prune(tx: &mut Tx<'_>, before: Timestamp, max: usize) -> Result<usize, StoreError> {
    let mut old = Vec::new();
    for row in tx.table(AUDIT)?.range(..(before.as_millisecond(), 0))?.take(max) {
        old.push(row?.0.value());
    }
    for key in &old {
        tx.remove(AUDIT, *key)?;
    }
    Ok(old.len())
}

/// Writes a receipt, new or completed.
pub fn put_receipt(tx: &mut Tx<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    let id = receipt.id.as_u128();
    if let Some(other) = receipt_id(tx, &receipt.code)?
        && other != receipt.id
    {
        return Err(StoreError::conflict("the confirmation code is in use"));
    }
    let bytes = encode(receipt_place(id), receipt)?;
    tx.insert(RECEIPTS, id, bytes.as_slice())?;
    tx.insert(RECEIPT_CODES, receipt.code.as_str(), id).map(drop)
}

/// One receipt.
pub fn receipt(source: &impl Source, id: ReceiptId) -> Result<Option<Receipt>, StoreError> {
    let key = id.as_u128();
    let table = source.table(RECEIPTS)?;
    table.get(key)?.map(|row| decode(receipt_place(key), row.value())).transpose()
}

/// The receipt behind a confirmation code.
pub fn receipt_by_code(source: &impl Source, code: &str) -> Result<Option<Receipt>, StoreError> {
    match receipt_id(source, code)? {
        Some(id) => receipt(source, id),
        None => Ok(None),
    }
}

/// Receipts, newest first, at most `limit`.
pub fn receipts(source: &impl Source, limit: usize) -> Result<Vec<Receipt>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(RECEIPTS)?.iter()?.rev().take(limit) {
        let (id, bytes) = row?;
        found.push(decode(receipt_place(id.value()), bytes.value())?);
    }
    Ok(found)
}

/// Takes all that was told of an account's objects out of every receipt, and its name (`x:acme`): they
/// outlive it. Says how many were changed.
pub fn forget_account(tx: &mut Tx<'_>, id: AccountId, name: &str) -> Result<usize, StoreError> {
    let behind = format!(" on {name}");
    let mut changed = Vec::new();
    for row in tx.table(RECEIPTS)?.iter()? {
        let (key, bytes) = row?;
        let was: Receipt = decode(receipt_place(key.value()), bytes.value())?;
        let mut now = was.clone();
        for told in now.told.iter_mut().filter(|it| it.account == Some(id)) {
            *told = Told::default();
        }
        for (what, _) in &mut now.outcome {
            // Before the account had a field of its own, it stood here.
            if let Some(short) = what.strip_suffix(&behind) {
                *what = short.to_owned();
            }
        }
        changed.extend((now != was).then_some(now));
    }
    for it in &changed {
        put_receipt(tx, it)?;
    }
    Ok(changed.len())
}

fn receipt_id(source: &impl Source, code: &str) -> Result<Option<ReceiptId>, StoreError> {
    Ok(source.table(RECEIPT_CODES)?.get(code)?.map(|it| ReceiptId::from_u128(it.value())))
}

fn receipt_place(id: u128) -> Place {
    Place { table: "receipts", key: Key::Id(ReceiptId::PREFIX, id) }
}

fn audit_place(ms: i64, seq: u32) -> Place {
    Place { table: "audit", key: Key::Time(ms, seq) }
}
