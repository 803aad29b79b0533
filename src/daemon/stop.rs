//! The emergency stop: nothing is sent until a person says so, over restarts too.
//!
//! What the store says, what `status` says and what the engine does are one thing. So whoever changes
//! it holds the lock over all three, in this order: the commit, then what is shown, then the engine,
//! which is told what was committed. It runs as a task of its own, for a caller that goes away
//! between two of them must not part them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::shared::Shared;
use super::{errors, trail};
use crate::control::api::{ApiResult, Caller};
use crate::control::messages as m;
use crate::engine::Input;
use crate::store::{StoreError, meta};

/// Why sending is stopped, and since when. `None`: it runs.
pub(super) type Stopped = Option<(Option<String>, Timestamp)>;

/// The stop as it was last committed.
#[derive(Default)]
pub(super) struct Stop {
    /// Held by whoever changes it, from before the commit until the engine is told.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<Stopped>,
}

impl Stop {
    fn lock(&self) -> MutexGuard<'_, Stopped> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> Stopped {
        self.lock().clone()
    }

    /// Reads whether sending was stopped before the daemon ended. For the start, before anybody can
    /// change it.
    pub(super) fn load(shared: &Shared) -> Result<bool, StoreError> {
        let stored = shared.store.read(meta::pause)?;
        let stopped = stored.is_some();
        *shared.pause.lock() = stored;
        Ok(stopped)
    }
}

pub(super) async fn pause(shared: &Arc<Shared>, reason: Option<String>) -> ApiResult<m::PauseState> {
    let now = shared.now();
    change(shared, move |before| Some((reason, before.map_or(now, |(_, since)| since)))).await
}

pub(super) async fn resume(shared: &Arc<Shared>, by: Caller) -> ApiResult<m::PauseState> {
    let by_now = Arc::clone(shared);
    change(shared, move |before| {
        // What does not stand still by a person's word may do so because of the clock; then this is
        // the person's word that the clock is right.
        if before.is_none() && by_now.time.trust(by_now.now()) {
            trail::note(&by_now, Some(by), "clock.trust", "", "ok");
        }
        None
    })
    .await
}

async fn change(
    shared: &Arc<Shared>,
    to: impl FnOnce(Stopped) -> Stopped + Send + 'static,
) -> ApiResult<m::PauseState> {
    let shared = Arc::clone(shared);
    let changing = tokio::spawn(async move {
        let _turn = shared.pause.turn.lock().await;
        let wanted = to(shared.pause.state());
        let stored = wanted.clone();
        shared.store.write(move |tx| meta::set_pause(tx, stored.clone())).await.map_err(errors::store)?;
        shared.rehearsal.point("stop committed").await;
        shared.pause.lock().clone_from(&wanted);
        shared.send(Input::Pause(wanted.is_some()));
        let since = wanted.as_ref().map(|(_, since)| *since);
        Ok(m::PauseState { paused: wanted.is_some(), reason: wanted.and_then(|it| it.0), since })
    });
    changing.await.map_err(|error| errors::internal(&error))?
}
