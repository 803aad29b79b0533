//! The power goes at any single write: what was not synced is lost, kept, torn, or there in another
//! order, as disks do.

use redb::StorageBackend as _;
use sendoff::store::{Options, Store};

use super::disk::{Disk, Op};
use super::life::{Known, inspect, live};
use super::now;

/// What disks write at once; larger writes may be there in part.
const SECTOR: usize = 512;
/// Different fates of the unsynced writes. A quick run takes them in turn, one per write;
/// `SENDOFF_THOROUGH=1` takes each at every write.
const FATES: u64 = 4;

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

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_write_whatever_becomes_of_the_unsynced_ones() {
    let thorough = std::env::var_os("SENDOFF_THOROUGH").is_some();
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

    let journal = disk.journal();
    let (mut synced, mut applied) = (begin.clone(), begin);
    let (mut from, mut state, mut cuts) = (0, 0, 0);
    for (at, op) in journal.iter().enumerate() {
        match op {
            Op::Mark(n) => {
                state = *n;
                continue;
            }
            Op::SetLen(len) => applied.resize(*len, 0),
            Op::Write(to, data) => put(&mut applied, *to, data),
            Op::Sync => {
                synced.clone_from(&applied);
                from = at + 1;
            }
        }
        for fate in 0..FATES {
            if !thorough && at as u64 % FATES != fate {
                continue;
            }
            let mut chance = Chance::new(at as u64, fate);
            let image = cut(&synced, &journal[from..=at], fate, &mut chance);
            inspect(Disk::holding(image), &states[state], &format!("cut after operation {at}, fate {fate}"));
            cuts += 1;
        }
    }
    assert!(cuts > 200, "the script is too short to prove anything: {cuts} cuts");
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
