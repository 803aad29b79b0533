//! Keys are data: dispatcher, footer, help and palette all read [`KEYS`], so that none of them can lie.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Link, Screen, Tab};
use super::compose::Field;
use super::editor::Go;
use super::layer::Layer;

/// A key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) KeyCode, pub(crate) KeyModifiers);

const fn ch(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::NONE)
}

const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::CONTROL)
}

const fn alt(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::ALT)
}

const fn on(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
}

const fn with_ctrl(code: KeyCode) -> Key {
    Key(code, KeyModifiers::CONTROL)
}

impl Key {
    /// The key of an event. Shift is in the letter already.
    pub(crate) fn of(event: &KeyEvent) -> Self {
        match event.code {
            KeyCode::Char(_) | KeyCode::BackTab => {
                Self(event.code, event.modifiers.difference(KeyModifiers::SHIFT))
            }
            code => Self(code, event.modifiers),
        }
    }

    /// Whether it types a sign where a text is written.
    pub(crate) fn types(self) -> Option<char> {
        match self {
            Self(KeyCode::Char(c), KeyModifiers::NONE) => Some(c),
            _ => None,
        }
    }

    /// The key as people read it: `Ctrl-S`, `Enter`.
    pub(crate) fn name(self) -> String {
        let name = match self.0 {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.1.is_empty() => c.to_string(),
            KeyCode::Char(c) => c.to_uppercase().collect(),
            KeyCode::F(n) => format!("F{n}"),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            other => format!("{other:?}"),
        };
        let mut before = String::new();
        if self.1.contains(KeyModifiers::CONTROL) {
            before += "Ctrl-";
        }
        if self.1.contains(KeyModifiers::ALT) {
            before += "Alt-";
        }
        before + &name
    }
}

/// Where a key means what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Everywhere; letters only where no text is written.
    Global,
    /// In every list.
    List,
    /// Where a delivery or a draft is under the cursor.
    Row,
    Overview,
    Timeline,
    Calendar,
    Post,
    Accounts,
    Compose,
    /// Wherever a text is written.
    Writing,
    /// Where the text of a post is written.
    Lines,
    Log,
    Doctor,
    Deletions,
    Confirm,
    Prompt,
    Menu,
    Marks,
    Palette,
    Sheet,
    /// A link waits for the browser.
    Link,
    /// Accounts were found.
    Found,
}

impl At {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::List => "Lists",
            Self::Row => "A delivery or a draft",
            Self::Overview => "Overview",
            Self::Timeline => "Timeline",
            Self::Calendar => "Calendar",
            Self::Post => "Post",
            Self::Accounts => "Accounts",
            Self::Compose => "Compose",
            Self::Writing => "Writing",
            Self::Lines => "Writing the text of a post",
            Self::Log => "Log",
            Self::Doctor => "Doctor",
            Self::Deletions => "Deletions",
            Self::Confirm => "A question",
            Self::Prompt => "A line to fill in",
            Self::Menu => "A menu",
            Self::Marks => "A list to tick",
            Self::Palette => "Palette",
            Self::Sheet => "A sheet to read",
            Self::Link => "Connecting: the link",
            Self::Found => "Connecting: what was found",
        }
    }

    /// In the order of the help.
    pub(crate) const ALL: [Self; 22] = [
        Self::Global,
        Self::List,
        Self::Row,
        Self::Overview,
        Self::Timeline,
        Self::Calendar,
        Self::Post,
        Self::Compose,
        Self::Writing,
        Self::Lines,
        Self::Accounts,
        Self::Link,
        Self::Found,
        Self::Deletions,
        Self::Log,
        Self::Doctor,
        Self::Confirm,
        Self::Prompt,
        Self::Menu,
        Self::Marks,
        Self::Palette,
        Self::Sheet,
    ];
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Go(Tab),
    NextTab,
    PreviousTab,
    Palette,
    Help,
    Quit,
    /// Without a question: what no daemon has goes into a file.
    Leave,
    /// Closes what is on top, or goes back.
    Back,
    Refresh,
    Undo,
    PauseAll,
    ResumeAll,
    New,

    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    /// Opens, answers, chooses: what `Enter` does.
    Enter,

    Retry,
    RetryAll,
    Cancel,
    CancelAll,
    Move,
    Delete,
    Resolve,
    Edit,
    Look,

    Health,

    FilterState,
    FilterAccount,
    FilterNetwork,
    Search,
    Order,
    ClearFilter,

    DayLeft,
    DayRight,
    WeekUp,
    WeekDown,
    MonthBack,
    MonthOn,
    Today,
    Week,
    Earlier,
    Later,

    Connect,
    Reconnect,
    TogglePause,
    RefreshToken,
    Rename,
    Disconnect,

    Submit,
    NextField,
    PreviousField,
    Write(Go),
    Backspace,
    DeleteNext,
    DeleteWord,
    DeleteToEnd,
    /// A line to fill in is empty then.
    DeleteLine,
    UndoText,
    RedoText,
    Newline,
    AddPart,
    DropPart,
    NextPart,
    PreviousPart,
    SplitParts,
    Voice,
    NextVoice,
    PreviousVoice,
    External,
    Verdicts,
    Discard,
    Remove,

    Yes,
    No,
    Tick,
    TickAll,
    Paste,
    Audit,
    /// All that is known of what is under the cursor.
    Whole,
}

