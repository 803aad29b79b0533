//! Meta's callbacks and what a letter asks for: whoever signed is heard, nobody else; and what was
//! heard is done, whatever dies in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sendoff::control::{messages as m, requests as r};
use sendoff::http::clients::{reading_client, tls};
use sendoff::keys::keyring::Keyring;
use sendoff::store::audit::{self, AuditRow, Receipt};
use sendoff::store::{Options, Store, accounts, check, requests, vault};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::disconnect::Trap;
use crate::house::{House, Wish, code};

/// The stand-in's app.
const SECRET: &str = "sandbox-facebook-secret";
/// `acme` at that app, in a house.
pub(crate) const ACME: &str = "102201007";
const PAGES: [&str; 2] = ["facebook:acme", "facebook:acme.cafe"];

pub(crate) fn signed(secret: &str, payload: &Value) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// What Meta signs of a person at this moment.
pub(crate) fn about(house: &House, user: &str) -> String {
    asked(house.now(), user)
}

fn asked(at: Timestamp, user: &str) -> String {
    signed(SECRET, &json!({ "algorithm": "HMAC-SHA256", "issued_at": at.as_second(), "user_id": user }))
}

pub(crate) fn form(signed_request: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("signed_request", signed_request)
        .finish()
}

/// An answer of the public listener: all that a stranger sees of it, but for the time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    headers: BTreeSet<(String, String)>,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|it| it.0 == name).map_or("", |it| &it.1)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn said(request: reqwest::RequestBuilder) -> Said {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = |it: &reqwest::header::HeaderValue| it.to_str().unwrap().to_owned();
    let headers = answer.headers().iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    Said { status, headers, body: answer.text().await.unwrap() }
}

fn at(house: &House, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", house.port)
}

/// Posts a form, as Meta would.
pub(crate) async fn post(house: &House, path: &str, body: impl Into<reqwest::Body>) -> Said {
    let http = reading_client(tls(None).unwrap()).unwrap();
    let kind = "application/x-www-form-urlencoded";
    said(http.post(at(house, path)).header("content-type", kind).body(body)).await
}

async fn get(house: &House, path: &str) -> Said {
    said(reading_client(tls(None).unwrap()).unwrap().get(at(house, path))).await
}

const REMOVED: &str = "/meta/facebook/deauthorize";
const DELETE: &str = "/meta/facebook/data-deletion";

async fn furnished(trap: Option<&Arc<Trap>>) -> House {
    let rehearsal = trap.map(Trap::rehearsal).unwrap_or_default();
    let house = House::with(Wish { rehearsal, ..Wish::default() }).await;
    house.connect("facebook").await;
    house
}

async fn names(house: &House) -> Vec<String> {
    house.client.account_list().await.unwrap().accounts.into_iter().map(|it| it.account).collect()
}

async fn all_gone(house: &House) {
    house.until("the accounts to go", async |_| names(house).await.is_empty().then_some(())).await;
}

/// Waits until the page behind a code shows these words.
async fn page_says(house: &House, code: &str, words: &str) -> Said {
    let path = format!("/deletion/{code}");
    house
        .until(words, async |_| {
            let page = get(house, &path).await;
            if page.status == 429 {
                house.pass(SignedDuration::from_mins(1)).await;
            }
            page.body.contains(words).then_some(page)
        })
        .await
}

/// What the store holds of requests. No daemon runs.
struct Kept {
    /// Newest first.
    requests: Vec<Receipt>,
    audit: Vec<AuditRow>,
}

/// Looks into the store, and finds nothing that is left half-done.
async fn kept(house: &House) -> Kept {
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    assert_eq!(store.read(vault::erasures).unwrap(), []);
    assert_eq!(store.read(requests::open).unwrap(), []);
    assert_eq!(store.read(check::all).unwrap(), Vec::<String>::new());
    let mut requests = store.read(|rx| audit::receipts(rx, usize::MAX)).unwrap();
    requests.retain(|it| it.kind != "disconnect");
    let (mut audit, _) = store.read(|rx| audit::list(rx, usize::MAX, None)).unwrap();
    audit.retain(|it| it.action.starts_with("privacy."));
    let left = store.read(accounts::list).unwrap().len();
    store.close().await;
    drop(store);
    assert_eq!(Keyring::open(&house.data_dir(), &house.master()).unwrap().accounts().len(), left);
    Kept { requests, audit }
}

