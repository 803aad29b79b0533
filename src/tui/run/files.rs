//! Files of the machine on which the console runs, to choose one from.

use std::fs;
use std::path::{Path, PathBuf};

use super::asking::at_home;
use crate::http::terminal;
use crate::tui::effect::Entry;

/// Ends of names that a network may take; the bytes decide later, in the daemon.
const ENDS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "mp4", "mov", "m4v", "pdf"];
/// Entries that are shown of one directory.
const MOST: usize = 2_000;

/// What lies in a directory: directories first, then files that may be posted, each by name. Hidden ones
/// are left out.
///
/// # Errors
/// In words for the user.
pub(super) fn browse(folder: &Path) -> Result<(PathBuf, Vec<Entry>), String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let folder = fs::canonicalize(at_home(folder)).map_err(told)?;
    let mut found: Vec<Entry> =
        fs::read_dir(&folder).map_err(told)?.flatten().filter_map(|it| entry(&it)).collect();
    let name = |it: &Entry| it.name.to_lowercase();
    found.sort_by_key(|it| (it.bytes.is_some(), name(it)));
    found.truncate(MOST);
    Ok((folder, found))
}

fn entry(it: &fs::DirEntry) -> Option<Entry> {
    let path = it.path();
    let name = it.file_name().to_string_lossy().into_owned();
    // Where a link leads counts.
    let about = fs::metadata(&path).ok()?;
    let end = path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fits = about.is_dir() || about.is_file() && ENDS.contains(&end.as_str());
    let bytes = about.is_file().then_some(about.len());
    (fits && !name.starts_with('.')).then(|| Entry { name: terminal::clean_line(&name), path, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_what_may_be_posted_are_shown_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.JPG", "a.png", "notes.txt", ".hidden.png", "evil\u{1b}[2J.gif"] {
            fs::write(dir.path().join(name), b"12").unwrap();
        }
        fs::create_dir(dir.path().join("Zoo")).unwrap();
        let (folder, found) = browse(dir.path()).unwrap();
        assert_eq!(folder, fs::canonicalize(dir.path()).unwrap());
        let shown: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.bytes)).collect();
        assert_eq!(shown, [("Zoo", None), ("a.png", Some(2)), ("b.JPG", Some(2)), ("evil.gif", Some(2))]);
        let missing = browse(&dir.path().join("missing")).unwrap_err();
        assert!(missing.contains("missing"), "{missing}");
    }
}
