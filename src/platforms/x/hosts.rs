//! Where a host name could stand in a text, worked out once for every position.
//!
//! The grammar of X tries a host name at every position and lets it run over as many dot-separated
//! labels as possible, so that plain matching costs the square of the text's length. Whether labels
//! chain up to a top-level domain does not depend on where the name began, except within its first
//! label. So [`Hosts::new`] goes through the labels once, from the back, and [`Hosts::host_end`] then
//! answers for any start without a loop.

use crate::facts::{LONGEST_TLD, is_tld};

/// Characters X refuses anywhere in a text; they also separate addresses.
pub(super) const INVALID: [char; 3] = ['\u{FFFE}', '\u{FEFF}', '\u{FFFF}'];

/// White space in the sense of the counter: fewer than Unicode's, plus U+180E.
fn is_space(c: char) -> bool {
    matches!(c,
        '\u{9}'..='\u{D}' | ' ' | '\u{85}' | '\u{A0}' | '\u{1680}' | '\u{180E}' | '\u{2000}'..='\u{200A}'
        | '\u{2028}' | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}')
}

/// Marks that turn the writing direction; people paste them around addresses.
fn is_directional(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2066}'..='\u{2069}')
}

/// May begin or end a host label. Nearly everything may: names in any script, even symbols.
fn is_label_char(c: char) -> bool {
    let punctuation = c.is_ascii_punctuation() && !matches!(c, '"' | '`');
    !(punctuation || is_space(c) || is_directional(c) || INVALID.contains(&c))
}

/// Latin letters with marks, which count as ASCII where the grammar says "ASCII domain" or "path".
pub(super) fn is_accented_latin(c: char) -> bool {
    matches!(c,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}' | '\u{253}' | '\u{254}' | '\u{256}'
        | '\u{257}' | '\u{259}' | '\u{25B}' | '\u{263}' | '\u{268}' | '\u{26F}' | '\u{272}' | '\u{289}'
        | '\u{28B}' | '\u{2BB}' | '\u{300}'..='\u{36F}' | '\u{1E00}'..='\u{1EFF}')
}

/// One run of label characters, hyphens and underscores, and what follows from its being there.
struct Label {
    /// Index of the first character.
    start: usize,
    /// Index after the last character.
    end: usize,
    /// Index of the last underscore, if any: allowed in a subdomain, not in the registered name.
    underscore: Option<usize>,
    /// A dot follows, and the last character is neither hyphen nor underscore.
    closed: bool,
    /// Where the top-level domain after the dot ends, if there is one.
    tld_end: Option<usize>,
    /// Where the longest host ends that begins with the whole of this label.
    best: Option<usize>,
}

pub(super) struct Hosts {
    labels: Vec<Label>,
    /// For each character, the index of its label, or of the next one.
    label_of: Vec<usize>,
}

impl Hosts {
    pub(super) fn new(chars: &[char]) -> Self {
        let mut labels = Vec::new();
        let mut label_of = Vec::with_capacity(chars.len());
        let mut at = 0;
        while at < chars.len() {
            let start = at;
            let mut underscore = None;
            while at < chars.len() && (is_label_char(chars[at]) || matches!(chars[at], '-' | '_')) {
                if chars[at] == '_' {
                    underscore = Some(at);
                }
                label_of.push(labels.len());
                at += 1;
            }
            if at > start {
                let closed = chars.get(at) == Some(&'.') && is_label_char(chars[at - 1]);
                let tld_end = if closed { tld_end(chars, at + 1, chars.len()) } else { None };
                labels.push(Label { start, end: at, underscore, closed, tld_end, best: None });
            } else {
                label_of.push(labels.len());
                at += 1;
            }
        }
        for index in (0..labels.len()).rev() {
            let label = &labels[index];
            if !label.closed || !is_label_char(chars[label.start]) {
                continue;
            }
            let named = if label.underscore.is_none() { label.tld_end } else { None };
            labels[index].best = Self::best_after(&labels, index).or(named);
        }
        Self { labels, label_of }
    }

    /// End of the longest host that goes on with the label right after the dot behind `index`.
    fn best_after(labels: &[Label], index: usize) -> Option<usize> {
        let next = labels.get(index + 1)?;
        if next.start == labels[index].end + 1 { next.best } else { None }
    }

    /// Index after the longest host name that begins at `start`, if one does.
    pub(super) fn host_end(&self, chars: &[char], start: usize) -> Option<usize> {
        if !is_label_char(*chars.get(start)?) {
            return None;
        }
        let index = self.label_of[start];
        let label = &self.labels[index];
        if !label.closed {
            return None;
        }
        let named = if label.underscore.is_none_or(|at| at < start) { label.tld_end } else { None };
        Self::best_after(&self.labels, index).or(named)
    }
}

/// Index after the top-level domain at `start`, reading no further than `limit`.
///
/// A domain must not run on into an ASCII letter, a digit, `@`, `+` or `-`; it may run on into another
/// script, because many languages write without spaces. Anything in Punycode counts as known.
fn tld_end(chars: &[char], start: usize, limit: usize) -> Option<usize> {
    let stops = |end: usize| {
        end == limit || !(chars[end].is_ascii_alphanumeric() || matches!(chars[end], '@' | '+' | '-'))
    };
    let window = &chars[start..limit.min(start + LONGEST_TLD)];
    let window = &window[..window.iter().position(|&c| c == '.').unwrap_or(window.len())];
    // The longest one wins: some domains begin with another one.
    let mut candidate: String = window.iter().collect();
    for length in (1..=window.len()).rev() {
        if stops(start + length) && is_tld(&candidate) {
            return Some(start + length);
        }
        candidate.pop();
    }
    let prefix = chars[start..limit].iter().take(4).map(char::to_ascii_lowercase);
    if prefix.eq("xn--".chars()) {
        let rest = &chars[start + 4..limit];
        let length = rest.iter().take_while(|&&c| c.is_ascii_alphanumeric() || c == '-').count();
        if length > 0 {
            return Some(start + 4 + length);
        }
    }
    None
}

/// The stretches of `chars[start..end]` that are domains with every label but the last in Latin letters.
///
/// Without a scheme only these are addresses: in `例えばexample.comです` it cuts out `example.com`.
pub(super) fn ascii_domains(chars: &[char], start: usize, end: usize) -> Vec<(usize, usize)> {
    let latin = |c: char| c == '-' || c.is_ascii_alphanumeric() || is_accented_latin(c);
    let run_end =
        |from: usize| chars[from..end].iter().position(|&c| !latin(c)).map_or(end, |length| from + length);
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        if !latin(chars[at]) {
            at += 1;
            continue;
        }
        // Labels from here on, each followed by a dot; the last dot with a domain behind it decides.
        // A later start within the same chain would meet the same dots, so the chain is read once.
        let (mut label_end, mut domain_end) = (run_end(at), None);
        let mut resume = label_end;
        while chars[..end].get(label_end) == Some(&'.') {
            if let Some(tld_end) = tld_end(chars, label_end + 1, end) {
                domain_end = Some(tld_end);
            }
            resume = label_end + 1;
            let next = run_end(resume);
            if next == resume {
                break;
            }
            label_end = next;
            resume = next;
        }
        if let Some(domain_end) = domain_end {
            found.push((at, domain_end));
            resume = domain_end;
        }
        at = resume;
    }
    found
}
