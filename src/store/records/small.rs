//! The small records: grants, refreshes under way, erasures, receipts, audit rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::post::bad_name;
use super::{Bytes, Stored, digest_from_hex};
use crate::domain::hex::hex;
use crate::store::audit::{AuditRow, Receipt, Told};
use crate::store::spent::Spent;
use crate::store::vault::{Erasure, ErasureLine, Grant, RefreshIntent};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct GrantRow {
    version: u64,
    sealed: Bytes,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl From<&Grant> for GrantRow {
    fn from(it: &Grant) -> Self {
        Self {
            version: it.version,
            sealed: it.sealed.as_slice().into(),
            issued_at: it.issued_at,
            expires_at: it.expires_at,
        }
    }
}

impl Stored for Grant {
    type Twin = GrantRow;

    fn read(row: GrantRow) -> Result<Self, String> {
        Ok(Self {
            version: row.version,
            sealed: row.sealed.read()?,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct RefreshRow {
    account: String,
    version: u64,
    digest: String,
    started: Timestamp,
}

impl From<&RefreshIntent> for RefreshRow {
    fn from(it: &RefreshIntent) -> Self {
        Self {
            account: it.account.to_string(),
            version: it.version,
            digest: hex(&it.digest),
            started: it.started,
        }
    }
}

impl Stored for RefreshIntent {
    type Twin = RefreshRow;

    fn read(row: RefreshRow) -> Result<Self, String> {
        Ok(Self {
            account: row.account.parse().map_err(bad_name)?,
            version: row.version,
            digest: digest_from_hex(&row.digest)?,
            started: row.started,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ErasureRow {
    account: String,
    step: String,
    receipt: String,
    started: Timestamp,
    #[serde(default)]
    name: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    lines: Vec<ErasureLineRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ErasureLineRow {
    what: String,
    place: String,
    result: String,
    message: Option<String>,
    hint: Option<String>,
}

impl From<&Erasure> for ErasureRow {
    fn from(it: &Erasure) -> Self {
        Self {
            account: it.account.to_string(),
            step: it.step.clone(),
            receipt: it.receipt.to_string(),
            started: it.started,
            name: it.name.clone(),
            subject: it.subject.clone(),
            lines: it
                .lines
                .iter()
                .map(|line| ErasureLineRow {
                    what: line.what.clone(),
                    place: line.place.clone(),
                    result: line.result.clone(),
                    message: line.message.clone(),
                    hint: line.hint.clone(),
                })
                .collect(),
        }
    }
}

impl Stored for Erasure {
    type Twin = ErasureRow;

    fn read(row: ErasureRow) -> Result<Self, String> {
        Ok(Self {
            account: row.account.parse().map_err(bad_name)?,
            step: row.step,
            receipt: row.receipt.parse().map_err(bad_name)?,
            started: row.started,
            name: row.name,
            subject: row.subject,
            lines: row
                .lines
                .into_iter()
                .map(|line| ErasureLine {
                    what: line.what,
                    place: line.place,
                    result: line.result,
                    message: line.message,
                    hint: line.hint,
                })
                .collect(),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ReceiptRow {
    id: String,
    kind: String,
    subject: String,
    code: String,
    requested_at: Timestamp,
    finished_at: Option<Timestamp>,
    outcome: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<ToldRow>,
    #[serde(default)]
    parts: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ToldRow {
    account: Option<String>,
    place: Option<String>,
    message: Option<String>,
    hint: Option<String>,
}

impl ToldRow {
    fn read(self) -> Result<Told, String> {
        let account = self.account.map(|it| it.parse().map_err(bad_name)).transpose()?;
        Ok(Told { account, place: self.place, message: self.message, hint: self.hint })
    }
}

impl From<&Receipt> for ReceiptRow {
    fn from(it: &Receipt) -> Self {
        Self {
            id: it.id.to_string(),
            kind: it.kind.clone(),
            subject: it.subject.clone(),
            code: it.code.clone(),
            requested_at: it.requested_at,
            finished_at: it.finished_at,
            outcome: it.outcome.clone(),
            told: it
                .told
                .iter()
                .map(|it| ToldRow {
                    account: it.account.as_ref().map(ToString::to_string),
                    place: it.place.clone(),
                    message: it.message.clone(),
                    hint: it.hint.clone(),
                })
                .collect(),
            parts: it.parts.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Stored for Receipt {
    type Twin = ReceiptRow;

    fn read(row: ReceiptRow) -> Result<Self, String> {
        Ok(Self {
            id: row.id.parse().map_err(bad_name)?,
            kind: row.kind,
            subject: row.subject,
            code: row.code,
            requested_at: row.requested_at,
            finished_at: row.finished_at,
            outcome: row.outcome,
            told: row.told.into_iter().map(ToldRow::read).collect::<Result<_, _>>()?,
            parts: row.parts.iter().map(|it| it.parse().map_err(bad_name)).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct AuditTwin {
    at: Timestamp,
    actor: String,
    action: String,
    subject: Option<String>,
    outcome: String,
}

impl From<&AuditRow> for AuditTwin {
    fn from(it: &AuditRow) -> Self {
        Self {
            at: it.at,
            actor: it.actor.clone(),
            action: it.action.clone(),
            subject: it.subject.clone(),
            outcome: it.outcome.clone(),
        }
    }
}

impl Stored for AuditRow {
    type Twin = AuditTwin;

    fn read(row: AuditTwin) -> Result<Self, String> {
        Ok(Self {
            at: row.at,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            outcome: row.outcome,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct SpentRow {
    /// Count, and millionths of a dollar.
    calls: BTreeMap<String, (u64, u64)>,
}

impl From<&Spent> for SpentRow {
    fn from(it: &Spent) -> Self {
        Self { calls: it.calls.clone() }
    }
}

impl Stored for Spent {
    type Twin = SpentRow;

    fn read(row: SpentRow) -> Result<Self, String> {
        Ok(Self { calls: row.calls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_that_was_kept_before_it_told_more_is_still_read() {
        let old = r#"{"id":"rcp_01890f3e4d5c7b8a9990a1b2c3d4e5f6","kind":"post_delete","subject":"ab","code":"cd",
            "requested_at":"2026-01-02T03:04:05Z","finished_at":null,"outcome":[["post 1 on x:acme","done"]]}"#;
        let read = Receipt::read(serde_json::from_str(old).unwrap()).unwrap();
        assert_eq!((read.outcome.len(), read.told, read.parts), (1, vec![], vec![]));
    }
}
