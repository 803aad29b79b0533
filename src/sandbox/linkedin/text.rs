//! What becomes of `commentary`: *little text*, cut off where a reserved character stands for itself
//! (…/shares/little-text-format; the cut is not documented, and was met by several products).

const RESERVED: &str = r"\|{}@[]()<>#*_~";

/// The text as it is shown, and whether it is all of it.
pub(super) fn shown(commentary: &str) -> (String, bool) {
    let mut out = String::new();
    let mut rest = commentary;
    while let Some(it) = rest.chars().next() {
        let after = &rest[it.len_utf8()..];
        if !RESERVED.contains(it) {
            out.push(it);
            rest = after;
            continue;
        }
        match element(it, after, &out) {
            Some((text, left)) => {
                out.push_str(&text);
                rest = left;
            }
            None => return (out, false),
        }
    }
    (out, true)
}

/// An escape, a hashtag or a mention that begins with this character.
fn element<'t>(it: char, after: &'t str, before: &str) -> Option<(String, &'t str)> {
    match it {
        '\\' => {
            let meant = after.chars().next().filter(|it| RESERVED.contains(*it))?;
            Some((meant.to_string(), &after[meant.len_utf8()..]))
        }
        '#' => {
            let begins = before.chars().next_back().is_none_or(char::is_whitespace);
            let word = after.chars().next().is_some_and(char::is_alphanumeric);
            (begins && word).then(|| ("#".to_owned(), after))
        }
        '{' => {
            let inner = after.strip_prefix(r"hashtag|\#|")?;
            let (word, left) = until(inner, '}')?;
            Some((format!("#{word}"), left))
        }
        '@' => {
            let (name, left) = until(after.strip_prefix('[')?, ']')?;
            let (urn, left) = left.strip_prefix('(')?.split_once(')')?;
            let known = urn.starts_with("urn:li:organization:") || urn.starts_with("urn:li:person:");
            known.then_some((name, left))
        }
        _ => None,
    }
}

/// Escaped text up to an end that is not escaped.
fn until(text: &str, end: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let it = rest.chars().next()?;
        let after = &rest[it.len_utf8()..];
        if it == end {
            return Some((out, after));
        }
        if it == '\\' {
            let meant = after.chars().next().filter(|it| RESERVED.contains(*it))?;
            out.push(meant);
            rest = &after[meant.len_utf8()..];
        } else if RESERVED.contains(it) {
            return None;
        } else {
            out.push(it);
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_where_a_reserved_character_stands_for_itself() {
        for (commentary, text, whole) in [
            (r"Open \(daily\) #bread", "Open (daily) #bread", true),
            ("Open (daily)", "Open ", false),
            ("C# is here", "C", false),
            (
                r"By @[Acme \(Berlin\)](urn:li:organization:1) and {hashtag|\#|rye}",
                "By Acme (Berlin) and #rye",
                true,
            ),
            ("@[Acme](urn:li:share:1)", "", false),
            (r"a\b", "a", false),
            ("one_two", "one", false),
        ] {
            assert_eq!(shown(commentary), (text.to_owned(), whole), "{commentary}");
        }
    }
}
