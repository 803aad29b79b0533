//! `kill -9`: the built program, killed at random moments while it publishes, against networks that
//! lose answers. Afterwards every post is on its network exactly once, or the person is told why not.
//!
//! ```text
//! cargo test --test kill -- --nocapture                               12 kills, a burst of 40
//! KILLS=100 cargo test --test kill -- --nocapture                     100 kills, a burst of 200
//! KILL_LONG=1 cargo test --test kill -- --nocapture                   2,000 kills
//! cargo test --features failpoints --test kill -- --nocapture named   at each named crash point
//! ```
//! `KILL_POINT=c14` has only the named points of that name. `KILL_SEED=n` chooses other moments and other trouble. `SENDOFF_BINARY=target/release/sendoff`
//! kills another build of the program than the one beside the tests.
//!
//! The waits of X's class are shortened in the configuration; nothing else differs from a house that
//! a user would set up. 429 is not among the faults: both networks then ask for minutes of silence,
//! and the daemon would keep it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]
#![allow(clippy::print_stdout, reason = "each run tells its seed and its figures")]

#[path = "support/dice.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod dice;
#[path = "support/e2e.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod e2e;
#[path = "kill/mod.rs"]
mod kill;

use std::time::{Duration, Instant};

use dice::Rng;
use e2e::{House, PATIENCE};
use kill::oracle::{self, Live, deliveries, judge, live, rest};
use kill::stream::{self, Wish};
use kill::{long, number};
use sendoff::sandbox::Faults;
use sendoff::store::{Options, Store, check};

const ACCOUNTS: &[&str] = &[
    "bluesky:acme",
    "bluesky:alice",
    "bluesky:alice",
    "x:acme",
    "x:alice",
    "facebook:acme",
    "facebook:alice",
    "instagram:acme",
    "instagram:alice",
    "linkedin:acme-bakery",
];
/// X lets an account post a hundred times in fifteen minutes, so a house sees no more kills than this.
const PER_HOUSE: usize = 100;

/// What goes wrong on the networks, besides the daemon's death.
const TROUBLE: &[&str] = &[
    "x.create=lost_before",
    "x.create=lost_after",
    "x.create=500_after",
    "x.create=truncate",
    "x.create=slow*2",
    "bluesky.put=lost_before",
    "bluesky.put=lost_after",
    "bluesky.put=500_after",
    "bluesky.put=truncate",
    "bluesky.put=slow*4",
    "x.timeline=lost_before",
    "x.timeline=truncate",
    "bluesky.get=lost_after",
    "bluesky.get=truncate",
    "bluesky.upload=lost_before",
    "bluesky.upload=lost_after",
    LOST_TEXT,
    "facebook.feed=lost_after",
    "facebook.feed=500_after",
    "facebook.feed=truncate",
    "facebook.feed=slow*2",
    "facebook.start=lost_after",
    "facebook.upload=lost_before",
    "facebook.finish=lost_before",
    "facebook.finish=lost_after",
    "facebook.finish=500_after",
    "facebook.posts=truncate",
    "facebook.get=lost_before",
    "instagram.limit=lost_before",
    "instagram.container=lost_before",
    "instagram.container=lost_after",
    "instagram.container=truncate",
    "instagram.publish=lost_before",
    "instagram.publish=lost_after",
    "instagram.publish=500_after",
    "instagram.publish=truncate",
    "instagram.publish=slow*2",
    "instagram.get=lost_before",
    "instagram.get=truncate",
    "instagram.list=lost_before",
    "instagram.list=truncate",
    "linkedin.upload=lost_before",
    "linkedin.create=lost_before",
    "linkedin.create=lost_after",
    "linkedin.create=500_after",
    "linkedin.create=truncate",
    "linkedin.create=slow*2",
    "linkedin.list=truncate",
    "tiktok.last=lost_before",
    "tiktok.last=lost_after",
    "tiktok.last=500_after",
    "tiktok.status=lost_before",
];
/// Of a text for a Page that never arrived nobody but a person can say so.
const LOST_TEXT: &str = "facebook.feed=lost_before";

