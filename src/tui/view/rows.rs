//! One line of a list of deliveries.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::control::messages as m;
use crate::tui::app::{App, Hit};
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::Row;
use crate::tui::{text, when};

/// A delivery's state as a person says it.
pub(super) fn state_words(it: &m::Delivery) -> &'static str {
    let left = it.reason.as_ref().is_some_and(|it| it.class == "left");
    match it.state {
        _ if it.held => "held: needs you",
        m::DeliveryState::Unknown if left => "left open by you",
        m::DeliveryState::Unknown => "being looked for",
        m::DeliveryState::Retry => "tried again soon",
        m::DeliveryState::NeedsReconnect => "needs reconnect",
        m::DeliveryState::HandedOver => "handed over",
        other => other.as_str(),
    }
}

/// Of a delivery that was cancelled, where another one has its place.
pub(super) const REPLACED: &str = "replaced";

/// Nobody has to know that it was cancelled, for what it was about goes on. That one was refused or came too
/// late is told all the same.
pub(super) fn is_replaced(it: &m::Delivery, by: Option<&m::Delivery>) -> bool {
    by.is_some() && it.state == m::DeliveryState::Cancelled
}

/// What stands in its place: `the one due Tue 1 Dec 09:00, which is scheduled`.
pub(super) fn by_which(app: &App, by: &m::Delivery) -> String {
    let due = when::day_time(by.due, app.now, &app.zone);
    format!("the one due {due}, which is {}", state_words(by))
}

pub(super) fn state_tone(it: &m::Delivery) -> Tone {
    if it.held { Tone::Warn } else { tone_of(it.state.as_str()) }
}

/// How wide the columns are: time, account, state.
fn columns(width: u16) -> [u16; 3] {
    match width {
        0..90 => [16, 19, 16],
        90..130 => [17, 24, 17],
        _ => [22, 30, 18],
    }
}

pub(super) fn head(pen: &mut Pen<'_>, area: Rect) {
    let [time, account, state] = columns(area.width);
    let mut x = area.x + 1;
    for (title, cells) in [("Due", time), ("Account", account), ("State", state)] {
        pen.put(x, area.y, usize::from(cells), title, Tone::Dim);
        x += cells + 1;
    }
    pen.put(x, area.y, usize::from(area.right().saturating_sub(x)), "Text", Tone::Dim);
}

/// Draws one row; `n` is its number for the mouse.
pub(super) fn draw(pen: &mut Pen<'_>, app: &App, area: Rect, row: &Row, n: usize, is_here: bool) {
    let [time, account, state] = columns(area.width);
    let mut x = area.x + 1;
    let at = row.delivery.as_ref().map_or(row.created_at, |it| it.due);
    let told = when::day_time_in(usize::from(time), at, app.now, &app.zone);
    pen.put(x, area.y, usize::from(time), &told, Tone::Plain);
    x += time + 1;
    let (whom, word, tone) = match &row.delivery {
        Some(it) if is_replaced(it, row.replaced_by.as_deref()) => (it.account.clone(), REPLACED, Tone::Dim),
        Some(it) => (it.account.clone(), state_words(it), state_tone(it)),
        None => (row.to.join(", "), "draft", Tone::Dim),
    };
    pen.put(x, area.y, usize::from(account), &whom, Tone::Plain);
    x += account + 1;
    pen.put(x, area.y, usize::from(state), word, tone);
    x += state + 1;
    let media = if row.media > 0 { format!("[{}] ", row.media) } else { String::new() };
    let body = if row.body.trim().is_empty() { "(no text)" } else { row.body.trim() };
    // The text comes last, so that a terminal that turns right-to-left words round moves nothing else.
    let cells = usize::from(area.right().saturating_sub(x));
    pen.put(x, area.y, cells, &format!("{media}{}", text::fit(body, 400)), Tone::Plain);
    if is_here {
        pen.put(area.x, area.y, 1, pen.look.sign("›", ">"), Tone::Plain);
    }
    pen.row(area, is_here);
    pen.hit(area, Hit::Row(n));
}
