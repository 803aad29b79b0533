//! Drafts that are still being written, and the lists that the console asks for.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, code, draft};

fn at(text: &str) -> r::When {
    r::When::At(text.into())
}

fn unfinished(to: &[&str], text: &str) -> r::CreatePost {
    r::CreatePost { unfinished: true, key: Some("page".into()), ..draft(to, &[text], r::When::Draft) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_kept_as_it_stands_and_checked_when_it_gets_its_time() {
    let house = House::furnished().await;
    let long = "long ".repeat(80);
    // For nobody, and too long for everybody.
    let made = house.client.post_create(&unfinished(&[], &long)).await.unwrap();
    assert_eq!((made.status, made.to.len(), made.body.as_str()), (m::PostStatus::Draft, 0, long.as_str()));
    let again = house.client.post_create(&unfinished(&[], &long)).await.unwrap();
    assert_eq!((again.id.as_str(), again.existing), (made.id.as_str(), true), "an answer that was lost");
    let soon = || r::Move::At("+1h".into());
    assert_eq!(code(house.client.post_reschedule(&made.id, soon(), None).await), "no_target");
    let edit = r::EditPost {
        to: Some(vec!["x:acme".into()]),
        unfinished: true,
        version: Some(1),
        ..r::EditPost::default()
    };
    let edited = house.client.post_edit(&made.id, &edit).await.unwrap();
    assert_eq!((edited.version, edited.to.as_slice()), (2, &["x:acme".to_owned()][..]));
    assert_eq!(code(house.client.post_edit(&made.id, &edit).await), "changed_meanwhile");
    assert_eq!(code(house.client.post_reschedule(&made.id, soon(), None).await), "validation");
    let short =
        r::EditPost { parts: Some(vec!["Short.".into()]), unfinished: true, ..r::EditPost::default() };
    house.client.post_edit(&made.id, &short).await.unwrap();
    let moved = house.client.post_reschedule(&made.id, r::Move::At("now".into()), None).await.unwrap();
    assert_eq!(moved.deliveries.len(), 1);
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Short.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_draft_can_be_unfinished() {
    let house = House::furnished().await;
    let timed = r::CreatePost { when: Some(at("+1h")), ..unfinished(&["x:acme"], "For X.") };
    assert_eq!(code(house.client.post_create(&timed).await), "not_a_draft");
    let made = house.post(&["x:acme"], &["For X."], at("+1h")).await;
    let edit = r::EditPost { unfinished: true, parts: Some(vec![String::new()]), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&made.id, &edit).await), "not_a_draft");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_option_of_a_network_that_a_draft_does_not_go_to_is_refused_with_its_time() {
    let house = House::furnished().await;
    let options = [("bluesky".to_owned(), [("langs".to_owned(), "de".to_owned())].into())].into();
    let ask = r::CreatePost { options, ..unfinished(&["x:acme"], "For X.") };
    let made = house.client.post_create(&ask).await.unwrap();
    let soon = r::Move::At("+1h".into());
    assert_eq!(code(house.client.post_reschedule(&made.id, soon, None).await), "unused_option");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_leaves_one_line_in_the_trail_not_one_per_second() {
    let house = House::furnished().await;
    let made = house.client.post_create(&unfinished(&[], "One")).await.unwrap();
    for n in 0..5 {
        let edit =
            r::EditPost { parts: Some(vec![format!("One {n}")]), unfinished: true, ..r::EditPost::default() };
        house.client.post_edit(&made.id, &edit).await.unwrap();
    }
    house.client.post_cancel(&made.id).await.unwrap_err();
    let has_row = async |action: &str| {
        let all = house.client.audit_list(&r::ListAudit::default()).await.unwrap().entries;
        all.into_iter().filter(|it| it.action == action && it.subject == made.id).count()
    };
    // The last deed's row is written behind its answer; the ones before it are there by then.
    while has_row("post.cancel").await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((has_row("post.create").await, has_row("post.edit").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_narrowed_by_network_and_text_and_read_from_either_end() {
    let house = House::furnished().await;
    for (n, (to, text)) in [("x:acme", "Bread"), ("bluesky:acme", "BREAD and butter"), ("x:acme", "Cake")]
        .into_iter()
        .enumerate()
    {
        house.post(&[to], &[text], at(&format!("+{}h", n + 1))).await;
    }
    let list = async |ask: r::ListPosts| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let ask = r::ListPosts { limit: Some(1), after: after.take(), ..ask.clone() };
            let page = house.client.post_list(&ask).await.unwrap();
            all.extend(page.posts.into_iter().map(|it| it.body));
            after = page.next_cursor;
            if after.is_none() {
                return all;
            }
        }
    };
    let ask = |state: Option<&str>, order: &str| r::ListPosts {
        state: state.map(str::to_owned),
        order: Some(order.into()),
        ..r::ListPosts::default()
    };
    for state in [None, Some("scheduled")] {
        assert_eq!(list(ask(state, "oldest")).await, ["Bread", "BREAD and butter", "Cake"]);
        assert_eq!(list(ask(state, "newest")).await, ["Cake", "BREAD and butter", "Bread"]);
    }
    let text = r::ListPosts { text: Some("bread".into()), ..r::ListPosts::default() };
    assert_eq!(list(text).await, ["BREAD and butter", "Bread"]);
    let network = r::ListPosts { platform: Some("x".into()), ..r::ListPosts::default() };
    assert_eq!(list(network).await, ["Cake", "Bread"]);
    assert_eq!(code(house.client.post_list(&ask(None, "upwards")).await), "unknown_order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_of_two_times_is_listed_once_from_the_oldest_too() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Twice."], at("+1h")).await;
    let one = made.deliveries[0].id.clone();
    house.client.post_reschedule(&one, r::Move::At("+3h".into()), None).await.unwrap();
    house.post(&["x:acme"], &["Between."], at("+2h")).await;
    let mut after = None;
    let mut all = Vec::new();
    loop {
        let ask = r::ListPosts {
            state: Some("scheduled".into()),
            order: Some("oldest".into()),
            limit: Some(1),
            after,
            ..r::ListPosts::default()
        };
        let page = house.client.post_list(&ask).await.unwrap();
        all.extend(page.posts.into_iter().map(|it| it.body));
        after = page.next_cursor;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, ["Twice.", "Between."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_tell_their_options_and_a_disconnect_its_receipt() {
    let house = House::furnished().await;
    let networks = house.client.network_list().await.unwrap().networks;
    let x = networks.iter().find(|it| it.platform == "x").unwrap();
    assert_eq!((x.title.as_str(), x.text_max, x.parts_max > 1), ("X", 280, true));
    let replies = x.options.iter().find(|it| it.key == "reply_settings").unwrap();
    assert!(replies.values.contains(&"following".to_owned()), "{replies:?}");
    let none = house.client.receipt_list(&r::ListReceipts::default()).await.unwrap();
    assert_eq!(none.receipts, []);
    let receipt = house.client.account_disconnect("x:acme").await.unwrap().receipt;
    house.pass(SignedDuration::from_secs(1)).await;
    let kept = house.client.receipt_list(&r::ListReceipts::default()).await.unwrap().receipts;
    assert_eq!((kept[0].id.as_str(), kept[0].kind.as_str()), (receipt.id.as_str(), "disconnect"));
    assert!(kept[0].finished_at.is_some() && !kept[0].steps.is_empty(), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_draft_is_to_go_out_is_kept_as_the_time_it_meant_and_binds_nobody() {
    let mut house = House::furnished().await;
    let meant = |it: r::When| Some(it);
    let ask = r::CreatePost {
        intended: meant(r::When::At("tomorrow 9am".into())),
        unfinished: true,
        ..draft(&["x:acme"], &["A thought."], r::When::Draft)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    let tomorrow = r::When::At("2030-03-06 09:00".into());
    assert_eq!(made.intended, meant(tomorrow.clone()));
    // It is still tomorrow's nine o'clock the day after.
    house.pass(SignedDuration::from_hours(48)).await;
    house.stop().await;
    house.start().await;
    let shown = house.client.post_show(&made.id).await.unwrap();
    assert_eq!((shown.intended, shown.deliveries.len()), (meant(tomorrow.clone()), 0));
    let edit = |intended| r::EditPost { intended, unfinished: true, ..r::EditPost::default() };
    let kept = house.client.post_edit(&made.id, &edit(None)).await.unwrap();
    assert_eq!(kept.intended, meant(tomorrow), "what is left out stays");
    for (said, kept) in [
        (r::When::At("some day".into()), meant(r::When::At("some day".into()))),
        (r::When::Queue("hourly".into()), meant(r::When::Queue("hourly".into()))),
        (r::When::Draft, None),
        (r::When::Now, meant(r::When::Now)),
    ] {
        let shown = house.client.post_edit(&made.id, &edit(Some(said))).await.unwrap();
        assert_eq!((shown.intended, shown.status), (kept, m::PostStatus::Draft));
    }
    let sent = house.client.post_reschedule(&made.id, r::Move::At("+1h".into()), None).await.unwrap();
    assert_eq!(sent.intended, None, "it has a time");
}
