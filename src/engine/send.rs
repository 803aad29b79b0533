//! One delivery from claim to answer.

use jiff::{SignedDuration, Timestamp};

use super::ask::changed;
use super::backoff::{self, scaled};
use super::gates::app_of;
use super::outcome::ladder_of;
use super::steps::{self, There};
use super::stops::Stop;
use super::{Effect, Engine, Evidence, Phase, Purpose, Reply, Then, Work, restored};
use crate::domain::delivery::{Delivery, Event, Frozen, Reason, Recall, Said};
use crate::domain::ids::DeliveryId;
use crate::domain::moment::Moment;
use crate::planted::planted;
use crate::platforms::{Answer, Class, Endpoint, Failure, FailureClass, Fresh, Job, Next, Request, Sight};

/// Held back ([`Work::hold`]), or another delivery of the same words is being looked up: it is looked at
/// again after a quarter of the time it has waited, within these, unless somebody says earlier. Each look
/// is a line of its history.
const HOLD_WAIT: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_hours(6));
const TWIN_WAIT: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_mins(15));
/// No room to record an outcome: looked at again after this.
const DISK_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// Due longer than this before we could send at all: a catch-up.
const CATCH_UP: SignedDuration = SignedDuration::from_mins(2);
/// Why a search that did not come to an end proves nothing.
pub(super) const TOO_MANY: &str = "too many posts have followed to search them all";
/// Why nothing is sent of what the network says to have published.
const OUT_ALREADY: &str = "the network has published it, by a call of which it said that it had no effect";
/// Preparing calls of one run; the largest film needs a call for each of its thousand pieces.
const PREPARE_MAX: u16 = 1100;

