//! Tells the service manager that the daemon is alive: only after the loop has ticked and the store
//! has taken a write, both since the last time. A process that merely exists is not alive.

use std::sync::Arc;

use jiff::Timestamp;

use super::shared::Shared;
use crate::store::meta;

/// Runs until dropped. Without `WATCHDOG_USEC` (a unit without `WatchdogSec=`) there is nobody to tell.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut asked = shared.now();
    loop {
        shared.nudge();
        tokio::time::sleep(limit / 3).await;
        let now = shared.now();
        let wrote = shared.store.write(move |tx| meta::raise_high_water(tx, now)).await.is_ok();
        if alive(shared.last_tick(), asked, wrote) {
            if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
                tracing::warn!(%error, "the service manager could not be told that we are alive");
            }
        } else {
            tracing::error!(wrote, "the loop stands still or the store takes no writes; saying nothing");
        }
        asked = now;
    }
}

/// Ticked since it was asked to, and the write went through. A clock that was set back makes a
/// tick look old, so one of the last minute counts too.
fn alive(ticked: Option<Timestamp>, asked: Timestamp, wrote: bool) -> bool {
    wrote && ticked.is_some_and(|at| at >= asked || asked.duration_since(at) < SLACK)
}

/// How old a tick may look to a clock that was read in another order.
const SLACK: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_loop_or_a_refused_write_is_not_alive() {
        let at = |s| Timestamp::from_second(s).unwrap();
        assert!(alive(Some(at(10)), at(5), true));
        assert!(!alive(Some(at(3)), at(5), true), "no tick since it was asked for");
        assert!(!alive(Some(at(10)), at(5), false), "the store takes nothing");
        assert!(!alive(None, at(5), true));
    }

    #[test]
    fn the_unit_file_arms_the_watchdog() {
        let unit = include_str!("../../systemd/sendoff.service");
        assert!(unit.contains("\nWatchdogSec=60\n"), "{unit}");
    }
}
