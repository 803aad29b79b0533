//! The atproto profile of OAuth 2.1: pushed requests, PKCE S256, keys bound by DPoP, rotation
//! without grace.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

use super::dpop::Bad;
use super::{Bluesky, fault, scope};
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::wire::{
    Answer, Bounded, Call, Fields, is_pkce_verifier, is_s256_challenge, pkce_matches,
};

/// Lives, in seconds: as measured on the reference server.
const REQUEST_LIFE: i64 = 299;
const ACCESS_LIFE: i64 = 3_599;
const CODE_LIFE: i64 = 300;
/// The session of a public client ends after two weeks, refreshed or not.
const SESSION_LIFE: i64 = 14 * 86_400;

/// Pushed requests, codes, tokens and the sessions they belong to.
pub(super) struct Grants {
    requests: Bounded<String, Pushed>,
    codes: Bounded<String, Code>,
    sessions: Bounded<u64, Session>,
    /// Token → session; the refresh tokens of the past stay here, so that a replay is seen.
    access: Bounded<String, u64>,
    refresh: Bounded<String, u64>,
    next: u64,
}

#[derive(Clone)]
struct Pushed {
    client: String,
    redirect: Url,
    redirect_text: String,
    scopes: Vec<String>,
    state: String,
    challenge: String,
    hint: Option<String>,
    key: String,
    expires: Timestamp,
}

struct Code {
    asked: Pushed,
    account: usize,
    scopes: Vec<String>,
    expires: Timestamp,
    used: bool,
    session: Option<u64>,
}

struct Session {
    account: usize,
    client: String,
    scopes: Vec<String>,
    key: String,
    access: String,
    access_expires: Timestamp,
    refresh: String,
    ends: Timestamp,
    over: bool,
}

/// Who calls, and what they may.
pub(super) struct Caller {
    pub(super) account: usize,
    pub(super) scopes: Vec<String>,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            requests: Bounded::new(1_000),
            codes: Bounded::new(1_000),
            sessions: Bounded::new(1_000),
            access: Bounded::new(5_000),
            refresh: Bounded::new(5_000),
            next: 0,
        }
    }

    fn end(&mut self, session: Option<u64>) {
        if let Some(session) = session.and_then(|it| self.sessions.get_mut(&it)) {
            session.over = true;
        }
    }
}

fn refuse(error: &str, description: impl AsRef<str>) -> Answer {
    let description = description.as_ref();
    let status = if error == "invalid_client" { 401 } else { 400 };
    Answer::json(status, &json!({ "error": error, "error_description": description }))
        .because(format!("{error}: {description}"))
}

type Refused = Box<Answer>;

#[expect(clippy::unnecessary_box_returns, reason = "it is the error type of every step in this room")]
fn refused(error: &str, description: impl AsRef<str>) -> Refused {
    Box::new(refuse(error, description))
}

/// A loopback client: `http://localhost` without port or path, its redirect addresses and scope in
/// the query (atproto.com/specs/oauth, "Localhost Client Development").
struct LoopbackClient {
    redirects: Vec<Url>,
    scopes: Vec<String>,
}

impl LoopbackClient {
    fn parse(id: &str) -> Result<Self, Refused> {
        if id.starts_with("https://") {
            let why = "the sandbox fetches no client metadata: use a loopback client, `http://localhost?redirect_uri=…`";
            return Err(refused("invalid_client_metadata", why));
        }
        let rest = id
            .strip_prefix("http://localhost")
            .ok_or_else(|| refused("invalid_client_metadata", "client_id is not `http://localhost`"))?;
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let query = match rest.strip_prefix('?') {
            Some(query) => query,
            None if rest.is_empty() => "",
            None => {
                return Err(refused("invalid_client_metadata", "client_id has a port, a path or a fragment"));
            }
        };
        let mut redirects = Vec::new();
        let mut scopes = None;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "redirect_uri" => redirects.push(loopback(&value)?),
                "scope" if scopes.is_none() => scopes = Some(value.split(' ').map(str::to_owned).collect()),
                _ => {
                    let why = format!("client_id has an unexpected or repeated parameter `{name}`");
                    return Err(refused("invalid_client_metadata", why));
                }
            }
        }
        if redirects.is_empty() {
            redirects.extend([loopback("http://127.0.0.1/")?, loopback("http://[::1]/")?]);
        }
        let scopes: Vec<String> = scopes.unwrap_or_else(|| vec!["atproto".to_owned()]);
        if !scopes.iter().any(|it| it == "atproto") {
            return Err(refused("invalid_client_metadata", "the client's scope lacks `atproto`"));
        }
        Ok(Self { redirects, scopes })
    }

    /// Same host, path and query; the port is the client's own affair (RFC 8252 §7.3).
    fn takes(&self, redirect: &Url) -> bool {
        self.redirects.iter().any(|it| {
            it.host() == redirect.host() && it.path() == redirect.path() && it.query() == redirect.query()
        })
    }
}

