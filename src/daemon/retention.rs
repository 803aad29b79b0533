//! Answers of networks that say for how long they may be kept ([`Platform::keeps_answers`]) go when that
//! time is over: from the history, from the publishing calls, and from the delivery's reason. What was made
//! of them stays, and so do their status and the words that were shown.
//!
//! Followed along the log, so that a round costs what has come of age and not what is stored.
//!
//! [`Platform::keeps_answers`]: crate::platforms::Platform::keeps_answers

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::ids::{DeliveryId, PlatformName};
use crate::platforms;
use crate::store::{Source, Store, StoreError, Tx, deliveries, journal, meta};

/// Lines of the log that are looked at in one step, and steps of one round.
const LINES: usize = 500;
const STEPS: usize = 20;
/// How far a round may get ahead of what is noted: so many lines are looked at again after a restart.
const UNNOTED: u64 = 10_000;

/// How far the rounds of this start have come, by network.
pub(super) type Seen = BTreeMap<PlatformName, u64>;

/// Forgets what is old enough by now. Nothing is written where nothing of that network has come of age.
pub(super) async fn round(store: &Store, now: Timestamp, seen: &mut Seen) -> Result<(), StoreError> {
    for platform in platforms::ALL {
        let Some(life) = platform.keeps_answers() else { continue };
        let (network, by) = (platform.name(), now.saturating_sub(life).unwrap_or(Timestamp::MIN));
        let seen = seen.entry(network).or_default();
        for _ in 0..STEPS {
            let from = *seen;
            let (from, noted, theirs, last) = store.read(|rx| {
                let noted = meta::forgotten_upto(rx, network)?;
                let from = from.max(noted);
                let (theirs, last) = ripe(rx, network, from, by)?;
                Ok((from, noted, theirs, last))
            })?;
            if last == from {
                break;
            }
            if !theirs.is_empty() || last.saturating_sub(noted) > UNNOTED {
                store.write(move |tx| forget(tx, network, &theirs, last, by)).await?;
            }
            *seen = last;
        }
    }
    Ok(())
}

/// The moves of this network behind a line of the log that are old enough, and the last line looked at.
fn ripe(
    source: &impl Source,
    network: PlatformName,
    from: u64,
    by: Timestamp,
) -> Result<(Vec<(DeliveryId, u32)>, u64), StoreError> {
    let (mut moves, last) = journal::moves_until(source, from, by, LINES)?;
    // Of a row that cannot be read nothing can be shown either.
    moves.retain(|(id, _)| {
        let delivery = deliveries::get(source, *id).ok().flatten();
        delivery.is_some_and(|it| it.name.platform() == network)
    });
    Ok((moves, last))
}

fn forget(
    tx: &mut Tx<'_>,
    network: PlatformName,
    moves: &[(DeliveryId, u32)],
    last: u64,
    by: Timestamp,
) -> Result<(), StoreError> {
    for (id, n) in moves {
        readable(deliveries::forget_answer(tx, *id, *n))?;
    }
    let theirs: BTreeSet<DeliveryId> = moves.iter().map(|it| it.0).collect();
    for id in theirs {
        readable(deliveries::forget_attempts(tx, id, by))?;
        // It may have been deleted since it was looked at.
        let Some(before) = deliveries::get(tx, id)? else { continue };
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
    use crate::domain::ids::{AccountId, PostId};
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
        let attempt = Attempt::begun((id, 0), 1, "m", [0; 32], at);
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
        let mut seen = Seen::default();
        round(&store, hours(47), &mut seen).await.unwrap();
        assert!(knows(first) && knows(later));
        round(&store, hours(48), &mut seen).await.unwrap();
        let (text, status, outcome) = rows(&store, first);
        assert!(!text.contains(CANARY), "{text}");
        assert_eq!((status, outcome.as_str()), (200, "absent"));
        assert!(text.contains("it said no"));
        assert!(knows(later) && knows(other), "too young, and of a network without such a rule");
        round(&store, hours(53), &mut seen).await.unwrap();
        assert!(!knows(later));
        // The place in the log is noted with the last that was forgotten: another start goes on from there.
        let upto = store.read(|rx| meta::forgotten_upto(rx, PlatformName::LinkedIn)).unwrap();
        assert_eq!((upto, seen[&PlatformName::LinkedIn]), (store.read(journal::newest).unwrap(), upto));
        store.close().await;
    }
}
