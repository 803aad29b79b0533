//! X: what it takes, and above all what it refuses.

use reqwest::Response;
use serde_json::{Value, json};

use super::{PNG, Stage, VERIFIER, challenge, film, landed, read, stage};
use crate::sandbox::x::weigh;

pub(super) const SCOPES: &str = "tweet.read tweet.write users.read media.write offline.access";
const CALLBACK: &str = "http://127.0.0.1:8420/oauth/x/callback";

/// Tokens of a connected user.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) access: String,
    pub(super) refresh: String,
}

fn authorize_link(stage: &Stage, change: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", "sandbox-x-public"),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPES),
        ("state", "st"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in change {
        for it in &mut query {
            if it.0 == *name {
                it.1 = value;
            }
        }
    }
    let mut url = url::Url::parse(&format!("{}/x/i/oauth2/authorize", stage.url)).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    url.to_string()
}

async fn decide(stage: &Stage, link: &str, form: &[(&str, &str)]) -> Response {
    stage.http.post(link).form(form).send().await.unwrap()
}

async fn code(stage: &Stage, change: &[(&str, &str)], user: &str) -> String {
    let link = authorize_link(stage, change);
    let answer = decide(stage, &link, &[("decision", "allow"), ("user", user)]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(landed(&answer, "state").unwrap(), "st");
    landed(&answer, "code").unwrap()
}

async fn token(stage: &Stage, form: &[(&str, &str)]) -> (u16, Value) {
    read(stage.http.post(format!("{}/x/2/oauth2/token", stage.url)).form(form).send().await.unwrap()).await
}

async fn exchange(stage: &Stage, code: &str, verifier: &str) -> (u16, Value) {
    token(
        stage,
        &[
            ("grant_type", "authorization_code"),
            ("client_id", "sandbox-x-public"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ],
    )
    .await
}

async fn refresh(stage: &Stage, token_value: &str) -> (u16, Value) {
    let form =
        [("grant_type", "refresh_token"), ("client_id", "sandbox-x-public"), ("refresh_token", token_value)];
    token(stage, &form).await
}

pub(super) async fn connect_as(stage: &Stage, user: &str, scopes: &str) -> Grant {
    let code = code(stage, &[("scope", scopes)], user).await;
    let (status, body) = exchange(stage, &code, VERIFIER).await;
    assert_eq!(status, 200, "{body}");
    let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Grant { access: word("access_token"), refresh: word("refresh_token") }
}

pub(super) async fn connect(stage: &Stage) -> Grant {
    connect_as(stage, "acme", SCOPES).await
}

pub(super) async fn create(stage: &Stage, grant: &Grant, body: &Value) -> (u16, Value) {
    let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&grant.access);
    read(request.json(body).send().await.unwrap()).await
}

pub(super) async fn post(stage: &Stage, grant: &Grant, text: &str) -> (u16, Value) {
    create(stage, grant, &json!({ "text": text })).await
}

pub(super) async fn get(stage: &Stage, grant: &Grant, path: &str) -> (u16, Value) {
    let request = stage.http.get(format!("{}/x/2/{path}", stage.url)).bearer_auth(&grant.access);
    read(request.send().await.unwrap()).await
}

pub(super) async fn upload(stage: &Stage, grant: &Grant, bytes: &[u8]) -> (u16, Value) {
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("a.png");
    let form = reqwest::multipart::Form::new().part("media", part).text("media_category", "tweet_image");
    let request = stage.http.post(format!("{}/x/2/media/upload", stage.url)).bearer_auth(&grant.access);
    read(request.multipart(form).send().await.unwrap()).await
}

#[tokio::test]
async fn an_honest_client_connects_posts_a_thread_with_a_picture_and_is_never_refused() {
    let stage = stage().await;
    let page = stage.http.get(authorize_link(&stage, &[])).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("media.write") && page.contains("alice") && page.contains("Deny"), "{page}");
    let grant = connect(&stage).await;
    let (_, me) = get(&stage, &grant, "users/me?user.fields=subscription_type").await;
    assert_eq!(
        (me["data"]["username"].as_str(), me["data"]["subscription_type"].as_str()),
        (Some("acme"), Some("None"))
    );

    let (status, file) = upload(&stage, &grant, PNG).await;
    assert_eq!(status, 200, "{file}");
    let media = file["data"]["id"].as_str().unwrap();
    let request = stage.http.post(format!("{}/x/2/media/metadata", stage.url)).bearer_auth(&grant.access);
    let alt = json!({ "id": media, "metadata": { "alt_text": { "text": "an oven" } } });
    assert_eq!(request.json(&alt).send().await.unwrap().status(), 200);
    let text = "ovens & <bread> https://example.com/a?b=1";
    let (status, first) =
        create(&stage, &grant, &json!({ "text": text, "media": { "media_ids": [media] } })).await;
    assert_eq!(status, 201, "{first}");
    let id = first["data"]["id"].as_str().unwrap();
    assert!(first["data"]["text"].as_str().unwrap().contains("https://t.co/"));
    assert_eq!(first["data"]["edit_history_tweet_ids"], json!([id]));
    let reply = json!({ "text": "two", "reply": { "in_reply_to_tweet_id": id } });
    assert_eq!(create(&stage, &grant, &reply).await.0, 201);

    let published = stage.running.published();
    assert_eq!(published.len(), 2);
    assert_eq!(
        (published[0].text.as_str(), published[0].alts.as_slice()),
        (text, &["an oven".to_owned()][..])
    );
    assert_eq!(published[1].parent.as_deref(), Some(id));
    let page = stage.http.get(format!("{}/x", stage.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("ovens &amp; &lt;bread&gt;") && page.contains("Alt: an oven"), "{page}");
    let image = stage.http.get(format!("{}/x/media/{media}", stage.url)).send().await.unwrap();
    assert_eq!(image.headers()["content-type"], "image/png");
    assert_eq!(stage.running.refusals(), []);
}

#[tokio::test]
async fn the_timeline_is_escaped_names_its_links_and_has_no_data_when_empty() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    let (_, me) = get(&stage, &grant, "users/me").await;
    let path = format!("users/{}/tweets?max_results=5", me["data"]["id"].as_str().unwrap());
    let (status, empty) = get(&stage, &grant, &path).await;
    assert_eq!((status, empty), (200, json!({ "meta": { "result_count": 0 } })));
    post(&stage, &grant, "a < b: https://example.com/x").await;
    let (_, full) = get(&stage, &grant, &format!("{path}&tweet.fields=entities,created_at")).await;
    let (post, url) = (&full["data"][0], &full["data"][0]["entities"]["urls"][0]);
    assert!(post["text"].as_str().unwrap().starts_with("a &lt; b: https://t.co/"));
    assert_eq!(url["expanded_url"], "https://example.com/x");
    let chars: Vec<char> = post["text"].as_str().unwrap().chars().collect();
    let at = |name: &str| usize::try_from(url[name].as_u64().unwrap()).unwrap();
    assert_eq!(chars[at("start")..at("end")].iter().collect::<String>(), url["url"]);
    assert_eq!(get(&stage, &grant, &path.replace("=5", "=4")).await.0, 400);
    assert_eq!(get(&stage, &grant, &format!("{path}&tweet.fields=nonsense")).await.0, 400);
    assert_eq!(get(&stage, &grant, &format!("{path}&nonsense=1")).await.0, 200);
}

#[tokio::test]
async fn authorize_refuses_without_sending_the_browser_anywhere() {
    let stage = stage().await;
    let long = "s".repeat(501);
    for (name, value) in [
        ("client_id", "nobody"),
        ("redirect_uri", "http://localhost:8420/oauth/x/callback"),
        ("redirect_uri", "http://127.0.0.1:8420/other"),
        ("redirect_uri", "http://example.com/oauth/x/callback"),
        ("redirect_uri", "https://example.com/"),
        ("redirect_uri", "https://example.com/oauth/x/callback/"),
        ("redirect_uri", "https://example.com/oauth/x/callback?back=1"),
        ("redirect_uri", "https://me@example.com/oauth/x/callback"),
        ("redirect_uri", "https://example.com/a/../oauth/x/callback"),
        ("scope", "tweet.read everything"),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("state", long.as_str()),
        ("response_type", "token"),
    ] {
        let link = authorize_link(&stage, &[(name, value)]);
        let answer = decide(&stage, &link, &[("decision", "allow")]).await;
        assert_eq!(answer.status(), 400, "{name}={value}");
        assert!(answer.headers().get("location").is_none());
    }
    assert_eq!(stage.running.refusals().len(), 14);
    let link = authorize_link(&stage, &[("redirect_uri", "https://post.example.org/oauth/x/callback")]);
    assert_eq!(decide(&stage, &link, &[("decision", "allow")]).await.status(), 303);
}

#[tokio::test]
async fn an_app_creates_ten_thousand_posts_a_day_whoever_they_are_for() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    let now = crate::clock::Clock::now(&*stage.clock);
    stage.running.shared.world().x.spend_of_app("sandbox-x-public", 9_998, now);
    assert_eq!(post(&stage, &acme, "9,999").await.0, 201);
    assert_eq!(post(&stage, &alice, "10,000").await.0, 201);
    let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&acme.access);
    let answer = request.json(&json!({ "text": "one too many" })).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-app-limit-24hour-limit"), "10000");
    assert_eq!(header("x-app-limit-24hour-remaining"), "0");
    let reset: i64 = header("x-app-limit-24hour-reset").parse().unwrap();
    assert_eq!(reset - now.as_second(), 86_400);
    assert_ne!(header("x-rate-limit-remaining"), "0", "the user's own window is not what is spent");
    // Reading goes on, and so does creating a day later.
    assert_eq!(get(&stage, &acme, "users/me").await.0, 200);
    stage.clock.forward(86_400);
    let acme = connect(&stage).await;
    assert_eq!(post(&stage, &acme, "a day later").await.0, 201);
}

