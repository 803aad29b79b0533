//! Opening: one daemon, a known schema, a whole file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Barrier;

use jiff::SignedDuration;
use redb::TableDefinition;
use sendoff::daemon::ledger::{self, Ledger};
use sendoff::domain::account::Account;
use sendoff::domain::delivery::{Event, Reason, RetryWhy, State};
use sendoff::engine::Save;
use sendoff::store::{Compaction, OpenError, Options, Store, StoreError};
use sendoff::store::{accounts, deliveries, meta, posts, vault};
use tempfile::TempDir;

use super::{account, account_id, check, made, minutes, now};

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta.v1");
const DELIVERIES: TableDefinition<'static, u128, &[u8]> = TableDefinition::new("deliveries.v1");
const POSTS: TableDefinition<'static, u128, &[u8]> = TableDefinition::new("posts.v1");

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, now(), Options::default())
}

/// A directory with a store of some posts, closed in order.
fn filled() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for n in 0..50 {
        made(&store, n, Some(minutes(n.into())), &[1, 2]);
    }
    dir
}

/// Changes the file by hand, as another program would.
fn tamper(dir: &Path, work: impl FnOnce(&redb::WriteTransaction)) {
    let db = redb::Database::open(dir.join("sendoff.redb")).unwrap();
    let tx = db.begin_write().unwrap();
    work(&tx);
    tx.commit().unwrap();
}

#[test]
fn a_new_store_is_private_and_keeps_what_it_is_given() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("deep/data");
    let (post, all) = made(&open(&dir).unwrap(), 1, Some(minutes(1)), &[1]);
    for (path, mode) in [(dir.clone(), 0o700), (dir.join("sendoff.redb"), 0o600), (dir.join("lock"), 0o600)] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let store = open(&dir).unwrap();
    assert_eq!(store.read(|rx| posts::get(rx, post.id)).unwrap(), Some(post));
    assert_eq!(store.read(|rx| deliveries::get(rx, all[0].id)).unwrap().as_ref(), Some(&all[0]));
    assert_eq!(store.read(meta::created_at).unwrap(), Some(now()));
    check(&store);
}

#[test]
fn a_second_daemon_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{error:?}"
    );
    assert!(error.to_string().contains("in use by another daemon"), "{error}");
    assert_eq!(error.exit_code(), 78);
    assert!(error.hint().unwrap().contains("data_dir"));
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn of_many_that_start_at_once_exactly_one_has_the_store() {
    let many = if std::env::var_os("SENDOFF_THOROUGH").is_some() { 100 } else { 8 };
    // Once on nothing, where the file is yet to be made, and once on a store that was closed in order.
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let (line, over) = (Barrier::new(many), Barrier::new(many));
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                line.wait();
                let outcome = open(dir.path());
                // Whoever has it keeps it until all have tried.
                over.wait();
                outcome.map(drop)
            };
            let threads: Vec<_> = (0..many).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1, "round {round}");
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(error, OpenError::Locked { .. }), "round {round}: {error:?}");
        }
    }
    check(&open(dir.path()).unwrap());
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_not_one_byte_changes() {
    let dir = filled();
    tamper(dir.path(), |tx| {
        tx.open_table(META).unwrap().insert("schema", 2).unwrap();
    });
    let file = dir.path().join("sendoff.redb");
    let before = fs::read(&file).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error:?}");
    assert_eq!(error.exit_code(), 78);
    assert!(fs::read(&file).unwrap() == before, "the file was written to");

    // The same after a kill, when the file still says that it is in use.
    let db = redb::Database::open(&file).unwrap();
    let mut tx = db.begin_write().unwrap();
    tx.set_quick_repair(true);
    tx.open_table(META).unwrap().insert("generation", 7).unwrap();
    tx.commit().unwrap();
    let killed = fs::read(&file).unwrap();
    drop(db);
    fs::write(&file, &killed).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Newer { .. })));
    assert!(fs::read(&file).unwrap() == killed, "the file was written to");
}

