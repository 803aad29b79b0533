//! Questions to the daemon, each a task of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use ratatui::layout::Size;
use ratatui_image::picker::Picker;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

use super::{access, files};
use crate::control::client::{Client, ClientError};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::http::terminal;
use crate::tui::effect::{ConnectNews, Deed, Effect, Load, Loaded, Msg, Outcome, Source, Trouble};
use crate::tui::look::Depth;
use crate::tui::picture::{self, Shown, Small};

/// Rows of each of the overview's lists.
const BRIEF: u32 = 40;

#[derive(Clone)]
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) socket: PathBuf,
    pub(super) sender: UnboundedSender<Msg>,
    /// Whose turn it is to decode a picture.
    pub(super) pictures: Arc<Semaphore>,
}

/// An answer without anything that steers a terminal, in whatever field it came.
pub(super) fn cleaned<T: Serialize + DeserializeOwned>(answer: T) -> T {
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) => {
                let clean = terminal::clean(text);
                if clean != *text {
                    *text = clean;
                }
            }
            Value::Array(all) => all.iter_mut().for_each(clean),
            Value::Object(all) => all.values_mut().for_each(clean),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let Ok(mut value) = serde_json::to_value(&answer) else { return answer };
    clean(&mut value);
    // What was understood once is understood again; the screen cleans once more anyway.
    serde_json::from_value(value).unwrap_or(answer)
}

