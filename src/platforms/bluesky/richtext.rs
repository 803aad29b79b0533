//! What in a Bluesky post becomes clickable, and how long the post is.
//!
//! Bluesky links nothing by itself: a post carries *facets*, ranges of its text with a meaning
//! (`app.bsky.richtext.facet`, docs.bsky.app/docs/advanced-guides/post-richtext). The ranges count
//! UTF-8 bytes, and servers accept wrong ones, so [`facets`] promises that they fit.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::facts::is_tld;

/// Most graphemes of a tag without its `#` (lexicon `app.bsky.richtext.facet#tag`).
const TAG_GRAPHEMES_MAX: usize = 64;
/// Most bytes of a tag, by the same lexicon.
const TAG_BYTES_MAX: usize = 640;
/// Most bytes of a host name or handle (RFC 1035, and atproto.com/specs/handle).
const NAME_MAX: usize = 253;
/// Most bytes of one label of either.
const LABEL_MAX: usize = 63;

/// What a range of the text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// An address of the web, always with its scheme.
    Link { uri: String },
    /// An account, without `@`, lower case. The DID must still be looked up; if there is none, drop it.
    Mention { handle: String },
    /// A tag, without `#`, as written.
    Tag { tag: String },
}

/// A range of the text, in UTF-8 bytes, end exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub byte_start: usize,
    pub byte_end: usize,
    pub feature: Feature,
}

/// Length in extended grapheme clusters: what people see as one character. The limit is 300.
pub fn grapheme_len(text: &str) -> usize {
    text.graphemes(true).count()
}

/// Length in UTF-8 bytes. The limit is 3,000, apart from that on graphemes.
pub fn byte_len(text: &str) -> usize {
    text.len()
}

/// Links, mentions and tags in `text`: sorted, not overlapping, on character boundaries.
///
/// Each word, that is a stretch without white space, holds at most one, after any opening bracket or
/// quotation mark. So every character is read a fixed number of times.
pub fn facets(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    for word in text.split(char::is_whitespace) {
        let start = at + (word.len() - word.trim_start_matches(is_opening).len());
        let body = &text[start..at + word.len()];
        if let Some((length, feature)) = read(body) {
            spans.push(Span { byte_start: start, byte_end: start + length, feature });
        }
        // The separator may be longer than one byte, so it is measured, not assumed.
        at += word.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    spans
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '<' | '"' | '\'' | '“' | '‘' | '«' | '„' | '「' | '（')
}

/// What the beginning of a word is, and how many bytes of it.
fn read(word: &str) -> Option<(usize, Feature)> {
    if let Some(rest) = word.strip_prefix('@') {
        let length = name_len(rest);
        let handle = &rest[..length];
        return is_handle(handle)
            .then(|| (1 + length, Feature::Mention { handle: handle.to_ascii_lowercase() }));
    }
    if let Some(rest) = word.strip_prefix(['#', '＃']) {
        let sign = word.len() - rest.len();
        return read_tag(rest).map(|tag| (sign + tag.len(), Feature::Tag { tag: tag.to_owned() }));
    }
    read_link(word)
}

/// Tags end before punctuation, and are not numbers alone (`#1` is a place in a list).
fn read_tag(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('\u{FE0F}').map_or(rest, |_| ""); // `#️⃣` is a keycap
    let end = rest.find(['#', '＃', '\u{20E3}', '\u{200B}']).unwrap_or(rest.len());
    let tag = rest[..end].trim_end_matches(is_closing);
    let fits =
        !tag.is_empty() && tag.len() <= TAG_BYTES_MAX && tag.graphemes(true).count() <= TAG_GRAPHEMES_MAX;
    (fits && tag.chars().any(|c| !c.is_numeric() && !is_closing(c))).then_some(tag)
}

/// Punctuation that belongs to the sentence when it stands at the end.
fn is_closing(c: char) -> bool {
    is_opening(c)
        || (c.is_ascii_punctuation() && c != '_')
        || matches!(
            c,
            '”' | '’'
                | '»'
                | '」'
                | '）'
                | '…'
                | '。'
                | '、'
                | '，'
                | '！'
                | '？'
                | '：'
                | '；'
                | '–'
                | '—'
        )
}

fn read_link(word: &str) -> Option<(usize, Feature)> {
    let scheme = ["https://", "http://"]
        .iter()
        .find(|it| word.get(..it.len()).is_some_and(|head| head.eq_ignore_ascii_case(it)))
        .map_or(0, |it| it.len());
    let address = &word[..trimmed_len(word)];
    let rest = address.get(scheme..)?;
    if scheme > 0 {
        let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        // Anything with a host may follow a scheme, also one in a private network.
        return host
            .starts_with(|c: char| c.is_alphanumeric() || c == '[')
            .then(|| (address.len(), Feature::Link { uri: address.to_owned() }));
    }
    let host_len = name_len(rest);
    let behind = &rest[host_len..];
    let (host, tld) = (&rest[..host_len], rest[..host_len].rsplit_once('.')?.1);
    // `name@host` is an address of mail, and `file.rs_old` a file.
    let goes_on = behind.is_empty() || behind.starts_with(['/', '?', '#', ':']);
    (goes_on && is_name(host) && is_tld(tld))
        .then(|| (address.len(), Feature::Link { uri: format!("https://{address}") }))
}

