//! What the daemon answers. Field names are promises: scripts read them. Fields may be added, never renamed.
//!
//! Instants are RFC 3339 in UTC. A field without a value is `null`, not absent, unless its comment says so.
//! Nothing here can hold a secret: no token, key or one-time code has a field to travel in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::requests::When;
use super::shape::{Shape, message, named, words};
// One name for all answers; these have a file of their own for its length.
pub use super::timeline::{Calendar, ClockChange, ComingRun, FreeSlot, LogEvent};

mod diagnosis;
mod networks;
mod parts;
mod pictures;
mod queues;
mod standing;

pub use diagnosis::{Diagnosis, Finding, FindingResult};
pub use networks::{Network, NetworkList, NetworkOption, ReceiptEntry, ReceiptLine, ReceiptList};
pub use parts::{Cost, Fetch, HeldBack, Progress, Quota, Reason, Spending, SpentOn, Step, Why};
pub use pictures::Thumbnail;
pub use queues::{Queue, QueueList, Slot};
pub use standing::{AccountCounts, Alert, PauseState, Status, StoreStatus};

words! {
    /// Whether an account can act.
    AccountState {
        /// Its token works as far as is known.
        Ready = "ready",
        /// A person must connect it again.
        NeedsReconnect = "needs_reconnect",
        /// Stopped by the user.
        Paused = "paused",
    }
}

words! {
    /// Where one delivery stands.
    DeliveryState {
        Scheduled = "scheduled",
        Claimed = "claimed",
        Preparing = "preparing",
        Sending = "sending",
        Unknown = "unknown",
        Retry = "retry",
        NeedsReconnect = "needs_reconnect",
        Published = "published",
        HandedOver = "handed_over",
        Rejected = "rejected",
        Cancelled = "cancelled",
        Missed = "missed",
    }
}

words! {
    /// The sum of a post's deliveries in one word.
    PostStatus {
        Draft = "draft",
        Scheduled = "scheduled",
        Publishing = "publishing",
        Published = "published",
        HandedOver = "handed_over",
        Partial = "partial",
        Attention = "attention",
        Failed = "failed",
        Cancelled = "cancelled",
        Missed = "missed",
        Left = "left",
    }
}

impl PostStatus {
    /// The status of a post from its deliveries' (state, held), without those that were left as they are.
    /// The first rule that fits decides; no deliveries at all is a draft.
    pub fn of(deliveries: &[(DeliveryState, bool)]) -> Self {
        use DeliveryState as D;
        let any = |wanted: &[D]| deliveries.iter().any(|(state, _)| wanted.contains(state));
        let all = |wanted: &[D]| deliveries.iter().all(|(state, _)| wanted.contains(state));
        if deliveries.is_empty() {
            Self::Draft
        } else if deliveries.iter().any(|(_, held)| *held) || any(&[D::NeedsReconnect]) {
            Self::Attention
        } else if any(&[D::Claimed, D::Preparing, D::Sending, D::Unknown, D::Retry]) {
            Self::Publishing
        } else if any(&[D::Scheduled]) {
            Self::Scheduled
        } else if all(&[D::Published]) {
            Self::Published
        } else if all(&[D::Published, D::HandedOver]) {
            Self::HandedOver
        } else if any(&[D::Published, D::HandedOver]) {
            Self::Partial
        } else if all(&[D::Cancelled]) {
            Self::Cancelled
        } else if all(&[D::Missed]) {
            Self::Missed
        } else {
            Self::Failed
        }
    }

    /// The same, where deliveries of the post were left as they are: their fate stays open, and nobody
    /// works on them. That is the post's word once nothing else is going on.
    pub fn beside_left(rest: &[(DeliveryState, bool)]) -> Self {
        match Self::of(rest) {
            word @ (Self::Attention | Self::Publishing | Self::Scheduled) => word,
            Self::Draft
            | Self::Published
            | Self::HandedOver
            | Self::Partial
            | Self::Failed
            | Self::Cancelled
            | Self::Missed
            | Self::Left => Self::Left,
        }
    }
}

