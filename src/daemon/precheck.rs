//! What is scheduled is checked again 24 h, 1 h and 5 min before its instant, with the account and
//! the limits as they are then: a person should hear of trouble while there is time to mend it.
//!
//! A round reads the deliveries that have just come within one of the three spans, so its cost goes
//! with what falls due, not with what is stored. What was found is read again once a minute only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{foresee, ledger};
use crate::domain::account::AccountState;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Reason, State};
use crate::domain::ids::DeliveryId;
use crate::domain::schedule::echo;
use crate::engine::{Wait, Work};
use crate::platforms;
use crate::store::{Source, StoreError, deliveries};

/// How long before the instant.
const AHEAD: [SignedDuration; 3] =
    [SignedDuration::from_hours(24), SignedDuration::from_hours(1), SignedDuration::from_mins(5)];
/// Most deliveries looked at in one round for each span, and most findings kept. What is left goes on in
/// the next round.
const MOST: usize = 2_000;
/// What was found at risk is looked at again this often, or when an account changed.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// How far each of the checks ahead has come.
type Upto = [deliveries::Due; AHEAD.len()];

/// What the checks found, and how far they have come.
#[derive(Default)]
pub(super) struct Findings {
    state: Mutex<Seen>,
    /// What networks said of what is due soon.
    pub(super) foresight: foresee::Foresight,
}

#[derive(Default)]
struct Seen {
    /// For each of [`AHEAD`], the last place that was looked at.
    upto: Option<Upto>,
    /// When what was found was last looked at again. `None`: it is to be looked at.
    again: Option<Timestamp>,
    at_risk: BTreeMap<DeliveryId, Finding>,
}

/// A delivery that would not go out as things are.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) due: Timestamp,
    pub(super) account: String,
    pub(super) reason: Reason,
    /// The network said so, and only it can say otherwise.
    foreseen: bool,
}

impl Findings {
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed that may end a risk: the next round looks at what it found.
    pub(super) fn look_again(&self) {
        self.lock().again = None;
        self.foresight.forget();
    }

    /// What was found, if it is time to look at it again.
    fn ripe(&self, now: Timestamp) -> Vec<DeliveryId> {
        let mut seen = self.lock();
        // A clock that was put back counts as time passed.
        if seen.again.is_some_and(|at| at <= now && now.duration_since(at) < AGAIN) {
            return Vec::new();
        }
        seen.again = Some(now);
        seen.at_risk.keys().copied().collect()
    }

    /// What was found here is no longer so; what the network said stays.
    fn mended(&self, id: DeliveryId) {
        let mut seen = self.lock();
        if seen.at_risk.get(&id).is_some_and(|it| !it.foreseen) {
            seen.at_risk.remove(&id);
        }
    }

    /// What is at risk now, earliest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<(DeliveryId, Finding)> {
        let mut seen = self.lock();
        // From its instant on its own state speaks.
        seen.at_risk.retain(|_, it| it.due > now);
        let mut all: Vec<_> = seen.at_risk.iter().map(|(id, it)| (*id, it.clone())).collect();
        drop(seen);
        all.sort_by_key(|(id, it)| (it.due, *id));
        all
    }
}

/// One round: whatever came within a span since the last one, and what was found at risk before.
pub(super) async fn round(shared: &Arc<Shared>, now: Timestamp) -> Result<(), StoreError> {
    let upto = shared.findings.lock().upto;
    let shared_too = Arc::clone(shared);
    let checked = tokio::task::spawn_blocking(move || {
        let (soon, upto) = shared_too.store.read(|rx| within(rx, upto, now, MOST))?;
        let mut ids = shared_too.findings.ripe(now);
        ids.extend(&soon);
        ids.sort_unstable();
        ids.dedup();
        let waits = shared_too.waits();
        let (mut found, mut open) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(work) = ledger::load(&shared_too.store, id, platforms::find)? else { continue };
            let scheduled = work.delivery.state == State::Scheduled;
            let risk = scheduled.then(|| risk(&work, &waits)).flatten();
            if scheduled && risk.is_none() && foresee::question(&work).is_some() {
                // The network has the last word.
                shared_too.findings.mended(id);
                open.push((id, soon.contains(&id)));
            } else {
                found.push((work.delivery, risk));
            }
        }
        Ok::<_, StoreError>((found, open, upto))
    });
    let Ok(checked) = checked.await else { return Ok(()) };
    let (checked, open, upto) = checked?;
    for (delivery, risk) in checked {
        note(shared, &delivery, risk, false, now).await?;
    }
    foresee::ask(shared, open);
    shared.findings.lock().upto = Some(upto);
    Ok(())
}

