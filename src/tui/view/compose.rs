//! Compose: the text, the fields around it, and what each network makes of it.

use ratatui::layout::{Position, Rect};

use super::pen::{Pen, wrapped};
use crate::tui::app::{App, Hit};
use crate::tui::compose::{Compose, Field, Time};
use crate::tui::look::Tone;
use crate::tui::pages::scroll;
use crate::tui::{text, verdicts, when};

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let wide = body.width >= 130;
    let (left, right) = if wide {
        // Own texts stand beside the common one, as far as there is room.
        let texts = u16::try_from(app.compose.voices.len() + 1).unwrap_or(u16::MAX);
        let most = texts.saturating_mul(56).clamp(110, body.width.saturating_sub(60).max(110));
        let cut = (body.width * 3 / 5).max(if texts > 1 { most } else { 0 }).min(most);
        (
            Rect { x: body.x + 1, width: cut - 2, ..body },
            Some(Rect { x: body.x + cut + 1, width: body.width - cut - 2, ..body }),
        )
    } else {
        (Rect { x: body.x + 1, width: body.width - 2, ..body }, None)
    };
    let verdicts = verdicts(app, usize::from(right.unwrap_or(left).width), wide);
    // Below the text on a narrow screen: what the networks say, in as many rows as it takes, within bounds.
    let below = match right {
        Some(_) => 0,
        None => {
            u16::try_from(verdicts.len()).unwrap_or(u16::MAX).clamp(1, body.height.saturating_sub(12).max(2))
        }
    };
    let fields: u16 = 5;
    let text = body.height.saturating_sub(fields + below).max(4);
    let mut y = body.y;
    field(pen, app, Field::To, "To", &targets(&app.compose), Rect { y, height: 1, ..left });
    y += 1;
    texts(pen, app, Rect { y, height: text, ..left }, wide);
    y += text;
    let line = |y| Rect { y, height: 1, ..left };
    field(pen, app, Field::Media, "Media", &media(&app.compose), line(y));
    comment(pen, app, line(y + 1));
    field(pen, app, Field::Options, "Options", &options(&app.compose), line(y + 2));
    field(pen, app, Field::When, "When", &time(&app.compose), line(y + 3));
    let area = right.unwrap_or(Rect { y: y + 4, height: body.bottom().saturating_sub(y + 4), ..left });
    let rows = usize::from(area.height);
    if verdicts.len() <= rows || rows == 0 {
        pen.lines(area, &verdicts, 0);
        return;
    }
    // The remark has a line of its own: it must not lie over what mends a problem.
    pen.lines(Rect { height: area.height - 1, ..area }, &verdicts, 0);
    let left = verdicts.len() + 1 - rows;
    let more = format!("{left} more line{}: Alt-P shows all", if left == 1 { "" } else { "s" });
    pen.put(area.x, area.bottom() - 1, usize::from(area.width), &more, Tone::Accent);
}

fn field(pen: &mut Pen<'_>, app: &App, at: Field, name: &str, value: &(Tone, String), area: Rect) {
    let is_here = app.compose.field == at;
    pen.put(area.x, area.y, 9, name, if is_here { Tone::Accent } else { Tone::Dim });
    pen.put(area.x + 10, area.y, usize::from(area.width).saturating_sub(10), &value.1, value.0);
    if is_here {
        pen.tone(area, Tone::Here);
    }
    pen.hit(area, Hit::Field(at));
}

fn targets(it: &Compose) -> (Tone, String) {
    if it.to.is_empty() {
        (Tone::Warn, "nobody yet (Enter chooses)".into())
    } else {
        (Tone::Plain, it.to.join(", "))
    }
}

fn media(it: &Compose) -> (Tone, String) {
    let mut all: Vec<String> = it
        .media
        .iter()
        .map(|file| {
            let alt = if file.alt.is_empty() { "not described" } else { "described" };
            let part =
                if it.common.parts.len() > 1 { format!(", part {}", file.part) } else { String::new() };
            format!("{} ({}, {alt}{part})", file.name, when::size(file.bytes))
        })
        .collect();
    if !it.uploads.is_empty() {
        all.push(format!("{} on the way up…", it.uploads.len()));
    }
    if all.is_empty() { (Tone::Dim, "none (Enter adds)".into()) } else { (Tone::Plain, all.join(", ")) }
}

