//! What a connect leaves behind: the tokens and all that is needed to use, renew and return them.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderValue, Request};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::chance::{Random, sha256};
use super::dpop;
use super::token::{AccessToken, RefreshToken};

/// Tokens and their circumstances. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Opens the API.
    pub access: AccessToken,
    /// Buys the next pair; none where the user did not grant it.
    pub refresh: Option<RefreshToken>,
    /// How a request proves that the token is its own.
    pub proof: Proof,
    /// As granted.
    pub scopes: Vec<String>,
    /// When the access token was issued, by our clock.
    pub issued_at: Timestamp,
    /// End of the access token; none when the network did not say.
    pub expires_at: Option<Timestamp>,
    /// End of the whole grant, refreshed or not, where it is known.
    pub grant_expires_at: Option<Timestamp>,
    /// The client the tokens were issued to.
    pub client_id: String,
    /// Where they came from, on networks that have many servers.
    pub server: Option<GrantServer>,
    /// The person behind it, where one person's consent opens several accounts (Pages).
    pub person: Option<Person>,
}

/// The person who consented, with the token that speaks for them: needed to end the access, which on
/// Meta's networks ends it for every account of theirs.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their id, as the app sees it.
    pub id: String,
    /// Their long-lived token.
    pub token: AccessToken,
    /// Its end.
    pub expires_at: Option<Timestamp>,
}

/// The scheme of the `Authorization` header.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Whoever holds the token may use it.
    Bearer,
    /// Every request is signed with this key (RFC 9449).
    Dpop(dpop::Key),
}

/// The authorization server of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantServer {
    /// Its identifier, byte for byte.
    pub issuer: String,
    /// The account the tokens are for (a DID).
    pub subject: String,
    /// Where tokens are renewed.
    pub token: Url,
    /// Where they are returned.
    pub revocation: Option<Url>,
}

