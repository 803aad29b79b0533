//! What people do: they take back, move, change and resolve posts, pause and connect accounts, and set
//! the machine's clock.

use jiff::SignedDuration;
use sendoff::daemon::reschedule::{self, Goal, Move};
use sendoff::daemon::{ledger, set_back};
use sendoff::domain::account::AccountState;
use sendoff::domain::attempt::Transition;
use sendoff::domain::delivery::{Delivery, Flight, Live, State};
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::domain::schedule::{Choice, Due};
use sendoff::engine::Input;
use sendoff::engine::ask::{self, Ask};
use sendoff::store::{StoreError, accounts, deliveries, posts, vault};

use super::coverage::Label;
use super::dice::secs;
use super::plan::Wish;
use super::world::{Happening, World};
use super::writer::{Job, Write};

impl World {
    pub(crate) fn user(&mut self, wish: Wish) {
        self.note(&format!("the user: {wish:?}"));
        // What happens without the daemon.
        match &wish {
            Wish::ByHand(account, text) => {
                let (owner, now) = (self.owners[account].clone(), self.now);
                self.decoys += 1;
                return self.network.by_hand(&owner, text, now);
            }
            Wish::HandDeletes(account) => {
                let owner = self.owners[account].clone();
                return self.network.hand_deletes(&owner);
            }
            Wish::Clock(by) => {
                self.reckon_wish(&wish);
                return self.set_clock(*by);
            }
            Wish::Power => return self.power(),
            Wish::Copy => return self.take_copy(),
            Wish::BringBack => return self.bring_back(),
            _ => {}
        }
        if self.engine.is_none() {
            // Whoever stops something waits for the daemon; who meets none leaves it.
            if matches!(wish, Wish::StopAll(true) | Wish::Disk(false) | Wish::Pause(_)) {
                return;
            }
            let at = self.now + secs(60);
            return self.at(at, Happening::User(wish));
        }
        if let Wish::Pause(account) | Wish::Resume(account) = &wish
            && (self.is_leaving(*account) || self.is_gone(*account))
        {
            return;
        }
        self.reckon_wish(&wish);
        match wish {
            Wish::Cancel(id) => self.grant(id, &Ask::Cancel),
            Wish::TryNow(id) => {
                self.watch.hurried.insert(id);
                self.grant(id, &Ask::TryNow);
            }
            Wish::Reschedule(id, by) => self.reschedule(id, by),
            Wish::Resolve(id) => self.resolve(id),
            Wish::Edit(id) => self.edit(id),
            Wish::Touch(id) => self.touch(id),
            Wish::Pause(account) => self.account_state(account, AccountState::Ready, AccountState::Paused),
            Wish::Resume(account) => self.account_state(account, AccountState::Paused, AccountState::Ready),
            Wish::StopAll(on) => self.input(Input::Pause(on)),
            Wish::Disk(enough) => self.input(Input::Disk { enough }),
            Wish::Reconnect(account) => self.reconnect(account),
            Wish::Disconnect(account) => self.disconnect(account),
            Wish::Close(account, since) => self.close(account, since),
            Wish::Forget(account) => self.forget(account),
            Wish::ByHand(..)
            | Wish::HandDeletes(_)
            | Wish::Clock(_)
            | Wish::Power
            | Wish::Copy
            | Wish::BringBack => unreachable!(),
        }
    }

