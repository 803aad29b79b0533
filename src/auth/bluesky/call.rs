//! One call to an authorization server: a form, signed, and repeated once if it asks for a nonce.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::client::BlueskyClient;
use crate::auth::Tools;
use crate::auth::dpop;
use crate::auth::grant::prove;
use crate::auth::wire::{self, Fault};

/// Who calls, and for whom the call is meant.
pub(super) struct Call<'a> {
    pub(super) tools: Tools<'a>,
    pub(super) client: &'a BlueskyClient,
    pub(super) client_id: &'a str,
    pub(super) issuer: &'a str,
    pub(super) key: &'a dpop::Key,
    /// Secrets of ours that must not come back in a server's words.
    pub(super) hide: &'a [&'a str],
}

/// An answer that is no success, with what tells about the clocks.
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) skew: Option<i64>,
}

impl Refusal {
    /// Whether the server refused with this OAuth error.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(&self.fault, Fault::Refused { error: Some(error), .. } if error == code)
    }
}

impl Call<'_> {
    /// Posts a form and reads the JSON object that comes with one of the `good` statuses.
    pub(super) async fn post(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        good: &[StatusCode],
    ) -> Result<Value, Refusal> {
        let answer = self.send(url, fields).await.map_err(|fault| Refusal { fault, skew: None })?;
        wire::json(good.contains(&answer.status()), &answer, self.hide, self.tools.now)
            .map_err(|fault| Refusal { fault, skew: crate::http::skew(answer.headers(), self.tools.now) })
    }

    /// Posts a form. The first try has no nonce and is refused on purpose by servers that want one;
    /// the second has it; there is no third, whatever the server says.
    pub(super) async fn send(&self, url: &Url, fields: &[(&str, &str)]) -> Result<Response<Bytes>, Fault> {
        let first = self.once(url, fields, None).await?;
        match dpop::needs_nonce(&first) {
            Some(nonce) => self.once(url, fields, Some(&nonce)).await,
            None => Ok(first),
        }
    }

    async fn once(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        nonce: Option<&str>,
    ) -> Result<Response<Bytes>, Fault> {
        let unsigned = |_| Fault::NotSent("the signing key does not work".into());
        let Tools { now, random, guarded, .. } = self.tools;
        // A fresh assertion each time: servers take each of them once.
        let assertion =
            self.client.assertion(self.client_id, self.issuer, now, random).transpose().map_err(unsigned)?;
        let mut all = fields.to_vec();
        all.push(("client_id", self.client_id));
        if let Some(assertion) = &assertion {
            all.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
            all.push(("client_assertion", assertion));
        }
        let mut request = wire::form(url, &all);
        prove(self.key, &mut request, nonce, None, now, random).map_err(unsigned)?;
        Ok(guarded.exchange(request).await?)
    }
}
