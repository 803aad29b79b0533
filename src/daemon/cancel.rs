//! `post cancel`: what waits is not sent.
//!
//! Of a post that goes to several accounts each delivery is asked for on its own, and one that cannot be
//! cancelled any more keeps no other from it: what was cancelled has its way back ([`undo`]), what was not
//! is named.

use std::sync::Arc;

use super::posts::{grant, meant, show};
use super::shared::Shared;
use super::undo::{Own, Way};
use super::{again, errors};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{AccountName, DeliveryId, PostId};
use crate::engine::ask::Ask;
use crate::store::{StoreError, Tx, deliveries, posts};

/// What became of each delivery that was to be cancelled.
#[derive(Default)]
struct Told {
    /// As they were before.
    cancelled: Vec<Delivery>,
    /// Cancelled once it is certain that they are not live.
    looked_for: Vec<AccountName>,
    refused: Vec<(AccountName, ApiError)>,
}

pub(super) async fn cancel(shared: &Arc<Shared>, id: &str) -> ApiResult<m::Post> {
    let (post, meant) = meant(shared, id)?;
    let now = shared.now();
    let open: Vec<_> = meant.iter().filter(|it| !it.state.is_terminal()).cloned().collect();
    if open.is_empty() {
        return Err(over(id, &meant));
    }
    let told = each(open, |id| {
        let shared = Arc::clone(shared);
        async move {
            grant(&shared, id, &Ask::Cancel, now).await?;
            shared.store.read(|rx| deliveries::need(rx, id)).map_err(errors::store)
        }
    });
    let told = told.await;
    if let Some(error) = told.error() {
        return Err(error);
    }
    // From here to the ticket nobody takes another way back of this post.
    let _one = shared.slot_lock.lock().await;
    let freed = shared.store.write(move |tx| free_slot(tx, post)).await;
    let version = shared.store.read(|rx| posts::need(rx, post)).map_err(errors::store)?.version;
    shared.nudge();
    let mut notices = told.notices();
    if let Err(error) = freed {
        notices.push(format!("its place in the queue is not free yet: {error}"));
    }
    // What may be live is looked for first; nobody takes that back.
    let undo = (!told.cancelled.is_empty()).then(|| {
        let cancelled = told.cancelled;
        let way = Way { post, before: version, version, own: Own::Place, moved: Vec::new(), cancelled };
        shared.ways.keep(way, now)
    });
    Ok(m::Post { notices, undo, ..show(shared, post)? })
}

/// Asks for each of them, whatever was said of the one before.
async fn each<F>(open: Vec<Delivery>, cancel: impl Fn(DeliveryId) -> F) -> Told
where
    F: Future<Output = ApiResult<Delivery>>,
{
    let mut told = Told::default();
    for before in open {
        match cancel(before.id).await {
            Ok(after) if after.state == State::Cancelled => told.cancelled.push(before),
            Ok(after) if !after.state.is_terminal() => told.looked_for.push(before.name),
            Ok(after) => told.refused.push((before.name, over(&after.id.to_string(), &[after]))),
            Err(error) => told.refused.push((before.name, error)),
        }
    }
    told
}

impl Told {
    /// Nothing was done: why.
    fn error(&self) -> Option<ApiError> {
        if !self.cancelled.is_empty() || !self.looked_for.is_empty() {
            return None;
        }
        let mut error = self.refused.first()?.1.clone();
        // Of several each is named.
        if self.refused.len() > 1 {
            error.message = self.refusals().collect::<Vec<_>>().join("; ");
        }
        Some(error)
    }

    fn refusals(&self) -> impl Iterator<Item = String> {
        self.refused.iter().map(|(name, error)| format!("{name} was not cancelled: {}", error.message))
    }

    fn notices(&self) -> Vec<String> {
        let mut all = Vec::new();
        // Where everything was, nobody needs the list.
        if !self.refused.is_empty() {
            all.extend(self.cancelled.iter().map(|it| format!("{} is cancelled", it.name)));
        }
        let looked_for = self.looked_for.iter();
        all.extend(
            looked_for
                .map(|name| format!("{name}: checking whether it is already live; it is cancelled if not")),
        );
        all.extend(self.refusals());
        all
    }
}

