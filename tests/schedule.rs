//! Times as people type them, and queue slots on the days when clocks change.

// The exception for tests in .clippy.toml does not reach the helpers of a test file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use sendoff::domain::schedule::slots::{SlotPattern, jitter, slots};
use sendoff::domain::schedule::{
    Choice, Due, Late, WhenError, echo, parse_duration, parse_shift, parse_span, parse_when, print_duration,
    settle,
};

#[path = "schedule/changes.rs"]
mod changes;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Thursday 26 November 2026, 10:00 in Berlin.
const NOW: &str = "2026-11-26T09:00:00Z";

fn when(text: &str) -> Result<Due, WhenError> {
    parse_when(text, at(NOW), &zone("Europe/Berlin"), "Europe/Berlin")
}

fn patterns(texts: &[&str]) -> Vec<SlotPattern> {
    texts.iter().map(|it| SlotPattern::new(it).unwrap()).collect()
}

/// The slots of one local day in Berlin, as `local instant`.
fn berlin_day(texts: &[&str], day: &str) -> Vec<String> {
    let (patterns, zone, day): (_, _, Date) = (patterns(texts), zone("Europe/Berlin"), day.parse().unwrap());
    let before = zone.to_timestamp(day.to_datetime(Time::default())).unwrap() - SignedDuration::from_secs(1);
    slots(&patterns, &zone, "Europe/Berlin", before)
        .take_while(|it| it.local.date() == day)
        .map(|it| format!("{} {}", it.local.time(), it.due.instant))
        .collect()
}

