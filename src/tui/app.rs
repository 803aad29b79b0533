//! Everything the console knows. Data, and questions to it; what changes it is in `update`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::compose::Compose;
use super::effect::{Deed, Load, Source, Trouble};
use super::layer::Layer;
use super::look::Look;
use super::pages::{Pages, Row, replaced_by};
use super::picture::Shown;
use crate::control::messages as m;
use crate::control::requests as r;

/// Lines of the log that are kept.
pub(crate) const LOG_MAX: usize = 1_000;
/// How long second thoughts are offered, in seconds. The daemon allows a minute, for its answer may be slow.
pub(crate) const UNDO_SECONDS: i64 = 55;

/// What can be reached from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Timeline,
    Calendar,
    Compose,
    Accounts,
    Deletions,
    Log,
    Doctor,
}

impl Tab {
    pub(crate) const ALL: [Self; 8] = [
        Self::Overview,
        Self::Timeline,
        Self::Calendar,
        Self::Compose,
        Self::Accounts,
        Self::Deletions,
        Self::Log,
        Self::Doctor,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Timeline => "Timeline",
            Self::Calendar => "Calendar",
            Self::Compose => "Compose",
            Self::Accounts => "Accounts",
            Self::Deletions => "Deletions",
            Self::Log => "Log",
            Self::Doctor => "Doctor",
        }
    }
}

/// What is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Tab(Tab),
    Post,
    Help,
}

/// The way to the daemon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Link {
    /// Not tried yet.
    Begun,
    Up,
    Down(Trouble),
}

/// A sentence at the bottom of the screen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) tone: super::look::Tone,
    pub(crate) until: Timestamp,
}

/// A cancel or a move that the daemon has carried out and can still put back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Undo {
    pub(crate) post: String,
    pub(crate) ticket: String,
    /// `cancelled`, `moved`.
    pub(crate) word: &'static str,
    /// The post in words, as far as it was on a screen.
    pub(crate) what: String,
    pub(crate) until: Timestamp,
    pub(crate) step: Step,
}

/// How far taking something back is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is offered.
    Open,
    /// Its turn comes after the one that is on the wire: what was done last goes back first.
    Wanted,
    Sent,
}

/// The small picture beside a menu.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thumbs {
    /// What is being read, and for how many cells.
    pub(crate) asked: Option<(Source, (u16, u16))>,
    /// What was read last.
    pub(crate) have: Option<Thumb>,
}

/// A small picture, or why there is none.
#[derive(Debug, Clone)]
pub(crate) struct Thumb {
    pub(crate) source: Source,
    /// What it was made for.
    pub(crate) cells: (u16, u16),
    pub(crate) shown: Result<Shown, String>,
}

/// A page that was thrown away when nobody knew whether the daemon has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Discarded {
    /// Of the page.
    pub(crate) key: String,
    /// The creation whose answer was lost: said again, it tells which draft is to go.
    pub(crate) again: Option<Box<r::CreatePost>>,
    /// The one that is on its way.
    pub(crate) sent: Option<Box<r::CreatePost>>,
}

/// A deed that somebody confirmed, with the words that name it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Promise {
    pub(crate) deed: Deed,
    pub(crate) what: String,
    /// It is on the wire; else it waits for the daemon.
    pub(crate) sent: bool,
}

