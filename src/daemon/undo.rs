//! The way back of a cancel or a move, for a minute.
//!
//! Both act at once: what was cancelled is not sent, whatever becomes of the one who asked. So the way
//! back is a deed of its own. The answer to a cancel or a move names a ticket; whoever brings it back
//! within [`LIFE`] gets the times and the place in the queue that were there before. Tickets are kept in
//! memory only: without one nothing is lost but the short way, for a post can always be moved or made anew.
//! A ticket names the run of the daemon that gave it, so that one of an earlier run is told why it is void.
//!
//! Several ways back of one post may be open at once. One that is gone changes the post, so the others are
//! carried along ([`Way::follow`]); what anybody else changes makes them void.
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
use crate::domain::delivery::Delivery;
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
#[derive(Debug, Clone)]
pub struct Way {
    pub(super) post: PostId,
    /// The post's version before it.
    pub(super) before: u32,
    /// The post's version since: with another one somebody has changed it meanwhile.
    pub(super) version: u32,
    pub(super) own: Own,
    pub(super) moved: Vec<Moved>,
    /// As they were before they were cancelled.
    pub(super) cancelled: Vec<Delivery>,
}

/// What the post itself gets back.
#[derive(Debug, Clone)]
pub(super) enum Own {
    /// Nothing: its time and its place are as they were.
    Same,
    /// The time and the place in a queue that it had.
    Was(Option<Due>, Option<SlotTaken>),
    /// The place that it still names, and may have given free.
    Place,
}

/// One delivery that got another time.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) id: DeliveryId,
    pub(super) from: Due,
    pub(super) to: Due,
}

impl Way {
    fn word(&self) -> &'static str {
        if self.cancelled.is_empty() { MOVE } else { CANCEL }
    }

    /// What is left to whoever cannot go it.
    fn hint(word: &str) -> &'static str {
        match word {
            CANCEL => "what was cancelled stays so; write it anew",
            MOVE => "`sendoff post reschedule` moves it",
            _ => "`sendoff post reschedule` moves what waits; what was cancelled must be written anew",
        }
    }

    /// Another way of the same post was gone. This one leads on to where it led, as far as nothing but that
    /// has happened to the post since.
    fn follow(&mut self, other: &Self, done: &Done) {
        if self.version == other.version || self.version == other.before {
            self.version = done.version;
        }
        for it in &mut self.moved {
            if let Some((_, fresh)) = done.replaced.iter().find(|(old, _)| *old == it.id) {
                it.id = *fresh;
            }
        }
        for it in &mut self.cancelled {
            // It was moved, then cancelled, and the move is taken back first.
            if let Some(moved) = other.moved.iter().find(|moved| moved.id == it.id && moved.to == it.due) {
                it.due = moved.from.clone();
            }
        }
    }
}

/// How tickets of the two kinds begin.
const CANCEL: &str = "cancel";
const MOVE: &str = "move";

/// A way back with its ticket and the time it was made.
struct Entry {
    ticket: String,
    made: Timestamp,
    post: PostId,
    /// None: it was gone, and is remembered for whoever did not hear of it.
    way: Option<Way>,
}

/// The ways back of this run of the daemon, oldest first.
pub(super) struct Ways {
    /// Stands in every ticket, so that one of an earlier run is known as such.
    run: String,
    all: Mutex<VecDeque<Entry>>,
}

impl Default for Ways {
    fn default() -> Self {
        Self { run: hex(&Shared::random::<4>()), all: Mutex::default() }
    }
}

