//! Instagram's own door: a code, a token of an hour, one of sixty days, and its renewal.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use url::Url;

use super::{Caller, Instagram, invalid, ok};
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::facebook::error;
use crate::sandbox::wire::{Answer, Bounded, Call, Fields};

/// The Instagram app of the stand-in, which is not the Meta app.
pub(in crate::sandbox) const CLIENT: &str = "2000000000000048";
/// Its secret: the same file serves both apps.
const SECRET: &str = crate::sandbox::facebook::SECRET;

const SCOPES: &[&str] = &[
    "instagram_business_basic",
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
    "instagram_business_manage_insights",
];
const CODE_LIFE: SignedDuration = SignedDuration::from_hours(1);
const SHORT_LIFE: SignedDuration = SignedDuration::from_hours(1);
const LONG_LIFE: i64 = 5_183_944;
const OLD_ENOUGH: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct Grants {
    codes: Bounded<String, Code>,
    tokens: Bounded<String, Token>,
}

struct Code {
    user: usize,
    scopes: Vec<String>,
    redirect: String,
    expires: Timestamp,
    used: bool,
}

#[derive(Clone)]
struct Token {
    user: usize,
    scopes: Vec<String>,
    long: bool,
    issued: Timestamp,
    expires: Timestamp,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self { codes: Bounded::new(500), tokens: Bounded::new(2_000) }
    }
}

/// The errors of the endpoint for codes have a shape of their own.
fn odd(why: &str) -> Answer {
    let body = json!({ "error_type": "OAuthException", "code": 400, "error_message": why });
    Answer::json(400, &body).because(why)
}

fn dead(why: &str) -> Answer {
    error(400, 190, 463, &format!("Error validating access token: {why}")).because(why)
}

impl Instagram {
    pub(super) fn authorize(&mut self, call: &Call) -> Answer {
        let (redirect, text, state, scopes) = match check(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("Instagram", &why),
        };
        if call.method == "GET" {
            return consent::page(&Consent {
                network: "Instagram",
                app: "Sendoff (sandbox app)",
                scopes: &scopes,
                users: self.users.iter().map(|it| it.username).collect(),
                back_to: &text,
            });
        }
        let mut back = redirect;
        let (user, scopes) = match consent::decision(call, &scopes) {
            Err(why) => return consent::refused("Instagram", &why),
            Ok(Decision::Deny) => {
                back.query_pairs_mut()
                    .append_pair("error", "access_denied")
                    .append_pair("error_reason", "user_denied")
                    .append_pair("error_description", "The user denied your request")
                    .append_pair("state", &state);
                return Answer::see_other(back.as_str());
            }
            Ok(Decision::Allow { user, scopes }) => (user, scopes),
        };
        let user = match &user {
            None => 0,
            Some(name) => match self.users.iter().position(|it| it.username == name) {
                Some(at) => at,
                None => return consent::refused("Instagram", &format!("there is no account `{name}`")),
            },
        };
        let code = self.chance.token("instagram code");
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
        // As the network does; a browser keeps the fragment to itself.
        back.set_fragment(Some("_"));
        let expires = call.now + CODE_LIFE;
        self.grants.codes.insert(code, Code { user, scopes, redirect: text, expires, used: false });
        Answer::see_other(back.as_str())
    }

    pub(super) fn redeem(&mut self, call: &Call) -> Answer {
        if call.method == "GET" || !call.query.is_empty() {
            return odd("the code and the secret belong in a form");
        }
        let form = match call.form() {
            Ok(form) => form,
            Err(why) => return odd(&why),
        };
        let known = ["client_id", "client_secret", "grant_type", "redirect_uri", "code"];
        if let Some(extra) = form.names().find(|it| !known.contains(it)) {
            return odd(&format!("{extra} is no parameter"));
        }
        if form.get("client_id") != Some(CLIENT) {
            return odd("Invalid platform app");
        }
        if form.get("client_secret") != Some(SECRET) {
            return odd("Error validating client secret");
        }
        if form.get("grant_type") != Some("authorization_code") {
            return odd("Unsupported grant_type");
        }
        let unknown = "Matching code was not found or was already used";
        let Some(code) = form.get("code").and_then(|it| self.grants.codes.get_mut(it)) else {
            return odd(unknown);
        };
        if std::mem::replace(&mut code.used, true) || call.now >= code.expires {
            return odd(unknown);
        }
        if form.get("redirect_uri") != Some(code.redirect.as_str()) {
            return odd("Error validating verification code: redirect_uri differs");
        }
        let (user, scopes) = (code.user, code.scopes.clone());
        let permissions = scopes.join(",");
        let token = self.issue(call.now, user, scopes, false, SHORT_LIFE);
        let id = self.users[user].id.clone();
        ok(&json!({ "data": [{ "access_token": token, "user_id": id, "permissions": permissions }] }))
    }

