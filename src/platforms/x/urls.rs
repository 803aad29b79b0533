//! Finds the addresses in a text the way X does before it counts: with a scheme or, if the top-level
//! domain is known, without one. Each of them is shortened by X and costs a fixed length.
//!
//! The grammar is that of the open-source library twitter-text (github.com/twitter/twitter-text), which
//! <https://docs.x.com/fundamentals/counting-characters> names as the reference; its published
//! conformance cases are the test (`tests/platform/twitter_text.rs`). This is a scanner of its own:
//! every part is read forward once, so hostile input costs time in proportion to its length.
//!
//! One wart of the reference is left out: if an address without scheme has a path, and a non-Latin
//! domain stands between its last Latin domain and that path, the reference reports an address whose
//! text and range disagree. Here the text is always the range.

use crate::platforms::x::hosts::{Hosts, INVALID, ascii_domains, is_accented_latin};
use crate::platforms::x::punycode::label_fits;

/// Longest address X shortens, in UTF-16 units; the scheme counts in addition.
const URL_MAX: usize = 4096;
/// The scheme that is assumed, and counted, where there is none.
const DEFAULT_SCHEME: &str = "https://";
/// Longest identifier of a `t.co` address. What is longer is not an address at all.
const TCO_SLUG_MAX: usize = 40;

/// One address in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlSpan<'a> {
    /// First byte (UTF-8).
    pub start: usize,
    /// After the last byte (UTF-8).
    pub end: usize,
    /// The address as written, without an assumed scheme.
    pub text: &'a str,
}

/// Every address in `text`, in order and not overlapping.
pub fn extract_urls(text: &str) -> Vec<UrlSpan<'_>> {
    if !text.contains('.') {
        return Vec::new();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut scanner = Scanner { chars: &chars, found: Vec::new(), steps: 0 };
    scanner.run();

    // From character to byte offsets, in one walk: the spans are in order.
    let mut offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let mut passed = 0;
    let mut byte = |index: usize| {
        let at = offsets.nth(index - passed).unwrap_or(text.len());
        passed = index + 1;
        at
    };
    let mut spans = Vec::with_capacity(scanner.found.len());
    let mut last = None;
    for (start, end) in scanner.found {
        // Two addresses may touch; the offset between them has been taken already.
        let start = match last {
            Some((index, at)) if index == start => at,
            _ => byte(start),
        };
        let stop = byte(end);
        last = Some((end, stop));
        spans.push(UrlSpan { start, end: stop, text: &text[start..stop] });
    }
    spans
}

/// May be in a path, anywhere.
fn is_path_char(c: char) -> bool {
    is_path_end(c)
        || matches!(
            c,
            '!' | '*'
                | '\''
                | ';'
                | ':'
                | ','
                | '.'
                | '$'
                | '%'
                | '['
                | ']'
                | '\u{2013}'
                | '~'
                | '@'
                | '|'
                | '&'
        )
}

/// May end a path. Punctuation may not: it belongs to the sentence.
fn is_path_end(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '+' | '-' | '=' | '_' | '#' | '/' | '\u{400}'..='\u{4FF}')
        || is_accented_latin(c)
}

/// May be in a query, anywhere. Queries are ASCII.
fn is_query_char(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '}')
}

/// May end a query.
fn is_query_end(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '&' | '=' | '#' | '/')
}

/// An address with this character before it is not one: it is part of a word, a mention or a tag.
fn forbids_url_after(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '@' | '＠' | '$' | '#' | '＃') || INVALID.contains(&c)
}