impl Ways {
    /// Keeps a way back. Its ticket.
    pub(super) fn keep(&self, way: Way, now: Timestamp) -> String {
        let ticket = format!("{}-{}-{}", way.word(), self.run, hex(&Shared::random::<16>()));
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| is_open(it.made, now));
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(Entry { ticket: ticket.clone(), made: now, post: way.post, way: Some(way) });
        ticket
    }

    /// The way of a ticket, which stays open until [`Ways::gone`] is told.
    fn find(&self, ticket: &str, post: PostId, now: Timestamp) -> ApiResult<Way> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|it| it.ticket == ticket && it.post == post && is_open(it.made, now));
        match found.map(|it| &it.way) {
            Some(Some(way)) => Ok(way.clone()),
            Some(None) => {
                Err(nothing("it was taken back already").hint("`sendoff post show` tells how it stands"))
            }
            None => {
                let mut parts = ticket.split('-');
                let (word, run) = (parts.next().unwrap_or_default(), parts.next());
                let why = match run {
                    Some(run) if run != self.run => {
                        "the daemon was started anew since, and it keeps ways back in its memory only"
                    }
                    _ => "it can no longer be taken back: its minute has passed",
                };
                Err(nothing(why).hint(Way::hint(word)))
            }
        }
    }

    /// A way is gone once, and all others of its post lead on from where it led.
    fn gone(&self, ticket: &str, way: &Way, done: &Done) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        for it in all.iter_mut().filter(|it| it.post == way.post) {
            if it.ticket == ticket {
                it.way = None;
            } else if let Some(other) = &mut it.way {
                other.follow(way, done);
            }
        }
    }
}

fn nothing(why: impl Into<String>) -> ApiError {
    ApiError::conflict("nothing_to_undo", why)
}

/// A clock that was put back meanwhile does not keep it open longer.
fn is_open(made: Timestamp, now: Timestamp) -> bool {
    now.duration_since(made).abs() <= LIFE
}

/// What the transaction did, in words.
#[derive(Default)]
struct Done {
    notices: Vec<String>,
    /// What did not come back, and why.
    left: Vec<String>,
    /// The post's version now.
    version: u32,
    /// What was cancelled, and what stands in its place.
    replaced: Vec<(DeliveryId, DeliveryId)>,
}

pub(super) async fn take_back(shared: &Arc<Shared>, id: &str, ticket: &str) -> ApiResult<m::Post> {
    let Named::Post(post) = named(id)? else {
        return Err(ApiError::bad_request("not_a_post", "only what was done to a post (`pst_…`) is undone"));
    };
    let now = shared.now();
    let config = shared.config();
    let (zone, give_up_after) = (config.timezone.clone(), config.engine.give_up_after);
    // Whoever asks a second time at once finds what the first one did.
    let _one = shared.slot_lock.lock().await;
    let way = shared.ways.find(ticket, post, now)?;
    let own = way.clone();
    let done = shared
        .store
        .write(move |tx| go_back(tx, &own, &zone, give_up_after, now))
        .await
        .map_err(|error| errors::of_id(error, id))??;
    shared.ways.gone(ticket, &way, &done);
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
        return Ok(Err(ApiError::conflict("changed_meanwhile", message).hint(Way::hint(way.word()))));
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
        let Some(row) = all.iter().find(|row| row.id == was.id) else {
            done.left.push(format!("{} does not come back: its delivery was deleted", was.name));
            continue;
        };
        if !again::is_last(&all, row) {
            done.left.push(format!("{} has a newer delivery already", row.name));
            continue;
        }
        // One account that takes nothing more must not keep the others from coming back.
        match again::may_take_over(tx, row) {
            Ok(()) => {}
            Err(
                error @ (StoreError::NotFound { .. }
                | StoreError::Leaving { .. }
                | StoreError::Conflict { .. }),
            ) => {
                done.left.push(format!("{} does not come back: {error}", row.name));
                continue;
            }
            Err(error) => return Err(error),
        }
        let due = still(&was.due, zone, now);
        // A person says that it is wanted, however late it is by now.
        let late = if due == was.due { was.late } else { Late::Always };
        done.note(row, "is scheduled again for", &due, due == was.due);
        let fresh = again::successor(row, due, late, give_up_after, now);
        done.replaced.push((row.id, fresh.id));
        again::take_over(tx, row, &fresh, now)?;
    }
    if done.notices.is_empty() {
        let why = if done.left.is_empty() {
            "nothing of it is left that could come back".to_owned()
        } else {
            done.left.join("; ")
        };
        return Ok(Err(nothing(why).hint(Way::hint(way.word()))));
    }
    let own = match way.own.clone() {
        Own::Same => None,
        Own::Was(due, slot) => Some((due, slot)),
        Own::Place => Some((post.due.clone(), post.slot.clone())),
    };
    if let Some((due, slot)) = own {
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
    done.version = post.version;
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
