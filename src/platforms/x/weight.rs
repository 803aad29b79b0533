//! Counts a text as X does: addresses cost a fixed length, a wide character two, an emoji two.
//!
//! Source: <https://docs.x.com/fundamentals/counting-characters> and the open-source library
//! twitter-text it names (configurations v1 to v3). All positions are UTF-16 units, because that is
//! what the reference and its conformance cases speak.

use unicode_normalization::UnicodeNormalization as _;

use crate::platforms::x::emoji::emoji_len;
use crate::platforms::x::hosts::INVALID;
use crate::platforms::x::urls::extract_urls;

/// Most units of a post by an account that may write long posts (Premium). Whether X weighs characters
/// there is not documented; to weigh them is the careful reading.
pub const LONG_POST_MAX: u32 = 25_000;

/// One version of the counting rules. Weights are in 1/`scale` units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Most units of a valid text.
    pub max: u32,
    /// How many points make one unit.
    pub scale: u32,
    /// Points of a character outside `light`, and of a whole emoji if `emoji` is set.
    pub default_weight: u32,
    /// Units of any address.
    pub url_length: u32,
    /// Inclusive ranges of characters that cost `light_weight` points.
    pub light: &'static [(char, char)],
    /// Points of a character in `light`.
    pub light_weight: u32,
    /// Whether an emoji sequence costs as much as one character.
    pub emoji: bool,
}

/// Latin and other alphabets up to Georgian, spaces, dashes, quotation marks and primes.
const LIGHT: &[(char, char)] =
    &[('\u{0}', '\u{10FF}'), ('\u{2000}', '\u{200D}'), ('\u{2010}', '\u{201F}'), ('\u{2032}', '\u{2037}')];

impl Config {
    /// The rules of 2006: 140 characters. Only the conformance cases still use them.
    pub const V1: Self = Self {
        max: 140,
        scale: 1,
        default_weight: 1,
        url_length: 23,
        light: &[],
        light_weight: 1,
        emoji: false,
    };
    /// The rules of 2017: weighted characters, emoji by their parts. Only for the conformance cases.
    pub const V2: Self = Self {
        max: 280,
        scale: 100,
        default_weight: 200,
        url_length: 23,
        light: LIGHT,
        light_weight: 100,
        emoji: false,
    };
    /// The rules in force since 2018. For long posts: `Config { max: LONG_POST_MAX, ..Config::V3 }`.
    pub const V3: Self = Self { emoji: true, ..Self::V2 };

    fn weight_of(&self, c: char) -> u32 {
        let light = self.light.iter().any(|(first, last)| (*first..=*last).contains(&c));
        if light { self.light_weight } else { self.default_weight }
    }
}

/// What a text weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighted {
    /// Units used, to be compared with [`Config::max`].
    pub weight: u32,
    /// Thousandths of [`Config::max`] used, rounded down. More than 1000 is too long.
    pub permillage: u32,
    /// Not empty, not too long, and without characters X refuses.
    pub valid: bool,
    /// First and last UTF-16 unit of the part that would be valid; (0, 0) also if there is none.
    pub valid_range_utf16: (usize, usize),
    /// First and last UTF-16 unit of the text; (0, 0) also if it is empty.
    pub display_range_utf16: (usize, usize),
}

/// Weighs `text` by the rules of `config`. Takes time in proportion to the text's length.
pub fn weighted_length(text: &str, config: &Config) -> Weighted {
    // A composed and a decomposed letter cost the same, so the composed form is counted.
    let normal: String = text.nfc().collect();
    let chars: Vec<char> = normal.chars().collect();
    let mut urls = extract_urls(&normal).into_iter().peekable();

    let max_points = u64::from(config.max) * u64::from(config.scale);
    let mut points = 0_u64;
    let mut refused = false;
    // Positions in `normal`: characters, bytes, UTF-16 units; then the last valid UTF-16 unit.
    let (mut at, mut byte, mut unit, mut last_valid) = (0, 0, 0, 0);
    while at < chars.len() {
        // An emoji may have swallowed the first character of an address; it is text then.
        while urls.next_if(|url| url.start < byte).is_some() {}
        let (cost, length) = if let Some(url) = urls.next_if(|url| url.start == byte) {
            (config.url_length * config.scale, url.text.chars().count())
        } else {
            match config.emoji.then(|| emoji_len(&chars[at..])).flatten() {
                Some(length) => (config.default_weight, length),
                None => (config.weight_of(chars[at]), 1),
            }
        };
        let taken = &chars[at..at + length];
        points += u64::from(cost);
        at += length;
        byte += taken.iter().map(|c| c.len_utf8()).sum::<usize>();
        unit += taken.iter().map(|c| c.len_utf16()).sum::<usize>();
        refused |= taken.iter().any(|c| INVALID.contains(c));
        if !refused && points <= max_points {
            last_valid = unit - 1;
        }
    }

    let units = text.encode_utf16().count();
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Weighted {
        weight: small(points.div_ceil(u64::from(config.scale.max(1)))),
        permillage: small((points * 1000).checked_div(max_points).unwrap_or(u64::MAX)),
        valid: !refused && points > 0 && points <= max_points,
        // The reference moves the end by what normalisation changed, wherever it did; so do we.
        valid_range_utf16: (0, (last_valid + units).saturating_sub(unit)),
        display_range_utf16: (0, units.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(text: &str) -> u32 {
        weighted_length(text, &Config::V3).weight
    }

    #[test]
    fn each_kind_of_character_costs_what_x_charges() {
        for (text, units) in [
            ("", 0),
            ("a", 1),
            ("é", 1),
            ("e\u{301}", 1),
            ("漢", 2),
            ("…", 2),
            ("—", 1),
            ("“”", 2),
            ("€", 2),
            ("Ａ", 2),
            ("\u{200B}", 1),
            ("👨‍👩‍👧‍👦", 2),
            ("🇩🇪", 2),
            ("a.com", 23),
            ("©", 1),
            ("©️", 2),
        ] {
            assert_eq!(weight(text), units, "{text:?}");
        }
    }

    #[test]
    fn the_limit_is_two_hundred_and_eighty_or_that_of_a_long_post() {
        let text = "x".repeat(281);
        assert!(weighted_length(&text[1..], &Config::V3).valid);
        assert!(!weighted_length(&text, &Config::V3).valid);
        let long = Config { max: LONG_POST_MAX, ..Config::V3 };
        assert!(weighted_length(&text, &long).valid);
        assert!(!weighted_length(&"漢".repeat(12_501), &long).valid);
    }

    #[test]
    fn a_refused_character_makes_the_text_invalid_wherever_it_stands() {
        for c in INVALID {
            let counted = weighted_length(&format!("ab{c}c"), &Config::V3);
            assert_eq!((counted.valid, counted.valid_range_utf16), (false, (0, 1)), "{c:?}");
        }
        assert!(!weighted_length("", &Config::V3).valid);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_weighed_within_its_bounds(text in r"(\PC|[a-z./:@#()?]|\.com|https?://|\p{Emoji}|\u{FEFF}){0,60}") {
            for config in [Config::V1, Config::V2, Config::V3] {
                let counted = weighted_length(&text, &config);
                proptest::prop_assert!(counted.valid_range_utf16.1 <= counted.display_range_utf16.1 + text.len() * 2);
                proptest::prop_assert_eq!(counted.weight == 0, text.is_empty());
                proptest::prop_assert!(!counted.valid || counted.weight <= config.max);
            }
        }
    }
}
