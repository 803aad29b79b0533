//! One request in, one answer out. The lists of what answers are [`Shared::answer`]
//! and, for what carries a body, [`Shared::post`], and they are all.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use url::form_urlencoded;

use crate::domain::ids::PlatformName;

use super::client::{Hosts, address, cookie, cookie_name, is_token};
use super::limit::Rate;
use super::media::{Account, Counted, Fetch, Served, Wanted, wanted};
use super::{Back, Door, Landing, Start, WebConfig, legal, meta, page, webhook};

/// Parameters of a callback that are looked at. Networks send three or four.
const PARAMETERS_MAX: usize = 64;

/// What every request needs.
pub(super) struct Shared {
    pub(super) config: WebConfig,
    pub(super) hosts: Hosts,
    pub(super) rate: Rate,
    pub(super) door: Arc<dyn Door>,
}

/// What a handler says; the headers that all answers share are added by [`Shared::respond`].
struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Content,
    extra: Vec<(HeaderName, HeaderValue)>,
}

/// What follows the headers.
enum Content {
    Text(String),
    /// So many bytes, counted as they leave. A HEAD request has the number and not the bytes.
    File(u64, Counted),
}

impl Answer {
    fn text(status: StatusCode, body: &str) -> Self {
        let body = Content::Text(body.to_owned());
        Self { status, kind: "text/plain; charset=utf-8", body, extra: Vec::new() }
    }

    fn html(status: StatusCode, body: String) -> Self {
        Self { status, kind: "text/html; charset=utf-8", body: Content::Text(body), extra: Vec::new() }
    }

    /// The one answer for everything that is not there.
    fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "not found\n")
    }

    /// The one answer for everything that is malformed or too large; the connection ends with it.
    fn refused(status: StatusCode) -> Self {
        Self::text(status, "refused\n").with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    fn try_later() -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
            .with(header::RETRY_AFTER, HeaderValue::from_static("60"))
    }

    fn see_other(location: HeaderValue) -> Self {
        Self::text(StatusCode::SEE_OTHER, "").with(header::LOCATION, location)
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extra.push((name, value));
        self
    }
}

impl Shared {
    /// Answers a request that came from `peer`.
    pub(super) async fn respond(&self, peer: IpAddr, request: Request<Body>) -> Response<Body> {
        let method = request.method().clone();
        let (route, answer) = self.checked(peer, request).await;
        // The route's name, not the path: paths and queries hold tickets, codes and states.
        tracing::debug!(%method, route, status = answer.status.as_u16(), "request");
        self.finish(&method, answer)
    }

    /// Checks the limits, then answers.
    async fn checked(&self, peer: IpAddr, request: Request<Body>) -> (&'static str, Answer) {
        let limits = &self.config.limits;
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("", |it| it.as_str());
        let header_bytes: usize =
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if target.len() > limits.target
            || head.headers.len() > limits.headers
            || header_bytes > limits.header_bytes
        {
            return ("limits", Answer::refused(StatusCode::BAD_REQUEST));
        }
        if !matches!(head.method, Method::GET | Method::HEAD | Method::POST) {
            let allow = HeaderValue::from_static("GET, HEAD, POST");
            return ("method", Answer::refused(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, allow));
        }
        // A full address in the request line is for proxies, which this is not.
        if head.uri.authority().is_some() || !self.hosts.admit(&head.headers) {
            return ("host", Answer::refused(StatusCode::MISDIRECTED_REQUEST));
        }
        // A body is taken in full, whoever reads it, or the connection ends: bytes left over must
        // never be read as the next request.
        let Ok(Ok(body)) = tokio::time::timeout(limits.body_time, to_bytes(body, limits.body)).await else {
            return ("body", Answer::refused(StatusCode::BAD_REQUEST));
        };
        let client = address(peer, &head.headers, &self.config.trusted_proxies);
        if head.method == Method::POST {
            return self.post(head.uri.path(), &head.headers, &body, client).await;
        }
        self.answer(&head.method, head.uri.path(), head.uri.query(), &head.headers, client).await
    }

    /// Everything that takes a body.
    async fn post(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
        client: IpAddr,
    ) -> (&'static str, Answer) {
        match meta::wanted(path) {
            Some((app, ask)) => ("meta", self.meta(app, ask, headers, body, client).await),
            None if path == webhook::TIKTOK => ("webhook", self.webhook(headers, body, client).await),
            None => ("none", Answer::not_found()),
        }
    }