words! {
    /// Which door a post came in by.
    Source {
        Cli = "cli",
        Console = "console",
        File = "file",
        Queue = "queue",
        Recurring = "recurring",
        Api = "api",
    }
}

words! {
    /// How one item of a receipt ended.
    Outcome {
        Done = "done",
        NotPossible = "not_possible",
        Failed = "failed",
    }
}

message! {
    /// One connected destination.
    answer Account {
        /// `platform:handle`.
        account: String,
        platform: String,
        handle: String,
        /// The network's permanent id.
        remote_id: String,
        username: String,
        display_name: String,
        avatar_url: Option<String>,
        state: AccountState,
        /// Why it cannot act.
        reason: Option<String>,
        scopes: Vec<String>,
        missing_scopes: Vec<String>,
        /// End of the access token.
        expires_at: Option<Timestamp>,
        can_refresh: bool,
        connected_at: Timestamp,
        /// Base URL of the account's own server, on networks that have many.
        server: Option<String>,
        /// Paid tier as the network names it.
        tier: Option<String>,
        /// End of the whole grant, where it is known.
        grant_expires_at: Option<Timestamp>,
        /// What was paid for its calls this month. Only where one account is shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spending: Option<Spending>,
        /// How much of its limits is used, as far as that is known. Only where one account is shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        quotas: Vec<Quota>,
        /// What holds all its posts back now. Only where one account is shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        held_back: Vec<HeldBack>,
    }
}

message! {
    /// All accounts, by name.
    answer AccountList {
        accounts: Vec<Account>,
    }
}

message! {
    /// An account seen on the network and not yet connected.
    answer FoundAccount {
        remote_id: String,
        username: String,
        display_name: String,
        /// The name it would get here, `platform:handle`.
        account: Option<String>,
        /// Scopes that were asked for and not granted.
        missing_scopes: Vec<String>,
        /// What else to know before confirming.
        warnings: Vec<String>,
    }
}

message! {
    /// A connect conversation has begun; its events are at `/v1/connects/{id}/events`.
    answer ConnectStarted {
        /// Names this conversation. It is no secret of the network's, yet whoever has it can confirm.
        id: String,
    }
}

/// What happens while an account is being connected, in this order: `link`, `found`, then `connected` once
/// per account, or `failed` at any point. The stream ends after the last one.
#[allow(clippy::large_enum_variant, reason = "one of these exists at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ConnectEvent {
    /// Open this address in a browser.
    Link {
        /// Our own start link, or the network's consent page with `paste`.
        url: String,
        expires_at: Timestamp,
        /// Where the browser lands afterwards; a terminal on another host forwards this port.
        #[serde(default)]
        callback: Option<String>,
        /// How long the network's code lives once the browser has landed, in seconds.
        #[serde(default)]
        code_lives_s: Option<u32>,
    },
    /// The network said who this is. Nothing is stored before it is confirmed.
    Found { accounts: Vec<FoundAccount> },
    /// Stored and ready.
    Connected { account: Account },
    /// It ended without an account.
    Failed { error: ErrorDetail },
}

impl Shape for ConnectEvent {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        named("ConnectEvent", defs, |defs| {
            let (time, account) = (Timestamp::schema(defs), Account::schema(defs));
            let (found, error) = (Vec::<FoundAccount>::schema(defs), ErrorDetail::schema(defs));
            json!({
                "description": "One line of a connect conversation.",
                "oneOf": [
                    {"type": "object", "required": ["event", "url", "expires_at"], "properties": {
                        "event": {"const": "link"}, "url": {"type": "string"}, "expires_at": time,
                        "callback": {"type": ["string", "null"]},
                        "code_lives_s": {"type": ["integer", "null"]}}},
                    {"type": "object", "required": ["event", "accounts"], "properties": {
                        "event": {"const": "found"}, "accounts": found}},
                    {"type": "object", "required": ["event", "account"], "properties": {
                        "event": {"const": "connected"}, "account": account}},
                    {"type": "object", "required": ["event", "error"], "properties": {
                        "event": {"const": "failed"}, "error": error}},
                ],
            })
        })
    }
}

