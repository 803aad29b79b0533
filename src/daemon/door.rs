//! The public listener's way in: what a browser's arrival means for a running connect.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use url::form_urlencoded;

use super::connect::{begin, end, finish};
use super::shared::Shared;
use super::wire::fill;
use super::{links, meta, webhook};
use crate::auth::CallbackParams;
use crate::auth::bluesky::client_metadata;
use crate::auth::flows::{Outcome, Progress};
use crate::domain::ids::PlatformName;
use crate::store::fetches::Fetched;
use crate::web::legal::Operator;
use crate::web::media::Served;
use crate::web::meta::{Ask, Deletion, Heard};
use crate::web::webhook::Heard as Believed;
use crate::web::{Back, Door, Landing, Start};

/// The public listener's way in.
pub(super) struct PublicDoor(pub(super) Arc<Shared>);

#[async_trait]
impl Door for PublicDoor {
    async fn start(&self, ticket: &str) -> Start {
        let shared = &self.0;
        let redeemed = shared.connects.flows().redeem(ticket, shared.now(), &fill);
        let Ok(redeemed) = redeemed else { return Start::Gone };
        match begin(shared, &redeemed.flow, &redeemed.wanted).await {
            Ok(location) => Start::Go { location, cookie: redeemed.cookie.to_string() },
            Err(Outcome::Failed { code, message, hint }) => {
                if let Ok(talk) = shared.connects.talk(&redeemed.flow.to_string()) {
                    end(shared, &talk, code, message.clone(), hint.clone());
                }
                // With `--no-wait` nobody is at the terminal: this page is all they see.
                Start::Failed(failed(&message, hint))
            }
            // It ended meanwhile, so its link is worth nothing any more.
            Err(Outcome::Found { .. } | Outcome::Stored { .. }) => Start::Gone,
        }
    }

    async fn back(&self, platform: &str, query: Vec<(String, String)>, cookie: Option<String>) -> Back {
        let shared = &self.0;
        let Ok(platform) = platform.parse::<PlatformName>() else { return Back::Refused(stranger()) };
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let Ok(back) = CallbackParams::from_query(&query) else { return Back::Refused(stranger()) };
        let arrived = shared.connects.flows().arrive(platform, cookie.as_deref(), &back, shared.now());
        match arrived {
            Ok(arrived) => {
                // A browser that goes away now must not cost the tokens its code has bought.
                let shared = Arc::clone(shared);
                let finishing = tokio::spawn(async move { finish(&shared, arrived, &back).await });
                drop(finishing.await);
                Back::Done
            }
            Err(error) => {
                tracing::warn!(%platform, code = error.code(), "a callback was refused");
                shared.connects.tell_refused(shared.now());
                Back::Refused(failed(&error.to_string(), Some(error.hint().to_owned())))
            }
        }
    }

    async fn landing(&self, _platform: &str, cookie: Option<String>) -> Option<Landing> {
        let flows = self.0.connects.flows();
        let landing = match flows.progress_by_cookie(cookie.as_deref()?, self.0.now())? {
            Progress::Ended(Outcome::Found { who }) => Landing {
                ok: true,
                title: "Almost there".into(),
                message: "Confirm the account in the terminal; nothing is stored before that.".into(),
                detail: Some(who.clone()),
            },
            Progress::Ended(Outcome::Stored { account }) => Landing {
                ok: true,
                title: "Connected".into(),
                message: "Sendoff can now post for this account.".into(),
                detail: Some(account.to_string()),
            },
            Progress::Ended(Outcome::Failed { message, hint, .. }) => failed(message, hint.clone()),
            Progress::Waiting | Progress::Away | Progress::Back => return None,
        };
        Some(landing)
    }

    async fn client_metadata(&self) -> Option<String> {
        let key = self.0.client_key.as_ref()?;
        Some(client_metadata(&self.0.config().server.public_url, key).to_string())
    }

    async fn media(&self, token: &str, name: &str) -> Option<Served> {
        let found = links::find(&self.0, token, name).await?;
        let shared = Arc::clone(&self.0);
        let (delivery, media, began) = (found.delivery, found.media, shared.now());
        Some(Served {
            mime: found.kind.mime(),
            ready: found.ready,
            tell: Box::new(move |it| {
                let one = Fetched {
                    media,
                    client: it.client.to_string(),
                    agent: it.agent,
                    first: began,
                    last: shared.now(),
                    requests: 1,
                    bytes: it.bytes,
                    status: it.status,
                };
                shared.links.note(delivery, one);
            }),
        })
    }

    async fn hears(&self, app: PlatformName) -> bool {
        meta::hears(&self.0, app)
    }

    async fn hear(&self, app: PlatformName, ask: Ask, signed_request: &str) -> Heard {
        meta::hear(&self.0, app, ask, signed_request).await
    }

    async fn told(&self, signature: &str, body: &Bytes) -> Believed {
        webhook::hear(&self.0, signature, body)
    }

    async fn deletion(&self, code: &str) -> Option<Deletion> {
        meta::deletion(&self.0, code)
    }

    async fn operator(&self) -> Option<Operator> {
        let config = self.0.config();
        let it = &config.privacy;
        (!it.operator.is_empty() && !it.contact.is_empty()).then(|| Operator {
            name: it.operator.clone(),
            contact: it.contact.clone(),
            retention: it.retention.clone(),
        })
    }

    async fn healthy(&self) -> bool {
        self.0.ready.load(std::sync::atomic::Ordering::Relaxed) && self.0.store.failure().is_none()
    }
}

fn failed(message: &str, hint: Option<String>) -> Landing {
    Landing {
        ok: false,
        title: "That did not work".into(),
        message: format!("{}.", capital(message)),
        detail: hint,
    }
}

fn stranger() -> Landing {
    Landing {
        ok: false,
        title: "Nothing to do here".into(),
        message: "This address is used while an account is being connected.".into(),
        detail: None,
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
