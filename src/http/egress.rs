//! The client for hosts that a user or a remote server names: Bluesky and Mastodon servers,
//! identity documents.
//!
//! Such a name can point into the operator's own network, at a cloud's metadata service, or at
//! us. It is looked up once, every address it has is checked, and the connection goes to those
//! addresses and no others; a second look-up, which could answer differently, never happens.
//! There are no redirects, so there is no second address to check.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use url::{Host, Url};

use super::clients::{ClientError, allowance, publishing, send, streamed, tls};
use super::{Exchange, ExchangeError, Payload, Uploads, addresses};

/// Time for a look-up, and for a whole exchange that only reads.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses of one name that are looked at. A name with more is no honest server's.
const ADDRESSES_MAX: usize = 64;

/// Turns a host name into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of a name, in the order to try them.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|it| it.ip()).collect())
    }
}

/// How long an exchange may take.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// Ten seconds in all.
    Read,
    /// As for publishing: a minute, and more for a large body.
    Publish,
}

/// Exchanges with servers nobody vouches for. Every call is one attempt on a connection of its own.
///
/// `https` only. Plain `http` is for servers inside `allow`, the operator's own list of ranges
/// that may be reached although they are private.
#[derive(Clone)]
pub struct Guarded {
    tls: ClientConfig,
    allow: Arc<[IpNet]>,
    resolver: Arc<dyn Resolver>,
    patience: Patience,
}

impl Guarded {
    /// For discovery and other reading: ten seconds, 1 MiB.
    pub fn reading(allow: Vec<IpNet>) -> Result<Self, ClientError> {
        Ok(Self::with(tls(None)?, allow, Arc::new(SystemResolver), Patience::Read))
    }

    /// For publishing to an account's own server: the times of the publishing client.
    pub fn one_shot(allow: Vec<IpNet>) -> Result<Self, ClientError> {
        Ok(Self::with(tls(None)?, allow, Arc::new(SystemResolver), Patience::Publish))
    }

    /// The same with another way to look names up.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, ..self }
    }

    fn with(tls: ClientConfig, allow: Vec<IpNet>, resolver: Arc<dyn Resolver>, patience: Patience) -> Self {
        Self { tls, allow: allow.into(), resolver, patience }
    }

    /// The addresses a URL may be fetched from, or why it may not be fetched.
    async fn admit(&self, url: &Url) -> Result<Vec<SocketAddr>, String> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!("`{}` addresses are not fetched", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address with a password in it is not fetched".into());
        }
        // The url crate has turned every spelling of an IPv4 address (decimal, octal, hex, short)
        // into the address itself by now.
        let (shown, found) = match url.host() {
            None => return Err("the address has no host".into()),
            Some(Host::Ipv4(ip)) => (ip.to_string(), vec![IpAddr::V4(ip)]),
            Some(Host::Ipv6(ip)) => (ip.to_string(), vec![IpAddr::V6(ip)]),
            Some(Host::Domain(name)) => {
                let lookup = tokio::time::timeout(READ_TIMEOUT, self.resolver.resolve(name)).await;
                let found = match lookup {
                    Err(_) => return Err(format!("looking up `{name}` took too long")),
                    Ok(Err(error)) => return Err(format!("`{name}` cannot be looked up: {error}")),
                    Ok(Ok(found)) => found,
                };
                (name.to_owned(), found)
            }
        };
        if found.is_empty() {
            return Err(format!("`{shown}` has no address"));
        }
        if found.len() > ADDRESSES_MAX {
            return Err(format!("`{shown}` has more than {ADDRESSES_MAX} addresses"));
        }
        let allowed = |ip: &IpAddr| self.allow.iter().any(|net| net.contains(ip));
        // One bad address condemns the name: an honest public server has none.
        if let Some(ip) = found.iter().find(|ip| !allowed(ip) && !addresses::is_public(**ip)) {
            return Err(format!(
                "`{shown}` leads to {ip}, which is not a public address (to permit it, add its range to `[egress] allow`)"
            ));
        }
        if url.scheme() == "http" && !found.iter().all(allowed) {
            return Err(format!(
                "`{shown}` is to be reached over https (plain http is for ranges in `[egress] allow`)"
            ));
        }
        let port = url.port_or_known_default().unwrap_or(443);
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// A client for one call: no connection of one call can serve another, and the addresses that were
    /// checked die with it.
    async fn client(&self, uri: &http::Uri) -> Result<reqwest::Client, String> {
        let url = Url::parse(&uri.to_string())
            .map_err(|error| format!("the address cannot be understood: {error}"))?;
        let pinned = self.admit(&url).await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        publishing(self.tls.clone())
            .dns_resolver(Pinned { host, addresses: pinned })
            .build()
            .map_err(|error| error.without_url().to_string())
    }
}

