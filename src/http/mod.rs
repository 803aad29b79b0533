//! Outbound clients: one-shot, reading, egress-guarded. Redaction.
//!
//! Everything that leaves goes through [`Exchange`]. Which client stands behind it decides what a
//! lost answer may mean, so `daemon` picks it, and the rooms that talk take it by argument.

pub mod addresses;
pub mod clients;
pub mod egress;
#[cfg(test)]
mod raw_server;
pub mod redact;
pub mod terminal;

use async_trait::async_trait;
use bytes::Bytes;

/// What a request met when it did not bring an answer. Decides whether an effect is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// No request byte was written: name not found, refused, TLS failed, blocked by our own rules.
    #[error("not sent: {0}")]
    NotSent(String),
    /// At least one byte may have left; the answer never came whole.
    #[error("no answer: {0}")]
    Lost(String),
}

/// One request out, one answer in. Implementations never retry and never follow redirects;
/// answers are capped at 1 MiB.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// Sends the request, whose URI is absolute, and reads the whole answer.
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ExchangeError>;
}
