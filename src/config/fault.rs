//! What is wrong with a configuration, and where: line, column, the line itself and a caret.
//!
//! A line of the file may hold a secret that someone wrote where only its source belongs, so an
//! excerpt shows such lines without their value.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing wrong at one place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// One clause: what is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line and a caret below it; values of secrets are left out.
    excerpt: String,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// No file where one is looked for.
    NotFound {
        /// Where we looked, in order.
        looked: Vec<PathBuf>,
    },
    /// The file that was named (`--config`, `$SENDOFF_CONFIG`) is not there or cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It was read, and something in it is wrong. Never empty, in the order of the file.
    Faults {
        /// The file.
        path: PathBuf,
        /// All that was found.
        faults: Vec<Fault>,
    },
}

impl ConfigError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("`sendoff init` writes one; `--config PATH` names one elsewhere".to_owned())
            }
            Self::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Some(
                "`sendoff init` writes one; check the path in `--config` or `$SENDOFF_CONFIG`".to_owned(),
            ),
            Self::Unreadable { .. } => Some("check the owner and mode of the file".to_owned()),
            // One remedy is the remedy; of several each stands beside its fault.
            Self::Faults { faults, .. } => Some(match faults.as_slice() {
                [Fault { hint: Some(hint), .. }] => hint.clone(),
                _ => "correct what is marked; `sendoff config check` looks at the file again".to_owned(),
            }),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { looked } => {
                f.write_str("no configuration file found; looked at")?;
                for (n, path) in looked.iter().enumerate() {
                    write!(f, "{} `{}`", if n == 0 { "" } else { "," }, path.display())?;
                }
                Ok(())
            }
            Self::Unreadable { path, source } => write!(f, "cannot read `{}`: {source}", path.display()),
            Self::Faults { path, faults } => {
                for (n, fault) in faults.iter().enumerate() {
                    let Fault { line, column, message, hint, excerpt } = fault;
                    let gap = if n == 0 { "" } else { "\n\n" };
                    write!(f, "{gap}{}:{line}:{column}: {message}\n{excerpt}", path.display())?;
                    // That of a single fault is the error's own hint.
                    if let Some(hint) = hint.as_ref().filter(|_| faults.len() > 1) {
                        write!(f, "\n  = {hint}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// How much of the line an excerpt may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// All of it, unless its key sounds like a secret.
    Line,
    /// Only what stands before the `=`, if there is one: the key is at fault.
    Key,
    /// As `Key`, and nothing of a line without `=`: it may be a part of a secret.
    Nothing,
}

impl Fault {
    pub(crate) fn at(
        text: &str,
        span: &Range<usize>,
        message: String,
        hint: Option<String>,
        show: Show,
    ) -> Self {
        let start = text.floor_char_boundary(span.start);
        let begin = text[..start].rfind('\n').map_or(0, |it| it + 1);
        let line = text[..begin].matches('\n').count() + 1;
        let column = text[begin..start].chars().count() + 1;
        let whole = text[begin..].lines().next().unwrap_or_default();
        let length = text.get(start..span.end.min(begin + whole.len())).map_or(0, |it| it.chars().count());
        Self { line, column, message, hint, excerpt: excerpt(line, column, length, whole, show) }
    }
}

fn excerpt(line: usize, column: usize, length: usize, whole: &str, show: Show) -> String {
    let whole: String =
        whole.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
    let (mut shown, mut column, mut length) = (whole.clone(), column, length.max(1));
    let key = whole.split_once('=').map(|(key, _)| key);
    if show == Show::Nothing || key.is_some_and(|it| show == Show::Key || sounds_secret(it)) {
        shown = key.map_or_else(|| "…".to_owned(), |it| format!("{it}= …"));
        let end = shown.chars().count();
        // A caret that stood in the value now stands below the mark of what was left out.
        column = column.min(end);
        length = length.min(end + 1 - column);
    }
    let gutter = " ".repeat(line.to_string().len());
    let pad: String = shown.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
    let pad = format!("{pad}{}", " ".repeat((column - 1).saturating_sub(pad.chars().count())));
    format!("{gutter} |\n{line} | {shown}\n{gutter} | {pad}{}", "^".repeat(length))
}

/// Whether a place may lie inside a secret that began on an earlier line: in a section named like
/// one, in an open table of one, or right below its key (a text over several lines). Says yes too
/// often rather than too seldom; all it costs is a shorter excerpt.
fn within_secret(text: &str, at: usize) -> bool {
    let before = &text[..text.floor_char_boundary(at)];
    let earlier = &before[..before.rfind('\n').map_or(0, |it| it + 1)];
    let section = earlier.lines().rev().find(|it| it.trim_start().starts_with('['));
    let key = earlier.lines().rev().find(|it| it.contains('='));
    let table = earlier.rfind('{').filter(|open| !earlier[*open..].contains('}'));
    let table = table.and_then(|open| earlier[..open].lines().next_back());
    [section, key, table].into_iter().flatten().any(sounds_secret)
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "master", "password", "token", "value"].iter().any(|it| key.contains(it))
}

/// Bytes that are no text, from the one at `place` on.
pub(super) fn not_text(path: &Path, bytes: &[u8], place: usize) -> ConfigError {
    // What cannot be shown becomes one sign each, and all before it stays where it was.
    let text = String::from_utf8_lossy(bytes);
    let show = if within_secret(&text, place) { Show::Nothing } else { Show::Line };
    let hint = Some("save the file as UTF-8".to_owned());
    let fault = Fault::at(&text, &(place..place + 1), "this is no UTF-8 text".to_owned(), hint, show);
    ConfigError::Faults { path: path.to_owned(), faults: vec![fault] }
}

/// Turns what the TOML reader said into a fault in our words.
pub(crate) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let fault = match quoted.split_first() {
        Some((key, known)) if message.starts_with("unknown field") => {
            let nearest = known.iter().find(|it| near(it, key));
            let hint = match (nearest, known.is_empty()) {
                (Some(nearest), _) => format!("did you mean `{nearest}`? known here: {}", known.join(", ")),
                (None, false) => format!("known here: {}", known.join(", ")),
                (None, true) => "remove it".to_owned(),
            };
            Fault::at(text, &span, format!("`{key}` is not a key here"), Some(hint), Show::Key)
        }
        _ => {
            // Some clauses end in the place of the next; one line serves an excerpt better.
            let clause = message.lines().next().unwrap_or("not valid TOML").trim_end_matches('.').to_owned();
            let show = if within_secret(text, span.start) { Show::Nothing } else { Show::Line };
            Fault::at(text, &span, clause, None, show)
        }
    };
    ConfigError::Faults { path: path.to_owned(), faults: vec![fault] }
}

/// One slip of the finger apart: a letter more, less, wrong, or two swapped.
fn near(known: &str, written: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (known.chars().collect(), written.chars().collect());
    let front = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - front;
    let back = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
    let (left, right) = (a.len() - front - back, b.len() - front - back);
    left.max(right) <= 1 || (left == 2 && right == 2 && a[front] == b[front + 1] && a[front + 1] == b[front])
}