fn options(it: &Compose) -> (Tone, String) {
    let all: Vec<String> = it
        .options
        .iter()
        .filter(|(network, _)| it.concerns(network))
        .flat_map(|(network, set)| set.iter().map(move |(key, value)| format!("{network}.{key}={value}")))
        .collect();
    if all.is_empty() {
        (Tone::Dim, "none (Enter shows what there is)".into())
    } else {
        (Tone::Plain, all.join(", "))
    }
}

fn time(it: &Compose) -> (Tone, String) {
    match &it.time {
        Some(Time::Now) => (Tone::Plain, "now".into()),
        Some(Time::At(when)) if it.bad_time().is_some() => {
            (Tone::Bad, format!("× at {when} (not a time that can be taken)"))
        }
        Some(Time::At(when)) => (Tone::Plain, format!("at {when}")),
        Some(Time::Queue(queue)) => (Tone::Plain, format!("next free slot of {queue}")),
        Some(Time::Draft) => (Tone::Plain, "kept as a draft".into()),
        None if it.original.is_some() => (Tone::Dim, "as it is (Enter gives it another time)".into()),
        None => (Tone::Warn, "not chosen yet (Enter chooses)".into()),
    }
}

fn comment(pen: &mut Pen<'_>, app: &App, area: Rect) {
    let is_here = app.compose.field == Field::Comment;
    pen.put(area.x, area.y, 9, "Comment", if is_here { Tone::Accent } else { Tone::Dim });
    pen.hit(area, Hit::Field(Field::Comment));
    let x = area.x + 10;
    let cells = usize::from(area.right().saturating_sub(x));
    if app.compose.comment.text().is_empty() && !is_here {
        pen.put(x, area.y, cells, "none (the first comment under the post)", Tone::Dim);
        return;
    }
    entry(pen, x, area.y, cells, &app.compose.comment, is_here);
}

/// A text on one line; it slides so that the cursor is seen.
pub(super) fn entry(
    pen: &mut Pen<'_>,
    x: u16,
    y: u16,
    cells: usize,
    editor: &crate::tui::editor::Editor,
    is_here: bool,
) {
    use unicode_segmentation::UnicodeSegmentation as _;
    let (_, column) = editor.place(usize::MAX);
    let skip = column.saturating_sub(cells.saturating_sub(1));
    let (mut at, mut shown) = (0, String::new());
    for cluster in editor.text().graphemes(true) {
        let (sign, wide) = text::glyph(cluster);
        if at >= skip {
            shown += &sign;
        }
        at += wide;
    }
    pen.put(x, y, cells, &shown, Tone::Plain);
    if is_here {
        let column = u16::try_from(column - skip).unwrap_or(0);
        pen.cursor = Some(Position { x: x + column, y });
    }
}

/// The least cells in which a text is still written with pleasure.
const COLUMN: u16 = 40;

/// The common text and the own ones, side by side where there is room; else the one that is written.
fn texts(pen: &mut Pen<'_>, app: &mut App, area: Rect, wide: bool) {
    let names = app.compose.voice_names();
    let room = if wide { usize::from((area.width + 1) / (COLUMN + 1)).max(1) } else { 1 };
    let count = room.min(names.len());
    if count == 1 {
        editor(pen, app, area, false);
        return;
    }
    let at = names.iter().position(|it| *it == app.compose.voice).unwrap_or(0);
    let from = (at + 1).saturating_sub(count);
    let columns = u16::try_from(count).unwrap_or(1);
    let each = (area.width + 1) / columns;
    for (n, (column, name)) in (0..columns).zip(&names[from..]).enumerate() {
        let x = area.x + each * column;
        let width = if column + 1 == columns { area.right() - x } else { each - 1 };
        let place = Rect { x, width, ..area };
        if from + n == at {
            editor(pen, app, place, true);
        } else {
            beside(pen, app, place, name.as_ref());
        }
        pen.hit(place, Hit::Voice(from + n));
        length(pen, app, place, name.as_ref());
    }
    let left = names.len() - count;
    if left > 0 {
        let more = format!(" {left} more: Alt-L ");
        let x = area.right().saturating_sub(u16::try_from(more.len()).unwrap_or(0) + 1);
        pen.put(x, area.bottom() - 1, more.len(), &more, Tone::Accent);
    }
}

