//! The only place that reads the time. Everything else gets `now` by argument or a [`Clock`].
//!
//! There are two times. The wall's may be set, by people and by time daemons; the boot clock counts
//! from the machine's start, through sleep, and nobody can set it. [`Watch`] compares them.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::moment::Boot;

/// No clock that is right shows an earlier time: about when this release was made.
pub const RELEASED: Timestamp = Timestamp::constant(1_793_491_200, 0); // 2026-11-01

/// A source of wall time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, as UTC.
    fn now(&self) -> Timestamp;

    /// What the boot clock shows. `None`: there is none, and steps of the wall clock cannot be told
    /// from time that passes.
    fn boot(&self) -> Option<Boot> {
        None
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> Option<Boot> {
        static ID: OnceLock<u64> = OnceLock::new();
        let span = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime_ms = i64::try_from(Duration::try_from(span).ok()?.as_millis()).ok()?;
        Some(Boot { id: *ID.get_or_init(boot_id), uptime_ms })
    }
}

/// Names this boot. Where the kernel does not say, this process counts as a boot of its own: ages
/// that span its start are then believed less, never more.
fn boot_id() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_else(|_| {
        tracing::warn!(
            "the kernel does not name its boot; a restart of the daemon counts as one of the machine"
        );
        let mut bytes = [0; 8];
        // Without randomness the process id still tells most starts apart.
        getrandom::fill(&mut bytes)
            .map_or_else(|_| u64::from(std::process::id()), |()| u64::from_le_bytes(bytes))
    })
}

/// What became of the wall clock between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It went on as the boot clock did.
    Steady,
    /// It was put forward: by how much, and what it should have shown.
    Forward { by: SignedDuration, should: Timestamp },
    /// It was put back.
    Back { by: SignedDuration, should: Timestamp },
}

/// A time daemon that bends the clock's speed (at most 500 µs per second) is no step, and neither is
/// the moment that passes between reading one clock and the other.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// Compares the two clocks from look to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    last: Option<(Timestamp, Duration)>,
}

impl Watch {
    /// One reading of both. The first one, and any without an uptime, is steady.
    pub fn see(&mut self, wall: Timestamp, uptime: Option<Duration>) -> Seen {
        let Some(uptime) = uptime else { return Seen::Steady };
        let Some((last, at)) = self.last.replace((wall, uptime)) else { return Seen::Steady };
        let should = last.saturating_add(uptime.saturating_sub(at)).unwrap_or(Timestamp::MAX);
        let off = wall.duration_since(should);
        if off > SLACK {
            Seen::Forward { by: off, should }
        } else if off < -SLACK {
            Seen::Back { by: -off, should }
        } else {
            Seen::Steady
        }
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
