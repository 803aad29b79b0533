//! A month in one look: what is due, which places are free, which runs are to come.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::shared::Shared;
use super::{create, errors, queues, recurring, view};
use crate::control::api::{ApiError, ApiResult};
use crate::control::messages as m;
use crate::control::requests as r;
use crate::store::deliveries;

/// Entries of one kind in an answer at most.
const MOST: usize = 5000;
/// Free places of one queue, runs of one recurring post.
const OF_ONE: usize = 1500;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) fn show(shared: &Shared, ask: &r::Calendar) -> ApiResult<m::Calendar> {
    let zone = create::zone(shared, ask.tz.as_deref())?;
    let now = shared.now();
    let first = month(ask.month.as_deref(), zone.rules.to_datetime(now).date())?;
    let after = first.checked_add(1.month()).map_err(|error| outside(&error))?;
    let (from, to) = (start(first, &zone.rules)?, start(after, &zone.rules)?);
    // What lies behind us is no longer free, and no longer to come.
    let ahead = (from.max(now), to);
    let config = shared.config();
    let seed = &shared.jitter_seed;
    let read = shared.store.read(|rx| {
        let mut due = deliveries::between(rx, from, to, MOST + 1)?;
        let mut cut = due.len() > MOST;
        due.truncate(MOST);
        let (mut slots, mut coming) = (Vec::new(), Vec::new());
        if ahead.0 < to {
            for queue in &config.queues {
                let free = queues::free_between(rx, queue, seed, ahead, OF_ONE + 1)?;
                cut |= free.len() > OF_ONE;
                slots.extend(free.into_iter().take(OF_ONE).map(|(local, at)| m::FreeSlot {
                    queue: queue.name.clone(),
                    at,
                    local: local.to_string(),
                }));
            }
            for it in &config.recurring {
                let runs = recurring::coming(rx, it, seed, ahead, OF_ONE + 1)?;
                cut |= runs.len() > OF_ONE;
                coming.extend(runs.into_iter().take(OF_ONE).map(|(local, at)| m::ComingRun {
                    name: it.name.clone(),
                    at,
                    local: local.to_string(),
                    accounts: it.accounts.iter().map(ToString::to_string).collect(),
                }));
            }
        }
        Ok((due, slots, coming, cut))
    });
    let (due, mut slots, mut coming, cut) = read.map_err(errors::store)?;
    slots.sort_by(|a, b| (a.at, &a.queue).cmp(&(b.at, &b.queue)));
    coming.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    Ok(m::Calendar {
        month: first.strftime("%Y-%m").to_string(),
        zone: zone.name,
        from,
        to,
        deliveries: due.iter().map(view::delivery).collect(),
        slots,
        recurring: coming,
        changes: changes(&zone.rules, from, to),
        cut,
    })
}

/// The first instant of a day. Where midnight does not exist, the day begins after the gap.
fn start(day: Date, zone: &TimeZone) -> ApiResult<Timestamp> {
    zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).compatible().map_err(|error| outside(&error))
}

fn outside(error: &jiff::Error) -> ApiError {
    ApiError::bad_request("bad_month", format!("that month is outside of the calendar: {error}"))
}

/// `2026-12`, or a name: the month that is, or the next one so called.
fn month(text: Option<&str>, today: Date) -> ApiResult<Date> {
    let Some(text) = text else { return Ok(today.first_of_month()) };
    let lower = text.trim().to_ascii_lowercase();
    let named = MONTHS.iter().position(|it| *it == lower || (lower.len() == 3 && it.starts_with(&lower)));
    if let Some(n) = named.and_then(|n| i8::try_from(n + 1).ok()) {
        let year = if n < today.month() { today.year() + 1 } else { today.year() };
        return Ok(date(year, n, 1));
    }
    let plain = lower.len() == 7 && lower.as_bytes()[4] == b'-';
    let parsed = plain.then(|| format!("{lower}-01").parse::<Date>().ok()).flatten();
    parsed.ok_or_else(|| {
        ApiError::bad_request("bad_month", format!("`{text}` is not a month"))
            .hint("write `2026-12`, or a name like `december`")
    })
}

fn changes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<m::ClockChange> {
    let before =
        |at: Timestamp| zone.to_offset(at.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(at));
    zone.following(from)
        .take_while(|it| it.timestamp() < to)
        .filter(|it| before(it.timestamp()) != it.offset())
        .map(|it| m::ClockChange {
            at: it.timestamp(),
            before: before(it.timestamp()).to_string(),
            after: it.offset().to_string(),
        })
        .collect()
}
