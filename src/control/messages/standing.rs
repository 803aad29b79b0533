//! How the daemon stands: `status`, the emergency stop, what was spent.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Spending;
use crate::control::shape::message;

message! {
    /// Whether sending is stopped.
    answer PauseState {
        paused: bool,
        reason: Option<String>,
        since: Option<Timestamp>,
    }
}

message! {
    /// How many accounts stand where.
    answer AccountCounts {
        ready: u64,
        needs_reconnect: u64,
        paused: u64,
    }
}

message! {
    /// The store's size and shape.
    answer StoreStatus {
        bytes: u64,
        schema: u32,
        /// Free on the disk of `data_dir`; not every file system tells.
        #[serde(default)]
        free_bytes: Option<u64>,
    }
}

message! {
    /// Something a person should know.
    answer Alert {
        code: String,
        message: String,
        hint: Option<String>,
    }
}

message! {
    /// The daemon in one look.
    answer Status {
        version: String,
        pid: u32,
        uptime_s: u64,
        ready: bool,
        paused: bool,
        accounts: AccountCounts,
        /// Only states that have deliveries.
        deliveries: BTreeMap<String, u64>,
        next_due: Option<Timestamp>,
        last_tick: Option<Timestamp>,
        store: StoreStatus,
        alerts: Vec<Alert>,
        /// Why sending is stopped.
        pause_reason: Option<String>,
        /// What was paid for calls this month, by network; only of networks that take money.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spending: Vec<Spending>,
    }
}
