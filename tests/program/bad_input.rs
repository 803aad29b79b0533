//! Everything a person, a machine or a network can get wrong: each has a message with a remedy, its
//! own exit code and error word, and leaves everything as it was.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::e2e::{House, files};

/// All files of the data directory but the lock, which names the process that took it last.
fn kept(house: &House) -> Vec<(PathBuf, Vec<u8>)> {
    files(&house.data()).into_iter().filter(|(path, _)| !path.ends_with("lock")).collect()
}

const ALLOW: &[(&str, &str)] = &[("decision", "allow")];

#[test]
fn a_fault_of_syntax_and_one_of_meaning_show_line_column_and_caret() {
    let house = House::new();
    let good = fs::read_to_string(&house.config).unwrap();
    // What a check can see of secrets without using them.
    let key = house.config.with_file_name("master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let app = "[platforms.x]\nclient_id = \"1\"\nclient_secret = { file = \"nobody.secret\" }\n";
    let faulty = house.config.with_file_name("faulty.toml");
    let without: String = good.split("[platforms.x]").next().unwrap().to_owned();
    fs::write(&faulty, format!("{without}\n{app}")).unwrap();
    let check = house.run(&["config", "check", "--json", "--config", faulty.to_str().unwrap()]).json();
    let told = check["warnings"].to_string();
    for part in ["0644", "chmod 0600", "[platforms.x] client_secret", "nobody.secret"] {
        assert!(told.contains(part), "{part}: {check}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    for (bad, place, what) in [
        ("[server\n", ":1:8", "["),
        ("[defaults]\ntimezone = \"Europe/Atlantis\"\n", ":2:12", "Europe/Atlantis"),
    ] {
        fs::write(&house.config, bad).unwrap();
        for command in [&["config", "check", "--json"][..], &["serve", "--json"]] {
            let ran = house.run(command);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            let answer: serde_json::Value = serde_json::from_str(ran.err.trim()).unwrap();
            assert_eq!(answer["error"]["code"], "bad_config");
            let message = answer["error"]["message"].as_str().unwrap();
            let (line, caret) = message.split_once(place).expect(message).1.split_once('^').expect(message);
            assert!(line.contains(what), "{message}");
            assert!(!caret.contains("control_socket"), "one fault only: {message}");
        }
    }
    fs::write(&house.config, good).unwrap();
    assert!(files(&house.data()).is_empty(), "a daemon that does not start makes nothing");
}

#[test]
fn what_a_post_gets_wrong_is_told_and_nothing_of_it_is_kept() {
    let house =
        House::with("[[queue]]\nname = \"mornings\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n");
    let _daemon = house.serve();
    house.connect("x", "acme");
    let create = |args: &[&str]| house.run(&[&["post", "create", "--json"], args].concat());
    assert_eq!(
        house.run(&["queue", "show", "mornings", "--next", "0"]).code,
        Some(2),
        "no slots are no list"
    );

    create(&["Hi", "--to", "x:nobody", "--now"]).refused(1, "unknown_account", "`x:nobody`", "x:acme");
    create(&["Hi", "--to", "x:acme", "--queue", "evenings"]).refused(
        1,
        "unknown_queue",
        "`evenings`",
        "mornings",
    );
    create(&["Hi", "--to", "x:acme", "--at", "2020-01-01 09:00"]).refused(1, "past_time", "2020", "`--now`");
    let gap = create(&["Hi", "--to", "x:acme", "--at", "2027-03-28 02:30", "--tz", "Europe/Berlin"]);
    gap.refused(2, "bad_time", "does not exist in Europe/Berlin", "`2027-03-28 01:30`");
    gap.refused(2, "bad_time", "02:00 to 03:00", "`2027-03-28 03:30`");
    let long = "Too long for X. ".repeat(20);
    let error =
        create(&[&long, "--to", "x:acme", "--now"]).refused(1, "validation", "X takes 280", "shorten it");
    assert_eq!(error["problems"][0]["account"], "x:acme", "{error}");
    assert_eq!(error["targets"][0]["length"]["max"], 280, "{error}");

    for (name, content) in [
        ("drawing.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"),
        ("picture.png", "<!doctype html><script>alert(1)</script>"),
    ] {
        let file = house.path(name);
        fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        create(&["Look", "--to", "x:acme", "--now", "--media", file, "--alt", "A picture"]).refused(
            1,
            "media_type",
            "not a JPEG",
            "convert it",
        );
    }
    // Of several files the one that is refused is named, and a directory is called one.
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 120, 40])).save(house.path("sq.png")).unwrap();
    let two = ["Look", "--to", "x:acme", "--now", "--media", "drawing.svg", "--media", "sq.png"];
    create(&two).refused(1, "media_type", "`drawing.svg`: the file is", "convert it");
    for to in ["x:acme", "x"] {
        let ask = ["Look", "--to", to, "--check", "--media", "."];
        create(&ask).refused(2, "media_file", "`.` is a directory", "--media FILE");
        let ask = ["Look", "--to", to, "--check", "--media", "nowhere.png"];
        create(&ask).refused(2, "media_file", "`nowhere.png`", "check the path");
    }

    // A sound picture under a text that is refused or only looked at, and on a network that takes none.
    house.connect("bluesky", "acme");
    image::RgbImage::from_pixel(64, 36, image::Rgb([200, 120, 40])).save(house.path("oven.png")).unwrap();
    let media = ["--media", "oven.png", "--alt", "A gradient"];
    let with = |args: &[&str]| create(&[args, &media[..]].concat());
    with(&[&long, "--to", "bluesky:acme", "--now"]).refused(1, "validation", "300", "shorten it");
    with(&["Hi", "--to", "x:nobody", "--now"]).refused(1, "unknown_account", "`x:nobody`", "x:acme");
    assert_eq!(with(&["Hi", "--to", "bluesky:acme", "--check"]).json()["ok"], true);
    assert_eq!(with(&[&long, "--to", "bluesky:acme", "--check"]).code, Some(1));

    assert_eq!(house.posts(), Vec::<serde_json::Value>::new());
    assert_eq!(files(&house.data().join("media")), [], "no upload stays behind");
    assert_eq!(house.sandbox.published(), []);
}

