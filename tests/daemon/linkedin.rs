//! LinkedIn's members and organizations: from consent to posts that are there once, and gone again.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use sendoff::control::{messages as m, requests as r};

use crate::film::{self, Shape};
use crate::house::{House, code, draft, follow};

const MEMBER: &str = "linkedin:acme";
const PAGE: &str = "linkedin:acme-bakery";

/// The pages of `acme`, as their administrator connects them.
pub(crate) async fn pages(house: &House) -> Vec<m::Account> {
    let ask = r::Connect {
        platform: "linkedin".into(),
        kind: Some("organization".into()),
        yes: true,
        ..r::Connect::default()
    };
    let started = house.client.connect_start(&ask).await.unwrap();
    follow(&house.client, &started.id).await;
    house.client.account_list().await.unwrap().accounts
}

pub(crate) async fn uploaded(house: &House, name: &str, bytes: Vec<u8>, alt: Option<&str>) -> r::MediaRef {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let file = house.client.media_upload(Some(name.into()), body).await.unwrap();
    r::MediaRef { id: file.id, alt: alt.map(str::to_owned), part: None }
}

pub(crate) fn picture(shade: u8) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_pixel(400, 300, image::Rgb([shade, 120, 40]));
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// A document of two pages, as small as they come.
fn deck() -> Vec<u8> {
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
      2 0 obj<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>endobj\n\
      3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>endobj\n\
      4 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>endobj\n\
      trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
        .to_vec()
}

/// A film that LinkedIn takes: three seconds and 75 kB at least, so that it goes in two pieces.
fn long_film() -> Vec<u8> {
    let mut film = film::film(Shape { width: 1080, height: 1080, ms: 10_000, ..Shape::default() });
    // A box that players pass over.
    let more = (4_u32 << 20) + 9_000;
    film.extend(more.to_be_bytes());
    film.extend(b"free");
    film.resize(film.len() + more as usize - 8, 0);
    film
}

fn options(
    pairs: &[(&str, &str)],
) -> std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> {
    let own = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    [("linkedin".to_owned(), own)].into()
}

