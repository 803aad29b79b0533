//! Names of things: ids that print their own kind, platform names, account names.
//!
//! Ids are UUIDv7: time-ordered, so rows made together lie together in the store. They are made
//! from a time and random bytes given by argument, so that a seeded run makes the same ids again.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

/// Why a name could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadName {
    /// One clause, lower case, with the offending value in backticks.
    pub message: String,
}

fn bad(message: impl Into<String>) -> BadName {
    BadName { message: message.into() }
}

/// Makes a UUIDv7 out of a wall time and ten random bytes.
fn uuid7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every printed id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: `now` orders it, `random` makes it unguessable and unique.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid7(now, random))
            }

            /// The id as the store's key.
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }

            /// The id behind a key of the store.
            pub fn from_u128(key: u128) -> Self {
                Self(Uuid::from_u128(key))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                text.strip_prefix($prefix)
                    .filter(|rest| rest.len() == 32)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| {
                        bad(format!(concat!("`{}` is not a ", $noun, " id (", $prefix, " and 32 hex digits)"), text))
                    })
            }
        }
    };
}

id!(
    /// What the user wrote. One post, many deliveries.
    PostId, "pst_", "post");
id!(
    /// One post bound for one account.
    DeliveryId, "dlv_", "delivery");
id!(
    /// One connected destination. Never reused, so that a destroyed key stays destroyed.
    AccountId, "acc_", "account");
id!(
    /// A media file the daemon keeps for a post.
    MediaId, "med_", "media");
id!(
    /// A record of what was deleted and what was not possible.
    ReceiptId, "rcp_", "receipt");

/// A social network. The order is the one every list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlatformName {
    /// Facebook Pages.
    Facebook,
    /// Instagram professional accounts.
    Instagram,
    /// X, formerly Twitter.
    X,
    /// LinkedIn members and organizations.
    LinkedIn,
    /// TikTok creators.
    TikTok,
    /// Bluesky and other AT Protocol servers.
    Bluesky,
    /// Mastodon and servers that speak its API.
    Mastodon,
    /// Threads.
    Threads,
}

impl PlatformName {
    /// All networks the product names, whether this build speaks to them or not.
    pub const ALL: [Self; 8] = [
        Self::Facebook,
        Self::Instagram,
        Self::X,
        Self::LinkedIn,
        Self::TikTok,
        Self::Bluesky,
        Self::Mastodon,
        Self::Threads,
    ];

    /// The name in commands, config, addresses and the store. Never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::X => "x",
            Self::LinkedIn => "linkedin",
            Self::TikTok => "tiktok",
            Self::Bluesky => "bluesky",
            Self::Mastodon => "mastodon",
            Self::Threads => "threads",
        }
    }

    /// The name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Facebook => "Facebook",
            Self::Instagram => "Instagram",
            Self::X => "X",
            Self::LinkedIn => "LinkedIn",
            Self::TikTok => "TikTok",
            Self::Bluesky => "Bluesky",
            Self::Mastodon => "Mastodon",
            Self::Threads => "Threads",
        }
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PlatformName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|it| it.as_str()).collect();
            bad(format!("`{text}` is not a platform (known: {})", known.join(", ")))
        })
    }
}

/// The local name of an account, `platform:handle`. The handle is ours, not the network's:
/// unique per platform, renameable, 1–64 characters of `a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    platform: PlatformName,
    handle: String,
}

impl AccountName {
    /// Checks and joins the two parts.
    pub fn new(platform: PlatformName, handle: &str) -> Result<Self, BadName> {
        let fits = !handle.is_empty()
            && handle.len() <= 64
            && handle.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        if fits {
            Ok(Self { platform, handle: handle.to_owned() })
        } else {
            Err(bad(format!(
                "`{handle}` is not an account name (1–64 characters of a-z, 0-9, `.`, `_`, `-`)"
            )))
        }
    }

    /// The nearest valid handle to a network's user name: lower case, other characters become `-`.
    pub fn nearest(platform: PlatformName, username: &str) -> Self {
        let mut handle: String = username
            .trim_start_matches('@')
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .take(64)
            .collect();
        if handle.is_empty() {
            "account".clone_into(&mut handle);
        }
        Self { platform, handle }
    }

    /// The network.
    pub fn platform(&self) -> PlatformName {
        self.platform
    }

    /// The part after the colon.
    pub fn handle(&self) -> &str {
        &self.handle
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.handle)
    }
}

impl FromStr for AccountName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let (platform, handle) = text.split_once(':').ok_or_else(|| {
            bad(format!("`{text}` is not an account (write `platform:name`, e.g. `x:acme`)"))
        })?;
        Self::new(platform.parse()?, handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_be_read_as_another_kind() {
        let id = DeliveryId::new("2026-12-01T09:00:00Z".parse().unwrap(), [7; 10]);
        assert_eq!(id.to_string().parse::<DeliveryId>().unwrap(), id);
        let error = id.to_string().parse::<PostId>().unwrap_err();
        assert!(error.message.contains("is not a post id"), "{error}");
    }

    #[test]
    fn later_ids_sort_later() {
        let early = PostId::new("2026-12-01T09:00:00Z".parse().unwrap(), [255; 10]);
        let late = PostId::new("2026-12-01T09:00:01Z".parse().unwrap(), [0; 10]);
        assert!(early < late && early.as_u128() < late.as_u128());
    }

    #[test]
    fn an_account_name_says_what_is_wrong_with_it() {
        assert_eq!("x:acme".parse::<AccountName>().unwrap().to_string(), "x:acme");
        for (text, part) in
            [("acme", "platform:name"), ("y:acme", "not a platform"), ("x:A B", "not an account name")]
        {
            let error = text.parse::<AccountName>().unwrap_err();
            assert!(error.message.contains(part), "{error}");
        }
        assert_eq!(AccountName::nearest(PlatformName::X, "@Acme Corp").to_string(), "x:acme-corp");
    }
}
