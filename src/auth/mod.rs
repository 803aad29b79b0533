//! OAuth conversations: connecting an account, keeping its tokens fresh, giving them back.
//!
//! A [`Provider`] is one network's dialect of the authorization code flow with PKCE. It talks
//! through the two [`Exchange`]s it is handed, reads neither clock nor store, and returns what
//! should be saved: a [`Grant`]. There is no other way in: no password, no implicit flow.
//!
//! Reading order: this file (the questions the daemon asks), [`flows`] (which connects are running
//! and which arrival may finish one), [`x`] (the plain dialect, through the `oauth2` crate),
//! [`bluesky`] (the one the crate cannot speak: discovery, pushed requests, `DPoP`), [`grant`] (what
//! is kept).

pub mod bluesky;
mod callback;
mod chance;
pub mod dpop;
mod error;
pub mod facebook;
pub mod flows;
pub mod grant;
pub mod instagram;
pub mod linkedin;
mod refresh;
pub mod signed_request;
pub mod tiktok;
mod token;
mod wire;
pub mod x;

#[cfg(test)]
mod testing;

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

pub use callback::CallbackParams;
pub use chance::Random;
pub use error::AuthError;
pub use grant::{Grant, authorize_request, authorize_upload};
pub use refresh::RefreshError;

use crate::domain::ids::PlatformName;
use crate::http::Exchange;

/// What the operator registered with the network.
#[derive(Debug, Clone)]
pub struct App {
    /// The public half.
    pub client_id: String,
    /// The secret half; none for a public client, which then names itself in the form instead.
    pub client_secret: Option<SecretString>,
}

/// The outside world, by argument.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// For the endpoints the configuration names.
    pub fixed: &'a dyn Exchange,
    /// For hosts a user or a server named; it keeps away from private addresses.
    pub guarded: &'a dyn Exchange,
    /// The present instant.
    pub now: Timestamp,
    /// Fills a buffer with unpredictable bytes.
    pub random: &'a Random<'a>,
}

/// One network's dialect, with what the operator configured for it.
#[derive(Debug, Clone)]
pub enum Provider {
    /// X.
    X(x::XProvider),
    /// Bluesky and other AT Protocol servers.
    Bluesky(bluesky::BlueskyProvider),
    /// Facebook Pages.
    Facebook(facebook::FacebookProvider),
    /// Instagram, by either door.
    Instagram(Box<instagram::InstagramProvider>),
    /// LinkedIn's members and organizations.
    LinkedIn(Box<linkedin::LinkedInProvider>),
    /// TikTok.
    TikTok(tiktok::TikTokProvider),
}

/// What a connect is asked to do.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Where the network sends the browser back to; exactly as registered.
    pub redirect_uri: Url,
    /// The user's server, for networks that have many.
    pub instance: Option<Url>,
    /// The user's handle, for networks that find the server by it. A DID will do, too.
    pub handle: Option<String>,
    /// The permanent id that must come back, when a known account connects again.
    pub reconnect: Option<String>,
}

/// A connect under way: where the browser goes, and what to keep until it returns.
pub struct Started {
    /// The network's own page. It carries the one-time state, so it is not for logs.
    pub authorize_url: Url,
    /// Needed by [`Provider::finish`]; belongs in memory only.
    pub pending: Pending,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("authorize_host", &self.authorize_url.host_str())
            .field("pending", &self.pending)
            .finish()
    }
}

/// What a running connect must remember. Its `Debug` shows no secret.
pub struct Pending {
    state: chance::Digest,
    verifier: SecretString,
    redirect_uri: Url,
    expect: Option<String>,
    server: Server,
}

/// The part of [`Pending`] that only one dialect has.
enum Server {
    X,
    Bluesky(Box<bluesky::PendingServer>),
    Facebook,
    Instagram,
    LinkedIn,
    TikTok,
}

impl Pending {
    /// Whether `state` is the one this connect sent out.
    pub fn answers_to(&self, state: &str) -> bool {
        self.state.is_of(state)
    }

    /// The digest by which [`flows`] finds the connect again; the state itself is not kept.
    pub(crate) fn state(&self) -> chance::Digest {
        self.state
    }

    /// The network this connect was begun with.
    pub fn platform(&self) -> PlatformName {
        match self.server {
            Server::X => PlatformName::X,
            Server::Bluesky(_) => PlatformName::Bluesky,
            Server::Facebook => PlatformName::Facebook,
            Server::Instagram => PlatformName::Instagram,
            Server::LinkedIn => PlatformName::LinkedIn,
            Server::TikTok => PlatformName::TikTok,
        }
    }

    /// The address the network sends the browser back to.
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("platform", &self.platform())
            .field("redirect_uri", &self.redirect_uri.as_str())
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

/// What a network says of a token that it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenState {
    pub is_valid: bool,
    /// None: it has no end.
    pub expires_at: Option<Timestamp>,
    /// When the person must have confirmed the app again for it to go on reading what is theirs.
    pub data_access_expires_at: Option<Timestamp>,
    /// How it stands, in the network's words: `active` (LinkedIn), why it is not valid (all).
    pub said: Option<String>,
}

