//! Queues: the next free slot, and what `queue show` tells.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, civil};

use super::shared::Shared;
use super::{errors, ledger};
use crate::config::{Queue, Zone};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::delivery::{Delivery, Reason, State};
use crate::domain::post::Post;
use crate::domain::schedule::slots::{Slot, jitter, slots};
use crate::domain::schedule::{Due, placed, print_duration};
use crate::store::{Source, StoreError, Tx, deliveries, posts, queues, zones};

/// Slots looked through at most for a free one: years of an hourly queue.
const SEARCH: usize = 20_000;
/// Most places `queue show --next` gives.
const NEXT_MAX: u32 = 1000;

/// A queue of the configuration.
pub(super) fn find(shared: &Shared, name: &str) -> ApiResult<Queue> {
    let config = shared.config();
    config.queue(name).cloned().ok_or_else(|| {
        let known: Vec<_> = config.queues.iter().map(|it| format!("`{}`", it.name)).collect();
        let hint = if known.is_empty() {
            format!(
                "no queue is configured; add a [[queue]] to `{}` and reload",
                shared.config_path.display()
            )
        } else {
            format!("configured: {}", known.join(", "))
        };
        ApiError::not_found("unknown_queue", format!("there is no queue `{name}`")).hint(hint)
    })
}

/// When a slot really runs: its own time and this installation's jitter.
pub(super) fn runs_at(name: &str, zone: &Zone, most: SignedDuration, seed: &[u8], slot: &Slot) -> Due {
    let late = jitter(name, slot.local, seed, most);
    match slot.due.instant.checked_add(late) {
        Ok(instant) if !late.is_zero() => placed(instant, &zone.rules, &zone.name),
        _ => slot.due.clone(),
    }
}

fn due_of(queue: &Queue, seed: &[u8], slot: &Slot) -> Due {
    runs_at(&queue.name, &queue.timezone, queue.jitter, seed, slot)
}

/// The next slot nobody has, and its due time. `None`: there is none in reach.
pub(super) fn next_free(
    source: &impl Source,
    queue: &Queue,
    seed: &[u8],
    now: Timestamp,
) -> Result<Option<(civil::DateTime, Due)>, StoreError> {
    for slot in slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, now).take(SEARCH) {
        if queues::slot_taken(source, &queue.name, slot.local)?.is_none() {
            return Ok(Some((slot.local, due_of(queue, seed, &slot))));
        }
    }
    Ok(None)
}

/// No slot in reach is free.
pub(super) fn full(queue: &Queue) -> ApiError {
    ApiError::conflict("queue_full", format!("the next {SEARCH} places of queue `{}` are taken", queue.name))
        .hint("add slots to the queue, or use `--at`")
}

/// Free places from one instant until before another, at most `max`.
pub(super) fn free_between(
    source: &impl Source,
    queue: &Queue,
    seed: &[u8],
    (from, to): (Timestamp, Timestamp),
    max: usize,
) -> Result<Vec<(civil::DateTime, Timestamp)>, StoreError> {
    let mut found = Vec::new();
    let ahead = slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, from);
    for slot in ahead.take_while(|it| it.due.instant < to).take(max) {
        if queues::slot_taken(source, &queue.name, slot.local)?.is_none() {
            found.push((slot.local, due_of(queue, seed, &slot).instant));
        }
    }
    Ok(found)
}

fn view(shared: &Shared, queue: &Queue, next: u32) -> ApiResult<m::Queue> {
    let now = shared.now();
    let read = shared.store.read(|rx| {
        let mut waiting = 0;
        // Posts keep their places when the whole queue is moved: count posts, not places ahead.
        for (_, post) in queues::slots_of(rx, &queue.name)? {
            waiting += u64::from(deliveries::of_post(rx, post)?.iter().any(|it| !it.state.is_terminal()));
        }
        let mut shown = Vec::new();
        let places = slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, now);
        for slot in places.take(next.min(NEXT_MAX) as usize) {
            let post = queues::slot_taken(rx, &queue.name, slot.local)?;
            let moved = match post {
                Some(id) => posts::get(rx, id)?.and_then(|it| it.due).map(|it| it.instant),
                None => None,
            };
            shown.push(m::Slot {
                at: moved.unwrap_or_else(|| due_of(queue, &shared.jitter_seed, &slot).instant),
                local: slot.local.to_string(),
                post: post.map(|it| it.to_string()),
            });
        }
        Ok((waiting, shown, queues::paused_since(rx, &queue.name)?))
    });
    let (waiting, shown, paused) = read.map_err(errors::store)?;
    Ok(m::Queue {
        name: queue.name.clone(),
        timezone: queue.timezone.name.clone(),
        cron: queue.cron.iter().map(|it| it.as_str().to_owned()).collect(),
        accounts: queue.accounts.iter().map(ToString::to_string).collect(),
        jitter: (!queue.jitter.is_zero()).then(|| print_duration(queue.jitter)),
        paused: paused.is_some(),
        waiting,
        next: shown,
    })
}

