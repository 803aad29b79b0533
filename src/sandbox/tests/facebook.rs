//! Facebook's stand-in, driven as an honest and as a hostile client.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{PNG, Stage, film, landed, read, stage, stage_with};
use crate::sandbox::facebook::{CLIENT, SECRET};
use crate::sandbox::wire::hex;

const REDIRECT: &str = "https://post.example.org/oauth/facebook/callback";
const SCOPES: &str = "pages_show_list,pages_read_engagement,pages_manage_posts,pages_manage_engagement";

fn film() -> Vec<u8> {
    film::film(film::Shape { width: 1080, height: 1920, ..film::Shape::default() })
}

struct Client {
    person: String,
    /// Page id and token, in the order of the list.
    pages: Vec<(String, String)>,
}

fn proof(token: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    hex(&mac.chain_update(token.as_bytes()).finalize().into_bytes())
}

fn url(stage: &Stage, path: &str, token: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{}/facebook/v26.0{path}{mark}appsecret_proof={}", stage.url, proof(token))
}

async fn get(stage: &Stage, token: &str, path: &str) -> (u16, Value) {
    read(stage.http.get(url(stage, path, token)).bearer_auth(token).send().await.unwrap()).await
}

async fn post(stage: &Stage, token: &str, path: &str, body: &Value) -> (u16, Value) {
    read(stage.http.post(url(stage, path, token)).bearer_auth(token).json(body).send().await.unwrap()).await
}

async fn delete(stage: &Stage, token: &str, path: &str) -> (u16, Value) {
    read(stage.http.delete(url(stage, path, token)).bearer_auth(token).send().await.unwrap()).await
}

async fn token(stage: &Stage, fields: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/facebook/v26.0/oauth/access_token", stage.url);
    let form = [&[("client_id", CLIENT), ("client_secret", SECRET)], fields].concat();
    read(stage.http.post(url).form(&form).send().await.unwrap()).await
}

async fn consent(stage: &Stage, form: &[(&str, &str)]) -> String {
    consent_to(stage, SCOPES, form).await
}

async fn consent_to(stage: &Stage, scopes: &str, form: &[(&str, &str)]) -> String {
    let dialog = format!("{}/facebook/v26.0/dialog/oauth", stage.url);
    let query = [
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("state", "s"),
        ("response_type", "code"),
        ("scope", scopes),
    ];
    let answer = stage.http.post(dialog).query(&query).form(form).send().await.unwrap();
    landed(&answer, "code").unwrap()
}

async fn connect_as(stage: &Stage, form: &[(&str, &str)]) -> Client {
    let code = consent(stage, form).await;
    let short = token(stage, &[("redirect_uri", REDIRECT), ("code", &code)]).await.1;
    let short = short["access_token"].as_str().unwrap();
    let fields = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", short)];
    let long = token(stage, &fields).await.1;
    let person = long["access_token"].as_str().unwrap().to_owned();
    let (mut pages, mut path) = (Vec::new(), "/me/accounts?fields=id,access_token".to_owned());
    loop {
        let (status, body) = get(stage, &person, &path).await;
        assert_eq!(status, 200, "{body}");
        for it in body["data"].as_array().unwrap() {
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            pages.push((text("id"), text("access_token")));
        }
        if !body["paging"]["next"].is_string() {
            return Client { person, pages };
        }
        path = format!("/me/accounts?after={}", body["paging"]["cursors"]["after"].as_str().unwrap());
    }
}

async fn connect(stage: &Stage) -> Client {
    connect_as(stage, &[("decision", "allow")]).await
}

async fn photo(stage: &Stage, token: &str, page: &str) -> String {
    photo_of(stage, token, page, PNG.to_vec()).await
}