/// The end of a connect: nothing of it is stored until a person confirms the account found.
#[derive(Debug)]
pub struct Connected {
    /// The tokens.
    pub grant: Grant,
    /// Whose they are.
    pub found: Found,
    /// Scopes granted, in the network's spelling.
    pub scopes: Vec<String>,
    /// Scopes asked for and not granted; each disables only its own feature.
    pub missing_scopes: Vec<String>,
    /// What else a person should know before they confirm.
    pub warnings: Vec<String>,
}

/// The account behind a grant, as the network describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The permanent id (X user id, DID).
    pub remote_id: String,
    /// The id under which the network's app knows the account, where that is another one: Meta's
    /// callbacks may use either.
    pub app_scoped_id: Option<String>,
    /// The user name, without `@`.
    pub username: String,
    /// The name people see; the user name where there is none.
    pub display_name: String,
    /// Avatar address on the network.
    pub avatar_url: Option<String>,
    /// The account's own server, on networks that have many.
    pub server: Option<Url>,
    /// The paid tier as the network names it.
    pub tier: Option<String>,
}

/// One scope we ask for, and what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeNeed {
    /// In the network's spelling.
    pub scope: &'static str,
    /// Without a required scope the account is not connected at all.
    pub required: bool,
    /// What cannot be done without it, as a clause.
    pub without: &'static str,
}

/// One line of the receipt of a disconnect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What was to be revoked, e.g. `refresh token`.
    pub what: &'static str,
    /// Where: the host asked.
    pub place: String,
    /// How it ended.
    pub result: RevocationResult,
    /// What happened, when there is something to say.
    pub message: Option<String>,
    /// What the user can still do.
    pub hint: Option<String>,
}

/// How a revocation ended. None of them keeps the local copy alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationResult {
    /// The network confirmed it.
    Done,
    /// The network offers no way.
    NotPossible,
    /// The network refused, or did not answer.
    Failed,
}

/// What a person can do where a revocation came to nothing: the page on which the network itself
/// ends an app's access. `server` is the account's own, on networks that have many.
///
/// X: x.com/settings/connected_apps. Bluesky: the account page of the server that signed the user
/// in; the reference server has it at `/account`.
pub fn revoke_by_hand(platform: PlatformName, server: Option<&str>) -> String {
    match (platform, server) {
        (PlatformName::X, _) => format!("end the access of this app at {}", x::APPS_PAGE),
        (PlatformName::Facebook, _) => format!("end the access of this app at {}", facebook::APPS_PAGE),
        (PlatformName::Instagram, _) => format!("end the access of this app at {}", instagram::APPS_PAGE),
        (PlatformName::LinkedIn, _) => format!("end the access of this app at {}", linkedin::APPS_PAGE),
        (PlatformName::TikTok, _) => tiktok::REVOKE_BY_HAND.to_owned(),
        (_, Some(server)) => {
            let server = server.trim_end_matches('/');
            format!("end the access of this app in the account settings of your server ({server}/account)")
        }
        (_, None) => {
            format!("end the access of this app in the settings of your account on {}", platform.title())
        }
    }
}

impl Provider {
    /// The network.
    pub fn platform(&self) -> PlatformName {
        match self {
            Self::X(_) => PlatformName::X,
            Self::Bluesky(_) => PlatformName::Bluesky,
            Self::Facebook(_) => PlatformName::Facebook,
            Self::Instagram(_) => PlatformName::Instagram,
            Self::LinkedIn(_) => PlatformName::LinkedIn,
            Self::TikTok(_) => PlatformName::TikTok,
        }
    }

