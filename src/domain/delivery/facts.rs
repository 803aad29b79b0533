//! The parts a delivery is made of: its states, its steps, and what is known of the current one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::moment::Moment;

/// A wall clock that went so much faster or slower than the boot clock was set.
const A_MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The state, without the facts that surround it (those are fields of [`Delivery`](super::Delivery)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for its instant.
    Scheduled,
    /// Owned by the lane worker of its account.
    Claimed,
    /// Uploads and containers; nothing public yet.
    Preparing,
    /// The intent is durable; the publishing call may be on the wire.
    Sending,
    /// The call may have taken effect; reconciling. With [`Delivery::held`](super::Delivery::held): waiting for the user.
    Unknown,
    /// Will be tried again at [`Delivery::next_try`](super::Delivery::next_try).
    Retry,
    /// The account cannot act until a person connects it again.
    NeedsReconnect,
    /// Terminal: it is live, with evidence.
    Published,
    /// Terminal: it lies in a person's inbox on the network.
    HandedOver,
    /// Terminal: refused for good; nothing of the current step is live.
    Rejected,
    /// Terminal: taken back by the user; nothing of the current step is live.
    Cancelled,
    /// Terminal: its time passed by more than the late policy allows.
    Missed,
}

impl State {
    pub const ALL: [Self; 12] = [
        Self::Scheduled,
        Self::Claimed,
        Self::Preparing,
        Self::Sending,
        Self::Unknown,
        Self::Retry,
        Self::NeedsReconnect,
        Self::Published,
        Self::HandedOver,
        Self::Rejected,
        Self::Cancelled,
        Self::Missed,
    ];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Claimed => "claimed",
            Self::Preparing => "preparing",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Retry => "retry",
            Self::NeedsReconnect => "needs_reconnect",
            Self::Published => "published",
            Self::HandedOver => "handed_over",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }

    /// The state behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Nothing more will happen.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Published | Self::HandedOver | Self::Rejected | Self::Cancelled | Self::Missed)
    }
}

/// Why a delivery will be tried again. Parked waits use up no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryWhy {
    /// Refused or not sent; the backoff decides.
    Backoff,
    /// The network said when (rate limit), or the lane is stopped (billing).
    Parked,
    /// The next part of a thread, after the lane's spacing.
    NextPart,
    /// The same request again, under the same client-chosen id (class A) or key (class B).
    SameMarker,
    /// Absence was proven; a fresh marker is made.
    Absent,
    /// The user asked, or the account came back.
    Asked,
}

impl RetryWhy {
    pub const ALL: [Self; 6] =
        [Self::Backoff, Self::Parked, Self::NextPart, Self::SameMarker, Self::Absent, Self::Asked];

    /// The word in the store and in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::NextPart => "next_part",
            Self::SameMarker => "same_marker",
            Self::Absent => "absent",
            Self::Asked => "asked",
        }
    }
}

/// Why something ended or waits, in the network's words and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable word: `invalid_content`, `rate_limited`, `ambiguous`, `late`, …
    pub class: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The network's raw answer, redacted and capped.
    pub raw: Option<String>,
}

impl Reason {
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        Self { class: class.to_owned(), message: message.into(), hint: None, raw: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn raw(mut self, raw: impl Into<String>) -> Self {
        self.raw = Some(raw.into());
        self
    }
}

/// What one public object of a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    Post,
    Thread,
    Comment,
}

impl StepKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Thread => "thread",
            Self::Comment => "comment",
        }
    }
}

/// One public object of a delivery: the post, a thread part, the first comment. In order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: StepKind,
    /// Set when it is live.
    pub remote_id: Option<String>,
    pub permalink: Option<String>,
    /// What the next step needs besides the id (Bluesky: `cid`).
    pub extra: BTreeMap<String, String>,
    pub published_at: Option<Timestamp>,
}

impl Step {
    pub fn new(kind: StepKind) -> Self {
        Self { kind, remote_id: None, permalink: None, extra: BTreeMap::new(), published_at: None }
    }

    pub fn is_live(&self) -> bool {
        self.published_at.is_some()
    }
}

/// Something a network gave us before publishing: an upload, a container, a looked-up id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    pub value: String,
    pub expires: Option<Timestamp>,
}

impl Handle {
    pub fn new(value: impl Into<String>, expires: Option<Timestamp>) -> Self {
        Self { value: value.into(), expires }
    }

