//! Moving about on the screens, and what each of them reads when it is shown.

use jiff::ToSpan as _;

use super::{Effects, ask, rows};
use crate::control::requests as r;
use crate::tui::app::{App, Screen, Tab};
use crate::tui::details;
use crate::tui::editor::Editor;
use crate::tui::effect::Load;
use crate::tui::keys::Action;
use crate::tui::layer::{Ask, Item, Layer, Menu, Pick, Prompt, Sheet};
use crate::tui::look::Tone;
use crate::tui::pages::{PAGE, Pages};

/// Rows from an edge at which the next page is read.
pub(super) const NEAR: usize = PAGE as usize / 2;

/// Reads what the present screen shows.
pub(super) fn read(app: &mut App, fx: &mut Effects) {
    match app.screen {
        Screen::Tab(Tab::Overview) => {
            for load in [Load::Due, Load::Attention, Load::Drafts, Load::Lately] {
                ask(app, load, fx);
            }
        }
        Screen::Tab(Tab::Timeline) => {
            if app.timeline.pages.len() == 0 {
                ask_page(app, 0, fx);
            } else {
                read_page_again(app, fx);
            }
        }
        Screen::Tab(Tab::Calendar) => {
            let month = app.calendar.wanted.clone();
            ask(app, Load::Calendar { month }, fx);
        }
        Screen::Tab(Tab::Compose) => {
            for load in [Load::Accounts, Load::Queues, Load::Networks, Load::Drafts] {
                ask(app, load, fx);
            }
        }
        Screen::Tab(Tab::Accounts) => {
            ask(app, Load::Accounts, fx);
            read_account(app, fx);
        }
        Screen::Tab(Tab::Deletions) => ask(app, Load::Receipts, fx),
        Screen::Tab(Tab::Log) => {
            if app.log.audit {
                ask(app, Load::Audit { after: None }, fx);
            }
        }
        Screen::Tab(Tab::Doctor) => {
            if app.doctor.found.is_none() {
                ask(app, Load::Doctor, fx);
            }
        }
        Screen::Post => {
            if !app.post.id.is_empty() {
                ask(app, Load::Post(app.post.id.clone()), fx);
            }
        }
        Screen::Help => {}
    }
}

/// The posts of the calendar's day; the month knows their times and states only.
pub(super) fn read_day(app: &mut App, fx: &mut Effects) {
    let zone = app.calendar.month.as_ref().map(|it| it.zone.clone());
    if let (Some(day), Some(zone), false) = (app.calendar.day, zone, app.day_rows().is_empty()) {
        ask(app, Load::Day { day, zone }, fx);
    }
}

/// What the account under the cursor has cost; only some networks take money.
fn read_account(app: &mut App, fx: &mut Effects) {
    if let Some(account) = app.account().map(|it| it.account.clone()) {
        ask(app, Load::Account(account), fx);
    }
}

pub(super) fn ask_page(app: &mut App, index: usize, fx: &mut Effects) {
    let Ok(after) = app.timeline.pages.start(index) else { return };
    let page = r::ListPosts { limit: Some(PAGE), after, ..app.timeline.filter.clone() };
    ask(app, Load::Page { list: app.timeline.list, index, ask: Box::new(page) }, fx);
}

/// The page under the cursor as it is now; and the first one, where new posts come in.
pub(super) fn read_page_again(app: &mut App, fx: &mut Effects) {
    ask_page(app, app.timeline.pages.page_here(), fx);
}

/// Begins the timeline anew with a changed filter.
pub(super) fn filter(app: &mut App, change: impl FnOnce(&mut r::ListPosts), fx: &mut Effects) {
    change(&mut app.timeline.filter);
    app.timeline.list += 1;
    app.timeline.pages = Pages::new();
    app.timeline.error = None;
    app.asked.retain(|it| !matches!(it, Load::Page { .. }));
    ask_page(app, 0, fx);
}

/// What moves the cursor, and by how much.
fn step(app: &App, action: Action) -> Option<isize> {
    let page = app.body_height().saturating_sub(2).max(1).cast_signed();
    match action {
        Action::Up => Some(-1),
        Action::Down => Some(1),
        Action::PageUp => Some(-page),
        Action::PageDown => Some(page),
        Action::Top => Some(isize::MIN / 2),
        Action::Bottom => Some(isize::MAX / 2),
        _ => None,
    }
}

pub(super) fn moved(at: usize, by: isize, len: usize) -> usize {
    at.saturating_add_signed(by).min(len.saturating_sub(1))
}

/// The row under the cursor, counted as the screen counts it.
pub(super) fn at(app: &App) -> Option<usize> {
    match app.screen {
        Screen::Tab(Tab::Overview) => Some(app.overview.at),
        Screen::Tab(Tab::Timeline) => Some(app.timeline.pages.at),
        Screen::Tab(Tab::Calendar) => Some(app.calendar.at),
        Screen::Tab(Tab::Accounts) => Some(app.account_at),
        Screen::Tab(Tab::Deletions) => Some(app.records.at),
        Screen::Tab(Tab::Log) => Some(app.log.at),
        Screen::Tab(Tab::Doctor) => Some(app.doctor.at),
        Screen::Post => Some(app.post.at),
        Screen::Tab(Tab::Compose) | Screen::Help => None,
    }
}