#[test]
fn a_post_file_is_checked_and_sent_with_the_picture_beside_it_and_given_twice_it_is_one_post() {
    let house = House::new();
    fs::create_dir(house.path("posts")).unwrap();
    image::RgbImage::from_pixel(64, 36, image::Rgb([200, 120, 40]))
        .save(house.path("posts/oven.png"))
        .unwrap();
    let file = house.path("posts/oven.md");
    let write = |to: &str, own: &str| {
        let front = format!(
            "to = [\"{to}\"]\nkey = \"oven\"\nmedia = [{{ file = \"oven.png\", alt = \"An oven\" }}]"
        );
        fs::write(&file, format!("+++\n{front}\n+++\nThe oven is here.\n\n--- bluesky\n{own}\n")).unwrap();
    };
    let long = "Too long for it. ".repeat(20);
    let check = ["post", "create", "--file", "posts/oven.md", "--check", "--json"];
    // Without a daemon: what each network would get, its own text included.
    write("bluesky", &long);
    let ran = house.run(&check);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    write("bluesky", "Come and smell it.");
    let told = house.run(&check).json();
    assert!(told["targets"][0]["preview"].to_string().contains("Come and smell it."), "{told}");

    let _daemon = house.serve();
    house.connect("bluesky", "acme");
    write("bluesky:acme", &long);
    let create = ["post", "create", "--file", "posts/oven.md", "--now", "--json"];
    house.run(&create).refused(1, "validation", "300", "shorten it");
    write("bluesky:acme", "Come and smell it.");
    let first = house.run(&create).json();
    assert_eq!((&first["source"], &first["existing"]), (&"file".into(), &false.into()), "{first}");
    let again = house.run(&create).json();
    assert_eq!((&again["id"], &again["existing"]), (&first["id"], &true.into()), "{again}");
    write("bluesky:acme", "Other words.");
    house.run(&create).refused(1, "key_taken", "oven", "");
    fs::remove_file(house.path("posts/oven.png")).unwrap();
    house.run(&create).refused(2, "bad_post_file", "oven.md:4:19: cannot read the media file", "directory");
    assert_eq!(house.posts().len(), 1);
}

#[test]
fn a_command_without_a_daemon_says_how_to_start_one() {
    let house = House::new();
    house.run(&["status", "--json"]).refused(3, "unreachable", "control.sock", "sendoff serve");
}

