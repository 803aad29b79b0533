//! The store's writer in the simulation: what waits to be written, how it is grouped into commits, and
//! the crashes before, inside and after each.

use sendoff::daemon::ledger;
use sendoff::domain::attempt::Attempt;
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::ids::DeliveryId;
use sendoff::engine::Input;
use sendoff::platforms::{Class, Request};
use sendoff::store::{StoreError, Tx, deliveries, intent};

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

/// A write that is in a commit, and who waits for it.
enum After {
    Save { seq: u64, event: &'static str, pair: Box<(Delivery, Delivery)> },
    Intend { seq: u64, with_claim: bool, pair: Box<(Delivery, Delivery)>, request: Request },
    Rest { what: &'static str, id: Option<DeliveryId>, then: Option<Happening> },
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

    /// One commit of up to three writes together, intents among them, as the real writer groups them.
    pub(crate) fn write_some(&mut self) {
        self.writing = false;
        let most = 1 + usize::try_from(self.rng.below(3)).unwrap();
        let group: Vec<_> = self.writer.drain(..most.min(self.writer.len())).collect();
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
        let labels: Vec<_> = group.iter().map(label_inside).filter(|it| *it != Label::Between).collect();
        let target = self.targets.front_mut().filter(|it| labels.contains(&it.label));
        let inside = target.as_ref().map(|it| it.label);
        let cut = target.is_some_and(|target| {
            let now = target.skip == 0;
            target.skip = target.skip.saturating_sub(1);
            now
        });
        if cut {
            let calls = self.rng.below(self.commit_calls.max(1));
            self.disk.cut_after(calls);
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
            self.crash(inside.unwrap());
        }
    }

    /// None: the store failed. What it was told is then in doubt.
    fn commit(&mut self, group: Vec<Write>) -> Option<()> {
        let store = self.store.clone()?;
        self.commits += 1;
        let mut jobs: Vec<Job> = Vec::new();
        let mut after = Vec::new();
        for write in group {
            match write {
                Write::Save { id, seq, event, pair, job } => {
                    self.watch.doubtful.push(pair.1.clone());
                    // What waits for an account that is well again goes on in the same write.
                    self.watch.loose.extend((pair.1.state == State::NeedsReconnect).then_some(Some(id)));
                    jobs.push(job);
                    after.push(After::Save { seq, event, pair });
                }
                Write::Rest { what, id, job, then } => {
                    self.watch.loose.push(id);
                    jobs.push(job);
                    after.push(After::Rest { what, id, then });
                }
                Write::Intend { seq, claim, pair, attempt, request } => {
                    self.watch.doubtful.push(pair.1.clone());
                    let (before, claimed) = match claim.map(|it| *it) {
                        Some((before, claimed)) => (before, Some(claimed)),
                        None => (pair.0.clone(), None),
                    };
                    let with_claim = claimed.is_some();
                    jobs.push(Box::new(intent::job(before, claimed, pair.1.clone(), attempt).unwrap()));
                    after.push(After::Intend { seq, with_claim, pair, request });
                }
            }
        }
        let outcomes = store.write_together_blocking(jobs);
        if outcomes.iter().any(|it| it.as_ref().is_err_and(StoreError::is_fatal)) {
            return None;
        }
        self.watch.doubtful.clear();
        self.watch.loose.clear();
        // The commit is one: all of it is there before anything else can happen.
        self.watch_rows(all_rows(&store).into_values());
        for (after, outcome) in after.iter().zip(&outcomes) {
            if let (After::Save { event, pair, .. }, Ok(())) = (after, outcome) {
                self.watch_save(event, pair);
            }
        }
        let life = self.life;
        for (after, outcome) in after.into_iter().zip(outcomes) {
            self.answer(after, outcome);
            if self.life != life {
                break;
            }
        }
        Some(())
    }

    /// Who asked for a write hears what became of it.
    fn answer(&mut self, after: After, outcome: Result<(), StoreError>) {
        let word = if outcome.is_ok() { "" } else { " REFUSED" };
        match after {
            After::Save { seq, event, pair } => {
                let id = pair.1.id;
                self.tell_write("save", Some(id), word);
                if outcome.is_ok() && self.point(label_after(event, &pair, self.class)) {
                    return;
                }
                self.saved(id, seq, outcome.is_err());
            }
            After::Rest { what, id, then } => {
                self.tell_write(what, id, word);
                let then = if outcome.is_err() { self.refused(then) } else { then };
                if let Some(then) = then {
                    let at = self.now + millis(1 + self.rng.below(10));
                    self.at(at, then);
                }
            }
            After::Intend { seq, with_claim, pair, request } => {
                let (id, account) = (pair.1.id, pair.1.account);
                if let Err(error) = outcome {
                    self.note(&format!("intent {id} REFUSED {error}"));
                    return self.saved(id, seq, true);
                }
                self.note(&format!("intent {id} step {} try {}", pair.1.step, pair.1.attempts));
                if (with_claim && self.point(Label::C2)) || self.point(Label::C7) {
                    return;
                }
                let at = self.now + millis(self.rng.below(5));
                self.at(at, Happening::Leave(self.life, id, account, None, request));
            }
        }
    }

    fn saved(&mut self, id: DeliveryId, seq: u64, conflict: bool) {
        self.soon(Input::Saved { id, seq, conflict });
        if conflict {
            self.at(self.now, Happening::Settle(self.life, id));
        }
    }

    fn tell_write(&mut self, what: &str, id: Option<DeliveryId>, word: &str) {
        let row = id.map(|id| self.watch.rows[&id].clone());
        let state = row.as_ref().map_or("", |it| it.state.as_str());
        self.note(&format!("write {what} {} {state}{word}", id.map_or(String::new(), |it| it.to_string())));
        if let (true, Some(row)) = (self.tracing, row) {
            let why = row.reason.map(|it| format!("{}: {}", it.class, it.message));
            println!("    step {} attempts {} next {:?} {why:?}", row.step, row.attempts, row.next_try);
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
