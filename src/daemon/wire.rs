//! Carries a connector's request to its network: adds the address, the token and the bytes of
//! media, which are read while they leave. The only place where a token meets a request.
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

use super::body::{self, Built, Part};
use super::calls::ours;
use super::progress::{Progress, Whose};
use crate::auth::dpop::{self, Nonces};
use crate::auth::{self, Grant};
use crate::domain::account::Account;
use crate::domain::ids::PlatformName;
use crate::engine::Reply;
use crate::http::clients::{ClientError, OneShot, Reader, tls};
use crate::http::egress::Guarded;
use crate::http::{Exchange, ExchangeError, Uploads};
use crate::platforms::{self, Answer, Body, Endpoint, Request, SITE_HEADER, UploadScheme};
use crate::store::DurableIntent;

/// The type of JSON where a network documents no other.
const JSON: &str = "application/json";
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
    /// What [`Body::files`](crate::platforms::Body::files) names, in its order.
    pub(super) parts: Vec<Part>,
    /// Whose upload it is, for those who want to see how far it is.
    pub(super) progress: Option<(Progress, Whose)>,
    /// Headers that the network wants beside the body's and the token's.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Where the network shows its pages to people, for addresses that it gives without a host.
    pub(super) site: Option<String>,
    /// How the token is presented at an address that the network gave.
    pub(super) upload_scheme: UploadScheme,
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
        let once = self.once(&parcel);
        let reply = self.carry(once, once, request, &parcel).await;
        drop(intent);
        reply
    }

    /// A call that is safe to repeat.
    pub(super) async fn call(&self, request: &Request, parcel: Parcel<'_>) -> Reply {
        let reader: &dyn Exchange =
            if is_guarded(parcel.account.name.platform()) { &self.guarded } else { &self.fixed };
        self.carry(reader, self.once(&parcel), request, &parcel).await
    }

    fn once(&self, parcel: &Parcel<'_>) -> &dyn Uploads {
        if is_guarded(parcel.account.name.platform()) { &self.guarded_once } else { &self.fixed_once }
    }

    /// Forgets what was learnt for an account.
    pub(super) fn forget(&self, account: &Account) {
        self.nonces().forget(account.id);
    }

    /// `up`: for bodies with files.
    async fn carry(
        &self,
        through: &dyn Exchange,
        up: &dyn Uploads,
        request: &Request,
        parcel: &Parcel<'_>,
    ) -> Reply {
        let mut repeated = false;
        let body = match body::build(&request.body, &parcel.parts, &boundary()) {
            Ok(body) => body,
            Err(why) => return ours(&why),
        };
        loop {
            let head = match self.head(request, &body, parcel) {
                Ok(head) => head,
                Err(why) => return ours(&why),
            };
            let uri = head.uri().clone();
            let answer = if let Some(bytes) = body.small() {
                through.exchange(head.map(|_| bytes)).await
            } else {
                let watch =
                    parcel.progress.as_ref().map(|(all, whose)| all.begin(whose.clone(), body.standing()));
                up.upload(head.map(|_| ()), body.payload(watch)).await
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(ExchangeError::NotSent(why)) => return Reply::NotSent(why),
                Err(ExchangeError::Lost(why)) => return Reply::Lost(why),
            };
            self.nonces().learn(parcel.account.id, &uri, answer.headers());
            if !repeated && dpop::needs_nonce(&answer).is_some() {
                repeated = true;
                continue;
            }
            return Reply::Answer(to_answer(answer, parcel.site.as_deref()));
        }
    }

    /// Everything but the body, which no signature covers.
    fn head(
        &self,
        request: &Request,
        body: &Built,
        parcel: &Parcel<'_>,
    ) -> Result<http::Request<Bytes>, String> {
        let base = match request.endpoint {
            Endpoint::Server => parcel.account.server.as_deref().and_then(|it| it.parse().ok()),
            Endpoint::Named(_) | Endpoint::Person(_) | Endpoint::Given(_) | Endpoint::GivenBelow(..) => {
                parcel.base.clone()
            }
        };
        let base = base.ok_or("no address is configured for this call")?;
        let is_given = matches!(request.endpoint, Endpoint::Given(_) | Endpoint::GivenBelow(..));
        let person = parcel.grant.filter(|_| matches!(request.endpoint, Endpoint::Person(_)));
        let person = person.and_then(Grant::of_person);
        let grant = person.as_ref().or(parcel.grant);
        let mut url = match request.endpoint {
            Endpoint::Given(_) => given(&base, None, &request.path)?,
            Endpoint::GivenBelow(_, domain) => given(&base, Some(domain), &request.path)?,
            Endpoint::Named(_) | Endpoint::Person(_) | Endpoint::Server => below(base, &request.path),
        };
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        if let (Some(secret), Some(grant), false) = (&parcel.app_secret, grant, is_given) {
            // Not a token, and of no use without one; the API takes it nowhere but among parameters.
            url.query_pairs_mut()
                .append_pair("appsecret_proof", &auth::facebook::proof(&grant.access, secret));
        }
        let uri: Uri = url.as_str().parse().map_err(|_| "the address is not a valid URI".to_owned())?;
        let mut built = http::Request::new(Bytes::new());
        *built.method_mut() = request.method.clone();
        *built.uri_mut() = uri.clone();
        built.headers_mut().insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(content_type) = &body.content_type {
            // Some networks document another spelling of the same type.
            let json = platforms::find(parcel.account.name.platform()).filter(|_| content_type == JSON);
            let content_type = json.map_or(content_type.as_str(), |it| it.json_type());
            let value =
                HeaderValue::try_from(content_type).map_err(|_| "the media type is no header value")?;
            built.headers_mut().insert(http::header::CONTENT_TYPE, value);
        } else if request.method == Method::POST {
            built.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Body::File { headers, .. } = &request.body {
            for (name, value) in headers {
                let value = HeaderValue::try_from(value).map_err(|_| "a header of the upload is none")?;
                built.headers_mut().insert(*name, value);
            }
        }
        for (name, value) in &parcel.headers {
            let value = HeaderValue::try_from(value).map_err(|_| "a header of the call is none")?;
            built.headers_mut().insert(*name, value);
        }
        if request.auth && is_given && parcel.upload_scheme == UploadScheme::OAuth {
            let grant = grant.ok_or("there is no token for this account")?;
            auth::authorize_upload(grant, &mut built);
        } else if request.auth {
            let grant = grant.ok_or("there is no token for this account")?;
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

/// An address that the network gave, if it lies where it may: a token or a file goes there. `domain`: by
/// https it may lie there or below as well.
fn given(base: &Url, domain: Option<&str>, address: &str) -> Result<Url, String> {
    let url: Url = address.parse().map_err(|_| "the network gave an address that is none".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    let within =
        domain.is_some_and(|it| host == it || host.strip_suffix(it).is_some_and(|it| it.ends_with('.')));
    let within = within && url.scheme() == "https" && url.port().is_none();
    let plain = url.username().is_empty() && url.password().is_none();
    let here = plain && (url.origin() == base.origin() || within);
    // The configuration takes plain http for loopback alone, so the scheme is sound if it is the same.
    if here { Ok(url) } else { Err("the network gave an address on a host that is not its own".to_owned()) }
}

/// What separates the parts of a form: 128 bits nobody can have put into a file.
fn boundary() -> String {
    let mut random = [0; 16];
    fill(&mut random);
    format!("sendoff-{:032x}", u128::from_be_bytes(random))
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

fn to_answer(answer: http::Response<Bytes>, site: Option<&str>) -> Answer {
    let given = answer.headers().iter().filter(|(name, _)| *name != SITE_HEADER);
    let given =
        given.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let ours = site.map(|it| (SITE_HEADER.to_owned(), it.trim_end_matches('/').to_owned()));
    let headers = given.chain(ours).collect();
    Answer { status: answer.status().as_u16(), headers, body: answer.into_body().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiled, it holds: no other value gets a request onto the wire that publishes.
    #[test]
    fn the_publishing_call_takes_an_intent_and_nothing_in_its_place() {
        fn takes<'a, F>(_: fn(&'a Wire, DurableIntent, &'a Request, Parcel<'a>) -> F) {}
        takes(Wire::publish);
    }

    #[test]
    fn where_pages_are_shown_the_configuration_says_and_no_answer() {
        let answer =
            || http::Response::builder().header(SITE_HEADER, "https://evil.example").body(Bytes::new());
        assert_eq!(to_answer(answer().unwrap(), None).header(SITE_HEADER), None);
        let site = Some("http://127.0.0.1:9000/facebook/");
        let said = to_answer(answer().unwrap(), site);
        assert_eq!(said.header(SITE_HEADER), Some("http://127.0.0.1:9000/facebook"));
    }

    #[test]
    fn a_token_goes_to_no_address_that_is_not_on_the_networks_own_host() {
        let base: Url = "https://rupload.facebook.com".parse().unwrap();
        let good = "https://rupload.facebook.com/video-upload/v26.0/1?x=1";
        assert_eq!(given(&base, None, good).unwrap().as_str(), good);
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
            assert!(given(&base, None, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_uploads_go_to_many_hosts_they_stay_below_the_networks_domain() {
        let base: Url = "https://open.tiktokapis.com".parse().unwrap();
        for good in [
            "https://open-upload.tiktokapis.com/video/?upload_id=1&upload_token=X",
            "https://upload.us.tiktokapis.com/video/?upload_id=1",
            "https://open.tiktokapis.com/video/",
        ] {
            assert_eq!(given(&base, Some("tiktokapis.com"), good).unwrap().as_str(), good);
        }
        for bad in [
            "http://open-upload.tiktokapis.com/video/",
            "https://open-upload.tiktokapis.com:8443/video/",
            "https://eviltiktokapis.com/video/",
            "https://tiktokapis.com.evil.example/video/",
            "https://me:pw@open-upload.tiktokapis.com/video/",
            "https://127.0.0.1/video/",
        ] {
            assert!(given(&base, Some("tiktokapis.com"), bad).is_err(), "{bad}");
        }
        // A stand-in on loopback gives its own host.
        let base: Url = "http://127.0.0.1:9000/tiktok".parse().unwrap();
        assert!(given(&base, Some("tiktokapis.com"), "http://127.0.0.1:9000/tiktok/upload/1").is_ok());
        assert!(given(&base, Some("tiktokapis.com"), "http://127.0.0.1:9001/tiktok/upload/1").is_err());
    }
}
