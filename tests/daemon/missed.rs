//! What came too late is told: once in the log at the start, and for a day in `status`.

use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, draft};

async fn alert(house: &House) -> Option<String> {
    let alerts = house.client.status().await.unwrap().alerts;
    alerts.into_iter().find(|it| it.code == "missed").map(|it| it.message)
}

/// The lines of this life that sum up what was missed.
async fn lines(house: &House) -> Vec<String> {
    let story = house.story(None).await;
    story.into_iter().filter(|(event, _)| event == "missed").map(|(_, message)| message).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_downtime_of_any_length_made_too_late_is_told_for_a_day() {
    for (down, default_is_late) in [
        (SignedDuration::from_mins(10), false),
        (SignedDuration::from_hours(6), true),
        (SignedDuration::from_hours(72), true),
    ] {
        let mut house = House::furnished().await;
        let both = ["x:acme", "bluesky:acme"];
        let usual = house.post(&both, &["Usual."], r::When::At("+1m".into())).await;
        let ask = draft(&["x:acme"], &["To the minute."], r::When::At("+2m".into()));
        let exact = r::CreatePost { late: Some("exact".into()), ..ask };
        let exact = house.client.post_create(&exact).await.unwrap();
        assert_eq!((alert(&house).await, lines(&house).await), (None, vec![]));
        house.stop().await;
        house.jump(down);
        house.start().await;

        assert_eq!(house.ended(&exact.id).await.status, m::PostStatus::Missed);
        let ended = house.ended(&usual.id).await.status;
        let lost = if default_is_late { m::PostStatus::Missed } else { m::PostStatus::Published };
        assert_eq!(ended, lost, "{down:#}");
        let (n, who) = if default_is_late {
            ("3 deliveries were", "bluesky:acme 1, x:acme 2")
        } else {
            ("1 delivery was", "x:acme 1")
        };
        let told = lines(&house).await;
        let [line] = told.as_slice() else { panic!("one line: {told:#?}") };
        let wanted = format!("{n} missed while the daemon was down: {who} (due 2030-03-05T08:1");
        assert!(line.starts_with(&wanted), "{line}");
        assert!(line.contains("post list --state missed") && !line.contains('.'), "{line}");
        let status = alert(&house).await.expect("it is told");
        let n = if default_is_late { "3 deliveries" } else { "a delivery" };
        assert!(status.starts_with(n), "{down:#}: {status}");

        // The next start has nothing new to tell, and the alert outlives it.
        house.stop().await;
        house.start().await;
        assert_eq!(lines(&house).await, Vec::<String>::new());
        assert!(alert(&house).await.is_some());
        // Taken up again, it is not told any more; the others are, until a day has passed.
        house.client.post_retry(&exact.id).await.unwrap();
        let left = default_is_late.then(|| "2 deliveries were missed within the last 24 hours".to_owned());
        assert_eq!(alert(&house).await, left, "{down:#}");
        house.pass(SignedDuration::from_hours(23)).await;
        assert_eq!(alert(&house).await, left, "{down:#}");
        house.pass(SignedDuration::from_hours(2)).await;
        assert_eq!(alert(&house).await, None, "{down:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_clock_that_jumped_by_days_made_too_late_is_told() {
    let house = House::furnished().await;
    house.clock.has_boot.store(true, Ordering::SeqCst);
    assert_eq!(alert(&house).await, None);
    let made = house.post(&["x:acme"], &["In ten minutes."], r::When::At("+10m".into())).await;
    house.step(SignedDuration::from_hours(60)).await;
    assert_eq!(alert(&house).await, None, "nothing is given up while the clock is in doubt");
    house.pass(SignedDuration::from_mins(11)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Missed);
    assert!(alert(&house).await.is_some());
    // Removed, it has nothing to tell any more.
    house.client.post_delete(&made.id, true).await.unwrap();
    assert_eq!(alert(&house).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stop_holds_back_is_not_called_missed_at_the_start() {
    let mut house = House::new().await;
    house.connect("x").await;
    house.post(&["x:acme"], &["Held back."], r::When::At("+1m".into())).await;
    house.client.pause(None).await.unwrap();
    house.stop().await;
    house.jump(SignedDuration::from_hours(5));
    house.start().await;
    assert_eq!((alert(&house).await, lines(&house).await), (None, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_outage_made_too_late_gets_another_time_once() {
    let mut house = House::furnished().await;
    let both = ["x:acme", "bluesky:acme"];
    let queued = || r::When::Queue("hourly".into());
    let first = house.post(&both, &["In the outage."], queued()).await;
    let second = house.post(&["x:acme"], &["In it, too."], queued()).await;
    let alone = house.post(&["x:acme"], &["Of no queue."], r::When::At("+10m".into())).await;
    house.stop().await;
    house.jump(SignedDuration::from_hours(6));
    house.start().await;
    for it in [&first, &second, &alone] {
        assert_eq!(house.ended(&it.id).await.status, m::PostStatus::Missed);
    }
    // Too short a way: nothing is sent into the past, and each that stays is named.
    let refused = house.client.queue_reschedule("hourly", "+1h").await.unwrap_err().detail();
    assert_eq!(refused.code, "nothing_waits");
    assert!(refused.message.contains(&first.deliveries[0].id) && refused.message.contains("has passed"));

    let moved = house.client.queue_reschedule("hourly", "+8h").await.unwrap();
    assert_eq!(moved.posts.iter().map(|it| &it.id).collect::<Vec<_>>(), [&first.id, &second.id]);
    for (was, is) in [&first, &second].into_iter().zip(&moved.posts) {
        let n = was.deliveries.len();
        let (old, fresh): (Vec<_>, Vec<_>) =
            is.deliveries.iter().partition(|it| it.state == m::DeliveryState::Missed);
        assert_eq!(old.len(), n, "an end never changes: {is:?}");
        let dues: Vec<_> = fresh.iter().map(|it| it.due).collect();
        assert_eq!(dues, vec![was.deliveries[0].due + SignedDuration::from_hours(8); n]);
        assert_eq!(is.status, m::PostStatus::Scheduled);
    }
    let message = alert(&house).await.unwrap();
    assert!(message.starts_with("a delivery was missed"), "{message}");
    house.client.post_reschedule(&alone.id, r::Move::At("+8h".into()), None).await.unwrap();
    assert_eq!(alert(&house).await, None, "all are taken up");
    // The second asking moves what waits, and makes nothing more.
    let again = house.client.queue_reschedule("hourly", "+10m").await.unwrap();
    assert_eq!(again.posts[0].deliveries.len(), 4);

    for (made, n) in [(&first, 2), (&second, 1), (&alone, 1)] {
        let due = house.client.post_show(&made.id).await.unwrap().deliveries.iter().map(|it| it.due).max();
        house.pass_to(due.unwrap()).await;
        assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
        let text = &made.body;
        assert_eq!(house.live(text).len(), n, "{text}");
    }
    house.assert_no_refusals();
}
