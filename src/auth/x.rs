//! X: authorization code with PKCE through the `oauth2` crate
//! (docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token).

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::chance::{Digest, secret};
use super::grant::{Grant, Proof};
use super::token::{AccessToken, RefreshToken};
use super::wire::{self, Fault};
use super::{
    App, AuthError, Begin, CallbackParams, Connected, Found, Pending, RefreshError, Revocation,
    RevocationResult, ScopeNeed, Server, Started, Tools,
};
use crate::domain::ids::PlatformName;
use crate::http::Exchange;

/// What we ask for (docs.x.com/resources/fundamentals/authentication/oauth-2-0/authorization-code#scopes).
pub static SCOPES: &[ScopeNeed] = &[
    ScopeNeed { scope: "tweet.read", required: true, without: "posts cannot be published" },
    ScopeNeed { scope: "tweet.write", required: true, without: "posts cannot be published" },
    ScopeNeed { scope: "users.read", required: true, without: "the account cannot be told from others" },
    ScopeNeed { scope: "media.write", required: false, without: "posts cannot carry images" },
    ScopeNeed {
        scope: "offline.access",
        required: false,
        without: "the connection ends after two hours, as it cannot be refreshed",
    },
];

/// Where a user sees and ends the access of apps.
pub(super) const APPS_PAGE: &str = "https://x.com/settings/connected_apps";

/// Who an account is: the path, and the parameter with the fields that are asked for. Public so that
/// the network's own document can be asked whether it takes them.
pub const ME: (&str, &str, &str) =
    ("2/users/me", "user.fields", "profile_image_url,verified,verified_type,subscription_type,protected");

/// X as the operator configured it.
#[derive(Debug, Clone)]
pub struct XProvider {
    /// From the developer console.
    pub app: App,
    /// The page the browser is sent to; `https://x.com/i/oauth2/authorize`.
    pub authorize: Url,
    /// The base of everything else; `https://api.x.com`. A path in it is kept.
    pub api: Url,
}

