//! Deliveries that looking cannot settle, and the user's word on them.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, code};

/// A post whose answer was lost and which cannot be looked for: after a day it waits for the user.
/// `fault` decides whether it is live.
async fn held(house: &House, text: &str, fault: &str) -> m::Delivery {
    house.inject(&format!("x.create={fault},x.timeline=lost_before*99"));
    let made = house.post(&["x:acme"], &[text], r::When::Now).await;
    house.reaches(&made.id, m::DeliveryState::Unknown).await;
    house.pass(SignedDuration::from_hours(25)).await;
    house
        .until("held", async |client| {
            let delivery = client.post_show(&made.id).await.unwrap().deliveries[0].clone();
            delivery.held.then_some(delivery)
        })
        .await
}

fn address(house: &House, text: &str) -> String {
    let live = &house.live(text)[0];
    format!("https://x.com/{}/status/{}", live.account, live.id)
}

fn published(url: &str) -> r::Resolve {
    r::Resolve { published: Some(url.into()), ..r::Resolve::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_delivery_ends_as_the_user_says() {
    let house = House::new().await;
    house.connect("x").await;
    let alerts = async || {
        let status = house.client.status().await.unwrap();
        status.alerts.into_iter().filter(|it| it.code == "held").count()
    };

    // Live after all: its address is looked at and bound.
    let one = held(&house, "It is live.", "lost_after").await;
    assert_eq!(alerts().await, 1);
    assert!(one.reason.unwrap().hint.unwrap().contains("post resolve"), "the way out is named");
    let url = address(&house, "It is live.");
    let wrong = house.client.post_resolve(&one.id, &published("https://x.com/someone/status/1")).await;
    assert_eq!(code(wrong), "not_its_address");
    let name = url.split('/').nth(3).unwrap().to_owned();
    let nothing = format!("https://x.com/{name}/status/1");
    assert_eq!(code(house.client.post_resolve(&one.id, &published(&nothing)).await), "not_its_address");
    let done = house.client.post_resolve(&one.id, &published(&url)).await.unwrap();
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    assert_eq!(done.deliveries[0].remote_id.as_ref(), Some(&house.live("It is live.")[0].id));
    assert_eq!(alerts().await, 0);

    // Not live: sent again, once.
    let two = held(&house, "It never arrived.", "lost_before").await;
    assert_eq!(code(house.client.post_resolve(&two.id, &published(&url)).await), "not_its_address");
    house.client.post_resolve(&two.id, &r::Resolve { resend: true, ..r::Resolve::default() }).await.unwrap();
    let two = house.ended(&two.post).await;
    let story = house.client.post_show(&two.id).await.unwrap().deliveries[0].why.clone();
    let absent = story.iter().position(|it| it.event == "absent").unwrap();
    let (word, claim) = (&story[absent], &story[absent + 1]);
    assert!(word.message.contains("you said that it is not live"), "{word:?}");
    assert_eq!(word.reason.as_deref(), Some("you said that it is not live"), "not that of the doubt");
    assert_eq!((claim.event.as_str(), claim.reason.as_ref()), ("claim", None), "{claim:?}");
    assert_eq!((two.status, house.live("It never arrived.").len()), (m::PostStatus::Published, 1));

    // Left: nothing moves, nobody is asked again, and a word is still possible.
    let three = held(&house, "Who knows.", "lost_after").await;
    let leave = r::Resolve { leave: true, ..r::Resolve::default() };
    let left = house.client.post_resolve(&three.id, &leave).await.unwrap();
    assert_eq!((left.deliveries[0].state, left.deliveries[0].held), (m::DeliveryState::Unknown, false));
    assert_eq!((left.status, alerts().await), (m::PostStatus::Left, 0));
    let reason = left.deliveries[0].reason.clone().unwrap();
    let command = format!("`sendoff post resolve {} --published URL`", three.id);
    assert!(reason.hint.unwrap().contains(&command), "a whole command");
    for (state, n) in [("held", 0), ("attention", 0), ("publishing", 0), ("left", 1), ("unknown", 1)] {
        let ask = r::ListPosts { state: Some(state.into()), ..r::ListPosts::default() };
        assert_eq!(house.client.post_list(&ask).await.unwrap().posts.len(), n, "{state}");
    }
    let (_, line) = house.story(Some(&three.id)).await.pop().unwrap();
    assert_eq!(line, "x:acme: left as it is: nobody knows whether it is live");
    let url = address(&house, "Who knows.");
    let done = house.client.post_resolve(&three.id, &published(&url)).await.unwrap();
    assert_eq!(done.status, m::PostStatus::Published);

    let over = house.client.post_resolve(&three.id, &leave).await;
    assert_eq!(code(over), "not_held", "what is settled stays settled");
    assert_eq!(code(house.client.post_resolve(&three.post, &leave).await), "not_a_delivery");
    assert_eq!(code(house.client.post_resolve(&three.id, &r::Resolve::default()).await), "not_held");
    assert_eq!(house.network.published().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_words_wait_for_a_delivery_in_doubt_until_it_is_left_as_it_is() {
    let house = House::new().await;
    house.connect("x").await;
    let first = held(&house, "Fresh bread.", "lost_after").await;
    assert_eq!(house.live("Fresh bread.").len(), 1);

    let again = house.post(&["x:acme"], &["Fresh bread."], r::When::Now).await;
    let waits = house
        .until("the second to wait for the first", async |client| {
            let delivery = client.post_show(&again.id).await.unwrap().deliveries[0].clone();
            delivery.reason.as_ref().is_some_and(|it| it.class == "twin").then_some(delivery)
        })
        .await;
    assert!(waits.reason.unwrap().message.contains(&first.id), "what it waits for is named");
    assert_eq!(house.live("Fresh bread.").len(), 1);

    let leave = r::Resolve { leave: true, ..r::Resolve::default() };
    house.client.post_resolve(&first.id, &leave).await.unwrap();
    house.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(house.ended(&again.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Fresh bread.").len(), 2);
    let left = house.client.post_show(&first.post).await.unwrap().deliveries[0].clone();
    assert_eq!((left.state, left.held), (m::DeliveryState::Unknown, false), "it stays as it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_the_disk_has_changed_is_not_called_unknown() {
    const DELIVERIES: redb::TableDefinition<'static, u128, &[u8]> =
        redb::TableDefinition::new("deliveries.v1");
    let mut house = House::new().await;
    house.connect("x").await;
    let made = house.post(&["x:acme"], &["Far away."], r::When::At("+90h".into())).await;
    let nobody = "dlv_00000000000000000000000000000001";
    assert_eq!(
        code(house.client.post_resolve(nobody, &published("https://x.com/a/status/1")).await),
        "unknown_id"
    );
    house.stop().await;
    let db = redb::Database::open(house.data_dir().join("sendoff.redb")).unwrap();
    let tx = db.begin_write().unwrap();
    {
        let mut table = tx.open_table(DELIVERIES).unwrap();
        let key = redb::ReadableTable::first(&table).unwrap().unwrap().0.value();
        table.insert(key, &b"not what was written"[..]).unwrap();
    }
    tx.commit().unwrap();
    drop(db);
    house.start().await;
    let delivery = &made.deliveries[0].id;
    let word = published("https://x.com/acme/status/1");
    assert_eq!(code(house.client.post_resolve(delivery, &word).await), "store");
    assert_eq!(code(house.client.post_delete(&made.id, true).await), "store");
    assert_eq!(code(house.client.post_cancel(&made.id).await), "store");
}
