//! The decisions of a token's refresh, as plain functions: whether it is needed, what is written before
//! the request leaves, and what an answer, or its loss, means (delivery guarantees §11).
//!
//! Nothing here waits, sends or seals. [`tokens`](super::tokens) does, in the daemon; the simulation
//! walks through the same decisions with a network of its own.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::queues;
use crate::auth::RefreshError;
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::{Delivery, Reason, State};
use crate::domain::ids::AccountId;
use crate::engine::Refreshed;
use crate::planted::planted;
use crate::store::vault::{self, RefreshIntent};
use crate::store::{Rx, StoreError, Tx, accounts, deliveries, meta, posts};

/// A refresh that could not be tried is tried again after this.
pub(super) const LATER: SignedDuration = SignedDuration::from_mins(1);
/// A wrong set-up is tried again after this.
pub(super) const CONFIG_LATER: SignedDuration = SignedDuration::from_mins(15);
/// The class of a wait that the network asked for.
pub(super) const RATE_LIMITED: &str = "rate_limited";
/// Deliveries of an account that are looked through for its next send. Behind so many that cannot be sent
/// nobody looks for one that can: then the token is renewed.
const OWN_MAX: usize = 10_000;

/// The account whose token is to be had now, or what makes asking for one unnecessary. `asked`: when the
/// wish for a fresh token arose; one that is younger serves it. `wait`: until when the network wants
/// not to be asked, and its words.
///
/// # Errors
/// What whoever wants a token is told instead.
pub fn needed(
    account: Option<Account>,
    leaving: bool,
    asked: Timestamp,
    now: Timestamp,
    wait: Option<(Timestamp, Reason)>,
) -> Result<Account, Refreshed> {
    let Some(account) = account else {
        return Err(Refreshed::Dead(Reason::new("account_gone", "the account is no longer connected")));
    };
    if leaving {
        return Err(self::leaving(now));
    }
    if account.reason.is_some() {
        // It waits for a person, also behind a pause. A dead token does not come alive by asking again.
        return Err(Refreshed::Dead(account.dead()));
    }
    // One that bears a time still to come was had with a clock that was ahead, and may be older than the wish.
    if account.issued_at.is_some_and(|issued| issued >= asked && issued <= now) {
        return Err(Refreshed::Fresh(Box::new(account)));
    }
    match wait {
        Some((at, reason)) => Err(Refreshed::Later { at, reason }),
        None => Ok(account),
    }
}

/// The account is being disconnected.
pub(super) fn leaving(now: Timestamp) -> Refreshed {
    not_now(now, LATER, "disconnecting", "the account is being disconnected")
}

/// The account needs a person, as whoever waits for its token hears it.
pub fn dead(account: &Account, why: &str) -> Reason {
    Reason::new("account_dead", why.to_owned()).hint(account.connect_again())
}

/// No token for now.
pub fn not_now(now: Timestamp, span: SignedDuration, class: &str, message: impl Into<String>) -> Refreshed {
    Refreshed::Later { at: later(now, span), reason: Reason::new(class, message) }
}

/// The intent that must be durable before the request leaves. None: one for the same grant is there
/// already, so a crash came between, and this refresh is the one repeat that is allowed.
pub fn intent(
    left: Option<&RefreshIntent>,
    account: AccountId,
    (version, digest): (u64, [u8; 32]),
    now: Timestamp,
) -> Option<RefreshIntent> {
    let is_repeat = left.is_some_and(|it| it.version == version && it.digest == digest);
    (!is_repeat).then_some(RefreshIntent { account, version, digest, started: now })
}

/// Until when accounts wait for another try. In memory: after a restart one request more does no harm.
#[derive(Debug, Default)]
pub struct Waits(HashMap<AccountId, (Timestamp, Reason)>);

impl Waits {
    /// How a refresh ended.
    pub fn note(&mut self, id: AccountId, outcome: &Refreshed) {
        match outcome {
            Refreshed::Later { at, reason } => drop(self.0.insert(id, (*at, reason.clone()))),
            Refreshed::Fresh(_) | Refreshed::Dead(_) => drop(self.0.remove(&id)),
        }
    }

