//! The files in which pages wait that no daemon could keep.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::tui::remains::Remains;

/// `$XDG_STATE_HOME/sendoff`, or `~/.local/state/sendoff`; a relative one counts as none
/// (specifications.freedesktop.org/basedir-spec).
fn folder(env: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("sendoff"))
}

fn own_folder() -> Option<PathBuf> {
    folder(&|name| std::env::var_os(name))
}

/// Writes a page down.
pub(super) fn put(session: &str, remains: &Remains) -> Result<PathBuf> {
    let none = || Error::new(ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME names a directory");
    put_into(&own_folder().ok_or_else(none)?, session, remains)
}

/// Nobody else can read it, and it is whole or not there.
fn put_into(folder: &Path, session: &str, remains: &Remains) -> Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let bytes = serde_json::to_vec(remains).map_err(Error::other)?;
    let path = folder.join(format!("console-{session}.json"));
    let half = folder.join(format!("console-{session}.part"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&half, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}

/// The oldest page that waits for this daemon, and how many more do.
pub(super) fn find(socket: &str) -> Option<(PathBuf, Remains, usize)> {
    find_in(&own_folder()?, socket)
}

fn find_in(folder: &Path, socket: &str) -> Option<(PathBuf, Remains, usize)> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("console-") && path.extension().is_some_and(|it| it == "json")
    };
    // One that cannot be read stays where it is: it may be of a later version.
    let read = |path: PathBuf| {
        let since = fs::metadata(&path).and_then(|it| it.modified()).ok()?;
        let remains: Remains = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        (remains.socket == socket).then_some((since, path, remains))
    };
    let paths = fs::read_dir(folder).ok()?.flatten().map(|it| it.path()).filter(is_ours);
    let mut all: Vec<_> = paths.filter_map(read).collect();
    all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let more = all.len().checked_sub(1)?;
    let (_, path, remains) = all.swap_remove(0);
    Some((path, remains, more))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn page(socket: &str, text: &str) -> Remains {
        Remains {
            socket: socket.into(),
            key: "console-s-0".into(),
            id: None,
            version: 0,
            original: None,
            to: vec![],
            parts: vec![text.into()],
            voices: [].into(),
            comment: String::new(),
            media: vec![],
            uploads: vec![],
            options: [].into(),
            time: None,
            lost: None,
        }
    }

    #[test]
    fn a_page_waits_in_a_file_of_its_own_for_its_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/sendoff");
        assert_eq!(find_in(&state, "/a"), None);
        let first = put_into(&state, "1", &page("/a", "one")).unwrap();
        put_into(&state, "2", &page("/b", "two")).unwrap();
        fs::write(state.join("console-3.json"), b"{").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first), mode(&state)), (0o600, 0o700));
        assert_eq!(find_in(&state, "/a"), Some((first, page("/a", "one"), 0)));
        assert_eq!(find_in(&state, "/b").unwrap().1.parts, ["two"]);
        assert_eq!(find_in(&state, "/c"), None);
    }

    #[test]
    fn the_state_directory_is_where_the_user_has_it() {
        let of =
            |set: &[(&str, &str)]| folder(&|name| set.iter().find(|it| it.0 == name).map(|it| it.1.into()));
        let home = ("HOME", "/home/a");
        assert_eq!(of(&[home]), Some("/home/a/.local/state/sendoff".into()));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "/var/a")]), Some("/var/a/sendoff".into()));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "a")]), Some("/home/a/.local/state/sendoff".into()));
        assert_eq!(of(&[]), None);
    }
}
