//! LinkedIn's little text: nothing a user writes can cut a post off, and what is marked stays marked.

use proptest::prelude::*;
use sendoff::platforms::Platform as _;
use sendoff::platforms::linkedin::{LinkedIn, text};

/// Little text as its page describes it, written down a second time: the text, or `None` where it is cut.
fn read_little(commentary: &str) -> Option<String> {
    let reserved = |it: char| r"\|{}@[]()<>#*_~".contains(it);
    let chars: Vec<char> = commentary.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < chars.len() {
        let it = chars[at];
        let rest: String = chars[at..].iter().collect();
        if it == '\\' {
            let next = *chars.get(at + 1).filter(|it| reserved(**it))?;
            out.push(next);
            at += 2;
        } else if it == '#' && chars.get(at + 1).is_some_and(|it| it.is_alphanumeric()) {
            if at > 0 && !chars[at - 1].is_whitespace() {
                return None;
            }
            out.push('#');
            at += 1;
        } else if rest.starts_with("@[") {
            // Up to the first closing bracket that is not escaped; then an organization.
            let mut end = at + 2;
            let mut name = String::new();
            while *chars.get(end)? != ']' {
                if chars[end] == '\\' {
                    end += 1;
                } else if reserved(chars[end]) {
                    return None;
                }
                name.push(*chars.get(end)?);
                end += 1;
            }
            let tail: String = chars[end..].iter().collect();
            let urn = tail.strip_prefix("](urn:li:organization:")?;
            let digits = urn.chars().take_while(char::is_ascii_digit).count();
            if digits == 0 || urn.as_bytes().get(digits) != Some(&b')') {
                return None;
            }
            out.extend(["@[", &name, "](urn:li:organization:", &urn[..digits], ")"]);
            at = end + "](urn:li:organization:".len() + digits + 1;
        } else if reserved(it) {
            return None;
        } else {
            out.push(it);
            at += 1;
        }
    }
    Some(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_a_user_writes_cuts_a_post_off(
        text in r"([\\|{}@\[\]()<>#*_~ a-cß1\n]|@\[|\]\(urn:li:organization:|\)|#word|🍞|é|\u{301}){0,40}"
    ) {
        let commentary = text::escape(&text);
        prop_assert_eq!(read_little(&commentary), Some(text.clone()), "{}", commentary);
        prop_assert_eq!(LinkedIn.measure(&text), commentary.encode_utf16().count());
    }

    #[test]
    fn what_is_marked_stays_marked(
        before in "[a-z (]{0,5}", name in r"[A-Za-z ()._#]{1,12}", number in 1u64..=9_999_999, word in "[a-z0-9]{1,8}"
    ) {
        prop_assume!(!name.trim().is_empty());
        let mention = format!("](urn:li:organization:{number})");
        let text = format!("{before}@[{name}{mention} #{word}");
        let commentary = text::escape(&text);
        prop_assert!(commentary.contains(&mention), "{}", commentary);
        prop_assert!(commentary.ends_with(&format!(" #{word}")), "{}", commentary);
        prop_assert_eq!(read_little(&commentary), Some(text));
    }
}

#[test]
fn the_reader_of_little_text_notices_a_cut() {
    for commentary in ["Open (daily)", "a_b", r"a\b", "@[A](urn:li:share:1)", "C#a", "{x}"] {
        assert_eq!(read_little(commentary), None, "{commentary}");
    }
}