/// Puts the cursor on a row that was pointed at.
pub(super) fn jump(app: &mut App, row: usize, fx: &mut Effects) {
    if let Some(at) = at(app) {
        moves(app, row.cast_signed() - at.cast_signed(), fx);
    }
}

/// Moves the cursor of the present screen.
fn moves(app: &mut App, by: isize, fx: &mut Effects) {
    match app.screen {
        Screen::Tab(Tab::Overview) => {
            app.overview.is_moved = true;
            app.overview.at = moved(app.overview.at, by, app.overview.rows().count());
        }
        Screen::Tab(Tab::Timeline) => {
            let pages = &mut app.timeline.pages;
            if by < -1_000_000 && pages.has_before() {
                // The first page is far away: begin anew there.
                let list = app.timeline.list;
                app.timeline.pages = Pages::new();
                app.timeline.list = list + 1;
                ask_page(app, 0, fx);
                return;
            }
            pages.go(by);
            let (index, goes_on) = (pages.wanted(NEAR), pages.wish > isize::MAX / 4);
            if let Some(index) = index {
                ask_page(app, index, fx);
            }
            if goes_on {
                app.say(
                    Tone::Dim,
                    "on the way to the end; any other move stops it (o turns the order round)",
                );
            }
        }
        Screen::Tab(Tab::Calendar) => {
            app.calendar.at = moved(app.calendar.at, by, app.day_rows().len());
        }
        Screen::Tab(Tab::Accounts) => {
            app.account_at = moved(app.account_at, by, app.accounts.len());
            read_account(app, fx);
        }
        Screen::Tab(Tab::Deletions) => {
            app.records.at = moved(app.records.at, by, app.records.receipts.len());
        }
        Screen::Tab(Tab::Log) if app.log.audit => {
            app.records.at = moved(app.records.at, by, app.records.audit.len());
            let near = app.records.at + 20 >= app.records.audit.len();
            if let (true, Some(after)) = (near, app.records.audit_next.clone()) {
                ask(app, Load::Audit { after: Some(after) }, fx);
            }
        }
        Screen::Tab(Tab::Log) => app.log.at = moved(app.log.at, by, app.log.lines.len()),
        Screen::Tab(Tab::Doctor) => {
            let len = app.doctor.found.as_ref().map_or(0, |it| it.findings.len());
            app.doctor.at = moved(app.doctor.at, by, len);
        }
        Screen::Post => {
            let len = app.post.post.as_ref().map_or(0, |it| it.deliveries.len());
            // Where there is one delivery only, the keys scroll through what is known of it.
            if len <= 1 {
                app.post.scroll = app.post.scroll.saturating_add_signed(by.clamp(-10_000, 10_000));
                return;
            }
            let next = moved(app.post.at, by, len);
            if next != app.post.at {
                app.post.scroll = 0;
            }
            app.post.at = next;
        }
        Screen::Help => app.help_top = app.help_top.saturating_add_signed(by.clamp(-10_000, 10_000)),
        Screen::Tab(Tab::Compose) => {}
    }
}

/// Scrolls through what is known of a delivery; how far that goes is known where its lines are broken.
pub(super) fn scroll_post(app: &mut App, by: isize) {
    app.post.scroll = app.post.scroll.saturating_add_signed(by);
}

/// What is particular to one screen.
pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) {
    if app.screen == Screen::Tab(Tab::Calendar) && calendar(app, action, fx) {
        return;
    }
    if app.screen == Screen::Post && matches!(action, Action::PageUp | Action::PageDown) {
        let page = app.post.page.max(1).cast_signed();
        return scroll_post(app, if action == Action::PageUp { -page } else { page });
    }
    if let Some(by) = step(app, action) {
        return moves(app, by, fx);
    }
    match action {
        Action::FilterState => state_menu(app),
        Action::FilterAccount => {
            let mut items = vec![item("all accounts", "", Pick::Account(None))];
            items.extend(
                app.accounts
                    .iter()
                    .map(|it| item(&it.account, &it.display_name, Pick::Account(Some(it.account.clone())))),
            );
            menu(app, "Show one account", items);
        }
        Action::FilterNetwork => {
            let mut items = vec![item("all networks", "", Pick::Network(None))];
            items.extend(
                app.networks.iter().map(|it| item(&it.title, "", Pick::Network(Some(it.platform.clone())))),
            );
            menu(app, "Show one network", items);
        }
        Action::Search => {
            let was = app.timeline.filter.text.clone().unwrap_or_default();
            app.layers.push(Layer::Prompt(Prompt {
                title: "Search".to_owned(),
                about: "Posts with these words in one of their texts; nothing shows all.".to_owned(),
                entry: Editor::new(was),
                then: Ask::Search,
            }));
        }
        Action::Order => filter(
            app,
            |it| {
                let oldest = it.order.as_deref() == Some("oldest");
                it.order = (!oldest).then(|| "oldest".to_owned());
            },
            fx,
        ),
        Action::ClearFilter => filter(app, |it| *it = r::ListPosts::default(), fx),
        Action::Audit => {
            app.log.audit = !app.log.audit;
            app.records.at = 0;
            app.records.top = 0;
            read(app, fx);
        }
        Action::Enter if app.screen == Screen::Tab(Tab::Log) => {
            let post = app.log.lines.get(app.log.at).and_then(|it| it.post.clone());
            match post.filter(|_| !app.log.audit) {
                Some(id) => rows::show(app, id, fx),
                None => whole(app),
            }
        }
        Action::Whole => whole(app),
        Action::Enter if matches!(app.screen, Screen::Tab(Tab::Accounts | Tab::Deletions | Tab::Doctor)) => {
            whole(app);
        }
        Action::Health => {
            let lines =
                crate::tui::health::lines(app, usize::MAX).into_iter().map(|it| (it.0, it.1)).collect();
            let title = "How everything stands".to_owned();
            app.layers.push(Layer::Sheet(Sheet { title, lines, indent: "            ", top: 0 }));
        }
        Action::Enter => rows::open(app, fx),
        _ => {}
    }
}

