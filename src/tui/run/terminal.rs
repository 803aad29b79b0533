//! The terminal: made ready, drawn on, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// Clicks and the wheel, and no word of every move in between: that would be a line full of them.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Sixteen<BufWriter<Stdout>>>>,
    is_ours: bool,
}

impl Screen {
    /// `few`: the terminal has sixteen colours.
    pub(super) fn enter(few: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        take()?;
        // One write per frame, however many cells.
        let out = BufWriter::with_capacity(64 << 10, io::stdout());
        let terminal = Terminal::new(CrosstermBackend::new(Sixteen { out, few, held: Vec::new() }))
            .inspect_err(|_| give_back())?;
        Ok(Self { terminal, is_ours: true })
    }

    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|it| (it.width, it.height))
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Lends the terminal to another program.
    pub(super) fn away<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        let done = work();
        take()?;
        self.anew()?;
        Ok(done)
    }

    /// Forgets what is on the screen: the next frame is drawn in full. `Terminal::clear` would ask the
    /// terminal where its cursor is, and whoever reads the keys would take the answer.
    pub(super) fn anew(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    pub(super) fn leave(mut self) {
        self.is_ours = false;
        give_back();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_ours {
            give_back();
        }
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Print(MOUSE_ON))
}

/// As it was before. Nothing can be done about a terminal that takes no more orders.
fn give_back() {
    drop(execute!(io::stdout(), Print(MOUSE_OFF), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show));
    drop(disable_raw_mode());
    drop(io::stdout().flush());
}

/// Rewrites colours for terminals that know no others than the old sixteen.
///
/// crossterm says every colour as `38;5;n`, which such a terminal does not understand, or takes for other
/// orders: `5` is blinking. What it knows is 30 to 37 and 90 to 97, and 40 and 100 for the background
/// (invisible-island.net/xterm/ctlseqs).
struct Sixteen<W> {
    out: W,
    few: bool,
    /// An order that has begun and not ended: it comes in several pieces.
    held: Vec<u8>,
}

impl<W: Write> Write for Sixteen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.few {
            return self.out.write(bytes);
        }
        for &byte in bytes {
            match (self.held.len(), byte) {
                (_, 0x1b) => {
                    self.out.write_all(&self.held)?;
                    self.held.clear();
                    self.held.push(byte);
                }
                (0, _) => self.out.write_all(&[byte])?,
                (1, b'[') | (2.., b'0'..=b'9' | b';') => self.held.push(byte),
                (2.., b'm') => {
                    let order = String::from_utf8_lossy(&self.held[2..]).into_owned();
                    write!(self.out, "\x1b[{}m", old_colours(&order))?;
                    self.held.clear();
                }
                // No colour.
                _ => {
                    self.held.push(byte);
                    self.out.write_all(&self.held)?;
                    self.held.clear();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The parameters of an order about colours, in the old numbers as far as there are any.
fn old_colours(order: &str) -> String {
    let all: Vec<&str> = order.split(';').collect();
    let mut told: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(first) = all.get(at) {
        let base = match *first {
            "38" => Some(30),
            "48" => Some(40),
            _ => None,
        };
        let index = all.get(at + 2).and_then(|it| it.parse::<u16>().ok());
        if let (Some(base), Some(&"5"), Some(index @ 0..16)) = (base, all.get(at + 1), index) {
            let number = if index < 8 { base + index } else { base + 52 + index };
            told.push(number.to_string());
            at += 3;
        } else {
            told.push((*first).to_owned());
            at += 1;
        }
    }
    told.join(";")
}

#[cfg(test)]
mod tests {
    use ratatui::backend::Backend as _;
    use ratatui::buffer::Cell;
    use ratatui::style::{Color, Style};

    use super::*;

    fn sent(few: bool, fg: Color, bg: Color) -> String {
        let mut out = Vec::new();
        let mut backend = CrosstermBackend::new(Sixteen { out: &mut out, few, held: Vec::new() });
        let mut cell = Cell::new("a");
        cell.set_style(Style::new().fg(fg).bg(bg));
        backend.draw([(0, 0, &cell)].into_iter()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_of_sixteen_colours_gets_the_old_numbers() {
        let red_on_white = sent(true, Color::Red, Color::White);
        assert!(red_on_white.contains("\x1b[31;107m") || red_on_white.contains("\x1b[31m\x1b[107m"));
        assert!(!red_on_white.contains("8;5;") && red_on_white.contains('a'), "{red_on_white:?}");
        let grey = sent(true, Color::DarkGray, Color::Reset);
        assert!(grey.contains("90") && !grey.contains("8;5;"), "{grey:?}");
        assert!(sent(false, Color::Red, Color::Reset).contains("38;5;1"), "others as they were");
    }

    #[test]
    fn all_other_orders_pass_as_they_are() {
        let all = "\x1b[2;7Htext\x1b[1m\x1b[0mé\x1b[38;5;208m\x1b[38;2;5;5;5m\x1b[?25l\x1b]52;c;\x07";
        let mut out = Sixteen { out: Vec::new(), few: true, held: Vec::new() };
        for byte in all.bytes() {
            out.write_all(&[byte]).unwrap();
        }
        assert_eq!(String::from_utf8(out.out).unwrap(), all);
    }
}
