//! What the world did that can keep a post waiting, put it in doubt or end it, written down as it
//! happens. Nothing here asks the engine why it did something; `explain.rs` holds its reasons against this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::ids::{AccountId, DeliveryId, PlatformName};
use sendoff::engine::{Input, Purpose, Refreshed};
use sendoff::platforms::Class;

use super::dice::secs;
use super::networks::Fault;
use super::plan::Wish;
use super::world::World;

/// What something keeps waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whom {
    All,
    Account(AccountId),
    One(DeliveryId),
}

/// From when to when something kept somebody waiting, in true time.
#[derive(Debug, Clone)]
struct Span {
    whom: Whom,
    from: Timestamp,
    to: Timestamp,
    why: &'static str,
}

/// The span of a delivery that is being looked up. What it takes is judged by itself.
pub(crate) const DOUBT: &str = "in doubt";
/// The span after a reconnect in which what is in doubt waits for its next look.
pub(crate) const NEXT_LOOK: &str = "the next look";
/// The span of one that waits for a person's word.
const HELD: &str = "held";
/// Spans that end with the daemon's life.
const OF_A_LIFE: [&str; 3] = ["stopped", "disk", "refresh"];
/// What a commit and the next read of the index may take, in the world as in a real house.
const BREATH: SignedDuration = SignedDuration::from_secs(1);

/// A time in which it was not known whether a step is live.
#[derive(Debug, Clone)]
pub(crate) struct Episode {
    pub(crate) id: DeliveryId,
    pub(crate) account: AccountId,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Further calls while it was open, each of which begins the wait anew.
    pub(crate) again: u64,
    /// Restarts of the machine meanwhile. Nothing vouches for what was waited before one.
    pub(crate) restarts: i32,
    /// A person was asked.
    pub(crate) held: bool,
    /// And nobody else could have told.
    pub(crate) nobody_knows: bool,
}

impl Episode {
    /// How long it may take where one without further calls takes `within`.
    pub(crate) fn allowed(&self, within: SignedDuration) -> SignedDuration {
        within * i32::try_from(self.again + 1).unwrap() + QUARTER * self.restarts
    }
}

/// How a publishing call ended, as the network knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Through,
    Refused,
    Unclear,
}

/// What was known, in truth, when somebody was asked for a word.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) wall: Timestamp,
    pub(crate) step: u16,
    /// The machine that ran then.
    pub(crate) machine: u64,
    /// Since when it was in doubt.
    pub(crate) since: Option<Timestamp>,
    /// Nobody else could have told.
    pub(crate) nobody_knows: bool,
    /// Two clean looks had shown nothing, the first after the wait.
    pub(crate) absent: bool,
    pub(crate) row: Delivery,
}

