//! Sign-in: the consent page, codes, tokens of sixty days, introspection, revocation, and whose they are.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

use super::{LinkedIn, error, error_of};
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::wire::{Answer, Bounded, Call, Fields};

/// The two apps of the stand-in: LinkedIn grants the products for members and for organizations apart.
pub(in crate::sandbox) const CLIENT: &str = "sandbox-linkedin";
pub(in crate::sandbox) const ORGANIZATION_CLIENT: &str = "sandbox-linkedin-pages";
/// Their secret: the same file serves all apps.
const SECRET: &str = crate::sandbox::facebook::SECRET;

const MEMBER_SCOPES: &[&str] = &["openid", "profile", "email", "w_member_social"];
const ORGANIZATION_SCOPES: &[&str] =
    &["r_organization_social", "w_organization_social", "rw_organization_admin", "r_organization_admin"];

const CODE_LIFE: SignedDuration = SignedDuration::from_mins(30);
const TOKEN_LIFE: i64 = 5_184_000;

pub(super) struct Grants {
    codes: Bounded<String, Code>,
    tokens: Bounded<String, Token>,
}

struct Code {
    client: &'static str,
    person: usize,
    scopes: Vec<String>,
    redirect: String,
    expires: Timestamp,
    used: bool,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) client: &'static str,
    pub(super) person: usize,
    pub(super) scopes: Vec<String>,
    issued: Timestamp,
    expires: Timestamp,
    revoked: bool,
}

impl Token {
    pub(super) fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|it| it == scope)
    }
}

impl Grants {
    pub(super) fn new() -> Self {
        Self { codes: Bounded::new(200), tokens: Bounded::new(500) }
    }
}

