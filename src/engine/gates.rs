//! What holds back more than one delivery: an account that is rate limited, an app whose credits
//! are gone, a network that is down, a quota that runs low (delivery guarantees §10).
//!
//! A gate never ends anything. It says "not before", with the reason a user can be shown. Gates live in
//! memory; what a network said of an app or an account stands in the row of the delivery it was said to,
//! and a start reads it there ([`wait_of`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::backoff::scaled;
use super::lanes::Lane;
use super::steps::SetBack;
use super::{Call, Engine, Wait, WaitFor};
use crate::domain::account::Account;
use crate::domain::delivery::{Delivery, Reason, RetryWhy, Said, State};
use crate::domain::ids::{AccountId, DeliveryId, PlatformName};
use crate::domain::moment::Moment;
use crate::planted::planted;
use crate::platforms::{Endpoint, Failure, FailureClass, Quota, Request, Share};

/// Everything that stands and falls together: one app on one network; where the user names the
/// server, one server.
pub(super) type App = (PlatformName, Option<String>);

/// Billing trouble: the app is probed this rarely.
pub(super) const BILLING_PROBE: SignedDuration = SignedDuration::from_hours(6);
/// A lane without money looks again this often whether there is some: a month ends, a budget is raised.
const BUDGET: SignedDuration = SignedDuration::from_mins(15);
/// The reason's class of what waits for money.
pub const BROKE: &str = "budget";
/// Reads that are limited without an end wait this long.
const READS: SignedDuration = SignedDuration::from_mins(15);
/// After a wait one delivery tries alone; the others of the app wait this long for it.
const PROBE: SignedDuration = SignedDuration::from_mins(2);
/// So many calls without a clear answer …
const BREAKER_CALLS: usize = 5;
/// … within this time, and nothing more is sent for a while.
const BREAKER_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The first such while; each further one doubles.
const BREAKER_BASE: SignedDuration = SignedDuration::from_mins(5);
const BREAKER_CAP: SignedDuration = SignedDuration::from_mins(60);
/// From this share of a quota on, what is left of it is spread over the time it must last.
const QUOTA_HIGH: f64 = 0.9;
/// Spacing where a network tells a share but not how many calls are left.
const QUOTA_SPACING: SignedDuration = SignedDuration::from_mins(1);
/// Seconds of a day.
const DAY: i64 = 86_400;
/// A quota that spreads two calls less than this is not told.
const QUOTA_TOLD: SignedDuration = SignedDuration::from_mins(1);
/// No quota spreads two calls further than this.
const QUOTA_SPACING_MAX: SignedDuration = SignedDuration::from_mins(15);

/// What is known of one app.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Closed until then, and why.
    closed: Option<(Timestamp, Reason)>,
    /// Publishing calls that ended without a clear answer, and calls before them that did not reach the
    /// network, lately.
    unclear: VecDeque<(Timestamp, DeliveryId)>,
    /// Whose delivery tried last whether it is open again.
    prober: Option<AccountId>,
    /// Who tries whether it is open again, from when on that was allowed, until a call of it leaves.
    trying: Option<(DeliveryId, Timestamp)>,
    /// How often in a row the breaker opened.
    opens: u16,
    /// Half open: somebody was let in since it opened last.
    probing: bool,
    /// Spread by a quota.
    free_at: Option<Timestamp>,
    /// When publishing calls left, as far back as the longest limit reaches.
    sent: VecDeque<Timestamp>,
    /// How far our clock is ahead of the network's, by its last answer and what was done to our clock since;
    /// the time the answer took is included.
    pub(super) ahead: Option<SignedDuration>,
}

impl Gate {
    /// The wall clock was put forward by so much, or back.
    pub(super) fn stepped(&mut self, by: SignedDuration) {
        self.ahead = self.ahead.map(|it| it.saturating_add(by));
    }