/// A house with two accounts on most networks, connected, a page on LinkedIn and one creator on TikTok.
fn house(engine: &str) -> House {
    let house = House::with(&format!("[engine]\n{engine}"));
    stream::draw(&house);
    let daemon = house.serve();
    for network in ["x", "bluesky", "facebook", "instagram"] {
        for user in ["acme", "alice"] {
            connect(&house, network, user);
        }
    }
    connect(&house, "linkedin", "acme-bakery");
    connect(&house, "tiktok", "acme");
    daemon.kill();
    house
}

/// Connects as the network's user of that name.
fn connect(house: &House, network: &str, user: &str) {
    let instance = house.instance();
    let mut args = vec![network, "--yes"];
    // Of all the pages of a person each has its own name.
    args.extend(if network == "linkedin" { ["--kind", "organization"] } else { ["--name", user] });
    if network == "bluesky" {
        args.extend(["--instance", &instance]);
    }
    let connecting = house.connecting(&args);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let handle = match network {
        "bluesky" => format!("{user}.test"),
        "linkedin" => "acme".to_owned(),
        _ => user.to_owned(),
    };
    // On Facebook a person allows one of the Pages.
    let form = [("decision", "allow"), ("user", &handle), ("pages", user)];
    let back = browser.decide(&consent, &form[..if network == "facebook" { 3 } else { 2 }]);
    assert_eq!(browser.land(&back).0, 303);
    assert_eq!(connecting.end().json()["event"], "connected");
}

fn inject(house: &House, faults: &str) {
    let mut faults: Faults = faults.parse().unwrap();
    faults.slow = Duration::from_secs(1);
    house.sandbox.inject(faults);
}

/// The daemon ends in order, its store is whole, and the networks never had to stop a second post.
fn assert_sound(house: &House, daemon: e2e::Process) {
    let ran = daemon.stop();
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let store = Store::open(&house.data(), jiff::Timestamp::now(), Options::default()).unwrap();
    assert_eq!(store.read(check::all).unwrap(), Vec::<String>::new());
    let refused = house.sandbox.refusals();
    let second: Vec<_> = refused.iter().filter(|it| it.reason.contains("duplicate")).collect();
    assert!(second.is_empty(), "only the network kept these from being there twice: {second:#?}");
}

#[test]
fn killed_at_random_moments_it_publishes_every_post_exactly_once() {
    let kills = usize::try_from(number("KILLS", if long() { 2_000 } else { 12 })).unwrap();
    let first = number("KILL_SEED", 1);
    if kills < PER_HOUSE {
        println!("{kills} kills, the short form; KILLS=100 is what every change is tested with");
    }
    let (mut done, mut posts) = (0, 0);
    for seed in first.. {
        if done == kills {
            break;
        }
        let some = PER_HOUSE.min(kills - done);
        posts += a_house_is_stormed(seed, some);
        done += some;
    }
    println!("{done} kills in all, {posts} posts: none missing, none twice");
}

/// Gives the number of posts.
fn a_house_is_stormed(seed: u64, kills: usize) -> usize {
    println!("KILL_SEED={seed}: {kills} kills");
    let mut chance = Rng(seed);
    let house = house(
        "settle = \"3s\"\nabsence_gap = \"200ms\"\nlane_spacing = \"20ms\"\ncatch_up_spacing = \"20ms\"\n\
         key_wait = \"200ms\"\npoll_scale = 0.02\nbackoff_scale = 0.01\n",
    );
    let wishes = Wish::many(&mut chance, &format!("s{seed}"), kills * 3 / 2, ACCOUNTS);
    let mut lost_texts = 0;
    let trouble = |chance: &mut Rng| {
        for _ in 0..chance.below(3) {
            let fault = stream::pick(chance, TROUBLE);
            lost_texts += usize::from(fault == LOST_TEXT);
            inject(&house, fault);
        }
    };
    let after = stream::storm(&house, &mut chance, &wishes, kills, trouble);
    let posts = rest(&house, &after.daemon, |_| {});
    let settled = after.ready.elapsed();
    let ends = judge(&wishes, &after.ids, &posts, &live(&house));
    println!(
        "KILL_SEED={seed}: {}, {} posts, at rest {:.1} s after the last start; deliveries:\n{}",
        after.figures,
        wishes.len(),
        settled.as_secs_f64(),
        oracle::told(&ends)
    );
    // A reel is known by its handle.
    let is_text = |delivery: &String| {
        let has = |post: &serde_json::Value| {
            post["deliveries"].as_array().unwrap().iter().any(|it| it["id"] == **delivery)
        };
        let post = posts.iter().find(|it| has(it)).unwrap()["id"].as_str().unwrap();
        let wish = after.ids.iter().position(|it| it == post).unwrap();
        !wishes[wish].reel
    };
    let texts = after.figures.on_facebook.iter().filter(|it| is_text(it)).count();
    oracle::all_published_but(&ends, lost_texts + texts);
    assert_sound(&house, after.daemon);
    wishes.len()
}

