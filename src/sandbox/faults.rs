//! Faults on order: `x.create=lost_after*2,bluesky.put=slow`.
//!
//! A fault belongs to a route (see [`ROUTES`]) and is spent by the first N calls that meet it.
//! `lost_before`, `partial`, `blind`, `debug_info`, `429` and `slow` are spent by any call; `lost_after`,
//! `500_after`, `blocked_after` and `truncate` wait for a call that took effect (a 2xx answer), because
//! spending one on a refusal, such as Bluesky's "use this nonce", would test nothing; `says_error`,
//! `says_expired`, `processing_failed` and `lags` wait for an answer of which they can make a lie. X and
//! LinkedIn have each of their documented errors by name as well (`x.create=credits`,
//! `linkedin.create=duplicate`); all but X have every error by its code, with a status if it is not 400:
//! `facebook.feed=error:368.1390008`, `tiktok.init=error:reached_active_user_cap/403`. TikTok errs with
//! status 200 too (`error:spam_risk_too_many_posts/200`), and has tasks fail for a reason of its own:
//! `tiktok.status=fail:auth_removed` is spent by a look at a task whose bytes are all there. The token
//! routes of X, LinkedIn and TikTok give a code in OAuth's shape: `x.token=error:invalid_request`.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

/// Every name that a fault can be hung on.
pub const ROUTES: &[&str] = &[
    "facebook.token",
    "facebook.me",
    "facebook.debug",
    "facebook.permissions",
    "facebook.revoke",
    "facebook.accounts",
    "facebook.businesses",
    "facebook.feed",
    "facebook.photo",
    "facebook.start",
    "facebook.transfer",
    "facebook.upload",
    "facebook.finish",
    "facebook.story",
    "facebook.posts",
    "facebook.stories",
    "facebook.comment",
    "facebook.comments",
    "facebook.get",
    "facebook.edit",
    "facebook.delete",
    "instagram.token",
    "instagram.exchange",
    "instagram.refresh",
    "instagram.me",
    "instagram.limit",
    "instagram.container",
    "instagram.list",
    "instagram.stories",
    "instagram.publish",
    "instagram.comment",
    "instagram.comments",
    "instagram.get",
    "instagram.delete",
    "instagram.upload",
    "x.token",
    "x.revoke",
    "x.me",
    "x.create",
    "x.read",
    "x.delete",
    "x.timeline",
    "x.upload",
    "x.initialize",
    "x.append",
    "x.finalize",
    "x.status",
    "x.metadata",
    "linkedin.token",
    "linkedin.introspect",
    "linkedin.revoke",
    "linkedin.userinfo",
    "linkedin.acls",
    "linkedin.organization",
    "linkedin.begin",
    "linkedin.upload",
    "linkedin.finish",
    "linkedin.status",
    "linkedin.create",
    "linkedin.list",
    "linkedin.get",
    "linkedin.edit",
    "linkedin.delete",
    "linkedin.comment",
    "tiktok.token",
    "tiktok.revoke",
    "tiktok.info",
    "tiktok.creator",
    "tiktok.init",
    "tiktok.chunk",
    "tiktok.last",
    "tiktok.photo",
    "tiktok.status",
    "bluesky.par",
    "bluesky.token",
    "bluesky.revoke",
    "bluesky.metadata",
    "bluesky.plc",
    "bluesky.resolve",
    "bluesky.describe",
    "bluesky.session",
    "bluesky.put",
    "bluesky.create",
    "bluesky.get",
    "bluesky.list",
    "bluesky.delete",
    "bluesky.upload",
];

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is read, nothing happens, the connection closes.
    LostBefore,
    /// The effect happens, then the connection closes without an answer.
    LostAfter,
    /// The effect happens, the answer is a 500.
    ErrorAfter,
    /// The effect happens, the answer says that the action is blocked (Instagram; elsewhere a 500).
    BlockedAfter,
    /// Nothing happens; the network's own 429 with its headers.
    TooMany,
    /// The answer comes in drips over [`Faults::slow`].
    Slow,
    /// The answer announces its whole length, then breaks off half-way.
    Truncate,
    /// Nothing happens; a good token is called revoked, as LinkedIn does for some seconds.
    TooFresh,
    /// Nothing happens; the version of the API is served no longer (LinkedIn).
    Sunset,
    /// Nothing happens; the app lacks the right (LinkedIn).
    Denied,
    /// The post is taken as ever, and comes to nothing afterwards (LinkedIn).
    PublishFailed,
    /// The connection breaks when half of the body has arrived; uploads that go on by offset keep what
    /// came (`facebook.upload`, `instagram.upload`), elsewhere nothing happens.
    Partial,
    /// Nothing happens; the object is not shown to a Page's token (100/33), as on 2026-05-23. A person's
    /// token is shown it (github.com/gitroomhq/postiz-app/issues/1562).
    Blind,
    /// Nothing happens; the upload host answers 200 with an error of its own shape, to be tried again.
    DebugInfo,
    /// A container that has published says `ERROR`.
    SaysError,
    /// A container that has published says `EXPIRED`; so does a video, whatever became of it.
    SaysExpired,
    /// A list does not show yet what is there.
    Lags,
    /// Nothing happens; the error of that name (X, LinkedIn).
    Says(&'static str),
    /// A task that has everything comes to nothing, for this reason (TikTok).
    Fails(&'static str),
    /// Nothing happens; an error of the network's shape with this code: Meta's `code` or `code.subcode`,
    /// elsewhere a word.
    Error { status: u16, code: String },
    /// A film is said to have come to nothing when X worked on it.
    ProcessingFailed,
}

/// Their names in a SPEC.
const KINDS: &[(&str, Fault)] = &[
    ("lost_before", Fault::LostBefore),
    ("lost_after", Fault::LostAfter),
    ("500_after", Fault::ErrorAfter),
    ("blocked_after", Fault::BlockedAfter),
    ("429", Fault::TooMany),
    ("slow", Fault::Slow),
    ("truncate", Fault::Truncate),
    ("too_fresh", Fault::TooFresh),
    ("sunset", Fault::Sunset),
    ("denied", Fault::Denied),
    ("publish_failed", Fault::PublishFailed),
    ("partial", Fault::Partial),
    ("blind", Fault::Blind),
    ("debug_info", Fault::DebugInfo),
    ("says_error", Fault::SaysError),
    ("says_expired", Fault::SaysExpired),
    ("lags", Fault::Lags),
    ("processing_failed", Fault::ProcessingFailed),
];

impl Fault {
    /// Whether it lets the call take effect first.
    pub(super) fn is_after(&self) -> bool {
        matches!(
            self,
            Self::LostAfter
                | Self::ErrorAfter
                | Self::BlockedAfter
                | Self::Truncate
                | Self::PublishFailed
                | Self::Fails(_)
        ) || self.is_lie()
    }

    /// Whether only LinkedIn has it.
    fn is_of_linkedin(&self) -> bool {
        matches!(self, Self::TooFresh | Self::Sunset | Self::Denied | Self::PublishFailed)
    }

    /// Whether it changes what is said of a thing, and not the thing.
    pub(super) fn is_lie(&self) -> bool {
        matches!(self, Self::SaysError | Self::SaysExpired | Self::Lags | Self::ProcessingFailed)
    }

    /// The fault of that name at a route.
    fn named(kind: &str, route: &str) -> Option<Self> {
        let names: &[&str] = match route.split('.').next()? {
            "x" => super::x::problems::NAMES,
            "linkedin" => super::linkedin::problems::NAMES,
            _ => &[],
        };
        if let Some(name) = names.iter().find(|it| **it == kind) {
            return Some(Self::Says(name));
        }
        if let Some(reason) = kind.strip_prefix("fail:") {
            let known = super::tiktok::FAIL_REASONS.iter().find(|it| **it == reason);
            return known.filter(|_| route == "tiktok.status").map(|it| Self::Fails(it));
        }
        if let Some(error) = kind.strip_prefix("error:") {
            return Self::error(error, route);
        }
        let (_, fault) = KINDS.iter().find(|(name, _)| *name == kind)?;
        (!fault.is_of_linkedin() || route.starts_with("linkedin.")).then(|| fault.clone())
    }

    /// `CODE` or `CODE/STATUS`, in the spelling of the route's network.
    fn error(text: &str, route: &str) -> Option<Self> {
        let (code, status) = text.split_once('/').unwrap_or((text, "400"));
        let well = route.starts_with("tiktok.").then_some(200);
        let status = status.parse().ok().filter(|it| (400..600).contains(it) || Some(*it) == well)?;
        let word = |it: &str| it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let number = |it: &str| it.parse::<i64>().is_ok();
        let (main, sub) = code.split_once('.').unwrap_or((code, "0"));
        let known = match route.split('.').next()? {
            "x" if !is_oauth(route) => false,
            "facebook" | "instagram" => number(main) && number(sub),
            _ => !code.is_empty() && word(code),
        };
        known.then(|| Self::Error { status, code: code.to_owned() })
    }
}

/// Whether a route speaks OAuth (RFC 6749, 5.2), whatever its network's own errors look like.
pub(super) fn is_oauth(route: &str) -> bool {
    let (network, name) = route.split_once('.').unwrap_or_default();
    matches!(network, "x" | "linkedin" | "tiktok") && matches!(name, "token" | "revoke" | "introspect")
}

/// An order of faults, in the order in which each route meets them.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: VecDeque<Rule>,
    /// How long a `slow` answer takes from its first to its last byte.
    pub slow: Duration,
}

