//! Counting: connections at once, requests a minute. Both per address, both bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// What counts as one address: an IPv6 customer has at least a whole /64 to ask from.
fn subject(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Open connections.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    total: usize,
    per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection; dropping it ends the count.
#[derive(Debug)]
pub(super) struct Permit {
    counted: Option<IpAddr>,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    pub(super) fn new(total: usize, per_address: usize) -> Self {
        Self { total, per_address, open: Arc::default() }
    }

    /// A place for a connection; none if there is no more. A proxy's connections are many people's
    /// and count towards the total only.
    pub(super) fn enter(&self, peer: IpAddr, is_proxy: bool) -> Option<Permit> {
        let mut open = lock(&self.open);
        if open.total >= self.total {
            return None;
        }
        let counted = (!is_proxy).then(|| subject(peer));
        if let Some(address) = counted {
            let own = open.by_address.entry(address).or_default();
            if *own >= self.per_address {
                return None;
            }
            *own += 1;
        }
        open.total += 1;
        Some(Permit { counted, open: Arc::clone(&self.open) })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.total -= 1;
        if let Some(address) = self.counted {
            match open.by_address.get_mut(&address) {
                Some(own) if *own > 1 => *own -= 1,
                _ => {
                    open.by_address.remove(&address);
                }
            }
        }
    }
}

/// A token bucket per address.
#[derive(Debug)]
pub(super) struct Rate {
    per_minute: u32,
    addresses: usize,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Requests left, in sixty-thousandths: each millisecond adds `per_minute` of them.
    left: u64,
    at: Timestamp,
}

/// The price of one request.
const ONE: u64 = 60_000;

impl Rate {
    pub(super) fn new(per_minute: u32, addresses: usize) -> Self {
        Self { per_minute, addresses: addresses.max(1), buckets: Mutex::default() }
    }

    /// Whether a request may pass now.
    pub(super) fn admit(&self, ip: IpAddr, now: Timestamp) -> bool {
        let full = u64::from(self.per_minute) * ONE;
        let address = subject(ip);
        let mut buckets = lock(&self.buckets);
        if !buckets.contains_key(&address) && buckets.len() >= self.addresses {
            self.make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: full, at: now });
        *bucket = self.refilled(*bucket, now);
        let passes = bucket.left >= ONE;
        if passes {
            bucket.left -= ONE;
        }
        passes
    }

    fn refilled(&self, bucket: Bucket, now: Timestamp) -> Bucket {
        // A clock set back adds nothing, and counting goes on from the new time.
        let millis = u64::try_from(now.duration_since(bucket.at).as_millis()).unwrap_or(0);
        let full = u64::from(self.per_minute) * ONE;
        let left = bucket.left.saturating_add(millis.saturating_mul(self.per_minute.into())).min(full);
        Bucket { left, at: now }
    }

    /// Forgets whom it need not remember, and if that is nobody, who has been silent the longest.
    fn make_room(&self, buckets: &mut HashMap<IpAddr, Bucket>, now: Timestamp) {
        let full = u64::from(self.per_minute) * ONE;
        buckets.retain(|_, it| self.refilled(*it, now).left < full);
        if buckets.len() >= self.addresses
            && let Some(oldest) = buckets.iter().min_by_key(|(_, it)| it.at).map(|(ip, _)| *ip)
        {
            buckets.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn noon() -> Timestamp {
        "2026-12-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn thirty_requests_a_minute_pass_and_refill_over_time() {
        let rate = Rate::new(30, 100);
        assert_eq!((0..100).filter(|_| rate.admit(ip(1), noon())).count(), 30);
        assert!(rate.admit(ip(2), noon()), "another address has its own count");
        assert!(!rate.admit(ip(1), noon() + 1999.milliseconds()));
        assert!(rate.admit(ip(1), noon() + 2.seconds()));
        assert!(!rate.admit(ip(1), noon() + 2.seconds()));
        let later = noon() + 10.hours();
        assert_eq!(
            (0..100).filter(|_| rate.admit(ip(1), later)).count(),
            30,
            "no more than a minute's worth"
        );
        assert!(!rate.admit(ip(1), noon()), "a clock set back gives nothing");
    }

    #[test]
    fn a_crowd_of_addresses_cannot_grow_the_table_or_free_an_offender() {
        let rate = Rate::new(2, 50);
        for n in 0..10_000_u32 {
            let now = noon() + i64::from(n).milliseconds();
            rate.admit(ip(n + 10), now);
            if n % 10 == 0 {
                // Keeps asking, so it is never the one that was silent longest.
                let passed = rate.admit(ip(1), now);
                assert_eq!(passed, n < 20, "{n}");
            }
            assert!(lock(&rate.buckets).len() <= 50);
        }
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let rate = Rate::new(1, 10);
        assert!(rate.admit("2001:db8:1:2::1".parse().unwrap(), noon()));
        assert!(!rate.admit("2001:db8:1:2:ffff::9".parse().unwrap(), noon()));
        assert!(rate.admit("2001:db8:1:3::1".parse().unwrap(), noon()));
        assert!(rate.admit("::ffff:1.2.3.4".parse().unwrap(), noon()));
        assert!(!rate.admit("1.2.3.4".parse().unwrap(), noon()));
    }

    #[test]
    fn connections_are_counted_per_address_and_in_all_and_given_back() {
        let all = Connections::new(5, 2);
        let one: Vec<_> = (0..3).filter_map(|_| all.enter(ip(1), false)).collect();
        assert_eq!(one.len(), 2);
        let proxied: Vec<_> = (0..9).filter_map(|_| all.enter(ip(9), true)).collect();
        assert_eq!(proxied.len(), 3);
        assert!(all.enter(ip(2), false).is_none());
        drop((one, proxied));
        let open = lock(&all.open);
        assert!(open.total == 0 && open.by_address.is_empty());
    }
}
