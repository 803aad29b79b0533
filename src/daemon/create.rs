//! New posts: read what was asked, check it for every target, store it once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::shared::Shared;
use super::{errors, queues, repeats, view};
use crate::config::{Config, Zone};
use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::account::{Account, AccountState};
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, State, Step, StepKind};
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, AccountName, DeliveryId, MediaId, PlatformName, PostId};
use crate::domain::media::MediaItem;
use crate::domain::post::{Content, Post, SlotTaken, Source, Target};
use crate::domain::schedule::{Choice, Due, Late, echo, parse_when};
use crate::platforms::{self, Platform};
use crate::store::posts::Created;
use crate::store::{accounts, deliveries, media, posts};
use crate::validate::{self, Checked};

/// How often a slot that another request took meanwhile is replaced by the next.
const SLOT_TRIES: usize = 64;
/// Most bytes of an idempotency key.
const KEY_MAX: usize = 256;

/// The words of a post, read and sorted but not yet bound for anybody.
pub(super) struct Words {
    pub(super) content: Content,
    pub(super) variants: BTreeMap<String, Content>,
    pub(super) options: BTreeMap<PlatformName, BTreeMap<String, String>>,
    pub(super) media: Vec<MediaItem>,
}

impl Words {
    pub(super) fn read(shared: &Shared, ask: &r::CreatePost) -> ApiResult<Self> {
        let mut parts = ask.parts.clone();
        if parts.is_empty() {
            parts.push(String::new());
        }
        let content = Content { parts, comment: ask.comment.clone().filter(|it| !it.is_empty()) };
        let words = Self {
            variants: read_variants(&ask.variants, &content)?,
            content,
            options: read_options(&ask.options)?,
            media: read_media(shared, &ask.media)?,
        };
        has_parts(&words.media, &words.content, &words.variants)?;
        Ok(words)
    }

    /// The text that a target gets; `name` is an account or a bare platform name.
    fn content_for(&self, platform: PlatformName, name: &str) -> &Content {
        self.variants.get(name).or_else(|| self.variants.get(platform.as_str())).unwrap_or(&self.content)
    }

    /// Checks the words for one account, or for one that would be connected now.
    pub(super) fn check(
        &self,
        config: &Config,
        platform: &dyn Platform,
        name: &str,
        account: Option<&Account>,
    ) -> Checked {
        let content = self.content_for(platform.name(), name);
        let options = self.options.get(&platform.name()).cloned().unwrap_or_default();
        let draft = validate::Draft {
            parts: &content.parts,
            comment: content.comment.as_deref(),
            media: &self.media,
            options: &options,
            lacks: account.map_or(&[], |it| it.missing_scopes.as_slice()),
        };
        let tier = account.map_or_else(|| config.tier_of_new(platform.name()), |it| it.tier.as_deref());
        validate::check(platform, tier, draft)
    }
}

impl Words {
    /// Which of these targets get the same text as another account of their network, where that has a rule
    /// against it; the rule with it.
    fn repeats(&self, to: &[String]) -> Vec<(usize, String)> {
        let read = |name: &String| {
            let platform: PlatformName = name.split(':').next()?.parse().ok()?;
            Some((platform, &self.content_for(platform, name).parts))
        };
        let all: Vec<_> = to.iter().map(read).collect();
        let mut found = Vec::new();
        for (n, it) in all.iter().enumerate() {
            let Some((platform, parts)) = it else { continue };
            let Some(rule) = platforms::find(*platform).and_then(Platform::same_words) else { continue };
            let others = to.iter().zip(&all).enumerate().filter(|(k, (name, other))| {
                *k != n && **name != to[n] && **other == Some((*platform, *parts))
            });
            let others: Vec<&str> = others.map(|(_, (name, _))| name.as_str()).collect();
            if !others.is_empty() {
                found.push((n, format!("the same text goes to {}: {rule}", others.join(", "))));
            }
        }
        found
    }
}

