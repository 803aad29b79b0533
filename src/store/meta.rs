//! Numbers the daemon keeps about itself.

use jiff::Timestamp;
use redb::ReadableTable;

use super::errors::StoreError;
use super::tables::{META, NOTES};
use super::tx::{Source, Tx};
use crate::domain::delivery::Restored;
use crate::domain::ids::PlatformName;

/// The latest wall time the daemon is sure to have seen. A clock behind it is wrong.
pub fn high_water(source: &impl Source) -> Result<Option<Timestamp>, StoreError> {
    let ms = number(source, "high_water_ms")?.and_then(|it| i64::try_from(it).ok());
    Ok(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Raises the high-water mark; an earlier instant changes nothing.
pub fn raise_high_water(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    if number(tx, "high_water_ms")?.is_some_and(|it| it >= ms) {
        return Ok(());
    }
    tx.insert(META, "high_water_ms", ms).map(drop)
}

/// Sets the high-water mark, lower too: it was noted while the clock was wrong.
pub fn set_high_water(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.insert(META, "high_water_ms", u64::try_from(now.as_millisecond()).unwrap_or(0)).map(drop)
}

/// Counts the store's generations; the sidecar file holds the largest, so that a store that was
/// rolled back is noticed.
pub fn generation(source: &impl Source) -> Result<u64, StoreError> {
    Ok(number(source, "generation")?.unwrap_or(0))
}

/// Sets the generation.
pub fn set_generation(tx: &mut Tx<'_>, generation: u64) -> Result<(), StoreError> {
    tx.insert(META, "generation", generation).map(drop)
}

/// Notes that the store was brought back from a copy: up to where that knew what happened, and when it
/// was brought back.
pub fn set_restored(tx: &mut Tx<'_>, known: Timestamp, at: Timestamp) -> Result<(), StoreError> {
    let ms = |it: Timestamp| u64::try_from(it.as_millisecond()).unwrap_or(0);
    tx.insert(META, "restored_known_ms", ms(known))?;
    tx.insert(META, "restored_at_ms", ms(at)).map(drop)
}

/// Whether the store was ever brought back from a copy: what [`set_restored`] noted last.
pub fn restored(source: &impl Source) -> Result<Option<Restored>, StoreError> {
    let instant = |name| {
        let ms = number(source, name)?.and_then(|it| i64::try_from(it).ok());
        Ok::<_, StoreError>(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    };
    let (known, at) = (instant("restored_known_ms")?, instant("restored_at_ms")?);
    Ok(known.zip(at).map(|(known, at)| Restored { known, at: at.into() }))
}

/// When the store was made.
pub fn created_at(source: &impl Source) -> Result<Option<Timestamp>, StoreError> {
    let ms = number(source, "created_ms")?.and_then(|it| i64::try_from(it).ok());
    Ok(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Notes that sending was stopped: why, and since when. `None`: it runs.
pub fn set_pause(tx: &mut Tx<'_>, pause: Option<(Option<String>, Timestamp)>) -> Result<(), StoreError> {
    tx.remove(NOTES, "pause_reason")?;
    let Some((reason, since)) = pause else { return tx.remove(META, "paused_ms").map(drop) };
    if let Some(reason) = &reason {
        tx.insert(NOTES, "pause_reason", reason.as_str())?;
    }
    tx.insert(META, "paused_ms", u64::try_from(since.as_millisecond()).unwrap_or(0)).map(drop)
}

/// Whether sending is stopped: why, and since when.
pub fn pause(source: &impl Source) -> Result<Option<(Option<String>, Timestamp)>, StoreError> {
    let since =
        number(source, "paused_ms")?.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
    let Some(since) = since else { return Ok(None) };
    let reason = source.table(NOTES)?.get("pause_reason")?.map(|it| it.value().to_owned());
    Ok(Some((reason, since)))
}

/// Notes how many deliveries new zone rules moved, and when that was noticed.
pub fn set_zone_moves(tx: &mut Tx<'_>, moved: u64, now: Timestamp) -> Result<(), StoreError> {
    tx.insert(META, "zone_moved", moved)?;
    tx.insert(META, "zone_moved_ms", u64::try_from(now.as_millisecond()).unwrap_or(0)).map(drop)
}

/// How many deliveries new zone rules moved the last time, and when that was.
pub fn zone_moves(source: &impl Source) -> Result<Option<(u64, Timestamp)>, StoreError> {
    let at = number(source, "zone_moved_ms")?.and_then(|ms| i64::try_from(ms).ok());
    let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Ok(number(source, "zone_moved")?.zip(at))
}

/// Up to which line of the log the answers of a network were forgotten, as its rule demands.
pub fn forgotten_upto(source: &impl Source, network: PlatformName) -> Result<u64, StoreError> {
    Ok(number(source, &format!("answers_forgotten_{network}"))?.unwrap_or(0))
}

/// Notes how far that has come.
pub fn set_forgotten_upto(tx: &mut Tx<'_>, network: PlatformName, line: u64) -> Result<(), StoreError> {
    tx.insert(META, format!("answers_forgotten_{network}").as_str(), line).map(drop)
}

/// Up to which line of the log a start has asked for what was published and not read back.
pub fn read_back_upto(source: &impl Source) -> Result<u64, StoreError> {
    Ok(number(source, "read_back_upto")?.unwrap_or(0))
}

/// Notes how far that has come.
pub fn set_read_back_upto(tx: &mut Tx<'_>, line: u64) -> Result<(), StoreError> {
    tx.insert(META, "read_back_upto", line).map(drop)
}

fn number(source: &impl Source, name: &str) -> Result<Option<u64>, StoreError> {
    Ok(source.table(META)?.get(name)?.map(|it| it.value()))
}
