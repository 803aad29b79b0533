//! One conversation per network: what to send, what the answer means.

pub mod bluesky;
pub mod x;
