//! The ways back of what was cancelled or moved: several at once, and the words for those that are shut.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, Wish, code};

const BOTH: [&str; 2] = ["x:acme", "bluesky:acme"];

fn at(text: &str) -> r::When {
    r::When::At(text.into())
}

fn to(text: &str) -> r::Move {
    r::Move::At(text.into())
}

/// What is scheduled of a post: accounts with their times.
fn waiting(post: &m::Post) -> Vec<(String, jiff::Timestamp)> {
    let waits = |it: &&m::Delivery| it.state == m::DeliveryState::Scheduled;
    post.deliveries.iter().filter(waits).map(|it| (it.account.clone(), it.due)).collect()
}

async fn refused(house: &House, id: &str, ticket: &str) -> m::ErrorDetail {
    house.client.post_undo(id, ticket).await.unwrap_err().detail()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_back_leaves_the_others_of_its_post_open() {
    let house = House::furnished().await;
    let client = &house.client;
    let made = house.post(&BOTH, &["Several."], at("+3h")).await;
    let at_first = waiting(&made);
    assert_eq!(at_first.len(), 2);

    // Two deliveries cancelled one after the other come back in any order.
    for newest_first in [true, false] {
        let now = client.post_show(&made.id).await.unwrap();
        let mut tickets = Vec::new();
        for it in now.deliveries.iter().filter(|it| it.state == m::DeliveryState::Scheduled) {
            tickets.push(client.post_cancel(&it.id).await.unwrap().undo.unwrap());
        }
        if newest_first {
            tickets.reverse();
        }
        for ticket in &tickets {
            client.post_undo(&made.id, ticket).await.unwrap();
        }
        assert_eq!(waiting(&client.post_show(&made.id).await.unwrap()), at_first, "{newest_first}");
    }

    // A move, another one, and a cancel of all: back step by step, through deliveries that are new by then.
    let first = client.post_reschedule(&made.id, to("+5h"), None).await.unwrap();
    let second = client.post_reschedule(&made.id, to("+7h"), None).await.unwrap();
    let cancelled = client.post_cancel(&made.id).await.unwrap();
    for (done, then) in [(&cancelled, waiting(&second)), (&second, waiting(&first)), (&first, at_first)] {
        let back = client.post_undo(&made.id, done.undo.as_deref().unwrap()).await.unwrap();
        assert_eq!(waiting(&back), then, "{:?}", back.notices);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_moved_and_then_cancelled_has_the_time_of_before_the_move_if_that_goes_first() {
    let house = House::furnished().await;
    let client = &house.client;
    let made = house.post(&BOTH, &["Out of order."], at("+3h")).await;
    let moved = client.post_reschedule(&made.id, to("+5h"), None).await.unwrap();
    let one = waiting(&moved).remove(0).0;
    let id = moved.deliveries.iter().find(|it| it.account == one).unwrap().id.clone();
    let cancelled = client.post_cancel(&id).await.unwrap();
    let back = client.post_undo(&made.id, &moved.undo.unwrap()).await.unwrap();
    assert!(back.notices.iter().any(|it| it.contains("stays as it is")), "{:?}", back.notices);
    let back = client.post_undo(&made.id, &cancelled.undo.unwrap()).await.unwrap();
    assert_eq!(waiting(&back), waiting(&made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_that_is_gone_keeps_no_other_from_coming_back_and_is_named() {
    let house = House::furnished().await;
    let client = &house.client;
    let both = house.post(&BOTH, &["For both."], at("+3h")).await;
    let one = house.post(&["bluesky:acme"], &["For one."], at("+3h")).await;
    let cancelled = client.post_cancel(&both.id).await.unwrap();
    let alone = client.post_cancel(&one.id).await.unwrap();
    client.account_disconnect("bluesky:acme").await.unwrap();
    let back = client.post_undo(&both.id, &cancelled.undo.unwrap()).await.unwrap();
    assert_eq!(waiting(&back).len(), 1);
    assert!(back.notices[0].starts_with("x:acme is scheduled again"), "{:?}", back.notices);
    assert!(back.notices[1].starts_with("bluesky:acme does not come back: "), "{:?}", back.notices);
    let none = refused(&house, &one.id, &alone.undo.unwrap()).await;
    assert_eq!(none.code, "nothing_to_undo");
    assert!(none.message.contains("bluesky:acme does not come back"), "{}", none.message);
    assert!(none.hint.unwrap().contains("write it anew"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_shut_says_why_and_what_is_left() {
    let mut house = House::furnished().await;
    let made = house.post(&BOTH, &["Shut."], at("+3h")).await;
    let cancel = async |house: &House| house.client.post_cancel(&made.id).await.unwrap().undo.unwrap();

    let used = cancel(&house).await;
    house.client.post_undo(&made.id, &used).await.unwrap();
    let again = refused(&house, &made.id, &used).await;
    assert_eq!(
        (again.code.as_str(), again.message.as_str()),
        ("nothing_to_undo", "it was taken back already")
    );

    let moved = house.client.post_reschedule(&made.id, to("+5h"), None).await.unwrap().undo.unwrap();
    house.pass(SignedDuration::from_secs(70)).await;
    let late = refused(&house, &made.id, &moved).await;
    assert!(late.message.contains("its minute has passed"), "{}", late.message);
    assert!(late.hint.unwrap().contains("post reschedule"));

    let lost = cancel(&house).await;
    house.restart().await;
    let gone = refused(&house, &made.id, &lost).await;
    assert!(gone.message.contains("the daemon was started anew since"), "{}", gone.message);
    assert!(gone.hint.unwrap().contains("write it anew"));
    // Said once more, a cancel is known as done.
    let twice = house.client.post_cancel(&made.id).await.unwrap_err().detail();
    assert_eq!(twice.code, "already_over");
    assert!(twice.message.contains("is cancelled already"), "{}", twice.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_take_the_same_back_at_once_make_one_delivery() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme"], &["Once."], at("+3h")).await;
    let ticket = house.client.post_cancel(&made.id).await.unwrap().undo.unwrap();
    let asked = (0..5).map(|_| house.client.post_undo(&made.id, &ticket));
    let done = futures_util::future::join_all(asked).await;
    assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 1, "{done:?}");
    assert_eq!(house.client.post_show(&made.id).await.unwrap().deliveries.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_a_post_can_be_edited_is_told_with_it() {
    let house = House::with(Wish::default()).await;
    house.connect("x").await;
    let fixed = async |id: &str| house.client.post_show(id).await.unwrap().fixed;
    let draft = house.post(&["x:acme"], &["A draft."], r::When::Draft).await;
    let waits = house.post(&["x:acme"], &["Waits."], at("+3h")).await;
    assert_eq!((fixed(&draft.id).await, fixed(&waits.id).await), (None, None));
    house.client.post_cancel(&waits.id).await.unwrap();
    let why = fixed(&waits.id).await.unwrap();
    assert_eq!(why, "x:acme is cancelled: the text can no longer change");
    let words = || r::EditPost { parts: Some(vec!["Other.".into()]), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&waits.id, &words()).await), "too_late");
    let out = house.post(&["x:acme"], &["Out."], r::When::Now).await;
    house.ended(&out.id).await;
    let why = fixed(&out.id).await.unwrap();
    assert_eq!(why, "x:acme is published, and X lets nothing of it be changed");
    assert_eq!(code(house.client.post_edit(&out.id, &words()).await), "too_late");
}
