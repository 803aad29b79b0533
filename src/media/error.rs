//! Why a file is not taken, or cannot be sent.

use std::io;

use crate::domain::fit::size;

use super::SIDE_MAX;

/// Why a file is not taken, or cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("{}", too_big(*bytes, *max))]
    TooBig {
        /// `None`: it was still coming.
        bytes: Option<u64>,
        max: u64,
    },
    #[error("the file is empty")]
    Empty,
    #[error("the file is {}, not a JPEG, PNG, WebP or GIF picture, not an MP4 or MOV film and not a PDF", found.unwrap_or("something else"))]
    NotAllowed { found: Option<&'static str> },
    #[error("the picture is {name}, which the networks do not take")]
    Heic { name: &'static str },
    #[error("it is {width}×{height} pixels; the most is {SIDE_MAX} a side and {max} in all")]
    TooManyPixels { width: u32, height: u32, max: u64 },
    #[error("the film lasts {} s; the most is {} s", ms / 1000, max / 1000)]
    TooLong { ms: u64, max: u64 },
    #[error("the picture cannot be read: {0}")]
    Damaged(String),
    #[error(
        "the file is cut off or damaged, so what it tells besides its picture (place, camera) cannot be taken out"
    )]
    Untidy,
    #[error("the film cannot be read: {0}")]
    DamagedFilm(&'static str),
    #[error("the document cannot be read: {0}")]
    DamagedDocument(&'static str),
    #[error("the film cannot be used: {0}")]
    UnfitFilm(&'static str),
    #[error("the picture cannot be brought below {}", size(*max))]
    Stubborn { max: u64 },
    #[error("the media file is no longer there")]
    Gone,
    #[error("the media file is not the one that was taken in: its bytes have changed")]
    Changed,
    #[error("cannot read the file: {0}")]
    Upload(io::Error),
    #[error("cannot keep the file: {0}")]
    Disk(io::Error),
}

fn too_big(bytes: Option<u64>, max: u64) -> String {
    match bytes {
        Some(bytes) => format!("the file has {}; the most is {}", size(bytes), size(max)),
        None => format!("the file has more than {}, which is the most", size(max)),
    }
}

impl MediaError {
    /// Of a file that should be there.
    pub(super) fn gone(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Gone } else { Self::Disk(error) }
    }

    /// Trying again changes nothing: the file itself is the trouble.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Upload(_) | Self::Disk(_))
    }

    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooBig { .. } => "media_too_big",
            Self::Empty => "media_empty",
            Self::NotAllowed { .. } | Self::Heic { .. } => "media_type",
            Self::TooManyPixels { .. } => "media_too_many_pixels",
            Self::TooLong { .. } => "media_too_long",
            Self::Damaged(_) | Self::Untidy | Self::DamagedFilm(_) | Self::DamagedDocument(_) => {
                "media_damaged"
            }
            Self::UnfitFilm(_) => "media_unfit",
            Self::Stubborn { .. } => "media_not_shrunk",
            Self::Gone => "media_gone",
            Self::Changed => "media_changed",
            Self::Upload(_) => "upload_broken",
            Self::Disk(_) => "disk",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooBig { .. } => {
                Some("save it smaller, or raise `media_max_bytes` (films alone; a picture may have 64 MiB)")
            }
            Self::TooManyPixels { .. } => Some("save it smaller, or raise `media_max_pixels` under [limits]"),
            Self::TooLong { .. } => Some("cut it, or raise `media_max_duration` under [limits]"),
            Self::NotAllowed { .. } | Self::Damaged(_) => {
                Some("convert it to JPEG, PNG, MP4 or PDF; the content counts, not the name")
            }
            Self::Heic { .. } => Some(
                "save it as JPEG; an iPhone does so by itself under Settings, Camera, Formats, Most Compatible",
            ),
            Self::DamagedDocument(_) => Some("save it as PDF anew"),
            Self::Untidy => Some("open it in a picture program and save it anew"),
            Self::DamagedFilm(_) | Self::UnfitFilm(_) => {
                Some("write it anew: `ffmpeg -i IN -c copy -movflags +faststart OUT.mp4`")
            }
            Self::Stubborn { .. } => Some("save it smaller"),
            Self::Gone | Self::Changed => Some("take the file into a new post"),
            Self::Empty | Self::Upload(_) => None,
            Self::Disk(_) => Some("check the free space and the rights of `data_dir`"),
        }
    }
}
