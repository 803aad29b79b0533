//! The connectors: what each asks its network, what it makes of the answers, and what they all keep.
//! One program for all of them: each test file of its own would be linked with the whole product again.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic, and says why

mod all;
mod bluesky;
mod core_auth;
mod facebook;
mod instagram;
mod instagram_limit;
mod linkedin;
mod linkedin_text;
mod meta_auth;
mod meta_uploads;
mod tiktok;
mod tiktok_late;
mod tiktok_text;
mod twitter_text;
mod x;
mod x_media;

#[path = "../support/graph_spec.rs"]
mod graph_spec;
#[path = "../support/jobs.rs"]
mod jobs;
#[path = "../support/linkedin_spec.rs"]
mod linkedin_spec;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/x_spec.rs"]
mod x_spec;
