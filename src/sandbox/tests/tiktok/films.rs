//! What becomes of a film that is all there: held to the rules, or failed on order.

use serde_json::json;

use super::super::film::{Shape, film};
use super::super::{Stage, stage, stage_with};
use super::{FILM, access, begin, direct, file, put, state};

/// A film that goes whole to the inbox.
async fn inbox(stage: &Stage, token: &str, film: &[u8]) -> String {
    let size = film.len() as u64;
    let body = json!({ "source_info": file(size, size, 1) });
    let (task, url) = begin(stage, token, "post/publish/inbox/video/init/", &body).await;
    let range = format!("bytes 0-{}/{size}", size - 1);
    assert_eq!(put(stage, &url, film, &range).await.0, 201);
    task
}

#[tokio::test]
async fn a_film_is_held_to_the_rules_of_its_length_its_rate_and_its_sides() {
    let stage = stage().await;
    let good = Shape { width: 720, height: 1280, ..Shape::default() };
    for (shape, end) in [
        (good, None),
        (Shape { ms: 600_000, samples: 18_000, ..good }, None),
        (Shape { ms: 600_001, samples: 18_000, ..good }, Some("duration_check_failed")),
        (Shape { samples: 220, ..good }, Some("frame_rate_check_failed")),
        (Shape { samples: 610, ..good }, Some("frame_rate_check_failed")),
        (Shape { width: 359, ..good }, Some("picture_size_check_failed")),
        (Shape { height: 4_097, ..good }, Some("picture_size_check_failed")),
    ] {
        // Past the limits of a minute and of a day, and past the token's life.
        stage.clock.forward(86_400);
        let token = access(&stage).await;
        let task = inbox(&stage, &token, &film(shape)).await;
        state(&stage, &token, &task).await;
        let done = state(&stage, &token, &task).await;
        assert_eq!(done["fail_reason"].as_str(), end, "{done}");
    }
    // The account's own limit is that of direct posts.
    let token = access(&stage).await;
    let long = film(Shape { ms: 300_001, samples: 9_000, ..good });
    let size = long.len() as u64;
    let mut body = direct("SELF_ONLY", "x");
    body["source_info"] = file(size, size, 1);
    let (task, url) = begin(&stage, &token, "post/publish/video/init/", &body).await;
    put(&stage, &url, &long, &format!("bytes 0-{}/{size}", size - 1)).await;
    state(&stage, &token, &task).await;
    assert_eq!(state(&stage, &token, &task).await["fail_reason"], "duration_check_failed");
}

#[tokio::test]
async fn a_film_for_the_inbox_which_bears_no_words_fails_on_order_too() {
    let stage = stage_with("tiktok.status=fail:auth_removed").await;
    let token = access(&stage).await;
    let size = FILM.len() as u64;
    let body = json!({ "source_info": file(size, size, 1) });
    let (task, _) = begin(&stage, &token, "post/publish/inbox/video/init/", &body).await;
    assert_eq!(state(&stage, &token, &task).await["status"], "PROCESSING_UPLOAD", "it waits for its bytes");
    let task = inbox(&stage, &token, &FILM).await;
    state(&stage, &token, &task).await;
    let done = state(&stage, &token, &task).await;
    assert_eq!((&done["status"], &done["fail_reason"]), (&json!("FAILED"), &json!("auth_removed")));
    assert_eq!(stage.running.published(), []);
    let next = inbox(&stage, &token, &FILM).await;
    state(&stage, &token, &next).await;
    assert_eq!(state(&stage, &token, &next).await["status"], "SEND_TO_USER_INBOX", "one alone");
    for unfit in ["tiktok.init=fail:internal", "tiktok.status=fail:busy", "x.create=error:invalid_request"] {
        assert!(unfit.parse::<crate::sandbox::Faults>().is_err(), "{unfit}");
    }
}
