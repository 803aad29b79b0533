//! Instants as the console tells them. The words are those of the command line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `now`, `in 12 min`, `3 days ago`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
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

/// `Tue 1 Dec 09:00`; with the year if it is another one than now.
pub(crate) fn day_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    at.strftime(if at.year() == now.year() { "%a %-d %b %H:%M" } else { "%a %-d %b %Y %H:%M" }).to_string()
}

/// `Tue 2026-12-01 09:00 Europe/Berlin (+01:00)`, in the zone it was meant in.
pub(crate) fn full(at: Timestamp, zone: &str, own: &TimeZone) -> String {
    let rules = TimeZone::get(zone).unwrap_or_else(|_| own.clone());
    let at = at.to_zoned(rules);
    let name = at.time_zone().iana_name().map(|it| format!(" {}", it.trim_start_matches("Etc/")));
    format!("{}{} ({})", at.strftime("%a %Y-%m-%d %H:%M"), name.unwrap_or_default(), at.strftime("%:z"))
}

/// How long, in one unit: `8 s`, `75 min`, `30 h`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A size in the unit that keeps it short: `832 B`, `1.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // One decimal is shown.
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if amount < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} GiB")
}

/// The wall time that a due instant was meant as, for `reschedule` back to it.
pub(crate) fn wall(at: Timestamp, zone: &str) -> Option<String> {
    let at = at.to_zoned(TimeZone::get(zone).ok()?);
    // A wall time has no parts of a second; the instant is exact then.
    let exact = at.subsec_nanosecond() == 0;
    Some(at.strftime(if exact { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.f%:z" }).to_string())
}
