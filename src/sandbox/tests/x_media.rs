//! X's files, polls and disclosures: what the stand-in takes, shows and refuses.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::x::{connect, connect_as, create, get, upload};
use super::{PNG, Stage, film, read, stage, stage_with};

const SCOPES: &str = super::x::SCOPES;

fn film_of(ms: u32, width: u32, height: u32) -> Vec<u8> {
    film::film(film::Shape { width, height, ms, ..film::Shape::default() })
}

async fn call(stage: &Stage, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = stage.http.post(format!("{}/x/2/media/{path}", stage.url)).bearer_auth(token);
    read(request.json(body).send().await.unwrap()).await
}

async fn piece(stage: &Stage, token: &str, id: &str, index: usize, bytes: Vec<u8>) -> u16 {
    let form = Form::new()
        .text("segment_index", index.to_string())
        .part("media", Part::bytes(bytes).file_name("blob"));
    let request = stage.http.post(format!("{}/x/2/media/upload/{id}/append", stage.url)).bearer_auth(token);
    request.multipart(form).send().await.unwrap().status().as_u16()
}

async fn begun(stage: &Stage, token: &str, kind: &str, category: &str, total: usize) -> String {
    let about = json!({ "media_type": kind, "total_bytes": total, "media_category": category });
    let (status, body) = call(stage, token, "upload/initialize", &about).await;
    assert_eq!(status, 200, "{body}");
    body["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pieces_come_in_order_once_and_not_too_large() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    let id = begun(&stage, &acme.access, "video/mp4", "tweet_video", 3).await;
    assert_eq!(piece(&stage, &alice.access, &id, 0, vec![0]).await, 403, "somebody else's");
    assert_eq!(piece(&stage, &acme.access, &id, 1, vec![0]).await, 400, "not yet");
    assert_eq!(piece(&stage, &acme.access, &id, 0, vec![0]).await, 200);
    assert_eq!(piece(&stage, &acme.access, &id, 0, vec![0]).await, 400, "twice");
    assert_eq!(piece(&stage, &acme.access, &id, 1, vec![0; 1_048_577]).await, 413);
    assert_eq!(piece(&stage, &acme.access, &id, 1, vec![0; 3]).await, 400, "more than announced");
    for about in [
        json!({ "media_type": "video/mp4", "total_bytes": 3, "media_category": "tweet_image" }),
        json!({ "media_type": "image/gif", "total_bytes": 15_728_641, "media_category": "tweet_gif" }),
        json!({ "media_type": "image/png", "total_bytes": 5_242_881, "media_category": "tweet_image" }),
        json!({ "media_type": "video/mp4", "total_bytes": 536_870_913, "media_category": "tweet_video" }),
        json!({ "media_type": "video/mp4", "total_bytes": 3, "media_category": "tweet_video", "size": 3 }),
        json!({ "media_type": "video/mp4", "total_bytes": "3", "media_category": "tweet_video" }),
    ] {
        assert_eq!(call(&stage, &acme.access, "upload/initialize", &about).await.0, 400, "{about}");
    }
}

#[tokio::test]
async fn a_description_has_a_thousand_characters_and_is_for_ones_own_files() {
    let stage = stage().await;
    let (acme, alice) = (connect(&stage).await, connect_as(&stage, "alice", SCOPES).await);
    let (_, file) = upload(&stage, &acme, PNG).await;
    let id = &file["data"]["id"];
    let about = |text: &str| json!({ "id": id, "metadata": { "alt_text": { "text": text } } });
    assert_eq!(call(&stage, &acme.access, "metadata", &about(&"ä".repeat(1000))).await.0, 200);
    assert_eq!(call(&stage, &acme.access, "metadata", &about(&"ä".repeat(1001))).await.0, 400);
    assert_eq!(call(&stage, &alice.access, "metadata", &about("a")).await.0, 403);
    let odd = json!({ "id": id, "metadata": { "alt": { "text": "a" } } });
    assert_eq!(call(&stage, &acme.access, "metadata", &odd).await.0, 400);
}

#[tokio::test]
async fn polls_disclosures_and_communities_are_taken_and_shown() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    let poll = |options: &Value, minutes: i64| json!({ "text": "which?", "poll": { "options": options, "duration_minutes": minutes } });
    for body in [
        poll(&json!(["a"]), 5),
        poll(&json!(["a", "b", "c", "d", "e"]), 5),
        poll(&json!(["a", "x".repeat(26)]), 5),
        poll(&json!(["a", ""]), 5),
        poll(&json!(["a", "b"]), 4),
        poll(&json!(["a", "b"]), 10_081),
        json!({ "text": "", "poll": { "options": ["a", "b"], "duration_minutes": 5 } }),
        json!({ "text": "a", "made_with_ai": "true" }),
        json!({ "text": "a", "share_with_followers": true }),
    ] {
        assert_eq!(create(&stage, &grant, &body).await.0, 400, "{body}");
    }
    let foreign = json!({ "text": "a", "community_id": "15" });
    assert_eq!(create(&stage, &grant, &foreign).await.0, 403);
    let body = json!({ "text": "which?", "made_with_ai": true, "paid_partnership": true,
        "community_id": "1500000000000000001", "share_with_followers": true,
        "poll": { "options": ["a", "b & c"], "duration_minutes": 10_080 } });
    assert_eq!(create(&stage, &grant, &body).await.0, 201);
    let page = stage.http.get(format!("{}/x", stage.url)).send().await.unwrap().text().await.unwrap();
    let shown = "poll: a / b &amp; c (10080 min) · made with AI · paid partnership · to community \
                 1500000000000000001, and to followers";
    assert!(page.contains(shown), "{page}");
}