    /// See [`super::steps`].
    pub(super) fn set_back(&mut self, back: SetBack) {
        self.closed.iter_mut().for_each(|it| back.wait(&mut it.0));
        self.free_at.iter_mut().for_each(|until| back.wait(until));
        self.trying.iter_mut().for_each(|it| back.past(&mut it.1));
        self.unclear.iter_mut().for_each(|it| back.past(&mut it.0));
        self.sent.iter_mut().for_each(|at| back.past(at));
    }

    /// Not before then.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.closed.as_ref().map(|(until, _)| *until).max(self.free_at)
    }
}

/// Why the calls of an app, or of an account of it, are further apart than usual.
fn spread(app: &App) -> Reason {
    Reason::new("quota", format!("the quota of {} is nearly used up; calls are spread", app.0))
}

/// The accounts whose deliveries were the last to try networks that stay shut.
pub(super) fn probers(gates: &Gates) -> BTreeSet<AccountId> {
    gates.values().filter(|it| it.closed.is_some()).filter_map(|it| it.prober).collect()
}

/// The day an instant lies in (UTC, since 1970).
pub(super) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY)
}

/// The app an account belongs to.
pub(super) fn app_of(account: &Account) -> App {
    (account.name.platform(), account.server.clone())
}

impl Engine {
    /// Whether an app is closed now: until when and why. When a wait is over the caller may try,
    /// and all others of the app wait for what it meets.
    pub(super) fn enter_gate(
        &mut self,
        id: DeliveryId,
        app: &App,
        now: Timestamp,
    ) -> Option<(Timestamp, Reason)> {
        let gate = self.gates.get_mut(app)?;
        if let Some(at) = gate.free_at.filter(|at| *at > now) {
            return Some((at, spread(app)));
        }
        let (until, reason) = gate.closed.clone()?;
        if until > now {
            return Some((until, reason));
        }
        let probe = now.saturating_add(PROBE).unwrap_or(now);
        gate.closed = Some((probe, reason));
        gate.trying = Some((id, until));
        gate.prober = self.runs.get(&id).map(|run| run.account);
        gate.probing = true;
        self.waits_changed = true;
        None
    }

    /// The app that a run's account belongs to.
    pub(super) fn app_of_run(&self, id: DeliveryId) -> Option<App> {
        self.runs.get(&id)?.work.as_ref()?.account.as_ref().map(app_of)
    }

    /// The gate that an account's lane passes.
    fn gate_of(&mut self, account: AccountId) -> Option<&mut Gate> {
        let app = self.lanes.get(&account)?.app.as_ref()?;
        self.gates.get_mut(app)
    }

    /// A call of a delivery that was let in leaves: what it meets decides about the others.
    pub(super) fn gate_tried(&mut self, account: AccountId, id: DeliveryId) {
        if let Some(gate) = self.gate_of(account)
            && gate.trying.is_some_and(|(who, _)| who == id)
        {
            gate.trying = None;
        }
    }

    /// A delivery is let go of. If it was to try and no call of it left, the next one may.
    pub(super) fn gate_untried(&mut self, account: AccountId, id: DeliveryId) {
        if let Some(gate) = self.gate_of(account)
            && let Some((_, since)) = gate.trying.take_if(|(who, _)| *who == id)
            && let Some((until, _)) = &mut gate.closed
        {
            *until = since;
            gate.probing = false;
            self.waits_changed = true;
        }
    }

    /// Not before then, as far as the app is concerned.
    pub(super) fn gate_until(&self, app: &App) -> Option<Timestamp> {
        self.gates.get(app).and_then(Gate::until)
    }

    /// Why an app waited at that time, for the reason of a delivery that came too late through it.
    pub(super) fn gate_reason(&self, app: &App, at: Timestamp) -> Option<&Reason> {
        let closed = self.gates.get(app)?.closed.as_ref();
        closed.filter(|(until, _)| *until >= at).map(|(_, reason)| reason)
    }

    /// Nothing is sent for this app until then.
    pub(super) fn close_gate(&mut self, app: &App, until: Timestamp, reason: &Reason) {
        let gate = self.gates.entry(app.clone()).or_default();
        if gate.closed.as_ref().is_none_or(|(before, _)| *before < until) {
            gate.closed = Some((until, reason.clone()));
            gate.trying = None;
            self.waits_changed = true;
        }
    }

