//! `post reschedule`: another time for a delivery, a post, or everything that waits in a queue.
//!
//! Each post is one transaction: its deliveries, its own time, the place it leaves and the one it
//! takes. A crash finds either the old times or the new ones. A whole queue is one transaction too.
//!
//! What an outage made too late has ended, and an end never changes: for it the new time goes to a new
//! delivery in its place ([`again`]). A refused one is for `post retry`, once its cause is mended.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::posts::{Named, check_again, named, show};
use super::shared::Shared;
use super::{again, create, errors, missed, queues, undo};
use crate::config::{Queue, Zone};
use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Event, State};
use crate::domain::ids::{DeliveryId, PostId};
use crate::domain::post::{Post, SlotTaken};
use crate::domain::schedule::{Choice, Due, Late, echo, parse_shift};
use crate::store::{StoreError, Tx, accounts, deliveries, posts, zones};

/// Where to, with everything read that does not depend on the store.
#[derive(Debug, Clone)]
pub enum Goal {
    At(Due),
    /// The queue's next free place, by the seed of its jitter.
    Queue(Box<Queue>, [u8; 32]),
    By(SignedDuration),
}

/// One move, as the transaction carries it out.
#[derive(Debug, Clone)]
pub struct Move {
    pub post: PostId,
    /// Only this delivery of it.
    pub only: Option<DeliveryId>,
    pub goal: Goal,
    pub now: Timestamp,
    pub give_up_after: SignedDuration,
}

/// Deliveries that stay, named in one refusal at most.
const NAMED: usize = 5;

/// A post's new time, what of it stays in words, and the way back where there is one.
pub type Moved = (Due, Vec<String>, Option<undo::Way>);

/// The deliveries of a draft that gets its first time.
type Fresh = Vec<Delivery>;

/// A delivery that can get another time, and how.
enum Movable {
    /// As it stands.
    Waits(Delivery),
    /// It came too late, and nothing has taken over from it.
    Missed(Delivery),
}

impl Movable {
    fn of(all: &[Delivery]) -> Vec<Self> {
        let one = |it: &Delivery| match it.state {
            State::Missed if again::is_last(all, it) => Some(Self::Missed(it.clone())),
            _ => it.may_move().is_ok().then(|| Self::Waits(it.clone())),
        };
        all.iter().filter_map(one).collect()
    }

    fn row(&self) -> &Delivery {
        match self {
            Self::Waits(it) | Self::Missed(it) => it,
        }
    }

    fn put(
        &self,
        tx: &mut Tx<'_>,
        due: Due,
        late: Late,
        give_up_after: SignedDuration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self {
            Self::Waits(before) => put(tx, before, due, give_up_after, now),
            Self::Missed(old) => {
                let fresh = again::successor(old, due, late, give_up_after, now);
                again::take_over(tx, old, &fresh, now)
            }
        }
    }
}

pub(super) async fn one(
    shared: &Arc<Shared>,
    id: &str,
    to: r::Move,
    tz: Option<String>,
) -> ApiResult<m::Post> {
    let (post, only) = match named(id)? {
        Named::Post(post) => (post, None),
        Named::Delivery(id) => {
            let found = shared.store.read(|rx| deliveries::get(rx, id)).map_err(errors::store)?;
            (found.ok_or_else(|| errors::unknown_id(&id.to_string()))?.post, Some(id))
        }
    };
    let before = shared.store.read(|rx| posts::get(rx, post)).map_err(errors::store)?;
    let before = before.ok_or_else(|| errors::unknown_id(id))?;
    let now = shared.now();
    let goal = match &to {
        r::Move::At(text) => Goal::At(create::when(shared, text, &create::zone(shared, tz.as_deref())?)?),
        // A place belongs to a post; half a post cannot take one.
        r::Move::Queue(_) if only.is_some() => {
            return Err(ApiError::bad_request("not_a_post", "only a whole post (`pst_…`) goes into a queue")
                .hint(format!("name the post, `{post}`, or use `--at`")));
        }
        r::Move::Queue(name) => Goal::Queue(Box::new(queues::find(shared, name)?), shared.jitter_seed),
        r::Move::By(text) => Goal::By(shift(text)?),
    };
    if before.due.is_none() {
        check_again(shared, &before)?;
    }
    let give_up_after = shared.config().engine.give_up_after;
    let it = Move { post, only, goal, now, give_up_after };
    let _one = shared.slot_lock.lock().await;
    let version = before.version;
    let (due, left, way) = shared
        .store
        .write(move |tx| {
            let post = posts::need(tx, it.post)?;
            if post.due.is_none() && post.version != version {
                return Ok(Err(ApiError::conflict("changed_meanwhile", "the draft was edited meanwhile")));
            }
            carry_out(tx, &it, post)
        })
        .await
        .map_err(errors::store)??;
    shared.nudge();
    let notice = format!("scheduled for {}", echo(&due));
    let paused = match &to {
        r::Move::Queue(name) => queues::paused_notice(shared, name),
        _ => None,
    };
    let shown = show(shared, post)?;
    let all = shared.store.read(accounts::list).map_err(errors::store)?;
    let of_it = all.iter().filter(|it| before.to.iter().any(|target| target.account == it.id));
    let ends: Vec<_> = of_it.filter_map(|it| create::ends_first(it, due.instant)).collect();
    let notices = std::iter::once(notice).chain(ends).chain(paused).chain(left).collect();
    let undo = way.map(|way| shared.ways.keep(way, now));
    Ok(m::Post { notices, undo, ..shown })
}

