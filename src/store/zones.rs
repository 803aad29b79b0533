//! By which rules of which time zones future instants were reckoned.

use jiff::tz::TimeZone;
use redb::ReadableTable;

use super::errors::StoreError;
use super::tables::{ZONE_HELD, ZONES};
use super::tx::{Source, Tx};
use crate::domain::ids::DeliveryId;
use crate::domain::schedule::{Due, rezone};

/// A zone of the database, with its rules as they are now. Fixed offsets have no rules that change.
fn known(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|it| !it.is_unknown())
}

/// Notes the zone of a due time with the rules in force, unless it is noted already.
pub(super) fn note(tx: &mut Tx<'_>, due: &Due) -> Result<(), StoreError> {
    if tx.table(ZONES)?.get(due.zone.as_str())?.is_some() {
        return Ok(());
    }
    let Some(rules) = known(&due.zone) else { return Ok(()) };
    tx.insert(ZONES, due.zone.as_str(), rezone::print(&rules)).map(drop)
}

/// The zones whose rules are no longer those that instants in the store were reckoned by. The cost
/// is one look per zone that is in use, not per delivery.
pub fn changed(source: &impl Source) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(ZONES)?.iter()? {
        let (name, print) = row?;
        let name = name.value();
        if known(name).is_some_and(|rules| rezone::print(&rules) != print.value()) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// Notes that every instant of a zone agrees with its rules as they are now.
pub fn settled(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    let Some(rules) = known(name) else { return Ok(()) };
    tx.insert(ZONES, name, rezone::print(&rules)).map(drop)
}

/// Writes another print for a zone, as if its instants had been reckoned by other rules.
pub fn set_print(tx: &mut Tx<'_>, name: &str, print: [u8; 32]) -> Result<(), StoreError> {
    tx.insert(ZONES, name, print).map(drop)
}

/// Holds a delivery until a person says that it may go.
pub fn hold(tx: &mut Tx<'_>, id: DeliveryId) -> Result<(), StoreError> {
    tx.insert(ZONE_HELD, id.as_u128(), ()).map(drop)
}

/// Lets a delivery go. Says whether it was held.
pub fn let_go(tx: &mut Tx<'_>, id: DeliveryId) -> Result<bool, StoreError> {
    tx.remove(ZONE_HELD, id.as_u128())
}

/// Whether a delivery is held.
pub fn is_held(source: &impl Source, id: DeliveryId) -> Result<bool, StoreError> {
    Ok(source.table(ZONE_HELD)?.get(id.as_u128())?.is_some())
}

/// All that are held.
pub fn held(source: &impl Source) -> Result<Vec<DeliveryId>, StoreError> {
    let mut found = Vec::new();
    for row in source.table(ZONE_HELD)?.iter()? {
        found.push(DeliveryId::from_u128(row?.0.value()));
    }
    Ok(found)
}
