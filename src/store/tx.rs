//! The two kinds of transaction, and what the functions of this room need of them.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableHandle as _, Value,
    WriteTransaction,
};

use super::errors::StoreError;
use super::tables::COUNTS;

/// Something rows can be read from: a [`Rx`], or a [`Tx`] that sees its own writes.
pub trait Source {
    /// An open table of this transaction.
    type Table<'a, K: Key + 'static, V: Value + 'static>: Deref<Target: ReadableTable<K, V>>
    where
        Self: 'a;

    /// Opens a table for reading.
    fn table<'a, K: Shelved<V>, V: Value + 'static>(
        &'a self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Self::Table<'a, K, V>, StoreError>;
}

/// A read transaction: one consistent state of the store. Keep it short; pages that it can see
/// are not reused while it lives.
#[derive(Debug)]
pub struct Rx {
    inner: ReadTransaction,
}

impl Rx {
    pub(super) fn new(inner: ReadTransaction) -> Self {
        Self { inner }
    }
}

/// An open table of a read transaction.
pub struct Reading<K: Key + 'static, V: Value + 'static>(ReadOnlyTable<K, V>);

impl<K: Key + 'static, V: Value + 'static> Deref for Reading<K, V> {
    type Target = ReadOnlyTable<K, V>;

    fn deref(&self) -> &ReadOnlyTable<K, V> {
        &self.0
    }
}

impl Source for Rx {
    type Table<'a, K: Key + 'static, V: Value + 'static> = Reading<K, V>;

    fn table<K: Shelved<V>, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Reading<K, V>, StoreError> {
        Ok(Reading(self.inner.open_table(table)?))
    }
}

/// Tables of one column type that are open and not in use.
pub struct Shelf<'t, K: Key + 'static, V: Value + 'static>(RefCell<Vec<Table<'t, K, V>>>);

impl<K: Key + 'static, V: Value + 'static> Default for Shelf<'_, K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// A key type whose tables with values of type `V` have a place in [`Shelves`].
#[diagnostic::on_unimplemented(
    message = "no shelf for tables from `{Self}` to `{V}`",
    note = "add the pair to `shelves!` in store/tx.rs"
)]
pub trait Shelved<V: Value + 'static>: Key + Sized + 'static {
    /// The shelf of these columns.
    fn shelf<'s, 't>(shelves: &'s Shelves<'t>) -> &'s Shelf<'t, Self, V>;
}

macro_rules! shelves {
    ($($name:ident: $key:ty => $value:ty,)*) => {
        /// The tables that were opened in one transaction, kept open for the next caller that shares
        /// it: opening one is a search in the file's catalogue, and a delivery's write touches a
        /// dozen. Also the changes of [`COUNTS`], whose few rows every write would rewrite.
        ///
        /// All must be gone before the transaction can be committed.
        #[derive(Default)]
        pub struct Shelves<'t> {
            counts: RefCell<BTreeMap<&'static str, i64>>,
            $($name: Shelf<'t, $key, $value>,)*
        }

        $(impl Shelved<$value> for $key {
            fn shelf<'s, 't>(shelves: &'s Shelves<'t>) -> &'s Shelf<'t, Self, $value> {
                &shelves.$name
            }
        })*
    };
}

shelves! {
    records: u128 => &'static [u8],
    numbered: (u128, u32) => &'static [u8],
    timed: (i64, u32) => &'static [u8],
    named: &'static str => &'static [u8],
    events: u64 => &'static [u8],
    journal: u64 => (i64, u128, u32),
    ids: u128 => (),
    pairs: (u128, u128) => (),
    triples: (u128, u128, u128) => (),
    times: (i64, u128) => (),
    due: (i64, u128) => (u128, bool),
    of_account: (u128, i64, u128, u128) => (),
    of_state: (&'static str, i64, u128, u128) => (),
    bound: (u128, u128) => (u128, u16),
    markers: (u128, &'static str) => i64,
    numbers: &'static str => u64,
    texts: &'static str => &'static str,
    instants: &'static str => i64,
    names: &'static str => u128,
    prints: &'static str => [u8; 32],
    runs: (&'static str, &'static str) => (u128, u32),
    name_pairs: (&'static str, &'static str) => u128,
    requests: &'static str => ([u8; 32], u128),
}

/// An open table of a write transaction; goes back on its shelf.
pub struct Writing<'s, 't, K: Key + 'static, V: Value + 'static> {
    /// Never `None` while it lives.
    table: Option<Table<'t, K, V>>,
    shelf: &'s Shelf<'t, K, V>,
}

/// Why the `Option` of [`Writing`] is never empty.
const IN_HAND: &str = "the table is taken out only when this is dropped";

impl<'t, K: Key + 'static, V: Value + 'static> Deref for Writing<'_, 't, K, V> {
    type Target = Table<'t, K, V>;

    fn deref(&self) -> &Table<'t, K, V> {
        self.table.as_ref().expect(IN_HAND)
    }
}

