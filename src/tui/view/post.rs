//! One post: its text, its deliveries, and the whole story of the one under the cursor.

use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use super::rows::{state_tone, state_words};
use crate::control::messages as m;
use crate::tui::app::{App, Hit, title_of};
use crate::tui::look::{Tone, tone_of};
use crate::tui::{text, when};

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let Some(post) = app.post.post.clone() else {
        let said = match &app.post.error {
            Some(trouble) => trouble.message.clone(),
            None => "…".to_owned(),
        };
        return pen.note(body, &said);
    };
    let wide = body.width >= 140;
    let (left, right) = if wide {
        let cut = body.width * 2 / 5;
        (
            Rect { x: body.x + 1, width: cut - 2, ..body },
            Rect { x: body.x + cut + 1, width: body.width - cut - 2, ..body },
        )
    } else {
        let text = if post.parts.len() > 1 || post.comment.is_some() { 4 } else { 3 };
        let rows = u16::try_from(post.deliveries.len()).unwrap_or(u16::MAX).clamp(1, 6);
        let height = (text + rows + 1).min(body.height / 2 + 1);
        (
            Rect { x: body.x + 1, width: body.width - 2, height, ..body },
            Rect { x: body.x + 1, y: body.y + height, width: body.width - 2, height: body.height - height },
        )
    };
    summary(pen, app, &post, left, wide);
    let Some(delivery) = post.deliveries.get(app.post.at) else {
        return pen.note(right, "This is a draft: e opens it.");
    };
    pen.heading(Rect { height: 1, ..right }, &format!("{}  {}", delivery.account, state_words(delivery)));
    let area = Rect { y: right.y + 1, height: right.height.saturating_sub(1), ..right };
    let area = progress(pen, app, delivery, area);
    let lines = story(app, &post, delivery, usize::from(area.width));
    let most = lines.len().saturating_sub(usize::from(area.height));
    app.post.scroll = app.post.scroll.min(most);
    pen.lines(area, &lines, app.post.scroll);
    if most > app.post.scroll {
        let more = format!(" {} more: j ", most - app.post.scroll);
        let x = area.right().saturating_sub(u16::try_from(more.len()).unwrap_or(0));
        pen.put(x, area.bottom().saturating_sub(1), more.len(), &more, Tone::Accent);
    }
}

fn summary(pen: &mut Pen<'_>, app: &App, post: &m::Post, area: Rect, wide: bool) {
    let cells = usize::from(area.width);
    let status = post.status.as_str();
    let mut x = pen.put(area.x, area.y, 20, &status.replace('_', " "), tone_of(status)) + 2;
    let mut facts =
        vec![format!("made {} by {}", when::relative(post.created_at, app.now), post.source.as_str())];
    if !post.media.is_empty() {
        facts.push(format!("{} file(s)", post.media.len()));
    }
    if !post.variants.is_empty() {
        facts.push(format!("{} own text(s)", post.variants.len()));
    }
    facts.push(post.id.clone());
    x = pen.put(x, area.y, cells.saturating_sub(usize::from(x - area.x)), &facts.join(" · "), Tone::Dim);
    let _ = x;
    let mut lines = Vec::new();
    let many = post.parts.len() > 1;
    for (n, part) in post.parts.iter().enumerate() {
        let before = if many { format!("{}/{} ", n + 1, post.parts.len()) } else { String::new() };
        wrapped(&mut lines, Tone::Plain, &format!("{before}{part}"), cells, "  ");
    }
    if let Some(comment) = &post.comment {
        wrapped(&mut lines, Tone::Plain, &format!("comment: {comment}"), cells, "  ");
    }
    if wide {
        for it in &post.media {
            let alt = it.alt.as_deref().unwrap_or("not described");
            let line = format!("{} ({}, {}): {alt}", it.name, it.kind, when::size(it.bytes));
            wrapped(&mut lines, Tone::Dim, &line, cells, "  ");
        }
        for notice in &post.notices {
            wrapped(&mut lines, Tone::Warn, notice, cells, "  ");
        }
    }
    let rows = u16::try_from(post.deliveries.len()).unwrap_or(u16::MAX).max(1);
    let room = if wide {
        area.height.saturating_sub(rows.min(area.height / 2) + 3)
    } else {
        area.height.saturating_sub(rows.min(6) + 2).max(1)
    };
    let is_cut = lines.len() > usize::from(room);
    if is_cut {
        lines.truncate(usize::from(room));
        if let Some(last) = lines.last_mut() {
            last.1 = text::fit(&format!("{} …", last.1), cells);
        }
    }
    let text = Rect { y: area.y + 1, height: room, ..area };
    pen.lines(text, &lines, 0);
    let used = u16::try_from(lines.len()).unwrap_or(room).min(room);
    let list = Rect { y: area.y + 2 + used, height: area.height.saturating_sub(used + 2), ..area };
    // The cursor's row stays in sight however many there are.
    let top = (app.post.at + 1).saturating_sub(usize::from(list.height.max(1)));
    for (n, it) in post.deliveries.iter().enumerate().skip(top) {
        let y = list.y + u16::try_from(n - top).unwrap_or(u16::MAX - list.y);
        if y >= list.bottom() {
            break;
        }
        let place = Rect { y, height: 1, ..list };
        let mut x = list.x;
        x = pen.put(x, y, 1, if n == app.post.at { pen.look.sign("›", ">") } else { " " }, Tone::Plain) + 1;
        pen.put(x, y, 26, &it.account, Tone::Plain);
        pen.put(x + 27, y, 17, state_words(it), state_tone(it));
        let rest = match (&it.permalink, it.published_at, it.next_try) {
            (Some(link), _, _) => link.clone(),
            (None, Some(at), _) => when::day_time(at, app.now, &app.zone),
            (None, None, Some(at)) => format!("next try {}", when::relative(at, app.now)),
            _ => format!("due {}", when::day_time(it.due, app.now, &app.zone)),
        };
        let from = x + 45;
        pen.put(from, y, usize::from(list.right().saturating_sub(from)), &rest, Tone::Plain);
        pen.row(place, n == app.post.at);
        pen.hit(place, Hit::Row(n));
    }
}

