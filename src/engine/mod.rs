//! Decides what happens next: `apply(input, now) -> effects`. Does nothing itself.
//!
//! One owner, one input at a time, no locks. The engine holds only what is being worked on: a
//! lane per account with its waiting ids, and a [`Run`] per delivery in hand. Everything else is
//! in the store, so memory grows with what is due, not with what is stored.
//!
//! The order that makes the promise: [`Effect::Publish`] commits `Sending` before a byte leaves,
//! and its answer is committed before anything else happens to that delivery. Writes of one
//! delivery are issued in order and the store's writer keeps that order, so a cancel that arrives
//! during a call is a write of its own, not a race.
//!
//! Reading order: this file (what can happen), [`lanes`] (who is next), [`claim`] and [`send`] (one
//! delivery from its turn to its call), [`outcome`] (what the reply means), [`reconcile`] (looking
//! before trying again), [`after`] (the read-back), [`gates`] (what holds back whole apps), [`backoff`], [`ask`].

mod after;
pub mod ask;
pub mod backoff;
mod claim;
mod gates;
mod lanes;
mod outcome;
mod reconcile;
pub mod restored;
mod search;
mod send;
mod settings;
mod steps;
mod stops;
mod unsettled;
mod wants;

pub use after::Unseen;
pub use gates::{BROKE, wait_of};
pub use send::with_job;
pub use settings::{Limit, Settings};
pub use steps::LONGEST;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, Event, Reason, State};
use crate::domain::ids::{AccountId, DeliveryId, PlatformName, PostId};
use crate::domain::moment::{Boot, Moment};
use crate::domain::post::Post;
use crate::platforms::{Answer, Failure, Platform, Problem, Request};

use after::ReadBacks;
use gates::Gates;
use lanes::Lane;
use stops::{Stop, Stops};

/// Finds the delivery that may be live under a marker.
pub type Twin = dyn Fn(&str) -> Option<DeliveryId> + Send + Sync;

/// Finds the post of the same words that went out by the same account lately, and when.
pub type Earlier = dyn Fn() -> Option<(PostId, Timestamp)> + Send + Sync;

/// Everything needed to work on one delivery, read from the store in one go.
#[derive(Clone)]
pub struct Work {
    pub delivery: Delivery,
    pub post: Arc<Post>,
    /// None: the account is gone.
    pub account: Option<Account>,
    pub platform: &'static dyn Platform,
    /// Whether a remote id of this account already belongs to another step (I9).
    pub bound: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Another delivery of this account that may be live under this marker: it is being looked up.
    pub twin: Arc<Twin>,
    /// What a network may mean that calls this a repeat.
    pub earlier: Arc<Earlier>,
    /// What validation says now, with the account as it is now.
    pub problems: Vec<Problem>,
    /// Why nothing may be sent for now although its time has come (a paused queue).
    pub hold: Option<Reason>,
    /// Why nothing more may be paid for: the operator's budget is used up.
    pub broke: Option<Reason>,
}

/// A row of the due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRow {
    pub at: Timestamp,
    pub id: DeliveryId,
    pub account: AccountId,
    /// Unknown deliveries are looked up beside the lane, not in it.
    pub unknown: bool,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answer(Answer),
    /// No byte of the request left.
    NotSent(String),
    /// No byte left, and trying again changes nothing by itself: what is to be sent is not in order.
    Unfit(Failure),
    /// Bytes left; no whole answer came.
    Lost(String),
}

/// Which call a reply belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Prepare,
    /// Whether the same words went out by another hand, before a late send.
    Scan,
    Look,
    ReadBack,
}

/// How a token refresh ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// There is a fresh token, already durable.
    Fresh(Box<Account>),
    /// The grant is dead; the account needs a person.
    Dead(Reason),
    /// Not now.
    Later { at: Timestamp, reason: Reason },
}

