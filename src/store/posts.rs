//! Posts: made once, listed by time, deleted for good.

use std::fmt;
use std::str::FromStr;

use jiff::{Timestamp, civil};
use redb::ReadableTable;

use super::deliveries;
use super::errors::StoreError;
use super::queues;
use super::records::{Key, Place, decode, encode};
use super::tables::{BY_ACCOUNT, BY_MEDIA, BY_STATE, IDEMPOTENCY, POSTS, POSTS_BY_TIME};
use super::tx::{Source, Tx};
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{AccountId, MediaId, PostId};
use crate::domain::post::Post;

/// What became of a request to make a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is made.
    New,
    /// The same request came before, under the same key, and made this post. Nothing was written.
    Existing(PostId),
    /// The key was used before for something else. Nothing was written.
    KeyTaken(PostId),
    /// The queue's slot belongs to this post. Nothing was written.
    SlotTaken(PostId),
}

/// Makes a post and its deliveries, all or nothing.
///
/// `key` is the user's idempotency key with the SHA-256 of what was asked for; the key outlives the
/// post, so that a late repeat cannot bring a deleted one back. `slot` is the queue's name and the
/// slot's local date-time.
pub fn create(
    tx: &mut Tx<'_>,
    post: &Post,
    deliveries: &[Delivery],
    key: Option<(&str, [u8; 32])>,
    slot: Option<(&str, civil::DateTime)>,
) -> Result<Created, StoreError> {
    if let Some((key, digest)) = key
        && let Some((before, id)) = by_key(tx, key)?
    {
        return Ok(if before == digest { Created::Existing(id) } else { Created::KeyTaken(id) });
    }
    if let Some((queue, local)) = slot
        && let Some(id) = queues::slot_taken(tx, queue, local)?
    {
        return Ok(Created::SlotTaken(id));
    }
    if get(tx, post.id)?.is_some() {
        return Err(StoreError::conflict(format!("post `{}` exists already", post.id)));
    }
    if let Some(stray) = deliveries.iter().find(|it| it.post != post.id) {
        return Err(StoreError::conflict(format!("delivery `{}` is of another post", stray.id)));
    }
    write(tx, None, post)?;
    for it in deliveries {
        deliveries::put(tx, None, it, None)?;
    }
    if let Some((key, digest)) = key {
        tx.insert(IDEMPOTENCY, key, (digest, post.id.as_u128()))?;
    }
    if let Some((queue, local)) = slot {
        queues::take_slot(tx, queue, local, post.id)?;
    }
    Ok(Created::New)
}

/// Writes an edited post. Its version must be one more than the stored one's.
pub fn put(tx: &mut Tx<'_>, post: &Post) -> Result<(), StoreError> {
    let was = need(tx, post.id)?;
    if was.version.checked_add(1) != Some(post.version) {
        return Err(StoreError::conflict(format!(
            "post `{}` was edited meanwhile (it is at version {} now)",
            post.id, was.version
        )));
    }
    write(tx, Some(&was), post)
}

/// One post.
pub fn get(source: &impl Source, id: PostId) -> Result<Option<Post>, StoreError> {
    let key = id.as_u128();
    let table = source.table(POSTS)?;
    table.get(key)?.map(|row| decode(place(key), row.value())).transpose()
}

/// One post, or [`StoreError::NotFound`].
pub fn need(source: &impl Source, id: PostId) -> Result<Post, StoreError> {
    get(source, id)?.ok_or_else(|| StoreError::not_found(format!("post `{id}`")))
}

/// What an idempotency key was used for: the digest of the request, and the post it made.
pub fn by_key(source: &impl Source, key: &str) -> Result<Option<([u8; 32], PostId)>, StoreError> {
    let row = source.table(IDEMPOTENCY)?.get(key)?.map(|it| it.value());
    Ok(row.map(|(digest, id)| (digest, PostId::from_u128(id))))
}

/// The posts that use a media file.
pub fn of_media(source: &impl Source, media: MediaId) -> Result<Vec<PostId>, StoreError> {
    let media = media.as_u128();
    let mut found = Vec::new();
    for row in source.table(BY_MEDIA)?.range((media, 0)..=(media, u128::MAX))? {
        found.push(PostId::from_u128(row?.0.value().1));
    }
    Ok(found)
}

