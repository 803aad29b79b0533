//! X in memory: what is sent, what is made of each answer, and that no secret is ever printed.

use std::collections::HashMap;

use super::*;
use crate::auth::Provider;
use crate::auth::testing::{Answer, Net, fields, instant, json, noise, tools};
use crate::http::ExchangeError;

const TOKENS: &str = r#"{"token_type":"bearer","expires_in":7200,"access_token":"canary-access",
    "scope":"tweet.read tweet.write users.read media.write offline.access","refresh_token":"canary-refresh"}"#;
const ME: &str = r#"{"data":{"id":"2244994945","name":"Acme Corp","username":"acme","subscription_type":"Premium",
    "profile_image_url":"https://pbs.twimg.com/profile_images/1/a_normal.jpg"}}"#;

fn provider(secret: Option<&str>) -> Provider {
    Provider::X(XProvider {
        app: App { client_id: "the client".into(), client_secret: secret.map(|it| it.to_owned().into()) },
        authorize: Url::parse("https://x.com/i/oauth2/authorize").unwrap(),
        api: Url::parse("http://127.0.0.1:9000/x").unwrap(),
    })
}

fn ask(reconnect: Option<&str>) -> Begin {
    Begin {
        redirect_uri: Url::parse("https://me.example/oauth/x/callback").unwrap(),
        instance: None,
        handle: None,
        reconnect: reconnect.map(str::to_owned),
    }
}

/// X as it answers when all is well, apart from the answers given here by path.
fn x<'a>(instead: &'a [(&'a str, u16, &'a str)]) -> Net<'a> {
    Net::new(move |request| {
        let path = request.uri().path();
        if let Some((_, status, body)) = instead.iter().find(|(it, ..)| path.ends_with(it)) {
            return json(*status, body);
        }
        match path {
            "/x/2/oauth2/token" => json(200, TOKENS),
            "/x/2/users/me" => json(200, ME),
            "/x/2/oauth2/revoke" => json(200, r#"{"revoked":true}"#),
            other => panic!("X has no {other}"),
        }
    })
}

/// Begins, and comes back with `extra` besides state and code.
async fn connect(
    net: &Net<'_>,
    secret: Option<&str>,
    reconnect: Option<&str>,
    extra: &str,
) -> Result<Connected, AuthError> {
    let (random, provider) = (noise(1), provider(secret));
    let closed = Net::silent();
    let tools = tools(net, &closed, &random);
    let started = provider.begin(tools, ask(reconnect)).await.unwrap();
    let query: HashMap<_, _> = started.authorize_url.query_pairs().into_owned().collect();
    let back = format!("state={}&code=canary-code{extra}", query["state"]);
    let back = CallbackParams::from_query(&back).unwrap();
    provider.finish(tools, started.pending, &back).await.map(|mut all| all.remove(0))
}

fn field(request: &http::Request<Bytes>, name: &str) -> Option<String> {
    fields(request).into_iter().find(|(it, _)| it == name).map(|(_, value)| value)
}

#[tokio::test]
async fn the_browser_is_sent_off_with_pkce_and_every_scope() {
    let (net, random) = (Net::silent(), noise(1));
    let started = provider(None).begin(tools(&net, &net, &random), ask(None)).await.unwrap();
    insta::assert_snapshot!(started.authorize_url, @"https://x.com/i/oauth2/authorize?response_type=code&client_id=the%20client&state=EIll--7RkNcSNXQBFEuQb6W3VzBzZVzRPtHBhg1EGRI&code_challenge=iGdgUZpZP7THGXi9TA11YW_PT0tKcc46qDBAwdQAtPk&code_challenge_method=S256&redirect_uri=https%3A%2F%2Fme.example%2Foauth%2Fx%2Fcallback&scope=tweet.read%20tweet.write%20users.read%20media.write%20offline.access");
    assert!(!format!("{started:?}").contains("state="), "{started:?}");
}

