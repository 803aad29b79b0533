//! Reads everything: each record, and each index against the records it stands for.
//!
//! For the doctor, for the copy made before an upgrade, and for the tests that throw random work at
//! the store. It keeps one whole index in memory at a time, so it is nothing for the daemon's
//! normal run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use redb::ReadableTable;

use super::errors::StoreError;
use super::missed::Loss;
use super::tables::{
    ACCOUNT_NAMES, ACCOUNT_REMOTE, ACCOUNTS, BOUND, BY_ACCOUNT, BY_MEDIA, BY_POST, BY_STATE, COUNTS,
    DELIVERIES, DUE, IN_FLIGHT, NEEDS, OPEN_BY_ACCOUNT, OPEN_MARKERS, POSTS, POSTS_BY_TIME, REQUESTS,
    REQUESTS_OPEN,
};
use super::tx::Rx;
use super::{accounts, audit, deliveries, posts, spent, vault};
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::{AccountId, DeliveryId, PostId};

/// What is wrong, one sentence each; empty when all is well. A damaged record is an error at once.
pub fn all(rx: &Rx) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    check_posts(rx, &mut faults)?;
    check_deliveries(rx, &mut faults)?;
    check_accounts(rx, &mut faults)?;
    audit::list(rx, usize::MAX, None)?;
    check_requests(rx, &mut faults)?;
    spent::all(rx)?;
    vault::refreshes(rx)?;
    vault::erasures(rx)?;
    Ok(faults)
}

/// The keys of an index as it is.
macro_rules! keys {
    ($rx:expr, $table:expr, $map:expr) => {{
        use super::tx::Source as _;
        let mut keys = BTreeSet::new();
        for row in $rx.table($table)?.iter()? {
            let (key, _) = row?;
            keys.insert($map(key.value()));
        }
        keys
    }};
}

fn compare<K: Ord + Debug>(name: &str, is: &BTreeSet<K>, should: &BTreeSet<K>, faults: &mut Vec<String>) {
    faults.extend(is.difference(should).map(|it| format!("index `{name}` has {it:?} too much")));
    faults.extend(should.difference(is).map(|it| format!("index `{name}` lacks {it:?}")));
}

fn each_delivery(rx: &Rx, mut visit: impl FnMut(&Delivery)) -> Result<(), StoreError> {
    use super::tx::Source as _;
    for row in rx.table(DELIVERIES)?.iter()? {
        visit(&deliveries::need(rx, DeliveryId::from_u128(row?.0.value()))?);
    }
    Ok(())
}

fn check_posts(rx: &Rx, faults: &mut Vec<String>) -> Result<(), StoreError> {
    use super::tx::Source as _;
    let (mut by_time, mut by_media) = (BTreeSet::new(), BTreeSet::new());
    for row in rx.table(POSTS)?.iter()? {
        let post = posts::need(rx, PostId::from_u128(row?.0.value()))?;
        by_time.insert((posts::listed_at(&post), post.id.as_u128()));
        by_media.extend(post.media.iter().map(|it| (it.id.as_u128(), post.id.as_u128())));
    }
    compare("posts_by_time", &keys!(rx, POSTS_BY_TIME, |it| it), &by_time, faults);
    compare("by_media", &keys!(rx, BY_MEDIA, |it| it), &by_media, faults);
    Ok(())
}

