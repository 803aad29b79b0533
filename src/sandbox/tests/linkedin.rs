//! LinkedIn's stand-in, driven as an honest and as a hostile client.

mod strict;

use reqwest::Response;
use serde_json::{Value, json};

use super::{Stage, film, landed, read, stage, stage_with};
use crate::sandbox::facebook::SECRET;
use crate::sandbox::linkedin::{CLIENT, ORGANIZATION_CLIENT};

const REDIRECT: &str = "https://post.example.org/oauth/linkedin/callback";
const MEMBER: &str = "openid profile w_member_social";
const PAGES: &str = "r_organization_social w_organization_social rw_organization_admin";
const ME: &str = "urn:li:person:782bbtaQ";
const BAKERY: &str = "urn:li:organization:5515715";

async fn consent(stage: &Stage, client: &str, scope: &str, form: &[(&str, &str)]) -> Response {
    let query = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", "s"),
        ("scope", scope),
    ];
    let url = format!("{}/linkedin/oauth/v2/authorization", stage.url);
    stage.http.post(url).query(&query).form(form).send().await.unwrap()
}

async fn redeem(stage: &Stage, client: &str, code: &str, redirect: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", client),
        ("client_secret", SECRET),
        ("redirect_uri", redirect),
    ];
    let url = format!("{}/linkedin/oauth/v2/accessToken", stage.url);
    read(stage.http.post(url).form(&form).send().await.unwrap()).await
}

async fn connect(stage: &Stage, client: &str, scope: &str) -> String {
    let answer = consent(stage, client, scope, &[("decision", "allow")]).await;
    let code = landed(&answer, "code").unwrap();
    redeem(stage, client, &code, REDIRECT).await.1["access_token"].as_str().unwrap().to_owned()
}

async fn member(stage: &Stage) -> String {
    connect(stage, CLIENT, MEMBER).await
}

async fn pages(stage: &Stage) -> String {
    connect(stage, ORGANIZATION_CLIENT, PAGES).await
}

fn call(stage: &Stage, method: &str, token: &str, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}/linkedin{path}", stage.url);
    stage
        .http
        .request(method.parse().unwrap(), url)
        .bearer_auth(token)
        .header("linkedin-version", "202608")
        .header("x-restli-protocol-version", "2.0.0")
}

fn text(author: &str, commentary: &str) -> Value {
    json!({ "author": author, "commentary": commentary, "visibility": "PUBLIC",
        "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [],
            "thirdPartyDistributionChannels": [] },
        "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": false })
}

/// A post: its status, its URN, and what was said.
async fn create(stage: &Stage, token: &str, body: &Value) -> (u16, String, Value) {
    let answer = call(stage, "POST", token, "/rest/posts").json(body).send().await.unwrap();
    let urn = answer.headers().get("x-restli-id").map_or("", |it| it.to_str().unwrap()).to_owned();
    let (status, said) = read(answer).await;
    (status, urn, said)
}

fn png() -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 64).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

async fn begin(stage: &Stage, token: &str, noun: &str, about: &Value) -> (u16, Value) {
    let path = format!("/rest/{noun}?action=initializeUpload");
    let body = json!({ "initializeUploadRequest": about });
    read(call(stage, "POST", token, &path).json(&body).send().await.unwrap()).await
}

async fn put(stage: &Stage, address: &Value, token: Option<&str>, bytes: Vec<u8>) -> Response {
    let request =
        stage.http.put(address.as_str().unwrap()).header("content-type", "application/octet-stream");
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.body(bytes).send().await.unwrap()
}

/// A picture that is ready.
async fn picture(stage: &Stage, token: &str, owner: &str) -> Value {
    let (_, made) = begin(stage, token, "images", &json!({ "owner": owner })).await;
    let sent = put(stage, &made["value"]["uploadUrl"], Some(token), png()).await;
    assert_eq!(sent.status(), 201);
    stage.clock.forward(5);
    made["value"]["image"].clone()
}