pub(super) fn read_options(
    given: &BTreeMap<String, BTreeMap<String, String>>,
) -> ApiResult<BTreeMap<PlatformName, BTreeMap<String, String>>> {
    given.iter().map(|(name, set)| Ok((name.parse().map_err(errors::bad_name)?, set.clone()))).collect()
}

/// Refuses options for networks that the post does not go to: whoever restricts replies on one network
/// and means another must not learn that from the answers.
pub(super) fn refuse_unused(
    options: &BTreeMap<PlatformName, BTreeMap<String, String>>,
    to: &[PlatformName],
) -> ApiResult<()> {
    let Some(unused) = options.keys().find(|it| !to.contains(it)) else { return Ok(()) };
    Err(ApiError::bad_request(
        "unused_option",
        format!("the options of `{unused}` would have no effect: the post does not go there"),
    )
    .hint("name an account of that network with `--to`, or leave the option out"))
}

pub(super) fn read_variants(
    given: &BTreeMap<String, m::Variant>,
    common: &Content,
) -> ApiResult<BTreeMap<String, Content>> {
    let mut variants = BTreeMap::new();
    for (name, variant) in given {
        // A bare platform or one account; anything else would never be used, and silently.
        match name.split_once(':') {
            Some(_) => name.parse::<AccountName>().map(drop).map_err(errors::bad_name)?,
            None => name.parse::<PlatformName>().map(drop).map_err(errors::bad_name)?,
        }
        let (parts, comment) = variant.over(&common.parts, common.comment.as_deref());
        variants.insert(name.clone(), Content { parts, comment });
    }
    Ok(variants)
}

pub(super) fn read_media(shared: &Shared, given: &[r::MediaRef]) -> ApiResult<Vec<MediaItem>> {
    let mut items = Vec::new();
    for reference in given {
        let id: MediaId = reference.id.parse().map_err(errors::bad_name)?;
        let stored = shared.store.read(|rx| media::get(rx, id)).map_err(errors::store)?;
        let stored = stored.ok_or_else(|| {
            ApiError::not_found("unknown_media", format!("there is no media file `{id}`"))
                .hint("an upload goes again within a day unless a post uses it; upload it anew")
        })?;
        let alt = reference.alt.clone().or(stored.item.alt);
        let part = reference.part.unwrap_or(1);
        let part = part.checked_sub(1).and_then(|it| u16::try_from(it).ok()).ok_or_else(|| {
            ApiError::bad_request("bad_part", format!("`{part}` is not the number of a part"))
                .hint("parts of a thread are counted from 1")
        })?;
        items.push(MediaItem { alt, part, ..stored.item });
    }
    Ok(items)
}

/// Refuses a file for a part that no text has.
pub(super) fn has_parts(
    media: &[MediaItem],
    content: &Content,
    variants: &BTreeMap<String, Content>,
) -> ApiResult<()> {
    let most = variants.values().chain([content]).map(|it| it.parts.len()).max().unwrap_or(1);
    let Some(item) = media.iter().find(|it| usize::from(it.part) >= most) else { return Ok(()) };
    let parts = if most == 1 { "one part".to_owned() } else { format!("{most} parts") };
    Err(ApiError::bad_request(
        "bad_part",
        format!("`{}` is for part {}, and the post has {parts}", item.name, item.part + 1),
    )
    .hint("each TEXT is a part, counted from 1"))
}

/// The accounts a post is for, each once.
pub(super) fn read_targets(shared: &Shared, to: &[String]) -> ApiResult<Vec<Account>> {
    let mut found: Vec<Account> = Vec::new();
    for name in to {
        let name: AccountName = name.parse().map_err(errors::bad_name)?;
        let account = account(shared, &name)?;
        if found.iter().all(|it| it.id != account.id) {
            found.push(account);
        }
    }
    Ok(found)
}

/// One account by its name, or an error that names those there are.
pub(super) fn account(shared: &Shared, name: &AccountName) -> ApiResult<Account> {
    let read = shared.store.read(|rx| match accounts::by_name(rx, name)? {
        Some(id) => Ok(Ok(accounts::need(rx, id)?)),
        None => Ok(Err(accounts::list(rx)?)),
    });
    read.map_err(errors::store)?.map_err(|known| {
        let known: Vec<_> = known.iter().map(|it| it.name.to_string()).collect();
        errors::unknown_account(name, &known)
    })
}

