//! What the reply to a publishing call means for its delivery, its lane and its network
//! (delivery guarantees §6, §10).

use jiff::{SignedDuration, Timestamp};

use super::backoff::{self, Ladder};
use super::gates::{App, BILLING_PROBE, app_of};
use super::send::{evidence, with_job};
use super::steps::There;
use super::wants::{is_for_good, reason_of};
use super::{Effect, Engine, Evidence, Phase, Reply, Then, Work, restored};
use crate::domain::account::Account;
use crate::domain::delivery::{AfterAbsence, Event, Live, NOT_SENT, Reason, Recall, RetryWhy, Said, State};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::planted::planted;
use crate::platforms::{Answer, Failure, FailureClass, Original, Verdict};

/// A wrong app set-up: the operator is told; the app is probed this rarely.
const CONFIG_PROBE: SignedDuration = SignedDuration::from_mins(15);

/// Nothing tells when there is room again for posts like one that was refused for the lack of it.
const FULL_PROBE: SignedDuration = SignedDuration::from_hours(1);

/// Tried for so long after a wait that the network named.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// How much earlier than our intent a network's clock may date an object.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// What to do about a comment that the network refuses.
const COMMENT_BY_HAND: &str = "the post is live; write the comment on the network yourself";

impl Engine {
    /// The publishing call's reply: what it proves decides (guarantees §6).
    pub(super) fn published(&mut self, id: DeliveryId, reply: Reply, now: Timestamp, out: &mut Vec<Effect>) {
        let spacing = self.settings.lane_spacing;
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.phase == Phase::Publishing) else { return };
        // Its intent may have waited for the disk, so the call left later than it was decided.
        if let Some(lane) = self.lanes.get_mut(&run.account) {
            lane.free_at = lane.free_at.max(now.checked_add(run.spacing).ok());
        }
        let Some(work) = &run.work else { return };
        let Some(frozen) = work.delivery.flight.frozen.clone() else { return };
        let (account, app) = (run.account, work.account.as_ref().map(app_of));
        if let (Reply::Answer(answer), Some(app)) = (&reply, &app) {
            let platform = work.platform;
            self.hear((account, app), platform, answer, true, now);
        }
        if let (Reply::NotSent(message) | Reply::Lost(message), Some(app)) = (&reply, &app) {
            self.gate_unclear((app, id), message, matches!(reply, Reply::Lost(_)), now);
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        match reply {
            Reply::NotSent(message) => {
                let failure = Failure::transient(message);
                let evidence = Evidence { outcome: "not_sent", status: None, raw: Vec::new(), trace: None };
                self.no_effect(id, failure, backoff::NOT_SENT, Some(evidence), now, out);
            }
            Reply::Unfit(failure) => {
                let raw = failure.message.clone().into_bytes();
                let evidence = Evidence { outcome: "not_sent", status: None, raw, trace: None };
                self.no_effect(id, failure, backoff::NOT_SENT, Some(evidence), now, out);
            }
            Reply::Lost(message) => {
                let evidence = Evidence {
                    outcome: "ambiguous",
                    status: None,
                    raw: message.clone().into_bytes(),
                    trace: None,
                };
                self.lose(id, Reason::new("ambiguous", message), None, Some(evidence), now, out);
            }
            Reply::Answer(answer) => {
                let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
                let verdict = with_job(work, |job| work.platform.judge(job, &frozen, &answer, there.now));
                match verdict {
                    Some(Verdict::Applied(live)) => {
                        run.confirm = Some(usize::from(work.delivery.step));
                        self.went_through(account, app.as_ref(), now);
                        let next_part_at = now.saturating_add(spacing).unwrap_or(now);
                        let event = Event::Applied { live, next_part_at };
                        self.save(id, event, Then::Done, Some(evidence("applied", &answer)), now, out);
                    }
                    Some(Verdict::Refused(failure)) => {
                        let evidence = evidence("refused", &answer);
                        self.no_effect(
                            id,
                            there.failure(failure),
                            backoff::NOT_SENT,
                            Some(evidence),
                            now,
                            out,
                        );
                    }
                    Some(Verdict::Denied(failure)) => {
                        self.denied(id, there.failure(failure), evidence("refused", &answer), now, out);
                    }
                    Some(Verdict::HandedOver(live)) => {
                        self.went_through(account, app.as_ref(), now);
                        let kept = evidence("handed_over", &answer);
                        self.save(id, Event::HandOver { live }, Then::Done, Some(kept), now, out);
                    }
                    Some(Verdict::Pending { message }) => {
                        self.went_through(account, app.as_ref(), now);
                        self.taken_on(id, message, Said::Accepted, &answer, now, out);
                    }
                    Some(Verdict::Taken { name, message }) => {
                        self.went_through(account, app.as_ref(), now);
                        self.taken_on(id, message, Said::Taken(name), &answer, now, out);
                    }
                    Some(Verdict::Duplicate { message, original }) => {
                        let kept = evidence("duplicate", &answer);
                        if let Some(live) = original.and_then(|it| ours(work, it)) {
                            let next_part_at = now.saturating_add(spacing).unwrap_or(now);
                            let event = Event::Applied { live, next_part_at };
                            return self.save(id, event, Then::Done, Some(kept), now, out);
                        }
                        let said = Said::Duplicate(message.clone());
                        self.lose(id, Reason::new("duplicate", message), Some(said), Some(kept), now, out);
                    }
                    Some(Verdict::Barred(failure)) => {
                        self.barred(id, &there.failure(failure), &answer, now, out);
                    }
                    Some(Verdict::Ambiguous { message })
                        if planted("unlisted refusal believed") && (400..500).contains(&answer.status) =>
                    {
                        let class = FailureClass::InvalidContent;
                        let failure = Failure { class, message, hint: None, until: None };
                        let kept = evidence("refused", &answer);
                        self.no_effect(id, failure, backoff::NOT_SENT, Some(kept), now, out);
                    }
                    Some(Verdict::Ambiguous { message }) => {
                        if let Some(app) = &app {
                            self.gate_unclear((app, id), &message, true, now);
                        }
                        let kept = evidence("ambiguous", &answer);
                        self.lose(id, Reason::new("ambiguous", message), None, Some(kept), now, out);
                    }
                    None => {
                        let message = "the account disappeared during the call".to_owned();
                        let kept = evidence("ambiguous", &answer);
                        self.lose(id, Reason::new("ambiguous", message), None, Some(kept), now, out);
                    }
                }
            }
        }
    }

