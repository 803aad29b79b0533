//! Where a secret is kept. The configuration holds the place, never the secret.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// The place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, made absolute.
    File(PathBuf),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An environment variable of this name.
    Env(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Credential(name) => write!(f, "the credential `{name}`"),
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

/// Why a secret could not be read. No case holds any part of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is not there or not ours to read.
    #[error("cannot read {place}: {source}")]
    Unreadable {
        /// The source, in words.
        place: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Anyone on the machine could read it.
    #[error("the secret file `{}` can be read by everyone on this machine (mode {mode:04o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A credential is asked for, and the process was not started by systemd with one.
    #[error("there is no credential `{name}`: `$CREDENTIALS_DIRECTORY` is not set")]
    NoCredentials {
        /// The credential's name.
        name: String,
    },
    /// The variable does not exist.
    #[error("the environment variable `{name}` is not set")]
    Unset {
        /// The variable.
        name: String,
    },
    /// Nothing in it.
    #[error("{place} is empty")]
    Empty {
        /// The source, in words.
        place: String,
    },
    /// Not text, or far longer than any secret is.
    #[error("{place} does not hold a secret (it must be one short text in UTF-8)")]
    NotText {
        /// The source, in words.
        place: String,
    },
}

impl SecretError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exposed { path, .. } => Some(format!("run `chmod 600 {}`", path.display())),
            Self::NoCredentials { name } => Some(format!(
                "add `LoadCredential={name}:/etc/sendoff/{name}` to the unit, or name a file: `{{ file = \"…\" }}`"
            )),
            Self::Unset { name } => Some(format!(
                "set `{name}` in the daemon's environment, or name a file: `{{ file = \"…\" }}`"
            )),
            Self::Unreadable { .. } => {
                Some("check the path, and that the daemon's user may read it".to_owned())
            }
            Self::Empty { .. } | Self::NotText { .. } => {
                Some("write the secret into it, and nothing else".to_owned())
            }
        }
    }
}

/// Longer than any client secret or key we know of.
const LONGEST: u64 = 64 * 1024;

impl SecretSource {
    /// Reads the secret; `env` looks up environment variables. One newline at the end is cut.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<OsString>) -> Result<SecretString, SecretError> {
        let place = self.to_string();
        let bytes = match self {
            Self::File(path) => self.read_file(path)?,
            Self::Credential(name) => {
                let directory = env("CREDENTIALS_DIRECTORY")
                    .filter(|it| !it.is_empty())
                    .ok_or_else(|| SecretError::NoCredentials { name: name.clone() })?;
                self.read_file(&Path::new(&directory).join(name))?
            }
            Self::Env(name) => {
                let value = env(name).ok_or_else(|| SecretError::Unset { name: name.clone() })?;
                Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value))
            }
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { place: place.clone() })?;
        let text = text.strip_suffix('\n').map_or(text, |it| it.strip_suffix('\r').unwrap_or(it));
        if text.trim().is_empty() {
            return Err(SecretError::Empty { place });
        }
        Ok(SecretString::from(text))
    }

    fn read_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let unreadable = |source| SecretError::Unreadable { place: self.to_string(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that the answer is about the bytes we are going to read.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o004 != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LONGEST {
            return Err(SecretError::NotText { place: self.to_string() });
        }
        Ok(bytes)
    }
}

/// A secret's source as it stands in the file. What is not a source is forgotten at once, so that
/// no message can repeat a secret that was written in its place.
#[derive(Debug)]
pub(super) enum SecretWritten {
    /// `{ file = "…" }` and the like, path not yet resolved.
    Source(SecretSource),
    /// A value instead of a source.
    Value,
    /// A table, but not of exactly one known key; the unknown key, if there is one.
    Odd(Option<String>),
}

