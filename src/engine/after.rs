//! The read-back of a step that went live (W5): when it is made, and what it shows.
//!
//! What is read back is out already, and nobody waits for it. So while something is still to be sent,
//! the read-backs of what has ended wait, a few seconds at the most. Where more of the same delivery is to
//! come, the read-back is made at once, and before that.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::gates::{App, app_of};
use super::send::evidence;
use super::steps::{SetBack, There};
use super::{Effect, Engine, Phase, Purpose, Then};
use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, Event, Live, NOTHING, Reason, State, Step, StepKind};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::platforms::{Answer, Platform, Request, Sight};

/// A read-back gives way to what is to be sent for so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Most that wait: more are made beside what is sent.
const WAITING_MAX: usize = 1024;
/// Where even that is not quick enough, because networks let those on the wire wait, the oldest are left to
/// the next start. Bounds memory.
const KEPT_MAX: usize = 2 * WAITING_MAX;
/// Most on the wire at once.
const WIRE_MAX: usize = 64;
/// Between those of one account that an earlier start has left: they are in no hurry, and networks count reads.
const APART: SignedDuration = SignedDuration::from_secs(15);

/// A delivery that was published before this start, and was not seen since.
#[derive(Clone)]
pub struct Unseen {
    pub delivery: Delivery,
    pub account: Account,
    pub platform: &'static dyn Platform,
}

/// Read-backs of deliveries that have ended, which no run holds any more.
#[derive(Default)]
pub(super) struct ReadBacks {
    /// Oldest first.
    waiting: VecDeque<ReadBack>,
    /// Those whose time is still to come: left by an earlier start, or held back by a limit of reads.
    later: BTreeMap<(Timestamp, DeliveryId), ReadBack>,
    wire: BTreeMap<DeliveryId, ReadBack>,
}

/// What is needed to make a read-back and to understand its answer.
struct ReadBack {
    id: DeliveryId,
    account: AccountId,
    app: App,
    platform: &'static dyn Platform,
    step: usize,
    live: Step,
    request: Request,
    /// How many calls the network allows the account a day, if it counts them.
    calls_a_day: Option<u32>,
    since: Timestamp,
}

impl ReadBack {
    /// None: the network has none for it.
    fn of(
        delivery: &Delivery,
        step: usize,
        account: &Account,
        platform: &'static dyn Platform,
        since: Timestamp,
    ) -> Option<Self> {
        let live = delivery.steps.get(step)?;
        let request = platform.read_back(account, live)?;
        let (app, live, calls_a_day) = (app_of(account), live.clone(), platform.calls_a_day(account));
        let (id, account) = (delivery.id, account.id);
        Some(Self { id, account, app, platform, step, live, request, calls_a_day, since })
    }
}

impl ReadBacks {
    fn wait(&mut self, it: ReadBack) {
        self.waiting.push_back(it);
        if self.waiting.len() > KEPT_MAX {
            self.waiting.pop_front();
        }
    }

    /// Not before then. One too many is left out: it says less of the present than any other.
    fn wait_until(&mut self, at: Timestamp, it: ReadBack) {
        if self.later.len() < KEPT_MAX {
            self.later.insert((at, it.id), it);
        }
    }

    /// Takes those up whose time has come; when the next one's does.
    fn ripen(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            let it = first.remove();
            self.wait(it);
        }
        None
    }

    /// The account may be paused or gone: nothing more is asked for it.
    pub(super) fn forget(&mut self, account: AccountId) {
        self.waiting.retain(|it| it.account != account);
        self.later.retain(|_, it| it.account != account);
    }

    /// See [`super::steps`].
    pub(super) fn set_back(&mut self, back: SetBack) {
        let later = std::mem::take(&mut self.later).into_iter();
        self.later = later
            .map(|((mut at, id), it)| {
                back.wait(&mut at);
                ((at, id), it)
            })
            .collect();
    }

    /// Whether one is waited for or on the wire.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.later.is_empty() && self.wire.is_empty()
    }
}

