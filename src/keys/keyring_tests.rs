//! The keyring under test.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

fn master(byte: u8) -> MasterKey {
    MasterKey::generate(|bytes| {
        bytes.fill(byte);
        Ok(())
    })
    .unwrap()
}

fn account(n: u128) -> AccountId {
    AccountId::from_u128(n)
}

fn snapshot(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap())
        .map(|it| (it.file_name(), fs::read(it.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_sealed_value_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    assert!(ring.was_created() && ring.accounts().is_empty());
    assert!(ring.create(account(5)).unwrap());
    assert!(!ring.create(account(5)).unwrap());
    let sealed = ring.seal(account(5), 1, 2, b"token").unwrap();
    drop(ring);
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    assert!(!ring.was_created());
    assert_eq!(ring.open_sealed(account(5), 1, 2, &sealed).unwrap().as_slice(), b"token");
    assert_eq!(fs::metadata(dir.path().join("keyring")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(ring.accounts(), [account(5)]);
}

#[test]
fn a_wrong_master_key_is_told_and_changes_nothing_even_without_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    for with_account in [false, true] {
        if with_account {
            ring.create(account(1)).unwrap();
        }
        fs::write(dir.path().join("keyring.tmp"), b"left over").unwrap();
        let before = snapshot(dir.path());
        let error = Keyring::open(dir.path(), &master(2)).unwrap_err();
        assert!(matches!(error, KeyError::WrongMaster { .. }), "{error}");
        assert!(error.hint().unwrap().contains("[keys] master"));
        assert_eq!(snapshot(dir.path()), before);
    }
}

#[test]
fn values_do_not_open_in_each_others_place() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    let mut sealed = Vec::new();
    for n in 1..=3 {
        ring.create(account(n)).unwrap();
        for (table, field) in [(1, 1), (1, 2), (2, 1)] {
            sealed.push(((n, table, field), ring.seal(account(n), table, field, b"same").unwrap()));
        }
    }
    for (from, bytes) in &sealed {
        for (to, _) in &sealed {
            let opened = ring.open_sealed(account(to.0), to.1, to.2, bytes);
            assert_eq!(opened.is_ok(), from == to, "{from:?} as {to:?}");
        }
    }
}

#[test]
fn a_use_set_aside_seals_when_the_disk_takes_nothing_and_the_key_is_worn_out() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open_with(dir.path(), &master(1), 3).unwrap();
    ring.create(account(1)).unwrap();
    let reserved = ring.reserve(account(1)).unwrap();
    for _ in 0..2 {
        ring.seal(account(1), 1, 1, b"x").unwrap();
    }
    assert!(matches!(ring.reserve(account(1)), Err(KeyError::WornOut { .. })));
    // With its directory gone, nothing can be written any more.
    fs::remove_dir_all(dir.path()).unwrap();
    let sealed = ring.seal_reserved(reserved, 1, 1, b"token").unwrap();
    assert_eq!(ring.open_sealed(account(1), 1, 1, &sealed).unwrap().as_slice(), b"token");
}

#[test]
fn a_use_set_aside_outlives_a_rotation_but_not_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    let (first, second) = (ring.reserve(account(1)).unwrap(), ring.reserve(account(1)).unwrap());
    ring.rotate(account(1)).unwrap();
    let sealed = ring.seal_reserved(first, 1, 1, b"token").unwrap();
    assert_eq!(ring.open_sealed(account(1), 1, 1, &sealed).unwrap().as_slice(), b"token");
    ring.destroy(account(1)).unwrap();
    assert!(matches!(ring.seal_reserved(second, 1, 1, b"x"), Err(KeyError::NoKey { .. })));
}