/// `post reschedule --all-in QUEUE --by ±DURATION`: all or none. The posts keep their places, so that
/// no new one slips in before them, and the same way back undoes it. What an outage or a pause left
/// behind moves as well, and so does what was missed within the last day, where its new time is still to
/// come; what has begun does not, and is named.
pub(super) async fn all_in(shared: &Arc<Shared>, queue: &str, text: &str) -> ApiResult<m::PostList> {
    let queue = queues::find(shared, queue)?.name;
    let span = shift(text)?;
    let (now, give_up_after) = (shared.now(), shared.config().engine.give_up_after);
    let name = queue.clone();
    let (moved, notices) = shared
        .store
        .write(move |tx| {
            let (mut moved, mut left) = (Vec::new(), Vec::new());
            let mut plans = Vec::new();
            let told = missed::told(tx, now)?;
            // Everything is reckoned before anything is written: a refusal leaves no trace.
            for (_, id) in crate::store::queues::slots_of(tx, &name)? {
                let Some(post) = posts::get(tx, id)? else { continue };
                let all = deliveries::of_post(tx, id)?;
                left.extend(all.iter().filter(|it| !it.state.is_terminal()).filter_map(|it| {
                    let why = it.may_move().err()?;
                    Some(stays(it, why))
                }));
                let mut rows = Vec::new();
                for it in Movable::of(&all) {
                    let row = it.row();
                    match (&it, shifted(&row.due, span, now, &format!("post `{id}` for {}", row.name))) {
                        (Movable::Missed(row), _) if !told.contains(&row.id) => {}
                        (_, Ok(due)) => rows.push((it, due)),
                        (Movable::Missed(row), Err(error)) => left.push(stays(row, &error.message)),
                        (Movable::Waits(_), Err(error)) => {
                            return Ok(Err(error.hint("nothing was moved")));
                        }
                    }
                }
                if !rows.is_empty() {
                    plans.push((post, rows));
                }
            }
            for (mut post, rows) in plans {
                for (row, due) in rows {
                    row.put(tx, due, post.late, give_up_after, now)?;
                }
                if let Some(due) = post.due.take() {
                    post.due = Some(plain_shift(&due, span).unwrap_or(due));
                }
                post.version += 1;
                posts::put(tx, &post)?;
                moved.push(post.id);
            }
            Ok(Ok((moved, left)))
        })
        .await
        .map_err(errors::store)??;
    if moved.is_empty() {
        let mut message = format!("nothing that can be moved waits in queue `{queue}`");
        for it in notices.iter().take(NAMED) {
            message = format!("{message}; {it}");
        }
        return Err(ApiError::conflict("nothing_waits", message));
    }
    shared.nudge();
    let posts = moved.into_iter().map(|id| show(shared, id)).collect::<ApiResult<_>>()?;
    Ok(m::PostList { posts, next_cursor: None, notices })
}

fn shift(text: &str) -> ApiResult<SignedDuration> {
    parse_shift(text).map_err(|error| {
        ApiError::bad_request("bad_duration", error.to_string()).hint("write e.g. `--by +2h` or `--by -30m`")
    })
}

/// One that is not moved, in words.
fn stays(it: &Delivery, why: &str) -> String {
    format!("delivery `{}` for {} is {} and was not moved: {why}", it.id, it.name, it.state.as_str())
}

