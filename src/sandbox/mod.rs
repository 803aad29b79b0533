//! Stand-ins for the networks, on one loopback listener: what `sandbox` serves, what `demo` runs
//! against, and what tests of the whole product talk to.
//!
//! They are written from the networks' documents and share no code with our connectors: a stand-in
//! that borrowed their field names would agree with every mistake in them. They refuse what the
//! network refuses, and write down each refusal ([`Running::refusals`]), so that a test can demand
//! that our side was never refused.
//!
//! ```text
//! /                      what is here   /facebook, /instagram, /x, /linkedin, /tiktok, /bluesky   what was published
//! /x/…                   X: x.authorize = x.api = "{url}/x"
//! /facebook/…            Facebook: facebook.authorize = .graph = .upload = "{url}/facebook"
//! /instagram/…           Instagram: instagram.authorize = .token = .graph = "{url}/instagram"
//! /linkedin/…            LinkedIn: linkedin.oauth = linkedin.api = "{url}/linkedin"
//! /tiktok/…              TikTok: tiktok.authorize = tiktok.api = "{url}/tiktok"
//! /xrpc/… /oauth/… /.well-known/…   Bluesky: the account's own server, `--instance {url}`
//! /plc/{did}             Bluesky's directory of identities: bluesky.plc = "{url}/plc"
//! ```
//!
//! # Who is there
//! X has `acme` (280 characters) and `alice` (Premium: 25,000); its clients are `sandbox-x` with the
//! secret `sandbox-x-secret` and the public `sandbox-x-public`. Facebook has the people `acme` (Pages
//! `acme` and `acme.cafe`) and `alice` (Page `alice`, and in her business portfolio alone `alice.market` and
//! its client's `garden.club`) and one app, whose secret lies in a file that the
//! configuration names; a form field `pages` at its consent picks some of the Pages. Instagram has the
//! accounts `acme` and `alice`, which hang on the Pages of these names as well. LinkedIn has the members
//! `acme` (who administers the organizations `acme-bakery` and `acme-cafe`) and `alice`
//! (`alices-flowers`), and an app for each kind of account. TikTok has the creators
//! `acme` and `alice` (a private account) and the apps `sandbox-tiktok` (desktop, audited) and
//! `sandbox-tiktok-web` (web, not audited), whose secret lies in that file too. Bluesky has `acme.test` and
//! `alice.test`; it takes loopback clients only, because a stand-in fetches nothing.
//!
//! # Consent from a script
//! A person opens the authorize link and presses a button. A script sends one POST **to that same
//! link**, query included, as a form: `decision` = `allow` or `deny`, `user` = a user name or handle
//! (optional, else the hinted or first one), `scope` = what to grant (optional, else all that was
//! asked for; less is a person who unticks a box). The answer is a 303 to the redirect address.
//!
//! # Simplifications
//! Everything lives in memory, bounded, and is gone when the listener stops. Nothing is fetched but the
//! files that are lent to Instagram and TikTok, and those from loopback alone. Ids and tokens follow from the seed and the clock.

mod bluesky;
mod consent;
mod facebook;
mod faults;
mod fetch;
mod film;
mod instagram;
mod lies;
mod linkedin;
mod multipart;
mod pages;
mod reply;
mod setup;
#[cfg(test)]
mod tests;
mod tiktok;
mod trouble;
mod wire;
mod x;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Clock;
use reply::{HangUp, drip, respond, truncate};
use setup::Secret;
use wire::{Answer, Call};

pub use faults::{Fault, Faults, FaultsError, ROUTES};
pub use tiktok::VERIFICATION;

/// The largest request body that is read at all: X's 15 MB GIF in its multipart dress.
const BODY_MAX: usize = 17 * 1024 * 1024;
/// The largest piece of a film for TikTok.
const PIECE_MAX: usize = 128 * 1024 * 1024;

/// The largest body at Meta's upload host: Instagram's largest film.
const FILM_MAX: usize = 300_000_000;

/// How many refusals are kept; the oldest go first.
const REFUSALS_MAX: usize = 1_000;

/// How to start the stand-ins.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    pub faults: Faults,
    /// Same seed, same clock, same calls: same ids and tokens.
    pub seed: u64,
}

