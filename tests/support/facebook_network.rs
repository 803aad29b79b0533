//! Facebook in memory, for the engine's world: the Page's feed and its list, reels, whose videos tell what
//! became of them, stories, which stand in a list of their own, and comments.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Body, Field, Request};
use serde_json::{Value, json};

use super::{Network, Object, answer};

#[derive(Default)]
pub(crate) struct State {
    videos: BTreeMap<String, Video>,
    /// Photos that were uploaded, unseen so far, and whose.
    photos: BTreeMap<String, String>,
    /// What hangs on a post.
    attached: BTreeMap<String, Vec<String>>,
    /// What each story was made of: a photo, or a video.
    stories: BTreeMap<String, String>,
    /// The list shows how many photos a post has, and not which.
    pub(crate) hides_photos: bool,
    /// How long a finished video lies in a queue, where it looks as if it had not been finished.
    pub(crate) queued: SignedDuration,
    /// How long it is worked on after that.
    pub(crate) works: SignedDuration,
    /// A second finish makes a second reel.
    pub(crate) doubles: bool,
    /// What is wrong with every video, found out only while it is worked on.
    pub(crate) flaw: Option<&'static str>,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
}

struct Video {
    owner: String,
    uploaded: bool,
    /// When it was finished, and the words it came with.
    finished: Option<Timestamp>,
}

pub(super) fn land(
    network: &mut Network,
    owner: &str,
    request: &Request,
    body: &Value,
    now: Timestamp,
) -> Answer {
    *network.facebook.calls.entry(request.label.to_owned()).or_default() += 1;
    let id = request.path.rsplit('/').next().unwrap().to_owned();
    match request.label {
        "facebook.feed" => {
            let text = body["message"].as_str().unwrap().to_owned();
            let photos = body["attached_media"].as_array().into_iter().flatten();
            let photos: Vec<String> =
                photos.map(|it| it["media_fbid"].as_str().unwrap().to_owned()).collect();
            let ours = photos.iter().all(|it| network.facebook.photos.get(it).is_some_and(|it| it == owner));
            assert!(ours, "a photo that nobody uploaded for this Page: {photos:?}");
            let repeat = network.objects.iter().any(|it| it.owner == owner && it.text == text);
            if network.refuses_repeats && repeat {
                return answer(
                    400,
                    &json!({ "error": { "code": 506, "message": "Duplicate status message" } }),
                );
            }
            let id = format!("{owner}_{}", 5_000 + network.objects.len());
            push(network, owner, &id, text, now);
            network.facebook.attached.insert(id.clone(), photos);
            answer(200, &json!({ "id": id }))
        }
        "facebook.photo" => {
            let Body::Multipart(fields) = &request.body else { panic!("a form") };
            let unseen =
                matches!(&fields[0], (name, Field::Text(no)) if name == "published" && no == "false");
            assert!(unseen, "a photo is uploaded unseen");
            let id = format!("66{}", network.facebook.photos.len());
            network.facebook.photos.insert(id.clone(), owner.to_owned());
            answer(200, &json!({ "id": id }))
        }
        "facebook.posts" => list(network, owner, request, now),
        "facebook.story.photo" => {
            let photo = body["photo_id"].as_str().unwrap().to_owned();
            assert_eq!(network.facebook.photos.get(&photo).map(String::as_str), Some(owner), "whose photo?");
            story(network, owner, photo, now)
        }
        "facebook.story.finish" => {
            let video = body["video_id"].as_str().unwrap().to_owned();
            assert!(network.facebook.videos.get(&video).is_some_and(|it| it.uploaded && it.owner == owner));
            story(network, owner, video, now)
        }
        "facebook.stories" => stories(network, owner, request, now),
        "facebook.comment" => {
            let parent = parent(request);
            let found = network.objects.iter().any(|it| it.id == parent && it.owner == owner && !it.deleted);
            assert!(found, "a comment under what is not there: {parent}");
            let tail = parent.rsplit('_').next().unwrap();
            let id = format!("{tail}_{}", 7_000 + network.objects.len());
            push(network, owner, &id, body["message"].as_str().unwrap().to_owned(), now);
            network.objects.last_mut().unwrap().parent = Some(parent);
            answer(200, &json!({ "id": id }))
        }
        "facebook.comments" => comments(network, request, now),
        "facebook.video.ready" => {
            let word = if network.facebook.videos[&id].uploaded { "upload_complete" } else { "processing" };
            answer(200, &json!({ "id": id, "status": { "video_status": word } }))
        }
        "facebook.video.start" => {
            let id = format!("77{}", network.facebook.videos.len());
            let video = Video { owner: owner.to_owned(), uploaded: false, finished: None };
            network.facebook.videos.insert(id.clone(), video);
            let address = format!("https://rupload.facebook.com/video-upload/v26.0/{id}");
            answer(200, &json!({ "video_id": id, "upload_url": address }))
        }
        "facebook.video.upload" => {
            assert!(matches!(request.body, Body::File { .. }));
            network.facebook.videos.get_mut(&id).unwrap().uploaded = true;
            answer(200, &json!({ "success": true }))
        }
        "facebook.reel.finish" => {
            let id = body["video_id"].as_str().unwrap().to_owned();
            let text = body["description"].as_str().unwrap().to_owned();
            let video = network.facebook.videos.get_mut(&id).unwrap();
            assert!(video.uploaded && video.owner == owner);
            if video.finished.is_none() || network.facebook.doubles {
                video.finished = Some(now);
                if network.facebook.flaw.is_none() {
                    push(network, owner, &id, text, now);
                }
            }
            answer(200, &json!({ "success": true }))
        }
        "facebook.video.status" => status(network, &id, now),
        "facebook.video.received" => {
            let phase = if network.facebook.videos[&id].uploaded {
                json!({ "status": "complete" })
            } else {
                json!({ "status": "in_progress", "bytes_transfered": 0 })
            };
            answer(200, &json!({ "id": id, "status": { "uploading_phase": phase } }))
        }
        "facebook.get" => match network.objects.iter().find(|it| it.id == id && !it.deleted) {
            Some(it) => answer(200, &json!({ "id": it.id, "is_published": true })),
            None => answer(400, &json!({ "error": { "code": 100, "error_subcode": 33, "message": "none" } })),
        },
        other => panic!("{other}"),
    }
}

