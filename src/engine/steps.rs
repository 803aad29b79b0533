//! The wall clock was set. By how much it is ahead of the networks' clocks changes by as much, until their next
//! answers tell. Put back, what waits for a time that it showed before would wait until it shows it once more,
//! which after a wrong date is years: it waits as long as it still had to.

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::gates::{App, Gates, app_of};
use crate::domain::account::Account;
use crate::domain::ids::{AccountId, DeliveryId};
use crate::planted::planted;
use crate::platforms::{Answer, Failure, Platform, Sight};

/// Nothing waits longer than this for its next try or look: networks ask for a day at the most.
pub const LONGEST: SignedDuration = crate::platforms::WAIT_MAX;

/// A clock this far ahead of the network's, and more than was allowed for, may hide what is there:
/// connectors search from two minutes earlier than they are told.
pub(super) const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(1);

/// A clock that went from showing `now + by` to showing `now`.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetBack {
    pub(super) by: SignedDuration,
    pub(super) now: Timestamp,
}

impl SetBack {
    /// When a wait is over that was to last until then.
    pub(super) fn wait(self, until: &mut Timestamp) {
        if *until > self.now {
            *until = until.saturating_sub(self.by).unwrap_or(self.now).max(self.now);
        }
    }

    /// When something happened that seems to be still to come.
    pub(super) fn past(self, at: &mut Timestamp) {
        *at = (*at).min(self.now);
    }
}

/// What is known of how far our clock is off: each network's, and by how much it was set since the start.
pub(super) type Known<'a> = (&'a Gates, SignedDuration);

impl Engine {
    /// What an answer tells beside what was asked: of limits and of the network's time. `publishes`: of the
    /// account's own limits as well, which other calls have theirs of.
    pub(super) fn hear(
        &mut self,
        (account, app): (AccountId, &App),
        platform: &'static dyn Platform,
        answer: &Answer,
        publishes: bool,
        now: Timestamp,
    ) {
        // First, for its own `Date` says by which clock it tells the rest.
        self.compare_clocks(app, answer, now);
        let there = There::of((&self.gates, self.steps), Some(app), now);
        let mut quotas = platform.quotas(answer, there.now);
        quotas.retain(|it| it.app || publishes);
        for it in &mut quotas {
            it.resets = there.by_ours(it.resets);
        }
        self.heed(account, app, &quotas, now);
    }

    /// How long ago the call left that was just answered: what it shows is of then.
    pub(super) fn took(&self, id: DeliveryId, now: Timestamp) -> SignedDuration {
        let asked = self.runs.get(&id).and_then(|run| run.asked);
        asked.map_or(SignedDuration::ZERO, |at| now.duration_since(at).max(SignedDuration::ZERO))
    }

    /// The network's time stands in the `Date` of every answer (RFC 9110, 6.6.1). Nothing is learnt
    /// from one that has none.
    pub(super) fn compare_clocks(&mut self, app: &App, answer: &Answer, now: Timestamp) {
        let Some(date) = answer.date() else { return };
        self.gates.entry(app.clone()).or_default().ahead = Some(now.duration_since(date));
    }

    /// How far our clock is ahead of the networks', or behind, if it is a minute or more by what each of them
    /// answered last. One network whose clock is wrong says nothing against ours.
    pub fn clock_off(&self) -> Option<SignedDuration> {
        let off = self.gates.values().filter_map(|gate| gate.ahead).min_by_key(|it| it.abs());
        off.filter(|it| it.abs() >= CLOCK_OFF)
    }

    /// The wall clock was put forward by so much, or back.
    pub(super) fn stepped(&mut self, by: SignedDuration, now: Timestamp) {
        self.steps = self.steps.saturating_add(by);
        self.gates.values_mut().for_each(|gate| gate.stepped(by));
        if by.is_negative() {
            self.set_back(by.abs(), now);
        }
    }

