//! The two ways to Instagram, kept with each account: what can be done, where calls go and which app
//! they speak for follow from the door it was connected through, not from the configuration of today.

/// A way to Instagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// "Instagram API with Instagram Login": graph.instagram.com, no Page needed.
    Instagram,
    /// "Instagram API with Facebook Login": graph.facebook.com, through a Page.
    Facebook,
}

impl Door {
    /// The word that stands in the account's `tier`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instagram => "instagram_login",
            Self::Facebook => "facebook_login",
        }
    }

    /// The door of an account; the one that can do less where nothing is known.
    pub fn of(tier: Option<&str>) -> Self {
        if tier == Some(Self::Facebook.as_str()) { Self::Facebook } else { Self::Instagram }
    }
}
