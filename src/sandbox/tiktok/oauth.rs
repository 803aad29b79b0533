//! Login Kit: consent, codes, tokens of two hours, refresh tokens that work once, revocation.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

use super::{TikTok, error};
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::wire::{Answer, Bounded, Call, Fields, hex, sha256};

/// The app that a configuration names: registered for desktop, and audited.
pub(in crate::sandbox) const CLIENT: &str = "sandbox-tiktok";
/// Registered for the web, and not audited.
const WEB_CLIENT: &str = "sandbox-tiktok-web";
/// The same file serves all apps that have a secret.
const SECRET: &str = crate::sandbox::facebook::SECRET;

const SCOPES: &[&str] = &["user.info.basic", "video.upload", "video.publish"];
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(10);
const ACCESS_LIFE: i64 = 7_200;
const REFRESH_LIFE: i64 = 15_552_000;

pub(super) struct Grants {
    codes: Bounded<String, Code>,
    /// Access token → family.
    access: Bounded<String, Access>,
    /// Refresh token → family; removed when it is used.
    refresh: Bounded<String, Refresh>,
    families: u64,
    ended: Vec<u64>,
}

struct Code {
    user: usize,
    client: &'static str,
    scopes: Vec<String>,
    redirect: String,
    challenge: Option<String>,
    expires: Timestamp,
    used: bool,
}

struct Access {
    family: u64,
    caller: Caller,
    expires: Timestamp,
}

struct Refresh {
    family: u64,
    caller: Caller,
    expires: Timestamp,
}

/// Who calls, for which app, and what they may.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) user: usize,
    pub(super) audited: bool,
    client: &'static str,
    scopes: Vec<String>,
}

impl Caller {
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|it| it == scope)
    }
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            codes: Bounded::new(500),
            access: Bounded::new(2_000),
            refresh: Bounded::new(2_000),
            families: 0,
            ended: Vec::new(),
        }
    }
}

/// The flat errors of these endpoints. A spent token is answered with 200, as it was seen to be.
pub(in crate::sandbox) fn flat(status: u16, code: &str, why: &str) -> Answer {
    let body =
        json!({ "error": code, "error_description": why, "log_id": "20261121000000000000000000000002" });
    Answer::json(status, &body).because(why)
}

/// The app behind a key: whether it is registered for desktop.
fn client(key: &str) -> Option<(&'static str, bool)> {
    [(CLIENT, true), (WEB_CLIENT, false)].into_iter().find(|it| it.0 == key)
}

struct Asked {
    redirect: Url,
    text: String,
    state: String,
    scopes: Vec<String>,
    client: &'static str,
    challenge: Option<String>,
}

impl TikTok {
    pub(super) fn authorize(&mut self, call: &Call) -> Answer {
        let asked = match check(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("TikTok", &why),
        };
        if call.method == "GET" {
            return consent::page(&Consent {
                network: "TikTok",
                app: "Sendoff (sandbox app)",
                scopes: &asked.scopes,
                users: self.users.iter().map(|it| it.username).collect(),
                back_to: &asked.text,
            });
        }
        let mut back = asked.redirect;
        let (user, scopes) = match consent::decision(call, &asked.scopes) {
            Err(why) => return consent::refused("TikTok", &why),
            Ok(Decision::Deny) => {
                back.query_pairs_mut()
                    .append_pair("error", "access_denied")
                    .append_pair("error_description", "The user canceled the authorization")
                    .append_pair("state", &asked.state);
                return Answer::see_other(back.as_str());
            }
            Ok(Decision::Allow { user, scopes }) => (user, scopes),
        };
        let user = match &user {
            None => 0,
            Some(name) => match self.users.iter().position(|it| it.username == name) {
                Some(at) => at,
                None => return consent::refused("TikTok", &format!("there is no account `{name}`")),
            },
        };
        // Real codes hold characters that an address must encode.
        let code = format!("{}*v!7.u1", self.chance.token("tiktok code"));
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("scopes", &scopes.join(","))
            .append_pair("state", &asked.state);
        let code_row = Code {
            user,
            client: asked.client,
            scopes,
            redirect: asked.text,
            challenge: asked.challenge,
            expires: call.now + CODE_LIFE,
            used: false,
        };
        self.grants.codes.insert(code, code_row);
        Answer::see_other(back.as_str())
    }