    /// One without an end of its own.
    pub fn kept(value: impl Into<String>) -> Self {
        Self::new(value, None)
    }

    /// One that ends so long after `now`.
    pub fn lasting(value: impl Into<String>, now: Timestamp, span: SignedDuration) -> Self {
        Self::new(value, now.checked_add(span).ok())
    }

    /// One that has ended: merged handles are never taken away.
    pub fn ended(now: Timestamp) -> Self {
        Self::new("", Some(now))
    }
}

/// Handles by the connector's own names.
pub type Handles = BTreeMap<String, Handle>;

/// The value of a handle that has not ended.
pub fn alive<'a>(handles: &'a Handles, key: &str, now: Timestamp) -> Option<&'a str> {
    let handle = handles.get(key)?;
    handle.expires.is_none_or(|end| now < end).then_some(handle.value.as_str())
}

/// What is fixed at the first intent of a step and repeated unchanged by every retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Client-chosen id, idempotency key, or text fingerprint.
    pub marker: String,
    /// The exact request body. No token.
    pub body: Vec<u8>,
}

/// What a network has said of an attempt that is still open. No later look unsays it, and the reason that
/// is shown to people, which every look may replace, decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It has taken the post on, and the handle will tell what becomes of it (class C).
    Accepted,
    /// As `Accepted`, and this is what it calls it: nobody knew before.
    Taken(String),
    /// It has published it, by the word of its handle; which object that is, is not known yet. Whatever the
    /// handle says later, it is never made anew (class C).
    Live,
    /// It has these words already, in its own message.
    Duplicate(String),
    /// It will never take this.
    Never(Reason),
    /// It blocks the account, which it also said of posts that went out: if this one did not, nothing of
    /// the account does before then.
    Barred { until: Timestamp, reason: Reason },
    /// It refused it (class C). What was prepared can still make one post at most, so that very thing may be
    /// published again at `at`; that nothing came of this call is known by looking alone.
    Refused { at: Timestamp, why: RetryWhy, reason: Reason },
}

/// The facts of the current step: what was sent and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flight {
    pub handles: Handles,
    pub frozen: Option<Frozen>,
    /// First intent of this marker, by the network's clock as far as that was known: key life counts from
    /// here, and a look searches from here on.
    pub first_sent: Option<Moment>,
    /// Set while an attempt may have taken effect.
    pub amb_since: Option<Timestamp>,
    /// An earlier attempt under this marker was still open when the last one began: then a
    /// refusal of the last proves nothing about the earlier.
    pub earlier_open: bool,
    /// When the last attempt became unknown: the time to settle counts from here.
    pub unknown_since: Option<Moment>,
    /// The first of the two negative reads that prove absence.
    pub absent_at: Option<Moment>,
    /// Looks taken since the step became unknown.
    pub looks: u16,
    /// Tries of the preparing calls that went wrong since the last success.
    pub stumbles: u16,
    /// Those of which no byte left, which are no word of the network's.
    pub unsent: u16,
    /// Times the network was still at work on what it was given, since the last success.
    pub polls: u16,
    pub said: Option<Said>,
    /// Of a delivery that was restored: that it went out after the copy was made is ruled out for this
    /// step, by looking or by the user's word.
    pub cleared: bool,
}

impl Flight {
    /// When a wait is over by our clock that the network named when it last answered. It lasts from then on,
    /// whatever was done to the wall clock meanwhile; if that shows less than it did in an earlier boot, nobody
    /// knows how much is left, and the network is asked.
    pub fn over(&self, until: Timestamp, now: Moment) -> Timestamp {
        let Some(since) = self.unknown_since else { return until };
        let passed = since.span(now);
        if passed.is_negative() {
            return now.wall;
        }
        if (now.wall.duration_since(since.wall) - passed).abs() < A_MINUTE {
            return until;
        }
        let left = until.duration_since(since.wall).max(SignedDuration::ZERO) - passed;
        now.wall.saturating_add(left).unwrap_or(until)
    }

    /// A refusal or a block is the word on its own call, and none on the next one.
    pub(super) fn answered_no_more(&mut self) -> Option<Said> {
        self.said.take_if(|it| matches!(it, Said::Refused { .. } | Said::Barred { .. }))
    }
}

/// That the store was brought back from a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Up to here the copy knows what happened.
    pub known: Timestamp,
    /// When it was brought back: what happens from here on is known again.
    pub at: Moment,
}
