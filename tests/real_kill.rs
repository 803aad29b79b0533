//! `kill -9` against software nobody here wrote: the program publishes to the Bluesky reference
//! server through a proxy that loses requests and answers, and is killed again and again meanwhile.
//! Afterwards the server holds every record exactly once.
//!
//! Needs Node.js and the server's packages, as `tests/real_bluesky.rs` does, and says so without
//! them. 50 kills while 200 posts go out; `KILL_LONG=1` makes it 200 kills; `KILL_SEED=n` chooses
//! other moments.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

#[path = "support/dice.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod dice;
#[path = "support/e2e.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod e2e;
#[path = "kill/mod.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod kill;
#[path = "real/proxy.rs"]
mod proxy;
#[path = "real/support.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod support;

use dice::Rng;
use e2e::House;
use kill::oracle::{Live, all_published_but, judge, rest};
use kill::stream::{self, Wish};
use kill::{long, number};
use proxy::{Fate, Proxy};
use serde_json::Value;
use support::{ReferenceServer, RemoteAccount, Tools, stage, text};

const POSTS: usize = 200;

#[test]
fn a_real_server_holds_every_post_exactly_once_after_any_number_of_kills() {
    let tools = match Tools::find() {
        Ok(tools) => tools,
        Err(why) => {
            let required = std::env::var_os("SENDOFF_REAL_REQUIRED").is_some_and(|it| it == "1");
            assert!(!required, "the real server is required here, but {why}");
            return stage(&format!("skipped: {why}"));
        }
    };
    let kills = if long() { 200 } else { 50 };
    let seed = number("KILL_SEED", 1);
    let mut chance = Rng(seed);
    let dir = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(seed);
    let server = ReferenceServer::start_behind(&tools, dir.path(), &proxy.url);
    proxy.lead_to(&server.direct);
    stage(&format!(
        "KILL_SEED={seed}: reference server at {}, behind the proxy {}",
        server.direct, server.pds
    ));

    let house = House::with(
        "[engine]\nlane_spacing = \"20ms\"\ncatch_up_spacing = \"20ms\"\npoll_scale = 0.02\n\
         backoff_scale = 0.01\n",
    );
    house.patch(&format!(
        "[platforms.bluesky.endpoints]\nplc = \"{}\"\n[egress]\nallow = [\"127.0.0.0/8\", \"::1/128\"]\n",
        server.plc
    ));
    stream::draw(&house);
    let daemon = house.serve();
    for (name, account) in ["acme", "alice"].into_iter().zip(&server.accounts) {
        connect(&house, &server, name, account);
    }
    daemon.kill();

    let wishes = Wish::many(&mut chance, &format!("r{seed}"), POSTS, &["bluesky:acme", "bluesky:alice"]);
    proxy.trouble(true);
    let after = stream::storm(&house, &mut chance, &wishes, kills, |_| {});
    let posts = rest(&house, &after.daemon, |_| {});
    proxy.trouble(false);
    let settled = after.ready.elapsed();

    let mut live = Vec::new();
    for (name, account) in ["bluesky:acme", "bluesky:alice"].into_iter().zip(&server.accounts) {
        live.extend(server.posts(account).iter().map(|it| record(name, it)));
    }
    let ends = judge(&wishes, &after.ids, &posts, &live);
    all_published_but(&ends, 0);
    let fates = proxy.fates();
    assert!(fates.contains_key(&Fate::LostAfter), "the proxy lost no answer: {fates:?}");
    stage(&format!(
        "{}, {POSTS} posts, {} records each once, requests {fates:?}, at rest {:.1} s after the last start",
        after.figures,
        live.len(),
        settled.as_secs_f64()
    ));
    assert_eq!(after.daemon.stop().code, Some(0));
    server.stop();
}

fn connect(house: &House, server: &ReferenceServer, name: &str, account: &RemoteAccount) {
    let connecting = house.connecting(&["bluesky", "--instance", &server.pds, "--name", name, "--yes"]);
    server.consent(&connecting.link(), account, &[]);
    let ran = connecting.end();
    assert_eq!(ran.json()["event"], "connected", "{ran:?}");
}

fn record(account: &str, it: &Value) -> Live {
    Live {
        account: account.to_owned(),
        film: None,
        id: text(&it["uri"]),
        text: text(&it["value"]["text"]),
        parent: it["value"]["reply"]["parent"]["uri"].as_str().map(str::to_owned),
    }
}
