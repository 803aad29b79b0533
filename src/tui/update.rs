//! All decisions: a message in, effects out. No terminal, no socket, no clock.

mod connecting;
mod fields;
mod layers;
mod leaving;
mod loaded;
mod rows;
mod screens;
mod thumbs;
mod undo;
mod writing;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use jiff::{SignedDuration, Timestamp};

use super::app::{App, Hit, LOG_MAX, Link, Screen, Tab, Thumb};
use super::effect::{Deed, Effect, Load, Msg, Trouble};
use super::keys::{self, Action, Key};
use super::layer::{Command, Confirm, Layer, Palette, Then, neighbour};
use super::look::Tone;
use super::text;
use crate::control::messages as m;

/// Effects as they gather.
pub(super) type Effects = Vec<Effect>;

/// Takes a message in.
pub(crate) fn update(app: &mut App, msg: Msg) -> Effects {
    let mut fx = Effects::new();
    // What is still to be drawn stays so, whatever comes behind it.
    app.dirty |= shows(app, &msg);
    match msg {
        Msg::Key(event) => press(app, Key::of(&event), &mut fx),
        Msg::Mouse(event) => point(app, event, &mut fx),
        Msg::Paste(text) => writing::paste(app, &text, &mut fx),
        Msg::Resize(width, height) => app.size = (width, height),
        Msg::Tick(now) => tick(app, now, &mut fx),
        Msg::Up(status) => up(app, *status, &mut fx),
        Msg::Down(trouble) => down(app, trouble),
        Msg::Event(event) => happened(app, *event),
        Msg::Loaded(load, result) => loaded::loaded(app, load, result, &mut fx),
        Msg::Done(deed, result) => loaded::done(app, deed, result, &mut fx),
        Msg::Connect(news) => connecting::news(app, news, &mut fx),
        Msg::Saved { key, result } => writing::saved(app, &key, *result, &mut fx),
        Msg::Checked { revision, result } => writing::checked(app, revision, *result),
        Msg::Uploaded { ticket, path, result } => writing::uploaded(app, ticket, &path, *result),
        Msg::Left { path, remains, more } => leaving::found(app, path, remains, more),
        Msg::Picture { ticket, result } => thumbs::looked(app, ticket, *result),
        Msg::Thumb { source, cells, result } => {
            thumbs::made(app, Thumb { source, cells, shown: *result });
        }
        Msg::Browsed(result) => fields::browsed(app, result),
        Msg::Edited(result) => writing::edited(app, result),
    }
    writing::go_on(app, &mut fx);
    leaving::go_on(app, &mut fx);
    app.moves += fx.iter().filter(|it| matches!(it, Effect::Do(Deed::Move { .. }))).count();
    fx
}

/// Whether a message may change what is on the screen.
fn shows(app: &App, msg: &Msg) -> bool {
    match msg {
        // It says so itself.
        Msg::Tick(_) => false,
        Msg::Mouse(event) => Pointed::of(*event).is_some(),
        // How far an upload is stands on one screen.
        Msg::Event(event) if event.progress.is_some() && event.delivery.is_some() => {
            app.screen == Screen::Post
        }
        _ => true,
    }
}

/// The last effects of a console that ends, however it ends.
pub(crate) fn farewell(app: &mut App) -> Effects {
    let mut fx = Effects::new();
    leaving::leave(app, &mut fx);
    fx
}

/// What was confirmed and did not reach the daemon.
pub(crate) fn not_done(app: &App) -> Vec<String> {
    leaving::waiting(app)
}

/// Asks something of the daemon, once at a time.
pub(super) fn ask(app: &mut App, load: Load, fx: &mut Effects) {
    if app.is_up() && !app.asked.contains(&load) {
        app.asked.push(load.clone());
        fx.push(Effect::Load(load));
    }
}

fn press(app: &mut App, key: Key, fx: &mut Effects) {
    let places = keys::places(app);
    let action = keys::resolve(&places, key);
    // Whoever goes on working does not leave.
    if action != Some(Action::Quit) {
        app.leaving = None;
    }
    match action {
        Some(action) => act(app, action, fx),
        None if keys::is_writing(&places) => {
            if let Some(c) = key.types() {
                writing::type_char(app, c);
            }
        }
        None => {}
    }
}

/// What of a mouse means something here.
enum Pointed {
    Wheel(Action),
    Click,
}

