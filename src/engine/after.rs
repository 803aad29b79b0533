//! What the read-back of a step that went live shows (W5).

use jiff::Timestamp;

use super::send::evidence;
use super::{Effect, Engine, Then};
use crate::domain::delivery::{Event, NOTHING, Reason, State};
use crate::domain::ids::DeliveryId;
use crate::platforms::{Answer, Sight};

impl Engine {
    pub(super) fn read_back(
        &mut self,
        id: DeliveryId,
        step: usize,
        answer: &Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.runs.get(&id).and_then(|run| run.work.as_ref()) else { return };
        let delivery = &work.delivery;
        match delivery.steps.get(step).map(|live| work.platform.confirmed(live, answer, now)) {
            Some(Sight::Found(live)) => {
                out.push(Effect::Confirm { id, step, verified: true, permalink: live.permalink });
            }
            Some(Sight::Failed(failure)) => {
                let mut reason = Reason::new(NOTHING, failure.message);
                reason.hint = failure.hint;
                let answer = evidence("failed", answer);
                if delivery.state == State::Retry && delivery.is_at_comment() {
                    // Nothing is put under what nobody can see.
                    return self.save(id, Event::Spare { reason }, Then::Done, Some(answer), now, out);
                }
                out.push(Effect::CameToNothing { id, step, reason, answer });
            }
            // It may show later, and a read that failed says nothing.
            _ => {}
        }
        self.release(id);
    }
}
