//! The program as a person meets it: processes of their own, bad input, deaths, full disks, and what
//! is left on the disk when an account is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod bad_input;
mod bad_media;
mod check;
mod console;
mod crash;
mod demo;
mod disk_full;
mod forensic;

#[path = "../support/e2e.rs"]
#[allow(dead_code, reason = "the other test programs use the rest")]
mod e2e;
#[path = "../support/film.rs"]
mod film;
