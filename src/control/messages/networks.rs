//! What each network can do, for whoever draws a form; and what was deleted so far.

use jiff::Timestamp;

use crate::control::shape::message;

message! {
    /// An option that a post may carry for a network.
    answer NetworkOption {
        key: String,
        /// The values it may have; empty: free text.
        values: Vec<String>,
        help: String,
    }
}

message! {
    /// What a network takes of posts, as far as that is the same for all accounts.
    answer Network {
        /// `x`, as in an account's name.
        platform: String,
        /// The name as people write it.
        title: String,
        /// Longest text of one part, in `unit`.
        text_max: u64,
        unit: String,
        /// Longest thread, in parts; 1: no threads.
        parts_max: u64,
        /// Images on one post.
        images_max: u64,
        /// Takes a first comment.
        comment: bool,
        /// What was published can be deleted from here.
        can_delete: bool,
        options: Vec<NetworkOption>,
    }
}

message! {
    /// The networks of this version, in the order every list shows.
    answer NetworkList {
        networks: Vec<Network>,
    }
}

message! {
    /// One step of a deletion and what came of it.
    answer ReceiptLine {
        step: String,
        result: String,
        /// The account whose object it was, while it is connected. Absent for other steps, and with the three
        /// below in what was kept by a version before them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The object's address or id, or the network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        r#where: Option<String>,
        /// What the network said, or what was done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// What is left to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    }
}

message! {
    /// A deletion as it is kept. It outlives what was deleted: what names an account goes with that account.
    answer ReceiptEntry {
        id: String,
        /// `disconnect`, `data_deletion`, …
        kind: String,
        requested_at: Timestamp,
        /// Null while it is going on.
        finished_at: Option<Timestamp>,
        steps: Vec<ReceiptLine>,
    }
}

message! {
    /// Disconnects and deletion requests of the networks, newest first.
    answer ReceiptList {
        receipts: Vec<ReceiptEntry>,
    }
}
