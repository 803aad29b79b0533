//! The control socket's questions, each handed to the file that answers it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::shared::Shared;
use super::{
    accounts, audit, calendar, connect, create, disconnect, erase, errors, log, posts, queues, remove,
    reschedule, resolve, status, stop,
};
use crate::control::api::{Api, ApiError, ApiResult, Caller, ErrorKind, Upload};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::ids::MediaId;
use crate::media::MediaError;
use crate::store::audit as trail;
use crate::store::media::{self, StoredMedia};

/// Audit entries in a page unless another number is asked for, and at most.
const AUDIT_PAGE: u32 = 50;
const AUDIT_MAX: u32 = 500;

/// The daemon as the control socket sees it.
pub(super) struct Door(pub(super) Arc<Shared>);

impl Door {
    /// A read of many rows. There are two workers only, and whoever asks for `status` needs one.
    async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Shared>) -> ApiResult<T> + Send + 'static,
    ) -> ApiResult<T> {
        let shared = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.map_err(|error| errors::internal(&error))?
    }
}

#[async_trait]
impl Api for Door {
    async fn connect_start(&self, by: Caller, ask: r::Connect) -> ApiResult<m::ConnectStarted> {
        self.0.disk.admit()?;
        audit(&self.0, Some(by), "account.connect", &ask.platform);
        connect::start(&self.0, ask).await
    }

