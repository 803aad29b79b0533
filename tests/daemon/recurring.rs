//! Recurring posts: made ahead, each run once, whatever ends or changes in between.

use std::collections::BTreeSet;
use std::fs;

use futures_util::StreamExt as _;
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::domain::delivery::Event;
use sendoff::domain::schedule::{Choice, Due};
use sendoff::store::{Options, Store, deliveries, posts, zones};

use crate::house::{House, code};

const HOURLY: &str = "[[recurring]]\nname = \"news\"\ncron = [\"30 * * * *\"]\ntimezone = \"Europe/Berlin\"\n\
                      accounts = [\"bluesky:acme\"]\nbody = \"Every hour.\"\n";

fn configure(house: &House, more: &str) {
    let text = fs::read_to_string(house.config_path()).unwrap();
    let plain = text.split("[[recurring]]").next().unwrap().to_owned();
    fs::write(house.config_path(), plain + more).unwrap();
}

/// The runs that wait, as (id, due, text).
async fn waiting(house: &House) -> Vec<m::Post> {
    let ask = r::ListPosts { state: Some("scheduled".into()), limit: Some(500), ..r::ListPosts::default() };
    let mut found = house.client.post_list(&ask).await.unwrap().posts;
    found.retain(|it| it.source == m::Source::Recurring);
    found.sort_by_key(|it| it.deliveries[0].due);
    found
}

