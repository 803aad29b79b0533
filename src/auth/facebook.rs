//! Facebook: authorization code without PKCE (Meta has none for Pages), a long-lived token of the
//! person, and from that a token for each of their Pages, which has no end of its own.
//!
//! Sources: developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow,
//! …/docs/facebook-login/guides/access-tokens/get-long-lived, …/docs/pages-api/getting-started.
//! Tokens travel in headers and the app's secret in forms, never in an address (but for the one call that
//! asks about a token).

mod upkeep;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

use super::chance::{Digest, secret};
use super::grant::{Grant, Person, Proof};
use super::token::AccessToken;
use super::wire::{self, Fault};
use super::{
    AuthError, Begin, CallbackParams, Connected, Found, Pending, Revocation, RevocationResult, ScopeNeed,
    Server, Started, Tools,
};
use crate::domain::hex::hex;
use crate::domain::ids::PlatformName;

/// What we ask for (developers.facebook.com/docs/permissions). `publish_video` is in no newer page.
pub static SCOPES: &[ScopeNeed] = &[
    ScopeNeed { scope: "pages_show_list", required: true, without: "Pages cannot be found" },
    ScopeNeed { scope: "pages_read_engagement", required: true, without: "posts cannot be published" },
    ScopeNeed { scope: "pages_manage_posts", required: true, without: "posts cannot be published" },
    ScopeNeed {
        scope: "pages_manage_engagement",
        required: false,
        without: "posts cannot carry a first comment",
    },
    ScopeNeed {
        scope: "business_management",
        required: false,
        without: "Pages that belong to a business portfolio are not found",
    },
];

/// Why a token is never refreshed here.
pub(super) const NO_REFRESH: &str = "Facebook renews no token without the person";

/// Where a person sees and ends the access of apps.
pub(super) const APPS_PAGE: &str = "https://www.facebook.com/settings?tab=business_tools";

/// What is asked of each Page.
const PAGE_FIELDS: &str = "id,name,username,tasks,access_token,picture{url}";
/// Pages of one answer, and answers read at most.
const PAGE_LIMIT: &str = "100";
const ANSWERS_MAX: usize = 50;
/// Business portfolios whose Pages are looked for.
const PORTFOLIOS: usize = 20;

/// Posts of an app that is not live are seen by its own people alone, and the API says nothing of it.
const MODE_WARNING: &str =
    "if the app is in development mode, only people with a role on it see its posts: switch it to live";

/// Facebook as the operator configured it.
#[derive(Debug, Clone)]
pub struct FacebookProvider {
    /// The app's id.
    pub client_id: String,
    /// The app's secret. There is no way without.
    pub client_secret: SecretString,
    /// The configuration that says what is asked for, where the app has Facebook Login for Business
    /// (developers.facebook.com/documentation/facebook-login/facebook-login-for-business).
    pub config_id: Option<String>,
    /// The sign-in dialog, with its version.
    pub authorize: Url,
    /// The Graph API, with its version.
    pub graph: Url,
}

/// The proof that a call comes from the app that a token was given to: lower-case hex of
/// HMAC-SHA256 with the app's secret as key and the token as message
/// (developers.facebook.com/docs/graph-api/guides/secure-requests).
pub fn proof(token: &AccessToken, app_secret: &SecretString) -> String {
    proof_of(token.expose(), app_secret.expose_secret())
}

fn proof_of(token: &str, app_secret: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    hex(&mac.finalize().into_bytes())
}

impl FacebookProvider {
    /// Facebook takes https, and `http://localhost` while the app is in development mode
    /// (developers.facebook.com/blog/post/2018/06/08/enforce-https-facebook-login); a number in its place is
    /// not named there. A stand-in takes any loopback address.
    pub(super) fn check_address(&self, redirect: &Url) -> Result<(), AuthError> {
        check_redirect(redirect)?;
        if wire::is_loopback_ip(&self.graph)
            || !(redirect.scheme() == "http" && wire::is_loopback_ip(redirect))
        {
            return Ok(());
        }
        Err(no_address(redirect))
    }