#[derive(Default)]
pub(crate) struct Reckon {
    spans: Vec<Span>,
    open: BTreeMap<(Whom, &'static str), Timestamp>,
    /// Since when the daemon has been able to send.
    awake: Option<Timestamp>,
    fates: BTreeMap<DeliveryId, Fate>,
    /// Calls that may have taken effect, or an intent that a crash left behind, by step.
    pub(crate) doubtful: BTreeMap<(DeliveryId, u16), u64>,
    /// Steps whose content the network refused for good.
    pub(crate) refused: BTreeSet<(DeliveryId, u16)>,
    /// Steps that the network refused because of what the account may do, or for good.
    pub(crate) spared: BTreeSet<(DeliveryId, u16)>,
    /// Steps of which the network said that they are there already.
    pub(crate) repeats: BTreeSet<(DeliveryId, u16)>,
    /// Preparing calls and searches that went wrong.
    stumbles: BTreeMap<DeliveryId, u32>,
    /// Those among them that reached the network.
    pub(crate) failed: BTreeMap<DeliveryId, u32>,
    /// How often the network was asked how much of a film it has, since anything was published of it.
    asked_how_far: BTreeMap<DeliveryId, u32>,
    /// Containers that came to nothing.
    fruitless: BTreeMap<DeliveryId, u32>,
    /// Limits without a named end in a row.
    parks: BTreeMap<AccountId, u32>,
    /// Accounts whose network said that they cannot act.
    blamed: BTreeSet<AccountId>,
    /// What users took back.
    pub(crate) taken_back: BTreeSet<DeliveryId>,
    unclear: VecDeque<Timestamp>,
    opens: u32,
    looks: BTreeMap<DeliveryId, bool>,
    /// When it got the time it has now.
    moved: BTreeMap<DeliveryId, Timestamp>,
    /// When the first call left, and which machine it was.
    pub(crate) left: BTreeMap<DeliveryId, (Timestamp, u64)>,
    /// How many calls left.
    sent: BTreeMap<DeliveryId, u64>,
    /// When a step was in doubt for the first time.
    first_unsure: BTreeMap<(DeliveryId, u16), Timestamp>,
    pub(crate) ended: BTreeMap<DeliveryId, (Timestamp, Timestamp)>,
    /// Since when it is in doubt, how many calls had left it so by then, and on which machine.
    since: BTreeMap<DeliveryId, (Timestamp, u64, u64)>,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) asked: BTreeMap<DeliveryId, Asked>,
    /// The wall clock was set at some time.
    pub(crate) clock_was_set: bool,
    /// When a daemon that ran was shown a clock that was set back, and by how much.
    set_back: Option<(Timestamp, SignedDuration)>,
}

#[path = "answers.rs"]
mod answers;

/// A start moves whatever waits longer than this, because nothing does.
const LONGEST: SignedDuration = sendoff::engine::LONGEST;

impl Reckon {
    /// What waits for a time that the clock showed already waits for it once more.
    fn wait_again(&mut self, by: SignedDuration, since: Timestamp) {
        let again = by.min(LONGEST);
        for span in self.spans.iter_mut().filter(|it| it.to > since) {
            span.to += again;
        }
        self.end(Whom::All, "clock", since, again + secs(700));
        self.during(Whom::All, since, again + secs(700), "the clock was set back");
    }

    /// Something that lasts until a known time.
    pub(crate) fn during(&mut self, whom: Whom, from: Timestamp, span: SignedDuration, why: &'static str) {
        self.spans.push(Span { whom, from, to: from + span, why });
    }

    /// Something whose end is not known yet.
    pub(crate) fn begin(&mut self, whom: Whom, why: &'static str, now: Timestamp) {
        self.open.entry((whom, why)).or_insert(now);
    }

    /// A start found an intent without an end. One whose call never left is in doubt as well, and begins
    /// the wait anew.
    pub(crate) fn found_open(&mut self, was: &Delivery, left: bool) {
        *self.doubtful.entry((was.id, was.step)).or_default() += 1;
        *self.sent.entry(was.id).or_default() += u64::from(!left);
    }

    /// Somebody disconnects the account, or has done so.
    pub(crate) fn is_leaving(&self, account: AccountId) -> bool {
        self.open.contains_key(&(Whom::Account(account), "leaving"))
    }

    /// The first byte of a publishing call has left.
    pub(crate) fn leaves(&mut self, id: DeliveryId, now: Timestamp, machine: u64) {
        self.left.entry(id).or_insert((now, machine));
        *self.sent.entry(id).or_default() += 1;
    }

    /// It is over, and whoever waited for it may take so long to notice.
    pub(crate) fn end(&mut self, whom: Whom, why: &'static str, now: Timestamp, notice: SignedDuration) {
        if let Some(from) = self.open.remove(&(whom, why)) {
            self.spans.push(Span { whom, from, to: now + notice, why });
        }
    }

