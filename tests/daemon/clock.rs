//! Clocks that jump: nothing goes out early, nothing twice, and a clock in doubt holds.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use sendoff::control::{messages as m, requests as r};
use sendoff::store::{Options, Store, deliveries, generation, meta};

use crate::house::House;

const YEAR: i64 = 365 * 24 * 60;

async fn alert(house: &House, code: &str) -> Option<m::Alert> {
    house.client.status().await.unwrap().alerts.into_iter().find(|it| it.code == code)
}

/// From here on there are two clocks.
async fn watched(house: &House) {
    house.clock.has_boot.store(true, Ordering::SeqCst);
    assert_eq!(alert(house, "clock").await, None);
}

fn times_sent(story: &[(String, String)]) -> usize {
    story.iter().filter(|(event, _)| event == "delivery.sending").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_forward_by_an_hour_to_ten_years_holds_and_then_the_late_policy_decides() {
    for minutes in [90, 24 * 60, 10 * YEAR] {
        let house = House::furnished().await;
        watched(&house).await;
        let soon = house.post(&["x:acme"], &["In ten minutes."], r::When::At("+10m".into())).await;
        house.step(SignedDuration::from_mins(minutes)).await;
        let held = alert(&house, "clock").await.expect("a clock in doubt is told");
        assert!(held.message.contains("jumped forward"), "{held:?}");
        assert!(held.hint.unwrap().contains("resume"));
        house.pass(SignedDuration::from_mins(9)).await;
        assert!(alert(&house, "clock").await.is_some());
        assert_eq!(house.network.published().len(), 0, "nothing is early by a jump of {minutes} min");
        // Time passes by both clocks, and the patience ends.
        house.pass(SignedDuration::from_mins(2)).await;
        assert_eq!(house.ended(&soon.id).await.status, m::PostStatus::Missed);
        assert_eq!(house.network.published().len(), 0, "{minutes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_hold_what_is_within_its_limit_goes_out_once() {
    let house = House::furnished().await;
    watched(&house).await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Late enough."], r::When::At("+10m".into())).await;
    house.step(SignedDuration::from_mins(30)).await;
    assert!(alert(&house, "clock").await.is_some());
    house.pass(SignedDuration::from_mins(11)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Late enough.").len(), 2);
    let told = alert(&house, "clock").await.expect("nobody has vouched for the clock");
    assert!(told.message.contains("nobody has vouched"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_that_is_taken_back_leaves_everything_at_its_time() {
    let house = House::furnished().await;
    watched(&house).await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["At its time."], r::When::At("+10m".into())).await;
    house.step(SignedDuration::from_mins(YEAR)).await;
    assert!(alert(&house, "clock").await.is_some());
    house.step(SignedDuration::from_mins(-YEAR)).await;
    assert!(alert(&house, "clock").await.is_none());
    assert_eq!(house.network.published().len(), 0);
    house.pass(SignedDuration::from_mins(11)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("At its time.").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_says_that_the_clock_is_right_ends_the_hold() {
    let house = House::furnished().await;
    watched(&house).await;
    let made = house.post(&["x:acme"], &["The clock is right."], r::When::At("+30m".into())).await;
    house.step(SignedDuration::from_mins(31)).await;
    assert!(alert(&house, "clock").await.is_some());
    assert_eq!(house.network.published().len(), 0);
    house.client.resume().await.unwrap();
    assert!(alert(&house, "clock").await.is_none());
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_back_and_small_ones_send_nothing_twice_and_nothing_early() {
    let house = House::furnished().await;
    watched(&house).await;
    let gone = house.post(&["x:acme", "bluesky:acme"], &["Once."], r::When::Now).await;
    house.ended(&gone.id).await;
    let later = house.post(&["x:acme"], &["Later."], r::When::At("+3h".into())).await;
    for step in [-1, 1, -60, 60, -3600, -86_400, -YEAR * 60, -9 * YEAR * 60] {
        house.step(SignedDuration::from_secs(step)).await;
        assert_eq!(house.network.published().len(), 2, "after a step of {step} s");
        assert!(alert(&house, "clock").await.is_none(), "a step of {step} s holds nothing");
    }
    for delivery in house.client.post_show(&gone.id).await.unwrap().deliveries {
        assert_eq!(times_sent(&house.story(Some(&delivery.id)).await), 1);
    }
    let state = house.client.post_show(&later.id).await.unwrap().deliveries[0].state;
    assert_eq!(state, m::DeliveryState::Scheduled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_the_clock_behind_what_it_has_been_holds_until_it_has_caught_up() {
    let mut house = House::furnished().await;
    let made = house.post(&["x:acme"], &["Behind."], r::When::At("+10m".into())).await;
    house.stop().await;
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let mark: Timestamp = house.now() + SignedDuration::from_mins(30);
    store.write(move |tx| meta::raise_high_water(tx, mark)).await.unwrap();
    store.close().await;
    drop(store);
    house.start().await;
    house.pass(SignedDuration::from_mins(20)).await;
    let told = alert(&house, "clock").await.expect("a clock that is behind is told");
    assert!(told.message.contains("nothing is sent"), "{told:?}");
    assert_eq!(house.network.published().len(), 0);
    house.pass(SignedDuration::from_mins(11)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert!(alert(&house, "clock").await.is_none());
}

/// The store as it is now, read while the daemon is down.
async fn copy_of_the_store(house: &mut House) -> Vec<u8> {
    house.stop().await;
    let copy = std::fs::read(house.data_dir().join("sendoff.redb")).unwrap();
    house.start().await;
    copy
}

/// Starts the daemon on an earlier copy of its store.
async fn bring_back(house: &mut House, copy: &[u8]) {
    house.stop().await;
    std::fs::write(house.data_dir().join("sendoff.redb"), copy).unwrap();
    house.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_brought_back_from_a_copy_is_noticed_and_what_may_be_live_is_looked_for() {
    let mut house = House::furnished().await;
    let both = ["x:acme", "bluesky:acme"];
    let out = house.post(&both, &["Out since."], r::When::At("+10m".into())).await;
    let ahead = house.post(&["x:acme"], &["Far ahead."], r::When::At("+30h".into())).await;
    let copy = copy_of_the_store(&mut house).await;
    house.pass(SignedDuration::from_mins(11)).await;
    assert_eq!(house.ended(&out.id).await.status, m::PostStatus::Published);

    bring_back(&mut house, &copy).await;
    let told = alert(&house, "restored").await.expect("a store of yesterday is told");
    assert!(told.message.contains("2 deliveries"), "{told:?}");
    let state = house.client.post_show(&ahead.id).await.unwrap().deliveries[0].state;
    assert_eq!(state, m::DeliveryState::Scheduled, "what is not due yet waits for its time");
    // The ones that went out are looked for, and nothing goes out again meanwhile.
    for delivery in &house.client.post_show(&out.id).await.unwrap().deliveries {
        let story = house.story(Some(&delivery.id)).await;
        assert_eq!(times_sent(&story), 0, "{story:#?}");
    }
    assert_eq!(house.live("Out since.").len(), 2);

    house.stop().await;
    house.start().await;
    assert!(alert(&house, "restored").await.is_none(), "it is told once");
    house.stop().await;
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let stored = store.read(meta::generation).unwrap();
    assert_eq!(generation::read(&house.data_dir()).unwrap(), generation::Sidecar::Holds(stored));
    assert!(store.read(|rx| deliveries::open_after(rx, None, 9)).unwrap().len() <= 3);
    store.close().await;
    drop(store);

    // And to their ends.
    house.start().await;
    assert_eq!(house.ended(&out.id).await.status, m::PostStatus::Published);
    house.pass_to(ahead.deliveries[0].due).await;
    assert_eq!(house.ended(&ahead.id).await.status, m::PostStatus::Published);
    assert_eq!((house.live("Out since.").len(), house.live("Far ahead.").len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_marker_nor_a_time_that_the_copy_holds_doubles_a_post() {
    let mut house = House::furnished().await;
    house.inject("bluesky.put=429");
    let marked = house.post(&["bluesky:acme"], &["Refused at first."], r::When::Now).await;
    house.reaches(&marked.id, m::DeliveryState::Retry).await;
    let moved = house.post(&["x:acme", "bluesky:acme"], &["Moved."], r::When::At("+30h".into())).await;
    let copy = copy_of_the_store(&mut house).await;
    // What it went out as is another record than the one the copy holds, of the same words.
    let langs = [("bluesky".to_owned(), [("langs".to_owned(), "de".to_owned())].into())].into();
    let edit = r::EditPost { options: Some(langs), ..r::EditPost::default() };
    house.client.post_edit(&marked.id, &edit).await.unwrap();
    house.client.post_reschedule(&moved.id, r::Move::At("+10m".into()), None).await.unwrap();
    house.pass(SignedDuration::from_mins(20)).await;
    assert_eq!(house.ended(&marked.id).await.status, m::PostStatus::Published);
    assert_eq!(house.ended(&moved.id).await.status, m::PostStatus::Published);

    bring_back(&mut house, &copy).await;
    assert_eq!(house.ended(&marked.id).await.status, m::PostStatus::Published);
    let state = house.client.post_show(&moved.id).await.unwrap().deliveries[0].state;
    assert_eq!(state, m::DeliveryState::Scheduled);
    house.pass(SignedDuration::from_hours(31)).await;
    assert_eq!(house.ended(&moved.id).await.status, m::PostStatus::Published);
    let story = house.story(None).await;
    assert_eq!((house.live("Refused at first.").len(), house.live("Moved.").len()), (1, 2), "{story:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_went_on_after_the_copy_was_made_is_searched_for_part_by_part() {
    let mut house = House::furnished().await;
    let parts = ["Part one.", "Part two.", "Part three."];
    let thread = house.post(&["x:acme", "bluesky:acme"], &parts, r::When::At("+10m".into())).await;
    house.pass(SignedDuration::from_secs(601)).await;
    house.until("the first part", async |_| (house.live(parts[0]).len() == 2).then_some(())).await;
    let copy = copy_of_the_store(&mut house).await;
    assert!(house.live(parts[2]).is_empty());
    house.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(house.ended(&thread.id).await.status, m::PostStatus::Published);

    bring_back(&mut house, &copy).await;
    house.pass(SignedDuration::from_hours(1)).await;
    assert_eq!(house.ended(&thread.id).await.status, m::PostStatus::Published);
    for part in parts {
        let story = house.story(None).await;
        assert_eq!(house.live(part).len(), 2, "{part}: {story:#?}");
    }
}
