//! The socket file and who may use it.
//!
//! Three locks stand before the API: the directory's mode, the socket's mode (0660), and the kernel's word
//! on who called. The third is checked although the first two should suffice: modes are set once and
//! forgotten, and a namespace that cannot map a user (uid 65534) must not pass for anybody.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::api::Caller;

/// Linux keeps a socket's path in 108 bytes, the last of them a zero.
const PATH_MAX: usize = 107;

/// The user that stands for everyone the namespace does not know.
const NOBODY: u32 = 65_534;

/// Why the socket could not be opened. Each case is a set-up fault that a person must repair.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("the control socket's directory `{}` does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("the control socket's directory `{}` can be written by everyone", .0.display())]
    OpenDirectory(PathBuf),
    #[error("the control socket's path `{}` is longer than {PATH_MAX} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("the control socket `{}` is a symbolic link", .0.display())]
    Symlink(PathBuf),
    #[error("`{}` is in the way of the control socket and is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("the control socket `{}` belongs to another user (uid {uid})", path.display())]
    NotOurs { path: PathBuf, uid: u32 },
    #[error("another daemon answers on the control socket `{}`", .0.display())]
    InUse(PathBuf),
    #[error("cannot open the control socket `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl BindError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoDirectory(dir) => {
                format!("create it: install -d -m 0750 {}", dir.display())
            }
            Self::OpenDirectory(dir) => format!("close it: chmod o-w {}", dir.display()),
            Self::TooLong(_) => "choose a shorter `server.control_socket` in the configuration".into(),
            Self::Symlink(_) => "name the real path in `server.control_socket`, or remove the link".into(),
            Self::NotASocket(_) => "move the file away, or choose another `server.control_socket`".into(),
            Self::NotOurs { .. } => "run the daemon as that user, or remove the socket as root".into(),
            Self::InUse(_) => "stop the other daemon first: systemctl stop sendoff".into(),
            Self::Io { .. } => "check that the daemon's user may write in the directory".into(),
        }
    }
}

/// Opens the control socket with mode 0660.
///
/// A socket that nobody answers on is removed first, if it is ours. The new one is made under another name
/// and linked into place, so that it is never reachable with a wider mode, and a daemon that was quicker
/// keeps its own. (Two daemons on one data directory are told apart earlier, by its lock.)
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |source| BindError::Io { path: path.into(), source };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mode = match std::fs::metadata(dir) {
        Ok(it) if it.is_dir() => it.permissions().mode(),
        Ok(_) => return Err(BindError::NoDirectory(dir.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BindError::NoDirectory(dir.into()));
        }
        Err(error) => return Err(failed(error)),
    };
    if mode & 0o002 != 0 {
        return Err(BindError::OpenDirectory(dir.into()));
    }
    clear_stale(path)?;

    let fresh = with_suffix(path, &format!(".{}", std::process::id()));
    if path.as_os_str().len() > PATH_MAX || fresh.as_os_str().len() > PATH_MAX {
        return Err(BindError::TooLong(path.into()));
    }
    let _ = std::fs::remove_file(&fresh); // Left by an earlier process with our id.
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    let placed = std::fs::set_permissions(&fresh, PermissionsExt::from_mode(0o660))
        .and_then(|()| std::fs::hard_link(&fresh, path));
    let _ = std::fs::remove_file(&fresh);
    match placed {
        Ok(()) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BindError::InUse(path.into())),
        Err(error) => Err(failed(error)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes what an earlier daemon of ours left behind, and nothing else.
fn clear_stale(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.into(), source };
    let there = match std::fs::symlink_metadata(path) {
        Ok(it) => it,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if there.file_type().is_symlink() {
        return Err(BindError::Symlink(path.into()));
    }
    if !there.file_type().is_socket() {
        return Err(BindError::NotASocket(path.into()));
    }
    if there.uid() != rustix::process::geteuid().as_raw() {
        return Err(BindError::NotOurs { path: path.into(), uid: there.uid() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Who may use the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The daemon's own user. Root is allowed besides.
    pub uid: u32,
    /// Members of these groups.
    pub gids: Vec<u32>,
}

impl Allowed {
    /// The daemon's user, root, and the members of the group that owns the socket.
    pub fn for_socket(path: &Path) -> io::Result<Self> {
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            gids: vec![std::fs::symlink_metadata(path)?.gid()],
        })
    }

    /// Whether this caller may ask for anything. `groups_of` gives a caller's further groups.
    pub fn admits(&self, by: Caller, groups_of: impl Fn(Caller) -> Vec<u32>) -> bool {
        if by.uid == NOBODY {
            return false;
        }
        by.uid == self.uid
            || by.uid == 0
            || self.gids.contains(&by.gid)
            || groups_of(by).iter().any(|gid| self.gids.contains(gid))
    }
}

/// The further groups of a process, from `/proc`; none if it has gone or is not the caller any more.
///
/// `SO_PEERGROUPS` would say it without the detour, but takes unsafe code to ask.
pub(crate) fn groups_of(by: Caller) -> Vec<u32> {
    let Some(pid) = by.pid else { return Vec::new() };
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return Vec::new() };
    let numbers = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|it| it.strip_prefix(key));
        line.map(|it| it.split_whitespace().filter_map(|n| n.parse().ok()).collect()).unwrap_or_default()
    };
    if numbers("Uid:").contains(&by.uid) { numbers("Groups:") } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32) -> Caller {
        Caller { uid, gid, pid: None }
    }

    #[test]
    fn only_the_daemons_user_root_and_the_group_are_admitted() {
        let allowed = Allowed { uid: 990, gids: vec![985] };
        let further = |_: Caller| vec![4, 24];
        assert!(allowed.admits(caller(990, 1), further));
        assert!(allowed.admits(caller(0, 0), further));
        assert!(allowed.admits(caller(1000, 985), further));
        assert!(!allowed.admits(caller(1000, 1000), further));
        assert!(allowed.admits(caller(1000, 1000), |_| vec![27, 985]));
    }

    #[test]
    fn the_user_that_stands_for_unknown_ones_is_refused_even_as_a_member() {
        let allowed = Allowed { uid: NOBODY, gids: vec![NOBODY] };
        assert!(!allowed.admits(caller(NOBODY, NOBODY), |_| vec![NOBODY]));
    }

    #[test]
    fn our_own_groups_are_found_and_a_strangers_are_not_taken_for_ours() {
        let pid = i32::try_from(std::process::id()).ok();
        let uid = rustix::process::getuid().as_raw();
        let ours: Vec<u32> =
            rustix::process::getgroups().unwrap().into_iter().map(rustix::process::Gid::as_raw).collect();
        let mut found = groups_of(Caller { uid, gid: 0, pid });
        found.retain(|it| ours.contains(it));
        assert_eq!(found.len(), ours.len());
        assert_eq!(groups_of(Caller { uid: uid + 1, gid: 0, pid }), Vec::<u32>::new());
    }
}