async fn photo_of(stage: &Stage, token: &str, page: &str, bytes: Vec<u8>) -> String {
    let form = Form::new()
        .text("published", "false")
        .text("alt_text_custom", "a dot")
        .part("source", Part::bytes(bytes).file_name("a.png"));
    let request = stage.http.post(url(stage, &format!("/{page}/photos"), token)).bearer_auth(token);
    let (status, body) = read(request.multipart(form).send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_consent_leads_to_a_token_for_every_page_that_was_picked() {
    let stage = stage().await;
    assert_eq!(connect(&stage).await.pages.len(), 2);
    let one = connect_as(&stage, &[("decision", "allow"), ("pages", "acme.cafe")]).await;
    assert_eq!(one.pages.len(), 1);
    let alice = connect_as(&stage, &[("decision", "allow"), ("user", "alice")]).await;
    assert_eq!(alice.pages.len(), 1, "what is in her portfolio is not in her own list");
    assert_eq!(stage.running.refusals(), []);

    // The portfolio wants a permission of its own, and shows itself to its owner alone.
    let acme = connect(&stage).await.person;
    assert_eq!(get(&stage, &alice.person, "/me/businesses").await.0, 403);
    for who in ["acme", "alice"] {
        consent_to(&stage, "business_management", &[("decision", "allow"), ("user", who)]).await;
    }
    let (_, found) = get(&stage, &alice.person, "/me/businesses?fields=id").await;
    let id = found["data"][0]["id"].as_str().unwrap().to_owned();
    for (edge, name) in [("owned_pages", "alice.market"), ("client_pages", "garden.club")] {
        let path = format!("/{id}/{edge}?fields=id,username,access_token");
        let (_, body) = get(&stage, &alice.person, &path).await;
        let names: Vec<_> = body["data"].as_array().unwrap().iter().map(|it| &it["username"]).collect();
        assert_eq!(names, [name], "{edge}");
        let row = &body["data"][0];
        let (page, token) = (row["id"].as_str().unwrap(), row["access_token"].as_str().unwrap());
        let (status, made) = post(&stage, token, &format!("/{page}/feed"), &json!({ "message": name })).await;
        assert_eq!(status, 200, "{made}");
    }
    assert_eq!(get(&stage, &acme, &format!("/{id}/owned_pages")).await.0, 400);
}

#[tokio::test]
async fn what_is_granted_adds_up_and_what_is_declined_is_taken_away() {
    const OTHERS: &str = "pages_show_list,instagram_basic,instagram_content_publish";
    let stage = stage().await;
    let client = connect_as(&stage, &[("decision", "allow"), ("pages", "acme.cafe")]).await;
    let [(cafe, token)] = client.pages.as_slice() else { panic!("one Page was picked") };
    let granted = async || {
        let (_, body) = get(&stage, &client.person, "/me/permissions").await;
        let rows = body["data"].as_array().unwrap().clone();
        let rows = rows.into_iter().filter(|it| it["status"] == "granted");
        rows.map(|it| it["permission"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let pages = async || {
        let (_, first) = get(&stage, &client.person, "/me/accounts?fields=id").await;
        let more = first["paging"]["next"].is_string();
        (first["data"][0]["id"].as_str().unwrap().to_owned(), more)
    };
    // The same person and app, for Instagram and another Page: the first connection goes on.
    consent_to(&stage, OTHERS, &[("decision", "allow"), ("pages", "acme")]).await;
    assert_eq!(granted().await.len(), 6, "{:?}", granted().await);
    assert!(pages().await.1, "both Pages are open now");
    let (status, body) = post(&stage, token, &format!("/{cafe}/feed"), &json!({ "message": "x" })).await;
    assert_eq!(status, 200, "{body}");
    // Asked for the same again, the new choice counts, and no other.
    consent_to(&stage, OTHERS, &[("decision", "allow"), ("pages", "acme.cafe")]).await;
    assert_eq!(pages().await, (cafe.clone(), false));
    // What is declined this time is gone.
    let less = [("decision", "allow"), ("pages", "acme.cafe"), ("scope", "pages_show_list")];
    consent_to(&stage, OTHERS, &less).await;
    let left = granted().await;
    assert!(!left.iter().any(|it| it.starts_with("instagram")) && left.len() == 4, "{left:?}");
}

#[tokio::test]
async fn a_code_works_once_and_only_with_secret_and_address() {
    let stage = stage().await;
    let code = consent(&stage, &[("decision", "allow")]).await;
    let (status, body) = token(&stage, &[("redirect_uri", "https://evil.example/"), ("code", &code)]).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!(100)));
    let (_, body) = token(&stage, &[("redirect_uri", REDIRECT), ("code", &code)]).await;
    assert_eq!(body["error"]["error_subcode"], 36_009, "burnt by the first arrival: {body}");
    let url = format!("{}/facebook/v26.0/oauth/access_token?client_secret={SECRET}", stage.url);
    assert_eq!(read(stage.http.get(url).send().await.unwrap()).await.0, 400);
    assert!(stage.last_refusal().contains("not in an address"));
}

#[tokio::test]
async fn a_call_without_proof_with_a_token_in_its_address_or_an_odd_parameter_is_refused() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let feed = format!("{}/facebook/v26.0/{page}/feed", stage.url);
    let bare = stage.http.post(&feed).bearer_auth(token).json(&json!({ "message": "x" }));
    assert_eq!(read(bare.send().await.unwrap()).await.0, 400);
    assert!(stage.last_refusal().contains("appsecret_proof"));
    let named = format!("{feed}?access_token={token}&appsecret_proof={}", proof(token));
    assert_eq!(
        read(stage.http.post(named).json(&json!({ "message": "x" })).send().await.unwrap()).await.0,
        400
    );
    assert!(stage.last_refusal().contains("never in an address"));
    let (status, _) =
        post(&stage, token, &format!("/{page}/feed"), &json!({ "message": "x", "odd": 1 })).await;
    assert_eq!(status, 400);
    assert!(stage.last_refusal().contains("odd"));
    let person = post(&stage, &client.person, &format!("/{page}/feed"), &json!({ "message": "x" })).await;
    assert_eq!(person.1["error"]["error_subcode"], 2_069_032, "{}", person.1);
    let old = url(&stage, &format!("/{page}"), token).replace("v26.0", "v3.0");
    assert_eq!(
        read(stage.http.get(old).bearer_auth(token).send().await.unwrap()).await.1["error"]["code"],
        2635
    );
    assert!(stage.running.published().is_empty());
}

#[tokio::test]
async fn posts_are_listed_commented_edited_and_deleted() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let first = photo(&stage, token, page).await;
    let body = json!({ "message": "A loaf", "attached_media": [{ "media_fbid": first }] });
    let (status, made) = post(&stage, token, &format!("/{page}/feed?fields=id,permalink_url"), &body).await;
    assert_eq!(status, 200, "{made}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(post(&stage, token, &format!("/{page}/feed"), &body).await.1["error"]["code"], 1_366_051);
    let list = format!("/{page}/published_posts?fields=id,message,created_time,attachments&limit=10");
    let (_, listed) = get(&stage, token, &list).await;
    assert_eq!(listed["data"][0]["attachments"]["data"][0]["target"]["id"], json!(first), "{listed}");
    let (_, comment) = post(&stage, token, &format!("/{id}/comments"), &json!({ "message": "First" })).await;
    let (_, comments) = get(&stage, token, &format!("/{id}/comments?fields=id,message,from")).await;
    assert_eq!(comments["data"][0]["id"], comment["id"]);
    assert_eq!(post(&stage, token, &format!("/{id}"), &json!({ "message": "Two" })).await.0, 200);
    assert_eq!(delete(&stage, token, &format!("/{id}")).await.1, json!({ "success": true }));
    let (status, gone) = delete(&stage, token, &format!("/{id}")).await;
    assert_eq!((status, &gone["error"]["error_subcode"]), (400, &json!(33)));
    let page_of_posts = stage.http.get(format!("{}/facebook", stage.url)).send().await.unwrap().text().await;
    let shown = page_of_posts.unwrap();
    assert!(shown.contains("Two") && shown.contains("a dot") && shown.contains("deleted"), "{shown}");
}

#[tokio::test]
async fn a_post_takes_no_link_to_facebook_and_no_photo_but_jpeg_and_png() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let feed = format!("/{page}/feed");
    for (link, want) in [
        ("https://www.facebook.com/acme", Some(1_609_008)),
        ("https://facebook.com", Some(1_609_008)),
        ("https://notfacebook.com/acme", None),
    ] {
        let (_, said) = post(&stage, token, &feed, &json!({ "message": link, "link": link })).await;
        assert_eq!(said["error"]["error_subcode"].as_u64(), want, "{said}");
    }
    for (format, want) in [
        (image::ImageFormat::Gif, Some(1_366_046)),
        (image::ImageFormat::Bmp, Some(1_366_046)),
        (image::ImageFormat::Tiff, Some(1_366_046)),
        (image::ImageFormat::Jpeg, None),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let dot = image::DynamicImage::ImageRgb8(image::RgbImage::new(4, 4));
        // The image library here writes no more formats than the product reads.
        let bytes = match format {
            image::ImageFormat::Bmp => b"BM\x3a\0\0\0".to_vec(),
            image::ImageFormat::Tiff => b"II*\0\x08\0\0\0\0\0\0\0".to_vec(),
            format => {
                dot.write_to(&mut bytes, format).unwrap();
                bytes.into_inner()
            }
        };
        let id = photo_of(&stage, token, page, bytes).await;
        let body = json!({ "message": format!("{format:?}"), "attached_media": [{ "media_fbid": id }] });
        let (_, said) = post(&stage, token, &feed, &body).await;
        assert_eq!(said["error"]["error_subcode"].as_u64(), want, "{format:?}: {said}");
        if want.is_some() {
            let (status, said) =
                post(&stage, token, &format!("/{page}/photo_stories"), &json!({ "photo_id": id })).await;
            assert_eq!(status, 200, "a story takes it: {said}");
        }
    }
}

#[tokio::test]
async fn the_same_words_again_are_a_duplicate_and_a_field_that_does_not_exist_fails_the_call() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let body = json!({ "message": "Once" });
    assert_eq!(post(&stage, token, &format!("/{page}/feed"), &body).await.0, 200);
    assert_eq!(post(&stage, token, &format!("/{page}/feed"), &body).await.1["error"]["code"], 506);
    stage.clock.forward(601);
    assert_eq!(post(&stage, token, &format!("/{page}/feed"), &body).await.0, 200);
    let (status, _) = get(&stage, token, &format!("/{page}/published_posts?fields=id,invented")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_reel_takes_its_bytes_at_the_upload_host_and_is_public_once() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let reels = format!("/{page}/video_reels");
    let (_, start) = post(&stage, token, &reels, &json!({ "upload_phase": "start" })).await;
    let (id, address) = (start["video_id"].as_str().unwrap(), start["upload_url"].as_str().unwrap());
    let finish = json!({ "upload_phase": "finish", "video_id": id, "video_state": "PUBLISHED", "description": "Reel" });
    assert_eq!(post(&stage, token, &reels, &finish).await.0, 400, "nothing has arrived yet");
    let send = |scheme: &str| {
        let request = stage.http.post(address).header("authorization", format!("{scheme} {token}"));
        request.header("offset", "0").header("file_size", film().len()).body(film()).send()
    };
    assert_eq!(send("Bearer").await.unwrap().status(), 400);
    assert_eq!(send("OAuth").await.unwrap().status(), 200);
    for _ in 0..2 {
        assert_eq!(post(&stage, token, &reels, &finish).await.1, json!({ "success": true }));
    }
    let status = format!("/{id}?fields=status,published,post_id,permalink_url");
    let phase = |body: &Value| body["status"]["publishing_phase"]["publish_status"].clone();
    assert_eq!(phase(&get(&stage, token, &status).await.1), Value::Null, "it is being worked on");
    assert_eq!(phase(&get(&stage, token, &status).await.1), "published");
    assert_eq!(stage.running.published().len(), 1);
    let (_, listed) = get(&stage, token, &format!("/{page}/published_posts")).await;
    assert_eq!(listed["data"], json!([]), "reels are in no list");
    let page = stage.http.get(format!("{}/facebook", stage.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("<video src=\"/facebook/media/{id}\"")), "{page}");
    let shown = stage.http.get(format!("{}/facebook/media/{id}", stage.url)).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "video/mp4");
    assert_eq!(shown.bytes().await.unwrap(), film());
}