#[test]
fn a_fault_in_the_configuration_does_not_keep_the_emergency_stop_from_working() {
    let house = House::new();
    let _daemon = house.serve();
    let good = fs::read_to_string(&house.config).unwrap();
    // A section nobody knows, one that is not closed, and a value that makes no sense.
    for fault in ["[oops]\n", "[oops\n", "[defaults]\ntimezone = \"Europe/Atlantis\"\n"] {
        fs::write(&house.config, format!("{}\n{fault}", good.replace("[defaults]", "[defaults_]"))).unwrap();
        let paused = house.run(&["pause", "--reason", fault.trim()]);
        assert_eq!(paused.code, Some(0), "{paused:?}");
        assert!(paused.err.starts_with("warning: ") && paused.err.contains('^'), "{paused:?}");
        let status = house.run(&["status", "--json"]);
        assert_eq!(status.json()["paused"], true);
        let told: serde_json::Value = serde_json::from_str(status.err.trim()).unwrap();
        assert_eq!(told["warning"]["code"], "bad_config", "{told}");
        assert_eq!(house.run(&["resume", "-q"]).err, "");
        // What is about the configuration itself still refuses.
        assert_eq!(house.run(&["config", "check"]).code, Some(2));
    }
    // The socket's own setting is never guessed.
    fs::write(&house.config, "[server]\ncontrol_socket = 7\n").unwrap();
    house.run(&["pause", "--json"]).refused(2, "bad_config", ":2:18", "");
    fs::remove_file(&house.config).unwrap();
    house.run(&["--config", "sendoff.toml", "pause", "--json"]).refused(2, "bad_config", "sendoff.toml", "");
}

