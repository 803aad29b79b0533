//! Figures as people read them, in the units that limits are written in.

use super::media::decimal;

/// Bytes for people, in the units that limits are written in: `8 MB`, `1.5 GB`, `700 bytes`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", decimal(bytes.div_ceil(10_000) * 10)),
        _ => format!("{} GB", decimal(bytes.div_ceil(10_000_000) * 10)),
    }
}

/// The least or most pixels of a picture; of the side that is limited alone, where the other may be anything
/// (1 at least, `u32::MAX` at most).
pub fn sides(width: u32, height: u32) -> String {
    match (width, height) {
        (_, 1 | u32::MAX) => format!("a width of {width}"),
        (1 | u32::MAX, _) => format!("a height of {height}"),
        _ => format!("{width}×{height}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_without_a_limit_is_not_named() {
        assert_eq!(sides(1920, u32::MAX), "a width of 1920");
        assert_eq!(sides(u32::MAX, 1080), "a height of 1080");
        assert_eq!(sides(540, 1), "a width of 540");
        assert_eq!(sides(1280, 720), "1280×720");
    }
}
