//! `account disconnect`: everything, in the order of the plan, and a receipt that is whole however
//! often it had to be begun.
//!
//! The first write stops the account and notes the erasure, in one commit: from then on nothing new
//! is taken or sent for it, and whatever interrupts the rest, the next start, the next minute or the
//! next call of the command finishes it. What each step came to is stored with the step, so that
//! the receipt does not depend on the process that began it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::accounts::find;
use super::shared::Shared;
use super::wire::fill;
use super::{errors, files, ledger, tokens, view};
use crate::auth::{RevocationResult, Tools, revoke_by_hand};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, State};
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, AccountName, DeliveryId, PostId, ReceiptId};
use crate::domain::moment::Moment;
use crate::engine::Input;
use crate::engine::ask::Ask;
use crate::privacy::DisconnectStep;
use crate::store::audit::{Receipt, Told};
use crate::store::journal::Happening;
use crate::store::vault::{Erasure, ErasureLine};
use crate::store::{
    Compaction, StoreError, Tx, accounts, audit as trail, deliveries, posts, queues, spent, vault,
};

/// Disconnects under way: one at a time per account, whoever asks, and what it came to for those
/// who waited.
#[derive(Default)]
pub(super) struct Erasing(Mutex<HashMap<AccountId, Slot>>);

type Slot = Arc<tokio::sync::Mutex<Option<m::Receipt>>>;

impl Erasing {
    fn all(&self) -> MutexGuard<'_, HashMap<AccountId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, id: AccountId) -> Slot {
        Arc::clone(self.all().entry(id).or_default())
    }

    fn is_running(&self, id: AccountId) -> bool {
        self.all().get(&id).is_some_and(|slot| slot.try_lock().is_err())
    }
}

/// Begins a disconnect, or goes on with the one that was begun, and waits for its receipt.
pub(super) async fn disconnect(shared: &Arc<Shared>, account: &str) -> ApiResult<m::ReceiptAnswer> {
    let name: AccountName = account.parse().map_err(errors::bad_name)?;
    // An account whose row is gone already is still known by its erasure.
    let left = shared.store.read(|rx| {
        if accounts::by_name(rx, &name)?.is_some() {
            return Ok(None);
        }
        Ok(vault::erasures(rx)?.into_iter().find(|it| it.name == name.to_string()))
    });
    if let Some(erasure) = left.map_err(errors::store)? {
        return finish(shared, erasure.account).await.map(|receipt| m::ReceiptAnswer { receipt });
    }
    let found = find(shared, account)?;
    let id = found.id;
    // Taken before the first write: whoever else carries it out leaves the receipt here.
    let slot = shared.erasing.slot(id);
    if let Err(error) = begin(shared, found).await {
        // Gone since it was read, by a call that was quicker: then its receipt is ours, too.
        let theirs = slot.lock().await.clone();
        return theirs.map(|receipt| m::ReceiptAnswer { receipt }).ok_or(error);
    }
    finish_in(shared, id, &slot).await.map(|receipt| m::ReceiptAnswer { receipt })
}

/// The first write: the account is stopped and the erasure noted, or the one under way is found.
async fn begin(shared: &Arc<Shared>, account: Account) -> ApiResult<()> {
    let (id, row) = (account.id, erasure(shared, &account));
    let begun = shared.store.write(move |tx| {
        // It may have gone since it was read: another call was quicker.
        if vault::erasure_of(tx, id)?.is_none() {
            accounts::need(tx, id)?;
        }
        vault::begin_erasure(tx, &row)
    });
    begun.await.map_err(errors::store)?;
    // The lane looks at the account anew, and stops.
    shared.send(Input::AccountChanged(id));
    shared.rehearsal.point("begun").await;
    Ok(())
}

/// An erasure that has not begun.
pub(super) fn erasure(shared: &Shared, account: &Account) -> Erasure {
    Erasure {
        account: account.id,
        step: String::new(),
        receipt: ReceiptId::new(shared.now(), Shared::random()),
        started: shared.now(),
        name: account.name.to_string(),
        subject: hex(&shared.receipts.sign(&[b"subject", account.remote_id.as_bytes()])),
        lines: Vec::new(),
    }
}

/// Goes on with every disconnect that nobody is at work on: after a crash, and after a failure that
/// may have passed. Does not wait for them.
pub(super) fn resume(shared: &Arc<Shared>) -> Result<(), StoreError> {
    for erasure in shared.store.read(vault::erasures)? {
        let id = erasure.account;
        if shared.erasing.is_running(id) {
            continue;
        }
        tracing::warn!(account = %erasure.name, "going on with a disconnect that was interrupted");
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            if let Err(error) = finish(&shared, id).await {
                tracing::error!(account = %erasure.name, error = %error.message, "a disconnect could not be finished; it is tried again");
            }
        });
    }
    Ok(())
}

