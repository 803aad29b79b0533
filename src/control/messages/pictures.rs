//! A look at a media file that the daemon has: the one way in which bytes of a file come back.

use crate::control::shape::message;

message! {
    /// A picture made small enough to be looked at.
    answer Thumbnail {
        /// Of the media file.
        id: String,
        name: String,
        /// Pixels of the picture itself, not of this small one.
        width: u32,
        height: u32,
        /// Of `data`: always a JPEG.
        mime: String,
        /// The small picture, in base64: at most 1,024 pixels a side and 256 KiB.
        data: String,
    }
}