/// One line of the table.
pub(crate) struct Binding {
    pub(crate) keys: &'static [Key],
    pub(crate) at: At,
    pub(crate) action: Action,
    /// For the footer; empty: not there.
    pub(crate) short: &'static str,
    pub(crate) help: &'static str,
}

const fn bind(
    at: At,
    keys: &'static [Key],
    action: Action,
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, at, action, short, help }
}

/// Every key there is. Where several fit, the more particular place comes first ([`places`]).
pub(crate) const KEYS: &[Binding] = &[
    bind(At::Global, &[ch(':'), ctrl('p')], Action::Palette, "commands", "choose from all commands"),
    bind(At::Global, &[ch('?'), on(KeyCode::F(1))], Action::Help, "help", "all keys"),
    bind(At::Global, &[on(KeyCode::Esc)], Action::Back, "back", "close, or go back"),
    bind(At::Global, &[ch('q')], Action::Quit, "quit", "leave the console; drafts are kept"),
    bind(At::Global, &[ctrl('c')], Action::Leave, "", "leave at once, whatever is open"),
    bind(At::Global, &[ch('1')], Action::Go(Tab::Overview), "", "overview"),
    bind(At::Global, &[ch('2')], Action::Go(Tab::Timeline), "", "timeline: every delivery"),
    bind(At::Global, &[ch('3')], Action::Go(Tab::Calendar), "", "calendar"),
    bind(At::Global, &[ch('4')], Action::Go(Tab::Compose), "", "compose"),
    bind(At::Global, &[ch('5')], Action::Go(Tab::Accounts), "", "accounts"),
    bind(At::Global, &[ch('6')], Action::Go(Tab::Deletions), "", "deletions and their receipts"),
    bind(At::Global, &[ch('7')], Action::Go(Tab::Log), "", "log and audit trail"),
    bind(At::Global, &[ch('8')], Action::Go(Tab::Doctor), "", "doctor: faults of the set-up"),
    bind(At::Global, &[ch(']'), on(KeyCode::F(6))], Action::NextTab, "", "next screen"),
    bind(At::Global, &[ch('['), on(KeyCode::F(5))], Action::PreviousTab, "", "previous screen"),
    bind(At::Global, &[ch('n'), ctrl('n')], Action::New, "new post", "write a new post"),
    bind(At::Global, &[ch('u')], Action::Undo, "", "take back the last cancel or move, then the one before"),
    bind(At::Global, &[ctrl('l')], Action::Refresh, "", "read everything again and draw anew"),
    bind(At::Global, &[ch('P')], Action::PauseAll, "", "emergency stop: send nothing new"),
    bind(At::Global, &[ch('S')], Action::ResumeAll, "", "send again after an emergency stop"),
    // Lists.
    bind(At::List, &[on(KeyCode::Up), ch('k')], Action::Up, "", "up"),
    bind(At::List, &[on(KeyCode::Down), ch('j')], Action::Down, "", "down"),
    bind(At::List, &[on(KeyCode::PageUp), ctrl('u')], Action::PageUp, "", "a page up"),
    bind(At::List, &[on(KeyCode::PageDown), ctrl('d')], Action::PageDown, "", "a page down"),
    bind(At::List, &[on(KeyCode::Home), ch('g')], Action::Top, "", "to the first"),
    bind(At::List, &[on(KeyCode::End), ch('G')], Action::Bottom, "", "to the last"),
    // Deliveries.
    bind(At::Row, &[ch('r')], Action::Retry, "retry", "try this delivery again, or at once"),
    bind(At::Row, &[ch('c')], Action::Cancel, "cancel", "do not send this delivery"),
    bind(At::Row, &[ch('m')], Action::Move, "move", "give the post another time"),
    bind(At::Row, &[ch('v')], Action::Resolve, "", "settle a delivery whose fate is unknown"),
    bind(At::Row, &[ch('e')], Action::Edit, "edit", "write on: a draft, or a post that has a time"),
    bind(At::Row, &[ch('x')], Action::Delete, "delete", "delete the post, on the networks too"),
    bind(At::Post, &[ch('R')], Action::RetryAll, "", "try all failed deliveries of this post again"),
    bind(At::Post, &[ch('i')], Action::Look, "", "look at the pictures of this post"),
    bind(At::Post, &[ch('C')], Action::CancelAll, "", "do not send any delivery of this post"),
    bind(
        At::Overview,
        &[on(KeyCode::Enter)],
        Action::Enter,
        "open",
        "open it: a post, or a draft to write on",
    ),
    bind(At::Overview, &[ch('i')], Action::Health, "", "all alerts, and how everything stands"),
    // Timeline.
    bind(At::Timeline, &[on(KeyCode::Enter)], Action::Enter, "open", "open the post"),
    bind(At::Timeline, &[ch('f')], Action::FilterState, "state", "show one state only"),
    bind(At::Timeline, &[ch('a')], Action::FilterAccount, "account", "show one account only"),
    bind(At::Timeline, &[ch('p')], Action::FilterNetwork, "", "show one network only"),
    bind(At::Timeline, &[ch('/')], Action::Search, "search", "show posts with these words"),
    bind(At::Timeline, &[ch('o')], Action::Order, "order", "oldest or newest first"),
    bind(At::Timeline, &[ch('0'), on(KeyCode::Backspace)], Action::ClearFilter, "", "show everything"),
    // Calendar.
    bind(At::Calendar, &[on(KeyCode::Enter)], Action::Enter, "open", "open the post"),
    bind(At::Calendar, &[on(KeyCode::Left), ch('h')], Action::DayLeft, "", "a day back"),
    bind(At::Calendar, &[on(KeyCode::Right), ch('l')], Action::DayRight, "day", "a day on"),
    bind(At::Calendar, &[on(KeyCode::Up), ch('K')], Action::WeekUp, "", "a week back"),
    bind(At::Calendar, &[on(KeyCode::Down), ch('J')], Action::WeekDown, "", "a week on"),
    bind(At::Calendar, &[ch('k')], Action::Up, "", "the delivery before on this day"),
    bind(At::Calendar, &[ch('j'), on(KeyCode::Tab)], Action::Down, "", "the next delivery on this day"),
    bind(At::Calendar, &[on(KeyCode::PageUp), ch('<')], Action::MonthBack, "", "a month back"),
    bind(At::Calendar, &[on(KeyCode::PageDown), ch('>')], Action::MonthOn, "", "a month on"),
    bind(At::Calendar, &[ch('t')], Action::Today, "today", "to today"),
    bind(At::Calendar, &[ch('w')], Action::Week, "week", "the week, or the month"),
    bind(At::Calendar, &[ch('-')], Action::Earlier, "", "move the post a day earlier"),
    bind(At::Calendar, &[ch('+'), ch('=')], Action::Later, "a day later", "move the post a day later"),
    // Accounts.
    bind(At::Accounts, &[ch('n'), ch('a')], Action::Connect, "connect", "connect an account"),
    bind(At::Accounts, &[ch('R')], Action::Reconnect, "reconnect", "connect this account again"),
    bind(At::Accounts, &[ch('p')], Action::TogglePause, "pause", "stop sending to it, or send again"),
    bind(At::Accounts, &[ch('f')], Action::RefreshToken, "", "refresh its token now"),
    bind(At::Accounts, &[ch('N')], Action::Rename, "", "give it another local name"),
    bind(At::Accounts, &[ch('D')], Action::Disconnect, "disconnect", "disconnect it for good"),
    bind(
        At::Accounts,
        &[on(KeyCode::Enter), ch('i')],
        Action::Whole,
        "",
        "all that is known of this account",
    ),
    // Compose.
    bind(At::Compose, &[ctrl('s')], Action::Submit, "send", "schedule it, or send it"),
    bind(At::Compose, &[on(KeyCode::Tab)], Action::NextField, "next field", "next field"),
    bind(At::Compose, &[on(KeyCode::BackTab)], Action::PreviousField, "", "previous field"),
    bind(At::Compose, &[on(KeyCode::Enter)], Action::Enter, "change", "change the field under the cursor"),
    bind(
        At::Compose,
        &[alt('p')],
        Action::Verdicts,
        "verdicts",
        "all that the networks say, and what each would get",
    ),
    bind(At::Compose, &[alt('v')], Action::Voice, "own text", "write an own text for one account or network"),
    bind(At::Compose, &[alt('l')], Action::NextVoice, "", "to the next own text"),
    bind(At::Compose, &[alt('h')], Action::PreviousVoice, "", "to the own text before"),
    bind(At::Compose, &[alt('n')], Action::AddPart, "thread", "add a part to the thread"),
    bind(At::Compose, &[alt('d')], Action::DropPart, "", "take this part out of the thread"),
    bind(At::Compose, &[alt('s')], Action::SplitParts, "", "split a long text into the parts of a thread"),
    bind(At::Compose, &[with_ctrl(KeyCode::PageDown), alt('j')], Action::NextPart, "", "next part"),
    bind(At::Compose, &[with_ctrl(KeyCode::PageUp), alt('k')], Action::PreviousPart, "", "previous part"),
    bind(At::Compose, &[alt('e')], Action::External, "$EDITOR", "write it in your own editor ($EDITOR)"),
    bind(
        At::Compose,
        &[on(KeyCode::Delete)],
        Action::Remove,
        "",
        "on the media field: take the last file out",
    ),
    bind(At::Compose, &[alt('x')], Action::Discard, "", "throw this draft away"),
    // Writing.
    bind(At::Writing, &[on(KeyCode::Left), ctrl('b')], Action::Write(Go::Left), "", "left"),
    bind(At::Writing, &[on(KeyCode::Right), ctrl('f')], Action::Write(Go::Right), "", "right"),
    bind(At::Writing, &[with_ctrl(KeyCode::Left), alt('b')], Action::Write(Go::WordLeft), "", "a word left"),
    bind(
        At::Writing,
        &[with_ctrl(KeyCode::Right), alt('f')],
        Action::Write(Go::WordRight),
        "",
        "a word right",
    ),
    bind(At::Writing, &[on(KeyCode::Home), ctrl('a')], Action::Write(Go::Home), "", "beginning of the line"),
    bind(At::Writing, &[on(KeyCode::End), ctrl('e')], Action::Write(Go::End), "", "end of the line"),
    bind(At::Writing, &[on(KeyCode::Backspace), ctrl('h')], Action::Backspace, "", "delete to the left"),
    bind(At::Writing, &[on(KeyCode::Delete)], Action::DeleteNext, "", "delete to the right"),
    bind(At::Writing, &[ctrl('w')], Action::DeleteWord, "", "delete the word to the left"),
    bind(At::Writing, &[ctrl('k')], Action::DeleteToEnd, "", "delete to the end of the line"),
    bind(
        At::Writing,
        &[ctrl('u')],
        Action::DeleteLine,
        "",
        "delete to the beginning of the line; a field of one line whole",
    ),
    bind(At::Writing, &[ctrl('z')], Action::UndoText, "", "undo"),
    bind(At::Writing, &[ctrl('y')], Action::RedoText, "", "redo"),
    bind(At::Lines, &[on(KeyCode::Up)], Action::Write(Go::Up), "", "a line up"),
    bind(At::Lines, &[on(KeyCode::Down)], Action::Write(Go::Down), "", "a line down"),
    bind(At::Lines, &[with_ctrl(KeyCode::Home)], Action::Write(Go::Top), "", "beginning of the text"),
    bind(At::Lines, &[with_ctrl(KeyCode::End)], Action::Write(Go::Bottom), "", "end of the text"),
    bind(At::Lines, &[on(KeyCode::Enter)], Action::Newline, "", "a new line"),
    // The rest of the screens.
    bind(
        At::Log,
        &[ch('a'), on(KeyCode::Tab)],
        Action::Audit,
        "audit or log",
        "who did what, or what happened",
    ),
    bind(At::Log, &[on(KeyCode::Enter)], Action::Enter, "open", "open the post that the line is about"),
    bind(At::Log, &[ch('i')], Action::Whole, "", "the whole line"),
    bind(At::Doctor, &[ch('r')], Action::Refresh, "look again", "look at the set-up again"),
    bind(At::Doctor, &[on(KeyCode::Enter), ch('i')], Action::Whole, "whole", "all that is said of this"),
    bind(At::Deletions, &[ch('r')], Action::Refresh, "", "read it again"),
    bind(At::Deletions, &[on(KeyCode::Enter), ch('i')], Action::Whole, "whole", "the whole receipt"),
    // Layers.
    bind(At::Confirm, &[ch('y'), ch('Y')], Action::Yes, "yes", "do it"),
    bind(At::Confirm, &[ch('n'), ch('N'), on(KeyCode::Esc)], Action::No, "no", "leave it"),
    bind(At::Prompt, &[on(KeyCode::Enter)], Action::Enter, "take it", "take what is written"),
    bind(At::Prompt, &[on(KeyCode::Esc)], Action::Back, "leave", "leave it as it was"),
    bind(At::Menu, &[on(KeyCode::Up), ch('k')], Action::Up, "", "up"),
    bind(At::Menu, &[on(KeyCode::Down), ch('j')], Action::Down, "", "down"),
    bind(At::Menu, &[on(KeyCode::PageUp)], Action::PageUp, "", "ten up"),
    bind(At::Menu, &[on(KeyCode::PageDown)], Action::PageDown, "", "ten down"),
    bind(At::Menu, &[on(KeyCode::Home), ch('g')], Action::Top, "", "to the first"),
    bind(At::Menu, &[on(KeyCode::End), ch('G')], Action::Bottom, "", "to the last"),
    bind(At::Menu, &[on(KeyCode::Enter), ch(' ')], Action::Enter, "choose", "choose"),
    bind(At::Menu, &[ch('i')], Action::Look, "", "among files: look at the picture before it is chosen"),
    bind(At::Menu, &[on(KeyCode::Esc), ch('q')], Action::Back, "leave", "close"),
    bind(At::Marks, &[on(KeyCode::Up), ch('k')], Action::Up, "", "up"),
    bind(At::Marks, &[on(KeyCode::Down), ch('j')], Action::Down, "", "down"),
    bind(At::Marks, &[on(KeyCode::PageUp)], Action::PageUp, "", "ten up"),
    bind(At::Marks, &[on(KeyCode::PageDown)], Action::PageDown, "", "ten down"),
    bind(At::Marks, &[ch(' '), ch('x')], Action::Tick, "tick", "tick, or take the tick away"),
    bind(At::Marks, &[ch('a')], Action::TickAll, "all", "tick all, or none"),
    bind(At::Marks, &[on(KeyCode::Enter)], Action::Enter, "take them", "take what is ticked"),
    bind(At::Marks, &[on(KeyCode::Esc), ch('q')], Action::Back, "leave", "leave it as it was"),
    bind(At::Palette, &[on(KeyCode::Up), ctrl('p')], Action::Up, "", "up"),
    bind(At::Palette, &[on(KeyCode::Down)], Action::Down, "", "down"),
    bind(At::Palette, &[on(KeyCode::Enter)], Action::Enter, "do it", "do what is under the cursor"),
    bind(At::Palette, &[on(KeyCode::Esc)], Action::Back, "close", "close"),
    bind(At::Sheet, &[on(KeyCode::Up), ch('k')], Action::Up, "", "up"),
    bind(At::Sheet, &[on(KeyCode::Down), ch('j')], Action::Down, "", "down"),
    bind(At::Sheet, &[on(KeyCode::PageUp)], Action::PageUp, "", "a page up"),
    bind(At::Sheet, &[on(KeyCode::PageDown), ch(' ')], Action::PageDown, "", "a page down"),
    bind(At::Sheet, &[on(KeyCode::Home), ch('g')], Action::Top, "", "to the beginning"),
    bind(At::Sheet, &[on(KeyCode::End), ch('G')], Action::Bottom, "", "to the end"),
    bind(At::Sheet, &[ch('u')], Action::Undo, "", "take back the last cancel or move, as everywhere"),
    bind(At::Sheet, &[on(KeyCode::Esc), on(KeyCode::Enter), ch('q')], Action::Back, "close", "close"),
    bind(At::Link, &[ch('p')], Action::Paste, "paste", "paste the address the browser landed on"),
    bind(At::Link, &[on(KeyCode::Esc)], Action::Back, "stop", "stop; nothing is stored"),
    bind(At::Found, &[on(KeyCode::Up), ch('k')], Action::Up, "", "up"),
    bind(At::Found, &[on(KeyCode::Down), ch('j')], Action::Down, "", "down"),
    bind(At::Found, &[ch(' '), ch('x')], Action::Tick, "tick", "tick, or take the tick away"),
    bind(At::Found, &[ch('y'), on(KeyCode::Enter)], Action::Yes, "connect", "connect what is ticked"),
    bind(
        At::Found,
        &[ch('n'), on(KeyCode::Esc)],
        Action::No,
        "no",
        "connect nothing; the grant is given back",
    ),
];

