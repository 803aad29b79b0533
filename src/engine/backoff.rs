//! How long to wait before the next try. Delay n = uniform(½, 1) × min(cap, base × 2ⁿ).

use jiff::SignedDuration;

/// Base and cap of one kind of trouble (delivery guarantees §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    pub base: SignedDuration,
    pub cap: SignedDuration,
    /// Tries before it is given up; `u16::MAX` = until `give_up_at`.
    pub tries: u16,
}

/// The request never left.
pub const NOT_SENT: Ladder =
    Ladder { base: SignedDuration::from_secs(5), cap: SignedDuration::from_mins(15), tries: u16::MAX };
/// Trouble on a call that publishes nothing.
pub const PREPARING: Ladder =
    Ladder { base: SignedDuration::from_secs(10), cap: SignedDuration::from_mins(15), tries: 12 };
/// What was uploaded is still being worked on: 36 tries are about half an hour.
pub const PROCESSING: Ladder =
    Ladder { base: SignedDuration::from_secs(5), cap: SignedDuration::from_secs(60), tries: 36 };
/// Rate limited without a reset time.
pub const NO_RESET: Ladder =
    Ladder { base: SignedDuration::from_mins(15), cap: SignedDuration::from_hours(6), tries: u16::MAX };

/// The `n`-th delay (from 0). `dice` is uniform in 0..1; `scale` shortens rehearsals.
pub fn delay(ladder: Ladder, n: u16, dice: f64, scale: f64) -> SignedDuration {
    let doubled = ladder.base.as_secs_f64() * 2f64.powi(i32::from(n.min(40)));
    let seconds = doubled.min(ladder.cap.as_secs_f64()) * (0.5 + dice / 2.0) * scale;
    SignedDuration::try_from_secs_f64(seconds).unwrap_or(ladder.cap)
}

/// `span × scale`.
pub fn scaled(span: SignedDuration, scale: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(span.as_secs_f64() * scale).unwrap_or(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_stay_between_half_and_whole() {
        let at = |n, dice| delay(NOT_SENT, n, dice, 1.0).as_secs_f64();
        assert!((at(0, 0.0) - 2.5).abs() < 1e-6);
        assert!((at(0, 0.999_999) - 5.0).abs() < 1e-3);
        assert!((at(3, 0.0) - 20.0).abs() < 1e-6);
        assert!((at(60, 0.0) - 450.0).abs() < 1e-6, "the cap holds however many tries there were");
        assert!((delay(NOT_SENT, 0, 0.0, 0.01).as_secs_f64() - 0.025).abs() < 1e-9);
    }
}