#[test]
fn a_destroyed_key_opens_nothing_ever_again() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    ring.create(account(2)).unwrap();
    let gone = ring.seal(account(1), 1, 1, b"gone").unwrap();
    let kept = ring.seal(account(2), 1, 1, b"kept").unwrap();
    let wrapped = ring.lock().keys.accounts[&1][0].wrapped;
    assert!(ring.destroy(account(1)).unwrap());
    assert!(!ring.destroy(account(1)).unwrap());
    for (name, bytes) in snapshot(dir.path()) {
        assert!(!bytes.windows(WRAPPED).any(|it| it == wrapped), "{}", name.display());
    }
    for ring in [ring, Keyring::open(dir.path(), &master(1)).unwrap()] {
        assert!(matches!(ring.open_sealed(account(1), 1, 1, &gone), Err(KeyError::NoKey { .. })));
        assert!(matches!(ring.seal(account(1), 1, 1, b"x"), Err(KeyError::NoKey { .. })));
        assert_eq!(ring.open_sealed(account(2), 1, 1, &kept).unwrap().as_slice(), b"kept");
    }
    // The same account again gets another key and another key id.
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    assert!(matches!(ring.open_sealed(account(1), 1, 1, &gone), Err(KeyError::Unreadable { .. })));
}

#[test]
fn a_crash_before_the_rename_leaves_the_old_keyring_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let tmp = dir.path().join("keyring.tmp");
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    let sealed = ring.seal(account(1), 1, 1, b"token").unwrap();
    let whole = {
        let before = fs::read(dir.path().join("keyring")).unwrap();
        ring.create(account(2)).unwrap();
        let after = fs::read(dir.path().join("keyring")).unwrap();
        fs::write(dir.path().join("keyring"), before).unwrap();
        after
    };
    drop(ring);
    for cut in [0, 1, 57, whole.len() - 1, whole.len()] {
        fs::write(&tmp, &whole[..cut]).unwrap();
        let ring = Keyring::open(dir.path(), &master(1)).unwrap();
        assert!(!tmp.exists());
        assert_eq!(ring.accounts(), [account(1)]);
        assert_eq!(ring.open_sealed(account(1), 1, 1, &sealed).unwrap().as_slice(), b"token");
    }
    // A crash in the very first start: no keyring yet, half a temporary file.
    fs::remove_file(dir.path().join("keyring")).unwrap();
    fs::write(&tmp, &whole[..9]).unwrap();
    assert!(Keyring::open(dir.path(), &master(1)).unwrap().was_created());
}

#[test]
fn a_change_that_cannot_be_written_did_not_happen() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    // A directory at the temporary name stops every write, also for root.
    fs::create_dir(dir.path().join("keyring.tmp")).unwrap();
    assert!(matches!(ring.create(account(2)), Err(KeyError::Io { .. })));
    assert!(matches!(ring.destroy(account(1)), Err(KeyError::Io { .. })));
    assert!(matches!(ring.rewrap(&master(2)), Err(KeyError::Io { .. })));
    assert_eq!(ring.accounts(), [account(1)]);
    fs::remove_dir(dir.path().join("keyring.tmp")).unwrap();
    assert_eq!(Keyring::open(dir.path(), &master(1)).unwrap().accounts(), [account(1)]);
    assert!(ring.create(account(2)).unwrap() && ring.destroy(account(1)).unwrap());
}

#[test]
fn after_a_rewrap_the_new_master_key_alone_opens_everything() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    ring.create(account(1)).unwrap();
    let sealed = ring.seal(account(1), 1, 1, b"token").unwrap();
    ring.rewrap(&master(2)).unwrap();
    ring.create(account(2)).unwrap();
    assert!(matches!(Keyring::open(dir.path(), &master(1)), Err(KeyError::WrongMaster { .. })));
    let again = Keyring::open(dir.path(), &master(2)).unwrap();
    for ring in [&ring, &again] {
        assert_eq!(ring.open_sealed(account(1), 1, 1, &sealed).unwrap().as_slice(), b"token");
        assert_eq!(ring.accounts(), [account(1), account(2)]);
    }
}

