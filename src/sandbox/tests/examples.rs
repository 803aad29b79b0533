//! Every error that the collected examples of X, LinkedIn and TikTok show can be ordered, and comes as it
//! stands there.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::conformance::document;
use super::{read, stage_with};

/// (example's route, its name) → the order that brings it, and a call that meets it.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const TIKTOK: &[Row] = &[
    (TK, "error_with_http_200", "token=error:invalid_grant/200", "POST", "/v2/oauth/token/"),
    (TK, "error_pkce", "token=error:invalid_request", "POST", "/v2/oauth/token/"),
    (TC, "spam_cap_http_200", "creator=error:spam_risk_too_many_posts/200", "POST", CREATOR),
    (TC, "banned_http_200", "creator=error:spam_risk_user_banned_from_posting/200", "POST", CREATOR),
    (TC, "cap_http_200", "creator=error:reached_active_user_cap/200", "POST", CREATOR),
    (TI, "unaudited", "init=error:unaudited_client_can_only_post_to_private_accounts/403", "POST", INIT),
    (TI, "privacy_mismatch", "init=error:privacy_level_option_mismatch/403", "POST", INIT),
    (TI, "url_unverified", "init=error:url_ownership_unverified/403", "POST", INIT),
    (TI, "spam", "init=error:spam_risk_too_many_posts/403", "POST", INIT),
    (TI, "cap", "init=error:reached_active_user_cap/403", "POST", INIT),
    (TI, "pending_shares", "init=error:spam_risk_too_many_pending_share/403", "POST", INIT),
    (TI, "invalid", "init=error:invalid_param", "POST", INIT),
    (TI, "auth", "init=error:access_token_invalid/401", "POST", INIT),
    (TI, "scope", "init=error:scope_not_authorized/401", "POST", INIT),
    (TI, "rate", "init=429", "POST", INIT),
    (TI, "server", "init=error:internal_error/500", "POST", INIT),
    (TS, "unknown_id", "status=error:invalid_publish_id", "POST", "/v2/post/publish/status/fetch/"),
    ("PUT upload_url", "expired", "chunk=error:expired/403", "PUT", "/upload/video/"),
    ("PUT upload_url", "gone", "chunk=error:gone/404", "PUT", "/upload/video/"),
    ("PUT upload_url", "range", "chunk=error:range/416", "PUT", "/upload/video/"),
];
const TK: &str = "POST /v2/oauth/token/";
const TC: &str = "POST /v2/post/publish/creator_info/query/";
const TI: &str = "POST /v2/post/publish/video/init/";
const TS: &str = "POST /v2/post/publish/status/fetch/";
const CREATOR: &str = "/v2/post/publish/creator_info/query/";
const INIT: &str = "/v2/post/publish/video/init/";

const LINKEDIN: &[Row] = &[
    (
        "POST /oauth/v2/accessToken",
        "invalid_grant",
        "token=error:invalid_request",
        "POST",
        "/oauth/v2/accessToken",
    ),
    (LU, "revoked", "userinfo=revoked", "GET", "/v2/userinfo"),
    (LU, "expired", "userinfo=expired", "GET", "/v2/userinfo"),
    (LU, "invalid", "userinfo=invalid_token", "GET", "/v2/userinfo"),
    (LP, "duplicate", "create=duplicate", "POST", "/rest/posts"),
    (LP, "schema_violation", "create=unknown_field", "POST", "/rest/posts"),
    (LP, "too_long", "create=too_long", "POST", "/rest/posts"),
    (LP, "asset_not_ready", "create=waiting_upload", "POST", "/rest/posts"),
    (LP, "permission", "create=denied", "POST", "/rest/posts"),
    (LP, "version_missing", "create=version_missing", "POST", "/rest/posts"),
    (LP, "version_sunset", "create=sunset", "POST", "/rest/posts"),
    (LP, "rate_limited", "create=429", "POST", "/rest/posts"),
    (LP, "conflict", "create=conflict", "POST", "/rest/posts"),
    (LP, "server_error", "create=server_error", "POST", "/rest/posts"),
];
const LU: &str = "GET /v2/userinfo";
const LP: &str = "POST /rest/posts";

const X: &[Row] = &[
    (XO, "refresh_token_reused_or_invalid", "token=error:invalid_request", "POST", "/2/oauth2/token"),
    (XO, "code_invalid_or_expired", "token=error:invalid_request/400", "POST", "/2/oauth2/token"),
    (XO, "bad_client", "token=error:unauthorized_client/401", "POST", "/2/oauth2/token"),
    ("GET /2/users/me", "unauthorized", "me=unauthorized", "GET", "/2/users/me"),
    ("GET /2/users/me", "wrong_auth_kind", "me=unsupported_authentication", "GET", "/2/users/me"),
    (XP, "duplicate", "create=duplicate", "POST", "/2/tweets"),
    (XP, "not_permitted", "create=not_permitted", "POST", "/2/tweets"),
    (XP, "reply_not_allowed", "create=reply_refused", "POST", "/2/tweets"),
    (XP, "invalid_request", "create=invalid", "POST", "/2/tweets"),
    (XP, "credits_depleted_old", "create=credits", "POST", "/2/tweets"),
    (XP, "credits_depleted_new", "create=credits_depleted", "POST", "/2/tweets"),
    (XP, "rate_limited_window", "create=429", "POST", "/2/tweets"),
    (XP, "rate_limited_daily", "create=daily_limit", "POST", "/2/tweets"),
    (XP, "rate_limited_v1_shape", "create=legacy_limit", "POST", "/2/tweets"),
    (XP, "unavailable", "create=unavailable", "POST", "/2/tweets"),
    ("media v2", "append_chunk_too_big", "append=too_large", "POST", "/2/media/upload/1/append"),
];
const XO: &str = "POST /2/oauth2/token";
const XP: &str = "POST /2/tweets";

