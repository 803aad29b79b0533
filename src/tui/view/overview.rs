//! The overview: what needs a person, what is due next, what is half written; and how the daemon stands.

use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use super::rows;
use crate::tui::app::{App, Brief};
use crate::tui::health;
use crate::tui::look::Tone;
use crate::tui::pages::{Row, scroll};

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let wide = body.width >= 140;
    let cut = body.width / 3 * 2;
    let width = if wide { body.width - cut - 2 } else { body.width - 2 };
    let mut lines = Vec::new();
    for (tone, line, indent) in health::lines(app, usize::from(width)) {
        wrapped(&mut lines, tone, &line, usize::from(width), indent);
    }
    let (left, right) = if wide {
        (Rect { width: cut - 1, ..body }, Rect { x: body.x + cut + 1, width, ..body })
    } else {
        // As many rows as the lists leave free; six at least, if they are needed.
        let free = usize::from(body.height).saturating_sub(list_rows(app)).max(6);
        let height = u16::try_from(lines.len().min(free)).unwrap_or(0).min(body.height);
        let top = Rect { x: body.x + 1, width, height, ..body };
        (Rect { y: body.y + height, height: body.height - height, ..body }, top)
    };
    let rows = usize::from(right.height);
    if lines.len() > rows && rows >= 2 {
        // Whatever is hidden: that the daemon works, and how to see the rest.
        let left = lines.len() + 2 - rows;
        lines.truncate(rows - 2);
        lines.push((
            Tone::Accent,
            format!("{left} more line{}: i shows all", if left == 1 { "" } else { "s" }),
        ));
        lines.extend(app.status.as_ref().map(|it| (Tone::Dim, health::short(app, it))));
    }
    pen.lines(right, &lines, 0);
    lists(pen, app, left);
}

/// Rows that the lists would fill.
fn list_rows(app: &App) -> usize {
    let it = &app.overview;
    let rows = |it: &Brief| if it.rows.is_empty() { 0 } else { it.rows.len() + 1 };
    [&it.attention, &it.drafts, &it.lately].into_iter().map(rows).sum::<usize>() + rows(&it.due).max(2)
}

/// One line of the lists: a heading, a row, or a remark.
enum Line<'a> {
    Heading(String),
    Row(usize, &'a Row),
    Remark(&'static str),
}

fn lists(pen: &mut Pen<'_>, app: &mut App, area: Rect) {
    let view = &app.overview;
    let mut lines = Vec::new();
    let mut n = 0;
    let loaded = |load: &crate::tui::effect::Load| !app.asked.contains(load);
    let mut part = |title: &str, brief: &Brief, none: Option<&'static str>| {
        let more = if brief.more { "+" } else { "" };
        if brief.rows.is_empty() && none.is_none() {
            return Vec::new();
        }
        let mut out = vec![(format!("{title} ({}{more})", brief.rows.len()), None)];
        for _ in &brief.rows {
            out.push((String::new(), Some(n)));
            n += 1;
        }
        out
    };
    let due_loaded = loaded(&crate::tui::effect::Load::Due);
    let parts = [
        (part("Needs you", &view.attention, None), &view.attention, None),
        (
            part("Due next", &view.due, Some("")),
            &view.due,
            Some(if due_loaded { "Nothing waits for its time. n writes a post." } else { "…" }),
        ),
        (part("Drafts", &view.drafts, None), &view.drafts, None),
        (part("Lately", &view.lately, None), &view.lately, None),
    ];
    for (out, brief, none) in parts {
        let mut rows = brief.rows.iter();
        let is_empty = brief.rows.is_empty();
        for (title, number) in out {
            match number {
                None => lines.push(Line::Heading(title)),
                Some(number) => lines.extend(rows.next().map(|row| Line::Row(number, row))),
            }
        }
        if let (true, Some(none)) = (is_empty, none) {
            lines.push(Line::Remark(none));
        }
    }
    let here = lines.iter().position(|it| matches!(it, Line::Row(n, _) if *n == view.at)).unwrap_or(0);
    let mut top = view.top;
    // The heading above the first row stays in sight with it.
    scroll(here, &mut top, usize::from(area.height));
    if here <= 1 {
        top = 0;
    }
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(top)) {
        let place = Rect { y, height: 1, ..area };
        match line {
            Line::Heading(title) => {
                pen.heading(Rect { x: area.x + 1, width: area.width - 1, ..place }, title);
            }
            Line::Remark(said) => {
                pen.put(area.x + 2, y, usize::from(area.width) - 2, said, Tone::Dim);
            }
            Line::Row(n, row) => rows::draw(pen, app, place, row, *n, *n == view.at),
        }
    }
    app.overview.top = top;
}
