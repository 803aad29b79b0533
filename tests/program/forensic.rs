//! After a disconnect nobody finds a token: not in any file, in any encoding, not in the log, and
//! not with the master key in hand.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use crate::e2e::{House, files};
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};
use sendoff::domain::ids::AccountId;
use sendoff::keys::error::KeyError;
use sendoff::keys::keyring::Keyring;
use sendoff::keys::master::MasterKey;
use sendoff::store::{Options, Store, accounts, vault};
use serde_json::Value;
use tempfile::TempDir;

/// Where a grant is sealed: a promise to the disk, so it is written here a second time.
const TABLE: u16 = 1;
const FIELD: u16 = 1;
/// Needles are found by their first bytes.
const HEAD: usize = 4;

/// What a secret looks like in the disguises that programs give to bytes.
fn disguises(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| -> Vec<u8> {
        let digit = |it: &u8| if upper { format!("{it:02X}") } else { format!("{it:02x}") };
        secret.iter().map(digit).collect::<String>().into_bytes()
    };
    let wide: Vec<u8> = secret.iter().flat_map(|it| [*it, 0]).collect();
    let reversed: Vec<u8> = secret.iter().rev().copied().collect();
    let mut all = vec![secret.to_vec(), reversed, hex(false), hex(true), wide];
    let base64 = |alphabet: &Alphabet, before: usize| {
        let padded = [&vec![0; before][..], secret].concat();
        let text = GeneralPurpose::new(alphabet, NO_PAD).encode(&padded);
        // Without the characters that also depend on the neighbours.
        text.as_bytes()[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_vec()
    };
    for before in 0..3 {
        all.extend([base64(&STANDARD, before), base64(&URL_SAFE, before)]);
    }
    all
}

/// Finds any of many byte strings in one pass.
struct Search(HashMap<[u8; HEAD], Vec<(usize, Vec<u8>)>>);

impl Search {
    fn new<'a>(secrets: impl IntoIterator<Item = &'a Vec<u8>>) -> Self {
        let mut heads: HashMap<_, Vec<_>> = HashMap::new();
        for (n, secret) in secrets.into_iter().enumerate() {
            assert!(secret.len() >= 12, "too short to be told from chance");
            for needle in disguises(secret) {
                heads.entry(needle[..HEAD].try_into().unwrap()).or_default().push((n, needle));
            }
        }
        Self(heads)
    }

    /// The number of a secret that is in there.
    fn find(&self, hay: &[u8]) -> Option<usize> {
        hay.windows(HEAD).enumerate().find_map(|(at, head)| {
            let wanted = self.0.get(head)?;
            wanted.iter().find(|(_, needle)| hay[at..].starts_with(needle)).map(|(n, _)| *n)
        })
    }
}

#[test]
fn the_search_sees_through_every_disguise() {
    let secret = b"sandbox-token-0123456789abcdef".to_vec();
    let search = Search::new([&secret]);
    let engines = [&STANDARD, &URL_SAFE].map(|it| GeneralPurpose::new(it, NO_PAD));
    for before in 0..7 {
        let plain = [&vec![0xfb; before][..], &secret, b"\xff and more"].concat();
        assert_eq!(search.find(&plain), Some(0));
        for engine in &engines {
            assert_eq!(search.find(engine.encode(&plain).as_bytes()), Some(0), "{before}");
        }
    }
    let text = String::from_utf8(secret.clone()).unwrap();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex = secret.iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}"));
    let reversed: String = text.chars().rev().collect();
    for disguise in [wide, hex.to_uppercase().into_bytes(), hex.into_bytes(), reversed.into_bytes()] {
        assert_eq!(search.find(&disguise), Some(0));
    }
    assert_eq!(search.find(b"sandbox-token-0123456789abcdeF and sandbox-token"), None);
}

fn copy(from: &Path, name: &str, to: &Path) {
    fs::copy(from.join(name), to.join(name)).unwrap();
}

/// Everything of a data directory that matters to a thief, somewhere else.
fn stolen(data: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    copy(data, "sendoff.redb", to.path());
    copy(data, "keyring", to.path());
    to
}

/// The sealed grants of a stolen store.
fn sealed(dir: &Path) -> Vec<(AccountId, Vec<u8>)> {
    let store = Store::open(dir, jiff::Timestamp::UNIX_EPOCH, Options::default()).unwrap();
    let all = store.read(accounts::list).unwrap();
    all.iter()
        .filter_map(|it| Some((it.id, store.read(|rx| vault::get_grant(rx, it.id)).unwrap()?.sealed)))
        .collect()
}

/// The secrets in a grant: both tokens and the key that proves their possession.
fn secrets_in(grant: &[u8]) -> Vec<Vec<u8>> {
    let grant: Value = serde_json::from_slice(grant).unwrap();
    let text = |field: &str| grant[field].as_str().map(|it| it.as_bytes().to_vec());
    let key = grant["dpop"].as_str().map(|it| URL_SAFE_NO_PAD.decode(it).unwrap());
    // A signed token is secret in each of its parts; its head alone says nothing.
    let signature = grant["access"].as_str().and_then(|it| it.rsplit('.').next());
    let parts = [text("access"), text("refresh"), text("dpop"), key];
    parts.into_iter().flatten().chain(signature.map(|it| it.as_bytes().to_vec())).collect()
}

