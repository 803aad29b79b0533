//! Asks the daemon over its socket. What the command line and the console know of the daemon, they know
//! from here.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStream, stream};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{ApiError, BODY_MAX, ErrorKind};
use super::messages as m;
use super::requests as r;
use crate::http::clients::unix_client;

/// The longest line of a stream; a longer one is not ours.
const LINE_MAX: usize = 1 << 20;

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody could be asked. Exit code 3.
    #[error("the daemon cannot be reached at `{}`: {why}", path.display())]
    Unreachable { path: PathBuf, why: String, hint: String },
    /// The daemon said no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The connection broke after the request had left: it may have been carried out.
    #[error("the connection to the daemon broke: {0}")]
    Broken(String),
}

impl ClientError {
    /// The exit code of a command that met it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 3,
            Self::Api(error) => error.kind.exit_code(),
            Self::Broken(_) => 1,
        }
    }

    /// The error in the protocol's own shape, for `--json`.
    pub fn detail(&self) -> m::ErrorDetail {
        let (code, hint) = match self {
            Self::Api(error) => return error.detail(),
            Self::Unreachable { hint, .. } => ("unreachable", hint.clone()),
            Self::Broken(_) => (
                "broken",
                "look before you repeat it: sendoff post list; with `--key`, `post create` may simply run again"
                    .to_owned(),
            ),
        };
        m::ErrorDetail {
            code: code.to_owned(),
            message: self.to_string(),
            hint: Some(hint),
            problems: Vec::new(),
            targets: Vec::new(),
        }
    }
}

type Result<T> = std::result::Result<T, ClientError>;

/// A connection pool to one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    path: PathBuf,
}

impl Client {
    /// A client for the daemon behind this socket. Nothing is opened yet.
    pub fn new(path: &Path) -> Result<Self> {
        let http = unix_client(path).map_err(|why| ClientError::Unreachable {
            path: path.into(),
            why: why.to_string(),
            hint: "this is a fault of the program, please report it".into(),
        })?;
        Ok(Self { http, path: path.into() })
    }

    fn request(&self, method: Method, parts: &[&str], query: &impl Serialize) -> reqwest::RequestBuilder {
        let mut url =
            url::Url::parse("http://daemon/v1").unwrap_or_else(|_| unreachable!("a constant address"));
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        self.http.request(method, url).query(query)
    }

    /// Sends a request; anything but a 2xx is an error.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let request = request.build().map_err(|error| self.failed(&error))?;
        // The daemon would close the connection in the middle of it, which looks like an outage.
        if request.body().and_then(reqwest::Body::as_bytes).is_some_and(|it| it.len() > BODY_MAX) {
            return Err(ApiError::too_large().into());
        }
        let response = self.http.execute(request).await.map_err(|error| self.failed(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let kind = ErrorKind::from_status(response.status().as_u16());
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        Err(match serde_json::from_slice::<m::ErrorAnswer>(&body) {
            Ok(answer) => ApiError::from_detail(kind, answer.error).into(),
            Err(_) => {
                ApiError::new(kind, "unclear", format!("the daemon answered {status} without a reason"))
                    .hint("is another program listening on this socket?")
                    .into()
            }
        })
    }

    /// Tells whether anybody was reached at all: before the connection stands, nothing can have happened.
    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let cause = io_cause(error);
        if !error.is_connect() {
            return ClientError::Broken(cause.map_or_else(|| error.to_string(), ToString::to_string));
        }
        let kind = cause.map(std::io::Error::kind);
        let (why, hint) = match kind {
            Some(std::io::ErrorKind::NotFound) => ("there is no such socket", running()),
            Some(std::io::ErrorKind::ConnectionRefused) => ("nobody answers", running()),
            Some(std::io::ErrorKind::PermissionDenied) => (
                "permission denied",
                "you are not in the group that owns the socket. Run: sudo usermod -aG sendoff \"$USER\", then log in again"
                    .to_owned(),
            ),
            _ => ("the connection failed", running()),
        };
        ClientError::Unreachable { path: self.path.clone(), why: why.to_owned(), hint }
    }

