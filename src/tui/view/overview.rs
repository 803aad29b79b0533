//! The overview: what needs a person, what is due next, what is half written; and how the daemon stands.

use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use super::rows;
use crate::control::words;
use crate::tui::app::{App, Brief, title_of};
use crate::tui::look::Tone;
use crate::tui::pages::{Row, scroll};
use crate::tui::when;

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let wide = body.width >= 140;
    let cut = body.width / 3 * 2;
    let width = if wide { body.width - cut - 2 } else { body.width - 2 };
    let lines = health_lines(app, usize::from(width));
    let (left, right) = if wide {
        (Rect { width: cut - 1, ..body }, Rect { x: body.x + cut + 1, width, ..body })
    } else {
        let height = u16::try_from(lines.len().min(6)).unwrap_or(0);
        let top = Rect { x: body.x + 1, width, height, ..body };
        (Rect { y: body.y + height, height: body.height - height, ..body }, top)
    };
    pen.lines(right, &lines, 0);
    lists(pen, app, left);
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

/// One sign per day, as high as the day was busy; a day on which anything went out is never blank.
fn chart(days: &[u64], ascii: bool) -> String {
    let signs: [char; 9] = if ascii {
        [' ', '.', ':', '-', '=', '+', '*', '%', '#']
    } else {
        ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    let sign = |n: &u64| {
        let height = n.saturating_mul(8).div_ceil(most);
        signs[usize::try_from(height).unwrap_or(8).min(8)]
    };
    days.iter().map(sign).collect()
}

/// How the daemon stands, in few lines; alerts in full.
fn health_lines(app: &App, cells: usize) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
    let Some(status) = &app.status else { return out };
    if status.paused {
        let why = status.pause_reason.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        wrapped(&mut out, Tone::Warn, &format!("Sending is stopped{why}. S sends again."), cells, "  ");
    }
    for it in &status.alerts {
        let hint = it.hint.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
        wrapped(&mut out, Tone::Warn, &format!("! {}{hint}", it.message), cells, "  ");
    }
    if app.overview.activity.iter().any(|it| *it > 0) {
        let sum: u64 = app.overview.activity.iter().sum();
        let days = app.overview.activity.len();
        let chart = chart(&app.overview.activity, app.look.ascii);
        out.push((Tone::Plain, format!("Published   {chart}  {sum} in {days} days")));
    }
    let tick = status.last_tick.map_or_else(|| "none yet".to_owned(), |at| when::relative(at, app.now));
    wrapped(
        &mut out,
        Tone::Plain,
        &format!("Accounts    {}", words::accounts(status)),
        cells,
        "            ",
    );
    wrapped(
        &mut out,
        Tone::Plain,
        &format!("Deliveries  {}", words::deliveries(status)),
        cells,
        "            ",
    );
    let daemon = format!(
        "Daemon      {}, up {}, last tick {tick}, store {}{}",
        status.version,
        when::span(status.uptime_s),
        when::size(status.store.bytes),
        words::free(status)
    );
    wrapped(&mut out, Tone::Dim, &daemon, cells, "            ");
    for it in &status.spending {
        let whom = it.platform.as_deref().map_or_else(String::new, |it| format!(" on {}", title_of(it)));
        let of = it.budget_usd.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
        out.push((Tone::Plain, format!("Spent       {}{of} USD in {}{whom}", it.usd, it.month)));
    }
    if app.accounts.is_empty() && !app.asked.contains(&crate::tui::effect::Load::Accounts) {
        out.push((Tone::Accent, "No account is connected yet: press 5, then n.".to_owned()));
    }
    out
}
