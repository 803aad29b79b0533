//! From a handle, a DID or a server's address to the authorization server, and back.
//!
//! Nothing met on the way is believed for itself: documents must name the address they were
//! fetched from, and a handle counts only if the account behind it claims it.

use serde_json::Value;
use url::Url;

use super::text;
use crate::auth::wire::{self, Fault};
use crate::auth::{AuthError, Begin, Found, Tools};

/// Where a connect begins that names neither server nor handle, and who is asked about handles then.
const DEFAULT_SERVER: &str = "https://bsky.social";

/// An authorization server whose document was checked.
#[derive(Debug, Clone)]
pub(super) struct AuthServer {
    /// Its identifier, byte for byte.
    pub(super) issuer: String,
    pub(super) par: Url,
    pub(super) authorize: Url,
    pub(super) token: Url,
    pub(super) revocation: Option<Url>,
}

/// An account as its own document describes it.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) did: String,
    /// The server that holds its posts.
    pub(super) pds: Url,
    /// The handles it claims, the preferred one first.
    pub(super) handles: Vec<String>,
}

/// Finds the server to sign in at: by DID or handle if there is one, else by address.
pub(super) async fn locate(
    tools: Tools<'_>,
    plc: &Url,
    ask: &Begin,
) -> Result<(AuthServer, Option<Identity>), AuthError> {
    let instance = match &ask.instance {
        Some(url) => url.clone(),
        None => Url::parse(DEFAULT_SERVER).expect("a constant address"),
    };
    let instance = origin(&instance)?;
    let identity = match (ask.handle.as_deref().map(plain), &ask.reconnect) {
        (Some(name), _) if is_did(&name) => Some(identity(tools, plc, &name).await?),
        (Some(handle), _) => Some(by_handle(tools, plc, &instance, &handle).await?),
        (None, Some(did)) => Some(identity(tools, plc, did).await?),
        (None, None) => None,
    };
    match identity {
        Some(identity) => Ok((server_of(tools, &identity.pds).await?, Some(identity))),
        None => Ok((server_at(tools, &instance).await?, None)),
    }
}

/// A handle or DID without what people write around it.
pub(super) fn plain(name: &str) -> String {
    let name = bare(name);
    if name.starts_with("did:") { name.to_owned() } else { name.to_ascii_lowercase() }
}

async fn by_handle(tools: Tools<'_>, plc: &Url, instance: &Url, handle: &str) -> Result<Identity, AuthError> {
    if !is_handle(handle) {
        return Err(AuthError::UnknownHandle { handle: wire::clean(handle, &[]) });
    }
    let did = match well_known_did(tools, handle).await {
        Some(did) => did,
        None => ask_for_did(tools, instance, handle).await?,
    };
    let identity = identity(tools, plc, &did).await?;
    if identity.handles.iter().any(|it| it == handle) {
        Ok(identity)
    } else {
        Err(AuthError::HandleMismatch { handle: handle.to_owned(), did })
    }
}

/// The handle's own site may say (atproto.com/specs/handle#https-well-known-method).
async fn well_known_did(tools: Tools<'_>, handle: &str) -> Option<String> {
    let url = Url::parse(&format!("https://{handle}/.well-known/atproto-did")).ok()?;
    let answer = tools.guarded.exchange(wire::get(&url)).await.ok()?;
    if answer.status() != http::StatusCode::OK {
        return None;
    }
    std::str::from_utf8(answer.body()).ok().map(str::trim).filter(|it| is_did(it)).map(str::to_owned)
}

/// A server may know, as it also looks into the DNS (docs.bsky.app/docs/api/com-atproto-identity-resolve-handle).
async fn ask_for_did(tools: Tools<'_>, instance: &Url, handle: &str) -> Result<String, AuthError> {
    let mut url = wire::below(instance, "xrpc/com.atproto.identity.resolveHandle");
    url.query_pairs_mut().append_pair("handle", handle);
    match wire::get_json(tools.guarded, &url).await {
        Ok(answer) => text(&answer, "did")
            .filter(|it| is_did(it))
            .map(str::to_owned)
            .ok_or_else(|| AuthError::BadAnswer { by: wire::place(&url), problem: "it names no DID".into() }),
        Err(Fault::Refused { status: 400, .. }) => {
            Err(AuthError::UnknownHandle { handle: handle.to_owned() })
        }
        Err(fault) => Err(AuthError::of(&wire::place(&url), fault)),
    }
}