/// A sheet with all that is known of what is under the cursor.
fn whole(app: &mut App) {
    let (records, log) = (&app.records, &app.log);
    let found = match app.screen {
        Screen::Tab(Tab::Accounts) => {
            app.account().map(|it| (it.account.clone(), details::account(app, it), details::INDENT))
        }
        Screen::Tab(Tab::Deletions) => {
            let it = records.receipts.get(records.at);
            it.map(|it| (format!("receipt {}", it.id), details::receipt(it), details::INDENT))
        }
        Screen::Tab(Tab::Log) if log.audit => {
            let it = records.audit.get(records.at);
            it.map(|it| (it.action.clone(), details::audit(app, it), ""))
        }
        Screen::Tab(Tab::Log) => log.lines.get(log.at).map(|it| (it.event.clone(), details::event(it), "")),
        Screen::Tab(Tab::Doctor) => {
            let it = app.doctor.found.as_ref().and_then(|it| it.findings.get(app.doctor.at));
            it.map(|it| (format!("{} {}", it.about, it.check), details::finding(it), "  "))
        }
        _ => None,
    };
    match found {
        Some((title, lines, indent)) => app.layers.push(Layer::Sheet(Sheet { title, lines, indent, top: 0 })),
        None => app.say(Tone::Dim, "nothing is under the cursor"),
    }
}

pub(super) fn item(label: &str, note: &str, pick: Pick) -> Item {
    Item { label: label.to_owned(), note: note.to_owned(), pick, picture: None }
}

pub(super) fn menu(app: &mut App, title: &str, items: Vec<Item>) {
    app.layers.push(Layer::Menu(Menu { title: title.to_owned(), items, at: 0, top: 0 }));
}

fn state_menu(app: &mut App) {
    let all = [
        ("all", "whatever state", None),
        ("attention", "needs a person", Some("attention")),
        ("scheduled", "waits for its time", Some("scheduled")),
        ("publishing", "on its way", Some("publishing")),
        ("unknown", "being looked for", Some("unknown")),
        ("published", "is live", Some("published")),
        ("handed_over", "in an inbox of the network", Some("handed_over")),
        ("partial", "live on some accounts only", Some("partial")),
        ("failed", "refused, or too late", Some("failed")),
        ("missed", "its time passed", Some("missed")),
        ("cancelled", "taken back", Some("cancelled")),
        ("draft", "has no time yet", Some("draft")),
    ];
    let items = all
        .into_iter()
        .map(|(label, note, word)| item(label, note, Pick::State(word.map(str::to_owned))))
        .collect();
    menu(app, "Show one state", items);
}

/// The calendar's own keys.
fn calendar(app: &mut App, action: Action, fx: &mut Effects) -> bool {
    let zone = app.calendar.month.as_ref().and_then(|it| jiff::tz::TimeZone::get(&it.zone).ok());
    let today = app.now.to_zoned(zone.unwrap_or_else(|| app.zone.clone())).date();
    let day = app.calendar.day.unwrap_or(today);
    let moved = match action {
        Action::DayLeft => day.checked_sub(1.day()),
        Action::DayRight => day.checked_add(1.day()),
        Action::WeekUp => day.checked_sub(1.week()),
        Action::WeekDown => day.checked_add(1.week()),
        Action::MonthBack => day.checked_sub(1.month()),
        Action::MonthOn => day.checked_add(1.month()),
        Action::Today => Ok(today),
        Action::Week => {
            app.calendar.week = !app.calendar.week;
            return true;
        }
        _ => return false,
    };
    // The calendar ends somewhere; there the cursor stays.
    let moved = moved.unwrap_or(day);
    if moved != day || app.calendar.day.is_none() {
        app.calendar.at = 0;
    }
    app.calendar.day = Some(moved);
    read_day(app, fx);
    let month = moved.strftime("%Y-%m").to_string();
    if app.calendar.month.as_ref().is_none_or(|it| it.month != month) {
        app.calendar.wanted = Some(month.clone());
        ask(app, Load::Calendar { month: Some(month) }, fx);
    }
    true
}
