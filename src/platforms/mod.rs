//! One conversation per network: what to send, and what the answer means.
//!
//! A connector never opens a socket, holds a token, reads a clock or sleeps. It turns a [`Job`]
//! into requests and answers into facts; the engine decides what follows and the daemon's wire
//! adds the address, the token and the bytes of media. That is what lets one seed replay a crash.
//!
//! The life of one step:
//! 1. [`Platform::next`] until it says [`Next::Publish`]: each [`Next::Call`] is safe to repeat,
//!    and what it brings ([`Platform::answered`]) is stored before the next call.
//! 2. The frozen request is stored, then [`Platform::publish`] builds the one publishing call.
//! 3. [`Platform::judge`] says what the answer proves. Everything that is not evidence of success
//!    or a listed refusal is [`Verdict::Ambiguous`].
//! 4. After an ambiguous answer, [`Platform::look`] and [`Platform::seen`] find the truth.

pub mod bluesky;
pub mod facebook;
pub mod instagram;
pub mod linkedin;
pub mod meta;
pub mod needs;
mod proof;
mod request;
pub mod tiktok;
pub mod x;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

pub use proof::{Ahead, Deletion, Failure, FailureClass, Original, Quota, Refusal, Sight, Verdict};
pub use request::{
    Answer, Body, Endpoint, Field, FilePart, Reading, Request, SITE_HEADER, UploadScheme, WAIT_MAX,
};

use crate::domain::account::Account;
use crate::domain::cost::Cost;
use crate::domain::delivery::{Frozen, Handles, Step, StepKind};
use crate::domain::fit::{DocumentNeeds, ImageNeeds, MediaNeeds};
use crate::domain::ids::PlatformName;
use crate::domain::media::{MediaItem, MediaKind};

/// Every network this build speaks to, in the order lists show them.
pub static ALL: &[&dyn Platform] = &[
    &facebook::Facebook,
    &instagram::Instagram,
    &x::X,
    &linkedin::LinkedIn,
    &tiktok::TikTok,
    &bluesky::Bluesky,
];

/// What [`find`] finds, as a hint for whoever asked for another.
pub const AVAILABLE: &str =
    "this version speaks to `facebook`, `instagram`, `x`, `linkedin`, `tiktok` and `bluesky`";

/// The connector for a network, if this build has it.
pub fn find(name: PlatformName) -> Option<&'static dyn Platform> {
    ALL.iter().copied().find(|it| it.name() == name)
}

/// A file of a post as a preview shows it: its name, and what it shows where that is said.
fn previewed(item: &MediaItem) -> serde_json::Value {
    match item.alt.as_deref().filter(|it| !it.is_empty()) {
        Some(alt) => serde_json::json!({ "file": item.name, "alt": alt }),
        None => serde_json::json!({ "file": item.name }),
    }
}

/// Whether a call of this label cannot be taken back.
pub fn is_publishing(label: &str) -> bool {
    ALL.iter().any(|it| it.publishing().contains(&label))
}

/// What helps after an ambiguous answer (delivery guarantees §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A: writing twice under one client-chosen id is one object.
    ClientId,
    /// B: the same idempotency key returns the first object, for a while.
    Key,
    /// C: publishing acts on a handle whose state can be read.
    Handle,
    /// D: a repeat is answered with a reference to the first.
    Reference,
    /// E: own posts can be listed; a repeat is refused or doubles.
    Listable,
    /// F: listable at best, and no net against doubles.
    Opaque,
}

/// The unit a network counts text in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// twitter-text's weighted characters.
    Weighted,
    /// Extended grapheme clusters.
    Graphemes,
    /// UTF-16 units: what a network means that says `characters` and no more. It never counts fewer
    /// than any other reading of that word.
    Characters,
    /// Unicode code points: the least that `characters` can mean of those three.
    CodePoints,
    /// UTF-16 units, where the network's documents name them, or where they are the stricter reading.
    Utf16,
    /// As `Utf16`, of a text whose reserved characters bear a backslash each.
    Escaped,
}

impl Unit {
    /// The word in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weighted => "weighted characters",
            Self::Graphemes => "graphemes",
            Self::Characters => "characters",
            Self::CodePoints => "code points",
            Self::Utf16 => "UTF-16 units",
            Self::Escaped => "UTF-16 units (escaped)",
        }
    }
}

/// An option a post may carry for this network (`--option x.reply_settings=following`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    pub key: &'static str,
    /// Allowed values; empty = free text.
    pub values: &'static [&'static str],
    pub help: &'static str,
}

