//! From state to cells: one file per screen.
//!
//! A screen decides nothing. It writes back only what hangs on the size of the terminal: scroll offsets,
//! the width of a text that is written, and where things are for the mouse.

mod accounts;
mod calendar;
mod compose;
mod help;
mod layers;
mod overview;
mod pen;
mod post;
mod records;
mod rows;
mod timeline;

use ratatui::Frame;
use ratatui::layout::Rect;

use self::pen::Pen;
use super::app::{App, Hit, Link, Screen, Step, Tab};
use super::keys;
use super::look::{Tone, plain_sign};
use super::{text, when};

/// Rows that a message may take.
pub(crate) const TOAST_ROWS: u16 = 3;

/// The smallest terminal on which everything essential is seen.
const LEAST: (u16, u16) = (60, 18);

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    app.size = (area.width, area.height);
    let mut pen = Pen::new(frame.buffer_mut(), app.look);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(&mut pen, area);
    } else {
        header(&mut pen, app, area);
        tabs(&mut pen, app, Rect { y: 1, height: 1, ..area });
        let body = Rect { y: 2, height: area.height - 4, ..area };
        match &app.link {
            Link::Begun => pen.note(body, "Looking for the daemon…"),
            // What is being written stays in sight: nobody should have to look for it in an outage.
            Link::Down(_) if app.screen != Screen::Tab(Tab::Compose) && app.screen != Screen::Help => {
                no_daemon(&mut pen, app, body);
            }
            Link::Up | Link::Down(_) => screen(&mut pen, app, body),
        }
        says(&mut pen, app, Rect { y: area.height - 2, height: 1, ..area });
        footer(&mut pen, app, Rect { y: area.height - 1, height: 1, ..area });
        if !app.layers.is_empty() {
            pen.cursor = None;
            layers::draw(&mut pen, app, Rect { y: 1, height: area.height - 2, ..area });
        }
    }
    let (hits, cursor, picture) = pen.finish();
    app.hits = hits;
    sweep(frame, app.look.ascii, picture);
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// The last look at every cell: nothing that steers a terminal leaves, whatever was forgotten before. Only
/// a picture's own cells may: they are made here, of pixels.
fn sweep(frame: &mut Frame<'_>, ascii: bool, picture: Option<Rect>) {
    let area = frame.area();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if picture.is_some_and(|it| it.contains((x, y).into())) {
                continue;
            }
            let cell = &mut frame.buffer_mut()[(x, y)];
            let symbol = cell.symbol();
            if symbol.contains(|c: char| c.is_control()) {
                cell.set_symbol(" ");
            } else if ascii && !symbol.is_ascii() {
                let plain = plain_sign(symbol);
                cell.set_symbol(plain);
            }
        }
    }
}

fn screen(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    match app.screen {
        Screen::Tab(Tab::Overview) => overview::draw(pen, app, body),
        Screen::Tab(Tab::Timeline) => timeline::draw(pen, app, body),
        Screen::Tab(Tab::Calendar) => calendar::draw(pen, app, body),
        Screen::Tab(Tab::Compose) => compose::draw(pen, app, body),
        Screen::Tab(Tab::Accounts) => accounts::draw(pen, app, body),
        Screen::Tab(Tab::Deletions) => records::deletions(pen, app, body),
        Screen::Tab(Tab::Log) => records::log(pen, app, body),
        Screen::Tab(Tab::Doctor) => records::doctor(pen, app, body),
        Screen::Post => post::draw(pen, app, body),
        Screen::Help => help::draw(pen, app, body),
    }
}

fn too_small(pen: &mut Pen<'_>, area: Rect) {
    let (width, height) = LEAST;
    let said = format!("{}x{} is too small; {width}x{height} will do", area.width, area.height);
    pen.put(area.x, area.y, usize::from(area.width), &said, Tone::Warn);
}

