//! Instagram in memory, for the engine's world: containers, which tell what became of them or lie about
//! it, and the account's list.

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
    /// What every container says once its publishing was asked for: until then, and what.
    pub(crate) says: Option<(SignedDuration, &'static str)>,
    /// Publishing calls that arrived for a container that had published. There may be none.
    pub(crate) doubles: usize,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

struct Container {
    owner: String,
    caption: String,
    made: Timestamp,
    /// When its publishing was first asked for, whether that arrived or not.
    asked: Option<Timestamp>,
    published: bool,
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
        "instagram.container" => {
            let Body::Form(fields) = &request.body else { panic!("a form") };
            let caption = fields.iter().find_map(|(name, value)| match value {
                Field::Text(text) if name == "caption" => Some(text.clone()),
                _ => None,
            });
            let id = format!("1785{}", network.instagram.containers.len());
            let container = Container {
                owner: owner.to_owned(),
                caption: caption.unwrap_or_default(),
                made: now,
                asked: None,
                published: false,
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
        label if label.starts_with("instagram.list.") => list(network, owner, request, now),
        other => panic!("{other}"),
    }
}

fn missing() -> Answer {
    answer(400, &json!({ "error": { "code": 100, "error_subcode": 33, "message": "does not exist" } }))
}

fn publish(network: &mut Network, owner: &str, id: &str, now: Timestamp) -> Answer {
    let works = network.instagram.works;
    let container = network.instagram.containers.get_mut(id).unwrap();
    assert_eq!(container.owner, owner);
    if now < container.made + works {
        return answer(
            400,
            &json!({ "error": { "code": 9007, "error_subcode": 2_207_027, "message": "not ready" } }),
        );
    }
    if std::mem::replace(&mut container.published, true) {
        network.instagram.doubles += 1;
        return answer(
            400,
            &json!({ "error": { "code": 24, "error_subcode": 2_207_006, "message": "unknown" } }),
        );
    }
    let text = container.caption.clone();
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
    network.objects.push(object);
    answer(200, &json!({ "id": id }))
}

fn status(network: &Network, id: &str, now: Timestamp) -> Answer {
    let container = &network.instagram.containers[id];
    let truth = match () {
        () if container.published => "PUBLISHED",
        () if now < container.made + network.instagram.works => "IN_PROGRESS",
        () => "FINISHED",
    };
    let said = match (network.instagram.says, container.asked) {
        (Some((span, word)), Some(asked)) if now < asked + span => word,
        _ => truth,
    };
    if said == "MISSING" {
        return missing();
    }
    answer(200, &json!({ "id": id, "status_code": said, "status": format!("{said}: error 2207026") }))
}

fn list(network: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    let since: i64 = request.query.iter().find(|(it, _)| it == "since").unwrap().1.parse().unwrap();
    let mine = |it: &&Object| it.owner == owner && it.listed_at <= now && it.created.as_second() >= since;
    let rows: Vec<Value> = network
        .objects
        .iter()
        .filter(mine)
        .map(|it| {
            json!({ "id": it.id, "caption": it.text, "media_product_type": "FEED", "media_type": "IMAGE",
                "permalink": format!("https://www.instagram.com/p/{}/", it.id),
                "timestamp": it.created.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string() })
        })
        .collect();
    answer(200, &json!({ "data": rows }))
}
