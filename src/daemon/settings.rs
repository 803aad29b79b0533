//! What the configuration says to the engine.

use crate::config::{CallLimit, Config, LimitScope};
use crate::engine::{Limit, Settings};

/// The engine's settings out of the configuration.
pub(super) fn of(config: &Config) -> Settings {
    let engine = &config.engine;
    Settings {
        settle: engine.settle,
        absence_gap: engine.absence_gap,
        key_wait: engine.key_wait,
        lane_spacing: engine.lane_spacing,
        catch_up_spacing: engine.catch_up_spacing,
        hold_after: engine.hold_after,
        give_up_after: engine.give_up_after,
        poll_scale: engine.poll_scale,
        backoff_scale: engine.backoff_scale,
        resend_when_absent: config
            .platforms
            .iter()
            .filter(|(_, it)| it.resend_when_absent)
            .map(|(name, _)| *name)
            .collect(),
        limits: config
            .platforms
            .iter()
            .map(|(name, it)| (*name, it.limits.iter().map(limit).collect()))
            .collect(),
    }
}

fn limit(it: &CallLimit) -> Limit {
    Limit { app: it.scope == LimitScope::App, calls: it.calls, window: it.per }
}