    fn get(&self, id: AccountId, now: Timestamp) -> Option<&(Timestamp, Reason)> {
        self.0.get(&id).filter(|it| now < it.0)
    }

    /// Until when the network wants not to be asked, and its words: that binds whoever wants a token.
    pub fn asked(&self, id: AccountId, now: Timestamp) -> Option<(Timestamp, Reason)> {
        self.get(id, now).filter(|it| it.1.class == RATE_LIMITED).cloned()
    }

    /// The wall clock was set: the times that were noted may be years away now, and one request more does no
    /// harm.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether a refresh that nobody asked for has to wait: our own guess binds it as well.
    pub fn hold_back(&self, id: AccountId, now: Timestamp) -> bool {
        self.get(id, now).is_some()
    }
}

/// What follows from how a refresh ended.
#[derive(Debug, PartialEq, Eq)]
pub enum After<T> {
    /// New tokens: [`keep`] them before anything uses them.
    Fresh(T),
    /// The answer was lost: asked once more with the same grant.
    Again,
    /// The account needs a person; for [`give_up`].
    Dead(String),
    /// Tried again then. `closed`: nothing can have become of the grant, so the intent is removed; else
    /// only new tokens or the user's act settle it.
    Later { at: Timestamp, reason: Reason, closed: bool },
}

/// What follows from an outcome. `repeat`: an answer to a refresh of this grant was lost before.
pub fn after<T>(outcome: Result<T, RefreshError>, repeat: bool, now: Timestamp) -> After<T> {
    let closed = !repeat;
    match outcome {
        Ok(fresh) => After::Fresh(fresh),
        Err(RefreshError::Lost { .. }) if !repeat && !planted("a lost refresh is the end") => After::Again,
        Err(RefreshError::Lost { message }) => After::Dead(format!(
            "the answer to a refresh was lost twice ({message}), so the token may be spent"
        )),
        Err(RefreshError::Dead { message }) if repeat => {
            After::Dead(format!("the answer to a refresh was lost, and its token is spent: {message}"))
        }
        Err(RefreshError::Dead { message }) => After::Dead(message),
        Err(RefreshError::Config { message, hint }) => {
            let reason = Reason::new("config", message).hint(hint);
            After::Later { at: later(now, CONFIG_LATER), reason, closed }
        }
        Err(RefreshError::Later { until }) => {
            let message = format!("the network asks to wait until {until:.0}");
            After::Later { at: until, reason: Reason::new(RATE_LIMITED, message), closed }
        }
        Err(RefreshError::NotSent { message }) => {
            After::Later { at: later(now, LATER), reason: Reason::new("not_sent", message), closed }
        }
    }
}

/// A grant as the vault stores it.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub issued_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

/// Stores new tokens in place of the version they replace, and what `describe` says of them in the
/// account's row. Nothing else of the row is ours: it may have been renamed or paused meanwhile.
///
/// # Errors
/// The account is gone, or its tokens were replaced meanwhile.
pub fn keep(
    tx: &mut Tx<'_>,
    id: AccountId,
    version: u64,
    sealed: &Sealed,
    describe: impl Fn(&mut Account),
) -> Result<Account, StoreError> {
    let mut account = accounts::need(tx, id)?;
    describe(&mut account);
    vault::put_grant(tx, id, Some(version), &sealed.bytes, sealed.issued_at, sealed.expires_at)?;
    accounts::put(tx, &account)?;
    Ok(account)
}

/// The account needs a person, who is told why; there is nothing left to repeat at the next start. The
/// grant stays until the user acts. None: the account is gone.
///
/// # Errors
/// Those of the store.
pub fn give_up(tx: &mut Tx<'_>, id: AccountId, why: &str) -> Result<Option<Account>, StoreError> {
    vault::clear_refresh(tx, id)?;
    need_a_person(tx, id, None, why)
}

