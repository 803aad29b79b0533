//! A post as a file: Markdown whose front matter is TOML (`post create --file`).
//!
//! ```text
//! +++
//! to = ["x:acme", "linkedin:acme"]
//! at = 2026-12-01T09:00:00
//! +++
//! The text for everyone.
//!
//! --- x
//! Another text for X.
//!
//! --- linkedin:comment
//! A first comment on LinkedIn.
//! ```
//!
//! The front matter says where it goes and when; the text stands below. A line that begins with
//! `--- ` is a heading, and a heading that is not understood is an error: a slip of the finger must
//! not be published as text. Whatever is wrong is told with line, column and caret, all at once.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::value::{Datetime, Value};
use toml::{Spanned, de};

use super::error::CliError;
use super::post_args::MediaFile;
use crate::config::Zone;
use crate::config::fault::{self, ConfigError, Fault, Show};
use crate::control::messages::Variant;
use crate::control::requests::When;
use crate::domain::ids::{AccountName, PlatformName};
use crate::domain::schedule::Late;

/// The line before and after the front matter.
const FENCE: &str = "+++";
/// What a heading begins with.
const HEADING: &str = "--- ";
/// Behind the colon of a heading: the text is the first comment.
const COMMENT: &str = "comment";
/// Everyone who has no text of their own.
const ALL: &str = "all";
/// No network takes a text of that length, and the control socket takes no request of it.
const BYTES_MAX: u64 = 1 << 20;

/// What a post file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PostFile {
    /// Accounts, or bare platforms for a check.
    pub(super) to: Vec<String>,
    pub(super) when: Option<When>,
    pub(super) tz: Option<String>,
    pub(super) late: Option<String>,
    pub(super) key: Option<String>,
    /// Files with their paths as seen from here.
    pub(super) media: Vec<MediaFile>,
    /// Platform → option → value.
    pub(super) options: BTreeMap<String, BTreeMap<String, String>>,
    /// The parts for everyone; empty if there is no such text.
    pub(super) parts: Vec<String>,
    pub(super) comment: Option<String>,
    /// By platform or account.
    pub(super) variants: BTreeMap<String, Variant>,
}

/// The front matter exactly as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    to: Vec<Spanned<String>>,
    at: Option<Spanned<Value>>,
    queue: Option<Spanned<String>>,
    now: Option<Spanned<bool>>,
    draft: Option<Spanned<bool>>,
    timezone: Option<Spanned<String>>,
    late: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    media: Vec<MediaWritten>,
    options: BTreeMap<Spanned<String>, BTreeMap<String, Spanned<Value>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MediaWritten {
    file: Spanned<String>,
    alt: Option<String>,
    /// Which part of a thread it goes with, from 1.
    part: Option<u32>,
}

impl PostFile {
    /// Reads a file. Paths in it count from the directory it lies in.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let unreadable = |why: String| {
            CliError::new(2, "post_file", format!("cannot read the post file `{}`: {why}", path.display()))
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(error.to_string()).hint("check the path in `--file`"))?;
        if bytes.len() as u64 > BYTES_MAX {
            let hint = "it holds the text; pictures and films are named in `media`";
            return Err(unreadable(format!("it has more than {BYTES_MAX} bytes")).hint(hint));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable("it is not text".into()).hint("save the file as UTF-8"))?;
        parse(&text, path).map_err(|error| told(&error))
    }
}

fn told(error: &ConfigError) -> CliError {
    let told = CliError::new(2, "bad_post_file", error.to_string());
    match error {
        ConfigError::Faults { faults, .. } => match faults.as_slice() {
            [Fault { hint: Some(hint), .. }] => told.hint(hint.clone()),
            [_] => told,
            _ => told.hint("correct what is marked"),
        },
        ConfigError::NotFound { .. } | ConfigError::Unreadable { .. } => told,
    }
}

/// Reads a text as if it stood in the file `path`.
fn parse(text: &str, path: &Path) -> Result<PostFile, ConfigError> {
    let mut faults = Faults { text, found: Vec::new() };
    let begin = text.len() - text.trim_start_matches('\u{feff}').len();
    let (front, body) = halves(text, begin, &mut faults);
    let written = match front {
        // Spaces in place of what stands before it keep every position true.
        Some(front) => {
            let blank: String =
                text[..front.start].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            // A byte order mark has more bytes than the space in its place.
            let pad = " ".repeat(front.start - blank.len());
            toml::from_str(&format!("{pad}{blank}{}", &text[front]))
                .map_err(|error: de::Error| fault::from_toml(path, text, &error))?
        }
        None => Written::default(),
    };
    let mut file = PostFile::default();
    faults.front(&written, path.parent().unwrap_or(Path::new("")), &mut file);
    faults.body(body, &mut file);
    if faults.found.is_empty() {
        return Ok(file);
    }
    faults.found.sort_by_key(|it| (it.line, it.column));
    Err(ConfigError::Faults { path: path.to_owned(), faults: faults.found })
}

