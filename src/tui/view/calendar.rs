//! The calendar: what is due on which day, which places of queues are free, where the clocks change.

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::pen::Pen;
use super::rows;
use crate::control::messages as m;
use crate::tui::app::App;
use crate::tui::look::Tone;
use crate::tui::text;

/// What happens on one day.
#[derive(Default)]
struct Day {
    waits: usize,
    out: usize,
    wrong: usize,
    free: usize,
    runs: usize,
    change: bool,
}

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    if let Some(trouble) = &app.calendar.error {
        return pen.note(body, &trouble.message);
    }
    let Some(month) = app.calendar.month.clone() else { return pen.note(body, "…") };
    let zone = TimeZone::get(&month.zone).unwrap_or_else(|_| app.zone.clone());
    let today = app.now.to_zoned(zone.clone()).date();
    let here = app.calendar.day.unwrap_or(today);
    let width = (body.width - 2) / 7;
    let words = Words::of(width);
    let title = format!("{} {}", here.strftime("%B %Y"), month.zone);
    let cells = usize::from(body.width) - 2;
    let behind = pen.put(1, body.y, cells, &title, Tone::Strong) + 3;
    let (remark, tone) = if month.cut {
        ("not everything fits; the timeline has all", Tone::Warn)
    } else {
        (words.legend(), Tone::Dim)
    };
    let wide = u16::try_from(text::width(remark)).unwrap_or(u16::MAX);
    let left = (body.width - 1).saturating_sub(wide).max(behind);
    pen.put(left, body.y, usize::from(body.width.saturating_sub(left)), remark, tone);
    let first = here.first_of_month();
    let monday =
        |it: Date| it.checked_sub(i64::from(it.weekday().to_monday_zero_offset()).days()).unwrap_or(it);
    let (from, weeks) = if app.calendar.week {
        (monday(here), 1)
    } else {
        let from = monday(first);
        let last = here.last_of_month();
        let weeks =
            (1..=6).find(|n| from.checked_add((7 * n).days()).map_or(true, |it| it > last)).unwrap_or(6);
        (from, weeks)
    };
    let weeks = u16::try_from(weeks).unwrap_or(6);
    // Half of the screen for the days, half for the one under the cursor.
    let cell = ((body.height.saturating_sub(2) / 2) / weeks).clamp(2, 6);
    for (n, day) in
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday]
            .into_iter()
            .chain([Weekday::Saturday, Weekday::Sunday])
            .enumerate()
    {
        let name = format!("{day:?}");
        let x = 1 + width * u16::try_from(n).unwrap_or(0);
        pen.put(x, body.y + 1, 3, name.get(..3).unwrap_or(&name), Tone::Dim);
    }
    for week in 0..weeks {
        for column in 0..7u16 {
            let n = i64::from(week * 7 + column);
            let Ok(date) = from.checked_add(n.days()) else { continue };
            let place =
                Rect { x: 1 + width * column, y: body.y + 2 + cell * week, width: width - 1, height: cell };
            let day = day(&month, date, &zone);
            let looks = (date == here, date == today, date.month() == here.month());
            one(pen, place, words, date, &day, looks);
        }
    }
    let y = body.y + 2 + cell * weeks;
    let detail = Rect { y, height: body.bottom().saturating_sub(y), ..body };
    of_day(pen, app, &month, here, &zone, detail);
}

fn day(month: &m::Calendar, date: Date, zone: &TimeZone) -> Day {
    let on = |at: jiff::Timestamp| at.to_zoned(zone.clone()).date() == date;
    let mut day = Day::default();
    for it in month.deliveries.iter().filter(|it| on(it.due)) {
        use m::DeliveryState as D;
        match it.state {
            _ if it.held => day.wrong += 1,
            D::Published | D::HandedOver => day.out += 1,
            D::NeedsReconnect | D::Rejected | D::Missed => day.wrong += 1,
            D::Cancelled => {}
            _ => day.waits += 1,
        }
    }
    day.free = month.slots.iter().filter(|it| on(it.at)).count();
    day.runs = month.recurring.iter().filter(|it| on(it.at)).count();
    day.change = month.changes.iter().any(|it| on(it.at));
    day
}

/// How a day tells what it has: in words where they fit, in signs on a narrow screen.
#[derive(Clone, Copy)]
enum Words {
    Long,
    Signs,
}

impl Words {
    /// `width`: of a day, in cells, with the gap behind it.
    fn of(width: u16) -> Self {
        if width < 16 { Self::Signs } else { Self::Long }
    }