#[derive(Debug, Clone)]
struct Rule {
    route: &'static str,
    fault: Fault,
    left: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: VecDeque::new(), slow: Duration::from_secs(3) }
    }
}

impl Faults {
    /// The fault that waits at `route`, not yet spent.
    pub(super) fn waiting(&self, route: &str) -> Option<Fault> {
        self.rules.iter().find(|it| it.route == route).map(|it| it.fault.clone())
    }

    /// Spends one of the fault that waits at `route`.
    pub(super) fn spend(&mut self, route: &str) {
        if let Some(at) = self.rules.iter().position(|it| it.route == route) {
            self.rules[at].left -= 1;
            if self.rules[at].left == 0 {
                self.rules.remove(at);
            }
        }
    }

    /// Adds the rules of `more` behind those still waiting, and takes over its `slow`.
    pub(super) fn extend(&mut self, more: Self) {
        self.slow = more.slow;
        self.rules.extend(more.rules);
    }
}

/// A SPEC that says nothing we can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    #[error("`{0}` is not `platform.route=fault` or `platform.route=fault*N`")]
    Shape(String),
    #[error("unknown route `{name}`; known are {}", ROUTES.join(", "))]
    Route { name: String },
    #[error("unknown fault `{name}` at `{route}`; known there are {}", kinds(route))]
    Kind { name: String, route: &'static str },
    #[error("`{0}` is not a number of calls between 1 and 1000000")]
    Times(String),
}

