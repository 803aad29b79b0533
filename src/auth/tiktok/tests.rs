//! Both kinds of app against a TikTok in memory.

use super::super::Provider;
use super::super::testing::{Net, fields, instant, json, noise, tools};
use super::*;

const HTTPS: &str = "https://post.example.org/oauth/tiktok/callback";
const LOOPBACK: &str = "http://127.0.0.1:8420/oauth/tiktok/callback";
const ALL: &str = "user.info.basic,video.publish,video.upload";

fn provider(desktop: bool, reach: Reach) -> TikTokProvider {
    TikTokProvider {
        client_key: "awkey".into(),
        client_secret: "canary-secret".to_owned().into(),
        desktop,
        reach,
        authorize: "https://www.tiktok.com".parse().unwrap(),
        api: "https://open.tiktokapis.com".parse().unwrap(),
    }
}

fn tokens(scope: &str) -> String {
    format!(
        r#"{{"open_id":"o-1","scope":"{scope}","access_token":"canary-act","expires_in":7200,
            "refresh_token":"canary-rft","refresh_expires_in":15552000,"token_type":"Bearer"}}"#
    )
}

const INVALID: &str = r#"{"error":"invalid_grant","error_description":"canary-rft is spent","log_id":"x"}"#;

/// A TikTok that answers the token endpoint with this.
fn tiktok(status: u16, token: String) -> Net<'static> {
    Net::new(move |request| match request.uri().path() {
        "/v2/oauth/token/" => json(status, &token),
        "/v2/oauth/revoke/" => json(200, ""),
        "/v2/user/info/" => json(
            200,
            r#"{"data":{"user":{"open_id":"o-1","union_id":"u","avatar_url":"https://x/a","display_name":"Acme Bakery"}},
                "error":{"code":"ok","message":"","log_id":"1"}}"#,
        ),
        "/v2/post/publish/creator_info/query/" => json(
            200,
            r#"{"data":{"creator_username":"acme.bakery"},"error":{"code":"ok","message":"","log_id":"1"}}"#,
        ),
        other => panic!("{other}"),
    })
}

fn ask(redirect: &str, reconnect: Option<&str>) -> Begin {
    Begin {
        redirect_uri: redirect.parse().unwrap(),
        instance: None,
        handle: None,
        reconnect: reconnect.map(str::to_owned),
    }
}

fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|it| it.0 == name).map(|it| it.1.into_owned())
}

async fn connect(net: &Net<'_>, it: TikTokProvider, reconnect: Option<&str>) -> Result<Connected, AuthError> {
    let (closed, random) = (Net::silent(), noise(1));
    let tools = tools(net, &closed, &random);
    let redirect = if it.desktop { LOOPBACK } else { HTTPS };
    let provider = Provider::TikTok(it);
    let started = provider.begin(tools, ask(redirect, reconnect)).await.unwrap();
    let state = param(&started.authorize_url, "state").unwrap();
    let back =
        CallbackParams::from_query(&format!("code=canary%2Acode%21x&scopes={ALL}&state={state}")).unwrap();
    provider.finish(tools, started.pending, &back).await.map(|mut all| all.remove(0))
}

