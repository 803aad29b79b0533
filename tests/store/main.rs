//! The store, from outside: what is acknowledged is kept, what is refused changes nothing, and a
//! failed disk is never followed by a success.

// A helper outside of `#[test]` is still test code; the lint's exception does not see it.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // and says how much it has looked at

mod disk;
mod faults;
mod life;
mod losses;
mod model;
mod opening;
mod powercut;
mod rot;
mod rows;
mod spent;
mod writer;

use jiff::{SignedDuration, Timestamp};
use redb::backends::InMemoryBackend;
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Delivery, Step, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId, PlatformName, PostId};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::store::{Options, Store};

fn now() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> Timestamp {
    now() + SignedDuration::from_mins(n)
}

fn memory() -> Store {
    Store::with_backend(InMemoryBackend::new(), now(), Options::default()).unwrap()
}

fn account_id(n: u8) -> AccountId {
    AccountId::new(now(), [n; 10])
}

fn account(n: u8) -> Account {
    let name = format!("x:acme{n}").parse().unwrap();
    Account {
        username: format!("Acme{n}"),
        display_name: "Acme, Inc. 🚀".to_owned(),
        tier: Some("premium".to_owned()),
        scopes: vec!["tweet.write".to_owned()],
        expires_at: Some(minutes(120)),
        issued_at: Some(now()),
        can_refresh: true,
        ..Account::new(account_id(n), name, format!("remote-{n}"), now())
    }
}

fn due(at: Timestamp) -> Due {
    Due {
        instant: at,
        civil: "2026-12-01T10:00:00".parse().unwrap(),
        zone: "Europe/Berlin".to_owned(),
        choice: Choice::Unique,
    }
}

fn post(n: u16, at: Option<Timestamp>, accounts: &[u8]) -> Post {
    let mut random = [0; 10];
    random[..2].copy_from_slice(&n.to_be_bytes());
    Post {
        id: PostId::new(now(), random),
        to: accounts.iter().map(|&it| Target { account: account_id(it), name: account(it).name }).collect(),
        content: Content { parts: vec![format!("post {n}: grüße \u{0}\u{1f680}")], comment: None },
        variants: [(
            "x".to_owned(),
            Content { parts: vec!["shorter".to_owned()], comment: Some("first".to_owned()) },
        )]
        .into(),
        options: [(PlatformName::X, [("reply".to_owned(), "followers".to_owned())].into())].into(),
        media: Vec::new(),
        due: at.map(due),
        late: Late::Within(SignedDuration::from_mins(60)),
        slot: None,
        intended: None,
        source: Source::Cli,
        key: None,
        created_at: now(),
        version: 1,
    }
}

fn deliveries(post: &Post) -> Vec<Delivery> {
    let Some(due) = &post.due else { return Vec::new() };
    (1_u8..)
        .zip(&post.to)
        .map(|(n, it)| {
            let mut random = [n; 10];
            random[..2].copy_from_slice(&post.id.as_u128().to_be_bytes()[6..8]);
            let steps = vec![Step::new(StepKind::Post), Step::new(StepKind::Thread)];
            let id = DeliveryId::new(now(), random);
            Delivery::new(id, post.id, it.account, it.name.clone(), due.clone(), post.late, steps, now())
        })
        .collect()
}

/// Writes a post with its deliveries, and gives both back.
fn made(store: &Store, n: u16, at: Option<Timestamp>, accounts: &[u8]) -> (Post, Vec<Delivery>) {
    let post = post(n, at, accounts);
    let all = deliveries(&post);
    let (post2, all2) = (post.clone(), all.clone());
    let outcome =
        store.write_blocking(move |tx| sendoff::store::posts::create(tx, &post2, &all2, None, None));
    assert_eq!(outcome.unwrap(), sendoff::store::posts::Created::New);
    (post, all)
}

#[track_caller]
fn check(store: &Store) {
    let faults = store.read(sendoff::store::check::all).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}
