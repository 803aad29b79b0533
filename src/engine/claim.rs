//! From a delivery's turn to its claim: everything that can stop it before anything is prepared.

use jiff::{SignedDuration, Timestamp};

use super::ask::Refused;
use super::gates::app_of;
use super::lanes::PAUSED;
use super::send::with_job;
use super::steps::LONGEST;
use super::wants::over_late;
use super::{Effect, Engine, Phase, Refreshed, Then, Work, restored};
use crate::domain::account::AccountState;
use crate::domain::delivery::{Delivery, Event, Looked, Reason, Recall, RetryWhy, State};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::planted::planted;
use crate::platforms::{Fresh, Next};

/// A token must outlive this much for a publishing call to start.
const TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(120);

impl Engine {
    pub(super) fn loaded(
        &mut self,
        id: DeliveryId,
        work: Option<Box<Work>>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.phase == Phase::Loading) else { return };
        let Some(work) = work else {
            for (_, ticket) in std::mem::take(&mut run.asks) {
                out.push(Effect::Reply { ticket, result: Err(unreadable(id)) });
            }
            self.cannot_read(id, now);
            return self.release(id);
        };
        if std::mem::take(&mut run.stale) {
            return out.push(Effect::Load { id });
        }
        self.unread.remove(&id);
        let due = work.delivery.wakes_at();
        let in_flight = work.delivery.in_flight();
        let state = work.delivery.state;
        run.work = Some(work);
        for (ask, ticket) in std::mem::take(&mut run.asks) {
            self.asked(id, &ask, ticket, now, out);
        }
        // A wish may have ended or moved it.
        if self.runs.get(&id).is_none_or(|run| run.phase != Phase::Loading) {
            return;
        }
        if !in_flight && due.is_none_or(|at| at > now) {
            return self.release(id);
        }
        // The row may have been read before the delivery moved on: what is to be sent waits in its
        // lane, and nothing is claimed once a pause was asked for.
        let in_lane = self.runs.get(&id).is_some_and(|run| run.in_lane);
        let stopped = self.stops.any();
        if (stopped && !in_flight && state != State::Unknown) || (!in_lane && state != State::Unknown) {
            return self.release(id);
        }
        match state {
            State::Unknown => self.look(id, now, out),
            State::Scheduled | State::Retry | State::Claimed | State::Preparing => self.claim(id, now, out),
            // Start-up turns `Sending` into `Unknown` before the engine sees it.
            State::Sending
            | State::NeedsReconnect
            | State::Published
            | State::HandedOver
            | State::Rejected
            | State::Cancelled
            | State::Missed => self.release(id),
        }
    }

    /// Everything that can stop a delivery before it is claimed, then W1.
    fn claim(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get(&id) else { return };
        let Some(work) = &run.work else { return };
        let delivery = &work.delivery;
        let Some(account) = &work.account else {
            let reason =
                Reason::new("account_gone", format!("account `{}` is no longer connected", delivery.name));
            return self.stop(id, Event::Cancel { reason }, now, out);
        };
        if account.state == AccountState::Paused {
            let reason = Reason::new(PAUSED, "the account is paused");
            let lane = self.lanes.entry(run.account).or_default();
            lane.halted = true;
            // What comes too late through it says so.
            if lane.why.as_ref().is_none_or(|(until, _)| *until <= now) {
                lane.why = Some((now, Reason::new(PAUSED, "the account was paused")));
            }
            return self.step_back(id, now, reason, now, out);
        }
        if delivery.cancel_requested {
            let reason = Reason::new("cancelled", "cancelled by the user");
            return self.stop(id, Event::Cancel { reason }, now, out);
        }
        // Claimed while the wall clock was ahead, and set back since: its time comes again.
        let due = delivery.due.instant;
        if delivery.in_flight() && !delivery.begun() && due > now {
            return self.step_back(id, due, before_its_time(), now, out);
        }
        // What a paused queue holds back waits as long as the pause lasts.
        let held_back = work.hold.is_some();
        if let (Some(mut reason), false) = (too_late(delivery, now), held_back) {
            // What stood in its way when its time ran out.
            let end = delivery.late.until(due).unwrap_or(due);
            let lane = self.lanes.get(&run.account).and_then(|it| it.why.as_ref());
            let lane = lane.filter(|(until, _)| *until >= end).map(|it| &it.1);
            let why = lane.or_else(|| self.gate_reason(&app_of(account), end)).map(|it| it.message.as_str());
            if let Some(why) = self.stops.why(end).or(why) {
                reason.message = format!("{}; it waited because: {why}", reason.message);
            }
            return self.stop(id, Event::Miss { reason }, now, out);
        }
        // What may be live and would go out again is too late as well; it is looked for, not sent.
        if let (true, Some(reason)) = (delivery.flight.amb_since.is_some(), over_late(delivery, now)) {
            return self.stop(id, Event::Miss { reason }, now, out);
        }
        // The next part of a thread has not been tried yet, however late the thread began.
        let tried = delivery.retry_why != Some(RetryWhy::NextPart);
        if now > delivery.give_up_at && delivery.state == State::Retry && tried && !held_back {
            let reason = gave_up(delivery);
            return self.stop(id, Event::Refuse { reason }, now, out);
        }
        if account.state == AccountState::NeedsReconnect {
            let reason = account.dead();
            return self.stop(id, Event::AccountDead { reason }, now, out);
        }
        let (account_id, app) = (run.account, app_of(account));
        self.lanes.entry(account_id).or_default().app = Some(app.clone());
        if let Some((until, reason)) = self.enter_gate(id, &app, now) {
            return self.step_back(id, until, reason, now, out);
        }
        let broke = self.runs.get(&id).and_then(|run| run.work.as_ref()?.broke.clone());
        if let Err((at, reason)) =
            self.within_budget(broke, now).and_then(|()| self.within_limits(account_id, &app, now))
        {
            self.lanes.entry(account_id).or_default().park(at, reason.clone());
            self.waits_changed = true;
            return self.step_back(id, at, reason, now, out);
        }
        if self.token_first(id, now, out) {
            return;
        }
        if let Some(run) = self.runs.get_mut(&id) {
            run.hurried = due > now;
        }
        self.save(id, Event::Claim, Then::Advance, None, now, out);
        // A publishing call needs nothing but its own intent, whose write is queued behind the
        // claim's: one commit carries both, and its refusal stops the call all the same.
        if self.is_ready_to_publish(id, now) {
            self.advance(id, now, out);
        }
    }

    /// Its instant and its late policy, asked once more where nothing comes between the question and the
    /// intent: preparing lasts as long as files and networks take, and the clock may be set meanwhile (R11,
    /// I13). True = it does not go out now.
    pub(super) fn is_out_of_time(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(run) = self.runs.get(&id) else { return false };
        let Some(delivery) = run.work.as_ref().map(|work| &work.delivery).filter(|it| !it.begun()) else {
            return false;
        };
        let due = delivery.due.instant;
        if due > now && !run.hurried {
            self.park(id, due, before_its_time(), now, out);
            return true;
        }
        let late = too_late(delivery, now).filter(|_| !planted("late after preparing"));
        let Some(mut reason) = late else { return false };
        reason.message = format!("{}: preparing it took until now", reason.message);
        self.stop(id, Event::Miss { reason }, now, out);
        true
    }

    /// Whether the next thing to do for a claimed delivery is the publishing call.
    fn is_ready_to_publish(&self, id: DeliveryId, now: Timestamp) -> bool {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return false };
        // What `next` draws from chance does not change which kind of step it names.
        let fresh = Fresh { now, random: [0; _] };
        matches!(
            with_job(work, |job| work.platform.next(job, &work.delivery.flight.handles, fresh)),
            Some(Ok(Next::Publish(_)))
        )
    }

    /// Lets go of a delivery whose lane must wait. Claimed work (found at start-up) is in no index,
    /// so it is given a time first; the row of any other says when already.
    fn step_back(
        &mut self,
        id: DeliveryId,
        at: Timestamp,
        reason: Reason,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let run = self.runs.get(&id).and_then(|run| run.work.as_ref());
        if run.is_some_and(|work| work.delivery.in_flight()) {
            self.park(id, at, reason, now, out);
        } else {
            self.release(id);
        }
    }

    /// Ends or moves a delivery before it is sent; while an attempt is open it is looked up first.
    pub(super) fn stop(&mut self, id: DeliveryId, event: Event, now: Timestamp, out: &mut Vec<Effect>) {
        let open = self
            .runs
            .get(&id)
            .and_then(|run| run.work.as_ref())
            .is_some_and(|work| work.delivery.flight.amb_since.is_some());
        let work = self.runs.get(&id).and_then(|run| run.work.as_ref());
        let forgotten = work.filter(|it| it.account.is_some() && !matches!(event, Event::AccountDead { .. }));
        let forgotten = forgotten.and_then(|it| restored::event(&it.delivery, self.moment(now), Recall::Now));
        let event = if let Some(event) = forgotten {
            event
        } else if open {
            // No call left since. Why it is in doubt stays as it was said: it decides what may be done.
            let known = work.and_then(|it| it.delivery.reason.clone());
            let reason =
                known.unwrap_or_else(|| Reason::new("ambiguous", "checking whether it is already live"));
            let hint = match &event {
                Event::AccountDead { reason } => reason.hint.clone(),
                _ => Some("checking whether it is already live; nothing to do for now".to_owned()),
            };
            Event::Lose { next_check: now, reason: Reason { hint, ..reason }, said: None }
        } else {
            event
        };
        self.save(id, event, Then::Done, None, now, out);
    }

    /// A token that ends too soon is refreshed first. True = the run waits for that.
    pub(super) fn token_first(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return false };
        let Some(account) = run.work.as_ref().and_then(|work| work.account.as_ref()) else { return false };
        let short =
            account.expires_at.is_some_and(|end| end < now.saturating_add(TOKEN_MARGIN).unwrap_or(now));
        if !short || run.refreshed || !account.can_refresh {
            return false;
        }
        run.phase = Phase::Refreshing;
        run.refreshed = true;
        out.push(Effect::Refresh { account: account.id });
        true
    }

    pub(super) fn refreshed(
        &mut self,
        account: AccountId,
        outcome: &Refreshed,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(lane) = self.lanes.get_mut(&account) {
            lane.refreshing = false;
            match outcome {
                Refreshed::Later { at, reason } => {
                    // Reckoned, perhaps, with a clock that was ahead and has been set since.
                    let longest = now.saturating_add(LONGEST).unwrap_or(Timestamp::MAX);
                    lane.park((*at).min(longest), reason.clone());
                    lane.tokenless = true;
                    self.waits_changed = true;
                }
                // What waited for a token need not wait any more; a limit of the network's is another wait.
                Refreshed::Fresh(_) if lane.tokenless => {
                    (lane.parked_until, lane.why, lane.tokenless) = (None, None, false);
                    self.waits_changed = true;
                }
                Refreshed::Fresh(_) | Refreshed::Dead(_) => {}
            }
        }
        let waiting: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, run)| run.account == account && run.phase == Phase::Refreshing)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            let Some(work) = run.work.as_mut() else { continue };
            match outcome {
                Refreshed::Fresh(account) => {
                    work.account = Some((**account).clone());
                    match work.delivery.state {
                        State::Unknown => self.look(id, now, out),
                        State::Claimed | State::Preparing if run.confirm.is_none() => {
                            self.advance(id, now, out);
                        }
                        // The user may have moved it meanwhile.
                        State::Scheduled | State::Retry
                            if work.delivery.wakes_at().is_some_and(|at| at <= now) =>
                        {
                            self.claim(id, now, out);
                        }
                        _ => self.release(id),
                    }
                }
                Refreshed::Dead(reason) => {
                    if work.delivery.state == State::Unknown {
                        self.nobody_looks(id, reason.clone(), now, out);
                    } else {
                        self.stop(id, Event::AccountDead { reason: reason.clone() }, now, out);
                    }
                }
                Refreshed::Later { at, reason } => match work.delivery.state {
                    State::Unknown => {
                        let absent_at = work.delivery.flight.absent_at;
                        let (kind, reason) = (Looked::Unclear, Some(reason.clone()));
                        let event = Event::Look { kind, next_check: *at, absent_at, reason };
                        self.save(id, event, Then::Done, None, now, out);
                    }
                    _ => self.step_back(id, *at, reason.clone(), now, out),
                },
            }
        }
    }
}

