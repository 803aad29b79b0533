//! TikTok's stand-in, driven as an honest and as a hostile client.

mod films;

use std::sync::LazyLock;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::film::{Shape, film};
use super::{Stage, VERIFIER, challenge, landed, read, stage, stage_with};
use crate::sandbox::VERIFICATION;
use crate::sandbox::facebook::SECRET;
use crate::sandbox::tiktok::CLIENT;
use crate::sandbox::wire::{hex, sha256};

const DESKTOP: &str = "http://127.0.0.1:8420/oauth/tiktok/callback";
const WEB: &str = "https://post.example.org/oauth/tiktok/callback";
const WEB_CLIENT: &str = "sandbox-tiktok-web";
const SCOPES: &str = "user.info.basic,video.publish,video.upload";
const MB: usize = 1_000_000;
/// Upright, ten seconds, thirty pictures a second.
static FILM: LazyLock<Vec<u8>> =
    LazyLock::new(|| film(Shape { width: 720, height: 1280, ..Shape::default() }));

fn hexed() -> String {
    hex(&sha256(VERIFIER.as_bytes()))
}

async fn authorize(stage: &Stage, query: &[(&str, &str)], form: &[(&str, &str)]) -> Option<String> {
    let url = format!("{}/tiktok/v2/auth/authorize/", stage.url);
    landed(&stage.http.post(url).query(query).form(form).send().await.unwrap(), "code")
}

fn asked<'a>(client: &'a str, redirect: &'a str, challenge: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut query = vec![
        ("client_key", client),
        ("response_type", "code"),
        ("scope", SCOPES),
        ("redirect_uri", redirect),
        ("state", "s"),
    ];
    if !challenge.is_empty() {
        query.extend([("code_challenge", challenge), ("code_challenge_method", "S256")]);
    }
    query
}

async fn token(stage: &Stage, form: &[(&str, &str)]) -> (u16, Value) {
    read(stage.http.post(format!("{}/tiktok/v2/oauth/token/", stage.url)).form(form).send().await.unwrap())
        .await
}

async fn redeem(stage: &Stage, client: &str, redirect: &str, code: &str, verifier: &str) -> (u16, Value) {
    let mut form = vec![
        ("client_key", client),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect),
        ("code", code),
    ];
    if !verifier.is_empty() {
        form.push(("code_verifier", verifier));
    }
    token(stage, &form).await
}

