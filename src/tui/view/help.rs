//! Help, made from the table of keys.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::tui::app::App;
use crate::tui::keys::{At, KEYS, names};
use crate::tui::look::Tone;
use crate::tui::text;

/// How wide the names of keys are, where they fit.
const KEYS_WIDE: usize = 18;

enum Line {
    Heading(&'static str),
    /// Keys, and what they do; a line that goes on in a next one has only one of them there.
    Keys(String, String),
}

pub(super) fn draw(pen: &mut Pen<'_>, app: &mut App, body: Rect) {
    let columns: u16 = if body.width >= 150 { 2 } else { 1 };
    let width = (body.width - 2) / columns;
    let lines = lines(usize::from(width).saturating_sub(KEYS_WIDE + 3).max(8));
    let shown = usize::from(body.height) * usize::from(columns);
    // The last row says that there is more.
    let most = if lines.len() > shown { lines.len() + 1 - shown } else { 0 };
    app.help_top = app.help_top.min(most);
    let left = lines.len() - app.help_top;
    for column in 0..columns {
        let from = app.help_top + usize::from(column) * usize::from(body.height);
        let mut area = Rect { x: body.x + 1 + column * width, width: width - 1, ..body };
        if column + 1 == columns && left > shown {
            area.height -= 1;
            let told = format!("{} more lines: j", left + 1 - shown);
            pen.put(area.x, area.bottom(), usize::from(area.width), &told, Tone::Accent);
        }
        for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(from)) {
            match line {
                Line::Heading(title) => {
                    pen.put(area.x, y, usize::from(area.width), title, Tone::Accent);
                }
                Line::Keys(keys, help) => {
                    // Long names have a line for themselves.
                    pen.put(area.x + 1, y, usize::from(area.width).saturating_sub(1), keys, Tone::Strong);
                    let x = area.x + 2 + u16::try_from(KEYS_WIDE).unwrap_or(0);
                    pen.put(x, y, usize::from(area.right().saturating_sub(x)), help, Tone::Plain);
                }
            }
        }
    }
}

/// Headings, and what the table says, broken to `cells`.
fn lines(cells: usize) -> Vec<Line> {
    let mut out = Vec::new();
    for at in At::ALL {
        let mut all = KEYS.iter().filter(|it| it.at == at).peekable();
        if all.peek().is_none() {
            continue;
        }
        if !out.is_empty() {
            out.push(Line::Heading(""));
        }
        out.push(Line::Heading(at.title()));
        for it in all {
            let mut keys = names(it);
            if text::width(&keys) > KEYS_WIDE {
                out.push(Line::Keys(std::mem::take(&mut keys), String::new()));
            }
            for help in text::wrap(it.help, cells) {
                out.push(Line::Keys(std::mem::take(&mut keys), help));
            }
        }
    }
    out
}
