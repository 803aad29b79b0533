//! Looking before trying again (delivery guarantees §7, §8).
//!
//! An unknown step leaves this file only with evidence: found on the network; absent by the rule
//! of its class; or held for the user. Reads are safe and may fail; a failed read proves nothing.

use jiff::{SignedDuration, Timestamp};

use super::backoff::{self, scaled};
use super::send::{evidence, with_job};
use super::{Effect, Engine, Evidence, Phase, Purpose, Reply, Then, Work};
use crate::domain::account::AccountState;
use crate::domain::delivery::{AfterAbsence, Delivery, Event, Reason};
use crate::domain::ids::DeliveryId;
use crate::domain::schedule::Late;
use crate::platforms::{Class, FailureClass, Sight};

/// Early looks, after the answer was lost; they can only find, never prove absence.
const EARLY: [i64; 3] = [10, 60, 300];
/// Between looks that settle nothing.
const SLOW: SignedDuration = SignedDuration::from_mins(15);

impl Engine {
    /// When a step that just became unknown is looked at first.
    pub(super) fn first_check(&self, id: DeliveryId, now: Timestamp) -> Timestamp {
        let class = self.runs.get(&id).and_then(|run| run.work.as_ref()).map(|work| class_of(work));
        let wait = if class == Some(Class::ClientId) { 1 } else { EARLY[0] };
        self.in_scaled(now, SignedDuration::from_secs(wait))
    }

    fn in_scaled(&self, now: Timestamp, span: SignedDuration) -> Timestamp {
        now.saturating_add(scaled(span, self.settings.poll_scale)).unwrap_or(now)
    }

    /// Sends the look.
    pub(super) fn look(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let delivery = &work.delivery;
        let since = delivery.flight.first_sent.unwrap_or(delivery.due.instant);
        let request = match (&delivery.flight.frozen, &work.account) {
            (Some(frozen), Some(_)) => with_job(work, |job| work.platform.look(job, frozen, since)).flatten(),
            _ => None,
        };
        let Some(request) = request else {
            return self.hold(id, "this network gives no way to look whether it is live", now, out);
        };
        run.phase = Phase::Calling(Purpose::Look);
        run.call = Some(request.clone());
        let account = run.account;
        out.push(Effect::Call { id, account, purpose: Purpose::Look, request });
    }