#[test]
fn a_worn_out_key_seals_no_more_until_it_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open_with(dir.path(), &master(1), 100).unwrap();
    ring.create(account(1)).unwrap();
    let first = ring.seal(account(1), 1, 1, b"first").unwrap();
    for _ in 1..100 {
        ring.seal(account(1), 1, 1, b"x").unwrap();
    }
    let worn = ring.seal(account(1), 1, 1, b"x");
    assert!(matches!(worn, Err(KeyError::WornOut { uses: 100, .. })));
    ring.rotate(account(1)).unwrap();
    let second = ring.seal(account(1), 1, 1, b"second").unwrap();
    assert_ne!(first[1..5], second[1..5]);
    assert_eq!(ring.open_sealed(account(1), 1, 1, &first).unwrap().as_slice(), b"first");
    assert_eq!(ring.retire_old(account(1)).unwrap(), 1);
    assert_eq!(ring.retire_old(account(1)).unwrap(), 0);
    assert!(matches!(ring.open_sealed(account(1), 1, 1, &first), Err(KeyError::Unreadable { .. })));
    assert_eq!(ring.open_sealed(account(1), 1, 1, &second).unwrap().as_slice(), b"second");
}

#[test]
fn restarts_never_lower_the_count_of_uses() {
    let dir = tempfile::tempdir().unwrap();
    Keyring::open_with(dir.path(), &master(1), 300).unwrap().create(account(1)).unwrap();
    let mut sealed = 0;
    for _ in 0..100 {
        let ring = Keyring::open_with(dir.path(), &master(1), 300).unwrap();
        if ring.seal(account(1), 1, 1, b"x").is_err() {
            break;
        }
        sealed += 1;
    }
    // 64 at creation count as used; each start takes a step of 64 for its one seal.
    assert_eq!(sealed, 4);
}

#[test]
fn debug_shows_no_byte_of_any_key() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(65)).unwrap();
    ring.create(account(1)).unwrap();
    let key = *ring.lock().keys.accounts[&1][0].key.expose();
    let shown = format!("{ring:?}");
    assert!(shown.contains("[secret]") && !shown.contains(&format!("{key:?}")), "{shown}");
}

#[test]
fn callers_on_many_threads_neither_lose_keys_nor_mix_them_up() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    std::thread::scope(|scope| {
        for n in 1..=8 {
            let ring = &ring;
            scope.spawn(move || {
                ring.create(account(n)).unwrap();
                for round in 0..100_u16 {
                    let sealed = ring.seal(account(n), 1, round, &n.to_be_bytes()).unwrap();
                    let opened = ring.open_sealed(account(n), 1, round, &sealed).unwrap();
                    assert_eq!(opened.as_slice(), n.to_be_bytes());
                }
                if n % 2 == 0 {
                    assert!(ring.destroy(account(n)).unwrap());
                }
            });
        }
    });
    let left = [1, 3, 5, 7].map(account);
    assert_eq!(ring.accounts(), left);
    assert_eq!(Keyring::open(dir.path(), &master(1)).unwrap().accounts(), left);
}

#[test]
fn a_thousand_destroyed_tokens_stay_unreadable_with_every_byte_and_the_master_key() {
    // The attacker has the master key, the directory as it was left, and every sealed value.
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), &master(1)).unwrap();
    let mut sealed = Vec::new();
    for n in 0..40 {
        ring.create(account(n)).unwrap();
        for field in 0..25 {
            sealed.push((n, field, ring.seal(account(n), 1, field, b"a token").unwrap()));
        }
    }
    for n in 0..40 {
        ring.destroy(account(n)).unwrap();
    }
    let kek = derive(&master(1), Purpose::Kek);
    let files = snapshot(dir.path());
    assert_eq!(files.len(), 1, "nothing but the keyring is left");
    for (n, _, value) in &sealed {
        let id = seal::key_id(value).unwrap();
        let found = files[0].1.windows(WRAPPED).any(|it| seal::unwrap(&kek, *n, id, it).is_some());
        assert!(!found, "the key of account {n}");
    }
    for (n, field, value) in &sealed {
        assert!(ring.open_sealed(account(*n), 1, *field, value).is_err());
    }
}
