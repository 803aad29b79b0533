//! Both kinds against a LinkedIn in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::testing::{Net, fields, instant, json, noise, tools};
use super::*;

const REDIRECT: &str = "https://post.example.org/oauth/linkedin/callback";
const MEMBER: &str = "openid,profile,w_member_social";
const ORGANIZATION: &str = "r_organization_social w_organization_social rw_organization_admin";
const REVOKED: &str =
    r#"{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN","message":"revoked"}"#;

fn provider(kind: Kind) -> LinkedInProvider {
    let app = |id: &str| Some((id.to_owned(), "canary-secret".to_owned().into()));
    LinkedInProvider {
        kind,
        member: app("m"),
        organization: app("o"),
        oauth: "https://www.linkedin.com".parse().unwrap(),
        api: "https://api.linkedin.com".parse().unwrap(),
        version: "202608".into(),
        waits: [Duration::ZERO; 4],
    }
}

/// A LinkedIn that grants these scopes, and calls a token revoked for its first `stale` reads.
fn linkedin(scopes: &'static str, stale: usize) -> Net<'static> {
    let left = AtomicUsize::new(stale);
    Net::new(move |request| {
        let path = request.uri().path().to_owned();
        if path.starts_with("/rest/") {
            assert_eq!(request.headers()["linkedin-version"], "202608");
            assert_eq!(request.headers()["x-restli-protocol-version"], "2.0.0");
        }
        let is_read = !path.starts_with("/oauth/");
        if is_read && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)).is_ok() {
            return json(401, REVOKED);
        }
        match path.as_str() {
            "/oauth/v2/accessToken" => {
                let form = fields(request);
                assert!(form.contains(&("code".into(), "canary-code".into())), "{form:?}");
                assert!(form.contains(&("client_secret".into(), "canary-secret".into())), "{form:?}");
                json(
                    200,
                    &format!(r#"{{"access_token":"canary-token","expires_in":5184000,"scope":"{scopes}"}}"#),
                )
            }
            "/v2/userinfo" => json(200, r#"{"sub":"782bbtaQ","name":"Test Member","locale":"en"}"#),
            "/rest/organizationAcls" => json(
                200,
                r#"{"elements":[
                    {"role":"ADMINISTRATOR","organization":"urn:li:organization:1","roleAssignee":"urn:li:person:p","state":"APPROVED"},
                    {"role":"CONTENT_ADMIN","organizationTarget":"urn:li:organization:2","roleAssignee":"urn:li:person:p","state":"APPROVED"},
                    {"role":"ANALYST","organization":"urn:li:organization:3","roleAssignee":"urn:li:person:p","state":"APPROVED"},
                    {"role":"ADMINISTRATOR","organization":"urn:li:organization:4","state":"REQUESTED"}]}"#,
            ),
            "/rest/organizations/1" => json(200, r#"{"localizedName":"Acme","vanityName":"acme-bakery"}"#),
            "/rest/organizations/2" => json(200, r#"{"localizedName":"Acme Café"}"#),
            "/oauth/v2/revoke" => json(200, "{}"),
            other => panic!("{other}"),
        }
    })
}

async fn connect(
    net: &Net<'_>,
    kind: Kind,
    query: &str,
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
    let started = provider(kind).begin(tools, ask).unwrap();
    let asked = started.authorize_url.as_str();
    let scopes = provider(kind).scopes().iter().map(|it| it.scope).collect::<Vec<_>>().join("%20");
    assert!(asked.starts_with("https://www.linkedin.com/oauth/v2/authorization?"), "{asked}");
    assert!(asked.ends_with(&format!("&scope={scopes}")), "{asked}");
    let state = started.authorize_url.query_pairs().find(|it| it.0 == "state").unwrap().1.into_owned();
    let back = CallbackParams::from_query(&format!("{query}&state={state}")).unwrap();
    super::super::Provider::LinkedIn(Box::new(provider(kind))).finish(tools, started.pending, &back).await
}

#[tokio::test]
async fn a_code_becomes_a_members_account_though_the_token_is_too_fresh_at_first() {
    for stale in [0, 4] {
        let net = linkedin(MEMBER, stale);
        let found = connect(&net, Kind::Member, "code=canary-code", None).await.unwrap();
        let it = &found[0];
        assert_eq!(it.found.remote_id, "urn:li:person:782bbtaQ");
        assert_eq!(
            (it.found.display_name.as_str(), it.found.tier.as_deref()),
            ("Test Member", Some("member"))
        );
        assert_eq!(it.scopes, ["openid", "profile", "w_member_social"]);
        assert_eq!(it.grant.expires_at, Some(instant(5_184_000)));
        assert!(it.grant.refresh.is_none() && !format!("{found:?}").contains("canary"), "{found:?}");
        assert_eq!(net.calls().len(), 2 + stale);
    }
    // Revoked for longer than that is revoked; the token is handed back.
    let net = linkedin(MEMBER, 5);
    assert_eq!(connect(&net, Kind::Member, "code=canary-code", None).await.unwrap_err().code(), "refused");
    assert!(net.calls().last().unwrap().ends_with("/oauth/v2/revoke"));
}

#[tokio::test]
async fn every_page_on_which_the_person_may_post_is_found_and_no_other() {
    let net = linkedin(ORGANIZATION, 1);
    let found = connect(&net, Kind::Organization, "code=canary-code", None).await.unwrap();
    let names: Vec<_> =
        found.iter().map(|it| (it.found.remote_id.as_str(), it.found.username.as_str())).collect();
    assert_eq!(names, [("urn:li:organization:1", "acme-bakery"), ("urn:li:organization:2", "Acme Café")]);
    assert!(found[0].grant.shares_consent(&found[1].grant), "one person's consent opens both");
    let net = linkedin(ORGANIZATION, 0);
    let one = connect(&net, Kind::Organization, "code=canary-code", Some("urn:li:organization:2")).await;
    assert_eq!(one.unwrap().len(), 1);
    let other = connect(&net, Kind::Organization, "code=canary-code", Some("urn:li:organization:9")).await;
    assert!(matches!(other.unwrap_err(), AuthError::OtherAccount { .. }));
}

#[tokio::test]
async fn what_the_network_refuses_is_told_in_words_that_help() {
    let net = linkedin("openid", 0);
    let error = connect(&net, Kind::Member, "code=canary-code", None).await.unwrap_err();
    assert_eq!(error.code(), "missing_scope");
    let nobody = Net::silent();
    for (query, code) in [
        ("error=user_cancelled_login", "access_denied"),
        ("error=user_cancelled_authorize&error_description=no", "access_denied"),
        ("error=unauthorized_scope_error&error_description=Scope", "setup"),
    ] {
        let error = connect(&nobody, Kind::Member, query, None).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    for (status, body, code) in [
        (400, r#"{"error":"invalid_request","error_description":"expired canary-code"}"#, "code_refused"),
        (401, r#"{"error":"invalid_client","error_description":"canary-secret"}"#, "client_refused"),
    ] {
        let net = Net::new(move |_| json(status, body));
        let error = connect(&net, Kind::Member, "code=canary-code", None).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

fn grant(client_id: &str, refresh: Option<&str>) -> Grant {
    let body = serde_json::json!({ "access_token": "canary-token", "expires_in": 60, "refresh_token": refresh,
        "refresh_token_expires_in": 31_536_000 });
    grant_of(&body, client_id, vec!["openid".into()], instant(0)).unwrap()
}

#[tokio::test]
async fn a_token_is_given_back_to_the_app_that_it_came_through() {
    let (closed, random) = (Net::silent(), noise(1));
    for (client, answer, result) in [
        ("o", Some(200), RevocationResult::Done),
        ("m", Some(404), RevocationResult::NotPossible),
        ("m", Some(500), RevocationResult::Failed),
        ("gone", None, RevocationResult::NotPossible),
    ] {
        let net = Net::new(move |_| json(answer.unwrap(), "{}"));
        let lines = provider(Kind::Member).revoke(tools(&net, &closed, &random), &grant(client, None)).await;
        assert_eq!((lines.len(), lines[0].result), (1, result), "{lines:?}");
        assert_eq!(lines[0].hint.is_some(), result != RevocationResult::Done);
        for request in net.requests() {
            assert!(fields(&request).contains(&("client_id".into(), client.into())));
        }
    }
}

#[tokio::test]
async fn only_a_partners_token_is_renewed_and_its_end_does_not_move() {
    let (closed, random) = (Net::silent(), noise(1));
    let silent = Net::silent();
    let member = provider(Kind::Member);
    let error = member.refresh(tools(&silent, &closed, &random), &grant("m", None)).await.unwrap_err();
    assert!(matches!(error, RefreshError::Dead { .. }));
    let net = Net::new(|_| json(200, r#"{"access_token":"canary-next","expires_in":5184000}"#));
    let before = grant("m", Some("canary-refresh"));
    let fresh = member.refresh(tools(&net, &closed, &random), &before).await.unwrap();
    assert_eq!(fresh.access.expose(), "canary-next");
    assert_eq!(fresh.grant_expires_at, before.grant_expires_at);
    assert!(fresh.refresh.is_some());
    let net = Net::new(|_| json(400, r#"{"error":"invalid_request","error_description":"revoked"}"#));
    let error = member.refresh(tools(&net, &closed, &random), &before).await.unwrap_err();
    assert!(matches!(error, RefreshError::Dead { .. }), "{error}");
}

#[tokio::test]
async fn a_token_is_asked_about_in_its_apps_name_and_an_end_that_is_not_said_is_the_one_known() {
    let (closed, random) = (Net::silent(), noise(1));
    let ask = async |client: &str, status: u16, body: &'static str| {
        let net = Net::new(move |_| json(status, body));
        let said = provider(Kind::Member).inspect(tools(&net, &closed, &random), &grant(client, None)).await;
        for request in net.requests() {
            let sent = fields(&request);
            assert!(sent.contains(&("client_id".into(), client.into())), "{sent:?}");
            assert!(sent.contains(&("token".into(), "canary-token".into())), "{sent:?}");
        }
        assert!(!format!("{said:?}").contains("canary"), "{said:?}");
        said
    };
    let good = ask("o", 200, r#"{"active":true,"status":"active","expires_at":1800000000}"#).await;
    let good = good.unwrap().unwrap();
    assert_eq!((good.is_valid, good.said.as_deref()), (true, Some("active")));
    assert_eq!(good.expires_at.unwrap().as_second(), 1_800_000_000);
    let gone = ask("m", 200, r#"{"active":false,"status":"revoked canary-token"}"#).await.unwrap().unwrap();
    assert!(!gone.is_valid && gone.said.unwrap().starts_with("revoked"));
    assert_eq!(gone.expires_at, grant("m", None).expires_at);
    for (status, body) in
        [(200, "{}"), (200, "[]"), (401, r#"{"error":"invalid_client"}"#), (500, "canary-token")]
    {
        assert!(
            ask("m", status, body).await.unwrap().is_err(),
            "{status} {body}: it said nothing of the token"
        );
    }
    assert!(ask("another app's", 200, "{}").await.is_none());
}
