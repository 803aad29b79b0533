//! The keyring's file: its bytes, and how they get to disk without ever being half there.
//!
//! ```text
//! head    "sendoff keyring\n" 16 | version 1 | check 32 | next key id 4 BE | entries 4 BE
//! entry   account 16 BE | key id 4 BE | uses reserved 4 BE | wrapped key 60
//! tail    HMAC-SHA256 over all of the above, 32
//! ```
//!
//! `check` depends on the master key alone. It tells "this is another key" from "this was
//! tampered with", also for a keyring without a single entry.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::derive::{Purpose, Signer};
use super::error::KeyError;
use super::master::MasterKey;
use super::seal::WRAPPED;

const MAGIC: &[u8; 16] = b"sendoff keyring\n";
const VERSION: u8 = 1;
const HEAD: usize = 16 + 1 + 32 + 4 + 4;
const ENTRY: usize = 16 + 4 + 4 + WRAPPED;
const TAIL: usize = 32;
/// Far more than any installation has accounts; a bound on what is read at start.
const ENTRIES_MAX: usize = 100_000;

/// One data key as it lies on disk.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) account: u128,
    pub(super) id: u32,
    /// Seals that may have happened by now; see `keyring::RESERVE`.
    pub(super) reserved: u32,
    pub(super) wrapped: [u8; WRAPPED],
}

/// The whole file, understood.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) next_id: u32,
    pub(super) entries: Vec<Entry>,
}

/// Signs the keyring with a master key.
#[derive(Debug, Clone)]
pub(super) struct Guard(Signer);

impl Guard {
    pub(super) fn new(master: &MasterKey) -> Self {
        Self(Signer::new(master, Purpose::KeyCheck))
    }

    fn check(&self) -> [u8; 32] {
        self.0.sign(&[b"check"])
    }

    pub(super) fn encode(&self, ring: &Ring) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + ring.entries.len() * ENTRY + TAIL);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.check());
        out.extend_from_slice(&ring.next_id.to_be_bytes());
        let count = u32::try_from(ring.entries.len()).expect("fewer than 2³² data keys");
        out.extend_from_slice(&count.to_be_bytes());
        for entry in &ring.entries {
            out.extend_from_slice(&entry.account.to_be_bytes());
            out.extend_from_slice(&entry.id.to_be_bytes());
            out.extend_from_slice(&entry.reserved.to_be_bytes());
            out.extend_from_slice(&entry.wrapped);
        }
        let tag = self.0.sign(&[b"file", &out]);
        out.extend_from_slice(&tag);
        out
    }

    pub(super) fn decode(&self, path: &Path, bytes: &[u8]) -> Result<Ring, KeyError> {
        let damaged = |what| KeyError::Damaged { path: path.to_owned(), what };
        let mut rest = bytes;
        if take::<16>(&mut rest).ok_or_else(|| damaged("it is too short"))? != *MAGIC {
            return Err(damaged("it does not begin like a keyring"));
        }
        let [version] = take(&mut rest).ok_or_else(|| damaged("it is too short"))?;
        if version > VERSION {
            return Err(KeyError::Newer { path: path.to_owned(), version });
        }
        let check: [u8; 32] = take(&mut rest).ok_or_else(|| damaged("it is too short"))?;
        if version < VERSION {
            return Err(damaged("its format number is wrong"));
        }
        if !self.0.verify(&[b"check"], &check) {
            return Err(KeyError::WrongMaster { path: path.to_owned() });
        }
        let body = bytes.len().checked_sub(TAIL).ok_or_else(|| damaged("it is too short"))?;
        if !self.0.verify(&[b"file", &bytes[..body]], &bytes[body..]) {
            return Err(damaged("its signature does not fit its content"));
        }
        // From here on the bytes are ours; the checks guard against our own mistakes only.
        Self::entries(&mut rest).ok_or_else(|| damaged("its entries do not add up"))
    }

    fn entries(rest: &mut &[u8]) -> Option<Ring> {
        let next_id = u32::from_be_bytes(take(rest)?);
        let count = u32::from_be_bytes(take(rest)?);
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(Entry {
                account: u128::from_be_bytes(take(rest)?),
                id: u32::from_be_bytes(take(rest)?),
                reserved: u32::from_be_bytes(take(rest)?),
                wrapped: take(rest)?,
            });
        }
        (rest.len() == TAIL).then_some(Ring { next_id, entries })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// The two names a keyring has in its directory.