#[tokio::test]
async fn a_video_comes_in_pieces_and_a_wrong_offset_names_the_right_one() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let videos = format!("/{page}/videos");
    let start = json!({ "upload_phase": "start", "file_size": film().len() });
    let (_, begun) = post(&stage, token, &videos, &start).await;
    let session = begun["upload_session_id"].as_str().unwrap().to_owned();
    let send = async |offset: usize, bytes: &[u8]| {
        let form = Form::new()
            .text("upload_phase", "transfer")
            .text("upload_session_id", session.clone())
            .text("start_offset", offset.to_string())
            .part("video_file_chunk", Part::bytes(bytes.to_vec()).file_name("c"));
        let request = stage.http.post(url(&stage, &videos, token)).bearer_auth(token);
        read(request.multipart(form).send().await.unwrap()).await.1
    };
    assert_eq!(send(0, &film()[..10]).await["start_offset"], "10");
    let wrong = send(0, &film()[..10]).await;
    assert_eq!(wrong["error"]["error_data"]["start_offset"], "10", "{wrong}");
    let last = send(10, &film()[10..]).await;
    assert_eq!(last["start_offset"], last["end_offset"]);
    let finish = json!({ "upload_phase": "finish", "upload_session_id": session, "published": true, "description": "Film" });
    assert_eq!(post(&stage, token, &videos, &finish).await.1, json!({ "success": true }));
    assert_eq!(stage.running.published()[0].text, "Film");
}

