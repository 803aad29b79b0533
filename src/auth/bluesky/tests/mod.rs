//! The whole conversation with a strict server in memory, and what hostile ones try.

mod server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;

use self::server::{DID, World, decode};
use super::*;
use crate::auth::testing::{Net, instant, noise, tools};
use crate::auth::{Provider, authorize_request};
use crate::http::ExchangeError;

const OTHER: &str = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb";
const REDIRECT: &str = "http://127.0.0.1:8750/oauth/bluesky/callback";

fn provider(client: BlueskyClient) -> Provider {
    Provider::Bluesky(BlueskyProvider { plc: Url::parse("https://plc.test").unwrap(), client })
}

fn by_handle() -> Begin {
    Begin {
        redirect_uri: Url::parse(REDIRECT).unwrap(),
        instance: Some(Url::parse("https://pds.test").unwrap()),
        handle: Some("@Alice.test".into()),
        reconnect: None,
    }
}

fn by_server() -> Begin {
    Begin { handle: None, ..by_handle() }
}

/// A world behind a network, so that a test can look at it afterwards.
fn net(world: World) -> (Arc<Mutex<World>>, Net<'static>) {
    let world = Arc::new(Mutex::new(world));
    let inside = Arc::clone(&world);
    (world, Net::new(move |request| inside.lock().unwrap().answer(request)))
}

struct Trip {
    /// No two calls may draw the same randomness: the server refuses a proof it has seen.
    seed: AtomicU64,
    world: Arc<Mutex<World>>,
    net: Net<'static>,
    provider: Provider,
}

impl Trip {
    fn new(world: World) -> Self {
        Self::as_client(world, BlueskyClient::Loopback)
    }

    fn as_client(world: World, client: BlueskyClient) -> Self {
        let (world, net) = net(world);
        Self { seed: AtomicU64::new(1), world, net, provider: provider(client) }
    }

    fn noise(&self) -> impl Fn(&mut [u8]) + Sync + use<> {
        noise(self.seed.fetch_add(1, Ordering::Relaxed) << 32)
    }

    async fn begin(&self, ask: Begin) -> Result<Started, AuthError> {
        let (random, closed) = (self.noise(), Net::silent());
        self.provider.begin(tools(&closed, &self.net, &random), ask).await
    }

    async fn finish(&self, started: Started, query: &str) -> Result<Connected, AuthError> {
        let (random, closed) = (self.noise(), Net::silent());
        let state = self.world.lock().unwrap().session.pushed["state"].clone();
        let back = CallbackParams::from_query(&query.replace("{state}", &state)).unwrap();
        let found = self.provider.finish(tools(&closed, &self.net, &random), started.pending, &back).await;
        found.map(|mut all| all.remove(0))
    }

    async fn connect(&self, ask: Begin) -> Result<Connected, AuthError> {
        let started = self.begin(ask).await?;
        self.finish(started, "state={state}&iss=https://as.test&code=canary-code").await
    }

    async fn refresh(&self, grant: &Grant) -> Result<Grant, RefreshError> {
        let (random, closed) = (self.noise(), Net::silent());
        self.provider.refresh(tools(&closed, &self.net, &random), grant).await
    }
}

#[tokio::test]
async fn a_handle_leads_to_a_connected_account() {
    let trip = Trip::new(World::new());
    let started = trip.begin(by_handle()).await.unwrap();
    insta::assert_snapshot!(started.authorize_url, @"https://as.test/authorize?client_id=http%3A%2F%2Flocalhost%3Fredirect_uri%3Dhttp%253A%252F%252F127.0.0.1%253A8750%252Foauth%252Fbluesky%252Fcallback%26scope%3Datproto%2520repo%253Aapp.bsky.feed.post%2520blob%253A*%252F*&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Areq-1");
    assert_eq!(trip.world.lock().unwrap().session.pushed["login_hint"], "alice.test");
    let connected = trip.finish(started, "state={state}&iss=https://as.test&code=canary-code").await.unwrap();
    assert_eq!(
        connected.found,
        Found {
            app_scoped_id: None,
            remote_id: DID.into(),
            username: "alice.test".into(),
            display_name: "Alice".into(),
            avatar_url: Some(format!(
                "https://pds.test/xrpc/com.atproto.sync.getBlob?did={}&cid=bafy",
                DID.replace(':', "%3A")
            )),
            server: Some(Url::parse("https://pds.test").unwrap()),
            tier: None,
        }
    );
    assert_eq!(connected.missing_scopes, [""; 0]);
    let grant = &connected.grant;
    assert_eq!((grant.expires_at, grant.grant_expires_at), (Some(instant(3599)), Some(instant(14 * 86_400))));
    assert!(!format!("{connected:?}").contains("canary"), "{connected:?}");
    for request in trip.net.requests() {
        assert!(!request.uri().to_string().contains("canary"), "a secret in {}", request.uri());
    }
}

