//! Bluesky: what it takes, and above all what it refuses.

use std::cell::{Cell, RefCell};

use reqwest::{Method, Response};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{PNG, Stage, VERIFIER, challenge, landed, read, stage};
use crate::clock::Clock as _;
use crate::sandbox::wire::{base64url, sha256};

const CALLBACK: &str = "http://127.0.0.1:8420/oauth/bluesky/callback";
const SCOPES: &str = "atproto repo:app.bsky.feed.post blob:*/*";
const RKEY: &str = "3mabcdefghijk";

/// A client with a key, the last nonce, and the tokens it holds.
struct Agent<'s> {
    stage: &'s Stage,
    key: EcdsaKeyPair,
    nonce: RefCell<String>,
    drawn: Cell<u32>,
    client: String,
    access: String,
    refresh: String,
    did: String,
}

fn client_id(scopes: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("scope", scopes)
        .finish();
    format!("http://localhost?{query}")
}

impl<'s> Agent<'s> {
    fn new(stage: &'s Stage, scopes: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let empty = String::new;
        Self {
            stage,
            key,
            nonce: RefCell::new(empty()),
            drawn: Cell::new(0),
            client: client_id(scopes),
            access: empty(),
            refresh: empty(),
            did: empty(),
        }
    }

    fn claims(&self, method: &str, path: &str, token: Option<&str>) -> Value {
        self.drawn.set(self.drawn.get() + 1);
        let mut claims = json!({
            "jti": format!("{}-{}", base64url(&self.key.public_key().as_ref()[1..9]), self.drawn.get()),
            "htm": method,
            "htu": format!("{}{path}", self.stage.url),
            "iat": self.stage.clock.now().as_second(),
            "nonce": *self.nonce.borrow(),
        });
        if let Some(token) = token {
            claims["ath"] = base64url(&sha256(token.as_bytes())).into();
        }
        claims
    }

