//! The versions of LinkedIn's API that its page on versions names, and when each of them ends there
//! (learn.microsoft.com/linkedin/marketing/integrations/migrations, as of 2026-11).
//!
//! Not every month has one, there is no name for the latest, and each is served for a year at least.

use jiff::civil::{Date, date};

/// Year and month, and the day from which on it is served no longer, where that is announced. Sorted.
pub const VERSIONS: &[(&str, Option<Date>)] = &[
    ("202508", Some(date(2026, 8, 17))),
    ("202511", Some(date(2026, 11, 16))),
    ("202601", Some(date(2027, 1, 15))),
    ("202602", Some(date(2027, 2, 15))),
    ("202603", Some(date(2027, 3, 16))),
    ("202605", None),
    ("202606", None),
    ("202607", None),
    ("202608", None),
];

/// Whether a version is among those that were known when this was written.
pub fn is_listed(version: &str) -> bool {
    VERSIONS.iter().any(|it| it.0 == version)
}

/// When a version ends, and whether that day was announced; else it is a year after its month begins, the
/// least that is promised. `None`: it is not a year and a month.
pub fn end(version: &str) -> Option<(Date, bool)> {
    if let Some(day) = VERSIONS.iter().find(|it| it.0 == version).and_then(|it| it.1) {
        return Some((day, true));
    }
    let (year, month) = version.split_at_checked(4)?;
    let day = Date::new(year.parse::<i16>().ok()?.checked_add(1)?, month.parse().ok()?, 1).ok()?;
    Some((day, false))
}
