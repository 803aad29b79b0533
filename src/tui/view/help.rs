//! Help, made from the table of keys.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::tui::app::App;
use crate::tui::keys::{At, KEYS, names};
use crate::tui::look::Tone;
use crate::tui::text;

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let lines = lines();
    let columns: u16 = if body.width >= 150 { 2 } else { 1 };
    let width = (body.width - 2) / columns;
    let shown = usize::from(body.height) * usize::from(columns);
    app.help_top = app.help_top.min(lines.len().saturating_sub(shown));
    for column in 0..columns {
        let from = app.help_top + usize::from(column) * usize::from(body.height);
        let area = Rect { x: body.x + 1 + column * width, width: width - 1, ..body };
        for (y, (title, keys, help)) in (area.y..area.bottom()).zip(lines.iter().skip(from)) {
            if *title {
                pen.put(area.x, y, usize::from(area.width), help, Tone::Accent);
            } else {
                pen.put(area.x + 1, y, 18, keys, Tone::Strong);
                pen.put(area.x + 20, y, usize::from(area.width).saturating_sub(20), help, Tone::Plain);
            }
        }
    }
}

/// Headings, and one line per line of the table.
fn lines() -> Vec<(bool, String, String)> {
    let mut out = Vec::new();
    for at in At::ALL {
        let mut all = KEYS.iter().filter(|it| it.at == at).peekable();
        if all.peek().is_none() {
            continue;
        }
        if !out.is_empty() {
            out.push((true, String::new(), String::new()));
        }
        out.push((true, String::new(), at.title().to_owned()));
        out.extend(all.map(|it| (false, text::fit(&names(it), 18), it.help.to_owned())));
    }
    out
}