#[tokio::test]
async fn a_code_works_once_for_its_own_app_and_a_member_grants_all_or_nothing() {
    let stage = stage().await;
    let allow = [("decision", "allow")];
    let code = landed(&consent(&stage, CLIENT, MEMBER, &allow).await, "code").unwrap();
    assert_eq!(redeem(&stage, CLIENT, &code, "https://evil.example/").await.0, 400);
    assert_eq!(redeem(&stage, CLIENT, &code, REDIRECT).await.0, 400, "it is spent by now");
    let code = landed(&consent(&stage, CLIENT, MEMBER, &allow).await, "code").unwrap();
    assert_eq!(redeem(&stage, ORGANIZATION_CLIENT, &code, REDIRECT).await.0, 400);
    let code = landed(&consent(&stage, CLIENT, MEMBER, &allow).await, "code").unwrap();
    stage.clock.forward(1_800);
    assert_eq!(redeem(&stage, CLIENT, &code, REDIRECT).await.0, 400, "too late");
    let denied = consent(&stage, CLIENT, MEMBER, &[("decision", "deny")]).await;
    assert_eq!(landed(&denied, "error").unwrap(), "user_cancelled_authorize");
    let odd = consent(&stage, CLIENT, PAGES, &allow).await;
    assert_eq!(landed(&odd, "error").unwrap(), "unauthorized_scope_error");
    let fewer = consent(&stage, CLIENT, MEMBER, &[("decision", "allow"), ("scope", "openid")]).await;
    assert_eq!(fewer.status(), 400);
}

#[tokio::test]
async fn a_token_lives_sixty_days_unless_it_is_revoked_or_other_scopes_are_asked_for() {
    let stage = stage().await;
    let token = member(&stage).await;
    let me = async |token: &str| read(call(&stage, "GET", token, "/v2/userinfo").send().await.unwrap()).await;
    assert_eq!(me(&token).await.1["sub"], "782bbtaQ");
    let again = member(&stage).await;
    assert_eq!(me(&token).await.0, 200, "the same scopes leave it be");
    let wider = connect(&stage, CLIENT, "openid profile email w_member_social").await;
    assert_eq!(me(&again).await.1["serviceErrorCode"], 65_601);
    let form = [("client_id", CLIENT), ("client_secret", SECRET), ("token", wider.as_str())];
    let oauth = async |what: &str| {
        let url = format!("{}/linkedin/oauth/v2/{what}", stage.url);
        read(stage.http.post(url).form(&form).send().await.unwrap()).await
    };
    assert_eq!(oauth("introspectToken").await.1["active"], true);
    stage.clock.forward(5_184_000);
    assert_eq!(me(&wider).await.1["code"], "EXPIRED_ACCESS_TOKEN");
    let form_status = oauth("introspectToken").await.1;
    assert_eq!((&form_status["active"], &form_status["status"]), (&json!(false), &json!("expired")));
    assert_eq!(oauth("revoke").await.0, 200);
    assert_eq!(me(&wider).await.1["code"], "REVOKED_ACCESS_TOKEN");
    assert_eq!(me("nonsense").await.1["serviceErrorCode"], 65_600);
}

#[tokio::test]
async fn every_call_names_its_version_and_protocol_and_encodes_its_urns() {
    let stage = stage().await;
    let token = member(&stage).await;
    let url = format!("{}/linkedin/rest/posts", stage.url);
    let bare = || stage.http.post(&url).bearer_auth(&token).json(&text(ME, "x"));
    assert_eq!(read(bare().send().await.unwrap()).await.1["code"], "VERSION_MISSING");
    let old = bare().header("linkedin-version", "202504").header("x-restli-protocol-version", "2.0.0");
    let (status, said) = read(old.send().await.unwrap()).await;
    assert_eq!((status, &said["code"]), (426, &json!("NONEXISTENT_VERSION")));
    assert_eq!(read(bare().header("linkedin-version", "202608").send().await.unwrap()).await.0, 400);
    let raw = call(&stage, "DELETE", &token, "/rest/posts/urn:li:share:1").send().await.unwrap();
    assert_eq!(raw.status(), 400);
    let gone = call(&stage, "DELETE", &token, "/rest/posts/urn%3Ali%3Ashare%3A1").send().await.unwrap();
    assert_eq!(gone.status(), 204, "gone already is as good");
}

