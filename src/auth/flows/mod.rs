//! The connects that are running, and which arrival may finish one. No I/O: instants and chance
//! come in, decisions go out.
//!
//! ```text
//! browser:  open ─ticket─► redeem ─cookie─► begun ─state─► arrive ──► settle
//! terminal: open_at_terminal ─────flow id──► begun ─state─► paste ───► settle
//! ```
//!
//! Each secret works once and for ten minutes, and only together with the one before it: a stolen
//! authorize address is worth nothing without the cookie, a stolen ticket is worth nothing once it
//! was used, and a state is burnt by the first arrival that carries it, whatever else that arrival
//! gets wrong. Only digests are kept here.
//!
//! A browser has one cookie, so the newest connect in it wins; other browsers and terminals go on
//! in parallel. Nothing survives a restart: a connect is begun again in seconds.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use url::Url;
use zeroize::Zeroizing;

use super::chance::{Digest, Random, secret};
use super::{AuthError, CallbackParams, Pending};
use crate::domain::ids::{AccountId, AccountName, PlatformName};
use crate::domain::kind::Kind;

/// How long a ticket, a state and an outcome are good for, each from its own beginning.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// How many connects may be running or fresh in memory at once.
pub const FLOWS_MAX: usize = 64;

/// The name of a connect. At a terminal it takes the place of the browser's cookie, so it is as
/// long as one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(String);

impl FlowId {
    const PREFIX: &'static str = "flw_";

    fn new(random: &Random<'_>) -> Self {
        Self(format!("{}{}", Self::PREFIX, *secret(random)))
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows only enough to tell two apart.
impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.get(..8).unwrap_or(Self::PREFIX))
    }
}

impl FromStr for FlowId {
    type Err = FlowError;
    fn from_str(text: &str) -> Result<Self, FlowError> {
        if text.starts_with(Self::PREFIX) && text.len() < 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(FlowError::UnknownFlow)
        }
    }
}

/// What a connect is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The network.
    pub platform: PlatformName,
    /// The user's server, where networks have many.
    pub instance: Option<Url>,
    /// The user's handle, where it helps to find the server.
    pub handle: Option<String>,
    /// Whom the account is to speak for, on networks with two kinds of account.
    pub kind: Option<Kind>,
    /// A new account or a known one.
    pub purpose: Purpose,
}

/// What becomes of the account found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// It is added, under this name if one was given.
    New {
        /// The local name wanted.
        name: Option<AccountName>,
    },
    /// It replaces the grant of this account, and must be the same one on the network.
    Reconnect {
        /// The local account.
        account: AccountId,
        /// Its permanent id on the network.
        remote_id: String,
    },
}

/// A connect waiting for its browser.
pub struct Opened {
    /// Its name.
    pub flow: FlowId,
    /// Goes into the short link; works once.
    pub ticket: Zeroizing<String>,
}

/// A ticket was used: this browser, and no other, may end the connect.
pub struct Redeemed {
    /// Its name.
    pub flow: FlowId,
    /// What to begin.
    pub wanted: Wanted,
    /// The value of the cookie to set.
    pub cookie: Zeroizing<String>,
}

/// An arrival that passed every check; [`super::Provider::finish`] goes on from here.
#[derive(Debug)]
pub struct Arrived {
    /// Its name.
    pub flow: FlowId,
    /// What was wanted.
    pub wanted: Wanted,
    /// What the provider remembered. It is handed out once.
    pub pending: Pending,
}

/// What the landing page and the terminal show at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An account was found and waits for confirmation.
    Found {
        /// As the network names it.
        who: String,
    },
    /// It was confirmed and stored.
    Stored {
        /// The local name.
        account: AccountName,
    },
    /// It came to nothing.
    Failed {
        /// A stable word.
        code: &'static str,
        /// What happened.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl From<&AuthError> for Outcome {
    fn from(error: &AuthError) -> Self {
        Self::Failed { code: error.code(), message: error.to_string(), hint: error.hint() }
    }
}

impl From<&FlowError> for Outcome {
    fn from(error: &FlowError) -> Self {
        Self::Failed { code: error.code(), message: error.to_string(), hint: Some(error.hint().to_owned()) }
    }
}

/// How far a connect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The link was not opened yet.
    Waiting,
    /// The browser is at the network.
    Away,
    /// The browser is back; the code is being redeemed.
    Back,
    /// It is over, or waits for confirmation.
    Ended(&'a Outcome),
}

