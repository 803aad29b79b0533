//! Networks in memory. Here are the two as far apart as they come: one where the client names the
//! object (A) and one that only lists what the account has (E). They answer as their documents say.
//! The classes between them are in `standin_server.rs`.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::ids::{DeliveryId, PlatformName};
use sendoff::platforms::{Answer, Body, Request};
use serde_json::{Value, json};

use super::Rng;

#[path = "facebook_network.rs"]
mod facebook_network;
#[path = "instagram_network.rs"]
pub(crate) mod instagram_network;
#[path = "linkedin_network.rs"]
pub(crate) mod linkedin_network;
#[path = "standin_server.rs"]
mod standin_server;
#[path = "tiktok_network.rs"]
pub(crate) mod tiktok_network;
#[path = "x_network.rs"]
pub(crate) mod x_network;
pub(crate) use standin_server::Abilities;

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// No byte left.
    NotSent,
    /// Bytes left, nothing came of it.
    LostBefore,
    /// No answer; it takes effect now or within five minutes.
    LostAfter,
    /// An error that looks final, and yet it takes effect.
    Misleading(Answer),
    /// Refused at the door: no effect.
    Refused(Answer),
    /// It took effect; the answer is cut short.
    Cut,
}

/// A public object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) text: String,
    body: Value,
    parent: Option<String>,
    pub(crate) created: Timestamp,
    listed_at: Timestamp,
    /// The step whose request made it. None: another hand.
    pub(crate) origin: Option<(DeliveryId, u16)>,
    /// Deleted on the network; class D still names it.
    deleted: bool,
}

impl Object {
    /// What a connector keeps of it besides its id.
    pub(crate) fn extra(&self) -> BTreeMap<String, String> {
        let cid = self.body.is_object().then(|| ("cid".to_owned(), cid(&self.body)));
        cid.into_iter().collect()
    }
}

pub(crate) struct Network {
    pub(crate) platform: PlatformName,
    /// It speaks as the real one does where a plain stand-in borrows its name.
    pub(crate) own: bool,
    pub(crate) objects: Vec<Object>,
    /// Percent of calls that go wrong.
    pub(crate) trouble: u64,
    /// Faults there are left; the network is well after that.
    pub(crate) patience: u64,
    /// How long a new post is missing from the list.
    pub(crate) list_lag: SignedDuration,
    /// A repeat of the same text is refused.
    pub(crate) refuses_repeats: bool,
    /// Answers given to every publishing call, ahead of faults. For plain tests.
    pub(crate) script: Vec<Fault>,
    /// The same for the calls that publish nothing.
    pub(crate) reads: Vec<Fault>,
    /// Headers of every answer to a publishing call.
    pub(crate) headers: Vec<(String, String)>,
    /// Whose request lands.
    pub(crate) landing: Option<(DeliveryId, u16)>,
    /// What the classes B, C, D and F add.
    pub(crate) abilities: Abilities,
    /// What Facebook has besides.
    pub(crate) facebook: facebook_network::State,
    /// What Instagram has besides.
    pub(crate) instagram: instagram_network::State,
    /// What LinkedIn has besides.
    pub(crate) linkedin: linkedin_network::State,
    /// What the real TikTok has besides. (Class C's made-up network borrows its name, and its labels begin
    /// otherwise.)
    pub(crate) tiktok: tiktok_network::State,
    /// What X has besides.
    pub(crate) x: x_network::State,
    clock: Timestamp,
    refreshes: u64,
}

pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

/// The header with a server's time.
pub(crate) fn date(now: Timestamp) -> (String, String) {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
    ("date".to_owned(), text)
}

impl Network {
    pub(crate) fn new(platform: PlatformName) -> Self {
        Self {
            platform,
            own: false,
            objects: Vec::new(),
            trouble: 0,
            patience: 0,
            list_lag: SignedDuration::ZERO,
            refuses_repeats: true,
            script: Vec::new(),
            reads: Vec::new(),
            headers: Vec::new(),
            landing: None,
            abilities: Abilities::default(),
            facebook: facebook_network::State::default(),
            instagram: instagram_network::State::default(),
            linkedin: linkedin_network::State::default(),
            tiktok: tiktok_network::State::default(),
            x: x_network::State::default(),
            clock: super::start(),
            refreshes: 0,
        }
    }

    pub(crate) fn refresh(&mut self) {
        self.refreshes += 1;
    }