message! {
    /// Text that one platform or account gets instead of the common one.
    answer Variant {
        body: Option<String>,
        parts: Vec<String>,
        comment: Option<String>,
    }
}

impl Variant {
    /// The parts and the first comment of whoever has this text: what it leaves out is the common one's.
    pub fn over(&self, parts: &[String], comment: Option<&str>) -> (Vec<String>, Option<String>) {
        let own = match (self.parts.as_slice(), &self.body) {
            ([], Some(body)) => vec![body.clone()],
            ([], None) => parts.to_vec(),
            (own, _) => own.to_vec(),
        };
        (own, self.comment.clone().or_else(|| comment.map(str::to_owned)))
    }
}

message! {
    /// A media file of a post.
    answer Media {
        id: String,
        name: String,
        kind: String,
        bytes: u64,
        alt: Option<String>,
        /// The part of a thread it goes with, from 1.
        #[serde(default = "first")]
        part: u32,
    }
}

fn first() -> u32 {
    1
}

message! {
    /// A media file that was just stored. It goes again within a day unless a post uses it.
    answer Uploaded {
        id: String,
        name: String,
        kind: String,
        bytes: u64,
        width: u32,
        height: u32,
    }
}

message! {
    /// What the user wrote, and how far it has come.
    answer Post {
        id: String,
        status: PostStatus,
        /// Accounts, `platform:handle`.
        to: Vec<String>,
        /// The first part.
        body: String,
        /// All parts of the thread, the first included.
        parts: Vec<String>,
        comment: Option<String>,
        /// By platform or account name.
        variants: BTreeMap<String, Variant>,
        media: Vec<Media>,
        created_at: Timestamp,
        source: Source,
        /// Empty for a draft.
        deliveries: Vec<Delivery>,
        /// Platform → option → value.
        options: BTreeMap<String, BTreeMap<String, String>>,
        /// Counts edits, from 1.
        version: u32,
        /// The same key and content came before: this is the first post, and nothing new was made.
        #[serde(default)]
        existing: bool,
        /// What the daemon understood and did, as sentences for a person (`scheduled for …`).
        #[serde(default)]
        notices: Vec<String>,
        /// When a draft is to go out once it is sent on its way, as its author noted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intended: Option<When>,
        /// What was just done is taken back with this ticket, within a minute and by the same run of the
        /// daemon. Only after a cancel or a move.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<String>,
        /// Why nothing of it can be edited any more. Only where one post is shown, and only if that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed: Option<String>,
    }
}

message! {
    /// A page of posts, newest first.
    answer PostList {
        posts: Vec<Post>,
        /// Give it back as `after` to read on; null on the last page.
        next_cursor: Option<String>,
        /// What the caller should know about what was just done, and what was left as it was.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notices: Vec<String>,
    }
}

message! {
    /// One post bound for one account.
    answer Delivery {
        id: String,
        post: String,
        account: String,
        state: DeliveryState,
        /// Waits for a person's decision. Not once it was left as it is: then `reason.class` is `left`.
        held: bool,
        due: Timestamp,
        /// IANA zone in which `due` was meant.
        zone: String,
        attempts: u32,
        next_try: Option<Timestamp>,
        sent_at: Option<Timestamp>,
        published_at: Option<Timestamp>,
        /// From the due instant to the request on the wire.
        lateness_ms: Option<i64>,
        remote_id: Option<String>,
        permalink: Option<String>,
        /// The published object was read back.
        verified: bool,
        reason: Option<Reason>,
        steps: Vec<Step>,
        progress: Option<Progress>,
        /// Every move, oldest first. Only where one post is shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        why: Vec<Why>,
        /// Who fetched its media by their links. Only where one post is shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fetches: Vec<Fetch>,
    }
}

