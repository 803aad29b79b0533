//! The audit trail: who asked for what, and how it ended.

use futures_util::StreamExt as _;
use sendoff::control::messages as m;
use sendoff::control::requests as r;

use crate::house::{House, draft};

/// The trail, oldest first, once it has this many rows: each is written behind its deed.
async fn trail(house: &House, rows: usize) -> Vec<(String, String, String)> {
    house
        .until("the rows of the trail", async |client| {
            let ask = r::ListAudit { limit: Some(100), after: None };
            let list = client.audit_list(&ask).await.unwrap().entries;
            let mut found: Vec<_> = list.into_iter().map(|it| (it.action, it.subject, it.result)).collect();
            found.reverse();
            (found.len() >= rows).then_some(found)
        })
        .await
}

fn row(action: &str, subject: &str, result: &str) -> (String, String, String) {
    (action.into(), subject.into(), result.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_says_how_each_thing_ended() {
    let house = House::new().await;
    house.connect("x").await;
    let made = house.post(&["x:acme"], &["Good morning."], r::When::At("+1h".into())).await;
    let long = "Too long for X. ".repeat(20);
    house.client.post_create(&draft(&["x:acme"], &[&long], r::When::Now)).await.unwrap_err();
    house.client.post_create(&draft(&["x:nobody"], &["Hi"], r::When::Now)).await.unwrap_err();
    house.client.post_cancel(&made.id).await.unwrap();
    house.client.post_cancel(&made.id).await.unwrap_err();
    house.client.account_pause("x:no\u{1b}[31mbody").await.unwrap_err();
    house.inject("x.token=429*9");
    house.client.account_refresh("x:acme").await.unwrap_err();
    let rows = trail(&house, 9).await;
    assert_eq!(
        rows[..6],
        [
            row("account.connect", "x", "begun"),
            row("account.connect", "x:acme", "connected"),
            row("post.create", &made.id, "ok"),
            row("post.create", "x:acme", "refused: validation"),
            row("post.create", "x:nobody", "refused: unknown_account"),
            row("post.cancel", &made.id, "ok"),
        ]
    );
    assert_eq!(rows[6], row("post.cancel", &made.id, "refused: already_over"));
    assert_eq!((rows[7].0.as_str(), rows[7].2.as_str()), ("account.pause", "refused: bad_name"));
    assert!(!rows[7].1.contains('\u{1b}'), "{rows:?}");
    assert!(rows[8].0 == "account.refresh" && rows[8].2.starts_with("failed: "), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_is_in_the_trail_with_its_end_also_when_it_came_to_nothing() {
    let house = House::new().await;
    let flow = house.find("x").await;
    house.client.connect_confirm(&flow, &r::Choice::No).await.unwrap();
    let ask = r::Connect { platform: "x".into(), ..r::Connect::default() };
    let cancelled = house.client.connect_start(&ask).await.unwrap();
    house.client.connect_cancel(&cancelled.id).await.unwrap();
    let denied = house.client.connect_start(&r::Connect { paste: true, ..ask }).await.unwrap();
    let mut events = house.client.connect_events(&denied.id).await.unwrap();
    let Some(Ok(m::ConnectEvent::Link { url, callback, .. })) = events.next().await else {
        panic!("no link")
    };
    let state =
        url::Url::parse(&url).unwrap().query_pairs().find(|it| it.0 == "state").unwrap().1.into_owned();
    let landed = format!("{}?error=access_denied&state={state}", callback.unwrap());
    // Whether the paste itself is answered with the no or with a yes is not what is asked here.
    drop(house.client.connect_paste(&denied.id, &landed).await);
    let nowhere = r::Connect { platform: "x".into(), kind: Some("member".into()), ..r::Connect::default() };
    house.client.connect_start(&nowhere).await.unwrap_err();
    let handle = r::Connect { platform: "x".into(), handle: Some("foo".into()), ..r::Connect::default() };
    let refused = house.client.connect_start(&handle).await.unwrap_err().detail();
    assert_eq!((refused.code.as_str(), refused.hint.as_deref()), ("no_handle", Some("leave `--handle` out")));
    let rows = trail(&house, 8).await;
    let ends: Vec<_> = rows.iter().map(|it| it.2.as_str()).collect();
    assert!(rows.iter().all(|it| it.0 == "account.connect" && it.1 == "x"), "{rows:?}");
    assert_eq!(
        ends,
        [
            "begun",
            "failed: not_confirmed",
            "begun",
            "failed: cancelled",
            "begun",
            "denied",
            "refused: unknown_kind",
            "refused: no_handle"
        ]
    );
}