#[tokio::test]
async fn a_person_who_says_no_sends_back_access_denied_and_no_code() {
    let stage = stage().await;
    let answer = decide(&stage, &authorize_link(&stage, &[]), &[("decision", "deny")]).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(landed(&answer, "error").as_deref(), Some("access_denied"));
    assert_eq!(landed(&answer, "state").as_deref(), Some("st"));
    assert_eq!(landed(&answer, "code"), None);
    assert_eq!(stage.running.refusals(), []);
}

#[tokio::test]
async fn a_code_lives_thirty_seconds() {
    let stage = stage().await;
    let late = code(&stage, &[], "acme").await;
    stage.clock.forward(30);
    let (status, body) = exchange(&stage, &late, VERIFIER).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_request")));
    assert!(stage.last_refusal().contains("expired"));
    let timely = code(&stage, &[], "acme").await;
    stage.clock.forward(29);
    assert_eq!(exchange(&stage, &timely, VERIFIER).await.0, 200);
}

#[tokio::test]
async fn a_code_used_twice_revokes_what_was_made_from_it() {
    let stage = stage().await;
    let code = code(&stage, &[], "acme").await;
    let (_, body) = exchange(&stage, &code, VERIFIER).await;
    let grant = Grant { access: body["access_token"].as_str().unwrap().to_owned(), refresh: String::new() };
    assert_eq!(get(&stage, &grant, "users/me").await.0, 200);
    assert_eq!(exchange(&stage, &code, VERIFIER).await.0, 400);
    assert_eq!(get(&stage, &grant, "users/me").await.0, 401);
}

