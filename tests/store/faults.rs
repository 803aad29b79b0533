//! A disk that refuses its n-th call, for every n: full, failing, or after half of the bytes.

use rustix::io::Errno;
use sendoff::store::{Options, Store};

use super::disk::{Disk, Fault};
use super::life::{Death, Known, inspect, live};
use super::now;

/// A disk with an empty store.
fn fresh() -> Disk {
    let disk = Disk::default();
    drop(Store::with_backend(disk.clone(), now(), Options::default()).unwrap());
    disk
}

/// How many calls a whole life makes.
fn calls() -> usize {
    let disk = fresh();
    let before = disk.calls();
    let mut known = Known::default();
    live(&disk, &mut known, &mut |_| ()).unwrap();
    assert_eq!((known.rows.len(), known.sent.len()), (8, 8));
    inspect(disk.clone(), &known, "a whole life");
    disk.calls() - before
}

/// Breaks the n-th call of a life, for every n, and looks at what is left: in the file as the system
/// has it, and as it would be after a power cut on top.
fn break_every_call(fault: Fault) {
    let all = calls();
    assert!(all > 200, "the script is too short to prove anything: {all} calls");
    let (mut died, mut refused) = (0, 0);
    for n in 0..all {
        let disk = fresh();
        disk.fail_like(n, fault);
        let mut known = Known::default();
        match live(&disk, &mut known, &mut |_| ()) {
            // The very last calls of a life are those of closing, whose failure nobody hears.
            Ok(()) => {}
            Err(Death::Open(error)) => {
                assert_eq!(error.exit_code(), 75, "call {n}: {error:?}");
                refused += 1;
            }
            Err(Death::Store(_)) => died += 1,
        }
        assert!(disk.has_failed(), "call {n} was never made");
        disk.heal();
        let what = format!("call {n} of {all} failed ({fault:?})");
        inspect(Disk::holding(disk.bytes()), &known, &what);
        inspect(Disk::holding(disk.synced()), &known, &format!("{what}, then the power"));
    }
    assert!(died > 100 && refused > 10, "the faults must hit: {died} writes, {refused} openings");
}

#[test]
fn a_disk_that_is_full_at_any_call_loses_nothing_acknowledged_and_sends_nothing_unrecorded() {
    break_every_call(Fault { errno: Errno::NOSPC, short: false, once: false });
}

#[test]
fn a_disk_that_fails_at_any_call_loses_nothing_acknowledged_and_sends_nothing_unrecorded() {
    break_every_call(Fault { errno: Errno::IO, short: false, once: false });
}

#[test]
fn a_write_cut_short_at_any_call_loses_nothing_acknowledged_and_sends_nothing_unrecorded() {
    break_every_call(Fault { errno: Errno::NOSPC, short: true, once: false });
}

#[test]
fn a_single_refusal_of_the_disk_ends_the_store_even_if_the_next_call_would_succeed() {
    break_every_call(Fault { errno: Errno::IO, short: true, once: true });
}
