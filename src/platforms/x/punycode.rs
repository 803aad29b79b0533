//! How long a domain label becomes in Punycode (RFC 3492). Only the length is of interest: labels that
//! the DNS could not carry make the counter of X treat an address as plain text.

/// Most octets of one DNS label (RFC 1035, 2.3.4).
const LABEL_MAX: usize = 63;

/// Characters that count as a full stop within a name (RFC 3490, 3.1), besides the ASCII one.
const OTHER_DOTS: [char; 3] = ['\u{3002}', '\u{FF0E}', '\u{FF61}'];

/// Whether one label, in ASCII form, has 1 to 63 octets.
///
/// Like the reference, a label is cut at the ideographic full stops but measured as a whole.
pub(super) fn label_fits(label: &[char]) -> bool {
    // Each character costs at least one octet, so this also bounds the work below.
    if label.is_empty() || label.len() > LABEL_MAX {
        return false;
    }
    let mut length = 0;
    for (index, part) in label.split(|c| OTHER_DOTS.contains(c)).enumerate() {
        length += usize::from(index > 0);
        length += if part.iter().all(char::is_ascii) { part.len() } else { "xn--".len() + encoded_len(part) };
    }
    length <= LABEL_MAX
}

/// Length of the Punycode form, without the `xn--` prefix. At most 63 characters come in, so that no
/// number here can overflow: `delta` stays below 63 × 0x110000.
fn encoded_len(label: &[char]) -> usize {
    // The parameters of RFC 3492, section 5.
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;

    fn adapt(delta: u32, points: u32, first: bool) -> u32 {
        let mut delta = if first { delta / 700 } else { delta / 2 };
        delta += delta / points;
        let mut k = 0;
        while delta > ((BASE - T_MIN) * T_MAX) / 2 {
            delta /= BASE - T_MIN;
            k += BASE;
        }
        k + (BASE - T_MIN + 1) * delta / (delta + 38)
    }

    let basic = u32::try_from(label.iter().filter(|c| c.is_ascii()).count()).unwrap_or(u32::MAX);
    // The basic characters are copied, followed by a hyphen if there are any.
    let mut length = basic as usize + usize::from(basic > 0);
    let (mut n, mut delta, mut bias, mut handled) = (128, 0u32, 72, basic);
    while (handled as usize) < label.len() {
        let Some(next) = label.iter().map(|&c| u32::from(c)).filter(|&c| c >= n).min() else { break };
        delta += (next - n) * (handled + 1);
        n = next;
        for &letter in label {
            let letter = u32::from(letter);
            if letter < n {
                delta += 1;
            } else if letter == n {
                let (mut q, mut k) = (delta, BASE);
                loop {
                    length += 1;
                    let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                    if q < t {
                        break;
                    }
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta += 1;
        n += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn len(label: &str) -> usize {
        encoded_len(&label.chars().collect::<Vec<_>>())
    }

    /// Lengths of well-known registered names.
    #[test]
    fn the_length_is_that_of_the_encoded_label() {
        assert_eq!(len("bücher"), "bcher-kva".len());
        assert_eq!(len("münchen"), "mnchen-3ya".len());
        assert_eq!(len("рф"), "p1ai".len());
        assert_eq!(len("みんな"), "q9jyb4c".len());
        assert_eq!(len("vermögensberatung"), "vermgensberatung-pwb".len());
        assert_eq!(len("சிங்கப்பூர்"), "clchc0ea0b2g2a9gcd".len());
        assert_eq!(len("💩"), "ls8h".len());
    }

    #[test]
    fn sixty_three_octets_fit_and_sixty_four_do_not() {
        let label = |text: &str| text.chars().collect::<Vec<_>>();
        assert!(label_fits(&label(&"a".repeat(63))));
        assert!(!label_fits(&label(&"a".repeat(64))));
        assert!(!label_fits(&[]));
        // `xn--` and the eight octets of 31 + 1 characters leave room for 51 ASCII letters.
        assert!(!label_fits(&label(&("a".repeat(56) + "ü"))));
    }
}