#[tokio::test]
async fn a_wrong_verifier_is_refused_and_burns_the_code() {
    let stage = stage().await;
    let code = code(&stage, &[], "acme").await;
    let wrong = VERIFIER.replace('a', "b");
    assert_eq!(exchange(&stage, &code, &wrong).await.0, 400);
    assert!(stage.last_refusal().contains("code verifier"));
    assert_eq!(exchange(&stage, &code, VERIFIER).await.0, 400);
}

#[tokio::test]
async fn refresh_rotates_and_a_spent_token_kills_the_family() {
    let stage = stage().await;
    let first = connect(&stage).await;
    let (status, body) = refresh(&stage, &first.refresh).await;
    assert_eq!(status, 200);
    let second = Grant {
        access: body["access_token"].as_str().unwrap().to_owned(),
        refresh: body["refresh_token"].as_str().unwrap().to_owned(),
    };
    assert_ne!(first.refresh, second.refresh);
    assert_eq!(get(&stage, &second, "users/me").await.0, 200);
    let (status, body) = refresh(&stage, &first.refresh).await;
    assert_eq!(status, 400);
    let expected =
        json!({ "error": "invalid_request", "error_description": "Value passed for the token was invalid." });
    assert_eq!(body, expected);
    assert_eq!(get(&stage, &second, "users/me").await.0, 401);
    assert_eq!(refresh(&stage, &second.refresh).await.0, 400);
}

