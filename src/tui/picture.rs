//! Pictures on a terminal: kitty, sixel, iTerm2, or half blocks.
//!
//! What the terminal can do is asked when the first picture is looked at, and not before: a terminal that
//! does not answer costs a second then, and whoever looks at none never waits.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::{DynamicImage, ImageError, ImageReader, Limits};
use ratatui::layout::Size;
use ratatui_image::Resize;
use ratatui_image::picker::cap_parser::QueryStdioOptions;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;

use super::look::{Depth, Look};
use crate::control::words;

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

/// What a file may be of which a small picture is made unasked: much less, for the cursor may just pass by.
const THUMB_MEMORY_MAX: u64 = 128 << 20;
const THUMB_BYTES_MAX: u64 = 32 << 20;

/// The place for a small picture beside a menu, in cells: none where there is no room beside a list, or where
/// there are too few colours.
pub(crate) fn pane((width, height): (u16, u16), look: Look) -> Option<(u16, u16)> {
    if matches!(look.depth, Depth::None | Depth::Sixteen) || look.ascii {
        return None;
    }
    match width {
        0..76 => None,
        76..120 => Some((26, height.saturating_sub(12).min(12))),
        _ => Some((48, height.saturating_sub(12).min(22))),
    }
    .filter(|it| it.1 >= 6)
}

/// A picture made small: its bytes, and the size of the real one in words.
pub(crate) type Small = (Vec<u8>, String);

/// Whether a name promises a picture that can be shown.
pub(crate) fn may_be(path: &Path) -> bool {
    let end = path.extension().map(|it| it.to_string_lossy().to_lowercase());
    end.is_some_and(|it| matches!(it.as_str(), "jpg" | "jpeg" | "png" | "webp" | "gif"))
}

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
    let picture = decode(bytes).map_err(|error| unreadable("the small copy of it", &error))?;
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
pub(crate) fn small(path: &Path) -> Result<Small, String> {
    smaller(path, FILE_MEMORY_MAX)
}

/// [`small`], of a file that nobody has asked to see: a large one is left alone.
///
/// # Errors
/// As there, and that it is too large for this.
pub(crate) fn thumbnail(path: &Path) -> Result<Small, String> {
    let bytes = std::fs::metadata(path).map_or(0, |it| it.len());
    if bytes > THUMB_BYTES_MAX {
        return Err(format!("{}: large; i shows it", words::size(bytes)));
    }
    smaller(path, THUMB_MEMORY_MAX)
}

fn smaller(path: &Path, memory: u64) -> Result<Small, String> {
    let place = path.display().to_string();
    let opened = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = opened.map_err(|error| unreadable(&place, &ImageError::IoError(error)))?;
    if reader.format().is_none() {
        return Err(format!("{place}: this is not a picture that can be shown; JPEG, PNG, WebP and GIF are"));
    }
    let whole = within(reader, memory, FILE_EDGE_MAX).map_err(|error| unreadable(&place, &error))?;
    let about = format!("{}×{}", whole.width(), whole.height());
    let mut png = Cursor::new(Vec::new());
    let small = whole.thumbnail(SMALL, SMALL).into_rgba8();
    small.write_to(&mut png, image::ImageFormat::Png).map_err(|error| unreadable(&place, &error))?;
    Ok((png.into_inner(), about))
}

/// Which picture, what is wrong with it, and what mends it.
fn unreadable(place: &str, error: &ImageError) -> String {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!("{place}: it ends too early; copy it here once more, or save it anew")
        }
        ImageError::IoError(error) => {
            format!("{place}: {error}; see that it is there and that you may read it")
        }
        ImageError::Limits(_) => {
            format!("{place}: it has more pixels than are read here; make it smaller first")
        }
        ImageError::Unsupported(_) => {
            format!("{place}: this kind of picture is not shown here ({error}); save it as PNG or JPEG")
        }
        _ => format!("{place}: it is damaged ({error}); open it in another program and save it anew"),
    }
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
        let missing = small(&dir.path().join("missing.png")).unwrap_err();
        assert!(missing.contains("missing.png") && missing.contains("see that it is there"), "{missing}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_place_and_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.png");
        DynamicImage::new_rgb8(300, 200).save(&whole).unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        let told = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let why = small(&path).unwrap_err();
            assert!(why.starts_with(&path.display().to_string()), "{why}");
            why
        };
        let mut broken = bytes.clone();
        broken[20] ^= 0xff;
        assert!(told("broken.png", &broken).contains("save it anew"));
        assert!(told("cut.png", &bytes[..bytes.len() / 2]).contains("save it anew"));
        assert!(told("head.png", &bytes[..10]).contains("save it anew"));
        // What costs little to look at is looked at unasked, and nothing else.
        assert_eq!(thumbnail(&whole).unwrap().1, "300×200");
        let large = dir.path().join("large.png");
        std::fs::File::create(&large).unwrap().set_len(THUMB_BYTES_MAX + 1).unwrap();
        assert!(thumbnail(&large).unwrap_err().contains("i shows it"));
    }

    #[test]
    fn a_small_picture_has_a_place_where_a_list_beside_it_has_one() {
        let look = |depth| Look { depth, ascii: false };
        let place = |width, height, depth| pane((width, height), look(depth));
        assert_eq!(place(80, 24, Depth::Many), Some((26, 12)));
        assert_eq!(place(200, 50, Depth::True), Some((48, 22)));
        for (width, height, depth) in [(70, 24, Depth::True), (80, 17, Depth::True), (80, 24, Depth::None)] {
            assert_eq!(place(width, height, depth), None, "{width}x{height}");
        }
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
