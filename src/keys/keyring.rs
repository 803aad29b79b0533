//! The accounts' data keys: made, used, rotated, destroyed.
//!
//! Order matters to the caller. Connecting: [`Keyring::create`], then the rows. Disconnecting: the
//! rows, then [`Keyring::destroy`]. A crash in between leaves a key without rows, never rows that
//! nothing can open.
//!
//! Every change writes the whole file and waits for the disk: 84 bytes per key, rarely. All
//! methods block; call the changing ones from a blocking thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::domain::ids::AccountId;

use super::derive::{Purpose, derive};
use super::error::KeyError;
use super::master::MasterKey;
use super::ringfile::{Entry, Files, Guard, Replaced, Ring};
use super::seal::{self, Place, WRAPPED};
use super::secret::Secret;

/// Values one data key may seal before it has to be rotated.
pub const USES_MAX: u32 = 1 << 20;

/// Uses are counted on disk in steps of this many, so that sealing does not write each time. What
/// a step has left at a crash is lost, which only brings the rotation forward.
const RESERVE: u32 = 64;

/// One data key in use.
#[derive(Debug, Clone)]
struct DataKey {
    id: u32,
    reserved: u32,
    used: u32,
    wrapped: [u8; WRAPPED],
    key: Secret,
}

/// What the file says, opened.
#[derive(Debug, Clone)]
struct Keys {
    next_id: u32,
    /// Oldest key first; the last one seals, the others only open. Never empty.
    accounts: BTreeMap<u128, Vec<DataKey>>,
}

impl Keys {
    fn ring(&self) -> Ring {
        let entries = self.accounts.iter().flat_map(|(&account, keys)| {
            keys.iter().map(move |it| Entry {
                account,
                id: it.id,
                reserved: it.reserved,
                wrapped: it.wrapped,
            })
        });
        Ring { next_id: self.next_id, entries: entries.collect() }
    }
}

#[derive(Debug)]
struct State {
    kek: Secret,
    guard: Guard,
    keys: Keys,
    /// A new file whose name may not have reached the disk; nothing is confirmed until it has.
    unsettled: Option<Replaced>,
}

/// The open keyring. One per data directory: the daemon's lock on the directory sees to that.
///
/// ```compile_fail,E0277
/// fn show(ring: &sendoff::keys::keyring::Keyring) -> String { serde_json::to_string(ring).unwrap() }
/// ```
#[derive(Debug)]
pub struct Keyring {
    files: Files,
    uses_max: u32,
    was_created: bool,
    state: Mutex<State>,
}

impl Keyring {
    /// Opens `dir/keyring`; makes an empty one if there is none. Writes nothing when the master
    /// key is the wrong one or the file is damaged.
    pub fn open(dir: &Path, master: &MasterKey) -> Result<Self, KeyError> {
        Self::open_with(dir, master, USES_MAX)
    }

    /// [`Self::open`] with another limit of uses per data key.
    pub fn open_with(dir: &Path, master: &MasterKey, uses_max: u32) -> Result<Self, KeyError> {
        let files = Files::new(dir);
        let guard = Guard::new(master);
        let kek = derive(master, Purpose::Kek);
        let (keys, was_created) = if let Some(bytes) = files.read()? {
            let keys = load(&files, &kek, guard.decode(&files.current, &bytes)?)?;
            files.clear_leftover()?;
            (keys, false)
        } else {
            let keys = Keys { next_id: 1, accounts: BTreeMap::new() };
            let replaced = files.replace(&guard.encode(&keys.ring()))?;
            files.settle(&mut Some(replaced))?;
            (keys, true)
        };
        let state = Mutex::new(State { kek, guard, keys, unsettled: None });
        Ok(Self { files, uses_max, was_created, state })
    }

    /// Whether [`Self::open`] found no keyring and made one. A store that already holds accounts
    /// has then lost its keyring, which the caller should tell instead of starting.
    pub fn was_created(&self) -> bool {
        self.was_created
    }

    /// Gives an account its data key, durable on return. `false` if it had one, which it keeps.
    pub fn create(&self, account: AccountId) -> Result<bool, KeyError> {
        let mut state = self.lock();
        if state.keys.accounts.contains_key(&account.as_u128()) {
            self.settle(&mut state)?;
            return Ok(false);
        }
        self.add_key(&mut state, account.as_u128())?;
        Ok(true)
    }

    /// Destroys all data keys of an account, durable on return: whatever they sealed is gone for
    /// good, also for who holds the master key. `false` if there was none, as on a second call.
    pub fn destroy(&self, account: AccountId) -> Result<bool, KeyError> {
        let mut state = self.lock();
        let mut keys = state.keys.clone();
        if keys.accounts.remove(&account.as_u128()).is_none() {
            self.settle(&mut state)?;
            return Ok(false);
        }
        self.commit(&mut state, keys)?;
        Ok(true)
    }

