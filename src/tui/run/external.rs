//! The text in the user's own editor.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Hands the text to `$VISUAL`, `$EDITOR` or `vi`, and takes it back.
///
/// # Errors
/// In words for the user; the text that was handed over is still on the screen then.
pub(super) fn edit(text: &str) -> Result<String, String> {
    let path = file(text).map_err(|error| format!("no file for the editor could be made: {error}"))?;
    let result = run(&path);
    drop(fs::remove_file(&path));
    result
}

fn run(path: &Path) -> Result<String, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // It may have arguments of its own, as `code --wait`.
    let ended = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$0\""))
        .arg(path)
        .status()
        .map_err(|error| format!("`{editor}` could not be started: {error}"))?;
    if !ended.success() {
        return Err(format!("`{editor}` ended with {ended}; the text is as it was"));
    }
    let bytes = fs::read(path).map_err(|error| format!("the editor's file cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "the editor's file is not UTF-8; the text is as it was".to_owned())
}

/// A file that nobody else can read.
fn file(text: &str) -> std::io::Result<PathBuf> {
    let mut tail = [0; 8];
    getrandom::fill(&mut tail).map_err(std::io::Error::other)?;
    let name = format!("sendoff-{:016x}.md", u64::from_le_bytes(tail));
    let path = std::env::temp_dir().join(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}
