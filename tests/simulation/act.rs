//! The edges of the world: what the engine decides is carried out.

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::{ledger, renewal};
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::engine::{Effect, Input, Purpose, Reply, Save};
use sendoff::platforms::Request;
use sendoff::store::accounts;

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
                // Nor is what may be live already early any more.
                let hurried = self.watch.hurried.contains(&save.after.id) || save.before.begun();
                assert!(wall >= due || self.now >= due || hurried, "never early (I13)");
                let in_time = save.before.begun() || save.before.late.allows(due, wall);
                assert!(in_time, "it leaves later than its policy allows (R11)");
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
                self.at(self.now, Happening::Refresh(self.life, account, wall, true));
            }
            Effect::AccountDead { account, issued_at, reason } => {
                let row = self.read(|rx| accounts::get(rx, account)).unwrap();
                if row.is_some_and(|it| it.issued_at != issued_at) {
                    self.note("its tokens of before are dead");
                    let words = reason.message;
                    let job: Job =
                        Box::new(move |tx| renewal::need_a_person(tx, account, issued_at, &words).map(drop));
                    let then = Some(Happening::Input(self.life, Input::AccountChanged(account)));
                    return self.write(Write::Rest { what: "other tokens", id: None, job, then });
                }
                self.note("the account needs a person");
                self.mark_dead(account, issued_at, reason.message);
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
        let mut write = self.ledger.save(save, wall);
        let job: Job = Box::new(move |tx| write(tx).map(drop));
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
        let lag = 20 + self.rng.below(400);
        // A film takes its time.
        let slow = self.has_slow_calls() && purpose == Some(Purpose::Prepare) && lag.is_multiple_of(16);
        let lag = millis(if slow { lag * 2000 } else { lag });
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
                // What is refused in so many words has happened by then, or has not.
                let late = if self.network.instagram.lies { secs(0) } else { late };
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
                if !clean {
                    self.network.instagram.unheard(&request.path);
                }
                answer.body.truncate(cut);
                Reply::Answer(answer)
            }
        };
        if let Reply::Answer(answer) = &mut reply {
            // An answer bears the time at which it is given.
            answer.headers.push(date(if slow { now + wait } else { now }));
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

    /// Not where what is prepared may end meanwhile, again and again.
    fn has_slow_calls(&self) -> bool {
        self.has_slow_uploads && !self.network.is_of_meta()
    }

    /// Older servers of class B write the key after the effect. There, a request that is still to
    /// take effect when its repeat comes would double whatever the client does; the world lets
    /// those servers finish within 20 s.
    fn late_max(&self) -> u64 {
        if self.network.abilities.key_lag.is_zero() { self.t_late } else { 20 }
    }

    pub(crate) fn reply_arrives(&mut self, input: &Input) {
        if let Input::Published { id, reply } = input {
            let account = self.watch.rows[id].account;
            self.watch.call_ended(account, *id, self.now);
            if let Reply::Answer(answer) = reply
                && self.network.denies(answer)
            {
                self.watch.was_denied(*id);
            }
            let wall = self.wall();
            self.watch.pace.answered(account, *id, (wall, self.now));
        }
    }

    fn mark_dead(&mut self, account: AccountId, issued_at: Option<Timestamp>, words: String) {
        self.reckon_dead(account);
        let job: Job = Box::new(move |tx| renewal::need_a_person(tx, account, issued_at, &words).map(drop));
        self.write(Write::Rest { what: "account dead", id: None, job, then: None });
        self.meet_again(account);
    }

    /// The user sees it and comes back, some time.
    pub(crate) fn meet_again(&mut self, account: AccountId) {
        let at = self.now + self.rng.secs(300, 10_800);
        self.at(at, Happening::User(Wish::Reconnect(account)));
    }
}

/// Long enough for everything to end: a day to be given up, a day to be held, and some.
pub(crate) fn bounded() -> SignedDuration {
    SignedDuration::from_hours(24 * 8)
}
