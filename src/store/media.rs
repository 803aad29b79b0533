//! Uploaded files that posts may use: what their bytes said, and a digest of them.

use jiff::Timestamp;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::errors::StoreError;
use super::records::detail::DetailRow;
use super::records::{Key, Place, Stored, decode, digest_from_hex, encode};
use super::tables::MEDIA;
use super::tx::{Source, Tx};
use crate::domain::hex::hex;
use crate::domain::ids::MediaId;
use crate::domain::media::{MediaItem, MediaKind};

/// A file the library keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMedia {
    /// Without an alt text unless the upload brought one.
    pub item: MediaItem,
    /// SHA-256 of the bytes: the same file uploaded twice is known as the same.
    pub digest: [u8; 32],
    pub uploaded_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct MediaRow {
    id: String,
    name: String,
    mime: String,
    bytes: u64,
    width: u32,
    height: u32,
    alt: Option<String>,
    #[serde(default)]
    detail: DetailRow,
    digest: String,
    uploaded_at: Timestamp,
}

impl From<&StoredMedia> for MediaRow {
    fn from(it: &StoredMedia) -> Self {
        Self {
            id: it.item.id.to_string(),
            name: it.item.name.clone(),
            mime: it.item.kind.mime().to_owned(),
            bytes: it.item.bytes,
            width: it.item.width,
            height: it.item.height,
            alt: it.item.alt.clone(),
            detail: (&it.item.detail).into(),
            digest: hex(&it.digest),
            uploaded_at: it.uploaded_at,
        }
    }
}

impl Stored for StoredMedia {
    type Twin = MediaRow;

    fn read(row: MediaRow) -> Result<Self, String> {
        Ok(Self {
            item: MediaItem {
                id: row.id.parse().map_err(|_| format!("`{}` is not a media id", row.id))?,
                name: row.name,
                kind: MediaKind::from_mime(&row.mime)
                    .ok_or_else(|| format!("`{}` is not a media type", row.mime))?,
                bytes: row.bytes,
                width: row.width,
                height: row.height,
                alt: row.alt,
                part: 0,
                detail: row.detail.into(),
            },
            digest: digest_from_hex(&row.digest)?,
            uploaded_at: row.uploaded_at,
        })
    }
}

/// Notes a file that was just taken in.
pub fn put(tx: &mut Tx<'_>, media: &StoredMedia) -> Result<(), StoreError> {
    let id = media.item.id.as_u128();
    let row = encode(place(id), media)?;
    tx.insert(MEDIA, id, row.as_slice()).map(drop)
}

/// One file.
pub fn get(source: &impl Source, id: MediaId) -> Result<Option<StoredMedia>, StoreError> {
    let key = id.as_u128();
    let table = source.table(MEDIA)?;
    table.get(key)?.map(|row| decode(place(key), row.value())).transpose()
}

/// Every file, as (id, time of its upload).
pub fn all(source: &impl Source) -> Result<Vec<(MediaId, Timestamp)>, StoreError> {
    let table = source.table(MEDIA)?;
    let mut found = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        let stored: StoredMedia = decode(place(key.value()), value.value())?;
        found.push((stored.item.id, stored.uploaded_at));
    }
    Ok(found)
}

/// Forgets a file. Says whether it was known.
pub fn remove(tx: &mut Tx<'_>, id: MediaId) -> Result<bool, StoreError> {
    tx.remove(MEDIA, id.as_u128())
}

fn place(id: u128) -> Place {
    Place { table: "media", key: Key::Id(MediaId::PREFIX, id) }
}
