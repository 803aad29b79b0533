//! What was paid for calls, by month (UTC): a row of each account, and one of all accounts of a network.
//!
//! A publishing call is counted in the commit of its intent, so that no crash can make one uncounted;
//! what a refusal shows to have cost nothing is given back with the answer. The row of the network
//! stays when an account goes: it says nothing about anybody, and a budget must not forget.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use redb::ReadableTable;

use super::errors::StoreError;
use super::records::{Key, Place, decode, encode};
use super::tables::SPENT;
use super::tx::{Source, Tx};
use crate::domain::cost::usd;
use crate::domain::ids::{AccountId, PlatformName};

/// What was spent in a month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// Kind of call, by its label (`x.create`) → how many, and what they cost in millionths of a dollar.
    pub calls: BTreeMap<String, (u64, u64)>,
}

impl Spent {
    /// Of all kinds, in millionths of a dollar.
    pub fn micros(&self) -> u64 {
        self.calls.values().fold(0, |sum, (_, micros)| sum.saturating_add(*micros))
    }
}

/// Whose money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purse {
    Account(AccountId),
    /// All accounts of a network, also those that left.
    Network(PlatformName),
}

impl Purse {
    /// Ids begin with their time, so that the few letters of a name are no id.
    fn key(self) -> u128 {
        match self {
            Self::Account(id) => id.as_u128(),
            Self::Network(name) => name.as_str().bytes().fold(0, |key, byte| key << 8 | u128::from(byte)),
        }
    }
}

/// The month of an instant, UTC: 202611.
pub fn month(at: Timestamp) -> u32 {
    let date = at.to_zoned(TimeZone::UTC).date();
    u32::try_from(i32::from(date.year()) * 100 + i32::from(date.month())).unwrap_or_default()
}

/// The month before.
pub fn month_before(month: u32) -> u32 {
    if month % 100 == 1 { month - 89 } else { month - 1 }
}

/// What a purse spent in a month.
pub fn of(source: &impl Source, purse: Purse, month: u32) -> Result<Spent, StoreError> {
    let key = (purse.key(), month);
    let table = source.table(SPENT)?;
    let row = table.get(key)?.map(|row| decode(place(key), row.value())).transpose()?;
    Ok(row.unwrap_or_default())
}

/// Counts one call of an account.
pub fn add(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: PlatformName,
    month: u32,
    label: &str,
    micros: u64,
) -> Result<(), StoreError> {
    change(tx, account, network, month, |it| {
        let (count, sum) = it.calls.entry(label.to_owned()).or_default();
        (*count, *sum) = (count.saturating_add(1), sum.saturating_add(micros));
    })
}

/// A call that was counted has cost this much less; `uncount`: it has cost nothing, as if it had not been.
pub fn give_back(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: PlatformName,
    month: u32,
    label: &str,
    (micros, uncount): (u64, bool),
) -> Result<(), StoreError> {
    change(tx, account, network, month, |it| {
        let Some((count, sum)) = it.calls.get_mut(label) else { return };
        (*count, *sum) = (count.saturating_sub(u64::from(uncount)), sum.saturating_sub(micros));
        if (*count, *sum) == (0, 0) {
            it.calls.remove(label);
        }
    })
}

/// A call that was counted has cost this much more.
pub fn add_more(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: PlatformName,
    month: u32,
    label: &str,
    micros: u64,
) -> Result<(), StoreError> {
    change(tx, account, network, month, |it| {
        let (_, sum) = it.calls.entry(label.to_owned()).or_default();
        *sum = sum.saturating_add(micros);
    })
}

/// Why this much more would be beyond the budget of a network for the month.
pub fn beyond(
    source: &impl Source,
    network: PlatformName,
    month: u32,
    micros: u64,
    budget: u64,
) -> Result<Option<String>, StoreError> {
    let spent = of(source, Purse::Network(network), month)?.micros();
    let over = spent.saturating_add(micros) > budget;
    Ok(over.then(|| {
        format!(
            "the month's budget for {} is {} USD; {} are spent, and this would cost {}",
            network.title(),
            usd(budget),
            usd(spent),
            usd(micros)
        )
    }))
}

/// Reads every row, for [`super::check`].
pub(super) fn all(source: &impl Source) -> Result<Vec<Spent>, StoreError> {
    let table = source.table(SPENT)?;
    let mut found = Vec::new();
    for row in table.iter()? {
        let (key, row) = row?;
        found.push(decode(place(key.value()), row.value())?);
    }
    Ok(found)
}

/// Forgets what an account spent. What its network's accounts spent together stays.
pub fn forget(tx: &mut Tx<'_>, account: AccountId) -> Result<(), StoreError> {
    let key = account.as_u128();
    let mut months = Vec::new();
    for row in tx.table(SPENT)?.range((key, 0)..=(key, u32::MAX))? {
        months.push(row?.0.value());
    }
    months.into_iter().try_for_each(|it| tx.remove(SPENT, it).map(drop))
}

fn change(
    tx: &mut Tx<'_>,
    account: AccountId,
    network: PlatformName,
    month: u32,
    how: impl Fn(&mut Spent),
) -> Result<(), StoreError> {
    for purse in [Purse::Account(account), Purse::Network(network)] {
        let key = (purse.key(), month);
        let mut row = of(tx, purse, month)?;
        how(&mut row);
        let bytes = encode(place(key), &row)?;
        tx.insert(SPENT, key, bytes.as_slice())?;
    }
    Ok(())
}

fn place((id, month): (u128, u32)) -> Place {
    Place { table: "spent", key: Key::Numbered("", id, month) }
}
