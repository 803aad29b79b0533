//! Every zone of the database, every change of its clocks from 2024 to 2037, against an oracle that
//! knows nothing of schedules: it walks along UTC in quarters of an hour and writes down what the
//! clock on the wall shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::schedule::rezone::{self, is_too_close, recompute};
use sendoff::domain::schedule::runs::{AHEAD, AHEAD_MAX, Rule};
use sendoff::domain::schedule::slots::slots;
use sendoff::domain::schedule::{Choice, Due, WhenError, parse_when, placed, settle};

use super::{at, patterns, zone};

const QUARTER: SignedDuration = SignedDuration::from_mins(15);

/// What the wall shows around a change: civil time → the instants at which it shows it.
struct Wall(BTreeMap<DateTime, Vec<Timestamp>>);

impl Wall {
    fn around(zone: &TimeZone, change: Timestamp, reach: SignedDuration) -> Self {
        let mut shown: BTreeMap<DateTime, Vec<Timestamp>> = BTreeMap::new();
        let mut now = change - reach;
        while now <= change + reach {
            shown.entry(zone.to_offset(now).to_datetime(now)).or_default().push(now);
            now += QUARTER;
        }
        Self(shown)
    }

    fn first(&self, civil: DateTime) -> Option<Timestamp> {
        self.0.get(&civil).map(|it| it[0])
    }
}

/// Zones by their changes in these years: hundreds are aliases of each other.
fn zones() -> Vec<(String, TimeZone, Vec<Timestamp>)> {
    let (from, to) = (at("2024-01-01T00:00:00Z"), at("2038-01-01T00:00:00Z"));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in TimeZoneDatabase::bundled().available() {
        let zone = zone(name.as_str());
        let changes: Vec<_> = zone.following(from).take_while(|it| it.timestamp() < to).collect();
        let print: Vec<_> =
            changes.iter().map(|it| (it.timestamp().as_second(), it.offset().seconds())).collect();
        if !changes.is_empty() && seen.insert(print) {
            let at = changes.iter().map(jiff::tz::TimeZoneTransition::timestamp).collect();
            drop(changes);
            found.push((name.to_string(), zone, at));
        }
    }
    found
}

#[test]
fn typed_times_and_slots_agree_with_the_wall_in_every_zone_at_every_change() {
    let every_quarter = patterns(&["*/15 * * * *"]);
    let (mut gaps, mut folds, mut changes) = (0, 0, 0);
    for (name, zone, all) in zones() {
        for change in all {
            let before = zone.to_offset(change - SignedDuration::from_secs(1));
            let after = zone.to_offset(change);
            let jump = i64::from(after.seconds() - before.seconds());
            if jump == 0 {
                continue;
            }
            changes += 1;
            let wall = Wall::around(&zone, change, SignedDuration::from_hours(30));
            let reach = SignedDuration::from_secs(jump.abs()) + SignedDuration::from_hours(1);
            let now = change - SignedDuration::from_hours(29);
            let (mut civil, end) = (before.to_datetime(change - reach), after.to_datetime(change + reach));
            while civil <= end {
                let typed = civil.strftime("%Y-%m-%d %H:%M").to_string();
                let read = parse_when(&typed, now, &zone, &name);
                let settled = settle(civil, &zone, &name).unwrap();
                match wall.0.get(&civil).map_or(&[][..], Vec::as_slice) {
                    [] => {
                        gaps += 1;
                        let Err(WhenError::Nonexistent { neighbours: (early, late), .. }) = read else {
                            panic!("{name}: {typed} is in a gap, and was read as {read:?}");
                        };
                        let gap = SignedDuration::from_secs(jump);
                        assert_eq!((early, late), (civil - gap, civil + gap), "{name} {typed}");
                        assert!(wall.0.contains_key(&early) && wall.0.contains_key(&late), "{name} {typed}");
                        assert_eq!(
                            (settled.civil, Some(settled.instant)),
                            (late, wall.first(late)),
                            "{name} {typed}"
                        );
                        assert_eq!(settled.choice, Choice::MovedByGap);
                    }
                    [only] => {
                        assert_eq!(
                            (read.unwrap().instant, settled.instant),
                            (*only, *only),
                            "{name} {typed}"
                        );
                    }
                    [first, second] => {
                        folds += 1;
                        assert_eq!(
                            (read.unwrap().instant, settled.instant),
                            (*first, *first),
                            "{name} {typed}"
                        );
                        let offset = zone.to_offset(*second).to_string();
                        let offset = if offset.len() == 3 { format!("{offset}:00") } else { offset };
                        let named = parse_when(&format!("{typed}{offset}"), now, &zone, &name).unwrap();
                        assert_eq!(
                            (named.instant, named.choice),
                            (*second, Choice::SecondOfFold),
                            "{name} {typed}"
                        );
                        assert_eq!(
                            placed(*second, &zone, &name).choice,
                            Choice::SecondOfFold,
                            "{name} {typed}"
                        );
                    }
                    more => panic!("{name}: {typed} is shown {} times", more.len()),
                }
                civil += QUARTER;
            }
            // Every time the wall shows, once, at its first showing; what the gap swallowed falls
            // onto times behind it. So the slots are the wall's own list.
            let (from, to) = (change - reach, change + reach);
            let expected: Vec<_> = wall
                .0
                .iter()
                .filter(|(_, shown)| shown[0] > from && shown[0] <= to)
                .map(|(civil, shown)| (*civil, shown[0]))
                .collect();
            let found: Vec<_> = slots(&every_quarter, &zone, &name, from)
                .take_while(|it| it.due.instant <= to)
                .map(|it| (it.local, it.due.instant))
                .collect();
            assert_eq!(found, expected, "{name} around {change}");
            assert!(
                found.windows(2).all(|it| it[0].1 < it[1].1 && it[0].0 < it[1].0),
                "{name} around {change}"
            );
        }
    }
    assert!(gaps > 1000 && folds > 1000 && changes > 500, "{gaps} {folds} {changes}");
}

