//! Asks networks ahead of time whether an account may still do what its posts ask for.
//!
//! A part of the checks ahead of time ([`precheck`]), beside their rounds: a network that is slow must
//! not keep them waiting. An account is asked once for all its posts; what it said is believed for a
//! minute of a post that has just come near, and for ten of one that is looked at again. A call that
//! fails says nothing, neither for nor against.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{calls, ledger, precheck};
use crate::domain::delivery::{Reason, State};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::engine::{Reply, Work, with_job};
use crate::platforms::{self, Ahead, Answer, Failure, FailureClass, Request};
use crate::store::{StoreError, deliveries};

const BELIEVED: SignedDuration = SignedDuration::from_mins(1);
const BELIEVED_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Accounts asked at once.
const AT_ONCE: usize = 4;
/// The class of what would go out, and not as it was asked for.
pub(super) const OTHERWISE: &str = "otherwise";

/// What is to be asked, and what was said.
#[derive(Default)]
pub(super) struct Foresight {
    state: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    /// Deliveries to ask about; whether each has just come near.
    queue: BTreeMap<DeliveryId, bool>,
    /// A task is at it.
    running: bool,
    heard: BTreeMap<AccountId, (Timestamp, Answer)>,
}

impl Foresight {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed that may change what accounts may do.
    pub(super) fn forget(&self) {
        self.lock().heard.clear();
    }

    /// What an account said, if that is believed still.
    fn heard(&self, account: AccountId, soon: bool, now: Timestamp) -> Option<Answer> {
        let life = if soon { BELIEVED } else { BELIEVED_AGAIN };
        let mut state = self.lock();
        // A clock that was put back counts as time passed.
        let young = |at: Timestamp, life| at <= now && now.duration_since(at) < life;
        state.heard.retain(|_, (at, _)| young(*at, BELIEVED_AGAIN));
        state.heard.get(&account).filter(|(at, _)| young(*at, life)).map(|(_, answer)| answer.clone())
    }
}

/// What a network can be asked about a delivery ahead of time.
pub(super) fn question(work: &Work) -> Option<Request> {
    with_job(work, |job| work.platform.foresee(job)).flatten()
}

/// Asks about these, in the background. `bool`: it has just come near.
pub(super) fn ask(shared: &Arc<Shared>, about: impl IntoIterator<Item = (DeliveryId, bool)>) {
    let mut state = shared.findings.foresight.lock();
    for (id, soon) in about {
        *state.queue.entry(id).or_default() |= soon;
    }
    if state.queue.is_empty() || state.running {
        return;
    }
    state.running = true;
    drop(state);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        loop {
            let queue = {
                let mut state = shared.findings.foresight.lock();
                if state.queue.is_empty() || shared.stopping.load(Ordering::Relaxed) {
                    state.running = false;
                    return;
                }
                std::mem::take(&mut state.queue)
            };
            all(&shared, queue).await;
        }
    });
}

async fn all(shared: &Arc<Shared>, queue: BTreeMap<DeliveryId, bool>) {
    let reading = Arc::clone(shared);
    let read = tokio::task::spawn_blocking(move || {
        let mut groups: BTreeMap<AccountId, Vec<(Work, bool)>> = BTreeMap::new();
        for (id, soon) in queue {
            if let Some(work) = ledger::load(&reading.store, id, platforms::find)? {
                groups.entry(work.delivery.account).or_default().push((work, soon));
            }
        }
        Ok::<_, StoreError>(groups)
    });
    let groups = match read.await {
        Ok(Ok(groups)) => groups,
        Ok(Err(error)) => return tracing::warn!(%error, "could not read what is asked about ahead of time"),
        Err(_) => return,
    };
    stream::iter(groups)
        .for_each_concurrent(AT_ONCE, |(account, works)| async move {
            if let Err(error) = one(shared, account, &works).await {
                tracing::warn!(%error, "what was asked ahead of time could not be noted");
            }
        })
        .await;
}