    /// Takes all times that are still to come back by as much as the clock.
    fn set_back(&mut self, by: SignedDuration, now: Timestamp) {
        if planted("clock set back forgotten") {
            return;
        }
        let back = SetBack { by, now };
        self.lanes.values_mut().for_each(|lane| lane.set_back(back));
        self.gates.values_mut().for_each(|gate| gate.set_back(back));
        self.read_backs.set_back(back);
        self.awake_since.iter_mut().for_each(|at| back.past(at));
        // Their rows are brought near, too, and found again by the times they have then.
        self.looks.clear();
        self.refetch = true;
        self.waits_changed = true;
    }
}

/// How far our clock is ahead of that of an account's network, as its last answer showed and what was done to
/// our clock since; at least nothing.
pub(super) fn ahead(known: Known<'_>, account: Option<&Account>) -> SignedDuration {
    off(known, account).max(SignedDuration::ZERO)
}

/// As [`ahead`]; less than nothing where our clock is behind by more than an answer takes.
pub(super) fn off(known: Known<'_>, account: Option<&Account>) -> SignedDuration {
    off_of(known, account.map(app_of).as_ref())
}

fn off_of((gates, steps): Known<'_>, app: Option<&App>) -> SignedDuration {
    if planted("network's clock ignored") {
        return SignedDuration::ZERO;
    }
    // Of a network that has not answered yet only that is known which was done to our clock. Put back, it was
    // put right, more likely than not.
    let told = app.and_then(|app| gates.get(app)?.ahead);
    let off = told.unwrap_or(steps.max(SignedDuration::ZERO));
    if off < -CLOCK_OFF { off } else { off.max(SignedDuration::ZERO) }
}

/// The present by the clock of an account's network, as far as its answers have shown that ours is
/// ahead of it. What they took on the way is no difference.
pub(super) fn time_there(known: Known<'_>, account: Option<&Account>, now: Timestamp) -> Timestamp {
    There::at(known, account, now).now
}

/// A network's clock, as far as ours is ahead of it: what is stored, or measured from what is stored, must
/// not take a network's word for it that more time has passed. By it waits are told, or reckoned from its
/// present; they are waited for by ours. What an answer tells by its own clock is reckoned from that answer's
/// date, however far ours is behind ([`Answer::by_ours`]).
#[derive(Debug, Clone, Copy)]
pub(super) struct There {
    /// As [`time_there`].
    pub(super) now: Timestamp,
    /// How far ours is ahead of it; behind, if it is less than nothing.
    ahead: SignedDuration,
}

impl There {
    /// That of an account's network.
    pub(super) fn at(known: Known<'_>, account: Option<&Account>, now: Timestamp) -> Self {
        Self::of(known, account.map(app_of).as_ref(), now)
    }

    pub(super) fn of(known: Known<'_>, app: Option<&App>, now: Timestamp) -> Self {
        Self::off_by(off_of(known, app).max(SignedDuration::ZERO), now)
    }

    /// Also where ours is behind: for what is reckoned from the network's present alone, waited for by ours, and
    /// compared with nothing else. What an answer took makes ours less behind than it is, so nothing comes early.
    pub(super) fn present(known: Known<'_>, account: Option<&Account>, now: Timestamp) -> Self {
        Self::off_by(off(known, account), now)
    }

    fn off_by(off: SignedDuration, now: Timestamp) -> Self {
        let ahead = if off.abs() > CLOCK_OFF { off } else { SignedDuration::ZERO };
        Self { now: now.saturating_sub(ahead).unwrap_or(now), ahead }
    }

