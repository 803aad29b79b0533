//! The promises, held against what happens: on every commit, on every call, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sendoff::daemon::ledger::NOT_VERIFIED;
use sendoff::domain::delivery::{Delivery, State, StepKind};
use sendoff::domain::ids::{AccountId, DeliveryId};
use sendoff::platforms::Class;

use super::dice::secs;
use super::networks::Fault;
use super::pace::Pace;
use super::reckon::{Reckon, Whom};
use super::rows::durable_row;
use super::world::World;

/// Longest a class B key may be repeated after it was first sent: its life less the margin,
/// and a minute for the commit and the wire.
const KEY_USE: SignedDuration = SignedDuration::from_mins(46);
/// Calls one run may make, of any kind.
const CALLS_MAX: u64 = 2500;
/// The span of an account whose network said that it blocks it.
const BLOCKED: &str = "the network blocks the account";
/// Looks at one delivery in eight days, every quarter of an hour.
const LOOKS_MAX: u64 = 8 * 96;

/// What the world remembers to judge by; the program knows nothing of it.
#[derive(Default)]
pub(crate) struct Watch {
    /// What the world did to the posts.
    pub(crate) reckon: Reckon,
    /// How fast it may go.
    pub(crate) pace: Pace,
    /// Every delivery as last acknowledged by the store.
    pub(crate) rows: BTreeMap<DeliveryId, Delivery>,
    /// What a commit that failed may have left.
    pub(crate) doubtful: Vec<Delivery>,
    /// The same for writes that are not the engine's; none: of deliveries it does not name.
    pub(crate) loose: Vec<Option<DeliveryId>>,
    /// Steps whose object another hand may have taken for us: the same words, in our time.
    pub(crate) contested: BTreeSet<DeliveryId>,
    /// Of deliveries whose words were changed; after a restore that matters.
    pub(crate) reworded: BTreeSet<DeliveryId>,
    /// Of deliveries the user wanted out at once, whatever their time.
    pub(crate) hurried: BTreeSet<DeliveryId>,
    /// Accounts whose disconnect has begun in this life of the daemon.
    pub(crate) leaving: BTreeSet<AccountId>,
    /// There are comments and stories in this world.
    pub(crate) forms: bool,
    /// Deliveries that are stories: without words, one cannot be told from another by a list.
    pub(crate) stories: BTreeSet<DeliveryId>,
    /// Deliveries to which Instagram said that it blocks the account, and when.
    blocked: BTreeMap<DeliveryId, Timestamp>,
    in_flight: BTreeMap<AccountId, DeliveryId>,
    /// Whose calls were under way when the daemon died last.
    on_the_wire: BTreeSet<DeliveryId>,
    pub(crate) bodies: BTreeMap<(DeliveryId, u16, String), Vec<u8>>,
    /// First time a marker was on the wire.
    first: BTreeMap<(DeliveryId, u16, String), Timestamp>,
    pub(crate) last_leave: BTreeMap<AccountId, Timestamp>,
    /// When the last call of a delivery ended, and the clean looks since.
    ended: BTreeMap<DeliveryId, Timestamp>,
    looks: BTreeMap<DeliveryId, Vec<Timestamp>>,
    /// The marker of the last call of a step.
    markers: BTreeMap<(DeliveryId, u16), String>,
    /// Steps with a call that may have taken effect.
    open: BTreeMap<(DeliveryId, u16), u32>,
    /// Whose last call Instagram refused in the words of its documents: what it refused to publish, and is
    /// unpublished by a look, may be asked for again at once.
    denied: BTreeSet<DeliveryId>,
}

impl Watch {
    /// A row as the store has acknowledged it.
    pub(crate) fn committed(&mut self, row: Delivery) {
        if let Some(was) = self.rows.get(&row.id) {
            never_changes(was, &row);
        }
        self.rows.insert(row.id, row);
    }