    fn header(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": {
            "kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..]),
        }})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature.as_ref()))
    }

    fn learn(&self, answer: &Response) {
        if let Some(nonce) = answer.headers().get("dpop-nonce") {
            *self.nonce.borrow_mut() = nonce.to_str().unwrap().to_owned();
        }
    }

    /// A form to the authorization server, repeated once when it wants its nonce.
    async fn form(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let mut last = (0, Value::Null);
        for _ in 0..2 {
            let proof = self.sign(&self.header(), &self.claims("POST", path, None));
            let url = format!("{}{path}", self.stage.url);
            let answer = self.stage.http.post(url).header("DPoP", proof).form(form).send().await.unwrap();
            self.learn(&answer);
            last = read(answer).await;
            if last.1["error"] != "use_dpop_nonce" {
                break;
            }
        }
        last
    }

    async fn push(&self, change: &[(&str, &str)]) -> (u16, Value) {
        let challenge = challenge();
        let mut form = vec![
            ("client_id", self.client.as_str()),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", SCOPES),
            ("state", "st"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("login_hint", "acme.test"),
        ];
        for (name, value) in change {
            for it in &mut form {
                if it.0 == *name {
                    it.1 = value;
                }
            }
        }
        self.form("/oauth/par", &form).await
    }

    fn link(&self, request: &str) -> String {
        let mut url = url::Url::parse(&format!("{}/oauth/authorize", self.stage.url)).unwrap();
        url.query_pairs_mut().append_pair("client_id", &self.client).append_pair("request_uri", request);
        url.to_string()
    }

    async fn code(&self, scopes: &str) -> String {
        let (status, body) = self.push(&[("scope", scopes)]).await;
        assert_eq!(status, 201, "{body}");
        let link = self.link(body["request_uri"].as_str().unwrap());
        let answer = self.stage.http.post(link).form(&[("decision", "allow")]).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        assert_eq!(landed(&answer, "iss").unwrap(), self.stage.url);
        assert_eq!(landed(&answer, "state").unwrap(), "st");
        landed(&answer, "code").unwrap()
    }

    async fn exchange(&self, code: &str, verifier: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client.as_str()),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.form("/oauth/token", &form).await
    }

    async fn refresh(&self, token: &str) -> (u16, Value) {
        let form =
            [("grant_type", "refresh_token"), ("client_id", self.client.as_str()), ("refresh_token", token)];
        self.form("/oauth/token", &form).await
    }

    fn take(&mut self, body: &Value) {
        let word = |name: &str| body[name].as_str().unwrap().to_owned();
        (self.access, self.refresh, self.did) = (word("access_token"), word("refresh_token"), word("sub"));
    }

    async fn connected(stage: &'s Stage, scopes: &str) -> Self {
        let mut agent = Self::new(stage, scopes);
        let code = agent.code(scopes).await;
        let (status, body) = agent.exchange(&code, VERIFIER).await;
        assert_eq!(
            (status, &body["token_type"], &body["expires_in"]),
            (200, &json!("DPoP"), &json!(3599)),
            "{body}"
        );
        agent.take(&body);
        agent
    }

    async fn once(&self, method: Method, path: &str, kind: &str, body: Vec<u8>, proof: String) -> Response {
        let request = self.stage.http.request(method, format!("{}{path}", self.stage.url));
        let request = request.header("Authorization", format!("DPoP {}", self.access)).header("DPoP", proof);
        let answer = request.header("Content-Type", kind).body(body).send().await.unwrap();
        self.learn(&answer);
        answer
    }

    async fn call(&self, method: Method, name: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let path = format!("/xrpc/{name}");
        let mut last = (0, Value::Null);
        for _ in 0..2 {
            let proof = self.sign(&self.header(), &self.claims(method.as_str(), &path, Some(&self.access)));
            last = read(self.once(method.clone(), &path, kind, body.clone(), proof).await).await;
            if last.1["error"] != "use_dpop_nonce" {
                break;
            }
        }
        last
    }

    async fn procedure(&self, name: &str, input: &Value) -> (u16, Value) {
        let name = format!("com.atproto.repo.{name}");
        self.call(Method::POST, &name, "application/json", input.to_string().into_bytes()).await
    }

    fn input(&self, record: &Value) -> Value {
        json!({ "repo": self.did, "collection": "app.bsky.feed.post", "rkey": RKEY, "record": record, "swapRecord": null })
    }

    async fn put(&self, record: &Value) -> (u16, Value) {
        self.procedure("putRecord", &self.input(record)).await
    }

    async fn upload(&self, kind: &str, bytes: &[u8]) -> (u16, Value) {
        self.call(Method::POST, "com.atproto.repo.uploadBlob", kind, bytes.to_vec()).await
    }
}

fn note(text: &str) -> Value {
    json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-11-21T23:03:51.000Z" })
}