/// The account's document: who it is, where it lives, what it calls itself.
pub(super) async fn identity(tools: Tools<'_>, plc: &Url, did: &str) -> Result<Identity, AuthError> {
    let url = document_of(plc, did).ok_or_else(|| AuthError::BadAnswer {
        by: "the account".into(),
        problem: format!("`{}` is not a DID that can be looked up", wire::clean(did, &[])),
    })?;
    let by = wire::place(&url);
    let document = wire::get_json(tools.guarded, &url).await.map_err(|fault| AuthError::of(&by, fault))?;
    let bad = |problem: &str| AuthError::BadAnswer { by: by.clone(), problem: problem.to_owned() };
    if text(&document, "id") != Some(did) {
        return Err(bad("the document is about another account"));
    }
    let own_id = format!("{did}#atproto_pds");
    let service = list(&document, "service")
        .find(|it| {
            text(it, "type") == Some("AtprotoPersonalDataServer")
                && text(it, "id").is_some_and(|id| id == "#atproto_pds" || id == own_id)
        })
        .ok_or_else(|| bad("the account names no server"))?;
    let pds = text(service, "serviceEndpoint")
        .and_then(|it| Url::parse(it).ok())
        .ok_or_else(|| bad("the account's server is not an address"))?;
    let handles = list(&document, "alsoKnownAs")
        .filter_map(|it| it.as_str()?.strip_prefix("at://"))
        .map(str::to_ascii_lowercase)
        .filter(|it| is_handle(it))
        .collect();
    Ok(Identity { did: did.to_owned(), pds: origin(&pds)?, handles })
}

/// Where a DID's document is (w3c-ccg.github.io/did-method-web, web.plc.directory).
fn document_of(plc: &Url, did: &str) -> Option<Url> {
    if !is_did(did) {
        return None;
    }
    if did.starts_with("did:plc:") {
        return Some(wire::below(plc, did));
    }
    let host = did.strip_prefix("did:web:")?.replace("%3A", ":").replace("%3a", ":");
    let scheme = if host.split(':').next() == Some("localhost") { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}/.well-known/did.json")).ok()
}

/// The authorization server that an account's server names.
pub(super) async fn server_of(tools: Tools<'_>, pds: &Url) -> Result<AuthServer, AuthError> {
    match resource(tools, pds).await? {
        Some(issuer) => metadata(tools, pds, &issuer).await,
        None => Err(not_atproto(pds, "it has no `/.well-known/oauth-protected-resource`")),
    }
}

/// The same from an address a person gave, which may be that of an authorization server itself
/// (`bsky.social` stands before many account servers).
async fn server_at(tools: Tools<'_>, address: &Url) -> Result<AuthServer, AuthError> {
    match resource(tools, address).await? {
        Some(issuer) => metadata(tools, address, &issuer).await,
        None => metadata(tools, address, &address.origin().ascii_serialization()).await,
    }
}

/// RFC 9728: who issues tokens for this server. `None` when it does not say (404).
async fn resource(tools: Tools<'_>, pds: &Url) -> Result<Option<String>, AuthError> {
    let url = wire::below(pds, ".well-known/oauth-protected-resource");
    let document = match wire::get_json(tools.guarded, &url).await {
        Err(Fault::Refused { status: 404, .. }) => return Ok(None),
        other => other.map_err(|fault| unusable(pds, &url, fault))?,
    };
    let own = pds.origin().ascii_serialization();
    match text(&document, "resource") {
        Some(named) if named.trim_end_matches('/') == own => {}
        Some(named) => {
            let problem = format!("it calls itself `{}`; use that address", wire::clean(named, &[]));
            return Err(not_atproto(pds, problem));
        }
        None => return Err(not_atproto(pds, "its document does not say whose it is")),
    }
    let mut issuers = list(&document, "authorization_servers");
    match (issuers.next().and_then(Value::as_str), issuers.next()) {
        (Some(issuer), None) => Ok(Some(issuer.to_owned())),
        _ => Err(not_atproto(pds, "it does not name exactly one authorization server")),
    }
}

