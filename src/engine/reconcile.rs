//! Looking before trying again (delivery guarantees §7, §8).
//!
//! An unknown step leaves this file only with evidence: found on the network; absent by the rule
//! of its class; or held for the user. Reads are safe and may fail; a failed read proves nothing.

use jiff::{SignedDuration, Timestamp};

use super::backoff::{self, scaled};
use super::gates::app_of;
use super::search::{reckoned_back, search_from};
use super::send::{TOO_MANY, class_of, evidence, with_job};
use super::steps::There;
use super::unsettled::SLOW;
use super::wants::{is_for_good, over_late, reason_of, refused_for_good, repeatable, repeated, wanted};
use super::{Effect, Engine, Evidence, Phase, Purpose, Reply, Then, Work, restored, steps};
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::{AfterAbsence, Delivery, Event, Looked, Proof, Reason, Said};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::domain::moment::Moment;
use crate::planted::planted;
use crate::platforms::{Answer, Class, Failure, FailureClass, Reading, Request, Sight};

/// Early looks, after the answer was lost; they can only find, never prove absence.
pub(super) const EARLY: [i64; 3] = [10, 60, 300];
/// A key is not trusted in the last part of its life.
const KEY_MARGIN: SignedDuration = SignedDuration::from_mins(15);
/// What is live shows in its account's list after a moment; so long after its call it never will.
const LISTED: SignedDuration = SignedDuration::from_mins(15);
/// Why what was called live is not made anew, whatever is said of it later.
const UNSAID: &str =
    "the network called it published before, and its handle says now that nothing came of it";

impl Engine {
    /// When a step that just became unknown is looked at first.
    pub(super) fn first_check(&self, id: DeliveryId, now: Timestamp) -> Timestamp {
        let work = self.runs.get(&id).and_then(|run| run.work.as_ref());
        match work.map(|work| class_of(work)) {
            Some(Class::ClientId) => self.in_scaled(now, SignedDuration::from_secs(1)),
            // Older servers write the key after the post: a quick repeat would double it.
            Some(Class::Key) => now.saturating_add(self.settings.key_wait).unwrap_or(now),
            _ => self.in_scaled(now, SignedDuration::from_secs(EARLY[0])),
        }
    }

    pub(super) fn in_scaled(&self, now: Timestamp, span: SignedDuration) -> Timestamp {
        now.saturating_add(scaled(span, self.settings.poll_scale)).unwrap_or(now)
    }

    /// Whether the network still remembers the key of an open attempt (class B), or still refuses its
    /// repeat (class D), with a margin, by the older of both clocks. After a restart of the machine
    /// nobody can tell: the wall clock may be right now and have been wrong then.
    pub(super) fn key_lives(&self, delivery: &Delivery, work: &Work, now: Timestamp) -> bool {
        let tier = work.account.as_ref().and_then(|it| it.tier.as_deref());
        let life = work.platform.capabilities(tier).key_life;
        let flight = &delivery.flight;
        let first = if planted("key life from the last attempt") {
            flight.unknown_since.or(flight.first_sent)
        } else {
            flight.first_sent
        };
        let (Some(first), now) = (first, self.moment(now)) else { return false };
        let vouched = first.same_boot(now) || (now.boot.is_none() && self.clock_sure);
        vouched && first.aged(now) < life.saturating_sub(KEY_MARGIN)
    }

