//! Writes on cells: cleaned, cut, in a tone. Everything on the screen goes through here.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::widgets::Widget as _;
use ratatui_image::Image;
use ratatui_image::protocol::Protocol;

use crate::tui::app::Hit;
use crate::tui::look::{Depth, Look, Tone};
use crate::tui::text;

pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    pub(super) look: Look,
    hits: Vec<(Rect, Hit)>,
    pub(super) cursor: Option<Position>,
    /// Where a picture lies: its cells hold what the terminal's own protocol needs.
    pub(super) picture: Option<Rect>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look, hits: Vec::new(), cursor: None, picture: None }
    }

    pub(super) fn finish(self) -> (Vec<(Rect, Hit)>, Option<Position>, Option<Rect>) {
        (self.hits, self.cursor, self.picture)
    }

    /// A picture, in cells; those of half blocks in colours that this terminal has.
    pub(super) fn picture(&mut self, area: Rect, protocol: &Protocol) {
        let size = protocol.size();
        if size.width > area.width || size.height > area.height {
            self.note(area, "The terminal is smaller now: close the picture and open it again.");
            return;
        }
        let left = area.x + (area.width - size.width) / 2;
        let place = Rect { x: left, width: size.width, height: size.height, ..area };
        Image::new(protocol).render(place, self.buffer);
        if self.look.depth == Depth::Many {
            for y in place.top()..place.bottom() {
                for x in place.left()..place.right() {
                    let cell = &mut self.buffer[(x, y)];
                    (cell.fg, cell.bg) = (indexed(cell.fg), indexed(cell.bg));
                }
            }
        }
        self.picture = Some(place);
    }

    /// A text in at most `cells` cells; the column behind it comes back.
    pub(super) fn put(&mut self, x: u16, y: u16, cells: usize, text: &str, tone: Tone) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() {
            return x;
        }
        let cells = cells.min(usize::from(area.right() - x));
        let shown = text::fit(text, cells);
        // Nothing of what lay here before shines through.
        let style = Style::reset().patch(self.look.style(tone));
        self.buffer.set_stringn(x, y, shown, cells, style).0
    }

    /// A text with its own style already chosen: a row under the cursor keeps one tone throughout.
    pub(super) fn row(&mut self, area: Rect, is_here: bool) {
        if is_here {
            self.buffer.set_style(area, self.look.style(Tone::Here));
        }
    }

    /// One sign over a whole area.
    pub(super) fn fill(&mut self, area: Rect, sign: &str, tone: Tone) {
        let style = Style::reset().patch(self.look.style(tone));
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].set_symbol(sign).set_style(style);
            }
        }
    }

    /// Empties an area, styles included.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        // The right half of a wide sign must not stay without its left one.
        if area.left() > 0 {
            for y in area.top()..area.bottom() {
                let left = &mut self.buffer[(area.left() - 1, y)];
                if text::width(left.symbol()) > 1 {
                    left.set_symbol(" ");
                }
            }
        }
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
        self.hits.retain(|it| !area.intersects(it.0));
    }

    /// A box with a title; what is inside comes back.
    pub(super) fn frame(&mut self, area: Rect, title: &str, tone: Tone) -> Rect {
        if area.width < 4 || area.height < 2 {
            return area;
        }
        let look = self.look;
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        let row = |y| Rect { x: area.x, y, width: area.width, height: 1 };
        self.fill(row(area.y), look.sign("─", "-"), tone);
        self.fill(row(bottom), look.sign("─", "-"), tone);
        for x in [area.x, right] {
            let column = Rect { x, y: area.y + 1, width: 1, height: area.height - 2 };
            self.fill(column, look.sign("│", "|"), tone);
        }
        for (x, y, sign) in
            [(area.x, area.y, "┌"), (right, area.y, "┐"), (area.x, bottom, "└"), (right, bottom, "┘")]
        {
            self.put(x, y, 1, look.sign(sign, "+"), tone);
        }
        if !title.is_empty() {
            let cells = usize::from(area.width).saturating_sub(4);
            self.put(
                area.x + 2,
                area.y,
                cells,
                &format!(" {} ", text::fit(title, cells.saturating_sub(2))),
                tone,
            );
        }
        Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }

    /// A heading with a rule behind it.
    pub(super) fn heading(&mut self, area: Rect, title: &str) {
        self.fill(Rect { height: 1, ..area }, self.look.sign("─", "-"), Tone::Dim);
        let cells = usize::from(area.width);
        self.put(area.x, area.y, cells, &format!("{title} "), Tone::Accent);
    }

    /// A sentence where nothing else is to be seen.
    pub(super) fn note(&mut self, area: Rect, said: &str) {
        let cells = usize::from(area.width).saturating_sub(4);
        let lines = text::wrap(said, cells);
        for (y, line) in (area.y + 1..area.bottom()).zip(lines) {
            self.put(area.x + 2, y, cells, &line, Tone::Dim);
        }
    }

    /// Lines from `top` on; the number that fits comes back.
    pub(super) fn lines(&mut self, area: Rect, lines: &[(Tone, String)], top: usize) {
        for (y, (tone, line)) in (area.y..area.bottom()).zip(lines.iter().skip(top)) {
            self.put(area.x, y, usize::from(area.width), line, *tone);
        }
    }

    /// Lines from `top` on; if they go on below, the last row says so and names the key that shows the rest.
    pub(super) fn part(&mut self, area: Rect, lines: &[(Tone, String)], top: usize, key: &str) {
        let room = usize::from(area.height);
        let left = lines.len().saturating_sub(top);
        if left <= room || area.height == 0 {
            return self.lines(area, lines, top);
        }
        self.lines(Rect { height: area.height - 1, ..area }, lines, top);
        let many = left + 1 - room;
        let said = format!("{many} more {}: {key}", if many == 1 { "line" } else { "lines" });
        self.put(area.x, area.bottom() - 1, usize::from(area.width), &said, Tone::Accent);
    }

    /// Something that can be pointed at.
    pub(super) fn hit(&mut self, area: Rect, hit: Hit) {
        self.hits.push((area, hit));
    }

    /// The tone of an area from now on: for what is under the cursor of the mouse or the keys.
    pub(super) fn tone(&mut self, area: Rect, tone: Tone) {
        self.buffer.set_style(area, self.look.style(tone));
    }

    /// How far something is: `█████░░░░ 45 %`.
    pub(super) fn bar(&mut self, x: u16, y: u16, cells: u16, done: u64, total: u64) -> u16 {
        let part = done.min(total).saturating_mul(u64::from(cells)).checked_div(total.max(1)).unwrap_or(0);
        let part = u16::try_from(part).unwrap_or(cells);
        self.fill(Rect { x, y, width: part, height: 1 }, self.look.sign("█", "#"), Tone::Good);
        self.fill(
            Rect { x: x + part, y, width: cells - part, height: 1 },
            self.look.sign("░", "."),
            Tone::Dim,
        );
        let percent = done.min(total).saturating_mul(100).checked_div(total.max(1)).unwrap_or(0);
        self.put(x + cells + 1, y, 6, &format!("{percent} %"), Tone::Plain)
    }
}

/// The nearest of the 216 colours of the cube.
fn indexed(color: Color) -> Color {
    let Color::Rgb(r, g, b) = color else { return color };
    let step = |it: u8| match it {
        0..48 => 0,
        48..115 => 1,
        _ => (it - 35) / 40,
    };
    Color::Indexed(16 + 36 * step(r) + 6 * step(g) + step(b))
}

/// Lines in a tone each, wrapped to `cells`; `indent` stands before what goes on in a next line.
pub(super) fn wrapped(out: &mut Vec<(Tone, String)>, tone: Tone, text: &str, cells: usize, indent: &str) {
    let room = cells.saturating_sub(text::width(indent)).max(8);
    for (n, line) in text::wrap_hanging(text, cells.max(8), room).into_iter().enumerate() {
        out.push((tone, if n == 0 { line } else { format!("{indent}{line}") }));
    }
}