/// What a network can do, as data: the validator, the composer and `account list` all read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent abilities, read by name
pub struct Capabilities {
    pub class: Class,
    pub unit: Unit,
    /// Longest text of one part, in `unit`; of whatever a post becomes ([`Platform::text_max`]).
    pub text_max: usize,
    /// Longest thread, in parts; 1 = no threads.
    pub parts_max: usize,
    /// A text may be empty if there is media.
    pub text_optional_with_media: bool,
    /// Images on one post. 0 = none in this version.
    pub images_max: usize,
    pub image_bytes_max: u64,
    pub image_kinds: &'static [MediaKind],
    /// Longest alt text, in characters.
    pub alt_max: usize,
    /// First comment under the published object.
    pub comment: bool,
    pub options: &'static [OptionSpec],
    /// How long an idempotency key is remembered (class B), or a repeat surely refused (class D).
    /// Else zero.
    pub key_life: SignedDuration,
    /// Posts can be deleted through the API.
    pub can_delete: bool,
    /// A published object can be read back, so `verified` can become true.
    pub can_read_back: bool,
}

/// At most so many posts of a kind within any such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What they are, for people: `reels`.
    pub what: &'static str,
    pub most: usize,
    pub window: SignedDuration,
}

/// Everything a connector may know of one step of one delivery.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    pub account: &'a Account,
    /// Text of this step.
    pub text: &'a str,
    pub kind: StepKind,
    /// Index of this step, from 0.
    pub step: usize,
    /// Media of this step, as the network gets them: a picture that is converted first has its later kind
    /// and size here.
    pub media: &'a [MediaItem],
    pub options: &'a BTreeMap<String, String>,
    /// The steps before this one, all live.
    pub before: &'a [Step],
    /// What the network called this step when it took it on ([`Verdict::Taken`]).
    pub taken: Option<&'a str>,
}

/// Fresh material for ids and time stamps, fixed when a request is frozen.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// By the network's clock where ours is known to be ahead of it.
    pub now: Timestamp,
    pub random: [u8; 8],
}

/// What to do next before publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A preparing call. Repeating it is harmless.
    Call(Request),
    /// Everything is there: this is the request to freeze.
    Publish(Frozen),
}

/// A finding of validation, about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `parts[0]`, `media[2].alt`, `options.x.reply_settings`, …
    pub field: String,
    /// Stable word: `text_too_long`, `text_empty`, `too_many_images`, …
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

/// One social network, as requests and answers.
pub trait Platform: Sync {
    fn name(&self) -> PlatformName;

    /// Abilities; `tier` is the account's paid tier where the network has one (X Premium).
    fn capabilities(&self, tier: Option<&str>) -> Capabilities;

    /// What helps after an ambiguous answer to this very step, on networks where that differs.
    fn class(&self, job: &Job<'_>) -> Class {
        self.capabilities(job.account.tier.as_deref()).class
    }

    /// Longest text of one part of this very post, on networks where that depends on what it becomes. The
    /// error: no word of it travels, and why.
    fn text_max(
        &self,
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Result<usize, &'static str> {
        Ok(self.capabilities(tier).text_max)
    }

    /// What this network wants of pictures and films, for a post with these options. The default
    /// is what the capabilities say, without films.
    fn media_needs(&self, tier: Option<&str>, _options: &BTreeMap<String, String>) -> MediaNeeds {
        let can = self.capabilities(tier);
        let image = ImageNeeds::of(can.image_kinds, can.image_bytes_max);
        MediaNeeds { image, animation: None, video: None, videos_max: 0, mixed: false, files_min: 0 }
    }

    /// What this network wants of documents. None = it takes none.
    fn document_needs(&self) -> Option<DocumentNeeds> {
        None
    }

    /// Longest first comment, in UTF-16 units, where the network says so.
    fn comment_max(&self) -> Option<usize> {
        None
    }

    /// What the request of a first comment looks like, as JSON for people.
    fn preview_comment(&self, text: &str) -> serde_json::Value {
        serde_json::json!({ "request": "the first comment, once the post is live", "text": text })
    }

    /// Whether a file of a post with these options has a place for its alternative text.
    fn takes_alt(&self, item: &MediaItem, _options: &BTreeMap<String, String>) -> bool {
        item.kind.is_image()
    }

    /// How many pages of its list one look turns at the most. What is not found within them is neither there
    /// nor not.
    fn pages_max(&self) -> u8 {
        50
    }

    /// How many calls an account may make from midnight to midnight UTC, on networks that count all of
    /// them and say only that there were too many. Calls to addresses that the network gave do not count.
    fn calls_a_day(&self, _account: &Account) -> Option<u32> {
        None
    }

    /// How many posts like this one the network takes of an account, whatever else it publishes. None: as
    /// many as of any other kind.
    fn share(&self, _media: &[MediaItem], _options: &BTreeMap<String, String>) -> Option<Share> {
        None
    }

