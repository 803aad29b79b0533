//! Both doors against an Instagram in memory.

use super::super::testing::{Net, fields, instant, json, noise, tools};
use super::*;

const REDIRECT: &str = "https://post.example.org/oauth/instagram/callback";
const ALL: &str =
    "instagram_business_basic,instagram_business_content_publish,instagram_business_manage_comments";

fn provider(door: Door) -> InstagramProvider {
    let url = |text: &str| text.parse().unwrap();
    InstagramProvider {
        door,
        app: Some(("4711".into(), "canary-secret".to_owned().into())),
        authorize: url("https://www.instagram.com"),
        token: url("https://api.instagram.com"),
        graph: url("https://graph.instagram.com"),
        version: "v26.0".into(),
        facebook: Some(FacebookProvider {
            client_id: "4712".into(),
            client_secret: "canary-secret".to_owned().into(),
            config_id: None,
            authorize: url("https://www.facebook.com/v26.0/dialog/oauth"),
            graph: url("https://graph.facebook.com/v26.0"),
        }),
    }
}

/// An Instagram that redeems a code with this answer.
fn instagram(redeemed: String) -> Net<'static> {
    Net::new(move |request| match (request.uri().host().unwrap(), request.uri().path()) {
        ("api.instagram.com", "/oauth/access_token") => {
            assert!(fields(request).iter().any(|it| *it == ("code".into(), "canary-code".into())));
            json(200, &redeemed)
        }
        ("graph.instagram.com", "/access_token") => {
            json(200, r#"{"access_token":"canary-long","token_type":"bearer","expires_in":5183944}"#)
        }
        ("graph.instagram.com", "/v26.0/me") => json(
            200,
            r#"{"id":"998877","user_id":17841400000000001,"username":"acme","name":"Acme","account_type":"BUSINESS"}"#,
        ),
        other => panic!("{other:?}"),
    })
}