/// The crate's client with its endpoints set, as the type system tracks them.
type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl XProvider {
    pub(super) fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        check_redirect(&ask.redirect_uri)?;
        let state = secret(tools.random);
        let verifier = secret(tools.random);
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_string()));
        let (mut authorize_url, _) = self
            .client()
            .set_redirect_uri(RedirectUrl::from_url(ask.redirect_uri.clone()))
            .authorize_url(|| CsrfToken::new(state.to_string()))
            .add_scopes(SCOPES.iter().map(|need| Scope::new(need.scope.into())))
            .set_pkce_challenge(challenge)
            .url();
        wire::plain_spaces(&mut authorize_url);
        let pending = Pending {
            state: Digest::of(&state),
            verifier: verifier.to_string().into(),
            redirect_uri: ask.redirect_uri,
            expect: ask.reconnect,
            server: Server::X,
        };
        Ok(Started { authorize_url, pending })
    }

    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Connected, AuthError> {
        self.check_issuer(back)?;
        let code = back.outcome()?;
        let adapter = Adapter {
            exchange: tools.fixed,
            now: tools.now,
            hide: vec![code.clone(), pending.verifier.clone()],
        };
        let answer = self
            .client()
            .set_redirect_uri(RedirectUrl::from_url(pending.redirect_uri.clone()))
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.expose_secret().to_owned()))
            .request_async(&adapter)
            .await
            .map_err(|error| self.exchange_error(fault(error)))?;
        let asked: Vec<String> = SCOPES.iter().map(|need| need.scope.to_owned()).collect();
        let grant = self.grant(&answer, None, &asked, tools.now).map_err(|problem| AuthError::BadAnswer {
            by: wire::place(&self.api),
            problem: problem.into(),
        })?;

        match self.examine(tools, &pending, &grant).await {
            Ok((found, missing_scopes)) => Ok(Connected {
                found,
                scopes: grant.scopes.clone(),
                missing_scopes,
                warnings: Vec::new(),
                grant,
            }),
            Err(error) => {
                // Nobody will use these tokens: hand them back, whatever comes of it.
                self.revoke(tools, &grant).await;
                Err(error)
            }
        }
    }

    /// Whether the grant is good enough, and whose it is.
    async fn examine(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        grant: &Grant,
    ) -> Result<(Found, Vec<String>), AuthError> {
        let lacks = |need: &&ScopeNeed| !grant.scopes.iter().any(|it| it == need.scope);
        let names =
            |needs: Vec<&ScopeNeed>| needs.iter().map(|need| need.scope.to_owned()).collect::<Vec<_>>();
        let missing = names(SCOPES.iter().filter(|need| need.required).filter(lacks).collect());
        if !missing.is_empty() {
            return Err(AuthError::MissingScope { missing });
        }
        let found = self.identity(tools, grant).await?;
        match &pending.expect {
            Some(expected) if *expected != found.remote_id => {
                Err(AuthError::OtherAccount { expected: expected.clone(), found: found.remote_id })
            }
            _ => Ok((found, names(SCOPES.iter().filter(lacks).collect()))),
        }
    }

    /// `GET /2/users/me` (docs.x.com/x-api/users/get-my-user).
    async fn identity(&self, tools: Tools<'_>, grant: &Grant) -> Result<Found, AuthError> {
        let mut url = wire::below(&self.api, ME.0);
        url.set_query(Some(&format!("{}={}", ME.1, ME.2)));
        let by = wire::place(&url);
        let mut request = wire::get(&url);
        request.headers_mut().insert(http::header::AUTHORIZATION, grant.access.header("Bearer"));
        let answer = tools.fixed.exchange(request).await.map_err(|error| AuthError::of(&by, error.into()))?;
        let hide = [grant.access.expose()];
        let body = wire::json(answer.status() == StatusCode::OK, &answer, &hide, tools.now)
            .map_err(|fault| AuthError::of(&by, fault))?;
        let text =
            |name: &str| body.pointer(&format!("/data/{name}")).and_then(Value::as_str).map(str::to_owned);
        let is_id = |id: &String| (1..=19).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
        let is_name = |it: &String| !it.is_empty() && it.len() <= 64 && !it.contains(char::is_control);
        let problem = || AuthError::BadAnswer { by: by.clone(), problem: "it names no account".into() };
        let username = text("username").filter(is_name).ok_or_else(problem)?;
        Ok(Found {
            app_scoped_id: None,
            remote_id: text("id").filter(is_id).ok_or_else(problem)?,
            display_name: text("name").map_or_else(|| username.clone(), |it| wire::clean(&it, &[])),
            username,
            avatar_url: text("profile_image_url").map(|it| larger(&it)),
            server: None,
            tier: text("subscription_type").map(|it| wire::clean(&it, &[])),
        })
    }

    pub(super) async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        let Some(refresh) = &grant.refresh else {
            return Err(RefreshError::Dead { message: "`offline.access` was not granted".into() });
        };
        let hide = vec![refresh.expose().to_owned().into(), grant.access.expose().to_owned().into()];
        let adapter = Adapter { exchange: tools.fixed, now: tools.now, hide };
        let answer = self
            .client()
            .exchange_refresh_token(&oauth2::RefreshToken::new(refresh.expose().to_owned()))
            .request_async(&adapter)
            .await
            .map_err(|error| refresh_error(fault(error)))?;
        self.grant(&answer, Some(refresh), &grant.scopes, tools.now)
            // The old token is spent by now, so this is an answer lost, not a refusal.
            .map_err(|problem| RefreshError::Lost { message: problem.into() })
    }

    /// By hand, as the crate revokes over https only and a stand-in on loopback speaks http.
    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        let mut tokens: Vec<(&'static str, &str)> = Vec::new();
        tokens.extend(grant.refresh.as_ref().map(|it| ("refresh token", it.expose())));
        tokens.push(("access token", grant.access.expose()));
        // A server may echo either token in either answer.
        let hide: Vec<&str> = tokens.iter().map(|(_, token)| *token).collect();
        let url = wire::below(&self.api, "2/oauth2/revoke");
        let mut lines = Vec::new();
        for (what, token) in tokens {
            let mut fields = vec![("token", token)];
            if self.app.client_secret.is_none() {
                fields.push(("client_id", &self.app.client_id));
            }
            let mut request = wire::form(&url, &fields);
            if let Some(secret) = &self.app.client_secret {
                request
                    .headers_mut()
                    .insert(http::header::AUTHORIZATION, wire::basic(&self.app.client_id, secret));
            }
            let fault = match tools.fixed.exchange(request).await {
                Ok(answer) if answer.status() == StatusCode::OK => None,
                Ok(answer) => Some(wire::refusal(&answer, &hide, tools.now)),
                Err(error) => Some(error.into()),
            };
            lines.push(Revocation {
                what,
                place: wire::place(&url),
                result: if fault.is_none() { RevocationResult::Done } else { RevocationResult::Failed },
                message: fault.map(|it| it.to_string()),
                hint: None,
            });
        }
        for line in lines.iter_mut().filter(|line| line.result == RevocationResult::Failed) {
            line.hint = Some(super::revoke_by_hand(PlatformName::X, None));
        }
        lines
    }

    fn client(&self) -> Client {
        let client = BasicClient::new(ClientId::new(self.app.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.authorize.clone()))
            .set_token_uri(TokenUrl::from_url(wire::below(&self.api, "2/oauth2/token")));
        // The crate's default suits X: Basic with a secret, the client id in the form without.
        match &self.app.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
            None => client,
        }
    }

    /// X does not document `iss`. Should one come, it must be X's own: an answer of another server
    /// that was steered here would carry that server's (RFC 9207 §2.4).
    fn check_issuer(&self, back: &CallbackParams) -> Result<(), AuthError> {
        let expected = self.authorize.origin().ascii_serialization();
        match back.iss() {
            Some(iss) if iss != expected && iss != self.api.origin().ascii_serialization() => {
                Err(AuthError::IssuerMismatch { expected, got: wire::clean(iss, &[]) })
            }
            _ => Ok(()),
        }
    }

    /// Checks a token answer and makes a grant of it. A refresh that brings no new refresh token
    /// leaves the old one in force (RFC 6749 §6).
    fn grant(
        &self,
        answer: &BasicTokenResponse,
        old: Option<&RefreshToken>,
        asked: &[String],
        now: Timestamp,
    ) -> Result<Grant, &'static str> {
        if !matches!(answer.token_type(), BasicTokenType::Bearer) {
            return Err("the token is not of type `bearer`");
        }
        let access = AccessToken::new(answer.access_token().secret().clone())
            .ok_or("the access token is empty or not visible ASCII")?;
        let refresh = match answer.refresh_token() {
            Some(token) => Some(
                RefreshToken::new(token.secret().clone())
                    .ok_or("the refresh token is empty or not visible ASCII")?,
            ),
            None => old.cloned(),
        };
        // An answer that is silent about scope granted what was asked (RFC 6749 §5.1).
        let scopes = answer.scopes().map_or_else(
            || asked.to_vec(),
            |all| {
                all.iter()
                    .flat_map(|it| it.split([' ', ',']))
                    .filter(|it| !it.is_empty())
                    .map(|it| wire::clean(it, &[]))
                    .collect()
            },
        );
        let life = answer.expires_in().and_then(|it| SignedDuration::try_from(it).ok());
        Ok(Grant {
            access,
            refresh,
            proof: Proof::Bearer,
            scopes,
            issued_at: now,
            expires_at: life.and_then(|it| now.checked_add(it).ok()),
            grant_expires_at: None,
            client_id: self.app.client_id.clone(),
            server: None,
            person: None,
        })
    }

    /// What a failed code exchange means.
    fn exchange_error(&self, fault: Fault) -> AuthError {
        match fault {
            Fault::Refused { status, error, said } => match (status, error.as_deref()) {
                (401, _) | (_, Some("invalid_client" | "unauthorized_client")) => {
                    AuthError::ClientRefused { said }
                }
                (400, Some("invalid_request" | "invalid_grant")) => AuthError::CodeRefused { said },
                _ => AuthError::of(&wire::place(&self.api), Fault::Refused { status, error, said }),
            },
            other => AuthError::of(&wire::place(&self.api), other),
        }
    }
}

