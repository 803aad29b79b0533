//! Everything of one person goes: asked for by them at the network, or by the operator for a letter.
//!
//! One commit hears the request: its row, with a keyed hash for a name, and the first step of the
//! disconnect of every account that lives by that person's consent. From then on it is the work of
//! [`disconnect`], which no crash stops; the request is closed when the last of them has its receipt.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::shared::Shared;
use super::{disconnect, errors, tokens, trail, view};
use crate::auth::{Found, Grant};
use crate::control::api::{ApiError, ApiResult, Caller};
use crate::control::messages as m;
use crate::domain::account::Account;
use crate::domain::door::Door;
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, PlatformName, ReceiptId};
use crate::engine::Input;
use crate::privacy::{Request, subject};
use crate::store::audit::{AuditRow, Receipt, Told, append, receipt};
use crate::store::{StoreError, accounts, requests, vault};

/// The longest id that is looked for.
const ID_MAX: usize = 255;
const HERE: &str = "this installation";
/// How far the network's clock and ours may be apart when it is judged which came first, a request or
/// the connection that it might mean.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The line in a request's outcome that says: what was given after it was asked stays.
const NEWER: (&str, &str) = ("connections made after the request", "kept");

/// The ids, other than its own, under which a network's app may name who consented to an account.
/// As keyed hashes: what names a person is kept no longer than it is needed.
pub(super) fn persons(shared: &Shared, account: &Account, grant: &Grant) -> Vec<String> {
    let app = match account.name.platform() {
        // Through a Page it is the person as the Facebook app knows them.
        PlatformName::Instagram if Door::of(account.tier.as_deref()) == Door::Facebook => {
            PlatformName::Facebook
        }
        other => other,
    };
    grant.person.iter().map(|it| hex(&subject(&shared.receipts, app, &it.id))).collect()
}

/// The id under which the account itself is known to the app that it came through, as [`persons`].
pub(super) fn known_as(shared: &Shared, account: &Account, found: &Found) -> Option<String> {
    let id = found.app_scoped_id.as_deref()?;
    Some(hex(&subject(&shared.receipts, account.name.platform(), id)))
}

/// Whether an account lives by the consent of this person, or is this person.
fn belongs(shared: &Shared, account: &Account, whose: &str) -> bool {
    let own = || hex(&subject(&shared.receipts, account.name.platform(), &account.remote_id));
    account.persons.iter().any(|it| it == whose) || own() == whose
}

/// Accounts from before `persons` was kept: their grants know.
fn by_grant(shared: &Shared, whose: &str) -> Result<Vec<AccountId>, StoreError> {
    use PlatformName as P;
    let mut silent = shared.store.read(accounts::list)?;
    silent.retain(|it| {
        it.persons.is_empty() && matches!(it.name.platform(), P::Facebook | P::Instagram | P::Threads)
    });
    let theirs = silent.into_iter().filter(|it| {
        let grant = tokens::load(shared, it.id);
        grant.is_ok_and(|grant| persons(shared, it, &grant).iter().any(|it| it == whose))
    });
    Ok(theirs.map(|it| it.id).collect())
}

/// Whether somebody was connected again after they had asked, and that connection was kept.
pub(super) fn kept_newer(request: &Receipt) -> bool {
    request.outcome.iter().any(|(what, result)| (what.as_str(), result.as_str()) == NEWER)
}

/// Who asks, and how.
pub(super) struct Asked {
    pub(super) kind: Request,
    /// The network whose app knows them.
    pub(super) app: PlatformName,
    /// Their id at that app.
    pub(super) user: String,
    /// When they asked, where that is told. What was connected after that they cannot have meant: a
    /// request may come late, or again.
    pub(super) at: Option<Timestamp>,
    /// For the audit trail.
    pub(super) actor: String,
}

/// A request as it was heard.
pub(super) struct Heard {
    /// Its row.
    pub(super) request: Receipt,
    /// This call added something to it.
    pub(super) is_news: bool,
}