#[tokio::test]
async fn a_servers_address_is_enough_and_the_account_is_traced_back_to_it() {
    let trip = Trip::new(World::new());
    assert_eq!(trip.connect(by_server()).await.unwrap().found.remote_id, DID);
    let calls = trip.net.calls();
    assert!(calls.contains(&format!("GET https://plc.test/{DID}")), "{calls:?}");
    // An authorization server that holds no accounts itself may be named as well.
    let mut ask = by_server();
    ask.instance = Some(Url::parse("https://as.test").unwrap());
    assert!(Trip::new(World::new()).connect(ask).await.is_ok());
}

#[tokio::test]
async fn a_server_without_fine_scopes_is_asked_for_the_coarse_one() {
    let mut world = World::new();
    world.refuses_fine_scopes = true;
    let connected = Trip::new(world).connect(by_handle()).await.unwrap();
    assert_eq!(connected.scopes, ["atproto", "transition:generic"]);
    assert_eq!(connected.missing_scopes, [""; 0]);
}

#[tokio::test]
async fn a_confidential_client_signs_every_call_and_its_sessions_have_no_fixed_end() {
    let key = dpop::Key::generate().unwrap();
    let mut world = World::new();
    world.client_key = Some(key.clone());
    let client_id = Url::parse("https://me.example/oauth/bluesky/client.json").unwrap();
    let trip = Trip::as_client(world, BlueskyClient::Web { client_id, key });
    let mut ask = by_handle();
    ask.redirect_uri = Url::parse("https://me.example/oauth/bluesky/callback").unwrap();
    let grant = trip.connect(ask).await.unwrap().grant;
    assert_eq!(grant.grant_expires_at, None);
    assert!(trip.refresh(&grant).await.is_ok());
}