/// The bar of an upload, if there is one; what is left of the area comes back.
fn progress(pen: &mut Pen<'_>, app: &App, it: &m::Delivery, area: Rect) -> Rect {
    let Some(now) = app.progress.get(&it.id).or(it.progress.as_ref()) else { return area };
    if area.height < 2 || now.total_bytes == 0 {
        return area;
    }
    let cells = (area.width / 3).clamp(10, 40);
    let x = pen.bar(area.x, area.y, cells, now.done_bytes, now.total_bytes) + 2;
    let told = format!("{} {} of {}", now.phase, when::size(now.done_bytes), when::size(now.total_bytes));
    pen.put(x, area.y, usize::from(area.right().saturating_sub(x)), &told, Tone::Plain);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// Everything that is known of one delivery.
fn story(app: &App, post: &m::Post, it: &m::Delivery, cells: usize) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
    let now = app.now;
    if let Some(reason) = &it.reason {
        wrapped(&mut out, state_tone(it), &reason.message, cells, "  ");
        if let Some(hint) = &reason.hint {
            let hint = text::in_fields(hint);
            wrapped(&mut out, Tone::Accent, &format!("→ {hint}"), cells, "  ");
        }
        if let Some(raw) = &reason.raw {
            let title = it.account.split(':').next().map(title_of).unwrap_or_default();
            wrapped(&mut out, Tone::Dim, &format!("{title} said: {raw}"), cells, "  ");
        }
    }
    let fact = |out: &mut Vec<(Tone, String)>, name: &str, value: &str| {
        wrapped(out, Tone::Plain, &format!("{name:<11}{value}"), cells, "           ");
    };
    fact(
        &mut out,
        "due",
        &format!("{}, {}", when::full(it.due, &it.zone, &app.zone), when::relative(it.due, now)),
    );
    if let Some(at) = it.published_at {
        let late = it.lateness_ms.map_or_else(String::new, |ms| {
            if ms < 2_000 {
                format!(", {ms} ms after its time")
            } else {
                format!(", {} s after its time", ms / 1_000)
            }
        });
        let verified = if it.verified { "read back" } else { "accepted, not verified" };
        fact(&mut out, "published", &format!("{}{late}; {verified}", when::day_time(at, now, &app.zone)));
    }
    if let Some(link) = &it.permalink {
        fact(&mut out, "address", link);
    } else if let Some(id) = &it.remote_id {
        fact(&mut out, "remote id", id);
    }
    if let Some(at) = it.next_try {
        fact(&mut out, "next try", &when::relative(at, now));
    }
    fact(&mut out, "attempts", &it.attempts.to_string());
    fact(&mut out, "id", &it.id);
    if it.steps.len() > 1 {
        for step in &it.steps {
            let link = step.permalink.as_deref().unwrap_or("");
            let line = format!("step {} {:<8} {} {link}", step.n, step.kind, step.state);
            wrapped(&mut out, tone_of(&step.state), &line, cells, "    ");
        }
    }
    for notice in &post.notices {
        wrapped(&mut out, Tone::Warn, notice, cells, "  ");
    }
    for why in &it.why {
        let at = why.at.to_zoned(app.zone.clone()).strftime("%-d %b %H:%M:%S");
        let status = why.http_status.map_or_else(String::new, |it| format!(" (HTTP {it})"));
        let tone = if why.to == it.state.as_str() { tone_of(&why.to) } else { Tone::Plain };
        wrapped(&mut out, tone, &format!("{at}  {}{status}", why.message), cells, "                ");
        for more in why.reason.iter().chain(&why.hint) {
            wrapped(&mut out, Tone::Dim, &format!("                {more}"), cells, "                ");
        }
        if let Some(raw) = &why.raw {
            let said = text::fit(raw, 2_000);
            wrapped(
                &mut out,
                Tone::Dim,
                &format!("                it said: {said}"),
                cells,
                "                ",
            );
        }
    }
    for fetch in &it.fetches {
        let line = format!(
            "fetched by {} ({}): {} request(s), {}, HTTP {}",
            fetch.client,
            text::fit(&fetch.agent, 40),
            fetch.requests,
            when::size(fetch.bytes),
            fetch.http_status
        );
        wrapped(&mut out, Tone::Dim, &line, cells, "  ");
    }
    out
}
