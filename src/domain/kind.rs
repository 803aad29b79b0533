//! The two kinds of account on LinkedIn, kept with each account: whom it speaks for, what it may do and
//! which of the operator's two apps it came through.

/// Whom an account on LinkedIn speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person. Their posts cannot be read back.
    Member,
    /// A company or school, in whose name one of its administrators posts.
    Organization,
}

impl Kind {
    /// The word that stands in the account's `tier`, and behind `--kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Organization => "organization",
        }
    }

    /// The kind of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Member, Self::Organization].into_iter().find(|it| it.as_str() == word)
    }

    /// The kind of an account; the one that can do less where nothing is known.
    pub fn of(tier: Option<&str>) -> Self {
        tier.and_then(Self::from_word).unwrap_or(Self::Member)
    }
}
