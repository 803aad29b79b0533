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
//! - Backward: nothing is sent again, because states decide and not times; and what waits for a time that the
//!   clock showed before waits only as long as it still had to ([`set_back`](super::set_back)).

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{RELEASED, Seen, Watch};
use crate::control::messages as m;
use crate::domain::moment::UNNOTICED;

/// A jump forward by more than this holds.
const JUMP: SignedDuration = UNNOTICED;
/// Steps of less than this make nothing wait noticeably longer, and are less than what searches allow for.
const WORTH: SignedDuration = SignedDuration::from_mins(1);
/// Small steps that add up to a jump do so within this time, by the clock that cannot be set.
const CREEP: Duration = Duration::from_hours(24);
/// For at most so long, by the clock that cannot be set.
const PATIENCE: Duration = Duration::from_mins(10);
/// systemd-timesyncd touches it after each successful synchronisation, and not before the first
/// since the machine's start (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// It does so every half hour or more often (PollIntervalMaxSec= in timesyncd.conf(5), 2048 s).
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// What the engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Claim nothing new.
    pub(super) hold: bool,
    /// It is known to be right: something vouched for it since the machine started. Without a boot
    /// clock (tests), that nothing speaks against it.
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
    /// Sum of the steps forward that were too small to hold for, less those back, and when the first was.
    crept: SignedDuration,
    crept_since: Duration,
    /// The mark was lowered: what is stored is too late.
    lowered: bool,
    /// The clock was vouched for, and has not been doubted since.
    vouched: bool,
    /// How far it was put forward, less back, since somebody last asked.
    stepped: SignedDuration,
}

impl Judge {
    /// `mark`: the latest time the daemon was sure of.
    fn new(mark: Timestamp) -> Self {
        Self {
            watch: Watch::default(),
            mark,
            doubt: None,
            crept: SignedDuration::ZERO,
            crept_since: Duration::ZERO,
            lowered: false,
            vouched: false,
            stepped: SignedDuration::ZERO,
        }
    }

    /// One reading. `vouched(since)`: the time daemon has set or confirmed the clock after `since`.
    fn see(
        &mut self,
        wall: Timestamp,
        uptime: Option<Duration>,
        vouched: impl Fn(Timestamp) -> bool,
    ) -> Verdict {
        let seen = self.watch.see(wall, uptime);
        self.stepped = match seen {
            Seen::Forward { by, .. } => self.stepped.saturating_add(by),
            Seen::Back { by, .. } => self.stepped.saturating_sub(by),
            Seen::Steady => self.stepped,
        };
        // What a time daemon corrects day after day is no jump.
        if uptime.is_some_and(|it| it.saturating_sub(self.crept_since) > CREEP) {
            self.crept = SignedDuration::ZERO;
        }
        if let (true, Some(at)) = (self.crept.is_zero(), uptime) {
            self.crept_since = at;
        }
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
        self.doubt = self.settle(wall, uptime, &vouched);
        self.vouched = self.doubt.is_none() && (self.vouched || uptime.is_none() || vouched(Timestamp::MIN));
        Verdict {
            hold: matches!(self.doubt, Some(Doubt::Behind { .. } | Doubt::Jumped { .. })),
            sure: self.vouched,
        }
    }

    /// What is left of the doubt.
    fn settle(
        &mut self,
        wall: Timestamp,
        uptime: Option<Duration>,
        vouched: &impl Fn(Timestamp) -> bool,
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
    undoubted: AtomicBool,
    /// How far it is ahead of the networks', in seconds.
    off: AtomicI64,
}

impl Time {
    /// `high_water`: the latest time the daemon was sure of; `wall`: now.
    pub(super) fn new(high_water: Option<Timestamp>, wall: Timestamp) -> Self {
        let mut judge = Judge::new(high_water.unwrap_or(RELEASED).max(RELEASED));
        judge.begin(wall);
        let undoubted = AtomicBool::new(judge.doubt.is_none());
        Self { judge: Mutex::new(judge), undoubted, off: AtomicI64::new(0) }
    }

    /// Reads both clocks' meaning. Cheap unless there is a doubt.
    pub(super) fn look(&self, wall: Timestamp, uptime: Option<Duration>) -> Verdict {
        let mut judge = self.judge();
        let verdict = judge.see(wall, uptime, |since| vouched(Path::new(SYNCHRONISED), wall, since));
        self.undoubted.store(judge.doubt.is_none(), Ordering::Relaxed);
        verdict
    }

    /// Whether nothing speaks against the clock, as of the last look.
    pub(super) fn is_undoubted(&self) -> bool {
        self.undoubted.load(Ordering::Relaxed)
    }

