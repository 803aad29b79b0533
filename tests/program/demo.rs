//! The demonstration as a person runs it: it leaves nothing behind, however it ends.

use crate::e2e::{House, PATIENCE, Process, files};

#[test]
fn a_demonstration_that_is_interrupted_leaves_no_keys_behind() {
    for end in [Process::stop, Process::hang_up] {
        let house = House::new();
        let demo = house.start_on_a_terminal(&["demo", "--json"]);
        let connected = demo.out.wait(PATIENCE, |text| text.contains("\"event\":\"connected\""));
        assert!(connected, "{}", demo.err.text());
        assert!(!files(&house.path("tmp")).is_empty(), "it works in a directory of its own");
        end(demo).refused(1, "interrupted", "was interrupted", "");
        assert_eq!(files(&house.path("tmp")), []);
    }
}

#[test]
fn the_stand_ins_leave_no_secret_behind_when_their_terminal_goes() {
    let house = House::new();
    let sandbox = house.start_on_a_terminal(&["sandbox", "--json"]);
    sandbox.event(0);
    assert!(!files(&house.path("tmp")).is_empty(), "the secret of their apps");
    assert_eq!(sandbox.hang_up().code, Some(0));
    assert_eq!(files(&house.path("tmp")), []);
}

#[test]
fn a_demonstration_that_nobody_reads_ends_well_all_the_same() {
    let house = House::new();
    assert_eq!(house.run_unheard(&["demo", "--once", "--fast"]), Some(0));
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
        let inbox = it["account"] == "tiktok:acme" && it["state"] == "handed_over";
        assert!(inbox || (it["state"] == "published" && it["permalink"].is_string()), "{it}");
        // The evidence: read back, or what TikTok calls the task. A member's posts nobody can read.
        let task = it["steps"][0]["publish_id"].as_str().is_some_and(|it| it.starts_with("v_inbox_file"));
        assert_eq!(inbox, task, "{it}");
        assert_eq!(it["verified"], it["account"] != "linkedin:acme", "{it}");
        live.push(it["account"].as_str().unwrap().to_owned());
    }
    let count = |account: &str| live.iter().filter(|it| *it == account).count();
    // Text, picture, several pictures, reel; Instagram takes no text alone.
    assert_eq!((count("facebook:acme"), count("instagram:acme")), (4, 3), "{live:?}");
    assert_eq!(count("linkedin:acme"), 4, "text, pictures, film, document: {live:?}");
    assert_eq!(count("tiktok:acme"), 2, "a film to the inbox, photos to the profile: {live:?}");
    assert!(count("x:acme") > 0 && count("bluesky:acme") > 0, "{live:?}");
    let of_x =
        |it: &&serde_json::Value| it["account"] == "x:acme" && it["steps"].as_array().unwrap().len() == 2;
    assert!(
        done["deliveries"].as_array().unwrap().iter().any(|it| of_x(&it)),
        "a picture and a film: {done}"
    );
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

#[test]
fn a_demonstration_for_people_says_of_each_post_how_far_it_is_proven_and_in_one_column() {
    let house = House::new();
    let ran = house.run(&["demo", "--once", "--fast"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let ended: Vec<&str> =
        ran.out.lines().filter(|it| it.starts_with("published ") || it.starts_with("handed over ")).collect();
    assert!(ended.len() > 10, "{}", ran.out);
    for line in &ended {
        let column = line.char_indices().find(|(at, it)| *at >= 11 && *it != ' ').unwrap().0;
        assert_eq!(column, 12, "{line}");
        let unproven = line.contains("accepted, not verified");
        assert_eq!(unproven, line.contains("linkedin:acme"), "{line}");
    }
    let task = ran.out.lines().skip_while(|it| !it.starts_with("handed over ")).nth(1).unwrap();
    assert!(task.trim_start().starts_with("publish_id v_inbox_file~"), "{task}");
    assert!(!ran.out.contains("without its evidence"), "{}", ran.out);
}
