//! How far a recurring post has come, and what happened beside the deliveries.

use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

use super::{Stored, digest_from_hex};
use crate::domain::hex::hex;
use crate::store::journal::Happening;
use crate::store::recurring::{Series, Skipped};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct SeriesRow {
    through: Timestamp,
    pruned_to: Timestamp,
    made: u64,
    digest: String,
    active: bool,
    trouble: Option<String>,
    skipped: Vec<SkippedRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SkippedRow {
    at: Timestamp,
    slots: u64,
    first: civil::DateTime,
    last: civil::DateTime,
    why: String,
}

impl From<&Series> for SeriesRow {
    fn from(it: &Series) -> Self {
        let skipped = it.skipped.iter().map(|it| SkippedRow {
            at: it.at,
            slots: it.slots,
            first: it.first,
            last: it.last,
            why: it.why.clone(),
        });
        Self {
            through: it.through,
            pruned_to: it.pruned_to,
            made: it.made,
            digest: hex(&it.digest),
            active: it.active,
            trouble: it.trouble.clone(),
            skipped: skipped.collect(),
        }
    }
}

impl Stored for Series {
    type Twin = SeriesRow;

    fn read(row: SeriesRow) -> Result<Self, String> {
        let skipped = row.skipped.into_iter().map(|it| Skipped {
            at: it.at,
            slots: it.slots,
            first: it.first,
            last: it.last,
            why: it.why,
        });
        Ok(Self {
            through: row.through,
            pruned_to: row.pruned_to,
            made: row.made,
            digest: digest_from_hex(&row.digest)?,
            active: row.active,
            trouble: row.trouble,
            skipped: skipped.collect(),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct HappeningRow {
    at: Timestamp,
    level: String,
    event: String,
    message: String,
    account: Option<String>,
}

impl From<&Happening> for HappeningRow {
    fn from(it: &Happening) -> Self {
        Self {
            at: it.at,
            level: it.level.clone(),
            event: it.event.clone(),
            message: it.message.clone(),
            account: it.account.clone(),
        }
    }
}

impl Stored for Happening {
    type Twin = HappeningRow;

    fn read(row: HappeningRow) -> Result<Self, String> {
        Ok(Self {
            at: row.at,
            level: row.level,
            event: row.event,
            message: row.message,
            account: row.account,
        })
    }
}
