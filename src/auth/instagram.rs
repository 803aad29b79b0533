//! Instagram, by either door: its own sign-in (authorization code without PKCE, a token of 60 days that
//! renews itself), or Facebook's, where an account hangs on a Page of the person.
//!
//! Sources: developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login;
//! the Facebook door as in [`super::facebook`]. Exchange and refresh are documented as addresses that
//! hold the token; such an address goes into no message.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::{Host, Url};

use super::chance::{Digest, secret};
use super::facebook::{self, FacebookProvider};
use super::grant::{Grant, Proof};
use super::token::{AccessToken, RefreshToken};
use super::wire::{self, Fault};
use super::{
    AuthError, Begin, CallbackParams, Connected, Found, Pending, RefreshError, Revocation, RevocationResult,
    ScopeNeed, Server, Started, Tools,
};
use crate::domain::door::Door;
use crate::domain::ids::PlatformName;

const fn need(scope: &'static str, required: bool, without: &'static str) -> ScopeNeed {
    ScopeNeed { scope, required, without }
}

/// Asked for at Instagram's own door.
pub static SCOPES: &[ScopeNeed] = &[
    need("instagram_business_basic", true, "the account cannot be read"),
    need("instagram_business_content_publish", true, "posts cannot be published"),
    need("instagram_business_manage_comments", false, "posts cannot carry a first comment"),
];

/// Asked for at Facebook's.
pub static FACEBOOK_SCOPES: &[ScopeNeed] = &[
    need("instagram_basic", true, "the account cannot be read"),
    need("instagram_content_publish", true, "posts cannot be published"),
    need("pages_show_list", true, "the account's Page cannot be found"),
    need("pages_read_engagement", true, "the account's Page cannot be read"),
    need("instagram_manage_comments", false, "posts cannot carry a first comment"),
    need("instagram_manage_contents", false, "posts cannot be deleted"),
    need("business_management", false, "accounts that belong to a business portfolio are not found"),
];

/// Where a person ends the access of apps.
pub(super) const APPS_PAGE: &str = "https://www.instagram.com/accounts/manage_access/";

/// A token is renewed once it is this old, and not before.
const OLD_ENOUGH: SignedDuration = SignedDuration::from_hours(24);
const PAGE_FIELDS: &str =
    "id,name,tasks,access_token,instagram_business_account{id,username,name,profile_picture_url}";
const ME_FIELDS: &str = "id,user_id,username,name,account_type,profile_picture_url";

/// Instagram as the operator configured it.
#[derive(Debug, Clone)]
pub struct InstagramProvider {
    /// Through which door new accounts come.
    pub door: Door,
    /// The Instagram app's id and secret, where there is one: another pair than the Meta app's.
    pub app: Option<(String, SecretString)>,
    /// The sign-in page.
    pub authorize: Url,
    /// Where codes are redeemed.
    pub token: Url,
    /// The API behind Instagram's own door, without a version.
    pub graph: Url,
    pub version: String,
    /// The app of the Facebook door, where there is one.
    pub facebook: Option<FacebookProvider>,
}

impl InstagramProvider {
    /// Whether this installation can be used with Instagram at all: the network takes no redirect to a
    /// private host, and fetches pictures by links to this one. A stand-in on loopback takes both.
    pub fn check_address(&self, redirect: &Url) -> Result<(), AuthError> {
        let asked = match (self.door, &self.facebook) {
            (Door::Facebook, Some(facebook)) => &facebook.graph,
            _ => &self.graph,
        };
        if wire::is_loopback_ip(asked) || is_public(redirect) {
            return Ok(());
        }
        let mut origin = redirect.clone();
        origin.set_path("");
        Err(AuthError::Setup {
            problem: format!("Instagram cannot reach `{origin}`, where it fetches pictures and videos"),
            remedy: "set `server.public_url` to an `https://` address that the internet can reach, and \
                     connect again"
                .into(),
        })
    }