#[tokio::test]
async fn a_text_is_cut_where_it_was_not_escaped_and_its_words_are_refused_for_ten_minutes() {
    let stage = stage().await;
    let token = member(&stage).await;
    let (status, urn, said) = create(&stage, &token, &text(ME, r"Open \(daily\) #bread")).await;
    assert_eq!((status, said), (201, json!("")));
    assert!(urn.starts_with("urn:li:share:"), "{urn}");
    let (status, _, said) = create(&stage, &token, &text(ME, r"Open \(daily\) #bread")).await;
    assert_eq!((status, said["message"].as_str().unwrap().ends_with(&urn)), (422, true));
    assert!(stage.running.refusals().is_empty(), "a repeat after a lost answer is no fault");
    stage.clock.forward(600);
    assert_eq!(create(&stage, &token, &text(ME, r"Open \(daily\) #bread")).await.0, 201);
    assert_eq!(create(&stage, &token, &text(ME, "Open (daily)")).await.0, 201);
    assert!(stage.last_refusal().contains("cut off"));
    let shown: Vec<_> = stage.running.published().into_iter().map(|it| it.text).collect();
    assert_eq!(shown, ["Open (daily) #bread", "Open (daily) #bread", "Open "]);
    let page =
        read(stage.http.get(format!("{}/linkedin/feed/update/{urn}/", stage.url)).send().await.unwrap());
    assert!(page.await.1.as_str().unwrap().contains("Open (daily) #bread"));
}

#[tokio::test]
async fn what_no_document_lists_is_refused() {
    let stage = stage().await;
    let token = member(&stage).await;
    let with = |name: &str, value: Value| {
        let mut body = text(ME, "x");
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = text(ME, "x");
        body.as_object_mut().unwrap().remove(name);
        body
    };
    for (body, status, code) in [
        (with("invented", json!(1)), 422, Value::Null),
        (without("distribution"), 400, json!("MISSING_FIELD")),
        (with("visibility", json!("EVERYBODY")), 400, json!("INVALID_VALUE_FOR_FIELD")),
        (with("lifecycleState", json!("DRAFT")), 400, json!("INVALID_VALUE_FOR_FIELD")),
        (with("commentary", json!("a".repeat(3_001))), 400, json!("FIELD_LENGTH_TOO_LONG")),
        (with("commentary", json!(" ")), 400, json!("INVALID_VALUE_BLANK_FIELD")),
        (with("author", json!(BAKERY)), 403, json!("ACCESS_DENIED")),
        (with("content", json!({ "media": { "id": "urn:li:image:none" } })), 400, json!("INVALID_URN_ID")),
        (
            with("content", json!({ "article": { "source": "https://a.example" } })),
            400,
            json!("MISSING_FIELD"),
        ),
    ] {
        let (found, _, said) = create(&stage, &token, &body).await;
        assert_eq!((found, &said["code"]), (status, &code), "{body} {said}");
    }
    assert!(stage.running.published().is_empty());
}

#[tokio::test]
async fn files_need_their_token_their_time_and_their_owner() {
    let stage = stage().await;
    let token = member(&stage).await;
    let (_, made) = begin(&stage, &token, "images", &json!({ "owner": ME })).await;
    let address = &made["value"]["uploadUrl"];
    assert_eq!(put(&stage, address, None, png()).await.status(), 403);
    let image = |urn: &Value| {
        let mut body = text(ME, "A picture");
        body["content"] = json!({ "media": { "id": urn, "altText": "A loaf" } });
        body
    };
    let post = async |urn: &Value| create(&stage, &token, &image(urn)).await.2["code"].clone();
    assert_eq!(post(&made["value"]["image"]).await, "MEDIA_ASSET_WAITING_UPLOAD");
    assert_eq!(put(&stage, address, Some(&token), png()).await.status(), 201);
    assert_eq!(post(&made["value"]["image"]).await, "MEDIA_ASSET_PROCESSING");
    stage.clock.forward(2);
    assert_eq!(create(&stage, &token, &image(&made["value"]["image"])).await.0, 201);
    // Members' tokens may not ask how far a file is.
    let status = format!("/rest/images/{}", made["value"]["image"].as_str().unwrap().replace(':', "%3A"));
    assert_eq!(call(&stage, "GET", &token, &status).send().await.unwrap().status(), 403);
    // An address ends, and what is no picture fails when it is worked on.
    let (_, late) = begin(&stage, &token, "images", &json!({ "owner": ME })).await;
    stage.clock.forward(3_600);
    let ended = read(put(&stage, &late["value"]["uploadUrl"], Some(&token), png()).await).await;
    assert_eq!(ended.1["code"], "EXPIRED_UPLOAD_URL");
    let (_, odd) = begin(&stage, &token, "documents", &json!({ "owner": ME })).await;
    put(&stage, &odd["value"]["uploadUrl"], Some(&token), b"no PDF".to_vec()).await;
    stage.clock.forward(5);
    let mut body = text(ME, "A deck");
    body["content"] = json!({ "media": { "id": odd["value"]["document"], "title": "deck.pdf" } });
    assert_eq!(create(&stage, &token, &body).await.2["code"], "MEDIA_ASSET_PROCESSING_FAILED");
}

