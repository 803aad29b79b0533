//! Faults on order: what the client sees, and whether the post is there afterwards.

use serde_json::json;

use super::x::{connect, create, get};
use super::{Stage, read, stage_with};
use crate::sandbox::{Faults, FaultsError};

async fn attempt(stage: &Stage, access: &str, text: &str) -> reqwest::Result<(u16, String)> {
    let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(access);
    let answer = request.json(&json!({ "text": text })).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn lost_before_hangs_up_and_leaves_nothing_behind() {
    let stage = stage_with("x.create=lost_before*2").await;
    let grant = connect(&stage).await;
    for _ in 0..2 {
        assert!(attempt(&stage, &grant.access, "a").await.is_err());
        assert_eq!(stage.running.published(), []);
    }
    assert_eq!(attempt(&stage, &grant.access, "a").await.unwrap().0, 201);
}

#[tokio::test]
async fn lost_after_hangs_up_and_the_post_is_there() {
    let stage = stage_with("x.create=lost_after").await;
    let grant = connect(&stage).await;
    // A refusal takes no effect, so it does not spend the fault.
    assert_eq!(attempt(&stage, &grant.access, "").await.unwrap().0, 400);
    assert!(attempt(&stage, &grant.access, "a").await.is_err());
    assert_eq!(stage.running.published().len(), 1);
    assert_eq!(attempt(&stage, &grant.access, "a").await.unwrap().0, 403);
}

#[tokio::test]
async fn a_500_after_the_effect_and_a_429_without_one() {
    let stage = stage_with("x.create=500_after, x.create=429").await;
    let grant = connect(&stage).await;
    assert_eq!(attempt(&stage, &grant.access, "a").await.unwrap().0, 500);
    assert_eq!(stage.running.published().len(), 1);
    assert_eq!(create(&stage, &grant, &json!({ "text": "b" })).await.0, 429);
    assert_eq!(stage.running.published().len(), 1);
    assert_eq!(stage.running.refusals(), []);
}

#[tokio::test]
async fn a_truncated_answer_breaks_off_and_a_slow_one_comes_whole() {
    let stage = stage_with("x.create=truncate,x.me=slow").await;
    let grant = connect(&stage).await;
    let request = stage.http.post(format!("{}/x/2/tweets", stage.url)).bearer_auth(&grant.access);
    let mut answer = request.json(&json!({ "text": "a" })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let announced = answer.content_length().unwrap();
    let mut got = 0;
    let broke = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => got += chunk.len() as u64,
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke && got < announced, "{got} of {announced}");
    assert_eq!(stage.running.published().len(), 1);

    let request = stage.http.get(format!("{}/x/2/users/me", stage.url)).bearer_auth(&grant.access);
    let mut answer = request.send().await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        chunks.push(chunk);
    }
    assert!(chunks.len() > 1, "{} chunks", chunks.len());
    let whole: serde_json::Value = serde_json::from_slice(&chunks.concat()).unwrap();
    assert_eq!(whole, get(&stage, &grant, "users/me").await.1);
}

#[tokio::test]
async fn bluesky_has_its_own_shapes_of_the_same_faults_and_more_can_be_added() {
    let stage = stage_with("bluesky.resolve=429").await;
    let url = format!("{}/xrpc/com.atproto.identity.resolveHandle?handle=acme.test", stage.url);
    let answer = stage.http.get(&url).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "300");
    assert_eq!(read(answer).await.1["error"], "RateLimitExceeded");
    stage.running.inject("bluesky.resolve=500_after".parse().unwrap());
    let (status, body) = read(stage.http.get(&url).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]), (500, &json!("InternalServerError")));
    assert_eq!(stage.http.get(&url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_error_comes_by_its_code_in_the_shape_of_its_network() {
    let spec = "facebook.feed=error:368.1390008,instagram.publish=error:9/403,\
                linkedin.create=error:ACCESS_DENIED/403,tiktok.init=error:spam_risk_user_banned_from_posting/403,\
                bluesky.put=error:InvalidSwap";
    let stage = stage_with(spec).await;
    let call =
        async |path: &str| read(stage.http.post(format!("{}{path}", stage.url)).send().await.unwrap()).await;
    let (status, body) = call("/facebook/v25.0/106512003000/feed").await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["error_subcode"]),
        (400, &json!(368), &json!(1_390_008))
    );
    let (status, body) = call("/instagram/v25.0/17841400000000001/media_publish").await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["error_subcode"]),
        (403, &json!(9), &json!(null))
    );
    let (status, body) = call("/linkedin/rest/posts").await;
    assert_eq!((status, &body["code"], &body["status"]), (403, &json!("ACCESS_DENIED"), &json!(403)));
    let (status, body) = call("/tiktok/v2/post/publish/video/init/").await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("spam_risk_user_banned_from_posting")));
    let (status, body) = call("/xrpc/com.atproto.repo.putRecord").await;
    assert_eq!((status, &body["error"]), (400, &json!("InvalidSwap")));
    assert_eq!(stage.running.published(), []);
}

#[test]
fn an_order_that_says_nothing_we_can_do_is_refused_with_what_we_can() {
    let error = |spec: &str| spec.parse::<Faults>().unwrap_err();
    assert_eq!(error("x.create"), FaultsError::Shape("x.create".to_owned()));
    assert!(error("x.fly=slow").to_string().contains("x.create"));
    assert!(error("x.create=explode").to_string().contains("lost_before"));
    for times in ["0", "-1", "many", ""] {
        assert_eq!(error(&format!("x.create=slow*{times}")), FaultsError::Times(times.to_owned()));
    }
    for unfit in
        ["x.create=error:90", "facebook.feed=error:busy", "tiktok.init=error:", "tiktok.init=error:a/700"]
    {
        assert!(matches!(error(unfit), FaultsError::Kind { .. }), "{unfit}");
    }
    assert!("".parse::<Faults>().unwrap().waiting("x.create").is_none());
}

#[test]
fn what_a_route_does_not_have_is_answered_with_what_it_has() {
    let wrong = |spec: &str| spec.parse::<Faults>().unwrap_err();
    let error = wrong("facebook.feed=too_fresh");
    let said = error.to_string();
    let (front, known) = said.split_once("; known there are ").unwrap();
    assert_eq!(front, "unknown fault `too_fresh` at `facebook.feed`");
    assert!(
        !known.contains("too_fresh") && !known.contains("fail:") && known.contains("lost_after"),
        "{known}"
    );
    for name in known.split(';').next().unwrap().split(", ") {
        assert!(format!("facebook.feed={name}").parse::<Faults>().is_ok(), "{name}");
    }
    assert!(wrong("linkedin.userinfo=nothing").to_string().contains("too_fresh"));
    assert!(wrong("tiktok.status=nothing").to_string().contains("`fail:`"));
    assert_eq!(error.hint(), "write e.g. `facebook.feed=lost_after`");
    let error = wrong("facebook.fed=lost_after");
    assert!(error.to_string().contains("unknown route `facebook.fed`"), "{error}");
    assert!(error.hint().contains("`facebook."), "{}", error.hint());
    for spec in ["x.create", "x.create=lost_after*0", "nowhere=429"] {
        let hint = wrong(spec).hint();
        let example = hint.split('`').nth(1).unwrap();
        let example = if example.contains('=') { example.to_owned() } else { format!("{example}=429") };
        assert!(example.parse::<Faults>().is_ok(), "{hint}");
    }
}
