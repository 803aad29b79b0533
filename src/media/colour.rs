//! The colours that a picture is meant in, and how they become sRGB, which is what networks ask for and
//! what a picture without a profile is taken to be.
//!
//! Read from the ICC profile (ICC.1:2022) by its own numbers: profiles that mix three primaries (all that
//! phones and cameras write) are converted; those that look colours up in tables of their own are named and
//! left as they are.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use image::RgbImage;

use crate::domain::media::{Colours, MediaKind};

/// Of a picture's primaries, how far each number may be from sRGB's to be the same colour.
const NEAR: f64 = 0.004;
/// The primaries of sRGB, seen in the light that profiles reckon with (D50), a row for each of X, Y, Z.
const SRGB: [[f64; 3]; 3] =
    [[0.436_07, 0.385_15, 0.143_07], [0.222_49, 0.716_87, 0.060_61], [0.013_92, 0.097_08, 0.714_10]];
/// Its inverse.
const TO_SRGB: [[f64; 3]; 3] = [
    [3.133_856_1, -1.616_866_7, -0.490_614_6],
    [-0.978_768_4, 1.916_141_5, 0.033_454_0],
    [0.071_945_3, -0.228_991_4, 1.405_242_7],
];
/// Segments of a JPEG that are passed over before its frame. Profiles come in parts of 64 kB.
const SEGMENTS_MAX: usize = 1024;
/// Longest name of a profile that is kept.
const NAME_MAX: usize = 60;

/// The colours of a picture, if they are not those of sRGB.
pub(super) fn of(path: &Path, kind: MediaKind, profile: Option<&[u8]>) -> io::Result<Option<Colours>> {
    if kind == MediaKind::Jpeg && components(path)? == 4 {
        // Decoders make RGB of it, by rule of thumb.
        return Ok(Some(Colours { name: "CMYK".into(), convertible: true }));
    }
    let Some(profile) = profile.filter(|it| it.get(16..20) == Some(b"RGB ")) else { return Ok(None) };
    let read = Profile::read(profile);
    if read.as_ref().is_some_and(Profile::is_srgb) {
        return Ok(None);
    }
    let name = name(profile).unwrap_or_else(|| "a profile without a name".into());
    // Some write sRGB as a table.
    if read.is_none() && name.to_ascii_lowercase().contains("srgb") {
        return Ok(None);
    }
    Ok(Some(Colours { name, convertible: read.is_some() }))
}

/// How many numbers make a pixel of a JPEG; 0 when it does not say.
fn components(path: &Path) -> io::Result<u8> {
    let mut from = BufReader::new(File::open(path)?);
    from.seek(SeekFrom::Start(2))?;
    for _ in 0..SEGMENTS_MAX {
        let mut head = [0; 4];
        if from.read_exact(&mut head).is_err() || head[0] != 0xff {
            return Ok(0);
        }
        let length = i64::from(u16::from_be_bytes([head[2], head[3]]));
        match head[1] {
            // A filling byte.
            0xff => from.seek_relative(-3)?,
            0xc4 | 0xc8 | 0xcc => from.seek_relative(length - 2)?,
            0xc0..=0xcf => {
                let mut frame = [0; 6];
                return Ok(from.read_exact(&mut frame).map_or(0, |()| frame[5]));
            }
            0xd9 | 0xda => return Ok(0),
            _ if length < 2 => return Ok(0),
            _ => from.seek_relative(length - 2)?,
        }
    }
    Ok(0)
}

/// Three primaries and the curve of each.
struct Profile {
    /// A row for each of X, Y, Z.
    primaries: [[f64; 3]; 3],
    /// Light of each of the 256 values.
    light: [[f64; 256]; 3],
}

impl Profile {
    /// `None`: it is of another kind, or damaged.
    fn read(icc: &[u8]) -> Option<Self> {
        if icc.get(16..20)? != b"RGB " || icc.get(20..24)? != b"XYZ " || tag(icc, *b"A2B0").is_some() {
            return None;
        }
        let mut primaries = [[0.0; 3]; 3];
        let mut light = [[0.0; 256]; 3];
        for (n, (xyz, curve)) in
            [(*b"rXYZ", *b"rTRC"), (*b"gXYZ", *b"gTRC"), (*b"bXYZ", *b"bTRC")].into_iter().enumerate()
        {
            let place = tag(icc, xyz).filter(|it| it.starts_with(b"XYZ "))?;
            for (row, numbers) in primaries.iter_mut().enumerate() {
                numbers[n] = fixed(place, 8 + row * 4)?;
            }
            let curve = Curve::read(tag(icc, curve)?)?;
            for (value, light) in (0_u8..=255).zip(&mut light[n]) {
                *light = curve.at(f64::from(value) / 255.0);
            }
        }
        Some(Self { primaries, light })
    }

    fn is_srgb(&self) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < NEAR;
        self.primaries.iter().flatten().zip(SRGB.iter().flatten()).all(near)
    }
}

