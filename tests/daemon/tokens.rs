//! Tokens: never lost to a full disk, a pause or a failed write, and no network asked too often.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sendoff::control::{messages as m, requests as r};
use sendoff::daemon::rehearsal::{Rehearsal, Watch};

use crate::disconnect::Trap;
use crate::house::{House, Wish, code};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_whose_tokens_could_not_be_sealed_is_not_sent() {
    let mut house = House::furnished().await;
    // After a start, the next use of a data key has to be counted on the disk first; a directory at
    // the temporary name stops that.
    house.stop().await;
    house.start().await;
    let blocked = house.data_dir().join("keyring.tmp");
    fs::create_dir(&blocked).unwrap();
    for account in ["x:acme", "bluesky:acme"] {
        assert_eq!(code(house.client.account_refresh(account).await), "refresh");
    }
    fs::remove_dir(&blocked).unwrap();
    for account in ["x:acme", "bluesky:acme"] {
        let fresh = house.client.account_refresh(account).await.unwrap();
        assert_eq!(fresh.state, m::AccountState::Ready, "its token was not spent");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_asks_to_wait_is_not_asked_again_before() {
    let house = House::furnished().await;
    for (account, fault) in [("x:acme", "x.token=429"), ("bluesky:acme", "bluesky.token=429")] {
        house.inject(fault);
        let began = house.now();
        // The order is for one call: a second one would get its tokens.
        for _ in 0..3 {
            assert_eq!(code(house.client.account_refresh(account).await), "rate_limited", "{account}");
        }
        house.pass_to(began + jiff::SignedDuration::from_hours(25)).await;
        house.client.account_refresh(account).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_during_a_refresh_stays_and_so_do_the_new_tokens() {
    let trap = Trap::new();
    let house = House::with(Wish { rehearsal: trap.rehearsal(), ..Wish::default() }).await;
    let before = house.connect("x").await;
    trap.arm("refresh");
    let pausing = async {
        trap.caught().await;
        house.client.account_pause("x:acme").await.unwrap();
        trap.let_go();
    };
    let (refreshed, ()) = tokio::join!(house.client.account_refresh("x:acme"), pausing);
    let refreshed = refreshed.unwrap();
    assert_eq!(refreshed.state, m::AccountState::Paused);
    assert!(refreshed.expires_at > before.expires_at);
    let made = house.post(&["x:acme"], &["When it goes on."], r::When::Now).await;
    house.client.account_resume("x:acme").await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_during_an_upload_holds_the_post_back() {
    let house = House::furnished().await;
    // The fault would be spent on the demand for a first nonce.
    let warm = house.post(&["bluesky:acme"], &["Warm."], r::When::Now).await;
    house.ended(&warm.id).await;
    house.inject("bluesky.upload=slow");
    let media = house.picture("A loaf").await;
    let ask = r::CreatePost { media, ..crate::house::draft(&["bluesky:acme"], &["Held."], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    house
        .until("the upload to begin", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            matches!(post.deliveries[0].state, m::DeliveryState::Claimed | m::DeliveryState::Preparing)
                .then_some(())
        })
        .await;
    house.client.account_pause("bluesky:acme").await.unwrap();
    house.reaches(&made.id, m::DeliveryState::Retry).await;
    assert_eq!(house.live("Held.").len(), 0, "nothing is sent for a paused account");
    house.client.account_resume("bluesky:acme").await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Held.").len(), 1);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_dies_before_it_leaves_is_made_up_for_at_the_next_start() {
    let trap = Trap::new();
    let mut house = House::with(Wish { rehearsal: trap.rehearsal(), ..Wish::default() }).await;
    let before = house.connect("x").await;
    trap.arm("refresh");
    tokio::select! {
        answer = house.client.account_refresh("x:acme") => panic!("{answer:?}"),
        () = trap.caught() => {}
    }
    house.kill().await;
    house.start().await;
    house
        .until("fresh tokens", async |client| {
            let now = client.account_show("x:acme").await.unwrap();
            (now.expires_at > before.expires_at).then_some(())
        })
        .await;
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_cannot_be_stored_is_kept_for_another_try() {
    let house = House::new().await;
    let flow = house.find("x").await;
    let blocked = house.data_dir().join("keyring.tmp");
    fs::create_dir(&blocked).unwrap();
    assert_eq!(code(house.client.connect_confirm(&flow, &r::Choice::All).await), "keyring");
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
    fs::remove_dir(&blocked).unwrap();
    house.client.connect_confirm(&flow, &r::Choice::All).await.unwrap();
    let made = house.post(&["x:acme"], &["On the second try."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_connected_just_now_raises_no_alert_and_a_dead_one_names_the_command() {
    let house = House::furnished().await;
    let codes = async || -> Vec<String> {
        let status = house.client.status().await.unwrap();
        status.alerts.into_iter().map(|it| it.code).filter(|it| it != "weakened").collect()
    };
    assert_eq!(codes().await, Vec::<String>::new(), "a session of two weeks is no news on its first day");
    house.inject("bluesky.token=lost_after");
    house.client.account_refresh("bluesky:acme").await.unwrap_err();
    let status = house.client.status().await.unwrap();
    let alert = status.alerts.iter().find(|it| it.code == "needs_reconnect").unwrap();
    assert_eq!(alert.hint.as_deref(), Some("sendoff account connect bluesky --name acme"));
    // Exactly that, without `--instance`: the account is known, and so is its server.
    let ask = r::Connect {
        platform: "bluesky".into(),
        name: Some("acme".into()),
        yes: true,
        ..r::Connect::default()
    };
    let started = house.client.connect_start(&ask).await.unwrap();
    crate::house::follow(&house.client, &started.id).await;
    assert_eq!(codes().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_a_fresh_token_at_once_make_one_request_for_it() {
    for (platform, route) in [("x", "x.token"), ("bluesky", "bluesky.token")] {
        let (trap, begun) = (Trap::new(), Arc::new(AtomicU64::new(0)));
        let (inner, count) = (trap.rehearsal(), Arc::clone(&begun));
        let watch: Watch = Arc::new(move |point| {
            count.fetch_add(u64::from(point == "refresh"), Ordering::SeqCst);
            inner.watch.as_ref().unwrap()(point)
        });
        let rehearsal = Rehearsal { watch: Some(watch), ..Rehearsal::default() };
        let house = House::with(Wish { rehearsal, ..Wish::default() }).await;
        let account = house.connect(platform).await;
        let (name, calls) = (account.account.as_str(), house.network.calls(route));
        trap.arm("refresh");
        // The token is over, so a post that is due wants a fresh one, and housekeeping may want one too.
        house.pass_to(account.expires_at.unwrap()).await;
        let made = house.post(&[name], &["With the one token."], r::When::Now).await;
        trap.caught().await;
        let many = futures_util::future::join_all((0..20).map(|_| house.client.account_refresh(name)));
        let held = async {
            // Time enough for all of them to be where the first one is, if anything let them.
            for _ in 0..100 {
                house.client.status().await.unwrap();
            }
            assert_eq!(begun.load(Ordering::SeqCst), 1, "{name}: one at a time");
            assert_eq!(house.network.calls(route), calls);
            trap.let_go();
        };
        let (many, ()) = tokio::join!(many, held);
        assert!(many.into_iter().all(|it| it.unwrap().expires_at > account.expires_at));
        assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
        // Bluesky's first call for a token may be turned away with a nonce.
        let asked = house.network.calls(route) - calls;
        assert!((1..=2).contains(&asked), "{name}: {asked} requests for 21 that wanted one");
        house.assert_no_refusals();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_key_is_gone_is_to_be_connected_again_and_holds_no_other_back() {
    let mut house = House::new().await;
    house.connect("x").await;
    house.stop().await;
    let ring = house.data_dir().join("keyring");
    let before = fs::read(&ring).unwrap();
    house.start().await;
    house.connect_as("x", "alice").await;
    house.stop().await;
    // As after a backup was brought back that holds the store and not the keys of its day.
    fs::write(&ring, before).unwrap();
    house.start().await;

    let mut lost = Vec::new();
    for n in 0..5 {
        lost.push(house.post(&["x:alice"], &[&format!("Nobody can, {n}.")], r::When::Now).await);
    }
    for it in &lost {
        let shown = house.reaches(&it.id, m::DeliveryState::NeedsReconnect).await;
        let why = shown.reason.clone().unwrap();
        assert!(why.message.contains("cannot be opened"), "{why:?}");
        assert!(why.hint.unwrap().contains("account connect x"), "what to do");
    }
    assert_eq!(house.client.account_show("x:alice").await.unwrap().state, m::AccountState::NeedsReconnect);
    let alerts = house.client.status().await.unwrap().alerts;
    assert!(alerts.iter().any(|it| it.code == "needs_reconnect"), "{alerts:?}");
    assert!(alerts.iter().all(|it| it.code != "outage"), "{alerts:?}");
    let fine = house.post(&["x:acme"], &["Somebody can."], r::When::Now).await;
    assert_eq!(house.ended(&fine.id).await.status, m::PostStatus::Published);
    assert_eq!(house.network.calls("x.create"), 1);
}
