//! Bluesky and other AT Protocol servers: OAuth with pushed requests, PKCE, `DPoP` and server
//! nonces (atproto.com/specs/oauth).
//!
//! Every server here is named by a user or by another server, so everything goes through the
//! guarded exchange, documents must answer with exactly 200 and no redirect, and each step checks
//! that the one before spoke of the same server: account → its server → authorization server →
//! `iss` of the answer → `sub` of the tokens → back to the same account.

mod call;
mod client;
mod discovery;
mod scopes;
#[cfg(test)]
mod tests;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

pub use client::{BlueskyClient, client_metadata};
pub use scopes::SCOPES;

use self::call::{Call, Refusal};
use self::discovery::{AuthServer, Identity};
pub use self::discovery::{is_account, is_server};
use super::chance::{Digest, base64url, secret, sha256};
use super::dpop;
use super::grant::{Grant, GrantServer, Proof};
use super::token::{AccessToken, RefreshToken};
use super::wire::{self, Fault};
use super::{
    AuthError, Begin, CallbackParams, Connected, Found, Pending, RefreshError, Revocation, RevocationResult,
    Server, Started, Tools,
};
use crate::domain::ids::PlatformName;

/// The life of a public client's session, refreshed or not (atproto.com/specs/oauth#tokens-and-session-lifetime).
const PUBLIC_SESSION: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Bluesky as the operator configured it.
#[derive(Debug, Clone)]
pub struct BlueskyProvider {
    /// The directory of `did:plc` accounts; `https://plc.directory`.
    pub plc: Url,
    /// Who we are to the servers.
    pub client: BlueskyClient,
}

/// What a running connect remembers besides state and verifier.
pub(super) struct PendingServer {
    server: AuthServer,
    /// Known from the start when the connect began with a handle or a DID.
    identity: Option<Identity>,
    key: dpop::Key,
    client_id: String,
}

impl BlueskyProvider {
    pub(super) async fn begin(&self, tools: Tools<'_>, ask: Begin) -> Result<Started, AuthError> {
        self.client.check_redirect(&ask.redirect_uri)?;
        let (server, identity) = discovery::locate(tools, &self.plc, &ask).await?;
        let key = dpop::Key::generate().map_err(|_| bad_key())?;
        let state = secret(tools.random);
        let verifier = secret(tools.random);
        let challenge = base64url(&sha256(verifier.as_bytes()));
        let login_hint = ask.handle.as_deref().or(ask.reconnect.as_deref()).map(discovery::plain);

        let mut first_refusal = None;
        for asked in [scopes::GRANULAR, scopes::TRANSITION] {
            let client_id = self.client.id(&ask.redirect_uri, asked);
            let mut fields = vec![
                ("response_type", "code"),
                ("redirect_uri", ask.redirect_uri.as_str()),
                ("scope", asked),
                ("state", &state),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ];
            fields.extend(login_hint.as_deref().map(|hint| ("login_hint", hint)));
            let call = Call {
                tools,
                client: &self.client,
                client_id: &client_id,
                issuer: &server.issuer,
                key: &key,
                hide: &[&state, &verifier],
            };
            match call.post(&server.par, &fields, &[StatusCode::CREATED, StatusCode::OK]).await {
                Ok(answer) => {
                    let request_uri =
                        text(&answer, "request_uri").filter(|it| !it.is_empty()).ok_or_else(|| {
                            AuthError::BadAnswer {
                                by: wire::place(&server.par),
                                problem: "it has no `request_uri`".into(),
                            }
                        })?;
                    let mut authorize_url = server.authorize.clone();
                    authorize_url
                        .query_pairs_mut()
                        .append_pair("client_id", &client_id)
                        .append_pair("request_uri", request_uri);
                    let pending = Pending {
                        state: Digest::of(&state),
                        verifier: verifier.to_string().into(),
                        redirect_uri: ask.redirect_uri,
                        expect: ask.reconnect.or_else(|| identity.as_ref().map(|it| it.did.clone())),
                        server: Server::Bluesky(Box::new(PendingServer { server, identity, key, client_id })),
                    };
                    return Ok(Started { authorize_url, pending });
                }
                // A server that does not know the fine scopes may know the coarse one.
                Err(refusal) if refusal.is("invalid_scope") && first_refusal.is_none() => {
                    first_refusal = Some(refusal);
                }
                Err(refusal) => return Err(refusal.into_error(&server.par)),
            }
        }
        Err(first_refusal.map_or(AuthError::UnknownState, |it| it.into_error(&server.par)))
    }

