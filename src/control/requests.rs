//! What may be asked. Unknown fields are refused: a misspelt option must not become a different post.
//!
//! Times that a person writes (`tomorrow 9am`, `+2h`) travel as written, with the zone beside them: the
//! daemon alone reads them, so that every door understands the same words the same way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::messages::Variant;
use super::shape::{Shape, message, named};

/// When a new post goes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A WHEN as the user wrote it.
    At(String),
    /// The next free slot of this queue.
    Queue(String),
    /// At once, by the same path as any other time.
    Now,
    /// Kept without a time.
    Draft,
}

impl Shape for When {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        named("When", defs, |_| {
            json!({
                "description": "When a new post goes out.",
                "oneOf": [
                    {"type": "object", "required": ["at"], "properties": {"at": {"type": "string"}}},
                    {"type": "object", "required": ["queue"], "properties": {"queue": {"type": "string"}}},
                    {"type": "string", "enum": ["now", "draft"]},
                ],
            })
        })
    }
}

/// Where an existing post moves to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// A WHEN as the user wrote it.
    At(String),
    /// The next free slot of this queue.
    Queue(String),
    /// A signed duration from the present due time, `+2h`, `-30m`.
    By(String),
}

impl Shape for Move {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        named("Move", defs, |_| {
            let one = |key: &str| json!({"type": "object", "required": [key], "properties": {key: {"type": "string"}}});
            json!({
                "description": "Where an existing post moves to.",
                "oneOf": [one("at"), one("queue"), one("by")],
            })
        })
    }
}

message! {
    /// A media file that was uploaded before, with its description.
    request MediaRef {
        id: String,
        alt: Option<String>,
        /// Which part of a thread it goes with, from 1; the first without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<u32>,
    }
}

message! {
    /// A new post, or one to check.
    request CreatePost {
        /// One text, or the parts of a thread. Empty only with media.
        parts: Vec<String>,
        /// First comment under the published object.
        comment: Option<String>,
        /// Accounts. Bare platform names are understood by the check only.
        to: Vec<String>,
        media: Vec<MediaRef>,
        /// Needed to create; the check works without.
        when: Option<When>,
        /// IANA zone for wall times; the default zone of the configuration otherwise.
        tz: Option<String>,
        /// `60m`, `always` or `exact`; the default of the configuration otherwise.
        late: Option<String>,
        /// Platform → option → value.
        options: BTreeMap<String, BTreeMap<String, String>>,
        /// By platform or account name.
        variants: BTreeMap<String, Variant>,
        /// The same key and content again gives the first post; other content is refused.
        key: Option<String>,
        /// `cli`, `console`, `file` or `api` (the default).
        source: Option<String>,
        /// A draft that is still being written: it is kept as it stands, checked or not, with accounts or
        /// without. It is checked before it is scheduled. Only with `when: \"draft\"`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unfinished: bool,
        /// When a draft is to go out once it is sent on its way; it is told with the draft and binds nobody.
        /// A time such as `tomorrow 9am` is kept as the time it means now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intended: Option<When>,
        /// The files are for this request alone: if no post comes of it (it is refused, only a check, or
        /// its key was used before), those that no other post uses are removed.
        media_once: bool,
    }
}

message! {
    /// Changes to a post. What is left out stays as it is. Of one that is out only the words can change.
    request EditPost {
        parts: Option<Vec<String>>,
        /// An empty text takes the comment away.
        comment: Option<String>,
        to: Option<Vec<String>>,
        media: Option<Vec<MediaRef>>,
        options: Option<BTreeMap<String, BTreeMap<String, String>>>,
        variants: Option<BTreeMap<String, Variant>>,
        /// `60m`, `always` or `exact`.
        late: Option<String>,
        /// Keeps a draft that is still being written as it stands; see `CreatePost`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unfinished: bool,
        /// See `CreatePost`; `draft` takes it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intended: Option<When>,
        /// The version this edit was made from; another one in the store is refused.
        version: Option<u32>,
    }
}

message! {
    /// Which posts to list. In the address: `?state=…&account=…`.
    request ListPosts {
        /// A post status or a delivery state.
        state: Option<String>,
        account: Option<String>,
        /// Posts that go to this network.
        platform: Option<String>,
        /// Posts with this in one of their texts, in capitals or not.
        text: Option<String>,
        /// `newest` (by due time; the default) or `oldest` first.
        order: Option<String>,
        /// WHEN; due at or after it.
        since: Option<String>,
        /// WHEN; due before it.
        until: Option<String>,
        tz: Option<String>,
        limit: Option<u32>,
        /// `next_cursor` of the page before.
        after: Option<String>,
    }
}

