//! Seeded chance and the world's first instant.

use jiff::{SignedDuration, Timestamp};

/// splitmix64: small, seeded, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0..n
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A span of seconds in from..=to.
    pub(crate) fn secs(&mut self, from: u64, to: u64) -> SignedDuration {
        secs(i64::try_from(from + self.below(to - from + 1)).unwrap())
    }
}

pub(crate) fn start() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

pub(crate) fn secs(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

pub(crate) fn millis(n: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(n).unwrap())
}
