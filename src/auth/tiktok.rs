//! TikTok's Login Kit: authorization code with names of its own (`client_key`, scopes with commas
//! between), and for desktop apps a PKCE whose challenge is written in hexadecimal.
//!
//! Sources: developers.tiktok.com/doc/login-kit-web, login-kit-desktop,
//! oauth-user-access-token-management. Refresh tokens rotate: the old one ends with each renewal. An
//! error may come with status 200, so success is what holds a token.

#[cfg(test)]
mod tests;
pub mod webhook;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::{Host, Url};

use super::chance::{Digest, secret, sha256};
use super::grant::{Grant, Proof};
use super::token::{AccessToken, RefreshToken};
use super::wire::{self, Fault};
use super::{
    AuthError, Begin, CallbackParams, Connected, Found, Pending, RefreshError, Revocation, RevocationResult,
    ScopeNeed, Server, Started, Tools,
};
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;
use crate::domain::reach::Reach;

const BASIC: ScopeNeed =
    ScopeNeed { scope: "user.info.basic", required: true, without: "the account cannot be told from others" };

/// Asked for where posts go to the inbox.
pub static INBOX_SCOPES: &[ScopeNeed] = &[
    BASIC,
    ScopeNeed { scope: UPLOAD, required: true, without: "posts cannot be brought to the creator's inbox" },
];

/// Asked for where posts are published; one of the two will do.
pub static DIRECT_SCOPES: &[ScopeNeed] = &[
    BASIC,
    ScopeNeed { scope: PUBLISH, required: false, without: "posts cannot be published directly" },
    ScopeNeed { scope: UPLOAD, required: false, without: "posts cannot be brought to the creator's inbox" },
];

const UPLOAD: &str = "video.upload";
const PUBLISH: &str = "video.publish";

/// Where a person ends the access of apps.
pub(super) const REVOKE_BY_HAND: &str =
    "end the access of this app in TikTok's app: `Settings and privacy`, then `Security & permissions`";

/// TikTok as the operator configured it.
#[derive(Debug, Clone)]
pub struct TikTokProvider {
    /// `client_key`
    pub client_key: String,
    pub client_secret: SecretString,
    /// Registered as a desktop app: loopback redirects, PKCE.
    pub desktop: bool,
    /// Where posts of new accounts shall go.
    pub reach: Reach,
    /// The base of the sign-in page.
    pub authorize: Url,
    /// The base of everything else.
    pub api: Url,
}

impl TikTokProvider {
    /// Whether the kind of app takes the address to come back to. A stand-in on loopback decides for
    /// itself.
    pub fn check_address(&self, redirect: &Url) -> Result<(), AuthError> {
        let is_loopback = matches!(redirect.host_str(), Some("localhost" | "127.0.0.1"));
        let named = matches!(redirect.host(), Some(Host::Domain(name)) if name != "localhost");
        let (fits, remedy) = if self.desktop {
            (
                is_loopback,
                "with `app_kind = \"desktop\"`, `server.public_url` must be `http://127.0.0.1:PORT` or \
                 `http://localhost:PORT`; an installation with a public name wants `app_kind = \"web\"`",
            )
        } else {
            (
                redirect.scheme() == "https" && named,
                "set `server.public_url` to an `https://` address with a name, or register the app for \
                 Desktop and set `app_kind = \"desktop\"` in [platforms.tiktok]",
            )
        };
        if fits || wire::is_loopback_ip(&self.api) {
            return Ok(());
        }
        Err(AuthError::Setup {
            problem: format!("TikTok does not take `{redirect}` as the address to come back to"),
            remedy: remedy.into(),
        })
    }