    /// The wall clock is set. The daemon naps 30 s at most, and reads it before it decides anything: after
    /// a leap forward it holds new claims for ten minutes, and until the clock is right again it is not
    /// sure of it.
    fn set_clock(&mut self, by: SignedDuration) {
        let step = by - self.skew;
        let leap = step > SignedDuration::from_mins(5);
        self.skew = by;
        self.watch.pace.clock_set();
        self.most_ahead = self.most_ahead.max(by);
        self.forget_copy();
        // The spacing goes by the wall clock.
        self.watch.last_leave.clear();
        if self.engine.is_some() {
            let sure = by.is_zero();
            let at = self.now + self.rng.secs(0, 30);
            let hold = leap && !sure;
            // Whatever wakes it first, the clock is read before anything is decided.
            if step.abs() >= secs(60) {
                if step.is_negative() {
                    let moment = self.moment();
                    let job: Job = Box::new(move |tx| set_back::bring_near(tx, -step, moment).map(drop));
                    let then = Some(Happening::Input(self.life, Input::Tick));
                    self.write(Write::Rest { what: "bring near", id: None, job, then });
                }
                self.wallet.waits.forget();
                self.input(Input::Stepped(step));
            }
            self.input(Input::Clock { hold, sure });
            self.at(at, Happening::Input(self.life, Input::Tick));
            if hold {
                let at = at + secs(600);
                self.at(at, Happening::Input(self.life, Input::Clock { hold: false, sure }));
            }
        }
    }

    /// A power cut at any time, whatever the daemon does.
    fn power(&mut self) {
        if self.engine.is_some() {
            let doubt = self.watch.rows.values().any(|it| it.state == State::Unknown);
            self.crash(if doubt { Label::C13 } else { Label::Between });
        }
    }

    /// As the daemon grants a wish: through the engine while it holds the row, else by
    /// compare-and-swap.
    pub(crate) fn grant(&mut self, id: DeliveryId, wish: &Ask) {
        let before = self.row(id);
        let wall = self.wall();
        if before.in_flight() {
            if self.engine.as_ref().is_some_and(|it| it.holds(id)) {
                self.input(Input::Ask { id, ask: wish.clone(), ticket: 1 });
            }
            return;
        }
        let Ok(event) = ask::event(&before, wish, self.settings.give_up_after, wall) else { return };
        let name = event.name();
        let Ok(after) = before.apply(event, self.moment()) else { return };
        let transition = Transition::between(&before, &after, name, wall);
        let job: Job = Box::new(move |tx| {
            deliveries::put(tx, Some(&before), &after, Some(transition.clone())).map(drop)
        });
        let then = Some(Happening::Input(self.life, Input::Tick));
        self.write(Write::Rest { what: "wish", id: Some(id), job, then });
    }

    /// The daemon's own transaction, whatever the row is by then and whoever is at work on it. What was missed
    /// stays so: what takes over from it would be a delivery more.
    fn reschedule(&mut self, id: DeliveryId, by: SignedDuration) {
        // Who reads another year on it does not believe the clock.
        let wrong = self.skew.abs() > SignedDuration::from_hours(96);
        let instant = if wrong { self.now } else { self.wall() } + by;
        let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let due = Due { instant, civil, zone: "UTC".into(), choice: Choice::Instant };
        let (now, give_up_after) = (self.wall(), self.settings.give_up_after);
        // The whole post, or its one delivery.
        let whole = id.as_u128().is_multiple_of(2);
        let job: Job = Box::new(move |tx| {
            let row = deliveries::need(tx, id)?;
            if row.state == State::Missed {
                return Ok(());
            }
            let post = posts::need(tx, row.post)?;
            let (only, goal) = ((!whole).then_some(id), Goal::At(due.clone()));
            let it = Move { post: post.id, only, goal, now, give_up_after };
            match reschedule::carry_out(tx, &it, post)? {
                Ok(_) => Ok(()),
                Err(refused) => Err(StoreError::conflict(refused.message)),
            }
        });
        let then = Some(Happening::Input(self.life, Input::Tick));
        self.write(Write::Rest { what: "reschedule", id: Some(id), job, then });
    }