#[test]
fn killed_in_the_middle_of_a_burst_it_loses_and_doubles_nothing() {
    let big = long() || number("KILLS", 0) >= 100;
    let (size, first) = if big { (200, 60) } else { (40, 12) };
    let mut chance = Rng(number("KILL_SEED", 1));
    // The waits are the usual ones but for X's fifteen minutes of `settle` and the lanes' spacing.
    let house =
        house("settle = \"3s\"\nabsence_gap = \"1s\"\nlane_spacing = \"0s\"\ncatch_up_spacing = \"0s\"\n");
    let daemon = house.serve();
    house.run(&["pause", "--json"]).json();
    let accounts = ["x:acme", "x:alice", "bluesky:acme", "bluesky:alice"];
    let wishes: Vec<_> =
        (0..size).map(|n| Wish::new(&format!("b-{n}"), &[accounts[n % accounts.len()]], 1)).collect();
    let ids = stream::write_down(&house, &wishes);
    house.run(&["resume", "--json"]).json();
    let point = first + usize::try_from(chance.below(size as u64 / 2)).unwrap();
    daemon.err.wait(PATIENCE, |_| live(&house).len() + accounts.len() >= point);
    // From here on answers come in drips: some posts are live and not known to be.
    inject(&house, "x.create=slow*8,bluesky.put=slow*8");
    let known = || daemon.err.text().matches(": published: ").count();
    let waiting = Instant::now();
    let there = loop {
        let there = live(&house).len();
        if there >= point && there > known() {
            break there;
        }
        assert!(waiting.elapsed() < PATIENCE, "{there} are live, {} of them known", known());
        daemon.err.wait(Duration::from_millis(5), |_| false);
    };
    daemon.kill();
    assert!((point..size).contains(&there), "it was not killed in the middle, but after {there}");

    let began = Instant::now();
    let daemon = house.serve();
    let found = stream::found_in_a_call(&daemon.err.text());
    assert!(found > 0, "no call was on the wire");
    let mut bluesky = None;
    let posts = rest(&house, &daemon, |posts| {
        let mut all = deliveries(posts).filter(|it| it["account"].as_str().unwrap().starts_with("bluesky"));
        if bluesky.is_none() && all.all(oracle::is_at_rest) {
            bluesky = Some(began.elapsed());
        }
    });
    let all = began.elapsed();
    let ends = judge(&wishes, &ids, &posts, &live(&house));
    println!(
        "a burst of {size}, killed after {there} with {found} calls on the wire; after the restart Bluesky \
         was at rest in {:.1} s, everything in {:.1} s; deliveries:\n{}",
        bluesky.unwrap_or(all).as_secs_f64(),
        all.as_secs_f64(),
        oracle::told(&ends)
    );
    // X and Bluesky leave nothing open.
    oracle::all_published_but(&ends, 0);
    assert_sound(&house, daemon);
}

/// A thread of two that is live as it should be: what was wanted, known and found.
fn a_thread() -> (Vec<Wish>, Vec<serde_json::Value>, Vec<Live>) {
    let wish = Wish::new("t", &["x:acme"], 2);
    let live: Vec<_> = (1..=2)
        .map(|n| Live {
            account: "x:acme".into(),
            id: n.to_string(),
            film: None,
            text: wish.parts[n - 1].clone(),
            parent: (n == 2).then(|| "1".into()),
        })
        .collect();
    let post = serde_json::json!({"id": "pst_1", "parts": wish.parts, "deliveries": [
        {"account": "x:acme", "state": "published", "held": false,
         "steps": [{"remote_id": "1"}, {"remote_id": "2"}]}]});
    (vec![wish], vec![post], live)
}