/// Nothing of it waits any more: how it ended, and what can be done about that.
fn over(id: &str, meant: &[Delivery]) -> ApiError {
    let last: Vec<_> = meant.iter().filter(|it| again::is_last(meant, it)).collect();
    let some = |state| last.iter().find(|it| it.state == state);
    let refusal = |message: String| ApiError::conflict("already_over", message);
    if last.is_empty() {
        return refusal(format!("`{id}` is a draft: there is nothing to cancel"))
            .hint("`sendoff post delete` removes a draft");
    }
    if last.iter().all(|it| it.state == State::Cancelled) {
        return refusal(format!("`{id}` is cancelled already: it is not sent"))
            .hint("nothing is left to do; `sendoff post delete` removes it from here");
    }
    if let Some(it) = some(State::Published).or(some(State::HandedOver)) {
        return refusal(format!("`{id}` is {}: there is nothing to cancel", it.state.as_str()))
            .hint("`sendoff post delete` removes it from the networks");
    }
    let word = last.iter().find(|it| it.state != State::Cancelled).map_or("over", |it| it.state.as_str());
    refusal(format!("`{id}` is {word}: it is not sent, and there is nothing to cancel"))
        .hint("`sendoff post retry` tries it again; `sendoff post delete` removes it from here")
}

/// A post whose deliveries were all taken back gives its place in the queue back.
fn free_slot(tx: &mut Tx<'_>, id: PostId) -> Result<(), StoreError> {
    let post = posts::need(tx, id)?;
    let rows = deliveries::of_post(tx, id)?;
    let all = rows.iter().all(|it| it.state == State::Cancelled);
    if let (Some(slot), true) = (&post.slot, all) {
        crate::store::queues::free_slot(tx, &slot.queue, slot.local, id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::ids::AccountId;
    use crate::domain::schedule::{Choice, Due, Late};

    fn delivery(n: u128, account: &str, state: State) -> Delivery {
        let now = Timestamp::UNIX_EPOCH;
        let due = Due {
            instant: now,
            civil: now.to_zoned(jiff::tz::TimeZone::UTC).datetime(),
            zone: "UTC".into(),
            choice: Choice::Unique,
        };
        let (id, post) = (DeliveryId::from_u128(n), PostId::from_u128(1));
        let name = account.parse().unwrap();
        let made = Delivery::new(id, post, AccountId::from_u128(n), name, due, Late::Always, vec![], now);
        Delivery { state, ..made }
    }

    /// What comes of a cancel of three deliveries, by what is found when each is asked for.
    async fn told(found: [ApiResult<State>; 3]) -> Told {
        let names = ["bluesky:acme", "linkedin:acme", "x:acme"];
        let open = (1..).zip(names).map(|(n, name)| delivery(n, name, State::Scheduled)).collect();
        each(open, |id| {
            let n = usize::try_from(id.as_u128()).unwrap() - 1;
            std::future::ready(found[n].clone().map(|state| delivery(id.as_u128(), names[n], state)))
        })
        .await
    }

    #[tokio::test]
    async fn one_that_cannot_be_cancelled_keeps_no_other_from_it_and_is_named() {
        let busy = || Err(ApiError::conflict("busy", "it keeps changing").hint("try again"));
        let it = told([busy(), Ok(State::Cancelled), Ok(State::Unknown)]).await;
        assert!(it.error().is_none());
        assert_eq!(it.cancelled.len(), 1, "it has its way back");
        assert_eq!(it.cancelled[0].state, State::Scheduled, "as it was before");
        let said = it.notices();
        assert_eq!(said[0], "linkedin:acme is cancelled");
        assert!(said[1].starts_with("x:acme: checking"), "{said:?}");
        assert_eq!(said[2], "bluesky:acme was not cancelled: it keeps changing");

        // It went out between the look and the wish.
        let it = told([Ok(State::Published), Ok(State::Cancelled), Ok(State::Cancelled)]).await;
        assert!(it.notices().iter().any(|it| it.starts_with("bluesky:acme was not cancelled: ")));
        let it = told([Ok(State::Cancelled), Ok(State::Cancelled), Ok(State::Cancelled)]).await;
        assert_eq!(it.notices(), [""; 0]);
        let it = told([busy(), busy(), Ok(State::Published)]).await;
        let error = it.error().unwrap();
        assert_eq!((error.code.as_str(), error.hint.as_deref()), ("busy", Some("try again")));
        assert!(error.message.contains("x:acme was not cancelled"), "{}", error.message);
    }

    #[test]
    fn how_it_ended_is_told_with_what_can_be_done_about_it() {
        for (states, said, hint) in [
            (&[State::Cancelled][..], "is cancelled already", "nothing is left to do"),
            (&[State::Cancelled, State::Published], "is published", "removes it from the networks"),
            (&[State::Cancelled, State::Missed], "is missed: it is not sent", "tries it again"),
            (&[], "is a draft", "removes a draft"),
        ] {
            let all = (1..).zip(states).map(|(n, state)| delivery(n, &format!("x:a{n}"), *state));
            let error = over("pst_1", &all.collect::<Vec<_>>());
            assert!(error.message.contains(said), "{states:?}: {}", error.message);
            assert!(error.hint.as_ref().unwrap().contains(hint), "{states:?}: {:?}", error.hint);
            assert_eq!(error.code, "already_over");
        }
    }
}