#[tokio::test]
async fn several_pictures_are_two_to_twenty() {
    let stage = stage().await;
    let token = member(&stage).await;
    let one = picture(&stage, &token, ME).await;
    let two = picture(&stage, &token, ME).await;
    let of = |urns: &[&Value]| {
        let images: Vec<_> = urns.iter().map(|it| json!({ "id": it })).collect();
        let mut body = text(ME, &format!("{} pictures", urns.len()));
        body["content"] = json!({ "multiImage": { "images": images } });
        body
    };
    assert_eq!(create(&stage, &token, &of(&[&one])).await.0, 400);
    assert_eq!(create(&stage, &token, &of(&[&one, &two])).await.0, 201);
    assert_eq!(stage.running.published()[0].alts.len(), 2);
}

#[tokio::test]
async fn a_film_is_put_together_from_its_pieces_in_their_order() {
    let stage = stage().await;
    let token = pages(&stage).await;
    let mut film = film::film(film::Shape::default());
    film.resize((4 << 20) + 80_000, 7);
    let about = |size: usize| json!({ "owner": BAKERY, "fileSizeBytes": size, "uploadCaptions": false, "uploadThumbnail": false });
    assert_eq!(begin(&stage, &token, "videos", &about(9)).await.0, 400);
    let (_, made) = begin(&stage, &token, "videos", &about(film.len())).await;
    let steps = made["value"]["uploadInstructions"].as_array().unwrap();
    let mut tags = Vec::new();
    for step in steps {
        let (first, last) = (step["firstByte"].as_u64().unwrap(), step["lastByte"].as_u64().unwrap());
        let (first, end) = (usize::try_from(first).unwrap(), usize::try_from(last).unwrap() + 1);
        assert_eq!(put(&stage, &step["uploadUrl"], None, film[first + 1..end].to_vec()).await.status(), 400);
        let sent = put(&stage, &step["uploadUrl"], None, film[first..end].to_vec()).await;
        tags.push(sent.headers()["etag"].to_str().unwrap().to_owned());
    }
    let finish = async |tags: &[String]| {
        let body = json!({ "finalizeUploadRequest": { "video": made["value"]["video"], "uploadToken": "",
            "uploadedPartIds": tags } });
        call(&stage, "POST", &token, "/rest/videos?action=finalizeUpload")
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
    };
    let backwards: Vec<_> = tags.iter().rev().cloned().collect();
    assert_eq!(finish(&backwards).await, 400);
    assert_eq!(finish(&tags).await, 200);
    let urn = made["value"]["video"].as_str().unwrap().replace(':', "%3A");
    let state = async || {
        read(call(&stage, "GET", &token, &format!("/rest/videos/{urn}")).send().await.unwrap()).await
    };
    assert_eq!(state().await.1["status"], "PROCESSING");
    stage.clock.forward(5);
    assert_eq!(state().await.1["status"], "AVAILABLE");
    let mut body = text(BAKERY, "A film");
    body["content"] = json!({ "media": { "id": made["value"]["video"], "title": "Oven" } });
    let (status, urn, _) = create(&stage, &token, &body).await;
    assert!(status == 201 && urn.starts_with("urn:li:ugcPost:"), "{status} {urn}");
}

