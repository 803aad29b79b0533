//! LinkedIn, as learn.microsoft.com describes it, under the prefix `/linkedin`, which stands for
//! `www.linkedin.com` and `api.linkedin.com` alike: members, and the organizations that they administer.
//!
//! Strict: no field and no parameter is taken that the API does not list, every call bears its version,
//! URNs in paths are encoded, uploads end, members' tokens read nothing back, the same words are refused
//! with the name of the first post, and text is cut off where it was not escaped.

mod body;
mod media;
mod oauth;
mod posts;
pub(super) mod problems;
mod text;

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::Published;
use super::pages::Picture;
use super::wire::{Answer, Bounded, Call, Chance};

use media::Noun;
use oauth::Token;
pub(super) use oauth::{CLIENT, ORGANIZATION_CLIENT, too_fresh};

/// Versions that are served. There is none for every month, and those from before have ended.
const VERSIONS: &[&str] = &["202601", "202602", "202603", "202605", "202606", "202607", "202608", "202609"];
/// Calls of a member in a day, with the product that every app can have.
const CALLS_A_DAY: u32 = 150;
const DAY: i64 = 86_400;

/// A member of the stand-in.
struct Person {
    sub: &'static str,
    username: &'static str,
    name: &'static str,
}

/// A page, with who may post on it.
struct Organization {
    id: &'static str,
    username: &'static str,
    name: &'static str,
    person: usize,
    role: &'static str,
}

pub(super) struct LinkedIn {
    origin: String,
    people: Vec<Person>,
    organizations: Vec<Organization>,
    grants: oauth::Grants,
    assets: Bounded<String, media::Asset>,
    posts: Bounded<String, posts::Post>,
    /// Calls of members' tokens: the day, and how many.
    calls: HashMap<usize, (i64, u32)>,
    /// The next post is taken and comes to nothing.
    fails_next: bool,
    last_id: u64,
    chance: Chance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Authorize,
    Redeem,
    Introspect,
    Revoke,
    UserInfo,
    Acls,
    Organization(String),
    Begin(Noun),
    Status(Noun, String),
    Upload(String, String),
    Create,
    List,
    Get(String),
    Update(String),
    Delete(String),
    Comment(String),
    /// A URN stands in the path with its colons.
    Raw,
}

impl Place {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/linkedin/")?.split('/').collect();
        let urn =
            |it: &str| it.replace("%3A", ":").replace("%3a", ":").replace("%28", "(").replace("%29", ")");
        if parts.first() == Some(&"rest") && path.contains(':') {
            return Some(Self::Raw);
        }
        Some(match (method.as_str(), parts.as_slice()) {
            ("GET" | "POST", ["oauth", "v2", "authorization"]) => Self::Authorize,
            ("POST", ["oauth", "v2", "accessToken"]) => Self::Redeem,
            ("POST", ["oauth", "v2", "introspectToken"]) => Self::Introspect,
            ("POST", ["oauth", "v2", "revoke"]) => Self::Revoke,
            ("GET", ["v2", "userinfo"]) => Self::UserInfo,
            ("GET", ["rest", "organizationAcls"]) => Self::Acls,
            ("GET", ["rest", "organizations", id]) => Self::Organization((*id).to_owned()),
            ("POST", ["rest", noun @ ("images" | "videos" | "documents")]) => {
                Self::Begin(Noun::of_path(noun)?)
            }
            ("GET", ["rest", noun @ ("images" | "videos" | "documents"), id]) => {
                Self::Status(Noun::of_path(noun)?, urn(id))
            }
            ("PUT", ["dms-uploads", id, n]) => Self::Upload((*id).to_owned(), (*n).to_owned()),
            ("POST", ["rest", "posts"]) => Self::Create,
            ("GET", ["rest", "posts"]) => Self::List,
            ("GET", ["rest", "posts", id]) => Self::Get(urn(id)),
            ("POST", ["rest", "posts", id]) => Self::Update(urn(id)),
            ("DELETE", ["rest", "posts", id]) => Self::Delete(urn(id)),
            ("POST", ["rest", "socialActions", id, "comments"]) => Self::Comment(urn(id)),
            _ => return None,
        })
    }
}

/// The name of the route for faults.
pub(super) fn route_name(call: &Call) -> Option<&'static str> {
    Some(match Place::of(&call.method, &call.path)? {
        Place::Authorize | Place::Raw => return None,
        Place::Redeem => "linkedin.token",
        Place::Introspect => "linkedin.introspect",
        Place::Revoke => "linkedin.revoke",
        Place::UserInfo => "linkedin.userinfo",
        Place::Acls => "linkedin.acls",
        Place::Organization(_) => "linkedin.organization",
        Place::Begin(_) if call.param("action") == Some("finalizeUpload") => "linkedin.finish",
        Place::Begin(_) => "linkedin.begin",
        Place::Status(..) => "linkedin.status",
        Place::Upload(..) => "linkedin.upload",
        Place::Create => "linkedin.create",
        Place::List => "linkedin.list",
        Place::Get(_) => "linkedin.get",
        Place::Update(_) => "linkedin.edit",
        Place::Delete(_) => "linkedin.delete",
        Place::Comment(_) => "linkedin.comment",
    })
}