/// Hears a request: on return it is durable. Who asks again is answered the same, unless an account
/// was connected since that the request means.
pub(super) async fn hear(shared: &Arc<Shared>, asked: Asked) -> Result<Heard, StoreError> {
    let Asked { kind, app, user, at, actor } = asked;
    let whose = hex(&subject(&shared.receipts, app, &user));
    let silent = by_grant(shared, &whose)?;
    let now = shared.now();
    let until = at.map(|it| it.saturating_add(SKEW).unwrap_or(Timestamp::MAX));
    let fresh = Receipt {
        told: Vec::new(),
        id: ReceiptId::new(now, Shared::random()),
        kind: kind.as_str().into(),
        subject: whose.clone(),
        code: hex(&Shared::random::<16>()),
        requested_at: now,
        finished_at: None,
        outcome: Vec::new(),
        parts: Vec::new(),
    };
    let inside = Arc::clone(shared);
    let begun = shared.store.write(move |tx| {
        let mut theirs = accounts::list(tx)?;
        theirs.retain(|it| belongs(&inside, it, &whose) || silent.contains(&it.id));
        let all = theirs.len();
        theirs.retain(|it| until.is_none_or(|until| it.connected_at <= until));
        let newer = theirs.len() < all;
        let known = requests::latest(tx, &whose)?;
        // One that found nothing says so, and whether that is all of the truth may have changed.
        let still_true = |it: &Receipt| !it.parts.is_empty() || kept_newer(it) == newer;
        let known = known.filter(|it| it.finished_at.is_none() || theirs.is_empty() && still_true(it));
        let mut is_news = known.is_none();
        let mut request = known.unwrap_or_else(|| fresh.clone());
        if newer && request.finished_at.is_none() && !kept_newer(&request) {
            request.outcome.push((NEWER.0.to_owned(), NEWER.1.to_owned()));
            is_news = true;
        }
        for account in &theirs {
            let erasure = vault::begin_erasure(tx, &disconnect::erasure(&inside, account))?;
            if !request.parts.contains(&erasure.receipt) {
                request.parts.push(erasure.receipt);
                is_news = true;
            }
        }
        if is_news {
            if request.parts.is_empty() {
                request.finished_at = Some(now);
            }
            requests::put(tx, &request)?;
            let row = AuditRow {
                at: now,
                actor: actor.clone(),
                action: format!("privacy.{}", kind.as_str()),
                // The receipt, not the person: this trail outlives them.
                subject: Some(request.id.to_string()),
                outcome: "ok".into(),
            };
            append(tx, &row)?;
        }
        Ok((request, is_news, theirs))
    });
    let (request, is_news, theirs) = begun.await?;
    if is_news && !theirs.is_empty() {
        let names: Vec<_> = theirs.iter().map(|it| it.name.to_string()).collect();
        let why = match kind {
            Request::Deauthorize => "a person removed the app",
            Request::DataDeletion => "a person asked that their data be deleted",
            Request::Erase => "a person's data is erased",
        };
        let text = format!("{}: {why}; disconnecting {}", app.title(), names.join(", "));
        shared.announce(view::happening(now, "warn", &format!("privacy.{}", kind.as_str()), &text));
    }
    tracing::info!(request = %request.id, kind = kind.as_str(), accounts = theirs.len(), is_news, "a request for deletion");
    for account in theirs {
        // The lane looks at the account anew, and stops.
        shared.send(Input::AccountChanged(account.id));
    }
    Ok(Heard { request, is_news })
}

/// Carries a request to its end: every account of it is disconnected, then it is closed. Gives what
/// the disconnects said, where they said it to us.
pub(super) async fn settle(shared: &Arc<Shared>, request: &Receipt) -> ApiResult<Vec<m::Receipt>> {
    shared.rehearsal.point("request heard").await;
    let mut said = Vec::new();
    for erasure in shared.store.read(vault::erasures).map_err(errors::store)? {
        if !request.parts.contains(&erasure.receipt) {
            continue;
        }
        match disconnect::finish(shared, erasure.account).await {
            Ok(receipt) => said.push(receipt),
            // Somebody else was quicker; if not, it is tried again within a minute.
            Err(error) => tracing::debug!(account = %erasure.name, error = %error.message, "not by us"),
        }
    }
    shared.rehearsal.point("request not closed").await;
    close(shared, request.id).await.map_err(errors::store)?;
    Ok(said)
}

/// Closes a request all of whose accounts are gone.
async fn close(shared: &Shared, id: ReceiptId) -> Result<(), StoreError> {
    let now = shared.now();
    shared
        .store
        .write(move |tx| {
            let Some(mut request) = receipt(tx, id)?.filter(|it| it.finished_at.is_none()) else {
                return Ok(());
            };
            // What was said of it when it was heard stays.
            let (mut outcome, mut told) = (request.outcome.clone(), request.told.clone());
            told.resize_with(outcome.len(), Told::default);
            for part in &request.parts {
                match receipt(tx, *part)? {
                    Some(done) => {
                        outcome.extend(done.outcome);
                        told.extend(done.told);
                        // What an older version wrote has none.
                        told.resize_with(outcome.len(), Told::default);
                    }
                    // Its disconnect is still under way.
                    None => return Ok(()),
                }
            }
            (request.outcome, request.told) = (outcome, told);
            request.finished_at = Some(now);
            requests::put(tx, &request)
        })
        .await
}

/// Goes on with every request that is not closed: after a crash, and after a failure that may have
/// passed. Does not wait for them.
pub(super) fn resume(shared: &Arc<Shared>) -> Result<(), StoreError> {
    for id in shared.store.read(requests::open)? {
        let Some(request) = shared.store.read(|rx| receipt(rx, id))? else { continue };
        in_background(shared, request);
    }
    Ok(())
}

