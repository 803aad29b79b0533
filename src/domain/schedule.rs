//! When something is due: what a person typed, read in a time zone, as an instant.
//!
//! A wall time and an instant are two things. On two days of a year a wall time may not exist (a
//! gap) or exist twice (a fold), and the rules of a zone change after a post was scheduled. So a
//! [`Due`] keeps the wall time, the zone, which of two occurrences was meant, *and* the instant.
//! Nothing here reads a clock; `now` and the zone come in by argument. Queue slots are in
//! [`slots`], the runs of recurring posts in [`runs`], new zone rules in [`rezone`].

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

pub mod rezone;
pub mod runs;
pub mod slots;

/// Why this instant belongs to this wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The wall time exists once.
    Unique,
    /// The clocks go back over it; the first of the two is meant.
    FirstOfFold,
    /// The clocks go back over it, and an offset named the second.
    SecondOfFold,
    /// It fell into a gap and was moved forward by the gap's length. Slots only, never typed times.
    MovedByGap,
    /// An instant was given (an offset, `now`, `+2h`): the wall time merely shows it, and new zone
    /// rules do not move it.
    Instant,
}

/// A point in time, as an instant and as the wall time its author thinks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it happens.
    pub instant: Timestamp,
    /// What the clock on the wall shows then, in `zone`.
    pub civil: DateTime,
    /// An IANA name (`Europe/Berlin`), or a fixed offset (`+02:00`) if an offset was given that is
    /// not the zone's own.
    pub zone: String,
    /// How `instant` follows from `civil`.
    pub choice: Choice,
}

impl Due {
    /// The end of patience: what did not go out so long after its instant is given up.
    pub fn give_up_at(&self, after: SignedDuration) -> Timestamp {
        self.instant.saturating_add(after).unwrap_or(Timestamp::MAX)
    }

    /// The distance from UTC that was in force.
    pub fn offset(&self) -> Offset {
        // The wall time is made from the instant, so their difference is an offset by construction.
        self.civil
            .to_zoned(TimeZone::UTC)
            .ok()
            .and_then(|it| i32::try_from(it.timestamp().as_second() - self.instant.as_second()).ok())
            .and_then(|seconds| Offset::from_seconds(seconds).ok())
            .unwrap_or(Offset::UTC)
    }
}

/// Says a time back to its author: `Tue 2026-12-01 09:00 Europe/Berlin (+01:00)`.
///
/// Seconds appear only if there are any; a doubled wall time says which of the two it is.
pub fn echo(due: &Due) -> String {
    let note = match due.choice {
        Choice::FirstOfFold => ", the first of two: clocks go back",
        Choice::SecondOfFold => ", the second of two: clocks go back",
        Choice::MovedByGap => ", moved: clocks go forward",
        Choice::Unique | Choice::Instant => "",
    };
    format!("{}{note}", told(due))
}

/// [`echo`] without the note, for the middle of a sentence.
fn told(due: &Due) -> String {
    let clock = if due.civil.second() == 0 { "%a %Y-%m-%d %H:%M" } else { "%a %Y-%m-%d %H:%M:%S" };
    let wall = due.civil.strftime(clock);
    let offset = print_offset(due.offset());
    if due.zone == offset { format!("{wall} {offset}") } else { format!("{wall} {} ({offset})", due.zone) }
}

fn print_offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, total) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let tail = if total % 60 == 0 { String::new() } else { format!(":{:02}", total % 60) };
    format!("{sign}{:02}:{:02}{tail}", total / 3600, total / 60 % 60)
}