/// A tag's content.
fn tag(icc: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    let count = usize::try_from(be32(icc, 128)?).ok()?.min(100);
    let entry = (0..count).map(|n| 132 + n * 12).find(|at| icc.get(*at..at + 4) == Some(&name[..]))?;
    let (start, length) = (be32(icc, entry + 4)? as usize, be32(icc, entry + 8)? as usize);
    icc.get(start..start.checked_add(length)?)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number with 16 bits behind the point.
fn fixed(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from(be32(bytes, at)?.cast_signed()) / 65536.0)
}

/// From a value to its light, both from 0 to 1.
enum Curve {
    Gamma(f64),
    /// (ax + b)^g + e from d on, cx + f below (ICC's function 4, of which the others are cases).
    Parts {
        g: f64,
        a: f64,
        b: f64,
        c: f64,
        d: f64,
        e: f64,
        f: f64,
    },
    Table(Vec<f64>),
}

#[allow(clippy::many_single_char_names)] // the format's own names
impl Curve {
    fn read(content: &[u8]) -> Option<Self> {
        match content.get(..4)? {
            b"curv" => {
                let count = be32(content, 8)? as usize;
                match count {
                    0 => Some(Self::Gamma(1.0)),
                    1 => Some(Self::Gamma(f64::from(be16(content, 12)?) / 256.0)),
                    2..=65_536 => {
                        let rows = content.get(12..12 + count * 2)?.chunks_exact(2);
                        let row = |it: &[u8]| f64::from(u16::from_be_bytes([it[0], it[1]])) / 65535.0;
                        Some(Self::Table(rows.map(row).collect()))
                    }
                    _ => None,
                }
            }
            b"para" => {
                let kind = be16(content, 8)?;
                let number = |n: usize| fixed(content, 12 + n * 4);
                let g = number(0)?;
                let (mut a, mut b, mut c, mut d, mut e, mut f) = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0);
                if kind >= 1 {
                    (a, b) = (number(1)?, number(2)?);
                    d = -b / a;
                }
                match kind {
                    0 | 1 => {}
                    2 => {
                        e = number(3)?;
                        f = e;
                    }
                    3 => (c, d) = (number(3)?, number(4)?),
                    4 => (c, d, e, f) = (number(3)?, number(4)?, number(5)?, number(6)?),
                    _ => return None,
                }
                Some(Self::Parts { g, a, b, c, d, e, f })
            }
            _ => None,
        }
    }

    fn at(&self, x: f64) -> f64 {
        let light = match self {
            Self::Gamma(g) => x.powf(*g),
            Self::Parts { g, a, b, c, d, e, f } => {
                if x >= *d {
                    (a * x + b).max(0.0).powf(*g) + e
                } else {
                    c * x + f
                }
            }
            Self::Table(rows) => {
                #[allow(clippy::cast_precision_loss)] // 65,536 rows at most
                let place = x * (rows.len() - 1) as f64;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // x is from 0 to 1
                let low = (place.floor() as usize).min(rows.len() - 2);
                #[allow(clippy::cast_precision_loss)]
                let part = place - low as f64;
                rows[low] * (1.0 - part) + rows[low + 1] * part
            }
        };
        if light.is_finite() { light.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The name that the profile gives itself.
fn name(icc: &[u8]) -> Option<String> {
    let content = tag(icc, *b"desc")?;
    let text = match content.get(..4)? {
        b"desc" => {
            let length = be32(content, 8)? as usize;
            String::from_utf8_lossy(content.get(12..12_usize.checked_add(length)?)?).into_owned()
        }
        b"mluc" => {
            let (length, start) = (be32(content, 20)? as usize, be32(content, 24)? as usize);
            let units = content.get(start..start.checked_add(length)?)?.chunks_exact(2);
            let units: Vec<_> = units.map(|it| u16::from_be_bytes([it[0], it[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => return None,
    };
    let text: String = text.trim_matches('\0').trim().chars().filter(|it| !it.is_control()).collect();
    let text: String = text.chars().take(NAME_MAX).collect();
    (!text.is_empty()).then_some(text)
}

/// Makes the colours of a decoded picture those of sRGB. False: the profile is none that is understood, and
/// nothing was changed.
pub(super) fn to_srgb(picture: &mut RgbImage, icc: &[u8]) -> bool {
    let Some(profile) = Profile::read(icc) else { return false };
    if profile.is_srgb() {
        return true;
    }
    let mut mix = [[0.0; 3]; 3];
    for (row, to) in mix.iter_mut().zip(TO_SRGB) {
        for (column, it) in row.iter_mut().enumerate() {
            *it = (0..3).map(|n| to[n] * profile.primaries[n][column]).sum();
        }
    }
    let shown: Vec<u8> = (0..=SHADES).map(|n| encoded(f64::from(n) / f64::from(SHADES))).collect();
    for pixel in picture.pixels_mut() {
        let light: [f64; 3] = std::array::from_fn(|n| profile.light[n][usize::from(pixel[n])]);
        for (n, row) in mix.iter().enumerate() {
            let sum = row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            let place = (sum.clamp(0.0, 1.0) * f64::from(SHADES)).round() as usize;
            pixel[n] = shown[place];
        }
    }
    true
}

/// Steps of light that are told apart: more than eight bits can show.
const SHADES: u16 = 8191;

/// sRGB's value for so much light (IEC 61966-2-1).
fn encoded(light: f64) -> u8 {
    let value = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a cast of floats saturates
    let value = (value * 255.0).round() as u8;
    value
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The primaries of Display P3 as Apple's profile has them, and those of Adobe RGB.
    const P3: [[f64; 3]; 3] =
        [[0.515_12, 0.291_98, 0.157_10], [0.241_20, 0.692_25, 0.066_57], [-0.001_05, 0.041_89, 0.784_07]];

    /// A profile of these primaries with sRGB's own curve, under this name.
    pub(crate) fn profile(primaries: [[f64; 3]; 3], name: &str) -> Vec<u8> {
        let fixed = |it: f64| {
            #[allow(clippy::cast_possible_truncation)]
            let it = (it * 65536.0).round() as i32;
            it.to_be_bytes()
        };
        let mut tags: Vec<([u8; 4], Vec<u8>)> = Vec::new();
        for (n, (xyz, curve)) in
            [(*b"rXYZ", *b"rTRC"), (*b"gXYZ", *b"gTRC"), (*b"bXYZ", *b"bTRC")].into_iter().enumerate()
        {
            let place: Vec<u8> = primaries.iter().flat_map(|row| fixed(row[n])).collect();
            tags.push((xyz, [&b"XYZ \0\0\0\0"[..], &place].concat()));
            let numbers: Vec<u8> = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45]
                .into_iter()
                .flat_map(fixed)
                .collect();
            tags.push((curve, [&b"para\0\0\0\0\0\x03\0\0"[..], &numbers].concat()));
        }
        let length = u32::try_from(name.len() + 1).unwrap().to_be_bytes();
        tags.push((*b"desc", [&b"desc\0\0\0\0"[..], &length, name.as_bytes(), b"\0"].concat()));
        let mut icc = vec![0; 128];
        icc[16..24].copy_from_slice(b"RGB XYZ ");
        icc.extend(u32::try_from(tags.len()).unwrap().to_be_bytes());
        let mut at = u32::try_from(132 + tags.len() * 12).unwrap();
        for (name, content) in &tags {
            let length = u32::try_from(content.len()).unwrap();
            icc.extend(name.iter().chain(&at.to_be_bytes()).chain(&length.to_be_bytes()));
            at += length;
        }
        icc.extend(tags.into_iter().flat_map(|it| it.1));
        icc
    }

    pub(crate) fn p3() -> Vec<u8> {
        profile(P3, "Display P3")
    }

    #[test]
    fn colours_keep_their_look_when_they_become_srgb() {
        let becomes = |icc: &[u8], from: [u8; 3]| {
            let mut picture = RgbImage::from_pixel(1, 1, image::Rgb(from));
            assert!(to_srgb(&mut picture, icc));
            picture.get_pixel(0, 0).0
        };
        let p3 = p3();
        // Greys are greys; a red that screens of sRGB cannot show becomes their fullest.
        assert_eq!(becomes(&p3, [128, 128, 128]), [128, 128, 128]);
        assert_eq!(becomes(&p3, [255, 255, 255]), [255, 255, 255]);
        assert_eq!(becomes(&p3, [255, 0, 0]), [255, 0, 0]);
        // sRGB's red is (234, 51, 35) on such a screen: known from every colour picker.
        let red = becomes(&p3, [234, 51, 35]);
        assert!(red[0] >= 254 && red[1] <= 3 && red[2] <= 3, "{red:?}");
        let srgb = profile(SRGB, "sRGB");
        assert_eq!(becomes(&srgb, [12, 200, 99]), [12, 200, 99], "its own are not touched");
        let mut picture = RgbImage::new(1, 1);
        assert!(!to_srgb(&mut picture, b"no profile"));
    }

    #[test]
    fn a_picture_for_print_is_told_by_its_four_inks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let seen = |inks: u8, before: &[u8]| {
            let frame = [&[0xff, 0xc0, 0, 17, 8, 0, 9, 0, 9, inks][..], &[0; 9]].concat();
            std::fs::write(&path, [&b"\xff\xd8"[..], before, &frame, b"\xff\xda\0\x02"].concat()).unwrap();
            of(&path, MediaKind::Jpeg, None).unwrap().map(|it| it.name)
        };
        let tables = b"\xff\xe0\0\x04ab\xff\xc4\0\x05abc\xff\xff\xdb\0\x02";
        for before in [&b""[..], tables] {
            assert_eq!(seen(4, before).as_deref(), Some("CMYK"));
            assert_eq!((seen(3, before), seen(1, before)), (None, None));
        }
    }

    #[test]
    fn no_cut_and_no_changed_byte_of_a_profile_makes_it_panic() {
        let whole = p3();
        for end in 0..whole.len() {
            assert!(Profile::read(&whole[..end]).is_none_or(|it| !it.is_srgb()), "it is none of sRGB's");
            drop(name(&whole[..end]));
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] = value;
                drop(name(&spoilt));
                to_srgb(&mut RgbImage::new(1, 1), &spoilt);
            }
        }
    }
}
