//! What LinkedIn's stand-in refuses: each rule of its documents, broken once.

use serde_json::{Value, json};

use super::{
    BAKERY, ME, Stage, begin, call, create, film, member, pages, picture, png, put, read, stage, text,
};

/// A member's post with this content.
fn with(content: &Value) -> Value {
    let mut body = text(ME, "Which?");
    body["content"] = content.clone();
    body
}

async fn said(stage: &Stage, token: &str, body: &Value) -> (u16, Value) {
    let (status, _, said) = create(stage, token, body).await;
    (status, said["code"].clone())
}

#[tokio::test]
async fn each_rule_of_a_post_is_kept() {
    let stage = stage().await;
    let token = member(&stage).await;
    let loaf = picture(&stage, &token, ME).await;
    let base = |name: &str, value: Value| {
        let mut body = text(ME, "x");
        body[name] = value;
        body
    };
    let invalid = || (400, json!("INVALID_VALUE_FOR_FIELD"));
    let missing = || (400, json!("MISSING_FIELD"));
    let long = || (400, json!("FIELD_LENGTH_TOO_LONG"));
    let blank = || (400, json!("INVALID_VALUE_BLANK_FIELD"));
    let unknown = || (422, Value::Null);
    let kind = || (400, json!("INVALID_URN_TYPE"));
    let name = || (400, json!("INVALID_URN_ID"));
    let images = |n: usize| json!({ "multiImage": { "images": vec![json!({ "id": loaf }); n] } });
    let card = |field: &str, value: Value| {
        let mut card = json!({ "source": "https://example.org/", "title": "A" });
        card[field] = value;
        with(&json!({ "article": card }))
    };
    for (body, refusal) in [
        (base("author", json!("782bbtaQ")), name()),
        (base("author", json!("urn:li:share:1")), kind()),
        (base("commentary", json!(7)), invalid()),
        (base("commentary", json!("🍞".repeat(1_501))), long()),
        (base("visibility", json!(["PUBLIC"])), invalid()),
        (base("distribution", json!({ "feedDistribution": "EVERYWHERE" })), invalid()),
        (base("distribution", json!({ "targetEntities": [] })), missing()),
        (base("distribution", json!({ "feedDistribution": "NONE", "odd": 1 })), unknown()),
        (base("distribution", json!({ "feedDistribution": "NONE", "targetEntities": {} })), invalid()),
        (base("isReshareDisabledByAuthor", json!("false")), invalid()),
        (base("reshareContext", json!({ "parent": "urn:li:activity:1" })), kind()),
        (base("reshareContext", json!({ "parent": "urn:li:share:1" })), name()),
        (base("reshareContext", json!({ "parent": "urn:li:share:1", "root": "urn:li:share:1" })), unknown()),
        (with(&json!({})), invalid()),
        (
            with(
                &json!({ "media": { "id": loaf }, "article": { "source": "https://a.example", "title": "A" } }),
            ),
            invalid(),
        ),
        (with(&json!({ "carousel": {} })), unknown()),
        (with(&json!({ "media": { "title": "A loaf" } })), missing()),
        (with(&json!({ "media": { "id": "urn:li:person:1" } })), kind()),
        (with(&json!({ "media": { "id": loaf, "altText": "a".repeat(4_087) } })), long()),
        (with(&json!({ "media": { "id": loaf, "altText": 1 } })), invalid()),
        (with(&json!({ "media": { "id": loaf, "title": " " } })), blank()),
        (with(&json!({ "media": { "id": "urn:li:document:D" } })), missing()),
        (with(&images(1)), invalid()),
        (with(&images(21)), invalid()),
        (with(&json!({ "multiImage": { "images": [{ "id": loaf }, { "id": "urn:li:video:V" }] } })), kind()),
        (
            with(&json!({ "multiImage": { "images": [{ "id": loaf }, { "id": loaf, "title": "A" }] } })),
            unknown(),
        ),
        (with(&json!({ "article": { "source": "https://example.org/" } })), missing()),
        (card("title", json!(" ")), blank()),
        (card("source", json!("example.org")), invalid()),
        (card("description", json!(1)), invalid()),
        (card("thumbnail", json!("urn:li:video:V")), kind()),
        (card("thumbnail", json!("urn:li:image:none")), name()),
    ] {
        let what = body.to_string();
        assert_eq!(said(&stage, &token, &body).await, refusal, "{}", &what[..what.len().min(300)]);
    }
    assert!(stage.running.published().is_empty());
    // What is right at the edge is taken.
    for (n, body) in [
        base("commentary", json!("a".repeat(3_000))),
        with(&json!({ "media": { "id": loaf, "altText": "a".repeat(4_086) } })),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(create(&stage, &token, &body).await.0, 201, "{n}");
    }
}

