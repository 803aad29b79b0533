//! The stand-ins, driven over HTTP as an honest and as a hostile client.

mod bluesky;
mod conformance;
mod examples;
mod facebook;
mod faults;
#[allow(clippy::duplicate_mod)] // other rooms' tests make films of it too
#[path = "../../../tests/support/film.rs"]
mod film;
mod instagram;
mod linkedin;
mod tiktok;
mod x;
mod x_media;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use reqwest::{Client, Response};
use serde_json::Value;

use super::wire::{base64url, sha256};
use super::{Faults, Options, Running, start};
use crate::clock::Clock;

/// A clock that stands still until it is told.
pub(super) struct Hand(AtomicI64);

impl Hand {
    pub(super) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A sandbox, its clock and a client that neither retries nor follows.
pub(super) struct Stage {
    pub(super) running: Running,
    pub(super) clock: Arc<Hand>,
    pub(super) http: Client,
    pub(super) url: String,
}

pub(super) async fn stage_with(faults: &str) -> Stage {
    let clock = Arc::new(Hand(AtomicI64::new(1_795_000_000)));
    let mut faults: Faults = faults.parse().unwrap();
    faults.slow = std::time::Duration::from_millis(8);
    let options = Options { listen: "127.0.0.1:0".parse().unwrap(), faults, seed: 7 };
    let running = start(options, clock.clone()).await.unwrap();
    let url = running.url.as_str().trim_end_matches('/').to_owned();
    Stage { running, clock, http: client(), url }
}

pub(super) async fn stage() -> Stage {
    stage_with("").await
}

fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap()
}

impl Stage {
    /// Why the last call was refused.
    pub(super) fn last_refusal(&self) -> String {
        self.running.refusals().last().map(|it| it.reason.clone()).unwrap_or_default()
    }
}

/// Status and JSON of an answer.
pub(super) async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(super) const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0123456789";

pub(super) fn challenge() -> String {
    base64url(&sha256(VERIFIER.as_bytes()))
}

/// A parameter of the address that a redirect points to.
pub(super) fn landed(answer: &Response, name: &str) -> Option<String> {
    let to = answer.headers().get("location")?.to_str().ok()?;
    let url = url::Url::parse(to).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The smallest bytes that pass for a PNG.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

#[tokio::test]
async fn a_port_in_use_is_named_with_its_remedy() {
    let stage = stage().await;
    let listen = stage.running.url.socket_addrs(|| None).unwrap()[0];
    let options = Options { listen, faults: Faults::default(), seed: 1 };
    let error = start(options, stage.clock.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains(&listen.to_string()) && error.contains("in use") && error.contains("--listen"),
        "{error}"
    );
}

#[tokio::test]
async fn the_ready_line_carries_toml_that_names_every_address() {
    let stage = stage().await;
    let line: Value = serde_json::from_str(&super::ready_line(&stage.running)).unwrap();
    assert_eq!(line["event"], "ready");
    assert_eq!(line["url"], stage.url);
    let config: toml::Table = line["config"].as_str().unwrap().parse().unwrap();
    let platforms = &config["platforms"];
    assert_eq!(platforms["x"]["endpoints"]["api"].as_str().unwrap(), format!("{}/x", stage.url));
    assert_eq!(platforms["bluesky"]["endpoints"]["plc"].as_str().unwrap(), format!("{}/plc", stage.url));
    assert_eq!(config["egress"]["allow"][0].as_str().unwrap(), "127.0.0.1/32");
}

#[tokio::test]
async fn after_stop_nobody_listens() {
    let Stage { running, http, url, .. } = stage().await;
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
    running.stop().await;
    assert!(http.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_same_seed_and_clock_give_the_same_ids() {
    let (one, two) = (stage().await, stage().await);
    let (a, b) = (x::connect(&one).await, x::connect(&two).await);
    assert_eq!(a.access, b.access);
    let first = x::post(&one, &a, "same").await.1;
    assert_eq!(first, x::post(&two, &b, "same").await.1);
}