    pub(super) fn scopes(&self) -> &'static [ScopeNeed] {
        match self.reach {
            Reach::Inbox => INBOX_SCOPES,
            Reach::Direct => DIRECT_SCOPES,
        }
    }

    pub(super) fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        self.check_address(&ask.redirect_uri)?;
        let state = secret(tools.random);
        let verifier = secret(tools.random);
        let scopes: Vec<&str> = self.scopes().iter().map(|need| need.scope).collect();
        let mut authorize_url = wire::below(&self.authorize, "v2/auth/authorize/");
        authorize_url
            .query_pairs_mut()
            .append_pair("client_key", &self.client_key)
            .append_pair("response_type", "code")
            .append_pair("scope", &scopes.join(","))
            .append_pair("redirect_uri", ask.redirect_uri.as_str())
            .append_pair("state", &state);
        if self.desktop {
            // Not base64url as everywhere else: that is refused.
            authorize_url
                .query_pairs_mut()
                .append_pair("code_challenge", &hex(&sha256(verifier.as_bytes())))
                .append_pair("code_challenge_method", "S256");
        }
        let pending = Pending {
            state: Digest::of(&state),
            verifier: if self.desktop { verifier.to_string() } else { String::new() }.into(),
            redirect_uri: ask.redirect_uri,
            expect: ask.reconnect,
            server: Server::TikTok,
        };
        Ok(Started { authorize_url, pending })
    }

    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Connected, AuthError> {
        let code = back.outcome()?.expose_secret();
        let verifier = pending.verifier.expose_secret();
        let mut fields = vec![
            ("code", code),
            ("grant_type", "authorization_code"),
            ("redirect_uri", pending.redirect_uri.as_str()),
        ];
        if !verifier.is_empty() {
            fields.push(("code_verifier", verifier));
        }
        let body =
            self.token(tools, &fields, &[code, verifier]).await.map_err(|fault| self.refused(fault))?;
        let grant =
            self.grant(&body, None, tools.now).ok_or_else(|| self.bad("there is no usable token in it"))?;
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

    /// Whether enough was granted, and whose it is.
    async fn examine(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        grant: &Grant,
    ) -> Result<(Found, Vec<String>), AuthError> {
        let has = |scope: &str| grant.scopes.iter().any(|it| it == scope);
        let lacking = |needs: &mut dyn Iterator<Item = &ScopeNeed>| -> Vec<String> {
            needs.filter(|need| !has(need.scope)).map(|need| need.scope.to_owned()).collect()
        };
        let mut missing = lacking(&mut self.scopes().iter().filter(|need| need.required));
        if !has(UPLOAD) && !has(PUBLISH) && !missing.iter().any(|it| it == UPLOAD) {
            missing.push(UPLOAD.to_owned());
        }
        if !missing.is_empty() {
            return Err(AuthError::MissingScope { missing });
        }
        let reach = if self.reach == Reach::Direct && has(PUBLISH) { Reach::Direct } else { Reach::Inbox };
        let found = self.identity(tools, grant, reach).await?;
        match &pending.expect {
            Some(expected) if *expected != found.remote_id => {
                Err(AuthError::OtherAccount { expected: expected.clone(), found: found.remote_id })
            }
            _ => Ok((found, lacking(&mut self.scopes().iter()))),
        }
    }

    async fn identity(&self, tools: Tools<'_>, grant: &Grant, reach: Reach) -> Result<Found, AuthError> {
        let mut url = wire::below(&self.api, "v2/user/info/");
        // Other fields have scopes of their own, for which apps are reviewed anew.
        url.set_query(Some("fields=open_id,union_id,avatar_url,display_name"));
        let by = wire::place(&url);
        let user =
            self.ask(tools, grant, wire::get(&url)).await.map_err(|fault| AuthError::of(&by, fault))?;
        let user = &user["user"];
        let text = |name: &str| user[name].as_str().filter(|it| !it.is_empty() && it.len() <= 255);
        let is_id = |it: &&str| it.len() <= 128 && it.bytes().all(|b| b.is_ascii_graphic());
        let remote_id =
            text("open_id").filter(is_id).ok_or_else(|| self.bad("it names no account"))?.to_owned();
        let display_name = text("display_name").map(|it| wire::clean(it, &[])).unwrap_or_default();
        // The user name is told to those who may publish; else the name that people see stands for it.
        let username = match reach {
            Reach::Direct => self.username(tools, grant).await,
            Reach::Inbox => None,
        };
        let username = username.or_else(|| Some(display_name.clone()).filter(|it| !it.is_empty()));
        Ok(Found {
            username: username.unwrap_or_else(|| "tiktok".to_owned()),
            display_name,
            avatar_url: text("avatar_url").map(str::to_owned),
            server: None,
            tier: Some(reach.as_str().to_owned()),
            app_scoped_id: None,
            remote_id,
        })
    }

    /// What the creator is called. An account that may not post today is connected all the same.
    async fn username(&self, tools: Tools<'_>, grant: &Grant) -> Option<String> {
        let url = wire::below(&self.api, "v2/post/publish/creator_info/query/");
        let mut request = wire::get(&url);
        *request.method_mut() = http::Method::POST;
        let kind = HeaderValue::from_static("application/json; charset=UTF-8");
        request.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        *request.body_mut() = Bytes::from_static(b"{}");
        let data = self.ask(tools, grant, request).await.ok()?;
        let name = data["creator_username"].as_str()?;
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        fits.then(|| name.to_owned())
    }

    /// A call of the API with the grant's token; the `data` of its success.
    async fn ask(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
        mut request: http::Request<Bytes>,
    ) -> Result<Value, Fault> {
        request.headers_mut().insert(http::header::AUTHORIZATION, grant.access.header("Bearer"));
        let answer = tools.fixed.exchange(request).await?;
        let hide = [grant.access.expose()];
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match body["error"]["code"].as_str() {
            Some("ok") if answer.status() == StatusCode::OK => Ok(body["data"].clone()),
            Some(code) if code != "ok" && !answer.status().is_server_error() => Err(Fault::Refused {
                status: answer.status().as_u16(),
                error: Some(wire::clean(code, &hide)),
                said: body["error"]["message"].as_str().map(|it| wire::clean(it, &hide)),
            }),
            _ => Err(wire::refusal(&answer, &hide, tools.now)),
        }
    }

    /// A call of the token endpoint: what holds a token is a success, whatever its status.
    async fn token(&self, tools: Tools<'_>, fields: &[(&str, &str)], hide: &[&str]) -> Result<Value, Fault> {
        let client_secret = self.client_secret.expose_secret();
        let mut all = vec![("client_key", self.client_key.as_str()), ("client_secret", client_secret)];
        all.extend(fields);
        let hide: Vec<&str> = hide.iter().copied().chain([client_secret]).collect();
        let url = wire::below(&self.api, "v2/oauth/token/");
        let answer = tools.fixed.exchange(wire::form(&url, &all)).await?;
        read(&answer, &hide, tools.now)
    }

    pub(super) async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        let Some(old) = &grant.refresh else {
            return Err(RefreshError::Dead { message: "TikTok gave no refresh token".into() });
        };
        let fields = [("grant_type", "refresh_token"), ("refresh_token", old.expose())];
        let hide = [old.expose(), grant.access.expose()];
        let body = self.token(tools, &fields, &hide).await.map_err(failed)?;
        self.grant(&body, Some(grant), tools.now).ok_or_else(|| RefreshError::Lost {
            // The old token is spent by now, so this is an answer lost, not a refusal.
            message: "there is no usable token in the answer".into(),
        })
    }

    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        let url = wire::below(&self.api, "v2/oauth/revoke/");
        let client_secret = self.client_secret.expose_secret();
        let token = grant.access.expose();
        let fields =
            [("client_key", self.client_key.as_str()), ("client_secret", client_secret), ("token", token)];
        let hide = [token, client_secret];
        let fault = match tools.fixed.exchange(wire::form(&url, &fields)).await {
            // Success has no body, or one without an error.
            Ok(answer) => match refusal(&answer, &hide) {
                Some(fault) => Some(fault),
                None if answer.status() == StatusCode::OK => None,
                None => Some(wire::refusal(&answer, &hide, tools.now)),
            },
            Err(error) => Some(error.into()),
        };
        let result = if fault.is_none() { RevocationResult::Done } else { RevocationResult::Failed };
        vec![Revocation {
            what: "access of the app",
            place: wire::place(&url),
            result,
            hint: fault.is_some().then(|| super::revoke_by_hand(PlatformName::TikTok, None)),
            message: fault.map(|it| it.to_string()),
        }]
    }

    /// What is kept of a token answer. None: there is no usable token in it.
    fn grant(&self, body: &Value, old: Option<&Grant>, now: Timestamp) -> Option<Grant> {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let after = |name: &str| {
            let seconds = body[name].as_i64().filter(|it| *it > 0)?;
            now.checked_add(SignedDuration::from_secs(seconds)).ok()
        };
        let scopes: Vec<String> = text("scope")
            .unwrap_or_default()
            .split([',', ' '])
            .filter(|it| !it.is_empty())
            .map(|it| wire::clean(it, &[]))
            .collect();
        let refresh = match text("refresh_token") {
            Some(token) => Some(RefreshToken::new(token)?),
            None => old.and_then(|it| it.refresh.clone()),
        };
        Some(Grant {
            access: AccessToken::new(text("access_token")?)?,
            refresh,
            proof: Proof::Bearer,
            scopes: match old {
                Some(old) if scopes.is_empty() => old.scopes.clone(),
                _ => scopes,
            },
            issued_at: now,
            expires_at: after("expires_in"),
            grant_expires_at: after("refresh_expires_in").or(old.and_then(|it| it.grant_expires_at)),
            client_id: self.client_key.clone(),
            server: None,
            person: None,
        })
    }

    fn bad(&self, problem: &str) -> AuthError {
        AuthError::BadAnswer { by: wire::place(&self.api), problem: problem.into() }
    }

    /// What a failed exchange of the code means.
    fn refused(&self, fault: Fault) -> AuthError {
        match fault {
            Fault::Refused { status, error, said } => match error.as_deref() {
                Some("invalid_client" | "unauthorized_client") => AuthError::ClientRefused { said },
                Some("invalid_grant" | "invalid_request") => AuthError::CodeRefused { said },
                _ => AuthError::of(&wire::place(&self.api), Fault::Refused { status, error, said }),
            },
            other => AuthError::of(&wire::place(&self.api), other),
        }
    }
}