/// The front matter and the text below it. A file without front matter is text alone.
fn halves(text: &str, begin: usize, faults: &mut Faults<'_>) -> (Option<Range<usize>>, Range<usize>) {
    let mut lines = lines(text, begin..text.len());
    let Some(first) = lines.next() else { return (None, begin..begin) };
    match text[first.clone()].trim_end() {
        FENCE => {}
        "---" => {
            let hint = "write `+++` above and below it, and TOML in between: `to = [\"x:acme\"]`";
            faults.add(&first, "front matter is not written between `---`", hint);
            return (None, text.len()..text.len());
        }
        _ => return (None, begin..text.len()),
    }
    let start = next_line(text, &first);
    if let Some(end) = lines.find(|line| text[line.clone()].trim_end() == FENCE) {
        return (Some(start..end.start), next_line(text, &end)..text.len());
    }
    faults.add(&first, "the front matter has no end", "close it with a second line `+++`");
    (None, text.len()..text.len())
}

/// The lines of a part of a text, without their ends.
fn lines(text: &str, within: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = within.start;
    text[within].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    })
}

fn next_line(text: &str, line: &Range<usize>) -> usize {
    text[line.end..].find('\n').map_or(text.len(), |it| line.end + it + 1)
}

/// What is wrong, as it is found.
struct Faults<'a> {
    text: &'a str,
    found: Vec<Fault>,
}

/// Whom a section below a heading is for.
struct Heading {
    name: String,
    is_comment: bool,
}

