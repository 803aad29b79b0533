//! Sign-in and tokens: a code, a short-lived token of the person, a long-lived one, and a token for
//! each Page that the person chose.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::params::Params;
use super::{Facebook, Portfolio, error, invalid, missing, ok};
use crate::sandbox::consent::{self, Consent, Decision};
use crate::sandbox::wire::{Answer, Bounded, Call, Fields, hex};

/// The app of the stand-in.
pub(in crate::sandbox) const CLIENT: &str = "1000000000000047";
/// Its secret. Facebook has no clients without.
pub(in crate::sandbox) const SECRET: &str = "sandbox-facebook-secret";

/// Its configuration of Facebook Login for Business, and what that asks for.
const CONFIGURATION: &str = "7000000000000047";
const CONFIGURED: &str = "pages_show_list,pages_read_engagement,pages_manage_posts,pages_manage_engagement,\
                          business_management";

const SCOPES: &[&str] = &[
    "public_profile",
    "pages_show_list",
    "pages_read_engagement",
    "pages_manage_posts",
    "pages_manage_engagement",
    "pages_read_user_content",
    "pages_manage_metadata",
    "read_insights",
    "business_management",
    "instagram_basic",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_contents",
    "instagram_manage_insights",
];

/// A code's life is not documented; ten minutes are generous.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(10);
/// How long the app may read what is a person's is not documented; 90 days are usual.
const DATA_ACCESS: SignedDuration = SignedDuration::from_hours(90 * 24);
const SHORT_LIFE: i64 = 5_400;
const LONG_LIFE: i64 = 5_183_944;

/// Somebody who can sign in.
pub(super) struct Person {
    id: String,
    username: &'static str,
    name: &'static str,
    /// When they last consented: for some time from then on the app may read what is theirs.
    confirmed: Timestamp,
    /// Counts the times at which all tokens of this person ended.
    epoch: u32,
    /// What they granted the app, of all that it ever asked for.
    granted: Vec<String>,
    asked: Vec<String>,
    /// The Pages they chose, by what was asked for then, sorted.
    chosen: Vec<(Vec<String>, Vec<usize>)>,
}

impl Person {
    /// One app has one grant of a person, whatever it is asked for in the name of (Pages, or Instagram
    /// accounts on them): what is granted adds up, what is declined this time is taken away. So do the
    /// Pages; asked for the same again, the new choice counts.
    fn consents(&mut self, asked: Vec<String>, granted: Vec<String>, pages: Vec<usize>, now: Timestamp) {
        self.confirmed = now;
        self.granted.retain(|it| !asked.contains(it));
        self.granted.extend(granted);
        self.asked.extend(asked.iter().filter(|it| !self.asked.contains(it)).cloned().collect::<Vec<_>>());
        let mut asked = asked;
        asked.sort();
        self.chosen.retain(|(then, _)| *then != asked);
        self.chosen.push((asked, pages));
    }

    /// In the order of the list.
    fn pages(&self) -> Vec<usize> {
        let all: BTreeSet<usize> = self.chosen.iter().flat_map(|(_, pages)| pages).copied().collect();
        all.into_iter().collect()
    }
}

pub(super) fn people(seed: u64) -> Vec<Person> {
    let person = |n: u64, username, name| Person {
        id: (102_200_000 + n * 1_000 + seed % 1_000).to_string(),
        username,
        name,
        confirmed: Timestamp::UNIX_EPOCH,
        epoch: 0,
        granted: Vec::new(),
        asked: Vec::new(),
        chosen: Vec::new(),
    };
    vec![person(1, "acme", "Ann Acme"), person(2, "alice", "Alice Example")]
}

pub(super) struct Grants {
    codes: Bounded<String, Code>,
    tokens: Bounded<String, Token>,
}

struct Code {
    person: usize,
    redirect: String,
    expires: Timestamp,
    used: bool,
}

#[derive(Clone)]
struct Token {
    person: usize,
    page: Option<usize>,
    epoch: u32,
    long: bool,
    expires: Option<Timestamp>,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self { codes: Bounded::new(500), tokens: Bounded::new(5_000) }
    }
}

