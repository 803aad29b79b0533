//! X: pictures, films, polls and threads from consent to what people see, and the money that it takes.

use bytes::Bytes;
use futures_util::stream;
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};

use crate::film::{self, Shape};
use crate::house::{House, code, draft};

const ACME: &str = "x:acme";

async fn uploaded(house: &House, name: &str, bytes: Vec<u8>, alt: Option<&str>, part: u32) -> r::MediaRef {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let file = house.client.media_upload(Some(name.into()), body).await.unwrap();
    r::MediaRef { id: file.id, alt: alt.map(str::to_owned), part: Some(part) }
}

fn picture(side: u32) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    // Noise does not compress: a large picture goes in pieces.
    let image = image::RgbImage::from_fn(side, side, |x, y| {
        let at = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503).wrapping_mul(x | 1);
        image::Rgb([at.to_le_bytes()[1], at.to_le_bytes()[2], (at >> 7).to_le_bytes()[0]])
    });
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Upright and short, of about so many bytes.
fn movie(bytes: usize) -> Vec<u8> {
    let mut film = film::film(Shape { width: 720, height: 1280, ms: 10_000, ..Shape::default() });
    // A box that players pass over.
    film.extend(u32::try_from(bytes).unwrap().to_be_bytes());
    film.extend(b"free");
    film.resize(film.len() + bytes - 8, 0);
    film
}

fn options(
    pairs: &[(&str, &str)],
) -> std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> {
    let own = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    [("x".to_owned(), own)].into()
}

async fn published(house: &House, ask: &r::CreatePost) -> m::Post {
    let made = house.client.post_create(ask).await.unwrap();
    let done = house.ended(&made.id).await;
    assert_eq!(done.status, m::PostStatus::Published, "{done:#?}");
    done
}

async fn page(house: &House, path: &str) -> String {
    reqwest::get(house.network.url.join(path).unwrap()).await.unwrap().text().await.unwrap()
}

/// What was paid this month by all accounts.
async fn spent(house: &House) -> m::Spending {
    let mut all = house.client.status().await.unwrap().spending;
    assert_eq!((all.len(), all[0].platform.as_deref()), (1, Some("x")));
    all.remove(0)
}

