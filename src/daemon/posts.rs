//! Posts that exist: shown, listed, edited, cancelled.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::create::{self, read_media, read_options, read_variants};
use super::shared::Shared;
use super::{amend, errors, explain, view};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::account::Account;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Flight, State};
use crate::domain::ids::{AccountName, DeliveryId, PlatformName, PostId};
use crate::domain::post::Post;
use crate::domain::schedule::parse_shift;
use crate::engine::ask::{self, Ask};
use crate::platforms;
use crate::store::posts::{Filter, Order, Wanted};
use crate::store::{StoreError, accounts, deliveries, posts};

/// Posts in a page unless another number is asked for, and at most.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 500;
/// Posts that one page of a list looks at, at most. Where few fit, the page is short and names the next.
const LOOKED_AT_MAX: usize = 5_000;
/// A row that somebody else is changing is read again this often.
const TRIES: usize = 8;

/// What an id of the command line names.
pub(super) enum Named {
    Post(PostId),
    Delivery(DeliveryId),
}

pub(super) fn named(id: &str) -> ApiResult<Named> {
    let read = if id.starts_with(DeliveryId::PREFIX) {
        id.parse().map(Named::Delivery)
    } else {
        id.parse().map(Named::Post)
    };
    read.map_err(|error| errors::bad_name(error).hint("`sendoff post list` shows what there is"))
}

/// The post and those of its deliveries that are meant.
pub(super) fn meant(shared: &Shared, id: &str) -> ApiResult<(PostId, Vec<Delivery>)> {
    let named = named(id)?;
    let read = shared.store.read(|rx| match named {
        Named::Post(post) => {
            posts::need(rx, post)?;
            Ok((post, deliveries::of_post(rx, post)?))
        }
        Named::Delivery(delivery) => {
            let delivery = deliveries::need(rx, delivery)?;
            Ok((delivery.post, vec![delivery]))
        }
    });
    read.map_err(|error| errors::of_id(error, id))
}

/// One post with all its deliveries.
pub(super) fn show(shared: &Shared, id: PostId) -> ApiResult<m::Post> {
    let read = shared.store.read(|rx| {
        let rows = deliveries::of_post(rx, id)?;
        let rows: Result<Vec<_>, _> = rows.into_iter().map(|it| with_answer(rx, it)).collect();
        Ok((posts::need(rx, id)?, rows?))
    });
    let (post, deliveries) = read.map_err(errors::store)?;
    Ok(view::post(&post, &deliveries))
}

/// The network's own words belong to the reason that is shown; they are kept with the attempt.
fn with_answer(rx: &crate::store::Rx, mut it: Delivery) -> Result<Delivery, StoreError> {
    if let Some(reason) = it.reason.as_mut().filter(|reason| reason.raw.is_none()) {
        reason.raw = deliveries::attempts(rx, it.id)?.pop().and_then(|attempt| attempt.raw);
    }
    Ok(it)
}

/// `post show`: by `pst_…`, or by `dlv_…` with that delivery alone.
pub(super) fn show_named(shared: &Shared, id: &str) -> ApiResult<m::Post> {
    let (post, meant) = meant(shared, id)?;
    let mut rows = Vec::new();
    let read = shared.store.read(|rx| {
        let read: Result<Vec<_>, _> = meant.into_iter().map(|it| with_answer(rx, it)).collect();
        rows = read?;
        let whole = posts::need(rx, post)?;
        let mut shown = view::post(&whole, &rows);
        let standing = super::again::that_stand(&deliveries::of_post(rx, post)?);
        shown.fixed = amend::fixed(&whole, &standing, |it| accounts::get(rx, it.account))?;
        for row in &rows {
            let id = row.id.to_string();
            if let Some(it) = shown.deliveries.iter_mut().find(|it| it.id == id) {
                it.why = explain::why(rx, row)?;
                it.fetches = explain::fetches(rx, row.id)?;
                it.progress = shared.progress.of(row);
            }
        }
        Ok(shown)
    });
    let mut shown = read.map_err(errors::store)?;
    let now = shared.now();
    let due = |it: &Delivery| !it.state.is_terminal() && it.wakes_at().is_some_and(|at| at <= now);
    let waiting: Vec<_> = rows.iter().filter(|it| due(it)).collect();
    if !waiting.is_empty() {
        let accounts = shared.store.read(accounts::list).map_err(errors::store)?;
        let concerned = |it: &Account| waiting.iter().any(|row| row.account == it.id);
        let concerned: Vec<_> = accounts.into_iter().filter(concerned).collect();
        shown.notices = create::held_back(shared, &concerned);
        let waits = shared.waits();
        for row in waiting {
            let (id, account) = (row.id.to_string(), concerned.iter().find(|it| it.id == row.account));
            let wait = account
                .and_then(|it| waits.iter().filter(|wait| wait.concerns(it)).max_by_key(|it| it.until));
            let (Some(account), Some(wait)) = (account, wait) else { continue };
            let line = explain::waits(row, wait, now);
            let told = format!("{}: {}: {}", account.name, line.message, wait.reason.message);
            if !shown.notices.contains(&told) {
                shown.notices.push(told);
            }
            shown.deliveries.iter_mut().filter(|it| it.id == id).for_each(|it| it.why.push(line.clone()));
        }
    }
    Ok(shown)
}

