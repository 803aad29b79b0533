//! The one place where outgoing HTTP clients are made.
//!
//! A publishing call is not idempotent, so the one-shot client has everything switched off that
//! could put a request on the wire twice: redirects, protocol retries, and pooled connections
//! (a request on a pooled connection that turns out dead would be sent again on a fresh one).
//! The reading client pools, because reading twice does no harm.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, ClientBuilder, redirect, retry};
use rustls::{ClientConfig, RootCertStore};

use super::{Exchange, ExchangeError, Payload, Uploads};
use crate::failpoint::cp;

/// The longest answer that is read.
pub const ANSWER_MAX: usize = 1 << 20;
/// Time to reach a server: name, TCP and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a whole exchange with a small body.
pub const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);
/// The slowest upload that is waited for, in bytes per second. A larger body gets more time.
const UPLOAD_FLOOR: u64 = 64 << 10;

/// A client that could not be built, which is a fault of the machine or of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of further root certificates cannot be read.
    #[error("cannot read certificates from `{path}`")]
    Certificates {
        /// The file as configured.
        path: String,
        /// What the reader met.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds something that is no certificate.
    #[error("`{path}` holds a certificate that cannot be used")]
    Certificate {
        /// The file as configured.
        path: String,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The HTTP library refused.
    #[error("cannot set up an HTTP client")]
    Build(#[from] reqwest::Error),
}

/// TLS with the web's public roots, and those of `extra_ca` (a PEM file) besides.
///
/// Offers HTTP/1.1 only: one host over HTTP/2 is one connection, on which calls of many accounts
/// would queue behind each other.
pub fn tls(extra_ca: Option<&Path>) -> Result<ClientConfig, ClientError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    // Fails only if a provider is installed already, by an earlier call.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_ca {
        let path_text = || path.display().to_string();
        let unreadable = |source| ClientError::Certificates { path: path_text(), source };
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots
                .add(certificate)
                .map_err(|source| ClientError::Certificate { path: path_text(), source })?;
        }
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What all clients have in common. Proxy variables of the environment are ignored: a proxy would
/// see where tokens go, and may send a request twice.
fn base(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("sendoff/", env!("CARGO_PKG_VERSION")))
}

/// The settings of [`publishing_client`], for the guarded client to add its resolver to.
pub(super) fn publishing(tls: ClientConfig) -> ClientBuilder {
    base(tls).pool_max_idle_per_host(0)
}

/// A client whose every call is exactly one attempt on the wire.
pub fn publishing_client(tls: ClientConfig) -> Result<Client, ClientError> {
    Ok(publishing(tls).build()?)
}

/// A client for requests that change nothing: it keeps connections open between them.
pub fn reading_client(tls: ClientConfig) -> Result<Client, ClientError> {
    Ok(base(tls).pool_idle_timeout(Duration::from_secs(30)).build()?)
}

/// A client for the control socket at `path`. It has no time limit of its own: an event stream
/// lasts as long as its reader wants.
pub fn unix_client(path: &Path) -> Result<Client, ClientError> {
    Ok(base(tls(None)?).unix_socket(path).build()?)
}

/// Publishing calls to a network's own, configured address. One attempt each.
#[derive(Debug, Clone)]
pub struct OneShot(Client);

impl OneShot {
    /// Built once, cloned freely.
    pub fn new(tls: ClientConfig) -> Result<Self, ClientError> {
        publishing_client(tls).map(Self)
    }
}

#[async_trait]
impl Exchange for OneShot {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ExchangeError> {
        let limit = allowance(request.body().len() as u64);
        send(&self.0, request, limit).await
    }
}

#[async_trait]
impl Uploads for OneShot {
    async fn upload(
        &self,
        head: http::Request<()>,
        payload: Payload,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        let limit = allowance(payload.length);
        send(&self.0, streamed(head, payload), limit).await
    }
}

/// The request with a body that is read while it leaves.
pub(super) fn streamed(head: http::Request<()>, payload: Payload) -> http::Request<reqwest::Body> {
    let mut request = head.map(|()| reqwest::Body::wrap_stream(payload.chunks));
    // Without it the body would travel in chunks, which some networks refuse.
    request.headers_mut().insert(http::header::CONTENT_LENGTH, payload.length.into());
    request
}