    /// After a crash: every acknowledged row is there, or what was being written over it.
    pub(crate) fn nothing_was_lost(&mut self, found: &BTreeMap<DeliveryId, Delivery>) {
        assert_eq!(found.len(), self.rows.len(), "a delivery is gone or came from nowhere");
        for (id, row) in found {
            let was = &self.rows[id];
            assert!(
                row == was
                    || self.doubtful.contains(row)
                    || self.loose.iter().any(|it| it.is_none_or(|it| it == *id)),
                "an acknowledged write was lost: {was:#?}\n{row:#?}"
            );
            never_changes(was, row);
        }
        self.doubtful.clear();
        self.loose.clear();
    }

    /// The store is that of a copy: what it holds is what there is.
    pub(crate) fn goes_back(&mut self, found: &BTreeMap<DeliveryId, Delivery>) {
        assert_eq!(found.len(), self.rows.len(), "a delivery is gone or came from nowhere");
        self.doubtful.clear();
        self.loose.clear();
        // What was called after the copy was made is forgotten with it.
        let known = |it: &Delivery| it.flight.frozen.is_some() && it.flight.amb_since.is_some();
        self.open.retain(|(id, step), _| known(&found[id]) && found[id].step == *step);
        self.denied.clear();
        self.rows.clone_from(found);
    }

    /// A start that died itself had put these in doubt already.
    pub(crate) fn half_recovered(&mut self, found: &BTreeMap<DeliveryId, Delivery>) {
        for (id, was) in &self.rows {
            if was.state == State::Sending && found[id].state == State::Unknown {
                self.reckon.found_open(was, self.on_the_wire.contains(id));
            }
        }
    }

    /// After recovery (I3).
    pub(crate) fn started(&mut self, found: &BTreeMap<DeliveryId, Delivery>) {
        for (id, row) in found {
            let was = &self.rows[id];
            never_changes(was, row);
            if was.state == State::Sending {
                assert_eq!(row.state, State::Unknown, "a call found on the wire is in doubt (I3)");
                self.reckon.found_open(was, self.on_the_wire.contains(id));
            }
        }
        self.loose.clear();
    }

    pub(crate) fn died(&mut self, now: Timestamp) {
        self.reckon.died(now);
        self.pace.died();
        self.on_the_wire = self.in_flight.values().copied().collect();
        for id in std::mem::take(&mut self.in_flight).into_values() {
            self.ended.insert(id, now);
            self.looks.remove(&id);
        }
        self.last_leave.clear();
        self.leaving.clear();
    }

    pub(crate) fn call_ended(&mut self, account: AccountId, id: DeliveryId, now: Timestamp) {
        self.in_flight.remove(&account);
        self.ended.insert(id, now);
        self.looks.remove(&id);
    }

    /// The network answered the last call with a refusal of its documents.
    pub(crate) fn was_denied(&mut self, id: DeliveryId) {
        self.denied.insert(id);
    }

    /// The last call is known to have done nothing. An earlier one may be open all the same.
    pub(crate) fn no_effect(&mut self, origin: Option<(DeliveryId, u16)>) {
        let Some(origin) = origin else { return };
        if let Some(calls) = self.open.get_mut(&origin) {
            *calls -= 1;
            if *calls == 0 {
                self.open.remove(&origin);
            }
        }
    }

    /// The user's word, for one more call. What goes out now begins anew: files may have gone up again, and
    /// the request names them (I5 ends with the absence).
    pub(crate) fn said_absent(&mut self, id: DeliveryId, step: u16) {
        self.open.remove(&(id, step));
        self.bodies.retain(|(of, n, _), _| (*of, *n) != (id, step));
    }

    /// A look that was answered in full.
    pub(crate) fn looked(&mut self, id: DeliveryId, now: Timestamp) {
        self.looks.entry(id).or_default().push(now);
    }
}

