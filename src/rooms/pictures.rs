//! Small pictures made here, for the demonstration, so that there is something to see and no file lies in
//! the program.

/// A gradient in this colour.
pub(super) fn gradient([red, green, blue]: [u8; 3]) -> image::ImageResult<Vec<u8>> {
    let shade = |part: u32, whole: u32| u8::try_from(part * 255 / whole).unwrap_or(255);
    let (width, height) = PICTURE;
    png(|x, y| {
        [red, (shade(x, width) / 2).saturating_add(green), (shade(y, height) / 2).saturating_add(blue)]
    })
}

/// Another: a loaf with three cuts, in this colour, on a board.
pub(super) fn loaf(crust: [u8; 3]) -> image::ImageResult<Vec<u8>> {
    // In a thousand parts of the colour, as far as there is room for it.
    let lit = |color: [u8; 3], light: i64| {
        color.map(|it| u8::try_from((i64::from(it) * light / 1000).clamp(0, 255)).unwrap_or(255))
    };
    let round = |x: i64, y: i64, width: i64, height: i64| {
        x * x * 1000 / (width * width) + y * y * 1000 / (height * height)
    };
    let (width, height) = PICTURE;
    png(|x, y| {
        let (x, y) = (i64::from(x) - i64::from(width / 2), i64::from(y) - i64::from(height / 2));
        let (bread, shadow) = (round(x, y, 230, 110), round(x, y - 26, 245, 112));
        let cut = [-110, 0, 110].iter().any(|at| (x - at + y / 2).abs() < 13 && y.abs() < 66);
        match () {
            () if bread < 1000 && cut => lit([246, 226, 188], 1050 - bread / 5),
            () if bread < 1000 => lit(crust, 1250 - bread / 2 - y),
            () if shadow < 1000 => lit([236, 226, 210], 700 + shadow / 5),
            () => lit([236, 226, 210], 1000 - y / 6),
        }
    })
}

/// Width and height of the pictures.
const PICTURE: (u32, u32) = (640, 360);

fn png(color: impl Fn(u32, u32) -> [u8; 3]) -> image::ImageResult<Vec<u8>> {
    let picture = image::RgbImage::from_fn(PICTURE.0, PICTURE.1, |x, y| image::Rgb(color(x, y)));
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png)?;
    Ok(png.into_inner())
}
