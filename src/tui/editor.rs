//! A text that is being written: cursor, soft wrapping, undo. Pure; keys and drawing are elsewhere.
//!
//! Written here and not taken from a crate because posts are paragraphs: they must wrap at words, count
//! clusters as the rest of the screen draws them, and come out letter for letter as they went in.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use super::text::glyph;

/// Steps back that are kept.
const UNDO_MAX: usize = 200;

/// A text with a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Editor {
    text: String,
    /// A byte offset on the border of a cluster.
    cursor: usize,
    /// The column that the cursor wants to be in when it moves over shorter lines.
    goal: Option<usize>,
    undo: Vec<(String, usize)>,
    redo: Vec<(String, usize)>,
    /// The last change was a typed sign: the next one belongs to the same step, up to a blank.
    typing: bool,
}

/// Where the cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    Home,
    End,
    Top,
    Bottom,
}

/// An editor for each part; one that is empty where there is none.
pub(crate) fn of_parts(parts: impl IntoIterator<Item = impl Into<String>>) -> Vec<Editor> {
    let mut parts: Vec<Editor> = parts.into_iter().map(Editor::new).collect();
    if parts.is_empty() {
        parts.push(Editor::default());
    }
    parts
}

impl Editor {
    /// A text with the cursor at its end.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text, ..Self::default() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Replaces everything, as one step that can be undone.
    pub(crate) fn set(&mut self, text: &str) {
        self.remember(false);
        text.clone_into(&mut self.text);
        self.cursor = self.text.len();
    }

    /// Types a sign.
    pub(crate) fn type_char(&mut self, c: char) {
        self.remember(self.typing && !c.is_whitespace());
        self.typing = true;
        self.text.insert(self.cursor, c);
        self.cursor += c.len_utf8();
        self.settle();
    }

    /// Puts a text in, as one step. Control characters but line feeds and tabs stay out.
    pub(crate) fn insert(&mut self, text: &str) {
        let text: String = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .chars()
            .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
            .collect();
        if text.is_empty() {
            return;
        }
        self.remember(false);
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        self.settle();
    }

    /// Deletes the cluster before the cursor.
    pub(crate) fn backspace(&mut self) {
        let from = self.before(self.cursor);
        self.delete(from..self.cursor);
    }

    /// Deletes the cluster behind the cursor.
    pub(crate) fn delete_next(&mut self) {
        let to = self.behind(self.cursor);
        self.delete(self.cursor..to);
    }

    /// Deletes back to the beginning of a word.
    pub(crate) fn delete_word(&mut self) {
        let from = self.word_left();
        self.delete(from..self.cursor);
    }

    /// Deletes to the end of the line, or the line feed that stands there.
    pub(crate) fn delete_to_end(&mut self) {
        let end = self.text[self.cursor..].find('\n').map_or(self.text.len(), |it| it + self.cursor);
        let end = if end == self.cursor { self.behind(end) } else { end };
        self.delete(self.cursor..end);
    }

    /// Deletes back to the beginning of the line.
    pub(crate) fn delete_to_start(&mut self) {
        let start = self.text[..self.cursor].rfind('\n').map_or(0, |it| it + 1);
        self.delete(start..self.cursor);
    }

    /// Deletes everything.
    pub(crate) fn clear(&mut self) {
        self.delete(0..self.text.len());
    }

    fn delete(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.remember(false);
        self.text.replace_range(range.clone(), "");
        self.cursor = range.start;
        self.settle();
    }

    /// Takes the last change back.
    pub(crate) fn undo(&mut self) {
        if let Some(was) = self.undo.pop() {
            let now = self.put(was);
            self.redo.push(now);
        }
    }

    /// Makes a change that was taken back again.
    pub(crate) fn redo(&mut self) {
        if let Some(was) = self.redo.pop() {
            let now = self.put(was);
            self.undo.push(now);
        }
    }

    fn put(&mut self, (text, cursor): (String, usize)) -> (String, usize) {
        self.goal = None;
        self.typing = false;
        (std::mem::replace(&mut self.text, text), std::mem::replace(&mut self.cursor, cursor))
    }

    /// Keeps the text as it is now, unless the change to come belongs to the step before.
    fn remember(&mut self, same: bool) {
        self.goal = None;
        self.typing = false;
        self.redo.clear();
        if same && !self.undo.is_empty() {
            return;
        }
        if self.undo.len() == UNDO_MAX {
            self.undo.remove(0);
        }
        self.undo.push((self.text.clone(), self.cursor));
    }

