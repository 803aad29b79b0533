//! New time-zone data, noticed at start: due times are reckoned anew from what the person chose.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::shared::Shared;
use crate::config::Zone;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Event, State};
use crate::domain::ids::PostId;
use crate::domain::schedule::{echo, rezone};
use crate::store::posts::{Filter, Order, Wanted};
use crate::store::recurring::{self, Run};
use crate::store::{StoreError, Tx, deliveries, meta, posts, zones};

/// Posts in one transaction.
const BATCH: usize = 200;

/// Compares the rules of the zones in use with those that the store's instants were reckoned by.
/// Only where some differ is every scheduled post looked at; a crash on the way begins that anew,
/// and finds what was moved already in its new place.
pub(super) async fn check(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let changed = shared.store.read(zones::changed)?;
    if changed.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        zones = changed.join(", "),
        "the rules of time zones have changed; times are reckoned anew"
    );
    let rules: BTreeMap<String, Zone> =
        changed.iter().filter_map(|name| Some((name.clone(), Zone::named(name).ok()?))).collect();
    let (now, give_up_after) = (shared.now(), shared.config().engine.give_up_after);
    let filter = Filter {
        wanted: Some(Wanted::State(State::Scheduled)),
        order: Order::OldestFirst,
        ..Filter::default()
    };
    let (mut after, mut moved) = (None, 0);
    loop {
        let page = shared.store.read(|rx| posts::list(rx, &filter, BATCH, after))?;
        let (batch, zones_now) = (page.posts, rules.clone());
        moved += shared
            .store
            .write(move |tx| {
                let mut moved = 0;
                for id in &batch {
                    moved += move_post(tx, *id, &zones_now, now, give_up_after)?;
                }
                Ok(moved)
            })
            .await?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    shared
        .store
        .write(move |tx| {
            for name in &changed {
                zones::settled(tx, name)?;
            }
            if moved > 0 { meta::set_zone_moves(tx, moved, now) } else { Ok(()) }
        })
        .await?;
    if moved > 0 {
        tracing::warn!(deliveries = moved, "new time-zone rules moved deliveries; `sendoff log` lists them");
    }
    Ok(())
}

/// Moves what is scheduled of one post, and the post with it; says how many deliveries.
fn move_post(
    tx: &mut Tx<'_>,
    id: PostId,
    rules: &BTreeMap<String, Zone>,
    now: Timestamp,
    give_up_after: jiff::SignedDuration,
) -> Result<u64, StoreError> {
    let Some(mut post) = posts::get(tx, id)? else { return Ok(0) };
    let mut moved = 0;
    for before in deliveries::of_post(tx, id)? {
        let zone = rules.get(&before.due.zone).filter(|_| before.state == State::Scheduled);
        let Some(due) = zone.and_then(|zone| rezone::recompute(&before.due, &zone.rules)) else { continue };
        let close = rezone::is_too_close(&due, now);
        let note = format!(
            "moved by new rules of {}: it was {}, it is {}{}",
            due.zone,
            echo(&before.due),
            echo(&due),
            if close { "; held, because that is so near" } else { "" }
        );
        let after = before
            .apply(Event::reschedule(due, give_up_after), now)
            .map_err(|illegal| StoreError::conflict(illegal.to_string()))?;
        let row =
            Transition { note: Some(note), ..Transition::between(&before, &after, "zone_changed", now) };
        deliveries::put(tx, Some(&before), &after, Some(row))?;
        if close {
            zones::hold(tx, before.id)?;
        }
        moved += 1;
    }
    let own = post.due.as_ref().and_then(|due| rezone::recompute(due, &rules.get(&due.zone)?.rules));
    if let (Some(due), true) = (own, moved > 0) {
        // A run that nobody has touched stays one that a change of its text may follow.
        if let Some((name, local)) = post.slot.as_ref().and_then(|it| Some((it.recurring()?, it.local)))
            && let Some(run) = recurring::run(tx, name, local)?
            && run.version == post.version
        {
            recurring::put_run(tx, name, Run { version: run.version + 1, ..run })?;
        }
        post.due = Some(due);
        post.version += 1;
        posts::put(tx, &post)?;
    }
    Ok(moved)
}
