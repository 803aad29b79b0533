//! One conversation per network: what to send, what the answer means.