/// A text that is not written on now.
fn beside(pen: &mut Pen<'_>, app: &App, area: Rect, name: Option<&String>) {
    let parts = app.compose.parts_of(name);
    let part = app.compose.part.min(parts.len().saturating_sub(1));
    let inner = pen.frame(area, &titled(&app.compose, name, part, true), Tone::Dim);
    let Some(editor) = parts.get(part) else { return };
    let rows = editor.rows(usize::from(inner.width));
    let is_cut = rows.len() > usize::from(inner.height);
    for (y, range) in (inner.y..inner.bottom()).zip(rows) {
        pen.put(inner.x, y, usize::from(inner.width), &editor.text()[range], Tone::Plain);
    }
    if is_cut {
        pen.put(area.x + 1, area.bottom() - 1, 1, "…", Tone::Dim);
    }
}

/// The length of a text in the frame below it, as the network counts that has the least room for it.
fn length(pen: &mut Pen<'_>, app: &App, area: Rect, name: Option<&String>) {
    let Some((_, Ok(check))) = &app.compose.checked else { return };
    let own = check.targets.iter().filter(|it| app.compose.voice_of(&it.account) == name);
    let Some(it) = own.min_by_key(|it| i128::from(it.length.max) - i128::from(it.length.used)) else {
        return;
    };
    let told = format!(" {} of {} {} ", it.length.used, it.length.max, it.length.unit);
    let tone = if it.length.used > it.length.max { Tone::Bad } else { Tone::Dim };
    pen.put(area.x + 2, area.bottom() - 1, usize::from(area.width).saturating_sub(4), &told, tone);
}

/// The title of a text; `beside`: it stands among others.
fn titled(compose: &Compose, name: Option<&String>, part: usize, beside: bool) -> String {
    let mut title = match name {
        Some(name) => format!("Own text of {name}"),
        None if beside => "Text for everybody else".to_owned(),
        None if compose.voices.is_empty() => "Text".to_owned(),
        None => format!("Text ({} own)", compose.voices.len()),
    };
    let parts = compose.parts_of(name).len();
    if parts > 1 {
        title = format!("{title}, part {} of {parts}", part + 1);
    }
    title
}

fn editor(pen: &mut Pen<'_>, app: &mut App, area: Rect, among: bool) {
    let compose = &app.compose;
    let is_here = compose.field == Field::Text;
    let mut title = titled(compose, compose.voice.as_ref(), compose.part, among);
    if compose.original.is_some() {
        title = format!("{title} (a change to a post that has its time)");
    }
    let inner = pen.frame(area, &title, if is_here { Tone::Accent } else { Tone::Dim });
    pen.hit(area, Hit::Field(Field::Text));
    let (kept, tone) = kept(app);
    if !kept.is_empty() {
        let cells = text::width(&kept);
        let x = area.right().saturating_sub(u16::try_from(cells).unwrap_or(0) + 2);
        if usize::from(area.width) > cells + text::width(&title) + 8 {
            pen.put(x, area.y, cells, &kept, tone);
        }
    }
    app.compose.cells = usize::from(inner.width);
    let Some(editor) = app.compose.editor() else { return };
    let rows = editor.rows(usize::from(inner.width));
    let (row, column) = editor.place(usize::from(inner.width));
    let mut top = app.compose.top;
    scroll(row, &mut top, usize::from(inner.height));
    top = top.min(rows.len().saturating_sub(1));
    for (y, range) in (inner.y..inner.bottom()).zip(rows.into_iter().skip(top)) {
        pen.put(inner.x, y, usize::from(inner.width), &editor.text()[range], Tone::Plain);
    }
    if is_here {
        let place = |n: usize| u16::try_from(n).unwrap_or(0);
        let column = place(column).min(inner.width.saturating_sub(1));
        pen.cursor = Some(Position { x: inner.x + column, y: inner.y + place(row - top) });
    }
    app.compose.top = top;
}

/// Whether the daemon has what stands here.
fn kept(app: &App) -> (String, Tone) {
    let it = &app.compose;
    if it.is_blank() && it.id.is_none() {
        return (String::new(), Tone::Dim);
    }
    if it.sending || it.submit {
        return (" sending… ".into(), Tone::Accent);
    }
    if it.unsaved.is_some() {
        return (" not kept ".into(), Tone::Bad);
    }
    if it.is_kept() {
        return (" kept ".into(), Tone::Dim);
    }
    let tone = if app.is_up() { Tone::Dim } else { Tone::Warn };
    (" changed ".into(), tone)
}

/// What each network says of it, as long as it takes.
fn verdicts(app: &App, cells: usize, wide: bool) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
    for it in verdicts::lines(app, cells, wide) {
        wrapped(&mut out, it.tone, &it.text, cells, it.indent);
    }
    out
}