async fn published(house: &House, ask: &r::CreatePost) -> m::Post {
    let made = house.client.post_create(ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:#?}");
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_lives_from_consent_to_disconnect_without_one_refused_call() {
    let house = House::new().await;
    // A good token is called revoked at first, as happens there.
    house.inject("linkedin.userinfo=too_fresh");
    let account = house.connect("linkedin").await;
    assert_eq!((account.account.as_str(), account.tier.as_deref()), (MEMBER, Some("member")));
    assert_eq!(account.scopes, ["openid", "profile", "w_member_social"]);
    assert!(!account.can_refresh && account.expires_at.is_some(), "{account:?}");

    let words =
        "Fresh bread (until noon) [rye & spelt] #bread, with @[Acme Bakery](urn:li:organization:5515715)";
    let ask = r::CreatePost {
        comment: Some("Order (here)".into()),
        options: options(&[("visibility", "connections"), ("disable_reshare", "true")]),
        ..draft(&[MEMBER], &[words], r::When::Now)
    };
    let first = published(&house, &ask).await;
    let seen = house.network.published();
    let texts: Vec<_> = seen.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["Fresh bread (until noon) [rye & spelt] #bread, with Acme Bakery", "Order (here)"]);
    assert_eq!(seen[1].parent.as_ref(), Some(&seen[0].id));
    let step = &first.deliveries[0].steps[0];
    assert_eq!(step.remote_id.as_ref(), Some(&seen[0].id));
    assert_eq!(
        step.permalink.as_deref(),
        Some(format!("https://www.linkedin.com/feed/update/{}/", seen[0].id).as_str())
    );
    assert!(!first.deliveries[0].verified, "a member's posts cannot be read back, and that is said");

    let one = vec![uploaded(&house, "loaf.png", picture(200), Some("A loaf")).await];
    let two = vec![
        uploaded(&house, "rye.png", picture(90), Some("Rye")).await,
        uploaded(&house, "spelt.png", picture(160), Some("Spelt")).await,
    ];
    let document = vec![uploaded(&house, "deck.pdf", deck(), None).await];
    let link = options(&[("link", "https://example.org/oven"), ("link_title", "The oven")]);
    let poll = options(&[("poll", "Rye|Spelt"), ("poll_question", "Which?")]);
    for (text, media, options, alts) in [
        ("One.", one.clone(), options(&[]), vec!["A loaf"]),
        ("Two.", two, options(&[]), vec!["Rye", "Spelt"]),
        ("A deck.", document, options(&[]), vec![""]),
        ("A card.", vec![uploaded(&house, "oven.png", picture(20), None).await], link, vec![""]),
        ("A poll.", vec![], poll, vec![]),
    ] {
        let ask = r::CreatePost { media, options, ..draft(&[MEMBER], &[text], r::When::Now) };
        published(&house, &ask).await;
        let shown = house.live(text);
        let alts: Vec<String> = alts.into_iter().map(str::to_owned).collect();
        assert_eq!((shown.len(), &shown[0].alts), (1, &alts), "{text}");
    }

    let receipt = house.client.post_delete(&first.id, false).await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result != m::Outcome::Failed), "{receipt:?}");
    assert!(house.live(texts[0]).is_empty() && house.live("Order (here)").is_empty());
    let receipt = house.client.account_disconnect(MEMBER).await.unwrap().receipt;
    let access = receipt.items.iter().find(|it| it.what == "access of the app").unwrap();
    assert_eq!(access.result, m::Outcome::Done, "{receipt:?}");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_its_member_took_back_is_known_before_a_post_meets_it() {
    let mut house = House::new().await;
    house.connect("linkedin").await;
    let end = house.client.account_show(MEMBER).await.unwrap().expires_at;
    house.network.end_access("acme");
    // A token called revoked in its first minutes is as good as ever.
    house.restart().await;
    house
        .until("the first look", async |_| (house.network.calls("linkedin.introspect") >= 1).then_some(()))
        .await;
    house.pass(SignedDuration::from_mins(6)).await;
    let account = house.client.account_show(MEMBER).await.unwrap();
    assert_eq!((account.state, account.expires_at), (m::AccountState::Ready, end));
    house.restart().await;
    let dead = house
        .until("the end", async |client| {
            let account = client.account_show(MEMBER).await.unwrap();
            (account.state == m::AccountState::NeedsReconnect).then_some(account)
        })
        .await;
    assert!(dead.reason.as_ref().unwrap().contains("revoked"), "{dead:?}");
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_come_from_one_consent_are_read_back_and_end_together() {
    let house = House::new().await;
    let found = pages(&house).await;
    let names: Vec<_> = found.iter().map(|it| (it.account.as_str(), it.remote_id.as_str())).collect();
    assert_eq!(
        names,
        [(PAGE, "urn:li:organization:5515715"), ("linkedin:acme-cafe", "urn:li:organization:5515716")]
    );
    let film = vec![uploaded(&house, "oven.mp4", long_film(), None).await];
    for (text, media) in [("Hello from the page.", Vec::new()), ("The oven.", film)] {
        let ask = r::CreatePost { media, ..draft(&[PAGE], &[text], r::When::Now) };
        let done = published(&house, &ask).await;
        house
            .until("the read-back", async |client| {
                let post = client.post_show(&done.id).await.unwrap();
                post.deliveries[0].verified.then_some(())
            })
            .await;
        assert_eq!(house.live(text)[0].account, "acme-bakery");
    }
    assert!(house.live("The oven.")[0].id.starts_with("urn:li:ugcPost:"));
    for (name, result) in [(PAGE, m::Outcome::NotPossible), ("linkedin:acme-cafe", m::Outcome::Done)] {
        let receipt = house.client.account_disconnect(name).await.unwrap().receipt;
        let access = receipt.items.iter().find(|it| it.what == "access of the app").unwrap();
        assert_eq!(access.result, result, "{receipt:?}");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_answer_a_page_has_one_post_and_a_members_waits_for_a_word() {
    let house = House::new().await;
    house.connect("linkedin").await;
    pages(&house).await;
    for fault in ["lost_after", "lost_before", "500_after"] {
        house.inject(&format!("linkedin.create={fault}"));
        let text = format!("Through {}.", fault.replace('_', " "));
        // With files as without: the list tells of both.
        let media = match fault {
            "lost_after" => vec![uploaded(&house, "loaf.png", picture(200), None).await],
            "500_after" => vec![
                uploaded(&house, "rye.png", picture(90), None).await,
                uploaded(&house, "spelt.png", picture(160), None).await,
            ],
            _ => Vec::new(),
        };
        let ask = r::CreatePost { media, ..draft(&[PAGE], &[&text], r::When::Now) };
        let done = published(&house, &ask).await;
        let live = house.live(&text);
        assert_eq!(live.len(), 1, "{fault}");
        assert_eq!(done.deliveries[0].remote_id.as_ref(), Some(&live[0].id), "{fault}");
    }
    house.inject("linkedin.create=lost_after");
    let made = house.client.post_create(&draft(&[MEMBER], &["Mine."], r::When::Now)).await.unwrap();
    let held = house
        .until("the question", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            post.deliveries[0].held.then(|| post.deliveries[0].clone())
        })
        .await;
    let live = house.live("Mine.");
    assert_eq!(live.len(), 1);
    let address = format!("https://www.linkedin.com/feed/update/{}/", live[0].id);
    let word = r::Resolve { published: Some(address), ..r::Resolve::default() };
    let done = house.client.post_resolve(&held.id, &word).await.unwrap();
    assert_eq!(done.deliveries[0].remote_id.as_ref(), Some(&live[0].id));
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_changed_where_they_stand_on_both_kinds_of_account() {
    let house = House::new().await;
    house.connect("linkedin").await;
    pages(&house).await;
    for account in [MEMBER, PAGE] {
        let ask = r::CreatePost {
            comment: Some("Order here.".into()),
            options: options(&[("poll", "Rye|Spelt"), ("poll_question", "Which?")]),
            ..draft(&[account], &["Fresh bred (warm)."], r::When::Now)
        };
        let made = published(&house, &ask).await;
        let words = |text: &str| r::EditPost { parts: Some(vec![text.into()]), ..r::EditPost::default() };
        assert_eq!(house.client.post_show(&made.id).await.unwrap().fixed, None);
        house.inject("linkedin.edit=lost_after");
        let lost =
            house.client.post_edit(&made.id, &words("Fresh bread (warm).")).await.unwrap_err().detail();
        assert_eq!(lost.code, "edit_failed");
        assert_eq!(house.client.post_show(&made.id).await.unwrap().parts, ["Fresh bred (warm)."]);
        let edited = house.client.post_edit(&made.id, &words("Fresh bread (warm).")).await.unwrap();
        assert_eq!(edited.parts, ["Fresh bread (warm)."]);
        let handle = account.split_once(':').unwrap().1;
        assert!(house.live("Fresh bread (warm).").iter().any(|it| it.account == handle));
        assert!(house.live("Fresh bred (warm).").is_empty());
        // Of a comment no such call is documented.
        let comment = r::EditPost { comment: Some("Order there.".into()), ..r::EditPost::default() };
        assert_eq!(code(house.client.post_edit(&made.id, &comment).await), "too_late");
    }
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_is_withheld_fails_no_post_and_harms_no_account() {
    let house = House::new().await;
    house.connect("linkedin").await;
    house.inject("linkedin.comment=denied");
    let ask = r::CreatePost { comment: Some("First!".into()), ..draft(&[MEMBER], &["Hello."], r::When::Now) };
    let done = published(&house, &ask).await;
    let delivery = &done.deliveries[0];
    assert!(delivery.reason.as_ref().unwrap().hint.as_ref().unwrap().contains("the post is live"));
    let states: Vec<_> = delivery.steps.iter().map(|it| it.state.as_str()).collect();
    assert_eq!(states, ["published", "rejected"]);
    assert_eq!(house.client.account_list().await.unwrap().accounts[0].state, m::AccountState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_posted_and_linkedin_could_not_publish_is_told_until_it_is_removed() {
    let mut house = House::new().await;
    pages(&house).await;
    let alerts = async |house: &House| -> Vec<String> {
        let all = house.client.status().await.unwrap().alerts;
        all.into_iter().filter(|it| it.code == "came_to_nothing").map(|it| it.message).collect()
    };
    let mut posts = Vec::new();
    for comment in [None, Some("First!".to_owned())] {
        house.inject("linkedin.create=publish_failed");
        let text = format!("Gone, {comment:?}.");
        let ask = r::CreatePost { comment, ..draft(&[PAGE], &[&text], r::When::Now) };
        let made = house.client.post_create(&ask).await.unwrap();
        let told = house
            .until("the word of it", async |client| {
                let post = client.post_show(&made.id).await.unwrap();
                post.deliveries[0].reason.clone().map(|reason| (post.deliveries[0].clone(), reason))
            })
            .await;
        let (delivery, reason) = told;
        assert_eq!((delivery.state, delivery.verified), (m::DeliveryState::Published, false));
        assert_eq!(reason.class, "came_to_nothing");
        assert!(reason.message.contains("PUBLISH_FAILED") && reason.hint.is_some(), "{reason:?}");
        assert_eq!(house.network.published().len(), posts.len() + 1, "no comment stands under it");
        assert_eq!(code(house.client.post_retry(&made.id).await), "nothing_to_retry");
        let story = house.story(Some(&delivery.id)).await;
        let (event, line) = story.last().unwrap();
        assert_eq!(event, "delivery.came_to_nothing", "{story:?}");
        assert!(line.contains("not published after all: LinkedIn took the post"), "{line}");
        posts.push(made.id);
    }
    let ask = r::Events { backlog: Some(1_000), ..r::Events::default() };
    let events: Vec<_> = house.client.events(&ask).await.unwrap().map(Result::unwrap).collect().await;
    let loud: Vec<_> = events.iter().filter(|it| it.level == "error").map(|it| &it.event).collect();
    assert_eq!(loud, ["delivery.came_to_nothing"; 2]);
    let words = r::EditPost { parts: Some(vec!["Other.".into()]), ..r::EditPost::default() };
    assert_eq!(code(house.client.post_edit(&posts[0], &words).await), "too_late");
    // A restart forgets nothing, removing it does, and a day ends it.
    house.stop().await;
    house.start().await;
    let told = alerts(&house).await;
    assert!(told.len() == 2 && told[0].starts_with("linkedin:acme-bakery: taken by the network"), "{told:?}");
    house.client.post_delete(&posts[0], false).await.unwrap();
    assert_eq!(alerts(&house).await.len(), 1);
    house.pass(SignedDuration::from_hours(25)).await;
    assert_eq!(alerts(&house).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_is_never_written_down_and_what_linkedin_answered_goes_after_two_days() {
    let house = House::new().await;
    pages(&house).await;
    // By another hand, as far as the next delivery goes.
    let other = published(&house, &draft(&[PAGE], &["Canary: by another hand."], r::When::Now)).await;
    house.inject("linkedin.create=lost_after");
    let ask = r::CreatePost { comment: Some("First!".into()), ..draft(&[PAGE], &["Ours."], r::When::Now) };
    let made = published(&house, &ask).await;
    assert!(made.deliveries[0].verified, "no call reads a comment back, and the post was read back");
    let raws = async |id: &str| -> Vec<String> {
        let shown = house.client.post_show(id).await.unwrap();
        let all = &shown.deliveries[0];
        let reason = all.reason.iter().filter_map(|it| it.raw.clone());
        all.why.iter().filter_map(|it| it.raw.clone()).chain(reason).collect()
    };
    let kept = raws(&made.id).await;
    let urn = made.deliveries[0].steps[0].remote_id.clone().unwrap();
    assert!(kept.iter().any(|it| it.contains("\"left_out\":1") && it.contains(&urn)), "{kept:?}");
    assert!(kept.iter().all(|it| !it.contains("Canary")), "{kept:?}");
    house.pass(SignedDuration::from_hours(49)).await;
    house
        .until("the answers to be gone", async |client| {
            let shown = client.post_show(&made.id).await.unwrap();
            shown.deliveries[0].why.iter().all(|it| it.raw.is_none()).then_some(())
        })
        .await;
    assert_eq!((raws(&made.id).await, raws(&other.id).await), (vec![], vec![]));
    let shown = house.client.post_show(&made.id).await.unwrap();
    assert!(shown.deliveries[0].why.len() >= made.deliveries[0].why.len(), "what was made of them stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_has_ended_stops_the_network_and_not_the_posts() {
    let house = House::new().await;
    house.connect("linkedin").await;
    house.inject("linkedin.create=sunset");
    let made = house.client.post_create(&draft(&[MEMBER], &["Later."], r::When::Now)).await.unwrap();
    let waits = house.reaches(&made.id, m::DeliveryState::Retry).await;
    let reason = waits.reason.unwrap();
    assert!(reason.class == "config" && reason.hint.unwrap().contains("linkedin_version"));
    let alerts = house.client.status().await.unwrap().alerts;
    let told = |code: &str| alerts.iter().any(|it| it.code == code);
    // The stand-in's year is far from that of the version.
    assert!(told("config") && told("version_end"), "{alerts:?}");
    // No time passes: whoever set the new version need not wait.
    house.client.config_reload().await.unwrap();
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let shown = house.client.post_show(&made.id).await.unwrap();
    assert!(shown.deliveries[0].why.iter().any(|it| it.event == "config_reloaded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_be_renewed_is_announced_and_connecting_again_goes_on() {
    let house = House::new().await;
    house.connect("linkedin").await;
    let alert =
        async |code: &str| house.client.status().await.unwrap().alerts.iter().any(|it| it.code == code);
    assert!(!alert("token_end").await);
    let ends = |it: &m::Post| it.notices.iter().any(|it| it.contains("connect linkedin --name acme"));
    let late = house.now() + SignedDuration::from_hours(24 * 61);
    let far = draft(&[MEMBER], &["In two months."], r::When::At(late.to_string()));
    assert_eq!(house.client.post_check(&far).await.unwrap().targets[0].notices.len(), 1);
    let far = house.client.post_create(&far).await.unwrap();
    assert!(ends(&far), "{:?}", far.notices);
    let near = house.now() + SignedDuration::from_hours(24);
    let moved = async |to: Timestamp| {
        house.client.post_reschedule(&far.id, r::Move::At(to.to_string()), None).await.unwrap()
    };
    assert!(!ends(&moved(near).await) && ends(&moved(late).await));
    house.client.post_cancel(&far.id).await.unwrap();
    house.pass(SignedDuration::from_hours(24 * 47)).await;
    assert!(alert("token_end").await);
    house.pass(SignedDuration::from_hours(24 * 14)).await;
    let made =
        house.client.post_create(&draft(&[MEMBER], &["After sixty days."], r::When::Now)).await.unwrap();
    house.reaches(&made.id, m::DeliveryState::NeedsReconnect).await;
    assert!(alert("needs_reconnect").await);
    house.connect("linkedin").await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    assert!(!alert("token_end").await && !alert("needs_reconnect").await, "what was mended is not told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_without_its_app_is_refused_before_there_is_a_link() {
    let mut house = House::new().await;
    let text = std::fs::read_to_string(house.config_path()).unwrap();
    let at = text.find("[platforms.linkedin.organization]").unwrap();
    let end = at + text[at..].find("[platforms.linkedin.endpoints]").unwrap();
    std::fs::write(house.config_path(), format!("{}{}", &text[..at], &text[end..])).unwrap();
    house.stop().await;
    house.start().await;
    let ask = |kind: &str| r::Connect {
        platform: "linkedin".into(),
        kind: Some(kind.into()),
        ..r::Connect::default()
    };
    let error = house.client.connect_start(&ask("organization")).await.unwrap_err().detail();
    assert_eq!(error.code, "platform_not_ready");
    assert!(error.hint.as_ref().unwrap().contains("[platforms.linkedin.organization]"), "{error:?}");
    assert!(house.client.connect_start(&ask("member")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_is_for_linkedin_alone_and_one_of_two() {
    let house = House::new().await;
    let ask = |platform: &str, kind: &str| r::Connect {
        platform: platform.into(),
        kind: Some(kind.into()),
        ..r::Connect::default()
    };
    assert_eq!(code(house.client.connect_start(&ask("x", "member")).await), "unknown_kind");
    assert_eq!(code(house.client.connect_start(&ask("linkedin", "company")).await), "unknown_kind");
    // Who is chosen among the pages is stored, and no other.
    let some =
        r::Connect { select: vec!["urn:li:organization:5515716".into()], ..ask("linkedin", "organization") };
    let started = house.client.connect_start(&some).await.unwrap();
    follow(&house.client, &started.id).await;
    let accounts = house.client.account_list().await.unwrap().accounts;
    assert_eq!(accounts.iter().map(|it| it.account.as_str()).collect::<Vec<_>>(), ["linkedin:acme-cafe"]);
    let mut events = house.client.connect_events(&started.id).await.unwrap();
    while let Some(event) = events.next().await {
        event.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_for_one_of_several_pages_is_not_dropped_in_silence() {
    let house = House::new().await;
    let ask = |select: &[&str]| r::Connect {
        platform: "linkedin".into(),
        kind: Some("organization".into()),
        name: Some("bakery".into()),
        select: select.iter().map(|it| (*it).to_owned()).collect(),
        ..r::Connect::default()
    };
    let started = house.client.connect_start(&ask(&[])).await.unwrap();
    let found = house.landed(&started.id).await;
    assert_eq!(found.len(), 2);
    for it in &found {
        let told = it.warnings.join(" ");
        assert!(told.contains("`bakery` is for one account"), "{it:?}");
        assert_ne!(it.account.as_deref(), Some("linkedin:bakery"));
    }
    house.client.connect_confirm(&started.id, &r::Choice::No).await.ok();
    // Of one that is chosen it is the name.
    let started = house.client.connect_start(&ask(&["urn:li:organization:5515716"])).await.unwrap();
    follow(&house.client, &started.id).await;
    let accounts = house.client.account_list().await.unwrap().accounts;
    assert_eq!(accounts.iter().map(|it| it.account.as_str()).collect::<Vec<_>>(), ["linkedin:bakery"]);
}
