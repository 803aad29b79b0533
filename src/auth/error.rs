//! Why a connect failed, named by what the reader can do.

use jiff::Timestamp;

use super::{RefreshError, wire::Fault};

/// Why there is no connection. Messages hold no secret: what a server said is cut, cleaned and
/// rid of our tokens before it gets here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The user pressed "cancel" on the network's page.
    #[error("access was denied on the network's page{}", colon(said.as_ref()))]
    Denied {
        /// The network's words.
        said: Option<String>,
    },
    /// What the browser brought back cannot be an answer to us.
    #[error("the address the browser came back with is not usable: {0}")]
    BadCallback(&'static str),
    /// The state belongs to no running connect.
    #[error("this answer belongs to no running connect")]
    UnknownState,
    /// The server identifies its answers and this one is unsigned.
    #[error("the answer does not say which server it is from; expected `{expected}`")]
    IssuerMissing {
        /// The issuer we began with.
        expected: String,
    },
    /// The answer, or a document, is from another server than the one asked.
    #[error("the answer is from `{got}`, but `{expected}` was asked")]
    IssuerMismatch {
        /// The issuer asked.
        expected: String,
        /// The issuer that answered.
        got: String,
    },
    /// The one-time code was not taken.
    #[error("the network did not take the one-time code{}", colon(said.as_ref()))]
    CodeRefused {
        /// The network's words.
        said: Option<String>,
    },
    /// The network does not accept our client id or secret.
    #[error("the network does not accept this installation's client{}", colon(said.as_ref()))]
    ClientRefused {
        /// The network's words.
        said: Option<String>,
    },
    /// Any other refusal.
    #[error("{by} refused: `{error}`{}", colon(said.as_ref()))]
    Refused {
        /// Who.
        by: String,
        /// Its error code, or the HTTP status.
        error: String,
        /// Its words.
        said: Option<String>,
    },
    /// Less was granted than the product cannot do without.
    #[error("not granted: `{}`", missing.join("`, `"))]
    MissingScope {
        /// The required scopes that were withheld.
        missing: Vec<String>,
    },
    /// A reconnect brought back somebody else.
    #[error("this is account `{found}`, but `{expected}` was to be connected")]
    OtherAccount {
        /// The permanent id wanted.
        expected: String,
        /// The permanent id found.
        found: String,
    },
    /// The tokens are for an account that does not live on the server that issued them.
    #[error("`{issuer}` issued tokens for `{subject}`, whose server does not name it")]
    ForeignSubject {
        /// Who issued them.
        issuer: String,
        /// For whom.
        subject: String,
    },
    /// Not an AT Protocol server, or not one that can be signed in to this way.
    #[error("`{server}` cannot be used: {problem}")]
    NotAtproto {
        /// The address asked.
        server: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A document that must be served directly was redirected.
    #[error("`{url}` answered with a redirect ({status}), which is not followed")]
    Redirected {
        /// The address asked, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// No server knows the handle.
    #[error("the handle `{handle}` leads to no account")]
    UnknownHandle {
        /// As given.
        handle: String,
    },
    /// The account behind the handle does not claim it.
    #[error("`{handle}` points to `{did}`, which does not claim that handle")]
    HandleMismatch {
        /// As given.
        handle: String,
        /// Where it points.
        did: String,
    },
    /// A proof of possession was refused, which is nearly always a matter of clocks.
    #[error("{by} did not take the proof of possession{}", skew(*skew_seconds))]
    ProofRefused {
        /// Who.
        by: String,
        /// Its clock minus ours, in seconds, where it told.
        skew_seconds: Option<i64>,
    },
    /// An answer that is not what the documents promise.
    #[error("{by} sent an answer that cannot be used: {problem}")]
    BadAnswer {
        /// Who.
        by: String,
        /// What is wrong with it; never the answer itself.
        problem: String,
    },
    /// No answer.
    #[error("{by} could not be reached: {problem}")]
    Unreachable {
        /// Who.
        by: String,
        /// What was met.
        problem: String,
    },
    /// The network asks for patience.
    #[error("{by} asks to wait until {until:.0}")]
    Busy {
        /// Who.
        by: String,
        /// Not before.
        until: Timestamp,
    },
    /// This installation is not set up for it.
    #[error("{problem}")]
    Setup {
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl AuthError {
    /// A stable word for events and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "access_denied",
            Self::BadCallback(_) => "bad_callback",
            Self::UnknownState => "unknown_state",
            Self::IssuerMissing { .. } => "issuer_missing",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::CodeRefused { .. } => "code_refused",
            Self::ClientRefused { .. } => "client_refused",
            Self::Refused { .. } => "refused",
            Self::MissingScope { .. } => "missing_scope",
            Self::OtherAccount { .. } => "other_account",
            Self::ForeignSubject { .. } => "foreign_subject",
            Self::NotAtproto { .. } => "not_atproto",
            Self::Redirected { .. } => "redirected",
            Self::UnknownHandle { .. } => "unknown_handle",
            Self::HandleMismatch { .. } => "handle_mismatch",
            Self::ProofRefused { .. } => "proof_refused",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Unreachable { .. } => "unreachable",
            Self::Busy { .. } => "busy",
            Self::Setup { .. } => "setup",
        }
    }

    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Denied { .. } => "start again and allow access; nothing was stored",
            Self::BadCallback(_) | Self::UnknownState => {
                "start again with `sendoff account connect`; a link works once and for ten minutes"
            }
            Self::IssuerMissing { .. } | Self::IssuerMismatch { .. } | Self::ForeignSubject { .. } => {
                "this can be an attack, or a server set up wrongly; nothing was stored"
            }
            Self::CodeRefused { .. } => {
                "codes work once and only for a short while (on X 30 seconds): start again and go straight \
                 through; where the browser cannot reach this machine, a tunnel (`ssh -L`) is quicker than \
                 pasting"
            }
            Self::ClientRefused { .. } => "compare client id and secret with the network's developer console",
            Self::Refused { error, .. } if error == "402" => {
                "the network's developer account has no credit left; top it up in its console"
            }
            Self::MissingScope { .. } => {
                "connect again and leave every permission ticked; on X the app itself must be set to \"Read and \
                 write\""
            }
            Self::OtherAccount { .. } => {
                "sign in to the right account on the network's site, then connect again"
            }
            Self::NotAtproto { .. } => "check the address of the server, or give your handle instead",
            Self::Redirected { .. } => "give the address the server finally answers at",
            Self::UnknownHandle { .. } => {
                "check the spelling, or give the server's address with `--instance`"
            }
            Self::HandleMismatch { .. } => "set the handle again in the account's settings, or use the DID",
            Self::ProofRefused { .. } => "check this machine's clock (`timedatectl`)",
            Self::Unreachable { .. } => "check the address and the network, then start again",
            Self::Setup { remedy, .. } => remedy,
            Self::Refused { .. } | Self::BadAnswer { .. } | Self::Busy { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The same fault met on a page that is read, where nothing can have been spent.
    pub(super) fn of(by: &str, fault: Fault) -> Self {
        let by = by.to_owned();
        match fault {
            Fault::NotSent(problem) | Fault::Lost(problem) => Self::Unreachable { by, problem },
            Fault::Busy(until) => Self::Busy { by, until },
            Fault::Redirected(status) => Self::Redirected { url: by, status },
            Fault::Garbage(problem) => Self::BadAnswer { by, problem },
            Fault::Refused { status, error, said } => {
                Self::Refused { by, error: error.unwrap_or_else(|| status.to_string()), said }
            }
        }
    }
}

impl RefreshError {
    /// A fault of the line between us and a token endpoint. Refusals are the dialect's business,
    /// which is why they come back.
    pub(super) fn of(fault: Fault) -> Result<Self, (u16, Option<String>, Option<String>)> {
        Ok(match fault {
            Fault::NotSent(message) => Self::NotSent { message },
            // A body we cannot read after a 200 is as bad as none: the old token is probably spent.
            Fault::Lost(message) | Fault::Garbage(message) => Self::Lost { message },
            Fault::Busy(until) => Self::Later { until },
            Fault::Redirected(status) => Self::Config {
                message: format!("the token endpoint answered with a redirect ({status})"),
                hint: "check the configured address of the network; redirects are not followed".into(),
            },
            Fault::Refused { status, error, said } => return Err((status, error, said)),
        })
    }
}

fn colon(said: Option<&String>) -> String {
    said.map(|it| format!(": {it}")).unwrap_or_default()
}

fn skew(seconds: Option<i64>) -> String {
    match seconds {
        Some(s) if s.unsigned_abs() > 5 => format!("; its clock and ours are {} s apart", s.unsigned_abs()),
        _ => String::new(),
    }
}