/// Whoever waits for it must hear of it, too.
fn unreadable(id: DeliveryId) -> Refused {
    Refused {
        code: "unreadable",
        message: format!("delivery `{id}` is gone, or what belongs to it cannot be read"),
        hint: Some("the daemon's own log says what is wrong with it".into()),
    }
}

/// Why what was begun is put back.
fn before_its_time() -> Reason {
    Reason::new("clock", "the clock was set back, and its time has not come yet")
}

/// Why a delivery of which nothing is live is too late under its policy. What may be live is looked up
/// instead, and a thread that has begun goes on.
fn too_late(delivery: &Delivery, now: Timestamp) -> Option<Reason> {
    let due = delivery.due.instant;
    let at_once = planted("missed at once") && now.duration_since(due) > SignedDuration::from_secs(30);
    (!delivery.begun() && (delivery.is_late(now) || at_once)).then(|| {
        let late = now.duration_since(due).as_mins();
        let why = delivery.reason.as_ref().filter(|_| delivery.state != State::Scheduled);
        let why = why.map(|it| format!("; until then: {}", it.message)).unwrap_or_default();
        Reason::new("late", format!("it was due {due:.0} and {late} min late{why}"))
            .hint(format!("`sendoff post retry {}` sends it now", delivery.id))
    })
}

