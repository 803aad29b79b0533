//! One connected destination, and the grant behind it (without its secrets).

use jiff::Timestamp;

use super::delivery::Reason;
use super::ids::{AccountId, AccountName};

/// Whether an account can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// Its token works as far as we know.
    Ready,
    /// Expired, revoked or short of a scope; a person must connect it again.
    NeedsReconnect,
    /// Stopped by the user; nothing is sent.
    Paused,
}

impl AccountState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NeedsReconnect => "needs_reconnect",
            Self::Paused => "paused",
        }
    }
}

/// A connected account as the store knows it. Tokens are elsewhere, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Our key for it; its data key goes by this id too.
    pub id: AccountId,
    /// `platform:handle`.
    pub name: AccountName,
    /// The network's permanent id (X user id, DID).
    pub remote_id: String,
    /// The network's user name, without `@`.
    pub username: String,
    /// The name people see.
    pub display_name: String,
    /// Avatar address on the network, if it gave one.
    pub avatar_url: Option<String>,
    /// Base URL of the account's own server (Bluesky, Mastodon); none for networks with one address.
    pub server: Option<String>,
    /// Paid tier as the network names it; it decides X's text limit. None = not told.
    pub tier: Option<String>,
    /// Whether it can act.
    pub state: AccountState,
    /// Why it cannot, in the network's words or ours.
    pub reason: Option<String>,
    /// Scopes the user granted.
    pub scopes: Vec<String>,
    /// Scopes we asked for and did not get.
    pub missing_scopes: Vec<String>,
    /// End of the access token.
    pub expires_at: Option<Timestamp>,
    /// When the present access token was issued; half its life later it is refreshed.
    pub issued_at: Option<Timestamp>,
    /// End of the whole grant where it is known (a public Bluesky client: two weeks).
    pub grant_expires_at: Option<Timestamp>,
    /// When the network ends the app's reading of what is this account's unless a person confirms it, as
    /// its own word on the token says.
    pub data_access_ends_at: Option<Timestamp>,
    /// There is a refresh token.
    pub can_refresh: bool,
    /// When it was connected.
    pub connected_at: Timestamp,
    /// Keyed hashes of the ids by which the network's app knows the person who consented, where they
    /// are not `remote_id` (a Page's owner). A request to delete what is held of them finds it by these.
    pub persons: Vec<String>,
}

impl Account {
    /// An account that can act, and of which nothing but its names is known yet.
    pub fn new(id: AccountId, name: AccountName, remote_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            name,
            remote_id: remote_id.into(),
            username: String::new(),
            display_name: String::new(),
            avatar_url: None,
            server: None,
            tier: None,
            state: AccountState::Ready,
            reason: None,
            scopes: Vec::new(),
            missing_scopes: Vec::new(),
            expires_at: None,
            issued_at: None,
            grant_expires_at: None,
            data_access_ends_at: None,
            can_refresh: false,
            connected_at: now,
            persons: Vec::new(),
        }
    }

    /// When a person must connect it again at the latest, where that is known: the end of the grant,
    /// or of the token where it cannot be renewed.
    pub fn ends_at(&self) -> Option<Timestamp> {
        if self.can_refresh { self.grant_expires_at } else { self.expires_at }
    }

    /// Why nothing can be done for it before a person connects it again.
    pub fn dead(&self) -> Reason {
        let why = self.reason.clone().unwrap_or_else(|| "the account must be connected again".into());
        Reason::new("account_dead", why).hint(self.connect_again())
    }

    /// The command that connects this very account again. By its name the account is known, and with
    /// it its server and who must be signed in, on every network.
    pub fn connect_again(&self) -> String {
        format!("sendoff account connect {} --name {}", self.name.platform(), self.name.handle())
    }
}
