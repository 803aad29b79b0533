//! A proxy in front of a real server which, when told to, treats requests and answers as a bad
//! network does: the request never arrives; the server acts and the answer is lost, cut or late.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use futures_util::stream;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sendoff::http::clients::{reading_client, tls};
use tokio::runtime::Runtime;

use crate::dice::Rng;

/// More than any request or answer here.
const BODY_MAX: usize = 16 << 20;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Carried,
    /// It never reached the server.
    LostBefore,
    /// The server acted; nothing came back.
    LostAfter,
    /// The server acted; half of its answer came back.
    Cut,
    /// The answer came late.
    Late,
}

/// A running proxy. Dropping it closes every connection.
pub(crate) struct Proxy {
    /// Its own origin: the address that the server must believe to be its own.
    pub(crate) url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    /// `127.0.0.1:port` of the server, known once it has started.
    server: OnceLock<String>,
    http: reqwest::Client,
    troubled: AtomicBool,
    chance: Mutex<Rng>,
    fates: Mutex<BTreeMap<Fate, usize>>,
}

/// Makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct HangUp;

impl Proxy {
    /// Listens. Nothing is carried before [`Proxy::lead_to`].
    pub(crate) fn start(seed: u64) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a listener for tokio");
        let shared = Arc::new(Shared {
            server: OnceLock::new(),
            http: tls(None).and_then(reading_client).expect("a client"),
            troubled: AtomicBool::new(false),
            chance: Mutex::new(Rng(seed)),
            fates: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&own);
                let service = service_fn(move |request| carry(request, Arc::clone(&shared)));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away, or that we hang up on, is what this is for.
                tokio::spawn(async { drop(connection.await) });
            }
        });
        Self { url: format!("http://localhost:{port}"), shared, _runtime: runtime }
    }

    /// Names the server, `127.0.0.1:port`.
    pub(crate) fn lead_to(&self, server: &str) {
        self.shared.server.set(server.to_owned()).expect("one server");
    }

    /// Begins or ends the trouble.
    pub(crate) fn trouble(&self, on: bool) {
        self.shared.troubled.store(on, Ordering::SeqCst);
    }

    /// How often each thing happened to a request for the account's data.
    pub(crate) fn fates(&self) -> BTreeMap<Fate, usize> {
        self.shared.fates.lock().expect("no panic").clone()
    }
}

impl Shared {
    fn fate(&self, path: &str) -> Fate {
        if !self.troubled.load(Ordering::SeqCst) || !path.starts_with("/xrpc/com.atproto.repo.") {
            return Fate::Carried;
        }
        let fate = match self.chance.lock().expect("no panic").below(100) {
            0..10 => Fate::LostBefore,
            10..25 => Fate::LostAfter,
            25..35 => Fate::Cut,
            35..45 => Fate::Late,
            _ => Fate::Carried,
        };
        *self.fates.lock().expect("no panic").entry(fate).or_default() += 1;
        fate
    }
}

async fn carry(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, HangUp> {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_MAX).await.map_err(|_| HangUp)?;
    let fate = shared.fate(head.uri.path());
    if fate == Fate::LostBefore {
        return Err(HangUp);
    }
    let server = shared.server.get().ok_or(HangUp)?;
    let path = head.uri.path_and_query().map_or("/", |it| it.as_str());
    strip(&mut head.headers);
    let sending = shared
        .http
        .request(head.method, format!("http://{server}{path}"))
        // `Host` too: the server is to believe that it was asked directly.
        .headers(head.headers)
        .body(body)
        .send();
    // In a task of its own: the server acts even if whoever asked is killed meanwhile.
    let answered = tokio::spawn(async move {
        let mut answer = sending.await?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        answer.bytes().await.map(|body| (status, headers, body))
    });
    let (status, mut headers, body) = answered.await.map_err(|_| HangUp)?.map_err(|_| HangUp)?;
    strip(&mut headers);
    let body = match fate {
        Fate::LostAfter => return Err(HangUp),
        Fate::Cut => {
            headers.insert(header::CONTENT_LENGTH, body.len().into());
            half(&body)
        }
        Fate::Late => {
            let wait = shared.chance.lock().expect("no panic").below(1_000);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Body::from(body)
        }
        Fate::Carried | Fate::LostBefore => Body::from(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Headers that belong to one connection alone.
fn strip(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// The first half, flushed, and then a closed connection.
fn half(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    Body::from_stream(stream::unfold(Some(half), |half| async move {
        if half.is_none() {
            tokio::task::yield_now().await;
        }
        Some((half.ok_or(HangUp), None))
    }))
}