/// Everything that can wake the engine.
pub enum Input {
    /// Time has passed.
    Tick,
    /// The due rows asked for with [`Effect::FetchDue`]; `all` = there are no more.
    Due { rows: Vec<DueRow>, all: bool },
    /// The work asked for with [`Effect::Load`]. None: it is gone.
    Loaded { id: DeliveryId, work: Option<Box<Work>> },
    /// The write `seq` is durable, or was refused because the row had changed.
    Saved { id: DeliveryId, seq: u64, conflict: bool },
    /// The publishing call's reply. Its intent was durable before it left.
    Published { id: DeliveryId, reply: Reply },
    /// Reply to a call that is safe to repeat.
    Answered { id: DeliveryId, purpose: Purpose, reply: Reply },
    /// The refresh asked for with [`Effect::Refresh`] ended.
    Refreshed { account: AccountId, outcome: Refreshed },
    /// The user changed a delivery; the reply goes through [`Effect::Reply`].
    Ask { id: DeliveryId, ask: ask::Ask, ticket: u64 },
    /// Stop or start everything.
    Pause(bool),
    /// An account was paused, resumed, reconnected or removed.
    AccountChanged(AccountId),
    /// New settings. What is in hand goes on under them.
    Configure(Box<Settings>),
    /// Whether there is room on the disk to record an outcome.
    Disk { enough: bool },
    /// `hold`: the wall clock cannot be believed for now, so nothing new is claimed. `sure`: it is
    /// known to be right; else ages that span a restart of the machine count as too old.
    Clock { hold: bool, sure: bool },
    /// The wall clock was put forward by so much, or back if it is negative.
    Stepped(SignedDuration),
    /// The operator did something about a network that holds everything back: try at once.
    Probe(PlatformName),
    /// What networks said before this start of apps and accounts ([`wait_of`]).
    Waits(Vec<Wait>),
    /// Calls that left before this start, oldest first, as far as limits count them.
    Calls(Vec<Call>),
    /// What went live shortly before this start and was not read back, oldest first.
    Unseen(Vec<Unseen>),
}

/// Something that holds back more than one delivery, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub scope: WaitFor,
    pub until: Timestamp,
    pub reason: Reason,
}

impl Wait {
    /// Whether an account is held back by it.
    pub fn concerns(&self, account: &Account) -> bool {
        match &self.scope {
            WaitFor::Account(id) => *id == account.id,
            WaitFor::App(platform, server) => {
                account.name.platform() == *platform && account.server == *server
            }
        }
    }
}

/// A call that left before this start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub account: AccountId,
    /// The account's network and, where the user names it, its server.
    pub app: (PlatformName, Option<String>),
    pub at: Timestamp,
    /// It published: the operator's limits count it.
    pub publishes: bool,
    /// Its network counts all calls of an account ([`Platform::calls_a_day`]).
    pub counts: bool,
    /// Its network takes so many posts of its kind ([`Platform::share`]): whose it is.
    pub share: Option<DeliveryId>,
}

/// Whom a [`Wait`] holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitFor {
    Account(AccountId),
    /// All accounts of the app; where the user names the server, of that server.
    App(PlatformName, Option<String>),
}

/// What the edges must do.
#[derive(Clone)]
pub enum Effect {
    /// Read the first `limit` rows of the due index up to now.
    FetchDue {
        limit: usize,
    },
    Load {
        id: DeliveryId,
    },
    /// One durable write, then [`Input::Saved`].
    Save(Box<Save>),
    /// The write of an intent (W3); once it is durable, the call; then [`Input::Published`].
    Publish {
        save: Box<Save>,
        request: Request,
    },
    /// A call that is safe to repeat, then [`Input::Answered`].
    Call {
        id: DeliveryId,
        account: AccountId,
        purpose: Purpose,
        request: Request,
    },
    /// A fresh token, single flight per account, then [`Input::Refreshed`].
    Refresh {
        account: AccountId,
    },
    /// The account needs a person: store it, unless it has other tokens by now than those of `issued_at`, of
    /// which the network said so.
    AccountDead {
        account: AccountId,
        issued_at: Option<Timestamp>,
        reason: Reason,
    },
    /// The object is read back or not; later facts only (W5).
    Confirm {
        id: DeliveryId,
        step: usize,
        verified: bool,
        /// Its address, which some networks tell only then.
        permalink: Option<String>,
    },
    /// The network took what is called published, and says now that it could not publish it. An end never
    /// changes (I14), so this too is a later fact, and one that a person must hear of.
    CameToNothing {
        id: DeliveryId,
        step: usize,
        /// Of the class [`NOTHING`](crate::domain::delivery::NOTHING).
        reason: Reason,
        /// The answer that says so.
        answer: Evidence,
    },
    /// All deliveries in hand are at rest: nothing more to do until then.
    WakeAt(Timestamp),
    /// Answer to [`Input::Ask`].
    Reply {
        ticket: u64,
        result: Result<(), ask::Refused>,
    },
}

/// One durable write of one delivery: compare-and-swap from `before` to `after`.
#[derive(Debug, Clone)]
pub struct Save {
    pub seq: u64,
    pub before: Delivery,
    pub after: Delivery,
    /// Name of the event, for the history.
    pub event: &'static str,
    /// The raw answer that caused it (not redacted yet) and its status, for the attempt row.
    pub answer: Option<Evidence>,
}

/// What an attempt row keeps of an answer.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub raw: Vec<u8>,
    pub trace: Option<String>,
}

