//! The far side of the stand-ins: networks of the classes B, C, D and F, as strict as a server is.
//! A label nobody knows is a panic, never a silent success.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Body, Request};
use serde_json::{Value, json};

use super::{Network, Object, answer};

/// What a seed decides about a network beyond its class.
#[derive(Debug, Clone)]
pub(crate) struct Abilities {
    /// B: how long a key is remembered.
    pub(crate) key_life: SignedDuration,
    /// B: the key is written this long after the effect (older servers).
    pub(crate) key_lag: SignedDuration,
    /// C: a container publishes once, however often it is asked.
    pub(crate) once: bool,
    /// C: publishing leaves it in a person's inbox.
    pub(crate) inbox: bool,
    /// C: the container's state does not tell the id of what it became.
    pub(crate) hides_id: bool,
    /// C: how long a container can be published.
    pub(crate) handle_life: SignedDuration,
    /// C: how long the network works on a container before it can be published.
    pub(crate) processing: SignedDuration,
    /// D: how long a repeat is recognized.
    pub(crate) window: SignedDuration,
    keys: BTreeMap<(String, String), Key>,
    containers: BTreeMap<String, Container>,
    uploads: u64,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            key_life: SignedDuration::from_hours(1),
            key_lag: SignedDuration::ZERO,
            once: true,
            inbox: false,
            hides_id: false,
            handle_life: SignedDuration::from_hours(24),
            processing: SignedDuration::ZERO,
            window: SignedDuration::from_hours(24),
            keys: BTreeMap::new(),
            containers: BTreeMap::new(),
            uploads: 0,
        }
    }
}

/// What the server knows of an idempotency key.
#[derive(Debug, Clone)]
struct Key {
    id: String,
    made: Timestamp,
}

#[derive(Debug, Clone)]
struct Container {
    owner: String,
    text: String,
    parent: Option<String>,
    ready: Timestamp,
    ends: Timestamp,
    became: Option<String>,
}

pub(super) fn land(
    net: &mut Network,
    owner: &str,
    request: &Request,
    body: &Value,
    now: Timestamp,
) -> Answer {
    match request.label {
        "b.upload" => {
            assert!(matches!(request.body, Body::File { .. }));
            net.abilities.uploads += 1;
            answer(200, &json!({ "id": format!("m{}", net.abilities.uploads) }))
        }
        "b.create" => keyed(net, owner, request, body, now),
        "f.create" => {
            let id = make(net, owner, body, now);
            answer(200, &json!({ "id": id }))
        }
        "d.create" => referenced(net, owner, body, now),
        "b.list" | "f.list" => list(net, owner, request, now),
        "b.get" | "c.get" | "d.get" | "f.get" => {
            let id = request.path.rsplit('/').next().unwrap();
            match net.objects.iter().find(|it| it.id == id && it.owner == owner && !it.deleted) {
                Some(it) => answer(200, &json!({ "id": it.id, "text": it.text })),
                None => answer(404, &json!({ "code": "not_found" })),
            }
        }
        "c.container" => container(net, owner, body, now),
        "c.status" => status(net, owner, request, now),
        "c.publish" => publish(net, owner, body, now),
        other => panic!("the network knows no `{other}`"),
    }
}

fn text_of(body: &Value) -> (String, Option<String>) {
    (body["text"].as_str().unwrap().to_owned(), body["parent"].as_str().map(str::to_owned))
}

fn make(net: &mut Network, owner: &str, body: &Value, now: Timestamp) -> String {
    let (text, parent) = text_of(body);
    if let Some(parent) = &parent {
        assert!(net.objects.iter().any(|it| it.id == *parent), "a reply to nothing");
    }
    let id = format!("o{}", net.objects.len() + 1);
    net.objects.push(Object {
        id: id.clone(),
        owner: owner.to_owned(),
        text,
        body: Value::Null,
        parent,
        created: now,
        listed_at: now + net.list_lag,
        origin: net.landing,
        deleted: false,
    });
    id
}

