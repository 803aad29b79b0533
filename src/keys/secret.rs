//! Thirty-two secret bytes that clear themselves.

use std::fmt;

use zeroize::Zeroize;

use super::error::KeyError;

/// A 256-bit key. It lives on the heap, so moving it leaves no copy behind, and is zeroed on drop.
#[derive(Clone)]
pub(super) struct Secret(Box<[u8; 32]>);

impl Secret {
    /// An all-zero key for `fill` to write into.
    pub(super) fn with<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new([0; 32]));
        fill(&mut key.0)?;
        Ok(key)
    }

    /// A key out of the operating system's randomness.
    pub(super) fn random() -> Result<Self, KeyError> {
        Self::with(|bytes| getrandom::fill(bytes)).map_err(KeyError::Random)
    }

    /// The bytes. Every caller is in this room.
    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