impl Engine {
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
            Then::Done => self.done(id, now, out),
        }
    }

    /// The next thing to do for a claimed delivery.
    pub(super) fn advance(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let random = self.fill();
        let (settle, moment) = (self.settings.settle, self.moment(now));
        let spent = self.spent(id, now).or_else(|| self.no_share(id, now));
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
        let fresh = Fresh { now: there.now, random };
        let Some(account) = &work.account else { return self.release(id) };
        if work.delivery.cancel_requested {
            let reason = Reason::new("cancelled", "cancelled by the user");
            return self.stop(id, Event::Cancel { reason }, now, out);
        }
        if let (Some(reason), None) = (&work.hold, work.delivery.flight.amb_since) {
            let at = patient(&work.delivery, HOLD_WAIT, now);
            let reason = reason.clone();
            return self.park(id, at, reason, now, out);
        }
        if let Some(event) = restored::cannot_search(work, settle, moment) {
            return self.save(id, event, Then::Done, None, now, out);
        }
        if let Some(problem) = work.problems.first()
            && work.delivery.flight.amb_since.is_none()
        {
            let mut reason = Reason::new("invalid_content", problem.message.clone());
            reason.hint.clone_from(&problem.hint);
            return self.stop(id, Event::Refuse { reason }, now, out);
        }
        let class = class_of(work);
        let (open, stored) = (work.delivery.flight.amb_since.is_some(), work.delivery.flight.frozen.clone());
        if let (true, Class::Handle, Some(frozen)) = (open, class, &stored) {
            // Its handle may have published, or may yet: no second one while that is so (§7 C).
            let frozen = frozen.clone();
            return self.publish(id, frozen, now, out);
        }
        if let Some(failure) = spent {
            return self.no_effect(id, failure, backoff::PREPARING, None, now, out);
        }
        let next = with_job(work, |job| work.platform.next(job, &work.delivery.flight.handles, fresh));
        match next {
            None => {
                let reason = Reason::new("invalid_content", "the post has no text for this part any more");
                self.stop(id, Event::Refuse { reason }, now, out);
            }
            Some(Ok(Next::Call(_))) if run.prepared >= PREPARE_MAX => {
                let hint = "if this machine's clock is wrong, set it: what is prepared seems to end at once";
                let failure = Failure {
                    hint: Some(hint.to_owned()),
                    ..Failure::transient(format!("{PREPARE_MAX} preparing calls in a row led nowhere"))
                };
                self.no_effect(id, failure, backoff::PREPARING, None, now, out);
            }
            Some(Ok(Next::Call(request))) => {
                run.prepared += 1;
                self.call(id, Purpose::Prepare, request, now, out);
            }
            Some(Ok(Next::Publish(fresh))) => {
                let search = work.delivery.may_be_forgotten() || late_start(work, self.awake_since);
                if !run.scanned && stored.is_none() && search && !planted("late and not looked for") {
                    let ahead = steps::ahead((&self.gates, self.steps), Some(account));
                    let since = work.delivery.words_since().saturating_sub(ahead).unwrap_or(now);
                    run.searched = Some((since, ahead));
                    let scan = with_job(work, |job| work.platform.scan(job, since)).flatten();
                    if let Some(request) = scan {
                        return self.call(id, Purpose::Scan, request, now, out);
                    }
                }
                // A refused attempt is closed: where a marker ages (keys, handles) a new one is
                // taken. Everywhere else, and always while an attempt is open, it stays.
                let ages = matches!(class, Class::Key | Class::Handle);
                let frozen = stored.filter(|_| open || !ages).unwrap_or(fresh);
                self.publish(id, frozen, now, out);
            }
            Some(Err(failure)) => {
                self.no_effect(id, there.failure(failure), backoff::PREPARING, None, now, out);
            }
        }
    }

    /// A call that publishes nothing leaves, and its answer comes back as [`Engine::answered`].
    pub(super) fn call(
        &mut self,
        id: DeliveryId,
        purpose: Purpose,
        request: Request,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.tally(id, &request, now);
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.call = Some(request.clone());
        run.asked.get_or_insert(now);
        run.phase = Phase::Calling(purpose);
        let account = run.account;
        self.gate_tried(account, id);
        out.push(Effect::Call { id, account, purpose, request });
    }

    /// Waits without using up a try.
    pub(super) fn park(
        &mut self,
        id: DeliveryId,
        at: Timestamp,
        reason: Reason,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        self.save(id, Event::park(at, reason), Then::Done, None, now, out);
    }

    /// The preflight and W3. Past this the call may be on the wire.
    fn publish(&mut self, id: DeliveryId, frozen: Frozen, now: Timestamp, out: &mut Vec<Effect>) {
        if self.stops.has(Stop::Disk) {
            let reason = Reason::new(
                "disk_full",
                "there is too little room on the disk to record an outcome, so nothing is sent",
            )
            .hint("free at least 64 MiB in `data_dir`");
            let at = now.saturating_add(DISK_WAIT).unwrap_or(now);
            return self.park(id, at, reason, now, out);
        }
        let open = self.runs.get(&id).and_then(|run| run.work.as_ref());
        if self.stops.has(Stop::Asked) && open.is_some_and(|work| work.delivery.flight.amb_since.is_none()) {
            // Claimed before the stop, and nothing of it is on the wire yet.
            let reason = Reason::new("paused", "sending is stopped").hint("`sendoff resume` starts it again");
            return self.park(id, now, reason, now, out);
        }
        if self.token_first(id, now, out) || self.is_out_of_time(id, now, out) {
            return;
        }
        let dice = self.dice();
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        // I8: a key that may be forgotten is no protection any more. Asked here, where nothing can
        // come between the question and the intent.
        if matches!(class_of(work), Class::Key | Class::Reference)
            && !planted("key life checked before the intent")
            && work.delivery.flight.amb_since.is_some()
            && !self.key_lives(&work.delivery, work, now)
        {
            let reason = Reason::new("ambiguous", "the network may have forgotten the key of this post")
                .hint("checking whether it is already live; nothing to do for now");
            let event = Event::Lose { next_check: now, reason, said: None };
            return self.save(id, event, Then::Done, None, now, out);
        }
        if let Some(twin) = (work.twin)(&frozen.marker).filter(|twin| *twin != id) {
            let at = patient(&work.delivery, TWIN_WAIT, now);
            let reason =
                Reason::new("twin", format!("waits for `{twin}`, which has the same words and may be live"))
                    .hint(format!("`sendoff post show {twin}`"));
            return self.park(id, at, reason, now, out);
        }
        let account = work.delivery.account;
        // I1. The lane sees to it; if it ever did not, nothing may leave.
        if self.runs.values().any(|it| it.account == account && it.phase == Phase::Publishing)
            && !planted("send outside the lane")
        {
            tracing::error!(delivery = %id, "a second call for one account was about to leave; it is put back");
            // Claimed, it is in no index: let go of as it is, only a restart would find it.
            let reason = Reason::new("lane", "another call of its account was on the wire");
            let soon = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
            return self.park(id, soon, reason, now, out);
        }
        let (Some(request), Some(app)) =
            (with_job(work, |job| work.platform.publish(job, &frozen)), work.account.as_ref().map(app_of))
        else {
            return self.release(id);
        };
        let ahead = steps::ahead((&self.gates, self.steps), work.account.as_ref());
        let catch_up = late_start(work, self.awake_since) && !planted("catch-up not spaced");
        let spacing = if catch_up {
            // A burst after a downtime is what spam filters look for.
            self.settings.catch_up_spacing + scaled(self.settings.catch_up_spacing, dice / 4.0)
        } else {
            self.settings.lane_spacing
        };
        let save = self.moved(id, Event::Intend { frozen, ahead }, Then::Done, None, now);
        let Some(save) = save else { return self.after_illegal(id, now, out) };
        if let Some(run) = self.runs.get_mut(&id) {
            run.phase = Phase::Publishing;
            run.spacing = spacing;
        }
        let lane = self.lanes.entry(account).or_default();
        lane.free_at = lane.free_at.max(now.checked_add(spacing).ok());
        self.count_call(account, &app, now);
        self.tally(id, &request, now);
        self.count_share(id, now);
        self.gate_tried(account, id);
        out.push(Effect::Publish { save: Box::new(save), request });
    }

    /// Asks for the next page of a list. False = it was too many already.
    pub(super) fn turn_page(
        &mut self,
        id: DeliveryId,
        purpose: Purpose,
        request: Request,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return true };
        let most = run.work.as_ref().map_or(0, |work| work.platform.pages_max());
        if run.pages >= most {
            return false;
        }
        run.pages += 1;
        self.call(id, purpose, request, now, out);
        true
    }

    /// What the network has of the same words, before a late send (look first, §12).
    fn scanned(&mut self, id: DeliveryId, reply: &Reply, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let Some((since, _)) = run.searched else { return };
        let doubt = restored::event(&work.delivery, Moment { wall: now, boot: self.boot }, Recall::Now);
        let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
        let sight = match reply {
            Reply::Answer(answer) => {
                with_job(work, |job| work.platform.scanned(job, answer, since, &*work.bound, there.now))
                    .map(|sight| there.sight(sight))
            }
            Reply::Unfit(failure) => Some(Sight::Unclear(failure.clone())),
            Reply::NotSent(message) | Reply::Lost(message) => {
                Some(Sight::Unclear(Failure::transient(message)))
            }
        };
        match sight {
            None => self.release(id),
            Some(Sight::Absent | Sight::Gone | Sight::Failed(_)) => {
                run.scanned = true;
                self.advance(id, now, out);
            }
            Some(Sight::More(request) | Sight::Out(request)) => {
                if !self.turn_page(id, Purpose::Scan, request, now, out) {
                    let failure = Failure::transient(TOO_MANY);
                    self.no_effect(id, failure, backoff::PREPARING, None, now, out);
                }
            }
            Some(Sight::Found(_) | Sight::HandedOver(_) | Sight::Unlisted(_) | Sight::Disputed { .. }) => {
                let event = doubt.unwrap_or_else(|| restored::found(since, self.awake_since, now));
                self.save(id, event, Then::Done, None, now, out);
            }
            Some(Sight::Unclear(failure)) if is_barred(&failure) && doubt.is_some() => {
                // What may be there unknown to us is not sent unseen.
                if let Some(event) = doubt {
                    self.save(id, event, Then::Done, None, now, out);
                }
            }
            // Not being allowed to look is no reason never to send.
            Some(Sight::Unclear(failure)) if is_barred(&failure) => {
                tracing::warn!(delivery = %id, why = failure.message, "cannot look before a late send");
                run.scanned = true;
                self.advance(id, now, out);
            }
            Some(Sight::Unclear(failure)) => self.no_effect(id, failure, ladder_of(reply), None, now, out),
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
        if purpose == Purpose::ReadBack {
            let answer = if let Reply::Answer(answer) = &reply { Some(answer) } else { None };
            if self.was_read_back(id, answer, now, out) {
                return;
            }
        }
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.phase == Phase::Calling(purpose)) else {
            return;
        };
        let call = run.call.take();
        if let (Reply::Answer(answer), Some(work)) = (&reply, &run.work)
            && let Some(account) = &work.account
        {
            let (account, app, platform) = (account.id, app_of(account), work.platform);
            self.hear((account, &app), platform, answer, false, now);
        }
        // Whoever is not reached before a post is sent would not be reached by it either, but for hosts that
        // only take files. Looks go on while sending waits, so they neither begin that nor end it.
        let of_files = call.as_ref().is_some_and(|it| matches!(it.endpoint, Endpoint::Given(_)));
        if let (Reply::NotSent(message), Purpose::Prepare | Purpose::Scan) = (&reply, purpose)
            && let Some(app) = self.app_of_run(id).filter(|_| !of_files)
        {
            self.gate_unclear((&app, id), message, false, now);
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        match purpose {
            Purpose::Scan => self.scanned(id, &reply, now, out),
            Purpose::Look => self.looked(id, call.as_ref(), reply, now, out),
            Purpose::ReadBack => {
                if let (Some(step), Reply::Answer(answer)) = (run.confirm.take(), &reply) {
                    self.read_back(id, step, answer, now, out);
                } else {
                    self.release(id);
                }
            }
            Purpose::Prepare => {
                let (Some(work), Some(call)) = (&run.work, call) else { return self.release(id) };
                let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
                let handles = &work.delivery.flight.handles;
                if let Reply::Answer(answer) = &reply
                    && let Some((frozen, since)) = work.platform.surfaced(handles, &call, answer, there.now)
                {
                    let next_check = self.first_check(id, now);
                    let reason = Reason::new(FailureClass::NotReady.as_str(), OUT_ALREADY)
                        .hint("checking which post it is; nothing to do for now");
                    let event = Event::Surface { frozen, since, next_check, reason };
                    return self.save(id, event, Then::Done, Some(evidence("live", answer)), now, out);
                }
                let outcome = match &reply {
                    Reply::Answer(answer) => with_job(work, |job| {
                        let outcome = work.platform.answered(job, handles, &call, answer, there.now);
                        outcome.map_err(|failure| there.failure(failure))
                    }),
                    Reply::Unfit(failure) => Some(Err(failure.clone())),
                    Reply::NotSent(message) => Some(Err(Failure::transient(message))),
                    Reply::Lost(message) => Some(Err(work.platform.cut_off(&call, message))),
                };
                let kept = match &reply {
                    Reply::Answer(answer) => Some(evidence("refused", answer)),
                    Reply::NotSent(_) | Reply::Unfit(_) | Reply::Lost(_) => None,
                };
                // It goes on without what was refused, whose words are kept all the same.
                let aside = kept.clone().filter(|it| it.status.is_some_and(|it| it >= 400));
                match outcome {
                    None => self.release(id),
                    Some(Ok(handles)) => {
                        self.save(id, Event::Prepare { handles }, Then::Advance, aside, now, out);
                    }
                    Some(Err(failure)) => self.no_effect(id, failure, ladder_of(&reply), kept, now, out),
                }
            }
        }
    }
}

