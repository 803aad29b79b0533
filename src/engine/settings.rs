//! What of the engine's ways the operator may set.

use std::collections::{BTreeMap, HashSet};

use jiff::SignedDuration;

use crate::domain::ids::PlatformName;

/// The waiting times a rehearsal may shorten (`[engine]` in the config).
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long after an ambiguous answer absence may first be believed.
    pub settle: SignedDuration,
    /// Least time between the two negative reads that prove absence.
    pub absence_gap: SignedDuration,
    /// Class B: how long after an ambiguous answer the same key is used again.
    pub key_wait: SignedDuration,
    /// Least time between two publishing calls of one account.
    pub lane_spacing: SignedDuration,
    /// The same, for posts that are sent late after a downtime.
    pub catch_up_spacing: SignedDuration,
    /// Unsettled this long: the user is asked.
    pub hold_after: SignedDuration,
    /// Tried this long after its instant: it is given up.
    pub give_up_after: SignedDuration,
    /// Multiplies every polling and reconcile interval.
    pub poll_scale: f64,
    /// Multiplies every retry delay, never a network's own reset time.
    pub backoff_scale: f64,
    /// Networks of class F that may resend on absence.
    pub resend_when_absent: HashSet<PlatformName>,
    /// Limits of publishing calls that the operator set.
    pub limits: BTreeMap<PlatformName, Vec<Limit>>,
}

/// At most so many publishing calls within any such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Counted over all accounts of the app, as opposed to each account alone.
    pub app: bool,
    pub calls: u32,
    pub window: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: SignedDuration::from_mins(15),
            absence_gap: SignedDuration::from_secs(90),
            key_wait: SignedDuration::from_secs(60),
            lane_spacing: SignedDuration::from_secs(5),
            catch_up_spacing: SignedDuration::from_secs(60),
            hold_after: SignedDuration::from_hours(24),
            give_up_after: SignedDuration::from_hours(24),
            poll_scale: 1.0,
            backoff_scale: 1.0,
            resend_when_absent: HashSet::new(),
            limits: BTreeMap::new(),
        }
    }
}
