//! The whole life of an account on each network, reached through `[platforms.*.endpoints]` alone,
//! without one call that the network would refuse.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::http::clients::{reading_client, tls};
use serde_json::Value;

use crate::house::{House, Wish, code, draft};

async fn life_on_x(wish: Wish) {
    let house = House::with(wish).await;
    let connected = house.connect("x").await;
    assert!(connected.can_refresh && connected.missing_scopes.is_empty(), "{connected:?}");

    let one = house.post(&["x:acme"], &["Bread at nine."], r::When::Now).await;
    let one = house.ended(&one.id).await;
    assert_eq!(one.status, m::PostStatus::Published, "{one:?}");
    let thread = house.post(&["x:acme"], &["Part one.", "Part two.", "Part three."], r::When::Now).await;
    let thread = house.ended(&thread.id).await;
    assert_eq!(thread.status, m::PostStatus::Published, "{thread:?}");
    let seen = house.network.published();
    let texts: Vec<_> = seen.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["Bread at nine.", "Part one.", "Part two.", "Part three."]);
    assert_eq!(seen[1].parent, None);
    assert_eq!(seen[2].parent.as_ref(), Some(&seen[1].id));
    assert_eq!(seen[3].parent.as_ref(), Some(&seen[2].id));

    // Asked for: new tokens, and the old refresh token is spent. A second refresh shows that the
    // new one was kept: the old one would end the whole family.
    let first = house.client.account_refresh("x:acme").await.unwrap();
    assert!(first.expires_at > connected.expires_at, "{first:?}");
    let second = house.client.account_refresh("x:acme").await.unwrap();
    assert!(second.expires_at > first.expires_at, "{second:?}");
    // By itself: the access token ends while nothing happens, and the next post still goes out.
    house.pass(SignedDuration::from_hours(3)).await;
    let late = house.post(&["x:acme"], &["After the token's end."], r::When::Now).await;
    assert_eq!(house.ended(&late.id).await.status, m::PostStatus::Published);
    let now = house.client.account_show("x:acme").await.unwrap();
    assert!(now.expires_at > second.expires_at, "{now:?}");

    let receipt = house.client.account_disconnect("x:acme").await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
    let gone = house.client.post_create(&draft(&["x:acme"], &["Nobody."], r::When::Now)).await;
    assert_eq!(code(gone), "unknown_account");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_on_x_as_a_public_client_without_one_refused_call() {
    life_on_x(Wish::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_on_x_as_a_confidential_client_without_one_refused_call() {
    life_on_x(Wish { confidential: true, ..Wish::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_on_bluesky_without_one_refused_call() {
    let house = House::new().await;
    let connected = house.connect("bluesky").await;
    assert!(connected.can_refresh && connected.missing_scopes.is_empty(), "{connected:?}");
    let text = "Hello @alice.test, see https://example.com/oven #bread";
    let picture = house.picture("A loaf, still warm").await;
    let ask =
        r::CreatePost { media: picture, ..draft(&["bluesky:acme"], &[text, "And more."], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    let seen = house.network.published();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].text.as_str(), seen[0].alts.as_slice()),
        (text, ["A loaf, still warm".into()].as_slice())
    );
    assert_eq!(seen[1].parent.as_ref(), Some(&seen[0].id));
    let kinds = facets(&house, &seen[0].id, text).await;
    assert_eq!(
        kinds,
        [
            ("mention".to_owned(), "@alice.test".to_owned()),
            ("link".to_owned(), "https://example.com/oven".to_owned()),
            ("tag".to_owned(), "#bread".to_owned())
        ]
    );

    let first = house.client.account_refresh("bluesky:acme").await.unwrap();
    let second = house.client.account_refresh("bluesky:acme").await.unwrap();
    assert!(second.expires_at > first.expires_at, "{second:?}");
    house.pass(SignedDuration::from_hours(30)).await;
    let late = house.post(&["bluesky:acme"], &["After the token's end."], r::When::Now).await;
    assert_eq!(house.ended(&late.id).await.status, m::PostStatus::Published);

    let receipt = house.client.account_disconnect("bluesky:acme").await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    house.assert_no_refusals();
}

/// The facets of a record as the network gives it out: their kinds and the text they cover.
async fn facets(house: &House, at: &str, text: &str) -> Vec<(String, String)> {
    let mut parts = at.trim_start_matches("at://").split('/');
    let (repo, collection, rkey) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let url = format!(
        "{}xrpc/com.atproto.repo.getRecord?repo={repo}&collection={collection}&rkey={rkey}",
        house.network.url
    );
    let http = reading_client(tls(None).unwrap()).unwrap();
    let record: Value =
        serde_json::from_str(&http.get(url).send().await.unwrap().text().await.unwrap()).unwrap();
    let facets = record["value"]["facets"].as_array().unwrap_or_else(|| panic!("{record}"));
    facets
        .iter()
        .map(|it| {
            let at = |key: &str| usize::try_from(it["index"][key].as_u64().unwrap()).unwrap();
            let kind = it["features"][0]["$type"].as_str().unwrap().rsplit('#').next().unwrap();
            (kind.to_owned(), text[at("byteStart")..at("byteEnd")].to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_with_an_https_address_shows_bluesky_who_it_is_and_stays_the_same() {
    let wish = Wish { public_url: Some("https://post.example.org"), ..Wish::default() };
    let mut house = House::with(wish).await;
    let path = "/oauth/bluesky/client.json";
    let first = house.public("post.example.org", path).await;
    assert_eq!(first.status(), 200);
    let first: Value = serde_json::from_str(&first.text().await.unwrap()).unwrap();
    assert_eq!(first["client_id"], "https://post.example.org/oauth/bluesky/client.json");
    assert_eq!(first["redirect_uris"][0], "https://post.example.org/oauth/bluesky/callback");
    let key = &first["jwks"]["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], key.get("d")), (&"EC".into(), &"P-256".into(), None));
    house.stop().await;
    house.start().await;
    let again = house.public("post.example.org", path).await.text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), first, "sessions die with the key");
    assert_ne!(house.public("other.example.org", path).await.status(), 200, "not our name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_without_https_has_no_document_for_bluesky() {
    let house = House::new().await;
    let host = format!("127.0.0.1:{}", house.port);
    assert_eq!(house.public(&host, "/oauth/bluesky/client.json").await.status(), 404);
    assert_eq!(house.public(&host, "/healthz").await.status(), 200);
}
