//! What more than one test file needs.

#![allow(clippy::print_stdout)] // a skipped test says so

use std::path::PathBuf;

/// Path of a conformance file, for example `data/twitter-text-extract.json`, if it is there.
///
/// The data is third-party and not part of the repository. `SENDOFF_CONFORMANCE` names the folder;
/// the default is `../shared/platforms`, beside the checkout. Under `CI=true` a missing file is a
/// failure, so that the proof cannot vanish unseen; elsewhere the caller gets `None` and the reason
/// is printed.
pub(crate) fn conformance(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SENDOFF_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/platforms"), PathBuf::from);
    let path = root.join(file);
    if path.is_file() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "`{}` is missing: set SENDOFF_CONFORMANCE to the folder with the conformance data",
        path.display()
    );
    println!("SKIPPED: `{}` is not there (set SENDOFF_CONFORMANCE to its folder)", path.display());
    None
}
