//! What is learnt of a delivery after its call was answered (W5): facts that may be added to an end, which
//! itself never changes.

use super::{Delivery, NOTHING, Reason, State};

impl Delivery {
    /// A step was read back. `permalink`: its address, which some networks tell only then.
    pub fn read_back(&mut self, step: usize, verified: bool, permalink: Option<String>) {
        if self.state == State::Published && step + 1 == self.steps.len() {
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