    /// The network is at work on it: looked at until its handle tells what became of it.
    fn taken_on(
        &mut self,
        id: DeliveryId,
        message: String,
        said: Said,
        answer: &Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let reason = Reason::new(FailureClass::NotReady.as_str(), message);
        self.lose(id, reason, Some(said), Some(evidence("pending", answer)), now, out);
    }

    /// The account is blocked, and the post may be live all the same: it is looked for, and nothing of the
    /// account is sent meanwhile.
    fn barred(
        &mut self,
        id: DeliveryId,
        failure: &Failure,
        answer: &Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.runs.get(&id) else { return };
        let until = failure.until.unwrap_or(now);
        let reason = reason_of(failure);
        self.lanes.entry(run.account).or_default().park(until, reason.clone());
        self.waits_changed = true;
        let said = Said::Barred { until, reason: reason.clone() };
        self.lose(id, reason, Some(said), Some(evidence("ambiguous", answer)), now, out);
    }

    /// Refused, and what was prepared can tell whether that is so: it is asked before anything follows from
    /// it, whatever else happens to the delivery meanwhile.
    fn denied(
        &mut self,
        id: DeliveryId,
        failure: Failure,
        kept: Evidence,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let ladder = backoff::NOT_SENT;
        let Some(event) = self.consequence(id, failure, ladder, Some(&kept), now, out) else { return };
        let (reason, said) = match event {
            event if planted("refusal believed unasked") => {
                return self.conclude(id, event, Some(kept), now, out);
            }
            Event::Defer { at, why, reason, again: false } => {
                (reason.clone(), Some(Said::Refused { at, why, reason }))
            }
            Event::AccountDead { reason } => {
                (reason.clone(), Some(Said::Refused { at: now, why: RetryWhy::Backoff, reason }))
            }
            // The last try of many, after which nobody asks any more.
            Event::Refuse { reason } => (reason.clone(), Some(Said::Never(reason))),
            // What is to be made anew must not be live.
            Event::Defer { reason, .. } => (reason, None),
            event => return self.conclude(id, event, Some(kept), now, out),
        };
        self.lose(id, reason, said, Some(kept), now, out);
    }

