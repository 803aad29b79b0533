//! Bytes that change on the disk by themselves: single bits, whole pages, a file cut short. What is
//! read afterwards is what was written, or an error; a text that somebody else wrote is never shown.
//!
//! A few hundred of each per run, 10,000 bits and 1,000 pages with `SENDOFF_THOROUGH=1`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sendoff::domain::delivery::Delivery;
use sendoff::domain::post::Post;
use sendoff::store::{Options, Store, deliveries, posts};

use super::disk::Disk;
use super::{check, made, minutes, now};

const PAGE: usize = 4096;

/// What became of one image.
#[derive(Debug, Default)]
struct Seen {
    /// It was refused as a whole.
    refused: usize,
    /// It opened, and some rows were refused or no longer found.
    missing: usize,
    unharmed: usize,
}

struct Filled {
    image: Vec<u8>,
    rows: Vec<(Post, Vec<Delivery>)>,
}

fn filled() -> Filled {
    let disk = Disk::default();
    let store = Store::with_backend(disk.clone(), now(), Options::default()).unwrap();
    let rows = (0..40).map(|n| made(&store, n, Some(minutes(n.into())), &[1, 2])).collect();
    check(&store);
    drop(store);
    Filled { image: disk.bytes(), rows }
}

impl Filled {
    /// Opens a changed image and reads all of it.
    fn look(&self, image: Vec<u8>, what: &str, seen: &mut Seen) {
        // The file's own reader gives up by a panic on some of it, which ends a daemon: it sends nothing.
        let opened = catch_unwind(|| Store::with_backend(Disk::holding(image), now(), Options::default()));
        let Ok(Ok(store)) = opened else {
            seen.refused += 1;
            return;
        };
        let mut all = true;
        for (post, of_it) in &self.rows {
            let read = |what: &str, same: Option<bool>| {
                assert_ne!(same, Some(false), "{what}: another row than was written");
                same.is_some()
            };
            let found = catch_unwind(AssertUnwindSafe(|| store.read(|rx| posts::get(rx, post.id))));
            let found = found.ok().and_then(Result::ok).flatten();
            all &= read(what, found.map(|it| it == *post));
            for delivery in of_it {
                let found =
                    catch_unwind(AssertUnwindSafe(|| store.read(|rx| deliveries::get(rx, delivery.id))));
                let found = found.ok().and_then(Result::ok).flatten();
                all &= read(what, found.map(|it| it == *delivery));
            }
        }
        if all {
            seen.unharmed += 1;
        } else {
            seen.missing += 1;
        }
        // Closing writes to the broken file.
        drop(catch_unwind(AssertUnwindSafe(|| drop(store))));
    }
}

/// A small generator: the seed names the case.
fn chance(n: u64) -> usize {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 8).unwrap()
}

fn many(quick: u64, thorough: u64) -> u64 {
    if std::env::var_os("SENDOFF_THOROUGH").is_some() { thorough } else { quick }
}

#[test]
fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let filled = filled();
    // Free pages are most of the file; half of the bits are taken where something is written.
    let used: Vec<_> = (0..filled.image.len()).filter(|at| filled.image[*at] != 0).collect();
    let mut seen = Seen::default();
    for n in 0..many(300, 10_000) {
        let mut image = filled.image.clone();
        let at = if n.is_multiple_of(2) { chance(n) % image.len() } else { used[chance(n) % used.len()] };
        let bit = chance(n ^ 0xB17) % 8;
        image[at] ^= 1 << bit;
        filled.look(image, &format!("bit {bit} of byte {at}"), &mut seen);
    }
    println!("{seen:?}");
    // The test would prove nothing if no bit did harm.
    assert!(seen.refused + seen.missing > 10 && seen.unharmed > 10, "{seen:?}");
}

#[test]
fn pages_that_change_places_or_are_blank_are_noticed_or_do_no_harm() {
    let filled = filled();
    let pages = filled.image.len() / PAGE;
    let used: Vec<_> =
        (0..pages).filter(|page| filled.image[page * PAGE..][..PAGE].iter().any(|it| *it != 0)).collect();
    let mut seen = Seen::default();
    for n in 0..many(150, 1000) {
        let mut image = filled.image.clone();
        let [a, b] = [n, n ^ 0xFACE].map(|n| used[chance(n) % used.len()] * PAGE);
        if n.is_multiple_of(2) {
            let page = image[a..a + PAGE].to_vec();
            image.copy_within(b..b + PAGE, a);
            image[b..b + PAGE].copy_from_slice(&page);
        } else {
            image[a..a + PAGE].fill(0);
        }
        filled.look(image, &format!("pages at {a} and {b}, case {n}"), &mut seen);
    }
    println!("{seen:?}");
    assert!(seen.refused + seen.missing > 10, "{seen:?}");
}

#[test]
fn a_file_cut_short_anywhere_shows_nothing_that_was_not_written() {
    let filled = filled();
    let mut seen = Seen::default();
    for n in 0..many(100, 1000) {
        let keep = chance(n) % filled.image.len();
        filled.look(filled.image[..keep].to_vec(), &format!("{keep} bytes"), &mut seen);
    }
    println!("{seen:?}");
    assert!(seen.refused > 10, "{seen:?}");
}