/// A terminal state never changes (I14); what was learned later may be added.
fn never_changes(was: &Delivery, row: &Delivery) {
    if was.state.is_terminal() {
        let mut as_before = Delivery { verified: was.verified, ..row.clone() };
        // Where the answer to the call bears none, the address is learnt when the object is read back.
        for (step, was) in as_before.steps.iter_mut().zip(&was.steps).filter(|it| it.1.permalink.is_none()) {
            step.permalink.clone_from(&was.permalink);
        }
        assert!(as_before == *was, "an end changed: {was:#?}\n{row:#?}");
    }
}

/// How a verdict begins that finds no promise of what is live broken, but an end, a wait or a question to
/// a person for which the world gave no reason.
pub(crate) const UNEXPLAINED: &str = "unexplained:";

impl World {
    /// Rows as the store has them now, however that came about.
    pub(crate) fn watch_rows(&mut self, rows: impl IntoIterator<Item = Delivery>) {
        for row in rows {
            let was = self.watch.rows.get(&row.id).filter(|was| **was != row).cloned();
            if let Some(was) = was {
                self.reckon_row(&was, &row);
                self.block_ends(&was, &row);
            }
            self.watch.committed(row);
        }
    }

    /// A post whose comment its network would not have, or that has no id to comment on.
    fn is_spared(&self, row: &Delivery) -> bool {
        let live = row.live_prefix();
        let is_comment = row.steps.get(live).is_some_and(|it| it.kind == StepKind::Comment);
        let step = (row.id, u16::try_from(live).unwrap());
        let nameless = live > 0 && row.steps[live - 1].remote_id.is_none();
        is_comment && row.reason.is_some() && (nameless || self.watch.reckon.spared.contains(&step))
    }

    /// Told that it is blocked, an account is left alone for a day, unless what it sent turns up before.
    pub(crate) fn block_begins(&mut self, id: DeliveryId, account: AccountId, fault: &Fault) {
        let Fault::Misleading(answer) = fault else { return };
        if self.network.blocks_the_account(answer) {
            self.watch.blocked.insert(id, self.now);
            self.watch.reckon.begin(Whom::Account(account), BLOCKED, self.now);
        }
    }

    fn block_ends(&mut self, was: &Delivery, row: &Delivery) {
        if was.state != State::Unknown || row.state == State::Unknown {
            return;
        }
        let Some(since) = self.watch.blocked.remove(&row.id) else { return };
        // Found by a look it proves that nothing is blocked; a person's word is none of the network's.
        let asked = self.watch.reckon.asked.contains_key(&row.id);
        let found = row.live_prefix() > was.live_prefix() && !asked;
        let rest = SignedDuration::from_hours(24) - self.now.duration_since(since);
        let rest = if found { secs(1) } else { rest.max(secs(1)) };
        self.watch.reckon.end(Whom::Account(row.account), BLOCKED, self.now, rest);
    }

    /// The class of a step: whatever the post is, nothing keeps a comment from being there twice.
    pub(crate) fn class_at(&self, row: &Delivery, step: u16) -> Class {
        let is_comment = row.steps.get(usize::from(step)).is_some_and(|it| it.kind == StepKind::Comment);
        if is_comment { Class::Opaque } else { self.class }
    }

    /// Two clean looks have shown nothing since the last call ended, the first after the wait (I7).
    pub(crate) fn absence_is_proven(&self, id: DeliveryId) -> bool {
        let ended = self.watch.ended.get(&id);
        let looks = self.watch.looks.get(&id).map_or(&[][..], Vec::as_slice);
        let settled = |at: Timestamp| ended.is_none_or(|end| at.duration_since(*end) >= self.settings.settle);
        looks.iter().any(|first| {
            let apart = |second: &Timestamp| second.duration_since(*first) >= self.settings.absence_gap;
            settled(*first) && looks.iter().any(apart)
        })
    }

