//! Tokens in the world: the daemon's own decisions (`daemon::renewal`) against a network that rotates its
//! refresh tokens and loses answers, and what R37 promises of them.
//!
//! A refresh token is used once, and once more only when the answer was lost or the daemon died; new
//! tokens are durable before anything uses them; nobody renews a token right before a send that it
//! outlives; and in the end there is a fresh one, or the user was told why there is none.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sendoff::auth::RefreshError;
use sendoff::daemon::renewal::{self, After, Sealed};
use sendoff::domain::account::{Account, AccountState};
use sendoff::domain::delivery::{Delivery, State};
use sendoff::domain::ids::AccountId;
use sendoff::engine::{Input, Refreshed};
use sendoff::store::{accounts, vault};

use super::coverage::Label;
use super::dice::{millis, secs};
use super::world::{Happening, World};
use super::writer::{Job, Write};

/// How often the daemon's housekeeping looks, at the most. It looks each minute; to save time, here it does so
/// only while answers are outstanding.
const LOOK: SignedDuration = SignedDuration::from_mins(4);
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// No token is renewed this long before a send.
const NEAR: SignedDuration = SignedDuration::from_mins(2);

/// What the world knows of tokens beside their numbers.
#[derive(Default)]
pub(crate) struct Wallet {
    /// Uses of each refresh token.
    uses: BTreeMap<(AccountId, u64), Use>,
    /// What networks asked the daemon; it dies with it.
    pub(crate) waits: renewal::Waits,
    /// Accounts whose key is gone for good: their tokens, that a copy of the store may have, cannot be opened.
    pub(crate) keyless: BTreeSet<AccountId>,
    pub(crate) calls: u64,
    pub(crate) lost: u64,
    pub(crate) repeats: u64,
    /// Renewed by the housekeeping.
    pub(crate) ahead: u64,
}

struct Use {
    life: u64,
    times: u32,
    lost: bool,
}

impl World {
    pub(crate) fn token_works(&self, account: AccountId) -> bool {
        let (newest, end) = self.tokens[&account];
        if self.wallet.keyless.contains(&account) {
            return false;
        }
        self.held_token(account) == Some(newest) && end.is_none_or(|end| self.now < end)
    }

    fn held_token(&self, account: AccountId) -> Option<u64> {
        self.read(|rx| vault::get_grant(rx, account)).unwrap().map(|it| number(&it.sealed))
    }

    /// As the daemon's housekeeping does it.
    pub(crate) fn look_after_tokens(&mut self) {
        let wall = self.wall();
        let ripe = self.read(|rx| renewal::ripe(rx, wall, b"simulated")).unwrap();
        for account in ripe {
            if self.wallet.waits.hold_back(account, wall) {
                continue;
            }
            self.nobody_sends_soon(account);
            self.note("a token is renewed ahead");
            self.wallet.ahead += 1;
            self.refresh(account, wall, false);
        }
        self.look_after_tokens_later();
    }

    pub(crate) fn look_after_tokens_later(&mut self) {
        let lost = !self.read(vault::refreshes).unwrap().is_empty() || !self.refreshing.is_empty();
        let open = self.watch.rows.values().any(|it| !it.state.is_terminal() && !it.held);
        if lost || open {
            let at = self.now + if lost { LOOK_AGAIN } else { LOOK };
            self.at(at, Happening::Tokens(self.life));
        }
    }

    /// Never inside two minutes of a send that the token outlives. One whose answer was lost is worth nothing
    /// as it is, so it is asked for at once.
    fn nobody_sends_soon(&self, account: AccountId) {
        let left = self.read(|rx| vault::refresh_of(rx, account)).unwrap();
        let row = self.read(|rx| accounts::need(rx, account)).unwrap();
        let (Some(end), None) = (row.expires_at, left) else { return };
        let paused = row.state != AccountState::Ready;
        let wall = self.wall();
        // A look is no send.
        let mine = |it: &&Delivery| it.account == account && it.state != State::Unknown;
        for it in self.watch.rows.values().filter(mine) {
            let at = if it.in_flight() { Some(wall) } else { it.wakes_at().map(|at| at.max(wall)) };
            let Some(at) = at.filter(|at| *at <= wall + NEAR && (!paused || it.in_flight())) else {
                continue;
            };
            let id = it.id;
            assert!(
                end < at + NEAR,
                "a token is renewed right before a send that it outlives (R37): {id} at {at}, it ends {end}"
            );
        }
    }

