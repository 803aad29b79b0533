//! What `doctor` finds, and what it says to what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::sandbox::VERIFICATION;

use crate::house::{House, Wish, code};

async fn examine(house: &House, platform: Option<&str>) -> m::Diagnosis {
    let ask = r::Doctor { platform: platform.map(Into::into) };
    let diagnosis = house.client.doctor(&ask).await.unwrap();
    let faults = diagnosis.findings.iter().any(|it| it.result == m::FindingResult::Fault);
    assert_eq!(diagnosis.ok, !faults);
    for it in diagnosis.findings.iter().filter(|it| it.result != m::FindingResult::Ok) {
        assert!(it.hint.as_ref().is_some_and(|it| !it.is_empty()), "no remedy: {it:?}");
    }
    diagnosis
}

fn of<'a>(diagnosis: &'a m::Diagnosis, about: &str, check: &str) -> &'a m::Finding {
    let mut all =
        diagnosis.findings.iter().filter(|it| (it.about.as_str(), it.check.as_str()) == (about, check));
    all.next().unwrap_or_else(|| panic!("nothing on {about} {check} in {diagnosis:#?}"))
}

fn change(house: &House, from: &str, to: &str) {
    let text = fs::read_to_string(house.config_path()).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(house.config_path(), text.replacen(from, to, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_set_up_has_one_fault_and_that_is_an_old_version() {
    let house = House::furnished().await;
    let all = examine(&house, None).await;
    let faults: Vec<_> = all.findings.iter().filter(|it| it.result == m::FindingResult::Fault).collect();
    // It is 2030 in this house.
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert_eq!((faults[0].about.as_str(), faults[0].check.as_str()), ("linkedin", "version"));
    assert!(faults[0].hint.as_ref().unwrap().contains("linkedin_version"));

    let redirect = of(&all, "x", "redirect");
    let exact = format!("`http://127.0.0.1:{}/oauth/x/callback`", house.port);
    assert!(redirect.message.contains(&exact), "{redirect:?}");
    assert_eq!(of(&all, "host", "public_url").result, m::FindingResult::Warning, "nobody outside reaches it");
    assert_eq!(of(&all, "facebook", "mode").result, m::FindingResult::Unknown);
    for (about, check) in
        [("x", "reach"), ("x:acme", "connection"), ("bluesky:acme", "scopes"), ("host", "key")]
    {
        assert_eq!(of(&all, about, check).result, m::FindingResult::Ok, "{about} {check}");
    }

    let bluesky = of(&all, "bluesky:acme", "connection");
    assert!(
        bluesky.message.contains("until 2030-03-19; then"),
        "two weeks, whatever is renewed: {bluesky:?}"
    );
    assert!(bluesky.hint.as_ref().unwrap().contains("https `public_url`"), "{bluesky:?}");

    let one = examine(&house, Some("x")).await;
    assert!(one.ok);
    assert!(one.findings.iter().all(|it| ["host", "x", "x:acme"].contains(&it.about.as_str())), "{one:#?}");
    let unknown = r::Doctor { platform: Some("myspace".into()) };
    assert_eq!(code(house.client.doctor(&unknown).await), "bad_name");
    // What is asked of a network is a page of its front; the directory of identities has none.
    let refused = house.network.refusals();
    assert!(refused.iter().all(|it| it.call == "GET /plc"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_with_its_remedy() {
    let mut house = House::furnished().await;
    // The key's mode, a secret that is gone, a network behind a closed door, an account that is paused.
    let master = house.data_dir().with_file_name("master.key");
    fs::set_permissions(&master, fs::Permissions::from_mode(0o644)).unwrap();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let api = format!("api = \"{}x\"", house.network.url);
    change(&house, &api, &format!("api = \"http://{nobody}/x\""));
    change(&house, "[platforms.tiktok]", "[platforms.threads]\nclient_id = \"t\"\n\n[platforms.tiktok]");
    let own = "client_secret = { file = ";
    change(&house, own, "client_secret = { file = \"gone.secret\" } # { file = ");
    house.client.config_reload().await.unwrap();
    house.client.account_pause("bluesky:acme").await.unwrap();

    let all = examine(&house, None).await;
    let fault = |about: &str, check: &str, said: &str, remedy: &str| {
        let it = of(&all, about, check);
        assert_eq!(it.result, m::FindingResult::Fault, "{it:?}");
        assert!(it.message.contains(said), "{it:?}");
        assert!(it.hint.as_ref().unwrap().contains(remedy), "{it:?}");
    };
    fault("host", "key", "(mode 644)", "chmod 600");
    fault("facebook", "app", "gone.secret", "");
    fault("x", "reach", "`127.0.0.1` cannot be reached", "firewall");
    fault("threads", "app", "not available in this version", "");
    assert_eq!(of(&all, "bluesky:acme", "connection").result, m::FindingResult::Warning);
    fs::set_permissions(&master, fs::Permissions::from_mode(0o600)).unwrap();

    // A file that proves whose the address is, is fetched as the network would fetch it.
    let none = of(&all, "tiktok", "verification");
    assert_eq!(none.result, m::FindingResult::Warning, "{none:?}");
    let line =
        format!("[server]\nverification_files = {{ \"{}\" = \"{}\" }}", VERIFICATION.0, VERIFICATION.1);
    change(&house, "[server]", &line);
    house.stop().await;
    house.start().await;
    let all = examine(&house, None).await;
    let served = of(&all, "host", "verification");
    assert_eq!(served.result, m::FindingResult::Ok, "{served:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_address_that_leads_nowhere_is_named() {
    let house = House::with(Wish { public_url: Some("https://nowhere.invalid"), ..Wish::default() }).await;
    let all = examine(&house, Some("bluesky")).await;
    let address = of(&all, "host", "public_url");
    assert_eq!(address.result, m::FindingResult::Fault, "{address:?}");
    assert!(address.message.contains("`https://nowhere.invalid` cannot be reached"), "{address:?}");
    let document = of(&all, "bluesky", "app");
    assert!(document.message.contains("/oauth/bluesky/client.json"), "{document:?}");
    assert_eq!(document.result, m::FindingResult::Fault);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_client_a_versions_end_and_a_token_are_told_as_they_are() {
    let house = House::new().await;
    house.connect("linkedin").await;
    let all = examine(&house, None).await;
    let x = of(&all, "x", "app");
    assert!(x.result == m::FindingResult::Ok && x.message.contains("no secret"), "{x:?}");
    assert!(x.message.contains("Native App") && !x.message.contains("id and secret"), "{x:?}");
    assert!(of(&all, "linkedin", "app").message.contains("id and secret"));
    // LinkedIn's own word on the token; what it does not say is no fault.
    let token = of(&all, "linkedin:acme", "token");
    assert!(token.result == m::FindingResult::Ok && token.message.contains("`active` until"), "{token:?}");
    house.inject("linkedin.introspect=error:invalid_client/401");
    let all = examine(&house, Some("linkedin")).await;
    let token = of(&all, "linkedin:acme", "token");
    assert_eq!(token.result, m::FindingResult::Unknown, "{token:?}");
    house.jump(SignedDuration::from_hours(24 * 61));
    let all = examine(&house, Some("linkedin")).await;
    let token = of(&all, "linkedin:acme", "token");
    assert!(token.result == m::FindingResult::Fault && token.message.contains("`expired`"), "{token:?}");
    assert!(token.hint.as_ref().unwrap().contains("account connect linkedin --name acme"));
    // A month that LinkedIn's page does not name; another whose end is known.
    let section = "[platforms.linkedin]\n";
    change(&house, section, "[platforms.linkedin]\nlinkedin_version = \"203004\"\n");
    house.client.config_reload().await.unwrap();
    let all = examine(&house, Some("linkedin")).await;
    let version = of(&all, "linkedin", "version");
    assert_eq!(version.result, m::FindingResult::Warning, "{version:?}");
    assert!(version.message.contains("203004 is not known here"), "{version:?}");
    change(&house, "203004", "202603");
    house.client.config_reload().await.unwrap();
    let all = examine(&house, Some("linkedin")).await;
    let version = of(&all, "linkedin", "version");
    assert!(version.message.ends_with("ended on 2027-03-16"), "{version:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_network_that_can_be_asked_says_how_a_token_stands() {
    let house = House::new().await;
    house.connect("facebook").await;
    house.connect("linkedin").await;
    house.connect("x").await;
    let all = examine(&house, None).await;
    let page = of(&all, "facebook:acme", "token");
    assert!(page.result == m::FindingResult::Ok && page.message.contains("`valid`"), "{page:?}");
    assert!(page.message.contains("lets it read until"), "{page:?}");
    assert!(!all.findings.iter().any(|it| (it.about.as_str(), it.check.as_str()) == ("x:acme", "token")));
    house.network.end_access("acme");
    // What was issued this minute may not be known everywhere: no reason to connect again.
    let all = examine(&house, None).await;
    assert_eq!(of(&all, "linkedin:acme", "token").result, m::FindingResult::Unknown);
    house.jump(SignedDuration::from_mins(6));
    let all = examine(&house, None).await;
    for (account, word) in [("facebook:acme", "not authorized"), ("linkedin:acme", "`revoked`")] {
        let token = of(&all, account, "token");
        assert_eq!(token.result, m::FindingResult::Fault, "{token:?}");
        assert!(token.message.contains(word), "{token:?}");
        assert!(token.hint.as_ref().unwrap().contains("account connect"), "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_for_desktop_cannot_have_from_tiktok_is_told_and_its_word_is_named() {
    let house = House::new().await;
    let all = examine(&house, Some("tiktok")).await;
    let word = of(&all, "tiktok", "callbacks");
    assert!(word.result == m::FindingResult::Ok && word.message.contains("asked instead"), "{word:?}");
    // The stand-in fetches from anywhere; TikTok does not.
    assert!(all.findings.iter().all(|it| it.check != "photos"), "{all:#?}");
    let api = format!("api = \"{}tiktok\"", house.network.url);
    change(&house, &api, "api = \"https://nowhere.invalid\"");
    house.client.config_reload().await.unwrap();
    let all = examine(&house, Some("tiktok")).await;
    let photos = of(&all, "tiktok", "photos");
    assert_eq!(photos.result, m::FindingResult::Warning, "{photos:?}");
    assert!(photos.hint.as_ref().unwrap().contains("app_kind = \"web\""), "{photos:?}");
    assert!(all.findings.iter().all(|it| it.check != "verification"), "no file would help: {all:#?}");

    let house = House::with(Wish { public_url: Some("https://nowhere.invalid"), ..Wish::default() }).await;
    let word = examine(&house, Some("tiktok")).await;
    let word = of(&word, "tiktok", "callbacks");
    assert!(word.message.contains("`https://nowhere.invalid/webhooks/tiktok`"), "{word:?}");
}
