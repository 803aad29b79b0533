//! Noticing that the store was rolled back: a number in the store, and its largest value so far in
//! a file beside it.
//!
//! Both rise together while the daemon runs, the store first: a crash in between leaves the store
//! ahead, which means nothing. A store behind its sidecar was brought back from a copy. Whoever
//! brings back the whole directory, sidecar included, cannot be noticed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The sidecar's file in the data directory.
pub const FILE: &str = "generation";

/// What the sidecar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sidecar {
    /// There is none.
    Missing,
    /// It is there and holds no number.
    Unreadable,
    /// The largest generation any store of this directory has had.
    Holds(u64),
}

/// Reads the sidecar of a data directory.
pub fn read(dir: &Path) -> io::Result<Sidecar> {
    let file = match File::open(dir.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sidecar::Missing),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(64).read_to_end(&mut text)?;
    let number = std::str::from_utf8(&text).ok().and_then(|it| it.trim().parse().ok());
    Ok(number.map_or(Sidecar::Unreadable, Sidecar::Holds))
}

/// Writes the sidecar: whole or not at all. Call it after the store holds at least `generation`.
pub fn write(dir: &Path, generation: u64) -> io::Result<()> {
    let (temporary, path) = (dir.join("generation.tmp"), dir.join(FILE));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{generation}")?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    // The name is durable only when the directory is.
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_reads_back_and_nonsense_is_not_a_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Sidecar::Missing);
        for n in [1, 2, u64::MAX] {
            write(dir.path(), n).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Sidecar::Holds(n));
        }
        for text in ["", "x", "-1", "1 2", &"9".repeat(30)] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Sidecar::Unreadable, "{text}");
        }
    }
}