message! {
    /// One thing that is wrong with a post for one target.
    answer Problem {
        /// The target it is about; null when it is about the post as a whole.
        account: Option<String>,
        field: String,
        code: String,
        message: String,
        hint: Option<String>,
    }
}

message! {
    /// Length in the network's own unit.
    answer Length {
        used: u64,
        /// 0: no word of it travels.
        max: u64,
        unit: String,
    }
}

message! {
    /// What becomes of a file on its way to a network.
    answer FileVerdict {
        name: String,
        /// `as_it_is`, `converted` or `refused`.
        verdict: String,
        /// What it is converted to (`JPEG, 1440×1800`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        becomes: Option<String>,
    }
}

message! {
    /// What one network would get.
    answer CheckTarget {
        /// `platform:handle`, or a bare platform name when checked without an account.
        account: String,
        ok: bool,
        /// Of the longest part.
        length: Length,
        /// Of the first comment, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<CommentLength>,
        problems: Vec<Problem>,
        /// What would be sent: text, or a JSON document of the network's shape.
        preview: Value,
        /// What becomes of each file, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<FileVerdict>,
        /// What is done to files before they leave (`will be converted to JPEG, 1440×1800`).
        #[serde(default)]
        notices: Vec<String>,
        /// In US dollars, on networks that take money for calls; an estimate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        costs: Vec<Cost>,
    }
}

message! {
    /// How long a first comment is.
    answer CommentLength {
        /// In characters (UTF-16 units).
        used: u64,
        /// Where the network says how many it takes.
        max: Option<u64>,
    }
}

message! {
    /// The outcome of `--check`.
    answer Check {
        ok: bool,
        targets: Vec<CheckTarget>,
        /// Of all targets, in US dollars; absent where nothing costs anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<String>,
    }
}

message! {
    /// What was deleted, and what was not possible.
    answer ReceiptAnswer {
        receipt: Receipt,
    }
}

message! {
    /// A record of a deletion.
    answer Receipt {
        id: String,
        at: Timestamp,
        subject: String,
        items: Vec<ReceiptItem>,
    }
}

message! {
    /// One thing of a receipt.
    answer ReceiptItem {
        what: String,
        r#where: String,
        result: Outcome,
        message: Option<String>,
        hint: Option<String>,
    }
}

message! {
    /// Who asked for something over the control socket.
    answer Who {
        uid: u32,
        gid: u32,
        pid: Option<i32>,
    }
}

message! {
    /// One act of a person or of the daemon itself.
    answer AuditEntry {
        at: Timestamp,
        /// Null: the daemon itself.
        who: Option<Who>,
        /// `account.disconnect`.
        action: String,
        subject: String,
        result: String,
    }
}

message! {
    /// A page of the audit trail, newest first.
    answer AuditList {
        entries: Vec<AuditEntry>,
        next_cursor: Option<String>,
    }
}

message! {
    /// What a reload of the configuration changed.
    answer Reloaded {
        /// Sections now in force.
        changed: Vec<String>,
        /// Sections that only a restart brings into force.
        needs_restart: Vec<String>,
        warnings: Vec<String>,
    }
}

message! {
    /// Done, with nothing to show.
    answer Done {
        done: bool,
    }
}

message! {
    /// An error, as every refused request is answered.
    answer ErrorAnswer {
        error: ErrorDetail,
    }
}

message! {
    /// What is wrong and what to do about it.
    answer ErrorDetail {
        code: String,
        message: String,
        hint: Option<String>,
        /// A refused post: everything that is wrong with it. Absent otherwise.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        problems: Vec<Problem>,
        /// A refused post: the check's view of each target. Absent otherwise.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<CheckTarget>,
    }
}
