//! LinkedIn: authorization code without PKCE, for a member or for the organizations that a member
//! administers. The two usually need an app each, because LinkedIn grants their products apart.
//!
//! Tokens live 60 days and can be renewed by approved partners alone; everybody else connects again.
//! Sources: learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow,
//! …/consumer/integrations/self-serve/sign-in-with-linkedin-v2,
//! …/marketing/community-management/organizations/organization-access-control-by-role.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::chance::{Digest, secret};
use super::grant::{Grant, Person, Proof};
use super::token::{AccessToken, RefreshToken};
use super::wire::{self, Fault};
use super::{
    AuthError, Begin, CallbackParams, Connected, Found, Pending, RefreshError, Revocation, RevocationResult,
    ScopeNeed, Server, Started, TokenState, Tools,
};
use crate::domain::ids::PlatformName;
use crate::domain::kind::Kind;

/// Asked of a member. LinkedIn refuses the whole sign-in for one scope that the app does not have.
pub static SCOPES: &[ScopeNeed] = &[
    ScopeNeed { scope: "openid", required: true, without: "the account cannot be read" },
    ScopeNeed { scope: "profile", required: true, without: "the account cannot be read" },
    ScopeNeed { scope: "w_member_social", required: true, without: "posts cannot be published" },
];

/// Asked of an organization's administrator.
pub static ORGANIZATION_SCOPES: &[ScopeNeed] = &[
    ScopeNeed { scope: "w_organization_social", required: true, without: "posts cannot be published" },
    ScopeNeed { scope: "r_organization_social", required: true, without: "posts cannot be looked for" },
    ScopeNeed {
        scope: "rw_organization_admin",
        required: true,
        without: "the organizations cannot be found",
    },
];

/// Where a person ends the access of apps.
pub(super) const APPS_PAGE: &str = "LinkedIn, Settings, Data privacy, Permitted services";

/// Roles that may post for an organization. The second one is spelt in both ways.
const ROLES: &[&str] =
    &["ADMINISTRATOR", "CONTENT_ADMIN", "CONTENT_ADMINISTRATOR", "DIRECT_SPONSORED_CONTENT_POSTER"];

/// A token may be called revoked for some seconds after it was issued
/// (github.com/tomasvotava/fastapi-sso/issues/196): asked again after these.
pub const FRESH_WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];
const FRESH: i64 = 65_601;

/// Rows of one answer, and answers read at most.
const PAGE: usize = 100;
const ANSWERS_MAX: usize = 10;

/// LinkedIn as the operator configured it.
#[derive(Debug, Clone)]
pub struct LinkedInProvider {
    /// Of new accounts.
    pub kind: Kind,
    /// Id and secret of the members' app, where there is one.
    pub member: Option<(String, SecretString)>,
    /// Those of the organizations' app.
    pub organization: Option<(String, SecretString)>,
    /// `https://www.linkedin.com`
    pub oauth: Url,
    /// `https://api.linkedin.com`
    pub api: Url,
    /// Year and month.
    pub version: String,
    /// Between the reads with a token that is too fresh: [`FRESH_WAITS`].
    pub waits: [Duration; 4],
}

