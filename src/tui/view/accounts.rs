//! Accounts: how each of them stands, and everything about the one under the cursor.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use crate::control::messages as m;
use crate::tui::app::{App, Hit, title_of};
use crate::tui::effect::Load;
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::scroll;
use crate::tui::when;

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    if app.accounts.is_empty() {
        let said = if app.asked.contains(&Load::Accounts) {
            "…"
        } else {
            "No account is connected yet. n connects one: a link, a browser anywhere, and a question at the end."
        };
        return pen.note(body, said);
    }
    let wide = body.width >= 140;
    let (list, detail) = if wide {
        let cut = body.width / 2;
        (Rect { width: cut - 1, ..body }, Rect { x: body.x + cut + 1, width: body.width - cut - 2, ..body })
    } else {
        let rows = u16::try_from(app.accounts.len()).unwrap_or(u16::MAX).saturating_add(1);
        let height = rows.min(body.height / 2);
        (
            Rect { height, ..body },
            Rect { x: body.x + 1, y: body.y + height, width: body.width - 2, height: body.height - height },
        )
    };
    for (x, cells, title) in [(1, 26, "Account"), (28, 16, "State"), (45, 18, "Token ends"), (64, 16, "Name")]
    {
        if x < list.width {
            let cells = cells.min(usize::from(list.width - x));
            pen.put(list.x + x, list.y, cells, title, Tone::Dim);
        }
    }
    let rows = Rect { y: list.y + 1, height: list.height - 1, ..list };
    scroll(app.account_at, &mut app.account_top, usize::from(rows.height));
    for (n, (y, it)) in (rows.y..rows.bottom()).zip(app.accounts.iter().skip(app.account_top)).enumerate() {
        let n = n + app.account_top;
        let place = Rect { y, height: 1, ..rows };
        let is_here = n == app.account_at;
        if is_here {
            pen.put(place.x, y, 1, pen.look.sign("›", ">"), Tone::Plain);
        }
        pen.put(place.x + 1, y, 26, &it.account, Tone::Plain);
        let word = it.state.as_str();
        pen.put(place.x + 28, y, 16, &word.replace('_', " "), tone_of(word));
        let (ends, tone) = ends(it, app.now);
        pen.put(place.x + 45, y, 18, &ends, tone);
        let from = place.x + 64;
        pen.put(from, y, usize::from(place.right().saturating_sub(from)), &it.display_name, Tone::Plain);
        pen.row(place, is_here);
        pen.hit(place, Hit::Row(n));
    }
    if let Some(account) = app.account() {
        let title = format!("{}  @{}", account.account, account.username);
        pen.heading(Rect { height: 1, ..detail }, &title);
        let area = Rect { y: detail.y + 1, height: detail.height.saturating_sub(1), ..detail };
        pen.lines(area, &facts(app, account, usize::from(area.width)), 0);
    }
}

/// What matters about the end of a token: one that renews itself matters to nobody.
fn ends(it: &m::Account, now: Timestamp) -> (String, Tone) {
    let near = |at: Timestamp| at.as_second() - now.as_second() < 7 * 86_400;
    match it.grant_expires_at.or(it.expires_at.filter(|_| !it.can_refresh)) {
        Some(at) => (when::relative(at, now), if near(at) { Tone::Warn } else { Tone::Plain }),
        None if it.can_refresh => ("renews itself".to_owned(), Tone::Dim),
        None => ("never".to_owned(), Tone::Dim),
    }
}

fn facts(app: &App, it: &m::Account, cells: usize) -> Vec<(Tone, String)> {
    let mut out = Vec::new();
    let mut fact = |tone: Tone, name: &str, value: &str| {
        if !value.is_empty() {
            wrapped(&mut out, tone, &format!("{name:<13}{value}"), cells, "             ");
        }
    };
    if let Some(reason) = &it.reason {
        fact(tone_of(it.state.as_str()), "reason", reason);
    }
    if it.state == m::AccountState::NeedsReconnect {
        fact(Tone::Accent, "to mend it", "R connects it again; what waits goes on by itself");
    }
    fact(Tone::Plain, "name", &it.display_name);
    fact(Tone::Plain, "network", &title_of(&it.platform));
    fact(Tone::Plain, "server", it.server.as_deref().unwrap_or(""));
    fact(Tone::Plain, "tier", it.tier.as_deref().unwrap_or(""));
    fact(Tone::Plain, "granted", &it.scopes.join(", "));
    fact(Tone::Warn, "not granted", &it.missing_scopes.join(", "));
    let token = it.expires_at.map(|at| {
        let how = if it.can_refresh { "; renewed by itself" } else { "; cannot be renewed by itself" };
        format!("ends {}{how}", when::relative(at, app.now))
    });
    fact(Tone::Plain, "token", token.as_deref().unwrap_or("does not end"));
    if let Some(at) = it.grant_expires_at {
        fact(Tone::Plain, "connection", &format!("ends {}", when::day_time(at, app.now, &app.zone)));
    }
    fact(Tone::Plain, "connected", &when::day_time(it.connected_at, app.now, &app.zone));
    fact(Tone::Plain, "remote id", &it.remote_id);
    if let Some(cost) = app.spending.get(&it.account) {
        let of = cost.budget_usd.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
        let line =
            format!("{}{of} USD in {}; {} in the month before", cost.usd, cost.month, cost.last_month_usd);
        fact(Tone::Plain, "spent", &line);
    }
    out
}
