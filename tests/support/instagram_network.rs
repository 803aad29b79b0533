//! Instagram in memory, for the engine's world: containers, which tell what became of them or lie about
//! it, the account's lists of posts and of stories, and comments.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Body, Field, Request};
use serde_json::{Value, json};

use super::{Network, Object, answer};

#[derive(Default)]
pub(crate) struct State {
    containers: BTreeMap<String, Container>,
    /// How long a new container is worked on.
    pub(crate) works: SignedDuration,
    /// How long one lives unless it is published. None: a day.
    pub(crate) life: Option<SignedDuration>,
    /// So many of the next containers come to nothing, for a reason that is the network's own.
    pub(crate) flaws: u32,
    /// What is wrong with every container's content: a number of the documents.
    pub(crate) flaw: Option<u32>,
    /// What the objects are, as the list names them.
    kinds: BTreeMap<String, Kind>,
    /// What every container says once its publishing was asked for: until then, and what.
    pub(crate) says: Option<(SignedDuration, &'static str)>,
    /// Now and then a publishing call takes effect and is answered by a refusal that the documents call one.
    pub(crate) lies: bool,
    /// How long after its answer takes effect what was refused and goes out all the same. None: by chance.
    pub(crate) late: Option<SignedDuration>,
    /// Once a container has said that it is published, it says this.
    pub(crate) unsays: Option<&'static str>,
    /// No token is shown what the account has published.
    pub(crate) hides_lists: bool,
    /// Publishing calls that arrived for a container that had published. There may be none.
    pub(crate) doubles: usize,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

/// `media_product_type` and `media_type`.
type Kind = (&'static str, &'static str);

const FEED: Kind = ("FEED", "IMAGE");
const STORY: &str = "STORY";

struct Container {
    owner: String,
    /// None: a part of a carousel.
    kind: Option<Kind>,
    caption: String,
    /// It came to nothing: the number of why.
    failed: Option<u32>,
    made: Timestamp,
    /// When its publishing was first asked for, whether that arrived or not.
    asked: Option<Timestamp>,
    published: bool,
    /// It has said so.
    told: bool,
}

impl State {
    /// Its answer was cut off: nobody knows what the container said.
    pub(crate) fn unheard(&mut self, path: &str) {
        if let Some(it) = self.containers.get_mut(path.trim_start_matches('/')) {
            it.told = false;
        }
    }
}

impl Container {
    fn state(&self, network: &Network, now: Timestamp) -> &'static str {
        let life = network.instagram.life.unwrap_or(SignedDuration::from_hours(24));
        match () {
            () if self.published => "PUBLISHED",
            () if now >= self.made + life => "EXPIRED",
            () if now < self.made + network.instagram.works => "IN_PROGRESS",
            () if self.failed.is_some() => "ERROR",
            () => "FINISHED",
        }
    }
}

/// A publishing call leaves, and may never arrive.
pub(crate) fn leaves(network: &mut Network, body: &Value, now: Timestamp) {
    if let Some(it) = body["creation_id"].as_str().and_then(|id| network.instagram.containers.get_mut(id)) {
        it.asked = it.asked.or(Some(now));
    }
}

pub(super) fn land(
    network: &mut Network,
    owner: &str,
    request: &Request,
    body: &Value,
    now: Timestamp,
) -> Answer {
    *network.instagram.calls.entry(request.label.to_owned()).or_default() += 1;
    let id = request.path.rsplit('/').next().unwrap().to_owned();
    match request.label {
        "instagram.limit" => answer(
            200,
            &json!({ "data": [{ "quota_usage": 0, "config": { "quota_total": 50, "quota_duration": 86_400 } }] }),
        ),
        "instagram.container" | "instagram.child" => {
            let Body::Form(fields) = &request.body else { panic!("a form") };
            let field = |key: &str| {
                fields.iter().find_map(|(name, value)| match value {
                    Field::Text(text) if name == key => Some(text.as_str()),
                    _ => None,
                })
            };
            let has = |key: &str| fields.iter().any(|it| it.0 == key);
            let kind = match field("media_type") {
                _ if field("is_carousel_item") == Some("true") => None,
                None => Some(FEED),
                Some("REELS") => Some(("REELS", "VIDEO")),
                Some("CAROUSEL") => Some(("FEED", "CAROUSEL_ALBUM")),
                Some("STORIES") if field("caption").is_some() => panic!("a story has no words"),
                Some("STORIES") if has("image_url") => Some((STORY, "IMAGE")),
                Some("STORIES") => Some((STORY, "VIDEO")),
                other => panic!("{other:?}"),
            };
            assert_eq!(kind.is_none(), request.label == "instagram.child");
            for child in field("children").unwrap_or_default().split(',').filter(|it| !it.is_empty()) {
                let it = &network.instagram.containers[child];
                assert!(it.kind.is_none() && it.owner == owner, "a part of a carousel is nothing else");
                if it.state(network, now) != "FINISHED" {
                    return unready();
                }
            }
            let flawed = network.instagram.flaws > 0;
            network.instagram.flaws -= u32::from(flawed);
            let id = format!("1785{}", network.instagram.containers.len());
            let container = Container {
                owner: owner.to_owned(),
                kind,
                failed: network.instagram.flaw.or(flawed.then_some(2_207_053)),
                caption: field("caption").unwrap_or_default().to_owned(),
                made: now,
                asked: None,
                published: false,
                told: false,
            };
            network.instagram.containers.insert(id.clone(), container);
            answer(200, &json!({ "id": id }))
        }
        "instagram.status" | "instagram.look" => status(network, &id, now),
        "instagram.publish" => publish(network, owner, body["creation_id"].as_str().unwrap(), now),
        "instagram.get" => match network.objects.iter().find(|it| it.id == id) {
            Some(_) => answer(200, &json!({ "id": id, "permalink": "https://www.instagram.com/p/C1/" })),
            None => missing(),
        },
        "instagram.comment" => {
            let parent = request.path.trim_start_matches('/').split('/').next().unwrap().to_owned();
            let found = network.objects.iter().any(|it| it.id == parent && it.owner == owner);
            assert!(found, "a comment under what is not there: {parent}");
            let object = Object {
                id: format!("181{}", network.objects.len()),
                owner: owner.to_owned(),
                text: body["message"].as_str().unwrap().to_owned(),
                body: Value::Null,
                parent: Some(parent),
                created: now,
                listed_at: now + network.list_lag,
                origin: network.landing,
                deleted: false,
            };
            let id = object.id.clone();
            network.objects.push(object);
            answer(200, &json!({ "id": id }))
        }
        "instagram.comments" => {
            let parent = request.path.trim_start_matches('/').split('/').next().unwrap();
            let under = |it: &&Object| it.parent.as_deref() == Some(parent) && it.listed_at <= now;
            let rows = network.objects.iter().filter(under).map(|it| {
                json!({ "id": it.id, "text": it.text,
                    "timestamp": it.created.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string() })
            });
            answer(200, &json!({ "data": rows.collect::<Vec<_>>() }))
        }
        label if label.starts_with("instagram.list.") && network.instagram.hides_lists => missing(),
        label if label.starts_with("instagram.list.") => list(network, owner, request, now),
        other => panic!("{other}"),
    }
}

/// What is said of a call that had an effect, where the network lies.
pub(super) fn lie(which: u64) -> Answer {
    let error = |code: u32| answer(400, &json!({ "error": { "code": code, "message": "no" } }));
    match which {
        0 => unready(),
        1 => error(32),
        2 => error(4),
        3 => answer(400, &json!({ "error": { "code": 9, "error_subcode": 2_207_042, "message": "limit" } })),
        _ => error(190),
    }
}

fn unready() -> Answer {
    answer(400, &json!({ "error": { "code": 9007, "error_subcode": 2_207_027, "message": "not ready" } }))
}

fn missing() -> Answer {
    answer(400, &json!({ "error": { "code": 100, "error_subcode": 33, "message": "does not exist" } }))
}

fn publish(network: &mut Network, owner: &str, id: &str, now: Timestamp) -> Answer {
    let container = &network.instagram.containers[id];
    assert!(container.owner == owner && container.kind.is_some(), "it is not to be published");
    let gone = |sub: u32| {
        answer(400, &json!({ "error": { "code": 24, "error_subcode": sub, "message": "unknown" } }))
    };
    match container.state(network, now) {
        "IN_PROGRESS" | "ERROR" => return unready(),
        "EXPIRED" => return gone(2_207_008),
        "PUBLISHED" => {
            network.instagram.doubles += 1;
            return gone(2_207_006);
        }
        _ => {}
    }
    let container = network.instagram.containers.get_mut(id).unwrap();
    container.published = true;
    let (text, kind) = (container.caption.clone(), container.kind.unwrap_or(FEED));
    let object = Object {
        id: format!("179{}", network.objects.len()),
        owner: owner.to_owned(),
        text,
        body: Value::Null,
        parent: None,
        created: now,
        listed_at: now + network.list_lag,
        origin: network.landing,
        deleted: false,
    };
    let id = object.id.clone();
    network.instagram.kinds.insert(id.clone(), kind);
    network.objects.push(object);
    answer(200, &json!({ "id": id }))
}

fn status(network: &mut Network, id: &str, now: Timestamp) -> Answer {
    let container = &network.instagram.containers[id];
    let truth = container.state(network, now);
    let said = match (network.instagram.says, container.asked) {
        (Some((span, word)), Some(asked)) if now < asked + span => word,
        _ => truth,
    };
    let said = match network.instagram.unsays {
        Some(word) if container.told => word,
        _ => said,
    };
    if said == "MISSING" {
        return missing();
    }
    let why = container.failed.unwrap_or(2_207_026);
    if said == "PUBLISHED"
        && let Some(it) = network.instagram.containers.get_mut(id)
    {
        it.told = true;
    }
    answer(200, &json!({ "id": id, "status_code": said, "status": format!("{said}: error {why}") }))
}

fn list(network: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    // The list of stories shows those of a day, and takes no time to begin at.
    let stories = request.path.ends_with("/stories");
    let since = request.query.iter().find(|(it, _)| it == "since");
    assert_eq!(since.is_none(), stories);
    let since =
        since.map_or(0, |it| it.1.parse().unwrap()).max(if stories { now.as_second() - 86_400 } else { 0 });
    let is_story = |it: &Object| network.instagram.kinds.get(&it.id).is_some_and(|it| it.0 == STORY);
    let mine = |it: &&Object| {
        it.owner == owner
            && it.parent.is_none()
            && is_story(it) == stories
            && it.listed_at <= now
            && it.created.as_second() >= since
    };
    let rows: Vec<Value> = network
        .objects
        .iter()
        .filter(mine)
        .map(|it| {
            let (product, kind) = network.instagram.kinds.get(&it.id).copied().unwrap_or(FEED);
            json!({ "id": it.id, "caption": it.text, "media_product_type": product, "media_type": kind,
                "permalink": format!("https://www.instagram.com/p/{}/", it.id),
                "timestamp": it.created.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string() })
        })
        .collect();
    answer(200, &json!({ "data": rows }))
}