/// Ordered at a thing that exists, by tests of their own; or of calls that nobody makes yet.
const ELSEWHERE: &[(&str, &str)] = &[
    (TS, "failed"),
    ("media v2", "status_failed"),
    ("GET /2/tweets metrics", "partial_deleted"),
    ("GET /2/tweets metrics", "private_metrics_too_old"),
];

fn is_error(example: &Value) -> bool {
    let body = &example["body"];
    let error = &body["error"];
    example["status"].as_u64().is_some_and(|it| it >= 400)
        || error.is_string()
        || error["code"].as_str().is_some_and(|it| it != "ok")
        || body["errors"].is_array()
        || body["data"]["status"] == "FAILED"
        || body["data"]["processing_info"]["state"] == "failed"
}

/// What tells one error from another: its words and numbers, and the limits that its head names.
fn marks(body: &Value, heads: &[String]) -> Vec<String> {
    let mut all = heads.to_vec();
    let mut mark = |name: &str, value: &Value| {
        if !value.is_null() {
            all.push(format!("{name} {value}"));
        }
    };
    // OAuth's shape has a word where TikTok's has an object.
    let is_flat = body["error"].is_string();
    mark("OAuth", if is_flat { &body["error"] } else { &Value::Null });
    mark("error", &body["error"]["code"]);
    mark("code", &body["code"]);
    mark("service", &body["serviceErrorCode"]);
    mark("title", &body["title"]);
    mark("code of the first", &body["errors"][0]["code"]);
    let kind = body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    mark("type", &json!(kind));
    if kind == "about:blank" {
        mark("detail", &body["detail"]);
    }
    if body["code"].is_null() && body["serviceErrorCode"].is_null() {
        let words: String = body["message"].as_str().unwrap_or_default().chars().take(24).collect();
        mark("message", &json!(words));
    }
    all.sort();
    all
}

fn limits<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all = names.map(str::to_ascii_lowercase);
    all.filter(|it| it.contains("limit") || it == "content-range").collect()
}

async fn each(network: &str, rows: &[Row]) {
    let Some(examples) = document(&format!("data/{network}-response-examples.json")) else { return };
    let mut left = Vec::new();
    for (route, all) in examples.as_object().unwrap().iter().filter(|it| it.1.is_object()) {
        for (name, example) in all.as_object().unwrap().iter().filter(|it| is_error(it.1)) {
            let row = rows.iter().find(|it| it.0 == route && it.1 == name);
            let Some((_, _, fault, method, path)) = row else {
                if !ELSEWHERE.contains(&(route, name)) {
                    left.push(format!("{route} {name}"));
                }
                continue;
            };
            let stage = stage_with(&format!("{network}.{fault}")).await;
            let url = format!("{}/{network}{path}", stage.url);
            let mut request = stage.http.request(method.parse().unwrap(), url);
            if *method == "PUT" {
                request = request.header("content-range", "bytes 10000000-19999999/50000123").body("x");
            }
            let answer = request.send().await.unwrap();
            let heads: HeaderMap = answer.headers().clone();
            let (status, body) = read(answer).await;
            let what = format!("{network} {route} {name}: {body}");
            assert_eq!(json!(status), example["status"], "{what}");
            let wanted = example["headers"].as_object().into_iter().flatten().map(|it| it.0.as_str());
            let wanted = marks(&example["body"], &limits(wanted));
            assert_eq!(marks(&body, &limits(heads.keys().map(http::HeaderName::as_str))), wanted, "{what}");
            assert_eq!(stage.running.refusals(), [], "nobody's fault: {what}");
        }
    }
    assert_eq!(left, Vec::<String>::new(), "no order brings them");
}

#[tokio::test]
async fn every_error_of_tiktok_that_is_written_down_can_be_ordered() {
    each("tiktok", TIKTOK).await;
}

#[tokio::test]
async fn every_error_of_linkedin_that_is_written_down_can_be_ordered() {
    each("linkedin", LINKEDIN).await;
}

#[tokio::test]
async fn every_error_of_x_that_is_written_down_can_be_ordered() {
    each("x", X).await;
}

#[tokio::test]
async fn an_error_of_linkedin_names_the_field_and_the_number_that_go_with_it() {
    let stage =
        stage_with("linkedin.create=too_long,linkedin.create=missing_field,linkedin.get=error:100/403").await;
    let create = format!("{}/linkedin/rest/posts", stage.url);
    for (code, field) in [("FIELD_LENGTH_TOO_LONG", "/commentary"), ("MISSING_FIELD", "/author")] {
        let (status, body) = read(stage.http.post(&create).send().await.unwrap()).await;
        let input = &body["errorDetails"]["inputErrors"][0];
        assert_eq!((status, &body["code"], &input["code"]), (400, &json!(code), &json!(code)));
        assert_eq!(input["input"]["inputPath"]["fieldPath"], field);
        assert!(input["description"].is_string());
    }
    let get = format!("{}/linkedin/rest/posts/urn%3Ali%3Ashare%3A7", stage.url);
    let (status, body) = read(stage.http.get(get).send().await.unwrap()).await;
    assert_eq!((status, &body["serviceErrorCode"], &body["code"]), (403, &json!(100), &json!(null)));
}