    pub(super) fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        check_redirect(&ask.redirect_uri)?;
        Ok(self.begin_for(tools, ask, SCOPES, Server::Facebook))
    }

    /// Begins for whatever hangs on a Page; Instagram's accounts do.
    pub(super) fn begin_for(
        &self,
        tools: Tools<'_>,
        ask: Begin,
        needs: &[ScopeNeed],
        server: Server,
    ) -> Started {
        let state = secret(tools.random);
        let scopes: Vec<&str> = needs.iter().map(|need| need.scope).collect();
        let mut authorize_url = self.authorize.clone();
        authorize_url
            .query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", ask.redirect_uri.as_str())
            .append_pair("state", &state)
            .append_pair("response_type", "code");
        if let Some(id) = &self.config_id {
            // It stands in the place of the scopes, and whoever consents grants them all.
            authorize_url.query_pairs_mut().append_pair("config_id", id);
        } else {
            authorize_url.query_pairs_mut().append_pair("scope", &scopes.join(","));
        }
        if ask.reconnect.is_some() && self.config_id.is_none() {
            // Asks again for what was declined; without, the dialog passes it over in silence.
            authorize_url.query_pairs_mut().append_pair("auth_type", "rerequest");
        }
        let pending = Pending {
            state: Digest::of(&state),
            verifier: SecretString::from(String::new()),
            redirect_uri: ask.redirect_uri,
            expect: ask.reconnect,
            server,
        };
        Started { authorize_url, pending }
    }

    /// The Pages of the person who consented, each with a token of its own.
    ///
    /// A person whose consent is of no use keeps it: taking it back would end the access of every Page
    /// of theirs that is connected already.
    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Vec<Connected>, AuthError> {
        let (person, scopes, missing_scopes) = self.person(tools, &pending, back, SCOPES).await?;
        let mut pages = self.pages(tools, &person, &scopes).await?;
        if let Some(expected) = &pending.expect {
            let others: Vec<String> = pages.iter().map(|it| it.0.remote_id.clone()).collect();
            pages.retain(|it| it.0.remote_id == *expected);
            if pages.is_empty() {
                return Err(AuthError::OtherAccount {
                    expected: expected.clone(),
                    found: others.join("`, `"),
                });
            }
        }
        let connected = pages.into_iter().map(|(found, access, warning)| Connected {
            found,
            scopes: scopes.clone(),
            missing_scopes: missing_scopes.clone(),
            warnings: [MODE_WARNING.to_owned()].into_iter().chain(warning).collect(),
            grant: self.grant(tools, access, &scopes, &person),
        });
        Ok(connected.collect())
    }

    /// What is kept of one Page, or of what hangs on it.
    pub(super) fn grant(
        &self,
        tools: Tools<'_>,
        access: AccessToken,
        scopes: &[String],
        person: &Person,
    ) -> Grant {
        Grant {
            access,
            refresh: None,
            proof: Proof::Bearer,
            scopes: scopes.to_vec(),
            issued_at: tools.now,
            // A Page's token that was asked for with a long-lived one has no end.
            expires_at: None,
            grant_expires_at: None,
            client_id: self.client_id.clone(),
            server: None,
            person: Some(person.clone()),
        }
    }

    /// The person who consented, with their long-lived token, and what they granted and did not.
    pub(super) async fn person(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        back: &CallbackParams,
        needs: &[ScopeNeed],
    ) -> Result<(Person, Vec<String>, Vec<String>), AuthError> {
        let code = back.outcome()?;
        let short = self
            .token(
                tools,
                &[
                    ("grant_type", "authorization_code"),
                    ("redirect_uri", pending.redirect_uri.as_str()),
                    ("code", code.expose_secret()),
                ],
            )
            .await?;
        // Pages' tokens live as long as the token they are asked with; this one makes them last.
        let long = self
            .token(tools, &[("grant_type", "fb_exchange_token"), ("fb_exchange_token", short.0.expose())])
            .await?;
        let (token, expires_at) = long;
        let (scopes, missing_scopes) = self.scopes(tools, &token, needs).await?;
        let me = self.get(tools, &token, "me", &[("fields", "id,name")]).await?;
        let id = me["id"].as_str().filter(|it| is_id(it)).ok_or_else(|| self.bad("it names no person"))?;
        Ok((Person { id: id.to_owned(), token, expires_at }, scopes, missing_scopes))
    }

    /// `POST /oauth/access_token`: as a form, so that secret and code stand in no address.
    async fn token(
        &self,
        tools: Tools<'_>,
        fields: &[(&str, &str)],
    ) -> Result<(AccessToken, Option<Timestamp>), AuthError> {
        let url = wire::below(&self.graph, "oauth/access_token");
        let mut all = vec![("client_id", self.client_id.as_str())];
        all.push(("client_secret", self.client_secret.expose_secret()));
        all.extend_from_slice(fields);
        let hide: Vec<&str> = all.iter().skip(1).map(|(_, value)| *value).collect();
        let answer = tools.fixed.exchange(wire::form(&url, &all)).await;
        let answer = answer.map_err(|error| AuthError::of(&wire::place(&url), error.into()))?;
        let body = read(&answer, &hide, tools.now).map_err(|fault| match fault {
            // 101 and 1: the app's id or secret; 100: the code, for whatever reason.
            Fault::Refused { error, said, .. } => match error.as_deref() {
                Some("1" | "101") => AuthError::ClientRefused { said },
                _ => AuthError::CodeRefused { said },
            },
            other => AuthError::of(&wire::place(&url), other),
        })?;
        let token = body["access_token"].as_str().map(str::to_owned).and_then(AccessToken::new);
        let token = token.ok_or_else(|| self.bad("there is no usable token in it"))?;
        let life = body["expires_in"].as_i64().filter(|it| *it > 0).map(SignedDuration::from_secs);
        Ok((token, life.and_then(|it| tools.now.checked_add(it).ok())))
    }

    /// What was granted, and what was asked for and was not (`GET /me/permissions`).
    async fn scopes(
        &self,
        tools: Tools<'_>,
        token: &AccessToken,
        needs: &[ScopeNeed],
    ) -> Result<(Vec<String>, Vec<String>), AuthError> {
        let body = self.get(tools, token, "me/permissions", &[]).await?;
        let all = body["data"].as_array().ok_or_else(|| self.bad("it lists no permissions"))?;
        let granted: Vec<String> = all
            .iter()
            .filter(|it| it["status"] == "granted")
            .filter_map(|it| it["permission"].as_str())
            .map(|it| wire::clean(it, &[]))
            .collect();
        let lacks = |need: &&ScopeNeed| !granted.iter().any(|it| it == need.scope);
        let names = |required: bool| -> Vec<String> {
            let lacking = needs.iter().filter(lacks).filter(|need| need.required || !required);
            lacking.map(|need| need.scope.to_owned()).collect()
        };
        if !names(true).is_empty() {
            return Err(AuthError::MissingScope { missing: names(true) });
        }
        let missing = names(false);
        Ok((granted, missing))
    }

    /// The Pages on which this person may publish, with a token for each and what speaks against it.
    async fn pages(
        &self,
        tools: Tools<'_>,
        person: &Person,
        scopes: &[String],
    ) -> Result<Vec<(Found, AccessToken, Option<String>)>, AuthError> {
        let rows = self.page_rows(tools, person, scopes, PAGE_FIELDS).await?;
        let found: Vec<_> = rows.iter().filter_map(page).collect();
        let seen = rows.len();
        if found.is_empty() {
            let problem = if seen == 0 {
                "Facebook shows no Page of this person to the app".to_owned()
            } else {
                "this person may not publish on any of the Pages that Facebook shows to the app".to_owned()
            };
            return Err(AuthError::Setup {
                problem,
                remedy:
                    "in Facebook's dialog choose the Pages, all permissions ticked; a Page of a business \
                         portfolio needs `business_management`; you need the right to create content there"
                        .into(),
            });
        }
        Ok(found)
    }

    /// Every Page that the person shows, with these fields. Some that belong to a business portfolio are
    /// missing from the person's own list and stand in the portfolio's
    /// (github.com/chatwoot/chatwoot/issues/7219).
    pub(super) async fn page_rows(
        &self,
        tools: Tools<'_>,
        person: &Person,
        scopes: &[String],
        fields: &str,
    ) -> Result<Vec<Value>, AuthError> {
        let mut found = self.rows(tools, person, "me/accounts", fields).await?;
        if !scopes.iter().any(|it| it == "business_management") {
            return Ok(found);
        }
        // What the person may do there is told by their own list alone.
        let fields = fields.replace("tasks,", "");
        // What the person's own list shows is worth more than a portfolio that cannot be read.
        let businesses = self.rows(tools, person, "me/businesses", "id").await.unwrap_or_default();
        for id in businesses.iter().filter_map(|it| it["id"].as_str()).filter(|it| is_id(it)).take(PORTFOLIOS)
        {
            for edge in ["owned_pages", "client_pages"] {
                let pages = self.rows(tools, person, &format!("{id}/{edge}"), &fields).await;
                let known = |page: &Value| found.iter().any(|it| it["id"] == page["id"]);
                let more: Vec<Value> =
                    pages.unwrap_or_default().into_iter().filter(|it| !known(it)).collect();
                found.extend(more);
            }
        }
        Ok(found)
    }

    /// A list of the person's, part by part.
    async fn rows(
        &self,
        tools: Tools<'_>,
        person: &Person,
        path: &str,
        fields: &str,
    ) -> Result<Vec<Value>, AuthError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..ANSWERS_MAX {
            let mut query = vec![("fields", fields), ("limit", PAGE_LIMIT)];
            // The address of the next part holds the token; its cursor alone is as good.
            query.extend(after.as_deref().map(|it| ("after", it)));
            let body = self.get(tools, &person.token, path, &query).await?;
            let pages = body["data"].as_array().ok_or_else(|| self.bad("it lists no Pages"))?;
            found.extend(pages.iter().cloned());
            let more = body["paging"]["next"].is_string();
            after = body["paging"]["cursors"]["after"].as_str().filter(|_| more).map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Gives the person's access back. It ends the access of all their Pages at once, so the caller
    /// asks for it only with the last of them.
    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        let Some(person) = &grant.person else { return Vec::new() };
        let mut url = wire::below(&self.graph, &format!("{}/permissions", person.id));
        let mut request = self.signed(&mut url, &person.token, &[]);
        *request.method_mut() = http::Method::DELETE;
        let fault = match tools.fixed.exchange(request).await {
            Err(error) => Some(Fault::from(error)),
            Ok(answer) => match read_any(&answer, &[person.token.expose()], tools.now) {
                // Old versions answer with a bare `true`.
                Ok(body) if body == true || body["success"] == true => None,
                Ok(_) => Some(Fault::Garbage("it does not say that it is done".into())),
                // The token is dead already, and with it all that hung on it.
                Err(Fault::Refused { error: Some(code), .. }) if code == "190" => None,
                Err(fault) => Some(fault),
            },
        };
        let failed = fault.is_some();
        vec![Revocation {
            what: "access of the app",
            place: wire::place(&url),
            result: if failed { RevocationResult::Failed } else { RevocationResult::Done },
            message: fault.map(|it| it.to_string()),
            hint: failed.then(|| super::revoke_by_hand(PlatformName::Facebook, None)),
        }]
    }

    async fn get(
        &self,
        tools: Tools<'_>,
        token: &AccessToken,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Value, AuthError> {
        let mut url = wire::below(&self.graph, path);
        let request = self.signed(&mut url, token, query);
        let answer = tools.fixed.exchange(request).await;
        let answer = answer.map_err(|error| AuthError::of(&wire::place(&url), error.into()))?;
        read(&answer, &[token.expose()], tools.now).map_err(|fault| AuthError::of(&wire::place(&url), fault))
    }

    fn signed(&self, url: &mut Url, token: &AccessToken, query: &[(&str, &str)]) -> http::Request<Bytes> {
        url.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("appsecret_proof", &proof(token, &self.client_secret));
        let mut request = wire::get(url);
        request.headers_mut().insert(http::header::AUTHORIZATION, token.header("Bearer"));
        request
    }

    /// With which the app speaks in its own name: id and secret with a bar between
    /// (developers.facebook.com/docs/facebook-login/guides/access-tokens/debugging).
    fn app_token(&self) -> Option<AccessToken> {
        AccessToken::new(format!("{}|{}", self.client_id, self.client_secret.expose_secret()))
    }

    pub(super) fn bad(&self, problem: &str) -> AuthError {
        AuthError::BadAnswer { by: wire::place(&self.graph), problem: problem.into() }
    }
}

