//! One delivery from claim to answer.

use jiff::{SignedDuration, Timestamp};

use super::backoff;
use super::{Effect, Engine, Evidence, Phase, Purpose, Refreshed, Reply, Then, Work, ask};
use crate::domain::account::AccountState;
use crate::domain::delivery::{Delivery, Event, Frozen, Reason, RetryWhy, State};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::platforms::{Answer, Failure, FailureClass, Fresh, Job, Next, Sight};

/// A token must outlive this much for a publishing call to start.
const TOKEN_MARGIN: SignedDuration = SignedDuration::from_secs(120);
/// After such a wait one delivery tries alone; the others of the network wait this long for it.
const PROBE: SignedDuration = SignedDuration::from_mins(2);
/// Held back ([`Work::hold`]): looked at again after this, unless somebody says earlier.
const HOLD_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// No room to record an outcome: looked at again after this.
const DISK_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// Sent later than this after its instant: a catch-up, spaced wider.
const CATCH_UP: SignedDuration = SignedDuration::from_mins(2);

impl Engine {
    pub(super) fn loaded(
        &mut self,
        id: DeliveryId,
        work: Option<Box<Work>>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.phase == Phase::Loading) else { return };
        let Some(work) = work else { return self.release(id) };
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
        if (self.paused && !in_flight) || (!in_lane && state != State::Unknown) {
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
            self.lanes.entry(run.account).or_default().halted = true;
            let reason = Reason::new("paused", "the account is paused");
            return self.step_back(id, now, reason, now, out);
        }
        if delivery.cancel_requested {
            let reason = Reason::new("cancelled", "cancelled by the user");
            return self.stop(id, Event::Cancel { reason }, now, out);
        }
        // What a paused queue holds back waits as long as the pause lasts.
        let held_back = work.hold.is_some();
        if let (Some(reason), false) = (too_late(delivery, now), held_back) {
            return self.stop(id, Event::Miss { reason }, now, out);
        }
        // The next part of a thread has not been tried yet, however late the thread began.
        let tried = delivery.retry_why != Some(RetryWhy::NextPart);
        if now > delivery.give_up_at && delivery.state == State::Retry && tried && !held_back {
            let reason = gave_up(delivery);
            return self.stop(id, Event::Refuse { reason }, now, out);
        }
        if account.state == AccountState::NeedsReconnect {
            let reason = Reason::new(
                "account_dead",
                account.reason.clone().unwrap_or_else(|| "the account must be connected again".into()),
            )
            .hint(format!("sendoff account connect {}", account.name.platform()));
            return self.stop(id, Event::AccountDead { reason }, now, out);
        }
        let platform = account.name.platform();
        if let Some(until) = self.parked.get(&platform).copied() {
            if until > now {
                self.lanes.entry(run.account).or_default().parked_until = Some(until);
                let reason = Reason::new("parked", format!("sending to {platform} waits"));
                return self.step_back(id, until, reason, now, out);
            }
            // The wait is over: this one tries, and the other accounts wait for what it meets.
            self.parked.insert(platform, now.saturating_add(PROBE).unwrap_or(now));
        }
        if self.token_first(id, now, out) {
            return;
        }
        self.save(id, Event::Claim, Then::Advance, None, now, out);
        // A publishing call needs nothing but its own intent, whose write is queued behind the
        // claim's: one commit carries both, and its refusal stops the call all the same.
        if self.is_ready_to_publish(id, now) {
            self.advance(id, now, out);
        }
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
            let event = Event::Defer { at, why: RetryWhy::Parked, reason, again: false };
            self.save(id, event, Then::Done, None, now, out);
        } else {
            self.release(id);
        }
    }

    /// Ends or moves a delivery before it is sent; while an attempt is open it is looked up first.
    fn stop(&mut self, id: DeliveryId, event: Event, now: Timestamp, out: &mut Vec<Effect>) {
        let open = self
            .runs
            .get(&id)
            .and_then(|run| run.work.as_ref())
            .is_some_and(|work| work.delivery.flight.amb_since.is_some());
        let event = if open {
            Event::Lose {
                next_check: now,
                reason: Reason::new("ambiguous", "checking whether it is already live"),
            }
        } else {
            event
        };
        self.save(id, event, Then::Done, None, now, out);
    }

    /// A token that ends too soon is refreshed first. True = the run waits for that.
    fn token_first(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) -> bool {
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
            if let Refreshed::Later { at, .. } = outcome {
                lane.parked_until = Some(*at);
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
                        let event = Event::Look {
                            next_check: now.saturating_add(SignedDuration::from_mins(15)).unwrap_or(now),
                            absent_at: work.delivery.flight.absent_at,
                            reason: Some(reason.clone()),
                        };
                        self.save(id, event, Then::Done, None, now, out);
                    } else {
                        self.stop(id, Event::AccountDead { reason: reason.clone() }, now, out);
                    }
                }
                Refreshed::Later { at, reason } => match work.delivery.state {
                    State::Unknown => {
                        let absent_at = work.delivery.flight.absent_at;
                        let event = Event::Look { next_check: *at, absent_at, reason: Some(reason.clone()) };
                        self.save(id, event, Then::Done, None, now, out);
                    }
                    _ => self.step_back(id, *at, reason.clone(), now, out),
                },
            }
        }
    }

    pub(super) fn saved(
        &mut self,
        id: DeliveryId,
        seq: u64,
        conflict: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(ticket) = self.tickets.remove(&seq) {
            let result = if conflict { Err(changed(id)) } else { Ok(()) };
            out.push(Effect::Reply { ticket, result });
        }
        if conflict {
            // Somebody else wrote the row: what we hold is stale. The row is the truth.
            tracing::warn!(delivery = %id, "a write met a changed row; reading it again");
            return self.release(id);
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Phase::Saving(expected, then) = run.phase else { return };
        if expected != seq {
            return;
        }
        match then {
            Then::Advance => self.advance(id, now, out),
            Then::Done => self.done(id, out),
        }
    }

    /// The lane is free; a step that just went live is read back beside it.
    fn done(&mut self, id: DeliveryId, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let account_id = run.account;
        if let Some(step) = run.confirm
            && let Some(work) = &run.work
            && let Some(account) = &work.account
            && let Some(live) = work.delivery.steps.get(step)
            && let Some(request) = work.platform.read_back(account, live)
        {
            run.phase = Phase::Calling(Purpose::ReadBack);
            run.in_lane = false;
            out.push(Effect::Call { id, account: account_id, purpose: Purpose::ReadBack, request });
            self.free_lane(account_id, id);
            return;
        }
        self.release(id);
    }

    /// The next thing to do for a claimed delivery.
    fn advance(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let fresh = Fresh { now, random: self.fill() };
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let Some(account) = &work.account else { return self.release(id) };
        if work.delivery.cancel_requested {
            let reason = Reason::new("cancelled", "cancelled by the user");
            return self.stop(id, Event::Cancel { reason }, now, out);
        }
        if let (Some(reason), None) = (&work.hold, work.delivery.flight.amb_since) {
            let at = now.saturating_add(HOLD_WAIT).unwrap_or(now);
            let reason = reason.clone();
            let event = Event::Defer { at, why: RetryWhy::Parked, reason, again: false };
            return self.save(id, event, Then::Done, None, now, out);
        }
        if let Some(problem) = work.problems.first()
            && work.delivery.flight.amb_since.is_none()
        {
            let mut reason = Reason::new("invalid_content", problem.message.clone());
            reason.hint.clone_from(&problem.hint);
            return self.save(id, Event::Refuse { reason }, Then::Done, None, now, out);
        }
        let next = with_job(work, |job| work.platform.next(job, &work.delivery.flight.handles, fresh));
        match next {
            None => {
                let reason = Reason::new("invalid_content", "the post has no text for this part any more");
                self.stop(id, Event::Refuse { reason }, now, out);
            }
            Some(Ok(Next::Call(request))) => {
                run.call = Some(request.clone());
                run.phase = Phase::Calling(Purpose::Prepare);
                out.push(Effect::Call { id, account: account.id, purpose: Purpose::Prepare, request });
            }
            Some(Ok(Next::Publish(fresh))) => {
                let frozen = work.delivery.flight.frozen.clone().unwrap_or(fresh);
                self.publish(id, frozen, now, out);
            }
            Some(Err(failure)) => self.no_effect(id, failure, backoff::PREPARING, None, now, out),
        }
    }

    /// The preflight and W3. Past this the call may be on the wire.
    fn publish(&mut self, id: DeliveryId, frozen: Frozen, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.disk_ok {
            let reason = Reason::new(
                "disk_full",
                "there is too little room on the disk to record an outcome, so nothing is sent",
            )
            .hint("free at least 64 MiB in `data_dir`");
            let event = Event::Defer {
                at: now.saturating_add(DISK_WAIT).unwrap_or(now),
                why: RetryWhy::Parked,
                reason,
                again: false,
            };
            return self.save(id, event, Then::Done, None, now, out);
        }
        let open = self.runs.get(&id).and_then(|run| run.work.as_ref());
        if self.paused && open.is_some_and(|work| work.delivery.flight.amb_since.is_none()) {
            // Claimed before the stop, and nothing of it is on the wire yet.
            let reason = Reason::new("paused", "sending is stopped").hint("`sendoff resume` starts it again");
            let event = Event::Defer { at: now, why: RetryWhy::Parked, reason, again: false };
            return self.save(id, event, Then::Done, None, now, out);
        }
        if self.token_first(id, now, out) {
            return;
        }
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let Some(request) = with_job(work, |job| work.platform.publish(job, &frozen)) else {
            return self.release(id);
        };
        let late =
            now.duration_since(work.delivery.due.instant) > CATCH_UP && work.delivery.sent_at.is_none();
        let spacing = if late { self.settings.catch_up_spacing } else { self.settings.lane_spacing };
        let account = work.delivery.account;
        if let Some(save) = self.moved(id, Event::Intend { frozen }, Then::Done, None, now) {
            if let Some(run) = self.runs.get_mut(&id) {
                run.phase = Phase::Publishing;
            }
            self.lanes.entry(account).or_default().free_at = now.checked_add(spacing).ok();
            out.push(Effect::Publish { save: Box::new(save), request });
        }
    }

    /// Reply to a preparing call, a look, or a read-back.
    pub(super) fn answered(
        &mut self,
        id: DeliveryId,
        purpose: Purpose,
        reply: Reply,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.phase == Phase::Calling(purpose)) else {
            return;
        };
        let call = run.call.take();
        match purpose {
            Purpose::Look => self.looked(id, reply, now, out),
            Purpose::ReadBack => {
                if let (Some(work), Some(step), Reply::Answer(answer)) = (&run.work, run.confirm, &reply)
                    && let Some(live) = work.delivery.steps.get(step)
                    && let Sight::Found(_) = work.platform.confirmed(live, answer, now)
                {
                    out.push(Effect::Confirm { id, step, verified: true });
                }
                self.release(id);
            }
            Purpose::Prepare => {
                let (Some(work), Some(call)) = (&run.work, call) else { return self.release(id) };
                let outcome = match &reply {
                    Reply::Answer(answer) => with_job(work, |job| {
                        work.platform.answered(job, &work.delivery.flight.handles, &call, answer, now)
                    }),
                    Reply::NotSent(message) | Reply::Lost(message) => Some(Err(Failure {
                        class: FailureClass::Transient,
                        message: message.clone(),
                        hint: None,
                        until: None,
                    })),
                };
                let kept = match &reply {
                    Reply::Answer(answer) => Some(evidence("refused", answer)),
                    Reply::NotSent(_) | Reply::Lost(_) => None,
                };
                match outcome {
                    None => self.release(id),
                    Some(Ok(handles)) => {
                        self.save(id, Event::Prepare { handles }, Then::Advance, None, now, out);
                    }
                    Some(Err(failure)) => self.no_effect(id, failure, backoff::PREPARING, kept, now, out),
                }
            }
        }
    }

    pub(super) fn asked(
        &mut self,
        id: DeliveryId,
        ask: &ask::Ask,
        ticket: u64,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let give_up_after = self.settings.give_up_after;
        let Some(run) = self.runs.get_mut(&id) else {
            out.push(Effect::Reply { ticket, result: Err(changed(id)) });
            return;
        };
        let Some(work) = run.work.as_mut() else {
            run.asks.push((ask.clone(), ticket));
            return;
        };
        let before = work.delivery.clone();
        let moved = ask::event(&before, ask, give_up_after, now).and_then(|event| {
            let name = event.name();
            before.apply(event, now).map(|after| (name, after)).map_err(|illegal| ask::Refused {
                code: "not_now",
                message: illegal.to_string(),
                hint: None,
            })
        });
        match moved {
            Err(refused) => out.push(Effect::Reply { ticket, result: Err(refused) }),
            Ok((name, after)) => {
                self.seq += 1;
                work.delivery = after.clone();
                // In the middle of a call the wish is only noted; otherwise it ends the run.
                if after.state.is_terminal() || run.phase == Phase::Loading {
                    run.phase = Phase::Saving(self.seq, Then::Done);
                    run.confirm = None;
                }
                let save = super::Save { seq: self.seq, before, after, event: name, answer: None };
                // "Done" is said when it is durable, not before.
                self.tickets.insert(self.seq, ticket);
                out.push(Effect::Save(Box::new(save)));
            }
        }
    }
}

