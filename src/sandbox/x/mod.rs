//! X's API v2 as `docs.x.com` and its OpenAPI document (2.167) describe it: the part that
//! publishing needs, under the prefix `/x`.
//!
//! What the documents leave open is decided here on the strict side, and said where it is decided.

mod body;
mod count;
mod media;
mod oauth;
mod posts;
pub(super) mod problems;
mod read;

use std::collections::HashMap;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Published;
use super::pages::Picture;
use super::wire::{Answer, Bounded, Budget, Call, Chance, Window};

pub(super) use count::weigh;

/// The prefix of the problem types in OpenAPI 2.167.
const PROBLEMS: &str = "https://api.x.com/2/problems";

/// Fifteen minutes: every per-user limit of docs.x.com/x-api/fundamentals/rate-limits.
const WINDOW: i64 = 15 * 60;

/// What an app may create within a day for all of its users together (same page), and that day.
const APP_CREATES: u32 = 10_000;
const DAY: i64 = 24 * 60 * 60;

/// A user of the stand-in.
pub(super) struct User {
    id: String,
    username: &'static str,
    name: &'static str,
    /// `None` or `Premium`; decides how long a text may be.
    subscription: &'static str,
}

impl User {
    fn text_max(&self) -> usize {
        if self.subscription == "None" { 280 } else { 25_000 }
    }
}

/// The network: its users, grants, posts and files.
pub(super) struct X {
    users: Vec<User>,
    grants: oauth::Grants,
    posts: Bounded<String, posts::Post>,
    /// When a user last sent a text: key is user and text.
    said: Bounded<(usize, String), (String, Timestamp)>,
    files: Bounded<String, media::File>,
    windows: HashMap<(usize, &'static str), Window>,
    /// What each app has created today.
    apps: HashMap<&'static str, Window>,
    last_id: i64,
    chance: Chance,
}

/// One call's place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'p> {
    Authorize,
    Token,
    Revoke,
    Me,
    Create,
    ReadMany,
    Read(&'p str),
    Delete(&'p str),
    Timeline(&'p str),
    Upload,
    Status,
    Initialize,
    Append(&'p str),
    Finalize(&'p str),
    Metadata,
}

impl<'p> Place<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/x/")?.split('/').collect();
        Some(match (method.as_str(), parts.as_slice()) {
            ("GET" | "POST", ["i", "oauth2", "authorize"]) => Self::Authorize,
            ("POST", ["2", "oauth2", "token"]) => Self::Token,
            ("POST", ["2", "oauth2", "revoke"]) => Self::Revoke,
            ("GET", ["2", "users", "me"]) => Self::Me,
            ("POST", ["2", "tweets"]) => Self::Create,
            ("GET", ["2", "tweets"]) => Self::ReadMany,
            ("GET", ["2", "tweets", id]) => Self::Read(id),
            ("DELETE", ["2", "tweets", id]) => Self::Delete(id),
            ("GET", ["2", "users", id, "tweets"]) => Self::Timeline(id),
            ("POST", ["2", "media", "upload"]) => Self::Upload,
            ("GET", ["2", "media", "upload"]) => Self::Status,
            ("POST", ["2", "media", "upload", "initialize"]) => Self::Initialize,
            ("POST", ["2", "media", "upload", id, "append"]) => Self::Append(id),
            ("POST", ["2", "media", "upload", id, "finalize"]) => Self::Finalize(id),
            ("POST", ["2", "media", "metadata"]) => Self::Metadata,
            _ => return None,
        })
    }

    /// The name under which faults know it, its limit per user and window, the scopes it needs.
    fn facts(self) -> (&'static str, u32, &'static [&'static str]) {
        const READ: &[&str] = &["tweet.read", "users.read"];
        const WRITE: &[&str] = &["tweet.read", "tweet.write", "users.read"];
        const FILES: &[&str] = &["media.write"];
        match self {
            Self::Authorize => ("", 0, &[]),
            Self::Token => ("x.token", 0, &[]),
            Self::Revoke => ("x.revoke", 0, &[]),
            Self::Me => ("x.me", 75, READ),
            Self::Create => ("x.create", 100, WRITE),
            Self::ReadMany => ("x.read", 5000, READ),
            Self::Read(_) => ("x.read", 900, READ),
            Self::Delete(_) => ("x.delete", 50, WRITE),
            Self::Timeline(_) => ("x.timeline", 900, READ),
            Self::Upload => ("x.upload", 500, FILES),
            Self::Status => ("x.status", 1000, FILES),
            Self::Initialize => ("x.initialize", 1875, FILES),
            Self::Append(_) => ("x.append", 1875, FILES),
            Self::Finalize(_) => ("x.finalize", 1875, FILES),
            Self::Metadata => ("x.metadata", 500, FILES),
        }
    }

    /// What shares a rate limit: reading one post and reading many have their own.
    fn bucket(self) -> &'static str {
        match self {
            Self::ReadMany => "x.read-many",
            other => other.facts().0,
        }
    }
}

/// The name of the route for faults, if the call meets one.
pub(super) fn route_name(method: &Method, path: &str) -> Option<&'static str> {
    Place::of(method, path).map(|it| it.facts().0).filter(|it| !it.is_empty())
}

/// The 429 that a fault orders: X's own shape and headers, the window ending in fifteen minutes.
pub(super) fn too_many(now: Timestamp) -> Answer {
    let budget = Budget { limit: 100, remaining: 0, reset: now.as_second() + WINDOW, exceeded: true };
    with_budget(blank(429, "Too Many Requests", "Too Many Requests"), budget)
}

/// The 500 that a fault orders.
pub(super) fn broken() -> Answer {
    blank(500, "Internal Server Error", "Internal Server Error")
}

/// A problem without a type of its own.
fn blank(status: u16, title: &str, detail: &str) -> Answer {
    let body = json!({ "title": title, "type": "about:blank", "status": status, "detail": detail });
    Answer::problem(status, &body)
}

fn forbidden(detail: &str) -> Answer {
    blank(403, "Forbidden", detail).because(detail)
}

/// The catch-all of X for what an account or an app may not do.
fn not_permitted(why: &str) -> Answer {
    blank(403, "Forbidden", "You are not permitted to perform this action.").because(why)
}

/// The validation shape: which parameter, which value, why.
fn invalid(faults: &[(String, String, String)]) -> Answer {
    let errors: Vec<Value> = faults
        .iter()
        .map(|(name, value, message)| json!({ "parameters": { name: [value] }, "message": message }))
        .collect();
    let reason = faults.iter().map(|it| it.2.as_str()).collect::<Vec<_>>().join("; ");
    Answer::problem(
        400,
        &json!({
            "errors": errors,
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": format!("{PROBLEMS}/invalid-request"),
        }),
    )
    .because(reason)
}

fn invalid_one(name: &str, value: &str, message: impl Into<String>) -> Answer {
    invalid(&[(name.to_owned(), value.to_owned(), message.into())])
}

/// An entry of `errors[]`, which also is the whole answer where nothing else is left to say.
fn not_found(resource: &str, parameter: &str, id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Could not find {resource} with {parameter}: [{id}]."),
        "title": "Not Found Error",
        "resource_type": resource,
        "parameter": parameter,
        "resource_id": id,
        "type": format!("{PROBLEMS}/resource-not-found"),
    })
}

