//! The real engine, the real store and the daemon's own persistence steps in a world of one thread:
//! virtual time, one queue of happenings, one seed. Between any two happenings, and inside a commit,
//! the daemon may die; what the disk holds then is what it starts again with.
//!
//! This file: time and crashes. `writer.rs` is the store's writer, `act.rs` carries out what the engine
//! decides and what users do, `watch.rs` holds the promises against what happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger::{self, Ledger};
use sendoff::daemon::{renewal, rollback, unseen};
use sendoff::domain::account::AccountState;
use sendoff::domain::delivery::{Delivery, Restored, State};
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::domain::moment::{Boot, Moment};
use sendoff::engine::{Engine, Input, Purpose, Refreshed, Save, Settings};
use sendoff::platforms::{Class, Request};
use sendoff::store::{Store, StoreError, Tx, accounts, deliveries, vault};

use super::coverage::Label;
use super::dice::{Rng, millis, secs, start};
use super::disk::{Disk, Image};
use super::ear;
use super::networks::Network;
use super::plan::Wish;
use super::reckon::Whom;
use super::rows::{all_rows, options};
use super::standins;
use super::tokens::Wallet;
use super::writer::Write;

/// Something that happens at a point of virtual time. Those with a number belong to that life of
/// the daemon, and die with it.
pub(crate) enum Happening {
    Input(u64, Input),
    Writer(u64),
    Leave(u64, DeliveryId, AccountId, Option<Purpose>, Request),
    /// The last of these: whether the engine waits for it.
    Refresh(u64, AccountId, Timestamp, bool),
    RefreshCall(u64, AccountId, bool, bool),
    Refreshed(u64, AccountId, Refreshed, bool),
    /// The housekeeping looks at the tokens.
    Tokens(u64),
    Settle(u64, DeliveryId),
    /// The request arrives at the network, whoever is still alive to hear of it.
    Land(AccountId, Option<(DeliveryId, u16)>, Request),
    User(Wish),
    Boot,
}

/// A crash to come: the next time this label is passed, after so many passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) label: Label,
    pub(crate) skip: u64,
}

#[allow(clippy::struct_excessive_bools)] // independent facts, not one state
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: Rng,
    pub(crate) class: Class,
    pub(crate) network: Network,
    /// What each account's newest token is, and when it ends.
    pub(crate) tokens: BTreeMap<AccountId, (u64, Option<Timestamp>)>,
    pub(crate) token_life: Option<SignedDuration>,
    /// The network forgives a second use of a refresh token whose answer was lost.
    pub(crate) forgives: bool,
    pub(crate) settings: Settings,
    /// How long after its connection closed a request may still take effect, in seconds (A1).
    pub(crate) t_late: u64,
    pub(crate) has_slow_uploads: bool,
    /// The worst bug of all, planted in the edges: the call leaves before its intent is written.
    pub(crate) intent_skipped: bool,
    /// Not queued yet: the intent that follows it in the same breath takes it along.
    pub(crate) claim: Option<Box<Save>>,
    /// Percent of refreshes that go wrong.
    pub(crate) refresh_trouble: u64,
    /// Accounts whose user never comes back.
    pub(crate) abandoned: BTreeSet<AccountId>,
    pub(crate) targets: VecDeque<Target>,
    /// The crashes that happened, in order.
    pub(crate) crashes: Vec<Label>,
    pub(crate) calls: u64,
    pub(crate) published_calls: u64,
    pub(crate) commits: u64,
    pub(crate) decoys: u64,
    /// Accounts whose rows are gone.
    pub(crate) gone: BTreeSet<AccountId>,
    /// Owners of accounts, by id; fixed.
    pub(crate) owners: BTreeMap<AccountId, String>,
    pub(crate) watch: super::watch::Watch,
    /// A post may wait this long in all with nothing in its way, for writes and the next look at the index.
    pub(crate) idle_most: SignedDuration,
    /// Nothing that happens is a reason not to publish.
    pub(crate) must_publish: bool,
    /// Whoever dies is back within seconds.
    pub(crate) short_crashes: bool,
    /// And be in doubt this long.
    pub(crate) settles_within: SignedDuration,
    pub(crate) disk: Disk,
    pub(crate) store: Option<Store>,
    pub(crate) engine: Option<Engine>,
    pub(crate) ledger: Ledger,
    /// Where the connectors are.
    pub(crate) find: ledger::Find,
    pub(crate) writer: VecDeque<Write>,
    pub(crate) refreshing: BTreeSet<AccountId>,
    pub(crate) wallet: Wallet,
    pub(crate) life: u64,
    /// The machine's boot: its number and when it began.
    pub(crate) machine: (u64, Timestamp),
    /// How far the wall clock is off.
    pub(crate) skew: SignedDuration,
    /// The furthest that it was ahead of it.
    pub(crate) most_ahead: SignedDuration,
    pub(crate) engine_wake: Option<Timestamp>,
    pub(crate) index_wake: Option<Timestamp>,
    pub(crate) tracing: bool,
    pub(crate) writing: bool,
    pub(crate) commit_calls: u64,
    open_calls: u64,
    /// The store's disk as it once was, and when that was.
    copy: Option<(Image, Timestamp)>,
    /// A copy was brought back that is from then, and the daemon has not noticed yet.
    brought_back: Option<Timestamp>,
    /// A copy was brought back.
    pub(crate) went_back: bool,
    serial: u64,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    trace: DefaultHasher,
}

