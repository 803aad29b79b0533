//! LinkedIn in memory, for the engine's world: posts that can be listed for organizations alone, words that
//! are refused for a while with the name of the first post, comments that may be withheld.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Request};
use serde_json::{Value, json};

use super::{Network, Object, answer};

#[derive(Default)]
pub(crate) struct State {
    /// How long the words of a post are refused again.
    pub(crate) remembers: SignedDuration,
    /// The app may not comment.
    pub(crate) withholds_comments: bool,
    /// What it takes comes to nothing.
    pub(crate) fails: bool,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

pub(super) fn land(
    network: &mut Network,
    owner: &str,
    request: &Request,
    body: &Value,
    now: Timestamp,
) -> Answer {
    *network.linkedin.calls.entry(request.label.to_owned()).or_default() += 1;
    match request.label {
        "linkedin.create" => create(network, owner, body, now),
        "linkedin.comment" if network.linkedin.withholds_comments => answer(
            403,
            &json!({ "status": 403, "code": "ACCESS_DENIED", "serviceErrorCode": 100,
                "message": "Not enough permissions to access: socialActions.CREATE" }),
        ),
        "linkedin.comment" => {
            let text = body["message"]["text"].as_str().unwrap().to_owned();
            let parent = body["object"].as_str().unwrap().to_owned();
            let id = put(network, owner, text, Value::Null, Some(parent), now);
            answer(201, &json!({ "id": "66", "commentUrn": id }))
        }
        "linkedin.list" => list(network, owner, request, now),
        "linkedin.get" => {
            let urn = request.path.rsplit('/').next().unwrap().replace("%3A", ":");
            match network.objects.iter().find(|it| it.id == urn) {
                Some(it) => {
                    let state = if network.linkedin.fails { "PUBLISH_FAILED" } else { "PUBLISHED" };
                    answer(200, &json!({ "id": it.id, "author": it.owner, "lifecycleState": state }))
                }
                None => answer(404, &json!({ "status": 404, "message": "not found" })),
            }
        }
        other => panic!("{other}"),
    }
}

fn create(network: &mut Network, owner: &str, body: &Value, now: Timestamp) -> Answer {
    assert_eq!(body["author"], owner);
    let text = body["commentary"].as_str().unwrap().replace('\\', "");
    let remembers = network.linkedin.remembers;
    let same = |it: &&Object| {
        it.owner == owner && it.parent.is_none() && it.text == text && now < it.created + remembers
    };
    if let Some(first) = network.objects.iter().find(same) {
        let message = format!("Content is a duplicate of {}", first.id);
        return answer(422, &json!({ "status": 422, "message": message }));
    }
    let id = put(network, owner, text, body["content"].clone(), None, now);
    Answer { status: 201, headers: vec![("x-restli-id".into(), id)], body: Vec::new() }
}

fn put(
    network: &mut Network,
    owner: &str,
    text: String,
    content: Value,
    parent: Option<String>,
    now: Timestamp,
) -> String {
    let number = (u64::try_from(now.as_millisecond()).unwrap() << 22) + network.objects.len() as u64;
    let id = match parent {
        Some(_) => format!("urn:li:comment:(urn:li:share:1,{number})"),
        None => format!("urn:li:share:{number}"),
    };
    network.objects.push(Object {
        id: id.clone(),
        owner: owner.to_owned(),
        text,
        body: content,
        parent,
        created: now,
        listed_at: now + network.list_lag,
        origin: network.landing,
        deleted: false,
    });
    id
}

fn list(network: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    assert!(owner.starts_with("urn:li:organization:"), "a member's posts cannot be read");
    let param = |name: &str| request.query.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    let start: usize = param("start").map_or(0, |it| it.parse().unwrap());
    let count: usize = param("count").unwrap().parse().unwrap();
    let rows: Vec<Value> = network
        .objects
        .iter()
        .rev()
        .filter(|it| it.owner == owner && it.parent.is_none() && it.listed_at <= now)
        .skip(start)
        .take(count)
        .map(|it| {
            json!({ "id": it.id, "author": it.owner, "commentary": it.text, "lifecycleState": "PUBLISHED",
                "createdAt": it.created.as_millisecond(), "content": it.body })
        })
        .collect();
    answer(200, &json!({ "elements": rows, "paging": {} }))
}