    /// A publishing call leaves.
    pub(crate) fn watch_leave(&mut self, row: &Delivery) {
        let (id, account, step) = (row.id, row.account, row.step);
        let disk = durable_row(&self.disk, self.now, id);
        assert_eq!(disk.state, State::Sending, "no byte leaves before its intent is durable (I2)");
        assert_eq!((disk.step, disk.attempts), (step, row.attempts), "the durable intent is this one (I2)");
        let (now, wall) = (self.now, self.wall());
        let due = row.due.instant;
        // Unless the user wanted it out at once, or it may be live already, sent with a clock that was ahead.
        let hurried = self.watch.hurried.contains(&id) || self.watch.first.keys().any(|it| it.0 == id);
        assert!(wall >= due || now >= due || hurried, "never before its time (I13)");
        let (class, machine) = (self.class_at(row, step), self.machine.0);
        let watch = &mut self.watch;
        watch.reckon.leaves(id, now, machine);
        let other = watch.in_flight.insert(account, id);
        assert!(other.is_none(), "two calls in flight on one account (I1)");
        if let Some(last) = watch.last_leave.insert(account, now) {
            assert!(now.duration_since(last) >= secs(5), "two posts of one account within 5 s");
        }
        let frozen = disk.flight.frozen.unwrap();
        let key = (id, step, frozen.marker.clone());
        // Known to have done nothing, it may name other files under the same words.
        let opaque = class == Class::Opaque || (self.network.own && class != Class::Handle);
        if opaque && !watch.open.contains_key(&(id, step)) {
            watch.bodies.remove(&key);
        }
        let known = watch.bodies.entry(key.clone()).or_insert_with(|| frozen.body.clone());
        assert_eq!(*known, frozen.body, "one marker, one body (I5)");
        let first = *watch.first.entry(key).or_insert(now);
        if class == Class::Key {
            assert!(now.duration_since(first) <= KEY_USE, "the key may be forgotten by now (I8)");
        }
        if step > 0 {
            let before = &row.steps[usize::from(step) - 1];
            assert!(before.remote_id.is_some(), "a part leaves before the one it follows is live (I11)");
        }
        let calls = watch.open.entry((id, step)).or_default();
        *calls += 1;
        let fresh = *calls == 1;
        let looks = watch.looks.get(&id).map_or(&[][..], Vec::as_slice);
        let unpublished = watch.denied.remove(&id) && looks.last().is_some_and(|at| now <= *at + secs(60));
        let since = watch.ended.get(&id).map(|end| now.duration_since(*end));
        let waited = |span: SignedDuration| since.is_none_or(|it| it >= span);
        match class {
            _ if fresh => {}
            Class::ClientId => {}
            Class::Key => {
                assert!(waited(self.settings.key_wait), "a key is repeated before it is written (I4)");
            }
            Class::Handle => {
                let same = watch.markers.get(&(id, step)).is_none_or(|it| *it == frozen.marker);
                assert!(same, "a second container while the first may publish (I4)");
                let in_time = unpublished || waited(self.settings.settle);
                assert!(in_time, "a container is published again too early (I4)");
            }
            Class::Reference => assert!(waited(self.settings.settle), "a repeat before the wait (I4)"),
            Class::Listable | Class::Opaque => panic!("classes E and F repeat nothing by themselves (I4)"),
        }
        watch.markers.insert((id, step), frozen.marker);
    }

    /// The engine's write is durable.
    pub(crate) fn watch_save(&mut self, event: &str, pair: &(Delivery, Delivery)) {
        let (before, after) = pair;
        let id = after.id;
        if before.step != after.step {
            // What is next was never called.
            self.watch.ended.remove(&id);
        }
        if matches!(after.state, State::Cancelled | State::Missed | State::Rejected) {
            assert!(after.flight.amb_since.is_none(), "an end with an attempt open (I6)");
        }
        if event != "absent" {
            return;
        }
        let proven = self.absence_is_proven(id);
        let watch = &mut self.watch;
        let ended = watch.ended.get(&id).copied();
        let looks = watch.looks.remove(&id).unwrap_or_default();
        assert!(
            proven,
            "absence believed too early (I7): ended {ended:?}, looks {looks:?}, now {}",
            self.now
        );
        watch.open.remove(&(id, before.step));
    }

