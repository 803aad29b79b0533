//! Meta's callbacks as they arrive: what reaches the door, and what the answer is.

use super::*;

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

async fn post(server: &Running, path: &str, head: &str, body: &str) -> String {
    let (host, length) = (&server.host, body.len());
    server
        .raw(format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}"
        ))
        .await
}

#[tokio::test]
async fn a_callback_is_handed_over_and_answered_as_meta_wants_it() {
    let server = Running::https().await;
    let removed = post(&server, "/meta/facebook/deauthorize", FORM, "signed_request=a.b%3D").await;
    assert_eq!((status(&removed), body(&removed)), (200, ""));
    let deletion = post(&server, "/meta/facebook/data-deletion", FORM, "signed_request=c.d").await;
    assert_eq!((status(&deletion), header(&deletion, "content-type")), (200, Some("application/json")));
    let said: serde_json::Value = serde_json::from_str(body(&deletion)).unwrap();
    let url = "https://post.example.org/deletion/c0de";
    assert_eq!(said, serde_json::json!({ "url": url, "confirmation_code": "c0de" }));
    assert_eq!(server.asked(), ["hear facebook Deauthorize a.b=", "hear facebook DataDeletion c.d"]);
    for ask in ["deauthorize", "data-deletion"] {
        let path = format!("/meta/facebook/{ask}");
        let no = post(&server, &path, FORM, "signed_request=no").await;
        assert_eq!((status(&no), body(&no)), (400, "refused\n"));
        let later = post(&server, &path, FORM, "signed_request=later").await;
        assert_eq!((status(&later), header(&later, "retry-after")), (503, Some("60")));
    }
    let quote = post(&server, "/meta/facebook/data-deletion", FORM, "signed_request=quote").await;
    assert_eq!(status(&quote), 500, "nothing that needs quoting goes into an address");
}

#[tokio::test]
async fn an_app_without_a_secret_is_nowhere_and_what_is_no_form_never_reaches_the_door() {
    let server = Running::https().await;
    let strip = |it: &str| it.lines().filter(|it| !it.starts_with("date:")).collect::<Vec<_>>().join("\n");
    let model = strip(&post(&server, "/nothing", FORM, "signed_request=a.b").await);
    for path in ["/meta/instagram/deauthorize", "/meta/threads/data-deletion", "/meta/x/deauthorize"] {
        // Not even by its limits can it be told from what is not there.
        for body in ["signed_request=a.b", "", "x"] {
            assert_eq!(strip(&post(&server, path, FORM, body).await), model, "{path} {body}");
        }
    }
    for (head, body) in [("", "signed_request=a.b"), (FORM, ""), (FORM, "other=1")] {
        let answer = post(&server, "/meta/facebook/deauthorize", head, body).await;
        assert_eq!((status(&answer), header(&answer, "connection")), (400, Some("close")), "{head}{body}");
    }
    let large = post(&server, "/meta/facebook/deauthorize", FORM, &"a".repeat(64 * 1024 + 1)).await;
    assert_eq!(status(&large), 400);
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn callbacks_and_the_page_behind_a_code_are_rationed() {
    let mut config = config("https://post.example.org");
    config.limits.per_minute = 2;
    let server = Running::start(config, Script::default()).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(status(&post(&server, "/meta/facebook/deauthorize", FORM, "signed_request=no").await));
    }
    codes.push(status(&server.ask("GET", "/deletion/c0de", "").await));
    assert_eq!(codes, [400, 400, 429, 429]);
    assert_eq!(status(&post(&server, "/meta/threads/deauthorize", FORM, "a=b").await), 404);
}

const WEBHOOK: &str = "/webhooks/tiktok";