    async fn json<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&body).map_err(|error| {
            ApiError::new(
                ErrorKind::Internal,
                "unclear",
                format!("the daemon's answer was not understood: {error}"),
            )
            .hint("do daemon and command line have the same version? sendoff version; sendoff status")
            .into()
        })
    }

    async fn get<T: DeserializeOwned>(&self, parts: &[&str], query: &impl Serialize) -> Result<T> {
        self.json(self.request(Method::GET, parts, query)).await
    }

    async fn post<T: DeserializeOwned>(&self, parts: &[&str], body: &impl Serialize) -> Result<T> {
        self.json(self.request(Method::POST, parts, &()).json(body)).await
    }

    async fn act<T: DeserializeOwned>(&self, parts: &[&str]) -> Result<T> {
        self.json(self.request(Method::POST, parts, &())).await
    }

    async fn lines<T: DeserializeOwned + Send + 'static>(
        &self,
        parts: &[&str],
        query: &impl Serialize,
    ) -> Result<BoxStream<'static, Result<T>>> {
        let response = self.send(self.request(Method::GET, parts, query)).await?;
        Ok(split_lines(response).boxed())
    }

    /// The daemon in one look.
    pub async fn status(&self) -> Result<m::Status> {
        self.get(&["status"], &()).await
    }

    /// Faults of the set-up.
    pub async fn doctor(&self, ask: &r::Doctor) -> Result<m::Diagnosis> {
        self.get(&["doctor"], ask).await
    }

    /// The protocol's description.
    pub async fn openapi(&self) -> Result<serde_json::Value> {
        self.get(&["openapi.json"], &()).await
    }

    /// Stops all sending.
    pub async fn pause(&self, reason: Option<String>) -> Result<m::PauseState> {
        self.post(&["pause"], &r::Pause { reason }).await
    }

    /// Sends again.
    pub async fn resume(&self) -> Result<m::PauseState> {
        self.act(&["resume"]).await
    }

    /// What happens, as it happens.
    pub async fn events(&self, ask: &r::Events) -> Result<BoxStream<'static, Result<m::LogEvent>>> {
        self.lines(&["events"], ask).await
    }

    /// Who did what.
    pub async fn audit_list(&self, ask: &r::ListAudit) -> Result<m::AuditList> {
        self.get(&["audit"], ask).await
    }

    /// What each network takes.
    pub async fn network_list(&self) -> Result<m::NetworkList> {
        self.get(&["networks"], &()).await
    }

    /// What was deleted so far.
    pub async fn receipt_list(&self, ask: &r::ListReceipts) -> Result<m::ReceiptList> {
        self.get(&["receipts"], ask).await
    }

    /// Reads the configuration file again.
    pub async fn config_reload(&self) -> Result<m::Reloaded> {
        self.act(&["config", "reload"]).await
    }

    /// Sends a file up as it is read.
    pub async fn media_upload<S>(&self, name: Option<String>, file: S) -> Result<m::Uploaded>
    where
        S: TryStream<Ok = Bytes> + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request = self.request(Method::POST, &["media"], &r::Upload { name });
        self.json(request.body(reqwest::Body::wrap_stream(file))).await
    }

    /// A picture that the daemon keeps, made small.
    pub async fn media_thumbnail(&self, id: &str) -> Result<m::Thumbnail> {
        self.get(&["media", id, "thumbnail"], &()).await
    }

    /// All accounts.
    pub async fn account_list(&self) -> Result<m::AccountList> {
        self.get(&["accounts"], &()).await
    }

    /// One account.
    pub async fn account_show(&self, account: &str) -> Result<m::Account> {
        self.get(&["accounts", account], &()).await
    }

    /// Gives an account another local name.
    pub async fn account_rename(&self, account: &str, name: &str) -> Result<m::Account> {
        self.post(&["accounts", account, "rename"], &r::Rename { name: name.to_owned() }).await
    }

    /// Refreshes an account's token.
    pub async fn account_refresh(&self, account: &str) -> Result<m::Account> {
        self.act(&["accounts", account, "refresh"]).await
    }

    /// Stops sending to an account.
    pub async fn account_pause(&self, account: &str) -> Result<m::Account> {
        self.act(&["accounts", account, "pause"]).await
    }

    /// Sends to an account again.
    pub async fn account_resume(&self, account: &str) -> Result<m::Account> {
        self.act(&["accounts", account, "resume"]).await
    }

    /// Disconnects an account for good. Ask the user first.
    pub async fn account_disconnect(&self, account: &str) -> Result<m::ReceiptAnswer> {
        self.post(&["accounts", account, "disconnect"], &r::Confirm { confirm: true }).await
    }

    /// Disconnects every account of a person, `platform:id`, for good. Ask the user first.
    pub async fn erase_platform_user(&self, whom: &str) -> Result<m::ReceiptAnswer> {
        let ask = r::Erase { platform_user: Some(whom.to_owned()), confirm: true };
        self.post(&["erase"], &ask).await
    }

    /// Begins to connect an account.
    pub async fn connect_start(&self, ask: &r::Connect) -> Result<m::ConnectStarted> {
        self.post(&["connects"], ask).await
    }

    /// The events of a connect conversation.
    pub async fn connect_events(&self, id: &str) -> Result<BoxStream<'static, Result<m::ConnectEvent>>> {
        self.lines(&["connects", id, "events"], &()).await
    }

    /// Answers what was found.
    pub async fn connect_confirm(&self, id: &str, choice: &r::Choice) -> Result<m::Done> {
        self.post(&["connects", id, "confirm"], choice).await
    }

    /// Hands in the address the browser landed on.
    pub async fn connect_paste(&self, id: &str, address: &str) -> Result<m::Done> {
        self.post(&["connects", id, "paste"], &r::Paste { address: address.to_owned() }).await
    }

    /// Ends a connect conversation.
    pub async fn connect_cancel(&self, id: &str) -> Result<m::Done> {
        self.act(&["connects", id, "cancel"]).await
    }

    /// Checks a post and schedules it.
    pub async fn post_create(&self, ask: &r::CreatePost) -> Result<m::Post> {
        self.post(&["posts"], ask).await
    }

    /// Shows what each network would get.
    pub async fn post_check(&self, ask: &r::CreatePost) -> Result<m::Check> {
        self.post(&["posts", "check"], ask).await
    }

    /// Lists posts.
    pub async fn post_list(&self, ask: &r::ListPosts) -> Result<m::PostList> {
        self.get(&["posts"], ask).await
    }

    /// One post.
    pub async fn post_show(&self, id: &str) -> Result<m::Post> {
        self.get(&["posts", id], &()).await
    }

    /// Changes a post.
    pub async fn post_edit(&self, id: &str, ask: &r::EditPost) -> Result<m::Post> {
        self.json(self.request(Method::PATCH, &["posts", id], &()).json(ask)).await
    }

    /// Takes a post or delivery out of the schedule.
    pub async fn post_cancel(&self, id: &str) -> Result<m::Post> {
        self.act(&["posts", id, "cancel"]).await
    }

    /// Tries what failed again.
    pub async fn post_retry(&self, id: &str) -> Result<m::Post> {
        self.act(&["posts", id, "retry"]).await
    }

    /// Settles a delivery whose fate is unknown by the user's word.
    pub async fn post_resolve(&self, id: &str, word: &r::Resolve) -> Result<m::Post> {
        self.post(&["posts", id, "resolve"], word).await
    }

    /// Gives a post or delivery another time.
    pub async fn post_reschedule(&self, id: &str, to: r::Move, tz: Option<String>) -> Result<m::Post> {
        self.post(&["posts", id, "reschedule"], &r::Reschedule { to: Some(to), tz }).await
    }

    /// Takes a cancel or a move back; `ticket` is what its answer gave as `undo`.
    pub async fn post_undo(&self, id: &str, ticket: &str) -> Result<m::Post> {
        self.post(&["posts", id, "undo"], &r::Undo { ticket: ticket.to_owned() }).await
    }

    /// Deletes a post for good. Ask the user first.
    pub async fn post_delete(&self, id: &str, local_only: bool) -> Result<m::ReceiptAnswer> {
        self.post(&["posts", id, "delete"], &r::DeletePost { local_only, confirm: true }).await
    }

    /// All queues.
    pub async fn queue_list(&self) -> Result<m::QueueList> {
        self.get(&["queues"], &()).await
    }

    /// One queue and its next places.
    pub async fn queue_show(&self, queue: &str, next: Option<u32>) -> Result<m::Queue> {
        self.get(&["queues", queue], &r::ShowQueue { next }).await
    }

    /// Leaves a queue's places empty for now.
    pub async fn queue_pause(&self, queue: &str) -> Result<m::Queue> {
        self.act(&["queues", queue, "pause"]).await
    }

    /// Uses a queue's places again.
    pub async fn queue_resume(&self, queue: &str) -> Result<m::Queue> {
        self.act(&["queues", queue, "resume"]).await
    }

    /// Moves everything that waits in a queue, or nothing.
    pub async fn queue_reschedule(&self, queue: &str, by: &str) -> Result<m::PostList> {
        self.post(&["queues", queue, "reschedule"], &r::Shift { by: by.to_owned() }).await
    }

    /// A month in one look.
    pub async fn calendar(&self, ask: &r::Calendar) -> Result<m::Calendar> {
        self.get(&["calendar"], ask).await
    }
}

