//! A media file as the daemon knows it: facts read from the bytes, never from the name.

use super::ids::MediaId;

/// A file type the product accepts. The bytes decide, not the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    Jpeg,
    Png,
    WebP,
    Gif,
    Mp4,
    Mov,
}

impl MediaKind {
    pub const ALL: [Self; 6] = [Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Mp4, Self::Mov];

    /// The media type sent to networks.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
        }
    }

    /// The kind behind a media type.
    pub fn from_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.mime() == mime)
    }

    pub fn is_image(self) -> bool {
        !matches!(self, Self::Mp4 | Self::Mov)
    }

    /// The word in JSON: `image` or `video`.
    pub fn word(self) -> &'static str {
        if self.is_image() { "image" } else { "video" }
    }
}

/// One file of a post, in the order it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaItem {
    pub id: MediaId,
    /// The name the user's file had; shown, never used as a path.
    pub name: String,
    pub kind: MediaKind,
    pub bytes: u64,
    /// Pixels; 0 when not known.
    pub width: u32,
    pub height: u32,
    pub alt: Option<String>,
}
