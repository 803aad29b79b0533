//! Seeded noise, a fixed day, and a network that answers from a closure.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::Tools;
use super::chance::Random;
use crate::http::{Exchange, ExchangeError};

/// `seconds` after a fixed instant.
pub(crate) fn instant(seconds: i64) -> Timestamp {
    "2026-12-01T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// Bytes that look random and are the same for the same seed (SplitMix64).
pub(crate) fn noise(seed: u64) -> impl Fn(&mut [u8]) + Sync {
    let state = AtomicU64::new(seed);
    move |buffer: &mut [u8]| {
        for byte in buffer {
            let mut z = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[3];
        }
    }
}

pub(crate) type Answer = Result<Response<Bytes>, ExchangeError>;

type Answers<'a> = Box<dyn Fn(&Request<Bytes>) -> Answer + Send + Sync + 'a>;

/// A network in memory: a closure answers, and every request is kept.
pub(crate) struct Net<'a> {
    answer: Answers<'a>,
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl<'a> Net<'a> {
    pub(crate) fn new(answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'a) -> Self {
        Self { answer: Box::new(answer), seen: Mutex::new(Vec::new()) }
    }

    /// A network nobody may use.
    pub(crate) fn silent() -> Self {
        Self::new(|request| panic!("unexpected request to {}", request.uri()))
    }

    /// Every request so far, as `METHOD address`, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|it| format!("{} {}", it.method(), it.uri())).collect()
    }

    /// The requests themselves.
    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Exchange for Net<'_> {
    async fn exchange(&self, request: Request<Bytes>) -> Answer {
        let answer = (self.answer)(&request);
        self.seen.lock().unwrap().push(request);
        answer
    }
}

/// A JSON answer.
#[allow(clippy::unnecessary_wraps)] // stands wherever an answer stands
pub(crate) fn json(status: u16, body: &str) -> Answer {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_owned()))
        .unwrap())
}

/// Tools at [`instant`] 0.
pub(crate) fn tools<'a>(
    fixed: &'a dyn Exchange,
    guarded: &'a dyn Exchange,
    random: &'a Random<'a>,
) -> Tools<'a> {
    Tools { fixed, guarded, now: instant(0), random }
}

/// The fields of a form body.
pub(crate) fn fields(request: &Request<Bytes>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.body()).into_owned().collect()
}
