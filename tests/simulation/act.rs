//! The edges of the world: what the engine decides is carried out.

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger;
use sendoff::domain::account::AccountState;
use sendoff::domain::delivery::Reason;
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::engine::{Effect, Input, Purpose, Refreshed, Reply, Save};
use sendoff::platforms::Request;
use sendoff::store::{StoreError, Tx, accounts, vault};

use super::coverage::Label;
use super::dice::{millis, secs};
use super::networks::{Fault, date};
use super::plan::Wish;
use super::reckon::Whom;
use super::world::{Happening, World};
use super::writer::{Job, Write};

impl World {
    pub(crate) fn carry_out(&mut self, effect: Effect) {
        let wall = self.wall();
        match effect {
            Effect::FetchDue { limit } => {
                let store = self.store.clone().unwrap();
                let due = ledger::due(&store, wall, limit).unwrap();
                self.index_wake = due.next;
                self.soon(Input::Due { rows: due.rows, all: due.all });
            }
            Effect::Load { id } => {
                let store = self.store.clone().unwrap();
                let work = ledger::load(&store, id, self.find).unwrap().map(Box::new);
                self.soon(Input::Loaded { id, work });
            }
            Effect::Save(save) => {
                self.pace_save(&save);
                self.flush_claim();
                if save.event == "claim" { self.claim = Some(save) } else { self.save(*save) }
            }
            Effect::Publish { save, request } => {
                // As the daemon's loop: claim and intent of one delivery are one write.
                if self.claim.as_ref().is_some_and(|it| it.after.id != save.after.id) {
                    self.flush_claim();
                }
                let claim = self.claim.take().map(|it| Box::new((it.before, it.after)));
                if claim.is_some() {
                    self.note(&format!("claim {}", save.after.id));
                }
                // Set back after the claim, the wall clock may show less; in truth its time has come, or the
                // user wanted it out at once.
                let due = save.after.due.instant;
                let hurried = self.watch.hurried.contains(&save.after.id);
                assert!(wall >= due || self.now >= due || hurried, "never early (I13)");
                self.pace_intent(&save.before);
                let (seq, store) = (save.seq, self.store.clone().unwrap());
                let pair = Box::new((save.before.clone(), save.after.clone()));
                if self.intent_skipped {
                    let leave =
                        Happening::Leave(self.life, save.after.id, save.after.account, None, request.clone());
                    self.at(self.now, leave);
                }
                let (before, after, attempt) = self.ledger.intend(&store, *save, 0, wall).unwrap().unwrap();
                assert!((&before, &after) == (&pair.0, &pair.1));
                self.write(Write::Intend { seq, claim, pair, attempt, request });
            }
            Effect::Call { id, account, purpose, request } => {
                let at = self.now + millis(self.rng.below(5));
                self.at(at, Happening::Leave(self.life, id, account, Some(purpose), request));
            }
            Effect::Refresh { account } => {
                self.note("refresh");
                self.watch.reckon.begin(Whom::Account(account), "refresh", self.now);
                self.at(self.now, Happening::Refresh(self.life, account, wall));
            }
            Effect::AccountDead { account, reason } => {
                self.note("the account needs a person");
                self.mark_dead(account, reason.message);
            }
            Effect::Confirm { id, step, verified, permalink } => self.confirm(id, step, verified, permalink),
            Effect::CameToNothing { id, .. } => panic!("nothing fails here once it was taken: {id}"),
            Effect::WakeAt(at) => self.engine_wake = Some(at),
            Effect::Reply { ticket, result } => {
                let word = if result.is_ok() { "granted" } else { "refused" };
                self.note(&format!("wish {ticket} {word}"));
            }
        }
    }

    /// A claim that no intent took along is written by itself.
    pub(crate) fn flush_claim(&mut self) {
        // What dies with the daemon is written by nobody.
        if let Some(claim) = self.claim.take().filter(|_| self.engine.is_some()) {
            self.save(*claim);
        }
    }

    fn save(&mut self, save: Save) {
        let (id, seq, event) = (save.after.id, save.seq, save.event);
        let pair = Box::new((save.before.clone(), save.after.clone()));
        let wall = self.wall();
        self.note(&format!("{event} {id}"));
        let job: Job = Box::new(self.ledger.save(save, wall));
        self.write(Write::Save { id, seq, event, pair, job });
    }

    // --- calls -----------------------------------------------------------------------------------