#[tokio::test]
async fn an_address_x_would_refuse_is_refused_before_the_browser_goes() {
    let (net, random) = (Net::silent(), noise(1));
    for (address, good) in [
        ("http://127.0.0.1:8750/oauth/x/callback", true),
        ("http://localhost:8750/oauth/x/callback", false),
        ("http://me.example/oauth/x/callback", false),
    ] {
        let mut ask = ask(None);
        ask.redirect_uri = Url::parse(address).unwrap();
        let result = provider(None).begin(tools(&net, &net, &random), ask).await;
        assert_eq!(result.map_err(|it| it.code()).err(), (!good).then_some("setup"), "{address}");
    }
}

#[tokio::test]
async fn a_confidential_client_connects() {
    let net = x(&[]);
    let connected = connect(&net, Some("s&cret"), None, "").await.unwrap();
    assert_eq!(
        net.calls(),
        [
            "POST http://127.0.0.1:9000/x/2/oauth2/token",
            "GET http://127.0.0.1:9000/x/2/users/me?user.fields=profile_image_url,verified,verified_type,\
             subscription_type,protected",
        ]
    );
    let exchange = &net.requests()[0];
    // base64 of `the+client:s%26cret`: both halves are form-encoded first.
    assert_eq!(exchange.headers()["authorization"], "Basic dGhlK2NsaWVudDpzJTI2Y3JldA==");
    assert_eq!(field(exchange, "client_id"), None);
    assert_eq!(field(exchange, "grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(field(exchange, "redirect_uri").as_deref(), Some("https://me.example/oauth/x/callback"));
    assert_eq!(field(exchange, "code_verifier").map(|it| it.len()), Some(43));
    assert_eq!(net.requests()[1].headers()["authorization"], "Bearer canary-access");

    let Connected { grant, found, missing_scopes, .. } = connected;
    assert_eq!(
        found,
        Found {
            app_scoped_id: None,
            remote_id: "2244994945".into(),
            username: "acme".into(),
            display_name: "Acme Corp".into(),
            avatar_url: Some("https://pbs.twimg.com/profile_images/1/a_400x400.jpg".into()),
            server: None,
            tier: Some("Premium".into()),
        }
    );
    assert_eq!(missing_scopes, [""; 0]);
    assert_eq!((grant.issued_at, grant.expires_at), (instant(0), Some(instant(7200))));
}

#[tokio::test]
async fn a_public_client_names_itself_in_the_form() {
    let net = x(&[]);
    connect(&net, None, None, "").await.unwrap();
    let exchange = &net.requests()[0];
    assert_eq!(exchange.headers().get("authorization"), None);
    assert_eq!(field(exchange, "client_id").as_deref(), Some("the client"));
}

#[tokio::test]
async fn what_comes_back_wrong_never_reaches_the_token_endpoint() {
    let net = Net::silent();
    let (random, provider) = (noise(1), provider(None));
    let tools = tools(&net, &net, &random);
    for (query, code) in [
        ("code=c".to_owned(), "unknown_state"),
        ("code=c&state=wrong".to_owned(), "unknown_state"),
        ("error=access_denied&state=wrong".to_owned(), "unknown_state"),
        ("error=access_denied&state={state}".to_owned(), "access_denied"),
        ("error=server_error&state={state}".to_owned(), "refused"),
        ("state={state}".to_owned(), "bad_callback"),
        ("code=&state={state}".to_owned(), "bad_callback"),
        ("code=c&state={state}&iss=https://evil.example".to_owned(), "issuer_mismatch"),
    ] {
        let started = provider.begin(tools, ask(None)).await.unwrap();
        let sent: HashMap<_, _> = started.authorize_url.query_pairs().into_owned().collect();
        let back = CallbackParams::from_query(&query.replace("{state}", &sent["state"])).unwrap();
        let error = provider.finish(tools, started.pending, &back).await.unwrap_err();
        assert_eq!(error.code(), code, "{query}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_x_itself_is_welcome() {
    assert!(connect(&x(&[]), None, None, "&iss=https://x.com").await.is_ok());
}

#[tokio::test]
async fn a_failed_exchange_says_whose_fault_it_is() {
    for (status, body, code) in [
        (
            400,
            r#"{"error":"invalid_request","error_description":"Value passed for the authorization code was invalid."}"#,
            "code_refused",
        ),
        (400, r#"{"error":"invalid_grant"}"#, "code_refused"),
        (
            401,
            r#"{"error":"unauthorized_client","error_description":"Missing valid authorization header"}"#,
            "client_refused",
        ),
        (401, "", "client_refused"),
        (403, r#"{"title":"Forbidden","detail":"client-forbidden"}"#, "refused"),
        (429, "{}", "busy"),
        (503, "", "unreachable"),
        (302, "", "redirected"),
        (200, "<html>", "bad_answer"),
        (200, r#"{"access_token":"canary-access"}"#, "bad_answer"),
        (200, r#"{"access_token":"","token_type":"bearer"}"#, "bad_answer"),
        (200, r#"{"access_token":"canary access","token_type":"bearer"}"#, "bad_answer"),
        (200, r#"{"access_token":"canary-access","token_type":"mac"}"#, "bad_answer"),
        (201, TOKENS, "bad_answer"),
    ] {
        let instead = [("/token", status, body)];
        let net = x(&instead);
        let error = connect(&net, None, None, "").await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}: {error}");
        assert_eq!(net.calls().len(), 1, "an exchange is never repeated");
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn less_scope_disables_its_feature_or_the_connection() {
    let answer = |scope: &str| format!(r#"{{"token_type":"bearer","access_token":"a","scope":"{scope}"}}"#);
    let fewer = answer("tweet.read tweet.write users.read");
    let instead = [("/token", 200, fewer.as_str())];
    let connected = connect(&x(&instead), None, None, "").await.unwrap();
    assert_eq!(connected.missing_scopes, ["media.write", "offline.access"]);
    assert!(connected.grant.refresh.is_none());

    let too_few = answer("tweet.read users.read offline.access");
    let instead = [("/token", 200, too_few.as_str())];
    let net = x(&instead);
    let error = connect(&net, None, None, "").await.unwrap_err();
    assert_eq!(error, AuthError::MissingScope { missing: vec!["tweet.write".into()] });
    assert_eq!(net.calls().last().unwrap(), "POST http://127.0.0.1:9000/x/2/oauth2/revoke", "handed back");
}

#[tokio::test]
async fn a_reconnect_with_another_account_is_refused_and_its_tokens_handed_back() {
    assert!(connect(&x(&[]), None, Some("2244994945"), "").await.is_ok());
    let net = x(&[]);
    let error = connect(&net, None, Some("1"), "").await.unwrap_err();
    assert_eq!(error.code(), "other_account");
    let returned: Vec<_> = net.requests()[2..].iter().filter_map(|it| field(it, "token")).collect();
    assert_eq!(returned, ["canary-refresh", "canary-access"]);
}

#[tokio::test]
async fn an_identity_that_is_none_is_refused() {
    for (status, body, code) in [
        (200, r#"{"data":{"id":"../1","username":"acme"}}"#, "bad_answer"),
        (200, r#"{"data":{"id":"1"}}"#, "bad_answer"),
        (200, "[]", "bad_answer"),
        (402, r#"{"title":"CreditsDepleted","detail":"no credits, canary-access"}"#, "refused"),
        (429, "", "busy"),
    ] {
        let instead = [("/users/me", status, body)];
        let error = connect(&x(&instead), None, None, "").await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

async fn refreshed(
    answer: impl Fn() -> Answer + Send + Sync,
    secret: Option<&str>,
) -> Result<Grant, RefreshError> {
    let grant = connect(&x(&[]), secret, None, "").await.unwrap().grant;
    let net = Net::new(move |_| answer());
    let (random, closed) = (noise(2), Net::silent());
    let result = provider(secret).refresh(tools(&net, &closed, &random), &grant).await;
    assert_eq!(net.calls(), ["POST http://127.0.0.1:9000/x/2/oauth2/token"], "a refresh is never repeated");
    assert_eq!(field(&net.requests()[0], "refresh_token").as_deref(), Some("canary-refresh"));
    assert_eq!(field(&net.requests()[0], "client_id").is_some(), secret.is_none());
    result
}

#[tokio::test]
async fn a_refresh_brings_the_next_pair() {
    let body = r#"{"token_type":"bearer","expires_in":60,"access_token":"a2","refresh_token":"r2"}"#;
    for secret in [None, Some("secret")] {
        let grant = refreshed(|| json(200, body), secret).await.unwrap();
        assert_eq!((grant.access.expose(), grant.refresh.unwrap().expose()), ("a2", "r2"));
        assert_eq!(grant.expires_at, Some(instant(60)));
        assert_eq!(grant.scopes.len(), 5, "silence about scope means no change");
    }
}

#[tokio::test]
async fn a_failed_refresh_says_what_may_have_happened() {
    for (status, body, code) in [
        (
            400,
            r#"{"error":"invalid_request","error_description":"Value passed for the token was invalid. canary-refresh"}"#,
            "refresh_dead",
        ),
        (400, r#"{"error":"invalid_grant"}"#, "refresh_dead"),
        (401, r#"{"error":"unauthorized_client"}"#, "client_refused"),
        (401, r#"{"error":"invalid_client"}"#, "client_refused"),
        (400, r#"{"error":"unauthorized_client"}"#, "client_refused"),
        (403, "", "client_refused"),
        (400, "<html>", "client_refused"),
        (429, "", "refresh_later"),
        (500, "", "refresh_lost"),
        (200, "garbage canary-refresh", "refresh_lost"),
        (200, r#"{"access_token":7,"token_type":"bearer"}"#, "refresh_lost"),
    ] {
        let error = refreshed(|| json(status, body), None).await.unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let lost = refreshed(|| Err(ExchangeError::Lost("timed out".into())), None).await.unwrap_err();
    assert_eq!(lost.code(), "refresh_lost");
    let unsent = refreshed(|| Err(ExchangeError::NotSent("refused".into())), None).await.unwrap_err();
    assert_eq!(unsent.code(), "refresh_not_sent");
}

#[tokio::test]
async fn without_a_refresh_token_nothing_is_sent() {
    let mut grant = connect(&x(&[]), None, None, "").await.unwrap().grant;
    grant.refresh = None;
    let (net, random) = (Net::silent(), noise(1));
    let error = provider(None).refresh(tools(&net, &net, &random), &grant).await.unwrap_err();
    assert_eq!(error.code(), "refresh_dead");
}

#[tokio::test]
async fn a_receipt_tells_the_truth_about_revocation() {
    let grant = connect(&x(&[]), None, None, "").await.unwrap().grant;
    let (random, closed) = (noise(1), Net::silent());
    let instead =
        [("/revoke", 400, r#"{"error":"invalid_request","error_description":"canary-refresh is bad"}"#)];
    for (net, result) in [(x(&[]), RevocationResult::Done), (x(&instead), RevocationResult::Failed)] {
        let lines = provider(None).revoke(tools(&net, &closed, &random), &grant).await;
        let summary: Vec<_> = lines.iter().map(|it| (it.what, it.place.as_str(), it.result)).collect();
        assert_eq!(
            summary,
            [("refresh token", "127.0.0.1:9000", result), ("access token", "127.0.0.1:9000", result)]
        );
        assert_eq!(lines[0].hint.is_some(), result == RevocationResult::Failed);
        assert!(!format!("{lines:?}").contains("canary"), "{lines:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_connect_prints_its_secrets() {
    let net = x(&[]);
    let connected = connect(&net, Some("canary-secret"), None, "").await.unwrap();
    assert!(!format!("{connected:?} {:?}", provider(Some("canary-secret"))).contains("canary"));
    // Headers are marked, so that a client that prints them prints a placeholder.
    for request in net.requests() {
        assert!(request.headers()["authorization"].is_sensitive());
        assert!(!request.uri().to_string().contains("canary"));
    }
}