/// The zone of a request, or the configured one.
pub(super) fn zone(shared: &Shared, tz: Option<&str>) -> ApiResult<Zone> {
    match tz {
        None => Ok(shared.config().timezone.clone()),
        Some(name) => Zone::named(name).map_err(|error| {
            let refusal = ApiError::bad_request("unknown_timezone", error.to_string());
            errors::with_hint(refusal, error.hint())
        }),
    }
}

/// A WHEN as typed.
pub(super) fn when(shared: &Shared, text: &str, zone: &Zone) -> ApiResult<Due> {
    parse_when(text, shared.now(), &zone.rules, &zone.name).map_err(|error| {
        let kind = match error {
            // Understood, and against the rules: the clock says no, not the spelling.
            crate::domain::schedule::WhenError::Past { .. } => ErrorKind::Refused,
            _ => ErrorKind::BadRequest,
        };
        let code = if kind == ErrorKind::Refused { "past_time" } else { "bad_time" };
        errors::with_hint(ApiError::new(kind, code, error.to_string()), error.hint())
    })
}

pub(super) fn due_now(now: Timestamp, zone: &Zone) -> Due {
    Due { instant: now, civil: zone.rules.to_datetime(now), zone: zone.name.clone(), choice: Choice::Instant }
}

/// `post create --check`: what each network would get. Stores and sends nothing.
pub(super) fn check(shared: &Shared, ask: &r::CreatePost) -> ApiResult<m::Check> {
    let words = Words::read(shared, ask)?;
    let mut targets = Vec::new();
    let mut to = ask.to.clone();
    if let (true, Some(r::When::Queue(name))) = (to.is_empty(), &ask.when) {
        to = queues::find(shared, name)?.accounts.iter().map(ToString::to_string).collect();
    }
    if to.is_empty() {
        return Err(no_target());
    }
    let config = shared.config();
    let (mut networks, mut accounts) = (Vec::new(), Vec::new());
    for name in &to {
        let (platform, account) = if name.contains(':') {
            let account = account(shared, &name.parse().map_err(errors::bad_name)?)?;
            (account.name.platform(), Some(account))
        } else {
            (name.parse().map_err(errors::bad_name)?, None)
        };
        let connector = connector(platform)?;
        networks.push(platform);
        targets.push(view::target(name, &words.check(&config, connector, name, account.as_ref())));
        accounts.push(account);
    }
    refuse_unused(&words.options, &networks)?;
    for (n, rule) in words.repeats(&to) {
        targets[n].notices.push(rule);
    }
    let due = match &ask.when {
        Some(r::When::At(text)) => Some(when(shared, text, &zone(shared, ask.tz.as_deref())?)?),
        _ => None,
    };
    let around = due.as_ref().map_or_else(|| shared.now(), |it| it.instant);
    let beside: Vec<_> = accounts.iter().flatten().map(|it| it.id).collect();
    for (n, account) in accounts.iter().enumerate() {
        if let Some(account) = account {
            let parts = &words.content_for(account.name.platform(), &to[n]).parts;
            targets[n].notices.extend(told_before(shared, account, parts, around, None, &beside)?);
        }
    }
    if let Some(due) = due {
        for (target, account) in targets.iter_mut().zip(&accounts) {
            target.notices.extend(account.as_ref().and_then(|it| ends_first(it, due.instant)));
        }
    }
    Ok(view::check(targets))
}

/// What is known of the same words in other posts; `beside`: accounts of this one.
fn told_before(
    shared: &Shared,
    account: &Account,
    parts: &[String],
    around: Timestamp,
    except: Option<PostId>,
    beside: &[AccountId],
) -> ApiResult<Vec<String>> {
    let read = shared.store.read(|rx| repeats::notices(rx, account, parts, around, except, beside));
    read.map_err(errors::store)
}

