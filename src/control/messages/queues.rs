//! Queues and their places.

use jiff::Timestamp;

use crate::control::shape::message;

message! {
    /// The next free or taken place of a queue.
    answer Slot {
        at: Timestamp,
        /// Wall time in the queue's zone, `2026-12-01T09:00:00`. With the queue's name it is the slot's identity.
        local: String,
        /// The post that took it.
        post: Option<String>,
    }
}

message! {
    /// A queue of the configuration and its next places.
    answer Queue {
        name: String,
        timezone: String,
        cron: Vec<String>,
        accounts: Vec<String>,
        /// As written, `5m`.
        jitter: Option<String>,
        paused: bool,
        /// Posts that wait in it.
        waiting: u64,
        /// As many as were asked for; one in a list.
        next: Vec<Slot>,
    }
}

message! {
    /// All queues, by name.
    answer QueueList {
        queues: Vec<Queue>,
    }
}