/// Those whose span was entered since the last round, at most `most` of each span, and how far that came.
/// The first round after a start looks at all that is near.
fn within(
    source: &impl Source,
    upto: Option<Upto>,
    now: Timestamp,
    most: usize,
) -> Result<(Vec<DeliveryId>, Upto), StoreError> {
    let mut upto = upto.unwrap_or([deliveries::behind(now); AHEAD.len()]);
    let mut ids = Vec::new();
    for (span, reached) in AHEAD.into_iter().zip(&mut upto) {
        let end = now.saturating_add(span).unwrap_or(Timestamp::MAX);
        let page = deliveries::due_page(source, State::Scheduled, *reached, end, most)?;
        *reached = match page.last() {
            Some(last) if page.len() == most => *last,
            _ => deliveries::behind(end),
        };
        ids.extend(page.into_iter().map(|(_, _, id)| DeliveryId::from_u128(id)));
    }
    Ok((ids, upto))
}

/// Why it would not go out, with everything as it is now.
fn risk(work: &Work, waits: &[Wait]) -> Option<Reason> {
    let due = work.delivery.due.instant;
    if let Some(problem) = work.problems.first() {
        let mut reason = Reason::new("invalid_content", problem.message.clone());
        reason.hint.clone_from(&problem.hint);
        return Some(reason);
    }
    let Some(account) = &work.account else {
        return Some(Reason::new("account_gone", "its account is no longer connected"));
    };
    match account.state {
        AccountState::NeedsReconnect => return Some(account.dead()),
        AccountState::Paused => {
            return Some(
                Reason::new("paused", "the account is paused")
                    .hint(format!("sendoff account resume {}", account.name)),
            );
        }
        AccountState::Ready => {}
    }
    if account.ends_at().is_some_and(|end| end <= due) {
        let reason = Reason::new("token_end", "the connection ends before it is due");
        return Some(reason.hint(account.connect_again()));
    }
    if let Some(hold) = &work.hold {
        return Some(hold.clone());
    }
    waits.iter().find(|it| it.until > due && it.concerns(account)).map(|it| it.reason.clone())
}

/// What would become of it, in words.
pub(super) fn foretold(reason: &Reason) -> &'static str {
    if reason.class == foresee::OTHERWISE {
        "would go out otherwise than it was asked for"
    } else {
        "would not go out"
    }
}