fn connector(platform: PlatformName) -> ApiResult<&'static dyn Platform> {
    platforms::find(platform).ok_or_else(|| {
        ApiError::bad_request(
            "platform_not_ready",
            format!("{} is not available in this version", platform.title()),
        )
        .hint(platforms::AVAILABLE)
    })
}

pub(super) fn no_target() -> ApiError {
    ApiError::bad_request("no_target", "the post is for nobody").hint("name an account, e.g. `--to x:acme`")
}

/// Stops with every problem of every target, or goes on.
pub(super) fn refuse_problems(targets: Vec<m::CheckTarget>) -> ApiResult<()> {
    if targets.iter().all(|it| it.ok) {
        return Ok(());
    }
    let bad = targets.iter().filter(|it| !it.ok).count();
    let first = targets.iter().flat_map(|it| &it.problems).next().cloned();
    let message = match &first {
        Some(problem) if bad == 1 => problem.message.clone(),
        _ => format!("{bad} of {} targets would refuse this post", targets.len()),
    };
    Err(errors::with_hint(ApiError::refused(message, targets), first.and_then(|it| it.hint)))
}

/// The steps of a delivery: thread parts in order, then the first comment.
pub(super) fn steps(content: &Content) -> Vec<Step> {
    let parts = content.parts.iter().enumerate();
    let kinds = parts.map(|(n, _)| if n == 0 { StepKind::Post } else { StepKind::Thread });
    kinds.chain(content.comment.as_ref().map(|_| StepKind::Comment)).map(Step::new).collect()
}

