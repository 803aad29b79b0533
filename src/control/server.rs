//! Carries requests from the socket to the [`Api`], and answers back.
//!
//! Every caller is checked before anything else happens; every answer is JSON, errors too. Bodies end at
//! 1 MiB, media excepted, which is handed on as a stream and capped by who stores it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::serve::IncomingStream;
use axum::{Extension, Json, Router};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError, ApiResult, BODY_MAX, Caller, ErrorKind, Upload};
use super::messages::ErrorAnswer;
use super::routes;
use super::socket::{Allowed, groups_of};

/// A body that is not media arrives within this time, or the request is given up.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long requests under way may take once the daemon shuts down.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers on the socket until `shutdown` is done; then lets what is under way finish, for five seconds.
///
/// # Errors
/// Only what `accept` cannot survive.
pub async fn serve(
    listener: UnixListener,
    api: Arc<dyn Api>,
    allowed: Allowed,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let closing = CancellationToken::new();
    let app = router(App { api, allowed: Arc::new(allowed), closing: closing.clone() });
    let service = app.into_make_service_with_connect_info::<Peer>();
    let ended = closing.clone();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        shutdown.await;
        // Streams would keep their connections open for ever.
        ended.cancel();
    });
    let overtime = async {
        closing.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        done = serving => done,
        () = overtime => Ok(()),
    }
}

/// What every handler gets.
#[derive(Clone)]
pub(crate) struct App {
    api: Arc<dyn Api>,
    allowed: Arc<Allowed>,
    closing: CancellationToken,
}

pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in routes::table() {
        router = router.route(route.path, route.handler);
    }
    router = router.fallback(unknown_route).method_not_allowed_fallback(unknown_method);
    let allowed = Arc::clone(&app.allowed);
    guarded(router.with_state(app), allowed)
}

/// Puts the check of the caller before every route, known and unknown.
fn guarded(router: Router, allowed: Arc<Allowed>) -> Router {
    router.layer(axum::middleware::from_fn_with_state(allowed, admit))
}

/// The caller's credentials as the kernel gave them when the connection was made.
#[derive(Debug, Clone)]
struct Peer(Option<Caller>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|it| Caller { uid: it.uid(), gid: it.gid(), pid: it.pid() }))
    }
}

/// Turns away whoever may not be here, before the request is looked at.
async fn admit(
    State(allowed): State<Arc<Allowed>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    match peer {
        Some(by) if allowed.admits(by, groups_of) => {
            // The path of a connect holds its name, which can confirm it: only the first words are kept.
            let path: Vec<&str> = request.uri().path().split('/').take(3).collect();
            tracing::debug!(uid = by.uid, pid = by.pid, method = %request.method(), path = path.join("/"), "control request");
            request.extensions_mut().insert(by);
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        _ => {
            let uid = peer.map_or_else(|| "unknown".to_owned(), |it| it.uid.to_string());
            tracing::warn!(uid, "control socket: caller refused");
            refusal(
                &ApiError::new(
                    ErrorKind::Forbidden,
                    "not_allowed",
                    format!("uid {uid} may not use this control socket"),
                )
                .hint("run as the daemon's user or root, or join the group that owns the socket"),
            )
        }
    }
}

async fn unknown_route(request: Request) -> Response {
    let path = request.uri().path();
    refusal(
        &ApiError::not_found("unknown_route", format!("there is nothing at `{path}`")).hint(
            "the routes are listed at `/v1/openapi.json`; daemon and command line may differ in version",
        ),
    )
}

async fn unknown_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let error = ApiError::bad_request("unknown_method", format!("`{path}` does not take {method}"));
    (StatusCode::METHOD_NOT_ALLOWED, refusal(&error)).into_response()
}

fn refusal(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(ErrorAnswer { error: error.detail() })).into_response()
}

/// A request, taken apart: who, which parts of the path, the query, the body.
pub(crate) struct Call {
    pub(crate) api: Arc<dyn Api>,
    pub(crate) by: Caller,
    parts: HashMap<String, String>,
    query: String,
    body: Bytes,
}

impl Call {
    /// The value in the path under this name; the table and the handler stand side by side, so it is there.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }

    /// The JSON body. No body at all is an empty object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> ApiResult<T> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request("bad_body", format!("the request's body was not understood: {error}"))
                .hint("the shapes are described at `/v1/openapi.json`")
        })
    }

    /// The parameters behind the `?`.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> ApiResult<T> {
        let uri = format!("/?{}", self.query).parse().map_err(|_| bad_query("not an address"))?;
        axum::extract::Query::try_from_uri(&uri).map(|it| it.0).map_err(|error| bad_query(&error.body_text()))
    }

    async fn head(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let by = Extension::<Caller>::from_request_parts(parts, app).await;
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let Extension(by) =
            by.map_err(|_| ApiError::new(ErrorKind::Internal, "internal", "the caller is not known"))?;
        let Path(named) = path.map_err(|error| ApiError::bad_request("bad_path", error.body_text()))?;
        Ok(Self {
            api: Arc::clone(&app.api),
            by,
            parts: named,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: Bytes::new(),
        })
    }
}

fn bad_query(why: &str) -> ApiError {
    ApiError::bad_request("bad_query", format!("the address's parameters were not understood: {why}"))
        .hint("the parameters are described at `/v1/openapi.json`")
}

impl FromRequest<App> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let mut call = Self::head(&mut parts, app).await.map_err(|it| refusal(&it))?;
        let read = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY_MAX)).await;
        call.body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                return Err(refusal(&ApiError::too_large()));
            }
            Err(_) => {
                let message = "the request's body did not arrive in time";
                return Err(refusal(&ApiError::bad_request("too_slow", message)));
            }
        };
        Ok(call)
    }
}

/// A handler that answers with one JSON document.
pub(crate) fn answered<T, F, Fut>(method: Method, handler: F) -> MethodRouter<App>
where
    T: Serialize + Send + 'static,
    F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ApiResult<T>> + Send + 'static,
{
    // The table holds plain methods only, which all have a filter.
    let filter = MethodFilter::try_from(method).unwrap_or(MethodFilter::TRACE);
    on(filter, move |call: Call| {
        // A task of its own: a client that goes away must not cut a disconnect or a token refresh
        // off in the middle. What was begun is finished; only its answer finds nobody.
        let answer = tokio::spawn(handler(call));
        async move {
            match answer.await {
                Ok(Ok(answer)) => Json(answer).into_response(),
                Ok(Err(error)) => refusal(&error),
                Err(error) => refusal(&ApiError::new(ErrorKind::Internal, "internal", error.to_string())),
            }
        }
    })
}

/// A handler that answers with JSON lines as they come, until the daemon shuts down.
pub(crate) fn lines<T, F, Fut>(handler: F) -> MethodRouter<App>
where
    T: Serialize + 'static,
    F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ApiResult<BoxStream<'static, T>>> + Send + 'static,
{
    on(MethodFilter::GET, move |State(app): State<App>, call: Call| {
        let answer = handler(call);
        async move {
            let events = match answer.await {
                Ok(events) => events.take_until(app.closing.cancelled_owned()),
                Err(error) => return refusal(&error),
            };
            let lines = events.map(|event| {
                let mut line = serde_json::to_vec(&event).map_err(io::Error::other)?;
                line.push(b'\n');
                Ok::<_, io::Error>(line)
            });
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
        }
    })
}

/// A handler that takes a file.
pub(crate) fn uploaded<T, F, Fut>(handler: F) -> MethodRouter<App>
where
    T: Serialize,
    F: Fn(Call, Upload) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ApiResult<T>> + Send + 'static,
{
    on(MethodFilter::POST, move |State(app): State<App>, request: Request| {
        let handler = handler.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            let call = match Call::head(&mut parts, &app).await {
                Ok(call) => call,
                Err(error) => return refusal(&error),
            };
            let file = body.into_data_stream().map_err(io::Error::other).boxed();
            match handler(call, file).await {
                Ok(answer) => Json(answer).into_response(),
                Err(error) => refusal(&error),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    async fn status_for(peer: Option<Caller>) -> (StatusCode, String) {
        let open = Router::new().route("/", axum::routing::get(|| async { "inside" }));
        let router = guarded(open, Arc::new(Allowed { uid: 990, gids: vec![985] }));
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), BODY_MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn strangers_and_callers_the_kernel_does_not_name_stay_outside() {
        let caller = |uid, gid| Some(Caller { uid, gid, pid: None });
        assert_eq!(status_for(caller(990, 1)).await, (StatusCode::OK, "inside".into()));
        assert_eq!(status_for(caller(1000, 985)).await.0, StatusCode::OK);
        for peer in [caller(1000, 1000), caller(65_534, 985), None] {
            let (status, body) = status_for(peer).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{peer:?}");
            assert!(body.contains(r#""code":"not_allowed""#), "{body}");
        }
    }
}