impl<K: Key + 'static, V: Value + 'static> DerefMut for Writing<'_, '_, K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.table.as_mut().expect(IN_HAND)
    }
}

impl<K: Key + 'static, V: Value + 'static> Drop for Writing<'_, '_, K, V> {
    fn drop(&mut self) {
        self.shelf.0.borrow_mut().extend(self.table.take());
    }
}

/// A write transaction, which callers take turns in. It counts what the one whose turn it is
/// changed: a refusal before the first change spoils nothing.
pub struct Tx<'t> {
    inner: &'t WriteTransaction,
    shelves: Shelves<'t>,
    writes: u64,
}

impl<'t> Tx<'t> {
    pub(super) fn new(inner: &'t WriteTransaction) -> Self {
        Self { inner, shelves: Shelves::default(), writes: 0 }
    }

    /// The next caller's turn begins.
    pub(super) fn next_turn(&mut self) {
        self.writes = 0;
    }

    /// Changes made in this turn so far.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Writes a row and says whether the key was new.
    pub(super) fn insert<'k, 'v, K: Shelved<V>, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<bool, StoreError> {
        self.writes += 1;
        Ok(self.open(table)?.insert(key, value)?.is_none())
    }

    /// Removes a row and says whether it was there.
    pub(super) fn remove<'k, K: Shelved<V>, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<bool, StoreError> {
        let there = self.open(table)?.remove(key)?.is_some();
        self.writes += u64::from(there);
        Ok(there)
    }

    /// Adds to a number of [`COUNTS`], once for all callers of the transaction.
    pub(super) fn count(&mut self, word: &'static str, by: i64) {
        self.writes += 1;
        *self.shelves.counts.borrow_mut().entry(word).or_default() += by;
    }

    /// Writes what [`Tx::count`] gathered. The last turn of a transaction does it.
    pub(super) fn write_counts(&self) -> Result<(), StoreError> {
        let mut gathered = self.shelves.counts.take();
        // Most states are only passed through.
        gathered.retain(|_, by| *by != 0);
        if gathered.is_empty() {
            return Ok(());
        }
        let mut table = self.open(COUNTS)?;
        for (word, by) in gathered {
            let n = table.get(word)?.map_or(0, |it| it.value());
            match n.saturating_add_signed(by) {
                0 => drop(table.remove(word)?),
                n => drop(table.insert(word, n)?),
            }
        }
        Ok(())
    }

    fn open<K: Shelved<V>, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Writing<'_, 't, K, V>, StoreError> {
        let shelf = K::shelf(&self.shelves);
        let at = shelf.0.borrow().iter().position(|it| it.name() == table.name());
        let table = match at {
            Some(at) => shelf.0.borrow_mut().swap_remove(at),
            None => self.inner.open_table(table)?,
        };
        Ok(Writing { table: Some(table), shelf })
    }
}

impl<'t> Source for Tx<'t> {
    type Table<'a, K: Key + 'static, V: Value + 'static>
        = Writing<'a, 't, K, V>
    where
        Self: 'a;

    fn table<'a, K: Shelved<V>, V: Value + 'static>(
        &'a self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Writing<'a, 't, K, V>, StoreError> {
        if table.name() == COUNTS.name() {
            // Whoever reads them sees what was gathered so far.
            self.write_counts()?;
        }
        self.open(table)
    }
}
