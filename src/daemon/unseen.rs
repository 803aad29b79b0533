//! What went live just before a stop and was not read back any more (crash point c12 of the guarantees): it is
//! read back after the next start, and its address stored where a network tells it only then.
//!
//! By one start, and no other: how far the log was looked through is durable before the first of them is asked
//! for, so that a program that dies again and again does not ask, and pay, again and again.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::ledger::Find;
use crate::domain::account::AccountState;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::DeliveryId;
use crate::engine::Unseen;
use crate::store::{Rx, Store, StoreError, accounts, deliveries, journal, meta, vault};

/// What is older tells nobody anything new.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// So many lines of the log are looked at. Bounds the time a start takes.
const LINES: usize = 2_000;

/// What was published since the last start and not seen since, oldest first: for [`Input::Unseen`]. The next
/// start is told nothing of it. Blocks.
///
/// [`Input::Unseen`]: crate::engine::Input::Unseen
///
/// # Errors
/// Those of the store.
pub fn unseen(store: &Store, find: Find, now: Timestamp) -> Result<Vec<Unseen>, StoreError> {
    let first = now.saturating_sub(YOUNG).unwrap_or(now);
    let (found, newest) = store.read(|rx| {
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for (id, _) in journal::moves_since(rx, (first, meta::read_back_upto(rx)?), LINES)? {
            if !known.insert(id) {
                continue;
            }
            match one(rx, find, id) {
                Err(error) if error.is_fatal() => return Err(error),
                // What is damaged is told when somebody looks at it.
                it => found.extend(it.ok().flatten()),
            }
        }
        found.reverse();
        Ok((found, journal::newest(rx)?))
    })?;
    // Where there is nothing to ask for, the start need not wait for a commit.
    if !found.is_empty() {
        store.write_blocking(move |tx| meta::set_read_back_upto(tx, newest))?;
    }
    Ok(found)
}

