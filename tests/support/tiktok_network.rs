//! TikTok in memory, for the engine's world: tasks that are begun, filled piece by piece, worked on and
//! published, and the one call that publishes photos.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Body, Request};
use serde_json::{Value, json};

use super::{Network, Object, answer};

#[derive(Default)]
pub(crate) struct State {
    tasks: BTreeMap<String, Task>,
    /// How long a complete task is worked on.
    pub(crate) works: SignedDuration,
    /// What every complete task ends with, instead of a post.
    pub(crate) fails: Option<&'static str>,
    /// The audience that the account offers.
    pub(crate) audience: Option<&'static str>,
    /// Until when the inbox takes nothing more.
    pub(crate) full_until: Option<Timestamp>,
    /// A permission that the person took back.
    pub(crate) lacks: Option<&'static str>,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

struct Task {
    owner: String,
    text: String,
    address: String,
    direct: bool,
    photo: bool,
    size: u64,
    got: u64,
    made: Timestamp,
    complete: Option<Timestamp>,
    failed: Option<&'static str>,
    /// The object it became.
    id: String,
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, &json!({ "data": {}, "error": { "code": code, "message": "no", "log_id": "1" } }))
}

fn ok(data: &Value) -> Answer {
    answer(200, &json!({ "data": data, "error": { "code": "ok", "message": "", "log_id": "1" } }))
}

/// Things that any network may say, in its words.
pub(super) fn says(what: &str) -> Answer {
    match what {
        "expired" => error(401, "access_token_invalid"),
        "closed" => error(401, "scope_not_authorized"),
        "invalid" => error(400, "invalid_params"),
        "limited" => error(429, "rate_limit_exceeded"),
        "blocked" => error(400, "action_blocked"),
        _ => error(500, "internal_error"),
    }
}

pub(super) fn land(network: &mut Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    *network.tiktok.calls.entry(request.label.to_owned()).or_default() += 1;
    let body = match &request.body {
        Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
        Body::JsonWithLinks { json, .. } => json.clone(),
        _ => Value::Null,
    };
    let begins = matches!(request.label, "tiktok.init" | "tiktok.photo");
    let for_inbox = if request.label == "tiktok.photo" {
        body["post_mode"] == "MEDIA_UPLOAD"
    } else {
        !body["post_info"].is_object()
    };
    let scope = if for_inbox { "video.upload" } else { "video.publish" };
    if begins && network.tiktok.lacks == Some(scope) {
        return error(401, "scope_not_authorized");
    }
    if begins && for_inbox && network.tiktok.full_until.is_some_and(|it| now < it) {
        return error(403, "spam_risk_too_many_pending_share");
    }
    match request.label {
        "tiktok.creator" => {
            let audience = network.tiktok.audience.unwrap_or("PUBLIC_TO_EVERYONE");
            ok(&json!({ "creator_username": "acme", "privacy_level_options": [audience],
                "comment_disabled": false, "duet_disabled": false, "stitch_disabled": false }))
        }
        "tiktok.init" => {
            let n = network.tiktok.tasks.len();
            let (task, address) =
                (format!("v~{n}"), format!("https://open-upload.tiktokapis.com/video/?n={n}"));
            let size = body["source_info"]["video_size"].as_u64().unwrap();
            let title = body["post_info"]["title"].as_str();
            let row = Task {
                owner: owner.to_owned(),
                // What goes to the inbox bears no words, so its size must do.
                text: title.map_or_else(|| format!("size {size}"), str::to_owned),
                address: address.clone(),
                direct: body["post_info"].is_object(),
                photo: false,
                size,
                got: 0,
                made: now,
                complete: None,
                failed: None,
                id: String::new(),
            };
            network.tiktok.tasks.insert(task.clone(), row);
            ok(&json!({ "publish_id": task, "upload_url": address }))
        }
        "tiktok.chunk" | "tiktok.last" => piece(network, request, now),
        "tiktok.photo" => {
            let task = format!("p~{}", network.tiktok.tasks.len());
            let row = Task {
                owner: owner.to_owned(),
                text: body["post_info"]["description"].as_str().unwrap().to_owned(),
                address: String::new(),
                direct: body["post_mode"] == "DIRECT_POST",
                photo: true,
                size: 0,
                got: 0,
                made: now,
                complete: None,
                failed: None,
                id: String::new(),
            };
            network.tiktok.tasks.insert(task.clone(), row);
            complete(network, &task, now);
            ok(&json!({ "publish_id": task }))
        }
        "tiktok.status" => status(network, body["publish_id"].as_str().unwrap(), now),
        other => panic!("{other}"),
    }
}

fn piece(network: &mut Network, request: &Request, now: Timestamp) -> Answer {
    let Body::File { headers, part } = &request.body else { panic!("a file") };
    let (_, range) = headers.iter().find(|it| it.0 == "content-range").unwrap();
    let (first, rest) = range.strip_prefix("bytes ").unwrap().split_once('-').unwrap();
    let (last, _) = rest.split_once('/').unwrap();
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    assert_eq!(part.range, Some((first, last + 1 - first)), "the header tells what the body holds");
    let (name, task) = network.tiktok.tasks.iter_mut().find(|(_, it)| it.address == request.path).unwrap();
    let plain = |status, got: u64| Answer {
        status,
        headers: vec![("content-range".to_owned(), format!("bytes 0-{}/1", got.saturating_sub(1)))],
        body: Vec::new(),
    };
    if now.duration_since(task.made) >= SignedDuration::from_hours(1) {
        return plain(403, 0);
    }
    if first != task.got {
        return if task.got == 0 { answer(416, &Value::Null) } else { plain(416, task.got) };
    }
    task.got = last + 1;
    if task.got < task.size {
        return plain(206, task.got);
    }
    let name = name.clone();
    let got = task.got;
    complete(network, &name, now);
    plain(201, got)
}

/// Everything is there: a post comes of it, now or never.
fn complete(network: &mut Network, name: &str, now: Timestamp) {
    let fails = network.tiktok.fails;
    let id = (7_080_000_000_000_000_000_u64 + network.objects.len() as u64).to_string();
    let task = network.tiktok.tasks.get_mut(name).unwrap();
    task.complete = Some(now);
    task.failed = fails;
    if fails.is_some() {
        return;
    }
    task.id.clone_from(&id);
    let (owner, text) = (task.owner.clone(), task.text.clone());
    network.objects.push(Object {
        id,
        owner,
        text,
        body: Value::Null,
        parent: None,
        created: now,
        listed_at: now,
        origin: network.landing,
        deleted: false,
    });
}

fn status(network: &Network, name: &str, now: Timestamp) -> Answer {
    let Some(task) = network.tiktok.tasks.get(name) else { return error(400, "invalid_publish_id") };
    let data = match task.complete {
        None => json!({ "status": "PROCESSING_UPLOAD", "uploaded_bytes": task.got }),
        Some(at) if now < at + network.tiktok.works && task.photo => {
            json!({ "status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 1 })
        }
        Some(at) if now < at + network.tiktok.works => {
            json!({ "status": "PROCESSING_UPLOAD", "uploaded_bytes": task.size })
        }
        Some(_) => match task.failed {
            Some(reason) => json!({ "status": "FAILED", "fail_reason": reason }),
            None if task.direct => json!({ "status": "PUBLISH_COMPLETE",
                "publicaly_available_post_id": [task.id.parse::<u64>().unwrap()] }),
            None => json!({ "status": "SEND_TO_USER_INBOX" }),
        },
    };
    ok(&data)
}
