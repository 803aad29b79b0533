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

/// One use of a data key, set aside by [`Keyring::reserve`] and spent by sealing.
#[derive(Debug)]
#[must_use = "a use that is not spent is lost"]
pub struct Reserved {
    account: AccountId,
    key: u32,
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
        let reserved = self.reserve(account)?;
        self.seal_reserved(reserved, table, field, plain)
    }

    /// Sets one use of an account's data key aside, durable on return, for a value that is yet to
    /// come and must not be lost then: [`Self::seal_reserved`] writes nothing and counts nothing, so
    /// neither a full disk nor a worn-out key can stop it.
    pub fn reserve(&self, account: AccountId) -> Result<Reserved, KeyError> {
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
        } else {
            self.settle(&mut state)?;
        }
        let key = current_mut(&mut state.keys, account)?;
        key.used += 1;
        Ok(Reserved { account, key: key.id })
    }

    /// Seals with a use set aside before. Fails only if the key was destroyed since.
    #[allow(clippy::needless_pass_by_value)] // taken, so that one use cannot be spent twice
    pub fn seal_reserved(
        &self,
        reserved: Reserved,
        table: u16,
        field: u16,
        plain: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let Reserved { account, key } = reserved;
        let state = self.lock();
        let own = state.keys.accounts.get(&account.as_u128()).ok_or(KeyError::NoKey { account })?;
        let it = own.iter().find(|it| it.id == key).ok_or(KeyError::NoKey { account })?;
        seal::seal(&it.key, it.id, Place { table, account: account.as_u128(), field }, plain)
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
#[path = "keyring_tests.rs"]
mod tests;
