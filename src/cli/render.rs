//! How things look: errors, tables, times, colour. Everything that came from a network is cleaned here.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Io;
use super::args::Globals;
use super::error::CliError;
use crate::control::messages::{Delivery, DeliveryState};
use crate::control::words::{in_zone, relative};

/// The streams of a command together with how to write on them.
pub struct Ui<'a, 'b> {
    pub io: &'a mut Io<'b>,
    pub json: bool,
    pub quiet: bool,
    /// On stdout, on stderr.
    color: [bool; 2],
}

/// A colour, or weight. Meaning is never in the colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }
}

impl<'a, 'b> Ui<'a, 'b> {
    pub fn new(io: &'a mut Io<'b>, globals: &Globals) -> Self {
        let wanted = |terminal| globals.wants_color(terminal, (io.env)("NO_COLOR").is_some());
        let color = [wanted(io.terminal[1]), wanted(io.terminal[2])];
        Self { json: globals.json, quiet: globals.quiet, color, io }
    }

    /// Text on stdout, as it is.
    pub fn print(&mut self, text: &str) -> Result<(), CliError> {
        self.io.out.write_all(text.as_bytes())?;
        self.io.out.flush()?;
        Ok(())
    }

    /// A line on stdout.
    pub fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.print(&format!("{text}\n"))
    }

    /// A line on stderr that `-q` keeps away.
    pub fn note(&mut self, text: &str) -> Result<(), CliError> {
        if !self.quiet {
            writeln!(self.io.err, "{text}")?;
        }
        Ok(())
    }

    /// An error that does not stop the command, on stderr; `-q` keeps it away.
    pub fn warn(&mut self, error: &CliError) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::json!({ "warning": error.detail }).to_string()
        } else {
            render(error, self.color[1]).trim_end().replacen("error", "warning", 1)
        };
        self.note(&text)
    }

    /// What to do next, on stdout, for people only.
    pub fn next(&mut self, command: &str) -> Result<(), CliError> {
        if self.quiet || self.json {
            return Ok(());
        }
        let text = self.paint(Paint::Dim, &format!("next: {command}"));
        self.line(&format!("\n{text}"))
    }

    /// One JSON document, or one of several lines.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value)
            .map_err(|error| CliError::failed("internal", format!("cannot write JSON: {error}")))?;
        self.line(&text)
    }

    /// Text in a colour, if there is colour.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        colored(self.color[0], paint, text)
    }

    /// Whether stdout takes colour.
    pub fn has_color(&self) -> bool {
        self.color[0]
    }

    /// Asks on stderr and reads one line; anything but `y` or `yes` is no, the end of input too.
    pub fn confirm(&mut self, question: &str) -> Result<bool, CliError> {
        let answer = self.ask(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows a prompt where a person sits, and reads one line.
    pub fn ask(&mut self, prompt: &str) -> Result<String, CliError> {
        if self.io.terminal[0] {
            write!(self.io.err, "{prompt}")?;
            self.io.err.flush()?;
        }
        let mut line = String::new();
        self.io
            .input
            .read_line(&mut line)
            .map_err(|error| CliError::failed("input", format!("cannot read the answer: {error}")))?;
        Ok(line.trim().to_owned())
    }

    /// Lets only a `y` or `--yes` through to what cannot be undone.
    pub fn destroy(&mut self, yes: bool, question: &str) -> Result<(), CliError> {
        if yes || self.confirm(question)? {
            return Ok(());
        }
        Err(CliError::failed("not_confirmed", "nothing was done: it was not confirmed")
            .hint("answer `y`, or add --yes"))
    }

    /// Prints an error and gives its exit code.
    pub fn fail(&mut self, error: &CliError) -> u8 {
        if !error.quiet {
            let text = if self.json { format!("{}\n", error.json()) } else { render(error, self.color[1]) };
            let _ = self.io.err.write_all(text.as_bytes());
        }
        error.exit
    }

    pub fn now(&self) -> Timestamp {
        self.io.clock.now()
    }

    /// An instant as a person reads it, as the daemon writes it too:
    /// `Tue 2026-12-01 09:00 Europe/Berlin (+01:00), in 8 days`.
    /// `zone` is the one it was meant in; the terminal's own otherwise.
    pub fn time(&self, at: Timestamp, zone: Option<&str>) -> String {
        format!("{}, {}", in_zone(at, self.zone(zone)), relative(at, self.now()))
    }

    /// An instant in a list of times of one zone, which is told elsewhere: `Tue 2026-12-01 09:00 (+01:00)`.
    pub fn slot_time(&self, at: Timestamp, zone: &str) -> String {
        at.to_zoned(self.zone(Some(zone))).strftime("%a %Y-%m-%d %H:%M (%:z)").to_string()
    }

    pub(super) fn zone(&self, name: Option<&str>) -> TimeZone {
        name.and_then(|it| TimeZone::get(it).ok()).unwrap_or_else(|| self.io.zone.clone())
    }

    /// An instant in a table: `1 Dec 09:00, in 8 days`, in the terminal's zone; of another year than this
    /// one, `1 Dec 2027 09:00, in 373 days`.
    pub fn short_time(&self, at: Timestamp) -> String {
        format!("{}, {}", day_and_time(at, self.now(), &self.io.zone), relative(at, self.now()))
    }

    /// Prints rows under their headings, columns aligned; the last column is not padded.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<Cell>]) -> Result<(), CliError> {
        self.table_over(headings, rows, &[])
    }

    /// As [`Ui::table`], with lines below each row, under its second column.
    pub fn table_over(
        &mut self,
        headings: &[&str],
        rows: &[Vec<Cell>],
        below: &[Vec<String>],
    ) -> Result<(), CliError> {
        let widths = widths(headings, rows);
        let indent = widths.first().map_or(0, |it| it + 2);
        let mut out = String::new();
        let last = headings.len().saturating_sub(1);
        let put = |out: &mut String, cells: &mut dyn Iterator<Item = (&str, Option<Paint>)>| {
            for (n, (text, paint)) in cells.enumerate() {
                let pad = if n == last { 0 } else { widths[n] - text.chars().count() + 2 };
                let text = paint.map_or_else(|| text.to_owned(), |it| colored(self.color[0], it, text));
                let _ = write!(out, "{text}{}", " ".repeat(pad));
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        };
        put(&mut out, &mut headings.iter().map(|it| (*it, Some(Paint::Dim))));
        for (n, row) in rows.iter().enumerate() {
            put(&mut out, &mut row.iter().map(|it| (it.text.as_str(), it.paint)));
            for line in below.get(n).into_iter().flatten() {
                let _ = writeln!(out, "{:indent$}{line}", "");
            }
        }
        self.print(&out)
    }

    /// Prints `name  value` pairs, aligned; pairs without a value are left out.
    pub fn facts(&mut self, facts: &[(&str, Option<String>)]) -> Result<(), CliError> {
        let width = facts.iter().filter(|(_, v)| v.is_some()).map(|(k, _)| k.len()).max().unwrap_or(0);
        for (name, value) in facts {
            if let Some(value) = value {
                let name = self.paint(Paint::Dim, &format!("{name:width$}"));
                self.line(&format!("  {name}  {value}"))?;
            }
        }
        Ok(())
    }
}

/// How wide each column of a table is.
fn widths(headings: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = headings.iter().map(|it| it.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    widths
}

/// How many places a table takes on a line.
pub fn table_width(headings: &[&str], rows: &[Vec<Cell>]) -> usize {
    widths(headings, rows).iter().map(|it| it + 2).sum::<usize>().saturating_sub(2)
}

/// One place of a table. The text is cleaned as it goes in.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: clean_line(text.as_ref()), paint: None }
    }

    pub fn painted(text: impl AsRef<str>, paint: Paint) -> Self {
        Self { paint: Some(paint), ..Self::new(text) }
    }

    /// A delivery's or post's state in its colour.
    pub fn state(word: &str) -> Self {
        match state_paint(word) {
            Some(paint) => Self::painted(word, paint),
            None => Self::new(word),
        }
    }
}