#[tokio::test]
async fn each_documented_error_can_be_had_and_is_nobodys_fault() {
    for (name, status) in [
        ("unauthorized", 401),
        ("credits", 402),
        ("credits_depleted", 402),
        ("client_forbidden", 403),
        ("usage_capped", 403),
        ("unsupported_authentication", 403),
        ("not_permitted", 403),
        ("reply_refused", 403),
        ("reply_gone", 403),
        ("duplicate", 403),
        ("invalid", 400),
        ("media_invalid", 400),
        ("too_large", 413),
        ("not_found", 404),
        ("unavailable", 503),
    ] {
        let stage = stage_with(&format!("x.create={name}")).await;
        let grant = connect(&stage).await;
        let body = json!({ "text": "a" });
        let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&grant.access);
        assert_eq!(request.json(&body).send().await.unwrap().status(), status, "{name}");
        assert_eq!((stage.running.published().len(), stage.running.refusals().len()), (0, 0), "{name}");
        assert_eq!(create(&stage, &grant, &body).await.0, 201, "once");
    }
    assert!("facebook.feed=credits".parse::<crate::sandbox::Faults>().is_err(), "X's alone");
}

/// A GIF of so many pictures on a canvas of this size.
fn gif_of(frames: usize, width: u32, height: u32) -> Vec<u8> {
    let picture = |_| image::Frame::new(image::RgbaImage::new(8, 8));
    let mut out = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut out, 30);
    encoder.encode_frames((0..frames).map(picture)).unwrap();
    drop(encoder);
    // Its canvas; the pictures themselves stay small.
    let canvas = [width, height].map(|it| u16::try_from(it).unwrap().to_le_bytes()).concat();
    out[6..10].copy_from_slice(&canvas);
    out
}

#[tokio::test]
async fn an_animation_has_so_many_frames_and_pixels_and_no_more() {
    let stage = stage().await;
    let grant = connect(&stage).await;
    for (gif, why) in [
        (gif_of(350, 8, 8), None),
        (gif_of(351, 8, 8), Some("the GIF has more than 350 frames")),
        (gif_of(2, 1281, 8), Some("the dimensions are over 1280×1080")),
        (gif_of(2, 8, 1081), Some("the dimensions are over 1280×1080")),
        // 217 pictures of the largest size, less a line.
        (gif_of(218, 1280, 1079), Some("width × height × frames is over 300 million")),
        (gif_of(217, 1280, 1079), None),
    ] {
        let id = begun(&stage, &grant.access, "image/gif", "tweet_gif", gif.len()).await;
        for (n, bytes) in gif.chunks(1_048_576).enumerate() {
            assert_eq!(piece(&stage, &grant.access, &id, n, bytes.to_vec()).await, 200);
        }
        let (status, body) = call(&stage, &grant.access, &format!("upload/{id}/finalize"), &json!({})).await;
        let state = &body["data"]["processing_info"]["state"];
        assert_eq!((status, state.is_null()), (200, why.is_none()), "{why:?}: {body}");
        if let Some(why) = why {
            stage.clock.forward(3);
            let (_, body) = get(&stage, &grant, &format!("media/upload?command=STATUS&media_id={id}")).await;
            let info = &body["data"]["processing_info"];
            assert_eq!((&info["state"], &info["error"]["message"]), (&"failed".into(), &why.into()));
        }
        // The same in one request.
        let form = Form::new().text("media_category", "tweet_gif");
        let form = form.part("media", Part::bytes(gif).file_name("a.gif"));
        let request = stage.http.post(format!("{}/x/2/media/upload", stage.url)).bearer_auth(&grant.access);
        let (status, body) = read(request.multipart(form).send().await.unwrap()).await;
        assert_eq!(status, if why.is_none() { 200 } else { 400 }, "{body}");
        let said = body.to_string();
        assert!(why.is_none_or(|why| said.contains(why)), "{said}");
    }
}

#[tokio::test]
async fn a_film_that_x_would_not_show_fails_when_it_is_worked_on_and_so_does_one_on_order() {
    let stage = stage_with("x.status=processing_failed").await;
    let grant = connect(&stage).await;
    let good = film_of(10_000, 720, 1280);
    let long = film_of(141_000, 720, 1280);
    let wide = film_of(10_000, 1280, 400);
    let shape = film::Shape { width: 720, height: 1280, ms: 10_000, ..film::Shape::default() };
    let fast = film::film(film::Shape { samples: 601, ..shape });
    let broken = film::begin(shape);
    for (film, state) in [
        (&good, "failed"),
        (&good, "succeeded"),
        (&long, "failed"),
        (&wide, "failed"),
        (&fast, "failed"),
        (&broken, "failed"),
    ] {
        let id = begun(&stage, &grant.access, "video/mp4", "tweet_video", film.len()).await;
        assert_eq!(piece(&stage, &grant.access, &id, 0, film.clone()).await, 200);
        let (_, done) = call(&stage, &grant.access, &format!("upload/{id}/finalize"), &json!({})).await;
        assert_eq!(done["data"]["processing_info"]["state"], "pending");
        stage.clock.forward(3);
        let (_, said) = get(&stage, &grant, &format!("media/upload?command=STATUS&media_id={id}")).await;
        assert_eq!(said["data"]["processing_info"]["state"], state, "{said}");
        let attach = json!({ "text": format!("film {id}"), "media": { "media_ids": [id] } });
        let lie = state == "failed" && film == &good;
        let taken = if state == "failed" && !lie { 400 } else { 201 };
        assert_eq!(create(&stage, &grant, &attach).await.0, taken, "{state}");
    }
}
