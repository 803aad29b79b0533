//! Text on a grid of cells: cleaned, measured, cut and wrapped.
//!
//! Everything that is drawn goes through [`glyph`], so that what is measured is what is drawn. Terminals
//! disagree about joined emoji, skin tones and variation selectors; only the first sign of such a cluster
//! is drawn, with a width on which all agree. The text itself stays as it is.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::http::terminal;

/// A grapheme cluster as it is drawn, and the cells it takes.
pub(crate) fn glyph(cluster: &str) -> (String, usize) {
    let mut shown = String::new();
    for c in cluster.chars() {
        match c {
            // A joiner: what follows would be drawn into the first sign, or beside it.
            '\u{200d}' if !shown.is_empty() => break,
            // Variation selectors, skin tones, tags.
            '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}' => {}
            '\u{1f3fb}'..='\u{1f3ff}' if !shown.is_empty() => {}
            '\t' => shown.push(' '),
            // Flags: some terminals draw the two letters apart, others one sign over both.
            '\u{1f1e6}'..='\u{1f1ff}' => {
                shown.extend(u8::try_from(u32::from(c) - 0x1f1e6).ok().map(|n| char::from(b'A' + n)));
            }
            c if c.is_control() || is_mark(c) => {}
            c => shown.push(c),
        }
    }
    let cells = shown.width();
    if cells == 0 { (String::new(), 0) } else { (shown, cells.min(2)) }
}

/// Marks of direction and other signs without a shape that steer how a line is laid out.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The glyphs of a text on one line.
fn glyphs(text: &str) -> impl Iterator<Item = (String, usize)> {
    let clean = terminal::clean_line(text);
    let all: Vec<_> = clean.graphemes(true).map(glyph).filter(|it| it.1 > 0).collect();
    all.into_iter()
}

/// Cells that a text takes on one line.
pub(crate) fn width(text: &str) -> usize {
    glyphs(text).map(|it| it.1).sum()
}

/// A text on one line, in at most `cells` cells; what is cut off leaves a `…`.
pub(crate) fn fit(text: &str, cells: usize) -> String {
    let (mut out, mut used) = (String::new(), 0);
    // Where it would be cut to leave room for the sign that says so.
    let (mut cut, mut all) = (0, true);
    for (sign, wide) in glyphs(text) {
        if used + wide > cells {
            all = false;
            break;
        }
        out += &sign;
        used += wide;
        if used < cells {
            cut = out.len();
        }
    }
    if !all {
        out.truncate(cut);
        if cells > 0 {
            out.push('…');
        }
    }
    out
}

/// [`fit`], filled with blanks to exactly `cells` cells.
pub(crate) fn pad(text: &str, cells: usize) -> String {
    let mut out = fit(text, cells);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

/// A text in lines of at most `cells` cells, broken between words where that is possible. Its own line
/// breaks stay.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<String> {
    wrap_hanging(text, cells, cells)
}

/// [`wrap`] with `first` cells in the first line and `cells` in all others.
pub(crate) fn wrap_hanging(text: &str, first: usize, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let room = |lines: &[String]| if lines.is_empty() { first } else { cells };
    for line in terminal::clean(text).split('\n') {
        let (mut out, mut used) = (String::new(), 0);
        for word in line.split_inclusive([' ', '\t']) {
            let bare = width(word.trim_end());
            // A word that fits no line at all begins where it stands.
            if used > 0 && used + bare > room(&lines) && bare <= cells {
                lines.push(std::mem::take(&mut out).trim_end().to_owned());
                used = 0;
            }
            for (sign, wide) in glyphs(word) {
                if used + wide > room(&lines) {
                    // Blanks at the end of a line need no line of their own.
                    if sign == " " {
                        continue;
                    }
                    lines.push(std::mem::take(&mut out));
                    used = 0;
                }
                out += &sign;
                used += wide;
            }
        }
        lines.push(out.trim_end().to_owned());
    }
    lines
}

/// The beginning of a post, to name it by: `“Good morning …”`.
pub(crate) fn named(body: &str) -> String {
    let first = body.lines().map(str::trim).find(|it| !it.is_empty());
    first.map_or_else(|| "a post without text".to_owned(), |it| format!("“{}”", fit(it, 40)))
}

