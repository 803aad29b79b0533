//! The public listener: connect, callbacks, a webhook, media links, requests for deletion, legal pages, health.
//! Nothing else answers.
//!
//! This is the only part of the daemon that strangers can reach, so it knows nothing: no store, no
//! token, no network. It checks what came in against fixed limits, hands it to a [`Door`], and
//! shows what the door says. Whatever is not on the list of routes gets one and the same answer.

mod client;
pub mod legal;
mod limit;
pub mod media;
pub mod meta;
mod page;
mod route;
pub mod server;
#[cfg(test)]
mod tests;
pub mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ipnet::IpNet;
use url::{Host, Url};

use crate::clock::Clock;
use crate::domain::ids::PlatformName;

/// What stands behind the listener: the daemon's conversations with browsers.
#[async_trait]
pub trait Door: Send + Sync + 'static {
    /// A browser opened the start link. Burns the ticket.
    async fn start(&self, ticket: &str) -> Start;

    /// A network sent the browser back, with these query parameters and our cookie, if it came.
    async fn back(&self, platform: &str, query: Vec<(String, String)>, cookie: Option<String>) -> Back;

    /// What to show on the address that [`Back::Done`] leads to. None: nothing is known of it.
    async fn landing(&self, platform: &str, cookie: Option<String>) -> Option<Landing>;

    /// The OAuth client metadata document for Bluesky, as JSON; only asked with an https address
    /// (atproto.com/specs/oauth, "Clients").
    async fn client_metadata(&self) -> Option<String>;

    /// The file behind a media link, while its delivery runs. None: there is no such link (any more);
    /// which of these is nobody's business.
    async fn media(&self, _token: &str, _name: &str) -> Option<media::Served> {
        None
    }

    /// Whether the callbacks of this app (Meta's three, TikTok's) answer: only while there is a secret to check them with,
    /// for anybody could sign with none.
    async fn hears(&self, _app: PlatformName) -> bool {
        false
    }

    /// A callback of a Meta app, as it came. What it asks for is durable when this returns.
    async fn hear(&self, _app: PlatformName, _ask: meta::Ask, _signed_request: &str) -> meta::Heard {
        meta::Heard::No
    }

    /// A word of TikTok's, as it came, with its signature; only asked while there is a secret to check it
    /// with ([`Door::hears`]).
    async fn told(&self, _signature: &str, _body: &Bytes) -> webhook::Heard {
        webhook::Heard::No
    }

    /// How far the request behind a confirmation code is. None: there is none.
    async fn deletion(&self, _code: &str) -> Option<meta::Deletion> {
        None
    }

    /// Who runs this, for the legal pages. None: they have not said it, and there are no such pages.
    async fn operator(&self) -> Option<legal::Operator> {
        None
    }

    /// Whether the daemon does its work.
    async fn healthy(&self) -> bool;
}

/// The answer to a start link.
#[derive(Clone, PartialEq, Eq)]
pub enum Start {
    /// The browser goes on to the network's consent page.
    Go {
        /// The consent page.
        location: Url,
        /// Binds this browser to the conversation: up to 128 characters of `A-Z a-z 0-9 - _`.
        cookie: String,
    },
    /// The connect could not begin: the network did not answer, or does not want us. The ticket is burnt.
    Failed(Landing),
    /// The ticket is unknown, used or too old. Which of these is nobody's business.
    Gone,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Both values are secrets: the address holds `state`.
            Self::Go { .. } => f.write_str("Go([secret])"),
            Self::Failed(landing) => f.debug_tuple("Failed").field(landing).finish(),
            Self::Gone => f.write_str("Gone"),
        }
    }
}

/// The answer to a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// Taken in. The browser is sent to the same address without its query, so that the code is
    /// neither in its history nor in its address bar.
    Done,
    /// Not taken in, and why.
    Refused(Landing),
}

/// What a person reads at the end of the trip through the browser. Plain text, escaped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// It worked.
    pub ok: bool,
    /// One short line.
    pub title: String,
    /// A sentence or two.
    pub message: String,
    /// A line in small type: an account name, an error code.
    pub detail: Option<String>,
}

/// The bounds of what a stranger can make us do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time to receive a request's head; also how long a connection may idle between requests.
    pub head_time: Duration,
    /// Time to receive a request's body.
    pub body_time: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address. Trusted proxies are exempt: they stand for many.
    pub connections_per_address: usize,
    /// Bytes of path and query.
    pub target: usize,
    /// Bytes of all header names and values.
    pub header_bytes: usize,
    /// Header lines.
    pub headers: usize,
    /// Bytes of a body.
    pub body: usize,
    /// Requests a minute from one address to start links and callbacks.
    pub per_minute: u32,
    /// Addresses whose requests are counted at once.
    pub counted_addresses: usize,
    /// How long requests under way may take to end at shutdown.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            connections: 256,
            connections_per_address: 16,
            target: 4 << 10,
            header_bytes: 16 << 10,
            headers: 64,
            body: 64 << 10,
            per_minute: 30,
            counted_addresses: 10_000,
            farewell: Duration::from_secs(5),
        }
    }
}

/// How the listener presents itself.
#[derive(Clone)]
pub struct WebConfig {
    /// Where browsers reach us: scheme, host and port, no path.
    pub public_url: Url,
    /// Peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// File name → content, served at the root.
    pub verification_files: BTreeMap<String, String>,
    /// The bounds.
    pub limits: Limits,
    /// Measures the request rate.
    pub clock: Arc<dyn Clock>,
}

impl WebConfig {
    /// The defaults for an address. Refuses an address that browsers or networks would.
    pub fn new(public_url: Url, clock: Arc<dyn Clock>) -> Result<Self, WebError> {
        let config = Self {
            public_url,
            trusted_proxies: Vec::new(),
            verification_files: BTreeMap::new(),
            limits: Limits::default(),
            clock,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), WebError> {
        let url = &self.public_url;
        let refuse = |why| Err(WebError::PublicUrl { url: url.to_string(), why });
        match url.scheme() {
            "https" => {}
            "http" if self.is_loopback() => {}
            "http" => return refuse("plain http is for loopback only"),
            _ => return refuse("it must begin with https"),
        }
        if url.host().is_none() {
            return refuse("it has no host");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return refuse("it must be a host without a path");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it must not hold a user name");
        }
        Ok(())
    }

    fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    fn is_loopback(&self) -> bool {
        match self.public_url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

/// Why the listener does not run.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// `public_url` cannot be used.
    #[error("`public_url` is `{url}`: {why}")]
    PublicUrl {
        /// As configured.
        url: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// Anybody on the way could read the codes that pass.
    #[error("the public listener at {address} would speak plain http to the network")]
    PlainPublic {
        /// Where it was to listen.
        address: std::net::SocketAddr,
    },
    /// The socket does not work.
    #[error("the public listener does not work")]
    Listener(#[from] std::io::Error),
}

impl WebError {
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PublicUrl { .. } => Some("write for example `public_url = \"https://post.example.org\"`".into()),
            Self::PlainPublic { .. } => Some(
                "listen on 127.0.0.1 behind a proxy that speaks https, or name that proxy in `trusted_proxies`".into(),
            ),
            Self::Listener(_) => None,
        }
    }
}