async fn renew(stage: &Stage, refresh: &str) -> (u16, Value) {
    let form = [
        ("client_key", CLIENT),
        ("client_secret", SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
    ];
    token(stage, &form).await
}

async fn connect(stage: &Stage, form: &[(&str, &str)]) -> Value {
    let code = authorize(stage, &asked(CLIENT, DESKTOP, &hexed()), form).await.unwrap();
    redeem(stage, CLIENT, DESKTOP, &code, VERIFIER).await.1
}

async fn access(stage: &Stage) -> String {
    connect(stage, &[("decision", "allow")]).await["access_token"].as_str().unwrap().to_owned()
}

async fn ask(stage: &Stage, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/tiktok/v2/{path}", stage.url);
    let request = stage.http.post(url).bearer_auth(token).body(body.to_string());
    read(request.header("content-type", "application/json; charset=UTF-8").send().await.unwrap()).await
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

fn file(size: u64, chunk: u64, count: u64) -> Value {
    json!({ "source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk, "total_chunk_count": count })
}

fn direct(privacy: &str, title: &str) -> Value {
    let size = FILM.len() as u64;
    json!({
        "post_info": { "title": title, "privacy_level": privacy, "disable_comment": true, "disable_duet": true,
            "disable_stitch": true, "brand_content_toggle": false, "brand_organic_toggle": false },
        "source_info": file(size, size, 1),
    })
}

async fn begin(stage: &Stage, token: &str, path: &str, body: &Value) -> (String, String) {
    let (status, made) = ask(stage, token, path, body).await;
    assert_eq!(status, 200, "{made}");
    let text = |name: &str| made["data"][name].as_str().unwrap().to_owned();
    (text("publish_id"), text("upload_url"))
}

async fn put(stage: &Stage, url: &str, bytes: &[u8], range: &str) -> (u16, String) {
    let request = stage.http.put(url).body(bytes.to_vec()).header("content-type", "video/mp4");
    let answer = request.header("content-range", range).send().await.unwrap();
    let range = answer.headers().get("content-range").map(|it| it.to_str().unwrap().to_owned());
    (answer.status().as_u16(), range.unwrap_or_default())
}

async fn state(stage: &Stage, token: &str, task: &str) -> Value {
    ask(stage, token, "post/publish/status/fetch/", &json!({ "publish_id": task })).await.1["data"].clone()
}

#[tokio::test]
async fn a_desktop_app_proves_itself_in_hexadecimal_and_a_code_works_once() {
    let stage = stage().await;
    let allow = [("decision", "allow")];
    // base64url is what everybody else wants; here it is no challenge at all.
    assert_eq!(authorize(&stage, &asked(CLIENT, DESKTOP, &challenge()), &allow).await, None);
    assert_eq!(authorize(&stage, &asked(CLIENT, DESKTOP, ""), &allow).await, None);
    assert_eq!(
        authorize(&stage, &asked(CLIENT, WEB, &hexed()), &allow).await,
        None,
        "another kind's address"
    );
    assert_eq!(authorize(&stage, &asked(WEB_CLIENT, DESKTOP, ""), &allow).await, None);
    let first = authorize(&stage, &asked(CLIENT, DESKTOP, &hexed()), &allow).await.unwrap();
    let (status, refused) = redeem(&stage, CLIENT, DESKTOP, &first, "").await;
    assert_eq!((status, refused["error"].as_str().unwrap()), (400, "invalid_request"));
    let second = authorize(&stage, &asked(CLIENT, DESKTOP, &hexed()), &allow).await.unwrap();
    let (status, grant) = redeem(&stage, CLIENT, DESKTOP, &second, VERIFIER).await;
    assert_eq!((status, grant["scope"].as_str().unwrap()), (200, SCOPES));
    let again = redeem(&stage, CLIENT, DESKTOP, &second, VERIFIER).await.1;
    assert_eq!(again["error"], "invalid_grant");
    let web = authorize(&stage, &asked(WEB_CLIENT, WEB, ""), &allow).await.unwrap();
    assert_eq!(redeem(&stage, WEB_CLIENT, WEB, &web, "").await.0, 200, "no PKCE for the web");
}

#[tokio::test]
async fn a_refresh_token_works_once_and_a_spent_one_is_refused_with_status_200() {
    let stage = stage().await;
    let grant = connect(&stage, &[("decision", "allow")]).await;
    let refresh = grant["refresh_token"].as_str().unwrap();
    let (_, new) = renew(&stage, refresh).await;
    assert_ne!(new["refresh_token"], grant["refresh_token"]);
    let (status, spent) = renew(&stage, refresh).await;
    assert_eq!((status, spent["error"].as_str().unwrap()), (200, "invalid_grant"));
    // Two hours later the access token has ended, and after a revocation everything has.
    let token = new["access_token"].as_str().unwrap();
    let creator = "post/publish/creator_info/query/";
    assert_eq!(ask(&stage, token, creator, &json!({})).await.0, 200);
    stage.clock.forward(7_200);
    assert_eq!(code(&ask(&stage, token, creator, &json!({})).await), (401, "access_token_invalid"));
    let (_, third) = renew(&stage, new["refresh_token"].as_str().unwrap()).await;
    let form = [
        ("client_key", CLIENT),
        ("client_secret", SECRET),
        ("token", third["access_token"].as_str().unwrap()),
    ];
    let url = format!("{}/tiktok/v2/oauth/revoke/", stage.url);
    assert_eq!(stage.http.post(url).form(&form).send().await.unwrap().status(), 200);
    assert_eq!(ask(&stage, third["access_token"].as_str().unwrap(), creator, &json!({})).await.0, 401);
    assert_eq!(renew(&stage, third["refresh_token"].as_str().unwrap()).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_film_is_taken_in_order_and_published_by_its_last_piece() {
    let stage = stage().await;
    let token = access(&stage).await;
    let mut film = vec![7_u8; 11 * MB + 3];
    film[..FILM.len()].copy_from_slice(&FILM);
    let mut body = direct("PUBLIC_TO_EVERYONE", "Bread");
    body["source_info"] = file(film.len() as u64, 5 * MB as u64, 2);
    let (task, url) = begin(&stage, &token, "post/publish/video/init/", &body).await;
    assert_eq!(state(&stage, &token, &task).await["uploaded_bytes"], 0);
    let (one, two) = (&film[..5 * MB], &film[5 * MB..]);
    let (first, last) = ("bytes 0-4999999/11000003", "bytes 5000000-11000002/11000003");
    assert_eq!(put(&stage, &url, two, last).await.0, 416, "out of order");
    assert_eq!(put(&stage, &url, &one[..MB], "bytes 0-999999/11000003").await.0, 400, "too small");
    assert_eq!(put(&stage, &url, one, "bytes 0-4999999/11000004").await.0, 400, "another film");
    assert_eq!(put(&stage, &url, one, first).await, (206, first.to_owned()));
    assert_eq!(
        put(&stage, &url, one, first).await,
        (416, first.to_owned()),
        "a repeat is told where it stands"
    );
    assert!(stage.running.published().is_empty());
    assert_eq!(put(&stage, &url, two, last).await.0, 201);
    assert_eq!(state(&stage, &token, &task).await["status"], "PROCESSING_UPLOAD");
    let done = state(&stage, &token, &task).await;
    assert_eq!(
        (done["status"].as_str().unwrap(), done.get("publicaly_available_post_id")),
        ("PUBLISH_COMPLETE", None)
    );
    let named = state(&stage, &token, &task).await;
    let id = named["publicaly_available_post_id"][0].as_u64().unwrap().to_string();
    let seen = stage.running.published();
    assert_eq!((seen.len(), seen[0].text.as_str(), &seen[0].id), (1, "Bread", &id));
    let page = stage.http.get(format!("{}/tiktok/@acme/video/{id}", stage.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Bread") && page.contains("PUBLIC_TO_EVERYONE") && page.contains("<video"),
        "{page}"
    );
}

#[tokio::test]
async fn the_rules_of_the_transfer_guide_are_held_against_every_plan() {
    let stage = stage().await;
    let token = access(&stage).await;
    for (size, chunk, count, fits) in [
        (1_u64, 1_u64, 1_u64, true),
        (4_999_999, 4_999_999, 1, true),
        (10_000_000, 5_000_000, 2, true),
        (50_000_123, 10_000_000, 5, true),
        (64_000_000, 64_000_000, 1, true),
        (4_999_999, 2_000_000, 2, false),
        (50_000_123, 10_000_000, 6, false),
        (50_000_123, 4_000_000, 12, false),
        (65_000_000, 65_000_000, 1, false),
        (100_000_000, 64_000_000, 1, false),
        (128_000_000, 64_000_000, 2, true),
        (100_000_000, 50_000_000, 2, true),
        (100_000_000, 4_999_999, 20, false),
        (4_000_000_001, 20_000_000, 200, false),
        (0, 1, 1, false),
    ] {
        stage.clock.forward(61);
        let mut body = direct("SELF_ONLY", "");
        body["source_info"] = file(size, chunk, count);
        let made = ask(&stage, &token, "post/publish/video/init/", &body).await;
        assert_eq!(made.0 == 200, fits, "{size} in {count} of {chunk}: {}", stage.last_refusal());
    }
}

/// A body with one place changed; `null` takes the place away.
fn with(body: &Value, place: &str, value: &Value) -> Value {
    let (parent, name) = place.rsplit_once('/').unwrap();
    let mut body = body.clone();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name).unwrap();
    } else {
        parent.insert(name.to_owned(), value.clone());
    }
    body
}

/// Whether the composed specification takes a body, where it is at hand.
fn specified(path: &str, body: &Value) -> Option<bool> {
    let spec = super::conformance::document("data/tiktok-openapi.composed.json")?;
    let schema = &spec["paths"][format!("/v2/{path}")]["post"]["requestBody"]["content"]["application/json"];
    // It wants https, and what is lent here is on loopback.
    let schema = schema["schema"].to_string().replace("^https://", "^https?://");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    Some(jsonschema::validator_for(&schema).unwrap().is_valid(body))
}

const INIT: &str = "post/publish/video/init/";
const INBOX: &str = "post/publish/inbox/video/init/";
const PHOTO: &str = "post/publish/content/init/";

#[tokio::test]
async fn every_create_is_held_to_its_fields_their_types_and_what_goes_together() {
    let stage = stage().await;
    let token = access(&stage).await;
    let host = lend(Some(VERIFICATION.1), jpeg(40, 30)).await;
    let film = with(&direct("SELF_ONLY", "x"), "/post_info/is_aigc", &json!(false));
    let film = with(&film, "/post_info/video_cover_timestamp_ms", &json!(5));
    let inbox = json!({ "source_info": file(FILM.len() as u64, FILM.len() as u64, 1) });
    let photo = photos(&[format!("{host}/photo")], "x");
    let photo = with(&photo, "/post_info/auto_add_music", &json!(true));
    let share = json!({ "media_type": "PHOTO", "post_mode": "MEDIA_UPLOAD", "post_info": { "title": "t" },
        "source_info": { "source": "PULL_FROM_URL", "photo_images": [format!("{host}/photo")] } });
    for (path, good) in [(INIT, &film), (INBOX, &inbox), (PHOTO, &photo), (PHOTO, &share)] {
        stage.clock.forward(61);
        assert_eq!(code(&ask(&stage, &token, path, good).await), (200, "ok"), "{good}");
        assert_ne!(specified(path, good), Some(false), "{good}");
    }
    let url = "https://post.example.org/m/loaf.mp4";
    let many = vec![format!("{host}/photo"); 36];
    // `true`: a rule that the specification states in words alone.
    for (path, good, place, value, in_words) in [
        (INIT, &film, "/odd", json!(1), false),
        (INIT, &film, "/post_info", json!(null), false),
        (INIT, &film, "/post_info", json!("x"), false),
        (INIT, &film, "/source_info", json!(null), false),
        (INIT, &film, "/post_info/description", json!("x"), false),
        (INIT, &film, "/post_info/title", json!(7), false),
        (INIT, &film, "/post_info/privacy_level", json!(null), false),
        (INIT, &film, "/post_info/privacy_level", json!("EVERYBODY"), false),
        (INIT, &film, "/post_info/disable_duet", json!("true"), false),
        (INIT, &film, "/post_info/disable_comment", json!(1), false),
        (INIT, &film, "/post_info/is_aigc", json!("no"), false),
        (INIT, &film, "/post_info/brand_content_toggle", json!(null), true),
        (INIT, &film, "/post_info/brand_organic_toggle", json!("false"), false),
        (INIT, &film, "/post_info/video_cover_timestamp_ms", json!(-1), false),
        (INIT, &film, "/post_info/video_cover_timestamp_ms", json!(1.5), false),
        (INIT, &film, "/post_info/video_cover_timestamp_ms", json!(2_147_483_648_u64), true),
        (INIT, &film, "/source_info/source", json!(null), false),
        (INIT, &film, "/source_info/source", json!("UPLOAD"), false),
        (INIT, &film, "/source_info/source", json!("PULL_FROM_URL"), false),
        (INIT, &film, "/source_info/video_url", json!(url), false),
        (INIT, &film, "/source_info/video_size", json!("34"), false),
        (INIT, &film, "/source_info/chunk_size", json!(null), false),
        (INIT, &film, "/source_info/total_chunk_count", json!(0), false),
        (INBOX, &inbox, "/post_info", json!({}), false),
        (INBOX, &inbox, "/source_info/video_url", json!(url), false),
        (INBOX, &inbox, "/source_info/total_chunk_count", json!("1"), false),
        (PHOTO, &photo, "/media_type", json!(null), false),
        (PHOTO, &photo, "/media_type", json!("VIDEO"), false),
        (PHOTO, &photo, "/post_mode", json!(null), false),
        (PHOTO, &photo, "/post_mode", json!("INBOX"), false),
        (PHOTO, &photo, "/post_info", json!(null), false),
        (PHOTO, &photo, "/post_info/disable_duet", json!(true), false),
        (PHOTO, &photo, "/post_info/is_aigc", json!(true), false),
        (PHOTO, &photo, "/post_info/title", json!("x".repeat(91)), false),
        (PHOTO, &photo, "/post_info/auto_add_music", json!("yes"), false),
        (PHOTO, &photo, "/source_info/source", json!("FILE_UPLOAD"), false),
        (PHOTO, &photo, "/source_info/video_size", json!(1), false),
        (PHOTO, &photo, "/source_info/photo_images", json!([]), false),
        (PHOTO, &photo, "/source_info/photo_images", json!(many), false),
        (PHOTO, &photo, "/source_info/photo_images", json!([7]), false),
        (PHOTO, &photo, "/source_info/photo_images", json!(["http://post.example.org/a.jpg"]), true),
        (PHOTO, &photo, "/source_info/photo_cover_index", json!(1), true),
        (PHOTO, &photo, "/source_info/photo_cover_index", json!("0"), false),
        (PHOTO, &share, "/post_info/privacy_level", json!("SELF_ONLY"), true),
        (PHOTO, &share, "/source_info/photo_images", json!(null), false),
    ] {
        stage.clock.forward(61);
        let bad = with(good, place, &value);
        let answer = ask(&stage, &token, path, &bad).await;
        assert_eq!(code(&answer), (400, "invalid_params"), "{path} {place} {value}");
        assert!(specified(path, &bad).is_none_or(|it| it == in_words), "{path} {place} {value}");
    }
    stage.clock.forward(61);
    let status = "post/publish/status/fetch/";
    for odd in [json!({ "publish_id": 7 }), json!({ "publish_id": "x", "fields": "status" })] {
        assert_eq!(code(&ask(&stage, &token, status, &odd).await), (400, "invalid_params"), "{odd}");
    }
    let odd = ask(&stage, &token, &format!("{INIT}?access_token=x"), &film).await;
    assert_eq!(code(&odd), (400, "invalid_params"), "nothing travels in the address");
}

#[tokio::test]
async fn a_piece_is_taken_under_its_headers_at_its_whole_address_alone() {
    let stage = stage().await;
    let token = access(&stage).await;
    let (_, url) = begin(&stage, &token, INIT, &direct("SELF_ONLY", "x")).await;
    let size = FILM.len();
    let range = format!("bytes 0-{}/{size}", size - 1);
    let put = async |url: &str, kind: &str, range: &str, bearer: bool| {
        let mut request = stage.http.put(url).body(FILM.clone());
        for (name, value) in [("content-type", kind), ("content-range", range)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let request = if bearer { request.bearer_auth(&token) } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    for kind in ["", "application/octet-stream", "video/x-matroska", "image/jpeg"] {
        assert_eq!(put(&url, kind, &range, false).await, 400, "{kind}");
    }
    let short = format!("bytes 0-{}/{size}", size - 2);
    let beyond = format!("bytes 0-{size}/{size}");
    for range in ["", "0-33/34", "bytes */34", "bytes 33-0/34", &short, &beyond] {
        assert_eq!(put(&url, "video/mp4", range, false).await, 400, "{range}");
    }
    assert_eq!(put(&url, "video/mp4", &range, true).await, 400, "with a token");
    let (bare, query) = url.split_once('?').unwrap();
    let (id, secret) = query.split_once('&').unwrap();
    for odd in [bare.to_owned(), format!("{bare}?{secret}"), format!("{bare}?{id}"), format!("{url}&a=1")] {
        assert_eq!(put(&odd, "video/mp4", &range, false).await, 404, "{odd}");
    }
    assert_eq!(put(&format!("{bare}?upload_id=77&{secret}"), "video/mp4", &range, false).await, 404);
    assert!(stage.running.published().is_empty());
    for kind in ["video/quicktime", "video/webm", "video/mp4"] {
        stage.clock.forward(61);
        let (_, url) = begin(&stage, &token, INIT, &direct("SELF_ONLY", "x")).await;
        assert_eq!(put(&url, kind, &range, false).await, 201, "{kind}");
    }
}

#[tokio::test]
async fn an_inbox_takes_five_and_an_address_lives_an_hour() {
    let stage = stage().await;
    let token = access(&stage).await;
    let size = FILM.len() as u64;
    let body = json!({ "source_info": file(size, size, 1) });
    let range = format!("bytes 0-{}/{size}", size - 1);
    let path = "post/publish/inbox/video/init/";
    let (task, url) = begin(&stage, &token, path, &body).await;
    assert_eq!(put(&stage, &url, &FILM, &range).await.0, 201);
    state(&stage, &token, &task).await;
    assert_eq!(state(&stage, &token, &task).await["status"], "SEND_TO_USER_INBOX");
    let (_, url) = begin(&stage, &token, path, &body).await;
    stage.clock.forward(3_600);
    assert_eq!(put(&stage, &url, &FILM, &range).await.0, 403);
    assert_eq!(put(&stage, &format!("{url}x"), &FILM, &range).await.0, 404);
    for _ in 2..5 {
        begin(&stage, &token, path, &body).await;
    }
    stage.clock.forward(61);
    assert_eq!(code(&ask(&stage, &token, path, &body).await), (403, "spam_risk_too_many_pending_share"));
    let titled = json!({ "post_info": {}, "source_info": file(size, size, 1) });
    assert_eq!(code(&ask(&stage, &token, path, &titled).await), (400, "invalid_params"));
}

#[tokio::test]
async fn audiences_audits_caps_and_limits_are_kept() {
    let stage = stage().await;
    let token = access(&stage).await;
    let init = "post/publish/video/init/";
    assert_eq!(
        code(&ask(&stage, &token, init, &direct("FOLLOWER_OF_CREATOR", "")).await),
        (403, "privacy_level_option_mismatch")
    );
    let mut branded = direct("SELF_ONLY", "");
    branded["post_info"]["brand_content_toggle"] = json!(true);
    assert_eq!(code(&ask(&stage, &token, init, &branded).await), (400, "invalid_params"));
    let mut odd = direct("SELF_ONLY", "");
    odd["post_info"]["caption"] = json!("x");
    assert_eq!(code(&ask(&stage, &token, init, &odd).await), (400, "invalid_params"));
    let mut stitched = direct("SELF_ONLY", "");
    stitched["post_info"]["disable_stitch"] = json!(false);
    assert_eq!(code(&ask(&stage, &token, init, &stitched).await), (400, "invalid_params"));
    let long = "🍞".repeat(1_101);
    assert_eq!(code(&ask(&stage, &token, init, &direct("SELF_ONLY", &long)).await), (400, "invalid_params"));
    // The sixth call of a minute, and one too many.
    assert_eq!(ask(&stage, &token, init, &direct("SELF_ONLY", "")).await.0, 200);
    assert_eq!(
        code(&ask(&stage, &token, init, &direct("SELF_ONLY", "")).await),
        (429, "rate_limit_exceeded")
    );
    // Fifteen posts of a day.
    for _ in 0..15 {
        stage.clock.forward(61);
        let (_, url) = begin(&stage, &token, init, &direct("SELF_ONLY", "")).await;
        assert_eq!(
            put(&stage, &url, &FILM, &format!("bytes 0-{}/{}", FILM.len() - 1, FILM.len())).await.0,
            201
        );
    }
    let creator = ask(&stage, &token, "post/publish/creator_info/query/", &json!({})).await;
    assert_eq!(code(&creator), (200, "spam_risk_too_many_posts"), "with status 200, as documented");
    // An app without its audit: private accounts alone, and for themselves alone.
    let web = async |user: &str| {
        let form = [("decision", "allow"), ("user", user)];
        let code = authorize(&stage, &asked(WEB_CLIENT, WEB, ""), &form).await.unwrap();
        let grant = redeem(&stage, WEB_CLIENT, WEB, &code, "").await.1;
        let token = grant["access_token"].as_str().unwrap().to_owned();
        stage.clock.forward(61);
        let made = ask(&stage, &token, init, &direct("SELF_ONLY", "")).await;
        (made.0, made.1["error"]["code"].as_str().unwrap().to_owned())
    };
    stage.clock.forward(86_400);
    assert_eq!(web("acme").await, (403, "unaudited_client_can_only_post_to_private_accounts".into()));
    assert_eq!(web("alice").await, (200, "ok".into()));
}

#[tokio::test]
async fn paths_types_scopes_and_unknown_tasks_are_refused_in_the_networks_words() {
    let stage = stage().await;
    let fewer = connect(&stage, &[("decision", "allow"), ("scope", "user.info.basic video.upload")]).await;
    let token = fewer["access_token"].as_str().unwrap();
    let creator = ask(&stage, token, "post/publish/creator_info/query/", &json!({})).await;
    assert_eq!(code(&creator), (401, "scope_not_authorized"));
    assert_eq!(ask(&stage, token, "post/publish/status/fetch", &json!({})).await.0, 404, "without its slash");
    let body = json!({ "publish_id": "v_pub~0" });
    assert_eq!(
        code(&ask(&stage, token, "post/publish/status/fetch/", &body).await),
        (400, "invalid_publish_id")
    );
    let url = format!("{}/tiktok/v2/post/publish/status/fetch/", stage.url);
    let plain = stage.http.post(url).bearer_auth(token).header("content-type", "text/plain").body("{}");
    assert_eq!(code(&read(plain.send().await.unwrap()).await), (400, "invalid_params"));
    let info = |fields: &str| {
        let url = format!("{}/tiktok/v2/user/info/?fields={fields}", stage.url);
        stage.http.get(url).bearer_auth(token).send()
    };
    let me = read(info("open_id,union_id,avatar_url,display_name").await.unwrap()).await;
    assert_eq!(me.1["data"]["user"]["display_name"], "Acme Bakery");
    assert_eq!(code(&read(info("username").await.unwrap()).await), (401, "scope_not_authorized"));
}

/// Lends a picture, and its proof of ownership if there is one.
async fn lend(proof: Option<&'static str>, picture: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 2048];
            let read = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let body = match () {
                () if head.contains(VERIFICATION.0) => proof.map(|it| it.as_bytes().to_vec()),
                () if head.contains("/photo") => Some(picture.clone()),
                () => None,
            };
            let (status, body) = body.map_or((404, Vec::new()), |it| (200, it));
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[answer.as_bytes(), &body].concat()).await.unwrap();
        }
    });
    origin
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

fn photos(images: &[String], words: &str) -> Value {
    json!({
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": { "description": words, "privacy_level": "SELF_ONLY", "disable_comment": true,
            "brand_content_toggle": false, "brand_organic_toggle": false },
        "source_info": { "source": "PULL_FROM_URL", "photo_images": images, "photo_cover_index": 0 },
    })
}

#[tokio::test]
async fn photos_are_fetched_and_only_from_a_host_that_proves_whose_it_is() {
    let stage = stage().await;
    let token = access(&stage).await;
    let path = "post/publish/content/init/";
    let good = lend(Some(VERIFICATION.1), jpeg(40, 30)).await;
    let wide = lend(Some(VERIFICATION.1), jpeg(1_200, 1_100)).await;
    let png = lend(Some(VERIFICATION.1), super::PNG.to_vec()).await;
    let foreign = lend(Some("tiktok-developers-site-verification=Other"), jpeg(40, 30)).await;
    let bare = lend(None, jpeg(40, 30)).await;
    for host in [&foreign, &bare] {
        let refused = ask(&stage, &token, path, &photos(&[format!("{host}/photo")], "x")).await;
        assert_eq!(code(&refused), (403, "url_ownership_unverified"));
    }
    for (address, words, end) in [
        (format!("{good}/photo"), "Two loaves", "PUBLISH_COMPLETE"),
        (format!("{good}/missing"), "x", "photo_pull_failed"),
        (format!("{wide}/photo"), "x", "picture_size_check_failed"),
        (format!("{png}/photo"), "x", "file_format_check_failed"),
        (format!("{good}/photo"), "x sandbox:fail=spam_risk_text", "spam_risk_text"),
    ] {
        stage.clock.forward(61);
        let (status, made) = ask(&stage, &token, path, &photos(&[address], words)).await;
        assert_eq!(status, 200, "{made}");
        let task = made["data"]["publish_id"].as_str().unwrap();
        assert_eq!(state(&stage, &token, task).await["status"], "PROCESSING_DOWNLOAD");
        let done = state(&stage, &token, task).await;
        assert!(done["status"] == end || done["fail_reason"] == end, "{end}: {done}");
    }
    let seen = stage.running.published();
    assert_eq!((seen.len(), seen[0].text.as_str()), (1, "Two loaves"));
    let empty = ask(&stage, &token, path, &photos(&[], "x")).await;
    assert_eq!(code(&empty), (400, "invalid_params"));
}

#[tokio::test]
async fn faults_hang_on_the_last_piece_alone() {
    let stage = stage_with("tiktok.last=lost_after,tiktok.init=429,tiktok.creator=500_after").await;
    let token = access(&stage).await;
    let init = "post/publish/video/init/";
    assert_eq!(
        code(&ask(&stage, &token, init, &direct("SELF_ONLY", "x")).await),
        (429, "rate_limit_exceeded")
    );
    let creator = ask(&stage, &token, "post/publish/creator_info/query/", &json!({})).await;
    assert_eq!(code(&creator), (500, "internal_error"));
    let (_, url) = begin(&stage, &token, init, &direct("SELF_ONLY", "x")).await;
    let range = format!("bytes 0-{}/{}", FILM.len() - 1, FILM.len());
    let lost = stage
        .http
        .put(&url)
        .body(FILM.clone())
        .header("content-type", "video/mp4")
        .header("content-range", &range);
    assert!(lost.send().await.is_err());
    assert_eq!(stage.running.published().len(), 1, "it took effect");
    assert_eq!(stage.running.refusals(), []);
}