/// `post create`.
pub(super) async fn create(shared: &Arc<Shared>, ask: r::CreatePost) -> ApiResult<m::Post> {
    let Some(wish) = ask.when.clone() else {
        return Err(ApiError::bad_request("no_time", "it is not said when the post goes out")
            .hint("say one of `--at WHEN`, `--queue Q`, `--now`, `--draft`"));
    };
    if let Some(key) = &ask.key
        && (key.is_empty() || key.len() > KEY_MAX)
    {
        return Err(ApiError::bad_request("bad_key", format!("an idempotency key has 1 to {KEY_MAX} bytes"))
            .hint("a short name of what is posted will do, e.g. `--key opening-2026-12-01`"));
    }
    if ask.unfinished && wish != r::When::Draft {
        return Err(ApiError::bad_request("not_a_draft", "only a draft can be kept unfinished")
            .hint("send `\"when\": \"draft\"`, or leave `unfinished` out"));
    }
    let words = Words::read(shared, &ask)?;
    let key = match &ask.key {
        None => None,
        Some(key) => {
            let digest = digest(shared, &ask)?;
            // Before anything that time could change: a repeat finds its post however late it comes.
            if let Some((before, id)) =
                shared.store.read(|rx| posts::by_key(rx, key)).map_err(errors::store)?
            {
                return if before == digest { existing(shared, id) } else { Err(key_taken(key, id)) };
            }
            Some((key.clone(), digest))
        }
    };
    let zone = zone(shared, ask.tz.as_deref())?;
    let late = match &ask.late {
        None => shared.config().late,
        Some(text) => text.parse::<Late>().map_err(|error| errors::bad_late(&error))?,
    };
    let queue = match &wish {
        r::When::Queue(name) => Some(queues::find(shared, name)?),
        _ => None,
    };
    let to = match &queue {
        Some(queue) if ask.to.is_empty() => queue.accounts.iter().map(ToString::to_string).collect(),
        _ => ask.to.clone(),
    };
    let targets = read_targets(shared, &to)?;
    if targets.is_empty() && !ask.unfinished {
        return Err(no_target());
    }
    let networks: Vec<_> = targets.iter().map(|it| it.name.platform()).collect();
    if !ask.unfinished {
        refuse_unused(&words.options, &networks)?;
    }
    let mut checks = Vec::new();
    for account in &targets {
        let name = account.name.to_string();
        let checked =
            words.check(&shared.config(), connector(account.name.platform())?, &name, Some(account));
        checks.push(view::target(&name, &checked));
    }
    let costs = view::costs_told(&checks);
    if !ask.unfinished {
        refuse_problems(checks)?;
    }
    let names: Vec<String> = targets.iter().map(|it| it.name.to_string()).collect();
    let repeats = words.repeats(&names);
    let now = shared.now();
    let due = match &wish {
        r::When::At(text) => Some(when(shared, text, &zone)?),
        r::When::Now => Some(due_now(now, &zone)),
        r::When::Queue(_) | r::When::Draft => None,
    };
    let source = ask.source.as_deref().and_then(|it| Source::ALL.into_iter().find(|own| own.as_str() == it));
    let mut post = Post {
        id: PostId::new(now, Shared::random()),
        to: targets.iter().map(|it| Target { account: it.id, name: it.name.clone() }).collect(),
        content: words.content,
        variants: words.variants,
        options: words.options,
        media: words.media,
        due,
        late,
        slot: None,
        intended: super::draft::intended(shared, ask.intended.as_ref(), &zone),
        source: source.unwrap_or(if queue.is_some() { Source::Queue } else { Source::Api }),
        key: ask.key.clone(),
        created_at: now,
        version: 1,
    };
    let created = match &queue {
        None => store(shared, &post, key).await?,
        Some(queue) => {
            let _one = shared.slot_lock.lock().await;
            let mut outcome = Created::SlotTaken(post.id);
            for _ in 0..SLOT_TRIES {
                let free = shared.store.read(|rx| queues::next_free(rx, queue, &shared.jitter_seed, now));
                let (slot, due) = free.map_err(errors::store)?.ok_or_else(|| queues::full(queue))?;
                post.due = Some(due);
                post.slot = Some(SlotTaken { queue: queue.name.clone(), local: slot });
                outcome = store(shared, &post, key.clone()).await?;
                if !matches!(outcome, Created::SlotTaken(_)) {
                    break;
                }
            }
            outcome
        }
    };
    match created {
        Created::New => {}
        Created::Existing(id) => return existing(shared, id),
        Created::KeyTaken(id) => return Err(key_taken(ask.key.as_deref().unwrap_or_default(), id)),
        Created::SlotTaken(_) => {
            return Err(ApiError::conflict("queue_full", "no free place was found in the queue"));
        }
    }
    shared.nudge();
    let (mut before, around) = (Vec::new(), post.due.as_ref().map_or(now, |it| it.instant));
    let beside: Vec<_> = targets.iter().map(|it| it.id).collect();
    for account in &targets {
        let parts = &post.content_for(&account.name).parts;
        before.extend(told_before(shared, account, parts, around, Some(post.id), &beside)?);
    }
    let made = super::posts::show(shared, post.id)?;
    let notice = match &post.due {
        Some(due) if matches!(wish, r::When::Now) => format!("sending now ({})", echo(due)),
        Some(due) => format!("scheduled for {}", echo(due)),
        None => "kept as a draft".to_owned(),
    };
    let paused = post.slot.as_ref().and_then(|slot| queues::paused_notice(shared, &slot.queue));
    let stopped = held_back(shared, &targets).into_iter().filter(|_| post.due.is_some());
    let repeated = repeats.into_iter().map(|(n, rule)| format!("{}: {rule}", names[n]));
    let ends = targets.iter().filter_map(|it| ends_first(it, post.due.as_ref()?.instant));
    let notices = std::iter::once(notice)
        .chain(costs)
        .chain(repeated)
        .chain(before)
        .chain(ends)
        .chain(paused)
        .chain(stopped)
        .collect();
    Ok(m::Post { notices, ..made })
}

/// What a person has stopped, and what goes on again when: everything, or some of these accounts.
pub(super) fn held_back(shared: &Shared, accounts: &[Account]) -> Vec<String> {
    let all = shared.pause.state().map(|(reason, since)| {
        let why = reason.map(|it| format!(" ({it})")).unwrap_or_default();
        format!("sending is stopped since {since:.0}{why}: nothing goes out until `sendoff resume`")
    });
    let paused = accounts.iter().filter(|it| it.state == AccountState::Paused).map(|it| {
        format!("{} is paused: nothing of it goes out until `sendoff account resume {}`", it.name, it.name)
    });
    all.into_iter().chain(paused).collect()
}