    pub(super) fn token(&mut self, call: &Call) -> Answer {
        let form =
            match app_form(call, &["code", "grant_type", "redirect_uri", "code_verifier", "refresh_token"]) {
                Ok(form) => form,
                Err(answer) => return answer,
            };
        match form.get("grant_type") {
            Some("authorization_code") => self.redeem(call.now, &form),
            Some("refresh_token") => self.renew(call.now, &form),
            _ => flat(400, "unsupported_grant_type", "the grant_type is none of the two"),
        }
    }

    fn redeem(&mut self, now: Timestamp, form: &Fields) -> Answer {
        let unknown = "Authorization code is expired.";
        let Some(code) = form.get("code").and_then(|it| self.grants.codes.get_mut(it)) else {
            return flat(400, "invalid_grant", unknown);
        };
        if std::mem::replace(&mut code.used, true) || now >= code.expires {
            return flat(400, "invalid_grant", unknown);
        }
        if form.get("client_key") != Some(code.client) {
            return flat(400, "invalid_grant", "the code belongs to another app");
        }
        if form.get("redirect_uri") != Some(code.redirect.as_str()) {
            return flat(
                400,
                "invalid_request",
                "Redirect_uri is not matched with the uri when requesting code.",
            );
        }
        let proven = match (&code.challenge, form.get("code_verifier")) {
            (None, _) => true,
            (Some(challenge), Some(verifier)) => {
                crate::sandbox::wire::is_pkce_verifier(verifier)
                    && hex(&sha256(verifier.as_bytes())) == *challenge
            }
            (Some(_), None) => false,
        };
        if !proven {
            return flat(400, "invalid_request", "Code verifier or code challenge is invalid.");
        }
        let caller = Caller {
            user: code.user,
            audited: code.client == CLIENT,
            client: code.client,
            scopes: code.scopes.clone(),
        };
        self.grants.families += 1;
        let family = self.grants.families;
        self.issue(now, family, caller)
    }

    fn renew(&mut self, now: Timestamp, form: &Fields) -> Answer {
        let token = form.get("refresh_token").unwrap_or_default().to_owned();
        let dead = "Refresh token is invalid or expired.";
        let Some(old) = self.grants.refresh.remove(&token) else {
            return flat(200, "invalid_grant", dead);
        };
        let ended = self.grants.ended.contains(&old.family) || now >= old.expires;
        if ended || form.get("client_key") != Some(old.caller.client) {
            return flat(200, "invalid_grant", dead);
        }
        self.issue(now, old.family, old.caller)
    }

    fn issue(&mut self, now: Timestamp, family: u64, caller: Caller) -> Answer {
        let access = format!("act.{}", self.chance.token("tiktok access"));
        let refresh = format!("rft.{}", self.chance.token("tiktok refresh"));
        let after = |seconds| now + SignedDuration::from_secs(seconds);
        let body = json!({
            "open_id": self.users[caller.user].open_id,
            "scope": caller.scopes.join(","),
            "access_token": access,
            "expires_in": ACCESS_LIFE,
            "refresh_token": refresh,
            "refresh_expires_in": REFRESH_LIFE,
            "token_type": "Bearer",
        });
        let row = Access { family, caller: caller.clone(), expires: after(ACCESS_LIFE) };
        self.grants.access.insert(access, row);
        self.grants.refresh.insert(refresh, Refresh { family, caller, expires: after(REFRESH_LIFE) });
        Answer::json(200, &body)
    }

