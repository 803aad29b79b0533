//! Group commit, isolation of callers, crashes and failing disks.

use std::future::{Future, poll_fn};
use std::task::Poll;

use sendoff::store::{Options, Store, StoreError, deliveries, meta, posts};

use super::disk::Disk;
use super::{check, deliveries as deliveries_of, made, memory, minutes, now, post};

type Waiting<T> = std::pin::Pin<Box<dyn Future<Output = T>>>;

fn on(disk: &Disk) -> Store {
    Store::with_backend(disk.clone(), now(), Options::default()).unwrap()
}

/// One more post; its number says which.
fn create(store: &Store, n: u16) -> impl Future<Output = Result<(), StoreError>> + use<> {
    let (store, post) = (store.clone(), post(n, Some(minutes(5)), &[1, 2]));
    let all = deliveries_of(&post);
    async move { store.write(move |tx| posts::create(tx, &post, &all, None, None).map(drop)).await }
}

fn has(store: &Store, n: u16) -> bool {
    store.read(|rx| posts::get(rx, post(n, None, &[]).id)).unwrap().is_some()
}

/// Runs `first` until its commit waits for the disk, queues `others`, lets the disk go on, and
/// gives the answers of the others.
async fn behind<T>(
    disk: &Disk,
    first: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    mut others: Vec<Waiting<T>>,
) -> Vec<T> {
    disk.shut();
    let first = tokio::spawn(first);
    let gate = disk.clone();
    tokio::task::spawn_blocking(move || gate.wait_for_sync()).await.unwrap();
    poll_fn(|cx| {
        for other in &mut others {
            assert!(other.as_mut().poll(cx).is_pending(), "answered before its data was durable");
        }
        Poll::Ready(())
    })
    .await;
    disk.open();
    first.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for other in others {
        answers.push(other.await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_share_the_next_commit() {
    let disk = Disk::default();
    let store = on(&disk);
    let before = disk.syncs();
    create(&store, 0).await.unwrap();
    let one = disk.syncs() - before;

    let others = (2..52).map(|n| Box::pin(create(&store, n)) as Waiting<Result<(), StoreError>>).collect();
    let before = disk.syncs();
    for answer in behind(&disk, create(&store, 1), others).await {
        answer.unwrap();
    }
    assert_eq!(disk.syncs() - before, 2 * one, "51 writes, the first alone, the others together");
    assert!((0..52).all(|n| has(&store, n)));
    check(&store);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_fails_spoils_nothing_for_those_it_shares_a_commit_with() {
    let disk = Disk::default();
    let store = on(&disk);
    let early = {
        let store = store.clone();
        async move { store.write(|_| -> Result<(), _> { Err(StoreError::conflict("before a change")) }).await }
    };
    let late = {
        let (store, post) = (store.clone(), post(99, None, &[]));
        async move {
            store
                .write(move |tx| -> Result<(), _> {
                    posts::create(tx, &post, &[], None, None)?;
                    Err(StoreError::conflict("after a change"))
                })
                .await
        }
    };
    let others: Vec<Waiting<_>> = vec![
        Box::pin(create(&store, 2)),
        Box::pin(early),
        Box::pin(create(&store, 3)),
        Box::pin(late),
        Box::pin(create(&store, 4)),
        Box::pin(create(&store, 4)),
    ];
    let answers: Vec<_> = behind(&disk, create(&store, 1), others)
        .await
        .into_iter()
        .map(|it: Result<(), StoreError>| it.map_err(|it| it.to_string()))
        .collect();
    assert_eq!(answers[1], Err("before a change".to_owned()));
    assert_eq!(answers[3], Err("after a change".to_owned()));
    assert!([0, 2, 4].iter().all(|&it| answers[it].is_ok()), "{answers:?}");
    assert!(answers[5].as_ref().unwrap_err().contains("exists already"), "{answers:?}");
    assert!([1, 2, 3, 4].into_iter().all(|n| has(&store, n)));
    assert!(!has(&store, 99), "what failed left nothing behind");
    check(&store);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_power_cut_at_any_sync() {
    let disk = Disk::default();
    let store = on(&disk);
    disk.record();
    for n in 0..8 {
        create(&store, n).await.unwrap();
        let after = on(&Disk::holding(disk.synced()));
        assert!((0..=n).all(|n| has(&after, n)), "post {n} was acknowledged");
        check(&after);
    }
    let mut seen = 0;
    for image in disk.images() {
        let after = on(&Disk::holding(image));
        let there = (0..8).take_while(|&n| has(&after, n)).count();
        assert_eq!(there, (0..8).filter(|&n| has(&after, n)).count(), "never a later without an earlier");
        assert!(there >= seen, "never back");
        seen = there;
        check(&after);
    }
}

#[tokio::test]
async fn after_the_first_failure_of_the_disk_nothing_succeeds_and_nothing_acknowledged_is_lost() {
    let mut failed_somewhere = 0;
    for calls in 0..60 {
        let disk = Disk::default();
        let store = on(&disk);
        create(&store, 0).await.unwrap();
        disk.fail_after(calls);
        let mut acknowledged = 1;
        let mut failed = false;
        for n in 1..6 {
            match create(&store, n).await {
                Ok(()) => {
                    assert!(!failed, "a success after a failure");
                    acknowledged += 1;
                }
                Err(error) => {
                    assert!(error.is_fatal(), "{error}");
                    assert!(store.failed().await.is_fatal(), "the daemon is told");
                    failed = true;
                }
            }
        }
        failed_somewhere += usize::from(failed);
        drop(store);
        let after = on(&Disk::holding(disk.synced()));
        assert!(
            (0..acknowledged).all(|n| has(&after, n)),
            "{acknowledged} acknowledged, call {calls} failed"
        );
        check(&after);
    }
    assert!(failed_somewhere > 20, "the test must hit the writes ({failed_somewhere})");
}

#[tokio::test]
async fn a_closure_that_panics_stops_the_store_instead_of_hanging_it() {
    let store = memory();
    let error = store.write(|_| -> Result<(), StoreError> { panic!("a bug") }).await.unwrap_err();
    assert!(error.is_fatal(), "{error}");
    assert!(store.failed().await.is_fatal());
    assert!(create(&store, 1).await.is_err());
}

#[tokio::test]
async fn closing_waits_for_what_was_accepted_and_refuses_the_rest() {
    let disk = Disk::default();
    let store = on(&disk);
    let mut write = Box::pin(create(&store, 1));
    let first = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
    store.close().await;
    match first {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => write.await.unwrap(),
    }
    assert!(matches!(create(&store, 2).await, Err(StoreError::Closed)));
    assert!(matches!(store.read(meta::generation), Err(StoreError::Closed)));
    let again = on(&Disk::holding(disk.synced()));
    assert!(has(&again, 1) && !has(&again, 2));
}

#[test]
fn a_commit_of_no_change_costs_no_sync() {
    let disk = Disk::default();
    let store = on(&disk);
    made(&store, 1, Some(minutes(1)), &[1]);
    let before = disk.syncs();
    store.write_blocking(|tx| deliveries::due(tx, minutes(9), 9)).unwrap();
    assert_eq!(disk.syncs(), before);
}