/// The instant of a wall time that was settled before: a gap moves it forward by the gap's length
/// (02:30 becomes 03:30), a fold takes the first occurrence.
///
/// `None` only at the ends of the calendar (years −9999 and 9999).
pub fn settle(civil: DateTime, zone: &TimeZone, zone_name: &str) -> Option<Due> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let choice = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => Choice::Unique,
        AmbiguousOffset::Gap { .. } => Choice::MovedByGap,
        AmbiguousOffset::Fold { .. } => Choice::FirstOfFold,
    };
    let instant = ambiguous.compatible().ok()?;
    let civil = if choice == Choice::MovedByGap { zone.to_datetime(instant) } else { civil };
    Some(Due { instant, civil, zone: zone_name.to_owned(), choice })
}

/// An instant as wall time of a zone: how it would follow from that wall time, so that new zone
/// rules move it like any other.
pub fn placed(instant: Timestamp, zone: &TimeZone, zone_name: &str) -> Due {
    let civil = zone.to_datetime(instant);
    let choice = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { after, .. } if zone.to_offset(instant) == after => Choice::SecondOfFold,
        AmbiguousOffset::Fold { .. } => Choice::FirstOfFold,
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => Choice::Unique,
    };
    Due { instant, civil, zone: zone_name.to_owned(), choice }
}

/// Why a time could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// Not one of the forms we read.
    #[error("`{text}` is not a time: {problem}")]
    Unreadable {
        /// What was typed.
        text: String,
        /// One clause on what is wrong.
        problem: String,
    },
    /// It lies behind us; both times are named, so that a wrong zone is seen at once.
    #[error("{due} is in the past (it is now {now})")]
    Past {
        /// The time asked for, as [`echo`] says it.
        due: String,
        /// The present, in the same zone.
        now: String,
    },
    /// The clocks jump over it.
    #[error("{} does not exist in {zone}: clocks go forward from {} to {}",
        wall(*civil), from.strftime("%H:%M"), to.strftime("%H:%M"))]
    Nonexistent {
        /// The wall time asked for.
        civil: DateTime,
        /// The zone's name.
        zone: String,
        /// The wall time at which the gap opens.
        from: Time,
        /// The wall time at which it closes.
        to: Time,
        /// The same time reckoned before the change, and after it: both exist.
        neighbours: (DateTime, DateTime),
    },
}

fn wall(civil: DateTime) -> impl fmt::Display {
    civil.strftime("%Y-%m-%d %H:%M").to_string()
}

impl WhenError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some(
                "write `2026-12-01 09:00`, `2026-12-01T09:00:00+01:00`, `tomorrow 9am`, `monday 17:30`, `+2h` or `now`"
                    .to_owned(),
            ),
            Self::Past { .. } => Some("check the time zone (`--tz`), or use `--now`".to_owned()),
            Self::Nonexistent { neighbours: (before, after), .. } => {
                Some(format!("write `{}` or `{}`", wall(*before), wall(*after)))
            }
        }
    }
}

fn unreadable(text: &str, problem: impl Into<String>) -> WhenError {
    WhenError::Unreadable { text: text.to_owned(), problem: problem.into() }
}

/// Reads a time as a person types it, in `zone`.
///
/// Forms: RFC 3339 with an offset; `2026-12-01 09:00[:SS]` (or with `T`); `today 17:30`,
/// `tomorrow 9am`, `monday 9:00` (the next one ahead); `+2h`, `+1d2h` (a day is 24 hours); `now`.
pub fn parse_when(text: &str, now: Timestamp, zone: &TimeZone, zone_name: &str) -> Result<Due, WhenError> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "now" {
        return Ok(shown(now, zone, zone_name));
    }
    if lower.starts_with('+') {
        let span = parse_shift(&lower).map_err(|error| unreadable(text, error.to_string()))?;
        let instant = now.checked_add(span).map_err(|_| unreadable(text, "it is too far ahead"))?;
        return Ok(shown(instant, zone, zone_name));
    }
    let due = if let Some((day, clock)) = lower.split_once(char::is_whitespace)
        && day.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        relative_day(text, day, clock.trim(), now, zone, zone_name)?
    } else {
        absolute(text, &lower, zone, zone_name)?
    };
    if due.instant < now {
        let present = Due {
            instant: now,
            civil: zone.to_datetime(now),
            choice: Choice::Instant,
            zone: zone_name.into(),
        };
        return Err(WhenError::Past { due: told(&due), now: echo(&present) });
    }
    Ok(due)
}

