//! The way back of a cancel or a move, for a minute.
//!
//! Both act at once: what was cancelled is not sent, whatever becomes of the one who asked. So the way
//! back is a deed of its own. The answer to a cancel or a move names a ticket; whoever brings it back
//! within [`LIFE`] gets the times and the place in the queue that were there before. Tickets are kept in
//! memory only: without one nothing is lost but the short way, for a post can always be moved or made anew.
//!
//! An end never changes (I14): in place of what was cancelled goes a new delivery ([`again`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::posts::{Named, named, show};
use super::shared::Shared;
use super::{again, create, errors, reschedule};
use crate::config::Zone;
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::delivery::{Delivery, State};
use crate::domain::hex::hex;
use crate::domain::ids::{DeliveryId, PostId};
use crate::domain::post::SlotTaken;
use crate::domain::schedule::{Due, Late, echo};
use crate::store::{StoreError, Tx, deliveries, posts, queues};

/// How long a way back is kept.
const LIFE: SignedDuration = SignedDuration::from_mins(1);
/// The files of what was cancelled stay as long as it can be taken back, and some more.
pub(super) const FILES: SignedDuration = SignedDuration::from_mins(2);
/// Ways back that are kept at once; the oldest goes first.
const MOST: usize = 256;

/// What was there before a cancel or a move.
#[derive(Clone)]
pub struct Way {
    pub(super) post: PostId,
    /// The post's version since: with another one somebody has changed it meanwhile.
    pub(super) version: u32,
    /// The time and the place in a queue that the post itself had. None: they are as they were.
    pub(super) own: Option<(Option<Due>, Option<SlotTaken>)>,
    pub(super) moved: Vec<Moved>,
    /// As they were before they were cancelled.
    pub(super) cancelled: Vec<Delivery>,
}

/// One delivery that got another time.
#[derive(Clone)]
pub(super) struct Moved {
    pub(super) id: DeliveryId,
    pub(super) from: Due,
    pub(super) to: Due,
}

/// The ways back that are open, oldest first, each with its ticket and the time it was made.
#[derive(Default)]
pub(super) struct Ways(Mutex<VecDeque<(String, Timestamp, Way)>>);

impl Ways {
    /// Keeps a way back. Its ticket.
    pub(super) fn keep(&self, way: Way, now: Timestamp) -> String {
        let ticket = hex(&Shared::random::<16>());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, made, _)| is_open(*made, now));
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back((ticket.clone(), now, way));
        ticket
    }

    /// A way back is gone once.
    fn take(&self, ticket: &str, post: PostId, now: Timestamp) -> Option<Way> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = all.iter().position(|(own, _, way)| own == ticket && way.post == post)?;
        all.remove(n).filter(|(_, made, _)| is_open(*made, now)).map(|it| it.2)
    }
}

/// A clock that was put back meanwhile does not keep it open longer.
fn is_open(made: Timestamp, now: Timestamp) -> bool {
    now.duration_since(made).abs() <= LIFE
}

/// What the transaction did, in words.
#[derive(Default)]
struct Done {
    notices: Vec<String>,
    left: Vec<String>,
}

pub(super) async fn take_back(shared: &Arc<Shared>, id: &str, ticket: &str) -> ApiResult<m::Post> {
    let Named::Post(post) = named(id)? else {
        return Err(ApiError::bad_request("not_a_post", "only what was done to a post (`pst_…`) is undone"));
    };
    let now = shared.now();
    let way = shared.ways.take(ticket, post, now).ok_or_else(|| {
        ApiError::conflict("nothing_to_undo", "it can no longer be taken back")
            .hint("`sendoff post reschedule` moves it; what was cancelled must be written anew")
    })?;
    let config = shared.config();
    let (zone, give_up_after) = (config.timezone.clone(), config.engine.give_up_after);
    let _one = shared.slot_lock.lock().await;
    let done = shared
        .store
        .write(move |tx| go_back(tx, &way, &zone, give_up_after, now))
        .await
        .map_err(|error| errors::of_id(error, id))??;
    shared.nudge();
    let notices = done.notices.into_iter().chain(done.left).collect();
    Ok(m::Post { notices, ..show(shared, post)? })
}

fn go_back(
    tx: &mut Tx<'_>,
    way: &Way,
    zone: &Zone,
    give_up_after: SignedDuration,
    now: Timestamp,
) -> Result<ApiResult<Done>, StoreError> {
    let mut post = posts::need(tx, way.post)?;
    if post.version != way.version {
        let message = format!("post `{}` was changed meanwhile and stays as it is", way.post);
        return Ok(Err(ApiError::conflict("changed_meanwhile", message)));
    }
    let all = deliveries::of_post(tx, way.post)?;
    let mut done = Done::default();
    for it in &way.moved {
        let Some(row) = all.iter().find(|row| row.id == it.id) else { continue };
        match row.may_move() {
            Ok(()) if row.due == it.to => {
                let due = still(&it.from, zone, now);
                done.note(row, "is due", &due, it.from == due);
                reschedule::put(tx, row, due, give_up_after, now)?;
            }
            Ok(()) => done.left.push(format!("{} was moved again meanwhile and stays", row.name)),
            Err(why) => done.left.push(format!("{} stays as it is: {why}", row.name)),
        }
    }
    for was in &way.cancelled {
        let Some(row) = all.iter().find(|row| row.id == was.id) else { continue };
        match row.state {
            State::Cancelled if again::is_last(&all, row) => {
                let due = still(&was.due, zone, now);
                // A person says that it is wanted, however late it is by now.
                let late = if due == was.due { was.late } else { Late::Always };
                done.note(row, "is scheduled again for", &due, due == was.due);
                let fresh = again::successor(row, due, late, give_up_after, now);
                again::take_over(tx, row, &fresh, now)?;
            }
            State::Cancelled => done.left.push(format!("{} has a newer delivery already", row.name)),
            // An end never changes.
            _ => {}
        }
    }
    if done.notices.is_empty() {
        return Ok(Err(ApiError::conflict("nothing_to_undo", done.left.join("; "))));
    }
    if let Some((due, slot)) = way.own.clone() {
        if let Some(new) = post.slot.take() {
            queues::free_slot(tx, &new.queue, new.local, post.id)?;
        }
        if let Some(old) = slot {
            match queues::slot_taken(tx, &old.queue, old.local)? {
                Some(owner) if owner != post.id => done.notices.push(format!(
                    "its place in queue `{}` was taken by post `{owner}` meanwhile: both go out then",
                    old.queue
                )),
                _ => {
                    queues::take_slot(tx, &old.queue, old.local, post.id)?;
                    post.slot = Some(old);
                }
            }
        }
        post.due = due;
    }
    post.version += 1;
    posts::put(tx, &post)?;
    Ok(Ok(done))
}

impl Done {
    fn note(&mut self, row: &Delivery, word: &str, due: &Due, in_time: bool) {
        self.notices.push(if in_time {
            format!("{} {word} {}", row.name, echo(due))
        } else {
            format!("{}: its time has passed, it goes out now", row.name)
        });
    }
}

/// The time it had, or now if that has passed: nobody can be sent back in time, and a policy for lateness
/// must not make an end of what was wanted again a moment later.
fn still(due: &Due, zone: &Zone, now: Timestamp) -> Due {
    if due.instant > now { due.clone() } else { create::due_now(now, zone) }
}
