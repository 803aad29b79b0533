//! What speaks against sending, told to the engine before it decides anything.
//!
//! Looked at before every input and not by a timer alone: between two ticks of a timer a disk can
//! fill and a clock can jump, and the input in between may be the one that makes a call.

use std::time::Duration;

use super::shared::Shared;
use super::time::Verdict;
use crate::domain::moment::Moment;
use crate::engine::Input;

/// What the engine has been told so far.
#[derive(Debug)]
pub(super) struct Preflight {
    enough: bool,
    clock: Verdict,
}

impl Default for Preflight {
    /// As an engine that has been told nothing.
    fn default() -> Self {
        Self { enough: true, clock: Verdict { hold: false, sure: true } }
    }
}

impl Preflight {
    /// What has changed since.
    pub(super) fn news(&mut self, shared: &Shared, now: Moment) -> Vec<Input> {
        let mut news = Vec::new();
        let enough = shared.disk.look();
        if enough != self.enough {
            self.enough = enough;
            news.push(Input::Disk { enough });
        }
        let clock = clock(shared, now);
        if let Some(by) = shared.time.take_step() {
            news.push(Input::Stepped(by));
        }
        if clock != self.clock {
            self.clock = clock;
            let Verdict { hold, sure } = clock;
            news.push(Input::Clock { hold, sure });
        }
        news
    }
}

/// What the two clocks say of each other.
pub(super) fn clock(shared: &Shared, now: Moment) -> Verdict {
    let uptime = now.boot.and_then(|it| u64::try_from(it.uptime_ms).ok()).map(Duration::from_millis);
    shared.time.look(now.wall, uptime)
}