/// Whether these bytes are in any file of the installation's data. No daemon runs.
fn lies_about(house: &House, needle: &[u8]) -> Option<std::path::PathBuf> {
    let files = std::fs::read_dir(house.data_dir()).unwrap().map(|it| it.unwrap().path());
    files
        .filter(|it| it.is_file())
        .find(|path| std::fs::read(path).unwrap().windows(needle.len()).any(|it| it == needle))
}

/// The sealed tokens of every account, as they lie in its row. No daemon runs.
async fn sealed(house: &House) -> Vec<String> {
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    let all = store.read(accounts::list).unwrap();
    let grants = all.iter().map(|it| store.read(|rx| vault::get_grant(rx, it.id)).unwrap().unwrap().sealed);
    let grants = grants.map(|it| STANDARD.encode(it)).collect();
    store.close().await;
    grants
}

/// The Pages go one after the other, and each asks for the end of the consent; the second finds it ended.
fn assert_only_ended_consents(house: &House) {
    let refusals = house.network.refusals();
    let ended =
        |it: &sendoff::sandbox::Refusal| it.call.starts_with("DELETE") && it.call.ends_with("/permissions");
    assert!(refusals.iter().all(ended), "{refusals:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_removes_the_app_takes_every_page_of_theirs_along_and_leaves_nothing() {
    let mut house = furnished(None).await;
    assert_eq!(names(&house).await, PAGES);
    let pages: Vec<_> =
        house.client.account_list().await.unwrap().accounts.into_iter().map(|it| it.remote_id).collect();
    let made = house.post(&[PAGES[0]], &["Never to be seen."], r::When::At("+1h".into())).await;
    house.stop().await;
    let tokens = sealed(&house).await;
    assert_eq!(tokens.len(), 2);
    for needle in tokens.iter().chain(&pages) {
        assert!(lies_about(&house, needle.as_bytes()).is_some(), "what is looked for later is there now");
    }
    assert_eq!(lies_about(&house, ACME.as_bytes()), None, "the person is not named even while connected");
    house.start().await;

    let answer = post(&house, REMOVED, form(&about(&house, ACME))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    house
        .until("both receipts", async |_| {
            let story = house.story(None).await;
            (story.iter().filter(|it| it.0 == "account.disconnected").count() == 2).then_some(())
        })
        .await;
    assert!(names(&house).await.is_empty());
    let post_after = house.client.post_show(&made.id).await.unwrap();
    assert_eq!(post_after.deliveries[0].state, m::DeliveryState::Cancelled);
    assert_eq!(post_after.deliveries[0].reason.as_ref().unwrap().class, "disconnected");
    let story = house.story(None).await;
    assert!(story.iter().any(|it| it.0 == "privacy.deauthorize" && it.1.contains(PAGES[1])), "{story:#?}");
    house.stop().await;

    let kept = kept(&house).await;
    let [request] = kept.requests.as_slice() else { panic!("{:?}", kept.requests) };
    assert_eq!((request.kind.as_str(), request.parts.len()), ("deauthorize", 2));
    assert!(request.outcome.iter().filter(|it| it.1 == "done").count() >= 12, "{request:?}");
    assert!(request.outcome.iter().all(|it| it.1 != "failed"), "{request:?}");
    let [row] = kept.audit.as_slice() else { panic!("{:?}", kept.audit) };
    assert_eq!((row.actor.as_str(), row.action.as_str()), ("facebook", "privacy.deauthorize"));
    assert_eq!(row.subject.as_ref(), Some(&request.id.to_string()), "the trail names no person");
    house.start().await;
    house.stop().await;
    for needle in tokens.iter().chain(&pages) {
        assert_eq!(lies_about(&house, needle.as_bytes()), None, "{needle}");
    }
    house.start().await;
    assert_only_ended_consents(&house);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_deletion_is_answered_with_a_page_that_shows_how_far_it_is() {
    let trap = Trap::new();
    let mut house = furnished(Some(&trap)).await;
    trap.arm("revoke not noted");
    let answer = post(&house, DELETE, form(&about(&house, ACME))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let said = answer.json();
    let code = said["confirmation_code"].as_str().unwrap();
    assert!(code.len() == 32 && code.bytes().all(|it| it.is_ascii_alphanumeric()), "{said}");
    assert_eq!(said["url"], at(&house, &format!("/deletion/{code}")));
    assert_eq!(said.as_object().unwrap().len(), 2, "{said}");

    trap.caught().await;
    let page = get(&house, &format!("/deletion/{code}")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.body.contains("Your data is being deleted") && page.body.contains(code), "{}", page.body);
    // Asked again meanwhile, by the other way too: one request, one answer.
    assert_eq!(post(&house, DELETE, form(&about(&house, ACME))).await.json(), said);
    assert_eq!(post(&house, REMOVED, form(&about(&house, ACME))).await.status, 200);
    trap.let_go();
    let page = page_says(&house, code, "Your data was deleted").await;
    for personal in [ACME, "acme", "Acme", "facebook:"] {
        assert!(!page.body.contains(personal), "{personal}: {}", page.body);
    }
    assert!(names(&house).await.is_empty());
    assert_eq!(
        post(&house, DELETE, form(&about(&house, ACME))).await.json(),
        said,
        "and afterwards the same"
    );

    // Who is not known here cannot tell it from the answer, and finds a page as well.
    let stranger = post(&house, DELETE, form(&about(&house, "4711"))).await;
    assert_eq!((stranger.status, &stranger.headers), (200, &answer.headers));
    let other = stranger.json()["confirmation_code"].as_str().unwrap().to_owned();
    assert!(other.len() == 32 && other != code);
    page_says(&house, &other, "Nothing of yours is stored here").await;

    // Guessed codes, and those of other receipts, are as unknown as any other address.
    let nowhere = get(&house, "/nothing").await;
    let mut wrong = code.to_owned();
    wrong.replace_range(0..1, if code.starts_with('0') { "1" } else { "0" });
    for path in [format!("/deletion/{wrong}"), "/deletion/".into(), format!("/deletion/{code}/")] {
        assert_eq!(get(&house, &path).await, nowhere, "{path}");
    }
    house.stop().await;
    let kept = kept(&house).await;
    assert_eq!(kept.requests.len(), 2, "{:?}", kept.requests);
    assert!(kept.requests.iter().all(|it| it.kind == "data_deletion" && it.subject.len() == 64));
    house.start().await;

    // Connected anew, it is a new request.
    house.connect("facebook").await;
    house.pass(SignedDuration::from_mins(1)).await;
    let again = post(&house, DELETE, form(&about(&house, ACME))).await.json();
    assert_ne!(again["confirmation_code"], said["confirmation_code"]);
    page_says(&house, again["confirmation_code"].as_str().unwrap(), "Your data was deleted").await;
    assert_only_ended_consents(&house);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_a_hundred_times_has_one_effect() {
    let mut house = furnished(None).await;
    let mut answers = BTreeSet::new();
    for n in 0..100 {
        if n % 25 == 0 {
            // The listener takes thirty a minute from one address.
            house.pass(SignedDuration::from_mins(1)).await;
        }
        let answer = post(&house, DELETE, form(&about(&house, ACME))).await;
        assert_eq!(answer.status, 200, "{n}");
        answers.insert(answer.body);
    }
    assert_eq!(answers.len(), 1);
    all_gone(&house).await;
    house.pass(SignedDuration::from_mins(1)).await;
    let code = serde_json::from_str::<Value>(answers.first().unwrap()).unwrap();
    page_says(&house, code["confirmation_code"].as_str().unwrap(), "Your data was deleted").await;
    let story = house.story(None).await;
    assert_eq!(story.iter().filter(|it| it.0 == "account.disconnected").count(), 2, "{story:#?}");
    house.stop().await;
    let kept = kept(&house).await;
    assert_eq!((kept.requests.len(), kept.audit.len()), (1, 1), "{:?}", kept.requests);
    house.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_late_or_again_wipes_no_newer_connection() {
    let house = furnished(None).await;
    let before = house.now();
    let (old, older) = (asked(before, ACME), asked(before - SignedDuration::from_hours(24), ACME));
    let first = post(&house, DELETE, form(&old)).await.json();
    all_gone(&house).await;
    house.pass(SignedDuration::from_mins(30)).await;
    house.connect("facebook").await;

    // Meta sends it again: the answer is that of before, and nothing is harmed.
    for path in [DELETE, REMOVED] {
        assert_eq!(post(&house, path, form(&old)).await.status, 200);
    }
    assert_eq!(post(&house, DELETE, form(&old)).await.json(), first);
    assert_eq!(names(&house).await, PAGES);
    let made = house.post(&[PAGES[0]], &["Still here."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    let gone = house.story(None).await.iter().filter(|it| it.0 == "account.disconnected").count();
    assert_eq!(gone, 2, "those of the first request alone");

    // One signed now means what there is now.
    let now = post(&house, DELETE, form(&about(&house, ACME))).await.json();
    assert_ne!(now, first);
    all_gone(&house).await;
    page_says(&house, now["confirmation_code"].as_str().unwrap(), "Your data was deleted").await;

    // One from before anything was known of them: its page does not say that nothing is stored.
    let fresh = furnished(None).await;
    let said = post(&fresh, DELETE, form(&older)).await;
    assert_eq!(said.status, 200);
    assert_eq!(post(&fresh, DELETE, form(&older)).await, said, "and again the same");
    let code = said.json()["confirmation_code"].as_str().unwrap().to_owned();
    let page = page_says(&fresh, &code, "not touched by it").await;
    assert!(!page.body.contains("nothing to delete"), "{}", page.body);
    assert_eq!(names(&fresh).await, PAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_signed_changes_nothing() {
    let mut house = furnished(None).await;
    let good = about(&house, ACME);
    let (signature, payload) = good.split_once('.').unwrap();
    let mut flipped = good.clone();
    flipped.replace_range(0..1, if good.starts_with('A') { "B" } else { "A" });
    let unsigned = json!({ "algorithm": "none", "user_id": ACME });
    let later = json!({ "algorithm": "HMAC-SHA256", "user_id": ACME, "issued_at": 4_000_000_000_i64 });
    let bad = [
        form(&flipped),
        form(&good[..good.len() - 1]),
        form(payload),
        form(&format!("{signature}.")),
        form(&format!(".{payload}")),
        form(&format!("{signature}.{payload}.{payload}")),
        form(&signed("", &json!({ "algorithm": "HMAC-SHA256", "user_id": ACME }))),
        form(&signed("another secret", &json!({ "algorithm": "HMAC-SHA256", "user_id": ACME }))),
        form(&signed(SECRET, &unsigned)),
        form(&signed(SECRET, &later)),
        form(&signed(SECRET, &json!([ACME]))),
        form(&signed(SECRET, &json!({ "algorithm": "HMAC-SHA256", "user_id": 0 }))),
        form(&signed(SECRET, &json!({ "algorithm": "HMAC-SHA256", "user_id": { "id": ACME } }))),
        String::new(),
        "signed_request".into(),
        format!("{0}&{0}", form(&good)),
        format!("{}&{}", form(&good), "x=1&".repeat(40)),
        form(&"a".repeat(20_000)),
        "x".repeat(70_000),
    ];
    for (n, body) in bad.into_iter().enumerate() {
        if n % 12 == 0 {
            house.pass(SignedDuration::from_mins(1)).await;
        }
        for path in [REMOVED, DELETE] {
            let answer = post(&house, path, body.clone()).await;
            assert_eq!((answer.status, answer.body.as_str()), (400, "refused\n"), "{n} {path}");
        }
    }
    house.pass(SignedDuration::from_mins(1)).await;
    // Another kind of body, and a look.
    let http = reading_client(tls(None).unwrap()).unwrap();
    let as_json = http.post(at(&house, REMOVED)).json(&json!({ "signed_request": good }));
    assert_eq!(said(as_json).await.status, 400);
    let nowhere = get(&house, "/nothing").await;
    assert_eq!(get(&house, &format!("{REMOVED}?{}", form(&good))).await, nowhere);
    // The listener has a limit here, too.
    let mut statuses = BTreeSet::new();
    for _ in 0..40 {
        statuses.insert(post(&house, REMOVED, form("a.b")).await.status);
    }
    assert_eq!(statuses, BTreeSet::from([400, 429]));

    assert_eq!(names(&house).await, PAGES);
    let made = house.post(&[PAGES[0]], &["Still here."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
    house.stop().await;
    let kept = kept(&house).await;
    assert!(kept.requests.is_empty() && kept.audit.is_empty(), "{:?}", kept.requests);
    house.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_secret_there_is_nothing_and_each_app_has_its_own() {
    let mut house = furnished(None).await;
    // At first there is no app for Instagram, as the stand-ins have one.
    house.stop().await;
    let path = house.config_path();
    let whole = std::fs::read_to_string(&path).unwrap();
    let (front, rest) = whole.split_once("[platforms.instagram]\n").unwrap();
    let before = format!("{front}{}", &rest[rest.find("[platforms.instagram.endpoints]").unwrap()..]);
    std::fs::write(&path, &before).unwrap();
    house.start().await;
    let nowhere = post(&house, "/meta/nothing", form(&about(&house, ACME))).await;
    assert_eq!((nowhere.status, nowhere.body.as_str()), (404, "not found\n"));
    for path in [
        "/meta/instagram/deauthorize",
        "/meta/instagram/data-deletion",
        "/meta/threads/deauthorize",
        "/meta/threads/data-deletion",
        "/meta/x/deauthorize",
        "/meta/facebook/deauthorize/",
    ] {
        for body in
            [form(&about(&house, ACME)), form(&signed("", &json!({ "user_id": ACME }))), String::new()]
        {
            assert_eq!(post(&house, path, body).await, nowhere, "{path}");
        }
    }

    // Instagram gets an app of its own.
    house.stop().await;
    let secret = path.with_file_name("instagram.secret");
    std::fs::write(&secret, "of-instagram").unwrap();
    chmod(&secret);
    let app = "[platforms.instagram]\nclient_id = \"1\"\nclient_secret = { file = \"instagram.secret\" }\n";
    std::fs::write(&path, format!("{before}\n{app}")).unwrap();
    house.start().await;
    let theirs = json!({ "algorithm": "HMAC-SHA256", "user_id": ACME });
    for secret in ["of-instagram", SECRET] {
        // Which of the two signs, Meta does not say.
        let answer = post(&house, "/meta/instagram/deauthorize", form(&signed(secret, &theirs))).await;
        assert_eq!(answer.status, 200, "{secret}");
    }
    assert_eq!(post(&house, REMOVED, form(&signed("of-instagram", &theirs))).await.status, 400);
    assert_eq!(names(&house).await, PAGES, "an id of Instagram's app is nobody at Facebook's");

    // And Facebook loses its secret, without a restart.
    let without: String =
        before.lines().filter(|it| !it.starts_with("client_secret")).collect::<Vec<_>>().join("\n");
    assert_ne!(without, before);
    std::fs::write(&path, without).unwrap();
    house.hang_up();
    for path in [REMOVED, DELETE] {
        assert_eq!(post(&house, path, form(&about(&house, ACME))).await, nowhere, "{path}");
    }
    assert_eq!(names(&house).await, PAGES);

    // A secret that cannot be read is no secret that is not there: Meta is asked to come again.
    std::fs::write(&path, before.replace(".secret\"", ".gone\"")).unwrap();
    house.hang_up();
    let answer = post(&house, REMOVED, form(&about(&house, ACME))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "60"));
    // And nobody has to wait for a refresh that fails to hear of it.
    let alerts = house.client.status().await.unwrap().alerts;
    let told: Vec<_> = alerts.iter().filter(|it| it.code == "secret").collect();
    assert!(!told.is_empty() && told.iter().all(|it| it.message.contains(".gone")), "{alerts:?}");
}

fn chmod(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_answered_is_heard_whatever_dies_afterwards() {
    let trap = Trap::new();
    let mut house = furnished(Some(&trap)).await;
    let mut codes = BTreeSet::new();
    for point in ["request heard", "deliveries", "rows", "key not noted", "request not closed"] {
        if names(&house).await.is_empty() {
            house.connect("facebook").await;
        }
        trap.arm(point);
        let answer = post(&house, DELETE, form(&about(&house, ACME))).await;
        assert_eq!(answer.status, 200, "{point}");
        trap.caught().await;
        house.kill().await;
        house.start().await;
        let code = answer.json()["confirmation_code"].as_str().unwrap().to_owned();
        page_says(&house, &code, "Your data was deleted").await;
        assert!(names(&house).await.is_empty(), "{point}");
        house.stop().await;
        let request = kept(&house).await.requests.remove(0);
        assert_eq!((request.code.as_str(), request.parts.len()), (code.as_str(), 2), "{point}");
        assert!(request.outcome.iter().all(|it| it.1 != "failed"), "{point}: {request:?}");
        assert!(codes.insert(code), "{point}");
        house.start().await;
    }
    assert_eq!(codes.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_from_before_their_person_was_kept_are_found_by_their_grants() {
    let mut house = furnished(None).await;
    house.stop().await;
    let store = Store::open(&house.data_dir(), house.now(), Options::default()).unwrap();
    for mut account in store.read(accounts::list).unwrap() {
        assert_eq!(account.persons.len(), 1, "{account:?}");
        account.persons.clear();
        store.write(move |tx| accounts::put(tx, &account)).await.unwrap();
    }
    store.close().await;
    drop(store);
    house.start().await;
    assert_eq!(post(&house, REMOVED, form(&about(&house, "4711"))).await.status, 200);
    assert_eq!(names(&house).await, PAGES);
    assert_eq!(post(&house, REMOVED, form(&about(&house, ACME))).await.status, 200);
    all_gone(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_removes_the_app_goes_alone() {
    let house = furnished(None).await;
    let pages = house.client.account_list().await.unwrap().accounts;
    let said = json!({ "algorithm": "HMAC-SHA256", "user_id": 0, "profile_id": pages[1].remote_id });
    assert_eq!(post(&house, REMOVED, form(&signed(SECRET, &said))).await.status, 200);
    house.until("one page to go", async |_| (names(&house).await == PAGES[..1]).then_some(())).await;
    let made = house.post(&[PAGES[0]], &["Still here."], r::When::Now).await;
    assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_carried_out_by_the_networks_id_of_the_person() {
    let mut house = furnished(None).await;
    house.connect("x").await;
    let nobody = house.client.erase_platform_user("facebook:4711").await.unwrap().receipt;
    assert_eq!((nobody.subject.as_str(), nobody.items.len()), ("facebook:4711", 1), "{nobody:?}");
    assert_eq!(nobody.items[0].result, m::Outcome::Done);
    assert!(nobody.items[0].message.as_ref().unwrap().contains("nothing here belongs to this id"));
    // The id of one network is nobody at another.
    house.client.erase_platform_user(&format!("instagram:{ACME}")).await.unwrap();
    for bad in [ACME, "facebook:", "myspace:1", "facebook:1 2", ""] {
        assert_eq!(code(house.client.erase_platform_user(bad).await), "bad_platform_user", "{bad}");
    }
    assert_eq!(names(&house).await.len(), 3);

    let receipt = house.client.erase_platform_user(&format!("facebook:{ACME}")).await.unwrap().receipt;
    assert!(receipt.items.iter().all(|it| it.result != m::Outcome::Failed), "{receipt:#?}");
    for page in PAGES {
        let of = |what: &str| {
            let item = receipt.items.iter().find(|it| it.what == format!("{page}: {what}"));
            item.unwrap_or_else(|| panic!("no {what} of {page}: {receipt:#?}")).result
        };
        for what in ["pending deliveries", "access of the app", "tokens", "account", "data key"] {
            assert_eq!(of(what), m::Outcome::Done, "{page} {what}");
        }
    }
    assert_eq!(names(&house).await, ["x:acme"]);
    // Again: the same receipt, and what it came to.
    let again = house.client.erase_platform_user(&format!("facebook:{ACME}")).await.unwrap().receipt;
    assert_eq!((again.id, again.items.len()), (receipt.id, receipt.items.len()));

    // Other networks know a person by the account's own id.
    let x = house.client.account_show("x:acme").await.unwrap().remote_id;
    house.client.erase_platform_user(&format!("x:{x}")).await.unwrap();
    assert!(names(&house).await.is_empty());
    house.stop().await;
    let kept = kept(&house).await;
    assert_eq!(kept.requests.len(), 4, "{:?}", kept.requests);
    assert!(kept.audit.iter().all(|it| it.action == "privacy.erase" && it.actor.starts_with("uid:")));
    let whole = format!("{:?}{:?}", kept.requests, kept.audit);
    assert!(!whole.contains(ACME) && !whole.contains(&x), "a receipt outlives the person: {whole}");
    house.start().await;
    assert_only_ended_consents(&house);
}