#[tokio::test]
async fn pages_are_found_and_their_posts_read_and_members_posts_are_not() {
    let stage = stage().await;
    let (me, token) = (member(&stage).await, pages(&stage).await);
    let acls = async |token: &str| {
        let path = "/rest/organizationAcls?q=roleAssignee&state=APPROVED";
        read(call(&stage, "GET", token, path).send().await.unwrap()).await
    };
    assert_eq!(acls(&me).await.0, 403);
    assert_eq!(acls(&token).await.1["elements"].as_array().unwrap().len(), 2);
    let (_, urn, _) = create(&stage, &token, &text(BAKERY, "Hello")).await;
    create(&stage, &me, &text(ME, "Hello")).await;
    let list = async |token: &str, author: &str, finder: bool| {
        let path = format!("/rest/posts?q=author&author={}&count=10", author.replace(':', "%3A"));
        let request = call(&stage, "GET", token, &path);
        let request = if finder { request.header("x-restli-method", "FINDER") } else { request };
        read(request.send().await.unwrap()).await
    };
    assert_eq!(list(&token, BAKERY, false).await.0, 400);
    assert_eq!(list(&token, BAKERY, true).await.1["elements"][0]["id"], urn);
    assert_eq!(list(&me, ME, true).await.0, 403);
    let path = format!("/rest/posts/{}?viewContext=AUTHOR", urn.replace(':', "%3A"));
    let shown = read(call(&stage, "GET", &token, &path).send().await.unwrap()).await.1;
    assert_eq!(shown["lifecycleState"], "PUBLISHED");
    assert_eq!(call(&stage, "DELETE", &me, &path).send().await.unwrap().status(), 400, "an odd parameter");
    let path = path.split('?').next().unwrap().to_owned();
    assert_eq!(call(&stage, "DELETE", &me, &path).send().await.unwrap().status(), 403);
    assert_eq!(call(&stage, "DELETE", &token, &path).send().await.unwrap().status(), 204);
    assert_eq!(call(&stage, "GET", &token, &path).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_comment_stands_under_its_post_and_goes_with_it() {
    let stage = stage().await;
    let token = member(&stage).await;
    let (_, urn, _) = create(&stage, &token, &text(ME, "Hello")).await;
    let path = format!("/rest/socialActions/{}/comments", urn.replace(':', "%3A"));
    let body = |object: &str| json!({ "actor": ME, "object": object, "message": { "text": "First (!)" } });
    let comment =
        async |body: &Value| read(call(&stage, "POST", &token, &path).json(body).send().await.unwrap()).await;
    assert_eq!(comment(&body("urn:li:share:1")).await.0, 404);
    let (status, made) = comment(&body(&urn)).await;
    assert!(status == 201 && made["commentUrn"].as_str().unwrap().contains(&urn), "{made}");
    assert_eq!(stage.running.published()[1].parent.as_ref(), Some(&urn));
    let gone = format!("/rest/posts/{}", urn.replace(':', "%3A"));
    call(&stage, "DELETE", &token, &gone).send().await.unwrap();
    assert!(stage.running.published().iter().all(|it| it.deleted.is_some()));
}

#[tokio::test]
async fn a_member_has_150_calls_a_day_and_no_answer_says_when_they_are_back() {
    let stage = stage().await;
    let token = member(&stage).await;
    let me = async || call(&stage, "GET", &token, "/v2/userinfo").send().await.unwrap();
    for _ in 0..150 {
        assert_eq!(me().await.status(), 200);
    }
    let limited = me().await;
    assert_eq!(limited.status(), 429);
    assert!(limited.headers().get("retry-after").is_none());
    stage.clock.forward(86_400);
    assert_eq!(me().await.status(), 200);
}

#[tokio::test]
async fn faults_of_its_own_are_for_it_alone() {
    let faults = "linkedin.userinfo=too_fresh,linkedin.create=sunset,linkedin.create=publish_failed";
    let stage = stage_with(faults).await;
    let token = pages(&stage).await;
    let me = member(&stage).await;
    let first = read(call(&stage, "GET", &me, "/v2/userinfo").send().await.unwrap()).await;
    assert_eq!((first.0, &first.1["serviceErrorCode"]), (401, &json!(65_601)));
    assert_eq!(call(&stage, "GET", &me, "/v2/userinfo").send().await.unwrap().status(), 200);
    assert_eq!(create(&stage, &token, &text(BAKERY, "Hello")).await.0, 426);
    let (status, urn, _) = create(&stage, &token, &text(BAKERY, "Hello")).await;
    assert_eq!(status, 201, "taken as ever");
    let path = format!("/rest/posts/{}", urn.replace(':', "%3A"));
    let shown = read(call(&stage, "GET", &token, &path).send().await.unwrap()).await.1;
    assert_eq!(shown["lifecycleState"], "PUBLISH_FAILED");
    stage.running.inject("linkedin.comment=denied".parse().unwrap());
    let path = format!("/rest/socialActions/{}/comments", urn.replace(':', "%3A"));
    assert_eq!(call(&stage, "POST", &token, &path).json(&json!({})).send().await.unwrap().status(), 403);
    assert!("x.create=sunset".parse::<crate::sandbox::Faults>().is_err());
}