    /// The network takes posts (again).
    pub(super) fn gate_success(&mut self, app: &App) {
        if let Some(gate) = self.gates.get_mut(app) {
            self.waits_changed |= gate.closed.is_some();
            (gate.closed, gate.trying) = (None, None);
            gate.unclear.clear();
            gate.opens = 0;
        }
    }

    /// A publishing call ended without a clear answer (`sent`), or a call never left. Enough of them, and we stop making more
    /// unknowns: the breaker opens.
    pub(super) fn gate_unclear(
        &mut self,
        (app, id): (&App, DeliveryId),
        message: &str,
        sent: bool,
        now: Timestamp,
    ) {
        if planted("breaker never opens") {
            return;
        }
        let scale = self.settings.backoff_scale;
        let gate = self.gates.entry(app.clone()).or_default();
        let open = gate.closed.as_ref().is_some_and(|(until, _)| *until > now);
        if open && !gate.probing {
            // It was on the wire already when the breaker opened: it tells of the same trouble.
            return;
        }
        gate.unclear.push_back((now, id));
        while gate.unclear.front().is_some_and(|(at, _)| now.duration_since(*at) > BREAKER_WINDOW) {
            gate.unclear.pop_front();
        }
        // While it is half open, one failure is enough.
        let probing = gate.opens > 0 && gate.probing && gate.closed.is_some();
        // One post alone may have its own trouble with a network that is well.
        let several = gate.unclear.iter().any(|it| it.1 != id);
        if !probing && (gate.unclear.len() < BREAKER_CALLS || !several) {
            return;
        }
        gate.unclear.clear();
        // What never left leaves nothing in doubt: asking again costs nothing, and a line that is back is
        // noticed soon.
        let doubled = if sent { BREAKER_BASE.saturating_mul(1 << gate.opens.min(8)) } else { BREAKER_BASE };
        gate.opens = if sent { gate.opens.saturating_add(1) } else { gate.opens.max(1) };
        let until = now.saturating_add(scaled(doubled.min(BREAKER_CAP), scale)).unwrap_or(now);
        let reason = Reason::new("outage", format!("{} does not answer as it should: {message}", app.0))
            .hint("nothing to do: it is tried again by itself, and what is unsure is looked up meanwhile");
        tracing::warn!(platform = %app.0, %until, "too many calls without a clear answer; sending waits");
        gate.closed = Some((until, reason));
        gate.trying = None;
        gate.probing = false;
        self.waits_changed = true;
    }

    /// The operator has done something about it: whatever waits for this app may try at once.
    pub(super) fn probe(&mut self, platform: PlatformName, now: Timestamp) {
        self.waits_changed = true;
        for (app, gate) in &mut self.gates {
            if app.0 == platform
                && let Some((until, _)) = &mut gate.closed
            {
                *until = now.min(*until);
            }
        }
        let of_it = |lane: &Lane| lane.app.as_ref().is_some_and(|app| app.0 == platform);
        for lane in self.lanes.values_mut().filter(|it| of_it(it)) {
            lane.reads = None;
        }
    }

    /// What an answer says of the network's limits. The account's bind its lane, the app's all.
    pub(super) fn heed(&mut self, account: AccountId, app: &App, quotas: &[Quota], now: Timestamp) {
        if planted("quota ignored") {
            return;
        }
        for quota in quotas.iter().filter(|it| it.used >= QUOTA_HIGH && it.resets > now) {
            let rest = quota.resets.duration_since(now);
            let spacing = match quota.left {
                // The last one is spent: nothing before the reset.
                Some(0) => rest,
                Some(left) => (rest / i32::try_from(left).unwrap_or(i32::MAX)).min(QUOTA_SPACING_MAX),
                None if quota.used >= 1.0 => rest,
                None => QUOTA_SPACING.min(rest),
            };
            let at = now.saturating_add(spacing).unwrap_or(now);
            self.waits_changed = true;
            if quota.app {
                let gate = self.gates.entry(app.clone()).or_default();
                gate.free_at = gate.free_at.max(Some(at));
                continue;
            }
            let lane = self.lanes.entry(account).or_default();
            lane.free_at = lane.free_at.max(Some(at));
            let reason = match quota.left {
                Some(0) => Reason::new("quota", format!("the quota of {} is used up", app.0)),
                _ => spread(app),
            };
            // A few seconds more are nothing to tell.
            if spacing >= QUOTA_TOLD && lane.why.as_ref().is_none_or(|(until, _)| *until < at) {
                lane.why = Some((at, reason));
            }
        }
    }

