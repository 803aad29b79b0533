//! The listener as a stranger meets it: over a real socket, one byte after the other.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::clock::TestClock;

use super::*;

mod bounds;
mod callbacks;

/// Everything the door was asked, and a script of what it says.
#[derive(Default)]
struct Script {
    asked: Mutex<Vec<String>>,
    /// The cookie to hand out instead of `crumb`.
    cookie: Option<&'static str>,
    sick: bool,
}

impl Script {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

#[async_trait]
impl Door for Script {
    async fn start(&self, ticket: &str) -> Start {
        self.note(format!("start {ticket}"));
        if ticket.starts_with("good") {
            let location = "https://network.example/authorize?state=s&x=%0d%0aset-cookie:a".parse().unwrap();
            Start::Go { location, cookie: self.cookie.unwrap_or("crumb").into() }
        } else {
            Start::Gone
        }
    }

    async fn back(&self, platform: &str, query: Vec<(String, String)>, cookie: Option<String>) -> Back {
        self.note(format!("back {platform} {query:?} {cookie:?}"));
        if query.iter().any(|(name, _)| name == "code") {
            return Back::Done;
        }
        Back::Refused(Landing {
            ok: false,
            title: "Not connected".into(),
            message: query.first().map_or_else(String::new, |(_, value)| value.clone()),
            detail: None,
        })
    }

    async fn landing(&self, platform: &str, cookie: Option<String>) -> Option<Landing> {
        self.note(format!("landing {platform} {cookie:?}"));
        cookie.map(|_| Landing {
            ok: true,
            title: "x:acme is connected".into(),
            message: "Posts can be scheduled now.".into(),
            detail: Some("@acme".into()),
        })
    }

    async fn client_metadata(&self) -> Option<String> {
        Some("{\"client_id\":\"x\"}".into())
    }

    async fn hears(&self, app: PlatformName) -> bool {
        matches!(app, PlatformName::Facebook | PlatformName::TikTok) && !self.sick
    }

    async fn told(&self, signature: &str, body: &Bytes) -> webhook::Heard {
        self.note(format!("told {signature} {}", String::from_utf8_lossy(body)));
        match signature {
            "no" => webhook::Heard::No,
            "later" => webhook::Heard::NotNow,
            _ => webhook::Heard::Yes,
        }
    }

    async fn hear(&self, app: PlatformName, ask: meta::Ask, signed_request: &str) -> meta::Heard {
        self.note(format!("hear {app} {ask:?} {signed_request}"));
        match signed_request {
            "no" => meta::Heard::No,
            "later" => meta::Heard::NotNow,
            "quote" => meta::Heard::Yes("\"".into()),
            _ => meta::Heard::Yes("c0de".into()),
        }
    }

    async fn deletion(&self, code: &str) -> Option<meta::Deletion> {
        self.note(format!("deletion {code}"));
        (code == "c0de").then(|| meta::Deletion {
            standing: meta::Standing::Partly,
            title: "<b>Done</b>".into(),
            paragraphs: vec!["One & all.".into(), "Two.".into()],
            detail: "code c0de".into(),
        })
    }

    async fn operator(&self) -> Option<legal::Operator> {
        let (name, contact) = ("Acme & Sons".into(), "privacy@acme.example".into());
        (!self.sick).then_some(legal::Operator { name, contact, retention: String::new() })
    }

    async fn healthy(&self) -> bool {
        !self.sick
    }
}

struct Running {
    address: SocketAddr,
    host: String,
    door: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Result<(), WebError>>,
}

fn config(public_url: &str) -> WebConfig {
    let clock = TestClock::starting_at("2026-12-01T09:00:00Z".parse().unwrap());
    let mut config = WebConfig::new(public_url.parse().unwrap(), Arc::new(clock)).unwrap();
    config.verification_files.insert("tiktok1.txt".into(), "proof=1".into());
    // Most tests ask more than a person would.
    config.limits.per_minute = 1_000_000;
    config
}

impl Running {
    async fn start(config: WebConfig, door: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = config.public_url.host_str().unwrap().to_owned();
        let door = Arc::new(door);
        let (stop, stopped) = oneshot::channel::<()>();
        let behind: Arc<dyn Door> = Arc::clone(&door) as _;
        let task = tokio::spawn(server::serve(listener, config, behind, async {
            stopped.await.ok();
        }));
        Self { address, host, door, stop: Some(stop), task }
    }

    async fn https() -> Self {
        Self::start(config("https://post.example.org"), Script::default()).await
    }

    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse and close before it has read everything.
        stream.write_all(bytes.as_ref()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn ask(&self, method: &str, target: &str, more: &str) -> String {
        self.raw(format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{more}\r\n",
            self.host
        ))
        .await
    }

