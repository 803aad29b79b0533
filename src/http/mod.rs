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

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

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

/// A server's clock minus ours, in seconds, from its `Date` header.
pub fn skew(headers: &http::HeaderMap, now: jiff::Timestamp) -> Option<i64> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(theirs.as_second() - now.as_second())
}

/// One request out, one answer in. Implementations never retry and never follow redirects;
/// answers are capped at 1 MiB.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// Sends the request, whose URI is absolute, and reads the whole answer.
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ExchangeError>;
}

/// A body that is read while it leaves, so that a film never lies in memory.
pub struct Payload {
    /// How many bytes it has; the request says so before the first.
    pub length: u64,
    pub chunks: BoxStream<'static, io::Result<Bytes>>,
}

/// Sends bodies of any size. Each upload is one attempt on a connection of its own: a body that is
/// read only once cannot be sent again behind our back, and a pooled connection may be dead.
#[async_trait]
pub trait Uploads: Exchange {
    /// As [`Exchange::exchange`], with the time that so large a body may take.
    async fn upload(
        &self,
        head: http::Request<()>,
        payload: Payload,
    ) -> Result<http::Response<Bytes>, ExchangeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_clock_is_compared_with_ours() {
        let now = "2026-12-01T09:00:00Z".parse().unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::DATE, "Tue, 01 Dec 2026 09:02:00 GMT".parse().unwrap());
        assert_eq!(skew(&headers, now), Some(120));
    }
}
