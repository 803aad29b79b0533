//! Instagram's stand-in, driven as an honest and as a hostile client.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{PNG, Stage, film, landed, read, stage, stage_with};
use crate::sandbox::facebook::SECRET;
use crate::sandbox::instagram::CLIENT;

const REDIRECT: &str = "https://post.example.org/oauth/instagram/callback";
const SCOPES: &str =
    "instagram_business_basic,instagram_business_content_publish,instagram_business_manage_comments";

fn film() -> Vec<u8> {
    film::film(film::Shape { width: 1080, height: 1920, ..film::Shape::default() })
}

struct Client {
    user: String,
    token: String,
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(width, height).write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

/// Lends these bytes to whoever asks, for as long as the test runs.
async fn lend(bytes: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            if stream.read(&mut head).await.unwrap() == 0 {
                continue;
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len());
            stream.write_all(&[answer.as_bytes(), &bytes].concat()).await.unwrap();
        }
    });
    address
}

async fn get(stage: &Stage, client: &Client, path: &str) -> (u16, Value) {
    let url = format!("{}/instagram/v26.0{path}", stage.url);
    read(stage.http.get(url).bearer_auth(&client.token).send().await.unwrap()).await
}

async fn post(stage: &Stage, client: &Client, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/instagram/v26.0/{}{path}", stage.url, client.user);
    read(stage.http.post(url).bearer_auth(&client.token).form(form).send().await.unwrap()).await
}

async fn code(stage: &Stage, form: &[(&str, &str)]) -> Option<String> {
    let query = [
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("state", "s"),
        ("response_type", "code"),
        ("scope", SCOPES),
    ];
    let url = format!("{}/instagram/oauth/authorize", stage.url);
    landed(&stage.http.post(url).query(&query).form(form).send().await.unwrap(), "code")
}

async fn redeem(stage: &Stage, code: &str, redirect: &str) -> (u16, Value) {
    let form = [
        ("client_id", CLIENT),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", redirect),
        ("code", code),
    ];
    let url = format!("{}/instagram/oauth/access_token", stage.url);
    read(stage.http.post(url).form(&form).send().await.unwrap()).await
}

async fn renew(stage: &Stage, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/instagram/{path}", stage.url);
    read(stage.http.get(url).query(query).send().await.unwrap()).await
}

async fn connect_with(stage: &Stage, form: &[(&str, &str)]) -> Client {
    let code = code(stage, form).await.unwrap();
    let short = redeem(stage, &code, REDIRECT).await.1["data"][0].clone();
    let query = [
        ("grant_type", "ig_exchange_token"),
        ("client_secret", SECRET),
        ("access_token", short["access_token"].as_str().unwrap()),
    ];
    let long = renew(stage, "access_token", &query).await.1;
    Client {
        user: short["user_id"].as_str().unwrap().to_owned(),
        token: long["access_token"].as_str().unwrap().to_owned(),
    }
}

async fn connect(stage: &Stage) -> Client {
    connect_with(stage, &[("decision", "allow")]).await
}