    /// How long a delivery waited between two times with nothing in its way, and where that began.
    pub(crate) fn idle(
        &self,
        (id, account): (DeliveryId, AccountId),
        (from, to): (Timestamp, Timestamp),
        but: &str,
    ) -> (SignedDuration, Option<Timestamp>) {
        let of_it = |whom: Whom| match whom {
            Whom::All => true,
            Whom::Account(it) => it == account,
            Whom::One(it) => it == id,
        };
        let over = self.spans.iter().filter(|it| of_it(it.whom) && it.why != but).map(|it| (it.from, it.to));
        let open = self.open.iter().filter(|((whom, why), _)| of_it(*whom) && *why != but);
        let mut spans: Vec<_> = over.chain(open.map(|(_, from)| (*from, Timestamp::MAX))).collect();
        spans.sort();
        let (mut free, mut first, mut at) = (SignedDuration::ZERO, None, from);
        for (begins, ends) in spans {
            let begins = begins.min(to);
            if begins > at {
                free += begins.duration_since(at);
                first = first.or((begins.duration_since(at) > secs(1)).then_some(at));
            }
            at = at.max(ends);
        }
        if to > at {
            free += to.duration_since(at);
            first = first.or((to.duration_since(at) > secs(1)).then_some(at));
        }
        (free, first)
    }

    /// From when on it should have been on its way.
    pub(crate) fn wanted_from(&self, row: &Delivery) -> Timestamp {
        self.moved.get(&row.id).copied().unwrap_or(row.due.instant).max(row.due.instant)
    }

    /// The daemon died, by whatever hand.
    pub(crate) fn died(&mut self, now: Timestamp) {
        for ((whom, why), from) in std::mem::take(&mut self.open) {
            if OF_A_LIFE.contains(&why) {
                self.spans.push(Span { whom, from, to: now, why });
            } else {
                self.open.insert((whom, why), from);
            }
        }
        self.begin(Whom::All, "down", now);
        // What it knew of its networks was in its memory.
        (self.opens, self.fates) = (0, BTreeMap::new());
        self.unclear.clear();
    }

    pub(crate) fn woke(&mut self, now: Timestamp) {
        self.end(Whom::All, "down", now, BREATH);
        self.awake = Some(now);
    }

    /// The network takes posts, or does not: five calls without a clear answer within ten minutes close it.
    fn clear_or_not(&mut self, clear: bool, now: Timestamp) {
        if clear {
            self.opens = 0;
            return self.unclear.clear();
        }
        self.unclear.push_back(now);
        self.unclear.retain(|it| now.duration_since(*it) <= SignedDuration::from_mins(10));
        if self.unclear.len() >= 5 || self.opens > 0 {
            let closed = SignedDuration::from_mins((5 << self.opens.min(4)).min(60));
            self.opens += 1;
            self.during(Whom::All, now, closed + BREATH, "the network is down");
        }
    }
}

/// `base` doubled `n` times, at most `cap`: what the ladders of the guarantees allow at most.
fn ladder(base: i64, n: u32, cap: SignedDuration) -> SignedDuration {
    secs(base << n.min(20)).min(cap)
}

const WORKS: &str = "the network works on what was published";
const QUARTER: SignedDuration = SignedDuration::from_mins(15);