/// RFC 8414, with what the profile demands (atproto.com/specs/oauth#authorization-servers).
async fn metadata(tools: Tools<'_>, pds: &Url, issuer: &str) -> Result<AuthServer, AuthError> {
    let base =
        Url::parse(issuer).map_err(|_| not_atproto(pds, "its authorization server is not an address"))?;
    if base.origin().ascii_serialization() != issuer || origin(&base).is_err() {
        let named = wire::clean(issuer, &[]);
        return Err(not_atproto(
            pds,
            format!("its authorization server `{named}` is not a plain https address"),
        ));
    }
    let url = wire::below(&base, ".well-known/oauth-authorization-server");
    let document = wire::get_json(tools.guarded, &url).await.map_err(|fault| unusable(&base, &url, fault))?;
    let named = text(&document, "issuer").unwrap_or_default();
    if named != issuer {
        return Err(AuthError::IssuerMismatch { expected: issuer.to_owned(), got: wire::clean(named, &[]) });
    }
    let yes = |name: &str| document.get(name) == Some(&Value::Bool(true));
    for name in [
        "require_pushed_authorization_requests",
        "authorization_response_iss_parameter_supported",
        "client_id_metadata_document_supported",
    ] {
        if !yes(name) {
            return Err(not_atproto(&base, format!("it does not promise `{name}`")));
        }
    }
    for (name, value) in [
        ("dpop_signing_alg_values_supported", "ES256"),
        ("scopes_supported", "atproto"),
        ("code_challenge_methods_supported", "S256"),
    ] {
        if !list(&document, name).any(|it| it == value) {
            return Err(not_atproto(&base, format!("its `{name}` lacks `{value}`")));
        }
    }
    // A list of servers it speaks for, where there is one, must have ours.
    let own = pds.origin().ascii_serialization();
    if document.get("protected_resources").is_some()
        && own != issuer
        && !list(&document, "protected_resources")
            .any(|it| it.as_str().is_some_and(|it| it.trim_end_matches('/') == own))
    {
        return Err(not_atproto(&base, format!("it does not speak for `{own}`")));
    }
    let endpoint = |name: &str| {
        text(&document, name)
            .and_then(|it| Url::parse(it).ok())
            .filter(|it| is_safe(it) && it.fragment().is_none())
            .ok_or_else(|| not_atproto(&base, format!("its `{name}` is missing or not an https address")))
    };
    Ok(AuthServer {
        issuer: issuer.to_owned(),
        par: endpoint("pushed_authorization_request_endpoint")?,
        authorize: endpoint("authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        revocation: match document.get("revocation_endpoint") {
            None | Some(Value::Null) => None,
            Some(_) => Some(endpoint("revocation_endpoint")?),
        },
    })
}

/// How the account shows itself. Its profile is decoration: whatever goes wrong there, the handle
/// (or the DID, for an account without one) does as well.
pub(super) async fn describe(tools: Tools<'_>, identity: &Identity) -> Found {
    let username = identity.handles.first().unwrap_or(&identity.did).clone();
    let mut url = wire::below(&identity.pds, "xrpc/com.atproto.repo.getRecord");
    url.query_pairs_mut()
        .append_pair("repo", &identity.did)
        .append_pair("collection", "app.bsky.actor.profile")
        .append_pair("rkey", "self");
    let profile = wire::get_json(tools.guarded, &url).await.unwrap_or_default();
    let display_name = profile
        .pointer("/value/displayName")
        .and_then(Value::as_str)
        .map(|it| wire::clean(it, &[]))
        .filter(|it| !it.is_empty());
    let avatar = profile.pointer("/value/avatar/ref/$link").and_then(Value::as_str).map(|cid| {
        let mut url = wire::below(&identity.pds, "xrpc/com.atproto.sync.getBlob");
        url.query_pairs_mut().append_pair("did", &identity.did).append_pair("cid", cid);
        url.to_string()
    });
    Found {
        app_scoped_id: None,
        remote_id: identity.did.clone(),
        display_name: display_name.unwrap_or_else(|| username.clone()),
        username,
        avatar_url: avatar,
        server: Some(identity.pds.clone()),
        tier: None,
    }
}

/// The server's address without a path. Anything but https is for loopback alone.
fn origin(url: &Url) -> Result<Url, AuthError> {
    let bare =
        url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    if !bare {
        return Err(not_atproto(url, "the address must end after the host name"));
    }
    if !is_safe(url) {
        return Err(not_atproto(url, "the address must begin with `https://`"));
    }
    let mut url = url.clone();
    url.set_fragment(None);
    Ok(url)
}

