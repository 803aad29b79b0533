//! How an answer goes over the wire: whole, in drips, or cut off.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};

use super::wire::Answer;

/// What makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on order")]
pub(super) struct HangUp;

pub(super) fn respond(answer: Answer) -> Response<Body> {
    with_body(answer, Body::from)
}

fn with_body(answer: Answer, body: impl FnOnce(Bytes) -> Body) -> Response<Body> {
    let mut response = Response::new(body(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = *answer.headers;
    response
}

/// The answer in eight drips, spread over `over`, with its true length announced.
pub(super) fn drip(mut answer: Answer, over: Duration) -> Response<Body> {
    announce(&mut answer, 0);
    with_body(answer, |body| {
        let size = body.len().div_ceil(8).max(1);
        let drips = stream::unfold(body, move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(over / 8).await;
            let drip = rest.split_to(size.min(rest.len()));
            Some((Ok::<_, Infallible>(drip), rest))
        });
        Body::from_stream(drips)
    })
}

/// Half the answer under its full announced length, then a closed connection. An answer without a body
/// announces a byte that never comes.
pub(super) fn truncate(mut answer: Answer) -> Response<Body> {
    announce(&mut answer, 1);
    with_body(answer, |body| {
        let half = body.slice(..body.len() / 2);
        // hyper drops what it has not flushed when a body fails; a turn between lets it flush.
        let broken = stream::unfold(Some(half), |half| async move {
            if half.is_none() {
                tokio::task::yield_now().await;
            }
            Some((half.ok_or(HangUp), None))
        });
        Body::from_stream(broken)
    })
}

fn announce(answer: &mut Answer, at_least: usize) {
    answer.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len().max(at_least)));
}