    fn legend(self) -> &'static str {
        match self {
            Self::Long => "",
            Self::Signs => "! wrong ● due ✓ out + recurring ○ free",
        }
    }

    fn piece(self, n: usize, word: &str, sign: &str) -> String {
        match self {
            Self::Long => format!("{n} {word}"),
            Self::Signs => format!("{sign}{n}"),
        }
    }
}

/// One day; `looks`: under the cursor, today, of this month.
fn one(pen: &mut Pen<'_>, place: Rect, words: Words, date: Date, day: &Day, looks: (bool, bool, bool)) {
    let (is_here, is_today, is_in) = looks;
    let cells = usize::from(place.width);
    let mark = if is_today { "*" } else { "" };
    let change = if day.change { " clocks" } else { "" };
    let tone = match (is_in, is_today) {
        (_, true) => Tone::Accent,
        (true, false) => Tone::Strong,
        (false, false) => Tone::Dim,
    };
    pen.put(place.x, place.y, cells, &format!("{:>2}{mark}{change}", date.day()), tone);
    let all = [
        (day.wrong, format!("!{}", day.wrong), Tone::Bad),
        (day.waits, words.piece(day.waits, "due", "●"), Tone::Plain),
        (day.out, words.piece(day.out, "out", "✓"), Tone::Good),
        (day.runs, words.piece(day.runs, "rec", "+"), Tone::Dim),
        (day.free, words.piece(day.free, "free", "○"), Tone::Dim),
    ];
    let pieces: Vec<(String, Tone)> =
        all.into_iter().filter(|it| it.0 > 0).map(|(_, piece, tone)| (piece, tone)).collect();
    let rows = usize::from(place.height.saturating_sub(1));
    let (mut x, mut y) = (place.x, place.y + 1);
    // Without air between them if that is what it takes to show all.
    let gap =
        u16::from(rows > 1 || pieces.iter().map(|it| text::width(&it.0) + 1).sum::<usize>() <= cells + 1);
    for (piece, tone) in &pieces {
        let wide = u16::try_from(text::width(piece)).unwrap_or(0);
        if x > place.x && x + wide > place.right() {
            (x, y) = (place.x, y + 1);
        }
        if y >= place.bottom() {
            // The rest is told of the day under the cursor.
            pen.put(place.right().saturating_sub(1), place.bottom() - 1, 1, "…", Tone::Dim);
            break;
        }
        x = pen.put(x, y, usize::from(place.right().saturating_sub(x)), piece, *tone) + gap;
    }
    if is_here {
        pen.tone(Rect { height: place.height.min(2), ..place }, Tone::Here);
    }
}

fn of_day(pen: &mut Pen<'_>, app: &App, month: &m::Calendar, date: Date, zone: &TimeZone, area: Rect) {
    if area.height == 0 {
        return;
    }
    let inner = Rect { x: area.x + 1, width: area.width - 1, height: 1, ..area };
    pen.heading(inner, &date.strftime("%A %-d %B").to_string());
    let rows = app.day_rows();
    let mut y = area.y + 1;
    let room = usize::from(area.height.saturating_sub(1));
    let top = (app.calendar.at + 1).saturating_sub(room.max(1));
    for (n, row) in rows.iter().enumerate().skip(top) {
        if y >= area.bottom() {
            return;
        }
        rows::draw(pen, app, Rect { y, height: 1, ..area }, row, n, n == app.calendar.at);
        y += 1;
    }
    let on = |at: jiff::Timestamp| at.to_zoned(zone.clone()).date() == date;
    let clock = |at: jiff::Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let changes = month.changes.iter().filter(|it| on(it.at));
    let changes =
        changes.map(|it| format!("{}  the clocks change: UTC{} → UTC{}", clock(it.at), it.before, it.after));
    let runs = month.recurring.iter().filter(|it| on(it.at));
    let runs =
        runs.map(|it| format!("{}  recurring {} to {}", clock(it.at), it.name, it.accounts.join(", ")));
    let free = month.slots.iter().filter(|it| on(it.at));
    let free = free.map(|it| format!("{}  free slot of {}", clock(it.at), it.queue));
    let remarks: Vec<String> = changes.chain(runs).chain(free).collect();
    if rows.is_empty() && remarks.is_empty() && y < area.bottom() {
        pen.put(area.x + 2, y, usize::from(area.width) - 2, "Nothing on this day.", Tone::Dim);
    }
    for remark in remarks {
        if y >= area.bottom() {
            return;
        }
        pen.put(area.x + 1, y, usize::from(area.width) - 1, &remark, Tone::Dim);
        y += 1;
    }
}
