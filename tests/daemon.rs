//! The daemon as a whole, in this process: real store, real control socket, real OAuth round trips
//! and real HTTP, against the stand-ins on loopback.
//!
//! The clock is the machine's with a settable lead, shared by the daemon and the stand-ins, so that
//! hours pass at once. Nothing sleeps: everything is waited for, with a limit.

#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "daemon/accounts.rs"]
mod accounts;
#[path = "daemon/callbacks.rs"]
mod callbacks;
#[path = "daemon/clock.rs"]
mod clock;
#[path = "daemon/connecting.rs"]
mod connecting;
#[path = "daemon/disconnect.rs"]
mod disconnect;
#[path = "daemon/disk.rs"]
mod disk;
#[path = "daemon/doctor.rs"]
mod doctor;
#[path = "daemon/drafts.rs"]
mod drafts;
#[path = "daemon/explain.rs"]
mod explain;
#[path = "daemon/facebook.rs"]
mod facebook;
#[path = "daemon/faults.rs"]
mod faults;
#[path = "support/film.rs"]
mod film;
#[path = "daemon/house.rs"]
mod house;
#[path = "daemon/instagram.rs"]
mod instagram;
#[path = "daemon/limits.rs"]
mod limits;
#[path = "daemon/linkedin.rs"]
mod linkedin;
#[path = "daemon/lost.rs"]
mod lost;
#[path = "daemon/media.rs"]
mod media;
#[path = "daemon/missed.rs"]
mod missed;
#[path = "daemon/networks.rs"]
mod networks;
#[path = "support/ports.rs"]
mod ports;
#[path = "daemon/posts.rs"]
mod posts;
#[path = "daemon/queues.rs"]
mod queues;
#[path = "daemon/recurring.rs"]
mod recurring;
#[path = "daemon/resolve.rs"]
mod resolve;
#[path = "daemon/restarts.rs"]
mod restarts;
#[path = "daemon/tiktok.rs"]
mod tiktok;
#[path = "daemon/tokens.rs"]
mod tokens;
#[path = "daemon/trail.rs"]
mod trail;
#[path = "daemon/undo.rs"]
mod undo;
#[path = "daemon/waits.rs"]
mod waits;
#[path = "daemon/x.rs"]
mod x;
