//! Proof of possession (RFC 9449) as AT Protocol servers want it: ES256 and server nonces.
//!
//! Keys and signatures draw on ring's own source of randomness, since ring takes no other; no
//! decision depends on them. The `jti` comes from the caller's source like everything else.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::chance::{Random, base64url, sha256, unique};
use crate::domain::ids::AccountId;

/// Bytes that are not an ES256 key, or a key that will not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signing key is not a usable ES256 key")]
pub struct BadKey;

/// A P-256 private key. It lives as long as the grant it is bound to. `Debug` shows its public name.
#[derive(Clone)]
pub struct Key {
    pkcs8: Zeroizing<Vec<u8>>,
    /// The two coordinates, 32 bytes each.
    public: [u8; 64],
}

impl Key {
    /// A fresh key.
    pub fn generate() -> Result<Self, BadKey> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| BadKey)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// The key in a PKCS #8 document (DER).
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
            .map_err(|_| BadKey)?;
        // Uncompressed point: 0x04, x, y.
        let public = pair.public_key().as_ref().get(1..).and_then(|it| it.try_into().ok()).ok_or(BadKey)?;
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), public })
    }

    /// The key as a PKCS #8 document (DER), to be kept sealed.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    pub(super) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(base64url(&self.pkcs8))
    }

    pub(super) fn from_text(text: &str) -> Result<Self, BadKey> {
        let der = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadKey)?);
        Self::from_pkcs8(&der)
    }

    /// The public half as a JWK with the members that make up its thumbprint.
    pub fn public_jwk(&self) -> Value {
        let (x, y) = self.public.split_at(32);
        json!({"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)})
    }

    /// The RFC 7638 thumbprint, a name for the key that anyone can compute.
    pub fn thumbprint(&self) -> String {
        // The members of `public_jwk` stand in the order RFC 7638 §3 prescribes.
        base64url(&sha256(self.public_jwk().to_string().as_bytes()))
    }

    /// A compact JWS: `header.claims.signature`, the signature as raw r‖s (RFC 7518 §3.4).
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> Result<String, BadKey> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8, &random)
            .map_err(|_| BadKey)?;
        let signed = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let signature = pair.sign(&random, signed.as_bytes()).map_err(|_| BadKey)?;
        Ok(format!("{signed}.{}", base64url(signature.as_ref())))
    }

    /// The proof for one request. `access` is the token the request carries, if it carries one.
    pub(super) fn proof(
        &self,
        method: &Method,
        uri: &Uri,
        nonce: Option<&str>,
        access: Option<&str>,
        now: Timestamp,
        random: &Random<'_>,
    ) -> Result<String, BadKey> {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.public_jwk()});
        let mut claims = json!({
            "jti": unique(random),
            "htm": method.as_str(),
            "htu": bare(uri),
            "iat": now.as_second(),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(access) = access {
            claims["ath"] = base64url(&sha256(access.as_bytes())).into();
        }
        self.sign(&header, &claims)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.thumbprint()).finish()
    }
}

/// The address without query and fragment (RFC 9449 §4.2).
fn bare(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    format!("{scheme}://{authority}{}", uri.path())
}

/// Longest nonce taken; it goes into every later request.
const NONCE_MAX: usize = 512;

/// The nonce a server wants in the next proof: every answer may carry a new one.
pub fn nonce_of(headers: &HeaderMap) -> Option<&str> {
    let nonce = headers.get("dpop-nonce")?.to_str().ok()?;
    (!nonce.is_empty() && nonce.len() <= NONCE_MAX).then_some(nonce)
}

/// Recognises "repeat this with the nonce I gave you": 400 from token endpoints, 401 from the
/// account's server (RFC 9449 §8, §9). The refusal comes before anything is carried out, so one
/// repeat is safe even of a publishing call; a second one would only feed a server that loops.
pub fn needs_nonce(answer: &Response<Bytes>) -> Option<String> {
    const WORD: &str = "use_dpop_nonce";
    let asked = match answer.status() {
        StatusCode::BAD_REQUEST => says(answer.body(), WORD),
        StatusCode::UNAUTHORIZED => {
            says(answer.body(), WORD)
                || answer.headers().get_all(http::header::WWW_AUTHENTICATE).iter().any(|value| {
                    value.to_str().is_ok_and(|it| {
                        it.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop"))
                            && it.contains(WORD)
                    })
                })
        }
        _ => false,
    };
    asked.then(|| nonce_of(answer.headers()).map(str::to_owned)).flatten()
}

fn says(body: &[u8], word: &str) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|it| it.get("error").and_then(Value::as_str) == Some(word))
}

/// The last nonce of each (account, origin). Bounded: the oldest entry goes first, which costs
/// that account one extra round trip.
#[derive(Debug)]
pub struct Nonces {
    known: HashMap<(AccountId, String), String>,
    order: VecDeque<(AccountId, String)>,
    max: usize,
}

impl Default for Nonces {
    fn default() -> Self {
        Self::new(4_096)
    }
}