message! {
    /// A new time for a post or a delivery.
    request Reschedule {
        to: Option<Move>,
        tz: Option<String>,
    }
}

message! {
    /// A move of everything that waits in a queue.
    request Shift {
        /// A signed duration, `+2h`, `-30m`.
        by: String,
    }
}

message! {
    /// Which month to show. In the address: `?month=2026-12`.
    request Calendar {
        /// `2026-12`, or a month's name for the next one of it; the present month otherwise.
        month: Option<String>,
        /// IANA zone in which the month and its days are reckoned; the default zone otherwise.
        tz: Option<String>,
    }
}

message! {
    /// Takes a cancel or a move back.
    request Undo {
        /// What its answer gave as `undo`.
        ticket: String,
    }
}

message! {
    /// Deletes a post, upstream too unless `local_only`.
    request DeletePost {
        local_only: bool,
        /// Must be true: what this does cannot be undone.
        confirm: bool,
    }
}

message! {
    /// The user's word on a delivery whose fate is unknown: exactly one of them.
    request Resolve {
        /// It is live, at this address.
        published: Option<String>,
        /// It is not live; send it again. If it is after all, it will be there twice.
        resend: bool,
        /// Leave it as it is, and ask no more.
        leave: bool,
    }
}

message! {
    /// The confirm token of a destructive request.
    request Confirm {
        /// Must be true: what this does cannot be undone.
        confirm: bool,
    }
}

message! {
    /// Begins to connect an account.
    request Connect {
        platform: String,
        /// Local name; the nearest to the network's user name otherwise.
        name: Option<String>,
        /// `member` or `organization`, where a platform has both.
        kind: Option<String>,
        /// The account's own server, or a handle from which it is found.
        instance: Option<String>,
        /// The user name to offer to the network.
        handle: Option<String>,
        /// Confirms these remote ids as soon as they are found.
        select: Vec<String>,
        /// Confirms everything that is found.
        yes: bool,
        /// The link is the network's own, and the address the browser lands on is pasted back.
        paste: bool,
    }
}

message! {
    /// Whose data goes.
    request Erase {
        /// `platform:id`, the id by which the network's app knows the person.
        platform_user: Option<String>,
        /// Must be true: what this does cannot be undone.
        confirm: bool,
    }
}

/// The answer to what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Connect all of them.
    All,
    /// Connect none; the grant is given back.
    No,
    /// Connect those with these remote ids.
    Select(Vec<String>),
}

impl Shape for Choice {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        named("Choice", defs, |_| {
            json!({
                "description": "The answer to what was found.",
                "oneOf": [
                    {"type": "string", "enum": ["all", "no"]},
                    {"type": "object", "required": ["select"], "properties": {
                        "select": {"type": "array", "items": {"type": "string"}}}},
                ],
            })
        })
    }
}

message! {
    /// The address the browser landed on.
    request Paste {
        address: String,
    }
}

message! {
    /// A new local name, without the platform.
    request Rename {
        name: String,
    }
}

message! {
    /// Stops all sending.
    request Pause {
        reason: Option<String>,
    }
}

message! {
    /// How many places of a queue to show. In the address: `?next=N`.
    request ShowQueue {
        next: Option<u32>,
    }
}

message! {
    /// Which events to stream. In the address: `?backlog=N&follow=true`, or `?after=SEQ&follow=true`.
    request Events {
        /// Past events to send first.
        backlog: Option<u32>,
        /// Everything behind the event with this `seq`, instead of `backlog`.
        after: Option<u64>,
        /// Stay and send new ones; otherwise the stream ends after the backlog.
        follow: bool,
    }
}

message! {
    /// Which page of the audit trail. In the address.
    request ListAudit {
        limit: Option<u32>,
        after: Option<String>,
    }
}

message! {
    /// How many receipts. In the address.
    request ListReceipts {
        limit: Option<u32>,
    }
}

message! {
    /// Whose set-up to look at. In the address.
    request Doctor {
        /// One network; else this host and every network that is configured or connected.
        platform: Option<String>,
    }
}

message! {
    /// What the client calls the file it uploads. In the address: `?name=oven.jpg`.
    request Upload {
        name: Option<String>,
    }
}