/// An instant, shown in a zone.
fn shown(instant: Timestamp, zone: &TimeZone, zone_name: &str) -> Due {
    Due { instant, civil: zone.to_datetime(instant), zone: zone_name.to_owned(), choice: Choice::Instant }
}

/// A date and time, with an offset or as wall time.
fn absolute(text: &str, lower: &str, zone: &TimeZone, zone_name: &str) -> Result<Due, WhenError> {
    if (lower.len() == 10 && lower.parse::<Date>().is_ok())
        || weekday(lower).is_some()
        || ["today", "tomorrow"].contains(&lower)
    {
        return Err(unreadable(text, "the time of day is missing"));
    }
    let parts = lower.split_once(['t', ' ']).filter(|_| lower.starts_with(|c: char| c.is_ascii_digit()));
    let (date, rest) = parts.ok_or_else(|| unreadable(text, "it is in none of the forms we know"))?;
    let fault = |error: jiff::Error| unreadable(text, plain(&error));
    let shape = date.len() == 10 && date.bytes().filter(|&b| b == b'-').count() == 2;
    if !shape {
        return Err(unreadable(text, "the date must look like `2026-12-01`"));
    }
    let date: Date = date.parse().map_err(fault)?;
    let rest = rest.trim();
    let Some(at) = rest.find(['z', '+', '-']) else {
        return typed(text, date.to_datetime(clock(text, rest)?), zone, zone_name);
    };
    let civil = date.to_datetime(clock(text, rest[..at].trim_end())?);
    let offset = parse_offset(&rest[at..]).ok_or_else(|| {
        unreadable(text, format!("`{}` is not an offset like `Z` or `+01:00`", &rest[at..]))
    })?;
    let instant = offset.to_timestamp(civil).map_err(fault)?;
    if zone.to_offset(instant) != offset {
        let zone = if offset == Offset::UTC { "UTC".to_owned() } else { print_offset(offset) };
        return Ok(Due { instant, civil, zone, choice: Choice::Instant });
    }
    let choice = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { before, .. } if before == offset => Choice::FirstOfFold,
        AmbiguousOffset::Fold { .. } => Choice::SecondOfFold,
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => Choice::Instant,
    };
    Ok(Due { instant, civil, zone: zone_name.to_owned(), choice })
}

fn parse_offset(text: &str) -> Option<Offset> {
    if text == "z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?);
    let (hours, minutes) = digits.split_once(':')?;
    if hours.len() != 2
        || minutes.len() != 2
        || !(hours.to_owned() + minutes).bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

/// `today`, `tomorrow` or a weekday, and a time of day.
fn relative_day(
    text: &str,
    day: &str,
    rest: &str,
    now: Timestamp,
    zone: &TimeZone,
    zone_name: &str,
) -> Result<Due, WhenError> {
    let today = zone.to_datetime(now).date();
    let far = |_| unreadable(text, "it is too far ahead");
    if day == "today" || day == "tomorrow" {
        let date = if day == "today" { today } else { today.tomorrow().map_err(far)? };
        return typed(text, date.to_datetime(clock(text, rest)?), zone, zone_name);
    }
    let weekday = weekday(day).ok_or_else(|| {
        unreadable(text, format!("`{day}` is not `today`, `tomorrow` or a day of the week"))
    })?;
    let time = clock(text, rest)?;
    let ahead = i64::from(today.weekday().until(weekday));
    let date = today.checked_add(ahead.days()).map_err(far)?;
    // Said on that very day after the hour has passed, it means a week from now.
    let passed = settle(date.to_datetime(time), zone, zone_name).is_some_and(|it| it.instant < now);
    let date = if ahead == 0 && passed { date.checked_add(7.days()).map_err(far)? } else { date };
    typed(text, date.to_datetime(time), zone, zone_name)
}

/// A wall time that a person typed: never moved in silence.
fn typed(text: &str, civil: DateTime, zone: &TimeZone, zone_name: &str) -> Result<Due, WhenError> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let AmbiguousOffset::Gap { before, after } = ambiguous.offset() else {
        return settle(civil, zone, zone_name).ok_or_else(|| unreadable(text, "it is too far ahead"));
    };
    let outside = |_| unreadable(text, "it is too far ahead");
    let (early, late) = (ambiguous.earlier().map_err(outside)?, ambiguous.later().map_err(outside)?);
    // Both readings enclose the change itself.
    let change = zone.following(early).next().map_or(late, |it| it.timestamp());
    Err(WhenError::Nonexistent {
        civil,
        zone: zone_name.to_owned(),
        from: before.to_datetime(change).time(),
        to: after.to_datetime(change).time(),
        neighbours: (before.to_datetime(early), after.to_datetime(late)),
    })
}