/// One short list of the overview.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brief {
    pub(crate) rows: Vec<Row>,
    /// There are more.
    pub(crate) more: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Overview {
    pub(crate) attention: Brief,
    pub(crate) due: Brief,
    pub(crate) drafts: Brief,
    pub(crate) lately: Brief,
    /// Published per day, today last; as many days as are known in full.
    pub(crate) activity: Vec<u64>,
    pub(crate) activity_at: Option<Timestamp>,
    /// The cursor was moved: from then on it stays on its row, whatever comes above it.
    pub(crate) is_moved: bool,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

impl Overview {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        let shown = [&self.attention, &self.due, &self.drafts, &self.lately];
        shown.into_iter().flat_map(|it| &it.rows)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    pub(crate) filter: r::ListPosts,
    /// Counts changes of the filter: pages of an older one are not taken.
    pub(crate) list: u64,
    pub(crate) pages: Pages,
    pub(crate) error: Option<Trouble>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PostView {
    pub(crate) id: String,
    pub(crate) post: Option<m::Post>,
    pub(crate) error: Option<Trouble>,
    /// Which of its deliveries.
    pub(crate) at: usize,
    /// The delivery to put the cursor on once the post is read.
    pub(crate) wanted: Option<String>,
    pub(crate) scroll: usize,
    /// Lines that a page key moves, as last drawn.
    pub(crate) page: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct CalendarView {
    pub(crate) month: Option<m::Calendar>,
    /// `2026-12`; the present one without.
    pub(crate) wanted: Option<String>,
    /// The day under the cursor.
    pub(crate) day: Option<jiff::civil::Date>,
    /// The row of that day.
    pub(crate) at: usize,
    pub(crate) week: bool,
    /// The posts of the day under the cursor, which have the texts.
    pub(crate) posts: Vec<m::Post>,
    pub(crate) error: Option<Trouble>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) receipts: Vec<m::ReceiptEntry>,
    pub(crate) audit: Vec<m::AuditEntry>,
    pub(crate) audit_next: Option<String>,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    pub(crate) lines: VecDeque<m::LogEvent>,
    /// Who did what, instead of what happened.
    pub(crate) audit: bool,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Examination {
    pub(crate) found: Option<m::Diagnosis>,
    pub(crate) error: Option<Trouble>,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

/// A network as people call it.
pub(crate) fn title_of(platform: &str) -> String {
    let known = platform.parse::<crate::domain::ids::PlatformName>();
    known.map_or_else(|_| platform.to_owned(), |it| it.title().to_owned())
}

/// Which daemon this is about, and which run of the console.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) socket: String,
    pub(crate) session: String,
}

/// What should be read again at the next tick.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) status: bool,
    pub(crate) accounts: bool,
    pub(crate) deliveries: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
    pub(crate) size: (u16, u16),
    pub(crate) look: Look,
    pub(crate) link: Link,
    pub(crate) socket: String,
    pub(crate) screen: Screen,
    /// Where `Esc` goes, oldest first.
    pub(crate) back: Vec<Screen>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) status: Option<m::Status>,
    pub(crate) accounts: Vec<m::Account>,
    pub(crate) account_at: usize,
    pub(crate) account_top: usize,
    /// Accounts as they were shown one by one: with what they have used and what that cost.
    pub(crate) shown: BTreeMap<String, m::Account>,
    pub(crate) queues: Vec<m::Queue>,
    pub(crate) networks: Vec<m::Network>,
    pub(crate) overview: Overview,
    pub(crate) timeline: Timeline,
    pub(crate) post: PostView,
    pub(crate) compose: Compose,
    pub(crate) calendar: CalendarView,
    pub(crate) records: Records,
    pub(crate) log: Journal,
    pub(crate) doctor: Examination,
    pub(crate) help_top: usize,
    pub(crate) toast: Option<Toast>,
    /// What can be taken back, newest last.
    pub(crate) undo: Vec<Undo>,
    /// Moves on the wire, whose way back comes with their answer.
    pub(crate) moves: usize,
    pub(crate) thumbs: Thumbs,
    /// How far uploads are, by delivery.
    pub(crate) progress: BTreeMap<String, m::Progress>,
    /// Questions on the wire.
    pub(crate) asked: Vec<Load>,
    pub(crate) stale: Stale,
    /// Posts that something happened to since the last tick.
    pub(crate) touched: BTreeSet<String>,
    /// Something on the screen may have changed.
    pub(crate) dirty: bool,
    pub(crate) quit: bool,
    /// Names this run of the console in the keys of its drafts.
    pub(crate) session: String,
    /// The directory that a file was last chosen from.
    pub(crate) folder: Option<std::path::PathBuf>,
    /// Pages that were thrown away while they were still being kept: what comes of that goes as well.
    pub(crate) discarded: Vec<Discarded>,
    pages_made: u64,
    tickets: u64,
    /// What was confirmed and is to be done, until the daemon says that it is.
    pub(crate) promised: Vec<Promise>,
    /// Since when it is to be left as soon as everything is kept.
    pub(crate) leaving: Option<Timestamp>,
    ticks: u64,
    /// Where things are on the screen, as last drawn.
    pub(crate) hits: Vec<(Rect, Hit)>,
}

/// Something that can be pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    Tab(Tab),
    /// A row of the list of the present screen or layer.
    Row(usize),
    Field(super::compose::Field),
    /// One of the texts that stand side by side.
    Voice(usize),
}