    /// The network takes posts (again).
    fn went_through(&mut self, account: AccountId, app: Option<&App>, now: Timestamp) {
        if let Some(app) = app {
            self.gate_success(app);
        }
        if let Some(lane) = self.lanes.get_mut(&account) {
            lane.parks = 0;
            // What the same answer said of the quota stands.
            lane.why.take_if(|(until, _)| *until <= now);
        }
    }

    /// This attempt is known to have had no effect. If an earlier one is still open that settles
    /// nothing, and the step is looked up.
    pub(super) fn no_effect(
        &mut self,
        id: DeliveryId,
        failure: Failure,
        ladder: Ladder,
        kept: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Some(event) = self.consequence(id, failure, ladder, kept.as_ref(), now, out) {
            self.conclude(id, event, kept, now, out);
        }
    }

    /// What follows from it for the delivery, its account and its app, if no earlier attempt is open.
    fn consequence(
        &mut self,
        id: DeliveryId,
        failure: Failure,
        ladder: Ladder,
        kept: Option<&Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Option<Event> {
        let dice = self.dice();
        let scale = self.settings.backoff_scale;
        let run = self.runs.get(&id)?;
        let work = run.work.as_ref()?;
        let (account_id, delivery) = (run.account, &work.delivery);
        let app = work.account.as_ref().map(app_of);
        let sending = delivery.state == State::Sending;
        let tries = match failure.class {
            _ if delivery.state == State::Sending => delivery.attempts,
            FailureClass::NotReady => delivery.flight.polls,
            _ if ladder == backoff::NOT_SENT => delivery.flight.unsent,
            _ => delivery.flight.stumbles,
        };
        // A refused publishing call waits by the ladder of those that never left, and did leave.
        let unsent = !sending || kept.is_some_and(|it| it.outcome == NOT_SENT);
        let unsent = unsent && ladder == backoff::NOT_SENT;
        let class = if unsent && failure.class == FailureClass::Transient {
            NOT_SENT
        } else {
            failure.class.as_str()
        };
        let mut reason = Reason::new(class, failure.message);
        reason.hint = failure.hint;
        let later = |span: SignedDuration| now.saturating_add(span).unwrap_or(now);
        let issued_at = work.account.as_ref().and_then(|it| it.issued_at);
        Some(match failure.class {
            FailureClass::RateLimited => {
                let until = failure.until.or_else(|| self.says_nothing(id, now));
                let at = self.limited(account_id, until, &reason, dice, now);
                Event::park(at, reason)
            }
            // Others of the account may have room: its lane goes on.
            FailureClass::Full => {
                let until = failure.until.unwrap_or_else(|| later(FULL_PROBE));
                Event::park(past(until, dice, now), reason)
            }
            FailureClass::AuthExpired | FailureClass::WrongToken => {
                let again = delivery.reason.as_ref().is_some_and(|it| it.class == failure.class.as_str());
                let anew = failure.class == FailureClass::WrongToken;
                let can = anew || work.account.as_ref().is_some_and(|it| it.can_refresh);
                if again || !can {
                    reason.hint = work.account.as_ref().map(Account::connect_again);
                    out.push(Effect::AccountDead { account: account_id, issued_at, reason: reason.clone() });
                    Event::AccountDead { reason }
                } else {
                    self.lanes.entry(account_id).or_default().refreshing = true;
                    out.push(Effect::Refresh { account: account_id });
                    Event::Defer { at: now, why: RetryWhy::Backoff, reason, again: false }
                }
            }
            // What stands under the post needs a permission of its own; the account is fine, and so is the post.
            FailureClass::Permission if delivery.is_at_comment() => Event::Spare { reason },
            FailureClass::AccountDead | FailureClass::Permission => {
                out.push(Effect::AccountDead { account: account_id, issued_at, reason: reason.clone() });
                Event::AccountDead { reason }
            }
            FailureClass::Billing | FailureClass::Config | FailureClass::AppLimited => {
                let at = match (failure.class, failure.until) {
                    (FailureClass::AppLimited, Some(until)) => past(until, dice, now),
                    (FailureClass::AppLimited, None) => later(FULL_PROBE),
                    (FailureClass::Billing, _) => later(BILLING_PROBE),
                    _ => later(CONFIG_PROBE),
                };
                if let Some(app) = &app {
                    self.close_gate(app, at, &reason);
                }
                Event::park(at, reason)
            }
            // What stands under the post is refused; the post itself is live and stays so.
            FailureClass::InvalidContent | FailureClass::Policy if delivery.is_at_comment() => {
                reason.hint = Some(COMMENT_BY_HAND.to_owned());
                Event::Spare { reason }
            }
            FailureClass::InvalidContent | FailureClass::Policy | FailureClass::NotGranted => {
                Event::Refuse { reason }
            }
            FailureClass::MediaGone | FailureClass::Transient if tries >= ladder.tries => {
                Event::Refuse { reason }
            }
            FailureClass::NotReady if tries >= backoff::PROCESSING.tries => Event::Refuse { reason },
            FailureClass::NotReady => Event::Defer {
                at: later(backoff::delay(backoff::PROCESSING, tries, dice, self.settings.poll_scale))
                    .max(failure.until.unwrap_or(now)),
                why: RetryWhy::Backoff,
                reason,
                again: false,
            },
            FailureClass::MediaGone => Event::Defer {
                at: later(backoff::delay(backoff::PREPARING, tries, dice, scale)),
                why: RetryWhy::Backoff,
                reason,
                again: true,
            },
            // Where somebody knows when it is worth another try, no ladder has to guess.
            FailureClass::Transient => Event::Defer {
                at: failure
                    .until
                    .filter(|until| *until > now)
                    .unwrap_or_else(|| later(backoff::delay(ladder, tries.saturating_sub(1), dice, scale))),
                why: RetryWhy::Backoff,
                reason,
                again: false,
            },
        })
    }

    /// Writes it down, unless that attempt is not all there is to know of.
    fn conclude(
        &mut self,
        id: DeliveryId,
        event: Event,
        kept: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(delivery) = self.runs.get(&id).and_then(|run| run.work.as_ref()).map(|it| &it.delivery)
        else {
            return;
        };
        let doubt = restored::event(delivery, self.moment(now), Recall::Now);
        let sending = delivery.state == State::Sending;
        let open = if sending { delivery.flight.earlier_open } else { delivery.flight.amb_since.is_some() };
        let open = open && !planted("earlier attempt ignored");
        match event {
            // It may have gone out before the store was brought back: that is looked up first.
            Event::Refuse { .. } if !sending && doubt.is_some() => {
                if let Some(event) = doubt {
                    self.save(id, event, Then::Done, kept, now, out);
                }
            }
            // The lane and the account have learnt what there is to learn; of the earlier attempt it
            // says nothing.
            Event::Defer { reason, .. } if open && sending => self.lose(id, reason, None, kept, now, out),
            Event::Refuse { reason } if open => {
                let said = is_for_good(&reason).then(|| Said::Never(reason.clone()));
                self.lose(id, reason, said, kept, now, out);
            }
            Event::Spare { reason } | Event::AccountDead { reason } if open => {
                self.lose(id, reason, None, kept, now, out);
            }
            event => self.save(id, event, Then::Done, kept, now, out),
        }
    }

    /// The network gave up on what it had taken, nothing of it is live, and this is why: what that says of
    /// the account, which holds for its other posts as well. `None`: nothing.
    pub(super) fn after_fault(
        &mut self,
        id: DeliveryId,
        failure: &Failure,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Option<AfterAbsence> {
        let dice = self.dice();
        let give_up_after = self.settings.give_up_after;
        let work = self.runs.get(&id)?.work.as_ref()?;
        let account = work.delivery.account;
        let (patience, due) = (work.delivery.give_up_at, work.delivery.due.instant);
        let issued_at = work.account.as_ref().and_then(|it| it.issued_at);
        let reason = reason_of(failure);
        match failure.class {
            FailureClass::RateLimited => {
                let at = self.limited(account, failure.until, &reason, dice, now);
                // A wait that the network names may outlast our patience once, and not day after day.
                let later = |from: Timestamp, span| from.saturating_add(span).unwrap_or(from);
                let twice = later(later(due, give_up_after), give_up_after);
                let give_up_at = patience.max(later(at, PATIENCE).min(twice));
                Some(if at <= give_up_at {
                    AfterAbsence::Parked { at, give_up_at, reason }
                } else {
                    AfterAbsence::Rejected { reason }
                })
            }
            FailureClass::AccountDead | FailureClass::Permission => {
                out.push(Effect::AccountDead { account, issued_at, reason: reason.clone() });
                Some(AfterAbsence::AccountDead { reason })
            }
            _ => None,
        }
    }

    /// When to come back to a network that never says when, by how often its account had to wait in a row.
    pub(super) fn says_nothing(&mut self, id: DeliveryId, now: Timestamp) -> Option<Timestamp> {
        let run = self.runs.get(&id)?;
        let (work, lane) = (run.work.as_ref()?, self.lanes.entry(run.account).or_default());
        // Its day begins and ends by its own clock.
        let there = There::present((&self.gates, self.steps), work.account.as_ref(), now);
        let until = work.platform.throttled(lane.parks, there.now)?;
        lane.parks = lane.parks.saturating_add(1);
        Some(there.by_ours(until))
    }

    /// The network takes nothing of the account for now: its lane waits, and until when is told.
    pub(super) fn limited(
        &mut self,
        account: AccountId,
        until: Option<Timestamp>,
        reason: &Reason,
        dice: f64,
        now: Timestamp,
    ) -> Timestamp {
        let scale = self.settings.backoff_scale;
        let lane = self.lanes.entry(account).or_default();
        let at = if let Some(until) = until {
            past(until, dice, now)
        } else {
            lane.parks = lane.parks.saturating_add(1);
            let wait = backoff::delay(backoff::NO_RESET, lane.parks - 1, dice, scale);
            now.saturating_add(wait).unwrap_or(now)
        };
        lane.park(at, reason.clone());
        self.waits_changed = true;
        at
    }

    /// The call may have taken effect.
    fn lose(
        &mut self,
        id: DeliveryId,
        reason: Reason,
        said: Option<Said>,
        evidence: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let next_check = self.first_check(id, now);
        let reason = reason.hint("checking whether it is already live; nothing to do for now");
        self.save(id, Event::Lose { next_check, reason, said }, Then::Done, evidence, now, out);
    }
}

/// Past the network's own reset, and not all accounts at the same instant.
fn past(until: Timestamp, dice: f64, now: Timestamp) -> Timestamp {
    let spread = SignedDuration::from_secs(1) + backoff::scaled(SignedDuration::from_secs(29), dice);
    until.max(now).saturating_add(spread).unwrap_or(Timestamp::MAX)
}

/// How long a call that publishes nothing is tried again. One that never left says nothing of the post.
pub(super) fn ladder_of(reply: &Reply) -> Ladder {
    match reply {
        Reply::NotSent(_) => backoff::NOT_SENT,
        Reply::Unfit(failure) if failure.class == FailureClass::Transient => backoff::NOT_SENT,
        _ => backoff::PREPARING,
    }
}

/// The object that a refused repeat is a duplicate of, if it can only be what our own earlier
/// attempt made: that attempt is open, and the object is no older than it and no one else's.
fn ours(work: &Work, original: Original) -> Option<Live> {
    let flight = &work.delivery.flight;
    let first = flight.first_sent.filter(|_| flight.earlier_open)?.wall;
    let young = original.created? >= first.saturating_sub(SKEW).unwrap_or(first);
    let id = original.live.remote_id.as_deref()?;
    (young && !(work.bound)(id)).then_some(original.live)
}
