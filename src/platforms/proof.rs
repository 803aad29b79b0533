//! What an answer proves, and why a call failed: the words in which connectors tell the engine.

use jiff::Timestamp;

use super::Request;
use crate::domain::delivery::Live;

/// Why a call did not do what it should, in classes the engine acts on (guarantees §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// Try again after the reset.
    RateLimited,
    /// As `RateLimited`, for all accounts of the app: it waits as a whole, and one of them tries after that.
    AppLimited,
    /// The access token is no longer taken: refresh once, repeat once.
    AuthExpired,
    /// The access token is one of another kind than the call wants: fetch it anew once, repeat once.
    WrongToken,
    /// The account is closed, suspended, or the grant is dead.
    AccountDead,
    /// A scope or a right is missing.
    Permission,
    /// As `Permission`, for posts like this one alone: others of the account go on.
    NotGranted,
    /// The network takes no more posts like this one for now, and others of the account still: this one
    /// waits alone.
    Full,
    /// Credits are gone; the operator must act. Stops the app's lane.
    Billing,
    /// The app's set-up is wrong (client, product tier).
    Config,
    /// The content can never be accepted.
    InvalidContent,
    /// The network's rules forbid it.
    Policy,
    /// An uploaded file is gone: prepare again, then the same request.
    MediaGone,
    /// What was prepared is still being worked on by the network: ask again.
    NotReady,
    /// Server trouble on a call that is safe to repeat.
    Transient,
}

impl FailureClass {
    /// The stable word in `reason.class`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::AppLimited => "app_limited",
            Self::AuthExpired => "auth_expired",
            Self::WrongToken => "wrong_token",
            Self::AccountDead => "account_dead",
            Self::Permission => "permission",
            Self::NotGranted => "not_granted",
            Self::Full => "full",
            Self::Billing => "billing",
            Self::Config => "config",
            Self::InvalidContent => "invalid_content",
            Self::Policy => "policy",
            Self::MediaGone => "media_gone",
            Self::NotReady => crate::domain::delivery::AT_WORK,
            Self::Transient => "transient",
        }
    }
}

/// A refusal, with the network's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// The network's words.
    pub message: String,
    pub hint: Option<String>,
    /// When to come back, as the network says or as what was tried before asks for.
    pub until: Option<Timestamp>,
}

impl Failure {
    /// Nothing that the content or the account is to blame for: the same again may work.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Transient, message: message.into(), hint: None, until: None }
    }
}

/// What an answer to the publishing call proves (guarantees §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Success status and a parsable id.
    Applied(Live),
    /// It lies in a person's inbox on the network, to be finished there.
    HandedOver(Live),
    /// On the refusal allowlist: the call had no effect.
    Refused(Failure),
    /// As `Refused`, where what was prepared can be asked (class C): believed once it says the same.
    Denied(Failure),
    /// Taken on, and the handle will tell what becomes of it (class C): looked at until it does.
    Pending { message: String },
    /// As `Pending`, on calls that make the handle: its name was not known before this answer.
    Taken { name: String, message: String },
    /// The network says it already has this post, and perhaps which one it is.
    Duplicate { message: String, original: Option<Original> },
    /// The network says that it blocks the account for a while, as it said of posts that went out, too: as
    /// `Ambiguous`, and the account waits until then unless the post turns up.
    Barred(Failure),
    /// Everything else.
    Ambiguous { message: String },
}

/// The object a network names when it refuses a repeat (class D).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub live: Live,
    /// When it was made, if its id or the answer tells. Without it nobody can say whether it is
    /// ours or an older post of the same words.
    pub created: Option<Timestamp>,
}

/// How much of a limit is used up, as an answer tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Counted over all accounts of the app, as opposed to this account alone.
    pub app: bool,
    /// 0 = nothing used, 1 = all of it.
    pub used: f64,
    /// Publishing calls that are left, where the network counts calls.
    pub left: Option<u32>,
    /// When it is filled up again.
    pub resets: Timestamp,
}

/// What a look at the network shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It is there, and it is ours.
    Found(Live),
    /// It lies in a person's inbox on the network.
    HandedOver(Live),
    /// A clean read without it. Class C: the handle has not published and still could.
    Absent,
    /// The handle has not published and never will (class C): it must be prepared anew.
    Gone,
    /// As `Gone`, and the network says what is wrong with it: the same again would end the same way.
    Failed(Failure),
    /// Not settled yet, and this call goes on: the next page of the list, or another list.
    More(Request),
    /// The read failed or was unclear. Not a negative read.
    Unclear(Failure),
    /// Its handle says that it is live (class C); this call tells which object it is.
    Out(Request),
    /// It is live, and not to be seen yet. If it stays so, this is all that will ever be known of it.
    Unlisted(Live),
    /// Something that cannot be told apart, or another object under our id: a person must decide.
    Disputed { message: String },
}

/// What a network says ahead of its time about a post that is to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing speaks against it.
    Fine,
    /// As things are it would not go out.
    Stops(Failure),
    /// It would go out, and not as it was asked for.
    Differs { message: String, hint: String },
    /// The read failed or was unclear, and tells nothing.
    Unclear(Failure),
}

/// What a delete call proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    Done,
    Failed(Failure),
}

/// One row of a connector's refusal allowlist: an answer that proves the call had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// The code, error name or problem type that must match.
    pub code: &'static str,
    pub class: FailureClass,
    /// Why the answer precedes the effect, and where it was recorded.
    pub evidence: &'static str,
}