/// As [`give_up`], where no refresh found it out. `issued_at`: of the tokens of which it was said, if that is
/// known. None as well: a person has brought others meanwhile, of which nothing is said.
///
/// # Errors
/// Those of the store.
pub fn need_a_person(
    tx: &mut Tx<'_>,
    id: AccountId,
    issued_at: Option<Timestamp>,
    why: &str,
) -> Result<Option<Account>, StoreError> {
    let same = |it: &Account| issued_at.is_none() || it.issued_at == issued_at;
    let Some(mut account) = accounts::get(tx, id)?.filter(same) else { return Ok(None) };
    if account.state == AccountState::Ready {
        account.state = AccountState::NeedsReconnect;
    }
    account.reason = Some(why.to_owned());
    accounts::put(tx, &account)?;
    Ok(Some(account))
}

/// The accounts whose tokens are to be renewed now.
pub fn ripe(rx: &Rx, now: Timestamp, seed: &[u8]) -> Result<Vec<AccountId>, StoreError> {
    let mut ripe = Vec::new();
    for account in accounts::list(rx)? {
        if is_due(rx, &account, now, seed)? {
            ripe.push(account.id);
        }
    }
    Ok(ripe)
}

/// Whether an account is one of [`ripe`]: asked again when its turn has come, for the others before it may
/// have taken their time, and something may be due by then.
///
/// # Errors
/// Those of the store.
pub fn is_due(rx: &Rx, account: &Account, now: Timestamp, seed: &[u8]) -> Result<bool, StoreError> {
    if vault::refresh_of(rx, account.id)?.is_some() {
        return Ok(true);
    }
    // What is due is read only for the few whose token has the age.
    Ok(is_ripe(account, None, now, seed) && is_ripe(account, next_work(rx, account, now)?, now, seed))
}

/// When the account has something to send or to look for next, if that is within two minutes; now, if a worker
/// has it in hand. Only its own rows are read, and of these what is held back does not count: nobody knows for
/// how long that will be.
fn next_work(rx: &Rx, account: &Account, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let soon = later(now, NEAR_SEND);
    let stopped = account.state != AccountState::Ready || meta::pause(rx)?.is_some();
    let mut next: Option<Timestamp> = None;
    for id in deliveries::under_way(rx, account.id, soon, OWN_MAX)? {
        let it = match deliveries::get(rx, id) {
            Err(error) if error.is_fatal() => return Err(error),
            // What is damaged is told when its turn comes, and is not sent.
            it => it.ok().flatten(),
        };
        let Some(it) = it else { continue };
        if it.in_flight() {
            return Ok(Some(now));
        }
        // By what it waits for, not by its own time: a clock that was set back has made that the future.
        let Some(at) = it.wakes_at().filter(|at| *at <= soon && next.is_none_or(|next| *at < next)) else {
            continue;
        };
        // What may be live is looked for all the same.
        if it.state != State::Unknown && (stopped || is_held(rx, &it)?) {
            continue;
        }
        next = Some(at);
        if at <= now {
            break;
        }
    }
    Ok(next)
}

/// Its queue is paused, or new zone rules moved it.
fn is_held(rx: &Rx, it: &Delivery) -> Result<bool, StoreError> {
    let Some(post) = posts::get(rx, it.post)? else { return Ok(true) };
    Ok(queues::hold(rx, it, &post)?.is_some())
}

/// At which part of its life a token is refreshed: between 50 and 80 %, another part for each
/// account and each token, so that accounts connected together do not ask together. The same seed
/// gives the same part.
fn ripe_at(account: &Account, seed: &[u8]) -> Option<Timestamp> {
    let (issued, end) = (account.issued_at?, account.expires_at?);
    let digest = Sha256::new()
        .chain_update(seed)
        .chain_update(account.id.as_u128().to_be_bytes())
        .chain_update(issued.as_millisecond().to_be_bytes())
        .finalize();
    let part = 500 + i64::from(u16::from_be_bytes([digest[0], digest[1]])) * 300 / i64::from(u16::MAX);
    let life = end.as_millisecond().saturating_sub(issued.as_millisecond()).max(0);
    let wait = SignedDuration::from_millis(life / 1000 * part + life % 1000 * part / 1000);
    Some(later(issued, wait))
}