/// What a failed refresh means. Only the two answers X gives to a spent or revoked token end the
/// grant; an answer nobody described is the installation's problem until shown otherwise, since
/// taking it for the account's would disconnect people over a typo in a secret.
fn refresh_error(fault: Fault) -> RefreshError {
    let (status, error, said) = match RefreshError::of(fault) {
        Ok(error) => return error,
        Err(refused) => refused,
    };
    let error = error.unwrap_or_else(|| format!("status {status}"));
    let message = said.map_or_else(|| format!("`{error}`"), |said| format!("`{error}`: {said}"));
    match (status, error.as_str()) {
        (400, "invalid_request" | "invalid_grant") => RefreshError::Dead { message },
        (401, _) | (_, "invalid_client" | "unauthorized_client") => RefreshError::Config {
            message,
            hint: "compare client id and secret with https://console.x.com; accounts stay connected".into(),
        },
        _ => RefreshError::Config {
            message,
            hint: "see the app's state at https://console.x.com; accounts stay connected".into(),
        },
    }
}

/// X takes https, and plain http on 127.0.0.1 alone
/// (docs.x.com/resources/fundamentals/developer-apps#callback-urls).
pub(super) fn check_redirect(url: &Url) -> Result<(), AuthError> {
    if url.scheme() == "https" || wire::is_loopback_ip(url) && url.scheme() == "http" {
        return Ok(());
    }
    Err(AuthError::Setup {
        problem: format!("X does not take `{url}` as the address to come back to"),
        remedy: "use an `https://` public address, or `http://127.0.0.1:PORT` (not `localhost`)".into(),
    })
}