/// `17:30`, `9:00:15`, `9:00:15.250`, `9am`, `9:30pm`.
fn clock(text: &str, time: &str) -> Result<Time, WhenError> {
    let fault = || unreadable(text, format!("`{time}` is not a time of day like `9:00`, `17:30` or `9am`"));
    let (digits, half) = match time.strip_suffix("am").or_else(|| time.strip_suffix("pm")) {
        Some(digits) => (digits.trim_end(), Some(time.ends_with("pm"))),
        None => (time, None),
    };
    // Programs write fractions of a second (`…:00.000Z`); they follow whole seconds only.
    let (digits, fraction) = match digits.split_once('.') {
        Some((digits, fraction)) if digits.matches(':').count() == 2 => {
            (digits, nanoseconds(fraction).ok_or_else(fault)?)
        }
        _ => (digits, 0),
    };
    let parts: Vec<&str> = digits.split(':').collect();
    let plain = parts.iter().all(|it| (1..=2).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()));
    // A bare `9` could be an hour or a slip; only `9am` may leave the minutes out.
    if !plain
        || parts.len() > 3
        || (parts.len() == 1 && half.is_none())
        || parts[1..].iter().any(|it| it.len() != 2)
    {
        return Err(fault());
    }
    let number = |n: usize| parts.get(n).map_or(Ok(0), |it| it.parse::<i8>()).map_err(|_| fault());
    let hour = match (number(0)?, half) {
        (hour, None) => hour,
        (hour @ 1..=12, Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
        _ => return Err(fault()),
    };
    Time::new(hour, number(1)?, number(2)?, fraction).map_err(|_| fault())
}

/// The digits after the decimal point of a second, nine at most.
fn nanoseconds(fraction: &str) -> Option<i32> {
    let fits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| format!("{fraction:0<9}").parse().ok())?
}

fn weekday(name: &str) -> Option<Weekday> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    DAYS.into_iter().find(|(full, _)| *full == name || full[..3] == *name).map(|(_, day)| day)
}

/// jiff's own words, without the details of its parser.
fn plain(error: &jiff::Error) -> String {
    error.to_string().rsplit(": ").next().unwrap_or_default().to_owned()
}

/// Why a duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {problem}")]
pub struct DurationError {
    /// What was written.
    pub text: String,
    /// One clause on what is wrong, with the form to use.
    pub problem: &'static str,
}

/// Reads `90s`, `60m`, `1h30m`, `24h`, `2d`, `250ms`: units from large to small, each at most once,
/// a day being 24 hours. Zero is refused.
pub fn parse_duration(text: &str) -> Result<SignedDuration, DurationError> {
    let span = parse_span(text)?;
    if span.is_zero() {
        return Err(DurationError { text: text.to_owned(), problem: "it must be longer than nothing" });
    }
    Ok(span)
}

