//! The engine and TikTok's connector together: whatever happens to the answer to the last piece of a
//! film, or to any call before it, there is one post; photos whose answer is lost wait for a person.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::world::networks::{Fault, answer};
use crate::world::{Rng, World, secs, start};
use jiff::SignedDuration;
use sendoff::domain::account::AccountState;
use sendoff::domain::delivery::{RetryWhy, State};
use sendoff::domain::ids::{DeliveryId, MediaId, PlatformName};
use sendoff::domain::media::{Detail, MediaItem, MediaKind, Video};
use sendoff::domain::schedule::Late;
use serde_json::json;

/// One piece, and five.
const SHORT: u64 = 30_000_000;
const LONG: u64 = 110_000_000;

fn direct() -> BTreeMap<String, String> {
    [("privacy", "PUBLIC_TO_EVERYONE"), ("consent", "music")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn media(kind: MediaKind, bytes: u64) -> MediaItem {
    let video = Video {
        duration_ms: 10_000,
        frame_rate_milli: 30_000,
        codec: "h264".into(),
        audio: None,
        index_first: true,
        ..Video::default()
    };
    MediaItem {
        id: MediaId::from_u128(9),
        name: "a".into(),
        kind,
        bytes,
        width: 720,
        height: 1280,
        alt: None,
        part: 0,
        detail: Detail { video: (!kind.is_image()).then_some(video), ..Detail::default() },
    }
}

/// A post of a film of so many bytes, or of photos; `reach` as the account's tier.
fn post(world: &mut World, account: u128, due: i64, item: MediaItem, reach: &str) -> DeliveryId {
    let id = world.post(account, due, 1, Late::Always);
    let post = Arc::make_mut(world.posts.get_mut(&world.store[&id].post).unwrap());
    post.media = vec![item];
    let mut options = if reach == "direct" { direct() } else { BTreeMap::new() };
    options.insert("mode".into(), reach.into());
    post.options = [(PlatformName::TikTok, options)].into();
    for account in world.accounts.values_mut() {
        account.tier = Some("direct".into());
    }
    id
}

fn film(bytes: u64) -> MediaItem {
    media(MediaKind::Mp4, bytes)
}

fn week() -> SignedDuration {
    SignedDuration::from_hours(24 * 7)
}

fn calls(world: &World, label: &str) -> usize {
    world.network.tiktok.calls.get(label).copied().unwrap_or_default()
}

/// One post with these faults at its publishing.
fn run(item: MediaItem, reach: &str, faults: &[Fault], set: impl FnOnce(&mut World)) -> (World, DeliveryId) {
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.works = secs(20);
    world.network.script = faults.to_vec();
    set(&mut world);
    let id = post(&mut world, 1, 0, item, reach);
    world.run_until(start() + week());
    (world, id)
}

fn plain(status: u16) -> Fault {
    Fault::Misleading(answer(status, &json!({})))
}

#[test]
fn a_film_goes_up_piece_by_piece_and_is_published_by_its_last() {
    for (bytes, pieces) in [(SHORT, 0), (LONG, 4)] {
        let (world, id) = run(film(bytes), "direct", &[], |_| ());
        let done = &world.store[&id];
        assert_eq!((done.state, world.network.objects.len(), world.sent.len()), (State::Published, 1, 1));
        assert_eq!(done.steps[0].remote_id.as_ref(), Some(&world.network.objects[0].id));
        let link = done.steps[0].permalink.as_ref().unwrap();
        assert!(link.starts_with("https://www.tiktok.com/@acme/video/7080") && done.verified, "{link}");
        assert_eq!((calls(&world, "tiktok.chunk"), calls(&world, "tiktok.init")), (pieces, 1));
        assert_eq!(calls(&world, "tiktok.creator"), 1, "asked right before");
    }
}

#[test]
fn a_film_for_the_inbox_ends_there_and_is_never_called_published() {
    let (world, id) = run(film(SHORT), "inbox", &[Fault::LostAfter], |_| ());
    let done = &world.store[&id];
    assert_eq!((done.state, world.network.objects.len(), world.sent.len()), (State::HandedOver, 1, 1));
    assert_eq!((done.steps[0].remote_id.as_ref(), calls(&world, "tiktok.creator")), (None, 0));
}

#[test]
fn a_lost_answer_to_the_last_piece_is_found_by_the_task_and_no_second_task_is_made() {
    for fault in [Fault::LostAfter, Fault::Cut, plain(500), plain(403), plain(404), plain(416), plain(206)] {
        for (bytes, reach, end) in [
            (SHORT, "direct", State::Published),
            (LONG, "direct", State::Published),
            (LONG, "inbox", State::HandedOver),
        ] {
            let (world, id) = run(film(bytes), reach, std::slice::from_ref(&fault), |_| ());
            let done = &world.store[&id];
            assert_eq!(done.state, end, "{fault:?} {bytes}: {:?}", done.reason);
            assert_eq!((world.network.objects.len(), calls(&world, "tiktok.init")), (1, 1), "{fault:?}");
            assert_eq!(world.sent.len(), 1, "{fault:?}: it was looked at, not sent again");
        }
    }
}

#[test]
fn a_last_piece_that_never_arrived_goes_again_to_the_same_task_once_it_is_settled() {
    let (world, id) = run(film(LONG), "direct", &[Fault::LostBefore], |_| ());
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!((world.sent.len(), calls(&world, "tiktok.init")), (2, 1));
    assert!(world.sent[1].0.duration_since(world.sent[0].0) >= SignedDuration::from_mins(15));
    // Lost as often as the address lives: another task, when nothing can come of the first any more.
    let (world, id) = run(film(LONG), "direct", &vec![Fault::LostBefore; 6], |_| ());
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
    assert_eq!(calls(&world, "tiktok.init"), 2);
}

#[test]
fn a_lost_answer_before_the_last_piece_costs_a_repeat_and_nothing_else() {
    for at in 0..7 {
        for fault in [Fault::LostAfter, Fault::LostBefore, Fault::NotSent, Fault::Cut, plain(500)] {
            let (world, id) = run(film(LONG), "direct", &[], |world| {
                world.network.reads = vec![Fault::None; at];
                world.network.reads.push(fault.clone());
            });
            let done = &world.store[&id];
            let what = format!("{fault:?} at call {at}: {:?}", done.reason);
            assert_eq!((done.state, world.network.objects.len()), (State::Published, 1), "{what}");
            assert!(calls(&world, "tiktok.init") <= 2, "{what}");
            assert_eq!(world.sent.len(), 1, "{what}");
        }
    }
}

/// A task of this post fails for this reason, until so many minutes have passed; then the world is looked at,
/// and nothing fails any more.
fn failing(reason: &'static str, item: MediaItem, minutes: i64) -> (World, DeliveryId, DeliveryId) {
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.works = secs(20);
    world.network.tiktok.fails = Some(reason);
    let id = post(&mut world, 1, 0, item, "direct");
    let next = post(&mut world, 1, 25 * 60, film(SHORT + 1), "direct");
    world.run_until(start() + SignedDuration::from_mins(minutes));
    world.network.tiktok.fails = None;
    (world, id, next)
}

fn inits(world: &World) -> usize {
    calls(world, "tiktok.init") + calls(world, "tiktok.photo")
}

#[test]
fn what_the_content_or_the_rules_are_to_blame_for_is_uploaded_once() {
    for reason in [
        "file_format_check_failed",
        "duration_check_failed",
        "frame_rate_check_failed",
        "picture_size_check_failed",
        "publish_cancelled",
        "spam_risk_user_banned_from_posting",
        "spam_risk_text",
        "spam_risk",
    ] {
        let (mut world, id, next) = failing(reason, film(SHORT), 20);
        let done = &world.store[&id];
        assert_eq!((done.state, inits(&world)), (State::Rejected, 1), "{reason}: {:?}", done.reason);
        let told = done.reason.as_ref().unwrap();
        assert!(told.message.contains(reason) && told.hint.is_some(), "{told:?}");
        world.run_until(start() + week());
        assert_eq!((world.store[&next].state, world.network.objects.len()), (State::Published, 1));
        assert!(world.accounts.values().all(|it| it.state == AccountState::Ready), "{reason}");
    }
}

#[test]
fn what_tiktok_itself_is_to_blame_for_goes_up_again_once_nothing_can_come_of_the_first() {
    for (reason, item) in [
        ("internal", film(SHORT)),
        ("video_pull_failed", film(SHORT)),
        ("photo_pull_failed", media(MediaKind::Jpeg, 900)),
    ] {
        let (mut world, id, _) = failing(reason, item, 5);
        assert_eq!((world.store[&id].state, inits(&world)), (State::Unknown, 1), "{reason}");
        world.run_until(start() + week());
        assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 2));
        assert_eq!(inits(&world), 3, "{reason}: one again, and the next post's");
    }
}