fn one(rx: &Rx, find: Find, id: DeliveryId) -> Result<Option<Unseen>, StoreError> {
    let is_unseen = |it: &Delivery| it.state == State::Published && !it.verified && !it.came_to_nothing();
    let Some(delivery) = deliveries::get(rx, id)?.filter(is_unseen) else { return Ok(None) };
    let Some(account) = accounts::get(rx, delivery.account)? else { return Ok(None) };
    // Nothing is asked for an account that is paused, dead or being disconnected.
    let may_be_asked = account.state == AccountState::Ready && account.reason.is_none();
    if !may_be_asked || vault::erasure_of(rx, account.id)?.is_some() {
        return Ok(None);
    }
    Ok(find(account.name.platform()).map(|platform| Unseen { delivery, account, platform }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::account::Account;
    use crate::domain::attempt::Transition;
    use crate::domain::delivery::{Event, Frozen, Live, NOTHING, Reason, Step, StepKind};
    use crate::domain::ids::{AccountId, AccountName, PlatformName, PostId, ReceiptId};
    use crate::domain::schedule::{Choice, Due, Late};
    use crate::store::Options;
    use crate::store::vault::Erasure;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_000 + seconds).unwrap()
    }

    struct Shelf {
        store: Store,
        _dir: tempfile::TempDir,
    }

    impl Shelf {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { ballast_bytes: 0, ..Options::default() };
            Self { store: Store::open(dir.path(), at(0), options).unwrap(), _dir: dir }
        }

        fn account(&self, n: u128, change: impl Fn(&mut Account)) -> Account {
            let name = AccountName::new(PlatformName::X, &format!("a{n}")).unwrap();
            let mut account = Account::new(AccountId::from_u128(n), name, n.to_string(), at(0));
            change(&mut account);
            let row = account.clone();
            self.store.write_blocking(move |tx| accounts::put(tx, &row)).unwrap();
            account
        }

        fn put(&self, before: Option<&Delivery>, after: &Delivery, now: Timestamp) {
            let (before, after) = (before.cloned(), after.clone());
            let row = Transition::between(before.as_ref().unwrap_or(&after), &after, "moved", now);
            let row = move |tx: &mut crate::store::Tx<'_>| {
                deliveries::put(tx, before.as_ref(), &after, Some(row.clone())).map(drop)
            };
            self.store.write_blocking(row).unwrap();
        }

        /// Published then, and not seen since but for what `change` says.
        fn published(&self, n: u128, account: &Account, now: Timestamp, change: impl Fn(&mut Delivery)) {
            let civil = jiff::tz::TimeZone::UTC.to_datetime(now);
            let due = Due { instant: now, civil, zone: "UTC".into(), choice: Choice::Instant };
            let (id, post) = (DeliveryId::from_u128(n), PostId::from_u128(n));
            let (name, steps) = (account.name.clone(), vec![Step::new(StepKind::Post)]);
            let fresh = Delivery::new(id, post, account.id, name, due, Late::Always, steps, now);
            let frozen = Frozen { marker: "m".into(), body: Vec::new() };
            let live = Live {
                remote_id: Some(n.to_string()),
                permalink: None,
                extra: BTreeMap::new(),
                verified: false,
            };
            let events = [
                Event::Claim,
                Event::Intend { frozen, ahead: SignedDuration::ZERO },
                Event::Applied { live, next_part_at: now },
            ];
            let mut out = events.into_iter().fold(fresh, |it, event| it.apply(event, now).unwrap());
            change(&mut out);
            self.put(None, &out, now);
        }

        fn asked(&self, now: Timestamp) -> Vec<u128> {
            let found = unseen(&self.store, crate::platforms::find, now).unwrap();
            found.iter().map(|it| it.delivery.id.as_u128()).collect()
        }
    }

    #[test]
    fn only_what_was_published_lately_and_nobody_has_seen_is_asked_for() {
        let (shelf, now) = (Shelf::new(), at(90_000));
        let mine = shelf.account(1, |_| {});
        shelf.published(1, &mine, now - YOUNG - SignedDuration::from_secs(1), |_| {});
        shelf.published(2, &mine, now - YOUNG, |_| {});
        shelf.published(3, &mine, now, |it| it.verified = true);
        shelf.published(4, &mine, now, |it| {
            assert!(it.note_nothing(Reason::new(NOTHING, "it was not")));
        });
        shelf.published(5, &mine, now, |_| {});
        shelf.published(6, &mine, now, |it| it.state = State::Cancelled);
        let paused = shelf.account(2, |it| it.state = AccountState::Paused);
        let dead = shelf.account(3, |it| it.reason = Some("it ended".into()));
        let leaving = shelf.account(4, |_| {});
        let gone = Account { id: AccountId::from_u128(5), ..leaving.clone() };
        for (n, account) in (7..).zip([&paused, &dead, &leaving, &gone]) {
            shelf.published(n, account, now, |_| {});
        }
        let erasure = Erasure {
            account: leaving.id,
            step: String::new(),
            receipt: ReceiptId::from_u128(1),
            started: now,
            name: "leaving".into(),
            subject: String::new(),
            lines: Vec::new(),
        };
        shelf.store.write_blocking(move |tx| vault::begin_erasure(tx, &erasure).map(drop)).unwrap();
        shelf.published(11, &mine, now, |_| {});
        assert_eq!(shelf.asked(now), [2, 5, 11], "oldest first");
    }

    #[test]
    fn what_one_start_has_asked_for_the_next_one_does_not() {
        let shelf = Shelf::new();
        let mine = shelf.account(1, |_| {});
        assert!(shelf.asked(at(1)).is_empty());
        shelf.published(1, &mine, at(10), |_| {});
        assert_eq!(shelf.asked(at(20)), [1]);
        assert!(shelf.asked(at(21)).is_empty(), "it died before the answer, and asks nobody again");
        shelf.published(2, &mine, at(20), |_| {});
        assert_eq!(shelf.asked(at(30)), [2], "what the life between has published");
    }
}
