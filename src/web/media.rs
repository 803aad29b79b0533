//! `GET,HEAD /m/{token}/{name}`: files for networks that fetch them, whole or in ranges.
//!
//! The listener knows neither what a token says nor where a file lies: the door answers with an open
//! file or with nothing. What it adds is HTTP: ranges (RFC 9110 §14), headers that keep a browser
//! from making more of the bytes than they are, and the count of what really left.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use http::header;

use crate::media::Ready;

/// A file that may be served, and whom to tell about it.
pub struct Served {
    pub mime: &'static str,
    pub ready: Ready,
    /// Called once, when the answer has ended, however it did.
    pub tell: Box<dyn FnOnce(Fetch) + Send + Sync>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("mime", &self.mime).finish_non_exhaustive()
    }
}

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub client: IpAddr,
    /// What the client calls itself.
    pub agent: String,
    pub status: u16,
    /// Bytes of the file that left.
    pub bytes: u64,
}

/// Which bytes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// First byte and number of bytes.
    Piece(u64, u64),
    /// There are none such.
    Beyond,
}

/// What the request asks of a file of `length` bytes. One range is served; several, and what cannot
/// be read, get the whole file, as RFC 9110 §14.2 allows. So does `If-Range`: there is no validator it
/// could match.
pub(super) fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let mut lines = headers.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Wanted::All };
    if headers.contains_key(header::IF_RANGE) {
        return Wanted::All;
    }
    let Some((first, last)) =
        line.to_str().ok().and_then(|it| it.strip_prefix("bytes=")).and_then(|it| it.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        // More digits than a length can have are simply a long way off.
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (first, last) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Some(first), None) if last.is_empty() => (first, length.saturating_sub(1)),
        (None, Some(last)) if first.is_empty() => {
            if last == 0 || length == 0 {
                return Wanted::Beyond;
            }
            (length.saturating_sub(last), length - 1)
        }
        _ => return Wanted::All,
    };
    if first >= length { Wanted::Beyond } else { Wanted::Piece(first, last - first + 1) }
}

/// Tells what left when it is dropped.
pub(super) struct Account {
    tell: Option<Box<dyn FnOnce(Fetch) + Send + Sync>>,
    fetch: Fetch,
}

impl Account {
    pub(super) fn new(tell: Box<dyn FnOnce(Fetch) + Send + Sync>, fetch: Fetch) -> Self {
        Self { tell: Some(tell), fetch }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.fetch.clone());
        }
    }
}

/// A file on its way out, counted.
pub(super) struct Counted {
    pub(super) chunks: BoxStream<'static, std::io::Result<Bytes>>,
    pub(super) account: Account,
}

impl Stream for Counted {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.chunks.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &next {
            self.account.fetch.bytes += chunk.len() as u64;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range: &str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        wanted(&headers, 1000)
    }

    #[test]
    fn one_range_is_understood_and_everything_odd_means_the_whole_file() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Piece(0, 1)),
            ("bytes=0-999", Wanted::Piece(0, 1000)),
            ("bytes=10-19", Wanted::Piece(10, 10)),
            ("bytes=990-5000", Wanted::Piece(990, 10)),
            ("bytes=990-", Wanted::Piece(990, 10)),
            ("bytes=-10", Wanted::Piece(990, 10)),
            ("bytes=-5000", Wanted::Piece(0, 1000)),
            ("bytes=1000-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=5-99999999999999999999999", Wanted::Piece(5, 995)),
            ("bytes=20-10", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            assert_eq!(ask(range), expected, "{range}");
        }
        assert_eq!(wanted(&HeaderMap::new(), 1000), Wanted::All);
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-0".parse().unwrap());
        assert_eq!(wanted(&headers, 0), Wanted::Beyond);
        headers.insert(header::IF_RANGE, "\"x\"".parse().unwrap());
        assert_eq!(wanted(&headers, 1000), Wanted::All);
    }
}