    /// Whether there is any kind that [`Platform::share`] limits. No window is longer than a day.
    fn has_shares(&self) -> bool {
        false
    }

    /// Headers that a call bears beside its body's and its token's. `version`: the configured version of
    /// the network's API.
    fn headers(&self, _call: &Request, _version: Option<&str>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The scheme in which the token goes to an address that the network gave.
    fn upload_scheme(&self) -> UploadScheme {
        UploadScheme::Bearer
    }

    /// The permission without which the network takes no first comment, where a person may decline it and
    /// grant the rest.
    fn comment_scope(&self, _tier: Option<&str>) -> Option<&'static str> {
        None
    }

    /// What a post with these options becomes, in a word, where no comment can ever follow it through the
    /// API, although the network takes comments on others. None = one can follow.
    fn uncommentable(&self, _options: &BTreeMap<String, String>) -> Option<&'static str> {
        None
    }

    /// What of an answer to a look may be written down, on networks that limit what is kept of their data.
    /// `own`: the object that it showed to be ours.
    fn kept(&self, answer: &Answer, _own: Option<&str>) -> Vec<u8> {
        answer.body.clone()
    }

    /// For how long answers may be kept. None = as long as the delivery they belong to.
    fn keeps_answers(&self) -> Option<SignedDuration> {
        None
    }

    /// The content type of JSON, as the network documents it.
    fn json_type(&self) -> &'static str {
        "application/json"
    }

    /// Length of a text in the network's own unit.
    fn measure(&self, text: &str) -> usize;

    /// Problems that the capability struct cannot express (invalid characters, byte limits,
    /// option combinations). `parts` are the texts of all steps.
    fn problems(
        &self,
        parts: &[&str],
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> Vec<Problem>;

    /// What is wrong with a post of an account that lacks these of the permissions that were asked for,
    /// on networks where they decide which posts it may make.
    fn not_granted(
        &self,
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
        _tier: Option<&str>,
        _lacks: &[String],
    ) -> Option<Problem> {
        None
    }

    /// What is no problem and worth knowing before it is scheduled, in sentences.
    fn notices(
        &self,
        _parts: &[&str],
        _media: &[MediaItem],
        _options: &BTreeMap<String, String>,
    ) -> Vec<String> {
        Vec::new()
    }

    /// The network's rule against the same words on several accounts, as a sentence. None = it has none.
    fn same_words(&self) -> Option<&'static str> {
        None
    }

    /// What a post will cost as far as that is known before, on networks that take money for calls.
    fn costs(&self, _parts: &[&str], _media: &[MediaItem]) -> Vec<Cost> {
        Vec::new()
    }

    /// What a call costs at least, in millionths of a US dollar: counted before it leaves. A publishing
    /// call's price has that of its read-back in it.
    fn price(&self, _call: &Request) -> u64 {
        0
    }

    /// What the sign-in of an account costs.
    fn price_of_connect(&self) -> u64 {
        0
    }

    /// What a call did cost, as its answer tells it.
    fn charged(&self, _call: &Request, _answer: &Answer) -> u64 {
        0
    }

    /// What would be sent for one part, as JSON for people: no network call, ids left open. `tier` as in
    /// [`Platform::capabilities`].
    fn preview(
        &self,
        part: (usize, &str),
        media: &[MediaItem],
        options: &BTreeMap<String, String>,
        tier: Option<&str>,
    ) -> serde_json::Value;

    /// The read that tells ahead of time whether the account may do what a post asks for; the same for all
    /// its posts. Answered by [`Platform::foreseen`]. None = there is nothing to ask.
    fn foresee(&self, _job: &Job<'_>) -> Option<Request> {
        None
    }

    /// What that answer means for this post.
    fn foreseen(&self, _job: &Job<'_>, _answer: &Answer, _now: Timestamp) -> Ahead {
        Ahead::Fine
    }

    /// The next thing to do before publishing. Pure: the same arguments give the same answer.
    fn next(&self, job: &Job<'_>, handles: &Handles, fresh: Fresh) -> Result<Next, Failure>;

    /// What a preparing answer brings; to be merged into the handles.
    fn answered(
        &self,
        job: &Job<'_>,
        handles: &Handles,
        call: &Request,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Handles, Failure>;

    /// Whether the answer to a preparing call shows that what was prepared is published already, although no
    /// call of it is known to have taken effect: nothing more is sent then, and it is looked for as if this
    /// request had been. With it, the time of the network's clock than which nothing of it is older.
    fn surfaced(
        &self,
        _handles: &Handles,
        _call: &Request,
        _answer: &Answer,
        _now: Timestamp,
    ) -> Option<(Frozen, Timestamp)> {
        None
    }

    /// What it means that a preparing call left and no answer came. As a rule it is just repeated.
    fn cut_off(&self, _call: &Request, message: &str) -> Failure {
        Failure::transient(message)
    }

    /// The labels of the calls that [`Platform::publish`] makes: what cannot be taken back. No other call
    /// of the network bears one of them.
    fn publishing(&self) -> &'static [&'static str];

    /// The publishing call of a frozen request; its label is one of [`Platform::publishing`].
    fn publish(&self, job: &Job<'_>, frozen: &Frozen) -> Request;

    /// What the answer to the publishing call proves.
    fn judge(&self, job: &Job<'_>, frozen: &Frozen, answer: &Answer, now: Timestamp) -> Verdict;

    /// The read that shows whether the step is live; `since` = first intent. None = cannot look.
    fn look(&self, job: &Job<'_>, frozen: &Frozen, since: Timestamp) -> Option<Request>;

    /// What the look shows. `bound` tells whether a remote id already belongs to another step.
    fn seen(
        &self,
        job: &Job<'_>,
        frozen: &Frozen,
        answer: &Answer,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight;

    /// As [`Platform::seen`], on networks whose look goes on with a call of another kind
    /// ([`Sight::More`]), so that an answer says nothing without its question.
    fn seen_in(
        &self,
        job: &Job<'_>,
        frozen: &Frozen,
        said: Reading<'_>,
        since: Timestamp,
        bound: &dyn Fn(&str) -> bool,
        now: Timestamp,
    ) -> Sight {
        self.seen(job, frozen, said.answer, since, bound, now)
    }

    /// Whether a look knows this step without a word of it, by its files: then its absence proves as much as
    /// that of a text.
    fn is_known_by_its_files(&self, _job: &Job<'_>) -> bool {
        false
    }

    /// The read that shows whether the same words went out since `since` by another hand: asked
    /// before a send that comes late, when this store may not know what an older one did. Answered
    /// by [`Platform::scanned`]. None = the network cannot be asked.
    fn scan(&self, _job: &Job<'_>, _since: Timestamp) -> Option<Request> {
        None
    }

    /// What the scan shows: `Found` is the same words, not yet bound to a step of ours. A list that does
    /// not reach back to `since` proves no absence: [`Sight::More`] goes on.
    fn scanned(
        &self,
        _job: &Job<'_>,
        _answer: &Answer,
        _since: Timestamp,
        _bound: &dyn Fn(&str) -> bool,
        _now: Timestamp,
    ) -> Sight {
        Sight::Absent
    }

    /// How much of the network's limits is used up, as the answer to a call tells it.
    fn quotas(&self, _answer: &Answer, _now: Timestamp) -> Vec<Quota> {
        Vec::new()
    }

    /// When to come back after so many waits in a row, to a network that limits calls and never says until
    /// when. None: nothing is documented.
    fn throttled(&self, _waits: u16, _now: Timestamp) -> Option<Timestamp> {
        None
    }

    /// The remote id behind the address of an object, as people copy it from a browser. None: it is
    /// not an address of this account's objects on this network.
    fn remote_id_of(&self, account: &Account, url: &str) -> Option<String>;

    /// The read that confirms a live step by its id. None = the network has none.
    fn read_back(&self, account: &Account, step: &Step) -> Option<Request>;

    /// What the read-back shows.
    fn confirmed(&self, step: &Step, answer: &Answer, now: Timestamp) -> Sight;

    /// The call that changes the words of a live step. None = the network has none, or not for such an
    /// object. Made twice it does the same as once.
    fn edit(&self, _account: &Account, _step: &Step, _text: &str) -> Option<Request> {
        None
    }

    /// What the answer to the edit call proves.
    fn edited(&self, answer: &Answer, _now: Timestamp) -> Result<(), Failure> {
        Err(Failure::transient(format!("an answer to a call that is never made: {}", answer.status)))
    }

    /// The call that deletes a published object. None = the network has none.
    fn delete(&self, account: &Account, remote_id: &str) -> Option<Request>;

    /// Why there is no [`Platform::delete`] call for an object of this account.
    fn not_deletable(&self, _account: &Account) -> &'static str {
        "the network has no way to delete through its API"
    }

    /// Where a person deletes what no call can, an object of this account.
    fn delete_by_hand(&self, _account: &Account) -> &'static str {
        "delete it on the network yourself"
    }

    /// What the answer to the delete call proves.
    fn deleted(&self, answer: &Answer, now: Timestamp) -> Deletion;

    /// The refusal allowlist that `judge` goes by.
    fn refusals(&self) -> &'static [Refusal];
}