/// B: the same key gives the first object, once the key is written and as long as it is kept.
fn keyed(net: &mut Network, owner: &str, request: &Request, body: &Value, now: Timestamp) -> Answer {
    let key = &request.query.iter().find(|it| it.0 == "idempotency_key").unwrap().1;
    let slot = (owner.to_owned(), key.clone());
    let (lag, life) = (net.abilities.key_lag, net.abilities.key_life);
    if let Some(known) = net.abilities.keys.get(&slot)
        && now >= known.made + lag
        && now < known.made + life
    {
        return answer(200, &json!({ "id": known.id }));
    }
    let id = make(net, owner, body, now);
    net.abilities.keys.insert(slot, Key { id: id.clone(), made: now });
    answer(200, &json!({ "id": id }))
}

/// D: a repeat is refused and told of what; deleted posts are still remembered.
fn referenced(net: &mut Network, owner: &str, body: &Value, now: Timestamp) -> Answer {
    let (text, parent) = text_of(body);
    let window = net.abilities.window;
    let twin =
        net.objects.iter().rev().find(|it| {
            it.owner == owner && it.text == text && it.parent == parent && now < it.created + window
        });
    if let Some(twin) = twin {
        let body = json!({ "code": "duplicate", "of": twin.id, "created": twin.created.to_string() });
        return answer(422, &body);
    }
    let id = make(net, owner, body, now);
    answer(201, &json!({ "id": id }))
}

fn list(net: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    let from: Timestamp = request.query.iter().find(|it| it.0 == "since").unwrap().1.parse().unwrap();
    let items: Vec<_> = net
        .objects
        .iter()
        .filter(|it| it.owner == owner && !it.deleted && it.listed_at <= now && it.created >= from)
        .map(|it| {
            json!({ "id": it.id, "text": it.text, "parent": it.parent, "created": it.created.to_string() })
        })
        .collect();
    answer(200, &json!({ "items": items }))
}

fn container(net: &mut Network, owner: &str, body: &Value, now: Timestamp) -> Answer {
    let (text, parent) = text_of(body);
    let id = format!("c{}", net.abilities.containers.len() + 1);
    let (ready, ends) = (now + net.abilities.processing, now + net.abilities.handle_life);
    let owner = owner.to_owned();
    net.abilities.containers.insert(id.clone(), Container { owner, text, parent, ready, ends, became: None });
    answer(200, &json!({ "container": id, "ends": ends.to_string() }))
}

fn status(net: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    let id = request.path.rsplit('/').next().unwrap();
    let Some(it) = net.abilities.containers.get(id).filter(|it| it.owner == owner) else {
        return answer(404, &json!({ "code": "no_such_container" }));
    };
    let word = match &it.became {
        Some(_) if net.abilities.inbox => "INBOX",
        Some(_) => "PUBLISHED",
        None if now >= it.ends => "EXPIRED",
        None if now < it.ready => "IN_PROGRESS",
        None => "FINISHED",
    };
    let shown = it.became.as_ref().filter(|_| !net.abilities.hides_id);
    answer(200, &json!({ "status": word, "id": shown }))
}

fn publish(net: &mut Network, owner: &str, body: &Value, now: Timestamp) -> Answer {
    let id = body["container"].as_str().unwrap();
    let Some(it) = net.abilities.containers.get(id).filter(|it| it.owner == owner).cloned() else {
        return answer(404, &json!({ "code": "no_such_container" }));
    };
    if it.became.is_some() && net.abilities.once {
        return answer(400, &json!({ "code": "already_published" }));
    }
    if now >= it.ends {
        return answer(400, &json!({ "code": "container_expired" }));
    }
    if now < it.ready {
        return answer(400, &json!({ "code": "not_ready" }));
    }
    let made = make(net, owner, &json!({ "text": it.text, "parent": it.parent }), now);
    net.abilities.containers.get_mut(id).unwrap().became = Some(made.clone());
    if net.abilities.inbox {
        return answer(200, &json!({ "inbox": made }));
    }
    answer(200, &json!({ "id": made }))
}