impl LinkedInProvider {
    pub(super) fn scopes(&self) -> &'static [ScopeNeed] {
        match self.kind {
            Kind::Member => SCOPES,
            Kind::Organization => ORGANIZATION_SCOPES,
        }
    }

    pub(super) fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        check_redirect(&ask.redirect_uri)?;
        let state = secret(tools.random);
        let scopes: Vec<&str> = self.scopes().iter().map(|need| need.scope).collect();
        let mut authorize_url = wire::below(&self.oauth, "oauth/v2/authorization");
        // Blanks as `%20`; the form's `+` is not documented there.
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.app()?.0)
            .append_pair("redirect_uri", ask.redirect_uri.as_str())
            .append_pair("state", &state)
            .append_pair("scope", &scopes.join(" "));
        authorize_url.set_query(Some(&query.finish().replace('+', "%20")));
        let pending = Pending {
            state: Digest::of(&state),
            verifier: SecretString::from(String::new()),
            redirect_uri: ask.redirect_uri,
            expect: ask.reconnect,
            server: Server::LinkedIn,
        };
        Ok(Started { authorize_url, pending })
    }

    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Vec<Connected>, AuthError> {
        let code = back.outcome().map_err(|error| match error {
            AuthError::Refused { error, said, .. } if error == "unauthorized_scope_error" => {
                AuthError::Setup {
                    problem: format!(
                        "the LinkedIn app does not have every permission that is asked for{}",
                        said.map(|it| format!(": {it}")).unwrap_or_default()
                    ),
                    remedy: match self.kind {
                        Kind::Member => {
                            "add the products \"Share on LinkedIn\" and \"Sign In with LinkedIn using \
                                     OpenID Connect\" to the app"
                                .into()
                        }
                        Kind::Organization => {
                            "the app needs the product \"Community Management API\"".to_owned()
                        }
                    },
                }
            }
            other => other,
        })?;
        let app = self.app()?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", pending.redirect_uri.as_str()),
        ];
        let body = self.token(tools, app, &fields).await.map_err(|fault| self.exchange_error(fault))?;
        let asked = self.scopes().iter().map(|it| it.scope.to_owned()).collect();
        let grant =
            grant_of(&body, &app.0, asked, tools.now).ok_or_else(|| self.bad("there is no token in it"))?;
        let found = match self.examine(tools, &grant).await {
            Ok(found) => found,
            Err(error) => {
                // Nobody will use this token: hand it back, whatever comes of it.
                self.revoke(tools, &grant).await;
                return Err(error);
            }
        };
        let mut all: Vec<Connected> = found
            .into_iter()
            .map(|(found, person)| Connected {
                found,
                scopes: grant.scopes.clone(),
                missing_scopes: Vec::new(),
                warnings: Vec::new(),
                grant: Grant { person, ..grant.clone() },
            })
            .collect();
        if let Some(expected) = &pending.expect {
            let others: Vec<String> = all.iter().map(|it| it.found.remote_id.clone()).collect();
            all.retain(|it| it.found.remote_id == *expected);
            if all.is_empty() {
                let found = others.join("`, `");
                return Err(AuthError::OtherAccount { expected: expected.clone(), found });
            }
        }
        Ok(all)
    }

    /// Whether the grant is good enough, and whose it is.
    async fn examine(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
    ) -> Result<Vec<(Found, Option<Person>)>, AuthError> {
        let lacks = |need: &&ScopeNeed| need.required && !grant.scopes.iter().any(|it| it == need.scope);
        let missing: Vec<String> =
            self.scopes().iter().filter(lacks).map(|need| need.scope.to_owned()).collect();
        if !missing.is_empty() {
            return Err(AuthError::MissingScope { missing });
        }
        match self.kind {
            Kind::Member => Ok(vec![(self.member_of(tools, &grant.access).await?, None)]),
            Kind::Organization => self.organizations_of(tools, grant).await,
        }
    }

    /// `GET /v2/userinfo`. There is no user name: people are known by their names.
    async fn member_of(&self, tools: Tools<'_>, access: &AccessToken) -> Result<Found, AuthError> {
        let me = self.get(tools, access, "v2/userinfo", &[]).await?;
        let text =
            |name: &str| me[name].as_str().map(str::trim).filter(|it| !it.is_empty() && it.len() <= 255);
        let sub = text("sub").filter(|it| is_name(it)).ok_or_else(|| self.bad("it names nobody"))?;
        let parts =
            || [text("given_name"), text("family_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = text("name").map_or_else(parts, str::to_owned);
        let name = wire::clean(if name.is_empty() { sub } else { &name }, &[]);
        Ok(Found {
            remote_id: format!("urn:li:person:{sub}"),
            app_scoped_id: None,
            username: name.clone(),
            display_name: name,
            // Its address ends after a while, and nothing here would fetch a new one.
            avatar_url: None,
            server: None,
            tier: Some(Kind::Member.as_str().to_owned()),
        })
    }

    /// The organizations for which the person may post.
    async fn organizations_of(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
    ) -> Result<Vec<(Found, Option<Person>)>, AuthError> {
        let mut found: Vec<(Found, Option<Person>)> = Vec::new();
        for page in 0..ANSWERS_MAX {
            let (start, count) = ((page * PAGE).to_string(), PAGE.to_string());
            let query = [
                ("q", "roleAssignee"),
                ("state", "APPROVED"),
                ("start", start.as_str()),
                ("count", count.as_str()),
            ];
            let body = self.get(tools, &grant.access, "rest/organizationAcls", &query).await?;
            let rows = body["elements"].as_array().ok_or_else(|| self.bad("it lists no organizations"))?;
            for row in rows {
                // Both names of the field occur.
                let urn = row["organization"].as_str().or_else(|| row["organizationTarget"].as_str());
                let Some(urn) = urn.filter(|it| is_organization(it)) else { continue };
                let may = row["role"].as_str().is_none_or(|it| ROLES.contains(&it));
                let approved = row["state"].as_str().is_none_or(|it| it == "APPROVED");
                if !may || !approved || found.iter().any(|(it, _)| it.remote_id == urn) {
                    continue;
                }
                let person = row["roleAssignee"].as_str().map(|id| Person {
                    id: wire::clean(id, &[]),
                    token: grant.access.clone(),
                    expires_at: grant.expires_at,
                });
                found.push((self.organization(tools, &grant.access, urn).await?, person));
            }
            if rows.len() < PAGE {
                break;
            }
        }
        if found.is_empty() {
            return Err(AuthError::Setup {
                problem: "LinkedIn names no page on which this member may post".into(),
                remedy: "ask a super admin of the page for the role of a content admin, and connect again"
                    .into(),
            });
        }
        Ok(found)
    }

    async fn organization(
        &self,
        tools: Tools<'_>,
        access: &AccessToken,
        urn: &str,
    ) -> Result<Found, AuthError> {
        let id = urn.rsplit(':').next().unwrap_or_default();
        let body = self.get(tools, access, &format!("rest/organizations/{id}"), &[]).await?;
        let text = |name: &str| {
            let text = body[name].as_str().map(str::trim).filter(|it| !it.is_empty() && it.len() <= 255);
            text.map(|it| wire::clean(it, &[]))
        };
        let name = text("localizedName").unwrap_or_else(|| id.to_owned());
        Ok(Found {
            remote_id: urn.to_owned(),
            app_scoped_id: None,
            username: text("vanityName").unwrap_or_else(|| name.clone()),
            display_name: name,
            avatar_url: None,
            server: None,
            tier: Some(Kind::Organization.as_str().to_owned()),
        })
    }

    /// For approved partners: a new token for the same refresh token, whose own life does not grow.
    pub(super) async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        let Some(refresh) = &grant.refresh else {
            return Err(RefreshError::Dead {
                message: "LinkedIn renews tokens for approved partners only".into(),
            });
        };
        let Some(app) = self.app_of(&grant.client_id) else {
            return Err(RefreshError::Config {
                message: "the app that this account came through is not configured any more".into(),
                hint: "set its `client_id` again, or connect the account through another app".into(),
            });
        };
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
        let body = self.token(tools, app, &fields).await.map_err(refresh_error)?;
        let fresh = grant_of(&body, &app.0, grant.scopes.clone(), tools.now)
            .ok_or_else(|| RefreshError::Lost { message: "there is no usable token in the answer".into() })?;
        let person = grant.person.clone().map(|it| Person { token: fresh.access.clone(), ..it });
        Ok(Grant {
            refresh: fresh.refresh.or_else(|| Some(refresh.clone())),
            grant_expires_at: fresh.grant_expires_at.or(grant.grant_expires_at),
            person,
            ..fresh
        })
    }

    /// `POST /oauth/v2/revoke`, which LinkedIn's own client libraries call and no page of it describes.
    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        let url = wire::below(&self.oauth, "oauth/v2/revoke");
        let hint = || Some(super::revoke_by_hand(PlatformName::LinkedIn, None));
        let line = |result, message: Option<String>| Revocation {
            what: "access of the app",
            place: wire::place(&url),
            result,
            message,
            hint: if result == RevocationResult::Done { None } else { hint() },
        };
        let Some((client_id, client_secret)) = self.app_of(&grant.client_id) else {
            let message = "the app that this account came through is not configured any more";
            return vec![line(RevocationResult::NotPossible, Some(message.to_owned()))];
        };
        let (secret, token) = (client_secret.expose_secret(), grant.access.expose());
        let fields = [("client_id", client_id.as_str()), ("client_secret", secret), ("token", token)];
        let fault = match tools.fixed.exchange(wire::form(&url, &fields)).await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                return vec![line(RevocationResult::Done, None)];
            }
            Ok(answer) => wire::refusal(&answer, &[secret, token], tools.now),
            Err(error) => error.into(),
        };
        let result = match fault {
            // There is no promise that it can be asked for.
            Fault::Refused { .. } => RevocationResult::NotPossible,
            _ => RevocationResult::Failed,
        };
        vec![line(result, Some(fault.to_string()))]
    }

    /// `POST /oauth/v2/introspectToken`: how a token stands with LinkedIn
    /// (learn.microsoft.com/linkedin/shared/authentication/developer-portal-tools). `None`: the app that it
    /// came through is not configured any more.
    pub(super) async fn inspect(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
    ) -> Option<Result<TokenState, AuthError>> {
        let (client_id, client_secret) = self.app_of(&grant.client_id)?;
        let url = wire::below(&self.oauth, "oauth/v2/introspectToken");
        let (secret, token) = (client_secret.expose_secret(), grant.access.expose());
        let fields = [("client_id", client_id.as_str()), ("client_secret", secret), ("token", token)];
        let body = match tools.fixed.exchange(wire::form(&url, &fields)).await {
            Ok(answer) => wire::json(answer.status() == StatusCode::OK, &answer, &[secret, token], tools.now),
            Err(error) => Err(error.into()),
        };
        let body = match body {
            Ok(body) => body,
            Err(fault) => return Some(Err(AuthError::of(&wire::place(&self.oauth), fault))),
        };
        let Some(is_valid) = body["active"].as_bool() else {
            let problem = "it does not say whether the token is active".into();
            return Some(Err(AuthError::BadAnswer { by: wire::place(&self.oauth), problem }));
        };
        let word = if is_valid { "active" } else { "inactive" };
        let end = body["expires_at"].as_i64().and_then(|it| Timestamp::from_second(it).ok());
        Some(Ok(TokenState {
            is_valid,
            // Every token of LinkedIn's has an end, said or not.
            expires_at: end.or(grant.expires_at),
            data_access_expires_at: None,
            said: Some(wire::clean(body["status"].as_str().unwrap_or(word), &[secret, token])),
        }))
    }

    /// `POST /oauth/v2/accessToken`, with the app's id and secret in the body.
    async fn token(
        &self,
        tools: Tools<'_>,
        (client_id, client_secret): &(String, SecretString),
        fields: &[(&str, &str)],
    ) -> Result<Value, Fault> {
        let url = wire::below(&self.oauth, "oauth/v2/accessToken");
        let mut all = fields.to_vec();
        all.extend([("client_id", client_id.as_str()), ("client_secret", client_secret.expose_secret())]);
        let hide: Vec<&str> = all.iter().skip(1).map(|(_, value)| *value).collect();
        let answer = tools.fixed.exchange(wire::form(&url, &all)).await?;
        wire::json(answer.status() == StatusCode::OK, &answer, &hide, tools.now)
    }

    /// A read in the name of a token that was just issued.
    async fn get(
        &self,
        tools: Tools<'_>,
        access: &AccessToken,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Value, AuthError> {
        let mut url = wire::below(&self.api, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let by = wire::place(&url);
        let mut waits = self.waits.iter();
        loop {
            let mut request = wire::get(&url);
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, access.header("Bearer"));
            if path.starts_with("rest/") {
                headers.insert("x-restli-protocol-version", HeaderValue::from_static("2.0.0"));
                if let Ok(version) = HeaderValue::from_str(&self.version) {
                    headers.insert("linkedin-version", version);
                }
                if query.first().is_some_and(|it| it.0 == "q") {
                    headers.insert("x-restli-method", HeaderValue::from_static("FINDER"));
                }
            }
            let answer =
                tools.fixed.exchange(request).await.map_err(|error| AuthError::of(&by, error.into()))?;
            if let (true, Some(wait)) = (is_fresh(&answer), waits.next()) {
                tokio::time::sleep(*wait).await;
                continue;
            }
            if answer.status() == StatusCode::UPGRADE_REQUIRED {
                return Err(AuthError::Setup {
                    problem: format!("LinkedIn serves version {} of its API no longer", self.version),
                    remedy: "set `linkedin_version` in [platforms.linkedin] to a newer one, and reload"
                        .into(),
                });
            }
            return wire::json(answer.status() == StatusCode::OK, &answer, &[access.expose()], tools.now)
                .map_err(|fault| AuthError::of(&by, fault));
        }
    }

    /// The app of new accounts.
    pub(super) fn app(&self) -> Result<&(String, SecretString), AuthError> {
        let (app, section) = match self.kind {
            Kind::Member => (&self.member, "[platforms.linkedin]"),
            Kind::Organization => (&self.organization, "[platforms.linkedin.organization]"),
        };
        app.as_ref().ok_or_else(|| AuthError::Setup {
            problem: format!("no LinkedIn app is configured for a connect as {}", self.kind.as_str()),
            remedy: format!("set `client_id` and `client_secret` in {section}, and reload"),
        })
    }

    /// The app of this id.
    fn app_of(&self, client_id: &str) -> Option<&(String, SecretString)> {
        [&self.member, &self.organization].into_iter().flatten().find(|it| it.0 == client_id)
    }

    /// What a failed code exchange means.
    fn exchange_error(&self, fault: Fault) -> AuthError {
        match fault {
            Fault::Refused { status, error, said } => match (status, error.as_deref()) {
                (401, _) | (_, Some("invalid_client" | "unauthorized_client" | "invalid_client_id")) => {
                    AuthError::ClientRefused { said }
                }
                (400, _) => AuthError::CodeRefused { said },
                _ => AuthError::of(&wire::place(&self.oauth), Fault::Refused { status, error, said }),
            },
            other => AuthError::of(&wire::place(&self.oauth), other),
        }
    }

    fn bad(&self, problem: &str) -> AuthError {
        AuthError::BadAnswer { by: wire::place(&self.api), problem: problem.into() }
    }
}

