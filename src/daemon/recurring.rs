//! Recurring posts: their runs are made ahead of their time, brought up to date when the
//! configuration changes, and coalesced when several have passed.
//!
//! All that concerns one recurring post happens in one transaction, in which everything is read
//! again: neither a crash nor a second pass makes a run twice. What is to be done is decided by
//! [`Rule::plan`]; this file carries it out.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::shared::Shared;
use super::{create, queues, view};
use crate::config::Recurring;
use crate::domain::attempt::Transition;
use crate::domain::delivery::{Delivery, Event, Flight, Reason, State};
use crate::domain::ids::PostId;
use crate::domain::post::{Content, Post, SlotTaken, Source as Door, Target};
use crate::domain::schedule::Due;
use crate::domain::schedule::runs::{AHEAD, Rule};
use crate::domain::schedule::slots::Slot;
use crate::platforms;
use crate::store::journal::{self, Happening};
use crate::store::recurring::{self as store, Run, Series, Skipped};
use crate::store::{Source, StoreError, Tx, accounts, deliveries, meta, posts, queues as slots};
use crate::validate;

/// The class of the reason a run waits with, and ends with, when a later one stands for it.
pub(super) const STOOD_FOR: &str = "coalesced";
/// How often everything is looked at, if nothing calls for it earlier.
const EVERY: SignedDuration = SignedDuration::from_mins(1);
/// So many of the latest runs that have passed are looked at; more never wait at once.
const PASSED: usize = 64;
/// Skips that are kept for `status`.
const SKIPS: usize = 10;
/// The log is kept this long.
const LOG_KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Places of queues are remembered this long after their time, if their post is over.
const SLOTS_KEPT: SignedDuration = SignedDuration::from_hours(35 * 24);
/// Rows that one pass removes at most.
const PRUNE: usize = 2000;

/// A recurring post with everything that must be asked of other rooms first.
#[derive(Clone)]
struct Definition {
    it: Recurring,
    targets: Vec<Target>,
    /// Why no run can be made, if so.
    trouble: Option<String>,
    /// An account that is missing while others are there.
    lacks: Option<String>,
    digest: [u8; 32],
    seed: [u8; 32],
    give_up_after: SignedDuration,
}

impl Definition {
    fn read(shared: &Shared, it: &Recurring) -> Result<Self, StoreError> {
        let (mut targets, mut missing, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for name in &it.accounts {
            let found = shared.store.read(|rx| match accounts::by_name(rx, name)? {
                Some(id) => accounts::get(rx, id),
                None => Ok(None),
            })?;
            let Some(account) = found else {
                missing.push(name.to_string());
                continue;
            };
            let Some(platform) = platforms::find(name.platform()) else {
                missing.push(name.to_string());
                continue;
            };
            let options = it.options.get(&name.platform()).cloned().unwrap_or_default();
            let draft = validate::Draft {
                parts: &it.parts,
                comment: it.comment.as_deref(),
                media: &[],
                options: &options,
                lacks: &account.missing_scopes,
            };
            let checked = validate::check(platform, account.tier.as_deref(), draft);
            problems.extend(checked.problems.iter().map(|problem| format!("{name}: {}", problem.message)));
            targets.push(Target { account: account.id, name: account.name });
        }
        let missing = missing.join(", ");
        let trouble = match (problems.first(), targets.is_empty()) {
            (Some(problem), _) => Some(problem.clone()),
            (None, true) => Some(format!("not connected: {missing}")),
            (None, false) => None,
        };
        let lacks = (trouble.is_none() && !missing.is_empty()).then(|| format!("not connected: {missing}"));
        let ids: Vec<_> = targets.iter().map(|it| it.account.as_u128()).collect();
        let cron: Vec<_> = it.cron.iter().map(crate::domain::schedule::slots::SlotPattern::as_str).collect();
        let print = format!(
            "{cron:?} {:?} {ids:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            it.timezone.name, it.parts, it.comment, it.options, it.until, it.count, it.jitter, it.late
        );
        Ok(Self {
            it: it.clone(),
            targets,
            trouble,
            lacks,
            digest: Sha256::digest(print).into(),
            seed: shared.jitter_seed,
            give_up_after: shared.config().engine.give_up_after,
        })
    }

    fn rule(&self, series: Option<&Series>) -> Rule<'_> {
        let made = series.map_or(0, |it| it.made);
        Rule {
            patterns: &self.it.cron,
            zone: &self.it.timezone.rules,
            zone_name: &self.it.timezone.name,
            until: self.it.until,
            left: self.it.count.map(|count| u64::from(count).saturating_sub(made)),
        }
    }

