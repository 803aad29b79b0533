//! TikTok, as developers.tiktok.com describes Login Kit and the Content Posting API, under the prefix
//! `/tiktok`, which stands for the sign-in page, the API and the upload hosts alike.
//!
//! Strict: no field is taken that the reference does not list or that is of another type, films are cut
//! by the rules of the transfer guide, pieces come in order and at their size, photos are truly fetched and
//! only from hosts that serve the proof of ownership. Most answers are errors with status 200 or successes
//! with the word `ok`, as there.
//!
//! What cannot be caused from outside is ordered: a text with `sandbox:fail=REASON` in it ends in `FAILED`
//! for that reason; for the inbox, where no text travels, the fault `tiktok.status=fail:REASON` does it.
//! Films are taken as files alone, not by address; their length, frame rate and sides are held to the
//! rules, as far as the index of an MP4 tells them.

mod oauth;
mod tasks;
mod upload;

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::Published;
use super::pages::Picture;
use super::wire::{Answer, Bounded, Call, Chance, Window};

pub(super) use oauth::{CLIENT, flat};
pub(super) use tasks::FAIL_REASONS;
pub(super) use upload::turned_away;

/// The proof of ownership that a host must serve at its root before photos are fetched from it: a file's
/// name and its content.
pub const VERIFICATION: (&str, &str) =
    ("tiktokSandboxProof7.txt", "tiktok-developers-site-verification=SandboxProof7");

/// Calls of one user in a minute.
const MINUTE: i64 = 60;
const CREATOR_CALLS: u32 = 20;
const INIT_CALLS: u32 = 6;
const STATUS_CALLS: u32 = 30;

/// A creator of the stand-in.
#[allow(clippy::struct_excessive_bools)] // independent switches of an account
struct User {
    open_id: String,
    username: &'static str,
    name: &'static str,
    /// The audiences that it offers.
    audiences: &'static [&'static str],
    /// Whom un-audited apps may post for.
    private: bool,
    comment_disabled: bool,
    duet_disabled: bool,
    stitch_disabled: bool,
}

pub(super) struct TikTok {
    origin: String,
    users: Vec<User>,
    grants: oauth::Grants,
    tasks: Bounded<String, tasks::Task>,
    windows: HashMap<(usize, &'static str), Window>,
    last: u64,
    chance: Chance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Authorize,
    Token,
    Revoke,
    Info,
    Creator,
    Init,
    Inbox,
    Photo,
    Status,
    Upload,
}

impl Place {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/tiktok/")?;
        Some(match (method.as_str(), rest) {
            ("GET" | "POST", "v2/auth/authorize/") => Self::Authorize,
            ("POST", "v2/oauth/token/") => Self::Token,
            ("POST", "v2/oauth/revoke/") => Self::Revoke,
            ("GET", "v2/user/info/") => Self::Info,
            ("POST", "v2/post/publish/creator_info/query/") => Self::Creator,
            ("POST", "v2/post/publish/video/init/") => Self::Init,
            ("POST", "v2/post/publish/inbox/video/init/") => Self::Inbox,
            ("POST", "v2/post/publish/content/init/") => Self::Photo,
            ("POST", "v2/post/publish/status/fetch/") => Self::Status,
            ("PUT", "upload/video/") => Self::Upload,
            _ => return None,
        })
    }
}

pub(super) fn route_name(call: &Call) -> Option<&'static str> {
    Some(match Place::of(&call.method, &call.path)? {
        Place::Authorize => return None,
        Place::Token => "tiktok.token",
        Place::Revoke => "tiktok.revoke",
        Place::Info => "tiktok.info",
        Place::Creator => "tiktok.creator",
        Place::Init | Place::Inbox => "tiktok.init",
        Place::Photo => "tiktok.photo",
        Place::Status => "tiktok.status",
        Place::Upload if upload::is_last(call) => "tiktok.last",
        Place::Upload => "tiktok.chunk",
    })
}

/// Whether a call brings a piece of a film, which may be larger than any other body.
pub(super) fn is_upload(method: &Method, path: &str) -> bool {
    Place::of(method, path) == Some(Place::Upload)
}