#[test]
fn a_film_without_words_whose_task_failed_goes_up_again_too() {
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.fails = Some("internal");
    let id = post(&mut world, 1, 0, film(SHORT), "direct");
    let row = world.posts.get_mut(&world.store[&id].post).unwrap();
    Arc::make_mut(row).content.parts = vec![String::new()];
    world.run_until(start() + SignedDuration::from_mins(5));
    world.network.tiktok.fails = None;
    world.run_until(start() + week());
    let done = &world.store[&id];
    assert_eq!((done.state, world.network.objects.len()), (State::Published, 1), "{:?}", done.reason);
}

#[test]
fn an_app_that_lost_its_access_waits_for_the_person_and_uploads_nothing_more() {
    for item in [film(SHORT), media(MediaKind::Jpeg, 900)] {
        let (mut world, id, next) = failing("auth_removed", item, 29);
        let row = &world.store[&id];
        assert_eq!(row.state, State::NeedsReconnect, "{:?}", row.reason);
        let told = row.reason.as_ref().unwrap();
        assert!(told.message.contains("auth_removed"), "{told:?}");
        assert!(told.hint.as_ref().unwrap().contains("connect the account again"), "{told:?}");
        assert!(world.accounts.values().all(|it| it.state == AccountState::NeedsReconnect));
        assert_eq!(inits(&world), 1, "nor is the next one's film uploaded");
        world.run_until(start() + week());
        for id in [id, next] {
            assert_eq!(world.store[&id].state, State::Published);
        }
        assert_eq!((inits(&world), world.network.objects.len()), (3, 2));
    }
}

