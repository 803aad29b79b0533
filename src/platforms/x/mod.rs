//! X (formerly Twitter), API v2.

mod emoji;
mod hosts;
mod punycode;
pub mod url_syntax;
pub mod urls;
pub mod weight;