pub(super) fn list(shared: &Shared) -> ApiResult<m::QueueList> {
    let config = shared.config();
    let queues = config.queues.iter().map(|it| view(shared, it, 1)).collect::<ApiResult<_>>()?;
    Ok(m::QueueList { queues })
}

pub(super) fn show(shared: &Shared, name: &str, next: u32) -> ApiResult<m::Queue> {
    view(shared, &find(shared, name)?, next)
}

/// The class of the reason a delivery of a paused queue waits with.
const PAUSED: &str = "queue_paused";
/// The class of the reason one waits with whose time new zone rules moved too near.
pub(super) const ZONE: &str = "zone_changed";

/// Why a delivery waits although its time has come: its queue is paused, or
/// new zone rules brought its time so near that nobody could have seen it. A thread that has begun is
/// not torn apart.
pub(super) fn hold(
    source: &impl Source,
    delivery: &Delivery,
    post: &Post,
) -> Result<Option<Reason>, StoreError> {
    if delivery.live_prefix() > 0 {
        return Ok(None);
    }
    if zones::is_held(source, delivery.id)? {
        let reason = Reason::new(ZONE, format!("new rules of {} moved it here", delivery.due.zone));
        return Ok(Some(reason.hint(format!(
            "`sendoff post retry {0}` sends it, `sendoff post cancel {0}` takes it back",
            delivery.id
        ))));
    }
    let Some(slot) = post.slot.as_ref() else { return Ok(None) };
    let since = queues::paused_since(source, &slot.queue)?;
    Ok(since.map(|since| {
        Reason::new(PAUSED, format!("the queue `{}` is paused since {since:.0}", slot.queue))
            .hint(format!("`sendoff queue resume {}` lets it go", slot.queue))
    }))
}

/// Tells somebody who just put a post into a paused queue.
pub(super) fn paused_notice(shared: &Shared, queue: &str) -> Option<String> {
    let paused = shared.store.read(|rx| queues::paused_since(rx, queue)).ok()??;
    Some(format!(
        "the queue `{queue}` is paused since {paused:.0}: nothing goes out until `sendoff queue resume {queue}`"
    ))
}

pub(super) async fn set_paused(shared: &Arc<Shared>, name: &str, on: bool) -> ApiResult<m::Queue> {
    let queue = match find(shared, name) {
        Ok(queue) => Some(queue),
        // One that left the configuration while it was paused can still be let go.
        Err(error) => {
            let paused = shared.store.read(|rx| queues::paused_since(rx, name)).map_err(errors::store)?;
            if on || paused.is_none() {
                return Err(error);
            }
            None
        }
    };
    let now = shared.now();
    let owned = name.to_owned();
    shared
        .store
        .write(move |tx| queues::set_paused(tx, &owned, on.then_some(now)))
        .await
        .map_err(errors::store)?;
    if !on {
        release(shared, name, now).await?;
    }
    match &queue {
        Some(queue) => view(shared, queue, 1),
        None => Ok(m::Queue {
            name: name.to_owned(),
            timezone: shared.config().timezone.name.clone(),
            cron: Vec::new(),
            accounts: Vec::new(),
            jitter: None,
            paused: false,
            waiting: 0,
            next: Vec::new(),
        }),
    }
}

/// A delivery was just held back; if its queue was resumed in that moment, it goes on.
pub(super) async fn recheck(shared: &Arc<Shared>, it: &Delivery) {
    let class = it.reason.as_ref().map_or("", |reason| reason.class.as_str());
    if it.state == State::Retry && class == super::recurring::STOOD_FOR {
        // It ends as missed, with the run that stands for it; that is the planner's to write.
        return shared.plan_again(None);
    }
    if it.state != State::Retry || class != PAUSED {
        return;
    }
    let resumed = shared.store.read(|rx| {
        let slot = posts::get(rx, it.post)?.and_then(|post| post.slot);
        let Some(slot) = slot else { return Ok(None) };
        Ok(queues::paused_since(rx, &slot.queue)?.is_none().then_some(slot.queue))
    });
    if let Ok(Some(queue)) = resumed
        && let Err(error) = release(shared, &queue, shared.now()).await
    {
        tracing::warn!(%queue, error = %error.message, "what was held back waits a minute more");
    }
}

/// Deliveries that were held back by a pause are tried at once.
async fn release(shared: &Arc<Shared>, name: &str, now: Timestamp) -> ApiResult<()> {
    let name = name.to_owned();
    let of_it = move |tx: &Tx<'_>, it: &Delivery| {
        let post = posts::get(tx, it.post)?;
        Ok(post.and_then(|it| it.slot).is_some_and(|it| it.queue == name))
    };
    let released = shared.store.write(move |tx| ledger::unpark(tx, PAUSED, "queue_resumed", &of_it, now));
    released.await.map_err(errors::store)?;
    shared.nudge();
    Ok(())
}