fn with_budget(answer: Answer, budget: Budget) -> Answer {
    answer
        .with("x-rate-limit-limit", &budget.limit.to_string())
        .with("x-rate-limit-remaining", &budget.remaining.to_string())
        .with("x-rate-limit-reset", &budget.reset.to_string())
}

/// The headers of an app's day: seen, not documented.
fn with_day(answer: Answer, budget: Budget) -> Answer {
    answer
        .with("x-app-limit-24hour-limit", &budget.limit.to_string())
        .with("x-app-limit-24hour-remaining", &budget.remaining.to_string())
        .with("x-app-limit-24hour-reset", &budget.reset.to_string())
}

/// The request's JSON object, or X's refusal of it. A content type other than JSON is refused
/// with 415; that this is X's number is an assumption.
fn json_object(call: &Call) -> Result<Value, Answer> {
    let kind = call.content_type();
    if kind != "application/json" {
        let why = format!("content type `{kind}` is not application/json");
        return Err(blank(415, "Unsupported Media Type", &why).because(why));
    }
    match serde_json::from_slice::<Value>(&call.body) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(invalid_one("body", "", "the body is not a JSON object")),
        Err(error) => Err(invalid_one("body", "", format!("the body is not JSON: {error}"))),
    }
}

/// X's ids: 1 to 19 digits.
fn is_id(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
}

