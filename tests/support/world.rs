//! A small world around the real engine: virtual time, one seed, a store in memory that compares
//! and swaps, and two networks that lose answers. Everything that happens is one entry of one
//! queue, and between any two entries the daemon may die.
#![allow(dead_code)] // each test file uses its part

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::{Account, AccountState};
use sendoff::domain::delivery::{Delivery, Event, Reason, State, Step, StepKind};
use sendoff::domain::ids::{AccountId, AccountName, DeliveryId, MediaId, PlatformName, PostId};
use sendoff::domain::media::{MediaItem, MediaKind};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::engine::ask::{self, Ask};
use sendoff::engine::{
    DueRow, Effect, Engine, Input, Purpose, Refreshed, Reply, Save, Settings, Work, wait_of,
};
use sendoff::platforms::{self, Body, Request};

#[path = "networks.rs"]
pub(crate) mod networks;
use networks::{Fault, Network, date};

/// splitmix64: small, seeded, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0..n
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub(crate) fn start() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

pub(crate) fn secs(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

fn millis(n: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(n).unwrap())
}

pub(crate) fn account(n: u128, platform: PlatformName) -> Account {
    let name = AccountName::new(platform, &format!("a{n}")).unwrap();
    let remote_id = match platform {
        PlatformName::X | PlatformName::Facebook | PlatformName::Instagram => format!("{}", 1000 + n),
        PlatformName::LinkedIn => format!("urn:li:person:{}", 1000 + n),
        _ => format!("did:plc:a{n}"),
    };
    Account {
        username: format!("a{n}"),
        display_name: format!("A {n}"),
        can_refresh: true,
        ..Account::new(AccountId::from_u128(n), name, remote_id, start())
    }
}

/// Something that happens at a point of virtual time.
enum Happening {
    /// Reaches the engine of that boot, or nobody.
    Input(u64, Input),
    /// The store's writer comes to this write of that boot; with a request: an intent.
    Commit(u64, Box<Save>, Option<Request>),
    /// A write of the daemon for a delivery at rest.
    Rest(u64, Box<(Delivery, Delivery)>),
    /// A request leaves the machine of that boot.
    Leave(u64, DeliveryId, AccountId, Option<Purpose>, Request),
    /// The request arrives at the network, whoever is still alive to hear of it.
    Land(AccountId, Request),
    Cancel(DeliveryId),
    Reconnect(AccountId),
    Boot,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    pub(crate) settings: Settings,
    pub(crate) store: BTreeMap<DeliveryId, Delivery>,
    pub(crate) posts: BTreeMap<PostId, Arc<Post>>,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) engine: Option<Engine>,
    /// Every publishing call that left: time, delivery, account.
    pub(crate) sent: Vec<(Timestamp, DeliveryId, AccountId)>,
    /// Every other call that left.
    pub(crate) asked: Vec<(Timestamp, DeliveryId, Purpose)>,
    pub(crate) calls: u64,
    /// Points (see [`World::point`]) at which the daemon dies.
    pub(crate) crash_at: BTreeSet<u64>,
    pub(crate) crashes: u64,
    trace: DefaultHasher,
    boot: u64,
    points: u64,
    serial: u64,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    writer_free: Timestamp,
    engine_wake: Option<Timestamp>,
    in_flight: BTreeMap<AccountId, DeliveryId>,
    bodies: BTreeMap<(DeliveryId, u16, String), Vec<u8>>,
}

impl World {
    pub(crate) fn new(seed: u64, platform: PlatformName, accounts: u128) -> Self {
        let mut world = Self {
            now: start(),
            rng: Rng(seed),
            network: Network::new(platform),
            settings: Settings::default(),
            store: BTreeMap::new(),
            posts: BTreeMap::new(),
            accounts: (1..=accounts).map(|n| (AccountId::from_u128(n), account(n, platform))).collect(),
            engine: None,
            sent: Vec::new(),
            asked: Vec::new(),
            calls: 0,
            crash_at: BTreeSet::new(),
            crashes: 0,
            trace: DefaultHasher::new(),
            boot: 0,
            points: 0,
            serial: 0,
            queue: BTreeMap::new(),
            writer_free: start(),
            engine_wake: None,
            in_flight: BTreeMap::new(),
            bodies: BTreeMap::new(),
        };
        world.at(start(), Happening::Boot);
        world
    }

