//! One key per purpose, out of the master key.
//!
//! A signature made for one purpose must mean nothing for another: elsewhere, a media link's
//! signature under a shared secret was accepted as a session. Labels separate the keys; the
//! length before each signed part separates the parts.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::master::MasterKey;
use super::secret::Secret;

/// What a derived key is for. One key, one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Wraps the accounts' data keys.
    Kek,
    /// Signs links to media.
    MediaUrl,
    /// Reserved: signing what comes back from a consent page. Nothing uses it yet.
    OauthState,
    /// Reserved: signing page cursors of the control interface. Nothing uses it yet.
    Cursor,
    /// Reserved: encrypting backups. Nothing uses it yet.
    Backup,
    /// Places a slot inside its jitter window; the same slot lands on the same second again.
    SlotJitter,
    /// Hashes what a receipt is about, so that it names nobody.
    Receipt,
    /// Tells the right master key from a wrong one, and an intact keyring from a changed one.
    KeyCheck,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 8] = [
        Self::Kek,
        Self::MediaUrl,
        Self::OauthState,
        Self::Cursor,
        Self::Backup,
        Self::SlotJitter,
        Self::Receipt,
        Self::KeyCheck,
    ];

    /// HKDF's `info`. Frozen: a changed label is a lost key.
    pub fn label(self) -> &'static str {
        match self {
            Self::Kek => "sendoff/kek/v1",
            Self::MediaUrl => "sendoff/media-url/v1",
            Self::OauthState => "sendoff/oauth-state/v1",
            Self::Cursor => "sendoff/cursor/v1",
            Self::Backup => "sendoff/backup/v1",
            Self::SlotJitter => "sendoff/slot-jitter/v1",
            Self::Receipt => "sendoff/receipt/v1",
            Self::KeyCheck => "sendoff/key-check/v1",
        }
    }
}

/// HKDF-SHA256 without salt, RFC 5869.
pub(super) fn derive(master: &MasterKey, purpose: Purpose) -> Secret {
    let hkdf = Hkdf::<Sha256>::new(None, master.secret().expose());
    Secret::with(|out| hkdf.expand(purpose.label().as_bytes(), out))
        .expect("32 bytes are within HKDF's limit")
}

/// Signs and checks, for one purpose.
///
/// ```compile_fail,E0277
/// fn show(key: &sendoff::keys::derive::Signer) -> String { format!("{key}") }
/// ```
#[derive(Clone)]
pub struct Signer {
    purpose: Purpose,
    key: Secret,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, [secret])", self.purpose.label())
    }
}

impl Signer {
    /// The signer of a purpose.
    ///
    /// Panics for [`Purpose::Kek`] and [`Purpose::Backup`]: a key that encrypts never signs.
    pub fn new(master: &MasterKey, purpose: Purpose) -> Self {
        assert!(
            !matches!(purpose, Purpose::Kek | Purpose::Backup),
            "{} is a key for encryption",
            purpose.label()
        );
        Self { purpose, key: derive(master, purpose) }
    }

    /// HMAC-SHA256 over the parts, each behind its length as 8 bytes, so that moving a byte from
    /// one part to the next changes the signature. Also serves as a keyed hash.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether `tag` is the whole signature of these parts. Takes the same time for every tag of
    /// 32 bytes.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_slice(tag).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose()).expect("HMAC takes keys of every length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(|bytes| {
            bytes.fill(byte);
            Ok(())
        })
        .unwrap()
    }

    fn signers() -> Vec<Signer> {
        Purpose::ALL
            .into_iter()
            .filter(|it| !matches!(it, Purpose::Kek | Purpose::Backup))
            .map(|it| Signer::new(&master(1), it))
            .collect()
    }

    #[test]
    fn no_two_purposes_share_a_key() {
        for (i, one) in Purpose::ALL.into_iter().enumerate() {
            for two in &Purpose::ALL[i + 1..] {
                let (a, b) = (derive(&master(1), one), derive(&master(1), *two));
                assert_ne!(a.expose(), b.expose(), "{one:?} {two:?}");
            }
            assert_ne!(derive(&master(1), one).expose(), derive(&master(2), one).expose());
        }
    }

    #[test]
    fn a_signature_for_one_purpose_is_worthless_for_every_other() {
        for signer in signers() {
            let tag = signer.sign(&[b"ticket", b"1"]);
            for other in signers() {
                assert_eq!(other.verify(&[b"ticket", b"1"], &tag), other.purpose == signer.purpose);
            }
        }
    }

    #[test]
    fn parts_cannot_be_cut_anew() {
        let signer = Signer::new(&master(1), Purpose::MediaUrl);
        let tag = signer.sign(&[b"ab", b"c"]);
        assert!(signer.verify(&[b"ab", b"c"], &tag));
        for parts in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"], &[]]
        {
            assert!(!signer.verify(parts, &tag), "{parts:?}");
        }
    }

    #[test]
    fn a_signature_that_is_short_long_or_off_by_a_bit_is_refused() {
        let signer = Signer::new(&master(1), Purpose::Cursor);
        let tag = signer.sign(&[b"x"]);
        assert!(!signer.verify(&[b"x"], &tag[..31]) && !signer.verify(&[b"x"], &[]));
        assert!(!signer.verify(&[b"x"], &[&tag[..], b"\0"].concat()));
        for bit in 0..256 {
            let mut changed = tag;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!signer.verify(&[b"x"], &changed));
        }
    }

    #[test]
    fn keys_of_today_are_the_keys_of_tomorrow() {
        // Computed once with Python's hmac and hashlib, from the RFC's definition, so that a change
        // of crate or label cannot pass unseen.
        let hex = |bytes: &[u8; 32]| {
            let [high, low] = [0, 16].map(|at| u128::from_be_bytes(bytes[at..at + 16].try_into().unwrap()));
            format!("{high:032x}{low:032x}")
        };
        assert_eq!(
            hex(derive(&master(1), Purpose::Kek).expose()),
            "91a81a319bb7b0359efa5421774d5e7eaada6811a5f9fd6318a9b0473aad5ad3"
        );
        assert_eq!(
            hex(&Signer::new(&master(1), Purpose::Cursor).sign(&[b"ab", b"c"])),
            "60fc83e2279521a3c7021ef96d8ed4f8467f5644744a80d85dbedac4dffa73df"
        );
    }

    #[test]
    #[should_panic(expected = "key for encryption")]
    fn a_key_that_encrypts_cannot_be_made_to_sign() {
        Signer::new(&master(1), Purpose::Kek);
    }
}
