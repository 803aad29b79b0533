//! An account that leaves: whatever dies, waits or comes in between, it is gone in the end, the
//! network was told, and the receipt is whole.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sendoff::auth::Grant;
use sendoff::control::{messages as m, requests as r};
use sendoff::daemon::rehearsal::{Rehearsal, Watch};
use sendoff::http::clients::{reading_client, tls};
use sendoff::keys::keyring::Keyring;
use sendoff::store::audit::{self, Receipt};
use sendoff::store::{Options, Store, accounts, vault};
use tokio::sync::watch;

use crate::house::{House, Wish, code};

/// Every place where a disconnect may die.
const POINTS: [&str; 9] = [
    "begun",
    "deliveries",
    "revoke not noted",
    "revoke",
    "rows",
    "key not noted",
    "key",
    "compact not noted",
    "compact",
];

/// What the receipt of an X account with nothing in the way says.
const WHOLE: [&str; 7] = [
    "pending deliveries",
    "refresh token",
    "access token",
    "tokens",
    "account",
    "data key",
    "old pages of the store",
];

/// Holds the daemon at a point, until it is let go or killed.
pub(crate) struct Trap {
    armed: Mutex<Option<String>>,
    caught: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Trap {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            armed: Mutex::default(),
            caught: watch::Sender::new(false),
            open: watch::Sender::new(false),
        })
    }

    pub(crate) fn rehearsal(self: &Arc<Self>) -> Rehearsal {
        let trap = Arc::clone(self);
        let watch: Watch = Arc::new(move |point| {
            let here = trap.armed.lock().unwrap().take_if(|armed| armed == point).is_some();
            let trap = Arc::clone(&trap);
            Box::pin(async move {
                if here {
                    trap.caught.send_replace(true);
                    trap.open.subscribe().wait_for(|open| *open).await.unwrap();
                }
            })
        });
        Rehearsal { watch: Some(watch), ..Rehearsal::default() }
    }

    pub(crate) fn arm(&self, point: &str) {
        self.caught.send_replace(false);
        self.open.send_replace(false);
        *self.armed.lock().unwrap() = Some(point.to_owned());
    }

    pub(crate) async fn caught(&self) {
        self.caught.subscribe().wait_for(|caught| *caught).await.unwrap();
    }

    pub(crate) fn let_go(&self) {
        self.open.send_replace(true);
    }

    /// Polls a request until the daemon is held, then walks away from it.
    async fn walk_away<T: std::fmt::Debug>(&self, asking: impl Future<Output = T>) {
        tokio::select! {
            answer = asking => panic!("it was over before it was held: {answer:?}"),
            () = self.caught() => {}
        }
    }
}

async fn trapped() -> (House, Arc<Trap>) {
    let trap = Trap::new();
    let house = House::with(Wish { rehearsal: trap.rehearsal(), ..Wish::default() }).await;
    (house, trap)
}

fn open(house: &House) -> Store {
    Store::open(&house.data_dir(), house.now(), Options::default()).unwrap()
}

/// The only account's tokens: what they are, and what the store holds of them. No daemon runs.
async fn secrets(house: &House) -> (String, Vec<Vec<u8>>) {
    let store = open(house);
    let account = store.read(accounts::list).unwrap().pop().unwrap();
    let sealed = store.read(|rx| vault::get_grant(rx, account.id)).unwrap().unwrap().sealed;
    let ring = Keyring::open(&house.data_dir(), &house.master()).unwrap();
    let plain = ring.open_sealed(account.id, 1, 1, &sealed).unwrap();
    let text: serde_json::Value =
        serde_json::from_slice(&Grant::from_sealed_json(&plain).unwrap().to_sealed_json()).unwrap();
    let token = |name: &str| text[name].as_str().unwrap().to_owned();
    let (access, refresh) = (token("access"), token("refresh"));
    store.close().await;
    (access.clone(), vec![access.into_bytes(), refresh.into_bytes(), sealed])
}

fn assert_clean(house: &House, secrets: &[Vec<u8>], at: &str) {
    for file in std::fs::read_dir(house.data_dir()).unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|it| it == secret);
            assert!(!found, "{at}: a token is in {}", path.display());
        }
    }
}

async fn is_live(house: &House, access: &str) -> bool {
    let url = format!("{}/x/2/users/me", house.network.url.as_str().trim_end_matches('/'));
    let asked = reading_client(tls(None).unwrap()).unwrap().get(url).bearer_auth(access).send().await;
    asked.unwrap().status().is_success()
}