    /// When the configured limits allow the next publishing call. Counted in memory, which a start fills
    /// from what is stored ([`Engine::resume_calls`]).
    pub(super) fn within_limits(
        &self,
        account: AccountId,
        app: &App,
        now: Timestamp,
    ) -> Result<(), (Timestamp, Reason)> {
        for limit in self.settings.limits.get(&app.0).into_iter().flatten() {
            let sent = if limit.app {
                self.gates.get(app).map(|it| &it.sent)
            } else {
                self.lanes.get(&account).map(|it| &it.sent)
            };
            let Some(sent) = sent else { continue };
            let Some(first) = sent.len().checked_sub(limit.calls as usize).and_then(|at| sent.get(at)) else {
                continue;
            };
            let free = first.saturating_add(limit.window).unwrap_or(now);
            if free > now {
                let reason = Reason::new(
                    "quota",
                    format!("{} takes {} calls in {:#}", app.0, limit.calls, limit.window),
                );
                return Err((free, reason));
            }
        }
        Ok(())
    }

    /// Whether there is money for the next publishing call. What is spent stands in the store; it is read
    /// with each delivery, and again when the wait is over.
    pub(super) fn within_budget(
        &self,
        broke: Option<Reason>,
        now: Timestamp,
    ) -> Result<(), (Timestamp, Reason)> {
        let Some(reason) = broke else { return Ok(()) };
        Err((now.saturating_add(scaled(BUDGET, self.settings.backoff_scale)).unwrap_or(now), reason))
    }

    /// The operator may have raised a budget: what waits for one tries again.
    pub(super) fn budget_may_differ(&mut self) {
        for lane in self.lanes.values_mut() {
            if lane.why.take_if(|(_, it)| it.class == BROKE).is_some() {
                lane.parked_until = None;
                self.waits_changed = true;
            }
        }
    }

    /// A publishing call leaves.
    pub(super) fn count_call(&mut self, account: AccountId, app: &App, now: Timestamp) {
        let Some(limits) = self.settings.limits.get(&app.0) else { return };
        for app_wide in [true, false] {
            let mine = || limits.iter().filter(|it| it.app == app_wide);
            let Some(keep) = mine().map(|it| it.calls).max() else { continue };
            let sent = if app_wide {
                &mut self.gates.entry(app.clone()).or_default().sent
            } else {
                &mut self.lanes.entry(account).or_default().sent
            };
            sent.push_back(now);
            while sent.len() > keep as usize {
                sent.pop_front();
            }
        }
    }