    /// How often a token was refreshed.
    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes
    }

    pub(crate) fn fault(&mut self, rng: &mut Rng, publishing: bool) -> Fault {
        let script = if publishing { &mut self.script } else { &mut self.reads };
        if !script.is_empty() {
            return script.remove(0);
        }
        if self.patience == 0 || !rng.chance(self.trouble) {
            return Fault::None;
        }
        self.patience -= 1;
        if publishing && self.instagram.lies && rng.chance(20) {
            return Fault::Misleading(instagram_network::lie(rng.below(5)));
        }
        let x = self.platform == PlatformName::X;
        match rng.below(if publishing { 8 } else { 5 }) {
            0 => Fault::NotSent,
            1 => Fault::LostBefore,
            2 => Fault::Refused(answer(503, &json!({ "title": "Service Unavailable", "error": "Upstream" }))),
            3 => Fault::Refused(self.limited(rng)),
            4 if x => Fault::Refused(answer(
                401,
                &json!({ "title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized" }),
            )),
            4 => Fault::Refused(answer(401, &json!({ "error": "invalid_token", "message": "expired" }))),
            5 => Fault::LostAfter,
            6 if rng.chance(50) => Fault::Misleading(answer(500, &json!({ "error": "InternalServerError" }))),
            6 => Fault::Misleading(answer(
                if x { 403 } else { 400 },
                &json!({ "error": "ActionBlocked", "title": "Forbidden", "detail": "this action is blocked" }),
            )),
            _ => Fault::Cut,
        }
    }

    fn limited(&self, rng: &mut Rng) -> Answer {
        let reset = self.clock.as_second() + 60 + i64::try_from(rng.below(900)).unwrap();
        let (names, body) = if self.platform == PlatformName::X {
            (["x-rate-limit-remaining", "x-rate-limit-reset"], json!({ "title": "Too Many Requests" }))
        } else {
            (["ratelimit-remaining", "ratelimit-reset"], json!({ "error": "RateLimitExceeded" }))
        };
        let headers = vec![(names[0].to_owned(), "0".to_owned()), (names[1].to_owned(), reset.to_string())];
        Answer { status: 429, headers, body: body.to_string().into_bytes() }
    }

    /// A request arrives and is carried out.
    pub(crate) fn land(&mut self, owner: &str, request: &Request, now: Timestamp) -> Answer {
        self.clock = self.clock.max(now);
        let body = match &request.body {
            Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
            _ => Value::Null,
        };
        match request.label {
            "x.create" => self.create(owner, &body, now),
            "x.timeline" => self.timeline(owner, request, now),
            "x.get" => {
                let id = request.path.rsplit('/').next().unwrap();
                match self.objects.iter().find(|it| it.id == id) {
                    Some(it) => answer(200, &json!({ "data": { "id": it.id, "text": it.text } })),
                    None => answer(404, &json!({ "title": "Not Found Error" })),
                }
            }
            "bluesky.put" => self.put(owner, &body, now),
            "bluesky.get" => {
                let rkey = &request.query[2].1;
                match self.objects.iter().find(|it| it.id.ends_with(rkey) && it.owner == owner) {
                    Some(it) => answer(200, &json!({ "uri": it.id, "cid": cid(&it.body), "value": it.body })),
                    None => answer(400, &json!({ "error": "RecordNotFound", "message": "no such record" })),
                }
            }
            "bluesky.list" => {
                let records: Vec<_> = self
                    .objects
                    .iter()
                    .rev()
                    .filter(|it| it.owner == owner && !it.deleted)
                    .map(|it| json!({ "uri": it.id, "cid": cid(&it.body), "value": it.body }))
                    .collect();
                answer(200, &json!({ "records": records }))
            }
            "bluesky.upload" => answer(
                200,
                &json!({ "blob": { "$type": "blob", "ref": { "$link": "bafkrei1" }, "mimeType": "image/png", "size": 10 } }),
            ),
            label if label.starts_with("facebook.") => {
                facebook_network::land(self, owner, request, &body, now)
            }
            label if label.starts_with("instagram.") => {
                instagram_network::land(self, owner, request, &body, now)
            }
            label if label.starts_with("linkedin.") => {
                linkedin_network::land(self, owner, request, &body, now)
            }
            label if label.starts_with("x.") => x_network::land(self, owner, request, &body, now),
            label if label.starts_with("tiktok.") => tiktok_network::land(self, owner, request, now),
            _ => standin_server::land(self, owner, request, &body, now),
        }
    }

    fn create(&mut self, owner: &str, body: &Value, now: Timestamp) -> Answer {
        let text = body["text"].as_str().unwrap().to_owned();
        let parent = body["reply"]["in_reply_to_tweet_id"].as_str().map(str::to_owned);
        let files: Vec<String> = body["media"]["media_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect();
        if !self.x.takes(owner, &files, now) {
            self.x.stale += 1;
            return x_network::stale();
        }
        let mut mine = self.objects.iter().filter(|it| it.owner == owner);
        if self.refuses_repeats && mine.any(|it| it.text == text && it.parent == parent) {
            let detail = "You are not allowed to create a Tweet with duplicate content.";
            return answer(403, &json!({ "title": "Forbidden", "type": "about:blank", "detail": detail }));
        }
        let id = (1_900_000_000_000_000_000_u64 + self.objects.len() as u64).to_string();
        let listed_at = now + self.list_lag;
        self.x.attached.insert(id.clone(), files);
        self.objects.push(Object {
            id: id.clone(),
            owner: owner.to_owned(),
            text: text.clone(),
            body: Value::Null,
            parent,
            created: now,
            listed_at,
            origin: self.landing,
            deleted: false,
        });
        answer(201, &json!({ "data": { "id": id, "text": text } }))
    }

    /// As X lists: HTML-escaped, links shortened, whole seconds and milliseconds in its own clock.
    fn timeline(&self, owner: &str, request: &Request, now: Timestamp) -> Answer {
        let from: Timestamp =
            request.query.iter().find(|(it, _)| it == "start_time").unwrap().1.parse().unwrap();
        let posts: Vec<_> = self
            .objects
            .iter()
            .filter(|it| it.owner == owner && !it.deleted && it.listed_at <= now && it.created >= from)
            .map(|it| {
                let mut shown = it.text.replace('&', "&amp;");
                let mut urls = Vec::new();
                if let Some((text, link)) = it.text.split_once("example.com") {
                    shown = format!("{}https://t.co/AAAAAAAAAA", text.replace('&', "&amp;"));
                    let long = format!("http://example.com{link}");
                    urls.push(json!({ "url": "https://t.co/AAAAAAAAAA", "expanded_url": long }));
                }
                let files = self.x.attached.get(&it.id).filter(|it| !it.is_empty());
                if files.is_some() {
                    shown = format!("{shown} https://t.co/MMMMMMMMMM");
                    let long = format!("https://x.com/acme/status/{}/photo/1", it.id);
                    urls.push(json!({ "url": "https://t.co/MMMMMMMMMM", "expanded_url": long }));
                }
                let mut post = json!({
                    "id": it.id, "text": shown, "created_at": it.created.to_string(),
                    "entities": { "urls": urls },
                });
                if let Some(files) = files {
                    let keys: Vec<_> = files.iter().map(|it| self.x.key(it)).collect();
                    post["attachments"] = json!({ "media_keys": keys });
                }
                if let Some(parent) = &it.parent {
                    post["referenced_tweets"] = json!([{ "type": "replied_to", "id": parent }]);
                }
                post
            })
            .collect();
        let mut meta = json!({ "result_count": posts.len() });
        if self.x.endless {
            meta["next_token"] = json!("7140dibdnow9c7btw481s8m561gat797rboud5r80xvzm");
        }
        if posts.is_empty() {
            return answer(200, &json!({ "meta": meta }));
        }
        answer(200, &json!({ "meta": meta, "data": posts }))
    }

    fn put(&mut self, owner: &str, body: &Value, now: Timestamp) -> Answer {
        assert!(body["swapRecord"].is_null() && body.get("swapRecord").is_some() && body["repo"] == owner);
        let uri = format!("at://{owner}/app.bsky.feed.post/{}", body["rkey"].as_str().unwrap());
        let record = &body["record"];
        if let Some(there) = self.objects.iter().find(|it| it.id == uri) {
            if there.body != *record {
                let message = format!("Record was at {}", cid(&there.body));
                return answer(400, &json!({ "error": "InvalidSwap", "message": message }));
            }
        } else {
            self.objects.push(Object {
                id: uri.clone(),
                owner: owner.to_owned(),
                text: record["text"].as_str().unwrap().to_owned(),
                body: record.clone(),
                parent: None,
                created: now,
                listed_at: now,
                origin: self.landing,
                deleted: false,
            });
        }
        answer(200, &json!({ "uri": uri, "cid": cid(record), "validationStatus": "valid" }))
    }
}

