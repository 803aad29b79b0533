//! What a store has, and what a disk would have of it after a power cut.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sendoff::domain::delivery::Delivery;
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::store::{Options, Store, deliveries};

use super::disk::Disk;
use super::plan::ACCOUNTS;

pub(crate) fn options() -> Options {
    Options { cache_bytes: 1 << 20, ..Options::default() }
}

/// Every delivery in the store.
pub(crate) fn all_rows(store: &Store) -> BTreeMap<DeliveryId, Delivery> {
    store
        .read(|rx| {
            let mut rows = BTreeMap::new();
            // Also of those that are disconnected.
            for account in (1..=ACCOUNTS).map(AccountId::from_u128) {
                for id in deliveries::of_account(rx, account, deliveries::Which::All, 1000)? {
                    rows.insert(id, deliveries::need(rx, id)?);
                }
            }
            Ok(rows)
        })
        .unwrap()
}

/// The row as a power cut at this instant would leave it.
pub(crate) fn durable_row(disk: &Disk, now: Timestamp, id: DeliveryId) -> Delivery {
    let store = Store::with_backend(Disk::holding(disk.synced()), now, options()).unwrap();
    store.read(|rx| deliveries::need(rx, id)).unwrap()
}
