//! What lies over a screen and takes the keys: questions, menus, lines to fill in.

use std::path::PathBuf;

use super::app::Tab;
use super::editor::Editor;
use super::effect::{Deed, Source, Trouble};
use super::keys::Action;
use super::look::Tone;
use super::remains::Remains;
use crate::control::messages as m;
use crate::control::requests as r;

#[derive(Debug, Clone)]
pub(crate) enum Layer {
    Confirm(Confirm),
    Prompt(Prompt),
    Menu(Menu),
    Marks(Marks),
    Palette(Palette),
    Sheet(Sheet),
    Connect(Box<Connecting>),
    Picture(Box<Picture>),
}

/// A question before something that cannot simply be undone. It names the object.
#[derive(Debug, Clone)]
pub(crate) struct Confirm {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) then: Then,
}

/// What a yes does.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    Do(Deed),
    /// At once, and as soon as there is a daemon if there is none.
    Promise {
        deed: Deed,
        what: String,
    },
    /// The draft that is being written goes.
    Discard,
    /// The console is left, whatever is not done.
    Leave,
    /// What an earlier run left is written on.
    TakeUp {
        path: PathBuf,
        remains: Box<Remains>,
    },
    /// Shows a post.
    Show(String),
}

/// A line to fill in.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) title: String,
    /// What may be written, and what becomes of it.
    pub(crate) about: String,
    pub(crate) entry: Editor,
    pub(crate) then: Ask,
}

/// What a filled-in line is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    Search,
    Move { id: String },
    Published { id: String },
    Rename { account: String },
    Instance { platform: String },
    At,
    File,
    Alt(usize),
    Part(usize),
    OptionValue { platform: String, key: String },
}

/// Things to choose one from.
#[derive(Debug, Clone)]
pub(crate) struct Menu {
    pub(crate) title: String,
    pub(crate) items: Vec<Item>,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) note: String,
    pub(crate) pick: Pick,
    /// The picture that it is about; a small one is shown beside the menu.
    pub(crate) picture: Option<Source>,
}

impl Item {
    /// The same, about a picture.
    pub(crate) fn of(self, picture: Source) -> Self {
        Self { picture: Some(picture), ..self }
    }
}

/// What a choice does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pick {
    State(Option<String>),
    Account(Option<String>),
    Network(Option<String>),
    Connect {
        platform: String,
        kind: Option<String>,
    },
    Ask(Ask, String, String, String),
    Confirm(String, Vec<String>, Deed),
    Now,
    Draft,
    Queue(String),
    MoveToQueue {
        id: String,
        queue: String,
    },
    Voice(Option<String>),
    DropVoice(String),
    DropFile(usize),
    Look {
        title: String,
        id: String,
    },
    /// Shows a directory to choose a file from.
    Browse(PathBuf),
    File(PathBuf),
    Option {
        platform: String,
        key: String,
    },
    Value {
        platform: String,
        key: String,
        value: Option<String>,
    },
}

/// Things to tick.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    pub(crate) title: String,
    /// Name, remark, ticked.
    pub(crate) items: Vec<(String, String, bool)>,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

/// All commands, narrowed by what is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Palette {
    pub(crate) entry: Editor,
    pub(crate) at: usize,
    pub(crate) top: usize,
    pub(crate) all: Vec<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) text: String,
    pub(crate) keys: String,
}

impl Palette {
    /// The commands that have every word that was written.
    pub(crate) fn found(&self) -> Vec<&Command> {
        let words = self.entry.text().to_lowercase();
        let fits = |it: &&Command| {
            let text = it.text.to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        };
        self.all.iter().filter(fits).collect()
    }
}

/// Something to read: a receipt, an error with all its problems.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) lines: Vec<(Tone, String)>,
    /// Stands before what goes on in a next line.
    pub(crate) indent: &'static str,
    pub(crate) top: usize,
}

/// A picture to look at.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) title: String,
    /// Of the question for it: an answer to an older one is not for this.
    pub(crate) ticket: u64,
    /// None: it is being read.
    pub(crate) shown: Option<super::picture::Shown>,
}

/// The conversation that connects an account.
#[derive(Debug, Clone)]
pub(crate) struct Connecting {
    pub(crate) ask: r::Connect,
    /// The network as people call it.
    pub(crate) title: String,
    pub(crate) id: Option<String>,
    pub(crate) link: Option<Link>,
    pub(crate) found: Option<Vec<(m::FoundAccount, bool)>>,
    pub(crate) at: usize,
    /// The pasted address is written here.
    pub(crate) pasting: bool,
    pub(crate) entry: Editor,
    pub(crate) error: Option<Trouble>,
    /// The answer is on its way.
    pub(crate) answered: bool,
    pub(crate) connected: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) expires_at: jiff::Timestamp,
    pub(crate) callback: Option<String>,
    pub(crate) code_lives_s: Option<u32>,
    /// The address as a QR code of half blocks; none if it is too long for one.
    pub(crate) code: Option<Vec<String>>,
}

/// Where a tab stands among its neighbours.
pub(crate) fn neighbour(tab: Tab, by: isize) -> Tab {
    let at = Tab::ALL.iter().position(|it| *it == tab).unwrap_or(0);
    let next = (at.cast_signed() + by).rem_euclid(Tab::ALL.len().cast_signed());
    Tab::ALL[next.cast_unsigned()]
}
