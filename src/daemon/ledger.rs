//! What the loop reads and writes of deliveries, as plain functions over the store.
//!
//! Nothing here waits, spawns or sends. The daemon's loop hands these pieces to the store's writer;
//! the simulation hands the same pieces to a store of its own, so that what is tested there is what
//! runs here.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{queues, repeats, set_back, view};
use crate::domain::account::{Account, AccountState};
use crate::domain::attempt::{Answered, Attempt, Transition};
use crate::domain::delivery::{
    AfterAbsence, Delivery, Event, Looked, NOTHING, Proof, Reason, Recall, RetryWhy, State,
};
use crate::domain::ids::{AccountId, DeliveryId, PlatformName};
use crate::domain::moment::Moment;
use crate::engine::restored;
use crate::engine::{Call, DueRow, Evidence, Save, Settings, Wait, Work, wait_of};
use crate::failpoint::cp;
use crate::planted::planted;
use crate::platforms::{Class, Platform};
use crate::store::deliveries::Which;
use crate::store::intent::CREATE;
use crate::store::{Source, Store, StoreError, Tx, accounts, deliveries, journal, posts, spent};
use crate::validate;

/// Finds the connector of a network: `platforms::find`, or a stand-in's in tests.
pub type Find = fn(PlatformName) -> Option<&'static dyn Platform>;

/// A read of the due index.
#[derive(Debug)]
pub struct Due {
    pub rows: Vec<DueRow>,
    /// There are no more by now.
    pub all: bool,
    /// When the next one falls due.
    pub next: Option<Timestamp>,
}

/// The first `limit` rows of the due index up to now.
pub fn due(store: &Store, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
    store.read(|rx| {
        let mut rows = deliveries::due(rx, now, limit + 1)?;
        let all = rows.len() <= limit;
        rows.truncate(limit);
        let rows = rows.into_iter().map(due_row).collect();
        Ok(Due { rows, all, next: deliveries::next_due_after(rx, now)? })
    })
}

fn due_row(row: deliveries::DueRow) -> DueRow {
    DueRow { at: row.at, id: row.id, account: row.account, unknown: row.unknown }
}

/// Why start-up puts work back.
const STOPPED: &str = "the daemon stopped";

