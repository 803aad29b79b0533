//! Pictures on a terminal: kitty, sixel, iTerm2, or half blocks.
//!
//! What the terminal can do is asked when the first picture is looked at, and not before: a terminal that
//! does not answer costs a second then, and whoever looks at none never waits.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::{DynamicImage, ImageReader, Limits};
use ratatui::layout::Size;
use ratatui_image::Resize;
use ratatui_image::picker::cap_parser::QueryStdioOptions;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;

use super::look::Depth;

/// Longest wait for a terminal's answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Most memory that reading a picture may take, and its longest edge in pixels: the daemon sends small ones.
const MEMORY_MAX: u64 = 32 << 20;
const EDGE_MAX: u32 = 2_048;

/// The same for files that somebody is about to choose, which come from cameras.
const FILE_MEMORY_MAX: u64 = 512 << 20;
const FILE_EDGE_MAX: u32 = 20_000;
/// The longest edge of what is made of them, in pixels.
const SMALL: u32 = 1_024;

/// A picture as this terminal draws it.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) protocol: Protocol,
    /// `1200×800`, of the file.
    pub(crate) about: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("about", &self.about).finish_non_exhaustive()
    }
}

/// Asks the terminal what it can do. Nobody else may read its answers meanwhile.
pub(crate) fn ask_the_terminal() -> Picker {
    let options = QueryStdioOptions { timeout: ANSWER, ..QueryStdioOptions::default() };
    Picker::from_query_stdio_with_options(options).unwrap_or_else(|_| Picker::halfblocks())
}

/// Reads a small picture and makes it fit; `about` is told of it.
///
/// # Errors
/// In words for the user: it is no picture, or this terminal shows none.
pub(crate) fn drawn(
    bytes: &[u8],
    about: String,
    picker: &Picker,
    size: Size,
    depth: Depth,
) -> Result<Shown, String> {
    let few = matches!(depth, Depth::None | Depth::Sixteen);
    if few && picker.protocol_type() == ProtocolType::Halfblocks {
        return Err("this terminal has too few colours for a picture".to_owned());
    }
    let picture = decode(bytes).map_err(|error| format!("the picture cannot be read: {error}"))?;
    let protocol = picker
        .new_protocol(picture, size, Resize::Fit(None))
        .map_err(|error| format!("the picture cannot be drawn: {error}"))?;
    Ok(Shown { protocol, about })
}

fn decode(bytes: &[u8]) -> image::ImageResult<DynamicImage> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    within(reader, MEMORY_MAX, EDGE_MAX)
}

fn within<R: std::io::BufRead + std::io::Seek>(
    mut reader: ImageReader<R>,
    memory: u64,
    edge: u32,
) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(memory);
    (limits.max_image_width, limits.max_image_height) = (Some(edge), Some(edge));
    reader.limits(limits);
    reader.decode()
}

/// A picture of this machine made small, as the daemon does with those it keeps: its bytes, and the size of
/// the real one. Blocks.
///
/// # Errors
/// In words for the user: it cannot be read, or is no picture.
pub(crate) fn small(path: &Path) -> Result<(Vec<u8>, String), String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|it| told(&it))?;
    if reader.format().is_none() {
        return Err(told(&"this is not a picture that can be shown"));
    }
    let whole = within(reader, FILE_MEMORY_MAX, FILE_EDGE_MAX).map_err(|it| told(&it))?;
    let about = format!("{}×{}", whole.width(), whole.height());
    let mut png = Cursor::new(Vec::new());
    let small = whole.thumbnail(SMALL, SMALL).into_rgba8();
    small.write_to(&mut png, image::ImageFormat::Png).map_err(|it| told(&it))?;
    Ok((png.into_inner(), about))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_made_small_before_it_is_shown_and_what_is_none_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let photo = dir.path().join("photo.png");
        DynamicImage::new_rgb8(3_000, 1_500).save(&photo).unwrap();
        let (bytes, about) = small(&photo).unwrap();
        let picture = decode(&bytes).unwrap();
        assert_eq!((about.as_str(), picture.width(), picture.height()), ("3000×1500", 1_024, 512));
        let film = dir.path().join("film.mp4");
        std::fs::write(&film, b"no picture").unwrap();
        assert!(small(&film).unwrap_err().contains("not a picture"));
        assert!(small(&dir.path().join("missing.png")).unwrap_err().contains("missing.png"));
    }

    #[test]
    fn a_picture_fits_its_place_and_what_is_none_is_told() {
        let mut png = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(300, 200).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let size = Size::new(40, 10);
        let shown = |bytes: &[u8], depth| drawn(bytes, "3×2".into(), &Picker::halfblocks(), size, depth);
        let made = shown(png.get_ref(), Depth::Many).unwrap();
        assert_eq!(made.about, "3×2");
        let cells = made.protocol.size();
        assert!(cells.width <= 40 && cells.height <= 10 && cells.height > 5, "{cells:?}");
        let few = shown(png.get_ref(), Depth::None).unwrap_err();
        assert!(few.contains("too few colours"), "{few}");
        assert!(shown(b"no picture at all", Depth::True).is_err());
        // A head that promises more than any small picture has.
        let mut bomb = Cursor::new(Vec::new());
        DynamicImage::new_luma8(4_000, 1).write_to(&mut bomb, image::ImageFormat::Png).unwrap();
        assert!(shown(bomb.get_ref(), Depth::True).is_err());
    }
}