#[test]
fn a_creator_who_posted_too_often_waits_for_a_day_as_a_whole() {
    for item in [film(SHORT), media(MediaKind::Jpeg, 900)] {
        let (mut world, id, next) = failing("spam_risk_too_many_posts", item, 23 * 60);
        let row = &world.store[&id];
        assert_eq!((row.state, row.retry_why), (State::Retry, Some(RetryWhy::Parked)), "{:?}", row.reason);
        assert!(row.next_try.unwrap() >= start() + SignedDuration::from_hours(24));
        assert!(row.reason.as_ref().unwrap().hint.as_ref().unwrap().contains("a day later"));
        assert_eq!(inits(&world), 1, "the lane was told: the next one waits as well");
        assert_ne!(world.store[&next].state, State::Published);
        let waits = world.engine.as_ref().unwrap().waits(world.now);
        assert!(waits.len() == 1 && waits[0].reason.class == "rate_limited", "{waits:?}");
        world.run_until(start() + week());
        for id in [id, next] {
            assert_eq!(world.store[&id].state, State::Published, "{:?}", world.store[&id].reason);
        }
        assert_eq!(inits(&world), 3);
    }
    // Day after day: the wait may outlast our patience once.
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.fails = Some("spam_risk_too_many_posts");
    let id = post(&mut world, 1, 0, film(SHORT), "direct");
    world.run_until(start() + week());
    let done = &world.store[&id];
    assert_eq!((done.state, inits(&world)), (State::Rejected, 2));
    assert_eq!(done.reason.as_ref().unwrap().class, "rate_limited");
}

