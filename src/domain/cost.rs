//! Money that networks take for calls: in millionths of a US dollar, so that no tenth of a cent is lost.

/// One line of an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// For people: `post`, `post with a link`.
    pub what: &'static str,
    pub count: u32,
    /// Of one, in millionths of a US dollar.
    pub each: u64,
}

impl Cost {
    /// Of all of them.
    pub fn micros(&self) -> u64 {
        self.each.saturating_mul(u64::from(self.count))
    }
}

/// `0.215`: a US dollar's amount with at least two digits behind the point.
pub fn usd(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let kept = text.trim_end_matches('0').len().max(text.len() - 4);
    text[..kept].to_owned()
}

/// [`usd`] back.
pub fn parse_usd(text: &str) -> Option<u64> {
    let (whole, behind) = text.split_once('.')?;
    let behind: u64 = format!("{behind:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_two_digits_at_least_and_none_is_lost() {
        for (micros, text) in
            [(0, "0.00"), (200_000, "0.20"), (15_000, "0.015"), (1, "0.000001"), (25_000_000, "25.00")]
        {
            assert_eq!((usd(micros).as_str(), parse_usd(text)), (text, Some(micros)));
        }
    }
}