    pub(super) async fn finish(
        &self,
        tools: Tools<'_>,
        pending: Pending,
        back: &CallbackParams,
    ) -> Result<Connected, AuthError> {
        let Server::Bluesky(own) = &pending.server else { return Err(AuthError::UnknownState) };
        check_issuer(&own.server.issuer, back)?;
        let code = back.outcome()?.expose_secret();
        let verifier = pending.verifier.expose_secret();
        let call = Call {
            tools,
            client: &self.client,
            client_id: &own.client_id,
            issuer: &own.server.issuer,
            key: &own.key,
            hide: &[code, verifier],
        };
        let fields = [
            ("grant_type", "authorization_code"),
            ("redirect_uri", pending.redirect_uri.as_str()),
            ("code", code),
            ("code_verifier", verifier),
        ];
        let answer = call
            .post(&own.server.token, &fields, &[StatusCode::OK])
            .await
            .map_err(|refusal| refusal.into_code_error(&own.server.token))?;
        let tokens = Tokens::read(&answer).map_err(|problem| AuthError::BadAnswer {
            by: wire::place(&own.server.token),
            problem: problem.into(),
        })?;
        let life = if self.client.is_confidential(&own.client_id) { None } else { Some(PUBLIC_SESSION) };
        let grant = Grant {
            access: tokens.access,
            refresh: tokens.refresh,
            proof: Proof::Dpop(own.key.clone()),
            scopes: tokens.scopes,
            issued_at: tools.now,
            expires_at: tokens.life.and_then(|it| tools.now.checked_add(it).ok()),
            grant_expires_at: life.and_then(|it| tools.now.checked_add(it).ok()),
            client_id: own.client_id.clone(),
            server: Some(GrantServer {
                issuer: own.server.issuer.clone(),
                subject: tokens.subject,
                token: own.server.token.clone(),
                revocation: own.server.revocation.clone(),
            }),
            person: None,
        };
        match self.examine(tools, &pending, own, &grant).await {
            Ok((found, missing_scopes)) => Ok(Connected {
                found,
                scopes: grant.scopes.clone(),
                missing_scopes,
                warnings: short_lived(&self.client),
                grant,
            }),
            Err(error) => {
                // Nobody will use these tokens: hand them back, whatever comes of it.
                self.revoke(tools, &grant).await;
                Err(error)
            }
        }
    }

    /// Whether the tokens are for the right account, of a server entitled to it, with scopes enough.
    async fn examine(
        &self,
        tools: Tools<'_>,
        pending: &Pending,
        own: &PendingServer,
        grant: &Grant,
    ) -> Result<(Found, Vec<String>), AuthError> {
        let subject = grant.server.as_ref().map_or("", |it| it.subject.as_str());
        if let Some(expected) = pending.expect.as_ref().filter(|it| *it != subject) {
            return Err(AuthError::OtherAccount {
                expected: expected.clone(),
                found: wire::clean(subject, &[]),
            });
        }
        let resolved;
        let identity = if let Some(known) = own.identity.as_ref().filter(|it| it.did == subject) {
            known
        } else {
            // The connect began with a server, so any account could come back: only one whose own
            // document leads to this very server counts.
            resolved = discovery::identity(tools, &self.plc, subject).await?;
            let authority = discovery::server_of(tools, &resolved.pds).await?;
            if authority.issuer != own.server.issuer {
                return Err(AuthError::ForeignSubject {
                    issuer: own.server.issuer.clone(),
                    subject: subject.to_owned(),
                });
            }
            &resolved
        };
        let missing = scopes::missing(&grant.scopes);
        let required: Vec<String> =
            missing.iter().filter(|need| need.required).map(|need| need.scope.to_owned()).collect();
        if !required.is_empty() {
            return Err(AuthError::MissingScope { missing: required });
        }
        let missing = missing.iter().map(|need| need.scope.to_owned()).collect();
        Ok((discovery::describe(tools, identity).await, missing))
    }