/// Who calls.
pub(super) struct Holder {
    pub(super) person: usize,
    pub(super) page: Option<usize>,
    pub(super) scopes: Vec<String>,
    long: bool,
}

impl Holder {
    /// What shares a limit.
    pub(super) fn bucket(&self) -> String {
        match self.page {
            Some(page) => format!("page{page}"),
            None => format!("person{}", self.person),
        }
    }
}

/// Lower-case hex of HMAC-SHA256, the app's secret being the key and the token the message.
pub(super) fn proof(token: &str) -> String {
    // HMAC takes keys of every length.
    Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map_or_else(
        |_| String::new(),
        |mac| hex(&mac.chain_update(token.as_bytes()).finalize().into_bytes()),
    )
}

/// The dialog takes https, and `http://localhost` in development mode; the stand-in takes 127.0.0.1 as
/// well, which Facebook does not, so that tests need no names.
fn redirect_is_registered(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|_| format!("redirect_uri `{address}` is not an address"))?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    let plain = url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "https" if plain => Ok(url),
        "http" if here && plain => Ok(url),
        _ => Err(format!("redirect_uri `{address}` is not one of the app's valid addresses")),
    }
}

impl Facebook {
    /// GET shows the page, POST to the same address decides. A form field `pages` (names, with commas
    /// between) is a person who picks some of their Pages.
    pub(super) fn dialog(&mut self, call: &Call) -> Answer {
        let (redirect, text, state, scopes) = match check(call) {
            Ok(asked) => asked,
            Err(why) => return consent::refused("Facebook", &why),
        };
        if call.method == "GET" {
            return consent::page(&Consent {
                network: "Facebook",
                app: "Sendoff (sandbox app)",
                scopes: &scopes,
                users: self.people.iter().map(|it| it.username).collect(),
                back_to: &text,
            });
        }
        let mut back = redirect;
        let (user, granted) = match consent::decision(call, &scopes) {
            Err(why) => return consent::refused("Facebook", &why),
            Ok(Decision::Deny) => {
                back.query_pairs_mut()
                    .append_pair("error_reason", "user_denied")
                    .append_pair("error", "access_denied")
                    .append_pair("error_description", "Permissions error")
                    .append_pair("state", &state);
                return Answer::see_other(back.as_str());
            }
            Ok(Decision::Allow { user, scopes }) => (user, scopes),
        };
        let person = match &user {
            None => 0,
            Some(name) => match self.people.iter().position(|it| it.username == name) {
                Some(at) => at,
                None => return consent::refused("Facebook", &format!("there is no person `{name}`")),
            },
        };
        let chosen = call.form().ok().and_then(|it| it.get("pages").map(str::to_owned));
        let picked = |name: &str| chosen.as_deref().is_none_or(|it| it.split(',').any(|it| it == name));
        let pages = (0..self.pages.len())
            .filter(|at| self.pages[*at].owner == person && picked(self.pages[*at].username))
            .collect();
        self.people[person].consents(scopes, granted, pages, call.now);
        let code = self.chance.token("facebook code");
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
        let expires = call.now + CODE_LIFE;
        self.grants.codes.insert(code, Code { person, redirect: text, expires, used: false });
        Answer::see_other(back.as_str())
    }

    /// A code, or a short-lived token, for a token. GET is documented; POST as a form is what keeps the
    /// secret out of addresses, and the stand-in takes nothing else.
    pub(super) fn token(&mut self, call: &Call) -> Answer {
        if call.method == "GET" || !call.query.is_empty() {
            return invalid("the app's secret and the code belong in a form, not in an address");
        }
        let form = match call.form() {
            Ok(form) => form,
            Err(why) => return invalid(&why),
        };
        let known = ["client_id", "client_secret", "redirect_uri", "code", "grant_type", "fb_exchange_token"];
        if let Some(odd) = form.names().find(|it| !known.contains(it)) {
            return invalid(&format!("Param {odd} is not one of this call"));
        }
        if form.get("client_id") != Some(CLIENT) {
            return error(400, 101, 0, "Error validating application.").because("the app is unknown");
        }
        if form.get("client_secret") != Some(SECRET) {
            return error(400, 1, 0, "Error validating client secret.").because("the secret is wrong");
        }
        match form.get("grant_type") {
            Some("fb_exchange_token") => self.lengthen(call.now, &form),
            None | Some("authorization_code") => self.exchange(call.now, &form),
            Some(_) => invalid("unsupported grant_type"),
        }
    }

