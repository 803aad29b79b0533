//! Whether the same words are there by another hand, before a late send: the account's records, newest
//! first (docs.bsky.app/docs/api/com-atproto-repo-list-records).

use jiff::Timestamp;
use serde_json::Value;

use super::{failure, list, live};
use crate::platforms::{Answer, Job, Sight};

/// What a page of the account's records shows of a post of these words and as many pictures.
pub(super) fn scanned(
    job: &Job<'_>,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let json = answer.json();
    let Some(records) = json["records"].as_array().filter(|_| answer.status == 200) else {
        return Sight::Unclear(failure(answer, now));
    };
    let parent = job.before.last().and_then(|it| it.remote_id.as_deref());
    let young = |it: &Value| {
        let at = it["value"]["createdAt"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        at.is_some_and(|at| at >= since)
    };
    let same = |it: &&Value| {
        let value = &it["value"];
        value["text"] == job.text
            && value["reply"]["parent"]["uri"].as_str() == parent
            && young(it)
            && it["uri"].as_str().is_some_and(|uri| !bound(uri))
    };
    // What cannot be one of ours, for its key is none that we make, hides none that can.
    let ours = |it| live(it, &job.account.remote_id, true);
    let alike = records.iter().filter(same).filter_map(|it| Some((it, ours(it)?)));
    let (same, others): (Vec<_>, Vec<_>) =
        alike.partition(|(it, _)| pictures(&it["value"]) == Some(job.media.len()));
    let mut found = same.into_iter().map(|(_, live)| live);
    match (found.next(), found.next()) {
        (None, _) if !others.is_empty() => {
            Sight::Disputed { message: "a post has these words and other files, and may be this one".into() }
        }
        (None, _) => match json["cursor"].as_str().filter(|_| records.iter().any(young)) {
            Some(cursor) => Sight::More(list(job, Some(cursor))),
            None => Sight::Absent,
        },
        (Some(live), None) => Sight::Found(live),
        (Some(_), Some(_)) => Sight::Disputed { message: "several posts have these words".into() },
    }
}

/// How many pictures a record shows. None: something else, which is not made here.
fn pictures(record: &Value) -> Option<usize> {
    let embed = &record["embed"];
    if embed.is_null() {
        return Some(0);
    }
    embed["images"].as_array().filter(|_| embed["$type"] == "app.bsky.embed.images").map(Vec::len)
}
