//! Bluesky, by the AT Protocol.

pub mod richtext;
