//! Links by which a network fetches a file: made for one delivery when its request is put together,
//! void when the delivery is over, after six hours at the latest.
//!
//! The token says which file of which delivery, how it is to be made ready, and until when, under an
//! HMAC with a key for nothing else. No path can be made of anything in the address: the id leads to
//! the store, and only what the store knows leads to the disk. The name behind the token is the one
//! that belongs to the kind of file; networks that look at it see a right ending, and every other
//! name is a wrong address.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::shared::Shared;
use crate::domain::fit::Fit;
use crate::domain::ids::{DeliveryId, MediaId};
use crate::domain::media::MediaKind;
use crate::keys::derive::Signer;
use crate::media::Ready;
use crate::platforms::FilePart;
use crate::store::fetches::{self, Fetched};
use crate::store::{Store, StoreError, deliveries, media, posts};

/// A link's longest life.
const LIFE: SignedDuration = SignedDuration::from_hours(6);
/// Ends are rounded down to this, in seconds, so that a request that is made again names the same
/// address.
const STEP: i64 = 600;
/// What the signature is for, beside its key.
const PURPOSE: &[u8] = b"fetch";
/// Delivery, file, end, width, height, most bytes.
const CLAIMS: usize = 16 + 16 + 8 + 4 + 4 + 8;
const TAG: usize = 32;
/// Deliveries whose fetches wait to be written at once. A link is needed to get on the list.
const WAITING_MAX: usize = 1000;
/// Characters kept of what a client calls itself.
const AGENT_MAX: usize = 120;

/// Makes links, reads them, and keeps count of who follows them.
#[derive(Debug)]
pub(super) struct Links {
    signer: Signer,
    /// Not yet written.
    fetched: Mutex<BTreeMap<DeliveryId, fetches::Fetches>>,
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claims {
    delivery: DeliveryId,
    media: MediaId,
    /// Unix seconds.
    end: i64,
    fit: Option<Fit>,
}

/// A file that a link leads to.
pub(super) struct Found {
    pub(super) delivery: DeliveryId,
    pub(super) media: MediaId,
    pub(super) kind: MediaKind,
    pub(super) ready: Ready,
}

impl Claims {
    fn bytes(&self) -> [u8; CLAIMS] {
        let fit = self.fit.unwrap_or(Fit { width: 0, height: 0, bytes_max: 0, flatten: false });
        let mut out = [0; CLAIMS];
        out[..16].copy_from_slice(&self.delivery.as_u128().to_be_bytes());
        out[16..32].copy_from_slice(&self.media.as_u128().to_be_bytes());
        out[32..40].copy_from_slice(&self.end.to_be_bytes());
        out[40..44].copy_from_slice(&fit.width.to_be_bytes());
        out[44..48].copy_from_slice(&fit.height.to_be_bytes());
        out[48..].copy_from_slice(&fit.bytes_max.to_be_bytes());
        out
    }

    fn read(bytes: &[u8; CLAIMS]) -> Self {
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte))
        };
        let side = |from: usize| u32::try_from(number(from, from + 4)).unwrap_or(0);
        let (width, height) = (side(40), side(44));
        let bytes_max = u64::try_from(number(48, 56)).unwrap_or(0);
        Self {
            delivery: DeliveryId::from_u128(number(0, 16)),
            media: MediaId::from_u128(number(16, 32)),
            end: i64::try_from(number(32, 40)).unwrap_or(0),
            // Whether see-through parts become white is the file's affair; a JPEG has none.
            fit: (width > 0).then_some(Fit { width, height, bytes_max, flatten: false }),
        }
    }
}

impl Links {
    pub(super) fn new(signer: Signer) -> Self {
        Self { signer, fetched: Mutex::default() }
    }

    /// An address for a file, as a delivery needs it.
    pub(super) fn address(
        &self,
        public_url: &Url,
        delivery: DeliveryId,
        part: &FilePart,
        now: Timestamp,
    ) -> String {
        let end = now.saturating_add(LIFE).unwrap_or(now).as_second();
        let claims = Claims { delivery, media: part.id, end: end - end.rem_euclid(STEP), fit: part.fit };
        let token = self.token(&claims);
        let mut url = public_url.clone();
        url.set_path(&format!("/m/{token}/{}", part.kind.file_name()));
        url.to_string()
    }

    fn token(&self, claims: &Claims) -> String {
        let bytes = claims.bytes();
        let tag = self.signer.sign(&[PURPOSE, &bytes]);
        URL_SAFE_NO_PAD.encode([&bytes[..], &tag[..]].concat())
    }

    /// What a token says, if it is ours and not over.
    fn read(&self, token: &str, now: Timestamp) -> Option<Claims> {
        // Before anything is decoded: nothing longer can be ours.
        if token.len() != ((CLAIMS + TAG) * 4).div_ceil(3) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claims, tag) = bytes.split_first_chunk::<CLAIMS>()?;
        if !self.signer.verify(&[PURPOSE, claims], tag) {
            return None;
        }
        let claims = Claims::read(claims);
        (now.as_second() < claims.end).then_some(claims)
    }

    fn fetched(&self) -> MutexGuard<'_, BTreeMap<DeliveryId, fetches::Fetches>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; written down with the next round. Memory and store are bounded: a line for
    /// each client, so many lines for each delivery.
    pub(super) fn note(&self, delivery: DeliveryId, mut one: Fetched) {
        one.agent = crate::http::terminal::clean_line(&one.agent).chars().take(AGENT_MAX).collect();
        let mut waiting = self.fetched();
        if waiting.len() < WAITING_MAX || waiting.contains_key(&delivery) {
            waiting.entry(delivery).or_default().count(one);
        }
    }

    /// Writes down what waits. Of deliveries that were deleted meanwhile nothing is kept.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut *self.fetched());
        if waiting.is_empty() {
            return Ok(());
        }
        store
            .write(move |tx| {
                for (id, lines) in &waiting {
                    if deliveries::get(tx, *id)?.is_some() {
                        fetches::add(tx, *id, &lines.0)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// The file behind a link, while its delivery still runs.
pub(super) async fn find(shared: &Shared, token: &str, asked: &str) -> Option<Found> {
    let claims = shared.links.read(token, shared.now())?;
    let stored = shared
        .store
        .read(|rx| {
            let Some(delivery) = deliveries::get(rx, claims.delivery)? else { return Ok(None) };
            if delivery.state.is_terminal() {
                return Ok(None);
            }
            let post = posts::get(rx, delivery.post)?;
            if !post.is_some_and(|post| post.media.iter().any(|it| it.id == claims.media)) {
                return Ok(None);
            }
            media::get(rx, claims.media)
        })
        .ok()??;
    let kind = if claims.fit.is_some() { MediaKind::Jpeg } else { stored.item.kind };
    if asked != kind.file_name() {
        return None;
    }
    match shared.library.open(claims.media, stored.item.kind, stored.digest, claims.fit).await {
        Ok(ready) => Some(Found { delivery: claims.delivery, media: claims.media, kind, ready }),
        Err(error) => {
            tracing::warn!(media = %claims.media, %error, "a network asked for a file that cannot be served");
            None
        }
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
