//! The user is told: every move in words with its evidence, and trouble ahead of its time.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, Wish};

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
    assert_eq!(applied.http_status, Some(200), "what the look saw is kept: {applied:?}");
    assert!(applied.raw.as_ref().is_some_and(|raw| raw.contains("Told in full.")), "{applied:?}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_that_began_since_the_day_before_is_told_an_hour_and_five_minutes_ahead() {
    let house = House::new().await;
    house.connect("x").await;
    let due = house.now() + SignedDuration::from_hours(30);
    house.post(&["x:acme"], &["Tomorrow."], r::When::At(due.to_string())).await;
    let at_risk = async |ahead: SignedDuration, told: bool| {
        house.pass_to(due - ahead).await;
        let what = format!("{ahead:#} ahead");
        house
            .until(&what, async |client| {
                let alerts = client.status().await.unwrap().alerts;
                (alerts.iter().any(|it| it.code == "at_risk") == told).then_some(())
            })
            .await;
    };
    at_risk(SignedDuration::from_hours(23), false).await;
    house.client.account_pause("x:acme").await.unwrap();
    at_risk(SignedDuration::from_mins(61), false).await;
    at_risk(SignedDuration::from_mins(59), true).await;
    house.client.account_resume("x:acme").await.unwrap();
    at_risk(SignedDuration::from_mins(58), false).await;
    house.client.account_pause("x:acme").await.unwrap();
    at_risk(SignedDuration::from_mins(6), false).await;
    at_risk(SignedDuration::from_mins(4), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_look_tells_what_it_showed_and_a_wish_is_no_look() {
    let house = House::with(Wish { patient: true, ..Wish::default() }).await;
    house.connect("x").await;
    house.inject("x.create=lost_before,x.timeline=lost_before");
    let made = house.post(&["x:acme"], &["Looked for."], r::When::Now).await;
    let line = async |event: &str| {
        house
            .until(event, async |client| {
                let it = client.post_show(&made.id).await.unwrap().deliveries.remove(0);
                it.why.into_iter().find(|it| it.event == event)
            })
            .await
    };
    let lost = line("look_unclear").await;
    assert!(lost.message.contains("settled nothing") && lost.reason.is_some(), "{lost:?}");
    let absent = line("look_absent").await;
    assert!(absent.message.contains("one look is no proof"), "{absent:?}");
    assert_eq!((absent.reason.as_ref(), absent.http_status), (None, Some(200)), "{absent:?}");
    assert!(absent.raw.is_some_and(|raw| raw.contains("result_count") || raw.contains("data")));
    house.client.post_retry(&made.id).await.unwrap();
    let asked = line("look_asked").await;
    assert_eq!((asked.http_status, asked.raw.as_ref(), asked.reason.as_ref()), (None, None, None));
    assert!(asked.message.contains("user asked"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_the_middle_of_a_call_leaves_each_answer_with_its_own_call() {
    let house = House::new().await;
    house.connect("x").await;
    // The first call is refused for now, the second one is slow, and taken back meanwhile.
    house.inject("x.create=429");
    let made = house.post(&["x:acme"], &["Twice."], r::When::Now).await;
    house.reaches(&made.id, m::DeliveryState::Retry).await;
    house.inject("x.create=slow");
    house.pass(SignedDuration::from_mins(20)).await;
    house.reaches(&made.id, m::DeliveryState::Sending).await;
    house.client.post_cancel(&made.id).await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let why = house.client.post_show(&made.id).await.unwrap().deliveries.remove(0).why;
    let at = |event: &str| {
        let found: Vec<_> = why.iter().filter(|it| it.event == event).collect();
        found.into_iter().map(|it| (it.attempt, it.http_status)).collect::<Vec<_>>()
    };
    assert_eq!(at("intend"), [(Some(1), None), (Some(2), None)], "{why:#?}");
    assert_eq!(at("defer"), [(Some(1), Some(429))], "{why:#?}");
    assert_eq!(at("cancel"), [(None, None)], "{why:#?}");
    assert_eq!(at("applied"), [(Some(2), Some(201))], "{why:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_taken_back_in_its_middle_is_told_with_what_is_live() {
    let house = House::new().await;
    house.connect("x").await;
    house.inject("x.create=slow");
    let made = house.post(&["x:acme"], &["One.", "Two."], r::When::Now).await;
    house.reaches(&made.id, m::DeliveryState::Sending).await;
    // The second part waits, as long as everything does.
    house.client.pause(None).await.unwrap();
    house
        .until("part one", async |client| {
            let it = client.post_show(&made.id).await.unwrap().deliveries.remove(0);
            (it.steps[0].remote_id.is_some()).then_some(())
        })
        .await;
    house.client.post_cancel(&made.id).await.unwrap();
    let it = house.ended(&made.id).await.deliveries.remove(0);
    assert_eq!(it.state, m::DeliveryState::Cancelled);
    let why = house.client.post_show(&made.id).await.unwrap().deliveries.remove(0).why;
    let last = why.last().unwrap();
    assert!(last.message.contains("part 1 is live and stays so"), "{last:?}");
    assert!(!last.message.contains("before anything was live"), "{last:?}");
    assert_eq!(house.live("One.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_and_cannot_be_worked_on_is_told_and_the_all_clear_too() {
    use sendoff::store::{Options, Store, deliveries};
    let mut house = House::new().await;
    house.connect("x").await;
    let made = house.post(&["x:acme"], &["Of another version."], r::When::At("+1h".into())).await;
    let id = made.deliveries[0].id.clone();
    house.stop().await;
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let key = id.parse().unwrap();
    store
        .write(move |tx| {
            let before = deliveries::need(tx, key)?;
            let mut after = before.clone();
            after.name = "mastodon:acme".parse().unwrap();
            deliveries::put(tx, Some(&before), &after, None).map(drop)
        })
        .await
        .unwrap();
    store.close().await;
    drop(store);
    house.start().await;
    let told = async || {
        let alerts = house.client.status().await.unwrap().alerts;
        alerts.into_iter().filter(|it| it.code == "unloadable").collect::<Vec<_>>()
    };
    assert_eq!(told().await, []);
    house.pass_to(made.deliveries[0].due).await;
    let alert = house.until("the alert", async |_| told().await.pop()).await;
    assert!(alert.message.contains(&id) && alert.message.contains("mastodon"), "{alert:?}");
    // Others go on meanwhile.
    let other = house.post(&["x:acme"], &["Goes on."], r::When::Now).await;
    assert_eq!(house.ended(&other.id).await.status, m::PostStatus::Published);
    assert_eq!(told().await.len(), 1);
    house.client.post_cancel(&made.id).await.unwrap();
    assert_eq!(told().await, []);
}