/// The API's spelling of an instant, to the millisecond.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl X {
    pub(super) fn new(seed: u64) -> Self {
        let user = |id: u64, username, name, subscription| User {
            id: (2_244_990_000 + id + seed % 1_000).to_string(),
            username,
            name,
            subscription,
        };
        Self {
            users: vec![
                user(1, "acme", "Acme Bakery", "None"),
                user(1_001, "alice", "Alice Example", "Premium"),
            ],
            grants: oauth::Grants::new(),
            posts: Bounded::new(5_000),
            said: Bounded::new(5_000),
            files: Bounded::new(2_000),
            windows: HashMap::new(),
            apps: HashMap::new(),
            last_id: 0,
            chance: Chance::new(seed),
        }
    }

    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let detail = format!("no route for {} {}", call.method, call.path);
            return stamped(blank(404, "Not Found", "Not Found").because(detail));
        };
        match place {
            Place::Authorize => self.authorize(call),
            Place::Token => stamped(self.token(call)),
            Place::Revoke => stamped(self.revoke(call)),
            _ => stamped(self.api(call, place)),
        }
    }

    /// Who calls, may they, have they not called too often; then the call itself.
    fn api(&mut self, call: &Call, place: Place) -> Answer {
        let (_, limit, scopes) = place.facts();
        let free = Budget { limit, remaining: limit, reset: call.now.as_second() + WINDOW, exceeded: false };
        if let Some((name, _)) = call
            .query
            .iter()
            .find(|(name, _)| matches!(name.as_str(), "access_token" | "oauth_token" | "token"))
        {
            let answer =
                invalid_one(name, "", "a token belongs in the Authorization header, never in an address");
            return with_budget(answer, free);
        }
        let unauthorized =
            |why: &str| with_budget(blank(401, "Unauthorized", "Unauthorized").because(why), free);
        let bearer = call.header("authorization").and_then(|it| it.split_once(' '));
        let token = match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
            Some(_) => return unauthorized("the authorization is not a bearer token"),
            None => return unauthorized("no bearer token was sent"),
        };
        let grant = match self.grants.holder(token, call.now) {
            Ok(grant) => grant,
            Err(why) => return unauthorized(why),
        };
        let window = self
            .windows
            .entry((grant.user, place.bucket()))
            .or_insert_with(|| Window::starting(call.now, WINDOW));
        let budget = window.spend(1, limit, WINDOW, call.now);
        if budget.exceeded {
            let answer = blank(429, "Too Many Requests", "Too Many Requests");
            return with_budget(answer.because("too many calls in one window"), budget);
        }
        if let Some(missing) = scopes.iter().find(|it| !grant.scopes.iter().any(|has| has == *it)) {
            return with_budget(not_permitted(&format!("scope `{missing}` was not granted")), budget);
        }
        let app = (place == Place::Create).then(|| self.spend_of_app(grant.client, 1, call.now));
        if let Some(app) = app.filter(|it| it.exceeded) {
            let answer = blank(429, "Too Many Requests", "Too Many Requests");
            let answer = answer.because("the app has created too many posts in a day");
            return with_budget(with_day(answer, app), budget);
        }
        let answer = match place {
            Place::Me => self.me(call, grant.user),
            Place::Create => self.create(call, grant.user),
            Place::ReadMany => self.read_many(call),
            Place::Read(id) => self.read(call, id),
            Place::Delete(id) => self.delete(call, grant.user, id),
            Place::Timeline(id) => self.timeline(call, id),
            Place::Upload => self.upload(call, grant.user),
            Place::Initialize => self.initialize(call, grant.user),
            Place::Append(id) => self.append(call, grant.user, id),
            Place::Finalize(id) => self.finalize(call, grant.user, id),
            Place::Status => self.status(call, grant.user),
            Place::Metadata => self.metadata(call, grant.user),
            Place::Authorize | Place::Token | Place::Revoke => broken(),
        };
        let answer = match app {
            Some(app) => with_day(answer, app),
            None => answer,
        };
        with_budget(answer, budget)
    }

    /// Counts `cost` creations of an app.
    pub(in crate::sandbox) fn spend_of_app(
        &mut self,
        client: &'static str,
        cost: u32,
        now: Timestamp,
    ) -> Budget {
        let day = self.apps.entry(client).or_insert_with(|| Window::starting(now, DAY));
        day.spend(cost, APP_CREATES, DAY, now)
    }

    /// A fresh id: milliseconds since X's epoch and a counter, strictly growing.
    fn next_id(&mut self, now: Timestamp) -> String {
        const EPOCH_MS: i64 = 1_288_834_974_657;
        let by_clock = (now.as_millisecond() - EPOCH_MS).max(1) << 22;
        self.last_id = by_clock.max(self.last_id + 1);
        self.last_id.to_string()
    }

    fn user(&self, id: &str) -> Option<(usize, &User)> {
        self.users.iter().enumerate().find(|(_, it)| it.id == id)
    }

    pub(super) fn published(&self) -> Vec<Published> {
        self.posts
            .values()
            .map(|post| Published {
                film: None,
                network: "x",
                account: self.users[post.user].username.to_owned(),
                id: post.id.clone(),
                text: post.sent.clone(),
                parent: post.parent.clone(),
                alts: post.files.iter().map(|it| it.alt.clone()).collect(),
                at: post.at,
                deleted: post.deleted,
            })
            .collect()
    }

    pub(super) fn pictures(&self, id: &str) -> Vec<Picture> {
        let files = self.posts.get(id).map(|it| it.files.as_slice()).unwrap_or_default();
        files
            .iter()
            .map(|it| {
                let kept = self.files.get(&it.id).is_some_and(|file| file.bytes().is_some());
                let film = self.files.get(&it.id).is_some_and(|file| file.kind() == "video");
                Picture { src: kept.then(|| format!("/x/media/{}", it.id)), alt: it.alt.clone(), film }
            })
            .collect()
    }

    /// What a post is besides its words: a poll, what it discloses, where it stands.
    pub(super) fn note(&self, id: &str) -> Option<String> {
        self.posts.get(id)?.note.clone()
    }

    pub(super) fn picture(&self, id: &str) -> Option<bytes::Bytes> {
        self.files.get(id)?.bytes()
    }
}

/// Seen on every answer of the API.
fn stamped(answer: Answer) -> Answer {
    answer.with("api-version", "2.167").with("cache-control", "no-store")
}