#[test]
fn a_queue_of_a_network_that_is_not_there_is_warned_of_and_scripts_read_it_too() {
    let house = House::with(
        "[[queue]]\nname = \"mornings\"\ncron = [\"0 9 * * *\"]\naccounts = [\"threads:acme\"]\n",
    );
    let said = house.run(&["config", "check"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("warning: [[queue]] mornings for threads:acme: Threads is not"), "{said:?}");
    let check = house.run(&["config", "check", "--json"]).json();
    assert_eq!((&check["ok"], &check["queues"]), (&true.into(), &1.into()), "{check}");
    assert!(check["warnings"][0].as_str().unwrap().contains("threads:acme"), "{check}");
    let print = house.run(&["config", "print", "--json"]).json();
    assert_eq!(print["queue"][0]["name"], "mornings", "{print}");
}

#[test]
fn a_name_that_a_queue_still_says_is_warned_of() {
    let house =
        House::with("[[queue]]\nname = \"mornings\"\ncron = [\"0 9 * * *\"]\naccounts = [\"x:acme\"]\n");
    let _daemon = house.serve();
    house.connect("x", "acme");
    let alerts = || house.run(&["status", "--json"]).json()["alerts"].to_string();
    assert!(!alerts().contains("queue_account"), "{}", alerts());
    let renamed = house.run(&["account", "rename", "x:acme", "shop"]);
    assert_eq!(renamed.code, Some(0));
    assert!(renamed.err.contains("queue `mornings` still names `x:acme`"), "{renamed:?}");
    assert!(alerts().contains("queue_account") && alerts().contains("x:acme"), "{}", alerts());
}

#[test]
fn a_sandbox_for_everybody_is_refused() {
    let house = House::new();
    for address in ["0.0.0.0:9999", "192.0.2.1:9999", "[::]:9999"] {
        let ran = house.run(&["sandbox", "--listen", address, "--json"]);
        ran.refused(2, "usage", address, "127.0.0.1:9999");
    }
}

#[test]
fn an_account_that_is_not_there_cannot_be_disconnected() {
    let house = House::new();
    let _daemon = house.serve();
    house.connect("x", "acme");
    let ran = house.run(&["account", "disconnect", "x:nobody", "--yes", "--json"]);
    ran.refused(1, "unknown_account", "`x:nobody`", "x:acme");
    assert_eq!(house.accounts(), ["x:acme"]);
}

#[test]
fn a_master_key_others_can_read_stops_the_start() {
    let house = House::new();
    let key = house.path("master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    house.run(&["serve", "--json"]).refused(
        78,
        "master_key",
        "0644",
        &format!("chmod 0600 {}", key.display()),
    );
    assert!(!house.data().join("keyring").exists());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(house.serve().stop().code, Some(0));
}

#[test]
fn a_wrong_or_missing_master_key_leaves_every_file_as_it_was() {
    let house = House::new();
    let daemon = house.serve();
    house.connect("x", "acme");
    assert_eq!(daemon.stop().code, Some(0));
    let before = kept(&house);
    assert!(before.len() >= 2, "{before:?}");

    let key = house.path("master.key");
    fs::rename(&key, house.path("kept.key")).unwrap();
    house.run(&["serve", "--json"]).refused(78, "master_key", "no master key", "restore the key file");
    assert!(kept(&house) == before);

    let other = house.run(&["init", "--dir", "other"]);
    assert_eq!(other.code, Some(0), "{other:?}");
    fs::copy(house.path("other/master.key"), &key).unwrap();
    house.run(&["serve", "--json"]).refused(78, "master_key", "another master key", "`[keys] master`");
    assert!(kept(&house) == before);

    fs::rename(house.path("kept.key"), &key).unwrap();
    let _daemon = house.serve();
    assert_eq!(house.accounts(), ["x:acme"], "the right key still opens everything");
    house.run(&["account", "refresh", "x:acme", "--json"]).json();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let house = House::new();
    let taken = TcpListener::bind(("127.0.0.1", house.port)).unwrap();
    let port = house.port.to_string();
    house.run(&["serve", "--json"]).refused(1, "port_in_use", &port, &port);
    drop(taken);
    assert_eq!(house.serve().stop().code, Some(0));
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused_and_the_first_goes_on() {
    let house = House::new();
    let first = house.serve();
    // Another port and another socket: only the data is shared.
    let text = fs::read_to_string(&house.config).unwrap();
    let second = text.replace("control.sock", "second.sock").replace(&house.port.to_string(), "1");
    fs::write(house.path("second.toml"), second).unwrap();
    let ran = house.run(&["serve", "--config", "second.toml", "--json"]);
    ran.refused(78, "second_daemon", "in use by another daemon", "one daemon per `data_dir`");
    house.connect("x", "acme");
    assert_eq!(house.accounts(), ["x:acme"]);
    assert_eq!(first.stop().code, Some(0));
}

#[test]
fn a_store_that_was_cut_off_is_refused_and_left_alone() {
    let house = House::new();
    assert_eq!(house.serve().stop().code, Some(0));
    let store = house.data().join("sendoff.redb");
    let bytes = fs::read(&store).unwrap();
    for length in [bytes.len() / 2, 1000, 10] {
        fs::write(&store, &bytes[..length]).unwrap();
        let before = kept(&house);
        house.run(&["serve", "--json"]).refused(
            78,
            "damaged_store",
            "is damaged",
            "restore the latest backup",
        );
        assert!(kept(&house) == before, "cut to {length}");
    }
    fs::write(&store, &bytes).unwrap();
    assert_eq!(house.serve().stop().code, Some(0));
}

#[test]
fn a_store_that_is_gone_is_no_new_installation() {
    let house = House::new();
    let daemon = house.serve();
    house.connect("bluesky", "acme");
    image::RgbImage::from_pixel(64, 36, image::Rgb([200, 120, 40])).save(house.path("oven.png")).unwrap();
    let media = ["--media", "oven.png", "--alt", "A gradient"];
    house
        .run(
            &[&["post", "create", "Hi", "--to", "bluesky:acme", "--at", "+2d", "--json"][..], &media]
                .concat(),
        )
        .json();
    assert_eq!(daemon.stop().code, Some(0));
    let store = house.data().join("sendoff.redb");
    fs::rename(&store, house.path("kept.redb")).unwrap();

    // Either trace is enough: the account's key, or the sidecar alone.
    for sidecar in [true, false] {
        let generation = house.data().join("generation");
        let text = fs::read(&generation).unwrap();
        if !sidecar {
            fs::remove_file(&generation).unwrap();
        }
        let before = kept(&house);
        assert!(before.iter().any(|(path, _)| path.starts_with(house.data().join("media"))), "{before:?}");
        let ran = house.run(&["serve", "--json"]);
        ran.refused(78, "store_missing", "`sendoff.redb`", "restore sendoff.redb");
        ran.refused(78, "store_missing", "is missing", "To begin anew on purpose");
        assert!(kept(&house) == before, "with the sidecar: {sidecar}");
        fs::write(&generation, text).unwrap();
    }
    let keyring = house.data().join("keyring");
    fs::rename(&keyring, house.path("kept.keyring")).unwrap();
    let before = kept(&house);
    house.run(&["serve", "--json"]).refused(78, "store_missing", "`generation`", "begin anew");
    assert!(kept(&house) == before);

    fs::rename(house.path("kept.keyring"), keyring).unwrap();
    fs::rename(house.path("kept.redb"), store).unwrap();
    let daemon = house.serve();
    assert_eq!(house.accounts(), ["bluesky:acme"]);
    assert_eq!(house.posts().len(), 1);
    assert_eq!(daemon.stop().code, Some(0));

    // What the message says to do, done.
    fs::rename(house.data(), house.path("old")).unwrap();
    let _daemon = house.serve();
    assert!(house.accounts().is_empty());
}

#[test]
fn a_person_who_says_no_leaves_nothing_behind() {
    let house = House::new();
    let _daemon = house.serve();
    let instance = house.instance();
    for args in [&["x", "--yes"][..], &["bluesky", "--yes", "--instance", &instance]] {
        let connecting = house.connecting(args);
        let mut browser = house.browser();
        let consent = browser.open(&connecting.link());
        let back = browser.decide(&consent, &[("decision", "deny")]);
        browser.land(&back);
        let ran = connecting.end();
        ran.refused(1, "access_denied", "denied", "nothing was stored");
        assert!(ran.out.contains("\"failed\""), "{ran:?}");
    }
    assert!(house.accounts().is_empty());
    assert!(house.sandbox.refusals().is_empty());
}

#[test]
fn an_answer_with_a_strange_state_is_refused_and_the_true_one_still_works() {
    let house = House::new();
    let _daemon = house.serve();
    let connecting = house.connecting(&["x", "--name", "acme", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let back = browser.decide(&consent, ALLOW);
    let mut forged = back.clone();
    forged.set_query(Some("state=of-somebody-else&code=stolen"));
    let (status, page) = browser.land(&forged);
    assert_eq!(status, 400);
    assert!(page.contains("belongs to no running connect"), "{page}");
    assert!(page.contains("sendoff account connect"), "{page}");
    assert!(house.accounts().is_empty());
    assert_eq!(browser.land(&back).0, 303);
    assert_eq!(connecting.end().code, Some(0));
    assert_eq!(house.accounts(), ["x:acme"]);
}

#[test]
fn a_callback_counts_once() {
    let house = House::new();
    let _daemon = house.serve();
    let connecting = house.connecting(&["x", "--name", "acme", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let back = browser.decide(&consent, ALLOW);
    assert_eq!(browser.land(&back).0, 303);
    assert_eq!(connecting.end().code, Some(0));
    let (status, page) = browser.land(&back);
    assert_eq!(status, 400);
    assert!(page.contains("came too late or twice"), "{page}");
    assert_eq!(house.accounts(), ["x:acme"], "the replay takes nothing away either");
    house.run(&["account", "refresh", "x:acme", "--json"]).json();
}

#[test]
fn a_code_that_was_spent_elsewhere_connects_nothing() {
    let house = House::new();
    let _daemon = house.serve();
    let one = house.connecting(&["x", "--name", "one", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&one.link());
    let spent = browser.decide(&consent, ALLOW);
    assert_eq!(browser.land(&spent).0, 303);
    assert_eq!(one.end().code, Some(0));

    let two = house.connecting(&["x", "--name", "two", "--yes"]);
    let consent = browser.open(&two.link());
    let state = consent.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let code = spent.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    let mut back = spent.clone();
    back.query_pairs_mut().clear().append_pair("state", &state).append_pair("code", &code);
    browser.land(&back);
    two.end().refused(1, "code_refused", "did not take the one-time code", "codes work once");
    assert_eq!(house.accounts(), ["x:one"]);
}

#[test]
fn a_link_works_once() {
    let house = House::new();
    let _daemon = house.serve();
    let connecting = house.connecting(&["x", "--name", "acme", "--yes"]);
    let link = connecting.link();
    let mut browser = house.browser();
    let consent = browser.open(&link);
    let (status, page) = house.browser().look(&link);
    assert_eq!(status, 410);
    assert!(page.contains("sendoff account connect"), "{page}");
    // Whoever came first is not disturbed by the second look.
    let back = browser.decide(&consent, ALLOW);
    assert_eq!(browser.land(&back).0, 303);
    assert_eq!(connecting.end().code, Some(0));
    assert_eq!(house.accounts(), ["x:acme"]);
}

#[test]
fn an_answer_through_another_browser_ends_the_connect_at_once() {
    let house = House::new();
    let _daemon = house.serve();
    let connecting = house.connecting(&["x", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let back = browser.decide(&consent, ALLOW);
    let (status, page) = house.browser().land(&back);
    assert_eq!(status, 400);
    assert!(page.contains("another browser"), "{page}");
    connecting.end().refused(1, "foreign_browser", "another browser", "stay in one browser");
    assert_eq!(browser.land(&back).0, 400, "a state is burnt by its first arrival");
    assert!(house.accounts().is_empty());
}

#[test]
fn a_permission_that_was_withheld_is_named() {
    let house = House::new();
    let _daemon = house.serve();
    let connecting = house.connecting(&["x", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let asked = consent.query_pairs().find(|(key, _)| key == "scope").unwrap().1.into_owned();
    let fewer = asked.replace("tweet.write", "");
    let back = browser.decide(&consent, &[("decision", "allow"), ("scope", fewer.trim())]);
    browser.land(&back);
    connecting.end().refused(1, "missing_scope", "`tweet.write`", "leave every permission ticked");
    assert!(house.accounts().is_empty());
}

#[test]
fn somebody_else_cannot_take_the_place_of_an_account() {
    let house = House::new();
    let _daemon = house.serve();
    house.connect("x", "acme");
    let before = house.run(&["account", "show", "x:acme", "--json"]).json();
    let connecting = house.connecting(&["x", "--name", "acme", "--yes"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let back = browser.decide(&consent, &[("decision", "allow"), ("user", "alice")]);
    browser.land(&back);
    connecting.end().refused(1, "other_account", "was to be connected", "sign in to the right account");
    assert_eq!(house.run(&["account", "show", "x:acme", "--json"]).json(), before);
    house.run(&["account", "refresh", "x:acme", "--json"]).json();
}

#[test]
fn an_account_nobody_confirms_is_not_stored() {
    let house = House::new();
    let _daemon = house.serve();
    let mut connecting = house.connecting(&["x"]);
    let mut browser = house.browser();
    let consent = browser.open(&connecting.link());
    let back = browser.decide(&consent, ALLOW);
    assert_eq!(browser.land(&back).0, 303);
    assert_eq!(connecting.event(1)["event"], "found");
    connecting.type_line("n");
    connecting.end().refused(1, "not_confirmed", "not confirmed", "begin again");
    assert!(house.accounts().is_empty());
}

#[test]
fn what_can_be_no_server_and_no_handle_is_refused_before_the_browser() {
    let house = House::new();
    let _daemon = house.serve();
    for (flag, value, code) in [
        ("--instance", "ftp://x.example", "bad_instance"),
        ("--instance", "nonsense://", "bad_instance"),
        ("--instance", "http://10.0.0.1", "bad_instance"),
        ("--handle", "not a handle", "bad_handle"),
        ("--handle", "10.0.0.1", "bad_handle"),
    ] {
        let args = ["account", "connect", "bluesky", flag, value, "--no-wait", "--yes", "--json"];
        house.run(&args).refused(2, code, value, flag);
    }
}

#[test]
fn a_pasted_address_connects_and_one_of_another_connect_does_not() {
    let house = House::new();
    let _daemon = house.serve();
    let at_terminal = |name| house.connecting(&["x", "--name", name, "--yes", "--paste"]);
    let (mut one, mut two) = (at_terminal("one"), at_terminal("two"));
    let browser = house.browser();
    let decide = |link: String| browser.decide(&link.parse().unwrap(), ALLOW);
    let back = decide(one.link());
    two.type_line(back.as_str());
    two.end().refused(1, "foreign_browser", "another browser", "paste the address at the terminal");
    assert!(house.accounts().is_empty());
    // The state was shown to a stranger, so it is burnt for its owner too.
    one.type_line(back.as_str());
    let ran = one.end();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(house.accounts().is_empty());

    let mut three = at_terminal("three");
    let back = decide(three.link());
    three.type_line(back.as_str());
    assert_eq!(three.end().json()["event"], "connected");
    assert_eq!(house.accounts(), ["x:three"]);

    let mut four = at_terminal("four");
    four.link();
    four.type_line("https://example.org/somewhere/else?code=x&state=y");
    let ran = four.end();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("bad_address"), "{ran:?}");
    assert_eq!(house.accounts(), ["x:three"]);
}