fn counted(spending: &m::Spending) -> Vec<(&str, u64, &str)> {
    spending.calls.iter().map(|it| (it.what.as_str(), it.count, it.usd.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_with_pictures_and_a_film_and_a_poll_are_shown_and_never_refused() {
    let house = House::new().await;
    house.connect("x").await;
    let large = picture(900);
    assert!(large.len() > 1 << 20, "{}", large.len());
    let ask = r::CreatePost {
        media: vec![
            uploaded(&house, "crumb.png", picture(20), Some("A loaf & its crumb"), 1).await,
            uploaded(&house, "crust.png", large, None, 1).await,
            uploaded(&house, "oven.mp4", movie(2_200_000), None, 2).await,
        ],
        ..draft(&[ACME], &["What is inside.", "And how it comes."], r::When::Now)
    };
    let done = published(&house, &ask).await;
    assert_eq!(done.media.iter().map(|it| it.part).collect::<Vec<_>>(), [1, 1, 2]);
    let seen = house.network.published();
    assert_eq!(seen.iter().map(|it| it.alts.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(seen[0].alts, ["A loaf & its crumb", ""]);
    assert_eq!(seen[1].parent.as_ref(), Some(&seen[0].id));
    let shown = page(&house, "/x").await;
    assert!(
        shown.contains("alt=\"A loaf &amp; its crumb\"") && shown.contains("<video src=\"/x/media/"),
        "{shown}"
    );

    let ask = r::CreatePost {
        options: options(&[
            ("poll", "Rye|Spelt|Both"),
            ("poll_minutes", "60"),
            ("made_with_ai", "true"),
            ("paid_partnership", "true"),
        ]),
        ..draft(&[ACME], &["Which one tomorrow?"], r::When::Now)
    };
    published(&house, &ask).await;
    let shown = page(&house, "/x").await;
    assert!(shown.contains("poll: Rye / Spelt / Both (60 min) · made with AI · paid partnership"), "{shown}");
    let ask = r::CreatePost {
        options: options(&[("community", "1500000000000000001"), ("share_with_followers", "true")]),
        ..draft(&[ACME], &["For bakers."], r::When::Now)
    };
    published(&house, &ask).await;
    house.assert_no_refusals();
}

/// Another's community, and files that the account was not given leave to upload: this post cannot go out,
/// and the account's others do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_x_permits_no_single_post_stops_that_post_and_not_its_account() {
    let house = House::new().await;
    house.connect("x").await;
    let ask = r::CreatePost {
        options: options(&[("community", "1234")]),
        ..draft(&[ACME], &["For others' bakers."], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    let reason = house.ended(&made.id).await.deliveries[0].reason.clone().unwrap();
    assert_eq!(reason.class, "policy", "{reason:?}");
    assert!(reason.hint.unwrap().contains("only members post to community 1234"));
    house.inject("x.upload=not_permitted");
    let media = vec![uploaded(&house, "a.png", picture(20), None, 1).await];
    let ask = r::CreatePost { media, ..draft(&[ACME], &["With a file."], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    let reason = house.ended(&made.id).await.deliveries[0].reason.clone().unwrap();
    assert_eq!(reason.class, "not_granted", "{reason:?}");
    published(&house, &draft(&[ACME], &["Words go."], r::When::Now)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_for_parts_that_are_not_there_are_refused() {
    let house = House::new().await;
    house.connect("x").await;
    let media = vec![uploaded(&house, "a.png", picture(20), None, 2).await];
    let ask = r::CreatePost { media, ..draft(&[ACME], &["One part."], r::When::Now) };
    assert_eq!(code(house.client.post_create(&ask).await), "bad_part");
    let media = vec![uploaded(&house, "a.png", picture(20), None, 0).await];
    let ask = r::CreatePost { media, ..ask };
    assert_eq!(code(house.client.post_create(&ask).await), "bad_part");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_off_or_is_forgotten_is_begun_anew_and_a_bad_film_ends_with_the_reason() {
    let house = House::new().await;
    house.connect("x").await;
    for fault in [
        "x.append=lost_after",
        "x.append=too_large",
        "x.finalize=lost_after",
        "x.status=not_found",
        "x.create=media_invalid",
        "x.metadata=invalid",
        "x.upload=unavailable",
        "x.upload=too_large",
    ] {
        house.inject(fault);
        let picture = fault.starts_with("x.metadata") || fault.starts_with("x.upload");
        let media = if picture {
            vec![uploaded(&house, "a.png", picture_of(fault), Some("A picture"), 1).await]
        } else {
            vec![uploaded(&house, "a.mp4", movie(1_500_000 + fault.len()), None, 1).await]
        };
        published(&house, &r::CreatePost { media, ..draft(&[ACME], &[fault], r::When::Now) }).await;
        assert_eq!(house.live(fault).len(), 1, "{fault}");
    }
    house.inject("x.status=processing_failed");
    let media = vec![uploaded(&house, "bad.mp4", movie(9_000), None, 1).await];
    let ask = r::CreatePost { media, ..draft(&[ACME], &["bad"], r::When::Now) };
    let made = house.client.post_create(&ask);
    let done = house.ended(&made.await.unwrap().id).await;
    let reason = done.deliveries[0].reason.as_ref().unwrap();
    assert!(reason.message.contains("bad.mp4") && reason.message.contains("unsupported"), "{reason:?}");
}

fn picture_of(fault: &str) -> Vec<u8> {
    picture(16 + u32::try_from(fault.len()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_post_will_cost_is_said_before_and_what_it_did_cost_is_kept_over_a_restart() {
    let mut house = House::new().await;
    house.connect("x").await;
    assert_eq!(counted(&spent(&house).await), [("connect", 1, "0.01")]);
    let ask = r::CreatePost {
        media: vec![uploaded(&house, "a.png", picture(20), Some("A loaf"), 1).await],
        ..draft(&[ACME], &["One.", "See example.org for more."], r::When::Now)
    };
    let check = house.client.post_check(&ask).await.unwrap();
    assert_eq!(check.cost_usd.as_deref(), Some("0.23"));
    let lines: Vec<_> =
        check.targets[0].costs.iter().map(|it| (it.what.as_str(), it.count, it.usd.as_str())).collect();
    assert_eq!(
        lines,
        [
            ("post", 1, "0.015"),
            ("post with a link", 1, "0.20"),
            ("alt text", 1, "0.005"),
            ("read-back", 2, "0.01")
        ]
    );
    let done = published(&house, &ask).await;
    let all = [("connect", 1, "0.01"), ("publish", 2, "0.225"), ("x.metadata", 1, "0.005")];
    assert_eq!(counted(&spent(&house).await), all);
    assert_eq!(spent(&house).await.usd, "0.24", "the estimate, and the sign-in");
    let own = house.client.account_show(ACME).await.unwrap().spending.unwrap();
    assert_eq!((own.usd.as_str(), own.platform), ("0.24", None));

    // What is refused costs nothing; what a lost answer did cost is counted, and the look for it.
    house.inject("x.create=unauthorized,x.create=lost_after");
    published(&house, &draft(&[ACME], &["Two."], r::When::Now)).await;
    let now = spent(&house).await;
    assert_eq!(
        counted(&now),
        [
            ("connect", 1, "0.01"),
            ("publish", 3, "0.245"),
            ("x.metadata", 1, "0.005"),
            ("x.timeline", 1, "0.015")
        ],
        "three posts are on the page"
    );
    house.restart().await;
    assert_eq!(spent(&house).await, now);
    house.client.post_delete(&done.id, false).await.unwrap();
    assert!(counted(&spent(&house).await).contains(&("x.delete", 2, "0.02")));
    // An account that goes takes its own count along, and leaves what all have spent.
    let before = spent(&house).await;
    house.client.account_disconnect(ACME).await.unwrap();
    assert_eq!(spent(&house).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_beyond_the_budget_and_more_of_it_sets_it_going() {
    let mut house = House::new().await;
    house.connect("x").await;
    // The sign-in and one post, and not another.
    house.configure("\n[platforms.x]\n", "\n[platforms.x]\nmonthly_budget_usd = 0.045\n").await;
    published(&house, &draft(&[ACME], &["One."], r::When::Now)).await;
    let made = house.client.post_create(&draft(&[ACME], &["Two."], r::When::Now)).await.unwrap();
    let alert = house
        .until("the alert", async |client| {
            client.status().await.unwrap().alerts.into_iter().find(|it| it.code == "budget")
        })
        .await;
    assert!(
        alert.message.contains("budget for X is 0.045 USD; 0.03 are spent, and this would cost 0.02"),
        "{alert:?}"
    );
    assert!(alert.hint.unwrap().contains("monthly_budget_usd"));
    assert_eq!(house.live("Two.").len(), 0);
    assert_eq!(spent(&house).await.budget_usd.as_deref(), Some("0.045"));
    // A restart forgets nothing of it.
    house.restart().await;
    assert_eq!((spent(&house).await.usd.as_str(), house.live("Two.").len()), ("0.03", 0));
    house.configure("monthly_budget_usd = 0.045", "monthly_budget_usd = 1").await;
    let done = house.ended(&made.id).await;
    assert_eq!((done.status, house.live("Two.").len()), (m::PostStatus::Published, 1), "{done:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_text_on_two_accounts_is_warned_of() {
    let house = House::new().await;
    house.connect("x").await;
    house.connect_as("x", "alice").await;
    let both = [ACME, "x:alice"];
    let check = house.client.post_check(&draft(&both, &["Same."], r::When::Now)).await.unwrap();
    for (it, other) in check.targets.iter().zip(["x:alice", ACME]) {
        assert!(it.notices.iter().any(|it| it.contains(other) && it.contains("rules")), "{:?}", it.notices);
    }
    assert_eq!(check.cost_usd.as_deref(), Some("0.04"));
    let made = house.client.post_create(&draft(&both, &["Same."], r::When::Draft)).await.unwrap();
    assert_eq!(made.notices.iter().filter(|it| it.contains("X's rules")).count(), 2, "{:?}", made.notices);
    let own = m::Variant { body: Some("Another.".into()), parts: Vec::new(), comment: None };
    let ask = r::CreatePost {
        variants: [("x:alice".to_owned(), own)].into(),
        ..draft(&both, &["Same."], r::When::Draft)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    assert!(made.notices.iter().all(|it| !it.contains("rules")), "{:?}", made.notices);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_words_are_told_of_before_they_go_out_again_there_or_by_another_account() {
    let house = House::new().await;
    house.connect("x").await;
    house.connect_as("x", "alice").await;
    let words = ["Fresh bread every morning."];
    let told = async |account: &str, words: &[&str], when: r::When| {
        let check = house.client.post_check(&draft(&[account], words, when)).await.unwrap();
        check.targets[0].notices.join(" | ")
    };
    assert_eq!(told("x:acme", &words, r::When::Now).await, "");
    let tomorrow = r::When::At((house.now() + SignedDuration::from_hours(20)).to_string());
    let waits = house.client.post_create(&draft(&["x:acme"], &words, tomorrow)).await.unwrap();
    let own = told("x:acme", &words, r::When::Now).await;
    assert!(
        own.contains(&format!("x:acme has the same words in `{}`, which is scheduled for", waits.id)),
        "{own}"
    );
    let other = told("x:alice", &words, r::When::Now).await;
    assert!(other.contains("x:acme has the same text in") && other.contains("X's rules forbid"), "{other}");
    house.client.post_cancel(&waits.id).await.unwrap();
    assert_eq!(told("x:alice", &words, r::When::Now).await, "", "nothing comes of it");
    let first = house.client.post_create(&draft(&["x:acme"], &words, r::When::Now)).await.unwrap();
    house.ended(&first.id).await;
    let second = house.client.post_create(&draft(&["x:alice"], &words, r::When::Now)).await.unwrap();
    let notices = second.notices.join(" | ");
    assert!(notices.contains(&format!("`{}`, which went out at", first.id)), "{notices}");
    assert!(notices.contains("X's rules forbid"), "{notices}");
    assert_eq!(told("x:acme", &["Other words."], r::When::Now).await, "");
    // A day later it is another message; what goes out by the same account is told a day longer.
    let at = |hours| r::When::At((house.now() + SignedDuration::from_hours(hours)).to_string());
    let later = told("x:acme", &words, at(30)).await;
    assert!(later.contains("may refuse a repeat") && !later.contains("X's rules"), "{later}");
    assert_eq!(told("x:acme", &words, at(50)).await, "");
}
