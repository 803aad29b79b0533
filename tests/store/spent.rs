//! Money: what is counted with which commit.

use jiff::SignedDuration;
use sendoff::domain::attempt::Attempt;
use sendoff::domain::delivery::{Event, Frozen};
use sendoff::domain::ids::PlatformName;
use sendoff::store::spent::{self, Purse, Spent};
use sendoff::store::{StoreError, deliveries};

use super::{account_id, check, made, memory, minutes};

#[tokio::test]
async fn what_is_spent_is_counted_for_the_account_and_for_its_network_which_outlives_it() {
    let store = memory();
    let account = account_id(7);
    let x = PlatformName::X;
    let micros = |purse, month| store.read(|rx| spent::of(rx, purse, month)).unwrap().micros();
    store
        .write(move |tx| {
            spent::add(tx, account, x, 202_611, "publish", 20_000)?;
            spent::add(tx, account, x, 202_611, "publish", 205_000)?;
            spent::add(tx, account, x, 202_612, "x.timeline", 5_000)?;
            spent::add_more(tx, account, x, 202_612, "x.timeline", 10_000)?;
            spent::give_back(tx, account, x, 202_611, "publish", (20_000, true))
        })
        .await
        .unwrap();
    for purse in [Purse::Account(account), Purse::Network(x)] {
        assert_eq!((micros(purse, 202_611), micros(purse, 202_612)), (205_000, 15_000));
    }
    let beyond = |more| store.read(|rx| spent::beyond(rx, x, 202_611, more, 225_000)).unwrap();
    assert_eq!(beyond(20_000), None, "up to the budget");
    assert!(beyond(20_001).unwrap().contains("0.225 USD; 0.205 are spent"));
    store.write(move |tx| spent::forget(tx, account)).await.unwrap();
    assert_eq!(store.read(|rx| spent::of(rx, Purse::Account(account), 202_611)).unwrap(), Spent::default());
    assert_eq!(micros(Purse::Network(x), 202_611), 205_000);
    assert_eq!((spent::month_before(202_601), spent::month_before(202_612)), (202_512, 202_611));
}

#[tokio::test]
async fn a_publishing_call_is_counted_with_its_intent_or_refused_as_beyond_the_budget() {
    let store = memory();
    let (_, all) = made(&store, 1, Some(minutes(0)), &[1]);
    let claimed = all[0].apply(Event::Claim, minutes(0)).unwrap();
    let frozen = Frozen { marker: "m1".into(), body: b"{}".to_vec() };
    let intend = Event::Intend { frozen, ahead: SignedDuration::ZERO };
    let sending = claimed.apply(intend, minutes(0)).unwrap();
    let begun = Attempt::begun((sending.id, 0), 1, "m1", [7; 32], minutes(0));
    let attempt = Attempt { cost: 20_000, ..begun };
    let network = sending.name.platform();
    let month = spent::month(minutes(0));
    let spent = || store.read(|rx| spent::of(rx, Purse::Network(network), month)).unwrap().micros();
    let go = |budget| {
        let (before, claimed) = (all[0].clone(), Some(claimed.clone()));
        store.claim_and_intend(before, claimed, sending.clone(), attempt.clone(), budget)
    };
    match go(Some(19_999)).await {
        Err(StoreError::Refused { why }) => assert!(why.contains("budget"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((spent(), store.read(|rx| deliveries::need(rx, sending.id)).unwrap()), (0, all[0].clone()));
    let intent = go(Some(20_000)).await.unwrap();
    assert_eq!((intent.attempt().cost, spent()), (20_000, 20_000));
    assert_eq!(store.read(|rx| deliveries::attempts(rx, sending.id)).unwrap(), [attempt]);
    check(&store);
}
