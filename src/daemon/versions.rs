//! When the version of an API that the configuration names stops being served.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::domain::account::Account;
use crate::domain::ids::PlatformName;
use crate::facts::linkedin;

/// Told from so many days before the end on.
const DAYS: i64 = 90;

/// The ends that Meta has announced, for Facebook and Instagram
/// (developers.facebook.com/docs/graph-api/changelog/versions). A version that is not here has none yet.
const GRAPH: [(&str, Date); 6] = [
    ("v20.0", jiff::civil::date(2026, 9, 24)),
    ("v21.0", jiff::civil::date(2027, 1, 21)),
    ("v22.0", jiff::civil::date(2027, 5, 20)),
    ("v23.0", jiff::civil::date(2027, 10, 8)),
    ("v24.0", jiff::civil::date(2028, 2, 18)),
    ("v25.0", jiff::civil::date(2028, 7, 29)),
];

/// A version whose end is near or past.
pub(super) struct Ending {
    pub(super) is_over: bool,
    pub(super) message: String,
    pub(super) hint: String,
}

/// What `now` calls for a word, among the networks that accounts are connected on.
pub(super) fn ending(config: &Config, accounts: &[Account], now: Timestamp) -> Vec<Ending> {
    let used = |it: &PlatformName| accounts.iter().any(|account| account.name.platform() == *it);
    PlatformName::ALL.into_iter().filter(used).filter_map(|it| of(config, it, now)).collect()
}

/// The same for one network, whether or not anybody is connected there.
pub(super) fn of(config: &Config, platform: PlatformName, now: Timestamp) -> Option<Ending> {
    let version = config.platform(platform).api_version.as_deref()?;
    let (end, sure) = end(platform, version)?;
    let near = end.saturating_sub(SignedDuration::from_hours(24 * DAYS)).ok()? <= now;
    near.then(|| {
        let verb = if end <= now { "ended" } else { "ends" };
        Ending {
            is_over: end <= now,
            message: format!("version {version} of {}'s API {verb} {}", platform.title(), day(end, sure)),
            hint: format!("set `{}` in [platforms.{platform}] to a newer one, and reload", key(platform)),
        }
    })
}

fn key(platform: PlatformName) -> &'static str {
    if platform == PlatformName::LinkedIn { "linkedin_version" } else { "graph_version" }
}

/// Until when the configured version is served, in words; `None`: nobody has said.
pub(super) fn until(config: &Config, platform: PlatformName) -> Option<String> {
    let (end, sure) = end(platform, config.platform(platform).api_version.as_deref()?)?;
    Some(day(end, sure))
}

/// `on 2027-03-16`, or `about 2027-08-01` where the day is reckoned.
fn day(end: Timestamp, sure: bool) -> String {
    format!("{} {}", if sure { "on" } else { "about" }, end.strftime("%Y-%m-%d"))
}

/// When it ends, and whether that day was announced. None: not announced, or not known here.
fn end(platform: PlatformName, version: &str) -> Option<(Timestamp, bool)> {
    let (date, sure) = match platform {
        PlatformName::LinkedIn => linkedin::end(version)?,
        PlatformName::Facebook | PlatformName::Instagram => {
            (GRAPH.iter().find(|it| it.0 == version)?.1, true)
        }
        _ => return None,
    };
    date.to_zoned(TimeZone::UTC).ok().map(|it| (it.timestamp(), sure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_when_its_network_says_or_a_year_after_its_month() {
        let shown = |platform, version| end(platform, version).map(|(end, sure)| day(end, sure));
        assert_eq!(shown(PlatformName::LinkedIn, "202608").as_deref(), Some("about 2027-08-01"));
        assert_eq!(shown(PlatformName::LinkedIn, "202603").as_deref(), Some("on 2027-03-16"));
        assert_eq!(shown(PlatformName::LinkedIn, "2026"), None);
        assert_eq!(shown(PlatformName::LinkedIn, "202613"), None);
        assert_eq!(shown(PlatformName::Facebook, "v22.0").as_deref(), Some("on 2027-05-20"));
        assert_eq!(shown(PlatformName::Facebook, "v26.0"), None);
        assert_eq!(shown(PlatformName::Threads, "v1.0"), None);
    }
}
