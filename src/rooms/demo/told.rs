//! What is told of a new post beside the name of each of its accounts.

use crate::control::messages as m;

/// The notices for `account`: those that begin with another account's name stand beside that one.
pub(super) fn told(made: &m::Post, account: &str) -> String {
    beside(&made.notices, &made.to, account)
}

fn beside(notices: &[String], to: &[String], account: &str) -> String {
    let of = |notice: &str, name: &str| notice.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
    let is_of_another = |it: &str| to.iter().any(|name| name != account && of(it, name).is_some());
    let own = notices.iter().filter(|it| !is_of_another(it));
    own.map(|it| of(it, account).unwrap_or_else(|| it.clone())).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_account_stands_on_its_line_alone() {
        let notices = ["sending now", "x:acme: will cost about 0.02 USD"].map(str::to_owned);
        let to = ["x:acme", "bluesky:acme"].map(str::to_owned);
        assert_eq!(beside(&notices, &to, "x:acme"), "sending now; will cost about 0.02 USD");
        assert_eq!(beside(&notices, &to, "bluesky:acme"), "sending now");
    }
}
