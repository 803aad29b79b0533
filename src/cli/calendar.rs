//! `calendar`: a month on a terminal of 80 columns.
//!
//! Above, the weeks with a number on each day that has something; below, those days line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::error::{CliError, Outcome};
use super::render::{Paint, Ui, clean_line, shorten, state_paint, state_words};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::requests as r;

/// The widest line.
const WIDTH: usize = 80;
/// A day of the grid.
const CELL: usize = 11;
/// What stands before the entries of a day.
const MARGIN: usize = 8;
/// Free places of one day that are written out.
const FREE: usize = 6;

/// What one day holds.
#[derive(Default)]
struct Day {
    /// Time, what, and how it is coloured.
    lines: Vec<(Timestamp, String, Option<Paint>)>,
    free: BTreeMap<String, Vec<String>>,
    /// Deliveries and runs.
    count: usize,
}

pub(super) async fn show(client: &Client, ask: r::Calendar, ui: &mut Ui<'_, '_>) -> Outcome {
    let calendar = client.calendar(&ask).await?;
    if ui.json {
        ui.document(&calendar)?;
        return Ok(0);
    }
    let zone = TimeZone::get(&calendar.zone).unwrap_or(TimeZone::UTC);
    let first = format!("{}-01", calendar.month).parse::<Date>().map_err(|_| {
        CliError::failed("unclear", format!("the daemon named the month `{}`", clean_line(&calendar.month)))
    })?;
    let days = days(&calendar, &zone);
    let title = format!("{}  {}", first.strftime("%B %Y"), clean_line(&calendar.zone));
    ui.line(&ui.paint(Paint::Bold, &title))?;
    grid(first, &days, zone.to_datetime(ui.now()).date(), ui)?;
    for change in &calendar.changes {
        let at = zone.to_datetime(change.at);
        let text = format!(
            "clocks change on {}: {} becomes {}",
            at.strftime("%a %-d"),
            clean_line(&change.before),
            clean_line(&change.after)
        );
        ui.line(&ui.paint(Paint::Yellow, &text))?;
    }
    if days.is_empty() {
        ui.line("\nNothing is due, and no queue or recurring post has a time in this month.")?;
        ui.next("sendoff post create \"Hello\" --to ACCOUNT --at \"tomorrow 9am\"")?;
        return Ok(0);
    }
    ui.line("")?;
    for (date, day) in &days {
        list(*date, day, ui)?;
    }
    if calendar.cut {
        ui.line("\nMore than fits is left out; `post list` pages through what is scheduled.")?;
    }
    Ok(0)
}

fn days(calendar: &m::Calendar, zone: &TimeZone) -> BTreeMap<Date, Day> {
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    let clock = |at: Timestamp| zone.to_datetime(at).strftime("%H:%M").to_string();
    // The deliveries of one post at one time in one state are one line.
    let mut groups: BTreeMap<(Timestamp, &str, &str, &str), Vec<&str>> = BTreeMap::new();
    for it in &calendar.deliveries {
        let group = (it.due, it.post.as_str(), it.state.as_str(), state_words(it));
        groups.entry(group).or_default().push(&it.account);
    }
    for ((at, _, state, words), accounts) in groups {
        let day = days.entry(zone.to_datetime(at).date()).or_default();
        day.count += accounts.len();
        let text = format!("{}  {} {words}", clock(at), clean_line(&accounts.join(", ")));
        day.lines.push((at, text, state_paint(state)));
    }
    for it in &calendar.recurring {
        let day = days.entry(zone.to_datetime(it.at).date()).or_default();
        day.count += 1;
        let to = it.accounts.join(", ");
        let text = format!("{}  {} run of {}", clock(it.at), clean_line(&to), clean_line(&it.name));
        day.lines.push((it.at, text, Some(Paint::Dim)));
    }
    for it in &calendar.slots {
        let day = days.entry(zone.to_datetime(it.at).date()).or_default();
        day.free.entry(clean_line(&it.queue)).or_default().push(clock(it.at));
    }
    for day in days.values_mut() {
        day.lines.sort_by_key(|it| it.0);
    }
    days
}

/// Seven columns; `·` stands for free places on a day without anything.
fn grid(first: Date, days: &BTreeMap<Date, Day>, today: Date, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut head = String::new();
    for name in names {
        let _ = write!(head, "{name:<CELL$}");
    }
    ui.line(&ui.paint(Paint::Dim, head.trim_end()))?;
    let lead = usize::try_from(first.weekday().since(Weekday::Monday)).unwrap_or(0);
    let mut row = " ".repeat(CELL * lead);
    let mut day = first;
    while day.month() == first.month() {
        let mark = match days.get(&day) {
            Some(it) if it.count > 0 => format!("({})", it.count),
            Some(_) => "·".to_owned(),
            None => String::new(),
        };
        let number = if day == today { format!("[{}]", day.day()) } else { format!("{:>2}", day.day()) };
        let cell = format!("{number} {mark}");
        let _ = write!(row, "{cell:<CELL$}");
        if day.weekday() == Weekday::Sunday {
            ui.line(row.trim_end())?;
            row.clear();
        }
        match day.checked_add(1.day()) {
            Ok(next) => day = next,
            Err(_) => break,
        }
    }
    if row.trim_end().is_empty() { Ok(()) } else { ui.line(row.trim_end()) }
}

fn list(date: Date, day: &Day, ui: &mut Ui<'_, '_>) -> Result<(), CliError> {
    let mut label = date.strftime("%a %e").to_string();
    let mut put = |text: &str, paint: Option<Paint>, ui: &mut Ui<'_, '_>| {
        let text = shorten(text, WIDTH - MARGIN);
        let text = paint.map_or_else(|| text.clone(), |it| ui.paint(it, &text));
        let line = format!("{label:<MARGIN$}{text}");
        label.clear();
        ui.line(&line)
    };
    for (_, text, paint) in &day.lines {
        put(text, *paint, ui)?;
    }
    for (queue, times) in &day.free {
        let more = times.len().saturating_sub(FREE);
        let shown = times.iter().take(FREE).cloned().collect::<Vec<_>>().join(" ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        put(&format!("free in {queue}: {shown}{more}"), Some(Paint::Dim), ui)?;
    }
    Ok(())
}
