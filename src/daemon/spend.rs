//! Money for calls, on networks that take some: counted before it can be spent, and never spent beyond
//! the operator's budget.
//!
//! A publishing call is counted by the commit of its intent ([`crate::store::intent`]), with the read
//! that proves it. Every other call that costs something is counted before it leaves, in a commit of its
//! own (there are few: alternative texts, looks after a lost answer, deletions), and set right when its
//! answer shows what it did cost. So a crash can at most make us count too much.

use std::sync::Arc;

use super::errors;
use super::shared::Shared;
use crate::control::api::ApiResult;
use crate::control::messages as m;
use crate::domain::account::Account;
use crate::domain::cost::usd;
use crate::domain::delivery::Reason;
use crate::domain::ids::{AccountId, PlatformName};
use crate::engine::{BROKE, Reply, Work};
use crate::platforms::{self, Request};
use crate::store::spent::{self, Purse, Spent};
use crate::store::{Source, StoreError};

/// A call that was counted before it left.
pub(super) struct Bill {
    account: AccountId,
    network: PlatformName,
    month: u32,
    label: &'static str,
    micros: u64,
}

/// Counts a call that publishes nothing, before it leaves. `None`: it is free.
pub(super) async fn ahead(
    shared: &Arc<Shared>,
    account: &Account,
    call: &Request,
) -> Result<Option<Bill>, StoreError> {
    let network = account.name.platform();
    let micros = platforms::find(network).map_or(0, |it| it.price(call));
    if micros == 0 {
        return Ok(None);
    }
    let (account, label, month) = (account.id, call.label, spent::month(shared.now()));
    shared.store.write(move |tx| spent::add(tx, account, network, month, label, micros)).await?;
    Ok(Some(Bill { account, network, month, label, micros }))
}

/// Sets right what was counted, by what came of the call.
pub(super) fn after(shared: &Arc<Shared>, bill: Option<Bill>, call: &Request, reply: &Reply) {
    let Some(bill) = bill else { return };
    let charged = match reply {
        Reply::Answer(answer) => platforms::find(bill.network).map_or(0, |it| it.charged(call, answer)),
        Reply::NotSent(_) | Reply::Unfit(_) => 0,
        // Whether it took effect nobody knows.
        Reply::Lost(_) => bill.micros,
    };
    let Bill { account, network, month, label, micros } = bill;
    if charged == micros {
        return;
    }
    let write = shared.store.write(move |tx| {
        if charged > micros {
            return spent::add_more(tx, account, network, month, label, charged - micros);
        }
        spent::give_back(tx, account, network, month, label, (micros - charged, charged == 0))
    });
    tokio::spawn(async move {
        if let Err(error) = write.await {
            tracing::warn!(%error, "what a call did cost could not be set right; it stays counted as more");
        }
    });
}

/// Why there is no money for the next step of a delivery.
pub(super) fn broke(shared: &Shared, work: &Work) -> Result<Option<Reason>, StoreError> {
    let network = work.platform.name();
    let Some(budget) = shared.config().platform(network).monthly_budget else { return Ok(None) };
    let delivery = &work.delivery;
    let step = usize::from(delivery.step);
    let content = work.post.content_for(&delivery.name);
    let text = content.parts.get(step).map(String::as_str).unwrap_or_default();
    let media = work.post.media_of(content, step);
    let costs: u64 = work.platform.costs(&[text], &media).iter().map(crate::domain::cost::Cost::micros).sum();
    let month = spent::month(shared.now());
    let why = shared.store.read(|rx| spent::beyond(rx, network, month, costs, budget))?;
    Ok(why.map(|why| {
        Reason::new(BROKE, why).hint(format!(
            "raise `monthly_budget_usd` in [platforms.{network}] and reload, or wait for the next month (UTC)"
        ))
    }))
}

fn shown(
    source: &impl Source,
    purse: Purse,
    month: u32,
    budget: Option<u64>,
) -> Result<Option<m::Spending>, StoreError> {
    let (now, before) =
        (spent::of(source, purse, month)?, spent::of(source, purse, spent::month_before(month))?);
    if now == Spent::default() && before == Spent::default() && budget.is_none() {
        return Ok(None);
    }
    let platform = match purse {
        Purse::Network(name) => Some(name.to_string()),
        Purse::Account(_) => None,
    };
    let calls = now.calls.iter().map(|(what, (count, micros))| m::SpentOn {
        what: what.clone(),
        count: *count,
        usd: usd(*micros),
    });
    Ok(Some(m::Spending {
        platform,
        month: format!("{}-{:02}", month / 100, month % 100),
        usd: usd(now.micros()),
        budget_usd: budget.map(usd),
        last_month_usd: usd(before.micros()),
        calls: calls.collect(),
    }))
}

/// What each network's accounts have spent together this month, where anything was or may be.
pub(super) fn of_networks(shared: &Shared) -> ApiResult<Vec<m::Spending>> {
    let month = spent::month(shared.now());
    let config = shared.config();
    let mut all = Vec::new();
    for network in PlatformName::ALL {
        let budget = config.platform(network).monthly_budget;
        let row = shared.store.read(|rx| shown(rx, Purse::Network(network), month, budget));
        all.extend(row.map_err(errors::store)?);
    }
    Ok(all)
}

/// What an account has spent this month.
pub(super) fn of_account(shared: &Shared, id: AccountId) -> ApiResult<Option<m::Spending>> {
    let month = spent::month(shared.now());
    shared.store.read(|rx| shown(rx, Purse::Account(id), month, None)).map_err(errors::store)
}
