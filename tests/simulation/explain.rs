//! Whether what became of each post can be explained by what the world did to it: no end, no wait and no
//! question to a person without a cause that the world remembers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger::NOT_VERIFIED;
use sendoff::domain::delivery::{Delivery, LEFT, State};
use sendoff::domain::ids::DeliveryId;
use sendoff::domain::schedule::Late;
use sendoff::platforms::Class;

use super::dice::secs;
use super::reckon::{Asked, DOUBT, NEXT_LOOK};
use super::world::World;

/// Settled without a person within this, where the class allows it (R6).
const SETTLED: SignedDuration = SignedDuration::from_mins(20);
/// Tries of the ladders that end: preparing, and waiting for the network's work.
const PREPARING_TRIES: u32 = 12;
/// From here on a repeat of class D may be a new post: the stand-in's window less the margin.
const REPEAT_USE: SignedDuration = SignedDuration::from_mins(105);

/// How the doubts of a class ended.
#[derive(Debug, Default, Clone)]
pub(crate) struct Doubts {
    /// Times in which it was not known whether a step is live.
    pub(crate) all: u64,
    /// Settled by itself, within twenty minutes in which nothing kept it from looking.
    pub(crate) settled: u64,
    /// Of those, within twenty minutes by the clock, whatever happened meanwhile.
    pub(crate) at_once: u64,
    /// A person was asked.
    pub(crate) asked: u64,
    /// Where the world let no look through for a day, or somebody else's post of the same words stood there:
    /// nobody could have told.
    pub(crate) excused: u64,
}

impl Doubts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.all += other.all;
        self.settled += other.settled;
        self.at_once += other.at_once;
        self.asked += other.asked;
        self.excused += other.excused;
    }

    /// R6: in the classes A to C all but one in a thousand settle by themselves, of those that could.
    pub(crate) fn settle_by_themselves(&self) -> bool {
        (self.all - self.excused - self.settled) * 1000 <= self.all - self.excused
    }
}

impl World {
    /// The doubts of this run.
    pub(crate) fn doubts(&self) -> Doubts {
        let mut sum = Doubts::default();
        if self.went_back {
            return sum;
        }
        for it in &self.watch.reckon.episodes {
            let (idle, _) = self.watch.reckon.idle((it.id, it.account), (it.from, it.to), DOUBT);
            sum.all += 1;
            sum.asked += u64::from(it.held);
            sum.excused += u64::from(it.held && it.nobody_knows);
            sum.settled += u64::from(!it.held && idle <= it.allowed(SETTLED));
            sum.at_once += u64::from(!it.held && it.to.duration_since(it.from) <= SETTLED);
        }
        sum
    }

    /// Every reason is one that the world gave, and nothing waited without one.
    pub(crate) fn explain(&self) -> Result<(), String> {
        for row in self.watch.rows.values() {
            let known = self
                .is_published_if_it_must(row)
                .and_then(|()| self.reason_is_known(row))
                .and_then(|()| self.nothing_was_idle(row));
            known.map_err(|why| {
                let reason = row.reason.as_ref().map(|it| format!("{}: {}", it.class, it.message));
                format!("{} ({:?}, {reason:?}): {why}\n{row:#?}", row.id, row.state)
            })?;
        }
        if self.went_back {
            return Ok(());
        }
        for it in &self.watch.reckon.episodes {
            let (idle, first) = self.watch.reckon.idle((it.id, it.account), (it.from, it.to), DOUBT);
            // Across a restart of the machine no key is trusted, and the list is asked as in class E.
            let listed = self.class == Class::Key && self.machine.0 > 1;
            let absence = self.settings.settle + self.settings.absence_gap + secs(15);
            // Nobody wants it out after two minutes: all that is left is to see that it is not there.
            let over = self.watch.rows.get(&it.id).is_some_and(|row| row.late == Late::Exact);
            let within = if listed || over { self.settles_within.max(absence) } else { self.settles_within };
            if idle > it.allowed(within) {
                let (from, to) = (it.from, it.to);
                return Err(format!(
                    "{} was in doubt from {from} to {to}, {idle:#} of it with nothing in its way, first at {first:?}",
                    it.id
                ));
            }
        }
        Ok(())
    }

    /// Where nothing stood in its way it is published; where the class leaves it open what became of a
    /// call that the daemon did not survive, a person may be asked.
    fn is_published_if_it_must(&self, row: &Delivery) -> Result<(), String> {
        let there = matches!(row.state, State::Published | State::HandedOver);
        let open = !self.crashes.is_empty() && matches!(self.class, Class::Reference | Class::Opaque);
        // Behind others of its account two minutes may be too short.
        let hasty = row.late == Late::Exact && row.state == State::Missed;
        if self.must_publish && !(there || hasty || (open && row.held)) {
            return Err("it is not published, and nothing kept it from that".into());
        }
        Ok(())
    }