fn plain(permissions: &str) -> String {
    format!(r#"{{"access_token":"canary-short","user_id":17841400000000001,"permissions":"{permissions}"}}"#)
}

async fn connect(
    net: &Net<'_>,
    door: Door,
    code: &str,
    reconnect: Option<&str>,
) -> Result<Vec<Connected>, AuthError> {
    let (closed, random) = (Net::silent(), noise(1));
    let tools = tools(net, &closed, &random);
    let ask = Begin {
        redirect_uri: REDIRECT.parse().unwrap(),
        instance: None,
        handle: None,
        reconnect: reconnect.map(str::to_owned),
    };
    let started = provider(door).begin(tools, ask).unwrap();
    let state = started.authorize_url.query_pairs().find(|it| it.0 == "state").unwrap().1.into_owned();
    let back = CallbackParams::from_query(&format!("code={code}&state={state}")).unwrap();
    super::super::Provider::Instagram(Box::new(provider(door))).finish(tools, started.pending, &back).await
}

#[tokio::test]
async fn a_code_becomes_a_token_of_sixty_days_in_whichever_shape_it_comes() {
    let listed = format!(r#"{{"data":[{}]}}"#, plain(ALL));
    let array = plain("")
        .replace(r#""permissions":"""#, &format!(r#""permissions":["{}"]"#, ALL.replace(',', r#"",""#)));
    for body in [plain(ALL), listed, array] {
        // A browser's stray fragment is no part of the code.
        let found = connect(&instagram(body), Door::Instagram, "canary-code%23_", None).await.unwrap();
        let it = &found[0];
        assert_eq!((it.found.remote_id.as_str(), it.found.username.as_str()), ("17841400000000001", "acme"));
        assert_eq!(it.found.tier.as_deref(), Some("instagram_login"));
        assert_eq!(it.grant.access.expose(), "canary-long");
        assert_eq!(it.grant.expires_at, Some(instant(5_183_944)));
        assert!(it.missing_scopes.is_empty() && !format!("{found:?}").contains("canary"), "{found:?}");
    }
}

#[tokio::test]
async fn what_was_not_granted_and_who_was_not_meant_end_the_connect() {
    let net = instagram(plain("instagram_business_basic"));
    let error = connect(&net, Door::Instagram, "canary-code", None);
    assert_eq!(error.await.unwrap_err().code(), "missing_scope");
    let fewer = plain("instagram_business_basic,instagram_business_content_publish");
    let found = connect(&instagram(fewer), Door::Instagram, "canary-code", None).await.unwrap();
    assert_eq!(found[0].missing_scopes, ["instagram_business_manage_comments"]);
    let other = connect(&instagram(plain(ALL)), Door::Instagram, "canary-code", Some("17")).await;
    assert!(matches!(other.unwrap_err(), AuthError::OtherAccount { .. }));
}

#[tokio::test]
async fn a_refused_code_and_the_wrong_pair_of_app_id_and_secret_are_told_apart() {
    for (words, code) in [
        ("Matching code was not found or was already used", "code_refused"),
        ("Invalid platform app", "client_refused"),
    ] {
        let body = format!(
            r#"{{"error_type":"OAuthException","code":400,"error_message":"{words} canary-secret"}}"#
        );
        let net = Net::new(move |_| json(400, &body));
        let error = connect(&net, Door::Instagram, "canary-code", None).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn through_facebook_every_page_with_an_account_brings_it_and_the_others_nothing() {
    let net = Net::new(|request| match request.uri().path() {
        "/v26.0/oauth/access_token" => json(200, r#"{"access_token":"canary-person","expires_in":5183944}"#),
        "/v26.0/me/permissions" => {
            let rows: Vec<String> = FACEBOOK_SCOPES
                .iter()
                .filter(|it| it.scope != "instagram_manage_contents")
                .map(|it| format!(r#"{{"permission":"{}","status":"granted"}}"#, it.scope))
                .collect();
            json(200, &format!(r#"{{"data":[{}]}}"#, rows.join(",")))
        }
        "/v26.0/me" => json(200, r#"{"id":"1022","name":"Ann"}"#),
        "/v26.0/me/accounts" => json(
            200,
            r#"{"data":[
                {"id":"1","name":"With","access_token":"canary-page","tasks":["CREATE_CONTENT"],
                 "instagram_business_account":{"id":"17841400000000001","username":"acme"}},
                {"id":"2","name":"Without","access_token":"canary-page-2","tasks":["CREATE_CONTENT"]},
                {"id":"3","name":"Not mine","access_token":"canary-page-3","tasks":["ANALYZE"],
                 "instagram_business_account":{"id":"17841400000000003","username":"other"}}]}"#,
        ),
        "/v26.0/me/businesses" => json(400, r#"{"error":{"message":"no","code":10}}"#),
        other => panic!("{other}"),
    });
    let found = connect(&net, Door::Facebook, "canary-code", None).await.unwrap();
    assert_eq!(found.len(), 1);
    let it = &found[0];
    assert_eq!((it.found.username.as_str(), it.found.tier.as_deref()), ("acme", Some("facebook_login")));
    assert_eq!((it.grant.access.expose(), it.grant.expires_at), ("canary-page", None));
    assert_eq!(it.missing_scopes, ["instagram_manage_contents"]);
    assert!(it.grant.refresh.is_none() && it.grant.person.is_some());
    let (closed, random) = (Net::silent(), noise(1));
    let error = provider(Door::Facebook).refresh(tools(&closed, &closed, &random), &it.grant).await;
    assert!(matches!(error.unwrap_err(), RefreshError::Dead { .. }), "a Page's token is never renewed");
}

#[tokio::test]
async fn a_token_is_renewed_after_a_day_and_before_its_end_and_nothing_else() {
    let grant =
        connect(&instagram(plain(ALL)), Door::Instagram, "canary-code", None).await.unwrap().remove(0).grant;
    let net = Net::new(|request| match request.uri().path() {
        "/refresh_access_token" => json(200, r#"{"access_token":"canary-next","expires_in":5183944}"#),
        "/v26.0/me" => json(200, r#"{"user_id":"1"}"#),
        other => panic!("{other}"),
    });
    let (closed, random) = (Net::silent(), noise(1));
    let at = |seconds: i64| Tools { now: instant(seconds), ..tools(&net, &closed, &random) };
    let hours = |n: i64| n * 3_600;
    let early = provider(Door::Instagram).refresh(at(hours(23)), &grant).await.unwrap_err();
    assert_eq!(early, RefreshError::Later { until: instant(hours(24)) });
    let fresh = provider(Door::Instagram).refresh(at(hours(24)), &grant).await.unwrap();
    assert_eq!(fresh.access.expose(), "canary-next");
    assert_eq!(fresh.expires_at, Some(instant(hours(24) + 5_183_944)));
    assert_ne!(fresh.fingerprint(), grant.fingerprint());
    assert_eq!(fresh.scopes, grant.scopes, "an answer without scopes takes none away");
    let late = provider(Door::Instagram).refresh(at(5_183_944), &grant).await.unwrap_err();
    assert!(matches!(late, RefreshError::Dead { .. }));
    assert_eq!(net.calls().len(), 2, "a token that has ended is not even asked for: {:?}", net.calls());
    // One that was had with a clock that was ahead: the network knows whether it is old enough, and one that
    // lives is not called dead for being too young.
    let ahead = Grant {
        issued_at: instant(hours(90_000)),
        expires_at: Some(instant(hours(91_440))),
        ..grant.clone()
    };
    let fresh = provider(Door::Instagram).refresh(at(hours(30)), &ahead).await.unwrap();
    assert_eq!(fresh.issued_at, instant(hours(30)));
    let net = Net::new(|request| match request.uri().path() {
        "/refresh_access_token" => json(400, r#"{"error":{"message":"younger than a day","code":100}}"#),
        "/v26.0/me" => json(200, r#"{"user_id":"1"}"#),
        other => panic!("{other}"),
    });
    let young = provider(Door::Instagram).refresh(Tools { fixed: &net, ..at(60) }, &ahead).await.unwrap_err();
    assert_eq!(young, RefreshError::Later { until: instant(60 + hours(24)) });
    // A young one that is refused lives no more, and is not waited for.
    let net = Net::new(|_| json(400, r#"{"error":{"message":"expired canary-long","code":190}}"#));
    let error = provider(Door::Instagram).refresh(Tools { fixed: &net, ..at(60) }, &grant).await.unwrap_err();
    assert!(matches!(&error, RefreshError::Dead { message } if !message.contains("canary")), "{error:?}");
}

#[test]
fn a_host_that_instagram_cannot_reach_is_refused_with_the_remedy_and_a_stand_in_is_not() {
    let check = |door, redirect: &str| provider(door).check_address(&redirect.parse().unwrap());
    for door in [Door::Instagram, Door::Facebook] {
        assert_eq!(check(door, REDIRECT), Ok(()));
        for bad in [
            "http://post.example.org/x",
            "https://localhost/x",
            "https://127.0.0.1:8443/x",
            "https://192.168.1.4/x",
            "https://[::1]/x",
            "https://[fd00::1]/x",
            "https://server/x",
            "https://post.local/x",
        ] {
            let error = check(door, bad).unwrap_err();
            assert!(error.hint().is_some_and(|it| it.contains("server.public_url")), "{bad}: {error:?}");
        }
    }
    let standin = InstagramProvider {
        graph: "http://127.0.0.1:9000/instagram".parse().unwrap(),
        ..provider(Door::Instagram)
    };
    assert_eq!(standin.check_address(&"http://127.0.0.1:8080/x".parse().unwrap()), Ok(()));
}

#[tokio::test]
async fn where_access_cannot_be_given_back_the_receipt_says_where_to_end_it() {
    let grant =
        connect(&instagram(plain(ALL)), Door::Instagram, "canary-code", None).await.unwrap().remove(0).grant;
    let (closed, random) = (Net::silent(), noise(1));
    let lines = provider(Door::Instagram).revoke(tools(&closed, &closed, &random), &grant).await;
    assert_eq!(lines[0].result, RevocationResult::NotPossible);
    assert!(lines[0].hint.as_ref().unwrap().contains("instagram.com"), "{lines:?}");
}
