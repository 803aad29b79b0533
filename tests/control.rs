//! The command line, the client and the server together, over a real socket with a daemon of cardboard.
//!
//! long because every command and every refusal is shown once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "support/control.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use sendoff::control::messages as m;
use sendoff::control::requests::When;
use sendoff::control::socket::{BindError, bind};
use serde_json::json;
use support::{Daemon, Shell};

/// Speaks HTTP by hand, for what the client cannot be made to say.
fn raw(daemon: &Daemon, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(&daemon.path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn ask(daemon: &Daemon, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: d\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let (status, body) = raw(daemon, &request);
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// Waits until nobody answers on a closed socket. The snapshot library starts a process, and a child has all
/// our sockets open for the moment between fork and exec.
fn forgotten(path: &Path) {
    while UnixStream::connect(path).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn json_shapes_are_the_promised_ones() {
    let daemon = Daemon::start();
    let keys =
        |value: &serde_json::Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let account = &daemon.run(&["account", "show", "x:acme", "--json"]).json();
    let promised = [
        "account",
        "platform",
        "handle",
        "remote_id",
        "username",
        "display_name",
        "avatar_url",
        "state",
        "reason",
        "scopes",
        "missing_scopes",
        "expires_at",
        "can_refresh",
        "connected_at",
    ];
    assert_eq!(keys(account)[..promised.len()], promised);
    assert_eq!(account["avatar_url"], json!(null));
    assert_eq!(account["expires_at"], "2026-11-22T10:00:00Z");

    let post = &daemon.run(&["post", "show", "pst_1", "--json"]).json();
    let promised = [
        "id",
        "status",
        "to",
        "body",
        "parts",
        "comment",
        "variants",
        "media",
        "created_at",
        "source",
        "deliveries",
    ];
    assert_eq!(keys(post)[..promised.len()], promised);
    let promised = [
        "id",
        "post",
        "account",
        "state",
        "held",
        "due",
        "zone",
        "attempts",
        "next_try",
        "sent_at",
        "published_at",
        "lateness_ms",
        "remote_id",
        "permalink",
        "verified",
        "reason",
        "steps",
        "progress",
    ];
    assert_eq!(keys(&post["deliveries"][0]), promised);
    assert_eq!(keys(&post["deliveries"][0]["reason"]), ["class", "message", "hint", "raw"]);

    let status = &daemon.run(&["status", "--json"]).json();
    let promised = [
        "version",
        "pid",
        "uptime_s",
        "ready",
        "paused",
        "accounts",
        "deliveries",
        "next_due",
        "last_tick",
        "store",
        "alerts",
    ];
    assert_eq!(keys(status)[..promised.len()], promised);

    let receipt = &daemon.run(&["account", "disconnect", "x:acme", "--yes", "--json"]).json()["receipt"];
    assert_eq!(keys(receipt), ["id", "at", "subject", "items"]);
    assert_eq!(keys(&receipt["items"][0]), ["what", "where", "result", "message", "hint"]);

    let list = daemon.run(&["post", "list", "--json"]).json();
    assert_eq!(keys(&list), ["posts", "next_cursor"]);
    let check = daemon.run(&["post", "create", "hi", "--to", "x:acme", "--check", "--json"]).json();
    assert_eq!(keys(&check["targets"][0])[..5], ["account", "ok", "length", "problems", "preview"]);
}

#[test]
fn a_post_goes_up_as_it_was_written() {
    let daemon = Daemon::start();
    let (one, two) = (daemon.dir.path().join("one.jpg"), daemon.dir.path().join("two.jpg"));
    std::fs::write(&one, vec![7; 300_000]).unwrap();
    std::fs::write(&two, [8; 20]).unwrap();
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let ran = daemon.shell().typing("from stdin\n").run(&[
        "post",
        "create",
        "first",
        "-",
        "--to",
        "x:acme",
        "--to",
        "bluesky:acme",
        "--media",
        one,
        "--media",
        two,
        "--alt",
        "the second",
        "--comment",
        "more",
        "--at",
        "tomorrow 9am",
        "--tz",
        "Europe/Berlin",
        "--late",
        "exact",
        "--option",
        "x.reply_settings=following=yes",
        "--key",
        "k1",
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(daemon.asked(), ["upload one.jpg 300000", "upload two.jpg 20", "post create"]);
    let sent = daemon.fake.created.lock().unwrap()[0].clone();
    assert_eq!(sent.parts, ["first", "from stdin"]);
    assert_eq!(sent.to, ["x:acme", "bluesky:acme"]);
    assert_eq!(sent.when, Some(When::At("tomorrow 9am".into())));
    assert_eq!((sent.tz.as_deref(), sent.late.as_deref()), (Some("Europe/Berlin"), Some("exact")));
    assert_eq!(sent.options["x"]["reply_settings"], "following=yes");
    let alts: Vec<_> = sent.media.iter().map(|it| (it.id.as_str(), it.alt.as_deref())).collect();
    assert_eq!(alts, [("med_one.jpg", None), ("med_two.jpg", Some("the second"))]);
    assert_eq!((sent.key.as_deref(), sent.source.as_deref()), (Some("k1"), Some("cli")));
}

/// A post file and the picture beside it, in a directory of their own.
fn post_file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("oven.jpg"), [8; 20]).unwrap();
    let path = dir.path().join("oven.md");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

const OVEN: &str = "+++\nto = [\"x:acme\", \"linkedin:acme\"]\nat = 2026-12-01T09:00:00\n\
    timezone = \"Europe/Berlin\"\nlate = \"exact\"\nkey = \"oven\"\n\
    media = [{ file = \"oven.jpg\", alt = \"An oven\" }]\n\
    [options.tiktok]\nprivacy = \"SELF_ONLY\"\n[options.x]\nreply_settings = \"following\"\n+++\n\
    -\n\n--- x\nCome.\n--- x\nAnd smell.\n\n--- linkedin:comment\nMore.\n";

#[test]
fn a_post_in_a_file_goes_up_as_it_was_written() {
    let daemon = Daemon::start();
    let (_dir, path) = post_file(OVEN);
    let ran = daemon.run(&["post", "create", "--file", &path, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(daemon.asked(), ["upload oven.jpg 20", "post create"]);
    let sent = daemon.fake.created.lock().unwrap()[0].clone();
    assert_eq!(sent.to, ["x:acme", "linkedin:acme"]);
    assert_eq!(sent.parts, ["-"], "a dash in a file is a dash, not stdin");
    assert_eq!(sent.variants["x"].parts, ["Come.", "And smell."]);
    assert_eq!(sent.variants["linkedin"].comment.as_deref(), Some("More."));
    assert_eq!(sent.when, Some(When::At("2026-12-01T09:00:00".into())));
    assert_eq!((sent.tz.as_deref(), sent.late.as_deref()), (Some("Europe/Berlin"), Some("exact")));
    assert_eq!((sent.key.as_deref(), sent.source.as_deref()), (Some("oven"), Some("file")));
    assert_eq!(sent.media[0].alt.as_deref(), Some("An oven"));
    // Where it does not go nothing is set, and that is said.
    assert_eq!(sent.options.keys().collect::<Vec<_>>(), ["x"]);
    assert!(ran.err.contains("[options.tiktok] has no effect"), "{}", ran.err);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let daemon = Daemon::start();
    let (dir, path) = post_file(OVEN);
    let other = dir.path().join("two.jpg");
    std::fs::write(&other, [8; 30]).unwrap();
    let more: &[&str] =
        &["--to", "linkedin:shop", "--now", "--tz", "UTC", "--comment", "Mine", "--key", "k", "--media"];
    let ran =
        daemon.run(&[&["post", "create", "--file", &path][..], more, &[other.to_str().unwrap()]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(daemon.asked(), ["upload two.jpg 30", "post create"]);
    let sent = daemon.fake.created.lock().unwrap()[0].clone();
    assert_eq!(
        (sent.to, sent.when, sent.tz),
        (vec!["linkedin:shop".into()], Some(When::Now), Some("UTC".into()))
    );
    assert_eq!((sent.comment.as_deref(), &sent.variants["linkedin"].comment), (Some("Mine"), &None));
    assert_eq!((sent.key.as_deref(), sent.options.len()), (Some("k"), 0));
    assert!(ran.err.contains("the text for x has no effect"), "{}", ran.err);
}

#[test]
fn a_bad_post_file_reaches_no_daemon_and_shows_the_place() {
    let daemon = Daemon::start();
    let (_dir, path) = post_file("+++\nto = [\"x:acme\"]\nat = 2026-12-01\n+++\nHi\n");
    let ran = daemon.run(&["post", "create", "--file", &path]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    let place =
        format!("{path}:3:6: the time of day is missing\n  |\n3 | at = 2026-12-01\n  |      ^^^^^^^^^^");
    assert!(ran.err.contains(&place), "{}", ran.err);
    assert!(ran.err.contains("hint: write `at = 2026-12-01T09:00:00`"), "{}", ran.err);
    let error = daemon.run(&["post", "create", "--file", &path, "--json"]).error();
    assert_eq!(error["code"], "bad_post_file");
    let cases: &[(&str, &str)] = &[
        ("+++\nto = [\"x:acme\"]\n+++\nHi\n", "the post has no time"),
        ("+++\nnow = true\n+++\nHi\n", "the post is for nobody"),
        ("+++\nto = [\"x:acme\"]\nnow = true\n+++\n\n", "neither text nor media"),
    ];
    for (text, words) in cases {
        let (_dir, path) = post_file(text);
        let ran = daemon.run(&["post", "create", "--file", &path]);
        assert_eq!(ran.code, 2, "{text}");
        assert!(ran.err.contains(words), "{text}: {}", ran.err);
    }
    let ran = daemon.run(&["post", "create", "--file", "/nonexistent.md", "--now"]);
    assert!(ran.code == 2 && ran.err.contains("cannot read the post file"), "{}", ran.err);
    assert_eq!(daemon.run(&["post", "create", "text", "--file", &path]).code, 2, "one or the other");
    assert_eq!(daemon.asked(), Vec::<String>::new());
}

#[test]
fn a_post_file_for_bare_platforms_is_checked_without_a_daemon() {
    let nowhere = || Shell::new().socket("/nonexistent/control.sock".as_ref());
    let (_dir, path) = post_file("+++\nto = [\"x\"]\n+++\nHi\n");
    let ran = nowhere().run(&["post", "create", "--file", &path, "--check", "--json"]);
    assert_eq!((ran.code, ran.json()["targets"][0]["account"].clone()), (0, json!("x")), "{}", ran.err);
    assert_eq!(nowhere().run(&["post", "create", "--file", &path, "--now"]).code, 3, "this needs one");
}

#[test]
fn a_queue_stands_for_its_accounts_where_none_is_named() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["post", "create", "hi", "--queue", "mornings"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let sent = daemon.fake.created.lock().unwrap()[0].clone();
    assert_eq!((sent.to, sent.when), (Vec::new(), Some(When::Queue("mornings".into()))));

    let ran = daemon.run(&["post", "create", "hi", "--now"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains("--to <ACCOUNT>"), "{}", ran.err);
}

#[test]
fn a_check_for_a_queue_asks_the_daemon() {
    let daemon = Daemon::start();
    daemon.run(&["post", "create", "hi", "--queue", "mornings", "--check"]);
    assert_eq!(daemon.asked(), ["post check"]);
}

#[test]
fn held_posts_can_be_listed() {
    let daemon = Daemon::start();
    assert_eq!(daemon.run(&["post", "list", "--state", "held"]).code, 0);
    assert_eq!(daemon.run(&["post", "list", "--state", "hold"]).code, 2);
}

#[test]
fn the_same_key_again_says_that_nothing_new_was_made() {
    let daemon = Daemon::start();
    let args = ["post", "create", "hi", "--to", "x:acme", "--at", "+2h", "--key", "k"];
    let first = daemon.run(&args);
    assert!(first.out.contains("created pst_1"), "{}", first.out);
    assert!(
        first.out.contains("scheduled for Tue 2026-12-01 09:00 Europe/Berlin (+01:00), in 9 days"),
        "{}",
        first.out
    );
    assert!(first.out.contains("next: sendoff post show pst_1"), "{}", first.out);
    let second = daemon.run(&args);
    assert_eq!(second.code, 0);
    assert!(second.out.contains("nothing new was created"), "{}", second.out);
}

#[test]
fn a_refused_post_lists_every_problem_and_ends_with_one() {
    let daemon = Daemon::start();
    let args = ["post", "create", "long", "--to", "x:acme", "--now"];
    let ran = daemon.run(&args);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    insta::assert_snapshot!(ran.err, @r"
    error: the post was refused for `x:acme`
      - x:acme: the text is 281 of 280 characters long
        shorten it by 1
    ");
    let error = daemon.run(&[&args[..], &["--json"]].concat()).error();
    assert_eq!(error["code"], "validation");
    assert_eq!(error["problems"][0]["code"], "too_long");
    assert_eq!(error["targets"][0]["length"]["max"], 280);
}

#[test]
fn a_check_ends_with_one_when_a_target_is_not_ok() {
    let daemon = Daemon::start();
    let check = |text: &str| daemon.run(&["post", "create", text, "--to", "x:acme", "--check"]);
    let good = check("hi");
    assert_eq!(
        (good.code, good.out.as_str()),
        (0, "x:acme  ok  5 of 280 weighted characters\n  cost  0.02 USD  (1 × post 0.015)\n  │ Hello\n")
    );
    let bad = check("long");
    assert_eq!(bad.code, 1);
    assert!(bad.out.contains("× body: the text is 281"), "{}", bad.out);
    assert_eq!(daemon.asked(), ["post check", "post check"]);
}

#[test]
fn a_check_for_bare_platforms_needs_no_daemon() {
    let nowhere = Shell::new().socket("/nonexistent/control.sock".as_ref());
    let ran = nowhere.run(&["post", "create", "hi", "--to", "x", "--check", "--json"]);
    assert_eq!((ran.code, ran.json()["targets"][0]["account"].clone()), (0, json!("x")), "{}", ran.err);
    let ran = Shell::new().run(&["post", "create", "hi", "--to", "y", "--check"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`y` is not a platform"), "{}", ran.err);
}

#[test]
fn errors_end_with_their_own_exit_codes() {
    let daemon = Daemon::start();
    let code = |args: &[&str]| daemon.run(args).code;
    assert_eq!(code(&["account", "show", "x:other"]), 1, "not there");
    assert_eq!(code(&["account", "connect", "myspace"]), 2, "a request that makes no sense");
    assert_eq!(code(&["post", "create", "hi", "--to", "x:acme", "--at", "whenever"]), 2);
    assert_eq!(code(&["post", "create", "broken", "--to", "x:acme", "--now"]), 1);
    assert_eq!(code(&["account", "disconnect", "x:stuck", "--yes"]), 4, "an item of the receipt failed");
    assert_eq!(code(&["erase", "--platform-user", "facebook:1022", "--yes"]), 0);
    assert_eq!(code(&["erase", "--platform-user", "facebook:2", "--yes"]), 4);
    assert_eq!(code(&["erase", "--yes"]), 2, "it is not said who");
    assert_eq!(code(&["post", "delete", "pst_1", "--yes"]), 0, "not possible is no failure");
    assert_eq!(code(&["post", "reschedule", "pst_1", "pst_2", "--by", "-30m"]), 4);
    assert_eq!(code(&["post", "reschedule", "pst_2", "--by", "+1h"]), 1);
    let ran = daemon.run(&["account", "show", "x:other", "--json"]);
    assert_eq!(
        ran.error(),
        json!({"code": "unknown_account", "message": "there is no account `x:other`", "hint": "sendoff account list"})
    );
}

#[test]
fn an_unreachable_daemon_is_three_and_names_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let run = |args: &[&str]| Shell::new().socket(&path).run(args);
    let missing = run(&["status"]);
    assert_eq!(missing.code, 3);
    assert!(missing.err.contains(path.to_str().unwrap()), "{}", missing.err);
    assert!(missing.err.contains("there is no such socket"), "{}", missing.err);
    assert!(missing.err.contains("hint: is the daemon running? systemctl status sendoff"), "{}", missing.err);

    drop(UnixListener::bind(&path).unwrap());
    forgotten(&path);
    let dead = run(&["status", "--json"]);
    assert_eq!((dead.code, dead.error()["code"].clone()), (3, json!("unreachable")));
    assert!(dead.err.contains("nobody answers"), "{}", dead.err);
}

#[test]
fn usage_errors_are_two_and_reach_no_daemon() {
    let daemon = Daemon::start();
    let cases: &[&[&str]] = &[
        &["post", "create", "hi", "--to", "x:acme"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--draft"],
        &["post", "create", "hi", "--now"],
        &["post", "create", "--to", "x:acme", "--now"],
        &["post", "create", "-", "-", "--to", "x:acme", "--now"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--alt", "no media"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--media", "a", "--alt", "1", "--alt", "2"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--media", "/nonexistent.jpg"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--option", "reply=all"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--option", "y.reply=all"],
        &["post", "create", "hi", "--to", "x:acme", "--now", "--option", "x.a=1", "--option", "x.a=2"],
        &["post", "edit", "pst_1"],
        &["post", "reschedule", "pst_1"],
        &["post", "list", "--state", "lost"],
        &["account", "connect", "x", "--no-wait"],
        &["account", "connect", "x", "--kind", "robot"],
        &["frobnicate"],
    ];
    for args in cases {
        let ran = daemon.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
        let ran = daemon.run(&[args, &["--json"][..]].concat());
        assert!(ran.error()["message"].as_str().is_some_and(|it| !it.is_empty()), "{args:?}");
    }
    assert_eq!(daemon.asked(), Vec::<String>::new());
}

#[test]
fn connecting_asks_before_anything_is_stored() {
    let daemon = Daemon::start();
    let yes = daemon.shell().typing("y\n").run(&["account", "connect", "x", "--json"]);
    assert_eq!(yes.code, 0, "{}", yes.err);
    let events: Vec<_> = yes.lines().iter().map(|it| it["event"].clone()).collect();
    assert_eq!(events, ["link", "found", "connected"]);
    assert!(daemon.asked().contains(&"confirm c1 All".to_owned()));

    for answer in ["n\n", "", "maybe\n"] {
        let daemon = Daemon::start();
        let no = daemon.shell().typing(answer).run(&["account", "connect", "x", "--json"]);
        assert_eq!(no.code, 1);
        assert_eq!(no.error()["code"], "not_confirmed");
        assert_eq!(daemon.asked().last().unwrap(), "confirm c1 No");
    }
}

#[test]
fn connecting_takes_numbers_where_several_were_found() {
    let daemon = Daemon::start();
    let ran = daemon.shell().on_a_terminal().typing("2\n").run(&["account", "connect", "x", "--name", "n"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(daemon.asked().last().unwrap(), r#"confirm c1 Select(["4712"])"#);
    assert!(ran.err.contains("Connect all 2? [y/N"), "{}", ran.err);
    let daemon = Daemon::start();
    let ran = daemon.shell().typing("3\n").run(&["account", "connect", "x", "--name", "n"]);
    assert_eq!((ran.code, daemon.asked().last().unwrap().as_str()), (1, "confirm c1 No"));
}

#[test]
fn connecting_with_yes_or_select_asks_nothing() {
    let daemon = Daemon::start();
    assert_eq!(daemon.run(&["account", "connect", "x", "--yes"]).code, 0);
    let ran = daemon.run(&["account", "connect", "x", "--select", "4711", "--select", "4712", "--json"]);
    let remote: Vec<_> = ran.lines()[2..].iter().map(|it| it["account"]["remote_id"].clone()).collect();
    assert_eq!(remote, ["4711", "4712"]);
    assert!(!daemon.asked().iter().any(|it| it.starts_with("confirm")));
}

#[test]
fn no_wait_ends_after_the_link() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["account", "connect", "x", "--no-wait", "--yes", "--json"]);
    assert_eq!((ran.code, ran.lines().len()), (0, 1));
    assert_eq!(ran.lines()[0]["url"], "http://127.0.0.1:8420/connect/T1");
}

#[test]
fn a_terminal_sees_the_link_a_code_to_scan_and_clean_names() {
    let daemon = Daemon::start();
    let ran =
        daemon.shell().on_a_terminal().typing("y\n").env("NO_COLOR", "1").run(&["account", "connect", "x"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("  http://127.0.0.1:8420/connect/T1\n"), "{}", ran.out);
    assert!(ran.out.contains('▀') && ran.out.contains('▄'), "no QR code");
    assert!(ran.err.contains("Connect this account? [y/N] "), "{}", ran.err);
    assert!(ran.out.contains("not granted: media.write"), "{}", ran.out);
    assert!(ran.out.contains("connected x:acme"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{}", ran.out);
    let piped = daemon.run(&["account", "connect", "x", "--yes"]);
    assert!(!piped.out.contains('▀'), "a pipe needs no QR code");
}

#[test]
fn pasting_warns_of_the_short_life_and_offers_the_tunnel() {
    let daemon = Daemon::start();
    let landed = "http://127.0.0.1:8420/oauth/x/callback?code=c&state=s";
    let ran = daemon.shell().typing(&format!("{landed}\ny\n")).run(&["account", "connect", "x", "--paste"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("lives 30 seconds"), "{}", ran.err);
    assert!(ran.err.contains("ssh -L 8420:127.0.0.1:8420 "), "{}", ran.err);
    assert!(daemon.asked().contains(&format!("paste c1 {landed}")));
    let nothing = daemon.shell().run(&["account", "connect", "x", "--paste"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("no address was pasted"), "{}", nothing.err);
}

#[test]
fn a_wrong_paste_may_be_mended_on_a_terminal_and_ends_a_script() {
    let daemon = Daemon::start();
    let landed = "http://127.0.0.1:8420/oauth/x/callback?code=c&state=s";
    let typed = format!("https://example.org/x\n{landed}\ny\n");
    let paste = ["account", "connect", "x", "--paste"];
    let ran = daemon.shell().on_a_terminal().typing(&typed).run(&paste);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("not the address the browser landed on"), "{}", ran.err);
    assert!(ran.out.contains("connected x:acme"), "{}", ran.out);
    let script = daemon.shell().typing(&typed).run(&paste);
    assert_eq!(script.code, 2, "{}", script.err);
}

#[test]
fn a_public_address_needs_no_tunnel() {
    let daemon = Daemon::start();
    let landed = "https://post.example.org/oauth/linkedin/callback?code=c&state=s";
    let typed = format!("{landed}\ny\n");
    let ran = daemon.shell().typing(&typed).run(&["account", "connect", "linkedin", "--paste"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.err.contains("ssh -L") && ran.err.contains("without --paste"), "{}", ran.err);
}

#[test]
fn what_doctor_found_is_shown_with_its_remedies_and_a_fault_is_exit_1() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let shown = "host\n  ok       the clock is right\n\ntiktok\n  look     not seen from here\n           \
                 hint: look there\n\n0 faults, 0 warnings\n";
    assert_eq!(ran.out, shown);
    let faulty = daemon.run(&["doctor", "tiktok", "--json"]);
    assert_eq!((faulty.code, faulty.json()["ok"].clone()), (1, json!(false)));
    assert_eq!(faulty.json()["findings"][1]["result"], "fault");
    assert!(daemon.asked().contains(&"doctor tiktok".to_owned()));
}

#[test]
fn a_denied_consent_is_told_with_its_remedy() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["account", "connect", "denied"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.ends_with("error: the network reports `access_denied`\n\nhint: agree in the browser\n"));
}

#[test]
fn what_cannot_be_undone_asks_and_the_server_insists() {
    let daemon = Daemon::start();
    for args in [
        ["account", "disconnect", "x:acme"],
        ["post", "delete", "pst_1"],
        ["erase", "--platform-user", "facebook:1022"],
    ] {
        let ran = daemon.shell().typing("n\n").run(&args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.contains("nothing was done"), "{}", ran.err);
    }
    assert_eq!(daemon.asked(), Vec::<String>::new());
    for path in ["/v1/accounts/x:acme/disconnect", "/v1/posts/pst_1/delete"] {
        for body in ["", "{}", r#"{"confirm":false}"#] {
            let (status, answer) = ask(&daemon, "POST", path, body);
            assert_eq!(
                (status, answer["error"]["code"].clone()),
                (400, json!("confirm_needed")),
                "{path} {body}"
            );
        }
    }
    let erase = |body| ask(&daemon, "POST", "/v1/erase", body);
    for (body, code) in [
        (r#"{"platform_user":"facebook:1022"}"#, "confirm_needed"),
        (r#"{"confirm":true}"#, "nobody"),
        (r#"{"platform":"facebook","confirm":true}"#, "bad_body"),
    ] {
        let (status, answer) = erase(body);
        assert_eq!((status, answer["error"]["code"].clone()), (400, json!(code)), "{body}");
    }
    assert_eq!(daemon.asked(), Vec::<String>::new());
    assert_eq!(daemon.shell().typing("y\n").run(&["account", "disconnect", "x:acme"]).code, 0);
    let erased = daemon.shell().typing("y\n").run(&["erase", "--platform-user", "facebook:1022"]);
    assert_eq!(erased.code, 0, "{}", erased.err);
    assert_eq!(daemon.asked(), ["account disconnect x:acme", "erase facebook:1022"]);
}

#[test]
fn the_daemon_is_told_who_called() {
    let daemon = Daemon::start();
    daemon.run(&["status"]);
    let by = daemon.fake.callers.lock().unwrap()[0];
    assert_eq!(by.uid, rustix::process::geteuid().as_raw());
    assert_eq!(by.pid, i32::try_from(std::process::id()).ok());
}

#[test]
fn every_route_of_the_document_answers_and_nothing_else_does() {
    let daemon = Daemon::start();
    let (status, document) = ask(&daemon, "GET", "/v1/openapi.json", "");
    assert_eq!((status, document["openapi"].clone()), (200, json!("3.1.0")));
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
            if path.ends_with("/events") {
                continue; // Needs a conversation; the connect tests go there.
            }
            let filled = path.replace("{account}", "x:acme").replace("{id}", "pst_1").replace("{queue}", "q");
            let (_, answer) = ask(&daemon, &method.to_uppercase(), &filled, r#"{"surplus":1}"#);
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            assert!(!["unknown_route", "unknown_method"].contains(&code), "{method} {path}: {answer}");
        }
    }
    insta::assert_snapshot!(routes.into_iter().collect::<Vec<_>>().join("\n"));
    for path in ["/", "/v1", "/v1/", "/v2/status", "/v1/status/", "/v1/posts/a/b", "/metrics", "/v1/../etc"] {
        let (status, answer) = ask(&daemon, "GET", path, "");
        assert_eq!((status, answer["error"]["code"].clone()), (404, json!("unknown_route")), "{path}");
    }
    let (status, answer) = ask(&daemon, "DELETE", "/v1/posts/pst_1", "");
    assert_eq!((status, answer["error"]["code"].clone()), (405, json!("unknown_method")));
}

#[test]
fn answers_fit_their_own_description() {
    let daemon = Daemon::start();
    let (_, document) = ask(&daemon, "GET", "/v1/openapi.json", "");
    for (path, name) in [
        ("/v1/accounts/x:acme", "Account"),
        ("/v1/accounts", "AccountList"),
        ("/v1/posts/pst_1", "Post"),
        ("/v1/posts", "PostList"),
        ("/v1/queues/q?next=2", "Queue"),
        ("/v1/status", "Status"),
        ("/v1/audit", "AuditList"),
        ("/v1/networks", "NetworkList"),
        ("/v1/receipts", "ReceiptList"),
        ("/v1/media/med_1/thumbnail", "Thumbnail"),
    ] {
        let (_, answer) = ask(&daemon, "GET", path, "");
        let schema =
            json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<String> = validator.iter_errors(&answer).map(|it| it.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        assert!(!validator.is_valid(&json!({})), "{name} demands nothing");
    }
}

#[test]
fn misspelt_fields_and_oversized_bodies_are_refused() {
    let daemon = Daemon::start();
    let (status, answer) = ask(&daemon, "POST", "/v1/posts", r#"{"parts":["a"],"whem":"now"}"#);
    assert_eq!((status, answer["error"]["code"].clone()), (400, json!("bad_body")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("whem"), "{answer}");
    let (status, answer) = ask(&daemon, "POST", "/v1/posts", r#"{"parts":["a"]}"#);
    assert_eq!((status, answer["error"]["code"].clone()), (400, json!("no_time")));
    let (status, answer) = ask(&daemon, "GET", "/v1/posts?limit=many", "");
    assert_eq!((status, answer["error"]["code"].clone()), (400, json!("bad_query")));
    let large = format!(r#"{{"parts":["{}"]}}"#, "a".repeat(1 << 20));
    let (status, answer) = ask(&daemon, "POST", "/v1/posts", &large);
    assert_eq!((status, answer["error"]["code"].clone()), (413, json!("too_large")));
    // The command line does not even begin to send it: cut off in the middle, nobody could say whether it
    // was carried out.
    let typed = "a".repeat(2 << 20);
    let ran =
        daemon.shell().typing(&typed).run(&["post", "create", "-", "--to", "x:acme", "--now", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("\"too_large\"") && ran.err.contains("no network takes"), "{}", ran.err);
    assert_eq!(daemon.asked(), Vec::<String>::new());
    let (status, _) = ask(&daemon, "POST", "/v1/media?name=big.bin", &"a".repeat(3 << 20));
    assert_eq!((status, daemon.asked()), (200, vec!["upload big.bin 3145728".to_owned()]));
}

#[test]
fn a_followed_log_goes_on_where_it_was_when_the_daemon_comes_back() {
    let daemon = Daemon::start();
    let path = daemon.path.clone();
    // It follows until it is interrupted; here that is the end of the tests.
    std::thread::spawn(move || Shell::new().socket(&path).run(&["log", "--follow", "--json"]));
    let heard = |daemon: &Daemon| {
        loop {
            match daemon.asked().into_iter().find(|it| it.starts_with("events")) {
                Some(ask) => return ask,
                None => std::thread::yield_now(),
            }
        }
    };
    assert_eq!(heard(&daemon), "events Some(50) None true");
    // The daemon may end before its first line, number 41, was read; then nothing is left out.
    let mut daemon = daemon.again();
    let mut ask = heard(&daemon);
    while ask == "events None Some(0) true" {
        daemon = daemon.again();
        ask = heard(&daemon);
    }
    assert!(["events None Some(41) true", "events None Some(1) true"].contains(&ask.as_str()), "{ask}");
}

#[test]
fn several_moves_are_told_one_by_one_and_a_whole_queue_is_one() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["post", "reschedule", "pst_1", "pst_2", "--by", "+1h", "--json"]);
    let answer = ran.json();
    assert_eq!((ran.code, answer["posts"].as_array().unwrap().len()), (4, 1));
    assert_eq!(
        (answer["failed"][0]["id"].clone(), answer["failed"][0]["error"]["code"].clone()),
        (json!("pst_2"), json!("already_sent"))
    );
    assert!(ran.err.contains("1 of 2 could not be moved"), "{}", ran.err);
    let people = daemon.run(&["post", "reschedule", "pst_1", "pst_2", "--by", "+1h"]);
    assert!(people.code == 4 && people.err.contains("pst_2: it has gone out already"), "{}", people.err);
    assert_eq!(daemon.run(&["post", "reschedule", "pst_2", "pst_2", "--by", "+1h"]).code, 1);
    let queue = daemon.run(&["post", "reschedule", "--all-in", "mornings", "--by", "-30m"]);
    assert_eq!((queue.code, queue.err.as_str()), (0, ""));
    assert!(daemon.asked().contains(&"queue reschedule mornings -30m".to_owned()));
    for wrong in [
        &["post", "reschedule", "--all-in", "mornings"][..],
        &["post", "reschedule", "--all-in", "mornings", "--at", "now"],
        &["post", "reschedule", "pst_1", "--all-in", "mornings", "--by", "+1h"],
        &["post", "reschedule", "--by", "+1h"],
    ] {
        assert_eq!(daemon.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_month_fits_a_narrow_terminal_and_is_one_document() {
    let daemon = Daemon::start();
    let ran = daemon.run(&["calendar", "--month", "2027-03", "--tz", "Europe/Berlin"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.lines().all(|it| it.chars().count() <= 80), "{}", ran.out);
    insta::assert_snapshot!(ran.out);
    let json = daemon.run(&["calendar", "--json"]).json();
    assert_eq!(
        (json["zone"].clone(), json["deliveries"].as_array().unwrap().len()),
        (json!("Europe/Berlin"), 3)
    );
    assert_eq!(json["recurring"][0]["name"], json!("opening-hours"));
    assert_eq!(daemon.asked(), ["calendar Some(\"2027-03\") Some(\"Europe/Berlin\")", "calendar None None"]);
}

#[test]
fn colour_is_for_terminals_and_gives_way_to_no_color() {
    let daemon = Daemon::start();
    let colored = |shell: Shell, args: &[&str]| shell.socket(&daemon.path).run(args).out.contains('\u{1b}');
    assert!(colored(Shell::new().on_a_terminal(), &["status"]));
    assert!(!colored(Shell::new().on_a_terminal().env("NO_COLOR", "1"), &["status"]));
    assert!(!colored(Shell::new(), &["status"]));
    assert!(colored(Shell::new().env("NO_COLOR", "1"), &["status", "--color", "always"]));
    assert!(!colored(Shell::new().on_a_terminal(), &["status", "--color", "never"]));
}

#[test]
fn people_see_calm_tables() {
    let daemon = Daemon::start();
    let mut seen = String::new();
    for args in [
        &["status"][..],
        &["account", "list"],
        &["account", "show", "x:acme"],
        &["post", "list"],
        &["post", "show", "pst_1"],
        &["queue", "list"],
        &["queue", "show", "mornings", "--next", "2"],
        &["log"],
        &["audit", "list"],
        &["post", "delete", "pst_1", "--yes"],
        &["pause", "--reason", "wrong price"],
        &["post", "cancel", "pst_1"],
    ] {
        let ran = daemon.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        seen.extend(["$ sendoff ", &args.join(" "), "\n", &ran.out, "\n"]);
    }
    insta::assert_snapshot!(seen);
    assert!(!seen.chars().any(|it| it.is_control() && it != '\n'));
}

#[test]
fn the_socket_is_found_by_flag_configuration_and_environment() {
    let daemon = Daemon::start();
    let config = daemon.path.with_extension("toml");
    let config = config.to_str().unwrap();
    assert_eq!(Shell::new().run(&["--config", config, "status"]).code, 0);
    assert_eq!(Shell::new().env("SENDOFF_SOCKET", &daemon.path).run(&["status"]).code, 0);
    assert_eq!(Shell::new().env("SENDOFF_CONFIG", config).run(&["status"]).code, 0);
    let both = Shell::new().env("SENDOFF_SOCKET", "/nonexistent").run(&["--config", config, "status"]);
    assert_eq!(both.code, 0, "a configuration that was named comes before the environment");
    assert_eq!(Shell::new().env("SENDOFF_SOCKET", "/nonexistent").run(&["status"]).code, 3);
}

#[test]
fn a_socket_is_only_opened_where_it_is_safe() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");

    let listener = bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    assert!(matches!(bind(&path).unwrap_err(), BindError::InUse(_)));
    assert!(UnixStream::connect(&path).is_ok());
    drop(listener);
    forgotten(&path);
    drop(bind(&path).expect("a socket that nobody answers on is ours to replace"));

    let link = dir.path().join("link.sock");
    symlink(&path, &link).unwrap();
    assert!(matches!(bind(&link).unwrap_err(), BindError::Symlink(_)));
    let file = dir.path().join("file.sock");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(bind(&file).unwrap_err(), BindError::NotASocket(_)));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert!(matches!(bind(&dir.path().join("no/control.sock")).unwrap_err(), BindError::NoDirectory(_)));
    assert!(matches!(bind(&dir.path().join("x".repeat(108))).unwrap_err(), BindError::TooLong(_)));
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = bind(&open.join("control.sock")).unwrap_err();
    assert!(matches!(error, BindError::OpenDirectory(_)));
    assert!(error.hint().contains("chmod o-w"), "{}", error.hint());
}

#[test]
fn a_posts_status_is_the_first_rule_that_fits() {
    use m::{DeliveryState as D, PostStatus as P};
    let of = |states: &[D]| P::of(&states.iter().map(|it| (*it, false)).collect::<Vec<_>>());
    assert_eq!(of(&[]), P::Draft);
    assert_eq!(of(&[D::Published, D::NeedsReconnect]), P::Attention);
    assert_eq!(P::of(&[(D::Unknown, true), (D::Published, false)]), P::Attention);
    assert_eq!(of(&[D::Published, D::Retry]), P::Publishing);
    assert_eq!(of(&[D::Published, D::Scheduled]), P::Scheduled);
    assert_eq!(of(&[D::Published, D::Published]), P::Published);
    assert_eq!(of(&[D::Published, D::HandedOver]), P::HandedOver);
    assert_eq!(of(&[D::Published, D::Rejected]), P::Partial);
    assert_eq!(of(&[D::Cancelled, D::Cancelled]), P::Cancelled);
    assert_eq!(of(&[D::Missed]), P::Missed);
    assert_eq!(of(&[D::Missed, D::Cancelled]), P::Failed);
}