#[tokio::test]
async fn no_refresh_token_without_offline_access_and_no_call_without_its_scope() {
    let stage = stage().await;
    let grant = connect_as(&stage, "acme", "tweet.read users.read").await;
    assert_eq!(grant.refresh, "");
    assert_eq!(get(&stage, &grant, "users/me").await.0, 200);
    assert_eq!(post(&stage, &grant, "hello").await.0, 403);
    assert!(stage.last_refusal().contains("tweet.write"));
    assert_eq!(upload(&stage, &grant, PNG).await.0, 403);
}

#[tokio::test]
async fn an_access_token_ends_after_two_hours_and_at_its_revocation() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    stage.clock.forward(7_199);
    assert_eq!(get(&stage, &grant, "users/me").await.0, 200);
    stage.clock.forward(1);
    assert_eq!(get(&stage, &grant, "users/me").await.0, 401);
    let fresh = connect(&stage).await;
    let form = [("token", fresh.refresh.as_str()), ("client_id", "sandbox-x-public")];
    let revoke = || stage.http.post(format!("{}/x/2/oauth2/revoke", stage.url)).form(&form).send();
    assert_eq!(revoke().await.unwrap().status(), 200);
    assert_eq!(get(&stage, &fresh, "users/me").await.0, 401);
}

#[tokio::test]
async fn a_confidential_client_must_use_basic_and_the_right_secret() {
    let stage = stage().await;
    let code = code(&stage, &[("client_id", "sandbox-x")], "acme").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let url = format!("{}/x/2/oauth2/token", stage.url);
    let mut bare = form.to_vec();
    bare.push(("client_id", "sandbox-x"));
    assert_eq!(token(&stage, &bare).await.0, 401);
    let wrong =
        stage.http.post(&url).basic_auth("sandbox-x", Some("guess")).form(&form).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let json =
        stage.http.post(&url).basic_auth("sandbox-x", Some("sandbox-x-secret")).json(&json!({})).send();
    assert_eq!(json.await.unwrap().status(), 400);
    let right = stage.http.post(&url).basic_auth("sandbox-x", Some("sandbox-x-secret")).form(&form).send();
    assert_eq!(right.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_that_the_schema_does_not_allow_is_refused_in_the_validation_shape() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    for body in [
        json!({ "text": "a", "txet": "b" }),
        json!({ "text": 5 }),
        json!({ "text": "a", "reply_settings": "everyone" }),
        json!({ "text": "a", "reply": {} }),
        json!({ "text": "a", "reply": { "in_reply_to_tweet_id": "x1" } }),
        json!({ "text": "a", "media": { "media_ids": [] } }),
        json!({ "text": "a", "media": { "media_ids": ["1"] } }),
        json!({ "text": "a", "poll": { "options": ["one"], "duration_minutes": 5 } }),
        json!({ "text": "a", "media": { "media_ids": ["1"] }, "poll": { "options": ["a", "b"], "duration_minutes": 5 } }),
        json!({ "text": "" }),
        json!({}),
        json!({ "text": "a\u{FEFF}" }),
        json!({ "text": "$AA and $BB" }),
        json!({ "text": "x".repeat(281) }),
        json!([]),
    ] {
        let (status, answer) = create(&stage, &grant, &body).await;
        assert_eq!((status, answer["title"].as_str()), (400, Some("Invalid Request")), "{body}");
        assert!(answer["errors"][0]["message"].is_string() && answer["errors"][0]["parameters"].is_object());
    }
    let wrong_type = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&grant.access);
    assert_eq!(wrong_type.body("{\"text\":\"a\"}").send().await.unwrap().status(), 415);
    assert_eq!(create(&stage, &grant, &json!({ "text": "a", "quote_tweet_id": "1" })).await.0, 403);
    assert_eq!(stage.running.published(), []);
}