/// Carries an erasure to its end, or waits for who does. The receipt is the same for all of them.
pub(super) async fn finish(shared: &Arc<Shared>, id: AccountId) -> ApiResult<m::Receipt> {
    let slot = shared.erasing.slot(id);
    finish_in(shared, id, &slot).await
}

async fn finish_in(shared: &Arc<Shared>, id: AccountId, slot: &Slot) -> ApiResult<m::Receipt> {
    let mut done = slot.lock().await;
    if let Some(receipt) = &*done {
        return Ok(receipt.clone());
    }
    let Some(erasure) = shared.store.read(|rx| vault::erasure_of(rx, id)).map_err(errors::store)? else {
        shared.erasing.all().remove(&id);
        return Err(errors::store(StoreError::not_found("disconnect under way; it is over")));
    };
    let receipt = carry_out(shared, erasure).await?;
    *done = Some(receipt.clone());
    // Ids of accounts are never used twice: who comes now finds the account gone.
    shared.erasing.all().remove(&id);
    Ok(receipt)
}

async fn carry_out(shared: &Arc<Shared>, mut erasure: Erasure) -> ApiResult<m::Receipt> {
    let id = erasure.account;
    let account = shared.store.read(|rx| accounts::get(rx, id)).map_err(errors::store)?;
    let lock = shared.refresh_lock(id);
    let mut alone = None;
    for step in DisconnectStep::after(DisconnectStep::from_word(&erasure.step)) {
        if step > DisconnectStep::Deliveries && alone.is_none() {
            // A refresh on the wire ends first, so that what it brought is what is revoked. A new
            // one cannot begin any more.
            alone = Some(lock.lock().await);
        }
        let lines = match step {
            DisconnectStep::Deliveries => close_deliveries(shared, id).await?,
            DisconnectStep::Revoke => {
                let lines = revoke(shared, account.as_ref()).await;
                note(shared, id, step, lines).await?
            }
            DisconnectStep::Rows => rows(shared, id, &erasure.name).await?,
            DisconnectStep::Key => {
                let ring = Arc::clone(shared);
                let destroyed = tokio::task::spawn_blocking(move || ring.keyring.destroy(id)).await;
                destroyed.map_err(|error| errors::internal(&error))?.map_err(errors::key)?;
                let message = "copies of the tokens in old pages and backups cannot be opened any more";
                let done = line("data key", HERE, m::Outcome::Done, Some(message.into()), None);
                note(shared, id, step, vec![done]).await?
            }
            DisconnectStep::Compact => {
                let lines = vec![compact(shared).await];
                note(shared, id, step, lines).await?
            }
        };
        erasure.lines.extend(lines);
        shared.rehearsal.point(step.as_str()).await;
    }
    let receipt = m::Receipt {
        id: erasure.receipt.to_string(),
        at: shared.now(),
        subject: erasure.name.clone(),
        items: erasure.lines.iter().map(item).collect(),
    };
    let stored = stored_receipt(&erasure, receipt.at);
    shared
        .store
        .write(move |tx| {
            trail::put_receipt(tx, &stored)?;
            vault::finish_erasure(tx, id).map(drop)
        })
        .await
        .map_err(errors::store)?;
    drop(alone);
    farewell(shared, account.as_ref(), &receipt);
    Ok(receipt)
}

/// Stores that a step is done and what it came to. For steps whose effect is outside the store; a
/// crash before this repeats the step, and each may be repeated.
async fn note(
    shared: &Arc<Shared>,
    id: AccountId,
    step: DisconnectStep,
    lines: Vec<ErasureLine>,
) -> ApiResult<Vec<ErasureLine>> {
    shared.rehearsal.point(&format!("{} not noted", step.as_str())).await;
    let stored = lines.clone();
    shared
        .store
        .write(move |tx| vault::advance_erasure(tx, id, step.as_str(), &stored))
        .await
        .map_err(errors::store)?;
    Ok(lines)
}