impl Engine {
    /// The lane is free; a step that just went live is read back beside it.
    pub(super) fn done(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if let Some(step) = run.confirm
            && let Some(work) = &run.work
            && let Some(account) = &work.account
            && let Some(it) = ReadBack::of(&work.delivery, step, account, work.platform, now)
        {
            if work.delivery.state.is_terminal() {
                self.read_backs.wait(it);
            } else {
                let ReadBack { account, app, request, .. } = it;
                // The parts behind it wait for no read: where none is to be made, there is none.
                if self.reads_wait(account, Some(&app), now).is_some() || self.spent(id, now).is_some() {
                    return self.release(id);
                }
                let Some(run) = self.runs.get_mut(&id) else { return };
                run.phase = Phase::Calling(Purpose::ReadBack);
                run.in_lane = false;
                self.tally(id, &request, now);
                out.push(Effect::Call { id, account, purpose: Purpose::ReadBack, request });
                return self.free_lane(account, id);
            }
        }
        self.release(id);
    }

    /// What went live just before the last stop was not read back. Nobody waits for it, so those of one account
    /// are spaced.
    pub(super) fn resume_read_backs(&mut self, unseen: &[Unseen], now: Timestamp) {
        let mut next: BTreeMap<AccountId, Timestamp> = BTreeMap::new();
        for Unseen { delivery, account, platform } in unseen {
            // Of several parts the last one tells that all are there; a comment says nothing of its post.
            let tells = |it: &Step| it.is_live() && it.kind != StepKind::Comment;
            let step = delivery.steps.iter().rposition(tells);
            let it = step.and_then(|step| ReadBack::of(delivery, step, account, *platform, now));
            if let Some(it) = it {
                let at = next.entry(it.account).or_insert(now);
                self.read_backs.wait_until(*at, it);
                *at = at.saturating_add(APART).unwrap_or(*at);
            }
        }
    }

    /// Makes the read-backs whose turn it is; when to come back for the others.
    pub(super) fn start_read_backs(&mut self, now: Timestamp, out: &mut Vec<Effect>) -> Option<Timestamp> {
        let sending = self.lanes.values().any(|lane| lane.busy.is_some());
        self.read_backs.ripen(now);
        let mut until = None;
        while self.read_backs.wire.len() < WIRE_MAX {
            let many = self.read_backs.waiting.len();
            let Some(first) = self.read_backs.waiting.front() else { break };
            let patience = first.since.saturating_add(PATIENCE).unwrap_or(now);
            // A clock that was set back since must not make it longer.
            if sending && many <= WAITING_MAX && patience > now && first.since <= now {
                until = Some(patience);
                break;
            }
            let Some(first) = self.read_backs.waiting.pop_front() else { break };
            let (id, account, request) = (first.id, first.account, first.request.clone());
            if let Some(at) = self.reads_wait(account, Some(&first.app), now) {
                self.read_backs.wait_until(at, first);
                continue;
            }
            if let Some(most) = first.calls_a_day {
                // What is left of them is better kept for posts.
                if self.calls_today(account, now) >= most {
                    continue;
                }
                self.tally_up(account, now);
            }
            self.read_backs.wire.insert(id, first);
            out.push(Effect::Call { id, account, purpose: Purpose::ReadBack, request });
        }
        until.into_iter().chain(self.read_backs.ripen(now)).min()
    }

    /// The answer to a read-back that no run holds; None: there was no answer, which says nothing. Whether
    /// it was one.
    pub(super) fn was_read_back(
        &mut self,
        id: DeliveryId,
        answer: Option<&Answer>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(it) = self.read_backs.wire.remove(&id) else { return false };
        let ReadBack { account, app, platform, step, live, .. } = it;
        if let Some(answer) = answer {
            self.hear((account, &app), platform, answer, false, now);
            let there = There::of((&self.gates, self.steps), Some(&app), now);
            match there.sight(platform.confirmed(&live, answer, there.now)) {
                // The next one would be refused as this one was.
                Sight::Unclear(failure) => self.read_refused(account, Some(&app), &failure, now),
                sight => out.extend(shown((id, step), sight, answer)),
            }
        }
        true
    }

