//! Random work against the store and a plain map; the two must agree, and no index may drift.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use sendoff::domain::delivery::{
    AfterAbsence, Delivery, Event, Frozen, Live, Proof, Reason, RetryWhy, State,
};
use sendoff::domain::ids::{DeliveryId, PostId};
use sendoff::store::{StoreError, deliveries, posts};

use super::{account_id, check, due, made, memory, minutes};

#[derive(Debug, Clone)]
enum Op {
    Create {
        minute: Option<i64>,
        accounts: Vec<u8>,
    },
    /// The which-th delivery takes the what-th kind of event.
    Move {
        which: usize,
        what: u8,
        minute: i64,
    },
    /// A writer with an old row.
    Stale {
        which: usize,
    },
    Delete {
        which: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (proptest::option::weighted(0.8, 0..5_i64), proptest::collection::vec(1..4_u8, 0..3))
            .prop_map(|(minute, accounts)| Op::Create { minute, accounts }),
        12 => (any::<usize>(), 0..17_u8, 0..9_i64).prop_map(|(which, what, minute)| Op::Move { which, what, minute }),
        1 => any::<usize>().prop_map(|which| Op::Stale { which }),
        1 => any::<usize>().prop_map(|which| Op::Delete { which }),
    ]
}

fn event(what: u8, of: &Delivery, at: Timestamp) -> Event {
    let reason = Reason::new("test", "because");
    let live = Live {
        remote_id: Some(format!("{}-{}", of.id, of.step)),
        permalink: None,
        extra: [("cid".to_owned(), "c".to_owned())].into(),
        verified: true,
    };
    let frozen = Frozen { marker: "m".to_owned(), body: b"{}".to_vec() };
    match what {
        0 | 1 => Event::Claim,
        2 => Event::Prepare { handles: BTreeMap::new() },
        3 | 4 => Event::Intend { frozen, ahead: jiff::SignedDuration::ZERO },
        5 => Event::Applied { live, next_part_at: at },
        6 => Event::Defer { at, why: RetryWhy::Backoff, reason, again: false },
        7 => Event::Refuse { reason },
        8 => Event::AccountDead { reason },
        9 => Event::TryNow { at, anyway: true },
        10 => Event::Lose { next_check: at, reason, said: None },
        11 => Event::Hold { reason },
        12 => Event::Absent {
            proof: Proof::User,
            anew: false,
            then: AfterAbsence::Retry { at, give_up_at: None },
        },
        13 => Event::Cancel { reason },
        14 => Event::Reschedule { due: due(at), give_up_at: at },
        15 => Event::Surface { frozen, since: at, next_check: at, reason },
        _ => Event::HandOver { live },
    }
}

fn pick<K: Copy + Ord, V>(map: &BTreeMap<K, V>, which: usize) -> Option<K> {
    map.keys().nth(which.checked_rem(map.len())?).copied()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_indexes_never_drift(ops in proptest::collection::vec(op(), 1..80)) {
        let store = memory();
        let mut rows: BTreeMap<DeliveryId, Delivery> = BTreeMap::new();
        let mut all_posts: BTreeMap<PostId, usize> = BTreeMap::new(); // with its number of deliveries
        let mut made_so_far = 0;
        for op in ops {
            match op {
                Op::Create { minute, mut accounts } => {
                    accounts.dedup();
                    made_so_far += 1;
                    let (post, all) = made(&store, made_so_far, minute.map(minutes), &accounts);
                    all_posts.insert(post.id, all.len());
                    rows.extend(all.into_iter().map(|it| (it.id, it)));
                }
                Op::Move { which, what, minute } => {
                    let Some(was) = pick(&rows, which).map(|id| rows[&id].clone()) else { continue };
                    let Ok(next) = was.apply(event(what, &was, minutes(minute)), minutes(60)) else { continue };
                    let written = next.clone();
                    store.write_blocking(move |tx| deliveries::put(tx, Some(&was), &written, None)).unwrap();
                    rows.insert(next.id, next);
                }
                Op::Stale { which } => {
                    let Some(id) = pick(&rows, which) else { continue };
                    let mut old = rows[&id].clone();
                    old.claim_gen = old.claim_gen.wrapping_add(1);
                    let outcome = store.write_blocking(move |tx| deliveries::put(tx, Some(&old), &old, None));
                    let refused = matches!(outcome, Err(StoreError::Conflict { .. }));
                    prop_assert!(refused);
                }
                Op::Delete { which } => {
                    let Some(id) = pick(&all_posts, which) else { continue };
                    let deliveries_left = rows.values().filter(|it| it.post == id).count();
                    prop_assert_eq!(all_posts[&id], deliveries_left);
                    let ended = rows.values().filter(|it| it.post == id).all(|it| it.state.is_terminal());
                    let outcome = store.write_blocking(move |tx| posts::delete(tx, id));
                    prop_assert_eq!(outcome.is_ok(), ended);
                    if ended {
                        all_posts.remove(&id);
                        rows.retain(|_, it| it.post != id);
                    }
                }
            }
        }
        check(&store);
        let row = |it: &Delivery| {
            Some(deliveries::DueRow {
                at: it.wakes_at()?,
                id: it.id,
                account: it.account,
                unknown: it.state == State::Unknown,
            })
        };
        let mut waiting: Vec<_> = rows.values().filter_map(row).collect();
        waiting.sort_by_key(|it| (it.at, it.id));
        prop_assert_eq!(store.read(deliveries::next_due).unwrap(), waiting.first().map(|it| it.at));
        prop_assert_eq!(store.read(|rx| deliveries::due(rx, minutes(99), usize::MAX)).unwrap(), waiting);
        for n in 1..4 {
            for (which, open_only) in [(deliveries::Which::All, false), (deliveries::Which::Open, true)] {
                let mut is = store.read(|rx| deliveries::of_account(rx, account_id(n), which, usize::MAX)).unwrap();
                is.sort();
                let should: Vec<_> = rows
                    .values()
                    .filter(|it| it.account == account_id(n) && !(open_only && it.state.is_terminal()))
                    .map(|it| it.id)
                    .collect();
                prop_assert_eq!(is, should);
            }
        }
        for (id, row) in &rows {
            let stored = store.read(|rx| deliveries::get(rx, *id)).unwrap();
            prop_assert_eq!(stored.as_ref(), Some(row));
        }
        let total: u64 = store
            .read(deliveries::counts)
            .unwrap()
            .iter()
            .filter(|(word, _)| word != "held")
            .map(|(_, n)| n)
            .sum();
        prop_assert_eq!(total, rows.len() as u64);
    }
}
