//! How a film is cut for its upload (developers.tiktok.com/doc/content-posting-api-media-transfer-guide).
//!
//! Pieces go up one after the other, each of 5 to 64 MB, the last one with what is left over (up to
//! 128 MB), 1,000 at most; a film below 5 MB goes whole. Megabytes are taken as 1,000,000 bytes, the
//! stricter reading of both bounds where they matter.

/// Up to this a film goes up in one piece.
const WHOLE_MAX: u64 = 64_000_000;
/// The pieces of a longer one. The largest film (4 GB) makes 200 of them.
const PIECE: u64 = 20_000_000;

/// The pieces of one film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of the film.
    pub total: u64,
    /// `chunk_size`
    pub chunk: u64,
    /// `total_chunk_count`
    pub count: u64,
}

impl Plan {
    /// For a film of so many bytes, at least one.
    pub fn of(total: u64) -> Self {
        let chunk = if total <= WHOLE_MAX { total.max(1) } else { PIECE };
        Self { total, chunk, count: (total / chunk).max(1) }
    }

    /// The first byte of the last piece, whose arrival sets the publishing off.
    pub fn last_start(self) -> u64 {
        (self.count - 1) * self.chunk
    }

    /// Bytes of the piece that begins there.
    pub fn length(self, start: u64) -> u64 {
        if start >= self.last_start() { self.total.saturating_sub(start) } else { self.chunk }
    }

    /// Whether a piece begins at this byte.
    pub fn begins_at(self, byte: u64) -> bool {
        byte <= self.last_start() && byte.is_multiple_of(self.chunk)
    }

    /// `bytes {first}-{last}/{total}`, both ends included.
    pub fn range(self, start: u64) -> String {
        format!("bytes {start}-{}/{}", start + self.length(start).max(1) - 1, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB4: u64 = 4_000_000_000;

    /// Every rule of the guide, over one film.
    fn check(total: u64) {
        let plan = Plan::of(total);
        assert_eq!(plan.count, plan.total / plan.chunk, "{total}: the count is rounded down");
        assert!((1..=1_000).contains(&plan.count), "{total}: {}", plan.count);
        let (mut next, mut pieces) = (0, 0);
        while next < total {
            let length = plan.length(next);
            let last = next == plan.last_start();
            assert!(plan.begins_at(next), "{total}");
            let (least, most) = match (total < 5_000_000, last) {
                (true, _) => (total, total),
                (false, true) => (5_000_000, 128_000_000),
                (false, false) => (5_000_000, 64_000_000),
            };
            assert!((least..=most).contains(&length), "{total}: a piece of {length}");
            assert!(last || length == plan.chunk, "{total}: every piece but the last is `chunk_size`");
            assert_eq!(plan.range(next), format!("bytes {next}-{}/{total}", next + length - 1));
            next += length;
            pieces += 1;
        }
        assert_eq!((next, pieces), (total, plan.count), "{total}: no gap, no rest");
        assert!(total <= 64_000_000 || plan.count > 1, "{total}: must be cut");
    }

    #[test]
    fn films_of_every_size_from_a_byte_to_4_gb_are_cut_as_the_guide_says() {
        for around in [1, 5_000_000, 5 << 20, 20_000_000, 40_000_000, 64_000_000, 64 << 20, 80_000_000, GB4] {
            for total in around.max(20) - 19..=(around + 20).min(GB4) {
                check(total);
            }
        }
        // Sizes in between, spread over all of it by a fixed rule.
        let mut total: u64 = 1;
        for n in 0..3_000_u64 {
            total = (total.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n)) % GB4 + 1;
            check(total);
            check(total % 70_000_000 + 1);
        }
    }
}