/// Bytes of `word` without the punctuation of the sentence around it. A closing bracket stays if it
/// closes one inside, as in `/wiki/Primer_(film)`.
fn trimmed_len(word: &str) -> usize {
    let mut open = [0_i64; 2];
    for c in word.chars() {
        match c {
            '(' => open[0] += 1,
            ')' => open[0] -= 1,
            '[' => open[1] += 1,
            ']' => open[1] -= 1,
            _ => {}
        }
    }
    let mut end = word.len();
    while let Some(last) = word[..end].chars().next_back() {
        let stays = match last {
            ')' if open[0] < 0 => {
                open[0] += 1;
                false
            }
            ']' if open[1] < 0 => {
                open[1] += 1;
                false
            }
            ')' | ']' | '/' | '-' | '=' | '&' | '#' | '+' | '~' | '$' | '%' => true,
            other => !is_closing(other),
        };
        if stays {
            break;
        }
        // An opening bracket cut off here is no longer open.
        match last {
            '(' => open[0] -= 1,
            '[' => open[1] -= 1,
            _ => {}
        }
        end -= last.len_utf8();
    }
    end
}

/// Length of the host name or handle at the beginning, without a full stop at its end.
fn name_len(text: &str) -> usize {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.'))).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', '-']).len()
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.split('.').all(|label| {
            (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        })
}

/// Handles are ASCII host names with at least two labels, the last of which begins with a letter.
fn is_handle(name: &str) -> bool {
    let last = name.rsplit_once('.').map_or("", |(_, last)| last);
    name.is_ascii() && is_name(name) && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The facets as `kind:range text`, one word each.
    fn found(text: &str) -> Vec<(String, String)> {
        let show = |it: Span| {
            let what = match it.feature {
                Feature::Link { uri } => format!("link {uri}"),
                Feature::Mention { handle } => format!("mention {handle}"),
                Feature::Tag { tag } => format!("tag {tag}"),
            };
            (text[it.byte_start..it.byte_end].to_owned(), what)
        };
        facets(text).into_iter().map(show).collect()
    }

    #[test]
    fn links_mentions_and_tags_are_found_without_the_punctuation_around_them() {
        for (text, range, what) in [
            ("see https://example.com/a.", "https://example.com/a", "link https://example.com/a"),
            ("(example.com)", "example.com", "link https://example.com"),
            (
                "x https://e.org/wiki/Primer_(film)",
                "https://e.org/wiki/Primer_(film)",
                "link https://e.org/wiki/Primer_(film)",
            ),
            ("(https://e.org/a(b))!", "https://e.org/a(b)", "link https://e.org/a(b)"),
            ("é @Alice.bsky.social, hi", "@Alice.bsky.social", "mention alice.bsky.social"),
            ("a #rust!", "#rust", "tag rust"),
            ("＃日本語。", "＃日本語", "tag 日本語"),
        ] {
            assert_eq!(found(text), [(range.to_owned(), what.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_facet_stays_text() {
        let long = format!("#{}", "a".repeat(65));
        for text in [
            "#1",
            "#",
            "#!",
            "@alice",
            "mail@example.com",
            "main.rs_old",
            "e.g.",
            "3.14",
            "#️⃣",
            "http://",
            &long,
        ] {
            assert_eq!(found(text), [], "{text}");
        }
        assert_eq!(found(&long[..65]).len(), 1);
    }

    #[test]
    fn a_family_is_one_grapheme_of_twenty_five_bytes() {
        assert_eq!((grapheme_len("👩‍👩‍👧‍👦"), byte_len("👩‍👩‍👧‍👦")), (1, 25));
        assert_eq!(grapheme_len("e\u{301}\r\n🇩🇪"), 3);
    }

    fn check_spans(text: &str) {
        let mut last = 0;
        for span in facets(text) {
            assert!(
                last <= span.byte_start && span.byte_start < span.byte_end && span.byte_end <= text.len()
            );
            assert!(text.is_char_boundary(span.byte_start) && text.is_char_boundary(span.byte_end));
            last = span.byte_end;
        }
    }

    proptest::proptest! {
        #[test]
        fn spans_of_any_text_lie_inside_it_in_order(text in proptest::prelude::any::<String>()) {
            check_spans(&text);
        }

        #[test]
        fn spans_of_dense_text_lie_inside_it_in_order(text in r"([@#＃(\[\])./: \u{2003}é漢🇩\u{FE0F}]|a\.com|https://|[a-z0-9]){0,40}") {
            check_spans(&text);
        }
    }
}