impl FaultsError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Shape(_) => "write e.g. `x.create=lost_after`, several with commas".to_owned(),
            Self::Route { name } => {
                let network = name.split('.').next().unwrap_or_default();
                let near = ROUTES.iter().find(|it| it.split('.').next() == Some(network));
                format!("a route is a network and a call of it, e.g. `{}`", near.unwrap_or(&"x.create"))
            }
            Self::Kind { route, .. } => format!("write e.g. `{route}=lost_after`"),
            Self::Times(_) => "write e.g. `x.create=lost_after*3`".to_owned(),
        }
    }
}

/// What can be ordered at a route.
fn kinds(route: &str) -> String {
    let mut all: Vec<&str> =
        KINDS.iter().map(|it| it.0).filter(|it| Fault::named(it, route).is_some()).collect();
    let network = route.split('.').next().unwrap_or_default();
    match network {
        "x" => all.extend(super::x::problems::NAMES),
        "linkedin" => all.extend(super::linkedin::problems::NAMES),
        _ => {}
    }
    let mut out = all.join(", ");
    if route == "tiktok.status" {
        let _ = write!(out, "; `fail:` and {}", super::tiktok::FAIL_REASONS.join(", "));
    }
    if network != "x" || is_oauth(route) {
        out.push_str("; `error:CODE` and `error:CODE/STATUS`");
    }
    if matches!(network, "facebook" | "instagram") {
        out.push_str(", where CODE is `code` or `code.subcode`");
    }
    out
}

impl FromStr for Faults {
    type Err = FaultsError;

    /// Reads `platform.route=fault[*N]`, comma-separated; the empty text orders nothing.
    fn from_str(spec: &str) -> Result<Self, FaultsError> {
        let mut faults = Self::default();
        for part in spec.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (route, what) = part.split_once('=').ok_or_else(|| FaultsError::Shape(part.to_owned()))?;
            let (kind, times) = what.split_once('*').unwrap_or((what, "1"));
            let route = ROUTES
                .iter()
                .find(|it| **it == route.trim())
                .ok_or_else(|| FaultsError::Route { name: route.trim().to_owned() })?;
            let fault = Fault::named(kind.trim(), route)
                .ok_or_else(|| FaultsError::Kind { name: kind.trim().to_owned(), route })?;
            let left = times
                .trim()
                .parse()
                .ok()
                .filter(|it| (1..=1_000_000).contains(it))
                .ok_or_else(|| FaultsError::Times(times.trim().to_owned()))?;
            faults.rules.push_back(Rule { route, fault, left });
        }
        Ok(faults)
    }
}