    fn exchange(&mut self, now: Timestamp, form: &Fields) -> Answer {
        let (code, redirect) = match (form.need("code"), form.need("redirect_uri")) {
            (Ok(code), Ok(redirect)) => (code, redirect),
            (Err(why), _) | (_, Err(why)) => return invalid(&why),
        };
        let Some(known) = self.grants.codes.get_mut(code) else {
            return invalid("Invalid verification code format.");
        };
        if std::mem::replace(&mut known.used, true) {
            return error(400, 100, 36_009, "This authorization code has been used.").because("used before");
        }
        if now >= known.expires {
            return error(400, 100, 36_007, "This authorization code has expired.").because("too old");
        }
        if known.redirect != redirect {
            return error(400, 100, 36_008, "Error validating verification code: redirect_uri differs.")
                .because("redirect_uri differs from the dialog's");
        }
        let person = known.person;
        self.issue(now, person, None, false, Some(SHORT_LIFE))
    }

    fn lengthen(&mut self, now: Timestamp, form: &Fields) -> Answer {
        let Ok(token) = form.need("fb_exchange_token") else {
            return invalid("fb_exchange_token is missing");
        };
        match self.alive(token, now) {
            Err(answer) => answer,
            Ok(known) if known.page.is_some() => invalid("a Page's token cannot be exchanged"),
            Ok(known) => self.issue(now, known.person, None, true, Some(LONG_LIFE)),
        }
    }

    fn issue(
        &mut self,
        now: Timestamp,
        person: usize,
        page: Option<usize>,
        long: bool,
        life: Option<i64>,
    ) -> Answer {
        let token = self.new_token(now, person, page, long, life);
        let mut body = json!({ "access_token": token, "token_type": "bearer" });
        if let Some(life) = life {
            body["expires_in"] = json!(life);
        }
        Answer::json(200, &body)
    }

    fn new_token(
        &mut self,
        now: Timestamp,
        person: usize,
        page: Option<usize>,
        long: bool,
        life: Option<i64>,
    ) -> String {
        let text = format!("EAA{}", self.chance.token("facebook token"));
        let expires = life.map(|it| now + SignedDuration::from_secs(it));
        let epoch = self.people[person].epoch;
        self.grants.tokens.insert(text.clone(), Token { person, page, epoch, long, expires });
        text
    }

    fn alive(&self, token: &str, now: Timestamp) -> Result<Token, Answer> {
        let dead = |sub, message: &str, why: &str| error(400, 190, sub, message).because(why);
        let Some(known) = self.grants.tokens.get(token) else {
            return Err(dead(
                0,
                "Invalid OAuth access token - Cannot parse access token",
                "an unknown token",
            ));
        };
        if known.epoch != self.people[known.person].epoch {
            let message = "Error validating access token: The user has not authorized application.";
            return Err(dead(458, message, "the person removed the app"));
        }
        if known.expires.is_some_and(|end| now >= end) {
            return Err(dead(463, "Error validating access token: Session has expired.", "expired"));
        }
        Ok(known.clone())
    }

    /// The token of a call and whose it is.
    pub(super) fn holder(&self, call: &Call) -> Result<(String, Holder), Answer> {
        let header = call.header("authorization").and_then(|it| it.split_once(' '));
        let token = match header {
            Some((scheme, token)) if ["bearer", "oauth"].iter().any(|it| scheme.eq_ignore_ascii_case(it)) => {
                token
            }
            _ => {
                let message = "An access token is required to request this resource.";
                return Err(error(400, 104, 0, message).because("no token was sent"));
            }
        };
        let known = self.alive(token, call.now)?;
        let person = &self.people[known.person];
        if known.page.is_some_and(|page| !person.pages().contains(&page)) {
            return Err(error(400, 190, 492, "Error validating access token: no role on this Page")
                .because("the person took this Page out of the consent"));
        }
        let scopes = person.granted.clone();
        Ok((token.to_owned(), Holder { person: known.person, page: known.page, scopes, long: known.long }))
    }

