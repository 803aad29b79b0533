//! Who fetched a delivery's media by its links: what there is to show when a network says that it
//! could not.
//!
//! One record per delivery, of a bounded number of lines, however often and from however many
//! addresses a link is opened. It goes with the delivery.

use jiff::Timestamp;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::errors::StoreError;
use super::records::{Key, Place, Stored, decode, encode};
use super::tables::FETCHES;
use super::tx::{Source, Tx};
use crate::domain::ids::{DeliveryId, MediaId};

/// Lines kept of one delivery; what comes later is counted on the last.
pub const LINES_MAX: usize = 32;

/// The requests of one client for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub media: MediaId,
    /// Its address; `others` for those beyond the last line.
    pub client: String,
    /// What it calls itself, cut.
    pub agent: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub requests: u64,
    /// Bytes of the file that were sent in all.
    pub bytes: u64,
    /// The status of the last answer.
    pub status: u16,
}

/// All lines of a delivery, in the order of their first request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetches(pub Vec<Fetched>);

impl Fetches {
    /// Counts in a request, on its own line or on the last.
    pub fn count(&mut self, one: Fetched) {
        let is_full = self.0.len() >= LINES_MAX;
        let same = |it: &Fetched| (it.media, &it.client, &it.agent) == (one.media, &one.client, &one.agent);
        let at = self.0.iter().position(same);
        match at.or_else(|| is_full.then(|| self.0.len() - 1)) {
            Some(n) => {
                let line = &mut self.0[n];
                if at.is_none() {
                    line.client = "others".into();
                    line.agent = String::new();
                }
                line.first = line.first.min(one.first);
                line.last = line.last.max(one.last);
                line.requests = line.requests.saturating_add(one.requests);
                line.bytes = line.bytes.saturating_add(one.bytes);
                line.status = one.status;
            }
            None => self.0.push(one),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct FetchesRow {
    lines: Vec<LineRow>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineRow {
    media: String,
    client: String,
    agent: String,
    first: Timestamp,
    last: Timestamp,
    requests: u64,
    bytes: u64,
    status: u16,
}

impl From<&Fetches> for FetchesRow {
    fn from(it: &Fetches) -> Self {
        let lines = it.0.iter().map(|it| LineRow {
            media: it.media.to_string(),
            client: it.client.clone(),
            agent: it.agent.clone(),
            first: it.first,
            last: it.last,
            requests: it.requests,
            bytes: it.bytes,
            status: it.status,
        });
        Self { lines: lines.collect() }
    }
}

impl Stored for Fetches {
    type Twin = FetchesRow;

    fn read(row: FetchesRow) -> Result<Self, String> {
        let line = |it: LineRow| {
            Ok(Fetched {
                media: it.media.parse().map_err(|_| format!("`{}` is not a media id", it.media))?,
                client: it.client,
                agent: it.agent,
                first: it.first,
                last: it.last,
                requests: it.requests,
                bytes: it.bytes,
                status: it.status,
            })
        };
        row.lines.into_iter().map(line).collect::<Result<_, String>>().map(Self)
    }
}

/// What is known of a delivery's fetches.
pub fn of(source: &impl Source, id: DeliveryId) -> Result<Fetches, StoreError> {
    let key = id.as_u128();
    let table = source.table(FETCHES)?;
    Ok(table.get(key)?.map(|row| decode(place(key), row.value())).transpose()?.unwrap_or_default())
}

/// Adds requests to a delivery's record.
pub fn add(tx: &mut Tx<'_>, id: DeliveryId, lines: &[Fetched]) -> Result<(), StoreError> {
    let mut all = of(tx, id)?;
    for it in lines {
        all.count(it.clone());
    }
    let row = encode(place(id.as_u128()), &all)?;
    tx.insert(FETCHES, id.as_u128(), row.as_slice()).map(drop)
}

/// Forgets them.
pub(super) fn remove(tx: &mut Tx<'_>, id: DeliveryId) -> Result<(), StoreError> {
    tx.remove(FETCHES, id.as_u128()).map(drop)
}

fn place(id: u128) -> Place {
    Place { table: "fetches", key: Key::Id(DeliveryId::PREFIX, id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(n: u32) -> Fetched {
        let at = Timestamp::from_second(1_900_000_000 + i64::from(n)).unwrap();
        Fetched {
            media: MediaId::from_u128(7),
            client: format!("192.0.2.{n}"),
            agent: "crawler".into(),
            first: at,
            last: at,
            requests: 1,
            bytes: 10,
            status: 206,
        }
    }

    #[test]
    fn a_flood_of_clients_takes_no_more_than_its_lines_and_pushes_no_early_one_out() {
        let mut all = Fetches::default();
        for n in 0..10_000 {
            all.count(one(n));
            all.count(one(n % 3));
        }
        assert_eq!(all.0.len(), LINES_MAX);
        assert_eq!((all.0[0].client.as_str(), all.0[31].client.as_str()), ("192.0.2.0", "others"));
        assert_eq!(all.0.iter().map(|it| it.requests).sum::<u64>(), 20_000);
        assert_eq!(all.0.iter().map(|it| it.bytes).sum::<u64>(), 200_000);
    }
}
