//! What a delivery is made of: its steps, its reason, its moves; and what it costs.

use jiff::Timestamp;

use crate::control::shape::message;

message! {
    /// Why a delivery stands where it does.
    answer Reason {
        class: String,
        message: String,
        hint: Option<String>,
        /// The network's own words.
        raw: Option<String>,
    }
}

message! {
    /// One public object of a delivery.
    answer Step {
        /// From 1.
        n: u32,
        /// `post`, `thread` or `comment`.
        kind: String,
        state: String,
        remote_id: Option<String>,
        permalink: Option<String>,
        /// What TikTok calls its task: the evidence where it tells no id of what came of it.
        #[serde(default)]
        publish_id: Option<String>,
    }
}

message! {
    /// How far an upload is.
    answer Progress {
        done_bytes: u64,
        total_bytes: u64,
        phase: String,
        /// Which of the delivery's steps it belongs to, from 1.
        #[serde(default)]
        step: u32,
    }
}

message! {
    /// The requests of one client for one media file, by its link.
    answer Fetch {
        media: String,
        /// Its address; `others` for those beyond the last line.
        client: String,
        /// What it calls itself.
        agent: String,
        first_at: Timestamp,
        last_at: Timestamp,
        requests: u64,
        /// Bytes of the file that were sent in all.
        bytes: u64,
        /// Of the last answer.
        http_status: u16,
    }
}

message! {
    /// One move of a delivery, explained, or several of the same kind in a row.
    answer Why {
        /// When it was made; of several, the first.
        at: Timestamp,
        /// When the last of several was made.
        #[serde(default)]
        last_at: Option<Timestamp>,
        /// How many they are; a single one says nothing.
        #[serde(default)]
        count: Option<u32>,
        event: String,
        from: String,
        to: String,
        /// What it means, in words.
        message: String,
        /// What caused it.
        reason: Option<String>,
        hint: Option<String>,
        /// The number of the publishing call it belongs to.
        attempt: Option<u32>,
        http_status: Option<u16>,
        /// The network's own id of the call, for a question to its support.
        trace: Option<String>,
        /// The network's raw answer, redacted.
        raw: Option<String>,
    }
}

message! {
    /// One line of what a post will cost.
    answer Cost {
        /// `post`, `post with a link`, `alt text`, …
        what: String,
        count: u32,
        /// All of them together, in US dollars.
        usd: String,
    }
}

message! {
    /// What was paid for calls in a month (UTC), in US dollars, counted here by the network's list of
    /// prices.
    answer Spending {
        /// Absent where it is one account's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// `2026-11`.
        month: String,
        usd: String,
        /// What may be spent in a month, if that is limited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget_usd: Option<String>,
        last_month_usd: String,
        calls: Vec<SpentOn>,
    }
}

message! {
    /// Calls of one kind.
    answer SpentOn {
        /// `publish`, or a call's name.
        what: String,
        count: u64,
        usd: String,
    }
}

message! {
    /// How much of one limit is used: as the network said it last, or as it is counted here.
    answer Quota {
        /// What is limited, in words.
        what: String,
        used: u64,
        /// Null: nobody says how many there are.
        limit: Option<u64>,
        /// When there is room again, or the count begins anew; null where that is not known, or there is room.
        free_at: Option<Timestamp>,
        /// When it was said or counted.
        as_of: Timestamp,
    }
}

message! {
    /// Why nothing is sent for an account, and until when.
    answer HeldBack {
        until: Timestamp,
        message: String,
        hint: Option<String>,
        /// The network's own words.
        raw: Option<String>,
    }
}

impl SpentOn {
    /// What was paid for, in words.
    pub fn words(&self) -> &str {
        match self.what.as_str() {
            "publish" => "posts",
            "x.get" => "posts read back",
            "x.timeline" => "looks at the account's posts",
            "x.metadata" => "alternative texts",
            "x.delete" => "deletions",
            other => other,
        }
    }
}
