//! When something is due: the wall time the user meant and the instant it stands for.

use jiff::{SignedDuration, Timestamp, civil};

/// A due time. The instant decides; the civil time and zone say what the user meant, so that a
/// change of time-zone data can be noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub instant: Timestamp,
    pub civil: civil::DateTime,
    pub zone: String,
    pub choice: Choice,
}

/// How the instant was chosen from the civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Unique,
    FirstOfFold,
    SecondOfFold,
    MovedByGap,
    Instant,
}

/// How late is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    Within(SignedDuration),
    Always,
    Exact,
}