/// As [`parse_duration`], with zero (`0s`) allowed: for waiting times that can be switched off.
pub fn parse_span(text: &str) -> Result<SignedDuration, DurationError> {
    const UNITS: [(&str, i64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    const FORM: &str = "write a number and a unit, like `90s`, `60m`, `1h30m`, `24h` or `2d`";
    let fault = |problem| DurationError { text: text.to_owned(), problem };
    let (mut rest, mut total, mut next_unit) = (text, 0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(|| fault(FORM))?;
        if digits == 0 {
            return Err(fault(FORM));
        }
        if place < next_unit {
            return Err(fault("units go from large to small, each at most once"));
        }
        let amount = number.parse::<i64>().ok().and_then(|it| it.checked_mul(UNITS[place].1));
        total = amount.and_then(|it| total.checked_add(it)).ok_or_else(|| fault("it is too long"))?;
        (rest, next_unit) = (&rest[digits + letters..], place + 1);
    }
    if text.is_empty() { Err(fault(FORM)) } else { Ok(SignedDuration::from_millis(total)) }
}

/// Reads `+2h` or `-30m`, for moving something (`post reschedule --by`). Zero is refused.
pub fn parse_shift(text: &str) -> Result<SignedDuration, DurationError> {
    if let Some(rest) = text.strip_prefix('+') {
        return parse_duration(rest);
    }
    match text.strip_prefix('-') {
        Some(rest) => parse_duration(rest).map(|it| -it),
        None => {
            Err(DurationError { text: text.to_owned(), problem: "it needs a sign, like `+2h` or `-30m`" })
        }
    }
}

/// Prints a duration in one unit, the largest that fills it more than once: `60m`, `90s`, `24h`,
/// `2d`. [`parse_span`] reads it back to the same length (sub-millisecond parts are not kept).
pub fn print_duration(span: SignedDuration) -> String {
    let millis = span.as_millis();
    let unit = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        .into_iter()
        .find(|&(name, size)| millis % size == 0 && (name == "s" || millis.abs() >= 2 * size));
    match unit {
        Some((name, size)) => format!("{}{name}", millis / size),
        None => format!("{millis}ms"),
    }
}

/// How late a post may still go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Late {
    /// Up to this long after its instant.
    Within(SignedDuration),
    /// Whenever it becomes possible.
    Always,
    /// At its instant or not at all; two minutes are allowed for the machine's own delays.
    Exact,
}

impl Late {
    /// What `exact` allows.
    pub const EXACT: SignedDuration = SignedDuration::from_mins(2);

    /// Whether something due at `due` may still be sent at `now`.
    pub fn allows(self, due: Timestamp, now: Timestamp) -> bool {
        let lateness = now.duration_since(due);
        match self {
            Self::Within(limit) => lateness <= limit,
            Self::Always => true,
            Self::Exact => lateness <= Self::EXACT,
        }
    }

    /// The last instant at which something due at `due` may be sent, if there is one.
    pub fn until(self, due: Timestamp) -> Option<Timestamp> {
        let limit = match self {
            Self::Within(limit) => limit,
            Self::Exact => Self::EXACT,
            Self::Always => return None,
        };
        due.checked_add(limit).ok()
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(limit) => f.write_str(&print_duration(*limit)),
            Self::Always => f.write_str("always"),
            Self::Exact => f.write_str("exact"),
        }
    }
}

/// Why a late policy could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a late policy: write a duration like `60m`, `always` or `exact`")]
pub struct LateError {
    /// What was written.
    pub text: String,
}

impl FromStr for Late {
    type Err = LateError;
    fn from_str(text: &str) -> Result<Self, LateError> {
        match text {
            "always" => Ok(Self::Always),
            "exact" => Ok(Self::Exact),
            _ => parse_duration(text).map(Self::Within).map_err(|_| LateError { text: text.to_owned() }),
        }
    }
}