/// Why the stand-ins did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox listens on loopback only, and `{address}` is not")]
    NotLoopback { address: SocketAddr },
    #[error(
        "cannot listen on `{address}`: the port is in use; name another with --listen, or port 0 for a free one"
    )]
    InUse { address: SocketAddr },
    #[error("cannot listen on `{address}`")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot write the secret of the sandbox's Facebook app to `{}`", path.display())]
    Secret { path: PathBuf, source: std::io::Error },
}

/// A post that a network took, as an onlooker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// `facebook`, `instagram`, `x`, `linkedin`, `tiktok` or `bluesky`.
    pub network: &'static str,
    /// The user name (X, LinkedIn, a Page's) or handle (Bluesky).
    pub account: String,
    /// The post's id (X, Facebook, Instagram, TikTok), the task's for what waits in TikTok's inbox, its URN
    /// (LinkedIn) or the `at://` address (Bluesky).
    pub id: String,
    /// The id of its film, by which Facebook knows reels and videos before they are posts.
    pub film: Option<String>,
    /// As it was sent, links in full.
    pub text: String,
    /// The id of the post that it answers.
    pub parent: Option<String>,
    /// The alternative text of each picture, in order; empty where none was given.
    pub alts: Vec<String>,
    pub at: Timestamp,
    /// Set when it was deleted since.
    pub deleted: Option<Timestamp>,
}

/// A call that a network refused for a reason that lies with the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub network: &'static str,
    /// Method and path, without the query: that may hold a secret.
    pub call: String,
    pub status: u16,
    pub reason: String,
    pub at: Timestamp,
}

/// Both stand-ins, listening. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct Running {
    /// The origin of everything, with a trailing slash as [`Url`] prints it.
    pub url: Url,
    config: String,
    /// Facebook has no client without a secret, and a configuration holds none.
    #[allow(dead_code)] // kept for its end
    secret: Secret,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    world: Mutex<World>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// A panic in one handler must not take the pages of all others with it.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All state of both networks.
struct World {
    facebook: facebook::Facebook,
    instagram: instagram::Instagram,
    x: x::X,
    linkedin: linkedin::LinkedIn,
    tiktok: tiktok::TikTok,
    bluesky: bluesky::Bluesky,
    faults: Faults,
    refusals: VecDeque<Refusal>,
    /// Calls that came, by their route.
    calls: BTreeMap<&'static str, u64>,
}

/// Starts the stand-ins.
///
/// # Errors
/// [`SandboxError`] when the address cannot be bound, or is not loopback: the stand-ins let anybody in.
pub async fn start(options: Options, clock: Arc<dyn Clock>) -> Result<Running, SandboxError> {
    let address = options.listen;
    if !address.ip().is_loopback() {
        return Err(SandboxError::NotLoopback { address });
    }
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => SandboxError::InUse { address },
        _ => SandboxError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let origin = format!("http://{bound}");
    let url = Url::parse(&origin)
        .map_err(|it| SandboxError::Listen { address, source: std::io::Error::other(it) })?;
    let secret = Secret::write(bound.port())?;
    let world = World {
        facebook: facebook::Facebook::new(options.seed, origin.clone()),
        instagram: instagram::Instagram::new(options.seed, origin.clone()),
        x: x::X::new(options.seed),
        linkedin: linkedin::LinkedIn::new(options.seed, origin.clone()),
        tiktok: tiktok::TikTok::new(options.seed, origin.clone()),
        bluesky: bluesky::Bluesky::new(options.seed, origin.clone()),
        faults: options.faults,
        refusals: VecDeque::new(),
        calls: BTreeMap::new(),
    };
    let shared = Arc::new(Shared { clock, world: Mutex::new(world) });
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept(listener, Arc::clone(&shared), stop.clone()));
    let config = setup::config(&origin, bound, &secret);
    Ok(Running { url, config, secret, shared, stop, task: Some(task) })
}

/// The line that `sandbox --json` prints first: `{"event":"ready","url","config"}`.
pub fn ready_line(running: &Running) -> String {
    let url = running.url.as_str().trim_end_matches('/');
    serde_json::json!({ "event": "ready", "url": url, "config": running.config }).to_string()
}