impl Pointed {
    fn of(event: MouseEvent) -> Option<Self> {
        match event.kind {
            MouseEventKind::ScrollUp => Some(Self::Wheel(Action::Up)),
            MouseEventKind::ScrollDown => Some(Self::Wheel(Action::Down)),
            MouseEventKind::Down(MouseButton::Left) => Some(Self::Click),
            _ => None,
        }
    }
}

fn point(app: &mut App, event: MouseEvent, fx: &mut Effects) {
    match Pointed::of(event) {
        Some(Pointed::Wheel(action)) => scrolled(app, action, fx),
        Some(Pointed::Click) => {
            let place = ratatui::layout::Position::new(event.column, event.row);
            let hit = app.hits.iter().rev().find(|it| it.0.contains(place)).map(|it| it.1);
            match hit {
                Some(Hit::Tab(tab)) if app.layers.is_empty() => go(app, Screen::Tab(tab), fx),
                Some(Hit::Row(row)) => {
                    if layers::at(app) == Some(row)
                        || (app.layers.is_empty() && screens::at(app) == Some(row))
                    {
                        act(app, Action::Enter, fx);
                    } else if app.layers.is_empty() {
                        screens::jump(app, row, fx);
                    } else {
                        layers::jump(app, row);
                    }
                }
                Some(Hit::Field(field)) if app.layers.is_empty() => app.compose.field = field,
                Some(Hit::Voice(n)) if app.layers.is_empty() => {
                    if let Some(voice) = app.compose.voice_names().into_iter().nth(n) {
                        app.compose.speak(voice);
                    }
                }
                _ => {}
            }
        }
        None => {}
    }
}

/// A turn of the wheel moves where lists are; it never types and never decides.
fn scrolled(app: &mut App, action: Action, fx: &mut Effects) {
    if app.layers.is_empty() && app.screen == Screen::Tab(Tab::Compose) {
        return;
    }
    // The wheel turns what is read, and leaves the delivery that is chosen.
    if app.layers.is_empty() && app.screen == Screen::Post {
        return screens::scroll_post(app, if action == Action::Up { -3 } else { 3 });
    }
    act(app, action, fx);
}

/// Does what a key, a menu or the palette asked for.
pub(super) fn act(app: &mut App, action: Action, fx: &mut Effects) {
    match action {
        Action::Quit => return leaving::quit(app, fx),
        Action::Leave => return leaving::leave(app, fx),
        _ => {}
    }
    if !app.layers.is_empty() {
        return layers::act(app, action, fx);
    }
    match action {
        Action::Go(tab) => go(app, Screen::Tab(tab), fx),
        Action::NextTab => turn(app, 1, fx),
        Action::PreviousTab => turn(app, -1, fx),
        Action::Palette => open_palette(app),
        Action::Help => {
            app.help_top = 0;
            go(app, Screen::Help, fx);
        }
        Action::Back => back(app, fx),
        Action::Refresh => refresh(app, fx),
        Action::Undo => undo::take_back(app, fx),
        Action::PauseAll => pause_all(app),
        Action::ResumeAll => resume_all(app),
        Action::New if app.screen != Screen::Tab(Tab::Compose) => {
            // What was begun before is among the drafts.
            if !app.compose.is_blank() && app.compose.is_at_rest() && !app.compose.is_leaving() {
                let key = app.draft_key();
                app.compose = super::compose::Compose::fresh(key);
            }
            go(app, Screen::Tab(Tab::Compose), fx);
        }
        _ if app.screen == Screen::Tab(Tab::Compose) => writing::act(app, action, fx),
        _ if app.screen == Screen::Tab(Tab::Accounts) && connecting::act(app, action, fx) => {}
        _ => {
            if !rows::act(app, action, fx) {
                screens::act(app, action, fx);
            }
        }
    }
}

/// Shows a screen and reads what it needs.
pub(super) fn go(app: &mut App, screen: Screen, fx: &mut Effects) {
    if app.screen != screen {
        app.back.retain(|it| *it != screen);
        app.back.push(app.screen);
        // Nobody goes back farther than that.
        if app.back.len() > 16 {
            app.back.remove(0);
        }
        app.screen = screen;
    }
    screens::read(app, fx);
}

