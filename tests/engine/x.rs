//! X in the engine: uploads that break off or end, and create calls with files whose answers are lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::world::networks::{Fault, answer};
use crate::world::{Rng, World, secs, start};
use jiff::SignedDuration;
use sendoff::domain::delivery::State;
use sendoff::domain::ids::{DeliveryId, MediaId, PlatformName};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::domain::schedule::Late;
use sendoff::engine::Purpose;
use serde_json::json;

const MIB: u64 = 1 << 20;

fn picture(n: u128, part: u16) -> MediaItem {
    MediaItem {
        id: MediaId::from_u128(n),
        name: format!("{n}.png"),
        kind: MediaKind::Png,
        bytes: 1000,
        width: 640,
        height: 480,
        alt: Some(format!("picture {n}")),
        part,
        detail: Detail::default(),
    }
}

fn film(n: u128, part: u16, bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms: 10_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: Some("aac".into()),
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        kind: MediaKind::Mp4,
        bytes,
        alt: None,
        detail: Detail { video: Some(video), ..Detail::default() },
        ..picture(n, part)
    }
}

/// A post of so many parts with these files, due so many seconds after the start.
fn post(world: &mut World, account: u128, due: i64, parts: usize, media: Vec<MediaItem>) -> DeliveryId {
    let id = world.post(account, due, parts, Late::Always);
    let post = world.posts.get_mut(&world.store[&id].post).unwrap();
    Arc::make_mut(post).media = media;
    id
}

fn a_week() -> jiff::Timestamp {
    start() + SignedDuration::from_hours(24 * 7)
}

fn calls(world: &World, label: &str) -> usize {
    world.network.x.calls.get(label).copied().unwrap_or_default()
}

fn run(media: Vec<MediaItem>, set: impl FnOnce(&mut World)) -> (World, DeliveryId) {
    let mut world = World::new(7, PlatformName::X, 1);
    world.network.x.works = secs(25);
    set(&mut world);
    let id = post(&mut world, 1, 0, 1, media);
    world.run_until(a_week());
    (world, id)
}

fn plain(status: u16) -> Fault {
    Fault::Misleading(answer(status, &json!({})))
}

#[test]
fn each_part_of_a_thread_takes_its_own_files_and_waits_until_x_has_worked_on_them() {
    let mut world = World::new(7, PlatformName::X, 1);
    world.network.x.works = secs(25);
    let media = vec![picture(1, 0), film(2, 1, 3 * MIB), picture(3, 0), picture(4, 2)];
    let id = post(&mut world, 1, 0, 3, media);
    world.run_until(a_week());
    assert_eq!((world.store[&id].state, world.sent.len()), (State::Published, 3));
    let counts: Vec<_> =
        world.network.objects.iter().map(|it| world.network.x.attached[&it.id].len()).collect();
    assert_eq!(counts, [2, 1, 1]);
    let first = &world.network.x.attached[&world.network.objects[0].id];
    assert_eq!(
        world.network.x.alts(first),
        [Some("picture 1"), Some("picture 3")],
        "in the order of the files"
    );
    assert_eq!(
        (calls(&world, "x.upload"), calls(&world, "x.append"), calls(&world, "x.metadata")),
        (3, 3, 3)
    );
    // As often as X says, not more: 25 seconds in steps of ten.
    assert!((2..=4).contains(&calls(&world, "x.status")), "{}", calls(&world, "x.status"));
    assert_eq!(world.network.x.stale, 0);
}

#[test]
fn a_create_whose_answer_is_lost_is_there_once_with_its_files() {
    for fault in [Fault::LostAfter, Fault::Cut, plain(500), plain(403)] {
        for media in [vec![picture(1, 0)], vec![film(1, 0, 2 * MIB)]] {
            let (world, id) = run(media, |world| world.network.script = vec![fault.clone()]);
            let done = &world.store[&id];
            assert_eq!((done.state, world.network.objects.len()), (State::Published, 1), "{fault:?}");
            assert_eq!(world.sent.len(), 1, "{fault:?}: found, not sent again");
            assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
        }
    }
    // It never arrived: after two looks it goes again, with files that still live or new ones.
    for life in [SignedDuration::from_hours(24), SignedDuration::from_mins(15)] {
        let (world, id) = run(vec![picture(1, 0)], |world| {
            world.network.x.life = life;
            world.network.script = vec![Fault::LostBefore];
        });
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
        assert_eq!((world.sent.len(), world.network.x.stale), (2, 0));
        let anew = life < SignedDuration::from_hours(1);
        assert_eq!(calls(&world, "x.upload"), 1 + usize::from(anew));
    }
}