    pub(super) async fn refresh(&self, tools: Tools<'_>, grant: &Grant) -> Result<Grant, RefreshError> {
        let (Some(server), Proof::Dpop(key)) = (&grant.server, &grant.proof) else {
            return Err(RefreshError::Dead { message: "it was not issued by an AT Protocol server".into() });
        };
        let Some(refresh) = &grant.refresh else {
            return Err(RefreshError::Dead { message: "the server gave no refresh token".into() });
        };
        let call = Call {
            tools,
            client: &self.client,
            client_id: &grant.client_id,
            issuer: &server.issuer,
            key,
            hide: &[refresh.expose(), grant.access.expose()],
        };
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
        let answer = call
            .post(&server.token, &fields, &[StatusCode::OK])
            .await
            .map_err(|refusal| refusal.into_refresh_error(tools.now))?;
        // The old token is spent by now, so an unusable answer is an answer lost, not a refusal.
        let tokens =
            Tokens::read(&answer).map_err(|problem| RefreshError::Lost { message: problem.into() })?;
        if tokens.subject != server.subject {
            return Err(RefreshError::Dead {
                message: "the server answered with another account's tokens".into(),
            });
        }
        Ok(Grant {
            access: tokens.access,
            refresh: tokens.refresh.or_else(|| grant.refresh.clone()),
            scopes: tokens.scopes,
            issued_at: tools.now,
            expires_at: tokens.life.and_then(|it| tools.now.checked_add(it).ok()),
            ..grant.clone()
        })
    }

    /// One call ends the whole session: with the refresh token dies the access token.
    pub(super) async fn revoke(&self, tools: Tools<'_>, grant: &Grant) -> Vec<Revocation> {
        let (Some(server), Proof::Dpop(key)) = (&grant.server, &grant.proof) else { return Vec::new() };
        let (what, token) = match &grant.refresh {
            Some(token) => ("refresh and access token", token.expose()),
            None => ("access token", grant.access.expose()),
        };
        let (place, result, message) = match &server.revocation {
            None => {
                let until = grant
                    .expires_at
                    .map_or_else(|| "it ends by itself".into(), |at| format!("it ends at {at:.0}"));
                let message = format!("the server has no address for returning tokens; {until}");
                (wire::place(&server.token), RevocationResult::NotPossible, Some(message))
            }
            Some(url) => {
                let call = Call {
                    tools,
                    client: &self.client,
                    client_id: &grant.client_id,
                    issuer: &server.issuer,
                    key,
                    hide: &[token, grant.access.expose()],
                };
                match call.send(url, &[("token", token)]).await {
                    Ok(answer) if answer.status() == StatusCode::OK => {
                        (wire::place(url), RevocationResult::Done, None)
                    }
                    Ok(answer) => {
                        let fault = wire::refusal(&answer, call.hide, tools.now);
                        (wire::place(url), RevocationResult::Failed, Some(fault.to_string()))
                    }
                    Err(fault) => (wire::place(url), RevocationResult::Failed, Some(fault.to_string())),
                }
            }
        };
        let hint = (result != RevocationResult::Done)
            .then(|| super::revoke_by_hand(PlatformName::Bluesky, Some(&server.issuer)));
        vec![Revocation { what, place, result, message, hint }]
    }
}

/// RFC 9207: the answer must say who it is from, byte for byte, before anything in it counts.
fn check_issuer(expected: &str, back: &CallbackParams) -> Result<(), AuthError> {
    match back.iss() {
        None => Err(AuthError::IssuerMissing { expected: expected.to_owned() }),
        Some(iss) if iss != expected => {
            Err(AuthError::IssuerMismatch { expected: expected.to_owned(), got: wire::clean(iss, &[]) })
        }
        Some(_) => Ok(()),
    }
}

/// A token answer that has everything the profile promises.
struct Tokens {
    access: AccessToken,
    refresh: Option<RefreshToken>,
    scopes: Vec<String>,
    life: Option<SignedDuration>,
    subject: String,
}