    async fn connect_events(&self, _by: Caller, id: &str) -> ApiResult<BoxStream<'static, m::ConnectEvent>> {
        connect::events(&self.0, id)
    }

    async fn connect_confirm(&self, _by: Caller, id: &str, choice: r::Choice) -> ApiResult<m::Done> {
        connect::confirm(&self.0, id, choice).await
    }

    async fn connect_paste(&self, _by: Caller, id: &str, address: &str) -> ApiResult<m::Done> {
        connect::paste(&self.0, id, address).await
    }

    async fn connect_cancel(&self, _by: Caller, id: &str) -> ApiResult<m::Done> {
        connect::cancel(&self.0, id).await
    }

    async fn account_list(&self, _by: Caller) -> ApiResult<m::AccountList> {
        accounts::list(&self.0)
    }

    async fn account_show(&self, _by: Caller, account: &str) -> ApiResult<m::Account> {
        accounts::find(&self.0, account).map(|it| super::view::account(&it))
    }

    async fn account_rename(&self, by: Caller, account: &str, name: &str) -> ApiResult<m::Account> {
        accounts::rename(&self.0, by, account, name).await
    }

    async fn account_refresh(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        accounts::refresh(&self.0, by, account).await
    }

    async fn account_pause(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        accounts::set_paused(&self.0, by, account, true).await
    }

    async fn account_resume(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        accounts::set_paused(&self.0, by, account, false).await
    }

    async fn account_disconnect(&self, by: Caller, account: &str) -> ApiResult<m::ReceiptAnswer> {
        disconnect::disconnect(&self.0, by, account).await
    }

    async fn erase_platform_user(&self, by: Caller, whom: &str) -> ApiResult<m::ReceiptAnswer> {
        erase::platform_user(&self.0, by, whom).await
    }

    async fn post_create(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Post> {
        self.0.disk.admit()?;
        create::create(&self.0, by, ask).await
    }

    async fn post_check(&self, _by: Caller, ask: r::CreatePost) -> ApiResult<m::Check> {
        create::check(&self.0, &ask)
    }

    async fn post_list(&self, _by: Caller, ask: r::ListPosts) -> ApiResult<m::PostList> {
        self.scan(move |shared| posts::list(shared, &ask)).await
    }

    async fn post_show(&self, _by: Caller, id: &str) -> ApiResult<m::Post> {
        self.0.links.flush(&self.0.store).await.map_err(errors::store)?;
        posts::show_named(&self.0, id)
    }

    async fn post_edit(&self, by: Caller, id: &str, ask: r::EditPost) -> ApiResult<m::Post> {
        self.0.disk.admit()?;
        posts::edit(&self.0, by, id, ask).await
    }

    async fn post_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        posts::cancel(&self.0, by, id).await
    }

    async fn post_resolve(&self, by: Caller, id: &str, word: r::Resolve) -> ApiResult<m::Post> {
        resolve::resolve(&self.0, by, id, word).await
    }

    async fn post_retry(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        posts::retry(&self.0, by, id).await
    }

    async fn post_reschedule(
        &self,
        by: Caller,
        id: &str,
        to: r::Move,
        tz: Option<String>,
    ) -> ApiResult<m::Post> {
        reschedule::one(&self.0, by, id, to, tz).await
    }

    async fn post_delete(&self, by: Caller, id: &str, local_only: bool) -> ApiResult<m::ReceiptAnswer> {
        remove::delete(&self.0, by, id, local_only).await
    }

    async fn queue_list(&self, _by: Caller) -> ApiResult<m::QueueList> {
        queues::list(&self.0)
    }

    async fn queue_show(&self, _by: Caller, queue: &str, next: u32) -> ApiResult<m::Queue> {
        queues::show(&self.0, queue, next)
    }

    async fn queue_pause(&self, by: Caller, queue: &str) -> ApiResult<m::Queue> {
        queues::set_paused(&self.0, by, queue, true).await
    }

    async fn queue_resume(&self, by: Caller, queue: &str) -> ApiResult<m::Queue> {
        queues::set_paused(&self.0, by, queue, false).await
    }

    async fn queue_reschedule(&self, by: Caller, queue: &str, shift: &str) -> ApiResult<m::PostList> {
        reschedule::all_in(&self.0, by, queue, shift).await
    }

    async fn calendar(&self, _by: Caller, ask: r::Calendar) -> ApiResult<m::Calendar> {
        self.scan(move |shared| calendar::show(shared, &ask)).await
    }

    async fn pause(&self, by: Caller, reason: Option<String>) -> ApiResult<m::PauseState> {
        stop::pause(&self.0, by, reason).await
    }

    async fn resume(&self, by: Caller) -> ApiResult<m::PauseState> {
        stop::resume(&self.0, by).await
    }

    async fn status(&self, _by: Caller) -> ApiResult<m::Status> {
        status::status(&self.0)
    }

    async fn events(&self, _by: Caller, ask: r::Events) -> ApiResult<BoxStream<'static, m::LogEvent>> {
        log::events(&self.0, &ask)
    }

    async fn audit_list(&self, _by: Caller, ask: r::ListAudit) -> ApiResult<m::AuditList> {
        let limit = ask.limit.unwrap_or(AUDIT_PAGE).clamp(1, AUDIT_MAX) as usize;
        let after = ask.after.as_deref().map(cursor).transpose()?;
        let (rows, next) = self.0.store.read(|rx| trail::list(rx, limit, after)).map_err(errors::store)?;
        let entries = rows
            .into_iter()
            .map(|row| m::AuditEntry {
                at: row.at,
                who: who(&row.actor),
                action: row.action,
                subject: row.subject.unwrap_or_default(),
                result: row.outcome,
            })
            .collect();
        Ok(m::AuditList { entries, next_cursor: next.map(|(ms, n)| format!("{ms}.{n}")) })
    }

    async fn config_reload(&self, by: Caller) -> ApiResult<m::Reloaded> {
        audit(&self.0, Some(by), "config.reload", "");
        super::reload(&self.0)
    }

    async fn media_upload(&self, _by: Caller, name: Option<String>, body: Upload) -> ApiResult<m::Uploaded> {
        self.0.disk.admit()?;
        let now = self.0.now();
        let id = MediaId::new(now, Shared::random());
        let _arriving = self.0.library.expect(id);
        let caps = super::files::caps(&self.0.config().limits);
        let facts = self.0.library.take(id, caps, body).await.map_err(|error| refused(&error))?;
        let name = name.map(|it| crate::http::terminal::clean_line(&it)).filter(|it| !it.is_empty());
        let item = facts.item(id, name.unwrap_or_else(|| "file".into()), None);
        let row = StoredMedia { item: item.clone(), digest: facts.digest, uploaded_at: now };
        if let Err(error) = self.0.store.write(move |tx| media::put(tx, &row)).await {
            // Without its row the file would only be litter.
            drop(self.0.library.remove(id));
            return Err(errors::store(error));
        }
        Ok(m::Uploaded {
            id: id.to_string(),
            name: item.name,
            kind: item.kind.word().to_owned(),
            bytes: item.bytes,
            width: item.width,
            height: item.height,
        })
    }
}

fn refused(error: &MediaError) -> ApiError {
    let kind = match error {
        MediaError::TooBig { .. } => ErrorKind::TooLarge,
        MediaError::Disk(_) => ErrorKind::Internal,
        _ => ErrorKind::Refused,
    };
    errors::with_hint(ApiError::new(kind, error.code(), error.to_string()), error.hint().map(str::to_owned))
}

fn cursor(text: &str) -> ApiResult<(i64, u32)> {
    text.split_once('.')
        .and_then(|(ms, n)| Some((ms.parse().ok()?, n.parse().ok()?)))
        .ok_or_else(|| ApiError::bad_request("bad_cursor", format!("`{text}` is not a cursor")))
}

/// `uid:1000 gid:1000 pid:77`, as [`super::audit`] writes it; the daemon itself is nobody.
fn who(actor: &str) -> Option<m::Who> {
    let mut words = actor.split(' ').map(|it| it.split_once(':'));
    let mut number =
        |name: &str| words.next().flatten().filter(|(key, _)| *key == name)?.1.parse::<u32>().ok();
    let (uid, gid) = (number("uid")?, number("gid")?);
    Some(m::Who { uid, gid, pid: number("pid").and_then(|it| i32::try_from(it).ok()) })
}