#[test]
fn files_without_words_are_known_by_their_ids_and_never_sent_twice() {
    let wordless = |world: &mut World, id: DeliveryId| {
        let post = world.posts.get_mut(&world.store[&id].post).unwrap();
        Arc::make_mut(post).content.parts = vec![String::new()];
    };
    for (fault, state, held, there) in [
        (Fault::LostAfter, State::Published, false, 1),
        (plain(500), State::Published, false, 1),
        (Fault::LostBefore, State::Unknown, true, 0),
    ] {
        let mut world = World::new(7, PlatformName::X, 1);
        // Nothing refuses a repeat without words.
        world.network.refuses_repeats = false;
        let other = post(&mut world, 1, 0, 1, vec![picture(1, 0)]);
        wordless(&mut world, other);
        let id = post(&mut world, 1, 30, 1, vec![picture(2, 0)]);
        wordless(&mut world, id);
        world.network.script = vec![Fault::None, fault.clone()];
        world.run_until(a_week());
        let done = &world.store[&id];
        assert_eq!((done.state, done.held), (state, held), "{fault:?}: {:?}", done.reason);
        assert_eq!((world.network.objects.len(), world.sent.len()), (1 + there, 2), "{fault:?}");
    }
}

#[test]
fn an_upload_that_breaks_off_anywhere_ends_in_one_post() {
    for at in 0..9 {
        for fault in [Fault::LostAfter, Fault::LostBefore, Fault::NotSent, Fault::Cut, plain(500)] {
            let (world, id) = run(vec![film(1, 0, 3 * MIB)], |world| {
                world.network.reads = vec![Fault::None; at];
                world.network.reads.push(fault.clone());
            });
            let done = &world.store[&id];
            let what = format!("{fault:?} at call {at}: {:?}", done.reason);
            assert_eq!(
                (done.state, world.network.objects.len(), world.sent.len()),
                (State::Published, 1, 1),
                "{what}"
            );
            assert!(calls(&world, "x.initialize") <= 3, "{what}");
            assert_eq!(world.network.x.stale, 0, "{what}");
        }
    }
}

#[test]
fn files_that_x_has_forgotten_go_up_again_and_the_post_follows() {
    let mut world = World::new(7, PlatformName::X, 1);
    world.network.x.works = secs(600);
    let id = post(&mut world, 1, 0, 1, vec![film(1, 0, 2 * MIB)]);
    world.run_until(start() + secs(300));
    let now = world.now;
    world.network.x.lose_all(now);
    world.run_until(a_week());
    assert_eq!(
        (world.store[&id].state, world.network.objects.len(), world.sent.len()),
        (State::Published, 1, 1)
    );
    assert_eq!(calls(&world, "x.initialize"), 2);
    // Between the last look and the create call: refused, and that proves that nothing came of it.
    let stale = answer(
        400,
        &json!({ "errors": [{ "message": "Your media IDs are invalid." }],
            "type": "https://api.x.com/2/problems/invalid-request" }),
    );
    let (world, id) =
        run(vec![picture(1, 0)], |world| world.network.script = vec![Fault::Refused(stale.clone())]);
    assert_eq!(
        (world.store[&id].state, world.network.objects.len(), world.sent.len()),
        (State::Published, 1, 2)
    );
    assert_eq!(calls(&world, "x.upload"), 2, "begun anew");
    let files = &world.network.x.attached[&world.network.objects[0].id];
    assert_eq!(files, &["5001"], "with the new one, and not with what was refused");
    // For ever: it ends, and says why.
    let (world, id) =
        run(vec![picture(1, 0)], |world| world.network.script = vec![Fault::Refused(stale.clone()); 200]);
    let done = &world.store[&id];
    assert_eq!((done.state, world.network.objects.len()), (State::Rejected, 0), "{:?}", done.reason);
}

