//! LinkedIn's *little text*, the format of `commentary`
//! (learn.microsoft.com/linkedin/marketing/community-management/shares/little-text-format).
//!
//! A reserved character that is not escaped raises no error there: the post goes out, cut off at that
//! place (github.com/alexey-pelykh/linkedctl/issues/194). So everything is escaped but what the user
//! marked: a `#word` at the beginning of a word, and `@[Name](urn:li:organization:1)`.

use unicode_normalization::UnicodeNormalization as _;

/// What must bear a backslash when it is meant as it stands.
const RESERVED: &str = r"\|{}@[]()<>#*_~";
/// The only mentions there are here; people cannot be found by name through the API.
const ORGANIZATION: &str = "urn:li:organization:";

/// A user's text as `commentary`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = None;
    let mut rest = text;
    while let Some(it) = rest.chars().next() {
        if let Some((name, urn, after)) = mention(rest) {
            out.push_str("@[");
            name.chars().for_each(|it| literal(it, &mut out));
            out.push_str("](");
            out.push_str(urn);
            out.push(')');
            (before, rest) = (Some(')'), after);
            continue;
        }
        let after = &rest[it.len_utf8()..];
        let begins = before.is_none_or(char::is_whitespace) && after.starts_with(char::is_alphanumeric);
        if it == '#' && begins {
            out.push('#');
        } else {
            literal(it, &mut out);
        }
        (before, rest) = (Some(it), after);
    }
    out
}

fn literal(it: char, out: &mut String) {
    if RESERVED.contains(it) {
        out.push('\\');
    }
    out.push(it);
}

/// A mention at the beginning of a text: the name, the organization, and what follows.
fn mention(text: &str) -> Option<(&str, &str, &str)> {
    let inner = text.strip_prefix("@[")?;
    let (name, rest) = inner.split_once(']')?;
    let target = rest.strip_prefix('(')?;
    let (urn, after) = target.split_once(')')?;
    let number = urn.strip_prefix(ORGANIZATION)?;
    let sound = !name.trim().is_empty()
        && !name.contains(['[', '\n', '\r'])
        && (1..=20).contains(&number.len())
        && number.bytes().all(|it| it.is_ascii_digit());
    sound.then_some((name, urn, after))
}

/// `commentary` as it was written before it was escaped, in the form in which texts are compared: NFC,
/// one kind of line end, no blanks at line ends or around it.
pub fn plain(commentary: &str) -> String {
    let mut out = String::with_capacity(commentary.len());
    let mut rest = commentary;
    while let Some(it) = rest.chars().next() {
        rest = &rest[it.len_utf8()..];
        if it == '\\' {
            // An escape at the very end stands for itself.
            let meant = rest.chars().next().unwrap_or('\\');
            out.push(meant);
            rest = rest.get(meant.len_utf8()..).unwrap_or_default();
        } else if let ('{', Some((word, after))) = (it, template(rest)) {
            out.push('#');
            out.push_str(&word);
            rest = after;
        } else {
            out.push(it);
        }
    }
    let text: String = out.replace("\r\n", "\n").replace('\r', "\n").nfc().collect();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The other form of a hashtag, in which LinkedIn may hand one back: `{hashtag|\#|word}`.
fn template(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix(r"hashtag|\#|")?;
    let (word, after) = inner.split_once('}')?;
    Some((word.replace('\\', ""), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_marked_is_escaped_and_what_is_marked_stays() {
        for (text, commentary) in [
            ("Open (daily) from 9_00 ~ish", r"Open \(daily\) from 9\_00 \~ish"),
            ("#bread and #brötchen", "#bread and #brötchen"),
            ("C# at a#b, # alone, ##two, (#in)", r"C\# at a\#b, \# alone, \#\#two, \(\#in\)"),
            (r"a\(b", r"a\\\(b"),
            ("mail@example.org <b> {x|y}", r"mail\@example.org \<b\> \{x\|y\}"),
            (
                "With @[Acme (Berlin)](urn:li:organization:12)!",
                r"With @[Acme \(Berlin\)](urn:li:organization:12)!",
            ),
            (
                "@[A](urn:li:person:x) @[](urn:li:organization:1)",
                r"\@\[A\]\(urn:li:person:x\) \@\[\]\(urn:li:organization:1\)",
            ),
            ("@[A](urn:li:organization:1x) @[B", r"\@\[A\]\(urn:li:organization:1x\) \@\[B"),
        ] {
            assert_eq!(escape(text), commentary);
        }
    }

    #[test]
    fn what_comes_back_is_compared_without_its_escapes() {
        for text in ["Open (daily)", "a\\b", "With @[Acme (Berlin)](urn:li:organization:12)", "#bread C#"] {
            assert_eq!(plain(&escape(text)), plain_of(text), "{text}");
        }
        assert_eq!(plain(r"Fresh {hashtag|\#|bread} now"), "Fresh #bread now");
        assert_eq!(plain("Cafe\u{301} \r\nopen\n"), "Café\nopen");
        assert_eq!(plain("ends in \\"), "ends in \\");
    }

    fn plain_of(text: &str) -> String {
        text.nfc().collect::<String>().trim().to_owned()
    }
}
