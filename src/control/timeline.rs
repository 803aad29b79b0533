//! What was and what comes: the log and the calendar as the control socket tells them.

use jiff::Timestamp;

use super::messages::{Delivery, Progress};
use super::shape::message;

message! {
    /// A month: what is due, which places are free, which runs are to come.
    answer Calendar {
        /// `2026-12`.
        month: String,
        /// The zone in which the month and its days are reckoned.
        zone: String,
        /// The month's first instant.
        from: Timestamp,
        /// The first instant after it.
        to: Timestamp,
        /// By due time, in whatever state.
        deliveries: Vec<Delivery>,
        /// Free places of queues that lie ahead, by time.
        slots: Vec<FreeSlot>,
        /// Runs of recurring posts that have no post yet, by time.
        recurring: Vec<ComingRun>,
        /// Days on which the clocks change.
        changes: Vec<ClockChange>,
        /// There is more in this month than an answer holds; what is there is complete up to the last entry.
        cut: bool,
    }
}

message! {
    /// A place of a queue that nobody has.
    answer FreeSlot {
        queue: String,
        /// When it runs, jitter included.
        at: Timestamp,
        /// Wall time of the slot in the queue's zone.
        local: String,
    }
}

message! {
    /// A run of a recurring post that is not made yet.
    answer ComingRun {
        name: String,
        at: Timestamp,
        /// Wall time of the slot in the recurring post's zone.
        local: String,
        accounts: Vec<String>,
    }
}

message! {
    /// The clocks change.
    answer ClockChange {
        at: Timestamp,
        /// Distance from UTC before, `+02:00`.
        before: String,
        after: String,
    }
}

message! {
    /// One line of the log: something changed.
    answer LogEvent {
        at: Timestamp,
        /// `info`, `warn` or `error`.
        level: String,
        /// What kind of thing happened, `delivery.published`.
        event: String,
        message: String,
        post: Option<String>,
        delivery: Option<String>,
        account: Option<String>,
        /// Counts lines for ever, over restarts too: give it back as `after` to go on behind this one.
        /// A line of progress is not kept: it bears the number of the last one that is.
        #[serde(default)]
        seq: u64,
        /// How far an upload is (`delivery.uploading`): about once a second while it lasts, and at its end.
        /// Only those who follow the log are told, and a reader that is slow not everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    }
}