impl App {
    pub(crate) fn new(now: Timestamp, zone: TimeZone, size: (u16, u16), look: Look, place: Place) -> Self {
        let Place { socket, session } = place;
        Self {
            now,
            zone,
            size,
            look,
            link: Link::Begun,
            socket,
            screen: Screen::Tab(Tab::Overview),
            back: Vec::new(),
            layers: Vec::new(),
            status: None,
            accounts: Vec::new(),
            account_at: 0,
            account_top: 0,
            shown: BTreeMap::new(),
            queues: Vec::new(),
            networks: Vec::new(),
            overview: Overview::default(),
            timeline: Timeline { filter: r::ListPosts::default(), list: 0, pages: Pages::new(), error: None },
            post: PostView::default(),
            compose: Compose::fresh(format!("console-{session}-0")),
            calendar: CalendarView::default(),
            records: Records::default(),
            log: Journal::default(),
            doctor: Examination::default(),
            help_top: 0,
            toast: None,
            undo: Vec::new(),
            moves: 0,
            thumbs: Thumbs::default(),
            progress: BTreeMap::new(),
            asked: Vec::new(),
            stale: Stale::default(),
            touched: BTreeSet::new(),
            dirty: true,
            quit: false,
            session,
            folder: None,
            discarded: Vec::new(),
            pages_made: 0,
            tickets: 0,
            promised: Vec::new(),
            leaving: None,
            ticks: 0,
            hits: Vec::new(),
        }
    }

    /// A name for a draft that was never used before, so that repeating its creation makes one.
    pub(crate) fn draft_key(&mut self) -> String {
        self.pages_made += 1;
        format!("console-{}-{}", self.session, self.pages_made)
    }

    /// A name for an upload.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Counts a tick; true for every `n`th.
    pub(crate) fn nth_tick(&mut self, n: u64) -> bool {
        self.ticks += 1;
        self.ticks.is_multiple_of(n)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Says a sentence at the bottom for some seconds; what does not fit there, on a sheet.
    pub(crate) fn say(&mut self, tone: super::look::Tone, text: impl Into<String>) {
        let text = text.into();
        let cells = usize::from(self.size.0).saturating_sub(4).max(8);
        if super::text::wrap(&text, cells).len() > usize::from(super::view::TOAST_ROWS) {
            let title = "Sendoff says".to_owned();
            let sheet = super::layer::Sheet { title, lines: vec![(tone, text)], indent: "", top: 0 };
            self.layers.push(Layer::Sheet(sheet));
            return;
        }
        // Long ones need longer to read.
        let seconds = 4 + i64::try_from(text.len() / 20).unwrap_or(0);
        let until = self.now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(self.now);
        self.toast = Some(Toast { text, tone, until });
    }

    /// The account under the cursor.
    pub(crate) fn account(&self) -> Option<&m::Account> {
        self.accounts.get(self.account_at)
    }

    /// Rows between header and footer.
    pub(crate) fn body_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(4)
    }

    /// The delivery or draft under the cursor of the present screen.
    pub(crate) fn row(&self) -> Option<Row> {
        match self.screen {
            Screen::Tab(Tab::Overview) => self.overview.rows().nth(self.overview.at).cloned(),
            Screen::Tab(Tab::Timeline) => self.timeline.pages.here().cloned(),
            Screen::Tab(Tab::Calendar) => self.day_rows().into_iter().nth(self.calendar.at),
            Screen::Post => {
                let post = self.post.post.as_ref()?;
                super::pages::rows_of_post(post).into_iter().nth(self.post.at)
            }
            Screen::Tab(_) | Screen::Help => None,
        }
    }

    /// What is due on the calendar's day.
    pub(crate) fn day_rows(&self) -> Vec<Row> {
        let (Some(month), Some(day)) = (&self.calendar.month, self.calendar.day) else { return Vec::new() };
        let zone = TimeZone::get(&month.zone).unwrap_or_else(|_| self.zone.clone());
        let of_day = |it: &&m::Delivery| it.due.to_zoned(zone.clone()).date() == day;
        let row = |it: &m::Delivery| {
            let post = self.calendar.posts.iter().find(|post| post.id == it.post);
            Row {
                post: it.post.clone(),
                body: post.map_or_else(|| "…".to_owned(), |it| it.body.clone()),
                to: post.map_or_else(|| vec![it.account.clone()], |it| it.to.clone()),
                created_at: it.due,
                media: post.map_or(0, |it| it.media.len()),
                delivery: Some(it.clone()),
                replaced_by: replaced_by(post.map_or(&month.deliveries, |it| &it.deliveries), it),
            }
        };
        let mut rows: Vec<Row> = month.deliveries.iter().filter(of_day).map(row).collect();
        rows.sort_by_key(|it| it.created_at);
        rows
    }
}