fn header(pen: &mut Pen<'_>, app: &App, area: Rect) {
    let mut x = pen.put(1, 0, 10, "Sendoff", Tone::Strong) + 2;
    let dot = pen.look.sign("●", "*");
    let (word, tone) = match (&app.link, &app.status) {
        (Link::Down(_), _) => ("no daemon", Tone::Bad),
        (Link::Begun, _) | (_, None) => ("…", Tone::Dim),
        (_, Some(it)) if it.paused => ("paused: nothing is sent", Tone::Warn),
        (_, Some(it)) if it.ready => ("ready", Tone::Good),
        _ => ("starting", Tone::Warn),
    };
    x = pen.put(x, 0, 30, &format!("{dot} {word}"), tone) + 3;
    let own = app.now.to_zoned(app.zone.clone());
    let zone = app
        .zone
        .iana_name()
        .map_or_else(|| own.strftime("%Z").to_string(), |it| it.trim_start_matches("Etc/").to_owned());
    let clock = format!("{} {zone}", own.strftime("%a %-d %b %H:%M"));
    let right = area.width.saturating_sub(u16::try_from(text::width(&clock)).unwrap_or(0) + 1);
    if let (Some(status), Link::Up) = (&app.status, &app.link) {
        let mut pieces: Vec<(String, Tone)> = Vec::new();
        let alerts = status.alerts.len();
        let needs = app.overview.attention.rows.len();
        if needs > 0 {
            let more = if app.overview.attention.more { "+" } else { "" };
            let need = if needs == 1 { "needs" } else { "need" };
            pieces.push((format!("{needs}{more} {need} you"), Tone::Warn));
        }
        if alerts > 0 {
            pieces.push((format!("{alerts} alert{}", if alerts == 1 { "" } else { "s" }), Tone::Warn));
        }
        if let Some(due) = status.next_due {
            pieces.push((format!("next {}", when::relative(due, app.now)), Tone::Plain));
        }
        let old = status.last_tick.filter(|at| app.now.as_second() - at.as_second() > 120);
        if let Some(at) = old {
            pieces.push((format!("last tick {}", when::relative(at, app.now)), Tone::Bad));
        }
        for (piece, tone) in pieces {
            let cells = text::width(&piece);
            if usize::from(x) + cells + 2 > usize::from(right) {
                break;
            }
            x = pen.put(x, 0, cells, &piece, tone) + 3;
        }
    }
    pen.put(right, 0, usize::from(area.width.saturating_sub(right)), &clock, Tone::Dim);
}

fn tabs(pen: &mut Pen<'_>, app: &App, area: Rect) {
    // All of them are seen however narrow it is: with air, close together, or shortened.
    let gap = u16::from(area.width >= 100);
    let mut x = area.x + gap;
    for (n, tab) in Tab::ALL.into_iter().enumerate() {
        let is_here = app.screen == Screen::Tab(tab);
        let title = if area.width < 80 { tab.title().get(..4).unwrap_or(tab.title()) } else { tab.title() };
        let label = format!("{} {title}", n + 1);
        let cells = u16::try_from(label.len()).unwrap_or(0);
        if x + cells > area.right() {
            break;
        }
        let place = Rect { x, y: area.y, width: cells, height: 1 };
        pen.put(x, area.y, label.len(), &label, if is_here { Tone::Accent } else { Tone::Dim });
        pen.hit(place, Hit::Tab(tab));
        x += cells + 1 + gap;
    }
}

/// What was said, or what can still be taken back.
fn says(pen: &mut Pen<'_>, app: &App, area: Rect) {
    let cells = usize::from(area.width).saturating_sub(2);
    pen.fill(area, pen.look.sign("─", "-"), Tone::Dim);
    let open: Vec<_> = app.undo.iter().filter(|it| it.step == Step::Open).collect();
    let said = match (open.last(), &app.toast) {
        _ if app.promised.iter().any(|it| !it.sent) => {
            let what = app.promised.iter().find(|it| !it.sent).map_or("", |it| &it.what);
            Some((format!(" {what}: waits for the daemon; u takes it back "), Tone::Warn))
        }
        (_, Some(toast)) => Some((format!(" {} ", toast.text), toast.tone)),
        (Some(it), None) => {
            let left = (it.until.as_second() - app.now.as_second()).max(0);
            let more = match open.len() {
                1 => String::new(),
                n => format!(", {} more before it", n - 1),
            };
            let told = format!("; u takes it back ({left} s){more}");
            // It stands there for long, so it keeps to its one line.
            let room = cells.saturating_sub(text::width(&told) + text::width(it.word) + 6);
            Some((format!(" {} {}{told} ", it.word, text::fit(&it.what, room)), Tone::Warn))
        }
        _ => match &app.link {
            Link::Down(_) if app.screen == Screen::Tab(Tab::Compose) => Some((
                " no daemon: your text stays on this screen and is kept as soon as there is one ".to_owned(),
                Tone::Bad,
            )),
            _ => None,
        },
    };
    let Some((said, tone)) = said else { return };
    let lines = text::wrap(said.trim(), cells.saturating_sub(2).max(8));
    let rows = u16::try_from(lines.len()).unwrap_or(1).clamp(1, TOAST_ROWS);
    // More than one line grow upwards, over what is there.
    let top = area.y.saturating_sub(rows - 1);
    if rows > 1 {
        pen.clear(Rect { y: top, height: rows, ..area });
    }
    for (y, line) in (top..=area.y).zip(lines) {
        pen.put(area.x + 1, y, cells, &format!(" {line} "), tone);
    }
}