/// All that can go wrong, for the simulation: also refusals for good, accounts that are closed, and
/// limits that name no end.
impl Network {
    pub(crate) fn any_fault(&mut self, rng: &mut Rng, publishing: bool, label: &str) -> Fault {
        if publishing && !self.script.is_empty() {
            return self.script.remove(0);
        }
        let fault = self.any_fault_of_all(rng, publishing);
        let lies = self.instagram.lies && label == "instagram.publish";
        match fault {
            Fault::LostAfter | Fault::Misleading(_) if lies && rng.chance(70) => {
                Fault::Misleading(instagram_network::lie(rng.below(5)))
            }
            // Where pieces go there is no account, and nothing of an API in the answers.
            Fault::Refused(_) if matches!(label, "tiktok.chunk" | "tiktok.last") => {
                Fault::Refused(answer(503, &Value::Null))
            }
            Fault::Misleading(_) if label == "tiktok.last" => Fault::Misleading(answer(500, &Value::Null)),
            other => other,
        }
    }

    fn any_fault_of_all(&mut self, rng: &mut Rng, publishing: bool) -> Fault {
        if self.patience == 0 || !rng.chance(self.trouble) {
            return Fault::None;
        }
        self.patience -= 1;
        match rng.below(if publishing { 24 } else { 10 }) {
            0 => Fault::NotSent,
            1 | 2 => Fault::LostBefore,
            3 | 4 => Fault::Refused(self.says("unavailable")),
            5 => Fault::Refused(self.limited_somehow(rng)),
            6 | 7 => Fault::Refused(self.says("expired")),
            10 => Fault::Refused(self.says("closed")),
            // By then Instagram has judged the content: its container says so, not this call.
            11 if self.platform == PlatformName::Instagram => Fault::Refused(self.says("unavailable")),
            11 => Fault::Refused(self.says("invalid")),
            12..=16 => Fault::LostAfter,
            17 | 18 => Fault::Misleading(self.says("unavailable")),
            19..=21 => Fault::Misleading(self.says("blocked")),
            _ => Fault::Cut,
        }
    }

