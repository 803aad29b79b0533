//! A daily look at the tokens that nobody renews, on networks that tell how they stand: a token that has
//! died is known before a post meets it, and an end that comes is told ahead of its time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::wire::fill;
use super::{renewal, tokens};
use crate::auth::{AuthError, Grant, TokenState, Tools};
use crate::domain::account::{Account, AccountState};
use crate::domain::delivery::Reason;
use crate::domain::ids::AccountId;
use crate::domain::kind::Kind;
use crate::store::accounts;

/// How often a token is looked at, and how soon again after a look that showed nothing.
const EACH: SignedDuration = SignedDuration::from_hours(24);
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// LinkedIn calls a good token revoked for some seconds after it was issued
/// (github.com/tomasvotava/fastapi-sso/issues/196): so long no bad word on one is believed.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// When each account is looked at next. In memory: a start looks at all.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<AccountId, Timestamp>>);

impl Looks {
    /// Whether it is time; the next look is then an hour away, or a day once this one has shown something.
    fn due(&self, id: AccountId, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not put it off.
        let rests = all.get(&id).is_some_and(|at| now < *at && at.duration_since(now) <= EACH);
        if !rests {
            all.insert(id, renewal::later(now, AGAIN));
        }
        !rests
    }

    fn done(&self, id: AccountId, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, renewal::later(now, EACH));
    }
}

/// Looks at whatever is due.
pub(super) async fn round(shared: Arc<Shared>, now: Timestamp) {
    let all = match shared.store.read(accounts::list) {
        Ok(all) => all,
        Err(error) => return tracing::warn!(%error, "could not look at the accounts"),
    };
    for account in all.iter().filter(|it| it.reason.is_none() && it.state != AccountState::NeedsReconnect) {
        if shared.looks.due(account.id, now) {
            look(&shared, account, now).await;
        }
    }
}

/// What the network says of an account's token. `None`: it cannot be asked, or no app is configured for it.
pub(super) async fn ask(
    shared: &Shared,
    account: &Account,
    grant: &Grant,
    now: Timestamp,
) -> Option<Result<TokenState, AuthError>> {
    let kind = Kind::of(account.tier.as_deref());
    let provider = shared.provider_for(account.name.platform(), Some(kind)).ok()?;
    let wire = shared.wire();
    let tools = Tools { fixed: wire.fixed(), guarded: wire.guarded(), now, random: &fill };
    provider.inspect(tools, grant).await
}

/// Whether a grant is too new for a bad word on it to count.
pub(super) fn is_fresh(grant: &Grant, now: Timestamp) -> bool {
    now.duration_since(grant.issued_at) < FRESH
}

async fn look(shared: &Arc<Shared>, account: &Account, now: Timestamp) {
    let Ok(grant) = tokens::load(shared, account.id) else { return };
    if grant.refresh.is_some() {
        // What is renewed ends all the time, and the renewal shows whether the network still takes it.
        return shared.looks.done(account.id, now);
    }
    let state = match ask(shared, account, &grant, now).await {
        None => return shared.looks.done(account.id, now),
        Some(Err(error)) => {
            return tracing::info!(account = %account.name, %error, "the network does not say how the token stands");
        }
        Some(Ok(state)) => state,
    };
    if !state.is_valid && is_fresh(&grant, now) {
        return;
    }
    shared.looks.done(account.id, now);
    let (id, issued_at) = (account.id, account.issued_at);
    // Connected again meanwhile: it says nothing of the new token.
    let same = move |it: &Account| it.issued_at == issued_at;
    if !state.is_valid {
        let said = state.said.map(|it| format!(": {it}")).unwrap_or_default();
        let reason = Reason::new("account_dead", format!("the network no longer takes the token{said}"))
            .hint(account.connect_again());
        if let Err(error) = tokens::mark_dead(shared, id, issued_at, reason).await {
            tracing::warn!(%error, "could not note that a token has died");
        }
        return;
    }
    if (account.expires_at, account.data_access_ends_at) == (state.expires_at, state.data_access_expires_at) {
        return;
    }
    let written = shared.store.write(move |tx| {
        let Some(mut account) = accounts::get(tx, id)?.filter(same) else { return Ok(()) };
        account.expires_at = state.expires_at;
        account.data_access_ends_at = state.data_access_expires_at;
        accounts::put(tx, &account).map(drop)
    });
    if let Err(error) = written.await {
        tracing::warn!(%error, "could not note when a token ends");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_is_looked_at_once_a_day_and_sooner_after_a_look_that_failed() {
        let (looks, id) = (Looks::default(), AccountId::from_u128(1));
        let at = |hours: i64| Timestamp::from_second(1_900_000_000 + hours * 3600).unwrap();
        assert!(looks.due(id, at(0)) && !looks.due(id, at(0)));
        assert!(looks.due(id, at(1)), "it showed nothing");
        looks.done(id, at(1));
        assert!(!looks.due(id, at(24)) && looks.due(id, at(25)));
        looks.done(id, at(25));
        assert!(looks.due(id, at(-100)), "the clock was set back");
        assert!(looks.due(AccountId::from_u128(2), at(26)), "each for itself");
    }
}