    fn asked(&self) -> Vec<String> {
        self.door.asked.lock().unwrap().clone()
    }
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |it| it.1)
}

const ROUTES: &[(&str, u16)] = &[
    ("/healthz", 200),
    ("/tiktok1.txt", 200),
    ("/oauth/bluesky/client.json", 200),
    ("/connect/good", 303),
    ("/connect/old", 410),
    ("/oauth/x/callback?code=1", 303),
    ("/oauth/x/callback?error=denied", 400),
    ("/oauth/x/callback?", 400),
    ("/oauth/x/callback", 404),
    ("/deletion/c0de", 200),
    ("/privacy", 200),
    ("/terms", 200),
    ("/data-deletion", 200),
];

const NOWHERE: &[&str] = &[
    "/",
    "//",
    "/connect",
    "/connect/",
    "/connect/a/b",
    "/connect/good/",
    "/connect/%67ood",
    "/connect/a%2fb",
    "/connect/..",
    "/Connect/good",
    "/oauth",
    "/oauth/",
    "/oauth/x",
    "/oauth/x/",
    "/oauth/x/callback/",
    "/oauth/y/callback",
    "/oauth/X/callback",
    "/oauth/%78/callback",
    "/oauth//callback",
    "/oauth/x/y/callback",
    "/oauth/callback",
    "/oauth/x/client.json",
    "/oauth/bluesky/client.json/",
    "/meta",
    "/meta/facebook",
    "/meta/facebook/deauthorize",
    "/meta/facebook/data-deletion",
    "/deletion",
    "/deletion/",
    "/deletion/other",
    "/deletion/c0de/",
    "/deletion/c%30de",
    "/healthz/",
    "/healthz.",
    "/HEALTHZ",
    "/health",
    "/metrics",
    "/v1",
    "/v1/status",
    "/admin",
    "/api",
    "/m",
    "/m/x/y",
    "/.env",
    "/.git/config",
    "/robots.txt",
    "/favicon.ico",
    "/tiktok1.txt/",
    "/tiktok1",
    "//tiktok1.txt",
    "/./tiktok1.txt",
    "/../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%c0%ae%c0%ae/etc/passwd",
    "/sendoff.redb",
    "/keyring",
    "/connect/good;a",
    "/connect/good%00",
    "/healthz%20",
    "/\\..\\x",
    "/connect/{ticket}",
];

#[tokio::test]
async fn what_is_listed_answers_and_all_else_is_the_same_not_found() {
    let server = Running::https().await;
    for (path, expected) in ROUTES {
        assert_eq!(status(&server.ask("GET", path, "").await), *expected, "{path}");
        let post = server.ask("POST", path, "content-length: 0\r\n").await;
        assert_eq!((status(&post), body(&post)), (404, "not found\n"), "{path}");
    }
    let strip = |it: &str| it.lines().filter(|it| !it.starts_with("date:")).collect::<Vec<_>>().join("\n");
    let model = strip(&server.ask("GET", "/nothing", "").await);
    assert!(model.starts_with("HTTP/1.1 404 Not Found"));
    for path in NOWHERE {
        for query in ["", "?a=b", "?code=1&state=2"] {
            let answer = server.ask("GET", &format!("{path}{query}"), "").await;
            assert_eq!(strip(&answer), model, "{path}{query}");
        }
    }
    assert!(!server.asked().iter().any(|it| it.contains("..") || it.contains('%')), "{:?}", server.asked());
}