    /// Not there at all without a secret; so this comes before everything that says otherwise.
    async fn meta(
        &self,
        app: PlatformName,
        ask: meta::Ask,
        headers: &HeaderMap,
        body: &Bytes,
        client: IpAddr,
    ) -> Answer {
        if !self.door.hears(app).await {
            return Answer::not_found();
        }
        let Some(signed_request) = meta::signed_request(headers, body) else {
            tracing::warn!(%app, ?ask, "a callback without a `signed_request` was refused");
            return self.unsigned(client, StatusCode::BAD_REQUEST);
        };
        match (self.door.hear(app, ask, &signed_request).await, ask) {
            (meta::Heard::Yes(_), meta::Ask::Deauthorize) => Answer::text(StatusCode::OK, ""),
            (meta::Heard::Yes(code), meta::Ask::DataDeletion) if is_token(&code) => {
                let mut url = self.config.public_url.clone();
                url.set_path(&format!("/deletion/{code}"));
                let said = serde_json::json!({ "url": url.as_str(), "confirmation_code": code });
                Answer { kind: "application/json", ..Answer::text(StatusCode::OK, &said.to_string()) }
            }
            (meta::Heard::Yes(_), meta::Ask::DataDeletion) => {
                broken("a code with characters that need quoting")
            }
            (meta::Heard::No, _) => self.unsigned(client, StatusCode::BAD_REQUEST),
            (meta::Heard::NotNow, _) => Answer::try_later(),
        }
    }

    /// What bears no signature of the network's counts against its sender. What bears one does not: whoever
    /// sends rubbish from, or in the name of, the network's own address keeps no request of a person's out.
    fn unsigned(&self, client: IpAddr, status: StatusCode) -> Answer {
        if self.rate.admit(client, self.config.clock.now()) { Answer::refused(status) } else { too_many() }
    }

    /// As [`Shared::meta`].
    async fn webhook(&self, headers: &HeaderMap, body: &Bytes, client: IpAddr) -> Answer {
        if !self.door.hears(PlatformName::TikTok).await {
            return Answer::not_found();
        }
        let Some(signature) = webhook::signature(headers) else {
            tracing::warn!("a webhook without one signature was refused");
            return self.unsigned(client, StatusCode::FORBIDDEN);
        };
        match self.door.told(signature, body).await {
            webhook::Heard::Yes => Answer::text(StatusCode::OK, ""),
            webhook::Heard::No => self.unsigned(client, StatusCode::FORBIDDEN),
            webhook::Heard::NotNow => Answer::try_later(),
        }
    }

    async fn deletion(&self, code: &str, client: IpAddr) -> Answer {
        if !self.rate.admit(client, self.config.clock.now()) {
            return too_many();
        }
        match self.door.deletion(code).await {
            Some(it) => Answer::html(StatusCode::OK, page::deletion(&it)),
            None => Answer::not_found(),
        }
    }