impl Running {
    /// `[platforms]` and `[egress]` TOML that points a daemon here.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Everything that was published, network by network (Facebook, Instagram, X, LinkedIn, TikTok, Bluesky),
    /// oldest first; deleted posts too.
    pub fn published(&self) -> Vec<Published> {
        let world = self.shared.world();
        let mut all = world.facebook.published();
        all.extend(world.instagram.published());
        all.extend(world.x.published());
        all.extend(world.linkedin.published());
        all.extend(world.tiktok.published());
        all.extend(world.bluesky.published());
        all
    }

    /// Every call that a network refused, oldest first, the last 1,000 of them.
    ///
    /// Not in it: ordinary turns of the protocols (Bluesky's "use this nonce", a record that is not
    /// there, a person who says no) and answers that a fault made up.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.shared.world().refusals.iter().cloned().collect()
    }

    /// How many calls came for a route, as orders of faults name them.
    pub fn calls(&self, route: &str) -> u64 {
        self.shared.world().calls.get(route).copied().unwrap_or(0)
    }

    /// Orders more faults, behind those still waiting.
    pub fn inject(&self, faults: Faults) {
        self.shared.world().faults.extend(faults);
    }

    /// A person ends the access of every app, in the settings of TikTok, Facebook and LinkedIn.
    pub fn end_access(&self, person: &str) {
        let mut world = self.shared.world();
        world.linkedin.end_access(person);
        world.tiktok.end_access(person);
        world.facebook.end_access(person);
    }

    /// Closes the listener and every connection, and waits until that is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes connections until told to stop. A connection's task dies with the set that holds it.
async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = open.join_next() => {}
            incoming = listener.accept() => match incoming {
                Ok((stream, _)) => { open.spawn(connection(stream, Arc::clone(&shared))); }
                // Out of descriptors, as a rule: give the connections that are open a chance to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    open.shutdown().await;
}