    /// Whether what is stored as the latest time turned out too late and must be lowered to now.
    /// Says so once.
    pub(super) fn take_lowered(&self) -> bool {
        std::mem::take(&mut self.judge().lowered)
    }

    /// By how much the clock was put forward (or back, below zero) since this was asked last, if that is worth
    /// speaking of.
    pub(super) fn take_step(&self) -> Option<SignedDuration> {
        let stepped = &mut self.judge().stepped;
        (stepped.abs() >= WORTH).then(|| std::mem::take(stepped))
    }

    /// A person says that the clock is right. True: that ended a doubt.
    pub(super) fn trust(&self, wall: Timestamp) -> bool {
        let mut judge = self.judge();
        let doubted = judge.doubt.take().is_some();
        if doubted {
            (judge.mark, judge.lowered, judge.vouched) = (wall, true, true);
            self.undoubted.store(true, Ordering::Relaxed);
            tracing::warn!(%wall, "a person vouches for the clock: sending goes on");
        }
        doubted
    }

    /// How far it is ahead of the networks' clocks (below zero: behind), as their last answers told; None:
    /// not worth a word.
    pub(super) fn compared(&self, off: Option<SignedDuration>) {
        self.off.store(off.map_or(0, |it| it.as_secs()), Ordering::Relaxed);
    }

    /// That the networks' clocks show something else (R68).
    pub(super) fn alert_off(&self) -> Option<m::Alert> {
        let off = self.off.load(Ordering::Relaxed);
        let way = match off.signum() {
            0 => return None,
            1 => "ahead of",
            _ => "behind",
        };
        let off = SignedDuration::from_secs(off.abs());
        let message =
            format!("this host's clock is {off:#} {way} those of the networks: posts go out as much off");
        let hint = "let a time daemon set it (timedatectl set-ntp true)";
        Some(m::Alert { code: "clock_off".into(), message, hint: Some(hint.into()) })
    }

