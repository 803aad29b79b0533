//! A Bluesky account server (PDS) with its authorization server and directory, as the AT Protocol
//! documents describe them and as the reference server (`@atproto/pds` 0.5) was seen to behave.
//!
//! It is one origin: XRPC under `/xrpc`, OAuth under `/oauth`, metadata under `/.well-known`, the
//! PLC directory under `/plc`. Loopback clients only: a client that names itself by an https
//! document would have to be fetched, and a stand-in fetches nothing.

pub(super) mod cbor;
mod dpop;
mod oauth;
mod record;
mod repo;
mod scope;

use std::collections::HashMap;

use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::Published;
use super::pages::Picture;
use super::wire::{Answer, Bounded, Budget, Call, Chance, Window, sha256};

/// `com.atproto.repo.uploadBlob`: the reference server's default.
const BLOB_MAX: usize = 5_242_880;
/// Every request: 3,000 in 5 minutes (docs.bsky.app/docs/advanced-guides/rate-limits).
const CALLS: (u32, i64) = (3_000, 300);
/// Points for writing: 5,000 an hour; create 3, update 2, delete 1.
const POINTS: (u32, i64) = (5_000, 3_600);

/// An account of the stand-in.
struct Account {
    did: String,
    handle: &'static str,
}

/// The server.
pub(super) struct Bluesky {
    origin: String,
    accounts: Vec<Account>,
    grants: oauth::Grants,
    proofs: dpop::Proofs,
    records: Bounded<repo::Key, repo::Record>,
    blobs: Bounded<(usize, String), repo::Blob>,
    calls: Window,
    points: HashMap<usize, Window>,
    chance: Chance,
    last_rev: i64,
}

/// One call's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'p> {
    Resource,
    Server,
    Par,
    Authorize,
    Token,
    Revoke,
    Plc(&'p str),
    Xrpc(&'p str),
}

impl<'p> Place<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        Some(match (method.as_str(), path) {
            ("GET", "/.well-known/oauth-protected-resource") => Self::Resource,
            ("GET", "/.well-known/oauth-authorization-server") => Self::Server,
            ("POST", "/oauth/par") => Self::Par,
            ("GET" | "POST", "/oauth/authorize") => Self::Authorize,
            ("POST", "/oauth/token") => Self::Token,
            ("POST", "/oauth/revoke") => Self::Revoke,
            ("GET", path) if path.starts_with("/plc/") => Self::Plc(&path["/plc/".len()..]),
            (_, path) => Self::Xrpc(path.strip_prefix("/xrpc/")?),
        })
    }
}

/// The methods that are there: name, HTTP method, name for faults.
const METHODS: &[(&str, &str, &str)] = &[
    ("com.atproto.server.describeServer", "GET", "bluesky.describe"),
    ("com.atproto.server.getSession", "GET", "bluesky.session"),
    ("com.atproto.identity.resolveHandle", "GET", "bluesky.resolve"),
    ("com.atproto.repo.getRecord", "GET", "bluesky.get"),
    ("com.atproto.repo.listRecords", "GET", "bluesky.list"),
    ("com.atproto.repo.putRecord", "POST", "bluesky.put"),
    ("com.atproto.repo.createRecord", "POST", "bluesky.create"),
    ("com.atproto.repo.deleteRecord", "POST", "bluesky.delete"),
    ("com.atproto.repo.uploadBlob", "POST", "bluesky.upload"),
];

/// The name of the route for faults, if the call meets one.
pub(super) fn route_name(method: &Method, path: &str) -> Option<&'static str> {
    Some(match Place::of(method, path)? {
        Place::Resource | Place::Server => "bluesky.metadata",
        Place::Par => "bluesky.par",
        Place::Authorize => return None,
        Place::Token => "bluesky.token",
        Place::Revoke => "bluesky.revoke",
        Place::Plc(_) => "bluesky.plc",
        Place::Xrpc(name) => METHODS.iter().find(|(it, verb, _)| *it == name && *verb == method.as_str())?.2,
    })
}

/// The 429 that a fault orders.
pub(super) fn too_many(now: Timestamp) -> Answer {
    let (limit, seconds) = CALLS;
    let budget = Budget { limit, remaining: 0, reset: now.as_second() + seconds, exceeded: true };
    limited(budget, seconds, now)
}

fn limited(budget: Budget, seconds: i64, now: Timestamp) -> Answer {
    let wait = (budget.reset - now.as_second()).max(1);
    let answer =
        ordinary(429, "RateLimitExceeded", "Rate Limit Exceeded").with("retry-after", &wait.to_string());
    with_budget(answer, budget, seconds)
}

