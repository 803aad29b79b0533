//! `post edit` of a post that is out: its words are changed where it stands, on the networks that allow it.
//! And whether a post can be edited at all ([`fixed`]), for whoever is about to write on it.
//!
//! Saying the same words twice changes nothing, so an answer that was lost costs nothing either: the
//! command is given again. What is kept here changes when all networks have changed.

use std::sync::Arc;

use super::posts::check_again;
use super::shared::Shared;
use super::{calls, errors};
use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::requests as r;
use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, State, Step, StepKind};
use crate::domain::post::{Content, Post};
use crate::engine::Reply;
use crate::platforms::{self, Failure, Platform, Request};
use crate::store::{StoreError, accounts, posts};

/// One call, and what it is for.
struct Change {
    what: String,
    account: Account,
    platform: &'static dyn Platform,
    request: Request,
}

/// Whether any of it is out, so that what is kept here is not all there is.
pub(super) fn is_out(rows: &[Delivery]) -> bool {
    rows.iter().any(|it| it.state == State::Published)
}

/// Changes the words of a post whose deliveries are all published.
pub(super) async fn words(
    shared: &Arc<Shared>,
    before: Post,
    rows: &[Delivery],
    ask: r::EditPost,
) -> ApiResult<()> {
    let r::EditPost {
        parts,
        comment,
        to,
        media,
        options,
        variants,
        late,
        version: _,
        unfinished: _,
        intended: _,
    } = ask;
    if to.is_some() || media.is_some() || options.is_some() || variants.is_some() || late.is_some() {
        return Err(too_late("only the words of what is published can be changed"));
    }
    if let Some(other) = rows.iter().find(|it| it.state != State::Published) {
        return Err(too_late(beside_others(other)));
    }
    if let Some(gone) = rows.iter().find(|it| it.came_to_nothing()) {
        return Err(too_late(format!("{} was not published after all", gone.name)));
    }
    let mut after = before.clone();
    if let Some(parts) = parts {
        after.content.parts = if parts.is_empty() { vec![String::new()] } else { parts };
    }
    if let Some(comment) = comment {
        after.content.comment = (!comment.is_empty()).then_some(comment);
    }
    let shape = |it: &Content| (it.parts.len(), it.comment.is_some());
    if shape(&after.content) != shape(&before.content) {
        return Err(too_late("what is published keeps its number of parts, and its comment"));
    }
    check_again(shared, &after)?;
    let mut changes = Vec::new();
    for row in rows {
        let (old, new) = (before.content_for(&row.name), after.content_for(&row.name));
        changes.extend(of_delivery(shared, row, old, new)?);
    }
    carry_out(shared, changes).await?;
    after.version += 1;
    let write = shared.store.write(move |tx| {
        if posts::need(tx, after.id)?.version != before.version {
            return Err(StoreError::conflict(format!("post `{}` was edited meanwhile", after.id)));
        }
        posts::put(tx, &after)
    });
    write.await.map_err(errors::store)
}

/// Why nothing of a post can be edited any more, in words for its author. `rows` are those that stand,
/// `account` finds the account of one. None: something can.
pub(super) fn fixed(
    post: &Post,
    rows: &[Delivery],
    account: impl Fn(&Delivery) -> Result<Option<Account>, StoreError>,
) -> Result<Option<String>, StoreError> {
    if !is_out(rows) {
        return Ok(rows.iter().find(|it| !may_edit(it)).map(begun));
    }
    if let Some(other) = rows.iter().find(|it| it.state != State::Published) {
        return Ok(Some(beside_others(other)));
    }
    for row in rows {
        let content = post.content_for(&row.name);
        let account = account(row)?;
        let can = |(n, step): (usize, &Step)| {
            let text = content.parts.get(n).or(content.comment.as_ref())?;
            platforms::find(row.name.platform())?.edit(account.as_ref()?, step, text)
        };
        let mut live = row.steps.iter().enumerate().filter(|(_, step)| step.is_live());
        // Whoever has words of its own is not asked for those of the others.
        let is_asked = rows.len() == 1 || *content == post.content;
        if is_asked && live.find_map(can).is_none() {
            let title = row.name.platform().title();
            return Ok(Some(format!("{} is published, and {title} lets nothing of it be changed", row.name)));
        }
    }
    Ok(None)
}

/// Of a delivery that keeps its text.
pub(super) fn begun(it: &Delivery) -> String {
    format!("{} is {}: the text can no longer change", it.name, it.state.as_str().replace('_', " "))
}

fn beside_others(it: &Delivery) -> String {
    format!("{} is {}, and others are published", it.name, it.state.as_str().replace('_', " "))
}

/// Nothing of it is live or on its way, and no attempt is open.
pub(super) fn may_edit(delivery: &Delivery) -> bool {
    matches!(delivery.state, State::Scheduled | State::Retry | State::NeedsReconnect)
        && delivery.flight.amb_since.is_none()
        && delivery.live_prefix() == 0
}

/// The calls for one delivery: one for each step whose words change.
fn of_delivery(shared: &Shared, row: &Delivery, old: &Content, new: &Content) -> ApiResult<Vec<Change>> {
    let mut changes = Vec::new();
    let account = shared.store.read(|rx| accounts::get(rx, row.account)).map_err(errors::store)?;
    for (n, step) in row.steps.iter().enumerate().filter(|(_, step)| step.is_live()) {
        let (was, text) = match step.kind {
            StepKind::Comment => (old.comment.as_ref(), new.comment.as_ref()),
            StepKind::Post | StepKind::Thread => (old.parts.get(n), new.parts.get(n)),
        };
        let Some(text) = text.filter(|_| was != text) else { continue };
        let platform = platforms::find(row.name.platform());
        let (Some(platform), Some(account)) = (platform, account.clone()) else {
            return Err(errors::unknown_account(&row.name, &[]));
        };
        let Some(request) = platform.edit(&account, step, text) else {
            let title = row.name.platform().title();
            return Err(too_late(format!(
                "{title} does not let the {} on {} be changed",
                step.kind.as_str(),
                row.name
            )));
        };
        changes.push(Change {
            what: format!("{} {} on {}", step.kind.as_str(), n + 1, row.name),
            account,
            platform,
            request,
        });
    }
    Ok(changes)
}

async fn carry_out(shared: &Arc<Shared>, changes: Vec<Change>) -> ApiResult<()> {
    let mut done: Vec<String> = Vec::new();
    for change in changes {
        let read = |reply| match reply {
            Reply::Answer(answer) => change.platform.edited(&answer, shared.now()),
            Reply::Unfit(failure) => Err(failure),
            Reply::NotSent(message) | Reply::Lost(message) => Err(Failure::transient(message)),
        };
        let call = calls::call_fresh(shared, change.account.id, &change.request, read);
        if let Err(failure) = call.await {
            let mut message = format!("{} is not changed: {}", change.what, failure.message);
            if !done.is_empty() {
                message = format!("{message}; changed is {}", done.join(", "));
            }
            let again = "give the command again: what is changed already is changed to the same words";
            let hint = failure.hint.map_or_else(|| again.to_owned(), |it| format!("{it}; then {again}"));
            return Err(ApiError::new(ErrorKind::Failed, "edit_failed", message).hint(hint));
        }
        done.push(change.what);
    }
    Ok(())
}

fn too_late(message: impl Into<String>) -> ApiError {
    ApiError::conflict("too_late", message).hint("delete it and post it anew")
}
