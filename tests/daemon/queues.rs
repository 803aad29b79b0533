//! Slots: in order, once each, held back by a pause; and queues that come with a new configuration.

use std::collections::BTreeSet;
use std::fs;

use futures_util::future::join_all;
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, Wish, code, draft};

fn queued() -> r::When {
    r::When::Queue("hourly".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_get_the_very_slots_that_the_queue_showed() {
    let house = House::furnished().await;
    let shown = house.client.queue_show("hourly", Some(3)).await.unwrap();
    assert!(shown.next.iter().all(|it| it.post.is_none()));
    for (n, slot) in shown.next.iter().enumerate() {
        let made = house.post(&[], &[&format!("Slot {n}.")], queued()).await;
        assert_eq!((made.to.as_slice(), made.deliveries[0].due), (["x:acme".into()].as_slice(), slot.at));
        let after = house.client.queue_show("hourly", Some(3)).await.unwrap();
        assert_eq!(after.next[n].post.as_ref(), Some(&made.id));
        assert_eq!(after.waiting, n as u64 + 1);
    }
    // The first two go out, each at its time and not before.
    for (n, slot) in shown.next.iter().take(2).enumerate() {
        assert_eq!(house.network.published().len(), n);
        house.pass_to(slot.at).await;
        house.holds(n + 1).await;
        assert_eq!(house.live(&format!("Slot {n}.")).len(), 1);
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_slot_is_given_twice_however_many_ask_at_once() {
    let house = House::furnished().await;
    let asks: Vec<_> =
        (0..20).map(|n| draft(&["bluesky:acme"], &[&format!("Crowd {n}.")], queued())).collect();
    let made = join_all(asks.iter().map(|ask| house.client.post_create(ask))).await;
    let dues: BTreeSet<_> = made.into_iter().map(|it| it.unwrap().deliveries[0].due).collect();
    assert_eq!(dues.len(), 20);
    let shown = house.client.queue_show("hourly", Some(21)).await.unwrap();
    let taken: BTreeSet<_> = shown.next.iter().filter_map(|it| it.post.clone()).collect();
    assert_eq!((taken.len(), shown.waiting), (20, 20));
    assert_eq!(shown.next[20].post, None, "no slot was left out either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_queue_holds_its_posts_back_until_it_is_resumed() {
    let house = House::furnished().await;
    assert!(house.client.queue_pause("hourly").await.unwrap().paused);
    let made = house.post(&["x:acme"], &["Held back."], queued()).await;
    assert!(made.notices.iter().any(|it| it.contains("paused")), "{:?}", made.notices);
    house.pass_to(made.deliveries[0].due).await;
    let held = house.reaches(&made.id, m::DeliveryState::Retry).await;
    let reason = held.reason.unwrap();
    assert_eq!(reason.class, "queue_paused");
    assert!(reason.hint.unwrap().contains("queue resume hourly"));
    // Others of the same account are not held.
    let other = house.post(&["x:acme"], &["Not in the queue."], r::When::Now).await;
    assert_eq!(house.ended(&other.id).await.status, m::PostStatus::Published);
    // Nor does waiting wear it down.
    house.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(house.live("Held back.").len(), 0);
    assert!(!house.client.queue_resume("hourly").await.unwrap().paused);
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Held back.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_post_gives_its_slot_back_and_a_moved_one_takes_another() {
    let house = House::furnished().await;
    let first = house.post(&["x:acme"], &["First."], queued()).await;
    let second = house.post(&["x:acme"], &["Second."], queued()).await;
    house.client.post_cancel(&first.id).await.unwrap();
    let third = house.post(&["x:acme"], &["Third."], queued()).await;
    assert_eq!(third.deliveries[0].due, first.deliveries[0].due);
    let part =
        house.client.post_reschedule(&second.deliveries[0].id, r::Move::Queue("hourly".into()), None).await;
    assert_eq!(code(part), "not_a_post");
    let moved =
        house.client.post_reschedule(&second.id, r::Move::Queue("hourly".into()), None).await.unwrap();
    assert!(moved.deliveries[0].due > second.deliveries[0].due);
    let fourth = house.post(&["x:acme"], &["Fourth."], queued()).await;
    assert_eq!(fourth.deliveries[0].due, second.deliveries[0].due, "the place it left is free again");
    let by = house.client.post_reschedule(&second.id, r::Move::By("+30m".into()), None).await.unwrap();
    assert_eq!(by.deliveries[0].due, moved.deliveries[0].due + SignedDuration::from_mins(30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_move_are_taken_back_with_their_time_and_their_place() {
    let house = House::furnished().await;
    let client = &house.client;
    let first = house.post(&["x:acme", "bluesky:acme"], &["First."], queued()).await;
    let place = async || client.queue_show("hourly", Some(1)).await.unwrap().next.remove(0).post;
    let due = first.deliveries[0].due;

    // A move to another time, and what had been cancelled of it before stays so.
    let alone = client.post_cancel(&first.deliveries[1].id).await.unwrap();
    let moved = client.post_reschedule(&first.id, r::Move::At("+9h".into()), None).await.unwrap();
    assert_eq!((place().await, moved.deliveries[1].state), (None, m::DeliveryState::Cancelled));
    let back = client.post_undo(&first.id, moved.undo.as_deref().unwrap()).await.unwrap();
    assert_eq!((back.deliveries[0].due, place().await.as_ref()), (due, Some(&first.id)));
    assert_eq!(back.deliveries[1].state, m::DeliveryState::Cancelled);
    assert!(back.notices[0].contains("x:acme is due"), "{:?}", back.notices);
    assert_eq!(code(client.post_undo(&first.id, &moved.undo.unwrap()).await), "nothing_to_undo");
    // Somebody has changed the post since.
    let other = r::EditPost { parts: Some(vec!["First!".into()]), ..r::EditPost::default() };
    client.post_edit(&first.id, &other).await.unwrap();
    let late = client.post_undo(&first.id, &alone.undo.unwrap()).await;
    assert_eq!(code(late), "changed_meanwhile");

    // A cancel acts at once, and gives everything back.
    let cancelled = client.post_cancel(&first.id).await.unwrap();
    assert_eq!((cancelled.status, place().await), (m::PostStatus::Cancelled, None));
    let back = client.post_undo(&first.id, cancelled.undo.as_deref().unwrap()).await.unwrap();
    assert_eq!((back.status, place().await.as_ref()), (m::PostStatus::Scheduled, Some(&first.id)));
    let last = back.deliveries.iter().find(|it| it.state == m::DeliveryState::Scheduled).unwrap();
    assert_eq!((last.due, last.account.as_str()), (due, "x:acme"));

    // What stands in place of what was cancelled is edited like any other, and what stays cancelled is no
    // reason against it.
    let words = r::EditPost { parts: Some(vec!["First, and better.".into()]), ..r::EditPost::default() };
    let edited = client.post_edit(&first.id, &words).await.unwrap();
    assert_eq!(edited.body, "First, and better.");

    // Its place was given to another meanwhile: both go out, and that is said.
    let cancelled = client.post_cancel(&first.id).await.unwrap();
    let second = house.post(&["x:acme"], &["Second."], queued()).await;
    let back = client.post_undo(&first.id, cancelled.undo.as_deref().unwrap()).await.unwrap();
    assert!(back.notices.iter().any(|it| it.contains(&second.id)), "{:?}", back.notices);
    assert_eq!(place().await.as_ref(), Some(&second.id));

    // Not after a minute.
    let cancelled = client.post_cancel(&first.id).await.unwrap();
    house.pass(SignedDuration::from_secs(70)).await;
    let late = client.post_undo(&first.id, cancelled.undo.as_deref().unwrap()).await;
    assert_eq!(code(late), "nothing_to_undo");
    house.pass_to(due).await;
    house.ended(&second.id).await;
    let live = |words: &str| house.live(words).len();
    let firsts = live("First.") + live("First!") + live("First, and better.");
    assert_eq!((firsts, live("Second.")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_right_before_the_time_stops_it_and_taken_back_after_it_goes_out_once() {
    let house = House::furnished().await;
    let soon = r::When::At("+3s".into());
    let exact = r::CreatePost { late: Some("exact".into()), ..draft(&["x:acme"], &["In time."], soon) };
    let made = house.client.post_create(&exact).await.unwrap();
    let cancelled = house.client.post_cancel(&made.id).await.unwrap();
    house.pass(SignedDuration::from_secs(30)).await;
    assert_eq!(house.live("In time.").len(), 0);
    let back = house.client.post_undo(&made.id, &cancelled.undo.unwrap()).await.unwrap();
    assert!(back.notices[0].contains("goes out now"), "{:?}", back.notices);
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("In time.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_brings_a_new_queue_and_a_bad_file_changes_nothing() {
    let house = House::furnished().await;
    let names = async || {
        let list = house.client.queue_list().await.unwrap();
        list.queues.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    let good = fs::read_to_string(house.config_path()).unwrap();
    let more = "[[queue]]\nname = \"evenings\"\ncron = [\"0 19 * * *\"]\naccounts = [\"bluesky:acme\"]\n";
    fs::write(house.config_path(), format!("{good}{more}")).unwrap();
    house.hang_up();
    assert_eq!(names().await, ["hourly", "spare", "evenings"]);
    let evening = r::When::Queue("evenings".into());
    let made = house.post(&[], &["Tonight."], evening).await;
    assert_eq!(made.deliveries[0].due.to_string(), "2030-03-05T19:00:00Z");

    fs::write(house.config_path(), format!("{good}{more}[[queue]]\nname = 7\n")).unwrap();
    house.hang_up();
    assert_eq!(code(house.client.config_reload().await), "bad_config");
    assert_eq!(names().await, ["hourly", "spare", "evenings"]);
    fs::write(house.config_path(), format!("{good}[limits]\nper_address = 3\n")).unwrap();
    let told = house.client.config_reload().await.unwrap();
    assert_eq!(told.needs_restart, ["[limits]"], "the listener is bound with its limits");
    assert_eq!(told.changed, ["[[queue]] evenings"]);
    // Whoever does not read that line finds it in the status, until it is in force or taken back.
    let alert = async || {
        let all = house.client.status().await.unwrap().alerts;
        all.into_iter().find(|it| it.code == "restart_needed").map(|it| it.message)
    };
    house.hang_up();
    let needed = alert().await.unwrap();
    assert!(needed.ends_with(": [limits]"), "{needed}");
    fs::write(house.config_path(), &good).unwrap();
    house.hang_up();
    assert_eq!(alert().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_queue_moves_or_nothing_does_and_keeps_its_places() {
    let mut house = House::furnished().await;
    let mut made = Vec::new();
    for n in 0..3 {
        made.push(house.post(&["x:acme"], &[&format!("Row {n}.")], queued()).await);
    }
    let dues = async |house: &House| {
        let mut found = Vec::new();
        for it in &made {
            found.push(house.client.post_show(&it.id).await.unwrap().deliveries[0].due);
        }
        found
    };
    let before = dues(&house).await;
    // The first would have passed, so none moves, and it is named.
    let refused = house.client.queue_reschedule("hourly", "-70m").await.unwrap_err().detail();
    assert_eq!(refused.code, "past_time");
    assert!(refused.message.contains(&made[0].id), "{}", refused.message);
    assert_eq!(dues(&house).await, before);
    let moved = house.client.queue_reschedule("hourly", "+2h").await.unwrap();
    assert_eq!(moved.posts.len(), 3);
    house.kill().await;
    house.start().await;
    let later: Vec<_> = before.iter().map(|it| *it + SignedDuration::from_hours(2)).collect();
    assert_eq!(dues(&house).await, later);
    let shown = house.client.queue_show("hourly", Some(4)).await.unwrap();
    assert_eq!((shown.waiting, shown.next[0].at), (3, later[0]), "the place shows when its post runs");
    let next = house.post(&["x:acme"], &["Row 3."], queued()).await;
    assert_eq!(next.deliveries[0].due, shown.next[3].at, "nobody slips in before them");
    house.client.queue_reschedule("hourly", "-2h").await.unwrap();
    assert_eq!(dues(&house).await, before);
    assert_eq!(code(house.client.queue_reschedule("spare", "+2h").await), "nothing_waits");
    assert_eq!(code(house.client.queue_reschedule("hourly", "2h").await), "bad_duration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_outlives_restart_and_configuration_and_is_in_the_status() {
    let mut house = House::furnished().await;
    house.client.queue_pause("hourly").await.unwrap();
    let made = house.post(&["x:acme"], &["Behind a gap."], queued()).await;
    let also = house.post(&["x:acme"], &["Too late by then."], queued()).await;
    house.client.post_cancel(&made.id).await.unwrap();
    assert_eq!(house.client.queue_show("hourly", Some(1)).await.unwrap().waiting, 1, "a gap hides nobody");
    house.stop().await;
    house.start().await;
    assert!(house.client.queue_show("hourly", None).await.unwrap().paused);
    let alerts = house.client.status().await.unwrap().alerts;
    assert!(alerts.iter().any(|it| it.code == "queue_paused" && it.message.contains("hourly")), "{alerts:?}");
    // Taken out of the configuration, it can still be let go; the late policy decides what goes out.
    let text = fs::read_to_string(house.config_path()).unwrap();
    fs::write(house.config_path(), text.replace("\"hourly\"", "\"renamed\"")).unwrap();
    house.hang_up();
    house.pass(SignedDuration::from_hours(9)).await;
    house.reaches(&also.id, m::DeliveryState::Retry).await;
    assert!(!house.client.queue_resume("hourly").await.unwrap().paused);
    assert_eq!(house.ended(&also.id).await.status, m::PostStatus::Missed);
    assert_eq!(code(house.client.queue_resume("hourly").await), "unknown_queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_whole_or_not_at_all() {
    let mut house = House::furnished().await;
    let both = ["x:acme", "bluesky:acme"];
    let made = house.post(&both, &["In two places."], r::When::At("+30m".into())).await;
    let before: Vec<_> = made.deliveries.iter().map(|it| it.due).collect();
    let refused =
        house.client.post_reschedule(&made.id, r::Move::By("-1h".into()), None).await.unwrap_err().detail();
    assert_eq!(refused.code, "past_time");
    assert!(refused.message.contains("which has passed"), "{}", refused.message);
    let moved = house.client.post_reschedule(&made.id, queued_move(), None).await.unwrap();
    house.kill().await;
    house.start().await;
    let shown = house.client.post_show(&made.id).await.unwrap();
    let slot = house.client.queue_show("hourly", Some(1)).await.unwrap().next.remove(0);
    assert_eq!(slot.post.as_ref(), Some(&made.id), "the slot was taken in the same write");
    assert!(shown.deliveries.iter().all(|it| it.due == slot.at && !before.contains(&it.due)));
    assert_eq!(shown.version, moved.version);
}

fn queued_move() -> r::Move {
    r::Move::Queue("hourly".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pause_left_behind_moves_with_its_queue_and_goes_out_at_its_new_time() {
    let house = House::with(Wish { patient: true, ..Wish::default() }).await;
    house.connect("x").await;
    house.connect("bluesky").await;
    // One whose answer is lost stays where it is, and is named.
    house.inject("x.create=lost_after,x.timeline=lost_before*500");
    let lost = house.post(&["x:acme"], &["May be live."], queued()).await;
    house.pass_to(lost.deliveries[0].due).await;
    house.reaches(&lost.id, m::DeliveryState::Unknown).await;
    house.client.queue_pause("hourly").await.unwrap();
    let both = house.post(&["x:acme", "bluesky:acme"], &["Left behind."], queued()).await;
    let single = house.post(&["bluesky:acme"], &["Moved alone."], queued()).await;
    // In one leap: a second one would meet the refresh that the first one makes due, whose proof then
    // bears a time of two hours ago.
    house.pass_to(single.deliveries[0].due + SignedDuration::from_hours(2)).await;
    for made in [&both, &single] {
        house
            .until("it is held back", async |client| {
                let post = client.post_show(&made.id).await.unwrap();
                post.deliveries.iter().all(|it| it.state == m::DeliveryState::Retry).then_some(())
            })
            .await;
    }
    let alone =
        house.client.post_reschedule(&single.id, r::Move::At("+30m".into()), None).await.unwrap().deliveries;
    assert_eq!(alone[0].state, m::DeliveryState::Scheduled);
    assert_eq!((alone[0].next_try, alone[0].reason.as_ref()), (None, None), "it waits for nothing else");
    let moved = house.client.queue_reschedule("hourly", "+4h").await.unwrap();
    // What was moved by itself gave its place up.
    assert_eq!(moved.posts.iter().map(|it| &it.id).collect::<Vec<_>>(), [&both.id]);
    let stays = &lost.deliveries[0].id;
    assert!(moved.notices.iter().any(|it| it.contains(stays) && it.contains("may be live")), "{moved:?}");
    let later = both.deliveries[0].due + SignedDuration::from_hours(4);
    for it in &moved.posts[0].deliveries {
        assert_eq!((it.due, it.state, it.attempts), (later, m::DeliveryState::Scheduled, 0));
    }
    house.client.queue_resume("hourly").await.unwrap();
    assert_eq!(house.live("Left behind.").len(), 0, "never early");
    house.pass_to(later).await;
    assert_eq!(house.ended(&both.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Left behind.").len(), 2);
    assert_eq!(house.ended(&single.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_comes_while_a_file_is_uploaded_still_stops_the_post() {
    let house = House::furnished().await;
    let media = house.picture("A loaf").await;
    let ask = r::CreatePost { media, ..draft(&["bluesky:acme"], &["Still uploading."], queued()) };
    let made = house.client.post_create(&ask).await.unwrap();
    house.inject("bluesky.upload=slow");
    house.pass_to(made.deliveries[0].due).await;
    house.reaches(&made.id, m::DeliveryState::Claimed).await;
    assert!(house.client.queue_pause("hourly").await.unwrap().paused);
    let held = house
        .until("it is held back", async |client| {
            let it = client.post_show(&made.id).await.unwrap().deliveries.remove(0);
            (it.reason.as_ref().is_some_and(|reason| reason.class == "queue_paused")).then_some(it)
        })
        .await;
    assert_eq!((held.state, held.attempts), (m::DeliveryState::Retry, 0), "no try was used up");
    assert!(house.network.published().is_empty());
    let events: Vec<_> = held.why.iter().map(|it| it.event.as_str()).collect();
    assert!(!events.contains(&"intend"), "{events:?}");
    let back = held.why.iter().find(|it| it.event == "put_back").unwrap();
    assert!(back.message.contains("before anything left"), "{back:?}");
    house.client.queue_resume("hourly").await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Still uploading.").len(), 1);
}
