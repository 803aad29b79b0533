//! Accounts: how each of them stands, and everything about the one under the cursor.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::pen::{Pen, wrapped};
use crate::control::messages as m;
use crate::tui::app::{App, Hit};
use crate::tui::effect::Load;
use crate::tui::look::{Tone, tone_of};
use crate::tui::pages::scroll;
use crate::tui::{details, when};

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
        let mut lines = Vec::new();
        for (tone, line) in details::account(app, account) {
            wrapped(&mut lines, tone, &line, usize::from(area.width), details::INDENT);
        }
        pen.part(area, &lines, 0, "Enter");
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