    /// When everything has come to rest.
    pub(crate) fn judge(&self) -> Result<(), String> {
        for row in self.watch.rows.values() {
            let fail = |what: String| Err(format!("{} ({:?}): {what}\n{row:#?}", row.id, row.state));
            let contested = self.watch.contested.contains(&row.id);
            // Words that were changed after the copy was made are not found by those of before.
            let other_words = self.went_back && self.watch.reworded.contains(&row.id);
            for (n, step) in (0_u16..).zip(&row.steps) {
                let objects: Vec<_> =
                    self.network.objects.iter().filter(|it| it.origin == Some((row.id, n))).collect();
                if other_words {
                    continue;
                }
                if objects.len() > 1 {
                    return fail(format!("step {n} is there {} times", objects.len()));
                }
                // With the newer store the parts that followed were forgotten too.
                let open = row.state == State::Unknown
                    && (n == row.step || (n > row.step && row.may_be_forgotten()));
                // An account that nobody connected again since is asked nothing: it is searched first then.
                let open =
                    open || row.state == State::NeedsReconnect && n >= row.step && row.may_be_forgotten();
                // With the wall clock ahead its time seemed to have come, and what another hand had said by
                // then cannot be told from what we might have.
                let seen_early = |id: &String| {
                    let early = row.due.instant.saturating_sub(self.most_ahead).unwrap_or(row.due.instant);
                    let mut others = self.network.objects.iter().filter(|it| it.origin.is_none());
                    self.most_ahead.is_positive() && others.any(|it| it.id == *id && it.created >= early)
                };
                // Its account is gone, and the user was told that nobody knows.
                let open =
                    open || n >= row.step && row.reason.as_ref().is_some_and(|it| it.class == NOT_VERIFIED);
                if contested || open || step.remote_id.as_ref().is_some_and(seen_early) {
                    continue;
                }
                if step.is_live() && objects.is_empty() {
                    return fail(format!("step {n} is called live and is not"));
                }
                // Behind a restart of the machine it is searched from five minutes earlier on, and connectors
                // allow two more: what another hand said then cannot be told from ours.
                let from =
                    objects.first().map(|it| it.created.saturating_sub(secs(430)).unwrap_or(it.created));
                let close = |id: &String| {
                    let mut others = self.network.objects.iter().filter(|it| it.origin.is_none());
                    self.machine.0 > 1
                        && others.any(|it| it.id == *id && from.is_some_and(|from| it.created >= from))
                };
                if step.remote_id.as_ref().is_some_and(close) {
                    continue;
                }
                if step.is_live() && step.remote_id.as_ref().is_some_and(|id| *id != objects[0].id) {
                    return fail(format!("step {n} is bound to another object than {}", objects[0].id));
                }
                if !step.is_live() && !objects.is_empty() {
                    return fail(format!("step {n} is live and nobody knows"));
                }
            }
            match row.state {
                State::Published if self.is_spared(row) => {}
                State::Published | State::HandedOver if row.live_prefix() < row.steps.len() => {
                    return fail("published with a step that is not live".into());
                }
                state if state.is_terminal() => {}
                State::Unknown if row.held => {}
                State::NeedsReconnect | State::Unknown if self.abandoned.contains(&row.account) => {}
                _ => return fail(format!("it is stuck at {}", self.now)),
            }
        }
        // What is in doubt on an account whose user never comes back is looked at all the time.
        let waits = if self.abandoned.is_empty() { 0 } else { LOOKS_MAX * self.watch.rows.len() as u64 };
        if self.calls > CALLS_MAX + waits {
            return Err(format!("{} calls for {} posts", self.calls, self.watch.rows.len()));
        }
        self.judge_tokens()?;
        self.explain().map_err(|why| format!("{UNEXPLAINED} {why}"))
    }
}