    /// A call leaves, of a network that counts all calls of a day.
    pub(super) fn tally(&mut self, id: DeliveryId, request: &Request, now: Timestamp) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let counts = work.account.as_ref().and_then(|it| work.platform.calls_a_day(it)).is_some();
        if !counts || matches!(request.endpoint, Endpoint::Given(_)) {
            return;
        }
        let account = work.delivery.account;
        self.tally_up(account, now);
    }

    pub(super) fn tally_up(&mut self, account: AccountId, at: Timestamp) {
        let (day, lane) = (day_of(at), self.lanes.entry(account).or_default());
        if lane.tally.0 != day {
            lane.tally = (day, 0);
        }
        lane.tally.1 = lane.tally.1.saturating_add(1);
    }

    /// How many were counted for an account today.
    pub(super) fn calls_today(&self, account: AccountId, now: Timestamp) -> u32 {
        let tally = self.lanes.get(&account).map(|it| it.tally).filter(|it| it.0 == day_of(now));
        tally.map_or(0, |it| it.1)
    }

    /// What left before this start counts too.
    pub(super) fn resume_calls(&mut self, calls: Vec<Call>) {
        for call in calls {
            if call.publishes {
                self.count_call(call.account, &call.app, call.at);
            }
            if call.counts {
                self.tally_up(call.account, call.at);
            }
            if let Some(id) = call.share {
                let shares = &mut self.lanes.entry(call.account).or_default().shares;
                shares.retain(|it| it.1 != id);
                shares.push((call.at, id));
            }
        }
    }

    /// Why nothing more may be asked for an account today: all calls that its network allows it are used
    /// up. Counted as the limits above.
    pub(super) fn spent(&self, id: DeliveryId, now: Timestamp) -> Option<Failure> {
        let work = self.runs.get(&id)?.work.as_ref()?;
        let most = work.platform.calls_a_day(work.account.as_ref()?)?;
        let midnight = Timestamp::from_second((day_of(now) + 1) * DAY).ok();
        (self.calls_today(work.delivery.account, now) >= most).then(|| Failure {
            class: FailureClass::RateLimited,
            message: format!(
                "{} takes {most} calls of an account a day",
                work.delivery.name.platform().title()
            ),
            hint: None,
            until: midnight,
        })
    }

    /// What the network takes so many of, if this delivery's post is of the kind. A comment under it is not.
    fn share(&self, id: DeliveryId) -> Option<(AccountId, Share)> {
        let work = self.runs.get(&id)?.work.as_ref()?;
        let options = work.post.options_for(work.delivery.name.platform());
        let share = work.platform.share(&work.post.media, &options)?;
        (!work.delivery.is_at_comment()).then_some((work.delivery.account, share))
    }

    /// One of them leaves.
    pub(super) fn count_share(&mut self, id: DeliveryId, now: Timestamp) {
        let Some((account, share)) = self.share(id) else { return };
        let from = now.saturating_sub(share.window).unwrap_or(now);
        let shares = &mut self.lanes.entry(account).or_default().shares;
        // Sent again it is the same one.
        shares.retain(|(at, it)| *at > from && *it != id);
        shares.push((now, id));
    }

    /// Why this one has to wait, and no other of its account: all that the network takes are out.
    pub(super) fn no_share(&self, id: DeliveryId, now: Timestamp) -> Option<Failure> {
        let (account, share) = self.share(id)?;
        let from = now.saturating_sub(share.window).unwrap_or(now);
        let shares = &self.lanes.get(&account)?.shares;
        let mut out: Vec<_> = shares.iter().filter(|it| it.0 > from && it.1 != id).map(|it| it.0).collect();
        out.sort_unstable();
        let first = out.len().checked_sub(share.most).and_then(|at| out.get(at))?;
        let title = self.runs.get(&id)?.work.as_ref()?.platform.name().title();
        Some(Failure {
            class: FailureClass::Full,
            message: format!(
                "{title} takes {} {} of an account in {:#}, and as many are out",
                share.most, share.what, share.window
            ),
            hint: None,
            until: first.checked_add(share.window).ok(),
        })
    }

    /// Until when no read is made for this account, because the network refused one, or because its app's
    /// credits, which reads use up too, are gone. When that wait is over the caller may try.
    pub(super) fn reads_wait(
        &mut self,
        account: AccountId,
        app: Option<&App>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let limited = self.lanes.get(&account).and_then(|it| it.reads);
        if let Some(until) = limited.filter(|at| *at > now) {
            return Some(until);
        }
        let gate = app.and_then(|it| self.gates.get_mut(it))?;
        let (until, reason) = gate.closed.as_mut()?;
        let class = |it: FailureClass| reason.class == it.as_str();
        let costs = class(FailureClass::Billing);
        if !costs && !class(FailureClass::AppLimited) {
            return None;
        }
        if *until > now {
            return Some(*until);
        }
        if !costs {
            return None;
        }
        *until = now.saturating_add(PROBE).unwrap_or(now);
        self.waits_changed = true;
        None
    }

    /// The network refused a read for a reason that all reads of the account, or of the app, share.
    pub(super) fn read_refused(
        &mut self,
        account: AccountId,
        app: Option<&App>,
        failure: &Failure,
        now: Timestamp,
    ) {
        let later = |span: SignedDuration| now.saturating_add(span).unwrap_or(now);
        match failure.class {
            // That the app may not read for now says nothing of what it may publish.
            FailureClass::RateLimited | FailureClass::AppLimited => {
                let until =
                    failure.until.unwrap_or_else(|| later(scaled(READS, self.settings.backoff_scale)));
                let lane = self.lanes.entry(account).or_default();
                lane.reads = Some(until);
                lane.app = app.cloned().or(lane.app.take());
            }
            FailureClass::Billing => {
                if let Some(app) = app {
                    let reason = Reason::new(failure.class.as_str(), failure.message.clone());
                    self.close_gate(app, later(BILLING_PROBE), &reason);
                }
            }
            _ => {}
        }
    }

    /// What networks said before this start ([`wait_of`]).
    pub(super) fn resume_waits(&mut self, waits: Vec<Wait>) {
        self.waits_changed = true;
        for Wait { scope, until, reason } in waits {
            match scope {
                WaitFor::App(platform, server) => self.close_gate(&(platform, server), until, &reason),
                WaitFor::Account(account) => {
                    let lane = self.lanes.entry(account).or_default();
                    if lane.parked_until < Some(until) {
                        lane.park(until, reason);
                    }
                }
            }
        }
    }

    /// What waits for more than its own time, for people: accounts and networks that are held back.
    pub fn waits(&self, now: Timestamp) -> Vec<Wait> {
        let apps = self.gates.iter().flat_map(|(app, gate)| {
            let told = gate.free_at.filter(|at| at.duration_since(now) >= QUOTA_TOLD);
            let spread = told.map(|until| (until, spread(app)));
            let scope = || WaitFor::App(app.0, app.1.clone());
            let both = gate.closed.clone().into_iter().chain(spread);
            both.map(move |(until, reason)| Wait { scope: scope(), until, reason })
        });
        let lanes = self.lanes.iter().filter_map(|(account, lane)| {
            let (until, reason) = lane.why.clone()?;
            Some(Wait { scope: WaitFor::Account(*account), until, reason })
        });
        apps.chain(lanes).filter(|it| it.until > now).collect()
    }
}