    /// A request leaves the machine; `purpose` is none for the one that publishes.
    pub(crate) fn leave(
        &mut self,
        id: DeliveryId,
        account: AccountId,
        purpose: Option<Purpose>,
        request: &Request,
    ) {
        self.calls += 1;
        let late_max = self.late_max();
        let row = self.row(id);
        let origin = purpose.is_none().then_some((id, row.step));
        if purpose.is_none() {
            self.published_calls += 1;
            self.watch_leave(&row);
        }
        if purpose == Some(Purpose::Scan) {
            self.watch.pace.searched(id);
        }
        let looking = purpose == Some(Purpose::Look);
        let publishing = purpose.is_none();
        if publishing && self.targets.front().is_some_and(|it| it.label == Label::C8 && it.skip == 0) {
            // Half a request is nothing, or it is enough for the other side.
            if self.rng.chance(50) {
                let at = self.now + self.rng.secs(0, late_max);
                self.at(at, Happening::Land(account, origin, request.clone()));
            }
        }
        if (publishing && self.point(Label::C8)) || (looking && self.point(Label::C13)) {
            return;
        }
        let mut fault = self.network.any_fault(&mut self.rng, publishing, request.label);
        let expired = request.auth && fault == Fault::None && !self.token_works(account);
        if expired {
            fault = Fault::Refused(self.network.expired());
        }
        self.note(&format!("{} of {id} leaves: {fault:?}", request.label));
        let owner = self.owners[&account].clone();
        let lag = millis(20 + self.rng.below(400));
        let late = self.rng.secs(0, late_max);
        let now = self.now;
        self.network.landing = origin;
        let mut clean = matches!(fault, Fault::None);
        let wait = if fault == Fault::LostBefore { secs(60) } else { lag };
        self.reckon_call((id, account, row.step), purpose, &fault, wait);
        self.reckon_break(id, request.label, wait);
        self.block_begins(id, account, &fault);
        let mut reply = match fault {
            Fault::None => Reply::Answer(self.network.land(&owner, request, now)),
            Fault::NotSent => {
                self.watch.no_effect(origin);
                Reply::NotSent("connection refused".into())
            }
            Fault::LostBefore => Reply::Lost("no answer within 60 s".into()),
            Fault::LostAfter => {
                self.at(now + late, Happening::Land(account, origin, request.clone()));
                Reply::Lost("connection reset".into())
            }
            Fault::Misleading(answer) => {
                self.at(now + late, Happening::Land(account, origin, request.clone()));
                Reply::Answer(answer)
            }
            Fault::Refused(answer) => {
                if answer.status < 500 {
                    self.watch.no_effect(origin);
                }
                Reply::Answer(answer)
            }
            Fault::Cut => {
                let mut answer = self.network.land(&owner, request, now);
                let cut = usize::try_from(self.rng.below(1 + answer.body.len() as u64)).unwrap();
                // Cut behind its last byte, it is whole.
                clean = cut == answer.body.len();
                answer.body.truncate(cut);
                Reply::Answer(answer)
            }
        };
        if let Reply::Answer(answer) = &mut reply {
            answer.headers.push(date(now));
            if publishing {
                answer.headers.extend(self.watch.pace.headers(id, now));
            }
        }
        if let (true, Reply::Answer(answer)) = (clean, &reply) {
            self.reckon_read(purpose, (id, row.step), answer);
            self.reckon_answer(origin, &reply);
            if publishing && answer.status >= 400 && answer.status != 422 {
                self.watch.no_effect(origin);
            }
        }
        if publishing && clean && self.point(Label::C9) {
            return;
        }
        if looking && self.point(Label::C13) {
            return;
        }
        let input = match purpose {
            None => Input::Published { id, reply },
            Some(purpose) => Input::Answered { id, purpose, reply },
        };
        self.at(now + wait, Happening::Input(self.life, input));
    }

    /// Older servers of class B write the key after the effect. There, a request that is still to
    /// take effect when its repeat comes would double whatever the client does; the world lets
    /// those servers finish within 20 s.
    fn late_max(&self) -> u64 {
        if self.network.abilities.key_lag.is_zero() { self.t_late } else { 20 }
    }

    pub(crate) fn reply_arrives(&mut self, input: &Input) {
        if let Input::Published { id, .. } = input {
            let account = self.watch.rows[id].account;
            self.watch.call_ended(account, *id, self.now);
            let wall = self.wall();
            self.watch.pace.answered(account, *id, wall);
        }
    }

    // --- tokens ----------------------------------------------------------------------------------

    fn token_works(&self, account: AccountId) -> bool {
        let (newest, end) = self.tokens[&account];
        let held = self.read(|rx| vault::get_grant(rx, account)).unwrap().map(|it| number(&it.sealed));
        held == Some(newest) && end.is_none_or(|end| self.now < end)
    }

    /// One refresh at a time; who comes second finds the first one's work done.
    pub(crate) fn refresh(&mut self, account: AccountId, asked: Timestamp) {
        if !self.refreshing.insert(account) {
            let at = self.now + millis(100);
            self.refreshing_again(at, account, asked);
            return;
        }
        let row = self.read(|rx| accounts::get(rx, account)).unwrap();
        let Some(row) = row.filter(|_| !self.is_leaving(account)) else {
            self.refreshing.remove(&account);
            let reason = Reason::new("account_gone", "it is disconnected");
            return self.soon(Input::Refreshed { account, outcome: Refreshed::Dead(reason) });
        };
        if let Some(why) = &row.reason {
            self.refreshing.remove(&account);
            let reason = Reason::new("account_dead", why.clone());
            return self.soon(Input::Refreshed { account, outcome: Refreshed::Dead(reason) });
        }
        if row.issued_at.is_some_and(|issued| issued >= asked) {
            self.refreshing.remove(&account);
            return self.soon(Input::Refreshed { account, outcome: Refreshed::Fresh(Box::new(row)) });
        }
        let grant = self.read(|rx| vault::get_grant(rx, account)).unwrap().unwrap();
        let left = self.read(|rx| vault::refresh_of(rx, account)).unwrap();
        if left.is_some_and(|it| it.version == grant.version) {
            // A crash came between: this is the one repeat.
            return self.at(self.now, Happening::RefreshCall(self.life, account, true));
        }
        let intent =
            vault::RefreshIntent { account, version: grant.version, digest: [7; 32], started: self.wall() };
        let job: Job = Box::new(move |tx| vault::begin_refresh(tx, &intent));
        let then = Some(Happening::RefreshCall(self.life, account, false));
        self.write(Write::Rest { what: "refresh intent", id: None, job, then });
    }