#[test]
fn the_oracle_notices_what_is_missing_doubled_out_of_order_or_unexplained() {
    type Damage = fn(&mut Vec<serde_json::Value>, &mut Vec<Live>);
    let damages: [(&str, Damage); 8] = [
        ("a part is missing", |_, live| drop(live.pop())),
        ("a part is there twice", |_, live| live.push(Live { id: "3".into(), ..live[1].clone() })),
        ("a part hangs on nothing", |_, live| live[1].parent = None),
        ("it is live under another id", |_, live| live[0].id = "9".into()),
        ("nobody wrote it", |_, live| live.push(Live { text: "Spam".into(), ..live[0].clone() })),
        ("it moves for ever", |posts, _| posts[0]["deliveries"][0]["state"] = "unknown".into()),
        ("no reason is given", |posts, _| posts[0]["deliveries"][0]["state"] = "rejected".into()),
        ("the post was written twice", |posts, _| posts.push(posts[0].clone())),
    ];
    let verdict = |damage: Damage| {
        let (wishes, mut posts, mut live) = a_thread();
        damage(&mut posts, &mut live);
        std::panic::catch_unwind(|| judge(&wishes, &["pst_1".to_owned()], &posts, &live))
    };
    assert!(verdict(|_, _| {}).is_ok());
    for (what, damage) in damages {
        assert!(verdict(damage).is_err(), "not noticed: {what}");
    }
}

#[test]
fn the_oracle_notices_ends_that_nothing_explains() {
    let end = |network: &str, how: &str, why: &str| oracle::End {
        network: network.into(),
        how: how.into(),
        why: why.into(),
    };
    let lost = "held: it is not on the network, but this network cannot rule out that it still appears";
    let text = || end("facebook", "held", lost);
    let passes = |ends: Vec<(oracle::End, usize)>, open| {
        std::panic::catch_unwind(|| oracle::all_published_but(&ends.into_iter().collect(), open)).is_ok()
    };
    assert!(passes(vec![(end("x", "published", ""), 7), (text(), 2)], 2));
    assert!(!passes(vec![(text(), 2)], 1), "more are held than calls were interrupted");
    for (what, it) in [
        ("a refusal out of nowhere", end("bluesky", "rejected", "invalid_content: no")),
        ("missed in a minute", end("x", "missed", "late: it was due 1 min ago")),
        ("held where the list tells", end("x", "held", lost)),
        ("held where the container tells", end("instagram", "held", lost)),
        ("held where the page tells", end("linkedin", "held", lost)),
        ("held where the task tells", end("tiktok", "held", lost)),
        ("held instead of looking", end("facebook", "held", "held: somebody should look")),
    ] {
        assert!(!passes(vec![(it, 1)], 9), "not noticed: {what}");
    }
}

/// Where it can be made to die, how often in a row it passes there, and what the networks do meanwhile.
#[cfg(feature = "failpoints")]
const POINTS: &[(&str, u32, &str)] = &[
    ("c1", 3, ""),
    ("c2", 3, ""),
    ("c3", 1, ""),
    ("c4", 1, ""),
    ("c5", 1, ""),
    ("c6", 3, ""),
    ("c7", 3, ""),
    ("c8", 4, ""),
    ("c9", 4, ""),
    ("c10", 3, ""),
    ("c11", 3, ""),
    ("c12", 3, ""),
    ("c13", 3, "bluesky.put=lost_after*2,x.create=lost_after,instagram.publish=lost_after"),
    ("c13", 1, "bluesky.put=lost_before,x.create=500_after,instagram.publish=lost_before"),
    ("c15", 1, ""),
    // Last, because an account may learn only later that a refresh has cost it its token.
    ("c14", 2, ""),
];

