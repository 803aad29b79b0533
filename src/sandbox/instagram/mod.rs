//! Instagram's professional accounts, as developers.facebook.com describes them: its own door under the
//! prefix `/instagram` (which stands for `www`, `api` and `graph` alike), and the same objects through
//! Facebook's door, under `/facebook`, where the accounts hang on Pages.
//!
//! Strict: no parameter is taken that the generated specifications of v25.0 do not list for its place,
//! pictures and films are truly fetched, a container is published once, and only when it is finished.

mod containers;
mod oauth;
mod posts;

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::Published;
use super::facebook::params::Params;
use super::facebook::{error, with_usage};
use super::pages::Picture;
use super::wire::{Answer, Bounded, Call, Chance, Window};

pub(super) use oauth::CLIENT;

const VERSIONS: &[&str] = &["v22.0", "v23.0", "v24.0", "v25.0", "v26.0"];
/// Calls of one account in an hour. Instagram's number goes with the account's impressions.
const CALLS: u32 = 4_800;
const HOUR: i64 = 3_600;
/// What every id here begins with, and none of Facebook's.
const IDS: &str = "178";

/// An account of the stand-in.
struct User {
    id: String,
    /// What `/me` calls `id`: another number, which stands in no path.
    app_scoped: String,
    username: &'static str,
    name: &'static str,
}

/// Who calls, through which door, and what they may.
pub(super) struct Caller {
    user: usize,
    through_facebook: bool,
    scopes: Vec<String>,
}

pub(super) struct Instagram {
    origin: String,
    users: Vec<User>,
    grants: oauth::Grants,
    containers: Bounded<String, containers::Container>,
    posts: Bounded<String, posts::Post>,
    windows: HashMap<usize, Window>,
    last_id: u64,
    chance: Chance,
}