/// Reading calls to a network's own, configured address. Connections are kept.
#[derive(Debug, Clone)]
pub struct Reader(Client);

impl Reader {
    /// Built once, cloned freely.
    pub fn new(tls: ClientConfig) -> Result<Self, ClientError> {
        reading_client(tls).map(Self)
    }
}

#[async_trait]
impl Exchange for Reader {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ExchangeError> {
        send(&self.0, request, TOTAL_TIMEOUT).await
    }
}

/// The time for a whole exchange with a body of this many bytes.
pub(super) fn allowance(body: u64) -> Duration {
    TOTAL_TIMEOUT + Duration::from_secs(body / UPLOAD_FLOOR)
}

/// Sends and reads the whole answer, up to [`ANSWER_MAX`].
pub(super) async fn send(
    client: &Client,
    request: http::Request<impl Into<reqwest::Body>>,
    limit: Duration,
) -> Result<http::Response<Bytes>, ExchangeError> {
    let mut request = reqwest::Request::try_from(request).map_err(not_sent)?;
    *request.timeout_mut() = Some(limit);
    #[cfg(feature = "failpoints")]
    let changes_something = halve(&mut request);
    let mut answer = client.execute(request).await.map_err(|error| {
        // Only what certainly came before the first byte of the request: the connection was never
        // made (name, TCP, TLS), or the request could not be put together at all.
        if error.is_connect() || error.is_builder() { not_sent(error) } else { lost(error) }
    })?;
    cp!("c9", changes_something);
    let mut whole = http::Response::builder().status(answer.status()).version(answer.version());
    if let Some(headers) = whole.headers_mut() {
        *headers = std::mem::take(answer.headers_mut());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(ExchangeError::Lost(format!("the answer is longer than {ANSWER_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    whole.body(body.freeze()).map_err(|error| ExchangeError::Lost(error.to_string()))
}

/// Puts the crash point `c8` into the middle of the body. True for a call that changes something.
#[cfg(feature = "failpoints")]
fn halve(request: &mut reqwest::Request) -> bool {
    // A question, though it is a POST, and asked at each start: dying there would try nothing.
    if request.url().path().ends_with("/introspectToken") {
        return false;
    }
    let is_streamed = request.body().is_some_and(|it| it.as_bytes().is_none());
    if is_streamed {
        return request.method() != http::Method::GET;
    }
    let whole = request.body().and_then(|it| it.as_bytes()).map(Bytes::copy_from_slice).unwrap_or_default();
    let size = whole.len();
    if let Some(halves) = crate::failpoint::halves("c8", whole) {
        // Without it the body would travel in chunks, unlike what is really sent.
        request.headers_mut().insert(http::header::CONTENT_LENGTH, size.into());
        *request.body_mut() = Some(reqwest::Body::wrap_stream(halves));
    }
    request.method() != http::Method::GET
}

fn not_sent(error: reqwest::Error) -> ExchangeError {
    ExchangeError::NotSent(describe(error))
}

fn lost(error: reqwest::Error) -> ExchangeError {
    ExchangeError::Lost(describe(error))
}

/// The error and what caused it in one line, without the address: its query may hold a secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a String");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::raw_server::{Answer, RawServer, post};
    use super::*;

    const TRIES: usize = 1000;

    fn one_shot() -> OneShot {
        OneShot::new(tls(None).unwrap()).unwrap()
    }

    /// Sends [`TRIES`] requests one after the other; each must have been seen exactly once.
    async fn seen_once_each(
        answer: Answer,
        expected: impl Fn(&Result<http::Response<Bytes>, ExchangeError>) -> bool,
    ) {
        let server = RawServer::start(answer).await;
        let client = one_shot();
        for n in 0..TRIES {
            let result = client.exchange(post(&server.url(&format!("/2/tweets?n={n}")), "{}")).await;
            assert!(expected(&result), "{result:?}");
        }
        let seen = server.seen();
        let mut seen: Vec<_> = seen.iter().filter_map(|it| it.lines().next()).map(str::to_owned).collect();
        let mut sent: Vec<_> = (0..TRIES).map(|n| format!("POST /2/tweets?n={n} HTTP/1.1")).collect();
        seen.sort();
        sent.sort();
        assert_eq!(seen, sent, "requests on the wire");
    }

    #[tokio::test]
    async fn a_server_that_closes_after_reading_sees_each_request_once() {
        seen_once_each(Answer::Close, |it| matches!(it, Err(ExchangeError::Lost(_)))).await;
    }

    #[tokio::test]
    async fn a_redirect_that_asks_for_the_same_request_again_is_not_followed() {
        for status in [301_u16, 302, 303, 307, 308] {
            let answer = format!("HTTP/1.1 {status} Moved\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n");
            seen_once_each(Answer::Bytes(answer), |it| it.as_ref().is_ok_and(|it| it.status() == status))
                .await;
        }
    }

    #[tokio::test]
    async fn a_connection_that_died_in_the_pool_cannot_cost_a_second_request() {
        // Answers, promises to keep the connection, and closes it.
        let answer = "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok".to_owned();
        seen_once_each(Answer::Bytes(answer), Result::is_ok).await;
    }

    #[tokio::test]
    async fn every_call_has_a_connection_of_its_own() {
        let answer = "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok";
        let server = RawServer::start(Answer::KeepOpen(answer.to_owned())).await;
        let (one_shot, reader) = (one_shot(), Reader::new(tls(None).unwrap()).unwrap());
        for _ in 0..5 {
            one_shot.exchange(post(&server.url("/"), "{}")).await.unwrap();
        }
        assert_eq!(server.connections(), 5);
        for _ in 0..5 {
            reader.exchange(post(&server.url("/"), "{}")).await.unwrap();
        }
        assert_eq!(server.connections(), 6, "the reading client keeps its connection");
    }

    #[tokio::test]
    async fn answers_that_end_early_or_never_are_lost() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-le",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "garbage\r\n\r\n",
        ] {
            let server = RawServer::start(Answer::Bytes(answer.to_owned())).await;
            let result = one_shot().exchange(post(&server.url("/"), "{}")).await;
            assert!(matches!(result, Err(ExchangeError::Lost(_))), "{answer:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_one_mebibyte_and_no_further() {
        for (extra, fits) in [(0, true), (1, false)] {
            let body = "x".repeat(ANSWER_MAX + extra);
            let server = RawServer::start(Answer::Bytes(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )))
            .await;
            let result = one_shot().exchange(post(&server.url("/"), "{}")).await;
            assert_eq!(result.is_ok(), fits);
        }
    }

    #[tokio::test]
    async fn what_fails_before_the_first_byte_was_not_sent() {
        let refused = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/?access_token=canary", listener.local_addr().unwrap())
        };
        let result = one_shot().exchange(post(&refused, "{}")).await;
        assert!(matches!(&result, Err(ExchangeError::NotSent(it)) if !it.contains("canary")), "{result:?}");

        // Speaks no TLS: the handshake fails, and no byte of the request was written.
        let server = RawServer::start(Answer::Close).await;
        let url = server.url("/?access_token=canary").replace("http:", "https:");
        let result = one_shot().exchange(post(&url, "secret body")).await;
        assert!(matches!(&result, Err(ExchangeError::NotSent(it)) if !it.contains("canary")), "{result:?}");
        assert!(!server.seen().concat().contains("secret body"));
    }

    #[tokio::test]
    async fn no_error_text_holds_the_address() {
        let server = RawServer::start(Answer::Close).await;
        let error = one_shot().exchange(post(&server.url("/?access_token=canary"), "{}")).await.unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn http_2_is_not_offered() {
        assert_eq!(tls(None).unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_file_of_certificates_that_is_none_is_told_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let error = tls(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(tls(Some(&path)), Err(ClientError::Certificate { .. })));
    }

    #[tokio::test]
    async fn the_control_socket_is_reached_by_its_path() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = [0; 1024];
            let length = stream.read(&mut seen).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&seen[..length]).into_owned()
        });
        let answer = unix_client(&path).unwrap().get("http://sendoff/v1/status").send().await.unwrap();
        assert_eq!(answer.status(), 204);
        assert!(server.await.unwrap().starts_with("GET /v1/status HTTP/1.1"));
    }

    #[test]
    fn a_large_body_gets_more_time() {
        assert_eq!(allowance(300), TOTAL_TIMEOUT);
        assert_eq!(allowance(64 << 20), TOTAL_TIMEOUT + Duration::from_secs(1024));
    }
}