impl World {
    /// A call of a delivery has left, and this is what becomes of it. `wait`: until its answer is there.
    pub(crate) fn reckon_call(
        &mut self,
        (id, account, step): (DeliveryId, AccountId, u16),
        purpose: Option<Purpose>,
        fault: &Fault,
        wait: SignedDuration,
    ) {
        let (now, works) = (self.now, self.works());
        let processing = self.network.abilities.processing + self.network.facebook.works;
        let due = self.watch.rows[&id].due.instant;
        let limit = match fault {
            Fault::Refused(answer) => self.network.limit_of(answer),
            _ => None,
        };
        let account_is_blamed =
            matches!(fault, Fault::Refused(answer) if self.network.blames_the_account(answer));
        let refused = matches!(fault, Fault::Refused(answer) if self.network.refuses_for_good(answer));
        // What the documents say of limits that tell no end: an hour at Meta; a minute at LinkedIn, then what
        // is left of the day.
        let untold = match self.network.platform {
            PlatformName::Facebook | PlatformName::Instagram => Some((secs(3600), secs(3600))),
            PlatformName::LinkedIn if self.network.own => {
                Some((secs(60), secs(86_400 - now.as_second().rem_euclid(86_400)).max(secs(60))))
            }
            _ => None,
        };
        let it = &mut self.watch.reckon;
        if account_is_blamed {
            it.blamed.insert(account);
        }
        if account_is_blamed || refused {
            it.spared.insert((id, step));
        }
        // LinkedIn's word against a token of minutes is not believed.
        let not_believed = self.network.platform == PlatformName::LinkedIn;
        let publishing = purpose.is_none();
        let looking = purpose == Some(Purpose::Look);
        if publishing && !works.is_zero() {
            it.during(Whom::One(id), now, wait + works + QUARTER, WORKS);
        }
        if publishing {
            it.asked_how_far.remove(&id);
            let in_doubt = match fault {
                Fault::None | Fault::NotSent => false,
                Fault::Refused(_) => !(limit.is_some() || account_is_blamed || refused),
                _ => true,
            };
            if refused {
                it.refused.insert((id, step));
            }
            if in_doubt {
                *it.doubtful.entry((id, step)).or_default() += 1;
            }
            let unclear = in_doubt || *fault == Fault::NotSent;
            let fate = match fault {
                Fault::None => Fate::Through,
                _ if unclear => Fate::Unclear,
                _ => Fate::Refused,
            };
            it.fates.insert(id, fate);
            // Behind a post that is long due the next waits a minute and a quarter.
            let catches_up = it.awake.is_some_and(|at| at.duration_since(due) >= secs(110));
            let spacing = if catches_up { secs(75) } else { secs(5) };
            it.during(Whom::Account(account), now, wait + spacing + BREATH, "its turn has not come");
        } else if looking {
            it.looks.insert(id, *fault == Fault::None);
        } else if purpose != Some(Purpose::ReadBack) {
            it.during(Whom::Account(account), now, wait + BREATH, "its turn has not come");
        }
        if it.opens > 0 && !looking {
            // One tries whether the network is back, and the others wait for it.
            it.during(Whom::All, now, wait + secs(121), "the network is tried");
        }
        if let Some(until) = limit {
            let end = if let Some(at) = until {
                at.duration_since(now).max(secs(0)) + secs(32)
            } else {
                let n = it.parks.entry(account).or_default();
                *n += 1;
                untold.map_or_else(
                    || ladder(900, *n - 1, SignedDuration::from_hours(6)),
                    |(first, then)| if *n == 1 { first } else { then } + secs(32),
                )
            };
            // A limit of reads holds for all looks of the account.
            it.during(
                Whom::Account(account),
                now,
                wait + end.max(QUARTER.min(end + QUARTER)) + BREATH,
                "the network's limit",
            );
        } else if *fault != Fault::None && !publishing {
            let n = it.stumbles.entry(id).or_default();
            *n += u32::from(!looking);
            *it.failed.entry(id).or_default() += u32::from(!looking && *fault != Fault::NotSent);
            let rest = if looking { QUARTER } else { ladder(10, *n - 1, QUARTER) };
            if *fault == Fault::NotSent && matches!(purpose, Some(Purpose::Prepare | Purpose::Scan)) {
                it.clear_or_not(false, now + wait);
            }
            it.during(Whom::One(id), now, wait + rest + BREATH, "its call went wrong");
        } else if *fault == Fault::NotSent || (account_is_blamed && not_believed) {
            let row = &self.watch.rows[&id];
            // What is being prepared has stumbled over other things before.
            let n = u32::from(row.attempts).max(u32::from(row.flight.stumbles));
            self.watch.reckon.during(
                Whom::One(id),
                now,
                wait + ladder(5, n, QUARTER) + BREATH,
                "it could not be sent",
            );
        }
        if purpose == Some(Purpose::Prepare) && self.network.own && self.class == Class::Reference {
            // Nobody may ask how far the files of a member are: they get a moment.
            self.watch.reckon.during(Whom::One(id), now, wait + secs(21), "its files get a moment");
        }
        if purpose == Some(Purpose::Prepare) && !processing.is_zero() {
            self.watch.reckon.during(
                Whom::One(id),
                now,
                wait + processing + secs(61),
                "the network works on what it was given",
            );
        }
    }

