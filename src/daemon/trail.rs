//! The audit trail: who asked for what, and how it ended.
//!
//! A row is written when the end is known, so that it never calls something done that was refused. A
//! connect has two: that it began, and what became of it, which may be minutes later.

use std::sync::Arc;

use super::shared::Shared;
use crate::control::api::{ApiError, ApiResult, Caller, ErrorKind};
use crate::control::messages as m;
use crate::http::terminal::clean_line;
use crate::store::audit::{AuditRow, append};

/// The longest subject that is kept, in characters: what a caller writes has no bounds of its own.
const SUBJECT_MAX: usize = 200;
/// The end of something whose caller went away before it was known.
const LEFT: &str = "left: the caller went away before its end";

/// Something a caller asked for. Its row is written when it ends, or when nobody waits for that any
/// more.
pub(super) struct Asked {
    shared: Arc<Shared>,
    by: Caller,
    action: &'static str,
    subject: String,
    over: bool,
}

impl Asked {
    pub(super) fn new(
        shared: &Arc<Shared>,
        by: Caller,
        action: &'static str,
        subject: impl Into<String>,
    ) -> Self {
        Self { shared: Arc::clone(shared), by, action, subject: subject.into(), over: false }
    }

    /// Notes how it ended, and hands the end on.
    pub(super) fn ended<T>(self, done: ApiResult<T>) -> ApiResult<T> {
        let outcome = done.as_ref().err().map_or_else(|| "ok".to_owned(), outcome);
        self.close(&outcome);
        done
    }

    /// [`Asked::ended`] for what made something, whose name is the better subject.
    pub(super) fn made<T>(mut self, done: ApiResult<T>, name: impl Fn(&T) -> String) -> ApiResult<T> {
        if let Ok(made) = &done {
            self.subject = name(made);
        }
        self.ended(done)
    }

    /// [`Asked::ended`] for what may end in part.
    pub(super) fn receipt(self, done: ApiResult<m::ReceiptAnswer>) -> ApiResult<m::ReceiptAnswer> {
        match &done {
            Ok(answer) if answer.receipt.items.iter().any(|it| it.result == m::Outcome::Failed) => {
                self.close("failed: some items");
                done
            }
            _ => self.ended(done),
        }
    }

    /// Notes that it began, with its end still to come; a refusal is an end.
    pub(super) fn begun<T>(self, begun: ApiResult<T>) -> ApiResult<T> {
        match &begun {
            Ok(_) => self.close("begun"),
            Err(error) => self.close(&outcome(error)),
        }
        begun
    }

    fn close(mut self, outcome: &str) {
        self.over = true;
        note(&self.shared, Some(self.by), self.action, &self.subject, outcome);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.over {
            note(&self.shared, Some(self.by), self.action, &self.subject, LEFT);
        }
    }
}

/// `refused: code` for what may not be, `failed: code` for what was tried.
fn outcome(error: &ApiError) -> String {
    let word = match error.kind {
        ErrorKind::Failed | ErrorKind::NotReady | ErrorKind::Internal => "failed",
        _ => "refused",
    };
    format!("{word}: {}", error.code)
}

/// How a connect ended that came to nothing.
pub(super) fn connect_outcome(code: &str) -> String {
    match code {
        "access_denied" => "denied".to_owned(),
        other => format!("failed: {other}"),
    }
}

/// Who did it, in the words of the audit trail.
pub(super) fn actor(by: Option<Caller>) -> String {
    match by {
        Some(Caller { uid, gid, pid: Some(pid) }) => format!("uid:{uid} gid:{gid} pid:{pid}"),
        Some(Caller { uid, gid, pid: None }) => format!("uid:{uid} gid:{gid}"),
        None => "daemon".to_owned(),
    }
}

/// Writes one row. Queued at once and not waited for: the deed itself has its own write.
pub(super) fn note(shared: &Arc<Shared>, by: Option<Caller>, action: &str, subject: &str, outcome: &str) {
    let subject: String = clean_line(subject).chars().take(SUBJECT_MAX).collect();
    let row = AuditRow {
        at: shared.now(),
        actor: actor(by),
        action: action.to_owned(),
        subject: (!subject.is_empty()).then_some(subject),
        outcome: outcome.to_owned(),
    };
    // Also called where a task is dropped, which may be the end of everything.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let write = shared.store.write(move |tx| append(tx, &row));
    runtime.spawn(async move {
        if let Err(error) = write.await {
            tracing::error!(%error, "an audit row could not be written");
        }
    });
}