#[cfg(feature = "failpoints")]
#[test]
fn killed_at_each_named_point_it_publishes_every_post_exactly_once() {
    let house = house(
        "settle = \"2s\"\nabsence_gap = \"200ms\"\nlane_spacing = \"20ms\"\ncatch_up_spacing = \"20ms\"\n\
         key_wait = \"200ms\"\npoll_scale = 0.02\nbackoff_scale = 0.01\n",
    );
    let (mut wishes, mut ids, mut open) = (Vec::new(), Vec::new(), 0);
    let mut daemon = house.serve();
    let only = std::env::var("KILL_POINT").ok();
    for (point, passages, faults) in
        POINTS.iter().filter(|it| only.as_deref().is_none_or(|only| it.0 == only))
    {
        for passage in 1..=*passages {
            house.run(&["pause", "--json"]).json();
            let name = format!("{point}-{passage}-{}", faults.len());
            // A Page takes 30 reels a day.
            let pages = ["facebook:acme", "facebook:alice"];
            let (reels, texts) = (pages[ids.len() % 2], pages[1 - ids.len() % 2]);
            let new = [
                Wish::new(&format!("{name}-a"), &["bluesky:acme"], 1).with_picture(),
                Wish::new(&format!("{name}-b"), &["bluesky:alice"], 2),
                Wish::new(&format!("{name}-c"), &["x:alice", "bluesky:alice"], 1),
                Wish::new(&format!("{name}-d"), &["x:acme"], 1),
                Wish::new(&format!("{name}-e"), &[reels], 1).with_film(),
                Wish::new(&format!("{name}-f"), &[texts], 1),
                Wish::new(&format!("{name}-g"), &["instagram:acme"], 1).with_film(),
                Wish::new(&format!("{name}-h"), &["instagram:alice"], 1).with_picture(),
                Wish::new(&format!("{name}-i"), &["linkedin:acme-bakery"], 1).with_picture(),
            ];
            ids.extend(stream::write_down(&house, &new));
            wishes.extend(new);
            inject(&house, faults);
            daemon.kill();
            if *point == "c15" {
                // Recovery has something to do only after another death.
                dies_at(&house, "c9", 1);
            }
            dies_at(&house, point, passage);
            daemon = house.serve();
            house.run(&["resume", "--json"]).json();
            let posts = rest(&house, &daemon, |_| connect_what_is_lost(&house, point));
            let ends = judge(&wishes, &ids, &posts, &live(&house));
            // At each death a text for a Page may be on the wire.
            open += 1;
            oracle::all_published_but(&ends, open);
        }
        println!("{point}: killed at {passages} passages, {} posts so far", wishes.len());
    }
    assert_sound(&house, daemon);
}

/// A refresh whose answer was lost has cost the token, and the person was told. What waits for that is not
/// always called so: a delivery whose call was interrupted stays in doubt until somebody can look.
#[cfg(feature = "failpoints")]
fn connect_what_is_lost(house: &House, point: &str) {
    let all = house.run(&["account", "list", "--json"]).json();
    for it in all["accounts"].as_array().unwrap().iter().filter(|it| it["state"] == "needs_reconnect") {
        assert_eq!(point, "c14", "{it:#}");
        let (network, user) = it["account"].as_str().unwrap().split_once(':').unwrap();
        connect(house, network, user);
    }
}

/// Starts a daemon that is to die at a named point, and sees it die there.
#[cfg(feature = "failpoints")]
fn dies_at(house: &House, point: &str, passage: u32) {
    let daemon = house.start_with(&["serve", "-v"], "SENDOFF_FAILPOINT", &format!("{point}:{passage}"));
    daemon.err.wait(PATIENCE, |log| log.contains(" ready "));
    // It may be dead before it can answer these.
    house.run(&["resume", "--json"]);
    if point == "c14" {
        // An earlier death there may have been noticed only when all was at rest.
        connect_what_is_lost(house, point);
        house.run(&["account", "refresh", "bluesky:acme", "--json"]);
        house.run(&["account", "refresh", "x:acme", "--json"]);
    }
    // Ahead of a log of many pages, should it not.
    println!("{point}:{passage}: to die here");
    let ran = daemon.end();
    assert_eq!(ran.code, None, "{point}:{passage} was never passed: {}", ran.err);
}