/// Looking is not allowed.
fn is_barred(failure: &Failure) -> bool {
    use FailureClass::{Config, InvalidContent, NotGranted, Permission, Policy};
    matches!(failure.class, Permission | NotGranted | Config | InvalidContent | Policy)
}

/// When something that waits for others is looked at again.
fn patient(
    delivery: &Delivery,
    (least, most): (SignedDuration, SignedDuration),
    now: Timestamp,
) -> Timestamp {
    let wait = (now.duration_since(delivery.due.instant) / 4).clamp(least, most);
    now.saturating_add(wait).unwrap_or(now)
}

/// Whether it was due well before we could send, and this is its first call: a catch-up.
fn late_start(work: &Work, awake_since: Option<Timestamp>) -> bool {
    let due = work.delivery.due.instant;
    work.delivery.sent_at.is_none() && awake_since.is_some_and(|since| since.duration_since(due) > CATCH_UP)
}

/// The delivery class of the current step, with the account's tier.
pub(super) fn class_of(work: &Work) -> Class {
    with_job(work, |job| work.platform.class(job)).unwrap_or_else(|| {
        let tier = work.account.as_ref().and_then(|it| it.tier.as_deref());
        work.platform.capabilities(tier).class
    })
}

/// Builds the connector's view of the current step. None: the account or the step is gone.
pub fn with_job<T>(work: &Work, f: impl FnOnce(&Job<'_>) -> T) -> Option<T> {
    let delivery = &work.delivery;
    let account = work.account.as_ref()?;
    let step = usize::from(delivery.step);
    let content = work.post.content_for(&delivery.name);
    let kind = delivery.steps.get(step)?.kind;
    let text = content.parts.get(step).or(content.comment.as_ref())?;
    let options = work.post.options_for(delivery.name.platform());
    let media = work.post.media_of(content, step);
    let job = Job {
        account,
        text,
        kind,
        step,
        media: &media,
        options: &options,
        before: &delivery.steps[..step],
        taken: match &delivery.flight.said {
            Some(Said::Taken(name)) => Some(name),
            _ => None,
        },
    };
    Some(f(&job))
}

/// What the attempt row keeps of an answer.
pub(super) fn evidence(outcome: &'static str, answer: &Answer) -> Evidence {
    let trace = ["x-transaction-id", "x-li-uuid", "x-request-id", "x-fb-trace-id"]
        .iter()
        .find_map(|it| answer.header(it));
    Evidence {
        outcome,
        status: Some(answer.status),
        raw: answer.body.clone(),
        trace: trace.map(str::to_owned),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::account::Account;
    use crate::domain::delivery::{RetryWhy, State, Step, StepKind};
    use crate::domain::ids::{AccountId, PlatformName, PostId};
    use crate::domain::post::{Content, Post, Source};
    use crate::domain::schedule::{Choice, Due, Late};
    use crate::engine::{Run, Settings};

    /// A post of one part for X, at rest.
    pub(in crate::engine) fn work(n: u128, now: Timestamp) -> Work {
        let (post, account) = (PostId::from_u128(n), AccountId::from_u128(1));
        let name: crate::domain::ids::AccountName = "x:acme".parse().unwrap();
        let civil = jiff::tz::TimeZone::UTC.to_datetime(now);
        let due = Due { instant: now, civil, zone: "UTC".into(), choice: Choice::Instant };
        let (id, steps) = (DeliveryId::from_u128(n), vec![Step::new(StepKind::Post)]);
        let delivery = Delivery::new(id, post, account, name.clone(), due.clone(), Late::Always, steps, now);
        let post = Post {
            id: post,
            to: Vec::new(),
            content: Content { parts: vec!["Words.".into()], comment: None },
            variants: std::collections::BTreeMap::new(),
            options: std::collections::BTreeMap::new(),
            media: Vec::new(),
            due: Some(due),
            late: Late::Always,
            slot: None,
            intended: None,
            source: Source::Cli,
            key: None,
            created_at: now,
            version: 1,
        };
        Work {
            delivery,
            post: Arc::new(post),
            account: Some(Account::new(account, name, "1", now)),
            platform: crate::platforms::find(PlatformName::X).unwrap(),
            bound: Arc::new(|_: &str| false),
            twin: Arc::new(|_: &str| None),
            earlier: Arc::new(|| None),
            problems: Vec::new(),
            hold: None,
            broke: None,
        }
    }

    pub(in crate::engine) fn frozen() -> Frozen {
        Frozen { marker: "m".into(), body: b"{}".to_vec() }
    }

    pub(in crate::engine) fn put(engine: &mut Engine, work: Work, phase: Phase) -> DeliveryId {
        let id = work.delivery.id;
        let run = Run {
            account: work.delivery.account,
            in_lane: true,
            work: Some(Box::new(work)),
            stale: false,
            phase,
            call: None,
            searched: None,
            pages: 0,
            asked: None,
            prepared: 0,
            refreshed: false,
            hurried: false,
            scanned: false,
            marker_gone: None,
            spacing: SignedDuration::ZERO,
            confirm: None,
            asks: Vec::new(),
        };
        engine.runs.insert(id, run);
        id
    }

    pub(in crate::engine) fn engine() -> Engine {
        Engine::new(Settings::default(), Box::new(|bytes: &mut [u8]| bytes.fill(0)))
    }

    #[test]
    fn a_second_call_of_one_account_is_put_back_where_it_is_found_again() {
        let now = Timestamp::UNIX_EPOCH;
        let mut engine = engine();
        put(&mut engine, work(1, now), Phase::Publishing);
        let mut second = work(2, now);
        second.delivery = second.delivery.apply(Event::Claim, now).unwrap();
        let id = put(&mut engine, second, Phase::Saving(1, Then::Advance));
        let mut out = Vec::new();
        engine.publish(id, frozen(), now, &mut out);
        let [Effect::Save(save)] = out.as_slice() else { panic!("one write and no call") };
        let soon = now + SignedDuration::from_secs(1);
        assert_eq!((save.after.state, save.after.wakes_at()), (State::Retry, Some(soon)));
        assert_eq!((save.after.retry_why, save.after.attempts), (Some(RetryWhy::Parked), 0));
    }

    #[test]
    fn a_call_that_could_not_be_made_has_an_end_and_keeps_its_reason() {
        let now = Timestamp::UNIX_EPOCH;
        let mut engine = engine();
        let mut sent = work(1, now);
        let claimed = sent.delivery.apply(Event::Claim, now).unwrap();
        let intend = Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO };
        sent.delivery = claimed.apply(intend, now).unwrap();
        let id = put(&mut engine, sent, Phase::Publishing);
        let message = "the file has changed".to_owned();
        let failure = Failure { class: FailureClass::InvalidContent, message, hint: None, until: None };
        let mut out = Vec::new();
        engine.published(id, Reply::Unfit(failure), now, &mut out);
        let [Effect::Save(save)] = out.as_slice() else { panic!("one write") };
        let answer = save.answer.as_ref().expect("the attempt's row is completed");
        assert_eq!((answer.outcome, answer.status), ("not_sent", None));
        assert_eq!(answer.raw, b"the file has changed");
        assert_eq!(save.after.state, State::Rejected);
        assert_eq!(save.after.reason.as_ref().map(|it| it.class.as_str()), Some("invalid_content"));
    }
}
