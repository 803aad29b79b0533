//! TikTok accounts: from consent to the inbox, to posts, and to the end of the access.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::domain::hex::hex;
use sendoff::http::clients::{reading_client, tls};
use sendoff::sandbox::VERIFICATION;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::film::{self, Shape};
use crate::house::{House, Wish, code, draft};

const ACCOUNT: &str = "tiktok:acme";

/// A house whose public listener proves to TikTok whose it is.
pub(crate) async fn verified() -> House {
    let mut house = House::with(Wish::default()).await;
    let text = std::fs::read_to_string(house.config_path()).unwrap();
    let line =
        format!("[server]\nverification_files = {{ \"{}\" = \"{}\" }}", VERIFICATION.0, VERIFICATION.1);
    std::fs::write(house.config_path(), text.replacen("[server]", &line, 1)).unwrap();
    house.stop().await;
    house.start().await;
    house
}

async fn uploaded(house: &House, name: &str, bytes: Vec<u8>) -> r::MediaRef {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let file = house.client.media_upload(Some(name.into()), body).await.unwrap();
    r::MediaRef { id: file.id, alt: None, part: None }
}

async fn film(house: &House) -> Vec<r::MediaRef> {
    let shape = Shape { width: 1080, height: 1920, ms: 10_000, ..Shape::default() };
    vec![uploaded(house, "loaf.mp4", film::film(shape)).await]
}

async fn photos(house: &House) -> Vec<r::MediaRef> {
    let mut all = Vec::new();
    for (name, width) in [("rye.png", 400), ("spelt.png", 1600)] {
        let mut png = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_pixel(width, 300, image::Rgb([200, 120, 40]));
        image.write_to(&mut png, image::ImageFormat::Png).unwrap();
        all.push(uploaded(house, name, png.into_inner()).await);
    }
    all
}

/// As a camera and a screen make them: one has more than 1080 lines either way, one just as many.
async fn camera(house: &House) -> Vec<r::MediaRef> {
    let mut all = Vec::new();
    for (name, width, height) in [("oven.jpg", 4000, 3000), ("counter.jpg", 1920, 1080)] {
        let mut jpeg = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_pixel(width, height, image::Rgb([200, 120, 40]));
        image.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        all.push(uploaded(house, name, jpeg.into_inner()).await);
    }
    let ask = r::CreatePost {
        media: all.clone(),
        options: options(PUBLIC),
        ..draft(&[ACCOUNT], &["Large ones."], r::When::Now)
    };
    let target = house.client.post_check(&ask).await.unwrap().targets.remove(0);
    let shown = serde_json::to_string(&target).unwrap();
    assert!(target.ok && shown.contains("1440×1080") && !shown.contains("1920×1080"), "{shown}");
    all
}

fn options(all: &[(&str, &str)]) -> BTreeMap<String, BTreeMap<String, String>> {
    let all = all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    [("tiktok".to_owned(), all)].into()
}

const PUBLIC: &[(&str, &str)] =
    &[("privacy", "PUBLIC_TO_EVERYONE"), ("consent", "music"), ("allow_comment", "true")];
const PRIVATE: &[(&str, &str)] = &[("privacy", "SELF_ONLY"), ("consent", "music")];
const INBOX: &[(&str, &str)] = &[("mode", "inbox")];