#[tokio::test]
async fn an_honest_client_finds_the_server_connects_publishes_and_is_never_refused() {
    let stage = stage().await;
    let get = |path: String| stage.http.get(format!("{}{path}", stage.url)).send();
    let (_, found) =
        read(get("/xrpc/com.atproto.identity.resolveHandle?handle=acme.test".to_owned()).await.unwrap())
            .await;
    let did = found["did"].as_str().unwrap();
    let (_, document) = read(get(format!("/plc/{did}")).await.unwrap()).await;
    assert_eq!(document["service"][0]["serviceEndpoint"], stage.url);
    assert_eq!(document["alsoKnownAs"], json!(["at://acme.test"]));
    let (_, resource) = read(get("/.well-known/oauth-protected-resource".to_owned()).await.unwrap()).await;
    assert_eq!(resource["authorization_servers"], json!([stage.url]));
    let (_, server) = read(get("/.well-known/oauth-authorization-server".to_owned()).await.unwrap()).await;
    assert_eq!(
        (&server["issuer"], &server["require_pushed_authorization_requests"]),
        (&json!(stage.url), &json!(true))
    );

    let agent = Agent::connected(&stage, SCOPES).await;
    assert_eq!(agent.did, did);
    let (status, session) = agent.call(Method::GET, "com.atproto.server.getSession", "", Vec::new()).await;
    assert_eq!((status, session["handle"].as_str()), (200, Some("acme.test")));
    let (status, file) = agent.upload("application/octet-stream", PNG).await;
    assert_eq!((status, file["blob"]["mimeType"].as_str()), (200, Some("image/png")));
    let mut record = note("an oven");
    record["embed"] =
        json!({ "$type": "app.bsky.embed.images", "images": [{ "alt": "the oven", "image": file["blob"] }] });
    let (status, answer) = agent.put(&record).await;
    assert_eq!((status, answer["validationStatus"].as_str()), (200, Some("valid")), "{answer}");
    assert_eq!(answer["uri"], format!("at://{did}/app.bsky.feed.post/{RKEY}"));
    assert!(answer["cid"].as_str().unwrap().starts_with("bafyrei") && answer["commit"]["rev"].is_string());
    let query = format!("?repo={did}&collection=app.bsky.feed.post&rkey={RKEY}");
    let (status, back) = read(get(format!("/xrpc/com.atproto.repo.getRecord{query}")).await.unwrap()).await;
    assert_eq!((status, &back["value"]["text"]), (200, &json!("an oven")));
    assert_eq!(stage.running.published()[0].alts, ["the oven"]);
    let page = get("/bluesky".to_owned()).await.unwrap().text().await.unwrap();
    assert!(page.contains("Alt: the oven") && page.contains("/bluesky/blob/bafkrei"), "{page}");
    assert_eq!(stage.running.refusals(), []);
}

/// Measured on the reference server, row by row: what a second write to one key does.
#[tokio::test]
async fn the_same_key_written_twice_answers_as_the_reference_server_does() {
    let stage = stage().await;
    let agent = Agent::connected(&stage, SCOPES).await;
    let (record, other) = (note("one"), note("two"));
    let first = agent.put(&record).await.1;
    let again = agent.put(&record).await;
    assert_eq!((again.0, &again.1["cid"], again.1.get("commit")), (200, &first["cid"], None));
    let swap = agent.put(&other).await;
    assert_eq!((swap.0, &swap.1["error"]), (400, &json!("InvalidSwap")));
    assert_eq!(swap.1["message"], format!("Record was at {}", first["cid"].as_str().unwrap()));
    let mut create = agent.input(&record);
    create.as_object_mut().unwrap().remove("swapRecord");
    let doubled = agent.procedure("createRecord", &create).await;
    assert_eq!((doubled.0, &doubled.1["error"]), (500, &json!("InternalServerError")));
    create["record"] = other.clone();
    assert_eq!(agent.procedure("createRecord", &create).await.0, 500);
    let over = agent.procedure("putRecord", &create).await;
    assert_eq!(over.0, 200);
    assert_ne!(over.1["cid"], first["cid"]);
    create.as_object_mut().unwrap().remove("record");
    let gone = agent.procedure("deleteRecord", &create).await;
    assert!(gone.0 == 200 && gone.1["commit"].is_object());
    assert_eq!(agent.procedure("deleteRecord", &create).await, (200, json!({})));
    assert!(stage.running.published()[0].deleted.is_some());
    assert_eq!(agent.put(&record).await.0, 200);
    assert_eq!(stage.running.published()[0].deleted, None);
}

/// Spoils a proof: its header, its claims.
type Change = fn(&mut Value, &mut Value);