    /// A reply reaches the daemon.
    pub(crate) fn reckon_reply(&mut self, input: &Input) {
        let (now, wall) = (self.now, self.wall());
        match input {
            Input::Published { id, .. } => {
                let account = self.watch.rows[id].account;
                let it = &mut self.watch.reckon;
                match it.fates.remove(id) {
                    Some(Fate::Through) => {
                        it.clear_or_not(true, now);
                        it.parks.remove(&account);
                    }
                    Some(Fate::Unclear) => it.clear_or_not(false, now),
                    Some(Fate::Refused) | None => {}
                }
            }
            Input::Refreshed { account, outcome } => {
                let (it, whom) = (&mut self.watch.reckon, Whom::Account(*account));
                it.end(whom, "refresh", now, BREATH);
                // The lane waits until then, and its posts are looked at again after; another refresh may have
                // ended meanwhile.
                if let Refreshed::Later { at, .. } = outcome {
                    it.during(whom, now, at.duration_since(wall).max(BREATH) + secs(2), "no token for now");
                }
            }
            _ => {}
        }
    }

    /// What people do to the daemon.
    pub(crate) fn reckon_wish(&mut self, wish: &Wish) {
        let now = self.now;
        let (skew, runs) = (self.skew, self.engine.is_some());
        let it = &mut self.watch.reckon;
        match wish {
            Wish::Cancel(id) => drop(it.taken_back.insert(*id)),
            Wish::Pause(account) => it.begin(Whom::Account(*account), "paused", now),
            Wish::Resume(account) => it.end(Whom::Account(*account), "paused", now, BREATH),
            Wish::StopAll(true) => it.begin(Whom::All, "stopped", now),
            Wish::StopAll(false) => {
                it.end(Whom::All, "stopped", now, BREATH);
                it.awake = Some(now);
            }
            Wish::Disk(false) => it.begin(Whom::All, "disk", now),
            Wish::Disk(true) => {
                it.end(Whom::All, "disk", now, secs(32));
                it.awake = Some(now);
            }
            Wish::Clock(by) => {
                it.clock_was_set = true;
                if by.is_zero() {
                    // A daemon that runs sees a step of a minute, and brings near what waits for a time that
                    // the clock showed already.
                    let again = skew.max(SignedDuration::ZERO);
                    if runs && again >= secs(60) {
                        it.set_back = Some((now, again));
                        it.end(Whom::All, "clock", now, secs(700));
                    } else {
                        it.wait_again(again, now);
                    }
                    it.awake = Some(now);
                } else {
                    it.begin(Whom::All, "clock", now);
                }
            }
            _ => {}
        }
    }

    /// How long a network may be at work on what was published, until its list shows it.
    fn works(&self) -> SignedDuration {
        let network = &self.network;
        match network.platform {
            PlatformName::TikTok if network.own => network.tiktok.works,
            _ if network.is_of_meta() && self.class == Class::Handle => {
                network.facebook.queued + network.facebook.works
            }
            _ => SignedDuration::ZERO,
        }
    }

    /// What was on the wire when the daemon died may be at work on the network.
    pub(crate) fn reckon_boot(&mut self) {
        let (works, now) = (self.works(), self.now);
        let it = &mut self.watch.reckon;
        // It may have died before what it saw of the clock was durable.
        if let Some((at, by)) = it.set_back.take()
            && now.duration_since(at) < secs(60)
        {
            it.wait_again(by, at);
        }
        if works.is_zero() {
            return;
        }
        let open = |it: &&Delivery| matches!(it.state, State::Sending | State::Unknown);
        for row in self.watch.rows.values().filter(open) {
            self.watch.reckon.during(Whom::One(row.id), self.now, works + QUARTER, WORKS);
        }
    }

