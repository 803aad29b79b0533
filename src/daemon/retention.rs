//! Answers of networks that say for how long they may be kept ([`Platform::keeps_answers`]) go when that
//! time is over: from the history, from the publishing calls, and from the delivery's reason. What was made
//! of them stays, and so do their status and the words that were shown.
//!
//! Followed along the log, so that a round costs what has come of age and not what is stored.
//!
//! [`Platform::keeps_answers`]: crate::platforms::Platform::keeps_answers

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::ids::PlatformName;
use crate::platforms;
use crate::store::{Store, StoreError, Tx, deliveries, journal, meta};

/// Lines of the log in one write, and writes in one round.
const LINES: usize = 500;
const WRITES: usize = 20;

/// Forgets what is old enough by now.
pub(super) async fn round(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    for platform in platforms::ALL {
        let Some(life) = platform.keeps_answers() else { continue };
        let (network, by) = (platform.name(), now.saturating_sub(life).unwrap_or(Timestamp::MIN));
        for _ in 0..WRITES {
            // A write for nothing would keep an idle disk awake.
            let ripe = store.read(|rx| {
                let from = meta::forgotten_upto(rx, network)?;
                journal::moves_until(rx, from, by, LINES).map(|(_, last)| last > from)
            })?;
            if !ripe {
                break;
            }
            store.write(move |tx| forget(tx, network, by)).await?;
        }
    }
    Ok(())
}

fn forget(tx: &mut Tx<'_>, network: PlatformName, by: Timestamp) -> Result<(), StoreError> {
    let (moves, last) = journal::moves_until(tx, meta::forgotten_upto(tx, network)?, by, LINES)?;
    let mut theirs = BTreeSet::new();
    for (id, n) in moves {
        // Of a row that cannot be read nothing can be shown either; it must not keep the others.
        let Some(delivery) = deliveries::get(tx, id).ok().flatten() else { continue };
        if delivery.name.platform() == network {
            readable(deliveries::forget_answer(tx, id, n))?;
            theirs.insert(id);
        }
    }
    for id in theirs {
        readable(deliveries::forget_attempts(tx, id, by))?;
        let before = deliveries::need(tx, id)?;
        let mut after = before.clone();
        if after.reason.as_mut().and_then(|it| it.raw.take()).is_some() {
            deliveries::put(tx, Some(&before), &after, None)?;
        }
    }
    meta::set_forgotten_upto(tx, network, last)
}

/// A damaged row is told when somebody asks for it.
fn readable<T>(outcome: Result<T, StoreError>) -> Result<(), StoreError> {
    outcome.map(drop).or_else(|error| if error.is_fatal() { Err(error) } else { Ok(()) })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::attempt::{Answered, Attempt, Transition};
    use crate::domain::delivery::{Delivery, Reason, Step, StepKind};
    use crate::domain::ids::{AccountId, DeliveryId, PostId};
    use crate::domain::schedule::{Choice, Due, Late};
    use crate::store::Options;

    const CANARY: &str = "words of somebody else";

    /// A delivery of this account whose history, call and reason hold what the network answered.
    async fn with_answers(store: &Store, n: u128, name: &str, at: Timestamp) -> DeliveryId {
        let civil = jiff::tz::TimeZone::UTC.to_datetime(at);
        let due = Due { instant: at, civil, zone: "UTC".into(), choice: Choice::Instant };
        let (id, steps) = (DeliveryId::from_u128(n), vec![Step::new(StepKind::Post)]);
        let (post, account) = (PostId::from_u128(n), AccountId::from_u128(n));
        let mut row = Delivery::new(id, post, account, name.parse().unwrap(), due, Late::Always, steps, at);
        row.reason = Some(Reason::new("came_to_nothing", "it said no").raw(CANARY));
        let answer =
            Answered { outcome: "absent".into(), status: Some(200), raw: Some(CANARY.into()), trace: None };
        let attempt = Attempt {
            delivery: id,
            step: 0,
            n: 1,
            marker: "m".into(),
            digest: [0; 32],
            started: at,
            ended: None,
            outcome: None,
            status: None,
            raw: None,
            trace: None,
            cost: 0,
        };
        let ended = Attempt {
            ended: Some(at),
            outcome: Some("ambiguous".into()),
            raw: Some(CANARY.into()),
            ..attempt.clone()
        };
        let outcome = store.write(move |tx| {
            let told = Transition {
                answer: Some(answer.clone()),
                ..Transition::between(&row, &row, "look_absent", at)
            };
            deliveries::put(tx, None, &row, [told])?;
            deliveries::add_attempt(tx, &attempt)?;
            deliveries::end_attempt(tx, &ended)
        });
        outcome.await.unwrap();
        id
    }

    /// Everything that is written down of a delivery.
    fn rows(store: &Store, id: DeliveryId) -> (String, u16, String) {
        store
            .read(|rx| {
                let (moves, calls) = (deliveries::history(rx, id)?, deliveries::attempts(rx, id)?);
                let text = format!("{:?} {moves:?} {calls:?}", deliveries::need(rx, id)?);
                let answer = moves[0].answer.clone().unwrap();
                Ok((text, answer.status.unwrap(), answer.outcome))
            })
            .unwrap()
    }

    #[tokio::test]
    async fn what_linkedin_answered_is_forgotten_after_two_days_and_what_was_made_of_it_stays() {
        let (dir, start) =
            (tempfile::tempdir().unwrap(), "2030-03-05T08:00:00Z".parse::<Timestamp>().unwrap());
        let hours = |n| start + SignedDuration::from_hours(n);
        let store =
            Store::open(dir.path(), start, Options { ballast_bytes: 0, ..Options::default() }).unwrap();
        let first = with_answers(&store, 1, "linkedin:acme-bakery", hours(0)).await;
        let other = with_answers(&store, 2, "facebook:acme", hours(0)).await;
        let later = with_answers(&store, 3, "linkedin:acme-bakery", hours(5)).await;
        let knows = |id| rows(&store, id).0.contains(CANARY);
        round(&store, hours(47)).await.unwrap();
        assert!(knows(first) && knows(later));
        round(&store, hours(48)).await.unwrap();
        let (text, status, outcome) = rows(&store, first);
        assert!(!text.contains(CANARY), "{text}");
        assert_eq!((status, outcome.as_str()), (200, "absent"));
        assert!(text.contains("it said no"));
        assert!(knows(later) && knows(other), "too young, and of a network without such a rule");
        round(&store, hours(53)).await.unwrap();
        assert!(!knows(later));
        // Nothing is left to do, and the place in the log is remembered.
        let upto = store.read(|rx| meta::forgotten_upto(rx, PlatformName::LinkedIn)).unwrap();
        assert_eq!(upto, store.read(journal::newest).unwrap());
        store.close().await;
    }
}
