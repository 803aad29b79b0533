//! The proof that a publishing call may be made.

use super::errors::StoreError;
use super::tx::Tx;
use super::writer::Store;
use super::{accounts, deliveries, posts, queues, spent, zones};
use crate::domain::account::AccountState;
use crate::domain::attempt::{Attempt, Transition};
use crate::domain::delivery::{Delivery, Frozen, State};
use crate::domain::ids::{AccountId, DeliveryId};

/// A publishing call that is durable as intended and not yet made (W3). The code that puts bytes on
/// the wire takes this value, and only [`Store::intend`] makes one, after its commit: so no byte can
/// leave before the intent is on the disk. It is used up by the call, hence not `Clone`.
///
/// Its fields are private, so nobody else can make one:
///
/// ```compile_fail,E0451
/// use sendoff::domain::{attempt::Attempt, delivery::{Delivery, Frozen}};
/// fn forge(delivery: Delivery, frozen: Frozen, attempt: Attempt) -> sendoff::store::DurableIntent {
///     sendoff::store::DurableIntent { delivery, frozen, attempt }
/// }
/// ```
///
/// Nor can one be used twice:
///
/// ```compile_fail,E0599
/// fn twice(intent: sendoff::store::DurableIntent) -> [sendoff::store::DurableIntent; 2] {
///     [intent.clone(), intent]
/// }
/// ```
#[derive(Debug)]
pub struct DurableIntent {
    delivery: Delivery,
    frozen: Frozen,
    attempt: Attempt,
}

impl DurableIntent {
    pub fn id(&self) -> DeliveryId {
        self.delivery.id
    }

    pub fn account(&self) -> AccountId {
        self.delivery.account
    }

    /// The delivery as it was committed, in `Sending`.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Index of the step to publish.
    pub fn step(&self) -> u16 {
        self.delivery.step
    }

    /// The marker and the exact body to send.
    pub fn frozen(&self) -> &Frozen {
        &self.frozen
    }

    /// The call's row, to be completed by `deliveries::end_attempt`.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// The owner this intent belongs to.
    pub fn claim_gen(&self) -> u32 {
        self.delivery.claim_gen
    }
}

/// Under which name publishing calls are counted, with the read that proves each.
pub const CREATE: &str = "publish";

impl Store {
    /// Makes a publishing call durable before it is made (W3): the delivery in `Sending`, the call's
    /// row, and the move in the history, in one commit. Queued by the call itself, as
    /// [`Store::write`]. Refused, with nothing written, if its marker must never be sent again, or if
    /// the account or the queue was paused meanwhile, or the delivery held back.
    pub fn intend(
        &self,
        before: Delivery,
        after: Delivery,
        attempt: Attempt,
    ) -> impl Future<Output = Result<DurableIntent, StoreError>> + Send + use<> {
        self.claim_and_intend(before, None, after, attempt, None)
    }

    /// W1 and W3 in one write, for a delivery with nothing to prepare: `before` is as it is stored,
    /// `claimed` as a claim makes it, `after` in `Sending`. Both moves are in the history. With
    /// `None` it was claimed before. What the call costs is counted with it; refused if that were beyond
    /// `budget`, in millionths of a US dollar.
    pub fn claim_and_intend(
        &self,
        before: Delivery,
        claimed: Option<Delivery>,
        after: Delivery,
        attempt: Attempt,
        budget: Option<u64>,
    ) -> impl Future<Output = Result<DurableIntent, StoreError>> + Send + use<> {
        let queued = ready(&after, &attempt)
            .map(|frozen| (frozen, self.write(commit(before, claimed, after, attempt, budget))));
        async move {
            let (frozen, write) = queued?;
            write.await.map(|(delivery, attempt)| DurableIntent { delivery, frozen, attempt })
        }
    }

    /// As [`Store::claim_and_intend`], for code outside of async. Blocks.
    pub fn intend_blocking(
        &self,
        before: Delivery,
        claimed: Option<Delivery>,
        after: Delivery,
        attempt: Attempt,
    ) -> Result<DurableIntent, StoreError> {
        let frozen = ready(&after, &attempt)?;
        let (delivery, attempt) = self.write_blocking(commit(before, claimed, after, attempt, None))?;
        Ok(DurableIntent { delivery, frozen, attempt })
    }
}

