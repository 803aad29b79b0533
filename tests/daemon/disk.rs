//! A disk without room: the daemon serves, says so, sends nothing, and goes on by itself.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::daemon::disk::Room;

use crate::house::{House, code};

/// More than any disk has free.
const NEVER: u64 = 1 << 62;

async fn alerts(house: &House) -> Vec<String> {
    house.client.status().await.unwrap().alerts.into_iter().map(|it| it.code).collect()
}

async fn has_alert(house: &House, code: &str) -> bool {
    alerts(house).await.iter().any(|it| it == code)
}

/// The daemon again, with another idea of what is enough.
async fn restart(house: &mut House, room: Room) {
    house.stop().await;
    house.room = room;
    house.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ballast_of_real_blocks_that_is_ours_alone_lies_beside_the_store() {
    let house = House::new().await;
    let file = fs::metadata(house.data_dir().join("ballast")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(file.len(), Room::default().ballast);
    assert!(file.blocks() * 512 >= file.len(), "{} blocks", file.blocks());
    assert!(!has_alert(&house, "disk_full").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_at_the_start_it_serves_and_sends_nothing_and_goes_on_after_a_start_with_room() {
    let mut house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Needs room."], r::When::At("+10m".into())).await;
    let draft = house.post(&["x:acme"], &["A draft."], r::When::Draft).await;
    restart(&mut house, Room { least: NEVER, ..Room::default() }).await;
    house.pass(SignedDuration::from_mins(11)).await;
    let status = house.client.status().await.unwrap();
    let alert = status.alerts.iter().find(|it| it.code == "disk_full").unwrap();
    assert!(alert.message.contains("nothing is sent"), "{alert:?}");
    assert!(alert.hint.as_ref().unwrap().contains("by itself"), "{alert:?}");
    assert!(status.ready, "it serves");

    // Reading and taking back work; what would take room is refused in words.
    let post = house.client.post_show(&made.id).await.unwrap();
    assert!(post.deliveries.iter().all(|it| it.state == m::DeliveryState::Scheduled), "{post:#?}");
    let new = crate::house::draft(&["x:acme"], &["One more."], r::When::Now);
    assert_eq!(code(house.client.post_create(&new).await), "disk_full");
    house.client.post_delete(&draft.id, true).await.unwrap();
    house.pass(SignedDuration::from_mins(1)).await;
    assert_eq!(house.network.published().len(), 0);

    restart(&mut house, Room::default()).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Needs room.").len(), 2);
    assert!(!has_alert(&house, "disk_full").await);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_runs_low_is_told_while_everything_still_works() {
    let mut house = House::furnished().await;
    assert!(!has_alert(&house, "disk").await);
    restart(&mut house, Room { told: NEVER, ..Room::default() }).await;
    assert!(has_alert(&house, "disk").await && !has_alert(&house, "disk_full").await);
    let made = house.post(&["x:acme"], &["Still works."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    restart(&mut house, Room::default()).await;
    assert!(!has_alert(&house, "disk").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ballast_that_goes_missing_stops_sending_until_it_is_back() {
    let house = House::furnished().await;
    let ballast = house.data_dir().join("ballast");
    fs::remove_file(&ballast).unwrap();
    // In its place something that no ballast can be made from.
    fs::create_dir(&ballast).unwrap();
    house
        .until("the alert", async |client| {
            let status = client.status().await.unwrap();
            status.alerts.into_iter().find(|it| it.code == "disk_full")
        })
        .await;
    fs::remove_dir(&ballast).unwrap();
    house
        .until("the alert's end", async |client| {
            let status = client.status().await.unwrap();
            status.alerts.iter().all(|it| it.code != "disk_full").then_some(())
        })
        .await;
    let made = house.post(&["x:acme"], &["With ballast again."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(fs::metadata(&ballast).unwrap().len(), Room::default().ballast);
}
