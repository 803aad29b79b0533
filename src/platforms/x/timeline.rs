//! Finding our own post again in the user's timeline.
//!
//! X returns text changed: HTML-escaped, links replaced by `t.co`. Both sides are brought to one
//! form before they are compared; a match must also have the right parent, as many files of the same
//! kinds, and be recent and unbound. "Newest post of the account" is never proof.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::answers::{failure, live};
use super::uploads::category;
use super::urls::extract_urls;
use crate::domain::delivery::Frozen;
use crate::planted::planted;
use crate::platforms::{Answer, Body, Endpoint, Job, Request, Sight};

/// The most the endpoint gives in one page.
const PAGE: usize = 100;
/// How much earlier than our intent X's clock may date a post.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// `GET /2/users/{id}/tweets` from shortly before the first intent. Each post returned costs
/// money, so the window is as small as clock skew allows.
pub fn request(user_id: &str, since: Timestamp) -> Request {
    let start = since.saturating_sub(SKEW).unwrap_or(since);
    Request {
        label: "x.timeline",
        method: http::Method::GET,
        endpoint: Endpoint::Named("api"),
        path: format!("/2/users/{user_id}/tweets"),
        query: vec![
            ("max_results".into(), PAGE.to_string()),
            ("start_time".into(), start.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("tweet.fields".into(), "attachments,created_at,entities,note_tweet,referenced_tweets".into()),
        ],
        body: Body::None,
        auth: true,
    }
}

/// What the timeline shows of the frozen request.
pub fn seen(
    job: &Job<'_>,
    frozen: &Frozen,
    answer: &Answer,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let json = answer.json();
    // An empty timeline has no `data` but says so in `meta`; anything else is not a clean read.
    let posts = match (answer.status, json["data"].as_array(), json["meta"]["result_count"].as_u64()) {
        (200, Some(posts), _) => posts.as_slice(),
        (200, None, Some(0)) => &[],
        _ => return Sight::Unclear(failure(answer, now)),
    };
    let ours: Value = serde_json::from_slice(&frozen.body).unwrap_or(Value::Null);
    let want = fingerprint(ours["text"].as_str().unwrap_or_default());
    let media = texts(&ours["media"]["media_ids"]);
    let quoted = ours["quote_tweet_id"].as_str();
    let parent = ours["reply"]["in_reply_to_tweet_id"].as_str();
    let earliest = since.saturating_sub(SKEW).unwrap_or(since);
    let username = &job.account.username;
    let alike = posts.iter().filter(|post| {
        (has_words(post, &want, quoted) || planted("newest item is proof"))
            // Without words its files are all there is to know it by.
            && (!want.is_empty() || has_media(post, &media))
            && parent_of(post) == parent
            && created(post).is_some_and(|at| at >= earliest)
            && post["id"].as_str().is_some_and(|id| !bound(id))
    });
    let (ours, others): (Vec<&Value>, Vec<&Value>) =
        alike.partition(|post| has_media(post, &media) || has_such_media(post, job));
    let mut hits = ours.iter();
    match (hits.next(), hits.next()) {
        (Some(post), None) => match post["id"].as_str() {
            Some(id) => Sight::Found(live(id, username, true)),
            None => Sight::Unclear(failure(answer, now)),
        },
        (Some(_), Some(_)) => Sight::Disputed {
            message: "two posts with this text are on the timeline, and either may be this one".into(),
        },
        // X refuses the same words again, whatever files go with them.
        (None, _) if !others.is_empty() => Sight::Disputed {
            message: "a post with this text and other files is on the timeline, and may be this one".into(),
        },
        (None, _) => match json["meta"]["next_token"].as_str() {
            Some(next) => Sight::More(request(&job.account.remote_id, since).with("pagination_token", next)),
            None => Sight::Absent,
        },
    }
}

/// The text as X would compare it: NFC, one kind of line end, no blanks around it or at line ends,
/// links without scheme and trailing slash (X expands `example.com` to `http://example.com`) and
/// with the host in lower case. Where X's own habit is not known, the form is the coarser one: a
/// post missed here is a post sent twice.
pub fn fingerprint(text: &str) -> String {
    let text: String = text.replace("\r\n", "\n").nfc().collect();
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    for url in extract_urls(&text) {
        plain.push_str(&text[from..url.start]);
        let bare = url
            .text
            .strip_prefix("https://")
            .or_else(|| url.text.strip_prefix("http://"))
            .unwrap_or(url.text);
        let (host, rest) = bare.split_at(bare.find(['/', '?', '#']).unwrap_or(bare.len()));
        plain.push_str(&host.to_lowercase());
        plain.push_str(rest.trim_end_matches('/'));
        from = url.end;
    }
    plain.push_str(&text[from..]);
    plain.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Whether a post says what we want, with or without the address of what it quotes, which X may put
/// behind the words.
fn has_words(post: &Value, want: &str, quoted: Option<&str>) -> bool {
    let plain = fingerprint(&unwrapped(post, None));
    plain == want || (quoted.is_some() && fingerprint(&unwrapped(post, quoted)) == want)
}

/// Whether a post has just these files: its media keys are their ids behind a number for the kind.
fn has_media(post: &Value, ids: &[&str]) -> bool {
    let keys = texts(&post["attachments"]["media_keys"]);
    let id = |key: &str| key.split_once('_').map_or(String::new(), |(_, id)| id.to_owned());
    !ids.is_empty() && keys.len() == ids.len() && keys.iter().all(|it| ids.contains(&id(it).as_str()))
}

/// Whether a post has as many files as the job, of the same kinds. The number before a media key's
/// underscore tells the kind; one that is not known here may be any.
fn has_such_media(post: &Value, job: &Job<'_>) -> bool {
    let keys = texts(&post["attachments"]["media_keys"]);
    let mut wanted: Vec<&str> = job.media.iter().map(category).collect();
    let mut shown = Vec::new();
    for key in &keys {
        match key.split_once('_').map(|(kind, _)| kind) {
            Some("3") => shown.push("tweet_image"),
            Some("16") => shown.push("tweet_gif"),
            Some("7" | "13") => shown.push("tweet_video"),
            _ => {}
        }
    }
    let known = shown.len() == keys.len();
    wanted.sort_unstable();
    shown.sort_unstable();
    keys.len() == wanted.len() && (!known || shown == wanted)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A post's text with entities undone and `t.co` links replaced by what they stand for; those that X
/// itself puts behind the words, for media and for what is quoted, are taken out.
fn unwrapped(post: &Value, quoted: Option<&str>) -> String {
    let id = post["id"].as_str().unwrap_or_default();
    // `text` of a long post (Premium) is cut at 280; the whole is in its note, in either spelling.
    let notes = [&post["note_tweet"], &post["note_post"]];
    let body = notes.into_iter().find(|it| it["text"].is_string()).unwrap_or(post);
    let text = body["text"].as_str().unwrap_or_default();
    // `&amp;` last, or `&amp;lt;` would be undone twice; all before the links, whose addresses are
    // not escaped.
    let mut text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    for url in body["entities"]["urls"].as_array().into_iter().flatten() {
        if let (Some(short), Some(long)) = (url["url"].as_str(), url["expanded_url"].as_str()) {
            let added =
                is_media_of(long, id) || quoted.is_some_and(|it| long.ends_with(&format!("/status/{it}")));
            text = text.replacen(short, if added { "" } else { long }, 1);
        }
    }
    text
}

/// `https://x.com/…/status/{id}/photo/1`: the post's own media. No author can write it before it exists.
fn is_media_of(address: &str, id: &str) -> bool {
    let behind = address.split_once(&format!("/status/{id}/")).map(|(_, it)| it);
    !id.is_empty() && behind.is_some_and(|it| it.starts_with("photo/") || it.starts_with("video/"))
}

fn parent_of(post: &Value) -> Option<&str> {
    // API 2.167 renames the field; both spellings are read.
    let references = post["referenced_tweets"].as_array().or_else(|| post["referenced_posts"].as_array());
    references.into_iter().flatten().find(|it| it["type"] == "replied_to").and_then(|it| it["id"].as_str())
}

fn created(post: &Value) -> Option<Timestamp> {
    post["created_at"].as_str().and_then(|it| it.parse().ok())
}
