//! The two kinds of transaction, and what the functions of this room need of them.

use std::borrow::Borrow;

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, Value, WriteTransaction,
};

use super::errors::StoreError;

/// Something rows can be read from: a [`Rx`], or a [`Tx`] that sees its own writes.
pub trait Source {
    /// An open table of this transaction.
    type Table<'a, K: Key + 'static, V: Value + 'static>: ReadableTable<K, V>
    where
        Self: 'a;

    /// Opens a table for reading.
    fn table<'a, K: Key + 'static, V: Value + 'static>(
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

impl Source for Rx {
    type Table<'a, K: Key + 'static, V: Value + 'static> = ReadOnlyTable<K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StoreError> {
        Ok(self.inner.open_table(table)?)
    }
}

/// One caller's turn inside a write transaction that it may share with others. It counts what the
/// caller changed: a refusal before the first change spoils nothing.
pub struct Tx<'t> {
    inner: &'t WriteTransaction,
    writes: u64,
}

impl<'t> Tx<'t> {
    pub(super) fn new(inner: &'t WriteTransaction) -> Self {
        Self { inner, writes: 0 }
    }

    /// Changes made so far.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Writes a row and says whether the key was new.
    pub(super) fn insert<'k, 'v, K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<bool, StoreError> {
        self.writes += 1;
        Ok(self.inner.open_table(table)?.insert(key, value)?.is_none())
    }

    /// Removes a row and says whether it was there.
    pub(super) fn remove<'k, K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<bool, StoreError> {
        let there = self.inner.open_table(table)?.remove(key)?.is_some();
        self.writes += u64::from(there);
        Ok(there)
    }
}

impl Source for Tx<'_> {
    type Table<'a, K: Key + 'static, V: Value + 'static>
        = Table<'a, K, V>
    where
        Self: 'a;

    fn table<'a, K: Key + 'static, V: Value + 'static>(
        &'a self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Table<'a, K, V>, StoreError> {
        Ok(self.inner.open_table(table)?)
    }
}