/// The addresses of photos that a call lends, and of the proofs of ownership of their hosts.
pub(super) fn lent(call: &Call) -> Vec<String> {
    if Place::of(&call.method, &call.path) != Some(Place::Photo) {
        return Vec::new();
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let images = body["source_info"]["photo_images"].as_array().into_iter().flatten();
    let images: Vec<String> = images.filter_map(Value::as_str).map(str::to_owned).take(35).collect();
    let mut all: Vec<String> = images.iter().filter_map(|it| proof(it)).collect();
    all.sort();
    all.dedup();
    all.extend(images);
    all
}

/// Where the proof of ownership of an address's host lies.
fn proof(address: &str) -> Option<String> {
    let mut url = Url::parse(address).ok()?;
    url.set_path(VERIFICATION.0);
    url.set_query(None);
    Some(url.to_string())
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    let error = json!({ "code": code, "message": message, "log_id": "20261121000000000000000000000001" });
    Answer::json(status, &json!({ "data": {}, "error": error }))
}

fn ok(data: &Value) -> Answer {
    let error = json!({ "code": "ok", "message": "", "log_id": "20261121000000000000000000000001" });
    Answer::json(200, &json!({ "data": data, "error": error }))
}

fn invalid(why: &str) -> Answer {
    error(400, "invalid_params", why).because(why)
}

/// The limit that a fault orders.
pub(super) fn too_many() -> Answer {
    error(429, "rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")
}

pub(super) fn broken() -> Answer {
    error(500, "internal_error", "Something went wrong. Please try again later.")
}

impl TikTok {
    pub(super) fn new(seed: u64, origin: String) -> Self {
        let user = |n: u64, username, name| User {
            open_id: format!("-000{:08x}-{n}", seed % 0xffff_ffff),
            username,
            name,
            audiences: &["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
            private: false,
            comment_disabled: false,
            duet_disabled: false,
            stitch_disabled: true,
        };
        let alice = User {
            audiences: &["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
            private: true,
            comment_disabled: true,
            duet_disabled: true,
            ..user(2, "alice", "Alice's Flowers")
        };
        Self {
            origin,
            users: vec![user(1, "acme", "Acme Bakery"), alice],
            grants: oauth::Grants::new(),
            tasks: Bounded::new(500),
            windows: HashMap::new(),
            last: 0,
            chance: Chance::new(seed),
        }
    }

    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let why = format!("no route for {} {} (paths end with a slash)", call.method, call.path);
            return error(404, "unsupported_path", "Unsupported path(Janus)").because(why);
        };
        match place {
            Place::Authorize => self.authorize(call),
            Place::Token => self.token(call),
            Place::Revoke => self.revoke(call),
            Place::Upload => self.upload(call),
            _ => {
                let (Ok(answer) | Err(answer)) = self.api(call, place);
                answer
            }
        }
    }

    fn api(&mut self, call: &Call, place: Place) -> Result<Answer, Answer> {
        let caller = self.holder(call)?;
        let (scopes, limit): (&[&str], _) = match place {
            Place::Creator => (&["video.publish"], Some(("creator", CREATOR_CALLS))),
            Place::Init => (&["video.publish"], Some(("init", INIT_CALLS))),
            Place::Inbox => (&["video.upload"], Some(("inbox", INIT_CALLS))),
            Place::Photo => (&["video.publish", "video.upload"], Some(("photo", INIT_CALLS))),
            Place::Status => (&["video.publish", "video.upload"], Some(("status", STATUS_CALLS))),
            _ => (&["user.info.basic"], None),
        };
        if !scopes.iter().any(|it| caller.has(it)) {
            let why = format!("none of {} was granted", scopes.join(", "));
            return Err(
                error(401, "scope_not_authorized", "The user did not authorize the scope").because(why)
            );
        }
        if let Some((name, most)) = limit {
            let window = self.windows.entry((caller.user, name));
            let window = window.or_insert_with(|| Window::starting(call.now, MINUTE));
            if window.spend(1, most, MINUTE, call.now).exceeded {
                return Err(too_many().because("too many calls in one minute"));
            }
        }
        if place == Place::Info {
            return self.info(call, &caller);
        }
        if !call.query.is_empty() {
            return Err(invalid("these calls have no parameters in the address"));
        }
        let body = json_body(call)?;
        match place {
            Place::Creator => self.creator(call.now, &caller, &body),
            Place::Init => self.init(call.now, &caller, &body, true),
            Place::Inbox => self.init(call.now, &caller, &body, false),
            Place::Photo => self.photo(call, &caller, &body),
            _ => self.status(&caller, &body),
        }
    }

    fn info(&self, call: &Call, caller: &oauth::Caller) -> Result<Answer, Answer> {
        let user = &self.users[caller.user];
        let fields = call.param("fields").unwrap_or_default();
        let mut data = json!({});
        for field in fields.split(',') {
            data[field] = match field {
                "open_id" => json!(user.open_id),
                "union_id" => json!(format!("u{}", user.open_id)),
                "avatar_url" => json!(format!("{}/tiktok", self.origin)),
                "display_name" => json!(user.name),
                "username" | "bio_description" | "is_verified" | "profile_deep_link" => {
                    let why = format!("`{field}` needs `user.info.profile`");
                    return Err(error(401, "scope_not_authorized", &why).because(why));
                }
                _ => return Err(invalid(&format!("`{field}` is no field of a user"))),
            };
        }
        Ok(ok(&json!({ "user": data })))
    }

    /// Everything whose bytes are there, oldest first.
    pub(super) fn published(&self) -> Vec<Published> {
        let shown = |(task, it): (&String, &tasks::Task)| it.published(task, self.users[it.user].username);
        self.tasks.entries().filter_map(shown).collect()
    }

    fn shown(&self, id: &str) -> Option<&tasks::Task> {
        self.tasks.entries().find(|(task, it)| *task == id || it.post == id).map(|(_, it)| it)
    }

    pub(super) fn pictures(&self, id: &str) -> Vec<Picture> {
        let Some(task) = self.shown(id) else { return Vec::new() };
        let picture = |n| Picture {
            src: task.files.get(n).map(|_| format!("/tiktok/media/{id}/{n}")),
            alt: String::new(),
            film: task.is_film(),
        };
        (0..task.files.len().max(1)).map(picture).collect()
    }

    pub(super) fn picture(&self, id: &str, n: &str) -> Option<bytes::Bytes> {
        self.shown(id)?.files.get(n.parse::<usize>().ok()?).cloned()
    }

    /// Where it is, and who may see it.
    pub(super) fn note(&self, id: &str) -> Option<String> {
        self.shown(id).map(tasks::Task::note)
    }
}

/// A JSON object, under its type.
fn json_body(call: &Call) -> Result<Value, Answer> {
    let kind = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let kind: String = kind.chars().filter(|it| !it.is_whitespace()).collect();
    if kind != "application/json;charset=utf-8" {
        return Err(invalid(&format!("content type `{kind}` is not application/json; charset=UTF-8")));
    }
    match serde_json::from_slice(&call.body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(invalid("the body is not a JSON object")),
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Flag,
    /// A whole number from 0, up to this.
    Number(u64),
    Texts,
    Object,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Number(most) => value.as_u64().is_some_and(|it| it <= most),
            Self::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
        }
    }
}

/// Refuses what is not listed, and what is of another type.
fn only(object: &Value, place: &str, known: &[(&str, Kind)]) -> Result<(), Answer> {
    let all = object.as_object().ok_or_else(|| invalid(&format!("`{place}` is not an object")))?;
    for (name, value) in all {
        let Some((_, kind)) = known.iter().find(|it| it.0 == name) else {
            return Err(invalid(&format!("`{name}` is no field of `{place}`")));
        };
        if !kind.fits(value) {
            return Err(invalid(&format!("`{name}` of `{place}` is of another type")));
        }
    }
    Ok(())
}
