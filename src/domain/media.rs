//! A media file as the daemon knows it: facts read from the bytes, never from the name.

use super::fit::Fit;
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
    Pdf,
}

impl MediaKind {
    pub const ALL: [Self; 7] =
        [Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Mp4, Self::Mov, Self::Pdf];

    /// The media type sent to networks.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::Pdf => "application/pdf",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Mp4 => "MP4",
            Self::Mov => "MOV",
            Self::Pdf => "PDF",
        }
    }

    /// The end of a file name, without the dot. Some networks look at it before the content type.
    fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Pdf => "pdf",
        }
    }

    /// What a file is called towards networks; its own name is nobody's business.
    pub fn file_name(self) -> String {
        format!("media.{}", self.extension())
    }

    /// The kind behind a media type.
    pub fn from_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.mime() == mime)
    }

    pub fn is_image(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::WebP | Self::Gif)
    }

    pub fn is_video(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov)
    }

    /// The word in JSON: `image`, `video` or `document`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jpeg | Self::Png | Self::WebP | Self::Gif => "image",
            Self::Mp4 | Self::Mov => "video",
            Self::Pdf => "document",
        }
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
    /// Pixels as shown, after rotation; 0 when not known.
    pub width: u32,
    pub height: u32,
    pub alt: Option<String>,
    /// Which part of a thread it goes with, from 0.
    pub part: u16,
    pub detail: Detail,
}

impl MediaItem {
    /// A file of which no more is said, with the first part. `pixels`: width and height.
    pub fn new(
        id: MediaId,
        name: impl Into<String>,
        kind: MediaKind,
        bytes: u64,
        (width, height): (u32, u32),
    ) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            bytes,
            width,
            height,
            alt: None,
            part: 0,
            detail: Detail::default(),
        }
    }
}

/// What the bytes said besides kind and size. All of it is the default for files that were taken in
/// before it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Bytes of one decoded pixel; 0 when not known.
    pub pixel_bytes: u8,
    /// Some pixels may be see-through.
    pub alpha: bool,
    /// More than one picture: an animation.
    pub animated: bool,
    /// Pictures of a GIF; 0 when not known, and for all other kinds.
    pub frames: u32,
    pub video: Option<Video>,
    /// The colours that a picture is meant in, if they are not those of sRGB.
    pub colours: Option<Colours>,
    /// Pages of a document, where its bytes tell: many hide their page tree in compressed objects.
    pub pages: Option<u32>,
    /// How the file is changed before it leaves. Never stored: it follows from the network's needs,
    /// and is there only in what a connector is given. The item then has the kind and the size that
    /// the network will see, and `bytes` is the most it may have.
    pub fit: Option<Fit>,
}

/// The colours that a picture is meant in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colours {
    /// `CMYK`, `Display P3`, …: as its profile calls them.
    pub name: String,
    /// They become those of sRGB when the picture is converted.
    pub convertible: bool,
}

/// What a container says of its film.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Video {
    pub duration_ms: u64,
    /// Pictures in a thousand seconds: 29.97 a second are 29 970. 0 when not known.
    pub frame_rate_milli: u32,
    /// `h264`, `hevc`, `vp9`, `av1`; else the four letters of the container.
    pub codec: String,
    /// `None` for a film without sound.
    pub audio: Option<Sound>,
    /// The index lies before the pictures, so that a network can begin before it has everything.
    pub index_first: bool,
    /// The pictures are recorded in fields, every other line at a time.
    pub interlaced: bool,
    /// An edit list shows other than everything from the beginning; `duration_ms` is what is shown then.
    pub edits: Option<Edits>,
}

/// What an edit list makes of a film's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edits {
    /// Where in the recording it begins.
    pub start_ms: u64,
    /// How long the film is with it, and how long without.
    pub shown_ms: u64,
    pub recorded_ms: u64,
    /// Parts of the recording that are shown.
    pub pieces: u32,
}

impl Edits {
    /// More than that is cut off, and not the delay of a picture or two that encoders leave out at the
    /// beginning of nearly every film.
    const DELAY_MS: u64 = 250;

    /// Whether whoever does not heed it sees another film.
    pub fn is_cut(&self) -> bool {
        self.pieces > 1
            || self.start_ms > Self::DELAY_MS
            || self.shown_ms.abs_diff(self.recorded_ms) > Self::DELAY_MS
    }
}

/// What a container says of its film's sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// `aac`, `mp3`, …; else the four letters of the container.
    pub codec: String,
    /// Samples a second; 0 when not known.
    pub hz: u32,
    /// 0 when not known.
    pub channels: u16,
}

impl From<&str> for Sound {
    /// A codec of which no more is known.
    fn from(codec: &str) -> Self {
        Self { codec: codec.to_owned(), hz: 0, channels: 0 }
    }
}

impl Video {
    /// Frames a second, for people: `29.97`.
    pub fn frame_rate(&self) -> String {
        decimal(u64::from(self.frame_rate_milli))
    }

    /// Seconds, for people: `92.5`.
    pub fn seconds(&self) -> String {
        decimal(self.duration_ms)
    }
}

/// Thousandths as a decimal number, without zeros at the end.
pub(super) fn decimal(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_written_without_zeros_at_the_end() {
        for (milli, text) in [(29_970, "29.97"), (30_000, "30"), (500, "0.5"), (0, "0"), (92_001, "92.001")] {
            assert_eq!(decimal(milli), text);
        }
    }
}