    /// Adds a post with these parts, due so many seconds after the start. Its text names it.
    pub(crate) fn post(&mut self, account: u128, due: i64, parts: usize, late: Late) -> DeliveryId {
        let n = u128::try_from(self.posts.len()).unwrap() + 1;
        let account = self.accounts[&AccountId::from_u128(account)].clone();
        let instant = start() + secs(due);
        let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let due = Due { instant, civil, zone: "UTC".into(), choice: Choice::Instant };
        let texts =
            (0..parts).map(|part| format!("post {n} part {part} & more, see example.com/{n}")).collect();
        let image = MediaItem::new(MediaId::from_u128(n), "a.png", MediaKind::Png, 10, (1, 1));
        let with_image = account.name.platform() == PlatformName::Bluesky && n % 2 == 0;
        let post = Post {
            id: PostId::from_u128(n),
            to: vec![Target { account: account.id, name: account.name.clone() }],
            content: Content { parts: texts, comment: None },
            variants: BTreeMap::new(),
            options: BTreeMap::new(),
            media: if with_image { vec![image] } else { Vec::new() },
            due: Some(due.clone()),
            late,
            slot: None,
            intended: None,
            source: Source::Cli,
            key: None,
            created_at: start(),
            version: 1,
        };
        let id = DeliveryId::from_u128(n);
        let steps =
            (0..parts).map(|it| Step::new(if it == 0 { StepKind::Post } else { StepKind::Thread })).collect();
        let delivery = Delivery::new(id, post.id, account.id, account.name, due, late, steps, start());
        self.posts.insert(post.id, Arc::new(post));
        self.store.insert(id, delivery);
        id
    }

    pub(crate) fn cancel_at(&mut self, seconds: i64, id: DeliveryId) {
        self.at(start() + secs(seconds), Happening::Cancel(id));
    }

    /// Gives the engine an input directly, and carries out what it decides.
    pub(crate) fn input(&mut self, input: Input) {
        if let Some(engine) = &mut self.engine {
            let effects = engine.apply(input, self.now);
            self.engine_wake = None;
            for effect in effects {
                if self.engine.is_none() {
                    break;
                }
                self.carry_out(effect);
            }
        }
    }

