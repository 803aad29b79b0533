//! How far a TikTok account's posts go, kept with each account: it follows from what the person allowed
//! when it was connected, not from the configuration of today.

/// Where posts of an account may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In the creator's inbox, to be finished in TikTok's app (scope `video.upload`).
    Inbox,
    /// On the profile (scope `video.publish`).
    Direct,
}

impl Reach {
    /// The word that stands in the account's `tier` and in the option `mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Direct => "direct",
        }
    }

    /// The reach of an account; the lesser one where nothing is known.
    pub fn of(tier: Option<&str>) -> Self {
        if tier == Some(Self::Direct.as_str()) { Self::Direct } else { Self::Inbox }
    }
}
