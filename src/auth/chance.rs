//! Unguessable strings and the digests they are looked up by.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Fills a buffer with unpredictable bytes; comes in by argument so that tests can repeat a run.
pub type Random<'a> = dyn Fn(&mut [u8]) + Sync + 'a;

/// 256 bits as 43 characters of base64url: fit for a state, a ticket, a cookie, a PKCE verifier
/// (RFC 7636 §4.1 asks for 43 to 128 characters).
pub(super) fn secret(random: &Random<'_>) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    random(&mut bytes[..]);
    Zeroizing::new(base64url(&bytes[..]))
}

/// 128 bits as 22 characters, for ids that must be unique rather than secret (`jti`).
pub(super) fn unique(random: &Random<'_>) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    base64url(&bytes)
}

/// base64url without padding, as every JOSE and PKCE value is written.
pub(super) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 as a plain array.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What is kept of a one-time secret. Looking secrets up by digest makes the time of a comparison
/// say nothing about the secret, and a memory dump holds nothing that could be presented.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(sha256(secret.as_bytes()))
    }

    pub(crate) fn is_of(self, secret: &str) -> bool {
        self == Self::of(secret)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}