    pub(super) fn revoke(&mut self, call: &Call) -> Answer {
        let form = match app_form(call, &["token"]) {
            Ok(form) => form,
            Err(answer) => return answer,
        };
        match form.get("token").and_then(|it| self.grants.access.get(it)) {
            Some(known) => {
                self.grants.ended.push(known.family);
                Answer::new(200, "application/json; charset=utf-8", "")
            }
            None => flat(400, "invalid_request", "the token is not known"),
        }
    }

    pub(in crate::sandbox) fn end_access(&mut self, creator: &str) {
        let theirs = |it: &Caller| self.users[it.user].username == creator;
        let ended = self.grants.access.entries().filter(|(_, it)| theirs(&it.caller));
        let ended: Vec<_> = ended.map(|(_, it)| it.family).collect();
        self.grants.ended.extend(ended);
    }

    /// Whose token a call carries.
    pub(super) fn holder(&self, call: &Call) -> Result<Caller, Answer> {
        let dead = |why: &str| error(401, "access_token_invalid", why).because(why);
        let token = call.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| dead("no token was sent"))?;
        match self.grants.access.get(token) {
            Some(it) if call.now < it.expires && !self.grants.ended.contains(&it.family) => {
                Ok(it.caller.clone())
            }
            Some(_) => Err(dead("The access token is invalid or has expired")),
            None => Err(dead("The access token is not known")),
        }
    }
}

/// The form of a call that names the app, with these fields besides and no others.
fn app_form(call: &Call, known: &[&str]) -> Result<Fields, Answer> {
    if !call.query.is_empty() {
        return Err(flat(400, "invalid_request", "secrets belong in the form"));
    }
    let form = call.form().map_err(|why| flat(400, "invalid_request", &why))?;
    let own = ["client_key", "client_secret"];
    if let Some(odd) = form.names().find(|it| !own.contains(it) && !known.contains(it)) {
        return Err(flat(400, "invalid_request", &format!("`{odd}` is no parameter")));
    }
    let app = form.get("client_key").and_then(client);
    if app.is_none() || form.get("client_secret") != Some(SECRET) {
        return Err(flat(401, "invalid_client", "Client key or secret is incorrect."));
    }
    Ok(form)
}

fn check(call: &Call) -> Result<Asked, String> {
    let query = Fields::once(call.query.clone())?;
    let known = [
        "client_key",
        "response_type",
        "scope",
        "redirect_uri",
        "state",
        "code_challenge",
        "code_challenge_method",
        "disable_auto_auth",
    ];
    if let Some(odd) = query.names().find(|it| !known.contains(it)) {
        return Err(format!("`{odd}` is not a parameter of the sign-in"));
    }
    let (client, desktop) = client(query.need("client_key")?).ok_or("client_key")?;
    let text = query.need("redirect_uri")?.to_owned();
    let redirect = Url::parse(&text).map_err(|_| format!("redirect_uri `{text}` is not an address"))?;
    let here = matches!(redirect.host_str(), Some("127.0.0.1" | "localhost"));
    let fits =
        if desktop { here && redirect.port().is_some() } else { redirect.scheme() == "https" && !here };
    if !fits || text.len() >= 512 || redirect.query().is_some() || redirect.fragment().is_some() {
        return Err(format!("redirect_uri `{text}` is not one that this kind of app may have"));
    }
    if query.need("response_type")? != "code" {
        return Err("response_type is not `code`".to_owned());
    }
    let state = query.need("state")?.to_owned();
    let scopes: Vec<String> = query.need("scope")?.split(',').map(str::to_owned).collect();
    if let Some(unknown) = scopes.iter().find(|it| !SCOPES.contains(&it.as_str())) {
        return Err(format!("scope `{unknown}` is not approved for the app"));
    }
    let challenge = query.get("code_challenge").map(str::to_owned);
    if desktop {
        let hex = |it: &String| it.len() == 64 && it.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if query.get("code_challenge_method") != Some("S256") || !challenge.as_ref().is_some_and(hex) {
            return Err("a desktop app needs a code_challenge: SHA-256 in lower-case hexadecimal".to_owned());
        }
    }
    Ok(Asked { redirect, text, state, scopes, client, challenge })
}