#[test]
fn an_audience_that_is_no_longer_offered_is_never_replaced() {
    for item in [film(LONG), media(MediaKind::Jpeg, 900)] {
        let (world, id) = run(item, "direct", &[], |world| world.network.tiktok.audience = Some("SELF_ONLY"));
        let done = &world.store[&id];
        assert_eq!((done.state, world.sent.len(), calls(&world, "tiktok.init")), (State::Rejected, 0, 0));
        let reason = done.reason.as_ref().unwrap();
        assert!(reason.message.contains("SELF_ONLY") && reason.hint.as_ref().unwrap().contains("post edit"));
    }
}

#[test]
fn photos_are_followed_by_the_name_that_the_answer_gave_and_held_without_it() {
    let photo = || media(MediaKind::Jpeg, 900);
    for (reach, end) in [("direct", State::Published), ("inbox", State::HandedOver)] {
        let (world, id) = run(photo(), reach, &[], |_| ());
        assert_eq!((world.store[&id].state, world.network.objects.len()), (end, 1));
        assert!(calls(&world, "tiktok.status") >= 1);
    }
    for fault in [Fault::LostAfter, Fault::LostBefore, plain(500), plain(403)] {
        let lost = fault == Fault::LostBefore;
        let (world, id) = run(photo(), "direct", &[fault], |_| ());
        let done = &world.store[&id];
        assert_eq!((done.state, done.held, world.sent.len()), (State::Unknown, true, 1));
        assert_eq!(world.network.objects.len(), usize::from(!lost));
    }
    // The answer named it, so its failure is proof enough to begin anew.
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.fails = Some("photo_pull_failed");
    let id = post(&mut world, 1, 0, photo(), "direct");
    world.run_until(start() + SignedDuration::from_mins(5));
    assert_eq!(world.store[&id].state, State::Unknown);
    world.network.tiktok.fails = None;
    world.run_until(start() + week());
    assert_eq!((world.store[&id].state, world.network.objects.len()), (State::Published, 1));
}

#[test]
fn a_full_inbox_holds_what_is_for_it_and_nothing_else_of_the_account() {
    for item in [film(SHORT), media(MediaKind::Jpeg, 900)] {
        let mut world = World::new(7, PlatformName::TikTok, 1);
        let room = start() + SignedDuration::from_mins(150);
        world.network.tiktok.full_until = Some(room);
        let waits = post(&mut world, 1, 0, item, "inbox");
        let goes = post(&mut world, 1, 30, film(SHORT + 1), "direct");
        world.run_until(start() + SignedDuration::from_mins(5));
        assert_eq!(world.store[&goes].state, State::Published, "{:?}", world.store[&goes].reason);
        let row = &world.store[&waits];
        assert_eq!((row.state, row.attempts), (State::Retry, 0));
        let reason = row.reason.as_ref().unwrap();
        assert_eq!(reason.class, "full");
        assert!(reason.hint.as_ref().unwrap().contains("every hour"), "{reason:?}");
        let asked = |world: &World| calls(world, "tiktok.init") + calls(world, "tiktok.photo");
        assert_eq!(asked(&world), 2);
        // Once an hour: at 60, 120 and 180 minutes.
        world.run_until(start() + week());
        assert_eq!((world.store[&waits].state, asked(&world)), (State::HandedOver, 5));
        assert_eq!(world.network.objects.len(), 2);
    }
}

