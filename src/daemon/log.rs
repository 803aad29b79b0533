//! The log as a stream: what is kept, then what happens, without a gap and without a repeat.
//!
//! A reader is a number: the line it got last. It reads pages of the store from there and waits for
//! the next commit, so a slow one costs a page of memory and misses nothing, and one that comes back
//! after a restart goes on where it was.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{broadcast, watch};

use super::shared::Shared;
use super::{errors, view};
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::control::requests as r;
use crate::store::journal;

/// Lines read at once.
const PAGE: usize = 64;

struct Reader {
    shared: Arc<Shared>,
    commits: watch::Receiver<u64>,
    /// How far uploads are; only for those who stay.
    uploads: broadcast::Receiver<m::LogEvent>,
    /// The line read last.
    at: u64,
    /// Where it ends; none for those who stay.
    until: Option<u64>,
    ready: VecDeque<m::LogEvent>,
}

pub(super) fn events(shared: &Arc<Shared>, ask: &r::Events) -> ApiResult<BoxStream<'static, m::LogEvent>> {
    let commits = shared.store.commits();
    let backlog = usize::try_from(ask.backlog.unwrap_or(0)).unwrap_or(usize::MAX);
    let (oldest, newest, behind) = shared
        .store
        .read(|rx| Ok((journal::oldest(rx)?, journal::newest(rx)?, journal::behind(rx, backlog)?)))
        .map_err(errors::store)?;
    let (at, gap) = match ask.after {
        Some(after) if after > newest => {
            (newest, Some("the log ends before the line you had: the data directory is an older one"))
        }
        Some(after) if oldest > after.saturating_add(1) => {
            (after, Some("lines between the one you had and this one are no longer kept"))
        }
        Some(after) => (after, None),
        None => (behind, None),
    };
    let gap = gap.map(|text| {
        let seq = at.max(oldest.saturating_sub(1)).min(newest);
        view::beside(seq, view::happening(shared.now(), "warn", "log.gap", text))
    });
    let reader = Reader {
        shared: Arc::clone(shared),
        commits,
        uploads: shared.progress.lines(),
        at,
        until: (!ask.follow).then_some(newest),
        ready: gap.into_iter().collect(),
    };
    Ok(stream::unfold(reader, Reader::next).boxed())
}

impl Reader {
    async fn next(mut self) -> Option<(m::LogEvent, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((line, self));
            }
            if self.until.is_some_and(|end| self.at >= end) {
                return None;
            }
            // Before reading: a commit that comes meanwhile counts as new.
            self.commits.mark_unchanged();
            let page = match self.shared.store.read(|rx| journal::after(rx, self.at, PAGE)) {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read");
                    return None;
                }
            };
            self.at = page.last;
            let until = self.until.unwrap_or(u64::MAX);
            let lines = page.entries.iter().filter(|(seq, _)| *seq <= until);
            self.ready.extend(lines.map(|(seq, entry)| view::log_line(*seq, entry)));
            if self.ready.is_empty() && !page.more {
                if self.until.is_some() {
                    return None;
                }
                tokio::select! {
                    biased;
                    changed = self.commits.changed() => changed.ok()?,
                    told = self.uploads.recv() => match told {
                        Ok(line) => return Some((m::LogEvent { seq: self.at, ..line }, self)),
                        // A second later there is another one.
                        Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return None,
                    },
                }
            }
        }
    }
}