/// Green is over and well, red is over and not well, yellow wants a look.
pub fn state_paint(word: &str) -> Option<Paint> {
    match word {
        "published" | "handed_over" | "ready" | "done" => Some(Paint::Green),
        "rejected" | "missed" | "failed" | "error" => Some(Paint::Red),
        "attention" | "needs_reconnect" | "unknown" | "partial" | "paused" | "retry" | "not_possible"
        | "warn" => Some(Paint::Yellow),
        "cancelled" | "draft" => Some(Paint::Dim),
        _ => None,
    }
}

/// A delivery's state as a person says it.
pub fn state_words(it: &Delivery) -> &'static str {
    let left = it.reason.as_ref().is_some_and(|it| it.class == "left");
    match it.state {
        _ if it.held => "held, needs you",
        DeliveryState::Unknown if left => "left open by you",
        DeliveryState::Unknown => "checking whether it went out",
        DeliveryState::Retry => "will be tried again",
        DeliveryState::NeedsReconnect => "needs reconnect",
        DeliveryState::HandedOver => "handed over",
        other => other.as_str(),
    }
}

fn day_and_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    at.strftime(if at.year() == now.year() { "%-d %b %H:%M" } else { "%-d %b %Y %H:%M" }).to_string()
}

/// Text in a colour, if there is to be colour.
pub fn colored(on: bool, paint: Paint, text: &str) -> String {
    if on { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
}

/// `error: …`, one `caused by: …` per cause, each problem of a refused post, and a `hint: …` if there is one.
pub fn render(error: &CliError, color: bool) -> String {
    let detail = &error.detail;
    let mut out = format!("{} {}\n", colored(color, Paint::Red, "error:"), clean(&detail.message));
    for cause in &error.causes {
        let _ = writeln!(out, "  caused by: {}", clean(cause));
    }
    // The one problem of one account is the message already.
    let is_said = |it: &crate::control::messages::Problem| {
        detail.problems.len() == 1 && it.message == detail.message && it.hint == detail.hint
    };
    for problem in detail.problems.iter().filter(|it| !is_said(it)) {
        let at = problem.account.as_deref().map(|it| format!("{}: ", clean_line(it))).unwrap_or_default();
        let _ = writeln!(out, "  - {at}{}", clean_line(&problem.message));
        if let Some(hint) = &problem.hint {
            let _ = writeln!(out, "    {}", clean_line(hint));
        }
    }
    if let Some(hint) = &detail.hint {
        let _ = writeln!(out, "\n{} {}", colored(color, Paint::Yellow, "hint:"), clean(hint));
    }
    out
}

/// Text from outside without what could steer a terminal: control characters (C0, DEL, C1, so every escape
/// sequence), and the bidirectional and invisible format characters that make text read as another text.
/// Line ends and tabs stay.
pub fn clean(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|it| matches!(it, '\n' | '\t') || !steers(*it)).collect()
}