impl Nonces {
    /// An empty cache for at most `max` entries (at least one).
    pub fn new(max: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), max: max.max(1) }
    }

    /// The nonce to use for a request to `uri`.
    pub fn get(&self, account: AccountId, uri: &Uri) -> Option<&str> {
        self.known.get(&(account, origin(uri)?)).map(String::as_str)
    }

    /// Learns from an answer to a request to `uri`; to be called with every one.
    pub fn learn(&mut self, account: AccountId, uri: &Uri, headers: &HeaderMap) {
        let (Some(nonce), Some(origin)) = (nonce_of(headers), origin(uri)) else { return };
        let key = (account, origin);
        if self.known.insert(key.clone(), nonce.to_owned()).is_none() {
            self.order.push_back(key);
            if self.order.len() > self.max
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }

    /// Forgets an account that was disconnected.
    pub fn forget(&mut self, account: AccountId) {
        self.known.retain(|(it, _), _| *it != account);
        self.order.retain(|(it, _)| *it != account);
    }
}

fn origin(uri: &Uri) -> Option<String> {
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?.as_str().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testing::{instant, noise};
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_proof_verifies_and_speaks_of_its_request_alone() {
        let key = Key::generate().unwrap();
        let uri = "https://pds.example:8443/xrpc/a.b.c?secret=1".parse().unwrap();
        let proof = key.proof(&Method::POST, &uri, Some("n1"), Some("token"), instant(0), &noise(1)).unwrap();
        let parts: Vec<_> = proof.split('.').collect();
        let (header, claims) = (decode(parts[0]), decode(parts[1]));
        assert_eq!(header["typ"], "dpop+jwt");
        assert_eq!(header["alg"], "ES256");
        let members: Vec<_> = header["jwk"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["crv", "kty", "x", "y"], "no private member");
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], "https://pds.example:8443/xrpc/a.b.c");
        assert_eq!(claims["iat"], instant(0).as_second());
        assert_eq!(claims["nonce"], "n1");
        assert_eq!(claims["ath"], base64url(&sha256(b"token")));
        let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        assert_eq!(signature.len(), 64, "raw r‖s, not DER");
        let point = [&[4], &key.public[..]].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn two_proofs_never_share_their_id() {
        let (key, random) = (Key::generate().unwrap(), noise(7));
        let uri = "https://pds.example/".parse().unwrap();
        let id = || {
            let proof = key.proof(&Method::GET, &uri, None, None, instant(0), &random).unwrap();
            decode(proof.split('.').nth(1).unwrap())["jti"].to_string()
        };
        assert_ne!(id(), id());
    }

    #[test]
    fn a_nonce_is_asked_for_in_two_ways() {
        let answer = |status: u16, header: Option<&str>, body: &str| {
            let mut builder = Response::builder().status(status).header("DPoP-Nonce", "n2");
            if let Some(value) = header {
                builder = builder.header("WWW-Authenticate", value);
            }
            needs_nonce(&builder.body(Bytes::from(body.to_owned())).unwrap())
        };
        assert_eq!(answer(400, None, r#"{"error":"use_dpop_nonce"}"#).as_deref(), Some("n2"));
        assert_eq!(
            answer(401, Some(r#"DPoP algs="ES256", error="use_dpop_nonce""#), "").as_deref(),
            Some("n2")
        );
        assert_eq!(answer(401, Some(r#"Bearer error="use_dpop_nonce""#), ""), None);
        assert_eq!(answer(400, None, r#"{"error":"invalid_grant"}"#), None);
        assert_eq!(answer(200, None, r#"{"error":"use_dpop_nonce"}"#), None);
    }

    #[test]
    fn nonces_are_kept_per_account_and_origin_and_the_oldest_goes_first() {
        let account = |n: u8| AccountId::new(instant(0), [n; 10]);
        let headers =
            |nonce: &str| HeaderMap::from_iter([("dpop-nonce".parse().unwrap(), nonce.parse().unwrap())]);
        let (a, b): (Uri, Uri) =
            ("https://a.example/x?y".parse().unwrap(), "https://b.example/".parse().unwrap());
        let mut nonces = Nonces::new(2);
        nonces.learn(account(1), &a, &headers("1"));
        nonces.learn(account(1), &b, &headers("2"));
        nonces.learn(account(1), &a, &headers("3"));
        assert_eq!(nonces.get(account(1), &"https://a.example/z".parse().unwrap()), Some("3"));
        assert_eq!(nonces.get(account(2), &a), None);
        nonces.learn(account(2), &a, &headers("4"));
        assert_eq!((nonces.get(account(1), &a), nonces.get(account(1), &b)), (None, Some("2")));
        nonces.forget(account(1));
        assert_eq!((nonces.get(account(1), &b), nonces.get(account(2), &a)), (None, Some("4")));
    }

    #[test]
    fn a_key_survives_being_written_and_shows_only_its_public_name() {
        let key = Key::generate().unwrap();
        let again = Key::from_text(&key.to_text()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!(format!("{key:?}"), format!("Key({:?})", key.thumbprint()));
        assert_eq!(Key::from_pkcs8(b"no key").unwrap_err(), BadKey);
    }
}
