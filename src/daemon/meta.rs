//! Meta's callbacks, behind the public listener: who signed them, whom they are about, and what the
//! page behind a confirmation code says.

use std::sync::Arc;

use jiff::Timestamp;

use super::erase;
use super::shared::Shared;
use crate::auth::signed_request::{BadSignedRequest, SignedRequest, verify};
use crate::config::secret::SecretError;
use crate::domain::ids::PlatformName;
use crate::privacy::Request;
use crate::store::StoreError;
use crate::store::audit::{Receipt, receipt_by_code};
use crate::web::meta::{Ask, Deletion, Heard, Standing};

/// Whether this app's callbacks answer (TikTok's webhook too): it must have a secret of its own.
pub(super) fn hears(shared: &Shared, app: PlatformName) -> bool {
    shared.config().platform(app).client_secret.is_some()
}

/// Who may sign for an app. Facebook's callbacks are signed with its app's secret. For the other two,
/// Meta does not say whether it takes their own or that of the Meta app they belong to.
fn signers(app: PlatformName) -> &'static [PlatformName] {
    use PlatformName as P;
    match app {
        P::Instagram => &[P::Instagram, P::Facebook],
        P::Threads => &[P::Threads, P::Facebook],
        _ => &[P::Facebook],
    }
}

/// Checks a callback, and writes down what it asks for.
pub(super) async fn hear(shared: &Arc<Shared>, app: PlatformName, ask: Ask, signed_request: &str) -> Heard {
    let said = match believed(shared, app, signed_request) {
        Ok(Ok(said)) => said,
        // What it held is not written down: it may be anybody's.
        Ok(Err(why)) => {
            tracing::warn!(%app, ?ask, %why, "a callback of Meta's was not believed; nothing was changed");
            return Heard::No;
        }
        Err(error) => {
            tracing::error!(%app, %error, "a callback of Meta's cannot be checked");
            return Heard::NotNow;
        }
    };
    let kind = match ask {
        Ask::Deauthorize => Request::Deauthorize,
        Ask::DataDeletion => Request::DataDeletion,
    };
    // A Page that removes the app is an account's own id.
    let Some(whom) = said.user_id.or(said.page_id) else {
        tracing::warn!(%app, ?ask, "a callback of Meta's names nobody; nothing was changed");
        return Heard::No;
    };
    let actor = app.as_str().to_owned();
    let asked = erase::Asked { kind, app, user: whom, at: said.issued_at, actor };
    match erase::hear(shared, asked).await {
        Ok(heard) => {
            let code = heard.request.code.clone();
            if heard.is_news && heard.request.finished_at.is_none() {
                erase::in_background(shared, heard.request);
            }
            Heard::Yes(code)
        }
        Err(error) => {
            tracing::error!(%app, %error, "a request for deletion could not be written down");
            Heard::NotNow
        }
    }
}

fn believed(
    shared: &Shared,
    app: PlatformName,
    text: &str,
) -> Result<Result<SignedRequest, BadSignedRequest>, SecretError> {
    let mut refusal = BadSignedRequest::NoSecret;
    for (n, signer) in signers(app).iter().enumerate() {
        let secret = match shared.client_secret(*signer) {
            Some(Ok(secret)) => secret,
            Some(Err(error)) if n == 0 => return Err(error),
            None | Some(Err(_)) => continue,
        };
        match verify(text, &secret, shared.now()) {
            Ok(said) => {
                tracing::info!(%app, %signer, "a callback of Meta's is signed as it should be");
                return Ok(Ok(said));
            }
            // What the app's own secret says is the reason that is told.
            Err(why) if n == 0 => refusal = why,
            Err(_) => {}
        }
    }
    Ok(Err(refusal))
}

/// What the page behind a confirmation code says.
pub(super) fn deletion(shared: &Shared, code: &str) -> Option<Deletion> {
    match shared.store.read(|rx| receipt_by_code(rx, code)) {
        Ok(found) => page(&found?),
        Err(error) => {
            report(&error);
            None
        }
    }
}

fn report(error: &StoreError) {
    tracing::error!(%error, "a request for deletion could not be looked up");
}