    /// A sign that was put in may have become part of its neighbour.
    fn settle(&mut self) {
        let typing = self.typing;
        let mut at = 0;
        for cluster in self.text.graphemes(true) {
            if at >= self.cursor {
                break;
            }
            at += cluster.len();
        }
        self.cursor = at;
        self.typing = typing;
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].grapheme_indices(true).next_back().map_or(0, |it| it.0)
    }

    fn behind(&self, at: usize) -> usize {
        self.text[at..].graphemes(true).next().map_or(at, |it| at + it.len())
    }

    fn word_left(&self) -> usize {
        let head = self.text[..self.cursor].trim_end();
        head.rfind(char::is_whitespace)
            .map_or(0, |it| it + head[it..].chars().next().map_or(0, char::len_utf8))
    }

    fn word_right(&self) -> usize {
        let tail = &self.text[self.cursor..];
        let word = tail.find(char::is_whitespace).unwrap_or(tail.len());
        let gap = tail[word..].find(|c: char| !c.is_whitespace()).unwrap_or(tail.len() - word);
        self.cursor + word + gap
    }

    /// Moves the cursor; `cells` is the width at which the text is drawn.
    pub(crate) fn go(&mut self, to: Go, cells: usize) {
        self.typing = false;
        let goal = self.goal.take();
        self.cursor = match to {
            Go::Left => self.before(self.cursor),
            Go::Right => self.behind(self.cursor),
            Go::WordLeft => self.word_left(),
            Go::WordRight => self.word_right(),
            Go::Top => 0,
            Go::Bottom => self.text.len(),
            Go::Home | Go::End | Go::Up | Go::Down => {
                let rows = self.rows(cells);
                let (row, column) = self.place(cells);
                match to {
                    Go::Home => rows[row].start,
                    Go::End => self.last_of(&rows, row),
                    _ => {
                        let next = if to == Go::Up { row.checked_sub(1) } else { Some(row + 1) };
                        let column = goal.unwrap_or(column);
                        self.goal = Some(column);
                        match next.filter(|it| *it < rows.len()) {
                            Some(next) => self.at_column(&rows, next, column),
                            None if to == Go::Up => 0,
                            None => self.text.len(),
                        }
                    }
                }
            }
        };
    }

    /// The last place in a row: before the sign that stands on its end where the next row goes on.
    fn last_of(&self, rows: &[Range<usize>], row: usize) -> usize {
        let goes_on = rows.get(row + 1).is_some_and(|next| next.start == rows[row].end);
        if goes_on { self.before(rows[row].end).max(rows[row].start) } else { rows[row].end }
    }

    fn at_column(&self, rows: &[Range<usize>], row: usize, column: usize) -> usize {
        let (mut at, mut used) = (rows[row].start, 0);
        let last = self.last_of(rows, row);
        for cluster in self.text[rows[row].clone()].graphemes(true) {
            used += glyph(cluster).1;
            if used > column || at >= last {
                break;
            }
            at += cluster.len();
        }
        at.min(last)
    }

    /// The rows of the text as drawn in `cells` columns, one of which is kept free for the cursor. There
    /// is always one.
    pub(crate) fn rows(&self, cells: usize) -> Vec<Range<usize>> {
        let room = cells.saturating_sub(1).max(1);
        let mut rows = Vec::new();
        let mut start = 0;
        for line in self.text.split('\n') {
            let end = start + line.len();
            let (mut row, mut used, mut gap) = (start, 0, None);
            for (at, cluster) in line.grapheme_indices(true) {
                let at = start + at;
                let blank = cluster.chars().all(char::is_whitespace);
                let wide = glyph(cluster).1;
                // Blanks hang over the edge: a line never begins with the blank that ended a word.
                if used + wide > room && !blank && at > row {
                    let cut = gap.filter(|it| *it > row).unwrap_or(at);
                    rows.push(row..cut);
                    used = self.text[cut..at].graphemes(true).map(|it| glyph(it).1).sum();
                    (row, gap) = (cut, None);
                }
                used += wide;
                if blank {
                    gap = Some(at + cluster.len());
                }
            }
            rows.push(row..end);
            start = end + 1;
        }
        rows
    }

    /// Row and column of the cursor.
    pub(crate) fn place(&self, cells: usize) -> (usize, usize) {
        let rows = self.rows(cells);
        let row = rows.iter().rposition(|it| it.start <= self.cursor).unwrap_or(0);
        let column = self.text[rows[row].start..self.cursor].graphemes(true).map(|it| glyph(it).1).sum();
        (row, column)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(it: &Editor, cells: usize) -> Vec<String> {
        it.rows(cells).into_iter().map(|row| it.text()[row].to_owned()).collect()
    }

    #[test]
    fn text_wraps_at_words_and_keeps_every_letter() {
        let it = Editor::new("one two three\nfour");
        assert_eq!(shown(&it, 9), ["one two ", "three", "four"]);
        assert_eq!(shown(&Editor::new("abcdef"), 4), ["abc", "def"]);
        assert_eq!(shown(&Editor::default(), 4), [""]);
        assert_eq!(shown(&Editor::new("a\n"), 4), ["a", ""]);
    }

    #[test]
    fn the_cursor_keeps_its_column_over_shorter_lines() {
        let mut it = Editor::new("long line\nab\nlong line");
        it.go(Go::Up, 40);
        assert_eq!(it.place(40), (1, 2));
        it.go(Go::Up, 40);
        assert_eq!(it.place(40), (0, 9));
        it.go(Go::Up, 40);
        assert_eq!(it.place(40), (0, 0));
    }

    #[test]
    fn the_end_of_a_wrapped_row_is_in_that_row() {
        let mut it = Editor::new("one two three");
        it.go(Go::Top, 9);
        it.go(Go::End, 9);
        assert_eq!(it.place(9).0, 0);
        it.go(Go::Down, 9);
        assert_eq!(it.place(9), (1, 5));
        it.go(Go::Home, 9);
        assert_eq!(it.place(9), (1, 0));
    }

    #[test]
    fn a_word_is_one_step_back_and_a_paste_too() {
        let mut it = Editor::default();
        "two words".chars().for_each(|c| it.type_char(c));
        it.insert("\r\npasted\u{1b}[31m");
        assert_eq!(it.text(), "two words\npasted[31m");
        it.undo();
        assert_eq!(it.text(), "two words");
        it.undo();
        assert_eq!(it.text(), "two");
        it.redo();
        assert_eq!(it.text(), "two words");
        it.delete_word();
        assert_eq!(it.text(), "two ");
    }

    #[test]
    fn clusters_are_deleted_whole() {
        let mut it = Editor::new("a👨‍👩‍👧e\u{301}");
        it.backspace();
        assert_eq!(it.text(), "a👨‍👩‍👧");
        it.backspace();
        assert_eq!(it.text(), "a");
        it.go(Go::Left, 9);
        it.delete_next();
        assert_eq!(it.text(), "");
    }

    #[derive(Debug, Clone)]
    enum Do {
        Type(char),
        Insert(String),
        Go(Go),
        Back,
        Delete,
        Word,
        ToEnd,
    }

    fn deeds() -> impl Strategy<Value = Vec<(Do, usize)>> {
        let go = prop::sample::select(vec![
            Go::Left,
            Go::Right,
            Go::WordLeft,
            Go::WordRight,
            Go::Up,
            Go::Down,
            Go::Home,
            Go::End,
            Go::Top,
            Go::Bottom,
        ]);
        let one = prop_oneof![
            4 => prop_oneof![any::<char>(), Just('\n'), Just(' '), Just('日'), Just('\u{200d}'), Just('👩'),
                Just('\u{301}'), Just('\u{1f1e9}')].prop_map(Do::Type),
            1 => any::<String>().prop_map(Do::Insert),
            4 => go.prop_map(Do::Go),
            1 => Just(Do::Back),
            1 => Just(Do::Delete),
            1 => Just(Do::Word),
            1 => Just(Do::ToEnd),
        ];
        prop::collection::vec((one, 1usize..30), 0..60)
    }

    proptest! {
        #[test]
        fn whatever_is_done_can_be_undone_and_the_cursor_stays_inside(start in any::<String>(), deeds in deeds()) {
            let mut it = Editor::new(start.clone());
            for (deed, cells) in deeds {
                match deed {
                    Do::Type(c) => it.type_char(c),
                    Do::Insert(text) => it.insert(&text),
                    Do::Go(to) => it.go(to, cells),
                    Do::Back => it.backspace(),
                    Do::Delete => it.delete_next(),
                    Do::Word => it.delete_word(),
                    Do::ToEnd => it.delete_to_end(),
                }
                let rows = it.rows(cells);
                // Nothing is left out but the line feeds between rows.
                let kept: usize = rows.iter().map(Range::len).sum();
                prop_assert_eq!(kept + it.text().matches('\n').count(), it.text().len());
                let (row, _) = it.place(cells);
                prop_assert!(row < rows.len());
                prop_assert!(it.text().is_char_boundary(it.cursor));
            }
            let end = it.text().to_owned();
            let mut steps = 0;
            while !it.undo.is_empty() {
                it.undo();
                steps += 1;
            }
            prop_assert_eq!(it.text(), start.as_str());
            for _ in 0..steps {
                it.redo();
            }
            prop_assert_eq!(it.text(), end.as_str());
        }
    }
}
