//! The one key a person has to keep.
//!
//! It comes from a file that nobody else can read, or from a systemd credential. There is no way
//! to pass it by environment, argument or configuration value: those are seen by `ps`, by
//! `/proc`, by backups of the configuration and by bug reports.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::secret::Secret;

/// What the line in a key file starts with. The number is the format's.
const PREFIX: &str = "sendoff-key-1:";
/// Base64 characters of 32 bytes, with the padding.
const ENCODED: usize = 44;

/// The master key: everything secret on disk can be opened with it.
///
/// It cannot be printed,
/// ```compile_fail,E0277
/// fn show(key: &sendoff::keys::master::MasterKey) -> String { format!("{key}") }
/// ```
/// and cannot be serialised.
/// ```compile_fail,E0277
/// fn show(key: &sendoff::keys::master::MasterKey) -> String { serde_json::to_string(key).unwrap() }
/// ```
#[derive(Clone)]
pub struct MasterKey(Secret);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([secret])")
    }
}

/// Who may read a key file besides its owner.
#[derive(Clone, Copy)]
enum Readers {
    /// Nobody: mode 0600 or stricter.
    OwnerOnly,
    /// systemd lends a credential through an access list, which `stat` shows as a group's read bit.
    OwnerAndList,
}

impl MasterKey {
    /// Reads a key file: regular, owned by our user or root, of mode 0600 or stricter, and holding
    /// exactly `sendoff-key-1:` and the base64 of 32 bytes (one line feed may follow).
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        Self::read(path, Readers::OwnerOnly)
    }

    /// Reads the credential `name` below `dir`, which is systemd's `CREDENTIALS_DIRECTORY`.
    pub fn from_credential(dir: &Path, name: &str) -> Result<Self, KeyError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(KeyError::BadCredentialName { name: name.to_owned() });
        }
        Self::read(&dir.join(name), Readers::OwnerAndList)
    }

    /// A new key. `random` fills the buffer with unguessable bytes: `getrandom::fill`.
    pub fn generate(
        random: impl FnOnce(&mut [u8]) -> Result<(), getrandom::Error>,
    ) -> Result<Self, KeyError> {
        Secret::with(|bytes| random(bytes)).map(Self).map_err(KeyError::Random)
    }

    /// Writes the key into a new file of mode 0600 and makes it durable. Never overwrites.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyError::Exists { path: path.to_owned() });
            }
            other => other.map_err(KeyError::io("create", path))?,
        };
        let mut line = Zeroizing::new([0u8; PREFIX.len() + ENCODED + 1]);
        line[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
        STANDARD
            .encode_slice(self.0.expose(), &mut line[PREFIX.len()..])
            .expect("32 bytes are 44 base64 characters");
        line[PREFIX.len() + ENCODED] = b'\n';
        // The mode given at creation is narrowed by the umask; a strange one must not leave 0000.
        file.set_permissions(PermissionsExt::from_mode(0o600))
            .map_err(KeyError::io("set the mode of", path))?;
        file.write_all(&line[..]).and_then(|()| file.sync_all()).map_err(KeyError::io("write", path))?;
        let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|it| it.sync_all()).map_err(KeyError::io("sync", dir))
    }

    /// The secret, for the derivations of this room.
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    fn read(path: &Path, readers: Readers) -> Result<Self, KeyError> {
        // Without O_NONBLOCK, a pipe at this path would keep the daemon from starting for ever.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag is a small number");
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeyError::Missing { path: path.to_owned() });
            }
            other => other.map_err(KeyError::io("open the master key", path))?,
        };
        // The opened file is judged, not the path: links may be followed, but nothing can be
        // exchanged between the check and the read.
        let meta = file.metadata().map_err(KeyError::io("examine the master key", path))?;
        if !meta.is_file() {
            return Err(KeyError::NotAFile { path: path.to_owned() });
        }
        let us = rustix::process::geteuid().as_raw();
        if meta.uid() != us && meta.uid() != 0 {
            return Err(KeyError::ForeignOwner { path: path.to_owned(), owner: meta.uid(), us });
        }
        let forbidden = match readers {
            Readers::OwnerOnly => 0o177,
            Readers::OwnerAndList => 0o137,
        };
        let mode = meta.mode() & 0o7777;
        if mode & forbidden != 0 {
            return Err(KeyError::LooseMode { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        file.take(128).read_to_end(&mut text).map_err(KeyError::io("read the master key", path))?;
        Self::parse(&text).ok_or_else(|| KeyError::Malformed { path: path.to_owned() })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let encoded = line.strip_prefix(PREFIX.as_bytes()).filter(|it| it.len() == ENCODED)?;
        let mut bytes = Zeroizing::new([0u8; 48]); // what the decoder asks for, not what it fills
        let length = STANDARD.decode_slice(encoded, &mut bytes[..]).ok()?;
        if length != 32 {
            return None;
        }
        Secret::with(|key| {
            key.copy_from_slice(&bytes[..32]);
            Ok::<_, ()>(())
        })
        .ok()
        .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::generate(|bytes| {
            bytes.fill(byte);
            Ok(())
        })
        .unwrap()
    }

    fn file(dir: &Path, name: &str, content: &[u8], mode: u32) -> std::path::PathBuf {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_written_key_reads_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        key(7).write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "sendoff-key-1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n"
        );
        assert_eq!(MasterKey::from_file(&path).unwrap().0.expose(), &[7; 32]);
        assert!(matches!(key(8).write_new(&path), Err(KeyError::Exists { .. })));
        assert_eq!(MasterKey::from_file(&path).unwrap().0.expose(), &[7; 32]);
    }

    #[test]
    fn only_modes_that_shut_everyone_else_out_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master key");
        key(1).write_new(&path).unwrap();
        for mode in 0..=0o777 {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let read = MasterKey::from_file(&path);
            if mode & !0o600 == 0 {
                // Whether the owner may read at all is up to the system (root always may).
                assert!(!matches!(read, Err(KeyError::LooseMode { .. })), "{mode:o}");
            } else if mode & 0o400 != 0 {
                assert!(
                    matches!(read, Err(KeyError::LooseMode { mode: told, .. }) if told == mode),
                    "{mode:o}"
                );
            }
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let error = MasterKey::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("mode 0644"), "{error}");
        assert_eq!(error.hint().unwrap(), format!("chmod 0600 '{}'", path.display()));
    }

    #[test]
    fn exactly_one_written_form_is_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let good = "sendoff-key-1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let body = &good[PREFIX.len()..];
        for accepted in [good.to_owned(), format!("{good}\n")] {
            MasterKey::from_file(&file(dir.path(), "k", accepted.as_bytes(), 0o600)).unwrap();
        }
        for refused in [
            String::new(),
            body.to_owned(),
            format!(" {good}"),
            format!("{good}\n\n"),
            format!("{good}\r\n"),
            format!("{good}{good}"),
            format!("sendoff-key-2:{body}"),
            format!("sendoff-key-1:{}", body.trim_end_matches('=')),
            format!("sendoff-key-1:{}!=", &body[..42]),
            format!("sendoff-key-1:{}==", &body[..42]),
            format!("sendoff-key-1:{}A", &body[..43]),
            "07".repeat(32),
            "x".repeat(100_000),
        ] {
            let read = MasterKey::from_file(&file(dir.path(), "k", refused.as_bytes(), 0o600));
            assert!(matches!(read, Err(KeyError::Malformed { .. })), "`{refused:.80}`");
        }
        let raw = MasterKey::from_file(&file(dir.path(), "k", &[7; 32], 0o600));
        assert!(matches!(raw, Err(KeyError::Malformed { .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(MasterKey::from_file(dir.path()), Err(KeyError::NotAFile { .. })));
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        assert!(matches!(MasterKey::from_file(&pipe), Err(KeyError::NotAFile { .. })));
        let missing = MasterKey::from_file(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, KeyError::Missing { .. }));
        assert!(missing.hint().unwrap().contains("sendoff init"));
    }

    #[test]
    fn a_link_is_judged_by_the_file_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("real");
        key(3).write_new(&path).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        MasterKey::from_file(&link).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::from_file(&link), Err(KeyError::LooseMode { .. })));
    }

    #[test]
    fn a_credential_may_carry_the_bit_of_an_access_list_but_not_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sendoff-master-key");
        key(9).write_new(&path).unwrap();
        for (mode, fits) in [(0o400, true), (0o440, true), (0o600, true), (0o444, false), (0o460, false)] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(
                MasterKey::from_credential(dir.path(), "sendoff-master-key").is_ok(),
                fits,
                "{mode:o}"
            );
        }
        for name in ["", ".", "..", "../sendoff-master-key", "a/b", "a b", ".hidden"] {
            let read = MasterKey::from_credential(dir.path(), name);
            assert!(matches!(read, Err(KeyError::BadCredentialName { .. })), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_byte_of_the_key() {
        assert_eq!(format!("{:?}", key(65)), "MasterKey([secret])");
    }
}
