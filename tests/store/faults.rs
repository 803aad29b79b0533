//! A disk that refuses its n-th call, for every n: full, failing, or after half of the bytes.

use rustix::io::Errno;
use sendoff::store::{Options, Store};

use super::disk::{Disk, Fault};
use super::life::{Death, Known, inspect, live};
use super::now;

/// The bytes of an empty store.
fn empty() -> Vec<u8> {
    let disk = Disk::default();
    drop(Store::with_backend(disk.clone(), now(), Options::default()).unwrap());
    disk.bytes()
}

/// How many calls a whole life makes.
fn calls() -> usize {
    let disk = Disk::holding(empty());
    let mut known = Known::default();
    live(&disk, &mut known, &mut |_| ()).unwrap();
    assert_eq!((known.rows.len(), known.sent.len()), (4, 4));
    let calls = disk.calls();
    inspect(disk.clone(), &known, "a whole life");
    calls
}

/// How disks fail. A quick run takes them in turn, one per call; `SENDOFF_THOROUGH=1` takes each at
/// every call.
const FAULTS: [Fault; 4] = [
    Fault { errno: Errno::NOSPC, short: false, once: false },
    Fault { errno: Errno::IO, short: false, once: false },
    Fault { errno: Errno::NOSPC, short: true, once: false },
    // Only once: what would succeed after it must not be tried.
    Fault { errno: Errno::IO, short: true, once: true },
];

/// Breaks the n-th call of a life, for every n, and looks at what is left: in the file as the system
/// has it, or as it would be after a power cut on top.
#[test]
fn a_disk_that_refuses_any_single_call_loses_nothing_acknowledged_and_sends_nothing_unrecorded() {
    let thorough = std::env::var_os("SENDOFF_THOROUGH").is_some();
    let (empty, all) = (empty(), calls());
    assert!(all > 200, "the script is too short to prove anything: {all} calls");
    let (mut died, mut refused) = (0, 0);
    for n in 0..all {
        for (kind, fault) in FAULTS.into_iter().enumerate() {
            if !thorough && n % FAULTS.len() != kind {
                continue;
            }
            let disk = Disk::holding(empty.clone());
            disk.fail_like(n, fault);
            let mut known = Known::default();
            match live(&disk, &mut known, &mut |_| ()) {
                // The very last calls of a life are those of closing, whose failure nobody hears.
                Ok(()) => {}
                Err(Death::Open(error)) => {
                    assert_eq!(error.exit_code(), 75, "call {n}: {error:?}");
                    refused += 1;
                }
                Err(Death::Store(error)) => {
                    assert!(error.is_fatal(), "call {n}: {error}");
                    died += 1;
                }
            }
            assert!(disk.has_failed(), "call {n} was never made");
            disk.heal();
            let what = format!("call {n} of {all} failed ({fault:?})");
            if thorough || (n / FAULTS.len()).is_multiple_of(2) {
                inspect(Disk::holding(disk.bytes()), &known, &what);
            }
            if thorough || n / FAULTS.len() % 2 == 1 {
                inspect(Disk::holding(disk.synced()), &known, &format!("{what}, then the power"));
            }
        }
    }
    assert!(died > 50 && refused > 10, "the faults must hit: {died} writes, {refused} openings");
}