#[tokio::test]
async fn every_part_of_a_proof_is_checked() {
    let stage = stage().await;
    let agent = Agent::connected(&stage, SCOPES).await;
    let path = "/xrpc/com.atproto.server.getSession";
    let good = || (agent.header(), agent.claims("GET", path, Some(&agent.access)));
    let changes: &[(&str, Change)] = &[
        ("typ", |head, _| head["typ"] = "JWT".into()),
        ("alg", |head, _| head["alg"] = "none".into()),
        ("private", |head, _| head["jwk"]["d"] = "secret".into()),
        ("P-256", |head, _| head["jwk"]["crv"] = "P-384".into()),
        ("htm", |_, claims| claims["htm"] = "POST".into()),
        ("htu", |_, claims| claims["htu"] = "https://elsewhere.example/".into()),
        ("iat", |_, claims| claims["iat"] = (claims["iat"].as_i64().unwrap() - 61).into()),
        ("ath", |_, claims| claims["ath"] = "x".into()),
        ("jti", |_, claims| claims["jti"] = "".into()),
    ];
    for (named, change) in changes {
        let (mut head, mut claims) = good();
        change(&mut head, &mut claims);
        let answer = agent.once(Method::GET, path, "", Vec::new(), agent.sign(&head, &claims)).await;
        assert_eq!(answer.status(), 401, "{named}");
        assert!(stage.last_refusal().contains(named), "{named}: {}", stage.last_refusal());
    }
    let (head, claims) = good();
    let proof = agent.sign(&head, &claims);
    let forged = format!("{}A", &proof[..proof.len() - 1]);
    let forged = if forged == proof { format!("{}Q", &proof[..proof.len() - 1]) } else { forged };
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), forged).await.status(), 401);
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), proof.clone()).await.status(), 200);
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), proof).await.status(), 401);
    assert!(stage.last_refusal().contains("jti was used before"));
    let thief = Agent { access: agent.access.clone(), ..Agent::new(&stage, SCOPES) };
    let (status, body) = thief.call(Method::GET, "com.atproto.server.getSession", "", Vec::new()).await;
    assert_eq!((status, &body["message"]), (401, &json!("Invalid DPoP key binding")));
}

#[tokio::test]
async fn nonces_are_asked_for_and_turn_over() {
    let stage = stage().await;
    let agent = Agent::connected(&stage, SCOPES).await;
    let path = "/xrpc/com.atproto.server.getSession";
    let ask = || agent.sign(&agent.header(), &agent.claims("GET", path, Some(&agent.access)));
    agent.nonce.borrow_mut().clear();
    let answer = agent.once(Method::GET, path, "", Vec::new(), ask()).await;
    assert_eq!(answer.status(), 401);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().contains("error=\"use_dpop_nonce\""));
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), ask()).await.status(), 200);
    stage.clock.forward(180);
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), ask()).await.status(), 401);
    assert_eq!(agent.once(Method::GET, path, "", Vec::new(), ask()).await.status(), 200);
    assert_eq!(stage.running.refusals(), []);
}

#[tokio::test]
async fn refresh_kills_the_old_pair_and_a_replay_kills_the_session() {
    let stage = stage().await;
    let mut agent = Agent::connected(&stage, SCOPES).await;
    let (old_access, old_refresh) = (agent.access.clone(), agent.refresh.clone());
    let (status, body) = agent.refresh(&old_refresh).await;
    assert_eq!(status, 200, "{body}");
    let session = "com.atproto.server.getSession";
    let (status, gone) = agent.call(Method::GET, session, "", Vec::new()).await;
    assert_eq!((status, &gone["error"]), (401, &json!("invalid_token")));
    agent.take(&body);
    assert_ne!(agent.access, old_access);
    assert_eq!(agent.call(Method::GET, session, "", Vec::new()).await.0, 200);
    let (status, body) = agent.refresh(&old_refresh).await;
    let expected = json!({ "error": "invalid_grant", "error_description": "Refresh token replayed" });
    assert_eq!((status, body), (400, expected));
    assert_eq!(agent.call(Method::GET, session, "", Vec::new()).await.0, 401);
    assert_eq!(agent.refresh(&agent.refresh).await.0, 400);
}