pub(super) fn list(shared: &Shared, ask: &r::ListPosts) -> ApiResult<m::PostList> {
    let zone = create::zone(shared, ask.tz.as_deref())?;
    let bound = |text: &Option<String>| -> ApiResult<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        // A list may look back, so the past is no fault here.
        let far_back = Timestamp::UNIX_EPOCH;
        let relative = text.starts_with('+') || text.starts_with('-');
        let read = if relative {
            parse_shift(text).ok().and_then(|span| shared.now().checked_add(span).ok())
        } else if let Ok(day) = jiff::civil::Date::strptime("%Y-%m-%d", text) {
            // A day begins with its first hour.
            day.to_zoned(zone.rules.clone()).ok().map(|it| it.timestamp())
        } else {
            crate::domain::schedule::parse_when(text, far_back, &zone.rules, &zone.name)
                .ok()
                .map(|it| it.instant)
        };
        read.map(Some).ok_or_else(|| {
            ApiError::bad_request("bad_time", format!("`{text}` is not a time"))
                .hint("write e.g. `2026-12-01`, `2026-12-01 09:00`, or `-7d`")
        })
    };
    let account = match &ask.account {
        None => None,
        Some(name) => {
            Some(create::account(shared, &name.parse::<AccountName>().map_err(errors::bad_name)?)?.id)
        }
    };
    let limit = ask.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX) as usize;
    let cursor = ask
        .after
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: StoreError| errors::bad_cursor(error.to_string()))?;
    let (wanted, status) = wanted(ask.state.as_deref())?;
    let order = match ask.order.as_deref() {
        None | Some("newest") => Order::NewestFirst,
        Some("oldest") => Order::OldestFirst,
        Some(other) => {
            return Err(ApiError::bad_request("unknown_order", format!("`{other}` is not an order"))
                .hint("`newest` or `oldest`"));
        }
    };
    let platform: Option<PlatformName> =
        ask.platform.as_deref().map(str::parse).transpose().map_err(errors::bad_name)?;
    let text = ask.text.as_deref().map(str::to_lowercase).filter(|it| !it.is_empty());
    let fits = |post: &Post| {
        platform.is_none_or(|wanted| post.to.iter().any(|it| it.name.platform() == wanted))
            && text.as_deref().is_none_or(|wanted| says(post, wanted))
    };
    let filter = Filter { wanted, account, since: bound(&ask.since)?, until: bound(&ask.until)?, order };
    let read = shared.store.read(|rx| {
        let (mut found, mut looked_at, mut here) = (Vec::new(), 0, BTreeSet::new());
        let mut after = cursor;
        loop {
            let page = posts::list(rx, &filter, limit - found.len(), after)?;
            for id in &page.posts {
                looked_at += 1;
                let rows = deliveries::of_post(rx, *id)?;
                if !here.insert(*id) || cursor.is_some_and(|it| it.is_past(*id, &rows, &filter)) {
                    continue;
                }
                let post = posts::need(rx, *id)?;
                if !fits(&post) {
                    continue;
                }
                let shown = view::post(&post, &rows);
                if status.is_none_or(|it| it == shown.status) {
                    found.push(shown);
                }
            }
            after = page.next;
            if after.is_none() || found.len() >= limit || looked_at >= LOOKED_AT_MAX {
                return Ok((found, after));
            }
        }
    });
    let (posts, next) = read.map_err(errors::store)?;
    Ok(m::PostList { posts, next_cursor: next.map(|it| it.to_string()), notices: Vec::new() })
}

/// Whether one of a post's texts holds these words, which are in small letters.
fn says(post: &Post, wanted: &str) -> bool {
    let all = post.variants.values().chain([&post.content]);
    all.flat_map(|it| it.parts.iter().chain(&it.comment)).any(|it| it.to_lowercase().contains(wanted))
}