/// Deletes a post with its deliveries, their calls and moves. All must have ended.
///
/// What stays: the idempotency key and which remote objects were bound, neither with any text. The
/// bytes leave the file when their pages are used again, or at the next compaction.
pub fn delete(tx: &mut Tx<'_>, id: PostId) -> Result<(), StoreError> {
    let post = need(tx, id)?;
    let deliveries = deliveries::of_post(tx, id)?;
    if let Some(open) = deliveries.iter().find(|it| !it.state.is_terminal()) {
        return Err(StoreError::conflict(format!(
            "delivery `{}` of the post is `{}`, which is not an end",
            open.id,
            open.state.as_str()
        )));
    }
    for it in &deliveries {
        deliveries::remove(tx, it)?;
    }
    unindex(tx, &post)?;
    if let Some(slot) = &post.slot {
        queues::free_slot(tx, &slot.queue, slot.local, id)?;
    }
    tx.remove(POSTS, id.as_u128())?;
    Ok(())
}

/// What a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub wanted: Option<Wanted>,
    /// Posts with a delivery for this account.
    pub account: Option<AccountId>,
    /// Not before this instant (due; creation for a draft).
    pub since: Option<Timestamp>,
    /// Not after this instant.
    pub until: Option<Timestamp>,
    pub order: Order,
}

/// Posts that have something in this condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A delivery in this state.
    State(State),
    /// A delivery in any of these states.
    AnyOf(&'static [State]),
    /// A delivery that waits for the user's word.
    Held,
    /// No due time.
    Draft,
}

impl Wanted {
    /// The words of the index, and with them the states.
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::State(state) => vec![state.as_str()],
            Self::AnyOf(states) => states.iter().map(|it| it.as_str()).collect(),
            Self::Held => vec!["held"],
            Self::Draft => vec!["draft"],
        }
    }

    /// Whether a delivery is what is wanted.
    fn has(self, it: &Delivery) -> bool {
        deliveries::words(it).any(|word| self.words().contains(&word))
    }
}

/// By time (due; creation for a draft), then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Where a page of a list ended. Print it, parse it, and make nothing of its inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    ms: i64,
    post: u128,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:032x}", self.ms, self.post)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        text.split_once('.')
            .and_then(|(ms, post)| {
                Some(Self { ms: ms.parse().ok()?, post: u128::from_str_radix(post, 16).ok()? })
            })
            .ok_or_else(|| StoreError::Refused {
                why: format!("`{text}` is not a cursor (use the `next_cursor` of the page before)"),
            })
    }
}