/// The transaction of an intent, for one that is to share its commit with other writes; for the simulation,
/// which sends nothing and needs no proof.
///
/// # Errors
/// The state and the attempt are not those of an intent.
pub fn job(
    before: Delivery,
    claimed: Option<Delivery>,
    after: Delivery,
    attempt: Attempt,
) -> Result<impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static, StoreError> {
    ready(&after, &attempt)?;
    let mut commit = commit(before, claimed, after, attempt, None);
    Ok(move |tx: &mut Tx<'_>| commit(tx).map(drop))
}

/// The transaction of an intent.
fn commit(
    before: Delivery,
    claimed: Option<Delivery>,
    after: Delivery,
    attempt: Attempt,
    budget: Option<u64>,
) -> impl FnMut(&mut Tx<'_>) -> Result<(Delivery, Attempt), StoreError> + Send {
    move |tx| {
        if deliveries::is_buried(tx, after.account, &attempt.marker)? {
            return Err(StoreError::Refused {
                why: format!("the marker of delivery `{}` must never be sent again", after.id),
            });
        }
        // Paused or about to leave since the work was read: upload and refresh take their time.
        if let Some(account) = accounts::get(tx, after.account)?
            && account.state == AccountState::Paused
        {
            return Err(StoreError::Refused { why: format!("account `{}` is paused", account.name) });
        }
        if let Some(why) = held_back(tx, &before)? {
            return Err(StoreError::Refused { why });
        }
        if attempt.cost > 0 {
            let (network, month) = (after.name.platform(), spent::month(attempt.started));
            if let Some(budget) = budget
                && let Some(why) = spent::beyond(tx, network, month, attempt.cost, budget)?
            {
                return Err(StoreError::Refused { why });
            }
        }
        let last = claimed.as_ref().unwrap_or(&before);
        let claim = claimed.as_ref().map(|it| Transition {
            note: Some(it.tell()),
            ..Transition::between(&before, it, "claim", attempt.started)
        });
        let intend = Transition::between(last, &after, "intend", attempt.started);
        deliveries::put(tx, Some(&before), &after, claim.into_iter().chain([intend]))?;
        deliveries::add_attempt(tx, &attempt)?;
        if attempt.cost > 0 {
            let (network, month) = (after.name.platform(), spent::month(attempt.started));
            spent::add(tx, after.account, network, month, CREATE, attempt.cost)?;
        }
        Ok((after.clone(), attempt.clone()))
    }
}

/// Why this may not leave although it could when its work was read: its queue was paused since, or new
/// time-zone rules brought it too near. As when it is read, what may be live in part goes on.
fn held_back(tx: &Tx<'_>, it: &Delivery) -> Result<Option<String>, StoreError> {
    if it.live_prefix() > 0 || it.flight.amb_since.is_some() {
        return Ok(None);
    }
    if zones::is_held(tx, it.id)? {
        return Ok(Some(format!("delivery `{}` is held: new time-zone rules moved it", it.id)));
    }
    // Hardly ever is a queue paused, and then alone the post is read for its place.
    if !queues::any_paused(tx)? {
        return Ok(None);
    }
    let Some(slot) = posts::get(tx, it.post)?.and_then(|post| post.slot) else { return Ok(None) };
    let paused = queues::paused_since(tx, &slot.queue)?.is_some();
    Ok(paused.then(|| format!("queue `{}` is paused", slot.queue)))
}

/// The frozen request, if state and attempt are those of an intent.
fn ready(after: &Delivery, attempt: &Attempt) -> Result<Frozen, StoreError> {
    let (State::Sending, Some(frozen)) = (&after.state, &after.flight.frozen) else {
        return Err(StoreError::conflict(format!(
            "delivery `{}` is `{}`, or its request is not fixed: there is nothing to intend",
            after.id,
            after.state.as_str()
        )));
    };
    let belongs = attempt.delivery == after.id
        && attempt.step == after.step
        && attempt.marker == frozen.marker
        && attempt.ended.is_none();
    if !belongs {
        return Err(StoreError::conflict(format!("the attempt is not one of delivery `{}`", after.id)));
    }
    Ok(frozen.clone())
}