#[test]
fn the_document_about_ourselves_is_what_the_profile_asks_for() {
    let key = dpop::Key::generate().unwrap();
    let mut document = client_metadata(&Url::parse("https://me.example/").unwrap(), &key);
    let jwk = document["jwks"]["keys"][0].take();
    assert_eq!(jwk["kid"], key.thumbprint());
    assert_eq!(jwk.get("d"), None, "the private half stays here");
    insta::assert_snapshot!(serde_json::to_string(&document).unwrap().replace(",\"", ",\n\""), @r#"
    {"client_id":"https://me.example/oauth/bluesky/client.json",
    "client_name":"Sendoff",
    "client_uri":"https://me.example/",
    "application_type":"web",
    "grant_types":["authorization_code",
    "refresh_token"],
    "response_types":["code"],
    "redirect_uris":["https://me.example/oauth/bluesky/callback"],
    "scope":"atproto repo:app.bsky.feed.post blob:*/* transition:generic",
    "dpop_bound_access_tokens":true,
    "token_endpoint_auth_method":"private_key_jwt",
    "token_endpoint_auth_signing_alg":"ES256",
    "jwks":{"keys":[null]}}
    "#);
}

#[tokio::test]
async fn an_answer_counts_only_with_the_state_and_the_issuer_it_was_begun_with() {
    for (query, code) in [
        ("iss=https://as.test&code=canary-code", "unknown_state"),
        ("state=wrong&iss=https://as.test&code=canary-code", "unknown_state"),
        ("state={state}&code=canary-code", "issuer_missing"),
        ("state={state}&iss=https://evil.test&code=canary-code", "issuer_mismatch"),
        ("state={state}&iss=https://as.test/&code=canary-code", "issuer_mismatch"),
        ("state={state}&iss=https://AS.test&code=canary-code", "issuer_mismatch"),
        ("state={state}&iss=https://evil.test&error=access_denied", "issuer_mismatch"),
        ("state={state}&iss=https://as.test&error=access_denied", "access_denied"),
        ("state={state}&iss=https://as.test", "bad_callback"),
        ("state={state}&iss=https://as.test&code=another", "code_refused"),
    ] {
        let trip = Trip::new(World::new());
        let started = trip.begin(by_handle()).await.unwrap();
        let before = trip.net.calls().len();
        let error = trip.finish(started, query).await.unwrap_err();
        assert_eq!(error.code(), code, "{query}");
        let asked = trip.net.calls().len() > before;
        assert_eq!(asked, code == "code_refused", "{query}: only a sound answer reaches the server");
    }
}

const PDS: &str = "https://pds.test/.well-known/oauth-protected-resource";
const AS: &str = "https://as.test/.well-known/oauth-authorization-server";
const DOC: &str = "https://plc.test/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn a_document_that_is_not_what_it_must_be_ends_the_connect_before_anything_is_pushed() {
    type Bend = fn(&mut World);
    let cases: [(&str, Bend, &str); 27] = [
        ("resource redirected", |w| w.document(PDS, 302, json!({})), "redirected"),
        ("resource elsewhere", |w| w.bend(PDS, "resource", json!("https://evil.test")), "not_atproto"),
        ("resource unnamed", |w| w.bend(PDS, "resource", json!(null)), "not_atproto"),
        ("no issuer", |w| w.bend(PDS, "authorization_servers", json!([])), "not_atproto"),
        (
            "two issuers",
            |w| w.bend(PDS, "authorization_servers", json!(["https://as.test", "https://b.test"])),
            "not_atproto",
        ),
        (
            "issuer with a path",
            |w| w.bend(PDS, "authorization_servers", json!(["https://as.test/x"])),
            "not_atproto",
        ),
        (
            "issuer with a slash",
            |w| w.bend(PDS, "authorization_servers", json!(["https://as.test/"])),
            "not_atproto",
        ),
        (
            "issuer in the clear",
            |w| w.bend(PDS, "authorization_servers", json!(["http://as.test"])),
            "not_atproto",
        ),
        ("issuer no address", |w| w.bend(PDS, "authorization_servers", json!(["as"])), "not_atproto"),
        ("metadata redirected", |w| w.document(AS, 301, json!({})), "redirected"),
        ("metadata 204", |w| w.document(AS, 204, json!({})), "not_atproto"),
        ("metadata missing", |w| w.document(AS, 404, json!({})), "not_atproto"),
        ("metadata a list", |w| w.document(AS, 200, json!([])), "not_atproto"),
        ("another issuer", |w| w.bend(AS, "issuer", json!("https://evil.test")), "issuer_mismatch"),
        ("issuer not byte for byte", |w| w.bend(AS, "issuer", json!("https://as.test/")), "issuer_mismatch"),
        (
            "no pushed requests",
            |w| w.bend(AS, "require_pushed_authorization_requests", json!(false)),
            "not_atproto",
        ),
        (
            "no iss",
            |w| w.bend(AS, "authorization_response_iss_parameter_supported", json!("true")),
            "not_atproto",
        ),
        (
            "no client documents",
            |w| w.bend(AS, "client_id_metadata_document_supported", json!(null)),
            "not_atproto",
        ),
        ("no ES256", |w| w.bend(AS, "dpop_signing_alg_values_supported", json!(["RS256"])), "not_atproto"),
        ("no S256", |w| w.bend(AS, "code_challenge_methods_supported", json!(["plain"])), "not_atproto"),
        ("no atproto", |w| w.bend(AS, "scopes_supported", json!(["openid"])), "not_atproto"),
        (
            "token endpoint in the clear",
            |w| w.bend(AS, "token_endpoint", json!("http://as.test/token")),
            "not_atproto",
        ),
        (
            "a script for a page",
            |w| w.bend(AS, "authorization_endpoint", json!("javascript:1")),
            "not_atproto",
        ),
        (
            "speaks for others",
            |w| w.bend(AS, "protected_resources", json!(["https://b.test"])),
            "not_atproto",
        ),
        ("another account's document", |w| w.bend(DOC, "id", json!(OTHER)), "bad_answer"),
        ("an account without a server", |w| w.bend(DOC, "service", json!([])), "bad_answer"),
        ("a handle not claimed", |w| w.bend(DOC, "alsoKnownAs", json!(["at://bob.test"])), "handle_mismatch"),
    ];
    for (name, bend, code) in cases {
        let mut world = World::new();
        bend(&mut world);
        let trip = Trip::new(world);
        let error = trip.begin(by_handle()).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(trip.net.calls().iter().all(|it| it.starts_with("GET ")), "{name}");
    }
}

#[tokio::test]
async fn a_handle_nobody_knows_and_an_address_that_is_no_server_say_so() {
    let url = "https://pds.test/xrpc/com.atproto.identity.resolveHandle?handle=alice.test";
    let mut world = World::new();
    world.document(url, 400, json!({"error": "HandleNotFound"}));
    assert_eq!(Trip::new(world).begin(by_handle()).await.unwrap_err().code(), "unknown_handle");
    for address in ["http://pds.test", "https://pds.test/path", "https://user@pds.test"] {
        let mut ask = by_server();
        ask.instance = Some(Url::parse(address).unwrap());
        let trip = Trip::new(World::new());
        assert_eq!(trip.begin(ask).await.unwrap_err().code(), "not_atproto", "{address}");
        assert_eq!(trip.net.calls(), [""; 0], "{address}");
    }
    let mut ask = by_server();
    ask.redirect_uri = Url::parse("http://localhost:8750/oauth/bluesky/callback").unwrap();
    assert_eq!(Trip::new(World::new()).begin(ask).await.unwrap_err().code(), "setup");
}

