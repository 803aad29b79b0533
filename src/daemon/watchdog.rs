//! Tells the service manager that the daemon is alive: only after the loop has ticked and the store
//! has taken a write, both since the last time. A process that merely exists is not alive.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::rollback;
use super::shared::Shared;
use crate::store::Store;

/// Runs until dropped. Without `WATCHDOG_USEC` (a unit without `WatchdogSec=`) there is nobody to tell.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let dir = shared.config().data_dir.clone();
    let mut asked = shared.now();
    loop {
        shared.nudge();
        tokio::time::sleep(limit / 3).await;
        let now = shared.now();
        let patience = tokio::time::sleep(limit / 3);
        let ticked = || shared.last_tick();
        round(&shared.store, &dir, ticked, asked, patience, || {
            sd_notify::notify(&[sd_notify::NotifyState::Watchdog])
        })
        .await;
        asked = now;
    }
}

/// One round: `tell` is called if the loop has ticked since it was `asked`, and the store takes a write
/// before the `patience` is over.
async fn round(
    store: &Store,
    dir: &Path,
    ticked: impl Fn() -> Option<Timestamp>,
    asked: Timestamp,
    patience: impl Future<Output = ()>,
    tell: impl FnOnce() -> io::Result<()>,
) {
    let wrote = tokio::select! {
        // The generation, not the latest time: a clock in doubt must not become one we are sure of.
        done = rollback::raise(store, dir) => done.is_ok(),
        () = patience => false,
    };
    let ticked = ticked();
    if !alive(ticked, asked, wrote) {
        tracing::error!(wrote, ?ticked, "the loop stands still or the store takes no writes; saying nothing");
    } else if let Err(error) = tell() {
        tracing::warn!(%error, "the service manager could not be told that we are alive");
    }
}

/// Ticked since it was asked to, and the write went through.
fn alive(ticked: Option<Timestamp>, asked: Timestamp, wrote: bool) -> bool {
    wrote && ticked.is_some_and(|at| at >= asked || asked.duration_since(at) < SLACK)
}

/// A tick may look this much older than the question: the loop reads the clock before it is asked and
/// notes what it read afterwards, and a clock may be slewed back meanwhile. A clock that was put back
/// further costs one ping, of which the unit lets two go by.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::mpsc;

    use super::*;
    use crate::store::Options;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_still_loop_or_a_refused_write_is_not_alive() {
        assert!(alive(Some(at(10)), at(5), true));
        assert!(alive(Some(at(5) - SignedDuration::from_millis(999)), at(5), true));
        assert!(!alive(Some(at(4)), at(5), true), "no tick since it was asked for");
        assert!(!alive(Some(at(10)), at(5), false), "the store takes nothing");
        assert!(!alive(None, at(5), true));
    }

    /// What `NOTIFY_SOCKET` names: the manager's end, and a sender to it.
    struct Manager {
        socket: UnixDatagram,
        path: std::path::PathBuf,
    }

    impl Manager {
        fn new(dir: &Path) -> Self {
            let path = dir.join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            Self { socket, path }
        }

        fn tell(&self) -> io::Result<()> {
            let sender = UnixDatagram::unbound()?;
            sender.send_to(b"WATCHDOG=1\n", &self.path).map(drop)
        }

        /// Pings since it was last asked.
        fn pings(&self) -> usize {
            let mut buffer = [0; 64];
            std::iter::from_fn(|| self.socket.recv(&mut buffer).ok()).count()
        }
    }

    #[tokio::test]
    async fn the_pings_stop_while_the_writer_or_the_loop_stands_still_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { ballast_bytes: 0, ..Options::default() };
        let store = Store::open(dir.path(), at(1_900_000_000), options).unwrap();
        let manager = Manager::new(dir.path());
        let go = async |ticked: i64, asked: i64, patient: bool| {
            let patience = async {
                if patient {
                    std::future::pending::<()>().await;
                }
            };
            let ticked = || Some(at(ticked));
            round(&store, dir.path(), ticked, at(asked), patience, || manager.tell()).await;
            manager.pings()
        };
        assert_eq!(go(10, 10, true).await, 1, "all is well");
        assert_eq!(go(30, 20, true).await, 1);

        // The writer stands in the middle of somebody's transaction.
        let (let_go, wait) = mpsc::channel::<()>();
        let (stands, entered) = tokio::sync::oneshot::channel();
        let mut stands = Some(stands);
        let stuck = store.write(move |_| {
            stands.take().into_iter().for_each(|it| it.send(()).unwrap());
            wait.recv().unwrap();
            Ok(())
        });
        entered.await.unwrap();
        assert_eq!(go(50, 40, false).await, 0, "the loop ticks, and no write goes through");
        assert_eq!(go(60, 50, false).await, 0);
        let_go.send(()).unwrap();
        stuck.await.unwrap();
        assert_eq!(go(70, 60, true).await, 1);

        // The loop stands: its last tick grows old.
        assert_eq!(go(70, 80, true).await, 0, "the store takes writes, and nothing ticks");
        assert_eq!(go(70, 90, true).await, 0);
        assert_eq!(go(95, 90, true).await, 1);
        store.close().await;
    }

    #[test]
    fn the_unit_file_arms_the_watchdog() {
        let unit = include_str!("../../systemd/sendoff.service");
        assert!(unit.contains("\nWatchdogSec=60\n"), "{unit}");
    }
}
