//! Ending and beginning again: in order, in the middle of a call, in the middle of a refresh.

use jiff::SignedDuration;
use sendoff::auth::Grant;
use sendoff::control::{messages as m, requests as r};
use sendoff::keys::keyring::Keyring;
use sendoff::store::vault::{self, RefreshIntent};
use sendoff::store::{Options, Store, accounts};

use crate::house::House;

/// Where the daemon seals a grant.
const GRANT: (u16, u16) = (1, 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_scheduled_goes_out_after_a_restart() {
    let mut house = House::furnished().await;
    let both = ["x:acme", "bluesky:acme"];
    let made = house.post(&both, &["Over the restart.", "In two parts."], r::When::At("+1h".into())).await;
    house.stop().await;
    house.start().await;
    house.pass(SignedDuration::from_mins(61)).await;
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    assert_eq!((house.live("Over the restart.").len(), house.live("In two parts.").len()), (2, 2));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_in_the_middle_of_a_call_finds_what_it_sent() {
    let mut house = House::furnished().await;
    for (account, route) in [("x:acme", "x.create"), ("bluesky:acme", "bluesky.put")] {
        // The fault would be spent on the demand for a first nonce.
        let warm = house.post(&[account], &[&format!("Before {account}")], r::When::Now).await;
        house.ended(&warm.id).await;
        let mut slow: sendoff::sandbox::Faults = format!("{route}=slow").parse().unwrap();
        slow.slow = std::time::Duration::from_mins(10);
        house.network.inject(slow);
        let text = format!("Killed on {account}");
        let before = house.network.published().len();
        let made = house.post(&[account], &[&text], r::When::Now).await;
        house.holds(before + 1).await;
        house.kill().await;
        house.start().await;
        let done = house.ended(&made.id).await;
        let story = house.story(None).await;
        assert_eq!(done.status, m::PostStatus::Published, "{story:#?}");
        let live = house.live(&text);
        assert_eq!(live.len(), 1, "{story:#?}");
        assert_eq!(done.deliveries[0].remote_id.as_ref(), Some(&live[0].id));
        let again = story.iter().any(|(event, _)| event == "delivery.sending");
        assert!(!again, "it was found, so it is not sent again: {story:#?}");
    }
    house.assert_no_refusals();
}

/// The sealed grant of an account while no daemon runs, as (ciphertext, fingerprint of its token).
fn grant_of(house: &House, store: &Store) -> (sendoff::domain::ids::AccountId, Vec<u8>, [u8; 32]) {
    let account = store.read(accounts::list).unwrap().pop().unwrap();
    let ring = Keyring::open(&house.data_dir(), &house.master()).unwrap();
    let grant = store.read(|rx| vault::get_grant(rx, account.id)).unwrap().unwrap();
    let plain = ring.open_sealed(account.id, GRANT.0, GRANT.1, &grant.sealed).unwrap();
    let digest = Grant::from_sealed_json(&plain).unwrap().fingerprint();
    (account.id, grant.sealed, digest)
}

/// Puts the store where a crash in the middle of a refresh leaves it.
async fn crash_in_refresh(house: &House, grant: Option<Vec<u8>>) -> Vec<u8> {
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    if let Some(sealed) = grant {
        let (account, _, _) = grant_of(house, &store);
        store.write(move |tx| vault::put_grant(tx, account, None, &sealed, None, None)).await.unwrap();
    }
    let (account, sealed, digest) = grant_of(house, &store);
    let started = house.now();
    let version = store.read(|rx| vault::get_grant(rx, account)).unwrap().unwrap().version;
    let intent = RefreshIntent { account, version, digest, started };
    store.write(move |tx| vault::begin_refresh(tx, &intent)).await.unwrap();
    store.close().await;
    sealed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_cut_off_before_it_left_is_made_up_for_at_the_next_start() {
    let mut house = House::new().await;
    let before = house.connect("x").await;
    house.stop().await;
    crash_in_refresh(&house, None).await;
    house.start().await;
    house
        .until("fresh tokens", async |client| {
            let now = client.account_show("x:acme").await.unwrap();
            (now.expires_at > before.expires_at).then_some(())
        })
        .await;
    let made = house.post(&["x:acme"], &["With the fresh ones."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_cut_off_before_its_answer_was_kept_asks_for_a_person_and_keeps_the_grant() {
    let mut house = House::new().await;
    house.connect("x").await;
    house.stop().await;
    let spent = {
        let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
        let (_, sealed, _) = grant_of(&house, &store);
        store.close().await;
        sealed
    };
    house.start().await;
    house.client.account_refresh("x:acme").await.unwrap();
    house.stop().await;
    crash_in_refresh(&house, Some(spent.clone())).await;
    house.start().await;
    let dead = house
        .until("an account that needs a person", async |client| {
            let now = client.account_show("x:acme").await.unwrap();
            (now.state == m::AccountState::NeedsReconnect).then_some(now)
        })
        .await;
    assert!(dead.reason.unwrap().contains("lost"));
    house.stop().await;
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    assert_eq!(grant_of(&house, &store).1, spent, "the grant stays until the user acts");
    assert_eq!(store.read(vault::refreshes).unwrap(), [], "it is not tried again at every start");
    store.close().await;
    drop(store);
    house.start().await;
    house.connect("x").await;
    let made = house.post(&["x:acme"], &["Back again."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
}
