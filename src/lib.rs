//! Sendoff: a self-hosted daemon that publishes and schedules social-media posts.
//!
//! One process, one store, one owner of all decisions. A post is written once; bound for each account
//! it becomes a *delivery*, and a delivery is the one thing here that has a state. Everything else
//! serves to move deliveries from `scheduled` to an end, at most once each, with the reason on record.
//!
//! # The way of one delivery
//! ```text
//!  command line, console                 queue slots, typed times
//!      │ control (Unix socket)                   │ domain::schedule
//!      ▼                                         ▼
//!   daemon ── validate: does it fit? ──► store: post + deliveries, one transaction
//!      ▲                                         │ due index: the next work is the first row
//!      │ effects                                 ▼
//!   engine ◄──────────── due, one lane per account: claimed                    W1
//!      │  decides; holds no socket and no clock
//!      ├─► platforms: what to prepare ── http ──► uploads; handles are kept    W2
//!      ├─► store: intent durable, or nothing leaves                            W3
//!      ├─► platforms: the request ── http, sent exactly once ──► the network
//!      ├─► store: what the answer proved, before anything else                 W4
//!      │       applied ► published     refused ► retry | rejected | needs_reconnect
//!      │       anything else ► unknown: look, by the rules of the network's class
//!      └─► the address to show, counts: later, and never worth a state         W5
//! ```
//!
//! # The rooms, in reading order
//! | room | what it is for |
//! |---|---|
//! | [`domain`] | nouns and rules, pure. Start with [`domain::delivery`], the state machine |
//! | [`platforms`] | one network each, as questions and answers without a socket; abilities are data |
//! | [`engine`] | what happens next: one input, a list of effects |
//! | [`store`] | the only room that names the database; one writer, group commit |
//! | [`daemon`] | carries effects out with the real store, clock and network; answers the socket |
//! | [`control`] | the socket's protocol: messages, server, client |
//! | [`cli`], [`tui`] | the commands and the console, over that socket |
//! | [`auth`], [`http`] | OAuth conversations; clients that send once, never follow, never wander inside |
//! | [`keys`], [`privacy`] | sealing; what must happen, in which order, so that something is gone |
//! | [`web`] | the public listener: connects, media links, Meta's callbacks, legal pages, nothing else |
//! | [`media`], [`validate`] | files that come in; the one check of a post for its targets |
//! | [`config`], [`clock`], [`facts`] | the file as written and as used; the time; plain tables |
//! | [`sandbox`] | strict stand-ins for the networks, sharing no code with our side |
//!
//! Who may use whom is a table in `tests/architecture.rs`, and a test.
//!
//! # What holds everywhere
//! - No byte of a publishing request leaves before its intent is durable. The one function that
//!   publishes takes the intent as an argument, and only the store's commit makes one.
//! - What was sent and not answered is unknown. Only evidence leads out of there, never time alone.
//! - An end never changes. Trying again makes a new delivery.
//! - A write is acknowledged after its own data is on the disk. After the first storage error the
//!   process ends (exit code 75): it is never up and deaf.
//! - A tick costs what is due, not what is stored; memory grows with what is in hand.
//! - Time, chance and the outside come in by argument, so a seed replays a run.
//! - A secret has no `Display` and no `Serialize`. Destroying an account's key is its deletion.
//! - Text from outside is cleaned before a terminal or a log sees it; the network's own words are kept.
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod facts;
pub mod failpoint;
pub mod http;
pub mod keys;
pub mod media;
pub mod planted;
pub mod platforms;
pub mod privacy;
mod rooms;
pub mod sandbox;
pub mod store;
pub mod tui;
pub mod validate;
pub mod web;

/// Runs the program and says how it ended.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    rooms::run(args)
}
