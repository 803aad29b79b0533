//! Queue slots: cron expressions read as wall time.
//!
//! Cron is searched on the wall clock alone and each hit is then placed in the zone. Searching in
//! the zone itself (as croner can) runs lists and steps twice in the doubled hour. A slot's name is
//! the wall time at which it runs, so every slot happens exactly once, on every day of the year.

use std::collections::BTreeMap;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Due, settle};

/// Five cron fields, known to have a next time.
#[derive(Debug, Clone)]
pub struct SlotPattern {
    text: String,
    cron: Cron,
}

impl PartialEq for SlotPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for SlotPattern {}

/// Why a cron expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not five fields.
    #[error("`{text}` needs 5 fields and has {found} (minute, hour, day of month, month, day of week)")]
    Fields {
        /// The expression.
        text: String,
        /// How many fields it has.
        found: usize,
    },
    /// One field is wrong.
    #[error("{name} `{field}` is wrong in `{text}`: {problem}")]
    Field {
        /// The expression.
        text: String,
        /// Which field: `minute`, `hour`, `day of month`, `month`, `day of week`.
        name: &'static str,
        /// The field as written.
        field: String,
        /// One clause.
        problem: String,
    },
    /// All fields are well formed, but no day fits them.
    #[error("`{text}` never comes: no day matches its day and month")]
    Never {
        /// The expression.
        text: String,
    },
}

impl PatternError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Fields { .. } => "write five fields, like `0 9 * * MON-FRI` (weekdays at 09:00)".to_owned(),
            Self::Field { name, .. } => {
                let range = match *name {
                    "minute" => "0-59",
                    "hour" => "0-23",
                    "day of month" => "1-31, or `L` for the last",
                    "month" => "1-12 or JAN-DEC",
                    _ => "0-7 or SUN-SAT; 0 and 7 are Sunday",
                };
                format!("{name} takes {range}; `*`, lists `1,3`, ranges `1-5` and steps `*/15` work too")
            }
            Self::Never { .. } => "check the day of month against the month".to_owned(),
        })
    }
}

const FIELDS: [&str; 5] = ["minute", "hour", "day of month", "month", "day of week"];

fn five(pattern: &str) -> Result<Cron, CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).build().parse(pattern)
}

impl SlotPattern {
    /// Reads and checks an expression. Nicknames such as `@daily` are not fields and are refused.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != 5 {
            return Err(PatternError::Fields { text: text.to_owned(), found: fields.len() });
        }
        for (n, (name, field)) in FIELDS.iter().zip(&fields).enumerate() {
            // Alone among stars, a field that fails is the field at fault.
            let mut alone = ["*"; 5];
            alone[n] = field;
            let problem = match five(&alone.join(" ")) {
                // croner passes over empty list items, so `9,,17` and `,` need a word from us.
                Ok(_) if field.split(',').any(str::is_empty) => "a list item is empty".to_owned(),
                Ok(_) if field.contains('@') => "nicknames are not taken".to_owned(),
                Ok(_) => continue,
                Err(error) => clause(&error),
            };
            return Err(PatternError::Field {
                text: text.to_owned(),
                name,
                field: (*field).to_owned(),
                problem,
            });
        }
        let cron = five(text).map_err(|_| PatternError::Never { text: text.to_owned() })?;
        // A leap year opens the search; 29 February is at most eight years away from any date.
        let start = jiff::civil::datetime(2024, 1, 1, 0, 0, 0, 0);
        match cron.find_next_occurrence(&start, true) {
            Ok(_) => Ok(Self { text: fields.join(" "), cron }),
            Err(_) => Err(PatternError::Never { text: text.to_owned() }),
        }
    }

    /// The expression, with single blanks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The expression as an English sentence.
    pub fn describe(&self) -> String {
        self.cron.describe()
    }

    fn next(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }
}

/// croner's words in our form: lower case, no full stop.
fn clause(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        CronError::EmptyPattern
        | CronError::InvalidDate
        | CronError::InvalidTime
        | CronError::TimeSearchLimitExceeded => error.to_string(),
    };
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// One slot of a queue. Queue name and `local` together are its identity in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The wall time at which it runs. In a gap this is the moved time, so that `30 2` and `30 3`
    /// of the same morning are one slot and not two posts in one second.
    pub local: DateTime,
    /// The instant, before jitter.
    pub due: Due,
}

/// All slots after an instant, in order, each once, from several patterns together.
///
/// Lazy; ends only with the calendar.
pub fn slots<'a>(
    patterns: &'a [SlotPattern],
    zone: &'a TimeZone,
    zone_name: &'a str,
    after: Timestamp,
) -> impl Iterator<Item = Slot> + 'a {
    // A gap of the last day may have moved slots from before it to after `after`; begin early
    // enough to meet them. Days are skipped whole at most (Samoa 2011), hence the 25 hours.
    let behind = after.checked_sub(SignedDuration::from_hours(25)).unwrap_or(after);
    let start = zone.to_offset(after).to_datetime(after).min(zone.to_offset(behind).to_datetime(after));
    // Slots begin with a minute, so a start within one cannot hide a slot that lies ahead.
    let cursors = patterns.iter().map(|it| (it, it.next(start, true))).collect();
    Slots { cursors, zone, zone_name, after, ready: BTreeMap::new() }
}

struct Slots<'a> {
    /// Each pattern with its next wall time.
    cursors: Vec<(&'a SlotPattern, Option<DateTime>)>,
    zone: &'a TimeZone,
    zone_name: &'a str,
    after: Timestamp,
    /// Placed slots. A slot moved over a gap can land behind slots that are yet to be searched.
    ready: BTreeMap<DateTime, Slot>,
}

impl Iterator for Slots<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        loop {
            let upcoming = self.cursors.iter().filter_map(|(_, at)| *at).min();
            // Placing never moves a slot backward, so what lies before every cursor is final.
            if let Some(first) = self.ready.first_entry()
                && upcoming.is_none_or(|it| *first.key() < it)
            {
                return Some(first.remove());
            }
            let civil = upcoming?;
            for (pattern, at) in &mut self.cursors {
                if *at == Some(civil) {
                    *at = pattern.next(civil, false);
                }
            }
            if let Some(due) = settle(civil, self.zone, self.zone_name)
                && due.instant > self.after
            {
                let local = due.civil;
                // A wall time that exists by itself tells more than one that was moved onto it.
                if civil == local || !self.ready.contains_key(&local) {
                    self.ready.insert(local, Slot { local, due });
                }
            }
        }
    }
}

/// How much later than its instant a slot runs: 0 to `max`, in milliseconds, so that posts do not
/// all leave on the full minute.
///
/// The same arguments give the same answer: `queue show` tells the time at which the slot will
/// really run, and a restart does not draw again. `seed` belongs to the installation, or every
/// installation would use the same figures.
pub fn jitter(queue: &str, local: DateTime, seed: &[u8], max: SignedDuration) -> SignedDuration {
    let Some(limit) = u64::try_from(max.as_millis()).ok().filter(|it| *it > 0) else {
        return SignedDuration::ZERO;
    };
    let mut hash = Sha256::new();
    for part in [b"sendoff queue jitter".as_slice(), queue.as_bytes(), local.to_string().as_bytes(), seed] {
        // Lengths first, so that no two argument lists read alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let drawn = digest[..8].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let millis = drawn % limit.saturating_add(1);
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
