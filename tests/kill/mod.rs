//! What the programs that kill the daemon share.

#[path = "../../src/rooms/film.rs"]
mod film;
pub(crate) mod oracle;
pub(crate) mod stream;

/// A number of the environment, or `usual`.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .map_or(usual, |it| it.parse().unwrap_or_else(|_| panic!("`{name}={it}` is not a number")))
}

/// Whether the long form of the run was asked for.
pub(crate) fn long() -> bool {
    std::env::var_os("KILL_LONG").is_some_and(|it| it == "1")
}
