//! The console: the daemon's face on a terminal.
//!
//! Read in this order: `app` (everything the console knows), `keys` (the one table from which dispatch,
//! footer, help and palette are made), `update` (all decisions: a message in, effects out; no terminal, no
//! socket, no clock), `view` (one file per screen, from state to cells), and `run`, where keys, daemon and
//! time come in and effects are carried out.
//!
//! What it costs: everything shown is a copy of what the daemon said some moments ago. So a deed names its
//! object by id and leaves the decision to the daemon, which may say no.

mod app;
mod compose;
mod details;
mod editor;
mod effect;
mod health;
mod keys;
mod layer;
mod look;
mod pages;
mod picture;
mod remains;
pub mod run;
mod text;
mod update;
mod verdicts;
mod view;
mod when;

#[cfg(test)]
mod tests;
