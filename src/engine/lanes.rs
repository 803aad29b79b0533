//! Who is next. One lane per account: one delivery in work, spaced, in the order (instant, id).

use std::collections::{BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::gates::{App, Gate, day_of, probers};
use super::steps::SetBack;
use super::{DueRow, Effect, Engine, Phase, Run};
use crate::domain::delivery::Reason;
use crate::domain::ids::{AccountId, DeliveryId};
use crate::planted::planted;

/// Most deliveries in work at once, over all accounts. Bounds memory, not throughput: each holds
/// one request and one answer.
const RUNS_MAX: usize = 256;
/// Rows asked for beyond those already known.
const FETCH: usize = 512;

/// What is due and cannot be read is tried again at least this often.
const UNREAD_MAX: SignedDuration = SignedDuration::from_mins(1);

/// The reason's class of what waits because its account is paused.
pub(super) const PAUSED: &str = "paused";

/// What one account has waiting and when it may go on.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: BTreeSet<(Timestamp, DeliveryId)>,
    pub(super) busy: Option<DeliveryId>,
    /// Spacing: not before this.
    pub(super) free_at: Option<Timestamp>,
    /// Rate limit: not before this.
    pub(super) parked_until: Option<Timestamp>,
    /// The account is paused or needs a person; waits for [`super::Input::AccountChanged`].
    pub(super) halted: bool,
    /// A refresh is under way; waits for [`super::Input::Refreshed`].
    pub(super) refreshing: bool,
    /// It is parked because no token could be had.
    pub(super) tokenless: bool,
    /// Rate limits in a row that named no end; each doubles the wait.
    pub(super) parks: u16,
    /// The network takes no reads of this account before then.
    pub(super) reads: Option<Timestamp>,
    /// Why it waits longer than its spacing, and until when; the last such wait, once it is over.
    pub(super) why: Option<(Timestamp, Reason)>,
    /// The app it belongs to, once a delivery of it was read.
    pub(super) app: Option<App>,
    /// When publishing calls left, as far back as the longest limit reaches.
    pub(super) sent: VecDeque<Timestamp>,
    /// What left of a kind that the network takes so many of ([`Platform::share`](crate::platforms::Platform)),
    /// and when last.
    pub(super) shares: Vec<(Timestamp, DeliveryId)>,
    /// The day (UTC, since 1970) of the last call that the network counts, and how many left on it.
    pub(super) tally: (i64, u32),
}

impl Lane {
    /// Nothing of the account is sent before then.
    pub(super) fn park(&mut self, until: Timestamp, reason: Reason) {
        self.tokenless = false;
        self.parked_until = Some(until);
        self.why = Some((until, reason));
    }

    /// That wait was for nothing. Whether it was the one that counts. A clock that was set moved it by what it
    /// was set, which is known for certain to less than a minute.
    pub(super) fn unpark(&mut self, until: Timestamp) -> bool {
        let is_that = |at: Timestamp| at.duration_since(until).abs() < SignedDuration::from_mins(1);
        let was = self.why.take_if(|(at, _)| is_that(*at)).is_some();
        self.parked_until.take_if(|at| is_that(*at));
        was
    }

    /// See [`super::steps`].
    pub(super) fn set_back(&mut self, back: SetBack) {
        let waits = [&mut self.free_at, &mut self.parked_until, &mut self.reads];
        waits.into_iter().flatten().for_each(|until| back.wait(until));
        self.why.iter_mut().for_each(|it| back.wait(&mut it.0));
        self.sent.iter_mut().for_each(|at| back.past(at));
        self.shares.iter_mut().for_each(|it| back.past(&mut it.0));
    }

    fn ready_at(&self) -> Option<Timestamp> {
        let busy = self.busy.is_some() && !planted("send outside the lane");
        if busy || self.halted || self.refreshing || self.waiting.is_empty() {
            return None;
        }
        Some(self.free_at.max(self.parked_until).unwrap_or(Timestamp::MIN))
    }
}

/// Whether one that could not be read is left alone for now. A clock that was set back since must not
/// make that longer.
fn rests(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.duration_since(now) <= UNREAD_MAX
}

impl Engine {
    /// A delivery that is due cannot be read: it is tried again, ever more rarely. Its lane goes on.
    pub(super) fn cannot_read(&mut self, id: DeliveryId, now: Timestamp) {
        let (times, until) = self.unread.entry(id).or_insert((0, now));
        let wait = SignedDuration::from_secs(1_i64 << (*times).min(6)).min(UNREAD_MAX);
        *times = times.saturating_add(1);
        *until = now.saturating_add(wait).unwrap_or(now);
    }

    pub(super) fn take_due(&mut self, rows: &[DueRow], all: bool, now: Timestamp) {
        self.fetching = false;
        if all && !self.unread.is_empty() {
            let due: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
            let runs = &self.runs;
            self.unread.retain(|id, _| due.contains(id) || runs.contains_key(id));
        }
        let mut news = false;
        for row in rows {
            if self.runs.contains_key(&row.id) || self.unread.get(&row.id).is_some_and(|it| rests(it.1, now))
            {
                continue;
            }
            news |= if row.unknown {
                self.looks.insert((row.at, row.id), row.account).is_none()
            } else {
                self.lanes.entry(row.account).or_default().waiting.insert((row.at, row.id))
            };
        }
        // More is due than was read. Without news, the rows seen are all waiting for their lanes
        // and the next tick asks again, for more.
        if !all && news {
            self.refetch = true;
        }
    }