    /// Refused for the rate of calls, in the network's own way.
    pub(crate) fn limited_somehow(&self, rng: &mut Rng) -> Answer {
        let mut limited = self.limited(rng);
        match self.platform {
            // It has no such status, and says in another header when it is over, if at all.
            PlatformName::Facebook | PlatformName::Instagram => return self.says("limited"),
            PlatformName::TikTok | PlatformName::LinkedIn if self.own => return self.says("limited"),
            PlatformName::X | PlatformName::Bluesky => {}
            _ => limited.body = json!({ "code": "rate_limited" }).to_string().into_bytes(),
        }
        if rng.chance(40) {
            limited.headers.clear();
        }
        limited
    }

    /// The same thing in the words of each network.
    fn says(&self, what: &str) -> Answer {
        let x = |status, title: &str, kind: &str, detail: &str| {
            answer(status, &json!({ "title": title, "type": kind, "status": status, "detail": detail }))
        };
        let graph = |status, code: i64| {
            answer(status, &json!({ "error": { "code": code, "type": "OAuthException", "message": what } }))
        };
        match (self.platform, what) {
            (PlatformName::X, "expired") => x(401, "Unauthorized", "about:blank", "Unauthorized"),
            (PlatformName::X, "closed") => {
                x(403, "Forbidden", "about:blank", "You are not permitted to perform this action.")
            }
            (PlatformName::X, "invalid") => {
                x(400, "Invalid Request", "https://api.x.com/2/problems/invalid-request", "no")
            }
            (PlatformName::X, "blocked") => x(403, "Forbidden", "about:blank", "this action is blocked"),
            (PlatformName::X, _) => x(503, "Service Unavailable", "about:blank", "Upstream"),
            (PlatformName::Bluesky, "expired") => answer(401, &json!({ "error": "invalid_token" })),
            (PlatformName::Bluesky, "closed") => answer(401, &json!({ "error": "AccountDeactivated" })),
            (PlatformName::Bluesky, "invalid") => answer(400, &json!({ "error": "InvalidRequest" })),
            (PlatformName::Bluesky, "blocked") => answer(400, &json!({ "error": "ActionBlocked" })),
            (PlatformName::Bluesky, _) => answer(500, &json!({ "error": "InternalServerError" })),
            (PlatformName::Facebook | PlatformName::Instagram, "expired") => graph(400, 190),
            (PlatformName::Facebook, "closed") => graph(403, 10),
            (PlatformName::Instagram, "closed") => graph(400, 10),
            (PlatformName::Facebook | PlatformName::Instagram, "invalid") => graph(400, 100),
            (PlatformName::Facebook | PlatformName::Instagram, "limited") => graph(400, 32),
            (PlatformName::Instagram, "blocked") => {
                answer(400, &json!({ "error": { "code": 4, "error_subcode": 2_207_051, "message": what } }))
            }
            // Seen behind a post that was live.
            (PlatformName::Facebook, "blocked") => graph(400, 1_404_102),
            (PlatformName::Facebook | PlatformName::Instagram, _) => graph(500, 2),
            (PlatformName::TikTok, what) if self.own => tiktok_network::says(what),
            (PlatformName::LinkedIn, what) if self.own => linkedin_network::says(what),
            (_, "expired") => answer(401, &json!({ "code": "token_expired" })),
            (_, "closed") => answer(403, &json!({ "code": "account_closed" })),
            (_, "invalid") => answer(400, &json!({ "code": "invalid_content" })),
            (_, "blocked") => answer(400, &json!({ "code": "action_blocked" })),
            (_, _) => answer(500, &json!({ "code": "internal" })),
        }
    }

