//! Facebook Pages on the Graph API, as developers.facebook.com describes it: the part that publishing
//! needs, under the prefix `/facebook`, which stands for `www`, `graph` and `rupload` alike.
//!
//! Strict: every call names a version and proves the app's secret, no token stands in an address, and
//! no parameter is taken that the generated specifications of v25.0 do not list for its place. What
//! the documents leave open is decided on the strict side, and said where it is decided.

mod nodes;
mod oauth;
pub(super) mod params;
mod posts;
mod video;

use std::collections::HashMap;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Published;
use super::pages::Picture;
use super::wire::{Answer, Bounded, Budget, Call, Chance, Window};
use params::Params;

pub(super) use oauth::{CLIENT, SECRET};

/// Versions that live; a call that names another is refused, which is stricter than Facebook.
const VERSIONS: &[&str] = &["v22.0", "v23.0", "v24.0", "v25.0", "v26.0"];

/// Calls of one Page in an hour. Facebook's number goes with the Page's followers.
const CALLS: u32 = 4_800;
const HOUR: i64 = 3_600;

/// A Page of the stand-in.
pub(super) struct Page {
    id: String,
    name: &'static str,
    username: &'static str,
    /// Index of the person whose Page it is.
    owner: usize,
    /// The id of the Instagram account that hangs on it.
    instagram: Option<String>,
    /// How it stands in its owner's business portfolio, where it is missing from their own list of Pages
    /// (github.com/chatwoot/chatwoot/issues/7219).
    portfolio: Option<Portfolio>,
}

/// The two lists of a business portfolio, by their edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Portfolio {
    Owned,
    Client,
}

/// The network: its people, Pages, grants and objects.
pub(super) struct Facebook {
    origin: String,
    people: Vec<oauth::Person>,
    pages: Vec<Page>,
    grants: oauth::Grants,
    posts: Bounded<String, posts::Post>,
    photos: Bounded<String, posts::Photo>,
    videos: Bounded<String, video::Video>,
    windows: HashMap<String, Window>,
    last_id: u64,
    chance: Chance,
}

