//! How fast the daemon may go: no burst after a downtime and nothing late without a search, no more
//! posts into a network that does not answer, and none faster than what is left of a quota allows.
//!
//! All by the wall clock, which the engine goes by; when that is set, what was known is forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::ids::{AccountId, DeliveryId, PlatformName};
use sendoff::engine::{Save, WaitFor};
use sendoff::platforms::Class;

use super::dice::secs;
use super::world::World;

/// Due longer than this before the daemon was there: late.
const LATE: SignedDuration = SignedDuration::from_mins(2);
/// At least this far apart, after one that was late (§12).
const APART: SignedDuration = SignedDuration::from_mins(1);
/// So many calls without a clear answer within this time, and nothing more is begun (§10).
const UNCLEAR: usize = 5;
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// A quota of which so many calls are left for this long: ten seconds for each.
const LEFT: i64 = 6;
const REST: SignedDuration = SignedDuration::from_mins(1);

/// What binds the daemon's pace. Of one life: a restart may forget it.
#[derive(Default)]
pub(crate) struct Pace {
    /// The network tells of a quota that is nearly used up.
    pub(crate) scarce: bool,
    /// Durable writes that were asked for.
    pub(crate) writes: u64,
    /// When the daemon began, if its clock was not set since.
    woke: Option<Timestamp>,
    /// Nothing of the account is begun before then, and which rule says so.
    not_before: BTreeMap<AccountId, (Timestamp, &'static str)>,
    /// Late ones that were searched for.
    searched: BTreeSet<DeliveryId>,
    /// Calls without a clear answer since the last that went through.
    unclear: VecDeque<(Timestamp, DeliveryId)>,
    shut_until: Option<Timestamp>,
    /// Calls whose answer will tell of the quota, and when that ends.
    quotas: BTreeMap<DeliveryId, Timestamp>,
}

impl Pace {
    pub(crate) fn woke(&mut self, wall: Timestamp) {
        self.woke = Some(wall);
    }

    pub(crate) fn died(&mut self) {
        *self = Self { scarce: self.scarce, writes: self.writes, ..Self::default() };
    }

    pub(crate) fn clock_set(&mut self) {
        let searched = std::mem::take(&mut self.searched);
        *self = Self { scarce: self.scarce, writes: self.writes, searched, ..Self::default() };
    }

    pub(crate) fn searched(&mut self, id: DeliveryId) {
        self.searched.insert(id);
    }

    /// What an answer says of the quota, in X's words.
    pub(crate) fn headers(&mut self, id: DeliveryId, now: Timestamp) -> Vec<(String, String)> {
        if !self.scarce {
            return Vec::new();
        }
        let reset = now + REST;
        self.quotas.insert(id, reset);
        [("limit", 100), ("remaining", LEFT), ("reset", reset.as_second())]
            .map(|(name, n)| (format!("x-user-limit-24hour-{name}"), n.to_string()))
            .into()
    }

    /// The answer to a publishing call is here. `now`: in truth, as the network's clock shows it.
    pub(crate) fn answered(
        &mut self,
        account: AccountId,
        id: DeliveryId,
        (wall, now): (Timestamp, Timestamp),
    ) {
        let Some(reset) = self.quotas.remove(&id) else { return };
        // The network tells whole seconds.
        let rest = reset.duration_since(now) - secs(1);
        if rest.is_positive() {
            let at = wall + rest / i32::try_from(LEFT).unwrap();
            self.hold(account, at, "faster than the quota allows (§10)");
        }
    }

    fn hold(&mut self, account: AccountId, at: Timestamp, rule: &'static str) {
        let before = self.not_before.entry(account).or_insert((at, rule));
        if before.0 < at {
            *before = (at, rule);
        }
    }
}

impl World {
    /// The engine decided on a write that is no intent.
    pub(crate) fn pace_save(&mut self, save: &Save) {
        if save.event == "claim" {
            self.pace_claim(&save.before);
        }
        let outcome = save.answer.as_ref().map(|it| it.outcome);
        let (State::Sending, Some(outcome)) = (save.before.state, outcome) else { return };
        let wall = self.wall();
        let waits = self.engine.as_ref().map(|it| it.waits(wall)).unwrap_or_default();
        let shut = waits.iter().filter(|it| matches!(it.scope, WaitFor::App(..)));
        let shut = shut.map(|it| it.until).max();
        let pace = &mut self.watch.pace;
        match outcome {
            "applied" | "handed_over" | "pending" => {
                pace.unclear.clear();
                pace.shut_until = None;
            }
            "ambiguous" | "not_sent" => {
                let id = save.before.id;
                pace.unclear.push_back((wall, id));
                pace.unclear.retain(|(at, _)| wall.duration_since(*at) <= WINDOW);
                // One post alone may have trouble of its own.
                let several = pace.unclear.iter().any(|it| it.1 != id);
                let many = several && pace.unclear.len() >= UNCLEAR;
                assert!(!many || shut.is_some(), "five calls without a clear answer, and it goes on (§10)");
                if let Some(until) = shut {
                    pace.unclear.clear();
                    pace.shut_until = Some(until);
                }
            }
            _ => {}
        }
    }

    /// A delivery is taken in hand.
    fn pace_claim(&mut self, row: &Delivery) {
        let (wall, pace) = (self.wall(), &self.watch.pace);
        if let Some(until) = pace.shut_until {
            assert!(wall >= until, "begun while the network does not answer (§10): shut until {until}");
        }
        if let Some((at, rule)) = pace.not_before.get(&row.account) {
            assert!(wall >= *at, "{rule}: not before {at}, and it is {wall}");
        }
    }

    /// The engine decided that a publishing call is to be made.
    pub(crate) fn pace_intent(&mut self, before: &Delivery) {
        let wall = self.wall();
        let late = |woke: Timestamp| woke.duration_since(before.due.instant) > LATE;
        if before.sent_at.is_some() || !self.watch.pace.woke.is_some_and(late) {
            return;
        }
        let class = self.class_at(before, before.step);
        let searches = match self.network.platform {
            PlatformName::X | PlatformName::Bluesky | PlatformName::Mastodon | PlatformName::Threads => true,
            // The posts of members cannot be listed.
            PlatformName::LinkedIn => class == Class::Listable,
            // Nor do the words of films tell one from another.
            PlatformName::Facebook => class == Class::Opaque && !self.watch.forms,
            PlatformName::Instagram | PlatformName::TikTok => false,
        };
        let searched = before.flight.frozen.is_some() || self.watch.pace.searched.contains(&before.id);
        assert!(searched || !searches, "late, and nobody searched for it first (§12)");
        self.watch.pace.hold(before.account, wall + APART, "a burst after a downtime (§12)");
    }
}