fn push(network: &mut Network, owner: &str, id: &str, text: String, now: Timestamp) {
    let object = Object {
        id: id.to_owned(),
        owner: owner.to_owned(),
        text,
        body: Value::Null,
        parent: None,
        created: now,
        listed_at: now + network.list_lag,
        origin: network.landing,
        deleted: false,
    };
    network.objects.push(object);
}

/// Whose comments a call is about.
fn parent(request: &Request) -> String {
    request.path.trim_start_matches('/').split('/').next().unwrap().to_owned()
}

fn since(request: &Request) -> i64 {
    request.query.iter().find(|(it, _)| it == "since").unwrap().1.parse().unwrap()
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// Nothing keeps the same photo or video from becoming a second story.
fn story(network: &mut Network, owner: &str, made_of: String, now: Timestamp) -> Answer {
    let id = format!("55{}", network.objects.len());
    // As the connector marks them.
    push(network, owner, &format!("story:{id}"), String::new(), now);
    network.facebook.stories.insert(format!("story:{id}"), made_of);
    answer(200, &json!({ "success": true, "post_id": id }))
}

fn stories(network: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    let from = since(request);
    let shown = |it: &&Object| it.owner == owner && it.listed_at <= now && it.created.as_second() >= from;
    let rows: Vec<Value> = network
        .objects
        .iter()
        .filter(shown)
        .filter_map(|it| {
            let media = network.facebook.stories.get(&it.id)?;
            let id = it.id.trim_start_matches("story:");
            Some(json!({ "post_id": id, "media_id": media, "status": "published", "creation_time": time(it.created) }))
        })
        .collect();
    answer(200, &json!({ "data": rows }))
}

fn comments(network: &Network, request: &Request, now: Timestamp) -> Answer {
    let (parent, from) = (parent(request), since(request));
    let under = |it: &&Object| {
        it.parent.as_ref() == Some(&parent)
            && !it.deleted
            && it.listed_at <= now
            && it.created.as_second() >= from
    };
    let rows = network.objects.iter().filter(under).map(|it| {
        json!({ "id": it.id, "message": it.text, "from": { "id": it.owner }, "created_time": time(it.created) })
    });
    answer(200, &json!({ "data": rows.collect::<Vec<_>>() }))
}

fn list(network: &Network, owner: &str, request: &Request, now: Timestamp) -> Answer {
    let since = since(request);
    let posts: Vec<Value> = network
        .objects
        .iter()
        .filter(|it| {
            it.owner == owner && !it.deleted && it.listed_at <= now && it.created.as_second() >= since
        })
        // Reels are in no list, stories in another, and comments below their posts.
        .filter(|it| it.id.contains('_') && it.parent.is_none())
        .map(|it| {
            let photo = |id: &String| {
                let target = if network.facebook.hides_photos { Value::Null } else { json!({ "id": id }) };
                json!({ "media_type": "photo", "target": target })
            };
            let photos = network.facebook.attached.get(&it.id).into_iter().flatten();
            json!({ "id": it.id, "message": it.text, "is_published": true,
                "attachments": { "data": photos.map(photo).collect::<Vec<_>>() },
                "created_time": time(it.created) })
        })
        .collect();
    answer(200, &json!({ "data": posts }))
}

fn status(network: &Network, id: &str, now: Timestamp) -> Answer {
    let video = &network.facebook.videos[id];
    let phase = |word: &str| json!({ "status": word });
    let (processing, publishing) = match video.finished {
        None => (phase("not_started"), phase("not_started")),
        Some(at) if now < at + network.facebook.queued => (phase("not_started"), phase("not_started")),
        Some(at) if now < at + network.facebook.queued + network.facebook.works => {
            (phase("in_progress"), phase("not_started"))
        }
        Some(_) => match network.facebook.flaw {
            Some(flaw) => (json!({ "status": "error", "error": { "message": flaw } }), phase("not_started")),
            None => (phase("complete"), json!({ "status": "complete", "publish_status": "published" })),
        },
    };
    answer(
        200,
        &json!({ "id": id, "status": { "video_status": "processing", "uploading_phase": phase("complete"),
            "processing_phase": processing, "publishing_phase": publishing } }),
    )
}