    /// The answer to the read-back of a step behind which more is to come.
    pub(super) fn read_back(
        &mut self,
        id: DeliveryId,
        step: usize,
        answer: &Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let there = There::at((&self.gates, self.steps), work.account.as_ref(), now);
        let delivery = &work.delivery;
        let live = delivery.steps.get(step);
        let sight = live.map(|live| there.sight(work.platform.confirmed(live, answer, there.now)));
        if let Some(Sight::Unclear(failure)) = &sight {
            let (account, app) = (delivery.account, work.account.as_ref().map(app_of));
            self.read_refused(account, app.as_ref(), failure, now);
            return self.release(id);
        }
        match sight.and_then(|sight| shown((id, step), sight, answer)) {
            // Nothing is put under what nobody can see.
            Some(Effect::CameToNothing { reason, answer, .. })
                if delivery.state == State::Retry && delivery.is_at_comment() =>
            {
                return self.save(id, Event::Spare { reason }, Then::Done, Some(answer), now, out);
            }
            effect => out.extend(effect),
        }
        self.release(id);
    }
}

/// What a read-back shows. It may show later, and a read that failed says nothing: None.
fn shown((id, step): (DeliveryId, usize), sight: Sight, answer: &Answer) -> Option<Effect> {
    match sight {
        Sight::Found(Live { permalink, .. }) => Some(Effect::Confirm { id, step, verified: true, permalink }),
        Sight::Failed(failure) => {
            let reason = Reason { hint: failure.hint, ..Reason::new(NOTHING, failure.message) };
            Some(Effect::CameToNothing { id, step, reason, answer: evidence("failed", answer) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::send::tests::{engine, frozen, put, work};
    use crate::engine::{Input, Reply};

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
    }

    /// A delivery that just went live on an account of its own.
    fn live(engine: &mut Engine, n: u128, now: Timestamp) -> DeliveryId {
        let mut it = work(n, Timestamp::UNIX_EPOCH);
        it.delivery.account = AccountId::from_u128(n);
        let claimed = it.delivery.apply(Event::Claim, now).unwrap();
        let intend = Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO };
        let live = Live {
            remote_id: Some(format!("{n}")),
            permalink: None,
            extra: BTreeMap::default(),
            verified: false,
        };
        let sent = claimed.apply(intend, now).unwrap();
        it.delivery = sent.apply(Event::Applied { live, next_part_at: now }, now).unwrap();
        let id = put(engine, it, Phase::Saving(1, Then::Done));
        engine.runs.get_mut(&id).unwrap().confirm = Some(0);
        engine.done(id, now, &mut Vec::new());
        assert!(!engine.holds(id), "its lane and its row are free");
        id
    }

    /// An account with something on the wire.
    fn busy(engine: &mut Engine, account: u128) {
        engine.lanes.entry(AccountId::from_u128(account)).or_default().busy = Some(DeliveryId::from_u128(99));
    }

    fn read_back(effects: &[Effect]) -> Vec<DeliveryId> {
        let id = |it: &Effect| match it {
            Effect::Call { id, purpose: Purpose::ReadBack, .. } => Some(*id),
            _ => None,
        };
        effects.iter().filter_map(id).collect()
    }

    #[test]
    fn a_read_back_gives_way_to_what_is_to_be_sent_but_not_for_long() {
        let mut engine = engine();
        busy(&mut engine, 7);
        let first = live(&mut engine, 1, at(0));
        let second = live(&mut engine, 2, at(2_000));
        let effects = engine.start(at(2_000));
        assert!(read_back(&effects).is_empty() && !engine.is_idle());
        assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(then) if *then == at(5_000))));
        assert_eq!(read_back(&engine.start(at(5_000))), [first]);
        // Nothing is to be sent any more.
        engine.lanes.clear();
        assert_eq!(read_back(&engine.start(at(5_001))), [second]);
        assert!(read_back(&engine.start(at(60_000))).is_empty(), "each is made once");
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_read_back_waiting() {
        let mut engine = engine();
        busy(&mut engine, 7);
        let id = live(&mut engine, 1, at(3_600_000));
        assert_eq!(read_back(&engine.start(at(0))), [id]);
    }

    #[test]
    fn what_waits_for_its_read_back_is_bounded() {
        let mut engine = engine();
        busy(&mut engine, 7);
        for n in 0..WAITING_MAX as u128 + 10 {
            live(&mut engine, 1_000 + n, at(0));
        }
        assert_eq!(read_back(&engine.start(at(1))).len(), 10);
    }

    #[test]
    fn networks_that_let_read_backs_wait_fill_no_memory() {
        let mut engine = engine();
        busy(&mut engine, 7);
        for n in 0..(KEPT_MAX + WIRE_MAX) as u128 + 10 {
            live(&mut engine, 1_000 + n, at(0));
            engine.start(at(1));
        }
        let waits = &engine.read_backs;
        assert_eq!((waits.wire.len(), waits.waiting.len()), (WIRE_MAX, KEPT_MAX));
    }

    #[test]
    fn what_was_not_read_back_before_a_stop_is_read_back_after_it() {
        let mut engine = engine();
        let id = live(&mut engine, 1, at(0));
        let ReadBack { step, live, .. } = engine.read_backs.waiting.pop_front().unwrap();
        let it = work(1, Timestamp::UNIX_EPOCH);
        let mut delivery = it.delivery.clone();
        delivery.steps[step] = live;
        let unseen = Unseen { delivery, account: it.account.clone().unwrap(), platform: it.platform };
        assert_eq!(read_back(&engine.apply(Input::Unseen(vec![unseen.clone()]), at(5))), [id]);
        // Of a part that is not there is nothing to read.
        let nothing = Unseen { delivery: work(2, Timestamp::UNIX_EPOCH).delivery, ..unseen };
        assert!(read_back(&engine.apply(Input::Unseen(vec![nothing]), at(6))).is_empty());
    }

    /// Published before this start, and not seen since.
    fn unseen(n: u128, account: u128) -> Unseen {
        let mut engine = engine();
        live(&mut engine, n, at(0));
        let ReadBack { step, live, .. } = engine.read_backs.waiting.pop_front().unwrap();
        let it = work(n, Timestamp::UNIX_EPOCH);
        let mut delivery = it.delivery.clone();
        delivery.steps[step] = live;
        let account = Account { id: AccountId::from_u128(account), ..it.account.clone().unwrap() };
        Unseen { delivery, account, platform: it.platform }
    }

    #[test]
    fn what_an_earlier_start_left_is_asked_for_by_and_by() {
        let mut engine = engine();
        let all = vec![unseen(1, 1), unseen(2, 1), unseen(3, 2), unseen(4, 1)];
        let [first, second, other, third] = [1, 2, 3, 4].map(DeliveryId::from_u128);
        let effects = engine.apply(Input::Unseen(all), at(0));
        assert_eq!(read_back(&effects), [first, other], "one of each account");
        assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(then) if *then == at(15_000))));
        assert!(read_back(&engine.start(at(14_999))).is_empty());
        assert_eq!(read_back(&engine.start(at(15_000))), [second]);
        engine.take(Input::Stepped(SignedDuration::from_secs(-15)), at(0));
        assert!(read_back(&engine.start(at(14_999))).is_empty());
        assert_eq!(
            read_back(&engine.start(at(15_000))),
            [third],
            "a clock that was set back changes nothing"
        );
        assert!(!engine.is_idle(), "they are on the wire");
    }

    #[test]
    fn a_refused_read_back_holds_those_behind_it_back() {
        let mut engine = engine();
        let of_one = vec![unseen(1, 1), unseen(2, 1)];
        let [first, second] = [1, 2].map(DeliveryId::from_u128);
        assert_eq!(read_back(&engine.apply(Input::Unseen(of_one), at(0))), [first]);
        let headers = vec![("retry-after".to_owned(), "60".to_owned())];
        let limited = Answer { status: 429, headers, body: b"{}".to_vec() };
        let reply = Reply::Answer(limited);
        engine.take(Input::Answered { id: first, purpose: Purpose::ReadBack, reply }, at(1_000));
        assert!(read_back(&engine.start(at(60_999))).is_empty());
        assert_eq!(read_back(&engine.start(at(61_000))), [second]);
    }

    /// A thread on an account of its own, whose first part just went live.
    fn first_part(engine: &mut Engine, n: u128, now: Timestamp, out: &mut Vec<Effect>) -> DeliveryId {
        let mut it = work(n, Timestamp::UNIX_EPOCH);
        it.delivery.steps.push(Step::new(StepKind::Thread));
        let live = Live {
            remote_id: Some(format!("{n}")),
            permalink: None,
            extra: BTreeMap::default(),
            verified: false,
        };
        for event in [
            Event::Claim,
            Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO },
            Event::Applied { live, next_part_at: now },
        ] {
            it.delivery = it.delivery.apply(event, now).unwrap();
        }
        let id = put(engine, it, Phase::Saving(1, Then::Done));
        engine.runs.get_mut(&id).unwrap().confirm = Some(0);
        engine.done(id, now, out);
        id
    }

    #[test]
    fn a_read_that_is_refused_between_two_parts_is_the_last_until_the_network_takes_reads_again() {
        let (mut engine, mut out) = (engine(), Vec::new());
        let hour = SignedDuration::from_hours(1);
        // Our clock is an hour ahead, by which the end of the wait is told.
        let now = at(0) + hour + hour;
        let first = first_part(&mut engine, 1, now, &mut out);
        assert_eq!(read_back(&out), [first]);
        let date = jiff::fmt::rfc2822::to_string(&(now - hour).to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        let reset = (now - hour).as_second() + 600;
        let headers = [
            ("date", date),
            ("x-rate-limit-remaining", "0".to_owned()),
            ("x-rate-limit-reset", reset.to_string()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        let reply = Reply::Answer(Answer { status: 429, headers, body: b"{}".to_vec() });
        engine.take(Input::Answered { id: first, purpose: Purpose::ReadBack, reply }, now);
        assert!(!engine.holds(first), "its next part waits for no read");
        let end = now + SignedDuration::from_secs(600);
        for (n, when, made) in [(2, end - SignedDuration::from_secs(1), false), (3, end, true)] {
            let mut out = Vec::new();
            let next = first_part(&mut engine, n, when, &mut out);
            assert_eq!(read_back(&out) == [next], made, "{when}");
            assert_eq!(engine.holds(next), made);
        }
    }

    #[test]
    fn the_calls_of_a_day_count_read_backs_and_end_them() {
        let mut engine = engine();
        engine.take(Input::Unseen(vec![unseen(1, 1), unseen(2, 1), unseen(3, 2)]), at(0));
        // None of the networks that count all calls has a read-back so far.
        let of_one = engine.read_backs.later.values_mut().filter(|it| it.account == AccountId::from_u128(1));
        of_one.for_each(|it| it.calls_a_day = Some(7));
        let account = AccountId::from_u128(1);
        (1..7).for_each(|_| engine.tally_up(account, at(0)));
        assert_eq!(read_back(&engine.start(at(0))), [1, 3].map(DeliveryId::from_u128));
        assert_eq!(engine.calls_today(account, at(0)), 7);
        assert_eq!(engine.calls_today(AccountId::from_u128(2), at(0)), 0, "nobody counts them");
        assert!(read_back(&engine.start(at(20_000))).is_empty(), "no call is left today");
    }

    #[test]
    fn an_account_that_was_paused_is_asked_nothing_more() {
        let mut engine = engine();
        let id = live(&mut engine, 1, at(0));
        busy(&mut engine, 7);
        engine.take(Input::AccountChanged(AccountId::from_u128(1)), at(1));
        engine.lanes.clear();
        assert!(read_back(&engine.start(at(2))).is_empty(), "{id}");
        assert!(engine.is_idle());
    }

    #[test]
    fn what_a_read_back_shows_is_told_when_no_run_holds_the_delivery() {
        let mut engine = engine();
        let answer = |body: &str| Answer { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() };
        let seen = answer(r#"{"data":{"id":"1","text":"Words."}}"#);
        for (reply, is_seen) in [(Reply::Answer(seen), true), (Reply::Lost("no answer".into()), false)] {
            let id = live(&mut engine, 1, at(0));
            assert_eq!(read_back(&engine.start(at(1))), [id]);
            let effects = engine.take(Input::Answered { id, purpose: Purpose::ReadBack, reply }, at(2));
            let told = |it: &Effect| matches!(it, Effect::Confirm { verified: true, step: 0, .. });
            assert_eq!(effects.iter().any(told), is_seen);
            assert!(engine.is_idle());
        }
    }
}
