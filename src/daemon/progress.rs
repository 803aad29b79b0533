//! How far uploads are: for `post show`, and as lines for those who follow the log.
//!
//! Such a line is told, not kept: it is of no use when the upload is over. It bears the number of the
//! last line that is kept, so a reader that goes on behind it misses nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::control::messages as m;
use crate::domain::delivery::Delivery;
use crate::domain::fit::size;
use crate::domain::ids::DeliveryId;

/// Of one upload no more is told than a line in this time, and its end.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// The event of such a line. No move of a delivery.
const EVENT: &str = "delivery.uploading";
/// Lines a reader may be behind; one that is slower misses some.
const BEHIND: usize = 64;

/// The uploads under way.
#[derive(Clone)]
pub(super) struct Progress(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    uploads: Mutex<Uploads>,
    lines: broadcast::Sender<m::LogEvent>,
}

#[derive(Default)]
struct Uploads {
    /// Bytes that have left, and bytes in all.
    now: HashMap<DeliveryId, (u64, u64)>,
    /// When something was told last, over the pieces in which a file goes up.
    told: HashMap<DeliveryId, Timestamp>,
}

/// Whose upload it is.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    id: DeliveryId,
    post: String,
    account: String,
    /// From 1.
    step: u32,
}

impl Whose {
    pub(super) fn of(it: &Delivery) -> Self {
        Self {
            id: it.id,
            post: it.post.to_string(),
            account: it.name.to_string(),
            step: u32::from(it.step) + 1,
        }
    }
}

/// One upload under way; forgotten when this is dropped.
pub(super) struct Watch {
    all: Progress,
    whose: Whose,
}

impl Progress {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock, uploads: Mutex::default(), lines: broadcast::Sender::new(BEHIND) }))
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A body is about to leave: so much of the file went before, and so much there is in all.
    pub(super) fn begin(&self, whose: Whose, standing: (u64, u64)) -> Watch {
        let now = self.0.clock.now();
        let mut uploads = self.uploads();
        uploads.now.insert(whose.id, standing);
        // The pieces of one file follow each other closely; what is older than a pause binds nobody.
        uploads.told.retain(|_, at| is_recent(*at, now));
        uploads.told.entry(whose.id).or_insert(now);
        drop(uploads);
        Watch { all: self.clone(), whose }
    }

    /// What `post show` says of a delivery.
    pub(super) fn of(&self, it: &Delivery) -> Option<m::Progress> {
        let standing = *self.uploads().now.get(&it.id)?;
        Some(shown(&Whose::of(it), standing))
    }

    /// The lines from now on.
    pub(super) fn lines(&self) -> broadcast::Receiver<m::LogEvent> {
        self.0.lines.subscribe()
    }
}

impl Watch {
    /// So many more bytes have left.
    pub(super) fn add(&self, bytes: u64) {
        let now = self.all.0.clock.now();
        let mut uploads = self.all.uploads();
        let Uploads { now: under_way, told } = &mut *uploads;
        let Some((done, total)) = under_way.get_mut(&self.whose.id) else { return };
        let was_through = *done >= *total;
        *done = done.saturating_add(bytes);
        let ends = !was_through && *done >= *total;
        let standing = (*done, *total);
        let at = told.entry(self.whose.id).or_insert(now);
        // The form around a file goes on behind its end, and is not told.
        if was_through || !ends && is_recent(*at, now) {
            return;
        }
        *at = now;
        drop(uploads);
        // Nobody listens: then there is nobody to tell.
        drop(self.all.0.lines.send(line(&self.whose, standing, now)));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.all.uploads().now.remove(&self.whose.id);
    }
}

/// Within the pause; an instant that lies ahead, because the clock was put back, is none.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    (SignedDuration::ZERO..PAUSE).contains(&now.duration_since(at))
}

fn shown(whose: &Whose, (done, total_bytes): (u64, u64)) -> m::Progress {
    // The form around a file is sent as well, and is not the file.
    let done_bytes = done.min(total_bytes);
    m::Progress { done_bytes, total_bytes, phase: "uploading".into(), step: whose.step }
}

