//! What stays of media files after many deliveries: nothing.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use redb::backends::InMemoryBackend;
use sendoff::daemon::files;
use sendoff::domain::attempt::Transition;
use sendoff::domain::delivery::{Delivery, Event, Frozen, Live, Reason, Step, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId, MediaId, PostId};
use sendoff::domain::media::{Detail, MediaItem, MediaKind};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::media::Library;
use sendoff::store::media::{self, StoredMedia};
use sendoff::store::{Options, Store, deliveries, posts};

const DELIVERIES: usize = 10_000;
/// Posts that are under way at once.
const TOGETHER: usize = 100;

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn ten(&mut self) -> [u8; 10] {
        std::array::from_fn(|_| u8::try_from(self.roll(256)).unwrap())
    }
}

fn start() -> Timestamp {
    "2030-03-05T08:00:00Z".parse().unwrap()
}

/// A file on disk and on record; sometimes with a conversion beside it.
fn arrive(store: &Store, dir: &Path, dice: &mut Dice, now: Timestamp) -> MediaItem {
    let id = MediaId::new(now, dice.ten());
    std::fs::write(dir.join(id.to_string()), b"bytes").unwrap();
    if dice.roll(4) == 0 {
        let fit = dir.join(format!("{id}.fit"));
        std::fs::create_dir(&fit).unwrap();
        std::fs::write(fit.join("10x10-100.jpg"), b"smaller").unwrap();
    }
    let item = MediaItem {
        id,
        name: "a.png".into(),
        kind: MediaKind::Png,
        bytes: 5,
        width: 1,
        height: 1,
        alt: None,
        detail: Detail::default(),
    };
    let row = StoredMedia { item: item.clone(), digest: [0; 32], uploaded_at: now };
    store.write_blocking(move |tx| media::put(tx, &row)).unwrap();
    item
}

fn schedule(
    store: &Store,
    dice: &mut Dice,
    media: Vec<MediaItem>,
    accounts: u8,
    now: Timestamp,
) -> (PostId, Vec<Delivery>) {
    let civil = now.to_zoned(TimeZone::UTC).datetime();
    let due = Due { instant: now, civil, zone: "UTC".into(), choice: Choice::Instant };
    let name = |n: u8| format!("x:acme{n}").parse().unwrap();
    let to = (0..accounts).map(|n| Target { account: AccountId::new(start(), [n; 10]), name: name(n) });
    let post = Post {
        id: PostId::new(now, dice.ten()),
        to: to.collect(),
        content: Content { parts: vec!["a".into()], comment: None },
        variants: BTreeMap::new(),
        options: BTreeMap::new(),
        media,
        due: Some(due.clone()),
        late: Late::Always,
        slot: None,
        source: Source::Cli,
        key: None,
        created_at: now,
        version: 1,
    };
    let made = post.to.iter().map(|it| {
        let steps = vec![Step::new(StepKind::Post)];
        let id = DeliveryId::new(now, dice.ten());
        Delivery::new(id, post.id, it.account, it.name.clone(), due.clone(), Late::Always, steps, now)
    });
    let made: Vec<_> = made.collect();
    let (id, rows) = (post.id, made.clone());
    store.write_blocking(move |tx| posts::create(tx, &post, &rows, None, None)).unwrap();
    (id, made)
}

/// One of the ends a delivery can have.
fn ended(it: &Delivery, dice: &mut Dice, now: Timestamp) -> Delivery {
    let reason = Reason::new("test", "so it ended");
    let claimed = it.apply(Event::Claim, now).unwrap();
    let sent = || {
        let frozen = Frozen { marker: it.id.to_string(), body: Vec::new() };
        claimed.apply(Event::Intend { frozen }, now).unwrap()
    };
    let live =
        Live { remote_id: Some(it.id.to_string()), permalink: None, extra: BTreeMap::new(), verified: true };
    match dice.roll(6) {
        0 => it.apply(Event::Cancel { reason }, now),
        1 => it.apply(Event::Miss { reason }, now),
        2 => claimed.apply(Event::Refuse { reason }, now),
        3 => sent().apply(Event::HandOver { live }, now),
        _ => sent().apply(Event::Applied { live, next_part_at: now }, now),
    }
    .unwrap()
}

fn files_in(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn ten_thousand_deliveries_leave_no_media_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::with_backend(InMemoryBackend::new(), start(), Options::default()).unwrap();
    let library = Library::new(dir.path().to_owned());
    let mut dice = Dice(4);
    let (mut done, mut now) = (0, start());
    let mut kept_for_retry = 0;
    while done < DELIVERIES {
        let mut running = Vec::new();
        for _ in 0..TOGETHER {
            let mut media = vec![arrive(&store, dir.path(), &mut dice, now)];
            if dice.roll(5) == 0 {
                media.push(arrive(&store, dir.path(), &mut dice, now));
            }
            let accounts = u8::try_from(1 + dice.roll(3)).unwrap();
            let shared = (dice.roll(10) == 0).then(|| media.clone());
            running.push((media.clone(), schedule(&store, &mut dice, media, accounts, now)));
            if let Some(media) = shared {
                running.push((media.clone(), schedule(&store, &mut dice, media, 1, now)));
            }
        }
        // Uploads that nobody used, and what a crash in the middle of one leaves.
        arrive(&store, dir.path(), &mut dice, now);
        std::fs::write(dir.path().join(format!("{}.part", MediaId::new(now, dice.ten()))), b"half").unwrap();
        while !running.is_empty() {
            let at = dice.roll(running.len());
            let (media, (post, waiting)) = &mut running[at];
            // Whatever ended before: this one still waits, so its files are there.
            for it in media.iter() {
                assert!(dir.path().join(it.id.to_string()).is_file(), "a waiting post lost its file");
            }
            let before = waiting.pop().unwrap();
            let after = ended(&before, &mut dice, now);
            let move_ = Transition::between(&before, &after, "ended", now);
            store
                .write_blocking(move |tx| {
                    deliveries::put(tx, Some(&before), &after, Some(move_.clone())).map(drop)
                })
                .unwrap();
            done += 1;
            let (post, is_over) = (*post, waiting.is_empty());
            // Sometimes the daemon dies between the end and the cleaning.
            if dice.roll(10) > 0 {
                files::after_end(&store, &library, post, now).await;
            }
            if is_over {
                running.swap_remove(at);
            }
        }
        now += SignedDuration::from_mins(10);
        if dice.roll(3) == 0 {
            files::sweep(&store, &library, now).unwrap();
            kept_for_retry += files_in(dir.path()).len();
        }
    }
    assert!(done >= DELIVERIES && kept_for_retry > 0, "files of failed posts wait for their retry");
    now += SignedDuration::from_hours(25);
    files::sweep(&store, &library, now).unwrap();
    assert_eq!(files_in(dir.path()), Vec::<String>::new());
    assert_eq!(store.read(|rx| media::all(rx)).unwrap(), []);
}