fn check_deliveries(rx: &Rx, faults: &mut Vec<String>) -> Result<(), StoreError> {
    use super::tx::Source as _;
    macro_rules! check {
        ($name:literal, $table:expr, $of:expr) => {{
            let mut should = BTreeSet::new();
            let of = $of;
            each_delivery(rx, |it| should.extend(of(it)))?;
            compare($name, &keys!(rx, $table, |it| it), &should, faults);
        }};
    }
    let place = |it: &Delivery| {
        (it.account.as_u128(), it.due.instant.as_millisecond(), it.post.as_u128(), it.id.as_u128())
    };
    check!("due", DUE, |it: &Delivery| it.wakes_at().map(|at| (at.as_millisecond(), it.id.as_u128())));
    check!("in_flight", IN_FLIGHT, |it: &Delivery| it.in_flight().then(|| it.id.as_u128()));
    check!("by_post", BY_POST, |it: &Delivery| [(it.post.as_u128(), it.id.as_u128())]);
    check!("by_account", BY_ACCOUNT, |it: &Delivery| [place(it)]);
    check!("open_by_account", OPEN_BY_ACCOUNT, |it: &Delivery| (!it.state.is_terminal()).then(|| place(it)));
    check!("needs", NEEDS, |it: &Delivery| {
        (it.state == State::NeedsReconnect).then(|| (it.account.as_u128(), it.id.as_u128()))
    });
    check!("open_markers", OPEN_MARKERS, |it: &Delivery| {
        deliveries::open_marker(it).map(|marker| (it.account.as_u128(), marker, it.id.as_u128()))
    });

    let (mut by_state, mut counts) = (BTreeSet::new(), BTreeMap::<&str, u64>::new());
    let mut unbound = Vec::new();
    each_delivery(rx, |it| {
        let (_, ms, post, id) = place(it);
        for word in deliveries::words(it) {
            by_state.insert((word.to_owned(), ms, post, id));
            *counts.entry(word).or_default() += 1;
        }
        for (at, step) in (0_u16..).zip(&it.steps) {
            if let Some(remote_id) = &step.remote_id {
                unbound.push((it.account, remote_id.clone(), it.id, at));
            }
        }
    })?;
    for row in rx.table(POSTS)?.iter()? {
        let post = posts::need(rx, PostId::from_u128(row?.0.value()))?;
        if post.due.is_none() {
            by_state.insert(("draft".to_owned(), posts::listed_at(&post), post.id.as_u128(), 0));
        }
    }
    let is = keys!(rx, BY_STATE, |it: (&str, i64, u128, u128)| (it.0.to_owned(), it.1, it.2, it.3));
    compare("by_state", &is, &by_state, faults);
    let mut counted = BTreeSet::new();
    for row in rx.table(COUNTS)?.iter()? {
        let (word, n) = row?;
        counted.insert((word.value().to_owned(), n.value()));
    }
    let should = counts.into_iter().map(|(word, n)| (word.to_owned(), n)).collect();
    compare("counts", &counted, &should, faults);
    for (account, remote_id, id, step) in unbound {
        if deliveries::bound(rx, account, &remote_id)? != Some((id, step)) {
            faults.push(format!("step {step} of delivery `{id}` is live and not bound"));
        }
    }
    for loss in Loss::ALL {
        for row in rx.table(loss.table())?.iter()? {
            let id = DeliveryId::from_u128(row?.0.value().1);
            if deliveries::get(rx, id)?.as_ref().and_then(Loss::of) != Some(loss) {
                faults.push(format!("delivery `{id}` is told as {loss:?}, and is not"));
            }
        }
    }
    // Rows of objects whose post was deleted stay, so this index is only looked at, not compared.
    rx.table(BOUND)?.iter()?.try_for_each(|row| row.map(drop))?;
    Ok(())
}

fn check_accounts(rx: &Rx, faults: &mut Vec<String>) -> Result<(), StoreError> {
    use super::tx::Source as _;
    let (mut names, mut remotes) = (BTreeSet::new(), BTreeSet::new());
    for row in rx.table(ACCOUNTS)?.iter()? {
        let it = accounts::need(rx, AccountId::from_u128(row?.0.value()))?;
        vault::get_grant(rx, it.id)?;
        remotes.insert((it.name.platform().as_str().to_owned(), it.remote_id));
        names.insert(it.name.to_string());
    }
    compare("account_names", &keys!(rx, ACCOUNT_NAMES, str::to_owned), &names, faults);
    let is = keys!(rx, ACCOUNT_REMOTE, |it: (&str, &str)| (it.0.to_owned(), it.1.to_owned()));
    compare("account_remote", &is, &remotes, faults);
    Ok(())
}

fn check_requests(rx: &Rx, faults: &mut Vec<String>) -> Result<(), StoreError> {
    use super::tx::Source as _;
    let all = audit::receipts(rx, usize::MAX)?;
    let unfinished = all.iter().filter(|it| it.finished_at.is_none()).map(|it| it.id.as_u128()).collect();
    compare("requests_open", &keys!(rx, REQUESTS_OPEN, |it| it), &unfinished, faults);
    for row in rx.table(REQUESTS)?.iter()? {
        let (subject, id) = row?;
        if !all.iter().any(|it| it.id.as_u128() == id.value() && it.subject == subject.value()) {
            faults.push(format!("index `requests` has {:?} too much", subject.value()));
        }
    }
    Ok(())
}