fn line(whose: &Whose, standing: (u64, u64), now: Timestamp) -> m::LogEvent {
    let progress = shown(whose, standing);
    let percent = u128::from(progress.done_bytes) * 100 / u128::from(progress.total_bytes.max(1));
    m::LogEvent {
        at: now,
        level: "info".into(),
        event: EVENT.to_owned(),
        message: format!("{}: {percent} % of {} uploaded", whose.account, size(progress.total_bytes)),
        post: Some(whose.post.clone()),
        delivery: Some(whose.id.to_string()),
        account: Some(whose.account.clone()),
        seq: 0,
        progress: Some(progress),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::delivery::{Step, StepKind};
    use crate::domain::ids::{AccountId, AccountName, PlatformName, PostId};
    use crate::domain::schedule::{Late, placed};

    /// A clock that stands still until it is told, in milliseconds.
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    fn stage() -> (Arc<Hand>, Progress, Delivery) {
        let hand = Arc::new(Hand(AtomicI64::new(1_900_000_000_000)));
        let all = Progress::new(Arc::clone(&hand) as Arc<dyn Clock>);
        let name = AccountName::new(PlatformName::X, "acme").unwrap();
        let now = hand.now();
        let due = placed(now, &TimeZone::UTC, "UTC");
        let steps = vec![Step::new(StepKind::Post)];
        let (id, post, account) = (DeliveryId::from_u128(1), PostId::from_u128(2), AccountId::from_u128(3));
        (hand, all, Delivery::new(id, post, account, name, due, Late::Always, steps, now))
    }

    fn told(lines: &mut broadcast::Receiver<m::LogEvent>) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| lines.try_recv().ok())
            .map(|it| it.progress.unwrap())
            .map(|it| (it.done_bytes, it.total_bytes))
            .collect()
    }

    #[test]
    fn an_upload_is_shown_while_it_lasts_the_file_alone_and_forgotten_after() {
        let (_, all, delivery) = stage();
        assert_eq!(all.of(&delivery), None);
        // The second of two pieces, with a form of 50 bytes around it.
        let watch = all.begin(Whose::of(&delivery), (400, 1000));
        watch.add(250);
        let shown = all.of(&delivery).unwrap();
        assert_eq!((shown.done_bytes, shown.total_bytes, shown.step), (650, 1000, 1));
        watch.add(400);
        assert_eq!(all.of(&delivery).unwrap().done_bytes, 1000);
        drop(watch);
        assert_eq!(all.of(&delivery), None);
    }

    #[test]
    fn of_a_long_upload_a_line_a_second_is_told_over_all_its_pieces_and_its_end_once() {
        let (hand, all, delivery) = stage();
        let mut lines = all.lines();
        // 40 pieces of 100 ms and 10 chunks each, a form around every one.
        for piece in 0..40 {
            let watch = all.begin(Whose::of(&delivery), (piece * 1000, 40_000));
            for _ in 0..10 {
                hand.0.fetch_add(10, Ordering::SeqCst);
                watch.add(100);
            }
            watch.add(50);
        }
        let told = told(&mut lines);
        assert_eq!(told.last(), Some(&(40_000, 40_000)));
        assert_eq!(told.iter().filter(|it| it.0 == 40_000).count(), 1, "{told:?}");
        assert!((4..=5).contains(&told.len()), "{told:?}");
    }

    #[test]
    fn a_small_file_is_told_by_its_end_alone_and_a_clock_put_back_silences_nobody() {
        let (hand, all, delivery) = stage();
        let mut lines = all.lines();
        all.begin(Whose::of(&delivery), (0, 700)).add(700);
        let line = lines.try_recv().unwrap();
        assert_eq!((line.event.as_str(), line.level.as_str()), ("delivery.uploading", "info"));
        assert_eq!(line.message, "x:acme: 100 % of 700 bytes uploaded");
        assert_eq!((line.delivery, line.account), (Some(delivery.id.to_string()), Some("x:acme".into())));
        let watch = all.begin(Whose::of(&delivery), (0, 1000));
        hand.0.fetch_sub(3_600_000, Ordering::SeqCst);
        watch.add(10);
        assert_eq!(told(&mut lines), [(10, 1000)]);
    }
}
