//! Looking: is the post there? Only organizations' posts can be read; of a member's nobody but the member
//! can tell (`r_member_social` is closed to new apps).
//!
//! Source: learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api, "Find posts by
//! authors".

use jiff::Timestamp;
use serde_json::Value;

use super::form::Form;
use super::text::{escape, plain};
use super::{SKEW, encoded, errors, get, is_post, live};
use crate::domain::account::Account;
use crate::domain::delivery::{Live, Step};
use crate::domain::kind::Kind;
use crate::platforms::{Answer, Failure, FailureClass, Job, Reading, Request, Sight};

/// The `lifecycleState` of what LinkedIn took and could not publish.
const FAILED: &str = "PUBLISH_FAILED";
/// Posts of one page.
const PAGE: usize = 50;

pub(super) fn can_look(account: &Account) -> bool {
    Kind::of(account.tier.as_deref()) == Kind::Organization
}

/// The newest posts of an organization.
pub(super) fn list(job: &Job<'_>, start: usize) -> Option<Request> {
    if !can_look(job.account) || Form::of(job) == Form::Comment {
        return None;
    }
    let mut request = get("linkedin.list", "/rest/posts".into());
    request.query = vec![
        ("q".into(), "author".into()),
        ("author".into(), job.account.remote_id.clone()),
        ("count".into(), PAGE.to_string()),
        ("sortBy".into(), "CREATED".into()),
    ];
    if start > 0 {
        request.query.push(("start".into(), start.to_string()));
    }
    Some(request)
}

/// What a post holds besides its words: the kind of its files, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds<'a> {
    Words,
    Files(&'a str, usize),
    Card,
    Poll,
    /// Something that is not made here.
    Other,
}

impl<'a> Holds<'a> {
    fn sent(job: &Job<'_>) -> Self {
        match Form::of(job) {
            Form::Text | Form::Comment => Self::Words,
            Form::Image | Form::Images => Self::Files("image", job.media.len()),
            Form::Video => Self::Files("video", 1),
            Form::Document => Self::Files("document", 1),
            Form::Article => Self::Card,
            Form::Poll => Self::Poll,
        }
    }

    /// As the list shows them, in the shapes in which they are sent.
    fn shown(content: &'a Value) -> Self {
        if content.as_object().is_none_or(serde_json::Map::is_empty) {
            return Self::Words;
        }
        let kind = |it: &'a Value| Some(it["id"].as_str()?.strip_prefix("urn:li:")?.split_once(':')?.0);
        if let Some(kind) = kind(&content["media"]) {
            return Self::Files(kind, 1);
        }
        if let Some(all) = content["multiImage"]["images"].as_array() {
            return Self::Files("image", all.len());
        }
        match () {
            () if content["article"].is_object() => Self::Card,
            () if content["poll"].is_object() => Self::Poll,
            () => Self::Other,
        }
    }
}

/// Whether a post of the same words holds what was sent. None: that cannot be told.
fn holds_the_same(job: &Job<'_>, row: &Value) -> Option<bool> {
    match (Holds::sent(job), Holds::shown(&row["content"])) {
        (sent, shown) if sent == shown => Some(true),
        // Whether LinkedIn makes a card of an address in the text is not documented.
        (Holds::Words, Holds::Card) => {
            Some(row["content"]["article"]["source"].as_str().is_some_and(|it| job.text.contains(it)))
        }
        // Nor is it that the list always tells of files.
        (_, Holds::Words | Holds::Other) => None,
        _ => Some(false),
    }
}

