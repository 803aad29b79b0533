//! Rust source as the rules see it: tokens without comments and strings, each with its line, the
//! inline modules around it, and whether only tests compile it.
//!
//! A reader of tokens and not of lines, because `use crate::{a, b}` spans lines, a comment may name
//! any room it likes, and `super::super::store` is as much an import as `crate::store`. It knows no
//! macros beyond their tokens, which is enough: what a macro's arguments name is seen, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One word, or one sign (`::` counts as one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Inline modules around it.
    pub(crate) depth: usize,
    /// Below `#[cfg(test)]`.
    pub(crate) test: bool,
}

/// A path as written out in full: `use a::{b, c::d}` is two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) depth: usize,
    pub(crate) test: bool,
}

/// One file below `src/` or `tests/`.
#[derive(Debug)]
pub(crate) struct Source {
    /// As in messages: `src/store/open.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut tokens = tokens(text);
        mark_modules_and_tests(&mut tokens);
        Self { path: path.to_owned(), text: text.to_owned(), tokens }
    }

    /// Modules from the crate's root: `src/auth/bluesky/mod.rs` is `auth`, `bluesky`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|it| ["mod", "lib", "main"].contains(&it.as_str())) {
            module.pop();
        }
        module
    }

    /// Modules that this file declares for tests alone, as `#[cfg(test)] mod name;`.
    fn test_modules(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.tokens.windows(3).filter(|it| it[0].test && it[0].text == "mod" && it[2].text == ";").map(|it| {
            let mut module = self.module();
            module.push(it[1].text.clone());
            module
        })
    }

    /// Every path of two or more segments, groups taken apart.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.starts_path(at) {
                at = self.path_from(at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// A word that follows no `::`, but for one that begins a path itself (`use ::name`).
    fn starts_path(&self, at: usize) -> bool {
        let text = |back: usize| at.checked_sub(back).map_or("", |it| self.tokens[it].text.as_str());
        let inside = text(1) == "::" && text(2) != "use" && (is_word(text(2)) || text(2) == ">");
        let keyword = ["use", "return", "in", "else", "match", "if"].contains(&text(0));
        is_word(text(0)) && !keyword && !inside
    }

    fn path_from(&self, start: usize, before: &[String], found: &mut Vec<Named>) -> usize {
        let mut segments = before.to_vec();
        let mut at = start;
        while let Some(token) = self.tokens.get(at) {
            if token.text == "{" {
                at += 1;
                while self.tokens.get(at).is_some_and(|it| it.text != "}") {
                    at = self.path_from(at, &segments, found).max(at + 1);
                    // `as name` and the comma.
                    while self.tokens.get(at).is_some_and(|it| it.text != "}" && it.text != ",") {
                        at += 1;
                    }
                    if self.tokens.get(at).is_some_and(|it| it.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            if !is_word(&token.text) && token.text != "*" {
                break;
            }
            segments.push(token.text.clone());
            at += 1;
            if self.tokens.get(at).is_none_or(|it| it.text != "::") {
                break;
            }
            at += 1;
        }
        let last = &self.tokens[at.saturating_sub(1).max(start).min(self.tokens.len() - 1)];
        if segments.len() > 1 {
            found.push(Named { segments, line: last.line, depth: last.depth, test: last.test });
        }
        at.max(start + 1)
    }

    /// Lines on which these tokens follow each other, with whether only tests compile them.
    pub(crate) fn sequences(&self, wanted: &[&str]) -> Vec<&Token> {
        self.tokens
            .windows(wanted.len())
            .filter(|window| window.iter().zip(wanted).all(|(token, it)| token.text == *it))
            .map(|window| &window[0])
            .collect()
    }
}

/// All Rust files below `root/folder`, sorted; files that only tests compile are marked throughout.
pub(crate) fn read_all(root: &Path, folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("the folder is readable") {
            let entry = entry.expect("the entry is readable");
            let path = format!("{folder}/{}", entry.file_name().to_str().expect("names are UTF-8"));
            if entry.file_type().expect("the entry has a type").is_dir() {
                folders.push(path);
            } else if Path::new(&path).extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(entry.path()).expect("the file is readable");
                sources.push(Source::new(&path, &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    mark_test_files(&mut sources);
    sources
}

/// A file below `#[cfg(test)] mod name;` is test code from its first line.
pub(crate) fn mark_test_files(sources: &mut [Source]) {
    let modules: BTreeSet<Vec<String>> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let module = source.module();
        if (1..=module.len()).any(|n| modules.contains(&module[..n])) {
            source.tokens.iter_mut().for_each(|it| it.test = true);
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let next = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let it = chars[at];
        let mut word = None;
        if it == '/' && next(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if it == '/' && next(at + 1) == '*' {
            let mut open = 0;
            loop {
                match (next(at), next(at + 1)) {
                    ('/', '*') => (open, at) = (open + 1, at + 2),
                    ('*', '/') => (open, at) = (open - 1, at + 2),
                    _ => at += 1,
                }
                if open == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if it == '"' {
            at = end_of_string(&chars, at);
        } else if it == '\'' {
            at = end_of_char_or_lifetime(&chars, at);
        } else if it.is_alphabetic() || it == '_' {
            while next(at).is_alphanumeric() || next(at) == '_' {
                at += 1;
            }
            let prefix: String = chars[start..at].iter().collect();
            let hashes = chars[at..].iter().take_while(|it| **it == '#').count();
            if ["r", "br", "cr"].contains(&prefix.as_str()) && next(at + hashes) == '"' {
                at = end_of_raw_string(&chars, at + hashes + 1, hashes);
            } else if ["b", "c"].contains(&prefix.as_str()) && next(at) == '"' {
                at = end_of_string(&chars, at);
            } else if prefix == "b" && next(at) == '\'' {
                at = end_of_char_or_lifetime(&chars, at);
            } else {
                word = Some(prefix);
            }
        } else if it == ':' && next(at + 1) == ':' {
            at += 2;
            word = Some("::".to_owned());
        } else {
            at += 1;
            word = (!it.is_whitespace()).then(|| it.to_string());
        }
        if let Some(text) = word {
            found.push(Token { text, line, depth: 0, test: false });
        }
        line += chars[start..at.min(chars.len())].iter().filter(|it| **it == '\n').count();
    }
    found
}

fn end_of_string(chars: &[char], open: usize) -> usize {
    let mut at = open + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw_string(chars: &[char], inside: usize, hashes: usize) -> usize {
    let mut at = inside;
    while at < chars.len() {
        let closes = chars[at] == '"' && chars[at + 1..].iter().take(hashes).all(|it| *it == '#');
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

fn end_of_char_or_lifetime(chars: &[char], open: usize) -> usize {
    match (chars.get(open + 1), chars.get(open + 2)) {
        (Some('\\'), _) => {
            let mut at = open + 3;
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at + 1
        }
        (Some(_), Some('\'')) => open + 3,
        // A lifetime: the sign alone; its name is a word like any other.
        _ => open + 1,
    }
}

fn mark_modules_and_tests(tokens: &mut [Token]) {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut braces, mut modules, mut test_until) = (0_usize, Vec::new(), 0);
    for at in 0..tokens.len() {
        if tokens[at..].len() >= TEST.len()
            && TEST.iter().zip(&tokens[at..]).all(|(it, token)| token.text == *it)
        {
            test_until = test_until.max(end_of_item(tokens, at + TEST.len()));
        }
        match tokens[at].text.as_str() {
            "{" => {
                if at >= 2 && tokens[at - 2].text == "mod" {
                    modules.push(braces);
                }
                braces += 1;
            }
            "}" => {
                braces = braces.saturating_sub(1);
                if modules.last() == Some(&braces) {
                    modules.pop();
                }
            }
            _ => {}
        }
        tokens[at].depth = modules.len();
        tokens[at].test = at < test_until;
    }
}

/// Where the item ends that starts here, its attributes included.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let (mut open, mut ends_with_sign) = (0_i32, false);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => open += 1,
            ")" | "]" => open -= 1,
            "}" => {
                open -= 1;
                if open == 0 && !ends_with_sign {
                    return at + 1;
                }
            }
            ";" if open == 0 => return at + 1,
            "use" | "const" | "static" | "type" if open == 0 => ends_with_sign = true,
            "fn" | "impl" | "mod" if open == 0 => ends_with_sign = false,
            _ => {}
        }
    }
    tokens.len()
}