    pub(super) fn scopes(&self) -> &'static [ScopeNeed] {
        match self.door {
            Door::Instagram => SCOPES,
            Door::Facebook => FACEBOOK_SCOPES,
        }
    }

    pub(super) fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        self.check_address(&ask.redirect_uri)?;
        if self.door == Door::Facebook {
            return Ok(self.facebook()?.begin_for(tools, ask, FACEBOOK_SCOPES, Server::Instagram));
        }
        let state = secret(tools.random);
        let scopes: Vec<&str> = SCOPES.iter().map(|need| need.scope).collect();
        let mut authorize_url = wire::below(&self.authorize, "oauth/authorize");
        authorize_url
            .query_pairs_mut()
            .append_pair("client_id", &self.app()?.0)
            .append_pair("redirect_uri", ask.redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", &scopes.join(","))
            .append_pair("state", &state)
            // Without it the browser's account is taken unasked, and a second one is never reached.
            .append_pair("force_reauth", "true");
        let pending = Pending {
            state: Digest::of(&state),
            verifier: SecretString::from(String::new()),
            redirect_uri: ask.redirect_uri,
            expect: ask.reconnect,
            server: Server::Instagram,
        };
        Ok(Started { authorize_url, pending })
    }

    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Vec<Connected>, AuthError> {
        let mut all = match self.door {
            Door::Instagram => vec![self.finish_here(tools, &pending, back).await?],
            Door::Facebook => self.finish_there(tools, &pending, back).await?,
        };
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

    /// Instagram's own door: a code, a token of an hour, one of 60 days, and whose it is.
    async fn finish_here(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        back: &CallbackParams,
    ) -> Result<Connected, AuthError> {
        let code = back.outcome()?.expose_secret();
        // Browsers carry a fragment that belongs to nobody; some of them hand it on.
        let code = code.strip_suffix("#_").unwrap_or(code);
        let (client_id, client_secret) = self.app()?;
        let client_secret = client_secret.expose_secret();
        let fields = [
            ("client_id", client_id.as_str()),
            ("client_secret", client_secret),
            ("grant_type", "authorization_code"),
            ("redirect_uri", pending.redirect_uri.as_str()),
            ("code", code),
        ];
        let url = wire::below(&self.token, "oauth/access_token");
        let answer = tools.fixed.exchange(wire::form(&url, &fields)).await;
        let answer = answer.map_err(|error| AuthError::of(&wire::place(&url), error.into()))?;
        let body = redeemed(&answer, &[client_secret, code], tools.now)
            .map_err(|fault| refused(&wire::place(&url), fault))?;
        // Documented within a list, seen without.
        let body = if body["data"][0].is_object() { &body["data"][0] } else { &body };
        let short = token(body).ok_or_else(|| self.bad("there is no usable token in it"))?;
        let scopes = permissions(&body["permissions"]);
        let lacks = |need: &&ScopeNeed| !scopes.iter().any(|it| it == need.scope);
        let missing = |required: bool| -> Vec<String> {
            let all = SCOPES.iter().filter(lacks).filter(|it| it.required || !required);
            all.map(|it| it.scope.to_owned()).collect()
        };
        if !missing(true).is_empty() {
            return Err(AuthError::MissingScope { missing: missing(true) });
        }
        let mut url = wire::below(&self.graph, "access_token");
        let place = wire::place(&url);
        url.query_pairs_mut()
            .append_pair("grant_type", "ig_exchange_token")
            .append_pair("client_secret", client_secret)
            .append_pair("access_token", short.expose());
        let answer = tools.fixed.exchange(wire::get(&url)).await;
        let answer = answer.map_err(|error| AuthError::of(&place, error.into()))?;
        let long = facebook::read(&answer, &[client_secret, short.expose()], tools.now)
            .map_err(|fault| AuthError::of(&place, fault))?;
        let access = token(&long).ok_or_else(|| self.bad("there is no usable token in it"))?;
        let me = self.me(tools, &access, ME_FIELDS).await.map_err(|fault| AuthError::of(&place, fault))?;
        let found = found(&me, "user_id", Door::Instagram)
            .ok_or_else(|| self.bad("it names no professional account"))?;
        let missing_scopes = missing(false);
        Ok(Connected {
            found,
            scopes: scopes.clone(),
            missing_scopes,
            warnings: Vec::new(),
            grant: grant_of(access, client_id, scopes, life(&long, tools.now), tools.now),
        })
    }

    /// Facebook's door: the accounts that hang on the Pages of the person.
    async fn finish_there(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        back: &CallbackParams,
    ) -> Result<Vec<Connected>, AuthError> {
        let facebook = self.facebook()?;
        let (person, scopes, missing_scopes) = facebook.person(tools, pending, back, FACEBOOK_SCOPES).await?;
        let rows = facebook.page_rows(tools, &person, &scopes, PAGE_FIELDS).await?;
        let connected: Vec<Connected> = rows
            .iter()
            .filter_map(|page| {
                let tasks = page["tasks"].as_array();
                let may = |it: &Value| it == "CREATE_CONTENT" || it == "MANAGE";
                if tasks.is_some_and(|all| !all.iter().any(may)) {
                    return None;
                }
                let access = token(page)?;
                Some(Connected {
                    found: found(&page["instagram_business_account"], "id", Door::Facebook)?,
                    scopes: scopes.clone(),
                    missing_scopes: missing_scopes.clone(),
                    warnings: Vec::new(),
                    grant: facebook.grant(tools, access, &scopes, &person),
                })
            })
            .collect();
        if connected.is_empty() {
            return Err(AuthError::Setup {
                problem: "none of this person's Pages has an Instagram account to publish on".into(),
                remedy: "link a professional account to a Page in the Instagram app, with the right to \
                         create content there, or set `login = \"instagram\"` in [platforms.instagram]"
                    .into(),
            });
        }
        Ok(connected)
    }

    /// A new life of 60 days for a token that is a day old at least and not at its end.
    pub(super) async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        let dead = |message: &str| RefreshError::Dead { message: message.to_owned() };
        let Some(old) = grant.refresh.as_ref().filter(|_| grant.person.is_none()) else {
            return Err(dead(facebook::NO_REFRESH));
        };
        if grant.expires_at.is_some_and(|end| end <= tools.now) {
            return Err(dead("a token that has ended cannot be renewed"));
        }
        // It cannot be renewed yet; whether it lives at all can be asked.
        let not_before = |until| async move {
            match self.me(tools, &grant.access, "user_id").await {
                Ok(_) => RefreshError::Later { until },
                Err(fault) => failed(fault),
            }
        };
        let day_after = |it: Timestamp| it.saturating_add(OLD_ENOUGH).unwrap_or(tools.now);
        // One that bears a time still to come was had with a clock that was ahead: only the network knows its age.
        let is_of_known_age = grant.issued_at <= tools.now;
        if is_of_known_age && tools.now < day_after(grant.issued_at) {
            return Err(not_before(day_after(grant.issued_at)).await);
        }
        let mut url = wire::below(&self.graph, "refresh_access_token");
        url.query_pairs_mut()
            .append_pair("grant_type", "ig_refresh_token")
            .append_pair("access_token", old.expose());
        let answer = tools.fixed.exchange(wire::get(&url)).await.map_err(|error| failed(error.into()))?;
        let body = match facebook::read(&answer, &[old.expose()], tools.now) {
            Ok(body) => body,
            Err(Fault::Refused { .. }) if !is_of_known_age => {
                return Err(not_before(day_after(tools.now)).await);
            }
            Err(fault) => return Err(failed(fault)),
        };
        let Some(access) = token(&body) else {
            return Err(RefreshError::Lost { message: "there is no usable token in the answer".into() });
        };
        let scopes = permissions(&body["permissions"]);
        let scopes = if scopes.is_empty() { grant.scopes.clone() } else { scopes };
        Ok(grant_of(access, &grant.client_id, scopes, life(&body, tools.now), tools.now))
    }

    /// Instagram's own door has no call for it; at Facebook's the person's consent ends.
    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        match (&grant.person, &self.facebook) {
            (Some(_), Some(facebook)) => facebook.revoke(tools, grant).await,
            (person, _) => vec![Revocation {
                what: "access of the app",
                place: wire::place(&self.graph),
                result: RevocationResult::NotPossible,
                message: Some(match person {
                    Some(_) => "the app of [platforms.facebook] is not configured any more".into(),
                    None => "Instagram has no call that ends an app's access".to_owned(),
                }),
                hint: Some(super::revoke_by_hand(PlatformName::Instagram, None)),
            }],
        }
    }

    async fn me(&self, tools: Tools<'_>, access: &AccessToken, fields: &str) -> Result<Value, Fault> {
        let mut url = wire::below(&self.graph, &format!("{}/me", self.version));
        url.query_pairs_mut().append_pair("fields", fields);
        let mut request = wire::get(&url);
        request.headers_mut().insert(http::header::AUTHORIZATION, access.header("Bearer"));
        facebook::read(&tools.fixed.exchange(request).await?, &[access.expose()], tools.now)
    }

    fn app(&self) -> Result<&(String, SecretString), AuthError> {
        self.app.as_ref().ok_or_else(|| AuthError::Setup {
            problem: "no Instagram app is configured".into(),
            remedy: "set `client_id` and `client_secret` in [platforms.instagram]".into(),
        })
    }

    fn facebook(&self) -> Result<&FacebookProvider, AuthError> {
        self.facebook.as_ref().ok_or_else(|| AuthError::Setup {
            problem: "no Facebook app is configured".into(),
            remedy: "set `client_id` and `client_secret` in [platforms.facebook]".into(),
        })
    }

    fn bad(&self, problem: &str) -> AuthError {
        AuthError::BadAnswer { by: wire::place(&self.graph), problem: problem.into() }
    }
}