fn loopback(text: &str) -> Result<Url, Refused> {
    let bad = || refused("invalid_redirect_uri", format!("`{text}` is not http://127.0.0.1 or http://[::1]"));
    let url = Url::parse(text).map_err(|_| bad())?;
    let good = url.scheme() == "http"
        && matches!(url.host_str(), Some("127.0.0.1" | "[::1]"))
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    if good { Ok(url) } else { Err(bad()) }
}

fn need<'f>(form: &'f Fields, name: &str) -> Result<&'f str, Refused> {
    form.need(name).map_err(|why| refused("invalid_request", why))
}

impl Bluesky {
    /// The key of the proof, or the refusal in the shape of the authorization server.
    fn proof(&mut self, call: &Call) -> Result<String, Refused> {
        let origin = self.origin.clone();
        self.proofs.check(call, &origin, None).map_err(|bad| match bad {
            Bad::Nonce => {
                let why = "Authorization server requires nonce in DPoP proof";
                Box::new(Answer::json(400, &json!({ "error": "use_dpop_nonce", "error_description": why })))
            }
            Bad::Proof(why) => refused("invalid_dpop_proof", why),
        })
    }

    /// `POST /oauth/par`.
    pub(super) fn par(&mut self, call: &Call) -> Answer {
        let answer = self.push(call).unwrap_or_else(|it| *it);
        self.with_nonce(answer, call.now)
    }

    fn push(&mut self, call: &Call) -> Result<Answer, Refused> {
        let form = call.form().map_err(|why| refused("invalid_request", why))?;
        let client_id = need(&form, "client_id")?;
        let client = LoopbackClient::parse(client_id)?;
        let key = self.proof(call)?;
        if form.get("request_uri").is_some() {
            return Err(refused("invalid_request", "request_uri is not allowed in a pushed request"));
        }
        if need(&form, "response_type")? != "code" {
            return Err(refused("unsupported_response_type", "response_type is not `code`"));
        }
        let redirect_text = need(&form, "redirect_uri")?.to_owned();
        let redirect = loopback(&redirect_text)?;
        if !client.takes(&redirect) {
            return Err(refused("invalid_request", "redirect_uri is none of the client's"));
        }
        let challenge = need(&form, "code_challenge")?.to_owned();
        if need(&form, "code_challenge_method")? != "S256" {
            return Err(refused("invalid_request", "code_challenge_method is not `S256`"));
        }
        if !is_s256_challenge(&challenge) {
            return Err(refused("invalid_request", "code_challenge is not the base64url of a SHA-256"));
        }
        if form.get("response_mode").is_some_and(|it| it != "query") {
            return Err(refused("invalid_request", "response_mode is not `query`"));
        }
        let scopes: Vec<String> = need(&form, "scope")?.split(' ').map(str::to_owned).collect();
        if !scopes.iter().any(|it| it == "atproto") {
            return Err(refused("invalid_scope", "the scope lacks `atproto`"));
        }
        if let Some(bad) = scopes.iter().find(|it| !scope::is_known(it)) {
            return Err(refused("invalid_scope", format!("scope `{bad}` does not exist")));
        }
        if let Some(bad) = scopes.iter().find(|it| !client.scopes.contains(it)) {
            return Err(refused("invalid_scope", format!("scope `{bad}` is not in the client's metadata")));
        }
        let pushed = Pushed {
            client: client_id.to_owned(),
            redirect,
            redirect_text,
            scopes,
            state: need(&form, "state")?.to_owned(),
            challenge,
            hint: form.get("login_hint").map(str::to_owned),
            key,
            expires: call.now + SignedDuration::from_secs(REQUEST_LIFE),
        };
        let uri = format!("urn:ietf:params:oauth:request_uri:req-{}", self.chance.token("par"));
        self.grants.requests.insert(uri.clone(), pushed);
        Ok(Answer::json(201, &json!({ "request_uri": uri, "expires_in": REQUEST_LIFE })))
    }