/// An account whose connection ends before a post is due, and what to do about it until then.
pub(super) fn ends_first(account: &Account, due: Timestamp) -> Option<String> {
    let end = account.ends_at().filter(|end| *end <= due)?;
    Some(format!(
        "the connection of {} ends on {end:.0}, before this is due; connect it again before: `{}`",
        account.name,
        account.connect_again()
    ))
}

fn existing(shared: &Shared, id: PostId) -> ApiResult<m::Post> {
    let found = shared.store.read(|rx| posts::get(rx, id)).map_err(errors::store)?;
    if found.is_none() {
        return Err(ApiError::conflict("key_used", "this key belongs to a post that was deleted")
            .hint("use another `--key` for another post"));
    }
    let post = super::posts::show(shared, id)?;
    Ok(m::Post { existing: true, ..post })
}

fn key_taken(key: &str, id: PostId) -> ApiError {
    ApiError::conflict(
        "key_taken",
        format!("the key `{key}` was used before for another content (post `{id}`)"),
    )
    .hint("use another `--key`, or give the same content again")
}

/// What a key stands for: everything the user said, with files by their content. An upload of the
/// same file has a new id each time, so ids do not count.
fn digest(shared: &Shared, ask: &r::CreatePost) -> ApiResult<[u8; 32]> {
    let mut plain = ask.clone();
    plain.key = None;
    plain.source = None;
    for reference in &mut plain.media {
        let id: MediaId = reference.id.parse().map_err(errors::bad_name)?;
        if let Some(stored) = shared.store.read(|rx| media::get(rx, id)).map_err(errors::store)? {
            reference.id = hex(&stored.digest);
        }
    }
    let text = serde_json::to_vec(&plain).map_err(|error| errors::internal(&error))?;
    Ok(Sha256::digest(text).into())
}

async fn store(shared: &Shared, post: &Post, key: Option<(String, [u8; 32])>) -> ApiResult<Created> {
    let now = shared.now();
    let deliveries = deliveries_of(shared.config().engine.give_up_after, post, now);
    let post = post.clone();
    shared
        .store
        .write(move |tx| {
            let key = key.as_ref().map(|(key, digest)| (key.as_str(), *digest));
            let slot = post.slot.as_ref().map(|it| (it.queue.as_str(), it.local));
            for it in &post.to {
                accounts::may_take_work(tx, it.account, &it.name)?;
            }
            let created = posts::create(tx, &post, &deliveries, key, slot)?;
            if created == Created::New {
                for it in &deliveries {
                    deliveries::append_history(tx, it.id, first_row(it, now))?;
                }
            }
            Ok(created)
        })
        .await
        .map_err(errors::store)
}

/// The first row of a delivery's history.
pub(super) fn first_row(delivery: &Delivery, now: Timestamp) -> Transition {
    Transition {
        seq: 0,
        at: now,
        event: "created".into(),
        from: State::Scheduled,
        to: State::Scheduled,
        reason: None,
        note: Some(format!("scheduled for {}", echo(&delivery.due))),
        answer: None,
    }
}

/// A delivery per target; none for a draft.
pub(super) fn deliveries_of(give_up_after: SignedDuration, post: &Post, now: Timestamp) -> Vec<Delivery> {
    let Some(due) = &post.due else { return Vec::new() };
    post.to
        .iter()
        .map(|target| {
            let id = DeliveryId::new(now, Shared::random());
            let steps = steps(post.content_for(&target.name));
            let mut delivery = Delivery::new(
                id,
                post.id,
                target.account,
                target.name.clone(),
                due.clone(),
                post.late,
                steps,
                now,
            );
            delivery.give_up_at = due.give_up_at(give_up_after);
            delivery
        })
        .collect()
}
