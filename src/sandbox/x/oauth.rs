//! OAuth 2.0 with PKCE as docs.x.com describes it: a code that lives 30 seconds, refresh tokens
//! that rotate, and a family of tokens that dies when a spent one comes back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

use super::X;
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::wire::{
    Answer, Bounded, Call, Fields, is_pkce_verifier, is_s256_challenge, pkce_matches,
};

/// How long a code can be exchanged: docs.x.com/…/oauth-2-0/authorization-code.
const CODE_LIFE: SignedDuration = SignedDuration::from_secs(30);
/// Life of an access token, in seconds.
const ACCESS_LIFE: i64 = 7200;

/// Scopes of the user context, docs.x.com/…/oauth-2-0/authorization-code.
const SCOPES: &[&str] = &[
    "tweet.read",
    "tweet.write",
    "tweet.moderate.write",
    "users.email",
    "users.read",
    "follows.read",
    "follows.write",
    "offline.access",
    "space.read",
    "mute.read",
    "mute.write",
    "like.read",
    "like.write",
    "list.read",
    "list.write",
    "block.read",
    "block.write",
    "bookmark.read",
    "bookmark.write",
    "dm.read",
    "dm.write",
    "media.write",
];

struct Client {
    id: &'static str,
    secret: Option<&'static str>,
    name: &'static str,
}

const CLIENTS: &[Client] = &[
    Client { id: "sandbox-x", secret: Some("sandbox-x-secret"), name: "Sandbox app (confidential)" },
    Client { id: "sandbox-x-public", secret: None, name: "Sandbox app (public)" },
];

/// Codes and tokens. Tokens of one consent are a family, named by a number.
pub(super) struct Grants {
    codes: Bounded<String, Code>,
    access: Bounded<String, Access>,
    refresh: Bounded<String, Refresh>,
    dead: Bounded<u64, ()>,
    families: u64,
}

struct Code {
    client: &'static str,
    redirect: String,
    challenge: String,
    user: usize,
    scopes: Vec<String>,
    expires: Timestamp,
    used: bool,
    family: u64,
}

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) user: usize,
    pub(super) scopes: Vec<String>,
    pub(super) client: &'static str,
    expires: Timestamp,
    family: u64,
}

struct Refresh {
    user: usize,
    scopes: Vec<String>,
    client: &'static str,
    family: u64,
    spent: bool,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            codes: Bounded::new(1_000),
            access: Bounded::new(5_000),
            refresh: Bounded::new(5_000),
            dead: Bounded::new(5_000),
            families: 0,
        }
    }

    /// Whom the token stands for, or why for nobody.
    pub(super) fn holder(&self, token: &str, now: Timestamp) -> Result<Access, &'static str> {
        let access = self.access.get(token).ok_or("the access token is unknown or revoked")?;
        if self.dead.get(&access.family).is_some() {
            return Err("the access token was revoked");
        }
        if now >= access.expires {
            return Err("the access token has expired");
        }
        Ok(access.clone())
    }

    fn kill(&mut self, family: u64) {
        self.dead.insert(family, ());
    }
}

/// A token endpoint's refusal.
fn refuse(status: u16, error: &str, description: &str, why: impl Into<String>) -> Answer {
    Answer::json(status, &json!({ "error": error, "error_description": description })).because(why)
}

fn invalid_request(description: &str) -> Answer {
    refuse(400, "invalid_request", description, description)
}

/// Where the app's callback is registered, on any host over https and on the loopback address.
const CALLBACK: &str = "/oauth/x/callback";

