//! How the daemon stands: lines for the overview, and for a sheet where that has too little room.

use super::app::{App, title_of};
use super::look::Tone;
use super::{text, when};
use crate::control::messages as m;
use crate::control::words;

const INDENT: &str = "            ";

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

fn ticked(app: &App, status: &m::Status) -> String {
    status.last_tick.map_or_else(|| "none yet".to_owned(), |at| when::relative(at, app.now))
}

/// What is always said: that the daemon works, and that its disk has room.
pub(crate) fn short(app: &App, status: &m::Status) -> String {
    format!("Daemon      last tick {}{}", ticked(app, status), words::free(status))
}

/// In few lines, alerts in full; none is wrapped yet, and the last part of each is what stands before what
/// goes on in a next one. Where a line of the daemon has no room for its disk, in `cells`, that has one of its own.
pub(crate) fn lines(app: &App, cells: usize) -> Vec<(Tone, String, &'static str)> {
    let mut out = Vec::new();
    let Some(status) = &app.status else { return out };
    if status.paused {
        let why = status.pause_reason.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        out.push((Tone::Warn, format!("Sending is stopped{why}. S sends again."), "  "));
    }
    for it in &status.alerts {
        let hint = it.hint.as_ref().map_or_else(String::new, |it| format!(" ({})", text::in_fields(it)));
        out.push((Tone::Warn, format!("! {}{hint}", it.message), "  "));
    }
    if app.overview.activity.iter().any(|it| *it > 0) {
        let sum: u64 = app.overview.activity.iter().sum();
        let days = app.overview.activity.len();
        let chart = chart(&app.overview.activity, app.look.ascii);
        out.push((Tone::Plain, format!("Published   {chart}  {sum} in {days} days"), INDENT));
    }
    out.push((Tone::Plain, format!("Accounts    {}", words::accounts(status)), INDENT));
    out.push((Tone::Plain, format!("Deliveries  {}", words::deliveries(status)), INDENT));
    let daemon = format!(
        "Daemon      {}, up {}, last tick {}",
        status.version,
        when::span(status.uptime_s),
        ticked(app, status)
    );
    let disk = format!("store {}{}", when::size(status.store.bytes), words::free(status));
    if text::width(&daemon) + 2 + text::width(&disk) <= cells {
        out.push((Tone::Dim, format!("{daemon}, {disk}"), INDENT));
    } else {
        out.push((Tone::Dim, daemon, INDENT));
        out.push((Tone::Dim, format!("Disk        {disk}"), INDENT));
    }
    for it in &status.spending {
        let whom = it.platform.as_deref().map_or_else(String::new, |it| format!(" on {}", title_of(it)));
        let of = it.budget_usd.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
        out.push((Tone::Plain, format!("Spent       {}{of} USD in {}{whom}", it.usd, it.month), INDENT));
    }
    if app.accounts.is_empty() && !app.asked.contains(&super::effect::Load::Accounts) {
        out.push((Tone::Accent, "No account is connected yet: press 5, then n.".to_owned(), ""));
    }
    out
}
