//! An account is disconnected while its posts are on their way, in the steps in which the daemon does it:
//! it is stopped, what is on the wire gets a minute, what is open is closed, its rows go. Whatever
//! interrupts that is gone on with by a start, or by a person who asks again.

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger;
use sendoff::domain::ids::{AccountId, ReceiptId};
use sendoff::engine::Input;
use sendoff::engine::ask::Ask;
use sendoff::store::{accounts, vault};

use super::dice::secs;
use super::plan::Wish;
use super::reckon::Whom;
use super::world::{Happening, World};
use super::writer::{Job, Write};

/// A call on the wire may take its minute.
const RUNNING_CALL: SignedDuration = SignedDuration::from_mins(1);

impl World {
    pub(crate) fn is_gone(&self, account: AccountId) -> bool {
        self.read(|rx| accounts::get(rx, account)).is_some_and(|it| it.is_none())
    }

    pub(crate) fn is_leaving(&self, account: AccountId) -> bool {
        self.read(|rx| vault::erasure_of(rx, account)).is_some_and(|it| it.is_some())
    }

    /// Begins, or goes on with what was begun.
    pub(crate) fn disconnect(&mut self, account: AccountId) {
        if self.is_gone(account) {
            self.gone.insert(account);
            return;
        }
        // Whoever got no receipt asks again.
        let again = self.now + secs(180);
        self.at(again, Happening::User(Wish::Disconnect(account)));
        let since = self.now;
        self.watch.reckon.begin(Whom::Account(account), "leaving", since);
        let next = Happening::User(Wish::Close(account, since));
        if self.is_leaving(account) {
            return self.at(since, next);
        }
        let erasure = vault::Erasure {
            account,
            step: String::new(),
            receipt: ReceiptId::from_u128(account.as_u128()),
            started: self.wall(),
            name: format!("leaving:{account}"),
            subject: String::new(),
            lines: Vec::new(),
        };
        let job: Job = Box::new(move |tx| vault::begin_erasure(tx, &erasure).map(drop));
        self.write(Write::Rest { what: "leaving", id: None, job, then: Some(next) });
    }

    /// The account is stopped.
    pub(crate) fn close(&mut self, account: AccountId, since: Timestamp) {
        if self.is_gone(account) || !self.is_leaving(account) {
            return;
        }
        if self.now == since || !self.watch.leaving.contains(&account) {
            self.watch.leaving.insert(account);
            self.input(Input::AccountChanged(account));
        }
        let Some(open) = self.read(|rx| ledger::open_of(rx, account)) else { return };
        let running: Vec<_> = open.iter().filter(|it| it.in_flight()).map(|it| it.id).collect();
        for id in &running {
            self.grant(*id, &Ask::Cancel);
        }
        if self.engine.is_none() {
            return;
        }
        if !running.is_empty() && self.now.duration_since(since) < RUNNING_CALL {
            return self.at(self.now + secs(2), Happening::User(Wish::Close(account, since)));
        }
        let now = self.moment();
        let job: Job = Box::new(move |tx| ledger::close(tx, account, now).map(drop));
        let then = Some(Happening::User(Wish::Forget(account)));
        self.write(Write::Rest { what: "close", id: None, job, then });
    }

    /// Nothing of it is open any more. A refresh on the wire ends first.
    pub(crate) fn forget(&mut self, account: AccountId) {
        if self.is_gone(account) || !self.is_leaving(account) {
            return;
        }
        if self.refreshing.contains(&account) {
            return self.at(self.now + secs(2), Happening::User(Wish::Forget(account)));
        }
        let job: Job = Box::new(move |tx| {
            vault::remove_grant(tx, account)?;
            accounts::remove(tx, account)?;
            vault::finish_erasure(tx, account).map(drop)
        });
        // With the rows goes the key that opens the tokens, also those of any copy.
        self.wallet.keyless.insert(account);
        let then = Some(Happening::Input(self.life, Input::AccountChanged(account)));
        self.write(Write::Rest { what: "forget", id: None, job, then });
    }
}
