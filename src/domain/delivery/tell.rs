//! A delivery's moves in one sentence each, for the log.

use super::{AT_WORK, Delivery, LEFT, NOTHING, RetryWhy, State};
use crate::domain::schedule::echo;

impl Delivery {
    /// Where it stands now, as a clause without the account's name: `scheduled for Tue …`.
    ///
    /// Network words in it are as they came; whoever prints it cleans it.
    pub fn tell(&self) -> String {
        let why = self.reason.as_ref().map(|reason| reason.message.as_str()).unwrap_or_default();
        let later = self.next_try.map(|at| format!("{at:.0}")).unwrap_or_default();
        match self.state {
            State::Scheduled => format!("scheduled for {}", echo(&self.due)),
            State::Claimed => "its time has come".to_owned(),
            State::Preparing => "preparing".to_owned(),
            State::Sending => "sending".to_owned(),
            State::Unknown if self.is_left() => why.to_owned(),
            State::Unknown if self.held => format!("waits for you: {why}"),
            State::Unknown => format!("checking whether it is live: {why}"),
            State::Retry if self.retry_why == Some(RetryWhy::NextPart) => {
                format!("part {} of {} is live", self.step, self.steps.len())
            }
            State::Retry if self.reason.is_none() => format!("tried again at {later}"),
            State::Retry => format!("tried again at {later}: {why}"),
            State::NeedsReconnect => format!("the account must be connected again: {why}"),
            State::Published if self.came_to_nothing() => {
                format!("taken by the network, and not published after all: {why}")
            }
            State::Published => {
                let link = self.steps.first().and_then(|step| step.permalink.as_deref());
                let without =
                    if why.is_empty() { String::new() } else { format!("; without its comment: {why}") };
                format!("published: {}{without}", link.unwrap_or("no link"))
            }
            State::HandedOver => "handed over to the inbox on the network".to_owned(),
            State::Rejected => format!("rejected: {why}"),
            State::Cancelled => format!("cancelled: {why}"),
            State::Missed => format!("missed: {why}"),
        }
    }
}

impl State {
    /// How loud the log says that a delivery came into this state by the event of this name, for a reason
    /// of this class.
    pub fn level(self, event: &str, class: &str) -> &'static str {
        match self {
            _ if event == "at_risk" => "warn",
            Self::Published if class == NOTHING => "error",
            Self::Claimed | Self::Preparing | Self::Sending => "debug",
            Self::Scheduled | Self::Published | Self::HandedOver | Self::Cancelled => "info",
            Self::Retry if event == "applied" => "info",
            Self::Unknown if event == "hold" && class == LEFT => "info",
            Self::Unknown if event == "hold" => "error",
            // The network took it, and says that it is at work on it: nothing is wrong.
            Self::Unknown if class == AT_WORK => "info",
            Self::Unknown | Self::Retry => "warn",
            Self::NeedsReconnect | Self::Rejected | Self::Missed => "error",
        }
    }
}
