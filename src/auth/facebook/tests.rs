//! The dialect against a Facebook in memory.

use super::super::RefreshError;
use super::super::testing::{Net, fields, instant, json, noise, tools};
use super::*;

const REDIRECT: &str = "https://post.example.org/oauth/facebook/callback";

fn provider() -> FacebookProvider {
    FacebookProvider {
        client_id: "4711".into(),
        client_secret: "canary-secret".to_owned().into(),
        config_id: None,
        authorize: "https://www.facebook.com/v26.0/dialog/oauth".parse().unwrap(),
        graph: "https://graph.facebook.com/v26.0".parse().unwrap(),
    }
}

/// A Facebook that grants everything but `declined`, and shows these Pages in two parts.
fn facebook(declined: &'static str, pages: [&'static str; 2]) -> Net<'static> {
    Net::new(move |request| {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        match path {
            "/v26.0/oauth/access_token" => {
                let exchange = fields(request).iter().any(|(_, it)| it == "fb_exchange_token");
                let (token, life) =
                    if exchange { ("canary-long", 5_183_944) } else { ("canary-short", 5_400) };
                json(
                    200,
                    &format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{life}}}"#),
                )
            }
            "/v26.0/me/permissions" => {
                let rows: Vec<String> = SCOPES
                    .iter()
                    .map(|need| {
                        let status = if need.scope == declined { "declined" } else { "granted" };
                        format!(r#"{{"permission":"{}","status":"{status}"}}"#, need.scope)
                    })
                    .collect();
                json(200, &format!(r#"{{"data":[{}]}}"#, rows.join(",")))
            }
            "/v26.0/me" => json(200, r#"{"id":"1022","name":"Ann"}"#),
            "/v26.0/me/accounts" if query.contains("after=c1") => {
                json(200, &format!(r#"{{"data":[{}],"paging":{{"cursors":{{"after":"c2"}}}}}}"#, pages[1]))
            }
            "/v26.0/me/accounts" => json(
                200,
                &format!(
                    r#"{{"data":[{}],"paging":{{"cursors":{{"after":"c1"}},
                        "next":"https://graph.facebook.com/v26.0/me/accounts?access_token=canary-long&after=c1"}}}}"#,
                    pages[0]
                ),
            ),
            "/v26.0/me/businesses" => json(200, r#"{"data":[{"id":"701"},{"id":"not a number"}]}"#),
            "/v26.0/701/owned_pages" => json(200, &format!(r#"{{"data":[{}]}}"#, [BAKERY, HIDDEN].join(","))),
            "/v26.0/701/client_pages" => json(500, "no"),
            "/v26.0/1022/permissions" => json(200, r#"{"success":true}"#),
            other => panic!("{other}"),
        }
    })
}

const BAKERY: &str = r#"{"id":"106512","name":"Acme Bakery","username":"acmebakery","access_token":"canary-page-1",
    "tasks":["CREATE_CONTENT","MODERATE"],"picture":{"data":{"url":"https://cdn.example/1.jpg"}}}"#;
/// A Page that stands in a business portfolio alone.
const HIDDEN: &str =
    r#"{"id":"106519","name":"Acme Mill","access_token":"canary-page-9","tasks":["CREATE_CONTENT"]}"#;
const CAFE: &str =
    r#"{"id":"106513","name":"Acme Café","access_token":"canary-page-2","tasks":["CREATE_CONTENT"]}"#;
const FOREIGN: &str =
    r#"{"id":"106514","name":"Not mine","access_token":"canary-page-3","tasks":["ANALYZE"]}"#;

async fn connect(net: &Net<'_>, reconnect: Option<&str>) -> Result<Vec<Connected>, AuthError> {
    let (closed, random) = (Net::silent(), noise(1));
    let tools = tools(net, &closed, &random);
    let ask = Begin {
        redirect_uri: REDIRECT.parse().unwrap(),
        instance: None,
        handle: None,
        reconnect: reconnect.map(str::to_owned),
    };
    let started = provider().begin(tools, ask).unwrap();
    let state = started.authorize_url.query_pairs().find(|it| it.0 == "state").unwrap().1.into_owned();
    let back = CallbackParams::from_query(&format!("code=canary-code&state={state}")).unwrap();
    super::super::Provider::Facebook(provider()).finish(tools, started.pending, &back).await
}

#[test]
fn the_proof_is_the_one_that_metas_own_libraries_compute() {
    for (secret, token, proof) in [
        (
            "shhhhh!is.my.secret",
            "foo_token",
            "796ba0d8a6b339e476a7b166a9e8ac0a395f7de736dc37de5f2f4397f5854eb8",
        ),
        ("xyz789", "abc123", "4dad02ff1693df832f9c183fe400fc4f601360be06514acb4a73edb783eec345"),
    ] {
        assert_eq!(proof_of(token, secret), proof);
    }
}

#[tokio::test]
async fn every_page_on_which_the_person_may_publish_is_found_with_its_own_token() {
    let net = facebook("business_management", [BAKERY, &[CAFE, FOREIGN].join(",").leak()[..]]);
    let found = connect(&net, None).await.unwrap();
    let names: Vec<_> =
        found.iter().map(|it| (it.found.remote_id.as_str(), it.found.username.as_str())).collect();
    assert_eq!(names, [("106512", "acmebakery"), ("106513", "Acme Café")]);
    assert_eq!(found[0].missing_scopes, ["business_management"]);
    assert_eq!(found[1].warnings.len(), found[0].warnings.len() + 1, "no right to comment: {found:?}");
    for (n, it) in found.iter().enumerate() {
        assert_eq!(it.grant.access.expose(), format!("canary-page-{}", n + 1));
        assert_eq!(it.grant.expires_at, None);
        let person = it.grant.person.as_ref().unwrap();
        assert_eq!((person.id.as_str(), person.token.expose()), ("1022", "canary-long"));
        assert_eq!(person.expires_at, Some(instant(5_183_944)));
    }
    assert!(!format!("{found:?}").contains("canary"));
}

#[tokio::test]
async fn no_address_ever_holds_a_token_a_code_or_the_secret_and_every_call_is_proven() {
    let net = facebook("", [BAKERY, CAFE]);
    connect(&net, None).await.unwrap();
    for call in net.calls() {
        assert!(!call.contains("canary"), "{call}");
        assert!(call.contains("appsecret_proof=") || call.starts_with("POST "), "{call}");
    }
    let sent = net.requests();
    assert!(sent[0].uri().query().is_none());
    let get = sent.iter().find(|it| it.uri().path().ends_with("/me/accounts")).unwrap();
    assert_eq!(get.headers()["authorization"], "Bearer canary-long");
    assert!(get.uri().query().unwrap().ends_with(&proof_of("canary-long", "canary-secret")));
}

#[tokio::test]
async fn a_missing_permission_a_person_without_pages_and_another_page_are_told_apart() {
    let error = connect(&facebook("pages_manage_posts", [BAKERY, CAFE]), None).await.unwrap_err();
    assert_eq!(error.code(), "missing_scope");
    let error = connect(&facebook("business_management", [FOREIGN, ""]), None).await.unwrap_err();
    assert!(error.to_string().contains("may not publish on any"), "{error}");
    let error = connect(&facebook("business_management", ["", ""]), None).await.unwrap_err();
    assert!(error.to_string().contains("shows no Page"), "{error}");
    let error = connect(&facebook("", [BAKERY, CAFE]), Some("99")).await.unwrap_err();
    assert!(matches!(error, AuthError::OtherAccount { .. }), "{error}");
    let one = connect(&facebook("", [BAKERY, CAFE]), Some("106513")).await.unwrap();
    assert_eq!(one.len(), 1);
}

#[tokio::test]
async fn access_that_ended_already_is_given_back_as_well() {
    let grants = connect(&facebook("", [BAKERY, CAFE]), None).await.unwrap();
    for (status, body, done) in [
        (200, r#"{"success":true}"#, true),
        (200, "true", true),
        (400, r#"{"error":{"message":"Invalid","code":190,"error_subcode":460}}"#, true),
        (400, r#"{"error":{"message":"canary-long is odd","code":100}}"#, false),
        (200, r#"{"error":{"message":"no","code":10}}"#, false),
        (500, r#"{"error":{"message":"no","code":190}}"#, false),
    ] {
        let net = Net::new(move |_| json(status, body));
        let (closed, random) = (Net::silent(), noise(1));
        let lines = provider().revoke(tools(&net, &closed, &random), &grants[0].grant).await;
        assert_eq!(lines[0].result == RevocationResult::Done, done, "{status} {body}");
        assert!(!format!("{lines:?}").contains("canary"), "{lines:?}");
        assert!(net.calls()[0].starts_with("DELETE https://graph.facebook.com/v26.0/1022/permissions?"));
    }
}

#[tokio::test]
async fn a_refused_code_and_a_refused_app_are_told_apart() {
    for (body, code) in [
        (
            r#"{"error":{"message":"This authorization code has been used.","code":100,"type":"OAuthException"}}"#,
            "code_refused",
        ),
        (
            r#"{"error":{"message":"Error validating client secret. canary-secret","code":1}}"#,
            "client_refused",
        ),
    ] {
        let net = Net::new(move |_| json(400, body));
        let error = connect(&net, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn pages_that_only_a_portfolio_shows_are_found_where_it_may_be_read_and_each_page_once() {
    let ids = |all: Vec<Connected>| all.into_iter().map(|it| it.found.remote_id).collect::<Vec<_>>();
    let found = connect(&facebook("", [BAKERY, CAFE]), None).await.unwrap();
    assert_eq!(ids(found), ["106512", "106513", "106519"]);
    let net = facebook("business_management", [BAKERY, CAFE]);
    assert_eq!(ids(connect(&net, None).await.unwrap()), ["106512", "106513"]);
    assert!(!net.calls().iter().any(|it| it.contains("businesses")), "it was not granted");
}

#[test]
fn a_configuration_stands_in_the_place_of_the_scopes() {
    let (closed, random) = (Net::silent(), noise(1));
    let ask = |reconnect: Option<&str>| Begin {
        redirect_uri: REDIRECT.parse().unwrap(),
        instance: None,
        handle: None,
        reconnect: reconnect.map(str::to_owned),
    };
    let asked = |provider: FacebookProvider, reconnect| {
        let started = provider.begin(tools(&closed, &closed, &random), ask(reconnect)).unwrap();
        let pairs: Vec<(String, String)> = started.authorize_url.query_pairs().into_owned().collect();
        move |name: &str| pairs.iter().find(|it| it.0 == name).map(|it| it.1.clone())
    };
    let plain = asked(provider(), Some("1"));
    assert!(plain("scope").unwrap().contains("pages_manage_posts") && plain("config_id").is_none());
    assert_eq!(plain("auth_type").as_deref(), Some("rerequest"));
    let configured = asked(FacebookProvider { config_id: Some("4711".into()), ..provider() }, Some("1"));
    assert_eq!(configured("config_id").as_deref(), Some("4711"));
    assert_eq!((configured("scope"), configured("auth_type")), (None, None));
}

#[tokio::test]
async fn a_token_is_asked_about_in_the_apps_name_and_nothing_of_it_is_repeated() {
    let grant = connect(&facebook("", [BAKERY, CAFE]), None).await.unwrap().remove(0).grant;
    let (closed, random) = (Net::silent(), noise(1));
    let ask = async |status: u16, body: &'static str| {
        let net = Net::new(move |_| json(status, body));
        let provider = super::super::Provider::Facebook(provider());
        let answer = provider.inspect(tools(&net, &closed, &random), &grant).await.unwrap();
        let sent = net.requests().remove(0);
        assert_eq!(sent.headers()["authorization"], "Bearer 4711|canary-secret");
        assert!(sent.uri().query().unwrap().contains("input_token=canary-page-1"));
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
        answer
    };
    let whole = ask(
        200,
        r#"{"data":{"app_id":"4711","is_valid":true,"expires_at":0,"data_access_expires_at":1770000000}}"#,
    )
    .await
    .unwrap();
    assert_eq!((whole.is_valid, whole.expires_at), (true, None));
    assert_eq!(whole.data_access_expires_at.unwrap().as_second(), 1_770_000_000);
    let dead = ask(200, r#"{"data":{"is_valid":false,"error":{"message":"gone canary-page-1"}}}"#).await;
    let dead = dead.unwrap();
    assert!(!dead.is_valid && dead.said.unwrap().starts_with("gone"));
    for (status, body) in
        [(200, "{}"), (400, r#"{"error":{"message":"canary-page-1","code":100}}"#), (500, "canary-page-1")]
    {
        assert!(ask(status, body).await.is_err(), "{status} {body}");
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_replaced_by_the_pages_own_as_long_as_the_person_is_there() {
    let grant = connect(&facebook("", [BAKERY, CAFE]), None).await.unwrap().remove(0).grant;
    let (closed, random) = (Net::silent(), noise(1));
    let net = facebook("", [BAKERY, CAFE]);
    let wrong = Grant { access: AccessToken::new("canary-odd".into()).unwrap(), ..grant.clone() };
    let anew = provider().fetch_anew(tools(&net, &closed, &random), &wrong, "106512").await.unwrap();
    assert_eq!(anew.access.expose(), "canary-page-1");
    // The same again helps nobody; nor does a Page that is gone, or a person whose token has ended.
    for (grant, id, at) in [(&grant, "106512", 0), (&wrong, "99", 0), (&wrong, "106512", 5_183_944)] {
        let tools = Tools { now: instant(at), ..tools(&net, &closed, &random) };
        let error = provider().fetch_anew(tools, grant, id).await.unwrap_err();
        assert!(matches!(error, RefreshError::Dead { .. }), "{id} {at}: {error}");
    }
    let down = [(500, "no"), (400, r#"{"error":{"message":"busy","code":2}}"#)];
    for (status, body) in down {
        let net = Net::new(move |_| json(status, body));
        let error = provider().fetch_anew(tools(&net, &closed, &random), &wrong, "106512").await.unwrap_err();
        assert!(matches!(error, RefreshError::NotSent { .. }), "{error}");
    }
    let net = Net::new(|_| json(400, r#"{"error":{"message":"ended","code":190}}"#));
    let error = provider().fetch_anew(tools(&net, &closed, &random), &wrong, "106512").await.unwrap_err();
    assert!(matches!(error, RefreshError::Dead { .. }), "{error}");
}

#[test]
fn an_address_that_facebook_does_not_take_is_named_before_there_is_a_link() {
    let at = |graph: &str, redirect: &str| {
        let provider = FacebookProvider { graph: graph.parse().unwrap(), ..provider() };
        provider.check_address(&redirect.parse().unwrap())
    };
    let network = "https://graph.facebook.com/v26.0";
    for fits in [REDIRECT, "http://localhost:8420/x"] {
        assert_eq!(at(network, fits), Ok(()), "{fits}");
    }
    for bad in ["http://127.0.0.1:8420/x", "http://[::1]:8420/x", "http://post.example.org/x"] {
        let error = at(network, bad).unwrap_err();
        assert!(error.hint().unwrap().contains("http://localhost:PORT"), "{error}");
    }
    assert_eq!(at("http://127.0.0.1:9000/facebook", "http://127.0.0.1:8420/x"), Ok(()));
}
