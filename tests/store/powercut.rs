//! The power goes at any single write: what was not synced is lost, kept, torn, or there in another
//! order, as disks do. And it goes again, up to three times, in the middle of the starts that follow.
//!
//! `cargo test --test store` looks at one image per write. `SENDOFF_THOROUGH=1` makes 100,000 images and
//! more, `SENDOFF_THOROUGH=n` so many: `SENDOFF_THOROUGH=1 cargo test --release --test store -- --nocapture`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::StorageBackend as _;
use sendoff::daemon::ledger;
use sendoff::store::{Options, Store};

use super::disk::{Disk, Op};
use super::life::{Known, inspect, inspect_again, live};
use super::{minutes, now};

/// What disks write at once; larger writes may be there in part.
const SECTOR: usize = 512;
/// A quick run takes so many fates of the unsynced writes in turn, one per write: all lost, all kept,
/// and two by chance.
const FATES: u64 = 4;
/// Images of a thorough run, at least.
const MANY: u64 = 100_000;
/// Deaths in the middle of recovery, one after the other.
const RELAPSES: u64 = 3;

/// A small generator: the seed names the case.
struct Chance(u64);

impl Chance {
    fn new(a: u64, b: u64) -> Self {
        Self(a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn put(image: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(data);
}

/// The image after a cut: `synced` and, of the unsynced operations, whatever chance leaves.
fn cut(synced: &[u8], unsynced: &[Op], fate: u64, chance: &mut Chance) -> Vec<u8> {
    let mut image = synced.to_vec();
    let mut left: Vec<&Op> = unsynced.iter().collect();
    if fate == 0 {
        // All of it lost: the plainest case.
        return image;
    }
    for at in (1..left.len()).rev() {
        let other = usize::try_from(chance.below(at as u64 + 1)).unwrap();
        left.swap(at, other);
    }
    // The length is the file system's, which keeps its own order.
    if let Some(Op::SetLen(len)) = unsynced.iter().rfind(|it| matches!(it, Op::SetLen(_)))
        && (fate == 1 || chance.below(2) == 0)
    {
        image.resize(*len, 0);
    }
    for op in left {
        let Op::Write(at, data) = op else { continue };
        match if fate == 1 { 0 } else { chance.below(3) } {
            0 => put(&mut image, *at, data),
            1 => {}
            _ => {
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    if chance.below(2) == 0 {
                        put(&mut image, at + n * SECTOR, sector);
                    }
                }
            }
        }
    }
    image
}

/// Everything a life does to its disk, and what was known of the store at each of its marks.
struct Life {
    begin: Vec<u8>,
    journal: Vec<Op>,
    states: Vec<Known>,
}

fn recorded() -> Life {
    let disk = Disk::default();
    drop(Store::with_backend(disk.clone(), now(), Options::default()).unwrap());
    disk.keep_journal();
    let begin = disk.bytes();
    let mut states: Vec<Known> = vec![Known::default()];
    let mut known = Known::default();
    live(&disk, &mut known, &mut |known| {
        disk.mark(states.len());
        states.push(known.clone());
    })
    .unwrap();
    Life { begin, journal: disk.journal(), states }
}

/// Goes through a journal: for each operation the image that is synced by then, where the unsynced ones
/// begin, and the mark that was passed last. `honest`: a sync is one.
fn replay(begin: &[u8], journal: &[Op], honest: bool, mut see: impl FnMut(usize, &[u8], usize, usize)) {
    let (mut synced, mut applied) = (begin.to_vec(), begin.to_vec());
    let (mut from, mut mark) = (0, 0);
    for (at, op) in journal.iter().enumerate() {
        match op {
            Op::Mark(n) => {
                mark = *n;
                continue;
            }
            Op::SetLen(len) => applied.resize(*len, 0),
            Op::Write(to, data) => put(&mut applied, *to, data),
            Op::Sync if honest => {
                synced.clone_from(&applied);
                from = at + 1;
            }
            Op::Sync => {}
        }
        see(at, &synced, from, mark);
    }
}

/// A start on this image dies somewhere inside of it. What is left then.
fn relapse(image: &[u8], chance: &mut Chance) -> Vec<u8> {
    let disk = Disk::holding(image.to_vec());
    disk.keep_journal();
    let store = Store::with_backend(disk.clone(), now(), Options::default()).expect("it opens");
    ledger::recover(&store, minutes(5)).unwrap();
    drop(store);
    let journal = disk.journal();
    let last = usize::try_from(chance.below(journal.len() as u64 + 1)).unwrap();
    let mut left = image.to_vec();
    replay(image, &journal, true, |at, synced, from, _| {
        if at + 1 == last {
            left = cut(synced, &journal[from..=at], chance.below(FATES), chance);
        }
    });
    left
}

/// How many images a thorough run makes; None: a quick one.
fn images() -> Option<u64> {
    let asked = std::env::var("SENDOFF_THOROUGH").ok()?;
    Some(asked.parse().ok().filter(|it| *it > 1).unwrap_or(MANY))
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_write_whatever_becomes_of_the_unsynced_ones() {
    let Life { begin, journal, states } = recorded();
    let operations = journal.iter().filter(|it| !matches!(it, Op::Mark(_))).count() as u64;
    let many = images();
    let fates = many.map_or(FATES, |many| many.div_ceil(operations));
    // Each thread goes through the whole life and takes its share of the fates.
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let share = |mine: u64| {
        let (mut cuts, mut relapses) = (0_u64, 0_u64);
        replay(&begin, &journal, true, |at, synced, from, mark| {
            for fate in (0..fates).filter(|fate| fate % threads == mine) {
                if many.is_none() && at as u64 % FATES != fate {
                    continue;
                }
                let mut chance = Chance::new(at as u64, fate);
                let mut image = cut(synced, &journal[from..=at], fate, &mut chance);
                let what = format!("cut after operation {at}, fate {fate}");
                inspect(Disk::holding(image.clone()), &states[mark], &what);
                cuts += 1;
                if !cuts.is_multiple_of(4) {
                    continue;
                }
                for n in 1..=RELAPSES {
                    image = relapse(&image, &mut chance);
                    relapses += 1;
                    let what = format!("{what}, and again in recovery {n}");
                    inspect_again(Disk::holding(image.clone()), &states[mark], true, &what);
                }
            }
        });
        (cuts, relapses)
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|mine| scope.spawn(move || share(mine))).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let (cuts, relapses) = shares.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    println!("{cuts} images of {operations} operations, {relapses} more of cuts inside recovery");
    let wanted = many.unwrap_or(200);
    assert!(cuts >= wanted && relapses >= wanted / 2, "too few: {cuts} images, {relapses} of recovery");
}

/// The positive control: were a sync none, these tests would say so.
#[test]
fn a_disk_whose_syncs_do_nothing_loses_what_was_acknowledged_and_that_is_noticed() {
    let Life { begin, journal, states } = recorded();
    let (mut images, mut noticed) = (0_u32, 0_u32);
    replay(&begin, &journal, false, |at, synced, from, mark| {
        if !at.is_multiple_of(5) {
            return;
        }
        let fate = [0, 2, 3][at / 5 % 3];
        let mut chance = Chance::new(at as u64, fate);
        let image = cut(synced, &journal[from..=at], fate, &mut chance);
        images += 1;
        let seen = catch_unwind(AssertUnwindSafe(|| inspect(Disk::holding(image), &states[mark], "control")));
        noticed += u32::from(seen.is_err());
    });
    println!("{noticed} of {images} images show it");
    assert!(images > 40 && noticed > images / 2, "only {noticed} of {images}");
}

#[test]
fn the_disk_of_these_tests_forgets_what_was_not_synced() {
    let disk = Disk::default();
    disk.set_len(4).unwrap();
    disk.write(0, b"abcd").unwrap();
    assert!(disk.synced().is_empty());
    disk.sync_data().unwrap();
    assert_eq!(disk.synced(), b"abcd");
}
