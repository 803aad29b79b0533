//! What a rehearsal may change about a daemon: the time it gives a network, and the places where it
//! may die. Service always runs with [`Rehearsal::default`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

/// Called with the name of a crash point that was reached; the daemon goes on when its future ends.
/// One that never ends lets a test kill the daemon at exactly this place.
pub type Watch = Arc<dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync>;

/// Times and crash points: `refresh` (its intent is durable, nothing was sent), `begun` (an erasure
/// is), `request heard` and `request not closed` (of a person who asks that everything of theirs goes), `stop committed` (of a pause or a resume), and for each step of a disconnect its word, and `… not noted` where its effect comes first.
#[derive(Clone)]
pub struct Rehearsal {
    /// The network gets this long to revoke.
    pub revoke: Duration,
    /// A call on the wire gets this long before its delivery is closed unverified.
    pub running_call: Duration,
    /// Who is told of crash points; nobody in service.
    pub watch: Option<Watch>,
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self { revoke: Duration::from_secs(10), running_call: Duration::from_mins(1), watch: None }
    }
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal")
            .field("revoke", &self.revoke)
            .field("running_call", &self.running_call)
            .finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// A place where a crash must cost nothing.
    pub(super) async fn point(&self, name: &str) {
        if let Some(watch) = &self.watch {
            watch(name).await;
        }
    }
}
