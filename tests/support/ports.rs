//! Ports for daemons that are started again and again on the same one.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that no outgoing connection is given: Linux takes those from 32768 on
/// (`net.ipv4.ip_local_port_range`), and one of them would be in the way of the next start.
const FROM: u32 = 10_000;
const MANY: u32 = 22_000;

/// A port that nobody else in this process gets, and on which nobody listens now.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test programs that run side by side begin elsewhere.
    let begin = std::process::id().wrapping_mul(997);
    (0..MANY)
        .map(|_| begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % MANY + FROM)
        .filter_map(|it| u16::try_from(it).ok())
        .find(|it| TcpListener::bind(("127.0.0.1", *it)).is_ok())
        .expect("a free port")
}