/// Why a step was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// Never issued, used before, or too old: on purpose not told apart.
    #[error("this link was used before or has expired")]
    BadTicket,
    /// As before, for an answer of a network.
    #[error("this answer belongs to no running connect, or came too late or twice")]
    BadState,
    /// The answer came back through another browser than the one that began.
    #[error("this answer came through another browser than the one that opened the link")]
    ForeignBrowser,
    /// The answer came to the wrong network's address.
    #[error("this answer came to another network's address")]
    WrongPlatform,
    /// Too many at once.
    #[error("{FLOWS_MAX} connects are running already")]
    TooMany,
    /// No such connect, or it has ended.
    #[error("there is no such connect, or it has expired")]
    UnknownFlow,
    /// A step before its time.
    #[error("this connect is not at that step")]
    WrongStep,
}

impl FlowError {
    /// A stable word for events and JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadTicket => "bad_ticket",
            Self::BadState => "unknown_state",
            Self::ForeignBrowser => "foreign_browser",
            Self::WrongPlatform => "wrong_platform",
            Self::TooMany => "too_many_connects",
            Self::UnknownFlow => "unknown_flow",
            Self::WrongStep => "wrong_step",
        }
    }

    /// What the user can do.
    pub fn hint(self) -> &'static str {
        match self {
            Self::ForeignBrowser => {
                "begin again and stay in one browser; where the link was made with `--paste`, paste the \
                 address at the terminal that printed it"
            }
            Self::TooMany => "finish or cancel one, or wait ten minutes",
            Self::BadTicket | Self::BadState | Self::WrongPlatform | Self::UnknownFlow | Self::WrongStep => {
                "begin again with `sendoff account connect`; a link works once and for ten minutes"
            }
        }
    }
}

/// Who may bring the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bearer {
    /// The browser with this cookie; none before its ticket was used.
    Browser(Option<Digest>),
    /// Whoever knows the flow's id, at the control socket.
    Terminal,
}

enum Step {
    Opened { ticket: Option<Digest> },
    Redeemed,
    Away { pending: Box<Pending> },
    Back,
    Ended { outcome: Outcome },
}

struct Flow {
    wanted: Wanted,
    bearer: Bearer,
    step: Step,
    /// The first instant at which the present step is too late.
    until: Timestamp,
}

/// All running connects.
#[derive(Default)]
pub struct Flows {
    all: BTreeMap<FlowId, Flow>,
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").field("running", &self.all.len()).finish()
    }
}

impl Flows {
    /// Opens a connect for a browser.
    pub fn open(&mut self, wanted: Wanted, now: Timestamp, random: &Random<'_>) -> Result<Opened, FlowError> {
        let ticket = secret(random);
        let step = Step::Opened { ticket: Some(Digest::of(&ticket)) };
        let flow = self.add(wanted, Bearer::Browser(None), step, now, random)?;
        Ok(Opened { flow, ticket })
    }

    /// Opens a connect whose link is the network's own and whose answer is pasted.
    pub fn open_at_terminal(
        &mut self,
        wanted: Wanted,
        now: Timestamp,
        random: &Random<'_>,
    ) -> Result<FlowId, FlowError> {
        self.add(wanted, Bearer::Terminal, Step::Opened { ticket: None }, now, random)
    }

    fn add(
        &mut self,
        wanted: Wanted,
        bearer: Bearer,
        step: Step,
        now: Timestamp,
        random: &Random<'_>,
    ) -> Result<FlowId, FlowError> {
        self.sweep(now);
        if self.all.len() >= FLOWS_MAX {
            return Err(FlowError::TooMany);
        }
        let id = FlowId::new(random);
        self.all.insert(id.clone(), Flow { wanted, bearer, step, until: after(now) });
        Ok(id)
    }

    /// Takes a ticket, burns it, and binds the connect to the browser that will get the cookie.
    pub fn redeem(
        &mut self,
        ticket: &str,
        now: Timestamp,
        random: &Random<'_>,
    ) -> Result<Redeemed, FlowError> {
        self.sweep(now);
        let given = Some(Digest::of(ticket));
        let (id, flow) = self
            .all
            .iter_mut()
            .find(|(_, flow)| matches!(&flow.step, Step::Opened { ticket } if ticket.is_some() && *ticket == given))
            .ok_or(FlowError::BadTicket)?;
        let cookie = secret(random);
        flow.bearer = Bearer::Browser(Some(Digest::of(&cookie)));
        flow.step = Step::Redeemed;
        flow.until = after(now);
        Ok(Redeemed { flow: id.clone(), wanted: flow.wanted.clone(), cookie })
    }

