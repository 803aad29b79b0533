//! The loop: waits, hands what happened to the engine, carries out what it decides.
//!
//! One task owns the engine. Writes are queued in the order the engine issued them, before
//! anything else is awaited, so the store sees one delivery's writes in order. Calls run in tasks
//! of their own and come back as inputs.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use super::calls::{call_for, contents_of};
use super::ledger::{self, Ledger};
use super::shared::Shared;
use super::wire::fill;
use super::{files, queues, quota, recurring, set_back, settings, spend, tokens, view};
use crate::domain::delivery::{Delivery, NOTHING, Reason};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::domain::moment::Moment;
use crate::engine::ask::{Ask, Refused};
use crate::engine::{Effect, Engine, Evidence, Input, Purpose, Save};
use crate::failpoint::cp;
use crate::platforms::{self, Request};
use crate::store::deliveries;

/// The clock is read again at least this often, whatever is due.
const NAP: SignedDuration = SignedDuration::from_secs(30);
/// The event of W1.
const CLAIM: &str = "claim";
/// Inputs handled before what they set going is started and the clock is read again.
const BURST: usize = 256;
/// The due index is read again no sooner than this many times as long as the last read took: it
/// lists what waits for a lane each time, and every end of a delivery asks for it.
const READ_REST: u32 = 9;
/// But no longer than this; a post that was just made due does not wait noticeably.
const READ_REST_MAX: Duration = Duration::from_millis(50);
/// A running call gets this long when the daemon is told to stop.
const GRACE: Duration = Duration::from_secs(80);

/// Wishes of users on their way through the engine.
#[derive(Default)]
pub(super) struct Asks {
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    senders: HashMap<u64, oneshot::Sender<Result<(), Refused>>>,
    /// The loop has ended: nobody will answer any more.
    closed: bool,
}

impl Asks {
    /// Sends a wish about a delivery the engine holds, and waits for the answer.
    pub(super) async fn ask(&self, shared: &Shared, id: DeliveryId, ask: Ask) -> Result<(), Refused> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.wait(ticket, sender);
        shared.send(Input::Ask { id, ask, ticket });
        receiver.await.unwrap_or_else(|_| {
            Err(Refused { code: "stopping", message: "the daemon is stopping".into(), hint: None })
        })
    }

    fn answer(&self, ticket: u64, result: Result<(), Refused>) {
        let sender = self.waiting().senders.remove(&ticket);
        if let Some(sender) = sender {
            // The client may have gone away.
            drop(sender.send(result));
        }
    }

    fn wait(&self, ticket: u64, sender: oneshot::Sender<Result<(), Refused>>) {
        let mut waiting = self.waiting();
        // Dropping the sender is the answer when nobody will give one.
        if !waiting.closed {
            waiting.senders.insert(ticket, sender);
        }
    }

    /// Whoever still waits hears that the daemon is stopping.
    fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.senders.clear();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write was refused because the row had changed, and the engine let go of it. Rows in a worker's
/// hands are not in the due index, so nobody would ever look at it again: it is put back.
async fn settle(shared: &Arc<Shared>, id: DeliveryId) {
    let now = shared.moment();
    let reason = "another change came in between";
    if let Err(error) = shared.store.write(move |tx| ledger::put_back(tx, id, reason, now)).await {
        tracing::error!(delivery = %id, %error, "a delivery could not be put back; a restart does it");
    }
    shared.nudge();
}

