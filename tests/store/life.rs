//! A scripted life of a store: what a daemon writes for a few deliveries, from creation to the end,
//! with a restart in the middle. It keeps account of what was acknowledged, so that a test may break
//! the disk anywhere and ask afterwards.

use std::collections::BTreeMap;

use redb::StorageBackend;
use sendoff::daemon::ledger;
use sendoff::domain::attempt::{Attempt, Transition};
use sendoff::domain::delivery::{Delivery, Event, Frozen, Live, Reason, RetryWhy, State};
use sendoff::domain::ids::DeliveryId;
use sendoff::store::{DurableIntent, OpenError, Options, Store, StoreError, deliveries, meta, posts};

use super::{check, deliveries as deliveries_of, minutes, now, post};

/// Posts before and after the restart; each goes to two accounts.
const POSTS: u16 = 2;

/// What is known of the store from its answers alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Each row as last acknowledged.
    pub(crate) rows: BTreeMap<DeliveryId, Delivery>,
    /// Rows whose write was asked for and not answered.
    pub(crate) pending: Vec<Delivery>,
    /// Calls that may have been made: their intent was acknowledged.
    pub(crate) sent: Vec<DeliveryId>,
}

/// Why a life ended before its end.
#[derive(Debug)]
pub(crate) enum Death {
    Open(OpenError),
    Store(StoreError),
}

