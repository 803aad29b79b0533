//! The control socket's questions, each handed to the file that answers it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::shared::Shared;
use super::trail::Asked;
use super::{
    accounts, again, calendar, cancel, connect, create, disconnect, doctor, erase, errors, files, log, posts,
    queues, quota, remove, reschedule, resolve, status, stop, thumbnail, undo,
};
use crate::control::api::{Api, ApiResult, Caller, Upload};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::domain::ids::MediaId;
use crate::store::accounts as store_accounts;
use crate::store::audit as trail;
use crate::store::media::{self, StoredMedia};

/// Audit entries in a page unless another number is asked for, and at most.
const AUDIT_PAGE: u32 = 50;
const AUDIT_MAX: u32 = 500;

/// The daemon as the control socket sees it.
pub(super) struct Door(pub(super) Arc<Shared>);

impl Door {
    fn asked(&self, by: Caller, action: &'static str, subject: impl Into<String>) -> Asked {
        Asked::new(&self.0, by, action, subject)
    }

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
        let asked = self.asked(by, "account.connect", &ask.platform);
        let begun = async {
            self.0.disk.admit()?;
            connect::start(&self.0, by, ask).await
        };
        asked.begun(begun.await)
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
        let found = accounts::find(&self.0, account)?;
        self.scan(move |shared| {
            let spending = super::spend::of_account(shared, found.id)?;
            let quotas = quota::of_account(shared, &found)?;
            let held_back = quota::waits(shared, &found);
            Ok(m::Account { spending, quotas, held_back, ..super::view::account(&found) })
        })
        .await
    }

    async fn account_rename(&self, by: Caller, account: &str, name: &str) -> ApiResult<m::Account> {
        let asked = self.asked(by, "account.rename", format!("{account} → {name}"));
        asked.ended(accounts::rename(&self.0, account, name).await)
    }

    async fn account_refresh(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        let asked = self.asked(by, "account.refresh", account);
        asked.ended(accounts::refresh(&self.0, account).await)
    }

    async fn account_pause(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        let asked = self.asked(by, "account.pause", account);
        asked.ended(accounts::set_paused(&self.0, account, true).await)
    }

    async fn account_resume(&self, by: Caller, account: &str) -> ApiResult<m::Account> {
        let asked = self.asked(by, "account.resume", account);
        asked.ended(accounts::set_paused(&self.0, account, false).await)
    }

    async fn account_disconnect(&self, by: Caller, account: &str) -> ApiResult<m::ReceiptAnswer> {
        let asked = self.asked(by, "account.disconnect", account);
        asked.receipt(disconnect::disconnect(&self.0, account).await)
    }

    async fn erase_platform_user(&self, by: Caller, whom: &str) -> ApiResult<m::ReceiptAnswer> {
        erase::platform_user(&self.0, by, whom).await
    }

    async fn post_create(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Post> {
        let asked = self.asked(by, "post.create", ask.to.join(", "));
        let once = once(&ask);
        let made = async {
            self.0.disk.admit()?;
            create::create(&self.0, ask).await
        };
        let made = made.await;
        if made.as_ref().map_or(true, |post| post.existing) {
            files::forget_unused(&self.0, once).await;
        }
        asked.made(made, |post| post.id.clone())
    }

    async fn post_check(&self, _by: Caller, ask: r::CreatePost) -> ApiResult<m::Check> {
        let checked = create::check(&self.0, &ask);
        files::forget_unused(&self.0, once(&ask)).await;
        checked
    }

    async fn post_list(&self, _by: Caller, ask: r::ListPosts) -> ApiResult<m::PostList> {
        self.scan(move |shared| posts::list(shared, &ask)).await
    }

    async fn post_show(&self, _by: Caller, id: &str) -> ApiResult<m::Post> {
        self.0.links.flush(&self.0.store).await.map_err(errors::store)?;
        posts::show_named(&self.0, id)
    }

    async fn post_edit(&self, by: Caller, id: &str, ask: r::EditPost) -> ApiResult<m::Post> {
        // A text that is being written is kept every few seconds: that is no deed for the trail.
        let asked = (!ask.unfinished).then(|| self.asked(by, "post.edit", id));
        let edited = async {
            self.0.disk.admit()?;
            posts::edit(&self.0, id, ask).await
        };
        match asked {
            Some(asked) => asked.ended(edited.await),
            None => edited.await,
        }
    }

    async fn post_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        let asked = self.asked(by, "post.cancel", id);
        asked.ended(cancel::cancel(&self.0, id).await)
    }

    async fn post_resolve(&self, by: Caller, id: &str, word: r::Resolve) -> ApiResult<m::Post> {
        let action = match (&word.published, word.resend, word.leave) {
            (Some(_), false, false) => "post.resolve.published",
            (None, true, false) => "post.resolve.resend",
            (None, false, true) => "post.resolve.leave",
            _ => "post.resolve",
        };
        let asked = self.asked(by, action, id);
        asked.ended(resolve::resolve(&self.0, id, word).await)
    }

    async fn post_retry(&self, by: Caller, id: &str) -> ApiResult<m::Post> {
        let asked = self.asked(by, "post.retry", id);
        asked.ended(again::retry(&self.0, id).await)
    }

    async fn post_reschedule(
        &self,
        by: Caller,
        id: &str,
        to: r::Move,
        tz: Option<String>,
    ) -> ApiResult<m::Post> {
        let asked = self.asked(by, "post.reschedule", id);
        asked.ended(reschedule::one(&self.0, id, to, tz).await)
    }

    async fn post_undo(&self, by: Caller, id: &str, ticket: &str) -> ApiResult<m::Post> {
        let asked = self.asked(by, "post.undo", id);
        asked.ended(undo::take_back(&self.0, id, ticket).await)
    }

    async fn post_delete(&self, by: Caller, id: &str, local_only: bool) -> ApiResult<m::ReceiptAnswer> {
        let asked = self.asked(by, "post.delete", id);
        asked.receipt(remove::delete(&self.0, id, local_only).await)
    }

    async fn queue_list(&self, _by: Caller) -> ApiResult<m::QueueList> {
        queues::list(&self.0)
    }

    async fn queue_show(&self, _by: Caller, queue: &str, next: u32) -> ApiResult<m::Queue> {
        queues::show(&self.0, queue, next)
    }

    async fn queue_pause(&self, by: Caller, queue: &str) -> ApiResult<m::Queue> {
        let asked = self.asked(by, "queue.pause", queue);
        asked.ended(queues::set_paused(&self.0, queue, true).await)
    }

    async fn queue_resume(&self, by: Caller, queue: &str) -> ApiResult<m::Queue> {
        let asked = self.asked(by, "queue.resume", queue);
        asked.ended(queues::set_paused(&self.0, queue, false).await)
    }

    async fn queue_reschedule(&self, by: Caller, queue: &str, shift: &str) -> ApiResult<m::PostList> {
        let asked = self.asked(by, "queue.reschedule", format!("{queue} {shift}"));
        asked.ended(reschedule::all_in(&self.0, queue, shift).await)
    }

    async fn calendar(&self, _by: Caller, ask: r::Calendar) -> ApiResult<m::Calendar> {
        self.scan(move |shared| calendar::show(shared, &ask)).await
    }

    async fn pause(&self, by: Caller, reason: Option<String>) -> ApiResult<m::PauseState> {
        let asked = self.asked(by, "pause", reason.clone().unwrap_or_default());
        asked.ended(stop::pause(&self.0, reason).await)
    }

    async fn resume(&self, by: Caller) -> ApiResult<m::PauseState> {
        let asked = self.asked(by, "resume", "");
        asked.ended(stop::resume(&self.0, by).await)
    }

    async fn status(&self, _by: Caller) -> ApiResult<m::Status> {
        status::status(&self.0)
    }

    async fn doctor(&self, _by: Caller, ask: r::Doctor) -> ApiResult<m::Diagnosis> {
        doctor::examine(&self.0, &ask).await
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
        let asked = self.asked(by, "config.reload", "");
        asked.ended(super::reload(&self.0))
    }

    async fn network_list(&self, _by: Caller) -> ApiResult<m::NetworkList> {
        Ok(super::view::networks())
    }

    async fn receipt_list(&self, _by: Caller, ask: r::ListReceipts) -> ApiResult<m::ReceiptList> {
        let limit = ask.limit.unwrap_or(AUDIT_PAGE).clamp(1, AUDIT_MAX) as usize;
        let read = self.0.store.read(|rx| Ok((trail::receipts(rx, limit)?, store_accounts::list(rx)?)));
        let (rows, accounts) = read.map_err(errors::store)?;
        Ok(m::ReceiptList { receipts: rows.iter().map(|it| super::view::receipt(it, &accounts)).collect() })
    }

    async fn media_upload(&self, _by: Caller, name: Option<String>, body: Upload) -> ApiResult<m::Uploaded> {
        self.0.disk.admit()?;
        let now = self.0.now();
        let id = MediaId::new(now, Shared::random());
        let _arriving = self.0.library.expect(id);
        let caps = files::caps(&self.0.config().limits);
        let facts = self.0.library.take(id, caps, body).await.map_err(|error| errors::media(&error))?;
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

    async fn media_thumbnail(&self, _by: Caller, id: &str) -> ApiResult<m::Thumbnail> {
        thumbnail::of(&self.0, id).await
    }
}

/// The files that a request brought for itself alone.
fn once(ask: &r::CreatePost) -> Vec<MediaId> {
    if !ask.media_once {
        return Vec::new();
    }
    ask.media.iter().filter_map(|it| it.id.parse().ok()).collect()
}

fn cursor(text: &str) -> ApiResult<(i64, u32)> {
    text.split_once('.')
        .and_then(|(ms, n)| Some((ms.parse().ok()?, n.parse().ok()?)))
        .ok_or_else(|| errors::bad_cursor(format!("`{text}` is not a cursor")))
}

/// `uid:1000 gid:1000 pid:77`, as [`super::trail`] writes it; the daemon itself is nobody.
fn who(actor: &str) -> Option<m::Who> {
    let mut words = actor.split(' ').map(|it| it.split_once(':'));
    let mut number =
        |name: &str| words.next().flatten().filter(|(key, _)| *key == name)?.1.parse::<u32>().ok();
    let (uid, gid) = (number("uid")?, number("gid")?);
    Some(m::Who { uid, gid, pid: number("pid").and_then(|it| i32::try_from(it).ok()) })
}