/// An address that a network may be able to reach. Whether it does, only the network can tell.
fn is_public(url: &Url) -> bool {
    let host = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let private = ["localhost", "local", "internal", "lan", "test", "invalid", "home.arpa"];
            name.contains('.')
                && !private.iter().any(|it| name.strip_suffix(it).is_some_and(|rest| rest.ends_with('.')))
        }
        Some(Host::Ipv4(ip)) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified())
        }
        Some(Host::Ipv6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        None => false,
    };
    url.scheme() == "https" && host
}

fn token(body: &Value) -> Option<AccessToken> {
    AccessToken::new(facebook::text_of(&body["access_token"])?)
}

fn life(body: &Value, now: Timestamp) -> Option<Timestamp> {
    let seconds = body["expires_in"].as_i64().filter(|it| *it > 0)?;
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Granted scopes: a list, or a text with commas between.
fn permissions(value: &Value) -> Vec<String> {
    let all: Vec<&str> = match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => text.split([',', ' ']).collect(),
        _ => Vec::new(),
    };
    all.into_iter().filter(|it| !it.is_empty()).map(|it| wire::clean(it, &[])).collect()
}

/// What is kept of a token from Instagram's own door.
fn grant_of(
    access: AccessToken,
    client_id: &str,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Grant {
    Grant {
        // The token renews itself, so it is its own refresh token.
        refresh: RefreshToken::new(access.expose().to_owned()),
        access,
        proof: Proof::Bearer,
        scopes,
        issued_at: now,
        expires_at,
        grant_expires_at: None,
        client_id: client_id.to_owned(),
        server: None,
        person: None,
    }
}

/// An account as the API describes it. `id`: the field with the id that stands in paths, which is text
/// or a number.
fn found(it: &Value, id: &str, door: Door) -> Option<Found> {
    let text = |name: &str| it[name].as_str().filter(|it| !it.is_empty() && it.len() <= 255);
    let number = |name: &str| it[name].as_u64().map(|it| it.to_string());
    let digits =
        |name| text(name).map(str::to_owned).or_else(|| number(name)).filter(|it| facebook::is_id(it));
    let remote_id = digits(id)?;
    let username = wire::clean(text("username")?, &[]);
    Some(Found {
        display_name: text("name").map_or_else(|| username.clone(), |it| wire::clean(it, &[])),
        username,
        avatar_url: it["profile_picture_url"].as_str().map(str::to_owned),
        server: None,
        tier: Some(door.as_str().to_owned()),
        app_scoped_id: digits("id").filter(|it| *it != remote_id),
        remote_id,
    })
}

/// The endpoint for codes has errors of a shape of its own: `error_type`, `code`, `error_message`.
fn redeemed(answer: &Response<Bytes>, hide: &[&str], now: Timestamp) -> Result<Value, Fault> {
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let said = body.as_ref().and_then(|it| it["error_message"].as_str()).map(|it| wire::clean(it, hide));
    match said {
        Some(said) if !answer.status().is_server_error() => {
            Err(Fault::Refused { status: answer.status().as_u16(), error: None, said: Some(said) })
        }
        _ if answer.status() != StatusCode::OK => Err(wire::refusal(answer, hide, now)),
        _ => facebook::read(answer, hide, now),
    }
}

fn refused(place: &str, fault: Fault) -> AuthError {
    match fault {
        Fault::Refused { said, .. } => {
            let words = said.as_deref().unwrap_or_default();
            // The Meta app's id in the place of the Instagram app's, or a wrong secret.
            if ["platform app", "client_secret", "client secret", "client_id"]
                .iter()
                .any(|it| words.contains(it))
            {
                AuthError::ClientRefused { said }
            } else {
                AuthError::CodeRefused { said }
            }
        }
        other => AuthError::of(place, other),
    }
}

/// What a fault at a refresh means. A token stays what it is however often it is renewed, so nothing is
/// spent by one whose answer was lost.
fn failed(fault: Fault) -> RefreshError {
    match fault {
        Fault::Refused { error, said, .. } => {
            let message = said.unwrap_or_else(|| "the token is not taken".into());
            match error.as_deref() {
                Some("4" | "17" | "32" | "613" | "1" | "2") => RefreshError::NotSent { message },
                _ => RefreshError::Dead { message },
            }
        }
        Fault::Busy(until) => RefreshError::Later { until },
        Fault::NotSent(message) => RefreshError::NotSent { message },
        Fault::Lost(message) => RefreshError::Lost { message },
        other => RefreshError::Lost { message: other.to_string() },
    }
}
