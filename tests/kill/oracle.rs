//! Waits until nothing moves any more, and then compares what was wanted, what the daemon says and
//! what the network holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::stream::Wish;
use crate::e2e::{House, Process};

/// A daemon that has not come to rest after so long never will.
const REST: Duration = Duration::from_mins(8);

/// A post that is on a network now.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// `platform:name`, as the daemon calls the account.
    pub(crate) account: String,
    pub(crate) id: String,
    /// Of the film it shows.
    pub(crate) film: Option<String>,
    pub(crate) text: String,
    pub(crate) parent: Option<String>,
}

/// What the sandbox holds.
pub(crate) fn live(house: &House) -> Vec<Live> {
    let all = house.sandbox.published().into_iter().filter(|it| it.deleted.is_none());
    all.map(|it| Live {
        account: format!("{}:{}", it.network, it.account.trim_end_matches(".test")),
        id: it.id,
        film: it.film,
        text: it.text,
        parent: it.parent,
    })
    .collect()
}

/// Every post that the daemon knows.
pub(crate) fn posts(house: &House) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut args = vec!["post", "list", "--limit", "500", "--json"];
        if let Some(cursor) = cursor.as_deref() {
            args.extend(["--after", cursor]);
        }
        let page = house.run(&args).json();
        all.extend(page["posts"].as_array().unwrap().iter().cloned());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return all;
        }
    }
}

pub(crate) fn deliveries(posts: &[Value]) -> impl Iterator<Item = &Value> {
    posts.iter().flat_map(|it| it["deliveries"].as_array().unwrap())
}

pub(crate) fn is_at_rest(delivery: &Value) -> bool {
    let ended = ["published", "rejected", "missed", "cancelled", "handed_over"];
    delivery["held"] == true || ended.iter().any(|it| delivery["state"] == *it)
}

/// Waits until every delivery has ended or is held. `look` sees each stage.
pub(crate) fn rest(house: &House, daemon: &Process, mut look: impl FnMut(&[Value])) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let seen = daemon.err.text().len();
        let posts = posts(house);
        look(&posts);
        let moving: Vec<_> = deliveries(&posts).filter(|it| !is_at_rest(it)).collect();
        if moving.is_empty() {
            return posts;
        }
        assert!(began.elapsed() < REST, "these never end: {moving:#?}\n{}", daemon.err.text());
        daemon.err.wait(Duration::from_millis(300), |log| log.len() > seen + 300);
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) network: String,
    /// `published`, `held`, or another end.
    pub(crate) how: String,
    /// The class of the reason, and what it says; nothing if it is published.
    pub(crate) why: String,
}

/// How many ended in which way.
pub(crate) type Ends = BTreeMap<End, usize>;

impl End {
    fn of(delivery: &Value) -> Self {
        let network = delivery["account"].as_str().unwrap().split(':').next().unwrap().to_owned();
        let state = delivery["state"].as_str().unwrap();
        let how = if delivery["held"] == true { "held" } else { state }.to_owned();
        let said = |key: &str| delivery["reason"][key].as_str().unwrap_or_default();
        let why = if how == "published" {
            String::new()
        } else {
            format!("{}: {}", said("class"), said("message"))
        };
        Self { network, how, why }
    }
}

