//! Stopping and starting: everything, one account, one name; and an account that leaves.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::disconnect::Trap;
use crate::house::{House, Wish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_stop_outlives_a_restart() {
    let mut house = House::furnished().await;
    house.client.pause(Some("a bad day".into())).await.unwrap();
    let made = house.post(&["x:acme", "bluesky:acme"], &["After the stop."], r::When::Now).await;
    house.stop().await;
    house.start().await;
    let status = house.client.status().await.unwrap();
    assert!(status.paused && status.ready);
    assert_eq!(status.pause_reason.as_deref(), Some("a bad day"));
    let waits = house.client.post_show(&made.id).await.unwrap();
    assert!(waits.deliveries.iter().all(|it| it.state == m::DeliveryState::Scheduled), "{waits:?}");
    assert_eq!(house.network.published(), []);
    house.client.resume().await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("After the stop.").len(), 2);
}

/// Whichever of the two is held between its commit and what follows, the other must not overtake it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_and_a_resume_at_once_leave_store_status_and_engine_of_one_mind() {
    let trap = Trap::new();
    let mut house = House::with(Wish { rehearsal: trap.rehearsal(), ..Wish::default() }).await;
    house.connect("x").await;
    let (mut both, mut last) = (Vec::new(), false);
    for n in 0..4 {
        let stop_comes_last = n % 2 == 1;
        trap.arm("stop committed");
        let client = &house.client;
        let word = async |stop: bool| {
            if stop { client.pause(None).await.unwrap() } else { client.resume().await.unwrap() }
        };
        let later = async {
            trap.caught().await;
            let second = word(stop_comes_last);
            let let_go = async {
                // Time for the second to arrive, if it is let past.
                for _ in 0..20 {
                    client.status().await.unwrap();
                }
                trap.let_go();
            };
            tokio::join!(second, let_go).0
        };
        let (first, second) = tokio::join!(word(!stop_comes_last), later);
        both.push((first.paused, second.paused));
        last = house.client.status().await.unwrap().paused;
        assert_eq!(last, stop_comes_last, "the later word holds");
        let text = format!("Round {n}.");
        let made = house.post(&["x:acme"], &[text.as_str()], r::When::Now).await;
        if last {
            for _ in 0..20 {
                house.client.queue_resume("spare").await.unwrap();
            }
            let waits = house.client.post_show(&made.id).await.unwrap();
            assert_eq!((waits.status, house.live(&text).len()), (m::PostStatus::Scheduled, 0));
        } else {
            assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
        }
    }
    assert_eq!(both, [(true, false), (false, true), (true, false), (false, true)]);
    house.stop().await;
    house.start().await;
    assert_eq!(house.client.status().await.unwrap().paused, last, "and the store agrees");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_account_waits_while_others_send() {
    let house = House::furnished().await;
    let paused = house.client.account_pause("x:acme").await.unwrap();
    assert_eq!(paused.state, m::AccountState::Paused);
    let waits = house.post(&["x:acme"], &["For X."], r::When::Now).await;
    let other = house.post(&["bluesky:acme"], &["For Bluesky."], r::When::Now).await;
    assert_eq!(house.ended(&other.id).await.status, m::PostStatus::Published);
    assert_eq!(house.client.post_show(&waits.id).await.unwrap().status, m::PostStatus::Scheduled);
    assert_eq!(house.live("For X.").len(), 0);
    house.client.account_resume("x:acme").await.unwrap();
    assert_eq!(house.ended(&waits.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_scheduled_under_an_old_name_still_goes_out() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme"], &["Under the old name."], r::When::At("+1h".into())).await;
    let renamed = house.client.account_rename("x:acme", "bakery").await.unwrap();
    assert_eq!(renamed.account, "x:bakery");
    house.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let fresh = house.post(&["x:bakery"], &["Under the new name."], r::When::Now).await;
    assert_eq!(house.ended(&fresh.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_takes_back_what_waits_and_nothing_of_it_goes_out() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Half of it."], r::When::At("+1h".into())).await;
    let receipt = house.client.account_disconnect("x:acme").await.unwrap().receipt;
    let whats: Vec<_> = receipt.items.iter().map(|it| it.what.as_str()).collect();
    assert!(whats.contains(&"pending deliveries") && whats.contains(&"data key"), "{receipt:?}");
    house.pass(SignedDuration::from_mins(61)).await;
    let done = house.ended(&made.id).await;
    let states: Vec<_> = done.deliveries.iter().map(|it| (it.account.as_str(), it.state)).collect();
    assert_eq!(
        states,
        [("x:acme", m::DeliveryState::Cancelled), ("bluesky:acme", m::DeliveryState::Published)]
    );
    assert_eq!(done.deliveries[0].reason.as_ref().unwrap().class, "disconnected");
    assert_eq!(house.live("Half of it.").len(), 1);
    house.assert_no_refusals();
}