#[test]
fn a_run_in_the_changing_hour_is_made_exactly_once_in_every_zone_however_often_one_looks() {
    let mut runs = 0;
    for (name, zone, all) in zones() {
        for change in all {
            let before = zone.to_offset(change - SignedDuration::from_secs(1));
            let jump =
                SignedDuration::from_secs((zone.to_offset(change).seconds() - before.seconds()).into());
            let asked = before.to_datetime(change) + SignedDuration::from_mins(30);
            let daily = patterns(&[&format!("{} {} * * *", asked.minute(), asked.hour())]);
            let rule = Rule { patterns: &daily, zone: &zone, zone_name: &name, until: None, left: None };
            let wall = Wall::around(&zone, change, SignedDuration::from_hours(80));
            let (start, end) =
                (change - SignedDuration::from_hours(72), change + SignedDuration::from_hours(48));
            let (mut made, mut through, mut now) = (BTreeMap::new(), start, start);
            while now <= end {
                let plan = rule.plan(through, now, |it| made.contains_key(&it));
                assert_eq!(plan.skipped_count, 0, "{name}: nothing passes while one looks");
                for slot in plan.make {
                    assert!(
                        slot.due.instant > now
                            && slot.due.instant <= now + AHEAD + SignedDuration::from_hours(25)
                    );
                    assert_eq!(
                        made.insert(slot.local, slot.due.instant),
                        None,
                        "{name}: {} twice",
                        slot.local
                    );
                }
                (through, now) = (now, now + SignedDuration::from_hours(7));
            }
            // The wall's days, one run on each, at the first showing of its time.
            let instants: Vec<_> = made.values().copied().collect();
            assert!(instants.windows(2).all(|it| it[0] < it[1]), "{name} around {change}");
            let mut days = BTreeSet::new();
            for (local, instant) in &made {
                // One moved over midnight by a gap is the run of the day before.
                let moved = local.time() != asked.time();
                let day = if moved { (*local - jump).date() } else { local.date() };
                assert!(days.insert(day), "{name}: two runs for {day}");
                if let Some(first) = wall.first(*local) {
                    assert_eq!(*instant, first, "{name}: {local}");
                }
            }
            let whole: BTreeSet<_> = wall
                .0
                .iter()
                .filter(|(_, it)| it[0] > start && it[0] <= end)
                .map(|(it, _)| it.date())
                .collect();
            let inner = whole.iter().skip(1).rev().skip(1);
            for day in inner {
                assert!(days.contains(day), "{name}: no run on {day}");
            }
            runs += made.len();
        }
    }
    assert!(runs > 2000, "{runs}");
}