#[async_trait]
impl Exchange for Guarded {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ExchangeError> {
        let client = self.client(request.uri()).await.map_err(ExchangeError::NotSent)?;
        let limit = match self.patience {
            Patience::Read => READ_TIMEOUT,
            Patience::Publish => allowance(request.body().len() as u64),
        };
        send(&client, request, limit).await
    }
}

#[async_trait]
impl Uploads for Guarded {
    async fn upload(
        &self,
        head: http::Request<()>,
        payload: Payload,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        let client = self.client(head.uri()).await.map_err(ExchangeError::NotSent)?;
        let limit = allowance(payload.length);
        send(&client, streamed(head, payload), limit).await
    }
}

/// Answers for one name, with the addresses that were checked.
struct Pinned {
    host: String,
    addresses: Vec<SocketAddr>,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = if name.as_str() == self.host {
            Ok(Box::new(self.addresses.clone().into_iter()) as Addrs)
        } else {
            Err(format!("`{}` was not checked", name.as_str()).into())
        };
        Box::pin(std::future::ready(answer))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::raw_server::{Answer, RawServer, post};
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// Answers each look-up with the next list; the last one from then on.
    struct Script {
        answers: Vec<Vec<IpAddr>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Resolver for Script {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(self.answers[n.min(self.answers.len() - 1)].clone())
        }
    }