    /// Looks whether it is live, or does what its class does instead of looking.
    pub(super) fn look(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        if planted("everything held") {
            return self.hold(id, "somebody else should look", None, now, out);
        }
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let delivery = &work.delivery;
        let class = class_of(work);
        let forgotten = delivery.may_be_forgotten();
        let absent_at = delivery.flight.absent_at;
        if class == Class::Key && !forgotten && repeatable(work, now) && self.key_lives(delivery, work, now) {
            // A crash, or a user in a hurry, must not shorten the wait that the older servers need.
            let wait = self.settings.key_wait;
            let since = delivery.flight.unknown_since.unwrap_or(now.into());
            if since.waited(self.moment(now)) < wait {
                let next_check = self.rest_of(since, wait, now);
                let event = Event::Look { kind: Looked::Waits, next_check, absent_at, reason: None };
                return self.save(id, event, Then::Done, None, now, out);
            }
            return self.send_again(id, now, None, now, out);
        }
        // Whoever cannot sign in cannot look: no call is spent on that.
        let dead = work.account.as_ref().filter(|it| it.state == AccountState::NeedsReconnect);
        if let Some(reason) = dead.map(Account::dead) {
            return self.nobody_looks(id, reason, now, out);
        }
        let app = work.account.as_ref().map(app_of);
        if let Some(next_check) = self.reads_wait(work.delivery.account, app.as_ref(), now) {
            let event = Event::Look { kind: Looked::Limited, next_check, absent_at, reason: None };
            return self.save(id, event, Then::Done, None, now, out);
        }
        let moment = self.moment(now);
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        let delivery = &work.delivery;
        // Reckoned back from now the search begins by our clock of now, behind or ahead; otherwise by that
        // of then, which being behind today says nothing of.
        let ahead = if reckoned_back(delivery, moment) { steps::off } else { steps::ahead }(
            (&self.gates, self.steps),
            work.account.as_ref(),
        );
        let since = search_from(delivery, moment).saturating_sub(ahead).unwrap_or(now);
        // From the start, also where the token of a look that had begun was renewed.
        (run.searched, run.marker_gone, run.pages, run.asked) = (Some((since, ahead)), None, 0, None);
        let request = match (&delivery.flight.frozen, &work.account) {
            (Some(frozen), Some(_)) => with_job(work, |job| work.platform.look(job, frozen, since)).flatten(),
            // Nothing is known of what was sent (restored from a backup, or found before a late
            // send): the same words are all there is to go by.
            (None, Some(_)) => with_job(work, |job| work.platform.scan(job, since)).flatten(),
            (_, None) => None,
        };
        let Some(request) = request else {
            if forgotten {
                return self.hold(id, restored::UNSEARCHABLE, None, now, out);
            }
            if class == Class::Reference {
                return self.repeat_once(id, now, out);
            }
            return self.hold(id, "this network gives no way to look whether it is live", None, now, out);
        };
        self.call(id, Purpose::Look, request, now, out);
    }

    /// When so long has passed since then. By what really passed: a wall clock that was set ahead has
    /// "reached" that time while it is still to come, and asking again at once would never end.
    fn rest_of(&self, since: Moment, wait: SignedDuration, now: Timestamp) -> Timestamp {
        let left = wait - since.waited(self.moment(now));
        now.saturating_add(left.max(SignedDuration::from_secs(1))).unwrap_or(now)
    }

    /// Class D without a list: after the wait it is sent once more, for the network's word on which
    /// object it would be a duplicate of.
    fn repeat_once(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let settle = self.settings.settle;
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let flight = &work.delivery.flight;
        let word = work.delivery.reason.as_ref().map_or("", |it| it.class.as_str());
        if let Some(Said::Duplicate(said)) = &flight.said {
            let why = match repeated(work) {
                Some(ours) => format!("{ours}: {said}"),
                None => format!("the network has these words already, and not surely from us: {said}"),
            };
            return self.hold(id, &why, None, now, out);
        }
        let unclear = matches!(word, "ambiguous" | "restored");
        if !repeatable(work, now) || (flight.earlier_open && unclear) {
            return self.hold(id, "this network gives no way to look whether it is live", None, now, out);
        }
        if !self.key_lives(&work.delivery, work, now) {
            // Past that the network would take the repeat as a new post.
            let tier = work.account.as_ref().and_then(|it| it.tier.as_deref());
            let why = if work.platform.capabilities(tier).key_life.is_zero() {
                "it cannot be looked for, and the network does not say for how long it refuses a repeat"
            } else {
                "it is too long ago for the network to refuse a repeat, and it cannot be looked for"
            };
            return self.hold(id, why, None, now, out);
        }
        let since = flight.unknown_since.unwrap_or(now.into());
        if since.waited(self.moment(now)) < settle {
            let next_check = self.rest_of(since, settle, now);
            let event = Event::Look { kind: Looked::Waits, next_check, absent_at: None, reason: None };
            return self.save(id, event, Then::Done, None, now, out);
        }
        self.send_again(id, now, None, now, out);
    }

