//! A point in time by two clocks.
//!
//! The wall clock can be set; the boot clock only runs, but starts anew with the machine. Where a
//! step of the wall clock could make us believe that time has passed which has not (or the other
//! way round), both are kept and the cautious one is believed: a wait has lasted no longer than
//! either clock says (but for a wall clock that was put back behind its begin, which says nothing), a thing
//! that expires is as old as the older of the two says.

use jiff::{SignedDuration, Timestamp};

/// What the boot clock shows (`CLOCK_BOOTTIME`), and in which boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// Names the boot; half of the kernel's random boot id.
    pub id: u64,
    /// Since the machine started, sleep included.
    pub uptime_ms: i64,
}

/// By so much the wall clock may be wrong, or be set at once, without anybody noticing: what goes beyond
/// holds all sending until the clock is certain.
pub const UNNOTICED: SignedDuration = SignedDuration::from_mins(5);

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub wall: Timestamp,
    /// None where there is no boot clock (plain tests).
    pub boot: Option<Boot>,
}

impl From<Timestamp> for Moment {
    fn from(wall: Timestamp) -> Self {
        Self { wall, boot: None }
    }
}

impl Moment {
    /// How long a wait that began at `self` has lasted for sure: the smaller of what the clocks say. Across
    /// a restart of the machine the wall clock of then may have been behind by anything and set right since;
    /// what is sure is that the machine has run for as long as it says. A wall clock that shows less than it
    /// did then was put back, by years perhaps, and tells nothing of the wait.
    pub fn waited(self, now: Self) -> SignedDuration {
        let wall = now.wall.duration_since(self.wall);
        let sure = match (self.boot, now.boot) {
            (Some(then), Some(now)) if then.id != now.id => Some(SignedDuration::from_millis(now.uptime_ms)),
            _ => self.ran(now),
        };
        sure.map_or(wall, |it| if wall.is_negative() { it } else { it.min(wall) })
    }

    /// How old a thing made at `self` may be: the larger of what the clocks say. Across a restart of the
    /// machine the wall clock of then may have been ahead, and set right since.
    pub fn aged(self, now: Self) -> SignedDuration {
        let wall = now.wall.duration_since(self.wall);
        match self.ran(now) {
            Some(boot) => boot.max(wall),
            None if self.boot.is_some() && now.boot.is_some() => wall + UNNOTICED,
            None => wall,
        }
    }

    /// What lies between: by the boot clock, which nobody sets, else as the wall clock tells.
    pub fn span(self, now: Self) -> SignedDuration {
        self.ran(now).unwrap_or_else(|| now.wall.duration_since(self.wall))
    }

    /// Whether the boot clock vouches for the span up to `now`.
    pub fn same_boot(self, now: Self) -> bool {
        self.ran(now).is_some()
    }

    /// By the boot clock alone; None across a restart of the machine.
    fn ran(self, now: Self) -> Option<SignedDuration> {
        let (then, now) = (self.boot?, now.boot?);
        (then.id == now.id).then(|| SignedDuration::from_millis(now.uptime_ms - then.uptime_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: i64, id: u64, uptime: i64) -> Moment {
        Moment {
            wall: Timestamp::from_second(wall).unwrap(),
            boot: Some(Boot { id, uptime_ms: uptime * 1000 }),
        }
    }

    #[test]
    fn a_stepped_wall_clock_neither_shortens_a_wait_nor_makes_a_key_younger() {
        let secs = SignedDuration::from_secs;
        let then = moment(1000, 1, 50);
        let forward = moment(1000 + 3600, 1, 60);
        assert_eq!((then.waited(forward), then.aged(forward)), (secs(10), secs(3600)));
        let back = moment(1000 - 3600, 1, 60);
        assert_eq!((then.waited(back), then.aged(back)), (secs(10), secs(10)));
        let rebooted = moment(1100, 2, 5);
        assert_eq!((then.waited(rebooted), then.aged(rebooted)), (secs(5), secs(100 + 300)));
        assert!(then.same_boot(forward) && !then.same_boot(rebooted));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(100_000))]

        /// So many seconds have passed in truth. Whatever was done to the wall clock meanwhile, and wherever
        /// it stood before, no wait seems longer than that and nothing younger; if the machine was started
        /// anew, nothing seems younger than by what nobody would have noticed.
        #[test]
        fn no_step_of_the_wall_clock_makes_a_wait_long_or_a_key_young(
            began in -1_000_000_000_i64..1_000_000_000,
            uptime in 0_i64..10_000_000,
            ran in 0_i64..10_000_000,
            step in -400_000_000_i64..400_000_000,
            up in 0_i64..10_000_000,
            rebooted: bool,
        ) {
            let truth = SignedDuration::from_secs(ran);
            let then = moment(began, 1, uptime);
            let now = if rebooted {
                moment(began + ran + step, 2, up.min(ran))
            } else {
                moment(began + ran + step, 1, uptime + ran)
            };
            proptest::prop_assert!(then.waited(now) <= truth);
            // Nor does a date that was years ahead make it last for years: put back, it tells nothing.
            if ran + step < 0 {
                let known = if rebooted { up.min(ran) } else { ran };
                proptest::prop_assert_eq!(then.waited(now), SignedDuration::from_secs(known));
            }
            proptest::prop_assert!(truth <= then.aged(now) || (rebooted && step < -300));
            // With both clocks right, or one that was never there, nothing is lost either.
            let plain = Moment { boot: None, ..moment(began + ran, 1, 0) };
            proptest::prop_assert_eq!((then.waited(plain), then.aged(plain)), (truth, truth));
            proptest::prop_assert_eq!(then.same_boot(now), !rebooted);
            proptest::prop_assert_eq!(then.span(plain), truth);
            proptest::prop_assert!(rebooted || then.span(now) == truth);
        }
    }
}