/// Whether a token is to be refreshed now, without anybody asking. `next_send` is the next work of
/// the account within [`NEAR_SEND`]: then it is left alone, unless it would be too short for it.
fn is_ripe(account: &Account, next_send: Option<Timestamp>, now: Timestamp, seed: &[u8]) -> bool {
    if !account.can_refresh || account.state == AccountState::NeedsReconnect {
        return false;
    }
    // One that bears a time still to come was had with a clock that was ahead: nobody knows how old it is.
    let dated_ahead = account.issued_at.is_some_and(|issued| issued > now);
    if !dated_ahead && ripe_at(account, seed).is_none_or(|at| now < at) {
        return false;
    }
    let lasts =
        |send: Timestamp| account.expires_at.is_some_and(|end| end >= later(send.max(now), NEAR_SEND));
    !next_send.is_some_and(lasts) || planted("token renewed before a send")
}

/// No refresh this close before a send; and a token must last this long for one.
pub const NEAR_SEND: SignedDuration = SignedDuration::from_secs(120);

pub(super) fn later(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_add(span).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Event, RetryWhy, Step, StepKind};
    use crate::domain::ids::{AccountName, DeliveryId, PlatformName, PostId};
    use crate::domain::post::{Content, Post, SlotTaken, Source};
    use crate::domain::schedule::{Choice, Due, Late};
    use crate::store::{Options, Store};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_900_000_000 + seconds).unwrap()
    }

    fn account(n: u128, life: i64) -> Account {
        let name = AccountName::new(PlatformName::X, "acme").unwrap();
        Account {
            expires_at: Some(at(life)),
            issued_at: Some(at(0)),
            can_refresh: true,
            ..Account::new(AccountId::from_u128(n), name, n.to_string(), at(0))
        }
    }

    #[test]
    fn tokens_ripen_between_half_and_four_fifths_of_their_life_and_not_together() {
        for life in [1, 7_200, 5_184_000] {
            let all: Vec<_> = (0..200).map(|n| ripe_at(&account(n, life), b"seed").unwrap()).collect();
            assert!(all.iter().all(|it| *it >= at(0) + SignedDuration::from_millis(life * 500)), "{life}");
            assert!(all.iter().all(|it| *it <= at(0) + SignedDuration::from_millis(life * 800)), "{life}");
            let again: Vec<_> = (0..200).map(|n| ripe_at(&account(n, life), b"seed").unwrap()).collect();
            assert_eq!(all, again, "the same seed gives the same instants");
            let other = ripe_at(&account(7, life), b"other").unwrap();
            assert!(other != all[7] || life == 1);
            let thirds = |it: &Timestamp| (it.as_millisecond() - at(0).as_millisecond()) / (life * 100);
            for tenth in 5..8 {
                let there = all.iter().filter(|it| thirds(it) == tenth).count();
                assert!((30..=110).contains(&there), "{there} of 200 between {tenth}0 % and the next");
            }
        }
    }

    #[test]
    fn what_was_said_of_replaced_tokens_makes_no_account_need_a_person() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Store::open(dir.path(), at(0), Options { ballast_bytes: 0, ..Options::default() }).unwrap();
        let it = Account { issued_at: Some(at(100)), ..account(1, 7_200) };
        let (id, row) = (it.id, it.clone());
        store.write_blocking(move |tx| accounts::put(tx, &row)).unwrap();
        let said =
            |issued_at| store.write_blocking(move |tx| need_a_person(tx, id, issued_at, "dead")).unwrap();
        assert_eq!(said(Some(at(0))), None);
        let left = store.read(|rx| accounts::need(rx, id)).unwrap();
        assert_eq!((left.state, left.reason), (AccountState::Ready, None));
        assert_eq!(said(Some(at(100))).unwrap().state, AccountState::NeedsReconnect);
        assert_eq!(said(None).unwrap().reason.as_deref(), Some("dead"));
    }

    #[test]
    fn a_token_is_left_alone_before_a_send_that_it_outlives() {
        let it = account(1, 7_200);
        let seed = b"seed";
        let now = ripe_at(&it, seed).unwrap();
        assert!(is_ripe(&it, None, now, seed));
        assert!(!is_ripe(&it, None, now - SignedDuration::from_secs(1), seed));
        let soon = |now: Timestamp| Some(now + SignedDuration::from_secs(90));
        assert!(!is_ripe(&it, soon(now), now, seed), "it lasts for this send");
        assert!(!is_ripe(&it, Some(now), now, seed));
        assert!(!is_ripe(&it, soon(at(6_990)), at(6_990), seed), "120 s behind the send are enough");
        assert!(is_ripe(&it, soon(at(6_991)), at(6_991), seed), "it would be too short");
        assert!(is_ripe(&it, None, at(-3_600), seed), "it was had with a clock that was ahead");
        let dead = Account { state: AccountState::NeedsReconnect, ..it.clone() };
        let fixed = Account { can_refresh: false, ..it };
        assert!(!is_ripe(&dead, None, now, seed) && !is_ripe(&fixed, None, now, seed));
    }

    fn put(store: &Store, before: Option<&Delivery>, row: &Delivery) {
        let (before, row) = (before.cloned(), row.clone());
        store.write_blocking(move |tx| deliveries::put(tx, before.as_ref(), &row, None).map(drop)).unwrap();
    }

    /// A delivery due then, of an account, whose post has the same number.
    fn due(n: u128, account: &Account, at: Timestamp) -> Delivery {
        let civil = jiff::tz::TimeZone::UTC.to_datetime(at);
        let due = Due { instant: at, civil, zone: "UTC".into(), choice: Choice::Instant };
        let (id, post) = (DeliveryId::from_u128(n), PostId::from_u128(n));
        let steps = vec![Step::new(StepKind::Post)];
        Delivery::new(id, post, account.id, account.name.clone(), due, Late::Always, steps, at)
    }

    fn post_of(row: &Delivery, slot: Option<SlotTaken>) -> Post {
        Post {
            id: row.post,
            to: Vec::new(),
            content: Content { parts: vec!["Words.".into()], comment: None },
            variants: std::collections::BTreeMap::new(),
            options: std::collections::BTreeMap::new(),
            media: Vec::new(),
            intended: None,
            due: Some(row.due.clone()),
            late: Late::Always,
            slot,
            source: Source::Cli,
            key: None,
            created_at: row.created_at,
            version: 1,
        }
    }

    #[test]
    fn only_what_an_account_can_send_itself_holds_its_renewal_back() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { ballast_bytes: 0, ..Options::default() };
        let store = Store::open(dir.path(), at(0), options).unwrap();
        let (mine, other) = (account(1, 7_200), account(2, 7_200));
        let now = ripe_at(&mine, b"seed").unwrap();
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        let is_ripe = |account: &Account| store.read(|rx| is_due(rx, account, now, b"seed")).unwrap();
        let backlog: Vec<_> = (0..=10_000).map(|n| due(1_000 + n, &other, at(0))).collect();
        store
            .write_blocking(move |tx| {
                backlog.iter().try_for_each(|it| deliveries::put(tx, None, it, None).map(drop))
            })
            .unwrap();
        assert!(is_ripe(&mine), "others have work, however much");
        // A post of its own at each of these, and whether it holds the renewal back.
        let mut n = 10;
        let mut own = |seconds: i64, queue: Option<&str>| {
            n += 1;
            let row = due(n, &mine, later(seconds));
            let slot = queue.map(|it| SlotTaken { queue: it.into(), local: row.due.civil });
            let (post, made) = (post_of(&row, slot), row.clone());
            store
                .write_blocking(move |tx| posts::create(tx, &post, std::slice::from_ref(&made), None, None))
                .unwrap();
            row
        };
        let end = |row: Delivery| {
            let before = store.read(|rx| deliveries::need(rx, row.id)).unwrap();
            let reason = Reason::new("cancelled", "cancelled");
            put(&store, Some(&before), &before.apply(Event::Cancel { reason }, now).unwrap());
        };
        let far = own(121, None);
        assert!(is_ripe(&mine), "it is not soon");
        end(far);
        for seconds in [-3_600, 0, 119] {
            let row = own(seconds, None);
            assert!(!is_ripe(&mine), "{seconds}");
            assert!(is_ripe(&Account { state: AccountState::Paused, ..mine.clone() }), "{seconds}: paused");
            end(row);
        }
        let stop = |on: bool| {
            let stop = on.then(|| (None, at(0)));
            store.write_blocking(move |tx| meta::set_pause(tx, stop.clone())).unwrap();
        };
        let row = own(60, None);
        stop(true);
        assert!(is_ripe(&mine), "nothing is sent");
        stop(false);
        let claimed = row.apply(Event::Claim, row.due.instant).unwrap();
        put(&store, Some(&row), &claimed);
        stop(true);
        assert!(!is_ripe(&mine), "it is in hand, stopped or not");
        stop(false);
        end(row);
        // Its time is still to come by a clock that was set back, and somebody wants it out sooner.
        let row = own(3_600, None);
        let claimed = row.apply(Event::Claim, row.due.instant).unwrap();
        let (why, reason) = (RetryWhy::Backoff, Reason::new("not_sent", "no route"));
        let waits = claimed.apply(Event::Defer { at: later(60), why, reason, again: false }, now).unwrap();
        let hurried = waits.apply(Event::TryNow { at: later(60), anyway: true }, now).unwrap();
        put(&store, Some(&row), &hurried);
        assert_eq!(hurried.wakes_at(), Some(later(60)));
        assert!(!is_ripe(&mine), "by what it waits for");
        end(row);
        let row = own(0, Some("news"));
        assert!(!is_ripe(&mine), "its queue runs");
        store.write_blocking(move |tx| crate::store::queues::set_paused(tx, "news", Some(at(0)))).unwrap();
        assert!(is_ripe(&mine), "and is paused");
        end(row);
    }

    #[test]
    fn a_wait_binds_until_it_is_over() {
        let (mut waits, id) = (Waits::default(), AccountId::from_u128(1));
        for (class, asked) in [(RATE_LIMITED, true), ("not_sent", false)] {
            waits.note(id, &Refreshed::Later { at: at(10), reason: Reason::new(class, "later") });
            assert!(waits.hold_back(id, at(9)) && !waits.hold_back(id, at(10)));
            assert_eq!(waits.asked(id, at(9)).is_some(), asked, "{class}");
            assert!(waits.asked(id, at(10)).is_none());
        }
        assert!(!waits.hold_back(AccountId::from_u128(2), at(9)));
        waits.note(id, &Refreshed::Dead(Reason::new("account_dead", "it ended")));
        assert!(!waits.hold_back(id, at(9)));
    }

    #[test]
    fn a_lost_answer_is_worth_one_repeat_and_closes_nothing() {
        let lost = || Err::<(), _>(RefreshError::Lost { message: "no answer".into() });
        let spent = || Err::<(), _>(RefreshError::Dead { message: "invalid_grant".into() });
        let unsent = || Err::<(), _>(RefreshError::NotSent { message: "no route".into() });
        assert_eq!(after(lost(), false, at(0)), After::Again);
        assert!(matches!(after(lost(), true, at(0)), After::Dead(why) if why.contains("lost twice")));
        assert!(matches!(after(spent(), true, at(0)), After::Dead(why) if why.contains("lost")));
        assert!(matches!(after(spent(), false, at(0)), After::Dead(why) if why == "invalid_grant"));
        for repeat in [false, true] {
            let After::Later { at: then, closed, .. } = after(unsent(), repeat, at(0)) else { panic!() };
            assert_eq!((then, closed), (at(60), !repeat));
        }
    }
}