#[test]
fn what_passed_becomes_one_run_the_latest_and_the_others_are_counted() {
    let (hourly, berlin) = (patterns(&["0 * * * *"]), zone("Europe/Berlin"));
    let rule =
        |left| Rule { patterns: &hourly, zone: &berlin, zone_name: "Europe/Berlin", until: None, left };
    let (from, now) = (at("2027-06-01T00:30:00Z"), at("2027-06-01T06:30:00Z"));
    let plan = rule(None).plan(from, now, |_| false);
    assert_eq!((plan.skipped_count, plan.make[0].due.instant), (5, at("2027-06-01T06:00:00Z")));
    assert_eq!(plan.first_skipped.unwrap().to_string(), "2027-06-01T03:00:00");
    assert_eq!(plan.make.len(), 1 + 48, "two days ahead, and what passed");
    // A later one that was made stands for all that passed.
    let eight: DateTime = "2027-06-01T08:00:00".parse().unwrap();
    let plan = rule(None).plan(from, now, |it| it == eight);
    assert_eq!((plan.skipped_count, plan.make[0].due.instant), (5, at("2027-06-01T07:00:00Z")));
    // The count ends it, and what it has ended is not missed.
    assert_eq!(rule(Some(2)).plan(from, now, |_| false).make.len(), 2);
    assert_eq!(rule(Some(0)).plan(from, now, |_| false), sendoff::domain::schedule::runs::Plan::default());
    // The next one is made however far away it is; many are not.
    let rare = patterns(&["0 9 24 12 *"]);
    let rare = Rule { patterns: &rare, ..rule(None) };
    assert_eq!(rare.plan(now, now, |_| false).make.len(), 1);
    let often = patterns(&["* * * * *"]);
    assert_eq!(Rule { patterns: &often, ..rule(None) }.plan(now, now, |_| false).make.len(), AHEAD_MAX);
    let last_day = Rule { until: Some("2027-06-01".parse().unwrap()), ..rule(None) };
    let made = last_day.plan(now, now, |_| false).make;
    assert_eq!(made.last().unwrap().local.to_string(), "2027-06-01T23:00:00");
    assert!(last_day.slot_at("2027-06-02T00:00:00".parse().unwrap()).is_none());
}

#[test]
fn new_rules_move_what_was_meant_on_the_wall_and_nothing_else() {
    // As if Berlin were to keep the time of Moscow.
    let (berlin, moscow) = (zone("Europe/Berlin"), zone("Europe/Moscow"));
    assert_ne!(rezone::print(&berlin), rezone::print(&moscow));
    assert_eq!(
        rezone::print(&berlin),
        rezone::print(&zone("Arctic/Longyearbyen")),
        "an alias has the same rules"
    );
    let due = settle("2027-01-15T09:00:00".parse().unwrap(), &berlin, "Europe/Berlin").unwrap();
    let moved = recompute(&due, &moscow).unwrap();
    assert_eq!((moved.civil, moved.instant), (due.civil, due.instant - SignedDuration::from_hours(2)));
    assert_eq!(recompute(&due, &berlin), None);
    assert_eq!(recompute(&Due { choice: Choice::Instant, ..due.clone() }, &moscow), None);
    // The second of two stays the second, and becomes the only one where there is no fold.
    let second = placed(at("2027-10-31T01:30:00Z"), &berlin, "Europe/Berlin");
    assert_eq!((second.choice, recompute(&second, &berlin)), (Choice::SecondOfFold, None));
    assert_eq!(recompute(&second, &moscow).unwrap().choice, Choice::Unique);
    assert!(is_too_close(&moved, moved.instant - SignedDuration::from_mins(4)));
    assert!(is_too_close(&moved, moved.instant + SignedDuration::from_mins(4)));
    assert!(!is_too_close(&moved, moved.instant - SignedDuration::from_mins(5)));
}