#[tokio::test]
async fn a_webhook_is_handed_over_as_it_came_with_its_one_signature() {
    let server = Running::https().await;
    let told = post(&server, WEBHOOK, "tiktok-signature: t=1,s=ab\r\n", "{ \"a\": 1}").await;
    assert_eq!((status(&told), body(&told)), (200, ""));
    assert_eq!(server.asked(), ["told t=1,s=ab { \"a\": 1}"]);
    let no = post(&server, WEBHOOK, "TikTok-Signature: no\r\n", "{}").await;
    assert_eq!((status(&no), header(&no, "connection")), (403, Some("close")));
    let later = post(&server, WEBHOOK, "TikTok-Signature: later\r\n", "{}").await;
    assert_eq!((status(&later), header(&later, "retry-after")), (503, Some("60")));
    let before = server.asked().len();
    for head in ["", "tiktok-signature: a\r\ntiktok-signature: b\r\n", "x-signature: a\r\n"] {
        assert_eq!(status(&post(&server, WEBHOOK, head, "{}").await), 403, "{head}");
    }
    let large = "a".repeat(64 * 1024 + 1);
    assert_eq!(status(&post(&server, WEBHOOK, "tiktok-signature: a\r\n", &large).await), 400);
    let strip = |it: &str| it.lines().filter(|it| !it.starts_with("date:")).collect::<Vec<_>>().join("\n");
    let nothing = strip(&server.ask("GET", "/nothing", "").await);
    assert_eq!(strip(&server.ask("GET", WEBHOOK, "").await), nothing, "nobody looks at it");
    let nothing = strip(&post(&server, "/nothing", "tiktok-signature: a\r\n", "{}").await);
    for path in ["/webhooks/tiktok/", "/webhooks/x", "/webhooks", "/webhooks/%74iktok", "//webhooks/tiktok"] {
        assert_eq!(strip(&post(&server, path, "tiktok-signature: a\r\n", "{}").await), nothing, "{path}");
    }
    assert_eq!(server.asked().len(), before);
    // Without a secret to check it with there is no such place.
    let none = Running::start(config("https://post.example.org"), Script { sick: true, ..Script::default() });
    let none = none.await;
    for head in ["", "tiktok-signature: a\r\n"] {
        assert_eq!(strip(&post(&none, WEBHOOK, head, "{}").await), nothing);
    }
    assert_eq!(none.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_signed_is_rationed_and_keeps_nothing_out_that_is_signed() {
    let mut config = config("https://post.example.org");
    config.limits.per_minute = 2;
    let server = Running::start(config, Script::default()).await;
    let mut codes = Vec::new();
    for head in ["no\r\n", "", "no\r\n", "yes\r\n"] {
        let head = if head.is_empty() { String::new() } else { format!("tiktok-signature: {head}") };
        codes.push(status(&post(&server, WEBHOOK, &head, "{}").await));
    }
    assert_eq!(codes, [403, 403, 429, 200]);
}

#[tokio::test]
async fn the_page_behind_a_code_is_plain_and_shows_no_markup_of_others() {
    let server = Running::https().await;
    let page = server.ask("GET", "/deletion/c0de", "").await;
    assert_eq!((status(&page), header(&page, "content-type")), (200, Some("text/html; charset=utf-8")));
    let text = body(&page);
    assert!(
        text.contains("<h1>&lt;b&gt;Done&lt;/b&gt;</h1>")
            && text.contains("<p>One &amp; all.</p>\n<p>Two.</p>")
    );
    assert!(text.contains("aria-label=\"Something is left to do\"") && !text.contains("terminal"), "{text}");
    let head = server.ask("HEAD", "/deletion/c0de", "").await;
    assert_eq!((status(&head), body(&head)), (200, ""));
}

#[tokio::test]
async fn legal_pages_name_who_runs_this_and_are_nowhere_while_nobody_does() {
    let mut own = config("https://post.example.org");
    own.verification_files.insert("terms".into(), "our own terms".into());
    let server = Running::start(own, Script::default()).await;
    for path in ["/privacy", "/data-deletion"] {
        let page = server.ask("GET", path, "").await;
        assert_eq!((status(&page), header(&page, "content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(
            body(&page).contains("Acme &amp; Sons") && body(&page).contains("privacy@acme.example"),
            "{page}"
        );
    }
    assert_eq!(body(&server.ask("GET", "/terms", "").await), "our own terms");
    let nobody =
        Running::start(config("https://post.example.org"), Script { sick: true, ..Script::default() });
    let nobody = nobody.await;
    for path in ["/privacy", "/terms", "/data-deletion"] {
        let answer = nobody.ask("GET", path, "").await;
        assert_eq!((status(&answer), body(&answer)), (404, "not found\n"), "{path}");
    }
}
