//! Carries a connector's request to its network: adds the address, the token and the bytes of
//! media. The only place where a token meets a request.
//!
//! Publishing calls go out exactly once ([`Wire::publish`] wants the [`DurableIntent`] that only a
//! committed write can make). The one exception: a server's demand for a fresh DPoP nonce is a
//! refusal before anything was carried out, so the call is repeated with it once.

use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};
use ipnet::IpNet;
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use crate::auth::dpop::{self, Nonces};
use crate::auth::{self, Grant};
use crate::domain::account::Account;
use crate::domain::ids::PlatformName;
use crate::engine::Reply;
use crate::http::clients::{ClientError, OneShot, Reader, tls};
use crate::http::egress::Guarded;
use crate::http::{Exchange, ExchangeError};
use crate::platforms::{Answer, Body, Endpoint, FormFile, Request};
use crate::store::DurableIntent;

/// Nonces remembered at most; one per account and server.
const NONCES_MAX: usize = 4096;

/// The clients towards the networks.
pub(super) struct Wire {
    fixed_once: OneShot,
    fixed: Reader,
    guarded_once: Guarded,
    guarded: Guarded,
    nonces: Mutex<Nonces>,
}

/// Everything a request needs besides itself.
pub(super) struct Parcel<'a> {
    pub(super) account: &'a Account,
    /// Base of the named endpoint, or the account's server.
    pub(super) base: Option<Url>,
    pub(super) grant: Option<&'a Grant>,
    /// The bytes of the file that [`Body::media`] names.
    pub(super) media: Option<Bytes>,
    /// The app's secret, where the network wants every call proven with it (Meta's Graph API).
    pub(super) app_secret: Option<SecretString>,
    pub(super) now: Timestamp,
}

impl Wire {
    /// `allow`: private ranges that user-supplied hosts may lie in.
    pub(super) fn new(allow: &[IpNet]) -> Result<Self, ClientError> {
        let config = tls(None)?;
        Ok(Self {
            fixed_once: OneShot::new(config.clone())?,
            fixed: Reader::new(config)?,
            guarded_once: Guarded::one_shot(allow.to_vec())?,
            guarded: Guarded::reading(allow.to_vec())?,
            nonces: Mutex::new(Nonces::new(NONCES_MAX)),
        })
    }

    /// The exchange for config-named hosts, as the OAuth conversations want it.
    pub(super) fn fixed(&self) -> &dyn Exchange {
        &self.fixed
    }

    /// The exchange for hosts that users or servers name.
    pub(super) fn guarded(&self) -> &dyn Exchange {
        &self.guarded
    }

    /// The publishing call. Its intent is durable, or there would be no `DurableIntent`.
    pub(super) async fn publish(
        &self,
        intent: DurableIntent,
        request: &Request,
        parcel: Parcel<'_>,
    ) -> Reply {
        let once: &dyn Exchange =
            if is_guarded(parcel.account.name.platform()) { &self.guarded_once } else { &self.fixed_once };
        let reply = self.carry(once, request, &parcel).await;
        drop(intent);
        reply
    }

    /// A call that is safe to repeat.
    pub(super) async fn call(&self, request: &Request, parcel: Parcel<'_>) -> Reply {
        let reader: &dyn Exchange =
            if is_guarded(parcel.account.name.platform()) { &self.guarded } else { &self.fixed };
        self.carry(reader, request, &parcel).await
    }

    /// Forgets what was learnt for an account.
    pub(super) fn forget(&self, account: &Account) {
        self.nonces().forget(account.id);
    }

    async fn carry(&self, through: &dyn Exchange, request: &Request, parcel: &Parcel<'_>) -> Reply {
        let mut repeated = false;
        loop {
            let built = match self.build(request, parcel) {
                Ok(built) => built,
                Err(why) => return Reply::NotSent(why),
            };
            let uri = built.uri().clone();
            let answer = match through.exchange(built).await {
                Ok(answer) => answer,
                Err(ExchangeError::NotSent(why)) => return Reply::NotSent(why),
                Err(ExchangeError::Lost(why)) => return Reply::Lost(why),
            };
            self.nonces().learn(parcel.account.id, &uri, answer.headers());
            if !repeated && dpop::needs_nonce(&answer).is_some() {
                repeated = true;
                continue;
            }
            return Reply::Answer(to_answer(answer));
        }
    }