/// The id of the account whose number is `n`. Facebook's Pages name it.
pub(super) fn user_id(seed: u64, n: u64) -> String {
    (17_841_400_000_000_000 + n * 1_000 + seed % 1_000).to_string()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'p> {
    Authorize,
    Redeem,
    Exchange,
    Refresh,
    Me,
    Limit(&'p str),
    Create(&'p str),
    List(&'p str),
    Stories(&'p str),
    Publish(&'p str),
    Comment(&'p str),
    Comments(&'p str),
    Node(&'p str),
    Delete(&'p str),
    Upload(&'p str),
}

impl<'p> Place<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        let own = path.strip_prefix("/instagram/");
        let parts: Vec<&str> = own.or_else(|| path.strip_prefix("/facebook/"))?.split('/').collect();
        let rest = match (method.as_str(), parts.as_slice()) {
            ("GET" | "POST", ["oauth", "authorize"]) if own.is_some() => return Some(Self::Authorize),
            ("GET" | "POST", ["oauth", "access_token"]) if own.is_some() => return Some(Self::Redeem),
            ("GET", ["access_token"]) if own.is_some() => return Some(Self::Exchange),
            ("GET", ["refresh_access_token"]) if own.is_some() => return Some(Self::Refresh),
            ("POST", ["ig-api-upload", _, id]) if own.is_none() => return Some(Self::Upload(id)),
            (_, [version, rest @ ..]) if version.starts_with('v') => rest,
            _ => return None,
        };
        if own.is_none() && !rest.first().is_some_and(|it| it.starts_with(IDS)) {
            return None;
        }
        Some(match (method.as_str(), rest) {
            ("GET", ["me"]) => Self::Me,
            ("GET", [user, "content_publishing_limit"]) => Self::Limit(user),
            ("POST", [user, "media"]) => Self::Create(user),
            ("GET", [user, "media"]) => Self::List(user),
            ("GET", [user, "stories"]) => Self::Stories(user),
            ("POST", [user, "media_publish"]) => Self::Publish(user),
            ("POST", [media, "comments"]) => Self::Comment(media),
            ("GET", [media, "comments"]) => Self::Comments(media),
            ("GET", [id]) => Self::Node(id),
            ("DELETE", [id]) => Self::Delete(id),
            _ => return None,
        })
    }

    /// Parameters of its own, and the permissions that it needs: at Instagram's door, at Facebook's.
    fn facts(self) -> (&'static [&'static str], [&'static [&'static str]; 2]) {
        const READ: [&[&str]; 2] = [&["instagram_business_basic"], &["instagram_basic"]];
        const WRITE: [&[&str]; 2] = [
            &["instagram_business_basic", "instagram_business_content_publish"],
            &["instagram_basic", "instagram_content_publish"],
        ];
        const COMMENT: [&[&str]; 2] =
            [&["instagram_business_manage_comments"], &["instagram_manage_comments"]];
        match self {
            Self::Limit(_) => (&["since"], WRITE),
            Self::List(_) => (&["since", "until"], READ),
            Self::Create(_) => (containers::PARAMS, WRITE),
            Self::Publish(_) => (&["creation_id"], WRITE),
            Self::Comment(_) => (&["message"], COMMENT),
            Self::Comments(_) => (&[], COMMENT),
            Self::Delete(_) => (&[], [&[], &["instagram_basic", "instagram_manage_contents"]]),
            _ => (&[], READ),
        }
    }
}

/// What the places of the API take, by the endpoint of the specification that each stands for.
#[cfg(test)]
pub(super) fn lists() -> Vec<(&'static str, &'static [&'static str])> {
    [
        ("ig_user.content_publishing_limit.get", Place::Limit("")),
        ("ig_user.media.create", Place::Create("")),
        ("ig_user.media.list", Place::List("")),
        ("ig_user.stories.list", Place::Stories("")),
        ("ig_user.media_publish.create", Place::Publish("")),
        ("ig_media.comments.create", Place::Comment("")),
        ("ig_media.comments.list", Place::Comments("")),
        ("ig_media.get", Place::Node("")),
        ("ig_media.delete", Place::Delete("")),
        ("iglogin.user.content_publishing_limit.get", Place::Limit("")),
        ("iglogin.user.media.list", Place::List("")),
        ("iglogin.user.media_publish.create", Place::Publish("")),
        ("iglogin.media.comments.create", Place::Comment("")),
    ]
    .map(|(id, place)| (id, place.facts().0))
    .into()
}

/// Whether a call is for this network, whichever door it comes through.
pub(super) fn is_ours(call: &Call) -> bool {
    call.path.starts_with("/instagram/") || Place::of(&call.method, &call.path).is_some()
}

pub(super) fn route_name(call: &Call) -> Option<&'static str> {
    Some(match Place::of(&call.method, &call.path)? {
        Place::Authorize => return None,
        Place::Redeem => "instagram.token",
        Place::Exchange => "instagram.exchange",
        Place::Refresh => "instagram.refresh",
        Place::Me => "instagram.me",
        Place::Limit(_) => "instagram.limit",
        Place::Create(_) => "instagram.container",
        Place::List(_) => "instagram.list",
        Place::Stories(_) => "instagram.stories",
        Place::Publish(_) => "instagram.publish",
        Place::Comment(_) => "instagram.comment",
        Place::Comments(_) => "instagram.comments",
        Place::Node(_) => "instagram.get",
        Place::Delete(_) => "instagram.delete",
        Place::Upload(_) => "instagram.upload",
    })
}

/// The addresses of files that a call lends.
pub(super) fn lent(call: &Call) -> Vec<String> {
    if !matches!(Place::of(&call.method, &call.path), Some(Place::Create(_))) {
        return Vec::new();
    }
    let Ok(params) = Params::of(call) else { return Vec::new() };
    ["image_url", "video_url", "cover_url"].iter().filter_map(|it| params.text(it)).collect()
}

fn invalid(why: &str) -> Answer {
    error(400, 100, 0, &format!("(#100) {why}")).because(why)
}

/// Not there, or not to be seen by this token.
fn missing(id: &str) -> Answer {
    error(400, 100, 33, &format!("Unsupported request. Object with ID '{id}' does not exist"))
}

/// The limit that a fault orders.
pub(super) fn too_many() -> Answer {
    let usage = json!({ "17841400000000001": [{ "type": "instagram", "call_count": 100, "total_cputime": 25,
        "total_time": 25, "estimated_time_to_regain_access": 15 }] });
    error(400, 80_002, 0, "(#80002) There have been too many calls to this Instagram account.")
        .with("x-business-use-case-usage", &usage.to_string())
}

pub(super) fn broken() -> Answer {
    error(500, 2, 0, "An unexpected error has occurred. Please retry your request later.")
}

/// The error behind which posts were seen live (github.com/gitroomhq/postiz-app/pull/1681).
pub(super) fn blocked() -> Answer {
    error(400, 4, 2_207_051, "Application request limit reached: this action is blocked")
}

impl Instagram {
    pub(super) fn new(seed: u64, origin: String) -> Self {
        let user = |n: u64, username, name| User {
            id: user_id(seed, n),
            app_scoped: (25_000_000_000 + n).to_string(),
            username,
            name,
        };
        Self {
            origin,
            users: vec![user(1, "acme", "Acme Bakery"), user(2, "alice", "Alice's Flowers")],
            grants: oauth::Grants::new(),
            containers: Bounded::new(500),
            posts: Bounded::new(2_000),
            windows: HashMap::new(),
            last_id: 0,
            chance: Chance::new(seed),
        }
    }

    /// A call at Instagram's own door.
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let why = format!("no route for {} {}", call.method, call.path);
            return error(400, 2500, 0, "Unknown path components").because(why);
        };
        match place {
            Place::Authorize => return self.authorize(call),
            Place::Redeem => return self.redeem(call),
            Place::Exchange => return self.exchange(call),
            Place::Refresh => return self.refresh(call),
            _ => {}
        }
        if call.param("access_token").is_some() {
            return invalid("a token belongs in the Authorization header, never in an address");
        }
        match self.holder(call) {
            Ok(caller) => self.api(call, place, &caller),
            Err(answer) => answer,
        }
    }

    /// A call at Facebook's door, whose token and proof were checked there.
    pub(super) fn answer_to(&mut self, call: &Call, user: &str, scopes: Vec<String>) -> Answer {
        let found = self.users.iter().position(|it| it.id == user);
        match (Place::of(&call.method, &call.path), found) {
            (Some(place), Some(user)) => {
                self.api(call, place, &Caller { user, through_facebook: true, scopes })
            }
            _ => missing(user).because("no such account"),
        }
    }

    fn api(&mut self, call: &Call, place: Place<'_>, caller: &Caller) -> Answer {
        let at = if matches!(place, Place::Upload(_)) { 3 } else { 2 };
        if !call.path.split('/').nth(at).is_some_and(|it| VERSIONS.contains(&it)) {
            return error(400, 2635, 0, "(#2635) You are calling a deprecated version of the API.")
                .because("the version is none that lives");
        }
        let params = if matches!(place, Place::Upload(_)) { Ok(Params::none()) } else { Params::of(call) };
        let params = match params {
            Ok(params) => params,
            Err(why) => return invalid(&why),
        };
        let (own, needed) = place.facts();
        let common = ["fields", "limit", "after", "before", "appsecret_proof"];
        if let Some(odd) = params.names().find(|it| !own.contains(it) && !common.contains(it)) {
            return invalid(&format!("Param {odd} is not one of this call"));
        }
        let needed = needed[usize::from(caller.through_facebook)];
        if let Some(lacking) = needed.iter().find(|it| !caller.scopes.iter().any(|has| has == *it)) {
            return error(400, 10, 0, &format!("(#10) Application does not have {lacking}"))
                .because(format!("`{lacking}` was not granted"));
        }
        let window = self.windows.entry(caller.user).or_insert_with(|| Window::starting(call.now, HOUR));
        let budget = window.spend(1, CALLS, HOUR, call.now);
        if budget.exceeded {
            return too_many().because("too many calls in one hour");
        }
        let answer = match place {
            Place::Me => Ok(self.me(caller)),
            Place::Limit(user) => self.limit(call.now, caller, user),
            Place::Create(user) => self.create(call, caller, user, &params),
            Place::List(user) => self.list(caller, user, &params, false),
            Place::Stories(user) => self.list(caller, user, &params, true),
            Place::Publish(user) => self.publish(call.now, caller, user, &params),
            Place::Comment(media) => self.comment(call.now, caller, media, &params),
            Place::Comments(media) => self.comments(caller, media),
            Place::Node(id) => self.node(call.now, caller, id, &params),
            Place::Delete(id) => self.delete(call.now, caller, id),
            Place::Upload(id) => self.upload(call, caller, id),
            Place::Authorize | Place::Redeem | Place::Exchange | Place::Refresh => Err(broken()),
        };
        let (Ok(answer) | Err(answer)) = answer;
        with_usage(answer, "instagram", &self.users[caller.user].id, &budget)
    }

    /// Only the caller's own account may stand in a path.
    fn own(&self, caller: &Caller, id: &str) -> Result<(), Answer> {
        let mine = &self.users[caller.user];
        if mine.id == id { Ok(()) } else { Err(missing(id).because("another account's id in the path")) }
    }

    fn next_id(&mut self) -> String {
        self.last_id += 1;
        (17_850_000_000_000_000 + self.last_id * 11).to_string()
    }

    pub(super) fn published(&self) -> Vec<Published> {
        self.posts.values().map(|it| it.published(self.users[it.user].username)).collect()
    }

    pub(super) fn pictures(&self, id: &str) -> Vec<Picture> {
        let files = self.posts.get(id).map(|it| it.files.as_slice()).unwrap_or_default();
        let picture = |(n, file): (usize, &containers::File)| Picture {
            src: Some(format!("/instagram/media/{id}/{n}")),
            alt: file.alt.clone(),
            film: file.video,
        };
        files.iter().enumerate().map(picture).collect()
    }

    pub(super) fn picture(&self, id: &str, n: &str) -> Option<bytes::Bytes> {
        self.posts.get(id)?.files.get(n.parse::<usize>().ok()?).map(|it| it.bytes.clone())
    }

    /// Carousel, reel, story.
    pub(super) fn note(&self, id: &str) -> Option<String> {
        self.posts.get(id).map(|it| it.kind.word().to_owned())
    }
}

fn ok(body: &Value) -> Answer {
    Answer::json(200, body)
}
