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
    /// How long a file is worked on.
    pub(crate) works: SignedDuration,
    files: BTreeMap<String, File>,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

/// A file on its way.
struct File {
    owner: String,
    /// The names of the pieces that have come, by their place.
    pieces: BTreeMap<usize, String>,
    /// How many it takes; a picture comes whole.
    wanted: usize,
    whole: Option<Timestamp>,
}

/// A film is cut like this.
const PIECE: u64 = 4_194_304;

/// Things that any network may say, in its words.
pub(super) fn says(what: &str) -> Answer {
    let (status, code, message) = match what {
        "expired" => (401, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired"),
        "closed" => {
            (403, "ACCESS_DENIED", "Not enough permissions to access: partnerApiPostsExternal.CREATE")
        }
        "invalid" => (400, "FIELD_LENGTH_TOO_LONG", "too long"),
        "limited" => (429, "TOO_MANY_REQUESTS", "Resource level throttle limit is reached."),
        "blocked" => (400, "ILLEGAL_ARGUMENT", "this action is blocked"),
        _ => (500, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
    };
    answer(status, &json!({ "status": status, "code": code, "message": message }))
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
        _ => file(network, owner, request, body, now),
    }
}

/// A step of an upload.
fn file(network: &mut Network, owner: &str, request: &Request, body: &Value, now: Timestamp) -> Answer {
    let works = network.linkedin.works;
    let files = &mut network.linkedin.files;
    let address = |urn: &str, piece: usize| format!("https://www.linkedin.com/dms-uploads/{urn}/{piece}");
    let of_address = || {
        let mut parts = request.path.rsplit('/');
        let piece: usize = parts.next().unwrap().parse().unwrap();
        (parts.next().unwrap().to_owned(), piece)
    };
    match request.label {
        "linkedin.image.start" | "linkedin.video.start" => {
            let about = &body["initializeUploadRequest"];
            assert_eq!(about["owner"], owner);
            let film = request.label == "linkedin.video.start";
            let urn = format!("urn:li:{}:f{}", if film { "video" } else { "image" }, files.len());
            let size = about["fileSizeBytes"].as_u64().unwrap_or(1);
            let wanted = usize::try_from(size.div_ceil(PIECE)).unwrap();
            let row = File { owner: owner.to_owned(), pieces: BTreeMap::new(), wanted, whole: None };
            files.insert(urn.clone(), row);
            let ends = (now + SignedDuration::from_hours(24)).as_millisecond();
            if !film {
                let value =
                    json!({ "uploadUrl": address(&urn, 0), "image": urn, "uploadUrlExpiresAt": ends });
                return answer(200, &json!({ "value": value }));
            }
            let cut = (0..wanted as u64).map(|n| {
                let last = ((n + 1) * PIECE).min(size) - 1;
                let place = address(&urn, usize::try_from(n).unwrap());
                json!({ "uploadUrl": place, "firstByte": n * PIECE, "lastByte": last })
            });
            let value = json!({ "video": urn, "uploadInstructions": cut.collect::<Vec<_>>(), "uploadToken": "",
                "uploadUrlsExpireAt": ends });
            answer(200, &json!({ "value": value }))
        }
        "linkedin.upload" => {
            let row = files.get_mut(&of_address().0).unwrap();
            row.whole.get_or_insert(now);
            answer(201, &Value::Null)
        }
        "linkedin.part" => {
            let (urn, piece) = of_address();
            let tag = format!("tag-{urn}-{piece}");
            files.get_mut(&urn).unwrap().pieces.insert(piece, tag.clone());
            Answer { status: 200, headers: vec![("etag".into(), tag)], body: Vec::new() }
        }
        "linkedin.finish" => {
            let about = &body["finalizeUploadRequest"];
            let row = files.get_mut(about["video"].as_str().unwrap()).unwrap();
            let named: Vec<_> = about["uploadedPartIds"].as_array().unwrap().iter().collect();
            let there: Vec<_> = row.pieces.values().collect();
            assert!(named.len() == row.wanted && named == there, "each piece once, in order: {named:?}");
            row.whole.get_or_insert(now);
            answer(200, &Value::Null)
        }
        "linkedin.status" => {
            assert!(owner.starts_with("urn:li:organization:"), "not every app may ask");
            let urn = request.path.rsplit('/').next().unwrap().replace("%3A", ":");
            let ready = files[&urn].whole.is_some_and(|at| now >= at + works);
            let status = if ready { "AVAILABLE" } else { "PROCESSING" };
            answer(200, &json!({ "id": urn, "status": status }))
        }
        other => panic!("{other}"),
    }
}

fn create(network: &mut Network, owner: &str, body: &Value, now: Timestamp) -> Answer {
    assert_eq!(body["author"], owner);
    let text = body["commentary"].as_str().unwrap().replace('\\', "");
    let content = &body["content"];
    let several = content["multiImage"]["images"].as_array().into_iter().flatten();
    for named in several.map(|it| &it["id"]).chain([&content["media"]["id"]]).filter_map(Value::as_str) {
        let file = network.linkedin.files.get(named).filter(|it| it.owner == owner);
        if file.is_none_or(|it| it.whole.is_none_or(|at| now < at + network.linkedin.works)) {
            return answer(
                400,
                &json!({ "status": 400, "code": "MEDIA_ASSET_PROCESSING", "message": "wait" }),
            );
        }
    }
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
