//! Room on the disk: nothing is sent whose outcome could not be written down.
//!
//! Two things must be there before a publishing call: free space, and the ballast
//! ([`crate::store::ballast`]), which lets outcomes be recorded if the space goes away during the
//! call. Without either the daemon holds: it serves, answers, lets people free space, and sends
//! nothing. When both are back, it goes on by itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::messages as m;
use crate::store::ballast::{self, Ballast};

/// How much room there must be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Free bytes below which nothing is sent.
    pub least: u64,
    /// Size of the ballast, in bytes.
    pub ballast: u64,
    /// Free bytes below which it is told, though everything still works (requirement 68).
    pub told: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { least: 64 << 20, ballast: ballast::SIZE, told: 256 << 20 }
    }
}

/// Watches the disk under the data directory.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    room: Room,
    ballast: Option<Ballast>,
    /// What the last look found.
    enough: AtomicBool,
    /// Why the ballast could not be made, the last time it was tried.
    trouble: Mutex<Option<String>>,
}

impl Disk {
    pub(super) fn new(dir: PathBuf, room: Room, ballast: Option<Ballast>) -> Self {
        Self { dir, room, ballast, enough: AtomicBool::new(true), trouble: Mutex::default() }
    }

    /// Whether an outcome can be recorded, as of now. One system call; asked before every decision.
    pub(super) fn look(&self) -> bool {
        let whole = self.ballast.as_ref().is_none_or(Ballast::is_whole);
        // A file system that does not say how full it is cannot hold everything up.
        let enough = whole && self.free().is_none_or(|free| free >= self.room.least);
        if self.enough.swap(enough, Ordering::Relaxed) != enough {
            if enough {
                tracing::info!("there is room on the disk again: sending goes on");
            } else {
                tracing::error!(
                    free_mib = self.free().map(|it| it >> 20),
                    ballast = whole,
                    "too little room in `data_dir` to record an outcome: nothing is sent until there is"
                );
            }
        }
        enough
    }

    /// Looks after the ballast: makes it when there is room for it besides what must stay free.
    /// Blocks on the disk.
    pub(super) fn tend(&self) {
        let Some(ballast) = &self.ballast else { return };
        if !ballast.look() && self.free().is_none_or(|free| free >= self.room.least + ballast.size()) {
            let made = ballast.make();
            match &made {
                Ok(()) => tracing::info!(bytes = ballast.size(), "the ballast is in place"),
                Err(error) => tracing::warn!(%error, "the ballast cannot be made"),
            }
            let trouble = made.err().map(|error| error.to_string());
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        }
    }

    /// Refuses what would fill the disk further.
    pub(super) fn admit(&self) -> ApiResult<()> {
        if self.look() {
            return Ok(());
        }
        let mib = self.room.least >> 20;
        let error = ApiError::new(
            ErrorKind::NotReady,
            "disk_full",
            "there is too little room on the disk to take in anything new",
        );
        Err(error
            .hint(format!("free at least {mib} MiB in `data_dir`; reading, cancelling and deleting work")))
    }

    /// What a person should know.
    pub(super) fn alert(&self) -> Option<m::Alert> {
        let free = self.free();
        if !self.look() {
            let mib = self.room.least >> 20;
            let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let message = match (free, trouble) {
                (Some(free), _) if free < self.room.least => {
                    format!("nothing is sent: {} MiB free in `data_dir`, {mib} are needed", free >> 20)
                }
                (_, Some(why)) => format!("nothing is sent: the ballast cannot be made: {why}"),
                _ => "nothing is sent: the ballast was used up and there is no room yet to make it again"
                    .into(),
            };
            let wanted = (self.room.least + self.room.ballast) >> 20;
            let hint = format!("free space until {wanted} MiB are free; sending goes on by itself");
            return Some(m::Alert { code: "disk_full".into(), message, hint: Some(hint) });
        }
        let free = free.filter(|free| *free < self.room.told)?;
        let hint = format!("below {} MiB nothing is sent; free some space", self.room.least >> 20);
        let message = format!("{} MiB free in `data_dir`", free >> 20);
        Some(m::Alert { code: "disk".into(), message, hint: Some(hint) })
    }

    pub(super) fn free(&self) -> Option<u64> {
        ballast::free_bytes(&self.dir)
    }
}
