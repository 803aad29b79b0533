//! The only place that reads the time. Everything else gets `now` by argument or a [`Clock`].

use jiff::Timestamp;

/// A source of wall time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, as UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Wall time tied to tokio's clock: under `start_paused`, sleeping moves both.
#[derive(Debug, Clone, Copy)]
pub struct TestClock {
    epoch: Timestamp,
    started: tokio::time::Instant,
}

impl TestClock {
    /// A clock that shows `epoch` now and follows tokio's time from here.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, started: tokio::time::Instant::now() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.epoch + self.started.elapsed()
    }
}