fn changed(id: DeliveryId) -> ask::Refused {
    ask::Refused { code: "changed", message: format!("delivery `{id}` changed meanwhile"), hint: None }
}

/// Why a delivery that was never sent is too late under its policy.
fn too_late(delivery: &Delivery, now: Timestamp) -> Option<Reason> {
    if delivery.sent_at.is_some() || delivery.flight.first_sent.is_some() {
        return None;
    }
    let late = now.duration_since(delivery.due.instant);
    (!delivery.late.allows(delivery.due.instant, now)).then(|| {
        Reason::new("late", format!("it was due {} and {} min late", delivery.due.instant, late.as_mins()))
            .hint(format!("`sendoff post retry {}` sends it now", delivery.id))
    })
}

fn gave_up(delivery: &Delivery) -> Reason {
    let last = delivery.reason.as_ref().map_or("no answer", |it| it.message.as_str());
    Reason::new("gave_up", format!("given up after {} tries: {last}", delivery.attempts))
        .hint(format!("`sendoff post retry {}` starts again", delivery.id))
}

/// Builds the connector's view of the current step. None: the account or the step is gone.
pub(super) fn with_job<T>(work: &Work, f: impl FnOnce(&Job<'_>) -> T) -> Option<T> {
    let delivery = &work.delivery;
    let account = work.account.as_ref()?;
    let step = usize::from(delivery.step);
    let content = work.post.content_for(&delivery.name);
    let kind = delivery.steps.get(step)?.kind;
    let text = content.parts.get(step).or(content.comment.as_ref())?;
    let options = work.post.options_for(delivery.name.platform());
    let job = Job {
        account,
        text,
        kind,
        step,
        media: if step == 0 { &work.post.media } else { &[] },
        options: &options,
        before: &delivery.steps[..step],
    };
    Some(f(&job))
}

/// What the attempt row keeps of an answer.
pub(super) fn evidence(outcome: &'static str, answer: &Answer) -> Evidence {
    let trace = ["x-transaction-id", "x-request-id", "x-fb-trace-id"].iter().find_map(|it| answer.header(it));
    Evidence {
        outcome,
        status: Some(answer.status),
        raw: answer.body.clone(),
        trace: trace.map(str::to_owned),
    }
}