/// A delivery in hand.
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
struct Run {
    account: AccountId,
    /// In its account's lane, as opposed to a look beside it.
    in_lane: bool,
    /// None while it is being read.
    work: Option<Box<Work>>,
    /// Its account changed while it was being read.
    stale: bool,
    phase: Phase,
    /// The preparing call or look that is on the wire.
    call: Option<Request>,
    /// From when on the look on the wire searches, and how far our clock was taken to be ahead of the
    /// network's for that.
    searched: Option<(Timestamp, SignedDuration)>,
    /// The look for what was sent is done and showed nothing, and the words are searched for: whether it
    /// can never become public any more.
    marker_gone: Option<bool>,
    /// Pages of the network's list that were turned.
    pages: u8,
    /// When the look that goes on began: the first page of a list, or the first of two looks, left.
    asked: Option<Timestamp>,
    /// Preparing calls so far.
    prepared: u16,
    /// The token was refreshed for this run already.
    refreshed: bool,
    /// Claimed before its instant, because somebody wants it out at once.
    hurried: bool,
    /// The network was searched for the same words, and has none.
    scanned: bool,
    /// What its account waits after its call.
    spacing: SignedDuration,
    /// A step that went live just now and is to be read back.
    confirm: Option<usize>,
    /// Wishes that arrived while it was being read.
    asks: Vec<(ask::Ask, u64)>,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Loading,
    /// The write with this number.
    Saving(u64, Then),
    Publishing,
    Calling(Purpose),
    Refreshing,
}

/// What follows a durable write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Go on preparing or publishing.
    Advance,
    /// The lane is free again.
    Done,
}

/// Fills a buffer with random bytes: seeded in tests, the system's in the daemon.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The engine. See the module's text.
#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub struct Engine {
    settings: Settings,
    // Ordered maps: the same inputs must give the same effects in the same order.
    lanes: BTreeMap<AccountId, Lane>,
    runs: BTreeMap<DeliveryId, Run>,
    /// Unknown deliveries whose look is due, in the order of their time.
    looks: BTreeMap<(Timestamp, DeliveryId), AccountId>,
    /// Whole apps that must wait.
    gates: Gates,
    random: Random,
    stops: Stops,
    read_backs: ReadBacks,
    clock_sure: bool,
    /// How far the wall clock was put forward, less back, since the start.
    steps: SignedDuration,
    /// What was late already at this instant is sent as a catch-up: since the start, the end of a
    /// pause, a step of the clock.
    awake_since: Option<Timestamp>,
    boot: Option<Boot>,
    seq: u64,
    /// Wishes whose write is under way: number of the write → who asked.
    tickets: BTreeMap<u64, u64>,
    /// Due deliveries that could not be read: how often in a row, and when they are tried again.
    unread: BTreeMap<DeliveryId, (u32, Timestamp)>,
    fetching: bool,
    /// Something came to rest that may be due again: ask the index before sleeping.
    refetch: bool,
    /// Somebody waits, or no longer, since this was last asked.
    waits_changed: bool,
}

impl Engine {
    /// A fresh engine; see [`Random`].
    pub fn new(settings: Settings, random: Random) -> Self {
        Self {
            settings,
            lanes: BTreeMap::new(),
            runs: BTreeMap::new(),
            looks: BTreeMap::new(),
            gates: Gates::new(),
            random,
            stops: Stops::default(),
            read_backs: ReadBacks::default(),
            clock_sure: true,
            steps: SignedDuration::ZERO,
            awake_since: None,
            boot: None,
            seq: 0,
            tickets: BTreeMap::new(),
            unread: BTreeMap::new(),
            fetching: false,
            refetch: true,
            waits_changed: false,
        }
    }

    /// Whether [`Engine::waits`] may tell something else than when this was last asked.
    pub fn have_waits_changed(&mut self) -> bool {
        std::mem::take(&mut self.waits_changed)
    }

