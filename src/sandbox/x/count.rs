//! The stand-in's own idea of X's weighted length and of links (docs.x.com/fundamentals/counting-characters):
//! NFC, 23 per link, 2 per emoji, 1 for the Latin-like ranges, 2 for the rest.
//!
//! A link ends its host in a top-level domain of the network's own list, or in a Punycode one. Behind
//! a scheme the host may be in any script; without one only its last label may.

use crate::facts::is_tld;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// The weight of a link, whatever its length.
const LINK: usize = 23;

/// Weighted length of `text`, in X's units.
pub(in crate::sandbox) fn weigh(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let mut sum = 0;
    let mut from = 0;
    for (start, end) in links(&text) {
        sum += plain(&text[from..start]) + LINK;
        from = end;
    }
    sum + plain(&text[from..])
}

fn plain(text: &str) -> usize {
    text.graphemes(true).map(|it| if is_emoji(it) { 2 } else { it.chars().map(weight).sum() }).sum()
}

fn weight(it: char) -> usize {
    match u32::from(it) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    }
}

/// Whether a grapheme is drawn as an emoji: pictographs, flags, keycaps, or anything that asks for
/// it with the variation selector 16.
fn is_emoji(grapheme: &str) -> bool {
    let pictograph = |it: char| {
        matches!(u32::from(it),
            0x231A..=0x231B | 0x23E9..=0x23F3 | 0x25FD..=0x25FE | 0x2614..=0x2615 | 0x2648..=0x2653
            | 0x267F | 0x2693 | 0x26A1 | 0x26AA..=0x26AB | 0x26BD..=0x26BE | 0x26C4..=0x26C5 | 0x26CE
            | 0x26D4 | 0x26EA | 0x26F2..=0x26F5 | 0x26FA | 0x26FD | 0x2705 | 0x270A..=0x270B | 0x2728
            | 0x274C | 0x274E | 0x2753..=0x2757 | 0x2795..=0x2797 | 0x27B0 | 0x27BF | 0x2B1B..=0x2B1C
            | 0x2B50 | 0x2B55 | 0x1F000..=0x1FAFF)
    };
    grapheme.chars().any(|it| pictograph(it) || it == '\u{20E3}' || it == '\u{FE0F}')
}

/// Byte ranges of the links in `text`, in order.
pub(super) fn links(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = next_link(text, from) {
        found.push((start, end));
        from = end;
    }
    found
}

fn next_link(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut before = text[..from].chars().next_back();
    for (offset, it) in text[from..].char_indices() {
        // A letter before it makes it part of a word; Chinese and Japanese write without spaces.
        let open =
            !before.is_some_and(|it| (it.is_alphanumeric() && weight(it) == 1) || "@#$_-./".contains(it));
        if open && is_latin(it) {
            let start = from + offset;
            if let Some(length) = link_length(&text[start..]) {
                return Some((start, start + length));
            }
        }
        before = Some(it);
    }
    None
}

/// ASCII letters and digits, and the accented letters of European languages.
fn is_latin(it: char) -> bool {
    it.is_ascii_alphanumeric() || (matches!(it, '\u{C0}'..='\u{24F}') && it.is_alphabetic())
}

/// How much of the beginning of `rest` is a link.
fn link_length(rest: &str) -> Option<usize> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|it| rest.get(..it.len()).is_some_and(|head| head.eq_ignore_ascii_case(it)))
        .map_or(0, str::len);
    let mut end = scheme + host_length(&rest[scheme..], scheme > 0)?;
    if let Some(port) = rest[end..].strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            end += 1 + digits;
        }
    }
    if rest[end..].starts_with(['/', '?', '#']) {
        let is_path = |it: char| it.is_ascii_graphic() && !"<>\"`^{}|\\".contains(it);
        let tail = &rest[end..];
        let tail = &tail[..tail.find(|it| !is_path(it)).unwrap_or(tail.len())];
        end += trimmed(tail).len();
    }
    Some(end)
}

/// How much of the beginning of `text` is a host: labels, then the last dot that a top-level domain
/// follows. Text of another script may come right behind it.
fn host_length(text: &str, any_script: bool) -> Option<usize> {
    let part = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_');
    let host = &text[..text.find(|it| !part(it)).unwrap_or(text.len())];
    host.rmatch_indices('.').find_map(|(dot, _)| {
        let mut labels = host[..dot].split('.').rev();
        let domain_has_line = labels.clone().next().is_some_and(|it| it.contains('_'));
        let sound = labels.all(|it| {
            !it.is_empty()
                && !it.starts_with(['-', '_'])
                && !it.ends_with(['-', '_'])
                && (any_script || it.chars().all(|c| is_latin(c) || matches!(c, '-' | '_')))
        });
        let length = tld_length(&text[dot + 1..]).filter(|_| sound && !domain_has_line)?;
        Some(dot + 1 + length)
    })
}

/// How much of the beginning of `text` is a top-level domain: the longest one that does not end in
/// the middle of a word, nor before what makes it an address of mail.
fn tld_length(text: &str) -> Option<usize> {
    let ends = |length: usize| {
        let next = text[length..].chars().next();
        !next.is_some_and(|it| it.is_ascii_alphanumeric() || matches!(it, '@' | '+' | '-'))
    };
    let ascii = text.bytes().take_while(|it| it.is_ascii_alphanumeric() || *it == b'-').count();
    let head = &text[..ascii];
    if head.len() > 4 && head.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("xn--")) && ends(ascii) {
        return Some(ascii);
    }
    let label = text.char_indices().take_while(|(_, it)| it.is_alphanumeric() || *it == '-');
    let mut lengths: Vec<usize> = label.map(|(at, it)| at + it.len_utf8()).collect();
    lengths.truncate(crate::facts::LONGEST_TLD);
    lengths.into_iter().rev().find(|length| ends(*length) && is_tld(&text[..*length]))
}

/// A path without the punctuation that belongs to the sentence around it.
fn trimmed(path: &str) -> &str {
    let mut path = path;
    loop {
        let shorter = path.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*']);
        let unopened = shorter.ends_with(')') && !shorter.contains('(');
        let shorter = if unopened { &shorter[..shorter.len() - 1] } else { shorter };
        if shorter.len() == path.len() {
            return path;
        }
        path = shorter;
    }
}

/// How many `$TICKER`s the text names; X takes one at most from apps without a contract.
pub(super) fn cashtags(text: &str) -> usize {
    text.split(|it: char| it.is_whitespace() || ",.;:!?()".contains(it))
        .filter_map(|it| it.strip_prefix('$'))
        .filter(|it| (1..=6).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_alphabetic()))
        .count()
}