/// The path with a leading `~` read as the home directory, as shells do.
pub(super) fn at_home(path: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

impl Asker {
    /// Carries an effect out, and sends what came of it.
    pub(super) fn perform(&self, effect: Effect) -> JoinHandle<()> {
        let own = self.clone();
        tokio::spawn(async move {
            let msg = match effect {
                Effect::Load(load) => {
                    let result = own.load(&load).await.map_err(|error| own.trouble(&error));
                    Some(Msg::Loaded(load, result))
                }
                Effect::Do(deed) => {
                    let result = own.deed(&deed).await.map_err(|error| own.trouble(&error));
                    Some(Msg::Done(deed, result))
                }
                Effect::Create(ask) => {
                    let key = ask.key.clone().unwrap_or_default();
                    let result = own.client.post_create(&ask).await.map_err(|error| own.trouble(&error));
                    Some(Msg::Saved { key, result: Box::new(result) })
                }
                Effect::Edit { key, id, ask } => {
                    let result = own.client.post_edit(&id, &ask).await.map_err(|error| own.trouble(&error));
                    Some(Msg::Saved { key, result: Box::new(result) })
                }
                Effect::Check { revision, ask } => {
                    let result = own.client.post_check(&ask).await;
                    let result = result.map(cleaned).map_err(|error| own.trouble(&error));
                    Some(Msg::Checked { revision, result: Box::new(result) })
                }
                Effect::Upload { ticket, path } => {
                    let result = own.upload(&path).await.map(cleaned);
                    Some(Msg::Uploaded { ticket, path, result: Box::new(result) })
                }
                Effect::Connect(ask) => {
                    own.connect(&ask).await;
                    None
                }
                Effect::Confirm { id, choice } => {
                    own.news(own.client.connect_confirm(&id, &choice).await, false)
                }
                Effect::Pasted { id, address } => {
                    own.news(own.client.connect_paste(&id, &address).await, true)
                }
                Effect::Leave(id) => {
                    // It may have ended by itself meanwhile.
                    drop(own.client.connect_cancel(&id).await);
                    None
                }
                Effect::Forget(path) => {
                    // Offered once more, if it does not go.
                    drop(tokio::fs::remove_file(path).await);
                    None
                }
                // These need the terminal.
                Effect::Editor(_) | Effect::Look { .. } | Effect::Thumb { .. } | Effect::Redraw => None,
                Effect::Browse(folder) => {
                    let found = tokio::task::spawn_blocking(move || files::browse(&folder)).await;
                    Some(Msg::Browsed(found.unwrap_or_else(|error| Err(error.to_string()))))
                }
            };
            if let Some(msg) = msg {
                drop(own.sender.send(msg));
            }
        })
    }

    /// A picture as this terminal draws it, in at most `size`; `read` makes one of this machine small.
    /// One at a time: whoever has gone on meanwhile leaves no heap of them behind.
    pub(super) async fn drawn(
        &self,
        source: Source,
        read: fn(&Path) -> Result<Small, String>,
        picker: Picker,
        size: Size,
        depth: Depth,
    ) -> Result<Shown, String> {
        let turn = Arc::clone(&self.pictures).acquire_owned().await;
        let kept = match &source {
            Source::Kept(id) => Some(self.picture(id).await?),
            Source::File(_) => None,
        };
        let work = move || {
            // Held to the end of the work, even if nobody waits for it any more.
            let _turn = turn;
            let (bytes, about) = match (kept, &source) {
                (Some(kept), _) => kept,
                (None, Source::File(path)) => read(path)?,
                (None, Source::Kept(_)) => return Err("the picture is gone".to_owned()),
            };
            picture::drawn(&bytes, about, &picker, size, depth)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// A picture that the daemon keeps: its small form, and the size of the real one.
    async fn picture(&self, id: &str) -> Result<Small, String> {
        use base64::Engine as _;
        let small = self.client.media_thumbnail(id).await.map_err(|error| {
            let trouble = self.trouble(&error);
            let hint = trouble.hint.map_or_else(String::new, |it| format!(" ({it})"));
            format!("the picture cannot be shown: {}{hint}", trouble.message)
        })?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(&small.data);
        let bytes = bytes.map_err(|error| format!("the daemon sent no picture: {error}; try again"))?;
        Ok((bytes, format!("{}×{}", small.width, small.height)))
    }

    fn trouble(&self, error: &ClientError) -> Trouble {
        access::trouble(error, &self.socket)
    }

    async fn load(&self, load: &Load) -> Result<Loaded, ClientError> {
        let it = &self.client;
        let posts = |ask: r::ListPosts| async move { it.post_list(&ask).await };
        let state = |word: &str| r::ListPosts {
            state: Some(word.to_owned()),
            limit: Some(BRIEF),
            ..r::ListPosts::default()
        };
        Ok(match load {
            Load::Status => Loaded::Status(Box::new(cleaned(it.status().await?))),
            Load::Accounts => Loaded::Accounts(cleaned(it.account_list().await?)),
            Load::Account(name) => Loaded::Account(Box::new(cleaned(it.account_show(name).await?))),
            Load::Queues => Loaded::Queues(cleaned(it.queue_list().await?)),
            Load::Networks => Loaded::Networks(cleaned(it.network_list().await?)),
            Load::Due => {
                let ask = r::ListPosts { order: Some("oldest".to_owned()), ..state("scheduled") };
                Loaded::Posts(cleaned(posts(ask).await?))
            }
            Load::Attention => {
                let mut all = posts(state("attention")).await?;
                // What failed lately: older failures have been seen.
                for word in ["partial", "failed", "missed"] {
                    let ask = r::ListPosts { since: Some("-3d".to_owned()), ..state(word) };
                    let more = posts(ask).await?;
                    all.posts.extend(more.posts);
                }
                Loaded::Posts(cleaned(all))
            }
            Load::Drafts => Loaded::Posts(cleaned(posts(state("draft")).await?)),
            Load::Lately => {
                Loaded::Posts(cleaned(posts(r::ListPosts { limit: Some(10), ..state("published") }).await?))
            }
            Load::Activity => Loaded::Posts(self.activity().await?),
            Load::Page { ask, .. } => Loaded::Posts(cleaned(posts((**ask).clone()).await?)),
            Load::Post(id) => Loaded::Post(Box::new(cleaned(it.post_show(id).await?))),
            // As it was written: the screen cleans what it shows, and nothing of a text may get lost.
            Load::Open(id) => Loaded::Post(Box::new(it.post_show(id).await?)),
            Load::Calendar { month } => {
                let ask = r::Calendar { month: month.clone(), tz: None };
                Loaded::Calendar(cleaned(it.calendar(&ask).await?))
            }
            Load::Day { day, zone } => {
                let ask = r::ListPosts {
                    since: Some(day.to_string()),
                    until: day.tomorrow().ok().map(|it| it.to_string()),
                    tz: Some(zone.clone()),
                    limit: Some(200),
                    ..r::ListPosts::default()
                };
                Loaded::Posts(cleaned(posts(ask).await?))
            }
            Load::Receipts => {
                Loaded::Receipts(cleaned(it.receipt_list(&r::ListReceipts { limit: Some(200) }).await?))
            }
            Load::Audit { after } => {
                let ask = r::ListAudit { limit: Some(100), after: after.clone() };
                Loaded::Audit(cleaned(it.audit_list(&ask).await?))
            }
            Load::Doctor => Loaded::Doctor(cleaned(it.doctor(&r::Doctor::default()).await?)),
        })
    }

    /// What was published in four weeks, or the newest thousand posts of it.
    async fn activity(&self) -> Result<m::PostList, ClientError> {
        let ask = r::ListPosts {
            state: Some("published".to_owned()),
            since: Some("-28d".to_owned()),
            limit: Some(500),
            ..r::ListPosts::default()
        };
        let mut all = self.client.post_list(&ask).await?;
        if let Some(after) = all.next_cursor.take() {
            let more = self.client.post_list(&r::ListPosts { after: Some(after), ..ask }).await?;
            all.posts.extend(more.posts);
            all.next_cursor = more.next_cursor;
        }
        Ok(all)
    }

    async fn deed(&self, deed: &Deed) -> Result<Outcome, ClientError> {
        let it = &self.client;
        let post = |post: m::Post| Outcome::Post(Box::new(cleaned(post)));
        let account = |account: m::Account| Outcome::Account(Box::new(cleaned(account)));
        let receipt = |answer: m::ReceiptAnswer| Outcome::Receipt(cleaned(answer.receipt));
        Ok(match deed {
            Deed::Pause => it.pause(Some("from the console".to_owned())).await.map(|_| Outcome::Nothing)?,
            Deed::Resume => it.resume().await.map(|_| Outcome::Nothing)?,
            Deed::Retry(id) => post(it.post_retry(id).await?),
            Deed::Cancel(id) => post(it.post_cancel(id).await?),
            Deed::Delete { id, local_only, open } => {
                if *open {
                    match it.post_cancel(id).await {
                        Ok(_) => {}
                        // It came to its end meanwhile.
                        Err(error) if error.detail().code == "already_over" => {}
                        Err(error) => return Err(error),
                    }
                }
                receipt(it.post_delete(id, *local_only).await?)
            }
            Deed::Undo { id, ticket } => post(it.post_undo(id, ticket).await?),
            Deed::Resolve { id, word } => post(it.post_resolve(id, word).await?),
            Deed::Move { id, to, tz } | Deed::Schedule { id, to, tz } => {
                post(it.post_reschedule(id, to.clone(), tz.clone()).await?)
            }
            Deed::Amend { id, ask, to, copy } => {
                let mut done = it.post_edit(id, ask).await?;
                if let Some(to) = to {
                    done = it.post_reschedule(id, to.clone(), None).await?;
                }
                if let Some(copy) = copy {
                    // The change is made; what was kept of it while it was written has done its service.
                    drop(it.post_delete(copy, true).await);
                }
                post(done)
            }
            Deed::AccountPause(name) => account(it.account_pause(name).await?),
            Deed::AccountResume(name) => account(it.account_resume(name).await?),
            Deed::AccountRefresh(name) => account(it.account_refresh(name).await?),
            Deed::AccountRename { account: name, name: new } => account(it.account_rename(name, new).await?),
            Deed::Disconnect(name) => receipt(it.account_disconnect(name).await?),
        })
    }

    async fn upload(&self, path: &Path) -> Result<m::Uploaded, Trouble> {
        let refused = |message: String| Trouble {
            code: "no_file".to_owned(),
            message,
            hint: None,
            problems: Vec::new(),
            lost: false,
        };
        let path = at_home(path);
        let file = tokio::fs::File::open(&path).await.map_err(|error| refused(error.to_string()))?;
        let about = file.metadata().await.map_err(|error| refused(error.to_string()))?;
        if !about.is_file() {
            return Err(refused("this is not a file".to_owned()));
        }
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
        let body = ReaderStream::with_capacity(file, 64 << 10);
        self.client.media_upload(name, body).await.map_err(|error| self.trouble(&error))
    }

    /// The whole conversation that connects an account; its news go into the loop as they come.
    async fn connect(&self, ask: &r::Connect) {
        let tell = |news| drop(self.sender.send(Msg::Connect(news)));
        let begun = async {
            let id = self.client.connect_start(ask).await?.id;
            tell(ConnectNews::Started(id.clone()));
            self.client.connect_events(&id).await
        };
        let mut events = match begun.await {
            Ok(events) => events,
            Err(error) => return tell(ConnectNews::Broken(self.trouble(&error))),
        };
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => tell(ConnectNews::Event(Box::new(cleaned(event)))),
                Err(error) => return tell(ConnectNews::Broken(self.trouble(&error))),
            }
        }
    }

    /// How an answer of the user's was taken.
    fn news(&self, result: Result<m::Done, ClientError>, may_be_mended: bool) -> Option<Msg> {
        let error = result.err()?;
        let trouble = self.trouble(&error);
        Some(Msg::Connect(if may_be_mended && trouble.code == "bad_address" {
            ConnectNews::NotTaken(trouble)
        } else {
            ConnectNews::Broken(trouble)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cleaned_in_every_field() {
        let dirty = m::Alert {
            code: "a\u{1b}[2Jb".into(),
            message: "\u{1b}]52;c;ZXZpbA==\u{7}copied\u{202e}".into(),
            hint: Some("\u{9b}31mred".into()),
        };
        let clean = cleaned(dirty);
        assert_eq!((clean.code.as_str(), clean.message.as_str()), ("ab", "copied"));
        assert_eq!(clean.hint.as_deref(), Some("red"));
    }
}