/// A good token that LinkedIn does not know everywhere yet.
fn is_fresh(answer: &Response<Bytes>) -> bool {
    let code = || serde_json::from_slice::<Value>(answer.body()).ok()?["serviceErrorCode"].as_i64();
    answer.status() == StatusCode::UNAUTHORIZED && code() == Some(FRESH)
}

/// What is kept of a token answer. Scopes come with blanks or commas between them.
fn grant_of(body: &Value, client_id: &str, asked: Vec<String>, now: Timestamp) -> Option<Grant> {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let end = |name: &str| {
        let seconds = body[name].as_i64().filter(|it| *it > 0)?;
        now.checked_add(SignedDuration::from_secs(seconds)).ok()
    };
    let scopes: Vec<String> = text("scope")
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|it| !it.is_empty())
        .map(|it| wire::clean(it, &[]))
        .collect();
    Some(Grant {
        access: AccessToken::new(text("access_token")?)?,
        refresh: text("refresh_token").and_then(RefreshToken::new),
        proof: Proof::Bearer,
        scopes: if scopes.is_empty() { asked } else { scopes },
        issued_at: now,
        expires_at: end("expires_in"),
        grant_expires_at: end("refresh_token_expires_in"),
        client_id: client_id.to_owned(),
        server: None,
        person: None,
    })
}