    fn reason_is_known(&self, row: &Delivery) -> Result<(), String> {
        let it = &self.watch.reckon;
        let class = row.reason.as_ref().map_or("", |it| it.class.as_str());
        let step = (row.id, row.step);
        match row.state {
            State::Rejected => match class {
                NOT_VERIFIED if it.is_leaving(row.account) => Ok(()),
                "invalid_content" | "policy" if it.refused.contains(&step) => Ok(()),
                "invalid_content" | "policy" => Err("rejected, and the network never refused it".into()),
                "gave_up" if it.ended.get(&row.id).is_none_or(|(_, wall)| *wall > row.give_up_at) => Ok(()),
                "gave_up" => Err("given up before its time".into()),
                "transient" | "media_gone" | "media_not_ready"
                    if it.failed.get(&row.id).is_some_and(|it| *it >= PREPARING_TRIES) =>
                {
                    Ok(())
                }
                _ => Err("rejected for a reason that the world did not give".into()),
            },
            State::Missed if class != "late" => Err("missed for another reason than being late".into()),
            State::Missed => {
                let in_time = |(_, wall)| row.late.allows(row.due.instant, wall);
                if it.ended.get(&row.id).copied().is_some_and(in_time) {
                    return Err("missed while its policy still allowed to send it".into());
                }
                Ok(())
            }
            State::Cancelled if class == "cancelled" && it.taken_back.contains(&row.id) => Ok(()),
            State::Cancelled
                if matches!(class, "cancelled" | "disconnected" | "account_gone")
                    && it.is_leaving(row.account) =>
            {
                Ok(())
            }
            State::Cancelled => Err("cancelled, and nobody took it back".into()),
            State::Unknown if row.held && class == LEFT => Ok(()),
            State::Unknown if row.held => match it.asked.get(&row.id) {
                Some(asked) if !self.may_be_asked(asked) => {
                    Err(format!("held, and nothing left its fate open: {:?}", (asked.at, asked.since)))
                }
                Some(_) => Ok(()),
                None if self.went_back => Ok(()),
                None => Err("held, and nobody saw it happen".into()),
            },
            _ => Ok(()),
        }
    }

    /// Whether the world had left it open whether a step is live, so that only a person can tell.
    fn may_be_asked(&self, asked: &Asked) -> bool {
        let it = &self.watch.reckon;
        let (row, step) = (&asked.row, (asked.row.id, asked.step));
        if asked.nobody_knows {
            return true;
        }
        let calls = it.doubtful.get(&step).copied().unwrap_or(0);
        // Whose posts cannot be looked at, nor repeated without a second one.
        if self.network.own && matches!(self.class, Class::Reference | Class::Opaque) {
            return calls > 0 || it.repeats.contains(&step);
        }
        if self.watch.stories.contains(&row.id) {
            // There is nothing in a list by which a story without words could be known, whatever its container
            // says of itself and whatever the user opted for: it is not made a second time unasked. Of one that
            // a copy brought back nobody knows whether it was called for.
            return calls > 0 || self.went_back;
        }
        match self.class_at(row, asked.step) {
            // A repeat is safe, or the list tells.
            Class::ClientId | Class::Key => false,
            // What it was prepared as tells, unless that is lost with the newer store.
            Class::Handle => self.went_back,
            Class::Reference => {
                let old = it.left.get(&row.id).is_none_or(|(left, machine)| {
                    asked.at.duration_since(*left) >= REPEAT_USE || *machine != asked.machine
                });
                // Of an intent that a death cut short nobody but the world knows that its call never left.
                let intended = row.flight.first_sent.map(|it| it.wall);
                let old = old || intended.is_some_and(|it| asked.wall.duration_since(it) >= REPEAT_USE);
                let unwanted = row.cancel_requested
                    || asked.wall > row.give_up_at
                    || (row.step == 0 && row.is_late(asked.wall));
                // Refused for good, no repeat can tell what became of the first.
                let repeated = calls > 1 || it.refused.contains(&step);
                let open = calls > 0 && (repeated || old || unwanted || it.clock_was_set);
                open || it.repeats.contains(&step) || self.went_back
            }
            Class::Listable => asked.absent && it.repeats.contains(&step),
            Class::Opaque => {
                let opted = self.settings.resend_when_absent.contains(&self.network.platform);
                let repeated = it.repeats.contains(&step);
                asked.absent && (repeated || self.went_back || (calls > 0 && !opted))
            }
        }
    }

    /// For a day no look was answered, or somebody's post of the same words cannot be told from ours.
    pub(crate) fn nobody_knows(&self, id: DeliveryId, since: Timestamp, at: Timestamp, seen: bool) -> bool {
        let day = at.duration_since(since) > self.settings.hold_after - secs(60);
        // With a clock that is ahead no look proves anything, and a day may seem to have passed.
        let unsure = !seen || self.skew > secs(60);
        let unseen = unsure && (day || self.watch.reckon.clock_was_set);
        unseen || self.watch.contested.contains(&id)
    }

    /// It went out, and ended, without ever waiting for nothing.
    fn nothing_was_idle(&self, row: &Delivery) -> Result<(), String> {
        // What a newer store knew of the waits is forgotten with it.
        if self.went_back || row.state == State::Cancelled {
            return Ok(());
        }
        let it = &self.watch.reckon;
        let from = it.wanted_from(row);
        let left = it.left.get(&row.id).map(|it| it.0).filter(|at| *at >= from);
        for (what, to) in [("sent", left), ("ended", it.ended.get(&row.id).map(|it| it.0))] {
            let Some(to) = to else { continue };
            let (idle, first) = it.idle((row.id, row.account), (from, to), NEXT_LOOK);
            if idle > self.idle_most {
                return Err(format!(
                    "wanted from {from} on and {what} at {to}, {idle:#} of it with nothing in its way, first at {first:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Shares for the summary: by class, how many doubts settled by themselves.
pub(crate) fn shares(doubts: &BTreeMap<char, Doubts>) -> String {
    let share = |part: u64, all: u64| {
        #[allow(clippy::cast_precision_loss)] // small numbers
        let percent = 100.0 * part as f64 / all.max(1) as f64;
        format!("{percent:.2} %")
    };
    let line = |(class, it): (&char, &Doubts)| {
        format!(
            "{class}: {} doubts; by themselves settled {}, in 20 minutes whatever happened {}; a person asked about {}; \
             of those that could be told {} settled",
            it.all,
            share(it.settled, it.all),
            share(it.at_once, it.all),
            share(it.asked, it.all),
            share(it.settled, it.all - it.excused),
        )
    };
    doubts.iter().map(line).collect::<Vec<_>>().join("\n")
}
