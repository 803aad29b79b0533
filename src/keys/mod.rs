//! Master key, account data keys, sealing. Destroying a key is deletion.
//!
//! ```text
//! master key          a file of our own user, or a systemd credential; never the environment
//!  ├ HKDF label       one derived key per purpose: media links, jitter, receipts …
//!  └ key encryption   wraps
//!     └ data key      one per account, in the `keyring` file
//!        └ seals      the account's token fields, which lie in the store
//! ```
//!
//! The keyring is a file of its own because rows deleted from the store stay readable in its free
//! pages for a long time. A sealed token whose key has left the keyring is noise, wherever copies
//! of it lie.

pub mod derive;
pub mod error;
pub mod keyring;
pub mod master;
mod ringfile;
mod seal;
mod secret;

/// Switches core dumps and debugger access off for this process.
///
/// Called first thing by the daemon: a core file would hold the master key. An error means the
/// system refused; the daemon can go on, and should say so.
///
/// ```
/// sendoff::keys::harden().unwrap();
/// let limits = std::fs::read_to_string("/proc/thread-self/limits").unwrap();
/// let core = limits.lines().find(|it| it.starts_with("Max core file size")).unwrap();
/// assert_eq!(core.split_whitespace().nth(4), Some("0"));
/// ```
pub fn harden() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