    /// `GET|POST /oauth/authorize?client_id=…&request_uri=…`: GET shows the page, POST decides.
    pub(super) fn authorize(&mut self, call: &Call) -> Answer {
        let asked = match self.pushed(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("Bluesky", &why),
        };
        let hinted = asked.hint.as_deref().and_then(|it| self.account(it)).unwrap_or(0);
        if call.method == "GET" {
            let mut users: Vec<&str> = vec![self.accounts[hinted].handle];
            users.extend(
                self.accounts.iter().map(|it| it.handle).filter(|it| *it != self.accounts[hinted].handle),
            );
            return consent::page(&Consent {
                network: "Bluesky",
                app: &asked.client,
                scopes: &asked.scopes,
                users,
                back_to: &asked.redirect_text,
            });
        }
        let decision = match consent::decision(call, &asked.scopes) {
            Ok(decision) => decision,
            Err(why) => return consent::refused("Bluesky", &why),
        };
        let mut back = asked.redirect.clone();
        back.query_pairs_mut().append_pair("iss", &self.origin).append_pair("state", &asked.state);
        let uri = call.param("request_uri").unwrap_or_default().to_owned();
        match decision {
            Decision::Deny => {
                self.grants.requests.remove(&uri);
                back.query_pairs_mut()
                    .append_pair("error", "access_denied")
                    .append_pair("error_description", "Access denied");
            }
            Decision::Allow { user, scopes } => {
                let account = match user.as_deref().map(|it| (it, self.account(it))) {
                    None => hinted,
                    Some((_, Some(account))) => account,
                    Some((name, None)) => {
                        return consent::refused("Bluesky", &format!("there is no user `{name}`"));
                    }
                };
                self.grants.requests.remove(&uri);
                let code = format!("cod-{}", self.chance.token("bluesky code"));
                back.query_pairs_mut().append_pair("code", &code);
                let expires = call.now + SignedDuration::from_secs(CODE_LIFE);
                let known = Code { asked, account, scopes, expires, used: false, session: None };
                self.grants.codes.insert(code, known);
            }
        }
        Answer::see_other(back.as_str())
    }

    /// The request that the browser brings: its name and the client's, and nothing else.
    fn pushed(&self, call: &Call) -> Result<Pushed, String> {
        let query = Fields::once(call.query.clone())?;
        if let Some(extra) = query.names().find(|it| !matches!(*it, "client_id" | "request_uri")) {
            return Err(format!("parameter `{extra}` belongs in the pushed request"));
        }
        let client = query.need("client_id")?;
        let uri = query.need("request_uri")?;
        let asked = self
            .grants
            .requests
            .get(uri)
            .filter(|it| call.now < it.expires)
            .ok_or("the request is unknown, used or expired")?;
        if asked.client != client {
            return Err("the request was pushed by another client".to_owned());
        }
        Ok(asked.clone())
    }

    /// `POST /oauth/token`.
    pub(super) fn token(&mut self, call: &Call) -> Answer {
        let answer = self.grant(call).unwrap_or_else(|it| *it);
        self.with_nonce(answer, call.now)
    }

    fn grant(&mut self, call: &Call) -> Result<Answer, Refused> {
        let form = call.form().map_err(|why| refused("invalid_request", why))?;
        let client = need(&form, "client_id")?.to_owned();
        LoopbackClient::parse(&client)?;
        // The proof comes first: a missing nonce must not cost a code or a refresh token.
        let key = self.proof(call)?;
        match need(&form, "grant_type")? {
            "authorization_code" => self.exchange(call, &form, &client, &key),
            "refresh_token" => self.refresh(call, &form, &client, &key),
            _ => Err(refused("unsupported_grant_type", "grant_type is not supported")),
        }
    }

    fn exchange(&mut self, call: &Call, form: &Fields, client: &str, key: &str) -> Result<Answer, Refused> {
        let code = need(form, "code")?;
        let redirect = need(form, "redirect_uri")?;
        let verifier = need(form, "code_verifier")?;
        let bad = |why: &str| refused("invalid_grant", why);
        let known = self.grants.codes.get_mut(code).ok_or_else(|| bad("Invalid code"))?;
        if std::mem::replace(&mut known.used, true) {
            let session = known.session;
            self.grants.end(session);
            return Err(bad("Code replayed"));
        }
        // From here on the code is burnt, whatever is wrong.
        if call.now >= known.expires {
            return Err(bad("Code expired"));
        }
        if known.asked.client != client {
            return Err(bad("The code was issued to another client"));
        }
        if known.asked.redirect_text != redirect {
            return Err(bad("The redirect_uri differs from the one of the request"));
        }
        if !is_pkce_verifier(verifier) || !pkce_matches(verifier, &known.asked.challenge) {
            return Err(bad("Invalid code_verifier"));
        }
        if known.asked.key != key {
            return Err(bad("DPoP proof does not match the key of the request"));
        }
        self.grants.next += 1;
        let session = self.grants.next;
        known.session = Some(session);
        let fresh = Session {
            account: known.account,
            client: client.to_owned(),
            scopes: known.scopes.clone(),
            key: key.to_owned(),
            access: String::new(),
            access_expires: call.now,
            refresh: String::new(),
            ends: call.now + SignedDuration::from_secs(SESSION_LIFE),
            over: false,
        };
        self.grants.sessions.insert(session, fresh);
        self.issue(session, call.now)
    }