/// An error in LinkedIn's shape. `service` 0 = none.
fn error(status: u16, code: &str, service: i64, message: &str) -> Answer {
    let mut body = json!({ "status": status, "code": code, "message": message });
    if service != 0 {
        body["serviceErrorCode"] = json!(service);
    }
    Answer::json(status, &body).with("x-li-uuid", "AAYsandbox00000000000000==")
}

/// One without a code, as some have none.
fn error_of(status: u16, service: i64, message: &str) -> Answer {
    Answer::json(status, &json!({ "serviceErrorCode": service, "message": message, "status": status }))
}

fn invalid(why: &str) -> Answer {
    error(400, "INVALID_VALUE_FOR_FIELD", 0, &format!("{why} is invalid")).because(why)
}

pub(super) fn denied(what: &str) -> Answer {
    error(403, "ACCESS_DENIED", 100, &format!("Not enough permissions to access: {what}.20260801"))
}

/// The version that a fault takes away.
pub(super) fn sunset(call: &Call) -> Answer {
    let version = call.header("linkedin-version").unwrap_or_default();
    error(426, "NONEXISTENT_VERSION", 0, &format!("Requested version {version} is not active"))
}

/// The limit that a fault orders. It says nothing of its end.
pub(super) fn too_many() -> Answer {
    let message = "Resource level throttle limit for calls to this resource is reached.";
    Answer::json(429, &json!({ "status": 429, "message": message }))
}

pub(super) fn broken() -> Answer {
    Answer::json(500, &json!({ "status": 500, "message": "Internal Server Error" }))
}

/// Parameters of an address that may have these and no others.
fn only(call: &Call, known: &[&str]) -> Result<(), Answer> {
    match call.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((odd, _)) => Err(invalid(&format!("query parameter {odd}"))),
        None => Ok(()),
    }
}

fn json_body(call: &Call) -> Result<Value, Answer> {
    let body = (call.content_type() == "application/json")
        .then(|| serde_json::from_slice(&call.body).ok())
        .flatten();
    body.filter(Value::is_object).ok_or_else(|| invalid("the body, which is no JSON object,"))
}

/// Whether a body is well made, by the name that the composed document gives its operation.
#[cfg(test)]
pub(super) fn takes(operation: &str, it: &Value) -> bool {
    let judged = match operation {
        "createPost" => body::post(it),
        "updatePost" => body::update(it),
        "createComment" => body::comment(it),
        "imagesAction" => body::begin(Noun::Image, it),
        "documentsAction" => body::begin(Noun::Document, it),
        _ if it.get("finalizeUploadRequest").is_some() => body::finish(it),
        _ => body::begin(Noun::Video, it),
    };
    judged.is_ok()
}

/// An object with these fields and no others, the required ones among them.
fn fields(at: &str, it: &Value, known: &[&str], required: &[&str]) -> Result<(), Answer> {
    let Some(object) = it.as_object() else { return Err(invalid(at)) };
    if let Some(odd) = object.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("ERROR :: {at}/{odd} :: unrecognized field found but not allowed");
        return Err(Answer::json(422, &json!({ "status": 422, "message": message })).because(message));
    }
    match required.iter().find(|name| !object.contains_key(**name)) {
        Some(missing) => {
            let message = format!("{at}/{missing} is required");
            Err(error(400, "MISSING_FIELD", 0, &message).because(message))
        }
        None => Ok(()),
    }
}

impl LinkedIn {
    pub(super) fn new(seed: u64, origin: String) -> Self {
        Self {
            origin,
            people: vec![
                Person { sub: "782bbtaQ", username: "acme", name: "Acme" },
                Person { sub: "9xK-alice", username: "alice", name: "Alice" },
            ],
            organizations: vec![
                Organization {
                    id: "5515715",
                    username: "acme-bakery",
                    name: "Acme Bakery",
                    person: 0,
                    role: "ADMINISTRATOR",
                },
                Organization {
                    id: "5515716",
                    username: "acme-cafe",
                    name: "Acme Café",
                    person: 0,
                    role: "CONTENT_ADMINISTRATOR",
                },
                Organization {
                    id: "5515717",
                    username: "alices-flowers",
                    name: "Alice's Flowers",
                    person: 1,
                    role: "ADMINISTRATOR",
                },
            ],
            grants: oauth::Grants::new(),
            assets: Bounded::new(500),
            posts: Bounded::new(2_000),
            calls: HashMap::new(),
            fails_next: false,
            last_id: 0,
            chance: Chance::new(seed),
        }
    }