#[tokio::test]
async fn a_handles_own_site_is_believed_before_a_server() {
    let mut world = World::new();
    world.documents.insert("https://alice.test/.well-known/atproto-did".into(), (200, format!("{OTHER}\n")));
    world.account(OTHER, "https://pds.test");
    world.token_patch = json!({"sub": OTHER});
    assert_eq!(Trip::new(world).connect(by_handle()).await.unwrap().found.remote_id, OTHER);
}

#[tokio::test]
async fn tokens_that_are_not_right_are_refused_and_never_shown() {
    for (patch, code) in [
        (json!({"sub": OTHER}), "other_account"),
        (json!({"sub": null}), "bad_answer"),
        (json!({"sub": "alice.test"}), "bad_answer"),
        (json!({"token_type": "Bearer"}), "bad_answer"),
        (json!({"access_token": null}), "bad_answer"),
        (json!({"access_token": ["canary"]}), "bad_answer"),
        (json!({"access_token": "canary\r\nx: y"}), "bad_answer"),
        (json!({"refresh_token": ""}), "bad_answer"),
        (json!({"scope": null}), "bad_answer"),
        (json!({"scope": "atproto"}), "missing_scope"),
        (json!({"scope": "transition:generic"}), "missing_scope"),
        (json!({"scope": "atproto repo:app.bsky.feed.like blob:*/*"}), "missing_scope"),
    ] {
        let mut world = World::new();
        world.token_patch = patch.clone();
        let trip = Trip::new(world);
        let error = trip.connect(by_handle()).await.unwrap_err();
        assert_eq!(error.code(), code, "{patch}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        // Tokens that were understood are handed back.
        assert_eq!(trip.world.lock().unwrap().session.dead, code != "bad_answer", "{patch}");
    }
    let mut world = World::new();
    world.token_patch = json!({"scope": "atproto repo:app.bsky.feed.post"});
    let connected = Trip::new(world).connect(by_handle()).await.unwrap();
    assert_eq!(connected.missing_scopes, ["blob:*/*"]);
}

#[tokio::test]
async fn a_server_cannot_issue_tokens_for_an_account_of_another_server() {
    let mut world = World::new();
    world.account(OTHER, "https://pds2.test");
    world.server("https://pds2.test", "https://as2.test");
    world.token_patch = json!({"sub": OTHER});
    let error = Trip::new(world).connect(by_server()).await.unwrap_err();
    assert_eq!(error.code(), "foreign_subject", "{error}");
}

#[tokio::test]
async fn a_reconnect_must_bring_back_the_same_account() {
    let ask = |did: &str| Begin { reconnect: Some(did.into()), ..by_server() };
    let trip = Trip::new(World::new());
    assert!(trip.connect(ask(DID)).await.is_ok());
    let mut world = World::new();
    world.account(OTHER, "https://pds.test");
    assert_eq!(Trip::new(world).connect(ask(OTHER)).await.unwrap_err().code(), "other_account");
}

#[tokio::test]
async fn a_server_that_always_wants_another_nonce_gets_two_tries() {
    let mut world = World::new();
    world.nonce_loop = true;
    let trip = Trip::new(world);
    assert_eq!(trip.begin(by_handle()).await.unwrap_err().code(), "refused");
    assert_eq!(trip.net.calls().iter().filter(|it| it.ends_with("/par")).count(), 2);
}

#[tokio::test]
async fn a_refused_proof_speaks_of_clocks() {
    let net = Net::new(|request| {
        if request.method() == http::Method::GET {
            return World::new().answer(request);
        }
        Ok(Response::builder()
            .status(400)
            .header("Date", "Tue, 01 Dec 2026 09:05:00 GMT")
            .body(Bytes::from_static(br#"{"error":"invalid_dpop_proof"}"#))
            .unwrap())
    });
    let (random, closed) = (noise(1), Net::silent());
    let error = provider(BlueskyClient::Loopback)
        .begin(tools(&closed, &net, &random), by_handle())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("300 s apart"), "{error}");
    assert!(error.hint().unwrap().contains("clock"));
}

#[tokio::test]
async fn a_refresh_brings_the_next_pair_and_a_replay_ends_the_grant() {
    let trip = Trip::new(World::new());
    let first = trip.connect(by_handle()).await.unwrap().grant;
    let second = trip.refresh(&first).await.unwrap();
    assert_eq!(second.access.expose(), "canary-access-2");
    assert_eq!(second.grant_expires_at, first.grant_expires_at, "a refresh does not prolong the session");
    assert_ne!(second.fingerprint(), first.fingerprint());
    let error = trip.refresh(&first).await.unwrap_err();
    assert_eq!(error.code(), "refresh_dead");
    assert_eq!(trip.refresh(&second).await.unwrap_err().code(), "refresh_dead");
}

#[tokio::test]
async fn a_failed_refresh_says_what_may_have_happened() {
    for (status, body, code) in [
        (400, r#"{"error":"invalid_grant","error_description":"canary-refresh-1 replayed"}"#, "refresh_dead"),
        (401, r#"{"error":"invalid_client"}"#, "client_refused"),
        (400, r#"{"error":"invalid_dpop_proof"}"#, "client_refused"),
        (400, r#"{"error":"use_dpop_nonce"}"#, "refresh_later"),
        (429, "", "refresh_later"),
        (502, "", "refresh_lost"),
        (200, "canary-refresh-1", "refresh_lost"),
        (200, r#"{"token_type":"DPoP"}"#, "refresh_lost"),
        (307, "", "client_refused"),
    ] {
        let trip = Trip::new(World::new());
        let grant = trip.connect(by_handle()).await.unwrap().grant;
        trip.world.lock().unwrap().instead.insert("/token", (status, body));
        let error = trip.refresh(&grant).await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let trip = Trip::new(World::new());
    let grant = trip.connect(by_handle()).await.unwrap().grant;
    trip.world.lock().unwrap().token_patch = json!({"sub": OTHER});
    assert_eq!(trip.refresh(&grant).await.unwrap_err().code(), "refresh_dead");
    let (random, closed) = (noise(1), Net::silent());
    let lost = Net::new(|_| Err(ExchangeError::Lost("timed out".into())));
    let error = trip.provider.refresh(tools(&closed, &lost, &random), &grant).await.unwrap_err();
    assert_eq!((error.code(), lost.calls().len()), ("refresh_lost", 1));
}

#[tokio::test]
async fn a_grant_read_back_from_its_sealed_form_still_refreshes_and_ends() {
    let trip = Trip::new(World::new());
    let grant = trip.connect(by_handle()).await.unwrap().grant;
    let grant = Grant::from_sealed_json(&grant.to_sealed_json()).unwrap();
    let grant = trip.refresh(&grant).await.unwrap();
    let (random, closed) = (noise(4), Net::silent());
    let lines = trip.provider.revoke(tools(&closed, &trip.net, &random), &grant).await;
    assert_eq!(
        (lines.len(), lines[0].result, lines[0].place.as_str()),
        (1, RevocationResult::Done, "as.test")
    );
    assert_eq!(trip.refresh(&grant).await.unwrap_err().code(), "refresh_dead");
}

#[tokio::test]
async fn a_server_that_takes_nothing_back_is_named_in_the_receipt() {
    let mut world = World::new();
    world.bend(AS, "revocation_endpoint", json!(null));
    let trip = Trip::new(world);
    let grant = trip.connect(by_handle()).await.unwrap().grant;
    let (random, closed) = (noise(4), Net::silent());
    let lines = trip.provider.revoke(tools(&closed, &closed, &random), &grant).await;
    assert_eq!(lines[0].result, RevocationResult::NotPossible);
    assert!(lines[0].hint.as_ref().unwrap().contains("https://as.test"));
}

#[tokio::test]
async fn an_api_request_carries_a_proof_bound_to_its_token() {
    let trip = Trip::new(World::new());
    let grant = trip.connect(by_handle()).await.unwrap().grant;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = "https://pds.test/xrpc/com.atproto.repo.putRecord".parse().unwrap();
    authorize_request(&grant, &mut request, Some("n9"), instant(5), &noise(5)).unwrap();
    assert_eq!(request.headers()["authorization"], "DPoP canary-access-1");
    let claims = decode(request.headers()["dpop"].to_str().unwrap().split('.').nth(1).unwrap());
    assert_eq!(claims["ath"], base64url(&sha256(b"canary-access-1")));
    assert_eq!((&claims["nonce"], &claims["htm"]), (&json!("n9"), &json!("POST")));
    assert!(request.headers()["dpop"].is_sensitive());
}