/// A word of `--state`: a delivery state, `held`, or a post's status. The index narrows what it can.
fn wanted(word: Option<&str>) -> ApiResult<(Option<Wanted>, Option<m::PostStatus>)> {
    let Some(word) = word else { return Ok((None, None)) };
    if let Some(status) = m::PostStatus::from_word(word) {
        return Ok((Some(where_to_look(status)), Some(status)));
    }
    if word == "held" {
        return Ok((Some(Wanted::Held), None));
    }
    if let Some(state) = State::from_word(word) {
        return Ok((Some(Wanted::State(state)), None));
    }
    let known: Vec<_> = m::PostStatus::ALL.iter().map(|it| it.as_str()).collect();
    Err(ApiError::bad_request("unknown_state", format!("`{word}` is not a state"))
        .hint(format!("one of: {}, or a delivery's state", known.join(", "))))
}

/// What every post of this status has, by [`m::PostStatus::of`], and few others have.
fn where_to_look(status: m::PostStatus) -> Wanted {
    use State as S;
    match status {
        m::PostStatus::Draft => Wanted::Draft,
        m::PostStatus::Scheduled => Wanted::State(S::Scheduled),
        m::PostStatus::Published => Wanted::State(S::Published),
        m::PostStatus::Cancelled => Wanted::State(S::Cancelled),
        m::PostStatus::Missed => Wanted::State(S::Missed),
        m::PostStatus::HandedOver => Wanted::State(S::HandedOver),
        m::PostStatus::Left => Wanted::State(S::Unknown),
        m::PostStatus::Attention => Wanted::AnyOf(&[S::Unknown, S::NeedsReconnect]),
        m::PostStatus::Publishing => {
            Wanted::AnyOf(&[S::Claimed, S::Preparing, S::Sending, S::Unknown, S::Retry])
        }
        m::PostStatus::Partial => Wanted::AnyOf(&[S::Rejected, S::Missed, S::Cancelled]),
        m::PostStatus::Failed => Wanted::AnyOf(&[S::Rejected, S::Missed]),
    }
}