/// A grant that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored grant cannot be read: {0}")]
pub struct BadGrant(&'static str);

/// The first and so far only written form. The names in [`Sealed`] are a promise to the disk.
const VERSION: u8 = 1;

/// The written twin of [`Grant`]; `S` is `&str` on the way out and [`SecretString`] on the way in.
#[derive(Serialize, Deserialize)]
struct Sealed<S> {
    v: u8,
    access: S,
    refresh: Option<S>,
    /// base64url of the PKCS #8 key.
    dpop: Option<S>,
    scopes: Vec<String>,
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
    grant_expires_at: Option<Timestamp>,
    client_id: String,
    server: Option<SealedServer>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    person: Option<SealedPerson<S>>,
}

/// For grants from before there was such a field.
fn none<T>() -> Option<T> {
    None
}

#[derive(Serialize, Deserialize)]
struct SealedPerson<S> {
    id: String,
    token: S,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct SealedServer {
    issuer: String,
    subject: String,
    token: Url,
    revocation: Option<Url>,
}

impl Grant {
    /// The same consent with the token that speaks for the person who gave it.
    pub fn of_person(&self) -> Option<Self> {
        let person = self.person.as_ref()?;
        Some(Self { access: person.token.clone(), expires_at: person.expires_at, ..self.clone() })
    }

    /// The grant as one blob for the vault, which seals it. The buffer is wiped when dropped.
    pub fn to_sealed_json(&self) -> Zeroizing<Vec<u8>> {
        let key = match &self.proof {
            Proof::Bearer => None,
            Proof::Dpop(key) => Some(key.to_text()),
        };
        let sealed = Sealed {
            v: VERSION,
            access: self.access.expose(),
            refresh: self.refresh.as_ref().map(RefreshToken::expose),
            dpop: key.as_ref().map(|it| it.as_str()),
            scopes: self.scopes.clone(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            grant_expires_at: self.grant_expires_at,
            client_id: self.client_id.clone(),
            server: self.server.clone().map(|it| SealedServer {
                issuer: it.issuer,
                subject: it.subject,
                token: it.token,
                revocation: it.revocation,
            }),
            person: self.person.as_ref().map(|it| SealedPerson {
                id: it.id.clone(),
                token: it.token.expose(),
                expires_at: it.expires_at,
            }),
        };
        // Room for the longest tokens from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(32 * 1024));
        serde_json::to_writer(&mut *bytes, &sealed).expect("strings and numbers always become JSON");
        bytes
    }

    /// Reads what [`Self::to_sealed_json`] wrote. The error never holds a part of it.
    pub fn from_sealed_json(bytes: &[u8]) -> Result<Self, BadGrant> {
        #[derive(Deserialize)]
        struct Version {
            v: u8,
        }
        let Version { v } = serde_json::from_slice(bytes).map_err(|_| BadGrant("it is not a grant"))?;
        if v != VERSION {
            return Err(BadGrant("it was written by another version of this program"));
        }
        let sealed: Sealed<SecretString> =
            serde_json::from_slice(bytes).map_err(|_| BadGrant("a field is missing or of the wrong kind"))?;
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let proof = match &sealed.dpop {
            None => Proof::Bearer,
            Some(key) => Proof::Dpop(
                dpop::Key::from_text(key.expose_secret()).map_err(|_| BadGrant("its key is not a key"))?,
            ),
        };
        let token = || BadGrant("a token in it is not a token");
        Ok(Self {
            access: AccessToken::new(text(&sealed.access)).ok_or_else(token)?,
            refresh: sealed
                .refresh
                .as_ref()
                .map(|it| RefreshToken::new(text(it)).ok_or_else(token))
                .transpose()?,
            proof,
            scopes: sealed.scopes,
            issued_at: sealed.issued_at,
            expires_at: sealed.expires_at,
            grant_expires_at: sealed.grant_expires_at,
            client_id: sealed.client_id,
            server: sealed.server.map(|it| GrantServer {
                issuer: it.issuer,
                subject: it.subject,
                token: it.token,
                revocation: it.revocation,
            }),
            person: sealed
                .person
                .map(|it| {
                    let token = AccessToken::new(text(&it.token)).ok_or_else(token)?;
                    Ok(Person { id: it.id, token, expires_at: it.expires_at })
                })
                .transpose()?,
        })
    }

    /// Whether both came of one person's consent, so that ending one ends the other.
    pub fn shares_consent(&self, other: &Self) -> bool {
        match (&self.person, &other.person) {
            (Some(one), Some(two)) => one.id == two.id && self.client_id == other.client_id,
            _ => false,
        }
    }

    /// Names the refresh token without revealing it (a token is too long to be guessed from its
    /// digest), so that a refresh intent can be told from the next one. Without a refresh token it
    /// is the digest of nothing.
    pub fn fingerprint(&self) -> [u8; 32] {
        let token = self.refresh.as_ref().map_or("", RefreshToken::expose);
        sha256(&[b"sendoff refresh token\0", token.as_bytes()].concat())
    }
}

/// Signs a request to the account's API: `Authorization: Bearer …`, or `Authorization: DPoP …`
/// with a proof made for exactly this request. Every header is marked sensitive. `nonce` is the
/// last one the request's origin gave ([`dpop::Nonces`]); a repeat needs a new call, as a proof
/// counts once.
pub fn authorize_request(
    grant: &Grant,
    request: &mut Request<Bytes>,
    nonce: Option<&str>,
    now: Timestamp,
    random: &Random<'_>,
) -> Result<(), dpop::BadKey> {
    match &grant.proof {
        Proof::Bearer => {
            request.headers_mut().insert(AUTHORIZATION, grant.access.header("Bearer"));
        }
        Proof::Dpop(key) => {
            let bound = Some(grant.access.expose());
            prove(key, request, nonce, bound, now, random)?;
            request.headers_mut().insert(AUTHORIZATION, grant.access.header("DPoP"));
        }
    }
    Ok(())
}

/// Signs an upload to a host that wants Meta's older scheme: `Authorization: OAuth …`
/// (developers.facebook.com/docs/video-api/guides/reels-publishing).
pub fn authorize_upload(grant: &Grant, request: &mut Request<Bytes>) {
    request.headers_mut().insert(AUTHORIZATION, grant.access.header("OAuth"));
}

/// Adds the `DPoP` header alone, as token endpoints want it.
pub(super) fn prove(
    key: &dpop::Key,
    request: &mut Request<Bytes>,
    nonce: Option<&str>,
    access: Option<&str>,
    now: Timestamp,
    random: &Random<'_>,
) -> Result<(), dpop::BadKey> {
    let proof = key.proof(request.method(), request.uri(), nonce, access, now, random)?;
    let mut value = HeaderValue::try_from(proof).expect("a compact JWS is visible ASCII");
    value.set_sensitive(true);
    request.headers_mut().insert(HeaderName::from_static("dpop"), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testing::{instant, noise};

    fn grant(proof: Proof) -> Grant {
        Grant {
            access: AccessToken::new("canary-access".into()).unwrap(),
            refresh: RefreshToken::new("canary-refresh".into()),
            proof,
            scopes: vec!["atproto".into()],
            issued_at: instant(0),
            expires_at: Some(instant(3_600)),
            grant_expires_at: None,
            client_id: "client".into(),
            server: Some(GrantServer {
                issuer: "https://pds.example".into(),
                subject: "did:plc:abc".into(),
                token: Url::parse("https://pds.example/oauth/token").unwrap(),
                revocation: None,
            }),
            person: None,
        }
    }

    #[test]
    fn a_grant_of_a_page_keeps_the_person_behind_it() {
        let token = AccessToken::new("canary-person".into()).unwrap();
        let person = Person { id: "1022".into(), token, expires_at: Some(instant(5_184_000)) };
        let before = Grant { person: Some(person), ..grant(Proof::Bearer) };
        let after = Grant::from_sealed_json(&before.to_sealed_json()).unwrap();
        assert_eq!(*after.to_sealed_json(), *before.to_sealed_json());
        assert!(after.shares_consent(&before) && !after.shares_consent(&grant(Proof::Bearer)));
        assert!(!format!("{after:?}").contains("canary"));
    }

    #[test]
    fn a_grant_comes_back_from_its_sealed_form_whole() {
        let before = grant(Proof::Dpop(dpop::Key::generate().unwrap()));
        let after = Grant::from_sealed_json(&before.to_sealed_json()).unwrap();
        assert_eq!(*after.to_sealed_json(), *before.to_sealed_json());
        assert_eq!(after.fingerprint(), before.fingerprint());
        assert_eq!(after.server, before.server);
    }

    #[test]
    fn the_sealed_form_is_a_promise() {
        let json = grant(Proof::Bearer).to_sealed_json();
        insta::assert_snapshot!(std::str::from_utf8(&json).unwrap(), @r#"{"v":1,"access":"canary-access","refresh":"canary-refresh","dpop":null,"scopes":["atproto"],"issued_at":"2026-12-01T09:00:00Z","expires_at":"2026-12-01T10:00:00Z","grant_expires_at":null,"client_id":"client","server":{"issuer":"https://pds.example","subject":"did:plc:abc","token":"https://pds.example/oauth/token","revocation":null}}"#);
    }

    #[test]
    fn a_sealed_form_of_another_version_or_kind_is_refused_without_being_quoted() {
        let good = String::from_utf8(grant(Proof::Bearer).to_sealed_json().to_vec()).unwrap();
        for bad in [
            good.replace("\"v\":1", "\"v\":2"),
            good.replace("canary-access", "canary\\naccess"),
            good.replace("\"canary-refresh\"", "{\"canary\":1}"),
            good.replace("\"dpop\":null", "\"dpop\":\"canary\""),
            good[..good.len() - 1].to_owned(),
            String::new(),
        ] {
            let error = Grant::from_sealed_json(bad.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn the_fingerprint_changes_with_the_refresh_token_alone() {
        let mut other = grant(Proof::Bearer);
        other.access = AccessToken::new("another".into()).unwrap();
        assert_eq!(other.fingerprint(), grant(Proof::Bearer).fingerprint());
        other.refresh = RefreshToken::new("another".into());
        assert_ne!(other.fingerprint(), grant(Proof::Bearer).fingerprint());
    }

    #[test]
    fn an_authorized_request_shows_no_token_when_printed() {
        for proof in [Proof::Bearer, Proof::Dpop(dpop::Key::generate().unwrap())] {
            let grant = grant(proof);
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = "https://pds.example/xrpc/a.b.c".parse().unwrap();
            authorize_request(&grant, &mut request, Some("n"), instant(0), &noise(1)).unwrap();
            assert!(request.headers()[AUTHORIZATION].to_str().unwrap().ends_with(" canary-access"));
            assert!(!format!("{request:?} {grant:?}").contains("canary"), "{request:?}");
        }
    }
}
