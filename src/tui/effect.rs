//! What the console asks for, and what comes back.

use std::path::PathBuf;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::picture::Shown;
use super::remains::Remains;
use crate::control::messages as m;
use crate::control::requests as r;

/// Everything that can wake the console.
#[derive(Debug)]
pub(crate) enum Msg {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(u16, u16),
    /// Time passes, about twice a second.
    Tick(Timestamp),
    /// The daemon answers.
    Up(Box<m::Status>),
    /// It does not, or not any more.
    Down(Trouble),
    Event(Box<m::LogEvent>),
    Loaded(Load, Result<Loaded, Trouble>),
    Done(Deed, Result<Outcome, Trouble>),
    Connect(ConnectNews),
    /// What was written on a page; `key` says on which.
    Saved {
        key: String,
        result: Box<Result<m::Post, Trouble>>,
    },
    Checked {
        revision: u64,
        result: Box<Result<m::Check, Trouble>>,
    },
    Uploaded {
        ticket: u64,
        path: PathBuf,
        result: Box<Result<m::Uploaded, Trouble>>,
    },
    /// A page that an earlier run could not leave with the daemon, and how many more there are.
    Left {
        path: PathBuf,
        remains: Box<Remains>,
        more: usize,
    },
    /// A picture, ready to be drawn; or why it is not. `ticket` is that of the question.
    Picture {
        ticket: u64,
        result: Box<Result<Shown, String>>,
    },
    /// The same, small, for so many cells.
    Thumb {
        source: Source,
        cells: (u16, u16),
        result: Box<Result<Shown, String>>,
    },
    /// What lies in a directory, and which one that is in full.
    Browsed(Result<(PathBuf, Vec<Entry>), String>),
    /// The text as it came back from `$EDITOR`.
    Edited(Result<String, String>),
}

/// Why something was not answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Everything wrong with a refused post.
    pub(crate) problems: Vec<m::Problem>,
    /// Nobody was reached, or the answer was lost: it may be tried again.
    pub(crate) lost: bool,
}

/// Something to be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Load {
    Status,
    Accounts,
    Queues,
    Networks,
    /// What is due next, what needs a person, the drafts.
    Due,
    Attention,
    Drafts,
    /// What went out last.
    Lately,
    /// What was published within the last four weeks, for the chart.
    Activity,
    Page {
        list: u64,
        index: usize,
        ask: Box<r::ListPosts>,
    },
    Post(String),
    /// A draft or scheduled post, to write on.
    Open(String),
    Calendar {
        month: Option<String>,
    },
    /// The posts of one day, reckoned in a zone.
    Day {
        day: jiff::civil::Date,
        zone: String,
    },
    Receipts,
    Audit {
        after: Option<String>,
    },
    Doctor,
    /// An account with what it cost.
    Account(String),
}

/// What was read.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    Status(Box<m::Status>),
    Accounts(m::AccountList),
    Queues(m::QueueList),
    Networks(m::NetworkList),
    Posts(m::PostList),
    Post(Box<m::Post>),
    Calendar(m::Calendar),
    Receipts(m::ReceiptList),
    Audit(m::AuditList),
    Doctor(m::Diagnosis),
    Account(Box<m::Account>),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deed {
    Pause,
    Resume,
    Retry(String),
    Cancel(String),
    Delete {
        id: String,
        local_only: bool,
        /// What of it waits to be sent is cancelled first.
        open: bool,
    },
    /// Takes a cancel or a move back.
    Undo {
        id: String,
        ticket: String,
    },
    Resolve {
        id: String,
        word: r::Resolve,
    },
    Move {
        id: String,
        to: r::Move,
        tz: Option<String>,
    },
    AccountPause(String),
    AccountResume(String),
    AccountRefresh(String),
    AccountRename {
        account: String,
        name: String,
    },
    Disconnect(String),
    /// Gives the draft that is being written its time.
    Schedule {
        id: String,
        to: r::Move,
        tz: Option<String>,
    },
    /// Changes a post that has a time already, and moves it if another time was given.
    Amend {
        id: String,
        ask: Box<r::EditPost>,
        to: Option<r::Move>,
        copy: Option<String>,
    },
}

/// What a deed gave.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Nothing,
    Post(Box<m::Post>),
    Account(Box<m::Account>),
    Receipt(m::Receipt),
}

/// News of the conversation that connects an account.
#[derive(Debug)]
pub(crate) enum ConnectNews {
    Started(String),
    Event(Box<m::ConnectEvent>),
    /// It cannot go on.
    Broken(Trouble),
    /// The pasted address was not one of ours; it may be mended.
    NotTaken(Trouble),
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The daemon keeps it; the id of its media file.
    Kept(String),
    /// On this machine.
    File(PathBuf),
}

/// What lies in a directory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// None: a directory.
    pub(crate) bytes: Option<u64>,
}

/// What `update` wants carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Load(Load),
    Do(Deed),
    /// Keeps what is being written: makes the draft, or changes it.
    Create(Box<r::CreatePost>),
    Edit {
        /// Of the page.
        key: String,
        id: String,
        ask: Box<r::EditPost>,
    },
    Check {
        revision: u64,
        ask: Box<r::CreatePost>,
    },
    Upload {
        ticket: u64,
        path: PathBuf,
    },
    /// The daemon has what this file of an earlier run holds.
    Forget(PathBuf),
    Connect(Box<r::Connect>),
    Confirm {
        id: String,
        choice: r::Choice,
    },
    Pasted {
        id: String,
        address: String,
    },
    Leave(String),
    /// Shows a picture.
    Look {
        ticket: u64,
        source: Source,
    },
    /// Makes a picture small enough for so many cells, if that is done soon.
    Thumb {
        source: Source,
        cells: (u16, u16),
    },
    /// Lists a directory of this machine, to choose a file from.
    Browse(PathBuf),
    /// Hands the text to `$EDITOR`.
    Editor(String),
    /// Draws every cell again: something else wrote on the terminal.
    Redraw,
}
