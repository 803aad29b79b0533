//! Requests that all of a person's data be deleted: asked through a network, or by the operator.
//!
//! A request is a receipt that is not finished yet. It is written in one commit with the first step
//! of every erasure it asks for, so that whoever was answered has been heard, whatever happens next.

use redb::ReadableTable;

use super::audit::{Receipt, put_receipt, receipt};
use super::errors::StoreError;
use super::tables::{REQUESTS, REQUESTS_OPEN};
use super::tx::{Source, Tx};
use crate::domain::ids::ReceiptId;

/// Writes a request, new or changed, and keeps both look-ups in step: it is the latest of its
/// subject, and it is open until it is finished.
pub fn put(tx: &mut Tx<'_>, request: &Receipt) -> Result<(), StoreError> {
    let id = request.id.as_u128();
    put_receipt(tx, request)?;
    tx.insert(REQUESTS, request.subject.as_str(), id)?;
    if request.finished_at.is_none() {
        tx.insert(REQUESTS_OPEN, id, ()).map(drop)
    } else {
        tx.remove(REQUESTS_OPEN, id).map(drop)
    }
}

/// The latest request for a subject, a keyed hash.
pub fn latest(source: &impl Source, subject: &str) -> Result<Option<Receipt>, StoreError> {
    let id = source.table(REQUESTS)?.get(subject)?.map(|it| ReceiptId::from_u128(it.value()));
    match id {
        Some(id) => receipt(source, id),
        None => Ok(None),
    }
}

/// Requests that are not finished, oldest first.
pub fn open(source: &impl Source) -> Result<Vec<ReceiptId>, StoreError> {
    let table = source.table(REQUESTS_OPEN)?;
    table.iter()?.map(|row| Ok(ReceiptId::from_u128(row?.0.value()))).collect()
}
