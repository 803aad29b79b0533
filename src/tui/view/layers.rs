//! What lies over a screen.

use ratatui::layout::Rect;

use super::compose::entry;
use super::pen::{Pen, wrapped};
use crate::control::words::loopback_port;
use crate::tui::app::{App, Hit, Thumbs};
use crate::tui::effect::Source;
use crate::tui::layer::{Connecting, Layer, Menu};
use crate::tui::look::Tone;
use crate::tui::pages::scroll;
use crate::tui::{picture, text, when};

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, area: Rect) {
    let now = app.now;
    let zone = app.zone.clone();
    let pane = picture::pane(app.size, app.look);
    let Some(layer) = app.layers.last_mut() else { return };
    match layer {
        Layer::Confirm(it) => {
            let mut lines = Vec::new();
            let width = 72.min(area.width - 4);
            for line in &it.lines {
                wrapped(&mut lines, Tone::Plain, line, usize::from(width) - 4, "");
            }
            lines.push((Tone::Plain, String::new()));
            lines.push((Tone::Accent, "y does it    n leaves it".to_owned()));
            let inner = window(pen, area, width, lines.len(), &it.title, Tone::Warn);
            pen.lines(inner, &lines, 0);
        }
        Layer::Prompt(it) => {
            let width = 76.min(area.width - 4);
            let mut lines = Vec::new();
            wrapped(&mut lines, Tone::Dim, &it.about, usize::from(width) - 4, "");
            let inner = window(pen, area, width, lines.len() + 2, &it.title, Tone::Accent);
            entry(pen, inner.x, inner.y, usize::from(inner.width), &it.entry, true);
            pen.lines(Rect { y: inner.y + 2, height: inner.height - 2, ..inner }, &lines, 0);
        }
        Layer::Menu(it) => menu(pen, area, it, pane, &app.thumbs),
        Layer::Marks(it) => {
            let inner = window(pen, area, 64, it.items.len().max(1), &it.title, Tone::Accent);
            scroll(it.at, &mut it.top, usize::from(inner.height));
            for (n, (y, item)) in (inner.y..inner.bottom()).zip(it.items.iter().skip(it.top)).enumerate() {
                let n = n + it.top;
                let mark = if item.2 { "[x] " } else { "[ ] " };
                let place = Rect { y, height: 1, ..inner };
                let x = pen.put(inner.x, y, 4, mark, Tone::Strong);
                pen.put(x, y, 28, &item.0, Tone::Plain);
                pen.put(x + 29, y, usize::from(inner.right().saturating_sub(x + 29)), &item.1, Tone::Dim);
                pen.row(place, n == it.at);
                pen.hit(place, Hit::Row(n));
            }
            goes_on(pen, inner, it.top, it.items.len());
        }
        Layer::Palette(it) => {
            let found: Vec<_> = it.found().into_iter().cloned().collect();
            let width = 76.min(area.width - 4);
            let inner = window(pen, area, width, 16, "Commands", Tone::Accent);
            entry(pen, inner.x, inner.y, usize::from(inner.width), &it.entry, true);
            let list = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
            it.at = it.at.min(found.len().saturating_sub(1));
            scroll(it.at, &mut it.top, usize::from(list.height));
            if found.is_empty() {
                pen.put(list.x, list.y, usize::from(list.width), "nothing is called that", Tone::Dim);
            }
            for (n, (y, command)) in (list.y..list.bottom()).zip(found.iter().skip(it.top)).enumerate() {
                let n = n + it.top;
                let place = Rect { y, height: 1, ..list };
                let keys = text::fit(&command.keys, 16);
                let cells = usize::from(list.width).saturating_sub(18);
                pen.put(list.x, y, cells, &command.text, Tone::Plain);
                pen.put(list.x + u16::try_from(cells).unwrap_or(0) + 1, y, 16, &keys, Tone::Dim);
                pen.row(place, n == it.at);
                pen.hit(place, Hit::Row(n));
            }
            goes_on(pen, list, it.top, found.len());
        }
        Layer::Sheet(it) => {
            let width = 100.min(area.width - 4);
            let mut lines = Vec::new();
            for (tone, line) in &it.lines {
                wrapped(&mut lines, *tone, line, usize::from(width) - 4, it.indent);
            }
            let inner = window(pen, area, width, lines.len(), &it.title, Tone::Accent);
            it.top = it.top.min(lines.len().saturating_sub(usize::from(inner.height)));
            pen.lines(inner, &lines, it.top);
            goes_on(pen, inner, it.top, lines.len());
        }
        Layer::Connect(it) => connecting(pen, area, it, now, &zone),
        Layer::Picture(it) => {
            pen.clear(area);
            let about = it.shown.as_ref().map_or("", |it| it.about.as_str());
            let inner = pen.frame(area, format!("{}  {about}", it.title).trim(), Tone::Accent);
            match &it.shown {
                Some(shown) => pen.picture(inner, &shown.protocol),
                None => pen.note(inner, "Reading the picture…"),
            }
        }
    }
}