fn client(id: &str) -> Option<(&'static str, &'static [&'static str])> {
    match id {
        CLIENT => Some((CLIENT, MEMBER_SCOPES)),
        ORGANIZATION_CLIENT => Some((ORGANIZATION_CLIENT, ORGANIZATION_SCOPES)),
        _ => None,
    }
}

/// OAuth's own errors.
fn oauth_error(status: u16, error: &str, why: &str) -> Answer {
    Answer::json(status, &json!({ "error": error, "error_description": why })).because(why)
}

/// The answer that LinkedIn gives to a good token that it does not know everywhere yet.
pub(in crate::sandbox) fn too_fresh() -> Answer {
    error(401, "REVOKED_ACCESS_TOKEN", 65_601, "The token used in the request has been revoked by the user")
}

struct Asked {
    client: &'static str,
    redirect: Url,
    written: String,
    state: String,
    scopes: Vec<String>,
    granted: bool,
}

fn check(call: &Call) -> Result<Asked, String> {
    let query = Fields::once(call.query.clone())?;
    let known = ["response_type", "client_id", "redirect_uri", "state", "scope", "prompt"];
    if let Some(odd) = query.names().find(|it| !known.contains(it)) {
        return Err(format!("`{odd}` is not a parameter of the sign-in"));
    }
    let (client, may) = client(query.need("client_id")?).ok_or("the passed in client_id is invalid")?;
    let written = query.need("redirect_uri")?.to_owned();
    let redirect = Url::parse(&written).map_err(|_| format!("redirect_uri `{written}` is not an address"))?;
    let here = matches!(redirect.host_str(), Some("127.0.0.1" | "localhost"));
    if (redirect.scheme() != "https" && !here) || redirect.fragment().is_some() {
        return Err(format!("redirect_uri `{written}` does not match the registered value"));
    }
    if query.need("response_type")? != "code" {
        return Err("response_type is not `code`".to_owned());
    }
    let state = query.need("state")?.to_owned();
    let scopes: Vec<String> = query.need("scope")?.split_ascii_whitespace().map(str::to_owned).collect();
    let granted = scopes.iter().all(|it| may.contains(&it.as_str()));
    Ok(Asked { client, redirect, written, state, scopes, granted })
}

fn back(asked: &Asked, pairs: &[(&str, &str)]) -> Answer {
    let mut url = asked.redirect.clone();
    url.query_pairs_mut().extend_pairs(pairs).append_pair("state", &asked.state);
    Answer::see_other(url.as_str())
}

impl LinkedIn {
    /// The sign-in page, and what a person decides on it. All or nothing: single scopes cannot be declined.
    pub(super) fn authorize(&mut self, call: &Call) -> Answer {
        let asked = match check(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("LinkedIn", &why),
        };
        if !asked.granted {
            let why = "Scope is not authorized for your application";
            return back(&asked, &[("error", "unauthorized_scope_error"), ("error_description", why)])
                .because(why);
        }
        if call.method == "GET" {
            let users = self.people.iter().map(|it| it.username).collect();
            let back_to = asked.redirect.host_str().unwrap_or_default();
            let app = asked.client;
            return consent::page(&Consent {
                network: "LinkedIn",
                app,
                scopes: &asked.scopes,
                users,
                back_to,
            });
        }
        let (user, scopes) = match consent::decision(call, &asked.scopes) {
            Err(why) => return consent::refused("LinkedIn", &why),
            Ok(Decision::Deny) => {
                let why = "The user cancelled the authorization";
                return back(&asked, &[("error", "user_cancelled_authorize"), ("error_description", why)]);
            }
            Ok(Decision::Allow { user, scopes }) => (user, scopes),
        };
        if scopes.len() != asked.scopes.len() {
            return consent::refused("LinkedIn", "a member grants all of it or nothing");
        }
        let person = match user {
            None => 0,
            Some(name) => match self.people.iter().position(|it| it.username == name) {
                Some(at) => at,
                None => return consent::refused("LinkedIn", "there is no such member"),
            },
        };
        let text = format!("AQT{}", self.chance.token("linkedin code"));
        let code = Code {
            client: asked.client,
            person,
            scopes,
            redirect: asked.written.clone(),
            expires: call.now + CODE_LIFE,
            used: false,
        };
        self.grants.codes.insert(text.clone(), code);
        back(&asked, &[("code", &text)])
    }

    pub(super) fn redeem(&mut self, call: &Call) -> Answer {
        let known = ["grant_type", "code", "client_id", "client_secret", "redirect_uri"];
        let (client, form) = match app(call, &known) {
            Ok(it) => it,
            Err(answer) => return answer,
        };
        if form.get("grant_type") != Some("authorization_code") {
            return oauth_error(400, "unsupported_grant_type", "only partners have refresh tokens");
        }
        let unknown = || {
            let why = "The provided authorization grant or refresh token is invalid, expired or revoked";
            oauth_error(400, "invalid_request", why)
        };
        let Some(code) = form.get("code").and_then(|it| self.grants.codes.get_mut(it)) else {
            return unknown();
        };
        if std::mem::replace(&mut code.used, true)
            || call.now >= code.expires
            || code.client != client
            || form.get("redirect_uri") != Some(code.redirect.as_str())
        {
            return unknown();
        }
        let (person, scopes) = (code.person, code.scopes.clone());
        self.end_others(client, person, &scopes);
        let text =
            format!("AQU{}{}", self.chance.token("linkedin token"), self.chance.token("linkedin token"));
        let token = Token {
            client,
            person,
            scopes: scopes.clone(),
            issued: call.now,
            expires: call.now + SignedDuration::from_secs(TOKEN_LIFE),
            revoked: false,
        };
        self.grants.tokens.insert(text.clone(), token);
        let body = json!({ "access_token": text, "expires_in": TOKEN_LIFE, "scope": scopes.join(","),
            "token_type": "Bearer" });
        Answer::json(200, &body)
    }

    /// Other scopes for the same app and member end the tokens from before.
    fn end_others(&mut self, client: &str, person: usize, scopes: &[String]) {
        let set = |all: &[String]| all.iter().cloned().collect::<std::collections::BTreeSet<_>>();
        let old: Vec<String> = self
            .grants
            .tokens
            .entries()
            .filter(|(_, it)| it.client == client && it.person == person && set(&it.scopes) != set(scopes))
            .map(|(text, _)| text.clone())
            .collect();
        for text in old {
            if let Some(token) = self.grants.tokens.get_mut(&text) {
                token.revoked = true;
            }
        }
    }

    /// A person takes the app off their permitted services.
    pub(in crate::sandbox) fn end_access(&mut self, person: &str) {
        let theirs = |it: &Token| self.people[it.person].username == person;
        let ended: Vec<String> =
            self.grants.tokens.entries().filter(|(_, it)| theirs(it)).map(|(key, _)| key.clone()).collect();
        for key in ended {
            if let Some(token) = self.grants.tokens.get_mut(&key) {
                token.revoked = true;
            }
        }
    }

    pub(super) fn introspect(&self, call: &Call) -> Answer {
        let (client, form) = match app(call, &["client_id", "client_secret", "token"]) {
            Ok(it) => it,
            Err(answer) => return answer,
        };
        let token =
            form.get("token").and_then(|it| self.grants.tokens.get(it)).filter(|it| it.client == client);
        let Some(token) = token else { return Answer::json(200, &json!({ "active": false })) };
        let status = match () {
            () if token.revoked => "revoked",
            () if call.now >= token.expires => "expired",
            () => "active",
        };
        let body = json!({ "active": status == "active", "status": status, "scope": token.scopes.join(","),
            "client_id": client, "created_at": token.issued.as_second(), "expires_at": token.expires.as_second(),
            "authorized_at": token.issued.as_second(), "auth_type": "3L" });
        Answer::json(200, &body)
    }

    pub(super) fn revoke(&mut self, call: &Call) -> Answer {
        let (client, form) = match app(call, &["client_id", "client_secret", "token"]) {
            Ok(it) => it,
            Err(answer) => return answer,
        };
        match form.get("token").and_then(|it| self.grants.tokens.get_mut(it)).filter(|it| it.client == client)
        {
            Some(token) => {
                token.revoked = true;
                Answer::json(200, &json!({}))
            }
            None => oauth_error(400, "invalid_request", "the token is not one of this app"),
        }
    }

    /// Whose token a call bears.
    pub(super) fn holder(&self, call: &Call) -> Result<Token, Answer> {
        let Some(text) = call.header("authorization").and_then(|it| it.strip_prefix("Bearer ")) else {
            return Err(error_of(401, 65_600, "Empty oauth2 access token").because("no token was sent"));
        };
        match self.grants.tokens.get(text) {
            None => Err(error_of(401, 65_600, "Invalid access token")),
            Some(token) if token.revoked => Err(too_fresh()),
            Some(token) if call.now >= token.expires => {
                Err(error(401, "EXPIRED_ACCESS_TOKEN", 65_602, "The token used in the request has expired"))
            }
            Some(token) => Ok(token.clone()),
        }
    }

    pub(super) fn userinfo(&self, token: &Token) -> Result<Answer, Answer> {
        if !token.may("openid") {
            return Err(super::denied("userinfo.GET"));
        }
        let person = &self.people[token.person];
        Ok(Answer::json(
            200,
            &json!({ "sub": person.sub, "name": person.name, "given_name": person.name, "family_name": "",
                "picture": format!("{}/linkedin/none", self.origin), "locale": { "country": "US", "language": "en" } }),
        ))
    }

    pub(super) fn acls(&self, call: &Call, token: &Token) -> Result<Answer, Answer> {
        if !token.may("rw_organization_admin") && !token.may("r_organization_admin") {
            return Err(super::denied("organizationAcls.FINDER-roleAssignee"));
        }
        super::only(call, &["q", "role", "state", "start", "count"])?;
        if call.param("q") != Some("roleAssignee") {
            return Err(super::invalid("q is not roleAssignee"));
        }
        let assignee = format!("urn:li:person:{}", self.people[token.person].sub);
        let rows: Vec<_> = self
            .organizations
            .iter()
            .filter(|it| it.person == token.person)
            .filter(|it| call.param("role").is_none_or(|role| role == it.role))
            .map(|it| {
                json!({ "role": it.role, "organization": format!("urn:li:organization:{}", it.id),
                    "roleAssignee": assignee, "state": "APPROVED" })
            })
            .collect();
        Ok(Answer::json(
            200,
            &json!({ "paging": { "start": 0, "count": rows.len(), "links": [] }, "elements": rows }),
        ))
    }

    pub(super) fn organization(&self, token: &Token, id: &str) -> Result<Answer, Answer> {
        match self.organizations.iter().find(|it| it.id == id && it.person == token.person) {
            Some(it) => Ok(Answer::json(
                200,
                &json!({ "id": it.id.parse::<i64>().unwrap_or_default(), "localizedName": it.name,
                    "vanityName": it.username }),
            )),
            None => Err(error(404, "RESOURCE_NOT_FOUND", 0, "Could not find entity")),
        }
    }
}

/// The app that a form names, by its id and secret, and the form.
fn app(call: &Call, known: &[&str]) -> Result<(&'static str, Fields), Answer> {
    let odd = |why: &str| oauth_error(400, "invalid_request", why);
    if call.method == "GET" || !call.query.is_empty() || call.header("authorization").is_some() {
        return Err(odd("everything belongs in the form"));
    }
    let form = call.form().map_err(|why| odd(&why))?;
    if let Some(extra) = form.names().find(|it| !known.contains(it)) {
        return Err(odd(&format!("`{extra}` is no parameter")));
    }
    let Some((client, _)) = form.get("client_id").and_then(client) else {
        return Err(oauth_error(401, "invalid_client", "Client authentication failed"));
    };
    if form.get("client_secret") != Some(SECRET) {
        return Err(oauth_error(401, "invalid_client", "Client authentication failed"));
    }
    Ok((client, form))
}
