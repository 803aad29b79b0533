//! Recognises one emoji as X counts it: a sequence that is drawn as one picture costs as much as one.
//!
//! The reference has a list of all sequences it knows, frozen years ago. This follows their build
//! instead (Unicode Technical Standard #51): a picture, perhaps with a skin tone or variation selector,
//! perhaps with further pictures joined on. Only pictures that some published sequence joins on may
//! follow a joiner; anything else is counted apart, as the reference would.

use crate::facts::{emoji, in_ranges};

const JOINER: char = '\u{200D}';
const AS_EMOJI: char = '\u{FE0F}';
const AS_TEXT: char = '\u{FE0E}';
const KEYCAP: char = '\u{20E3}';
const BLACK_FLAG: char = '\u{1F3F4}';

/// What the published sequences (`emoji-zwj-sequences.txt`, Unicode 16.0) have behind a joiner.
const JOINED: &str = "♀♂⚕⚖⚧⬛✈❄❤☠↔↕➡🌈🌾🍳🍼🎄🎓🎤🎨🏫🏭👦👧👨👩💋💥💨💫💻💼🔥🔧🔬🗨🚀🚒\
    🟩🟫🤝🦯🦰🦱🦲🦳🦺🦼🦽🧑🧒🩰🩹🫲";

/// The nations whose flags are the black flag and a tag: England, Scotland, Wales.
const TAGGED_FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// How many characters of `chars` (from its beginning) form one emoji. `None`: no emoji here.
///
/// Looks at one sequence only, so going through a text with it is linear.
pub(super) fn emoji_len(chars: &[char]) -> Option<usize> {
    let first = *chars.first()?;
    if first.is_ascii() {
        return keycap_len(chars);
    }
    if region_letter(first).is_some() {
        return Some(if is_flag(first, chars.get(1).copied()) { 2 } else { 1 });
    }
    if first == BLACK_FLAG
        && let Some(length) = tagged_flag_len(chars)
    {
        return Some(length);
    }
    let mut length = element_len(chars)?;
    while let [JOINER, joined, rest @ ..] = &chars[length..] {
        // Symbols that are text by default must be marked as emoji to be joined on.
        let marked = *joined >= '\u{3000}' || *joined == '⬛' || rest.first() == Some(&AS_EMOJI);
        if !marked || !JOINED.contains(*joined) {
            break;
        }
        let Some(element) = element_len(&chars[length + 1..]) else { break };
        length += 1 + element;
    }
    Some(length)
}

/// A digit, `#` or `*` inside a key.
fn keycap_len(chars: &[char]) -> Option<usize> {
    match chars {
        ['0'..='9' | '#' | '*', AS_EMOJI, KEYCAP, ..] => Some(3),
        ['0'..='9' | '#' | '*', KEYCAP, ..] => Some(2),
        _ => None,
    }
}

/// 0 for the regional indicator A, and so on.
fn region_letter(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(0x1F1E6)?).ok().filter(|&it| it < 26)
}

fn is_flag(first: char, second: Option<char>) -> bool {
    let (Some(first), Some(second)) = (region_letter(first), second.and_then(region_letter)) else {
        return false;
    };
    emoji::FLAGS[usize::from(first)].as_bytes().contains(&(b'A' + second))
}

fn tagged_flag_len(chars: &[char]) -> Option<usize> {
    let tags = chars.get(1..7)?.iter();
    // Tag characters are ASCII, moved up to U+E0000; U+E007F ends them.
    TAGGED_FLAGS
        .iter()
        .any(|name| {
            let wanted = name.bytes().chain([0x7F]).map(|byte| 0xE_0000 + u32::from(byte));
            tags.clone().map(|&c| u32::from(c)).eq(wanted)
        })
        .then_some(7)
}

/// One picture with its skin tone or variation selector.
fn element_len(chars: &[char]) -> Option<usize> {
    let (&first, rest) = chars.split_first()?;
    if !in_ranges(emoji::EMOJI, first) {
        return None;
    }
    let next = rest.first().copied();
    if next.is_some_and(|it| ('\u{1F3FB}'..='\u{1F3FF}').contains(&it))
        && in_ranges(emoji::MODIFIER_BASE, first)
    {
        return Some(2);
    }
    let has_variants = in_ranges(emoji::HAS_VARIANTS, first);
    match next {
        Some(AS_EMOJI) if has_variants => Some(2),
        Some(AS_TEXT) if has_variants => None,
        // Letter-like signs (and the chess pawn) are emoji only if marked as such.
        _ if matches!(first, '©' | '®' | '™' | '♟') => None,
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_as_one_picture_is_one_emoji() {
        for one in [
            "👨‍👩‍👧‍👦",
            "👩🏽‍🚀",
            "🏳️‍🌈",
            "🏴‍☠️",
            "❤️‍🔥",
            "👁️‍🗨️",
            "🇩🇪",
            "1️⃣",
            "#⃣",
            "👍🏿",
            "☺",
            "☺️",
            "©️",
            "🧑🏻‍❤️‍💋‍🧑🏿",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "🐻‍❄️",
            "🐦‍⬛",
            "🧑‍🧑‍🧒",
            "🫱🏻‍🫲🏿",
        ] {
            let chars: Vec<char> = one.chars().collect();
            assert_eq!(emoji_len(&chars), Some(chars.len()), "{one}");
        }
    }

    #[test]
    fn what_no_sequence_joins_stays_apart() {
        for (text, length) in [
            ("🐱\u{200D}🐱", Some(1)),
            ("🇽🇽", Some(1)),
            ("👩\u{200D}♀", Some(1)),
            ("🐱🏽", Some(1)),
            ("😀\u{FE0F}", Some(1)),
        ] {
            let chars: Vec<char> = text.chars().collect();
            assert_eq!(emoji_len(&chars), length, "{text}");
        }
        for text in ["", "1", "a", "©", "漢", "☺\u{FE0E}", "\u{200D}", "\u{FE0F}"] {
            assert_eq!(emoji_len(&text.chars().collect::<Vec<_>>()), None, "{text}");
        }
    }
}