    /// Notes what [`super::Provider::begin`] made, before the browser is sent on its way.
    pub fn begun(&mut self, id: &FlowId, pending: Pending, now: Timestamp) -> Result<(), FlowError> {
        self.sweep(now);
        let flow = self.all.get_mut(id).ok_or(FlowError::UnknownFlow)?;
        let ready = match flow.step {
            Step::Redeemed => true,
            Step::Opened { .. } => flow.bearer == Bearer::Terminal,
            Step::Away { .. } | Step::Back | Step::Ended { .. } => false,
        };
        if !ready {
            return Err(FlowError::WrongStep);
        }
        if pending.platform() != flow.wanted.platform {
            return Err(FlowError::WrongPlatform);
        }
        flow.step = Step::Away { pending: Box::new(pending) };
        flow.until = after(now);
        Ok(())
    }

    /// An answer came to the callback address of `platform`, with the browser's cookie if it sent
    /// one. The state is burnt before anything else is looked at.
    pub fn arrive(
        &mut self,
        platform: PlatformName,
        cookie: Option<&str>,
        back: &CallbackParams,
        now: Timestamp,
    ) -> Result<Arrived, FlowError> {
        let bearer = cookie.map(|it| Bearer::Browser(Some(Digest::of(it))));
        self.burn(back, now, |_, flow| {
            if bearer != Some(flow.bearer) {
                Err(FlowError::ForeignBrowser)
            } else if flow.wanted.platform != platform {
                Err(FlowError::WrongPlatform)
            } else {
                Ok(())
            }
        })
    }

    /// An address was pasted at the terminal that began `id`. As [`Self::arrive`].
    pub fn paste(
        &mut self,
        id: &FlowId,
        back: &CallbackParams,
        now: Timestamp,
    ) -> Result<Arrived, FlowError> {
        self.burn(back, now, |found, flow| {
            if found == id && flow.bearer == Bearer::Terminal {
                Ok(())
            } else {
                Err(FlowError::ForeignBrowser)
            }
        })
    }

    /// Finds the connect by state and takes its pending part out, so that it can never be had
    /// again; then asks `check` whether this arrival may have it.
    fn burn(
        &mut self,
        back: &CallbackParams,
        now: Timestamp,
        check: impl FnOnce(&FlowId, &Flow) -> Result<(), FlowError>,
    ) -> Result<Arrived, FlowError> {
        self.sweep(now);
        let state = back.state().map(Digest::of).ok_or(FlowError::BadState)?;
        let (id, flow) = self
            .all
            .iter_mut()
            .find(|(_, flow)| matches!(&flow.step, Step::Away { pending } if pending.state() == state))
            .ok_or(FlowError::BadState)?;
        let Step::Away { pending } = std::mem::replace(&mut flow.step, Step::Back) else {
            return Err(FlowError::BadState);
        };
        flow.until = after(now);
        match check(id, flow) {
            Ok(()) => Ok(Arrived { flow: id.clone(), wanted: flow.wanted.clone(), pending: *pending }),
            Err(error) => {
                flow.step = Step::Ended { outcome: Outcome::from(&error) };
                Err(error)
            }
        }
    }

    /// Where a pasted address must lead, for [`CallbackParams::from_address`].
    pub fn redirect_uri(&self, id: &FlowId) -> Option<&Url> {
        match &self.all.get(id)?.step {
            Step::Away { pending } => Some(pending.redirect_uri()),
            _ => None,
        }
    }

    /// Keeps an outcome for the landing page and the terminal; a later one replaces it.
    pub fn settle(&mut self, id: &FlowId, outcome: Outcome, now: Timestamp) {
        if let Some(flow) = self.all.get_mut(id) {
            flow.step = Step::Ended { outcome };
            flow.until = after(now);
        }
    }

    /// How far the connect is; none once it has expired.
    pub fn progress(&self, id: &FlowId, now: Timestamp) -> Option<Progress<'_>> {
        self.all.get(id).filter(|flow| now < flow.until).map(Flow::progress)
    }

    /// The same for the browser that holds its cookie.
    pub fn progress_by_cookie(&self, cookie: &str, now: Timestamp) -> Option<Progress<'_>> {
        let bearer = Bearer::Browser(Some(Digest::of(cookie)));
        self.all.values().find(|flow| flow.bearer == bearer && now < flow.until).map(Flow::progress)
    }

    /// Forgets a connect; its ticket and state are worth nothing from now on.
    pub fn cancel(&mut self, id: &FlowId) -> bool {
        self.all.remove(id).is_some()
    }

    /// Forgets what has expired.
    pub fn sweep(&mut self, now: Timestamp) {
        self.all.retain(|_, flow| now < flow.until);
    }
}

impl Flow {
    fn progress(&self) -> Progress<'_> {
        match &self.step {
            Step::Opened { .. } => Progress::Waiting,
            Step::Redeemed | Step::Away { .. } => Progress::Away,
            Step::Back => Progress::Back,
            Step::Ended { outcome } => Progress::Ended(outcome),
        }
    }
}

fn after(now: Timestamp) -> Timestamp {
    now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX)
}
