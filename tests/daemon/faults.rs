//! Networks that fail in the middle: in the end there is exactly one object, or it is said why not.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, Wish};

/// One post per fault; each must be there once at the end, and the log must tell of the doubt.
async fn once_each(account: &str, faults: &[(&str, Option<&str>)]) {
    let house = House::furnished().await;
    for (fault, told) in faults {
        let mut order: sendoff::sandbox::Faults = fault.parse().unwrap();
        order.slow = std::time::Duration::from_millis(200);
        house.network.inject(order);
        let text = format!("Through {fault}.").replace(['_', '='], " ");
        let made = house.post(&[account], &[&text], r::When::Now).await;
        let done = house.ended(&made.id).await;
        let delivery = &done.deliveries[0];
        let story = house.story(Some(&delivery.id)).await;
        assert_eq!(delivery.state, m::DeliveryState::Published, "{fault}: {story:#?}");
        let live = house.live(&text);
        assert_eq!(live.len(), 1, "{fault}: {story:#?}");
        assert_eq!(delivery.remote_id.as_ref(), Some(&live[0].id), "{fault}");
        let doubt = story.iter().find(|(event, _)| event == "delivery.unknown" || event == "delivery.retry");
        match told {
            None => assert_eq!(doubt, None, "{fault}"),
            Some(event) => assert_eq!(doubt.map(|it| it.0.as_str()), Some(*event), "{fault}: {story:#?}"),
        }
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x_gets_one_post_whatever_happens_to_the_answer() {
    let unknown = Some("delivery.unknown");
    let faults = [
        ("x.create=lost_before", unknown),
        ("x.create=lost_after", unknown),
        ("x.create=500_after", unknown),
        ("x.create=truncate", unknown),
        ("x.create=slow", None),
    ];
    once_each("x:acme", &faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bluesky_gets_one_record_whatever_happens_to_the_answer() {
    let unknown = Some("delivery.unknown");
    let faults = [
        ("bluesky.put=lost_before", unknown),
        ("bluesky.put=lost_after", unknown),
        ("bluesky.put=500_after", unknown),
        ("bluesky.put=truncate", unknown),
        ("bluesky.put=slow", None),
    ];
    once_each("bluesky:acme", &faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_never_reached_x_is_looked_for_twice_before_it_is_sent_again() {
    let house = House::with(Wish { patient: true, ..Wish::default() }).await;
    house.connect("x").await;
    house.inject("x.create=lost_before");
    let made = house.post(&["x:acme"], &["Twice looked for."], r::When::Now).await;
    let unknown = house.reaches(&made.id, m::DeliveryState::Unknown).await;
    assert_eq!(unknown.reason.as_ref().map(|it| it.class.as_str()), Some("ambiguous"));
    // The early looks find nothing and prove nothing, until a quarter of an hour has passed.
    house.pass(SignedDuration::from_mins(16)).await;
    let sent = async || {
        let story = house.story(Some(&unknown.id)).await;
        story.iter().filter(|(event, _)| event == "delivery.sending").count()
    };
    let before = house.now();
    let waits = house
        .until("the first absence", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            let delivery = post.deliveries[0].clone();
            let next = delivery.next_try?;
            (next > before + SignedDuration::from_secs(60)).then_some(delivery)
        })
        .await;
    assert_eq!(waits.state, m::DeliveryState::Unknown, "one look is no proof");
    assert_eq!((sent().await, house.live("Twice looked for.").len()), (1, 0));
    house.pass(SignedDuration::from_secs(95)).await;
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published);
    assert_eq!((sent().await, house.live("Twice looked for.").len()), (2, 1));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_parks_until_the_networks_own_reset() {
    let house = House::furnished().await;
    for (account, fault) in [("x:acme", "x.create=429"), ("bluesky:acme", "bluesky.put=429")] {
        house.inject(fault);
        let text = format!("Too many on {account}");
        let began = house.now();
        let made = house.post(&[account], &[&text], r::When::Now).await;
        let parked = house.reaches(&made.id, m::DeliveryState::Retry).await;
        let reason = parked.reason.clone().unwrap();
        assert_eq!(reason.class, "rate_limited", "{reason:?}");
        let next = parked.next_try.unwrap();
        assert!(next > began + SignedDuration::from_secs(60), "{next} is no reset of the network's");
        assert_eq!(house.live(&text).len(), 0);
        house.pass_to(next).await;
        let done = house.ended(&made.id).await;
        assert_eq!(done.status, m::PostStatus::Published, "{:#?}", house.story(None).await);
        assert_eq!(house.live(&text).len(), 1);
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_was_lost_is_made_again() {
    let house = House::furnished().await;
    house.inject("bluesky.upload=lost_before");
    let media = house.picture("A loaf").await;
    let ask =
        r::CreatePost { media, ..crate::house::draft(&["bluesky:acme"], &["With a loaf."], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let live = house.live("With a loaf.");
    assert_eq!((live.len(), live[0].alts.len()), (1, 1));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_never_arrived_is_repeated_once() {
    let house = House::furnished().await;
    for (account, fault) in [("x:acme", "x.token=lost_before"), ("bluesky:acme", "bluesky.token=lost_before")]
    {
        house.inject(fault);
        let before = house.client.account_show(account).await.unwrap();
        let after = house.client.account_refresh(account).await.unwrap();
        assert!(after.expires_at > before.expires_at, "{after:?}");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_whose_answer_was_lost_asks_for_a_person_and_what_waited_goes_on_after() {
    let house = House::furnished().await;
    for (platform, fault) in [("x", "x.token=lost_after"), ("bluesky", "bluesky.token=lost_after")] {
        let account = format!("{platform}:acme");
        house.inject(fault);
        let error = house.client.account_refresh(&account).await.unwrap_err().detail();
        assert!(error.message.contains("lost"), "{error:?}");
        let dead = house.client.account_show(&account).await.unwrap();
        assert_eq!(dead.state, m::AccountState::NeedsReconnect);
        let text = format!("Waits for {platform}");
        let made = house.post(&[&account], &[&text], r::When::Now).await;
        let waits = house.reaches(&made.id, m::DeliveryState::NeedsReconnect).await;
        assert!(waits.reason.unwrap().message.contains("lost"));
        assert_eq!(house.live(&text).len(), 0);
        house.connect(platform).await;
        assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
        assert_eq!(house.live(&text).len(), 1);
    }
    let accounts = house.client.account_list().await.unwrap().accounts;
    assert_eq!(accounts.len(), 2, "connecting again makes no second account");
}
