//! Puts the real parts together: start, the loop, the edges, shutdown.
//!
//! Reading order: this file (what starts, in which order, and how it ends), [`drive`] (the loop
//! around the engine), [`ledger`] (what it reads and writes), [`calls`], [`wire`] and [`tokens`]
//! (calls to networks) with [`progress`], [`connect`], [`keep`], [`create`], [`posts`], [`amend`], [`cancel`], [`reschedule`], [`undo`], [`accounts`],
//! [`disconnect`], [`erase`], [`meta`], [`queues`], [`stop`] (what users ask), [`recurring`] (runs made ahead of their time), [`log`]
//! and [`calendar`] (what was, what comes), [`rezone`], [`housekeeping`], [`missed`]; [`preflight`] with [`disk`],
//! [`time`] and [`rollback`] (when it is better to send nothing).

mod accounts;
mod again;
mod amend;
mod api;
mod body;
mod calendar;
mod calls;
mod cancel;
mod connect;
mod create;
mod disconnect;
pub mod disk;
mod doctor;
mod door;
mod draft;
mod drive;
mod erase;
mod errors;
mod explain;
pub mod files;
mod foresee;
mod housekeeping;
mod inspect;
mod keep;
pub mod ledger;
mod links;
mod log;
mod meta;
mod mind;
mod missed;
mod posts;
mod precheck;
mod preflight;
mod progress;
mod queues;
mod quota;
mod recurring;
pub mod rehearsal;
mod remove;
pub mod renewal;
mod repeats;
pub mod reschedule;
mod resolve;
mod retention;
mod rezone;
pub mod rollback;
pub mod set_back;
mod settings;
mod shared;
mod spend;
pub mod start;
mod status;
mod stop;
mod thumbnail;
mod time;
mod tokens;
mod trail;
pub mod undo;
pub mod unseen;
mod versions;
pub(crate) mod view;
mod watchdog;
mod webhook;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::Shared;
use wire::Wire;

use crate::config::change::changed;
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::engine::Input;
use crate::platforms::FailureClass;

/// What waits because of a fault in the configuration is tried with the new one.
async fn try_again(shared: Arc<Shared>) {
    let (class, now) = (FailureClass::Config.as_str(), shared.now());
    let waiting = shared
        .store
        .write(move |tx| ledger::unpark(tx, class, "config_reloaded", |_, _| Ok(true), now))
        .await;
    match waiting {
        Ok(waiting) => {
            let networks: BTreeSet<_> = waiting.iter().map(|it| it.name.platform()).collect();
            for network in networks {
                shared.send(Input::Probe(network));
            }
            shared.nudge();
        }
        Err(error) => tracing::warn!(%error, "what waits for the configuration waits a while longer"),
    }
}

/// Reads the configuration again. A bad file changes nothing.
fn reload(shared: &Arc<Shared>) -> ApiResult<m::Reloaded> {
    let fresh = crate::config::load(&shared.config_path).map_err(|error| {
        let remedy = error.hint().map(|it| format!("; {it}")).unwrap_or_default();
        ApiError::bad_request("bad_config", error.to_string()).hint(format!("nothing was changed{remedy}"))
    })?;
    let old = shared.config();
    let changes = changed(&old, &fresh);
    let weak = fresh.engine.weakened();
    let warnings = if weak.is_empty() {
        Vec::new()
    } else {
        vec![format!("the delivery guarantees are weakened: `{}` below the default", weak.join("`, `"))]
    };
    // What needs a restart keeps its old value until then.
    let mut used = fresh;
    used.server = old.server.clone();
    used.limits = old.limits;
    used.data_dir.clone_from(&old.data_dir);
    used.master = old.master.clone();
    used.log.clone_from(&old.log);
    let wire = if used.egress_allow == old.egress_allow {
        None
    } else {
        Some(Wire::new(&used.egress_allow).map_err(|error| errors::internal(&error))?)
    };
    let settings = settings::of(&used);
    shared.set_config(used, wire);
    shared.send(Input::Configure(Box::new(settings)));
    shared.runtime.spawn(try_again(Arc::clone(shared)));
    shared.plan_again(None);
    shared.note_needs_restart(changes.restart.clone());
    match (changes.reload.join(", "), changes.restart.join(", ")) {
        (changed, restart) if changed.is_empty() && restart.is_empty() => {
            tracing::info!("configuration read again; nothing has changed");
        }
        (changed, restart) if restart.is_empty() => tracing::info!(changed, "configuration read again"),
        (changed, restart) => {
            tracing::warn!(
                changed,
                restart,
                "configuration read again; what `restart` names has its old value"
            );
        }
    }
    Ok(m::Reloaded { changed: changes.reload, needs_restart: changes.restart, warnings })
}
