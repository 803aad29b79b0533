//! The read-back of a step that went live (W5): when it is made, and what it shows.
//!
//! What is read back is out already, and nobody waits for it. So while something is still to be sent,
//! the read-backs of what has ended wait, a few seconds at the most. Where more of the same delivery is to
//! come, the read-back is made at once, and before that.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::gates::{App, app_of};
use super::send::evidence;
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
        let (app, live) = (app_of(account), live.clone());
        Some(Self { id: delivery.id, account: account.id, app, platform, step, live, request, since })
    }
}

impl ReadBacks {
    fn wait(&mut self, it: ReadBack) {
        self.waiting.push_back(it);
        if self.waiting.len() > KEPT_MAX {
            self.waiting.pop_front();
        }
    }

    /// The account may be paused or gone: nothing more is asked for it.
    pub(super) fn forget(&mut self, account: AccountId) {
        self.waiting.retain(|it| it.account != account);
    }

    /// Whether one is waited for or on the wire.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.wire.is_empty()
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
            if !work.delivery.state.is_terminal() {
                let ReadBack { account, request, .. } = it;
                run.phase = Phase::Calling(Purpose::ReadBack);
                run.in_lane = false;
                out.push(Effect::Call { id, account, purpose: Purpose::ReadBack, request });
                return self.free_lane(account, id);
            }
            self.read_backs.wait(it);
        }
        self.release(id);
    }

    /// What went live just before the last stop was not read back.
    pub(super) fn resume_read_backs(&mut self, unseen: &[Unseen], now: Timestamp) {
        for Unseen { delivery, account, platform } in unseen {
            // Of several parts the last one tells that all are there; a comment says nothing of its post.
            let tells = |it: &Step| it.is_live() && it.kind != StepKind::Comment;
            let step = delivery.steps.iter().rposition(tells);
            let it = step.and_then(|step| ReadBack::of(delivery, step, account, *platform, now));
            if let Some(it) = it {
                self.read_backs.wait(it);
            }
        }
    }

    /// Makes the read-backs whose turn it is; when to come back for the others.
    pub(super) fn start_read_backs(&mut self, now: Timestamp, out: &mut Vec<Effect>) -> Option<Timestamp> {
        let sending = self.lanes.values().any(|lane| lane.busy.is_some());
        let waits = &mut self.read_backs;
        while waits.wire.len() < WIRE_MAX {
            let first = waits.waiting.front()?;
            let until = first.since.saturating_add(PATIENCE).unwrap_or(now);
            // A clock that was set back since must not make it longer.
            if sending && waits.waiting.len() <= WAITING_MAX && until > now && first.since <= now {
                return Some(until);
            }
            let first = waits.waiting.pop_front()?;
            let (id, account, request) = (first.id, first.account, first.request.clone());
            waits.wire.insert(id, first);
            out.push(Effect::Call { id, account, purpose: Purpose::ReadBack, request });
        }
        None
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
            self.hear(account, &app, platform, answer, now);
        }
        out.extend(answer.and_then(|answer| shown(platform, (id, step), &live, answer, now)));
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
        let (delivery, platform) = (&work.delivery, work.platform);
        let live = delivery.steps.get(step);
        match live.and_then(|live| shown(platform, (id, step), live, answer, now)) {
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
fn shown(
    platform: &dyn Platform,
    (id, step): (DeliveryId, usize),
    live: &Step,
    answer: &Answer,
    now: Timestamp,
) -> Option<Effect> {
    match platform.confirmed(live, answer, now) {
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
