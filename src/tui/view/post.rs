//! One post: its text, its deliveries, and the whole story of the one under the cursor.

use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use super::rows::{REPLACED, by_which, is_replaced, state_tone, state_words};
use crate::control::messages as m;
use crate::tui::app::{App, Hit, title_of};
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::replaced_by;
use crate::tui::{details, text, when};

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let Some(post) = app.post.post.clone() else {
        let said = match &app.post.error {
            Some(trouble) => trouble.message.clone(),
            None => "…".to_owned(),
        };
        return pen.note(body, &said);
    };
    let Some(delivery) = post.deliveries.get(app.post.at) else {
        summary(pen, app, &post, Rect { x: body.x + 1, width: body.width - 2, ..body });
        let below = Rect { y: body.y + 2, height: body.height.saturating_sub(2), ..body };
        return pen.note(below, "This is a draft: e opens it.");
    };
    if body.width >= 140 {
        // What it gets beside what became of it; both move together.
        let cut = body.width * 2 / 5;
        let left = Rect { x: body.x + 1, width: cut - 2, ..body };
        let used = summary(pen, app, &post, left);
        let text = Rect { y: left.y + used, height: left.height.saturating_sub(used), ..left };
        let right = Rect { x: body.x + cut + 1, width: body.width - cut - 2, ..body };
        let place = heading(pen, app, delivery, right);
        let mut lines = Vec::new();
        texts(&post, delivery, usize::from(text.width), &mut lines);
        let story = story(app, &post, delivery, usize::from(place.width));
        app.post.page = usize::from(text.height.min(place.height)).saturating_sub(2).max(1);
        let room = |area: Rect, lines: &[(Tone, String)]| {
            // The last line says that there is more.
            let height = usize::from(area.height);
            if lines.len() > height { lines.len() + 1 - height } else { 0 }
        };
        app.post.scroll = app.post.scroll.min(room(text, &lines).max(room(place, &story)));
        pen.part(text, &lines, app.post.scroll.min(room(text, &lines)), "PgDn");
        pen.part(place, &story, app.post.scroll.min(room(place, &story)), "PgDn");
        return;
    }
    let area = Rect { x: body.x + 1, width: body.width - 2, ..body };
    let used = summary(pen, app, &post, area);
    let area = Rect { y: area.y + used, height: area.height.saturating_sub(used), ..area };
    let area = heading(pen, app, delivery, area);
    let cells = usize::from(area.width);
    let mut lines = why(delivery, cells);
    texts(&post, delivery, cells, &mut lines);
    lines.push((Tone::Accent, "what became of it".to_owned()));
    lines.extend(facts(app, &post, delivery, cells));
    let height = usize::from(area.height);
    app.post.page = height.saturating_sub(2).max(1);
    let most = if lines.len() > height { lines.len() + 1 - height } else { 0 };
    app.post.scroll = app.post.scroll.min(most);
    pen.part(area, &lines, app.post.scroll, if post.deliveries.len() > 1 { "PgDn" } else { "j" });
}

/// The post in a line or two, and its deliveries; how many rows that took.
fn summary(pen: &mut Pen<'_>, app: &App, post: &m::Post, area: Rect) -> u16 {
    let cells = usize::from(area.width);
    let status = post.status.as_str();
    let x = pen.put(area.x, area.y, 20, &status.replace('_', " "), tone_of(status)) + 2;
    let made = format!(
        "made {} by {} · {}",
        when::relative(post.created_at, app.now),
        post.source.as_str(),
        post.id
    );
    pen.put(x, area.y, cells.saturating_sub(usize::from(x - area.x)), &made, Tone::Dim);
    let own = post.deliveries.get(app.post.at).map(|it| details::content(post, it));
    // Its beginning, to know it by; all of it stands below.
    let known = own.iter().flatten().find(|it| it.0 == Tone::Plain).map_or(post.body.as_str(), |it| &it.1);
    pen.put(area.x, area.y + 1, cells, &known.replace('\n', " "), Tone::Plain);
    let rows = u16::try_from(post.deliveries.len()).unwrap_or(u16::MAX).min(6).min(area.height / 3);
    let list = Rect { y: area.y + 2, height: rows, ..area };
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
        let by = replaced_by(&post.deliveries, it);
        let (word, tone) = match by.as_deref() {
            by if is_replaced(it, by) => (REPLACED, Tone::Dim),
            _ => (state_words(it), state_tone(it)),
        };
        pen.put(x + 27, y, 17, word, tone);
        let rest = match (&it.permalink, it.published_at, it.next_try) {
            _ if by.is_some() => by.map_or_else(String::new, |by| {
                // How that one stands is told in its own row.
                format!("by one due {}", when::day_time(by.due, app.now, &app.zone))
            }),
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
    2 + rows
}

/// Which delivery this is, and the bar of its upload; what is left of the area comes back.
fn heading(pen: &mut Pen<'_>, app: &App, it: &m::Delivery, area: Rect) -> Rect {
    let all = app.post.post.as_ref().map_or(0, |it| it.deliveries.len());
    // There may be more of them than have a row.
    let which = if all > 1 { format!(" ({} of {all})", app.post.at + 1) } else { String::new() };
    let by = app.post.post.as_ref().and_then(|post| replaced_by(&post.deliveries, it));
    let word = if is_replaced(it, by.as_deref()) { "cancelled and replaced" } else { state_words(it) };
    pen.heading(Rect { height: 1, ..area }, &format!("{}  {word}{which}", it.account));
    progress(pen, app, it, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area })
}

/// What the account gets, wrapped.
fn texts(post: &m::Post, it: &m::Delivery, cells: usize, out: &mut Vec<(Tone, String)>) {
    for (tone, line) in details::content(post, it) {
        wrapped(out, tone, &line, cells, "  ");
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

/// Why it stands where it does, and what became of it.
fn story(app: &App, post: &m::Post, it: &m::Delivery, cells: usize) -> Vec<(Tone, String)> {
    let mut out = why(it, cells);
    out.extend(facts(app, post, it, cells));
    out
}

/// Why it stands where it does.
fn why(it: &m::Delivery, cells: usize) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
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
    out
}

/// Everything that is known of one delivery besides.
fn facts(app: &App, post: &m::Post, it: &m::Delivery, cells: usize) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
    let now = app.now;
    if let Some(by) = replaced_by(&post.deliveries, it) {
        let told = format!("replaced by {} ({})", by_which(app, &by), by.id);
        wrapped(&mut out, Tone::Accent, &told, cells, "           ");
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