    /// What the look showed.
    pub(super) fn looked(&mut self, id: DeliveryId, reply: Reply, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let Some(frozen) = work.delivery.flight.frozen.clone() else { return self.release(id) };
        let since = work.delivery.flight.first_sent.unwrap_or(work.delivery.due.instant);
        let answer = match reply {
            Reply::Answer(answer) => answer,
            Reply::NotSent(message) | Reply::Lost(message) => {
                return self.unclear(id, &message, None, now, out);
            }
        };
        let sight = with_job(work, |job| work.platform.seen(job, &frozen, &answer, since, &*work.bound, now));
        let expired_once = !run.refreshed;
        let account = run.account;
        match sight {
            None => self.release(id),
            Some(Sight::Found(live)) => {
                let next_part_at = now.saturating_add(self.settings.lane_spacing).unwrap_or(now);
                let event = Event::Applied { live, next_part_at };
                self.save(id, event, Then::Done, Some(evidence("found", &answer)), now, out);
            }
            Some(Sight::HandedOver(live)) => {
                let kept = evidence("handed_over", &answer);
                self.save(id, Event::HandOver { live }, Then::Done, Some(kept), now, out);
            }
            Some(Sight::Absent | Sight::Gone) => self.absent(id, &evidence("absent", &answer), now, out),
            Some(Sight::Disputed { message }) => self.hold(id, &message, now, out),
            Some(Sight::Unclear(failure)) if failure.class == FailureClass::AuthExpired && expired_once => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run.refreshed = true;
                    run.phase = Phase::Refreshing;
                }
                out.push(Effect::Refresh { account });
            }
            Some(Sight::Unclear(failure)) => self.unclear(id, &failure.message, failure.until, now, out),
        }
    }

    /// A failed read. What was proven so far stays; nothing is added.
    fn unclear(
        &mut self,
        id: DeliveryId,
        message: &str,
        until: Option<Timestamp>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        // Asked only after a look has failed: a daemon that was down for days looks first.
        let since = work.delivery.flight.unknown_since.unwrap_or(now);
        if now.duration_since(since) > self.settings.hold_after {
            let why = format!("looking could not settle whether it is live: {message}");
            return self.hold(id, &why, now, out);
        }
        let looks = work.delivery.flight.looks;
        let wait = EARLY.get(usize::from(looks)).map_or(SLOW, |it| SignedDuration::from_secs(*it));
        let next_check = self.in_scaled(now, wait).max(until.unwrap_or(now));
        let reason = Reason::new("ambiguous", format!("could not look whether it is live: {message}"))
            .hint("it is looked at again; nothing to do for now");
        let absent_at = work.delivery.flight.absent_at;
        let event = Event::Look { next_check, absent_at, reason: Some(reason) };
        self.save(id, event, Then::Done, None, now, out);
    }

    fn hold(&mut self, id: DeliveryId, why: &str, now: Timestamp, out: &mut Vec<Effect>) {
        let reason = Reason::new("held", why.to_owned())
            .hint(format!("look on the network yourself; `sendoff post retry {id}` looks once more"));
        self.save(id, Event::Hold { reason }, Then::Done, None, now, out);
    }

    /// A clean read without it: what that proves is the class's rule.
    fn absent(&mut self, id: DeliveryId, kept: &Evidence, now: Timestamp, out: &mut Vec<Effect>) {
        let settings = self.settings.clone();
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let delivery = &work.delivery;
        let flight = &delivery.flight;
        let class = class_of(work);
        let wanted =
            !delivery.cancel_requested && now <= delivery.give_up_at && over_late(delivery, now).is_none();
        let attempts = delivery.attempts;
        // Repeated under its own marker, it was refused for good: all that is left to learn is
        // whether the earlier attempt is live.
        let refusal =
            delivery.reason.clone().filter(|it| matches!(it.class.as_str(), "invalid_content" | "policy"));
        if class == Class::ClientId && wanted && refusal.is_none() {
            let ready = work.account.as_ref().is_some_and(|it| it.state != AccountState::NeedsReconnect);
            let event = if ready {
                // Spaced like any other retry: the network may be down for hours.
                let wait = self.backoff(backoff::NOT_SENT, attempts.saturating_sub(1));
                Event::SendAgain { at: now.saturating_add(wait).unwrap_or(now) }
            } else {
                let next_check = self.in_scaled(now, SLOW);
                Event::Look { next_check, absent_at: None, reason: None }
            };
            return self.save(id, event, Then::Done, Some(kept.clone()), now, out);
        }
        // I7: two negative reads, the first at least SETTLE after the last attempt, apart by
        // durable time stamps.
        let since = flight.unknown_since.unwrap_or(now);
        let settled = since.saturating_add(settings.settle).unwrap_or(now);
        let proven = match flight.absent_at {
            Some(first) => now >= first.saturating_add(settings.absence_gap).unwrap_or(now),
            None => false,
        };
        if !proven {
            let absent_at = flight.absent_at.or((now >= settled).then_some(now));
            let early = EARLY.get(usize::from(flight.looks) + 1).map(|it| {
                since
                    .saturating_add(scaled(SignedDuration::from_secs(*it), settings.poll_scale))
                    .unwrap_or(now)
            });
            let next_check = match absent_at {
                Some(first) => first.saturating_add(settings.absence_gap).unwrap_or(now),
                None => early.filter(|at| *at > now && *at < settled).unwrap_or(settled),
            };
            let event = Event::Look { next_check: next_check.max(now), absent_at, reason: None };
            return self.save(id, event, Then::Done, Some(kept.clone()), now, out);
        }
        let opted = settings.resend_when_absent.contains(&work.platform.name());
        let textless =
            work.post.content_for(&delivery.name).parts.first().is_some_and(|it| it.trim().is_empty());
        if wanted && ((class == Class::Opaque && !opted) || textless) {
            // No net against a double, or nothing a look could have recognised it by.
            return self.hold(
                id,
                "it is not on the network, but this network cannot rule out that it still appears",
                now,
                out,
            );
        }
        let then = if let Some(reason) = refusal {
            AfterAbsence::Rejected { reason }
        } else if delivery.cancel_requested {
            AfterAbsence::Cancelled {
                reason: Reason::new("cancelled", "cancelled by the user; looked twice, it is not live"),
            }
        } else if now > delivery.give_up_at {
            AfterAbsence::Rejected {
                reason: Reason::new("gave_up", "given up; looked twice, it is not live"),
            }
        } else if let Some(reason) = over_late(delivery, now) {
            AfterAbsence::Missed { reason }
        } else {
            AfterAbsence::Retry { at: now }
        };
        self.save(id, Event::Absent { then }, Then::Done, Some(kept.clone()), now, out);
    }
}

fn class_of(work: &Work) -> Class {
    let tier = work.account.as_ref().and_then(|it| it.tier.as_deref());
    work.platform.capabilities(tier).class
}

/// Later than its policy allows. Unlike before the first send, the time since its instant counts.
fn over_late(delivery: &Delivery, now: Timestamp) -> Option<Reason> {
    let Late::Within(limit) = delivery.late else { return None };
    (now.duration_since(delivery.due.instant) > limit && delivery.step == 0)
        .then(|| Reason::new("late", "it is not live, and later than its policy allows"))
}
