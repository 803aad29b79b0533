//! `post delete`: from the networks first, where they allow it, then here.

use std::sync::Arc;

use super::posts::{Named, named};
use super::shared::Shared;
use super::{calls, errors, files};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::domain::delivery::{Delivery, State};
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, MediaId, PostId, ReceiptId};
use crate::engine::Reply;
use crate::platforms::{self, Deletion, Failure};
use crate::store::audit::{Receipt, Told, put_receipt};
use crate::store::{accounts, deliveries, posts};

pub(super) async fn delete(shared: &Arc<Shared>, id: &str, local_only: bool) -> ApiResult<m::ReceiptAnswer> {
    let Named::Post(post_id) = named(id)? else {
        return Err(ApiError::bad_request("not_a_post", "only a whole post (`pst_…`) can be deleted"));
    };
    let (post, rows) = shared
        .store
        .read(|rx| Ok((posts::need(rx, post_id)?, deliveries::of_post(rx, post_id)?)))
        .map_err(|error| errors::of_id(error, id))?;
    if let Some(open) = rows.iter().find(|it| !it.state.is_terminal()) {
        let hint = match open.state {
            State::Unknown => "wait until it is settled; it may be live",
            _ => "`sendoff post cancel` takes it back first",
        };
        return Err(ApiError::conflict(
            "not_over",
            format!("{} is still {}", open.name, open.state.as_str()),
        )
        .hint(hint));
    }
    let (mut items, mut whose) = (Vec::new(), Vec::new());
    if !local_only {
        for delivery in &rows {
            items.extend(from_network(shared, delivery).await?);
            whose.resize(items.len(), Some((delivery.account, delivery.name.to_string())));
        }
    }
    let failed = items.iter().any(|it| it.result == m::Outcome::Failed);
    if !failed {
        items.push(forget(shared, post_id, &post.media.iter().map(|it| it.id).collect::<Vec<_>>()).await?);
    }
    let receipt = m::Receipt {
        id: ReceiptId::new(shared.now(), Shared::random()).to_string(),
        at: shared.now(),
        subject: id.to_owned(),
        items,
    };
    keep(shared, &receipt, &whose, post_id).await?;
    Ok(m::ReceiptAnswer { receipt })
}

/// Every live object of one delivery, the last first: a reply is never left without its parent
/// longer than needed.
async fn from_network(shared: &Arc<Shared>, delivery: &Delivery) -> ApiResult<Vec<m::ReceiptItem>> {
    let mut items = Vec::new();
    let Some(platform) = platforms::find(delivery.name.platform()) else { return Ok(items) };
    let account = shared.store.read(|rx| accounts::get(rx, delivery.account)).map_err(errors::store)?;
    for (n, step) in delivery.steps.iter().enumerate().rev() {
        if !step.is_live() {
            continue;
        }
        // Live for certain, under an id that the network does not tell.
        let remote_id = step.remote_id.as_deref().unwrap_or_default();
        let what = format!("{} {} on {}", step.kind.as_str(), n + 1, delivery.name);
        let place = step.permalink.clone().unwrap_or_else(|| remote_id.to_owned());
        let done = |result, message, hint| m::ReceiptItem {
            what: what.clone(),
            r#where: place.clone(),
            result,
            message,
            hint,
        };
        let Some(account) = &account else {
            items.push(done(
                m::Outcome::NotPossible,
                Some("the account is no longer connected".to_owned()),
                Some("delete it on the network yourself".to_owned()),
            ));
            continue;
        };
        let Some(request) = platform.delete(account, remote_id) else {
            let why = match step.remote_id {
                None if platform.capabilities(account.tier.as_deref()).can_delete => {
                    "the network has not told its id"
                }
                _ => platform.not_deletable(account),
            };
            let hint = platform.delete_by_hand(account).to_owned();
            items.push(done(m::Outcome::NotPossible, Some(why.to_owned()), Some(hint)));
            continue;
        };
        let read = |reply| match reply {
            Reply::Answer(answer) => match platform.deleted(&answer, shared.now()) {
                Deletion::Done => Ok(()),
                Deletion::Failed(failure) => Err(failure),
            },
            Reply::Unfit(failure) => Err(failure),
            Reply::NotSent(message) | Reply::Lost(message) => {
                Err(Failure { hint: Some("run the command again".into()), ..Failure::transient(message) })
            }
        };
        items.push(match calls::call_fresh(shared, account.id, &request, read).await {
            Ok(()) => done(m::Outcome::Done, None, None),
            Err(failure) => done(m::Outcome::Failed, Some(failure.message), failure.hint),
        });
    }
    Ok(items)
}

/// The rows and files here. A marker that was live is buried: nothing may bring the post back.
async fn forget(shared: &Arc<Shared>, id: PostId, media: &[MediaId]) -> ApiResult<m::ReceiptItem> {
    let now = shared.now();
    let ids = media.to_vec();
    let unused = shared
        .store
        .write(move |tx| {
            for delivery in deliveries::of_post(tx, id)? {
                for remote in delivery.steps.iter().filter_map(|it| it.remote_id.as_deref()) {
                    let marker = remote.rsplit('/').next().unwrap_or(remote);
                    deliveries::bury(tx, delivery.account, marker, now)?;
                }
            }
            posts::delete(tx, id)?;
            files::drop_unused(tx, &ids)
        })
        .await
        .map_err(errors::store)?;
    files::remove(&shared.library, &unused);
    Ok(m::ReceiptItem {
        what: "text, media and history".into(),
        r#where: "this installation".into(),
        result: m::Outcome::Done,
        message: None,
        hint: None,
    })
}

async fn keep(
    shared: &Shared,
    receipt: &m::Receipt,
    whose: &[Option<(AccountId, String)>],
    post: PostId,
) -> ApiResult<()> {
    let told = |(n, it): (usize, &m::ReceiptItem)| Told {
        account: whose.get(n).and_then(|it| it.as_ref().map(|it| it.0)),
        place: Some(it.r#where.clone()),
        message: it.message.clone(),
        hint: it.hint.clone(),
    };
    // The account's name is its own, and changes or goes with it: it is looked up when this is shown.
    let what = |(n, it): (usize, &m::ReceiptItem)| {
        let behind = whose.get(n).and_then(|it| Some(format!(" on {}", it.as_ref()?.1)));
        let short = behind.and_then(|behind| it.what.strip_suffix(&behind)).unwrap_or(&it.what);
        (short.to_owned(), it.result.as_str().to_owned())
    };
    let stored = Receipt {
        id: receipt.id.parse().map_err(errors::bad_name)?,
        kind: "post_delete".into(),
        subject: hex(&shared.receipts.sign(&[b"subject", post.to_string().as_bytes()])),
        code: hex(&Shared::random::<16>()),
        requested_at: receipt.at,
        finished_at: Some(receipt.at),
        outcome: receipt.items.iter().enumerate().map(what).collect(),
        told: receipt.items.iter().enumerate().map(told).collect(),
        parts: Vec::new(),
    };
    shared.store.write(move |tx| put_receipt(tx, &stored)).await.map_err(errors::store)
}