#[tokio::test]
async fn premium_takes_long_posts_and_others_280() {
    let stage = stage().await;
    let acme = connect(&stage).await;
    let alice = connect_as(&stage, "alice", SCOPES).await;
    assert_eq!(post(&stage, &acme, &"x".repeat(280)).await.0, 201);
    assert_eq!(post(&stage, &alice, &"x".repeat(25_000)).await.0, 201);
    assert_eq!(post(&stage, &alice, &"y".repeat(25_001)).await.0, 400);
}

#[tokio::test]
async fn the_same_words_are_refused_until_a_day_has_passed() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    assert_eq!(post(&stage, &grant, "again").await.0, 201);
    let (status, body) = post(&stage, &grant, "again").await;
    assert_eq!(status, 403);
    assert_eq!(body["detail"], "You are not allowed to create a Tweet with duplicate content.");
    assert_eq!(body["type"], "about:blank");
    let alice = connect_as(&stage, "alice", SCOPES).await;
    assert_eq!(post(&stage, &alice, "again").await.0, 201);
    stage.clock.forward(86_400);
    let later = connect(&stage).await;
    assert_eq!(post(&stage, &later, "again").await.0, 201);
}

#[tokio::test]
async fn replies_go_to_posts_of_ones_own_that_are_there() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    let (_, theirs) = post(&stage, &alice, "hers").await;
    let reply = |id: &Value| json!({ "text": "re", "reply": { "in_reply_to_tweet_id": id } });
    let (status, body) = create(&stage, &acme, &reply(&theirs["data"]["id"])).await;
    assert_eq!(status, 403);
    assert!(body["detail"].as_str().unwrap().starts_with("Reply to this conversation is not allowed"));
    assert_eq!(create(&stage, &acme, &reply(&json!("42"))).await.0, 403);
    let (_, own) = post(&stage, &acme, "mine").await;
    assert_eq!(create(&stage, &acme, &reply(&own["data"]["id"])).await.0, 201);
}

#[tokio::test]
async fn deleting_works_once_on_ones_own_and_marks_the_page() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    let (_, body) = post(&stage, &acme, "short-lived").await;
    let url = format!("{}/x/2/tweets/{}", stage.url, body["data"]["id"].as_str().unwrap());
    let delete = |grant: &Grant| stage.http.delete(&url).bearer_auth(&grant.access).send();
    assert_eq!(delete(&alice).await.unwrap().status(), 403);
    assert_eq!(read(delete(&acme).await.unwrap()).await, (200, json!({ "data": { "deleted": true } })));
    let (status, gone) = read(delete(&acme).await.unwrap()).await;
    assert_eq!(status, 404);
    assert!(gone["type"].as_str().unwrap().ends_with("/resource-not-found"));
    assert!(stage.running.published()[0].deleted.is_some());
    let page = stage.http.get(format!("{}/x", stage.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("class=\"deleted\"") && page.contains("short-lived"));
}

#[tokio::test]
async fn the_hundred_and_first_post_in_a_quarter_of_an_hour_is_one_too_many() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    for n in 0..100 {
        assert_eq!(post(&stage, &grant, &format!("post {n}")).await.0, 201);
    }
    let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&grant.access);
    let over = request.json(&json!({ "text": "one more" })).send().await.unwrap();
    assert_eq!(over.status(), 429);
    assert_eq!(over.headers()["x-rate-limit-limit"], "100");
    assert_eq!(over.headers()["x-rate-limit-remaining"], "0");
    let reset: i64 = over.headers()["x-rate-limit-reset"].to_str().unwrap().parse().unwrap();
    assert_eq!(reset, 1_795_000_000 + 900);
    stage.clock.forward(900);
    assert_eq!(post(&stage, &grant, "one more").await.0, 201);
}

#[tokio::test]
async fn a_token_in_an_address_is_a_violation() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    let url = format!("{}/x/2/users/me?access_token={}", stage.url, grant.access);
    let answer = stage.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let refusal = stage.running.refusals().pop().unwrap();
    assert!(refusal.reason.contains("never in an address"));
    assert!(!refusal.call.contains(&grant.access));
}