/// Keeps, or clears, a finding; tells of it once. `foreseen`: the network said so.
pub(super) async fn note(
    shared: &Arc<Shared>,
    delivery: &Delivery,
    risk: Option<Reason>,
    foreseen: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (id, Some(reason)) = (delivery.id, risk) else {
        shared.findings.lock().at_risk.remove(&delivery.id);
        return Ok(());
    };
    let (due, account) = (delivery.due.instant, delivery.name.to_string());
    let finding = Finding { due, account, reason: reason.clone(), foreseen };
    let known = {
        let seen = shared.findings.lock();
        let before = seen.at_risk.get(&id);
        if before.is_none() && seen.at_risk.len() >= MOST {
            return Ok(());
        }
        before.is_some_and(|it| it.reason == reason)
    };
    if known {
        shared.findings.lock().at_risk.insert(id, finding);
        return Ok(());
    }
    // The row is a line of the log as well. It comes first: whoever is shown the finding finds its
    // line, and one that could not be written is found anew.
    let note = format!("due {}, and {}: {}", echo(&delivery.due), foretold(&reason), reason.message);
    let row = Transition {
        reason: Some(reason),
        note: Some(note),
        ..Transition::between(delivery, delivery, "at_risk", now)
    };
    shared.store.write(move |tx| deliveries::append_history(tx, id, row.clone()).map(drop)).await?;
    shared.findings.lock().at_risk.insert(id, finding);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Step, StepKind};
    use crate::domain::ids::{AccountId, PostId};
    use crate::domain::schedule::{Choice, Due, Late};
    use crate::store::{Options, Store};

    /// A store with deliveries due so many seconds after a start, that start, and its directory.
    async fn store(due: &[i64]) -> (Store, Timestamp, tempfile::TempDir) {
        let (dir, now) = (tempfile::tempdir().unwrap(), "2030-03-05T08:00:00Z".parse::<Timestamp>().unwrap());
        let store = Store::open(dir.path(), now, Options { ballast_bytes: 0, ..Options::default() }).unwrap();
        for (n, due) in (1..).zip(due) {
            let instant = now + SignedDuration::from_secs(*due);
            let civil = jiff::tz::TimeZone::UTC.to_datetime(instant);
            let due = Due { instant, civil, zone: "UTC".into(), choice: Choice::Instant };
            let (id, post) = (DeliveryId::from_u128(n), PostId::from_u128(n));
            let (account, name) = (AccountId::from_u128(1), "x:acme".parse().unwrap());
            let steps = vec![Step::new(StepKind::Post)];
            let row = Delivery::new(id, post, account, name, due, Late::Always, steps, now);
            store.write(move |tx| deliveries::put(tx, None, &row, None).map(drop)).await.unwrap();
        }
        (store, now, dir)
    }

    fn numbers(ids: &[DeliveryId]) -> Vec<u128> {
        let mut all: Vec<_> = ids.iter().map(|it| it.as_u128()).collect();
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn what_does_not_fit_in_one_round_comes_in_the_next() {
        // All at one instant, which no time tells apart.
        let (store, now, _dir) = store(&[20_000; 7]).await;
        let (mut upto, mut seen) = (None, Vec::new());
        for round in 0..4 {
            let (ids, reached) = store.read(|rx| within(rx, upto, now, 2)).unwrap();
            assert_eq!(ids.len(), [2, 2, 2, 1][round]);
            seen.extend(ids);
            upto = Some(reached);
        }
        assert_eq!(numbers(&seen), (1..=7).collect::<Vec<_>>());
        assert_eq!(store.read(|rx| within(rx, upto, now, 2)).unwrap().0, []);
        store.close().await;
    }

    #[tokio::test]
    async fn each_is_looked_at_a_day_an_hour_and_five_minutes_ahead() {
        let (store, start, _dir) = store(&[100_000]).await;
        let mut upto = None;
        let mut looked_at = Vec::new();
        for second in (0..100_020).step_by(5) {
            let now = start + SignedDuration::from_secs(second);
            let (ids, reached) = store.read(|rx| within(rx, upto, now, MOST)).unwrap();
            upto = Some(reached);
            looked_at.extend(ids.iter().map(|_| 100_000 - second));
        }
        assert_eq!(looked_at, [86_400, 3_600, 300]);
        store.close().await;
    }

    #[test]
    fn what_was_found_is_read_again_once_a_minute_or_when_an_account_changed() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let findings = Findings::default();
        let id = DeliveryId::from_u128(1);
        let reason = Reason::new("paused", "the account is paused");
        let finding = Finding { due: at(9_000), account: "x:acme".into(), reason, foreseen: false };
        findings.lock().at_risk.insert(id, finding);
        assert_eq!(findings.ripe(at(100)), [id]);
        let rounds = (1..12).filter(|n| !findings.ripe(at(100 + 5 * n)).is_empty());
        assert_eq!(rounds.count(), 0, "not in every round");
        assert_eq!(findings.ripe(at(160)), [id]);
        findings.look_again();
        assert_eq!(findings.ripe(at(161)), [id], "an account changed");
        assert_eq!(findings.ripe(at(50)), [id], "the clock was put back");
    }
}
