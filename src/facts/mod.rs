//! Plain tables of public facts, and the look-up each of them needs. No decisions.
//!
//! - [`tlds`]: the top-level domains by which an address is recognised in running text.
//! - [`emoji`]: what Unicode says about emoji.
//! - [`linkedin`]: the versions of LinkedIn's API, and their ends.

pub mod emoji;
pub mod linkedin;
pub mod tlds;

/// Longest entry of either table of top-level domains, in characters.
pub const LONGEST_TLD: usize = 18;

/// Whether `label` is a known top-level domain, whatever its case and script.
///
/// Labels in Punycode (`xn--…`) are not listed: how much to trust them is the caller's decision.
pub fn is_tld(label: &str) -> bool {
    // A lower-case form may be longer than the label, but never by more than three bytes a byte.
    if label.len() > LONGEST_TLD * 4 {
        return false;
    }
    let label = label.to_lowercase();
    let table = if label.is_ascii() { tlds::ASCII } else { tlds::NON_ASCII };
    table.binary_search(&label.as_str()).is_ok()
}

/// Whether a sorted table of inclusive ranges contains `c`.
pub fn in_ranges(table: &[(char, char)], c: char) -> bool {
    let after = table.partition_point(|&(first, _)| first <= c);
    after > 0 && c <= table[after - 1].1
}
