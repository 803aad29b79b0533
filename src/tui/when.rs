//! Instants as the console tells them. The words are those of the command line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::control::words::{self, in_zone};
pub(crate) use crate::control::words::{relative, size};

/// `Tue 1 Dec 09:00`; with the year if it is another one than now.
pub(crate) fn day_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    at.strftime(if at.year() == now.year() { "%a %-d %b %H:%M" } else { "%a %-d %b %Y %H:%M" }).to_string()
}

/// [`day_time`] where there is little room: `2027-12-01 09:00` if it would not fit.
pub(crate) fn day_time_in(cells: usize, at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let told = day_time(at, now, zone);
    if told.len() <= cells { told } else { at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string() }
}

/// `Tue 2026-12-01 09:00 Europe/Berlin (+01:00)`, in the zone it was meant in.
pub(crate) fn full(at: Timestamp, zone: &str, own: &TimeZone) -> String {
    in_zone(at, TimeZone::get(zone).unwrap_or_else(|_| own.clone()))
}

/// How long, in one unit: `8 s`, `75 min`, `30 h`.
pub(crate) fn span(seconds: u64) -> String {
    // A moment is told in seconds here, too.
    if seconds < 2 { format!("{seconds} s") } else { words::span(seconds.saturating_mul(1_000)) }
}

/// The wall time that a due instant was meant as, for `reschedule` back to it.
pub(crate) fn wall(at: Timestamp, zone: &str) -> Option<String> {
    let at = at.to_zoned(TimeZone::get(zone).ok()?);
    // A wall time has no parts of a second; the instant is exact then.
    let exact = at.subsec_nanosecond() == 0;
    Some(at.strftime(if exact { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.f%:z" }).to_string())
}