#[tokio::test]
async fn a_desktop_app_writes_its_challenge_in_hexadecimal_and_a_web_app_has_none() {
    for desktop in [true, false] {
        let net = tiktok(200, tokens(ALL));
        let (closed, random) = (Net::silent(), noise(1));
        let it = provider(desktop, Reach::Direct);
        let redirect = if desktop { LOOPBACK } else { HTTPS };
        let started = it.begin(tools(&net, &closed, &random), ask(redirect, None)).unwrap();
        let url = &started.authorize_url;
        assert!(url.as_str().starts_with("https://www.tiktok.com/v2/auth/authorize/?client_key=awkey&"));
        assert_eq!(param(url, "scope").unwrap(), ALL, "commas between, and never `client_id`");
        let challenge = param(url, "code_challenge");
        let state = param(url, "state").unwrap();
        let back = CallbackParams::from_query(&format!("code=canary%2Acode&state={state}")).unwrap();
        it.finish(tools(&net, &closed, &random), started.pending, &back).await.unwrap();
        let form = fields(&net.requests()[0]);
        let field = |name: &str| form.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        assert_eq!(field("code").unwrap(), "canary*code", "decoded once");
        assert_eq!(field("client_secret").unwrap(), "canary-secret");
        assert_eq!(field("redirect_uri").unwrap(), redirect);
        match (desktop, challenge, field("code_verifier")) {
            (true, Some(challenge), Some(verifier)) => {
                assert_eq!(challenge, hex(&sha256(verifier.as_bytes())));
                assert_eq!(
                    (challenge.len(), param(url, "code_challenge_method").unwrap().as_str()),
                    (64, "S256")
                );
                assert!((43..=128).contains(&verifier.len()));
            }
            (false, None, None) => {}
            odd => panic!("{odd:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_granted_decides_how_far_an_account_reaches() {
    for (reach, scope, tier, username, missing) in [
        (Reach::Inbox, "user.info.basic,video.upload", "inbox", "Acme Bakery", vec![]),
        (Reach::Direct, ALL, "direct", "acme.bakery", vec![]),
        (Reach::Direct, "user.info.basic,video.upload", "inbox", "Acme Bakery", vec!["video.publish"]),
        (Reach::Direct, "user.info.basic,video.publish", "direct", "acme.bakery", vec!["video.upload"]),
    ] {
        let it = connect(&tiktok(200, tokens(scope)), provider(false, reach), None).await.unwrap();
        assert_eq!(it.found.tier.as_deref(), Some(tier), "{scope}");
        assert_eq!((it.found.remote_id.as_str(), it.found.username.as_str()), ("o-1", username));
        assert_eq!(it.missing_scopes, missing, "{scope}");
        assert_eq!(it.grant.expires_at, Some(instant(7_200)));
        assert_eq!(it.grant.grant_expires_at, Some(instant(15_552_000)));
        assert!(!format!("{it:?}").contains("canary"), "{it:?}");
    }
}

#[tokio::test]
async fn too_little_or_somebody_else_ends_the_connect_and_gives_the_tokens_back() {
    for (reach, scope, reconnect, code) in [
        (Reach::Inbox, "user.info.basic", None, "missing_scope"),
        (Reach::Inbox, "user.info.basic,video.publish", None, "missing_scope"),
        (Reach::Direct, "user.info.basic", None, "missing_scope"),
        (Reach::Direct, "video.upload,video.publish", None, "missing_scope"),
        (Reach::Direct, ALL, Some("o-2"), "other_account"),
    ] {
        let net = tiktok(200, tokens(scope));
        let error = connect(&net, provider(false, reach), reconnect).await.unwrap_err();
        assert_eq!(error.code(), code, "{scope}");
        assert!(net.calls().last().unwrap().ends_with("/v2/oauth/revoke/"), "{:?}", net.calls());
    }
}

#[tokio::test]
async fn an_error_is_one_whatever_its_status_and_shows_no_secret() {
    let client = r#"{"error":"invalid_client","error_description":"canary-secret is wrong","log_id":"x"}"#;
    for (status, body, code) in
        [(200, INVALID, "code_refused"), (400, INVALID, "code_refused"), (200, client, "client_refused")]
    {
        let error = connect(&tiktok(status, body.into()), provider(true, Reach::Inbox), None).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}");
        assert!(!error.to_string().contains("canary-secret"), "{error}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_only_its_own_end_ends_the_grant() {
    let it = provider(false, Reach::Inbox);
    let net = tiktok(200, tokens("user.info.basic,video.upload"));
    let grant = connect(&net, it.clone(), None).await.unwrap().grant;
    let (closed, random) = (Net::silent(), noise(1));
    let renewed = tokens("user.info.basic,video.upload").replace("canary-rft", "canary-rft2");
    let new = it.refresh(tools(&tiktok(200, renewed), &closed, &random), &grant).await.unwrap();
    assert_eq!(new.refresh.unwrap().expose(), "canary-rft2");
    for (status, body, code) in [
        (200, INVALID, "refresh_dead"),
        (400, INVALID, "refresh_dead"),
        (200, r#"{"error":"invalid_client","error_description":"no","log_id":"x"}"#, "client_refused"),
        (200, r#"{"error":"temporarily_unavailable","error_description":"no","log_id":"x"}"#, "refresh_lost"),
        (503, "{}", "refresh_lost"),
        (200, "{}", "refresh_lost"),
        (429, "{}", "refresh_later"),
    ] {
        let net = tiktok(status, body.into());
        let error = it.refresh(tools(&net, &closed, &random), &grant).await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_revocation_says_what_the_network_did() {
    let it = provider(false, Reach::Inbox);
    let net = tiktok(200, tokens("user.info.basic,video.upload"));
    let grant = connect(&net, it.clone(), None).await.unwrap().grant;
    let (closed, random) = (Net::silent(), noise(1));
    let done = it.revoke(tools(&net, &closed, &random), &grant).await;
    assert_eq!(done[0].result, RevocationResult::Done);
    let form = fields(net.requests().last().unwrap());
    assert!(form.contains(&("token".into(), "canary-act".into())), "the access token");
    let refused =
        Net::new(|_| json(200, r#"{"error":"invalid_request","error_description":"no","log_id":"x"}"#));
    let failed = it.revoke(tools(&refused, &closed, &random), &grant).await;
    assert_eq!(failed[0].result, RevocationResult::Failed);
    assert!(failed[0].hint.as_ref().unwrap().contains("TikTok's app"));
}

#[test]
fn each_kind_of_app_takes_the_addresses_that_tiktok_takes() {
    for (desktop, redirect, fits) in [
        (false, HTTPS, true),
        (false, LOOPBACK, false),
        (false, "http://post.example.org/oauth/tiktok/callback", false),
        (false, "https://203.0.113.7/oauth/tiktok/callback", false),
        (true, LOOPBACK, true),
        (true, "http://localhost:8420/oauth/tiktok/callback", true),
        (true, HTTPS, false),
    ] {
        let checked = provider(desktop, Reach::Inbox).check_address(&redirect.parse().unwrap());
        assert_eq!(checked.is_ok(), fits, "{desktop} {redirect}");
    }
}
