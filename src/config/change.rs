//! What a reload may change while the daemon runs, and what waits for a restart.

use std::collections::BTreeSet;

use super::Config;
use crate::domain::ids::PlatformName;

/// The difference between two configurations, as names a person knows from the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force at once.
    pub reload: Vec<String>,
    /// In force after a restart; until then the old value counts.
    pub restart: Vec<String>,
}

impl Changes {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.reload.is_empty() && self.restart.is_empty()
    }
}

/// Compares the running configuration with a new one.
///
/// What the process holds open (listener, socket, store, keys, the log's writer) needs a restart.
pub fn changed(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    let mut restart = |differs: bool, name: &str| {
        if differs {
            changes.restart.push(name.to_owned());
        }
    };
    restart(old.server.listen != new.server.listen, "[server] listen");
    restart(old.server.public_url != new.server.public_url, "[server] public_url");
    restart(old.server.trusted_proxies != new.server.trusted_proxies, "[server] trusted_proxies");
    restart(old.server.verification_files != new.server.verification_files, "[server] verification_files");
    restart(old.server.control_socket != new.server.control_socket, "[server] control_socket");
    restart(old.data_dir != new.data_dir, "[storage] data_dir");
    restart(old.master != new.master, "[keys] master");
    restart(old.limits != new.limits, "[limits]");
    restart(old.log != new.log, "[log]");

    let mut reload = |differs: bool, name: &str| {
        if differs {
            changes.reload.push(name.to_owned());
        }
    };
    reload(old.timezone != new.timezone, "[defaults] timezone");
    reload(old.late != new.late, "[defaults] late");
    for name in PlatformName::ALL {
        reload(old.platform(name) != new.platform(name), &format!("[platforms.{name}]"));
    }
    let names: BTreeSet<&str> = old.queues.iter().chain(&new.queues).map(|it| it.name.as_str()).collect();
    for name in names {
        reload(old.queue(name) != new.queue(name), &format!("[[queue]] {name}"));
    }
    let named = |it: &Config, name: &str| it.recurring.iter().find(|it| it.name == name).cloned();
    let names: BTreeSet<&str> =
        old.recurring.iter().chain(&new.recurring).map(|it| it.name.as_str()).collect();
    for name in names {
        reload(named(old, name) != named(new, name), &format!("[[recurring]] {name}"));
    }
    reload(old.engine != new.engine, "[engine]");
    reload(old.egress_allow != new.egress_allow, "[egress]");
    reload(old.privacy != new.privacy, "[privacy]");
    changes
}