/// A box in the middle, as high as it must be; its inside with a little air.
fn window(pen: &mut Pen<'_>, area: Rect, width: u16, lines: usize, title: &str, tone: Tone) -> Rect {
    let width = width.min(area.width.saturating_sub(2));
    let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    pen.clear(place);
    let inner = pen.frame(place, title, tone);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Signs in the frame around a list that has more rows than fit: how many come before and behind.
fn goes_on(pen: &mut Pen<'_>, list: Rect, top: usize, len: usize) {
    let behind = len.saturating_sub(top + usize::from(list.height));
    for (y, n, sign) in [(list.y.saturating_sub(1), top, "▲"), (list.bottom(), behind, "▼")] {
        if n > 0 {
            let told = format!(" {} {n} more ", pen.look.sign(sign, if sign == "▲" { "^" } else { "v" }));
            let cells = u16::try_from(text::width(&told)).unwrap_or(0);
            pen.put(list.right().saturating_sub(cells), y, usize::from(cells), &told, Tone::Accent);
        }
    }
}

/// Lines to choose from; beside those that are about pictures, the one under the cursor in `pane` cells.
fn menu(pen: &mut Pen<'_>, area: Rect, it: &mut Menu, pane: Option<(u16, u16)>, thumbs: &Thumbs) {
    let pane = pane.filter(|_| it.items.iter().any(|it| it.picture.is_some()));
    let (beside, high) = pane.map_or((0, 0), |(width, height)| (width + 1, usize::from(height) + 1));
    let label = it.items.iter().map(|it| text::width(&it.label)).max().unwrap_or(0);
    let note = it.items.iter().map(|it| text::width(&it.note)).max().unwrap_or(0);
    let wanted = (label + note + 7).max(text::width(&it.title) + 6);
    let width = u16::try_from(wanted).unwrap_or(u16::MAX).clamp(30, (area.width - 4 - beside).max(30));
    // A remark that is cut stands below in full.
    let label = label.min(usize::from(width) * 3 / 5);
    let room = usize::from(width).saturating_sub(label + 7);
    let cut = it.items.get(it.at).filter(|it| text::width(&it.note) > room);
    let mut below = Vec::new();
    if note > room {
        let full = cut.map_or("", |it| it.note.as_str());
        wrapped(&mut below, Tone::Dim, full, usize::from(width) - 4, "");
        below.resize(3, (Tone::Plain, String::new()));
    }
    let lines = (it.items.len() + below.len()).max(high);
    let whole = window(pen, area, width + beside, lines, &it.title, Tone::Accent);
    let inner = Rect { width: whole.width.saturating_sub(beside), ..whole };
    if pane.is_some() {
        let place = Rect { x: inner.right() + 1, width: beside - 1, ..whole };
        thumb(pen, place, it.items.get(it.at).and_then(|it| it.picture.as_ref()), thumbs);
    }
    let under = u16::try_from(below.len()).unwrap_or(0).min(inner.height / 2);
    let list = Rect { height: inner.height - under, ..inner };
    scroll(it.at, &mut it.top, usize::from(list.height));
    for (n, (y, item)) in (list.y..list.bottom()).zip(it.items.iter().skip(it.top)).enumerate() {
        let n = n + it.top;
        let place = Rect { y, height: 1, ..list };
        pen.put(list.x, y, label, &item.label, Tone::Plain);
        pen.put(list.x + u16::try_from(label).unwrap_or(0) + 2, y, room, &item.note, Tone::Dim);
        pen.row(place, n == it.at);
        pen.hit(place, Hit::Row(n));
    }
    goes_on(pen, list, it.top, it.items.len());
    pen.lines(Rect { y: list.bottom(), height: under, ..inner }, &below, 0);
}

/// The small picture of what is under the cursor, or what there is instead.
fn thumb(pen: &mut Pen<'_>, place: Rect, source: Option<&Source>, thumbs: &Thumbs) {
    let Some(source) = source else { return };
    match thumbs.have.as_ref().filter(|it| it.source == *source).map(|it| &it.shown) {
        Some(Ok(shown)) => {
            let about = Rect { y: place.bottom().saturating_sub(1), height: 1, ..place };
            pen.picture(Rect { height: place.height.saturating_sub(1), ..place }, &shown.protocol);
            pen.put(about.x, about.y, usize::from(about.width), &shown.about, Tone::Dim);
        }
        Some(Err(why)) => pen.note(place, why),
        None => pen.note(place, "reading…"),
    }
}

fn connecting(
    pen: &mut Pen<'_>,
    area: Rect,
    it: &mut Connecting,
    now: jiff::Timestamp,
    zone: &jiff::tz::TimeZone,
) {
    pen.clear(area);
    let title = format!("Connect {}", it.title);
    let inner = pen.frame(area, &title, Tone::Accent);
    let inner = Rect { x: inner.x + 1, width: inner.width - 2, ..inner };
    if it.found.is_some() {
        return found(pen, inner, it);
    }
    let Some(link) = &it.link else {
        pen.put(inner.x, inner.y + 1, usize::from(inner.width), "Asking the daemon for a link…", Tone::Dim);
        return;
    };
    // The link has a whole line, so that it can be copied in one piece.
    let cells = usize::from(inner.width);
    let url = text::wrap(&link.url, cells);
    for (y, line) in (inner.y..inner.bottom()).zip(&url) {
        pen.put(inner.x, y, cells, line, Tone::Strong);
    }
    let high = u16::try_from(url.len()).unwrap_or(1).min(inner.height - 1);
    let below = Rect { y: inner.y + high, height: inner.height - high, ..inner };
    // Beside the words if there is room; a code that does not fit whole is of no use.
    let mut words = below;
    if let Some(code) = link.code.as_ref().filter(|_| !it.pasting && !pen.look.ascii) {
        let wide = u16::try_from(code.first().map_or(0, |it| it.chars().count())).unwrap_or(u16::MAX);
        let high = u16::try_from(code.len()).unwrap_or(u16::MAX);
        if high <= below.height && wide + 30 <= below.width {
            for (y, line) in (below.y..).zip(code) {
                pen.put(below.x, y, usize::from(wide), line, Tone::Paper);
            }
            words = Rect { x: below.x + wide + 2, width: below.width - wide - 2, ..below };
        }
    }
    let cells = usize::from(words.width);
    let mut lines = Vec::new();
    lines.push((Tone::Plain, String::new()));
    wrapped(&mut lines, Tone::Plain, "Open this link in a browser.", cells, "");
    let until = when::day_time(link.expires_at, now, zone);
    wrapped(&mut lines, Tone::Dim, &format!("It works once, until {until}."), cells, "");
    if it.pasting {
        let said = "When you have agreed, the browser lands on an address that it may not be able to open. Copy \
                    it whole and paste it here:";
        wrapped(&mut lines, Tone::Plain, said, cells, "");
        if let Some(seconds) = link.code_lives_s {
            wrapped(
                &mut lines,
                Tone::Warn,
                &format!("Be quick: its code lives {seconds} seconds."),
                cells,
                "",
            );
        }
        if let Some(port) = link.callback.as_deref().and_then(loopback_port) {
            let said = format!("No hurry with a forwarded port: ssh -L {port}:127.0.0.1:{port} THIS_HOST");
            wrapped(&mut lines, Tone::Dim, &said, cells, "  ");
        }
        if let Some(error) = &it.error {
            wrapped(&mut lines, Tone::Bad, &error.message, cells, "");
        }
        let y = words.y + u16::try_from(lines.len()).unwrap_or(0);
        pen.lines(words, &lines, 0);
        if y < words.bottom() {
            let x = pen.put(words.x, y, 2, "> ", Tone::Accent);
            entry(pen, x, y, cells.saturating_sub(2), &it.entry, true);
        }
        return;
    }
    if let Some(port) = loopback_port(&link.url) {
        let said = "It leads to this machine. With a browser on another one, run there first:";
        wrapped(&mut lines, Tone::Dim, said, cells, "");
        wrapped(&mut lines, Tone::Strong, &format!("ssh -L {port}:127.0.0.1:{port} THIS_HOST"), cells, "  ");
        wrapped(&mut lines, Tone::Dim, "or press p and paste the address it lands on.", cells, "");
    }
    lines.push((Tone::Plain, String::new()));
    wrapped(&mut lines, Tone::Accent, "Waiting for the browser…", cells, "");
    pen.lines(words, &lines, 0);
}

fn found(pen: &mut Pen<'_>, inner: Rect, it: &mut Connecting) {
    let all = it.found.as_deref().unwrap_or_default();
    let said = if it.answered { "Storing…" } else { "Found. Nothing is stored before you say so." };
    pen.put(inner.x, inner.y, usize::from(inner.width), said, Tone::Strong);
    let mut y = inner.y + 2;
    let cells = usize::from(inner.width);
    // Every one of them takes some lines; those before the cursor go first if there is no room.
    let heights: Vec<usize> = all
        .iter()
        .map(|(it, _)| 2 + usize::from(!it.missing_scopes.is_empty()) + it.warnings.len())
        .collect();
    let room = usize::from(inner.bottom().saturating_sub(y));
    let mut from = 0;
    while from < it.at && heights[from..=it.at].iter().sum::<usize>() > room {
        from += 1;
    }
    for (n, (account, ticked)) in all.iter().enumerate().skip(from) {
        if y >= inner.bottom() {
            break;
        }
        let mark = if *ticked { "[x]" } else { "[ ]" };
        let line = format!("{mark} @{}  {}", account.username, account.display_name);
        let place = Rect { y, height: 1, ..inner };
        pen.put(inner.x, y, cells, &line, Tone::Plain);
        pen.row(place, n == it.at);
        pen.hit(place, Hit::Row(n));
        y += 1;
        let name = account.account.as_ref().map_or_else(String::new, |it| format!(", will be called {it}"));
        let mut more = vec![(Tone::Dim, format!("    id {}{name}", account.remote_id))];
        if !account.missing_scopes.is_empty() {
            more.push((Tone::Warn, format!("    not granted: {}", account.missing_scopes.join(", "))));
        }
        more.extend(account.warnings.iter().map(|it| (Tone::Warn, format!("    {it}"))));
        for (tone, line) in more {
            if y < inner.bottom() {
                pen.put(inner.x, y, cells, &line, tone);
                y += 1;
            }
        }
    }
    if y + 1 < inner.bottom() {
        pen.put(inner.x, y + 1, cells, "y connects what is ticked    n connects nothing", Tone::Accent);
    }
}
