//! What an account or an app waits for is told at once, and outlives a restart.

use std::fs;

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, draft};

/// A house whose X takes so many publishing calls an hour.
async fn limited(calls: u32) -> House {
    let mut house = House::new().await;
    house.connect("x").await;
    let usual = fs::read_to_string(house.config_path()).unwrap();
    let limit = format!("[[platforms.x.limits]]\ncalls = {calls}\nper = \"1h\"\n");
    fs::write(house.config_path(), format!("{usual}\n{limit}")).unwrap();
    house.stop().await;
    house.start().await;
    house
}

async fn alert(house: &House, code: &str) -> Option<m::Alert> {
    house.client.status().await.unwrap().alerts.into_iter().find(|it| it.code == code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_operator_counts_over_a_stop_and_a_kill_and_is_told() {
    for kill in [false, true] {
        let mut house = limited(2).await;
        for text in ["One.", "Two."] {
            let made = house.post(&["x:acme"], &[text], r::When::Now).await;
            house.ended(&made.id).await;
        }
        assert_eq!(alert(&house, "quota").await, None, "nobody waits yet");
        if kill {
            house.kill().await;
        } else {
            house.stop().await;
        }
        house.start().await;
        let ask = draft(&["x:acme"], &["Three."], r::When::Now);
        let ask = r::CreatePost { late: Some("always".into()), ..ask };
        let third = house.client.post_create(&ask).await.unwrap();
        let told = house.until("the alert", async |_| alert(&house, "quota").await).await;
        assert!(told.message.contains("x takes 2 calls in 1h"), "{told:?}");
        let free = told.message.split("until ").nth(1).unwrap().split(": ").next().unwrap();
        assert!(free.starts_with("2030-03-05T09:1") && !free.contains('.'), "{told:?}");
        // Asked for the post itself, and as a part of its story.
        let shown = house.client.post_show(&third.id).await.unwrap();
        let notice = format!("x:acme: its account waits until {free}: x takes 2 calls in 1h");
        assert_eq!(shown.notices, [notice]);
        let it = &shown.deliveries[0];
        let last = it.why.last().unwrap();
        assert_eq!((it.state, last.event.as_str()), (m::DeliveryState::Scheduled, "waits"));
        assert_eq!(last.reason.as_deref(), Some("x takes 2 calls in 1h"));
        assert_eq!(house.network.published().len(), 2);
        house.pass(SignedDuration::from_mins(61)).await;
        assert_eq!(house.ended(&third.id).await.status, m::PostStatus::Published);
        assert_eq!(alert(&house, "quota").await, None, "and its end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_tells_what_it_has_used_when_there_is_room_again_and_what_holds_it_back() {
    let house = limited(2).await;
    let shown = async || house.client.account_show("x:acme").await.unwrap();
    let ours =
        |it: &m::Account| it.quotas.iter().find(|it| it.what.contains("configuration")).cloned().unwrap();
    let none = ours(&shown().await);
    assert_eq!((none.used, none.limit, none.free_at), (0, Some(2), None));
    let mut first = None;
    for text in ["One.", "Two."] {
        let made = house.post(&["x:acme"], &[text], r::When::Now).await;
        let done = house.ended(&made.id).await;
        first = first.or(done.deliveries[0].sent_at);
    }
    let full = ours(&shown().await);
    assert_eq!((full.used, full.limit), (2, Some(2)));
    let hour = SignedDuration::from_hours(1);
    let off = full.free_at.unwrap().duration_since(first.unwrap() + hour).abs();
    assert!(off < SignedDuration::from_secs(60), "{full:?}");
    // What X itself said with its last answer.
    let told = shown().await;
    let said = told.quotas.iter().find(|it| it.what.contains("present window")).unwrap();
    assert!(said.used >= 2 && said.limit.unwrap() > said.used && said.free_at.is_some(), "{said:?}");
    assert!(told.held_back.is_empty());
    let ask = draft(&["x:acme"], &["Three."], r::When::Now);
    house.client.post_create(&ask).await.unwrap();
    let held = house.until("the wait", async |_| shown().await.held_back.pop()).await;
    assert!(held.message.contains("x takes 2 calls in 1h"), "{held:?}");
    // Counted by what the log tells, which is written a moment before the call leaves.
    let off = ours(&shown().await).free_at.unwrap().duration_since(held.until).abs();
    assert!(off < SignedDuration::from_secs(5), "{off}");
    house.pass(SignedDuration::from_mins(62)).await;
    let later = shown().await;
    assert!(later.quotas.iter().all(|it| !it.what.contains("present window") || it.as_of > held.until));
}

/// The house again, with retries and breaker at their real times.
async fn unhurried(house: &mut House) {
    let usual = fs::read_to_string(house.config_path()).unwrap();
    let changed = usual.replace("backoff_scale = 0.01", "backoff_scale = 1.0");
    assert_ne!(changed, usual);
    fs::write(house.config_path(), changed).unwrap();
    house.stop().await;
    house.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_while_it_lasts() {
    let mut house = House::new().await;
    house.connect("x").await;
    unhurried(&mut house).await;
    house.inject("x.create=lost_before*5");
    for n in 0..5 {
        let made = house.post(&["x:acme"], &[&format!("Lost {n}.")], r::When::Now).await;
        house
            .until("the call to be lost", async |client| {
                let it = client.post_show(&made.id).await.unwrap().deliveries.remove(0);
                it.why.iter().any(|it| it.event == "lose").then_some(())
            })
            .await;
    }
    let told = house.until("the alert", async |_| alert(&house, "outage").await).await;
    assert!(told.message.contains("all accounts on x: nothing is sent until 2030-03-05T08:1"), "{told:?}");
    let waits = house.post(&["x:acme"], &["Waits for it."], r::When::Now).await;
    let shown = house
        .until("the notice", async |client| {
            let post = client.post_show(&waits.id).await.unwrap();
            (!post.notices.is_empty()).then_some(post)
        })
        .await;
    assert!(shown.notices[0].starts_with("x:acme: all accounts on x wait until 2030"), "{shown:?}");
    house.pass(SignedDuration::from_mins(6)).await;
    assert_eq!(house.ended(&waits.id).await.status, m::PostStatus::Published);
    assert_eq!(alert(&house, "outage").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_told_until_its_end() {
    let mut house = House::new().await;
    house.connect("x").await;
    unhurried(&mut house).await;
    house.inject("x.create=429");
    let made = house.post(&["x:acme"], &["Too many."], r::When::Now).await;
    let told = house.until("the alert", async |_| alert(&house, "rate_limited").await).await;
    assert!(told.message.starts_with("x:acme: nothing is sent until 2030-03-05T08:"), "{told:?}");
    house.pass(SignedDuration::from_mins(20)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(alert(&house, "rate_limited").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spent_credits_are_told_over_a_restart_until_a_post_goes_through() {
    use sendoff::domain::delivery::{Event, Reason};
    use sendoff::store::{Options, Store, deliveries};
    let mut house = House::new().await;
    house.connect("x").await;
    let made = house.post(&["x:acme"], &["No credits."], r::When::At("+1m".into())).await;
    house.stop().await;
    house.jump(SignedDuration::from_mins(2));
    // As the daemon leaves it when X answers 402.
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let (id, now) = (made.deliveries[0].id.parse().unwrap(), house.now());
    store
        .write(move |tx| {
            let before = deliveries::need(tx, id)?;
            let claimed = before.apply(Event::Claim, now).unwrap();
            let reason = Reason::new("billing", "the credits are used up");
            let parked =
                claimed.apply(Event::park(now + SignedDuration::from_hours(6), reason), now).unwrap();
            deliveries::put(tx, Some(&before), &parked, None).map(drop)
        })
        .await
        .unwrap();
    store.close().await;
    drop(store);
    house.start().await;
    let told = alert(&house, "billing").await.expect("it is told at once");
    assert!(told.message.contains("all accounts on x: nothing is sent until 2030"), "{told:?}");
    house.client.post_retry(&made.id).await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(alert(&house, "billing").await, None);
}