/// What a failed refresh means.
fn refresh_error(fault: Fault) -> RefreshError {
    let (status, error, said) = match RefreshError::of(fault) {
        Ok(error) => return error,
        Err(refused) => refused,
    };
    let error = error.unwrap_or_else(|| format!("status {status}"));
    let message = said.map_or_else(|| format!("`{error}`"), |said| format!("`{error}`: {said}"));
    match (status, error.as_str()) {
        (400, "invalid_request" | "invalid_grant") => RefreshError::Dead { message },
        _ => RefreshError::Config {
            message,
            hint: "compare client id and secret with the app's page on LinkedIn; accounts stay connected"
                .into(),
        },
    }
}

/// LinkedIn takes https. Of loopback addresses some say that it takes them and others that it does not;
/// its own page says so then.
pub(super) fn check_redirect(url: &Url) -> Result<(), AuthError> {
    let here = wire::is_loopback_ip(url) || url.host_str() == Some("localhost");
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        return Ok(());
    }
    Err(AuthError::Setup {
        problem: format!("LinkedIn does not take `{url}` as the address to come back to"),
        remedy: "use an `https://` public address, or one on `http://127.0.0.1:PORT`".into(),
    })
}

fn is_organization(urn: &str) -> bool {
    let id = urn.strip_prefix("urn:li:organization:");
    id.is_some_and(|it| (1..=20).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
}

fn is_name(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