#[test]
fn a_permission_that_is_missing_costs_the_posts_that_need_it_and_not_the_account() {
    let both = || vec!["video.upload".to_owned(), "video.publish".to_owned()];
    for item in [film(SHORT), media(MediaKind::Jpeg, 900)] {
        let mut world = World::new(7, PlatformName::TikTok, 1);
        world.network.tiktok.lacks = Some("video.upload");
        let refused = post(&mut world, 1, 0, item, "inbox");
        let goes = post(&mut world, 1, 30, film(SHORT + 1), "direct");
        world.accounts.values_mut().for_each(|it| it.scopes = both());
        world.run_until(start() + SignedDuration::from_mins(5));
        assert_eq!(world.store[&goes].state, State::Published, "{:?}", world.store[&goes].reason);
        let row = &world.store[&refused];
        assert_eq!(row.state, State::Rejected);
        let reason = row.reason.as_ref().unwrap();
        assert_eq!(reason.class, "not_granted");
        assert!(reason.hint.as_ref().unwrap().contains("`video.upload`"), "{reason:?}");
        assert!(world.accounts.values().all(|it| it.state == AccountState::Ready));
    }
    // An account that has nothing else waits as a whole, and loses nothing.
    let mut world = World::new(7, PlatformName::TikTok, 1);
    world.network.tiktok.lacks = Some("video.upload");
    let waits = post(&mut world, 1, 0, film(SHORT), "inbox");
    world.accounts.values_mut().for_each(|it| it.scopes = vec!["video.upload".into()]);
    world.run_until(start() + SignedDuration::from_mins(5));
    assert_eq!(world.store[&waits].state, State::NeedsReconnect);
}

#[test]
fn whatever_goes_wrong_no_film_is_there_twice() {
    let (mut done, mut again, mut crashes) = (0, 0, 0);
    for seed in 0..150 {
        let mut dice = Rng(seed ^ 0x71c);
        let mut world = World::new(seed, PlatformName::TikTok, 2);
        world.network.trouble = 10 + dice.below(60);
        world.network.patience = dice.below(24);
        world.network.tiktok.works = secs(i64::try_from(dice.below(600)).unwrap());
        let mut texts = BTreeMap::new();
        for n in 0..4_u32 {
            let due = i64::try_from(dice.below(300)).unwrap();
            let bytes = if dice.chance(50) { SHORT } else { LONG } + u64::from(n);
            let (item, reach) = match dice.below(5) {
                0 => (media(MediaKind::Jpeg, bytes), "direct"),
                1 | 2 => (film(bytes), "direct"),
                _ => (film(bytes), "inbox"),
            };
            let id = post(&mut world, u128::from(1 + n % 2), due, item, reach);
            let words = world.posts[&world.store[&id].post].content.parts[0].clone();
            texts.insert(id, if reach == "inbox" { format!("size {bytes}") } else { words });
        }
        let count = dice.below(4);
        world.crash_at = (0..count).map(|_| 1 + dice.below(220)).collect();
        world.run_until(start() + week());
        for delivery in world.store.values() {
            let objects: Vec<_> =
                world.network.objects.iter().filter(|it| it.text == texts[&delivery.id]).collect();
            let what =
                format!("seed {seed}: {} is {:?}, {} objects", delivery.id, delivery.state, objects.len());
            assert!(objects.len() <= 1, "{what}");
            match delivery.state {
                State::Published | State::HandedOver => {
                    assert_eq!(objects.len(), 1, "{what}");
                    done += 1;
                }
                State::Unknown => assert!(delivery.held, "{what}"),
                state => assert!(state.is_terminal() && objects.is_empty(), "{what}"),
            }
        }
        again += usize::from(world.sent.len() > 4);
        crashes += world.crashes;
    }
    // The test would prove nothing if the world were kind.
    assert!(done > 300 && again > 10 && crashes > 50, "{done} {again} {crashes}");
}