/// A new store, made once.
fn empty_store() -> Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE
        .get_or_init(|| {
            let disk = Disk::default();
            drop(Store::with_backend(disk.clone(), start(), options()).unwrap());
            disk.killed()
        })
        .clone()
}

impl World {
    pub(crate) fn new(seed: u64, class: Class, network: Network) -> Self {
        ear::forget();
        let find = if network.own { sendoff::platforms::find } else { standins::find };
        Self {
            now: start(),
            rng: Rng(seed),
            class,
            network,
            tokens: BTreeMap::new(),
            token_life: None,
            forgives: true,
            settings: Settings::default(),
            t_late: 300,
            has_slow_uploads: true,
            intent_skipped: false,
            claim: None,
            refresh_trouble: 0,
            abandoned: BTreeSet::new(),
            targets: VecDeque::new(),
            crashes: Vec::new(),
            calls: 0,
            published_calls: 0,
            commits: 0,
            decoys: 0,
            gone: BTreeSet::new(),
            owners: BTreeMap::new(),
            watch: super::watch::Watch::default(),
            idle_most: secs(30),
            must_publish: false,
            short_crashes: false,
            settles_within: SignedDuration::from_mins(20),
            disk: Disk::holding(empty_store()),
            store: None,
            engine: None,
            ledger: Ledger::new(find),
            find,
            writer: VecDeque::new(),
            refreshing: BTreeSet::new(),
            wallet: Wallet::default(),
            life: 0,
            machine: (1, start() - SignedDuration::from_hours(5)),
            skew: SignedDuration::ZERO,
            most_ahead: SignedDuration::ZERO,
            engine_wake: None,
            index_wake: None,
            tracing: false,
            writing: false,
            commit_calls: 24,
            open_calls: 8,
            copy: None,
            brought_back: None,
            went_back: false,
            serial: 0,
            queue: BTreeMap::new(),
            trace: DefaultHasher::new(),
        }
    }

    /// What the wall clock shows.
    pub(crate) fn wall(&self) -> Timestamp {
        self.now.saturating_add(self.skew).unwrap_or(self.now)
    }

    /// The present by both of the machine's clocks.
    pub(crate) fn moment(&self) -> Moment {
        let uptime = self.now.duration_since(self.machine.1);
        let uptime_ms = i64::try_from(uptime.as_millis()).unwrap();
        Moment { wall: self.wall(), boot: Some(Boot { id: self.machine.0, uptime_ms }) }
    }

    /// A store for setting the scene; the daemon is not there yet.
    pub(crate) fn set_scene(
        &mut self,
        job: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        let store = Store::with_backend(self.disk.clone(), self.wall(), options()).unwrap();
        store.write_blocking(job).unwrap();
        self.watch.rows = all_rows(&store);
        drop(store);
        self.disk = Disk::holding(self.disk.killed());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.trace.finish()
    }

    pub(crate) fn at(&mut self, at: Timestamp, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
    }

    /// The housekeeping has not come to its end.
    pub(crate) fn is_still_at_tokens(&self) -> bool {
        !self.refreshing.is_empty() || self.queue.values().any(|it| matches!(it, Happening::Tokens(_)))
    }

