//! The user's word on a delivery whose fate looking could not settle.

use std::sync::Arc;

use super::posts::{grant, show};
use super::shared::Shared;
use super::{calls, errors};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::delivery::{Delivery, Live, State, Step};
use crate::domain::ids::DeliveryId;
use crate::engine::ask::Ask;
use crate::engine::{Refreshed, Reply};
use crate::platforms::{self, FailureClass, Sight};
use crate::store::{accounts, deliveries};

pub(super) async fn resolve(shared: &Arc<Shared>, id: &str, word: r::Resolve) -> ApiResult<m::Post> {
    if !id.starts_with(DeliveryId::PREFIX) {
        return Err(ApiError::bad_request("not_a_delivery", format!("`{id}` is not a delivery"))
            .hint("each account is settled by itself: `sendoff post show` names its deliveries, dlv_…"));
    }
    let id: DeliveryId = id.parse().map_err(|error| {
        errors::bad_name(error).hint("`sendoff post list --state held` shows what waits for you")
    })?;
    let delivery = shared.store.read(|rx| deliveries::need(rx, id)).map_err(|error| {
        errors::of_id(error, &id.to_string())
            .hint("`sendoff post list --state held` shows what waits for you")
    })?;
    if delivery.state != State::Unknown {
        return Err(ApiError::conflict(
            "not_held",
            format!(
                "delivery `{id}` is {}; only one whose fate is unknown can be resolved",
                delivery.state.as_str()
            ),
        ));
    }
    let ask = match word {
        r::Resolve { published: Some(url), resend: false, leave: false } => {
            Ask::Live(live(shared, &delivery, &url).await?)
        }
        r::Resolve { published: None, resend: true, leave: false } => Ask::Resend,
        r::Resolve { published: None, resend: false, leave: true } => Ask::Leave,
        _ => {
            return Err(ApiError::bad_request("no_word", "say exactly one of published, resend, leave"));
        }
    };
    grant(shared, id, &ask, shared.now()).await?;
    shared.nudge();
    show(shared, delivery.post)
}

/// What the address names, looked at on the network where it can be: a typing error must not become
/// a published post.
async fn live(shared: &Arc<Shared>, delivery: &Delivery, url: &str) -> ApiResult<Live> {
    let wrong = |message: String| ApiError::bad_request("not_its_address", message);
    let account = shared.store.read(|rx| accounts::get(rx, delivery.account)).map_err(errors::store)?;
    let (Some(account), Some(platform)) = (account, platforms::find(delivery.name.platform())) else {
        return Err(ApiError::conflict(
            "account_gone",
            format!("account `{}` is no longer connected", delivery.name),
        ));
    };
    let remote_id = platform.remote_id_of(&account, url).ok_or_else(|| {
        wrong(format!("`{url}` is not the address of a post of {}", delivery.name))
            .hint("open the post on the network and copy the address from there")
    })?;
    let owner =
        shared.store.read(|rx| deliveries::bound(rx, delivery.account, &remote_id)).map_err(errors::store)?;
    if let Some((owner, _)) = owner.filter(|(owner, _)| *owner != delivery.id) {
        return Err(wrong(format!("that post belongs to delivery `{owner}` already"))
            .hint(format!("`sendoff post show {owner}`")));
    }
    let kind = delivery.current().map_or(crate::domain::delivery::StepKind::Post, |it| it.kind);
    let step = Step { remote_id: Some(remote_id), permalink: Some(url.to_owned()), ..Step::new(kind) };
    let said = Live {
        remote_id: step.remote_id.clone(),
        permalink: step.permalink.clone(),
        extra: step.extra.clone(),
        verified: false,
    };
    let Some(request) = platform.read_back(&account, &step) else { return Ok(said) };
    for fresh in [false, true] {
        let reply = calls::call(shared, account.id, &request).await;
        let sight = match reply {
            Reply::Answer(answer) => platform.confirmed(&step, &answer, shared.now()),
            // The user has looked; our not being able to is no reason to doubt it.
            Reply::NotSent(_) | Reply::Unfit(_) | Reply::Lost(_) => return Ok(said),
        };
        match sight {
            Sight::Found(live) => return Ok(Live { permalink: step.permalink.clone(), ..live }),
            Sight::Absent | Sight::Gone | Sight::Failed(_) => {
                return Err(wrong(format!("{} has no post at that address", account.name.platform()))
                    .hint("check the address, or say --resend if it is not live"));
            }
            Sight::Unclear(failure) if failure.class == FailureClass::AuthExpired && !fresh => {
                let outcome = super::tokens::refresh(shared, account.id, shared.now()).await;
                if !matches!(outcome, Refreshed::Fresh(_)) {
                    return Ok(said);
                }
            }
            Sight::HandedOver(_)
            | Sight::More(_)
            | Sight::Unclear(_)
            | Sight::Unlisted(_)
            | Sight::Out(_)
            | Sight::Disputed { .. } => return Ok(said),
        }
    }
    Ok(said)
}