impl<'de> Deserialize<'de> for SecretWritten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = SecretWritten;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of a secret")
    }
    fn visit_str<E>(self, _: &str) -> Result<SecretWritten, E> {
        Ok(SecretWritten::Value)
    }
    fn visit_i64<E>(self, _: i64) -> Result<SecretWritten, E> {
        Ok(SecretWritten::Value)
    }
    fn visit_f64<E>(self, _: f64) -> Result<SecretWritten, E> {
        Ok(SecretWritten::Value)
    }
    fn visit_bool<E>(self, _: bool) -> Result<SecretWritten, E> {
        Ok(SecretWritten::Value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SecretWritten, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(SecretWritten::Value)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretWritten, A::Error> {
        let (mut found, mut count, mut unknown) = (None, 0, None);
        while let Some(key) = map.next_key::<String>()? {
            count += 1;
            let make: fn(String) -> SecretSource = match key.as_str() {
                "file" => |it| SecretSource::File(it.into()),
                "credential" => SecretSource::Credential,
                "env" => SecretSource::Env,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    // A bare date reaches us as a table with a key of the reader's own.
                    unknown = unknown.or(Some(key).filter(|it| !it.starts_with('$')));
                    continue;
                }
            };
            found = Some(make(map.next_value()?));
        }
        Ok(match found {
            Some(source) if count == 1 => SecretWritten::Source(source),
            _ => SecretWritten::Odd(unknown),
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_read_from_its_source_and_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            SecretSource::File(path)
        };
        let text = |source: &SecretSource| source.read(&|_| None).map(|it| it.expose_secret().to_owned());
        assert_eq!(text(&write("a", "s3cret\n", 0o600)).unwrap(), "s3cret");
        assert_eq!(text(&write("b", "s3cret\r\n", 0o400)).unwrap(), "s3cret");
        assert_eq!(
            text(&write("c", " s3 cret \n\n", 0o640)).unwrap(),
            " s3 cret \n",
            "one newline is cut, no more"
        );
        let open = text(&write("d", "s3cret", 0o644)).unwrap_err();
        assert!(matches!(open, SecretError::Exposed { mode: 0o644, .. }), "{open}");
        assert!(
            open.hint().unwrap().starts_with("run `chmod 600 ") && open.to_string().contains("mode 0644")
        );
        assert!(matches!(text(&write("e", "\n", 0o600)).unwrap_err(), SecretError::Empty { .. }));
        assert!(matches!(
            text(&write("f", &"x".repeat(70_000), 0o600)).unwrap_err(),
            SecretError::NotText { .. }
        ));
        let gone = text(&SecretSource::File(dir.path().join("gone"))).unwrap_err();
        assert!(gone.to_string().contains("gone`: No such file"), "{gone}");

        let here = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(dir.path().as_os_str().to_owned()),
            "TOKEN" => Some("s3cret".into()),
            "VOID" => Some("".into()),
            _ => None,
        };
        let credential = SecretSource::Credential("a".to_owned());
        assert_eq!(credential.read(&here).unwrap().expose_secret(), "s3cret");
        let error = credential.read(&|_| None).unwrap_err();
        assert!(
            error.to_string().contains("$CREDENTIALS_DIRECTORY")
                && error.hint().unwrap().contains("LoadCredential=a:")
        );
        assert_eq!(SecretSource::Env("TOKEN".into()).read(&here).unwrap().expose_secret(), "s3cret");
        assert!(SecretSource::Env("VOID".into()).read(&here).unwrap_err().to_string().contains("is empty"));
        assert!(
            SecretSource::Env("GONE".into()).read(&here).unwrap_err().hint().unwrap().contains("set `GONE`")
        );
        assert!(!format!("{:?}", credential.read(&here).unwrap()).contains("s3cret"));

        let file = dir.path().join("sendoff.toml");
        std::fs::write(&file, "[platforms.x]\nclient_id = \"id\"\nclient_secret = { file = \"a\" }\n")
            .unwrap();
        let config = crate::config::load(&file).unwrap();
        assert!(!config.print().contains("s3cret") && !format!("{config:?}").contains("s3cret"));
        assert!(config.print().contains("client_secret = { file = "), "shown as its source");
    }
}