async fn picture(stage: &Stage, client: &Client, caption: &str) -> String {
    let link = lend(jpeg(100, 100)).await;
    let (status, made) = post(stage, client, "/media", &[("image_url", &link), ("caption", caption)]).await;
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_code_works_once_and_a_token_is_renewed_after_a_day_and_not_after_its_end() {
    let stage = stage().await;
    let once = code(&stage, &[("decision", "allow")]).await.unwrap();
    assert_eq!(redeem(&stage, &once, "https://evil.example/").await.0, 400);
    assert!(
        redeem(&stage, &once, REDIRECT).await.1["error_message"].as_str().unwrap().contains("already used")
    );
    assert_eq!(code(&stage, &[("decision", "deny")]).await, None);
    let client = connect(&stage).await;
    let query = [("grant_type", "ig_refresh_token"), ("access_token", client.token.as_str())];
    assert_eq!(renew(&stage, "refresh_access_token", &query).await.0, 400, "younger than a day");
    stage.clock.forward(86_400);
    let (status, body) = renew(&stage, "refresh_access_token", &query).await;
    assert_eq!((status, &body["expires_in"]), (200, &json!(5_183_944)));
    stage.clock.forward(60 * 86_400);
    let (_, body) = renew(&stage, "refresh_access_token", &query).await;
    assert_eq!(body["error"]["code"], 190);
}

#[tokio::test]
async fn a_picture_is_fetched_published_once_listed_and_shown() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let container = picture(&stage, &client, "A loaf").await;
    let publish = async || post(&stage, &client, "/media_publish", &[("creation_id", &container)]).await;
    let (status, made) = publish().await;
    assert_eq!(status, 200, "{made}");
    assert_ne!(made["id"], json!(container), "a post has a number of its own");
    assert_eq!(publish().await.1["error"]["error_subcode"], 2_207_006);
    let state = get(&stage, &client, &format!("/{container}?fields=id,status_code,status")).await.1;
    assert_eq!(state["status_code"], "PUBLISHED");
    let list =
        get(&stage, &client, &format!("/{}/media?fields=id,caption,timestamp&limit=5", client.user)).await.1;
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["caption"]), (&made["id"], &json!("A loaf")));
    let limit =
        get(&stage, &client, &format!("/{}/content_publishing_limit?fields=quota_usage,config", client.user))
            .await
            .1;
    assert_eq!(limit["data"][0]["quota_usage"], 1);
    let page = stage.http.get(format!("{}/instagram", stage.url)).send().await.unwrap().text().await.unwrap();
    let src = format!("/instagram/media/{}/0", made["id"].as_str().unwrap());
    assert!(page.contains("A loaf") && page.contains(&src), "{page}");
    let image = stage.http.get(format!("{}{src}", stage.url)).send().await.unwrap();
    assert_eq!(image.headers()["content-type"], "image/jpeg");
    let id = made["id"].as_str().unwrap();
    let delete = stage.http.delete(format!("{}/instagram/v26.0/{id}", stage.url)).bearer_auth(&client.token);
    assert!(
        read(delete.send().await.unwrap()).await.1["error"]["message"]
            .as_str()
            .unwrap()
            .contains("Unsupported delete")
    );
}

#[tokio::test]
async fn what_cannot_be_fetched_or_is_no_jpeg_of_a_fitting_shape_is_refused_as_documented() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let closed = "http://127.0.0.1:1/file".to_owned();
    for (link, more, sub) in [
        (closed, ("caption", "x"), 2_207_052),
        ("https://example.org/a.jpg".to_owned(), ("caption", "x"), 2_207_052),
        (lend(PNG.to_vec()).await, ("caption", "x"), 2_207_005),
        (lend(jpeg(400, 100)).await, ("caption", "x"), 2_207_009),
        (lend(jpeg(100, 100)).await, ("media_type", "PHOTO"), 2_207_023),
    ] {
        let (status, body) = post(&stage, &client, "/media", &[("image_url", &link), more]).await;
        assert_eq!((status, &body["error"]["error_subcode"]), (400, &json!(sub)), "{body}");
    }
    let (link, long) = (lend(jpeg(100, 100)).await, "x".repeat(2_201));
    let (_, body) = post(&stage, &client, "/media", &[("image_url", &link), ("caption", &long)]).await;
    assert_eq!(body["error"]["error_subcode"], 2_207_010);
    for odd in [("invented", "1"), ("upload_type", "resumable"), ("is_comment_prompt_used", "true")] {
        assert_eq!(post(&stage, &client, "/media", &[("image_url", &link), odd]).await.0, 400, "{odd:?}");
    }
    let tall = lend(jpeg(100, 300)).await;
    let story = [("image_url", tall.as_str()), ("media_type", "STORIES")];
    assert_eq!(post(&stage, &client, "/media", &story).await.0, 200, "stories take every shape");
}

#[tokio::test]
async fn a_film_is_worked_on_for_a_while_and_one_that_is_none_fails_with_its_number() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let state = async |id: &str| get(&stage, &client, &format!("/{id}?fields=status_code,status")).await.1;
    let link = lend(film()).await;
    let reel = [("video_url", link.as_str()), ("media_type", "REELS")];
    let id = post(&stage, &client, "/media", &reel).await.1["id"].as_str().unwrap().to_owned();
    let early = post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.1;
    assert_eq!(early["error"]["error_subcode"], 2_207_027);
    for want in ["IN_PROGRESS", "IN_PROGRESS", "FINISHED"] {
        assert_eq!(state(&id).await["status_code"], want);
    }
    let made = post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.1;
    let page = stage.http.get(format!("{}/instagram", stage.url)).send().await.unwrap().text().await.unwrap();
    let film = format!("/instagram/media/{}/0", made["id"].as_str().unwrap());
    assert!(page.contains(&format!("<video src=\"{film}\"")), "{page}");
    let film = stage.http.get(format!("{}{film}", stage.url)).send().await.unwrap();
    assert_eq!(film.headers()["content-type"], "video/mp4");
    let id = post(&stage, &client, "/media", &reel).await.1["id"].as_str().unwrap().to_owned();
    stage.clock.forward(86_400);
    let client = connect(&stage).await;
    let old = get(&stage, &client, &format!("/{id}?fields=status_code")).await.1;
    assert_eq!(old["status_code"], "EXPIRED");
    let gone = post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.1;
    assert_eq!(gone["error"]["error_subcode"], 2_207_008);
    let bad = lend(b"not a film at all".to_vec()).await;
    let (_, made) = post(&stage, &client, "/media", &[("video_url", &bad), ("media_type", "REELS")]).await;
    let failed = state(made["id"].as_str().unwrap()).await;
    assert!(failed["status"].as_str().unwrap().contains("2207026"), "{failed}");
}

