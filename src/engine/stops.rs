//! What keeps everything from being sent at once: the user's word, a clock that cannot be believed, a disk
//! without room. And why: what became too late meanwhile says so.

use jiff::Timestamp;

/// Something that holds every account back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Asked,
    Clock,
    Disk,
}

impl Stop {
    fn message(self) -> &'static str {
        match self {
            Self::Asked => "everything was stopped with `sendoff pause`",
            Self::Clock => "the clock could not be believed",
            Self::Disk => "the disk had too little room",
        }
    }
}

/// The stops that are in force, since when, and the last of each kind that was.
#[derive(Debug, Default)]
pub(super) struct Stops {
    in_force: Vec<(Stop, Timestamp)>,
    /// Which, from when to when.
    past: Vec<(Stop, Timestamp, Timestamp)>,
}

impl Stops {
    /// Begins one or ends it. True: it has ended just now.
    pub(super) fn set(&mut self, stop: Stop, on: bool, now: Timestamp) -> bool {
        let since = self.in_force.iter().find(|it| it.0 == stop).map(|it| it.1);
        match since {
            None if on => self.in_force.push((stop, now)),
            Some(since) if !on => {
                self.in_force.retain(|it| it.0 != stop);
                self.past.retain(|it| it.0 != stop);
                self.past.push((stop, since, now));
            }
            _ => {}
        }
        since.is_some() && !on
    }

    pub(super) fn has(&self, stop: Stop) -> bool {
        self.in_force.iter().any(|it| it.0 == stop)
    }

    pub(super) fn any(&self) -> bool {
        !self.in_force.is_empty()
    }

    /// Why nothing was sent then.
    pub(super) fn why(&self, at: Timestamp) -> Option<&'static str> {
        let past = self.past.iter().find(|(_, from, to)| *from <= at && at < *to);
        past.map(|(stop, ..)| stop.message())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn each_stop_is_named_for_the_time_in_which_it_was_in_force_and_for_no_other() {
        let mut stops = Stops::default();
        let all = [(Stop::Asked, "sendoff pause"), (Stop::Clock, "clock"), (Stop::Disk, "disk")];
        for (begin, (stop, _)) in (0..).step_by(10).zip(all) {
            assert!(!stops.set(stop, false, at(begin)), "it was not in force");
            assert!(!stops.set(stop, true, at(begin)) && stops.has(stop) && stops.any());
            // Said again, it has begun no later.
            assert!(!stops.set(stop, true, at(begin + 3)));
            assert!(stops.set(stop, false, at(begin + 5)) && !stops.any());
        }
        for (begin, (_, word)) in (0..).step_by(10).zip(all) {
            assert_eq!(stops.why(at(begin - 1)), None);
            for inside in [begin, begin + 4] {
                assert!(stops.why(at(inside)).is_some_and(|it| it.contains(word)), "{inside}");
            }
            assert_eq!(stops.why(at(begin + 5)), None, "it is over");
        }
    }
}