    /// An account cannot act until its user comes back; only its network can have said so.
    pub(crate) fn reckon_dead(&mut self, account: AccountId) {
        let it = &mut self.watch.reckon;
        assert!(it.blamed.contains(&account), "an account is called dead, and its network never said so");
        it.begin(Whom::Account(account), "dead", self.now);
        // Nobody looks in its name from here on.
        for row in self.watch.rows.values().filter(|it| it.account == account) {
            self.watch.reckon.looks.insert(row.id, false);
        }
    }

    /// An account is connected again; `anew`: because it needed that.
    pub(crate) fn reckon_reconnected(&mut self, account: AccountId, anew: bool) {
        let it = &mut self.watch.reckon;
        if anew {
            it.blamed.remove(&account);
        }
        it.end(Whom::Account(account), "dead", self.now, BREATH);
        it.during(Whom::Account(account), self.now, QUARTER + BREATH, NEXT_LOOK);
    }

    /// A refresh token was refused.
    pub(crate) fn reckon_spent(&mut self, account: AccountId) {
        self.watch.reckon.blamed.insert(account);
        self.watch.reckon.begin(Whom::Account(account), "dead", self.now);
    }

    /// A row is not what it was.
    pub(crate) fn reckon_row(&mut self, was: &Delivery, row: &Delivery) {
        let (now, wall, id, account) = (self.now, self.wall(), row.id, row.account);
        let machine = self.machine.0;
        let absent = self.absence_is_proven(id);
        // Since it was in doubt first: whoever asks for another look begins no new day.
        let known = self.watch.reckon.first_unsure.get(&(id, row.step)).copied();
        let seen = self.watch.reckon.looks.get(&id).copied().unwrap_or_default();
        let nobody_knows = self.nobody_knows(id, known.unwrap_or(now), now, seen);
        let it = &mut self.watch.reckon;
        // Nor can anybody in the name of an account that must be connected again.
        let nobody_knows = nobody_knows || it.open.contains_key(&(Whom::Account(account), "dead"));
        let calls = it.sent.get(&id).copied().unwrap_or(0);
        if was.due != row.due {
            it.moved.insert(id, now);
        }
        let unsure = |it: &Delivery| it.state == State::Unknown;
        if unsure(row) {
            it.first_unsure.entry((id, row.step)).or_insert(now);
        }
        if unsure(row) && !unsure(was) {
            it.begin(Whom::One(id), DOUBT, now);
        }
        if was.held && !row.held {
            it.end(Whom::One(id), HELD, now, BREATH);
            if unsure(row) {
                it.begin(Whom::One(id), DOUBT, now);
            }
        }
        if unsure(was) && !unsure(row) {
            it.end(Whom::One(id), DOUBT, now, BREATH);
            if row.state == State::Retry {
                let wait = ladder(5, u32::from(row.attempts), QUARTER);
                it.during(Whom::One(id), now, wait + BREATH, "it is tried again");
            }
        }
        if row.held && !was.held {
            it.end(Whom::One(id), DOUBT, now, BREATH);
            it.begin(Whom::One(id), HELD, now);
            let row = row.clone();
            let step = row.step;
            it.asked
                .insert(id, Asked { at: now, wall, step, machine, since: known, nobody_knows, absent, row });
        }
        // In doubt until that is settled, over repeats under the same marker too.
        let open = unsure(row) || (row.flight.amb_since.is_some() && row.state != State::Sending);
        let new = !it.since.contains_key(&id);
        if unsure(row) && new && !row.held {
            it.since.insert(id, (now, calls, machine));
        }
        let settled = !open && row.state != State::Sending && !row.in_flight();
        if (settled || row.held) && !new {
            let (from, before, then) = it.since.remove(&id).unwrap();
            let again = calls.saturating_sub(before);
            let restarts = i32::try_from(machine - then).unwrap();
            let held = row.held;
            it.episodes.push(Episode { id, account, from, to: now, again, restarts, held, nobody_knows });
        }
        if row.state.is_terminal() && !was.state.is_terminal() {
            it.ended.insert(id, (now, wall));
        }
    }
}