/// The flat error of the OAuth endpoints: `error`, `error_description`, `log_id`, under any status.
fn refusal(answer: &Response<Bytes>, hide: &[&str]) -> Option<Fault> {
    if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let body: Value = serde_json::from_slice(answer.body()).ok()?;
    let error = body["error"].as_str().or_else(|| body["error"]["code"].as_str());
    let error = error.filter(|it| !it.is_empty() && *it != "ok")?;
    let said = body["error_description"].as_str().or_else(|| body["error"]["message"].as_str());
    Some(Fault::Refused {
        status: answer.status().as_u16(),
        error: Some(wire::clean(error, hide)),
        said: said.map(|it| wire::clean(it, hide)),
    })
}

fn read(answer: &Response<Bytes>, hide: &[&str], now: Timestamp) -> Result<Value, Fault> {
    match refusal(answer, hide) {
        Some(fault) => Err(fault),
        None => wire::json(answer.status() == StatusCode::OK, answer, hide, now),
    }
}

/// What a failed renewal means. Only the word for a spent or ended token ends the grant.
fn failed(fault: Fault) -> RefreshError {
    let (status, error, said) = match RefreshError::of(fault) {
        Ok(error) => return error,
        Err(refused) => refused,
    };
    let error = error.unwrap_or_else(|| format!("status {status}"));
    let message = said.map_or_else(|| format!("`{error}`"), |said| format!("`{error}`: {said}"));
    match error.as_str() {
        "invalid_grant" => RefreshError::Dead { message },
        "temporarily_unavailable" | "server_error" => RefreshError::Lost { message },
        _ => RefreshError::Config {
            message,
            hint: "compare client key and secret with the app's page at developers.tiktok.com; accounts \
                   stay connected"
                .into(),
        },
    }
}
