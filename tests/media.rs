//! What stays of media files after many deliveries: nothing.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::future::join_all;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use redb::backends::InMemoryBackend;
use sendoff::daemon::files;
use sendoff::domain::attempt::Transition;
use sendoff::domain::delivery::{Delivery, Event, Frozen, Live, Reason, State, Step, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId, MediaId, PostId};
use sendoff::domain::media::{Detail, MediaItem, MediaKind};
use sendoff::domain::post::{Content, Post, Source, Target};
use sendoff::domain::schedule::{Choice, Due, Late};
use sendoff::media::Library;
use sendoff::store::media::{self, StoredMedia};
use sendoff::store::{Options, Store, deliveries, posts};
use tokio::runtime::Runtime;

/// Fewer where nothing is optimized; `.ci/run` runs them all.
const DELIVERIES: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
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

/// A file on disk; sometimes with a conversion beside it. And its row.
fn arrive(dir: &Path, dice: &mut Dice, now: Timestamp) -> StoredMedia {
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
        part: 0,
        detail: Detail::default(),
    };
    StoredMedia { item, digest: [0; 32], uploaded_at: now }
}

fn scheduled(dice: &mut Dice, media: Vec<MediaItem>, accounts: u8, now: Timestamp) -> (Post, Vec<Delivery>) {
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
        intended: None,
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
    (post, made)
}

/// One of the ends a delivery can have.
fn ended(it: &Delivery, dice: &mut Dice, now: Timestamp) -> Delivery {
    let reason = Reason::new("test", "so it ended");
    let claimed = it.apply(Event::Claim, now).unwrap();
    let sent = || {
        let frozen = Frozen { marker: it.id.to_string(), body: Vec::new() };
        claimed.apply(Event::Intend { frozen, ahead: SignedDuration::ZERO }, now).unwrap()
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

/// A post that is under way: its files, and what of it still waits.
struct Running {
    media: Vec<MediaItem>,
    post: PostId,
    waiting: Vec<Delivery>,
    /// One of its deliveries may be tried again.
    failed: bool,
    /// The daemon died between an end and its look at the files, which waits for the sweep.
    died: bool,
}

/// New posts with their files, some of which two posts share; uploads that nobody uses; and what a
/// crash leaves in the middle of an upload, and between the end of a file's row and that of the file.
fn round(store: &Store, dir: &Path, dice: &mut Dice, now: Timestamp) -> Vec<Running> {
    let (mut files, mut made) = (vec![arrive(dir, dice, now)], Vec::new());
    for _ in 0..TOGETHER {
        let count = 1 + usize::from(dice.roll(5) == 0);
        let rows: Vec<_> = (0..count).map(|_| arrive(dir, dice, now)).collect();
        let media: Vec<_> = rows.iter().map(|it| it.item.clone()).collect();
        files.extend(rows);
        let accounts = u8::try_from(1 + dice.roll(3)).unwrap();
        made.push(scheduled(dice, media.clone(), accounts, now));
        if dice.roll(10) == 0 {
            made.push(scheduled(dice, media, 1, now));
        }
    }
    std::fs::write(dir.join(format!("{}.part", MediaId::new(now, dice.ten()))), b"half").unwrap();
    arrive(dir, dice, now);
    let rows = made.clone();
    store
        .write_blocking(move |tx| {
            for file in &files {
                media::put(tx, file)?;
            }
            for (post, deliveries) in &rows {
                posts::create(tx, post, deliveries, None, None)?;
            }
            Ok(())
        })
        .unwrap();
    made.into_iter()
        .map(|(post, waiting)| Running {
            media: post.media,
            post: post.id,
            waiting,
            failed: false,
            died: false,
        })
        .collect()
}

/// About two thirds of the posts see one of their deliveries end, at once; then their files are looked
/// after, unless the daemon dies in between. How many ended.
fn wave(
    runtime: &Runtime,
    store: &Store,
    library: &Library,
    running: &mut [Running],
    dice: &mut Dice,
    now: Timestamp,
) -> usize {
    let _context = runtime.enter();
    let (mut ends, mut over) = (Vec::new(), Vec::new());
    for it in running.iter_mut() {
        if dice.roll(3) == 0 {
            continue;
        }
        let Some(before) = it.waiting.pop() else { continue };
        let after = ended(&before, dice, now);
        it.failed |= matches!(after.state, State::Rejected | State::Missed);
        let row = Transition::between(&before, &after, "ended", now);
        ends.push(
            store.write(move |tx| deliveries::put(tx, Some(&before), &after, Some(row.clone())).map(drop)),
        );
        if dice.roll(10) > 0 {
            over.push(it.post);
        } else {
            it.died = true;
        }
    }
    let count = ends.len();
    runtime.block_on(async {
        for outcome in join_all(ends).await {
            outcome.unwrap();
        }
        join_all(over.into_iter().map(|post| files::after_end(store, library, post, now))).await;
    });
    count
}

#[test]
fn deliveries_of_any_end_leave_no_media_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::with_backend(InMemoryBackend::new(), start(), Options::default()).unwrap();
    let library = Library::new(dir.path().to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut dice = Dice(4);
    let (mut done, mut now) = (0, start());
    let (mut kept_for_retry, mut went_at_once) = (0, BTreeSet::new());
    while done < DELIVERIES {
        let mut running = round(&store, dir.path(), &mut dice, now);
        while running.iter().any(|it| !it.waiting.is_empty()) {
            done += wave(&runtime, &store, &library, &mut running, &mut dice, now);
            let is_there = |id: &MediaId| dir.path().join(id.to_string()).is_file();
            let of = |which: fn(&Running) -> bool| -> BTreeSet<MediaId> {
                running.iter().filter(|it| which(it)).flat_map(|it| &it.media).map(|it| it.id).collect()
            };
            // Whatever ended: a post that still waits has its files, and so has one that may be tried again.
            let needed = of(|it| it.failed || !it.waiting.is_empty());
            assert!(needed.iter().all(is_there), "a post lost its file");
            // And what no post needs is gone at once.
            let late = of(|it| it.died);
            for id in
                of(|it| it.waiting.is_empty()).iter().filter(|it| !needed.contains(it) && !late.contains(it))
            {
                assert!(!is_there(id), "nothing needs it any more");
                went_at_once.insert(*id);
            }
        }
        now += SignedDuration::from_mins(10);
        if dice.roll(3) == 0 {
            files::sweep(&store, &library, now).unwrap();
            kept_for_retry += files_in(dir.path()).len();
        }
    }
    assert!(done >= DELIVERIES && kept_for_retry > 0, "files of failed posts wait for their retry");
    assert!(went_at_once.len() > DELIVERIES / 8, "{}", went_at_once.len());
    now += SignedDuration::from_hours(25);
    files::sweep(&store, &library, now).unwrap();
    assert_eq!(files_in(dir.path()), Vec::<String>::new());
    assert_eq!(store.read(media::all).unwrap(), []);
}