    /// Takes back all that people were to do.
    pub(crate) fn nobody_meddles(&mut self) {
        self.queue.retain(|_, it| !matches!(it, Happening::User(_)));
    }

    pub(crate) fn soon(&mut self, input: Input) {
        let at = self.now + millis(1 + self.rng.below(20));
        self.at(at, Happening::Input(self.life, input));
    }

    pub(crate) fn note(&mut self, what: &str) {
        (self.now.as_millisecond(), what).hash(&mut self.trace);
        if self.tracing {
            println!("{} {what}", self.now);
        }
    }

    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&sendoff::store::Rx) -> Result<T, StoreError>,
    ) -> Option<T> {
        self.store.as_ref().map(|it| it.read(work).unwrap())
    }

    pub(crate) fn row(&self, id: DeliveryId) -> Delivery {
        self.read(|rx| deliveries::need(rx, id)).unwrap()
    }

    /// Runs until everything has ended or waits for a person, and at most until `end`.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        for _ in 0..60_000 {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let tick = self.engine.as_ref().and_then(|_| self.wake());
            let Some(at) = next.into_iter().chain(tick).min() else { return };
            if at > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(at);
            if next.is_some_and(|it| it <= at) {
                let (_, happening) = self.queue.pop_first().unwrap();
                self.happen(happening);
            } else {
                self.input(Input::Tick);
            }
            self.point(Label::Between);
        }
        panic!("the world does not come to rest: {:#?}", self.watch.rows);
    }

    /// When the daemon's nap ends. It naps 30 s at most; to save time the world lets it sleep
    /// until there is something, and a quarter of an hour while anything is open.
    fn wake(&self) -> Option<Timestamp> {
        let open = self.watch.rows.values().any(|it| !it.state.is_terminal() && !it.held);
        let nap = open.then(|| self.now + SignedDuration::from_mins(15));
        let clocks = [self.engine_wake, self.index_wake];
        let by_wall = clocks.into_iter().flatten().min().map(|at| at.saturating_sub(self.skew).unwrap_or(at));
        // Never in a circle at one instant.
        by_wall.into_iter().chain(nap).min().map(|at| at.max(self.now + millis(1)))
    }

    /// Gives the engine an input, and carries out what it decides.
    pub(crate) fn input(&mut self, input: Input) {
        let moment = self.moment();
        let Some(engine) = &mut self.engine else { return };
        if matches!(input, Input::Tick) {
            self.index_wake = None;
        }
        self.engine_wake = None;
        let effects = engine.apply(input, moment);
        ear::no_errors();
        for effect in effects {
            if self.engine.is_none() {
                break;
            }
            self.carry_out(effect);
        }
        self.flush_claim();
    }

    fn happen(&mut self, happening: Happening) {
        let life = self.life;
        match happening {
            Happening::Input(of, input) if of == life => {
                self.reply_arrives(&input);
                self.reckon_reply(&input);
                self.input(input);
            }
            Happening::Writer(of) if of == life => self.write_some(),
            Happening::Leave(of, id, account, purpose, request) if of == life => {
                self.leave(id, account, purpose, &request);
            }
            Happening::Refresh(of, account, asked, told) if of == life => self.refresh(account, asked, told),
            Happening::RefreshCall(of, account, repeat, told) if of == life => {
                self.refresh_call(account, repeat, told);
            }
            Happening::Refreshed(of, account, outcome, told) if of == life => {
                self.refreshed(account, outcome, told);
            }
            Happening::Tokens(of) if of == life => self.look_after_tokens(),
            Happening::Settle(of, id) if of == life => self.put_back(id),
            Happening::Land(account, origin, request) => {
                let owner = self.owners[&account].clone();
                self.network.landing = origin;
                self.network.land(&owner, &request, self.now);
                self.note("a late request lands");
            }
            Happening::User(wish) => self.user(wish),
            Happening::Boot => self.boot(),
            // Of a daemon that is dead.
            Happening::Input(..)
            | Happening::Writer(_)
            | Happening::Leave(..)
            | Happening::Refresh(..)
            | Happening::RefreshCall(..)
            | Happening::Refreshed(..)
            | Happening::Tokens(_)
            | Happening::Settle(..) => {}
        }
    }

    // --- crashes ---------------------------------------------------------------------------------

    /// A place where the daemon may die. True = it did.
    pub(crate) fn point(&mut self, label: Label) -> bool {
        if self.engine.is_none() || !self.hit(label) {
            return false;
        }
        self.crash(label);
        true
    }

    /// Whether the next crash is due at this label.
    fn hit(&mut self, label: Label) -> bool {
        let Some(target) = self.targets.front_mut().filter(|it| it.label == label) else { return false };
        if target.skip > 0 {
            target.skip -= 1;
            return false;
        }
        self.targets.pop_front();
        true
    }

    /// In the last moment somebody pauses the accounts of what is claimed: at the next start it must wait
    /// without being forgotten.
    fn pause_claimed(&mut self) {
        let Some(store) = self.store.clone() else { return };
        let claimed = all_rows(&store).into_values();
        let claimed = claimed.filter(|it| matches!(it.state, State::Claimed | State::Preparing));
        for account in claimed.map(|it| it.account).collect::<BTreeSet<_>>() {
            self.watch.reckon.begin(Whom::Account(account), "paused", self.now);
            let paused = store.write_blocking(move |tx| {
                vault::not_leaving(tx, account)?;
                let mut row = accounts::need(tx, account)?;
                if row.state == AccountState::Ready {
                    row.state = AccountState::Paused;
                }
                accounts::put(tx, &row)
            });
            if paused.is_ok() {
                let at = self.now + self.rng.secs(600, 7200);
                self.at(at, Happening::User(Wish::Resume(account)));
            }
        }
    }

    pub(crate) fn crash(&mut self, label: Label) {
        self.note(&format!("crash at {label:?}"));
        let meddled = matches!(label, Label::C2 | Label::C3 | Label::C4) && self.rng.chance(25);
        if meddled && !self.must_publish {
            self.pause_claimed();
        }
        self.crashes.push(label);
        let power = self.rng.chance(50);
        let image = if power { self.disk.power_cut(&mut self.rng) } else { self.disk.killed() };
        self.engine = None;
        self.ledger = Ledger::new(self.find);
        self.writer.clear();
        self.writing = false;
        self.refreshing.clear();
        self.wallet.waits = renewal::Waits::default();
        self.store = None;
        self.disk = Disk::holding(image);
        self.life += 1;
        self.engine_wake = None;
        self.index_wake = None;
        self.watch.died(self.now);
        let kept = std::mem::take(&mut self.queue);
        self.queue = kept
            .into_iter()
            .filter(|(_, it)| matches!(it, Happening::Land(..) | Happening::User(_) | Happening::Boot))
            .collect();
        let down = match self.rng.below(20) {
            _ if self.short_crashes => self.rng.secs(1, 5),
            // Longer than the handle lives: what was prepared is gone.
            _ if label == Label::C5 => self.network.abilities.handle_life + self.rng.secs(60, 600),
            0 => self.rng.secs(7200, 86_400),
            1..=4 => self.rng.secs(60, 7200),
            _ => self.rng.secs(1, 5),
        };
        if power {
            self.machine = (self.machine.0 + 1, self.now + down - secs(1));
        }
        self.at(self.now + down, Happening::Boot);
    }

    /// What was synced is what a copy has.
    pub(crate) fn take_copy(&mut self) {
        // A clock that was wrong then, or is until it is brought back, dates what nobody can find.
        self.copy = self.skew.is_zero().then(|| (self.disk.synced(), self.now));
    }

    pub(crate) fn forget_copy(&mut self) {
        self.copy = None;
    }

    /// The daemon dies, and its store is that of the copy when it starts again. All else stays: what is
    /// public, what is still on its way, the tokens.
    pub(crate) fn bring_back(&mut self) {
        let Some((image, known)) = self.copy.take() else { return };
        match self.engine {
            Some(_) => self.crash(Label::C16),
            None => self.crashes.push(Label::C16),
        }
        self.disk = Disk::holding(image);
        self.watch.bodies.clear(); // what was sent since, the copy does not know
        self.brought_back = Some(known);
        self.went_back = true;
    }

    /// Start-up: the store opens, what a crash left is made safe, a fresh engine begins.
    fn boot(&mut self) {
        let aimed = self.targets.front().is_some_and(|it| it.label == Label::C15);
        if aimed {
            let cut = self.rng.below(self.open_calls.max(1));
            self.disk.cut_after(cut);
        }
        let before = self.disk.calls();
        let opened = Store::with_backend(self.disk.clone(), self.wall(), options());
        let store = match opened {
            Ok(store) => store,
            Err(error) if aimed => return self.died_at_start(&error.to_string()),
            Err(error) => panic!("the store does not open after a crash: {error}"),
        };
        let found = all_rows(&store);
        if self.brought_back.is_some() {
            self.watch.goes_back(&found);
        } else {
            self.watch.nothing_was_lost(&found);
            self.watch.half_recovered(&found);
            self.watch_rows(found.values().cloned());
        }
        self.watch.loose = found.values().filter(|it| it.in_flight()).map(|it| Some(it.id)).collect();
        let mut marked = Ok(());
        if let Some(known) = self.brought_back {
            let copy = Restored { known, at: self.moment() };
            marked = rollback::mark_open(&store, copy).map(drop);
            if marked.is_ok() {
                self.watch.goes_back(&all_rows(&store));
            }
        }
        let waits = match marked.and_then(|()| ledger::recover(&store, self.moment())) {
            Ok(waits) => waits,
            Err(error) if aimed && error.is_fatal() => {
                drop(store);
                return self.died_at_start(&error.to_string());
            }
            Err(error) => panic!("recovery failed: {error}"),
        };
        self.open_calls = self.disk.calls() - before;
        self.disk.uncut();
        if aimed {
            // The cut came too late: it dies between recovery and the first step.
            drop(store);
            return self.died_at_start("the power goes");
        }
        self.brought_back = None;
        ear::no_errors();
        let rows = all_rows(&store);
        self.watch.started(&rows);
        self.reckon_boot();
        self.watch_rows(rows.into_values());
        self.watch.reckon.woke(self.now);
        self.watch.pace.woke(self.wall());
        self.store = Some(store);
        let mut dice = Rng(self.rng.next());
        let random = Box::new(move |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = dice.next().to_le_bytes()[0];
            }
        });
        self.engine = Some(Engine::new(self.settings.clone(), random));
        self.note("boot");
        self.input(Input::Waits(waits));
        let calls =
            ledger::calls(self.store.as_ref().unwrap(), &self.settings, self.find, self.wall()).unwrap();
        self.input(Input::Calls(calls));
        let unseen = unseen::unseen(self.store.as_ref().unwrap(), self.find, self.wall()).unwrap();
        self.input(Input::Unseen(unseen));
        self.input(Input::Clock { hold: false, sure: self.skew.is_zero() });
        // People see what waits for them.
        for (account, _) in self.owners.clone() {
            let Some(row) = self.read(|rx| accounts::get(rx, account)).unwrap() else { continue };
            // Behind a pause too.
            let dead = row.reason.is_some() && row.state != AccountState::NeedsReconnect;
            if dead && !self.is_leaving(account) {
                self.watch.reckon.begin(Whom::Account(account), "dead", self.now);
                let at = self.now + self.rng.secs(600, 7200);
                self.at(at, Happening::User(Wish::Reconnect(account)));
            }
            match row.state {
                _ if self.is_leaving(account) => {
                    self.at(self.now + secs(1), Happening::User(Wish::Disconnect(account)));
                }
                // What ended it before the crash may not have reached the disk.
                AccountState::NeedsReconnect => {
                    self.watch.reckon.begin(Whom::Account(account), "dead", self.now);
                    let at = self.now + self.rng.secs(600, 7200);
                    self.at(at, Happening::User(Wish::Reconnect(account)));
                }
                AccountState::Paused => {
                    self.watch.reckon.begin(Whom::Account(account), "paused", self.now);
                    let at = self.now + self.rng.secs(60, 3600);
                    self.at(at, Happening::User(Wish::Resume(account)));
                }
                AccountState::Ready => {}
            }
        }
        // Where no token ends, there is something to do for the housekeeping only if a refresh was cut off.
        if self.token_life.is_some() || !self.read(vault::refreshes).unwrap().is_empty() {
            self.at(self.now + secs(60), Happening::Tokens(self.life));
        }
        self.input(Input::Tick);
    }

    fn died_at_start(&mut self, why: &str) {
        self.note(&format!("cannot start: {why}"));
        self.targets.pop_front();
        self.crash(Label::C15);
    }
}
