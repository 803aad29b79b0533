//! Pictures on a terminal: kitty, sixel, iTerm2, or half blocks.
//!
//! What the terminal can do is asked when the first picture is looked at, and not before: a terminal that
//! does not answer costs a second then, and whoever looks at none never waits.

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
/// Most memory that reading a picture may take: what a network takes is smaller.
const MEMORY_MAX: u64 = 160 << 20;
/// Longest edge that is kept, in pixels: more than any terminal shows.
const EDGE_MAX: u32 = 1_600;

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

/// Reads a file and makes it fit.
///
/// # Errors
/// In words for the user: it is no picture, or this terminal shows none.
pub(crate) fn read(path: &Path, picker: &Picker, size: Size, depth: Depth) -> Result<Shown, String> {
    let few = matches!(depth, Depth::None | Depth::Sixteen);
    if few && picker.protocol_type() == ProtocolType::Halfblocks {
        return Err("this terminal has too few colours for a picture".to_owned());
    }
    let picture = decode(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let about = format!("{}×{}", picture.width(), picture.height());
    let small = picture.thumbnail(EDGE_MAX, EDGE_MAX);
    let protocol = picker
        .new_protocol(small, size, Resize::Fit(None))
        .map_err(|error| format!("the picture cannot be drawn: {error}"))?;
    Ok(Shown { protocol, about })
}

fn decode(path: &Path) -> image::ImageResult<DynamicImage> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY_MAX);
    limits.max_image_width = Some(12_000);
    limits.max_image_height = Some(12_000);
    reader.limits(limits);
    reader.decode()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn a_picture_fits_its_place_and_what_is_none_is_told() {
        let mut png = std::io::Cursor::new(Vec::new());
        DynamicImage::new_rgb8(300, 200).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let (_dir, path) = file("a.png", png.get_ref());
        let size = Size::new(40, 10);
        let shown = read(&path, &Picker::halfblocks(), size, Depth::Many).unwrap();
        assert_eq!(shown.about, "300×200");
        let cells = shown.protocol.size();
        assert!(cells.width <= 40 && cells.height <= 10 && cells.height > 5, "{cells:?}");
        let few = read(&path, &Picker::halfblocks(), size, Depth::None).unwrap_err();
        assert!(few.contains("too few colours"), "{few}");
        let (_dir, path) = file("b.png", b"no picture at all");
        assert!(read(&path, &Picker::halfblocks(), size, Depth::True).is_err());
    }
}
