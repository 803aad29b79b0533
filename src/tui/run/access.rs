//! Why the daemon could not be asked, and what mends it, in the words of this machine.

use std::path::Path;

use super::group_of;
use crate::control::api::ErrorKind;
use crate::control::client::ClientError;
use crate::tui::effect::Trouble;

/// The error as the console shows it.
pub(super) fn trouble(error: &ClientError, socket: &Path) -> Trouble {
    let detail = super::asking::cleaned(error.detail());
    let lost = match error {
        ClientError::Unreachable { .. } | ClientError::Broken(_) => true,
        ClientError::Api(it) => it.kind == ErrorKind::NotReady,
    };
    let denied = matches!(error, ClientError::Unreachable { why, .. } if why == "permission denied");
    let hint = if denied { Some(join_the_group(socket)) } else { detail.hint };
    Trouble { code: detail.code, message: detail.message, hint, problems: detail.problems, lost }
}

/// Which group may open the socket, and the command that makes the user one of it.
fn join_the_group(socket: &Path) -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let user = ["USER", "LOGNAME"].into_iter().find_map(|it| std::env::var(it).ok()).unwrap_or_default();
    told(&groups, group_of(socket), &user)
}

fn told(groups: &str, gid: Option<u32>, user: &str) -> String {
    let lines = groups.lines().map(|it| it.split(':').collect::<Vec<_>>());
    let mut of_socket =
        lines.filter(|it| it.len() >= 4 && it[2].parse() == Ok(gid.unwrap_or(u32::MAX)) && it[2] != "0");
    let whom = if user.is_empty() { "\"$USER\"" } else { user };
    let Some(line) = of_socket.next() else {
        // A group that another directory than that file knows.
        if let Some(gid) = gid.filter(|it| *it != 0) {
            return format!(
                "you are not in the group number {gid}. Run: sudo usermod -aG \"$(getent group {gid} | cut -d: \
                 -f1)\" {whom}, then log in again"
            );
        }
        return "the socket belongs to root alone: run the console with sudo, or see docs/install.md"
            .to_owned();
    };
    let (group, members) = (line[0], line[3]);
    if members.split(',').any(|it| it == user && !user.is_empty()) {
        return format!(
            "you are in the group `{group}` since you logged in: log in again, or run: newgrp {group}"
        );
    }
    format!("you are not in the group `{group}`. Run: sudo usermod -aG {group} {whom}, then log in again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_and_the_command_are_named() {
        let groups = "root:x:0:\nsendoff:x:977:anna,ben\nusers:x:100:carl\n";
        assert_eq!(
            told(groups, Some(977), "carl"),
            "you are not in the group `sendoff`. Run: sudo usermod -aG sendoff carl, then log in again"
        );
        assert!(told(groups, Some(977), "anna").contains("newgrp sendoff"));
        assert!(told(groups, Some(977), "").contains("usermod -aG sendoff \"$USER\""));
        assert!(told(groups, Some(0), "carl").contains("sudo"));
        assert!(told(groups, None, "carl").contains("sudo"));
        let elsewhere = told("", Some(977), "carl");
        assert!(elsewhere.contains("sudo usermod") && elsewhere.contains("getent group 977"), "{elsewhere}");
    }
}