fn turn(app: &mut App, by: isize, fx: &mut Effects) {
    let tab = match app.screen {
        Screen::Tab(tab) => neighbour(tab, by),
        Screen::Post | Screen::Help => Tab::Overview,
    };
    go(app, Screen::Tab(tab), fx);
}

fn back(app: &mut App, fx: &mut Effects) {
    app.toast = None;
    if let Some(screen) = app.back.pop() {
        app.screen = screen;
        screens::read(app, fx);
    } else if app.screen != Screen::Tab(Tab::Overview) {
        app.screen = Screen::Tab(Tab::Overview);
        screens::read(app, fx);
    }
}

fn refresh(app: &mut App, fx: &mut Effects) {
    fx.push(Effect::Redraw);
    for load in [Load::Status, Load::Accounts, Load::Queues] {
        ask(app, load, fx);
    }
    app.doctor.found = None;
    screens::read(app, fx);
}

fn pause_all(app: &mut App) {
    let lines = vec![
        "Nothing new is sent on any account until somebody resumes.".to_owned(),
        "What is on the wire is finished and accounted for.".to_owned(),
    ];
    let then = Then::Do(Deed::Pause);
    app.layers.push(Layer::Confirm(Confirm { title: "Stop all sending?".to_owned(), lines, then }));
}

fn resume_all(app: &mut App) {
    let why = app.status.as_ref().and_then(|it| it.pause_reason.clone());
    let since = why.map_or_else(String::new, |it| format!(" It was stopped: {it}."));
    let lines = vec![
        format!("Posts go out again on all accounts.{since}"),
        "What is due by now goes out at once, as far as its late policy allows.".to_owned(),
    ];
    let then = Then::Do(Deed::Resume);
    app.layers.push(Layer::Confirm(Confirm { title: "Send again?".to_owned(), lines, then }));
}

fn open_palette(app: &mut App) {
    let places = keys::places(app);
    let mut all: Vec<Command> = Vec::new();
    for it in keys::here(&places) {
        let is_motion = matches!(
            it.action,
            Action::Write(_)
                | Action::Up
                | Action::Down
                | Action::PageUp
                | Action::PageDown
                | Action::Top
                | Action::Bottom
                | Action::Back
                | Action::Palette
                | Action::Newline
                | Action::Backspace
                | Action::DeleteNext
                | Action::DeleteWord
                | Action::DeleteToEnd
                | Action::DeleteLine
                | Action::DayLeft
                | Action::DayRight
                | Action::WeekUp
                | Action::WeekDown
        );
        if !is_motion && all.iter().all(|other| other.action != it.action) {
            let mut text = it.help.to_owned();
            if let Action::Go(tab) = it.action {
                text = format!("go to {}", tab.title());
            }
            all.push(Command { action: it.action, text, keys: keys::names(it) });
        }
    }
    // Where a text is written letters have no meaning; here they keep theirs.
    for it in keys::KEYS
        .iter()
        .filter(|it| it.at == keys::At::Global && !matches!(it.action, Action::Palette | Action::Back))
    {
        if all.iter().all(|other| other.action != it.action) {
            let text = match it.action {
                Action::Go(tab) => format!("go to {}", tab.title()),
                _ => it.help.to_owned(),
            };
            all.push(Command { action: it.action, text, keys: keys::names(it) });
        }
    }
    app.layers.push(Layer::Palette(Palette { all, ..Palette::default() }));
}

fn tick(app: &mut App, now: Timestamp, fx: &mut Effects) {
    let minute = |at: Timestamp| at.as_second().div_euclid(60);
    // Countdowns tell seconds.
    if minute(now) != minute(app.now) || !app.undo.is_empty() || !app.is_up() {
        app.dirty = true;
    }
    app.now = now;
    if app.toast.as_ref().is_some_and(|it| it.until <= now) {
        app.toast = None;
        app.dirty = true;
    }
    undo::pass(app);
    thumbs::rest(app, fx);
    leaving::send(app, false, fx);
    if app.nth_tick(10) {
        app.stale.status = true;
    }
    // The chart is of days; it need not be of this minute.
    let is_old = |at: Timestamp| now.as_second() - at.as_second() > 600;
    if app.overview.activity_at.is_some_and(is_old) {
        ask(app, Load::Activity, fx);
    }
    catch_up(app, fx);
}