#[test]
fn a_store_cut_short_anywhere_is_refused_and_left_as_it_is() {
    let dir = filled();
    let file = dir.path().join("sendoff.redb");
    let whole = fs::read(&file).unwrap();
    for keep in [0, 1, 300, 512, 4095, 4096, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        let cut = &whole[..keep];
        fs::write(&file, cut).unwrap();
        let error =
            open(dir.path()).err().unwrap_or_else(|| panic!("{keep} of {} bytes opened", whole.len()));
        assert!(matches!(error, OpenError::Damaged { .. }), "{keep} bytes: {error:?}");
        assert_eq!(error.exit_code(), 78);
        assert!(error.hint().unwrap().contains("backup"));
        assert!(fs::read(&file).unwrap() == cut, "the file was written to ({keep} bytes)");
    }
}

#[test]
fn a_file_that_is_not_a_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sendoff.redb");
    fs::write(&file, "not a store".repeat(1000)).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
    fs::remove_file(&file).unwrap();
    drop(redb::Database::create(&file).unwrap());
    let error = open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("no schema number"), "{error}");
}

#[test]
fn a_first_start_that_was_interrupted_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sendoff.redb.new"), "half").unwrap();
    made(&open(dir.path()).unwrap(), 1, None, &[]);
    assert!(!dir.path().join("sendoff.redb.new").exists());
}

#[test]
fn a_record_whose_bytes_changed_is_named_and_never_shown() {
    let dir = filled();
    let mut stored = Vec::new();
    tamper(dir.path(), |tx| {
        let mut table = tx.open_table(POSTS).unwrap();
        let (key, row) = {
            use redb::ReadableTable as _;
            let (key, row) = table.first().unwrap().unwrap();
            (key.value(), row.value().to_vec())
        };
        stored = row;
        let at = stored.windows(6).position(|it| it == b"post 0").unwrap();
        stored[at] = b'P';
        table.insert(key, stored.as_slice()).unwrap();
    });
    let store = open(dir.path()).unwrap();
    let id = super::post(0, None, &[]).id;
    let error = store.read(|rx| posts::get(rx, id)).unwrap_err();
    let StoreError::Damaged { table, key, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*table, key.as_str()), ("posts", id.to_string().as_str()));
    assert!(error.hint().unwrap().contains("latest copy of the data directory"));
    assert!(store.failure().is_none(), "one bad row does not stop the rest");
}

#[test]
fn rows_that_changed_places_are_damaged_too() {
    let dir = filled();
    tamper(dir.path(), |tx| {
        use redb::ReadableTable as _;
        let mut table = tx.open_table(POSTS).unwrap();
        let rows: Vec<_> = table
            .iter()
            .unwrap()
            .take(2)
            .map(|it| it.map(|(k, v)| (k.value(), v.value().to_vec())).unwrap())
            .collect();
        table.insert(rows[0].0, rows[1].1.as_slice()).unwrap();
        table.insert(rows[1].0, rows[0].1.as_slice()).unwrap();
    });
    let store = open(dir.path()).unwrap();
    let error = store.read(|rx| posts::get(rx, super::post(0, None, &[]).id)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

const SECRET: &[u8] = b"SEALED-TOKENS-OF-THE-ACCOUNT";

/// A store with nothing but the pages of an account that left.
fn left_behind(dir: &Path, options: Options) -> Store {
    let store = Store::open(dir, now(), options).unwrap();
    let account = account_id(1);
    store
        .write_blocking(move |tx| vault::put_grant(tx, account, None, &SECRET.repeat(20), None, None))
        .unwrap();
    store
        .write_blocking(move |tx| {
            vault::remove_grant(tx, account)?;
            vault::finish_erasure(tx, account)
        })
        .unwrap();
    store
}

fn holds_secret(dir: &Path) -> bool {
    fs::read(dir.join("sendoff.redb")).unwrap().windows(SECRET.len()).any(|it| it == SECRET)
}

#[test]
fn compaction_takes_the_bytes_of_deleted_rows_out_of_the_file_once_and_not_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(left_behind(dir.path(), Options::default()));
    assert!(holds_secret(dir.path()), "the positive control: deleted rows stay in free pages until then");
    let store = open(dir.path()).unwrap();
    assert!(holds_secret(dir.path()), "a start takes no longer because somebody left");
    assert_eq!(store.compact().unwrap(), Compaction::Done);
    drop(store);
    assert!(!holds_secret(dir.path()), "the row's bytes are still in the file");
}

#[test]
fn a_big_store_and_a_full_disk_are_left_as_they_are_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = left_behind(dir.path(), Options { compact_upto_bytes: 4096, ..Options::default() });
    // Compacting needs the store alone: asked for inside a read, it could never end.
    let outcome = store.read(|_| store.compact()).unwrap();
    assert!(matches!(outcome, Compaction::TooBig { bytes } if bytes > 4096), "{outcome:?}");
    assert!(holds_secret(dir.path()));
    drop(store);
    let full = Options { room_bytes: u64::MAX, ..Options::default() };
    let store = Store::open(dir.path(), now(), full).unwrap();
    assert_eq!(store.read(|_| store.compact()).unwrap(), Compaction::NoRoom);
}