/// Whether an address may be that of a server: https, or http on this machine, and with a host.
pub fn is_server(url: &Url) -> bool {
    url.has_host() && is_safe(url)
}

/// Whether a text names an account: a handle, as people write it, or a DID.
pub fn is_account(text: &str) -> bool {
    let name = bare(text);
    is_did(name) || is_handle(name)
}

/// An account's name without what people put before it.
fn bare(text: &str) -> &str {
    text.trim().trim_start_matches("at://").trim_start_matches('@')
}

fn is_safe(url: &Url) -> bool {
    let local = wire::is_loopback_ip(url) || url.host_str() == Some("localhost");
    url.username().is_empty() && (url.scheme() == "https" || url.scheme() == "http" && local)
}

/// Whether a text is a DID of a kind that accounts can have (atproto.com/specs/did).
pub(super) fn is_did(text: &str) -> bool {
    if let Some(id) = text.strip_prefix("did:plc:") {
        return id.len() == 24 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    }
    text.strip_prefix("did:web:").is_some_and(|rest| {
        let lower = rest.replace("%3a", "%3A");
        let (host, port) =
            lower.split_once("%3A").map_or((lower.as_str(), None), |(host, port)| (host, Some(port)));
        (is_handle(host) || host == "localhost")
            && port.is_none_or(|it| (1..=5).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether a text has the form of a handle (atproto.com/specs/handle), which is a host name and
/// never an address by number.
fn is_handle(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    text.len() <= 253
        && labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
        && labels.last().is_some_and(|it| it.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn list<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn not_atproto(server: &Url, problem: impl Into<String>) -> AuthError {
    AuthError::NotAtproto { server: server.origin().ascii_serialization(), problem: problem.into() }
}

/// A document that a server of this kind must have, and has not.
fn unusable(server: &Url, url: &Url, fault: Fault) -> AuthError {
    match fault {
        Fault::Redirected(status) => AuthError::Redirected { url: url.to_string(), status },
        Fault::Garbage(problem) => not_atproto(server, format!("at `{}`: {problem}", url.path())),
        Fault::Refused { status, .. } => {
            not_atproto(server, format!("`{}` answers with {status}", url.path()))
        }
        other => AuthError::of(&wire::place(url), other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_did_or_a_handle_is_looked_up() {
        for good in ["did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:example.com", "did:web:localhost%3A2583"] {
            assert!(is_did(good), "{good}");
        }
        for bad in [
            "did:plc:short",
            "did:plc:EWVI7NXZYOUN6ZHXRHS64OIZ",
            "did:web:a.example/x",
            "did:web:a.example:x",
            "did:key:z",
            "did:web:127.0.0.1",
            "",
        ] {
            assert!(!is_did(bad), "{bad}");
        }
        assert!(is_handle("alice.example.com") && is_handle("a-b.test"));
        for bad in
            ["alice", "127.0.0.1", "-a.example", "a..example", "a.example/", "a_b.example", "a.example:80"]
        {
            assert!(!is_handle(bad), "{bad}");
        }
    }

    #[test]
    fn a_dids_document_has_one_place() {
        let plc = Url::parse("http://127.0.0.1:2582/plc").unwrap();
        let place = |did| document_of(&plc, did).map(String::from);
        assert_eq!(
            place("did:plc:ewvi7nxzyoun6zhxrhs64oiz").as_deref(),
            Some("http://127.0.0.1:2582/plc/did:plc:ewvi7nxzyoun6zhxrhs64oiz")
        );
        assert_eq!(
            place("did:web:a.example%3A8443").as_deref(),
            Some("https://a.example:8443/.well-known/did.json")
        );
        assert_eq!(
            place("did:web:localhost%3A1").as_deref(),
            Some("http://localhost:1/.well-known/did.json")
        );
        assert_eq!(place("did:web:a.example/../x"), None);
    }

    #[test]
    fn names_lose_what_people_write_around_them() {
        assert_eq!(plain(" @Alice.Example "), "alice.example");
        assert_eq!(plain("at://did:web:a.example"), "did:web:a.example");
    }
}