/// Opens every grant of a stolen directory with its own keyring and the master key.
fn learn(dir: &Path, master: &MasterKey) -> Vec<Vec<u8>> {
    let keyring = Keyring::open(dir, master).unwrap();
    let grants = sealed(dir);
    assert_eq!(grants.len(), 2);
    grants
        .iter()
        .flat_map(|(id, sealed)| secrets_in(&keyring.open_sealed(*id, TABLE, FIELD, sealed).unwrap()))
        .collect()
}

#[test]
fn after_a_disconnect_no_file_and_no_key_gives_a_token_back() {
    let house = House::with("[engine]\nlane_spacing = \"20ms\"\n");
    let master = MasterKey::from_file(&house.path("master.key")).unwrap();
    let daemon = house.serve();
    let mut journey = house.connect("x", "acme");
    journey.extend(house.connect("bluesky", "acme"));
    let mut logs = vec![daemon.stop()];

    let mut secrets = BTreeSet::from_iter(learn(stolen(&house.data()).path(), &master));
    let before = secrets.len();
    let daemon = house.serve();
    for account in ["x:acme", "bluesky:acme"] {
        house.run(&["account", "refresh", account, "--json"]).json();
        house.run(&["post", "create", "Last words", "--to", account, "--now", "--json"]).json();
    }
    house.follow(|log| log.matches("delivery.published").count() >= 2);
    logs.push(daemon.stop());
    assert_eq!(house.sandbox.published().len(), 2);

    // The control: what a thief takes now does give the tokens back, so the search can find them.
    let old = stolen(&house.data());
    let fresh = learn(old.path(), &master);
    secrets.extend(fresh);
    assert!(secrets.len() >= before + 4, "both refreshes brought new tokens: {before} {}", secrets.len());
    let me = format!("{}/x/2/users/me", house.instance());
    let is_live = |token: &str| house.browser().status_of(&me, token) == 200;
    let texts = secrets.iter().filter(|it| it.iter().all(u8::is_ascii_graphic));
    let live: Vec<&str> = texts.map(|it| str::from_utf8(it).unwrap()).filter(|it| is_live(it)).collect();
    // Refreshing X's tokens leaves the access token before to its two hours.
    assert!(matches!(live.len(), 1 | 2), "what was learnt are tokens of the network");

    let daemon = house.serve();
    for account in ["x:acme", "bluesky:acme"] {
        let receipt = house.run(&["account", "disconnect", account, "--yes", "--json"]).json();
        let items = receipt["receipt"]["items"].as_array().unwrap();
        assert!(items.len() >= 5 && items.iter().all(|it| it["result"] == "done"), "{receipt:#}");
    }
    assert!(house.accounts().is_empty());
    logs.push(daemon.stop());
    assert!(!live.iter().any(|it| is_live(it)), "the network was told");

    let list: Vec<Vec<u8>> = secrets.iter().cloned().collect();
    let search = Search::new(&list);
    let all = files(house.dir.path());
    assert!(all.iter().any(|(path, _)| path.ends_with("data/sendoff.redb")), "the search looks at the store");
    for (path, bytes) in &all {
        assert_eq!(search.find(bytes), None, "a secret is in {}", path.display());
    }

    // With the master key: yesterday's store and today's keyring.
    let grants = sealed(old.path());
    let opened = Keyring::open(old.path(), &master).unwrap();
    for (id, sealed) in &grants {
        let plain = opened.open_sealed(*id, TABLE, FIELD, sealed).unwrap();
        assert!(search.find(&plain).is_some(), "yesterday's keyring opens yesterday's store");
    }
    let new = stolen(&house.data());
    let keyring = Keyring::open(new.path(), &master).unwrap();
    assert!(grants.iter().all(|(id, _)| !keyring.accounts().contains(id)));
    for (id, sealed) in &grants {
        let error = keyring.open_sealed(*id, TABLE, FIELD, sealed).unwrap_err();
        assert!(matches!(error, KeyError::NoKey { .. }), "{error}");
    }
    assert!(sealed(new.path()).is_empty());

    // The log, at its most talkative: no token, and nothing of the way to one.
    assert!(journey.len() >= 8, "{journey:?}");
    let journey: Vec<Vec<u8>> = journey.into_iter().map(String::into_bytes).collect();
    let way = Search::new(&journey);
    for ran in logs {
        assert_eq!(ran.code, Some(0));
        for text in [&ran.out, &ran.err] {
            assert_eq!(search.find(text.as_bytes()), None, "{text}");
            let found = way.find(text.as_bytes()).map(|n| String::from_utf8_lossy(&journey[n]));
            assert_eq!(found, None, "{text}");
            assert!(!text.contains("flw_"), "{text}");
        }
        assert!(ran.err.contains("TRACE") || ran.err.contains("DEBUG"), "{}", ran.err);
    }
    for (path, bytes) in &all {
        let found = way.find(bytes).map(|n| String::from_utf8_lossy(&journey[n]));
        assert_eq!(found, None, "{}", path.display());
    }
}