impl Faults<'_> {
    fn add(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Fault::at(self.text, span, message.into(), Some(hint.into()), Show::Line));
    }

    /// Everything above the text.
    fn front(&mut self, it: &Written, dir: &Path, file: &mut PostFile) {
        for name in &it.to {
            self.target(name, name.get_ref());
            if file.to.contains(name.get_ref()) {
                self.add(&name.span(), format!("`{}` is named twice", name.get_ref()), "remove one");
            }
            file.to.push(name.get_ref().clone());
        }
        self.time(it, file);
        if let Some(zone) = &it.timezone {
            match Zone::named(zone.get_ref()) {
                Ok(zone) => file.tz = Some(zone.name),
                Err(error) => self.add(&zone.span(), error.to_string(), error.hint().unwrap_or_default()),
            }
        }
        if let Some(late) = &it.late {
            if let Err(error) = late.get_ref().parse::<Late>() {
                self.add(&late.span(), error.to_string(), "e.g. `late = \"60m\"`");
            }
            file.late = Some(late.get_ref().clone());
        }
        if let Some(key) = &it.key {
            if key.get_ref().is_empty() {
                self.add(&key.span(), "the key is empty", "give each post a key of its own, or none");
            }
            file.key = Some(key.get_ref().clone());
        }
        for media in &it.media {
            file.media.push(MediaFile {
                path: self.media(&media.file, dir),
                alt: media.alt.clone(),
                part: media.part,
            });
        }
        for (platform, set) in &it.options {
            if let Err(error) = platform.get_ref().parse::<PlatformName>() {
                self.add(&platform.span(), error.to_string(), "write `[options.x]`");
            }
            let own = file.options.entry(platform.get_ref().clone()).or_default();
            for (key, value) in set {
                let text = match value.get_ref() {
                    Value::String(text) => text.clone(),
                    Value::Boolean(yes) => yes.to_string(),
                    Value::Integer(number) => number.to_string(),
                    other => {
                        let message =
                            format!("an option is a text, a number or true or false, not {}", kind(other));
                        self.add(&value.span(), message, format!("write `{key} = \"…\"`"));
                        continue;
                    }
                };
                own.insert(key.clone(), text);
            }
        }
    }

    /// At most one of the four times.
    fn time(&mut self, it: &Written, file: &mut PostFile) {
        let mut times: Vec<(Range<usize>, When)> = Vec::new();
        if let Some(at) = &it.at {
            match when(at.get_ref()) {
                Ok(text) => times.push((at.span(), When::At(text))),
                Err((message, hint)) => self.add(&at.span(), message, hint),
            }
        }
        if let Some(queue) = &it.queue {
            times.push((queue.span(), When::Queue(queue.get_ref().clone())));
        }
        let flags = [("now", &it.now, When::Now), ("draft", &it.draft, When::Draft)];
        for (key, flag, when) in flags {
            match flag {
                Some(flag) if *flag.get_ref() => times.push((flag.span(), when)),
                Some(flag) => {
                    self.add(&flag.span(), format!("`{key}` is true, or not there"), "leave it out");
                }
                None => {}
            }
        }
        for (span, _) in times.iter().skip(1) {
            self.add(span, "the post has a time already", "keep one of `at`, `queue`, `now` and `draft`");
        }
        file.when = times.into_iter().next().map(|(_, when)| when);
    }

    fn target(&mut self, at: &Spanned<String>, name: &str) {
        if let Err(why) = check_name(name) {
            self.add(
                &at.span(),
                why,
                "write `platform:name`, e.g. `x:acme`; `sendoff account list` has them",
            );
        }
    }

    fn media(&mut self, file: &Spanned<String>, dir: &Path) -> PathBuf {
        let path = dir.join(file.get_ref());
        let why = match std::fs::metadata(&path) {
            Ok(about) if about.is_file() => return path,
            Ok(_) => "it is not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("cannot read the media file `{}`: {why}", path.display());
        self.add(&file.span(), message, "its path counts from the directory of the post file");
        path
    }

    /// The texts, sorted by whom they are for.
    fn body(&mut self, body: Range<usize>, file: &mut PostFile) {
        let text = self.text;
        let mut heading = Heading { name: ALL.to_owned(), is_comment: false };
        let mut place: Option<Range<usize>> = None;
        let mut section = Vec::new();
        for line in lines(text, body.clone()).map(Some).chain([None]) {
            let written = line.clone().map(|line| &text[line]);
            let is_heading = written.is_some_and(|it| it.starts_with(HEADING));
            match (line, written) {
                (Some(_), Some(written)) if !is_heading => section.push(plain(written)),
                (line, _) => {
                    self.section(&heading, place.as_ref(), &std::mem::take(&mut section), file);
                    if let Some(line) = line {
                        heading = self.heading(&line);
                        place = Some(line);
                    }
                }
            }
        }
    }

    /// Whom a heading names. One that is not understood is told, and its text goes nowhere.
    fn heading(&mut self, line: &Range<usize>) -> Heading {
        let name = self.text[line.clone()][HEADING.len()..].trim();
        let (name, is_comment) = match name.rsplit_once(':') {
            Some((name, COMMENT)) => (name, true),
            _ => (name, false),
        };
        if name != ALL
            && let Err(why) = check_name(name)
        {
            let hint = "a heading is `--- x`, `--- x:acme`, `--- all` or one of these with `:comment`; \
                        a line of the text that begins so is written `\\--- `";
            self.add(line, why, hint);
        }
        Heading { name: name.to_owned(), is_comment }
    }

    fn section(&mut self, of: &Heading, place: Option<&Range<usize>>, lines: &[&str], file: &mut PostFile) {
        let text = lines.join("\n");
        let text = text.trim_matches('\n').trim_end();
        if text.trim().is_empty() {
            // Before the first heading there may be nothing.
            if let Some(place) = place {
                self.add(place, "there is no text below this heading", "write one, or remove the heading");
            }
            return;
        }
        let own = if of.name == ALL {
            (&mut file.parts, &mut file.comment)
        } else {
            let empty = || Variant { body: None, parts: Vec::new(), comment: None };
            let variant = file.variants.entry(of.name.clone()).or_insert_with(empty);
            (&mut variant.parts, &mut variant.comment)
        };
        match own {
            (parts, _) if !of.is_comment => parts.push(text.to_owned()),
            (_, comment) if comment.is_none() => *comment = Some(text.to_owned()),
            _ => {
                let span = place.cloned().unwrap_or_default();
                self.add(&span, format!("`{}` has a first comment already", of.name), "keep one of the two");
            }
        }
    }
}

/// A line of the text: a backslash keeps it from being a heading.
fn plain(line: &str) -> &str {
    line.strip_prefix('\\').filter(|it| it.starts_with(HEADING)).unwrap_or(line)
}

/// Whether it is an account or a bare platform.
fn check_name(name: &str) -> Result<(), String> {
    let read = match name.split_once(':') {
        Some(_) => name.parse::<AccountName>().map(drop),
        None => name.parse::<PlatformName>().map(drop),
    };
    read.map_err(|error| error.to_string())
}

/// A time as `--at` would have it.
fn when(value: &Value) -> Result<String, (String, &'static str)> {
    let example = "write `at = 2026-12-01T09:00:00`, or a text like \"tomorrow 9am\"";
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Datetime(Datetime { date: Some(_), time: Some(_), .. }) => {
            Ok(value.to_string().trim_matches('"').to_owned())
        }
        Value::Datetime(Datetime { time: None, .. }) => {
            Err(("the time of day is missing".to_owned(), example))
        }
        Value::Datetime(_) => Err(("the day is missing".to_owned(), example)),
        other => Err((format!("a time is not {}", kind(other)), example)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
#[path = "post_file_tests.rs"]
mod tests;
