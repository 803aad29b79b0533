//! What can go wrong with keys, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::domain::ids::AccountId;

/// A fault of the master key, of the keyring, or of a sealed value. No variant holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nothing is at the path where the configuration says the master key is.
    #[error("there is no master key at `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others than the owner may touch the master key file.
    #[error("the master key `{}` has mode {mode:04o}, which lets others read it", path.display())]
    LooseMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The master key belongs to somebody else, who can therefore read and exchange it.
    #[error("the master key `{}` belongs to user id {owner}, not to the daemon's user (id {us})", path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user we run as.
        us: u32,
    },
    /// A directory, a pipe or a device.
    #[error("the master key `{}` is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is readable, but what is in it is no key.
    #[error("the file `{}` does not hold a Sendoff master key", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// `write_new` never overwrites: a lost master key loses every token.
    #[error("`{}` exists already and is left as it is", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A credential's name that is no plain file name.
    #[error("`{name}` is not a credential name")]
    BadCredentialName {
        /// The name as configured.
        name: String,
    },
    /// The keyring was made with another master key.
    #[error("the keyring `{}` belongs to another master key", path.display())]
    WrongMaster {
        /// The keyring file.
        path: PathBuf,
    },
    /// The keyring was changed or cut off by something other than us.
    #[error("the keyring `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The keyring file.
        path: PathBuf,
        /// Which check failed.
        what: &'static str,
    },
    /// A later version of the program wrote the keyring.
    #[error("the keyring `{}` has format {version}, which is newer than this program", path.display())]
    Newer {
        /// The keyring file.
        path: PathBuf,
        /// Its format number.
        version: u8,
    },
    /// The account was never given a key, or its key was destroyed.
    #[error("there is no data key for account `{account}`")]
    NoKey {
        /// The account.
        account: AccountId,
    },
    /// The account's key has sealed as many values as one key may.
    #[error("the data key of account `{account}` has been used {uses} times and must be rotated")]
    WornOut {
        /// The account.
        account: AccountId,
        /// The limit that was reached.
        uses: u32,
    },
    /// A sealed value that this key, place or format did not produce, or that was changed since.
    #[error("a sealed value of account `{account}` (table {table}, field {field}) cannot be opened")]
    Unreadable {
        /// The account it was read for.
        account: AccountId,
        /// The table it was read from.
        table: u16,
        /// The field it was read from.
        field: u16,
    },
    /// The operating system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
    /// Reading or writing failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl KeyError {
    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } => {
                "restore the key file from where you keep it; for a new installation `sendoff init` makes one".into()
            }
            Self::LooseMode { path, .. } => format!("chmod 0600 {}", shell_word(path)),
            Self::ForeignOwner { path, us, .. } => format!("chown {us} {}", shell_word(path)),
            Self::NotAFile { .. } => "point `[keys] master` at a file of mode 0600".into(),
            Self::Malformed { .. } => {
                "a key file is one line, `sendoff-key-1:` and 44 base64 characters; restore it from your copy".into()
            }
            Self::Exists { .. } => "to start anew, move the old key away first; its tokens go with it".into(),
            Self::BadCredentialName { .. } => {
                "write the name alone, as in `LoadCredential=sendoff-master-key:…`".into()
            }
            Self::WrongMaster { .. } => {
                "point `[keys] master` at the key this data directory was made with; nothing was changed".into()
            }
            Self::Damaged { .. } => "restore `keyring` and the store together from one backup".into(),
            Self::Newer { .. } => "run the version of Sendoff that wrote it, or a later one".into(),
            Self::NoKey { .. } => "connect the account again".into(),
            Self::Unreadable { .. } => {
                "connect the account again; if it happens to all accounts, `keyring` and store are not of the same backup"
                    .into()
            }
            Self::WornOut { .. } | Self::Random(_) | Self::Io { .. } => return None,
        })
    }
}

/// A path as one word of a shell command.
fn shell_word(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