    fn due(&self, slot: &Slot) -> Due {
        let name = SlotTaken::of_recurring(&self.it.name, slot.local).queue;
        queues::runs_at(&name, &self.it.timezone, self.it.jitter, &self.seed, slot)
    }

    /// The post of one run.
    fn post(&self, slot: &Slot, now: Timestamp) -> Post {
        Post {
            id: PostId::new(now, Shared::random()),
            to: self.targets.clone(),
            content: Content { parts: self.it.parts.clone(), comment: self.it.comment.clone() },
            variants: std::collections::BTreeMap::new(),
            options: self.it.options.clone(),
            media: Vec::new(),
            due: Some(self.due(slot)),
            late: self.it.late,
            intended: None,
            slot: Some(SlotTaken::of_recurring(&self.it.name, slot.local)),
            source: Door::Recurring,
            key: None,
            created_at: now,
            version: 1,
        }
    }
}

/// Where planning goes on: what was dealt with stays so, however the clock steps.
fn begin(series: &Series, now: Timestamp) -> Timestamp {
    series.through.min(now).max(series.pruned_to)
}

/// Looks at everything again and again, whenever the bell rings.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        shared.plan.notified().await;
        if let Err(error) = pass(&shared).await {
            tracing::error!(%error, "the runs of recurring posts could not be brought up to date");
        }
    }
}

/// One look at every recurring post. At start it runs before anything is sent, so that what passed
/// meanwhile is coalesced first.
pub(super) async fn pass(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let now = shared.now();
    // Set first: who asks for another look meanwhile gets it.
    shared.plan_again(Some(now.saturating_add(EVERY).unwrap_or(now)));
    if shared.clock_in_doubt() {
        return Ok(());
    }
    let config = shared.config();
    for it in &config.recurring {
        let definition = Definition::read(shared, it)?;
        if !shared.store.read(|rx| is_needed(rx, &definition, now))? {
            continue;
        }
        let told = shared.store.write(move |tx| carry_out(tx, &definition, now)).await?;
        tell(&told);
        shared.nudge();
    }
    for (name, series) in shared.store.read(store::all)? {
        if series.active && config.recurring.iter().all(|it| it.name != name) {
            tell(&shared.store.write(move |tx| retire(tx, &name, now)).await?);
        }
    }
    prune(shared, now).await
}

fn tell(told: &[Happening]) {
    for it in told {
        tracing::info!(event = it.event, "{}", it.message);
    }
}

/// Rows that only grow are cut at the end that nobody looks at.
async fn prune(shared: &Arc<Shared>, now: Timestamp) -> Result<(), StoreError> {
    let before = now.checked_sub(LOG_KEPT).unwrap_or(now);
    let old = now.checked_sub(SLOTS_KEPT).unwrap_or(now);
    let queues: Vec<_> = shared
        .config()
        .queues
        .iter()
        .map(|it| (it.name.clone(), it.timezone.rules.to_datetime(old)))
        .collect();
    let write = shared.store.write(move |tx| {
        journal::prune(tx, before, PRUNE)?;
        for (name, local) in &queues {
            slots::prune(tx, name, *local, PRUNE)?;
        }
        Ok(())
    });
    write.await
}

/// Whether there is anything to write. Most looks end here.
fn is_needed(rx: &impl Source, definition: &Definition, now: Timestamp) -> Result<bool, StoreError> {
    let name = &definition.it.name;
    let Some(series) = store::series(rx, name)? else { return Ok(true) };
    if !series.active || series.digest != definition.digest || series.trouble != trouble(definition) {
        return Ok(true);
    }
    let known: std::collections::BTreeSet<_> =
        store::runs(rx, name, None)?.into_iter().map(|it| it.local).collect();
    let plan = definition.rule(Some(&series)).plan(begin(&series, now), now, |it| known.contains(&it));
    let passed = plan.make.first().is_some_and(|slot| slot.due.instant <= now);
    // In trouble nothing can be made; only what passes is written down.
    let to_make = if definition.trouble.is_some() { passed } else { !plan.make.is_empty() };
    Ok(to_make || plan.skipped_count > 0 || !passed_over(rx, name, now)?.is_empty())
}

fn trouble(definition: &Definition) -> Option<String> {
    definition.trouble.clone().or_else(|| definition.lacks.clone())
}