    fn myself<'a>(&'a self, holder: &Holder, who: &str) -> Result<&'a Person, Answer> {
        let person = &self.people[holder.person];
        if holder.page.is_some() {
            return Err(invalid("Tried accessing nonexisting field on node type (Page)"));
        }
        if who == "me" || who == person.id { Ok(person) } else { Err(missing(who)) }
    }

    pub(super) fn me(&self, holder: &Holder) -> Result<Answer, Answer> {
        let person = &self.people[holder.person];
        let (id, name) = holder
            .page
            .map_or((&person.id, person.name), |page| (&self.pages[page].id, self.pages[page].name));
        ok(&json!({ "id": id, "name": name }))
    }

    pub(super) fn permissions(&self, holder: &Holder, who: &str) -> Result<Answer, Answer> {
        let person = self.myself(holder, who)?;
        let rows: Vec<Value> = person
            .asked
            .iter()
            .map(|scope| {
                let status = if person.granted.contains(scope) { "granted" } else { "declined" };
                json!({ "permission": scope, "status": status })
            })
            .collect();
        ok(&json!({ "data": rows }))
    }

    /// The person removes the app in Facebook's own settings.
    pub(in crate::sandbox) fn end_access(&mut self, person: &str) {
        for it in self.people.iter_mut().filter(|it| it.username == person) {
            it.epoch += 1;
        }
    }

    /// Every token of the person and this app ends.
    pub(super) fn revoke(&mut self, holder: &Holder, who: &str) -> Result<Answer, Answer> {
        self.myself(holder, who)?;
        let person = &mut self.people[holder.person];
        person.epoch += 1;
        person.granted.clear();
        person.asked.clear();
        person.chosen.clear();
        super::done()
    }

    /// One Page an answer, so that whoever reads the first part alone is found out. Pages of a business
    /// portfolio are not among them.
    pub(super) fn accounts(&mut self, holder: &Holder, who: &str, params: &Params) -> Result<Answer, Answer> {
        let mut pages = self.myself(holder, who)?.pages();
        pages.retain(|at| self.pages[*at].portfolio.is_none());
        if !holder.long {
            // Facebook gives tokens then that end with this one; nobody wants those.
            return Err(invalid("the Pages were asked for with a short-lived token"));
        }
        let from = match params.text("after") {
            None => 0,
            Some(cursor) => cursor.parse::<usize>().map_err(|_| invalid("Invalid cursor"))? + 1,
        };
        let mut body = json!({ "data": [] });
        if let Some(at) = pages.get(from).copied() {
            let mut row = self.page_row(holder, at, params);
            row["tasks"] =
                json!(["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"]);
            body["data"] = json!([row]);
            body["paging"] = json!({ "cursors": { "before": from.to_string(), "after": from.to_string() } });
            if from + 1 < pages.len() {
                let next =
                    format!("{}/facebook/v26.0/me/accounts?access_token=hidden&after={from}", self.origin);
                body["paging"]["next"] = json!(next);
            }
        }
        ok(&body)
    }

    /// The portfolio of a person, or the chosen Pages in it: those that it owns, and its clients'.
    pub(super) fn businesses(
        &mut self,
        holder: &Holder,
        id: &str,
        edge: &str,
        params: &Params,
    ) -> Result<Answer, Answer> {
        if edge == "businesses" {
            let person = self.myself(holder, id)?;
            return ok(&json!({ "data": [{ "id": format!("70{}", person.id) }] }));
        }
        let person = self.myself(holder, "me")?;
        if id != format!("70{}", person.id) {
            return Err(missing(id));
        }
        let list = if edge == "owned_pages" { Portfolio::Owned } else { Portfolio::Client };
        let mut pages = person.pages();
        pages.retain(|at| self.pages[*at].portfolio == Some(list));
        let rows: Vec<Value> = pages.into_iter().map(|at| self.page_row(holder, at, params)).collect();
        ok(&json!({ "data": rows }))
    }

    fn page_row(&mut self, holder: &Holder, at: usize, params: &Params) -> Value {
        let token = self.new_token(Timestamp::UNIX_EPOCH, holder.person, Some(at), true, None);
        let page = &self.pages[at];
        let mut row = json!({
            "id": page.id, "name": page.name, "username": page.username, "category": "Bakery",
            "access_token": token,
            "picture": { "data": { "url": format!("{}/facebook/avatar/{}", self.origin, page.id) } },
        });
        let asked = params.fields().unwrap_or_default();
        if let Some(account) =
            page.instagram.as_ref().filter(|_| asked.iter().any(|it| it == "instagram_business_account"))
        {
            row["instagram_business_account"] =
                json!({ "id": account, "username": page.username, "name": page.name });
        }
        row
    }

    /// Asked by the app in its own name: id and secret with a bar between, as the documents want it
    /// (developers.facebook.com/docs/facebook-login/guides/access-tokens/debugging).
    pub(super) fn debug_token(&self, call: &Call, params: &Params) -> Result<Answer, Answer> {
        let own = format!("{CLIENT}|{SECRET}");
        if call.header("authorization") != Some(&format!("Bearer {own}")) {
            return Err(error(400, 100, 0, "(#100) You must provide an app access token")
                .because("debug_token was asked with another token than the app's"));
        }
        if params.text("appsecret_proof").is_none_or(|it| it != proof(&own)) {
            return Err(invalid("appsecret_proof is missing or wrong"));
        }
        let Some(token) = params.text("input_token") else { return Err(invalid("input_token is missing")) };
        let Some(known) = self.grants.tokens.get(&token) else {
            return ok(&json!({ "data": { "is_valid": false, "scopes": [] } }));
        };
        let person = &self.people[known.person];
        if known.epoch != person.epoch {
            return ok(&json!({ "data": {
                "app_id": CLIENT,
                "is_valid": false,
                "error": { "code": 190, "subcode": 458, "message": "The user has not authorized application." },
                "scopes": [],
            } }));
        }
        ok(&json!({ "data": {
            "app_id": CLIENT,
            "type": if known.page.is_some() { "PAGE" } else { "USER" },
            "is_valid": true,
            "expires_at": known.expires.map_or(0, Timestamp::as_second),
            "data_access_expires_at": (person.confirmed + DATA_ACCESS).as_second(),
            "scopes": person.granted,
            "user_id": person.id,
        } }))
    }
}