    /// One refresh at a time; who comes second finds the first one's work done. `told`: the engine waits
    /// for it.
    pub(crate) fn refresh(&mut self, account: AccountId, asked: Timestamp, told: bool) {
        if !self.refreshing.insert(account) {
            let at = self.now + millis(100);
            return self.at(at, Happening::Refresh(self.life, account, asked, told));
        }
        let wall = self.wall();
        let row = self.read(|rx| accounts::get(rx, account)).unwrap();
        let wait = self.wallet.waits.asked(account, wall);
        if let Err(outcome) = renewal::needed(row, self.is_leaving(account), asked, wall, wait) {
            return self.refreshed(account, outcome, told);
        }
        if self.wallet.keyless.contains(&account) {
            return self.tokens_are_dead(account, "the token cannot be opened", told);
        }
        let grant = self.read(|rx| vault::get_grant(rx, account)).unwrap().unwrap();
        let left = self.read(|rx| vault::refresh_of(rx, account)).unwrap();
        let digest = [u8::try_from(number(&grant.sealed) % 251).unwrap(); 32];
        let Some(intent) = renewal::intent(left.as_ref(), account, (grant.version, digest), wall) else {
            self.wallet.repeats += 1;
            return self.at(self.now, Happening::RefreshCall(self.life, account, true, told));
        };
        let job: Job = Box::new(move |tx| vault::begin_refresh(tx, &intent));
        let then = Some(Happening::RefreshCall(self.life, account, false, told));
        self.write(Write::Rest { what: "refresh intent", id: None, job, then });
    }

    /// The request leaves, and the answer is understood as the daemon does.
    pub(crate) fn refresh_call(&mut self, account: AccountId, repeat: bool, told: bool) {
        self.calls += 1;
        self.wallet.calls += 1;
        let grant = self.read(|rx| vault::get_grant(rx, account)).unwrap().unwrap();
        let outcome = self.answer_to_refresh(account, number(&grant.sealed));
        if self.engine.is_none() {
            // It died before the answer.
            return;
        }
        let forgiven = self.forgives && !repeat;
        match renewal::after(outcome, repeat, self.wall()) {
            After::Again => {
                self.wallet.repeats += 1;
                let at = self.now + secs(30);
                self.at(at, Happening::RefreshCall(self.life, account, true, told));
            }
            After::Fresh((fresh, end)) => {
                let wall = self.wall();
                let sealed =
                    Sealed { bytes: fresh.to_le_bytes().to_vec(), issued_at: Some(wall), expires_at: end };
                let describe = move |row: &mut Account| (row.issued_at, row.expires_at) = (Some(wall), end);
                let mut row = self.read(|rx| accounts::need(rx, account)).unwrap();
                describe(&mut row);
                let job: Job = Box::new(move |tx| {
                    renewal::keep(tx, account, grant.version, &sealed, describe).map(drop)
                });
                self.refresh_ends(account, job, Refreshed::Fresh(Box::new(row)), told);
            }
            After::Dead(why) => {
                assert!(!forgiven, "one lost answer costs the account its person's time (R37)");
                self.tokens_are_dead(account, &why, told);
            }
            After::Later { at, reason, closed } => {
                let job: Job =
                    Box::new(
                        move |tx| {
                            if closed { vault::clear_refresh(tx, account).map(drop) } else { Ok(()) }
                        },
                    );
                self.refresh_ends(account, job, Refreshed::Later { at, reason }, told);
            }
        }
    }

    fn tokens_are_dead(&mut self, account: AccountId, why: &str, told: bool) {
        self.reckon_spent(account);
        let outcome = Refreshed::Dead(renewal::dead(&self.row_of(account), why));
        let why = why.to_owned();
        let job: Job = Box::new(move |tx| renewal::give_up(tx, account, &why).map(drop));
        self.meet_again(account);
        self.refresh_ends(account, job, outcome, told);
    }

    fn row_of(&self, account: AccountId) -> Account {
        self.read(|rx| accounts::need(rx, account)).unwrap()
    }

