//! X's uploads in memory, for the engine's world: begun, filled piece by piece, worked on, and of use for
//! a day.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sendoff::platforms::{Answer, Body, Field, Request};
use serde_json::{Value, json};

use super::{Network, answer};

pub(crate) struct State {
    /// The timeline never comes to an end.
    pub(crate) endless: bool,
    uploads: BTreeMap<String, Upload>,
    /// How long a film is worked on.
    pub(crate) works: SignedDuration,
    /// How long an upload can be posted with.
    pub(crate) life: SignedDuration,
    /// Calls by label.
    pub(crate) calls: BTreeMap<String, usize>,
    /// Post → the files it has.
    pub(crate) attached: BTreeMap<String, Vec<String>>,
    /// Create calls that were refused for their files.
    pub(crate) stale: usize,
}

struct Upload {
    owner: String,
    total: u64,
    /// Bytes of each piece, in the order of their arrival.
    pieces: Vec<(u64, u64)>,
    film: bool,
    complete: Option<Timestamp>,
    ends: Timestamp,
    alt: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            endless: false,
            uploads: BTreeMap::new(),
            works: SignedDuration::ZERO,
            life: SignedDuration::from_hours(24),
            calls: BTreeMap::new(),
            attached: BTreeMap::new(),
            stale: 0,
        }
    }
}

fn invalid(message: &str) -> Answer {
    answer(
        400,
        &json!({ "errors": [{ "parameters": {}, "message": message }], "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.x.com/2/problems/invalid-request" }),
    )
}

impl State {
    /// As timelines name a file: its id behind a number for its kind.
    pub(super) fn key(&self, id: &str) -> String {
        format!("{}_{id}", if self.uploads[id].film { 7 } else { 3 })
    }

    fn begin(&mut self, owner: &str, total: u64, film: bool, now: Timestamp) -> String {
        let id = (5000 + self.uploads.len()).to_string();
        let upload = Upload {
            owner: owner.to_owned(),
            total,
            pieces: Vec::new(),
            film,
            complete: None,
            ends: now + self.life,
            alt: None,
        };
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// Everybody's uploads end at once, as after an outage there.
    pub(crate) fn lose_all(&mut self, now: Timestamp) {
        self.uploads.values_mut().for_each(|it| it.ends = now);
    }

    /// Whether a post may have these files now.
    pub(crate) fn takes(&self, owner: &str, ids: &[String], now: Timestamp) -> bool {
        ids.iter().all(|id| {
            let upload = self.uploads.get(id).filter(|it| it.owner == owner && now < it.ends);
            let ready = |it: &Upload| it.complete.is_some_and(|at| now >= at + self.spent_on(it));
            upload.is_some_and(ready)
        })
    }

    fn spent_on(&self, upload: &Upload) -> SignedDuration {
        if upload.film { self.works } else { SignedDuration::ZERO }
    }

    pub(crate) fn alts(&self, ids: &[String]) -> Vec<Option<&str>> {
        ids.iter().map(|id| self.uploads[id].alt.as_deref()).collect()
    }

    fn shown(&self, id: &str, now: Timestamp) -> Value {
        let upload = &self.uploads[id];
        let left = upload.ends.duration_since(now).as_secs();
        let mut data = json!({ "id": id, "media_key": format!("7_{id}"), "size": upload.total, "expires_after_secs": left });
        if let (true, Some(at)) = (upload.film, upload.complete) {
            let info = if now >= at + self.works {
                json!({ "state": "succeeded", "progress_percent": 100 })
            } else {
                json!({ "state": "in_progress", "check_after_secs": 10, "progress_percent": 40 })
            };
            data["processing_info"] = info;
        }
        json!({ "data": data })
    }
}

pub(super) fn land(
    network: &mut Network,
    owner: &str,
    request: &Request,
    body: &Value,
    now: Timestamp,
) -> Answer {
    let x = &mut network.x;
    *x.calls.entry(request.label.to_owned()).or_default() += 1;
    let piece = request.body.files().first().map(|(part, _)| (*part).clone());
    match request.label {
        "x.upload" => {
            let id = x.begin(owner, 1, false, now);
            x.uploads.get_mut(&id).unwrap().complete = Some(now);
            answer(200, &x.shown(&id, now))
        }
        "x.initialize" => {
            let film = body["media_category"] == "tweet_video";
            let id = x.begin(owner, body["total_bytes"].as_u64().unwrap(), film, now);
            answer(200, &x.shown(&id, now))
        }
        "x.append" => {
            let Body::Multipart(fields) = &request.body else { panic!("a form") };
            let Field::Text(segment) = &fields[0].1 else { panic!("its number first") };
            let upload = x.uploads.get_mut(request.path.split('/').nth(4).unwrap()).unwrap();
            if now >= upload.ends || upload.complete.is_some() {
                return invalid("the upload takes no more segments");
            }
            let (_, length) = piece.unwrap().range.expect("a piece");
            // What comes twice counts twice: the network of one's fears.
            upload.pieces.push((segment.parse().unwrap(), length));
            answer(200, &json!({ "data": { "expires_at": 1 } }))
        }
        "x.finalize" => {
            let id = request.path.split('/').nth(4).unwrap().to_owned();
            let upload = x.uploads.get_mut(&id).unwrap();
            let whole = upload.pieces.iter().map(|it| it.1).sum::<u64>() == upload.total;
            let in_order = upload.pieces.iter().map(|it| it.0).eq(0..upload.pieces.len() as u64);
            if now >= upload.ends || !whole || !in_order {
                return invalid("a segment is missing, or there twice");
            }
            upload.complete.get_or_insert(now);
            answer(200, &x.shown(&id, now))
        }
        "x.status" => {
            let id = &request.query.iter().find(|it| it.0 == "media_id").unwrap().1;
            if now >= x.uploads[id].ends {
                return invalid("there is no such media");
            }
            answer(200, &x.shown(id, now))
        }
        "x.metadata" => {
            let id = body["id"].as_str().unwrap();
            let upload = x.uploads.get_mut(id).unwrap();
            upload.alt = body["metadata"]["alt_text"]["text"].as_str().map(str::to_owned);
            answer(200, &json!({ "data": { "id": id } }))
        }
        other => panic!("{other}"),
    }
}

/// What the create call says to files that it does not take.
pub(super) fn stale() -> Answer {
    invalid("Your media IDs are invalid.")
}
