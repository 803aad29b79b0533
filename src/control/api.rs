//! What the daemon must be able to do, one method per operation, and how it says no.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::messages as m;
use super::requests as r;

/// Who is on the other end of the socket, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    /// Not every kernel tells.
    pub pid: Option<i32>,
}

/// The bytes of a file on their way up. Ends with an error if the client goes away.
pub type Upload = BoxStream<'static, io::Result<Bytes>>;

/// What the control socket asks of the daemon.
///
/// Every method may be called at any time and from many tasks at once; implementations check what they are
/// given, since bodies come from whoever may open the socket. Destructive methods are only called with a
/// confirm token (the server refuses without). Audit rows are the implementation's, from the [`Caller`].
#[async_trait]
pub trait Api: Send + Sync + 'static {
    /// Begins a connect conversation. Its events wait until [`Api::connect_events`] is called.
    async fn connect_start(&self, by: Caller, ask: r::Connect) -> ApiResult<m::ConnectStarted>;
    /// The events of a conversation, from its first one. Ends after `connected` or `failed`.
    async fn connect_events(&self, by: Caller, id: &str) -> ApiResult<BoxStream<'static, m::ConnectEvent>>;
    /// Answers what was found. [`r::Choice::No`] gives the grant back and ends in `failed`.
    async fn connect_confirm(&self, by: Caller, id: &str, choice: r::Choice) -> ApiResult<m::Done>;
    /// The address the browser landed on. Only for a conversation begun with `paste`.
    async fn connect_paste(&self, by: Caller, id: &str, address: &str) -> ApiResult<m::Done>;
    /// Ends a conversation; nothing is stored.
    async fn connect_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Done>;

    async fn account_list(&self, by: Caller) -> ApiResult<m::AccountList>;
    /// `account` is `platform:handle`, here and below.
    async fn account_show(&self, by: Caller, account: &str) -> ApiResult<m::Account>;
    /// Gives it another local name.
    async fn account_rename(&self, by: Caller, account: &str, name: &str) -> ApiResult<m::Account>;
    /// Refreshes its token now.
    async fn account_refresh(&self, by: Caller, account: &str) -> ApiResult<m::Account>;
    /// Stops sending to it. Already paused: the account as it is.
    async fn account_pause(&self, by: Caller, account: &str) -> ApiResult<m::Account>;
    /// Sends to it again.
    async fn account_resume(&self, by: Caller, account: &str) -> ApiResult<m::Account>;
    /// Revokes the grant, deletes the rows, destroys the data key.
    async fn account_disconnect(&self, by: Caller, account: &str) -> ApiResult<m::ReceiptAnswer>;
    /// Disconnects every account of a person whom a network's app knows by an id, `platform:id`.
    async fn erase_platform_user(&self, by: Caller, whom: &str) -> ApiResult<m::ReceiptAnswer>;

    /// Validates, then schedules. Refused: [`ErrorKind::Refused`] with every problem.
    async fn post_create(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Post>;
    /// Validates and shows what each network would get; sends and stores nothing.
    async fn post_check(&self, by: Caller, ask: r::CreatePost) -> ApiResult<m::Check>;
    async fn post_list(&self, by: Caller, ask: r::ListPosts) -> ApiResult<m::PostList>;
    /// `id` is `pst_…`, or `dlv_…` for the post with that one delivery.
    async fn post_show(&self, by: Caller, id: &str) -> ApiResult<m::Post>;
    /// `id` is `pst_…`.
    async fn post_edit(&self, by: Caller, id: &str, ask: r::EditPost) -> ApiResult<m::Post>;
    /// `id` is `pst_…` (all its deliveries) or `dlv_…`.
    async fn post_cancel(&self, by: Caller, id: &str) -> ApiResult<m::Post>;
    /// `id` is `pst_…` (all its failed deliveries) or `dlv_…`.
    async fn post_resolve(&self, by: Caller, id: &str, word: r::Resolve) -> ApiResult<m::Post>;

    async fn post_retry(&self, by: Caller, id: &str) -> ApiResult<m::Post>;
    /// `id` is `pst_…` or `dlv_…`; a draft is scheduled by it.
    async fn post_reschedule(
        &self,
        by: Caller,
        id: &str,
        to: r::Move,
        tz: Option<String>,
    ) -> ApiResult<m::Post>;
    /// `id` is `pst_…`, `ticket` what a cancel or a move of it answered: puts it back, within a minute.
    async fn post_undo(&self, by: Caller, id: &str, ticket: &str) -> ApiResult<m::Post>;
    /// `id` is `pst_…`. Removes it from the networks too unless `local_only`.
    async fn post_delete(&self, by: Caller, id: &str, local_only: bool) -> ApiResult<m::ReceiptAnswer>;

    async fn queue_list(&self, by: Caller) -> ApiResult<m::QueueList>;
    /// `next`: how many places to show.
    async fn queue_show(&self, by: Caller, queue: &str, next: u32) -> ApiResult<m::Queue>;
    async fn queue_pause(&self, by: Caller, queue: &str) -> ApiResult<m::Queue>;
    async fn queue_resume(&self, by: Caller, queue: &str) -> ApiResult<m::Queue>;
    /// Moves every post that waits in the queue by `shift` (`+2h`, `-30m`): all of them, or none.
    async fn queue_reschedule(&self, by: Caller, queue: &str, shift: &str) -> ApiResult<m::PostList>;

    /// A month: what is due, which places are free, which runs are to come.
    async fn calendar(&self, by: Caller, ask: r::Calendar) -> ApiResult<m::Calendar>;

    /// Nothing new is sent; what is on the wire is finished.
    async fn pause(&self, by: Caller, reason: Option<String>) -> ApiResult<m::PauseState>;
    async fn resume(&self, by: Caller) -> ApiResult<m::PauseState>;
    async fn status(&self, by: Caller) -> ApiResult<m::Status>;
    /// Looks for faults of the set-up: this host's and every configured network's, or one network's.
    async fn doctor(&self, by: Caller, ask: r::Doctor) -> ApiResult<m::Diagnosis>;
    /// Past events (`backlog`, or everything behind `after`), then those that happen; without `follow` it
    /// ends with the past.
    async fn events(&self, by: Caller, ask: r::Events) -> ApiResult<BoxStream<'static, m::LogEvent>>;
    async fn audit_list(&self, by: Caller, ask: r::ListAudit) -> ApiResult<m::AuditList>;
    /// Reads the configuration file again; a bad one changes nothing.
    async fn config_reload(&self, by: Caller) -> ApiResult<m::Reloaded>;
    /// What each network of this version takes.
    async fn network_list(&self, by: Caller) -> ApiResult<m::NetworkList>;
    /// What was deleted so far, newest first.
    async fn receipt_list(&self, by: Caller, ask: r::ListReceipts) -> ApiResult<m::ReceiptList>;

    /// Stores a file. The implementation ends reading at its own cap; the kind comes from the content, `name`
    /// is only what the user calls it.
    async fn media_upload(&self, by: Caller, name: Option<String>, body: Upload) -> ApiResult<m::Uploaded>;
    /// A picture that is kept, made small. `id` is `med_…`.
    async fn media_thumbnail(&self, by: Caller, id: &str) -> ApiResult<m::Thumbnail>;
}