/// The words for a request. Receipts of anything else have no page.
fn page(request: &Receipt) -> Option<Deletion> {
    Request::from_word(&request.kind)?;
    let asked = format!("code {} · asked {}", request.code, day(request.requested_at));
    let Some(finished) = request.finished_at else {
        return Some(Deletion {
            standing: Standing::Pending,
            title: "Your data is being deleted".into(),
            paragraphs: vec![
                "The request was received. Nothing is published in your name any more, and the deletion is \
                 under way; it usually takes less than a minute. Look at this page again later."
                    .into(),
            ],
            detail: asked,
        });
    };
    let failed = request.outcome.iter().any(|(_, result)| result == "failed");
    let newer = erase::kept_newer(request);
    let (standing, title, first) = if request.parts.is_empty() && newer {
        let first = "Nothing is stored here of what was agreed to before this request was made. An account was \
                     connected again after that, and it is as it was.";
        (Standing::Done, "Your request is older than your connection", first)
    } else if request.parts.is_empty() {
        let first = "Nothing that belongs to you is stored here: no access, no account, no profile. There was \
                     nothing to delete.";
        (Standing::Done, "Nothing of yours is stored here", first)
    } else {
        let first = "The access you gave to this app, the accounts connected by it, with their names and \
                     pictures, and the keys to them were deleted here. What was waiting to be published was \
                     taken back.";
        (if failed { Standing::Partly } else { Standing::Done }, "Your data was deleted", first)
    };
    let mut paragraphs = vec![first.to_owned()];
    if failed {
        paragraphs.push(
            "The network did not confirm that the app's access has ended on its side. Look into your account's \
             settings there, under apps and websites, and remove the app if it is still listed."
                .into(),
        );
    }
    if newer {
        paragraphs.push(
            "What was connected after the request was made is not touched by it. To have that deleted too, \
             remove the app again in your account's settings on the network, or ask for deletion once more."
                .into(),
        );
    }
    if !request.parts.is_empty() {
        paragraphs.push(
            "What was published stays on the network until it is deleted there, and the operator keeps the texts \
             that were written here. For anything else, write to the operator."
                .into(),
        );
    }
    Some(Deletion {
        standing,
        title: title.into(),
        paragraphs,
        detail: format!("{asked} · done {}", day(finished)),
    })
}

/// To the minute, in UTC.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ReceiptId;

    fn request(kind: &str, parts: usize, finished: bool, results: &[&str]) -> Receipt {
        let at: Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
        Receipt {
            told: Vec::new(),
            id: ReceiptId::new(at, [1; 10]),
            kind: kind.into(),
            subject: "canary-subject".into(),
            code: "c0de".into(),
            requested_at: at,
            finished_at: finished.then_some(at),
            outcome: results.iter().map(|it| ("grant".into(), (*it).into())).collect(),
            parts: vec![ReceiptId::new(at, [2; 10]); parts],
        }
    }

    #[test]
    fn the_page_tells_the_state_and_names_nobody() {
        for (parts, finished, results, standing, part) in [
            (1, false, &[][..], Standing::Pending, "under way"),
            (1, true, &["done", "not_possible"], Standing::Done, "were deleted here"),
            (2, true, &["done", "failed"], Standing::Partly, "apps and websites"),
            (0, true, &[], Standing::Done, "nothing to delete"),
        ] {
            let page = page(&request("data_deletion", parts, finished, results)).unwrap();
            let text = format!("{page:?}");
            assert_eq!(page.standing, standing, "{text}");
            assert!(
                text.contains(part) && text.contains("c0de") && text.contains("2026-12-01 09:00 UTC"),
                "{text}"
            );
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn the_page_does_not_say_that_nothing_is_stored_where_a_newer_connection_is() {
        for (parts, title) in [(0, "older than your connection"), (1, "was deleted")] {
            let mut asked = request("data_deletion", parts, true, &["done"]);
            let before = format!("{:?}", page(&asked).unwrap());
            asked.outcome.push(("connections made after the request".into(), "kept".into()));
            let text = format!("{:?}", page(&asked).unwrap());
            assert!(text.contains(title) && !text.contains("nothing to delete"), "{text}");
            assert!(text.contains("not touched by it") && !before.contains("not touched by it"), "{text}");
        }
    }

    #[test]
    fn receipts_of_other_things_have_no_page() {
        for kind in ["disconnect", "post_delete", ""] {
            assert_eq!(page(&request(kind, 0, true, &[])), None, "{kind}");
        }
    }
}
