//! Who we are to AT Protocol servers. There is no registration: a client is named by the address
//! of a document about itself (atproto.com/specs/oauth#clients).

use jiff::Timestamp;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::scopes;
use crate::auth::AuthError;
use crate::auth::chance::{Random, unique};
use crate::auth::dpop::{BadKey, Key};
use crate::auth::wire;

/// How long an assertion is good for; it is used at once.
const ASSERTION_SECONDS: i64 = 60;

/// The two kinds of client.
#[derive(Debug, Clone)]
pub enum BlueskyClient {
    /// Without a public name: a public client, whose sessions end after two weeks.
    Loopback,
    /// With a public https address: a confidential client, whose sessions go on. Sessions die with
    /// the key, so it is kept.
    Web {
        /// Where [`client_metadata`] is served, byte for byte.
        client_id: Url,
        /// Signs our assertions; its public half is in the document.
        key: Key,
    },
}

impl BlueskyClient {
    /// The name to go by for a connect that comes back to `redirect_uri` and asks for `scope`.
    pub(super) fn id(&self, redirect_uri: &Url, scope: &str) -> String {
        match self {
            // Literally `http://localhost`, no port, no path (atproto.com/specs/oauth#localhost-client-development).
            Self::Loopback => {
                let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("redirect_uri", redirect_uri.as_str())
                    .append_pair("scope", scope)
                    .finish();
                format!("http://localhost?{}", query.replace('+', "%20"))
            }
            Self::Web { client_id, .. } => client_id.to_string(),
        }
    }

    /// Servers take the loopback client only at a loopback address given by number, the other only
    /// at https.
    pub(super) fn check_redirect(&self, url: &Url) -> Result<(), AuthError> {
        let (fits, remedy) = match self {
            Self::Loopback => (
                url.scheme() == "http" && wire::is_loopback_ip(url),
                "use `http://127.0.0.1:PORT`, or give the daemon a public `https://` address",
            ),
            Self::Web { .. } => (url.scheme() == "https", "the public address must be `https://`"),
        };
        if fits {
            return Ok(());
        }
        Err(AuthError::Setup {
            problem: format!("Bluesky does not take `{url}` as the address to come back to"),
            remedy: remedy.into(),
        })
    }

    /// Whether calls under this name are signed. A session begun as a loopback client stays public
    /// after the daemon got a public address.
    pub(super) fn is_confidential(&self, id: &str) -> bool {
        matches!(self, Self::Web { client_id, .. } if client_id.as_str() == id)
    }

    /// `private_key_jwt` (RFC 7523 §2.2) for a confidential client, nothing for a public one.
    pub(super) fn assertion(
        &self,
        id: &str,
        issuer: &str,
        now: Timestamp,
        random: &Random<'_>,
    ) -> Option<Result<String, BadKey>> {
        let Self::Web { key, .. } = self else { return None };
        if !self.is_confidential(id) {
            return None;
        }
        let header = json!({"typ": "JWT", "alg": "ES256", "kid": key.thumbprint()});
        let claims = json!({
            "iss": id,
            "sub": id,
            "aud": issuer,
            "jti": unique(random),
            "iat": now.as_second(),
            "exp": now.as_second() + ASSERTION_SECONDS,
        });
        Some(key.sign(&header, &claims))
    }
}

/// The document about ourselves, to be served at `{public_url}/oauth/bluesky/client.json` and named
/// by exactly that address. Only the public half of `key` is in it; its `kid` is its thumbprint.
pub fn client_metadata(public_url: &Url, key: &Key) -> Value {
    let mut jwk = key.public_jwk();
    jwk["kid"] = key.thumbprint().into();
    jwk["alg"] = "ES256".into();
    jwk["use"] = "sig".into();
    json!({
        "client_id": wire::below(public_url, "oauth/bluesky/client.json").as_str(),
        "client_name": "Sendoff",
        "client_uri": public_url.as_str(),
        "application_type": "web",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": [wire::below(public_url, "oauth/bluesky/callback").as_str()],
        "scope": scopes::EVER,
        "dpop_bound_access_tokens": true,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [jwk]},
    })
}