#[test]
fn whatever_goes_wrong_no_post_is_there_twice() {
    let (mut done, mut again, mut crashes) = (0, 0, 0);
    for seed in 0..120 {
        let mut dice = Rng(seed ^ 0x58);
        let mut world = World::new(seed, PlatformName::X, 2);
        world.network.trouble = 10 + dice.below(50);
        world.network.patience = dice.below(24);
        world.network.x.works = secs(i64::try_from(dice.below(200)).unwrap());
        let mut texts = BTreeMap::new();
        for n in 0..4_u32 {
            let due = i64::try_from(dice.below(300)).unwrap();
            let media = match dice.below(3) {
                0 => vec![picture(1, 0), picture(2, 1)],
                1 => vec![film(1, 1, 3 * MIB)],
                _ => vec![film(1, 0, 2 * MIB + u64::from(n))],
            };
            let id = post(&mut world, u128::from(1 + n % 2), due, 2, media);
            texts.insert(id, world.posts[&world.store[&id].post].content.parts.clone());
        }
        let count = dice.below(4);
        world.crash_at = (0..count).map(|_| 1 + dice.below(260)).collect();
        world.run_until(a_week());
        for delivery in world.store.values() {
            for (n, text) in texts[&delivery.id].iter().enumerate() {
                let there = world.network.objects.iter().filter(|it| it.text == *text).count();
                let what = format!(
                    "seed {seed}: part {n} of {} is {:?}, {there} there",
                    delivery.id, delivery.state
                );
                assert!(there <= 1, "{what}");
                match delivery.state {
                    State::Published => assert_eq!(there, 1, "{what}"),
                    State::Unknown => assert!(delivery.held, "{what}"),
                    state => assert!(state.is_terminal(), "{what}"),
                }
            }
            done += usize::from(delivery.state == State::Published);
        }
        again += usize::from(world.sent.len() > 8);
        crashes += world.crashes;
    }
    // The test would prove nothing if the world were kind.
    assert!(done > 250 && again > 10 && crashes > 40, "{done} {again} {crashes}");
}

#[test]
fn words_that_x_refuses_as_a_repeat_of_our_own_post_are_held_with_its_name() {
    let refused = answer(
        403,
        &json!({ "title": "Forbidden", "type": "about:blank", "status": 403,
            "detail": "You are not allowed to create a Tweet with duplicate content." }),
    );
    for known in [true, false] {
        let mut world = World::new(7, PlatformName::X, 1);
        world.network.script = vec![Fault::None, Fault::Refused(refused.clone())];
        let first = post(&mut world, 1, 0, 1, Vec::new());
        let again = post(&mut world, 1, 6 * 3600, 1, Vec::new());
        if known {
            let words = world.posts[&world.store[&first].post].content.clone();
            Arc::make_mut(world.posts.get_mut(&world.store[&again].post).unwrap()).content = words;
        }
        world.run_until(a_week());
        let held = &world.store[&again];
        assert_eq!((held.state, held.held), (State::Unknown, true), "{:?}", held.reason);
        let told = &held.reason.as_ref().unwrap().message;
        let named = told.contains(&world.store[&first].post.to_string());
        assert_eq!((named, told.contains("is not in the account's list")), (known, !known), "{told}");
    }
}

/// Each post on a page costs, and a search without an end proves nothing.
#[test]
fn a_timeline_that_never_ends_is_read_five_pages_at_a_time_and_a_person_is_asked_at_last() {
    let mut world = World::new(7, PlatformName::X, 1);
    (world.network.x.endless, world.network.list_lag) = (true, secs(3600 * 24 * 30));
    world.network.script = vec![Fault::LostAfter];
    let id = world.post(1, 0, 1, Late::Always);
    world.run_until(start() + secs(15));
    assert_eq!(world.asked.iter().filter(|it| it.2 == Purpose::Look).count(), 5, "one look");
    world.run_until(a_week());
    let it = &world.store[&id];
    assert!(it.waits_for_word(), "{:?} {:?}", it.state, it.reason);
    assert_eq!((world.sent.len(), world.network.objects.len()), (1, 1));
}