    /// What a person should know, as of the last look.
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

/// Whether the time daemon has touched its mark after `since`, lately, and not in the future: what
/// it set long ago may have been changed since.
fn vouched(mark: &Path, wall: Timestamp, since: Timestamp) -> bool {
    let touched = std::fs::metadata(mark).and_then(|it| it.modified()).ok();
    let touched = touched.and_then(|it| Timestamp::try_from(it).ok());
    let since = since.max(wall.saturating_sub(LATELY).unwrap_or(Timestamp::MIN));
    touched.is_some_and(|at| at > since && at <= later(wall, Duration::from_secs(1)))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;

    /// A judge with its two clocks, in seconds, and the time daemon's mark.
    struct Scene {
        judge: Judge,
        wall: i64,
        uptime: u64,
        /// When the time daemon last touched its mark.
        touched: Option<i64>,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn start() -> i64 {
        RELEASED.as_second() + 1_000_000
    }

    impl Scene {
        fn new(mark: i64) -> Self {
            let mut judge = Judge::new(at(mark));
            judge.begin(at(start()));
            let mut scene = Self { judge, wall: start(), uptime: 1000, touched: None };
            scene.look();
            scene
        }

        fn look(&mut self) -> bool {
            let (wall, touched) = (at(self.wall), self.touched);
            let vouched = |since| touched.is_some_and(|it| at(it) > since && at(it) <= wall);
            self.judge.see(wall, Some(Duration::from_secs(self.uptime)), vouched).hold
        }

        /// Time passes by both clocks; the wall is put by `step` on top.
        fn pass(&mut self, span: i64, step: i64) -> bool {
            self.uptime += u64::try_from(span).unwrap();
            self.wall += span + step;
            self.look()
        }
    }

    #[test]
    fn time_that_passes_is_no_step_however_long_the_sleep() {
        let mut scene = Scene::new(start() - 10);
        for span in [0, 1, 30, 3600, 90 * 86_400] {
            assert!(!scene.pass(span, 0), "{span}");
        }
    }

    #[test]
    fn steps_up_to_five_minutes_hold_nothing_and_larger_ones_hold_for_ten_minutes_at_most() {
        let year = 365 * 86_400;
        for step in [1, 60, 5 * MINUTE] {
            assert!(!Scene::new(start()).pass(30, step), "{step}");
        }
        for step in [5 * MINUTE + 1, 3600, 86_400, year, 10 * year] {
            let mut scene = Scene::new(start());
            assert!(scene.pass(30, step), "{step}");
            assert!(scene.pass(9 * MINUTE + 59, 0), "{step}");
            assert!(!scene.pass(1, 0), "{step}: the patience is over");
            assert!(scene.judge.doubt.is_some() && !scene.judge.vouched, "it goes on, but is not sure");
        }
        for step in [-1, -60, -3600, -86_400, -year, -10 * year] {
            assert!(!Scene::new(start()).pass(30, step), "{step}: back holds nothing");
        }
    }

    #[test]
    fn many_small_steps_are_one_large_one() {
        let mut scene = Scene::new(start());
        assert!(!scene.pass(30, 200));
        assert!(!scene.pass(30, -100));
        assert!(!scene.pass(30, 200));
        assert!(scene.pass(30, 100), "400 seconds in all");
        // Three seconds a day are what a time daemon corrects that nobody hears of.
        let mut scene = Scene::new(start());
        for day in 0..200 {
            assert!(!scene.pass(86_401, 3), "day {day}");
        }
    }

    #[test]
    fn a_clock_that_the_networks_contradict_is_told() {
        let time = Time::new(None, at(start()));
        let told = |off: Option<i64>| {
            time.compared(off.map(SignedDuration::from_secs));
            time.alert_off().map(|it| it.message)
        };
        assert_eq!(told(None), None);
        let ahead = "this host's clock is 1h 1m ahead of those of the networks: posts go out as much off";
        assert_eq!(told(Some(3660)).as_deref(), Some(ahead));
        assert!(told(Some(-90)).is_some_and(|it| it.contains("1m 30s behind those")));
        assert_eq!(told(None), None, "it was set right");
    }

    #[test]
    fn a_jump_that_is_taken_back_or_vouched_for_ends_the_hold_at_once() {
        let mut scene = Scene::new(start());
        assert!(scene.pass(30, 86_400));
        assert!(scene.pass(60, -3600), "most of it is still there");
        assert!(!scene.pass(60, -82_800), "it is back where it was");
        assert_eq!(scene.judge.doubt, None);

        let mut scene = Scene::new(start());
        scene.touched = Some(scene.wall);
        assert!(scene.pass(30, 86_400), "what was true before the jump says nothing about it");
        assert!(scene.pass(30, 0));
        scene.touched = Some(scene.wall);
        assert!(!scene.pass(1, 0));
        assert!(scene.judge.vouched);
    }

    #[test]
    fn a_second_jump_during_the_hold_begins_its_patience_anew() {
        let mut scene = Scene::new(start());
        assert!(scene.pass(30, 3600));
        assert!(scene.pass(9 * MINUTE, 3600));
        assert!(scene.pass(9 * MINUTE, 0), "ten minutes from the second one");
        assert!(scene.pass(1, -3600), "only the second is taken back");
        assert!(!scene.pass(MINUTE, 0));
    }

    #[test]
    fn a_clock_behind_the_mark_holds_until_it_has_caught_up_or_is_vouched_for() {
        let mut scene = Scene::new(start() + 1000);
        assert!(scene.look());
        assert!(scene.pass(999, 0), "no patience ends this");
        assert!(!scene.pass(1, 0));
        assert!(!scene.judge.lowered);

        let mut scene = Scene::new(start() + 10 * 365 * 86_400);
        assert!(scene.pass(86_400, 0));
        scene.touched = Some(scene.wall - 5);
        assert!(!scene.pass(1, 0), "the mark was noted when the clock was wrong");
        assert!(scene.judge.lowered);
        assert!(!scene.pass(1, 0));
    }

    #[test]
    fn a_clock_before_the_release_holds() {
        let long_ago: Timestamp = "1970-01-02T00:00:00Z".parse().unwrap();
        let time = Time::new(None, long_ago);
        assert!(time.look(long_ago, None).hold);
        assert!(time.alert(long_ago).unwrap().message.contains("1970"));
        assert!(time.trust(long_ago) && !time.trust(long_ago), "a person's word, once");
        assert!(!time.look(long_ago, None).hold);
        assert!(time.take_lowered() && !time.take_lowered());
    }

    #[test]
    fn the_mark_of_the_time_daemon_counts_only_if_it_is_later_and_not_of_the_future() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("synchronized");
        let wall = at(start());
        assert!(!vouched(&mark, wall, Timestamp::MIN), "there is none");
        std::fs::write(&mark, "").unwrap();
        let touch = |second: i64| {
            let time = std::time::SystemTime::from(at(second));
            std::fs::File::options().write(true).open(&mark).unwrap().set_modified(time).unwrap();
        };
        touch(start() - 10);
        assert!(vouched(&mark, wall, at(start() - 11)));
        assert!(!vouched(&mark, wall, at(start() - 10)));
        touch(start() + 10);
        assert!(!vouched(&mark, wall, Timestamp::MIN));
        touch(start() - 90_000);
        assert!(!vouched(&mark, wall, Timestamp::MIN));
    }
}