    /// Runs until nothing more can happen, or virtual time reaches the end.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        for _ in 0..200_000 {
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
            self.point("step");
        }
        panic!(
            "the world does not come to rest: {:#?}",
            self.store.values().map(|it| it.state).collect::<Vec<_>>()
        );
    }

    /// A hash of everything that happened, in order.
    pub(crate) fn hash(&self) -> u64 {
        self.trace.finish()
    }

    fn wake(&self) -> Option<Timestamp> {
        let due = self.store.values().filter_map(Delivery::wakes_at);
        // What is due now and not taken waits for its lane; the daemon's nap looks again.
        let due = due.map(|at| if at > self.now { at } else { self.now + secs(30) }).min();
        [due, self.engine_wake.filter(|at| *at > self.now)].into_iter().flatten().min()
    }

    fn at(&mut self, at: Timestamp, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
    }

    fn soon(&mut self, input: Input) {
        let at = self.now + millis(1 + self.rng.below(20));
        self.at(at, Happening::Input(self.boot, input));
    }

    fn note(&mut self, what: &str) {
        (self.now.as_millisecond(), what).hash(&mut self.trace);
        if std::env::var_os("SIM_TRACE").is_some() {
            println!("{} {what}", self.now);
        }
    }

    /// A place where the daemon may die. True = it did.
    fn point(&mut self, what: &str) -> bool {
        self.points += 1;
        if self.engine.is_none() || !self.crash_at.contains(&self.points) {
            return false;
        }
        self.note(&format!("crash after {what}"));
        self.crashes += 1;
        self.engine = None;
        self.boot += 1;
        self.engine_wake = None;
        self.in_flight.clear();
        // What the writer had before it may or may not have reached the disk, in order.
        let keep = self.rng.below(3);
        let mut kept = 0;
        for (key, happening) in std::mem::take(&mut self.queue) {
            match happening {
                Happening::Commit(_, save, _) if kept < keep => {
                    kept += 1;
                    self.swap(&save.before, &save.after);
                }
                Happening::Commit(..) | Happening::Rest(..) | Happening::Input(..) | Happening::Leave(..) => {
                }
                other => {
                    self.queue.insert(key, other);
                }
            }
        }
        let down =
            if self.rng.chance(70) { secs(1) } else { secs(i64::try_from(self.rng.below(7200)).unwrap()) };
        self.at(self.now + down, Happening::Boot);
        true
    }

    /// The daemon is stopped while nothing is in hand, and started again at once.
    pub(crate) fn restart(&mut self) {
        assert!(self.engine.as_ref().is_some_and(Engine::is_idle), "something is in hand");
        self.boot += 1;
        self.engine_wake = None;
        self.boot_up();
    }

    /// The daemon is down for so long, while nothing is in hand.
    pub(crate) fn down(&mut self, span: SignedDuration) {
        assert!(self.engine.take().is_some_and(|it| it.is_idle()), "something is in hand");
        self.boot += 1;
        self.engine_wake = None;
        self.at(self.now + span, Happening::Boot);
    }

    fn swap(&mut self, before: &Delivery, after: &Delivery) -> bool {
        let fits = self.store.get(&before.id) == Some(before);
        if fits {
            self.store.insert(after.id, after.clone());
        }
        let word = if fits { "" } else { " REFUSED" };
        self.note(&format!("write {} {} -> {}{word}", after.id, before.state.as_str(), after.state.as_str()));
        fits
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Input(boot, input) if boot == self.boot => {
                if let Input::Published { id, .. } = &input {
                    self.in_flight.remove(&self.store[id].account);
                }
                self.input(input);
            }
            Happening::Commit(boot, save, request) if boot == self.boot => {
                let (id, seq) = (save.after.id, save.seq);
                let conflict = !self.swap(&save.before, &save.after);
                match request {
                    Some(request) if !conflict => {
                        let account = save.after.account;
                        self.at(self.now, Happening::Leave(boot, id, account, None, request));
                    }
                    _ => self.soon(Input::Saved { id, seq, conflict }),
                }
            }
            Happening::Rest(boot, pair) if boot == self.boot => {
                self.swap(&pair.0, &pair.1);
            }
            Happening::Leave(boot, id, account, purpose, request) if boot == self.boot => {
                self.leave(id, account, purpose, &request);
            }
            Happening::Land(account, request) => {
                let (now, remote) = (self.now, self.accounts[&account].remote_id.clone());
                self.network.land(&remote, &request, now);
                self.note("a late request lands");
            }
            Happening::Cancel(id) => self.cancel(id),
            Happening::Reconnect(account) => self.reconnect(account),
            Happening::Boot => self.boot_up(),
            // Of a daemon that is dead.
            Happening::Input(..) | Happening::Commit(..) | Happening::Rest(..) | Happening::Leave(..) => {}
        }
    }

    /// What the daemon does at start-up: a call that was on the wire is in doubt, never repeated.
    fn boot_up(&mut self) {
        let mut rows = Vec::new();
        let now = self.now;
        for delivery in self.store.values_mut() {
            if delivery.state == State::Sending {
                let reason = Reason::new("ambiguous", "the daemon stopped during the call");
                *delivery = delivery.apply(Event::Lose { next_check: now, reason, said: None }, now).unwrap();
            } else if delivery.in_flight() {
                rows.push(DueRow {
                    at: delivery.due.instant,
                    id: delivery.id,
                    account: delivery.account,
                    unknown: false,
                });
            }
        }
        let mut dice = Rng(self.rng.next());
        let random = Box::new(move |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = dice.next().to_le_bytes()[0];
            }
        });
        self.engine = Some(Engine::new(self.settings.clone(), random));
        self.note("boot");
        let waits = self.store.values().filter_map(|it| wait_of(it, self.accounts.get(&it.account)?, now));
        let waits = waits.collect();
        self.input(Input::Waits(waits));
        self.input(Input::Due { rows, all: true });
        self.input(Input::Tick);
    }

    fn commit(&mut self, save: Box<Save>, request: Option<Request>) {
        // One writer: in the order of the engine.
        self.writer_free = self.writer_free.max(self.now) + millis(1 + self.rng.below(20));
        self.at(self.writer_free, Happening::Commit(self.boot, save, request));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::FetchDue { limit } => {
                let mut rows: Vec<_> = self
                    .store
                    .values()
                    .filter_map(|it| Some((it.wakes_at().filter(|at| *at <= self.now)?, it)))
                    .map(|(at, it)| DueRow {
                        at,
                        id: it.id,
                        account: it.account,
                        unknown: it.state == State::Unknown,
                    })
                    .collect();
                rows.sort_by_key(|row| (row.at, row.id));
                let all = rows.len() <= limit;
                rows.truncate(limit);
                self.soon(Input::Due { rows, all });
            }
            Effect::Load { id } => {
                let work = self.work(id).map(Box::new);
                self.soon(Input::Loaded { id, work });
            }
            Effect::Save(save) => {
                self.note(&format!("{} {}", save.event, save.after.id));
                self.commit(save, None);
            }
            Effect::Publish { save, request } => {
                self.note(&format!("publish {}", save.after.id));
                assert!(self.now >= save.after.due.instant, "never early");
                self.commit(save, Some(request));
            }
            Effect::Call { id, account, purpose, request } => {
                self.note(&format!("{} {id}", request.label));
                self.at(self.now, Happening::Leave(self.boot, id, account, Some(purpose), request));
            }
            Effect::Refresh { account } => {
                self.note("refresh");
                let outcome = if self.rng.chance(10) {
                    Refreshed::Later { at: self.now + secs(60), reason: Reason::new("refresh", "no answer") }
                } else {
                    self.network.refresh();
                    Refreshed::Fresh(Box::new(self.accounts[&account].clone()))
                };
                self.soon(Input::Refreshed { account, outcome });
            }
            Effect::AccountDead { account, .. } => {
                self.note("account dead");
                self.accounts.get_mut(&account).unwrap().state = AccountState::NeedsReconnect;
                self.at(self.now + secs(1800), Happening::Reconnect(account));
            }
            Effect::Confirm { id, step, .. } => self.note(&format!("confirmed {id} {step}")),
            Effect::CameToNothing { id, step, reason, .. } => {
                self.note(&format!("nothing {id} {step}"));
                assert!(
                    self.store.get_mut(&id).unwrap().note_nothing(reason),
                    "it has not ended as published"
                );
            }
            Effect::WakeAt(at) => self.engine_wake = Some(at),
            Effect::Reply { .. } => {}
        }
        self.point("an effect");
    }

    fn work(&self, id: DeliveryId) -> Option<Work> {
        let delivery = self.store.get(&id)?.clone();
        let bound: BTreeSet<String> = self
            .store
            .values()
            .filter(|it| it.account == delivery.account)
            .flat_map(|it| it.steps.iter().filter_map(|step| step.remote_id.clone()))
            .collect();
        let open: BTreeMap<String, DeliveryId> = self
            .store
            .values()
            .filter(|it| it.account == delivery.account && it.flight.amb_since.is_some())
            .filter_map(|it| Some((it.flight.frozen.as_ref()?.marker.clone(), it.id)))
            .collect();
        let words = &self.posts[&delivery.post].content.parts;
        let earlier = self.store.values().find(|it| {
            let same = it.account == delivery.account && it.post != delivery.post;
            same && it.state == State::Published && self.posts[&it.post].content.parts == *words
        });
        let earlier = earlier.and_then(|it| Some((it.post, it.published_at?)));
        Some(Work {
            twin: Arc::new(move |marker| open.get(marker).copied()),
            hold: None,
            broke: None,
            post: Arc::clone(&self.posts[&delivery.post]),
            account: self.accounts.get(&delivery.account).cloned(),
            platform: platforms::find(self.network.platform).unwrap(),
            bound: Arc::new(move |id| bound.contains(id)),
            earlier: Arc::new(move || earlier),
            problems: Vec::new(),
            delivery,
        })
    }

    fn leave(&mut self, id: DeliveryId, account: AccountId, purpose: Option<Purpose>, request: &Request) {
        self.calls += 1;
        self.asked.extend(purpose.map(|it| (self.now, id, it)));
        let remote = self.accounts[&account].remote_id.clone();
        if purpose.is_none() {
            let row = &self.store[&id];
            assert_eq!(row.state, State::Sending, "the intent is durable before a byte leaves");
            assert!(self.in_flight.insert(account, id).is_none(), "two calls in flight on one account");
            let frozen = row.flight.frozen.clone().unwrap();
            let first = row.flight.first_sent.unwrap().wall.to_string();
            let known = self.bodies.entry((id, row.step, first)).or_insert_with(|| frozen.body.clone());
            assert_eq!(*known, frozen.body, "the request changed between tries");
            self.sent.push((self.now, id, account));
        }
        if let ("instagram.publish", Body::Json(bytes)) = (request.label, &request.body) {
            let body = serde_json::from_slice(bytes).unwrap();
            networks::instagram_network::leaves(&mut self.network, &body, self.now);
        }
        let fault = self.network.fault(&mut self.rng, purpose.is_none());
        self.note(&format!("{} leaves: {fault:?}", request.label));
        let lag = millis(20 + self.rng.below(400));
        let late = millis(self.rng.below(300_000));
        let (now, network) = (self.now, &mut self.network);
        let (mut reply, wait) = match fault {
            Fault::None => (Reply::Answer(network.land(&remote, request, now)), lag),
            Fault::NotSent => (Reply::NotSent("connection refused".into()), lag),
            Fault::LostBefore => (Reply::Lost("no answer within 60 s".into()), secs(60)),
            Fault::LostAfter => {
                self.at(now + late, Happening::Land(account, request.clone()));
                (Reply::Lost("connection reset".into()), lag)
            }
            Fault::Misleading(answer) => {
                let late = network.instagram.late.unwrap_or(late);
                self.at(now + late, Happening::Land(account, request.clone()));
                (Reply::Answer(answer), lag)
            }
            Fault::Refused(answer) => (Reply::Answer(answer), lag),
            Fault::Cut => {
                let mut answer = network.land(&remote, request, now);
                answer.body.truncate(usize::try_from(self.rng.below(1 + answer.body.len() as u64)).unwrap());
                (Reply::Answer(answer), lag)
            }
        };
        if let Reply::Answer(answer) = &mut reply {
            answer.headers.push(date(now));
            if purpose.is_none() {
                answer.headers.extend(self.network.headers.clone());
            }
        }
        let input = match purpose {
            None => Input::Published { id, reply },
            Some(purpose) => Input::Answered { id, purpose, reply },
        };
        self.at(now + wait, Happening::Input(self.boot, input));
    }

    fn cancel(&mut self, id: DeliveryId) {
        let Some(held) = self.engine.as_ref().map(|it| it.holds(id)) else { return };
        self.note(&format!("the user cancels {id}"));
        if held {
            return self.input(Input::Ask { id, ask: Ask::Cancel, ticket: 1 });
        }
        let before = self.store[&id].clone();
        if let Ok(event) = ask::event(&before, &Ask::Cancel, self.settings.give_up_after, self.now)
            && let Ok(after) = before.apply(event, self.now)
        {
            self.writer_free = self.writer_free.max(self.now) + millis(3);
            self.at(self.writer_free, Happening::Rest(self.boot, Box::new((before, after))));
        }
    }

    fn reconnect(&mut self, account: AccountId) {
        self.note("the user reconnects");
        self.accounts.get_mut(&account).unwrap().state = AccountState::Ready;
        let now = self.now;
        for delivery in self.store.values_mut() {
            if delivery.account == account && delivery.state == State::NeedsReconnect {
                *delivery = delivery.apply(Event::TryNow { at: now, anyway: false }, now).unwrap();
            }
        }
        self.input(Input::AccountChanged(account));
    }
}
