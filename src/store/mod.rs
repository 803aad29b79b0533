//! The only room that names redb: what the daemon must not forget.
//!
//! Reading order: [`tables`] (every table, its key order explained), [`records`](self) (on-disk
//! shapes), [`deliveries`] and [`posts`] (small functions over a transaction), `writer` (one
//! writer, group commit), [`open`] (locks, schema, damage), [`ballast`] (room for a full disk),
//! [`generation`] (noticing a store that was rolled back).
//!
//! What the rest of the program may rely on:
//!
//! - A write is acknowledged only after its own data is on the disk: two-phase commit with quick
//!   repair, never a weaker durability.
//! - Writes that arrive while a commit runs share the next one. A caller that is refused spoils
//!   nothing for the others.
//! - A row and its indexes change in one function, in one transaction ([`check`] proves it).
//! - After the first storage error nothing more succeeds: [`Store::failed`] resolves and the
//!   process must end, so that it is started again with a fresh look at the file.
//! - Nothing is kept in memory that grows with the number of stored rows.

pub mod accounts;
pub mod audit;
pub mod ballast;
pub mod check;
pub mod deliveries;
pub mod errors;
pub mod fetches;
pub mod generation;
pub mod intent;
pub mod journal;
pub mod media;
pub mod meta;
pub mod missed;
mod numbered;
pub mod open;
pub mod posts;
pub mod queues;
mod records;
pub mod recurring;
pub mod requests;
pub mod spent;
pub mod tables;
pub mod tx;
pub mod vault;
mod writer;
pub mod zones;

pub use errors::{OpenError, StoreError};
pub use intent::DurableIntent;
pub use open::Options;
pub use tx::{Rx, Source, Tx};
pub use writer::{Compaction, Store};