/// Carries a wish out: through the engine where it holds the delivery, else by compare-and-swap.
pub(super) async fn grant(shared: &Arc<Shared>, id: DeliveryId, wish: &Ask, now: Timestamp) -> ApiResult<()> {
    let give_up_after = shared.config().engine.give_up_after;
    for _ in 0..TRIES {
        let before = shared.store.read(|rx| deliveries::need(rx, id)).map_err(errors::store)?;
        if before.in_flight() {
            match shared.asks.ask(shared, id, wish.clone()).await {
                // It came to rest meanwhile: look at the row again.
                Err(refused) if refused.code == "changed" => continue,
                other => return other.map_err(errors::ask),
            }
        }
        let event = ask::event(&before, wish, give_up_after, now).map_err(errors::ask)?;
        let name = event.name();
        let after =
            before.apply(event, now).map_err(|illegal| ApiError::conflict("not_now", illegal.to_string()))?;
        let transition = Transition::between(&before, &after, name, now);
        let written = shared
            .store
            .write(move |tx| deliveries::put(tx, Some(&before), &after, Some(transition.clone())).map(drop))
            .await;
        match written {
            Ok(()) => {
                return Ok(());
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(errors::store(error)),
        }
    }
    Err(ApiError::conflict("busy", format!("delivery `{id}` keeps changing")).hint("try again"))
}

/// The one check, for every target of a post as it is now.
pub(super) fn check_again(shared: &Shared, post: &Post) -> ApiResult<()> {
    // A draft may have been kept while it was written.
    if post.to.is_empty() {
        return Err(create::no_target());
    }
    let networks: Vec<_> = post.to.iter().map(|it| it.name.platform()).collect();
    create::refuse_unused(&post.options, &networks)?;
    let mut targets = Vec::new();
    for target in &post.to {
        let Some(platform) = platforms::find(target.name.platform()) else { continue };
        let account = shared.store.read(|rx| accounts::get(rx, target.account)).map_err(errors::store)?;
        let Some(account) = account else { return Err(errors::unknown_account(&target.name, &[])) };
        let content = post.content_for(&target.name);
        let options = post.options_for(target.name.platform());
        let draft = crate::validate::Draft {
            parts: &content.parts,
            comment: content.comment.as_deref(),
            media: &post.media,
            options: &options,
            lacks: &account.missing_scopes,
        };
        let checked = crate::validate::check(platform, account.tier.as_deref(), draft);
        targets.push(view::target(&target.name.to_string(), &checked));
    }
    create::refuse_problems(targets)
}

/// `post edit`: allowed while no attempt is open and nothing is being sent; of what is out, the words
/// where the network lets them be changed ([`amend`]).
pub(super) async fn edit(shared: &Arc<Shared>, id: &str, ask: r::EditPost) -> ApiResult<m::Post> {
    let Named::Post(post_id) = named(id)? else {
        return Err(ApiError::bad_request("not_a_post", "only a whole post (`pst_…`) can be edited"));
    };
    let (before, rows) = shared
        .store
        .read(|rx| Ok((posts::need(rx, post_id)?, deliveries::of_post(rx, post_id)?)))
        .map_err(|error| errors::of_id(error, id))?;
    if ask.version.is_some_and(|it| it != before.version) {
        return Err(ApiError::conflict(
            "changed_meanwhile",
            format!("post `{id}` was edited meanwhile (version {})", before.version),
        )
        .hint("look at it again, then edit"));
    }
    let rows = super::again::that_stand(&rows);
    if amend::is_out(&rows) {
        amend::words(shared, before, &rows, ask).await?;
        return show(shared, post_id);
    }
    if let Some(gone) = rows.iter().find(|it| !amend::may_edit(it)) {
        return Err(ApiError::conflict("too_late", amend::begun(gone)).hint("delete it and post it anew"));
    }
    if ask.unfinished && before.due.is_some() {
        return Err(ApiError::conflict("not_a_draft", "only a draft can be kept unfinished")
            .hint("leave `unfinished` out: what has a time is checked with every change"));
    }
    let mut post = before.clone();
    if let Some(parts) = ask.parts {
        post.content.parts = if parts.is_empty() { vec![String::new()] } else { parts };
    }
    if let Some(comment) = ask.comment {
        post.content.comment = (!comment.is_empty()).then_some(comment);
    }
    if let Some(options) = &ask.options {
        post.options = read_options(options)?;
    }
    if let Some(variants) = &ask.variants {
        post.variants = read_variants(variants, &post.content)?;
    }
    if let Some(media) = &ask.media {
        post.media = read_media(shared, media)?;
    }
    if let Some(late) = &ask.late {
        post.late = late.parse().map_err(|error| errors::bad_late(&error))?;
    }
    if ask.intended.is_some() {
        let zone = create::zone(shared, None)?;
        post.intended = super::draft::intended(shared, ask.intended.as_ref(), &zone);
    }
    if let Some(to) = &ask.to {
        if !rows.is_empty() {
            return Err(ApiError::conflict("targets_fixed", "the accounts of a scheduled post are fixed")
                .hint("cancel it and make a new one, or edit a draft"));
        }
        let targets = create::read_targets(shared, to)?;
        post.to = targets
            .into_iter()
            .map(|it| crate::domain::post::Target { account: it.id, name: it.name })
            .collect();
    }
    create::has_parts(&post.media, &post.content, &post.variants)?;
    if !ask.unfinished {
        check_again(shared, &post)?;
    }
    post.version += 1;
    shared
        .store
        .write(move |tx| {
            if posts::need(tx, post_id)?.version != before.version {
                return Err(StoreError::conflict(format!("post `{post_id}` was edited meanwhile")));
            }
            posts::put(tx, &post)?;
            for was in &rows {
                // The row changes too, so that a worker that read the old text cannot claim it.
                let mut now = was.clone();
                now.claim_gen = was.claim_gen.wrapping_add(1);
                now.late = post.late;
                now.flight = Flight::default();
                now.steps = create::steps(post.content_for(&was.name));
                deliveries::put(tx, Some(was), &now, None)?;
            }
            Ok(())
        })
        .await
        .map_err(errors::store)?;
    show(shared, post_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::messages::{DeliveryState, PostStatus};

    #[test]
    fn every_post_has_a_delivery_where_its_status_is_looked_for() {
        // Up to three deliveries, in every combination of states; more add nothing new to the rules.
        let all: Vec<_> = State::ALL.into_iter().map(Some).chain([None]).collect();
        for (a, b, c) in all
            .iter()
            .flat_map(|a| all.iter().flat_map(move |b| State::ALL.into_iter().map(move |c| (*a, *b, c))))
        {
            let states: Vec<State> = [a, b, Some(c)].into_iter().flatten().collect();
            for held in [false, true] {
                let seen: Vec<_> = states
                    .iter()
                    .map(|it| {
                        let word = DeliveryState::from_word(it.as_str()).unwrap();
                        (word, held && *it == State::Unknown)
                    })
                    .collect();
                let status = PostStatus::of(&seen);
                let there = match where_to_look(status) {
                    Wanted::State(one) => states.contains(&one),
                    Wanted::AnyOf(some) => some.iter().any(|it| states.contains(it)),
                    Wanted::Held | Wanted::Draft => false,
                };
                assert!(there, "{states:?} is {status:?}");
            }
        }
    }
}