fn gave_up(delivery: &Delivery) -> Reason {
    let last = delivery.reason.as_ref().map_or("no answer", |it| it.message.as_str());
    Reason::new("gave_up", format!("given up after {} tries: {last}", delivery.attempts))
        .hint(format!("`sendoff post retry {}` starts again", delivery.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::moment::Moment;
    use crate::domain::schedule::Late;
    use crate::engine::ask::Ask;
    use crate::engine::send::tests::{engine, put, work};
    use crate::engine::{DueRow, Input, Settings};

    /// What is to be published now was claimed at `claimed`, and its preparing has lasted until `now`.
    fn prepared(late: Late, hurried: bool, now: i64) -> (Vec<Effect>, Delivery) {
        let at = |s| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let mut engine = engine();
        let mut it = work(1, at(1_000));
        it.delivery.late = late;
        it.delivery = it.delivery.apply(Event::Claim, at(1_000)).unwrap();
        let before = it.delivery.clone();
        let id = put(&mut engine, it, Phase::Saving(1, Then::Advance));
        engine.runs.get_mut(&id).unwrap().hurried = hurried;
        let mut out = Vec::new();
        engine.advance(id, at(now), &mut out);
        (out, before)
    }

    #[test]
    fn preparing_that_lasts_beyond_the_late_policy_publishes_nothing() {
        for (late, until) in [(Late::Exact, 120), (Late::Within(SignedDuration::from_mins(9)), 540)] {
            let (out, _) = prepared(late, false, 1_000 + until);
            assert!(matches!(out.as_slice(), [Effect::Publish { .. }]), "{late}: it is in time");
            let (out, _) = prepared(late, false, 1_001 + until);
            let [Effect::Save(save)] = out.as_slice() else { panic!("{late}: one write and no call") };
            assert_eq!(save.after.state, State::Missed);
            let said = &save.after.reason.as_ref().unwrap().message;
            assert!(said.contains("preparing it took until now"), "{said}");
        }
        let (out, _) = prepared(Late::Always, false, 1_000_000);
        assert!(matches!(out.as_slice(), [Effect::Publish { .. }]));
    }

    #[test]
    fn a_clock_that_is_set_back_during_preparing_publishes_nothing_early() {
        let (out, before) = prepared(Late::Always, false, 400);
        let [Effect::Save(save)] = out.as_slice() else { panic!("one write and no call") };
        assert_eq!((save.after.state, save.after.wakes_at()), (State::Retry, Some(before.due.instant)));
        // Somebody wants it out at once.
        let (out, _) = prepared(Late::Always, true, 400);
        assert!(matches!(out.as_slice(), [Effect::Publish { .. }]));
    }

    #[test]
    fn a_wish_that_came_during_a_load_that_fails_is_answered() {
        let now = Timestamp::UNIX_EPOCH;
        let at = Moment { wall: now, boot: None };
        let mut engine = Engine::new(Settings::default(), Box::new(|bytes: &mut [u8]| bytes.fill(0)));
        let (id, account) = (DeliveryId::from_u128(7), AccountId::from_u128(1));
        let rows = vec![DueRow { at: now, id, account, unknown: true }];
        let mut out = engine.take(Input::Due { rows, all: true }, at);
        out.extend(engine.start(now));
        assert!(out.iter().any(|it| matches!(it, Effect::Load { id: of } if *of == id)));
        let out = engine.take(Input::Ask { id, ask: Ask::Cancel, ticket: 5 }, at);
        assert!(out.is_empty(), "it waits for the row");
        let out = engine.take(Input::Loaded { id, work: None }, at);
        let refused = out.into_iter().find_map(|it| match it {
            Effect::Reply { ticket: 5, result: Err(refused) } => Some(refused),
            _ => None,
        });
        assert_eq!(refused.map(|it| it.code), Some("unreadable"));
        assert!(!engine.holds(id));
    }

    #[test]
    fn what_cannot_be_read_is_tried_ever_more_rarely_and_holds_nobody_up() {
        let mut engine = Engine::new(Settings::default(), Box::new(|bytes: &mut [u8]| bytes.fill(0)));
        let (id, other, account) =
            (DeliveryId::from_u128(7), DeliveryId::from_u128(8), AccountId::from_u128(1));
        let start = Timestamp::UNIX_EPOCH;
        let row = |id, unknown| DueRow { at: start, id, account, unknown };
        for unknown in [false, true] {
            let (mut now, mut tries, mut waits) = (start, 0, Vec::new());
            // As the loop does: whatever is asked for is answered, and it sleeps as long as it is told.
            for _ in 0..400 {
                let mut inputs = vec![Input::Tick];
                let mut wake = None;
                while let Some(input) = inputs.pop() {
                    for effect in engine.apply(input, now) {
                        match effect {
                            Effect::FetchDue { .. } => {
                                inputs.push(Input::Due { rows: vec![row(id, unknown)], all: true });
                            }
                            Effect::Load { id } => {
                                tries += 1;
                                assert!(tries < 20, "it spins");
                                inputs.push(Input::Loaded { id, work: None });
                            }
                            Effect::WakeAt(at) => wake = Some(at),
                            _ => {}
                        }
                    }
                }
                let wake: Timestamp = wake.expect("it must be tried again");
                waits.push(wake.duration_since(now).as_secs());
                now = wake;
                if now.duration_since(start) > SignedDuration::from_mins(6) {
                    break;
                }
            }
            assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60], "{waits:?}");
            // The lane is not held up by it.
            let rows = vec![row(id, unknown), row(other, unknown)];
            let out = engine.apply(Input::Due { rows, all: true }, start + SignedDuration::from_mins(6));
            assert!(out.iter().any(|it| matches!(it, Effect::Load { id } if *id == other)));
            engine.apply(Input::Loaded { id: other, work: None }, now);
            // Gone from the index, it is forgotten.
            engine.apply(Input::Due { rows: Vec::new(), all: true }, now);
            assert!(engine.unread.is_empty());
        }
    }
}
