//! The user is told: every move in words with its evidence, and trouble ahead of its time.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::House;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_move_is_told_with_what_the_network_said() {
    let house = House::new().await;
    house.connect("x").await;
    house.inject("x.create=500_after");
    let made = house.post(&["x:acme"], &["Told in full."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let shown = house.client.post_show(&made.id).await.unwrap();
    let why = &shown.deliveries[0].why;
    let events: Vec<_> = why.iter().map(|it| it.event.as_str()).collect();
    assert_eq!(events, ["created", "claim", "intend", "lose", "applied"], "{why:#?}");
    let (intend, lose, applied) = (&why[2], &why[3], &why[4]);
    assert_eq!((intend.attempt, intend.to.as_str()), (Some(1), "sending"));
    assert_eq!((lose.attempt, lose.http_status), (Some(1), Some(500)), "the doubt shows the answer");
    assert!(lose.raw.is_some() && lose.message.contains("nobody knows"), "{lose:?}");
    assert!(applied.message.contains("found on the network"), "{applied:?}");
    // Only where one post is shown: a list of thousands stays short.
    let listed = house.client.post_list(&r::ListPosts::default()).await.unwrap();
    assert!(listed.posts[0].deliveries[0].why.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_would_not_go_out_is_told_a_day_ahead_and_cleared_when_mended() {
    let house = House::new().await;
    house.connect("x").await;
    let far = house.now() + SignedDuration::from_hours(30);
    let made = house.post(&["x:acme"], &["Tomorrow."], r::When::At(far.to_string())).await;
    house.client.account_pause("x:acme").await.unwrap();
    let risks = async || {
        let status = house.client.status().await.unwrap();
        status.alerts.into_iter().filter(|it| it.code == "at_risk").collect::<Vec<_>>()
    };
    assert_eq!(risks().await, [], "more than a day is left");
    house.pass(SignedDuration::from_hours(8)).await;
    let told = house.until("the warning", async |_| risks().await.into_iter().next()).await;
    assert!(told.message.contains("x:acme") && told.message.contains("paused"), "{told:?}");
    assert_eq!(told.hint.as_deref(), Some("sendoff account resume x:acme"));
    let why = house.client.post_show(&made.id).await.unwrap().deliveries[0].why.clone();
    assert_eq!(why.last().unwrap().event, "at_risk", "who is shown the warning finds its line");
    house.client.account_resume("x:acme").await.unwrap();
    house.until("the all-clear", async |_| risks().await.is_empty().then_some(())).await;
}
