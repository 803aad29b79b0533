//! What `doctor` found.

use crate::control::shape::{message, words};

words! {
    /// How one thing that was looked at stands.
    FindingResult {
        /// As it should be.
        Ok = "ok",
        /// Works, and may surprise.
        Warning = "warning",
        /// Will fail.
        Fault = "fault",
        /// Cannot be seen from here: the hint says where to look.
        Unknown = "unknown",
    }
}

message! {
    /// One thing that was looked at.
    answer Finding {
        /// `host`, a network's name, or an account's.
        about: String,
        /// What was looked at: `clock`, `key`, `disk`, `public_url`, `legal`, `verification`, `app`,
        /// `redirect`, `reach`, `version`, `callbacks`, `mode`, `connection`, `scopes`, `held_back`.
        check: String,
        result: FindingResult,
        message: String,
        /// What mends it, and where in the network's console.
        hint: Option<String>,
    }
}

message! {
    /// Everything that can be found out before the first post.
    answer Diagnosis {
        /// Nothing is at fault.
        ok: bool,
        findings: Vec<Finding>,
    }
}
