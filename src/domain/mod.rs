//! Nouns and rules. Pure: no I/O, no async, no clock, no serde.
//!
//! Start reading at [`delivery`]: the state machine is the heart of the program.

pub mod account;
pub mod attempt;
pub mod cost;
pub mod delivery;
pub mod door;
pub mod figures;
pub mod fit;
pub mod hex;
pub mod ids;
pub mod kind;
pub mod media;
pub mod moment;
pub mod post;
pub mod reach;
pub mod schedule;
