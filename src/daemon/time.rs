//! Whether the clock on the wall can be believed, and what waits until it can.
//!
//! A wall clock may be wrong: at start, before the network has told the time, or later, when
//! somebody sets it. Sent posts cannot be called back, so while the clock is in doubt nothing new is
//! claimed. Two clocks are compared: the wall's, and the one that counts from the machine's start
//! and that nobody can set. Sleep moves both, so it is not a step.
//!
//! - Behind the latest time the daemon was sure of, or behind the release's own date: it holds until
//!   the clock has caught up, the time daemon vouches for it, or a person does (`sendoff resume`).
//! - Forward by more than five minutes at once: it holds until one of them vouches for it, the jump
//!   is taken back, or ten minutes have passed. Then the late policy decides.
//! - Backward: nothing is sent again, because states decide and not times.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{RELEASED, Seen, Watch};
use crate::control::messages as m;

/// A jump forward by more than this holds.
const JUMP: SignedDuration = SignedDuration::from_mins(5);
/// For at most so long, by the clock that cannot be set.
const PATIENCE: Duration = Duration::from_mins(10);
/// systemd-timesyncd touches it after each successful synchronisation, and not before the first
/// since the machine's start (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// What the engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Claim nothing new.
    pub(super) hold: bool,
    /// Nothing speaks against the clock.
    pub(super) sure: bool,
}

/// Why nothing is claimed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doubt {
    /// The clock is behind this instant.
    Behind { mark: Timestamp },
    /// It jumped at `uptime` past what it should have shown.
    Jumped { by: SignedDuration, should: Timestamp, at: Duration },
    /// As `Jumped`, and the patience is over: unsure, but no longer held.
    Endured { by: SignedDuration, should: Timestamp, at: Duration },
}

/// Judges each reading of the clocks. Pure but for the question whether the time daemon vouches.
#[derive(Debug)]
struct Judge {
    watch: Watch,
    mark: Timestamp,
    doubt: Option<Doubt>,
    /// Sum of the steps forward that were too small to hold for, less those back.
    crept: SignedDuration,
    /// The mark was lowered: what is stored is too late.
    lowered: bool,
}

impl Judge {
    /// `mark`: the latest time the daemon was sure of.
    fn new(mark: Timestamp) -> Self {
        Self { watch: Watch::default(), mark, doubt: None, crept: SignedDuration::ZERO, lowered: false }
    }

    /// One reading. `vouched(since)`: the time daemon has set or confirmed the clock after `since`.
    fn see(
        &mut self,
        wall: Timestamp,
        uptime: Option<Duration>,
        vouched: impl Fn(Timestamp) -> bool,
    ) -> Verdict {
        let seen = self.watch.see(wall, uptime);
        match (seen, uptime) {
            (Seen::Forward { by, .. }, Some(at)) if self.crept.saturating_add(by) > JUMP => {
                let by = self.crept.saturating_add(by);
                self.crept = SignedDuration::ZERO;
                // A second jump on top of a first is measured from where the first one began.
                let by = match self.doubt {
                    Some(Doubt::Jumped { by: before, .. }) => before.saturating_add(by),
                    _ => by,
                };
                let should = wall.saturating_sub(by).unwrap_or(Timestamp::MIN);
                tracing::warn!(%wall, by_s = by.as_secs(), "the clock jumped forward; nothing new is sent until it is certain");
                self.doubt = Some(Doubt::Jumped { by, should, at });
            }
            (Seen::Forward { by, .. }, _) => {
                self.crept = self.crept.saturating_add(by);
                tracing::warn!(by_s = by.as_secs(), "the clock was put forward");
            }
            (Seen::Back { by, .. }, _) => {
                self.crept = self.crept.saturating_sub(by).max(SignedDuration::ZERO);
                tracing::warn!(by_s = by.as_secs(), "the clock was put back");
            }
            (Seen::Steady, _) => {}
        }
        self.doubt = self.settle(wall, uptime, vouched);
        Verdict {
            hold: matches!(self.doubt, Some(Doubt::Behind { .. } | Doubt::Jumped { .. })),
            sure: self.doubt.is_none(),
        }
    }