/// Everything that one recurring post needs now, in one transaction.
fn carry_out(tx: &mut Tx<'_>, definition: &Definition, now: Timestamp) -> Result<Vec<Happening>, StoreError> {
    let name = definition.it.name.as_str();
    let mut told = Vec::new();
    let mut series = store::series(tx, name)?.unwrap_or_else(|| Series {
        through: now,
        pruned_to: Timestamp::UNIX_EPOCH,
        made: 0,
        digest: definition.digest,
        active: true,
        trouble: None,
        skipped: Vec::new(),
    });
    if !series.active {
        // What would have run while it was out of the configuration was not wanted.
        series.through = series.through.max(now);
        series.active = true;
    }
    if series.digest != definition.digest {
        follow_change(tx, definition, &mut series, now, &mut told)?;
        series.digest = definition.digest;
    }
    let troubled = trouble(definition);
    if series.trouble != troubled {
        let (level, text) = match &troubled {
            Some(why) => ("warn", format!("recurring post `{name}`: {why}")),
            None => ("info", format!("recurring post `{name}`: all is well again")),
        };
        told.push(view::happening(now, level, "recurring.trouble", &text));
        series.trouble = troubled;
    }
    let known: std::collections::BTreeSet<_> =
        store::runs(tx, name, None)?.into_iter().map(|it| it.local).collect();
    let mut plan = definition.rule(Some(&series)).plan(begin(&series, now), now, |it| known.contains(&it));
    if let Some(why) = &definition.trouble {
        let passed: Vec<_> = plan.make.iter().filter(|it| it.due.instant <= now).map(|it| it.local).collect();
        plan.make.clear();
        for local in passed {
            plan.first_skipped.get_or_insert(local);
            plan.skipped_count += 1;
            plan.skipped.push(local);
        }
        pass_over(tx, &mut series, name, &plan, why, now, &mut told)?;
    } else {
        pass_over(tx, &mut series, name, &plan, "a later run stands for them", now, &mut told)?;
    }
    for slot in &plan.make {
        make(tx, definition, slot, now)?;
        series.made += 1;
    }
    for before in passed_over(tx, name, now)? {
        let reason = Reason::new(STOOD_FOR, format!("a later run of `{name}` stands for this one"));
        move_on(tx, &before, Event::Miss { reason: reason.clone() }, now)?;
    }
    series.through = series.through.max(now);
    if let Some(local) = store::prune(tx, name)?
        && let Some(due) = crate::domain::schedule::settle(
            local,
            &definition.it.timezone.rules,
            &definition.it.timezone.name,
        )
    {
        series.pruned_to = series.pruned_to.max(due.instant);
    }
    store::put(tx, name, &series)?;
    for it in &told {
        journal::add(tx, it)?;
    }
    Ok(told)
}

/// Writes down which slots get no post.
fn pass_over(
    tx: &mut Tx<'_>,
    series: &mut Series,
    name: &str,
    plan: &crate::domain::schedule::runs::Plan,
    why: &str,
    now: Timestamp,
    told: &mut Vec<Happening>,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (plan.first_skipped, plan.skipped.last().copied()) else { return Ok(()) };
    for local in &plan.skipped {
        store::put_run(tx, name, Run { local: *local, post: None, version: 0 })?;
    }
    let span = if first == last { say(first) } else { format!("{} to {}", say(first), say(last)) };
    let n = plan.skipped_count;
    let text = format!("recurring post `{name}`: {n} passed over ({span}): {why}");
    told.push(view::happening(now, "warn", "recurring.skipped", &text));
    series.skipped.push(Skipped { at: now, slots: n, first, last, why: why.to_owned() });
    let much = series.skipped.len().saturating_sub(SKIPS);
    series.skipped.drain(..much);
    Ok(())
}