/// A remedy in the words of the command line, told as what is done on the compose screen.
pub(crate) fn in_fields(hint: &str) -> String {
    let mut told = hint.to_owned();
    for (flag, field) in
        [("`--media`", "Media"), ("`--comment`", "Comment"), ("`--to`", "To"), ("`--at`", "When")]
    {
        told = told.replace(&format!("with {flag}"), &format!("in the field {field}"));
        told = told.replace(flag, &format!("the field {field}"));
    }
    // Commands that have a key here.
    for (command, key) in [
        ("`sendoff post cancel`", "`c` (cancel)"),
        ("`sendoff post retry`", "`r` (retry)"),
        ("`sendoff post delete`", "`x` (delete)"),
        ("`sendoff post reschedule`", "`m` (move)"),
        ("`sendoff post show`", "its own screen (Enter)"),
        ("`sendoff account connect`", "`5`, then `n`"),
        ("sendoff post list --state held", "2, then f: attention"),
        ("sendoff post list --state unknown", "2, then f: unknown"),
        ("`sendoff post list --state held`", "`2`, then `f`: attention"),
        ("`sendoff post list`", "`2` (timeline)"),
    ] {
        told = told.replace(command, key);
    }
    // Those that name their object: `sendoff account resume x:acme`.
    for (command, key) in [
        ("sendoff account connect", "5, then n:"),
        ("sendoff account resume", "5, then p:"),
        ("sendoff post retry", "r (retry):"),
        ("sendoff post cancel", "c (cancel):"),
        ("sendoff post show", "Enter on the post:"),
        ("sendoff post resolve", "v (settle):"),
    ] {
        told = told.replace(command, key);
    }
    let options = told.replace("`--option ", "`");
    if options == told { told } else { format!("{options}, in the field Options") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_remedy_of_the_command_line_is_told_in_keys() {
        for (hint, told) in [
            ("`sendoff post cancel` takes it back first", "`c` (cancel) takes it back first"),
            ("sendoff account connect linkedin", "5, then n: linkedin"),
            ("choose one with `--to`", "choose one in the field To"),
            ("sendoff post show pst_1", "Enter on the post: pst_1"),
            ("wait", "wait"),
        ] {
            assert_eq!(in_fields(hint), told);
        }
    }

    #[test]
    fn clusters_take_the_cells_on_which_terminals_agree() {
        for (cluster, shown, cells) in [
            ("a", "a", 1),
            ("日", "日", 2),
            ("👨‍👩‍👧", "👨", 2),
            ("👍🏽", "👍", 2),
            ("☀\u{fe0f}", "☀", 1),
            ("🇩🇪", "DE", 2),
            ("🇩", "D", 1),
            ("é", "é", 1),
            ("\u{200f}", "", 0),
            ("\u{7}", "", 0),
            ("ש", "ש", 1),
        ] {
            assert_eq!(glyph(cluster), (shown.to_owned(), cells), "{cluster:?}");
        }
    }

    #[test]
    fn a_cut_text_says_so_and_never_halves_a_wide_sign() {
        assert_eq!(fit("plain", 5), "plain");
        assert_eq!(fit("plainer", 5), "plai…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("日", 1), "…");
        assert_eq!(fit("x", 0), "");
        assert_eq!(pad("日", 4), "日  ");
        assert_eq!(fit("a\u{1b}[2Jb\u{1b}]52;c;eA==\u{7}c", 9), "abc");
    }

    #[test]
    fn long_text_breaks_between_words_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("id abcdefgh", 5), ["id ab", "cdefg", "h"]);
        assert_eq!(wrap_hanging("one two three", 13, 5), ["one two three"]);
        assert_eq!(wrap_hanging("one two three four", 8, 5), ["one two", "three", "four"]);
    }

    proptest! {
        #[test]
        fn nothing_is_ever_wider_than_its_place(text in any::<String>(), cells in 0usize..40) {
            prop_assert!(width(&fit(&text, cells)) <= cells);
            prop_assert_eq!(width(&pad(&text, cells)), cells);
            prop_assert!(cells < 2 || wrap(&text, cells).iter().all(|it| width(it) <= cells));
        }
    }
}
