//! A real daemon on a disk that really fills up: a small file system of our own, in memory.
//!
//! The test starts itself again in a mount namespace (`unshare`), where it may mount one without
//! being root. Where that is not possible it says so and proves nothing; under `CI=true` that is a
//! failure, so that the proof cannot vanish unseen. A machine that really cannot (a container without
//! user namespaces) says so itself, with `SENDOFF_SMALL_DISK=none`: then it stands in its settings
//! that this is proved elsewhere, and the line about it stays.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::e2e::{House, PATIENCE};
use sendoff::sandbox::Faults;
use serde_json::Value;

/// Set in the copy of this test that runs in the namespace: where the small disk is.
const INSIDE: &str = "SENDOFF_TEST_SMALL_DISK";
/// Its size. Larger than what is needed to send, so that all thresholds are the real ones.
const DISK: &str = "size=160m";
const QUICK: &str = "[engine]\nsettle = \"1s\"\nabsence_gap = \"100ms\"\nlane_spacing = \"20ms\"\n\
    catch_up_spacing = \"20ms\"\nkey_wait = \"100ms\"\npoll_scale = 0.01\nbackoff_scale = 0.01\n";

/// Runs the named test of this file again where it may mount.
fn go_inside(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let probe = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(dir.path())
        .output();
    match probe {
        Ok(done) if done.status.success() => {}
        other => {
            let why = match other {
                Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
                Err(error) => format!("unshare: {error}"),
            };
            let var = |name| std::env::var(name).ok();
            assert!(
                may_skip(var("CI").as_deref(), var("SENDOFF_SMALL_DISK").as_deref()),
                "no small disk can be mounted here ({why}): allow user namespaces \
                 (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; \
                 in a container: --security-opt seccomp=unconfined or --cap-add SYS_ADMIN), or say with \
                 SENDOFF_SMALL_DISK=none that a full disk is proved elsewhere"
            );
            println!("SKIPPED: A FULL DISK IS NOT PROVED HERE: no small disk can be mounted ({why})");
            return;
        }
    }
    // As the list of tests calls it.
    let name = format!("disk_full::{name}");
    let script = "mount -t tmpfs -o \"$1\" none \"$2\" && shift 2 && exec \"$@\"";
    let ran = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh", DISK])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, dir.path())
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

/// Whether a machine that cannot mount may pass over it. Not in CI, unless it says itself that it cannot.
fn may_skip(ci: Option<&str>, small_disk: Option<&str>) -> bool {
    ci != Some("true") || small_disk == Some("none")
}

#[test]
fn in_ci_a_missing_disk_is_a_failure_unless_the_machine_says_that_it_has_none() {
    assert!(may_skip(None, None) && may_skip(Some("false"), None));
    assert!(!may_skip(Some("true"), None) && !may_skip(Some("true"), Some("")));
    assert!(may_skip(Some("true"), Some("none")));
}

fn free(disk: &Path) -> u64 {
    let stat = rustix::fs::statvfs(disk).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// What takes the room away.
struct Filler(PathBuf);

impl Filler {
    fn on(disk: &Path) -> Self {
        Self(disk.join("filler"))
    }

    /// Grows until only so much is left; 0 means until the disk says no.
    fn leave(&self, disk: &Path, left: u64) {
        let mut file = File::options().append(true).create(true).open(&self.0).unwrap();
        let block = vec![0xa5; 64 << 10];
        while left == 0 || free(disk) > left {
            match file.write(&block) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
                    break;
                }
            }
        }
    }

    fn remove(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn status(house: &House) -> Value {
    house.run(&["status", "--json"]).json()
}

fn has_alert(house: &House) -> bool {
    status(house)["alerts"].as_array().unwrap().iter().any(|it| it["code"] == "disk_full")
}

#[track_caller]
fn wait(what: &str, daemon: &crate::e2e::Process, found: impl Fn() -> bool) {
    let began = Instant::now();
    while !found() {
        assert!(began.elapsed() < PATIENCE, "{what}: not in time\n{}", daemon.err.text());
        let seen = daemon.err.text().len();
        daemon.err.wait(Duration::from_millis(200), |log| log.len() > seen);
    }
}

fn states(house: &House) -> BTreeMap<String, String> {
    let posts = house.posts();
    let of = |post: &Value| {
        let state = post["deliveries"][0]["state"].as_str().unwrap().to_owned();
        (post["body"].as_str().unwrap().to_owned(), state)
    };
    posts.iter().map(of).collect()
}

fn all_published(house: &House) -> bool {
    states(house).values().all(|it| it == "published")
}

/// Every text is there once, and once only.
#[track_caller]
fn assert_once(house: &House) {
    let mut live = BTreeMap::<String, usize>::new();
    for it in house.sandbox.published().into_iter().filter(|it| it.deleted.is_none()) {
        *live.entry(it.text).or_default() += 1;
    }
    let wanted: BTreeMap<String, usize> = states(house).into_keys().map(|it| (it, 1)).collect();
    assert_eq!(live, wanted);
}

#[test]
fn on_a_disk_that_fills_up_nothing_is_sent_that_could_not_be_recorded_and_it_goes_on_by_itself() {
    let Some(disk) = std::env::var_os(INSIDE).map(PathBuf::from) else {
        let name =
            "on_a_disk_that_fills_up_nothing_is_sent_that_could_not_be_recorded_and_it_goes_on_by_itself";
        return go_inside(name);
    };
    let filler = Filler::on(&disk);
    let house = House::with(QUICK);
    let daemon = house.serve();
    house.connect("x", "acme");
    house.connect("bluesky", "acme");
    let pid = status(&house)["pid"].clone();
    let create = |text: &str, to: &str| {
        house.run(&["post", "create", text, "--to", to, "--now", "--json"]).json();
    };

    // Under 64 MiB: it holds what is due, and says so.
    house.run(&["pause", "--json"]).json();
    for n in 0..4 {
        create(&format!("Before the flood {n}"), if n % 2 == 0 { "x:acme" } else { "bluesky:acme" });
    }
    filler.leave(&disk, 48 << 20);
    house.run(&["resume", "--json"]).json();
    wait("the alert", &daemon, || has_alert(&house));
    let refused = house.run(&["post", "create", "More", "--to", "x:acme", "--now", "--json"]);
    refused.refused(1, "disk_full", "too little room", "free");
    assert!(states(&house).values().all(|it| it == "scheduled"), "{:?}", states(&house));
    assert_eq!(house.sandbox.published().len(), 0);
    filler.remove();
    wait("what waited", &daemon, || all_published(&house));
    assert!(!has_alert(&house));

    // Full to the last byte while calls are on the wire: their outcomes are recorded all the same.
    let before = house.sandbox.published().len();
    let mut slow: Faults = "x.create=slow,bluesky.put=slow".parse().unwrap();
    slow.slow = Duration::from_secs(4);
    house.sandbox.inject(slow);
    create("On the wire to X", "x:acme");
    create("On the wire to Bluesky", "bluesky:acme");
    wait("two calls on the wire", &daemon, || house.sandbox.published().len() == before + 2);
    filler.leave(&disk, 0);
    assert!(free(&disk) < 1 << 20);
    wait("the outcomes", &daemon, || all_published(&house));
    filler.remove();
    let ballast = house.data().join("ballast");
    wait("room again", &daemon, || !has_alert(&house) && fs::metadata(&ballast).unwrap().len() == 16 << 20);
    create("After the flood", "x:acme");
    wait("the last", &daemon, || all_published(&house));
    assert_eq!(status(&house)["pid"], pid, "all of it in one life");
    assert_once(&house);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_store_that_gets_no_byte_any_more_ends_the_daemon_with_75_and_the_next_start_goes_on() {
    let Some(disk) = std::env::var_os(INSIDE).map(PathBuf::from) else {
        let name = "a_store_that_gets_no_byte_any_more_ends_the_daemon_with_75_and_the_next_start_goes_on";
        return go_inside(name);
    };
    let filler = Filler::on(&disk);
    let house = House::with(QUICK);
    let daemon = house.serve();
    house.connect("bluesky", "acme");
    for n in 0..3 {
        let text = format!("Soon {n}");
        house.run(&["post", "create", &text, "--to", "bluesky:acme", "--at", "+1h", "--json"]).json();
    }
    filler.leave(&disk, 0);
    // Somebody goes on working until even the ballast is used up.
    let reason = "x".repeat(900);
    let mut turns = 0;
    while !daemon.err.text().contains("ending, so that a restart begins anew") {
        turns += 1;
        assert!(turns < 3000, "the disk never refused\n{}", daemon.err.text());
        house.run(&["pause", "--reason", &reason, "--json"]);
        filler.leave(&disk, 0);
    }
    let ended = daemon.end();
    assert_eq!(ended.code, Some(75), "{}", ended.err);
    assert!(ended.err.contains("ballast is given up"), "{}", ended.err);

    // The service manager starts it again and again; with room, it goes on where it was.
    filler.remove();
    let daemon = house.serve();
    assert_eq!(states(&house).len(), 3);
    house.run(&["resume", "--json"]).json();
    for post in house.posts() {
        house.run(&["post", "reschedule", post["id"].as_str().unwrap(), "--at", "now", "--json"]).json();
    }
    wait("the posts", &daemon, || all_published(&house));
    assert_once(&house);
    let checked = fs::metadata(house.data().join("ballast")).unwrap().len();
    assert_eq!(checked, 16 << 20);
}
