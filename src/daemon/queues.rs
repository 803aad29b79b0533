//! Queues: the next free slot, and what `queue show` tells.

use std::sync::Arc;

use jiff::{Timestamp, civil};

use super::shared::Shared;
use super::{audit, errors};
use crate::config::Queue;
use crate::control::api::{ApiError, ApiResult, Caller};
use crate::control::messages as m;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Event, Reason, RetryWhy, State};
use crate::domain::post::Post;
use crate::domain::schedule::slots::{Slot, jitter, slots};
use crate::domain::schedule::{Due, print_duration};
use crate::store::{Source, StoreError, deliveries, posts, queues};

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
fn runs_at(shared: &Shared, queue: &Queue, slot: &Slot) -> Due {
    let late = jitter(&queue.name, slot.local, &shared.jitter_seed, queue.jitter);
    let Ok(instant) = slot.due.instant.checked_add(late) else { return slot.due.clone() };
    Due { instant, civil: queue.timezone.rules.to_datetime(instant), ..slot.due.clone() }
}

/// The next slot nobody has, and its due time.
pub(super) fn next_free(shared: &Shared, queue: &Queue, now: Timestamp) -> ApiResult<(civil::DateTime, Due)> {
    for slot in slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, now).take(SEARCH) {
        let taken =
            shared.store.read(|rx| queues::slot_taken(rx, &queue.name, slot.local)).map_err(errors::store)?;
        if taken.is_none() {
            let due = runs_at(shared, queue, &slot);
            return Ok((slot.local, due));
        }
    }
    Err(ApiError::conflict(
        "queue_full",
        format!("the next {SEARCH} places of queue `{}` are taken", queue.name),
    )
    .hint("add slots to the queue, or use `--at`"))
}

fn view(shared: &Shared, queue: &Queue, next: u32) -> ApiResult<m::Queue> {
    let now = shared.now();
    let places = slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, now)
        .take(next.min(NEXT_MAX) as usize);
    let mut shown = Vec::new();
    let mut waiting = 0;
    for slot in places {
        let post =
            shared.store.read(|rx| queues::slot_taken(rx, &queue.name, slot.local)).map_err(errors::store)?;
        waiting += u64::from(post.is_some());
        shown.push(m::Slot {
            at: runs_at(shared, queue, &slot).instant,
            local: slot.local.to_string(),
            post: post.map(|it| it.to_string()),
        });
    }
    // Taken places further on than those shown.
    let more = slots(&queue.cron, &queue.timezone.rules, &queue.timezone.name, now).skip(shown.len());
    for slot in more.take(SEARCH) {
        if shared
            .store
            .read(|rx| queues::slot_taken(rx, &queue.name, slot.local))
            .map_err(errors::store)?
            .is_none()
        {
            // Places are taken from the front, so the first gap of some size ends the search.
            break;
        }
        waiting += 1;
    }
    let paused = shared.store.read(|rx| queues::paused_since(rx, &queue.name)).map_err(errors::store)?;
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

/// Why a delivery waits although its time has come: its queue is paused. A thread that has begun
/// is not torn apart.
pub(super) fn hold(
    source: &impl Source,
    delivery: &Delivery,
    post: &Post,
) -> Result<Option<Reason>, StoreError> {
    let Some(slot) = post.slot.as_ref().filter(|_| delivery.live_prefix() == 0) else { return Ok(None) };
    let since = queues::paused_since(source, &slot.queue)?;
    Ok(since.map(|since| {
        Reason::new(PAUSED, format!("the queue `{}` is paused since {since}", slot.queue))
            .hint(format!("`sendoff queue resume {}` lets it go", slot.queue))
    }))
}

/// Tells somebody who just put a post into a paused queue.
pub(super) fn paused_notice(shared: &Shared, queue: &str) -> Option<String> {
    let paused = shared.store.read(|rx| queues::paused_since(rx, queue)).ok()??;
    Some(format!(
        "the queue `{queue}` is paused since {paused}: nothing goes out until `sendoff queue resume {queue}`"
    ))
}

pub(super) async fn set_paused(
    shared: &Arc<Shared>,
    by: Caller,
    name: &str,
    on: bool,
) -> ApiResult<m::Queue> {
    let queue = find(shared, name)?;
    let now = shared.now();
    let owned = queue.name.clone();
    shared
        .store
        .write(move |tx| queues::set_paused(tx, &owned, on.then_some(now)))
        .await
        .map_err(errors::store)?;
    audit(shared, Some(by), if on { "queue.pause" } else { "queue.resume" }, name);
    if !on {
        release(shared, name, now).await?;
    }
    view(shared, &queue, 1)
}

/// A delivery was just held back; if its queue was resumed in that moment, it goes on.
pub(super) async fn recheck(shared: &Arc<Shared>, it: &Delivery) {
    if it.reason.as_ref().is_none_or(|reason| reason.class != PAUSED) || it.state != State::Retry {
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
    shared
        .store
        .write(move |tx| {
            let filter = posts::Filter {
                wanted: Some(posts::Wanted::State(State::Retry)),
                ..posts::Filter::default()
            };
            let mut after = None;
            loop {
                let page = posts::list(tx, &filter, 200, after)?;
                for id in &page.posts {
                    let post = posts::need(tx, *id)?;
                    if post.slot.as_ref().is_none_or(|it| it.queue != name) {
                        continue;
                    }
                    for before in deliveries::of_post(tx, *id)? {
                        let held = before.retry_why == Some(RetryWhy::Parked)
                            && before.reason.as_ref().is_some_and(|it| it.class == PAUSED);
                        if let (true, Ok(moved)) = (held, before.apply(Event::TryNow { at: now }, now)) {
                            let row = Transition::between(&before, &moved, "queue_resumed", now);
                            deliveries::put(tx, Some(&before), &moved, Some(row))?;
                        }
                    }
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => return Ok(()),
                }
            }
        })
        .await
        .map_err(errors::store)?;
    shared.nudge();
    Ok(())
}