    /// The network's side. A refresh token that was used is dead from here on, if it is strict.
    fn answer_to_refresh(
        &mut self,
        account: AccountId,
        held: u64,
    ) -> Result<(u64, Option<Timestamp>), RefreshError> {
        let trouble = if self.rng.chance(self.refresh_trouble) { self.rng.below(4) } else { 9 };
        match trouble {
            0 => {
                self.note("the refresh cannot be sent");
                return Err(RefreshError::NotSent { message: "not sent".into() });
            }
            1 => {
                self.note("the network wants to be asked later");
                let until = self.wall() + self.rng.secs(30, 900);
                return Err(RefreshError::Later { until });
            }
            _ => {}
        }
        let (life, lost) = (self.life, trouble < 9);
        let it = self.wallet.uses.entry((account, held)).or_insert(Use { life, times: 0, lost: true });
        if it.life != life {
            *it = Use { life, times: 0, lost: true };
        }
        it.times += 1;
        assert!(it.lost && it.times <= 2, "a refresh token is used again, and its answer was there (R37)");
        it.lost = lost;
        self.wallet.lost += u64::from(lost);
        if lost && self.rng.chance(30) {
            self.note("the refresh is lost on its way");
            return Err(RefreshError::Lost { message: "no answer".into() });
        }
        if held != self.tokens[&account].0 && !self.forgives {
            self.note("the refresh token is spent");
            return Err(RefreshError::Dead { message: "invalid_grant".into() });
        }
        let fresh = self.rotate(account);
        if self.point(Label::C14) {
            return Err(RefreshError::Lost { message: "it died".into() });
        }
        if lost {
            self.note("the answer to the refresh is lost");
            return Err(RefreshError::Lost { message: "no answer".into() });
        }
        Ok(fresh)
    }

    /// A new token; what the daemon is told of its end goes by its own clock.
    pub(crate) fn rotate(&mut self, account: AccountId) -> (u64, Option<Timestamp>) {
        let fresh = self.tokens[&account].0 + 1;
        self.tokens.insert(account, (fresh, self.token_life.map(|life| self.now + life)));
        (fresh, self.token_life.map(|life| self.wall() + life))
    }

    /// Durable before anybody hears of it.
    fn refresh_ends(&mut self, account: AccountId, job: Job, outcome: Refreshed, told: bool) {
        let then = Some(Happening::Refreshed(self.life, account, outcome, told));
        self.write(Write::Rest { what: "refreshed", id: None, job, then });
    }

    /// The refresh is over.
    pub(crate) fn refreshed(&mut self, account: AccountId, outcome: Refreshed, told: bool) {
        self.refreshing.remove(&account);
        self.wallet.waits.note(account, &outcome);
        // What waits for a token need not wait any more.
        if told || matches!(outcome, Refreshed::Fresh(_)) {
            self.soon(Input::Refreshed { account, outcome });
        }
    }

    /// What follows a write that was refused: whoever refreshes is told to come again.
    pub(crate) fn refused(&self, then: Option<Happening>) -> Option<Happening> {
        let (Happening::RefreshCall(life, account, _, told) | Happening::Refreshed(life, account, _, told)) =
            then?
        else {
            return None;
        };
        let outcome = renewal::not_now(self.wall(), LOOK_AGAIN, "refresh", "another change came in between");
        Some(Happening::Refreshed(life, account, outcome, told))
    }

    /// In the end there are fresh tokens, or somebody was told why not.
    pub(crate) fn judge_tokens(&self) -> Result<(), String> {
        for (account, (newest, _)) in &self.tokens {
            // Those of a copy that was brought back are older, and nobody has used them since.
            if self.went_back || self.is_gone(*account) || self.is_leaving(*account) || self.store.is_none() {
                continue;
            }
            // Or somebody is at it: what nobody settles is tried for as long as the world lasts.
            let told = self.row_of(*account).reason.is_some() || self.is_still_at_tokens();
            if self.held_token(*account) != Some(*newest) && !told {
                return Err(format!("{account}: its tokens are lost, and nobody was told (R37)"));
            }
        }
        Ok(())
    }
}

fn number(sealed: &[u8]) -> u64 {
    u64::from_le_bytes(sealed.try_into().unwrap())
}
