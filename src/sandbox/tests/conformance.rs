//! X's answers against X's own OpenAPI document, and what Meta's stand-ins take against Meta's generated
//! specifications, where these are at hand: they may not be shipped with the product. `SENDOFF_CONFORMANCE` names the directory that holds `data/`, by
//! default `../shared/platforms` beside the sources.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::x::{connect, create, get, post, upload};
use super::{PNG, read, stage};

pub(super) fn document(name: &str) -> Option<Value> {
    let base = std::env::var_os("SENDOFF_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/platforms"), PathBuf::from);
    let file = base.join(name);
    let Ok(text) = std::fs::read_to_string(&file) else {
        let ci = std::env::var_os("CI").is_some_and(|it| it == "true");
        assert!(!ci, "no {}: under CI it has to be there", file.display());
        println!("skipped: no {}; set SENDOFF_CONFORMANCE", file.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn spec() -> Option<Value> {
    document("data/x-openapi.json")
}

/// Parameters of containers that no stand-in has a use for.
const LEFT_OUT: [&str; 3] = ["audio_configuration", "is_poll_duration_extended", "poll_attachment"];

#[test]
fn metas_stand_ins_take_no_parameter_that_the_specification_does_not_list() {
    let Some(spec) = document("meta-graph-spec.json") else { return };
    let listed = |id: &str| -> Vec<&str> {
        let all = spec["endpoints"].as_array().unwrap();
        let row = all.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no endpoint `{id}`"));
        let names = |of: &str| row[of].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
        names("params").chain(names("supplement_params")).collect()
    };
    let mut odd = Vec::new();
    for (id, own) in crate::sandbox::facebook::lists().into_iter().chain(crate::sandbox::instagram::lists()) {
        let there = listed(id);
        odd.extend(own.iter().filter(|it| !there.contains(it)).map(|it| format!("{id}: {it}")));
        if id == "ig_user.media.create" {
            let missing: Vec<&str> = there.into_iter().filter(|it| !own.contains(it)).collect();
            assert!(missing.iter().all(|it| LEFT_OUT.contains(it)), "{missing:?}");
        }
    }
    assert_eq!(odd, Vec::<String>::new());
}

/// OpenAPI 3.0 says `nullable` where JSON Schema says a second type.
fn widened(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        if map.remove("nullable") == Some(Value::Bool(true))
            && let Some(Value::String(kind)) = map.get("type").cloned()
        {
            map.insert("type".to_owned(), json!([kind, "null"]));
        }
        map.values_mut().for_each(widened);
    } else if let Some(all) = value.as_array_mut() {
        all.iter_mut().for_each(widened);
    }
}

fn check(spec: &Value, schema: &str, answer: &Value) {
    let mut document = spec.clone();
    widened(&mut document);
    document["$ref"] = format!("#/components/schemas/{schema}").into();
    let validator = jsonschema::validator_for(&document).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(answer).map(|it| format!("{} at {}", it, it.instance_path())).collect();
    assert!(faults.is_empty(), "{schema}: {faults:?}\n{answer:#}");
}

#[tokio::test]
async fn answers_of_x_fit_its_openapi_document() {
    let Some(spec) = spec() else { return };
    let stage = stage().await;
    let grant = connect(&stage).await;
    let (_, me) = get(&stage, &grant, "users/me?user.fields=created_at,profile_image_url,protected,subscription_type,verified,verified_type").await;
    check(&spec, "GetUsersMeResponse", &me);
    let (_, file) = upload(&stage, &grant, PNG).await;
    check(&spec, "MediaUploadResponse", &file);
    let body =
        json!({ "text": "see https://example.com & more", "media": { "media_ids": [file["data"]["id"]] } });
    let (_, made) = create(&stage, &grant, &body).await;
    check(&spec, "CreatePostsResponse", &made);
    let id = made["data"]["id"].as_str().unwrap();
    let reply = json!({ "text": "two", "reply": { "in_reply_to_tweet_id": id } });
    create(&stage, &grant, &reply).await;
    for names in ["tweet.fields", "post.fields"] {
        let fields = format!(
            "{names}=attachments,author_id,conversation_id,created_at,entities,lang,\
                              non_public_metrics,referenced_tweets,reply_settings,source"
        );
        // The old vocabulary counts `retweet_count`, which 2.167 no longer knows.
        let fields = if names == "post.fields" { format!("{fields},public_metrics") } else { fields };
        let user = me["data"]["id"].as_str().unwrap();
        let (status, line) = get(&stage, &grant, &format!("users/{user}/tweets?{fields}")).await;
        assert_eq!((status, line["data"].as_array().unwrap().len()), (200, 2));
        check(&spec, "GetUsersPostsResponse", &line);
        check(&spec, "GetPostsByIdResponse", &get(&stage, &grant, &format!("tweets/{id}?{fields}")).await.1);
    }
    check(&spec, "GetPostsByIdsResponse", &get(&stage, &grant, &format!("tweets?ids={id},42")).await.1);
    check(&spec, "GetPostsByIdResponse", &get(&stage, &grant, "tweets/42").await.1);
    let (_, invalid) = post(&stage, &grant, "").await;
    check(&spec, "InvalidRequestProblem", &invalid);
    let url = format!("{}/x/2/tweets/", stage.url);
    let delete = |id: &str| stage.http.delete(format!("{url}{id}")).bearer_auth(&grant.access).send();
    check(&spec, "DeletePostsResponse", &read(delete(id).await.unwrap()).await.1);
    check(&spec, "ResourceNotFoundProblem", &read(delete("42").await.unwrap()).await.1);
}

#[test]
fn the_check_itself_can_fail() {
    let Some(spec) = spec() else { return };
    let wrong = json!({ "data": { "id": 5, "text": "a" } });
    assert!(std::panic::catch_unwind(|| check(&spec, "CreatePostsResponse", &wrong)).is_err());
}

/// Every body that differs from a good one in one place: a field too many, one too few, another kind of value.
fn spoilt(value: &Value) -> Vec<Value> {
    let mut all =
        vec![Value::Null, json!(1), json!(1.5), json!(true), json!(""), json!("x"), json!([]), json!({})];
    all.push(json!("a".repeat(5_000)));
    match value {
        Value::Object(map) => {
            let with = |name: &str, inner: Value| {
                let mut whole = map.clone();
                whole.insert(name.to_owned(), inner);
                Value::Object(whole)
            };
            all.push(with("invented", json!(1)));
            for (name, inner) in map {
                let mut less = map.clone();
                less.remove(name);
                all.push(Value::Object(less));
                all.extend(spoilt(inner).into_iter().map(|it| with(name, it)));
            }
        }
        Value::Array(list) => {
            all.push(Value::Array(list.iter().cycle().take(list.len() * 21).cloned().collect()));
            all.push(Value::Array(list.iter().take(1).cloned().collect()));
            for (n, inner) in list.iter().enumerate() {
                all.extend(spoilt(inner).into_iter().map(|it| {
                    let mut whole = list.clone();
                    whole[n] = it;
                    Value::Array(whole)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn linkedins_stand_in_takes_no_body_that_the_composed_document_does_not_take() {
    let Some(spec) = document("data/linkedin-openapi.composed.json") else { return };
    let schema = |operation: &str| {
        let mut all =
            spec["paths"].as_object().unwrap().values().flat_map(|it| it.as_object().unwrap().values());
        let found = all.find(|it| it["operationId"] == operation).unwrap();
        jsonschema::validator_for(&found["requestBody"]["content"]["application/json"]["schema"]).unwrap()
    };
    let owner = "urn:li:organization:5515715";
    let post = |content: Option<Value>| {
        let mut body = json!({ "author": owner, "commentary": "Words", "visibility": "PUBLIC",
            "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [],
                "thirdPartyDistributionChannels": [] },
            "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": false,
            "reshareContext": { "parent": "urn:li:share:7" } });
        if let Some(content) = content {
            body["content"] = content;
        }
        body
    };
    let image = json!({ "id": "urn:li:image:C4", "altText": "A loaf" });
    let rows = [
        ("createPost", post(None)),
        ("createPost", post(Some(json!({ "media": image })))),
        ("createPost", post(Some(json!({ "media": { "id": "urn:li:video:C5", "title": "Oven" } })))),
        ("createPost", post(Some(json!({ "multiImage": { "images": [image, image] } })))),
        (
            "createPost",
            post(Some(json!({ "article": { "source": "https://example.org/", "title": "A",
            "description": "B", "thumbnail": "urn:li:image:C4" } }))),
        ),
        (
            "createPost",
            post(Some(json!({ "poll": { "question": "Which?", "settings": { "duration": "ONE_DAY" },
            "options": [{ "text": "Rye" }, { "text": "Spelt" }] } }))),
        ),
        (
            "updatePost",
            json!({ "patch": { "$set": { "commentary": "Words", "contentLandingPage": "x",
            "contentCallToActionLabel": "y" } } }),
        ),
        (
            "createComment",
            json!({ "actor": owner, "object": "urn:li:share:7", "parentComment": "c",
            "message": { "text": "First!", "attributes": [] }, "content": [] }),
        ),
        ("imagesAction", json!({ "initializeUploadRequest": { "owner": owner } })),
        ("documentsAction", json!({ "initializeUploadRequest": { "owner": owner } })),
        (
            "videosAction",
            json!({ "initializeUploadRequest": { "owner": owner, "fileSizeBytes": 90_000,
            "uploadCaptions": false, "uploadThumbnail": false } }),
        ),
        (
            "videosAction",
            json!({ "finalizeUploadRequest": { "video": "urn:li:video:C5", "uploadToken": "",
            "uploadedPartIds": ["\"tag\""] } }),
        ),
    ];
    let (mut judged, mut odd) = (0, Vec::new());
    for (operation, good) in rows {
        let schema = schema(operation);
        assert!(schema.is_valid(&good) && crate::sandbox::linkedin::takes(operation, &good), "{good}");
        for bad in spoilt(&good).into_iter().filter(|it| !schema.is_valid(it)) {
            judged += 1;
            if crate::sandbox::linkedin::takes(operation, &bad) {
                odd.push(format!("{operation}: {}", bad.to_string().chars().take(400).collect::<String>()));
            }
        }
    }
    assert_eq!(odd, Vec::<String>::new());
    assert!(judged > 1_000, "{judged}");
}