    fn issue(
        &mut self,
        now: Timestamp,
        user: usize,
        scopes: Vec<String>,
        long: bool,
        life: SignedDuration,
    ) -> String {
        let text = format!("IGAA{}", self.chance.token("instagram token"));
        let token = Token { user, scopes, long, issued: now, expires: now + life };
        self.grants.tokens.insert(text.clone(), token);
        text
    }

    fn lengthened(&mut self, now: Timestamp, token: &Token) -> Answer {
        let life = SignedDuration::from_secs(LONG_LIFE);
        let text = self.issue(now, token.user, token.scopes.clone(), true, life);
        ok(&json!({ "access_token": text, "token_type": "bearer", "expires_in": LONG_LIFE }))
    }

    pub(super) fn exchange(&mut self, call: &Call) -> Answer {
        let query = match only(call, &["grant_type", "client_secret", "access_token"]) {
            Ok(query) => query,
            Err(answer) => return answer,
        };
        if query.get("grant_type") != Some("ig_exchange_token") {
            return invalid("unsupported grant_type");
        }
        if query.get("client_secret") != Some(SECRET) {
            return error(400, 1, 0, "Error validating client secret.").because("the secret is wrong");
        }
        match self.alive(query.get("access_token").unwrap_or_default(), call.now) {
            Ok(token) if !token.long => self.lengthened(call.now, &token),
            Ok(_) => invalid("the token is long-lived already"),
            Err(answer) => answer,
        }
    }

    pub(super) fn refresh(&mut self, call: &Call) -> Answer {
        let query = match only(call, &["grant_type", "access_token"]) {
            Ok(query) => query,
            Err(answer) => return answer,
        };
        if query.get("grant_type") != Some("ig_refresh_token") {
            return invalid("unsupported grant_type");
        }
        match self.alive(query.get("access_token").unwrap_or_default(), call.now) {
            Ok(token) if !token.long => invalid("a short-lived token cannot be refreshed"),
            Ok(token) if call.now.duration_since(token.issued) < OLD_ENOUGH => {
                invalid("the token is younger than 24 hours")
            }
            Ok(token) => self.lengthened(call.now, &token),
            Err(answer) => answer,
        }
    }

    fn alive(&self, token: &str, now: Timestamp) -> Result<Token, Answer> {
        match self.grants.tokens.get(token) {
            Some(known) if now < known.expires => Ok(known.clone()),
            Some(_) => Err(dead("Session has expired")),
            None => Err(dead("Cannot parse access token")),
        }
    }

    /// Whose token a call carries.
    pub(super) fn holder(&self, call: &Call) -> Result<Caller, Answer> {
        let header = call.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        let Some(token) = header else {
            return Err(error(400, 104, 0, "An access token is required.").because("no token was sent"));
        };
        let token = self.alive(token, call.now)?;
        Ok(Caller { user: token.user, through_facebook: false, scopes: token.scopes })
    }
}

/// The parameters of an address that may have these and no others.
fn only(call: &Call, known: &[&str]) -> Result<Fields, Answer> {
    let query = Fields::once(call.query.clone()).map_err(|why| invalid(&why))?;
    if let Some(odd) = query.names().find(|it| !known.contains(it)) {
        return Err(invalid(&format!("Param {odd} is not one of this call")));
    }
    Ok(query)
}

fn check(call: &Call) -> Result<(Url, String, String, Vec<String>), String> {
    let query = Fields::once(call.query.clone())?;
    let known =
        ["client_id", "redirect_uri", "response_type", "scope", "state", "force_reauth", "enable_fb_login"];
    if let Some(odd) = query.names().find(|it| !known.contains(it)) {
        return Err(format!("`{odd}` is not a parameter of the sign-in"));
    }
    if query.need("client_id")? != CLIENT {
        return Err("Invalid platform app".to_owned());
    }
    let text = query.need("redirect_uri")?.to_owned();
    let redirect = Url::parse(&text).map_err(|_| format!("redirect_uri `{text}` is not an address"))?;
    // Instagram takes https alone; the stand-in takes loopback as well, so that tests need no names.
    let here = matches!(redirect.host_str(), Some("127.0.0.1"));
    if redirect.scheme() != "https" && !here || redirect.query().is_some() {
        return Err(format!("redirect_uri `{text}` is not one of the app's valid addresses"));
    }
    if query.need("response_type")? != "code" {
        return Err("response_type is not `code`".to_owned());
    }
    let state = query.need("state")?.to_owned();
    let scopes: Vec<String> =
        query.need("scope")?.split([',', ' ']).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    match scopes.iter().find(|it| !SCOPES.contains(&it.as_str())) {
        Some(unknown) => Err(format!("Invalid scope: {unknown}")),
        None => Ok((redirect, text, state, scopes)),
    }
}