#[tokio::test]
async fn taking_back_the_consent_ends_every_token_of_the_person() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let me = get(&stage, &client.person, "/me").await.1["id"].as_str().unwrap().to_owned();
    assert_eq!(
        delete(&stage, &client.person, &format!("/{me}/permissions")).await.1,
        json!({ "success": true })
    );
    for (page, token) in &client.pages {
        let (_, body) = get(&stage, token, &format!("/{page}/published_posts")).await;
        assert_eq!((&body["error"]["code"], &body["error"]["error_subcode"]), (&json!(190), &json!(458)));
    }
}

#[tokio::test]
async fn a_lie_of_the_network_is_an_error_behind_a_post_that_is_there() {
    let stage = stage_with("facebook.feed=500_after,facebook.photo=429").await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let (status, body) = post(&stage, token, &format!("/{page}/feed"), &json!({ "message": "There" })).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!(2)));
    assert_eq!(stage.running.published().len(), 1);
    let limited = stage.http.post(url(&stage, &format!("/{page}/photos"), token)).bearer_auth(token);
    let limited = limited.send().await.unwrap();
    assert!(limited.headers().contains_key("x-business-use-case-usage"));
    assert_eq!(read(limited).await.1["error"]["code"], 80_001);
}

#[tokio::test]
async fn an_upload_that_broke_off_is_there_to_half_and_goes_on_from_nowhere_else() {
    let stage = stage_with("facebook.upload=partial,facebook.upload=debug_info").await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let reels = format!("/{page}/video_reels");
    let (_, start) = post(&stage, token, &reels, &json!({ "upload_phase": "start" })).await;
    let (id, address) = (start["video_id"].as_str().unwrap(), start["upload_url"].as_str().unwrap());
    let (all, half) = (film(), film().len() / 2);
    let send = |offset: usize, bytes: &[u8]| {
        let request = stage.http.post(address).header("authorization", format!("OAuth {token}"));
        request.header("offset", offset).header("file_size", all.len()).body(bytes.to_vec()).send()
    };
    assert!(send(0, &all).await.is_err(), "the connection broke");
    let (_, said) = get(&stage, token, &format!("/{id}?fields=status")).await;
    assert_eq!(said["status"]["uploading_phase"]["bytes_transfered"], half, "{said}");
    let (status, said) = read(send(half, &all[half..]).await.unwrap()).await;
    assert_eq!((status, &said["debug_info"]["retriable"]), (200, &json!(true)), "an error may come with 200");
    let (status, said) = read(send(0, &all).await.unwrap()).await;
    assert_eq!((status, &said["debug_info"]["type"]), (400, &json!("OffsetInvalidError")));
    let (_, said) = read(send(half, &all[half..half + 10]).await.unwrap()).await;
    assert_eq!(said["debug_info"]["type"], "PartialRequestError");
    assert_eq!(read(send(half + 10, &all[half + 10..]).await.unwrap()).await.1, json!({ "success": true }));
}