/// The last receipt, once no disconnect is left. No daemon runs.
async fn receipt_of(house: &House, at: &str) -> Receipt {
    let store = open(house);
    assert_eq!(store.read(vault::erasures).unwrap(), [], "{at}");
    assert_eq!(store.read(vault::refreshes).unwrap(), [], "{at}");
    assert_eq!(store.read(accounts::list).unwrap(), [], "{at}");
    let receipt = store.read(|rx| audit::receipts(rx, 1)).unwrap().pop().unwrap();
    store.close().await;
    drop(store);
    let ring = Keyring::open(&house.data_dir(), &house.master()).unwrap();
    assert_eq!(ring.accounts(), [], "{at}: a key is left");
    receipt
}

fn whats(receipt: &m::Receipt) -> Vec<&str> {
    receipt.items.iter().map(|it| it.what.as_str()).collect()
}

async fn gone(house: &House) {
    house
        .until("the end of the disconnect", async |_| {
            let story = house.story(None).await;
            story.iter().any(|(event, _)| event == "account.disconnected").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_that_dies_at_any_step_is_finished_and_its_receipt_is_whole() {
    let (mut house, trap) = trapped().await;
    let mut subjects = Vec::new();
    for point in POINTS {
        house.connect("x").await;
        let made = house.post(&["x:acme"], &["Never to be seen."], r::When::At("+1h".into())).await;
        house.stop().await;
        let (access, needles) = secrets(&house).await;
        house.start().await;
        assert!(is_live(&house, &access).await, "{point}: the token is one of the network's");
        trap.arm(point);
        trap.walk_away(house.client.account_disconnect("x:acme")).await;
        house.kill().await;
        house.start().await;
        gone(&house).await;
        assert!(!is_live(&house, &access).await, "{point}: the network was not told");
        let post = house.client.post_show(&made.id).await.unwrap();
        assert_eq!(post.deliveries[0].state, m::DeliveryState::Cancelled, "{point}");
        assert_eq!(post.deliveries[0].reason.as_ref().unwrap().class, "disconnected", "{point}");
        house.stop().await;
        let receipt = receipt_of(&house, point).await;
        let lines: Vec<_> = receipt.outcome.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        assert_eq!(lines, WHOLE.map(|what| (what, "done")), "{point}");
        subjects.push(receipt.subject);
        house.start().await;
        house.stop().await;
        assert_clean(&house, &needles, point);
        house.start().await;
    }
    subjects.dedup();
    assert!(subjects.len() == 1 && subjects[0].len() == 64, "one account, one hash: {subjects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_gets_the_whole_receipt_of_the_disconnect_that_was_begun() {
    let (house, trap) = trapped().await;
    for point in POINTS {
        house.connect("x").await;
        trap.arm(point);
        // The first one goes away in the middle; the second finds it begun.
        trap.walk_away(house.client.account_disconnect("x:acme")).await;
        let release = async {
            // Time for the question to arrive: as many others are asked and answered meanwhile.
            for _ in 0..20 {
                house.client.status().await.unwrap();
            }
            trap.let_go();
        };
        let (again, ()) = tokio::join!(house.client.account_disconnect("x:acme"), release);
        let again = again.unwrap_or_else(|error| panic!("{point}: {error}"));
        assert_eq!(whats(&again.receipt), WHOLE, "{point}");
        assert_eq!(again.receipt.subject, "x:acme");
        assert!(house.client.account_list().await.unwrap().accounts.is_empty(), "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_in_the_middle_stops_nothing() {
    let (mut house, trap) = trapped().await;
    house.connect("x").await;
    trap.arm("revoke not noted");
    trap.walk_away(house.client.account_disconnect("x:acme")).await;
    trap.let_go();
    gone(&house).await;
    house.stop().await;
    let receipt = receipt_of(&house, "walked away").await;
    assert_eq!(receipt.outcome.len(), WHOLE.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_is_taken_for_an_account_that_is_leaving() {
    let (house, trap) = trapped().await;
    house.connect("x").await;
    house.connect("bluesky").await;
    for point in ["begun", "deliveries", "revoke"] {
        let draft = house.post(&["x:acme"], &["A draft."], r::When::Draft).await;
        trap.arm(point);
        let leaving = async {
            trap.caught().await;
            let shown = house.client.account_show("x:acme").await.unwrap();
            assert_eq!(shown.state, m::AccountState::Paused, "{point}");
            let both = crate::house::draft(&["bluesky:acme", "x:acme"], &["Too late."], r::When::Now);
            let refused = house.client.post_create(&both).await.unwrap_err().detail();
            assert_eq!(refused.code, "disconnecting", "{point}: {refused:?}");
            assert!(refused.message.contains("x:acme") && refused.hint.is_some(), "{refused:?}");
            let to = r::Move::At("+1h".into());
            let moved = house.client.post_reschedule(&draft.id, to, None).await;
            assert_eq!(code(moved), "disconnecting", "{point}");
            assert_eq!(code(house.client.account_resume("x:acme").await), "disconnecting");
            assert_eq!(code(house.client.account_rename("x:acme", "new").await), "disconnecting");
            assert_eq!(code(house.client.account_refresh("x:acme").await), "disconnecting");
            trap.let_go();
        };
        let (receipt, ()) = tokio::join!(house.client.account_disconnect("x:acme"), leaving);
        assert_eq!(whats(&receipt.unwrap().receipt), WHOLE, "{point}");
        assert_eq!(house.live("Too late.").len(), 0);
        house.connect("x").await;
        let draft = house.client.post_reschedule(&draft.id, r::Move::At("+1h".into()), None).await;
        assert!(draft.is_err(), "{point}: the draft is for the account that left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_during_a_disconnect_ends_with_one_account_that_works() {
    let (house, trap) = trapped().await;
    house.connect("x").await;
    for point in ["begun", "deliveries", "revoke not noted", "rows", "key", "compact"] {
        let flow = house.find("x").await;
        trap.arm(point);
        let back = async {
            trap.caught().await;
            let release = async {
                tokio::task::yield_now().await;
                trap.let_go();
            };
            let (confirmed, ()) = tokio::join!(house.client.connect_confirm(&flow, &r::Choice::All), release);
            confirmed.unwrap_or_else(|error| panic!("{point}: {error}"));
        };
        let (receipt, ()) = tokio::join!(house.client.account_disconnect("x:acme"), back);
        let receipt = receipt.unwrap_or_else(|error| panic!("{point}: {error}")).receipt;
        assert_eq!(whats(&receipt), WHOLE, "{point}");
        let all = house.client.account_list().await.unwrap().accounts;
        assert_eq!(all.len(), 1, "{point}: {all:?}");
        assert_eq!((all[0].account.as_str(), all[0].state), ("x:acme", m::AccountState::Ready), "{point}");
        let text = format!("After {point}.");
        let made = house.post(&["x:acme"], &[&text], r::When::Now).await;
        assert_eq!(house.ended(&made.id).await.status, m::PostStatus::Published, "{point}");
        house.client.account_refresh("x:acme").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_on_the_wire_ends_before_its_tokens_are_revoked() {
    let (mut house, trap) = trapped().await;
    house.connect("x").await;
    trap.arm("refresh");
    let refresh = house.client.account_refresh("x:acme");
    let leave = async {
        trap.caught().await;
        let release = async {
            let leaving = async |client: &sendoff::control::client::Client| {
                let account = client.account_show("x:acme").await.unwrap();
                (account.state == m::AccountState::Paused).then_some(())
            };
            house.until("the disconnect to begin", leaving).await;
            trap.let_go();
        };
        tokio::join!(house.client.account_disconnect("x:acme"), release).0
    };
    let (refreshed, left) = tokio::join!(refresh, leave);
    refreshed.unwrap();
    let receipt = left.unwrap().receipt;
    assert_eq!(whats(&receipt), WHOLE);
    assert!(receipt.items.iter().all(|it| it.result == m::Outcome::Done), "{receipt:?}");
    house.assert_no_refusals();
    house.stop().await;
    receipt_of(&house, "refresh").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_call_is_waited_for_and_recorded() {
    let house = House::furnished().await;
    let mut slow: sendoff::sandbox::Faults = "x.create=slow".parse().unwrap();
    slow.slow = Duration::from_secs(1);
    house.network.inject(slow);
    let made = house.post(&["x:acme"], &["On the wire."], r::When::Now).await;
    house.holds(1).await;
    house.client.account_disconnect("x:acme").await.unwrap();
    let done = house.client.post_show(&made.id).await.unwrap();
    assert_eq!(done.deliveries[0].state, m::DeliveryState::Published);
    assert_eq!(house.live("On the wire.").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_does_not_end_is_closed_as_not_verified_and_no_alert_stays() {
    let rehearsal = Rehearsal { running_call: Duration::from_millis(300), ..Rehearsal::default() };
    let house = House::with(Wish { rehearsal, ..Wish::default() }).await;
    house.connect("x").await;
    let mut slow: sendoff::sandbox::Faults = "x.create=slow".parse().unwrap();
    slow.slow = Duration::from_mins(10);
    house.network.inject(slow);
    let made = house.post(&["x:acme"], &["Nobody knows."], r::When::Now).await;
    house.holds(1).await;
    let receipt = house.client.account_disconnect("x:acme").await.unwrap().receipt;
    not_verified(&house, &made, &receipt).await;
    assert_eq!(house.live("Nobody knows.").len(), 1, "it is not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_looked_for_is_closed_as_not_verified_and_no_alert_stays() {
    let house = House::with(Wish { patient: true, ..Wish::default() }).await;
    house.connect("x").await;
    house.inject("x.create=lost_before");
    let made = house.post(&["x:acme"], &["Looked for."], r::When::Now).await;
    house.reaches(&made.id, m::DeliveryState::Unknown).await;
    let receipt = house.client.account_disconnect("x:acme").await.unwrap().receipt;
    not_verified(&house, &made, &receipt).await;
}

async fn not_verified(house: &House, made: &m::Post, receipt: &m::Receipt) {
    let delivery = &house.client.post_show(&made.id).await.unwrap().deliveries[0];
    assert_eq!((delivery.state, delivery.held), (m::DeliveryState::Rejected, false));
    let reason = delivery.reason.as_ref().unwrap();
    assert_eq!(reason.class, "not_verified");
    assert!(reason.hint.is_some());
    let line = receipt.items.iter().find(|it| it.what == "unclear delivery").unwrap();
    assert_eq!((line.r#where.as_str(), line.result), (delivery.id.as_str(), m::Outcome::NotPossible));
    assert!(line.message.as_ref().unwrap().contains("not verified"));
    let status = house.client.status().await.unwrap();
    // The configuration still has queues for the account that has left; nothing else is told.
    let usual = |code: &str| matches!(code, "weakened" | "queue_account");
    assert!(status.alerts.iter().all(|it| usual(&it.code)), "{:?}", status.alerts);
    assert!(!status.deliveries.keys().any(|state| state == "unknown" || state == "sending"));
    // It cannot be brought back for an account that is gone, and it can be deleted.
    assert_eq!(code(house.client.post_retry(&made.id).await), "not_found");
    house.client.post_delete(&made.id, true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_failed_says_where_to_end_the_access_by_hand() {
    let rehearsal = Rehearsal { revoke: Duration::from_millis(300), ..Rehearsal::default() };
    let house = House::with(Wish { rehearsal, ..Wish::default() }).await;
    let server = house.network.url.as_str().trim_end_matches('/').to_owned();
    let pages = [("x", "https://x.com/settings/connected_apps".to_owned()), ("bluesky", server)];
    for fault in ["429*9", "slow*9"] {
        for (platform, page) in &pages {
            house.connect(platform).await;
            let mut order: sendoff::sandbox::Faults = format!("{platform}.revoke={fault}").parse().unwrap();
            order.slow = Duration::from_mins(5);
            house.network.inject(order);
            let receipt = house.client.account_disconnect(&format!("{platform}:acme")).await.unwrap().receipt;
            let failed: Vec<_> = receipt.items.iter().filter(|it| it.result == m::Outcome::Failed).collect();
            assert!(!failed.is_empty(), "{platform} {fault}: {receipt:?}");
            for line in failed {
                let hint = line.hint.as_deref().unwrap_or_default();
                assert!(hint.contains(page.as_str()), "{platform} {fault}: {line:?}");
            }
            // For those who were not there: the line is written beside the answer, not before it.
            house
                .until("the log's word on it", async |_| {
                    let told = house.story(None).await;
                    let last = told.into_iter().rev().find(|(event, _)| event == "account.disconnected")?;
                    last.1.contains(page.as_str()).then_some(())
                })
                .await;
        }
    }
    assert!(house.client.account_list().await.unwrap().accounts.is_empty(), "the local copy is gone anyway");
}