/// One Page of the list; none when it is unusable or the person may not publish on it.
fn page(it: &Value) -> Option<(Found, AccessToken, Option<String>)> {
    let text = |name: &str| it[name].as_str().filter(|it| !it.is_empty() && it.len() <= 255);
    let remote_id = text("id").filter(|it| is_id(it))?.to_owned();
    let access = AccessToken::new(text_of(&it["access_token"])?)?;
    let tasks: Option<Vec<&str>> =
        it["tasks"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect());
    if tasks.as_ref().is_some_and(|all| !all.contains(&"CREATE_CONTENT") && !all.contains(&"MANAGE")) {
        return None;
    }
    let comments = tasks.is_none_or(|all| all.contains(&"MODERATE") || all.contains(&"MANAGE"));
    let display_name = text("name").map_or_else(|| remote_id.clone(), |it| wire::clean(it, &[]));
    let found = Found {
        app_scoped_id: None,
        // Not every Page has a name of its own in addresses.
        username: text("username").map_or_else(|| display_name.clone(), |it| wire::clean(it, &[])),
        display_name,
        avatar_url: it["picture"]["data"]["url"].as_str().map(str::to_owned),
        server: None,
        tier: None,
        remote_id,
    };
    let warning = (!comments)
        .then(|| "this person may not write comments as the Page, so first comments will fail".to_owned());
    Some((found, access, warning))
}

