//! TikTok's webhook (developers.tiktok.com/doc/webhooks-overview).
//!
//! Read here: the address and the header. Who signed it, and what it says, is for the door to say.

use http::HeaderMap;

/// What became of a word that a network sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Believed; what follows from it, if anything, is done after the answer.
    Yes,
    /// Not believed. Nothing was done.
    No,
    /// It cannot be checked now. The network may come again.
    NotNow,
}

pub(super) const TIKTOK: &str = "/webhooks/tiktok";

/// The one signature. None: there is none, or there are two, and which of them counts is then anybody's
/// guess.
pub(super) fn signature(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all("tiktok-signature").iter();
    let one = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(one)
}