impl Cursor {
    /// Whether a list of what is `wanted` showed this post up to here already: a post stands in an
    /// index once for each time its deliveries are due.
    pub fn is_past(self, post: PostId, rows: &[Delivery], filter: &Filter) -> bool {
        let Some(wanted) = filter.wanted else { return false };
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millisecond);
        let until = filter.until.map_or(i64::MAX, Timestamp::as_millisecond);
        let times = rows
            .iter()
            .filter(|it| filter.account.is_none_or(|account| account == it.account) && wanted.has(it))
            .map(|it| it.due.instant.as_millisecond())
            .filter(|ms| (since..=until).contains(ms));
        let here = (self.ms, self.post);
        match filter.order {
            Order::NewestFirst => times.max().is_some_and(|ms| (ms, post.as_u128()) >= here),
            Order::OldestFirst => times.min().is_some_and(|ms| (ms, post.as_u128()) <= here),
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub posts: Vec<PostId>,
    /// Where the next page starts; none at the end.
    pub next: Option<Cursor>,
}

/// Lists posts in the order of an index, at most `limit`, starting after a cursor.
///
/// The cost grows with the page, except for `account` together with a state: then rows of that
/// state for other accounts are read and passed over.
pub fn list(
    source: &impl Source,
    filter: &Filter,
    limit: usize,
    after: Option<Cursor>,
) -> Result<Page, StoreError> {
    let mut low = (filter.since.map_or(i64::MIN, Timestamp::as_millisecond), 0);
    let mut high = (filter.until.map_or(i64::MAX, Timestamp::as_millisecond), u128::MAX);
    if let Some(after) = after {
        let at = (after.ms, after.post);
        match filter.order {
            Order::NewestFirst => high = high.min(at),
            Order::OldestFirst => low = low.max(at),
        }
    }
    let mut page = Page::default();
    if low > high || limit == 0 {
        return Ok(page);
    }
    let mut last = after.map(|it| (it.ms, it.post));
    let mut take = |at: (i64, u128)| {
        // Deliveries of one post lie side by side; the cursor's own row comes first again.
        if last == Some(at) {
            return true;
        }
        if page.posts.len() == limit {
            page.next = last.map(|(ms, post)| Cursor { ms, post });
            return false;
        }
        last = Some(at);
        page.posts.push(PostId::from_u128(at.1));
        true
    };
    match (filter.wanted, filter.account) {
        (None, None) => {
            walk(source.table(POSTS_BY_TIME)?.range(low..=high)?, filter.order, |at| Ok(take(at)))?;
        }
        (None, Some(account)) => {
            let account = account.as_u128();
            let range = (account, low.0, low.1, 0)..=(account, high.0, high.1, u128::MAX);
            walk(source.table(BY_ACCOUNT)?.range(range)?, filter.order, |(_, ms, post, _)| {
                Ok(take((ms, post)))
            })?;
        }
        (Some(wanted), account) => {
            let table = source.table(BY_STATE)?;
            let mut ranges = Vec::new();
            for word in wanted.words() {
                ranges.push(table.range((word, low.0, low.1, 0)..=(word, high.0, high.1, u128::MAX))?.map(
                    |row| {
                        let (_, ms, post, delivery) = row?.0.value();
                        Ok((ms, post, delivery))
                    },
                ));
            }
            merge(ranges, filter.order, |(ms, post, delivery)| {
                let fits = match account {
                    None => true,
                    Some(account) if wanted == Wanted::Draft => {
                        let post = need(source, PostId::from_u128(post))?;
                        post.to.iter().any(|it| it.account == account)
                    }
                    Some(account) => {
                        let id = crate::domain::ids::DeliveryId::from_u128(delivery);
                        deliveries::need(source, id)?.account == account
                    }
                };
                Ok(!fits || take((ms, post)))
            })?;
        }
    }
    Ok(page)
}

/// Walks an index in the wanted direction until `visit` says no.
fn walk<K: redb::Key + 'static, V: redb::Value + 'static>(
    mut range: redb::Range<'_, K, V>,
    order: Order,
    mut visit: impl for<'k> FnMut(K::SelfType<'k>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    loop {
        let row = match order {
            Order::NewestFirst => range.next_back(),
            Order::OldestFirst => range.next(),
        };
        let Some(row) = row else { return Ok(()) };
        if !visit(row?.0.value())? {
            return Ok(());
        }
    }
}

/// Walks several indexes as if they were one, in the wanted direction, until `visit` says no.
fn merge<K: Copy + Ord>(
    mut ranges: Vec<impl DoubleEndedIterator<Item = Result<K, StoreError>>>,
    order: Order,
    mut visit: impl FnMut(K) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let count = ranges.len();
    let mut next = |n: usize| {
        match order {
            Order::NewestFirst => ranges[n].next_back(),
            Order::OldestFirst => ranges[n].next(),
        }
        .transpose()
    };
    let mut heads = Vec::new();
    for n in 0..count {
        heads.push(next(n)?);
    }
    loop {
        let there = heads.iter().enumerate().filter_map(|(n, head)| Some(((*head)?, n)));
        let first = match order {
            Order::NewestFirst => there.max(),
            Order::OldestFirst => there.min(),
        };
        let Some((key, n)) = first else { return Ok(()) };
        heads[n] = next(n)?;
        if !visit(key)? {
            return Ok(());
        }
    }
}

/// The time a post is listed under.
pub(super) fn listed_at(post: &Post) -> i64 {
    post.due.as_ref().map_or(post.created_at, |it| it.instant).as_millisecond()
}

fn write(tx: &mut Tx<'_>, was: Option<&Post>, now: &Post) -> Result<(), StoreError> {
    if let Some(was) = was {
        unindex(tx, was)?;
    }
    let (id, ms) = (now.id.as_u128(), listed_at(now));
    tx.insert(POSTS_BY_TIME, (ms, id), ())?;
    if now.due.is_none() {
        tx.insert(BY_STATE, ("draft", ms, id, 0), ())?;
    }
    for media in &now.media {
        tx.insert(BY_MEDIA, (media.id.as_u128(), id), ())?;
    }
    let row = encode(place(id), now)?;
    tx.insert(POSTS, id, row.as_slice()).map(drop)
}

fn unindex(tx: &mut Tx<'_>, was: &Post) -> Result<(), StoreError> {
    let (id, ms) = (was.id.as_u128(), listed_at(was));
    tx.remove(POSTS_BY_TIME, (ms, id))?;
    if was.due.is_none() {
        tx.remove(BY_STATE, ("draft", ms, id, 0))?;
    }
    for media in &was.media {
        tx.remove(BY_MEDIA, (media.id.as_u128(), id))?;
    }
    Ok(())
}

fn place(id: u128) -> Place {
    Place { table: "posts", key: Key::Id(PostId::PREFIX, id) }
}
