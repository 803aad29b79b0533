//! Too much, too long, too often, too slow.

use super::*;

#[tokio::test]
async fn oversize_heads_targets_and_bodies_are_refused() {
    let server = Running::https().await;
    let fits = format!("/oauth/x/callback?code={}", "a".repeat(4000));
    assert_eq!(status(&server.ask("GET", &fits, "").await), 303);
    for (target, headers) in [
        (format!("/oauth/x/callback?code={}", "a".repeat(4096)), String::new()),
        ("/healthz".to_owned(), format!("x: {}\r\n", "a".repeat(16 << 10))),
        ("/healthz".to_owned(), format!("x: {}\r\n", "a".repeat(200 << 10))),
        ("/healthz".to_owned(), "x: y\r\n".repeat(63)),
        ("/healthz".to_owned(), "x: y\r\n".repeat(1000)),
        ("/healthz".to_owned(), "content-length: 65537\r\n".to_owned() + "\r\n" + &"a".repeat(65537)),
        (
            "/healthz".to_owned(),
            "transfer-encoding: chunked\r\n\r\n".to_owned()
                + &format!("1000\r\n{}\r\n", "a".repeat(4096)).repeat(17)
                + "0\r\n",
        ),
    ] {
        let before = server.asked().len();
        let answer = server.ask("GET", &target, &headers).await;
        // A peer that is still writing may see a reset instead of the answer.
        assert!(matches!(status(&answer), 0 | 400..=499), "{headers:.40}: {answer}");
        assert_eq!(server.asked().len(), before);
    }
    let body = "content-length: 65536\r\n\r\n".to_owned() + &"a".repeat(65536);
    let answer = server
        .raw(format!("GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{body}", server.host))
        .await;
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn bytes_of_a_body_are_never_read_as_a_request() {
    let server = Running::https().await;
    let inner = format!("GET /connect/good HTTP/1.1\r\nhost: {}\r\n\r\n", server.host);
    for lines in [
        format!("content-length: {}\r\ncontent-length: 0\r\n", inner.len()),
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", inner.len()),
        "transfer-encoding: chunked\r\ncontent-length: 0\r\n".to_owned(),
        "transfer-encoding: identity, chunked, gzip\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "content-length: +5\r\n".to_owned(),
        "content-length: 5, 5\r\n".to_owned(),
        "content-length : 5\r\n".to_owned(),
        " content-length: 5\r\n".to_owned(),
        "content-length: 0x5\r\n".to_owned(),
        "content-length: 99999999999999999999\r\n".to_owned(),
        format!("content-length: {}\r\n", inner.len()),
    ] {
        server
            .raw(format!(
                "POST /nothing HTTP/1.1\r\nhost: {}\r\n{lines}connection: close\r\n\r\n{inner}",
                server.host
            ))
            .await;
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_shown_the_door() {
    let mut config = config("https://post.example.org");
    config.limits.head_time = Duration::from_millis(50);
    config.limits.body_time = Duration::from_millis(50);
    let server = Running::start(config, Script::default()).await;
    // Each of these waits for the server to close; if it did not, the test would never end.
    for beginning in [
        "",
        "GET /healthz HT",
        "GET /healthz HTTP/1.1\r\nhost: post.exa",
        "GET /healthz HTTP/1.1\r\nhost: post.example.org\r\ncontent-length: 5\r\n\r\nabc",
        "GET /healthz HTTP/1.1\r\nhost: post.example.org\r\n\r\n", // answered, then idle
    ] {
        server.raw(beginning).await;
    }
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_the_next_is_closed() {
    let mut config = config("https://post.example.org");
    config.limits.connections_per_address = 3;
    let server = Running::start(config, Script::default()).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // An answer proves that the connection is counted.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: post.example.org\r\n\r\n").await.unwrap();
        let mut buffer = [0; 2048];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(server.ask("GET", "/healthz", "").await, "");
    // One that ends makes room for another.
    let mut last = held.pop().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: post.example.org\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    last.read_to_end(&mut Vec::new()).await.unwrap();
    drop(last);
    while status(&server.ask("GET", "/healthz", "").await) != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn start_links_and_callbacks_are_rationed_per_client_and_health_is_not() {
    let mut config = config("https://post.example.org");
    config.limits.per_minute = 5;
    config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    config.clock = Arc::new(Still);
    let server = Running::start(config, Script::default()).await;
    let from = |ip: &str| format!("x-forwarded-for: 6.6.6.6, {ip}\r\n");
    for n in 0..8 {
        let path = ["/connect/old", "/oauth/x/callback?error=1", "/oauth/x/callback"][n % 3];
        let answer = server.ask("GET", path, &from("198.51.100.1")).await;
        assert_eq!(status(&answer) == 429, n >= 5, "{n}: {answer}");
        if n >= 5 {
            assert_eq!(header(&answer, "retry-after"), Some("60"));
        }
    }
    assert_eq!(server.asked().len(), 5);
    assert_eq!(status(&server.ask("GET", "/connect/old", &from("198.51.100.2")).await), 410);
    assert_eq!(status(&server.ask("GET", "/healthz", &from("198.51.100.1")).await), 200);
}