/// A wall time as people write it.
pub(super) fn say(local: DateTime) -> String {
    local.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Makes the post of one run, its deliveries and the row that says so.
fn make(tx: &mut Tx<'_>, definition: &Definition, slot: &Slot, now: Timestamp) -> Result<(), StoreError> {
    let post = definition.post(slot, now);
    let mut rows = create::deliveries_of(definition.give_up_after, &post, now);
    // An account that is being disconnected takes nothing new; the others get their run.
    rows.retain(|it| accounts::may_take_work(tx, it.account, &it.name).is_ok());
    if rows.is_empty() {
        return store::put_run(tx, &definition.it.name, Run { local: slot.local, post: None, version: 0 });
    }
    // The store may have been brought back from a copy since this run was made there, and sent.
    if let Some(copy) = meta::restored(tx)?
        && now.min(slot.due.instant) <= copy.at.wall.saturating_add(AHEAD).unwrap_or(Timestamp::MAX)
    {
        for row in &mut rows {
            row.restored = Some(copy);
        }
    }
    posts::create(tx, &post, &rows, None, None)?;
    for it in &rows {
        deliveries::append_history(tx, it.id, create::first_row(it, now))?;
    }
    let run = Run { local: slot.local, post: Some(post.id), version: post.version };
    store::put_run(tx, &definition.it.name, run)
}

/// A run of which nothing has begun, as it was planned: its post and its deliveries.
fn untouched(
    tx: &impl Source,
    run: Run,
    now: Timestamp,
) -> Result<Option<(Post, Vec<Delivery>)>, StoreError> {
    let Some(id) = run.post else { return Ok(None) };
    let Some(post) = posts::get(tx, id)?.filter(|it| it.version == run.version) else { return Ok(None) };
    let rows = deliveries::of_post(tx, id)?;
    let waits = rows.iter().all(|it| it.state == State::Scheduled && it.due.instant > now);
    Ok((waits && !rows.is_empty()).then_some((post, rows)))
}

/// Runs that wait follow the new definition, or are withdrawn if it has no place for them. What has
/// begun, and what a person has changed, stays as it is.
fn follow_change(
    tx: &mut Tx<'_>,
    definition: &Definition,
    series: &mut Series,
    now: Timestamp,
    told: &mut Vec<Happening>,
) -> Result<(), StoreError> {
    let name = definition.it.name.as_str();
    let (mut changed, mut withdrawn) = (0, 0);
    let most = definition.it.count.map_or(u64::MAX, u64::from);
    // The latest first: if there are too many now, the far ones go.
    for run in store::runs(tx, name, None)?.into_iter().rev() {
        let Some((post, rows)) = untouched(tx, run, now)? else { continue };
        let slot = definition.rule(None).slot_at(run.local).filter(|_| series.made <= most);
        let same_targets = post.to == definition.targets && definition.trouble.is_none();
        let Some(slot) = slot.filter(|_| same_targets) else {
            withdraw(tx, name, run, &rows, "was changed", now)?;
            series.made = series.made.saturating_sub(1);
            withdrawn += 1;
            continue;
        };
        let wanted = Post {
            id: post.id,
            created_at: post.created_at,
            version: post.version + 1,
            ..definition.post(&slot, now)
        };
        posts::put(tx, &wanted)?;
        for before in rows {
            let event = Event::reschedule(definition.due(&slot), definition.give_up_after);
            let mut after =
                before.apply(event, now).map_err(|illegal| StoreError::conflict(illegal.to_string()))?;
            // The row changes, so that a worker that read the old text cannot claim it.
            after.claim_gen = before.claim_gen.wrapping_add(1);
            after.late = wanted.late;
            after.flight = Flight::default();
            after.steps = create::steps(wanted.content_for(&before.name));
            deliveries::put(tx, Some(&before), &after, None)?;
        }
        store::put_run(tx, name, Run { version: wanted.version, ..run })?;
        changed += 1;
    }
    // An account that was just connected changes where runs go, and there may be none yet.
    if changed + withdrawn > 0 {
        let text =
            format!("recurring post `{name}`: changed; {changed} waiting runs follow, {withdrawn} withdrawn");
        told.push(view::happening(now, "info", "recurring.changed", &text));
    }
    Ok(())
}

/// Takes a run back before its time. Its slot may be used again.
fn withdraw(
    tx: &mut Tx<'_>,
    name: &str,
    run: Run,
    rows: &[Delivery],
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let reason = Reason::new("withdrawn", format!("the recurring post `{name}` {why}"));
    for before in rows {
        move_on(tx, before, Event::Cancel { reason: reason.clone() }, now)?;
    }
    store::remove_run(tx, name, run.local)
}

fn move_on(tx: &mut Tx<'_>, before: &Delivery, event: Event, now: Timestamp) -> Result<(), StoreError> {
    let name = event.name();
    let after = before.apply(event, now).map_err(|illegal| StoreError::conflict(illegal.to_string()))?;
    let row = Transition::between(before, &after, name, now);
    deliveries::put(tx, Some(before), &after, Some(row)).map(drop)
}

/// A recurring post that left the configuration: what waits is withdrawn. Its count stays, in case
/// it comes back.
fn retire(tx: &mut Tx<'_>, name: &str, now: Timestamp) -> Result<Vec<Happening>, StoreError> {
    let Some(mut series) = store::series(tx, name)? else { return Ok(Vec::new()) };
    let mut withdrawn = 0;
    for run in store::runs(tx, name, None)? {
        let Some((_, rows)) = untouched(tx, run, now)? else { continue };
        withdraw(tx, name, run, &rows, "was removed from the configuration", now)?;
        series.made = series.made.saturating_sub(1);
        withdrawn += 1;
    }
    (series.active, series.trouble) = (false, None);
    store::put(tx, name, &series)?;
    let text = format!("recurring post `{name}`: removed; {withdrawn} waiting runs withdrawn");
    let told = view::happening(now, "info", "recurring.removed", &text);
    journal::add(tx, &told)?;
    Ok(vec![told])
}

/// Whether it waits for its first try: nothing was sent, and nothing went wrong either.
fn is_fresh(it: &Delivery) -> bool {
    let held = it.reason.as_ref().is_some_and(|reason| reason.class == STOOD_FOR);
    it.sent_at.is_none() && (it.state == State::Scheduled || (it.state == State::Retry && held))
}

/// Deliveries whose time has passed and for which a later run, whose time has passed too, stands.
fn passed_over(source: &impl Source, name: &str, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
    let (mut found, mut stood_for) = (Vec::new(), std::collections::BTreeSet::new());
    let mut passed = 0;
    for run in store::runs(source, name, None)?.into_iter().rev() {
        let Some(post) = run.post else { continue };
        let rows = deliveries::of_post(source, post)?;
        if rows.iter().all(|it| it.due.instant > now) {
            continue;
        }
        for it in rows.into_iter().filter(|it| it.due.instant <= now) {
            if stood_for.contains(&it.account) {
                found.extend(is_fresh(&it).then_some(it));
            } else if it.state != State::Cancelled {
                stood_for.insert(it.account);
            }
        }
        passed += 1;
        if passed >= PASSED {
            break;
        }
    }
    Ok(found)
}

/// Why a run waits although its time has come: the next one's has come as well. It is about to be
/// written down as missed.
pub(super) fn hold(shared: &Shared, work: &crate::engine::Work) -> Result<Option<Reason>, StoreError> {
    let Some(slot) = work.post.slot.as_ref() else { return Ok(None) };
    let Some(name) = slot.recurring() else { return Ok(None) };
    let now = shared.now();
    shared.store.read(|rx| stood_for(rx, &work.delivery, name, slot.local, now))
}

fn stood_for(
    source: &impl Source,
    delivery: &Delivery,
    name: &str,
    local: DateTime,
    now: Timestamp,
) -> Result<Option<Reason>, StoreError> {
    if !is_fresh(delivery) {
        return Ok(None);
    }
    for run in store::runs(source, name, Some(local))?.into_iter().filter(|it| it.local > local) {
        let Some(post) = run.post else { continue };
        let rows = deliveries::of_post(source, post)?;
        if rows.iter().all(|it| it.due.instant > now) {
            return Ok(None);
        }
        let stands = |it: &Delivery| {
            it.account == delivery.account && it.due.instant <= now && it.state != State::Cancelled
        };
        if rows.iter().any(stands) {
            return Ok(Some(Reason::new(STOOD_FOR, format!("a later run of `{name}` stands for this one"))));
        }
    }
    Ok(None)
}

/// Runs that have no post yet, from one instant until before another, at most `max`.
pub(super) fn coming(
    source: &impl Source,
    it: &Recurring,
    seed: &[u8],
    (from, to): (Timestamp, Timestamp),
    max: usize,
) -> Result<Vec<(DateTime, Timestamp)>, StoreError> {
    let series = store::series(source, &it.name)?;
    let made = series.as_ref().map_or(0, |it| it.made);
    let rule = Rule {
        patterns: &it.cron,
        zone: &it.timezone.rules,
        zone_name: &it.timezone.name,
        until: it.until,
        left: None,
    };
    let known: std::collections::BTreeSet<_> =
        store::runs(source, &it.name, None)?.into_iter().map(|it| it.local).collect();
    // A count is used up from now on, not from the month that is shown.
    let start =
        if it.count.is_some() { series.as_ref().map_or(from, |it| it.through.min(from)) } else { from };
    let left = it.count.map_or(u64::MAX, |count| u64::from(count).saturating_sub(made));
    let name = SlotTaken::of_recurring(&it.name, DateTime::default()).queue;
    let found = rule
        .slots_after(start)
        .take_while(|slot| slot.due.instant < to)
        .filter(|slot| !known.contains(&slot.local))
        .take(usize::try_from(left).unwrap_or(usize::MAX))
        .filter(|slot| slot.due.instant > from)
        .take(max)
        .map(|slot| (slot.local, queues::runs_at(&name, &it.timezone, it.jitter, seed, &slot).instant))
        .collect();
    Ok(found)
}
