//! What is learnt of a delivery after its call was answered (W5): facts that may be added to an end, which
//! itself never changes.

use super::{Delivery, NOTHING, Reason, State, StepKind};

impl Delivery {
    /// A step was read back. The last part of a post tells of all of it; a first comment stands under it and
    /// tells nothing, for on some networks none can be read. `permalink`: its address, which some networks tell only then.
    pub fn read_back(&mut self, step: usize, verified: bool, permalink: Option<String>) {
        let last = self.steps.iter().rposition(|it| it.kind != StepKind::Comment) == Some(step);
        let over = self.state == State::Published || self.is_at_comment();
        if last && over && self.steps[step].is_live() {
            self.verified = verified;
        }
        if let Some(step) = self.steps.get_mut(step).filter(|it| it.is_live()) {
            step.permalink = step.permalink.take().or(permalink);
        }
    }

    /// The network took it, named it, and could not publish it after all. Only of what has ended as
    /// published: `false` otherwise, and nothing is noted.
    pub fn note_nothing(&mut self, reason: Reason) -> bool {
        let may = self.state == State::Published && reason.class == NOTHING;
        if may {
            self.verified = false;
            self.reason = Some(reason);
        }
        may
    }

    /// Whether it is called published and the network says that it is not.
    pub fn came_to_nothing(&self) -> bool {
        self.state == State::Published && self.reason.as_ref().is_some_and(|it| it.class == NOTHING)
    }
}