/// The largest body, in bytes, that is not a media file.
pub(super) const BODY_MAX: usize = 1 << 20;

/// What an operation gives back.
pub type ApiResult<T> = Result<T, ApiError>;

/// Which kind of no it is. Decides the HTTP status and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself makes no sense: malformed name, unknown option, unreadable time. 400, exit 2.
    BadRequest,
    /// The caller may not use this socket. 403, exit 1.
    Forbidden,
    /// No such account, post, queue or conversation. 404, exit 1.
    NotFound,
    /// It is there and cannot do this now: already sent, name taken, key used for other content. 409, exit 1.
    Conflict,
    /// The body is over the limit. 413, exit 1.
    TooLarge,
    /// Understood and against the rules: validation, a time in the past. 422, exit 1.
    Refused,
    /// It was tried and failed: the network said no or did not answer. 502, exit 1.
    Failed,
    /// The daemon is starting, stopping, or its store failed. 503, exit 1.
    NotReady,
    /// A fault of ours. 500, exit 1.
    Internal,
}

impl ErrorKind {
    const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Refused,
        Self::Failed,
        Self::NotReady,
        Self::Internal,
    ];

    /// The HTTP status on the socket.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Refused => 422,
            Self::Failed => 502,
            Self::NotReady => 503,
            Self::Internal => 500,
        }
    }

    /// The kind behind a status; one we do not know is [`ErrorKind::Internal`].
    pub fn from_status(status: u16) -> Self {
        Self::ALL.into_iter().find(|it| it.status() == status).unwrap_or(Self::Internal)
    }

    /// The exit code of a command that met it: 2 for what the user must write differently, else 1.
    pub fn exit_code(self) -> u8 {
        if self == Self::BadRequest { 2 } else { 1 }
    }
}

/// How the daemon says no.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ErrorKind,
    /// A stable word for scripts: `unknown_account`, `past_time`.
    pub code: String,
    /// Lower case, no full stop, values in backticks.
    pub message: String,
    /// What to do about it, if there is something.
    pub hint: Option<String>,
    /// Everything wrong with a refused post.
    pub problems: Vec<m::Problem>,
    /// The check's view of each target of a refused post. A boxed slice keeps the error small.
    pub targets: Box<[m::CheckTarget]>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            hint: None,
            problems: Vec::new(),
            targets: Box::default(),
        }
    }

    /// Something the request's author must write differently.
    pub fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, code, message)
    }

    /// A body over [`BODY_MAX`].
    pub(super) fn too_large() -> Self {
        let message = format!("the request is larger than {BODY_MAX} bytes, or was cut off");
        Self::new(ErrorKind::TooLarge, "too_large", message)
            .hint("no network takes a text of that length; files go up with `--media`")
    }

    /// Something that is not there.
    pub fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// Something that is there and cannot do this now.
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// A post that failed its check: the problems of all targets, flattened.
    pub fn refused(message: impl Into<String>, targets: Vec<m::CheckTarget>) -> Self {
        let problems = targets.iter().flat_map(|it| it.problems.iter().cloned()).collect();
        Self { problems, targets: targets.into(), ..Self::new(ErrorKind::Refused, "validation", message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error as it stands in an answer.
    pub fn detail(&self) -> m::ErrorDetail {
        m::ErrorDetail {
            code: self.code.clone(),
            message: self.message.clone(),
            hint: self.hint.clone(),
            problems: self.problems.clone(),
            targets: self.targets.to_vec(),
        }
    }

    /// The error behind an answer.
    pub fn from_detail(kind: ErrorKind, detail: m::ErrorDetail) -> Self {
        Self {
            kind,
            code: detail.code,
            message: detail.message,
            hint: detail.hint,
            problems: detail.problems,
            targets: detail.targets.into(),
        }
    }
}