#[tokio::test]
async fn what_is_no_reel_is_found_out_while_it_is_worked_on() {
    let stage = stage().await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    let shape = film::Shape { width: 1080, height: 1920, ..film::Shape::default() };
    for (bytes, want) in [
        (film::film(film::Shape { ms: 2_000, ..shape }), Some(1_363_128)),
        (film::film(film::Shape { ms: 91_000, ..shape }), Some(1_363_128)),
        (film::film(film::Shape { width: 400, ..shape }), Some(1_363_127)),
        (film::film(film::Shape { width: 1920, height: 1080, ..shape }), Some(1_363_040)),
        (film::begin(shape), Some(1_363_040)),
        (film::film(film::Shape { ms: 10_000, samples: 239, ..shape }), Some(1_363_129)),
        (film::film(film::Shape { ms: 10_000, samples: 601, ..shape }), Some(1_363_129)),
        (film::film(film::Shape { ms: 10_000, samples: 240, ..shape }), None),
        (film::film(film::Shape { width: 1920, height: 1080, turned: true, ..shape }), None),
    ] {
        let reels = format!("/{page}/video_reels");
        let (_, start) = post(&stage, token, &reels, &json!({ "upload_phase": "start" })).await;
        let (id, address) = (start["video_id"].as_str().unwrap(), start["upload_url"].as_str().unwrap());
        let request = stage.http.post(address).header("authorization", format!("OAuth {token}"));
        let request = request.header("offset", 0).header("file_size", bytes.len()).body(bytes);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let finish = json!({ "upload_phase": "finish", "video_id": id, "video_state": "PUBLISHED" });
        assert_eq!(post(&stage, token, &reels, &finish).await.0, 200);
        let status = format!("/{id}?fields=status");
        get(&stage, token, &status).await;
        let (_, said) = get(&stage, token, &status).await;
        let code = said["status"]["processing_phase"]["error"]["code"].as_u64();
        assert_eq!(code, want, "{said}");
    }
}

#[tokio::test]
async fn a_list_may_lag_and_a_video_may_say_that_it_ended() {
    let stage = stage_with("facebook.posts=lags,facebook.get=says_expired").await;
    let client = connect(&stage).await;
    let (page, token) = &client.pages[0];
    post(&stage, token, &format!("/{page}/feed"), &json!({ "message": "There" })).await;
    let posts = format!("/{page}/published_posts");
    assert_eq!(get(&stage, token, &posts).await.1["data"], json!([]));
    assert_eq!(get(&stage, token, &posts).await.1["data"].as_array().unwrap().len(), 1);
    let start = json!({ "upload_phase": "start" });
    let (_, video) = post(&stage, token, &format!("/{page}/video_reels"), &start).await;
    let status = format!("/{}?fields=status", video["video_id"].as_str().unwrap());
    assert_eq!(get(&stage, token, &status).await.1["status"]["video_status"], "expired");
    assert_eq!(get(&stage, token, &status).await.1["status"]["video_status"], "processing");
}