struct Scanner<'a> {
    chars: &'a [char],
    /// Character ranges of the addresses.
    found: Vec<(usize, usize)>,
    /// Characters looked at while reading addresses: what the test of linear cost counts.
    steps: usize,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let hosts = Hosts::new(self.chars);
        let mut at = 0;
        // After an address, the character before the next one must not be part of the former.
        let mut earliest_before = 0;
        while at < self.chars.len() {
            self.steps += 1;
            let preceded = match at.checked_sub(1) {
                None => true,
                Some(before) => before >= earliest_before && !forbids_url_after(self.chars[before]),
            };
            let matched = if preceded { self.read(&hosts, at) } else { None };
            if let Some(end) = matched {
                at = end;
                earliest_before = end;
            } else {
                at += 1;
            }
        }
    }

    /// Reads one address at `start`; returns where reading goes on, even if it came to nothing.
    fn read(&mut self, hosts: &Hosts, start: usize) -> Option<usize> {
        let with_scheme = self
            .scheme_end(start)
            .and_then(|scheme_end| hosts.host_end(self.chars, scheme_end).map(|end| (scheme_end, end)));
        let (host, host_end) = match with_scheme {
            Some(found) => found,
            None => (start, hosts.host_end(self.chars, start)?),
        };
        let path = self.port_end(host_end);
        let path_end = self.path_end(path);
        let end = self.query_end(path_end);
        let scheme_len = if host > start { host - start } else { DEFAULT_SCHEME.len() };
        if !self.is_plausible(start, end, host, host_end, scheme_len) {
            return Some(end);
        }
        if host > start {
            if let Some(end) = self.without_tco_tail(host, host_end, end) {
                self.found.push((start, end));
            }
        } else if start == 0 || !matches!(self.chars[start - 1], '-' | '_' | '.' | '/') {
            self.steps += host_end - host;
            let first = self.found.len();
            self.found.extend(ascii_domains(self.chars, host, host_end));
            // A port or query counts only behind a path, and belongs to the last domain.
            if path_end > path
                && self.found.len() > first
                && let Some(last) = self.found.last_mut()
            {
                last.1 = end;
            }
        }
        Some(end)
    }

    fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    /// Index after the longest run of characters that satisfy `wanted`.
    fn skip(&mut self, start: usize, wanted: fn(char) -> bool) -> usize {
        let length = self.chars[start..].iter().take_while(|&&c| wanted(c)).count();
        self.steps += length + 1;
        start + length
    }

    /// `http://` or `https://`, in any case.
    fn scheme_end(&self, start: usize) -> Option<usize> {
        ["http://", "https://"].iter().find_map(|scheme| {
            let head = self.chars[start..].iter().take(scheme.len()).map(char::to_ascii_lowercase);
            head.eq(scheme.chars()).then_some(start + scheme.len())
        })
    }

    fn port_end(&mut self, start: usize) -> usize {
        if self.get(start) != Some(':') {
            return start;
        }
        let end = self.skip(start + 1, |c| c.is_ascii_digit());
        if end > start + 1 { end } else { start }
    }

    /// A slash, then the longest stretch of path characters and balanced brackets with a proper end.
    ///
    /// What is read beyond that end is punctuation, or one bracket that was never closed; the next
    /// address can only begin behind the former, and a bracket is looked into three times at most
    /// (in its own right, and as the second level of the two before it).
    fn path_end(&mut self, start: usize) -> usize {
        if self.get(start) != Some('/') {
            return start;
        }
        let (mut at, mut end) = (start + 1, start + 1);
        while let Some(c) = self.get(at) {
            self.steps += 1;
            if c == '(' {
                let Some(after) = self.brackets_end(at) else { break };
                (at, end) = (after, after);
            } else if is_path_char(c) {
                at += 1;
                if is_path_end(c) {
                    end = at;
                }
            } else {
                break;
            }
        }
        end
    }

    /// `(…)` with something inside and at most one further pair within.
    fn brackets_end(&mut self, open: usize) -> Option<usize> {
        let inside = self.skip(open + 1, is_path_char);
        match self.get(inside)? {
            ')' if inside > open + 1 => Some(inside + 1),
            '(' => {
                let inner = self.skip(inside + 1, is_path_char);
                if inner == inside + 1 || self.get(inner)? != ')' {
                    return None;
                }
                let outer = self.skip(inner + 1, is_path_char);
                (self.get(outer)? == ')').then_some(outer + 1)
            }
            _ => None,
        }
    }

    fn query_end(&mut self, start: usize) -> usize {
        if self.get(start) != Some('?') {
            return start;
        }
        let read = self.skip(start + 1, is_query_char);
        let end = self.chars[start + 1..read].iter().rposition(|&c| is_query_end(c));
        end.map_or(start, |last| start + 1 + last + 1)
    }

    /// The DNS could carry the host name, and X would take an address of this length.
    fn is_plausible(
        &self,
        start: usize,
        end: usize,
        host: usize,
        host_end: usize,
        scheme_len: usize,
    ) -> bool {
        let name = &self.chars[host..host_end];
        if name.starts_with(&['x', 'n', '-', '-']) && ascii_domains(self.chars, host, host_end).is_empty() {
            return false; // says that it is Punycode, and is not
        }
        name.split(|&c| c == '.').all(label_fits)
            && scheme_len + self.chars[start..end].iter().map(|c| c.len_utf16()).sum::<usize>() <= URL_MAX
    }

    /// A `t.co` address ends with its identifier, whatever is glued to it. `None`: not an address.
    fn without_tco_tail(&mut self, host: usize, host_end: usize, end: usize) -> Option<usize> {
        let slug = host_end + 1;
        let name = self.chars[host..host_end].iter().map(char::to_ascii_lowercase);
        if slug >= end || self.get(host_end) != Some('/') || !name.eq("t.co".chars()) {
            return Some(end);
        }
        let slug_end = self.skip(slug, |c| c.is_ascii_alphanumeric()).min(end);
        match slug_end - slug {
            0 => Some(end),
            length if length > TCO_SLUG_MAX => None,
            _ => Some(self.query_end(slug_end).min(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the cost that is not one pass by construction (see `hosts`): characters read while
    /// trying addresses.
    #[test]
    fn hostile_texts_are_read_a_bounded_number_of_times() {
        for pattern in [
            "a.",
            "あ.",
            "a.com/(",
            "a.com/!",
            "a.co/((",
            "x.com?!",
            "(a.com/(b",
            "http://",
            "http://a.com/(!(",
            "あa.com:",
            "t.co/a?",
            "xn--a.",
            "a_.",
            "-a.com",
            "@a.com/(",
            "あ.a.",
        ] {
            for head in ["", "x.com/(", "http://x.com/", "x.com/?"] {
                let chars: Vec<char> = head.chars().chain(pattern.chars().cycle().take(20_000)).collect();
                let mut scanner = Scanner { chars: &chars, found: Vec::new(), steps: 0 };
                scanner.run();
                assert!(scanner.steps < 12 * chars.len(), "{head}{pattern}…: {} steps", scanner.steps);
            }
        }
    }

    #[test]
    fn addresses_that_touch_keep_their_own_ranges() {
        let text = "é a.comあb.org/x";
        let found: Vec<_> = extract_urls(text).into_iter().map(|it| (it.start, it.text)).collect();
        assert_eq!(found, [(3, "a.com"), (11, "b.org/x")]);
    }
}
