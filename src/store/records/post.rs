//! Posts, and the shapes they share with deliveries (due times, names).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};

use super::detail::DetailRow;
use super::{Stored, by_word};
use crate::domain::ids::{MediaId, PlatformName};
use crate::domain::media::{MediaItem, MediaKind};
use crate::domain::post::{Content, Intended, Post, SlotTaken, Source, Target};
use crate::domain::schedule::{Choice, Due, Late};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct PostRow {
    id: String,
    to: Vec<TargetRow>,
    content: ContentRow,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    variants: BTreeMap<String, ContentRow>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaRow>,
    due: Option<DueRow>,
    late: LateRow,
    slot: Option<SlotRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intended: Option<IntendedRow>,
    source: String,
    key: Option<String>,
    created_at: Timestamp,
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct TargetRow {
    account: String,
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct ContentRow {
    parts: Vec<String>,
    comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MediaRow {
    id: String,
    name: String,
    kind: String,
    bytes: u64,
    width: u32,
    height: u32,
    alt: Option<String>,
    #[serde(default, skip_serializing_if = "is_first")]
    part: u16,
    #[serde(default)]
    detail: DetailRow,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so
fn is_first(part: &u16) -> bool {
    *part == 0
}

#[derive(Debug, Serialize, Deserialize)]
struct SlotRow {
    queue: String,
    local: civil::DateTime,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IntendedRow {
    At(String),
    Queue(String),
    Now,
}

impl From<&Intended> for IntendedRow {
    fn from(it: &Intended) -> Self {
        match it {
            Intended::At(text) => Self::At(text.clone()),
            Intended::Queue(name) => Self::Queue(name.clone()),
            Intended::Now => Self::Now,
        }
    }
}

impl IntendedRow {
    fn read(self) -> Intended {
        match self {
            Self::At(text) => Intended::At(text),
            Self::Queue(name) => Intended::Queue(name),
            Self::Now => Intended::Now,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DueRow {
    instant: Timestamp,
    civil: civil::DateTime,
    zone: String,
    choice: ChoiceRow,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChoiceRow {
    Unique,
    FirstOfFold,
    SecondOfFold,
    MovedByGap,
    Instant,
}

/// Within: whole milliseconds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LateRow {
    WithinMs(i64),
    Always,
    Exact,
}

impl From<&Due> for DueRow {
    fn from(due: &Due) -> Self {
        let choice = match due.choice {
            Choice::Unique => ChoiceRow::Unique,
            Choice::FirstOfFold => ChoiceRow::FirstOfFold,
            Choice::SecondOfFold => ChoiceRow::SecondOfFold,
            Choice::MovedByGap => ChoiceRow::MovedByGap,
            Choice::Instant => ChoiceRow::Instant,
        };
        Self { instant: due.instant, civil: due.civil, zone: due.zone.clone(), choice }
    }
}

impl From<DueRow> for Due {
    fn from(row: DueRow) -> Self {
        let choice = match row.choice {
            ChoiceRow::Unique => Choice::Unique,
            ChoiceRow::FirstOfFold => Choice::FirstOfFold,
            ChoiceRow::SecondOfFold => Choice::SecondOfFold,
            ChoiceRow::MovedByGap => Choice::MovedByGap,
            ChoiceRow::Instant => Choice::Instant,
        };
        Self { instant: row.instant, civil: row.civil, zone: row.zone, choice }
    }
}

impl From<Late> for LateRow {
    fn from(late: Late) -> Self {
        match late {
            Late::Within(limit) => Self::WithinMs(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
            Late::Always => Self::Always,
            Late::Exact => Self::Exact,
        }
    }
}

impl From<LateRow> for Late {
    fn from(row: LateRow) -> Self {
        match row {
            LateRow::WithinMs(ms) => Self::Within(SignedDuration::from_millis(ms)),
            LateRow::Always => Self::Always,
            LateRow::Exact => Self::Exact,
        }
    }
}

impl From<&Content> for ContentRow {
    fn from(it: &Content) -> Self {
        Self { parts: it.parts.clone(), comment: it.comment.clone() }
    }
}

impl From<ContentRow> for Content {
    fn from(row: ContentRow) -> Self {
        Self { parts: row.parts, comment: row.comment }
    }
}

impl From<&MediaItem> for MediaRow {
    fn from(it: &MediaItem) -> Self {
        Self {
            id: it.id.to_string(),
            name: it.name.clone(),
            kind: it.kind.mime().to_owned(),
            bytes: it.bytes,
            width: it.width,
            height: it.height,
            alt: it.alt.clone(),
            part: it.part,
            detail: (&it.detail).into(),
        }
    }
}

impl TryFrom<MediaRow> for MediaItem {
    type Error = String;
    fn try_from(row: MediaRow) -> Result<Self, String> {
        Ok(Self {
            id: row.id.parse::<MediaId>().map_err(|it| it.message)?,
            name: row.name,
            kind: MediaKind::from_mime(&row.kind)
                .ok_or_else(|| format!("`{}` is not a media type we keep", row.kind))?,
            bytes: row.bytes,
            width: row.width,
            height: row.height,
            alt: row.alt,
            part: row.part,
            detail: row.detail.into(),
        })
    }
}

impl From<&Post> for PostRow {
    fn from(it: &Post) -> Self {
        Self {
            id: it.id.to_string(),
            to: it
                .to
                .iter()
                .map(|it| TargetRow { account: it.account.to_string(), name: it.name.to_string() })
                .collect(),
            content: (&it.content).into(),
            variants: it.variants.iter().map(|(name, it)| (name.clone(), it.into())).collect(),
            options: it.options.iter().map(|(name, it)| (name.as_str().to_owned(), it.clone())).collect(),
            media: it.media.iter().map(Into::into).collect(),
            due: it.due.as_ref().map(Into::into),
            late: it.late.into(),
            slot: it.slot.as_ref().map(|it| SlotRow { queue: it.queue.clone(), local: it.local }),
            intended: it.intended.as_ref().map(IntendedRow::from),
            source: it.source.as_str().to_owned(),
            key: it.key.clone(),
            created_at: it.created_at,
            version: it.version,
        }
    }
}

impl Stored for Post {
    type Twin = PostRow;

    fn read(row: PostRow) -> Result<Self, String> {
        let mut to = Vec::with_capacity(row.to.len());
        for it in row.to {
            to.push(Target {
                account: it.account.parse().map_err(bad_name)?,
                name: it.name.parse().map_err(bad_name)?,
            });
        }
        let mut options = BTreeMap::new();
        for (name, it) in row.options {
            options.insert(name.parse::<PlatformName>().map_err(bad_name)?, it);
        }
        Ok(Self {
            id: row.id.parse().map_err(bad_name)?,
            to,
            content: row.content.into(),
            variants: row.variants.into_iter().map(|(name, it)| (name, it.into())).collect(),
            options,
            media: row.media.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            due: row.due.map(Into::into),
            late: row.late.into(),
            slot: row.slot.map(|it| SlotTaken { queue: it.queue, local: it.local }),
            intended: row.intended.map(IntendedRow::read),
            source: by_word(&Source::ALL, &row.source, Source::as_str, "source")?,
            key: row.key,
            created_at: row.created_at,
            version: row.version,
        })
    }
}

/// The message of a name that does not parse.
pub(super) fn bad_name(error: crate::domain::ids::BadName) -> String {
    error.message
}