    /// Nothing is in hand.
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.read_backs.is_empty()
    }

    /// Whether a call that publishes may be on the wire.
    pub fn is_publishing(&self) -> bool {
        self.runs.values().any(|run| run.phase == Phase::Publishing)
    }

    /// Decides; does nothing. Called with one input at a time.
    pub fn apply(&mut self, input: Input, now: impl Into<Moment>) -> Vec<Effect> {
        let now: Moment = now.into();
        let mut out = self.take(input, now);
        out.append(&mut self.start(now.wall));
        out
    }

    /// The first half of [`Engine::apply`]: what follows from one input. Of inputs that came
    /// together each is taken, then [`Engine::start`] looks over the lanes once for all.
    pub fn take(&mut self, input: Input, now: impl Into<Moment>) -> Vec<Effect> {
        let now: Moment = now.into();
        self.boot = now.boot;
        let now = now.wall;
        self.awake_since.get_or_insert(now);
        let mut out = Vec::new();
        match input {
            Input::Tick => self.refetch = true,
            Input::Due { rows, all } => self.take_due(&rows, all, now),
            Input::Loaded { id, work } => self.loaded(id, work, now, &mut out),
            Input::Saved { id, seq, conflict } => self.saved(id, seq, conflict, now, &mut out),
            Input::Published { id, reply } => self.published(id, reply, now, &mut out),
            Input::Answered { id, purpose, reply } => self.answered(id, purpose, reply, now, &mut out),
            Input::Refreshed { account, outcome } => self.refreshed(account, &outcome, now, &mut out),
            Input::Ask { id, ask, ticket } => self.asked(id, &ask, ticket, now, &mut out),
            Input::Pause(on) => {
                if self.stops.set(Stop::Asked, on, now) {
                    self.awake_since = Some(now);
                }
            }
            Input::Clock { hold, sure } => {
                if self.stops.set(Stop::Clock, hold, now) {
                    self.awake_since = Some(now);
                }
                self.clock_sure = sure;
            }
            Input::Stepped(by) => self.stepped(by, now),
            Input::Probe(platform) => self.probe(platform, now),
            Input::Waits(waits) => self.resume_waits(waits),
            Input::Calls(calls) => self.resume_calls(calls),
            Input::Unseen(unseen) => self.resume_read_backs(&unseen, now),
            Input::AccountChanged(account) => self.account_changed(account, now),
            Input::Configure(settings) => {
                self.settings = *settings;
                self.budget_may_differ();
            }
            Input::Disk { enough } => {
                if self.stops.set(Stop::Disk, !enough, now) {
                    self.awake_since = Some(now);
                }
            }
        }
        out
    }

    /// The second half of [`Engine::apply`]: starts whatever may start, and says when to come back.
    pub fn start(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        self.start_work(now, &mut out);
        out
    }

    /// Whether the wall clock is in doubt, so that nothing new is claimed.
    pub fn doubts_the_clock(&self) -> bool {
        self.stops.has(Stop::Clock)
    }

    /// Whether the engine holds this delivery; then only it may write it.
    pub fn holds(&self, id: DeliveryId) -> bool {
        self.runs.contains_key(&id)
    }

    /// Moves a run's delivery and issues the write. `None`: the move is illegal, which is a bug;
    /// the run is dropped untouched, its row stays as it is, and the log says so.
    fn save(
        &mut self,
        id: DeliveryId,
        event: Event,
        then: Then,
        answer: Option<Evidence>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        match self.moved(id, event, then, answer, now) {
            Some(save) => out.push(Effect::Save(Box::new(save))),
            None => self.after_illegal(id, now, out),
        }
    }

    /// None: the move is illegal, and [`Engine::after_illegal`] follows.
    fn moved(
        &mut self,
        id: DeliveryId,
        event: Event,
        then: Then,
        answer: Option<Evidence>,
        now: Timestamp,
    ) -> Option<Save> {
        let run = self.runs.get_mut(&id)?;
        let work = run.work.as_mut()?;
        let name = event.name();
        let before = work.delivery.clone();
        match before.apply(event, Moment { wall: now, boot: self.boot }) {
            Ok(after) => {
                self.seq += 1;
                work.delivery = after.clone();
                run.phase = Phase::Saving(self.seq, then);
                Some(Save { seq: self.seq, before, after, event: name, answer })
            }
            Err(illegal) => {
                tracing::error!(delivery = %id, %illegal, "the engine tried an illegal move; the delivery is left as stored");
                debug_assert!(false, "illegal move of {id}: {illegal}");
                None
            }
        }
    }

    /// An invariant of ours is broken. The durable row stays as it is and is tried again later; nothing is
    /// guessed. What is claimed is in no index, so it is given a time.
    fn after_illegal(&mut self, id: DeliveryId, now: Timestamp, out: &mut Vec<Effect>) {
        self.cannot_read(id, now);
        let claimed = self.runs.get(&id).and_then(|run| run.work.as_ref()).map(|work| &work.delivery);
        let claimed = claimed.filter(|it| matches!(it.state, State::Claimed | State::Preparing));
        let at = now.saturating_add(SignedDuration::from_mins(1)).unwrap_or(now);
        let reason = Reason::new("fault", "a fault of this program kept it; the log tells more");
        let parks =
            claimed.is_some_and(|it| it.apply(Event::park(at, reason.clone()), self.moment(now)).is_ok());
        if parks {
            return self.park(id, at, reason, now, out);
        }
        self.release(id);
    }

    /// The present by both clocks.
    fn moment(&self, now: Timestamp) -> Moment {
        Moment { wall: now, boot: self.boot }
    }

    fn fill<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    /// The `n`-th delay of a ladder, with chance and the rehearsal's scale.
    fn backoff(&mut self, ladder: backoff::Ladder, n: u16) -> SignedDuration {
        let dice = self.dice();
        backoff::delay(ladder, n, dice, self.settings.backoff_scale)
    }

    /// A uniform number in 0..1 for backoff.
    fn dice(&mut self) -> f64 {
        let bytes: [u8; 4] = self.fill();
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
