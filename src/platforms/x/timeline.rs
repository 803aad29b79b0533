//! Finding our own post again in the user's timeline.
//!
//! X returns text changed: HTML-escaped, links replaced by `t.co`. Both sides are brought to one
//! form before they are compared; a match must also have the right parent and be recent and
//! unbound. "Newest post of the account" is never proof.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::answers::{failure, live};
use super::urls::extract_urls;
use crate::domain::delivery::Frozen;
use crate::planted::planted;
use crate::platforms::{Answer, Body, Endpoint, Request, Sight};

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
            ("tweet.fields".into(), "created_at,entities,note_tweet,referenced_tweets".into()),
        ],
        body: Body::None,
        auth: true,
    }
}

/// What the timeline shows of the frozen request.
pub fn seen(
    frozen: &Frozen,
    answer: &Answer,
    username: &str,
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
    let parent = ours["reply"]["in_reply_to_tweet_id"].as_str();
    let earliest = since.saturating_sub(SKEW).unwrap_or(since);
    let mut hits = posts.iter().filter(|post| {
        (fingerprint(&unwrapped(post)) == want || planted("newest item is proof"))
            && parent_of(post) == parent
            && created(post).is_some_and(|at| at >= earliest)
            && post["id"].as_str().is_some_and(|id| !bound(id))
    });
    match (hits.next(), hits.next()) {
        (Some(post), None) => match post["id"].as_str() {
            Some(id) => Sight::Found(live(id, username, true)),
            None => Sight::Unclear(failure(answer, now)),
        },
        (Some(_), Some(_)) => Sight::Disputed {
            message: "two posts with this text are on the timeline, and either may be this one".into(),
        },
        (None, _) if json["meta"]["next_token"].is_string() => {
            let mut failure = failure(answer, now);
            failure.message = "the timeline has more posts than one page shows".into();
            Sight::Unclear(failure)
        }
        (None, _) => Sight::Absent,
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

/// A post's text with entities undone and `t.co` links replaced by what they stand for.
fn unwrapped(post: &Value) -> String {
    // `text` of a long post (Premium) is cut at 280; the whole is in its note, in either spelling.
    let notes = [&post["note_tweet"], &post["note_post"]];
    let post = notes.into_iter().find(|it| it["text"].is_string()).unwrap_or(post);
    let text = post["text"].as_str().unwrap_or_default();
    // `&amp;` last, or `&amp;lt;` would be undone twice; all before the links, whose addresses are
    // not escaped.
    let mut text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    for url in post["entities"]["urls"].as_array().into_iter().flatten() {
        if let (Some(short), Some(long)) = (url["url"].as_str(), url["expanded_url"].as_str()) {
            text = text.replacen(short, long, 1);
        }
    }
    text
}

fn parent_of(post: &Value) -> Option<&str> {
    // API 2.167 renames the field; both spellings are read.
    let references = post["referenced_tweets"].as_array().or_else(|| post["referenced_posts"].as_array());
    references.into_iter().flatten().find(|it| it["type"] == "replied_to").and_then(|it| it["id"].as_str())
}

fn created(post: &Value) -> Option<Timestamp> {
    post["created_at"].as_str().and_then(|it| it.parse().ok())
}