#[tokio::test]
async fn other_methods_are_refused_everywhere() {
    let server = Running::https().await;
    let known = ROUTES.iter().map(|it| it.0);
    for path in known.chain(["/nothing"]) {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "GETT"] {
            let answer = server.ask(method, path, "").await;
            assert_eq!((status(&answer), body(&answer)), (405, "refused\n"), "{method} {path}");
        }
    }
    assert!(matches!(status(&server.ask("CONNECT", "evil.example:443", "").await), 400..=499));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn every_answer_carries_the_whole_set_of_headers() {
    let server = Running::https().await;
    let mut answers = Vec::new();
    for (path, _) in ROUTES {
        answers.push(server.ask("GET", path, "").await);
        answers.push(server.ask("HEAD", path, "").await);
    }
    answers.push(server.ask("GET", "/nothing", "").await);
    answers.push(server.ask("PUT", "/healthz", "").await);
    answers.push(server.raw("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await);
    answers.push(server.ask("GET", &format!("/{}", "a".repeat(5000)), "").await);
    for answer in &answers {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=31536000"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-robots-tag", "noindex"),
        ] {
            assert_eq!(header(answer, name), Some(value), "{name} in {answer}");
        }
        let policy = header(answer, "content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-")
                && policy.contains("frame-ancestors 'none'")
        );
        for banner in ["server", "x-powered-by", "via"] {
            assert_eq!(header(answer, banner), None, "{answer}");
        }
        assert!(!answer.to_lowercase().contains("hyper") && !answer.contains(env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn the_start_link_sets_a_host_cookie_over_https_and_a_plain_one_on_loopback() {
    let server = Running::https().await;
    let answer = server.ask("GET", "/connect/good", "").await;
    assert_eq!(
        header(&answer, "set-cookie"),
        Some("__Host-sendoff=crumb; Path=/; HttpOnly; SameSite=Lax; Max-Age=900; Secure")
    );
    let location = header(&answer, "location").unwrap();
    assert!(location.starts_with("https://network.example/authorize?state=s"), "{location}");

    let local = Running::start(config("http://127.0.0.1:8420"), Script::default()).await;
    let host = local.address;
    let answer =
        local.raw(format!("GET /connect/good HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(
        header(&answer, "set-cookie"),
        Some("sendoff=crumb; Path=/; HttpOnly; SameSite=Lax; Max-Age=900")
    );
    assert_eq!(header(&answer, "strict-transport-security"), None);
    let answer = local
        .raw(format!("GET /oauth/bluesky/client.json HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
        .await;
    assert_eq!(status(&answer), 404, "client metadata needs an https address");
}

#[tokio::test]
async fn a_look_at_a_link_does_not_spend_it() {
    let server = Running::https().await;
    for path in ["/connect/good", "/oauth/x/callback?code=1"] {
        let answer = server.ask("HEAD", path, "").await;
        assert_eq!((status(&answer), body(&answer), header(&answer, "location")), (200, "", None), "{path}");
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn a_cookie_that_would_need_quoting_is_never_sent() {
    for cookie in ["a b", "a;b", "", "ä", "a\r\nx: y"] {
        let door = Script { cookie: Some(cookie), ..Script::default() };
        let server = Running::start(config("https://post.example.org"), door).await;
        let answer = server.ask("GET", "/connect/good", "").await;
        assert_eq!((status(&answer), header(&answer, "set-cookie")), (500, None), "{cookie:?}");
    }
}

#[tokio::test]
async fn a_callback_is_handed_over_decoded_and_leads_to_an_address_without_its_code() {
    let server = Running::https().await;
    let cookie = "cookie: __Host-sendoff=crumb\r\n";
    let answer = server.ask("GET", "/oauth/x/callback?code=a%2Bb+c&state=s%C3%A4&state=t", cookie).await;
    assert_eq!((status(&answer), header(&answer, "location")), (303, Some("/oauth/x/callback")));
    assert_eq!(
        server.asked(),
        [r#"back x [("code", "a+b c"), ("state", "sä"), ("state", "t")] Some("crumb")"#]
    );
    let page = server.ask("GET", "/oauth/x/callback", cookie).await;
    assert_eq!(status(&page), 200);
    assert!(body(&page).contains("x:acme is connected") && body(&page).contains("back to the terminal"));
    // Without the cookie there is nothing to see.
    assert_eq!(status(&server.ask("GET", "/oauth/x/callback", "").await), 404);
    // A refusal is shown escaped, on the spot.
    let refused =
        server.ask("GET", "/oauth/x/callback?error=%3Cscript%3Ealert(1)%3C/script%3E", cookie).await;
    assert_eq!(status(&refused), 400);
    assert!(body(&refused).contains("&lt;script&gt;") && !refused.contains("<script"));
}

#[tokio::test]
async fn location_is_only_ever_our_own_path_or_the_doors() {
    let server = Running::https().await;
    let hosts =
        ["//evil.example", "https:evil.example", "\\\\evil.example", "/%0d%0alocation:https://evil.example"];
    let names =
        ["next", "redirect_uri", "return_to", "url", "code", "state", "continue", "RelayState", "iss"];
    let mut asked = 0;
    for path in
        ["/", "/connect/good", "/connect/", "/oauth/x/callback", "/oauth/bluesky/callback", "/healthz"]
    {
        for host in hosts {
            for name in names {
                for target in [
                    format!("{path}?{name}={host}"),
                    format!("{host}{path}?{name}={host}"),
                    format!("{path}{host}"),
                    format!("{path}?{name}=a&code={host}&{host}"),
                    format!("https://evil.example{path}?{name}=1"),
                ] {
                    let extra = format!(
                        "x-forwarded-host: evil.example\r\nforwarded: host=evil.example\r\norigin: {host}\r\n"
                    );
                    let answer = server.ask("GET", &target, &extra).await;
                    asked += 1;
                    let Some(location) = header(&answer, "location") else { continue };
                    assert!(
                        location == "/oauth/x/callback"
                            || location == "/oauth/bluesky/callback"
                            || location.starts_with("https://network.example/authorize?"),
                        "{target} → {location}"
                    );
                }
            }
        }
    }
    assert!(asked > 1000, "{asked}");
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_before_anything_is_done() {
    let server = Running::https().await;
    let address = server.address;
    for (lines, expected) in [
        ("host: post.example.org\r\n".to_owned(), 200),
        ("Host: POST.example.ORG\r\n".to_owned(), 200),
        ("host: post.example.org:443\r\n".to_owned(), 200),
        (format!("host: {address}\r\n"), 200),
        (format!("host: localhost:{}\r\n", address.port()), 200),
        ("host: evil.example\r\n".to_owned(), 421),
        ("host: post.example.org.evil.example\r\n".to_owned(), 421),
        ("host: post.example.org:80\r\n".to_owned(), 421),
        ("host: localhost\r\n".to_owned(), 421),
        ("host: \r\n".to_owned(), 421),
        (String::new(), 421),
        ("host: post.example.org\r\nhost: post.example.org\r\n".to_owned(), 421),
        ("host: evil.example\r\nx-forwarded-host: post.example.org\r\n".to_owned(), 421),
    ] {
        let answer = server.raw(format!("GET /healthz HTTP/1.1\r\n{lines}connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), expected, "{lines}");
    }
    let absolute = server.ask("GET", "http://post.example.org/healthz", "").await;
    assert_eq!(status(&absolute), 421);
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }
}

#[tokio::test]
async fn health_tells_the_truth() {
    let sick = Script { sick: true, ..Script::default() };
    let server = Running::start(config("https://post.example.org"), sick).await;
    let answer = server.ask("GET", "/healthz", "").await;
    assert_eq!((status(&answer), body(&answer)), (503, "unhealthy\n"));
}

#[tokio::test]
async fn at_the_end_the_listener_closes_and_says_so() {
    let mut server = Running::https().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: post.example.org\r\n\r\n").await.unwrap();
    let mut buffer = [0; 2048];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    server.stop.take().unwrap().send(()).unwrap();
    (&mut server.task).await.unwrap().unwrap();
    idle.read_to_end(&mut Vec::new()).await.ok();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn plain_http_to_a_network_is_refused() {
    let clock: Arc<dyn Clock> = Arc::new(Still);
    for (url, part) in [
        ("http://post.example.org", "loopback only"),
        ("http://192.168.1.5:8420", "loopback only"),
        ("ftp://post.example.org", "https"),
        ("https://post.example.org/sub", "without a path"),
        ("https://post.example.org/?a", "without a path"),
        ("https://me@post.example.org/", "user name"),
    ] {
        let error = WebConfig::new(url.parse().unwrap(), Arc::clone(&clock)).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.hint().is_some());
    }
    for url in
        ["http://127.0.0.1:8420", "http://localhost:8420", "http://[::1]:8420", "https://post.example.org"]
    {
        assert!(WebConfig::new(url.parse().unwrap(), Arc::clone(&clock)).is_ok(), "{url}");
    }
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let served =
        server::serve(listener, config("https://post.example.org"), Arc::new(Script::default()), async {})
            .await;
    assert!(matches!(served, Err(WebError::PlainPublic { .. })));
}

/// Where the log goes in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_ticket_code_state_or_cookie_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The runtime of a test has one thread, so this covers the server's tasks as well.
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Running::https().await;
    let cookie = "cookie: __Host-sendoff=canary\r\n";
    // Twice: a line of the log that another test's thread met first is switched off for good until
    // the cache is built anew, and that helps only lines that were met before.
    for _ in 0..2 {
        for target in [
            "/connect/canary",
            "/connect/good-canary",
            "/oauth/x/callback?code=canary&state=canary",
            "/oauth/x/callback?error=canary",
            "/nothing/canary?canary=canary",
        ] {
            server.ask("GET", target, cookie).await;
            server.ask("HEAD", target, cookie).await;
            server.ask("DELETE", target, cookie).await;
        }
        tracing::callsite::rebuild_interest_cache();
    }
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("callback") && written.contains("connect"), "{written}");
    assert!(!written.contains("canary"), "{written}");
}