/// One connection. hyper is used bare because a service that fails is the one way to hang up
/// without an answer, and axum's services cannot fail.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move { serve(request, &shared).await }
    });
    // An error here is a client that went away or a fault that we made: neither is news.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn serve(request: Request<hyper::body::Incoming>, shared: &Shared) -> Result<Response<Body>, HangUp> {
    let (head, body) = request.into_parts();
    let film = ["/facebook/video-upload/", "/facebook/ig-api-upload/"];
    let most = if film.iter().any(|it| head.uri.path().starts_with(it)) {
        FILM_MAX
    } else if tiktok::is_upload(&head.method, head.uri.path()) {
        PIECE_MAX
    } else {
        BODY_MAX
    };
    let mut call = match axum::body::to_bytes(Body::new(body), most).await {
        Ok(body) => Call {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            headers: head.headers,
            body,
            fetched: HashMap::new(),
            now: shared.clock.now(),
        },
        Err(_) => return Ok(respond(Answer::new(413, "text/plain; charset=utf-8", ""))),
    };
    call.fetched = fetch::all(&instagram::lent(&call), fetch::META).await;
    call.fetched.extend(fetch::all(&tiktok::lent(&call), fetch::TIKTOK).await);
    let outcome = shared.world().judge(&call);
    let mut response = match outcome {
        Outcome::HangUp => return Err(HangUp),
        Outcome::Whole(answer) => respond(answer),
        Outcome::Slow(answer, over) => drip(answer, over),
        Outcome::Truncated(answer) => truncate(answer),
    };
    // By the clock that everything else here goes by; the listener's own would be the machine's.
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&call.now);
    if let Some(date) = date.ok().and_then(|it| HeaderValue::from_str(&it).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

/// What goes back over the wire, and how.
enum Outcome {
    HangUp,
    Whole(Answer),
    Slow(Answer, Duration),
    Truncated(Answer),
}

impl World {
    /// Answers one call, with whatever fault waits for it.
    fn judge(&mut self, call: &Call) -> Outcome {
        let route = if call.path.starts_with("/x/") {
            x::route_name(&call.method, &call.path)
        } else if call.path.starts_with("/linkedin/") {
            linkedin::route_name(call)
        } else if instagram::is_ours(call) {
            instagram::route_name(call)
        } else if call.path.starts_with("/tiktok/") {
            tiktok::route_name(call)
        } else if call.path.starts_with("/facebook/") {
            facebook::route_name(call)
        } else {
            bluesky::route_name(&call.method, &call.path)
        };
        if let Some(route) = route {
            *self.calls.entry(route).or_default() += 1;
        }
        let waiting = route.and_then(|it| self.faults.waiting(it).map(|fault| (it, fault)));
        let waiting = waiting.filter(|it| it.1 != Fault::Blind || !self.facebook.is_by_person(call));
        let Some((route, fault)) = waiting else {
            return Outcome::Whole(self.answer(call));
        };
        if !fault.is_after() {
            self.faults.spend(route);
        }
        match fault {
            Fault::LostBefore => return Outcome::HangUp,
            Fault::Says(name) => return Outcome::Whole(trouble::named(route, name, call)),
            Fault::Fails(reason) => {
                if self.tiktok.fail(call, reason) {
                    self.faults.spend(route);
                }
                return Outcome::Whole(self.answer(call));
            }
            Fault::Error { status, code } => {
                return Outcome::Whole(trouble::with_code(route, call, status, &code));
            }
            Fault::TooFresh => return Outcome::Whole(linkedin::too_fresh()),
            Fault::Sunset => return Outcome::Whole(linkedin::sunset(call)),
            Fault::Denied => return Outcome::Whole(linkedin::denied(route)),
            Fault::PublishFailed => self.linkedin.fail_next(),
            Fault::TooMany => return Outcome::Whole(trouble::too_many(route, call)),
            Fault::Blind => return Outcome::Whole(facebook::missing("0")),
            Fault::DebugInfo => return Outcome::Whole(facebook::debug_info()),
            fault if fault.is_lie() => {
                let answer = self.answer(call);
                let lie = lies::told(&fault, &answer);
                if lie.is_some() {
                    self.faults.spend(route);
                }
                return Outcome::Whole(lie.unwrap_or(answer));
            }
            Fault::Partial => {
                if matches!(route, "facebook.upload" | "instagram.upload") {
                    let mut half = call.clone();
                    half.body.truncate(call.body.len() / 2);
                    self.answer(&half);
                }
                return Outcome::HangUp;
            }
            _ => {}
        }
        let answer = self.answer(call);
        if fault == Fault::Slow {
            return Outcome::Slow(answer, self.faults.slow);
        }
        if !answer.status.is_success() {
            return Outcome::Whole(answer);
        }
        self.faults.spend(route);
        match fault {
            Fault::PublishFailed => Outcome::Whole(answer),
            Fault::LostAfter => Outcome::HangUp,
            Fault::Truncate => Outcome::Truncated(answer),
            Fault::BlockedAfter if route.starts_with("instagram.") => Outcome::Whole(instagram::blocked()),
            _ => Outcome::Whole(trouble::broken(route)),
        }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let below =
            |it: &str| call.path == it || call.path.strip_prefix(it).is_some_and(|it| it.starts_with('/'));
        let network = if below("/x") {
            "x"
        } else if below("/linkedin") {
            "linkedin"
        } else if below("/instagram") || instagram::is_ours(call) {
            "instagram"
        } else if below("/tiktok") {
            "tiktok"
        } else if below("/facebook") {
            "facebook"
        } else {
            "bluesky"
        };
        let mut answer = match pages::answer(self, call) {
            Some(page) => page,
            None if network == "x" => self.x.answer(call),
            None if network == "tiktok" => self.tiktok.answer(call),
            None if network == "instagram" && below("/instagram") => self.instagram.answer(call),
            None if network == "instagram" => match self.facebook.instagram_caller(call) {
                Ok((user, scopes)) => self.instagram.answer_to(call, &user, scopes),
                Err(answer) => answer,
            },
            None if network == "facebook" => self.facebook.answer(call),
            None if network == "linkedin" => self.linkedin.answer(call),
            None => self.bluesky.answer(call),
        };
        if let Some(reason) = answer.refusal.take() {
            while self.refusals.len() >= REFUSALS_MAX {
                self.refusals.pop_front();
            }
            self.refusals.push_back(Refusal {
                network,
                call: format!("{} {}", call.method, call.path),
                status: answer.status.as_u16(),
                reason,
                at: call.now,
            });
        }
        answer
    }
}
