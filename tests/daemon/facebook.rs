//! Pages on Facebook: from the consent of a person to posts that are there once, and gone again.

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::http::clients::{reading_client, tls};

use crate::house::{House, Wish, draft};

const PAGE: &str = "facebook:acme";

async fn furnished() -> House {
    let house = House::new().await;
    house.connect("facebook").await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_lives_from_consent_to_disconnect_without_one_refused_call() {
    let house = furnished().await;
    let pages = house.client.account_list().await.unwrap().accounts;
    let names: Vec<_> = pages.iter().map(|it| it.account.as_str()).collect();
    assert_eq!(names, ["facebook:acme", "facebook:acme.cafe"], "one account for each Page");
    assert!(pages.iter().all(|it| it.missing_scopes.is_empty() && it.expires_at.is_none()), "{pages:?}");

    // A text with a link and a first comment.
    let ask = r::CreatePost {
        comment: Some("Order here.".into()),
        options: [("facebook".into(), [("link".into(), "https://example.org/oven".into())].into())].into(),
        ..draft(&[PAGE], &["The oven is hot."], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    let seen = house.network.published();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].text.as_str(), seen[1].text.as_str()), ("The oven is hot.", "Order here."));
    assert_eq!(seen[1].parent.as_ref(), Some(&seen[0].id));
    let steps = &done.deliveries[0].steps;
    assert_eq!(steps[0].remote_id.as_ref(), Some(&seen[0].id));
    assert!(steps[0].permalink.as_ref().is_some_and(|it| it.ends_with(&seen[0].id)), "{steps:?}");

    // Photos: one, and several, with what they show.
    let one = house.picture("A loaf").await;
    let two: Vec<_> = [house.picture("Rye").await, house.picture("Spelt").await].concat();
    for (text, media, alts) in [("One.", one, vec!["A loaf"]), ("", two, vec!["Rye", "Spelt"])] {
        let ask = r::CreatePost { media, ..draft(&["facebook:acme.cafe"], &[text], r::When::Now) };
        let made = house.client.post_create(&ask).await.unwrap();
        let done = house.ended(&made.id).await;
        assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
        let shown = house.network.published();
        let last = shown.last().unwrap();
        assert_eq!(
            (last.account.as_str(), &last.alts),
            ("acme.cafe", &alts.iter().map(|it| (*it).into()).collect())
        );
    }

    // Read back, and gone again with its comment.
    house
        .until("the read-back", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            post.deliveries[0].verified.then_some(())
        })
        .await;
    let receipt = house.client.post_delete(&made.id, false).await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    assert!(house.live("The oven is hot.").is_empty() && house.live("Order here.").is_empty());

    // A Page's token has no end of its own.
    house.pass(SignedDuration::from_hours(24 * 70)).await;
    let late = house.post(&[PAGE], &["Ten weeks later."], r::When::Now).await;
    assert_eq!(house.ended(&late.id).await.status, m::PostStatus::Published);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consent_ends_with_the_last_page_and_not_before() {
    let house = furnished().await;
    let receipt = house.client.account_disconnect(PAGE).await.unwrap().receipt;
    let access = receipt.items.iter().find(|it| it.what == "access of the app").unwrap();
    assert_eq!(access.result, m::Outcome::NotPossible, "{receipt:?}");
    // The other Page goes on.
    let made = house.post(&["facebook:acme.cafe"], &["Still here."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let receipt = house.client.account_disconnect("facebook:acme.cafe").await.unwrap().receipt;
    let access = receipt.items.iter().find(|it| it.what == "access of the app").unwrap();
    assert_eq!(access.result, m::Outcome::Done, "{receipt:?}");
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_stand_in_a_portfolio_alone_are_found_where_that_was_granted() {
    let house = House::new().await;
    house.connect_as("facebook", "alice").await;
    let mut names: Vec<_> =
        house.client.account_list().await.unwrap().accounts.into_iter().map(|it| it.username).collect();
    names.sort();
    assert_eq!(names, ["alice", "alice.market", "garden.club"]);
    for page in ["facebook:alice.market", "facebook:garden.club"] {
        let made = house.post(&[page], &[page], r::When::Now).await;
        assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
        assert_eq!(house.live(page)[0].account, page.strip_prefix("facebook:").unwrap());
    }
    house.assert_no_refusals();

    let house = House::new().await;
    let scopes = "pages_show_list pages_read_engagement pages_manage_posts pages_manage_engagement";
    let form = [("decision", "allow"), ("user", "alice"), ("scope", scopes)];
    house.connect_with("facebook", "alice", &form).await;
    let accounts = house.client.account_list().await.unwrap().accounts;
    assert_eq!(accounts.len(), 1, "{accounts:?}");
    assert_eq!(accounts[0].missing_scopes, ["business_management"]);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_page_of_several_can_be_chosen_and_the_others_are_not_kept() {
    let house = House::new().await;
    let flow = house.find("facebook").await;
    let unknown = house.client.connect_confirm(&flow, &r::Choice::Select(vec!["1".into()])).await;
    let error = unknown.unwrap_err().detail();
    assert_eq!(error.code, "unknown_remote_id");
    let hint = error.hint.unwrap();
    let second = hint.trim_start_matches("found: ").split(", ").nth(1).unwrap().trim_matches('`').to_owned();
    house.client.connect_confirm(&flow, &r::Choice::Select(vec![second.clone()])).await.unwrap();
    let accounts = house.client.account_list().await.unwrap().accounts;
    assert_eq!(accounts.len(), 1);
    // The name asked for goes to the one that was chosen.
    assert_eq!((accounts[0].account.as_str(), &accounts[0].remote_id), (PAGE, &second));
    // Those not chosen live by the same consent, which stays.
    let made = house.post(&[PAGE], &["Chosen."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_gets_one_post_whatever_happens_to_the_answer() {
    let house = furnished().await;
    for (fault, doubt) in [
        ("facebook.feed=lost_after", true),
        ("facebook.feed=500_after", true),
        ("facebook.feed=truncate", true),
        ("facebook.feed=slow", false),
        ("facebook.feed=429", false),
    ] {
        let mut order: sendoff::sandbox::Faults = fault.parse().unwrap();
        order.slow = std::time::Duration::from_millis(200);
        house.network.inject(order);
        let text = format!("Through {}.", fault.replace(['_', '=', '.'], " "));
        let media = if fault.ends_with("500_after") { house.picture("A loaf").await } else { Vec::new() };
        let ask = r::CreatePost { media, ..draft(&[PAGE], &[&text], r::When::Now) };
        let made = house.client.post_create(&ask).await.unwrap();
        if fault.ends_with("429") {
            // The network says in how many minutes it takes posts again.
            house.reaches(&made.id, m::DeliveryState::Retry).await;
            house.pass(SignedDuration::from_mins(16)).await;
        }
        let done = house.ended(&made.id).await;
        let delivery = &done.deliveries[0];
        let story = house.story(Some(&delivery.id)).await;
        assert_eq!(delivery.state, m::DeliveryState::Published, "{fault}: {story:#?}");
        let live = house.live(&text);
        assert_eq!(live.len(), 1, "{fault}: {story:#?}");
        assert_eq!(delivery.remote_id.as_ref(), Some(&live[0].id), "{fault}");
        assert_eq!(story.iter().any(|(event, _)| event == "delivery.unknown"), doubt, "{fault}: {story:#?}");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_never_arrived_is_held_for_a_person_and_never_sent_again_by_itself() {
    let house = furnished().await;
    house.inject("facebook.feed=lost_before");
    let made = house.post(&[PAGE], &["Did it arrive?"], r::When::Now).await;
    let held = house
        .until("held", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            let it = post.deliveries[0].clone();
            it.held.then_some(it)
        })
        .await;
    assert_eq!(held.state, m::DeliveryState::Unknown);
    assert!(house.live("Did it arrive?").is_empty());
    let story = house.story(Some(&held.id)).await;
    assert_eq!(story.iter().filter(|(event, _)| event == "delivery.sending").count(), 1, "{story:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_post_that_is_out_are_changed_where_they_stand() {
    let house = furnished().await;
    let ask = r::CreatePost {
        comment: Some("Order here.".into()),
        ..draft(&[PAGE], &["Fresh bred."], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let words = |text: &str, comment: Option<&str>| r::EditPost {
        parts: Some(vec![text.into()]),
        comment: comment.map(Into::into),
        ..r::EditPost::default()
    };
    // The answer is lost behind the change: nobody knows, and nothing is kept as changed.
    house.inject("facebook.edit=lost_after");
    let lost = house.client.post_edit(&made.id, &words("Fresh bread.", None)).await.unwrap_err().detail();
    assert_eq!(lost.code, "edit_failed");
    assert!(lost.hint.unwrap().contains("give the command again"));
    assert_eq!(house.client.post_show(&made.id).await.unwrap().parts, ["Fresh bred."]);
    let edited =
        house.client.post_edit(&made.id, &words("Fresh bread.", Some("Order below."))).await.unwrap();
    assert_eq!((edited.parts[0].as_str(), edited.comment.as_deref()), ("Fresh bread.", Some("Order below.")));
    assert_eq!((house.live("Fresh bread.").len(), house.live("Order below.").len()), (1, 1));
    assert!(house.live("Fresh bred.").is_empty() && house.live("Order here.").is_empty());
    // Neither the number of its parts nor anything but words; and what the network would refuse is not asked.
    for (bad, code) in [
        (r::EditPost { late: Some("always".into()), ..r::EditPost::default() }, "too_late"),
        (words("Fresh bread.", Some("")), "too_late"),
        (words("", None), "validation"),
    ] {
        let refused = house.client.post_edit(&made.id, &bad).await.unwrap_err().detail();
        assert_eq!(refused.code, code, "{refused:?}");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_first_comment_is_looked_for_under_its_post() {
    let house = furnished().await;
    house.inject("facebook.comment=lost_after");
    let ask = r::CreatePost { comment: Some("First!".into()), ..draft(&[PAGE], &["A post."], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    let live = house.live("First!");
    assert_eq!(live.len(), 1);
    assert_eq!(done.deliveries[0].steps[1].remote_id.as_ref(), Some(&live[0].id));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_is_made_of_a_photo_and_is_found_after_a_lost_answer() {
    let house = House::with(Wish::default()).await;
    house.connect("facebook").await;
    house.inject("facebook.story=lost_after");
    let ask = r::CreatePost {
        media: house.picture("The window at six").await,
        options: [("facebook".into(), [("format".into(), "story".into())].into())].into(),
        ..draft(&[PAGE], &[""], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:?}");
    let seen = house.network.published();
    assert_eq!((seen.len(), seen[0].alts.len()), (1, 1));
    assert_eq!(done.deliveries[0].remote_id, Some(format!("story:{}", seen[0].id)));
    let receipt = house.client.post_delete(&made.id, false).await.unwrap().receipt;
    assert_eq!(receipt.items[0].result, m::Outcome::NotPossible, "{receipt:?}");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reel_whose_upload_broke_off_goes_on_from_where_it_stands() {
    let house = furnished().await;
    for (fault, text) in [
        ("facebook.upload=partial", "Half."),
        ("facebook.upload=lost_after", "Whole."),
        ("facebook.upload=debug_info", "Said."),
    ] {
        house.inject(fault);
        let film = crate::film::film(crate::film::Shape {
            width: 1080,
            height: 1920,
            ms: 10_000,
            ..crate::film::Shape::default()
        });
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(film))]);
        let file = house.client.media_upload(Some("reel.mp4".into()), body).await.unwrap();
        let ask = r::CreatePost {
            media: vec![r::MediaRef { id: file.id, alt: None, part: None }],
            options: [("facebook".into(), [("format".into(), "reel".into())].into())].into(),
            ..draft(&[PAGE], &[text], r::When::Now)
        };
        let made = house.client.post_create(&ask).await.unwrap();
        let done = house.ended(&made.id).await;
        assert_eq!(
            (done.status, house.live(text).len()),
            (m::PostStatus::Published, 1),
            "{fault}: {done:#?}"
        );
        // Its address comes without a host, and leads to where the configuration says that Facebook is.
        let delivery = &done.deliveries[0];
        let link = delivery.permalink.as_deref().unwrap();
        let id = delivery.remote_id.as_deref().unwrap();
        assert_eq!(link, house.network.url.join(&format!("facebook/reel/{id}/")).unwrap().as_str());
        let page = reading_client(tls(None).unwrap()).unwrap().get(link).send().await.unwrap();
        assert!(page.status().is_success() && page.text().await.unwrap().contains(text), "{link}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_facebook_says_of_a_token_is_told_before_a_post_meets_it() {
    let mut house = furnished().await;
    house.restart().await;
    house.until("the first look", async |_| (house.network.calls("facebook.debug") >= 2).then_some(())).await;
    let alerts = async |client: &sendoff::control::client::Client| client.status().await.unwrap().alerts;
    assert!(!alerts(&house.client).await.iter().any(|it| it.code == "data_access_end"), "90 days are left");
    // A person confirms the app from time to time, or it reads no more.
    house.pass(SignedDuration::from_hours(24 * 84)).await;
    house.restart().await;
    let told = house
        .until("the warning", async |client| {
            alerts(client).await.into_iter().find(|it| it.code == "data_access_end")
        })
        .await;
    assert!(told.message.contains("within 7 d"), "{told:?}");
    assert_eq!(told.hint.as_deref(), Some("sendoff account connect facebook --name acme"));
    // Removed in Facebook's own settings: known without a post that fails.
    house.network.end_access("acme");
    house.restart().await;
    let dead = house
        .until("the end", async |client| {
            let all = client.account_list().await.unwrap().accounts;
            all.iter().all(|it| it.state == m::AccountState::NeedsReconnect).then(|| all[0].clone())
        })
        .await;
    assert!(dead.reason.as_ref().unwrap().contains("not authorized"), "{dead:?}");
    assert!(
        !alerts(&house.client).await.iter().any(|it| it.code == "data_access_end"),
        "one thing at a time"
    );
    house.assert_no_refusals();
}
