//! What a user does to posts that exist.

use futures_util::future::join_all;
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::house::{House, Wish, code, draft};

fn at(text: &str) -> r::When {
    r::When::At(text.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_changes_what_goes_out_and_comes_too_late_afterwards() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Old words."], at("+1h")).await;
    let edit =
        r::EditPost { parts: Some(vec!["New words.".into()]), version: Some(1), ..r::EditPost::default() };
    let edited = house.client.post_edit(&made.id, &edit).await.unwrap();
    assert_eq!((edited.version, edited.body.as_str()), (2, "New words."));
    assert_eq!(code(house.client.post_edit(&made.id, &edit).await), "changed_meanwhile");
    let long = r::EditPost { parts: Some(vec!["long ".repeat(80)]), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&made.id, &long).await), "validation");
    house.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!((house.live("New words.").len(), house.live("Old words.").len()), (2, 0));
    let late = r::EditPost { parts: Some(vec!["Later.".into()]), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&made.id, &late).await), "too_late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_option_for_a_network_the_post_does_not_go_to_is_refused() {
    let house = House::furnished().await;
    let replies: std::collections::BTreeMap<_, _> =
        [("bluesky".to_owned(), [("langs".to_owned(), "de".to_owned())].into())].into();
    let ask = r::CreatePost { options: replies.clone(), ..draft(&["x:acme"], &["For X."], at("+1h")) };
    assert_eq!(code(house.client.post_create(&ask).await), "unused_option");
    assert_eq!(code(house.client.post_check(&ask).await), "unused_option");
    let made = house.post(&["x:acme"], &["For X."], at("+1h")).await;
    let edit = r::EditPost { options: Some(replies.clone()), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&made.id, &edit).await), "unused_option");
    let ask =
        r::CreatePost { options: replies, ..draft(&["x:acme", "bluesky:acme"], &["For both."], at("+1h")) };
    house.client.post_create(&ask).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_a_pause_holds_back_says_so() {
    let house = House::furnished().await;
    let said = async |id: &str| house.client.post_show(id).await.unwrap().notices.join("; ");
    house.client.account_pause("x:acme").await.unwrap();
    let ahead = house.post(&["x:acme"], &["In an hour."], at("+1h")).await;
    assert_eq!(said(&ahead.id).await, "", "its time has not come");
    let alerts = async || {
        let all = house.client.status().await.unwrap().alerts;
        all.into_iter().filter(|it| it.code == "account_paused").count()
    };
    assert_eq!(alerts().await, 0);
    let made = house.post(&["x:acme", "bluesky:acme"], &["Now."], r::When::Now).await;
    assert!(made.notices.iter().any(|it| it.contains("x:acme is paused")), "{:?}", made.notices);
    assert!(said(&made.id).await.contains("account resume x:acme"));
    assert_eq!(alerts().await, 1);
    house.client.account_resume("x:acme").await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert_eq!((said(&made.id).await, alerts().await), (String::new(), 0));

    house.client.pause(Some("a fire".into())).await.unwrap();
    let made = house.post(&["x:acme"], &["Not now."], r::When::Now).await;
    for notices in [made.notices.join("; "), said(&made.id).await] {
        assert!(notices.contains("sending is stopped") && notices.contains("a fire"), "{notices}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_edits_at_once_none_is_lost_unseen() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme"], &["Draft."], r::When::Draft).await;
    let edits: Vec<_> = (0..8)
        .map(|n| r::EditPost { parts: Some(vec![format!("Edit {n}.")]), ..r::EditPost::default() })
        .collect();
    let done = join_all(edits.iter().map(|it| house.client.post_edit(&made.id, it))).await;
    let taken = u32::try_from(done.iter().filter(|it| it.is_ok()).count()).unwrap();
    let after = house.client.post_show(&made.id).await.unwrap();
    assert_eq!(after.version, 1 + taken, "every edit that was taken counts");
    for refused in done.into_iter().filter(Result::is_err) {
        assert_eq!(code(refused), "changed_meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_post_never_goes_out() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["Taken back."], at("+1h")).await;
    let cancelled = house.client.post_cancel(&made.id).await.unwrap();
    assert_eq!(cancelled.status, m::PostStatus::Cancelled);
    house.pass(SignedDuration::from_mins(61)).await;
    let other = house.post(&["x:acme", "bluesky:acme"], &["Goes out."], r::When::Now).await;
    assert_eq!(house.ended(&other.id).await.status, m::PostStatus::Published);
    assert_eq!(house.live("Taken back.").len(), 0);
    assert_eq!(code(house.client.post_cancel(&made.id).await), "already_over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_the_middle_of_a_call_ends_with_the_truth() {
    let house = House::with(Wish { patient: true, ..Wish::default() }).await;
    house.connect("x").await;
    // It took effect before the cancel: then it is published, and said so.
    let mut slow: sendoff::sandbox::Faults = "x.create=slow".parse().unwrap();
    slow.slow = std::time::Duration::from_secs(2);
    house.network.inject(slow);
    let made = house.post(&["x:acme"], &["Too late to cancel."], r::When::Now).await;
    house.holds(1).await;
    let asked = house.client.post_cancel(&made.id).await.unwrap();
    assert!(asked.notices.iter().any(|it| it.contains("checking")), "{:?}", asked.notices);
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    // It never arrived: then it is cancelled, once that is proven.
    house.inject("x.create=lost_before");
    let made = house.post(&["x:acme"], &["Cancelled in doubt."], r::When::Now).await;
    house.reaches(&made.id, m::DeliveryState::Unknown).await;
    let asked = house.client.post_cancel(&made.id).await.unwrap();
    assert!(asked.notices.iter().any(|it| it.contains("checking")), "{:?}", asked.notices);
    let before = house.now();
    house.pass(SignedDuration::from_mins(16)).await;
    house
        .until("the first absence", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            (post.deliveries[0].next_try? > before + SignedDuration::from_mins(17)).then_some(())
        })
        .await;
    house.pass(SignedDuration::from_secs(95)).await;
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Cancelled);
    assert_eq!(house.live("Cancelled in doubt.").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_post_goes_out_by_a_new_delivery_when_it_is_asked_for() {
    let house = House::furnished().await;
    let ask =
        r::CreatePost { late: Some("exact".into()), ..draft(&["x:acme"], &["On the dot."], at("+10m")) };
    let made = house.client.post_create(&ask).await.unwrap();
    house.pass(SignedDuration::from_mins(30)).await;
    let missed = house.ended(&made.id).await;
    assert_eq!(missed.status, m::PostStatus::Missed);
    let reason = missed.deliveries[0].reason.clone().unwrap();
    assert!(reason.hint.unwrap().contains("post retry"), "{}", reason.message);
    // Asked for several times at once, as by an impatient script: one new delivery all the same.
    let asked = join_all((0..5).map(|_| house.client.post_retry(&made.id))).await;
    assert!(asked.iter().any(Result::is_ok), "{asked:?}");
    let done = house.ended(&made.id).await;
    let states: Vec<_> = done.deliveries.iter().map(|it| it.state).collect();
    assert_eq!(states, [m::DeliveryState::Missed, m::DeliveryState::Published]);
    assert_eq!(house.live("On the dot.").len(), 1);
    assert_eq!(code(house.client.post_retry(&made.id).await), "nothing_to_retry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_post_goes_from_both_networks_and_from_here() {
    let house = House::furnished().await;
    let both = ["x:acme", "bluesky:acme"];
    let waits = house.post(&both, &["Not yet."], at("+1h")).await;
    assert_eq!(code(house.client.post_delete(&waits.id, false).await), "not_over");
    let made = house.post(&both, &["To be deleted.", "Both parts."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let receipt = house.client.post_delete(&made.id, false).await.unwrap().receipt;
    assert_eq!(receipt.items.len(), 5, "{receipt:?}");
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    assert!(house.network.published().iter().all(|it| it.deleted.is_some()));
    assert_eq!(code(house.client.post_show(&made.id).await), "unknown_id");
    let kept = house.post(&both, &["Kept there."], r::When::Now).await;
    house.ended(&kept.id).await;
    house.client.post_delete(&kept.id, true).await.unwrap();
    assert_eq!(house.live("Kept there.").len(), 2);
    assert_eq!(code(house.client.post_show(&kept.id).await), "unknown_id");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_network_said_to_a_deletion_is_kept_as_long_as_the_account() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme", "bluesky:acme"], &["To be deleted."], r::When::Now).await;
    let done = house.ended(&made.id).await;
    house.network.inject("x.delete=429*9".parse().unwrap());
    let told = house.client.post_delete(&made.id, false).await.unwrap().receipt;
    let said = told.items.iter().find(|it| it.result == m::Outcome::Failed).unwrap();
    let kept = async || {
        let list = house.client.receipt_list(&r::ListReceipts::default()).await.unwrap();
        list.receipts.into_iter().find(|it| it.id == told.id).unwrap().steps
    };
    house.client.account_rename("x:acme", "other").await.unwrap();
    let lines = kept().await;
    let of = |name: &str| lines.iter().find(|it| it.account.as_deref() == Some(name)).unwrap();
    let failed = of("x:other");
    assert_eq!((failed.step.as_str(), failed.result.as_str()), ("post 1", "failed"));
    assert_eq!((&failed.message, &failed.hint), (&said.message, &said.hint));
    assert!(failed.message.is_some(), "{failed:?}");
    let link = done.deliveries.iter().find(|it| it.account == "x:acme").unwrap().permalink.clone();
    assert_eq!(failed.r#where, link, "where to delete it by hand");
    assert_eq!(of("bluesky:acme").result, "done");

    // Nothing of an account outlives it.
    house.client.account_disconnect("x:other").await.unwrap();
    let lines = kept().await;
    let left = &lines[usize::from(lines[0].account.is_some())];
    assert_eq!((left.result.as_str(), &left.account), ("failed", &None), "{lines:?}");
    assert_eq!((&left.r#where, &left.message, &left.hint), (&None, &None, &None));
    assert!(lines.iter().any(|it| it.account.as_deref() == Some("bluesky:acme")));
    // Of the disconnect itself, what the network said is kept without a name.
    let last = house.client.receipt_list(&r::ListReceipts::default()).await.unwrap().receipts.remove(0);
    assert_eq!(last.kind, "disconnect");
    let text = serde_json::to_string(&last).unwrap();
    assert!(last.steps.iter().any(|it| it.message.is_some()) && !text.contains("other"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_goes_out_once_it_has_a_time() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme"], &["From a draft."], r::When::Draft).await;
    assert_eq!(made.status, m::PostStatus::Draft);
    let moved = house.client.post_reschedule(&made.id, r::Move::At("+1h".into()), None).await.unwrap();
    assert_eq!(moved.status, m::PostStatus::Scheduled);
    let earlier = house.client.post_reschedule(&made.id, r::Move::By("-30m".into()), None).await.unwrap();
    assert_eq!(earlier.deliveries[0].due, moved.deliveries[0].due - SignedDuration::from_mins(30));
    house.pass_to(earlier.deliveries[0].due).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let sent = house.client.post_reschedule(&made.id, r::Move::At("+1h".into()), None).await;
    assert_eq!(code(sent), "not_scheduled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_of_two_times_is_listed_once_and_every_status_finds_its_own() {
    let house = House::furnished().await;
    let list = async |state: &str, limit: u32| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let ask = r::ListPosts {
                state: Some(state.into()),
                limit: Some(limit),
                after: after.take(),
                ..r::ListPosts::default()
            };
            let page = house.client.post_list(&ask).await.unwrap();
            all.extend(page.posts.into_iter().map(|it| it.body));
            after = page.next_cursor;
            if after.is_none() {
                return all;
            }
        }
    };
    let both = ["x:acme", "bluesky:acme"];
    let of = |post: &m::Post, account: &str| {
        post.deliveries.iter().find(|it| it.account == account).map(|it| it.id.clone()).unwrap()
    };
    let exact = async |text: &str| {
        let ask = r::CreatePost { late: Some("exact".into()), ..draft(&both, &[text], at("+10m")) };
        house.client.post_create(&ask).await.unwrap()
    };
    let twice = exact("Twice.").await;
    let later = r::Move::At("+20m".into());
    house.client.post_reschedule(&of(&twice, "x:acme"), later, None).await.unwrap();
    let failed = exact("Failed.").await;
    house.client.post_cancel(&of(&failed, "x:acme")).await.unwrap();
    house.pass(SignedDuration::from_mins(60)).await;
    let ended = house.ended(&twice.id).await;
    let times: Vec<_> = ended.deliveries.iter().map(|it| it.due).collect();
    assert!(ended.status == m::PostStatus::Missed && times[0] != times[1], "{ended:?}");
    assert_eq!(house.ended(&failed.id).await.status, m::PostStatus::Failed);
    house.client.account_pause("x:acme").await.unwrap();
    let partial = house.post(&both, &["Half."], r::When::Now).await;
    house.client.post_cancel(&of(&partial, "x:acme")).await.unwrap();
    assert_eq!(house.ended(&partial.id).await.status, m::PostStatus::Partial);
    let whole = house.post(&["bluesky:acme"], &["Whole."], r::When::Now).await;
    assert_eq!(house.ended(&whole.id).await.status, m::PostStatus::Published);
    for limit in [1, 50] {
        assert_eq!(list("missed", limit).await, ["Twice."]);
        assert_eq!(list("failed", limit).await, ["Failed."]);
        assert_eq!(list("partial", limit).await, ["Half."]);
        assert_eq!(list("published", limit).await, ["Whole."]);
        for none in ["attention", "publishing", "scheduled"] {
            assert_eq!(list(none, limit).await, [""; 0], "{none}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_names_nothing_is_refused_with_a_way_on() {
    let house = House::new().await;
    for id in ["pst_zzz", "dlv_zzz", "nonsense", "pst_01jd0000000000000000000000"] {
        let refused = house.client.post_show(id).await.unwrap_err().detail();
        let hint = refused.hint.unwrap_or_default();
        assert!(hint.contains("post list"), "`{id}`: {} / `{hint}`", refused.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_bounded_by_days_as_well_as_by_times() {
    let house = House::furnished().await;
    let made = house.post(&["x:acme"], &["Today."], at("+10m")).await;
    let list = async |since: &str, until: &str| {
        let ask = r::ListPosts {
            since: Some(since.into()),
            until: Some(until.into()),
            tz: Some("Europe/Berlin".into()),
            ..r::ListPosts::default()
        };
        let list = house.client.post_list(&ask).await.map(|it| it.posts);
        list.map(|it| it.into_iter().map(|it| it.id).collect::<Vec<_>>())
    };
    // It is the fifth of March there.
    assert_eq!(list("2030-03-05", "2030-03-06").await.unwrap(), std::slice::from_ref(&made.id));
    assert_eq!(list("2030-03-04", "2030-03-05").await.unwrap(), [""; 0]);
    assert_eq!(list("2030-03-05 10:00", "2030-03-06").await.unwrap(), [""; 0]);
    assert_eq!(code(list("2030-02-30", "2030-03-05").await), "bad_time");
}