/// [`settle`], for whom nobody waits.
pub(super) fn in_background(shared: &Arc<Shared>, request: Receipt) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(error) = settle(&shared, &request).await {
            tracing::error!(request = %request.id, error = %error.message, "a request for deletion is not finished; it is tried again");
        }
    });
}

/// `erase --platform-user PLATFORM:ID`: for a request that came by letter.
pub(super) async fn platform_user(
    shared: &Arc<Shared>,
    by: Caller,
    whom: &str,
) -> ApiResult<m::ReceiptAnswer> {
    let (app, user) = parse(whom)?;
    let asked = Asked {
        kind: Request::Erase,
        app,
        user: user.to_owned(),
        // The operator means what there is.
        at: None,
        actor: trail::actor(Some(by)),
    };
    let heard = hear(shared, asked).await.map_err(errors::store)?;
    let request = heard.request;
    let said = settle(shared, &request).await?;
    let now = shared.now();
    let stored = shared.store.read(|rx| {
        let parts = request.parts.iter().map(|part| Ok((*part, receipt(rx, *part)?)));
        parts.collect::<Result<Vec<_>, StoreError>>()
    });
    let mut said: HashMap<String, m::Receipt> = said.into_iter().map(|it| (it.id.clone(), it)).collect();
    let mut items = Vec::new();
    for (part, stored) in stored.map_err(errors::store)? {
        match (said.remove(&part.to_string()), stored) {
            (Some(told), _) => items.extend(
                told.items
                    .into_iter()
                    .map(|it| m::ReceiptItem { what: format!("{}: {}", told.subject, it.what), ..it }),
            ),
            (None, Some(stored)) => items.extend(stored.outcome.iter().map(|(what, result)| {
                let result = m::Outcome::from_word(result).unwrap_or(m::Outcome::Failed);
                item(what, result, None, None)
            })),
            (None, None) => items.push(item(
                "account",
                m::Outcome::Failed,
                Some("it is not gone yet; the daemon goes on with it"),
                Some("run the command again to see what it came to"),
            )),
        }
    }
    if items.is_empty() {
        let nothing = "nothing here belongs to this id";
        let hint = "an id is the one by which the network's app knows the person; see `sendoff account list`";
        items.push(item("accounts", m::Outcome::Done, Some(nothing), Some(hint)));
    }
    let receipt = m::Receipt { id: request.id.to_string(), at: now, subject: whom.to_owned(), items };
    Ok(m::ReceiptAnswer { receipt })
}

fn item(what: &str, result: m::Outcome, message: Option<&str>, hint: Option<&str>) -> m::ReceiptItem {
    m::ReceiptItem {
        what: what.to_owned(),
        r#where: HERE.to_owned(),
        result,
        message: message.map(str::to_owned),
        hint: hint.map(str::to_owned),
    }
}

/// `PLATFORM:ID`. Ids may hold colons themselves.
fn parse(whom: &str) -> ApiResult<(PlatformName, &str)> {
    let bad = |message: String| {
        ApiError::bad_request("bad_platform_user", message)
            .hint("write `PLATFORM:ID` with the network's id of the person, e.g. `facebook:10220001`")
    };
    let (app, user) =
        whom.split_once(':').ok_or_else(|| bad(format!("`{}` names no network", shown(whom))))?;
    let app: PlatformName = app.parse().map_err(|error: crate::domain::ids::BadName| bad(error.message))?;
    let fits = (1..=ID_MAX).contains(&user.len()) && user.bytes().all(|it| it.is_ascii_graphic());
    if fits { Ok((app, user)) } else { Err(bad(format!("`{}` is not an id of a network", shown(user)))) }
}

/// The beginning of what was written, fit for a message.
fn shown(text: &str) -> String {
    crate::http::terminal::clean_line(&text.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_hold_colons_and_nothing_that_is_not_printable() {
        assert_eq!(parse("facebook:1022").unwrap(), (PlatformName::Facebook, "1022"));
        assert_eq!(parse("bluesky:did:plc:abc").unwrap(), (PlatformName::Bluesky, "did:plc:abc"));
        let long = format!("x:{}", "1".repeat(ID_MAX + 1));
        for (bad, part) in [
            ("1022", "names no network"),
            ("", "names no network"),
            ("myspace:1", "is not a platform"),
            ("facebook:", "is not an id"),
            ("facebook:1 2", "is not an id"),
            ("facebook:1\u{1b}[31m", "is not an id"),
            (long.as_str(), "is not an id"),
        ] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.code, "bad_platform_user");
            assert!(error.message.contains(part) && error.hint.is_some(), "{bad}: {error:?}");
            assert!(error.message.len() < 200 && !error.message.contains('\u{1b}'), "{error:?}");
        }
    }
}