/// What the list shows of a post of these words, with as many files of the same kind.
pub(super) fn listed(
    job: &Job<'_>,
    said: Reading<'_>,
    since: Timestamp,
    bound: &dyn Fn(&str) -> bool,
    now: Timestamp,
) -> Sight {
    let json = said.answer.json();
    let Some(rows) = json["elements"].as_array().filter(|_| said.answer.status == 200) else {
        return Sight::Unclear(errors::failure(said.answer, job.account, now));
    };
    let earliest = since.saturating_sub(SKEW).unwrap_or(since);
    let words = plain(&escape(job.text));
    let made = |it: &Value| it["createdAt"].as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let alike: Vec<&Value> = rows
        .iter()
        .filter(|it| {
            it["author"] == job.account.remote_id.as_str()
                && made(it).is_some_and(|at| at >= earliest)
                && plain(it["commentary"].as_str().unwrap_or_default()) == words
                && it["id"].as_str().is_some_and(|id| is_post(id) && !bound(id))
        })
        .collect();
    let mut hits = alike.iter().filter(|it| holds_the_same(job, it) == Some(true));
    match (hits.next(), hits.next()) {
        (Some(_), Some(_)) => {
            Sight::Disputed { message: "two with these words are there, and either may be this one".into() }
        }
        (Some(it), None) if it["lifecycleState"] == FAILED => Sight::Failed(not_published()),
        (Some(it), None) => match it["id"].as_str() {
            Some(id) => Sight::Found(live(id, Form::of(job), true)),
            None => Sight::Absent,
        },
        (None, _) if alike.iter().any(|it| holds_the_same(job, it).is_none()) => Sight::Disputed {
            message: "one with these words is there, and whether it has the same files cannot be told".into(),
        },
        (None, _) => {
            // Newest first: whoever has not come to the time in question has not looked.
            let reaches = rows.len() < PAGE || rows.iter().filter_map(made).any(|at| at < earliest);
            let start =
                said.call.query.iter().find(|it| it.0 == "start").and_then(|it| it.1.parse::<usize>().ok());
            match list(job, start.unwrap_or_default() + PAGE) {
                Some(next) if !reaches => Sight::More(next),
                _ => Sight::Absent,
            }
        }
    }
}

/// What may be kept of a list: the one object that is ours, and how many others were there. Of any other
/// answer all of it, for it tells of nothing else.
pub(super) fn kept(answer: &Answer, own: Option<&str>) -> Vec<u8> {
    let json = answer.json();
    let Some(rows) = json["elements"].as_array() else { return answer.body.clone() };
    let ours: Vec<&Value> = rows.iter().filter(|it| own.is_some() && it["id"].as_str() == own).collect();
    let left_out = rows.len() - ours.len();
    serde_json::json!({ "elements": ours, "left_out": left_out }).to_string().into_bytes()
}

/// It was taken, and came to nothing while its files were worked on. Why is told nowhere.
fn not_published() -> Failure {
    Failure {
        class: FailureClass::InvalidContent,
        message: format!("LinkedIn took the post and could not publish it (`{FAILED}`)"),
        hint: Some("see that its files are sound, and post it anew: `sendoff post create`".into()),
        until: None,
    }
}

/// The read that confirms an organization's post by its id.
pub(super) fn read_back(account: &Account, step: &Step) -> Option<Request> {
    let id = step.remote_id.as_deref().filter(|it| is_post(it) && can_look(account))?;
    let mut request = get("linkedin.get", format!("/rest/posts/{}", encoded(id)));
    request.query = vec![("viewContext".into(), "AUTHOR".into())];
    Some(request)
}

/// What the read-back shows.
pub(super) fn confirmed(step: &Step, answer: &Answer) -> Sight {
    let json = answer.json();
    let same = json["id"].as_str() == step.remote_id.as_deref();
    if answer.status == 200 && same && json["id"].is_string() && json["lifecycleState"] == FAILED {
        return Sight::Failed(not_published());
    }
    // One that is still made ready is not confirmed.
    let shown = json["lifecycleState"].as_str().is_none_or(|it| it == "PUBLISHED");
    if answer.status == 200 && same && shown && json["id"].is_string() {
        return Sight::Found(Live {
            remote_id: step.remote_id.clone(),
            permalink: step.permalink.clone(),
            extra: step.extra.clone(),
            verified: true,
        });
    }
    let state = json["lifecycleState"].as_str().unwrap_or("without a state");
    Sight::Unclear(Failure::transient(format!("LinkedIn answered {}, the post is {state}", answer.status)))
}

/// The id in the address of a post. Browsers show the activity around it, as a rule, which no call takes
/// for the post itself.
pub(super) fn remote_id_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
    let host = url.host_str()?;
    if host != "linkedin.com" && !host.ends_with(".linkedin.com") {
        return None;
    }
    let digits = |it: &str| (15..=20).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
    let urn = |kind: &str, id: &str| digits(id).then(|| format!("urn:li:{kind}:{id}"));
    let parts: Vec<&str> = url.path_segments()?.filter(|it| !it.is_empty()).collect();
    match parts.as_slice() {
        ["feed", "update", id] => {
            let id = id.replace("%3A", ":").replace("%3a", ":");
            let (kind, number) = id.strip_prefix("urn:li:")?.split_once(':')?;
            matches!(kind, "share" | "ugcPost" | "activity").then(|| urn(kind, number)).flatten()
        }
        ["posts", name] => ["share", "ugcPost", "activity"].into_iter().find_map(|kind| {
            let (_, rest) = name.rsplit_once(&format!("-{kind}-"))?;
            urn(kind, rest.split('-').next().unwrap_or_default())
        }),
        _ => None,
    }
}