pub(super) fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=30).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// What no Facebook takes, nor a stand-in for it.
pub(super) fn check_redirect(url: &Url) -> Result<(), AuthError> {
    let here = wire::is_loopback_ip(url) || url.host_str() == Some("localhost");
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        return Ok(());
    }
    Err(no_address(url))
}

fn no_address(url: &Url) -> AuthError {
    AuthError::Setup {
        problem: format!("Facebook does not take `{url}` as the address to come back to"),
        remedy: "use an `https://` public address, or `http://localhost:PORT` while the app is in \
                 development mode (`localhost`, not a number)"
            .into(),
    }
}

/// The JSON object of a success; else what Meta's error means.
pub(super) fn read(answer: &Response<Bytes>, hide: &[&str], now: Timestamp) -> Result<Value, Fault> {
    read_any(answer, hide, now).and_then(|body| {
        if body.is_object() { Ok(body) } else { Err(Fault::Garbage("it is not a JSON object".into())) }
    })
}

/// As [`read`], for answers that may be any JSON. Meta's errors have a shape of their own, and now and
/// then they come with 200.
fn read_any(answer: &Response<Bytes>, hide: &[&str], now: Timestamp) -> Result<Value, Fault> {
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let error = body.as_ref().and_then(|it| it.get("error")).filter(|it| it.is_object());
    if let Some(error) = error.filter(|_| !answer.status().is_server_error()) {
        let code = error["code"].as_i64().map(|it| it.to_string());
        let said = error["error_user_msg"].as_str().or_else(|| error["message"].as_str());
        let said = said.map(|it| wire::clean(it, hide));
        return Err(Fault::Refused { status: answer.status().as_u16(), error: code, said });
    }
    match body {
        Some(body) if answer.status() == StatusCode::OK => Ok(body),
        None if answer.status() == StatusCode::OK => Err(Fault::Garbage("it is not JSON".into())),
        _ => Err(wire::refusal(answer, hide, now)),
    }
}