    fn refreshing_again(&mut self, at: Timestamp, account: AccountId, asked: Timestamp) {
        self.at(at, Happening::Refresh(self.life, account, asked));
    }

    /// The refresh token is used. What it was is dead from here on, if the network is strict.
    pub(crate) fn refresh_call(&mut self, account: AccountId, repeat: bool) {
        self.calls += 1;
        let grant = self.read(|rx| vault::get_grant(rx, account)).unwrap().unwrap();
        let (newest, _) = self.tokens[&account];
        let spent = number(&grant.sealed) != newest;
        let trouble = !repeat && self.rng.chance(self.refresh_trouble);
        if trouble && self.rng.chance(50) {
            self.note("the refresh cannot be sent");
            let job: Job = Box::new(move |tx| vault::clear_refresh(tx, account).map(drop));
            let reason = Reason::new("refresh", "not sent");
            let outcome = Refreshed::Later { at: self.wall() + secs(60), reason };
            return self.refresh_done(account, job, outcome);
        }
        if spent && !self.forgives {
            self.note("the refresh token is spent");
            self.reckon_spent(account);
            let reason = Reason::new("account_dead", "its token is spent");
            let words = reason.message.clone();
            let job: Job = Box::new(move |tx| {
                vault::clear_refresh(tx, account)?;
                dead_row(tx, account, &words)
            });
            self.meet_again(account);
            return self.refresh_done(account, job, Refreshed::Dead(reason));
        }
        let (fresh, end) = self.rotate(account);
        if self.point(Label::C14) {
            return;
        }
        if trouble {
            self.note("the answer to the refresh is lost");
            let at = self.now + secs(30);
            return self.at(at, Happening::RefreshCall(self.life, account, true));
        }
        let mut row = self.read(|rx| accounts::need(rx, account)).unwrap();
        row.issued_at = Some(self.wall());
        row.expires_at = end;
        let (wall, stored, version) = (self.wall(), row.clone(), grant.version);
        let job: Job = Box::new(move |tx| {
            vault::put_grant(tx, account, Some(version), &fresh.to_le_bytes(), Some(wall), end)?;
            let mut row = accounts::need(tx, account)?;
            row.issued_at = Some(wall);
            row.expires_at = end;
            accounts::put(tx, &row)
        });
        self.refresh_done(account, job, Refreshed::Fresh(Box::new(stored)));
    }

    /// A new token; what the daemon is told of its end goes by its own clock.
    pub(crate) fn rotate(&mut self, account: AccountId) -> (u64, Option<Timestamp>) {
        let fresh = self.tokens[&account].0 + 1;
        self.tokens.insert(account, (fresh, self.token_life.map(|life| self.now + life)));
        (fresh, self.token_life.map(|life| self.wall() + life))
    }

    /// Durable before it is used.
    fn refresh_done(&mut self, account: AccountId, job: Job, outcome: Refreshed) {
        self.refreshing.remove(&account);
        let then = Some(Happening::Input(self.life, Input::Refreshed { account, outcome }));
        self.write(Write::Rest { what: "refreshed", id: None, job, then });
    }

    pub(crate) fn mark_dead(&mut self, account: AccountId, words: String) {
        self.reckon_dead(account);
        let job: Job = Box::new(move |tx| dead_row(tx, account, &words));
        self.write(Write::Rest { what: "account dead", id: None, job, then: None });
        self.meet_again(account);
    }

    /// The user sees it and comes back, some time.
    fn meet_again(&mut self, account: AccountId) {
        let at = self.now + self.rng.secs(300, 10_800);
        self.at(at, Happening::User(Wish::Reconnect(account)));
    }
}

fn dead_row(tx: &mut Tx<'_>, account: AccountId, words: &str) -> Result<(), StoreError> {
    let Some(mut row) = accounts::get(tx, account)? else { return Ok(()) };
    if row.state == AccountState::Ready {
        row.state = AccountState::NeedsReconnect;
    }
    row.reason = Some(words.to_owned());
    accounts::put(tx, &row)
}

fn number(sealed: &[u8]) -> u64 {
    u64::from_le_bytes(sealed.try_into().unwrap())
}

/// Long enough for everything to end: a day to be given up, a day to be held, and some.
pub(crate) fn bounded() -> SignedDuration {
    SignedDuration::from_hours(24 * 8)
}