#[tokio::test]
async fn a_poll_asks_one_question_with_two_to_four_answers_for_so_many_days() {
    let stage = stage().await;
    let token = member(&stage).await;
    let choices = |all: &[&str]| all.iter().map(|it| json!({ "text": it })).collect::<Vec<_>>();
    let poll = |question: &str, all: &[&str], duration: &str| {
        with(&json!({ "poll": { "question": question, "options": choices(all),
            "settings": { "duration": duration } } }))
    };
    let (long, longer) = ("q".repeat(141), "c".repeat(31));
    for body in [
        poll("Which?", &["Rye"], "ONE_DAY"),
        poll("Which?", &["1", "2", "3", "4", "5"], "ONE_DAY"),
        poll("Which?", &["Rye", ""], "ONE_DAY"),
        poll("Which?", &["Rye", &longer], "ONE_DAY"),
        poll("", &["Rye", "Spelt"], "ONE_DAY"),
        poll(&long, &["Rye", "Spelt"], "ONE_DAY"),
        poll("Which?", &["Rye", "Spelt"], "ONE_WEEK"),
        with(&json!({ "poll": { "question": "Which?", "options": choices(&["a", "b"]) } })),
        with(
            &json!({ "poll": { "question": "Which?", "options": ["a", "b"], "settings": { "duration": "ONE_DAY" } } }),
        ),
    ] {
        assert_eq!(create(&stage, &token, &body).await.0, 400, "{body}");
    }
    let best = poll(&long[1..], &["Rye & spelt", &longer[1..]], "FOURTEEN_DAYS");
    let (status, urn, _) = create(&stage, &token, &best).await;
    assert_eq!(status, 201);
    let page = stage.http.get(format!("{}/linkedin/feed/update/{urn}/", stage.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("poll: qqq")
            && page.contains("Rye &amp; spelt / ccc")
            && page.contains("(fourteen days)")
    );
}

#[tokio::test]
async fn no_call_passes_without_its_headers_its_parameters_and_its_kind_of_body() {
    let stage = stage().await;
    let token = pages(&stage).await;
    let paths = [
        ("POST", "/rest/posts"),
        ("POST", "/rest/images?action=initializeUpload"),
        ("POST", "/rest/videos?action=finalizeUpload"),
        ("GET", "/rest/videos/urn%3Ali%3Avideo%3AV"),
        ("GET", "/rest/posts?q=author"),
        ("GET", "/rest/posts/urn%3Ali%3Ashare%3A1"),
        ("POST", "/rest/posts/urn%3Ali%3Ashare%3A1"),
        ("DELETE", "/rest/posts/urn%3Ali%3Ashare%3A1"),
        ("POST", "/rest/socialActions/urn%3Ali%3Ashare%3A1/comments"),
        ("GET", "/rest/organizationAcls?q=roleAssignee"),
    ];
    for (method, path) in paths {
        let url = format!("{}/linkedin{path}", stage.url);
        let bare = || stage.http.request(method.parse().unwrap(), &url).bearer_auth(&token);
        let none = bare().header("x-restli-protocol-version", "2.0.0").send().await.unwrap();
        assert_eq!(read(none).await.1["code"], "VERSION_MISSING", "{path}");
        let months = [("202604", 426), ("2026-08", 426), ("202608", 400)];
        for (version, status) in months {
            let protocol = if status == 400 { "1.0.0" } else { "2.0.0" };
            let odd =
                bare().header("linkedin-version", version).header("x-restli-protocol-version", protocol);
            assert_eq!(odd.send().await.unwrap().status(), status, "{path} {version}");
        }
        let odd = format!("{path}{}odd=1", if path.contains('?') { '&' } else { '?' });
        let answer = call(&stage, method, &token, &odd)
            .header("x-restli-method", "FINDER")
            .json(&json!({}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{odd}");
    }
    let words = text(BAKERY, "x").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = call(&stage, "POST", &token, "/rest/posts").header("content-type", kind);
        assert_eq!(request.body(words.clone()).send().await.unwrap().status(), 400, "{kind}");
    }
    let list = "/rest/posts?q=author&author=urn%3Ali%3Aorganization%3A5515715";
    for odd in ["&count=0", "&count=101", "&start=x", "&sortBy=OLDEST"] {
        let request =
            call(&stage, "GET", &token, &format!("{list}{odd}")).header("x-restli-method", "FINDER");
        assert_eq!(request.send().await.unwrap().status(), 400, "{odd}");
    }
    let (_, urn, _) = create(&stage, &token, &text(BAKERY, "x")).await;
    let path = format!("/rest/posts/{}", urn.replace(':', "%3A"));
    let odd = call(&stage, "GET", &token, &format!("{path}?viewContext=NOBODY")).send().await.unwrap();
    assert_eq!(odd.status(), 400);
    for (method, header) in [("DELETE", "PARTIAL_UPDATE"), ("POST", "DELETE"), ("POST", "")] {
        let request = call(&stage, method, &token, &path).header("x-restli-method", header);
        let request = request.json(&json!({ "patch": { "$set": { "commentary": "y" } } }));
        assert_eq!(request.send().await.unwrap().status(), 400, "{method} {header}");
    }
    assert_eq!(stage.running.published()[0].text, "x");
    for urn in ["urn%3Ali%3Aactivity%3A1", "urn%3Ali%3Acomment%3A1", "urn%3Ali%3Ashare%3Ax"] {
        let gone = call(&stage, "DELETE", &token, &format!("/rest/posts/{urn}")).send().await.unwrap();
        assert_eq!(gone.status(), 400, "{urn}");
    }
}

#[tokio::test]
async fn words_are_changed_by_their_owner_and_nothing_else_is() {
    let stage = stage().await;
    let (me, token) = (member(&stage).await, pages(&stage).await);
    let (_, urn, _) = create(&stage, &token, &text(BAKERY, "Fresh bred")).await;
    let path = format!("/rest/posts/{}", urn.replace(':', "%3A"));
    let update = async |token: &str, path: &str, set: &Value| {
        let request = call(&stage, "POST", token, path).header("x-restli-method", "PARTIAL_UPDATE");
        let body = json!({ "patch": { "$set": set } });
        read(request.json(&body).send().await.unwrap()).await.0
    };
    for (set, status) in [
        (json!({}), 400),
        (json!({ "commentary": " " }), 400),
        (json!({ "commentary": "a".repeat(3_001) }), 400),
        (json!({ "commentary": 1 }), 400),
        (json!({ "visibility": "PUBLIC" }), 422),
        (json!({ "commentary": "x", "content": {} }), 422),
    ] {
        assert_eq!(update(&token, &path, &set).await, status, "{set}");
    }
    let good = json!({ "commentary": r"Fresh bread \(warm\)" });
    assert_eq!(update(&me, &path, &good).await, 403);
    assert_eq!(update(&token, "/rest/posts/urn%3Ali%3Ashare%3A1", &good).await, 404);
    assert_eq!(stage.running.published()[0].text, "Fresh bred");
    for _ in 0..2 {
        assert_eq!(update(&token, &path, &good).await, 204, "twice is as good as once");
    }
    assert_eq!(stage.running.published()[0].text, "Fresh bread (warm)");
    assert_eq!(update(&token, &path, &json!({ "commentary": "Cut (off)" })).await, 204);
    assert!(stage.last_refusal().contains("cut off"));
}

/// A film in so many bytes.
fn filled(shape: film::Shape, bytes: usize) -> Vec<u8> {
    let mut film = film::film(shape);
    let more = u32::try_from(bytes - film.len()).unwrap();
    film.extend(more.to_be_bytes());
    film.extend(b"free");
    film.resize(bytes, 0);
    film
}

async fn finish(stage: &Stage, token: &str, ask: &Value) -> u16 {
    let body = json!({ "finalizeUploadRequest": ask });
    let request = call(stage, "POST", token, "/rest/videos?action=finalizeUpload").json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_film_is_whole_of_its_size_and_named_by_its_pieces() {
    let stage = stage().await;
    let token = pages(&stage).await;
    let about = |size: Value| json!({ "owner": BAKERY, "fileSizeBytes": size, "uploadCaptions": false, "uploadThumbnail": false });
    for size in [json!(74_999), json!(500_000_001), json!("90000"), json!(90_000.5)] {
        assert_eq!(begin(&stage, &token, "videos", &about(size.clone())).await.0, 400, "{size}");
    }
    let mut odd = about(json!(90_000));
    odd["uploadCaptions"] = json!("false");
    assert_eq!(begin(&stage, &token, "videos", &odd).await.0, 400);
    odd.as_object_mut().unwrap().remove("uploadCaptions");
    assert_eq!(begin(&stage, &token, "videos", &odd).await.1["code"], "MISSING_FIELD");
    assert_eq!(begin(&stage, &token, "images", &about(json!(90_000))).await.0, 422, "a picture has no size");
    assert_eq!(begin(&stage, &token, "videos", &json!({ "owner": ME })).await.0, 400);

    let film = filled(film::Shape::default(), 90_000);
    let (_, made) = begin(&stage, &token, "videos", &about(json!(film.len()))).await;
    let (video, address) = (&made["value"]["video"], &made["value"]["uploadInstructions"][0]["uploadUrl"]);
    let ids = |ids: Value| json!({ "video": video, "uploadToken": "", "uploadedPartIds": ids });
    assert_eq!(finish(&stage, &token, &ids(json!(["\"x\""]))).await, 400, "no piece is there");
    let typed = stage.http.put(address.as_str().unwrap()).header("content-type", "video/mp4");
    assert_eq!(typed.body(film.clone()).send().await.unwrap().status(), 400);
    assert_eq!(put(&stage, address, None, film[1..].to_vec()).await.status(), 400, "too short");
    assert_eq!(put(&stage, address, None, [&film[..], b"x"].concat()).await.status(), 400, "too long");
    let sent = put(&stage, address, None, film.clone()).await;
    let tag = sent.headers()["etag"].to_str().unwrap().to_owned();
    for odd in [json!([]), json!([tag.trim_matches('"')]), json!([tag, tag]), json!([tag, 1]), json!(tag)] {
        assert_eq!(finish(&stage, &token, &ids(odd.clone())).await, 400, "{odd}");
    }
    let mut other = ids(json!([tag]));
    other["uploadToken"] = json!("mine");
    assert_eq!(finish(&stage, &token, &other).await, 400);
    other["uploadToken"] = Value::Null;
    assert_eq!(finish(&stage, &token, &other).await, 400);
    assert_eq!(finish(&stage, &token, &ids(json!([tag]))).await, 200);
    let before = stage.running.refusals().len();
    assert_eq!(put(&stage, address, Some(&token), film).await.status(), 200);
    assert_eq!(stage.running.refusals().len(), before + 1);
    assert!(stage.last_refusal().contains("a token came with a piece"));
    // Too late to be put together.
    let (_, late) = begin(&stage, &token, "videos", &about(json!(90_000))).await;
    stage.clock.forward(3_600);
    let ask = json!({ "video": late["value"]["video"], "uploadToken": "", "uploadedPartIds": ["\"x\""] });
    assert_eq!(finish(&stage, &token, &ask).await, 400);
    assert!(stage.last_refusal().is_empty() || !stage.last_refusal().contains("a part is missing"));
}

#[tokio::test]
async fn what_is_in_a_file_shows_when_it_is_worked_on() {
    let stage = stage().await;
    let token = pages(&stage).await;
    let shape = film::Shape { width: 2_400, height: 1_000, ms: 3_000, ..film::Shape::default() };
    for (shape, state) in [
        (shape, "AVAILABLE"),
        (film::Shape { brand: *b"qt  ", ..shape }, "PROCESSING_FAILED"),
        (film::Shape { ms: 2_999, ..shape }, "PROCESSING_FAILED"),
        (film::Shape { ms: 1_800_001, ..shape }, "PROCESSING_FAILED"),
        (film::Shape { width: 2_401, ..shape }, "PROCESSING_FAILED"),
        (film::Shape { width: 1_000, height: 2_401, ..shape }, "PROCESSING_FAILED"),
    ] {
        let film = filled(shape, 80_000);
        let about = json!({ "owner": BAKERY, "fileSizeBytes": film.len(), "uploadCaptions": false, "uploadThumbnail": false });
        let (_, made) = begin(&stage, &token, "videos", &about).await;
        let sent = put(&stage, &made["value"]["uploadInstructions"][0]["uploadUrl"], None, film).await;
        let tag = sent.headers()["etag"].to_str().unwrap();
        let ask = json!({ "video": made["value"]["video"], "uploadToken": "", "uploadedPartIds": [tag] });
        assert_eq!(finish(&stage, &token, &ask).await, 200);
        assert_eq!(worked_on(&stage, &token, "videos", &made["value"]["video"]).await, state, "{}", shape.ms);
    }
    let pdf =
        |pages: usize| [b"%PDF-1.4\n<</Type/Pages>>", "<</Type /Page>>".repeat(pages).as_bytes()].concat();
    let gif = |frames: usize| {
        let mut out = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut out, 30);
        let frame = || image::Frame::new(image::RgbaImage::new(2, 2));
        encoder.encode_frames((0..frames).map(|_| frame())).unwrap();
        drop(encoder);
        out
    };
    for (noun, bytes, state) in [
        ("documents", pdf(300), "AVAILABLE"),
        ("documents", pdf(301), "PROCESSING_FAILED"),
        ("documents", b"PK\x03\x04 slides".to_vec(), "AVAILABLE"),
        ("documents", png(), "PROCESSING_FAILED"),
        ("images", gif(250), "AVAILABLE"),
        ("images", gif(251), "PROCESSING_FAILED"),
        ("images", pdf(1), "PROCESSING_FAILED"),
    ] {
        let (_, made) = begin(&stage, &token, noun, &json!({ "owner": BAKERY })).await;
        assert_eq!(put(&stage, &made["value"]["uploadUrl"], Some(&token), bytes).await.status(), 201);
        let urn = &made["value"][noun.trim_end_matches('s')];
        assert_eq!(worked_on(&stage, &token, noun, urn).await, state, "{noun}");
    }
}

/// What the API says of a file after a while.
async fn worked_on(stage: &Stage, token: &str, noun: &str, urn: &Value) -> Value {
    stage.clock.forward(5);
    let path = format!("/rest/{noun}/{}", urn.as_str().unwrap().replace(':', "%3A"));
    read(call(stage, "GET", token, &path).send().await.unwrap()).await.1["status"].clone()
}