/// [`clean`], on one line.
pub fn clean_line(text: &str) -> String {
    let flat: String =
        clean(text).chars().map(|it| if matches!(it, '\n' | '\t') { ' ' } else { it }).collect();
    flat.trim_end().to_owned()
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// At most `max` characters on one line, the cut shown.
pub fn shorten(text: &str, max: usize) -> String {
    let text = clean_line(text);
    if text.chars().count() <= max {
        return text;
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_a_table_names_the_year_when_it_is_another_one() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let told = |at: &str| day_and_time(at.parse().unwrap(), now, &zone);
        assert_eq!(told("2026-12-31T22:59:00Z"), "31 Dec 23:59");
        assert_eq!(told("2026-12-31T23:00:00Z"), "1 Jan 2027 00:00");
    }

    #[test]
    fn nothing_that_steers_a_terminal_survives_cleaning() {
        let mut corpus: Vec<String> = (0u32..0x20)
            .chain(0x7f..0xa0)
            .chain([0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0xfeff])
            .chain(0x202a..0x202f)
            .chain(0x2066..0x206a)
            .filter_map(char::from_u32)
            .map(|c| format!("a{c}b"))
            .collect();
        corpus.push("\x1b]52;c;ZXZpbA==\x07copied".into());
        corpus.push("\x1b]8;;http://evil\x1b\\link".into());
        for text in corpus {
            let shown = clean_line(&text);
            assert!(!shown.chars().any(steers), "{text:?} became {shown:?}");
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        for text in ["Grüße, 今日は", "👨‍👩‍👧 family", "a\nb\tc", "مرحبا"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn an_error_is_readable_without_colour() {
        let mut error = CliError::failed("x", "it broke\x1b[2J").hint("mend it");
        error.causes.push("the wire".into());
        assert_eq!(render(&error, false), "error: it broke[2J\n  caused by: the wire\n\nhint: mend it\n");
    }
}