/// The loop's own state.
pub(super) struct Driver {
    shared: Arc<Shared>,
    engine: Engine,
    inputs: mpsc::UnboundedReceiver<Input>,
    ledger: Ledger,
    /// When the engine, or the due index, has something again.
    engine_wake: Option<Timestamp>,
    index_wake: Arc<Mutex<Option<Timestamp>>>,
    /// When the due index may be read again.
    read_again: Arc<Mutex<Option<tokio::time::Instant>>>,
    /// Deliveries to read, all in one go when the inputs at hand are handled.
    loads: Vec<DeliveryId>,
    /// A claim that is not queued yet: the intent that follows it in the same breath takes it along.
    claim: Option<Box<Save>>,
    /// Deliveries in hand whose post has files, which may go when it has ended.
    with_media: HashSet<DeliveryId>,
    /// Read back by this start in place of the one before, which may have paid for it already.
    unseen: HashSet<DeliveryId>,
    preflight: super::preflight::Preflight,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, inputs: mpsc::UnboundedReceiver<Input>) -> Self {
        let random = Box::new(|buffer: &mut [u8]| fill(buffer));
        let engine = Engine::new(settings::of(&shared.config()), random);
        Self {
            shared,
            engine,
            inputs,
            ledger: Ledger::new(platforms::find),
            engine_wake: None,
            index_wake: Arc::default(),
            read_again: Arc::default(),
            loads: Vec::new(),
            claim: None,
            with_media: HashSet::new(),
            unseen: HashSet::new(),
            preflight: super::preflight::Preflight::default(),
        }
    }

    /// Runs until told to stop, then lets running calls finish and be recorded.
    /// `known`: what the engine must know before it decides anything.
    pub(super) async fn run(mut self, known: Vec<Input>, stop: watch::Receiver<bool>) {
        self.step(known.into_iter().chain([Input::Tick]));
        self.work(stop).await;
        self.shared.asks.close();
    }

    async fn work(&mut self, mut stop: watch::Receiver<bool>) {
        let mut burst = Vec::new();
        let mut stopping = None;
        loop {
            let nap = self.nap();
            tokio::select! {
                // All that is there, up to a limit.
                n = self.inputs.recv_many(&mut burst, BURST) => {
                    if n == 0 {
                        return;
                    }
                    // What a stopping daemon was told to take up again, the next one does.
                    let ending = stopping.is_some();
                    self.step(burst.drain(..).filter(|it| !(ending && matches!(it, Input::Pause(false)))));
                }
                () = tokio::time::sleep(nap) => self.step([Input::Tick]),
                _ = stop.wait_for(|stop| *stop), if stopping.is_none() => {
                    stopping = Some(tokio::time::Instant::now() + GRACE);
                    self.step([Input::Pause(true)]);
                }
            }
            if let Some(limit) = stopping
                && (!self.engine.is_publishing() || tokio::time::Instant::now() >= limit)
            {
                return;
            }
        }
    }

    fn nap(&self) -> Duration {
        let now = self.shared.now();
        let index = *self.index_wake.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = [self.engine_wake, index].into_iter().flatten().min();
        let span = wake.map_or(NAP, |at| at.duration_since(now).clamp(SignedDuration::ZERO, NAP));
        Duration::try_from(span).unwrap_or(Duration::ZERO)
    }

    /// Hands in what happened, then carries out what the engine decided.
    fn step(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let moment = self.shared.moment();
        let now = moment.wall;
        self.engine_wake = None;
        let mut tick = false;
        // What speaks against sending is known to the engine before it decides.
        for input in self.preflight.news(&self.shared, moment).into_iter().chain(inputs) {
            match &input {
                Input::Tick => {
                    tick = true;
                    *self.index_wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                Input::Stepped(by) => {
                    self.shared.token_waits().forget();
                    if by.is_negative() {
                        self.bring_near(-*by, moment);
                    }
                }
                Input::Ask { id, ticket, .. } if !self.engine.holds(*id) => {
                    let gone = Refused {
                        code: "changed",
                        message: format!("delivery `{id}` changed meanwhile"),
                        hint: None,
                    };
                    self.shared.asks.answer(*ticket, Err(gone));
                    continue;
                }
                Input::Unseen(unseen) => self.unseen.extend(unseen.iter().map(|it| it.delivery.id)),
                Input::Loaded { id, work: Some(work) } if !work.post.media.is_empty() => {
                    self.with_media.insert(*id);
                }
                _ => {}
            }
            let effects = self.engine.take(input, moment);
            self.carry_out_all(effects, now);
        }
        self.shared.set_clock_in_doubt(self.engine.doubts_the_clock());
        if tick {
            // Only now: this may have the planner look, which must know of the doubt.
            self.shared.ticked(now);
        }
        let effects = self.engine.start(now);
        if self.engine.have_waits_changed() {
            self.shared.set_waits(self.engine.waits(now));
        }
        self.shared.time.compared(self.engine.clock_off());
        self.carry_out_all(effects, now);
        self.load();
    }

    fn carry_out_all(&mut self, effects: Vec<Effect>, now: Timestamp) {
        for effect in effects {
            self.carry_out(effect, now);
        }
        if let Some(claim) = self.claim.take() {
            self.save(*claim);
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::FetchDue { limit } => self.fetch(limit),
            Effect::Load { id } => self.loads.push(id),
            Effect::Save(save) => {
                if let Some(earlier) = self.claim.take() {
                    self.save(*earlier);
                }
                if save.event == CLAIM { self.claim = Some(save) } else { self.save(*save) }
            }
            Effect::Publish { save, request } => {
                // Claim and intent of one delivery are one write.
                let claim = self.claim.take();
                let (own, other) = match claim {
                    Some(claim) if claim.after.id == save.after.id => (Some(claim), None),
                    other => (None, other),
                };
                if let Some(other) = other {
                    self.save(*other);
                }
                self.publish(own.map(|it| *it), *save, request);
            }
            Effect::Call { id, account, purpose, request } => self.call(id, account, purpose, request),
            Effect::Refresh { account } => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let outcome = tokens::refresh(&shared, account, now).await;
                    shared.send(Input::Refreshed { account, outcome });
                });
            }
            Effect::AccountDead { account, issued_at, reason } => {
                let write = tokens::mark_dead(&self.shared, account, issued_at, reason);
                tokio::spawn(async move {
                    if let Err(error) = write.await {
                        tracing::error!(%error, "could not store that an account needs a person");
                    }
                });
            }
            Effect::Confirm { id, step, verified, permalink } => self.confirm(id, step, verified, permalink),
            Effect::CameToNothing { id, step, reason, answer } => {
                self.came_to_nothing(id, step, reason, answer);
            }
            Effect::WakeAt(at) => self.engine_wake = Some(at),
            Effect::Reply { ticket, result } => self.shared.asks.answer(ticket, result),
        }
    }

    fn fetch(&self, limit: usize) {
        let shared = Arc::clone(&self.shared);
        let wake = Arc::clone(&self.index_wake);
        let again = Arc::clone(&self.read_again);
        tokio::spawn(async move {
            let rest = *again.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(rest) = rest {
                tokio::time::sleep_until(rest).await;
            }
            tokio::task::spawn_blocking(move || {
                let began = tokio::time::Instant::now();
                let input = match ledger::due(&shared.store, shared.now(), limit) {
                    Ok(ledger::Due { rows, all, next }) => {
                        *wake.lock().unwrap_or_else(PoisonError::into_inner) = next;
                        Input::Due { rows, all }
                    }
                    // An I/O error has ended the store, and the daemon with it. Anything else is
                    // tried again: the engine must not wait for an answer that never comes.
                    Err(error) => {
                        tracing::error!(%error, "cannot read what is due");
                        *wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
                        Input::Due { rows: Vec::new(), all: true }
                    }
                };
                let ended = tokio::time::Instant::now();
                let rest = ((ended - began) * READ_REST).min(READ_REST_MAX);
                *again.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended + rest);
                shared.send(input);
            });
        });
    }

    /// Reads what the engine asked for.
    fn load(&mut self) {
        if self.loads.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.loads);
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || {
            for id in ids {
                let work = ledger::load(&shared.store, id, platforms::find).and_then(|work| {
                    let Some(mut work) = work else { return Ok(None) };
                    if work.hold.is_none() {
                        work.hold = recurring::hold(&shared, &work)?;
                    }
                    work.broke = spend::broke(&shared, &work)?;
                    Ok(Some(Box::new(work)))
                });
                let (work, why) = match work {
                    Ok(Some(work)) => (Some(work), None),
                    Ok(None) => (None, ledger::why_unloadable(&shared.store, id, platforms::find)),
                    Err(error) => (None, Some(error.to_string())),
                };
                if let Some(why) = &why {
                    tracing::error!(delivery = %id, %why, "a delivery that is due cannot be worked on");
                }
                shared.note_unloadable(id, why);
                shared.send(Input::Loaded { id, work });
            }
        });
    }

    fn save(&mut self, save: Save) {
        let (seq, event, id) = (save.seq, save.event, save.after.id);
        let now = self.shared.now();
        let moved = save.after.clone();
        let clean_up = moved.state.is_terminal() && self.with_media.remove(&id);
        cp!("c1", event == CLAIM);
        // Queued here, in the engine's order; awaited elsewhere.
        let write = self.shared.store.write(self.ledger.save(save, now));
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            match write.await {
                Ok(went_on) => {
                    cp!("c2", event == "claim");
                    cp!("c5", event == "prepare");
                    cp!("c12", moved.state.is_terminal());
                    // A state that did not last is in the history alone.
                    match went_on {
                        Some(it) => log_move(&it, "reconnected", now),
                        None => log_move(&moved, event, now),
                    }
                    shared.send(Input::Saved { id, seq, conflict: false });
                    queues::recheck(&shared, &moved).await;
                    if clean_up {
                        files::after_end(&shared.store, &shared.library, moved.post, shared.now()).await;
                    }
                }
                Err(error) if error.is_fatal() => tracing::error!(%error, "a write failed"),
                Err(error) => {
                    tracing::warn!(delivery = %id, %error, "a write was refused");
                    shared.send(Input::Saved { id, seq, conflict: true });
                    settle(&shared, id).await;
                }
            }
        });
    }

    /// `claim`: not written yet; it is, together with the intent.
    fn publish(&mut self, claim: Option<Save>, save: Save, request: Request) {
        // What has no intent on the disk may be repeated, and what has one may not.
        debug_assert!(platforms::is_publishing(request.label), "`{}` publishes", request.label);
        let (seq, id, account) = (save.seq, save.after.id, save.after.account);
        let now = self.shared.now();
        let moved = save.after.clone();
        let network = save.after.name.platform();
        let cost = platforms::find(network).map_or(0, |it| it.price(&request));
        let budget = self.shared.config().platform(network).monthly_budget;
        let (before, after, attempt) = match self.ledger.intend(&self.shared.store, save, cost, now) {
            Ok(Some(intent)) => intent,
            Ok(None) => return,
            // The call is not made; the row is put back with the writer's next turn.
            Err(error) => {
                tracing::error!(%error, "cannot number an attempt");
                self.shared.send(Input::Saved { id, seq, conflict: true });
                let shared = Arc::clone(&self.shared);
                return drop(tokio::spawn(async move { settle(&shared, id).await }));
            }
        };
        cp!("c1", claim.is_some());
        // The intent starts from what the claim makes.
        let (before, claimed) = match claim {
            Some(claim) => (claim.before, Some(before)),
            None => (before, None),
        };
        let write = self.shared.store.claim_and_intend(before, claimed.clone(), after, attempt, budget);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            cp!("c6"); // the commit runs meanwhile
            let intent = match write.await {
                Ok(intent) => intent,
                Err(error) if error.is_fatal() => {
                    return tracing::error!(%error, "an intent could not be written");
                }
                Err(error) => {
                    tracing::warn!(delivery = %id, %error, "an intent was refused");
                    shared.send(Input::Saved { id, seq, conflict: true });
                    return settle(&shared, id).await;
                }
            };
            if let Some(claimed) = claimed {
                cp!("c2");
                log_move(&claimed, CLAIM, now);
            }
            cp!("c7");
            log_move(&moved, "intend", now);
            let (reply, told) = match contents_of(&shared, account, Some(id), &request).await {
                Ok(contents) => {
                    let parcel = contents.parcel(&shared, &request);
                    let reply = shared.wire().publish(intent, &request, parcel).await;
                    let told = contents.told(&request, &reply, shared.now());
                    (reply, told)
                }
                Err(reply) => (reply, quota::Told::default()),
            };
            cp!("c10");
            // What came of it is written down first.
            shared.send(Input::Published { id, reply });
            quota::keep(&shared, told);
        });
    }

    fn call(&mut self, id: DeliveryId, account: AccountId, purpose: Purpose, request: Request) {
        debug_assert!(!platforms::is_publishing(request.label), "`{}` may be repeated", request.label);
        let shared = Arc::clone(&self.shared);
        // A read-back was paid for with what it proves; one that is made once more was not.
        let counts = purpose != Purpose::ReadBack || self.unseen.remove(&id);
        tokio::spawn(async move {
            cp!("c13", matches!(purpose, Purpose::Look));
            let reply = call_for(&shared, account, Some(id), &request, counts).await;
            // What only begins an upload makes the container.
            cp!("c3", matches!(purpose, Purpose::Prepare) && !request.label.ends_with(".start"));
            cp!("c4", matches!(purpose, Purpose::Prepare) && request.label.ends_with(".start"));
            cp!("c13", matches!(purpose, Purpose::Look));
            shared.send(Input::Answered { id, purpose, reply });
        });
    }

    /// The clock was put back: what waits in the store for a time that it showed before is due sooner.
    fn bring_near(&self, by: SignedDuration, now: Moment) {
        let write = self.shared.store.write(move |tx| set_back::bring_near(tx, by, now));
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            match write.await {
                Ok(many) => {
                    tracing::info!(many, "what waited for a time of the clock as it was waits no longer");
                }
                Err(error) => {
                    tracing::error!(%error, "what waits too long could not be brought near; a restart does it");
                }
            }
            shared.nudge();
        });
    }

    /// W5: best effort, later facts only; a failure never changes the state.
    fn confirm(&self, id: DeliveryId, step: usize, verified: bool, permalink: Option<String>) {
        let write = self.shared.store.write(move |tx| {
            let Some(before) = deliveries::get(tx, id)? else { return Ok(()) };
            let mut after = before.clone();
            after.read_back(step, verified, permalink.clone());
            if after == before {
                return Ok(());
            }
            deliveries::put(tx, Some(&before), &after, None).map(drop)
        });
        tokio::spawn(async move {
            if let Err(error) = write.await {
                tracing::warn!(delivery = %id, %error, "a read-back could not be recorded");
            }
        });
    }

    /// As [`Driver::confirm`], of what the network could not publish after all.
    fn came_to_nothing(&self, id: DeliveryId, step: usize, reason: Reason, answer: Evidence) {
        let now = self.shared.now();
        let why = reason.message.clone();
        let write = self.shared.store.write(Ledger::came_to_nothing(id, reason, answer, now));
        tokio::spawn(async move {
            match write.await {
                Ok(Some(after)) => log_move(&after, NOTHING, now),
                // More of it is to come, or it is gone: there is no end to say it of.
                Ok(None) => tracing::error!(delivery = %id, step, %why, "a part came to nothing"),
                Err(error) => {
                    tracing::warn!(delivery = %id, %error, "what a read-back shows could not be recorded");
                }
            }
        });
    }
}

fn log_move(delivery: &Delivery, event: &'static str, now: Timestamp) {
    let line = view::delivery_event(now, delivery, event);
    let (id, account, state) = (delivery.id, &delivery.name, delivery.state.as_str());
    // Its steps on the way are many, and are all in the history.
    match line.level.as_str() {
        "debug" => tracing::debug!(delivery = %id, %account, state, "{}", line.message),
        "error" => tracing::error!(delivery = %id, %account, state, "{}", line.message),
        "warn" => tracing::warn!(delivery = %id, %account, state, "{}", line.message),
        _ => tracing::info!(delivery = %id, %account, state, "{}", line.message),
    }
}