async fn published(house: &House, text: &str, media: Vec<r::MediaRef>, chosen: &[(&str, &str)]) -> m::Post {
    let ask = r::CreatePost { media, options: options(chosen), ..draft(&[ACCOUNT], &[text], r::When::Now) };
    let made = house.client.post_create(&ask).await.unwrap();
    house.ended(&made.id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_lives_from_consent_to_disconnect_without_one_refused_call() {
    let house = verified().await;
    let account = house.connect("tiktok").await;
    assert_eq!((account.account.as_str(), account.username.as_str()), (ACCOUNT, "acme"));
    assert!(account.can_refresh && account.missing_scopes.is_empty(), "{account:?}");

    let inbox = published(&house, "Written there.", film(&house).await, INBOX).await;
    assert_eq!(inbox.status, m::PostStatus::HandedOver, "{inbox:#?}");
    let direct = published(&house, "A film.", film(&house).await, PUBLIC).await;
    assert_eq!(direct.status, m::PostStatus::Published, "{direct:#?}");
    let private = published(&house, "For me.", film(&house).await, PRIVATE).await;
    assert_eq!(private.status, m::PostStatus::Published, "{private:#?}");
    let pictures = published(&house, "Two loaves.", photos(&house).await, PUBLIC).await;
    assert_eq!(pictures.status, m::PostStatus::Published, "{pictures:#?}");
    let later = published(&house, "Later.", photos(&house).await, INBOX).await;
    assert_eq!(later.status, m::PostStatus::HandedOver, "{later:#?}");
    let large = published(&house, "Large ones.", camera(&house).await, PUBLIC).await;
    assert_eq!(large.status, m::PostStatus::Published, "{large:#?}");

    let seen = house.network.published();
    let texts: Vec<_> = seen.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(
        texts,
        ["", "A film.", "For me.", "Two loaves.", "Later.", "Large ones."],
        "the inbox takes no words with a film"
    );
    for (post, there, kind) in [(&direct, 1, "video"), (&pictures, 3, "photo")] {
        let delivery = &post.deliveries[0];
        assert_eq!(delivery.remote_id.as_ref(), Some(&seen[there].id));
        let link = format!("https://www.tiktok.com/@acme/{kind}/{}", seen[there].id);
        assert_eq!((delivery.permalink.as_ref(), delivery.verified), (Some(&link), true));
    }
    assert_eq!((private.deliveries[0].remote_id.as_ref(), private.deliveries[0].verified), (None, true));

    // TikTok has no call that deletes, and that is said.
    let receipt = house.client.post_delete(&direct.id, false).await.unwrap().receipt;
    let line = receipt.items.iter().find(|it| it.result == m::Outcome::NotPossible).unwrap();
    assert!(line.hint.as_ref().is_some_and(|it| it.contains("TikTok's app")), "{line:?}");

    // Tokens are replaced; the old refresh token would end it.
    let first = house.client.account_refresh(ACCOUNT).await.unwrap();
    let second = house.client.account_refresh(ACCOUNT).await.unwrap();
    assert!(second.expires_at > first.expires_at, "{second:?}");
    house.pass(SignedDuration::from_hours(3)).await;
    let late = published(&house, "After the token's end.", film(&house).await, PRIVATE).await;
    assert_eq!(late.status, m::PostStatus::Published, "{late:#?}");

    let receipt = house.client.account_disconnect(ACCOUNT).await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_is_there_once_whatever_happens_to_the_answer() {
    let house = verified().await;
    house.connect("tiktok").await;
    for fault in [
        "tiktok.last=lost_after",
        "tiktok.last=lost_before",
        "tiktok.last=500_after",
        "tiktok.init=lost_after",
    ] {
        house.inject(fault);
        let text = format!("Through {}.", fault.replace(['_', '=', '.'], " "));
        let done = published(&house, &text, film(&house).await, PRIVATE).await;
        assert_eq!(
            (done.status, house.live(&text).len()),
            (m::PostStatus::Published, 1),
            "{fault}: {done:#?}"
        );
        house.pass(SignedDuration::from_secs(61)).await;
    }
    // Photos have no task without the answer: a person must look.
    house.inject("tiktok.photo=lost_after");
    let ask = r::CreatePost {
        media: photos(&house).await,
        options: options(PRIVATE),
        ..draft(&[ACCOUNT], &["Lost."], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    house
        .until("the question", async |client| {
            let post = client.post_show(&made.id).await.unwrap();
            post.deliveries[0].held.then_some(())
        })
        .await;
    assert_eq!(house.live("Lost.").len(), 1);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_person_may_choose_is_asked_for_when_the_post_is_made() {
    let house = verified().await;
    house.connect("tiktok").await;
    let film = film(&house).await;
    for (media, chosen, want) in [
        (film.clone(), &[][..], "privacy_missing"),
        (film.clone(), &[("privacy", "SELF_ONLY")][..], "consent_missing"),
        (film.clone(), &[("privacy", "EVERYBODY")][..], "bad_option"),
        (Vec::new(), PRIVATE, "media_missing"),
    ] {
        let ask =
            r::CreatePost { media, options: options(chosen), ..draft(&[ACCOUNT], &["x"], r::When::Now) };
        let error = house.client.post_create(&ask).await.unwrap_err().detail();
        assert!(error.problems.iter().any(|it| it.code == want), "{want}: {error:?}");
    }
    // Offered by the network, and not by this account: found out right before, and never replaced.
    let followers = [("privacy", "FOLLOWER_OF_CREATOR"), ("consent", "music")];
    let ended = published(&house, "For followers.", film, &followers).await;
    assert_eq!(ended.status, m::PostStatus::Failed, "{ended:#?}");
    let reason = ended.deliveries[0].reason.as_ref().unwrap();
    assert!(reason.message.contains("FOLLOWER_OF_CREATOR"), "{reason:?}");
    assert!(house.network.published().is_empty());
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_fails_and_a_host_that_is_not_verified_tell_why() {
    let house = House::new().await;
    house.connect("tiktok").await;
    let ended = published(&house, "x sandbox:fail=duration_check_failed", film(&house).await, PRIVATE).await;
    let reason = ended.deliveries[0].reason.clone().unwrap();
    assert_eq!(ended.status, m::PostStatus::Failed, "{ended:#?}");
    assert!(reason.message.contains("duration_check_failed") && reason.hint.is_some(), "{reason:?}");
    let ended = published(&house, "x", photos(&house).await, PRIVATE).await;
    let reason = ended.deliveries[0].reason.clone().unwrap();
    assert!(reason.message.contains("url_ownership_unverified"), "{reason:?}");
    assert!(reason.hint.unwrap().contains("server.public_url"));
}

/// What a person leaves ticked who does not want posts in the inbox.
const NO_INBOX: &[(&str, &str)] = &[("decision", "allow"), ("scope", "user.info.basic video.publish")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_the_account_was_not_given_the_right_for_is_refused_ahead_and_others_go() {
    let house = verified().await;
    house.connect("tiktok").await;
    let soon = r::CreatePost {
        media: film(&house).await,
        options: options(INBOX),
        ..draft(&[ACCOUNT], &["Soon."], r::When::At("+2h".into()))
    };
    let soon = house.client.post_create(&soon).await.unwrap();
    // The box is unticked the next time: what was scheduled before is told ahead, and refused when due.
    house.connect_with("tiktok", "acme", NO_INBOX).await;
    let account = house.client.account_show(ACCOUNT).await.unwrap();
    assert_eq!(account.missing_scopes, ["video.upload"]);
    let ask = r::CreatePost {
        media: film(&house).await,
        options: options(INBOX),
        ..draft(&[ACCOUNT], &["x"], r::When::Now)
    };
    let error = house.client.post_create(&ask).await.unwrap_err().detail();
    let problem = error.problems.iter().find(|it| it.code == "not_granted").unwrap();
    assert_eq!(problem.field, "options.tiktok.mode");
    assert!(problem.message.contains("video.upload"), "{problem:?}");
    assert!(problem.hint.as_ref().unwrap().contains("connect the account again"), "{problem:?}");
    house.pass(SignedDuration::from_mins(65)).await;
    let alert = house
        .until("the warning", async |client| {
            let alerts = client.status().await.unwrap().alerts;
            alerts.into_iter().find(|it| it.code == "at_risk")
        })
        .await;
    assert!(alert.message.contains("video.upload"), "{alert:?}");
    house.pass(SignedDuration::from_mins(60)).await;
    let ended = house.ended(&soon.id).await;
    assert_eq!(ended.status, m::PostStatus::Failed, "{ended:#?}");
    let direct = published(&house, "A film.", film(&house).await, PUBLIC).await;
    assert_eq!(direct.status, m::PostStatus::Published, "{direct:#?}");
    assert_eq!(house.client.account_show(ACCOUNT).await.unwrap().state, m::AccountState::Ready);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_may_no_longer_do_is_told_ahead_and_cleared_when_the_post_is_mended() {
    let house = verified().await;
    house.connect("tiktok").await;
    let media = film(&house).await;
    let at = |ahead: &str| r::When::At(ahead.into());
    let make = async |text: &str, chosen: &[(&str, &str)], when| {
        let media = media.clone();
        let ask = r::CreatePost { media, options: options(chosen), ..draft(&[ACCOUNT], &[text], when) };
        house.client.post_create(&ask).await.unwrap().id
    };
    let asked = house.network.calls("tiktok.creator");
    let followers = [("privacy", "FOLLOWER_OF_CREATOR"), ("consent", "music")];
    let wrong = make("For followers.", &followers, at("+25h")).await;
    // This account has stitches switched off.
    let stitch = [PRIVATE, &[("allow_stitch", "true")]].concat();
    let without = make("With stitches.", &stitch, at("+25h")).await;
    make("All right.", PRIVATE, at("+25h")).await;
    make("For the inbox.", INBOX, at("+25h")).await;
    let risks = async || {
        let alerts = house.client.status().await.unwrap().alerts;
        alerts.into_iter().filter(|it| it.code == "at_risk").collect::<Vec<_>>()
    };
    assert_eq!(risks().await, []);
    // Within a day, and within the life of the token.
    house.pass(SignedDuration::from_mins(65)).await;
    let told = house.until("both warnings", async |_| Some(risks().await).filter(|it| it.len() == 2)).await;
    assert!(told[0].message.contains("would not go out: the account does not offer"), "{told:?}");
    assert!(told[0].message.contains("FOLLOWER_OF_CREATOR"), "{told:?}");
    assert!(
        told[1].message.contains("otherwise than it was asked for") && told[1].message.contains("stitches")
    );
    assert_eq!(house.network.calls("tiktok.creator"), asked + 1, "once for all posts of the account");
    for id in [&wrong, &without] {
        let it = house.client.post_show(id).await.unwrap().deliveries.remove(0);
        assert_eq!(it.state, m::DeliveryState::Scheduled, "told, and not rejected");
        assert_eq!(it.why.last().unwrap().event, "at_risk");
    }
    let mend = r::EditPost { options: Some(options(PRIVATE)), ..r::EditPost::default() };
    for id in [&wrong, &without] {
        house.client.post_edit(id, &mend).await.unwrap();
    }
    house.pass(SignedDuration::from_secs(61)).await;
    house.until("the all-clear", async |_| risks().await.is_empty().then_some(())).await;
    assert_eq!(house.network.calls("tiktok.creator"), asked + 1, "what it said a minute ago will do");
    house.assert_no_refusals();
}

/// Sends word as TikTok does, signed with this secret so many seconds from now.
async fn told(house: &House, secret: &str, ahead: i64, event: &str, whose: &str, content: &Value) -> u16 {
    let time = (house.now().as_second() + ahead).to_string();
    let body = json!({
        "client_key": "sandbox-tiktok",
        "event": event,
        "create_time": house.now().as_second(),
        "user_openid": whose,
        "content": content.to_string(),
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let code = hex(&mac.finalize().into_bytes());
    let http = reading_client(tls(None).unwrap()).unwrap();
    let url = format!("http://127.0.0.1:{}/webhooks/tiktok", house.port);
    let sent = http.post(url).header("tiktok-signature", format!("t={time},s={code}")).body(body).send();
    sent.await.unwrap().status().as_u16()
}

/// The stand-in's secret.
const SECRET: &str = "sandbox-facebook-secret";
/// Of the first task that it makes.
const TASK: &str = "v_pub_file~v2-1.7500000000000000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_of_tiktoks_has_the_task_looked_at_at_once_and_nobody_elses_word_does() {
    let house = verified().await;
    let account = house.connect("tiktok").await;
    let whose = account.remote_id.as_str();
    // By itself it would look after a quarter of an hour at the earliest.
    house.configure("poll_scale = 0.01", "poll_scale = 100.0").await;
    let ask = r::CreatePost {
        media: film(&house).await,
        options: options(PRIVATE),
        ..draft(&[ACCOUNT], &["A film."], r::When::Now)
    };
    let made = house.client.post_create(&ask).await.unwrap();
    let delivery = house.reaches(&made.id, m::DeliveryState::Unknown).await.id;
    let task = json!({ "publish_id": TASK, "publish_type": "DIRECT_PUBLISH" });
    let complete = "post.publish.complete";
    assert_eq!(told(&house, "another", 0, complete, whose, &task).await, 403);
    assert_eq!(told(&house, SECRET, -400, complete, whose, &task).await, 403);
    assert_eq!(told(&house, SECRET, 400, complete, whose, &task).await, 403);
    // Nobody here, no such task, nothing of ours: heard, and nothing follows.
    assert_eq!(told(&house, SECRET, 0, complete, "-000-9", &task).await, 200);
    let other = json!({ "publish_id": "v_pub_file~v2-1.9" });
    assert_eq!(told(&house, SECRET, 0, complete, whose, &other).await, 200);
    assert_eq!(told(&house, SECRET, 0, "video.upload.failed", whose, &task).await, 200);
    assert_eq!(house.network.calls("tiktok.status"), 0);
    // Each is followed by one look; the second finds it.
    for looks in 1..=2 {
        assert_eq!(told(&house, SECRET, 0, complete, whose, &task).await, 200);
        house
            .until("the look", async |client| {
                let it = client.post_show(&made.id).await.unwrap().deliveries.remove(0);
                let done = it.state == m::DeliveryState::Published
                    || it.why.iter().filter(|it| it.event == "look_unclear").count() == looks;
                done.then_some(())
            })
            .await;
        assert_eq!(house.network.calls("tiktok.status"), looks as u64);
    }
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let why = house.client.post_show(&delivery).await.unwrap().deliveries.remove(0).why;
    let told_of: Vec<_> = why.iter().filter(|it| it.event == "look_told").collect();
    assert!(told_of.len() == 2 && told_of[0].message.contains("the network sent word"), "{why:#?}");
    // A word that comes once more, when all is over.
    assert_eq!(told(&house, SECRET, 0, complete, whose, &task).await, 200);
    house.assert_no_refusals();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_access_is_proven_before_an_account_is_called_dead() {
    let house = verified().await;
    let account = house.connect("tiktok").await;
    let (whose, reason) = (account.remote_id.as_str(), json!({ "reason": 1 }));
    let removed = "authorization.removed";
    let state = async || house.client.account_show(ACCOUNT).await.unwrap().state;
    let refreshed = async |count: u64| {
        let calls = async |_: &_| (house.network.calls("tiktok.token") == count).then_some(());
        house.until("the refresh", calls).await;
    };
    let at_connect = house.network.calls("tiktok.token");
    house.pass(SignedDuration::from_secs(10)).await;
    assert_eq!(told(&house, "another", 0, removed, whose, &reason).await, 403);
    // It says so, and it is not so: the account goes on with its new token.
    assert_eq!(told(&house, SECRET, 0, removed, whose, &reason).await, 200);
    refreshed(at_connect + 1).await;
    let posted = published(&house, "Still here.", film(&house).await, PRIVATE).await;
    assert_eq!(posted.status, m::PostStatus::Published, "{posted:#?}");
    assert_eq!(state().await, m::AccountState::Ready);
    house.network.end_access("acme");
    house.pass(SignedDuration::from_secs(10)).await;
    assert_eq!(told(&house, SECRET, 0, removed, whose, &reason).await, 200);
    house.until("the end", async |_| (state().await == m::AccountState::NeedsReconnect).then_some(())).await;
    let why = house.client.account_show(ACCOUNT).await.unwrap().reason.unwrap();
    assert!(why.contains("invalid_grant"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_app_without_an_https_address_is_told_so_before_a_browser_opens() {
    let mut house = House::new().await;
    let text = std::fs::read_to_string(house.config_path()).unwrap();
    // The real network, which has no loopback to stand in for it.
    let at = text.find("[platforms.tiktok.endpoints]").unwrap();
    let end = at + text[at..].find("[platforms.bluesky").unwrap();
    let text =
        format!("{}{}", &text[..at], &text[end..]).replace("app_kind = \"desktop\"", "app_kind = \"web\"");
    std::fs::write(house.config_path(), text).unwrap();
    house.stop().await;
    house.start().await;
    let ask = r::Connect { platform: "tiktok".into(), ..r::Connect::default() };
    assert_eq!(code(house.client.connect_start(&ask).await), "platform_not_ready");
}

/// Without the account nothing else is said than with it: how far new accounts reach, the configuration says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_the_same_of_the_account_and_of_one_that_would_be_connected_now() {
    let house = verified().await;
    house.connect("tiktok").await;
    let media = film(&house).await;
    let check = async |to: &str, chosen: &[(&str, &str)]| {
        let media = media.clone();
        let ask =
            r::CreatePost { media, options: options(chosen), ..draft(&[to], &["A film."], r::When::Now) };
        let it = house.client.post_check(&ask).await.unwrap().targets.remove(0);
        let codes: Vec<String> = it.problems.iter().map(|it| it.code.clone()).collect();
        (it.ok, codes, it.preview[0]["to"].as_str().unwrap().to_owned())
    };
    for (chosen, ok, place) in [
        (&[][..], false, "profile"),
        (PUBLIC, true, "profile"),
        (PRIVATE, true, "profile"),
        (INBOX, true, "inbox"),
    ] {
        let (account, bare) = (check(ACCOUNT, chosen).await, check("tiktok", chosen).await);
        assert_eq!(account, bare, "{chosen:?}");
        assert_eq!((account.0, account.2.as_str()), (ok, place), "{chosen:?}: {account:?}");
    }
    house.configure("mode = \"direct\"", "mode = \"inbox\"").await;
    assert_eq!(check("tiktok", &[]).await, (true, vec![], "inbox".to_owned()));
    assert!(!check(ACCOUNT, &[]).await.0, "what it was connected for holds");
}