    /// Starts whatever may start, and says when to come back.
    pub(super) fn start_work(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        // Without room on the disk nothing is claimed: what it would write is better kept for outcomes.
        let held = self.stops.any();
        if !held {
            self.start_lanes(now, out);
        }
        // A stop stops sending; what may be on the wire is still accounted for.
        self.start_looks(now, out);
        let read_backs = self.start_read_backs(now, out);
        if self.refetch && !self.fetching {
            self.refetch = false;
            self.fetching = true;
            let known = self.looks.len()
                + self.runs.len()
                + self.unread.len()
                + self.lanes.values().map(|lane| lane.waiting.len()).sum::<usize>();
            out.push(Effect::FetchDue { limit: known + FETCH });
        }
        let lanes = self.lanes.values().filter_map(|it| self.lane_ready_at(it)).filter(|_| !held);
        let unread = self.unread.values().map(|it| it.1);
        if let Some(at) = lanes.chain(unread).chain(read_backs).filter(|at| *at > now).min() {
            out.push(Effect::WakeAt(at));
        }
    }

    fn start_lanes(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let mut started = Vec::new();
        let (gates, runs) = (&self.gates, &self.runs);
        // Whoever found a network shut lets the others try first, or its own trouble could keep it shut.
        let probers = probers(gates);
        let mut tried = BTreeSet::new();
        for last in [false, true].into_iter().take(if probers.is_empty() { 1 } else { 2 }) {
            for (account, lane) in self.lanes.iter_mut().filter(|(id, _)| probers.contains(id) == last) {
                if runs.len() + started.len() >= RUNS_MAX {
                    break;
                }
                let gate = lane.app.as_ref().and_then(|app| gates.get(app)).and_then(Gate::until);
                // It comes in again when the other is done with, whatever came of it.
                let is_tried = || last && lane.app.as_ref().is_some_and(|app| tried.contains(app));
                if lane.ready_at().is_none_or(|at| at.max(gate.unwrap_or(at)) > now) || is_tried() {
                    continue;
                }
                // A row read before its delivery was taken in hand is stale: that run's end asks anew.
                while let Some((_, id)) = lane.waiting.pop_first() {
                    if !runs.contains_key(&id) {
                        lane.busy = Some(id);
                        started.push((id, *account));
                        tried.extend(lane.app.clone().filter(|_| gate.is_some()));
                        break;
                    }
                }
            }
        }
        for (id, account) in started {
            self.begin(id, account, true, out);
        }
        let (gates, today) = (&self.gates, day_of(now));
        self.lanes.retain(|_, lane| {
            let gate = lane.app.as_ref().and_then(|app| gates.get(app)).and_then(Gate::until);
            gate.is_some_and(|at| at > now)
                || lane.busy.is_some()
                || !lane.waiting.is_empty()
                || lane.halted
                || lane.refreshing
                || lane.parks > 0
                || lane.reads.is_some_and(|at| at > now)
                || !lane.sent.is_empty()
                || !lane.shares.is_empty()
                || (lane.tally.1 > 0 && lane.tally.0 == today)
                || lane.free_at.max(lane.parked_until).is_some_and(|at| at > now)
        });
    }

    /// When a lane may go on: its own waits, and its app's.
    fn lane_ready_at(&self, lane: &Lane) -> Option<Timestamp> {
        let at = lane.ready_at()?;
        let gate = lane.app.as_ref().and_then(|app| self.gate_until(app));
        Some(at.max(gate.unwrap_or(at)))
    }

    fn start_looks(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        while self.runs.len() < RUNS_MAX {
            let Some(entry) = self.looks.first_entry() else { break };
            let ((at, id), account) = (*entry.key(), *entry.get());
            if at > now {
                break;
            }
            entry.remove();
            if self.runs.contains_key(&id) {
                continue;
            }
            self.begin(id, account, false, out);
        }
    }

    fn begin(&mut self, id: DeliveryId, account: AccountId, in_lane: bool, out: &mut Vec<Effect>) {
        let run = Run {
            account,
            in_lane,
            work: None,
            stale: false,
            phase: Phase::Loading,
            call: None,
            marker_gone: None,
            pages: 0,
            asked: None,
            prepared: 0,
            refreshed: false,
            hurried: false,
            searched: None,
            scanned: false,
            spacing: SignedDuration::ZERO,
            confirm: None,
            asks: Vec::new(),
        };
        self.runs.insert(id, run);
        out.push(Effect::Load { id });
    }

    /// Lets go of a delivery; its row says what happens to it next.
    pub(super) fn release(&mut self, id: DeliveryId) {
        if let Some(run) = self.runs.remove(&id) {
            self.free_lane(run.account, id);
            self.gate_untried(run.account, id);
            self.refetch = true;
        }
    }

    /// The lane goes on while the run still has something to do (a read-back).
    pub(super) fn free_lane(&mut self, account: AccountId, id: DeliveryId) {
        if let Some(lane) = self.lanes.get_mut(&account)
            && lane.busy == Some(id)
        {
            lane.busy = None;
        }
    }

    pub(super) fn account_changed(&mut self, account: AccountId, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&account) {
            // A rate limit stays: it is the network's, not the account's.
            lane.halted = false;
            if let Some((until, _)) = lane.why.as_mut().filter(|(_, why)| why.class == PAUSED) {
                *until = now;
            }
        }
        self.read_backs.forget(account);
        // What is being read may have been read before: a pause that is over would halt the lane for ever.
        let mine = |run: &&mut Run| run.account == account && run.phase == Phase::Loading;
        self.runs.values_mut().filter(mine).for_each(|run| run.stale = true);
        self.refetch = true;
    }
}
