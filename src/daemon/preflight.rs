//! What speaks against sending, told to the engine before it decides anything.
//!
//! Looked at before every input and not by a timer alone: between two ticks of a timer a disk can
//! fill and a clock can jump, and the input in between may be the one that makes a call.

use jiff::Timestamp;

use super::shared::Shared;
use crate::engine::Input;

/// What the engine has been told so far.
#[derive(Debug)]
pub(super) struct Preflight {
    enough: bool,
}

impl Default for Preflight {
    /// As an engine that has been told nothing.
    fn default() -> Self {
        Self { enough: true }
    }
}

impl Preflight {
    /// What has changed since.
    pub(super) fn news(&mut self, shared: &Shared, now: Timestamp) -> Vec<Input> {
        let mut news = Vec::new();
        let enough = shared.disk.look();
        if enough != self.enough {
            self.enough = enough;
            news.push(Input::Disk { enough });
        }
        let _verdict = shared.time.look(now, shared.clock.uptime());
        news
    }
}