/// What the dialog is asked: where it leads back to (as address and as text), its state, the scopes.
fn check(call: &Call) -> Result<(Url, String, String, Vec<String>), String> {
    let query = Fields::once(call.query.clone())?;
    let known =
        ["client_id", "redirect_uri", "state", "response_type", "scope", "config_id", "auth_type", "display"];
    if let Some(odd) = query.names().find(|it| !known.contains(it)) {
        return Err(format!("`{odd}` is not a parameter of the dialog"));
    }
    if query.need("client_id")? != CLIENT {
        return Err("client_id is no app of this sandbox".to_owned());
    }
    let text = query.need("redirect_uri")?.to_owned();
    let redirect = redirect_is_registered(&text)?;
    if query.get("response_type").is_some_and(|it| it != "code") {
        return Err("response_type is not `code`".to_owned());
    }
    let state = query.need("state")?.to_owned();
    let scopes = match (query.get("config_id"), query.get("scope")) {
        (Some(_), Some(_)) => return Err("config_id stands in the place of scope, not beside it".to_owned()),
        (Some(CONFIGURATION), None) => CONFIGURED,
        (Some(_), None) => return Err("config_id is no configuration of this app".to_owned()),
        (None, _) => query.need("scope")?,
    };
    let scopes: Vec<String> =
        scopes.split([',', ' ']).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    if let Some(unknown) = scopes.iter().find(|it| !SCOPES.contains(&it.as_str())) {
        return Err(format!("Invalid Scopes: {unknown}"));
    }
    Ok((redirect, text, state, scopes))
}
