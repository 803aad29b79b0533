//! What was: the log, the audit trail, deletions with their receipts; and what doctor found.

use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use crate::control::messages as m;
use crate::tui::app::{App, Hit};
use crate::tui::effect::Load;
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::scroll;
use crate::tui::{details, text, when};

pub(super) fn log(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    if app.log.audit {
        return audit(pen, app, body);
    }
    if app.log.lines.is_empty() {
        return pen.note(body, "Nothing has happened yet. a shows who did what.");
    }
    // The whole of the line under the cursor stands below.
    let below = 3.min(body.height / 4);
    let list = Rect { height: body.height - below, ..body };
    scroll(app.log.at, &mut app.log.top, usize::from(list.height));
    for (n, (y, it)) in (list.y..list.bottom()).zip(app.log.lines.iter().skip(app.log.top)).enumerate() {
        let n = n + app.log.top;
        let place = Rect { y, height: 1, ..list };
        let at = it.at.to_zoned(app.zone.clone()).strftime("%-d %b %H:%M:%S").to_string();
        let mut x = pen.put(1, y, 16, &at, Tone::Dim);
        x = x.max(17);
        let tone = if it.level == "info" { Tone::Plain } else { tone_of(&it.level) };
        pen.put(x, y, usize::from(body.width.saturating_sub(x)), &it.message, tone);
        pen.row(place, n == app.log.at);
        pen.hit(place, Hit::Row(n));
    }
    if let Some(it) = app.log.lines.get(app.log.at) {
        let area = Rect { x: 1, y: list.bottom(), width: body.width - 2, height: below };
        detail(pen, area, details::event(it), "", "i");
    }
}

fn audit(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    if app.records.audit.is_empty() {
        return pen.note(body, if asks_audit(app) { "…" } else { "Nobody has done anything yet." });
    }
    for (x, title) in [(1, "When"), (19, "Who"), (29, "Did"), (54, "Result, to")] {
        pen.put(x, body.y, 24, title, Tone::Dim);
    }
    let below = 3.min(body.height / 4);
    let list = Rect { y: body.y + 1, height: body.height - 1 - below, ..body };
    scroll(app.records.at, &mut app.records.top, usize::from(list.height));
    for (n, (y, it)) in
        (list.y..list.bottom()).zip(app.records.audit.iter().skip(app.records.top)).enumerate()
    {
        let n = n + app.records.top;
        let place = Rect { y, height: 1, ..list };
        pen.put(1, y, 17, &when::day_time(it.at, app.now, &app.zone), Tone::Dim);
        let who = it.who.as_ref().map_or_else(|| "daemon".to_owned(), |it| format!("uid {}", it.uid));
        pen.put(19, y, 9, &who, Tone::Plain);
        pen.put(29, y, 24, &it.action, Tone::Plain);
        let tone = if it.result == "ok" { Tone::Plain } else { Tone::Warn };
        let rest = format!("{}  {}", it.result, it.subject);
        pen.put(54, y, usize::from(body.width.saturating_sub(54)), &rest, tone);
        pen.row(place, n == app.records.at);
        pen.hit(place, Hit::Row(n));
    }
    if let Some(it) = app.records.audit.get(app.records.at) {
        let area = Rect { x: 1, y: list.bottom(), width: body.width - 2, height: below };
        detail(pen, area, details::audit(app, it), "", "i");
    }
}

/// Everything about the row under the cursor; what does not fit is told of, with the key that shows it.
fn detail(pen: &mut Pen<'_>, area: Rect, all: details::Lines, indent: &str, key: &str) {
    let mut lines = Vec::new();
    for (tone, line) in all {
        wrapped(&mut lines, tone, &line, usize::from(area.width), indent);
    }
    pen.part(area, &lines, 0, key);
}

fn asks_audit(app: &App) -> bool {
    app.asked.iter().any(|it| matches!(it, Load::Audit { .. }))
}

