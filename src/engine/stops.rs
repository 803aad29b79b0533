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

/// The stops that are in force, and the last one that was.
#[derive(Debug, Default)]
pub(super) struct Stops {
    in_force: Vec<Stop>,
    /// Which, and when it ended.
    last: Option<(Stop, Timestamp)>,
}

impl Stops {
    /// Begins one or ends it. True: it has ended just now.
    pub(super) fn set(&mut self, stop: Stop, on: bool, now: Timestamp) -> bool {
        let was = self.has(stop);
        self.in_force.retain(|it| *it != stop);
        if on {
            self.in_force.push(stop);
        } else if was {
            self.last = Some((stop, now));
        }
        was && !on
    }

    pub(super) fn has(&self, stop: Stop) -> bool {
        self.in_force.contains(&stop)
    }

    pub(super) fn any(&self) -> bool {
        !self.in_force.is_empty()
    }

    /// Why something waited that was due then.
    pub(super) fn why(&self, due: Timestamp) -> Option<&'static str> {
        self.last.filter(|(_, end)| *end > due).map(|(stop, _)| stop.message())
    }
}