    fn refresh(&mut self, call: &Call, form: &Fields, client: &str, key: &str) -> Result<Answer, Refused> {
        let bad = |why: &str| refused("invalid_grant", why);
        let token = need(form, "refresh_token")?;
        let id = *self.grants.refresh.get(token).ok_or_else(|| bad("Invalid refresh token"))?;
        let session = self.grants.sessions.get_mut(&id).ok_or_else(|| bad("Invalid refresh token"))?;
        if session.over {
            return Err(bad("Session was revoked"));
        }
        if session.client != client {
            return Err(bad("The token was issued to another client"));
        }
        if session.key != key {
            return Err(bad("DPoP proof does not match the key of the session"));
        }
        if session.refresh != token {
            session.over = true;
            return Err(bad("Refresh token replayed"));
        }
        if call.now >= session.ends {
            session.over = true;
            return Err(bad("Session expired"));
        }
        self.issue(id, call.now)
    }

    /// A fresh pair for the session; the one before it dies at once.
    fn issue(&mut self, id: u64, now: Timestamp) -> Result<Answer, Refused> {
        let access = format!("acc-{}", self.chance.token("bluesky access"));
        let refresh = format!("ref-{}", self.chance.token("bluesky refresh"));
        let session =
            self.grants.sessions.get_mut(&id).ok_or_else(|| refused("invalid_grant", "Session is gone"))?;
        session.access.clone_from(&access);
        session.refresh.clone_from(&refresh);
        session.access_expires = now + SignedDuration::from_secs(ACCESS_LIFE);
        let body = json!({
            "access_token": access,
            "token_type": "DPoP",
            "refresh_token": refresh,
            "scope": session.scopes.join(" "),
            "expires_in": ACCESS_LIFE,
            "sub": self.accounts[session.account].did,
        });
        self.grants.access.insert(access, id);
        self.grants.refresh.insert(refresh, id);
        Ok(Answer::json(200, &body))
    }

    /// `POST /oauth/revoke`: ends the session of the token; says yes to one it does not know.
    pub(super) fn revoke(&mut self, call: &Call) -> Answer {
        let answer = self.end_session(call).unwrap_or_else(|it| *it);
        self.with_nonce(answer, call.now)
    }

    fn end_session(&mut self, call: &Call) -> Result<Answer, Refused> {
        let form = call.form().map_err(|why| refused("invalid_request", why))?;
        let client = need(&form, "client_id")?.to_owned();
        LoopbackClient::parse(&client)?;
        self.proof(call)?;
        let token = need(&form, "token")?;
        let session = self.grants.refresh.get(token).or_else(|| self.grants.access.get(token)).copied();
        let own = session.filter(|it| self.grants.sessions.get(it).is_some_and(|it| it.client == client));
        self.grants.end(own);
        Ok(Answer::json(200, &json!({})))
    }

    /// Who makes an XRPC call: a DPoP-bound token, its proof, and the key of its session.
    pub(super) fn caller(&mut self, call: &Call) -> Result<Caller, Refused> {
        let challenged = |error: &str, why: &str| {
            let header = format!("DPoP algs=\"ES256\", error=\"{error}\", error_description=\"{why}\"");
            let answer = Answer::json(401, &json!({ "error": error, "message": why }));
            answer.with("www-authenticate", &header)
        };
        let refused =
            |error: &str, why: &str| Box::new(challenged(error, why).because(format!("{error}: {why}")));
        let Some(authorization) = call.header("authorization") else {
            return Err(Box::new(fault(401, "AuthMissing", "Authentication Required")));
        };
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("dpop") {
            return Err(refused("invalid_token", "the token is bound to a key and needs the DPoP scheme"));
        }
        let origin = self.origin.clone();
        let key = match self.proofs.check(call, &origin, Some(token)) {
            Ok(key) => key,
            Err(Bad::Nonce) => {
                let why = "Resource server requires nonce in DPoP proof";
                return Err(Box::new(challenged("use_dpop_nonce", why)));
            }
            Err(Bad::Proof(why)) => return Err(refused("invalid_dpop_proof", &why)),
        };
        let session = self.grants.access.get(token).and_then(|it| self.grants.sessions.get(it));
        let session = session.ok_or_else(|| refused("invalid_token", "the token is unknown"))?;
        if session.over || session.access != token {
            return Err(refused("invalid_token", "the token was revoked or replaced"));
        }
        if call.now >= session.access_expires {
            return Err(refused("invalid_token", "exp claim timestamp check failed"));
        }
        if session.key != key {
            return Err(refused("invalid_dpop_proof", "Invalid DPoP key binding"));
        }
        Ok(Caller { account: session.account, scopes: session.scopes.clone() })
    }
}
