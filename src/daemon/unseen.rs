//! What went live just before a stop and was not read back any more (crash point c12 of the guarantees): it is
//! read back after the next start, and its address stored where a network tells it only then.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::ledger::Find;
use crate::domain::account::AccountState;
use crate::domain::delivery::State;
use crate::domain::ids::DeliveryId;
use crate::engine::Unseen;
use crate::store::{Rx, Store, StoreError, accounts, deliveries, journal, vault};

/// What is older was asked for at an earlier start, or has come to nothing meanwhile for other reasons.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// So many lines of the log are looked at. Bounds the time a start takes.
const LINES: usize = 2_000;

/// What was published lately and not seen since, oldest first: for [`Input::Unseen`]. Blocks.
///
/// [`Input::Unseen`]: crate::engine::Input::Unseen
///
/// # Errors
/// Those of the store.
pub fn unseen(store: &Store, find: Find, now: Timestamp) -> Result<Vec<Unseen>, StoreError> {
    let first = now.saturating_sub(YOUNG).unwrap_or(now);
    store.read(|rx| {
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for (id, _) in journal::moves_since(rx, first, LINES)? {
            if !known.insert(id) {
                continue;
            }
            match one(rx, find, id) {
                Err(error) if error.is_fatal() => return Err(error),
                // What is damaged is told when somebody looks at it.
                it => found.extend(it.ok().flatten()),
            }
        }
        found.reverse();
        Ok(found)
    })
}

fn one(rx: &Rx, find: Find, id: DeliveryId) -> Result<Option<Unseen>, StoreError> {
    let is_unseen = |it: &crate::domain::delivery::Delivery| {
        it.state == State::Published && !it.verified && !it.came_to_nothing()
    };
    let Some(delivery) = deliveries::get(rx, id)?.filter(is_unseen) else { return Ok(None) };
    let Some(account) = accounts::get(rx, delivery.account)? else { return Ok(None) };
    // Nothing is asked for an account that is paused, dead or being disconnected.
    let may_be_asked = account.state == AccountState::Ready && account.reason.is_none();
    if !may_be_asked || vault::erasure_of(rx, account.id)?.is_some() {
        return Ok(None);
    }
    Ok(find(account.name.platform()).map(|platform| Unseen { delivery, account, platform }))
}
