//! A strict authorization server, an account server and a directory, in memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use http::{Request, Response};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::auth::chance::{base64url, sha256};
use crate::auth::dpop;
use crate::auth::testing::{Answer, fields, instant, json as answer};

/// The account of this world.
pub(super) const DID: &str = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa";

/// Everything a world of one account consists of. Tests bend it before they begin.
pub(super) struct World {
    /// GET address → status and body.
    pub(super) documents: HashMap<String, (u16, String)>,
    /// Merged over the token answer; null removes a member.
    pub(super) token_patch: Value,
    /// Answers of POST addresses that replace the real ones.
    pub(super) instead: HashMap<&'static str, (u16, &'static str)>,
    /// Asks for a new nonce whatever comes.
    pub(super) nonce_loop: bool,
    pub(super) refuses_fine_scopes: bool,
    /// The client's public coordinates, when it has to sign its calls.
    pub(super) client_key: Option<dpop::Key>,
    pub(super) session: Session,
}

#[derive(Default)]
pub(super) struct Session {
    pub(super) pushed: BTreeMap<String, String>,
    pub(super) key: Option<Value>,
    pub(super) seen: HashSet<String>,
    pub(super) refresh: u32,
    pub(super) dead: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            documents: HashMap::new(),
            token_patch: json!({}),
            instead: HashMap::new(),
            nonce_loop: false,
            refuses_fine_scopes: false,
            client_key: None,
            session: Session::default(),
        };
        world.document("https://alice.test/.well-known/atproto-did", 404, json!(null));
        world.document(
            "https://pds.test/xrpc/com.atproto.identity.resolveHandle?handle=alice.test",
            200,
            json!({"did": DID}),
        );
        world.account(DID, "https://pds.test");
        world.server("https://pds.test", "https://as.test");
        world.document(
            &format!(
                "https://pds.test/xrpc/com.atproto.repo.getRecord?repo={}&collection=app.bsky.actor.profile&rkey=self",
                DID.replace(':', "%3A")
            ),
            200,
            json!({"value": {"displayName": "Alice", "avatar": {"ref": {"$link": "bafy"}}}}),
        );
        world
    }

    pub(super) fn document(&mut self, url: &str, status: u16, body: impl Into<Value>) {
        self.documents.insert(url.into(), (status, body.into().to_string()));
    }

    pub(super) fn account(&mut self, did: &str, pds: &str) {
        self.document(
            &format!("https://plc.test/{did}"),
            200,
            json!({
                "id": did,
                "alsoKnownAs": ["at://alice.test"],
                "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}],
            }),
        );
    }

    pub(super) fn server(&mut self, pds: &str, issuer: &str) {
        self.document(
            &format!("{pds}/.well-known/oauth-protected-resource"),
            200,
            json!({"resource": pds, "authorization_servers": [issuer]}),
        );
        self.document(
            &format!("{issuer}/.well-known/oauth-authorization-server"),
            200,
            json!({
                "issuer": issuer,
                "pushed_authorization_request_endpoint": format!("{issuer}/par"),
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "revocation_endpoint": format!("{issuer}/revoke"),
                "require_pushed_authorization_requests": true,
                "authorization_response_iss_parameter_supported": true,
                "client_id_metadata_document_supported": true,
                "dpop_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["atproto", "transition:generic"],
            }),
        );
    }

    /// Changes one member of a document; null removes it.
    pub(super) fn bend(&mut self, url: &str, member: &str, value: Value) {
        let (_, body) = self.documents.get_mut(url).unwrap();
        let mut document: Value = serde_json::from_str(body).unwrap();
        document[member] = value;
        *body = document.to_string();
    }

    pub(super) fn answer(&mut self, request: &Request<Bytes>) -> Answer {
        let url = request.uri().to_string();
        if request.method() == http::Method::GET {
            return match self.documents.get(&url) {
                Some((status, body)) => answer(*status, body),
                None => answer(404, "{}"),
            };
        }
        if let Some((_, (status, body))) = self.instead.iter().find(|(path, _)| url.ends_with(**path)) {
            return answer(*status, body);
        }
        let form: BTreeMap<_, _> = fields(request).into_iter().collect();
        let key = match self.check_proof(request, &url) {
            Ok(key) => key,
            Err(refusal) => return *refusal,
        };
        if !self.check_client(&form) {
            return answer(401, r#"{"error":"invalid_client"}"#);
        }
        match url.as_str() {
            "https://as.test/par" => self.par(form, key),
            "https://as.test/token" => self.token(&form, &key),
            "https://as.test/revoke" => {
                self.session.dead = true;
                answer(200, "{}")
            }
            other => panic!("the server has no {other}"),
        }
    }

    pub(super) fn check_proof(&mut self, request: &Request<Bytes>, url: &str) -> Result<Value, Box<Answer>> {
        let bad = |why: &str| {
            let body = json!({"error": "invalid_dpop_proof", "error_description": why}).to_string();
            Err(Box::new(answer(400, &body)))
        };
        let proof = request.headers()["dpop"].to_str().unwrap();
        let (signed, signature) = proof.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let (header, claims) = (decode(header), decode(claims));
        if !verifies(&header["jwk"], signed, signature) {
            return bad("signature");
        }
        if header["typ"] != "dpop+jwt" || claims["htm"] != "POST" || claims["htu"] != url {
            return bad("claims");
        }
        if !self.session.seen.insert(claims["jti"].to_string()) {
            return bad("replayed");
        }
        if claims["nonce"] != "n1" || self.nonce_loop {
            return Err(Box::new(Ok(Response::builder()
                .status(400)
                .header("DPoP-Nonce", "n1")
                .body(Bytes::from_static(br#"{"error":"use_dpop_nonce"}"#))
                .unwrap())));
        }
        Ok(header["jwk"].clone())
    }

    pub(super) fn check_client(&mut self, form: &BTreeMap<String, String>) -> bool {
        let Some(key) = &self.client_key else { return !form.contains_key("client_assertion") };
        let Some((signed, signature)) = form.get("client_assertion").and_then(|it| it.rsplit_once('.'))
        else {
            return false;
        };
        let claims = decode(signed.split_once('.').unwrap().1);
        verifies(&key.public_jwk(), signed, signature)
            && claims["aud"] == "https://as.test"
            && claims["iss"] == form["client_id"]
            && claims["sub"] == form["client_id"]
            && claims["exp"].as_i64().unwrap() > instant(0).as_second()
            && self.session.seen.insert(claims["jti"].to_string())
    }

    pub(super) fn par(&mut self, form: BTreeMap<String, String>, key: Value) -> Answer {
        if self.refuses_fine_scopes && form["scope"].contains("repo:") {
            return answer(400, r#"{"error":"invalid_scope"}"#);
        }
        assert_eq!(form["code_challenge_method"], "S256");
        assert_eq!(form["response_type"], "code");
        self.session.pushed = form;
        self.session.key = Some(key);
        answer(201, r#"{"request_uri":"urn:ietf:params:oauth:request_uri:req-1","expires_in":299}"#)
    }

    pub(super) fn token(&mut self, form: &BTreeMap<String, String>, key: &Value) -> Answer {
        let pushed = &self.session.pushed;
        let right = match form["grant_type"].as_str() {
            "authorization_code" => {
                form["code"] == "canary-code"
                    && form["redirect_uri"] == pushed["redirect_uri"]
                    && base64url(&sha256(form["code_verifier"].as_bytes())) == pushed["code_challenge"]
            }
            "refresh_token" => form["refresh_token"] == format!("canary-refresh-{}", self.session.refresh),
            other => panic!("grant type {other}"),
        };
        if !right
            || self.session.dead
            || form["client_id"] != pushed["client_id"]
            || self.session.key.as_ref() != Some(key)
        {
            // As the reference server does: whoever replays a token ends the session.
            self.session.dead = true;
            return answer(400, r#"{"error":"invalid_grant","error_description":"Refresh token replayed"}"#);
        }
        self.session.refresh += 1;
        let mut tokens = json!({
            "access_token": format!("canary-access-{}", self.session.refresh),
            "refresh_token": format!("canary-refresh-{}", self.session.refresh),
            "token_type": "DPoP",
            "expires_in": 3599,
            "scope": pushed["scope"],
            "sub": DID,
        });
        for (name, value) in self.token_patch.as_object().unwrap() {
            tokens[name] = value.clone();
        }
        answer(200, &tokens.to_string())
    }
}

pub(super) fn decode(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(super) fn verifies(jwk: &Value, signed: &str, signature: &str) -> bool {
    let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).is_ok()
}