impl From<StoreError> for Death {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Lives on `disk`, a store that exists. `told` is called after every acknowledgement.
pub(crate) fn live<B: StorageBackend + Clone>(
    disk: &B,
    known: &mut Known,
    told: &mut dyn FnMut(&Known),
) -> Result<(), Death> {
    let mut n = 0;
    for _ in 0..2 {
        let store = Store::with_backend(disk.clone(), now(), Options::default()).map_err(Death::Open)?;
        let outcome = (0..POSTS / 2).try_for_each(|_| {
            n += 1;
            one(&store, n, known, told)
        });
        if let Err(error) = outcome {
            // Whatever failed, nothing more may succeed, and whoever waits is told.
            assert!(error.is_fatal(), "{error}");
            assert!(store.failure().is_some_and(|it| it.is_fatal()));
            let again = store.write_blocking(|tx| meta::raise_high_water(tx, minutes(999)));
            assert!(again.is_err_and(|it| it.is_fatal()), "a success after a failure");
            return Err(error.into());
        }
    }
    Ok(())
}

fn one(store: &Store, n: u16, known: &mut Known, told: &mut dyn FnMut(&Known)) -> Result<(), StoreError> {
    let post = post(n, Some(minutes(0)), &[1, 2]);
    let all = deliveries_of(&post);
    let rows = all.clone();
    write(known, all.clone(), told, || {
        store.write_blocking(move |tx| posts::create(tx, &post, &rows, None, None)).map(drop)
    })?;
    for (at, delivery) in all.into_iter().enumerate() {
        let claimed = moved(store, known, told, &delivery, Event::Claim)?;
        let frozen = Frozen { marker: format!("marker-{n}-{at}"), body: vec![b'x'; 3000] };
        let sending =
            claimed.apply(Event::Intend { frozen, ahead: jiff::SignedDuration::ZERO }, minutes(1)).unwrap();
        let row = attempt(&sending, 1);
        let (before, after, begun) = (claimed.clone(), sending.clone(), row.clone());
        let intent =
            write(known, vec![sending.clone()], told, || store.intend_blocking(before, None, after, begun))?;
        call(known, &intent);
        // The first account's answer comes; the second's is refused for now, and never comes up again.
        let event = if at == 0 {
            let live = Live {
                remote_id: Some(format!("remote-{n}")),
                permalink: None,
                extra: BTreeMap::new(),
                verified: true,
            };
            Event::Applied { live, next_part_at: minutes(2) }
        } else if n.is_multiple_of(2) {
            continue;
        } else {
            let reason = Reason::new("rate_limited", "not now");
            Event::Defer { at: minutes(30), why: RetryWhy::Backoff, reason, again: false }
        };
        let after = sending.apply(event, minutes(1)).unwrap();
        let ended = Attempt { ended: Some(minutes(1)), outcome: Some("applied".into()), ..row };
        let (was, is) = (sending, after.clone());
        write(known, vec![after.clone()], told, || {
            store.write_blocking(move |tx| {
                deliveries::end_attempt(tx, &ended)?;
                let transition = Transition::between(&was, &is, "answer", minutes(1));
                deliveries::put(tx, Some(&was), &is, Some(transition)).map(drop)
            })
        })?;
        assert_eq!(store.read(|rx| deliveries::get(rx, after.id))?.as_ref(), Some(&after));
    }
    store.write_blocking(move |tx| {
        meta::raise_high_water(tx, minutes(i64::from(n)))?;
        meta::set_generation(tx, n.into())
    })
}

/// The publishing call. It can be made only with the proof in hand.
fn call(known: &mut Known, intent: &DurableIntent) {
    known.sent.push(intent.id());
}

fn moved(
    store: &Store,
    known: &mut Known,
    told: &mut dyn FnMut(&Known),
    was: &Delivery,
    event: Event,
) -> Result<Delivery, StoreError> {
    let is = was.apply(event, minutes(1)).unwrap();
    let (before, after) = (was.clone(), is.clone());
    write(known, vec![is.clone()], told, || {
        store.write_blocking(move |tx| deliveries::put(tx, Some(&before), &after, None).map(drop))
    })?;
    Ok(is)
}

/// One write with its bookkeeping.
fn write<T>(
    known: &mut Known,
    rows: Vec<Delivery>,
    told: &mut dyn FnMut(&Known),
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    known.pending = rows;
    // A power cut may come while it is under way.
    told(known);
    let done = work()?;
    known.rows.extend(std::mem::take(&mut known.pending).into_iter().map(|it| (it.id, it)));
    told(known);
    Ok(done)
}

fn attempt(of: &Delivery, n: u32) -> Attempt {
    let marker = of.flight.frozen.as_ref().unwrap().marker.as_str();
    Attempt::begun((of.id, of.step), n, marker, [7; 32], minutes(1))
}

/// Opens what is left and asks: is everything there that was acknowledged, whole, and is nothing
/// sent again that may have been sent?
#[track_caller]
pub(crate) fn inspect<B: StorageBackend>(left: B, known: &Known, what: &str) {
    inspect_again(left, known, false, what);
}

/// The same. `recovered`: earlier starts may have put back what was in hand, and died.
#[track_caller]
pub(crate) fn inspect_again<B: StorageBackend>(left: B, known: &Known, recovered: bool, what: &str) {
    let store = Store::with_backend(left, now(), Options::default())
        .unwrap_or_else(|error| panic!("{what}: it does not open: {error:?}"));
    check(&store);
    let is = |wanted: &Delivery| {
        let row = store.read(|rx| deliveries::get(rx, wanted.id)).unwrap();
        row.is_some_and(|row| row == *wanted || (recovered && is_put_back(&row, wanted)))
    };
    // What was asked for and not answered is there as a whole or not at all.
    let there = known.pending.iter().filter(|row| is(row)).count();
    assert!(there == 0 || there == known.pending.len(), "{what}: half of a write");
    for row in known.rows.values() {
        let expected = known.pending.iter().find(|it| there > 0 && it.id == row.id).unwrap_or(row);
        assert!(is(expected), "{what}: an acknowledged write is gone");
    }
    ledger::recover(&store, minutes(10)).unwrap();
    for id in &known.sent {
        let row = store.read(|rx| deliveries::need(rx, *id)).unwrap();
        let settled = known.rows.get(id).is_some_and(|it| it.state != State::Sending) || there > 0;
        let safe =
            row.state == State::Unknown || settled && matches!(row.state, State::Published | State::Retry);
        assert!(safe, "{what}: {id} was sent and is `{}`", row.state.as_str());
    }
    check(&store);
}

/// As a start leaves it that found it in a worker's hands.
fn is_put_back(row: &Delivery, was: &Delivery) -> bool {
    let state = match was.state {
        State::Sending => State::Unknown,
        State::Claimed | State::Preparing => State::Retry,
        _ => return false,
    };
    row.state == state && row.claim_gen == was.claim_gen && row.steps == was.steps
}