/// Disconnects, and requests for deletion that came from the networks.
pub(super) fn deletions(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    if app.records.receipts.is_empty() {
        let said = if app.asked.contains(&Load::Receipts) {
            "…"
        } else {
            "Nothing was deleted yet. Disconnected accounts, deleted posts and deletion requests that come from \
             the networks get their receipt here. x deletes a post, D disconnects an account."
        };
        return pen.note(body, said);
    }
    let rows = u16::try_from(app.records.receipts.len()).unwrap_or(u16::MAX).saturating_add(1);
    let wide = body.width >= 140;
    let (list, detail_area) = if wide {
        let cut = body.width / 2;
        (Rect { width: cut, ..body }, Rect { x: cut + 1, width: body.width - cut - 2, ..body })
    } else {
        let height = rows.min(body.height / 2);
        (
            Rect { height, ..body },
            Rect { x: 1, y: body.y + height, width: body.width - 2, height: body.height - height },
        )
    };
    for (x, title) in [(1, "Asked for"), (20, "What"), (42, "How it stands")] {
        pen.put(x, list.y, 20, title, Tone::Dim);
    }
    let area = Rect { y: list.y + 1, height: list.height - 1, ..list };
    scroll(app.records.at, &mut app.records.top, usize::from(area.height));
    let all = app.records.receipts.iter().skip(app.records.top);
    for (n, (y, it)) in (area.y..area.bottom()).zip(all).enumerate() {
        let n = n + app.records.top;
        let place = Rect { y, height: 1, ..area };
        pen.put(1, y, 18, &when::day_time(it.requested_at, app.now, &app.zone), Tone::Plain);
        pen.put(20, y, 21, &it.kind.replace('_', " "), Tone::Plain);
        let (word, tone) = match it.finished_at {
            Some(at) => {
                let failed = it.steps.iter().filter(|it| it.result == "failed").count();
                let told = format!("finished {}", when::relative(at, app.now));
                match failed {
                    0 => (told, Tone::Good),
                    n => (format!("{n} failed, {told}"), Tone::Bad),
                }
            }
            None => ("going on".to_owned(), Tone::Warn),
        };
        pen.put(42, y, usize::from(area.right().saturating_sub(42)), &word, tone);
        pen.row(place, n == app.records.at);
        pen.hit(place, Hit::Row(n));
    }
    if let Some(it) = app.records.receipts.get(app.records.at) {
        pen.heading(Rect { height: 1, ..detail_area }, &format!("receipt {}", it.id));
        let area = Rect { y: detail_area.y + 1, height: detail_area.height.saturating_sub(1), ..detail_area };
        detail(pen, area, details::receipt(it), details::INDENT, "Enter");
    }
}

pub(super) fn doctor(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let Some(found) = &app.doctor.found else {
        let said = match &app.doctor.error {
            Some(trouble) => trouble.message.clone(),
            None => "Looking at the set-up; this asks the networks and takes a few seconds…".to_owned(),
        };
        return pen.note(body, &said);
    };
    let verdict =
        if found.ok { ("Nothing is at fault.", Tone::Good) } else { ("Something is at fault.", Tone::Bad) };
    pen.put(1, body.y, 40, verdict.0, verdict.1);
    let below = (body.height / 3).clamp(4, 8);
    let list = Rect { y: body.y + 1, height: body.height - 1 - below, ..body };
    scroll(app.doctor.at, &mut app.doctor.top, usize::from(list.height));
    for (n, (y, it)) in (list.y..list.bottom()).zip(found.findings.iter().skip(app.doctor.top)).enumerate() {
        let n = n + app.doctor.top;
        let place = Rect { y, height: 1, ..list };
        let word = it.result.as_str();
        pen.put(1, y, 8, word, tone_of(if it.result == m::FindingResult::Unknown { "" } else { word }));
        pen.put(10, y, 18, &it.about, Tone::Plain);
        pen.put(29, y, 12, &it.check, Tone::Dim);
        pen.put(42, y, usize::from(body.width.saturating_sub(42)), &it.message, Tone::Plain);
        pen.row(place, n == app.doctor.at);
        pen.hit(place, Hit::Row(n));
    }
    if let Some(it) = found.findings.get(app.doctor.at) {
        let area = Rect { x: 1, y: list.bottom(), width: body.width - 2, height: below };
        pen.heading(Rect { height: 1, ..area }, &text::fit(&format!("{} {}", it.about, it.check), 40));
        let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        detail(pen, area, details::finding(it), "  ", "Enter");
    }
}