#[tokio::test]
async fn a_chunked_video_must_be_whole_and_waits_for_processing() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    let url = |path: &str| format!("{}/x/2/media/upload{path}", stage.url);
    let begin = |total: usize| {
        let body =
            json!({ "media_type": "video/mp4", "total_bytes": total, "media_category": "tweet_video" });
        stage.http.post(url("/initialize")).bearer_auth(&grant.access).json(&body).send()
    };
    let append = |id: &str, index: usize, bytes: Vec<u8>| {
        let form = reqwest::multipart::Form::new()
            .text("segment_index", index.to_string())
            .part("media", reqwest::multipart::Part::bytes(bytes).file_name("blob"));
        stage.http.post(url(&format!("/{id}/append"))).bearer_auth(&grant.access).multipart(form).send()
    };
    let finalize =
        |id: &str| stage.http.post(url(&format!("/{id}/finalize"))).bearer_auth(&grant.access).send();
    let (_, body) = read(begin(1_048_577).await.unwrap()).await;
    let id = body["data"]["id"].as_str().unwrap();
    let big = append(id, 0, vec![0; 1_048_577]).await.unwrap();
    assert_eq!(big.status(), 413);
    assert_eq!(big.text().await.unwrap(), "");
    // A film, and a box that nobody looks into.
    let mut film = film::film(film::Shape { width: 720, height: 1280, ..film::Shape::default() });
    film.extend(u32::try_from(1_048_577 - film.len()).unwrap().to_be_bytes());
    film.extend(b"free");
    film.resize(1_048_577, 0);
    let last = film.split_off(1_048_576);
    assert_eq!(append(id, 0, film).await.unwrap().status(), 200);
    assert_eq!(finalize(id).await.unwrap().status(), 400);
    assert_eq!(append(id, 1, last).await.unwrap().status(), 200);
    let (status, done) = read(finalize(id).await.unwrap()).await;
    assert_eq!((status, done["data"]["processing_info"]["state"].as_str()), (200, Some("pending")));
    let attach = json!({ "text": "film", "media": { "media_ids": [id] } });
    assert_eq!(create(&stage, &grant, &attach).await.0, 400);
    stage.clock.forward(2);
    let (_, state) = get(&stage, &grant, &format!("media/upload?command=STATUS&media_id={id}")).await;
    assert_eq!(state["data"]["processing_info"]["state"], "succeeded");
    assert_eq!(create(&stage, &grant, &attach).await.0, 201);
}

#[tokio::test]
async fn a_picture_is_what_its_bytes_say_and_belongs_to_one_user() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    assert_eq!(upload(&stage, &acme, b"no picture at all").await.0, 400);
    let (_, file) = upload(&stage, &acme, PNG).await;
    let body = json!({ "media": { "media_ids": [file["data"]["id"]] } });
    assert_eq!(create(&stage, &alice, &body).await.0, 400);
    stage.clock.forward(86_400);
    let later = connect(&stage).await;
    assert_eq!(create(&stage, &later, &body).await.0, 400);
    assert!(stage.last_refusal().contains("expired"));
}

#[test]
fn weights_are_those_of_the_documents() {
    for (text, weight) in [
        ("hello", 5),
        ("e\u{301}", 1),
        ("漢", 2),
        ("…", 2),
        ("—", 1),
        ("€", 2),
        ("Ａ", 2),
        ("\u{200B}", 1),
        ("👨‍👩‍👧‍👦", 2),
        ("🇩🇪", 2),
        ("a.com", 23),
        ("see https://example.com/a/very/long/path?q=1.", 28),
        ("name@example.com", 16),
        ("(http://a.com/b)", 25),
        ("end.Nexto", 9),
        ("bread.bar", 23),
        ("bread.notatld", 13),
        ("https://bread.notatld/a", 23),
        ("https://a.notatld", 17),
        ("https://münchen.de/a/long/path", 23),
        ("münchen.de", 23),
        ("https://例え.公司/a/long/path", 23),
        ("https://a.公司です", 27),
        ("a.xn--p1ai", 23),
        ("a.comの", 25),
        ("漢a.com", 25),
    ] {
        assert_eq!(weigh(text), weight, "{text}");
    }
}
