//! Disconnect, erase, export: plans as data, carried out by the daemon.
//!
//! What must happen, in which order, and what the receipt says of each step. The order is the
//! promise: the network is asked to revoke while the token still exists; rows go before the data
//! key, so that a crash in between leaves ciphertext that the finished erasure makes unreadable;
//! the key goes before the receipt is closed. Every step may be repeated.

use crate::domain::ids::PlatformName;
use crate::keys::derive::Signer;

/// One step of disconnecting an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DisconnectStep {
    /// Pending deliveries lose their claim to run.
    Deliveries,
    /// The network is asked to revoke the grant; at most ten seconds.
    Revoke,
    /// Tokens, refresh notes and the account's row are deleted.
    Rows,
    /// The account's data key is destroyed: old pages and backups hold only ciphertext without it.
    Key,
    /// Pages of deleted rows leave the file, where it is small enough. Hygiene: the step before is what
    /// makes the tokens unreadable.
    Compact,
}

impl DisconnectStep {
    /// All steps, in the order in which they must happen.
    pub const ALL: [Self; 5] = [Self::Deliveries, Self::Revoke, Self::Rows, Self::Key, Self::Compact];

    /// The word that is stored when the step is done.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Revoke => "revoke",
            Self::Rows => "rows",
            Self::Key => "key",
            Self::Compact => "compact",
        }
    }

    /// The step behind a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// What is left to do after a crash: everything behind the last step that was stored as done.
    pub fn after(done: Option<Self>) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |step| done.is_none_or(|done| *step > done))
    }
}

/// Why everything of a person goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// They removed the app at the network.
    Deauthorize,
    /// They asked for it at the network.
    DataDeletion,
    /// They asked the operator.
    Erase,
}

impl Request {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Deauthorize, Self::DataDeletion, Self::Erase];

    /// The word that is stored, and that the audit trail and the log show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deauthorize => "deauthorize",
            Self::DataDeletion => "data_deletion",
            Self::Erase => "erase",
        }
    }

    /// The kind behind a stored word; none for receipts of other things.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// A person of a network as requests know them: a keyed hash, by which they are found again and which
/// says nothing to who lacks the key. `app` is the network whose app gave the id.
pub fn subject(signer: &Signer, app: PlatformName, user: &str) -> [u8; 32] {
    signer.sign(&[b"person", app.as_str().as_bytes(), user.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::derive::Purpose;
    use crate::keys::master::MasterKey;

    #[test]
    fn a_crash_resumes_behind_the_last_finished_step() {
        let left = |done| DisconnectStep::after(done).map(DisconnectStep::as_str).collect::<Vec<_>>();
        assert_eq!(left(None), ["deliveries", "revoke", "rows", "key", "compact"]);
        assert_eq!(left(Some(DisconnectStep::Rows)), ["key", "compact"]);
        assert_eq!(left(Some(DisconnectStep::Compact)), Vec::<&str>::new());
    }

    #[test]
    fn an_id_of_one_app_is_nobody_at_another() {
        let key = MasterKey::generate(|bytes| {
            bytes.fill(7);
            Ok(())
        });
        let signer = Signer::new(&key.unwrap(), Purpose::Receipt);
        let at = |app, user| subject(&signer, app, user);
        assert_eq!(at(PlatformName::Facebook, "1022"), at(PlatformName::Facebook, "1022"));
        assert_ne!(at(PlatformName::Facebook, "1022"), at(PlatformName::Instagram, "1022"));
        assert_ne!(at(PlatformName::Facebook, "1022"), at(PlatformName::Facebook, "1023"));
    }

    #[test]
    fn the_key_outlives_the_rows_it_opens() {
        assert!(DisconnectStep::Revoke < DisconnectStep::Rows && DisconnectStep::Rows < DisconnectStep::Key);
    }
}