/// The 400-pixel picture behind the 48-pixel one X links to.
fn larger(avatar: &str) -> String {
    match avatar.rsplit_once("_normal") {
        Some((front, back)) if !back.contains('/') => format!("{front}_400x400{back}"),
        _ => avatar.to_owned(),
    }
}

/// Carries the crate's requests over an [`Exchange`] and sorts answers by status, which the crate
/// would forget. Only a 200 gets through to its parser.
struct Adapter<'a> {
    exchange: &'a dyn Exchange,
    now: Timestamp,
    hide: Vec<secrecy::SecretString>,
}

/// A [`Fault`] as the crate wants its errors.
#[derive(Debug)]
struct Carried(Fault);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

impl<'c> AsyncHttpClient<'c> for Adapter<'_> {
    type Error = Carried;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Carried>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut request = request.map(Bytes::from);
            for value in request.headers_mut().values_mut() {
                value.set_sensitive(true);
            }
            let answer = self.exchange.exchange(request).await.map_err(|error| Carried(error.into()))?;
            if answer.status() == StatusCode::OK {
                return Ok(answer.map(|body| body.to_vec()));
            }
            let hide: Vec<&str> = self.hide.iter().map(ExposeSecret::expose_secret).collect();
            Err(Carried(wire::refusal(&answer, &hide, self.now)))
        })
    }
}

/// Takes the crate's error apart at once: its `Parse` holds the raw answer, tokens and all.
fn fault(error: RequestTokenError<Carried, BasicErrorResponse>) -> Fault {
    match error {
        RequestTokenError::Request(Carried(fault)) => fault,
        RequestTokenError::Parse(error, _) => {
            Fault::Garbage(format!("it is not a token answer (at `{}`)", error.path()))
        }
        RequestTokenError::ServerResponse(_) | RequestTokenError::Other(_) => {
            Fault::Garbage("it is not a token answer".into())
        }
    }
}
