//! The sockets behind the routes: who may connect, how long a request may take, how it all ends.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::Hosts;
use super::limit::{Connections, Permit, Rate};
use super::route::Shared;
use super::{Door, WebConfig, WebError};

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the HTTP library reads before our own limits, which answer with our own headers, can look.
/// It must be larger than those.
const HEAD_SLACK: usize = 12 << 10;

/// Serves until `shutdown`, then lets requests under way end.
///
/// Refuses to speak plain HTTP to a network: the listener is on loopback, or behind the proxies in
/// `trusted_proxies`.
pub async fn serve(
    listener: TcpListener,
    config: WebConfig,
    door: Arc<dyn Door>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), WebError> {
    config.check()?;
    let local = listener.local_addr()?;
    if !local.ip().to_canonical().is_loopback() && config.trusted_proxies.is_empty() {
        return Err(WebError::PlainPublic { address: local });
    }
    let limits = config.limits.clone();
    let connections = Connections::new(limits.connections, limits.connections_per_address);
    let shared = Arc::new(Shared {
        hosts: Hosts::new(&config, local),
        rate: Rate::new(limits.per_minute, limits.counted_addresses),
        door,
        config,
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let ip = peer.ip().to_canonical();
                    let is_proxy = shared.config.trusted_proxies.iter().any(|net| net.contains(&ip));
                    // Without a place the connection is closed at once: a queue would let the slow
                    // hold up the honest.
                    if let Some(permit) = connections.enter(ip, is_proxy) {
                        tasks.spawn(connection(stream, peer, Arc::clone(&shared), permit, stopped.clone()));
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.farewell, rest).await.is_err() {
        tracing::warn!("requests were still under way at the end");
    }
    Ok(())
}

/// Whether the peer went away between its greeting and ours.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection, to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    permit: Permit,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = &shared.config.limits;
    let ip: IpAddr = peer.ip().to_canonical();
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(shared.respond(ip, request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(limits.headers * 2)
        .max_buf_size(limits.target + limits.header_bytes + HEAD_SLACK)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let stopped = async {
        // An error means that the sender is gone, which is the end as well.
        stopped.wait_for(|it| *it).await.ok();
    };
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            // However it ends, there is nothing left to do for it.
            connection.await.ok();
        }
    }
    drop(permit);
}
