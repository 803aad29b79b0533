//! What came too late: told once at the start, and for a day in `status`; and what a network took and could
//! not publish, for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{preflight, queues, status, view};
use crate::control::messages as m;
use crate::domain::account::AccountState;
use crate::domain::delivery::{Delivery, NOTHING, State};
use crate::domain::ids::DeliveryId;
use crate::store::missed::{self, Loss};
use crate::store::{Rx, Source, StoreError, accounts, deliveries, posts};

/// It is told this long after it was found.
const TOLD: SignedDuration = SignedDuration::from_hours(24);
/// Counted up to here; more is told as "at least".
const MOST: usize = 10_000;
/// Accounts that the line at the start names one by one.
const NAMED: usize = 5;
/// What came to nothing that `status` names one by one.
const SHOWN: usize = 5;

/// What came too late within the last day and nobody has taken up.
pub(super) fn told(source: &impl Source, now: Timestamp) -> Result<BTreeSet<DeliveryId>, StoreError> {
    Ok(missed::lately(source, Loss::Missed, now, TOLD, MOST)?.into_iter().collect())
}

/// What `status` says of losses that were found lately and are not taken up.
pub(super) fn alerts(shared: &Shared, now: Timestamp) -> Result<Vec<m::Alert>, StoreError> {
    let mut found: Vec<_> = too_late(shared, now)?.into_iter().collect();
    let (shown, more) = shared.store.read(|rx| {
        let all = missed::lately(rx, Loss::Nothing, now, TOLD, MOST)?;
        let mut shown = Vec::new();
        for id in all.iter().take(SHOWN) {
            // A damaged row must not take the whole of `status` with it.
            match deliveries::get(rx, *id) {
                Err(error) if error.is_fatal() => return Err(error),
                other => shown.extend(other.ok().flatten()),
            }
        }
        Ok((shown, all.len().saturating_sub(SHOWN)))
    })?;
    for it in shown {
        let hint = format!(
            "`sendoff post show {}` has the network's words; removing the post ends this line",
            it.post
        );
        found.push(status::alert(NOTHING, format!("{}: {}", it.name, it.tell()), Some(hint)));
    }
    if more > 0 {
        let message = format!("{more} more were taken by their networks, and not published after all");
        found.push(status::alert(NOTHING, message, Some("sendoff log".into())));
    }
    Ok(found)
}

fn too_late(shared: &Shared, now: Timestamp) -> Result<Option<m::Alert>, StoreError> {
    let message = match shared.store.read(|rx| missed::lately(rx, Loss::Missed, now, TOLD, MOST))?.len() {
        0 => return Ok(None),
        1 => "a delivery was missed within the last 24 hours".to_owned(),
        MOST => format!("at least {MOST} deliveries were missed within the last 24 hours"),
        n => format!("{n} deliveries were missed within the last 24 hours"),
    };
    let hint = "`sendoff post list --state missed` names them; `sendoff post retry` sends one now, \
                `sendoff post reschedule` at another time";
    Ok(Some(status::alert("missed", message, Some(hint.into()))))
}

/// One line in the log for all that became too late while no daemon ran. Asked before the engine begins,
/// by the rules it goes by; each gets its own line from it as well.
pub(super) fn tell_at_start(shared: &Arc<Shared>, stopped: bool) -> Result<(), StoreError> {
    // A stop holds everything back, and a clock that is behind makes nothing late.
    if stopped || preflight::clock(shared, shared.moment()).hold {
        return Ok(());
    }
    let now = shared.now();
    let (late, more) = shared.store.read(|rx| {
        let rows = deliveries::due(rx, now, MOST)?;
        let more = rows.len() == MOST;
        let mut late = Vec::new();
        for row in rows.into_iter().filter(|row| !row.unknown) {
            // A damaged row is told when its turn comes; it must not keep the daemon from starting.
            let found = match deliveries::get(rx, row.id) {
                Err(error) if error.is_fatal() => return Err(error),
                other => other.ok().flatten(),
            };
            if let Some(it) = found
                && is_lost(rx, &it, now)?
            {
                late.push(it);
            }
        }
        Ok((late, more))
    })?;
    if let Some(line) = sentence(&late, more) {
        tracing::warn!("{line}");
        shared.announce(view::happening(now, "error", "missed", &line));
    }
    Ok(())
}

/// Whether the engine will find it too late. What is held back, or may be live, it will not.
fn is_lost(rx: &Rx, it: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
    let waits = matches!(it.state, State::Scheduled | State::Retry);
    if !waits || it.begun() || it.may_be_forgotten() || it.cancel_requested || !it.is_late(now) {
        return Ok(false);
    }
    let Some(account) = accounts::get(rx, it.account)? else { return Ok(false) };
    let Some(post) = posts::get(rx, it.post)? else { return Ok(false) };
    Ok(account.state != AccountState::Paused && queues::hold(rx, it, &post)?.is_none())
}

/// `more`: there were too many to look at them all.
fn sentence(late: &[Delivery], more: bool) -> Option<String> {
    let due = || late.iter().map(|it| it.due.instant);
    let (from, to) = (due().min()?, due().max()?);
    let mut of: BTreeMap<String, usize> = BTreeMap::new();
    for it in late {
        *of.entry(it.name.to_string()).or_default() += 1;
    }
    let rest = of.len().saturating_sub(NAMED);
    let mut whose: Vec<_> = of.iter().take(NAMED).map(|(name, n)| format!("{name} {n}")).collect();
    if rest > 0 {
        whose.push(format!("{rest} more accounts"));
    }
    let (what, at_least) = (
        if late.len() == 1 { "delivery was" } else { "deliveries were" },
        if more { "at least " } else { "" },
    );
    let due = if from == to { format!("due {from:.0}") } else { format!("due {from:.0} to {to:.0}") };
    Some(format!(
        "{at_least}{} {what} missed while the daemon was down: {} ({due}); `sendoff post list --state missed` \
         names them",
        late.len(),
        whose.join(", ")
    ))
}
