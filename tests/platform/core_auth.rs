//! Sign-in with X, LinkedIn and TikTok: every call of it against their specifications (X's own, and those
//! composed from the documents of the other two), from the link that a person opens to the end of the access.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use sendoff::auth::linkedin::{FRESH_WAITS, LinkedInProvider};
use sendoff::auth::tiktok::TikTokProvider;
use sendoff::auth::x::XProvider;
use sendoff::auth::{App, Begin, CallbackParams, Provider, Tools};
use sendoff::domain::kind::Kind;
use sendoff::domain::reach::Reach;
use sendoff::http::{Exchange, ExchangeError};
use serde_json::{Map, Value, json};
use url::Url;

/// Three networks that grant everything, and keep what they were asked.
#[derive(Default)]
struct Network(Mutex<Vec<Request<Bytes>>>);

#[async_trait]
impl Exchange for Network {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ExchangeError> {
        let url = url(&request.uri().to_string());
        let ok =
            |data: Value| json!({ "data": data, "error": { "code": "ok", "message": "", "log_id": "1" } });
        let token = |scope: &str| {
            json!({ "token_type": "bearer", "expires_in": 7200, "access_token": "act.1", "scope": scope,
                "refresh_token": "rft.1", "refresh_expires_in": 15_552_000, "refresh_token_expires_in": 31_536_000,
                "open_id": "o" })
        };
        let answer = match (url.host_str().unwrap(), url.path()) {
            ("api.x.com", "/2/oauth2/token") => {
                token("tweet.read tweet.write users.read media.write offline.access")
            }
            ("api.x.com", "/2/users/me") => json!({ "data": { "id": "1", "name": "A", "username": "acme" } }),
            ("api.x.com", "/2/oauth2/revoke") => json!({ "revoked": true }),
            ("www.linkedin.com", "/oauth/v2/accessToken") => token(
                "openid,profile,w_member_social,w_organization_social,r_organization_social,rw_organization_admin",
            ),
            ("api.linkedin.com", "/v2/userinfo") => json!({ "sub": "782bbtaQ", "name": "A" }),
            ("api.linkedin.com", "/rest/organizationAcls") => json!({ "elements": [
                { "organization": "urn:li:organization:55", "role": "ADMINISTRATOR", "state": "APPROVED",
                    "roleAssignee": "urn:li:person:782bbtaQ" }] }),
            ("api.linkedin.com", "/rest/organizations/55") => json!({ "localizedName": "Acme" }),
            ("www.linkedin.com", "/oauth/v2/introspectToken") => {
                json!({ "active": true, "status": "active" })
            }
            ("www.linkedin.com", "/oauth/v2/revoke") | ("open.tiktokapis.com", "/v2/oauth/revoke/") => {
                json!({})
            }
            ("open.tiktokapis.com", "/v2/oauth/token/") => {
                token("user.info.basic,video.upload,video.publish")
            }
            ("open.tiktokapis.com", "/v2/user/info/") => {
                ok(json!({ "user": { "open_id": "o", "union_id": "u",
                "avatar_url": "https://x/a.webp", "display_name": "A" } }))
            }
            ("open.tiktokapis.com", "/v2/post/publish/creator_info/query/") => ok(
                json!({ "creator_username": "acme", "creator_nickname": "A", "privacy_level_options": [] }),
            ),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().push(request);
        Ok(Response::new(Bytes::from(answer.to_string())))
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn x(secret: Option<&str>) -> Provider {
    Provider::X(XProvider {
        app: App { client_id: "id".into(), client_secret: secret.map(|it| it.to_owned().into()) },
        authorize: url("https://x.com/i/oauth2/authorize"),
        api: url("https://api.x.com"),
    })
}

fn linkedin(kind: Kind) -> Provider {
    let app = || Some(("id".to_owned(), "secret".to_owned().into()));
    Provider::LinkedIn(Box::new(LinkedInProvider {
        kind,
        member: app(),
        organization: app(),
        oauth: url("https://www.linkedin.com"),
        api: url("https://api.linkedin.com"),
        version: "202608".into(),
        waits: FRESH_WAITS,
    }))
}

fn tiktok(desktop: bool, reach: Reach) -> Provider {
    Provider::TikTok(TikTokProvider {
        client_key: "key".into(),
        client_secret: "secret".to_owned().into(),
        desktop,
        reach,
        authorize: url("https://www.tiktok.com"),
        api: url("https://open.tiktokapis.com"),
    })
}

/// The link that a person opens, and every call from there to the end of the access.
async fn life(provider: &Provider, back_to: &str) -> (Url, Vec<Request<Bytes>>) {
    let network = Network::default();
    let random = |buffer: &mut [u8]| buffer.fill(7);
    let now: Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
    let tools = |now| Tools { fixed: &network, guarded: &network, now, random: &random };
    let ask = Begin { redirect_uri: url(back_to), instance: None, handle: None, reconnect: None };
    let started = provider.begin(tools(now), ask).await.unwrap();
    let state = started.authorize_url.query_pairs().find(|it| it.0 == "state").unwrap().1.into_owned();
    let back = CallbackParams::from_query(&format!("code=code&state={state}")).unwrap();
    let found = provider.finish(tools(now), started.pending, &back).await.unwrap();
    let later = now + SignedDuration::from_hours(1);
    provider.refresh(tools(later), &found[0].grant).await.unwrap();
    provider.inspect(tools(later), &found[0].grant).await.transpose().unwrap();
    provider.revoke(tools(later), &found[0].grant).await;
    (started.authorize_url, network.0.into_inner().unwrap())
}

struct Spec(Value);

impl Spec {
    fn load(name: &str) -> Option<Self> {
        let path = crate::support::conformance(&format!("data/{name}"))?;
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(Self(serde_json::from_slice(&bytes).unwrap()))
    }

    /// Its flow of authorization codes: where it begins, where tokens come from, which scopes there are.
    fn flow(&self) -> &Value {
        let schemes = self.0["components"]["securitySchemes"].as_object().unwrap();
        schemes.values().map(|it| &it["flows"]["authorizationCode"]).find(|it| it.is_object()).unwrap()
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        validator.iter_errors(value).next().map_or(Ok(()), |fault| Err(format!("{fault}")))
    }

    /// The operation that a call is for, if its host, its parameters, its headers and its body fit.
    fn check(&self, call: &Request<Bytes>) -> Result<String, String> {
        let url = url(&call.uri().to_string());
        let path = &self.0["paths"][url.path()];
        let operation = &path[call.method().as_str().to_lowercase()];
        if !operation.is_object() {
            return Err(format!("no operation is {} {}", call.method(), url.path()));
        }
        let servers = [&operation["servers"], &path["servers"], &self.0["servers"]];
        let server = servers.iter().find_map(|it| it[0]["url"].as_str()).unwrap();
        if Url::parse(server).unwrap().host_str() != url.host_str() {
            return Err(format!("it is served by {server}"));
        }
        let mut left: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for param in operation["parameters"].as_array().into_iter().flatten() {
            let param = match param["$ref"].as_str() {
                Some(link) => self.0.pointer(link.trim_start_matches('#')).unwrap(),
                None => param,
            };
            let name = param["name"].as_str().unwrap();
            let value = match param["in"].as_str() {
                Some("header") => call.headers().get(name).map(|it| it.to_str().unwrap().to_owned()),
                _ => left.remove(name),
            };
            let Some(value) = value else {
                if param["required"] == true {
                    return Err(format!("`{name}` is missing"));
                }
                continue;
            };
            let value = match param["schema"]["type"].as_str() {
                Some("array") => json!(value.split(',').collect::<Vec<_>>()),
                Some("integer") => json!(value.parse::<i64>().map_err(|_| format!("`{name}` is no number"))?),
                _ => json!(value),
            };
            self.fits(&param["schema"], &value).map_err(|why| format!("`{name}`: {why}"))?;
        }
        if let Some(odd) = left.keys().next() {
            return Err(format!("`{odd}` is no parameter"));
        }
        let content = operation["requestBody"]["content"].as_object();
        match content.and_then(|it| it.iter().next()) {
            Some((kind, body)) => {
                let own = call.headers().get("content-type").map_or("", |it| it.to_str().unwrap());
                if own.split(';').next() != Some(kind.split(';').next().unwrap()) {
                    return Err(format!("the body is `{own}`, and not `{kind}`"));
                }
                let value = match kind.as_str() {
                    "application/x-www-form-urlencoded" => Value::Object(form(call)),
                    _ => serde_json::from_slice(call.body()).unwrap(),
                };
                self.fits(&body["schema"], &value)?;
            }
            // An object without a field is none.
            None if matches!(call.body().as_ref(), b"" | b"{}") => {}
            None => return Err("the operation takes no body".into()),
        }
        let id = format!("{} {}", call.method(), url.path());
        Ok(operation["operationId"].as_str().map_or(id, str::to_owned))
    }
}

fn form(call: &Request<Bytes>) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in url::form_urlencoded::parse(call.body()) {
        let twice = all.insert(name.into_owned(), value.into_owned().into());
        assert!(twice.is_none(), "a field twice: {:?}", call.uri());
    }
    all
}

/// The link's address and parameters, each once, in alphabetical order.
fn opened(link: &Url) -> (String, BTreeMap<String, String>) {
    let all: BTreeMap<String, String> = link.query_pairs().into_owned().collect();
    assert_eq!(all.len(), link.query_pairs().count(), "a parameter twice: {link}");
    let mut bare = link.clone();
    bare.set_query(None);
    (bare.to_string(), all)
}

const HTTPS: &str = "https://post.example.org/oauth/callback";
const LOOPBACK: &str = "http://127.0.0.1:8420/oauth/callback";

#[tokio::test]
async fn every_call_of_a_sign_in_with_x_is_documented() {
    let Some(spec) = Spec::load("x-openapi.json") else { return };
    for (secret, public) in [(Some("secret"), false), (None, true)] {
        let (link, calls) = life(&x(secret), LOOPBACK).await;
        let (address, mut params) = opened(&link);
        // The page as the prose has it; the specification names the API's host.
        assert_eq!(address, "https://x.com/i/oauth2/authorize");
        let scopes = params.remove("scope").unwrap();
        assert!(scopes.split(' ').all(|it| spec.flow()["scopes"][it].is_string()), "{scopes}");
        assert!(link.as_str().contains("%20") && !link.query().unwrap().contains('+'), "{link}");
        assert_eq!(params["code_challenge_method"], "S256");
        let names: Vec<&str> = params.keys().map(String::as_str).collect();
        let wanted = [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "response_type",
            "state",
        ];
        assert_eq!(names, wanted);
        let mut seen = Vec::new();
        for call in &calls {
            let path = call.uri().path();
            // The specification describes no calls for tokens: docs.x.com, OAuth 2.0, user access token.
            let form = form(call);
            let has: BTreeSet<&str> = form.keys().map(String::as_str).collect();
            let own = if public { vec!["client_id"] } else { Vec::new() };
            let wanted = match (path, form.get("grant_type").and_then(Value::as_str)) {
                ("/2/oauth2/token", Some("authorization_code")) => {
                    vec!["grant_type", "code", "redirect_uri", "code_verifier"]
                }
                ("/2/oauth2/token", Some("refresh_token")) => vec!["grant_type", "refresh_token"],
                ("/2/oauth2/revoke", None) => vec!["token"],
                _ => {
                    seen.push(spec.check(call).unwrap_or_else(|why| panic!("{}: {why}", call.uri())));
                    continue;
                }
            };
            // Where the crate names the client besides its header, X does not mind.
            let wanted: BTreeSet<&str> = wanted.into_iter().chain(own).collect();
            assert_eq!(has, wanted, "{path}, public: {public}");
            assert_eq!(call.headers().contains_key("authorization"), !public, "{path}");
            assert_eq!(spec.flow()["tokenUrl"], "https://api.x.com/2/oauth2/token");
            assert_eq!((call.method().as_str(), call.uri().host()), ("POST", Some("api.x.com")));
            seen.push(path.to_owned());
        }
        assert!(seen.iter().any(|it| it == "getUsersMe"), "{seen:?}");
        assert!(seen.iter().filter(|it| *it == "/2/oauth2/token").count() == 2, "{seen:?}");
        assert!(seen.iter().any(|it| it == "/2/oauth2/revoke"), "{seen:?}");
    }
}

#[tokio::test]
async fn every_call_of_a_sign_in_with_linkedin_is_documented() {
    let Some(spec) = Spec::load("linkedin-openapi.composed.json") else { return };
    let mut seen = BTreeSet::new();
    for (kind, scopes) in [
        (Kind::Member, "openid profile w_member_social"),
        (Kind::Organization, "w_organization_social r_organization_social rw_organization_admin"),
    ] {
        let (link, calls) = life(&linkedin(kind), HTTPS).await;
        let (address, params) = opened(&link);
        assert_eq!(Value::from(address), spec.flow()["authorizationUrl"]);
        assert_eq!(params["scope"], scopes);
        assert!(params["scope"].split(' ').all(|it| spec.flow()["scopes"][it].is_string()));
        let names: Vec<&str> = params.keys().map(String::as_str).collect();
        assert_eq!(names, ["client_id", "redirect_uri", "response_type", "scope", "state"]);
        for call in &calls {
            // In the document, and not in what was composed from it: linkedin.md, §3, "Organizations".
            if call.uri().path() == "/rest/organizations/55" {
                assert!(call.headers().contains_key("linkedin-version"));
                continue;
            }
            seen.insert(spec.check(call).unwrap_or_else(|why| panic!("{}: {why}", call.uri())));
        }
    }
    assert_eq!(seen.len(), 5, "a token, its standing, its end, and whose it is in two ways: {seen:?}");
}

#[tokio::test]
async fn every_call_of_a_sign_in_with_tiktok_is_documented() {
    let Some(spec) = Spec::load("tiktok-openapi.composed.json") else { return };
    let mut seen = BTreeSet::new();
    for desktop in [false, true] {
        for reach in [Reach::Inbox, Reach::Direct] {
            let (link, calls) = life(&tiktok(desktop, reach), if desktop { LOOPBACK } else { HTTPS }).await;
            let (address, params) = opened(&link);
            assert_eq!(Value::from(address), spec.flow()["authorizationUrl"]);
            let scopes: Vec<&str> = params["scope"].split(',').collect();
            assert!(scopes.iter().all(|it| spec.flow()["scopes"][*it].is_string()), "{scopes:?}");
            assert_eq!(scopes.contains(&"video.publish"), reach == Reach::Direct);
            let mut wanted = vec!["client_key", "redirect_uri", "response_type", "scope", "state"];
            if desktop {
                wanted.splice(1..1, ["code_challenge", "code_challenge_method"]);
                let hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
                let challenge = &params["code_challenge"];
                assert!(challenge.len() == 64 && challenge.bytes().all(hex), "{challenge}");
            }
            assert_eq!(params.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
            for call in &calls {
                seen.insert(spec.check(call).unwrap_or_else(|why| panic!("{}: {why}", call.uri())));
            }
        }
    }
    assert_eq!(seen.len(), 4, "a token, its end, whose it is, and what the creator may do: {seen:?}");
}

#[test]
fn a_parameter_that_is_missing_or_of_nobodys_is_noticed() {
    let Some(spec) = Spec::load("linkedin-openapi.composed.json") else { return };
    let call = |host: &str, form: &str| {
        let address = format!("https://{host}/oauth/v2/accessToken");
        let request = Request::post(address).header("content-type", "application/x-www-form-urlencoded");
        spec.check(&request.body(Bytes::from(form.to_owned())).unwrap())
    };
    let good = "grant_type=refresh_token&refresh_token=r&client_id=i&client_secret=s";
    assert!(call("www.linkedin.com", good).is_ok());
    assert!(call("api.linkedin.com", good).is_err());
    assert!(call("www.linkedin.com", &format!("{good}&scope=x")).is_err());
    assert!(call("www.linkedin.com", "grant_type=refresh_token&refresh_token=r&client_id=i").is_err());
    let acls = |query: &str, version: bool| {
        let mut request = Request::get(format!("https://api.linkedin.com/rest/organizationAcls?{query}"));
        if version {
            request =
                request.header("linkedin-version", "202608").header("x-restli-protocol-version", "2.0.0");
        }
        spec.check(&request.body(Bytes::new()).unwrap())
    };
    assert!(acls("q=roleAssignee&count=100", true).is_ok());
    for (query, version) in
        [("q=roleAssignee", false), ("q=me", true), ("q=roleAssignee&role2=x", true), ("", true)]
    {
        assert!(acls(query, version).is_err(), "{query}");
    }
}