    fn script(answers: &[&[&str]]) -> Arc<Script> {
        let parse = |it: &&[&str]| it.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Script { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }

    fn guarded(allow: &[&str]) -> Guarded {
        Guarded::reading(allow.iter().map(|it| it.parse().unwrap()).collect()).unwrap()
    }

    async fn refusal(client: &Guarded, url: &str) -> String {
        match client.exchange(post(url, "{}")).await {
            Err(ExchangeError::NotSent(reason)) => reason,
            other => panic!("`{url}`: {other:?}"),
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_however_they_are_written() {
        let server = RawServer::start(Answer::Bytes(OK.into())).await;
        let port = server.port();
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.1",
            "0",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "0xa.1",
            "192.168.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
        ] {
            for scheme in ["http", "https"] {
                // What cannot even be a URI is refused before it gets here.
                let Ok(request) =
                    http::Request::post(format!("{scheme}://{host}:{port}/")).body(Bytes::new())
                else {
                    continue;
                };
                let result = guarded(&[]).exchange(request).await;
                assert!(matches!(result, Err(ExchangeError::NotSent(_))), "{scheme}://{host}: {result:?}");
            }
        }
        assert_eq!(server.connections(), 0);
    }

    #[tokio::test]
    async fn one_private_address_among_public_ones_condemns_the_name() {
        for mixed in
            [&["93.184.216.34", "10.0.0.1"][..], &["127.0.0.1", "93.184.216.34"], &["::1"], &["fd00::1"]]
        {
            let client = guarded(&[]).with_resolver(script(&[mixed]));
            let reason = refusal(&client, "https://pds.example/xrpc/x").await;
            assert!(reason.contains("not a public address") && reason.contains("[egress] allow"), "{reason}");
        }
        let none = guarded(&[]).with_resolver(script(&[&[]]));
        assert!(refusal(&none, "https://pds.example/").await.contains("has no address"));
    }

    #[tokio::test]
    async fn a_name_that_changes_its_answer_is_looked_up_once_and_pinned() {
        // Allowed first, then the metadata service; a second look-up would be seen in the count.
        let server = RawServer::start(Answer::Bytes(OK.into())).await;
        let resolver = script(&[&["127.0.0.1"], &["169.254.169.254"]]);
        let client = guarded(&["127.0.0.0/8"]).with_resolver(Arc::clone(&resolver) as Arc<dyn Resolver>);
        let url = format!("http://rebind.example:{}/", server.port());
        assert_eq!(client.exchange(post(&url, "{}")).await.unwrap().status(), 200);
        assert_eq!((server.connections(), resolver.asked.load(Ordering::SeqCst)), (1, 1));
        // The next call asks anew, and the changed answer is judged.
        assert!(refusal(&client, &url).await.contains("169.254.169.254"));
        assert_eq!((server.connections(), resolver.asked.load(Ordering::SeqCst)), (1, 2));
    }

    #[tokio::test]
    async fn plain_http_is_for_allowed_ranges_alone() {
        let client = guarded(&["127.0.0.0/8"]).with_resolver(script(&[&["93.184.216.34"]]));
        assert!(refusal(&client, "http://pds.example/").await.contains("https"));
        let mixed = guarded(&["127.0.0.0/8"]).with_resolver(script(&[&["127.0.0.1", "93.184.216.34"]]));
        assert!(refusal(&mixed, "http://pds.example/").await.contains("https"));
        // Leave for a range is not leave for its neighbour.
        let narrow = guarded(&["127.0.0.2/32"]);
        assert!(refusal(&narrow, "http://127.0.0.1:1/").await.contains("not a public address"));
    }

    #[tokio::test]
    async fn other_schemes_and_passwords_in_addresses_are_refused() {
        let client = guarded(&["0.0.0.0/0"]);
        assert!(refusal(&client, "ftp://127.0.0.1/").await.contains("`ftp`"));
        assert!(refusal(&client, "http://user:pw@127.0.0.1/").await.contains("password"));
        assert!(matches!(client.exchange(post("/relative", "")).await, Err(ExchangeError::NotSent(_))));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_not_a_way_in() {
        let inner = RawServer::start(Answer::Bytes(OK.into())).await;
        for status in [301, 302, 303, 307, 308] {
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                inner.url("/")
            );
            let outer = RawServer::start(Answer::Bytes(answer)).await;
            let result = guarded(&["127.0.0.0/8"]).exchange(post(&outer.url("/"), "{}")).await.unwrap();
            assert_eq!(result.status(), status);
        }
        assert_eq!(inner.connections(), 0);
    }

    #[tokio::test]
    async fn huge_and_endless_answers_are_cut_off() {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
        for (head, more) in [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), chunk),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned(), "x".repeat(4096)),
            ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "x".repeat(4096)),
            ("HTTP/1.1 200 OK\r\n".to_owned(), "x-more: header\r\n".to_owned()),
        ] {
            let server = RawServer::start(Answer::Endless(head, more)).await;
            let result = guarded(&["127.0.0.0/8"]).exchange(post(&server.url("/"), "{}")).await;
            assert!(matches!(result, Err(ExchangeError::Lost(_))), "{result:?}");
        }
    }

    #[tokio::test]
    async fn the_one_shot_mode_sends_each_request_once_on_its_own_connection() {
        let closing = RawServer::start(Answer::Close).await;
        let keeping = RawServer::start(Answer::KeepOpen(OK.into())).await;
        let client = Guarded::one_shot(vec!["127.0.0.0/8".parse().unwrap()]).unwrap();
        for _ in 0..50 {
            let lost = client.exchange(post(&closing.url("/xrpc/com.atproto.repo.putRecord"), "{}")).await;
            assert!(matches!(lost, Err(ExchangeError::Lost(_))), "{lost:?}");
            client.exchange(post(&keeping.url("/"), "{}")).await.unwrap();
        }
        assert_eq!((closing.seen().len(), closing.connections()), (50, 50));
        assert_eq!((keeping.seen().len(), keeping.connections()), (50, 50));
    }
}