    /// Everything that answers a look. Paths are compared as written: nothing is decoded, so no two
    /// spellings lead to one route.
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        client: IpAddr,
    ) -> (&'static str, Answer) {
        if let Some(ticket) = path.strip_prefix("/connect/").filter(|it| is_token(it)) {
            return ("connect", self.connect(method, ticket, client).await);
        }
        if let Some(platform) = path
            .strip_prefix("/oauth/")
            .and_then(|it| it.strip_suffix("/callback"))
            .and_then(|it| it.parse::<PlatformName>().ok())
        {
            return ("callback", self.callback(method, platform, query, headers, client).await);
        }
        if let Some((token, name)) = path.strip_prefix("/m/").and_then(|it| it.split_once('/'))
            && is_token(token)
        {
            return ("media", self.media(method, token, name, headers, client).await);
        }
        if let Some(code) = path.strip_prefix("/deletion/").filter(|it| is_token(it)) {
            return ("deletion", self.deletion(code, client).await);
        }
        match path {
            "/healthz" => ("health", self.health().await),
            "/oauth/bluesky/client.json" => ("metadata", self.metadata().await),
            _ if legal::is_one(path) => ("legal", self.legal(path).await),
            _ => ("file", self.file(path)),
        }
    }

    async fn connect(&self, method: &Method, ticket: &str, client: IpAddr) -> Answer {
        if !self.rate.admit(client, self.config.clock.now()) {
            return too_many();
        }
        // Chat programs and mail scanners look at links before people do. A look must not burn the
        // ticket.
        if method == Method::HEAD {
            return Answer::text(StatusCode::OK, "");
        }
        match self.door.start(ticket).await {
            Start::Go { location, cookie } if is_token(&cookie) => {
                let https = self.config.is_https();
                let name = cookie_name(https);
                let secure = if https { "; Secure" } else { "" };
                let set = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Lax; Max-Age=900{secure}");
                let (Ok(location), Ok(set)) =
                    (HeaderValue::try_from(location.as_str()), HeaderValue::try_from(set))
                else {
                    return broken("a consent address that is no header value");
                };
                Answer::see_other(location).with(header::SET_COOKIE, set)
            }
            Start::Go { .. } => broken("a cookie with characters that need quoting"),
            Start::Failed(landing) => show(&landing),
            Start::Gone => Answer::html(StatusCode::GONE, page::gone()),
        }
    }

    async fn callback(
        &self,
        method: &Method,
        platform: PlatformName,
        query: Option<&str>,
        headers: &HeaderMap,
        client: IpAddr,
    ) -> Answer {
        if !self.rate.admit(client, self.config.clock.now()) {
            return too_many();
        }
        let cookie = cookie(headers, cookie_name(self.config.is_https()));
        let Some(query) = query else {
            return match self.door.landing(platform.as_str(), cookie).await {
                Some(landing) => show(&landing),
                None => Answer::not_found(),
            };
        };
        // The code works once; a preview must not spend it.
        if method == Method::HEAD {
            return Answer::text(StatusCode::OK, "");
        }
        let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .take(PARAMETERS_MAX + 1)
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        if parameters.len() > PARAMETERS_MAX {
            return Answer::refused(StatusCode::BAD_REQUEST);
        }
        match self.door.back(platform.as_str(), parameters, cookie).await {
            Back::Done => match HeaderValue::try_from(format!("/oauth/{platform}/callback")) {
                Ok(clean) => Answer::see_other(clean),
                Err(_) => broken("a platform name that is no header value"),
            },
            Back::Refused(landing) => show(&landing),
        }
    }

    /// Not rate-limited: a network fetches a film in hundreds of ranges, and a token that is not ours
    /// costs one HMAC. Guessing one is guessing 256 bits.
    async fn media(
        &self,
        method: &Method,
        token: &str,
        name: &str,
        headers: &HeaderMap,
        client: IpAddr,
    ) -> Answer {
        let Some(Served { mime, ready, tell }) = self.door.media(token, name).await else {
            return Answer::not_found();
        };
        let whole = ready.bytes;
        let (status, start, length) = match wanted(headers, whole) {
            Wanted::All => (StatusCode::OK, 0, whole),
            Wanted::Piece(start, length) => (StatusCode::PARTIAL_CONTENT, start, length),
            Wanted::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
        };
        let agent =
            headers.get(header::USER_AGENT).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let fetch = Fetch { client, agent: agent.unwrap_or_default(), status: status.as_u16(), bytes: 0 };
        let account = Account::new(tell, fetch);
        let ranges = (header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let sandbox =
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        let range = match status {
            StatusCode::PARTIAL_CONTENT => Some(format!("bytes {start}-{}/{whole}", start + length - 1)),
            StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{whole}")),
            _ => None,
        };
        let mut answer = if status == StatusCode::RANGE_NOT_SATISFIABLE {
            Answer::text(status, "there are no such bytes\n")
        } else {
            // A HEAD request reads nothing from the disk.
            let read = if method == Method::HEAD { 0 } else { length };
            let body = Content::File(length, Counted { chunks: ready.stream(start, read), account });
            Answer { status, kind: mime, body, extra: Vec::new() }
        };
        answer.extra.extend([ranges, sandbox]);
        answer.extra.extend(
            range.and_then(|it| HeaderValue::try_from(it).ok()).map(|it| (header::CONTENT_RANGE, it)),
        );
        answer
    }

    /// An operator with pages of their own puts them in front, or under these names into
    /// `verification_files`; those count.
    async fn legal(&self, path: &str) -> Answer {
        let own = self.file(path);
        if own.status == StatusCode::OK {
            return own;
        }
        match self.door.operator().await.and_then(|by| legal::page(path, &by)) {
            Some(it) => Answer::html(StatusCode::OK, page::legal(&it)),
            None => Answer::not_found(),
        }
    }

    async fn health(&self) -> Answer {
        if self.door.healthy().await {
            Answer::text(StatusCode::OK, "ok\n")
        } else {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n")
        }
    }

    async fn metadata(&self) -> Answer {
        let document = if self.config.is_https() { self.door.client_metadata().await } else { None };
        match document {
            Some(body) => Answer { kind: "application/json", ..Answer::html(StatusCode::OK, body) },
            None => Answer::not_found(),
        }
    }

    fn file(&self, path: &str) -> Answer {
        let Some((name, content)) =
            path.strip_prefix('/').and_then(|name| self.config.verification_files.get_key_value(name))
        else {
            return Answer::not_found();
        };
        let is_html = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("html"));
        if is_html {
            Answer::html(StatusCode::OK, content.clone())
        } else {
            Answer::text(StatusCode::OK, content)
        }
    }

    /// The headers that every answer carries.
    fn finish(&self, method: &Method, answer: Answer) -> Response<Body> {
        let is_head = method == Method::HEAD;
        let (length, body) = match answer.body {
            Content::Text(text) if is_head => (text.len() as u64, Body::empty()),
            Content::Text(text) => (text.len() as u64, Body::from(text)),
            // Dropped here, which tells the door.
            Content::File(length, _) if is_head => (length, Body::empty()),
            Content::File(length, counted) => (length, Body::from_stream(counted)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, answer.kind),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("x-robots-tag"), "noindex"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = HeaderValue::from_str(&page::POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if self.config.is_https() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        headers.insert(header::CONTENT_LENGTH, length.into());
        for (name, value) in answer.extra {
            headers.insert(name, value);
        }
        response
    }
}

fn show(landing: &Landing) -> Answer {
    let status = if landing.ok { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Answer::html(status, page::landing(landing))
}

fn too_many() -> Answer {
    Answer::text(StatusCode::TOO_MANY_REQUESTS, "too many requests\n")
        .with(header::RETRY_AFTER, HeaderValue::from_static("60"))
}

/// The door said something that cannot be passed on. That is our own mistake, told in the log.
fn broken(what: &'static str) -> Answer {
    tracing::error!(what, "the public listener was given something it cannot send");
    Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}
