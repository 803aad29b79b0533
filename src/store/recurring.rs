//! Recurring posts: which of their runs were made, and how far each has come.
//!
//! A run is (recurring post, local date-time). Its row is written in the transaction that makes its
//! post, and outlives the post: neither a crash nor a reload nor a clock that steps makes a second.

use jiff::{Timestamp, civil};
use redb::ReadableTable;
use sha2::{Digest, Sha256};

use super::errors::StoreError;
use super::records::{Key, Place, decode, encode};
use super::tables::{RUNS, SERIES};
use super::tx::{Source, Tx};
use crate::domain::ids::PostId;

/// Runs whose rows are kept, per recurring post. Older ones go; [`Series::pruned_to`] says how far.
const KEPT: usize = 4000;

/// How far a recurring post has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// All slots up to here were dealt with.
    pub through: Timestamp,
    /// No slot up to here is ever made: the rows that would say so are gone.
    pub pruned_to: Timestamp,
    /// Runs made so far, withdrawn ones not counted.
    pub made: u64,
    /// What its definition looked like when the planned runs were last brought up to date.
    pub digest: [u8; 32],
    /// It stands in the configuration.
    pub active: bool,
    /// Why no run can be made at present.
    pub trouble: Option<String>,
    /// The latest slots that were passed over, oldest first; a few.
    pub skipped: Vec<Skipped>,
}

/// Slots that got no post of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// When that was decided.
    pub at: Timestamp,
    /// How many slots.
    pub slots: u64,
    /// The first and the last of them, as wall time in the recurring post's zone.
    pub first: civil::DateTime,
    pub last: civil::DateTime,
    pub why: String,
}

/// What became of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub local: civil::DateTime,
    /// None: it was passed over.
    pub post: Option<PostId>,
    /// The post's version when it was made or brought up to date. Another one means that a person
    /// has changed it since.
    pub version: u32,
}

/// How far one has come.
pub fn series(source: &impl Source, name: &str) -> Result<Option<Series>, StoreError> {
    let table = source.table(SERIES)?;
    table.get(name)?.map(|row| decode(place(name), row.value())).transpose()
}

/// All there ever were, by name.
pub fn all(source: &impl Source) -> Result<Vec<(String, Series)>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(SERIES)?.iter()? {
        let (name, bytes) = row?;
        let name = name.value().to_owned();
        let series = decode(place(&name), bytes.value())?;
        found.push((name, series));
    }
    Ok(found)
}

/// Writes how far it has come.
pub fn put(tx: &mut Tx<'_>, name: &str, series: &Series) -> Result<(), StoreError> {
    let row = encode(place(name), series)?;
    tx.insert(SERIES, name, row.as_slice()).map(drop)
}

/// The runs whose rows are kept, from a local time on, earliest first.
pub fn runs(source: &impl Source, name: &str, from: Option<civil::DateTime>) -> Result<Vec<Run>, StoreError> {
    let from = from.map(|it| it.to_string()).unwrap_or_default();
    let mut found = Vec::new();
    for row in source.table(RUNS)?.range((name, from.as_str())..)? {
        let (key, value) = row?;
        let (own, local) = key.value();
        if own != name {
            break;
        }
        let local = local.parse().map_err(|error: jiff::Error| StoreError::Damaged {
            table: "runs",
            key: format!("{own} / {local}"),
            why: error.to_string(),
        })?;
        let (post, version) = value.value();
        found.push(Run { local, post: (post != 0).then(|| PostId::from_u128(post)), version });
    }
    Ok(found)
}

/// What became of one slot, if anything did.
pub fn run(source: &impl Source, name: &str, local: civil::DateTime) -> Result<Option<Run>, StoreError> {
    let text = local.to_string();
    let row = source.table(RUNS)?.get((name, text.as_str()))?.map(|it| it.value());
    Ok(row.map(|(post, version)| Run { local, post: (post != 0).then(|| PostId::from_u128(post)), version }))
}

/// Notes what became of a slot. A slot that has a post keeps it: [`StoreError::Conflict`] otherwise.
pub fn put_run(tx: &mut Tx<'_>, name: &str, it: Run) -> Result<(), StoreError> {
    if let Some(post) = run(tx, name, it.local)?.and_then(|before| before.post)
        && it.post != Some(post)
    {
        return Err(StoreError::conflict(format!(
            "the run {} of `{name}` has post `{post}` already",
            it.local
        )));
    }
    let value = (it.post.map_or(0, PostId::as_u128), it.version);
    tx.insert(RUNS, (name, it.local.to_string().as_str()), value).map(drop)
}

/// Forgets a run that was withdrawn before its time.
pub fn remove_run(tx: &mut Tx<'_>, name: &str, local: civil::DateTime) -> Result<(), StoreError> {
    tx.remove(RUNS, (name, local.to_string().as_str())).map(drop)
}

/// Removes the oldest rows beyond the number that is kept; gives the last local time removed.
pub fn prune(tx: &mut Tx<'_>, name: &str) -> Result<Option<civil::DateTime>, StoreError> {
    let all = runs(tx, name, None)?;
    let old = &all[..all.len().saturating_sub(KEPT)];
    for it in old {
        remove_run(tx, name, it.local)?;
    }
    Ok(old.last().map(|it| it.local))
}

fn place(name: &str) -> Place {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name.as_bytes())[..16]);
    Place { table: "series", key: Key::Id("series ", u128::from_be_bytes(half)) }
}