/// One call's place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'p> {
    Dialog,
    Token,
    Me,
    Permissions(&'p str),
    Revoke(&'p str),
    Accounts(&'p str),
    /// A portfolio's edge.
    Businesses(&'p str, &'p str),
    DebugToken,
    Feed(&'p str),
    Photos(&'p str),
    Videos(&'p str),
    Reels(&'p str),
    PhotoStories(&'p str),
    VideoStories(&'p str),
    Posts(&'p str),
    Stories(&'p str),
    Comment(&'p str),
    Comments(&'p str),
    Node(&'p str),
    Edit(&'p str),
    Delete(&'p str),
    Upload(&'p str),
}

impl<'p> Place<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/facebook/")?.split('/').collect();
        if let (&Method::POST, ["video-upload", _, id]) = (method, parts.as_slice()) {
            return Some(Self::Upload(id));
        }
        let (version, rest) = parts.split_first()?;
        if !version.starts_with('v') {
            return None;
        }
        Some(match (method.as_str(), rest) {
            ("GET" | "POST", ["dialog", "oauth"]) => Self::Dialog,
            ("GET" | "POST", ["oauth", "access_token"]) => Self::Token,
            ("GET", ["debug_token"]) => Self::DebugToken,
            ("GET", ["me"]) => Self::Me,
            ("GET", [who, "permissions"]) => Self::Permissions(who),
            ("DELETE", [who, "permissions"]) => Self::Revoke(who),
            ("GET", [who, "accounts"]) => Self::Accounts(who),
            ("GET", [id, edge @ ("businesses" | "owned_pages" | "client_pages")]) => {
                Self::Businesses(id, edge)
            }
            ("POST", [page, "feed"]) => Self::Feed(page),
            ("POST", [page, "photos"]) => Self::Photos(page),
            ("POST", [page, "videos"]) => Self::Videos(page),
            ("POST", [page, "video_reels"]) => Self::Reels(page),
            ("POST", [page, "photo_stories"]) => Self::PhotoStories(page),
            ("POST", [page, "video_stories"]) => Self::VideoStories(page),
            ("GET", [page, "published_posts"]) => Self::Posts(page),
            ("GET", [page, "stories"]) => Self::Stories(page),
            ("POST", [post, "comments"]) => Self::Comment(post),
            ("GET", [post, "comments"]) => Self::Comments(post),
            ("GET", [id]) => Self::Node(id),
            ("POST", [id]) => Self::Edit(id),
            ("DELETE", [id]) => Self::Delete(id),
            _ => return None,
        })
    }

    /// Parameters of its own (beside `fields`, `limit`, `after`, `before` and the proof), and the
    /// permissions that it needs.
    fn facts(self) -> (&'static [&'static str], &'static [&'static str]) {
        const READ: &[&str] = &["pages_read_engagement"];
        const WRITE: &[&str] = &["pages_manage_posts", "pages_read_engagement"];
        const ENGAGE: &[&str] = &["pages_manage_engagement"];
        const REEL: &[&str] =
            &["upload_phase", "video_id", "video_state", "description", "title", "scheduled_publish_time"];
        match self {
            Self::Dialog | Self::Token | Self::Me | Self::Revoke(_) | Self::Upload(_) => (&[], &[]),
            Self::DebugToken => (&["input_token"], &[]),
            Self::Permissions(_) => (&["permission", "status"], &[]),
            Self::Businesses(..) => (&[], &["business_management"]),
            Self::Accounts(_) => (&["ad_id", "is_place", "is_promotable"], &["pages_show_list"]),
            Self::Feed(_) => {
                (&["message", "link", "published", "attached_media", "scheduled_publish_time"], WRITE)
            }
            Self::Photos(_) => {
                (&["source", "url", "caption", "message", "alt_text_custom", "published", "temporary"], WRITE)
            }
            Self::Videos(_) => (
                &[
                    "upload_phase",
                    "file_size",
                    "upload_session_id",
                    "start_offset",
                    "video_file_chunk",
                    "title",
                    "description",
                    "published",
                    "file_url",
                    "thumb",
                ],
                WRITE,
            ),
            Self::Reels(_) | Self::VideoStories(_) => (REEL, WRITE),
            Self::PhotoStories(_) => (&["photo_id"], WRITE),
            Self::Posts(_) => (&["since", "until", "include_hidden", "show_expired", "with"], READ),
            Self::Stories(_) => (&["since", "until", "status"], READ),
            Self::Comment(_) => (&["message", "attachment_url", "attachment_id"], ENGAGE),
            Self::Comments(_) => (&["filter", "live_filter", "order", "since"], READ),
            Self::Node(_) => (&[], READ),
            Self::Edit(_) => (&["message", "is_published"], WRITE),
            Self::Delete(_) => (&[], WRITE),
        }
    }
}

/// What the places of the API take, by the endpoint of the specification that each stands for.
#[cfg(test)]
pub(super) fn lists() -> Vec<(&'static str, &'static [&'static str])> {
    [
        ("fb.debug_token", Place::DebugToken),
        ("user.permissions.list", Place::Permissions("")),
        ("user.permissions.delete", Place::Revoke("")),
        ("user.accounts.list", Place::Accounts("")),
        ("user.businesses.list", Place::Businesses("", "businesses")),
        ("business.owned_pages.list", Place::Businesses("", "owned_pages")),
        ("business.client_pages.list", Place::Businesses("", "client_pages")),
        ("page.feed.create", Place::Feed("")),
        ("page.photos.create", Place::Photos("")),
        ("page.videos.create", Place::Videos("")),
        ("page.video_reels.create", Place::Reels("")),
        ("page.photo_stories.create", Place::PhotoStories("")),
        ("page.video_stories.create", Place::VideoStories("")),
        ("page.published_posts.list", Place::Posts("")),
        ("page.stories.list", Place::Stories("")),
        ("page_post.comments.create", Place::Comment("")),
        ("page_post.comments.list", Place::Comments("")),
        ("page_post.get", Place::Node("")),
        ("page_post.update", Place::Edit("")),
        ("page_post.delete", Place::Delete("")),
    ]
    .map(|(id, place)| (id, place.facts().0))
    .into()
}

/// The name of the route for faults, if the call meets one. The phases of an upload share a path.
pub(super) fn route_name(call: &Call) -> Option<&'static str> {
    let phase = || Params::of(call).ok().and_then(|it| it.text("upload_phase")).unwrap_or_default();
    Some(match Place::of(&call.method, &call.path)? {
        Place::Dialog => return None,
        Place::Token => "facebook.token",
        Place::Me => "facebook.me",
        Place::DebugToken => "facebook.debug",
        Place::Permissions(_) => "facebook.permissions",
        Place::Revoke(_) => "facebook.revoke",
        Place::Accounts(_) => "facebook.accounts",
        Place::Businesses(..) => "facebook.businesses",
        Place::Feed(_) => "facebook.feed",
        Place::Photos(_) => "facebook.photo",
        Place::Videos(_) | Place::Reels(_) | Place::VideoStories(_) => match phase().as_str() {
            "start" => "facebook.start",
            "transfer" => "facebook.transfer",
            _ => "facebook.finish",
        },
        Place::PhotoStories(_) => "facebook.story",
        Place::Posts(_) => "facebook.posts",
        Place::Stories(_) => "facebook.stories",
        Place::Comment(_) => "facebook.comment",
        Place::Comments(_) => "facebook.comments",
        Place::Node(_) => "facebook.get",
        Place::Edit(_) => "facebook.edit",
        Place::Delete(_) => "facebook.delete",
        Place::Upload(_) => "facebook.upload",
    })
}

/// The answer with the headers that tell how much of a limit is used: `business` is what the limit is of,
/// and `of` whose it is.
pub(super) fn with_usage(answer: Answer, business: &str, of: &str, budget: &Budget) -> Answer {
    let percent = budget.limit.saturating_sub(budget.remaining) * 100 / budget.limit;
    let usage = json!({ "call_count": percent, "total_time": 0, "total_cputime": 0 });
    let mut case = usage.clone();
    case["type"] = json!(business);
    case["estimated_time_to_regain_access"] = json!(0);
    answer
        .with("x-app-usage", &usage.to_string())
        .with("x-business-use-case-usage", &json!({ of: [case] }).to_string())
}

/// A Graph error. `sub` 0 = none.
pub(super) fn error(status: u16, code: i64, sub: i64, message: &str) -> Answer {
    let mut error = json!({
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "Asandbox0000000000000",
    });
    if sub != 0 {
        error["error_subcode"] = json!(sub);
    }
    if code == 2 {
        error["is_transient"] = json!(true);
    }
    Answer::json(status, &json!({ "error": error }))
}

/// A refusal of a parameter: code 100.
fn invalid(why: &str) -> Answer {
    error(400, 100, 0, &format!("(#100) {why}")).because(why)
}

/// Not there, or not to be seen by this token: Facebook does not tell which.
pub(super) fn missing(id: &str) -> Answer {
    let why = format!("Unsupported request. Object with ID '{id}' does not exist or cannot be loaded");
    error(400, 100, 33, &why)
}

/// The upload host's own shape of an error, which may come with 200.
pub(super) fn debug_info() -> Answer {
    let body = json!({ "debug_info": { "retriable": true, "type": "ProcessingFailedError",
        "message": "Request processing failed" } });
    Answer::json(200, &body)
}

/// The limit that a fault orders.
pub(super) fn too_many() -> Answer {
    let usage = json!({ "100000000001": [{ "type": "pages", "call_count": 100, "total_cputime": 25,
        "total_time": 25, "estimated_time_to_regain_access": 15 }] });
    error(400, 80_001, 2_446_079, "(#80001) There have been too many calls to this Page account.")
        .with("x-business-use-case-usage", &usage.to_string())
}

/// The error behind which posts were seen live: HTTP 500 with code 2.
pub(super) fn broken() -> Answer {
    error(500, 2, 0, "An unexpected error has occurred. Please retry your request later.")
}

/// The API's spelling of an instant.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

impl Facebook {
    pub(super) fn new(seed: u64, origin: String) -> Self {
        let id = |n: u64| (106_512_000_000 + n * 1_000 + seed % 1_000).to_string();
        let page = |n, name, username, owner, instagram: Option<u64>| {
            let instagram = instagram.map(|n| super::instagram::user_id(seed, n));
            Page { id: id(n), name, username, owner, instagram, portfolio: None }
        };
        let within = |portfolio, page| Page { portfolio: Some(portfolio), ..page };
        Self {
            origin,
            people: oauth::people(seed),
            pages: vec![
                page(1, "Acme Bakery", "acme", 0, Some(1)),
                page(2, "Acme Café", "acme.cafe", 0, None),
                page(3, "Alice's Flowers", "alice", 1, Some(2)),
                within(Portfolio::Owned, page(4, "Alice's Market", "alice.market", 1, None)),
                within(Portfolio::Client, page(5, "Garden Club", "garden.club", 1, None)),
            ],
            grants: oauth::Grants::new(),
            posts: Bounded::new(5_000),
            photos: Bounded::new(2_000),
            videos: Bounded::new(500),
            windows: HashMap::new(),
            last_id: 0,
            chance: Chance::new(seed),
        }
    }

    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let why = format!("no route for {} {}", call.method, call.path);
            return error(400, 2500, 0, "Unknown path components").because(why);
        };
        let version = call.path.split('/').nth(if matches!(place, Place::Upload(_)) { 3 } else { 2 });
        if !version.is_some_and(|it| VERSIONS.contains(&it)) {
            return error(400, 2635, 0, "(#2635) You are calling a deprecated version of the API.")
                .because("the version is none that lives");
        }
        match place {
            Place::Dialog => self.dialog(call),
            Place::Token => self.token(call),
            Place::Upload(id) => self.upload(call, id),
            _ => match self.api(call, place) {
                Ok(answer) | Err(answer) => answer,
            },
        }
    }

    /// Who calls, may they, is the call well made; then the call itself.
    fn api(&mut self, call: &Call, place: Place<'_>) -> Result<Answer, Answer> {
        let params = Params::of(call).map_err(|why| invalid(&why))?;
        if matches!(place, Place::DebugToken) {
            return self.debug_token(call, &params);
        }
        let holder = self.proven(call, params.text("appsecret_proof").as_deref())?;
        let (own, needed) = place.facts();
        let common = ["fields", "limit", "after", "before", "appsecret_proof", "summary", "locale"];
        if let Some(odd) = params.names().find(|it| !own.contains(it) && !common.contains(it)) {
            return Err(invalid(&format!("Param {odd} is not one of this call")));
        }
        if let Some(lacking) = needed.iter().find(|it| !holder.scopes.iter().any(|has| has == *it)) {
            let why = format!("(#200) Requires {lacking} permission to manage the object.");
            return Err(error(403, 200, 0, &why).because(format!("`{lacking}` was not granted")));
        }
        let budget = self
            .windows
            .entry(holder.bucket())
            .or_insert_with(|| Window::starting(call.now, HOUR))
            .spend(1, CALLS, HOUR, call.now);
        if budget.exceeded {
            return Err(too_many().because("too many calls in one hour"));
        }
        let answer = match place {
            Place::Me => self.me(&holder),
            Place::Permissions(who) => self.permissions(&holder, who),
            Place::Revoke(who) => self.revoke(&holder, who),
            Place::Accounts(who) => self.accounts(&holder, who, &params),
            Place::Businesses(id, edge) => self.businesses(&holder, id, edge, &params),
            Place::Feed(page) => self.feed(call.now, &holder, page, &params),
            Place::Photos(page) => self.photo(&holder, page, &params),
            Place::PhotoStories(page) => self.photo_story(call.now, &holder, page, &params),
            Place::Videos(page) => self.video(call.now, &holder, page, &params),
            Place::Reels(page) => self.reel(call.now, &holder, page, &params, false),
            Place::VideoStories(page) => self.reel(call.now, &holder, page, &params, true),
            Place::Posts(page) => self.list(&holder, page, &params, false),
            Place::Stories(page) => self.list(&holder, page, &params, true),
            Place::Comment(post) => self.comment(call.now, &holder, post, &params),
            Place::Comments(post) => self.comments(&holder, post, &params),
            Place::Node(id) => self.node(&holder, id, &params),
            Place::Edit(id) => self.edit(&holder, id, &params),
            Place::Delete(id) => self.delete(call.now, &holder, id),
            Place::Dialog | Place::Token | Place::Upload(_) | Place::DebugToken => Err(broken()),
        };
        let (Ok(answer) | Err(answer)) = answer;
        Ok(with_usage(answer, "pages", &holder.bucket(), &budget).with("facebook-api-version", "v26.0"))
    }

    /// The token in the header, where alone it may stand, and who holds it.
    fn bearer(&self, call: &Call) -> Result<(String, oauth::Holder), Answer> {
        if call.param("access_token").is_some() {
            return Err(invalid("a token belongs in the Authorization header, never in an address"));
        }
        self.holder(call)
    }

    /// Who calls, when the proof that belongs to the token came along.
    fn proven(&self, call: &Call, proof: Option<&str>) -> Result<oauth::Holder, Answer> {
        let (token, holder) = self.bearer(call)?;
        if proof.is_none_or(|it| it != oauth::proof(&token)) {
            return Err(error(400, 100, 0, "API calls from the server require an appsecret_proof argument")
                .because("appsecret_proof is missing or wrong"));
        }
        Ok(holder)
    }

    /// Who calls for the Instagram account on a Page: its id, and what was granted.
    pub(super) fn instagram_caller(&self, call: &Call) -> Result<(String, Vec<String>), Answer> {
        let is_upload = call.path.starts_with("/facebook/ig-api-upload/");
        let holder =
            if is_upload { self.bearer(call)?.1 } else { self.proven(call, call.param("appsecret_proof"))? };
        let account = match holder.page {
            Some(page) => self.pages[page].instagram.clone(),
            // A person reads what their account has; they publish in a Page's name.
            None if call.method == Method::GET => self.instagram_of(&holder),
            None => None,
        };
        match account {
            Some(account) => Ok((account, holder.scopes)),
            None => Err(error(400, 190, 2_069_032, "A token of the account's Page is required")
                .because("no Instagram account hangs on what this token is for")),
        }
    }

    /// The first of the Instagram accounts on a person's Pages.
    fn instagram_of(&self, holder: &oauth::Holder) -> Option<String> {
        let mut mine = self.pages.iter().filter(|it| it.owner == holder.person);
        mine.find_map(|it| it.instagram.clone())
    }

    /// Whether a call comes with a person's token, and not a Page's.
    pub(super) fn is_by_person(&self, call: &Call) -> bool {
        self.holder(call).is_ok_and(|(_, holder)| holder.page.is_none())
    }

    /// The Page behind an id, if the token is that Page's.
    fn own_page(&self, holder: &oauth::Holder, id: &str) -> Result<usize, Answer> {
        let Some(at) = self.pages.iter().position(|it| it.id == id) else { return Err(missing(id)) };
        match holder.page {
            Some(page) if page == at => Ok(at),
            Some(_) => {
                Err(error(403, 200, 0, "(#200) The Page is not the token's").because("another Page's token"))
            }
            None => Err(error(400, 190, 2_069_032, "A Page access token is required for this call")
                .because("a person's token where a Page's is needed")),
        }
    }

    /// A fresh id, strictly growing.
    fn next_id(&mut self) -> String {
        self.last_id += 1;
        (122_100_000_000_000_000 + self.last_id * 7).to_string()
    }

    pub(super) fn published(&self) -> Vec<Published> {
        self.posts
            .values()
            .map(|post| Published {
                network: "facebook",
                account: self.pages[post.page].username.to_owned(),
                id: post.id.clone(),
                film: post.media.clone().filter(|it| self.videos.get(it).is_some()),
                text: post.text.clone(),
                parent: post.parent.clone(),
                alts: post
                    .photos
                    .iter()
                    .map(|id| self.photos.get(id).map(|it| it.alt.clone()).unwrap_or_default())
                    .collect(),
                at: post.at,
                deleted: post.deleted,
            })
            .collect()
    }

    pub(super) fn pictures(&self, id: &str) -> Vec<Picture> {
        let Some(post) = self.posts.get(id) else { return Vec::new() };
        let src = |id: &str| Some(format!("/facebook/media/{id}"));
        let photos = post.photos.iter().filter_map(|id| {
            let photo = self.photos.get(id)?;
            Some(Picture { src: src(id), alt: photo.alt.clone(), film: false })
        });
        let film = post.media.as_deref().and_then(|id| {
            let whole = self.videos.get(id)?.shown().is_some();
            Some(Picture { src: src(id).filter(|_| whole), alt: String::new(), film: true })
        });
        photos.chain(film).collect()
    }

    /// The post that a video became.
    pub(super) fn post_of(&self, video: &str) -> Option<&str> {
        self.videos.get(video)?.post.as_deref()
    }

    /// A photo, or a video that is kept whole.
    pub(super) fn picture(&self, id: &str) -> Option<bytes::Bytes> {
        let photo = self.photos.get(id).map(|it| it.bytes.clone());
        photo.or_else(|| self.videos.get(id)?.shown())
    }

    /// The word that the page shows beside what is no plain post: reel, story, a link.
    pub(super) fn note(&self, id: &str) -> Option<String> {
        let post = self.posts.get(id)?;
        let kind = match post.kind {
            posts::Kind::Feed | posts::Kind::Comment => None,
            kind => Some(kind.word().to_owned()),
        };
        kind.or_else(|| post.link.clone())
    }
}

/// `{"success": true}`.
#[allow(clippy::unnecessary_wraps)] // stands where a call may be refused
fn done() -> Result<Answer, Answer> {
    Ok(Answer::json(200, &json!({ "success": true })))
}

#[allow(clippy::unnecessary_wraps)] // as above
fn ok(body: &Value) -> Result<Answer, Answer> {
    Ok(Answer::json(200, body))
}