/// Reads again what events have made old, at most once a tick.
fn catch_up(app: &mut App, fx: &mut Effects) {
    if !app.is_up() {
        return;
    }
    let mut stale = std::mem::take(&mut app.stale);
    // An answer that is on its way may be older than what made it stale: that is asked for once more.
    let is_list = |it: &Load| {
        use Load as L;
        matches!(
            it,
            L::Due
                | L::Attention
                | L::Drafts
                | L::Lately
                | L::Page { .. }
                | L::Post(_)
                | L::Calendar { .. }
                | L::Day { .. }
        )
    };
    if app.asked.contains(&Load::Accounts) {
        app.stale.accounts = std::mem::take(&mut stale.accounts);
    }
    if app.asked.iter().any(is_list) {
        app.stale.deliveries = std::mem::take(&mut stale.deliveries);
    }
    if stale.status {
        ask(app, Load::Status, fx);
    }
    if stale.accounts {
        ask(app, Load::Accounts, fx);
        if app.screen == Screen::Tab(Tab::Accounts) {
            screens::read(app, fx);
        }
    }
    if stale.deliveries {
        let touched = std::mem::take(&mut app.touched);
        match app.screen {
            Screen::Tab(Tab::Overview | Tab::Calendar) => screens::read(app, fx),
            Screen::Tab(Tab::Timeline) => screens::read_page_again(app, fx),
            Screen::Post if touched.contains(&app.post.id) => screens::read(app, fx),
            _ => {}
        }
    }
}

fn up(app: &mut App, status: m::Status, fx: &mut Effects) {
    if matches!(app.link, Link::Down(_)) {
        app.say(Tone::Good, "the daemon is there again");
    }
    app.link = Link::Up;
    app.status = Some(status);
    app.asked.clear();
    for load in [Load::Accounts, Load::Queues, Load::Networks, Load::Drafts] {
        ask(app, load, fx);
    }
    screens::read(app, fx);
    ask(app, Load::Activity, fx);
}

fn down(app: &mut App, trouble: Trouble) {
    app.link = Link::Down(trouble);
    app.asked.clear();
    app.compose.submit = false;
}

fn happened(app: &mut App, event: m::LogEvent) {
    if let (Some(progress), Some(delivery)) = (&event.progress, &event.delivery) {
        app.progress.insert(delivery.clone(), progress.clone());
        return;
    }
    if let Some(delivery) = &event.delivery {
        app.progress.remove(delivery);
    }
    app.stale.status = true;
    app.stale.accounts |= event.account.is_some() && event.delivery.is_none();
    app.stale.deliveries |= event.post.is_some() || event.delivery.is_some();
    app.touched.extend(event.post.clone());
    if app.log.lines.back().is_some_and(|it| event.seq != 0 && it.seq >= event.seq) {
        return;
    }
    app.log.lines.push_back(event);
    if app.log.lines.len() > LOG_MAX {
        app.log.lines.pop_front();
        app.log.at = app.log.at.saturating_sub(1);
        app.log.top = app.log.top.saturating_sub(1);
    }
    // Whoever stands on the last line follows.
    let last = app.log.lines.len() - 1;
    if !app.log.audit && app.log.at + 1 >= last {
        app.log.at = last;
    }
}

/// Some seconds from now.
pub(super) fn soon(app: &App, seconds: i64) -> Timestamp {
    app.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(app.now)
}

/// A refusal, at the bottom of the screen; with all that is wrong on a sheet where that is more.
pub(super) fn complain(app: &mut App, trouble: &Trouble) {
    if trouble.problems.len() > 1 {
        let mut lines = vec![(Tone::Bad, trouble.message.clone()), (Tone::Plain, String::new())];
        for it in &trouble.problems {
            let whom = it.account.as_ref().map_or_else(String::new, |it| format!("{it}: "));
            lines.push((Tone::Plain, format!("{whom}{}: {}", it.field, it.message)));
            lines.extend(it.hint.iter().map(|it| (Tone::Dim, format!("  {}", text::in_fields(it)))));
        }
        let sheet = super::layer::Sheet { title: "Refused".to_owned(), lines, indent: "  ", top: 0 };
        app.layers.push(Layer::Sheet(sheet));
        return;
    }
    let hint = trouble.hint.as_ref().map_or_else(String::new, |it| format!(" ({})", text::in_fields(it)));
    app.say(Tone::Bad, format!("{}{hint}", trouble.message));
}