    /// The user looks at the network and tells what is there: the truth, or nothing.
    fn resolve(&mut self, id: DeliveryId) {
        let row = self.row(id);
        if row.state != State::Unknown || !row.held {
            return;
        }
        // What is still on its way would make the word untrue a moment later.
        let settled = row
            .flight
            .unknown_since
            .is_none_or(|it| self.wall().duration_since(it.wall) > SignedDuration::from_mins(15));
        let there = self.network.objects.iter().find(|it| it.origin == Some((id, row.step)));
        let wish = match there {
            Some(there) => {
                let permalink = Some(format!("https://social.example/{}", there.id));
                let remote_id = Some(there.id.clone());
                Ask::Live(Live { remote_id, permalink, extra: there.extra(), verified: false })
            }
            None if settled && self.rng.chance(70) => {
                self.watch.said_absent(id, row.step);
                Ask::Resend
            }
            None => Ask::Leave,
        };
        self.note(&format!("resolve {id}: {wish:?}"));
        self.grant(id, &wish);
    }

    /// Other words, as long as nothing of it was sent.
    fn edit(&mut self, id: DeliveryId) {
        let row = self.row(id);
        if row.state != State::Scheduled {
            return;
        }
        // The words of the copy are others then, and nobody can tell that they are the same post.
        self.watch.reworded.insert(id);
        let job: Job = Box::new(move |tx| {
            let row = deliveries::need(tx, id)?;
            if row.state != State::Scheduled {
                return Ok(());
            }
            let mut post = posts::need(tx, row.post)?;
            post.version += 1;
            // A story has no words, and takes none.
            for part in post.content.parts.iter_mut().filter(|it| !it.is_empty()) {
                part.push_str(" (edited)");
            }
            posts::put(tx, &post)
        });
        self.write(Write::Rest { what: "edit", id: Some(id), job, then: None });
    }

    /// A change that leaves the words as they are, as the daemon writes it.
    fn touch(&mut self, id: DeliveryId) {
        let job: Job = Box::new(move |tx| {
            let before = deliveries::need(tx, id)?;
            let waits = matches!(before.state, State::Scheduled | State::Retry | State::NeedsReconnect);
            if !waits || before.flight.amb_since.is_some() || before.live_prefix() > 0 {
                return Ok(());
            }
            let mut post = posts::need(tx, before.post)?;
            post.version += 1;
            posts::put(tx, &post)?;
            let claim_gen = before.claim_gen.wrapping_add(1);
            let after = Delivery { claim_gen, flight: Flight::default(), ..before.clone() };
            deliveries::put(tx, Some(&before), &after, None).map(drop)
        });
        self.write(Write::Rest { what: "touch", id: Some(id), job, then: None });
    }

    fn account_state(&mut self, account: AccountId, from: AccountState, to: AccountState) {
        let job: Job = Box::new(move |tx| {
            vault::not_leaving(tx, account)?;
            let mut row = accounts::need(tx, account)?;
            if row.state == from {
                row.state = to;
            }
            accounts::put(tx, &row)
        });
        let then = Some(Happening::Input(self.life, Input::AccountChanged(account)));
        self.write(Write::Rest { what: "account", id: None, job, then });
    }

    /// A new grant, and what waited for it goes on.
    fn reconnect(&mut self, account: AccountId) {
        if self.abandoned.contains(&account) || self.is_gone(account) || self.is_leaving(account) {
            return;
        }
        let row = self.read(|rx| accounts::need(rx, account)).unwrap();
        self.reckon_reconnected(account, row.reason.is_some());
        if row.reason.is_none() {
            return;
        }
        let (fresh, end) = self.rotate(account);
        self.wallet.keyless.remove(&account);
        let wall = self.wall();
        let job: Job = Box::new(move |tx| {
            let version = vault::get_grant(tx, account)?.map(|it| it.version);
            vault::put_grant(tx, account, version, &fresh.to_le_bytes(), Some(wall), end)?;
            vault::clear_refresh(tx, account)?;
            let mut row = accounts::need(tx, account)?;
            if row.state == AccountState::NeedsReconnect {
                row.state = AccountState::Ready;
            }
            row.reason = None;
            row.issued_at = Some(wall);
            row.expires_at = end;
            accounts::put(tx, &row)?;
            ledger::revive(tx, account, wall)
        });
        let then = Some(Happening::Input(self.life, Input::AccountChanged(account)));
        self.write(Write::Rest { what: "reconnect", id: None, job, then });
    }
}