    /// The same request under the same marker, through the lane. An account that cannot act keeps
    /// it unknown.
    fn send_again(
        &mut self,
        id: DeliveryId,
        at: Timestamp,
        kept: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let ready = work.account.as_ref().is_some_and(|it| it.state != AccountState::NeedsReconnect);
        let event = if ready {
            Event::SendAgain { at }
        } else {
            let absent_at = work.delivery.flight.absent_at;
            let kind = if kept.is_some() { Looked::Absent } else { Looked::Waits };
            Event::Look { kind, next_check: self.in_scaled(now, SLOW), absent_at, reason: None }
        };
        self.save(id, event, Then::Done, kept, now, out);
    }

    /// What the look showed.
    pub(super) fn looked(
        &mut self,
        id: DeliveryId,
        call: Option<&Request>,
        reply: Reply,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(work) = &run.work else { return };
        // Of what was sent, or of the words alone.
        let frozen = work.delivery.flight.frozen.clone().filter(|_| run.marker_gone.is_none());
        let Some((since, allowed)) = run.searched else { return };
        let answer = match reply {
            Reply::Answer(answer) => answer,
            Reply::NotSent(message) | Reply::Lost(message) | Reply::Unfit(Failure { message, .. }) => {
                return self.unclear(id, &message, None, None, now, out);
            }
        };
        let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
        let sight = with_job(work, |job| match (&frozen, call) {
            (Some(frozen), Some(call)) => {
                let said = Reading { call, answer: &answer };
                work.platform.seen_in(job, frozen, said, since, &*work.bound, there.now)
            }
            (Some(frozen), None) => work.platform.seen(job, frozen, &answer, since, &*work.bound, there.now),
            (None, _) => work.platform.scanned(job, &answer, since, &*work.bound, there.now),
        });
        let sight = sight.map(|it| there.sight(it));
        let own = match &sight {
            Some(Sight::Found(live) | Sight::HandedOver(live)) => live.remote_id.as_deref(),
            _ => None,
        };
        // From here on it is written down alone.
        let answer = Answer { body: work.platform.kept(&answer, own), ..answer };
        let moment = Moment { wall: now, boot: self.boot };
        let reckoned = reckoned_back(&work.delivery, moment);
        let off = steps::off((&self.gates, self.steps), work.account.as_ref()) - allowed;
        let expired_once = !run.refreshed;
        let said = &work.delivery.flight.said;
        let accepted = matches!(said, Some(Said::Accepted | Said::Taken(_) | Said::Live));
        let barred = work.delivery.barred(moment).map(|(until, _)| until);
        let is_live = *said == Some(Said::Live);
        let unlisted = work.delivery.flight.unknown_since.is_some_and(|it| it.waited(moment) > LISTED);
        let sight = match sight {
            Some(Sight::Unlisted(live)) if unlisted => Some(Sight::Found(live)),
            other => other,
        };
        let account = run.account;
        let app = work.account.as_ref().map(app_of);
        let gone = match &sight {
            Some(Sight::Absent) if off <= steps::CLOCK_OFF => Some(false),
            Some(Sight::Gone | Sight::Failed(_)) => Some(true),
            _ => None,
        };
        if let (Some(gone), Some(_), Some(request)) = (gone, &frozen, restored::second_look(work, since)) {
            run.marker_gone = Some(gone);
            return self.call(id, Purpose::Look, request, now, out);
        }
        let gone = run.marker_gone == Some(true);
        match sight {
            None => self.release(id),
            Some(Sight::Found(_) | Sight::HandedOver(_)) if reckoned && off < -steps::CLOCK_OFF => {
                // It was searched from too early on: what was found may be older than ours.
                let message = format!("this machine's clock is {:#} behind the network's", off.abs());
                self.unclear(id, &message, None, Some(evidence("unclear", &answer)), now, out);
            }
            Some(Sight::Found(live)) => {
                self.proves_open(account, barred);
                let next_part_at = now.saturating_add(self.settings.lane_spacing).unwrap_or(now);
                let event = Event::Applied { live, next_part_at };
                self.save(id, event, Then::Done, Some(evidence("found", &answer)), now, out);
            }
            Some(Sight::HandedOver(live)) => {
                let kept = evidence("handed_over", &answer);
                self.save(id, Event::HandOver { live }, Then::Done, Some(kept), now, out);
            }
            Some(Sight::Absent) if off > steps::CLOCK_OFF => {
                // What it published then bears an earlier time than we searched from.
                let message = format!("this machine's clock is {off:#} ahead of the network's");
                self.unclear(id, &message, None, Some(evidence("absent", &answer)), now, out);
            }
            // Not there yet, and on its way: only its handle can say that nothing will come of it.
            Some(Sight::Absent) if accepted => {
                let kept = Some(evidence("pending", &answer));
                self.unclear(id, "the network has taken it on, and it is not live yet", None, kept, now, out);
            }
            Some(Sight::Gone | Sight::Failed(_)) if is_live => {
                let kept = Some(evidence("unclear", &answer));
                self.unclear(id, UNSAID, None, kept, now, out);
            }
            Some(Sight::Absent) => self.absent(id, gone, None, &evidence("absent", &answer), now, out),
            Some(Sight::Gone) => self.absent(id, true, None, &evidence("gone", &answer), now, out),
            Some(Sight::Failed(failure)) => {
                self.absent(id, true, Some(failure), &evidence("gone", &answer), now, out);
            }
            // That word is kept before anything else is asked: nothing unsays it.
            Some(Sight::Out(_)) if !is_live => {
                let message =
                    "the network has published it; which of the account's posts it is, is looked up";
                let reason = Reason::new(FailureClass::NotReady.as_str(), message)
                    .hint("checking which post it is; nothing to do for now");
                let (next_check, absent_at) = (now, work.delivery.flight.absent_at);
                let event = Event::Look { kind: Looked::Live, next_check, absent_at, reason: Some(reason) };
                self.proves_open(account, barred);
                self.save(id, event, Then::Done, Some(evidence("live", &answer)), now, out);
            }
            Some(Sight::Unlisted(_)) => {
                let kept = Some(evidence("pending", &answer));
                self.unclear(id, "it is live, and not listed yet", None, kept, now, out);
            }
            Some(Sight::More(request) | Sight::Out(request)) => {
                if !self.turn_page(id, Purpose::Look, request, now, out) {
                    self.unclear(id, TOO_MANY, None, Some(evidence("more", &answer)), now, out);
                }
            }
            Some(Sight::Disputed { message }) => {
                self.hold(id, &message, Some(evidence("disputed", &answer)), now, out);
            }
            Some(Sight::Unclear(failure)) if failure.class == FailureClass::AuthExpired && expired_once => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run.refreshed = true;
                    run.phase = Phase::Refreshing;
                }
                out.push(Effect::Refresh { account });
            }
            Some(Sight::Unclear(failure)) if failure.class == FailureClass::NotReady => {
                let kept = Some(evidence("pending", &answer));
                self.unclear(id, &failure.message, failure.until, kept, now, out);
            }
            Some(Sight::Unclear(failure)) => {
                self.read_refused(account, app.as_ref(), &failure, now);
                let kept = Some(evidence("unclear", &answer));
                self.unclear(id, &failure.message, failure.until, kept, now, out);
            }
        }
    }

    /// What went out proves that nothing of the account is blocked.
    fn proves_open(&mut self, account: AccountId, barred: Option<Timestamp>) {
        if let (Some(until), Some(lane)) = (barred, self.lanes.get_mut(&account)) {
            self.waits_changed |= lane.unpark(until);
        }
    }

    /// A clean read without it: what that proves is the class's rule. `gone`: its handle can never
    /// publish any more (class C); `fault`: for this reason, which the network gave.
    fn absent(
        &mut self,
        id: DeliveryId,
        gone: bool,
        fault: Option<Failure>,
        kept: &Evidence,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let (mut settle, gap) = (self.settings.settle, self.settings.absence_gap);
        if planted("no settle") {
            settle = SignedDuration::ZERO;
        }
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let moment = self.moment(now);
        // Set ahead while the machine restarted, our clock alone would make a wait longer than it was.
        let there = self.moment(steps::time_there((&self.gates, self.steps), work.account.as_ref(), now));
        let waited = |from: Moment| from.waited(if from.same_boot(moment) { moment } else { there });
        let (delivery, class) = (&work.delivery, class_of(work));
        let flight = &delivery.flight;
        let attempts = delivery.attempts;
        let again = repeatable(work, now);
        let mut since = flight.unknown_since.unwrap_or(moment);
        if planted("settle from the first loss") {
            since = flight.amb_since.map_or(since, Into::into);
        }
        // A look is as old as its call.
        let took = self.took(id, now);
        let apart = |first: Moment| waited(first).min(first.waited(moment));
        let settled = waited(since) - took >= settle;
        let forgotten = delivery.may_be_forgotten();
        // What the network said when it refused it.
        let refused = match &flight.said {
            Some(Said::Refused { at, why, reason }) if !forgotten => {
                let at = flight.over(*at, moment).max(now);
                Some(AfterAbsence::Deferred { at, why: *why, reason: reason.clone() })
            }
            _ => None,
        };
        let unused = refused.is_some() && !gone;
        if planted("second container") && class == Class::Handle && again {
            let then = AfterAbsence::Retry { at: now, give_up_at: None };
            let event = Event::Absent { proof: Proof::User, anew: true, then };
            return self.save(id, event, Then::Done, Some(kept.clone()), now, out);
        }
        let blind = forgotten && restored::scan(work, now).is_none();
        if class == Class::ClientId && again && !forgotten {
            // Spaced like any other retry: the network may be down for hours.
            let wait = self.backoff(backoff::NOT_SENT, attempts.saturating_sub(1));
            let at = now.saturating_add(wait).unwrap_or(now);
            return self.send_again(id, at, Some(kept.clone()), now, out);
        }
        let barred = delivery.barred(moment).filter(|_| wanted(delivery, now));
        if let (true, Some((until, reason))) = (settled && again && class == Class::Handle && !gone, barred) {
            return self.sit_out(id, until, reason.clone(), kept.clone(), now, out);
        }
        if class == Class::Handle && again && settled && !gone && !forgotten && !unused {
            // Its only way to become public is this handle: publishing it once more is safe now.
            return self.send_again(id, now, Some(kept.clone()), now, out);
        }
        // Nor does that very handle, refused and unpublished still, wait for more than the network asked for. It
        // stays open all the same: what ends or moves a post wants proof, which a longer wait is used for.
        let over = match &refused {
            Some(AfterAbsence::Deferred { at, .. }) if unused => Some(*at),
            _ => None,
        };
        if again && over.is_some_and(|at| at <= now) {
            return self.send_again(id, now, Some(kept.clone()), now, out);
        }
        // I7: two negative reads, the first at least SETTLE after the last attempt, apart by durable time
        // stamps. That settle is the one of now, which may be longer than it was at the first read.
        let is_late = |first: &Moment| flight.unknown_since.is_some_and(|it| it.waited(*first) >= settle);
        let first = flight.absent_at.filter(is_late);
        let proven = first.is_some_and(|first| apart(first) - took >= gap)
            || (planted("one negative read") && settled);
        if !proven {
            let absent_at = first.or(settled.then_some(moment));
            let rest = |over: SignedDuration, wait: SignedDuration| {
                // A clock that was set must not make it look in a circle.
                let second = SignedDuration::from_secs(1);
                now.saturating_add((wait - over).clamp(second, wait.max(second))).unwrap_or(now)
            };
            let end = rest(waited(since), settle);
            let early = EARLY.get(usize::from(flight.looks) + 1).map(|it| {
                let wait = scaled(SignedDuration::from_secs(*it), self.settings.poll_scale);
                since.wall.saturating_add(wait).unwrap_or(now)
            });
            let next_check = match absent_at {
                Some(first) => rest(apart(first), gap),
                None => early.filter(|at| *at > now && *at < end).unwrap_or(end),
            };
            let next_check = over.filter(|_| again).map_or(next_check, |at| at.min(next_check));
            let kind = if fault.is_some() { Looked::Failed } else { Looked::Absent };
            let event = Event::Look { kind, next_check, absent_at, reason: fault.map(|it| reason_of(&it)) };
            return self.save(id, event, Then::Done, Some(kept.clone()), now, out);
        }
        if blind {
            return self.hold(id, restored::UNSEARCHABLE, Some(kept.clone()), now, out);
        }
        if forgotten && again && (class == Class::ClientId || (class == Class::Handle && !gone)) {
            return self.send_again(id, now, Some(kept.clone()), now, out);
        }
        let wanted = wanted(delivery, now);
        let refusal =
            fault.as_ref().map(reason_of).filter(is_for_good).or_else(|| refused_for_good(delivery));
        if wanted && refusal.is_none() && !unused {
            let opted = self.settings.resend_when_absent.contains(&work.platform.name());
            let content = work.post.content_for(&delivery.name);
            let by_files = with_job(work, |job| work.platform.is_known_by_its_files(job)) == Some(true);
            // Of what can never become public any more no double can come.
            let textless = (forgotten || !(gone || by_files))
                && content.parts.get(usize::from(delivery.step)).is_some_and(|it| it.trim().is_empty());
            let repeat = matches!(flight.said, Some(Said::Duplicate(_)));
            let ours = repeated(work).filter(|_| repeat);
            let why = if let Some(ours) = &ours {
                Some(ours.as_str())
            } else if repeat {
                Some("the network refuses it as a repeat, and yet it is not in the account's list")
            } else if (class == Class::Opaque && !opted) || textless {
                // No net against a double, or nothing a look could have recognised it by.
                Some("it is not on the network, but this network cannot rule out that it still appears")
            } else {
                None
            };
            if let Some(why) = why {
                return self.hold(id, why, Some(kept.clone()), now, out);
            }
        }
        if let (true, None, Some((until, reason))) = (wanted, &refusal, barred) {
            return self.sit_out(id, until, reason.clone(), kept.clone(), now, out);
        }
        let next = fault.and_then(|it| self.after_fault(id, &it, now, out));
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let delivery = &work.delivery;
        let proof = if planted("one negative read") || planted("settle from the first loss") {
            // The machine counts for itself; where the count is what is broken, it is gone round.
            Proof::User
        } else {
            Proof::Looks { settle, gap }
        };
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
            next.or(refused).unwrap_or(AfterAbsence::Retry { at: now, give_up_at: None })
        };
        let event = Event::Absent { proof, anew: gone, then };
        self.save(id, event, Then::Done, Some(kept.clone()), now, out);
    }
}
