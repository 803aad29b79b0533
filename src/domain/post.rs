//! What the user wrote, before it is bound for any account.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{Timestamp, civil};

use super::ids::{AccountId, AccountName, PlatformName, PostId};
use super::media::MediaItem;
use super::schedule::{Due, Late};

/// Text of a post: thread parts in order, and the first comment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// One entry per thread part; the first is the body. Never empty, an entry may be "".
    pub parts: Vec<String>,
    /// Posted under the published object, where the network can.
    pub comment: Option<String>,
}

/// An account a post is bound for. The name is kept beside the id, so that the post can still be
/// shown after the account is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub account: AccountId,
    pub name: AccountName,
}

/// Which door the post came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Cli,
    Console,
    File,
    Queue,
    Recurring,
    Api,
}

impl Source {
    pub const ALL: [Self; 6] =
        [Self::Cli, Self::Console, Self::File, Self::Queue, Self::Recurring, Self::Api];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Console => "console",
            Self::File => "file",
            Self::Queue => "queue",
            Self::Recurring => "recurring",
            Self::Api => "api",
        }
    }
}

/// The queue slot a post took. (queue, local date-time) is the slot's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTaken {
    /// A queue's name, or a recurring post's behind [`SlotTaken::RECURRING`].
    pub queue: String,
    pub local: civil::DateTime,
}

impl SlotTaken {
    /// Stands before the name of a recurring post. A queue's name cannot have the slash.
    const RECURRING: &str = "recurring/";

    /// The slot of one run of a recurring post.
    pub fn of_recurring(name: &str, local: civil::DateTime) -> Self {
        Self { queue: format!("{}{name}", Self::RECURRING), local }
    }

    /// The recurring post's name, if it is a run's slot.
    pub fn recurring(&self) -> Option<&str> {
        self.queue.strip_prefix(Self::RECURRING)
    }
}

/// When a draft is to go out: what stands in its form, and binds nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intended {
    /// A time as it is written: `2026-12-01 09:00`.
    At(String),
    Queue(String),
    Now,
}

/// What the user wrote. State lives in its deliveries; a draft has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub id: PostId,
    pub to: Vec<Target>,
    pub content: Content,
    /// By platform name (`x`) or account name (`x:acme`); the account wins.
    pub variants: BTreeMap<String, Content>,
    /// `options.PLATFORM.KEY = VALUE`, checked by the platform's capability list.
    pub options: BTreeMap<PlatformName, BTreeMap<String, String>>,
    pub media: Vec<MediaItem>,
    /// None for a draft.
    pub due: Option<Due>,
    pub late: Late,
    pub slot: Option<SlotTaken>,
    /// When a draft is to go out once it is sent on its way.
    pub intended: Option<Intended>,
    pub source: Source,
    /// The user's idempotency key.
    pub key: Option<String>,
    pub created_at: Timestamp,
    /// Counts edits, from 1.
    pub version: u32,
}

impl Post {
    /// The text one account gets: its own variant, its platform's, or the common text.
    pub fn content_for(&self, name: &AccountName) -> &Content {
        self.variants
            .get(&name.to_string())
            .or_else(|| self.variants.get(name.platform().as_str()))
            .unwrap_or(&self.content)
    }

    /// The files that one step of `content` takes along.
    pub fn media_of(&self, content: &Content, step: usize) -> Cow<'_, [MediaItem]> {
        media_of(&self.media, content.parts.len(), step)
    }

    /// The options one platform gets.
    pub fn options_for(&self, platform: PlatformName) -> BTreeMap<String, String> {
        self.options.get(&platform).cloned().unwrap_or_default()
    }
}

/// The files of one step of a thread with so many parts. What is for a part that this text does not
/// have goes with its last one; a first comment has none.
pub fn media_of(all: &[MediaItem], parts: usize, step: usize) -> Cow<'_, [MediaItem]> {
    let Some(last) = parts.checked_sub(1).filter(|last| step <= *last) else { return Cow::Borrowed(&[]) };
    let of = |item: &MediaItem| usize::from(item.part).min(last) == step;
    if all.iter().all(of) {
        return Cow::Borrowed(all);
    }
    Cow::Owned(all.iter().filter(|it| of(it)).cloned().collect())
}
