//! Sendoff: a self-hosted daemon that publishes and schedules social-media posts.
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod facts;
pub mod http;
pub mod keys;
pub mod media;
pub mod platforms;
pub mod privacy;
mod rooms;
pub mod sandbox;
pub mod store;
pub mod validate;
pub mod web;

/// Runs the program and says how it ended.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    rooms::run(args)
}