/// One account, with everything that is asked of it.
async fn one(shared: &Arc<Shared>, account: AccountId, works: &[(Work, bool)]) -> Result<(), StoreError> {
    let soon = works.iter().any(|(_, soon)| *soon);
    let known = shared.findings.foresight.heard(account, soon, shared.now());
    let answer = if known.is_some() { known } else { asked(shared, account, works).await };
    let Some(answer) = answer else { return Ok(()) };
    for (work, _) in works {
        let id = work.delivery.id;
        let still = shared.store.read(|rx| deliveries::get(rx, id))?;
        if still.is_none_or(|it| it.state != State::Scheduled) {
            continue;
        }
        let now = shared.now();
        let found = match foreseen(work, &answer, now).map(|said| found(said, work.delivery.due.instant)) {
            None | Some(Found::Nothing) => continue,
            Some(Found::Fine) => None,
            Some(Found::Risk(reason)) => Some(reason),
        };
        precheck::note(shared, &work.delivery, found, true, now).await?;
    }
    Ok(())
}

/// The account's answer, if there is one.
async fn asked(shared: &Arc<Shared>, account: AccountId, works: &[(Work, bool)]) -> Option<Answer> {
    let (work, request) = works.iter().find_map(|(it, _)| Some((it, question(it)?)))?;
    let read = |reply| match reply {
        Reply::Answer(answer) => match foreseen(work, &answer, shared.now()) {
            Some(Ahead::Unclear(failure)) => Err(failure),
            _ => Ok(answer),
        },
        Reply::Unfit(failure) => Err(failure),
        Reply::NotSent(message) | Reply::Lost(message) => Err(Failure::transient(message)),
    };
    match calls::call_fresh(shared, account, &request, read).await {
        Ok(answer) => {
            let heard = (shared.now(), answer.clone());
            shared.findings.foresight.lock().heard.insert(account, heard);
            Some(answer)
        }
        Err(failure) => {
            tracing::debug!(why = failure.message, "an account could not be asked ahead of time");
            None
        }
    }
}

fn foreseen(work: &Work, answer: &Answer, now: Timestamp) -> Option<Ahead> {
    with_job(work, |job| work.platform.foreseen(job, answer, now))
}

/// What is known of a delivery after its network was asked.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Neither this nor that; what was found before stays.
    Nothing,
    Fine,
    Risk(Reason),
}

fn found(said: Ahead, due: Timestamp) -> Found {
    let risk = |class: &str, message: String, hint: Option<String>| {
        Found::Risk(Reason { hint, ..Reason::new(class, message) })
    };
    match said {
        Ahead::Unclear(_) => Found::Nothing,
        Ahead::Fine => Found::Fine,
        // A limit that will have passed by then speaks neither for nor against it.
        Ahead::Stops(it)
            if matches!(it.class, FailureClass::RateLimited | FailureClass::AppLimited)
                && it.until.is_none_or(|at| at <= due) =>
        {
            Found::Nothing
        }
        Ahead::Stops(it) => risk(it.class.as_str(), it.message, it.hint),
        Ahead::Differs { message, hint } => risk(OTHERWISE, message, Some(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_only_if_it_lasts_until_the_post_is_due() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let limit = |until| Failure {
            class: FailureClass::RateLimited,
            until: Some(at(until)),
            ..Failure::transient("15 posts")
        };
        assert_eq!(found(Ahead::Stops(limit(100)), at(100)), Found::Nothing);
        let told = Found::Risk(Reason::new("rate_limited", "15 posts"));
        assert_eq!(found(Ahead::Stops(limit(101)), at(100)), told);
        assert_eq!(found(Ahead::Fine, at(0)), Found::Fine);
        assert_eq!(found(Ahead::Unclear(limit(101)), at(100)), Found::Nothing);
    }

    #[test]
    fn what_was_said_is_believed_longer_of_what_is_looked_at_again() {
        let (foresight, id) = (Foresight::default(), AccountId::from_u128(1));
        let at = |s| Timestamp::from_second(s).unwrap();
        let answer = Answer { status: 200, headers: Vec::new(), body: Vec::new() };
        foresight.lock().heard.insert(id, (at(1_000), answer.clone()));
        assert_eq!(foresight.heard(id, true, at(1_059)), Some(answer.clone()));
        assert_eq!(foresight.heard(id, true, at(1_060)), None);
        assert_eq!(foresight.heard(id, false, at(1_060)), Some(answer.clone()));
        assert_eq!(foresight.heard(id, false, at(1_600)), None);
        foresight.lock().heard.insert(id, (at(1_000), answer));
        assert_eq!(foresight.heard(id, false, at(999)), None, "the clock was put back");
    }
}