/// The ends in words, a line each.
pub(crate) fn told(ends: &Ends) -> String {
    let lines = ends.iter().map(|(it, n)| format!("  {n} {} {} {}", it.network, it.how, it.why));
    lines.map(|it| it.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Everything is published, except what nobody but a person can tell: a text for a Page whose call was
/// interrupted, or whose request the network never answered, and which the Page then did not show. There
/// can be no more of these than `open` such calls.
pub(crate) fn all_published_but(ends: &Ends, open: usize) {
    let told = told(ends);
    let mut held = 0;
    for (end, n) in ends.iter().filter(|(end, _)| end.how != "published") {
        let left_open = end.network == "facebook"
            && end.how == "held"
            && end.why.contains("it is not on the network, but this network cannot rule out");
        assert!(left_open, "nothing kept this from being published: {end:?}\n{told}");
        held += n;
    }
    assert!(held <= open, "{held} are held, and only {open} calls left anything open\n{told}");
}

/// Every wish is one post of the daemon's; every part of it is live exactly once where the daemon
/// says so, in order and under the id it names, and otherwise not more than once and with a reason
/// for the person; nothing else is live. Gives the deliveries' ends.
pub(crate) fn judge(wishes: &[Wish], ids: &[String], posts: &[Value], live: &[Live]) -> Ends {
    let known: BTreeSet<&str> = posts.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let acknowledged: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(ids.len(), wishes.len(), "every post was acknowledged in the end");
    assert_eq!(known, acknowledged, "the posts that are known are those that were acknowledged");
    assert_eq!(posts.len(), wishes.len(), "one post for each wish, however often it was written");

    let mut found = BTreeMap::<(&str, &str), Vec<&Live>>::new();
    for it in live {
        found.entry((&it.account, &it.text)).or_default().push(it);
    }
    let mut ends = Ends::new();
    for wish in wishes {
        let written: Vec<&str> = wish.parts.iter().map(String::as_str).collect();
        let texts = |it: &Value| -> Vec<String> {
            it["parts"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        let own: Vec<_> = posts.iter().filter(|it| texts(it) == written).collect();
        let [post] = own.as_slice() else { panic!("{} posts for {wish:?}", own.len()) };
        let all = post["deliveries"].as_array().unwrap();
        let to: BTreeSet<&str> = all.iter().map(|it| it["account"].as_str().unwrap()).collect();
        assert_eq!((all.len(), &to), (wish.to.len(), &wish.to.iter().map(String::as_str).collect()));
        for delivery in all {
            let parts = wish.parts.iter().map(|text| {
                found.remove(&(delivery["account"].as_str().unwrap(), text.as_str())).unwrap_or_default()
            });
            judge_delivery(delivery, &parts.collect::<Vec<_>>());
            *ends.entry(End::of(delivery)).or_default() += 1;
        }
    }
    assert!(found.is_empty(), "nobody wrote these: {found:#?}");
    ends
}

/// The part that is next: the first without an id.
fn delivery_step(delivery: &Value) -> usize {
    let steps = delivery["steps"].as_array().unwrap();
    steps.iter().position(|it| it["remote_id"].is_null()).unwrap_or(steps.len())
}

/// `parts`: what is live of each part.
fn judge_delivery(delivery: &Value, parts: &[Vec<&Live>]) {
    let steps = delivery["steps"].as_array().unwrap();
    assert_eq!(steps.len(), parts.len(), "{delivery:#}");
    let published = delivery["state"] == "published";
    if !published {
        let reason = delivery["reason"]["message"].as_str().unwrap_or_default();
        assert!(is_at_rest(delivery) && !reason.is_empty(), "it ended without a reason: {delivery:#}");
        let held_part = parts.get(delivery_step(delivery)).is_some_and(|it| !it.is_empty());
        assert!(!held_part, "it is held, and a look would have found it: {delivery:#}");
    }
    let mut before: Option<&Live> = None;
    for (step, live) in steps.iter().zip(parts) {
        assert!(live.len() <= 1, "it is live {} times: {live:#?}\n{delivery:#}", live.len());
        let Some(live) = live.first() else {
            assert!(!published && step["remote_id"].is_null(), "it is not live: {delivery:#}");
            before = None;
            continue;
        };
        if published || !step["remote_id"].is_null() {
            // A reel is known by its video, and so is its address.
            let address = step["permalink"].as_str().unwrap_or_default();
            let reel = |film: &String| {
                step["remote_id"] == film.as_str() && address.ends_with(&format!("/reel/{film}/"))
            };
            let named = step["remote_id"] == live.id.as_str() || live.film.as_ref().is_some_and(reel);
            assert!(named, "it is live under another id, {}: {delivery:#}", live.id);
        }
        assert_eq!(live.parent, before.map(|it| it.id.clone()), "the thread is broken: {delivery:#}");
        before = Some(live);
    }
}
