//! On-disk shapes: private serde twins of the domain types.
//!
//! A record is `version byte · 8 bytes of SHA-256 · JSON`. The digest covers version, table, key and
//! body, so rotten bytes and rows that changed places are noticed before their text is published.
//! Renaming a domain field cannot change the disk format: the twins' field names are frozen, new
//! fields get `#[serde(default)]`, and a change that cannot be read that way gets the next version.
//! redb's own decoding cannot fail, which is why the columns are plain bytes.

pub(super) mod account;
pub(super) mod delivery;
pub(super) mod detail;
pub(super) mod post;
pub(super) mod series;
pub(super) mod small;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::errors::StoreError;

/// The one version there is so far.
const VERSION: u8 = 1;
/// Version and digest.
const HEAD: usize = 9;

/// Where a record lies: for its digest, and for the message if it is damaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub table: &'static str,
    pub key: Key,
}

/// A key of a table with records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// The id's prefix (`pst_`) and its number.
    Id(&'static str, u128),
    /// As `Id`, and a number below it.
    Numbered(&'static str, u128, u32),
    /// Unix milliseconds, and a number below them.
    Time(i64, u32),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(prefix, id) => write!(f, "{prefix}{id:032x}"),
            Self::Numbered(prefix, id, n) => write!(f, "{prefix}{id:032x} / {n}"),
            Self::Time(ms, n) => write!(f, "{ms} / {n}"),
        }
    }
}

impl Place {
    fn damaged(&self, why: impl fmt::Display) -> StoreError {
        StoreError::Damaged { table: self.table, key: self.key.to_string(), why: why.to_string() }
    }

    fn digest(&self, version: u8, body: &[u8]) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update([version]);
        // Its length first, so that name and key cannot run together.
        hash.update((self.table.len() as u64).to_be_bytes());
        hash.update(self.table);
        match self.key {
            Key::Id(_, id) => hash.update(id.to_be_bytes()),
            Key::Numbered(_, id, n) => {
                hash.update(id.to_be_bytes());
                hash.update(n.to_be_bytes());
            }
            Key::Time(ms, n) => {
                hash.update(ms.to_be_bytes());
                hash.update(n.to_be_bytes());
            }
        }
        hash.update(body);
        let mut short = [0; 8];
        short.copy_from_slice(&hash.finalize()[..8]);
        short
    }
}

/// A domain value and its twin on the disk.
pub(super) trait Stored: Sized {
    type Twin: Serialize + DeserializeOwned + for<'a> From<&'a Self>;

    /// Back to the domain type, or why not.
    fn read(twin: Self::Twin) -> Result<Self, String>;
}

/// The bytes of a record.
pub(super) fn encode<D: Stored>(place: Place, value: &D) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, &D::Twin::from(value)).map_err(|it| place.damaged(it))?;
    let digest = place.digest(VERSION, &bytes[HEAD..]);
    bytes[0] = VERSION;
    bytes[1..HEAD].copy_from_slice(&digest);
    Ok(bytes)
}

/// The value behind the bytes of a record.
pub(super) fn decode<D: Stored>(place: Place, bytes: &[u8]) -> Result<D, StoreError> {
    let (head, body) = bytes.split_at_checked(HEAD).ok_or_else(|| place.damaged("it is cut short"))?;
    if head[0] != VERSION {
        return Err(place.damaged(format_args!("record version {} is not known", head[0])));
    }
    if head[1..] != place.digest(VERSION, body) {
        return Err(place.damaged("its checksum does not match"));
    }
    let twin = serde_json::from_slice(body).map_err(|it| place.damaged(it))?;
    D::read(twin).map_err(|it| place.damaged(it))
}

/// Bytes as text, or as base64 where they are not UTF-8: request bodies stay readable.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bytes {
    Text(String),
    Base64(String),
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        use base64::Engine as _;
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(base64::engine::general_purpose::STANDARD.encode(bytes)),
        }
    }
}

impl Bytes {
    fn read(self) -> Result<Vec<u8>, String> {
        use base64::Engine as _;
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(text) => {
                base64::engine::general_purpose::STANDARD.decode(text).map_err(|it| it.to_string())
            }
        }
    }
}

/// The member of `all` with this word.
fn by_word<T: Copy>(all: &[T], word: &str, of: fn(T) -> &'static str, what: &str) -> Result<T, String> {
    all.iter().copied().find(|it| of(*it) == word).ok_or_else(|| format!("`{word}` is not a {what}"))
}

/// A digest in hex, back to bytes.
pub(super) fn digest_from_hex(text: &str) -> Result<[u8; 32], String> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err("a digest has 64 hex digits".to_owned());
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|it| it.to_string())?;
    }
    Ok(digest)
}
