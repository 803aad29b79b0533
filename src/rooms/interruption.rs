//! What ends a program that a person runs: Ctrl-C, `kill`, and the end of its terminal.
//!
//! The end of an SSH session is the ordinary interruption of something that is looked at over SSH, and
//! unless it is listened for, it kills on the spot and nothing is cleared away.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of SIGHUP.
const HANGUP: u32 = 1;

/// The signals that ask for an end.
pub(super) struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    /// None under `nohup`: whoever asked not to be ended by a hang-up is not.
    hangup: Option<Signal>,
}

impl Interruption {
    /// Listens from now on.
    pub(super) fn new() -> io::Result<Self> {
        let ignored = std::fs::read_to_string("/proc/self/status").is_ok_and(|it| ignores_hangup(&it));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Resolves when one of them has come.
    pub(super) async fn comes(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(it) => drop(it.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}

/// Whether the process was begun with SIGHUP ignored, by its `/proc/PID/status` (proc(5), `SigIgn`).
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).is_some_and(|it| it >> (HANGUP - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hangup("Name:\tsendoff\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tsendoff\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