async fn until_waiting(house: &House, what: &str, wanted: impl Fn(&[m::Post]) -> bool) -> Vec<m::Post> {
    house
        .until(what, async |_| {
            let found = waiting(house).await;
            wanted(&found).then_some(found)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_made_ahead_and_once_over_reload_kill_and_restart() {
    let mut house = House::furnished().await;
    configure(&house, HOURLY);
    house.hang_up();
    let first = until_waiting(&house, "runs", |it| it.len() == 48).await;
    let dues: BTreeSet<_> = first.iter().map(|it| it.deliveries[0].due).collect();
    assert_eq!((dues.len(), first[0].deliveries[0].due.to_string().as_str()), (48, "2030-03-05T08:30:00Z"));
    house.hang_up();
    house.kill().await;
    house.start().await;
    house.stop().await;
    house.start().await;
    let ids = |it: &[m::Post]| it.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&waiting(&house).await), ids(&first));
    house.pass_to(first[0].deliveries[0].due).await;
    assert_eq!(house.ended(&first[0].id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Every hour.").len(), 1);
    // One taken back is not made again, one deleted neither.
    house.client.post_cancel(&first[1].id).await.unwrap();
    house.client.post_delete(&first[1].id, true).await.unwrap();
    house.kill().await;
    house.start().await;
    let now = waiting(&house).await;
    assert!(now.iter().all(|it| it.deliveries[0].due != first[1].deliveries[0].due), "its slot was used");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_definition_is_followed_by_what_waits_and_by_nothing_else() {
    let house = House::furnished().await;
    configure(&house, HOURLY);
    house.hang_up();
    let first = until_waiting(&house, "runs", |it| it.len() == 48).await;
    let own = r::EditPost { parts: Some(vec!["Mine.".into()]), ..r::EditPost::default() };
    house.client.post_edit(&first[1].id, &own).await.unwrap();
    configure(&house, &HOURLY.replace("Every hour.", "On the half hour."));
    house.hang_up();
    let second = until_waiting(&house, "the new text", |it| it[0].body == "On the half hour.").await;
    assert_eq!(second.len(), 48);
    assert_eq!((second[0].id.clone(), second[1].body.as_str()), (first[0].id.clone(), "Mine."));
    // Fewer slots: what has no place is withdrawn, by hand or not; edits of a person stay.
    configure(
        &house,
        &HOURLY.replace("30 * * * *", "30 12 * * *").replace("Every hour.", "On the half hour."),
    );
    house.hang_up();
    let third = until_waiting(&house, "fewer runs", |it| it.len() == 3).await;
    let bodies: Vec<_> = third.iter().map(|it| it.body.as_str()).collect();
    assert_eq!(bodies, ["Mine.", "On the half hour.", "On the half hour."]);
    let gone = house.client.post_show(&first[0].id).await.unwrap();
    assert_eq!(gone.deliveries[0].reason.as_ref().unwrap().class, "withdrawn");
    configure(&house, "");
    house.hang_up();
    until_waiting(&house, "only what a person changed", |it| it.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_downtime_one_run_stands_for_those_that_passed_and_they_are_listed() {
    let mut house = House::furnished().await;
    configure(&house, HOURLY);
    house.hang_up();
    let runs = until_waiting(&house, "runs", |it| it.len() == 48).await;
    house.stop().await;
    // Within what was made ahead: those posts exist, and end as missed. 20 minutes late is not too late.
    house.jump(SignedDuration::from_mins(5 * 60 + 40));
    house.start().await;
    let latest = house.ended(&runs[5].id).await;
    assert_eq!(latest.status, m::PostStatus::Published, "{latest:?}");
    for it in &runs[..5] {
        let passed = house.ended(&it.id).await;
        assert_eq!(passed.deliveries[0].reason.as_ref().unwrap().class, "coalesced");
        assert_eq!(passed.status, m::PostStatus::Missed);
    }
    assert_eq!(house.live("Every hour.").len(), 1);
    house.stop().await;
    // Beyond it: no posts were made for the last of them, and the log and the status name them.
    house.jump(SignedDuration::from_hours(100));
    house.start().await;
    house.holds(2).await;
    assert_eq!(house.live("Every hour.").len(), 2);
    let status = house.client.status().await.unwrap();
    let alert = status.alerts.iter().find(|it| it.code == "recurring_skipped").unwrap();
    assert!(alert.message.contains("passed over (2030-03-07 "), "{alert:?}");
    assert!(house.story(None).await.iter().any(|(event, _)| event == "recurring.skipped"));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_pass_while_everything_is_stopped_become_one_too() {
    let house = House::furnished().await;
    configure(&house, &format!("{HOURLY}late = \"always\"\n"));
    house.hang_up();
    let runs = until_waiting(&house, "runs", |it| it.len() == 48).await;
    house.client.pause(None).await.unwrap();
    house.pass_to(runs[3].deliveries[0].due).await;
    house.client.resume().await.unwrap();
    assert_eq!(house.ended(&runs[3].id).await.status, m::PostStatus::Published);
    for it in &runs[..3] {
        assert_eq!(house.ended(&it.id).await.status, m::PostStatus::Missed);
    }
    assert_eq!(house.live("Every hour.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_ends_it_and_trouble_is_told_until_it_is_over() {
    let house = House::new().await;
    configure(&house, &format!("{HOURLY}count = 2\n"));
    house.hang_up();
    let alert = house
        .until("the alert", async |client| {
            let status = client.status().await.unwrap();
            status.alerts.into_iter().find(|it| it.code == "recurring_trouble")
        })
        .await;
    assert!(alert.message.contains("not connected: bluesky:acme"), "{alert:?}");
    house.connect("bluesky").await;
    house.hang_up();
    let runs = until_waiting(&house, "two runs", |it| it.len() == 2).await;
    let status = house.client.status().await.unwrap();
    assert!(status.alerts.iter().all(|it| it.code != "recurring_trouble"), "{:?}", status.alerts);
    for it in &runs {
        house.pass_to(it.deliveries[0].due).await;
        house.ended(&it.id).await;
    }
    house.pass(SignedDuration::from_hours(3)).await;
    assert_eq!((house.live("Every hour.").len(), waiting(&house).await.len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_month_shows_what_is_due_what_is_free_and_what_will_come() {
    let house = House::furnished().await;
    configure(&house, HOURLY);
    house.hang_up();
    until_waiting(&house, "runs", |it| it.len() == 48).await;
    let ask = r::Calendar { month: Some("2030-03".into()), tz: Some("Europe/Berlin".into()) };
    let month = house.client.calendar(&ask).await.unwrap();
    assert_eq!(
        (month.from.to_string().as_str(), month.to.to_string().as_str()),
        ("2030-02-28T23:00:00Z", "2030-03-31T22:00:00Z")
    );
    assert_eq!((month.deliveries.len(), month.changes.len(), month.cut), (48, 1, false));
    assert_eq!(month.changes[0].at.to_string(), "2030-03-31T01:00:00Z");
    let dues: BTreeSet<_> = month.deliveries.iter().map(|it| it.due).collect();
    assert!(month.recurring.iter().all(|it| !dues.contains(&it.at)), "a run is there once");
    // From 09:30 on the 5th to midnight, an hour short on the 31st.
    assert_eq!(month.recurring.len() + month.deliveries.len(), 15 + 26 * 24 - 1);
    let taken = house.post(&["x:acme"], &["A place."], r::When::Queue("hourly".into())).await;
    let after = house.client.calendar(&ask).await.unwrap();
    assert_eq!(after.slots.len(), month.slots.len() - 1);
    assert!(after.slots.iter().all(|it| it.at != taken.deliveries[0].due));
    let bad = r::Calendar { month: Some("smarch".into()), tz: None };
    assert_eq!(code(house.client.calendar(&bad).await), "bad_month");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_the_log_misses_nothing_and_gets_nothing_twice_over_restarts() {
    let mut house = House::furnished().await;
    let mut seen = Vec::new();
    for n in 0..3 {
        let made = house.post(&["bluesky:acme"], &[&format!("Line {n}.")], r::When::Now).await;
        house.ended(&made.id).await;
        let after = seen.last().map(|it: &m::LogEvent| it.seq);
        let ask = r::Events { after: Some(after.unwrap_or(0)), ..r::Events::default() };
        let page: Vec<_> = house.client.events(&ask).await.unwrap().map(Result::unwrap).collect().await;
        seen.extend(page);
        if n == 1 {
            house.kill().await;
        } else {
            house.stop().await;
        }
        house.start().await;
    }
    let ask = r::Events { after: Some(0), ..r::Events::default() };
    let whole: Vec<m::LogEvent> =
        house.client.events(&ask).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(whole, seen);
    assert!(whole.windows(2).all(|it| it[0].seq + 1 == it[1].seq), "{whole:#?}");
    assert_eq!(whole.iter().filter(|it| it.event == "delivery.published").count(), 3);
    // A number from another store is told, not waited for.
    let ask = r::Events { after: Some(1_000_000), ..r::Events::default() };
    let told: Vec<_> = house.client.events(&ask).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!((told.len(), told[0].event.as_str()), (1, "log.gap"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_zone_rules_move_what_is_scheduled_and_hold_what_comes_too_near() {
    let mut house = House::furnished().await;
    let berlin = async |text: &str, when: &str| {
        let ask = r::CreatePost {
            tz: Some("Europe/Berlin".into()),
            ..crate::house::draft(&["bluesky:acme"], &[text], r::When::At(when.into()))
        };
        house.client.post_create(&ask).await.unwrap()
    };
    let (near, far) = (berlin("Near.", "2030-03-05 09:12").await, berlin("Far.", "2030-03-06 09:00").await);
    let fixed =
        house.post(&["bluesky:acme"], &["Fixed."], r::When::At("2030-03-06T09:00:00+01:00".into())).await;
    house.stop().await;
    // As if all had been reckoned by rules that put Berlin an hour further west.
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let now = house.now();
    store
        .write(move |tx| {
            for post in posts::list(&*tx, &posts::Filter::default(), 10, None)?.posts {
                for before in deliveries::of_post(tx, post)? {
                    if before.due.choice == Choice::Instant {
                        continue;
                    }
                    let due = Due {
                        instant: before.due.instant + SignedDuration::from_hours(1),
                        ..before.due.clone()
                    };
                    let event = Event::Reschedule { give_up_at: before.give_up_at, due };
                    let after = before.apply(event, now).unwrap();
                    deliveries::put(tx, Some(&before), &after, None)?;
                }
            }
            zones::set_print(tx, "Europe/Berlin", [7; 32])
        })
        .await
        .unwrap();
    store.close().await;
    drop(store);
    house.start().await;
    for (post, due) in
        [(&near, "2030-03-05T08:12:00Z"), (&far, "2030-03-06T08:00:00Z"), (&fixed, "2030-03-06T08:00:00Z")]
    {
        assert_eq!(house.client.post_show(&post.id).await.unwrap().deliveries[0].due.to_string(), due);
    }
    let moved: Vec<_> =
        house.story(None).await.into_iter().filter(|(_, it)| it.contains("moved by new rules")).collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    let codes: BTreeSet<_> =
        house.client.status().await.unwrap().alerts.into_iter().map(|it| it.code).collect();
    assert!(codes.contains("zone_changed") && codes.contains("zone_held"), "{codes:?}");
    house.pass_to(near.deliveries[0].due).await;
    let held = house.reaches(&near.id, m::DeliveryState::Retry).await;
    assert_eq!(held.reason.unwrap().class, "zone_changed");
    house.client.post_retry(&near.id).await.unwrap();
    assert_eq!(house.ended(&near.id).await.status, m::PostStatus::Published);
    // Once is enough: the same rules again change nothing.
    house.stop().await;
    house.start().await;
    assert!(house.story(None).await.iter().all(|(_, it)| !it.contains("moved by new rules")));
}
