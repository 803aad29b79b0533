//! What TikTok sends word of. It makes nothing true: a word has the daemon look at once where it would
//! have looked anyway, later.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::shared::Shared;
use super::{posts, tokens};
use crate::auth::tiktok::webhook::{self, Told, Word};
use crate::domain::delivery::{Delivery, LEFT, Said, State};
use crate::domain::ids::{AccountId, DeliveryId, PlatformName};
use crate::engine::Input;
use crate::engine::ask::Ask;
use crate::store::{StoreError, accounts, deliveries};
use crate::web::webhook::Heard;

/// Deliveries in doubt, of all accounts, that are searched for a task; as a rule there are a few.
const MOST: usize = 10_000;

/// Checks a word, and acts on it when it is answered: TikTok wants its answer at once.
pub(super) fn hear(shared: &Arc<Shared>, signature: &str, body: &Bytes) -> Heard {
    let secret = match shared.client_secret(PlatformName::TikTok) {
        Some(Ok(secret)) => secret,
        Some(Err(error)) => {
            tracing::error!(%error, "a webhook of TikTok's cannot be checked");
            return Heard::NotNow;
        }
        None => return Heard::No,
    };
    let word = match webhook::verify(signature, body, &secret, shared.now()) {
        Ok(word) => word,
        // What it held is not written down: it may be anybody's.
        Err(why) => {
            tracing::warn!(%why, "a webhook of TikTok's was not believed; nothing was done");
            return Heard::No;
        }
    };
    let config = shared.config();
    if config.platform(PlatformName::TikTok).client_id.as_ref() != Some(&word.client_key) {
        tracing::warn!("a webhook of TikTok's is for another app; nothing was done");
        return Heard::Yes;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(error) = act(&shared, word).await {
            tracing::warn!(%error, "what TikTok sent word of could not be looked at; it is looked at later");
        }
    });
    Heard::Yes
}

async fn act(shared: &Arc<Shared>, word: Word) -> Result<(), StoreError> {
    let whose = |open_id: &str| {
        let read = shared.store.read(|rx| accounts::by_remote(rx, PlatformName::TikTok, open_id));
        read.inspect(|it| {
            if it.is_none() {
                tracing::debug!("a webhook of TikTok's is about nobody here");
            }
        })
    };
    let Some(account) = whose(&word.open_id)? else { return Ok(()) };
    match word.told {
        Told::Task(task) => look(shared, account, &task).await,
        Told::Removed => {
            // Whoever connected again since has a younger token, which is left alone. Of an older one the
            // network itself says whether it has ended, and then the account is marked.
            tokens::refresh(shared, account, word.at).await;
            shared.send(Input::AccountChanged(account));
            Ok(())
        }
        Told::Other => Ok(()),
    }
}

/// Looks at once at what a task was to become.
async fn look(shared: &Arc<Shared>, account: AccountId, task: &str) -> Result<(), StoreError> {
    let rows = shared.store.read(|rx| {
        let first = deliveries::behind(Timestamp::MIN);
        let page = deliveries::due_page(rx, State::Unknown, first, Timestamp::MAX, MOST)?;
        let ids = page.into_iter().map(|(_, _, id)| DeliveryId::from_u128(id));
        ids.map(|id| deliveries::get(rx, id)).collect::<Result<Vec<_>, _>>()
    })?;
    for row in rows.into_iter().flatten().filter(|it| it.account == account && is_about(it, task)) {
        // One that has moved on meanwhile needs no look.
        if let Err(error) = posts::grant(shared, row.id, &Ask::Look, shared.now()).await {
            tracing::debug!(delivery = %row.id, why = error.message, "not looked at for TikTok's word");
        }
    }
    shared.nudge();
    Ok(())
}

/// Whether the network calls what was sent by this name. What was left as it is, on the user's word, is
/// left.
fn is_about(row: &Delivery, task: &str) -> bool {
    let name = match &row.flight.said {
        Some(Said::Taken(name)) => Some(name),
        _ => row.flight.frozen.as_ref().map(|it| &it.marker),
    };
    name.is_some_and(|it| it == task) && row.reason.as_ref().is_none_or(|it| it.class != LEFT)
}
