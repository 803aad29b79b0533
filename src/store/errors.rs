//! What can go wrong, named by what the reader can do.

use std::path::PathBuf;
use std::sync::Arc;

/// Why a read or a write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file failed. Nothing more succeeds until the store is opened again.
    #[error("the store failed")]
    Io(#[source] Arc<redb::Error>),
    /// An earlier error stopped the store; this request was not tried.
    #[error("the store stopped after an earlier error")]
    Failed,
    /// The store is shut.
    #[error("the store is closed")]
    Closed,
    /// The row is not what the caller thought, or something unique is taken. Nothing was written.
    #[error("{what}")]
    Conflict { what: String },
    /// The account is being disconnected: nothing new is taken for it. Nothing was written.
    #[error("account `{account}` is being disconnected")]
    Leaving { account: String },
    /// There is no such row.
    #[error("there is no {what}")]
    NotFound { what: String },
    /// The caller's own guard said no. Nothing was written.
    #[error("{why}")]
    Refused { why: String },
    /// A row does not read back as it was written.
    #[error("the record `{key}` in table `{table}` is damaged: {why}")]
    Damaged { table: &'static str, key: String, why: String },
}

impl StoreError {
    /// Something is not as the caller thought.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    /// There is no such row; `what` names it, e.g. "post `pst_…`".
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// The store cannot go on: the process must end and be started again (exit status 75).
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Failed | Self::Closed)
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io(_) | Self::Failed => Some(
                "look for a full or failing disk; nothing that was acknowledged is lost, and a restart \
                 opens the store again"
                    .to_owned(),
            ),
            Self::Damaged { .. } => {
                Some("the disk changed stored bytes; restore the latest copy of the data directory (docs/install.md, Copies)".to_owned())
            }
            Self::Leaving { .. } => Some(
                "leave it out; once it is gone it can be connected anew (`sendoff account list`)".to_owned(),
            ),
            Self::Closed | Self::Conflict { .. } | Self::NotFound { .. } | Self::Refused { .. } => None,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Io(Arc::new(error.into()))
    }
}

/// Why the store could not be opened. Nothing in the directory was changed, unless it was new.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("`{}` is in use by another daemon{}", dir.display(), pid.map(|it| format!(" (process {it})")).unwrap_or_default())]
    Locked { dir: PathBuf, pid: Option<u32> },
    /// A newer release wrote it.
    #[error("`{}` was written by a newer release (schema {found}, this one knows up to {known})", path.display())]
    Newer { path: PathBuf, found: u64, known: u64 },
    /// The file is not what was written.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    /// The system refused something.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// redb refused something that is not damage.
    #[error("cannot open `{}`", path.display())]
    Store {
        path: PathBuf,
        #[source]
        source: Box<redb::Error>,
    },
}

impl OpenError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { dir, .. } => Some(format!(
                "one daemon per `data_dir`: stop the other one, or give this one a directory other than `{}`",
                dir.display()
            )),
            Self::Newer { .. } => {
                Some("use the newer release, or restore a backup made before the upgrade".to_owned())
            }
            Self::Damaged { path, .. } => Some(format!(
                "keep `{}` aside and restore the latest backup; nothing was changed",
                path.display()
            )),
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    Some("the daemon's user must own `data_dir` (mode 0700)".to_owned())
                }
                std::io::ErrorKind::StorageFull => Some("free some space on the disk".to_owned()),
                _ => None,
            },
            Self::Store { .. } => None,
        }
    }

    /// The process exit status that goes with it: 75 (try again) for the system's refusals, else 78.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::Store { .. } => 75,
            Self::Locked { .. } | Self::Newer { .. } | Self::Damaged { .. } => 78,
        }
    }
}