    /// What our clock shows when that one shows `at`.
    pub(super) fn by_ours(self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// A failure that a connector reckoned from this present.
    pub(super) fn failure(self, failure: Failure) -> Failure {
        Failure { until: failure.until.map(|at| self.by_ours(at)), ..failure }
    }

    /// The same of a look.
    pub(super) fn sight(self, sight: Sight) -> Sight {
        match sight {
            Sight::Unclear(failure) => Sight::Unclear(self.failure(failure)),
            Sight::Failed(failure) => Sight::Failed(self.failure(failure)),
            sight => sight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Reason;
    use crate::domain::delivery::{Delivery, Event, State};
    use crate::domain::ids::{AccountId, MediaId, PlatformName};
    use crate::domain::media::{MediaItem, MediaKind};
    use crate::engine::send::tests::{engine, frozen, put, work};
    use crate::engine::{Effect, Input, Phase, Purpose, Reply, Wait, WaitFor};
    use crate::platforms::{Body, Request};
    use jiff::fmt::rfc2822;

    #[test]
    fn a_clock_that_was_years_ahead_leaves_no_wait_of_years() {
        let secs = SignedDuration::from_secs;
        let (by, now) = (SignedDuration::from_hours(24 * 3650), Timestamp::UNIX_EPOCH);
        let ahead = now + by;
        let mut engine = engine();
        engine.take(Input::Tick, ahead);
        let of =
            |scope| Wait { scope, until: ahead + secs(90), reason: Reason::new("rate_limited", "later") };
        let app = WaitFor::App(PlatformName::X, None);
        engine.take(Input::Waits(vec![of(WaitFor::Account(AccountId::from_u128(1))), of(app)]), ahead);
        assert_eq!(engine.waits(ahead).len(), 2);
        engine.take(Input::Stepped(-by), now);
        let waits = engine.waits(now);
        assert_eq!(waits.len(), 2);
        assert!(waits.iter().all(|it| it.until == now + secs(90)), "{waits:?}");
        assert!(engine.waits(now + secs(90)).is_empty());
        assert_eq!(engine.awake_since, Some(now));
    }

    #[test]
    fn a_clock_that_all_networks_contradict_is_off_until_it_is_set() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(5);
        let mut engine = engine();
        let hear = |engine: &mut Engine, platform, behind: i64| {
            let date = rfc2822::to_string(
                &(now - SignedDuration::from_secs(behind)).to_zoned(jiff::tz::TimeZone::UTC),
            );
            let headers = vec![("date".to_owned(), date.unwrap())];
            engine.compare_clocks(&(platform, None), &Answer { status: 200, headers, body: Vec::new() }, now);
            engine.clock_off().map(|it| it.as_secs())
        };
        assert_eq!(hear(&mut engine, PlatformName::X, 3_600), Some(3_600));
        assert_eq!(hear(&mut engine, PlatformName::Bluesky, -90), Some(-90));
        assert_eq!(hear(&mut engine, PlatformName::Bluesky, 2), None, "only X thinks otherwise");
        assert_eq!(hear(&mut engine, PlatformName::Bluesky, 3_590), Some(3_590));
        engine.take(Input::Stepped(SignedDuration::from_secs(-3_600)), now);
        assert_eq!(engine.clock_off(), None);
    }

    /// X's answer that an account has no calls left for ten minutes, by X's clock of then.
    fn used_up(there: Timestamp) -> Answer {
        let reset = (there + SignedDuration::from_mins(10)).as_second();
        let date = rfc2822::to_string(&there.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        let group = |name: &str, n: i64| (format!("x-user-limit-24hour-{name}"), n.to_string());
        let mut headers = vec![group("limit", 100), group("remaining", 0), group("reset", reset)];
        headers.push(("date".to_owned(), date));
        Answer { status: 429, headers, body: br#"{"title":"Too Many Requests"}"#.to_vec() }
    }

    /// What becomes of a delivery whose call was answered with that while our clock was so far ahead.
    fn refused(purpose: Option<Purpose>, ahead: SignedDuration, now: Timestamp) -> (Engine, Delivery) {
        let mut engine = engine();
        let mut it = work(1, now);
        let picture = MediaItem::new(MediaId::from_u128(1), "a.png", MediaKind::Png, 10, (1, 1));
        std::sync::Arc::get_mut(&mut it.post).unwrap().media = vec![picture];
        it.delivery = it.delivery.apply(Event::Claim, now).unwrap();
        if purpose.is_none() {
            let intend = Event::Intend { frozen: frozen(), ahead: SignedDuration::ZERO };
            it.delivery = it.delivery.apply(intend, now).unwrap();
        }
        let id = put(&mut engine, it, purpose.map_or(Phase::Publishing, Phase::Calling));
        let run = engine.runs.get_mut(&id).unwrap();
        run.call = Some(Request::post("x.upload", "base_url", "/2/media/upload", Body::None));
        run.searched = Some((now, SignedDuration::ZERO));
        let reply = Reply::Answer(used_up(now - ahead));
        let effects = engine.take(
            match purpose {
                Some(purpose) => Input::Answered { id, purpose, reply },
                None => Input::Published { id, reply },
            },
            now,
        );
        let [Effect::Save(save)] = effects.as_slice() else { panic!("one write") };
        (engine, save.after.clone())
    }

    #[test]
    fn a_wait_told_by_the_networks_clock_lasts_as_long_by_ours_whatever_call_was_refused() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(10);
        let end = now + SignedDuration::from_mins(10);
        // A minute is no difference worth telling, and a wait lasts as long all the same.
        let differences = [3_600, 45, 0, -45, -3_600, -40_000_000].map(SignedDuration::from_secs);
        for (purpose, ahead) in [Some(Purpose::Prepare), Some(Purpose::Scan), None]
            .into_iter()
            .flat_map(|it| differences.map(|by| (it, by)))
        {
            let (engine, after) = refused(purpose, ahead, now);
            let until = after.next_try.unwrap();
            let told = format!("{purpose:?}, {ahead:#} ahead: {until}");
            assert_eq!(after.state, State::Retry, "{told}");
            assert!(until >= end && until <= end + SignedDuration::from_secs(30), "{told}");
            let lane = &engine.lanes[&after.account];
            assert_eq!(lane.parked_until, Some(until), "{told}");
            // What an answer to a post says of the account's quota holds as long.
            assert_eq!(
                lane.free_at.filter(|_| purpose.is_none()),
                purpose.is_none().then_some(end),
                "{told}"
            );
        }
    }

    #[test]
    fn an_answer_whose_times_contradict_each_other_is_asked_again_soon_and_not_at_once() {
        let (now, quarter) =
            (Timestamp::UNIX_EPOCH + SignedDuration::from_hours(100), SignedDuration::from_mins(15));
        let days = |n: i64| SignedDuration::from_hours(24 * n);
        for (date, told, end) in [
            // Its date is ahead of the clock that tells the reset: that, and not the date, is right.
            (now + days(1), now + SignedDuration::from_mins(10), now + SignedDuration::from_mins(10)),
            (now + days(400), now + days(300), now + quarter),
            // Its date is years behind.
            (now - days(4), now + days(2), now + quarter),
            // Over already by any clock.
            (now, now - days(1), now),
        ] {
            assert_eq!(used_up(date).by_ours(told, now), end, "{date} {told}");
        }
        let undated = Answer { status: 429, headers: Vec::new(), body: Vec::new() };
        assert_eq!(undated.by_ours(now + days(1), now), now + days(1));
    }

    #[test]
    fn the_midnight_of_a_network_is_waited_for_by_its_own_clock() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (midnight, now) = (at("2027-01-02T00:00:00Z"), at("2027-01-01T21:00:00Z"));
        for hours in [2, 0, -2] {
            let mut engine = engine();
            let mut it = work(1, now);
            let name: crate::domain::ids::AccountName = "linkedin:acme".parse().unwrap();
            it.account = Some(Account::new(it.delivery.account, name, "1", now));
            it.platform = crate::platforms::find(PlatformName::LinkedIn).unwrap();
            let ahead = SignedDuration::from_hours(hours);
            let app = app_of(it.account.as_ref().unwrap());
            engine.compare_clocks(&app, &used_up(now - ahead), now);
            let id = put(&mut engine, it, Phase::Publishing);
            engine.lanes.entry(AccountId::from_u128(1)).or_default().parks = 2;
            assert_eq!(engine.says_nothing(id, now), Some(midnight + ahead), "{hours} h ahead");
        }
    }
}
