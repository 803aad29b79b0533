//! A new delivery in place of one that ended (I14): `post retry` makes one that goes out now, and
//! `post reschedule` one for what was missed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::posts::{grant, meant, show};
use super::shared::Shared;
use super::{create, errors};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::DeliveryId;
use crate::domain::schedule::{Due, Late};
use crate::engine::Input;
use crate::engine::ask::Ask;
use crate::store::{StoreError, Tx, accounts, deliveries, media, missed, posts, zones};

pub(super) async fn retry(shared: &Arc<Shared>, id: &str) -> ApiResult<m::Post> {
    let (post, meant) = meant(shared, id)?;
    let now = shared.now();
    // A delivery that ended is left as it is; a later one of the same account may have taken over.
    let mut done = false;
    for delivery in &meant {
        // A person says that its new time is all right.
        let id = delivery.id;
        done |= shared.store.write(move |tx| zones::let_go(tx, id)).await.map_err(errors::store)?;
        match delivery.state {
            State::Retry | State::NeedsReconnect | State::Unknown => {
                grant(shared, delivery.id, &Ask::TryNow, now).await?;
                // Whatever holds the whole network back is probed on the user's word.
                shared.send(Input::Probe(delivery.name.platform()));
                done = true;
            }
            State::Rejected | State::Missed => done |= anew(shared, delivery, now).await?,
            _ => {}
        }
    }
    if !done {
        return Err(ApiError::conflict(
            "nothing_to_retry",
            format!("`{id}` has nothing that failed or waits"),
        ));
    }
    shared.nudge();
    show(shared, post)
}

/// `false`: one was made already.
async fn anew(shared: &Arc<Shared>, old: &Delivery, now: Timestamp) -> ApiResult<bool> {
    let config = shared.config();
    let due = create::due_now(now, &config.timezone);
    let fresh = successor(old, due, Late::Always, config.engine.give_up_after, now);
    let old = old.clone();
    shared
        .store
        .write(move |tx| {
            let is_last = is_last(&deliveries::of_post(tx, old.post)?, &old);
            if is_last {
                take_over(tx, &old, &fresh, now)?;
            }
            Ok(is_last)
        })
        .await
        .map_err(errors::store)
}

/// What takes over from one that ended, after the part of it that is live.
pub(super) fn successor(
    old: &Delivery,
    due: Due,
    late: Late,
    give_up_after: SignedDuration,
    now: Timestamp,
) -> Delivery {
    let id = DeliveryId::new(now, Shared::random());
    let give_up_at = due.give_up_at(give_up_after);
    Delivery {
        restored: old.restored,
        step: u16::try_from(old.live_prefix()).unwrap_or(u16::MAX),
        give_up_at,
        ..Delivery::new(id, old.post, old.account, old.name.clone(), due, late, old.steps.clone(), now)
    }
}

/// Whether nothing has taken over from it yet. `of_post` is all that its post has, in the order in which
/// they were made, read in the same write: two who ask at once make one.
pub(super) fn is_last(of_post: &[Delivery], it: &Delivery) -> bool {
    of_post.iter().rfind(|other| other.account == it.account).is_some_and(|last| last.id == it.id)
}

/// What of a post a change of its words is for: of each account the delivery made last, and of these what
/// was not taken back, where anything is left.
pub(super) fn that_stand(of_post: &[Delivery]) -> Vec<Delivery> {
    let last: Vec<_> = of_post.iter().filter(|it| is_last(of_post, it)).cloned().collect();
    let some_stand = last.iter().any(|it| it.state != State::Cancelled);
    last.into_iter().filter(|it| !some_stand || it.state != State::Cancelled).collect()
}

/// Whether another one may stand in its place: its account takes work, and its files are there. Writes
/// nothing, so a refusal leaves the transaction as it was.
pub(super) fn may_take_over(tx: &Tx<'_>, old: &Delivery) -> Result<(), StoreError> {
    accounts::may_take_work(tx, old.account, &old.name)?;
    let post = posts::need(tx, old.post)?;
    for item in &post.media {
        if media::get(tx, item.id)?.is_none() {
            return Err(StoreError::conflict(format!(
                "`{}` of post `{}` is gone: files are kept for a day after a post has ended; write it anew",
                item.name, old.post
            )));
        }
    }
    Ok(())
}

/// Puts it in the old one's place, which is not told as missed any more.
pub(super) fn take_over(
    tx: &mut Tx<'_>,
    old: &Delivery,
    fresh: &Delivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    may_take_over(tx, old)?;
    deliveries::put(tx, None, fresh, Some(create::first_row(fresh, now)))?;
    missed::let_go(tx, old)
}