/// The keys that count here, from the table.
fn footer(pen: &mut Pen<'_>, app: &App, area: Rect) {
    let places = keys::places(app);
    let mut all: Vec<_> = keys::here(&places).into_iter().filter(|it| !it.short.is_empty()).collect();
    // Where letters are text, the way out is what nobody would guess.
    if !keys::is_writing(&places) {
        all.retain(|it| it.at != keys::At::Global || it.action != keys::Action::Back);
    } else if app.layers.is_empty() {
        all.sort_by_key(|it| match it.action {
            keys::Action::Back => 0,
            keys::Action::Help => 1,
            _ => 2,
        });
    }
    if app.layers.is_empty() && !has_row(app) {
        all.retain(|it| !is_of_a_row(it));
    }
    let mut x = area.x + 1;
    for it in all {
        // The first key of the line that works here: letters are text where one writes.
        let works = |key: &&keys::Key| keys::resolve(&places, **key) == Some(it.action);
        let Some(key) = it.keys.iter().find(works) else { continue };
        let name = key.name();
        let cells = u16::try_from(text::width(&name) + 1 + text::width(it.short)).unwrap_or(u16::MAX);
        if x.saturating_add(cells) >= area.right() {
            break;
        }
        x = pen.put(x, area.y, 20, &name, Tone::Accent) + 1;
        x = pen.put(x, area.y, 20, it.short, Tone::Plain) + 2;
    }
}

/// Whether something is under the cursor.
fn has_row(app: &App) -> bool {
    let Screen::Tab(tab) = app.screen else { return app.screen == Screen::Help || app.row().is_some() };
    match tab {
        Tab::Overview | Tab::Timeline | Tab::Calendar => app.row().is_some(),
        Tab::Compose => true,
        Tab::Accounts => !app.accounts.is_empty(),
        Tab::Deletions => !app.records.receipts.is_empty(),
        Tab::Log if app.log.audit => !app.records.audit.is_empty(),
        Tab::Log => !app.log.lines.is_empty(),
        Tab::Doctor => app.doctor.found.as_ref().is_some_and(|it| !it.findings.is_empty()),
    }
}

/// Whether a key does something to what is under the cursor.
fn is_of_a_row(it: &keys::Binding) -> bool {
    use keys::{Action as A, At};
    let acts =
        matches!(it.action, A::Enter | A::Whole | A::Later | A::Reconnect | A::TogglePause | A::Disconnect);
    it.at == At::Row || acts
}

/// Nobody answers: why, and what mends it.
fn no_daemon(pen: &mut Pen<'_>, app: &App, body: Rect) {
    let Link::Down(trouble) = &app.link else { return };
    let cells = usize::from(body.width).saturating_sub(8).min(90);
    let mut y = body.y + 2;
    let mut say = |lines: &str, tone: Tone, y: &mut u16| {
        for line in text::wrap(lines, cells) {
            if *y < body.bottom() {
                pen.put(body.x + 4, *y, cells, &line, tone);
                *y += 1;
            }
        }
        *y += 1;
    };
    say("The daemon does not answer.", Tone::Strong, &mut y);
    say(&trouble.message, Tone::Bad, &mut y);
    if let Some(hint) = &trouble.hint {
        say(hint, Tone::Accent, &mut y);
    }
    say(&format!("Socket: {}", app.socket), Tone::Dim, &mut y);
    say("This screen tries again by itself; nothing has to be pressed.", Tone::Dim, &mut y);
    if !app.compose.is_blank() {
        say("What you were writing is still here: 4 shows it.", Tone::Plain, &mut y);
    }
}