/// What a parked delivery's row says of more than itself: that its app's credits or calls are gone or that
/// the network refuses the app (a probe every few hours is enough, however often we start), or that its
/// account is rate limited. `None`: it waits for nothing, or for itself alone.
pub fn wait_of(delivery: &Delivery, account: &Account, now: impl Into<Moment>) -> Option<Wait> {
    let now = now.into();
    if let Some((until, reason)) = delivery.barred(now) {
        return Some(Wait { scope: WaitFor::Account(account.id), until, reason: reason.clone() });
    }
    let (until, reason) = match (&delivery.flight.said, delivery.retry_why) {
        (Some(Said::Refused { at, why: RetryWhy::Parked, reason }), _) => {
            (Some(delivery.flight.over(*at, now)), reason.clone())
        }
        (_, Some(RetryWhy::Parked)) if delivery.state == State::Retry => {
            (delivery.next_try, delivery.reason.clone()?)
        }
        _ => return None,
    };
    let until = until.filter(|at| *at > now.wall)?;
    let class = |it: FailureClass| reason.class == it.as_str();
    let of_app = [FailureClass::Billing, FailureClass::Config, FailureClass::AppLimited];
    let scope = if of_app.into_iter().any(class) {
        let (platform, server) = app_of(account);
        WaitFor::App(platform, server)
    } else if class(FailureClass::RateLimited) {
        WaitFor::Account(account.id)
    } else {
        return None;
    };
    Some(Wait { scope, until, reason })
}

/// Gates by app.
pub(super) type Gates = BTreeMap<App, Gate>;