    /// The next post is taken, and comes to nothing afterwards.
    pub(super) fn fail_next(&mut self) {
        self.fails_next = true;
    }

    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let why = format!("no route for {} {}", call.method, call.path);
            return error(404, "RESOURCE_NOT_FOUND", 0, "No virtual resource found").because(why);
        };
        match &place {
            Place::Authorize => return self.authorize(call),
            Place::Redeem => return self.redeem(call),
            Place::Introspect => return self.introspect(call),
            Place::Revoke => return self.revoke(call),
            Place::Upload(id, n) => return self.upload(call, id, n),
            Place::Raw => return invalid("a URN in a path must be encoded, and this one"),
            _ => {}
        }
        let (Ok(answer) | Err(answer)) = self.api(call, place);
        answer
    }

    /// Who calls, in which version; then the call itself.
    fn api(&mut self, call: &Call, place: Place) -> Result<Answer, Answer> {
        let token = self.holder(call)?;
        self.count(call, &token)?;
        if place == Place::UserInfo {
            return self.userinfo(&token);
        }
        match call.header("linkedin-version") {
            None => {
                let why = "A version must be present. Please specify a version by adding the LinkedIn-Version header.";
                return Err(error(400, "VERSION_MISSING", 0, why).because("LinkedIn-Version is missing"));
            }
            Some(version) if !VERSIONS.contains(&version) => return Err(sunset(call)),
            Some(_) => {}
        }
        if call.header("x-restli-protocol-version") != Some("2.0.0") {
            return Err(invalid("X-Restli-Protocol-Version"));
        }
        match place {
            Place::Acls => self.acls(call, &token),
            Place::Organization(id) => self.organization(&token, &id),
            Place::Begin(noun) => self.begin(call, &token, noun),
            Place::Status(noun, urn) => self.status(call, &token, noun, &urn),
            Place::Create => self.create(call, &token),
            Place::List => self.list(call, &token),
            Place::Get(urn) => self.get(call, &token, &urn),
            Place::Update(urn) => self.update(call, &token, &urn),
            Place::Delete(urn) => self.delete(call, &token, &urn),
            Place::Comment(urn) => self.comment(call, &token, &urn),
            _ => Err(broken()),
        }
    }

    /// 150 calls of a member a day, from midnight to midnight UTC.
    fn count(&mut self, call: &Call, token: &Token) -> Result<(), Answer> {
        if token.client != CLIENT {
            return Ok(());
        }
        let today = call.now.as_second().div_euclid(DAY);
        let (day, used) = self.calls.entry(token.person).or_insert((today, 0));
        if *day != today {
            (*day, *used) = (today, 0);
        }
        *used += 1;
        if *used > CALLS_A_DAY { Err(too_many().because("too many calls in one day")) } else { Ok(()) }
    }

    /// Whether a token may write in this author's name.
    fn may_write(&self, token: &Token, author: &str, what: &str) -> Result<(), Answer> {
        let own = format!("urn:li:person:{}", self.people[token.person].sub);
        let of = |it: &Organization| {
            format!("urn:li:organization:{}", it.id) == author && it.person == token.person
        };
        let may = (author == own && token.may("w_member_social"))
            || (self.organizations.iter().any(of) && token.may("w_organization_social"));
        if may { Ok(()) } else { Err(denied(what).because(format!("{author} is not this token's"))) }
    }

    /// The name under which an author is known here.
    fn name_of(&self, author: &str) -> &'static str {
        let id = author.rsplit(':').next().unwrap_or_default();
        let organization = self.organizations.iter().find(|it| it.id == id).map(|it| it.username);
        organization
            .or_else(|| self.people.iter().find(|it| it.sub == id).map(|it| it.username))
            .unwrap_or("nobody")
    }

    pub(super) fn published(&self) -> Vec<Published> {
        self.posts.values().map(|it| it.published(self.name_of(&it.author))).collect()
    }

    pub(super) fn pictures(&self, urn: &str) -> Vec<Picture> {
        let files = self.posts.get(urn).map(|it| it.files.as_slice()).unwrap_or_default();
        let picture = |(id, alt): &(String, String)| {
            let asset = self.assets.get(id)?;
            (asset.noun != Noun::Document).then(|| Picture {
                src: (!asset.bytes.is_empty()).then(|| format!("/linkedin/media/{id}")),
                alt: alt.clone(),
                film: asset.noun == Noun::Video,
            })
        };
        files.iter().filter_map(picture).collect()
    }

    pub(super) fn picture(&self, id: &str) -> Option<bytes::Bytes> {
        self.assets.get(id).map(|it| it.bytes.clone())
    }

    /// What is no plain post: the title of a document or film, the address of an article, a poll.
    pub(super) fn note(&self, urn: &str) -> Option<String> {
        self.posts.get(urn)?.note.clone()
    }
}