/// Inside the transaction: looks at the rows as they are, then moves all that can be moved, or refuses.
/// Gives back the post's new time, what stays where it is, and the way back.
///
/// # Errors
/// Those of the store; inside, what the user is told in place of a move.
pub fn carry_out(tx: &mut Tx<'_>, it: &Move, mut post: Post) -> Result<ApiResult<Moved>, StoreError> {
    let all = deliveries::of_post(tx, post.id)?;
    let meant = |row: &Delivery| it.only.is_none_or(|only| row.id == only);
    let mut rows = Movable::of(&all);
    rows.retain(|row| meant(row.row()));
    let stay = all.iter().filter(|row| meant(row)).filter_map(|row| Some((row, row.may_move().err()?)));
    if rows.is_empty()
        && let Some((row, why)) = stay.clone().next()
    {
        let message = format!("delivery `{}` is {} and cannot be moved: {why}", row.id, row.state.as_str());
        let error = ApiError::conflict("not_scheduled", message);
        return Ok(Err(match row.state {
            State::Rejected if again::is_last(&all, row) => {
                error.hint("once what was refused is mended, `sendoff post retry` sends it anew")
            }
            _ => error,
        }));
    }
    // What was taken back or replaced by a retry stays where it ended.
    let over = |it: &Delivery| matches!(it.state, State::Cancelled | State::Missed | State::Rejected);
    let left = stay.filter(|(row, _)| !over(row)).map(|(row, why)| stays(row, why)).collect();
    if rows.is_empty() && post.due.is_some() {
        let message = format!("post `{}` has nothing left to move", post.id);
        return Ok(Err(ApiError::conflict("not_scheduled", message)));
    }
    let (mut dues, mut slot) = (Vec::new(), None);
    let own = match &it.goal {
        Goal::At(due) => due.clone(),
        Goal::Queue(queue, seed) => match queues::next_free(tx, queue, seed, it.now)? {
            Some((local, due)) => {
                slot = Some(SlotTaken { queue: queue.name.clone(), local });
                due
            }
            None => return Ok(Err(queues::full(queue))),
        },
        Goal::By(span) => {
            for row in rows.iter().map(Movable::row) {
                match shifted(&row.due, *span, it.now, &format!("{} of post `{}`", row.name, post.id)) {
                    Ok(due) => dues.push(due),
                    Err(error) => return Ok(Err(error)),
                }
            }
            let Some(from) = rows.first().map(|row| &row.row().due).or(post.due.as_ref()) else {
                return Ok(Err(ApiError::conflict("no_time", "a draft has no time to move from")
                    .hint("use `--at` or `--queue`")));
            };
            plain_shift(from, *span).unwrap_or_else(|| from.clone())
        }
    };
    if dues.is_empty() {
        dues = vec![own.clone(); rows.len()];
    }
    let mut way = undo::Way {
        post: post.id,
        before: post.version,
        version: post.version,
        own: match it.only {
            None => undo::Own::Was(post.due.clone(), post.slot.clone()),
            Some(_) => undo::Own::Same,
        },
        moved: Vec::new(),
        cancelled: Vec::new(),
    };
    // A draft that got its first time, and what takes over from what was missed, have no way back.
    let has_way = !rows.is_empty() && rows.iter().all(|row| matches!(row, Movable::Waits(_)));
    for (row, due) in rows.iter().zip(dues) {
        let before = row.row();
        way.moved.push(undo::Moved { id: before.id, from: before.due.clone(), to: due.clone() });
        row.put(tx, due, post.late, it.give_up_after, it.now)?;
    }
    if it.only.is_none() {
        if let Some(old) = post.slot.take() {
            crate::store::queues::free_slot(tx, &old.queue, old.local, post.id)?;
        }
        if let Some(new) = &slot {
            crate::store::queues::take_slot(tx, &new.queue, new.local, post.id)?;
        }
        post.due = Some(own.clone());
        post.slot = slot;
        post.version += 1;
        posts::put(tx, &post)?;
        if rows.is_empty() {
            let fresh: Fresh = create::deliveries_of(it.give_up_after, &post, it.now);
            for row in &fresh {
                accounts::may_take_work(tx, row.account, &row.name)?;
                deliveries::put(tx, None, row, Some(create::first_row(row, it.now)))?;
            }
        }
    }
    way.version = post.version;
    Ok(Ok((own, left, has_way.then_some(way))))
}

/// One delivery to another time. A person has spoken, so new zone rules hold it no longer.
pub(super) fn put(
    tx: &mut Tx<'_>,
    before: &Delivery,
    due: Due,
    give_up_after: SignedDuration,
    now: Timestamp,
) -> Result<(), StoreError> {
    let event = Event::reschedule(due, give_up_after);
    let name = event.name();
    let after = before.apply(event, now).map_err(|illegal| StoreError::conflict(illegal.to_string()))?;
    let row = Transition::between(before, &after, name, now);
    zones::let_go(tx, before.id)?;
    deliveries::put(tx, Some(before), &after, Some(row)).map(drop)
}

/// `--by ±DURATION`, from the present due time; never into the past.
fn shifted(from: &Due, span: SignedDuration, now: Timestamp, what: &str) -> ApiResult<Due> {
    let due = plain_shift(from, span)
        .ok_or_else(|| ApiError::bad_request("bad_time", "that is outside of the calendar"))?;
    if due.instant <= now {
        let message = format!("{what} would be due {}, which has passed", echo(&due));
        return Err(ApiError::new(ErrorKind::Refused, "past_time", message));
    }
    Ok(due)
}

fn plain_shift(from: &Due, span: SignedDuration) -> Option<Due> {
    let instant = from.instant.checked_add(span).ok()?;
    let civil = match Zone::named(&from.zone) {
        Ok(zone) => zone.rules.to_datetime(instant),
        Err(_) => from.offset().to_datetime(instant),
    };
    Some(Due { instant, civil, zone: from.zone.clone(), choice: Choice::Instant })
}
