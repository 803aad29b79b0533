//! Times, sizes and counts of the daemon's answers as people read them, on the command line and in the
//! console alike.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::messages as m;

/// How far away an instant is, in one unit: `in 8 days`, `3 min ago`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let far = seconds.unsigned_abs();
    let amount = match far {
        0..5 => return "now".to_owned(),
        5..90 => format!("{far} s"),
        90..5_400 => format!("{} min", (far + 30) / 60),
        5_400..129_600 => format!("{} h", (far + 1_800) / 3_600),
        _ => format!("{} days", (far + 43_200) / 86_400),
    };
    if seconds > 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

/// How long something took, in one unit: `12 ms`, `8 s`, `75 min`, `30 h`.
pub fn span(milliseconds: u64) -> String {
    match milliseconds {
        0..2_000 => format!("{milliseconds} ms"),
        2_000..120_000 => format!("{} s", milliseconds / 1_000),
        120_000..7_200_000 => format!("{} min", milliseconds / 60_000),
        7_200_000..172_800_000 => format!("{} h", milliseconds / 3_600_000),
        _ => format!("{} days", milliseconds / 86_400_000),
    }
}

/// A size in the unit that keeps it short: `832 B`, `1.4 MiB`.
pub fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // One decimal is shown.
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 || unit == "GiB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    unreachable!("the last unit takes every size")
}

/// An instant in full, in the zone it was meant in: `Tue 2026-12-01 09:00 Europe/Berlin (+01:00)`.
pub fn in_zone(at: Timestamp, zone: TimeZone) -> String {
    let at = at.to_zoned(zone);
    let name = at.time_zone().iana_name().map(|it| format!(" {}", it.trim_start_matches("Etc/")));
    format!("{}{} ({})", at.strftime("%a %Y-%m-%d %H:%M"), name.unwrap_or_default(), at.strftime("%:z"))
}

/// The port of an address that only this machine can open.
pub fn loopback_port(url: &str) -> Option<u16> {
    let url = url::Url::parse(url).ok()?;
    let here = match url.host()? {
        url::Host::Ipv4(it) => it.is_loopback(),
        url::Host::Ipv6(it) => it.is_loopback(),
        url::Host::Domain(it) => it == "localhost",
    };
    if here { url.port_or_known_default() } else { None }
}

/// The paid tier of an account. X calls it `None` where nothing is paid.
pub fn tier(named: &str) -> &str {
    if named.eq_ignore_ascii_case("none") { "no paid one" } else { named }
}

/// How many accounts are in which state: `3 ready, 1 paused`.
pub fn accounts(status: &m::Status) -> String {
    counts(&[
        ("ready", status.accounts.ready),
        ("need reconnect", status.accounts.needs_reconnect),
        ("paused", status.accounts.paused),
    ])
}

/// What is free on the store's disk, behind its size: `, 63.0 GiB free`. Empty where nobody knows.
pub fn free(status: &m::Status) -> String {
    status.store.free_bytes.map_or_else(String::new, |it| format!(", {} free", size(it)))
}

/// How many deliveries are in which state, in the order in which they pass through them.
pub fn deliveries(status: &m::Status) -> String {
    let states: Vec<(&str, u64)> = m::DeliveryState::ALL
        .iter()
        .filter_map(|it| Some((it.as_str(), *status.deliveries.get(it.as_str())?)))
        .collect();
    counts(&states)
}

fn counts(of: &[(&str, u64)]) -> String {
    let some: Vec<_> = of.iter().filter(|it| it.1 > 0).map(|(word, n)| format!("{n} {word}")).collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_pays_nothing_has_no_tier_called_none() {
        assert_eq!([tier("None"), tier("none"), tier("Premium")], ["no paid one", "no paid one", "Premium"]);
    }

    #[test]
    fn distances_use_one_unit() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        for (at, shown) in [
            ("2026-11-22T08:00:02Z", "now"),
            ("2026-11-22T08:00:30Z", "in 30 s"),
            ("2026-11-22T07:57:00Z", "3 min ago"),
            ("2026-11-22T10:00:00Z", "in 2 h"),
            ("2026-12-01T08:00:00Z", "in 9 days"),
        ] {
            assert_eq!(relative(at.parse().unwrap(), now), shown);
        }
    }

    #[test]
    fn spans_use_one_unit() {
        let spans = [12, 8_400, 4_500_000, 108_000_000, 864_000_000].map(span);
        assert_eq!(spans, ["12 ms", "8 s", "75 min", "30 h", "10 days"]);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(832), size(1_500_000), size(3 << 40)], ["832 B", "1.4 MiB", "3072.0 GiB"]);
    }

    #[test]
    fn only_an_address_of_this_machine_asks_for_a_forwarded_port() {
        assert_eq!(loopback_port("http://127.0.0.1:8420/connect/a"), Some(8420));
        assert_eq!(loopback_port("http://[::1]:9/connect/a"), Some(9));
        assert_eq!(loopback_port("https://post.example.org/connect/a"), None);
    }
}
