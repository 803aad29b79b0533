//! What a script, an impatient person and a power cut do: ask twice, and end the daemon at any
//! instant. There is one post for one intent, on the network and here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::e2e::{House, PATIENCE};
use sendoff::sandbox::Faults;
use serde_json::Value;

const KILLS: usize = 10;
const POSTS: usize = 20;

/// A small generator with a fixed seed: the same kill points in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn create(house: &House, text: &str, key: &str, more: &[&str]) -> crate::e2e::Ran {
    let args =
        ["post", "create", text, "--to", "bluesky:acme", "--at", "2040-01-01 09:00", "--key", key, "--json"];
    house.run(&[&args, more].concat())
}

#[test]
fn the_same_key_and_content_make_one_post_even_across_a_power_cut() {
    let house = House::new();
    let daemon = house.serve();
    house.connect("bluesky", "acme");
    let picture = house.path("oven.png");
    image::RgbImage::from_pixel(64, 36, image::Rgb([200, 120, 40])).save(&picture).unwrap();
    let with_picture = ["--media", picture.to_str().unwrap(), "--alt", "A gradient"];

    let plain = create(&house, "Good morning", "k1", &[]).json();
    let media = create(&house, "Look", "k2", &with_picture).json();
    assert_eq!((&plain["existing"], &media["existing"]), (&Value::Bool(false), &Value::Bool(false)));
    let again = |text: &str, key: &str, more: &[&str], first: &Value| {
        let repeat = create(&house, text, key, more).json();
        assert_eq!((&repeat["id"], &repeat["existing"]), (&first["id"], &Value::Bool(true)), "{repeat}");
    };
    again("Good morning", "k1", &[], &plain);
    again("Look", "k2", &with_picture, &media);
    create(&house, "Good evening", "k1", &[]).refused(1, "key_taken", "`k1`", "another `--key`");
    create(&house, "Good morning", "k1", &with_picture).refused(1, "key_taken", "`k1`", "another `--key`");

    daemon.kill();
    let _daemon = house.serve();
    again("Good morning", "k1", &[], &plain);
    again("Look", "k2", &with_picture, &media);
    create(&house, "Good evening", "k1", &[]).refused(1, "key_taken", "`k1`", "another `--key`");
    assert_eq!(house.posts().len(), 2);
    let deliveries: usize = house.posts().iter().map(|it| it["deliveries"].as_array().unwrap().len()).sum();
    assert_eq!(deliveries, 2);
}

#[test]
fn a_daemon_that_is_told_to_stop_at_any_point_of_its_start_ends_in_order_and_starts_again() {
    let house = House::new();
    let daemon = house.serve();
    house.connect("bluesky", "acme");
    let made = create(&house, "Over many starts", "k1", &[]).json();
    assert_eq!(daemon.stop().code, Some(0));
    let mut in_order = 0;
    for lines in 0..8 {
        let daemon = house.start(&["serve", "-vv"]);
        daemon.err.wait(PATIENCE, |log| log.lines().count() >= lines || log.contains(" ready "));
        let ended = daemon.stop();
        // Before it can listen to signals it simply dies of one, which is in order too.
        assert!(matches!(ended.code, Some(0) | None), "{lines}: {ended:?}");
        in_order += usize::from(ended.code == Some(0));
    }
    assert!(in_order > 0, "it was never told in time");
    let _daemon = house.serve();
    let posts = house.posts();
    assert_eq!((posts.len(), &posts[0]["id"]), (1, &made["id"]));
}

/// Each delivery's state, by its post's text and account.
fn states(house: &House) -> BTreeMap<(String, String), Value> {
    let mut states = BTreeMap::new();
    for post in house.posts() {
        for delivery in post["deliveries"].as_array().unwrap() {
            let text = post["body"].as_str().unwrap().to_owned();
            let account = delivery["account"].as_str().unwrap().to_owned();
            states.insert((text, account), delivery.clone());
        }
    }
    states
}

#[test]
fn a_daemon_that_is_killed_again_and_again_publishes_every_post_exactly_once() {
    let house = House::with(
        "[engine]\nsettle = \"1s\"\nabsence_gap = \"100ms\"\nlane_spacing = \"20ms\"\n\
         catch_up_spacing = \"20ms\"\nkey_wait = \"100ms\"\npoll_scale = 0.01\nbackoff_scale = 0.01\n",
    );
    let mut daemon = house.serve();
    house.connect("x", "acme");
    house.connect("bluesky", "acme");
    house.run(&["pause", "--json"]).json();
    let texts: Vec<String> = (0..POSTS).map(|n| format!("Loaf number {n} is out of the oven")).collect();
    for (n, text) in texts.iter().enumerate() {
        let to = if n % 2 == 0 { "x:acme" } else { "bluesky:acme" };
        house.run(&["post", "create", text, "--to", to, "--now", "--json"]).json();
    }
    // The effect at once and its answer late, so that kills fall between the two.
    let mut faults: Faults = "x.create=slow*8,bluesky.put=slow*8".parse().unwrap();
    faults.slow = Duration::from_secs(1);
    house.sandbox.inject(faults);
    house.run(&["resume", "--json"]).json();

    let mut chance = Chance(42);
    let mut interrupted = 0;
    for _ in 0..KILLS {
        let lines = |text: &str| text.lines().count() as u64;
        let begun = lines(&daemon.err.text());
        let point = chance.below(40);
        // A daemon that waits for a look-up says little; it is killed all the same.
        daemon.err.wait(Duration::from_millis(700), |log| lines(log) > begun + point);
        daemon.kill();
        daemon = house.serve();
        interrupted += states(&house).values().filter(|it| it["state"] == "unknown").count();
    }
    assert!(interrupted > 0, "no kill fell between a request and its answer");
    println!("{interrupted} times a delivery was on the wire when the daemon was killed");

    let began = Instant::now();
    let mut now = states(&house);
    while now.values().any(|it| it["state"] != "published") && began.elapsed() < PATIENCE {
        let seen = daemon.err.text().len();
        daemon.err.wait(Duration::from_secs(1), |log| log.len() > seen + 200);
        now = states(&house);
    }
    assert_eq!(now.len(), POSTS);
    let unfinished: Vec<_> = now.values().filter(|it| it["state"] != "published").collect();
    assert!(unfinished.is_empty(), "{unfinished:#?}\n{}", daemon.err.text());
    let mut live = BTreeMap::<String, usize>::new();
    for it in house.sandbox.published().into_iter().filter(|it| it.deleted.is_none()) {
        *live.entry(it.text).or_default() += 1;
    }
    let once: BTreeMap<String, usize> = texts.into_iter().map(|it| (it, 1)).collect();
    assert_eq!(live, once);
}