impl Tokens {
    fn read(answer: &Value) -> Result<Self, &'static str> {
        if !text(answer, "token_type").is_some_and(|it| it.eq_ignore_ascii_case("dpop")) {
            return Err("the token is not of type `DPoP`");
        }
        let access = text(answer, "access_token").and_then(|it| AccessToken::new(it.to_owned()));
        let refresh = match answer.get("refresh_token") {
            None | Some(Value::Null) => None,
            Some(value) => Some(
                value
                    .as_str()
                    .and_then(|it| RefreshToken::new(it.to_owned()))
                    .ok_or("the refresh token is empty or not visible ASCII")?,
            ),
        };
        let scope = text(answer, "scope").ok_or("it has no `scope`")?;
        Ok(Self {
            access: access.ok_or("the access token is missing, empty or not visible ASCII")?,
            refresh,
            scopes: scope.split_whitespace().map(|it| wire::clean(it, &[])).collect(),
            life: answer
                .get("expires_in")
                .and_then(Value::as_u64)
                .and_then(|it| i64::try_from(it).ok().map(SignedDuration::from_secs)),
            subject: text(answer, "sub")
                .filter(|it| discovery::is_did(it))
                .ok_or("it has no `sub`")?
                .to_owned(),
        })
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn bad_key() -> AuthError {
    AuthError::Setup {
        problem: "no signing key could be made".into(),
        remedy: "the system's source of randomness does not work".into(),
    }
}

impl Refusal {
    /// What a refused push or document means.
    fn into_error(self, url: &Url) -> AuthError {
        let by = wire::place(url);
        if self.is("invalid_dpop_proof") {
            return AuthError::ProofRefused { by, skew_seconds: self.skew };
        }
        if ["invalid_client", "unauthorized_client", "invalid_client_metadata", "invalid_client_id"]
            .iter()
            .any(|it| self.is(it))
            && let Fault::Refused { said, .. } = self.fault
        {
            return AuthError::ClientRefused { said };
        }
        AuthError::of(&by, self.fault)
    }

    /// What a refused code means.
    fn into_code_error(self, url: &Url) -> AuthError {
        match self {
            Self { fault: Fault::Refused { status: 400, error: Some(error), said }, .. }
                if error == "invalid_grant" =>
            {
                AuthError::CodeRefused { said }
            }
            other => other.into_error(url),
        }
    }

    /// What a refused refresh means. `invalid_grant` covers expiry, revocation and replay, and each
    /// of them ends the session.
    fn into_refresh_error(self, now: Timestamp) -> RefreshError {
        let skew = self.skew;
        let (status, error, said) = match RefreshError::of(self.fault) {
            Ok(error) => return error,
            Err(refused) => refused,
        };
        let error = error.unwrap_or_else(|| format!("status {status}"));
        let message = said.map_or_else(|| format!("`{error}`"), |said| format!("`{error}`: {said}"));
        match error.as_str() {
            "invalid_grant" => RefreshError::Dead { message },
            // Refused twice before being looked at: nothing is spent, a later try starts afresh.
            "use_dpop_nonce" => {
                RefreshError::Later { until: now.checked_add(SignedDuration::from_mins(1)).unwrap_or(now) }
            }
            "invalid_dpop_proof" => RefreshError::Config {
                message: match skew {
                    Some(s) if s.unsigned_abs() > 5 => {
                        format!("{message} (clocks are {} s apart)", s.unsigned_abs())
                    }
                    _ => message,
                },
                hint: "check this machine's clock (`timedatectl`); accounts stay connected".into(),
            },
            _ => RefreshError::Config {
                message,
                hint:
                    "check that the public address serves this installation's client document; accounts stay \
                       connected"
                        .into(),
            },
        }
    }
}

/// A client without a public document is taken for a public one, whose sessions a server ends after two
/// weeks whatever is refreshed (atproto.com/specs/oauth).
fn short_lived(client: &BlueskyClient) -> Vec<String> {
    match client {
        BlueskyClient::Loopback => vec![
            "this connection ends after two weeks and must then be made again; with an https `public_url` it \
             would renew itself"
                .to_owned(),
        ],
        BlueskyClient::Web { .. } => Vec::new(),
    }
}