fn with_budget(answer: Answer, budget: Budget, seconds: i64) -> Answer {
    answer
        .with("ratelimit-limit", &budget.limit.to_string())
        .with("ratelimit-remaining", &budget.remaining.to_string())
        .with("ratelimit-reset", &budget.reset.to_string())
        .with("ratelimit-policy", &format!("{};w={seconds}", budget.limit))
}

/// The 500 that a fault orders.
pub(super) fn broken() -> Answer {
    ordinary(500, "InternalServerError", "Internal Server Error")
}

/// An XRPC error that a well-made client may meet.
pub(super) fn ordinary(status: u16, error: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": error, "message": message }))
}

/// An XRPC error that lies with the caller.
fn fault(status: u16, error: &str, message: impl AsRef<str>) -> Answer {
    let message = message.as_ref();
    ordinary(status, error, message).because(format!("{error}: {message}"))
}

fn invalid(message: impl AsRef<str>) -> Answer {
    fault(400, "InvalidRequest", message)
}

impl Bluesky {
    pub(super) fn new(seed: u64, origin: String) -> Self {
        let account = |handle: &'static str| {
            let hash = sha256(format!("{seed} {handle}").as_bytes());
            Account { did: format!("did:plc:{}", &cbor::base32(&hash)[..24]), handle }
        };
        Self {
            origin,
            accounts: vec![account("acme.test"), account("alice.test")],
            grants: oauth::Grants::new(),
            proofs: dpop::Proofs::new(seed),
            records: Bounded::new(5_000),
            blobs: Bounded::new(1_000),
            calls: Window::starting(Timestamp::UNIX_EPOCH, 0),
            points: HashMap::new(),
            chance: Chance::new(seed ^ 0xB5),
            last_rev: 0,
        }
    }

    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let Some(place) = Place::of(&call.method, &call.path) else {
            let why = format!("no route for {} {}", call.method, call.path);
            return Answer::new(404, "text/plain; charset=utf-8", "not found\n").because(why);
        };
        match place {
            Place::Resource => self.resource_metadata(),
            Place::Server => self.server_metadata(),
            Place::Par => self.par(call),
            Place::Authorize => self.authorize(call),
            Place::Token => self.token(call),
            Place::Revoke => self.revoke(call),
            Place::Plc(did) => self.plc(did),
            Place::Xrpc(name) => self.xrpc(call, name),
        }
    }

    fn resource_metadata(&self) -> Answer {
        Answer::json(
            200,
            &json!({
                "resource": self.origin,
                "authorization_servers": [self.origin],
                "scopes_supported": [],
                "bearer_methods_supported": ["header"],
                "resource_documentation": "https://atproto.com",
            }),
        )
    }

    fn server_metadata(&self) -> Answer {
        let at = |path: &str| format!("{}{path}", self.origin);
        Answer::json(
            200,
            &json!({
                "issuer": self.origin,
                "request_parameter_supported": true,
                "request_uri_parameter_supported": true,
                "require_request_uri_registration": true,
                "scopes_supported": ["atproto", "transition:email", "transition:generic", "transition:chat.bsky"],
                "subject_types_supported": ["public"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "ui_locales_supported": ["en-US"],
                "display_values_supported": ["page"],
                "authorization_response_iss_parameter_supported": true,
                "authorization_endpoint": at("/oauth/authorize"),
                "token_endpoint": at("/oauth/token"),
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint": at("/oauth/revoke"),
                "pushed_authorization_request_endpoint": at("/oauth/par"),
                "require_pushed_authorization_requests": true,
                "dpop_signing_alg_values_supported": ["ES256"],
                "client_id_metadata_document_supported": true,
                "protected_resources": [self.origin],
            }),
        )
    }

    /// The directory's document of a DID.
    fn plc(&self, did: &str) -> Answer {
        let did = did.replace("%3A", ":").replace("%3a", ":");
        let Some(account) = self.accounts.iter().find(|it| it.did == did) else {
            return Answer::json(404, &json!({ "message": format!("DID not registered: {did}") }));
        };
        let document = json!({
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
                "https://w3id.org/security/suites/secp256k1-2019/v1",
            ],
            "id": account.did,
            "alsoKnownAs": [format!("at://{}", account.handle)],
            "verificationMethod": [],
            "service": [{
                "id": "#atproto_pds",
                "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": self.origin,
            }],
        });
        Answer::new(200, "application/did+ld+json; charset=utf-8", document.to_string())
    }

    /// Counts the call, finds the method, answers.
    fn xrpc(&mut self, call: &Call, name: &str) -> Answer {
        let (limit, seconds) = CALLS;
        let budget = self.calls.spend(1, limit, seconds, call.now);
        if budget.exceeded {
            return limited(budget, seconds, call.now).because("too many calls in one window");
        }
        let answer = match METHODS.iter().find(|(it, _, _)| *it == name) {
            None if name.starts_with("app.bsky.") => invalid(format!("No service configured for {name}")),
            None => fault(501, "MethodNotImplemented", "Method Not Implemented"),
            Some((_, verb, _)) if call.method.as_str() != *verb => {
                let why = format!("Incorrect HTTP method ({}) expected {verb}", call.method);
                fault(405, "InvalidRequest", why)
            }
            Some((_, _, route)) => self.method(call, route),
        };
        with_budget(answer, budget, seconds)
    }

    fn method(&mut self, call: &Call, route: &str) -> Answer {
        match route {
            "bluesky.describe" => self.describe(),
            "bluesky.resolve" => self.resolve(call),
            "bluesky.get" => self.get_record(call),
            "bluesky.list" => self.list_records(call),
            _ => {
                let caller = match self.caller(call) {
                    Ok(caller) => caller,
                    Err(answer) => return self.with_nonce(*answer, call.now),
                };
                let answer = match route {
                    "bluesky.session" => self.session(&caller),
                    "bluesky.put" => self.put_record(call, &caller),
                    "bluesky.create" => self.create_record(call, &caller),
                    "bluesky.delete" => self.delete_record(call, &caller),
                    _ => self.upload_blob(call, &caller),
                };
                self.with_nonce(answer, call.now)
            }
        }
    }

    fn with_nonce(&self, answer: Answer, now: Timestamp) -> Answer {
        answer.with("dpop-nonce", &self.proofs.nonce(now)).with("cache-control", "no-store")
    }

    fn describe(&self) -> Answer {
        let host = self.origin.trim_start_matches("http://").replace(':', "%3A");
        Answer::json(
            200,
            &json!({
                "did": format!("did:web:{host}"),
                "availableUserDomains": [".test"],
                "inviteCodeRequired": true,
                "links": {},
                "contact": {},
                "blobUploadLimit": BLOB_MAX,
            }),
        )
    }

    fn resolve(&self, call: &Call) -> Answer {
        let Some(handle) = call.param("handle") else {
            return invalid("Error: Params must have the property \"handle\"");
        };
        match self.accounts.iter().find(|it| it.handle.eq_ignore_ascii_case(handle)) {
            Some(account) => Answer::json(200, &json!({ "did": account.did })),
            None => ordinary(400, "HandleNotFound", "Unable to resolve handle"),
        }
    }

    fn session(&self, caller: &oauth::Caller) -> Answer {
        let account = &self.accounts[caller.account];
        Answer::json(200, &json!({ "did": account.did, "handle": account.handle, "active": true }))
    }

    /// The account that a handle or DID names.
    fn account(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|it| it.did == name || it.handle.eq_ignore_ascii_case(name))
    }

    pub(super) fn published(&self) -> Vec<Published> {
        self.records
            .values()
            .filter(|it| it.key.collection == record::POST)
            .map(|it| Published {
                film: None,
                network: "bluesky",
                account: self.accounts[it.key.account].handle.to_owned(),
                id: self.address(&it.key),
                text: it.value["text"].as_str().unwrap_or_default().to_owned(),
                parent: it.value["reply"]["parent"]["uri"].as_str().map(str::to_owned),
                alts: record::images(&it.value).into_iter().map(|(alt, _)| alt).collect(),
                at: it.at,
                deleted: it.deleted,
            })
            .collect()
    }

    pub(super) fn pictures(&self, address: &str) -> Vec<Picture> {
        let Some(found) = self.records.values().find(|it| self.address(&it.key) == address) else {
            return Vec::new();
        };
        record::images(&found.value)
            .into_iter()
            .map(|(alt, cid)| {
                let kept =
                    self.blobs.get(&(found.key.account, cid.clone())).is_some_and(|it| it.bytes.is_some());
                Picture { src: kept.then(|| format!("/bluesky/blob/{cid}")), alt, film: false }
            })
            .collect()
    }

    pub(super) fn picture(&self, cid: &str) -> Option<bytes::Bytes> {
        (0..self.accounts.len()).find_map(|at| self.blobs.get(&(at, cid.to_owned()))?.bytes.clone())
    }

    fn address(&self, key: &repo::Key) -> String {
        format!("at://{}/{}/{}", self.accounts[key.account].did, key.collection, key.rkey)
    }
}