    /// Whether an answer refuses what was sent for good.
    pub(crate) fn refuses_for_good(&self, answer: &Answer) -> bool {
        *answer == self.says("invalid")
    }

    /// Whether an answer says that the account cannot act.
    pub(crate) fn blames_the_account(&self, answer: &Answer) -> bool {
        *answer == self.says("closed") || *answer == self.says("expired")
    }

    /// Whether an answer says that the account is blocked for a while, which may be true.
    pub(crate) fn blocks_the_account(&self, answer: &Answer) -> bool {
        self.platform == PlatformName::Instagram && *answer == self.says("blocked")
    }

    /// Whether an answer is a refusal in the words of Instagram's documents, which its container can confirm.
    pub(crate) fn denies(&self, answer: &Answer) -> bool {
        let code = answer.json()["error"]["code"].as_u64().unwrap_or_default();
        let listed = [4, 9, 10, 17, 25, 32, 102, 190, 200, 613, 9007, 80002].contains(&code);
        let theirs = self.platform == PlatformName::Instagram && answer.status == 400;
        theirs && listed && !self.blocks_the_account(answer)
    }

    /// Whether an answer is that of a limit, and when it ends if it says so.
    #[allow(clippy::option_option)] // no limit, one without an end, one with
    pub(crate) fn limit_of(&self, answer: &Answer) -> Option<Option<Timestamp>> {
        let limited = answer.status == 429 || (self.is_of_meta() && *answer == self.says("limited"));
        let reset = answer
            .headers
            .iter()
            .find(|it| it.0.ends_with("ratelimit-reset") || it.0.ends_with("rate-limit-reset"));
        let reset = reset.and_then(|it| Timestamp::from_second(it.1.parse().ok()?).ok());
        limited.then_some(reset)
    }

    /// Whether it is one of Meta's networks, which share their errors' words.
    pub(crate) fn is_of_meta(&self) -> bool {
        matches!(self.platform, PlatformName::Facebook | PlatformName::Instagram)
    }

    /// The answer to a token that has ended.
    pub(crate) fn expired(&self) -> Answer {
        self.says("expired")
    }

    /// A post that another hand makes, in the network's own shape.
    pub(crate) fn by_hand(&mut self, owner: &str, text: &str, now: Timestamp) {
        let id = match self.platform {
            PlatformName::X => (1_700_000_000_000_000_000_u64 + self.objects.len() as u64).to_string(),
            PlatformName::Bluesky => {
                format!("at://{owner}/app.bsky.feed.post/3kzzzzzzzz{:03}", self.objects.len())
            }
            PlatformName::Facebook => format!("{owner}_{}", 9_000 + self.objects.len()),
            PlatformName::Instagram => format!("1780{}", self.objects.len()),
            _ => format!("hand{}", self.objects.len()),
        };
        self.objects.push(Object {
            id,
            owner: owner.to_owned(),
            text: text.to_owned(),
            body: json!({ "text": text, "createdAt": now.to_string() }),
            parent: None,
            created: now,
            listed_at: now + self.list_lag,
            origin: None,
            deleted: false,
        });
    }

    /// The newest post of another hand is deleted; class D goes on naming it.
    pub(crate) fn hand_deletes(&mut self, owner: &str) {
        if let Some(it) = self.objects.iter_mut().rev().find(|it| it.owner == owner && it.origin.is_none()) {
            it.deleted = true;
        }
    }
}

fn cid(record: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    record.to_string().hash(&mut hasher);
    format!("bafyrei{:016x}", hasher.finish())
}
