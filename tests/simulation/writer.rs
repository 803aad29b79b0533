//! The store's writer in the simulation: what waits to be written, how it is grouped into commits, and
//! the crashes before, inside and after each.

use std::sync::{Arc, Mutex};

use sendoff::daemon::ledger;
use sendoff::domain::attempt::Attempt;
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::ids::DeliveryId;
use sendoff::engine::Input;
use sendoff::platforms::{Class, Request};
use sendoff::store::{Store, StoreError, Tx, deliveries};

use super::coverage::Label;
use super::dice::millis;
use super::rows::all_rows;
use super::world::{Happening, World};

/// A write's transaction.
pub(crate) type Job = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send>;

/// What the daemon's writer has waiting.
pub(crate) enum Write {
    Save {
        id: DeliveryId,
        seq: u64,
        event: &'static str,
        pair: Box<(Delivery, Delivery)>,
        job: Job,
    },
    /// `claim`: the claim that the same write makes, before and after it.
    Intend {
        seq: u64,
        claim: Option<Box<(Delivery, Delivery)>>,
        pair: Box<(Delivery, Delivery)>,
        attempt: Attempt,
        request: Request,
    },
    Rest {
        what: &'static str,
        id: Option<DeliveryId>,
        job: Job,
        then: Option<Happening>,
    },
}
impl World {
    /// W5, as the daemon's loop does it.
    pub(crate) fn confirm(&mut self, id: DeliveryId, step: usize, verified: bool, permalink: Option<String>) {
        let job: Job = Box::new(move |tx| {
            let Some(before) = deliveries::get(tx, id)? else { return Ok(()) };
            let mut after = before.clone();
            after.read_back(step, verified, permalink.clone());
            if after == before {
                return Ok(());
            }
            deliveries::put(tx, Some(&before), &after, None).map(drop)
        });
        self.write(Write::Rest { what: "confirm", id: Some(id), job, then: None });
    }

    /// Queues a write; the writer comes to it.
    pub(crate) fn write(&mut self, write: Write) {
        self.watch.pace.writes += 1;
        self.writer.push_back(write);
        if !self.writing {
            self.writing = true;
            let at = self.now + millis(1 + self.rng.below(20));
            self.at(at, Happening::Writer(self.life));
        }
    }

    /// One commit: an intent alone, or up to three others together, as the real writer groups them.
    pub(crate) fn write_some(&mut self) {
        self.writing = false;
        let mut group = Vec::new();
        let most = 1 + self.rng.below(3);
        while let Some(next) = self.writer.front() {
            let alone = matches!(next, Write::Intend { .. });
            if (alone && !group.is_empty()) || group.len() as u64 >= most {
                break;
            }
            group.extend(self.writer.pop_front());
            if alone {
                break;
            }
        }
        if !self.writer.is_empty() {
            self.writing = true;
            let at = self.now + millis(3 + self.rng.below(10));
            self.at(at, Happening::Writer(self.life));
        }
        for write in &group {
            if self.point(Self::label_before(write)) {
                return;
            }
        }
        let inside =
            group.iter().map(label_inside).find(|it| *it != Label::Between).unwrap_or(Label::Between);
        let cut = self.targets.front().is_some_and(|it| it.label == inside && it.skip == 0)
            && inside != Label::Between;
        if cut {
            let calls = self.rng.below(self.commit_calls.max(1));
            self.disk.cut_after(calls);
        } else if let Some(target) = self.targets.front_mut().filter(|it| it.label == inside && it.skip > 0) {
            target.skip -= 1;
        }
        let before = self.disk.calls();
        let life = self.life;
        let outcome = self.commit(group);
        if self.life != life {
            // It died right after the commit.
            return;
        }
        if outcome.is_some() {
            self.commit_calls = self.disk.calls() - before;
            self.disk.uncut();
        } else {
            assert!(cut, "the store failed by itself");
            self.targets.pop_front();
            self.crash(inside);
        }
    }

    /// None: the store failed. What it was told is then in doubt.
    fn commit(&mut self, mut group: Vec<Write>) -> Option<()> {
        let store = self.store.clone()?;
        self.commits += 1;
        if let [Write::Intend { .. }] = group.as_slice() {
            let Some(Write::Intend { seq, claim, pair, attempt, request }) = group.pop() else {
                unreachable!()
            };
            return self.commit_intent(&store, seq, claim.map(|it| *it), &pair, attempt, request);
        }
        let mut pairs: Vec<Delivery> = Vec::new();
        let mut jobs: Vec<Job> = Vec::new();
        let mut rest = Vec::new();
        for write in group {
            match write {
                Write::Save { id, seq, event, pair, job } => {
                    pairs.push(pair.1.clone());
                    jobs.push(job);
                    rest.push((Some(id), Some((seq, event, pair)), "save", None));
                }
                Write::Rest { what, id, job, then } => {
                    jobs.push(job);
                    rest.push((id, None, what, then));
                }
                Write::Intend { .. } => unreachable!("an intent is written alone"),
            }
        }
        self.watch.doubtful = pairs;
        self.watch.loose = rest.iter().filter(|it| it.1.is_none()).map(|it| it.0).collect();
        let outcomes = together(&store, jobs)?;
        self.watch.doubtful.clear();
        self.watch.loose.clear();
        // The commit is one: all of it is there before anything else can happen.
        self.watch_rows(all_rows(&store).into_values());
        for ((_, save, ..), outcome) in rest.iter().zip(&outcomes) {
            if let (Some((_, event, pair)), Ok(())) = (save, outcome) {
                self.watch_save(event, pair);
            }
        }
        for ((id, save, what, then), outcome) in rest.into_iter().zip(outcomes) {
            let refused = outcome.is_err();
            let word = if refused { " REFUSED" } else { "" };
            let row = id.map(|id| self.watch.rows[&id].clone());
            let state = row.as_ref().map_or("", |it| it.state.as_str());
            self.note(&format!(
                "write {what} {} {state}{word}",
                id.map_or(String::new(), |it| it.to_string())
            ));
            if let (true, Some(row)) = (self.tracing, row) {
                let why = row.reason.map(|it| format!("{}: {}", it.class, it.message));
                println!("    step {} attempts {} next {:?} {why:?}", row.step, row.attempts, row.next_try);
            }
            if let Some((seq, event, pair)) = save {
                if !refused && self.point(label_after(event, &pair, self.class)) {
                    return Some(());
                }
                let id = pair.1.id;
                self.soon(Input::Saved { id, seq, conflict: refused });
                if refused {
                    self.at(self.now, Happening::Settle(self.life, id));
                }
            }
            let then = if refused { self.refused(then) } else { then };
            if let Some(then) = then {
                let at = self.now + millis(1 + self.rng.below(10));
                self.at(at, then);
            }
        }
        Some(())
    }

