//! The demonstration as a person runs it: it leaves nothing behind, however it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

#[path = "support/e2e.rs"]
#[allow(dead_code, reason = "the other test files use the rest")]
mod e2e;

use e2e::{House, PATIENCE, files};

#[test]
fn a_demonstration_that_is_interrupted_leaves_no_keys_behind() {
    let house = House::new();
    let demo = house.start(&["demo", "--json"]);
    assert!(demo.out.wait(PATIENCE, |text| text.contains("\"event\":\"connected\"")), "{}", demo.err.text());
    assert!(!files(&house.path("tmp")).is_empty(), "it works in a directory of its own");
    let ran = demo.stop();
    ran.refused(1, "interrupted", "was interrupted", "");
    assert_eq!(files(&house.path("tmp")), []);
}

#[test]
fn a_fast_demonstration_publishes_what_is_in_the_queue_without_waiting_for_its_slot() {
    let house = House::new();
    let ran = house.run(&["demo", "--once", "--fast", "--json"]);
    let done = ran.json();
    assert_eq!((&done["event"], &done["ok"]), (&"done".into(), &true.into()), "{done}");
    let mut live: Vec<String> = Vec::new();
    for it in done["deliveries"].as_array().unwrap() {
        assert_eq!((&it["state"], it["permalink"].is_string()), (&"published".into(), true), "{it}");
        live.push(it["account"].as_str().unwrap().to_owned());
    }
    let count = |account: &str| live.iter().filter(|it| *it == account).count();
    // Text, picture, several pictures, reel; Instagram takes no text alone.
    assert_eq!((count("facebook:acme"), count("instagram:acme")), (4, 3), "{live:?}");
    assert!(count("x:acme") > 0 && count("bluesky:acme") > 0, "{live:?}");
    // The post of the queue got its slot first, and then another time.
    let scheduled: Vec<serde_json::Value> =
        ran.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let queued = scheduled.iter().find(|it| it["event"] == "scheduled").unwrap();
    let id = &queued["post"]["deliveries"][0]["id"];
    let all = done["deliveries"].as_array().unwrap();
    let ended = all.iter().find(|it| it["id"] == *id).unwrap();
    assert_ne!(queued["post"]["deliveries"][0]["due"], ended["due"], "{done}");
    assert_eq!(files(&house.path("tmp")), []);
}