#[derive(Debug, Clone)]
pub(super) struct Files {
    dir: PathBuf,
    pub(super) current: PathBuf,
    temporary: PathBuf,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), current: dir.join("keyring"), temporary: dir.join("keyring.tmp") }
    }

    /// The file's bytes; none if there is no keyring yet.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let file = match File::open(&self.current) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(KeyError::io("open", &self.current))?,
        };
        let limit = HEAD + ENTRIES_MAX * ENTRY + TAIL;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(KeyError::io("read", &self.current))?;
        if bytes.len() > limit {
            return Err(KeyError::Damaged { path: self.current.clone(), what: "it is too long" });
        }
        Ok(Some(bytes))
    }

    /// Removes what a crash in the middle of [`Self::replace`] left. It was never the keyring, so
    /// no value is sealed with a key that only it holds.
    pub(super) fn clear_leftover(&self) -> Result<(), KeyError> {
        let was = OpenOptions::new().write(true).open(&self.temporary);
        match std::fs::remove_file(&self.temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(KeyError::io("remove", &self.temporary))?,
        }
        if let Ok(file) = was {
            blank(file);
        }
        self.sync_dir()
    }

    /// Writes the new content beside the old one and puts it in its place. At every instant the
    /// name `keyring` leads to a whole file: the old one or the new one. On an error the old one
    /// is still there. The change lasts, and the old bytes go, with [`Self::settle`].
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<Replaced, KeyError> {
        self.clear_leftover()?;
        let old = OpenOptions::new().write(true).open(&self.current).ok();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.temporary)
            .map_err(KeyError::io("create", &self.temporary))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(KeyError::io("write", &self.temporary))?;
        std::fs::rename(&self.temporary, &self.current).map_err(KeyError::io("replace", &self.current))?;
        Ok(Replaced { old })
    }

    /// Makes a replacement durable. Only then are the old bytes overwritten: until the directory
    /// is on disk, a power cut can bring the old file back.
    pub(super) fn settle(&self, replaced: &mut Option<Replaced>) -> Result<(), KeyError> {
        if replaced.is_some() {
            self.sync_dir()?;
        }
        if let Some(Replaced { old: Some(old) }) = replaced.take() {
            blank(old);
        }
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), KeyError> {
        File::open(&self.dir).and_then(|it| it.sync_all()).map_err(KeyError::io("sync", &self.dir))
    }
}

/// A replacement that may not have reached the disk.
#[derive(Debug)]
pub(super) struct Replaced {
    /// The file that had the name before.
    old: Option<File>,
}

/// Overwrites an unlinked file with zeros. Best effort: flash memory, journals and copy-on-write
/// file systems may keep the old blocks, which is why a grant is also revoked at the network.
fn blank(mut file: File) {
    let done = file.metadata().and_then(|meta| {
        // Somebody's hard link to it is somebody's copy, not ours to destroy.
        let length = if meta.nlink() == 0 { meta.len() } else { 0 };
        file.seek(io::SeekFrom::Start(0))?;
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.sync_data()
    });
    if let Err(error) = done {
        tracing::warn!(%error, "the replaced keyring could not be overwritten");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(|bytes| {
            bytes.fill(byte);
            Ok(())
        })
        .unwrap()
    }

    fn ring() -> Ring {
        let entry = |account, id| Entry { account, id, reserved: 64, wrapped: [9; WRAPPED] };
        Ring { next_id: 3, entries: vec![entry(7, 1), entry(u128::MAX, 2)] }
    }

    #[test]
    fn no_changed_or_shortened_file_is_believed() {
        let guard = Guard::new(&master(1));
        let bytes = guard.encode(&ring());
        assert_eq!(bytes.len(), HEAD + 2 * ENTRY + TAIL);
        let path = Path::new("keyring");
        assert_eq!(guard.decode(path, &bytes).unwrap().entries.len(), 2);
        for cut in 0..bytes.len() {
            assert!(guard.decode(path, &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(guard.decode(path, &changed).is_err(), "bit {bit}");
        }
        assert!(guard.decode(path, &[&bytes[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn another_master_key_a_newer_format_and_damage_are_told_apart() {
        let guard = Guard::new(&master(1));
        let empty = guard.encode(&Ring { next_id: 1, entries: vec![] });
        let path = Path::new("keyring");
        let other = Guard::new(&master(2)).decode(path, &empty);
        assert!(matches!(other, Err(KeyError::WrongMaster { .. })));
        let mut newer = empty.clone();
        newer[16] = 2;
        assert!(matches!(guard.decode(path, &newer), Err(KeyError::Newer { version: 2, .. })));
        let damaged = guard.decode(path, &empty[..empty.len() - 1]);
        assert!(matches!(damaged, Err(KeyError::Damaged { .. })));
        assert!(matches!(guard.decode(path, b""), Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn the_old_bytes_are_overwritten_unless_somebody_linked_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        files.replace(b"first").unwrap();
        let mut held = File::open(&files.current).unwrap();
        files.settle(&mut Some(files.replace(b"second").unwrap())).unwrap();
        let mut seen = Vec::new();
        held.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, [0; 5]);

        std::fs::hard_link(&files.current, dir.path().join("copy")).unwrap();
        files.settle(&mut Some(files.replace(b"third").unwrap())).unwrap();
        assert_eq!(std::fs::read(dir.path().join("copy")).unwrap(), b"second");
        assert_eq!(files.read().unwrap().unwrap(), b"third");
    }
}