#[tokio::test]
async fn a_code_works_once_and_a_wrong_verifier_burns_it() {
    let stage = stage().await;
    let mut agent = Agent::new(&stage, SCOPES);
    let code = agent.code(SCOPES).await;
    assert_eq!(agent.exchange(&code, &VERIFIER.replace('a', "b")).await.0, 400);
    assert_eq!(agent.exchange(&code, VERIFIER).await.0, 400);
    let code = agent.code(SCOPES).await;
    let (_, body) = agent.exchange(&code, VERIFIER).await;
    agent.take(&body);
    assert_eq!(agent.exchange(&code, VERIFIER).await.0, 400);
    assert_eq!(agent.call(Method::GET, "com.atproto.server.getSession", "", Vec::new()).await.0, 401);
}

#[tokio::test]
async fn pushed_requests_are_judged_before_a_browser_moves() {
    let stage = stage().await;
    let agent = Agent::new(&stage, SCOPES);
    for (name, value, error) in [
        ("client_id", "https://app.example/client.json", "invalid_client_metadata"),
        ("client_id", "http://localhost:80?scope=atproto", "invalid_client_metadata"),
        ("client_id", "http://localhost/path", "invalid_client_metadata"),
        ("redirect_uri", "http://localhost:8420/oauth/bluesky/callback", "invalid_redirect_uri"),
        ("redirect_uri", "http://127.0.0.1:8420/other", "invalid_request"),
        ("scope", "repo:app.bsky.feed.post", "invalid_scope"),
        ("scope", "atproto nonsense", "invalid_scope"),
        ("scope", "atproto transition:generic", "invalid_scope"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
    ] {
        let (status, body) = agent.push(&[(name, value)]).await;
        assert_eq!((status, body["error"].as_str()), (400, Some(error)), "{name}={value}");
    }
    let (_, pushed) = agent.push(&[("redirect_uri", &CALLBACK.replace("8420", "9999"))]).await;
    let link = agent.link(pushed["request_uri"].as_str().unwrap());
    assert_eq!(stage.http.get(format!("{link}&scope=atproto")).send().await.unwrap().status(), 400);
    assert_eq!(stage.http.get(&link).send().await.unwrap().status(), 200);
    let denied = stage.http.post(&link).form(&[("decision", "deny")]).send().await.unwrap();
    assert_eq!(landed(&denied, "error").as_deref(), Some("access_denied"));
    assert_eq!(landed(&denied, "iss").unwrap(), stage.url);
    assert_eq!(stage.http.get(&link).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn scopes_are_enforced_and_named_when_missing() {
    let stage = stage().await;
    let reader = Agent::connected(&stage, "atproto").await;
    let (status, body) = reader.put(&note("a")).await;
    assert_eq!((status, &body["error"]), (403, &json!("ScopeMissingError")));
    assert!(body["message"].as_str().unwrap().contains("repo:app.bsky.feed.post"));
    assert_eq!(reader.upload("image/png", PNG).await.0, 403);
    let creator =
        Agent::connected(&stage, "atproto repo:app.bsky.feed.post?action=create blob:image/*").await;
    assert_eq!(creator.put(&note("a")).await.0, 403);
    let mut input = creator.input(&note("a"));
    input.as_object_mut().unwrap().remove("swapRecord");
    assert_eq!(creator.procedure("createRecord", &input).await.0, 200);
    assert_eq!(creator.upload("image/png", PNG).await.0, 200);
    assert_eq!(creator.upload("video/mp4", PNG).await.0, 403);
    let all = Agent::connected(&stage, "atproto transition:generic").await;
    assert_eq!(all.put(&note("a")).await.0, 200);
}

#[tokio::test]
async fn records_that_the_lexicon_does_not_allow_are_refused() {
    let stage = stage().await;
    let agent = Agent::connected(&stage, SCOPES).await;
    let with = |name: &str, value: Value| {
        let mut record = note("a");
        record[name] = value;
        record
    };
    let picture = |size: u64| {
        json!({ "alt": "", "image": { "$type": "blob", "mimeType": "image/png", "size": size,
        "ref": { "$link": SOME_BLOB } } })
    };
    let images = |all: Vec<Value>| with("embed", json!({ "$type": "app.bsky.embed.images", "images": all }));
    for (record, why) in [
        (with("text", "x".repeat(301).into()), "grapheme too big (maximum 300, got 301)"),
        (with("text", "👩‍👩‍👧‍👦".repeat(121).into()), "string too big (maximum 3000, got 3025)"),
        (with("createdAt", "2026-11-21 10:00".into()), "createdAt"),
        (with("createdAt", "2026-11-21T10:00:00".into()), "createdAt"),
        (with("langs", json!(["en", "de", "fr", "nl"])), "array too big"),
        (with("facets", json!([{ "index": { "byteStart": 0 }, "features": [] }])), "facets.index"),
        (with("reply", json!({ "root": { "uri": "x", "cid": "y" } })), "reply.root.uri"),
        (with("$type", "app.bsky.feed.like".into()), "Invalid $type"),
        (images(vec![picture(9); 5]), "array too big (maximum 4, got 5)"),
        (images(vec![picture(2_000_001)]), "too large"),
        (with("embed", json!({ "$type": "app.bsky.embed.images", "images": [{ "image": {} }] })), "alt"),
        (with("score", json!(1.5)), "fraction"),
    ] {
        let (status, body) = agent.put(&record).await;
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        assert!(status == 400 && message.contains(why), "{record}: {status} {message}");
    }
    let (status, body) = agent.put(&images(vec![picture(9)])).await;
    assert_eq!((status, &body["error"]), (400, &json!("BlobNotFound")));
    let mut input = agent.input(&note("a"));
    input["rkey"] = "my-job-0001".into();
    let (status, body) = agent.procedure("putRecord", &input).await;
    assert!(status == 400 && body["message"].as_str().unwrap().contains("Invalid TID string"));
    let mut input = agent.input(&note("a"));
    input["rcord"] = 1.into();
    assert_eq!(agent.procedure("putRecord", &input).await.0, 400);
    input = agent.input(&note("a"));
    input["repo"] = "alice.test".into();
    assert_eq!(agent.procedure("putRecord", &input).await.0, 401);
    input = agent.input(&with("more", "x".repeat(150 * 1024).into()));
    assert_eq!(agent.procedure("putRecord", &input).await.0, 413);
    assert_eq!(agent.upload("image/png", &vec![0; 5_242_881]).await.0, 413);
    assert_eq!(stage.running.published(), []);
    assert_eq!(agent.put(&with("text", "x".repeat(300).into())).await.0, 200);
}

/// Well formed, and nothing that was ever uploaded.
const SOME_BLOB: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

#[tokio::test]
async fn a_revoked_session_is_over_at_once_and_revoking_twice_is_fine() {
    let stage = stage().await;
    let agent = Agent::connected(&stage, SCOPES).await;
    let form = [("client_id", agent.client.as_str()), ("token", agent.refresh.as_str())];
    assert_eq!(agent.form("/oauth/revoke", &form).await, (200, json!({})));
    assert_eq!(agent.form("/oauth/revoke", &form).await.0, 200);
    assert_eq!(agent.put(&note("a")).await.0, 401);
    assert_eq!(agent.refresh(&agent.refresh).await.0, 400);
}

/// The empty map is one byte, `a0`, so its id can be checked by hand with any IPLD tool.
#[test]
fn content_ids_are_those_of_dag_cbor() {
    use crate::sandbox::bluesky::cbor::record_cid as cid;
    assert_eq!(cid(&json!({})).unwrap(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
    assert_eq!(cid(&json!({ "b": 1, "aa": 2 })), cid(&json!({ "aa": 2, "b": 1 })));
    assert_ne!(cid(&json!({ "b": 1 })), cid(&json!({ "b": "1" })));
}
