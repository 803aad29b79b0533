//! What a user may ask of a delivery that exists, and what it becomes.
//!
//! The same rules serve both cases: a delivery in hand (the engine writes) and one at rest (the
//! daemon writes, compare-and-swap).

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Engine, Phase, Save, Then, restored};
use crate::domain::delivery::{
    AfterAbsence, Delivery, Event, LEFT, Live, Looked, Proof, Reason, Recall, State,
};
use crate::domain::ids::DeliveryId;
use crate::planted::planted;

/// A wish of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Cancel,
    /// Try at once (Retry, NeedsReconnect), or look at once (Unknown).
    TryNow,
    /// The network sent word of it: look at once (Unknown).
    Look,
    /// The user looked: it is live, and this is it.
    Live(Live),
    /// The user looked: it is not live, send it again.
    Resend,
    /// The user will not settle it: it stays unknown, and is not asked about any more.
    Leave,
}

/// Why the wish cannot be granted, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

fn refused(code: &'static str, message: impl Into<String>, hint: Option<&str>) -> Refused {
    Refused { code, message: message.into(), hint: hint.map(str::to_owned) }
}

/// The event a wish stands for, in the delivery's present state.
pub fn event(
    delivery: &Delivery,
    ask: &Ask,
    give_up_after: SignedDuration,
    now: Timestamp,
) -> Result<Event, Refused> {
    let state = delivery.state;
    let word = state.as_str();
    match ask {
        Ask::Cancel if state.is_terminal() => Err(refused(
            "already_over",
            format!("delivery `{}` is already {word}", delivery.id),
            (state == State::Published).then_some("`sendoff post delete` removes it from the network"),
        )),
        Ask::Cancel if planted("cancel while ambiguous") && state == State::Unknown => {
            let reason = Reason::new("cancelled", "cancelled by the user");
            Ok(Event::Absent { proof: Proof::User, anew: true, then: AfterAbsence::Cancelled { reason } })
        }
        Ask::Cancel => {
            let reason = Reason::new("cancelled", "cancelled by the user");
            // What may have gone out unknown to this store is looked for before it is called cancelled.
            let waits = !matches!(state, State::Sending | State::Unknown);
            let doubt = restored::event(delivery, now.into(), Recall::TakenBack).filter(|_| waits);
            Ok(doubt.unwrap_or(Event::Cancel { reason }))
        }
        Ask::TryNow => match state {
            State::Retry | State::NeedsReconnect => Ok(Event::TryNow { at: now, anyway: true }),
            State::Unknown => Ok(look_now(delivery, Looked::Asked, now)),
            _ => Err(refused(
                "not_waiting",
                format!("delivery `{}` is {word}, there is nothing to retry", delivery.id),
                None,
            )),
        },
        Ask::Look if state == State::Unknown => Ok(look_now(delivery, Looked::Told, now)),
        Ask::Live(live) if state == State::Unknown => {
            Ok(Event::Applied { live: live.clone(), next_part_at: now })
        }
        Ask::Resend | Ask::Leave if state == State::Unknown && !delivery.held => Err(refused(
            "still_checking",
            format!("delivery `{}` is being looked up; its fate is not known yet", delivery.id),
            Some("wait until it is held, or say `--published URL` if you see it on the network"),
        )),
        Ask::Resend if state == State::Unknown => Ok(Event::Absent {
            proof: Proof::User,
            // What was prepared may be what stands in the way.
            anew: true,
            then: AfterAbsence::Retry { at: now, give_up_at: now.checked_add(give_up_after).ok() },
        }),
        Ask::Leave if state == State::Unknown => Ok(Event::Hold {
            reason: Reason::new(LEFT, "left as it is: nobody knows whether it is live").hint(format!(
                "once you know, `sendoff post resolve {0} --published URL` or `sendoff post resolve {0} \
                     --resend` settles it",
                delivery.id
            )),
        }),
        Ask::Live(_) | Ask::Resend | Ask::Leave | Ask::Look => Err(refused(
            "not_held",
            format!("delivery `{}` is {word}; only one whose fate is unknown can be resolved", delivery.id),
            None,
        )),
    }
}

fn look_now(delivery: &Delivery, kind: Looked, now: Timestamp) -> Event {
    Event::Look { kind, next_check: now, absent_at: delivery.flight.absent_at, reason: None }
}

impl Engine {
    pub(super) fn asked(
        &mut self,
        id: DeliveryId,
        ask: &Ask,
        ticket: u64,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let (give_up_after, moment) = (self.settings.give_up_after, self.moment(now));
        let Some(run) = self.runs.get_mut(&id) else {
            out.push(Effect::Reply { ticket, result: Err(changed(id)) });
            return;
        };
        let Some(work) = run.work.as_mut() else {
            run.asks.push((ask.clone(), ticket));
            return;
        };
        let before = work.delivery.clone();
        let moved = event(&before, ask, give_up_after, now).and_then(|event| {
            let name = event.name();
            before.apply(event, moment).map(|after| (name, after)).map_err(|illegal| Refused {
                code: "not_now",
                message: illegal.to_string(),
                hint: None,
            })
        });
        match moved {
            Err(refused) => out.push(Effect::Reply { ticket, result: Err(refused) }),
            Ok((name, after)) => {
                self.seq += 1;
                work.delivery = after.clone();
                // In the middle of a call the wish is only noted; otherwise it ends the run.
                let settled = (before.state == State::Unknown) != (after.state == State::Unknown)
                    || (before.in_flight() && !after.in_flight());
                if after.state.is_terminal() || settled || run.phase == Phase::Loading {
                    run.phase = Phase::Saving(self.seq, Then::Done);
                    run.confirm = None;
                }
                let save = Save { seq: self.seq, before, after, event: name, answer: None };
                // "Done" is said when it is durable, not before.
                self.tickets.insert(self.seq, ticket);
                out.push(Effect::Save(Box::new(save)));
            }
        }
    }
}

pub(super) fn changed(id: DeliveryId) -> Refused {
    Refused { code: "changed", message: format!("delivery `{id}` changed meanwhile"), hint: None }
}