/// Whether a browser may be sent back there: X compares with what was registered, to the letter. The
/// developer portal takes `http://127.0.0.1` and refuses `localhost`.
fn redirect_is_registered(address: &str) -> Result<(), String> {
    let url = Url::parse(address).map_err(|_| format!("redirect_uri `{address}` is not an address"))?;
    let host = url.host_str().unwrap_or_default();
    if host == "localhost" || host.ends_with(".localhost") {
        return Err("redirect_uri names `localhost`; X takes `127.0.0.1` instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("redirect_uri has a fragment".to_owned());
    }
    // What the reader of addresses makes of it is what was sent: no `/./`, no user, no default port.
    let plain = url.as_str() == address && url.username().is_empty() && url.password().is_none();
    let path = url.path() == CALLBACK && url.query().is_none();
    match url.scheme() {
        "https" if plain && path => Ok(()),
        "http" if plain && path && host == "127.0.0.1" => Ok(()),
        _ => Err(format!("redirect_uri `{address}` is not registered for this app (code 415)")),
    }
}

/// An authorize request that passed every check.
struct Asked {
    client: &'static Client,
    redirect: Url,
    redirect_text: String,
    scopes: Vec<String>,
    state: String,
    challenge: String,
}

fn check_authorize(call: &Call) -> Result<Asked, String> {
    let query = Fields::once(call.query.clone())?;
    let client_id = query.need("client_id")?;
    let client = CLIENTS
        .iter()
        .find(|it| it.id == client_id)
        .ok_or_else(|| format!("client_id `{client_id}` is no app of this sandbox"))?;
    let redirect_text = query.need("redirect_uri")?.to_owned();
    redirect_is_registered(&redirect_text)?;
    if query.need("response_type")? != "code" {
        return Err("response_type is not `code`".to_owned());
    }
    let state = query.need("state")?.to_owned();
    if state.chars().count() > 500 {
        return Err("state is longer than 500 characters".to_owned());
    }
    let challenge = query.need("code_challenge")?.to_owned();
    if query.need("code_challenge_method")? != "S256" {
        return Err("code_challenge_method is not `S256`".to_owned());
    }
    if !is_s256_challenge(&challenge) {
        return Err("code_challenge is not the base64url of a SHA-256".to_owned());
    }
    let scopes: Vec<String> = query.need("scope")?.split(' ').map(str::to_owned).collect();
    if let Some(unknown) = scopes.iter().find(|it| !SCOPES.contains(&it.as_str())) {
        return Err(format!("scope `{unknown}` does not exist"));
    }
    let redirect = Url::parse(&redirect_text).map_err(|it| it.to_string())?;
    Ok(Asked { client, redirect, redirect_text, scopes, state, challenge })
}

impl X {
    /// GET shows the page, POST to the same address decides.
    pub(super) fn authorize(&mut self, call: &Call) -> Answer {
        let asked = match check_authorize(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("X", &why),
        };
        if call.method == "GET" {
            return consent::page(&Consent {
                network: "X",
                app: asked.client.name,
                scopes: &asked.scopes,
                users: self.users.iter().map(|it| it.username).collect(),
                back_to: &asked.redirect_text,
            });
        }
        let (user, scopes) = match consent::decision(call, &asked.scopes) {
            Err(why) => return consent::refused("X", &why),
            Ok(Decision::Deny) => {
                let mut back = asked.redirect;
                back.query_pairs_mut()
                    .append_pair("error", "access_denied")
                    .append_pair("state", &asked.state);
                return Answer::see_other(back.as_str());
            }
            Ok(Decision::Allow { user, scopes }) => (user, scopes),
        };
        let user = match user {
            None => 0,
            Some(name) => match self.users.iter().position(|it| it.username == name) {
                Some(at) => at,
                None => return consent::refused("X", &format!("there is no user `{name}`")),
            },
        };
        self.grants.families += 1;
        let code = self.chance.token("x code");
        let mut back = asked.redirect;
        back.query_pairs_mut().append_pair("state", &asked.state).append_pair("code", &code);
        self.grants.codes.insert(
            code,
            Code {
                client: asked.client.id,
                redirect: asked.redirect_text,
                challenge: asked.challenge,
                user,
                scopes,
                expires: call.now + CODE_LIFE,
                used: false,
                family: self.grants.families,
            },
        );
        Answer::see_other(back.as_str())
    }

    pub(super) fn token(&mut self, call: &Call) -> Answer {
        let (form, client) = match authenticate(call) {
            Ok(known) => known,
            Err(answer) => return *answer,
        };
        match form.get("grant_type") {
            Some("authorization_code") => self.exchange(call, &form, client),
            Some("refresh_token") => self.refresh(call, &form, client),
            Some(_) => {
                refuse(400, "unsupported_grant_type", "Unsupported grant type.", "unsupported grant_type")
            }
            None => invalid_request("Missing required parameter [grant_type]."),
        }
    }

    fn exchange(&mut self, call: &Call, form: &Fields, client: &'static str) -> Answer {
        let needed = ["code", "redirect_uri", "code_verifier"];
        if let Some(missing) = needed.iter().find(|it| form.need(it).is_err()) {
            return invalid_request(&format!("Missing required parameter [{missing}]."));
        }
        let [code, redirect, verifier] = needed.map(|it| form.get(it).unwrap_or_default().to_owned());
        let bad_code = |why: &str| {
            refuse(400, "invalid_request", "Value passed for the authorization code was invalid.", why)
        };
        let Some(known) = self.grants.codes.get_mut(&code) else { return bad_code("the code is unknown") };
        // RFC 6749 §4.1.2: a code that comes twice was stolen; what was made from it must go.
        if known.used {
            let family = known.family;
            self.grants.kill(family);
            return bad_code("the code was used before");
        }
        // Whatever is wrong below, this code is gone: a thief gets one try.
        known.used = true;
        if call.now >= known.expires {
            return bad_code("the code has expired: it lives 30 seconds");
        }
        if known.client != client {
            return bad_code("the code belongs to another client");
        }
        if known.redirect != redirect {
            return invalid_request(
                "Value passed for the redirect uri did not match the uri of the authorization code.",
            );
        }
        if !is_pkce_verifier(&verifier) || !pkce_matches(&verifier, &known.challenge) {
            return invalid_request("Value passed for the code verifier did not match the code challenge.");
        }
        let (user, scopes, family) = (known.user, known.scopes.clone(), known.family);
        self.issue(call.now, user, scopes, client, family)
    }

    fn refresh(&mut self, call: &Call, form: &Fields, client: &'static str) -> Answer {
        let bad = |why: &str| refuse(400, "invalid_request", "Value passed for the token was invalid.", why);
        let Ok(token) = form.need("refresh_token") else {
            return invalid_request("Missing required parameter [refresh_token].");
        };
        let Some(known) = self.grants.refresh.get_mut(token) else {
            return bad("the refresh token is unknown");
        };
        if known.client != client {
            return bad("the refresh token belongs to another client");
        }
        let family = known.family;
        if std::mem::replace(&mut known.spent, true) {
            self.grants.kill(family);
            return bad("the refresh token was spent before; its whole family is revoked");
        }
        let (user, scopes) = (known.user, known.scopes.clone());
        if self.grants.dead.get(&family).is_some() {
            return bad("the refresh token was revoked");
        }
        self.issue(call.now, user, scopes, client, family)
    }

    /// A fresh pair; the refresh token only where `offline.access` was granted.
    fn issue(
        &mut self,
        now: Timestamp,
        user: usize,
        scopes: Vec<String>,
        client: &'static str,
        family: u64,
    ) -> Answer {
        let access = self.chance.token("x access");
        let mut body = json!({
            "token_type": "bearer",
            "expires_in": ACCESS_LIFE,
            "access_token": access,
            "scope": scopes.join(" "),
        });
        if scopes.iter().any(|it| it == "offline.access") {
            let refresh = self.chance.token("x refresh");
            body["refresh_token"] = refresh.clone().into();
            let known = Refresh { user, scopes: scopes.clone(), client, family, spent: false };
            self.grants.refresh.insert(refresh, known);
        }
        let expires = now + SignedDuration::from_secs(ACCESS_LIFE);
        self.grants.access.insert(access, Access { user, scopes, client, expires, family });
        Answer::json(200, &body)
    }

    /// Revokes one token. Like most servers, says yes to a token it does not know (RFC 7009 §2.2);
    /// a revoked refresh token takes its family with it (§2.1).
    pub(super) fn revoke(&mut self, call: &Call) -> Answer {
        let (form, client) = match authenticate(call) {
            Ok(known) => known,
            Err(answer) => return *answer,
        };
        let Ok(token) = form.need("token").map(str::to_owned) else {
            return invalid_request("Missing required parameter [token].");
        };
        if let Some(refresh) = self.grants.refresh.get(&token).filter(|it| it.client == client) {
            let family = refresh.family;
            self.grants.kill(family);
        } else if self.grants.access.get(&token).is_some_and(|it| it.client == client) {
            self.grants.access.remove(&token);
        }
        Answer::json(200, &json!({ "revoked": true }))
    }
}

/// Which client calls: Basic for one with a secret; `client_id` in the form and no Authorization
/// header for one without (docs.x.com/…/oauth-2-0/user-access-token).
fn authenticate(call: &Call) -> Result<(Fields, &'static str), Box<Answer>> {
    if !call.query.is_empty() {
        return Err(Box::new(invalid_request("Parameters belong in the body, not in the address.")));
    }
    let form = call.form().map_err(|why| Box::new(invalid_request(&why)))?;
    let unknown =
        |why: &str| Box::new(refuse(401, "unauthorized_client", "Missing valid authorization header", why));
    let Some(authorization) = call.header("authorization") else {
        let id = form.get("client_id").ok_or_else(|| unknown("neither Authorization nor client_id"))?;
        return match CLIENTS.iter().find(|it| it.id == id) {
            Some(client) if client.secret.is_none() => Ok((form, client.id)),
            Some(_) => Err(unknown("a confidential client must authenticate with Basic")),
            None => Err(unknown("the client is unknown")),
        };
    };
    let (scheme, credentials) = authorization.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unknown("the authorization is not Basic"));
    }
    let decoded = STANDARD.decode(credentials).ok().and_then(|it| String::from_utf8(it).ok());
    let (id, secret) = decoded
        .as_deref()
        .and_then(|it| it.split_once(':'))
        .map(|(id, secret)| (percent_decoded(id), percent_decoded(secret)))
        .ok_or_else(|| unknown("the Basic credentials cannot be read"))?;
    let client = CLIENTS
        .iter()
        .find(|it| it.id == id && it.secret == Some(secret.as_str()))
        .ok_or_else(|| unknown("client id or secret is wrong"))?;
    if form.get("client_id").is_some_and(|it| it != client.id) {
        return Err(unknown("client_id in the form differs from the one in the header"));
    }
    Ok((form, client.id))
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
fn percent_decoded(text: &str) -> String {
    let pair = format!("v={text}");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
