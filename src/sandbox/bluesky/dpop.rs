//! DPoP proofs (RFC 9449): every one checked whole, with nonces of the server's own that turn over.

use jiff::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::sandbox::wire::{Bounded, Call, base64url, from_base64url, sha256};

/// Half the life of a nonce, in seconds: one is good for 90 to 180 seconds.
const STEP: i64 = 90;
/// How far `iat` may be from the server's clock, in seconds.
const SKEW: i64 = 60;

/// What was wrong with a proof.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Well made, but without the present nonce: an ordinary turn of the protocol.
    Nonce,
    Proof(String),
}

/// The proofs seen, and the nonces given.
pub(super) struct Proofs {
    seed: u64,
    seen: Bounded<String, ()>,
}

impl Proofs {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, seen: Bounded::new(20_000) }
    }

    pub(super) fn nonce(&self, now: Timestamp) -> String {
        self.nonce_of(now.as_second().div_euclid(STEP))
    }

    fn nonce_of(&self, step: i64) -> String {
        base64url(&sha256(format!("nonce {} {step}", self.seed).as_bytes()))
    }

    /// Checks the `DPoP` header of `call` against this server, and against `token` where one is
    /// presented. Gives back the thumbprint of the key (RFC 7638).
    pub(super) fn check(&mut self, call: &Call, origin: &str, token: Option<&str>) -> Result<String, Bad> {
        let bad = |why: &str| Bad::Proof(why.to_owned());
        let proof = call.header("dpop").ok_or_else(|| bad("DPoP proof required, exactly one"))?;
        let pieces: Vec<&str> = proof.split('.').collect();
        let [head, claims, signature] = pieces[..] else { return Err(bad("not a JWS of three parts")) };
        let json = |part: &str| -> Option<Value> { serde_json::from_slice(&from_base64url(part)?).ok() };
        let header = json(head).ok_or_else(|| bad("the header is not JSON"))?;
        let body = json(claims).ok_or_else(|| bad("the claims are not JSON"))?;
        if header["typ"] != "dpop+jwt" {
            return Err(bad("typ is not `dpop+jwt`"));
        }
        if header["alg"] != "ES256" {
            return Err(bad("alg is not `ES256`"));
        }
        let (point, thumbprint) = public_key(&header["jwk"]).map_err(bad)?;
        let raw = from_base64url(signature).ok_or_else(|| bad("the signature is not base64url"))?;
        let signed = &proof[..head.len() + 1 + claims.len()];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
            .verify(signed.as_bytes(), &raw)
            .map_err(|_| bad("the signature does not verify (it must be raw r and s)"))?;

        let claim = |name: &str| body[name].as_str().unwrap_or_default();
        let jti = claim("jti");
        if jti.is_empty() || jti.len() > 256 {
            return Err(bad("jti is missing"));
        }
        if claim("htm") != call.method.as_str() {
            return Err(bad("htm is not the method of the request"));
        }
        if claim("htu") != format!("{origin}{}", call.path) {
            return Err(bad("htu is not the address of the request without query and fragment"));
        }
        let now = call.now.as_second();
        let fresh = body["iat"].as_i64().is_some_and(|it| (now - it).abs() <= SKEW);
        if !fresh {
            return Err(bad("iat is missing or more than a minute away"));
        }
        match (token, body.get("ath")) {
            (Some(token), Some(ath)) if *ath == base64url(&sha256(token.as_bytes())) => {}
            (Some(_), _) => return Err(bad("ath is not the hash of the access token")),
            (None, Some(_)) => return Err(bad("ath without an access token")),
            (None, None) => {}
        }
        if self.seen.get(jti).is_some() {
            return Err(bad("jti was used before"));
        }
        self.seen.insert(jti.to_owned(), ());
        let step = now.div_euclid(STEP);
        let nonce = claim("nonce");
        if nonce != self.nonce_of(step) && nonce != self.nonce_of(step - 1) {
            return Err(Bad::Nonce);
        }
        Ok(thumbprint)
    }
}

/// The uncompressed point and the thumbprint of a public P-256 key.
fn public_key(jwk: &Value) -> Result<(Vec<u8>, String), &'static str> {
    if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
        return Err("jwk is not a P-256 key");
    }
    if jwk.get("d").is_some() {
        return Err("jwk holds the private key");
    }
    let part = |name: &str| {
        let text = jwk[name].as_str()?;
        from_base64url(text).filter(|it| it.len() == 32).map(|bytes| (text.to_owned(), bytes))
    };
    let (x_text, x) = part("x").ok_or("jwk.x is not 32 bytes in base64url")?;
    let (y_text, y) = part("y").ok_or("jwk.y is not 32 bytes in base64url")?;
    let mut point = vec![4];
    point.extend(x);
    point.extend(y);
    let canonical = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x_text}\",\"y\":\"{y_text}\"}}");
    Ok((point, base64url(&sha256(canonical.as_bytes()))))
}
