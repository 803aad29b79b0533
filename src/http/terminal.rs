//! Text from elsewhere, made safe for a terminal, a log and a page of our own.
//!
//! An account's display name or a network's error message can hold escape sequences that repaint
//! the screen, write to the clipboard or fake a link, and direction marks that make text read
//! other than it is (CVE-2025-58160 is such a hole in log output).

/// The longest escape sequence that is removed as a whole, in characters. Of a longer or
/// unfinished one only the beginning goes, so that it cannot swallow what follows.
const SEQUENCE_MAX: usize = 4096;

/// The text without control characters (line feeds and tabs stay), escape sequences and direction
/// marks.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\u{1b}' => rest = after_escape(rest),
            '\u{9b}' => rest = after_parameters(rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => rest = after_string(rest),
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// [`clean`], on one line: line feeds and tabs become spaces.
pub fn clean_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// Whether a character may not reach a terminal.
fn is_unsafe(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Direction marks, line and paragraph separators with embeddings and overrides, isolates,
        // and the byte order mark.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => true,
        c => c.is_control(),
    }
}

/// What follows a sequence that `ESC` began.
fn after_escape(rest: &str) -> &str {
    let Some(kind) = rest.chars().next() else { return rest };
    let inner = &rest[kind.len_utf8()..];
    match kind {
        '[' => after_parameters(inner),
        ']' | 'P' | 'X' | '^' | '_' => after_string(inner),
        // Two- and three-character sequences: intermediates, then a final.
        ' '..='/' => {
            let end = inner.trim_start_matches(|c| matches!(c, ' '..='/'));
            end.strip_prefix(|c| matches!(c, '0'..='~')).unwrap_or(end)
        }
        '0'..='~' => inner,
        _ => rest,
    }
}

/// What follows the parameters and the final character of a control sequence.
fn after_parameters(rest: &str) -> &str {
    let end = rest.trim_start_matches(|c| matches!(c, ' '..='?'));
    if rest.len() - end.len() > SEQUENCE_MAX {
        return rest;
    }
    end.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(end)
}

/// What follows a control string (title, link, clipboard …) and its terminator.
fn after_string(rest: &str) -> &str {
    for (at, c) in rest.char_indices().take(SEQUENCE_MAX) {
        match c {
            '\u{7}' | '\u{9c}' => return &rest[at + c.len_utf8()..],
            '\u{1b}' => {
                let after = &rest[at + 1..];
                return after.strip_prefix('\\').unwrap_or(&rest[at..]);
            }
            '\n' => return rest,
            _ => {}
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequences_go_whole_and_text_stays() {
        for (dirty, expected) in [
            ("plain text\n\twith äöü 日本 👩‍👩‍👧 stays", "plain text\n\twith äöü 日本 👩‍👩‍👧 stays"),
            ("a\u{1b}[31mred\u{1b}[0mb", "aredb"),
            ("a\u{1b}[2J\u{1b}[1;1Hb", "ab"),
            ("\u{1b}[?1049hx", "x"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]52;c;aGVsbG8=\u{7}x", "x"),
            ("\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}P1$r0m\u{1b}\\x", "x"),
            ("\u{9b}31mx\u{9d}0;t\u{9c}y", "xy"),
            ("\u{1b}(0x\u{1b}cx", "xx"),
            ("\u{1b}]0;never ended", "0;never ended"),
            ("\u{1b}]0;ends\nwith the line", "0;ends\nwith the line"),
            ("one\r\ntwo\rthree\u{8}\u{7f}\0", "one\ntwothree"),
            ("\u{202e}txt.exe\u{202c} \u{2066}a\u{2069}\u{200f}\u{061c}", "txt.exe a"),
            ("\u{1b}\u{1b}[31mx", "x"),
            ("\u{1b}", ""),
            ("\u{85}\u{2028}x\u{feff}", "x"),
        ] {
            assert_eq!(clean(dirty), expected, "{dirty:?}");
        }
        assert_eq!(clean_line("a\nb\tc"), "a b c");
    }

    #[test]
    fn an_endless_string_hides_nothing() {
        let long = format!("\u{1b}]0;{}\u{7}end", "x".repeat(SEQUENCE_MAX));
        assert!(clean(&long).ends_with("xend"));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_ever_left(
            parts in prop::collection::vec(prop_oneof![
                any::<char>().prop_map(String::from),
                "[\\x00-\\x1f\\x7f-\\u{9f}]",
                Just("\u{1b}[".to_owned()), Just("\u{1b}]".to_owned()), Just("\u{1b}\\".to_owned()),
                Just("\u{202e}".to_owned()), "[0-9;]{1,4}[a-z]",
            ], 0..40),
        ) {
            let cleaned = clean(&parts.concat());
            prop_assert!(!cleaned.contains(is_unsafe), "{cleaned:?}");
            prop_assert_eq!(clean(&cleaned), cleaned);
        }
    }
}