    /// The accounts that have a data key, in the order of their ids.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.lock().keys.accounts.keys().map(|&it| AccountId::from_u128(it)).collect()
    }

    /// Gives an account a further data key, with which everything is sealed from now on. Values of
    /// the earlier ones still open; seal them anew, then call [`Self::retire_old`].
    pub fn rotate(&self, account: AccountId) -> Result<(), KeyError> {
        let mut state = self.lock();
        if !state.keys.accounts.contains_key(&account.as_u128()) {
            return Err(KeyError::NoKey { account });
        }
        self.add_key(&mut state, account.as_u128())
    }

    /// Destroys an account's data keys except the one in use. Tells how many there were.
    pub fn retire_old(&self, account: AccountId) -> Result<usize, KeyError> {
        let mut state = self.lock();
        let mut keys = state.keys.clone();
        let own = keys.accounts.get_mut(&account.as_u128()).ok_or(KeyError::NoKey { account })?;
        let old = own.len() - 1;
        if old == 0 {
            self.settle(&mut state)?;
            return Ok(0);
        }
        own.drain(..old);
        self.commit(&mut state, keys)?;
        Ok(old)
    }

    /// Puts the data keys under another master key, in one step: before it the old master key
    /// opens the keyring, after it the new one alone does. Sealed values are not touched.
    pub fn rewrap(&self, new_master: &MasterKey) -> Result<(), KeyError> {
        let mut state = self.lock();
        let kek = derive(new_master, Purpose::Kek);
        let guard = Guard::new(new_master);
        let mut keys = state.keys.clone();
        for (&account, own) in &mut keys.accounts {
            for it in own {
                it.wrapped = seal::wrap(&kek, account, it.id, &it.key)?;
            }
        }
        self.write(&mut state, &guard, &keys)?;
        state.keys = keys;
        state.kek = kek;
        state.guard = guard;
        self.settle(&mut state)
    }

    /// Seals a value for one table and field of an account. Nothing else opens it.
    pub fn seal(
        &self,
        account: AccountId,
        table: u16,
        field: u16,
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let mut state = self.lock();
        let key = current(&state.keys, account)?;
        if key.used >= self.uses_max {
            return Err(KeyError::WornOut { account, uses: key.used });
        }
        if key.used >= key.reserved {
            let mut keys = state.keys.clone();
            let it = current_mut(&mut keys, account)?;
            it.reserved = it.used.saturating_add(RESERVE);
            self.commit(&mut state, keys)?;
        }
        let key = current_mut(&mut state.keys, account)?;
        key.used += 1;
        seal::seal(&key.key, key.id, Place { table, account: account.as_u128(), field }, plain)
    }

    /// Opens what [`Self::seal`] made for the same account, table and field.
    pub fn open_sealed(
        &self,
        account: AccountId,
        table: u16,
        field: u16,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let state = self.lock();
        let own = state.keys.accounts.get(&account.as_u128()).ok_or(KeyError::NoKey { account })?;
        seal::key_id(sealed)
            .and_then(|id| own.iter().find(|it| it.id == id))
            .and_then(|it| seal::open(&it.key, Place { table, account: account.as_u128(), field }, sealed))
            .ok_or(KeyError::Unreadable { account, table, field })
    }

    fn add_key(&self, state: &mut State, account: u128) -> Result<(), KeyError> {
        let mut keys = state.keys.clone();
        let id = keys.next_id;
        // Ids are never used twice: a value names its key by this number alone.
        keys.next_id = id.checked_add(1).expect("2³² data keys were never made");
        let key = Secret::random()?;
        let wrapped = seal::wrap(&state.kek, account, id, &key)?;
        keys.accounts.entry(account).or_default().push(DataKey {
            id,
            reserved: RESERVE,
            used: 0,
            wrapped,
            key,
        });
        self.commit(state, keys)
    }

    /// Writes the changed keys; only what is in the file is ever used.
    fn commit(&self, state: &mut State, keys: Keys) -> Result<(), KeyError> {
        let guard = state.guard.clone();
        self.write(state, &guard, &keys)?;
        state.keys = keys;
        self.settle(state)
    }

    fn write(&self, state: &mut State, guard: &Guard, keys: &Keys) -> Result<(), KeyError> {
        self.settle(state)?;
        state.unsettled = Some(self.files.replace(&guard.encode(&keys.ring()))?);
        Ok(())
    }

    fn settle(&self, state: &mut State) -> Result<(), KeyError> {
        self.files.settle(&mut state.unsettled)
    }

    /// A panic while the lock was held cannot have left half a change: the state is exchanged whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(files: &Files, kek: &Secret, ring: Ring) -> Result<Keys, KeyError> {
    let mut keys = Keys { next_id: ring.next_id, accounts: BTreeMap::new() };
    for Entry { account, id, reserved, wrapped } in ring.entries {
        let key = seal::unwrap(kek, account, id, &wrapped).ok_or_else(|| KeyError::Damaged {
            path: files.current.clone(),
            what: "a data key does not open",
        })?;
        // Nobody knows how much of the last step was used, so all of it counts.
        let key = DataKey { id, reserved, used: reserved, wrapped, key };
        keys.accounts.entry(account).or_default().push(key);
    }
    for own in keys.accounts.values_mut() {
        own.sort_by_key(|it| it.id);
    }
    Ok(keys)
}

fn current(keys: &Keys, account: AccountId) -> Result<&DataKey, KeyError> {
    keys.accounts.get(&account.as_u128()).and_then(|it| it.last()).ok_or(KeyError::NoKey { account })
}

fn current_mut(keys: &mut Keys, account: AccountId) -> Result<&mut DataKey, KeyError> {
    keys.accounts.get_mut(&account.as_u128()).and_then(|it| it.last_mut()).ok_or(KeyError::NoKey { account })
}

#[cfg(test)]
mod tests {
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
}