#[tokio::test]
async fn a_carousel_needs_finished_children_of_its_own_account() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let link = lend(jpeg(100, 100)).await;
    let child = async || {
        let form = [("image_url", link.as_str()), ("is_carousel_item", "true"), ("alt_text", "one")];
        post(&stage, &client, "/media", &form).await.1["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (child().await, child().await);
    let alone = post(&stage, &client, "/media", &[("media_type", "CAROUSEL"), ("children", &one)]).await.1;
    assert_eq!(alone["error"]["error_subcode"], 2_207_028);
    assert_eq!(post(&stage, &client, "/media_publish", &[("creation_id", &one)]).await.0, 400);
    let both = format!("{one},{two}");
    let alice = connect_with(&stage, &[("decision", "allow"), ("user", "alice")]).await;
    let theirs = [("media_type", "CAROUSEL"), ("children", both.as_str())];
    assert_eq!(post(&stage, &alice, "/media", &theirs).await.1["error"]["error_subcode"], 2_207_006);
    let whole = post(&stage, &client, "/media", &theirs).await.1["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        get(&stage, &client, &format!("/{whole}?fields=status_code")).await;
    }
    assert_eq!(post(&stage, &client, "/media_publish", &[("creation_id", &whole)]).await.0, 200);
    assert_eq!(stage.running.published()[0].alts, ["one", "one"]);
}

#[tokio::test]
async fn the_limit_of_posts_and_missing_scopes_are_refusals() {
    let stage = stage().await;
    let fewer = [("decision", "allow"), ("scope", "instagram_business_basic")];
    let reader = connect_with(&stage, &fewer).await;
    assert_eq!(post(&stage, &reader, "/media", &[("image_url", "x")]).await.1["error"]["code"], 10);
    let client = connect(&stage).await;
    for n in 0..50 {
        let id = picture(&stage, &client, &format!("Post {n}")).await;
        assert_eq!(post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.0, 200);
    }
    let id = picture(&stage, &client, "One more").await;
    let full = post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.1;
    assert_eq!(full["error"]["error_subcode"], 2_207_042);
    assert_eq!(stage.running.published().len(), 50);
}

#[tokio::test]
async fn the_networks_known_lie_is_an_action_called_blocked_whose_post_is_there() {
    let stage = stage_with("instagram.publish=blocked_after,instagram.container=429").await;
    let client = connect(&stage).await;
    assert_eq!(post(&stage, &client, "/media", &[("image_url", "x")]).await.1["error"]["code"], 80_002);
    let id = picture(&stage, &client, "There").await;
    let said = post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await.1;
    assert_eq!(said["error"]["error_subcode"], 2_207_051);
    assert_eq!(stage.running.published().len(), 1);
}

#[tokio::test]
async fn what_is_no_reel_or_cannot_be_fetched_is_no_container() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let shape = film::Shape { width: 1080, height: 1920, ..film::Shape::default() };
    let state = async |bytes: Vec<u8>, kind: &str| {
        let link = lend(bytes).await;
        let form = [("video_url", link.as_str()), ("media_type", kind)];
        let (_, made) = post(&stage, &client, "/media", &form).await;
        let path = format!("/{}?fields=status_code,status", made["id"].as_str().unwrap());
        get(&stage, &client, &path).await.1["status_code"].as_str().unwrap().to_owned()
    };
    let film = |ms, width, index_first| {
        film::film(film::Shape { width, ms, index_first, samples: ms * 3 / 100, ..shape })
    };
    let rate = |samples| film::film(film::Shape { ms: 10_000, samples, ..shape });
    for (bytes, kind, want) in [
        (film(61_000, 1080, true), "REELS", "IN_PROGRESS"),
        (film(61_000, 1080, true), "STORIES", "ERROR"),
        (film(2_900, 1080, true), "REELS", "ERROR"),
        (film(901_000, 1080, true), "REELS", "ERROR"),
        (film(10_000, 1921, true), "REELS", "ERROR"),
        (film(10_000, 1080, false), "REELS", "ERROR"),
        (rate(230), "REELS", "IN_PROGRESS"),
        (rate(229), "REELS", "ERROR"),
        (rate(600), "REELS", "IN_PROGRESS"),
        (rate(601), "REELS", "ERROR"),
    ] {
        assert_eq!(state(bytes, kind).await, want, "{kind}");
    }
    let link = lend(film(10_000, 1080, true)).await;
    let png = lend(PNG.to_vec()).await;
    for (cover, want) in [("http://127.0.0.1:1/cover.jpg", 2_207_052), (png.as_str(), 2_207_005)] {
        let form = [("video_url", link.as_str()), ("media_type", "REELS"), ("cover_url", cover)];
        let (status, said) = post(&stage, &client, "/media", &form).await;
        assert_eq!((status, &said["error"]["error_subcode"]), (400, &json!(want)), "{said}");
    }
}