    /// What is left of the doubt.
    fn settle(
        &mut self,
        wall: Timestamp,
        uptime: Option<Duration>,
        vouched: impl Fn(Timestamp) -> bool,
    ) -> Option<Doubt> {
        match self.doubt {
            Some(doubt @ (Doubt::Jumped { by, should, at } | Doubt::Endured { by, should, at })) => {
                let waited = uptime.map_or(Duration::ZERO, |it| it.saturating_sub(at));
                if vouched(should) {
                    tracing::info!("the time daemon vouches for the clock: sending goes on");
                    None
                } else if wall <= later(later(should, waited), JUMP.unsigned_abs()) {
                    tracing::info!("the jump of the clock was taken back: sending goes on");
                    None
                } else if waited >= PATIENCE && matches!(doubt, Doubt::Jumped { .. }) {
                    tracing::warn!("nobody vouches for the clock; sending goes on under the late policy");
                    Some(Doubt::Endured { by, should, at })
                } else {
                    Some(doubt)
                }
            }
            Some(Doubt::Behind { .. }) | None if wall >= self.mark => {
                if self.doubt.is_some() {
                    tracing::info!("the clock has caught up: sending goes on");
                }
                None
            }
            // Only at the start: later a clock that is put back has been right before.
            Some(Doubt::Behind { .. }) if vouched(Timestamp::MIN) => {
                tracing::info!("the time daemon vouches for the clock: sending goes on");
                (self.mark, self.lowered) = (wall, true);
                None
            }
            doubt => doubt,
        }
    }

    /// The first reading: is the clock behind?
    fn begin(&mut self, wall: Timestamp) {
        if wall < self.mark {
            let mark = self.mark;
            tracing::error!(%wall, %mark, "the clock is behind the latest time it is known to have shown: nothing is sent");
            self.doubt = Some(Doubt::Behind { mark });
        }
    }
}

/// The judge, shared by the loop and those who ask.
#[derive(Debug)]
pub(super) struct Time {
    judge: Mutex<Judge>,
    sure: AtomicBool,
}

impl Time {
    /// `high_water`: the latest time the daemon was sure of; `wall`: now.
    pub(super) fn new(high_water: Option<Timestamp>, wall: Timestamp) -> Self {
        let mut judge = Judge::new(high_water.unwrap_or(RELEASED).max(RELEASED));
        judge.begin(wall);
        let sure = AtomicBool::new(judge.doubt.is_none());
        Self { judge: Mutex::new(judge), sure }
    }

    /// Reads both clocks' meaning. Cheap unless there is a doubt.
    pub(super) fn look(&self, wall: Timestamp, uptime: Option<Duration>) -> Verdict {
        let verdict = self.judge().see(wall, uptime, |since| vouched(Path::new(SYNCHRONISED), wall, since));
        self.sure.store(verdict.sure, Ordering::Relaxed);
        verdict
    }

    /// Whether nothing speaks against the clock, as of the last look.
    pub(super) fn is_sure(&self) -> bool {
        self.sure.load(Ordering::Relaxed)
    }

    /// Whether what is stored as the latest time turned out too late and must be lowered to now.
    /// Says so once.
    pub(super) fn take_lowered(&self) -> bool {
        std::mem::take(&mut self.judge().lowered)
    }

    /// A person says that the clock is right. True: that ended a doubt.
    pub(super) fn trust(&self, wall: Timestamp) -> bool {
        let mut judge = self.judge();
        let doubted = judge.doubt.take().is_some();
        if doubted {
            (judge.mark, judge.lowered) = (wall, true);
            self.sure.store(true, Ordering::Relaxed);
            tracing::warn!(%wall, "a person vouches for the clock: sending goes on");
        }
        doubted
    }

    /// What a person should know.
    pub(super) fn alert(&self, wall: Timestamp) -> Option<m::Alert> {
        let doubt = self.judge().doubt?;
        let message = match doubt {
            Doubt::Behind { mark } => {
                format!("nothing is sent: the clock shows {wall:.0}, but it has been {mark:.0} before")
            }
            Doubt::Jumped { by, .. } => format!(
                "nothing new is sent: the clock jumped forward by {by:#}; this ends after 10 minutes at the latest"
            ),
            Doubt::Endured { by, .. } => {
                format!("the clock jumped forward by {by:#}, and nobody has vouched for it")
            }
        };
        let hint = "set the clock (timedatectl status); if it is right, `sendoff resume` says so";
        Some(m::Alert { code: "clock".into(), message, hint: Some(hint.into()) })
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the time daemon has touched its mark after `since`, and not in the future.
fn vouched(mark: &Path, wall: Timestamp, since: Timestamp) -> bool {
    let touched = std::fs::metadata(mark).and_then(|it| it.modified()).ok();
    let touched = touched.and_then(|it| Timestamp::try_from(it).ok());
    touched.is_some_and(|at| at > since && at <= later(wall, Duration::from_secs(1)))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