#[test]
fn every_form_of_time_is_understood_and_said_back_with_zone_and_offset() {
    for (text, expected) in [
        ("2026-12-01 09:00", "Tue 2026-12-01 09:00 Europe/Berlin (+01:00)"),
        ("2026-12-01T09:00:30", "Tue 2026-12-01 09:00:30 Europe/Berlin (+01:00)"),
        ("2027-07-01 9:00", "Thu 2027-07-01 09:00 Europe/Berlin (+02:00)"),
        ("2026-12-01T09:00:00+01:00", "Tue 2026-12-01 09:00 Europe/Berlin (+01:00)"),
        ("2026-12-01T09:00:00-05:00", "Tue 2026-12-01 09:00 -05:00"),
        ("2026-12-01T09:00:00Z", "Tue 2026-12-01 09:00 UTC (+00:00)"),
        ("2026-12-01T08:00:00.000Z", "Tue 2026-12-01 08:00 UTC (+00:00)"),
        ("2026-12-01 09:00:30.5 +01:00", "Tue 2026-12-01 09:00:30 Europe/Berlin (+01:00)"),
        ("tomorrow 9am", "Fri 2026-11-27 09:00 Europe/Berlin (+01:00)"),
        ("Tomorrow 12am", "Fri 2026-11-27 00:00 Europe/Berlin (+01:00)"),
        ("today 5:30pm", "Thu 2026-11-26 17:30 Europe/Berlin (+01:00)"),
        ("today 12pm", "Thu 2026-11-26 12:00 Europe/Berlin (+01:00)"),
        ("monday 9:00", "Mon 2026-11-30 09:00 Europe/Berlin (+01:00)"),
        ("thu 17:30", "Thu 2026-11-26 17:30 Europe/Berlin (+01:00)"),
        ("thursday 9:59", "Thu 2026-12-03 09:59 Europe/Berlin (+01:00)"),
        ("+90m", "Thu 2026-11-26 11:30 Europe/Berlin (+01:00)"),
        ("+1d2h", "Fri 2026-11-27 12:00 Europe/Berlin (+01:00)"),
        ("now", "Thu 2026-11-26 10:00 Europe/Berlin (+01:00)"),
    ] {
        let due = when(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(echo(&due), expected, "{text}");
        assert_eq!(due.offset().to_datetime(due.instant), due.civil, "{text}: civil and instant disagree");
    }
}

#[test]
fn a_time_in_the_past_is_refused_and_both_times_are_named() {
    for text in ["2026-11-26 09:59", "today 9am", "2026-11-26T08:59:59Z", "1999-01-01 00:00"] {
        let error = when(text).unwrap_err();
        assert!(matches!(error, WhenError::Past { .. }), "{text}: {error}");
        assert!(
            error.to_string().contains("it is now Thu 2026-11-26 10:00 Europe/Berlin (+01:00)"),
            "{error}"
        );
    }
    let error = when("2026-11-26 09:59").unwrap_err().to_string();
    assert!(error.starts_with("Thu 2026-11-26 09:59 Europe/Berlin (+01:00) is in the past"), "{error}");
    // What is noted of a doubled time does not run into the sentence.
    let error = when("2026-10-25 02:30").unwrap_err().to_string();
    assert!(error.starts_with("Sun 2026-10-25 02:30 Europe/Berlin (+02:00) is in the past"), "{error}");
    assert_eq!(when("2026-11-26 10:00").unwrap().instant, at(NOW), "this very instant is not past");
}

#[test]
fn a_wall_time_that_does_not_exist_is_refused_with_its_neighbours() {
    let error = when("2027-03-28 02:30").unwrap_err();
    assert_eq!(
        error.to_string(),
        "2027-03-28 02:30 does not exist in Europe/Berlin: clocks go forward from 02:00 to 03:00"
    );
    assert_eq!(error.hint().unwrap(), "write `2027-03-28 01:30` or `2027-03-28 03:30`");
    // Half an hour, at an odd place: Lord Howe Island.
    let error = parse_when(
        "2026-10-04 02:15",
        at("2026-01-01T00:00:00Z"),
        &zone("Australia/Lord_Howe"),
        "Australia/Lord_Howe",
    );
    assert!(error.unwrap_err().to_string().contains("from 02:00 to 02:30"));
}

#[test]
fn a_doubled_wall_time_is_the_first_unless_an_offset_names_the_second() {
    let first = when("2027-10-31 02:30").unwrap();
    assert_eq!((first.choice, first.instant), (Choice::FirstOfFold, at("2027-10-31T00:30:00Z")));
    assert!(echo(&first).ends_with("(+02:00), the first of two: clocks go back"), "{}", echo(&first));
    let second = when("2027-10-31T02:30:00+01:00").unwrap();
    assert_eq!((second.choice, second.instant), (Choice::SecondOfFold, at("2027-10-31T01:30:00Z")));
    assert_eq!((second.zone.as_str(), second.civil), ("Europe/Berlin", first.civil));
    assert_eq!(when("2027-10-31T02:30:00+02:00").unwrap().choice, Choice::FirstOfFold);
    assert_eq!(when("2027-10-31T00:30:00Z").unwrap().choice, Choice::Instant);
    assert_eq!(when("2027-10-31 04:30").unwrap().choice, Choice::Unique);
}

#[test]
fn what_is_not_a_time_is_told_so_with_the_forms_that_are() {
    for (text, part) in [
        ("", "none of the forms"),
        ("soon", "none of the forms"),
        ("2026-12-01", "time of day is missing"),
        ("2026-13-01 09:00", "month"),
        ("2026-02-29 09:00", "day"),
        ("01.12.2026 09:00", "must look like `2026-12-01`"),
        ("2026-12-01 25:00", "`25:00` is not a time of day"),
        ("2026-12-01 9", "`9` is not a time of day"),
        ("2026-12-01 09:00.5", "`09:00.5` is not a time of day"),
        ("2026-12-01 09:00:00.", "is not a time of day"),
        ("2026-12-01 09:0", "`09:0` is not a time of day"),
        ("2026-12-01T09:00:00+1", "`+1` is not an offset"),
        ("2026-12-01T09:00:00+25:00", "`+25:00` is not an offset"),
        ("tomorrow", "time of day is missing"),
        ("not at all", "`not` is not `today`"),
        ("tomorrow 13pm", "`13pm` is not a time of day"),
        ("tomorrow 0am", "`0am` is not a time of day"),
        ("someday 9am", "`someday` is not"),
        ("+2", "not a duration"),
        ("+0h", "longer than nothing"),
        ("-2h", "none of the forms"),
        ("+9999999d", "too far ahead"),
        ("+99999999999999999999d", "too long"),
        ("2026-12-01 09:00:00 ü", "not a time of day"),
        ("mön 9:00", "`mön` is not"),
    ] {
        let error = when(text).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert!(error.hint().unwrap().contains("tomorrow 9am"), "{text}");
    }
}

#[test]
fn durations_are_read_and_printed_alike() {
    for (text, seconds, printed) in [
        ("90s", 90, "90s"),
        ("60m", 3600, "60m"),
        ("1h30m", 5400, "90m"),
        ("24h", 86_400, "24h"),
        ("2d", 172_800, "2d"),
        ("1d2h", 93_600, "26h"),
        ("1s", 1, "1s"),
    ] {
        let span = parse_duration(text).unwrap();
        assert_eq!((span.as_secs(), print_duration(span).as_str()), (seconds, printed), "{text}");
        assert_eq!(parse_duration(printed).unwrap(), span);
    }
    assert_eq!(print_duration(parse_span("1500ms").unwrap()), "1500ms");
    assert_eq!(print_duration(parse_span("0s").unwrap()), "0s");
    for text in ["", "0s", "5", "m", "5 m", "-5m", "5x", "30m1h", "1h1h", "1.5h", "5é", "99999999999999999d"]
    {
        assert!(
            parse_duration(text).unwrap_err().to_string().contains(&format!("`{text}` is not a duration"))
        );
    }
    assert_eq!(parse_shift("-30m").unwrap(), SignedDuration::from_mins(-30));
    assert_eq!(parse_shift("+2h").unwrap(), SignedDuration::from_hours(2));
    assert!(parse_shift("2h").unwrap_err().to_string().contains("needs a sign"));
}

#[test]
fn the_late_policy_decides_at_its_limit() {
    let due = at(NOW);
    for (text, seconds, allowed) in [
        ("60m", 3600, true),
        ("60m", 3601, false),
        ("exact", 120, true),
        ("exact", 121, false),
        ("always", 1_000_000, true),
    ] {
        let late: Late = text.parse().unwrap();
        assert_eq!(late.to_string(), text);
        assert_eq!(late.allows(due, due + SignedDuration::from_secs(seconds)), allowed, "{text} {seconds}");
    }
    assert!("never".parse::<Late>().unwrap_err().to_string().contains("`always` or `exact`"));
}

#[test]
fn a_slot_in_the_gap_moves_forward_by_the_gap_and_meets_its_neighbour_once() {
    let gap = "2027-03-28";
    assert_eq!(berlin_day(&["30 2 * * *"], gap), ["03:30:00 2027-03-28T01:30:00Z"]);
    let both = ["01:30:00 2027-03-28T00:30:00Z", "03:30:00 2027-03-28T01:30:00Z"];
    assert_eq!(berlin_day(&["30 1,2,3 * * *"], gap), both);
    assert_eq!(
        berlin_day(&["30 1 * * *", "30 3 * * *", "30 2 * * *"], gap),
        both,
        "several patterns are one list"
    );
    // Moved slots fall between slots that were searched after them.
    let order = ["03:00:00", "03:10:00", "03:30:00", "03:40:00"];
    let found = berlin_day(&["0,30 2 * * *", "10,40 3 * * *"], gap);
    assert!(
        found.iter().zip(order).all(|(it, local)| it.starts_with(local)) && found.len() == 4,
        "{found:?}"
    );
}

#[test]
fn a_slot_in_the_doubled_hour_runs_once_at_the_first_occurrence() {
    let fold = "2027-10-31";
    assert_eq!(berlin_day(&["30 2 * * *"], fold), ["02:30:00 2027-10-31T00:30:00Z"]);
    assert_eq!(
        berlin_day(&["30 1,2,3 * * *"], fold),
        ["01:30:00 2027-10-30T23:30:00Z", "02:30:00 2027-10-31T00:30:00Z", "03:30:00 2027-10-31T02:30:00Z"]
    );
}

#[test]
fn asking_from_any_moment_gives_the_same_slots() {
    let (patterns, zone) = (patterns(&["*/20 1-4 * * *", "30 2 * * *"]), zone("Europe/Berlin"));
    for day in ["2027-03-27T22:00:00Z", "2027-10-30T21:00:00Z"] {
        let all: Vec<_> = slots(&patterns, &zone, "Europe/Berlin", at(day)).take(40).collect();
        assert!(all.windows(2).all(|it| it[0].due.instant < it[1].due.instant && it[0].local < it[1].local));
        for minutes in 0..600 {
            let after = at(day) + SignedDuration::from_mins(minutes);
            let expected = all.iter().find(|it| it.due.instant > after).unwrap();
            let found = slots(&patterns, &zone, "Europe/Berlin", after).next().unwrap();
            assert_eq!(
                (found.local, found.due.instant),
                (expected.local, expected.due.instant),
                "after {after}"
            );
        }
    }
}

#[test]
fn a_daily_slot_runs_once_a_day_in_every_zone_around_every_change() {
    let daily = patterns(&["30 2 * * *"]);
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2029-01-01T00:00:00Z"));
    let (mut zones, mut changes, mut moved, mut doubled) = (0, 0, 0, 0);
    for name in TimeZoneDatabase::bundled().available() {
        let (name, zone) = (name.as_str(), zone(name.as_str()));
        zones += 1;
        for change in zone.following(from).take_while(|it| it.timestamp() < to) {
            changes += 1;
            let change = change.timestamp();
            let (start, end) =
                (change - SignedDuration::from_hours(72), change + SignedDuration::from_hours(72));
            let mut runs: BTreeMap<Date, u32> = BTreeMap::new();
            for slot in slots(&daily, &zone, name, start).take_while(|it| it.due.instant <= end) {
                *runs.entry(slot.local.date()).or_default() += 1;
                assert_eq!(zone.to_datetime(slot.due.instant), slot.local, "{name}");
                moved += u32::from(slot.due.choice == Choice::MovedByGap);
                doubled += u32::from(slot.due.choice == Choice::FirstOfFold);
            }
            let mut day = zone.to_datetime(start).date() + 1.day();
            while day < zone.to_datetime(end).date() {
                assert_eq!(runs.get(&day), Some(&1), "{name}: {day} around {change}");
                day += 1.day();
            }
        }
    }
    assert!(
        zones > 400 && changes > 500 && moved > 50 && doubled > 50,
        "{zones} {changes} {moved} {doubled}"
    );
}

#[test]
fn a_pattern_is_refused_with_the_field_at_fault() {
    for (text, message) in [
        ("0 9 * *", "needs 5 fields and has 4"),
        ("0 0 9 * * *", "needs 5 fields and has 6"),
        ("@daily", "needs 5 fields and has 1"),
        ("99 9 * * *", "minute `99` is wrong"),
        ("0 24 * * *", "hour `24` is wrong"),
        ("0 9 32 * *", "day of month `32` is wrong"),
        ("0 9 * 13 *", "month `13` is wrong"),
        ("0 9 * * MO", "day of week `MO` is wrong"),
        ("0 9 * * 8", "day of week `8` is wrong"),
        ("0 9,,17 * * *", "hour `9,,17` is wrong"),
        ("0 9 31 2 *", "never comes"),
        ("0 9 30,31 FEB *", "never comes"),
    ] {
        let error = SlotPattern::new(text).unwrap_err();
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(error.hint().is_some());
    }
    assert!(SlotPattern::new("0 9 29 2 *").is_ok(), "29 February comes, if rarely");
    assert_eq!(SlotPattern::new(" 0  9 * *  MON-FRI ").unwrap().as_str(), "0 9 * * MON-FRI");
}

#[test]
fn monday_is_one_and_sunday_is_zero_or_seven() {
    for (day, expected) in
        [("1", "2026-11-30"), ("0", "2026-11-29"), ("7", "2026-11-29"), ("MON", "2026-11-30")]
    {
        let (patterns, zone) = (patterns(&[&format!("0 9 * * {day}")]), zone("Europe/Berlin"));
        let first = slots(&patterns, &zone, "Europe/Berlin", at(NOW)).next().unwrap();
        assert_eq!(first.local.date().to_string(), expected);
    }
}

#[test]
fn new_zone_rules_move_a_settled_wall_time_not_its_hour() {
    let civil: DateTime = "2027-03-28T02:30:00".parse().unwrap();
    let moved = settle(civil, &zone("Europe/Berlin"), "Europe/Berlin").unwrap();
    assert_eq!((moved.choice, moved.civil.to_string().as_str()), (Choice::MovedByGap, "2027-03-28T03:30:00"));
    let elsewhere = settle(civil, &zone("Asia/Tokyo"), "Asia/Tokyo").unwrap();
    assert_eq!((elsewhere.choice, elsewhere.instant), (Choice::Unique, at("2027-03-27T17:30:00Z")));
}

#[test]
fn jitter_depends_on_queue_slot_and_installation_and_on_nothing_else() {
    let local: DateTime = "2026-12-01T09:00:00".parse().unwrap();
    let max = SignedDuration::from_mins(5);
    let drawn = jitter("mornings", local, b"seed", max);
    assert_eq!(drawn, jitter("mornings", local, b"seed", max));
    assert_ne!(drawn, jitter("evenings", local, b"seed", max));
    assert_ne!(drawn, jitter("mornings", local + 1.day(), b"seed", max));
    assert_ne!(drawn, jitter("mornings", local, b"other", max));
    assert_eq!(jitter("mornings", local, b"seed", SignedDuration::ZERO), SignedDuration::ZERO);
    // Spread over the whole range, not crowded at an end.
    let days = (0..400).map(|n| jitter("mornings", local + n.days(), b"seed", max));
    let (low, high) =
        days.fold((0, 0), |(low, high), it| if it < max / 2 { (low + 1, high) } else { (low, high + 1) });
    assert!(low > 150 && high > 150, "{low} {high}");
}

proptest! {
    #[test]
    fn jitter_stays_within_its_limit(queue in ".{0,20}", seed in any::<[u8; 8]>(), max in 0_i64..10_000_000) {
        let max = SignedDuration::from_millis(max);
        let drawn = jitter(&queue, DateTime::constant(2026, 12, 1, 9, 0, 0, 0), &seed, max);
        prop_assert!(drawn >= SignedDuration::ZERO && drawn <= max);
    }

    #[test]
    fn no_text_makes_the_time_parser_panic_or_answer_with_the_past(text in "\\PC{0,30}") {
        if let Ok(due) = when(&text) {
            prop_assert!(due.instant >= at(NOW));
        }
    }

    #[test]
    fn nearly_right_times_do_not_panic_either(text in "[0-9+:TtZz apm.dhs-]{0,26}") {
        if let Ok(due) = when(&text) {
            prop_assert!(due.instant >= at(NOW));
            prop_assert_eq!(due.offset().to_datetime(due.instant), due.civil);
        }
    }

    #[test]
    fn no_text_makes_the_pattern_parser_panic(text in "([0-9*/,#LW?@A-Z-]{1,6} ?){5}") {
        drop(SlotPattern::new(&text));
    }
}