/// What waits for a time of a clock that was years ahead is due at the next start, also beside a row that
/// nobody can read any more.
#[test]
fn a_damaged_row_keeps_no_daemon_from_starting_and_nothing_waits_for_years() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let waiting: Vec<_> = [1, 2]
        .map(|n| {
            let mut row = made(&store, n, Some(minutes(0)), &[1]).1.remove(0);
            let why = RetryWhy::Backoff;
            let reason = Reason::new("not_sent", "no route");
            let at = now() + SignedDuration::from_hours(24 * 3650);
            for event in [Event::Claim, Event::Defer { at, why, reason, again: false }] {
                let after = row.apply(event, now()).unwrap();
                let pair = (row, after.clone());
                store
                    .write_blocking(move |tx| deliveries::put(tx, Some(&pair.0), &pair.1, None).map(drop))
                    .unwrap();
                row = after;
            }
            row
        })
        .into();
    drop(store);
    tamper(dir.path(), |tx| {
        use redb::ReadableTable as _;
        let mut table = tx.open_table(DELIVERIES).unwrap();
        let key = waiting[0].id.as_u128();
        let mut stored = table.get(key).unwrap().unwrap().value().to_vec();
        *stored.last_mut().unwrap() ^= 1;
        table.insert(key, stored.as_slice()).unwrap();
    });
    let store = open(dir.path()).unwrap();
    assert!(store.read(|rx| deliveries::get(rx, waiting[0].id)).is_err());
    assert!(ledger::recover(&store, minutes(5)).unwrap().is_empty(), "no network said anything");
    let near = store.read(|rx| deliveries::need(rx, waiting[1].id)).unwrap();
    assert_eq!((near.wakes_at(), near.retry_why), (Some(minutes(5)), Some(RetryWhy::Backoff)));
}

/// An answer calls tokens dead that a person has replaced meanwhile. What it would make wait for that person,
/// who has come already, goes on in the same write: whenever the program dies, nothing waits for ever.
#[test]
fn what_would_wait_for_an_account_that_is_well_again_goes_on_in_the_same_write() {
    for (n, reason) in [None, Some("the token was revoked".to_owned())].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        let before = made(&store, 1, Some(minutes(0)), &[1]).1.remove(0);
        let row = Account { reason: reason.clone(), ..account(1) };
        store.write_blocking(move |tx| accounts::put(tx, &row)).unwrap();
        let claimed = before.apply(Event::Claim, now()).unwrap();
        let pair = (before.clone(), claimed.clone());
        store.write_blocking(move |tx| deliveries::put(tx, Some(&pair.0), &pair.1, None).map(drop)).unwrap();
        let dead = Event::AccountDead { reason: Reason::new("account_dead", "the token was revoked") };
        let after = claimed.apply(dead, now()).unwrap();
        let save = Save { seq: 1, before: claimed, after, event: "account_dead", answer: None };
        let save = Ledger::new(sendoff::platforms::find).save(save, minutes(1));
        let told = store.write_blocking(save).unwrap();
        let it = store.read(|rx| deliveries::need(rx, before.id)).unwrap();
        assert_eq!(told, (n == 0).then(|| it.clone()), "what lasts is told");
        let (state, wakes) =
            if n == 0 { (State::Retry, Some(minutes(1))) } else { (State::NeedsReconnect, None) };
        assert_eq!((it.state, it.wakes_at()), (state, wakes), "{reason:?}");
        check(&store);
    }
}