fn running() -> String {
    "is the daemon running? systemctl status sendoff, or start it: sendoff serve".to_owned()
}

/// The operating system's own error at the bottom of a chain.
fn io_cause(error: &reqwest::Error) -> Option<&std::io::Error> {
    let mut source = std::error::Error::source(error);
    let mut found = None;
    while let Some(cause) = source {
        found = cause.downcast_ref::<std::io::Error>().or(found);
        source = cause.source();
    }
    found
}

/// Cuts a body into JSON lines as they arrive.
fn split_lines<T: DeserializeOwned + Send + 'static>(
    response: reqwest::Response,
) -> impl futures_util::Stream<Item = Result<T>> + Send {
    stream::try_unfold((response, Vec::<u8>::new()), |(mut response, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|it| *it == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event = serde_json::from_slice(&line)
                    .map_err(|error| ClientError::Broken(format!("a line was not understood: {error}")))?;
                return Ok(Some((event, (response, rest))));
            }
            if rest.len() > LINE_MAX {
                return Err(ClientError::Broken("a line of the stream does not end".into()));
            }
            match response.chunk().await {
                Ok(Some(chunk)) => rest.extend_from_slice(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => {
                    let why = io_cause(&error).map_or_else(|| error.to_string(), ToString::to_string);
                    return Err(ClientError::Broken(why));
                }
            }
        }
    })
}
