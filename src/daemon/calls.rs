//! What a request needs besides itself: the account's token, its files, the links to them.

use std::sync::Arc;

use jiff::Timestamp;

use super::body::Part;
use super::files::{self, Unready};
use super::progress::Whose;
use super::shared::Shared;
use super::tokens::TokenError;
use super::wire::Parcel;
use super::{quota, spend, tokens};
use crate::domain::account::Account;
use crate::domain::ids::{AccountId, DeliveryId};
use crate::engine::{Refreshed, Reply};
use crate::platforms::{self, Failure, FailureClass, Request, UploadScheme};
use crate::store::{accounts, deliveries};

/// One call that is safe to repeat, beside the deliveries.
pub(super) async fn call(shared: &Arc<Shared>, account: AccountId, request: &Request) -> Reply {
    call_for(shared, account, None, request, true).await
}

/// [`call`], and once more with a fresh token if the network says that the token has ended. `read`: what
/// a reply means.
pub(super) async fn call_fresh<T>(
    shared: &Arc<Shared>,
    account: AccountId,
    request: &Request,
    read: impl Fn(Reply) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let outcome = read(call(shared, account, request).await);
    if matches!(&outcome, Err(Failure { class: FailureClass::AuthExpired, .. }))
        && let Refreshed::Fresh(_) = tokens::refresh(shared, account, shared.now()).await
    {
        return read(call(shared, account, request).await);
    }
    outcome
}

/// One call that is safe to repeat. `delivery`: whose links and whose progress it is. `counts`: what it
/// costs is not counted yet.
pub(super) async fn call_for(
    shared: &Arc<Shared>,
    account: AccountId,
    delivery: Option<DeliveryId>,
    request: &Request,
    counts: bool,
) -> Reply {
    match contents_of(shared, account, delivery, request).await {
        Ok(contents) => {
            let bill = if counts { spend::ahead(shared, &contents.account, request).await } else { Ok(None) };
            let bill = match bill {
                Ok(bill) => bill,
                Err(error) => return ours(&error),
            };
            let parcel = contents.parcel(shared, request);
            let reply = shared.wire().call(request, parcel).await;
            spend::after(shared, bill, request, &reply);
            quota::keep(shared, contents.told(request, &reply, shared.now()));
            reply
        }
        Err(reply) => reply,
    }
}

/// What a request needs besides itself.
pub(super) struct Contents {
    account: Account,
    grant: Option<crate::auth::Grant>,
    parts: Vec<Part>,
    /// Whose upload it is, if it is one.
    whose: Option<Whose>,
}

impl Contents {
    /// What the answer says of the account's limits.
    pub(super) fn told(&self, request: &Request, reply: &Reply, now: Timestamp) -> quota::Told {
        quota::told(&self.account, request, reply, now)
    }

    pub(super) fn parcel<'a>(&'a self, shared: &Shared, request: &Request) -> Parcel<'a> {
        let platform = platforms::find(self.account.name.platform());
        let version = shared.api_version(&self.account);
        Parcel {
            headers: platform.map_or_else(Vec::new, |it| it.headers(request, version.as_deref())),
            upload_scheme: platform.map_or(UploadScheme::Bearer, platforms::Platform::upload_scheme),
            base: shared.base(&self.account, request),
            site: shared.site(&self.account),
            account: &self.account,
            grant: self.grant.as_ref(),
            app_secret: shared.app_secret(&self.account),
            parts: self.parts.clone(),
            progress: self.whose.clone().map(|whose| (shared.progress.clone(), whose)),
            now: shared.now(),
        }
    }
}

/// A fault of this house, which passes. Nothing left it, and the network has no part in it.
pub(super) fn ours(why: &dyn std::fmt::Display) -> Reply {
    Reply::Unfit(Failure::transient(why.to_string()))
}

/// No token to sign in with. Where there is none, or none that a key opens (the store is older than the keys,
/// or the other way round), only the person can bring one.
fn tokenless(account: &Account, error: &TokenError) -> Reply {
    match error {
        TokenError::Store(error) => ours(error),
        TokenError::None | TokenError::Sealed(_) => Reply::Unfit(Failure {
            class: FailureClass::AccountDead,
            hint: Some(account.connect_again()),
            ..Failure::transient(error.to_string())
        }),
    }
}

pub(super) async fn contents_of(
    shared: &Arc<Shared>,
    account: AccountId,
    delivery: Option<DeliveryId>,
    request: &Request,
) -> Result<Contents, Reply> {
    let found = shared.store.read(|rx| accounts::get(rx, account)).map_err(|error| ours(&error))?;
    let account_row = found.ok_or_else(|| ours(&"the account is no longer connected"))?;
    let grant = if request.auth {
        Some(tokens::load(shared, account).map_err(|error| tokenless(&account_row, &error))?)
    } else {
        None
    };
    let mut parts = Vec::new();
    for (part, is_link) in request.body.files() {
        // Opened for a link as well: a file that is not in order is better found here than there, and
        // a conversion is done before the network comes for it.
        let ready = files::open(shared, part).await.map_err(|unready| match unready {
            Unready::Now(why) => ours(&why),
            Unready::Ever(failure) => Reply::Unfit(failure),
        })?;
        parts.push(match (is_link, delivery) {
            (false, _) => Part::File(ready),
            (true, Some(id)) => {
                let public_url = &shared.config().server.public_url;
                Part::Link(shared.links.address(public_url, id, part, shared.now()))
            }
            (true, None) => return Err(ours(&"a link belongs to a delivery")),
        });
    }
    let mut whose = None;
    if let (Some(id), true) = (delivery, parts.iter().any(|it| matches!(it, Part::File(_)))) {
        let row = shared.store.read(|rx| deliveries::need(rx, id)).map_err(|error| ours(&error))?;
        whose = Some(Whose::of(&row));
    }
    Ok(Contents { account: account_row, grant, parts, whose })
}