    /// Every scope a connect asks for, required ones first.
    pub fn scopes(&self) -> &'static [ScopeNeed] {
        match self {
            Self::X(_) => x::SCOPES,
            Self::Bluesky(_) => bluesky::SCOPES,
            Self::Facebook(_) => facebook::SCOPES,
            Self::Instagram(it) => it.scopes(),
            Self::LinkedIn(it) => it.scopes(),
            Self::TikTok(it) => it.scopes(),
        }
    }

    /// Whether there is an app for new accounts, before a browser is sent anywhere.
    pub fn check_app(&self) -> Result<(), AuthError> {
        match self {
            Self::LinkedIn(it) => it.app().map(drop),
            // Without one there is no provider.
            _ => Ok(()),
        }
    }

    /// Whether this installation's public address will do, before a browser is sent anywhere.
    pub fn check_address(&self, redirect: &Url) -> Result<(), AuthError> {
        match self {
            Self::Instagram(it) => it.check_address(redirect),
            Self::TikTok(it) => it.check_address(redirect),
            Self::X(_) => x::check_redirect(redirect),
            Self::Facebook(it) => it.check_address(redirect),
            Self::LinkedIn(_) => linkedin::check_redirect(redirect),
            // Its server reads the address from our own document.
            Self::Bluesky(_) => Ok(()),
        }
    }

    /// Begins a connect. On X nothing is sent; on Bluesky the server is found and the request is
    /// pushed to it, which the server then remembers for five minutes.
    pub async fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        match self {
            Self::X(it) => it.begin(tools, ask),
            Self::Bluesky(it) => it.begin(tools, ask).await,
            Self::Facebook(it) => it.begin(tools, ask),
            Self::Instagram(it) => it.begin(tools, ask),
            Self::LinkedIn(it) => it.begin(tools, ask),
            Self::TikTok(it) => it.begin(tools, ask),
        }
    }

    /// Ends a connect with what the browser brought back: checks it, redeems the code, and asks
    /// whose account it is. Tokens that turn out to be unusable are handed back at once. One consent
    /// may open several accounts (the Pages of a person); there is always at least one.
    ///
    /// To be called without delay: X's codes live 30 seconds
    /// (docs.x.com/resources/fundamentals/authentication/oauth-2-0/authorization-code).
    pub async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Vec<Connected>, AuthError> {
        // Before anything else, and before `error` is believed: whoever does not know the state has
        // no say in this connect.
        let ours = pending.platform() == self.platform();
        if !ours || !back.state().is_some_and(|state| pending.answers_to(state)) {
            return Err(AuthError::UnknownState);
        }
        match self {
            Self::X(it) => it.finish(tools, pending, back).await.map(|one| vec![one]),
            Self::Bluesky(it) => it.finish(tools, pending, back).await.map(|one| vec![one]),
            Self::Facebook(it) => it.finish(tools, pending, back).await,
            Self::Instagram(it) => it.finish(tools, pending, back).await,
            Self::LinkedIn(it) => it.finish(tools, pending, back).await,
            Self::TikTok(it) => it.finish(tools, pending, back).await.map(|one| vec![one]),
        }
    }

    /// Trades the refresh token for new tokens. The caller allows one at a time per account, has
    /// written its intent before, and makes the answer durable before using it.
    pub async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        match self {
            Self::X(it) => it.refresh(tools, grant).await,
            Self::Bluesky(it) => it.refresh(tools, grant).await,
            Self::Facebook(_) => Err(RefreshError::Dead { message: facebook::NO_REFRESH.into() }),
            Self::Instagram(it) => it.refresh(tools, grant).await,
            Self::LinkedIn(it) => it.refresh(tools, grant).await,
            Self::TikTok(it) => it.refresh(tools, grant).await,
        }
    }

    /// What the network says of the grant's token, on networks that can be asked. `None`: this one cannot.
    ///
    /// # Errors
    /// It was not reached, or did not say.
    pub async fn inspect(&self, tools: Tools<'_>, grant: &Grant) -> Option<Result<TokenState, AuthError>> {
        match self {
            Self::LinkedIn(it) => it.inspect(tools, grant).await,
            Self::X(_) | Self::Bluesky(_) | Self::Facebook(_) | Self::Instagram(_) | Self::TikTok(_) => {
                Some(self.graph(grant)?.inspect(tools, &grant.access).await)
            }
        }
    }

    /// Whether an access token that was refused may be fetched anew without a refresh token.
    pub fn can_fetch_anew(&self, grant: &Grant) -> bool {
        grant.refresh.is_none() && self.graph(grant).is_some()
    }

    /// The grant with another access token for the same account, as [`Provider::refresh`] gives one where
    /// there is a refresh token.
    ///
    /// # Errors
    /// There is none, or it cannot be had now.
    pub async fn fetch_anew(
        &self,
        tools: Tools<'_>,
        grant: &Grant,
        remote_id: &str,
    ) -> Result<Grant, RefreshError> {
        match self.graph(grant) {
            Some(facebook) => facebook.fetch_anew(tools, grant, remote_id).await,
            None => Err(RefreshError::Dead { message: facebook::NO_REFRESH.into() }),
        }
    }

    /// Facebook's dialect, for grants that a person's consent on Facebook stands behind.
    fn graph(&self, grant: &Grant) -> Option<&facebook::FacebookProvider> {
        grant.person.as_ref()?;
        match self {
            Self::Facebook(it) => Some(it),
            Self::Instagram(it) => it.facebook.as_ref(),
            Self::X(_) | Self::Bluesky(_) | Self::LinkedIn(_) | Self::TikTok(_) => None,
        }
    }

    /// Gives the tokens back to the network. Whatever it answers, the caller deletes its copy; the
    /// lines say truthfully what the network did.
    pub async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        match self {
            Self::X(it) => it.revoke(tools, grant).await,
            Self::Bluesky(it) => it.revoke(tools, grant).await,
            Self::Facebook(it) => it.revoke(tools, grant).await,
            Self::Instagram(it) => it.revoke(tools, grant).await,
            Self::LinkedIn(it) => it.revoke(tools, grant).await,
            Self::TikTok(it) => it.revoke(tools, grant).await,
        }
    }
}
