//! Looking: is it live, and which object is it?
//!
//! The Page's list of published posts shows texts, links and photos, though not reels. A match needs
//! the same words, a time not before our intent, and an object that belongs to no other step; photos
//! are known by their ids where the list names them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::form::{self, Form, STORY};
use super::{frozen_body, live, video};
use crate::domain::account::Account;
use crate::domain::delivery::{Frozen, Live, Step};
use crate::platforms::meta::list::{list, one};
use crate::platforms::meta::{self, errors, plain};
use crate::platforms::{Answer, Failure, Job, Request, Sight};

/// Objects asked for in one page of a list.
const PAGE: &str = "100";
/// How much earlier than our intent Facebook's clock may date an object.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// The read that shows whether a step is live.
pub(super) fn request(job: &Job<'_>, frozen: &Frozen, since: Timestamp) -> Option<Request> {
    match Form::of(job) {
        Form::Feed | Form::Photos => posts_request(job, since),
        Form::Comment => comments_request(job, since),
        Form::Video | Form::Reel => {
            meta::is_id(&frozen.marker).then(|| video::status("facebook.video.status", &frozen.marker))
        }
        Form::PhotoStory | Form::VideoStory => stories_request(job.account, since),
    }
}

pub(super) fn posts_request(job: &Job<'_>, since: Timestamp) -> Option<Request> {
    let page = &job.account.remote_id;
    let query = [
        ("fields", "id,message,created_time,permalink_url,is_published,attachments"),
        ("limit", PAGE),
        ("since", &from(since)),
    ];
    meta::is_id(page).then(|| meta::get("facebook.posts", format!("/{page}/published_posts"), &query))
}

fn stories_request(account: &Account, since: Timestamp) -> Option<Request> {
    let page = &account.remote_id;
    let query = [("status", "PUBLISHED"), ("since", &from(since)), ("limit", PAGE)];
    meta::is_id(page).then(|| meta::get("facebook.stories", format!("/{page}/stories"), &query))
}

pub(super) fn comments_request(job: &Job<'_>, since: Timestamp) -> Option<Request> {
    let parent = job.before.last()?.remote_id.as_deref().filter(|it| meta::is_id(it))?;
    let query = [
        ("fields", "id,message,created_time,permalink_url,from"),
        ("filter", "stream"),
        ("limit", PAGE),
        ("since", &from(since)),
    ];
    Some(meta::get("facebook.comments", format!("/{parent}/comments"), &query))
}

fn from(since: Timestamp) -> String {
    earliest(since).as_second().to_string()
}

fn earliest(since: Timestamp) -> Timestamp {
    since.saturating_sub(SKEW).unwrap_or(since)
}

/// What the list of published posts shows of a frozen request.
pub(super) fn posts(
    job: &Job<'_>,
    frozen: &Frozen,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let (all, rest) = match list(posts_request(job, since), answer, now) {
        Ok(read) => read,
        Err(failure) => return Sight::Unclear(failure),
    };
    let ours = frozen_body(frozen);
    let words = plain(ours["message"].as_str().unwrap_or_default());
    let link = ours["link"].as_str().map(bare);
    let photos: BTreeSet<String> = ours["attached_media"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| meta::id(&it["media_fbid"]))
        .collect();
    let (mut hits, mut doubtful) = (Vec::new(), false);
    for post in &all {
        let Some(id) = meta::id(&post["id"]) else { continue };
        let old = meta::time(&post["created_time"]).is_none_or(|at| at < earliest(since));
        if old || post["is_published"] == false || bound(&id) {
            continue;
        }
        let shown = attached(post);
        let by_photo = !photos.is_empty() && photos.iter().any(|it| shown.ids.contains(it));
        let same_words = plain(post["message"].as_str().unwrap_or_default()) == words;
        let fits = match (&link, photos.is_empty()) {
            _ if by_photo => true,
            _ if !same_words => false,
            // Without words only what hangs on it can tell.
            (Some(link), _) if words.is_empty() => shown.links.contains(link),
            (None, _) if words.is_empty() => false,
            (Some(link), _) if shown.links.is_empty() || shown.links.contains(link) => true,
            // The same words on another link: Facebook may have rewritten it, or somebody else did.
            (Some(_), _) => {
                doubtful = true;
                false
            }
            // Other photos, or another number of them, is another post.
            (None, false) if !shown.ids.is_empty() => false,
            (None, false) => shown.count == 0 || shown.count == photos.len(),
            (None, true) => true,
        };
        if fits {
            let address = meta::permalink(answer, &post["permalink_url"], &id);
            let form = if photos.is_empty() { Form::Feed } else { Form::Photos };
            hits.push(live(id, address, form, true));
        }
    }
    if hits.is_empty() && doubtful {
        let message = "a post with these words and another link is there, and it may be this one";
        return Sight::Disputed { message: message.into() };
    }
    one(hits, rest)
}