    fn commit_intent(
        &mut self,
        store: &Store,
        seq: u64,
        claim: Option<(Delivery, Delivery)>,
        pair: &(Delivery, Delivery),
        attempt: Attempt,
        request: Request,
    ) -> Option<()> {
        let (id, account) = (pair.1.id, pair.1.account);
        self.watch.doubtful = vec![pair.1.clone()];
        let (before, claimed) = match claim {
            Some((before, claimed)) => (before, Some(claimed)),
            None => (pair.0.clone(), None),
        };
        let with_claim = claimed.is_some();
        match store.intend_blocking(before, claimed, pair.1.clone(), attempt) {
            Ok(intent) => {
                self.watch.doubtful.clear();
                self.note(&format!("intent {id} step {} try {}", intent.step(), pair.1.attempts));
                self.watch_rows([pair.1.clone()]);
                if (with_claim && self.point(Label::C2)) || self.point(Label::C7) {
                    return Some(());
                }
                let at = self.now + millis(self.rng.below(5));
                self.at(at, Happening::Leave(self.life, id, account, None, request));
                Some(())
            }
            Err(error) if error.is_fatal() => None,
            Err(error) => {
                self.watch.doubtful.clear();
                self.note(&format!("intent {id} REFUSED {error}"));
                self.soon(Input::Saved { id, seq, conflict: true });
                self.at(self.now, Happening::Settle(self.life, id));
                Some(())
            }
        }
    }

    pub(crate) fn put_back(&mut self, id: DeliveryId) {
        let moment = self.moment();
        let job: Job = Box::new(move |tx| ledger::put_back(tx, id, "another change came in between", moment));
        self.write(Write::Rest { what: "put back", id: Some(id), job, then: None });
    }

    fn label_before(write: &Write) -> Label {
        match write {
            Write::Save { event: "claim", .. } | Write::Intend { claim: Some(_), .. } => Label::C1,
            Write::Save { event: "prepare", pair, .. } => {
                let news = |key: &str| {
                    let has = |it: &Delivery| it.flight.handles.keys().any(|name| name.starts_with(key));
                    has(&pair.1) && !has(&pair.0)
                };
                if news("video.uploaded") {
                    Label::C3
                } else if ["container", "child", "video", "publish_id"].iter().any(|it| news(it)) {
                    Label::C4
                } else if news("media") || news("blob") || news("photo") {
                    Label::C3
                } else {
                    Label::Between
                }
            }
            Write::Save { pair, .. } if pair.0.state == State::Sending => Label::C10,
            Write::Save { pair, .. } if pair.0.state == State::Unknown => Label::C13,
            _ => Label::Between,
        }
    }
}

fn label_inside(write: &Write) -> Label {
    match write {
        Write::Intend { .. } => Label::C6,
        Write::Save { pair, .. } if pair.0.state == State::Sending => Label::C11,
        Write::Save { pair, .. } if pair.0.state == State::Unknown => Label::C13,
        _ => Label::Between,
    }
}

fn label_after(event: &str, pair: &(Delivery, Delivery), class: Class) -> Label {
    let mut handles = pair.1.flight.handles.keys();
    let handle = class == Class::Handle && handles.any(|it| it == "container" || it.starts_with("child"));
    match event {
        "claim" => Label::C2,
        "prepare" | "lose" if handle => Label::C5,
        _ if pair.1.state.is_terminal() && pair.1.live_prefix() == pair.1.steps.len() => Label::C12,
        _ if pair.1.state == State::Unknown => Label::C13,
        _ => Label::Between,
    }
}

/// All in one transaction; if one is refused, each in its own. None: the store failed.
fn together(store: &Store, jobs: Vec<Job>) -> Option<Vec<Result<(), StoreError>>> {
    let jobs = Arc::new(Mutex::new(jobs));
    let shared = Arc::clone(&jobs);
    let all = store.write_blocking(move |tx| shared.lock().unwrap().iter_mut().try_for_each(|job| job(tx)));
    let many = jobs.lock().unwrap().len();
    match all {
        Ok(()) => return Some((0..many).map(|_| Ok(())).collect()),
        Err(error) if error.is_fatal() => return None,
        Err(error) if many == 1 => return Some(vec![Err(error)]),
        Err(_) => {}
    }
    let mut outcomes = Vec::new();
    for n in 0..many {
        let shared = Arc::clone(&jobs);
        match store.write_blocking(move |tx| shared.lock().unwrap()[n](tx)) {
            Err(error) if error.is_fatal() => return None,
            other => outcomes.push(other),
        }
    }
    Some(outcomes)
}