#[tokio::test]
async fn what_a_container_may_bear_is_counted() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (picture, film) = (lend(jpeg(400, 400)).await, lend(film()).await);
    let of = |word: &str, count: usize| vec![word; count].join(" ");
    let tags =
        |count: usize| json!(vec![json!({ "username": "ann", "x": 0.5, "y": 0.5 }); count]).to_string();
    let names = |count: usize| json!(vec!["ann"; count]).to_string();
    let alt = |count: usize| "é".repeat(count);
    let (image, reel) = (("image_url", picture.as_str()), ("video_url", film.as_str()));
    let of_reel = vec![reel, ("media_type", "REELS")];
    let child = vec![reel, ("media_type", "VIDEO"), ("is_carousel_item", "true")];
    let placed = tags(1);
    for (form, name, value, want) in [
        (vec![image], "caption", of("#rye", 30), None),
        (vec![image], "caption", of("#rye", 31), Some(100)),
        (vec![image], "caption", of("@ann", 20), None),
        (vec![image], "caption", of("@ann", 21), Some(100)),
        (vec![image], "collaborators", names(3), None),
        (vec![image], "collaborators", names(4), Some(100)),
        (vec![image], "user_tags", tags(20), None),
        (vec![image], "user_tags", tags(21), Some(2_207_040)),
        (vec![image], "alt_text", alt(1_000), None),
        (vec![image], "alt_text", alt(1_001), Some(100)),
        (of_reel.clone(), "user_tags", r#"[{"username":"ann"}]"#.into(), None),
        (of_reel.clone(), "user_tags", placed, Some(100)),
        (of_reel.clone(), "thumb_offset", "10009".into(), None),
        (of_reel, "thumb_offset", "10010".into(), Some(2_207_057)),
        (child, "user_tags", r#"[{"username":"ann"}]"#.into(), Some(100)),
    ] {
        let form = [form, vec![(name, value.as_str())]].concat();
        let (_, said) = post(&stage, &client, "/media", &form).await;
        let error = &said["error"];
        let number = error["error_subcode"].as_u64().filter(|it| *it > 0).or(error["code"].as_u64());
        assert_eq!(number, want, "{name} {value}: {said}");
    }
}

#[tokio::test]
async fn a_container_that_published_may_say_anything_and_one_that_did_not_tells_the_truth() {
    let stage = stage_with("instagram.get=says_error,instagram.get=says_expired,instagram.list=lags").await;
    let client = connect(&stage).await;
    let id = picture(&stage, &client, "There").await;
    let state = async || {
        let (_, said) = get(&stage, &client, &format!("/{id}?fields=status_code,status")).await;
        said["status_code"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "FINISHED");
    post(&stage, &client, "/media_publish", &[("creation_id", &id)]).await;
    assert_eq!([state().await, state().await, state().await], ["ERROR", "EXPIRED", "PUBLISHED"]);
    let list = format!("/{}/media?fields=id", client.user);
    assert_eq!(get(&stage, &client, &list).await.1["data"], json!([]));
    assert_eq!(get(&stage, &client, &list).await.1["data"].as_array().unwrap().len(), 1);
}