/// What hangs on a post.
struct Attached {
    /// Ids of the objects behind it (photos).
    ids: BTreeSet<String>,
    links: BTreeSet<String>,
    /// Photos, as far as the list shows them.
    count: usize,
}

fn attached(post: &Value) -> Attached {
    let mut found = Attached { ids: BTreeSet::new(), links: BTreeSet::new(), count: 0 };
    let outer = post["attachments"]["data"].as_array().into_iter().flatten();
    for it in outer {
        let inner = it["subattachments"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        for one in std::iter::once(it).chain(inner) {
            let photo = one["media_type"] == "photo" || one["type"] == "photo";
            if photo {
                found.count += 1;
                found.ids.extend(meta::id(&one["target"]["id"]));
            } else {
                let link = one["unshimmed_url"].as_str().or_else(|| one["url"].as_str());
                found.links.extend(link.map(bare));
            }
        }
    }
    found
}

/// An address without what Facebook may change about it: scheme, `www.`, a slash at the end.
fn bare(link: &str) -> String {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    format!("{}{}", host.to_lowercase(), path.trim_end_matches('/'))
}

/// What the comments under a post show of a frozen comment.
pub(super) fn comments(
    job: &Job<'_>,
    frozen: &Frozen,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let (all, rest) = match list(comments_request(job, since), answer, now) {
        Ok(read) => read,
        Err(failure) => return Sight::Unclear(failure),
    };
    let words = plain(frozen_body(frozen)["message"].as_str().unwrap_or_default());
    let ours = |it: &&Value| {
        let by = meta::id(&it["from"]["id"]);
        plain(it["message"].as_str().unwrap_or_default()) == words
            && by.is_none_or(|it| it == job.account.remote_id)
            && meta::time(&it["created_time"]).is_some_and(|at| at >= earliest(since))
    };
    let hits = all
        .iter()
        .filter(ours)
        .filter_map(|it| {
            let id = meta::id(&it["id"]).filter(|id| !bound(id))?;
            let address = meta::permalink(answer, &it["permalink_url"], &id);
            Some(live(id, address, Form::Comment, true))
        })
        .collect();
    one(hits, rest)
}

/// What the list of stories shows of the photo or video that one was made of.
pub(super) fn stories(
    job: &Job<'_>,
    frozen: &Frozen,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let (all, rest) = match list(stories_request(job.account, since), answer, now) {
        Ok(read) => read,
        Err(failure) => return Sight::Unclear(failure),
    };
    let hits = all
        .iter()
        .filter(|it| meta::id(&it["media_id"]).is_some_and(|id| id == frozen.marker))
        .filter_map(|it| Some(shown(it, &meta::id(&it["post_id"])?)))
        .filter(|it| !it.remote_id.as_deref().is_some_and(bound))
        .collect();
    one(hits, rest)
}

/// A story as the list shows it, with its address if it tells one.
fn shown(story: &Value, id: &str) -> Live {
    let address = story["url"]
        .as_str()
        .filter(|it| url::Url::parse(it).is_ok_and(|it| matches!(it.scheme(), "http" | "https")));
    Live { permalink: address.map(str::to_owned), ..form::story(id, Form::PhotoStory, true) }
}

/// The number of a step that is a story.
fn story_of(step: &Step) -> Option<&str> {
    step.remote_id.as_deref()?.strip_prefix(STORY).filter(|it| meta::is_id(it))
}

/// The read that confirms a live object by its id; of a story, the list of those that are shown.
pub(super) fn read_back(account: &Account, step: &Step) -> Option<Request> {
    if story_of(step).is_some() {
        return stories_request(account, step.published_at?);
    }
    let id = step.remote_id.as_deref().filter(|it| meta::is_id(it))?;
    let fields = match step.extra.get("form").map(String::as_str) {
        Some("video" | "reel") => "id,published,permalink_url",
        Some("comment") => "id,permalink_url",
        _ => "id,is_published,permalink_url",
    };
    Some(meta::get("facebook.get", format!("/{id}"), &[("fields", fields)]))
}

/// What the read-back shows.
pub(super) fn confirmed(step: &Step, answer: &Answer, now: Timestamp) -> Sight {
    let json = answer.json();
    if let Some(id) = story_of(step) {
        let all = json["data"].as_array().filter(|_| answer.status == 200).into_iter().flatten();
        let found = all.into_iter().find(|it| meta::id(&it["post_id"]).as_deref() == Some(id));
        // One that is not listed may be listed later, or have ended.
        return match found {
            Some(story) => Sight::Found(Live { extra: step.extra.clone(), ..shown(story, id) }),
            None => Sight::Unclear(Failure::transient("the list of stories does not show it")),
        };
    }
    if errors::GraphError::of(&json).as_ref().is_some_and(errors::is_missing) {
        return Sight::Absent;
    }
    let hidden = json["is_published"] == false || json["published"] == false;
    if answer.status == 200 && !hidden && meta::id(&json["id"]) == step.remote_id {
        return Sight::Found(Live {
            remote_id: step.remote_id.clone(),
            permalink: step.permalink.clone(),
            extra: step.extra.clone(),
            verified: true,
        });
    }
    Sight::Unclear(errors::failure(answer, now))
}

/// The id behind an address as people copy it: `/{page}/posts/{id}`, `/{page}/videos/{id}`,
/// `/reel/{id}`, `permalink.php?story_fbid=…&id=…`, or the id itself. The newer names that begin with
/// `pfbid` cannot be turned into ids.
pub(super) fn remote_id_of(account: &Account, url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
    let host = url.host_str()?;
    let host = host.strip_prefix("www.").or_else(|| host.strip_prefix("m.")).unwrap_or(host);
    if host != "facebook.com" {
        return None;
    }
    let page = account.remote_id.as_str();
    let digits = |it: &str| meta::is_id(it) && !it.contains('_');
    let ours = |who: &str| who == page || who.eq_ignore_ascii_case(&account.username);
    let parts: Vec<&str> = url.path_segments()?.filter(|it| !it.is_empty()).collect();
    let param =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match parts.as_slice() {
        ["permalink.php" | "story.php"] => {
            let (story, id) = (param("story_fbid")?, param("id")?);
            (digits(&story) && id == page).then(|| format!("{page}_{story}"))
        }
        [who, "posts", id] if ours(who) && digits(id) => Some(format!("{page}_{id}")),
        [who, "videos", id] if ours(who) && digits(id) => Some((*id).to_owned()),
        ["reel", id] if digits(id) => Some((*id).to_owned()),
        [whole] if whole.split_once('_').is_some_and(|(front, _)| front == page) && meta::is_id(whole) => {
            Some((*whole).to_owned())
        }
        _ => None,
    }
}
