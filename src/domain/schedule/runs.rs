//! Runs of a recurring post: which are to be made now, which were passed over.
//!
//! A run belongs to a slot, and the slot's wall time is its identity. Runs are made ahead of their
//! time, so that they are checked, listed and can be changed like any other post; how far ahead is
//! bounded. What passed while nobody was looking becomes one run, the latest.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::settle;
use super::slots::{Slot, SlotPattern, slots};

/// Runs are made this long before their time. The next one is made however far away it is.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(48);
/// Most runs that wait at once.
pub const AHEAD_MAX: usize = 50;
/// Most passed-over slots that are named; the rest is counted.
const NAMED: usize = 1000;

/// When a recurring post runs.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    pub patterns: &'a [SlotPattern],
    pub zone: &'a TimeZone,
    /// The zone's name.
    pub zone_name: &'a str,
    /// The last day on which it runs, in `zone`.
    pub until: Option<Date>,
    /// How many more runs may be made.
    pub left: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Runs to make, earliest first. The first may have passed already: the latest of those that did.
    pub make: Vec<Slot>,
    /// Slots that passed and get no run, the latest of them, earliest first.
    pub skipped: Vec<DateTime>,
    /// How many such slots there are, named or not.
    pub skipped_count: u64,
    /// The first of them.
    pub first_skipped: Option<DateTime>,
}

impl Rule<'_> {
    /// Slots after an instant, up to the last day.
    pub fn slots_after(&self, after: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        let until = self.until;
        slots(self.patterns, self.zone, self.zone_name, after)
            .take_while(move |it| until.is_none_or(|until| it.local.date() <= until))
    }

    /// The slot with this wall time, if it is one.
    pub fn slot_at(&self, local: DateTime) -> Option<Slot> {
        let instant = settle(local, self.zone, self.zone_name)?.instant;
        let before = instant.checked_sub(SignedDuration::from_millis(1)).ok()?;
        self.slots_after(before).next().filter(|it| it.local == local)
    }

    /// What is to be made at `now`, when everything up to `from` was dealt with before. `known` says
    /// whether a slot has its run (or was passed over) already.
    pub fn plan(&self, from: Timestamp, now: Timestamp, known: impl Fn(DateTime) -> bool) -> Plan {
        let mut plan = Plan::default();
        let mut left = self.left.unwrap_or(u64::MAX);
        if left == 0 {
            return plan;
        }
        let mut latest: Option<Slot> = None;
        let pass_over = |plan: &mut Plan, slot: Option<Slot>| {
            let Some(slot) = slot else { return };
            plan.first_skipped.get_or_insert(slot.local);
            plan.skipped_count += 1;
            if plan.skipped.len() == NAMED {
                plan.skipped.remove(0);
            }
            plan.skipped.push(slot.local);
        };
        for slot in self.slots_after(from).take_while(|it| it.due.instant <= now) {
            // Whatever comes later, made or not, stands for this one too.
            pass_over(&mut plan, latest.take());
            if !known(slot.local) {
                latest = Some(slot);
            }
        }
        if let Some(slot) = latest {
            plan.make.push(slot);
            left -= 1;
        }
        let horizon = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        for (n, slot) in self.slots_after(from.max(now)).take(AHEAD_MAX).enumerate() {
            if left == 0 || (n > 0 && slot.due.instant > horizon) {
                break;
            }
            if !known(slot.local) {
                plan.make.push(slot);
                left -= 1;
            }
        }
        plan
    }
}
