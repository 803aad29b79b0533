//! How a refresh can fail, named by what follows from it.

use jiff::Timestamp;

/// Why there are no new tokens. The distinction that matters: may the old refresh token still be
/// good, and is it the account or the installation that is at fault?
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The request may have been carried out and its answer was lost or unusable. The old refresh
    /// token may be spent: one repeat with it is worth a try, and a refusal then means [`Self::Dead`].
    #[error("the answer to the refresh was lost: {message}")]
    Lost {
        /// What was met.
        message: String,
    },
    /// The network no longer takes the refresh token; a person must connect again.
    #[error("the grant has ended: {message}")]
    Dead {
        /// In the network's words, where it gave some.
        message: String,
    },
    /// The installation is at fault (client id, secret, clock), not the account, which stays as it is.
    #[error("refused because of our own set-up: {message}")]
    Config {
        /// In the network's words, where it gave some.
        message: String,
        /// What the operator can do.
        hint: String,
    },
    /// The network asks for patience; nothing was spent.
    #[error("the network asks to wait until {until:.0}")]
    Later {
        /// Not before.
        until: Timestamp,
    },
    /// No byte left this machine; nothing was spent.
    #[error("not sent: {message}")]
    NotSent {
        /// Why.
        message: String,
    },
}

impl RefreshError {
    /// A stable word for events and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "refresh_lost",
            Self::Dead { .. } => "refresh_dead",
            Self::Config { .. } => "client_refused",
            Self::Later { .. } => "refresh_later",
            Self::NotSent { .. } => "refresh_not_sent",
        }
    }

    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Dead { .. } => Some("connect the account again: `sendoff account connect`".into()),
            Self::Config { hint, .. } => Some(hint.clone()),
            Self::Lost { .. } | Self::Later { .. } | Self::NotSent { .. } => None,
        }
    }
}