/// Reads what a crash left behind and makes it safe: `Sending` becomes `Unknown`, never anything
/// that would send again (I3). Work that was only claimed goes back to the due index, so that from
/// here on the index names everything there is to do. What rests is seen once: waits of a clock that was
/// wrong are mended, and what networks said, before this start, of more than one delivery is returned, for
/// [`Input::Waits`]. Blocks.
///
/// [`Input::Waits`]: crate::engine::Input::Waits
pub fn recover(store: &Store, now: impl Into<Moment>) -> Result<Vec<Wait>, StoreError> {
    let now: Moment = now.into();
    for id in store.read(deliveries::in_flight)? {
        cp!("c15");
        store.write_blocking(move |tx| put_back(tx, id, STOPPED, now))?;
    }
    let (mut waits, mut off) = (Vec::new(), Vec::new());
    store.read(|rx| {
        for state in [State::Unknown, State::Retry] {
            each_resting(rx, state, |it| {
                match set_back::at_start(&it, now) {
                    Some(event) => off.push((it, event)),
                    None => waits.extend(said(rx, &it, now)?),
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    // Hardly ever is there one, and a start must not wait for a commit.
    if !off.is_empty() {
        waits.extend(store.write_blocking(move |tx| mend(tx, &off, now))?);
    }
    Ok(waits)
}

/// Moves what waits for the time of a clock that was wrong; what networks said to it.
fn mend(tx: &mut Tx<'_>, off: &[(Delivery, Event)], now: Moment) -> Result<Vec<Wait>, StoreError> {
    let mut waits = Vec::new();
    for (before, event) in off {
        moved(tx, before, event.clone(), set_back::WAS_AHEAD, now)?;
        waits.extend(said(tx, &deliveries::need(tx, before.id)?, now)?);
    }
    Ok(waits)
}

/// What its network said to it that holds for others too.
fn said(source: &impl Source, it: &Delivery, now: Moment) -> Result<Option<Wait>, StoreError> {
    Ok(accounts::get(source, it.account)?.and_then(|account| wait_of(it, &account, now)))
}

/// So many resting deliveries are read at a start, and at a connect: for what their networks said (they
/// say it again to the first that is tried, should there be more), and to be looked for at once.
const RESTING: usize = 10_000;

fn resting_ids(source: &impl Source, state: State) -> Result<Vec<DeliveryId>, StoreError> {
    deliveries::due_between(source, state, Timestamp::MIN, Timestamp::MAX, RESTING)
}

/// Sees each resting delivery in a state. A damaged row is told when its time comes; it must not keep the
/// daemon from starting.
pub(super) fn each_resting(
    source: &impl Source,
    state: State,
    mut see: impl FnMut(Delivery) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for id in resting_ids(source, state)? {
        match deliveries::get(source, id).and_then(|it| it.map_or(Ok(()), &mut see)) {
            Err(error) if error.is_fatal() => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Nobody looked: its next look is then.
pub(super) fn look_at(it: &Delivery, next_check: Timestamp) -> Event {
    Event::Look { kind: Looked::Asked, next_check, absent_at: it.flight.absent_at, reason: None }
}

/// So many lines of the log are looked at for calls that limits count. Should more have happened within
/// a limit's time, its count begins too low.
const LINES: usize = 50_000;

/// The longest time over which a network counts posts of a kind.
const SHARE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The publishing calls of before this start that the operator's limits count, and on networks that count
/// all calls of a day those too, as far as moves tell of them: for [`Input::Calls`]. Nothing is read
/// where nothing is counted. Blocks.
///
/// [`Input::Calls`]: crate::engine::Input::Calls
pub fn calls(
    store: &Store,
    settings: &Settings,
    find: Find,
    now: Timestamp,
) -> Result<Vec<Call>, StoreError> {
    let midnight = Timestamp::from_second(now.as_second().div_euclid(86_400) * 86_400).unwrap_or(now);
    store.read(|rx| {
        let all: HashMap<_, _> = accounts::list(rx)?.into_iter().map(|it| (it.id, it)).collect();
        let counts = |it: &Account| find(it.name.platform()).is_some_and(|on| on.calls_a_day(it).is_some());
        let window =
            |platform| settings.limits.get(&platform).into_iter().flatten().map(|it| it.window).max();
        let from =
            |it: &Account| window(it.name.platform()).map(|span| now.saturating_sub(span).unwrap_or(now));
        // Whatever a network takes so many of, it counts over a day.
        let day = now.saturating_sub(SHARE_MAX).unwrap_or(now);
        let shares = |it: &Account| find(it.name.platform()).is_some_and(<dyn Platform>::has_shares);
        let first =
            all.values().flat_map(|it| [from(it), counts(it).then_some(midnight), shares(it).then_some(day)]);
        let first = first.flatten().min();
        let Some(first) = first else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (id, n) in journal::moves_since(rx, (first, 0), LINES)? {
            // What is damaged is told when its turn comes.
            let Ok(Some(row)) = deliveries::history_row(rx, id, n) else { continue };
            let publishes = row.event == "intend";
            if !publishes && row.event != "prepare" && row.answer.is_none() {
                continue;
            }
            let Ok(Some(delivery)) = deliveries::get(rx, id) else { continue };
            let Some(account) = all.get(&delivery.account) else { continue };
            let share = (publishes && row.at > day && shares(account))
                .then(|| posts::get(rx, delivery.post).ok().flatten())
                .flatten()
                .and_then(|post| {
                    let platform = account.name.platform();
                    find(platform)?.share(&post.media, &post.options_for(platform)).map(|_| id)
                });
            found.push(Call {
                share,
                account: account.id,
                app: (account.name.platform(), account.server.clone()),
                at: row.at,
                publishes: publishes && from(account).is_some_and(|from| row.at >= from),
                counts: counts(account) && row.at >= midnight,
            });
        }
        found.retain(|it| it.publishes || it.counts || it.share.is_some());
        found.reverse();
        Ok(found)
    })
}

/// The account is connected again: what waited for that goes on, and what nobody could look for
/// meanwhile is looked for now.
pub fn revive(tx: &mut Tx<'_>, id: AccountId, now: Timestamp) -> Result<(), StoreError> {
    for waiting in deliveries::needs_reconnect(tx, id)? {
        let before = deliveries::need(tx, waiting)?;
        moved(tx, &before, Event::TryNow { at: now, anyway: false }, "reconnected", now)?;
    }
    for unknown in resting_ids(tx, State::Unknown)? {
        let before = deliveries::need(tx, unknown)?;
        if before.account != id || before.is_left() {
            continue;
        }
        moved(tx, &before, look_at(&before, now), "reconnected", now)?;
    }
    Ok(())
}

/// It waits for its account to be connected again, and that has been, while this was decided by what was known
/// before: nobody would set it going any more. In the same write, for behind a crash nobody would either.
/// What it is then; none: it waits.
fn go_on(tx: &mut Tx<'_>, waiting: &Delivery, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
    let well = |it: &Account| it.reason.is_none() && it.state != AccountState::NeedsReconnect;
    let event = Event::TryNow { at: now, anyway: false };
    let goes_on = accounts::get(tx, waiting.account)?.is_some_and(|it| well(&it))
        && moved(tx, waiting, event, "reconnected", now)?;
    if goes_on { deliveries::need(tx, waiting.id).map(Some) } else { Ok(None) }
}

/// What waits parked for a reason of this class, and of which `whose` says so, is tried at once. Gives
/// what was waiting.
pub fn unpark(
    tx: &mut Tx<'_>,
    class: &str,
    event: &'static str,
    whose: impl Fn(&Tx<'_>, &Delivery) -> Result<bool, StoreError>,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    let mut all = Vec::new();
    for id in deliveries::due_between(tx, State::Retry, Timestamp::MIN, Timestamp::MAX, usize::MAX)? {
        let before = deliveries::need(tx, id)?;
        let parked = before.retry_why == Some(RetryWhy::Parked)
            && before.reason.as_ref().is_some_and(|it| it.class == class);
        if !parked || !whose(tx, &before)? {
            continue;
        }
        if moved(tx, &before, Event::TryNow { at: now, anyway: false }, event, now)? {
            all.push(before);
        }
    }
    Ok(all)
}

/// The class of the reason with which a delivery ends while it is unclear whether it is live.
pub const NOT_VERIFIED: &str = "not_verified";

/// What has not ended on an account.
pub fn open_of(source: &impl Source, account: AccountId) -> Result<Vec<Delivery>, StoreError> {
    deliveries::of_account(source, account, Which::Open, usize::MAX)?
        .into_iter()
        .map(|id| deliveries::need(source, id))
        .collect()
}

/// The account is disconnected, and nobody can send or look in its name any more: what is open ends, taken
/// back where nothing of it can be live, and as not verified where something may be.
pub fn close(tx: &mut Tx<'_>, account: AccountId, now: Moment) -> Result<Vec<Delivery>, StoreError> {
    let mut closed = Vec::new();
    for mut before in open_of(tx, account)? {
        // What went out after the copy was made that the store was brought back from, this store cannot know.
        if before.state != State::Unknown
            && let Some(event) = restored::event(&before, now, Recall::Now)
        {
            let name = event.name();
            if moved(tx, &before, event, name, now)? {
                before = deliveries::need(tx, before.id)?;
            }
        }
        let doubt = before.state == State::Unknown || before.flight.amb_since.is_some();
        let open = doubt && !planted("disconnect cancels what may be live");
        let reason = if open {
            let message =
                "not verified: the account was disconnected while it was unclear whether this is live";
            Reason::new(NOT_VERIFIED, message).hint("look on the network yourself")
        } else {
            Reason::new("disconnected", "the account was disconnected")
        };
        let event = match (doubt, open) {
            (_, true) => Event::Abandon { reason },
            (false, _) => Event::Cancel { reason },
            // Only where that bug is planted.
            (true, false) => {
                Event::Absent { proof: Proof::User, anew: true, then: AfterAbsence::Cancelled { reason } }
            }
        };
        let after = before.apply(event, now).map_err(|illegal| {
            StoreError::conflict(format!("delivery `{}` cannot be closed: {illegal}", before.id))
        })?;
        let transition = Transition::between(&before, &after, "disconnected", now.wall);
        deliveries::put(tx, Some(&before), &after, Some(transition))?;
        closed.push(after);
    }
    Ok(closed)
}

/// Writes a move under a name that says why it was made. False: it is none that the delivery can make.
pub(super) fn moved(
    tx: &mut Tx<'_>,
    before: &Delivery,
    event: Event,
    name: &'static str,
    now: impl Into<Moment>,
) -> Result<bool, StoreError> {
    let moment: Moment = now.into();
    let Ok(after) = before.apply(event, moment) else { return Ok(false) };
    let transition = Transition::between(before, &after, name, moment.wall);
    deliveries::put(tx, Some(before), &after, Some(transition))?;
    Ok(true)
}

/// Out of a worker's hands and back into the due index.
pub fn put_back(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    why: &str,
    now: impl Into<Moment>,
) -> Result<(), StoreError> {
    let moment: Moment = now.into();
    let now = moment.wall;
    let Some(delivery) = deliveries::get(tx, id)?.filter(Delivery::in_flight) else { return Ok(()) };
    let event = if delivery.state == State::Sending && !planted("sending becomes retry at start") {
        tracing::warn!(delivery = %id, account = %delivery.name, "found in the middle of a call; it is looked up before anything is sent");
        let reason = Reason::new("ambiguous", format!("{why} during the call"))
            .hint("checking whether it is already live; nothing to do for now");
        Event::Lose { next_check: now, reason, said: None }
    } else {
        let reason = Reason::new("restarted", format!("{why} before anything was sent"));
        Event::park(now, reason)
    };
    match delivery.apply(event, moment) {
        Ok(after) => {
            let event = if why == STOPPED { "recovered" } else { "put_back" };
            let transition = Transition::between(&delivery, &after, event, now);
            deliveries::put(tx, Some(&delivery), &after, Some(transition)).map(drop)
        }
        // A bug of ours. One delivery that stands still must not keep the daemon from starting.
        Err(illegal) => {
            tracing::error!(delivery = %id, %illegal, "cannot be recovered; it is left as stored");
            Ok(())
        }
    }
}

/// Everything the engine needs of one delivery, in one consistent read. `None`: it, its post or its
/// network is gone.
pub fn load(store: &Store, id: DeliveryId, find: Find) -> Result<Option<Work>, StoreError> {
    let read = store.read(|rx| {
        let Some(delivery) = deliveries::get(rx, id)? else { return Ok(None) };
        let Some(post) = posts::get(rx, delivery.post)? else { return Ok(None) };
        let account = accounts::get(rx, delivery.account)?;
        let hold = queues::hold(rx, &delivery, &post)?;
        Ok(Some((delivery, post, account, hold)))
    })?;
    let Some((delivery, mut post, account, hold)) = read else { return Ok(None) };
    let Some(platform) = find(delivery.name.platform()) else { return Ok(None) };
    let options = post.options_for(delivery.name.platform());
    let content = post.content_for(&delivery.name);
    let tier = account.as_ref().and_then(|it| it.tier.as_deref());
    let draft = validate::Draft {
        parts: &content.parts,
        comment: content.comment.as_deref(),
        media: &post.media,
        options: &options,
        lacks: account.as_ref().map_or(&[], |it| it.missing_scopes.as_slice()),
    };
    let problems = validate::check(platform, tier, draft).problems;
    // From here on the files are what the network gets.
    post.media = validate::as_sent(platform, tier, &options, &post.media);
    let bound = {
        let (store, account) = (store.clone(), delivery.account);
        // When the index cannot be read, everything counts as bound: nothing is then mistaken for ours.
        move |remote: &str| {
            store.read(|rx| deliveries::bound(rx, account, remote)).map_or(true, |found| found.is_some())
        }
    };
    let twin = {
        let (store, account) = (store.clone(), delivery.account);
        // Unreadable: nothing is known of a twin, and the write of the intent fails by itself.
        move |marker: &str| {
            store.read(|rx| deliveries::open_under(rx, account, marker)).ok().and_then(|mut it| it.pop())
        }
    };
    let post = Arc::new(post);
    let earlier = {
        let (store, delivery, post) = (store.clone(), delivery.clone(), Arc::clone(&post));
        move || {
            let parts = &post.content_for(&delivery.name).parts;
            let found = store.read(|rx| repeats::went_out(rx, &delivery, parts));
            found.ok().flatten().map(|it| (it.post, it.at))
        }
    };
    Ok(Some(Work {
        delivery,
        post,
        account,
        platform,
        bound: Arc::new(bound),
        twin: Arc::new(twin),
        earlier: Arc::new(earlier),
        problems,
        hold,
        broke: None,
    }))
}

/// The three values [`Store::intend`] takes.
pub type Intent = (Delivery, Delivery, Attempt);

/// Why [`load`] has nothing to show of a delivery that is due. `None`: it is gone, as it may be.
pub fn why_unloadable(store: &Store, id: DeliveryId, find: Find) -> Option<String> {
    let read = store.read(|rx| {
        let Some(it) = deliveries::get(rx, id)? else { return Ok(None) };
        let post = posts::get(rx, it.post)?;
        Ok(Some((it, post)))
    });
    match read {
        Err(error) => Some(error.to_string()),
        Ok(None) => None,
        Ok(Some((it, None))) => Some(format!("its post `{}` is gone", it.post)),
        Ok(Some((it, Some(_)))) => {
            let platform = it.name.platform();
            find(platform).is_none().then(|| format!("this version has no network `{platform}`"))
        }
    }
}

/// Turns the engine's writes into transactions. Remembers the attempt rows of calls on the wire, to
/// complete them with their answers.
#[derive(Debug)]
pub struct Ledger {
    find: Find,
    attempts: HashMap<DeliveryId, Attempt>,
}

impl Ledger {
    /// Knows of no call yet.
    pub fn new(find: Find) -> Self {
        Self { find, attempts: HashMap::new() }
    }

    /// The transaction of [`Effect::Save`](crate::engine::Effect::Save): compare-and-swap, history,
    /// the attempt's end, a tombstone. Returns the row, if it went on to another state in the same write.
    pub fn save(
        &mut self,
        save: Save,
        now: Timestamp,
    ) -> impl FnMut(&mut Tx<'_>) -> Result<Option<Delivery>, StoreError> + Send + use<> {
        let Save { before, after, event, answer, .. } = save;
        let mut transition = Transition::between(&before, &after, event, now);
        // Only what comes back from a publishing call completes one; the answer to any other belongs to
        // the move it led to.
        let mut attempt = None;
        if before.state == State::Sending {
            attempt = answer.and_then(|it| self.completed(after.id, it, now));
        } else {
            transition.answer = answer.map(answered);
        }
        if event == Looked::Absent.name() {
            let again = after.next_try.map(|at| format!("; looked at again at {at:.0}")).unwrap_or_default();
            transition.note = Some(format!("a look did not find it{again}"));
        }
        if let Some(reason) = &mut transition.reason {
            reason.raw = attempt.as_ref().and_then(|it| it.raw.clone()).or(reason.raw.take());
        }
        // A late retry must never bring back what was taken back. Elsewhere than in class A the
        // marker is a print of the text, which may be posted again.
        let buried = match &before.flight.frozen {
            Some(frozen) if after.state == State::Cancelled && self.has_client_id(&after) => {
                Some(frozen.marker.clone())
            }
            _ => None,
        };
        move |tx| {
            if let Some(attempt) = &attempt {
                deliveries::end_attempt(tx, attempt)?;
                if attempt.cost > 0 && is_free(attempt) {
                    let (network, month) = (after.name.platform(), spent::month(attempt.started));
                    let less = (attempt.cost, true);
                    spent::give_back(tx, after.account, network, month, CREATE, less)?;
                }
            }
            if let Some(marker) = &buried {
                deliveries::bury(tx, after.account, marker, now)?;
            }
            cp!("c11", attempt.is_some());
            deliveries::put(tx, Some(&before), &after, Some(transition.clone()))?;
            if after.state == State::NeedsReconnect { go_on(tx, &after, now) } else { Ok(None) }
        }
    }

    /// The transaction of [`Effect::CameToNothing`](crate::engine::Effect::CameToNothing): a fact beside an
    /// end that stays, with a line of its own in the history. Returns the row, if that was written.
    pub fn came_to_nothing(
        id: DeliveryId,
        mut reason: Reason,
        answer: Evidence,
        now: Timestamp,
    ) -> impl FnMut(&mut Tx<'_>) -> Result<Option<Delivery>, StoreError> + Send + use<> {
        let answer = answered(answer);
        reason.raw.clone_from(&answer.raw);
        move |tx| {
            let Some(before) = deliveries::get(tx, id)? else { return Ok(None) };
            let mut after = before.clone();
            if !after.note_nothing(reason.clone()) || after == before {
                return Ok(None);
            }
            let row = Transition {
                answer: Some(answer.clone()),
                ..Transition::between(&before, &after, NOTHING, now)
            };
            deliveries::put(tx, Some(&before), &after, Some(row))?;
            Ok(Some(after))
        }
    }

    /// What [`Store::intend`] is to commit for
    /// [`Effect::Publish`](crate::engine::Effect::Publish). `None`: the save is not one of an
    /// intent, which is a bug of ours.
    /// `cost`: of the call, and of the read that proves it.
    pub fn intend(
        &mut self,
        store: &Store,
        save: Save,
        cost: u64,
        now: Timestamp,
    ) -> Result<Option<Intent>, StoreError> {
        let Save { before, after, .. } = save;
        let id = after.id;
        let Some(frozen) = &after.flight.frozen else {
            tracing::error!(delivery = %id, "an intent without a frozen request");
            return Ok(None);
        };
        let n = store.read(|rx| deliveries::next_attempt(rx, id))?;
        let digest = Sha256::digest(&frozen.body).into();
        let attempt =
            Attempt { cost, ..Attempt::begun((id, after.step), n, frozen.marker.as_str(), digest, now) };
        self.attempts.insert(id, attempt.clone());
        Ok(Some((before, after, attempt)))
    }

    /// The attempt row of the call that just ended, with what came of it.
    fn completed(&mut self, id: DeliveryId, answer: Evidence, now: Timestamp) -> Option<Attempt> {
        let mut attempt = self.attempts.remove(&id)?;
        attempt.ended = Some(now);
        attempt.outcome = Some(answer.outcome.to_owned());
        attempt.status = answer.status;
        attempt.raw = (!answer.raw.is_empty()).then(|| view::raw(&answer.raw));
        attempt.trace = answer.trace;
        Some(attempt)
    }

    fn has_client_id(&self, delivery: &Delivery) -> bool {
        (self.find)(delivery.name.platform()).is_some_and(|it| it.capabilities(None).class == Class::ClientId)
    }
}

/// Networks take nothing for what they refuse. What became of a call without an answer they alone know,
/// so that stays counted.
fn is_free(attempt: &Attempt) -> bool {
    matches!(attempt.outcome.as_deref(), Some("refused" | "not_sent" | "duplicate"))
}

fn answered(it: Evidence) -> Answered {
    Answered {
        outcome: it.outcome.to_owned(),
        status: it.status,
        raw: (!it.raw.is_empty()).then(|| view::raw(&it.raw)),
        trace: it.trace,
    }
}