/// Tells whoever watches: also a person who was not there when a restart finished it, and who has
/// something left to do by hand.
fn farewell(shared: &Arc<Shared>, account: Option<&Account>, receipt: &m::Receipt) {
    let id = &receipt.subject;
    let failed: Vec<_> = receipt.items.iter().filter(|it| it.result == m::Outcome::Failed).collect();
    let mut message = format!("{id}: disconnected");
    for it in &failed {
        let why = it.message.as_deref().unwrap_or("failed");
        let hint = it.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        message = format!("{message}; {} at {}: {why}{hint}", it.what, it.r#where);
    }
    let level = if failed.is_empty() { "info" } else { "warn" };
    tracing::info!(receipt = %receipt.id, failed = failed.len(), "an account was disconnected");
    let told = view::happening(receipt.at, level, "account.disconnected", &message);
    shared.announce(Happening { account: Some(id.clone()), ..told });
    if let Some(account) = account {
        shared.wire().forget(account);
        shared.send(Input::AccountChanged(account.id));
    }
}

const HERE: &str = "this installation";

/// What became of one thing, for the receipt.
fn line(
    what: &str,
    place: &str,
    result: m::Outcome,
    message: Option<String>,
    hint: Option<String>,
) -> ErasureLine {
    let result = result.as_str().to_owned();
    ErasureLine { what: what.to_owned(), place: place.to_owned(), result, message, hint }
}

fn item(it: &ErasureLine) -> m::ReceiptItem {
    m::ReceiptItem {
        what: it.what.clone(),
        r#where: it.place.clone(),
        // A word of a later version would be one we cannot vouch for.
        result: m::Outcome::from_word(&it.result).unwrap_or(m::Outcome::Failed),
        message: it.message.clone(),
        hint: it.hint.clone(),
    }
}

/// The receipt that outlives what it is about holds no name, only a keyed hash (R58).
fn stored_receipt(erasure: &Erasure, finished: Timestamp) -> Receipt {
    Receipt {
        id: erasure.receipt,
        kind: "disconnect".into(),
        subject: erasure.subject.clone(),
        code: hex(&Shared::random::<16>()),
        requested_at: erasure.started,
        finished_at: Some(finished),
        outcome: erasure.lines.iter().map(|it| (it.what.clone(), it.result.clone())).collect(),
        told: erasure.lines.iter().map(|it| told(erasure, it)).collect(),
        parts: Vec::new(),
    }
}

/// What was said of one step, without the account's name.
fn told(erasure: &Erasure, it: &ErasureLine) -> Told {
    let nameless = |text: &String| text.replace(&erasure.name, "the account");
    Told {
        account: None,
        place: Some(nameless(&it.place)),
        message: it.message.as_ref().map(nameless),
        hint: it.hint.as_ref().map(nameless),
    }
}

/// Tokens, refresh notes and the account's row, in one commit with the step itself.
async fn rows(shared: &Arc<Shared>, id: AccountId, name: &str) -> ApiResult<Vec<ErasureLine>> {
    let lines = ["tokens", "account"].map(|what| line(what, HERE, m::Outcome::Done, None, None)).to_vec();
    let (stored, name) = (lines.clone(), name.to_owned());
    shared
        .store
        .write(move |tx| {
            vault::remove_grant(tx, id)?;
            accounts::remove(tx, id)?;
            spent::forget(tx, id)?;
            trail::forget_account(tx, id, &name)?;
            vault::advance_erasure(tx, id, DisconnectStep::Rows.as_str(), &stored)
        })
        .await
        .map_err(errors::store)?;
    Ok(lines)
}

/// Pending deliveries are cancelled; one on the wire may finish; what stays unclear ends as not
/// verified, because nobody can look any more. In one commit with the step itself, so that a crash
/// cannot lose the count.
async fn close_deliveries(shared: &Arc<Shared>, id: AccountId) -> ApiResult<Vec<ErasureLine>> {
    let open = shared.store.read(|rx| ledger::open_of(rx, id)).map_err(errors::store)?;
    let running = async {
        // At most one per account. Its engine ends it; a call on the wire may take its minute.
        for delivery in open.iter().filter(|it| it.in_flight()) {
            drop(shared.asks.ask(shared, delivery.id, Ask::Cancel).await);
            at_rest(shared, delivery.id).await;
        }
    };
    if tokio::time::timeout(shared.rehearsal.running_call, running).await.is_err() {
        tracing::warn!(account = %id, "a call did not end in time; its delivery is closed unverified");
    }
    let now = shared.moment();
    let (closed, lines) = shared
        .store
        .write(move |tx| {
            let (closed, lines) = close(tx, id, now)?;
            vault::advance_erasure(tx, id, DisconnectStep::Deliveries.as_str(), &lines)?;
            Ok((closed, lines))
        })
        .await
        .map_err(errors::store)?;
    for post in closed.iter().map(|it| it.post).collect::<BTreeSet<_>>() {
        files::after_end(&shared.store, &shared.library, post, shared.now()).await;
    }
    Ok(lines)
}

/// Closes what is open, with what the receipt says of it.
fn close(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Moment,
) -> Result<(Vec<Delivery>, Vec<ErasureLine>), StoreError> {
    let closed = ledger::close(tx, account, now)?;
    for post in closed.iter().map(|it| it.post).collect::<BTreeSet<PostId>>() {
        // A post that was taken back as a whole gives its place in the queue back.
        let taken_back = deliveries::of_post(tx, post)?.iter().all(|it| it.state == State::Cancelled);
        if let Some(slot) = posts::get(tx, post)?.and_then(|it| it.slot).filter(|_| taken_back) {
            queues::free_slot(tx, &slot.queue, slot.local, post)?;
        }
    }
    let mut unclear = Vec::new();
    for it in &closed {
        let Some(why) = it.reason.clone().filter(|why| why.class == ledger::NOT_VERIFIED) else { continue };
        let what = "unclear delivery";
        unclear.push(line(what, &it.id.to_string(), m::Outcome::NotPossible, Some(why.message), why.hint));
    }
    let message = match (closed.len(), unclear.len()) {
        (0, _) => "nothing was waiting".to_owned(),
        (n, 0) => format!("{n} taken back"),
        (n, u) => format!("{} taken back, {u} closed without knowing whether it is live", n - u),
    };
    let mut lines = vec![line("pending deliveries", HERE, m::Outcome::Done, Some(message), None)];
    lines.append(&mut unclear);
    Ok((closed, lines))
}

/// Resolves when a delivery is no longer in a worker's hands.
async fn at_rest(shared: &Arc<Shared>, id: DeliveryId) {
    let mut commits = shared.store.commits();
    loop {
        match shared.store.read(|rx| deliveries::get(rx, id)) {
            Ok(Some(delivery)) if delivery.in_flight() => {}
            _ => return,
        }
        if commits.changed().await.is_err() {
            return;
        }
    }
}

/// Asks the network to revoke. Whatever it says, the local copy goes.
async fn revoke(shared: &Arc<Shared>, account: Option<&Account>) -> Vec<ErasureLine> {
    let Some(account) = account else { return Vec::new() };
    let platform = account.name.platform();
    let by_hand = |server: Option<&str>| Some(revoke_by_hand(platform, server));
    let failed = |message: String, hint: Option<String>| {
        vec![line("grant", platform.title(), m::Outcome::Failed, Some(message), hint)]
    };
    let at_home = account.server.as_deref();
    let grant = match tokens::load(shared, account.id) {
        Ok(grant) => grant,
        Err(tokens::TokenError::None) => {
            let message = "there was no token here to give back".to_owned();
            let result = m::Outcome::NotPossible;
            return vec![line("grant", platform.title(), result, Some(message), by_hand(at_home))];
        }
        Err(error) => return failed(error.to_string(), by_hand(at_home)),
    };
    if super::keep::is_shared(shared, &grant, Some(account.id)) {
        let message =
            "other accounts here live by the same consent, and it can only be ended for all of them";
        let hint = "it is ended with the last of them";
        return vec![line(
            "access of the app",
            platform.title(),
            m::Outcome::NotPossible,
            Some(message.to_owned()),
            Some(hint.to_owned()),
        )];
    }
    let issuer = grant.server.as_ref().map(|it| it.issuer.as_str()).or(at_home);
    let provider = match shared.provider(platform) {
        Ok(provider) => provider,
        Err(error) => return failed(error.to_string(), by_hand(issuer)),
    };
    let wire = shared.wire();
    let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now: shared.now(), random: &fill };
    let limit = shared.rehearsal.revoke;
    match tokio::time::timeout(limit, provider.revoke(tools, &grant)).await {
        Ok(lines) => lines
            .into_iter()
            .map(|it| {
                let result = match it.result {
                    RevocationResult::Done => m::Outcome::Done,
                    RevocationResult::NotPossible => m::Outcome::NotPossible,
                    RevocationResult::Failed => m::Outcome::Failed,
                };
                line(it.what, &it.place, result, it.message, it.hint)
            })
            .collect(),
        Err(_) => failed(
            format!("{} did not answer within {} s", platform.title(), limit.as_secs()),
            by_hand(issuer),
        ),
    }
}

async fn compact(shared: &Arc<Shared>) -> ErasureLine {
    let store = shared.store.clone();
    let outcome = tokio::task::spawn_blocking(move || store.compact()).await;
    let left = |why: &str| {
        let message = format!("{why}; they are used again, and no key opens the tokens in them");
        (m::Outcome::NotPossible, Some(message))
    };
    let (result, message) = match outcome {
        Ok(Ok(Compaction::Done)) => (m::Outcome::Done, None),
        Ok(Ok(Compaction::TooBig { bytes })) => {
            left(&format!("not cleared: in a store of {} MiB sending would wait for it", bytes >> 20))
        }
        Ok(Ok(Compaction::NoRoom)) => left("not cleared: the disk has too little room"),
        Ok(Err(error)) => (m::Outcome::Failed, Some(error.to_string())),
        Err(error) => (m::Outcome::Failed, Some(error.to_string())),
    };
    line("old pages of the store", HERE, result, message, None)
}