    fn build(&self, request: &Request, parcel: &Parcel<'_>) -> Result<http::Request<Bytes>, String> {
        let base = match request.endpoint {
            Endpoint::Server => parcel.account.server.as_deref().and_then(|it| it.parse().ok()),
            Endpoint::Named(_) | Endpoint::Given(_) => parcel.base.clone(),
        };
        let base = base.ok_or("no address is configured for this call")?;
        let is_given = matches!(request.endpoint, Endpoint::Given(_));
        let mut url = if is_given { given(&base, &request.path)? } else { below(base, &request.path) };
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        if let (Some(secret), Some(grant), false) = (&parcel.app_secret, parcel.grant, is_given) {
            // Not a token, and of no use without one; the API takes it nowhere but among parameters.
            url.query_pairs_mut()
                .append_pair("appsecret_proof", &auth::facebook::proof(&grant.access, secret));
        }
        let uri: Uri = url.as_str().parse().map_err(|_| "the address is not a valid URI".to_owned())?;
        let (body, content_type) = match &request.body {
            Body::None => (Bytes::new(), None),
            Body::Json(bytes) => (Bytes::from(bytes.clone()), Some("application/json".to_owned())),
            Body::Media { mime, .. } | Body::Upload { mime, .. } => {
                (media(parcel)?, Some((*mime).to_owned()))
            }
            Body::Form { fields, file } => {
                let (body, content_type) = form(fields, file, &media(parcel)?)?;
                (body, Some(content_type))
            }
        };
        let mut built = http::Request::new(body);
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = uri.clone();
        built.headers_mut().insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_str(&content_type).map_err(|error| error.to_string())?;
            built.headers_mut().insert(http::header::CONTENT_TYPE, value);
        } else if request.method == Method::POST {
            built.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Body::Upload { headers, .. } = &request.body {
            for (name, value) in headers {
                let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
                built.headers_mut().insert(*name, value);
            }
        }
        if request.auth && is_given {
            let grant = parcel.grant.ok_or("there is no token for this account")?;
            auth::authorize_upload(grant, &mut built);
        } else if request.auth {
            let grant = parcel.grant.ok_or("there is no token for this account")?;
            let nonce = self.nonces().get(parcel.account.id, &uri).map(str::to_owned);
            auth::authorize_request(grant, &mut built, nonce.as_deref(), parcel.now, &fill)
                .map_err(|error| error.to_string())?;
        }
        Ok(built)
    }

    fn nonces(&self) -> std::sync::MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The network's own path behind a configured base, whose path prefix stays.
fn below(mut base: Url, path: &str) -> Url {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

/// An address that the network gave, if it lies where it may: a token goes there.
fn given(base: &Url, address: &str) -> Result<Url, String> {
    let url: Url = address.parse().map_err(|_| "the network gave an address that is none".to_owned())?;
    let here = url.origin() == base.origin() && url.username().is_empty() && url.password().is_none();
    // The configuration takes plain http for loopback alone, so the scheme is sound if it is the same.
    if here { Ok(url) } else { Err("the network gave an address on a host that is not its own".to_owned()) }
}

fn media(parcel: &Parcel<'_>) -> Result<Bytes, String> {
    parcel.media.clone().ok_or_else(|| "the media file is no longer there".to_owned())
}

/// A form with one file (RFC 7578), and its content type.
fn form(
    fields: &[(&'static str, String)],
    file: &FormFile,
    bytes: &Bytes,
) -> Result<(Bytes, String), String> {
    let part = match file.range {
        None => bytes.clone(),
        Some((from, to)) => {
            let at = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
            let fits = from <= to && at(to) <= bytes.len();
            fits.then(|| bytes.slice(at(from)..at(to)))
                .ok_or("the network asks for bytes that the file has not")?
        }
    };
    let mut random = [0; 16];
    fill(&mut random);
    let boundary = random.iter().fold("sendoff".to_owned(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    });
    let mut body = Vec::with_capacity(part.len() + 1024);
    for (name, value) in fields {
        let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let (name, mime) = (file.part, file.mime);
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"file\"\r\ncontent-type: {mime}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&part);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Ok((body.into(), format!("multipart/form-data; boundary={boundary}")))
}

/// Networks whose servers the user names.
fn is_guarded(platform: PlatformName) -> bool {
    matches!(platform, PlatformName::Bluesky | PlatformName::Mastodon)
}

/// The system's randomness. Its absence is not something to go on without.
pub(super) fn fill(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        tracing::error!(%error, "the system gives no random numbers; stopping");
        std::process::exit(75);
    }
}

fn to_answer(answer: http::Response<Bytes>) -> Answer {
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    Answer { status: answer.status().as_u16(), headers, body: answer.into_body().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MediaId;

    #[test]
    fn a_token_goes_to_no_address_that_is_not_on_the_networks_own_host() {
        let base: Url = "https://rupload.facebook.com".parse().unwrap();
        let good = "https://rupload.facebook.com/video-upload/v26.0/1?x=1";
        assert_eq!(given(&base, good).unwrap().as_str(), good);
        for bad in [
            "http://rupload.facebook.com/video-upload/v26.0/1",
            "https://rupload.facebook.com:8443/video-upload/v26.0/1",
            "https://rupload.facebook.com.evil.example/1",
            "https://evil.example/rupload.facebook.com",
            "https://me:pw@rupload.facebook.com/1",
            "https://127.0.0.1/1",
            "/video-upload/v26.0/1",
            "",
        ] {
            assert!(given(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_form_holds_its_fields_and_the_bytes_that_were_asked_for() {
        let file = |range| FormFile { part: "source", id: MediaId::from_u128(1), mime: "image/png", range };
        let bytes = Bytes::from_static(b"0123456789");
        let fields = [("published", "false".to_owned())];
        let (body, kind) = form(&fields, &file(Some((2, 5))), &bytes).unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(
            text,
            format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"published\"\r\n\r\nfalse\r\n\
                 --{boundary}\r\ncontent-disposition: form-data; name=\"source\"; filename=\"file\"\r\n\
                 content-type: image/png\r\n\r\n234\r\n--{boundary}--\r\n"
            )
        );
        assert!(form(&fields, &file(Some((2, 11))), &bytes).is_err(), "the file has no such bytes");
        assert!(form(&fields, &file(Some((5, 2))), &bytes).is_err());
        let (_, other) = form(&fields, &file(None), &bytes).unwrap();
        assert_ne!(other, kind, "a boundary is made for one form");
    }
}
