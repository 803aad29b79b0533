//! Posts to fill a store with.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::{Delivery, Step, StepKind};
use sendoff::domain::ids::{AccountId, AccountName, DeliveryId, PlatformName, PostId};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};

pub(crate) fn account_id(n: u64) -> AccountId {
    AccountId::from_u128(u128::from(n) + 1)
}

pub(crate) fn name(n: u64) -> AccountName {
    AccountName::new(PlatformName::X, &format!("account-{n}")).expect("it is a name")
}

/// A text of ordinary length.
#[allow(dead_code)] // each benchmark uses its part
pub(crate) fn text(n: u64) -> String {
    format!(
        "Post number {n}. The ovens are lit at four, the first loaves are out at six, and the door \
         opens at seven; whoever comes late finds crumbs. https://example.org/bread/{n}"
    )
}

/// The nth post and its one delivery.
pub(crate) fn post(n: u64, account: u64, text: String, due: Timestamp, made: Timestamp) -> (Post, Delivery) {
    let due = Due {
        instant: due,
        civil: TimeZone::UTC.to_datetime(due),
        zone: "UTC".to_owned(),
        choice: Choice::Instant,
    };
    let random = |tag: u8| {
        let mut bytes = [tag; 10];
        bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes
    };
    let (account, name) = (account_id(account), name(account));
    let post = Post {
        id: PostId::new(made, random(1)),
        to: vec![Target { account, name: name.clone() }],
        content: Content { parts: vec![text], comment: None },
        variants: BTreeMap::new(),
        options: BTreeMap::new(),
        media: Vec::new(),
        due: Some(due.clone()),
        late: Late::Within(SignedDuration::from_mins(60)),
        slot: None,
        intended: None,
        source: Source::Cli,
        key: None,
        created_at: made,
        version: 1,
    };
    let id = DeliveryId::new(made, random(2));
    let steps = vec![Step::new(StepKind::Post)];
    let delivery = Delivery::new(id, post.id, account, name, due, post.late, steps, made);
    (post, delivery)
}