/// Where keys are looked for now, the most particular place first.
pub(crate) fn places(app: &App) -> Vec<At> {
    if let Some(layer) = app.layers.last() {
        return match layer {
            Layer::Confirm(_) => vec![At::Confirm],
            Layer::Prompt(_) => vec![At::Prompt, At::Writing],
            Layer::Menu(_) => vec![At::Menu],
            Layer::Marks(_) => vec![At::Marks],
            Layer::Palette(_) => vec![At::Palette, At::Writing],
            Layer::Sheet(_) | Layer::Picture(_) => vec![At::Sheet],
            Layer::Connect(it) if it.found.is_some() => vec![At::Found],
            Layer::Connect(it) if it.pasting => vec![At::Prompt, At::Writing],
            Layer::Connect(_) => vec![At::Link],
        };
    }
    // What is on the screen then is that there is nothing to act on.
    let is_down = matches!(app.link, Link::Down(_));
    if is_down && app.screen != Screen::Tab(Tab::Compose) && app.screen != Screen::Help {
        return vec![At::Global];
    }
    match app.screen {
        Screen::Help => vec![At::Sheet, At::Global],
        Screen::Post => vec![At::Post, At::Row, At::List, At::Global],
        Screen::Tab(tab) => match tab {
            Tab::Overview => vec![At::Overview, At::Row, At::List, At::Global],
            Tab::Timeline => vec![At::Timeline, At::Row, At::List, At::Global],
            Tab::Calendar => vec![At::Calendar, At::Row, At::List, At::Global],
            Tab::Compose => match app.compose.field {
                Field::Text => vec![At::Lines, At::Writing, At::Compose, At::Global],
                Field::Comment => vec![At::Writing, At::Compose, At::Global],
                _ => vec![At::Compose, At::List, At::Global],
            },
            Tab::Accounts => vec![At::Accounts, At::List, At::Global],
            Tab::Deletions => vec![At::Deletions, At::List, At::Global],
            Tab::Log => vec![At::Log, At::List, At::Global],
            Tab::Doctor => vec![At::Doctor, At::List, At::Global],
        },
    }
}

/// Whether letters are text now.
pub(crate) fn is_writing(places: &[At]) -> bool {
    places.contains(&At::Writing)
}

/// What a key asks for here.
pub(crate) fn resolve(places: &[At], key: Key) -> Option<Action> {
    if key == ctrl('c') {
        return Some(Action::Leave);
    }
    if is_writing(places) && key.types().is_some() {
        return None;
    }
    let here = |at: &At| KEYS.iter().find(|it| it.at == *at && it.keys.contains(&key));
    places.iter().find_map(here).map(|it| it.action)
}

/// The lines of the table that hold here, the most particular first; a key that a nearer place took is
/// left out.
pub(crate) fn here(places: &[At]) -> Vec<&'static Binding> {
    let all = places.iter().flat_map(|at| KEYS.iter().filter(move |it| it.at == *at));
    all.filter(|it| it.keys.iter().any(|key| resolve(places, *key) == Some(it.action))).collect()
}

/// The keys of a line as people read them.
pub(crate) fn names(it: &Binding) -> String {
    it.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
