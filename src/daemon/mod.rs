//! Puts the real parts together: start, the loop, the edges, shutdown.
//!
//! Reading order: this file (what starts, in which order, and how it ends), [`drive`] (the loop
//! around the engine), [`ledger`] (what it reads and writes), [`wire`] and [`tokens`] (calls to
//! networks), [`connect`], [`keep`], [`create`], [`posts`], [`reschedule`], [`accounts`],
//! [`disconnect`], [`erase`], [`meta`], [`queues`], [`stop`] (what users ask), [`recurring`] (runs made ahead of their time), [`log`]
//! and [`calendar`] (what was, what comes), [`rezone`], [`housekeeping`]; [`preflight`] with [`disk`],
//! [`time`] and [`rollback`] (when it is better to send nothing).

mod accounts;
mod api;
mod body;
mod calendar;
mod connect;
mod create;
mod disconnect;
pub mod disk;
mod door;
mod drive;
mod erase;
mod errors;
mod explain;
pub mod files;
mod housekeeping;
mod keep;
pub mod ledger;
mod links;
mod log;
mod meta;
mod mind;
mod posts;
mod precheck;
mod preflight;
mod queues;
mod recurring;
pub mod rehearsal;
mod remove;
mod reschedule;
mod resolve;
mod rezone;
mod rollback;
mod shared;
pub mod start;
mod status;
mod stop;
mod time;
mod tokens;
pub(crate) mod view;
mod watchdog;
mod wire;

use std::sync::Arc;

use shared::Shared;
use wire::Wire;

use crate::config::change::changed;
use crate::control::api::{ApiError, ApiResult, Caller};
use crate::control::messages as m;
use crate::engine::Input;
use crate::store::audit::{AuditRow, append};

/// Notes who did what. Queued at once and not waited for: the deed itself has its own write.
fn audit(shared: &Arc<Shared>, by: Option<Caller>, action: &str, subject: &str) {
    let row = AuditRow {
        at: shared.now(),
        actor: actor(by),
        action: action.to_owned(),
        subject: (!subject.is_empty()).then(|| subject.to_owned()),
        outcome: "ok".to_owned(),
    };
    let write = shared.store.write(move |tx| append(tx, &row));
    tokio::spawn(async move {
        if let Err(error) = write.await {
            tracing::error!(%error, "an audit row could not be written");
        }
    });
}

/// Who did it, in the words of the audit trail.
fn actor(by: Option<Caller>) -> String {
    match by {
        Some(Caller { uid, gid, pid: Some(pid) }) => format!("uid:{uid} gid:{gid} pid:{pid}"),
        Some(Caller { uid, gid, pid: None }) => format!("uid:{uid} gid:{gid}"),
        None => "daemon".to_owned(),
    }
}

/// Reads the configuration again. A bad file changes nothing.
fn reload(shared: &Arc<Shared>) -> ApiResult<m::Reloaded> {
    let fresh = crate::config::load(&shared.config_path).map_err(|error| {
        ApiError::bad_request("bad_config", error.to_string()).hint("nothing was changed")
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
    let wire = if used.egress_allow == old.egress_allow {
        None
    } else {
        Some(Wire::new(&used.egress_allow).map_err(|error| errors::internal(&error))?)
    };
    let settings = drive::settings(&used);
    shared.set_config(used, wire);
    shared.send(Input::Configure(Box::new(settings)));
    shared.plan_again(None);
    tracing::info!(
        changed = changes.reload.join(", "),
        restart = changes.restart.join(", "),
        "configuration read again"
    );
    Ok(m::Reloaded { changed: changes.reload, needs_restart: changes.restart, warnings })
}
